#include "crypto/peer_key.h"

#include "crypto/hash.h"

#include <secp256k1.h>

enum { COMPRESSED = 33 };

static bool parse(struct bytes data, secp256k1_pubkey *key) {
    /* The library also takes 65-byte forms; a libp2p key is always compressed. */
    return data.n == COMPRESSED &&
           secp256k1_ec_pubkey_parse(secp256k1_context_static, key, data.p, data.n) == 1;
}
enum err peer_secp256k1_check(struct bytes data, struct why *w) {
    secp256k1_pubkey key;
    return parse(data, &key) ? OK : fail(w, E_INPUT, "Secp256k1 key: not a compressed point of the curve");
}
bool peer_secp256k1_verify(struct bytes data, struct bytes message, struct bytes signature) {
    const secp256k1_context *c = secp256k1_context_static;
    secp256k1_pubkey key;
    secp256k1_ecdsa_signature s;
    if (!parse(data, &key) || signature.n == 0 ||
        secp256k1_ecdsa_signature_parse_der(c, &s, signature.p, signature.n) != 1)
        return false;
    /* verify refuses a high s; other implementations make and accept both halves */
    secp256k1_ecdsa_signature_normalize(c, &s, &s);
    uint8_t hash[SHA256_SIZE];
    hash_sha256(message, hash);
    return secp256k1_ecdsa_verify(c, &s, hash, &key) == 1;
}
