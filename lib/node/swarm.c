#include "node/swarm.h"

enum {
    KEEP_MS = 1000,
    TRIM_GRACE_MS = 20000,
    WORK_GRACE_MS = 300000, /* who is in the middle of a message or file */
    SHORT_MS = 300000,
    WALK_MS = 250,
    WALK_FULL_MS = 50, /* while the pending slots are full */
    PENDING_MUTE_MS = 150,
    PENDING_GRACE_MS = 500,
    WALK_SHARE = 16, /* of node.memoryMax: read since the last walk, the next is due */
    TRIES_TOLD = 5   /* dials of a bootstrap peer that failed, before the log says so */
};

/* ---- limits of connections */

static bool protected(const struct connection *c) {
    const struct peer *p = c->peer;
    return c->trusted || (p != NULL && (p->trusted || p->bootstrap || peer_has_mail(p)));
}

/* Higher is more useful; only unprotected connections are compared. */
static int usefulness(const struct connection *c) {
    const struct peer *p = c->peer;
    int value = 0;
    if (p != NULL && p->flags != 0) value += 8; /* the operator knows this peer */
    if (c->n_streams > 0) value += 4;
    if (!c->inbound) value += 2;
    if (p != NULL && p->n_connections == 1) value += 1;
    return value;
}

/* A message stream stays open for the next message, and is no reason to keep the connection. */
static bool has_work(const struct connection *c) {
    for (const struct stream *s = c->streams; s != NULL; s = s->next) {
        bool waits = s->negotiated && s->protocol == PROTOCOL_MESSAGE && s->rx.n == 0 && s->tx.n == 0;
        if (!s->dead && !waits) return true;
    }
    return false;
}

static struct connection *least_useful(const struct node *n, bool grace) {
    struct connection *worst = NULL;
    for (struct connection *c = n->connections; c != NULL; c = c->next) {
        if (c->state != CONN_OPEN || protected(c)) continue;
        int64_t age = mono_diff_ms(n->now.mono, c->opened);
        if (grace && age < (has_work(c) ? WORK_GRACE_MS : TRIM_GRACE_MS)) continue;
        int a = usefulness(c), b = worst == NULL ? 0 : usefulness(worst);
        if (worst == NULL || a < b || (a == b && c->used.us < worst->used.us)) worst = c;
    }
    return worst;
}

bool swarm_make_room(struct node *n) {
    struct connection *c = least_useful(n, true);
    if (c == NULL) return false;
    connection_close(c, E_LIMIT, "trimmed: connection.maxConnections is reached");
    return true;
}

/* At the high-water mark the least useful go, down to the low-water mark, so that newcomers are not refused
 * one by one. */
static void trim(struct node *n) {
    uint64_t max = limit_max(&n->limits, LIMIT_CONNECTIONS), low = max - max / 20;
    if (n->n_connections < max) return;
    while (n->n_connections > low && swarm_make_room(n)) {}
}

/* Nobody is let in before the peer book has come from the store: friends would be taken for strangers. */
bool node_accepting(const struct node *n) {
    return n->loaded && !n->stopping && n->n_pending_in < limit_max(&n->limits, LIMIT_INBOUND_PENDING);
}

uint32_t node_accepted(struct node *n, const struct endpoint *remote, const struct endpoint *local) {
    char addr[72];
    endpoint_text(remote, addr);
    const char *rule = n->stopping ? "stopping" : access_refuses(n, &remote->ip, NULL);
    if (rule != NULL) {
        if (!n->stopping) {
            access_denied(n, rule);
            LOG(n->log, EV_ACCESS_FAILED, kv_str("addr", addr), kv_str("rule", rule));
        }
        return 0;
    }
    if (n->n_connections >= limit_max(&n->limits, LIMIT_CONNECTIONS) && !swarm_make_room(n)) {
        limit_reached(n, LIMIT_CONNECTIONS);
        LOG(n->log, EV_CONNECTION_REFUSED, kv_str("addr", addr), kv_str("limit", "connections"));
        return 0;
    }
    if (!access_admit(n, &remote->ip)) {
        LOG(n->log, EV_CONNECTION_REFUSED, kv_str("addr", addr), kv_str("limit", "address"));
        return 0;
    }
    struct connection *c = connection_new(n, true, remote);
    if (c == NULL) {
        access_release(n, &remote->ip);
        return 0;
    }
    c->local = *local;
    connection_begin(c, &(struct peer_id){0});
    return c->id;
}

void node_dialed(struct node *n, uint32_t id, const struct endpoint *local, const struct why *why) {
    struct connection *c = connection_find(n, id);
    if (c == NULL || c->state != CONN_DIALING) return;
    if (why != NULL) {
        connection_close(c, why->code, "%s", why->text);
        return;
    }
    c->local = *local;
    struct peer_id any = {0};
    dial_connected(c);
    connection_begin(c, c->dial != NULL && c->dial->peer != NULL ? &c->dial->peer->id : &any);
}

/* ---- a connection is open: who is it, and may it stay? */

static size_t strangers_open(const struct node *n) {
    size_t count = 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next)
        if (c->state == CONN_OPEN && !c->trusted) count++;
    return count;
}

static bool too_many_of_peer(struct connection *c) {
    struct peer *p = c->peer;
    if (p->n_connections <= cfg(c->node->config, connection_maxConnectionsPerPeer).count) return false;
    struct connection *idle = NULL;
    for (struct connection *o = p->connections; o != NULL; o = o->next_of_peer)
        if (o != c && (idle == NULL || o->n_streams < idle->n_streams || o->used.us < idle->used.us))
            idle = o;
    limit_hit(&c->node->limits, LIMIT_PER_PEER, p->n_connections);
    connection_close(idle == NULL ? c : idle, E_LIMIT, "connection.maxConnectionsPerPeer is reached");
    return idle == NULL;
}

/* False: closed again. */
static bool admit_peer(struct connection *c) {
    struct node *n = c->node;
    char addr[72];
    endpoint_text(&c->remote, addr);
    const char *rule = access_refuses(n, &c->remote.ip, c->peer);
    if (rule != NULL) {
        access_denied(n, rule);
        LOG(n->log, EV_ACCESS_FAILED, kv_str("peer", c->peer->text), kv_str("addr", addr),
            kv_str("rule", rule));
        connection_close(c, E_DENIED, "refused by access.%s", rule);
        return false;
    }
    uint64_t free_for_all = limit_max(&n->limits, LIMIT_CONNECTIONS) -
                            cfg(n->config, connection_reservedForTrusted).count;
    c->trusted = c->peer->trusted;
    if (!c->trusted && c->inbound && strangers_open(n) > free_for_all) {
        struct connection *least = least_useful(n, true);
        connection_close(least == NULL ? c : least, E_LIMIT,
                         "the rest of connection.maxConnections is reserved");
        limit_reached(n, LIMIT_CONNECTIONS);
        return least != NULL;
    }
    return true;
}

void swarm_connected(struct connection *c) {
    struct node *n = c->node;
    char addr[72];
    if (c->noise.peer.n == n->self->peer.n && peer_id_eq(&c->noise.peer, &n->self->peer)) {
        connection_close(c, E_VERIFY, "that is this node itself");
        return;
    }
    struct peer *p = peers_add(n, &c->noise.peer);
    if (p == NULL) {
        connection_close(c, E_LIMIT, "the peer book is full");
        return;
    }
    if (!c->inbound) n->n_dialing--;
    c->peer = p;
    c->next_of_peer = p->connections;
    p->connections = c;
    p->n_connections++;
    n->counts.opened[c->inbound ? DIRECTION_IN : DIRECTION_OUT]++;
    histogram_add(&n->counts.handshake, n->now.mono.us - c->began.us);
    c->opened = c->used = n->now.mono;
    if (!admit_peer(c)) return;
    endpoint_text(&c->remote, addr);
    LOG(n->log, EV_PEER_CONNECTED, kv_str("peer", p->text), kv_str("addr", addr),
        kv_str("direction", c->inbound ? "in" : "out"), kv_str("path", "direct"));
    if (c->inbound) peers_trace(n, p, "inbound", (struct bytes){NULL, 0}, "ok", "%s", addr);
    p->last_seen = n->now.wall;
    p->dial_fails = 0;
    p->told_unreachable = false;
    peers_touch(n, p, c->operator_dial ? PEER_OPERATOR : 0);
    dial_won(c);
    if (p->dial != NULL) dial_cancel(p->dial, OK, "the peer came by itself");
    identify_ask(c);
    if (!too_many_of_peer(c)) trim(n);
}

/* The wait before the next dial, in ms, after so many in a row that came to nothing. */
static int64_t redial_wait(struct node *n, unsigned times) {
    int64_t wait = cfg(n->config, connection_redialMin).ms, most = cfg(n->config, connection_redialMax).ms;
    for (unsigned i = 1; i < times && wait < most; i++) wait *= 2;
    return rng_jitter(&n->rng, MIN(wait, most), 25);
}

/* Who ends our connections soon, being full or not wanting us, is left in peace for a while: to come back at
 * once would keep others out, for ever when all do so. Mail waits for nothing. */
static void rest(struct node *n, struct peer *p, int64_t lasted_ms) {
    if (lasted_ms >= SHORT_MS) {
        p->short_ends = 0;
        return;
    }
    if (p->short_ends++ > 0) p->rest_until = mono_add_ms(n->now.mono, redial_wait(n, p->short_ends - 1));
}

static void unlink_from_peer(struct connection *c) {
    struct peer *p = c->peer;
    for (struct connection **at = &p->connections; *at != NULL; at = &(*at)->next_of_peer)
        if (*at == c) {
            *at = c->next_of_peer;
            p->n_connections--;
            break;
        }
}

/* A connection that was closed before its first byte only asked whether somebody is there. */
static bool was_probe(const struct connection *c) {
    return c->inbound && !c->got_bytes && (c->why.code == E_CLOSED || c->why.code == E_IO);
}

static void log_end(struct connection *c) {
    struct node *n = c->node;
    char addr[72], id[PEER_TEXT_MAX];
    endpoint_text(&c->remote, addr);
    peer_id_text(&c->noise.peer, id);
    if (c->peer != NULL) {
        LOG(n->log, EV_PEER_DISCONNECTED, kv_str("peer", c->peer->text), kv_str("reason", c->why.text),
            kv_ms("duration", mono_diff_ms(n->now.mono, c->opened)));
        if (c->why.code == E_PROTO || (c->why.code == E_LIMIT && c->mux.why.code == E_LIMIT)) /* or a flood */
            LOG(n->log, EV_PEER_MISBEHAVED, kv_str("peer", c->peer->text), kv_str("addr", addr),
                kv_str("reason", c->why.text));
    } else if (!c->inbound || n->stopping) {
        LOG(n->log, EV_CONNECTION_CLOSED, kv_str("addr", addr), kv_str("reason", c->why.text));
    } else if (was_probe(c)) { /* some reset */
        LOG(n->log, EV_CONNECTION_PROBED, kv_str("addr", addr));
    } else if (c->why.code == E_VERIFY) {
        LOG(n->log, EV_AUTHENTICATION_FAILED, kv_str("addr", addr), kv_str("reason", c->why.text));
    } else {
        LOG(n->log, EV_HANDSHAKE_FAILED, kv_str("addr", addr), kv_str("reason", c->why.text));
    }
}

static void count_end(struct connection *c) {
    struct counts *counts = &c->node->counts;
    if (c->peer != NULL)
        counts->closed[c->why.code]++;
    else if (c->began.us != 0 && !was_probe(c) && !c->node->stopping)
        counts->handshakes_failed[c->why.code]++;
}

void swarm_closed(struct connection *c) {
    struct node *n = c->node;
    n->n_connections--;
    if (c->inbound) {
        n->n_inbound--;
        access_release(n, &c->remote.ip);
    } else if (c->peer == NULL) {
        n->n_dialing--;
    }
    count_end(c);
    log_end(c);
    if (c->peer != NULL) {
        struct peer *p = c->peer;
        unlink_from_peer(c);
        p->last_seen = n->now.wall;
        p->dirty = true;
        if (p->n_connections == 0) rest(n, p, mono_diff_ms(n->now.mono, c->opened));
        peers_trace(n, p, "disconnect", (struct bytes){NULL, 0}, "ended", "%s", c->why.text);
        control_peer_gone(n, c);
        if (peer_connection(p) == NULL)
            messenger_disconnected(p);
        else
            messenger_connected(p); /* what went over this one goes on over another */
    }
    if (c->dial != NULL) swarm_dial_result(c, &c->why);
}

/* ---- whom to be connected to */

void swarm_dial_ended(struct peer *p, bool connected) {
    if (connected) {
        p->dial_fails = 0;
        p->told_unreachable = false;
        p->next_dial = MONO_NEVER;
    } else if (p->dial_fails < 100) {
        p->dial_fails++;
    }
}

/* Dials p if nothing speaks against it now. */
static void want(struct node *n, struct peer *p) {
    if (p->n_connections > 0 || p->dial != NULL) return;
    if (p->next_dial.us > n->now.mono.us) return;
    if (n->n_dialing >= limit_max(&n->limits, LIMIT_DIALS)) return;
    /* Backoff is the peer's here: its addresses are tried whatever their own says. */
    for (size_t i = 0; i < p->n_addrs; i++) p->addrs[i].next_try = MONO_NEVER;
    p->next_dial = mono_add_ms(n->now.mono, redial_wait(n, p->dial_fails));
    swarm_dial(n, p, false, NULL);
}

static void keep_wanted(struct node *n) {
    size_t connected = 0, i = 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next)
        connected += c->state == CONN_OPEN;
    bool few = connected < cfg(n->config, connection_minConnections).count;
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) {
        bool mail = peer_has_mail(p) && (p->lane == NULL || p->lane->retry_at.us <= n->now.mono.us);
        bool rests = p->rest_until.us > n->now.mono.us && !mail;
        if (p->bootstrap || mail) {
            if (!rests) want(n, p);
            if (p->bootstrap && p->dial_fails >= TRIES_TOLD && !p->told_unreachable) {
                LOG(n->log, EV_BOOTSTRAP_UNREACHABLE, kv_str("peer", p->text),
                    kv_int("tries", p->dial_fails));
                p->told_unreachable = true; /* until it was there again */
            }
        } else if (few && !rests && (p->flags & PEER_OPERATOR) != 0 && p->n_addrs > 0) {
            want(n, p);
        }
    }
}

static void close_idle(struct node *n) {
    int64_t idle = cfg(n->config, connection_idleTimeout).ms;
    size_t open = 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next) open += c->state == CONN_OPEN;
    for (struct connection *c = n->connections; c != NULL; c = c->next) {
        if (c->state != CONN_OPEN || protected(c) || open <= cfg(n->config, connection_minConnections).count)
            continue;
        if (mono_diff_ms(n->now.mono, c->used) < idle || has_work(c)) continue;
        connection_close(c, E_TIMEOUT, "idle");
        open--;
    }
}

/* While the pending slots are full, others wait in the kernel's queue: those that stand still go, all at
 * once. A dialer's first lines come with its first packet, so who has not even said its header goes soonest;
 * the rest gets the time of a handshake over a slow link. So 1,000 that never say anything are through in
 * some seconds. */
static void drop_stalled(struct node *n) {
    if (n->n_pending_in < limit_max(&n->limits, LIMIT_INBOUND_PENDING)) return;
    for (struct connection *c = n->connections; c != NULL; c = c->next) {
        if (!c->inbound || (c->state != CONN_SECURING && c->state != CONN_MUXING)) continue;
        if (mono_diff_ms(n->now.mono, c->opened) <
            (connection_said_hello(c) ? PENDING_GRACE_MS : PENDING_MUTE_MS))
            continue;
        limit_reached(n, LIMIT_INBOUND_PENDING);
        connection_close(c, E_LIMIT, "handshake too slow while others wait");
    }
}

/* What the peer of c makes us keep: bytes read that no handler has taken. */
static size_t held_for(const struct connection *c) {
    size_t bytes = c->rx.cap;
    for (const struct stream *s = c->streams; s != NULL; s = s->next) bytes += s->rx.cap;
    return bytes;
}

static size_t buffers_of(const struct connection *c) {
    size_t bytes = c->rx.cap + c->tx.cap + c->mux.out.cap;
    for (const struct stream *s = c->streams; s != NULL; s = s->next) bytes += s->rx.cap + s->tx.cap;
    return bytes;
}

/* All buffers together. At the limit the connection whose unfinished input takes most is closed: to wait for
 * the rest of it, reading nobody, could be for ever. When it is something else that takes the room, reading
 * pauses; it goes on below three quarters of the limit. */
static void count_buffers(struct node *n) {
    size_t bytes = 0, held = 0;
    uint64_t max = limit_max(&n->limits, LIMIT_BUFFERS);
    for (const struct connection *c = n->connections; c != NULL; c = c->next) {
        if (c->state >= CONN_CLOSING) continue;
        bytes += buffers_of(c);
        held += held_for(c);
    }
    for (const struct lane *l = n->lanes; l != NULL; l = l->next) bytes += l->loaded_bytes;
    if (!n->paused && bytes >= max) limit_reached(n, LIMIT_BUFFERS);
    while (bytes >= max && held >= max / 2) {
        struct connection *most = NULL;
        for (struct connection *c = n->connections; c != NULL; c = c->next)
            if (c->state == CONN_OPEN && (most == NULL || held_for(c) > held_for(most))) most = c;
        if (most == NULL) break;
        held -= MIN(held, held_for(most));
        bytes -= MIN(bytes, buffers_of(most));
        connection_close(most, E_LIMIT, "node.memoryMax is reached, and this peer takes the most of it");
    }
    n->limits.of[LIMIT_BUFFERS].used = bytes;
    n->paused = n->paused ? bytes >= max - max / 4 : bytes >= max;
}

bool node_paused(const struct node *n) {
    return n->paused || n->download.waited_for;
}

void swarm_tick(struct node *n) {
    bool much = n->unwalked > limit_max(&n->limits, LIMIT_BUFFERS) / WALK_SHARE;
    if (much || mono_due(n->next_walk, n->now.mono)) {
        n->next_walk = MONO_NEVER;
        n->unwalked = 0;
        for (struct connection *c = n->connections; c != NULL; c = c->next) connection_tick(c);
        drop_stalled(n);
        count_buffers(n);
    }
    for (struct dial *d = n->dials; d != NULL; d = d->next) dial_tick(d);
    if (!n->stopping && n->loaded && n->next_keep.us <= n->now.mono.us) {
        n->next_keep = mono_add_ms(n->now.mono, KEEP_MS);
        keep_wanted(n);
        close_idle(n);
        access_sweep(n);
    }
    bool full = n->n_pending_in >= limit_max(&n->limits, LIMIT_INBOUND_PENDING);
    struct mono walk = mono_add_ms(n->now.mono, full ? WALK_FULL_MS : WALK_MS);
    if (n->n_connections > 0) n->next_walk = mono_sooner(n->next_walk, walk);
}

struct mono swarm_deadline(const struct node *n) {
    struct mono at = mono_sooner(n->next_walk, n->stopping || !n->loaded ? MONO_NEVER : n->next_keep);
    for (const struct dial *d = n->dials; d != NULL; d = d->next) at = mono_sooner(at, dial_deadline(d));
    return at;
}

void swarm_cancel(struct dial *d, const char *text) {
    dial_cancel(d, E_CLOSED, text);
}

void swarm_reconfigured(struct node *n) {
    for (struct connection *c = n->connections; c != NULL; c = c->next) {
        if (c->state != CONN_OPEN) continue;
        c->mux.inbound_max = limit_max(&n->limits, LIMIT_STREAMS);
        c->mux.keepalive_ms = cfg(n->config, connection_keepAlive).ms;
        c->trusted = c->peer->trusted;
        const char *rule = access_refuses(n, &c->remote.ip, c->peer);
        if (rule != NULL) connection_close(c, E_DENIED, "refused by access.%s", rule);
    }
    uint64_t max = limit_max(&n->limits, LIMIT_CONNECTIONS);
    while (n->n_connections > max) { /* the hard cap holds at once, grace or not */
        struct connection *c = least_useful(n, false);
        for (struct connection *o = n->connections; c == NULL && o != NULL; o = o->next)
            if (o->state < CONN_CLOSING) c = o;
        if (c == NULL) break;
        connection_close(c, E_LIMIT, "connection.maxConnections was lowered");
    }
    n->next_keep = n->now.mono;
}
