/* lib/base/buf.c: owned bytes. Memory doubles from BUF_FIRST up, so that appending is linear over all. */
#include "base/base.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { BUF_FIRST = 256, FORMAT_STACK = 512 };

void buf_free(struct buf *b) {
    mem_free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_wipe(struct buf *b) {
    if (b->p != NULL) mem_wipe(b->p, b->cap);
    buf_free(b);
}

static bool grow(struct buf *b, size_t n) {
    size_t need = b->n + n; /* no overflow: n <= max - b->n */
    size_t cap = MAX(b->cap, (size_t)BUF_FIRST);
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    cap = MIN(cap, b->max);
    uint8_t *p = mem_resize(b->p, cap);
    if (p == NULL) return false;
    b->p = p;
    b->cap = cap;
    return true;
}

bool buf_reserve(struct buf *b, size_t n) {
    if (n > buf_room(b)) return false;
    return n <= b->cap - b->n || grow(b, n);
}

bool buf_add(struct buf *b, struct bytes a) {
    if (a.n == 0) return true;
    if (!buf_reserve(b, a.n)) return false;
    memcpy(b->p + b->n, a.p, a.n);
    b->n += a.n;
    return true;
}

bool buf_add_byte(struct buf *b, uint8_t byte) {
    if (!buf_reserve(b, 1)) return false;
    b->p[b->n++] = byte;
    return true;
}

bool buf_add_text(struct buf *b, const char *text) {
    return buf_add(b, bytes_of(text));
}

/* vsnprintf wants room for a NUL that the buffer may not have: short texts go over the stack, long ones over
 * a block of their own. */
bool buf_add_format(struct buf *b, const char *format, ...) {
    char stack[FORMAT_STACK];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(stack, sizeof(stack), format, args);
    va_end(args);
    if (len < 0) return false;
    size_t n = (size_t)len;
    if (n < sizeof(stack)) return buf_add(b, bytes_at(stack, n));
    if (n > buf_room(b)) return false;
    char *text = mem_new(n + 1, 1);
    if (text == NULL) return false;
    va_start(args, format);
    len = vsnprintf(text, n + 1, format, args);
    va_end(args);
    bool done = len >= 0 && (size_t)len == n && buf_add(b, bytes_at(text, n));
    mem_free(text);
    return done;
}

uint8_t *buf_add_space(struct buf *b, size_t n) {
    static uint8_t nothing;
    if (!buf_reserve(b, n)) return NULL;
    uint8_t *p = b->p == NULL ? &nothing : b->p + b->n; /* n is 0 then: not NULL, which means refused */
    b->n += n;
    return p;
}

void buf_drop(struct buf *b, size_t n) {
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    if (n == 0) return;
    b->n -= n;
    memmove(b->p, b->p + n, b->n);
}

void buf_clear(struct buf *b) {
    b->n = 0;
}

void buf_shrink(struct buf *b, size_t keep) {
    if (b->n == 0 && b->cap > keep) buf_free(b);
}

void buf_borrow(struct buf *b, struct buf *spare) {
    if (b->p != NULL) return;
    b->p = spare->p;
    b->cap = spare->cap;
    *spare = (struct buf){.max = spare->max};
}

void buf_return(struct buf *b, struct buf *spare, size_t keep) {
    if (b->n > 0) return;
    if (b->cap > spare->cap && b->cap <= keep) {
        buf_free(spare);
        spare->p = b->p;
        spare->cap = b->cap;
        b->p = NULL;
        b->cap = 0;
    }
    buf_free(b);
}

/* The NUL may go one byte over `max`: it is not content, and a full buffer must be printable too. */
const char *buf_cstr(struct buf *b) {
    if (b->n == b->cap) {
        uint8_t *p = mem_resize(b->p, b->n + 1);
        if (p == NULL) return "";
        b->p = p;
        b->cap = b->n + 1;
    }
    b->p[b->n] = 0;
    return (const char *)b->p;
}
