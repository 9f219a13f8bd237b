#include "base/json.h"
#include "node/control.h"
#include "node/http.h"

#include <stdio.h>

enum {
    UPKEEP_MS = 60000,
    UPKEEP_MORE_MS = 50,
    PEERS_FLUSH_MS = 5000,
    LOAD_AGAIN_MS = 5000,
    STOP_MS = 5000,
    SPACE_MS = 10000
};

/* ---- limits that the configuration sets */

static void apply_limits(struct node *n) {
    for (size_t i = 0; i < LIMIT_COUNT; i++) n->limits.of[i].max = n->config->limits[i];
    n->peers.max = limit_max(&n->limits, LIMIT_PEERS);
    throttle_reconfigure(n);
}

static bool init_maps(struct node *n) {
    uint64_t seeds[6];
    for (size_t i = 0; i < LEN(seeds); i++) seeds[i] = rng_u64(&n->rng);
    map_init(&n->peers, limit_max(&n->limits, LIMIT_PEERS), seeds[0], seeds[1]);
    map_init(&n->conn_by_id, 20000, seeds[2], seeds[3]);
    map_init(&n->address_groups, 16384, seeds[4], seeds[5]);
    map_init(&n->request_by_tag, 2 * CONTROL_REQUESTS_MAX, seeds[2], seeds[3]); /* its keys are our own */
    return true;
}

static void load_peers(struct node *n, int64_t after) {
    struct store_op *op = store_op_new(STORE_PEERS_LOAD);
    n->load_after = after;
    n->next_load = op == NULL ? mono_add_ms(n->now.mono, LOAD_AGAIN_MS) : MONO_NEVER;
    if (op == NULL) return;
    op->seq = after;
    node_give(n, op);
}

struct node *node_new(const struct node_setup *setup) {
    struct node *n = NEW(struct node);
    if (n == NULL) {
        config_free(setup->config);
        return NULL;
    }
    n->self = setup->self;
    n->config = setup->config;
    n->log = setup->log;
    if (n->log != NULL) n->log->tap_of = LOG_TAP_RARE;
    n->rng = setup->rng;
    n->now = setup->now;
    n->started = setup->now.mono;
    n->started_wall = setup->now.wall;
    n->version = setup->version;
    n->home = setup->home;
    n->page = setup->page;
    n->pid = setup->pid;
    n->source_id = setup->source_id;
    n->resources = node_resources_unknown;
    n->stored = (struct stored){{0}, -1, -1, -1, -1, -1, -1, -1, -1};
    for (size_t i = 0; i < SPACE_USES; i++) {
        n->folders[i] = setup->folders[i];
        if (n->folders[i] != NULL) n->next_space = n->now.mono;
    }
    n->private_network = setup->swarm_key != NULL;
    if (setup->swarm_key != NULL) memcpy(n->swarm_key, setup->swarm_key, sizeof n->swarm_key);
    peer_id_text(&n->self->peer, n->self_text);
    limits_init(&n->limits);
    apply_limits(n);
    init_maps(n);
    noise_static_make(&n->noise_static, n->self, &n->rng);
    n->next_serial = rng_u64(&n->rng) >> 2;
    node_make_record(n);
    peers_reconfigured(n);
    load_peers(n, 0);
    messenger_start(n);
    file_queue_start(n, 0);
    figures_start(n);
    health_start(n);
    alerts_start(n);
    n->request_fd = -1;
    n->next_upkeep = mono_add_ms(n->now.mono, PEERS_FLUSH_MS);
    n->next_maintain = mono_add_ms(n->now.mono, 2000);
    return n;
}

void node_free(struct node *n) {
    if (n == NULL) return;
    n->stopping = true;
    for (struct dial *d = n->dials; d != NULL; d = d->next)
        d->dead = true; /* else they try the next address */
    for (struct connection *c = n->connections; c != NULL; c = c->next)
        connection_close(c, E_CLOSED, "the node ends");
    for (struct connection *c = n->connections; c != NULL; c = c->next) c->queued_close = true;
    n->sweep = true;
    connection_sweep(n);
    swarm_sweep(n);
    http_free(n);
    control_free(n);
    event_history_free(&n->history);
    messenger_free(n);
    alerts_free(n);
    file_queue_free(n);
    struct node_effect e;
    while (node_effect(n, &e))
        if (e.kind == EFFECT_STORE) store_op_free(e.op);
    store_op_list_free(n->refused);
    mem_free(n->effects);
    buf_free(&n->answer);
    size_t i = 0;
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) peer_free(p);
    map_free(&n->peers);
    map_free(&n->conn_by_id);
    access_free(n);
    buf_free(&n->record);
    buf_free(&n->announce);
    buf_free(&n->spare_rx);
    buf_free(&n->spare_stream);
    buf_free(&n->spare_out);
    buf_free(&n->spare_tx);
    buf_free(&n->restart_pending);
    config_free(n->config);
    mem_wipe(n->swarm_key, sizeof n->swarm_key);
    noise_static_wipe(&n->noise_static);
    rng_wipe(&n->rng);
    mem_free(n);
}

void node_now(struct node *n, struct clocks now) {
    n->now = now;
}

/* ---- effects: a ring that grows; every effect costs its cause a limited thing already */

/* Room for twice as many. */
static void more_effects(struct node *n) {
    size_t cap = n->effects_cap == 0 ? 64 : n->effects_cap * 2;
    struct node_effect *more = NEW_ARRAY(struct node_effect, cap);
    if (more == NULL) return;
    for (size_t i = 0, at = n->effects_at; i < n->effects_n; i++, at++)
        more[i] = n->effects[at < n->effects_cap ? at : at - n->effects_cap];
    mem_free(n->effects);
    n->effects = more;
    n->effects_at = 0;
    n->effects_cap = cap;
}

void node_push(struct node *n, const struct node_effect *e) {
    if (n->effects_n >= n->effects_cap / 2)
        more_effects(n); /* long before it must: memory may be short now */
    if (n->effects_n == n->effects_cap) {
        struct buf lost = e->owned;
        buf_free(&lost);
        if (e->kind != EFFECT_STORE) return;
        e->op->err = fail(&e->op->why, E_MEMORY, "out of memory");
        e->op->next = n->refused; /* node_tick gives it back */
        n->refused = e->op;
        return;
    }
    n->effects[(n->effects_at + n->effects_n++) % n->effects_cap] = *e;
}

void node_answer(struct node *n, uint32_t client, struct buf *line) {
    node_answer_with(n, client, line, -1);
}

void node_answer_with(struct node *n, uint32_t client, struct buf *line, int fd) {
    if ((client & HTTP_CLIENT) != 0) {
        http_control_answer(n, client, buf_view(line));
        buf_free(line);
        client = 0;
        if (fd < 0) return;
    }
    struct node_effect e = {
        .kind = EFFECT_ANSWER, .id = client, .line = buf_view(line), .owned = *line, .fd = fd};
    *line = (struct buf){NULL, 0, 0, line->max};
    node_push(n, &e);
}

void node_give(struct node *n, struct store_op *op) {
    if (op == NULL) return;
    op->given = n->now.mono;
    if (n->store_in_flight == 0) n->health.store_moved = n->now.mono;
    if (op->now.ms == 0) op->now = n->now.wall;
    n->store_in_flight++;
    n->limits.of[LIMIT_STORE_QUEUE].used = n->store_in_flight;
    node_push(n, &(struct node_effect){.kind = EFFECT_STORE, .op = op});
}

bool node_effect(struct node *n, struct node_effect *out) {
    buf_free(&n->answer);
    if (n->effects_n == 0) return false;
    *out = n->effects[n->effects_at];
    n->effects_at = (n->effects_at + 1) % n->effects_cap;
    n->effects_n--;
    if (out->kind == EFFECT_ANSWER) n->answer = out->owned;
    if (out->kind == EFFECT_CLOSE) {
        struct connection *c = connection_find(n, out->id);
        if (c != NULL) c->queued_close = true;
        n->sweep = true;
    }
    return true;
}

/* ---- the store's answers */

static void loaded_peers(struct node *n, struct store_op *op) {
    if (op->err != OK) { /* until all are known, friends would be turned away as strangers */
        LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "load peers"), kv_str("reason", op->why.text));
        n->load_after = op->seq;
        n->next_load = mono_add_ms(n->now.mono, LOAD_AGAIN_MS);
        return;
    }
    peers_loaded(n, buf_view(&op->out));
    if (op->more) {
        load_peers(n, op->seq);
        return;
    }
    n->loaded = true;
    peers_flush(n, false);
    n->next_keep = n->now.mono;
}

static void maintained(struct node *n, struct store_op *op) {
    if (op->err != OK)
        LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "maintain"), kv_str("reason", op->why.text));
    n->next_maintain = mono_add_ms(n->now.mono, op->more ? UPKEEP_MORE_MS : UPKEEP_MS);
}

/* Numbers of the store that metrics and figures show. */
static void keep_totals(struct node *n, const struct store_op *op) {
    struct json_doc *doc = op->err == OK ? json_parse(buf_view(&op->out), NULL) : NULL;
    const struct json *t = doc == NULL ? NULL : json_root(doc);
    if (t == NULL) return;
    n->stored = (struct stored){.at = n->now.mono,
                                .inbox = json_get_int(t, "inbox", -1),
                                .unread = json_get_int(t, "inbox_unread", -1),
                                .failed = json_get_int(t, "outbox_failed", -1),
                                .database_bytes = json_get_int(t, "database_bytes", -1),
                                .files_in = json_get_int(t, "files_in", -1),
                                .files_out = json_get_int(t, "files_out", -1),
                                .files_offered = json_get_int(t, "files_offered", -1),
                                .files_bytes = json_get_int(t, "files_bytes", -1)};
    json_free(doc);
}

void node_operation(struct node *n, bool failed) {
    n->totals.operations++;
    n->totals.operations_failed += failed;
    recent_operation(&n->recent, n->now.mono, failed);
}

void node_count_http(struct node *n, const char *path, unsigned code) {
    /* The last one takes what has no place. */
    struct http_count *c = n->counts.http, *end = c + HTTP_COUNTS_MAX - 1;
    while (c < end && c->path != NULL && (c->code != code || strcmp(c->path, path) != 0)) c++;
    if (c->path == NULL) *c = (struct http_count){c == end ? "other" : path, c == end ? 0 : code, 0};
    c->n++;
}

void node_stored(struct node *n, struct store_op *op) {
    n->store_in_flight--;
    n->counts.db_errors += op->err == E_IO || op->err == E_MEMORY;
    if (op->commit_us > 0) histogram_add(&n->counts.commit, op->commit_us);
    if (op->kind == STORE_TOTALS) keep_totals(n, op);
    n->health.store_moved = n->now.mono;
    n->limits.of[LIMIT_STORE_QUEUE].used = n->store_in_flight;
    if (op->user != NULL) {
        control_stored(n, op); /* a request waits for it */
        return;
    }
    switch ((int)op->kind) {
    case STORE_PEERS_LOAD: loaded_peers(n, op); break;
    case STORE_MAINTAIN: maintained(n, op); break;
    case STORE_TOTALS: break;
    case STORE_FIGURES_ADD:
        if (op->err != OK)
            LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "figures"), kv_str("reason", op->why.text));
        break;
    case STORE_SPACE:
        if (op->err == OK) space_read(buf_view(&op->out), n->spaces);
        break;
    case STORE_META_GET:
        health_stored(n, op);
        alerts_stored(n, op);
        break;
    case STORE_PEER_PUT: {
        struct peer *p = op->err == OK ? NULL : peers_find(n, &op->peer);
        if (p != NULL) p->dirty = true; /* with the next flush */
        if (op->err != OK)
            LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "peers"), kv_str("reason", op->why.text));
        break;
    }
    case STORE_PEER_DROP:
    case STORE_STRANGER:
    case STORE_META_PUT:
    case STORE_CONFIGURE:
        if (op->kind == STORE_PEER_DROP && op->err == E_NOT_FOUND)
            break; /* it was forgotten before it was kept */
        if (op->err != OK)
            LOG(n->log, EV_DATABASE_FAULT,
                kv_str("operation", op->kind == STORE_CONFIGURE ? "configure" : "peers"),
                kv_str("reason", op->why.text));
        break;
    case STORE_FILE_QUEUE:
    case STORE_FILE_READ:
    case STORE_FILE_TRIED:
    case STORE_FILE_ENDED:
    case STORE_FILE_OFFER:
    case STORE_FILE_WRITE:
    case STORE_FILE_CHECK:
    case STORE_FILE_CANCEL: file_queue_stored(n, op); return;
    default: messenger_stored(n, op); return;
    }
    store_op_free(op);
}

static void maintain(struct node *n) {
    struct store_op *op = store_op_new(STORE_MAINTAIN);
    n->next_maintain = mono_add_ms(n->now.mono, UPKEEP_MS);
    if (op == NULL) return;
    op->limits[0] = (uint64_t)cfg(n->config, messages_retention).ms;
    op->limits[1] = 100ULL * 24 * 3600 * 1000; /* remembered ids outlive every message (90 days) */
    op->limits[2] = 90ULL * 24 * 3600 * 1000;  /* failed ones that nobody retried or cancelled */
    op->limits[3] = 7ULL * 24 * 3600 * 1000;   /* offers of files that nobody accepted */
    op->limits[4] = 30ULL * 24 * 3600 * 1000;  /* transfers that have ended */
    node_give(n, op);
}

/* ---- disks */

static void measure_space(struct node *n) {
    struct store_op *op = store_op_new(STORE_SPACE);
    n->next_space = mono_add_ms(n->now.mono, SPACE_MS);
    for (int i = 0; op != NULL && i < SPACE_USES; i++)
        if (n->folders[i] != NULL) space_ask(&op->in, (enum space_kind)i, n->folders[i]);
    node_give(n, op);
}

const struct space_use *node_spaces(const struct node *n) {
    return n->spaces;
}

int64_t node_disk_permille(const struct node *n) {
    int64_t most = -1;
    for (size_t i = 0; i < SPACE_USES; i++) {
        int64_t share = space_permille(&n->spaces[i]);
        most = MAX(most, share);
    }
    return most;
}

/* ---- time */

void node_tick(struct node *n) {
    struct mono now = n->now.mono;
    n->limits.of[LIMIT_CONNECTIONS].used = n->n_connections;
    n->limits.of[LIMIT_INBOUND_PENDING].used = n->n_pending_in;
    n->limits.of[LIMIT_DIALS].used = n->n_dialing;
    n->limits.of[LIMIT_PEERS].used = n->peers.n;
    if (n->streams_waiting) {
        n->streams_waiting = false;
        for (struct connection *c = n->connections; c != NULL; c = c->next)
            if (c->state == CONN_OPEN && c->n_streams > 0) connection_run(c);
    }
    struct store_op *refused = n->refused;
    n->refused = NULL;
    while (refused != NULL) {
        struct store_op *op = refused;
        refused = op->next;
        op->next = NULL;
        node_stored(n, op);
    }
    if (mono_due(n->next_load, now) && !n->stopping) load_peers(n, n->load_after);
    throttle_tick(n);
    swarm_tick(n);
    messenger_tick(n);
    file_queue_tick(n);
    figures_tick(n);
    control_events(n);
    control_tick(n);
    if (mono_due(n->next_space, now) && n->loaded && !n->stopping) measure_space(n);
    if (mono_due(n->next_totals, now) && !n->stopping) {
        n->next_totals = MONO_NEVER;
        node_give(n, store_op_new(STORE_TOTALS));
    }
    http_tick(n);
    health_tick(n);
    alerts_tick(n);
    if (mono_due(n->next_upkeep, now)) {
        n->next_upkeep = mono_add_ms(now, PEERS_FLUSH_MS);
        peers_flush(n, false);
        figures_sample(n);
        if (n->announce_changed) {
            n->announce_changed = false;
            identify_push_all(n);
        }
    }
    if (mono_due(n->next_maintain, now) && !n->stopping) maintain(n);
    for (struct connection *c = n->connections; n->sweep && c != NULL; c = c->next) connection_flush(c);
    connection_sweep(n);
    swarm_sweep(n);
}

struct mono node_deadline(const struct node *n) {
    struct mono at = n->next_upkeep;
    if (!n->stopping) at = mono_sooner(at, n->figures.next);
    if (n->log != NULL && n->log->tap_of == LOG_TAP_ALL && n->log->tap.n > 0)
        at = mono_sooner(at, n->now.mono);
    if (!n->stopping) at = mono_sooner(at, mono_sooner(n->next_maintain, n->next_load));
    at = mono_sooner(at, swarm_deadline(n));
    at = mono_sooner(at, messenger_deadline(n));
    at = mono_sooner(at, throttle_node_deadline(n));
    if (!n->stopping) at = mono_sooner(at, n->next_files);
    at = mono_sooner(at, http_deadline(n));
    at = mono_sooner(at, alerts_deadline(n));
    return mono_sooner(at, control_requests_deadline(n));
}

void node_stop(struct node *n) {
    if (n->stopping) return;
    figures_flush(n);
    n->stopping = true;
    for (struct dial *d = n->dials; d != NULL; d = d->next) swarm_cancel(d, "the node is stopping");
    for (struct connection *c = n->connections; c != NULL; c = c->next)
        connection_close(c, c->state == CONN_OPEN ? OK : E_CLOSED, "the node is stopping");
    peers_flush(n, true);
}

bool node_drained(const struct node *n) {
    return n->stopping && n->effects_n == 0 && n->store_in_flight == 0 && n->n_connections == 0;
}

bool node_stop_asked(struct node *n, int64_t *drain_ms) {
    *drain_ms = n->stop_drain_ms;
    bool asked = n->stop_asked;
    n->stop_asked = false;
    return asked;
}

/* ---- listening, names, requests */

void node_listening(struct node *n, const struct endpoint *endpoints, size_t count) {
    count = MIN(count, LEN(n->listen));
    bool same = count == n->n_listen;
    for (size_t i = 0; same && i < count; i++) same = endpoint_eq(&endpoints[i], &n->listen[i]);
    if (same) return;
    memcpy(n->listen, endpoints, count * sizeof *endpoints);
    n->n_listen = count;
    node_make_record(n);
    n->announce_changed = true;
}

void node_resolve_done(struct node *n, uint32_t query, const struct node_resolved *answer,
                       const struct why *why) {
    swarm_resolved(n, query, answer, why);
}

bool node_request(struct node *n, struct node_client *client, struct bytes line) {
    return control_request(n, client, line);
}
void node_client_gone(struct node *n, uint32_t client) {
    control_client_gone(n, client);
}
void node_reloaded(struct node *n, const struct why *why, struct bytes changed, struct bytes pending) {
    n->reload_failed = why != NULL;
    control_reloaded(n, why, changed, pending);
}
const struct config *node_config(const struct node *n) {
    return n->config;
}

/* ---- configuration */

static void name_key(struct buf *out, size_t key) {
    if (out == NULL) return;
    if (out->n > 0) buf_add_text(out, " ");
    buf_add_text(out, config_rows[key].name);
}

/* What waits for a restart keeps its running value: it is moved over into the new configuration's place. */
static void configure_store(struct node *n) {
    struct store_op *op = store_op_new(STORE_CONFIGURE);
    if (op == NULL) return;
    op->limits[0] = cfg(n->config, database_cacheSize).count;
    op->limits[1] = cfg(n->config, database_maxSize).count;
    node_give(n, op);
}

void node_reconfigure(struct node *n, struct config *config, struct buf *changed, struct buf *pending) {
    for (size_t k = 0; k < CONFIG_KEY_COUNT; k++) {
        if (config_same(n->config, config, (enum config_key)k)) continue;
        bool restart = config_rows[k].applies == CONFIG_RESTART;
        name_key(restart ? pending : changed, k);
        if (!restart) continue;
        struct config_entry running = n->config->entries[k];
        n->config->entries[k] = config->entries[k];
        config->entries[k] = running;
    }
    bool sizes = !config_same(n->config, config, CONFIG_database_cacheSize) ||
                 !config_same(n->config, config, CONFIG_database_maxSize);
    n->restart_pending.max = 4096;
    buf_clear(&n->restart_pending);
    if (pending != NULL) buf_add(&n->restart_pending, buf_view(pending));
    config_free(n->config);
    n->config = config;
    apply_limits(n);
    if (sizes) configure_store(n);
    log_set_level(n->log, (enum log_level)cfg(config, logging_level).count);
    n->log->format = (enum log_format)cfg(config, logging_format).count;
    node_make_record(n);
    n->announce_changed = true;
    peers_reconfigured(n);
    swarm_reconfigured(n);
    alerts_reconfigured(n);
}

/* ---- what operators look at */

void node_measured(struct node *n, const struct node_resources *r) {
    struct limit *lines = &n->limits.of[LIMIT_LOG_LINES], *remote = &n->limits.of[LIMIT_LOG_REMOTE];
    n->resources = *r;
    lines->used = r->log_queued;
    lines->hits = r->log_dropped;
    remote->used = r->log_remote_queued;
    remote->hits = r->log_remote_dropped;
}

const struct node_resources node_resources_unknown = {.resident_bytes = -1,
                                                      .cpu_us = -1,
                                                      .fds = -1,
                                                      .fds_max = -1,
                                                      .own_cpu_permille = -1,
                                                      .host_cpu_permille = -1,
                                                      .memory_permille = -1,
                                                      .memory_total = -1,
                                                      .memory_available = -1,
                                                      .cgroup_limit = -1,
                                                      .cgroup_used = -1,
                                                      .load_milli = {-1, -1, -1}};

int64_t node_cpu_permille(const struct node_resources *r) {
    return MAX(r->own_cpu_permille, r->host_cpu_permille);
}

void node_status_line(struct node *n, char *out, size_t size) {
    size_t peers = 0, i = 0;
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) peers += p->n_connections > 0;
    snprintf(out, size, "%s, %zu peers, outbox %llu", node_state(n), peers,
             (unsigned long long)n->outbox_count);
}

void node_dump(struct node *n) {
    char text[LOG_LINE_MAX / 2];
    node_status_line(n, text, sizeof text);
    LOG(n->log, EV_STATE, kv_str("part", "status"), kv_str("state", text),
        kv_int("connections", (int64_t)n->n_connections), kv_int("known", (int64_t)n->peers.n),
        kv_int("messages_in", (int64_t)n->totals.messages_in),
        kv_int("messages_out", (int64_t)n->totals.messages_out));
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        const struct limit *l = &n->limits.of[i];
        LOG(n->log, EV_STATE, kv_str("part", "limit"), kv_str("name", limit_rows[i].name),
            kv_int("used", (int64_t)l->used), kv_int("max", (int64_t)l->max),
            kv_int("hits", (int64_t)l->hits));
    }
    for (const struct connection *c = n->connections; c != NULL; c = c->next) {
        endpoint_text(&c->remote, text);
        LOG(n->log, EV_STATE, kv_str("part", "connection"),
            kv_str("peer", c->peer == NULL ? "" : c->peer->text), kv_str("addr", text),
            kv_int("streams", (int64_t)c->n_streams), kv_int("output", (int64_t)(c->tx.n + c->mux.out.n)),
            kv_int("input", (int64_t)c->rx.n));
    }
    LOG(n->log, EV_STATE, kv_str("part", "memory"), kv_int("blocks", (int64_t)mem_blocks()));
}
