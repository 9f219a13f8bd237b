/* Control methods of peers: list, show, name, forget, connect, disconnect, ping, perf, explain, bootstrap. */
#include "node/control.h"

#include <stdio.h>
#include <stdlib.h>

static void put_address(struct json_out *o, const char *key, struct bytes addr) {
    char text[MULTIADDR_TEXT_MAX];
    json_put_str(o, key, multiaddr_show(addr, text));
}

static void put_endpoint(struct json_out *o, const char *key, const struct endpoint *e) {
    struct buf addr = {.max = MULTIADDR_MAX};
    if (multiaddr_from_endpoint(e, &addr))
        put_address(o, key, buf_view(&addr));
    else
        json_put_null(o, key);
    buf_free(&addr);
}

static void put_protocols(struct json_out *o, const struct peer *p) {
    json_open(o, "protocols", '[');
    for (size_t i = 0; i < p->n_protocols; i++) json_put_str(o, NULL, p->protocols[i]);
    json_shut(o, ']');
}

static size_t open_streams(const struct connection *c) {
    size_t count = 0;
    for (const struct stream *s = c->streams; s != NULL; s = s->next) count += !s->dead;
    return count;
}

static void put_row(struct json_out *o, const struct peer *p, const struct connection *c) {
    json_open(o, NULL, '{');
    json_put_str(o, "name", p->name);
    json_put_str(o, "peer_id", p->text);
    if (c != NULL) {
        put_endpoint(o, "addr", &c->remote);
        json_put_str(o, "direction", c->inbound ? "in" : "out");
        json_put_str(o, "path", "direct");
        json_put_wall(o, "since", c->since);
        if (c->mux.rtt_us > 0)
            json_put_real(o, "rtt_seconds", (double)c->mux.rtt_us / 1e6);
        else
            json_put_null(o, "rtt_seconds");
        json_put_uint(o, "streams", open_streams(c));
        json_put_uint(o, "bytes_in", c->bytes_in);
        json_put_uint(o, "bytes_out", c->bytes_out);
    } else {
        if (p->n_addrs > 0)
            put_address(o, "addr", bytes_at(p->addrs[0].p, p->addrs[0].n));
        else
            json_put_null(o, "addr");
        json_put_null(o, "direction");
        json_put_null(o, "path");
        json_put_null(o, "since");
        json_put_null(o, "rtt_seconds");
        json_put_uint(o, "streams", 0);
        json_put_uint(o, "bytes_in", 0);
        json_put_uint(o, "bytes_out", 0);
    }
    json_put_wall(o, "last_seen", c != NULL ? p->last_seen : p->last_seen);
    json_put_str(o, "agent", p->agent);
    put_protocols(o, p);
    json_shut(o, '}');
}

static size_t put_rows(struct json_out *o, const struct peer *p, bool all) {
    size_t rows = 0;
    for (const struct connection *c = p->connections; c != NULL; c = c->next_of_peer)
        if (c->state == CONN_OPEN && ++rows > 0) put_row(o, p, c);
    if (!all || p->n_connections > 0) return rows;
    put_row(o, p, NULL);
    return 1;
}

static int by_text(const void *a, const void *b) {
    return bytes_compare(bytes_of((*(struct peer *const *)a)->text),
                         bytes_of((*(struct peer *const *)b)->text));
}

/* By Peer ID, those behind `after`; the table's own order changes when it grows. A peer's rows stay together,
 * so a page may be some rows longer than it was asked for. */
static enum err peers_page(const struct node *n, const struct json *params, bool all, struct json_out *o) {
    const struct peer **sorted = NEW_ARRAY(const struct peer *, n->peers.n + 1);
    struct bytes after = json_get_bytes(params, "after");
    int64_t most = json_get_int(params, "n", 0);
    size_t count = 0, i = 0, rows = 0;
    if (sorted == NULL) return E_MEMORY;
    if (most <= 0) most = INT64_MAX;
    for (const struct peer *p; (p = map_next(&n->peers, &i)) != NULL;)
        if (bytes_compare(bytes_of(p->text), after) > 0 && (all || p->n_connections > 0)) sorted[count++] = p;
    qsort(sorted, count, sizeof *sorted, by_text);
    for (i = 0; i < count && (int64_t)rows < most; i++) rows += put_rows(o, sorted[i], all);
    json_shut(o, ']');
    json_put_str(o, "next", i < count ? sorted[i - 1]->text : NULL);
    mem_free(sorted);
    return OK;
}

enum err method_peers(struct node *n, struct request *r, const struct json *params, struct why *w) {
    bool all = json_get_bool(params, "all", false);
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "peers");
    size_t i = 0;
    json_open(&o, "items", '[');
    if (json_get_int(params, "n", 0) > 0 || json_get_bytes(params, "after").n > 0) {
        if (peers_page(n, params, all, &o) != OK) {
            buf_free(&line);
            return fail(w, E_MEMORY, "out of memory");
        }
    } else {
        for (const struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) put_rows(&o, p, all);
        json_shut(&o, ']');
        json_put_null(&o, "next");
    }
    control_finish(r, &line, &o);
    return OK;
}

static void put_known(struct json_out *o, const struct node *n, const struct peer *p) {
    json_open(o, "addresses", '[');
    for (size_t i = 0; i < p->n_addrs; i++) {
        const struct peer_address *a = &p->addrs[i];
        json_open(o, NULL, '{');
        put_address(o, "addr", bytes_at(a->p, a->n));
        json_put_bool(o, "certified", a->certified);
        json_put_bool(o, "operator", a->operator_given);
        json_put_uint(o, "fails", a->fails);
        json_put_wall(o, "last_ok", a->last_ok);
        int64_t wait = a->next_try.us == 0 ? 0 : mono_diff_ms(a->next_try, n->now.mono);
        json_put_wall(o, "next_try", (struct wall){wait > 0 ? n->now.wall.ms + wait : 0});
        json_shut(o, '}');
    }
    json_shut(o, ']');
    json_open(o, "known_as", '[');
    if ((p->flags & PEER_OPERATOR) != 0) json_put_str(o, NULL, "connected");
    if ((p->flags & PEER_NAMED) != 0) json_put_str(o, NULL, "named");
    if ((p->flags & PEER_ALLOWED) != 0 || p->trusted) json_put_str(o, NULL, "allowed");
    if ((p->flags & PEER_WRITTEN_TO) != 0) json_put_str(o, NULL, "written_to");
    if (p->bootstrap) json_put_str(o, NULL, "bootstrap");
    json_shut(o, ']');
}

enum err method_peer_show(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *p;
    enum err e = control_peer(n, params, &p, w);
    if (e != OK) return e;
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "peer.show");
    json_put_str(&o, "name", p->name);
    json_put_str(&o, "peer_id", p->text);
    json_put_str(&o, "agent", p->agent);
    put_protocols(&o, p);
    json_put_wall(&o, "first_seen", p->first_seen);
    json_put_wall(&o, "last_seen", p->last_seen);
    json_put_bool(&o, "may_send", access_may_send(n, p));
    put_known(&o, n, p);
    json_open(&o, "connections", '[');
    for (const struct connection *c = p->connections; c != NULL; c = c->next_of_peer)
        if (c->state == CONN_OPEN) put_row(&o, p, c);
    json_shut(&o, ']');
    json_put_uint(&o, "outbox", p->lane == NULL ? 0 : p->lane->queued);
    control_finish(r, &line, &o);
    return OK;
}

enum err method_peer_name(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *p;
    enum err e = control_peer(n, params, &p, w);
    if (e == OK) e = peers_name(n, p, json_get_bytes(params, "name"), w);
    if (e == OK) {
        peers_flush(n, true);
        control_done(r);
    }
    return e;
}

enum err method_peer_forget(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *p;
    enum err e = control_peer(n, params, &p, w);
    if (e == OK) e = peers_forget(n, p, w);
    if (e == OK) control_done(r);
    return e;
}

/* ---- connect */

static void answer_connected(struct request *r, const struct connection *c, const struct peer *p,
                             bool already) {
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "connect");
    json_put_str(&o, "peer_id", p->text);
    if (c != NULL) put_endpoint(&o, "addr", &c->remote);
    json_put_bool(&o, "connected", c != NULL);
    json_put_bool(&o, "already", already);
    control_finish(r, &line, &o);
}

/* Who answers at an address without /p2p/? The operator decides by what is found; the connection goes. */
static void answer_found(struct request *r, struct connection *c) {
    struct buf line = {NULL, 0, 0, 0}, addr = {.max = MULTIADDR_MAX};
    struct json_out o = control_begin(r, &line, "connect");
    json_put_str(&o, "peer_id", c->peer->text);
    multiaddr_from_endpoint(&c->remote, &addr);
    multiaddr_add_peer(&addr, &c->peer->id);
    put_address(&o, "addr", buf_view(&addr));
    json_put_bool(&o, "connected", false);
    json_put_bool(&o, "confirm", true);
    buf_free(&addr);
    control_finish(r, &line, &o);
    connection_close(c, OK, "looked up who answers here");
}

void control_dial_done(struct node *n, struct dial *d) {
    for (struct request *r = n->requests; r != NULL; r = r->next) {
        if (r->dead || r->wait != WAIT_DIAL || r->dial != d) continue;
        struct connection *c = connection_find(n, d->connection);
        r->dial = NULL;
        if (c != NULL && c->peer != NULL && r->peer == NULL) {
            answer_found(r, c);
        } else if (r->peer != NULL && (c = peer_connection(r->peer)) != NULL) {
            peers_touch(n, r->peer, PEER_OPERATOR);
            peers_flush(n, true);
            answer_connected(r, c, r->peer, false);
        } else {
            struct why w = d->why;
            if (w.code == OK) fail(&w, E_CLOSED, "the connection was closed again");
            if (w.code == E_CLOSED || w.code == E_IO) w.code = E_FAILED;
            control_error(r, &w);
        }
    }
}

enum err method_connect(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct bytes text = json_get_bytes(params, "peer");
    if (text.n == 0) return fail(w, E_USAGE, "connect to what? params.peer is a multiaddr or a peer");
    struct buf addr = {.max = MULTIADDR_MAX};
    struct dial *d = NULL;
    enum err e = OK;
    r->wait = WAIT_DIAL;
    if (text.p[0] == '/') {
        e = multiaddr_parse(text, &addr, w);
        struct multiaddr_target t = multiaddr_target(buf_view(&addr));
        if (e == OK && !t.dialable) e = fail(w, E_INPUT, "only TCP addresses can be dialed");
        if (e == OK && t.peer.n == 0 && (d = swarm_dial_address(n, buf_view(&addr), w)) == NULL) e = w->code;
    }
    if (e == OK && d == NULL) {
        struct peer *p;
        e = peers_resolve(n, text, &p, w); /* a multiaddr's address is added to its peer */
        if (e == OK && peer_id_eq(&p->id, &n->self->peer)) e = fail(w, E_INPUT, "that is this node itself");
        if (e == OK) {
            r->peer = p;
            struct connection *c = peer_connection(p);
            peers_touch(n, p, PEER_OPERATOR);
            if (c != NULL)
                answer_connected(r, c, p, true);
            else if ((d = swarm_dial(n, p, true, w)) == NULL)
                e = w->code;
        }
    }
    buf_free(&addr);
    if (e != OK || r->dead || d == NULL) return e;
    r->dial = d;
    if (d->dead) control_dial_done(n, d); /* ended at once: nothing to dial */
    return OK;
}

enum err method_disconnect(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *p;
    size_t count = 0;
    enum err e = control_peer(n, params, &p, w);
    if (e != OK) return e;
    for (struct connection *c = p->connections, *next; c != NULL; c = next, count++) {
        next = c->next_of_peer;
        connection_close(c, OK, "disconnected by the operator");
    }
    if (count == 0) return fail(w, E_NOT_FOUND, "%s is not connected", p->text);
    p->next_dial = mono_add_ms(n->now.mono, cfg(n->config, connection_redialMax).ms);
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "disconnect");
    json_put_str(&o, "peer_id", p->text);
    json_put_uint(&o, "count", count);
    control_finish(r, &line, &o);
    return OK;
}

enum err method_bootstrap_list(struct node *n, struct request *r, const struct json *params, struct why *w) {
    const struct config_list *list = &cfg(n->config, discovery_bootstrap).list;
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "bootstrap.list");
    struct json_page page = json_page_of(params);
    (void)w;
    json_open(&o, "items", '[');
    for (size_t i = 0; i < list->n; i++) {
        if (!json_page_has(&page)) continue;
        const struct peer *p = peers_find(n, &list->peers[i]);
        json_open(&o, NULL, '{');
        json_put_str(&o, "addr", list->texts[i]);
        json_put_str(&o, "state",
                     p == NULL              ? "unknown"
                     : p->n_connections > 0 ? "connected"
                     : p->dial != NULL      ? "dialing"
                                            : "waiting");
        json_put_uint(&o, "tries", p == NULL ? 0 : p->dial_fails);
        json_put_str(&o, "error",
                     p == NULL || p->n_connections > 0 || p->n_traces == 0
                         ? NULL
                         : p->traces[(p->n_traces - 1) % TRACES_MAX].detail);
        json_shut(&o, '}');
    }
    json_shut(&o, ']');
    json_page_end(&page, &o);
    control_finish(r, &line, &o);
    return OK;
}

/* ---- ping and perf */

static enum err connected_peer(struct node *n, const struct json *params, struct peer **p,
                               struct connection **c, struct why *w) {
    enum err e = control_peer(n, params, p, w);
    if (e != OK) return e;
    *c = peer_connection(*p);
    return *c != NULL
               ? OK
               : fail(w, E_CLOSED, "%s is not connected; try `silktalk connect %s`", (*p)->text, (*p)->text);
}

enum err method_ping(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *p;
    struct connection *c;
    enum err e = connected_peer(n, params, &p, &c, w);
    if (e != OK) return e;
    int64_t count = json_get_int(params, "count", 4), pause = json_get_int(params, "interval_ms", 1000);
    if (count < 1 || count > 1000000 || pause < 1 || pause > 3600000)
        return fail(w, E_USAGE, "count or interval_ms is out of range");
    r->wait = WAIT_PING;
    r->ids_left = (uint64_t)count;
    r->cursor = pause;
    r->peer = p;
    r->connection = c->id;
    return ping_begin(r, c, w);
}

void control_ping_answer(struct request *r, int64_t rtt_us, const struct why *why, bool last) {
    struct buf line = {NULL, 0, 0, 0};
    if (rtt_us < 0) {
        control_error(r, why->code == OK ? &(struct why){E_CLOSED, "the stream ended"} : why);
        return;
    }
    if (rtt_us >= 0) {
        struct json_out o = control_event(r, &line);
        json_put_str(&o, "schema", "silktalk.ping/1");
        json_put_real(&o, "rtt_seconds", (double)rtt_us / 1e6);
        json_put_str(&o, "path", "direct");
        control_event_end(r, &line, &o);
    }
    if (last) {
        r->ids_left = 0;
        control_stream_end(r);
    }
}

enum err method_perf(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *p;
    struct connection *c;
    enum err e = connected_peer(n, params, &p, &c, w);
    if (e != OK) return e;
    int64_t up = json_get_int(params, "up", 0), down = json_get_int(params, "down", 0);
    if (up < 0 || down < 0) return fail(w, E_USAGE, "up and down are bytes");
    r->wait = WAIT_PERF;
    return perf_begin(r, c, (uint64_t)up, (uint64_t)down, w);
}

void control_perf_done(struct request *r, uint64_t up, uint64_t down, int64_t up_us, int64_t down_us,
                       const struct why *why) {
    if (why != NULL) {
        control_error(r, why);
        return;
    }
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "perf");
    json_put_uint(&o, "up", up);
    json_put_uint(&o, "down", down);
    json_put_real(&o, "up_seconds", (double)up_us / 1e6);
    json_put_real(&o, "down_seconds", (double)down_us / 1e6);
    control_finish(r, &line, &o);
}

/* The connection of a waiting ping or perf is gone: its stream's end answers it. */
void control_peer_gone(struct node *n, struct connection *c) {
    for (struct request *r = n->requests; r != NULL; r = r->next)
        if (!r->dead && r->wait == WAIT_PING && r->connection == c->id && r->ids_left > 0)
            control_error(r, &(struct why){E_CLOSED, "the connection was closed"});
}

/* ---- explain */

static void put_step(struct json_out *o, const char *step, const char *addr, const char *result,
                     struct wall at, const char *detail) {
    json_open(o, NULL, '{');
    json_put_str(o, "step", step);
    json_put_str(o, "addr", addr);
    json_put_str(o, "result", result);
    json_put_wall(o, "at", at);
    json_put_str(o, "detail", detail);
    json_shut(o, '}');
}

/* What holds now: the rule that decides, and each address; what was tried comes behind. */
static void put_present(struct json_out *o, const struct node *n, const struct peer *p, const char *rule) {
    char text[MULTIADDR_TEXT_MAX], detail[64];
    snprintf(detail, sizeof detail, "access.%s", rule == NULL ? "" : rule);
    put_step(o, "rule", NULL, rule == NULL ? "allowed" : "refused", (struct wall){0},
             rule == NULL ? NULL : detail);
    for (size_t i = 0; i < p->n_addrs; i++) {
        const struct peer_address *a = &p->addrs[i];
        int64_t wait = a->next_try.us == 0 ? 0 : mono_diff_ms(a->next_try, n->now.mono);
        if (a->fails == 0)
            snprintf(detail, sizeof detail, "%s", a->operator_given ? "given here" : "told by a peer");
        else
            snprintf(detail, sizeof detail, "%u failures, next try in %llds", a->fails,
                     (long long)MAX(wait / 1000, (int64_t)0));
        put_step(o, "address", multiaddr_show(bytes_at(a->p, a->n), text),
                 a->fails > 0        ? "failed"
                 : a->last_ok.ms > 0 ? "good"
                                     : "untried",
                 a->last_ok, detail);
    }
}

static void put_traces(struct json_out *o, const struct peer *p) {
    size_t from = p->n_traces > TRACES_MAX ? p->n_traces - TRACES_MAX : 0;
    for (size_t i = from; i < p->n_traces; i++) {
        const struct trace *t = &p->traces[i % TRACES_MAX];
        put_step(o, t->step, t->addr[0] == 0 ? NULL : t->addr, t->result, t->at, t->detail);
    }
}

enum err method_explain(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *p;
    enum err e = control_peer(n, params, &p, w);
    if (e != OK) return e;
    const char *rule = access_refuses(n, NULL, p);
    const struct connection *c = peer_connection(p);
    char verdict[200];
    bool wanted = p->bootstrap || peer_has_mail(p);
    if (c != NULL)
        snprintf(verdict, sizeof verdict, "connected");
    else if (rule != NULL)
        snprintf(verdict, sizeof verdict, "refused by access.%s", rule);
    else if (p->dial != NULL)
        snprintf(verdict, sizeof verdict, "dialing now");
    else if (p->n_addrs == 0)
        snprintf(verdict, sizeof verdict, "no address is known");
    else if (wanted)
        snprintf(verdict, sizeof verdict, "not connected, will be tried again");
    else
        snprintf(verdict, sizeof verdict, "not connected, and nothing asks for it");
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "explain");
    json_put_str(&o, "peer_id", p->text);
    json_put_str(&o, "name", p->name);
    json_put_str(&o, "verdict", verdict);
    struct mono next = {peer_has_mail(p) ? p->next_dial.us : MAX(p->next_dial.us, p->rest_until.us)};
    int64_t wait = next.us == 0 ? 0 : mono_diff_ms(next, n->now.mono);
    bool planned = c == NULL && wanted && rule == NULL;
    json_put_wall(&o, "next_try", (struct wall){planned ? n->now.wall.ms + MAX(wait, (int64_t)0) : 0});
    put_known(&o, n, p);
    json_open(&o, "items", '[');
    put_present(&o, n, p, rule);
    put_traces(&o, p);
    json_shut(&o, ']');
    control_finish(r, &line, &o);
    return OK;
}
