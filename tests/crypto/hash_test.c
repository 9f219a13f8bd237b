#include "crypto/hash.h"
#include "crypto/vector.h"

#include "tests/test.h"

static const struct {
    const char *text, *hash;
} rows[] = {
    /* FIPS 180-4 examples */
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};
TEST(sha256_published_vectors) {
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t want[32], got[32];
        test_hex(rows[i].hash, want, sizeof want);
        hash_sha256(bytes_of(rows[i].text), got);
        CHECK(memcmp(got, want, 32) == 0, "of '%s'", rows[i].text);
        struct sha256 s;
        sha256_start(&s);
        for (const char *p = rows[i].text; *p != '\0'; p++) sha256_add(&s, bytes_at(p, 1));
        sha256_add(&s, bytes_of(NULL));
        sha256_end(&s, got);
        CHECK(memcmp(got, want, 32) == 0, "byte by byte, of '%s'", rows[i].text);
    }
}
/* A million times 'a' (FIPS 180-4's third example), in pieces of each length, by vector code and without. */
TEST(sha256_of_pieces) {
    static uint8_t letters[1000];
    const struct vector have = vector;
    uint8_t want[32], got[32];
    test_hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", want, sizeof want);
    memset(letters, 'a', sizeof letters);
    for (size_t piece = 1; piece <= 1000; piece = piece < 200 ? piece + 1 : piece * 9 / 8)
        for (int with = 0; with < 2; with++) {
            struct sha256 s;
            vector = with == 1 ? have : (struct vector){0};
            sha256_start(&s);
            for (size_t left = 1000000, n; left > 0; left -= n) {
                n = MIN(left, piece);
                sha256_add(&s, bytes_at(letters, n));
                if (piece == 1 && left == 999000) vector = (struct vector){0}; /* one hash by both */
            }
            sha256_end(&s, got);
            CHECK(memcmp(got, want, 32) == 0, "pieces of %zu", piece);
        }
    vector = have;
}
static const struct {
    const char *key, *data, *mac;
} macs[] = {
    /* RFC 4231, cases 1, 2 and 6 (a key over one block) */
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "a"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "a"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b65792046697"
     "27374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
};
TEST(hmac_published_vectors) {
    for (size_t i = 0; i < LEN(macs); i++) {
        uint8_t key[160], data[80], want[32], got[32];
        struct bytes k = bytes_at(key, test_hex(macs[i].key, key, sizeof key));
        struct bytes d = bytes_at(data, test_hex(macs[i].data, data, sizeof data));
        test_hex(macs[i].mac, want, sizeof want);
        hash_hmac_sha256(k, d, got);
        CHECK(memcmp(got, want, 32) == 0, "case %zu", i);
    }
}
/* Noise's HKDF is RFC 5869 with the chaining key as salt and no info; its case 3 (no salt: a key of zeros
 * does the same in HMAC) has that form, and 42 bytes of output. */
TEST(hkdf_is_that_of_rfc_5869) {
    uint8_t ikm[22], zero[32] = {0}, want[42], out1[32], out2[32];
    memset(ikm, 0x0b, sizeof ikm);
    test_hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8", want,
             sizeof want);
    hash_noise_hkdf(zero, bytes_at(ikm, sizeof ikm), out1, out2);
    CHECK(memcmp(out1, want, 32) == 0, "first half");
    CHECK(memcmp(out2, want + 32, 10) == 0, "second half");
}
TEST(shake128_published_vector) { /* FIPS 202: SHAKE-128 of nothing */
    uint8_t want[32], got[32];
    test_hex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26", want, sizeof want);
    hash_shake128(bytes_of(NULL), got, sizeof got);
    CHECK(memcmp(got, want, 32) == 0, "SHAKE-128");
}
TEST(crypto_equal_compares_all_bytes) {
    uint8_t a[32] = {0}, b[32] = {0};
    CHECK(crypto_equal(a, b, 32) && crypto_equal(a, b, 0), "equal");
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] ^= 0x10;
        CHECK(!crypto_equal(a, b, 32), "byte %zu", i);
        b[i] ^= 0x10;
    }
}
