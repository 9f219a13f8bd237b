#include "proto/pnet.h"

#include "tests/test.h"

#define KEY16 "6189c5cf0b87fb800c1a9feeda73c6ab5e998db48fb9e6a978575c770ceef683"

TEST(pnet_published_stream) { /* the nonce 00 01 .. 17 and its keystream: protocol facts, checked against
                                 NaCl's vector */
    uint8_t key[32], want[32], wire[PNET_NONCE + 32] = {0};
    struct rng rng = rng_seeded(1), prepared = rng_seeded(1);
    struct pnet p;
    struct buf out = {.max = PNET_NONCE};
    test_hex(KEY16, key, sizeof key);
    test_hex("20847ee9fb08cb6a2da5306341e2cc059972d4d8b5c9c16e04c5c5f0cf8a15e7", want, sizeof want);
    for (size_t i = 0; i < PNET_NONCE; i++) wire[i] = (uint8_t)i;
    CHECK(pnet_start(&p, key, &rng, &out) && out.n == PNET_NONCE);
    struct bytes in = bytes_at(wire, sizeof wire);
    pnet_input(&p, wire, &in);
    CHECK(in.n == 32 && memcmp(in.p, want, 32) == 0, "the peer's stream");
    /* and the same nonce drawn by us */
    prepared.left = PNET_NONCE;
    for (size_t i = 0; i < PNET_NONCE; i++) prepared.pool[sizeof prepared.pool - PNET_NONCE + i] = (uint8_t)i;
    buf_clear(&out);
    uint8_t zero[32] = {0};
    CHECK(pnet_start(&p, key, &prepared, &out) && out.p[1] == 1 && out.p[23] == 23);
    pnet_output(&p, zero, sizeof zero);
    CHECK(memcmp(zero, want, 32) == 0, "our stream");
    buf_free(&out);
    out.max = PNET_NONCE - 1;
    CHECK(!pnet_start(&p, key, &rng, &out), "half a nonce");
    buf_free(&out);
    pnet_wipe(&p);
}
/* What a sends arrives at b, in pieces of any size: cut also inside the nonce. */
TEST(pnet_two_ends_random_pieces) {
    struct rng rng = rng_seeded(test_seed());
    uint8_t key[32];
    test_hex(KEY16, key, sizeof key);
    for (int round = 0; round < 50; round++) {
        static uint8_t text[3000], wire[PNET_NONCE + sizeof text], got[sizeof text];
        struct pnet a, b;
        struct buf to_b = {.max = 64}, to_a = {.max = 64};
        CHECK(pnet_start(&a, key, &rng, &to_b) && pnet_start(&b, key, &rng, &to_a));
        CHECK(memcmp(to_a.p, to_b.p, PNET_NONCE) != 0, "the same nonce on both sides");
        rng_fill(&rng, text, sizeof text);
        memcpy(wire, to_b.p, PNET_NONCE);
        memcpy(wire + PNET_NONCE, text, sizeof text);
        for (size_t n = 0; n < sizeof text;) {
            size_t part = 1 + rng_below(&rng, 200);
            part = MIN(part, sizeof text - n);
            pnet_output(&a, wire + PNET_NONCE + n, part);
            n += part;
        }
        CHECK(memcmp(wire + PNET_NONCE, text, sizeof text) != 0, "not encrypted");
        size_t have = 0;
        for (size_t n = 0; n < sizeof wire;) {
            size_t part = rng_below(&rng, 1 + (round % 2 == 0 ? 7 : 300));
            part = MIN(part, sizeof wire - n);
            struct bytes in = bytes_at(wire + n, part);
            pnet_input(&b, wire + n, &in);
            CHECK(have + in.n <= sizeof got);
            if (in.n > 0) memcpy(got + have, in.p, in.n);
            have += in.n;
            n += part;
        }
        CHECK(have == sizeof text && memcmp(got, text, sizeof text) == 0, "round %d", round);
        buf_free(&to_a);
        buf_free(&to_b);
    }
}
TEST(pnet_wrong_key_is_garbage) {
    struct rng rng = rng_seeded(2);
    uint8_t key[32] = {1}, other[32] = {2}, wire[PNET_NONCE + 20];
    struct pnet a, b;
    struct buf to_b = {.max = 64}, to_a = {.max = 64};
    CHECK(pnet_start(&a, key, &rng, &to_b) && pnet_start(&b, other, &rng, &to_a));
    memcpy(wire, to_b.p, PNET_NONCE);
    memcpy(wire + PNET_NONCE, "\x13/multistream/1.0.0\n", 20);
    pnet_output(&a, wire + PNET_NONCE, 20);
    struct bytes in = bytes_at(wire, sizeof wire);
    pnet_input(&b, wire, &in);
    CHECK(in.n == 20 && memcmp(in.p, "\x13/multistream/1.0.0\n", 20) != 0, "the wrong key opens it");
    buf_free(&to_a);
    buf_free(&to_b);
}
