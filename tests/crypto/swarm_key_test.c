#include "crypto/key.h"

#include "tests/test.h"

#define HEAD "/key/swarm/psk/1.0.0/\n"
#define KEY16 "6189c5cf0b87fb800c1a9feeda73c6ab5e998db48fb9e6a978575c770ceef683"
#define KEY64 "YYnFzwuH+4AMGp/u2nPGq16ZjbSPueapeFdcdwzu9oM="
static const char bin[] = "\x61\x89\xc5\xcf\x0b\x87\xfb\x80\x0c\x1a\x9f\xee\xda\x73\xc6\xab"
                          "\x5e\x99\x8d\xb4\x8f\xb9\xe6\xa9\x78\x57\x5c\x77\x0c\xee\xf6\x83";

static const struct {
    const char *what, *file;
    enum err want;
} rows[] = {
    {"base16", HEAD "/base16/\n" KEY16 "\n", OK},
    {"no line end", HEAD "/base16/\n" KEY16, OK},
    {"CRLF", "/key/swarm/psk/1.0.0/\r\n/base16/\r\n" KEY16 "\r\n", OK},
    {"upper case",
     HEAD "/base16/\n"
          "6189C5CF0B87FB800C1A9FEEDA73C6AB5E998DB48FB9E6A978575C770CEEF683\n",
     OK},
    {"blank lines behind", HEAD "/base16/\n" KEY16 "\n\n\n", OK},
    {"base64", HEAD "/base64/\n" KEY64 "\n", OK},
    {"nothing", "", E_INPUT},
    {"one line", HEAD, E_INPUT},
    {"two lines", HEAD "/base16/\n", E_INPUT},
    {"version 2", "/key/swarm/psk/2.0.0/\n/base16/\n" KEY16 "\n", E_INPUT},
    {"a blank in front", " " HEAD "/base16/\n" KEY16 "\n", E_INPUT},
    {"another encoding", HEAD "/base32/\n" KEY16 "\n", E_INPUT},
    {"base64 called base16", HEAD "/base16/\n" KEY64 "\n", E_INPUT},
    {"31 bytes",
     HEAD "/base16/\n"
          "6189c5cf0b87fb800c1a9feeda73c6ab5e998db48fb9e6a978575c770ceef6\n",
     E_INPUT},
    {"33 bytes", HEAD "/base16/\n" KEY16 "00\n", E_INPUT},
    {"half a byte", HEAD "/base16/\n" KEY16 "0\n", E_INPUT},
    {"no digit",
     HEAD "/base16/\n"
          "x189c5cf0b87fb800c1a9feeda73c6ab5e998db48fb9e6a978575c770ceef683\n",
     E_INPUT},
    {"two keys", HEAD "/base16/\n" KEY16 "\n" KEY16 "\n", E_INPUT},
    {"a private key", "CAESQA==", E_INPUT},
};
TEST(swarm_key_files) {
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t key[32] = {0};
        struct why why = {OK, ""};
        enum err e = swarm_key_read(bytes_of(rows[i].file), key, &why);
        CHECK(e == rows[i].want, "%s: %s: %s", rows[i].what, err_name(e), why.text);
        if (e == OK)
            CHECK(memcmp(key, bin, 32) == 0, "%s: another key", rows[i].what);
        else
            CHECK(why.text[0] != '\0' && strstr(why.text, "6189") == NULL, "%s: '%s'", rows[i].what,
                  why.text);
    }
}
TEST(swarm_key_binary_file) {
    static const struct {
        const char *behind;
        enum err want;
    } ends[] = {{"", OK}, {"\n", OK}, {"\r\n", OK}, {"\n\n", E_INPUT}, {"x", E_INPUT}};
    for (size_t i = 0; i < LEN(ends); i++) {
        uint8_t key[32];
        struct buf file = {.max = 100};
        CHECK(buf_add_text(&file, HEAD "/bin/\n") && buf_add(&file, bytes_at(bin, 32)) &&
              buf_add_text(&file, ends[i].behind));
        CHECK(swarm_key_read(buf_view(&file), key, NULL) == ends[i].want, "row %zu", i);
        if (ends[i].want == OK) CHECK(memcmp(key, bin, 32) == 0, "row %zu", i);
        file.n = sizeof HEAD + 5 + 31;
        CHECK(swarm_key_read(buf_view(&file), key, NULL) == E_INPUT, "31 bytes");
        buf_free(&file);
    }
    static uint8_t big[1025];
    uint8_t key[32];
    CHECK(swarm_key_read(bytes_at(big, sizeof big), key, NULL) == E_INPUT);
}
TEST(swarm_key_written_and_read) {
    struct buf file = {.max = 200};
    CHECK(swarm_key_write((const uint8_t *)bin, &file));
    CHECK(bytes_is(buf_view(&file), HEAD "/base16/\n" KEY16 "\n"), "%s", buf_cstr(&file));
    size_t n = file.n;
    buf_free(&file);
    file.max = n - 1;
    CHECK(!swarm_key_write((const uint8_t *)bin, &file) && file.n == 0, "half written");
    buf_free(&file);
}
TEST(swarm_key_published_fingerprint) { /* rust-libp2p transports/pnet */
    uint8_t want[16], got[16];
    test_hex("45fc986bbc9388a11d939df26f730f0c", want, sizeof want);
    swarm_key_fingerprint((const uint8_t *)bin, got);
    CHECK(memcmp(got, want, sizeof want) == 0);
}
