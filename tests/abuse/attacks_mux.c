/* Yamux: what a peer that has shown its identity may do wrong with frames. */
#include "tests/abuse/attacks.h"

#include <stdio.h>
#include <unistd.h>

enum { AFTER_MS = 3000, QUIET_MS = 300 };
#define MESSAGES "/silktalk/message/1.0.0"
#define IDENTIFY "/ipfs/id/1.0.0"
#define ECHO "/ipfs/ping/1.0.0"

static void finish(struct wire *w, int ms, const char *more) {
    wire_drain(w, ms);
    wire_report(w, more);
    wire_end(w);
}
/* One frame, and what becomes of the connection. */
static void say(struct target *t, unsigned type, unsigned flags, uint32_t id, uint32_t length,
                struct bytes data) {
    struct wire w;
    wire_open(&w, t);
    wire_frame(&w, type, flags, id, length, data);
    finish(&w, AFTER_MS, "");
}
/* The node still answers: a ping comes back. Nothing else may be waited for so surely. */
static bool answers(struct wire *w) {
    struct frame f;
    size_t before = w->pongs;
    wire_frame(w, PING, SYN, 0, 77, nothing);
    while (w->pongs == before && wire_next(w, &f, AFTER_MS)) {}
    return w->pongs > before;
}
static void finish_alive(struct wire *w) {
    bool alive = answers(w);
    wire_report(w, alive ? "alive=yes" : "alive=no");
    wire_end(w);
}

static void version(struct target *t) {
    say(t, 256, 0, 0, 0, nothing);
}
static void type(struct target *t) {
    say(t, 4, 0, 0, 0, nothing);
}
static void parity(struct target *t) {
    say(t, WINDOW, SYN, t->listening ? 1 : 2, 0, nothing);
}
static void stream_zero(struct target *t) {
    say(t, DATA, 0, 0, 4, BYTES("abcd"));
}
static void twice(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    wire_stream(&w, MESSAGES);
    wire_frame(&w, WINDOW, SYN, 1, 0, nothing);
    finish(&w, AFTER_MS, "");
}
static void data_syn(struct target *t) {
    say(t, DATA, SYN, 1, WINDOW_SIZE + 1, nothing);
}
static void length_max(struct target *t) {
    say(t, DATA, 0, 1, UINT32_MAX, nothing); /* unknown stream */
    say(t, DATA, SYN, 1, UINT32_MAX, nothing);
    struct wire w;
    wire_open(&w, t);
    uint32_t id = wire_stream(&w, MESSAGES);
    wire_frame(&w, DATA, 0, id, UINT32_MAX, nothing);
    finish(&w, AFTER_MS, "");
}
/* One byte more than the window of a stream on which the node can read nothing. */
static void window_over(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    uint8_t *zeros = mem_new(1, WINDOW_SIZE);
    if (zeros == NULL) wire_fail("memory");
    wire_frame(&w, WINDOW, SYN, 1, 0, nothing);
    wire_frame(&w, DATA, 0, 1, WINDOW_SIZE + 1, bytes_at(zeros, WINDOW_SIZE));
    mem_free(zeros);
    finish(&w, AFTER_MS, "");
}
static void credit_overflow(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    uint32_t id = wire_stream(&w, ECHO);
    wire_frame(&w, WINDOW, 0, id, UINT32_MAX, nothing);
    finish(&w, AFTER_MS, "");
}
static void credit_overflow_syn(struct target *t) {
    say(t, WINDOW, SYN, 1, UINT32_MAX, nothing);
}
static void credit_edge(struct target *t) { /* just what fits: 2^32-1 in all */
    struct wire w;
    wire_open(&w, t);
    wire_frame(&w, WINDOW, SYN, 1, UINT32_MAX - WINDOW_SIZE, nothing);
    finish_alive(&w);
}

/* ---- floods: `count` of them */

static void ping_flood(struct target *t) {
    struct wire w;
    struct frame f;
    wire_open(&w, t);
    for (size_t i = 0; i < t->count && w.end == ALIVE; i++) {
        wire_frame(&w, PING, SYN, 0, (uint32_t)i, nothing);
        if (i % 50 == 49)
            while (wire_next(&w, &f, 0)) {}
    }
    finish(&w, AFTER_MS, "");
}
static void flood(struct target *t, unsigned second, bool own) {
    struct wire w;
    struct frame f;
    wire_open(&w, t);
    for (size_t i = 0; i < t->count && w.end == ALIVE && !w.gone; i++) {
        uint32_t id = own ? wire_stream(&w, MESSAGES) : (uint32_t)(2 * i + 1);
        if (!own) wire_frame(&w, WINDOW, SYN | (second == 16 ? RST : 0), id, 0, nothing);
        if (second == RST) wire_frame(&w, WINDOW, RST, id, 0, nothing);
        if (i % 50 == 49)
            while (!w.gone && wire_next(&w, &f, 0)) {}
    }
    finish(&w, AFTER_MS, "");
}
static void syn_flood(struct target *t) {
    flood(t, 0, false);
}
static void syn_rst_flood(struct target *t) {
    flood(t, 16, false); /* in one frame */
}
static void rapid_reset(struct target *t) {
    flood(t, RST, true); /* each with its protocol agreed, as far as the node came */
}
/* More streams than may be open at once: some are refused, nothing else happens. */
static void stream_flood(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    for (size_t i = 0; i < t->count; i++) wire_stream(&w, MESSAGES);
    finish_alive(&w);
}
/* Asks who the node is on `count` streams, one after the other, and reads none of the answers (each is ten
 * times as long as the question), until the node takes no more of it. */
static void unread(struct target *t) {
    static const char asked[] = "\x13/multistream/1.0.0\n\x0f/ipfs/id/1.0.0\n";
    struct wire w;
    size_t n = 0;
    char more[64];
    wire_open(&w, t);
    for (; n < t->count && w.end == ALIVE; n++) {
        wire_frame(&w, DATA, SYN | FIN, (uint32_t)(2 * n + 1), sizeof asked - 1,
                   bytes_at(asked, sizeof asked - 1));
        if (n % 200 == 199) usleep(60000); /* no faster than streams may be refused */
    }
    snprintf(more, sizeof more, "asked=%zu", n);
    wire_report(&w, more);
    wire_end(&w);
}
/* Echoes that are asked for, and never get credit: the node keeps what it has to say within its window. */
static void zero_window(struct target *t) {
    struct wire w;
    uint8_t *text = mem_new(1, 65536);
    wire_open(&w, t);
    if (text == NULL) wire_fail("memory");
    for (int s = 0; s < 2; s++) {
        uint32_t id = wire_stream(&w, ECHO);
        for (size_t sent = 0; sent < WINDOW_SIZE; sent += 65536)
            wire_frame(&w, DATA, 0, id, 65536, bytes_at(text, 65536));
    }
    struct frame f;
    while (w.data < 2 * WINDOW_SIZE && wire_next(&w, &f, QUIET_MS)) {}
    size_t most = w.data;
    for (uint32_t id = 1; id <= 3; id += 2) /* behind our window now */
        for (size_t sent = 0; sent < 131072; sent += 65536)
            wire_frame(&w, DATA, 0, id, 65536, bytes_at(text, 65536));
    mem_free(text);
    while (wire_next(&w, &f, QUIET_MS)) {}
    char more[64];
    bool alive = answers(&w);
    snprintf(more, sizeof more, "beyond=%s alive=%s",
             w.data > most && w.data > 2 * WINDOW_SIZE + 100 ? "yes" : "no", alive ? "yes" : "no");
    wire_report(&w, more);
    wire_end(&w);
}

/* ---- streams that are over */

static void data_on_closed(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    uint32_t id = wire_stream(&w, IDENTIFY);
    wire_frame(&w, DATA, FIN, id, 0, nothing);
    struct frame f;
    while (wire_next(&w, &f, QUIET_MS)) {}
    for (size_t i = 0; i < t->count; i++) wire_frame(&w, DATA, 0, id, 4, BYTES("late"));
    for (size_t i = 0; i < t->count; i++) wire_frame(&w, DATA, FIN, 4001, 4, BYTES("none"));
    finish_alive(&w);
}
static void fin_after_rst(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t id = wire_stream(&w, MESSAGES);
        wire_frame(&w, WINDOW, RST, id, 0, nothing);
        wire_frame(&w, WINDOW, FIN, id, 0, nothing);
        wire_frame(&w, DATA, FIN, id, 4, BYTES("late"));
        wire_frame(&w, WINDOW, RST, id, 0, nothing);
    }
    finish_alive(&w);
}
static void after_goaway(struct target *t) {
    struct wire w;
    wire_open(&w, t);
    wire_frame(&w, GOAWAY, 0, 0, 0, nothing);
    for (size_t i = 0; i < 100; i++) wire_stream(&w, MESSAGES);
    finish(&w, AFTER_MS, "");
}
/* multistream-select on a stream: broken in each way; only the stream is lost. */
static void negotiation(struct target *t) {
    static const struct bytes wrong[] = {
        {(const uint8_t *)"\x81\x08/", 3},
        {(const uint8_t *)"\x13/multistream/1.0.0x", 20},
        {(const uint8_t *)"\x07/noise\n\x13/multistream/1.0.0\n", 28},
        {(const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
    };
    struct wire w;
    wire_open(&w, t);
    for (size_t i = 0; i < LEN(wrong); i++) {
        wire_frame(&w, DATA, SYN, w.next_id, (uint32_t)wrong[i].n, wrong[i]);
        w.next_id += 2;
    }
    struct frame f;
    while (w.resets < LEN(wrong) && wire_next(&w, &f, AFTER_MS)) {}
    finish_alive(&w);
}
/* Frame headers and payloads cut into single bytes, each in a Noise frame of its own. */
static void crumbs(struct target *t) {
    struct wire w;
    uint8_t ping[12] = {0, PING, 0, SYN, 0, 0, 0, 0, 0, 0, 0, 77};
    struct frame f;
    wire_open(&w, t);
    for (int k = 0; k < 3; k++)
        for (size_t i = 0; i < sizeof ping; i++) wire_sealed(&w, bytes_at(ping + i, 1));
    while (w.pongs < 3 && wire_next(&w, &f, AFTER_MS)) {}
    finish_alive(&w);
}
/* Frames of Yamux, a byte each `count` ms: a ping, which is the peer's affair, over and over. */
static void slow(struct target *t) {
    struct wire w;
    uint8_t ping[12] = {0, PING, 0, SYN, 0, 0, 0, 0, 0, 0, 0, 77};
    wire_open(&w, t);
    for (size_t i = 0; w.end == ALIVE && !w.gone; i++) {
        struct frame f;
        wire_sealed(&w, bytes_at(ping + i % sizeof ping, 1));
        while (wire_next(&w, &f, 0)) {}
        usleep((unsigned)t->count * 1000);
    }
    finish(&w, AFTER_MS, "");
}
static void garbage(struct target *t) {
    struct wire w;
    uint8_t random[8192];
    rng_fill(&t->rng, random, sizeof random);
    random[0] |= 1;
    wire_open(&w, t);
    wire_sealed(&w, bytes_at(random, sizeof random));
    finish(&w, AFTER_MS, "");
}

const struct attack attacks_mux[] = {{"mux-version", version},
                                     {"mux-type", type},
                                     {"mux-parity", parity},
                                     {"mux-stream-zero", stream_zero},
                                     {"mux-twice", twice},
                                     {"mux-data-syn", data_syn},
                                     {"mux-length-max", length_max},
                                     {"mux-window-over", window_over},
                                     {"mux-credit-overflow", credit_overflow},
                                     {"mux-credit-overflow-syn", credit_overflow_syn},
                                     {"mux-credit-edge", credit_edge},
                                     {"mux-ping-flood", ping_flood},
                                     {"mux-syn-flood", syn_flood},
                                     {"mux-syn-rst-flood", syn_rst_flood},
                                     {"mux-rapid-reset", rapid_reset},
                                     {"mux-stream-flood", stream_flood},
                                     {"mux-unread", unread},
                                     {"mux-zero-window", zero_window},
                                     {"mux-data-on-closed", data_on_closed},
                                     {"mux-fin-after-rst", fin_after_rst},
                                     {"mux-after-goaway", after_goaway},
                                     {"mux-negotiation", negotiation},
                                     {"mux-crumbs", crumbs},
                                     {"mux-garbage", garbage},
                                     {"mux-slow", slow},
                                     {NULL, NULL}};
