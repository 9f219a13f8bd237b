#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include "crypto/rng.h"
#include "loop/clocks.h"
#include "node/config.h"
#include "ops/cli.h"

enum { BENCH_US = 200000, BENCH_BYTES = 64 << 10 };

APPLET(selftest)
const struct opt selftest_opts[] = {{0, "bench", NULL, NULL, "measure this machine too: signatures, bytes"},
                                    {0}};
const char selftest_text[] =
    "Usage: silktalk selftest [--bench] [--json]\n"
    "Tries what the node is made of, with known answers: hashes, ciphers, signatures, random numbers, "
    "clocks,\n"
    "texts, configuration. It needs no node and changes nothing. Exits 0, or 1 when something is wrong.\n"
    "Examples:\n"
    "  silktalk selftest\n"
    "  silktalk selftest --bench\n";

static bool is_hex(const void *p, size_t n, const char *want) {
    struct buf text = {.max = 256};
    bool same = hex_encode(&text, bytes_at(p, n)) && bytes_is(buf_view(&text), want);
    buf_free(&text);
    return same;
}

/* FIPS 180-2, "abc"; FIPS 202, the empty text; RFC 4231, test case 2. */
static bool hashes(void) {
    uint8_t out[32];
    hash_sha256(BYTES("abc"), out);
    bool good = is_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hash_shake128((struct bytes){NULL, 0}, out, 16);
    good &= is_hex(out, 16, "7f9c2ba4e88f827d616045507605853e");
    hash_hmac_sha256(BYTES("Jefe"), BYTES("what do ya want for nothing?"), out);
    return good && is_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static bool ciphers(void) {
    uint8_t key[32] = {1, 2, 3}, sealed[3 + AEAD_TAG], opened[3];
    aead_seal(sealed, key, 7, BYTES("head"), BYTES("abc"));
    bool good = aead_open(opened, key, 7, BYTES("head"), bytes_at(sealed, sizeof sealed)) &&
                memcmp(opened, "abc", 3) == 0;
    sealed[0] ^= 1;
    return good && !aead_open(opened, key, 7, BYTES("head"), bytes_at(sealed, sizeof sealed));
}

/* RFC 7748 section 6.1. */
static bool key_agreement(void) {
    uint8_t a[32], a_public[32], b[32], b_public[32], one[32], two[32];
    uint8_t seed[32] = {9};
    x25519_keypair(seed, a, a_public);
    seed[0] = 8;
    x25519_keypair(seed, b, b_public);
    return x25519_dh(one, a, b_public) && x25519_dh(two, b, a_public) && memcmp(one, two, 32) == 0;
}

static bool signatures(void) {
    struct rng rng;
    struct identity id;
    struct public_key key;
    uint8_t signature[64];
    rng_system(&rng);
    identity_make(&id, &rng);
    identity_sign(&id, BYTES("text"), signature);
    bool good = public_key_read(bytes_at(id.public_key, sizeof id.public_key), &key, NULL) == OK &&
                public_key_verify(&key, BYTES("text"), bytes_at(signature, 64)) &&
                !public_key_verify(&key, BYTES("test"), bytes_at(signature, 64));
    identity_wipe(&id);
    rng_wipe(&rng);
    return good;
}

static bool random_numbers(void) {
    struct rng rng;
    rng_system(&rng);
    uint64_t a = rng_u64(&rng), b = rng_u64(&rng), c = rng_u64(&rng);
    rng_wipe(&rng);
    return a != b && b != c && a != 0;
}

static bool clock_runs(void) {
    int64_t before = clocks_monotonic_us();
    clocks_sleep_ms(2);
    return clocks_monotonic_us() - before >= 1000 && clocks_now().wall.ms > 1700000000000;
}

static bool texts(void) {
    struct buf out = {.max = 64};
    bool good = base58_encode(&out, BYTES("Hello World!")) && bytes_is(buf_view(&out), "2NEpo7TZRRrLZSi2U");
    struct json_doc *doc = json_parse(BYTES("{\"a\":[1,\"\\u00e9\"]}"), NULL);
    good &= doc != NULL && bytes_is(json_bytes(json_at(json_get(json_root(doc), "a"), 1)), "\xc3\xa9");
    json_free(doc);
    buf_free(&out);
    return good;
}

static bool configuration(void) {
    struct config_home home = {.home = "/h", .socket = "/h/s", .hostname = "h", .socketmode = "0600"};
    struct config_builder *b = config_builder_new(&home);
    struct config *config = NULL;
    bool good = b != NULL && config_builder_finish(b, &config, NULL) == OK;
    config_builder_free(b);
    config_free(config);
    return good;
}

static const struct {
    const char *name;
    bool (*run)(void);
} tests[] = {{"hashes", hashes},
             {"ciphers", ciphers},
             {"key agreement", key_agreement},
             {"signatures", signatures},
             {"random numbers", random_numbers},
             {"clock", clock_runs},
             {"texts", texts},
             {"configuration", configuration}};

/* ---- bench: how often in a fifth of a second */

struct bench {
    struct identity id;
    struct public_key key;
    uint8_t signature[64], shared[32];
    uint8_t *block;
};
static void bench_sign(struct bench *b) {
    identity_sign(&b->id, BYTES("text"), b->signature);
}
static void bench_verify(struct bench *b) {
    public_key_verify(&b->key, BYTES("text"), bytes_at(b->signature, 64));
}
static void bench_agree(struct bench *b) {
    x25519_dh(b->shared, b->id.secret, b->id.public_key + 4);
}
static void bench_seal(struct bench *b) {
    aead_seal(b->block, b->shared, 1, (struct bytes){NULL, 0}, bytes_at(b->block, BENCH_BYTES));
}
static void bench_hash(struct bench *b) {
    hash_sha256(bytes_at(b->block, BENCH_BYTES), b->shared);
}
static const struct {
    const char *name, *key;
    bool bytes; /* counts bytes, not calls */
    void (*run)(struct bench *b);
} benches[] = {{"sign", "sign_per_second", false, bench_sign},
               {"verify", "verify_per_second", false, bench_verify},
               {"key agreement", "agree_per_second", false, bench_agree},
               {"ChaCha20-Poly1305", "seal_bytes_per_second", true, bench_seal},
               {"SHA-256", "hash_bytes_per_second", true, bench_hash}};

static double measure(struct bench *b, size_t i) {
    int64_t began = clocks_monotonic_us(), took = 0;
    uint64_t n = 0;
    while (took < BENCH_US) {
        for (int k = 0; k < 8; k++) benches[i].run(b);
        n += 8;
        took = clocks_monotonic_us() - began;
    }
    return (double)n * (benches[i].bytes ? BENCH_BYTES : 1) * 1e6 / (double)took;
}

static void bench(const struct cli *c, struct json_out *o) {
    struct bench b = {.block = mem_new(BENCH_BYTES + AEAD_TAG, 1)};
    struct rng rng;
    char size[32];
    if (b.block == NULL) return;
    rng_system(&rng);
    identity_make(&b.id, &rng);
    public_key_read(bytes_at(b.id.public_key, sizeof b.id.public_key), &b.key, NULL);
    for (size_t i = 0; i < LEN(benches); i++) {
        double rate = measure(&b, i);
        json_put_real(o, benches[i].key, rate);
        if (c->json) continue;
        if (benches[i].bytes) {
            size_text((uint64_t)rate, size);
            printf("%-18s %s/s\n", benches[i].name, size);
        } else {
            printf("%-18s %.0f/s\n", benches[i].name, rate);
        }
    }
    identity_wipe(&b.id);
    rng_wipe(&rng);
    mem_free(b.block);
}

int selftest_main(struct cli *c) {
    struct buf line = {.max = 8192};
    struct json_out o = json_begin(&line);
    size_t bad = 0;
    if (c->n_args > 0) return cli_usage(c, "selftest takes no words");
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.selftest/1");
    json_open(&o, "items", '[');
    for (size_t i = 0; i < LEN(tests); i++) {
        bool good = tests[i].run();
        bad += !good;
        json_open(&o, NULL, '{');
        json_put_str(&o, "name", tests[i].name);
        json_put_bool(&o, "ok", good);
        json_shut(&o, '}');
        if (!c->json) printf("%-18s %s\n", tests[i].name, good ? "ok" : "FAILED");
    }
    json_shut(&o, ']');
    if (cli_given(c, "bench")) bench(c, &o);
    json_shut(&o, '}');
    if (json_end(&o) && c->json) puts(buf_cstr(&line));
    buf_free(&line);
    return bad > 0 ? cli_exit(c, fail(&c->why, E_FAILED, "%zu parts do not work on this machine", bad)) : 0;
}
