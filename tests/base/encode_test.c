/* tests/base/encode_test.c: vectors of RFC 4648 section 10, of the base58 draft and of multibase */
#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

static bool base64_encode_padded(struct buf *out, struct bytes in) {
    return base64_encode(out, in, false);
}
static bool base64_encode_url(struct buf *out, struct bytes in) {
    return base64_encode(out, in, true);
}
static bool base64_decode_padded(struct buf *out, struct bytes in) {
    return base64_decode(out, in, false);
}
static bool base64_decode_url(struct buf *out, struct bytes in) {
    return base64_decode(out, in, true);
}

struct code {
    const char *name;
    bool (*encode)(struct buf *, struct bytes), (*decode)(struct buf *, struct bytes);
};
static const struct code hex = {"hex", hex_encode, hex_decode},
                         base58 = {"base58", base58_encode, base58_decode},
                         base32 = {"base32", base32_encode, base32_decode},
                         base36 = {"base36", NULL, base36_decode},
                         base64 = {"base64", base64_encode_padded, base64_decode_padded},
                         url = {"base64url", base64_encode_url, base64_decode_url};

static const struct {
    const struct code *code;
    const char *hex, *text;
} rows[] = {
    {&base32, "", ""},
    {&base32, "66", "my"},
    {&base32, "666f", "mzxq"},
    {&base32, "666f6f", "mzxw6"},
    {&base32, "666f6f62", "mzxw6yq"},
    {&base32, "666f6f6261", "mzxw6ytb"},
    {&base32, "666f6f626172", "mzxw6ytboi"},
    {&base64, "", ""},
    {&base64, "66", "Zg=="},
    {&base64, "666f", "Zm8="},
    {&base64, "666f6f", "Zm9v"},
    {&base64, "666f6f62", "Zm9vYg=="},
    {&base64, "666f6f6261", "Zm9vYmE="},
    {&base64, "666f6f626172", "Zm9vYmFy"},
    {&base64, "fbff", "+/8="},
    {&url, "fbff", "-_8"},
    {&url, "666f6f62", "Zm9vYg"},
    {&hex, "", ""},
    {&hex, "00ff7f", "00ff7f"},
    {&base58, "", ""},
    {&base58, "61", "2g"},
    {&base58, "626262", "a3gV"},
    {&base58, "636363", "aPEr"},
    {&base58, "00", "1"},
    {&base58, "0000", "11"},
    {&base58, "0001", "12"},
    {&base58, "39", "z"},
    {&base58, "3a", "21"},
    {&base58, "00000000000000000000", "1111111111"},
    {&base58, "572e4794", "3EFU7m"},
    {&base58, "516b6fcd0f", "ABnLTmg"},
    {&base58, "bf4f89001e670274dd", "3SEo3LWLoPntC"},
    {&base58, "ecac89cad93923c02321", "EJDM8drfXA6uyA"},
    {&base58, "10c8511e", "Rt5zm"},
    {&base58, "00eb15231dfceb60925886b67d065299925915aeb172c06647", "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L"},
    {&base58, "73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2"},
    {&base58, "48656c6c6f20576f726c6421", "2NEpo7TZRRrLZSi2U"},
    {&base58, "0000287fb4cd", "11233QC4"},
    {&base36, "00", "0"},
    {&base36, "23", "z"},
    {&base36, "24", "10"},
    {&base36, "00000001", "0001"},
    {&base36, "796573206d616e692021", "2lcpzo5yikidynfl"},
    {&base36, "00796573206d616e692021", "02lcpzo5yikidynfl"},
};

TEST(encode_vectors_both_ways) {
    uint8_t in[64];
    for (size_t i = 0; i < LEN(rows); i++) {
        struct bytes want = bytes_at(in, test_hex(rows[i].hex, in, sizeof(in)));
        struct buf out = {.max = 200};
        const struct code *c = rows[i].code;
        CHECK(c->encode == NULL || (c->encode(&out, want) && bytes_is(buf_view(&out), rows[i].text)),
              "%s %s: %s", c->name, rows[i].text, buf_cstr(&out));
        buf_clear(&out);
        CHECK(c->decode(&out, bytes_of(rows[i].text)) && bytes_eq(buf_view(&out), want), "%s %s", c->name,
              rows[i].text);
        buf_free(&out);
    }
}

static const struct {
    const struct code *code;
    const char *text;
} wrong[] = {
    {&hex, "0"},
    {&hex, "abc"},
    {&hex, "0g"},
    {&hex, "g0"},
    {&hex, "0x00"},
    {&hex, " 00"},
    {&hex, "0\x10"},
    {&hex, "@a"},
    {&base58, "0"},
    {&base58, "O"},
    {&base58, "I"},
    {&base58, "l"},
    {&base58, "2g "},
    {&base58, "2\xffg"},
    {&base58, "11l"},
    {&base58, "3EFU7m:"},
    {&base58, "{"},
    {&base32, "m"},
    {&base32, "mzx"},
    {&base32, "mzxw6y"},
    {&base32, "mz"},
    {&base32, "m1"},
    {&base32, "my======"},
    {&base32, "m8"},
    {&base32, "mzxw6yt`"},
    {&base32, "\x0dzxw"},
    {&base36, "A"},
    {&base36, "0-"},
    {&base36, "z{"},
    {&base64, "Z"},
    {&base64, "Zg="},
    {&base64, "Zh=="},
    {&base64, "Zm9="},
    {&base64, "===="},
    {&base64, "="},
    {&base64, "A==="},
    {&base64, "Zg==Zg=="},
    {&base64, "Zm9v===="},
    {&base64, "-_8="},
    {&base64, "Zm 9v"},
    {&base64, "Zm9vYg==\n"},
    {&url, "+/8"},
    {&url, "Zm8=="},
};

TEST(encode_wrong_texts_leave_the_output_alone) {
    for (size_t i = 0; i < LEN(wrong); i++) {
        struct buf out = {.max = 200};
        buf_add_text(&out, "before");
        bool good = wrong[i].code->decode(&out, bytes_of(wrong[i].text));
        CHECK(!good && bytes_is(buf_view(&out), "before"), "%s: %s", wrong[i].code->name, wrong[i].text);
        buf_free(&out);
    }
    struct buf out = {.max = 200};
    CHECK(hex_decode(&out, BYTES("aAfF")) && base32_decode(&out, BYTES("MzxW6")) &&
          base64_decode(&out, BYTES("Zg"), false));
    CHECK(base64_decode(&out, BYTES("Zg=="), true) && bytes_is(buf_view(&out), "\xaa\xff"
                                                                               "foo"
                                                                               "ff"));
    buf_free(&out);
}

TEST(encode_random_bytes_of_every_length_come_back) {
    static const struct code *const codes[] = {&hex, &base58, &base32, &base64, &url};
    uint64_t state = test_seed();
    uint8_t in[256];
    for (size_t n = 0; n <= sizeof(in); n++) {
        for (size_t i = 0; i < n; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            in[i] = i < n % 7 ? 0 : (uint8_t)(state >> 56);
        }
        for (size_t k = 0; k < LEN(codes); k++) {
            struct buf text = {.max = 1000}, back = {.max = n};
            CHECK(codes[k]->encode(&text, bytes_at(in, n)), "%s of %zu", codes[k]->name, n);
            CHECK(codes[k]->decode(&back, buf_view(&text)), "%s of %zu: %s", codes[k]->name, n,
                  buf_cstr(&text));
            CHECK(bytes_eq(buf_view(&back), bytes_at(in, n)), "%s of %zu: %s", codes[k]->name, n,
                  buf_cstr(&text));
            struct buf less = {.max = text.n - 1};
            CHECK(n == 0 || (!codes[k]->encode(&less, bytes_at(in, n)) && less.n == 0), "%s of %zu",
                  codes[k]->name, n);
            buf_free(&text);
            buf_free(&back);
            buf_free(&less);
        }
    }
}

TEST(base58_and_base36_have_length_limits) {
    uint8_t in[401];
    struct buf out = {.max = 1000};
    memset(in, 0xff, sizeof(in));
    CHECK(base58_encode(&out, bytes_at(in, 256)) && out.n == 350 && !base58_encode(&out, bytes_at(in, 257)));
    buf_clear(&out);
    memset(in, 'z', sizeof(in));
    CHECK(base58_decode(&out, bytes_at(in, 400)) && out.n == 293 && !base58_decode(&out, bytes_at(in, 401)));
    buf_clear(&out);
    CHECK(base36_decode(&out, bytes_at(in, 400)) && out.n == 259 && !base36_decode(&out, bytes_at(in, 401)));
    buf_clear(&out);
    memset(in, '1', sizeof(in));
    CHECK(base58_decode(&out, bytes_at(in, 400)) && out.n == 400 && out.p[0] == 0 && out.p[399] == 0);
    mem_fail_after(0);
    struct buf none = {.max = 1000};
    CHECK(!base58_decode(&none, BYTES("2g")) && none.n == 0);
    mem_fail_after(-1);
    buf_free(&out);
}

TEST(multibase_texts) {
    static const struct {
        const char *text, *want;
    } forms[] = {{"z2g", "a"},   {"bmzxw6", "foo"}, {"f666f", "fo"}, {"mZm8", "fo"},
                 {"uZm8", "fo"}, {"k2p", "a"},      {"z", ""}};
    for (size_t i = 0; i < LEN(forms); i++) {
        struct buf out = {.max = 100};
        CHECK(multibase_decode(&out, bytes_of(forms[i].text)) && bytes_is(buf_view(&out), forms[i].want),
              "%s", forms[i].text);
        buf_free(&out);
    }
    struct buf out = {.max = 100};
    CHECK(!multibase_decode(&out, BYTES("")) && !multibase_decode(&out, BYTES("Z2g")) &&
          !multibase_decode(&out, BYTES("\x00"
                                        "66")));
    CHECK(!multibase_decode(&out, BYTES("b0")) && out.n == 0);
    buf_free(&out);
}
