/* lib/base/copy.c: memcpy, memmove and memcmp of the executable, for all that is linked into it. musl's on
 * x86-64 are a `rep movs` for each copy, backwards where areas overlap, and a compare byte by byte: most of
 * a database's copies are a few dozen bytes, for which to begin a `rep movs` costs more than the copy.
 * Elsewhere the C library's are good, and a sanitizer wants to see its own. */
#include <stddef.h>
#include <stdint.h>

#include <string.h> /* says whose C library this is */

#if defined(__x86_64__) && !defined(__GLIBC__)

/* Else the compiler may see in a loop here the function that it is the inside of, and call it. And the first
 * copies of a process are made before there is a place for the stack's guard. */
#ifdef __clang__
#define PLAIN __attribute__((no_builtin, no_stack_protector))
#else
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#define PLAIN __attribute__((no_stack_protector))
#endif

enum { STRING_COPY_MIN = 1024 }; /* bytes; from here on the processor's own loop is as good */

typedef uint64_t wide __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));
typedef uint32_t half __attribute__((aligned(1), may_alias));
typedef uint16_t pair __attribute__((aligned(1), may_alias));

/* Two of a kind, from both ends: all is read before anything is written, so the areas may overlap. */
#define COPY_ENDS(type, to, from, n)                                                                         \
    do {                                                                                                     \
        type first_ = *(const type *)(from), last_ = *(const type *)((from) + (n) - sizeof(type));           \
        *(type *)(to) = first_;                                                                              \
        *(type *)((to) + (n) - sizeof(type)) = last_;                                                        \
    } while (0)

PLAIN static inline void copy_short(uint8_t *to, const uint8_t *from, size_t n) {
    if (n >= 16)
        COPY_ENDS(wide, to, from, n);
    else if (n >= 8)
        COPY_ENDS(word, to, from, n);
    else if (n >= 4)
        COPY_ENDS(half, to, from, n);
    else if (n >= 2)
        COPY_ENDS(pair, to, from, n);
    else if (n == 1)
        *to = *from;
}

/* More than 32 bytes, from the front: right also when `to` lies before `from`. The end is read first, since
 * it may be overwritten by then. */
PLAIN static inline void copy_forwards(uint8_t *to, const uint8_t *from, size_t n) {
    const wide *s = (const wide *)(from + n - 32);
    wide last[2] = {s[0], s[1]}, *d = (wide *)(to + n - 32);
    for (; to < (uint8_t *)d; to += 32, from += 32) {
        wide a = ((const wide *)from)[0], b = ((const wide *)from)[1];
        ((wide *)to)[0] = a;
        ((wide *)to)[1] = b;
    }
    d[0] = last[0];
    d[1] = last[1];
}

PLAIN static inline void copy_backwards(uint8_t *to, const uint8_t *from, size_t n) {
    wide first[2] = {((const wide *)from)[0], ((const wide *)from)[1]};
    for (size_t left = n; left > 32; left -= 32) {
        const wide *s = (const wide *)(from + left - 32);
        wide a = s[0], b = s[1], *d = (wide *)(to + left - 32);
        d[0] = a;
        d[1] = b;
    }
    ((wide *)to)[0] = first[0];
    ((wide *)to)[1] = first[1];
}

PLAIN void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    if (n <= 32) {
        copy_short(to, from, n);
    } else if (n < STRING_COPY_MIN) {
        copy_forwards(to, from, n);
    } else {
        void *d = to;
        const void *s = from;
        size_t words = n / 8;
        word last = *(const word *)((const uint8_t *)from + n - 8);
        __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(words) : : "memory");
        *(word *)((uint8_t *)to + n - 8) = last;
    }
    return to;
}

PLAIN void *memmove(void *to, const void *from, size_t n) {
    if (n <= 32)
        copy_short(to, from, n);
    else if ((uintptr_t)to - (uintptr_t)from >= n) /* `to` is not within the bytes of `from` */
        copy_forwards(to, from, n);
    else
        copy_backwards(to, from, n);
    return to;
}

PLAIN int memcmp(const void *a, const void *b, size_t n) {
    const uint8_t *p = a, *q = b;
    for (; n >= 8; n -= 8, p += 8, q += 8) {
        uint64_t x = *(const word *)p, y = *(const word *)q;
        if (x != y) return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
    }
    for (; n > 0; n--, p++, q++)
        if (*p != *q) return *p - *q;
    return 0;
}

#endif
