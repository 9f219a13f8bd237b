/* Identities: our own key file, a private network's, peers' public keys and signatures, peer ids, DER. */
#include "base/pb.h"
#include "crypto/der.h"
#include "crypto/key.h"
#include "tests/fuzz/fuzz.h"

/* What go-libp2p's signatures in tests/crypto/key_vectors.h are of. */
#define SIGNED BYTES("Libp2p is the _best_!")

static void check_peer_id(const struct peer_id *id) {
    char text[PEER_TEXT_MAX];
    struct peer_id again;
    peer_id_text(id, text);
    MUST(peer_id_parse(bytes_of(text), &again) && peer_id_eq(id, &again));
    MUST(peer_id_read(peer_id_view(id), &again) && peer_id_eq(id, &again));
}

static void check_key(struct bytes encoded, struct bytes message, struct bytes signature) {
    struct public_key key;
    struct why w = {OK, ""};
    enum err e = public_key_read(encoded, &key, &w);
    MUST(e == w.code);
    if (e != OK) return;
    struct peer_id id;
    public_key_peer_id(&key, &id);
    check_peer_id(&id);
    MUST(strcmp(key_type_name(key.type), "unknown") != 0);
    public_key_verify(&key, message, signature);
}

/* A well-formed PublicKey message around fuzzed Data. */
static void check_key_data(uint8_t type, struct bytes data, struct bytes signature) {
    struct buf encoded = {.max = 4096};
    MUST(pb_put_uint(&encoded, 1, type) && pb_put_bytes(&encoded, 2, data));
    check_key(buf_view(&encoded), SIGNED, signature);
    buf_free(&encoded);
}

static void check_identity(struct bytes file) {
    struct identity id;
    struct why w = {OK, ""};
    enum err e = identity_read(file, &id, &w);
    MUST(e == w.code);
    if (e != OK) {
        MUST(w.text[0] != 0);
        return;
    }
    struct buf out = {.max = 200};
    struct identity again;
    MUST(identity_write(&id, &out) && identity_read(buf_view(&out), &again, NULL) == OK);
    MUST(memcmp(&id, &again, sizeof id) == 0);
    check_peer_id(&id.peer);
    uint8_t signature[64];
    identity_sign(&id, BYTES("x"), signature);
    struct public_key key;
    MUST(public_key_read(bytes_at(id.public_key, sizeof id.public_key), &key, NULL) == OK);
    MUST(public_key_verify(&key, BYTES("x"), bytes_at(signature, 64)));
    MUST(!public_key_verify(&key, BYTES("y"), bytes_at(signature, 64)));
    identity_wipe(&id);
    buf_free(&out);
}

/* PrivateKey messages whose halves belong together: seed, public half, perhaps a second one, then changes. */
static void check_private(struct bytes in) {
    struct identity id;
    struct rng rng = rng_seeded(fuzz_u8(&in));
    uint8_t how = fuzz_u8(&in), data[96];
    identity_make(&id, &rng);
    memcpy(data, id.secret, 64);
    memcpy(data + 64, id.secret + 32, 32);
    size_t n = (size_t[]){64, 96, 32, 65}[how % 4];
    if (how & 4) data[fuzz_u8(&in) % 96] ^= fuzz_u8(&in);
    struct buf out = {.max = 1 << 17};
    if (how & 8) MUST(buf_add(&out, fuzz_part(&in)));
    MUST(pb_put_uint(&out, 1, how & 16 ? fuzz_u8(&in) : 1) && pb_put_bytes(&out, 2, bytes_at(data, n)));
    check_identity(buf_view(&out));
    buf_free(&out);
}

static void check_swarm_key(struct bytes file) {
    uint8_t key[32], again[32], print[16];
    struct why w = {OK, ""};
    enum err e = swarm_key_read(file, key, &w);
    MUST(e == w.code);
    if (e != OK) return;
    struct buf out = {.max = 200};
    MUST(swarm_key_write(key, &out) && swarm_key_read(buf_view(&out), again, NULL) == OK);
    MUST(memcmp(key, again, 32) == 0);
    swarm_key_fingerprint(key, print);
    buf_free(&out);
}

static void check_der(struct bytes in) {
    struct rd r = rd_of(in);
    while (!r.bad && r.in.n > 0) {
        uint8_t tag = r.in.p[0];
        struct rd copy = r;
        if (tag == DER_INTEGER) {
            struct bytes v = der_uint(&copy);
            MUST(copy.bad ? v.n == 0 : v.n == 0 || v.p[0] != 0);
        }
        struct bytes content = der_take(&r, tag);
        MUST(content.n <= in.n);
        if (tag == DER_SEQUENCE && !r.bad) r.in = content;
    }
    der_exactly(&r, BYTES("\x02\x01\x00"));
    der_end(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    uint8_t what = fuzz_u8(&in);
    struct bytes signature = what % 8 < 2 ? fuzz_part(&in) : (struct bytes){NULL, 0};
    in = fuzz_exact(bytes_sub(in, 0, 20000));
    struct peer_id id;
    switch (what % 8) {
    case 0: check_key(in, SIGNED, signature); break;
    case 1: check_key_data(what / 8 % 5, in, signature); break;
    case 2: check_identity(in); break;
    case 3: check_private(in); break;
    case 4: check_swarm_key(in); break;
    case 5:
        if (peer_id_parse(in, &id)) check_peer_id(&id);
        break;
    case 6:
        if (peer_id_read(in, &id)) check_peer_id(&id);
        break;
    case 7: check_der(in); break;
    }
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
