/* tests/base/bytes_test.c: views */
#include "base/base.h"
#include "tests/test.h"

TEST(bytes_compare_orders_like_a_dictionary) {
    static const struct {
        const char *a, *b;
        int order;
    } rows[] = {{"", "", 0},    {"", "a", -1},    {"a", "", 1}, {"a", "b", -1},
                {"ab", "a", 1}, {"\xff", "a", 1}, {"a", "a", 0}};
    for (size_t i = 0; i < LEN(rows); i++) {
        int order = bytes_compare(bytes_of(rows[i].a), bytes_of(rows[i].b));
        CHECK((order > 0) - (order < 0) == rows[i].order, "row %zu: %d", i, order);
    }
    struct bytes none = {NULL, 0};
    CHECK(bytes_compare(none, BYTES("")) == 0 && bytes_eq(none, BYTES("")) && bytes_is(none, ""));
    CHECK(bytes_of(NULL).n == 0 && bytes_is(BYTES("x"), "x") && !bytes_is(BYTES("x\0"), "x"));
}

TEST(bytes_sub_never_leaves_the_view) {
    struct bytes a = BYTES("abcdef"), none = {NULL, 0};
    static const struct {
        size_t from, n;
        const char *want;
    } rows[] = {{0, 6, "abcdef"}, {0, 7, "abcdef"},         {2, 2, "cd"}, {5, SIZE_MAX, "f"}, {6, 1, ""},
                {7, 1, ""},       {SIZE_MAX, SIZE_MAX, ""}, {0, 0, ""}};
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(bytes_is(bytes_sub(a, rows[i].from, rows[i].n), rows[i].want), "row %zu", i);
    }
    CHECK(bytes_sub(none, 1, 1).n == 0 && bytes_skip(none, 5).n == 0);
    CHECK(bytes_is(bytes_take(&a, 2), "ab") && bytes_is(a, "cdef"));
    CHECK(bytes_is(bytes_take(&a, 99), "cdef") && a.n == 0 && bytes_take(&a, 1).n == 0);
}

TEST(bytes_searches) {
    struct bytes list[] = {BYTES("/noise"), BYTES("/tls"), BYTES("")}, none = {NULL, 0};
    CHECK(bytes_find(list, 3, BYTES("/tls")) == 1 && bytes_find(list, 3, none) == 2);
    CHECK(bytes_find(list, 3, BYTES("/tl")) == 3 && bytes_find(NULL, 0, BYTES("a")) == 0);
    CHECK(bytes_index(BYTES("a,b"), ',') == 1 && bytes_index(BYTES("ab"), ',') == 2 &&
          bytes_index(none, 0) == 0);
    CHECK(bytes_has(BYTES("hello"), BYTES("ell")) && bytes_has(BYTES("hello"), none) &&
          bytes_has(none, none));
    CHECK(!bytes_has(BYTES("hello"), BYTES("hello!")) && !bytes_has(none, BYTES("a")));
    CHECK(bytes_starts(BYTES("/ipfs/id"), "/ipfs") && !bytes_starts(BYTES("/ip"), "/ipfs"));
    CHECK(bytes_ends(BYTES("a.ini"), ".ini") && !bytes_ends(BYTES("ini"), ".ini") && bytes_ends(none, ""));
}

TEST(bytes_trim_and_split) {
    CHECK(bytes_is(bytes_trim(BYTES(" \t\r\n a b \v\f")), "a b") && bytes_trim(BYTES("  ")).n == 0);
    struct bytes rest = BYTES("a,,bc,"), part;
    static const char *const want[] = {"a", "", "bc"};
    for (size_t i = 0; i < LEN(want); i++) {
        CHECK(bytes_split(&rest, ',', &part) && bytes_is(part, want[i]), "part %zu", i);
    }
    CHECK(!bytes_split(&rest, ',', &part));
    rest = BYTES("whole");
    CHECK(bytes_split(&rest, ',', &part) && bytes_is(part, "whole") && !bytes_split(&rest, ',', &part));
}

TEST(bytes_to_u64_takes_digits_and_nothing_else) {
    static const struct {
        const char *text;
        uint64_t max, want;
        bool good;
    } rows[] = {
        {"0", 9, 0, true},
        {"007", 9, 7, true},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
        {"18446744073709551616", UINT64_MAX, 0, false},
        {"99999999999999999999", UINT64_MAX, 0, false},
        {"000000000000000000001", UINT64_MAX, 0, false}, /* 21 digits */
        {"65535", 65535, 65535, true},
        {"65536", 65535, 0, false},
        {"", 9, 0, false},
        {"-1", 9, 0, false},
        {"+1", 9, 0, false},
        {" 1", 9, 0, false},
        {"1 ", 9, 0, false},
        {"0x1", 9, 0, false},
        {"1:", 9, 0, false},
        {"1/", 9, 0, false},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint64_t v = 77;
        bool good = bytes_to_u64(bytes_of(rows[i].text), rows[i].max, &v);
        CHECK(good == rows[i].good && v == (good ? rows[i].want : 77), "%s", rows[i].text);
    }
}

TEST(bytes_cstr_cuts_and_says_so) {
    char out[4] = "zzz";
    CHECK(bytes_cstr(BYTES("abc"), out, 4) && strcmp(out, "abc") == 0);
    CHECK(!bytes_cstr(BYTES("abcd"), out, 4) && strcmp(out, "abc") == 0);
    CHECK(!bytes_cstr(BYTES("a\0b"), out, 4));
    CHECK(bytes_cstr((struct bytes){NULL, 0}, out, 1) && out[0] == '\0');
    CHECK(!bytes_cstr(BYTES(""), out, 0));
}
