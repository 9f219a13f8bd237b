/* tests/base/copy_test.c: the copies and the comparison that the executable is linked with, against loops
 * that are too simple to be wrong. Called through pointers: the compiler has its own for known sizes. */
#include "tests/test.h"

static void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static int (*volatile compare)(const void *, const void *, size_t) = memcmp;

enum { AREA = 3000, NEAR = 300, SHIFT = 130 };
static const size_t far[] = {511, 512, 513, 1023, 1024, 1025, 1100, 2047, 2600};

static void fill(uint8_t *p) {
    for (size_t i = 0; i < AREA; i++) p[i] = (uint8_t)(i * 7 + i / 256 + 1);
}

static size_t next_size(size_t n) {
    if (n < NEAR) return n + 1;
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++)
        if (far[i] > n) return far[i];
    return SIZE_MAX;
}

/* All of `got` as a byte by byte copy between its places would have left it. */
static void check_area(const uint8_t *got, size_t to, size_t from, size_t n) {
    static uint8_t before[AREA];
    fill(before);
    for (size_t i = 0; i < AREA; i++) {
        uint8_t want = i >= to && i < to + n ? before[from + i - to] : before[i];
        CHECK(got[i] == want, "byte %zu of %zu from %zu to %zu", i, n, from, to);
    }
}

TEST(copies_are_exact_and_touch_nothing_else) {
    static uint8_t from[AREA], to[AREA];
    fill(from);
    for (size_t n = 0; n != SIZE_MAX; n = next_size(n))
        for (size_t a = 0; a < 17; a += n < 70 ? 1 : 5)
            for (size_t b = 0; b < 17; b += n < 70 ? 3 : 8) {
                fill(to);
                CHECK(copy(to + a, from + b, n) == to + a);
                check_area(to, a, b, n);
            }
}

TEST(moves_within_one_area_are_exact) {
    static uint8_t area[AREA];
    for (size_t n = 0; n != SIZE_MAX; n = next_size(n))
        for (size_t shift = 0; shift <= SHIFT; shift += shift < 40 ? 1 : 15) {
            fill(area);
            CHECK(move(area + 3 + shift, area + 3, n) == area + 3 + shift);
            check_area(area, 3 + shift, 3, n);
            fill(area);
            CHECK(move(area + 3, area + 3 + shift, n) == area + 3);
            check_area(area, 3, 3 + shift, n);
        }
}

TEST(comparison_finds_the_first_byte_that_differs) {
    static uint8_t a[AREA], b[AREA];
    fill(a);
    for (size_t n = 1; n <= 70; n++)
        for (size_t at = 0; at < n; at++) {
            fill(b);
            CHECK(compare(a + 1, b + 1, n) == 0);
            b[1 + at] = (uint8_t)(a[1 + at] ^ 0x80);
            for (size_t i = at + 1; i < n; i++) b[1 + i] = (uint8_t)~a[1 + i]; /* has no say */
            bool less = a[1 + at] < b[1 + at];
            CHECK((compare(a + 1, b + 1, n) < 0) == less && (compare(b + 1, a + 1, n) < 0) != less,
                  "%zu of %zu", at, n);
            CHECK(compare(a + 1, b + 1, at) == 0, "%zu", at);
        }
}
