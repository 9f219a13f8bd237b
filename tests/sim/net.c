/* tests/sim/net.c: connections between nodes: what ops/daemon_link.c and TCP do between them. */
#include <stdlib.h>

#include "tests/sim/world.h"

enum {
    RETRY_US = 700000,
    GIVE_UP_US = 924 * 1000000,
    ACCEPTS = 64,
    SEGMENT = 1400,
    WINDOW = 256 << 10,
    FIRST_PORT = 40000
};

bool world_reaches(const struct world *w, size_t a, size_t b) {
    return !w->split || w->group[a] == w->group[b];
}

int64_t world_delay(struct world *w) {
    int64_t jitter = w->net.jitter_us > 0 ? (int64_t)rng_below(&w->rng, (uint64_t)w->net.jitter_us + 1) : 0;
    return w->net.delay_us + jitter;
}

static struct wire_end *far_end(const struct wire_end *e) {
    return &e->wire->ends[e == &e->wire->ends[0]];
}

/* Something happens at this end. */
static void later(struct wire_end *e, enum sim_event_kind kind, int64_t at_us, size_t n) {
    const struct wire *wire = e->wire;
    world_push(wire->world, (struct sim_event){.at = at_us,
                                               .kind = kind,
                                               .node = (uint32_t)e->node,
                                               .slot = wire->slot,
                                               .gen = wire->gen,
                                               .side = e == &wire->ends[1],
                                               .n = n});
}

static void soon(struct wire_end *e, enum sim_event_kind kind) {
    struct world *w = e->wire->world;
    later(e, kind, w->now_us + world_delay(w), 0);
}

/* ---- wires and their ends */

static struct wire *wire_new(struct world *w) {
    size_t slot = 0;
    while (slot < w->n_wires && w->wires[slot] != NULL) slot++;
    if (slot == w->n_wires) {
        size_t more = w->n_wires == 0 ? 64 : w->n_wires * 2;
        w->wires = realloc(w->wires, more * sizeof *w->wires);
        w->gens = realloc(w->gens, more * sizeof *w->gens);
        if (w->wires == NULL || w->gens == NULL) abort();
        memset(w->wires + w->n_wires, 0, (more - w->n_wires) * sizeof *w->wires);
        memset(w->gens + w->n_wires, 0, (more - w->n_wires) * sizeof *w->gens);
        w->n_wires = more;
    }
    struct wire *wire = calloc(1, sizeof *wire);
    if (wire == NULL) abort();
    wire->world = w;
    wire->slot = (uint32_t)slot;
    wire->gen = ++w->gens[slot];
    for (size_t i = 0; i < 2; i++) {
        wire->ends[i].wire = wire;
        wire->ends[i].in.max = SIZE_MAX / 2;
    }
    w->wires[slot] = wire;
    return wire;
}

static void wire_free(struct wire *wire) {
    wire->world->wires[wire->slot] = NULL;
    buf_free(&wire->ends[0].in);
    buf_free(&wire->ends[1].in);
    free(wire);
}

void wires_free(struct world *w) {
    for (size_t i = 0; i < w->n_wires; i++)
        if (w->wires[i] != NULL) wire_free(w->wires[i]);
    free(w->wires);
    free(w->gens);
}

static void attach(struct wire_end *e, size_t node, uint32_t id) {
    struct sim_node *n = e->wire->world->nodes[node];
    e->node = node;
    e->id = id;
    e->attached = true;
    put_u32(e->key, id);
    if (map_add(&n->ends, bytes_at(e->key, sizeof e->key), e) != OK) abort();
}

/* The node has forgotten it. The wire goes with its last end. */
static void detach(struct wire_end *e) {
    struct sim_node *n = e->wire->world->nodes[e->node];
    struct wire *wire = e->wire;
    if (!e->attached) return;
    e->attached = false;
    n->n_stalled -= e->stalled;
    e->stalled = false;
    map_drop(&n->ends, bytes_at(e->key, sizeof e->key));
    buf_free(&e->in);
    e->in_at = 0;
    e->ready = 0;
    if (!far_end(e)->attached && !wire->queued) wire_free(wire);
}

static struct wire_end *find(const struct sim_node *n, uint32_t id) {
    uint8_t key[4];
    put_u32(key, id);
    return map_find(&n->ends, bytes_at(key, sizeof key));
}

/* ---- bytes */

static size_t left_in(const struct wire_end *e) {
    return e->in.n - e->in_at;
}

/* What is gone moves out of the way now and then: a part of a full window is not moved for each reading. */
static void drop_in(struct wire_end *e, size_t n) {
    e->in_at += n;
    if (2 * e->in_at < e->in.n) return;
    buf_drop(&e->in, e->in_at);
    e->in_at = 0;
}

/* Sends n bytes to the other end; they may come in several parts. */
static void send_bytes(struct wire_end *e, struct bytes data) {
    struct world *w = e->wire->world;
    struct wire_end *to = far_end(e);
    if (e->wire->silent) { /* the system takes it, and sends it again and again, until it gives up */
        if (e->lost == 0) later(e, SIM_RESET, w->now_us + GIVE_UP_US, 0);
        e->lost += data.n;
        return;
    }
    if (e->wire->open && !to->attached) { /* nobody takes it; a system that is there says so */
        later(to, SIM_ARRIVE, w->now_us + world_delay(w), 0);
        return;
    }
    if (!buf_add(&to->in, data)) abort();
    while (data.n > 0) {
        size_t n = w->net.odd_reads && data.n > 1 ? 1 + (size_t)rng_below(&w->rng, data.n) : data.n;
        if (w->net.bytes_per_s > 0) n = MIN(n, MAX((size_t)w->net.bytes_per_s / 20, (size_t)SEGMENT));
        int64_t at = MAX(to->last_us, w->now_us + world_delay(w));
        if (w->net.bytes_per_s > 0) at += (int64_t)(n * 1000000 / w->net.bytes_per_s);
        to->last_us = at;
        later(to, SIM_ARRIVE, at, n);
        bytes_take(&data, n);
    }
}

static size_t room_of(const struct wire_end *e) {
    const struct world *w = e->wire->world;
    size_t window = w->net.window == 0 ? WINDOW : w->net.window,
           on_way = e->wire->silent ? e->lost : left_in(far_end(e));
    /* No system opens its window for less: else the bytes come in crumbs. */
    return window - MIN(window, on_way) < MIN(window / 2, (size_t)SEGMENT) ? 0 : window - on_way;
}

static void write_out(struct sim_node *n, struct wire_end *e) {
    struct world *w = n->world;
    e->blocked = false;
    for (struct bytes tx; (tx = node_tx(n->node, e->id)).n > 0;) {
        size_t room = room_of(e);
        if (room == 0) {
            e->blocked = true;
            return;
        }
        size_t take = MIN(room, tx.n);
        if (w->net.odd_reads && take > 1 && rng_below(&w->rng, 4) == 0)
            take = 1 + (size_t)rng_below(&w->rng, take);
        send_bytes(e, bytes_at(tx.p, take));
        node_sent(n->node, e->id, take);
        if (find(n, e->id) != e) return;
    }
}

void wire_flush(struct sim_node *n) {
    for (uint32_t id; (id = node_writable(n->node)) != 0;) {
        struct wire_end *e = find(n, id);
        if (e != NULL && (e->wire->connected || e == &e->wire->ends[1])) write_out(n, e);
    }
}

/* Gives the node some of what has arrived. */
static void read_in(struct sim_node *n, struct wire_end *e) {
    struct world *w = n->world;
    if (!e->attached || e->ready == 0) return;
    struct buf *rx = node_rx(n->node, e->id);
    if (rx == NULL) {
        n->n_stalled += !e->stalled;
        e->stalled = true;
        return;
    }
    if (e->stalled) n->n_stalled--;
    e->stalled = false;
    size_t take = MIN(e->ready, MIN(buf_room(rx), (size_t)128 << 10));
    if (w->net.odd_reads && take > 1 && rng_below(&w->rng, 2) == 0)
        take = 1 + (size_t)rng_below(&w->rng, take);
    if (take == 0) {
        world_break(w, "node %zu: the read buffer of connection %u is full", n->index, e->id);
        return;
    }
    struct bytes data = bytes_at(e->in.p + e->in_at, take);
    world_trace(w, bytes_at(data.p, MIN(take, (size_t)64)));
    if (!buf_add(rx, data)) abort();
    drop_in(e, take);
    e->ready -= take;
    struct wire_end *far = far_end(e);
    if (far->attached && far->blocked && room_of(far) > 0) {
        far->blocked = false;
        soon(far, SIM_WRITE);
    }
    uint32_t id = e->id;
    world_poor(w, true);
    node_received(n->node, id);
    world_poor(w, false);
    if (find(n, id) != e) return;
    if (e->ready > 0)
        later(e, SIM_READ, w->now_us + 1 + (w->net.odd_reads ? (int64_t)rng_below(&w->rng, 300) : 0), 0);
    else if (e->finished && left_in(e) == 0)
        later(e, SIM_FIN, w->now_us + 1, 0);
}

void wire_resume(struct sim_node *n) {
    size_t i = 0;
    if (n->n_stalled == 0) return;
    for (struct wire_end *e; (e = map_next(&n->ends, &i)) != NULL;)
        if (e->stalled && node_reading(n->node, e->id)) {
            n->n_stalled--;
            e->stalled = false;
            later(e, SIM_READ, n->world->now_us + 1, 0);
        }
}

/* ---- dials */

static bool is_of(const struct endpoint *at, size_t *node) {
    const uint8_t *p = at->ip.p;
    if (at->ip.version == 4) {
        *node = (size_t)p[2] * 256 + p[3];
        if (p[0] != 10 || p[1] >= 100) return false;
    } else {
        *node = (size_t)p[14] * 256 + p[15];
        if (p[0] != 0xfd || p[13] >= SIM_NOWHERE) return false;
    }
    if (*node == 0 || at->port != SIM_PORT) return false;
    --*node;
    return true;
}

static void dial(struct sim_node *n, const struct node_effect *e) {
    struct world *w = n->world;
    size_t to = 0;
    int64_t delay = world_delay(w);
    enum sim_route route = ROUTE_NORMAL;
    struct wire *wire = wire_new(w);
    wire->to = e->endpoint;
    wire->from = world_endpoint(n->index, 0);
    wire->from.port = (uint16_t)(FIRST_PORT + e->id % 20000);
    attach(&wire->ends[0], n->index, e->id);
    if (w->route != NULL)
        route = w->route(w, n->index, &e->endpoint, &to, &delay);
    else if (!is_of(&e->endpoint, &to) || to >= w->n_nodes)
        route = ROUTE_SILENT;
    wire->ends[1].node = to;
    if (route == ROUTE_REFUSED) later(&wire->ends[0], SIM_REFUSED, w->now_us + 2 * delay, 0);
    if (route == ROUTE_NORMAL) later(&wire->ends[1], SIM_SYN, w->now_us + delay, 0);
}

static void syn(struct world *w, struct wire *wire) {
    struct wire_end *from = &wire->ends[0];
    struct sim_node *n = w->nodes[wire->ends[1].node];
    if (!from->attached) return; /* it gave up */
    if (!n->powered || !world_reaches(w, from->node, n->index)) {
        later(&wire->ends[1], SIM_SYN, w->now_us + RETRY_US, 0);
        return;
    }
    if (!n->up || n->stopping || n->n_backlog == SIM_BACKLOG) {
        soon(from, SIM_REFUSED);
        return;
    }
    wire->queued = true;
    n->backlog[n->n_backlog++] = wire;
    from->last_us = w->now_us + world_delay(w); /* before any byte */
    later(from, SIM_CONNECTED, from->last_us, 0);
    world_turn(w, n);
}

static void accept_one(struct sim_node *n, struct wire *wire) {
    struct wire_end *e = &wire->ends[1];
    wire->queued = false;
    wire->open = true;
    uint32_t id = node_accepted(n->node, &wire->from, &wire->to);
    if (id != 0) attach(e, n->index, id);
    if (wire->ends[0].attached) {
        if (id == 0) soon(&wire->ends[0], SIM_RESET);
    } else if (id == 0) {
        wire_free(wire);
    } else {
        later(e, SIM_RESET, n->world->now_us + 1, 0);
    }
}

void wire_accept(struct sim_node *n) {
    size_t done = 0;
    while (done < n->n_backlog && done < ACCEPTS && node_accepting(n->node))
        accept_one(n, n->backlog[done++]);
    n->n_backlog -= done;
    memmove(n->backlog, n->backlog + done, n->n_backlog * sizeof n->backlog[0]);
}

/* ---- effects, events */

static void close_end(struct sim_node *n, struct wire_end *e) {
    struct wire_end *far = far_end(e);
    e->closed = true;
    if ((e->wire->connected || e == &e->wire->ends[1]) && !e->wire->silent &&
        (far->attached || e->wire->queued)) {
        send_bytes(e, node_tx(n->node, e->id)); /* the system sends what is left */
        if (far->attached)
            later(far, SIM_FIN, MAX(far->last_us, n->world->now_us + world_delay(n->world)), 0);
    }
    detach(e);
}

void wire_effect(struct sim_node *n, const struct node_effect *e) {
    struct world *w = n->world;
    struct wire_end *end = find(n, e->id);
    if (e->kind == EFFECT_DIAL) dial(n, e);
    if (e->kind == EFFECT_CLOSE && end != NULL) close_end(n, end);
    if (e->kind != EFFECT_RESOLVE) return;
    struct node_resolved r = {.n_ips = 0};
    bool there = w->resolve != NULL && w->resolve(w, e, &r);
    struct why why = {E_NOT_FOUND, "no such name"};
    node_resolve_done(n->node, e->id, &r, there ? NULL : &why);
}

static void connected(struct sim_node *n, struct wire *wire, bool refused) {
    struct why why = {E_REFUSED, "connection refused"};
    struct endpoint local = wire->from;
    wire->connected = !refused;
    node_dialed(n->node, wire->ends[0].id, &local, refused ? &why : NULL);
}

static void arrive(struct world *w, struct wire_end *e, const struct sim_event *ev) {
    struct wire *wire = e->wire;
    struct wire_end *far = far_end(e);
    struct sim_node *n = w->nodes[e->node];
    if (wire->silent) return;
    bool waits = wire->queued || !wire->open || (ev->side == 0 && !wire->connected);
    if (waits || !n->powered || !world_reaches(w, e->node, far->node)) {
        struct sim_event again = *ev; /* sent again, until it comes through or the sender gives up */
        again.at = w->now_us + (waits ? 1000 : RETRY_US);
        if (waits ? far->attached || wire->queued : far->attached || e->attached) world_push(w, again);
        return;
    }
    if (!e->attached) { /* nobody there knows this connection (any more) */
        if (far->attached && ev->kind == SIM_ARRIVE && !e->closed) soon(far, SIM_RESET);
        return;
    }
    if (ev->kind == SIM_ARRIVE) e->ready += ev->n;
    if (ev->kind == SIM_FIN) e->finished = true;
    node_now(n->node, world_clocks(w, n));
    if (e->ready > 0) {
        if (ev->kind == SIM_ARRIVE) read_in(n, e);
    } else if (e->finished && left_in(e) == 0) {
        node_hangup(n->node, e->id, E_CLOSED, "the peer closed the connection");
    }
    world_turn(w, n);
}

void wire_event(struct world *w, const struct sim_event *ev) {
    struct wire *wire = ev->slot < w->n_wires ? w->wires[ev->slot] : NULL;
    if (wire == NULL || wire->gen != ev->gen) return;
    struct wire_end *e = &wire->ends[ev->side], *far = far_end(e);
    struct sim_node *n = w->nodes[e->node];
    if (ev->kind == SIM_SYN) {
        syn(w, wire);
        return;
    }
    if (ev->kind == SIM_ARRIVE || ev->kind == SIM_FIN) {
        arrive(w, e, ev);
        return;
    }
    if (!e->attached) return;
    if (!world_reaches(w, e->node, far->node) && ev->kind != SIM_READ) {
        struct sim_event again = *ev;
        again.at = w->now_us + RETRY_US;
        world_push(w, again);
        return;
    }
    node_now(n->node, world_clocks(w, n));
    switch ((int)ev->kind) {
    case SIM_CONNECTED:
    case SIM_REFUSED: connected(n, wire, ev->kind == SIM_REFUSED); break;
    case SIM_RESET: node_hangup(n->node, e->id, E_CLOSED, "the connection was reset"); break;
    case SIM_WRITE: write_out(n, e); break;
    case SIM_READ: read_in(n, e); break;
    default: break;
    }
    world_turn(w, n);
}

/* ---- faults */

void wire_crash(struct sim_node *n, bool say) {
    size_t i = 0;
    for (size_t k = 0; k < n->n_backlog; k++) {
        struct wire *wire = n->backlog[k];
        wire->queued = false;
        wire->open = true;
        if (!wire->ends[0].attached)
            wire_free(wire);
        else if (say)
            soon(&wire->ends[0], SIM_RESET);
    }
    n->n_backlog = 0;
    for (struct wire_end *e; (e = map_next(&n->ends, &i)) != NULL;) {
        if (say && far_end(e)->attached && e->wire->connected && !e->wire->silent)
            soon(far_end(e), SIM_RESET);
        detach(e);
    }
}

void wires_cut(struct world *w, size_t node, size_t other, bool silent) {
    for (size_t i = 0; i < w->n_wires; i++) {
        struct wire *wire = w->wires[i];
        if (wire == NULL || !wire->connected || wire->silent) continue;
        size_t a = wire->ends[0].node, b = wire->ends[1].node;
        if (!((a == node && b == other) || (a == other && b == node))) continue;
        wire->silent = silent;
        for (size_t k = 0; k < 2 && !silent; k++)
            if (wire->ends[k].attached) soon(&wire->ends[k], SIM_RESET);
    }
}
