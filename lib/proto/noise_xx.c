#include "proto/noise_xx.h"

#include "base/mem.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

static const char protocol_name[] = "Noise_XX_25519_ChaChaPoly_SHA256";
_Static_assert(sizeof protocol_name == 32 + 1, "a name of just the hash's length is the first h, unhashed");

static void mix_hash(struct noise_xx *x, struct bytes data) {
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, bytes_at(x->h, sizeof x->h));
    sha256_add(&s, data);
    sha256_end(&s, x->h);
}
static bool mix_dh(struct noise_xx *x, const uint8_t secret[32], const uint8_t public[32]) {
    uint8_t shared[32], ck[32], k[32];
    bool good = x25519_dh(shared, secret, public);
    if (good) {
        hash_noise_hkdf(x->ck, bytes_at(shared, sizeof shared), ck, k);
        memcpy(x->ck, ck, sizeof ck);
        memcpy(x->k, k, sizeof k);
        x->n = 0;
        x->has_key = true;
    }
    mem_wipe(shared, sizeof shared);
    mem_wipe(ck, sizeof ck);
    mem_wipe(k, sizeof k);
    return good;
}
/* EncryptAndHash: without a key (message 1) the text goes as it is. */
static bool put(struct noise_xx *x, struct bytes plain, struct buf *out) {
    size_t n = plain.n + (x->has_key ? AEAD_TAG : 0);
    uint8_t *to = n == 0 ? NULL : buf_add_space(out, n);
    if (n > 0 && to == NULL) return false;
    if (x->has_key)
        aead_seal(to, x->k, x->n++, bytes_at(x->h, sizeof x->h), plain);
    else if (n > 0)
        memcpy(to, plain.p, n);
    mix_hash(x, bytes_at(to, n));
    return true;
}
/* DecryptAndHash */
static bool get(struct noise_xx *x, struct bytes sealed, uint8_t *out) {
    if (!x->has_key && sealed.n > 0) memcpy(out, sealed.p, sealed.n);
    if (x->has_key && !aead_open(out, x->k, x->n++, bytes_at(x->h, sizeof x->h), sealed)) return false;
    mix_hash(x, sealed);
    return true;
}

static void draw_pair(struct rng *rng, uint8_t secret[32], uint8_t public[32]) {
    uint8_t random[32];
    rng_fill(rng, random, sizeof random);
    x25519_keypair(random, secret, public);
    mem_wipe(random, sizeof random);
}
static void begin(struct noise_xx *x, struct bytes prologue) {
    *x = (struct noise_xx){.has_key = false};
    memcpy(x->h, protocol_name, sizeof x->h);
    memcpy(x->ck, x->h, sizeof x->ck);
    mix_hash(x, prologue);
}
void noise_xx_start(struct noise_xx *x, struct bytes prologue, struct rng *rng) {
    begin(x, prologue);
    draw_pair(rng, x->s_secret, x->s_public);
    draw_pair(rng, x->e_secret, x->e_public);
}
void noise_xx_start_with(struct noise_xx *x, struct bytes prologue, const uint8_t s_secret[32],
                         const uint8_t s_public[32], struct rng *rng) {
    begin(x, prologue);
    memcpy(x->s_secret, s_secret, sizeof x->s_secret);
    memcpy(x->s_public, s_public, sizeof x->s_public);
    draw_pair(rng, x->e_secret, x->e_public);
}

static bool put_ephemeral(struct noise_xx *x, struct buf *out) {
    if (!buf_add(out, bytes_at(x->e_public, sizeof x->e_public))) return false;
    mix_hash(x, bytes_at(x->e_public, sizeof x->e_public));
    return true;
}
bool noise_xx_write(struct noise_xx *x, int number, struct bytes payload, struct buf *out) {
    struct bytes s = bytes_at(x->s_public, sizeof x->s_public);
    bool good = false;
    switch (number) {
    case 1: good = put_ephemeral(x, out); break; /* e */
    case 2:                                      /* e ee s es */
        good = put_ephemeral(x, out) && mix_dh(x, x->e_secret, x->re) && put(x, s, out) &&
               mix_dh(x, x->s_secret, x->re);
        break;
    case 3: good = put(x, s, out) && mix_dh(x, x->s_secret, x->re); break; /* s se */
    }
    return good && put(x, payload, out);
}

static bool get_ephemeral(struct noise_xx *x, struct rd *r) {
    struct bytes e = rd_take(r, sizeof x->re);
    if (r->bad) return false;
    memcpy(x->re, e.p, sizeof x->re);
    mix_hash(x, e);
    return true;
}
static bool get_static(struct noise_xx *x, struct rd *r) {
    struct bytes s = rd_take(r, sizeof x->rs + AEAD_TAG);
    return !r->bad && get(x, s, x->rs);
}
bool noise_xx_read(struct noise_xx *x, int number, struct bytes message, uint8_t *payload) {
    struct rd r = rd_of(message);
    bool good = false;
    switch (number) {
    case 1: good = get_ephemeral(x, &r); break;
    case 2:
        good = get_ephemeral(x, &r) && mix_dh(x, x->e_secret, x->re) && get_static(x, &r) &&
               mix_dh(x, x->e_secret, x->rs);
        break;
    case 3: good = get_static(x, &r) && mix_dh(x, x->e_secret, x->rs); break;
    }
    return good && get(x, r.in, payload);
}
void noise_xx_split(struct noise_xx *x, uint8_t from_initiator[32], uint8_t from_responder[32]) {
    hash_noise_hkdf(x->ck, bytes_of(NULL), from_initiator, from_responder);
    mem_wipe(x->ck, sizeof x->ck);
    mem_wipe(x->k, sizeof x->k);
    mem_wipe(x->s_secret, sizeof x->s_secret);
    mem_wipe(x->e_secret, sizeof x->e_secret);
    x->has_key = false;
}
void noise_xx_wipe(struct noise_xx *x) {
    mem_wipe(x, sizeof *x);
}
