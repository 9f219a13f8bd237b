/* Identify, messages and files: what an authenticated peer may say wrong. */
#include "tests/abuse/attacks.h"

#include "crypto/hash.h"
#include "proto/file.h"
#include "proto/message.h"
#include "proto/peer_record.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { AFTER_MS = 3000, QUIET_MS = 300 };
#define ESCAPES                                                                                              \
    "\x1b]0;title\x07\x1b[31mred\x1b[2J\xc2\x9b"                                                             \
    "31m\r\n\x08\x7f\xe2\x80\xae"

static bool answers(struct wire *w) {
    struct frame f;
    size_t before = w->pongs;
    wire_frame(w, PING, SYN, 0, 77, nothing);
    while (w->pongs == before && wire_next(w, &f, AFTER_MS)) {}
    return w->pongs > before;
}
static void finish_alive(struct wire *w, const char *more) {
    char text[200];
    snprintf(text, sizeof text, "alive=%s %s", answers(w) ? "yes" : "no", more);
    wire_report(w, text);
    wire_end(w);
}

/* ---- identify */

static void put_address(struct buf *to, size_t i) {
    uint8_t addr[] = {4, 127, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i, 6, 0x0f, 0xa1};
    pb_put_bytes(to, 2, bytes_at(addr, sizeof addr));
}

/* Waits for the node's own identify stream, agrees, and says this on it. */
static void identify_as(struct wire *w, struct bytes said) {
    static const char agreed[] = "\x13/multistream/1.0.0\n\x0f/ipfs/id/1.0.0\n";
    struct frame f;
    do
        if (!wire_next(w, &f, AFTER_MS)) wire_fail("the node does not ask who we are");
    while (f.type != DATA || f.data.n == 0);
    uint32_t id = f.id;
    wire_frame(w, DATA, ACK, id, sizeof agreed - 1, bytes_at(agreed, sizeof agreed - 1));
    while (said.n > 0 && w->end == ALIVE) {
        struct bytes part = bytes_take(&said, 65000);
        wire_frame(w, DATA, said.n == 0 ? FIN : 0, id, (uint32_t)part.n, part);
        while (wire_next(w, &f, 0))
            if (f.id == id && (f.flags & RST) != 0) return; /* it has heard enough */
    }
}
/* The same on a push stream of ours. */
static void push_as(struct wire *w, struct bytes said) {
    struct frame f;
    uint32_t id = wire_stream(w, "/ipfs/id/push/1.0.0");
    while (said.n > 0 && w->end == ALIVE) {
        struct bytes part = bytes_take(&said, 65000);
        wire_frame(w, DATA, said.n == 0 ? FIN : 0, id, (uint32_t)part.n, part);
        while (wire_next(w, &f, 0))
            if (f.id == id && (f.flags & RST) != 0) return;
    }
}

static void tell(struct target *t, struct bytes said) {
    struct wire w;
    wire_open(&w, t);
    identify_as(&w, said);
    wire_drain(&w, QUIET_MS);
    w.end = w.end == SILENT ? ALIVE : w.end;
    push_as(&w, said);
    wire_drain(&w, QUIET_MS);
    w.end = w.end == SILENT ? ALIVE : w.end;
    finish_alive(&w, "");
}
static void tell_message(struct target *t, struct buf *message) {
    struct buf all = {.max = 20 << 20};
    wr_lp(&all, buf_view(message));
    tell(t, buf_view(&all));
    buf_free(&all);
    buf_free(message);
}

static void id_long(struct target *t) { /* 10 MiB in one */
    struct buf m = {.max = 20 << 20};
    if (buf_add_space(&m, 10 << 20) == NULL) wire_fail("memory");
    memset(m.p, 0, m.n);
    tell_message(t, &m);
}
static void id_addresses(struct target *t) { /* 10,000 of them, in as many messages as it takes */
    struct buf all = {.max = 20 << 20};
    for (size_t i = 0; i < 10000;) {
        struct buf m = {.max = 8192};
        for (size_t k = 0; k < 750 && i < 10000; k++) put_address(&m, i++);
        wr_lp(&all, buf_view(&m));
        buf_free(&m);
    }
    tell(t, buf_view(&all));
    buf_free(&all);
}
static void id_some_addresses(struct target *t) { /* as many as one message holds, of 8192 bytes */
    struct buf m = {.max = 8192};
    for (size_t i = 0; i < 800; i++) put_address(&m, i);
    tell_message(t, &m);
}
static void id_protocols(struct target *t) {
    struct buf m = {.max = 8192};
    for (unsigned i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "/x/%u", i);
        pb_put_bytes(&m, 3, bytes_of(name));
    }
    tell_message(t, &m);
}
static void id_chunks(struct target *t) {
    struct buf all = {.max = 1 << 20};
    for (unsigned i = 0; i < 1000; i++) wr_lp(&all, BYTES("\x32\x01x"));
    tell(t, buf_view(&all));
    buf_free(&all);
}
static void id_garbage(struct target *t) {
    struct buf m = {.max = 8192};
    uint8_t random[4000];
    rng_fill(&t->rng, random, sizeof random);
    buf_add(&m, bytes_at(random, sizeof random));
    tell_message(t, &m);
}
static void id_cut(struct target *t) {
    tell(t, BYTES("\x20\x32\x05"));
}
static void id_key(struct target *t) {
    struct buf m = {.max = 8192};
    pb_put_bytes(&m, 1, bytes_at(t->other.public_key, sizeof t->other.public_key));
    tell_message(t, &m);
}
static void id_escapes(struct target *t) {
    struct buf m = {.max = 8192};
    pb_put_bytes(&m, 1, bytes_at(t->self.public_key, sizeof t->self.public_key));
    pb_put_bytes(&m, 3, BYTES("/x/" ESCAPES));
    pb_put_bytes(&m, 5, BYTES(ESCAPES));
    pb_put_bytes(&m, 6, BYTES("agent" ESCAPES));
    tell_message(t, &m);
}

/* A record sealed by `by`, about `by`; byte `spoilt` from the end altered (0: none). */
static void with_record(struct target *t, const struct identity *by, uint64_t seq, size_t spoilt) {
    static const uint8_t addr[] = {4, 127, 9, 9, 9, 6, 0x0f, 0xa1};
    struct bytes addrs[] = {bytes_at(addr, sizeof addr)};
    struct buf record = {.max = PEER_RECORD_MAX}, m = {.max = 8192};
    if (!peer_record_seal(by, seq, addrs, 1, &record)) wire_fail("no record");
    if (spoilt > 0) record.p[record.n - spoilt] ^= 1;
    pb_put_bytes(&m, 8, buf_view(&record));
    tell_message(t, &m);
    buf_free(&record);
}
static void record_good(struct target *t) {
    with_record(t, &t->self, 100, 0);
}
static void record_forged(struct target *t) {
    with_record(t, &t->self, 200, 5);
}
static void record_foreign(struct target *t) {
    with_record(t, &t->other, 200, 0);
}
static void record_old(struct target *t) { /* after record_good: an older one, with another address */
    static const uint8_t addr[] = {4, 127, 8, 8, 8, 6, 0x0f, 0xa1};
    struct bytes addrs[] = {bytes_at(addr, sizeof addr)};
    struct buf record = {.max = PEER_RECORD_MAX}, m = {.max = 8192};
    if (!peer_record_seal(&t->self, 50, addrs, 1, &record)) wire_fail("no record");
    pb_put_bytes(&m, 8, buf_view(&record));
    tell_message(t, &m);
    buf_free(&record);
}
/* Signed by us under the right rules, but it says that it is about the other peer. */
static void record_key_is_not_its_id(struct target *t) {
    struct buf payload = {.max = 1000}, text = {.max = 1000}, envelope = {.max = 2000}, m = {.max = 8192};
    uint8_t signature[64];
    pb_put_bytes(&payload, 1, peer_id_view(&t->other.peer));
    pb_put_uint(&payload, 2, 300);
    wr_lp(&text, BYTES("libp2p-peer-record"));
    wr_lp(&text, BYTES("\x03\x01"));
    wr_lp(&text, buf_view(&payload));
    identity_sign(&t->self, buf_view(&text), signature);
    pb_put_bytes(&envelope, 1, bytes_at(t->self.public_key, sizeof t->self.public_key));
    pb_put_bytes(&envelope, 2, BYTES("\x03\x01"));
    pb_put_bytes(&envelope, 3, buf_view(&payload));
    pb_put_bytes(&envelope, 5, bytes_at(signature, sizeof signature));
    pb_put_bytes(&m, 8, buf_view(&envelope));
    tell_message(t, &m);
    buf_free(&payload);
    buf_free(&text);
    buf_free(&envelope);
}
static void push_flood(struct target *t) {
    struct buf m = {.max = 8192}, all = {.max = 8192};
    struct frame f;
    struct wire w;
    wire_open(&w, t);
    put_address(&m, 1);
    wr_lp(&all, buf_view(&m));
    for (size_t i = 0; i < t->count; i++) {
        push_as(&w, buf_view(&all));
        if (i % 50 == 49)
            while (wire_next(&w, &f, 20)) {}
    }
    buf_free(&m);
    buf_free(&all);
    while (wire_next(&w, &f, QUIET_MS)) {}
    finish_alive(&w, "");
}

/* `count` peers, one after the other, each with an address and a record: what a node remembers of strangers.
 */
static void many_peers(struct target *t) {
    for (size_t i = 0; i < t->count; i++) {
        struct rng own = rng_seeded(5000 + i);
        struct wire w;
        identity_make(&t->self, &own);
        char from[32];
        snprintf(from, sizeof from, "127.77.%zu.%zu", i / 200, 1 + i % 200);
        t->from = from;
        wire_open(&w, t);
        struct buf m = {.max = 8192}, all = {.max = 9000};
        put_address(&m, i);
        wr_lp(&all, buf_view(&m));
        identify_as(&w, buf_view(&all));
        buf_free(&m);
        buf_free(&all);
        wire_drain(&w, 5);
        wire_end(&w);
    }
    printf("peers=%zu\n", t->count);
}

/* What `i` of a crowd says that it runs; the first would like to be more than text. */
static struct bytes crowd_agent(size_t i, char out[100]) {
    static const char *const programs[] = {"go-libp2p/0.38.2", "js-libp2p/2.8.1", "rust-libp2p/0.55.0",
                                           "silktalk/0.1.0", "\xe4\xb8\x9d\xe8\xaf\xad/0.9"};
    if (i == 0) return BYTES("<img src=x onerror=alert(1)><b>bold</b>" ESCAPES);
    snprintf(out, 100, "%s", programs[i % LEN(programs)]);
    return bytes_of(out);
}
/* `count` peers at once, each from its own address and with a key of its own; they stay, and answer, until
 * stdin ends. */
static void crowd(struct target *t) {
    struct wire *all = NEW_ARRAY(struct wire, t->count);
    struct pollfd input = {.fd = 0, .events = POLLIN};
    struct frame f;
    for (size_t i = 0; all != NULL && i < t->count; i++) {
        char from[32], agent[100];
        struct buf m = {.max = 8192}, said = {.max = 9000};
        struct rng own = rng_seeded(9000 + i);
        identity_make(&t->self, &own);
        snprintf(from, sizeof from, "127.78.%zu.%zu", i / 200, 1 + i % 200);
        t->from = from;
        wire_open(&all[i], t);
        pb_put_bytes(&m, 1, bytes_at(t->self.public_key, sizeof t->self.public_key));
        pb_put_bytes(&m, 6, crowd_agent(i, agent));
        wr_lp(&said, buf_view(&m));
        identify_as(&all[i], buf_view(&said));
        buf_free(&m);
        buf_free(&said);
    }
    printf("crowd=%zu\n", t->count);
    fflush(stdout);
    while (all != NULL && poll(&input, 1, 200) == 0)
        for (size_t i = 0; i < t->count; i++)
            while (all[i].end == ALIVE && wire_next(&all[i], &f, 0)) {}
    mem_free(all);
}

/* ---- messages */

static struct message message_of(uint8_t last, const char *body) {
    struct message m = {.sent_ms = 1750000000000, .body = bytes_of(body)};
    memset(m.id, last, sizeof m.id);
    return m;
}

/* Says these bytes on a message stream and shows the receipts that come: their statuses, and the stream's
 * end. */
static void say_frames(struct target *t, struct bytes raw, unsigned flags) {
    struct wire w;
    uint8_t back[4096];
    unsigned end = 0;
    char more[128];
    wire_open(&w, t);
    uint32_t id = wire_stream(&w, MESSAGE_PROTOCOL);
    while (raw.n > 0) {
        struct bytes part = bytes_take(&raw, 65000);
        wire_frame(&w, DATA, raw.n == 0 ? flags : 0, id, (uint32_t)part.n, part);
    }
    size_t n = wire_hear(&w, id, back, sizeof back, QUIET_MS * 2, &end);
    struct bytes in = bytes_skip(bytes_at(back, n), 20 + 25), frame;
    int at = snprintf(more, sizeof more, "stream=%s receipts=",
                      end & RST   ? "reset"
                      : end & FIN ? "closed"
                                  : "open");
    bool whole = true;
    size_t need;
    struct message_frame f;
    while (message_frame_next(&in, &frame, &whole, &need) == OK && whole && at < 100)
        if (message_frame_read(frame, &f, NULL) == OK && f.kind == FRAME_RECEIPT)
            at += snprintf(more + at, sizeof more - (size_t)at, "%s,", receipt_status_name(f.receipt.status));
    finish_alive(&w, more);
}
static void say_message(struct target *t, const struct message *m) {
    struct buf frame = {.max = 8 << 20};
    if (!message_frame_write(&frame, m)) wire_fail("no frame");
    say_frames(t, buf_view(&frame), 0);
    buf_free(&frame);
}
/* A Frame with these raw bytes as its message. */
static void say_inner(struct target *t, struct bytes inner) {
    struct buf frame = {.max = 1 << 20}, all = {.max = 1 << 20};
    pb_put_bytes(&frame, 1, inner);
    wr_lp(&all, buf_view(&frame));
    say_frames(t, buf_view(&all), 0);
    buf_free(&frame);
    buf_free(&all);
}

static void msg_good(struct target *t) {
    struct message m = message_of(1, "fine");
    rng_fill(&t->rng, m.id, sizeof m.id);
    say_message(t, &m);
}
static void msg_id_short(struct target *t) {
    say_inner(t, BYTES("\x0a\x0f"
                       "123456789012345"
                       "\x10\x01\x22\x01x"));
}
static void msg_id_long(struct target *t) {
    say_inner(t, BYTES("\x0a\x11"
                       "12345678901234567"
                       "\x10\x01\x22\x01x"));
}
static void msg_id_missing(struct target *t) {
    say_inner(t, BYTES("\x10\x01\x22\x01x"));
}
static void msg_unknown_fields(struct target *t) {
    uint8_t inner[] = "\x0a\x10"
                      "abcdefghijklmnop"
                      "\x10\x01\x22\x01x\xfa\x07\x03xyz\xf0\x07\x05";
    rng_fill(&t->rng, inner + 2, 16);
    say_inner(t, bytes_at(inner, sizeof inner - 1));
}
static void msg_utf8(struct target *t) {
    struct message m = message_of(2, "x");
    m.subject = BYTES("\xff\xfe\xc3");
    say_message(t, &m);
}
static void msg_subject_long(struct target *t) {
    char long_one[300];
    struct message m = message_of(3, "x");
    memset(long_one, 'a', sizeof long_one);
    m.subject = bytes_at(long_one, 257);
    say_message(t, &m);
}
static void msg_oversized(struct target *t) {
    say_frames(t,
               BYTES("\x81\x80\x80\x02"
                     "body"),
               0); /* 4 MiB and one byte are announced */
}
static void msg_body_long(struct target *t) {
    struct message m = message_of(4, NULL);
    uint8_t *body = mem_new(1, (1 << 20) + 1);
    if (body == NULL) wire_fail("memory");
    m.body = bytes_at(body, (1 << 20) + 1);
    say_message(t, &m);
    mem_free(body);
}
static void msg_garbage(struct target *t) {
    uint8_t random[2000];
    rng_fill(&t->rng, random, sizeof random);
    random[0] = 100;
    random[1] = 0xff; /* field 31 of wire type 7 */
    say_frames(t, bytes_at(random, sizeof random), 0);
}
static void msg_cut(struct target *t) {
    say_frames(t, BYTES("\x64half a frame"), FIN);
}
static void msg_stray_receipts(struct target *t) {
    struct buf out = {.max = 1 << 16};
    for (size_t i = 0; i < 500; i++) {
        struct receipt r = {.status = RECEIPT_STORED, .received_ms = 5};
        rng_fill(&t->rng, r.id, sizeof r.id);
        message_receipt_write(&out, &r);
    }
    say_frames(t, buf_view(&out), 0);
    buf_free(&out);
}
static void msg_escapes(struct target *t) {
    struct message m = message_of(5, "body " ESCAPES " end");
    rng_fill(&t->rng, m.id, sizeof m.id);
    m.subject = BYTES("subject " ESCAPES);
    say_message(t, &m);
}
/* `count` messages on one stream; what they are answered does not matter. */
static void msg_flood(struct target *t) {
    struct wire w;
    struct frame f;
    wire_open(&w, t);
    uint32_t id = wire_stream(&w, MESSAGE_PROTOCOL);
    for (size_t i = 0; i < t->count && w.end == ALIVE; i++) {
        struct buf out = {.max = 1000};
        struct message m = message_of(6, "flood");
        rng_fill(&t->rng, m.id, sizeof m.id);
        message_frame_write(&out, &m);
        wire_frame(&w, DATA, 0, id, (uint32_t)out.n, buf_view(&out));
        buf_free(&out);
        if (i % 20 == 19)
            while (wire_next(&w, &f, 0)) {}
    }
    while (wire_next(&w, &f, QUIET_MS)) {}
    finish_alive(&w, "");
}
/* Frames of nearly 4 MiB begun on 128 streams of each of 5 connections, none ever finished; held till stdin
 * ends. */
static void msg_hoard(struct target *t) {
    enum { CONNECTIONS = 5, STREAMS = 128, ROUNDS = 60, CHUNK = 60000 };
    static struct wire w[CONNECTIONS];
    struct frame f;
    uint8_t *zeros = mem_new(1, CHUNK);
    size_t sent = 0;
    if (zeros == NULL) wire_fail("memory");
    for (size_t c = 0; c < CONNECTIONS; c++) {
        struct rng own = rng_seeded(900 + c);
        identity_make(&t->self, &own);
        wire_open(&w[c], t);
        for (size_t s = 0; s < STREAMS; s++) {
            uint32_t id = wire_stream(&w[c], MESSAGE_PROTOCOL);
            wire_frame(&w[c], DATA, 0, id, 4, BYTES("\xff\xff\xff\x01"));
        }
    }
    struct timeval patience = {.tv_sec = 1};
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t c = 0; c < CONNECTIONS; c++) {
            setsockopt(w[c].fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
            for (size_t s = 0; s < STREAMS && w[c].end == ALIVE && !w[c].gone; s++) {
                if ((round + 1) * CHUNK > 4 * WINDOW_SIZE)
                    break; /* what the node's windows let through anyway */
                wire_frame(&w[c], DATA, 0, (uint32_t)(2 * s + 1), CHUNK, bytes_at(zeros, CHUNK));
                sent += CHUNK;
                while (!w[c].gone && w[c].end == ALIVE && wire_next(&w[c], &f, 0)) {}
            }
        }
    printf("sent=%zu\n", sent);
    fflush(stdout);
    struct pollfd in = {.fd = 0, .events = POLLIN};
    while (poll(&in, 1, 0) == 0)
        for (size_t c = 0; c < CONNECTIONS; c++)
            if (w[c].end != ALIVE || w[c].gone || !wire_next(&w[c], &f, 20)) usleep(1000);
    for (size_t c = 0; c < CONNECTIONS; c++) wire_end(&w[c]);
    mem_free(zeros);
}

/* ---- a byte each `count` ms on a stream: until it is reset, or `most` bytes are out */

static void slow_stream(struct target *t, const char *protocol, struct bytes said) {
    struct wire w;
    struct frame f;
    char more[60];
    size_t sent = 0;
    wire_open(&w, t);
    uint32_t id = wire_stream(&w, protocol);
    bool reset = false;
    while (said.n > 0 && !reset && w.end == ALIVE) {
        wire_frame(&w, DATA, 0, id, 1, bytes_take(&said, 1));
        sent++;
        usleep((unsigned)t->count * 1000);
        while (wire_next(&w, &f, 0)) reset = reset || (f.id == id && (f.flags & RST) != 0);
    }
    snprintf(more, sizeof more, "stream=%s sent=%zu", reset ? "reset" : "open", sent);
    finish_alive(&w, more);
}
static void id_slow(struct target *t) { /* a message of 8,000 bytes on a push stream */
    static uint8_t said[8002] = {0xc0, 0x3e};
    slow_stream(t, "/ipfs/id/push/1.0.0", bytes_at(said, sizeof said));
}
static void negotiation_slow(struct target *t) { /* the answer to the protocol is never whole */
    struct wire w;
    struct frame f;
    uint8_t line[1026] = {0x80, 0x08};
    bool reset = false;
    size_t sent = 1;
    wire_open(&w, t);
    wire_frame(&w, DATA, SYN, 1, 20, BYTES("\x13/multistream/1.0.0\n"));
    for (; sent < sizeof line && !reset && w.end == ALIVE; sent++) {
        wire_frame(&w, DATA, 0, 1, 1, bytes_at(line + sent - 1, 1));
        usleep((unsigned)t->count * 1000);
        while (wire_next(&w, &f, 0)) reset = reset || (f.id == 1 && (f.flags & RST) != 0);
    }
    finish_alive(&w, reset ? "stream=reset" : "stream=open");
}
static void msg_slow(struct target *t) { /* a message that comes whole in the end */
    struct buf out = {.max = 1000};
    struct message m = message_of(8, "slow");
    message_frame_write(&out, &m);
    slow_stream(t, MESSAGE_PROTOCOL, buf_view(&out));
    buf_free(&out);
}

/* ---- files */

static struct file_offer offer_of(struct target *t, uint64_t size, const char *name) {
    struct file_offer o = {.sent_ms = 1750000000000, .size = size, .name = bytes_of(name), .has_hash = true};
    rng_fill(&t->rng, o.id, sizeof o.id);
    return o;
}
static void say_file(struct target *t, struct bytes first, struct bytes then, unsigned flags) {
    struct wire w;
    uint8_t back[4096];
    unsigned end = 0;
    char more[128];
    wire_open(&w, t);
    uint32_t id = wire_stream(&w, FILE_PROTOCOL);
    wire_frame(&w, DATA, 0, id, (uint32_t)first.n, first);
    size_t n = wire_hear(&w, id, back, 20 + 22 + 3, QUIET_MS, &end);
    if (then.n > 0 || flags != 0) wire_frame(&w, DATA, flags, id, (uint32_t)then.n, then);
    if ((end & (RST | FIN)) == 0) n += wire_hear(&w, id, back + n, sizeof back - n, QUIET_MS, &end);
    struct bytes in = bytes_skip(bytes_at(back, n), 20 + 22), frame;
    int at = snprintf(more, sizeof more, "stream=%s answers=",
                      end & RST   ? "reset"
                      : end & FIN ? "closed"
                                  : "open");
    bool whole = true;
    struct file_answer a;
    while (file_frame_next(&in, &frame, &whole) == OK && whole && at < 100)
        if (file_answer_read(frame, &a, NULL) == OK)
            at += snprintf(more + at, sizeof more - (size_t)at, "%u,", a.status);
    finish_alive(&w, more);
}
static void offer(struct target *t, const struct file_offer *o, struct bytes then, unsigned flags) {
    struct buf frame = {.max = 8192};
    if (!file_offer_write(&frame, o)) wire_fail("no offer");
    say_file(t, buf_view(&frame), then, flags);
    buf_free(&frame);
}
static void file_more(struct target *t) {
    struct file_offer o = offer_of(t, 4, "more.bin");
    offer(t, &o, BYTES("12345678"), 0);
}
static void file_less(struct target *t) {
    struct file_offer o = offer_of(t, 400, "less.bin");
    offer(t, &o, BYTES("1234"), FIN);
}
static void file_hash(struct target *t) { /* of other bytes than come */
    struct file_offer o = offer_of(t, 4, "hash.bin");
    offer(t, &o, BYTES("1234"), FIN);
}
static void file_path(struct target *t) {
    static const char *const names[] = {
        "../../etc/passwd", "/etc/passwd", "..", ".bashrc", "-rf", "a/b", "a\nb", ESCAPES};
    for (size_t i = 0; i < LEN(names); i++) {
        struct file_offer o = offer_of(t, 4, names[i]);
        offer(t, &o, nothing, 0);
    }
}
static void file_huge(struct target *t) {
    struct file_offer o = offer_of(t, (uint64_t)1 << 62, "huge.bin");
    offer(t, &o, nothing, 0);
}
static void file_good(struct target *t) {
    struct file_offer o = offer_of(t, 4, "four.bin");
    hash_sha256(BYTES("1234"), o.hash);
    o.subject = BYTES("subject " ESCAPES);
    offer(t, &o, BYTES("1234"), FIN);
}
static void file_oversized(struct target *t) {
    say_file(t, BYTES("\x81\x20more than 4096 bytes"), nothing, 0);
}
static void file_garbage(struct target *t) {
    say_file(t, BYTES("\x05\xff\xff\xff\xff\xff"), nothing, 0);
}
static void file_id_short(struct target *t) {
    say_file(t,
             BYTES("\x06\x0a\x04"
                   "1234"),
             nothing, 0);
}
static void file_offers(struct target *t) {
    size_t busy = 0;
    for (size_t i = 0; i < t->count; i++) {
        struct file_offer o = offer_of(t, 1000, "again.bin");
        struct buf frame = {.max = 8192};
        struct wire w;
        uint8_t back[256];
        unsigned end = 0;
        file_offer_write(&frame, &o);
        wire_open(&w, t);
        uint32_t id = wire_stream(&w, FILE_PROTOCOL);
        wire_frame(&w, DATA, 0, id, (uint32_t)frame.n, buf_view(&frame));
        size_t n = wire_hear(&w, id, back, 20 + 22 + 1, AFTER_MS, &end);
        busy += n > 20 + 22 && back[20 + 22] != 0;                    /* not empty: not TAKEN */
        wire_frame(&w, DATA, 0, id, 10, BYTES("the begin.")); /* so that the node opens a file */
        wire_hear(&w, id, back, sizeof back, 20, &end);
        buf_free(&frame);
        wire_end(&w);
    }
    printf("offers=%zu busy=%zu\n", t->count, busy);
}

const struct attack attacks_app[] = {{"id-long", id_long},
                                     {"id-addresses", id_addresses},
                                     {"id-some-addresses", id_some_addresses},
                                     {"id-protocols", id_protocols},
                                     {"id-chunks", id_chunks},
                                     {"id-garbage", id_garbage},
                                     {"id-cut", id_cut},
                                     {"id-key", id_key},
                                     {"id-escapes", id_escapes},
                                     {"record-good", record_good},
                                     {"record-forged", record_forged},
                                     {"record-foreign", record_foreign},
                                     {"record-old", record_old},
                                     {"record-key-is-not-its-id", record_key_is_not_its_id},
                                     {"push-flood", push_flood},
                                     {"many-peers", many_peers},
                                     {"crowd", crowd},
                                     {"msg-good", msg_good},
                                     {"msg-id-short", msg_id_short},
                                     {"msg-id-long", msg_id_long},
                                     {"msg-id-missing", msg_id_missing},
                                     {"msg-unknown-fields", msg_unknown_fields},
                                     {"msg-utf8", msg_utf8},
                                     {"msg-subject-long", msg_subject_long},
                                     {"msg-oversized", msg_oversized},
                                     {"msg-body-long", msg_body_long},
                                     {"msg-garbage", msg_garbage},
                                     {"msg-cut", msg_cut},
                                     {"msg-stray-receipts", msg_stray_receipts},
                                     {"msg-escapes", msg_escapes},
                                     {"msg-flood", msg_flood},
                                     {"msg-hoard", msg_hoard},
                                     {"id-slow", id_slow},
                                     {"negotiation-slow", negotiation_slow},
                                     {"msg-slow", msg_slow},
                                     {"file-more", file_more},
                                     {"file-less", file_less},
                                     {"file-hash", file_hash},
                                     {"file-path", file_path},
                                     {"file-huge", file_huge},
                                     {"file-good", file_good},
                                     {"file-oversized", file_oversized},
                                     {"file-garbage", file_garbage},
                                     {"file-id-short", file_id_short},
                                     {"file-offers", file_offers},
                                     {NULL, NULL}};
