/* tests/proto/peer_record_test.c: sealed as go-libp2p seals them, opened only when all of it fits */
#include "proto/peer_record.h"

#include "base/mem.h"
#include "base/pb.h"
#include "base/text.h"
#include "proto/multiaddr.h"
#include "tests/test.h"

/* js-libp2p packages/peer-record/test/peer-record.spec.ts: a key, and the envelope that go-libp2p made with
 * it */
#define GO_PRIVATE                                                                                           \
    "0801124085fbe72b6064289004a531f967898df5319ee02992fdd84021fa5052434bf6ee11bba3ed1721948cefb4e50b"       \
    "0a0bb5cad8a6b52dc7b1a40f4f6652105c91e2c4"
#define GO_ENVELOPE                                                                                          \
    "0a240801122011bba3ed1721948cefb4e50b0a0bb5cad8a6b52dc7b1a40f4f6652105c91e2c4120203011aaa010a2600"       \
    "240801122011bba3ed1721948cefb4e50b0a0bb5cad8a6b52dc7b1a40f4f6652105c91e2c410d8b8e0bf9391b697161a"       \
    "0a0a0804010203040600001a0a0a0804010203040600011a0a0a0804010203040600021a0a0a0804010203040600031a"       \
    "0a0a0804010203040600041a0a0a0804010203040600051a0a0a0804010203040600061a0a0a0804010203040600071a"       \
    "0a0a0804010203040600081a0a0a0804010203040600092a40b197f76b9f288af2b467fe666f774476287049b424b739"       \
    "75c8860efb02372d026a799584541ad72f2654346485bca3ece36462b7d1b1391c8d276dc4ab8bca0b"
#define GO_PEER "12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh" /* as go and nim-libp2p print it */
#define GO_SEQ UINT64_C(1598453001624231000)
#define DOMAIN "libp2p-peer-record"
#define TYPE "\x03\x01"
#define OLD_DOMAIN "libp2p-routing-state"
#define OLD_TYPE "/libp2p/routing-state-record"

static struct identity identity_of_go(void) {
    uint8_t key[100];
    struct identity id;
    CHECK(crypto_open() == OK);
    CHECK(identity_read(bytes_at(key, test_hex(GO_PRIVATE, key, sizeof(key))), &id, NULL) == OK);
    return id;
}

static struct identity another_identity(void) {
    struct rng rng = rng_seeded(7);
    struct identity id;
    CHECK(crypto_open() == OK);
    identity_make(&id, &rng);
    return id;
}

static bool is_empty(const struct peer_record *r) {
    static const struct peer_record empty;
    return memcmp(r, &empty, sizeof(empty)) == 0;
}

/* /ip4/1.2.3.4/tcp/0 and so on, as in that envelope */
static void addresses_of_go(uint8_t room[10][8], struct bytes addrs[10]) {
    for (uint8_t i = 0; i < 10; i++) {
        const uint8_t addr[8] = {MA_IP4, 1, 2, 3, 4, MA_TCP, 0, i};
        memcpy(room[i], addr, sizeof(addr));
        addrs[i] = bytes_at(room[i], sizeof(addr));
    }
}

TEST(an_envelope_of_go_is_opened) {
    uint8_t in[500], room[10][8];
    struct bytes addrs[10];
    struct peer_id peer;
    struct peer_record r;
    struct why w = {0};
    size_t n = test_hex(GO_ENVELOPE, in, sizeof(in));
    CHECK(crypto_open() == OK && peer_id_parse(BYTES(GO_PEER), &peer));
    CHECK(peer_record_open(bytes_at(in, n), &peer, &r, &w) == OK, "%s", w.text);
    CHECK(peer_id_eq(&r.peer, &peer) && r.seq == GO_SEQ && r.n == 10);
    addresses_of_go(room, addrs);
    for (size_t i = 0; i < 10; i++) CHECK(bytes_eq(r.addrs[i], addrs[i]), "%zu", i);
}

TEST(ours_are_the_same_bytes) {
    uint8_t want[500], room[10][8];
    struct bytes addrs[10];
    struct identity go = identity_of_go();
    struct buf out = {.max = PEER_RECORD_MAX};
    addresses_of_go(room, addrs);
    CHECK(peer_record_seal(&go, GO_SEQ, addrs, 10, &out));
    CHECK(bytes_eq(buf_view(&out), bytes_at(want, test_hex(GO_ENVELOPE, want, sizeof(want)))));
    buf_free(&out);
}

TEST(cut_anywhere_or_any_bit_flipped) {
    uint8_t in[500];
    struct identity go = identity_of_go();
    struct peer_record r;
    size_t n = test_hex(GO_ENVELOPE, in, sizeof(in)), blocks = mem_blocks();
    for (size_t cut = 0; cut < n; cut++) {
        struct why w = {0};
        uint8_t *exact = mem_new(1, MAX(cut, (size_t)1));
        CHECK(exact != NULL);
        memcpy(exact, in, cut);
        enum err e = peer_record_open(bytes_at(exact, cut), &go.peer, &r, &w);
        CHECK((e == E_PROTO || e == E_VERIFY) && w.code == e && is_empty(&r), "cut at %zu", cut);
        mem_free(exact);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        in[bit / 8] ^= (uint8_t)(1 << bit % 8);
        enum err e = peer_record_open(bytes_at(in, n), &go.peer, &r, NULL);
        CHECK((e == E_PROTO || e == E_VERIFY) && is_empty(&r), "bit %zu: %s", bit, err_name(e));
        in[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CHECK(mem_blocks() == blocks);
}

/* ---- envelopes that go would not make */

static void put_record(struct buf *out, struct bytes peer, struct bytes addr, size_t times) {
    struct buf one = {.max = PEER_RECORD_MAX};
    CHECK(pb_put_bytes(out, 1, peer) && pb_put_uint(out, 2, 9));
    for (size_t i = 0; i < times; i++) {
        buf_clear(&one);
        CHECK(pb_put_bytes(&one, 1, addr) && pb_put_bytes(out, 3, buf_view(&one)));
    }
    buf_free(&one);
}

static void put_envelope(struct buf *out, const struct identity *signer, struct bytes key,
                         struct bytes domain, struct bytes type, struct bytes payload) {
    struct buf text = {.max = 3 * PEER_RECORD_MAX};
    uint8_t signature[64];
    CHECK(wr_lp(&text, domain) && wr_lp(&text, type) && wr_lp(&text, payload));
    identity_sign(signer, buf_view(&text), signature);
    CHECK(pb_put_bytes(out, 1, key) && pb_put_bytes(out, 2, type) && pb_put_bytes(out, 3, payload) &&
          pb_put_bytes(out, 5, bytes_at(signature, 64)));
    buf_free(&text);
}

static struct bytes key_of(const struct identity *id) {
    return bytes_at(id->public_key, sizeof(id->public_key));
}

TEST(domain_type_and_signer_must_fit) {
    struct identity go = identity_of_go(), other = another_identity();
    const struct {
        const char *what;
        const struct identity *signer, *key, *peer;
        struct bytes domain, type;
        enum err want;
    } rows[] = {
        {"as it should be", &go, &go, &go, BYTES(DOMAIN), BYTES(TYPE), OK},
        {"the RFC's names", &go, &go, &go, BYTES(OLD_DOMAIN), BYTES(OLD_TYPE), OK},
        {"the new domain with the old type", &go, &go, &go, BYTES(DOMAIN), BYTES(OLD_TYPE), E_VERIFY},
        {"the old domain with the new type", &go, &go, &go, BYTES(OLD_DOMAIN), BYTES(TYPE), E_VERIFY},
        {"a relay's domain", &go, &go, &go, BYTES("libp2p-relay-rsvp"), BYTES(TYPE), E_VERIFY},
        {"a relay's voucher", &go, &go, &go, BYTES("libp2p-relay-rsvp"), BYTES("\x03\x02"), E_PROTO},
        {"no type", &go, &go, &go, BYTES(DOMAIN), BYTES(""), E_PROTO},
        {"signed by another", &other, &go, &go, BYTES(DOMAIN), BYTES(TYPE), E_VERIFY},
        {"signed by another with its key", &other, &other, &go, BYTES(DOMAIN), BYTES(TYPE), E_VERIFY},
        {"another's record", &other, &other, &other, BYTES(DOMAIN), BYTES(TYPE), E_VERIFY},
        {"the peer signs for another", &go, &go, &other, BYTES(DOMAIN), BYTES(TYPE), E_VERIFY},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf payload = {.max = 1000}, in = {.max = 1000};
        struct peer_record r;
        struct why w = {0};
        put_record(&payload, peer_id_view(&rows[i].peer->peer), BYTES("\x04\x01\x02\x03\x04\x06\x0f\xa1"), 1);
        put_envelope(&in, rows[i].signer, key_of(rows[i].key), rows[i].domain, rows[i].type,
                     buf_view(&payload));
        enum err e = peer_record_open(buf_view(&in), &go.peer, &r, &w);
        CHECK(e == rows[i].want, "%s: %s %s", rows[i].what, err_name(e), w.text);
        CHECK(e == OK ? r.n == 1 && r.seq == 9 : is_empty(&r), "%s", rows[i].what);
        buf_free(&payload);
        buf_free(&in);
    }
}

TEST(payloads_of_strangers) {
    static const struct {
        const char *what, *hex; /* PEER is put in the place of @ */
        size_t n;
        uint64_t seq;
        enum err want;
    } rows[] = {
        {"peer alone", "@", 0, 0, OK},
        {"no peer", "1009", 0, 0, E_PROTO},
        {"a peer id that is none", "0a0112 1009", 0, 0, E_PROTO},
        {"nothing", "", 0, 0, E_PROTO},
        {"the last seq counts", "@ 1009 100a", 0, 10, OK},
        {"a seq that is text", "@ 120109", 0, 0, OK},
        {"the largest seq", "@ 10ffffffffffffffffff01", 0, UINT64_MAX, OK},
        {"fields of tomorrow", "@ 1009 2001 2a0178", 0, 9, OK},
        {"an address", "@ 1a0a 0a08 04010203040600 01", 1, 0, OK},
        {"an empty address", "@ 1a02 0a00 1a0a 0a08 04010203040600 01", 1, 0, OK},
        {"an address without bytes", "@ 1a00 1a0a 0a08 04010203040600 01", 1, 0, OK},
        {"an address cut short", "@ 1a08 0a06 040102030406 1a0a 0a08 04010203040600 01", 1, 0, OK},
        {"an unknown protocol in an address", "@ 1a05 0a03 ff7f00 1a0a 0a08 04010203040600 01", 1, 0, OK},
        {"a malformed address info", "@ 1a02 0a05 1a0a 0a08 04010203040600 01", 1, 0, OK},
        {"an address that is a number", "@ 1801", 0, 0, OK},
        {"cut inside the record", "@ 1a0a 0a08", 0, 0, E_PROTO},
        {"a group", "@ 1b", 0, 0, E_PROTO},
    };
    struct identity go = identity_of_go();
    struct buf peer = {.max = 200};
    CHECK(buf_add_text(&peer, "0a26") && hex_encode(&peer, peer_id_view(&go.peer)));
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf hex = {.max = 1000}, in = {.max = 1000};
        uint8_t payload[400];
        struct peer_record r;
        struct why w = {0};
        for (const char *c = rows[i].hex; *c != '\0'; c++)
            CHECK(*c == '@' ? buf_add(&hex, buf_view(&peer)) : buf_add_byte(&hex, (uint8_t)*c));
        size_t n = test_hex(buf_cstr(&hex), payload, sizeof(payload));
        put_envelope(&in, &go, key_of(&go), BYTES(DOMAIN), BYTES(TYPE), bytes_at(payload, n));
        enum err e = peer_record_open(buf_view(&in), &go.peer, &r, &w);
        CHECK(e == rows[i].want, "%s: %s %s", rows[i].what, err_name(e), w.text);
        CHECK(r.n == rows[i].n && r.seq == rows[i].seq, "%s: %zu", rows[i].what, r.n);
        buf_free(&hex);
        buf_free(&in);
    }
    buf_free(&peer);
}

TEST(addresses_end_at_their_limit) {
    struct identity go = identity_of_go();
    struct bytes addr = BYTES("\x04\x01\x02\x03\x04\x06\x0f\xa1"), addrs[PEER_RECORD_ADDRESSES_MAX + 2];
    for (size_t n = PEER_RECORD_ADDRESSES_MAX - 1; n <= PEER_RECORD_ADDRESSES_MAX + 1; n++) {
        struct buf payload = {.max = PEER_RECORD_MAX}, in = {.max = PEER_RECORD_MAX};
        struct peer_record r;
        put_record(&payload, peer_id_view(&go.peer), addr, n);
        put_envelope(&in, &go, key_of(&go), BYTES(DOMAIN), BYTES(TYPE), buf_view(&payload));
        CHECK(peer_record_open(buf_view(&in), &go.peer, &r, NULL) == OK, "%zu", n);
        CHECK(r.n == MIN(n, (size_t)PEER_RECORD_ADDRESSES_MAX), "%zu", n);
        addrs[0] = BYTES(""); /* skipped, and counts for nothing */
        for (size_t i = 1; i <= n; i++) addrs[i] = addr;
        buf_clear(&in);
        CHECK(peer_record_seal(&go, 9, addrs, n + 1, &in));
        CHECK(peer_record_open(buf_view(&in), &go.peer, &r, NULL) == OK, "%zu", n);
        CHECK(r.n == MIN(n, (size_t)PEER_RECORD_ADDRESSES_MAX), "%zu", n);
        buf_free(&payload);
        buf_free(&in);
    }
}

/* An unknown field of such a length that the envelope has `size` bytes. */
static void pad(struct buf *envelope, size_t size) {
    static const uint8_t zeros[PEER_RECORD_MAX];
    size_t room = size - envelope->n;
    CHECK(room > 131 && pb_put_bytes(envelope, 15, bytes_at(zeros, room - 3)) && envelope->n == size);
}

TEST(an_envelope_at_its_limit) {
    for (size_t size = PEER_RECORD_MAX; size <= PEER_RECORD_MAX + 1; size++) {
        struct identity go = identity_of_go();
        struct buf in = {.max = 2 * PEER_RECORD_MAX};
        struct peer_record r;
        CHECK(peer_record_seal(&go, 1, NULL, 0, &in));
        pad(&in, size);
        enum err e = peer_record_open(buf_view(&in), &go.peer, &r, NULL);
        CHECK(e == (size <= PEER_RECORD_MAX ? OK : E_PROTO), "%zu: %s", size, err_name(e));
        buf_free(&in);
    }
}

TEST(sealing_is_all_or_nothing) {
    static uint8_t unix_path[MULTIADDR_MAX];
    struct identity go = identity_of_go();
    struct bytes addrs[PEER_RECORD_ADDRESSES_MAX];
    struct buf out = {.max = 4 * PEER_RECORD_MAX};
    size_t fits = 0;
    memset(unix_path, 'x', sizeof(unix_path));
    for (size_t n = 0; n <= PEER_RECORD_ADDRESSES_MAX; n++) { /* up to 8192 bytes, and no longer */
        if (n > 0) addrs[n - 1] = bytes_at(unix_path, 480);
        buf_clear(&out);
        CHECK(buf_add_text(&out, "old"));
        bool done = peer_record_seal(&go, 1, addrs, n, &out);
        CHECK(done == (out.n > 3) && out.n - 3 <= PEER_RECORD_MAX && bytes_starts(buf_view(&out), "old"),
              "%zu", n);
        CHECK(!done || fits == n, "%zu", n);
        fits += done;
    }
    CHECK(fits == 17, "%zu", fits); /* none to 16 of 480 bytes */
    size_t longest = 0;
    for (size_t n = 1; n < 480; n++) { /* and one more, as long as it may be */
        addrs[16] = bytes_at(unix_path, n);
        buf_clear(&out);
        if (peer_record_seal(&go, 1, addrs, 17, &out)) longest = n;
        CHECK(out.n <= PEER_RECORD_MAX && (out.n == 0 || n == 1 || longest == n), "%zu: %zu", n, out.n);
    }
    addrs[16] = bytes_at(unix_path, longest);
    CHECK(peer_record_seal(&go, 1, addrs, 17, &out) && out.n == PEER_RECORD_MAX, "%zu", out.n);
    buf_clear(&out);
    CHECK(peer_record_seal(&go, 1, addrs, 2, &out));
    size_t size = out.n;
    buf_free(&out);
    for (size_t max = size - 5; max <= size; max++) {
        out.max = max;
        CHECK(peer_record_seal(&go, 1, addrs, 2, &out) == (max == size) && (out.n == 0) == (max < size));
        buf_free(&out);
    }
}

TEST(memory_may_fail_at_any_time) {
    uint8_t in[500], room[10][8];
    struct bytes addrs[10];
    struct identity go = identity_of_go();
    size_t n = test_hex(GO_ENVELOPE, in, sizeof(in)), blocks = mem_blocks();
    addresses_of_go(room, addrs);
    enum err e = E_MEMORY;
    for (long i = 0; e == E_MEMORY; i++) {
        struct peer_record r;
        mem_fail_after(i);
        e = peer_record_open(bytes_at(in, n), &go.peer, &r, NULL);
        mem_fail_after(-1);
        CHECK(e == OK ? i > 0 : e == E_MEMORY && is_empty(&r), "%ld: %s", i, err_name(e));
    }
    bool done = false;
    for (long i = 0; !done; i++) {
        struct buf out = {.max = PEER_RECORD_MAX};
        mem_fail_after(i);
        done = peer_record_seal(&go, 1, addrs, 10, &out);
        mem_fail_after(-1);
        CHECK(i < 100 && done == (out.n > 0) && (i > 2 || !done), "%ld", i);
        buf_free(&out);
    }
    CHECK(mem_blocks() == blocks);
}
