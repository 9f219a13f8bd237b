/* tests/base/text_test.c: UTF-8 at its edges, escaping, width, edit distance */
#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

/* Eight bytes of ASCII are one step: what is none is seen at each place among them. */
TEST(utf8_is_checked_at_each_place) {
    uint8_t text[40];
    for (size_t n = 2; n <= sizeof text; n++)
        for (size_t at = 0; at < n; at++) {
            memset(text, 'a', n);
            CHECK(utf8_valid(bytes_at(text, n)));
            text[at] = 0xc3;
            CHECK(!utf8_valid(bytes_at(text, n)), "%zu of %zu", at, n);
            if (at + 1 == n) continue;
            text[at + 1] = 0xbc;
            CHECK(utf8_valid(bytes_at(text, n)), "%zu of %zu", at, n);
            text[at] = 'a';
            CHECK(!utf8_valid(bytes_at(text, n)), "%zu of %zu", at, n);
        }
}

TEST(utf8_edges) {
    static const struct {
        const char *hex;
        bool valid;
    } rows[] = {
        {"", true},
        {"00", true},
        {"7f", true},
        {"c280", true},
        {"dfbf", true},
        {"e0a080", true},
        {"ed9fbf", true},
        {"ee8080", true},
        {"efbfbf", true},
        {"f0908080", true},
        {"f48fbfbf", true},
        {"61c3a962", true},
        {"80", false},
        {"bf", false},
        {"c080", false},
        {"c1bf", false}, /* lone, overlong NUL, overlong */
        {"e08080", false},
        {"e09fbf", false},
        {"f0808080", false},
        {"f08fbfbf", false},
        {"eda080", false},
        {"edbfbf", false},
        {"edaebfedbfbf", false}, /* surrogates */
        {"f4908080", false},
        {"f5808080", false},
        {"f8888080", false},
        {"fe", false},
        {"ff", false},
        {"c2", false},
        {"e0a0", false},
        {"f09080", false},
        {"c261", false},
        {"e0a061", false},
        {"f0908061", false},
        {"c2c2", false},
        {"61ff", false},
    };
    uint8_t in[16];
    for (size_t i = 0; i < LEN(rows); i++) {
        size_t n = test_hex(rows[i].hex, in, sizeof(in));
        CHECK(utf8_valid(bytes_at(in, n)) == rows[i].valid, "%s", rows[i].hex);
    }
}

TEST(utf8_every_code_point_and_no_other) {
    size_t valid = 0;
    for (uint32_t lead = 0; lead < 256;
         lead++) { /* all of one to three bytes, and four by a sample of the third */
        for (uint32_t rest = 0; rest < 0x10000; rest += lead < 0x80 ? 0x10000 : lead < 0xe0 ? 0x100 : 1) {
            uint8_t in[4] = {(uint8_t)lead, (uint8_t)(rest >> 8), (uint8_t)rest, 0x80};
            uint32_t code = 0;
            size_t n = utf8_read(bytes_at(in, 4), &code);
            static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
            CHECK(n <= 4 &&
                      (n == 0 || (code >= least[n] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff))),
                  "%02x %04x", (unsigned)lead, (unsigned)rest);
            valid += n > 0;
        }
    }
    CHECK(valid == 128 + 1920 + (0x10000 - 0x800 - 0x800) + 0x100000 / 64, "%zu", valid);
}

TEST(text_escape_lets_nothing_pass_that_a_terminal_obeys) {
    static const struct {
        const char *in, *one_line, *lines;
    } rows[] = {
        {"plain \xc3\xa9 text", "plain \xc3\xa9 text", "plain \xc3\xa9 text"},
        {"a\nb\tc", "a\\x0ab\\x09c", "a\nb\tc"},
        {"\r\n", "\\x0d\\x0a", "\\x0d\n"},
        {"\x1b[31mred", "\\x1b[31mred", "\\x1b[31mred"},
        {"back\\x41", "back\\x5cx41", "back\\x5cx41"}, /* so that no text can look like an escape */
        {"\x7f", "\\x7f", "\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b"
         "31m",
         "\\xc2\\x9b"
         "31m"}, /* C1: CSI */
        {"\xe2\x80\xae"
         "gpj",
         "\\xe2\\x80\\xaegpj", "\\xe2\\x80\\xaegpj"},           /* right-to-left override */
        {"\xe2\x81\xa6", "\\xe2\\x81\\xa6", "\\xe2\\x81\\xa6"}, /* isolate */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8", "\\xe2\\x80\\xa8"}, /* line separator */
        {"\xff\xfe", "\\xff\\xfe", "\\xff\\xfe"},
        {"\xc3", "\\xc3", "\\xc3"},
        {"\xe0\xa0"
         "a",
         "\\xe0\\xa0"
         "a",
         "\\xe0\\xa0"
         "a"},
        {"", "", ""},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf out = {.max = 100}, lines = {.max = 100};
        CHECK(text_escape(&out, bytes_of(rows[i].in), false) && bytes_is(buf_view(&out), rows[i].one_line),
              "row %zu: %s", i, buf_cstr(&out));
        CHECK(text_escape(&lines, bytes_of(rows[i].in), true) && bytes_is(buf_view(&lines), rows[i].lines),
              "row %zu: %s", i, buf_cstr(&lines));
        struct buf less = {.max = out.n == 0 ? 0 : out.n - 1};
        CHECK(out.n == 0 || (!text_escape(&less, bytes_of(rows[i].in), false) && less.n == 0), "row %zu", i);
        buf_free(&out);
        buf_free(&lines);
        buf_free(&less);
    }
    struct buf out = {.max = 100};
    CHECK(text_escape(&out, BYTES("a\0b"), true) && bytes_is(buf_view(&out), "a\\x00b"));
    buf_free(&out);
}

TEST(text_escape_of_random_bytes_is_printable) {
    uint64_t state = test_seed();
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t in[32];
        for (size_t i = 0; i < sizeof(in); i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            in[i] = (uint8_t)(state >> 56);
        }
        struct buf out = {.max = 4 * sizeof(in)};
        CHECK(text_escape(&out, bytes_at(in, sizeof(in)), false) && utf8_valid(buf_view(&out)), "round %u",
              round);
        for (size_t i = 0; i < out.n; i++) CHECK(out.p[i] >= 0x20 && out.p[i] != 0x7f, "round %u", round);
        buf_free(&out);
    }
}

TEST(text_width_counts_columns) {
    CHECK(text_width(BYTES("")) == 0 && text_width(BYTES("abc")) == 3 && text_width(BYTES("\xc3\xa9")) == 1);
    CHECK(text_width(BYTES("\xe4\xb8\xad\xe6\x96\x87")) == 4); /* two ideographs */
    CHECK(text_width(BYTES("\xed\x95\x9c")) == 2 &&
          text_width(BYTES("\xf0\x9f\x98\x80")) == 2); /* Hangul, emoji */
    CHECK(text_width(BYTES("\xff\xff"
                           "a")) == 3 &&
          text_width(BYTES("\xef\xbd\xb1")) == 1); /* halfwidth kana */
}

TEST(text_fit_cuts_between_characters) { /* a, 2 ideographs, a rocket, z; broken bytes are one wide */
    struct bytes mixed = BYTES("a\xe4\xb8\xad\xe6\x96\x87\xf0\x9f\x9a\x80z");
    static const size_t fits[] = {0, 1, 1, 4, 4, 7, 7, 11, 12, 12};
    for (size_t i = 0; i < LEN(fits); i++) CHECK(text_fit(mixed, i) == fits[i], "%zu columns", i);
    for (size_t i = 0; i <= text_width(mixed); i++)
        CHECK(text_width(bytes_sub(mixed, 0, text_fit(mixed, i))) <= i);
    CHECK(text_fit(BYTES("\xff\xe4\xb8"), 2) == 2 && text_fit(BYTES(""), 9) == 0);
}

TEST(text_distance_knows_typos) {
    static const struct {
        const char *a, *b;
        size_t want;
    } rows[] = {
        {"", "", 0},
        {"abc", "", 3},
        {"", "abc", 3},
        {"abc", "abc", 0},
        {"abc", "abd", 1},
        {"abc", "abcd", 1},
        {"abc", "acb", 1},
        {"kitten", "sitting", 3},
        {"maxConnections", "maxConection", 2},
        {"listen", "silent", 4},
        {"ca", "abc", 3},
        {"peers", "peesr", 1},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        size_t d = text_distance(rows[i].a, rows[i].b);
        CHECK(d == rows[i].want && text_distance(rows[i].b, rows[i].a) == d, "%s %s: %zu", rows[i].a,
              rows[i].b, d);
    }
    char a[200], b[200];
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    a[199] = b[199] = '\0';
    CHECK(text_distance(a, b) == 64 && text_distance(a, "") == 64);
    a[100] = 'x';
    a[101] = '\0';
    b[64] = '\0';
    CHECK(text_distance(a, b) == 64);
}

TEST(words_of_a_program_line) {
    static const struct {
        const char *line, *want; /* | between words; NULL: refused */
    } rows[] = {
        {"", ""},
        {" \t ", ""},
        {"a", "a|"},
        {" a  b\tc ", "a|b|c|"},
        {"a 'b c' \"d 'e\"", "a|b c|d 'e|"},
        {"a''b\"c\"", "abc|"},
        {"a '' b", "a||b|"},
        {"a\\ b", "a\\|b|"},
        {"a 'b", NULL},
        {"\"", NULL},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf out = {.max = 100};
        size_t n = 0, bars = 0;
        bool good = text_words(bytes_of(rows[i].line), &out, &n);
        CHECK(good == (rows[i].want != NULL), "row %zu", i);
        for (size_t k = 0; k < out.n; k++) out.p[k] = out.p[k] == 0 ? '|' : out.p[k];
        for (const char *c = good ? rows[i].want : ""; *c != 0; c++) bars += *c == '|';
        CHECK(!good || (bytes_is(buf_view(&out), rows[i].want) && n == bars), "row %zu: %s", i,
              buf_cstr(&out));
        buf_free(&out);
    }
    struct buf small = {.max = 3};
    size_t n;
    CHECK(text_words(BYTES("a b"), &small, &n) == false && !text_words(BYTES("a\0b"), &small, &n));
    buf_free(&small);
}
