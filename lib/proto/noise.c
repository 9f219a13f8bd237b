#include "proto/noise.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/pb.h"
#include "crypto/aead.h"

enum { /* fields of NoiseHandshakePayload and of its NoiseExtensions */
       FIELD_KEY = 1,
       FIELD_SIGNATURE = 2,
       FIELD_EXTENSIONS = 4,
       FIELD_STREAM_MUXERS = 2
};
#define SIGNED_PREFIX "noise-libp2p-static-key:"
enum { SIGNED = sizeof SIGNED_PREFIX - 1 + 32, LENGTH = 2 };
_Static_assert(NOISE_PLAIN_MAX + AEAD_TAG == NOISE_FRAME_MAX && LENGTH + AEAD_TAG == NOISE_OVERHEAD,
               "frame sizes");

struct payload { /* views into a decrypted payload */
    struct bytes key, signature, muxers[NOISE_MUXERS_MAX];
    size_t n_muxers;
    bool has_key, has_signature, has_muxers;
};

static enum err enter(struct noise *z, enum noise_state next, enum err e, const char *text) {
    z->state = next; /* the only assignment after the start */
    if (e == OK) return OK;
    noise_xx_wipe(&z->xx);
    mem_wipe(z->send_key, sizeof z->send_key);
    mem_wipe(z->receive_key, sizeof z->receive_key);
    return fail(&z->why, e, "%s", text);
}
static enum err dead(struct noise *z, enum err e, const char *text) {
    return enter(z, NOISE_DEAD, e, text);
}

/* What the identity key signs: the prefix and the static key of the side that it belongs to. */
static struct bytes signed_text(const uint8_t static_key[32], uint8_t text[SIGNED]) {
    memcpy(text, SIGNED_PREFIX, SIGNED - 32);
    memcpy(text + SIGNED - 32, static_key, 32);
    return bytes_at(text, SIGNED);
}

/* ---- our payload */
void noise_static_make(struct noise_static *s, const struct identity *self, struct rng *rng) {
    uint8_t random[32], text[SIGNED];
    rng_fill(rng, random, sizeof random);
    x25519_keypair(random, s->secret, s->public);
    mem_wipe(random, sizeof random);
    identity_sign(self, signed_text(s->public, text), s->signature);
}
void noise_static_wipe(struct noise_static *s) {
    mem_wipe(s, sizeof *s);
}
static bool add_extensions(const char *const *muxers, struct buf *out) {
    size_t n = 0;
    if (muxers == NULL || muxers[0] == NULL) return true;
    for (const char *const *m = muxers; *m != NULL; m++) n += pb_size_bytes(FIELD_STREAM_MUXERS, strlen(*m));
    /* key and length of the embedded message, whose fields follow at once */
    bool good = wr_varint(out, FIELD_EXTENSIONS << 3 | 2) && wr_varint(out, n);
    for (const char *const *m = muxers; good && *m != NULL; m++)
        good = pb_put_bytes(out, FIELD_STREAM_MUXERS, bytes_of(*m));
    return good;
}
/* Appends handshake message 2 or 3 with its length, or nothing. */
static enum err send_message(struct noise *z, int number, struct buf *out) {
    uint8_t text[SIGNED], signature[64];
    struct buf payload = {.max = NOISE_PAYLOAD_MAX};
    size_t before = out->n;
    if (z->own != NULL)
        memcpy(signature, z->own->signature, sizeof signature);
    else
        identity_sign(z->self, signed_text(z->xx.s_public, text), signature);
    bool good = pb_put_bytes(&payload, FIELD_KEY,
                             bytes_at(z->self->public_key, sizeof z->self->public_key)) &&
                pb_put_bytes(&payload, FIELD_SIGNATURE, bytes_at(signature, sizeof signature)) &&
                add_extensions(z->muxers, &payload);
    size_t n = payload.n + (number == 2 ? NOISE_XX_2 : NOISE_XX_3);
    good = good && buf_reserve(out, LENGTH + n);
    bool agreed = good && wr_u16(out, (uint16_t)n) && noise_xx_write(&z->xx, number, buf_view(&payload), out);
    buf_free(&payload);
    if (!agreed) out->n = before;
    if (!good) return dead(z, E_LIMIT, "no room for a handshake message");
    /* there was room, so what failed is the key agreement */
    return agreed ? OK : dead(z, E_PROTO, "the peer's key is a low-order point");
}

/* ---- the peer's payload */
static bool read_extensions(struct bytes in, struct payload *out) {
    struct rd r = rd_of(in);
    struct pb_field f;
    while (pb_next(&r, &f)) {
        if (f.number != FIELD_STREAM_MUXERS || !f.is_bytes) continue;
        out->has_muxers = true;
        if (f.data.n <= NOISE_EARLY_MAX && out->n_muxers < NOISE_MUXERS_MAX)
            out->muxers[out->n_muxers++] = f.data;
    }
    return !r.bad;
}
static bool read_payload(struct bytes in, struct payload *out) {
    struct rd r = rd_of(in);
    struct pb_field f;
    *out = (struct payload){.n_muxers = 0};
    while (pb_next(&r, &f)) {
        if (!f.is_bytes) continue;
        if (f.number == FIELD_KEY) {
            out->key = f.data;
            out->has_key = true;
        } else if (f.number == FIELD_SIGNATURE) {
            out->signature = f.data;
            out->has_signature = true;
        } else if (f.number == FIELD_EXTENSIONS && !read_extensions(f.data, out)) {
            return false;
        }
    }
    return !r.bad && out->has_key && out->has_signature;
}
/* Its signature is not looked at, so this is only what it says of itself. */
static enum err other_peer(struct noise *z) {
    char id[PEER_TEXT_MAX], text[160];
    peer_id_text(&z->peer, id);
    snprintf(text, sizeof text, "another peer than the dialed one answers: it says that it is %s", id);
    return dead(z, E_VERIFY, text);
}
/* Who it is, and that it holds the identity key and the static key of this handshake. */
static enum err check_identity(struct noise *z, const struct payload *p) {
    struct public_key key;
    struct why why = {OK, ""};
    uint8_t text[SIGNED];
    if (public_key_read(p->key, &key, &why) != OK) return dead(z, E_PROTO, why.text);
    public_key_peer_id(&key, &z->peer);
    z->peer_key_type = key.type;
    /* the comparison first: it is cheap, and a signature by someone else is of no use */
    if (z->initiator && !z->any_peer && !peer_id_eq(&z->peer, &z->expected)) return other_peer(z);
    if (!public_key_verify(&key, signed_text(z->xx.rs, text), p->signature))
        return dead(z, E_VERIFY, "the identity signature is wrong");
    return OK;
}
static bool is_one_of(struct bytes name, const char *const *muxers, const char **found) {
    for (const char *const *m = muxers; *m != NULL; m++) {
        if (!bytes_is(name, *m)) continue;
        *found = *m;
        return true;
    }
    return false;
}
/* The first of the initiator's names that the responder has too. */
static enum err agree(struct noise *z, const struct payload *p) {
    z->muxer = NULL;
    if (!p->has_muxers || z->muxers == NULL || z->muxers[0] == NULL) return OK;
    if (z->initiator) {
        for (const char *const *m = z->muxers; *m != NULL; m++) {
            z->muxer = *m;
            if (bytes_find(p->muxers, p->n_muxers, bytes_of(*m)) < p->n_muxers) return OK;
        }
    } else {
        for (size_t i = 0; i < p->n_muxers; i++)
            if (is_one_of(p->muxers[i], z->muxers, &z->muxer)) return OK;
    }
    z->muxer = NULL;
    return dead(z, E_PROTO, "no muxer in common");
}

/* ---- the handshake */
static void finish(struct noise *z) {
    if (z->initiator)
        noise_xx_split(&z->xx, z->send_key, z->receive_key);
    else
        noise_xx_split(&z->xx, z->receive_key, z->send_key);
    enter(z, NOISE_DONE, OK, "");
}
static enum err message_1(struct noise *z, struct bytes body, struct buf *out) {
    uint8_t none[1];
    if (!noise_xx_read(&z->xx, 1, body, none)) return dead(z, E_PROTO, "handshake message 1 is wrong");
    enum err e = send_message(z, 2, out);
    return e != OK ? e : enter(z, NOISE_WAIT_3, OK, "");
}
static enum err message_with_payload(struct noise *z, int number, struct bytes body, struct buf *out) {
    uint8_t plain[NOISE_PAYLOAD_MAX];
    size_t n = body.n - (size_t)(number == 2 ? NOISE_XX_2 : NOISE_XX_3);
    struct payload payload;
    if (!noise_xx_read(&z->xx, number, body, plain))
        return dead(z, E_PROTO, "a handshake message does not decrypt");
    if (!read_payload(bytes_at(plain, n), &payload))
        return dead(z, E_PROTO, "the handshake payload is malformed");
    enum err e = check_identity(z, &payload);
    if (e == OK) e = agree(z, &payload);
    if (e == OK && number == 2) e = send_message(z, 3, out);
    if (e == OK) finish(z);
    return e;
}
/* A length out of range is refused before its bytes are waited for. */
static bool length_fits(enum noise_state state, size_t n) {
    switch (state) {
    case NOISE_WAIT_1: return n == NOISE_XX_1; /* its payload must be empty: nothing protects it */
    case NOISE_WAIT_2: return n >= NOISE_XX_2 && n <= NOISE_XX_2 + NOISE_PAYLOAD_MAX;
    case NOISE_WAIT_3: return n >= NOISE_XX_3 && n <= NOISE_XX_3 + NOISE_PAYLOAD_MAX;
    case NOISE_DONE:
    case NOISE_DEAD: break;
    }
    return false;
}
enum err noise_start(struct noise *z, bool initiator, const struct identity *self,
                     const struct noise_static *own, const struct peer_id *expected,
                     const char *const *muxers, struct rng *rng, struct buf *out) {
    *z = (struct noise){.state = initiator ? NOISE_WAIT_2 : NOISE_WAIT_1,
                        .initiator = initiator,
                        .self = self,
                        .own = own,
                        .muxers = muxers};
    z->any_peer = expected == NULL || expected->n == 0;
    if (!z->any_peer) z->expected = *expected;
    if (own != NULL)
        noise_xx_start_with(&z->xx, bytes_of(NULL), own->secret, own->public, rng);
    else
        noise_xx_start(&z->xx, bytes_of(NULL), rng);
    if (!initiator) return OK;
    bool good = buf_reserve(out, LENGTH + NOISE_XX_1) && wr_u16(out, NOISE_XX_1) &&
                noise_xx_write(&z->xx, 1, bytes_of(NULL), out);
    return good ? OK : dead(z, E_LIMIT, "handshake message 1 could not be written");
}
enum err noise_input(struct noise *z, struct bytes *in, struct buf *out) {
    while (z->state < NOISE_DONE) {
        struct rd r = rd_of(*in);
        size_t n = rd_u16(&r);
        if (!r.bad && !length_fits(z->state, n))
            return dead(z, E_PROTO, "handshake message of a wrong length");
        struct bytes body = rd_take(&r, n);
        if (r.bad) return OK; /* not whole yet */
        *in = r.in;
        enum err e = z->state == NOISE_WAIT_1
                         ? message_1(z, body, out)
                         : message_with_payload(z, z->state == NOISE_WAIT_2 ? 2 : 3, body, out);
        if (e != OK) return e;
    }
    return z->why.code;
}

/* ---- afterwards */
enum err noise_open(struct noise *z, uint8_t *data, struct bytes *in, struct bytes *plain, bool *whole) {
    *plain = (struct bytes){NULL, 0};
    *whole = false;
    if (z->state != NOISE_DONE) return z->state == NOISE_DEAD ? z->why.code : E_FAILED;
    struct rd r = rd_of(*in);
    size_t n = rd_u16(&r);
    if (!r.bad && n < AEAD_TAG) return dead(z, E_PROTO, "frame shorter than its tag");
    struct bytes sealed = rd_take(&r, n);
    if (r.bad) return OK;
    if (z->receive_n == UINT64_MAX) return dead(z, E_PROTO, "too many frames under one key");
    if (!aead_open(data + LENGTH, z->receive_key, z->receive_n, bytes_of(NULL), sealed))
        return dead(z, E_PROTO, "a frame does not decrypt");
    z->receive_n++;
    *in = r.in;
    *plain = bytes_at(data + LENGTH, n - AEAD_TAG);
    *whole = true;
    return OK;
}
enum err noise_seal(struct noise *z, struct bytes plain, struct buf *out) {
    if (z->state != NOISE_DONE) return z->state == NOISE_DEAD ? z->why.code : E_FAILED;
    size_t frames = plain.n / NOISE_PLAIN_MAX + (plain.n % NOISE_PLAIN_MAX != 0);
    if (frames > UINT64_MAX - z->send_n) return dead(z, E_PROTO, "too many frames under one key");
    if (plain.n > SIZE_MAX / 2 || !buf_reserve(out, plain.n + frames * NOISE_OVERHEAD)) return E_LIMIT;
    while (plain.n > 0) {
        struct bytes part = bytes_take(&plain, NOISE_PLAIN_MAX);
        uint8_t *to = buf_add_space(out, part.n + NOISE_OVERHEAD); /* can not fail: reserved above */
        if (to == NULL) return dead(z, E_LIMIT, "no room for a frame");
        put_u16(to, (uint16_t)(part.n + AEAD_TAG));
        aead_seal(to + LENGTH, z->send_key, z->send_n++, bytes_of(NULL), part);
    }
    return OK;
}
void noise_wipe(struct noise *z) {
    mem_wipe(z, sizeof *z);
}
