/* `report`: trends of the node's own figures. */
#include "node/control.h"
#include "tests/node/help.h"

TEST(a_report_is_made_of_the_figures_of_hours) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_have(world_ask(w, a, "report", "{}"), "\"hours\":0,\"items\":[{\"figure\":\"connections\"");
    must_connect(w, a, b);
    world_run(w, 30 * 3600 * INT64_C(1000));
    const char *got = world_ask(w, a, "report", "{}");
    struct json_doc *doc = json_parse(bytes_of(got), NULL);
    const struct json *r = json_get(json_root(doc), "result"), *row;
    CHECK(json_get_int(r, "hours", 0) >= 30, "%s", got);
    for (size_t i = 0; json_item(json_get(r, "items"), &i, &row);)
        if (bytes_is(json_get_bytes(row, "figure"), "connections"))
            CHECK(json_real(json_get(row, "last"), 0) == 1 &&
                  json_is_number(json_get(row, "change_per_day")));
    size_t limits = 0;
    for (size_t i = 0; json_item(json_get(r, "capacity"), &i, &row); limits++)
        if (bytes_starts(json_get_bytes(row, "limit"), "connections"))
            CHECK(json_real(json_get(row, "max"), 0) == 300 && json_is_null(json_get(row, "reached_at")));
    CHECK(limits == 8);
    json_free(doc);
    must_have(world_ask(w, a, "report", "{\"age_ms\":3600000}"), "\"silktalk.report/1\"");
    end_world(w);
}
