/* tests/base/buf_test.c: growing buffers */
#include "base/base.h"
#include "base/mem.h"
#include "tests/test.h"

TEST(buf_refuses_one_byte_too_many_and_stays_as_it_was) {
    struct buf b = {.max = 5};
    CHECK(buf_add_text(&b, "abc") && !buf_add_text(&b, "def") && b.n == 3);
    CHECK(buf_room(&b) == 2 && buf_add_text(&b, "de") && buf_room(&b) == 0 && !buf_add_byte(&b, 'f'));
    CHECK(buf_add(&b, (struct bytes){NULL, 0}) && buf_reserve(&b, 0) && !buf_reserve(&b, 1));
    CHECK(!buf_reserve(&b, SIZE_MAX) && buf_add_space(&b, 1) == NULL && buf_add_space(&b, 0) != NULL);
    CHECK(b.cap <= 5 && strcmp(buf_cstr(&b), "abcde") == 0 && b.n == 5); /* the NUL is no content */
    CHECK(!buf_add_byte(&b, 'f') && bytes_is(buf_view(&b), "abcde"));
    buf_free(&b);
    CHECK(b.max == 5 && b.p == NULL && buf_add_byte(&b, 'x'));
    buf_free(&b);
    struct buf none = {0};
    CHECK(!buf_add_byte(&none, 'a') && buf_add_text(&none, "") && none.p == NULL);
    buf_free(&none);
}

TEST(buf_grows_by_doubling) {
    struct buf b = {.max = 1 << 20};
    size_t moves = 0, cap = 0;
    for (size_t i = 0; i < 1 << 20; i++) {
        CHECK(buf_add_byte(&b, (uint8_t)(i * 7)), "byte %zu", i);
        moves += b.cap != cap;
        cap = b.cap;
    }
    CHECK(moves == 13 && b.cap == 1 << 20, "%zu moves", moves); /* 256 to 1 MiB */
    for (size_t i = 0; i < b.n; i++) CHECK(b.p[i] == (uint8_t)(i * 7), "byte %zu", i);
    CHECK(!buf_add_byte(&b, 0));
    buf_free(&b);
}

TEST(buf_drop_clear_shrink) {
    struct buf b = {.max = 1000};
    buf_add_text(&b, "abcdef");
    buf_drop(&b, 0);
    buf_drop(&b, 2);
    CHECK(bytes_is(buf_view(&b), "cdef"));
    buf_shrink(&b, 0);
    CHECK(b.cap > 0 && b.n == 4); /* not empty: kept */
    buf_drop(&b, 5);
    CHECK(b.n == 0);
    buf_shrink(&b, b.cap);
    CHECK(b.cap > 0);
    buf_shrink(&b, b.cap - 1);
    CHECK(b.cap == 0 && b.max == 1000 && mem_blocks() == 0);
    buf_drop(&b, 3);
    buf_clear(&b);
    buf_wipe(&b);
    CHECK(strcmp(buf_cstr(&b), "") == 0);
    buf_add_text(&b, "key");
    buf_wipe(&b);
    CHECK(b.p == NULL && mem_blocks() == 0);
}

TEST(buf_format_at_the_limit) {
    char want[2001];
    for (size_t n = 0; n <= 2000;
         n += n < 600 && n > 500 ? 1 : 50) { /* around the stack's 512 bytes, each one */
        struct buf b = {.max = n}, less = {.max = n == 0 ? 0 : n - 1};
        memset(want, 'x', n);
        want[n] = '\0';
        CHECK(buf_add_format(&b, "%s", want) && bytes_is(buf_view(&b), want), "%zu", n);
        CHECK(n == 0 || (!buf_add_format(&less, "%s", want) && less.n == 0), "%zu", n);
        buf_free(&b);
        buf_free(&less);
    }
}

TEST(buf_survives_every_failed_allocation) {
    struct buf b = {.max = 10000};
    mem_fail_after(0);
    CHECK(!buf_add_byte(&b, 1) && b.n == 0 && b.p == NULL);
    mem_fail_after(0);
    CHECK(strcmp(buf_cstr(&b), "") == 0);
    CHECK(buf_add_space(&b, 256) != NULL);
    mem_fail_after(0);
    CHECK(!buf_add_byte(&b, 1) && b.n == 256 && b.cap == 256);
    mem_fail_after(0);
    CHECK(strcmp(buf_cstr(&b), "") == 0 && b.n == 256);
    mem_fail_after(0);
    CHECK(!buf_add_format(&b, "%600d", 1) && b.n == 256);
    mem_fail_after(1); /* the text, not the buffer */
    CHECK(!buf_add_format(&b, "%600d", 1) && b.n == 256);
    mem_fail_after(-1);
    CHECK(buf_add_format(&b, "%600d", 1) && b.n == 856);
    buf_free(&b);
    CHECK(mem_blocks() == 0);
}

TEST(buf_lends_its_memory_and_gets_it_back) {
    struct buf b = {.max = 4096}, spare = {0};
    buf_borrow(&b, &spare);
    CHECK(b.p == NULL && b.cap == 0); /* there was nothing to lend */
    CHECK(buf_add_space(&b, 1000) != NULL);
    buf_return(&b, &spare, 4096);
    CHECK(b.n == 1000 && spare.p == NULL); /* in use */
    buf_clear(&b);
    buf_return(&b, &spare, 1023);
    CHECK(b.p == NULL && spare.p == NULL && mem_blocks() == 0); /* too much to be kept */

    CHECK(buf_add_space(&b, 1000) != NULL);
    const uint8_t *memory = b.p;
    buf_clear(&b);
    buf_return(&b, &spare, 1024);
    CHECK(b.p == NULL && b.cap == 0 && b.max == 4096 && spare.p == memory && spare.cap == 1024);

    struct buf narrow = {.max = 1023}, own = {.max = 4096};
    CHECK(buf_add_byte(&own, 1));
    buf_borrow(&own, &spare);
    CHECK(own.cap == 256 && spare.p == memory); /* has memory of its own */
    buf_borrow(&narrow, &spare);
    CHECK(narrow.p == memory && spare.p == NULL && buf_add_space(&narrow, 1023) == memory &&
          buf_add_space(&narrow, 1) == NULL); /* there is room, but not for this one */
    buf_clear(&narrow);
    buf_return(&narrow, &spare, 4096);
    CHECK(narrow.p == NULL && narrow.max == 1023 && spare.p == memory);
    buf_clear(&own);
    buf_return(&own, &spare, 4096);
    CHECK(own.p == NULL && spare.p == memory && mem_blocks() == 1); /* the smaller one went */

    buf_borrow(&b, &spare);
    CHECK(b.p == memory && b.cap == 1024 && b.n == 0 && spare.p == NULL);
    mem_fail_after(0);
    CHECK(buf_add_space(&b, 1024) != NULL); /* asks for no memory */
    mem_fail_after(-1);
    buf_free(&b);
    CHECK(mem_blocks() == 0);
}
