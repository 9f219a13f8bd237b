#include "crypto/key.h"

#include <sodium.h>

#include "base/pb.h"
#include "crypto/peer_key.h"

#define KEY_TYPE_NAME(symbol, number, name) [number] = name,
static const char *const names[] = {KEY_TYPES(KEY_TYPE_NAME)};
const char *key_type_name(enum key_type type) {
    return (size_t)type < LEN(names) ? names[type] : "unknown";
}

static enum err check(const struct public_key *key, struct why *w) {
    switch (key->type) {
    case KEY_RSA: return peer_rsa_check(key->data, w);
    case KEY_ED25519:
        return key->data.n == crypto_sign_ed25519_PUBLICKEYBYTES
                   ? OK
                   : fail(w, E_INPUT, "Ed25519 key of %zu bytes instead of 32", key->data.n);
    case KEY_SECP256K1: return peer_secp256k1_check(key->data, w);
    case KEY_ECDSA: return peer_ecdsa_check(key->data, w);
    }
    return fail(w, E_INPUT, "unknown key type");
}
enum err public_key_read(struct bytes encoded, struct public_key *out, struct why *w) {
    if (encoded.n > PUBLIC_KEY_MAX)
        return fail(w, E_LIMIT, "public key of %zu bytes: at most %d are accepted", encoded.n,
                    PUBLIC_KEY_MAX);
    *out = (struct public_key){.encoded = encoded};
    bool has_type = false, has_data = false;
    uint64_t type = 0;
    struct rd r = rd_of(encoded);
    struct pb_field f;
    while (pb_next(&r, &f)) {
        if (f.number == 1 && !f.is_bytes) {
            has_type = true;
            type = f.value;
        } else if (f.number == 2 && f.is_bytes) {
            has_data = true;
            out->data = f.data;
        }
    }
    if (r.bad || !has_type || !has_data) return fail(w, E_INPUT, "not an encoded public key");
    if (type >= LEN(names))
        return fail(w, E_INPUT, "public key of unknown type %llu", (unsigned long long)type);
    out->type = (enum key_type)type;
    return check(out, w);
}
bool public_key_verify(const struct public_key *key, struct bytes message, struct bytes signature) {
    if (signature.n == 0 || signature.n > SIGNATURE_MAX) return false;
    switch (key->type) {
    case KEY_RSA: return peer_rsa_verify(key->data, message, signature);
    case KEY_ED25519:
        return key->data.n == crypto_sign_ed25519_PUBLICKEYBYTES &&
               signature.n == crypto_sign_ed25519_BYTES &&
               crypto_sign_ed25519_verify_detached(signature.p, message.p, message.n, key->data.p) == 0;
    case KEY_SECP256K1: return peer_secp256k1_verify(key->data, message, signature);
    case KEY_ECDSA: return peer_ecdsa_verify(key->data, message, signature);
    }
    return false;
}
