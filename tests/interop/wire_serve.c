/* tests/interop/wire_serve.c: the listening end: the go and js peers dial, and use the same test protocols
 * here that they serve themselves. A process for each connection. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/hash.h"
#include "proto/multiaddr.h"
#include "proto/ping.h"
#include "tests/interop/wire.h"

enum { SERVE_MS = 300000, SERVE_OUT = 2 << 20, SERVE_WINDOW = 1 << 20 };

enum job { ECHO, HALFCLOSE, RESET, SINK, PING, PERF };
static const char *const offers[] = {"/test/echo/1.0.0",
                                     "/test/halfclose/1.0.0",
                                     "/test/reset/1.0.0",
                                     "/test/sink/1.0.0",
                                     "/ipfs/ping/1.0.0",
                                     "/perf/1.0.0",
                                     NULL};

struct served {
    struct served *next;
    struct yamux_stream *y;
    struct multistream_listener negotiation;
    struct buf in, out;
    enum job job;
    size_t owed; /* bytes of `out` that are the peer's own: credited when they are on their way */
    bool fin_after, dead;
    uint64_t received;
    struct sha256 sum;
    struct ping_server ping;
    struct perf_server perf;
};

static void add(struct served *s, struct bytes data) {
    must_be(buf_add(&s->out, data), "answers fit");
}

static void close_answer(struct served *s) {
    uint8_t sum[32];
    char text[65];
    sha256_end(&s->sum, sum);
    for (size_t i = 0; i < sizeof sum; i++) snprintf(text + 2 * i, 3, "%02x", sum[i]);
    add(s, bytes_at(text, 64));
}

/* One line for the test: how a sink ended. */
static void tell(const struct served *s, const char *end) {
    if (s->negotiation.state != MSL_DONE || s->job != SINK) return;
    printf("{\"sink\":\"%s\",\"bytes\":%" PRIu64 "}\n", end, s->received);
    fflush(stdout);
}

/* Takes all of data; bytes that it does not keep are credited to the peer. */
static void job_input(struct wire *w, struct served *s, struct bytes data) {
    size_t n = data.n;
    bool first = s->received == 0 && n > 0;
    s->received += n;
    switch (s->job) {
    case ECHO:
        add(s, data);
        s->owed += n;
        return;
    case HALFCLOSE: sha256_add(&s->sum, data); break;
    case RESET:
        if (n > 0) yamux_reset(&w->mux, s->y);
        s->dead = n > 0;
        return;
    case SINK:
        if (first) add(s, BYTES("k"));
        break;
    case PING: must_be(ping_server_input(&s->ping, &data, &s->out), "answers fit"); break;
    case PERF: perf_server_input(&s->perf, data, false); break;
    }
    yamux_consumed(&w->mux, s->y, n, clocks_mono());
}

static void input(struct wire *w, struct served *s, struct bytes data) {
    if (s->negotiation.state == MSL_DONE) {
        job_input(w, s, data);
        return;
    }
    must_be(buf_add(&s->in, data), "a short negotiation");
    struct bytes in = buf_view(&s->in);
    if (multistream_listener_input(&s->negotiation, &in, &s->out) != OK) {
        yamux_reset(&w->mux, s->y);
        s->dead = true;
        return;
    }
    bool agreed = s->negotiation.state == MSL_DONE;
    size_t left = agreed ? in.n : 0; /* all of that came with this data; the job credits it */
    yamux_consumed(&w->mux, s->y, data.n - left, clocks_mono());
    if (!agreed) {
        buf_drop(&s->in, s->in.n - in.n);
        return;
    }
    s->job = (enum job)s->negotiation.chosen;
    job_input(w, s, in);
    buf_clear(&s->in);
}

static void finished(struct served *s) {
    s->fin_after = true;
    if (s->negotiation.state != MSL_DONE) return;
    if (s->job == HALFCLOSE) close_answer(s);
    if (s->job == PERF) perf_server_input(&s->perf, (struct bytes){NULL, 0}, true);
    tell(s, "eof");
}

static void event(struct wire *w, const struct yamux_event *ev) {
    struct served *s = ev->stream == NULL ? NULL : ev->stream->user;
    switch (ev->kind) {
    case YAMUX_OPENED:
        s = NEW(struct served);
        must_be(s != NULL, "memory");
        s->y = ev->stream;
        s->y->user = s;
        s->in.max = SERVE_OUT;
        s->out.max = SERVE_OUT;
        s->next = w->user;
        w->user = s;
        sha256_start(&s->sum);
        multistream_listen(&s->negotiation, offers);
        break;
    case YAMUX_DATA:
        if (!s->dead) input(w, s, ev->data);
        break;
    case YAMUX_FINISHED: finished(s); break;
    case YAMUX_RESET:
        tell(s, "reset");
        s->dead = true;
        break;
    case YAMUX_NONE:
    case YAMUX_WRITABLE:
    case YAMUX_GOAWAY:
    case YAMUX_PONG: break;
    }
}

static bool send_out(struct wire *w, struct served *s) {
    if (s->perf.sending && s->out.n == 0) perf_server_fill(&s->perf, &s->out, WIRE_CHUNK);
    size_t n = yamux_write(&w->mux, s->y, buf_view(&s->out)), others = s->out.n - s->owed;
    buf_drop(&s->out, n); /* what is not the peer's own (the negotiation) goes first */
    size_t own = n > others ? n - others : 0;
    s->owed -= own;
    yamux_consumed(&w->mux, s->y, own, clocks_mono());
    if (s->fin_after && s->perf.to_send == 0 && s->out.n == 0 && !s->y->fin_sent) yamux_finish(&w->mux, s->y);
    return n > 0;
}

static bool fill(struct wire *w) {
    bool moved = false;
    struct served *head = w->user, **at = &head;
    while (*at != NULL) {
        struct served *s = *at;
        if (!s->dead) moved |= send_out(w, s);
        if (!s->dead && !yamux_closed(s->y)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        yamux_drop(&w->mux, s->y);
        buf_free(&s->in);
        buf_free(&s->out);
        mem_free(s);
    }
    w->user = head;
    return moved;
}

static void serve_one(struct wire *w, int fd) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    w->fd = fd;
    w->inbound = true;
    w->event = event;
    w->fill = fill;
    w->window_max = SERVE_WINDOW;
    rng_system(&w->rng);
    w->deadline = mono_add_ms(clocks_mono(), SERVE_MS);
    wire_start(w);
    for (;;) wire_round(w);
}

static void say_where(const struct wire *w, int listener) {
    struct endpoint here;
    struct buf addr = {.max = MULTIADDR_MAX};
    char text[MULTIADDR_TEXT_MAX], id[PEER_TEXT_MAX];
    must_be(tcp_local(listener, &here) && multiaddr_from_endpoint(&here, &addr) &&
                multiaddr_add_peer(&addr, &w->self.peer),
            "an address");
    peer_id_text(&w->self.peer, id);
    printf("{\"ready\":true,\"peer_id\":\"%s\",\"addr\":\"%s\"}\n", id,
           multiaddr_show(buf_view(&addr), text));
    fflush(stdout);
    buf_free(&addr);
}

/* Until standard input ends. */
int serve(struct wire *w, const char *at) {
    struct why why = {0};
    struct buf addr = {.max = MULTIADDR_MAX};
    struct tcp_acceptor acceptor;
    int listener = -1;
    must(multiaddr_parse(bytes_of(at), &addr, &why), &why, "address");
    struct multiaddr_target t = multiaddr_target(buf_view(&addr));
    must_be(t.tcp && t.host == TARGET_IP, "the address is /ip4|ip6/.../tcp/...");
    must(tcp_listen(&listener, &(struct endpoint){.ip = t.ip, .port = t.port}, &why), &why, "listen");
    must(tcp_acceptor_open(&acceptor, &why), &why, "listen");
    signal(SIGCHLD, SIG_IGN);
    say_where(w, listener);
    for (;;) {
        struct pollfd p[] = {{.fd = listener, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
        if (poll(p, LEN(p), -1) < 0) continue;
        if (p[1].revents != 0) return 0;
        struct endpoint peer;
        int fd = -1;
        enum err e = tcp_accept(&acceptor, listener, clocks_mono(), &fd, &peer, NULL, &why);
        if (e == E_BUSY) continue;
        must(e, &why, "accept");
        pid_t child = fork();
        must_be(child >= 0, "fork");
        if (child == 0) {
            tcp_close(listener);
            serve_one(w, fd);
        }
        tcp_close(fd);
    }
}
