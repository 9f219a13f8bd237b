/* lib/base/rd.c: the reading cursor and its writing counterpart; big endian numbers, unsigned varints
 * (github.com/multiformats/unsigned-varint: at most 9 bytes, minimal form). */
#include "base/base.h"

enum { VARINT_BYTES_MAX = 9 };

uint16_t get_u16(const uint8_t in[2]) {
    return (uint16_t)(in[0] << 8 | in[1]);
}

uint32_t get_u32(const uint8_t in[4]) {
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

uint64_t get_u64(const uint8_t in[8]) {
    return (uint64_t)get_u32(in) << 32 | get_u32(in + 4);
}

void put_u16(uint8_t out[2], uint16_t v) {
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
}

void put_u32(uint8_t out[4], uint32_t v) {
    out[0] = (uint8_t)(v >> 24);
    out[1] = (uint8_t)(v >> 16);
    out[2] = (uint8_t)(v >> 8);
    out[3] = (uint8_t)v;
}

void put_u64(uint8_t out[8], uint64_t v) {
    put_u32(out, (uint32_t)(v >> 32));
    put_u32(out + 4, (uint32_t)v);
}

/* A bad cursor has nothing left, so that every later read fails without a test of `bad`. */
static void spoil(struct rd *r) {
    r->bad = true;
    r->in.n = 0;
}

/* n bytes off the front, or NULL; n > 0 */
static const uint8_t *take(struct rd *r, size_t n) {
    if (r->in.n < n) {
        spoil(r);
        return NULL;
    }
    const uint8_t *p = r->in.p;
    r->in.p += n;
    r->in.n -= n;
    return p;
}

uint8_t rd_u8(struct rd *r) {
    const uint8_t *p = take(r, 1);
    return p == NULL ? 0 : *p;
}

uint16_t rd_u16(struct rd *r) {
    const uint8_t *p = take(r, 2);
    return p == NULL ? 0 : get_u16(p);
}

uint32_t rd_u32(struct rd *r) {
    const uint8_t *p = take(r, 4);
    return p == NULL ? 0 : get_u32(p);
}

uint64_t rd_u64(struct rd *r) {
    const uint8_t *p = take(r, 8);
    return p == NULL ? 0 : get_u64(p);
}

struct bytes rd_take(struct rd *r, uint64_t n) {
    if (n > r->in.n) {
        spoil(r);
        return (struct bytes){NULL, 0};
    }
    return bytes_take(&r->in, (size_t)n);
}

uint64_t rd_varint(struct rd *r) {
    uint64_t v = 0;
    size_t n = MIN(r->in.n, (size_t)VARINT_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = r->in.p[i];
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            take(r, i + 1);
            return byte == 0 && i > 0 ? UINT64_MAX : v; /* a zero at the end says nothing: overlong */
        }
    }
    if (n < VARINT_BYTES_MAX) {
        spoil(r);
        return 0;
    }
    take(r, n);
    return UINT64_MAX;
}

struct bytes rd_lp(struct rd *r, uint64_t max) {
    uint64_t n = rd_varint(r);
    if (r->bad || n > max) {
        spoil(r);
        return (struct bytes){NULL, 0};
    }
    return rd_take(r, n);
}

bool wr_u8(struct buf *b, uint8_t v) {
    return buf_add_byte(b, v);
}

bool wr_u16(struct buf *b, uint16_t v) {
    uint8_t out[2];
    put_u16(out, v);
    return buf_add(b, bytes_at(out, sizeof(out)));
}

bool wr_u32(struct buf *b, uint32_t v) {
    uint8_t out[4];
    put_u32(out, v);
    return buf_add(b, bytes_at(out, sizeof(out)));
}

bool wr_u64(struct buf *b, uint64_t v) {
    uint8_t out[8];
    put_u64(out, v);
    return buf_add(b, bytes_at(out, sizeof(out)));
}

size_t varint_size(uint64_t v) {
    return (size_t)(64 - __builtin_clzll(v | 1) + 6) / 7;
}

bool wr_varint(struct buf *b, uint64_t v) {
    uint8_t out[VARINT_BYTES_MAX];
    size_t n = 0;
    if (v > INT64_MAX) return false;
    for (; v >= 0x80; v >>= 7) out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return buf_add(b, bytes_at(out, n));
}

bool wr_lp(struct buf *b, struct bytes a) {
    size_t head = varint_size(a.n);
    if (a.n > SIZE_MAX - head || !buf_reserve(b, head + a.n)) return false;
    return wr_varint(b, a.n) && buf_add(b, a);
}
