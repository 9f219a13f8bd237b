/* identify and signed peer records: raw bytes, and well-formed messages and envelopes that the fuzzer fills
 * and that are signed after it has changed them, so that what is behind the signature is reached. */
#include "base/pb.h"
#include "base/text.h"
#include "proto/identify.h"
#include "proto/multiaddr.h"
#include "tests/fuzz/fuzz.h"

static struct identity self, other;

static void make_identities(void) {
    static bool made;
    if (made) return;
    struct rng rng = rng_seeded(7);
    identity_make(&self, &rng);
    identity_make(&other, &rng);
    made = true;
}

static void check_record(struct bytes envelope) {
    struct peer_record r;
    struct why w = {OK, ""};
    enum err e = peer_record_open(envelope, &self.peer, &r, &w);
    MUST(e == w.code);
    if (e != OK) {
        MUST(r.n == 0 && r.peer.n == 0);
        return;
    }
    MUST(peer_id_eq(&r.peer, &self.peer) && r.n <= PEER_RECORD_ADDRESSES_MAX);
    for (size_t i = 0; i < r.n; i++) MUST(multiaddr_valid(r.addrs[i]));
    struct buf out = {.max = PEER_RECORD_MAX};
    struct peer_record again;
    if (r.seq <= INT64_MAX && peer_record_seal(&self, r.seq, r.addrs, r.n, &out)) {
        MUST(peer_record_open(buf_view(&out), &self.peer, &again, NULL) == OK);
        MUST(again.seq == r.seq && again.n == r.n);
    }
    buf_free(&out);
}

static struct bytes address(struct bytes *in, uint8_t space[16]) {
    static const uint8_t good[] = {4, 10, 0, 0, 1, 6, 0x0f, 0xa1};
    uint8_t what = fuzz_u8(in);
    if (what >= 128) return fuzz_part(in);
    memcpy(space, good, sizeof good);
    space[4] = what;
    return bytes_at(space, sizeof good);
}

/* A record's payload, drawn field by field. */
static void put_payload(struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in), space[16];
    if ((how & 1) == 0) pb_put_bytes(out, 1, peer_id_view(how & 2 ? &other.peer : &self.peer));
    if ((how & 4) == 0) pb_put_uint(out, 2, fuzz_u64(in));
    for (unsigned i = 0, n = how & 8 ? fuzz_u8(in) : how >> 6; i < n; i++) {
        struct buf one = {.max = 1 << 17};
        pb_put_bytes(&one, 1, address(in, space));
        pb_put_bytes(out, 3, buf_view(&one));
        buf_free(&one);
    }
    if (how & 16) buf_add(out, fuzz_part(in));
}

static void put_envelope(struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in), signature[64];
    struct buf payload = {.max = 1 << 18}, message = {.max = 1 << 19};
    const struct identity *who = how & 1 ? &other : &self;
    bool old = (how & 2) != 0;
    struct bytes domain = old ? BYTES("libp2p-routing-state") : BYTES("libp2p-peer-record");
    struct bytes type = old ? BYTES("/libp2p/routing-state-record") : BYTES("\x03\x01");
    put_payload(in, &payload);
    wr_lp(&message, domain);
    wr_lp(&message, type);
    wr_lp(&message, buf_view(&payload));
    identity_sign(who, buf_view(&message), signature);
    if (how & 4) signature[fuzz_u8(in) % 64] ^= fuzz_u8(in);
    struct bytes key = bytes_at(who->public_key, sizeof who->public_key);
    pb_put_bytes(out, 1, how & 8 ? fuzz_part(in) : key);
    pb_put_bytes(out, 2, how & 16 ? fuzz_part(in) : type);
    pb_put_bytes(out, 3, buf_view(&payload));
    pb_put_bytes(out, 5, bytes_at(signature, 64));
    if (how & 32) buf_add(out, fuzz_part(in));
    buf_free(&payload);
    buf_free(&message);
}

static void put_identify(struct bytes *in, struct buf *out) {
    uint8_t space[16];
    for (int i = 0; i < 400 && in->n > 0; i++) {
        uint8_t what = fuzz_u8(in);
        struct buf envelope = {.max = 1 << 20};
        switch (what % 10) {
        case 0: pb_put_bytes(out, 1, bytes_at((what & 16 ? &other : &self)->public_key, 36)); break;
        case 1: pb_put_bytes(out, 2, address(in, space)); break;
        case 2: pb_put_bytes(out, 3, what & 64 ? BYTES("/silktalk/message/1.0.0") : fuzz_part(in)); break;
        case 3: pb_put_bytes(out, 4, address(in, space)); break;
        case 4: pb_put_bytes(out, 5, fuzz_part(in)); break;
        case 5: pb_put_bytes(out, 6, fuzz_part(in)); break;
        case 6:
            put_envelope(in, &envelope);
            pb_put_bytes(out, 8, buf_view(&envelope));
            break;
        case 7: pb_put_uint(out, what / 10 + 1u, fuzz_u8(in)); break;
        case 8: buf_add(out, fuzz_part(in)); break;
        case 9: return; /* the message ends, another one begins */
        }
        buf_free(&envelope);
    }
}

static void check_result(const struct identify *id) {
    MUST(id->n_protocols <= IDENTIFY_PROTOCOLS_MAX && id->n_addrs <= IDENTIFY_ADDRESSES_MAX);
    MUST(utf8_valid(id->agent) && id->agent.n <= IDENTIFY_AGENT_MAX);
    MUST(utf8_valid(id->protocol_version) && id->protocol_version.n <= IDENTIFY_AGENT_MAX);
    MUST(!id->has_observed || multiaddr_valid(id->observed));
    for (size_t i = 0; i < id->n_protocols; i++)
        MUST(id->protocols[i].n >= 1 && id->protocols[i].n <= IDENTIFY_PROTOCOL_MAX &&
             utf8_valid(id->protocols[i]));
    for (size_t i = 0; i < id->n_addrs; i++) MUST(multiaddr_valid(id->addrs[i]));
    if (id->signed_record) check_record(id->record);
}

static void check_identify(struct bytes messages, size_t piece) {
    struct identify_reader r = {.messages = 0};
    identify_start(&r);
    enum err e = OK;
    struct bytes rest = messages;
    for (struct bytes part; e == OK && (part = bytes_take(&rest, piece)).n > 0;) e = identify_input(&r, part);
    enum err end = identify_end(&r, &self.peer);
    MUST(end == r.why.code && (e == OK || end == e));
    if (end == OK) check_result(&r.result);
    if (end != OK) MUST(r.result.n_addrs == 0 && r.result.n_protocols == 0);
    identify_free(&r);
}

/* What we would say of ourselves can be read, whatever our addresses are. */
static void check_write(struct bytes in) {
    char agent[300], names[8][64];
    const char *protocols[9] = {NULL};
    struct bytes addrs[80];
    static uint8_t spaces[80][16];
    struct buf record = {.max = PEER_RECORD_MAX}, out = {.max = 3 * IDENTIFY_MESSAGE_MAX};
    struct identify_self s = {.self = &self, .agent = agent, .protocol_version = "v", .protocols = protocols};
    size_t n = 0;
    bytes_cstr(fuzz_part(&in), agent, sizeof agent);
    for (uint8_t k = fuzz_u8(&in) % 9; n < k; n++) {
        bytes_cstr(fuzz_part(&in), names[n], sizeof names[n]);
        protocols[n] = names[n];
    }
    while (in.n > 0 && s.n_addrs < LEN(addrs)) {
        addrs[s.n_addrs] = address(&in, spaces[s.n_addrs]);
        s.n_addrs++;
    }
    s.addrs = addrs;
    if (s.n_addrs > 0 && multiaddr_valid(addrs[0])) s.observed = addrs[0];
    peer_record_seal(&self, 5, addrs, s.n_addrs, &record);
    s.record = buf_view(&record);
    if (identify_write(&s, &out)) {
        struct identify_reader r;
        identify_start(&r);
        MUST(identify_input(&r, buf_view(&out)) == OK && identify_end(&r, &self.peer) == OK);
        check_result(&r.result);
        identify_free(&r);
    } else {
        MUST(out.n == 0);
    }
    buf_free(&record);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    make_identities();
    uint8_t what = fuzz_u8(&in);
    struct buf made = {.max = 1 << 22}, one = {.max = 1 << 21};
    if (what % 5 == 0) {
        check_identify(in, 1u + what / 5);
    } else if (what % 5 == 1) {
        check_record(in);
    } else if (what % 5 == 2) {
        put_envelope(&in, &made);
        struct bytes exact = fuzz_exact(buf_view(&made));
        check_record(exact);
        fuzz_free(exact);
    } else if (what % 5 == 3) {
        for (int i = 0; i < 12 && in.n > 0; i++) {
            buf_clear(&one);
            put_identify(&in, &one);
            wr_lp(&made, buf_view(&one));
        }
        check_identify(buf_view(&made), what & 128 ? 100 : made.n);
    } else {
        check_write(in);
    }
    buf_free(&made);
    buf_free(&one);
    fuzz_no_leak(blocks);
    return 0;
}
