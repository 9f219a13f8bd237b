/* tests/base/diff_test.c: differences as diff -u prints them; random texts come back by applying them */
#include "base/diff.h"

#include "base/mem.h"
#include "crypto/rng.h"
#include "tests/test.h"

static const struct {
    const char *a, *b, *want;
} rows[] = {
    {"", "", ""},
    {"a\n", "a\n", ""},
    {"", "a\n", "--- x\n+++ y\n@@ -0,0 +1,1 @@\n+a\n"},
    {"a\n", "", "--- x\n+++ y\n@@ -1,1 +0,0 @@\n-a\n"},
    {"a\n", "a", "--- x\n+++ y\n@@ -1,1 +1,1 @@\n-a\n+a\n\\ No newline at end of file\n"},
    {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nX\n6\n7\n8\n9\n",
     "--- x\n+++ y\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+X\n 6\n 7\n 8\n"},
    {"1\n2\n3\n4\n5\n6\n7\n8\n", "1\n0\n2\n3\n4\n5\n6\n7\n",
     "--- x\n+++ y\n@@ -1,8 +1,8 @@\n 1\n+0\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n"},
    {"1\n2\n3\n4\n5\n6\n7\n8\n9\n0\n", "X\n2\n3\n4\n5\n6\n7\n8\nY\n0\n",
     "--- x\n+++ y\n@@ -1,4 +1,4 @@\n-1\n+X\n 2\n 3\n 4\n@@ -6,5 +6,5 @@\n 6\n 7\n 8\n-9\n+Y\n 0\n"},
};

TEST(differences_read_as_those_of_diff) {
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf out = {.max = 1000};
        CHECK(diff_unified(bytes_of(rows[i].a), "x", bytes_of(rows[i].b), "y", &out), "row %zu", i);
        CHECK(bytes_is(buf_view(&out), rows[i].want), "row %zu: %s", i, buf_cstr(&out));
        buf_free(&out);
    }
}

static struct bytes next_line(struct bytes *text) {
    return bytes_take(text, MIN(bytes_index(*text, '\n') + 1, text->n));
}

/* As patch does it: what the hunks keep and add, between what they leave out. */
static void apply(struct bytes a, struct bytes diff, struct buf *out) {
    size_t line = 1, from = 0;
    next_line(&diff);
    next_line(&diff);
    while (diff.n > 0) {
        struct bytes step = next_line(&diff), text = bytes_skip(step, 1);
        if (bytes_starts(step, "@@")) {
            unsigned at = 0, n = 0;
            CHECK(sscanf((const char *)step.p, "@@ -%u,%u ", &at, &n) == 2);
            for (from = at + (n == 0); line < from; line++) CHECK(buf_add(out, next_line(&a)));
            continue;
        }
        if (step.p[0] == '\\') {
            out->n -= out->n > 0 && out->p[out->n - 1] == '\n';
            continue;
        }
        if (step.p[0] != '+') {
            struct bytes old = next_line(&a);
            CHECK(bytes_starts(text, "") && memcmp(old.p, text.p, MIN(old.n, text.n)) == 0);
            line++;
        }
        if (step.p[0] != '-') CHECK(buf_add(out, text));
    }
    CHECK(buf_add(out, a));
}

static void random_text(struct rng *rng, struct buf *out) {
    for (uint64_t n = rng_below(rng, 30); n > 0; n--)
        CHECK(buf_add_format(out, "%c%s", (char)('a' + rng_below(rng, 4)),
                             n == 1 && rng_below(rng, 2) ? "" : "\n"));
}

TEST(a_difference_leads_from_one_text_to_the_other) {
    struct rng rng = rng_seeded(test_seed());
    for (int i = 0; i < 3000; i++) {
        struct buf a = {.max = 1000}, b = {.max = 1000}, diff = {.max = 10000}, back = {.max = 2000};
        random_text(&rng, &a);
        random_text(&rng, &b);
        CHECK(diff_unified(buf_view(&a), "a", buf_view(&b), "b", &diff));
        /* a line without its end stands last in a text, so the marker can not hide a difference here */
        bool last = bytes_ends(buf_view(&a), "\n") || a.n == 0;
        if (diff.n > 0 && last) {
            CHECK(buf_cstr(&diff)[0] == '-'); /* ends in NUL now, for sscanf */
            apply(buf_view(&a), buf_view(&diff), &back);
            CHECK(bytes_eq(buf_view(&back), buf_view(&b)), "%s\nto\n%s\n%s", buf_cstr(&a), buf_cstr(&b),
                  buf_cstr(&diff));
        }
        CHECK((diff.n == 0) == bytes_eq(buf_view(&a), buf_view(&b)));
        buf_free(&a);
        buf_free(&b);
        buf_free(&diff);
        buf_free(&back);
    }
}

TEST(too_many_lines_count_as_replaced_and_no_memory_is_said) {
    struct buf a = {.max = 100000}, b = {.max = 100000}, out = {.max = 1000000};
    for (int i = 0; i < DIFF_LINES_MAX + 3; i++)
        CHECK(buf_add_format(&a, "a%d\nsame\n", i) && buf_add_format(&b, "b%d\nsame\n", i));
    CHECK(diff_unified(buf_view(&a), "a", buf_view(&b), "b", &out) &&
          bytes_has(buf_view(&out), BYTES("-same\n")));
    size_t blocks = mem_blocks();
    for (int i = 0; i < 4; i++) {
        struct buf small = {.max = 1000};
        mem_fail_after(i);
        bool good = diff_unified(BYTES("a\nb\n"), "a", BYTES("b\nc\n"), "b", &small);
        mem_fail_after(-1);
        CHECK(!good, "%d", i);
        buf_free(&small);
    }
    struct buf tiny = {.max = 20};
    CHECK(!diff_unified(BYTES("a\nb\n"), "a", BYTES("b\nc\n"), "b", &tiny));
    buf_free(&tiny);
    CHECK(mem_blocks() == blocks);
    buf_free(&a);
    buf_free(&b);
    buf_free(&out);
}
