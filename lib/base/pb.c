/* lib/base/pb.c: fields of Protocol Buffers. Its varints have all 64 bits (10 bytes), and need not be minimal
 * when read, unlike libp2p's own: so they are not rd_varint. */
#include "base/pb.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
enum { PB_VARINT_MAX = 10, PB_NUMBER_MAX = (1 << 29) - 1 };

static bool spoil(struct rd *r) {
    r->bad = true;
    r->in.n = 0;
    return false;
}

static bool read_varint(struct rd *r, uint64_t *out) {
    uint64_t v = 0;
    size_t n = MIN(r->in.n, (size_t)PB_VARINT_MAX);
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = r->in.p[i];
        if (i == PB_VARINT_MAX - 1 && byte > 1) break; /* more than 64 bits */
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            r->in = bytes_skip(r->in, i + 1);
            *out = v;
            return true;
        }
    }
    return spoil(r);
}

static uint64_t read_little(struct rd *r, size_t n) {
    struct bytes in = rd_take(r, n);
    uint64_t v = 0;
    for (size_t i = in.n; i > 0; i--) v = v << 8 | in.p[i - 1];
    return v;
}

bool pb_next(struct rd *r, struct pb_field *f) {
    uint64_t tag = 0, n = 0;
    *f = (struct pb_field){0};
    if (r->bad || r->in.n == 0 || !read_varint(r, &tag)) return false;
    if (tag >> 3 == 0 || tag >> 3 > PB_NUMBER_MAX) return spoil(r);
    f->number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case WIRE_VARINT: return read_varint(r, &f->value);
    case WIRE_FIXED64: f->value = read_little(r, 8); return !r->bad;
    case WIRE_FIXED32: f->value = read_little(r, 4); return !r->bad;
    case WIRE_BYTES:
        f->is_bytes = true;
        if (!read_varint(r, &n)) return false;
        f->data = rd_take(r, n);
        return !r->bad;
    default: /* groups: no libp2p message has any */ return spoil(r);
    }
}

static size_t add_varint(uint8_t *out, uint64_t v) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static uint64_t tag_of(uint32_t number, unsigned wire) {
    return (uint64_t)number << 3 | wire;
}

bool pb_put_uint(struct buf *b, uint32_t number, uint64_t value) {
    uint8_t out[2 * PB_VARINT_MAX];
    size_t n = add_varint(out, tag_of(number, WIRE_VARINT));
    n += add_varint(out + n, value);
    return buf_add(b, bytes_at(out, n));
}

bool pb_put_bytes(struct buf *b, uint32_t number, struct bytes data) {
    uint8_t head[2 * PB_VARINT_MAX];
    size_t n = add_varint(head, tag_of(number, WIRE_BYTES));
    n += add_varint(head + n, data.n);
    if (data.n > SIZE_MAX - n || !buf_reserve(b, n + data.n)) return false;
    return buf_add(b, bytes_at(head, n)) && buf_add(b, data);
}

bool pb_put_fixed64(struct buf *b, uint32_t number, uint64_t value) {
    uint8_t out[PB_VARINT_MAX + 8];
    size_t n = add_varint(out, tag_of(number, WIRE_FIXED64));
    for (unsigned i = 0; i < 8; i++) out[n++] = (uint8_t)(value >> (8 * i));
    return buf_add(b, bytes_at(out, n));
}

size_t pb_size_uint(uint32_t number, uint64_t value) {
    return varint_size(tag_of(number, WIRE_VARINT)) + varint_size(value);
}

size_t pb_size_bytes(uint32_t number, size_t n) {
    return varint_size(tag_of(number, WIRE_BYTES)) + varint_size(n) + n;
}
