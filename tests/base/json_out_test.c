/* tests/base/json_out_test.c: JSON out: commas, escapes, and refusals that stick */
#include "base/json.h"

#include "base/mem.h"
#include "tests/test.h"

static const uint64_t most = UINT64_MAX;

/* One of each. */
static bool write_all(struct buf *to) {
    struct json_out o = json_begin(to);
    json_open(&o, NULL, '{');
    json_put(&o, "text", BYTES("a\"b"));
    json_put_str(&o, "str", "s");
    json_put_str(&o, "no str", NULL);
    json_open(&o, "list", '[');
    json_put_int(&o, NULL, INT64_MIN);
    json_put_uint(&o, NULL, most);
    json_open(&o, NULL, '{');
    json_shut(&o, '}');
    json_open(&o, NULL, '[');
    json_shut(&o, ']');
    json_put_bool(&o, NULL, true);
    json_shut(&o, ']');
    json_key(&o, BYTES("k\0"));
    json_put_bool(&o, NULL, false);
    json_put_null(&o, "null");
    json_put_wall(&o, "at", (struct wall){1771755330123});
    json_put_wall(&o, "never", (struct wall){0});
    json_put_raw(&o, "raw", BYTES("[1]"));
    json_put_real(&o, "real", 0.5);
    json_shut(&o, '}');
    return json_end(&o);
}
#define ALL                                                                                                  \
    "{\"text\":\"a\\\"b\",\"str\":\"s\",\"no str\":null,"                                                    \
    "\"list\":[-9223372036854775808,18446744073709551615,{},[],true],\"k\\u0000\":false,\"null\":null,"      \
    "\"at\":\"2026-02-22T10:15:30.123Z\",\"never\":null,\"raw\":[1],\"real\":0.5}"

TEST(all_kinds_of_values_with_commas_between) {
    struct buf out = {.max = 1000};
    CHECK(write_all(&out) && bytes_is(buf_view(&out), ALL), "%s", buf_cstr(&out));
    struct json_doc *doc = json_parse(buf_view(&out), NULL);
    CHECK(doc != NULL && json_count(json_root(doc)) == 10);
    struct buf copy = {.max = 1000}; /* as a value inside another text */
    struct json_out o = json_begin(&copy);
    json_open(&o, NULL, '[');
    json_put_value(&o, NULL, json_root(doc));
    json_put_value(&o, NULL, NULL);
    json_shut(&o, ']');
    CHECK(json_end(&o) && bytes_is(buf_view(&copy), "[" ALL ",null]"), "%s", buf_cstr(&copy));
    json_free(doc);
    buf_free(&out);
    buf_free(&copy);
}

TEST(a_refusal_sticks) {
    for (size_t max = 0; max < sizeof(ALL) - 1; max++) {
        struct buf out = {.max = max};
        CHECK(!write_all(&out) && out.n <= max, "%zu", max);
        buf_free(&out);
    }
    struct buf out = {.max = sizeof(ALL) - 1};
    CHECK(write_all(&out));
    buf_free(&out);
    struct json_out o = json_begin(&out);
    out.max = 3;
    json_open(&o, NULL, '[');
    json_put_str(&o, NULL, "long"); /* refused: what follows is not written either, though it would fit */
    json_put_int(&o, NULL, 1);
    json_shut(&o, ']');
    CHECK(!json_end(&o) && o.bad);
    buf_free(&out);
}

TEST(what_is_still_open_is_no_text) {
    struct buf out = {.max = 100};
    struct json_out o = json_begin(&out);
    json_open(&o, NULL, '{');
    json_open(&o, "a", '[');
    json_shut(&o, ']');
    CHECK(!json_end(&o));
    json_shut(&o, '}');
    CHECK(json_end(&o) && bytes_is(buf_view(&out), "{\"a\":[]}"));
    buf_free(&out);
}

TEST(texts_are_escaped) {
    static const struct {
        struct bytes in;
        const char *out;
    } rows[] = {
        {{(const uint8_t *)"plain /'<>", 10}, "\"plain /'<>\""},
        {{(const uint8_t *)"\"\\", 2}, "\"\\\"\\\\\""},
        {{(const uint8_t *)"\b\t\n\v\f\r", 6}, "\"\\b\\t\\n\\u000b\\f\\r\""},
        {{(const uint8_t *)"\0\1\x1b\x1f\x7f", 5}, "\"\\u0000\\u0001\\u001b\\u001f\\u007f\""},
        {{(const uint8_t *)"\xc3\xa9\xe4\xb8\xad", 5}, "\"\xc3\xa9\xe4\xb8\xad\""},
        {{(const uint8_t *)"\xc2\x9b", 2}, "\"\\u009b\""},
        {{(const uint8_t *)"\xe2\x80\xae!", 4}, "\"\\u202e!\""},
        {{(const uint8_t *)"\xe2\x80\xa8", 3}, "\"\\u2028\""},
        {{(const uint8_t *)"a\xff\xc3(", 4}, "\"a\xef\xbf\xbd\xef\xbf\xbd(\""},
        {{(const uint8_t *)"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {{(const uint8_t *)"\xf0\x9f\x98", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* cut short */
        {{(const uint8_t *)"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf out = {.max = 100};
        struct json_out o = json_begin(&out);
        json_put(&o, NULL, rows[i].in);
        CHECK(json_end(&o) && bytes_is(buf_view(&out), rows[i].out), "row %zu: %s", i, buf_cstr(&out));
        buf_free(&out);
    }
}

TEST(any_bytes_make_a_text_that_parses) {
    uint64_t state = test_seed();
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t in[24];
        for (size_t i = 0; i < sizeof(in); i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            in[i] = (uint8_t)(state >> 56);
        }
        struct buf out = {.max = 1000}, again = {.max = 1000};
        struct json_out o = json_begin(&out);
        json_open(&o, NULL, '{');
        json_key(&o, bytes_at(in, 8));
        json_put(&o, NULL, bytes_at(in, sizeof(in)));
        json_shut(&o, '}');
        struct json_doc *doc = json_end(&o) ? json_parse(buf_view(&out), NULL) : NULL;
        CHECK(doc != NULL, "round %u", round);
        for (size_t i = 0; i < out.n; i++) CHECK(out.p[i] >= 0x20 && out.p[i] != 0x7f, "round %u", round);
        CHECK(json_print(json_root(doc), &again) && bytes_eq(buf_view(&out), buf_view(&again)), "round %u",
              round);
        json_free(doc);
        buf_free(&out);
        buf_free(&again);
    }
}

TEST(reals_read_back_as_themselves) {
    static const struct {
        double v;
        const char *out;
    } rows[] = {
        {0, "0"},
        {0.1, "0.1"},
        {-2.5, "-2.5"},
        {1e21, "1e+21"},
        {1.0 / 3, "0.3333333333333333"},
        {5e-324, "4.94065645841247e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {0.001, "0.001"},
        {123456789.125, "123456789.125"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf out = {.max = 100};
        struct json_out o = json_begin(&out);
        json_put_real(&o, NULL, rows[i].v);
        CHECK(json_end(&o) && bytes_is(buf_view(&out), rows[i].out), "row %zu: %s", i, buf_cstr(&out));
        struct json_doc *doc = json_parse(buf_view(&out), NULL);
        double back = json_real(json_root(doc), -1);
        CHECK(memcmp(&back, &rows[i].v, sizeof(back)) == 0, "row %zu", i);
        json_free(doc);
        buf_free(&out);
    }
    volatile double zero = 0;
    double odd[] = {1 / zero, -1 / zero, zero / zero};
    for (size_t i = 0; i < LEN(odd); i++) {
        struct buf out = {.max = 100};
        struct json_out o = json_begin(&out);
        json_put_real(&o, NULL, odd[i]);
        CHECK(json_end(&o) && bytes_is(buf_view(&out), "null"), "row %zu: %s", i, buf_cstr(&out));
        buf_free(&out);
    }
}

TEST(memory_may_fail) {
    size_t blocks = mem_blocks();
    bool done = false;
    for (long i = 0; !done; i++) {
        struct buf out = {.max = 1000};
        CHECK(i < 100);
        mem_fail_after(i);
        done = write_all(&out);
        mem_fail_after(-1);
        CHECK(i > 0 || !done);
        buf_free(&out);
    }
    CHECK(mem_blocks() == blocks);
}
