#include "base/mem.h"
#include "base/pb.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/key.h"

#include <sodium.h>

enum {
    SEED = crypto_sign_ed25519_SEEDBYTES,
    PUBLIC = crypto_sign_ed25519_PUBLICKEYBYTES,
    PAIR = SEED + PUBLIC,         /* 64 */
    OLD_PAIR = SEED + 2 * PUBLIC, /* 96: go-libp2p's first form */
    FILE_MAX = 16384 /* bytes; the largest key that anybody would name, RSA 8192, has 6.2 KiB of base64 */
};
static const uint8_t public_head[] = {0x08, KEY_ED25519, 0x12, PUBLIC};

static void from_seed(struct identity *id, const uint8_t seed[SEED]) {
    uint8_t public[PUBLIC];
    crypto_sign_ed25519_seed_keypair(public, id->secret, seed);
    memcpy(id->public_key, public_head, sizeof public_head);
    memcpy(id->public_key + sizeof public_head, public, PUBLIC);
    struct public_key key = {.type = KEY_ED25519,
                             .data = bytes_at(id->public_key + sizeof public_head, PUBLIC),
                             .encoded = bytes_at(id->public_key, sizeof id->public_key)};
    public_key_peer_id(&key, &id->peer);
}
void identity_make(struct identity *id, struct rng *rng) {
    uint8_t seed[SEED];
    rng_fill(rng, seed, sizeof seed);
    from_seed(id, seed);
    mem_wipe(seed, sizeof seed);
}

/* The raw PrivateKey message. */
static enum err read_message(struct bytes message, struct identity *id, struct why *w) {
    bool has_type = false, has_data = false;
    uint64_t type = 0;
    struct bytes data = {NULL, 0};
    struct rd r = rd_of(message);
    struct pb_field f;
    while (pb_next(&r, &f)) {
        if (f.number == 1 && !f.is_bytes) {
            has_type = true;
            type = f.value;
        } else if (f.number == 2 && f.is_bytes) {
            has_data = true;
            data = f.data;
        }
    }
    if (r.bad || !has_type || !has_data) return fail(w, E_INPUT, "this is not a libp2p private key");
    if (type != KEY_ED25519) {
        bool known = type <= KEY_ECDSA;
        return fail(w, E_INPUT, "this is %s key; an Ed25519 key is needed",
                    !known                  ? "an unknown kind of"
                    : type == KEY_RSA       ? "an RSA"
                    : type == KEY_SECP256K1 ? "a Secp256k1"
                                            : "an ECDSA");
    }
    if (data.n == PUBLIC)
        return fail(w, E_INPUT, "this is a public key (or a bare seed); the private key is needed");
    if (data.n != PAIR && data.n != OLD_PAIR)
        return fail(w, E_INPUT, "Ed25519 private key of %zu bytes instead of 64 or 96", data.n);
    if (data.n == OLD_PAIR && !crypto_equal(data.p + SEED, data.p + PAIR, PUBLIC))
        return fail(w, E_INPUT, "the two copies of the public key in this private key differ");
    struct identity made;
    from_seed(&made, data.p);
    bool same = crypto_equal(made.secret, data.p, PAIR);
    if (same) *id = made;
    identity_wipe(&made);
    return same ? OK
                : fail(w, E_INPUT, "the secret and public halves of this private key do not belong together");
}
enum err identity_read(struct bytes file, struct identity *id, struct why *w) {
    if (file.n > FILE_MAX) return fail(w, E_INPUT, "%zu bytes are too many for a private key", file.n);
    struct bytes text = bytes_trim(file);
    if (text.n == 0) return fail(w, E_INPUT, "the key file is empty");
    if (file.p[0] == 0x08 || file.p[0] == 0x12)
        return read_message(file, id, w); /* field 1 or 2: the raw message */
    if (bytes_starts(text, "-----BEGIN"))
        return fail(w, E_INPUT, "this is a PEM file, not a libp2p private key");
    if (bytes_starts(text, "{")) return fail(w, E_INPUT, "this is a JSON file, not a libp2p private key");
    if (bytes_starts(text, "/key/swarm/"))
        return fail(w, E_INPUT, "this is a private network's key, not an identity");
    struct buf raw = {.max = FILE_MAX};
    if (!buf_reserve(&raw, text.n)) return fail(w, E_MEMORY, "no memory to decode a key");
    bool is_text = base64_decode(&raw, text, false);
    enum err e = is_text ? read_message(buf_view(&raw), id, w)
                         : fail(w, E_INPUT, "this is neither a libp2p private key nor its base64 text");
    buf_wipe(&raw);
    return e;
}
bool identity_write(const struct identity *id, struct buf *out) {
    static const uint8_t head[] = {0x08, KEY_ED25519, 0x12, PAIR};
    size_t before = out->n;
    if (buf_reserve(out, sizeof head + PAIR) && buf_add(out, bytes_at(head, sizeof head)) &&
        buf_add(out, bytes_at(id->secret, PAIR)))
        return true;
    out->n = before;
    return false;
}
void identity_sign(const struct identity *id, struct bytes message, uint8_t signature[64]) {
    crypto_sign_ed25519_detached(signature, NULL, message.p, message.n, id->secret);
}
void identity_wipe(struct identity *id) {
    mem_wipe(id, sizeof *id);
}
