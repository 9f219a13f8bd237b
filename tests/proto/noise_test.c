#include "proto/noise.h"

#include "base/mem.h"
#include "base/pb.h"
#include "crypto/aead.h"
#include "tests/crypto/key_vectors.h"
#include "tests/test.h"

enum { WIRE = 8192 };
static const char *const yamux[] = {"/yamux/1.0.0", NULL};

struct pair { /* initiator 0, responder 1; wire[i]: what end i has sent */
    struct identity id[2];
    struct noise end[2];
    struct buf wire[2];
    struct rng rng;
};
static void pair_start(struct pair *p, uint64_t seed, const char *const *muxers0,
                       const char *const *muxers1) {
    *p = (struct pair){.rng = rng_seeded(seed), .wire = {{.max = WIRE}, {.max = WIRE}}};
    CHECK(crypto_open() == OK);
    for (int i = 0; i < 2; i++) identity_make(&p->id[i], &p->rng);
    CHECK(noise_start(&p->end[0], true, &p->id[0], NULL, &p->id[1].peer, muxers0, &p->rng, &p->wire[0]) ==
          OK);
    CHECK(noise_start(&p->end[1], false, &p->id[1], NULL, NULL, muxers1, &p->rng, &p->wire[1]) == OK);
    CHECK(p->wire[1].n == 0, "the responder speaks first");
}
static void pair_free(struct pair *p) {
    for (int i = 0; i < 2; i++) {
        noise_wipe(&p->end[i]);
        buf_free(&p->wire[i]);
    }
}
/* Gives end `to` all that waits for it in one piece; what it leaves is kept. */
static enum err deliver(struct pair *p, int to) {
    struct buf *wire = &p->wire[!to];
    struct bytes in = buf_view(wire);
    enum err e = noise_input(&p->end[to], &in, &p->wire[to]);
    buf_drop(wire, wire->n - in.n);
    return e;
}
static void pair_shake(struct pair *p) {
    CHECK(deliver(p, 1) == OK && deliver(p, 0) == OK && deliver(p, 1) == OK, "%s; %s", p->end[0].why.text,
          p->end[1].why.text);
    CHECK(p->end[0].state == NOISE_DONE && p->end[1].state == NOISE_DONE);
}
/* Opens the one frame that waits for end `to`. */
static enum err open_one(struct pair *p, int to, struct bytes *plain) {
    struct bytes in = buf_view(&p->wire[!to]);
    bool whole;
    enum err e = noise_open(&p->end[to], p->wire[!to].p, &in, plain, &whole);
    CHECK(e != OK || (whole && in.n == 0), "not one whole frame");
    return e;
}

TEST(noise_two_ends_in_random_pieces) {
    struct rng random = rng_seeded(test_seed());
    for (int round = 0; round < 30; round++) {
        struct pair p;
        pair_start(&p, rng_u64(&random), yamux, yamux);
        size_t seen[2] = {0, 0}; /* bytes of wire[i] that its reader has been shown */
        for (int turn = 0; turn < 100000 && (p.end[0].state != NOISE_DONE || p.end[1].state != NOISE_DONE);
             turn++) {
            int to = turn % 2;
            size_t more = seen[!to] + 1 + rng_below(&random, 40);
            seen[!to] = MIN(more, p.wire[!to].n);
            struct bytes in = bytes_at(p.wire[!to].p, seen[!to]);
            CHECK(noise_input(&p.end[to], &in, &p.wire[to]) == OK, "%s", p.end[to].why.text);
            buf_drop(&p.wire[!to], seen[!to] - in.n);
            seen[!to] = in.n;
        }
        for (int i = 0; i < 2; i++) {
            CHECK(p.end[i].state == NOISE_DONE, "end %d: state %d", i, (int)p.end[i].state);
            CHECK(peer_id_eq(&p.end[i].peer, &p.id[!i].peer) && p.end[i].peer_key_type == KEY_ED25519,
                  "end %d", i);
            CHECK(p.end[i].muxer == yamux[0], "end %d has agreed on another muxer", i);
            CHECK(p.wire[i].n == 0);
        }
        pair_free(&p);
    }
}
TEST(noise_bytes_behind_the_handshake_stay) {
    struct pair p;
    struct bytes plain;
    pair_start(&p, 1, yamux, yamux);
    CHECK(deliver(&p, 1) == OK && deliver(&p, 0) == OK);
    CHECK(noise_seal(&p.end[0], BYTES("hello"), &p.wire[0]) == OK); /* in the same segment as message 3 */
    CHECK(deliver(&p, 1) == OK && p.end[1].state == NOISE_DONE && p.wire[0].n == 5 + NOISE_OVERHEAD);
    CHECK(open_one(&p, 1, &plain) == OK && bytes_is(plain, "hello"));
    pair_free(&p);
}
TEST(noise_frames_of_every_border_size) {
    static const struct {
        size_t n, frames;
    } rows[] = {{0, 0},
                {1, 1},
                {NOISE_PLAIN_MAX - 1, 1},
                {NOISE_PLAIN_MAX, 1},
                {NOISE_PLAIN_MAX + 1, 2},
                {2 * NOISE_PLAIN_MAX, 2},
                {200000, 4}};
    static uint8_t text[200000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t i = 0; i < LEN(rows); i++) {
        struct pair p;
        pair_start(&p, i, yamux, yamux);
        pair_shake(&p);
        struct buf out = {.max = 300000};
        CHECK(noise_seal(&p.end[0], bytes_at(text, rows[i].n), &out) == OK);
        CHECK(out.n == rows[i].n + rows[i].frames * NOISE_OVERHEAD, "%zu bytes became %zu", rows[i].n, out.n);
        struct bytes in = buf_view(&out), plain;
        size_t have = 0;
        for (size_t f = 0; f < rows[i].frames; f++) {
            bool whole;
            CHECK(noise_open(&p.end[1], out.p + (out.n - in.n), &in, &plain, &whole) == OK && whole);
            CHECK(plain.n <= NOISE_PLAIN_MAX && memcmp(plain.p, text + have, plain.n) == 0, "%zu bytes",
                  rows[i].n);
            have += plain.n;
        }
        CHECK(have == rows[i].n && in.n == 0 && p.end[1].receive_n == rows[i].frames &&
              p.end[0].send_n == rows[i].frames);
        buf_free(&out);
        pair_free(&p);
    }
}
TEST(noise_seal_is_all_or_nothing) {
    static const uint8_t text[NOISE_PLAIN_MAX + 10];
    struct pair p;
    struct bytes plain;
    pair_start(&p, 1, yamux, yamux);
    pair_shake(&p);
    struct buf out = {.max = sizeof text + 2 * NOISE_OVERHEAD - 1};
    CHECK(noise_seal(&p.end[0], bytes_at(text, sizeof text), &out) == E_LIMIT && out.n == 0 &&
          p.end[0].send_n == 0);
    CHECK(noise_seal(&p.end[0], BYTES("then this"), &p.wire[0]) == OK, "the keys have moved");
    CHECK(open_one(&p, 1, &plain) == OK && bytes_is(plain, "then this"));
    buf_free(&out);
    out.max++;
    CHECK(noise_seal(&p.end[0], bytes_at(text, sizeof text), &out) == OK && out.n == out.max);
    buf_free(&out);
    pair_free(&p);
}
TEST(noise_bad_frames) {
    struct pair p;
    struct bytes plain;
    bool whole;
    for (size_t n = 0; n < 5 + NOISE_OVERHEAD; n++) { /* cut: waits. Altered: dies, and stays dead */
        pair_start(&p, 3, yamux, yamux);
        pair_shake(&p);
        CHECK(noise_seal(&p.end[0], BYTES("hello"), &p.wire[0]) == OK);
        struct bytes in = bytes_at(p.wire[0].p, n);
        CHECK(noise_open(&p.end[1], p.wire[0].p, &in, &plain, &whole) == OK && !whole && plain.n == 0 &&
              in.n == n);
        p.wire[0].p[n] ^= 1;
        in = buf_view(&p.wire[0]);
        enum err e = noise_open(&p.end[1], p.wire[0].p, &in, &plain, &whole);
        if (n == 0) { /* the length is larger by 256 now */
            CHECK(e == OK && !whole);
        } else {
            CHECK((e == E_PROTO && p.end[1].state == NOISE_DEAD) || (n == 1 && e == OK && !whole), "byte %zu",
                  n);
            if (e != OK)
                CHECK(noise_open(&p.end[1], p.wire[0].p, &in, &plain, &whole) == E_PROTO, "not dead");
            if (e != OK)
                CHECK(noise_seal(&p.end[1], BYTES("x"), &p.wire[1]) == E_PROTO && p.wire[1].n == 0,
                      "not dead");
        }
        pair_free(&p);
    }
    for (size_t n = 0; n < 16; n++) {
        uint8_t frame[18] = {0, (uint8_t)n};
        pair_start(&p, 3, yamux, yamux);
        pair_shake(&p);
        struct bytes in = bytes_at(frame, 2); /* judged by its length alone */
        CHECK(noise_open(&p.end[1], frame, &in, &plain, &whole) == E_PROTO, "frame of %zu bytes", n);
        pair_free(&p);
    }
}
TEST(noise_replayed_reordered_and_empty_frames) {
    struct pair p;
    struct bytes plain;
    uint8_t first[23], second[23];
    pair_start(&p, 4, yamux, yamux);
    pair_shake(&p);
    CHECK(noise_seal(&p.end[0], BYTES("first"), &p.wire[0]) == OK &&
          noise_seal(&p.end[0], BYTES("next "), &p.wire[0]) == OK);
    memcpy(first, p.wire[0].p, 23);
    memcpy(second, p.wire[0].p + 23, 23);
    for (int swapped = 0; swapped < 2; swapped++) {
        struct noise copy = p.end[1];
        uint8_t frames[46];
        memcpy(frames, swapped ? second : first, 23);
        memcpy(frames + 23, first, 23);
        struct bytes in = bytes_at(frames, 46);
        bool whole;
        CHECK(noise_open(&copy, frames, &in, &plain, &whole) == (swapped ? E_PROTO : OK), "swapped %d",
              swapped);
        CHECK(noise_open(&copy, frames + 23, &in, &plain, &whole) == E_PROTO, "a replayed frame");
    }
    buf_clear(&p.wire[0]); /* an empty frame: legal, though we never send one */
    uint8_t *empty = buf_add_space(&p.wire[0], NOISE_OVERHEAD);
    CHECK(empty != NULL && p.end[0].send_n == 2);
    put_u16(empty, AEAD_TAG);
    p.end[1].receive_n = 2;
    aead_seal(empty + 2, p.end[0].send_key, 2, bytes_of(NULL), bytes_of(NULL));
    CHECK(open_one(&p, 1, &plain) == OK && plain.n == 0);
    pair_free(&p);
}
TEST(noise_last_counter) {
    struct pair p;
    struct bytes plain;
    pair_start(&p, 5, yamux, yamux);
    pair_shake(&p);
    p.end[0].send_n = p.end[1].receive_n = UINT64_MAX - 1;
    CHECK(noise_seal(&p.end[0], BYTES("last"), &p.wire[0]) == OK && open_one(&p, 1, &plain) == OK &&
          bytes_is(plain, "last"));
    CHECK(noise_seal(&p.end[0], BYTES("over"), &p.wire[1]) == E_PROTO && p.end[0].state == NOISE_DEAD);
    CHECK(noise_open(&p.end[1], p.wire[0].p, &(struct bytes){p.wire[0].p, p.wire[0].n}, &plain,
                     &(bool){false}) == E_PROTO);
    pair_free(&p);
}
TEST(noise_frames_before_the_handshake_is_done) {
    struct pair p;
    struct bytes plain, in = BYTES("\x00\x10 sixteen bytes ");
    uint8_t data[32];
    bool whole;
    memcpy(data, in.p, in.n);
    in.p = data;
    pair_start(&p, 6, yamux, yamux);
    CHECK(noise_seal(&p.end[0], BYTES("x"), &p.wire[1]) == E_FAILED && p.wire[1].n == 0);
    CHECK(noise_open(&p.end[0], data, &in, &plain, &whole) == E_FAILED && !whole);
    pair_free(&p);
}

/* ---- hostile handshakes */
/* One message of a handshake is altered at every byte, in its length too: nobody ends up with an agreement.
 */
TEST(noise_altered_handshake) {
    for (int number = 1; number <= 3; number++) {
        for (size_t at = 0; at < 400; at++) {
            struct pair p;
            pair_start(&p, at, yamux, yamux);
            enum err e = OK;
            size_t size = 0;
            for (int i = 1; i <= 3 && e == OK; i++) {
                struct buf *wire = &p.wire[i == 2];
                if (i == number) {
                    size = wire->n;
                    if (at < size) wire->p[at] ^= (uint8_t)(1 << at % 8);
                }
                e = deliver(&p, i != 2);
            }
            bool agreed = p.end[0].state == NOISE_DONE && p.end[1].state == NOISE_DONE;
            CHECK(agreed == (at >= size), "message %d, byte %zu of %zu", number, at, size);
            if (number == 2 && at < size)
                CHECK(p.end[0].state != NOISE_DONE, "the initiator took byte %zu", at);
            if (e != OK) CHECK(e == E_PROTO || e == E_VERIFY, "%s", err_name(e));
            pair_free(&p);
        }
    }
}
TEST(noise_handshake_lengths) {
    static const struct {
        int number;
        unsigned length;
        enum err want;
    } rows[] = {
        {1, 31, E_PROTO},
        {1, 32, OK},
        {1, 33, E_PROTO},
        {1, 0, E_PROTO},
        {1, 65535, E_PROTO},
        {2, 95, E_PROTO},
        {2, 96, OK},
        {2, 96 + NOISE_PAYLOAD_MAX, OK},
        {2, 97 + NOISE_PAYLOAD_MAX, E_PROTO},
        {3, 63, E_PROTO},
        {3, 64, OK},
        {3, 64 + NOISE_PAYLOAD_MAX, OK},
        {3, 65 + NOISE_PAYLOAD_MAX, E_PROTO},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct pair p;
        pair_start(&p, i, yamux, yamux);
        if (rows[i].number > 1) CHECK(deliver(&p, 1) == OK);
        if (rows[i].number > 2) CHECK(deliver(&p, 0) == OK);
        uint8_t head[2]; /* no more than this: a wrong length is not waited for */
        put_u16(head, (uint16_t)rows[i].length);
        struct bytes in = bytes_at(head, 2);
        struct noise *to = &p.end[rows[i].number != 2];
        enum err e = noise_input(to, &in, &p.wire[rows[i].number != 2]);
        CHECK(e == rows[i].want && (to->state == NOISE_DEAD) == (e != OK), "row %zu: %s", i, err_name(e));
        pair_free(&p);
    }
}
TEST(noise_low_order_ephemeral) {
    static const char *const points[] = {"0000000000000000000000000000000000000000000000000000000000000000",
                                         "0100000000000000000000000000000000000000000000000000000000000000",
                                         "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"};
    for (size_t i = 0; i < LEN(points); i++) {
        struct pair p;
        pair_start(&p, i, yamux, yamux);
        test_hex(points[i], p.wire[0].p + 2, 32);
        CHECK(deliver(&p, 1) == E_PROTO && p.wire[1].n == 0, "point %zu: an answer was sent", i);
        pair_free(&p);
    }
}
TEST(noise_other_peer_than_dialed) {
    struct pair p;
    struct identity other;
    pair_start(&p, 7, yamux, yamux);
    identity_make(&other, &p.rng);
    p.end[0].expected = other.peer;
    CHECK(deliver(&p, 1) == OK && deliver(&p, 0) == E_VERIFY && p.end[0].state == NOISE_DEAD);
    CHECK(p.wire[0].n == 0, "our identity was sent to a stranger");
    CHECK(peer_id_eq(&p.end[0].peer, &p.id[1].peer), "who answered is not known");
    pair_free(&p);
    pair_start(&p, 7, yamux, yamux);
    p.end[0].expected.n = 0;
    p.end[0].any_peer = true;
    pair_shake(&p);
    pair_free(&p);
}
TEST(noise_without_room_or_memory) {
    for (int number = 1; number <= 3; number++) {
        struct pair p;
        pair_start(&p, 8, yamux, yamux);
        if (number == 1) {
            struct buf tiny = {.max = 33};
            CHECK(noise_start(&p.end[0], true, &p.id[0], NULL, NULL, NULL, &p.rng, &tiny) == E_LIMIT &&
                  tiny.n == 0);
            pair_free(&p);
            continue;
        }
        if (number == 3) CHECK(deliver(&p, 1) == OK);
        p.wire[number == 2].max = 100;
        CHECK(deliver(&p, number == 2) == E_LIMIT && p.wire[number == 2].n == 0, "message %d", number);
        CHECK(p.end[number == 2].state == NOISE_DEAD);
        pair_free(&p);
        pair_start(&p, 8, yamux, yamux);
        if (number == 3) CHECK(deliver(&p, 1) == OK);
        mem_fail_after(0);
        enum err e = deliver(&p, number == 2);
        mem_fail_after(-1);
        CHECK(e == E_LIMIT, "message %d: %s", number, err_name(e));
        pair_free(&p);
    }
}

/* ---- a peer with a payload of our making, in either role */
struct forger {
    struct noise victim;
    struct identity self;
    struct noise_xx xx;
    struct rng rng;
    struct buf wire; /* what the victim sends */
    struct buf out;  /* and gets */
    bool victim_dials;
};
/* Up to where the forger's payload is due. Its static key is STATIC_SECRET. */
static void forger_start(struct forger *f, bool victim_dials, const char *const *muxers) {
    *f = (struct forger){
        .rng = rng_seeded(9), .wire = {.max = WIRE}, .out = {.max = WIRE}, .victim_dials = victim_dials};
    struct rng keys = rng_seeded(10);
    uint8_t plain[NOISE_PAYLOAD_MAX];
    CHECK(crypto_open() == OK);
    identity_make(&f->self, &f->rng);
    keys.left = 64;
    test_hex(STATIC_SECRET, keys.pool + sizeof keys.pool - 64, 32);
    memset(keys.pool + sizeof keys.pool - 32, 0x5a, 32);
    noise_xx_start(&f->xx, bytes_of(NULL), &keys);
    CHECK(noise_start(&f->victim, victim_dials, &f->self, NULL, NULL, muxers, &f->rng, &f->wire) == OK);
    if (!victim_dials) {
        struct bytes in;
        CHECK(wr_u16(&f->out, NOISE_XX_1) && noise_xx_write(&f->xx, 1, bytes_of(NULL), &f->out));
        in = buf_view(&f->out);
        CHECK(noise_input(&f->victim, &in, &f->wire) == OK && f->wire.n > 2);
        buf_clear(&f->out);
    }
    CHECK(noise_xx_read(&f->xx, victim_dials ? 1 : 2, bytes_skip(buf_view(&f->wire), 2), plain),
          "the victim's message");
}
static enum err forger_send(struct forger *f, struct bytes payload) {
    int number = f->victim_dials ? 2 : 3;
    buf_clear(&f->out);
    CHECK(wr_u16(&f->out, (uint16_t)(payload.n + (number == 2 ? NOISE_XX_2 : NOISE_XX_3))));
    CHECK(noise_xx_write(&f->xx, number, payload, &f->out));
    struct bytes in = buf_view(&f->out);
    enum err e = noise_input(&f->victim, &in, &f->wire);
    CHECK((e == OK) == (f->victim.state == NOISE_DONE), "%s in state %d", err_name(e), (int)f->victim.state);
    return e;
}
static void forger_free(struct forger *f) {
    buf_free(&f->wire);
    buf_free(&f->out);
}
static const struct {
    const char *what, *key, *signature;
    enum err want;
} identities[] = {
    {"RSA 4096", SPEC_RSA_PUBLIC, STATIC_BY_SPEC_RSA, OK},
    {"RSA 8192", RSA8192_PUBLIC, STATIC_BY_RSA8192, OK},
    {"ECDSA", SPEC_ECDSA_PUBLIC, STATIC_BY_SPEC_ECDSA, OK},
    {"Secp256k1", SPEC_SECP256K1_PUBLIC, STATIC_BY_SPEC_SECP256K1, OK},
    {"Secp256k1, high s", SPEC_SECP256K1_PUBLIC, STATIC_BY_SPEC_SECP256K1_HIGH, OK},
    {"foreign signature", SPEC_SECP256K1_PUBLIC, STATIC_BY_SPEC_ECDSA, E_VERIFY},
    {"foreign key", GO_ECDSA_PUBLIC, STATIC_BY_SPEC_ECDSA, E_VERIFY},
    {"of another text", GO_ECDSA_PUBLIC, GO_ECDSA_SIGNATURE, E_VERIFY},
    {"empty signature", SPEC_ECDSA_PUBLIC, "", E_VERIFY},
    {"empty key", "", STATIC_BY_SPEC_ECDSA, E_PROTO},
    {"key of no type", "080912021ed1", STATIC_BY_SPEC_ECDSA, E_PROTO},
};
static void put_identity(struct buf *payload, size_t row) {
    uint8_t key[WIRE / 2], signature[2000];
    CHECK(pb_put_bytes(payload, 1, bytes_at(key, test_hex(identities[row].key, key, sizeof key))));
    CHECK(pb_put_bytes(
        payload, 2, bytes_at(signature, test_hex(identities[row].signature, signature, sizeof signature))));
}
TEST(noise_identities_in_both_roles) {
    for (size_t i = 0; i < 2 * LEN(identities); i++) {
        struct forger f;
        struct buf payload = {.max = NOISE_PAYLOAD_MAX};
        forger_start(&f, i % 2 == 0, yamux);
        put_identity(&payload, i / 2);
        enum err e = forger_send(&f, buf_view(&payload));
        CHECK(e == identities[i / 2].want, "%s, victim dials %d: %s: %s", identities[i / 2].what,
              f.victim_dials, err_name(e), f.victim.why.text);
        CHECK(f.victim.muxer == NULL, "%s: a muxer without a list", identities[i / 2].what);
        buf_free(&payload);
        forger_free(&f);
    }
}
/* The signature of another handshake (that is, of another static key) by the right identity. */
TEST(noise_replayed_identity) {
    for (int dials = 0; dials < 2; dials++) {
        struct pair honest;
        struct forger f;
        uint8_t text[56] = "noise-libp2p-static-key:", signature[64];
        pair_start(&honest, 11, yamux, yamux);
        struct buf payload = {.max = NOISE_PAYLOAD_MAX};
        for (int right = 0; right < 2; right++) {
            forger_start(&f, dials != 0, yamux);
            memcpy(text + 24, right ? f.xx.s_public : honest.end[1].xx.s_public, 32);
            identity_sign(&honest.id[1], bytes_at(text, sizeof text), signature);
            buf_clear(&payload);
            CHECK(pb_put_bytes(&payload, 1, bytes_at(honest.id[1].public_key, 36)) &&
                  pb_put_bytes(&payload, 2, bytes_at(signature, 64)));
            CHECK(forger_send(&f, buf_view(&payload)) == (right ? OK : E_VERIFY), "right %d, dials %d", right,
                  dials);
            forger_free(&f);
        }
        buf_free(&payload);
        pair_free(&honest);
    }
}
/* The ends of a node that makes its static key once: each handshake has keys of its own all the same. */
TEST(noise_one_static_key_for_many_handshakes) {
    struct pair p;
    struct noise_static own[2];
    uint8_t keys[2][32];
    pair_start(&p, 12, yamux, yamux);
    for (int i = 0; i < 2; i++) noise_static_make(&own[i], &p.id[i], &p.rng);
    for (int round = 0; round < 3; round++) {
        if (round == 2) own[1].signature[5] ^= 1;
        for (int i = 0; i < 2; i++) {
            noise_wipe(&p.end[i]);
            buf_clear(&p.wire[i]);
            CHECK(noise_start(&p.end[i], i == 0, &p.id[i], &own[i], i == 0 ? &p.id[1].peer : NULL, yamux,
                              &p.rng, &p.wire[i]) == OK);
        }
        if (round == 2) {
            CHECK(deliver(&p, 1) == OK && deliver(&p, 0) == E_VERIFY, "%s", p.end[0].why.text);
            break;
        }
        pair_shake(&p);
        CHECK(peer_id_eq(&p.end[1].peer, &p.id[0].peer));
        CHECK(memcmp(p.end[0].xx.rs, own[1].public, 32) == 0);
        CHECK(memcmp(p.end[1].xx.rs, own[0].public, 32) == 0);
        memcpy(keys[round], p.end[0].send_key, 32);
        CHECK(round == 0 || memcmp(keys[0], keys[1], 32) != 0, "two connections with one key");
    }
    uint8_t zero[sizeof own[0]] = {0};
    noise_static_wipe(&own[0]);
    CHECK(memcmp(&own[0], zero, sizeof zero) == 0);
    pair_free(&p);
}
TEST(noise_altered_signature) {
    for (size_t at = 0; at < 72; at++) {
        struct forger f;
        struct buf payload = {.max = NOISE_PAYLOAD_MAX};
        forger_start(&f, at % 2 == 0, yamux);
        put_identity(&payload, 3);
        if (at >= 70)
            payload.n--; /* and cut short: a field that is longer than the payload */
        else
            payload.p[payload.n - 1 - at] ^= 4;
        enum err e = forger_send(&f, buf_view(&payload));
        CHECK(e == E_VERIFY || e == E_PROTO, "byte %zu from the end: %s", at, err_name(e));
        buf_free(&payload);
        forger_free(&f);
    }
}
TEST(noise_malformed_payloads) {
    static const struct {
        const char *what, *hex;
    } rows[] = {
        {"nothing", ""},
        {"no signature", "0a00"},
        {"no key", "1200"},
        {"half a field", "0a"},
        {"a length too long", "0a05aa"},
        {"numbers instead", "08011001"},
        {"field 0", "020000"},
        {"extensions too long", "0a0012002205aa"},
        {"bad extensions", "0a00120022021205"},
    };
    for (size_t i = 0; i < 2 * LEN(rows); i++) {
        struct forger f;
        uint8_t payload[64];
        forger_start(&f, i % 2 == 0, yamux);
        enum err e = forger_send(&f, bytes_at(payload, test_hex(rows[i / 2].hex, payload, sizeof payload)));
        CHECK(e == E_PROTO, "%s: %s", rows[i / 2].what, err_name(e));
        forger_free(&f);
    }
}

/* ---- early muxer */
static const char *const mplex_yamux[] = {"/mplex/6.7.0", "/yamux/1.0.0", NULL};
static const char *const yamux_mplex[] = {"/yamux/1.0.0", "/mplex/6.7.0", NULL};
static const char *const other[] = {"/other", NULL}, *const none[] = {NULL};
TEST(noise_early_muxer) {
    static const struct {
        const char *const *initiator, *const *responder, *want;
        enum err e;
    } rows[] = {
        {yamux, yamux, "/yamux/1.0.0", OK},
        {mplex_yamux, yamux, "/yamux/1.0.0", OK},
        {mplex_yamux, yamux_mplex, "/mplex/6.7.0", OK},
        {yamux_mplex, mplex_yamux, "/yamux/1.0.0", OK},
        {NULL, yamux, NULL, OK},
        {yamux, NULL, NULL, OK},
        {none, yamux, NULL, OK},
        {yamux, none, NULL, OK},
        {NULL, NULL, NULL, OK},
        {yamux, other, NULL, E_PROTO},
        {other, yamux_mplex, NULL, E_PROTO},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct pair p;
        pair_start(&p, i, rows[i].initiator, rows[i].responder);
        CHECK(deliver(&p, 1) == OK && deliver(&p, 0) == rows[i].e, "row %zu: %s", i, p.end[0].why.text);
        if (rows[i].e == OK) {
            CHECK(deliver(&p, 1) == OK);
            for (int end = 0; end < 2; end++) {
                const char *got = p.end[end].muxer;
                CHECK(rows[i].want == NULL ? got == NULL : got != NULL && strcmp(got, rows[i].want) == 0,
                      "row %zu, end %d: %s", i, end, got == NULL ? "none" : got);
            }
        }
        pair_free(&p);
    }
}
TEST(noise_early_muxer_lists_of_strangers) {
    static const struct {
        const char *what;
        size_t fillers;
        bool ours, list;
        enum err want;
    } rows[] = {
        {"ours is the 16th", NOISE_MUXERS_MAX - 1, true, true, OK},
        {"ours is the 17th", NOISE_MUXERS_MAX, true, true, E_PROTO},
        {"none is ours", 3, false, true, E_PROTO},
        {"extensions without a list", 0, false, false, OK},
    };
    for (size_t i = 0; i < 2 * LEN(rows); i++) {
        struct forger f;
        struct buf payload = {.max = NOISE_PAYLOAD_MAX}, ext = {.max = NOISE_PAYLOAD_MAX};
        forger_start(&f, i % 2 == 0, yamux);
        CHECK(pb_put_bytes(&ext, 1, BYTES("a certificate hash")));
        for (size_t n = 0; n < rows[i / 2].fillers; n++) CHECK(pb_put_bytes(&ext, 2, BYTES("/else")));
        if (rows[i / 2].ours) CHECK(pb_put_bytes(&ext, 2, bytes_of(yamux[0])));
        put_identity(&payload, 3);
        CHECK(pb_put_bytes(&payload, 3, BYTES("old data")) && pb_put_bytes(&payload, 4, buf_view(&ext)));
        enum err e = forger_send(&f, buf_view(&payload));
        CHECK(e == rows[i / 2].want, "%s, victim dials %d: %s", rows[i / 2].what, f.victim_dials,
              err_name(e));
        if (e == OK) CHECK(f.victim.muxer == (rows[i / 2].ours ? yamux[0] : NULL), "%s", rows[i / 2].what);
        buf_free(&payload);
        buf_free(&ext);
        forger_free(&f);
    }
}
TEST(noise_wipe_leaves_nothing) {
    struct pair p;
    static const struct noise clean;
    pair_start(&p, 12, yamux, yamux);
    pair_shake(&p);
    uint8_t zero[32] = {0};
    CHECK(memcmp(p.end[0].xx.s_secret, zero, 32) == 0 && memcmp(p.end[0].xx.e_secret, zero, 32) == 0,
          "after the handshake");
    CHECK(memcmp(p.end[0].xx.ck, zero, 32) == 0 && memcmp(p.end[0].xx.k, zero, 32) == 0,
          "after the handshake");
    noise_wipe(&p.end[0]);
    CHECK(memcmp(&p.end[0], &clean, sizeof clean) == 0);
    pair_free(&p);
}
