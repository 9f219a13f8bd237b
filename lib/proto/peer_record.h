/* lib/proto/peer_record.h: signed envelopes and the peer records in them.
 * Sources: libp2p/specs RFC/0002, RFC/0003; protocols.md section 10. */
#ifndef SILKTALK_PROTO_PEER_RECORD_H
#define SILKTALK_PROTO_PEER_RECORD_H

#include "crypto/key.h"

enum { PEER_RECORD_MAX = 8192, PEER_RECORD_ADDRESSES_MAX = 64 };

struct peer_record {
    struct peer_id peer;
    uint64_t seq;
    struct bytes addrs[PEER_RECORD_ADDRESSES_MAX]; /* borrowed from the envelope; bad ones are left out */
    size_t n;
};
/* Opens an envelope that must hold a peer record: structure, domain and type (current and the RFC's older
 * pair), signature, key -> peer id == record's == `expected`. E_PROTO: not a peer record that we can read;
 * E_VERIFY: a forged or foreign one; E_MEMORY. The caller judges seq. After an error *out is all zero. */
enum err peer_record_open(struct bytes envelope, const struct peer_id *expected, struct peer_record *out,
                          struct why *w);
/* Appends a signed envelope (domain libp2p-peer-record, type 03 01) of at most PEER_RECORD_MAX bytes. Empty
 * addresses are skipped, as are those behind the first PEER_RECORD_ADDRESSES_MAX. False: it would be longer,
 * or out refused (then as it was). */
bool peer_record_seal(const struct identity *self, uint64_t seq, const struct bytes *addrs, size_t n,
                      struct buf *out);

#endif
