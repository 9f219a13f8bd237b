/* lib/base/base.h: what everything else is made of: errors, byte views, growing buffers, cursors, time.
 *
 * Nothing here touches the kernel. A view (struct bytes) borrows; a struct buf owns; a struct rd reads a view
 * and can not leave it: a short read gives zero and makes the cursor bad for good, so a parser reads all of
 * its fields and checks `bad` once. */
#ifndef SILKTALK_BASE_BASE_H
#define SILKTALK_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LEN(array) (sizeof(array) / sizeof((array)[0]))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* ---- errors: symbol, stable name (JSON, logs, metrics), exit code (operations.md S2.1), what a user is told
 */
#define ERRORS(X)                                                                                            \
    X(OK, "ok", 0, "done")                                                                                   \
    X(E_FAILED, "failed", 1, "it failed")                                                                    \
    X(E_IO, "io", 1, "the system refused an operation")                                                      \
    X(E_MEMORY, "memory", 1, "out of memory")                                                                \
    X(E_PROTO, "protocol", 1, "the peer broke the protocol")                                                 \
    X(E_CLOSED, "closed", 1, "the other side closed the connection")                                         \
    X(E_REFUSED, "refused", 1, "the other side refused it")                                                  \
    X(E_USAGE, "usage", 2, "the command line is wrong")                                                      \
    X(E_NOT_RUNNING, "not_running", 3, "the node is not running")                                            \
    X(E_NOT_FOUND, "not_found", 4, "there is no such thing")                                                 \
    X(E_DENIED, "denied", 5, "permission denied")                                                            \
    X(E_INPUT, "input", 6, "bad configuration or input")                                                     \
    X(E_VERIFY, "verification", 7, "verification failed")                                                    \
    X(E_PARTIAL, "partial", 8, "done in part, or indirectly")                                                \
    X(E_LIMIT, "limit", 9, "a named limit is full, try later")                                               \
    X(E_BUSY, "busy", 9, "busy, try again")                                                                  \
    X(E_TIMEOUT, "timed_out", 10, "no answer in time")
#define ERROR_SYMBOL(symbol, name, exit_code, text) symbol,
enum err { ERRORS(ERROR_SYMBOL) ERR_COUNT };

/* The code is for programs, the text for a person. */
struct why {
    enum err code;
    char text[240];
};

/* Fills w (which may be NULL) and returns code, so that `return fail(...)` is one line. */
enum err fail(struct why *w, enum err code, const char *format, ...) PRINTF_LIKE(3, 4);
const char *err_name(enum err code);    /* stable name, "limit" */
const char *err_text(enum err code);    /* a short sentence */
int err_exit(enum err code);            /* exit code of operations.md S2.1 */
enum err err_of_name(const char *name); /* E_FAILED for an unknown one */

/* ---- views */
struct bytes { /* borrowed: never freed; kept only as far as a header says */
    const uint8_t *p;
    size_t n;
};
#define BYTES(literal) ((struct bytes){(const uint8_t *)("" literal), sizeof(literal) - 1})
static inline struct bytes bytes_at(const void *p, size_t n) {
    return (struct bytes){(const uint8_t *)p, n};
}
static inline struct bytes bytes_of(const char *text) {
    return text == NULL ? (struct bytes){NULL, 0} : bytes_at(text, strlen(text));
}
static inline bool bytes_eq(struct bytes a, struct bytes b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool bytes_is(struct bytes a, const char *text); /* equal to a C string */
bool bytes_starts(struct bytes a, const char *prefix);
bool bytes_ends(struct bytes a, const char *suffix);
int bytes_compare(struct bytes a, struct bytes b);             /* memcmp order, shorter first */
struct bytes bytes_sub(struct bytes a, size_t from, size_t n); /* clamped to a */
struct bytes bytes_skip(struct bytes a, size_t n);             /* clamped to a */
struct bytes bytes_take(struct bytes *a, size_t n);            /* cuts up to n off the front of *a */
size_t bytes_find(const struct bytes *list, size_t n, struct bytes what); /* index, or n */
size_t bytes_index(struct bytes a, uint8_t byte);                         /* first place of byte, or a.n */
bool bytes_has(struct bytes a, struct bytes what);                        /* what occurs in a */
struct bytes bytes_trim(struct bytes a); /* without ASCII blanks at both ends */
/* Cuts the part of *a before the first `separator` off (all of it, if there is none); false when *a is empty.
 */
bool bytes_split(struct bytes *a, uint8_t separator, struct bytes *part);
bool bytes_to_u64(struct bytes decimal, uint64_t max,
                  uint64_t *out); /* digits only, 1 to 20 of them, <= max */
/* Copies as a C string, cut to size-1 bytes; true when all of it fitted and it has no NUL inside. */
bool bytes_cstr(struct bytes a, char *out, size_t size);

/* ---- buffers: owned bytes that grow up to `max`, then refuse */
struct buf {
    uint8_t *p;
    size_t n, cap, max; /* in use, allocated, most ever allowed (bytes); max 0 allows nothing */
};
void buf_free(struct buf *b);                /* wipes nothing; see buf_wipe; leaves it empty, usable */
void buf_wipe(struct buf *b);                /* overwrites, then frees; growing may leave copies: reserve */
bool buf_reserve(struct buf *b, size_t n);   /* room for n more; false: max or memory, nothing changed */
bool buf_add(struct buf *b, struct bytes a); /* appends all of a, or nothing */
bool buf_add_byte(struct buf *b, uint8_t byte);
bool buf_add_text(struct buf *b, const char *text);
bool buf_add_format(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
uint8_t *buf_add_space(struct buf *b, size_t n); /* n bytes appended, not initialised; NULL: refused */
void buf_drop(struct buf *b, size_t n);      /* forgets the first n bytes (moves the rest: use sparingly) */
void buf_clear(struct buf *b);               /* keeps the memory */
void buf_shrink(struct buf *b, size_t keep); /* gives memory back when empty and larger than keep */
/* Lending: a buffer without memory takes the spare's, also when that is more than it may fill; an empty one
 * leaves its own there, when that is more and not over keep, or gives it back. For buffers that come and go
 * by the turn. */
void buf_borrow(struct buf *b, struct buf *spare);
void buf_return(struct buf *b, struct buf *spare, size_t keep);
const char *buf_cstr(struct buf *b); /* NUL-terminated view (not counted in n); "" when refused */
static inline struct bytes buf_view(const struct buf *b) {
    return (struct bytes){b->p, b->n};
}
static inline size_t buf_room(const struct buf *b) {
    return b->max > b->n ? b->max - b->n : 0;
}

/* ---- cursors: big endian, and libp2p's unsigned varint (at most 9 bytes, minimal form only) */
struct rd {
    struct bytes in; /* what is left */
    bool bad;
};
static inline struct rd rd_of(struct bytes in) {
    return (struct rd){in, false};
}
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
struct bytes rd_take(struct rd *r,
                     uint64_t n); /* n bytes as a sub-view, empty and bad when there are fewer */
/* Unsigned varint. Too few bytes: 0 and bad. Overlong, or over 63 bits: UINT64_MAX (not bad: no length limit
 * lets it pass), so "incomplete" and "wrong" can be told apart. */
uint64_t rd_varint(struct rd *r);
struct bytes rd_lp(struct rd *r, uint64_t max); /* varint length, then that many bytes; over max: bad */

bool wr_u8(struct buf *b, uint8_t v);
bool wr_u16(struct buf *b, uint16_t v);
bool wr_u32(struct buf *b, uint32_t v);
bool wr_u64(struct buf *b, uint64_t v);
bool wr_varint(struct buf *b, uint64_t v);
bool wr_lp(struct buf *b, struct bytes a); /* varint length, then the bytes: all or nothing */
size_t varint_size(uint64_t v);            /* bytes that wr_varint writes */
void put_u16(uint8_t out[2], uint16_t v);  /* into a place of known size */
void put_u32(uint8_t out[4], uint32_t v);
void put_u64(uint8_t out[8], uint64_t v);
uint16_t get_u16(const uint8_t in[2]);
uint32_t get_u32(const uint8_t in[4]);
uint64_t get_u64(const uint8_t in[8]);

/* ---- time: two clocks that can not be mixed up */
struct mono {
    int64_t us;
}; /* monotonic microseconds; 0 = never */
struct wall {
    int64_t ms;
}; /* Unix time in milliseconds; 0 = never */
#define MONO_NEVER ((struct mono){0})
/* A time further away than the clock can count (someone asked to wait for ages) is the end of its range. */
static inline struct mono mono_add_ms(struct mono t, int64_t ms) {
    int64_t us;
    bool far = __builtin_mul_overflow(ms, (int64_t)1000, &us) || __builtin_add_overflow(t.us, us, &us);
    return (struct mono){!far ? us : ms > 0 ? INT64_MAX : 1};
}
static inline int64_t mono_diff_ms(struct mono later, struct mono sooner) {
    return (later.us - sooner.us) / 1000;
}
/* The sooner of two deadlines, where 0 is never. */
static inline struct mono mono_sooner(struct mono a, struct mono b) {
    if (a.us == 0) return b;
    if (b.us == 0) return a;
    return a.us < b.us ? a : b;
}
static inline bool mono_due(struct mono deadline, struct mono now) {
    return deadline.us != 0 && deadline.us <= now.us;
}
struct clocks { /* one reading of both, taken once per turn of the loop and handed down */
    struct mono mono;
    struct wall wall;
};
/* "2026-02-22T10:15:30.123Z" (RFC 3339 UTC milliseconds; operations.md S2.1); at least 32 bytes. */
void wall_text(struct wall t, char out[32]);
/* Reads RFC 3339 (Z or offset, optional fraction) or "YYYY-MM-DD[ HH:MM[:SS]]" as UTC; false: not a time. */
bool wall_parse(struct bytes text, struct wall *out);

#endif
