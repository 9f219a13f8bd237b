/* Noise: messages altered, replayed, foreign; identities that are none. Both roles: as listener the node
 * dials us. */
#include "tests/abuse/attacks.h"

#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_1 = 34, AFTER_MS = 4000 };

static void one(struct target *t, const struct faults *f, const char *more) {
    struct wire w;
    wire_begin(&w, t);
    if (wire_handshake(&w, f)) wire_drain(&w, AFTER_MS);
    wire_report(&w, more);
    wire_end(&w);
}

/* Whether the node ended a connection with this fault. */
static bool refused(struct target *t, const struct faults *f) {
    struct wire w;
    wire_begin(&w, t);
    if (wire_handshake(&w, f)) wire_drain(&w, AFTER_MS);
    bool ended = (w.end == SHUT || w.end == BROKEN) && w.plain.n == 0 && w.data == 0;
    wire_end(&w);
    return ended;
}

static void alter(struct target *t, int message, size_t from, size_t n) {
    size_t done = 0;
    for (size_t at = from; at < from + n; at++)
        done += refused(t, &(struct faults){.message = message, .at = at});
    printf("refused=%zu of=%zu\n", done, n);
}
static size_t length_of_3(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    size_t n = w.sent_3.n;
    wire_end(&w);
    return n;
}
static void alter_1(struct target *t) {
    alter(t, 1, 2, MESSAGE_1 - 2);
}
static void alter_3(struct target *t) {
    alter(t, 3, 2, length_of_3(t) - 2);
}
/* As listener: `count` is the byte of message 2 to begin with; the node dials once per byte. */
static void alter_2(struct target *t) {
    one(t, &(struct faults){.message = 2, .at = t->count}, "");
}
static void length_1(struct target *t) {
    static const unsigned lengths[] = {31, 33, 65535, 96};
    size_t done = 0;
    for (size_t i = 0; i < LEN(lengths); i++) {
        struct faults f = {.message = 1, .length = lengths[i]};
        done += refused(t, &f);
    }
    printf("refused=%zu of=%zu\n", done, LEN(lengths));
}
static void length_3(struct target *t) {
    size_t done = refused(t, &(struct faults){.message = 3, .length = 63}) +
                  refused(t, &(struct faults){.message = 3, .length = 64 + 4097});
    printf("refused=%zu of=2\n", done);
}
static void prologue(struct target *t) {
    one(t, &(struct faults){.prologue = "libp2p"}, "");
}
static void low_e(struct target *t) {
    one(t, &(struct faults){.low_e = true}, "");
}
static void low_s(struct target *t) {
    one(t, &(struct faults){.low_s = true}, "");
}
static void signature_empty(struct target *t) {
    one(t, &(struct faults){.signature = SIGNED_EMPTY}, "");
}
static void signature_altered(struct target *t) {
    one(t, &(struct faults){.signature = SIGNED_ALTERED}, "");
}
static void signature_foreign(struct target *t) {
    one(t, &(struct faults){.signature = SIGNED_FOREIGN}, "");
}
static void signature_replayed(struct target *t) {
    one(t, &(struct faults){.signature = SIGNED_REPLAYED}, "");
}
static void signature_missing(struct target *t) {
    one(t, &(struct faults){.signature = SIGNED_NOT}, "");
}
/* As another peer: its key, without its secret. */
static void impersonate(struct target *t) {
    one(t, &(struct faults){.key = bytes_at(t->other.public_key, sizeof t->other.public_key)}, "");
}
/* As listener: a good handshake, of another peer than the one that is dialed. */
static void wrong_peer(struct target *t) {
    t->self = t->other;
    one(t, &(struct faults){.message = 0}, "");
}
/* A whole good handshake, said again on a new connection. */
static void replay(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    struct faults f = {.message_1 = buf_view(&w.sent_1), .message_3 = buf_view(&w.sent_3)};
    one(t, &f, "");
    wire_end(&w);
}
static void muxers(struct target *t) {
    one(t, &(struct faults){.no_muxer = true}, "");
}
static void payload_garbage(struct target *t) {
    uint8_t random[300];
    rng_fill(&t->rng, random, sizeof random);
    one(t, &(struct faults){.payload = bytes_at(random, sizeof random)}, "");
}
static void payload_oversized(struct target *t) {
    uint8_t *zeros = mem_new(1, 5000);
    if (zeros == NULL) wire_fail("memory");
    one(t, &(struct faults){.payload = bytes_at(zeros, 5000)}, "");
    mem_free(zeros);
}

/* ---- RSA keys; none of them can sign, the question is when and how they are refused */

static void der(struct buf *out, unsigned tag, struct bytes body) {
    wr_u8(out, (uint8_t)tag);
    if (body.n > 255) {
        wr_u8(out, 0x82);
        wr_u16(out, (uint16_t)body.n);
    } else if (body.n > 127) {
        wr_u8(out, 0x81);
        wr_u8(out, (uint8_t)body.n);
    } else {
        wr_u8(out, (uint8_t)body.n);
    }
    buf_add(out, body);
}

static void rsa_key(struct target *t, size_t bits, struct bytes exponent, struct buf *spki) {
    static const uint8_t algorithm[] = {0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0};
    struct buf modulus = {.max = 8192}, numbers = {.max = 8192}, key = {.max = 8192}, info = {.max = 8192};
    uint8_t random[4096];
    rng_fill(&t->rng, random, sizeof random);
    random[0] |= 0x80;
    random[bits / 8 - 1] |= 1;
    wr_u8(&modulus, 0);
    buf_add(&modulus, bytes_at(random, bits / 8));
    der(&numbers, 2, buf_view(&modulus));
    der(&numbers, 2, exponent);
    wr_u8(&key, 0);
    der(&key, 0x30, buf_view(&numbers));
    buf_add(&info, bytes_at(algorithm, sizeof algorithm));
    der(&info, 3, buf_view(&key));
    der(spki, 0x30, buf_view(&info));
    buf_free(&modulus);
    buf_free(&numbers);
    buf_free(&key);
    buf_free(&info);
}

static void with_rsa(struct target *t, struct bytes spki, size_t signature) {
    struct buf key = {.max = 8192}, payload = {.max = 8192};
    uint8_t random[1024];
    rng_fill(&t->rng, random, sizeof random);
    random[0] = 0;
    pb_put_uint(&key, 1, KEY_RSA);
    pb_put_bytes(&key, 2, spki);
    pb_put_bytes(&payload, 1, buf_view(&key));
    pb_put_bytes(&payload, 2, bytes_at(random, signature));
    one(t, &(struct faults){.payload = buf_view(&payload)}, "");
    buf_free(&key);
    buf_free(&payload);
}

static void rsa(struct target *t, size_t bits, struct bytes exponent) {
    struct buf spki = {.max = 8192};
    rsa_key(t, bits, exponent, &spki);
    with_rsa(t, buf_view(&spki), MIN(bits / 8, (size_t)1024));
    buf_free(&spki);
}
#define F4 BYTES("\x01\x00\x01")
static void rsa_16384(struct target *t) {
    rsa(t, 16384, F4);
}
static void rsa_8200(struct target *t) {
    rsa(t, 8200, F4);
}
static void rsa_1024(struct target *t) {
    rsa(t, 1024, F4);
}
static void rsa_even_exponent(struct target *t) {
    rsa(t, 2048, BYTES("\x01\x00\x00"));
}
static void rsa_huge_exponent(struct target *t) {
    uint8_t e[256];
    memset(e, 0x7f, sizeof e);
    rsa(t, 2048, bytes_at(e, sizeof e));
}
static void rsa_unsigned(struct target *t) {
    rsa(t, 8192, F4); /* the largest that is let in: its signature is looked at, and wrong */
}
/* Each length byte of the structure lies, one connection each. */
static void rsa_lying(struct target *t) {
    static const size_t lengths[] = {2, 3, 5, 21, 22, 26, 27, 30, 31};
    for (size_t i = 0; i < LEN(lengths); i++) {
        struct buf spki = {.max = 8192};
        rsa_key(t, 2048, F4, &spki);
        spki.p[lengths[i]] = (uint8_t)(spki.p[lengths[i]] + (i % 2 == 0 ? 0x7f : 1));
        with_rsa(t, buf_view(&spki), 256);
        buf_free(&spki);
    }
}

/* Message 1, a byte each `count` ms. */
static void noise_slow(struct target *t) {
    struct wire w;
    uint8_t message[34] = {0, 32};
    rng_fill(&t->rng, message + 2, 32);
    wire_begin(&w, t);
    if (!wire_multistream(&w, "/noise")) wire_fail("the node does not speak Noise");
    wire_trickle(&w, bytes_at(message, sizeof message - 1), (int)t->count);
    wire_drain(&w, 4000);
    wire_report(&w, "");
    wire_end(&w);
}

/* ---- frames after the handshake */

/* One of 65535 bytes, which takes a day at that pace. */
static void frame_slow(struct target *t) {
    struct wire w;
    static uint8_t frame[65537] = {0xff, 0xff};
    wire_open(&w, t);
    wire_trickle(&w, bytes_at(frame, sizeof frame), (int)t->count);
    wire_report(&w, "");
    wire_end(&w);
}
/* Takes all, says nothing, answers no ping. */
static void mute(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    printf("open\n");
    fflush(stdout);
    while (wire_fill(&w, 60000)) buf_clear(&w.in);
    wire_report(&w, "");
    wire_end(&w);
}

static void frame_altered(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    w.send_key[0] ^= 1;
    wire_frame(&w, PING, SYN, 0, 1, nothing);
    wire_drain(&w, AFTER_MS);
    wire_report(&w, "");
    wire_end(&w);
}
static void frame_twice(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    wire_frame(&w, PING, SYN, 0, 1, nothing);
    w.send_n--;
    wire_frame(&w, PING, SYN, 0, 1, nothing);
    wire_drain(&w, AFTER_MS);
    wire_report(&w, "");
    wire_end(&w);
}
static void frame_short(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    wire_send(&w, BYTES("\x00\x0f"
                        "123456789012345"));
    wire_drain(&w, AFTER_MS);
    wire_report(&w, "");
    wire_end(&w);
}
static void frame_cut(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    wire_send(&w, BYTES("\xff\xff"
                        "and no more"));
    wire_drain(&w, 300);
    wire_report(&w, "");
    wire_end(&w);
}

const struct attack attacks_noise[] = {{"noise-alter-1", alter_1},
                                       {"noise-alter-2", alter_2},
                                       {"noise-alter-3", alter_3},
                                       {"noise-length-1", length_1},
                                       {"noise-length-3", length_3},
                                       {"noise-prologue", prologue},
                                       {"noise-low-e", low_e},
                                       {"noise-low-s", low_s},
                                       {"noise-signature-empty", signature_empty},
                                       {"noise-signature-altered", signature_altered},
                                       {"noise-signature-foreign", signature_foreign},
                                       {"noise-signature-replayed", signature_replayed},
                                       {"noise-signature-missing", signature_missing},
                                       {"noise-impersonate", impersonate},
                                       {"noise-wrong-peer", wrong_peer},
                                       {"noise-replay", replay},
                                       {"noise-muxers", muxers},
                                       {"noise-payload-garbage", payload_garbage},
                                       {"noise-payload-oversized", payload_oversized},
                                       {"rsa-16384", rsa_16384},
                                       {"rsa-8200", rsa_8200},
                                       {"rsa-1024", rsa_1024},
                                       {"rsa-even-exponent", rsa_even_exponent},
                                       {"rsa-huge-exponent", rsa_huge_exponent},
                                       {"rsa-unsigned", rsa_unsigned},
                                       {"rsa-lying", rsa_lying},
                                       {"frame-altered", frame_altered},
                                       {"frame-twice", frame_twice},
                                       {"frame-short", frame_short},
                                       {"frame-cut", frame_cut},
                                       {"noise-slow", noise_slow},
                                       {"frame-slow", frame_slow},
                                       {"mute", mute},
                                       {NULL, NULL}};
