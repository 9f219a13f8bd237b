/* lib/crypto/key.h: identities: libp2p key pairs, signatures and peer ids.
 * Sources: libp2p/specs peer-ids/peer-ids.md; protocols.md section 2.
 *
 * Our own identity is Ed25519. A peer's may be Ed25519, Secp256k1, ECDSA P-256 or RSA (2048 to 8192 bits, odd
 * exponent 3 to 2^31-1); what is out of range is refused before any arithmetic. */
#ifndef SILKTALK_CRYPTO_KEY_H
#define SILKTALK_CRYPTO_KEY_H

#include "crypto/rng.h"

#define KEY_TYPES(X)                                                                                         \
    X(KEY_RSA, 0, "RSA")                                                                                     \
    X(KEY_ED25519, 1, "Ed25519") X(KEY_SECP256K1, 2, "Secp256k1") X(KEY_ECDSA, 3, "ECDSA")
#define KEY_TYPE_SYMBOL(symbol, number, name) symbol = number,
enum key_type { KEY_TYPES(KEY_TYPE_SYMBOL) };
const char *key_type_name(enum key_type type);

enum {
    PUBLIC_KEY_MAX = 1200, /* bytes of an encoded PublicKey: RSA 8192 needs 1,070 */
    SIGNATURE_MAX = 1024,  /* RSA 8192 */
    PEER_ID_MAX = 42,      /* bytes of a binary peer id: identity multihash of at most 36..40, or 34 */
    PEER_TEXT_MAX = 64     /* characters of its base58 text with NUL */
};
struct peer_id { /* a multihash; compared as bytes; n 0: none */
    uint8_t n, p[PEER_ID_MAX];
};
static inline struct bytes peer_id_view(const struct peer_id *id) {
    return (struct bytes){id->p, id->n};
}
static inline bool peer_id_eq(const struct peer_id *a, const struct peer_id *b) {
    return bytes_eq(peer_id_view(a), peer_id_view(b));
}
/* Binary in: identity multihash (digest <= 42 B that decodes as a key and re-encodes to itself) or sha2-256.
 */
bool peer_id_read(struct bytes binary, struct peer_id *out);
/* Text in: base58 (`1...`, `Qm...`) or a multibase CIDv1 with codec libp2p-key. */
bool peer_id_parse(struct bytes text, struct peer_id *out);
void peer_id_text(const struct peer_id *id, char out[PEER_TEXT_MAX]); /* base58; "" for none */

/* The encoded PublicKey message of `encoded` (protobuf, either field order) is well-formed, of a supported
 * type and in range: E_INPUT or E_LIMIT with the reason otherwise. */
struct public_key {
    enum key_type type;
    struct bytes data;    /* the Data field, borrowed */
    struct bytes encoded; /* the whole message, borrowed */
};
enum err public_key_read(struct bytes encoded, struct public_key *out, struct why *w);
/* Peer id of a key: hash of its canonical encoding `08 type 12 len data`. */
void public_key_peer_id(const struct public_key *key, struct peer_id *out);
/* One check, bounded to 10 ms on the slowest allowed key (measured by tests/bench). False: not its signature.
 */
bool public_key_verify(const struct public_key *key, struct bytes message, struct bytes signature);

/* The node's own key pair. */
struct identity {
    uint8_t secret[64];     /* libsodium's form: seed, public key */
    uint8_t public_key[36]; /* encoded PublicKey message */
    struct peer_id peer;
};
void identity_make(struct identity *id, struct rng *rng);
/* PrivateKey message: Ed25519 of 64 bytes, or 96 with equal public halves; the seed must yield the public
 * half. `file` may be the raw message, or its base64 text with or without blanks around (kubo's and
 * js-libp2p's forms). E_INPUT with a sentence that says what it is instead (another key type is named). */
enum err identity_read(struct bytes file, struct identity *id, struct why *w);
/* The same, and what else old installations have: PKCS#8 PEM without a passphrase, js-libp2p's peer id as
 * JSON (its id must be the key's), the bare key (32 bytes of seed, or 64 with the public half), hexadecimal.
 */
enum err identity_import(struct bytes file, struct identity *id, struct why *w);
bool identity_write(const struct identity *id, struct buf *out); /* raw PrivateKey message, 68 bytes */
void identity_sign(const struct identity *id, struct bytes message, uint8_t signature[64]);
void identity_wipe(struct identity *id);

/* Private network key file: `/key/swarm/psk/1.0.0/`, `/base16/` (or base64, bin), the key; LF or CRLF. */
enum err swarm_key_read(struct bytes file, uint8_t key[32], struct why *w);
bool swarm_key_write(const uint8_t key[32], struct buf *out); /* base16 form */
/* 16 bytes that name a swarm key without giving it away (SHAKE-128 over Salsa20 keystream with nonce
 * "finprint"). */
void swarm_key_fingerprint(const uint8_t key[32], uint8_t out[16]);

#endif
