#include "tests/sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    NODES_MAX = 2000,
    HEALED_MS = 2 * 3600 * 1000, /* virtual time in which everything must have arrived */
    STEP_MS = 500,
    DEEP_EVERY = 64
};

struct sent {
    uint8_t id[MESSAGE_ID];
    struct map *by_id; /* once its id is known */
    size_t from, to, size;
    enum { ASKED, TAKEN, REFUSED, UNKNOWN } state; /* UNKNOWN: the sender died before it answered */
    int64_t expires_ms;
    bool done;    /* the sender let go of it as delivered */
    bool refused; /* the receiver said so, finally */
    size_t found; /* times in the receiver's inbox */
    bool queued, failed;
    char error[64];
};
struct scenario {
    struct world *w;
    struct rng rng;
    size_t n;
    struct sent *sent;
    size_t n_sent, most;
    struct map ids;
    struct neighbours {
        size_t *of;
        size_t n;
    } * near;
    bool *denies; /* by node: takes messages of known peers only */
    int64_t *wall_max;
    int64_t end_us; /* of the faults */
    bool private_network;
    int64_t *last_row; /* while an inbox is walked: by sender */
    size_t walked, crashes;
    bool was_poor;
};

static size_t pick(struct scenario *s, size_t n) {
    return (size_t)rng_below(&s->rng, n);
}
static bool chance(struct scenario *s, size_t percent) {
    return pick(s, 100) < percent;
}
/* Small numbers more often than large ones. */
static size_t skewed(struct scenario *s, size_t n) {
    return pick(s, 1 + pick(s, n));
}

/* ---- what users do */

static uint8_t filler(size_t message, size_t at) {
    return (uint8_t)('a' + (message * 7 + at) % 26);
}

static void make_body(size_t message, size_t size, struct buf *out) {
    buf_add_format(out, "m%zu:", message);
    while (out->n < size) buf_add_byte(out, filler(message, out->n));
}

static void send_one(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    size_t from = pick(s, s->n), size = chance(s, 90)   ? pick(s, 200)
                                        : chance(s, 90) ? pick(s, 20000)
                                                        : pick(s, 1000000);
    if (s->n > 100) size = MIN(size, (size_t)5000);
    (void)arg;
    if (!w->nodes[from]->up || w->nodes[from]->stopping || s->near[from].n == 0 || s->n_sent == s->most)
        return;
    size_t to = s->near[from].of[pick(s, s->near[from].n)], index = s->n_sent++;
    struct sent *m = &s->sent[index];
    int64_t life = chance(s, 85) ? 7LL * 24 * 3600 * 1000 : 1000 + (int64_t)pick(s, 60000);
    struct buf line = {.max = 4 << 20}, body = {.max = 2 << 20};
    make_body(index, size, &body);
    *m = (struct sent){.from = from, .to = to, .size = body.n};
    m->expires_ms = world_clocks(w, w->nodes[from]).wall.ms + life;
    buf_add_format(
        &line, "{\"id\":%zu,\"method\":\"send\",\"params\":{\"peer\":\"%s\",\"expires_ms\":%lld,\"body\":\"",
        index, chance(s, 50) ? world_address(w, to) : w->nodes[to]->id, (long long)life);
    buf_add(&line, buf_view(&body));
    buf_add_text(&line, chance(s, 10) ? "\",\"wait\":true}}" : "\"}}");
    world_tell(w, from, 1, buf_view(&line));
    buf_free(&line);
    buf_free(&body);
}

static void on_answer(struct world *w, size_t node, uint32_t client, struct bytes line) {
    struct scenario *s = w->user;
    struct json_doc *doc = json_parse(line, NULL);
    int64_t index = doc == NULL ? -1 : json_get_int(json_root(doc), "id", -1);
    (void)client;
    if (index >= 0 && (size_t)index < s->n_sent && s->sent[index].from == node) {
        struct sent *m = &s->sent[index];
        if (m->state != ASKED) world_break(w, "message %lld is answered twice", (long long)index);
        m->state = json_get(json_root(doc), "error") == NULL ? TAKEN
                   : s->was_poor                             ? UNKNOWN /* there was no memory to say so */
                                                             : REFUSED;
    } else {
        world_break(w, "node %zu answers nobody's question: %.*s", node, (int)MIN(line.n, (size_t)200),
                    (const char *)line.p);
    }
    json_free(doc);
}

/* `wait` answers come late: what is in the outbox meanwhile was not promised yet. */
static void on_end(struct world *w, size_t node) {
    struct scenario *s = w->user;
    for (size_t i = 0; i < s->n_sent; i++)
        if (s->sent[i].from == node && s->sent[i].state == ASKED) s->sent[i].state = UNKNOWN;
}

static size_t index_of(struct bytes body) {
    size_t colon = bytes_index(body, ':');
    uint64_t v;
    if (body.n < 2 || body.p[0] != 'm' || colon >= body.n) return SIZE_MAX;
    return bytes_to_u64(bytes_sub(body, 1, colon - 1), SIZE_MAX, &v) ? (size_t)v : SIZE_MAX;
}

static void on_store(struct world *w, size_t node, struct store_op *op, bool done) {
    struct scenario *s = w->user;
    if (done) return;
    if (op->kind == STORE_OUTBOX_ADD) {
        struct bytes in = buf_view(&op->in), frame;
        struct message_frame f;
        bool whole = false;
        size_t need, index = SIZE_MAX;
        if (message_frame_next(&in, &frame, &whole, &need) == OK && whole &&
            message_frame_read(frame, &f, NULL) == OK)
            index = index_of(f.message.body);
        if (index >= s->n_sent || s->sent[index].by_id != NULL) {
            world_break(w, "node %zu stores a message that nobody sent", node);
            return;
        }
        struct sent *m = &s->sent[index];
        memcpy(m->id, op->id, MESSAGE_ID);
        m->by_id = &s->ids;
        if (map_add(&s->ids, bytes_at(m->id, MESSAGE_ID), m) != OK)
            world_break(w, "two messages have one id");
    }
    if (op->kind != STORE_OUTBOX_DONE && op->kind != STORE_OUTBOX_FAILED) return;
    struct sent *m = map_find(&s->ids, bytes_at(op->id, MESSAGE_ID));
    if (m == NULL || m->from != node)
        world_break(w, "node %zu ends a message that it did not send", node);
    else if (op->kind == STORE_OUTBOX_DONE)
        m->done = true;
    else
        m->refused = true;
}

/* ---- limits, after each turn */

static void deep(struct world *w, const struct sim_node *sn) {
    const struct node *n = sn->node;
    size_t open = 0, all = 0, lanes = 0, queued = 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next) {
        size_t streams = 0;
        all += c->state != CONN_DEAD;
        open += c->state == CONN_OPEN;
        if (c->tx.n - c->tx_at > CONN_TX_MAX || c->rx.n > CONN_RX_MAX + NOISE_FRAME_MAX)
            world_break(w, "node %zu: buffers of a connection", sn->index);
        for (const struct stream *st = c->streams; st != NULL; st = st->next) {
            streams += !st->dead;
            if (st->rx.n > STREAM_RX_MAX || st->tx.n > STREAM_TX_MAX)
                world_break(w, "node %zu: buffers of a stream", sn->index);
            if (!st->dead && st->connection != c)
                world_break(w, "node %zu: a stream of another connection", sn->index);
        }
        if (streams != c->n_streams)
            world_break(w, "node %zu: %zu streams counted as %zu", sn->index, streams, c->n_streams);
        if (c->mux.inbound > limit_max(&n->limits, LIMIT_STREAMS))
            world_break(w, "node %zu: inbound streams", sn->index);
    }
    if (all != n->n_connections)
        world_break(w, "node %zu: %zu connections counted as %zu", sn->index, all, n->n_connections);
    if (open > all) world_break(w, "node %zu: open", sn->index);
    for (const struct lane *l = n->lanes; l != NULL; l = l->next) {
        size_t loaded = 0, bytes = 0;
        lanes++;
        queued += l->queued;
        for (const struct outgoing *o = l->first; o != NULL; o = o->next) {
            loaded++;
            bytes += o->frame.n;
        }
        if (loaded != l->loaded || bytes != l->loaded_bytes)
            world_break(w, "node %zu: a lane's counts", sn->index);
        if (loaded > l->queued)
            world_break(w, "node %zu: a lane has %zu in memory of %llu", sn->index, loaded,
                        (unsigned long long)l->queued);
        if (loaded > 2 * limit_max(&n->limits, LIMIT_MESSAGES_IN_FLIGHT))
            world_break(w, "node %zu: messages in flight", sn->index);
    }
    if (queued != n->outbox_count)
        world_break(w, "node %zu: %zu queued, counted as %llu", sn->index, queued,
                    (unsigned long long)n->outbox_count);
}

static void on_turn(struct world *w, size_t node) {
    struct scenario *s = w->user;
    const struct sim_node *sn = w->nodes[node];
    const struct node *n = sn->node;
    s->wall_max[node] = MAX(s->wall_max[node], n->now.wall.ms);
    if (n->n_connections > limit_max(&n->limits, LIMIT_CONNECTIONS))
        world_break(w, "node %zu: %zu connections", node, n->n_connections);
    if (n->n_pending_in > limit_max(&n->limits, LIMIT_INBOUND_PENDING))
        world_break(w, "node %zu: %zu pending", node, n->n_pending_in);
    if (n->n_dialing > limit_max(&n->limits, LIMIT_DIALS))
        world_break(w, "node %zu: %zu dials", node, n->n_dialing);
    if (n->store_in_flight != sn->waiting)
        world_break(w, "node %zu: %zu operations, counted as %zu", node, sn->waiting, n->store_in_flight);
    if (n->effects_n != 0) world_break(w, "node %zu: effects are left", node);
    if (sn->turns % DEEP_EVERY == 0) deep(w, sn);
}

/* ---- what fails */

static void restart(struct world *w, void *user, uint64_t node) {
    (void)user;
    world_start(w, (size_t)node);
}
static void heal(struct world *w, void *user, uint64_t node) {
    (void)user;
    (void)node;
    w->split = false;
}
static void fast_again(struct world *w, void *user, uint64_t node) {
    (void)user;
    w->nodes[node]->commit_us = 0;
    w->nodes[node]->disk.full_after = -1;
}

static void fault(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    size_t node = pick(s, s->n),
           other = s->near[node].n == 0 ? node : s->near[node].of[pick(s, s->near[node].n)];
    struct sim_node *n = w->nodes[node];
    size_t kind = pick(s, 12);
    int64_t back_us = (int64_t)skewed(s, chance(s, 80) ? 10000 : 90000) * 1000;
    (void)arg;
    s->crashes += n->up && kind < 4;
    switch (kind) {
    case 0: world_kill(w, node); break;
    case 1: world_cut(w, node, DISK_LOSES_ALL); break;
    case 2: world_cut(w, node, DISK_LOSES_SECTORS); break;
    case 3:
        n->disk.cut_after = (int64_t)skewed(s, 40); /* within one of the next commits */
        return;
    case 4: world_stop(w, node); break;
    case 5: wires_cut(w, node, other, false); return;
    case 6: wires_cut(w, node, other, true); return;
    case 7:
        for (size_t i = 0; i < s->n; i++) w->group[i] = (uint8_t)(chance(s, 30) || i == node);
        w->split = true;
        world_call(w, back_us, heal, s, 0);
        return;
    case 8: n->wall_offset_ms += (int64_t)skewed(s, 200000) - 100000; return;
    case 9:
        n->commit_us = (int64_t)skewed(s, 3000000);
        world_call(w, back_us, fast_again, s, node);
        return;
    case 10:
        n->disk.full_after = (int64_t)skewed(s, 200000);
        world_call(w, back_us, fast_again, s, node);
        return;
    default:
        w->net.delay_us = 100 + (int64_t)skewed(s, 300000);
        w->net.jitter_us = (int64_t)skewed(s, 100000);
        return;
    }
    world_call(w, back_us, restart, s, node);
}

/* A node that lost its power by itself (in the middle of a commit) is started again too. */
static void revive(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    (void)arg;
    for (size_t i = 0; i < s->n; i++)
        if (!w->nodes[i]->up && !w->nodes[i]->powered)
            world_call(w, 100000 + (int64_t)pick(s, 5000000), restart, s, i);
    if (w->now_us < s->end_us) world_call(w, 3000000, revive, s, 0);
}

/* ---- the network */

static void add_near(struct neighbours *x, size_t node) {
    for (size_t i = 0; i < x->n; i++)
        if (x->of[i] == node) return;
    x->of = realloc(x->of, (x->n + 1) * sizeof *x->of);
    if (x->of == NULL) abort();
    x->of[x->n++] = node;
}

static void make_nodes(struct scenario *s) {
    struct world *w = s->w;
    bool fast = chance(s, 80), keys = chance(s, 15);
    for (size_t i = 0; i < s->n; i++) {
        struct buf ini = {.max = 1 << 16};
        s->denies[i] = chance(s, 20);
        buf_add_format(&ini, "[messages]\nfrom = %s\n", s->denies[i] ? "known" : "any");
        if (fast) buf_add_text(&ini, "retryMax = 20s\n");
        if (chance(s, 10)) buf_add_format(&ini, "ratePerPeer = %zu/s\n", 1 + pick(s, 5));
        buf_add_text(&ini, "[connection]\n");
        if (fast) buf_add_text(&ini, "redialMax = 20s\n");
        if (chance(s, 15)) buf_add_format(&ini, "idleTimeout = %zus\nminConnections = 0\n", 5 + pick(s, 20));
        if (chance(s, 10)) buf_add_format(&ini, "keepAlive = %zus\n", 5 + pick(s, 10));
        if (chance(s, 5))
            buf_add_text(&ini, "maxConnections = 6\nreservedForTrusted = 0\nminConnections = 0\n");
        if (chance(s, 10)) buf_add_text(&ini, "[limits]\nmessages_in_flight = 3\n");
        size_t boots = i == 0 ? 0 : 1 + skewed(s, MIN(i, (size_t)3));
        if (boots > 0) buf_add_text(&ini, "[discovery]\n");
        size_t me = world_add(w, "");
        for (size_t k = 0; k < boots; k++) {
            size_t to = s->n > 50 && chance(s, 90) ? i - 1 - pick(s, MIN(i, (size_t)40)) : pick(s, i);
            add_near(&s->near[i], to);
            add_near(&s->near[to], i);
            buf_add_format(&ini, "bootstrap = %s\n", world_address(w, to));
        }
        world_config(w, me, buf_cstr(&ini));
        w->nodes[me]->private_network = keys;
        memset(w->nodes[me]->swarm_key, 9, sizeof w->nodes[me]->swarm_key);
        buf_free(&ini);
    }
}

static void make_network(struct scenario *s, struct sim_network *net) {
    *net = (struct sim_network){.delay_us = 100 + (int64_t)skewed(s, chance(s, 20) ? 300000 : 20000)};
    if (chance(s, 60)) net->jitter_us = (int64_t)skewed(s, 30000);
    if (chance(s, 30)) net->bytes_per_s = 5000 + skewed(s, 1000000);
    if (chance(s, 50)) net->window = 1000 + skewed(s, 200000);
    net->odd_reads = chance(s, 50);
    net->grain_us = chance(s, 50) ? 1 : chance(s, 50) ? 1000 : 20000;
    net->commit_us = 1 + (int64_t)skewed(s, 20000);
}

static void plan_all(struct scenario *s, size_t messages, size_t faults) {
    int64_t span = s->end_us - s->w->now_us;
    for (size_t i = 0; i < s->n; i++)
        world_call(s->w, (int64_t)pick(s, chance(s, 80) ? 1000000 : (size_t)span), restart, s, i);
    for (size_t i = 0; i < messages;) {
        int64_t at = (int64_t)pick(s, (size_t)span);
        for (size_t burst = 1 + (chance(s, 20) ? skewed(s, 40) : 0); burst > 0 && i < messages; burst--, i++)
            world_call(s->w, at, send_one, s, 0);
    }
    for (size_t i = 0; i < faults; i++) world_call(s->w, (int64_t)pick(s, (size_t)span), fault, s, 0);
    world_call(s->w, 3000000, revive, s, 0);
}

/* ---- the end */

static bool is_quiet(struct scenario *s) {
    struct world *w = s->w;
    for (size_t i = 0; i < s->n; i++)
        if (!w->nodes[i]->up || node_outbox(w->nodes[i]->node) > 0 || w->nodes[i]->waiting > 0 ||
            w->nodes[i]->node->unended != NULL)
            return false;
    for (size_t i = 0; i < s->n_sent; i++)
        if (s->sent[i].state == ASKED) return false;
    return true;
}

static void heal_all(struct scenario *s) {
    struct world *w = s->w;
    w->split = false;
    w->poor = 0;
    w->net.delay_us = MIN(w->net.delay_us, (int64_t)100000);
    w->net.bytes_per_s = w->net.bytes_per_s == 0 ? 0 : MAX(w->net.bytes_per_s, (uint64_t)100000);
    for (size_t i = 0; i < s->n; i++) {
        struct sim_node *n = w->nodes[i];
        n->commit_us = 0;
        n->disk.full_after = -1;
        if (!n->disk.dead) n->disk.cut_after = -1;
        if (!n->up) world_start(w, i);
    }
}

static void walk_inbox(void *user, const struct sim_row *row) {
    struct scenario *s = user;
    struct world *w = s->w;
    size_t index = index_of(row->body);
    struct sent *m = index < s->n_sent ? &s->sent[index] : NULL;
    if (m == NULL || m->to != s->walked || strcmp(row->peer, w->nodes[m->from]->id) != 0) {
        world_break(w, "node %zu has a message that is not its own", s->walked);
        return;
    }
    bool whole = row->body.n == m->size;
    for (size_t i = bytes_index(row->body, ':') + 1; whole && i < row->body.n; i++)
        whole = row->body.p[i] == filler(index, i);
    if (!whole) world_break(w, "message %zu is not whole", index);
    if (++m->found > 1)
        world_break(w, "message %zu from node %zu is twice in the inbox of node %zu", index, m->from, m->to);
    /* What expired on its way, as its sender was told, may come late (SEED=33031 NODES=30); so may what was
     * refused, when that could not be written down before a crash (SEED=41536 NODES=5). */
    if (m->failed || m->refused) return;
    if (s->last_row[m->from] > (int64_t)index)
        world_break(w, "message %zu from node %zu came to node %zu after message %lld", index, m->from, m->to,
                    (long long)s->last_row[m->from]);
    s->last_row[m->from] = (int64_t)index;
}

static void walk_outbox(void *user, const struct sim_row *row) {
    struct scenario *s = user;
    struct world *w = s->w;
    size_t index = index_of(row->body);
    struct sent *m = index < s->n_sent ? &s->sent[index] : NULL;
    if (m == NULL || m->from != s->walked || m->queued || m->failed) {
        world_break(w, "node %zu has a strange message in its outbox", s->walked);
        return;
    }
    m->queued = !row->failed;
    m->failed = row->failed;
    snprintf(m->error, sizeof m->error, "%s", row->error);
}

static void judge(struct scenario *s, size_t i) {
    struct world *w = s->w;
    const struct sent *m = &s->sent[i];
    bool there = m->found > 0;
    if (m->queued)
        world_break(w, "message %zu from node %zu to node %zu is queued for ever", i, m->from, m->to);
    if (m->done && !there)
        world_break(w, "message %zu was reported as delivered to node %zu, which does not have it", i, m->to);
    if (m->state == TAKEN && !there && !m->failed)
        world_break(w, "message %zu from node %zu to node %zu is lost", i, m->from, m->to);
    if (m->state == REFUSED && (there || (m->failed && m->by_id == NULL)))
        world_break(w, "message %zu was refused, and is there", i);
    if (!m->failed) return;
    if (strcmp(m->error, "expired") == 0) {
        if (m->expires_ms > s->wall_max[m->from]) world_break(w, "message %zu expired too early", i);
    } else if (strcmp(m->error, "DENIED") == 0) {
        if (!s->denies[m->to]) world_break(w, "message %zu was denied", i);
        if (there) world_break(w, "message %zu was denied, and is there", i);
    } else {
        world_break(w, "message %zu failed: %s", i, m->error);
    }
}

static void check_all(struct scenario *s) {
    struct world *w = s->w;
    for (size_t i = 0; i < s->n; i++) {
        s->walked = i;
        world_rows(w, i, false, walk_outbox, s);
    }
    for (size_t i = 0; i < s->n; i++) {
        struct why why;
        s->walked = i;
        for (size_t k = 0; k < s->n; k++) s->last_row[k] = -1;
        world_rows(w, i, true, walk_inbox, s);
        disk_select(&w->nodes[i]->disk);
        if (w->nodes[i]->up && (s->n < 100 || i % 20 == 0) &&
            db_check(w->nodes[i]->db, s->n > 20, &why) != OK)
            world_break(w, "node %zu: %s", i, why.text);
        if (w->nodes[i]->up) deep(w, w->nodes[i]);
    }
    for (size_t i = 0; i < s->n_sent; i++) judge(s, i);
}

static void begin(struct scenario *s, uint64_t seed, size_t nodes) {
    struct sim_network net;
    s->rng = rng_seeded(seed * 2 + 1);
    s->n = nodes > 0 ? MIN(nodes, (size_t)NODES_MAX) : 2 + skewed(s, 11);
    make_network(s, &net);
    s->most = s->n > 100 ? s->n * 3 : 10 + skewed(s, 40 * s->n);
    s->w = world_new(seed, &net);
    s->sent = calloc(s->most, sizeof *s->sent);
    s->near = calloc(s->n, sizeof *s->near);
    s->denies = calloc(s->n, sizeof *s->denies);
    s->wall_max = calloc(s->n, sizeof *s->wall_max);
    s->last_row = calloc(s->n, sizeof *s->last_row);
    map_init(&s->ids, s->most + 1, 3, 4);
    if (s->sent == NULL || s->near == NULL || s->denies == NULL || s->wall_max == NULL || s->last_row == NULL)
        abort();
    s->w->user = s;
    s->w->on_answer = on_answer;
    s->w->on_store = on_store;
    s->w->on_end = on_end;
    s->w->on_turn = on_turn;
}

/* What stands at the end, for whoever looks for the cause. */
static void dump(struct scenario *s) {
    struct world *w = s->w;
    for (size_t i = 0; i < s->n_sent; i++)
        if (s->sent[i].state == ASKED) printf("message %zu was not answered\n", i);
    size_t kinds[SIM_CALL + 1] = {0};
    for (size_t i = 0; i < w->n_heap; i++) kinds[w->heap[i].kind]++;
    for (size_t i = 0; i < LEN(kinds); i++) printf("events of kind %zu: %zu\n", i, kinds[i]);
    for (size_t i = 0; i < w->n_wires; i++) {
        const struct wire *x = w->wires[i];
        if (x == NULL) continue;
        printf("wire %zu: connected %d open %d queued %d silent %d;", i, x->connected, x->open, x->queued,
               x->silent);
        for (size_t k = 0; k < 2; k++)
            printf(" n%zu %u attached %d in %zu ready %zu;", x->ends[k].node, x->ends[k].id,
                   x->ends[k].attached, x->ends[k].in.n, x->ends[k].ready);
        printf("\n");
    }
    for (size_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = w->nodes[i];
        printf("n%zu up %d powered %d stopping %d waiting %zu storing %d timer %lld event %lld turns %llu "
               "backlog %zu\n",
               i, n->up, n->powered, n->stopping, n->waiting, n->storing, (long long)n->timer.us,
               (long long)n->timer_at, (unsigned long long)n->turns, n->n_backlog);
        if (!n->up) continue;
        for (const struct unended *u = n->node->unended; u != NULL; u = u->next)
            printf("  end of %lld is not written, waits %d\n", (long long)u->seq, u->op != NULL);
        printf("  loaded %d connections %zu pending %zu dialing %zu dials %d lanes %d\n", n->node->loaded,
               n->node->n_connections, n->node->n_pending_in, n->node->n_dialing, n->node->dials != NULL,
               n->node->lanes != NULL);
        for (const struct lane *l = n->node->lanes; l != NULL; l = l->next)
            printf("  lane to %.12s queued %llu loaded %zu loading %d complete %d stream %d retry %lld dial "
                   "%d fails %u next %lld "
                   "conns %zu: %s\n",
                   l->peer->text, (unsigned long long)l->queued, l->loaded, l->loading, l->complete,
                   l->stream != NULL, (long long)l->retry_at.us, l->peer->dial != NULL, l->peer->dial_fails,
                   (long long)l->peer->next_dial.us, l->peer->n_connections, l->last_error);
        for (const struct connection *c = n->node->connections; c != NULL; c = c->next)
            printf("  connection %u state %d in %d peer %.12s streams %zu identified %d opened %lld\n", c->id,
                   c->state, c->inbound, c->peer == NULL ? "" : c->peer->text, c->n_streams, c->identified,
                   (long long)c->opened.us);
    }
}

static void finish(struct scenario *s, struct scenario_result *out) {
    struct world *w = s->w;
    *out = (struct scenario_result){.trace = w->trace,
                                    .events = w->events,
                                    .virtual_ms = w->now_us / 1000,
                                    .nodes = s->n,
                                    .messages = s->n_sent,
                                    .crashes = s->crashes};
    for (size_t i = 0; i < s->n_sent; i++) {
        out->delivered += s->sent[i].found > 0;
        out->failed += s->sent[i].failed;
    }
    snprintf(out->broken, sizeof out->broken, "%s", w->broken);
    for (size_t i = 0; i < s->n; i++) free(s->near[i].of);
    map_free(&s->ids);
    size_t left = world_free(w);
    if (left != 0 && out->broken[0] == 0)
        snprintf(out->broken, sizeof out->broken, "%zu blocks of memory are left", left);
    free(s->sent);
    free(s->near);
    free(s->denies);
    free(s->wall_max);
    free(s->last_row);
}

void scenario_run(uint64_t seed, size_t nodes, bool verbose, struct scenario_result *out) {
    struct scenario s = {.n = 0};
    begin(&s, seed, nodes);
    struct world *w = s.w;
    w->verbose = verbose;
    if (chance(&s, 15)) w->poor = 1 + (unsigned)skewed(&s, 100);
    s.was_poor = w->poor > 0;
    s.end_us = w->now_us + 10000000 + (int64_t)skewed(&s, 120000) * 1000;
    make_nodes(&s);
    plan_all(&s, s.most, chance(&s, 10) ? 0 : skewed(&s, 4 + 3 * s.n));
    world_run(w, (s.end_us - w->now_us) / 1000);
    heal_all(&s);
    for (int64_t waited = 0; w->broken[0] == 0 && waited < HEALED_MS && !is_quiet(&s); waited += STEP_MS) {
        world_run(w, STEP_MS);
        for (size_t i = 0; i < s.n; i++) /* what failed within its last commit */
            if (!w->nodes[i]->up) world_start(w, i);
    }
    if (w->broken[0] == 0 && !is_quiet(&s)) world_break(w, "a node's outbox is never empty");
    if (w->broken[0] == 0) check_all(&s);
    if (verbose) dump(&s);
    finish(&s, out);
}
