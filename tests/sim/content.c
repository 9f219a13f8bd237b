#include "tests/sim/content.h"

#include <stdlib.h>

void *content_must(void *p) {
    if (p == NULL) abort();
    return p;
}

static void forget_before(struct content *c) {
    for (size_t i = 0; i < c->n_before; i++) {
        free(c->before[i]);
        c->before[i] = NULL;
    }
}

void content_free(struct content *c) {
    forget_before(c);
    free(c->before);
    free(c->p);
    memset(c, 0, sizeof *c);
}

static void grow(struct content *c, size_t n) {
    if (n > c->cap) {
        size_t cap = MAX(n + n / 2, (size_t)4 * DISK_PAGE);
        c->p = content_must(realloc(c->p, cap));
        memset(c->p + c->cap, 0, cap - c->cap);
        c->cap = cap;
    }
    size_t pages = (n + DISK_PAGE - 1) / DISK_PAGE;
    if (pages <= c->n_before) return;
    pages += pages / 2;
    c->before = content_must(realloc(c->before, pages * sizeof *c->before));
    memset(c->before + c->n_before, 0, (pages - c->n_before) * sizeof *c->before);
    c->n_before = pages;
}

/* What lay there at the last sync, if it is written over the first time since. */
static void keep_before(struct content *c, size_t from, size_t to) {
    for (size_t page = from / DISK_PAGE; page * DISK_PAGE < to && page * DISK_PAGE < c->synced_n; page++) {
        if (c->before[page] != NULL) continue;
        c->before[page] = content_must(calloc(1, DISK_PAGE));
        memcpy(c->before[page], c->p + page * DISK_PAGE, MIN((size_t)DISK_PAGE, c->cap - page * DISK_PAGE));
    }
}

void content_put(struct content *c, const void *data, size_t n, size_t at) {
    grow(c, at + n);
    keep_before(c, at, at + n);
    if (n > 0) memcpy(c->p + at, data, n);
    c->n = MAX(c->n, at + n);
}

void content_cut(struct content *c, size_t size) {
    if (size >= c->n) return;
    keep_before(c, size, c->n);
    memset(c->p + size, 0, c->n - size);
    c->n = size;
}

void content_sync(struct content *c) {
    forget_before(c);
    c->synced_n = c->n;
}

void content_lose(struct content *c, bool some, struct rng *rng) {
    size_t end = c->synced_n; /* the size that survives */
    for (size_t at = 0; at < MAX(c->n, c->synced_n); at += DISK_SECTOR) {
        size_t n = MIN((size_t)DISK_SECTOR, c->cap - at);
        const uint8_t *before = at < c->synced_n ? c->before[at / DISK_PAGE] : NULL;
        bool changed = before != NULL || at + n > c->synced_n;
        if (!changed) continue;
        if (some && at < c->n && rng_below(rng, 2) == 0) {
            end = MAX(end, MIN(at + n, c->n));
        } else if (before != NULL) {
            memcpy(c->p + at, before + at % DISK_PAGE, n);
        } else if (at >= c->synced_n) {
            memset(c->p + at, 0, n);
        } else {
            memset(c->p + c->synced_n, 0, at + n - c->synced_n);
        }
    }
    if (c->cap > end) memset(c->p + end, 0, c->cap - end);
    c->n = end;
    content_sync(c);
}
