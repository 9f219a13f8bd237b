/* The Noise handshake and what comes behind it. Raw bytes against each side; and conversations in which the
 * fuzzer holds the peer's keys, so that altered payloads still decrypt and are read. */
#include "base/pb.h"
#include "proto/noise.h"
#include "tests/fuzz/fuzz.h"

static struct identity self, other;
static const char *const yamux[] = {"/yamux/1.0.0", "/mplex", NULL};
static const char *const none[] = {NULL};

static void make_identities(void) {
    static bool made;
    if (made) return;
    struct rng rng = rng_seeded(9);
    identity_make(&self, &rng);
    identity_make(&other, &rng);
    made = true;
}

static enum err feed(struct noise *z, struct buf *held, struct bytes part, struct buf *out) {
    MUST(buf_add(held, part));
    struct bytes in = buf_view(held);
    size_t before = in.n;
    enum err e = noise_input(z, &in, out);
    MUST(in.n <= before && e == z->why.code && (e == OK) == (z->state != NOISE_DEAD));
    buf_drop(held, before - in.n);
    return e;
}

static void against_bytes(struct bytes in, bool initiator) {
    struct rng rng = rng_seeded(1);
    struct noise z;
    struct buf held = {.max = 1 << 20}, out = {.max = 1 << 17};
    MUST(noise_start(&z, initiator, &self, NULL, initiator ? &other.peer : NULL, yamux, &rng, &out) == OK);
    while (in.n > 0) feed(&z, &held, fuzz_part(&in), &out);
    MUST(z.state != NOISE_DONE);
    noise_wipe(&z);
    buf_free(&held);
    buf_free(&out);
}

/* The peer's half in our hands: the Noise pattern alone, with a payload of the fuzzer's. */
struct puppet {
    struct noise_xx xx;
    uint8_t send_key[32], receive_key[32];
};

static void put_payload(const struct puppet *p, struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in), signature[64], message[24 + 32] = "noise-libp2p-static-key:";
    const struct identity *who = how & 1 ? &self : &other;
    memcpy(message + 24, p->xx.s_public, 32);
    identity_sign(who, bytes_at(message, sizeof message), signature);
    if (how & 2) signature[fuzz_u8(in) % 64] ^= fuzz_u8(in);
    if ((how & 4) == 0) pb_put_bytes(out, 1, bytes_at(who->public_key, sizeof who->public_key));
    if (how & 8) pb_put_bytes(out, 1, fuzz_part(in));
    if ((how & 16) == 0) pb_put_bytes(out, 2, bytes_at(signature, 64));
    if (how & 32) {
        struct buf names = {.max = 1 << 20};
        for (int i = fuzz_u8(in) % 32; i > 0; i--) {
            uint8_t kind = fuzz_u8(in);
            struct bytes name = kind & 1 ? BYTES("/yamux/1.0.0") : kind & 2 ? BYTES("/mplex") : fuzz_part(in);
            pb_put_bytes(&names, 2, name);
        }
        pb_put_bytes(out, 4, buf_view(&names));
        buf_free(&names);
    }
    if (how & 64) buf_add(out, fuzz_part(in));
    if (how & 128) pb_put_uint(out, 3, how);
}

static void frame(struct buf *to, struct bytes message) {
    if (message.n <= UINT16_MAX) MUST(wr_u16(to, (uint16_t)message.n) && buf_add(to, message));
}

/* Takes the next message of z off `out` and reads it; false: there is none. */
static bool puppet_read(struct puppet *p, int number, struct buf *out) {
    struct rd r = rd_of(buf_view(out));
    uint8_t payload[65536];
    struct bytes message = rd_take(&r, rd_u16(&r));
    if (r.bad) return false;
    MUST(noise_xx_read(&p->xx, number, message, payload));
    buf_drop(out, out->n - r.in.n);
    return true;
}

static void puppet_write(struct puppet *p, int number, struct bytes *in, struct buf *wire) {
    struct buf payload = {.max = 1 << 21}, message = {.max = 1 << 22};
    if (number > 1) put_payload(p, in, &payload);
    MUST(noise_xx_write(&p->xx, number, buf_view(&payload), &message));
    uint8_t how = fuzz_u8(in);
    if (how & 1 && message.n > 0) message.p[fuzz_u16(in) % message.n] ^= fuzz_u8(in);
    if (how & 2 && message.n > 0) message.n = fuzz_u16(in) % message.n;
    frame(wire, buf_view(&message));
    buf_free(&payload);
    buf_free(&message);
}

/* Both directions after a handshake: what is sealed is opened, what is changed is not. */
static void transport(struct noise *z, struct puppet *p, struct bytes in) {
    struct noise peer = {.state = NOISE_DONE};
    memcpy(peer.send_key, p->send_key, 32);
    memcpy(peer.receive_key, p->receive_key, 32);
    struct buf wire = {.max = 1 << 18}, back = {.max = 1 << 18};
    enum err e = OK;
    while (in.n > 0 && e == OK) {
        uint8_t how = fuzz_u8(&in);
        struct bytes part = fuzz_part(&in), plain;
        uint8_t big[70000] = {how};
        if (how & 4) part = bytes_at(big, 65000u + how * 16u);
        buf_clear(&wire);
        buf_clear(&back);
        MUST(noise_seal(&peer, part, &wire) == OK);
        if (how & 1 && wire.n > 0) wire.p[fuzz_u16(&in) % wire.n] ^= (uint8_t)(how | 1);
        if (how & 2) MUST(buf_add(&wire, fuzz_part(&in)));
        struct bytes rest = buf_view(&wire);
        for (bool whole = true; whole && e == OK && rest.n > 0;) {
            struct bytes before = rest;
            e = noise_open(z, wire.p + (rest.p - wire.p), &rest, &plain, &whole);
            MUST(rest.n <= before.n && (e == OK || e == E_PROTO));
            if (e == OK && whole) MUST(buf_add(&back, plain));
        }
        if ((how & 3) == 0) MUST(e == OK && bytes_eq(buf_view(&back), part));
        if ((how & 3) != 0) break; /* the sides no longer count alike */
    }
    buf_free(&wire);
    buf_free(&back);
}

static void conversation(struct bytes in, bool initiator) {
    struct rng rng = rng_seeded(fuzz_u8(&in));
    uint8_t how = fuzz_u8(&in);
    struct noise z;
    struct puppet p;
    struct buf held = {.max = 1 << 20}, out = {.max = 1 << 17}, wire = {.max = 1 << 20};
    const struct peer_id *expected = !initiator || how & 1 ? NULL : &other.peer;
    MUST(noise_start(&z, initiator, &self, NULL, expected, how & 2 ? none : yamux, &rng, &out) == OK);
    noise_xx_start(&p.xx, how & 4 ? BYTES("prologue") : (struct bytes){NULL, 0}, &rng);
    if (initiator) {
        if (!puppet_read(&p, 1, &out)) goto end;
        puppet_write(&p, 2, &in, &wire);
    } else {
        puppet_write(&p, 1, &in, &wire);
    }
    enum err e = feed(&z, &held, buf_view(&wire), &out);
    buf_clear(&wire);
    if (!initiator) {
        struct rd r = rd_of(buf_view(&out));
        uint8_t payload[65536];
        struct bytes message = rd_take(&r, rd_u16(&r));
        if (e != OK || r.bad || !noise_xx_read(&p.xx, 2, message, payload)) goto end;
        buf_clear(&out);
        puppet_write(&p, 3, &in, &wire);
        if (how & 8) MUST(buf_add(&wire, BYTES("behind")));
        e = feed(&z, &held, buf_view(&wire), &out);
    } else if (e == OK && z.state == NOISE_DONE) {
        MUST(puppet_read(&p, 3, &out));
    }
    if (e != OK || z.state != NOISE_DONE) goto end;
    MUST(z.peer.n > 0 && (expected == NULL || peer_id_eq(&z.peer, expected)));
    noise_xx_split(&p.xx, initiator ? p.receive_key : p.send_key, initiator ? p.send_key : p.receive_key);
    transport(&z, &p, in);
end:
    noise_wipe(&z);
    noise_xx_wipe(&p.xx);
    buf_free(&held);
    buf_free(&out);
    buf_free(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    make_identities();
    uint8_t what = fuzz_u8(&in);
    if (what % 8 == 0) {
        against_bytes(in, (what & 8) != 0);
    } else {
        conversation(in, (what & 8) != 0);
    }
    fuzz_no_leak(blocks);
    return 0;
}
