#include "tests/interop/wire.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fputs("wire_tool: ", stderr);
    vfprintf(stderr, format, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}
void must(enum err e, const struct why *w, const char *what) {
    if (e != OK) die("%s: %s", what, w != NULL && w->text[0] != '\0' ? w->text : err_text(e));
}
void must_be(bool truth, const char *what) {
    if (!truth) die("not so: %s", what);
}

/* ---- the socket, and the private network's cipher on it */

static void ended(const struct wire *w, enum err e, const struct why *why, const char *what) {
    if (w->inbound && (e == E_CLOSED || e == E_IO)) exit(0);
    must(e, why, what);
}

static void push(struct wire *w) {
    struct why why = {0};
    if (w->private_network && w->tx.n > w->tx_encrypted) {
        pnet_output(&w->pnet, w->tx.p + w->tx_encrypted, w->tx.n - w->tx_encrypted);
        w->tx_encrypted = w->tx.n;
    }
    for (size_t n = 0; w->tx.n > 0;) {
        enum err e = tcp_write(w->fd, buf_view(&w->tx), &n, &why);
        if (e == E_BUSY) return;
        ended(w, e, &why, "write");
        buf_drop(&w->tx, n);
        w->tx_encrypted -= w->private_network ? n : 0;
    }
}

static void pull(struct wire *w) {
    struct why why = {0};
    size_t got = 0, before = w->rx.n;
    uint8_t *place = buf_add_space(&w->rx, WIRE_READ);
    must_be(place != NULL, "there is room to read");
    enum err e = tcp_read(w->fd, place, WIRE_READ, &got, &why);
    w->rx.n = before + (e == OK ? got : 0);
    if (e == E_BUSY) return;
    ended(w, e, &why, "read");
    if (!w->private_network) return;
    struct bytes fresh = bytes_skip(buf_view(&w->rx), before);
    pnet_input(&w->pnet, w->rx.p + before, &fresh);
    memmove(w->rx.p + before, fresh.p, fresh.n); /* the peer's nonce falls out */
    w->rx.n = before + fresh.n;
}

/* Sends what waits, waits for input or room, takes the input. */
static void turn(struct wire *w) {
    push(w);
    struct pollfd p = {.fd = w->fd, .events = (short)(POLLIN | (w->tx.n > 0 ? POLLOUT : 0))};
    int64_t left = mono_diff_ms(w->deadline, clocks_mono());
    if (left <= 0 || poll(&p, 1, (int)left) == 0) die("not done in time");
    if ((p.revents & POLLOUT) != 0) push(w);
    if ((p.revents & ~POLLOUT) != 0) pull(w);
}

/* ---- security and muxer */

static const char *const security[] = {"/noise", NULL};
static const char *const muxers[] = {YAMUX_PROTOCOL, NULL};

/* Either end of a negotiation below the streams. */
struct agreement {
    bool inbound;
    struct multistream_listener l;
    struct multistream_dialer d;
};

static void agree_on(struct agreement *a, bool inbound, const char *const *list, struct buf *out) {
    a->inbound = inbound;
    if (inbound)
        multistream_listen(&a->l, list);
    else
        must(multistream_dial(&a->d, list, out), NULL, "multistream");
}

static bool agreed(struct agreement *a, struct buf *from, struct buf *out) {
    struct bytes in = buf_view(from);
    if (a->inbound)
        must(multistream_listener_input(&a->l, &in, out), &a->l.why, "negotiation");
    else
        must(multistream_dialer_input(&a->d, false, &in, out), &a->d.why, "negotiation");
    buf_drop(from, from->n - in.n);
    return a->inbound ? a->l.state == MSL_DONE : a->d.state == MSD_DONE;
}

/* Both ends do not agree on the muxer within Noise: one more negotiation, in its frames. What follows the
 * agreement is left in `early`. */
static void agree_on_muxer(struct wire *w, struct buf *early) {
    struct agreement a;
    struct buf out = {.max = 4096};
    agree_on(&a, w->inbound, muxers, &out);
    for (bool done = false; !done;) {
        must(noise_seal(&w->noise, buf_view(&out), &w->tx), NULL, "seal");
        buf_clear(&out);
        struct bytes in = buf_view(&w->rx), plain;
        bool whole = false;
        must(noise_open(&w->noise, w->rx.p, &in, &plain, &whole), &w->noise.why, "Noise");
        if (!whole) {
            turn(w);
            continue;
        }
        must_be(buf_add(early, plain), "no more than that before the muxer is agreed");
        buf_drop(&w->rx, w->rx.n - in.n);
        done = agreed(&a, early, &out);
    }
    must(noise_seal(&w->noise, buf_view(&out), &w->tx), NULL, "seal");
    buf_free(&out);
}

static void mux_input(struct wire *w, struct bytes plain) {
    struct yamux_event ev;
    do {
        must(yamux_next(&w->mux, &plain, clocks_mono(), &ev), &w->mux.why, "Yamux");
        if (ev.kind == YAMUX_PONG) w->pong = true;
        if (ev.kind == YAMUX_GOAWAY && w->inbound) exit(0);
        if (ev.kind == YAMUX_GOAWAY) die("the peer said goodbye (%u)", (unsigned)ev.code);
        if (ev.kind != YAMUX_NONE) w->event(w, &ev);
    } while (ev.kind != YAMUX_NONE);
}

void wire_start(struct wire *w) {
    struct agreement a;
    struct buf early = {.max = 2 * WIRE_READ};
    w->rx.max = 4 * WIRE_READ;
    w->tx.max = 16 * WIRE_TX_HIGH;
    if (w->private_network) {
        must_be(pnet_start(&w->pnet, w->swarm_key, &w->rng, &w->tx), "memory");
        w->tx_encrypted = w->tx.n; /* the nonce goes in clear */
    }
    agree_on(&a, w->inbound, security, &w->tx);
    while (!agreed(&a, &w->rx, &w->tx)) turn(w);
    const struct peer_id *expected = w->inbound ? NULL : &w->peer;
    must(noise_start(&w->noise, !w->inbound, &w->self, NULL, expected, muxers, &w->rng, &w->tx), NULL,
         "Noise");
    for (;;) {
        struct bytes in = buf_view(&w->rx);
        must(noise_input(&w->noise, &in, &w->tx), &w->noise.why, "Noise");
        buf_drop(&w->rx, w->rx.n - in.n);
        if (w->noise.state == NOISE_DONE) break;
        turn(w);
    }
    if (w->noise.muxer == NULL) agree_on_muxer(w, &early);
    yamux_init(&w->mux, !w->inbound, WIRE_STREAMS_MAX, w->window_max, 0, rng_u64(&w->rng), clocks_mono());
    mux_input(w, buf_view(&early));
    buf_free(&early);
}

static void read_frames(struct wire *w) {
    struct bytes in = buf_view(&w->rx), plain;
    for (bool whole = true; whole;) {
        must(noise_open(&w->noise, w->rx.p + (in.p - w->rx.p), &in, &plain, &whole), &w->noise.why, "Noise");
        if (whole) mux_input(w, plain);
    }
    buf_drop(&w->rx, w->rx.n - in.n);
}

void wire_round(struct wire *w) {
    read_frames(w); /* some may have come behind the handshake's last bytes */
    for (bool moved = true; moved && w->tx.n < WIRE_TX_HIGH;) {
        moved = w->fill(w);
        must(noise_seal(&w->noise, buf_view(&w->mux.out), &w->tx), NULL, "seal");
        buf_clear(&w->mux.out);
        push(w);
    }
    turn(w);
    read_frames(w);
}

void wire_settle(struct wire *w) {
    w->pong = false;
    yamux_ping(&w->mux, clocks_mono());
    while (!w->pong) wire_round(w);
}

void wire_leave(struct wire *w) {
    yamux_go_away(&w->mux, YAMUX_NORMAL);
    must(noise_seal(&w->noise, buf_view(&w->mux.out), &w->tx), NULL, "seal");
    push(w);
    tcp_finish(w->fd);
    tcp_close(w->fd);
}
