#include "node/core.h"

#include <stdarg.h>
#include <stdio.h>

static void wake(struct stream *s) {
    s->ready = true;
}

static struct stream *stream_new(struct connection *c, struct yamux_stream *y, bool inbound) {
    struct stream *s = NEW(struct stream);
    if (s == NULL) return NULL;
    s->connection = c;
    s->y = y;
    s->inbound = inbound;
    s->rx.max = STREAM_RX_MAX;
    s->tx.max = STREAM_TX_MAX;
    s->serial = ++c->node->next_serial;
    s->opened = c->node->now.mono;
    s->deadline = mono_add_ms(s->opened, STREAM_NEGOTIATE_MS);
    y->user = s;
    s->next = c->streams;
    c->streams = s;
    c->n_streams++;
    return s;
}

#define PROTOCOL_NAME(symbol, name, handler) [symbol] = name,
const char *const protocol_names[PROTOCOL_COUNT + 1] = {PROTOCOLS(PROTOCOL_NAME)};
#define PROTOCOL_ROW(symbol, name, handler) [symbol] = &handler,
const struct protocol_handler *const protocol_handlers[PROTOCOL_COUNT] = {PROTOCOLS(PROTOCOL_ROW)};
/* Each alone, as the dialer's list. */
#define PROTOCOL_ALONE(symbol, name, handler) [symbol] = {name, NULL},
static const char *const protocol_wanted[PROTOCOL_COUNT][2] = {PROTOCOLS(PROTOCOL_ALONE)};
/* The same without its last row. */
#define PROTOCOL_NAME_NOT_PERF(symbol, name, handler) [symbol] = symbol == PROTOCOL_PERF ? NULL : name,
static const char *const names_without_perf[PROTOCOL_COUNT] = {PROTOCOLS(PROTOCOL_NAME_NOT_PERF)};

const char *const *protocols_served(const struct node *n) {
    return cfg(n->config, network_perf).count != 0 ? protocol_names : names_without_perf;
}

void stream_accept(struct connection *c, struct yamux_stream *y) {
    struct stream *s = stream_new(c, y, true);
    if (s == NULL) {
        yamux_drop(&c->mux, y);
        return;
    }
    multistream_listen(&s->negotiation.listener, protocols_served(c->node));
}

bool peer_speaks(const struct peer *p, enum protocol protocol) {
    for (size_t i = 0; p != NULL && i < p->n_protocols; i++)
        if (strcmp(p->protocols[i], protocol_names[protocol]) == 0) return true;
    return false;
}

struct stream *stream_open(struct connection *c, enum protocol protocol, void *state, struct why *w) {
    if (c->state != CONN_OPEN) {
        fail(w, E_CLOSED, "the connection is closed");
        return NULL;
    }
    struct yamux_stream *y = yamux_open(&c->mux, c->node->now.mono);
    if (y == NULL) {
        fail(w, E_LIMIT, "no more streams to this peer now");
        return NULL;
    }
    struct stream *s = stream_new(c, y, false);
    if (s == NULL) {
        yamux_drop(&c->mux, y);
        fail(w, E_MEMORY, "out of memory");
        return NULL;
    }
    s->protocol = protocol;
    s->state = state;
    if (multistream_dial(&s->negotiation.dialer, &protocol_wanted[protocol][0], &s->tx) != OK) {
        s->state = NULL;
        stream_fail(s, E_MEMORY, "out of memory");
        fail(w, E_MEMORY, "out of memory");
        return NULL;
    }
    /* Optimistic data only when identify listed the protocol: a refusal would void it (libp2p/specs issue
     * 643). */
    if (peer_speaks(c->peer, protocol) && protocol_handlers[protocol]->output != NULL) wake(s);
    s->ready = true;
    return s;
}

static size_t direction(const struct stream *s) {
    return s->inbound ? DIRECTION_IN : DIRECTION_OUT;
}

static void count_bytes(const struct stream *s, size_t way, size_t bytes) {
    size_t protocol = s->negotiated || !s->inbound ? (size_t)s->protocol : PROTOCOL_COUNT;
    s->connection->node->counts.protocol_bytes[protocol][way] += bytes;
}

/* Sends what waits in tx as far as credit and room go; closes our side behind it when asked to. */
static void send_tx(struct stream *s) {
    struct connection *c = s->connection;
    size_t at = 0;
    if (s->tx.n > 0) buf_borrow(&c->mux.out, &c->node->spare_out);
    while (at < s->tx.n) {
        size_t took = yamux_write(&c->mux, s->y, bytes_skip(buf_view(&s->tx), at));
        if (took == 0) break;
        at += took;
    }
    if (at > 0) {
        buf_drop(&s->tx, at);
        count_bytes(s, DIRECTION_OUT, at);
        c->used = c->node->now.mono;
    }
    /* Not before the agreement: some listeners lose a stream that is closed in the burst that opened it. */
    if (s->fin_out && s->tx.n == 0 && s->negotiated && !s->y->fin_sent) yamux_finish(&c->mux, s->y);
}

static enum err agree(struct stream *s, struct bytes *in) {
    struct node *n = s->connection->node;
    enum err e;
    bool done;
    if (s->inbound) {
        e = multistream_listener_input(&s->negotiation.listener, in, &s->tx);
        done = s->negotiation.listener.state == MSL_DONE;
        if (e == OK && done) s->protocol = (enum protocol)s->negotiation.listener.chosen;
    } else {
        e = multistream_dialer_input(&s->negotiation.dialer, true, in, &s->tx);
        done = s->negotiation.dialer.state == MSD_DONE;
        if (e != OK) {
            stream_fail(s, e, "%s", s->negotiation.dialer.why.text);
            return e;
        }
    }
    if (e != OK || !done) return e;
    s->negotiated = true;
    s->deadline = MONO_NEVER;
    n->counts.streams[s->protocol][direction(s)]++;
    if (!s->inbound) node_operation(n, false);
    LOG(n->log, EV_STREAM, kv_str("peer", s->connection->peer->text),
        kv_str("protocol", protocol_names[s->protocol]), kv_str("direction", s->inbound ? "in" : "out"),
        kv_str("state", "open"));
    return protocol_handlers[s->protocol]->open == NULL ? OK : protocol_handlers[s->protocol]->open(s);
}

enum err stream_fault(struct stream *s, const char *text) {
    struct connection *c = s->connection;
    char addr[72], reason[200];
    endpoint_text(&c->remote, addr);
    snprintf(reason, sizeof reason, "%s: %s", s->negotiated ? protocol_names[s->protocol] : "a new stream",
             text);
    LOG(c->node->log, EV_PEER_MISBEHAVED, kv_str("peer", c->peer->text), kv_str("addr", addr),
        kv_str("reason", reason));
    return E_PROTO;
}

/* Gives the handler what has come; what it leaves stays in rx and keeps the peer's credit down. */
static enum err take(struct stream *s, struct bytes *in) {
    enum err e = OK;
    while (e == OK && !s->negotiated && !s->dead) {
        size_t before = in->n;
        e = agree(s, in);
        if (e == E_PROTO && s->inbound && !s->negotiated) stream_fault(s, s->negotiation.listener.why.text);
        if (in->n == before && !s->negotiated) break;
    }
    if (e == OK && s->negotiated && !s->dead && protocol_handlers[s->protocol]->input != NULL)
        e = protocol_handlers[s->protocol]->input(s, in);
    return e;
}

/* The peer gets credit for what the handler took, and for what must wait in rx because it is needed in one
 * piece: a frame may be larger than the window. */
static void consume(struct stream *s, size_t taken) {
    if (s->dead) return;
    size_t fresh = taken - MIN(taken, s->credited);
    s->credited -= taken - fresh;
    size_t waiting = MIN(s->rx.n, s->want);
    if (waiting > s->credited) {
        fresh += waiting - s->credited;
        s->credited = waiting;
    }
    if (fresh > 0) stream_credit(s, fresh);
}

bool stream_is_bulk(const struct stream *s) {
    return s->negotiated && (s->protocol == PROTOCOL_FILE || s->protocol == PROTOCOL_PERF);
}

void stream_credit(struct stream *s, size_t fresh) {
    struct node *n = s->connection->node;
    s->withheld += fresh;
    size_t give = stream_is_bulk(s) ? MIN(s->withheld, throttle_bulk_room(n))
                                    : s->withheld;
    if (give == 0) return;
    s->withheld -= give;
    if (stream_is_bulk(s)) {
        throttle_spend(&n->download_bulk, give);
        if (s->withheld > 0) n->download_bulk.waited_for = true;
    }
    yamux_consumed(&s->connection->mux, s->y, give, n->now.mono);
    n->streams_waiting = true; /* the window's update goes out */
}

void stream_data(struct stream *s, struct bytes data) {
    if (s->dead) return;
    s->connection->used = s->connection->node->now.mono; /* a ping of the muxer is no use */
    enum err e = OK;
    size_t before = data.n;
    count_bytes(s, DIRECTION_IN, data.n);
    if (s->rx.n == 0) e = take(s, &data);
    size_t taken = before - data.n;
    if (e == OK && data.n > 0 && !s->dead && !buf_add(&s->rx, data)) e = E_LIMIT;
    if (e != OK && !s->dead) stream_fail(s, e, "%s", err_text(e));
    consume(s, taken);
    wake(s);
}

void stream_finished(struct stream *s) {
    if (s->dead) return;
    s->fin_in = true;
    wake(s);
}

void stream_run(struct stream *s) {
    if (s->dead) return;
    s->ready = false;
    enum err e = OK;
    if (s->rx.n > 0 || s->fin_in) {
        struct bytes in = buf_view(&s->rx);
        size_t before = in.n;
        e = take(s, &in);
        if (!s->dead) buf_drop(&s->rx, before - in.n);
        consume(s, before - in.n);
        if (s->rx.n == 0) buf_shrink(&s->rx, 0);
        if (e == OK && s->fin_in && !s->negotiated && !s->dead && s->rx.n == 0) e = E_CLOSED;
    }
    const struct protocol_handler *h = protocol_handlers[s->protocol];
    bool may_write = s->negotiated || (!s->inbound && peer_speaks(s->connection->peer, s->protocol));
    if (e == OK && !s->dead && may_write && h->output != NULL && s->tx.n < MUX_OUT_MAX && !s->fin_out) {
        buf_borrow(&s->tx, &s->connection->node->spare_stream);
        e = h->output(s);
    }
    if (e != OK && !s->dead) {
        stream_fail(s, e, "%s", err_text(e));
        return;
    }
    if (s->dead) return;
    send_tx(s);
    buf_return(&s->tx, &s->connection->node->spare_stream, SPARE_MAX);
    if (s->y->fin_sent && s->fin_in && s->rx.n == 0) stream_fail(s, OK, "done");
}

void stream_fail(struct stream *s, enum err code, const char *format, ...) {
    if (s->dead) return;
    struct why why;
    va_list ap;
    va_start(ap, format);
    char text[sizeof why.text];
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    fail(&why, code, "%s", text);
    s->dead = true;
    struct connection *c = s->connection;
    c->node->sweep = true;
    /* Streams that end with their connection are not what failed. */
    if (!s->negotiated && !s->inbound && code != OK && c->state == CONN_OPEN) node_operation(c->node, true);
    if (s->state != NULL && protocol_handlers[s->protocol]->close != NULL)
        protocol_handlers[s->protocol]->close(s, &why);
    s->state = NULL;
    s->y->user = NULL;
    yamux_drop(&c->mux, s->y);
    s->y = NULL;
    c->n_streams--;
}

void stream_close_all(struct connection *c, const struct why *why) {
    for (struct stream *s = c->streams; s != NULL; s = s->next)
        if (!s->dead) stream_fail(s, why->code == OK ? E_CLOSED : why->code, "%s", why->text);
}

void stream_sweep(struct connection *c) {
    for (struct stream **at = &c->streams; *at != NULL;) {
        struct stream *s = *at;
        if (!s->dead) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        buf_free(&s->rx);
        buf_free(&s->tx);
        mem_free(s);
    }
}
