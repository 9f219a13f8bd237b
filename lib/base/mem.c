/* lib/base/mem.c: the heap. The counters are relaxed atomics since a worker thread may allocate too; ordering
 * a failure is for single-threaded tests.
 *
 * A thread that called mem_keep has back what it freed: musl's heap gives a group of blocks back to the
 * kernel as soon as all of them are free, and has one lock for all threads, which a message would meet some
 * thirty times. Before each block lies its class, since whose it was is asked when it is freed. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#define PLAIN_HEAP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIN_HEAP 1
#endif
#endif

#define MEM_BLOCK_MAX ((size_t)PTRDIFF_MAX - 64) /* with its head, and rounded up */

static atomic_size_t blocks; /* of threads that keep nothing; below zero when they free what others made */
static long fail_after = -1;

static bool must_fail(void) {
    return __builtin_expect(fail_after >= 0, 0) && fail_after-- == 0;
}

#ifdef PLAIN_HEAP /* a sanitizer wants to see each block for itself */

static void *block_new(size_t n) {
    return calloc(n, 1);
}

static void *block_resize(void *p, size_t n) {
    return realloc(p, n);
}

static void block_free(void *p) {
    free(p);
}

static void note_blocks(size_t change) {
    atomic_fetch_add_explicit(&blocks, change, memory_order_relaxed);
}

size_t mem_blocks(void) {
    return atomic_load_explicit(&blocks, memory_order_relaxed);
}

bool mem_keep(bool on) {
    return on;
}

size_t mem_kept(void) {
    return 0;
}

#else

/* Classes: sizes of 16, 32... 128, then four to each doubling: 160, 192, 224, 256, 320... 2048. 0: larger. */
enum {
    SMALL_MAX = 128,
    SMALL_CLASSES = SMALL_MAX / 16,
    CLASSES = 1 + SMALL_CLASSES + 16,
    CLASS_SIZE_MAX = 2048
};
enum { KEPT_OF_CLASS = 1024, KEEPERS_MAX = 8 }; /* blocks; threads */
#define MARK_USED                                                                                            \
    UINT64_C(0x75bcd15a3ade68b1) /* else the block was freed before, or somebody wrote over it */
#define MARK_FREE UINT64_C(0x2a69f3c5841db097)

struct head {
    _Alignas(16) uint64_t mark;
    uint64_t class;
};
/* Blocks made less freed by a keeper, which alone writes it: each has a line of the cache to itself. */
static struct counter {
    _Alignas(64) atomic_size_t blocks;
    atomic_flag taken;
} counters[KEEPERS_MAX];
struct kept {
    struct counter *counter;
    size_t bytes, n[CLASSES];
    struct head *of[CLASSES][KEPT_OF_CLASS];
};
static _Thread_local struct kept *kept;

/* A locked addition would wait until all that was just written to a new block has left the processor. */
static void note_blocks(size_t change) {
    if (kept == NULL) {
        atomic_fetch_add_explicit(&blocks, change, memory_order_relaxed);
        return;
    }
    atomic_size_t *mine = &kept->counter->blocks;
    atomic_store_explicit(mine, atomic_load_explicit(mine, memory_order_relaxed) + change,
                          memory_order_relaxed);
}

size_t mem_blocks(void) {
    size_t n = atomic_load_explicit(&blocks, memory_order_relaxed);
    for (size_t i = 0; i < KEEPERS_MAX; i++)
        n += atomic_load_explicit(&counters[i].blocks, memory_order_relaxed);
    return n;
}

static size_t class_of(size_t n) {
    if (n <= SMALL_MAX) return n == 0 ? 1 : (n + 15) / 16;
    if (n > CLASS_SIZE_MAX) return 0;
    unsigned power = 63u - (unsigned)__builtin_clzll(n - 1);
    return 1 + SMALL_CLASSES + (power - 7) * 4 + ((n - 1) >> (power - 2) & 3);
}

static size_t class_size(size_t class) {
    if (class <= SMALL_CLASSES) return class * 16;
    size_t at = class - 1 - SMALL_CLASSES;
    return (5 + at % 4) << (at / 4 + 5);
}

static struct head *head_of(void *p) {
    struct head *h = (struct head *)p - 1;
    if (h->mark != MARK_USED || h->class >= CLASSES) abort();
    return h;
}

static void *use(struct head *h, size_t class) {
    if (h == NULL) return NULL;
    *h = (struct head){MARK_USED, class};
    return h + 1;
}

static struct head *take_kept(size_t class) {
    if (kept == NULL || class == 0 || kept->n[class] == 0) return NULL;
    struct head *h = kept->of[class][--kept->n[class]];
    if (h->mark != MARK_FREE || h->class != class) abort();
    kept->bytes -= class_size(class);
    return h;
}

static void *block_new(size_t n) {
    size_t class = class_of(n);
    struct head *h = take_kept(class);
    if (h != NULL) return memset(use(h, class), 0, n);
    return use(calloc(1, sizeof *h + (class == 0 ? n : class_size(class))), class);
}

static void block_free(void *p) {
    struct head *h = head_of(p);
    size_t class = h->class;
    h->mark = MARK_FREE;
    if (kept == NULL || class == 0 || kept->n[class] == KEPT_OF_CLASS ||
        kept->bytes + class_size(class) > MEM_KEPT_MAX) {
        free(h);
        return;
    }
    kept->of[class][kept->n[class]++] = h;
    kept->bytes += class_size(class);
}

static void *block_resize(void *p, size_t n) {
    size_t class = class_of(n);
    if (p == NULL) {
        struct head *h = take_kept(class);
        return use(h != NULL ? h : malloc(sizeof *h + (class == 0 ? n : class_size(class))), class);
    }
    struct head *h = head_of(p);
    size_t was = h->class;
    if (was == class && class != 0) return p;
    if (was == 0 && class == 0) return use(realloc(h, sizeof *h + n), 0);
    void *to = block_resize(NULL, n);
    if (to == NULL) return NULL;
    memcpy(to, p, was == 0 || n < class_size(was) ? n : class_size(was));
    block_free(p);
    return to;
}

static bool begin_keeping(void) {
    size_t i = 0;
    while (i < KEEPERS_MAX && atomic_flag_test_and_set(&counters[i].taken)) i++;
    if (i == KEEPERS_MAX) return false;
    kept = calloc(1, sizeof *kept);
    if (kept != NULL)
        kept->counter = &counters[i];
    else
        atomic_flag_clear(&counters[i].taken);
    return kept != NULL;
}

bool mem_keep(bool on) {
    if (on) return kept != NULL || begin_keeping();
    if (kept == NULL) return false;
    for (size_t class = 1; class < CLASSES; class ++)
        while (kept->n[class] > 0) free(kept->of[class][--kept->n[class]]);
    struct counter *c = kept->counter;
    free(kept);
    kept = NULL;
    note_blocks(atomic_exchange(&c->blocks, 0));
    atomic_flag_clear(&c->taken);
    return false;
}

size_t mem_kept(void) {
    return kept == NULL ? 0 : kept->bytes;
}

#endif

void *mem_new(size_t count, size_t size) {
    size_t n;
    if (must_fail() || __builtin_mul_overflow(count, size, &n) || n > MEM_BLOCK_MAX) return NULL;
    void *p = block_new(n == 0 ? 1 : n);
    if (p != NULL) note_blocks(1);
    return p;
}

void *mem_resize(void *p, size_t n) {
    if (must_fail() || n > MEM_BLOCK_MAX) return NULL;
    void *moved = block_resize(p, n == 0 ? 1 : n); /* realloc(p, 0) may free p and say NULL: never ask that */
    if (moved != NULL && p == NULL) note_blocks(1);
    return moved;
}

void mem_free(void *p) {
    if (p == NULL) return;
    note_blocks(SIZE_MAX); /* one less */
    block_free(p);
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

void mem_fail_after(long after) {
    fail_after = after < 0 ? -1 : after;
}
