/* lib/proto/peer_record.c: signed envelopes (libp2p/specs RFC/0002) with peer records (RFC/0003) in them. */
#include "proto/peer_record.h"

#include "base/pb.h"
#include "proto/multiaddr.h"

enum { ENVELOPE_KEY = 1, ENVELOPE_TYPE = 2, ENVELOPE_PAYLOAD = 3, ENVELOPE_SIGNATURE = 5 };
enum { RECORD_PEER = 1, RECORD_SEQ = 2, RECORD_ADDRESS = 3, ADDRESS_BYTES = 1 };
enum { SIGNED_MAX = PEER_RECORD_MAX + 128 }; /* payload, with domain, type and three lengths before it */

/* What is signed under, and the payload type. Ours first; the RFC's text and rust's default are the other. */
static const struct pair {
    struct bytes domain, type;
} pairs[] = {
    {{(const uint8_t *)"libp2p-peer-record", 18}, {(const uint8_t *)"\x03\x01", 2}},
    {{(const uint8_t *)"libp2p-routing-state", 20}, {(const uint8_t *)"/libp2p/routing-state-record", 28}},
};

struct envelope {
    struct bytes key, type, payload, signature;
};

static bool envelope_read(struct bytes in, struct envelope *out) {
    struct rd r = rd_of(in);
    struct pb_field f;
    *out = (struct envelope){0};
    while (pb_next(&r, &f)) {
        if (!f.is_bytes) continue;
        switch (f.number) {
        case ENVELOPE_KEY: out->key = f.data; break;
        case ENVELOPE_TYPE: out->type = f.data; break;
        case ENVELOPE_PAYLOAD: out->payload = f.data; break;
        case ENVELOPE_SIGNATURE: out->signature = f.data; break;
        default: break;
        }
    }
    return !r.bad;
}

static const struct pair *pair_of(struct bytes type) {
    for (size_t i = 0; i < LEN(pairs); i++) {
        if (bytes_eq(type, pairs[i].type)) return &pairs[i];
    }
    return NULL;
}

static bool signed_bytes(const struct pair *pair, struct bytes payload, struct buf *out) {
    return wr_lp(out, pair->domain) && wr_lp(out, pair->type) && wr_lp(out, payload);
}

/* The bytes of one AddressInfo; empty when it is malformed or has none. */
static struct bytes address_read(struct bytes in) {
    struct rd r = rd_of(in);
    struct pb_field f;
    struct bytes addr = {NULL, 0};
    while (pb_next(&r, &f)) {
        if (f.is_bytes && f.number == ADDRESS_BYTES) addr = f.data;
    }
    return r.bad ? (struct bytes){NULL, 0} : addr;
}

/* One bad address costs itself only (protocols.md section 17, 6 and 28). */
static bool record_read(struct bytes payload, struct bytes *peer, struct peer_record *out) {
    struct rd r = rd_of(payload);
    struct pb_field f;
    while (pb_next(&r, &f)) {
        if (f.number == RECORD_PEER && f.is_bytes) *peer = f.data;
        if (f.number == RECORD_SEQ && !f.is_bytes) out->seq = f.value;
        if (f.number == RECORD_ADDRESS && f.is_bytes && out->n < PEER_RECORD_ADDRESSES_MAX) {
            struct bytes addr = address_read(f.data);
            if (multiaddr_valid(addr)) out->addrs[out->n++] = addr;
        }
    }
    return !r.bad;
}

/* Cheap checks first: a signature is looked at only when all else fits. */
static enum err verify(const struct envelope *e, const struct pair *pair, const struct peer_id *expected,
                       struct why *w) {
    struct public_key key;
    struct peer_id signer;
    struct buf message = {.max = SIGNED_MAX};
    if (public_key_read(e->key, &key, NULL) != OK) return fail(w, E_VERIFY, "peer record: no public key");
    public_key_peer_id(&key, &signer);
    if (!peer_id_eq(&signer, expected)) return fail(w, E_VERIFY, "peer record: signed by another peer");
    if (!signed_bytes(pair, e->payload, &message)) {
        buf_free(&message);
        return fail(w, E_MEMORY, "peer record: no memory");
    }
    bool good = public_key_verify(&key, buf_view(&message), e->signature);
    buf_free(&message);
    return good ? OK : fail(w, E_VERIFY, "peer record: the signature is not the peer's");
}

static enum err record_open(struct bytes envelope, const struct peer_id *expected, struct peer_record *out,
                            struct why *w) {
    struct envelope e;
    struct bytes peer = {NULL, 0};
    if (envelope.n > PEER_RECORD_MAX) return fail(w, E_PROTO, "peer record: over %d bytes", PEER_RECORD_MAX);
    if (!envelope_read(envelope, &e)) return fail(w, E_PROTO, "peer record: malformed envelope");
    const struct pair *pair = pair_of(e.type);
    if (pair == NULL) return fail(w, E_PROTO, "peer record: the envelope holds something else");
    if (!record_read(e.payload, &peer, out)) return fail(w, E_PROTO, "peer record: malformed");
    if (!peer_id_read(peer, &out->peer)) return fail(w, E_PROTO, "peer record: no peer id in it");
    if (!peer_id_eq(&out->peer, expected)) return fail(w, E_VERIFY, "peer record: of another peer");
    return verify(&e, pair, expected, w);
}

enum err peer_record_open(struct bytes envelope, const struct peer_id *expected, struct peer_record *out,
                          struct why *w) {
    *out = (struct peer_record){0};
    enum err e = record_open(envelope, expected, out, w);
    if (e != OK) *out = (struct peer_record){0};
    return e;
}

/* ---- out */

static bool payload_write(const struct identity *self, uint64_t seq, const struct bytes *addrs, size_t n,
                          struct buf *out) {
    struct buf one = {.max = PEER_RECORD_MAX};
    struct bytes peer = peer_id_view(&self->peer);
    bool done = pb_put_bytes(out, RECORD_PEER, peer) && pb_put_uint(out, RECORD_SEQ, seq);
    for (size_t i = 0, written = 0; done && i < n && written < PEER_RECORD_ADDRESSES_MAX; i++) {
        if (addrs[i].n == 0) continue; /* go and js refuse a record with an empty address */
        buf_clear(&one);
        done = pb_put_bytes(&one, ADDRESS_BYTES, addrs[i]);
        done = done && pb_put_bytes(out, RECORD_ADDRESS, buf_view(&one));
        written++;
    }
    buf_free(&one);
    return done;
}

static bool envelope_write(const struct identity *self, struct bytes payload, struct buf *out) {
    uint8_t signature[64];
    struct buf message = {.max = SIGNED_MAX};
    bool done = signed_bytes(&pairs[0], payload, &message);
    if (done) identity_sign(self, buf_view(&message), signature);
    buf_free(&message);
    size_t before = out->n;
    done = done && pb_put_bytes(out, ENVELOPE_KEY, bytes_at(self->public_key, sizeof(self->public_key))) &&
           pb_put_bytes(out, ENVELOPE_TYPE, pairs[0].type) && pb_put_bytes(out, ENVELOPE_PAYLOAD, payload) &&
           pb_put_bytes(out, ENVELOPE_SIGNATURE, bytes_at(signature, sizeof(signature)));
    if (done && out->n - before <= PEER_RECORD_MAX) return true;
    out->n = before;
    return false;
}

bool peer_record_seal(const struct identity *self, uint64_t seq, const struct bytes *addrs, size_t n,
                      struct buf *out) {
    struct buf payload = {.max = PEER_RECORD_MAX};
    bool done = payload_write(self, seq, addrs, n, &payload) && envelope_write(self, buf_view(&payload), out);
    buf_free(&payload);
    return done;
}
