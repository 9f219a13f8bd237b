/* tests/bench/verify_bench.c: microseconds of one signature check for each kind of key that a peer may bring,
 * and the speed of the transport's cipher. One check is made on the loop's thread, which may not stall for 10
 * ms. Numbers are for reading; nothing is asserted but that the signatures are good. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/key.h"
#include "crypto/rng.h"
#include "tests/crypto/key_vectors.h"

enum { ROUNDS = 31, ROOM = 2600 };
static const char static_text[] = "noise-libp2p-static-key:";
static const struct { const char *name, *key, *signature; bool of_static; } rows[] = {
    {"Secp256k1", GO_SECP256K1_PUBLIC, GO_SECP256K1_SIGNATURE, false},
    {"ECDSA P-256", GO_ECDSA_PUBLIC, GO_ECDSA_SIGNATURE, false},
    {"RSA 2048, e 3", RSA2048_E3_PUBLIC, RSA2048_E3_SIGNATURE, false},
    {"RSA 2048, e 65537", GO_RSA_PUBLIC, GO_RSA_SIGNATURE, false},
    {"RSA 4096, e 65537", SPEC_RSA_PUBLIC, STATIC_BY_SPEC_RSA, true},
    {"RSA 8192, e 2^31-1", RSA8192_PUBLIC, RSA8192_SIGNATURE, false},
};

static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}
static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static struct bytes hex(const char *text, uint8_t room[ROOM]) {
    struct buf b = {.max = ROOM};
    if (!hex_decode(&b, bytes_of(text))) exit(1);
    memcpy(room, b.p, b.n);
    struct bytes view = bytes_at(room, b.n);
    buf_free(&b);
    return view;
}
static void measure(const char *name, struct bytes encoded, struct bytes message, struct bytes signature) {
    double took[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        struct public_key key;
        double start = now_us();
        bool good = public_key_read(encoded, &key, NULL) == OK && public_key_verify(&key, message, signature);
        took[i] = now_us() - start;
        if (!good) {
            fprintf(stderr, "%s: the signature is not good\n", name);
            exit(1);
        }
    }
    qsort(took, ROUNDS, sizeof took[0], by_size);
    printf("%-28s %8.0f us median, %8.0f us most\n", name, took[ROUNDS / 2], took[ROUNDS - 1]);
}
static void measure_cipher(size_t n) {
    static uint8_t in[65536], out[65536 + AEAD_TAG];
    static const uint8_t key[32] = {1};
    double took[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double start = now_us();
        for (uint64_t k = 0; k < 16; k++) aead_seal(out, key, k, bytes_of(NULL), bytes_at(in, n));
        took[i] = now_us() - start;
    }
    qsort(took, ROUNDS, sizeof took[0], by_size);
    printf("ChaCha20-Poly1305 of %-5zu B %9.0f MB/s\n", n, 16.0 * (double)n / took[ROUNDS / 2]);
}
int main(void) {
    uint8_t a[ROOM], b[ROOM], c[ROOM], text[sizeof static_text - 1 + 32], signature[64];
    struct rng rng = rng_seeded(1);
    struct identity id;
    if (crypto_open() != OK) return 1;
    memcpy(text, static_text, sizeof static_text - 1);
    memcpy(text + sizeof static_text - 1, hex(STATIC_PUBLIC, c).p, 32);
    identity_make(&id, &rng);
    identity_sign(&id, bytes_at(text, sizeof text), signature);
    measure("Ed25519", bytes_at(id.public_key, sizeof id.public_key), bytes_at(text, sizeof text),
            bytes_at(signature, 64));
    for (size_t i = 0; i < LEN(rows); i++)
        measure(rows[i].name, hex(rows[i].key, a),
                rows[i].of_static ? bytes_at(text, sizeof text) : BYTES(GO_MESSAGE),
                hex(rows[i].signature, b));
    measure_cipher(1024);
    measure_cipher(16384);
    measure_cipher(65519);
    return 0;
}
