/* tests/interop/wire_tool.c: SilkTalk's wire without its node: what a node never opens and does not serve,
 * the test protocols of the go-libp2p and js-libp2p peers (peers/go/serve.go, peers/js/serve.js). As the
 * dialling end, one exchange on one connection, and one JSON object on standard output; `serve` is the
 * listening end.
 *
 * Exit 0: all of it held; 1: not, and why on standard error; 2: usage. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "loop/file.h"
#include "proto/multiaddr.h"
#include "proto/ping.h"
#include "tests/interop/wire.h"

enum {
    LIMIT_MS = 110000, /* for everything together */
    ANSWER_MAX = 128,  /* bytes of what came back that are kept */
    FILE_MAX = 16384,  /* bytes of a key file */
    PING_COUNT = 1000
};

struct options {
    const char *key, *psk;
    uint64_t streams, bytes, count, up, down;
};

/* One stream: what it sends, and what has come. */
struct stream {
    struct yamux_stream *y;
    struct multistream_dialer negotiation;
    struct buf in, out; /* not understood yet (negotiation); not taken by the muxer yet */
    enum { AGREEING, RANDOM, PERF, PING } kind;
    bool fin_after;             /* RANDOM: half-close behind the last byte */
    bool finished, reset, over; /* by the peer: its end, a reset; over: perf or ping has all of it */
    uint64_t to_send, received;
    struct sha256 sent, back;
    char answer[ANSWER_MAX + 1]; /* the first bytes that came */
    struct perf_client perf;
    struct ping_client ping;
    uint64_t pings; /* still to send */
    int64_t rtt_us[PING_COUNT];
};

struct streams {
    struct stream *of[WIRE_STREAMS_MAX];
    size_t n;
};

static void dial(struct wire *w, const char *text) {
    struct why why = {0};
    struct buf addr = {.max = MULTIADDR_MAX};
    must(multiaddr_parse(bytes_of(text), &addr, &why), &why, "address");
    struct multiaddr_target t = multiaddr_target(buf_view(&addr));
    must_be(t.dialable && t.host == TARGET_IP && t.peer.n > 0, "the address is /ip4|ip6/.../tcp/.../p2p/...");
    w->peer = t.peer;
    must(tcp_dial(&w->fd, &(struct endpoint){.ip = t.ip, .port = t.port}, NULL, &why), &why, "dial");
    enum err e = E_BUSY;
    while ((e = tcp_dialed(w->fd, &why)) == E_BUSY) {
        struct pollfd p = {.fd = w->fd, .events = POLLOUT};
        if (poll(&p, 1, LIMIT_MS) <= 0) die("no connection in %d ms", LIMIT_MS);
    }
    must(e, &why, "dial");
    buf_free(&addr);
}

/* ---- streams */

static void take(struct stream *s, struct bytes data) {
    struct why why = {0};
    bool done = false;
    size_t kept = (size_t)MIN(s->received, (uint64_t)ANSWER_MAX);
    memcpy(s->answer + kept, data.p, MIN(data.n, ANSWER_MAX - kept));
    s->received += data.n;
    switch (s->kind) {
    case AGREEING: die("data before the stream was in use");
    case RANDOM: sha256_add(&s->back, data); break;
    case PERF: must(perf_client_input(&s->perf, data, false, &done), &why, "perf"); break;
    case PING:
        while (data.n > 0) {
            uint32_t n = s->ping.answered;
            must(ping_client_input(&s->ping, &data, clocks_mono(), &done), &why, "ping");
            if (done) s->rtt_us[n] = s->ping.rtt_us;
        }
        s->over = s->ping.answered > 0 && s->pings == 0 && s->ping.at.us == 0;
        break;
    }
}

static void stream_input(struct wire *w, struct stream *s, struct bytes data) {
    size_t all = data.n;
    if (s->negotiation.state != MSD_DONE) {
        must_be(buf_add(&s->in, data), "a short negotiation");
        struct bytes in = buf_view(&s->in);
        must(multistream_dialer_input(&s->negotiation, true, &in, &s->out), &s->negotiation.why, "protocol");
        buf_drop(&s->in, s->in.n - in.n);
        data = s->negotiation.state == MSD_DONE ? buf_view(&s->in) : (struct bytes){NULL, 0};
    }
    if (data.n > 0) take(s, data);
    yamux_consumed(&w->mux, s->y, all, clocks_mono());
}

static void event(struct wire *w, const struct yamux_event *ev) {
    struct stream *s = ev->stream == NULL ? NULL : ev->stream->user;
    bool done = false;
    switch (ev->kind) {
    case YAMUX_OPENED: yamux_drop(&w->mux, ev->stream); break; /* identify: this end has none */
    case YAMUX_DATA: stream_input(w, s, ev->data); break;
    case YAMUX_FINISHED:
        s->finished = true;
        if (s->kind != PERF) break;
        must(perf_client_input(&s->perf, (struct bytes){NULL, 0}, true, &done), NULL, "perf");
        s->over = done;
        break;
    case YAMUX_RESET: s->reset = true; break;
    case YAMUX_NONE:
    case YAMUX_WRITABLE:
    case YAMUX_GOAWAY:
    case YAMUX_PONG: break;
    }
}

/* More to send, if there is none: whatever the stream is for. */
static void make(struct wire *w, struct stream *s) {
    if (s->out.n > 0) return;
    switch (s->kind) {
    case AGREEING: break;
    case RANDOM: {
        size_t n = (size_t)MIN(s->to_send, (uint64_t)WIRE_CHUNK);
        uint8_t *place = n == 0 ? NULL : buf_add_space(&s->out, n);
        must_be(n == 0 || place != NULL, "memory");
        if (n > 0) rng_fill(&w->rng, place, n);
        sha256_add(&s->sent, buf_view(&s->out));
        s->to_send -= n;
        if (n == 0 && s->fin_after) yamux_finish(&w->mux, s->y);
        break;
    }
    case PERF:
        if (s->y->fin_sent) break;
        if (perf_client_fill(&s->perf, &s->out, WIRE_CHUNK) && s->out.n == 0) yamux_finish(&w->mux, s->y);
        break;
    case PING:
        if (s->pings == 0 || s->ping.at.us != 0) break;
        must_be(ping_client_send(&s->ping, &w->rng, clocks_mono(), &s->out), "memory");
        s->pings--;
        break;
    }
}

static bool fill(struct wire *w) {
    struct streams *all = w->user;
    bool moved = false;
    for (size_t i = 0; i < all->n; i++) {
        struct stream *s = all->of[i];
        if (s->reset) continue;
        make(w, s);
        size_t n = yamux_write(&w->mux, s->y, buf_view(&s->out));
        buf_drop(&s->out, n);
        moved |= n > 0;
    }
    return moved;
}

/* Opens streams of one protocol, until there are n; returns when the peer has agreed to all of them. */
static void open_until(struct wire *w, const char *const *protocol, size_t n) {
    struct streams *all = w->user;
    for (; all->n < n; all->n++) {
        struct stream *s = NEW(struct stream);
        must_be(s != NULL, "memory");
        s->in.max = 2 * MULTISTREAM_LINE_MAX;
        s->out.max = 2 * WIRE_CHUNK;
        s->y = yamux_open(&w->mux, clocks_mono());
        must_be(s->y != NULL, "a stream can be opened");
        s->y->user = s;
        sha256_start(&s->sent);
        sha256_start(&s->back);
        must(multistream_dial(&s->negotiation, protocol, &s->out), NULL, "multistream");
        all->of[all->n] = s;
    }
    for (size_t i = 0; i < n; i++) {
        const struct stream *s = all->of[i];
        while (s->negotiation.state != MSD_DONE) {
            must_be(!s->reset && !s->finished, "the peer keeps the new stream open");
            wire_round(w);
        }
    }
}

/* n streams, open before any of them is used. The first one goes ahead: js-libp2p takes no more than 10
 * streams while it is still busy with the handshake's end (maxEarlyStreams), and ends the connection over
 * more. */
static void open_streams(struct wire *w, const char *const *protocol, size_t n) {
    open_until(w, protocol, 1);
    open_until(w, protocol, n);
}

static void hex(const uint8_t sum[32], char out[65]) {
    for (size_t i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

/* Random bytes on every stream, then their end, until the peer has ended its side too. */
static void exchange(struct wire *w, uint64_t bytes) {
    struct streams *all = w->user;
    for (size_t i = 0; i < all->n; i++) {
        all->of[i]->to_send = bytes;
        all->of[i]->fin_after = true;
        all->of[i]->kind = RANDOM;
    }
    for (size_t ended = 0; ended < all->n;) {
        wire_round(w);
        ended = 0;
        for (size_t i = 0; i < all->n; i++) {
            must_be(!all->of[i]->reset, "no stream is reset");
            ended += all->of[i]->finished && all->of[i]->y->fin_sent;
        }
    }
}

/* ---- the commands */

static void run_echo(struct wire *w, const struct options *o, struct json_out *out) {
    struct streams *all = w->user;
    static const char *const protocol[] = {"/test/echo/1.0.0", NULL};
    open_streams(w, protocol, (size_t)o->streams);
    struct mono begin = clocks_mono();
    exchange(w, o->bytes);
    uint64_t bytes = 0;
    for (size_t i = 0; i < all->n; i++) {
        uint8_t sent[32], back[32];
        struct stream *s = all->of[i];
        bytes += s->received;
        sha256_end(&s->sent, sent);
        sha256_end(&s->back, back);
        must_be(s->received == o->bytes && memcmp(sent, back, sizeof sent) == 0, "the same bytes come back");
    }
    json_put_uint(out, "streams", all->n);
    json_put_uint(out, "bytes", bytes);
    json_put_bool(out, "same", true);
    json_put_real(out, "seconds", (double)(clocks_mono().us - begin.us) / 1e6);
}

static void run_halfclose(struct wire *w, const struct options *o, struct json_out *out) {
    struct streams *all = w->user;
    static const char *const protocol[] = {"/test/halfclose/1.0.0", NULL};
    uint8_t sum[32];
    char text[65];
    open_streams(w, protocol, 1);
    exchange(w, o->bytes);
    sha256_end(&all->of[0]->sent, sum);
    hex(sum, text);
    json_put_str(out, "sha256", text);
    json_put_str(out, "answer", all->of[0]->answer);
    must_be(strcmp(text, all->of[0]->answer) == 0, "the answer behind our end is the hash of what was sent");
}

static void run_reset(struct wire *w, const struct options *o, struct json_out *out) {
    struct streams *all = w->user;
    static const char *const protocol[] = {"/test/reset/1.0.0", NULL};
    (void)o;
    open_streams(w, protocol, 1);
    struct stream *s = all->of[0];
    s->kind = RANDOM;
    s->to_send = 1;
    while (!s->reset && !s->finished) wire_round(w);
    json_put_str(out, "end", s->reset ? "reset" : "eof");
    must_be(s->reset, "the peer resets the stream");
    wire_settle(w);
}

static void run_reset_ours(struct wire *w, const struct options *o, struct json_out *out) {
    struct streams *all = w->user;
    static const char *const protocol[] = {"/test/sink/1.0.0", NULL};
    open_streams(w, protocol, 1);
    struct stream *s = all->of[0];
    s->kind = RANDOM;
    s->to_send = MAX(o->bytes, (uint64_t)1);
    while (s->received == 0 || s->to_send > 0 || s->out.n > 0) {
        must_be(!s->reset && !s->finished, "the sink takes it");
        wire_round(w);
    }
    yamux_reset(&w->mux, s->y);
    s->reset = true;
    wire_settle(w);
    json_put_bool(out, "reset", true);
}

static void run_ping(struct wire *w, const struct options *o, struct json_out *out) {
    struct streams *all = w->user;
    static const char *const protocol[] = {"/ipfs/ping/1.0.0", NULL};
    open_streams(w, protocol, 1);
    struct stream *s = all->of[0];
    s->kind = PING;
    s->pings = o->count;
    while (!s->over) {
        must_be(!s->reset && !s->finished, "the peer answers");
        wire_round(w);
    }
    json_put_uint(out, "count", s->ping.answered);
    json_open(out, "rtt_us", '[');
    for (uint32_t i = 0; i < s->ping.answered; i++) json_put_int(out, NULL, s->rtt_us[i]);
    json_shut(out, ']');
}

static void run_perf(struct wire *w, const struct options *o, struct json_out *out) {
    struct streams *all = w->user;
    static const char *const protocol[] = {"/perf/1.0.0", NULL};
    open_streams(w, protocol, (size_t)o->streams);
    struct mono begin = clocks_mono();
    for (size_t i = 0; i < all->n; i++) {
        perf_client_start(&all->of[i]->perf, o->up, o->down);
        all->of[i]->kind = PERF;
    }
    for (size_t over = 0; over < all->n;) {
        wire_round(w);
        over = 0;
        for (size_t i = 0; i < all->n; i++) {
            must_be(!all->of[i]->reset, "no stream is reset");
            over += all->of[i]->over;
        }
    }
    json_put_uint(out, "streams", all->n);
    json_put_uint(out, "up", o->up);
    json_put_uint(out, "down", all->of[0]->perf.received);
    json_put_real(out, "seconds", (double)(clocks_mono().us - begin.us) / 1e6);
}

static const struct command {
    const char *name;
    void (*run)(struct wire *w, const struct options *o, struct json_out *out);
} commands[] = {{"echo", run_echo},   {"halfclose", run_halfclose},
                {"reset", run_reset}, {"reset-ours", run_reset_ours},
                {"ping", run_ping},   {"perf", run_perf}};

/* ---- the command line */

static void usage(void) __attribute__((noreturn));
static void usage(void) {
    fputs("Usage: wire_tool echo|halfclose|reset|reset-ours|ping|perf MULTIADDR/p2p/ID [--key FILE]\n"
          "       [--psk FILE] [--streams 1..256] [--bytes N] [--count 1..1000] [--up N] [--down N]\n"
          "       wire_tool serve MULTIADDR [--key FILE] [--psk FILE]\n",
          stderr);
    exit(2);
}

static struct options read_options(int argc, char **argv) {
    struct options o = {.streams = 1, .count = 1};
    for (int i = 0; i < argc; i += 2) {
        const struct {
            const char *name;
            uint64_t *number, least, most;
            const char **text;
        } flags[] = {{"--key", NULL, 0, 0, &o.key},
                     {"--psk", NULL, 0, 0, &o.psk},
                     {"--streams", &o.streams, 1, WIRE_STREAMS_MAX, NULL},
                     {"--bytes", &o.bytes, 0, INT64_MAX, NULL},
                     {"--count", &o.count, 1, PING_COUNT, NULL},
                     {"--up", &o.up, 0, INT64_MAX, NULL},
                     {"--down", &o.down, 0, INT64_MAX, NULL}};
        size_t f = 0;
        while (f < LEN(flags) && strcmp(argv[i], flags[f].name) != 0) f++;
        if (f == LEN(flags) || i + 1 == argc) usage();
        if (flags[f].text != NULL)
            *flags[f].text = argv[i + 1];
        else if (!bytes_to_u64(bytes_of(argv[i + 1]), flags[f].most, flags[f].number) ||
                 *flags[f].number < flags[f].least)
            usage();
    }
    return o;
}

static void load_keys(struct wire *w, const struct options *o) {
    struct why why = {0};
    struct buf file = {.max = FILE_MAX};
    identity_make(&w->self, &w->rng);
    if (o->key != NULL) {
        must(file_read(o->key, 0, FILE_MAX, FILE_ANY_MODE, &file, NULL, &why), &why, "key");
        must(identity_read(buf_view(&file), &w->self, &why), &why, "key");
    }
    buf_wipe(&file);
    if (o->psk == NULL) return;
    must(file_read(o->psk, 0, FILE_MAX, FILE_ANY_MODE, &file, NULL, &why), &why, "psk");
    must(swarm_key_read(buf_view(&file), w->swarm_key, &why), &why, "psk");
    buf_wipe(&file);
    w->private_network = true;
}

int main(int argc, char **argv) {
    const struct command *c = commands;
    if (argc < 3) usage();
    bool listening = strcmp(argv[1], "serve") == 0;
    while (c < commands + LEN(commands) && strcmp(c->name, argv[1]) != 0) c++;
    if (!listening && c == commands + LEN(commands)) usage();
    struct options o = read_options(argc - 3, argv + 3);
    must(crypto_open(), NULL, "random numbers");
    struct wire *w = NEW(struct wire);
    must_be(w != NULL, "memory");
    rng_system(&w->rng);
    load_keys(w, &o);
    if (listening) return serve(w, argv[2]);
    w->deadline = mono_add_ms(clocks_mono(), LIMIT_MS);
    w->window_max = YAMUX_WINDOW_MAX;
    w->event = event;
    w->fill = fill;
    w->user = NEW(struct streams);
    must_be(w->user != NULL, "memory");
    dial(w, argv[2]);
    wire_start(w);
    struct buf text = {.max = 65536};
    struct json_out out = json_begin(&text);
    json_open(&out, NULL, '{');
    c->run(w, &o, &out);
    json_shut(&out, '}');
    must_be(json_end(&out), "memory");
    wire_leave(w);
    printf("%.*s\n", (int)text.n, (const char *)text.p);
    return 0;
}
