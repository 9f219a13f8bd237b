/* tests/crypto/identity_import_test.c: private keys as js-libp2p and OpenSSL write them, made by
 * js-libp2p 3.3 for this test alone (tests/interop/peers/js/old-install.js), each with the Peer ID that it
 * told */
#include "base/text.h"
#include "crypto/key.h"
#include "tests/test.h"

static const struct {
    const char *name, *id, *text;
    bool hex; /* text is the hexadecimal of the file */
} keys[] = {
    {"protobuf", "12D3KooWDaW3JLnzk5tQqxHZTNbr4NjgpfmsPhMfBpr7yJjDE5dd",
     "08011240eae077634d1963d76dbb8357e0954bf117d6fd89372b7e4c0e42aa57625ab7f137e18451e5a3e7bab5fba167270db7b"
     "a5c937499e80772c4ff47ed2f3ea15c24",
     true},
    {"raw", "12D3KooWCyaAT5XrcrAXBGEXiesfruB9AfksgpFucpAckyDxh2AG",
     "103fc220cccbeddf0d886f0673e59e377f84228a67782b47b4f68a421b6b08262eeed9cc36a1e61dc4f49e245e88ee98a16b7d6"
     "e33e1349aa7045b9150c2f9ed",
     true},
    {"seed", "12D3KooWJNFt3eBxtp66ydMwNcg4UsmCE2FJNtuz8XrdNRHj2xqE",
     "6594ce899762203fc525a8f1274caa67b9216826a40e96a1161e44139cd1ccb4", true},
    {"base64", "12D3KooWERCYtaxpmWdAWq4LojQZQysbKQTzKq74wjn4r72iqg1i",
     "CAESQOIH3n/420FdkEklZDD6gegs0/fovht+Iw55ZAtALN+ARFszYiZWnxuKs6/AFwWCZMHrhlcWvth497NjFp7G+lU=", false},
    {"json", "12D3KooWNNK9t8fEi3YCawFdoZ9rT1Y4n41aCc9TFaotMitZ1kkd",
     "{\n"
     "  \"id\": \"12D3KooWNNK9t8fEi3YCawFdoZ9rT1Y4n41aCc9TFaotMitZ1kkd\",\n"
     "  \"privKey\": "
     "\"CAESQEBlO+ePLRKUTVPqkxdJIgqF/Tu+8d+8eX1sAgQPGFn6untriwot4jerRAYqeKtVJRVW2M7WuWJ7h/JdMV9BNQ4=\",\n"
     "  \"pubKey\": \"CAESILp7a4sKLeI3q0QGKnirVSUVVtjO1rlie4fyXTFfQTUO\"\n"
     "}",
     false},
    {"pem", "12D3KooWA3qspLm3PEBtH2JTYKBseLBdekbg3k344iZTcBEbcL8K",
     "-----BEGIN PRIVATE KEY-----\n"
     "MC4CAQAwBQYDK2VwBCIEIPuFo6Y/8oiQmBIe+YO4uRkJe9twq+xpVwO1XeRaulfy\n"
     "-----END PRIVATE KEY-----\n"
     "",
     false},
    {"hex", "12D3KooWB2Uog6f6TZsipyMtL4AFgJH1he5FYhDp68ZaRhSijnS8",
     "08011240230d7d40d211ef3db0c7950c3966cbec9ff276c09fcbada9a6acd00bd94039b811f6292afc94d03fc56ac1fec5e3655"
     "70173d751fdd5e5c96b15335743557ec5\n"
     "",
     false},
};

static void file_of(size_t i, struct buf *out) {
    *out = (struct buf){.max = 4096};
    CHECK(keys[i].hex ? hex_decode(out, bytes_of(keys[i].text)) : buf_add_text(out, keys[i].text));
}

static enum err import(struct bytes file, char id[PEER_TEXT_MAX], struct why *w) {
    struct identity made;
    enum err e = identity_import(file, &made, w);
    id[0] = 0;
    if (e == OK) peer_id_text(&made.peer, id);
    if (e == OK) identity_wipe(&made);
    CHECK(e == OK || (w->code == e && w->text[0] != 0));
    return e;
}

TEST(each_form_keeps_its_peer_id) {
    for (size_t i = 0; i < LEN(keys); i++) {
        struct buf file;
        struct why w = {OK, ""};
        char id[PEER_TEXT_MAX];
        file_of(i, &file);
        CHECK(import(buf_view(&file), id, &w) == OK && strcmp(id, keys[i].id) == 0, "%s: %s %s", keys[i].name,
              id, w.text);
        buf_free(&file);
    }
}

TEST(a_cut_or_damaged_key_is_no_other_identity) {
    for (size_t i = 0; i < LEN(keys); i++) {
        struct buf file;
        char id[PEER_TEXT_MAX];
        struct why w = {OK, ""};
        file_of(i, &file);
        bool bare = strcmp(keys[i].name, "seed") == 0; /* nothing in it can be checked */
        for (size_t n = 0; n < file.n; n++) {
            enum err e = import(bytes_at(file.p, n), id, &w);
            bool half = strcmp(keys[i].name, "raw") == 0 && n == 32;
            CHECK(e == E_INPUT || strcmp(id, keys[i].id) == 0, "%s, %zu bytes: %s", keys[i].name, n, id);
            CHECK(!half || e == OK);
        }
        for (size_t bit = 0; !bare && bit < file.n * 8; bit++) {
            file.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            enum err e = import(buf_view(&file), id, &w);
            bool pem = strcmp(keys[i].name, "pem") == 0; /* PKCS#8 version 1 has no public half to compare */
            CHECK(e != OK || pem || strcmp(id, keys[i].id) == 0, "%s, bit %zu: %s", keys[i].name, bit, id);
            file.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        buf_free(&file);
    }
}

static const struct {
    const char *text, *want;
} wrong[] = {
    {"", "the key file is empty"},
    {"{}", "this JSON has no privKey"},
    {"{\"privKey\":1}", "this JSON has no privKey"},
    {"{\"privKey\":", "this is no JSON"},
    {"{\"id\":\"12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq\",\"privKey\":"
     "\"CAESQEBlO+ePLRKUTVPqkxdJIgqF/Tu+8d+8eX1sAgQPGFn6untriwot4jerRAYqeKtVJRVW2M7WuWJ7h/JdMV9BNQ4=\"}",
     "this JSON's id is not that of its privKey"},
    {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
     "this key has a passphrase"},
    {"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "this is an RSA key"},
    {"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPuFo6Y/8oiQ\n",
     "this PEM file has no whole PRIVATE KEY"},
    {"-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n", "this PEM file is not base64 inside"},
    {"-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n", "this PEM file holds no PKCS#8"},
    {"-----BEGIN CERTIFICATE-----\nMC4C\n-----END CERTIFICATE-----\n",
     "this PEM file has no whole PRIVATE KEY"},
    /* X25519, OID 1.3.101.110 */
    {"-----BEGIN PRIVATE "
     "KEY-----\nMC4CAQAwBQYDK2VuBCIEIPuFo6Y/8oiQmBIe+YO4uRkJe9twq+xpVwO1XeRaulfy\n-----END PRIVATE "
     "KEY-----\n",
     "this is an unknown kind of key"},
    {"some text", "this is neither a libp2p private key"},
};

TEST(what_is_no_ed25519_key_is_named) {
    for (size_t i = 0; i < LEN(wrong); i++) {
        struct why w = {OK, ""};
        char id[PEER_TEXT_MAX];
        CHECK(import(bytes_of(wrong[i].text), id, &w) == E_INPUT, "row %zu", i);
        CHECK(strncmp(w.text, wrong[i].want, strlen(wrong[i].want)) == 0, "row %zu: %s", i, w.text);
    }
}
