/* lib/base/pb.h: the part of Protocol Buffers that libp2p's messages use (varint and length-delimited fields;
 * fixed32 and fixed64 are skipped or read as numbers).
 * Source: the encoding page of Protocol Buffers; protocols.md section 1: write fields in number order, with
 * minimal varints; read any order, skip unknown fields, last scalar wins. */
#ifndef SILKTALK_BASE_PB_H
#define SILKTALK_BASE_PB_H

#include "base/base.h"

struct pb_field {
    uint32_t number;   /* 1 to 2^29-1 */
    bool is_bytes;     /* length-delimited: `data` counts; else `value` does */
    uint64_t value;    /* varint (all 64 bits), fixed32 or fixed64 */
    struct bytes data; /* borrowed from the input */
};
/* Reads the next field of the message in r; false at its end, or when it is malformed (then r->bad is set).
 */
bool pb_next(struct rd *r, struct pb_field *f);

bool pb_put_uint(struct buf *b, uint32_t number, uint64_t value);     /* always written, 0 too */
bool pb_put_bytes(struct buf *b, uint32_t number, struct bytes data); /* always written, empty too */
bool pb_put_fixed64(struct buf *b, uint32_t number, uint64_t value);
size_t pb_size_uint(uint32_t number, uint64_t value); /* bytes that the put writes */
size_t pb_size_bytes(uint32_t number, size_t n);

#endif
