#include "crypto/key.h"

#include "base/mem.h"
#include "base/pb.h"
#include "base/text.h"
#include "tests/crypto/key_vectors.h"
#include "tests/test.h"

enum { KEY_ROOM = 2600 };

static struct bytes hex(const char *text, uint8_t *to) {
    return bytes_at(to, test_hex(text, to, KEY_ROOM));
}
/* An encoded public key that must be one. */
static struct public_key key_of(const char *text, uint8_t *room) {
    struct public_key key;
    struct why why = {OK, ""};
    CHECK(public_key_read(hex(text, room), &key, &why) == OK, "%s", why.text);
    return key;
}

static const struct {
    const char *key;
    enum key_type type;
    const char *name, *base58, *cid;
} peers[] = {
    {SPEC_ED25519_PUBLIC, KEY_ED25519, "Ed25519", "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
     "bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6"},
    {SPEC_SECP256K1_PUBLIC, KEY_SECP256K1, "Secp256k1",
     "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY",
     "bafzaajiiaijcca3xo7uzjzcsyilaj6i54cj44qk7kqzpoao5rti2pjx6udtdbp6kte"},
    {SPEC_ECDSA_PUBLIC, KEY_ECDSA, "ECDSA", "QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk",
     "bafzbeidigywdclqvl5hxfefwp5onbffcfife7pza57mmfb4tiqmtkdjw64"},
    {SPEC_RSA_PUBLIC, KEY_RSA, "RSA", "QmaeANgBs1DTSxWSrPPtobgQuxW8XTfsS4ydbK4rCHzqxG",
     "bafzbeifwzcumbiyql7bhv7fe7mixg6i7aohegq75k234m63bnw6dbicmzu"},
};
TEST(peer_id_published_vectors) {
    for (size_t i = 0; i < LEN(peers); i++) {
        uint8_t room[KEY_ROOM];
        struct public_key key = key_of(peers[i].key, room);
        struct peer_id id, other;
        char text[PEER_TEXT_MAX];
        CHECK(key.type == peers[i].type && strcmp(key_type_name(key.type), peers[i].name) == 0, "row %zu", i);
        public_key_peer_id(&key, &id);
        peer_id_text(&id, text);
        CHECK(strcmp(text, peers[i].base58) == 0, "%s", text);
        CHECK(peer_id_parse(bytes_of(peers[i].base58), &other) && peer_id_eq(&id, &other),
              "base58 of row %zu", i);
        CHECK(peer_id_parse(bytes_of(peers[i].cid), &other) && peer_id_eq(&id, &other), "CID of row %zu", i);
        CHECK(peer_id_read(peer_id_view(&id), &other) && peer_id_eq(&id, &other), "binary of row %zu", i);
        for (size_t n = 0; n < id.n; n++)
            CHECK(!peer_id_read(bytes_at(id.p, n), &other), "row %zu cut at %zu", i, n);
    }
    CHECK(strcmp(key_type_name((enum key_type)7), "unknown") == 0);
}
TEST(peer_id_forms_from_the_specification) {
    struct peer_id a, b;
    char text[PEER_TEXT_MAX];
    const char *cid = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
               *hash = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
    CHECK(peer_id_parse(bytes_of(cid), &a) && peer_id_parse(bytes_of(hash), &b) && peer_id_eq(&a, &b));
    peer_id_text(&a, text);
    CHECK(strcmp(text, hash) == 0, "%s", text);
    CHECK(peer_id_parse(bytes_of("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"), &a));
    a.n = 0;
    peer_id_text(&a, text);
    CHECK(text[0] == '\0', "no id has text %s", text);
}
TEST(peer_id_bad_text) {
    static const char *const rows[] = {
        "", "1", "Qm", "Q", "z", "b", "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3p",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq1",
        "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3p0",
        " 12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq", "hello",
        "/p2p/QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk",
        /* CIDs with the codec raw, and dag-pb (version 1), and one of version 0 in base58 with a prefix */
        "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        "zQmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk"};
    struct peer_id id;
    for (size_t i = 0; i < LEN(rows); i++) CHECK(!peer_id_parse(bytes_of(rows[i]), &id), "'%s'", rows[i]);
    char lots[300];
    memset(lots, '1', sizeof lots);
    for (size_t n = 1; n <= sizeof lots; n++) CHECK(!peer_id_parse(bytes_at(lots, n), &id), "%zu ones", n);
}
TEST(peer_id_bad_binary) {
    static const struct {
        const char *what, *hex;
    } rows[] = {
        {"sha2-256 of 31 bytes", "121f"
                                 "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"},
        {"sha2-256 with a byte behind", "1220"
                                        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00"},
        {"sha2-512's code", "1320"
                            "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
        {"an overlong code", "920020"
                             "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
        {"identity of nothing", "0000"},
        {"identity of no key", "00020801"},
        {"key of 31 bytes", "00230801121f1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce2"},
        {"fields in another order",
         "002412201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e0801"},
        {"a third field", "00260801"
                          "12201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e1801"},
        {"a length that is not minimal",
         "00250801"
         "12a0001ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"},
        {"not on the curve", "00250802122102"
                             "0000000000000000000000000000000000000000000000000000000000000005"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t room[KEY_ROOM];
        struct peer_id id;
        CHECK(!peer_id_read(hex(rows[i].hex, room), &id), "%s", rows[i].what);
    }
}

/* ---- signatures */
static const struct {
    const char *what, *key, *message, *signature;
    bool good;
} signatures[] = {
    {"go RSA 2048", GO_RSA_PUBLIC, GO_MESSAGE, GO_RSA_SIGNATURE, true},
    {"go Secp256k1", GO_SECP256K1_PUBLIC, GO_MESSAGE, GO_SECP256K1_SIGNATURE, true},
    {"go ECDSA", GO_ECDSA_PUBLIC, GO_MESSAGE, GO_ECDSA_SIGNATURE, true},
    {"RSA 8192, exponent 2^31-1", RSA8192_PUBLIC, GO_MESSAGE, RSA8192_SIGNATURE, true},
    {"RSA 2048, exponent 3", RSA2048_E3_PUBLIC, GO_MESSAGE, RSA2048_E3_SIGNATURE, true},
    {"SHA-1 instead of SHA-256", RSA2048_E3_PUBLIC, GO_MESSAGE, RSA2048_E3_SHA1_SIGNATURE, false},
    {"another message", GO_RSA_PUBLIC, "Libp2p is the _worst_!", GO_RSA_SIGNATURE, false},
    {"another message", GO_SECP256K1_PUBLIC, "Libp2p is the _worst_!", GO_SECP256K1_SIGNATURE, false},
    {"another message", GO_ECDSA_PUBLIC, "Libp2p is the _worst_!", GO_ECDSA_SIGNATURE, false},
    {"another key", SPEC_ECDSA_PUBLIC, GO_MESSAGE, GO_ECDSA_SIGNATURE, false},
    {"another key", SPEC_SECP256K1_PUBLIC, GO_MESSAGE, GO_SECP256K1_SIGNATURE, false},
    {"another key", RSA2048_E3_PUBLIC, GO_MESSAGE, GO_RSA_SIGNATURE, false},
    {"another type", GO_ECDSA_PUBLIC, GO_MESSAGE, GO_SECP256K1_SIGNATURE, false},
    /* RFC 8032 7.1, tests 1 to 3 */
    {"Ed25519, no message", "08011220d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f"
     "0595bbe2465514143"
     "8e7a100b",
     true},
    {"Ed25519, one byte", "080112203d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "r",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2ea"
     "eb4302aeeb00d2916"
     "12bb0c00",
     true},
    {"Ed25519, another byte", "080112203d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "s",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2ea"
     "eb4302aeeb00d2916"
     "12bb0c00",
     false},
};
TEST(public_key_verify_known_signatures) {
    CHECK(crypto_open() == OK);
    for (size_t i = 0; i < LEN(signatures); i++) {
        uint8_t a[KEY_ROOM], b[KEY_ROOM];
        struct public_key key = key_of(signatures[i].key, a);
        bool good = public_key_verify(&key, bytes_of(signatures[i].message), hex(signatures[i].signature, b));
        CHECK(good == signatures[i].good, "row %zu: %s", i, signatures[i].what);
    }
}
/* Signatures by the keys of the specification, both values of s for Secp256k1. */
TEST(public_key_verify_of_noise_static_key) {
    static const struct {
        const char *key, *signature;
    } rows[] = {
        {SPEC_RSA_PUBLIC, STATIC_BY_SPEC_RSA},
        {RSA8192_PUBLIC, STATIC_BY_RSA8192},
        {SPEC_ECDSA_PUBLIC, STATIC_BY_SPEC_ECDSA},
        {SPEC_SECP256K1_PUBLIC, STATIC_BY_SPEC_SECP256K1},
        {SPEC_SECP256K1_PUBLIC, STATIC_BY_SPEC_SECP256K1_HIGH},
    };
    CHECK(crypto_open() == OK);
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t a[KEY_ROOM], b[KEY_ROOM], text[56] = "noise-libp2p-static-key:";
        test_hex(STATIC_PUBLIC, text + 24, 32);
        struct public_key key = key_of(rows[i].key, a);
        CHECK(public_key_verify(&key, bytes_at(text, sizeof text), hex(rows[i].signature, b)), "row %zu", i);
    }
}
/* Each signature cut at every byte, lengthened, and with a bit flipped in every byte; likewise each key. */
TEST(public_key_verify_altered) {
    CHECK(crypto_open() == OK);
    for (size_t i = 0; i < LEN(signatures); i++) {
        if (!signatures[i].good || strstr(signatures[i].what, "8192") != NULL)
            continue; /* that one is slow under ASan */
        uint8_t a[KEY_ROOM], b[KEY_ROOM];
        struct public_key key = key_of(signatures[i].key, a);
        struct bytes message = bytes_of(signatures[i].message), s = hex(signatures[i].signature, b);
        for (size_t n = 0; n < s.n; n++) {
            CHECK(!public_key_verify(&key, message, bytes_at(b, n)), "row %zu cut at %zu", i, n);
            b[n] ^= (uint8_t)(1 << n % 8);
            CHECK(!public_key_verify(&key, message, s), "row %zu, byte %zu of the signature", i, n);
            b[n] ^= (uint8_t)(1 << n % 8);
        }
        b[s.n] = 0;
        CHECK(!public_key_verify(&key, message, bytes_at(b, s.n + 1)), "row %zu: a byte behind", i);
        for (size_t n = 0; n < key.encoded.n; n++) {
            struct public_key other;
            CHECK(public_key_read(bytes_at(a, n), &other, NULL) != OK, "row %zu: key cut at %zu", i, n);
            a[n] ^= (uint8_t)(1 << n % 8);
            bool good = public_key_read(key.encoded, &other, NULL) == OK &&
                        public_key_verify(&other, message, s);
            CHECK(!good, "row %zu, byte %zu of the key", i, n);
            a[n] ^= (uint8_t)(1 << n % 8);
        }
    }
}
/* ECDSA signatures that are good but for their encoding, or have r or s out of range. */
TEST(ecdsa_signature_form) {
    static const struct {
        const char *what, *hex;
    } rows[] = {
        {"nothing in it", "3000"},
        {"r and s 0", "3006020100020100"},
        {"s 0", "3026022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a65020100"},
        {"r is the order",
         "3026022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101"},
        {"negative r", "30450220846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a65022100cd992bb"
                       "7bd2bcc28c7db04987d10adc"
                       "490fe348270954f7696cb0dffff0dfc3d"},
        {"a long length", "308146022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a65022100"
                          "cd992bb7bd2bcc28c7db04987d1"
                          "0adc490fe348270954f7696cb0dffff0dfc3d"},
        {"a longer length", "30820046022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a6502"
                            "2100cd992bb7bd2bcc28c7db"
                            "04987d10adc490fe348270954f7696cb0dffff0dfc3d"},
        {"an indefinite length", "3080022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a650"
                                 "22100cd992bb7bd2bcc28c7db0"
                                 "4987d10adc490fe348270954f7696cb0dffff0dfc3d0000"},
        {"a padded s", "3047022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a6502220000cd9"
                       "92bb7bd2bcc28c7db04987d10adc"
                       "490fe348270954f7696cb0dffff0dfc3d"},
        {"a third number", "3049022100846a6685b9e72b560cb2fc4a75f9cbc38a90aaeaa7f3f25ee719832db7b93a65022100c"
                           "d992bb7bd2bcc28c7db04987d10"
                           "adc490fe348270954f7696cb0dffff0dfc3d020101"},
    };
    CHECK(crypto_open() == OK);
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t a[KEY_ROOM], b[KEY_ROOM];
        struct public_key key = key_of(GO_ECDSA_PUBLIC, a);
        CHECK(!public_key_verify(&key, bytes_of(GO_MESSAGE), hex(rows[i].hex, b)), "%s", rows[i].what);
    }
}
TEST(ecdsa_point_off_the_curve) {
    uint8_t a[KEY_ROOM], b[KEY_ROOM];
    CHECK(crypto_open() == OK);
    struct public_key key = key_of(GO_ECDSA_PUBLIC, a);
    struct bytes s = hex(GO_ECDSA_SIGNATURE, b);
    a[key.encoded.n - 1] ^= 1;
    CHECK(!public_key_verify(&key, bytes_of(GO_MESSAGE), s), "y altered");
    /* A pair that fits the equations of ECDSA for a point of another curve: r was chosen, and the point made
     * so that u1 G + Q has it as its x. */
    test_hex("f8e04255ec424e2ae3fd3511941ad757d707489ff614ff952c3e95e79c5ab253"
             "6e1f1b7f26b6e365e37adcdb92910cde99d48c490f05396b7abfe4a578beae6a",
             a + key.encoded.n - 64, 64);
    uint8_t made[64];
    size_t n = test_hex("3038021a0100000000000000000000000000000000000000000000000018"
                        "021a0100000000000000000000000000000000000000000000000018",
                        made, sizeof made);
    CHECK(!public_key_verify(&key, bytes_of(GO_MESSAGE), bytes_at(made, n)),
          "a signature by a point of another curve");
    memset(a + key.encoded.n - 64, 0, 64);
    CHECK(!public_key_verify(&key, bytes_of(GO_MESSAGE), s), "0, 0");
    memset(a + key.encoded.n - 64, 0xff, 64);
    CHECK(!public_key_verify(&key, bytes_of(GO_MESSAGE), s), "beyond the prime");
}

/* ---- RSA keys: sizes and DER */
static void put_der(struct buf *b, uint8_t tag, struct bytes content) {
    bool good = wr_u8(b, tag);
    if (content.n >= 0x100)
        good = good && wr_u8(b, 0x82) && wr_u16(b, (uint16_t)content.n);
    else if (content.n >= 0x80)
        good = good && wr_u8(b, 0x81) && wr_u8(b, (uint8_t)content.n);
    else
        good = good && wr_u8(b, (uint8_t)content.n);
    CHECK(good && buf_add(b, content));
}
/* An encoded RSA key with a modulus of so many bits, whose lowest byte is `low`. */
static void make_rsa(struct buf *out, size_t bits, uint8_t low, uint64_t exponent) {
    struct buf numbers = {.max = 4096}, bit_string = {.max = 4096}, info = {.max = 4096},
               spki = {.max = 4096};
    uint8_t modulus[2000] = {0}, e[9] = {0};
    size_t n = bits / 8 + 1; /* with a zero byte in front where the first bit would be a sign */
    modulus[0] = (uint8_t)(bits % 8 == 0 ? 0 : 1 << (bits % 8 - 1));
    if (bits % 8 == 0) modulus[1] = 0x80;
    for (size_t i = 2; i < n; i++) modulus[i] = (uint8_t)(i * 37);
    modulus[n - 1] = low;
    put_der(&numbers, 0x02, bytes_at(modulus, n));
    put_u64(e + 1, exponent);
    size_t skip = 0;
    while (skip < 8 && e[skip] == 0 && e[skip + 1] < 0x80) skip++;
    put_der(&numbers, 0x02, bytes_at(e + skip, sizeof e - skip));
    CHECK(wr_u8(&bit_string, 0));
    put_der(&bit_string, 0x30, buf_view(&numbers));
    CHECK(buf_add(&info, BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00")));
    put_der(&info, 0x03, buf_view(&bit_string));
    put_der(&spki, 0x30, buf_view(&info));
    buf_clear(out);
    CHECK(pb_put_uint(out, 1, KEY_RSA) && pb_put_bytes(out, 2, buf_view(&spki)));
    buf_free(&numbers);
    buf_free(&bit_string);
    buf_free(&info);
    buf_free(&spki);
}
TEST(rsa_key_sizes) {
    static const struct {
        size_t bits;
        uint8_t low;
        uint64_t exponent;
        enum err want;
    } rows[] = {
        {2048, 1, 65537, OK},           {2047, 1, 65537, E_LIMIT},
        {2049, 1, 65537, OK},           {8191, 1, 65537, OK},
        {8192, 1, 65537, OK},           {8193, 1, 65537, E_LIMIT},
        {1024, 1, 65537, E_LIMIT},      {512, 1, 3, E_LIMIT},
        {15900, 1, 3, E_LIMIT},         {2048, 2, 65537, E_INPUT},
        {2048, 1, 0, E_LIMIT},          {2048, 1, 1, E_LIMIT},
        {2048, 1, 2, E_LIMIT},          {2048, 1, 3, OK},
        {2048, 1, 65536, E_LIMIT},      {2048, 1, 0x7fffffff, OK},
        {2048, 1, 0x80000001, E_LIMIT}, {2048, 1, UINT64_C(0x100000003), E_LIMIT},
        {2048, 1, UINT64_MAX, E_LIMIT},
    };
    struct buf encoded = {.max = 4096};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct public_key key;
        struct why why = {OK, ""};
        make_rsa(&encoded, rows[i].bits, rows[i].low, rows[i].exponent);
        enum err e = public_key_read(buf_view(&encoded), &key, &why);
        CHECK(e == rows[i].want, "row %zu: %s: %s", i, err_name(e), why.text);
    }
    buf_free(&encoded);
}
TEST(rsa_key_lying_lengths) {
    uint8_t good[KEY_ROOM], data[KEY_ROOM];
    struct public_key key = key_of(GO_RSA_PUBLIC, good), other;
    size_t head = key.encoded.n - key.data.n;
    memcpy(data, good, key.encoded.n);
    /* everything before the modulus: tags, lengths, the algorithm */
    for (size_t i = head; i < head + 32; i++) {
        for (unsigned v = 0; v < 256; v++) {
            data[i] = (uint8_t)v;
            bool same = v == good[i];
            CHECK((public_key_read(bytes_at(data, key.encoded.n), &other, NULL) == OK) == same,
                  "byte %zu = %u", i - head, v);
        }
        data[i] = good[i];
    }
}
TEST(public_key_encoding) {
    uint8_t room[KEY_ROOM], order[KEY_ROOM];
    struct public_key key = key_of(SPEC_ED25519_PUBLIC, room), other;
    struct peer_id a, b;
    public_key_peer_id(&key, &a);
    /* the other order and an unknown field: the same key, and the id of the canonical encoding */
    struct bytes odd = hex("12201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e08011a0161",
                           order);
    CHECK(public_key_read(odd, &other, NULL) == OK);
    public_key_peer_id(&other, &b);
    CHECK(peer_id_eq(&a, &b), "the id depends on the spelling");
    static const struct {
        const char *what, *hex;
        enum err want;
    } rows[] = {
        {"nothing", "", E_INPUT},
        {"no data", "0801", E_INPUT},
        {"no type", "12021ed1", E_INPUT},
        {"unknown type", "080412021ed1", E_INPUT},
        {"a huge type", "08ffffffff0f12021ed1", E_INPUT},
        {"type 2^32 + 1", "088180808010122000000000000000000000000000000000000000000000000000000000000000",
         E_INPUT},
        {"type as bytes", "0a010112021ed1", E_INPUT},
        {"data as number", "08011001", E_INPUT},
        {"Ed25519 of 2 bytes", "080112021ed1", E_INPUT},
        {"Secp256k1 uncompressed",
         "0802124104"
         "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
         "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
         E_INPUT},
        {"RSA of no bytes", "08001200", E_INPUT},
        {"ECDSA of no bytes", "08031200", E_INPUT},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        enum err e = public_key_read(hex(rows[i].hex, room), &other, NULL);
        CHECK(e == rows[i].want, "%s: %s", rows[i].what, err_name(e));
    }
    static uint8_t big[PUBLIC_KEY_MAX + 1];
    CHECK(public_key_read(bytes_at(big, sizeof big), &other, NULL) == E_LIMIT);
    CHECK(public_key_read(bytes_at(big, sizeof big - 1), &other, NULL) == E_INPUT);
}
