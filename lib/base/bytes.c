/* lib/base/bytes.c: borrowed views. One of no bytes may have a NULL pointer: it never reaches a mem* call. */
#include "base/base.h"

bool bytes_is(struct bytes a, const char *text) {
    return bytes_eq(a, bytes_of(text));
}

bool bytes_starts(struct bytes a, const char *prefix) {
    struct bytes b = bytes_of(prefix);
    return a.n >= b.n && bytes_eq(bytes_sub(a, 0, b.n), b);
}

bool bytes_ends(struct bytes a, const char *suffix) {
    struct bytes b = bytes_of(suffix);
    return a.n >= b.n && bytes_eq(bytes_skip(a, a.n - b.n), b);
}

int bytes_compare(struct bytes a, struct bytes b) {
    size_t n = MIN(a.n, b.n);
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

struct bytes bytes_skip(struct bytes a, size_t n) {
    n = MIN(n, a.n);
    return n == 0 ? a : bytes_at(a.p + n, a.n - n);
}

struct bytes bytes_sub(struct bytes a, size_t from, size_t n) {
    struct bytes rest = bytes_skip(a, from);
    rest.n = MIN(rest.n, n);
    return rest;
}

struct bytes bytes_take(struct bytes *a, size_t n) {
    struct bytes front = bytes_sub(*a, 0, n);
    *a = bytes_skip(*a, n);
    return front;
}

size_t bytes_find(const struct bytes *list, size_t n, struct bytes what) {
    size_t i = 0;
    while (i < n && !bytes_eq(list[i], what)) i++;
    return i;
}

size_t bytes_index(struct bytes a, uint8_t byte) {
    const uint8_t *at = a.n == 0 ? NULL : memchr(a.p, byte, a.n);
    return at == NULL ? a.n : (size_t)(at - a.p);
}

bool bytes_has(struct bytes a, struct bytes what) {
    if (what.n == 0) return true;
    return a.n >= what.n && memmem(a.p, a.n, what.p, what.n) != NULL;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct bytes bytes_trim(struct bytes a) {
    size_t from = 0;
    while (from < a.n && is_blank(a.p[from])) from++;
    while (a.n > from && is_blank(a.p[a.n - 1])) a.n--;
    return bytes_skip(a, from);
}

bool bytes_split(struct bytes *a, uint8_t separator, struct bytes *part) {
    if (a->n == 0) return false;
    *part = bytes_take(a, bytes_index(*a, separator));
    *a = bytes_skip(*a, 1);
    return true;
}

bool bytes_to_u64(struct bytes decimal, uint64_t max, uint64_t *out) {
    if (decimal.n == 0 || decimal.n > 20) return false;
    uint64_t v = 0;
    for (size_t i = 0; i < decimal.n; i++) {
        unsigned digit = (unsigned)decimal.p[i] - '0';
        if (digit > 9) return false;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, digit, &v)) return false;
    }
    if (v > max) return false;
    *out = v;
    return true;
}

bool bytes_cstr(struct bytes a, char *out, size_t size) {
    if (size == 0) return false;
    size_t n = MIN(a.n, size - 1);
    if (n > 0) memcpy(out, a.p, n);
    out[n] = '\0';
    return n == a.n && bytes_index(a, 0) == a.n;
}
