#include "crypto/der.h"

struct bytes der_take(struct rd *r, uint8_t tag) {
    if (rd_u8(r) != tag) r->bad = true;
    size_t n = rd_u8(r);
    if (n == 0x81) {
        n = rd_u8(r);
        if (n < 0x80) r->bad = true; /* had a shorter form */
    } else if (n == 0x82) {
        n = rd_u16(r);
        if (n < 0x100) r->bad = true;
    } else if (n >= 0x80) {
        r->bad = true; /* indefinite, or longer than DER_LENGTH_MAX */
    }
    if (r->bad) return (struct bytes){NULL, 0};
    return rd_take(r, n);
}
struct bytes der_uint(struct rd *r) {
    struct bytes v = der_take(r, DER_INTEGER);
    if (r->bad) return v;
    bool padded = v.n > 1 && v.p[0] == 0 && v.p[1] < 0x80;
    if (v.n == 0 || v.p[0] >= 0x80 || padded) r->bad = true;
    if (r->bad) return (struct bytes){NULL, 0};
    return v.p[0] == 0 ? bytes_skip(v, 1) : v;
}
void der_exactly(struct rd *r, struct bytes element) {
    if (!bytes_eq(rd_take(r, element.n), element)) r->bad = true;
}
void der_end(struct rd *r) {
    if (r->in.n != 0) r->bad = true;
}
