/* tests/base/json_test.c: JSON in: what is taken, what is refused and where, and readers that take anything
 */
#include "base/json.h"

#include "base/mem.h"
#include "tests/test.h"

/* Parses and prints; the caller frees. NULL: refused. */
static char *again(struct bytes text, struct why *w) {
    struct json_doc *doc = json_parse(text, w);
    struct buf out = {.max = 1 << 20};
    if (doc == NULL) return NULL;
    CHECK(json_print(json_root(doc), &out));
    char *copy = mem_text(out.p, out.n);
    CHECK(copy != NULL);
    json_free(doc);
    buf_free(&out);
    return copy;
}

static const struct {
    const char *in, *out;
} good[] = {
    {"{}", "{}"},
    {" [ ] \r\n\t", "[]"},
    {"null", "null"},
    {"true", "true"},
    {"0", "0"},
    {"-0", "0"},
    {"-1", "-1"},
    {"1e2", "100"},
    {"0.1", "0.1"},
    {"18446744073709551615", "18446744073709551615"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"\"\"", "\"\""},
    {"{ \"b\" : [ 1 , {\"a\":null} , [] ], \"a\":false}", "{\"b\":[1,{\"a\":null},[]],\"a\":false}"},
    {"\"\\u0041\\n\\/\\\\\"", "\"A\\n/\\\\\""},
    {"\"\\u4e2d \xe4\xb8\xad\"", "\"\xe4\xb8\xad \xe4\xb8\xad\""},
    {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
    {"\"a\\u0000b\\u001b\\u202e\"",
     "\"a\\u0000b\\u001b\\u202e\""}, /* nothing that a terminal obeys comes out */
    {"{\"\\u0000\":1}", "{\"\\u0000\":1}"},
    {"[[[[]]],{}]", "[[[[]]],{}]"},
};

TEST(good_texts_come_back_compact) {
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(good); i++) {
        struct why w = {0};
        char *out = again(bytes_of(good[i].in), &w);
        CHECK(out != NULL && strcmp(out, good[i].out) == 0, "row %zu: %s", i, out == NULL ? w.text : out);
        mem_free(out);
    }
    CHECK(mem_blocks() == blocks);
}

TEST(bad_texts_are_refused_with_the_place) {
    static const char *const rows[] = {
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "[1 2]",
        "01",
        "+1",
        ".5",
        "1.",
        "0x10",
        "1e",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "1e999",
        "\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\n\"",
        "\"\x1f\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "{} {}",
        "{}x",
        "[]]",
        "/* no */1",
        "1 // no",
        "\xef\xbb\xbf{}",
        "}",
        "{]",
        "[}",
        "{\"a\"}",
        "{1:2}",
        "{\"a\":\"\xe4\xb8\"}",
    };
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(rows); i++) {
        struct why w = {0};
        struct json_doc *doc = json_parse(bytes_of(rows[i]), &w);
        CHECK(doc == NULL && w.code == E_INPUT && strncmp(w.text, "JSON: ", 6) == 0, "row %zu: %s", i,
              rows[i]);
        CHECK(strstr(w.text, " at byte ") != NULL, "row %zu: %s", i, w.text);
    }
    struct why w = {0};
    CHECK(json_parse((struct bytes){NULL, 0}, &w) == NULL && w.code == E_INPUT, "%s", w.text);
    CHECK(json_parse(BYTES("{}\0"), NULL) == NULL && json_parse(BYTES("1\0002"), NULL) == NULL);
    json_parse(BYTES("[1, x]"), &w);
    CHECK(strstr(w.text, " at byte 4") != NULL, "%s", w.text);
    CHECK(mem_blocks() == blocks);
}

static bool parses(struct bytes text) {
    struct json_doc *doc = json_parse(text, NULL);
    json_free(doc);
    return doc != NULL;
}

TEST(nesting_ends_at_its_limit) {
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        struct buf arrays = {.max = 1000}, objects = {.max = 1000};
        for (size_t i = 0; i < depth; i++)
            CHECK(buf_add_text(&arrays, "[") && buf_add_text(&objects, i + 1 < depth ? "{\"a\":" : "{"));
        for (size_t i = 0; i < depth; i++) CHECK(buf_add_text(&arrays, "]") && buf_add_text(&objects, "}"));
        bool fits = depth <= JSON_DEPTH_MAX;
        CHECK(parses(buf_view(&arrays)) == fits && parses(buf_view(&objects)) == fits, "%zu", depth);
        struct buf mixed = {.max = 1000}; /* half of each: no kind has many */
        for (size_t i = 0; i < depth; i++) CHECK(buf_add_text(&mixed, i % 2 == 0 ? "[" : "{\"a\":"));
        CHECK(buf_add_text(&mixed, "1"));
        for (size_t i = depth; i-- > 0;) CHECK(buf_add_byte(&mixed, i % 2 == 0 ? ']' : '}'));
        CHECK(parses(buf_view(&mixed)) == fits, "%zu", depth);
        buf_free(&mixed);
        struct why w = {0};
        char *out = again(buf_view(&objects), &w);
        CHECK(fits ? bytes_is(buf_view(&objects), out)
                   : w.code == E_INPUT && strstr(w.text, "deeper") != NULL);
        mem_free(out);
        buf_free(&arrays);
        buf_free(&objects);
    }
    char text[203] = "[\""; /* brackets in a text are no depth, whatever quotes it has */
    memset(text + 2, '[', 198);
    memcpy(text + 50, "\\\"", 2);
    memcpy(text + 200, "\"]", 3);
    CHECK(parses(bytes_of(text)));
    struct buf lists = {.max = 1000}; /* nor are many lists side by side */
    for (size_t i = 0; i < 100; i++) CHECK(buf_add_text(&lists, i == 0 ? "[[]" : ",[]"));
    CHECK(buf_add_text(&lists, "]") && parses(buf_view(&lists)));
    buf_free(&lists);
}

#define DOCUMENT                                                                                             \
    "{\"name\":\"x\",\"n\":-5,\"big\":18446744073709551615,\"real\":2.5,\"yes\":true,\"none\":null,"         \
    "\"list\":[1,[2,3],{\"k\":4},\"five\"],\"object\":{\"a\":{\"b\":7}},\"nul\":\"a\\u0000b\",\"name\":"     \
    "\"y\"}"

TEST(readers_find_what_is_there) {
    struct json_doc *doc = json_parse(BYTES(DOCUMENT), NULL);
    CHECK(doc != NULL);
    const struct json *o = json_root(doc), *list = json_get(o, "list");
    CHECK(json_is_object(o) && json_count(o) == 10 && json_is_array(list) && json_count(list) == 4);
    CHECK(bytes_is(json_get_bytes(o, "name"), "x")); /* the first of two */
    CHECK(json_get_int(o, "n", 9) == -5 && json_get_int(o, "big", 9) == 9 && json_get_int(o, "real", 9) == 9);
    CHECK(json_real(json_get(o, "real"), 0) > 2.4 && json_real(json_get(o, "n"), 0) < -4.9);
    CHECK(json_get_bool(o, "yes", false) && json_is_null(json_get(o, "none")));
    CHECK(json_int(json_get(json_at(list, 2), "k"), 0) == 4 &&
          json_int(json_at(json_at(list, 1), 1), 0) == 3);
    CHECK(json_is_text(json_at(list, 3)) && json_at(list, 4) == NULL && json_is_number(json_at(list, 0)));
    CHECK(json_get_int(json_get(json_get(o, "object"), "a"), "b", 0) == 7);
    CHECK(bytes_eq(json_get_bytes(o, "nul"), BYTES("a\0b")));
    json_free(doc);
}

TEST(readers_take_nothing_and_other_types) {
    struct json_doc *doc = json_parse(BYTES(DOCUMENT), NULL);
    CHECK(doc != NULL);
    const struct json *o = json_root(doc);
    const struct json *others[] = {NULL,
                                   json_get(o, "none"),
                                   json_get(o, "no such"),
                                   json_get(NULL, "x"),
                                   json_get(json_get(o, "list"), "k"),
                                   json_at(o, 0),
                                   json_root(NULL)};
    for (size_t i = 0; i < LEN(others); i++) {
        const struct json *v = others[i], *member = NULL;
        size_t at = 0, at2 = 0;
        struct bytes key;
        CHECK(json_get(v, "a") == NULL && json_at(v, 0) == NULL && json_count(v) == 0, "%zu", i);
        CHECK(json_int(v, 42) == 42 && json_bool(v, true) && !json_bool(v, false) && json_bytes(v).n == 0,
              "%zu", i);
        CHECK(json_get_int(v, "a", 42) == 42 && json_get_bool(v, "a", true) && json_real(v, 1) > 0.5, "%zu",
              i);
        CHECK(!json_is_text(v) && !json_is_number(v) && !json_is_object(v) && !json_is_array(v), "%zu", i);
        CHECK(json_is_null(v) == (i == 1), "%zu", i);
        CHECK(!json_member(v, &at, &key, &member) && !json_item(v, &at2, &member), "%zu", i);
    }
    CHECK(json_get_int(o, "name", 3) == 3 && !json_get_bool(o, "n", false) && json_get_bytes(o, "n").n == 0);
    json_free(doc);
    json_free(NULL);
}

TEST(walks_see_each_element_once) {
    struct json_doc *doc = json_parse(BYTES(DOCUMENT), NULL);
    const struct json *o = json_root(doc), *v = NULL;
    static const char *const keys[] = {"name", "n",    "big",    "real", "yes",
                                       "none", "list", "object", "nul",  "name"};
    struct bytes key;
    size_t i = 0, n = 0, sum = 0;
    while (json_member(o, &i, &key, &v)) {
        CHECK(n < LEN(keys) && bytes_is(key, keys[n]) && v != NULL, "%zu", n);
        n++;
    }
    CHECK(n == LEN(keys) && !json_member(o, &i, &key, &v));
    for (i = n = 0; json_item(json_get(o, "list"), &i, &v); n++) sum += json_count(v);
    CHECK(n == 4 && sum == 3, "%zu %zu", n, sum);
    i = 0;
    CHECK(!json_item(o, &i, &v) && !json_member(json_get(o, "list"), &i, &key, &v)); /* the other kind */
    json_free(doc);
    doc = json_parse(BYTES("[{},[],\"\"]"), NULL);
    i = 0;
    CHECK(!json_member(json_at(json_root(doc), 0), &i, &key, &v));
    CHECK(!json_item(json_at(json_root(doc), 1), &i, &v));
    json_free(doc);
}

TEST(cut_at_every_byte_and_flipped_bits) {
    struct bytes whole = BYTES(DOCUMENT);
    size_t blocks = mem_blocks();
    uint8_t text[sizeof(DOCUMENT)];
    for (size_t n = 0; n < whole.n; n++) {
        char *exact = mem_text(whole.p, n); /* of this very size, so that ASan sees a byte too far */
        struct why w = {0};
        CHECK(exact != NULL && json_parse(bytes_at(exact, n), &w) == NULL && w.code == E_INPUT, "%zu", n);
        mem_free(exact);
    }
    for (size_t bit = 0; bit < 8 * whole.n; bit++) {
        struct why w = {0};
        memcpy(text, whole.p, whole.n);
        text[bit / 8] ^= (uint8_t)(1 << bit % 8);
        char *once = again(bytes_at(text, whole.n), &w);
        CHECK(once != NULL || w.code == E_INPUT, "bit %zu", bit);
        char *twice = once == NULL ? NULL : again(bytes_of(once), &w);
        CHECK(once == NULL || (twice != NULL && strcmp(once, twice) == 0), "bit %zu: %s", bit, once);
        mem_free(once);
        mem_free(twice);
    }
    CHECK(mem_blocks() == blocks);
}

TEST(every_allocation_may_fail) {
    size_t blocks = mem_blocks();
    bool done = false;
    for (long i = 0; !done; i++) {
        struct why w = {0};
        CHECK(i < 100);
        mem_fail_after(i);
        struct json_doc *doc = json_parse(BYTES(DOCUMENT), &w);
        mem_fail_after(-1);
        done = doc != NULL;
        CHECK(done || w.code == E_MEMORY, "%ld: %s", i, w.text);
        CHECK(i > 0 || !done);
        json_free(doc);
        CHECK(mem_blocks() == blocks, "%ld", i);
    }
    struct json_doc *doc = json_parse(BYTES(DOCUMENT), NULL);
    struct buf out = {.max = 1000};
    mem_fail_after(0);
    CHECK(!json_print(json_root(doc), &out));
    mem_fail_after(-1);
    buf_free(&out);
    json_free(doc);
}

/* What can be copied is looked at eight bytes at a time: one that can't is seen at each place among others.
 */
TEST(json_out_sees_each_byte_at_each_place) {
    for (size_t n = 1; n <= 18; n++)
        for (size_t at = 0; at < n; at++)
            for (unsigned c = 0; c < 256; c++) {
                uint8_t text[18], space[300];
                struct buf out = {space, 0, sizeof space, sizeof space};
                struct json_out o = json_begin(&out);
                memset(text, 'z', n);
                text[at] = (uint8_t)c;
                json_put(&o, NULL, bytes_at(text, n));
                bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
                bool same = out.n == n + 2 && memcmp(out.p + 1, text, n) == 0;
                CHECK(json_end(&o) && same == plain && out.p[0] == '"' && out.p[out.n - 1] == '"',
                      "%u at %zu of %zu", c, at, n);
            }
}
