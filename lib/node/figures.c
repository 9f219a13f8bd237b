#include "node/figures.h"

#include "node/control.h"

enum { MINUTE_MS = 60000, ITEMS_MAX = 5000 };

static void plan(struct node *n) {
    int64_t into = n->now.wall.ms % MINUTE_MS;
    n->figures.next = mono_add_ms(n->now.mono, MINUTE_MS - MAX(into, (int64_t)0));
}

/* What only grows. */
static void counters(const struct node *n, uint64_t out[FIGURE_COUNT]) {
    const struct counts *c = &n->counts;
    memset(out, 0, FIGURE_COUNT * sizeof *out);
    out[FIGURE_UP] = (uint64_t)MAX(mono_diff_ms(n->now.mono, n->started), (int64_t)0) / 1000;
    for (size_t i = 0; i < DIRECTIONS; i++) out[FIGURE_OPENED] += c->opened[i];
    for (size_t i = 0; i < ERR_COUNT; i++) {
        out[FIGURE_CLOSED] += c->closed[i];
        out[FIGURE_REFUSED] += c->handshakes_failed[i];
    }
    for (size_t i = 0; i < ACCESS_RULE_COUNT; i++) out[FIGURE_REFUSED] += c->denied[i];
    out[FIGURE_MESSAGES_IN] = n->totals.messages_in;
    out[FIGURE_MESSAGES_OUT] = n->totals.delivered;
    out[FIGURE_OPERATIONS] = n->totals.operations;
    out[FIGURE_FAILED] = n->totals.operations_failed;
    out[FIGURE_BYTES_IN] = c->network_bytes[DIRECTION_IN];
    out[FIGURE_BYTES_OUT] = c->network_bytes[DIRECTION_OUT];
    out[FIGURE_SLOW_TURNS] = n->resources.loop.slow;
    for (int i = 0; i < LEVEL_COUNT && n->log != NULL; i++) out[FIGURE_LINES] += n->log->written[i];
    for (int i = 0; i < EVENT_COUNT && n->log != NULL; i++) {
        if (event_rows[i].level == LEVEL_WARN) out[FIGURE_WARNINGS] += n->log->counts[i];
        if (event_rows[i].level == LEVEL_ERROR) out[FIGURE_ERRORS] += n->log->counts[i];
    }
}

/* Figures that add up are those of counters. */
enum fold { FOLD_SUM, FOLD_MAX, FOLD_MEAN };
static const enum fold folds[FIGURE_COUNT] = {
#define FIGURE_FOLD_OF(symbol, name, fold) [FIGURE_##symbol] = FOLD_##fold,
    FIGURES(FIGURE_FOLD_OF)};

static void learn(struct node *n, enum figure mean, enum figure most, int64_t v) {
    struct figures *f = &n->figures;
    if (v < 0) return; /* not known */
    f->sum[mean] += v;
    f->samples[mean]++;
    f->most[most] = MAX(f->most[most], v);
    f->samples[most] += mean != most;
}

static void begin(struct node *n) {
    struct figures *f = &n->figures;
    struct mono next = f->next;
    *f = (struct figures){.next = next};
    counters(n, f->before);
}

void figures_start(struct node *n) {
    begin(n);
    plan(n);
}

void figures_sample(struct node *n) {
    size_t peers = 0, open = 0, i = 0;
    for (const struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) peers += p->n_connections > 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next) open += c->state == CONN_OPEN;
    n->figures.sampled = n->now.mono;
    learn(n, FIGURE_CONNECTIONS, FIGURE_CONNECTIONS_MAX, (int64_t)open);
    learn(n, FIGURE_PEERS, FIGURE_PEERS, (int64_t)peers);
    learn(n, FIGURE_CPU, FIGURE_CPU_MAX, node_cpu_permille(&n->resources));
    learn(n, FIGURE_NODE_CPU, FIGURE_NODE_CPU, n->resources.own_cpu_permille);
    learn(n, FIGURE_MEMORY, FIGURE_MEMORY_MAX, n->resources.memory_permille);
}

static int64_t known(int64_t v) {
    return v < 0 ? FIGURE_UNKNOWN : v;
}

/* What is as it is at the end of the minute. */
static void gauges(const struct node *n, int64_t row[FIGURE_COUNT]) {
    int64_t minute = mono_diff_ms(n->now.mono, n->started);
    struct recent_sum r = recent_sum(&n->recent, n->now.mono, MIN(minute + 1, (int64_t)MINUTE_MS));
    const struct space_use *data = &n->spaces[SPACE_DATA], *logs = &n->spaces[SPACE_LOGS];
    row[FIGURE_LATENCY_P50] = known(r.p50_ms);
    row[FIGURE_LATENCY_P95] = known(r.p95_ms);
    row[FIGURE_LATENCY_MAX] = known(r.max_ms);
    row[FIGURE_RESIDENT] = known(n->resources.resident_bytes);
    row[FIGURE_FDS] = known(n->resources.fds);
    row[FIGURE_DISK] = known(node_disk_permille(n));
    if (data->total > 0) {
        row[FIGURE_DISK_USED] = (int64_t)data->used;
        row[FIGURE_DISK_SIZE] = (int64_t)(data->used + data->available);
    }
    if (logs->total > 0) row[FIGURE_LOGS] = (int64_t)logs->folder_bytes;
    row[FIGURE_DATABASE] = known(n->stored.database_bytes);
    row[FIGURE_OUTBOX] = (int64_t)n->outbox_count;
    row[FIGURE_INBOX] = known(n->stored.inbox);
    row[FIGURE_KNOWN] = (int64_t)n->peers.n;
    if (cfg(n->config, logging_file).text[0] == 0) row[FIGURE_LINES] = FIGURE_UNKNOWN;
}

static void make_row(struct node *n, int64_t row[FIGURE_COUNT]) {
    const struct figures *f = &n->figures;
    uint64_t now[FIGURE_COUNT];
    counters(n, now);
    for (size_t i = 0; i < FIGURE_COUNT; i++) {
        row[i] = FIGURE_UNKNOWN;
        if (folds[i] == FOLD_SUM) row[i] = now[i] < f->before[i] ? 0 : (int64_t)(now[i] - f->before[i]);
        if (f->samples[i] > 0) row[i] = f->sum[i] > 0 ? f->sum[i] / f->samples[i] : f->most[i];
    }
    gauges(n, row);
}

static bool put_counts(struct log_tally *t, struct buf *in) {
    size_t at = 0;
    enum event event;
    const char *peer;
    uint32_t count;
    bool good = true;
    while (t != NULL && good && log_tally_take(t, &at, &event, &peer, &count)) {
        size_t n = strlen(peer);
        good = wr_u16(in, (uint16_t)event) && wr_u8(in, (uint8_t)n) && buf_add_text(in, peer) &&
               wr_u32(in, count);
    }
    return good;
}

void figures_flush(struct node *n) {
    struct store_op *op = store_op_new(STORE_FIGURES_ADD);
    int64_t row[FIGURE_COUNT];
    bool good = op != NULL;
    figures_sample(n);
    make_row(n, row);
    /* The minute that holds the moment before now: at its end, and when a stop cuts it short. */
    if (good) op->when.ms = MAX(n->now.wall.ms - 1, (int64_t)0) / MINUTE_MS * MINUTE_MS;
    for (size_t i = 0; good && i < FIGURE_COUNT; i++) good = wr_u64(&op->in, (uint64_t)row[i]);
    good = good && put_counts(n->log == NULL ? NULL : n->log->tally, &op->in);
    begin(n);
    if (good)
        node_give(n, op);
    else
        store_op_free(op); /* a minute without figures */
}

/* The counts alone, so that who asks for them gets those of this minute too. */
static void flush_counts(struct node *n) {
    struct store_op *op = store_op_new(STORE_FIGURES_ADD);
    if (op == NULL) return;
    op->seq = FIGURES_COUNTS;
    op->when = n->now.wall;
    if (put_counts(n->log == NULL ? NULL : n->log->tally, &op->in) && op->in.n > 0)
        node_give(n, op);
    else
        store_op_free(op);
}

void figures_tick(struct node *n) {
    if (n->stopping || !mono_due(n->figures.next, n->now.mono)) return;
    figures_flush(n);
    plan(n);
    n->next_totals = n->now.mono; /* for the next minute */
}

/* ---- requests: figures, log.stats */

static struct wall since(const struct node *n, const struct json *params) {
    struct wall t = {0};
    int64_t age = json_get_int(params, "age_ms", -1);
    if (age >= 0 && age < n->now.wall.ms) t.ms = n->now.wall.ms - age;
    wall_parse(json_get_bytes(params, "since"), &t);
    return t;
}

enum err method_figures(struct node *n, struct request *r, const struct json *params, struct why *w) {
    bool report = r->flags == FIGURES_REPORT; /* it is of all figures, by the hour */
    struct bytes span = report ? BYTES("hour") : json_get_bytes(params, "span"),
                 names = report ? (struct bytes){NULL, 0} : json_get_bytes(params, "names");
    if (span.n > 0 && !bytes_is(span, "minute") && !bytes_is(span, "hour"))
        return fail(w, E_USAGE, "params.span is minute or hour");
    struct store_op *op = control_op(r, STORE_FIGURES);
    if (op == NULL) return fail(w, E_MEMORY, "out of memory");
    if (!buf_add(&op->in, names)) {
        store_op_free(op);
        return fail(w, E_MEMORY, "out of memory");
    }
    op->seq = bytes_is(span, "minute") ? FIGURES_MINUTE_S : FIGURES_HOUR_S;
    op->when = since(n, params);
    int64_t most = json_get_int(params, "n", ITEMS_MAX);
    op->count = (uint64_t)MIN(MAX(most, (int64_t)1), (int64_t)ITEMS_MAX);
    control_give(r, op);
    return OK;
}

enum err method_log_stats(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct store_op *op = control_op(r, STORE_LOG_COUNTS);
    struct bytes by = json_get_bytes(params, "by");
    if (op == NULL) return fail(w, E_MEMORY, "out of memory");
    op->when = since(n, params);
    bytes_cstr(by.n == 0 ? BYTES("event") : by, op->text, sizeof op->text);
    flush_counts(n);
    control_give(r, op);
    return OK;
}
