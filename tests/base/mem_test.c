/* tests/base/mem_test.c: the heap and its ordered failures */
#include "base/mem.h"

#include "base/base.h"

#include <pthread.h>
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

/* Sizes about each border of a class, and above all of them. */
static const size_t sizes[] = {1,   15,  16,  17,  127, 128,  129,  159,  160,  161,  255,  256,
                               257, 320, 321, 639, 640, 1792, 1793, 2047, 2048, 2049, 5000, 70000};

static void fill_all(uint8_t *p[LEN(sizes)]) {
    for (size_t i = 0; i < LEN(sizes); i++) {
        p[i] = mem_new(1, sizes[i]);
        CHECK(p[i] != NULL && (uintptr_t)p[i] % 16 == 0, "%zu", sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++) CHECK(p[i][k] == 0, "byte %zu of %zu", k, sizes[i]);
        memset(p[i], (int)(i + 1), sizes[i]);
    }
}

TEST(mem_kept_blocks_come_back_as_new_ones) {
    uint8_t *p[LEN(sizes)], *q[LEN(sizes)];
    size_t before = mem_blocks();
    mem_keep(true);
    for (int round = 0; round < 3; round++) {
        fill_all(p);
        fill_all(q);
        for (size_t i = 0; i < LEN(sizes); i++)
            for (size_t k = 0; k < sizes[i]; k++)
                CHECK(p[i][k] == i + 1 && q[i][k] == i + 1, "%zu", sizes[i]);
        CHECK(mem_blocks() == before + 2 * LEN(sizes));
        for (size_t i = 0; i < LEN(sizes); i++) {
            mem_free(p[i]);
            mem_free(q[i]);
        }
    }
    fill_all(p);
    mem_keep(false);
    CHECK(mem_kept() == 0);
    for (size_t i = 0; i < LEN(sizes); i++) mem_free(p[i]); /* also what was made while they were kept */
    CHECK(mem_kept() == 0 && mem_blocks() == before);
}

TEST(mem_resize_carries_the_bytes_between_all_sizes) {
    for (int keep = 0; keep < 2; keep++) {
        mem_keep(keep == 1);
        for (size_t from = 0; from < LEN(sizes); from++)
            for (size_t to = 0; to < LEN(sizes); to++) {
                uint8_t *p = mem_resize(NULL, sizes[from]);
                CHECK(p != NULL);
                memset(p, 0x5a, sizes[from]);
                p = mem_resize(p, sizes[to]);
                CHECK(p != NULL);
                for (size_t k = 0; k < sizes[from] && k < sizes[to]; k++)
                    CHECK(p[k] == 0x5a, "%zu to %zu: byte %zu", sizes[from], sizes[to], k);
                memset(p, 0xa5, sizes[to]);
                mem_free(p);
            }
    }
    mem_keep(false);
}

TEST(mem_keeps_no_more_than_it_says) {
    enum { BLOCKS = 4000, BYTES = 900 };
    static void *p[BLOCKS];
    size_t before = mem_blocks();
    bool kept = mem_keep(true);
    for (size_t i = 0; i < BLOCKS; i++) CHECK((p[i] = mem_new(1, BYTES)) != NULL);
    for (size_t i = 0; i < BLOCKS; i++) mem_free(p[i]);
    CHECK(mem_kept() <= MEM_KEPT_MAX);
    for (size_t n = 16; n <= 2048; n += 16) {
        for (size_t i = 0; i < BLOCKS; i++) CHECK((p[i] = mem_new(1, n)) != NULL);
        for (size_t i = 0; i < BLOCKS; i++) mem_free(p[i]);
        CHECK(mem_kept() <= MEM_KEPT_MAX, "%zu bytes", n);
    }
    CHECK(kept && mem_blocks() == before);
    mem_keep(false);
    CHECK(mem_kept() == 0);
}

/* Another thread frees what this one made, and the other way round; both keep. */
static void *swap_work(void *arg) {
    void **block = arg;
    mem_keep(true);
    mem_free(*block);
    *block = mem_new(1, 77);
    void *more = mem_new(3, 33);
    mem_free(mem_new(2, 22));
    mem_free(more);
    mem_keep(false);
    return NULL;
}

TEST(mem_counts_blocks_that_change_threads) {
    size_t before = mem_blocks();
    for (int i = 0; i < 20; i++) { /* more than may keep at a time: they end */
        pthread_t thread;
        mem_keep(i % 2 == 0);
        void *block = mem_new(1, 99);
        CHECK(block != NULL && pthread_create(&thread, NULL, swap_work, &block) == 0);
        CHECK(pthread_join(thread, NULL) == 0 && block != NULL && mem_blocks() == before + 1);
        mem_free(block);
        CHECK(mem_blocks() == before);
    }
    mem_keep(false);
    CHECK(mem_blocks() == before && mem_kept() == 0);
}
