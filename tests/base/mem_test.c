/* tests/base/mem_test.c: the heap and its ordered failures */
#include "base/mem.h"
#include "tests/test.h"

TEST(mem_counts_blocks_and_zeroes_them) {
    size_t before = mem_blocks();
    uint8_t *p = mem_new(100, 10), *q = mem_resize(NULL, 5);
    CHECK(p != NULL && q != NULL && mem_blocks() == before + 2);
    for (size_t i = 0; i < 1000; i++) CHECK(p[i] == 0, "byte %zu", i);
    memset(p, 7, 1000);
    p = mem_resize(p, 100000);
    CHECK(p != NULL && p[999] == 7 && mem_blocks() == before + 2);
    mem_wipe(p, 1000);
    CHECK(p[0] == 0 && p[999] == 0);
    mem_wipe(NULL, 0);
    mem_free(p);
    mem_free(q);
    mem_free(NULL);
    void *none = mem_new(0, 8);
    CHECK(none != NULL);
    mem_free(none);
    CHECK(mem_blocks() == before);
}

TEST(mem_refuses_sizes_that_overflow) {
    size_t before = mem_blocks();
    volatile size_t most = SIZE_MAX; /* volatile: the compiler need not warn of what is wanted here */
    CHECK(mem_new(most, 2) == NULL && mem_new(most / 2 + 1, 2) == NULL && mem_new(1, most) == NULL);
    CHECK(mem_resize(NULL, most) == NULL && mem_text("x", most) == NULL && mem_blocks() == before);
}

TEST(mem_fails_when_told_and_once) {
    mem_fail_after(2);
    void *a = mem_new(1, 1), *b = mem_resize(NULL, 1), *c = mem_new(1, 1), *d = mem_new(1, 1);
    CHECK(a != NULL && b != NULL && c == NULL && d != NULL);
    mem_fail_after(0);
    void *same = mem_resize(a, 100);
    CHECK(same == NULL); /* a stays */
    mem_fail_after(0);
    CHECK(mem_text("abc", 3) == NULL);
    mem_fail_after(0);
    mem_fail_after(-1);
    char *text = mem_text("abc", 2), *empty = mem_text(NULL, 0);
    CHECK(text != NULL && strcmp(text, "ab") == 0 && empty != NULL && *empty == '\0');
    mem_free(a);
    mem_free(b);
    mem_free(d);
    mem_free(text);
    mem_free(empty);
}
