#include "base/mem.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include "tests/crypto/key_vectors.h"
#include "tests/test.h"

enum { ROOM = 4096 };
static struct bytes hex(const char *text, uint8_t *to) {
    return bytes_at(to, test_hex(text, to, ROOM));
}

static void check_is_the_specifications(const struct identity *id, const char *what) {
    uint8_t want[ROOM];
    char text[PEER_TEXT_MAX];
    peer_id_text(&id->peer, text);
    CHECK(strcmp(text, "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq") == 0, "%s: %s", what, text);
    CHECK(bytes_eq(bytes_at(id->public_key, sizeof id->public_key), hex(SPEC_ED25519_PUBLIC, want)), "%s",
          what);
}
TEST(identity_of_the_specification) {
    uint8_t raw[ROOM];
    struct bytes message = hex(SPEC_ED25519_PRIVATE, raw);
    struct identity id;
    struct why why = {OK, ""};
    CHECK(crypto_open() == OK && identity_read(message, &id, &why) == OK, "%s", why.text);
    check_is_the_specifications(&id, "raw");
    struct buf out = {.max = 68};
    CHECK(identity_write(&id, &out) && bytes_eq(buf_view(&out), message), "written differently");
    buf_free(&out);
    out.max = 67;
    CHECK(!identity_write(&id, &out) && out.n == 0, "half written");
    buf_free(&out);
    struct buf text = {.max = 200};
    CHECK(buf_add_text(&text, " \r\n") && base64_encode(&text, message, false) &&
          buf_add_text(&text, "\n\t "));
    CHECK(identity_read(buf_view(&text), &id, &why) == OK, "%s", why.text);
    check_is_the_specifications(&id, "base64 with blanks");
    CHECK(identity_read(bytes_trim(buf_view(&text)), &id, &why) == OK, "%s", why.text);
    check_is_the_specifications(&id, "base64");
    buf_free(&text);
    identity_wipe(&id);
    for (size_t i = 0; i < sizeof id.secret; i++) CHECK(id.secret[i] == 0, "the secret is still there");
}
TEST(identity_signs_what_verify_takes) {
    struct rng rng = rng_seeded(test_seed());
    struct identity id, other;
    struct public_key key;
    uint8_t signature[64];
    identity_make(&id, &rng);
    identity_make(&other, &rng);
    CHECK(!peer_id_eq(&id.peer, &other.peer), "two identities are the same");
    CHECK(public_key_read(bytes_at(id.public_key, sizeof id.public_key), &key, NULL) == OK);
    identity_sign(&id, BYTES("text"), signature);
    CHECK(public_key_verify(&key, BYTES("text"), bytes_at(signature, 64)));
    CHECK(!public_key_verify(&key, BYTES("next"), bytes_at(signature, 64)));
    identity_sign(&other, BYTES("text"), signature);
    CHECK(!public_key_verify(&key, BYTES("text"), bytes_at(signature, 64)), "somebody else's signature");
}
#define HALVES "7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d" PUBLIC_HALF
#define PUBLIC_HALF "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
TEST(identity_forms) {
    static const struct {
        const char *what, *hex, *says;
    } rows[] = {
        {"96 bytes", "08011260" HALVES PUBLIC_HALF, NULL},
        {"fields in the other order", "1240" HALVES "0801", NULL},
        {"96 bytes with unequal halves",
         "08011260" HALVES "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27f", "copies"},
        {"a seed for another half",
         "080112407f0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d" PUBLIC_HALF,
         "do not belong"},
        {"a public key", SPEC_ED25519_PUBLIC, "public key"},
        {"63 bytes", "0801123f08" HALVES, "not a libp2p private key"},
        {"Secp256k1", SPEC_SECP256K1_PRIVATE, "a Secp256k1 key"},
        {"ECDSA", SPEC_ECDSA_PRIVATE, "an ECDSA key"},
        {"RSA",
         "080012043002"
         "0201",
         "an RSA key"},
        {"type 4", "08041202aaaa", "an unknown kind of key"},
        {"half a message", "0801", "not a libp2p private key"},
        {"other bytes", "ff00ff", "neither"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t raw[ROOM];
        struct identity id;
        struct why why = {OK, ""};
        enum err e = identity_read(hex(rows[i].hex, raw), &id, &why);
        CHECK(e == (rows[i].says == NULL ? OK : E_INPUT), "%s: %s: %s", rows[i].what, err_name(e), why.text);
        if (rows[i].says == NULL)
            check_is_the_specifications(&id, rows[i].what);
        else
            CHECK(strstr(why.text, rows[i].says) != NULL, "%s: %s", rows[i].what, why.text);
    }
}
TEST(identity_of_other_files) {
    static const struct {
        const char *file, *says;
    } rows[] = {
        {"", "empty"},
        {" \r\n", "empty"},
        {"-----BEGIN PRIVATE KEY-----\nMC4=\n", "PEM"},
        {"{\"id\": 1}", "JSON"},
        {"/key/swarm/psk/1.0.0/\n", "private network"},
        {"CAESQA", "not a libp2p private key"},
        {"what is this?", "neither"},
    };
    struct identity id;
    struct why why;
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(identity_read(bytes_of(rows[i].file), &id, &why) == E_INPUT, "row %zu", i);
        CHECK(strstr(why.text, rows[i].says) != NULL, "row %zu: %s", i, why.text);
    }
    static uint8_t big[20000] = {0x08};
    CHECK(identity_read(bytes_at(big, sizeof big), &id, &why) == E_INPUT &&
          strstr(why.text, "too many") != NULL);
}
TEST(identity_cut_and_altered) {
    uint8_t raw[ROOM];
    struct bytes message = hex(SPEC_ED25519_PRIVATE, raw);
    struct identity id;
    for (size_t n = 0; n < message.n; n++) {
        CHECK(identity_read(bytes_at(raw, n), &id, NULL) == E_INPUT, "cut at %zu", n);
        for (int bit = 0; bit < 8; bit++) {
            raw[n] ^= (uint8_t)(1 << bit);
            CHECK(identity_read(message, &id, NULL) == E_INPUT, "byte %zu, bit %d", n, bit);
            raw[n] ^= (uint8_t)(1 << bit);
        }
    }
}
TEST(identity_read_without_memory) {
    uint8_t raw[ROOM];
    struct buf text = {.max = 200};
    struct identity id;
    CHECK(base64_encode(&text, hex(SPEC_ED25519_PRIVATE, raw), false));
    mem_fail_after(0);
    enum err e = identity_read(buf_view(&text), &id, NULL);
    mem_fail_after(-1);
    CHECK(e == E_MEMORY, "%s", err_name(e));
    CHECK(identity_read(buf_view(&text), &id, NULL) == OK);
    buf_free(&text);
}
