/* Dials: from the addresses of a peer to one open connection. Names are resolved, addresses raced (RFC 8305:
 * IPv6 and IPv4 in turn, the next one RACE_MS after the last or as soon as it failed), the first that is
 * secured wins. */
#include "node/swarm.h"

#include <stdio.h>

static struct dial *dial_new(struct node *n, struct peer *p, bool operator_asked) {
    struct dial *d = NEW(struct dial);
    if (d == NULL) return NULL;
    d->node = n;
    d->peer = p;
    d->operator_asked = operator_asked;
    d->addrs.max = (MULTIADDR_MAX + 2) * 128;
    d->deadline = mono_add_ms(n->now.mono, cfg(n->config, connection_dialTimeout).ms +
                                               cfg(n->config, connection_handshakeTimeout).ms);
    d->next = n->dials;
    n->dials = d;
    if (p != NULL) p->dial = d;
    fail(&d->why, E_NOT_FOUND, "no address is known");
    return d;
}

static void dial_free(struct dial *d) {
    mem_free(d->candidates);
    mem_free(d->queries);
    buf_free(&d->addrs);
    mem_free(d);
}

void swarm_sweep(struct node *n) {
    for (struct dial **at = &n->dials; *at != NULL;) {
        struct dial *d = *at;
        if (!d->dead) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        dial_free(d);
    }
}

static bool same_endpoint(const struct dial *d, const struct endpoint *e) {
    for (size_t i = 0; i < d->n_candidates; i++)
        if (endpoint_eq(&d->candidates[i].endpoint, e)) return true;
    return false;
}

static bool is_own(const struct node *n, const struct endpoint *e) {
    for (size_t i = 0; i < n->n_listen; i++)
        if (endpoint_eq(&n->listen[i], e)) return true;
    return false;
}

static void trace(struct dial *d, const char *step, struct bytes addr, const char *result, const char *text) {
    if (d->peer != NULL) peers_trace(d->node, d->peer, step, addr, result, "%s", text);
}

static void add_candidate(struct dial *d, const struct endpoint *e, struct bytes addr) {
    struct node *n = d->node;
    if (e->port == 0 || ip_is_unspecified(&e->ip) || ip_is_multicast(&e->ip) || same_endpoint(d, e)) return;
    if (is_own(n, e)) {
        fail(&d->why, E_INPUT, "that is an address of this node");
        trace(d, "address", addr, "skipped", d->why.text);
        return;
    }
    const char *rule = access_refuses(n, &e->ip, d->peer);
    if (rule != NULL) {
        fail(&d->why, E_DENIED, "refused by access.%s", rule);
        trace(d, "access", addr, "refused", d->why.text);
        return;
    }
    if (limit_hit(&n->limits, LIMIT_DIAL_ADDRESSES, d->n_candidates)) return;
    struct candidate *more = mem_resize(d->candidates, (d->n_candidates + 1) * sizeof *more);
    if (more == NULL) return;
    d->candidates = more;
    /* IPv6 and IPv4 take turns, IPv6 first: the place behind as many of the own kind as of the other. */
    size_t at = d->n_candidates, same = 0;
    for (size_t i = d->next_candidate; i < d->n_candidates; i++)
        same += more[i].endpoint.ip.version == e->ip.version;
    for (size_t i = d->next_candidate, seen = 0, other = 0; i < d->n_candidates; i++) {
        bool alike = more[i].endpoint.ip.version == e->ip.version;
        seen += alike;
        other += !alike;
        if (seen == same && (other > same || (other == same && e->ip.version == 6 && !alike))) {
            at = i;
            break;
        }
    }
    memmove(&more[at + 1], &more[at], (d->n_candidates - at) * sizeof *more);
    more[at] = (struct candidate){.endpoint = *e, .addr = addr, .state = CANDIDATE_WAITING};
    d->n_candidates++;
    for (struct connection *c = n->connections; c != NULL; c = c->next)
        if (c->dial == d && c->dial_index >= at) c->dial_index++;
}

static void resolve(struct dial *d, const struct multiaddr_target *t, struct bytes addr, unsigned depth) {
    struct node *n = d->node;
    if (d->n_queries >= limit_max(&n->limits, LIMIT_DNS_QUERIES) || t->name.n > MULTIADDR_NAME_MAX) return;
    struct resolve *more = mem_resize(d->queries, (d->n_queries + 1) * sizeof *more);
    if (more == NULL) return;
    d->queries = more;
    struct node_effect e = {.kind = EFFECT_RESOLVE, .id = ++n->next_query};
    more[d->n_queries++] = (struct resolve){.id = e.id, .depth = depth, .addr = addr, .port = t->port};
    switch (t->host) {
    case TARGET_DNS: e.resolve = RESOLVE_BOTH; break;
    case TARGET_DNS4: e.resolve = RESOLVE_A; break;
    case TARGET_DNS6: e.resolve = RESOLVE_AAAA; break;
    case TARGET_DNSADDR: e.resolve = RESOLVE_TXT; break;
    case TARGET_IP:
    case TARGET_NONE: return;
    }
    snprintf(e.name, sizeof e.name, "%s%.*s", t->host == TARGET_DNSADDR ? "_dnsaddr." : "", (int)t->name.n,
             (const char *)t->name.p);
    node_push(n, &e);
}

/* `addr` is borrowed from d->addrs. */
static void add_target(struct dial *d, struct bytes addr, unsigned depth) {
    struct multiaddr_target t = multiaddr_target(addr);
    if (t.peer.n > 0 && d->peer != NULL && !peer_id_eq(&t.peer, &d->peer->id)) return;
    if (!t.dialable) {
        trace(d, "address", addr, "skipped", t.circuit ? "over a relay: not in this version" : "not TCP");
        return;
    }
    if (t.host == TARGET_IP) {
        struct endpoint e = {.ip = t.ip, .port = t.port};
        add_candidate(d, &e, addr);
    } else {
        resolve(d, &t, addr, depth);
    }
}

/* Keeps a copy in d->addrs, whose memory never moves: it is reserved in full at the first use. */
static struct bytes keep_address(struct dial *d, struct bytes addr) {
    if (d->addrs.p == NULL && !buf_reserve(&d->addrs, d->addrs.max)) return (struct bytes){NULL, 0};
    if (buf_room(&d->addrs) < addr.n) return (struct bytes){NULL, 0};
    size_t at = d->addrs.n;
    return buf_add(&d->addrs, addr) ? bytes_at(d->addrs.p + at, addr.n) : (struct bytes){NULL, 0};
}

static bool all_resolved(const struct dial *d) {
    return d->n_resolved == d->n_queries;
}

static void backoff_address(struct dial *d, const struct candidate *c, bool worked) {
    struct node *n = d->node;
    struct peer *p = d->peer;
    for (size_t i = 0; p != NULL && i < p->n_addrs; i++) {
        struct peer_address *a = &p->addrs[i];
        if (!bytes_eq(multiaddr_without_peer(bytes_at(a->p, a->n)), multiaddr_without_peer(c->addr)))
            continue;
        if (worked) {
            a->fails = 0;
            a->next_try = MONO_NEVER;
            a->last_ok = n->now.wall;
        } else {
            if (a->fails < 100) a->fails++;
            int64_t wait = 5000 + (int64_t)a->fails * a->fails * 1000; /* as go-libp2p's swarm does it */
            a->next_try = mono_add_ms(n->now.mono, MIN(wait, (int64_t)300000));
        }
    }
}

static void end(struct dial *d, struct connection *winner) {
    struct node *n = d->node;
    if (d->dead) return;
    d->dead = true;
    n->sweep = true;
    if (winner != NULL) {
        d->connection = winner->id;
        d->found = winner->peer->id;
        d->why.code = OK;
    }
    for (struct connection *c = n->connections; c != NULL; c = c->next)
        if (c->dial == d) {
            c->dial = NULL;
            if (c != winner) connection_close(c, E_CLOSED, "another address was quicker");
        }
    struct peer *p = d->peer;
    if (p != NULL) {
        p->dial = NULL;
        swarm_dial_ended(p, winner != NULL);
    }
    n->counts.dials[d->why.code]++;
    control_dial_done(n, d);
}

static void start(struct dial *d, size_t i) {
    struct node *n = d->node;
    struct candidate *k = &d->candidates[i];
    char text[72];
    endpoint_text(&k->endpoint, text);
    k->state = CANDIDATE_FAILED;
    if (n->n_connections >= limit_max(&n->limits, LIMIT_CONNECTIONS) && !swarm_make_room(n)) {
        limit_reached(n, LIMIT_CONNECTIONS);
        fail(&d->why, E_LIMIT, "connection.maxConnections is reached");
        return;
    }
    struct connection *c = connection_new(n, false, &k->endpoint);
    if (c == NULL) {
        fail(&d->why, E_MEMORY, "out of memory");
        return;
    }
    k->state = CANDIDATE_RUNNING;
    k->connection = c->id;
    c->dial = d;
    c->dial_index = i;
    /* Who answers at an address without /p2p/ is looked at, and the operator asked: nobody is known by that.
     */
    c->operator_dial = d->operator_asked && d->peer != NULL;
    c->deadline = mono_add_ms(n->now.mono, cfg(n->config, connection_dialTimeout).ms);
    d->running++;
    n->n_dialing++;
    LOG(n->log, EV_DIAL_STARTED, kv_str("peer", d->peer == NULL ? "" : d->peer->text), kv_str("addr", text));
    node_push(n, &(struct node_effect){.kind = EFFECT_DIAL, .id = c->id, .endpoint = k->endpoint});
}

/* Goes on: starts the next candidate when it is its turn, ends the dial when nothing is left. */
static void advance(struct dial *d) {
    struct node *n = d->node;
    while (!d->dead && d->next_candidate < d->n_candidates &&
           (d->running == 0 || mono_due(d->race_at, n->now.mono))) {
        if (n->n_dialing >= limit_max(&n->limits, LIMIT_DIALS)) {
            limit_hit(&n->limits, LIMIT_DIALS, n->n_dialing);
            return; /* waits: swarm_tick comes back */
        }
        d->race_at = mono_add_ms(n->now.mono, RACE_MS);
        start(d, d->next_candidate++);
    }
    if (!d->dead && d->running == 0 && d->next_candidate == d->n_candidates && all_resolved(d)) end(d, NULL);
}

struct dial *swarm_dial(struct node *n, struct peer *p, bool operator_asked, struct why *w) {
    if (n->stopping) {
        fail(w, E_BUSY, "the node is stopping");
        return NULL;
    }
    if (p->dial != NULL) {
        p->dial->operator_asked |= operator_asked;
        return p->dial;
    }
    const char *rule = access_refuses(n, NULL, p);
    if (rule != NULL) {
        fail(w, E_DENIED, "refused by access.%s", rule);
        peers_trace(n, p, "access", (struct bytes){NULL, 0}, "refused", "access.%s", rule);
        return NULL;
    }
    struct dial *d = dial_new(n, p, operator_asked);
    if (d == NULL) {
        fail(w, E_MEMORY, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < p->n_addrs; i++) {
        if (!operator_asked && p->addrs[i].next_try.us > n->now.mono.us) {
            fail(&d->why, E_BUSY, "every address failed a short while ago");
            continue;
        }
        struct bytes addr = keep_address(d, bytes_at(p->addrs[i].p, p->addrs[i].n));
        if (addr.n > 0) add_target(d, addr, 0);
    }
    advance(d);
    return d;
}

struct dial *swarm_dial_address(struct node *n, struct bytes addr, struct why *w) {
    struct dial *d = n->stopping ? NULL : dial_new(n, NULL, true);
    if (d == NULL) {
        fail(w, n->stopping ? E_BUSY : E_MEMORY, n->stopping ? "the node is stopping" : "out of memory");
        return NULL;
    }
    struct bytes kept = keep_address(d, addr);
    if (kept.n > 0) add_target(d, kept, 0);
    advance(d);
    return d;
}

static void add_dnsaddr(struct dial *d, struct bytes text, unsigned depth) {
    struct buf addr = {.max = MULTIADDR_MAX};
    if (bytes_starts(text, "dnsaddr=") && multiaddr_parse(bytes_skip(text, 8), &addr, NULL) == OK) {
        struct bytes kept = keep_address(d, buf_view(&addr));
        struct multiaddr_target t = multiaddr_target(kept);
        bool deeper = t.host == TARGET_DNSADDR && depth + 1 >= DNSADDR_DEPTH;
        if (kept.n > 0 && !deeper) add_target(d, kept, depth + 1);
    }
    buf_free(&addr);
}

void swarm_resolved(struct node *n, uint32_t query, const struct node_resolved *answer,
                    const struct why *why) {
    struct dial *d = n->dials;
    size_t i = 0;
    for (; d != NULL; d = d->next) {
        for (i = 0; i < d->n_queries && d->queries[i].id != query; i++) {}
        if (i < d->n_queries) break;
    }
    if (d == NULL || d->dead || d->queries[i].id == 0) return;
    struct resolve q = d->queries[i];
    d->queries[i].id = 0;
    d->n_resolved++;
    if (why != NULL) {
        d->why = *why;
        trace(d, "resolve", q.addr, "failed", why->text);
    } else {
        trace(d, "resolve", q.addr, "ok", "");
        for (size_t k = 0; k < answer->n_ips; k++) {
            struct endpoint e = {.ip = answer->ips[k], .port = q.port};
            add_candidate(d, &e, q.addr);
        }
        for (size_t k = 0; k < answer->n_texts && k < DNS_RESULTS_MAX; k++)
            add_dnsaddr(d, answer->texts[k], q.depth);
    }
    advance(d);
}

/* One candidate's connection is over before it was won. */
void swarm_dial_result(struct connection *c, const struct why *why) {
    struct dial *d = c->dial;
    if (d == NULL) return;
    struct candidate *k = &d->candidates[c->dial_index];
    c->dial = NULL;
    if (k->state != CANDIDATE_RUNNING) return;
    k->state = CANDIDATE_FAILED;
    d->running--;
    d->why = *why;
    if (c->noise.peer.n > 0) d->found = c->noise.peer;
    backoff_address(d, k, false);
    trace(d,
          why->code == E_VERIFY ? "identity"
          : c->got_bytes        ? "handshake"
                                : "connect",
          k->addr, "failed", why->text);
    LOG(d->node->log, EV_DIAL_ENDED, kv_str("peer", d->peer == NULL ? "" : d->peer->text),
        kv_str("reason", why->text));
    d->race_at = MONO_NEVER;
    if (d->running == 0 || d->next_candidate < d->n_candidates) advance(d);
}

void dial_won(struct connection *c) {
    struct dial *d = c->dial;
    if (d == NULL) return;
    struct candidate *k = &d->candidates[c->dial_index];
    backoff_address(d, k, true);
    trace(d, "connect", k->addr, "ok", c->peer->text);
    if (d->peer == NULL) peers_add_address(d->node, c->peer, k->addr, false, false);
    d->running--;
    end(d, c);
}

void dial_connected(struct connection *c) {
    if (c->dial != NULL) c->dial->race_at = mono_add_ms(c->node->now.mono, RACE_CONNECTED_MS);
}

void dial_tick(struct dial *d) {
    struct node *n = d->node;
    if (d->dead) return;
    if (mono_due(d->deadline, n->now.mono) && d->running == 0) { /* waits for names or for its turn */
        if (!all_resolved(d)) fail(&d->why, E_TIMEOUT, "the name was not resolved in time");
        end(d, NULL);
        return;
    }
    advance(d);
}

struct mono dial_deadline(const struct dial *d) {
    if (d->dead) return MONO_NEVER;
    bool waits = d->next_candidate < d->n_candidates;
    return mono_sooner(d->deadline, waits ? d->race_at : MONO_NEVER);
}

void dial_cancel(struct dial *d, enum err code, const char *text) {
    if (d->dead) return;
    fail(&d->why, code, "%s", text);
    end(d, NULL);
}
