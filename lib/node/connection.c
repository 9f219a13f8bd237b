#include "node/core.h"

#include <stdarg.h>
#include <stdio.h>

/* The handshake's state: needed for some milliseconds of a connection's life, so it lives apart. */
struct upgrade {
    enum { UPGRADE_SECURITY, UPGRADE_NOISE, UPGRADE_MUXER, UPGRADE_DONE } step;
    union {
        struct multistream_listener listener;
        struct multistream_dialer dialer;
    } negotiation;
    struct peer_id expected;
    struct buf plain_in;  /* opened frames not used up by the muxer negotiation */
    struct buf plain_out; /* what that negotiation says, to be sealed */
};

static const char *const security_protocols[] = {"/noise", NULL};
static const char *const muxer_protocols[] = {"/yamux/1.0.0", NULL};

struct connection *connection_new(struct node *n, bool inbound, const struct endpoint *remote) {
    struct connection *c = NEW(struct connection);
    if (c == NULL) return NULL;
    c->node = n;
    do {
        c->id = ++n->next_connection;
        put_u32(c->id_key, c->id);
    } while (c->id == 0 || map_find(&n->conn_by_id, bytes_at(c->id_key, sizeof c->id_key)) != NULL);
    if (map_add(&n->conn_by_id, bytes_at(c->id_key, sizeof c->id_key), c) != OK) {
        mem_free(c);
        return NULL;
    }
    c->inbound = inbound;
    c->remote = *remote;
    c->state = CONN_DIALING;
    c->rx.max = CONN_RX_MAX + NOISE_FRAME_MAX;
    c->tx.max = CONN_TX_MAX;
    c->opened = c->used = n->now.mono;
    c->since = n->now.wall;
    c->next = n->connections;
    if (c->next != NULL) c->next->prev = c;
    n->connections = c;
    n->n_connections++;
    if (inbound) n->n_inbound++;
    return c;
}

struct connection *connection_find(const struct node *n, uint32_t id) {
    uint8_t key[4];
    put_u32(key, id);
    return map_find(&n->conn_by_id, bytes_at(key, sizeof key));
}

static void mark_dirty(struct connection *c) {
    if (c->dirty || c->tx.n == c->tx_at) return;
    c->dirty = true;
    c->next_dirty = c->node->dirty;
    c->node->dirty = c;
}

static void enter(struct connection *c, enum conn_state next) {
    if (c->inbound && (c->state == CONN_SECURING || c->state == CONN_MUXING) && next > CONN_MUXING)
        c->node->n_pending_in--;
    if (c->inbound && c->state == CONN_DIALING && next == CONN_SECURING) c->node->n_pending_in++;
    c->state = next;
}

void connection_begin(struct connection *c, const struct peer_id *expected) {
    struct node *n = c->node;
    struct upgrade *u = NEW(struct upgrade);
    if (u == NULL) {
        connection_close(c, E_MEMORY, "out of memory");
        return;
    }
    c->upgrade = u;
    u->expected = *expected;
    u->plain_in.max = CONN_RX_MAX;
    u->plain_out.max = 4096;
    enter(c, CONN_SECURING);
    c->began = n->now.mono;
    c->deadline = mono_add_ms(n->now.mono, cfg(n->config, connection_handshakeTimeout).ms);
    bool good = true;
    if (n->private_network) {
        c->pnet = NEW(struct pnet);
        good = c->pnet != NULL && pnet_start(c->pnet, n->swarm_key, &n->rng, &c->tx);
        c->tx_encrypted = c->tx.n; /* the nonce itself goes in clear */
    }
    u->step = UPGRADE_SECURITY;
    if (c->inbound)
        multistream_listen(&u->negotiation.listener, security_protocols);
    else if (good)
        good = multistream_dial(&u->negotiation.dialer, security_protocols, &c->tx) == OK;
    if (!good) {
        connection_close(c, E_MEMORY, "out of memory");
        return;
    }
    connection_flush(c);
}

/* ---- output */

static void encrypt_private(struct connection *c) {
    if (c->pnet == NULL || c->tx_encrypted >= c->tx.n) return;
    pnet_output(c->pnet, c->tx.p + c->tx_encrypted, c->tx.n - c->tx_encrypted);
    c->tx_encrypted = c->tx.n;
}

void connection_flush(struct connection *c) {
    if (c->state == CONN_DEAD) return;
    if (c->state == CONN_OPEN && c->mux.out.n > 0 && c->tx.n - c->tx_at < CONN_TX_HIGH) {
        buf_borrow(&c->tx, &c->node->spare_tx);
        enum err e = noise_seal(&c->noise, buf_view(&c->mux.out), &c->tx);
        if (e != OK) {
            connection_close(c, e, "output is full");
            return;
        }
        buf_clear(&c->mux.out);
    }
    encrypt_private(c);
    mark_dirty(c);
}

struct bytes node_tx(struct node *n, uint32_t id) {
    struct connection *c = connection_find(n, id);
    if (c == NULL || c->tx_at >= c->tx.n) return (struct bytes){NULL, 0};
    size_t room = c->state >= CONN_CLOSING ? SIZE_MAX : throttle_room(&n->upload, n->now.mono);
    return bytes_at(c->tx.p + c->tx_at, MIN(c->tx.n - c->tx_at, room));
}

void node_sent(struct node *n, uint32_t id, size_t bytes) {
    struct connection *c = connection_find(n, id);
    if (c == NULL) return;
    bool moved = c->stuck.us != 0 && c->stuck.us < n->now.mono.us;
    c->tx_at += MIN(bytes, c->tx.n - c->tx_at);
    c->bytes_out += bytes;
    n->counts.network_bytes[DIRECTION_OUT] += bytes;
    throttle_spend(&n->upload, bytes);
    c->stuck = c->tx_at < c->tx.n && throttle_room(&n->upload, n->now.mono) > 0 ? n->now.mono : MONO_NEVER;
    if (c->tx_at == c->tx.n) {
        buf_clear(&c->tx);
        c->tx_at = c->tx_encrypted = 0;
        buf_return(&c->tx, &n->spare_tx, SPARE_MAX);
    } else if (c->tx_at > CONN_TX_HIGH) {
        buf_drop(&c->tx, c->tx_at);
        c->tx_encrypted -= c->tx_at;
        c->tx_at = 0;
    }
    if (c->state == CONN_OPEN) {
        /* What had to wait could go: the peer's system takes bytes, and a pong may wait behind data. What
         * went at once proves nothing: the system takes it for a peer that is long gone too. */
        if (moved) c->mux.heard = n->now.mono;
        connection_flush(c);
        connection_run(c);
    }
}

uint32_t node_writable(struct node *n) {
    struct connection *c = n->dirty;
    if (c == NULL) return 0;
    n->dirty = c->next_dirty;
    c->next_dirty = NULL;
    c->dirty = false;
    return c->id;
}

/* The stream at which the room ended is the first next time: the list's order means nothing else. */
static void begin_with(struct connection *c, struct stream *s) {
    struct stream **at = &c->streams, *last = s;
    while (*at != NULL && *at != s) at = &(*at)->next;
    if (*at == NULL || s == c->streams) return;
    *at = NULL;
    while (last->next != NULL) last = last->next;
    last->next = c->streams;
    c->streams = s;
}

static bool run_streams(struct connection *c, bool bulk) {
    size_t most = bulk ? throttle_burst(&c->node->upload) : SIZE_MAX;
    c->mux.out_max = MIN((size_t)MUX_OUT_MAX, most);
    for (struct stream *s = c->streams; s != NULL && c->state == CONN_OPEN; s = s->next) {
        if (stream_is_bulk(s) != bulk || (!s->ready && s->tx.n == 0)) continue;
        if (c->mux.out.n >= c->mux.out_max || c->tx.n - c->tx_at >= MIN((size_t)CONN_TX_HIGH, most)) {
            begin_with(c, s);
            return false;
        }
        stream_run(s);
    }
    return true;
}

void connection_run(struct connection *c) {
    if (run_streams(c, false)) run_streams(c, true); /* messages go before files */
    c->mux.out_max = MUX_OUT_MAX;
    if (c->state == CONN_OPEN && c->mux.why.code != OK)
        connection_close(c, c->mux.why.code, "%s", c->mux.why.text);
    if (c->state == CONN_OPEN) connection_flush(c);
    if (c->state == CONN_OPEN) buf_return(&c->mux.out, &c->node->spare_out, SPARE_MAX);
}

/* ---- input */

/* The handshake is over in security and muxer: c->upgrade goes, streams begin. */
static void upgraded(struct connection *c) {
    struct node *n = c->node;
    uint64_t window = limit_max(&n->limits, LIMIT_STREAM_WINDOW);
    yamux_init(&c->mux, !c->inbound, limit_max(&n->limits, LIMIT_STREAMS), (uint32_t)window,
               cfg(n->config, connection_keepAlive).ms, rng_u64(&n->rng), n->now.mono);
    c->mux.out_max = MUX_OUT_MAX;
    enter(c, CONN_OPEN);
    c->deadline = MONO_NEVER;
    swarm_connected(c);
}

static enum err negotiate(struct connection *c, struct bytes *in, struct buf *out, bool *agreed) {
    struct upgrade *u = c->upgrade;
    enum err e;
    if (c->inbound) {
        e = multistream_listener_input(&u->negotiation.listener, in, out);
        if (e != OK) c->why = u->negotiation.listener.why;
        *agreed = u->negotiation.listener.state == MSL_DONE;
    } else {
        e = multistream_dialer_input(&u->negotiation.dialer, false, in, out);
        if (e != OK) c->why = u->negotiation.dialer.why;
        *agreed = u->negotiation.dialer.state == MSD_DONE;
    }
    return e;
}

static enum err start_noise(struct connection *c) {
    struct upgrade *u = c->upgrade;
    u->step = UPGRADE_NOISE;
    enum err e = noise_start(&c->noise, !c->inbound, c->node->self, &c->node->noise_static, &u->expected,
                             muxer_protocols, &c->node->rng, &c->tx);
    if (e != OK) c->why = c->noise.why;
    return e;
}

static enum err start_muxer(struct connection *c) {
    struct upgrade *u = c->upgrade;
    if (c->noise.muxer != NULL) {
        u->step = UPGRADE_DONE;
        return OK;
    }
    u->step = UPGRADE_MUXER;
    enter(c, CONN_MUXING);
    if (c->inbound) {
        multistream_listen(&u->negotiation.listener, muxer_protocols);
        return OK;
    }
    enum err e = multistream_dial(&u->negotiation.dialer, muxer_protocols, &u->plain_out);
    if (e == OK) e = noise_seal(&c->noise, buf_view(&u->plain_out), &c->tx);
    buf_clear(&u->plain_out);
    return e;
}

/* One Noise frame of the muxer negotiation. */
static enum err muxer_step(struct connection *c, uint8_t *data, struct bytes *in, bool *more) {
    struct upgrade *u = c->upgrade;
    struct bytes plain = {NULL, 0};
    bool whole = false, agreed = false;
    enum err e = noise_open(&c->noise, data, in, &plain, &whole);
    if (e != OK) return fail(&c->why, e, "%s", c->noise.why.text);
    *more = whole;
    if (!whole) return OK;
    if (!buf_add(&u->plain_in, plain)) return fail(&c->why, E_LIMIT, "too much before the muxer was agreed");
    struct bytes rest = buf_view(&u->plain_in);
    e = negotiate(c, &rest, &u->plain_out, &agreed);
    if (e == OK && u->plain_out.n > 0) e = noise_seal(&c->noise, buf_view(&u->plain_out), &c->tx);
    buf_clear(&u->plain_out);
    buf_drop(&u->plain_in, u->plain_in.n - rest.n);
    if (e == OK && agreed) u->step = UPGRADE_DONE;
    return e;
}

/* Goes as far through the handshake as the input lets it. `in` are plain bytes of the connection (below
 * Noise). */
static enum err upgrade_input(struct connection *c, struct bytes *in) {
    struct upgrade *u = c->upgrade;
    bool more = true, agreed = false;
    enum err e = OK;
    while (e == OK && more && u->step != UPGRADE_DONE) {
        switch (u->step) {
        case UPGRADE_SECURITY:
            e = negotiate(c, in, &c->tx, &agreed);
            more = agreed;
            if (e == OK && agreed) e = start_noise(c);
            break;
        case UPGRADE_NOISE:
            e = noise_input(&c->noise, in, &c->tx);
            if (e != OK) c->why = c->noise.why;
            more = e == OK && c->noise.state == NOISE_DONE;
            if (more) e = start_muxer(c);
            break;
        case UPGRADE_MUXER: e = muxer_step(c, c->rx.p + (in->p - c->rx.p), in, &more); break;
        case UPGRADE_DONE: break;
        }
    }
    return e;
}

static void mux_event(struct connection *c, const struct yamux_event *ev) {
    struct stream *s = ev->stream == NULL ? NULL : ev->stream->user;
    switch (ev->kind) {
    case YAMUX_NONE:
    case YAMUX_PONG: break;
    case YAMUX_OPENED:
        if (c->node->stopping)
            yamux_drop(&c->mux, ev->stream);
        else
            stream_accept(c, ev->stream);
        break;
    case YAMUX_DATA:
        if (s != NULL) stream_data(s, ev->data);
        break;
    case YAMUX_FINISHED:
        if (s != NULL) stream_finished(s);
        break;
    case YAMUX_RESET:
        if (s != NULL)
            stream_fail(s, E_CLOSED, "the peer reset the stream");
        else
            yamux_drop(&c->mux, ev->stream);
        break;
    case YAMUX_WRITABLE:
        if (s != NULL) s->ready = true;
        break;
    case YAMUX_GOAWAY:
        connection_close(c, E_CLOSED, "the peer said goodbye (code %u)", (unsigned)ev->code);
        break;
    }
}

/* Plain bytes of the muxer. All of it is used, or the connection is over. */
static void mux_input(struct connection *c, struct bytes plain) {
    struct yamux_event ev;
    while (c->state == CONN_OPEN) {
        enum err e = yamux_next(&c->mux, &plain, c->node->now.mono, &ev);
        if (e != OK) {
            connection_close(c, e, "%s", c->mux.why.text);
            return;
        }
        if (ev.kind == YAMUX_NONE) return;
        mux_event(c, &ev);
        if (c->mux.out.n >= MUX_OUT_MAX / 2) connection_flush(c);
    }
}

static void open_input(struct connection *c, struct bytes *in) {
    while (c->state == CONN_OPEN && in->n > 0) {
        struct bytes plain = {NULL, 0};
        bool whole = false;
        enum err e = noise_open(&c->noise, c->rx.p + (in->p - c->rx.p), in, &plain, &whole);
        if (e != OK) {
            connection_close(c, e, "%s", c->noise.why.text);
            return;
        }
        if (!whole) return;
        mux_input(c, plain);
    }
}

struct buf *node_rx(struct node *n, uint32_t id) {
    struct connection *c = connection_find(n, id);
    if (c == NULL || !node_reading(n, id)) return NULL;
    size_t most = CONN_RX_MAX + NOISE_FRAME_MAX, room = throttle_room(&n->download, n->now.mono);
    if (room == 0) return NULL;
    buf_borrow(&c->rx, &n->spare_rx); /* idle connections own no read buffer */
    c->rx.max = room < most - c->rx.n ? c->rx.n + room : most;
    return &c->rx;
}

bool node_reading(const struct node *n, uint32_t id) {
    const struct connection *c = connection_find(n, id);
    if (c == NULL || c->state == CONN_DIALING || c->state >= CONN_CLOSING) return false;
    /* A peer that does not read our replies is not read either: its requests would only pile up answers. */
    if (c->tx.n - c->tx_at > CONN_TX_HIGH * 4) return false;
    return !node_paused(n);
}

/* Decrypts what came since the last time; the peer's nonce falls out of the front. */
static void open_private(struct connection *c) {
    struct bytes fresh = bytes_skip(buf_view(&c->rx), c->rx_plain);
    size_t before = fresh.n;
    pnet_input(c->pnet, c->rx.p + c->rx_plain, &fresh);
    if (fresh.n < before) memmove(c->rx.p + c->rx_plain, fresh.p, fresh.n);
    c->rx.n -= before - fresh.n;
}

void node_received(struct node *n, uint32_t id) {
    struct connection *c = connection_find(n, id);
    if (c == NULL || c->state == CONN_DIALING || c->state >= CONN_CLOSING) return;
    throttle_spend(&n->download, c->rx.n - c->rx_plain);
    if (c->pnet != NULL) open_private(c);
    struct bytes in = buf_view(&c->rx);
    size_t before = in.n;
    c->got_bytes = true;
    if (c->state == CONN_OPEN)
        c->mux.heard = n->now.mono; /* on a slow link one frame may take many seconds */
    if (c->upgrade != NULL) {
        enum err e = upgrade_input(c, &in);
        if (e != OK) {
            connection_close(c, e, "%s", c->why.text);
            goto out;
        }
        if (c->upgrade->step == UPGRADE_DONE) {
            struct buf early = c->upgrade->plain_in;
            c->upgrade->plain_in = (struct buf){NULL, 0, 0, 0};
            buf_free(&c->upgrade->plain_out);
            mem_free(c->upgrade);
            c->upgrade = NULL;
            upgraded(c);
            mux_input(c, buf_view(&early));
            buf_free(&early);
        }
    }
    if (c->upgrade == NULL) open_input(c, &in);
out:
    c->bytes_in += before - in.n;
    n->counts.network_bytes[DIRECTION_IN] += before - in.n;
    n->unwalked += before - in.n;
    buf_drop(&c->rx, c->rx.n - in.n);
    if (c->state >= CONN_CLOSING) buf_clear(&c->rx);
    c->rx_plain = c->rx.n;
    buf_return(&c->rx, &n->spare_rx, SPARE_MAX);
    if (c->state == CONN_OPEN) connection_run(c);
    if (c->state < CONN_DEAD) connection_flush(c);
}

/* ---- the end */

void node_hangup(struct node *n, uint32_t id, enum err reason, const char *text) {
    struct connection *c = connection_find(n, id);
    if (c == NULL || c->state == CONN_DEAD) return;
    buf_clear(&c->tx); /* nobody reads it any more */
    c->tx_at = c->tx_encrypted = 0;
    buf_clear(&c->rx);
    c->rx_plain = 0;
    buf_return(&c->rx, &n->spare_rx, SPARE_MAX); /* the reading that found the end had borrowed it */
    connection_close(c, reason, "%s", text);
}

void connection_close(struct connection *c, enum err code, const char *format, ...) {
    if (c->state >= CONN_CLOSING) return;
    char text[sizeof c->why.text];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fail(&c->why, code, "%s", text);
    bool was_open = c->state == CONN_OPEN;
    enter(c, CONN_CLOSING); /* before its streams end: what ends with them must not open new ones here */
    stream_close_all(c, &c->why);
    if (was_open && code != E_CLOSED) {
        if (!c->told_goaway && !c->mux.going_away)
            yamux_go_away(&c->mux, code == E_PROTO ? YAMUX_PROTOCOL_ERROR : YAMUX_NORMAL);
        c->told_goaway = true;
        if (noise_seal(&c->noise, buf_view(&c->mux.out), &c->tx) == OK) buf_clear(&c->mux.out);
        encrypt_private(c);
    }
    swarm_closed(c);
    enter(c, CONN_DEAD);
    c->node->sweep = true;
    mark_dirty(c);
    node_push(c->node, &(struct node_effect){.kind = EFFECT_CLOSE, .id = c->id});
}

static void connection_free(struct connection *c) {
    struct node *n = c->node;
    map_drop(&n->conn_by_id, bytes_at(c->id_key, sizeof c->id_key));
    if (c->prev != NULL)
        c->prev->next = c->next;
    else
        n->connections = c->next;
    if (c->next != NULL) c->next->prev = c->prev;
    for (struct connection **at = &n->dirty; *at != NULL; at = &(*at)->next_dirty)
        if (*at == c) {
            *at = c->next_dirty;
            break;
        }
    stream_sweep(c);
    if (c->upgrade != NULL) {
        buf_wipe(&c->upgrade->plain_in);
        buf_free(&c->upgrade->plain_out);
        mem_free(c->upgrade);
    }
    if (c->pnet != NULL) pnet_wipe(c->pnet);
    mem_free(c->pnet);
    noise_wipe(&c->noise);
    yamux_free(&c->mux);
    buf_free(&c->rx);
    buf_free(&c->tx);
    mem_free(c);
}

/* The daemon has handled EFFECT_CLOSE: nothing names this connection any more. */
void connection_sweep(struct node *n) {
    if (!n->sweep) return;
    n->sweep = false;
    for (struct connection *c = n->connections, *next; c != NULL; c = next) {
        next = c->next;
        if (c->state == CONN_DEAD && c->queued_close)
            connection_free(c);
        else
            stream_sweep(c);
    }
}

/* ---- time */

bool connection_said_hello(const struct connection *c) {
    const struct upgrade *u = c->upgrade;
    return u == NULL || u->step != UPGRADE_SECURITY || !c->inbound ||
           u->negotiation.listener.state != MSL_HEADER;
}

/* On a slow connection the answer to a proposal waits behind what both sides sent before: to begin anew would
 * only add to that. */
static bool may_still_come(const struct stream *s) {
    const struct connection *c = s->connection;
    struct mono now = c->node->now.mono;
    return !s->negotiated && !s->inbound && mono_diff_ms(now, c->mux.heard) < STREAM_NEGOTIATE_MS &&
           mono_diff_ms(now, s->opened) < STREAM_PATIENCE_MS;
}

void connection_tick(struct connection *c) {
    struct node *n = c->node;
    if (c->state == CONN_SECURING || c->state == CONN_MUXING || c->state == CONN_DIALING) {
        if (mono_due(c->deadline, n->now.mono))
            connection_close(c, E_TIMEOUT,
                             c->state == CONN_DIALING ? "no answer" : "handshake not finished in time");
        return;
    }
    if (c->state != CONN_OPEN) return;
    enum err e = yamux_tick(&c->mux, n->now.mono);
    if (e != OK) {
        connection_close(c, e, "%s", c->mux.why.text);
        return;
    }
    for (struct stream *s = c->streams; s != NULL && c->state == CONN_OPEN; s = s->next) {
        if (s->dead || !mono_due(s->deadline, n->now.mono)) continue;
        s->deadline = may_still_come(s) ? mono_add_ms(n->now.mono, STREAM_NEGOTIATE_MS) : MONO_NEVER;
        if (s->deadline.us != 0) continue;
        const struct protocol_handler *h = protocol_handlers[s->protocol];
        enum err late = s->negotiated && h->tick != NULL ? h->tick(s) : E_TIMEOUT;
        if (late != OK && !s->dead) stream_fail(s, late, "no answer in time");
        if (late == E_TIMEOUT) yamux_ping(&c->mux, n->now.mono); /* is there anybody at all? */
    }
    if (c->state == CONN_OPEN) connection_run(c);
}

struct mono connection_deadline(const struct connection *c) {
    struct mono at = c->deadline;
    if (c->state != CONN_OPEN) return at;
    at = mono_sooner(at, yamux_deadline(&c->mux));
    for (const struct stream *s = c->streams; s != NULL; s = s->next)
        if (!s->dead) at = mono_sooner(at, s->deadline);
    return at;
}

struct connection *peer_connection(const struct peer *p) {
    struct connection *best = NULL;
    for (struct connection *c = p->connections; c != NULL; c = c->next_of_peer)
        if (c->state == CONN_OPEN && !c->mux.gone && !c->mux.going_away)
            best = c; /* the list's end is the oldest */
    return best;
}
