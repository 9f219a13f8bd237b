/* Pages of lists in memory. */
#include "base/json_page.h"
#include "tests/test.h"

static const char *pages(const char *params, size_t rows, struct buf *out) {
    struct json_doc *doc = json_parse(bytes_of(params), NULL);
    struct json_page p = json_page_of(doc == NULL ? NULL : json_root(doc));
    buf_clear(out);
    struct json_out o = json_begin(out);
    json_open(&o, NULL, '{');
    json_open(&o, "items", '[');
    for (size_t i = 0; i < rows; i++)
        if (json_page_has(&p)) json_put_uint(&o, NULL, i);
    json_shut(&o, ']');
    json_page_end(&p, &o);
    json_shut(&o, '}');
    CHECK(json_end(&o));
    json_free(doc);
    return buf_cstr(out);
}

TEST(a_page_ends_where_the_next_begins) {
    static const struct {
        const char *params;
        size_t rows;
        const char *want;
    } cases[] = {
        {"", 3, "{\"items\":[0,1,2],\"next\":null}"},
        {"{}", 0, "{\"items\":[],\"next\":null}"},
        {"{\"n\":2}", 3, "{\"items\":[0,1],\"next\":2}"},
        {"{\"n\":3}", 3, "{\"items\":[0,1,2],\"next\":null}"},
        {"{\"n\":2,\"after\":2}", 3, "{\"items\":[2],\"next\":null}"},
        {"{\"n\":1,\"after\":1}", 3, "{\"items\":[1],\"next\":2}"},
        {"{\"after\":3}", 3, "{\"items\":[],\"next\":null}"},
        {"{\"after\":9000000000000000000}", 3, "{\"items\":[],\"next\":null}"},
        {"{\"n\":0}", 3, "{\"items\":[0,1,2],\"next\":null}"},
        {"{\"n\":-5,\"after\":-5}", 2, "{\"items\":[0,1],\"next\":null}"},
        {"{\"n\":\"x\",\"after\":[]}", 1, "{\"items\":[0],\"next\":null}"},
    };
    struct buf out = {.max = 4096};
    for (size_t i = 0; i < LEN(cases); i++) {
        const char *got = pages(cases[i].params, cases[i].rows, &out);
        CHECK(strcmp(got, cases[i].want) == 0, "%s: %s", cases[i].params, got);
    }
    buf_free(&out);
}
