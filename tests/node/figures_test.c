/* Figures of minutes and hours, from a node whose time the test moves. */
#include "base/json.h"
#include "tests/node/help.h"

static int64_t sum_of(const char *answer, const char *figure, size_t *rows) {
    struct json_doc *doc = answer == NULL ? NULL : json_parse(bytes_of(answer), NULL);
    CHECK(doc != NULL, "%s", answer == NULL ? "no answer" : answer);
    const struct json *items = json_get(json_get(json_root(doc), "result"), "items"), *row;
    int64_t sum = 0;
    *rows = json_count(items);
    for (size_t i = 0; json_item(items, &i, &row);) sum += json_get_int(row, figure, 0);
    json_free(doc);
    return sum;
}

TEST(figures_add_up_to_what_happened) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY), rows = 0;
    must_connect(w, a, b);
    for (int i = 0; i < 5; i++) {
        send_text(w, a, b, "x");
        world_run(w, 40000);
    }
    CHECK(all_sent(w, a, 5000));
    world_run(w, 65000);
    const char *answer = world_ask(w, a, "figures", "{\"span\":\"minute\"}");
    CHECK(sum_of(answer, "messages_out", &rows) == 5 && rows >= 4, "%s", answer);
    CHECK(sum_of(answer, "messages_in", &rows) == 0);
    int64_t bytes = sum_of(answer, "bytes_out", &rows);
    CHECK(bytes > 500, "%lld", (long long)bytes);
    int64_t up = sum_of(answer, "up_seconds", &rows);
    CHECK(up > 200 && up < 400, "%lld", (long long)up);
    CHECK(sum_of(answer, "connections_opened", &rows) == 1);
    CHECK(sum_of(answer, "connections_max", &rows) == (int64_t)rows);
    CHECK(sum_of(answer, "connections", &rows) <= (int64_t)rows && sum_of(answer, "connections", &rows) > 0);
    must_have(answer, "\"cpu_permille\":null"); /* nobody measured it */
    answer = world_ask(w, b, "figures", "{\"span\":\"minute\",\"n\":2}");
    sum_of(answer, "messages_in", &rows);
    CHECK(rows == 2, "%s", answer);
    answer = world_ask(w, b, "figures", "{}");
    CHECK(sum_of(answer, "messages_in", &rows) == 5 && rows <= 2, "%s", answer);
    must_fail(world_ask(w, b, "figures", "{\"span\":\"day\"}"), "usage");
    must_fail(world_ask(w, b, "figures", "{\"names\":\"up_seconds,\"}"), "usage");
    must_fail(world_ask(w, b, "figures", "{\"names\":\"up\"}"), "usage");
    answer = world_ask(w, b, "figures", "{\"names\":\"messages_in,peers\"}");
    CHECK(sum_of(answer, "messages_in", &rows) == 5 && strstr(answer, "\"peers\":") != NULL, "%s", answer);
    CHECK(strstr(answer, "\"at\":") != NULL && strstr(answer, "bytes_in") == NULL, "%s", answer);
    answer = world_ask(w, b, "figures", "{\"since\":\"2999-01-01\"}");
    sum_of(answer, "up_seconds", &rows);
    CHECK(rows == 0, "%s", answer);
    end_world(w);
}

TEST(figures_count_events_by_peer) {
    static struct log_tally tally;
    tally = (struct log_tally){{{0}}, {0}};
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY), rows = 0;
    w->nodes[b]->log.tally = &tally;
    must_connect(w, a, b);
    send_text(w, a, b, "1");
    send_text(w, a, b, "2");
    CHECK(all_sent(w, a, 5000));
    world_run(w, 65000);
    const char *answer = world_ask(w, b, "log.stats", "{\"by\":\"all\"}");
    must_have(answer, w->nodes[a]->id);
    answer = world_ask(w, b, "log.stats", "{}");
    must_have(answer, "{\"level\":\"info\",\"event\":\"Message received\",\"count\":2}");
    must_have(answer, "{\"level\":\"info\",\"event\":\"Peer connected\",\"count\":1}");
    answer = world_ask(w, b, "log.stats", "{\"by\":\"peer\"}");
    CHECK(sum_of(answer, "count", &rows) >= 3);
    must_fail(world_ask(w, b, "log.stats", "{\"by\":\"nonsense\"}"), "usage");
    w->nodes[b]->log.tally = NULL;
    end_world(w);
}

TEST(figures_of_a_stop_are_kept) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY), rows = 0;
    must_connect(w, a, b);
    send_text(w, a, b, "x");
    CHECK(all_sent(w, a, 5000));
    node_stop(node_of(w, a));
    world_run(w, 2000);
    world_kill(w, a);
    world_start(w, a);
    world_run(w, 100);
    const char *answer = world_ask(w, a, "figures", "{\"span\":\"minute\"}");
    CHECK(sum_of(answer, "messages_out", &rows) == 1 && rows == 1, "%s", answer);
    end_world(w);
}
