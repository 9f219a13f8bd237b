/* Private keys in the forms that other libp2p programs write: see identity_import in key.h. */
#include <sodium.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/der.h"
#include "crypto/key.h"

enum { SEED = 32, PAIR = 64, FILE_MAX = 16384, DER_OCTETS = 0x04 };

/* A seed (32 bytes), or a seed with its public key (64), as an identity: by way of the one reader. */
static enum err from_raw(struct bytes raw, struct identity *id, struct why *w) {
    uint8_t message[4 + PAIR] = {0x08, KEY_ED25519, 0x12, PAIR}, public[32], secret[PAIR];
    memcpy(message + 4, raw.p, raw.n);
    if (raw.n == SEED) {
        crypto_sign_ed25519_seed_keypair(public, secret, raw.p);
        memcpy(message + 4, secret, PAIR);
    }
    enum err e = identity_read(bytes_at(message, sizeof message), id, w);
    mem_wipe(message, sizeof message);
    mem_wipe(secret, sizeof secret);
    return e;
}

/* RFC 5958 OneAsymmetricKey with RFC 8410's Ed25519: version, algorithm, the seed in an octet string of its
 * own; what may follow (attributes, the public key) follows from the seed. */
static enum err from_pkcs8(struct bytes der, struct identity *id, struct why *w) {
    static const uint8_t ed25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70};
    static const uint8_t rsa[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
    static const uint8_t ec[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    struct rd r = rd_of(der);
    struct rd key = rd_of(der_take(&r, DER_SEQUENCE));
    der_end(&r);
    der_uint(&key);
    struct bytes algorithm = der_take(&key, DER_SEQUENCE);
    struct rd inner = rd_of(der_take(&key, DER_OCTETS));
    if (r.bad || key.bad) return fail(w, E_INPUT, "this PEM file holds no PKCS#8 private key");
    if (algorithm.n >= sizeof rsa && memcmp(algorithm.p, rsa, sizeof rsa) == 0)
        return fail(w, E_INPUT, "this is an RSA key; an Ed25519 key is needed");
    if (algorithm.n >= sizeof ec && memcmp(algorithm.p, ec, sizeof ec) == 0)
        return fail(w, E_INPUT,
                    "this is an elliptic curve key (ECDSA or Secp256k1); an Ed25519 key is needed");
    if (!bytes_eq(algorithm, bytes_at(ed25519, sizeof ed25519)))
        return fail(w, E_INPUT, "this is an unknown kind of key; an Ed25519 key is needed");
    struct bytes seed = der_take(&inner, DER_OCTETS);
    der_end(&inner);
    if (inner.bad || seed.n != SEED) return fail(w, E_INPUT, "this Ed25519 key has no seed of 32 bytes");
    return from_raw(seed, id, w);
}

/* RFC 7468: base64 in lines between BEGIN and END. */
static enum err from_pem(struct bytes text, struct identity *id, struct why *w) {
    struct buf base64 = {.max = FILE_MAX}, der = {.max = FILE_MAX};
    struct bytes line;
    bool inside = false, ended = false, good = buf_reserve(&base64, text.n) && buf_reserve(&der, text.n);
    enum err e = good ? OK : fail(w, E_MEMORY, "no memory to decode a key");
    while (e == OK && !ended && bytes_split(&text, '\n', &line)) {
        line = bytes_trim(line);
        if (bytes_is(line, "-----BEGIN PRIVATE KEY-----"))
            inside = true;
        else if (bytes_starts(line, "-----BEGIN ENCRYPTED PRIVATE KEY"))
            e = fail(w, E_INPUT,
                     "this key has a passphrase: take it off first (openssl pkey -in OLD -out NEW)");
        else if (bytes_starts(line, "-----BEGIN RSA"))
            e = fail(w, E_INPUT, "this is an RSA key; an Ed25519 key is needed");
        else if (bytes_starts(line, "-----END"))
            ended = inside;
        else if (inside)
            buf_add(&base64, line);
    }
    if (e == OK && !ended) e = fail(w, E_INPUT, "this PEM file has no whole PRIVATE KEY (PKCS#8)");
    if (e == OK && !base64_decode(&der, buf_view(&base64), false))
        e = fail(w, E_INPUT, "this PEM file is not base64 inside");
    if (e == OK) e = from_pkcs8(buf_view(&der), id, w);
    buf_wipe(&base64);
    buf_wipe(&der);
    return e;
}

/* js-libp2p's peer id as JSON: {"id", "privKey", "pubKey"}; the id has to be that of the key. */
static enum err from_json(struct bytes text, struct identity *id, struct why *w) {
    struct why inner;
    struct json_doc *doc = json_parse(text, &inner);
    const struct json *root = doc == NULL ? NULL : json_root(doc);
    struct bytes key = json_get_bytes(root, "privKey"), name = json_get_bytes(root, "id");
    struct peer_id claimed = {.n = 0};
    struct identity made = {.secret = {0}};
    enum err e;
    if (doc == NULL)
        e = fail(w, E_INPUT, "this is no JSON: %.120s", inner.text);
    else if (key.n == 0)
        e = fail(w, E_INPUT, "this JSON has no privKey: it is no private key");
    else
        e = identity_read(key, &made, w);
    if (e == OK && name.n > 0 && (!peer_id_parse(name, &claimed) || !peer_id_eq(&claimed, &made.peer)))
        e = fail(w, E_INPUT, "this JSON's id is not that of its privKey");
    if (e == OK) *id = made;
    if (doc != NULL) identity_wipe(&made);
    json_free(doc); /* its copy of the key is not wiped; the program ends soon */
    return e;
}

/* A bare key has its size and nothing else to know it by: the first part of a message, or text, is none. */
static bool is_raw(struct bytes file) {
    static const uint8_t head[] = {0x08, KEY_ED25519, 0x12};
    bool text = true;
    for (size_t i = 0; i < file.n; i++) text = text && file.p[i] < 0x80;
    return (file.n == SEED || file.n == PAIR) && !text && memcmp(file.p, head, sizeof head) != 0;
}

enum err identity_import(struct bytes file, struct identity *id, struct why *w) {
    struct why inner = {OK, ""};
    struct bytes text = bytes_trim(file);
    struct buf raw = {.max = FILE_MAX};
    if (file.n > FILE_MAX) return fail(w, E_INPUT, "%zu bytes are too many for a private key", file.n);
    if (bytes_starts(text, "{")) return from_json(text, id, w);
    if (bytes_has(text, BYTES("-----BEGIN "))) return from_pem(text, id, w);
    enum err e = identity_read(file, id, &inner);
    if (e == OK) return OK;
    if (is_raw(file)) return from_raw(file, id, w);
    if (buf_reserve(&raw, text.n) && hex_decode(&raw, text) && raw.n > 0) {
        if (is_raw(buf_view(&raw)))
            e = from_raw(buf_view(&raw), id, &inner);
        else
            e = identity_read(buf_view(&raw), id, &inner);
    }
    buf_wipe(&raw);
    return e == OK ? OK : fail(w, e, "%s", inner.text);
}
