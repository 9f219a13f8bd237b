#include "crypto/aead.h"

#include "crypto/rng.h"
#include "crypto/vector.h"
#include "tests/test.h"

/* RFC 8439 2.8.2 has a nonce that begins with 07 00 00 00, which Noise can not spell; its appendix A.5 begins
 * with 00 00 00 00 and goes on with 01 02 .. 08, the counter 0x0807060504030201. */
#define A5_COUNTER UINT64_C(0x0807060504030201)
#define A5_KEY "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0"
#define A5_AD "f33388860000000000004e91"
#define A5_SEALED                                                                                            \
    "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0"       \
    "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"       \
    "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"       \
    "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"       \
    "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"       \
    "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709beead9d67890cbb22392336fea1851f38"
static const char a5_text[] =
    "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or "
    "obsoleted by other documents at any time. It is inappropriate to use Internet-Drafts as reference "
    "material "
    "or to cite them other than as /\xe2\x80\x9cwork in progress./\xe2\x80\x9d";

TEST(aead_published_vector) {
    uint8_t key[32], ad[12], sealed[400], out[400];
    test_hex(A5_KEY, key, sizeof key);
    struct bytes a = bytes_at(ad, test_hex(A5_AD, ad, sizeof ad)), text = bytes_of(a5_text);
    struct bytes s = bytes_at(sealed, test_hex(A5_SEALED, sealed, sizeof sealed));
    CHECK(s.n == text.n + AEAD_TAG, "the vector has %zu bytes for %zu", s.n, text.n);
    CHECK(aead_open(out, key, A5_COUNTER, a, s), "the vector does not open");
    CHECK(bytes_eq(bytes_at(out, text.n), text), "other text");
    aead_seal(out, key, A5_COUNTER, a, text);
    CHECK(bytes_eq(bytes_at(out, s.n), s), "sealed differently");
}
TEST(aead_in_place_and_every_bit_counts) {
    uint8_t key[32] = {1}, data[40 + AEAD_TAG], out[sizeof data], ad[3] = {9, 8, 7};
    for (size_t i = 0; i < 40; i++) data[i] = (uint8_t)i;
    aead_seal(data, key, 5, bytes_at(ad, 3), bytes_at(data, 40));
    struct bytes sealed = bytes_at(data, sizeof data);
    CHECK(aead_open(out, key, 5, bytes_at(ad, 3), sealed) && out[0] == 0 && out[39] == 39, "does not open");
    CHECK(!aead_open(out, key, 6, bytes_at(ad, 3), sealed), "another counter");
    CHECK(!aead_open(out, key, 5 | UINT64_C(1) << 63, bytes_at(ad, 3), sealed), "the counter's highest bit");
    CHECK(!aead_open(out, key, 5, bytes_at(ad, 2), sealed), "shorter associated data");
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!aead_open(out, key, 5, bytes_at(ad, 3), sealed), "bit %zu", bit);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < sealed.n; n++)
        CHECK(!aead_open(out, key, 5, bytes_at(ad, 3), bytes_at(data, n)), "cut at %zu", n);
    CHECK(aead_open(data, key, 5, bytes_at(ad, 3), sealed) && data[0] == 0 && data[39] == 39, "in place");
    aead_seal(data, key, 0, bytes_of(NULL), bytes_of(NULL));
    CHECK(aead_open(out, key, 0, bytes_of(NULL), bytes_at(data, AEAD_TAG)), "an empty text");
}

/* Each length has its own way through vector code; libsodium must seal and open the same. */
TEST(aead_by_vector_code_is_that_of_libsodium) {
    enum { MOST = 70000 };
    static uint8_t plain[MOST], one[MOST + AEAD_TAG], other[MOST + AEAD_TAG], back[MOST];
    const struct vector have = vector;
    struct rng rng;
    uint8_t key[32];
    struct bytes ad = bytes_at(plain, 32);
    rng_system(&rng);
    rng_fill(&rng, plain, sizeof plain);
    rng_fill(&rng, key, sizeof key);
    for (size_t n = 0; n <= MOST; n = n < 1100 ? n + 1 : n * 5 / 4) {
        ad.n = n % 33;
        struct bytes text = bytes_at(plain, n), sealed = bytes_at(one, n + AEAD_TAG);
        vector = (struct vector){0};
        aead_seal(other, key, n, ad, text);
        vector = have;
        aead_seal(one, key, n, ad, text);
        CHECK(bytes_eq(sealed, bytes_at(other, n + AEAD_TAG)), "%zu sealed differently", n);
        CHECK(aead_open(back, key, n, ad, sealed) && bytes_eq(bytes_at(back, n), text), "%zu", n);
        CHECK(aead_open(other, key, n, ad, bytes_at(other, n + AEAD_TAG)), "%zu in place", n);
        CHECK(bytes_eq(bytes_at(other, n), text), "%zu in place", n);
        one[n * 7 / 8] ^= 0x20;
        CHECK(!aead_open(back, key, n, ad, sealed), "%zu forged", n);
    }
    vector = have;
}
TEST(aead_without_vector_code) {
    const struct vector have = vector;
    vector = (struct vector){0};
    aead_published_vector();
    vector = have;
}

static const struct {
    const char *key, *nonce, *stream;
} streams[] = {
    /* NaCl, tests/stream3.c */
    {"1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389",
     "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37",
     "eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880"},
    /* a private network's key and the nonce 00 01 .. 17 */
    {"6189c5cf0b87fb800c1a9feeda73c6ab5e998db48fb9e6a978575c770ceef683",
     "000102030405060708090a0b0c0d0e0f1011121314151617",
     "20847ee9fb08cb6a2da5306341e2cc059972d4d8b5c9c16e04c5c5f0cf8a15e7"},
};
TEST(xsalsa20_published_vectors) {
    for (size_t i = 0; i < LEN(streams); i++) {
        uint8_t key[32], nonce[24], want[32], got[32] = {0};
        struct xsalsa20 x;
        test_hex(streams[i].key, key, sizeof key);
        test_hex(streams[i].nonce, nonce, sizeof nonce);
        test_hex(streams[i].stream, want, sizeof want);
        xsalsa20_init(&x, key, nonce);
        xsalsa20_xor(&x, got, sizeof got);
        CHECK(memcmp(got, want, sizeof want) == 0, "row %zu", i);
    }
}
TEST(xsalsa20_in_pieces_is_the_same_stream) {
    static uint8_t whole[5000], pieces[5000];
    uint8_t key[32] = {3}, nonce[24] = {4};
    struct rng rng = rng_seeded(test_seed());
    for (int round = 0; round < 50; round++) {
        struct xsalsa20 a, b;
        memset(whole, 0, sizeof whole);
        memset(pieces, 0, sizeof pieces);
        xsalsa20_init(&a, key, nonce);
        xsalsa20_init(&b, key, nonce);
        xsalsa20_xor(&a, whole, sizeof whole);
        size_t most = 1 + rng_below(&rng, 300);
        for (size_t n = 0; n < sizeof pieces;) {
            size_t part = rng_below(&rng, most + 1);
            part = MIN(part, sizeof pieces - n);
            xsalsa20_xor(&b, pieces + n, part);
            n += part;
        }
        CHECK(memcmp(whole, pieces, sizeof whole) == 0, "pieces up to %zu", most);
    }
}

TEST(x25519_published_vectors) { /* RFC 7748 5.2 and 6.1 */
    static const struct {
        const char *scalar, *point, *out;
    } rows[] = {
        {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
         "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
         "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
        {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
         "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
         "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    };
    uint8_t a[32], b[32], want[32], got[32];
    for (size_t i = 0; i < LEN(rows); i++) {
        test_hex(rows[i].scalar, a, 32);
        test_hex(rows[i].point, b, 32);
        test_hex(rows[i].out, want, 32);
        CHECK(x25519_dh(got, a, b) && memcmp(got, want, 32) == 0, "row %zu", i);
    }
    uint8_t alice[32], bob[32], alice_public[32], bob_public[32];
    test_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", a, 32);
    test_hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", b, 32);
    x25519_keypair(a, alice, alice_public);
    x25519_keypair(b, bob, bob_public);
    test_hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", want, 32);
    CHECK(memcmp(alice_public, want, 32) == 0, "Alice's public key");
    test_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", want, 32);
    CHECK(memcmp(bob_public, want, 32) == 0, "Bob's public key");
    test_hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", want, 32);
    CHECK(x25519_dh(got, alice, bob_public) && memcmp(got, want, 32) == 0, "Alice's secret");
    CHECK(x25519_dh(got, bob, alice_public) && memcmp(got, want, 32) == 0, "Bob's secret");
}
TEST(x25519_refuses_low_order_points) {
    static const char *const points[] = {
        /* all of them below 2^255, and two of their other spellings (7748 section 6.1) */
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    uint8_t secret[32], point[32], out[32];
    for (size_t i = 0; i < sizeof secret; i++) secret[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < LEN(points); i++) {
        test_hex(points[i], point, 32);
        CHECK(!x25519_dh(out, secret, point), "point %zu", i);
    }
}
