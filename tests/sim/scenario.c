#include "tests/sim/scenario_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/file_queue.h"
#include "tests/sim/posix.h"

enum {
    NODES_MAX = 2000,
    HEALED_MS = 2 * 3600 * 1000, /* virtual time in which everything must have arrived */
    STEP_MS = 500,
    LOOK_MS = 20000, /* so often users look at what is offered */
    DEEP_EVERY = 64
};

size_t pick(struct scenario *s, size_t n) {
    return (size_t)rng_below(&s->rng, n);
}
bool chance(struct scenario *s, size_t percent) {
    return pick(s, 100) < percent;
}
size_t skewed(struct scenario *s, size_t n) {
    return pick(s, 1 + pick(s, n));
}

/* ---- what users ask */

bool is_running(const struct scenario *s, size_t node) {
    return s->w->nodes[node]->up && !s->w->nodes[node]->stopping;
}

bool ask_node(struct scenario *s, size_t node, enum client client, size_t id, const char *method,
              const char *params, ...) {
    struct buf line = {.max = 4 << 20};
    va_list ap, copy;
    if (!is_running(s, node)) return false;
    va_start(ap, params);
    va_copy(copy, ap);
    int n = vsnprintf(NULL, 0, params, copy);
    va_end(copy);
    buf_add_format(&line, "{\"id\":%zu,\"method\":\"%s\",\"params\":", id, method);
    char *text = content_must(malloc((size_t)n + 1));
    vsnprintf(text, (size_t)n + 1, params, ap);
    va_end(ap);
    buf_add_text(&line, text);
    buf_add_byte(&line, '}');
    free(text);
    world_tell(s->w, node, client, buf_view(&line));
    buf_free(&line);
    return true;
}

size_t index_behind(char letter, struct bytes text) {
    size_t colon = bytes_index(text, ':');
    uint64_t v;
    if (text.n < 2 || text.p[0] != (uint8_t)letter || colon >= text.n) return SIZE_MAX;
    return bytes_to_u64(bytes_sub(text, 1, colon - 1), SIZE_MAX, &v) ? (size_t)v : SIZE_MAX;
}

static void on_answer(struct world *w, size_t node, uint32_t client, struct bytes line) {
    struct scenario *s = w->user;
    struct json_doc *doc = json_parse(line, NULL);
    const struct json *answer = doc == NULL ? NULL : json_root(doc);
    int64_t id = json_get_int(answer, "id", -1);
    if (id < 0 || client < CLIENT_SEND || client > CLIENT_FILE_CANCEL)
        world_break(w, "node %zu answers nobody's question: %.*s", node, (int)MIN(line.n, (size_t)200),
                    (const char *)line.p);
    else if (json_get(answer, "event") == NULL && client >= CLIENT_FILE)
        sent_files_answered(s, node, (enum client)client, (size_t)id, answer);
    else if (json_get(answer, "event") == NULL)
        mail_answered(s, node, (enum client)client, (size_t)id, answer);
    json_free(doc);
}

static void on_end(struct world *w, size_t node) {
    struct scenario *s = w->user;
    mail_ended(s, node);
    sent_files_ended(s, node);
}

static void on_store(struct world *w, size_t node, struct store_op *op, bool done) {
    mail_store(w->user, node, op, done);
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
    size_t kind = pick(s, s->only_messages ? 12 : 13);
    int64_t back_us = (int64_t)skewed(s, chance(s, 80) ? 10000 : 90000) * 1000;
    (void)arg;
    if (s->healed && !s->only_messages) return; /* rounded to a moment too late */
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
    case 8: {
        int64_t jump = (int64_t)skewed(s, 200000) - 100000;
        if (!s->only_messages && chance(s, 20)) jump *= 400; /* half a day */
        n->wall_offset_ms += jump;
        s->went_back[node] |= jump < 0;
        return;
    }
    case 9:
        n->commit_us = (int64_t)skewed(s, 3000000);
        world_call(w, back_us, fast_again, s, node);
        return;
    case 10:
        n->disk.full_after = (int64_t)skewed(s, 200000);
        s->disk_failed[node] = true;
        world_call(w, back_us, fast_again, s, node);
        return;
    case 11:
        n->disk.bad_after = (int64_t)skewed(s, 10);
        s->disk_failed[node] = true;
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
        if (!s->only_messages && chance(s, 60))
            buf_add_format(&ini, "[files]\nfrom = %s\n", chance(s, 70) ? "any" : "none");
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
    mail_plan(s, messages);
    if (!s->only_messages) sent_files_plan(s);
    for (size_t i = 0; i < faults; i++) world_call(s->w, (int64_t)pick(s, (size_t)span), fault, s, 0);
    world_call(s->w, 3000000, revive, s, 0);
}

/* ---- the end */

static bool is_quiet(struct scenario *s) {
    struct world *w = s->w;
    for (size_t i = 0; i < s->n; i++)
        if (!w->nodes[i]->up || w->nodes[i]->disk.dead || node_outbox(w->nodes[i]->node) > 0 ||
            w->nodes[i]->waiting > 0 || w->nodes[i]->node->unended != NULL || w->nodes[i]->node->recount ||
            w->nodes[i]->node->files_out != NULL || w->nodes[i]->node->next_spool.us != 0 ||
            w->nodes[i]->node->next_queue.us != 0 || w->nodes[i]->node->half_copies != NULL)
            return false;
    return mail_is_quiet(s) && sent_files_is_quiet(s);
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
        n->disk.full_after = n->disk.bad_after = -1;
        if (!n->disk.dead) n->disk.cut_after = -1;
        if (!n->up) world_start(w, i);
    }
}

static void check_all(struct scenario *s) {
    struct world *w = s->w;
    sent_files_check(s);
    mail_check(s);
    sent_files_judge(s);
    for (size_t i = 0; i < s->n; i++) {
        struct why why;
        disk_select(&w->nodes[i]->disk);
        if (w->nodes[i]->up && (s->n < 100 || i % 20 == 0) &&
            db_check(w->nodes[i]->db, s->n > 20, &why) != OK)
            world_break(w, "node %zu: %s", i, why.text);
        if (w->nodes[i]->up) deep(w, w->nodes[i]);
    }
}

static void *table(size_t n, size_t size) {
    return content_must(calloc(n, size));
}

static size_t choose_nodes(struct scenario *s, struct scenario_size nodes) {
    if (nodes.most == 0) return 2 + skewed(s, 11);
    nodes.most = MIN(nodes.most, (size_t)NODES_MAX);
    return nodes.least < nodes.most ? nodes.least + skewed(s, nodes.most - nodes.least + 1) : nodes.most;
}

static void begin(struct scenario *s, uint64_t seed, struct scenario_size nodes) {
    struct sim_network net;
    s->rng = rng_seeded(seed * 2 + 1);
    s->open_before = posix_open_count();
    s->n = choose_nodes(s, nodes);
    make_network(s, &net);
    s->most = s->n > 100 ? s->n * 3 : 10 + skewed(s, 40 * s->n);
    s->w = world_new(seed, &net);
    s->w->simulated_files = !s->only_messages;
    if (!s->only_messages) s->most_files = s->n > 100 ? s->n / 4 : skewed(s, 4 * s->n);
    s->sent = table(s->most, sizeof *s->sent);
    s->files = table(s->most_files + 1, sizeof *s->files);
    s->followers = table(s->n, sizeof *s->followers);
    s->near = table(s->n, sizeof *s->near);
    s->denies = table(s->n, sizeof *s->denies);
    s->went_back = table(s->n, sizeof *s->went_back);
    s->disk_failed = table(s->n, sizeof *s->disk_failed);
    s->wall_max = table(s->n, sizeof *s->wall_max);
    s->last_row = table(s->n, sizeof *s->last_row);
    map_init(&s->ids, 100 * s->most, 3, 4);
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
    for (size_t i = 0; i < s->n_files; i++)
        printf("file %zu from n%zu to n%zu: %zu bytes, id %s, asked %d, out %s %s, in %s, found %zu\n", i,
               s->files[i].from, s->files[i].to, s->files[i].size, s->files[i].id, s->files[i].state,
               s->files[i].state_out, s->files[i].error_out, s->files[i].state_in, s->files[i].found);
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
                   x->ends[k].attached, x->ends[k].in.n - x->ends[k].in_at, x->ends[k].ready);
        printf("\n");
    }
    for (size_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = w->nodes[i];
        printf("n%zu up %d powered %d stopping %d waiting %zu storing %d timer %lld event %lld turns %llu "
               "backlog %zu\n",
               i, n->up, n->powered, n->stopping, n->waiting, n->storing, (long long)n->timer.us,
               (long long)n->timer_at, (unsigned long long)n->turns, n->n_backlog);
        if (!n->up) continue;
        printf("  outbox %llu spool %lld queue %lld half copies %d\n",
               (unsigned long long)node_outbox(n->node), (long long)n->node->next_spool.us,
               (long long)n->node->next_queue.us, n->node->half_copies != NULL);
        for (const struct unended *u = n->node->unended; u != NULL; u = u->next)
            printf("  end of %lld is not written, waits %d\n", (long long)u->seq, u->op != NULL);
        for (const struct file_out *f = n->node->files_out; f != NULL; f = f->next)
            printf("  file to %.12s seq %lld size %llu done %llu stream %d waits %d over %d tries %u retry "
                   "%lld\n",
                   f->peer->text, (long long)f->seq, (unsigned long long)f->size, (unsigned long long)f->done,
                   f->stream != NULL, f->waits, f->over, f->tries, (long long)f->retry_at.us);
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
                                    .files = s->n_files,
                                    .crashes = s->crashes};
    for (size_t i = 0; i < s->n_sent; i++) {
        out->delivered += s->sent[i].found > 0;
        out->failed += s->sent[i].failed;
    }
    for (size_t i = 0; i < s->n_files; i++) {
        out->files_delivered += s->files[i].found > 0;
        out->files_failed += strcmp(s->files[i].state_out, "failed") == 0;
    }
    snprintf(out->broken, sizeof out->broken, "%s", w->broken);
    for (size_t i = 0; i < s->n; i++) free(s->near[i].of);
    map_free(&s->ids);
    size_t left = world_free(w);
    if (left != 0 && out->broken[0] == 0)
        snprintf(out->broken, sizeof out->broken, "%zu blocks of memory are left", left);
    size_t open = posix_open_count();
    if (open > s->open_before && out->broken[0] == 0)
        snprintf(out->broken, sizeof out->broken, "%zu descriptors are left", open - s->open_before);
    mail_free(s);
    free(s->files);
    free(s->near);
    free(s->denies);
    free(s->went_back);
    free(s->disk_failed);
    free(s->wall_max);
    free(s->last_row);
}

void scenario_run(uint64_t seed, struct scenario_size nodes, bool only_messages, bool verbose,
                  struct scenario_result *out) {
    struct scenario s = {.only_messages = only_messages};
    begin(&s, seed, nodes);
    struct world *w = s.w;
    w->verbose = verbose;
    if (chance(&s, 15)) w->poor = 1 + (unsigned)skewed(&s, 100);
    s.was_poor = w->poor > 0;
    s.end_us = w->now_us + 10000000 + (int64_t)skewed(&s, 120000) * 1000;
    make_nodes(&s);
    plan_all(&s, s.most, chance(&s, 10) ? 0 : skewed(&s, 4 + 3 * s.n));
    world_run(w, (s.end_us - w->now_us + w->net.grain_us) / 1000 + 1); /* all that was planned, rounded too */
    heal_all(&s);
    s.healed = true;
    for (int64_t waited = 0; w->broken[0] == 0 && waited < HEALED_MS && !is_quiet(&s); waited += STEP_MS) {
        if (waited % LOOK_MS == 0) sent_files_heal(&s);
        world_run(w, STEP_MS);
        for (size_t i = 0; i < s.n; i++) /* what failed within its last commit */
            if (!w->nodes[i]->up) world_start(w, i);
    }
    if (w->broken[0] == 0 && !is_quiet(&s)) world_break(w, "a node's outbox is never empty");
    s.over = true;
    if (w->broken[0] == 0) check_all(&s);
    if (verbose) dump(&s);
    finish(&s, out);
}
