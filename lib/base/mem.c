/* lib/base/mem.c: the heap. The counters are relaxed atomics since a worker thread may allocate too; ordering
 * a failure is for single-threaded tests. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t blocks;
static long fail_after = -1;

static bool must_fail(void) {
    return __builtin_expect(fail_after >= 0, 0) && fail_after-- == 0;
}

void *mem_new(size_t count, size_t size) {
    size_t n;
    if (must_fail() || __builtin_mul_overflow(count, size, &n) || n > PTRDIFF_MAX) return NULL;
    void *p = calloc(n == 0 ? 1 : n, 1);
    if (p != NULL) atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return p;
}

void *mem_resize(void *p, size_t n) {
    if (must_fail() || n > PTRDIFF_MAX) return NULL;
    void *moved = realloc(p, n == 0 ? 1 : n); /* realloc(p, 0) may free p and say NULL: never ask that */
    if (moved != NULL && p == NULL) atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);
    return moved;
}

void mem_free(void *p) {
    if (p == NULL) return;
    atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
    free(p);
}

void mem_wipe(void *p, size_t n) {
    if (n > 0) explicit_bzero(p, n);
}

char *mem_text(const void *p, size_t n) {
    if (n == SIZE_MAX) return NULL;
    char *text = mem_new(n + 1, 1);
    if (text != NULL && n > 0) memcpy(text, p, n);
    return text;
}

size_t mem_blocks(void) {
    return atomic_load_explicit(&blocks, memory_order_relaxed);
}

void mem_fail_after(long after) {
    fail_after = after < 0 ? -1 : after;
}
