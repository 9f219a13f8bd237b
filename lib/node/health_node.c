/* The node's own health: inputs from its state, the verdict every few seconds, maintenance, and the results
 * of checks that an operator ran. */
#include "node/control.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { JUDGE_MS = 10000, CHECK_JSON_MAX = 64 << 10 };

/* Limits of the whole node whose outcome somebody notices. Those of one peer or address protect it, and
 * connections and the database have checks of their own. */
static const enum limit_id watched[] = {LIMIT_INBOUND_PENDING, LIMIT_BUFFERS,        LIMIT_OUTBOX,
                                        LIMIT_OUTBOX_BYTES,    LIMIT_INBOX,          LIMIT_INBOX_BYTES,
                                        LIMIT_SPOOL,           LIMIT_FILE_BYTES,     LIMIT_FILES,
                                        LIMIT_STORE_QUEUE,     LIMIT_CONTROL_CLIENTS};
static_assert(LEN(watched) == HEALTH_LIMITS, "core.h has their number");

static struct health_past present(const struct node *n) {
    struct health_past p = {.at = n->now.mono,
                            .operations = n->totals.operations,
                            .failed = n->totals.operations_failed,
                            .latencies = n->recent.n,
                            .database_faults = n->log == NULL ? 0 : n->log->counts[EV_DATABASE_FAULT],
                            .database_full = n->limits.of[LIMIT_DATABASE].hits,
                            .lines_lost = n->health.facts.lines_lost,
                            .lines_unsent = n->health.facts.lines_unsent};
    for (size_t i = 0; i < LEN(watched); i++) p.limits[i] = n->limits.of[watched[i]].hits;
    return p;
}

/* What was so when the window began: the newest record that is old enough, else the oldest there is. */
static struct health_past window_start(const struct node *n, int64_t window_ms) {
    const struct node_health *h = &n->health;
    size_t kept = MIN(h->n_past, (size_t)HEALTH_PAST);
    struct health_past start = {.at = n->started};
    bool complete = h->n_past <= HEALTH_PAST; /* zero, at the start, is still within reach */
    for (size_t i = 0; i < kept; i++) {
        const struct health_past *p = &h->past[(h->n_past - kept + i) % HEALTH_PAST];
        if ((i == 0 && !complete) || mono_diff_ms(n->now.mono, p->at) >= window_ms) start = *p;
    }
    return start;
}

static int64_t outbox_age(const struct node *n) {
    int64_t oldest = 0;
    for (const struct lane *l = n->lanes; l != NULL; l = l->next)
        if (l->queued > 0 && l->oldest.ms > 0 && (oldest == 0 || l->oldest.ms < oldest))
            oldest = l->oldest.ms;
    return oldest == 0 ? -1 : MAX(n->now.wall.ms - oldest, (int64_t)0);
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The median: one peer with a wrong clock says nothing of ours. */
static void clock_of_peers(const struct node *n, struct health_numbers *out) {
    int64_t offsets[HEALTH_CLOCKS];
    size_t k = 0;
    for (size_t i = 0; i < HEALTH_CLOCKS; i++) {
        const struct health_clock *c = &n->health.clocks[i];
        if (c->at.us != 0 && mono_diff_ms(n->now.mono, c->at) < HEALTH_CLOCK_MS) offsets[k++] = c->offset_ms;
    }
    out->clock_peers = k;
    if (k == 0) return;
    qsort(offsets, k, sizeof offsets[0], by_value);
    out->clock_offset_ms = offsets[k / 2];
}

bool health_clock(const struct node *n, int64_t *offset_ms) {
    struct health_numbers h = {.clock_peers = 0};
    clock_of_peers(n, &h);
    *offset_ms = h.clock_offset_ms;
    return h.clock_peers > 0;
}

/* A receipt tells the peer's clock, less the way back. */
void health_clock_seen(struct node *n, const struct connection *c, uint64_t received_ms) {
    if (c->peer == NULL || received_ms == 0 || received_ms > (uint64_t)INT64_MAX / 2) return;
    struct health_clock *use = &n->health.clocks[0];
    for (size_t i = 0; i < HEALTH_CLOCKS; i++) {
        struct health_clock *at = &n->health.clocks[i];
        if (at->at.us != 0 && peer_id_eq(&at->peer, &c->peer->id)) {
            use = at;
            break;
        }
        if (at->at.us < use->at.us) use = at;
    }
    *use = (struct health_clock){
        .peer = c->peer->id, .offset_ms = n->now.wall.ms - (int64_t)received_ms, .at = n->now.mono};
}

static void numbers(const struct node *n, struct health_numbers *out) {
    int64_t window = cfg(n->config, health_window).ms;
    struct health_past now = present(n), before = window_start(n, window);
    *out = (struct health_numbers){.uptime_ms = mono_diff_ms(n->now.mono, n->started),
                                   .turn_us = n->health.turn_us,
                                   .window_ms = window,
                                   .stopping = n->stopping,
                                   .listens = n->n_listen > 0,
                                   .wants_to_listen = cfg(n->config, network_listen).list.n > 0,
                                   .latency_samples = now.latencies - before.latencies,
                                   .operations = now.operations - before.operations,
                                   .failed = now.failed - before.failed,
                                   .outbox = n->outbox_count,
                                   .outbox_age_ms = outbox_age(n),
                                   .database_faults = now.database_faults - before.database_faults,
                                   .database_full = now.database_full - before.database_full,
                                   .lines_lost = now.lines_lost - before.lines_lost,
                                   .lines_unsent = now.lines_unsent - before.lines_unsent,
                                   .latency_p95_ms = recent_sum(&n->recent, n->now.mono, window).p95_ms};
    if (n->store_in_flight > 0 && n->health.store_moved.us != 0)
        out->store_stuck_ms = mono_diff_ms(n->now.mono, n->health.store_moved);
    for (size_t i = 0; i < LEN(watched); i++) {
        if (now.limits[i] == before.limits[i]) continue;
        size_t used = strlen(out->limits);
        snprintf(out->limits + used, sizeof out->limits - used, "%s%s", used > 0 ? ", " : "",
                 limit_rows[watched[i]].name);
        out->limits_hit++;
    }
    for (const struct connection *c = n->connections; c != NULL; c = c->next)
        out->connections += c->state == CONN_OPEN;
    size_t i = 0;
    for (const struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) {
        out->peers += p->n_connections > 0;
        out->known_peers += p->last_seen.ms != 0; /* an address that was only heard of is no acquaintance */
    }
    clock_of_peers(n, out);
    out->alerts = alerts_waiting(n);
    alerts_fault(n, out->alerts_fault, sizeof out->alerts_fault);
}

/* Warnings for the log: once when it begins, not while it lasts. */
static void tell(struct node *n, const struct health *before) {
    static const struct {
        enum health_check check;
        enum event event;
        const char *key;
    } rows[] = {{HEALTH_CHECK_disk, EV_DISK_LOW, "part"},
                {HEALTH_CHECK_clock, EV_CLOCK_OFFSET, "offset"},
                {HEALTH_CHECK_certificate, EV_CERTIFICATE_EXPIRES, "path"}};
    for (size_t i = 0; i < LEN(rows); i++) {
        const struct health_result *was = &before->of[rows[i].check],
                                   *is = &n->health.judged.of[rows[i].check];
        bool bad = is->judged && (is->status == HEALTH_WARNING || is->status == HEALTH_CRITICAL);
        if (!bad || (before->begun && was->status == is->status)) continue;
        char value[256];
        if (rows[i].check == HEALTH_CHECK_disk)
            snprintf(value, sizeof value, "%s", n->health.facts.disk_of);
        else if (rows[i].check == HEALTH_CHECK_certificate)
            snprintf(value, sizeof value, "%.250s", cfg(n->config, http_tlsCert).text);
        else
            snprintf(value, sizeof value, "%.0fs", is->value);
        LOG(n->log, rows[i].event, kv_str(rows[i].key, value), kv_str("state", is->message));
    }
    const struct health_result *f = &n->health.judged.of[HEALTH_CHECK_files];
    if (f->status == HEALTH_CRITICAL && before->of[HEALTH_CHECK_files].status != HEALTH_CRITICAL)
        LOG(n->log, EV_IDENTITY_PERMISSIONS, kv_str("path", cfg(n->config, node_identity).text),
            kv_str("state", f->message));
}

void health_update(struct node *n) {
    struct health_numbers own;
    struct health before = n->health.judged;
    numbers(n, &own);
    health_judge(&n->health.judged,
                 &(struct health_input){.config = n->config,
                                        .facts = n->health.measured ? &n->health.facts : NULL,
                                        .numbers = &own,
                                        .now = n->now.wall});
    tell(n, &before);
}

void health_tick(struct node *n) {
    struct node_health *h = &n->health;
    if (h->maintenance.on && h->maintenance.until.ms != 0 && h->maintenance.until.ms <= n->now.wall.ms)
        h->maintenance.on = false;
    if (h->next.us > n->now.mono.us) return;
    h->next = mono_add_ms(n->now.mono, JUDGE_MS);
    health_update(n); /* before the new record: it belongs to the window that begins with it */
    h->past[h->n_past++ % HEALTH_PAST] = present(n);
    alerts_judged(n);
}

void node_health_measured(struct node *n, const struct health_facts *f, int64_t turn_us) {
    bool first = !n->health.measured;
    n->health.facts = *f;
    n->health.turn_us = turn_us;
    n->health.measured = true;
    if (first) health_update(n);
}

/* ---- answers */

static void put_maintenance(const struct node *n, struct json_out *o) {
    const struct node_maintenance *m = &n->health.maintenance;
    if (!m->on) {
        json_put_null(o, "maintenance");
        return;
    }
    json_open(o, "maintenance", '{');
    json_put_wall(o, "since", m->since);
    json_put_wall(o, "until", m->until);
    json_put_str(o, "text", m->text);
    json_shut(o, '}');
}

static const char *const periods[HEALTH_PERIODS] = {"daily", "weekly", "monthly"};
/* A list is overdue when its last result is so old: its time, and some for a machine that was off. */
static const int64_t overdue_ms[HEALTH_PERIODS] = {INT64_C(26) * 3600000, INT64_C(8) * 86400000,
                                                   INT64_C(32) * 86400000};

static void put_health(const struct node *n, struct json_out *o) {
    json_put_str(o, "status", health_verdict(&n->health.judged));
    json_put_str(o, "node", cfg(n->config, node_name).text);
    json_put_str(o, "peer_id", n->self_text);
    json_put_str(o, "version", n->version);
    json_put_wall(o, "time", n->now.wall);
    json_put_int(o, "uptime_seconds", mono_diff_ms(n->now.mono, n->started) / 1000);
    put_maintenance(n, o);
    health_checks_json(&n->health.judged, o);
    json_open(o, "last_checks", '[');
    for (size_t i = 0; i < HEALTH_PERIODS; i++) {
        const struct health_report *c = &n->health.reports[i];
        if (c->at.ms == 0) continue;
        json_open(o, NULL, '{');
        json_put_str(o, "period", periods[i]);
        json_put_wall(o, "at", c->at);
        json_put_str(o, "status", health_status_name(c->status));
        json_put_str(o, "findings", c->findings);
        json_put_bool(o, "overdue", n->now.wall.ms - c->at.ms > overdue_ms[i]);
        json_shut(o, '}');
    }
    json_shut(o, ']');
}

bool health_write(struct node *n, struct buf *out) {
    struct json_out o = json_begin(out);
    health_update(n);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.health/1");
    put_health(n, &o);
    json_shut(&o, '}');
    return json_end(&o);
}

enum err method_health(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct buf line = {NULL, 0, 0, 0};
    (void)params;
    (void)w;
    health_update(n);
    struct json_out o = control_begin(r, &line, "health");
    put_health(n, &o);
    control_finish(r, &line, &o);
    return OK;
}

const char *node_state(const struct node *n) {
    if (n->stopping) return "stopping";
    if (!n->loaded) return "starting";
    return n->health.judged.begun ? health_verdict(&n->health.judged) : "healthy";
}

void health_problems_json(const struct node *n, struct json_out *o) {
    static const char *const levels[] = {"P0", "P1", "P2", "P3", NULL};
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++) {
        const struct health_result *h = &n->health.judged.of[i];
        if (!n->health.judged.begun || !h->judged || h->status == HEALTH_OK) continue;
        json_open(o, NULL, '{');
        json_put_str(o, "finding", health_rows[i].name);
        json_put_str(o, "level", levels[h->level]);
        json_put_str(o, "text", h->message);
        json_shut(o, '}');
    }
}

/* ---- what is kept: maintenance and results, as values of the store */

void health_keep(struct node *n, const char *key, struct bytes value) {
    struct store_op *op = store_op_new(STORE_META_PUT);
    if (op == NULL) return;
    snprintf(op->text, sizeof op->text, "%s", key);
    if (!buf_add(&op->in, value)) {
        store_op_free(op);
        return;
    }
    node_give(n, op);
}

void health_start(struct node *n) {
    static const char *const keys[] = {"maintenance", "check.daily", "check.weekly", "check.monthly"};
    n->health.store_moved = n->now.mono;
    for (size_t i = 0; i < LEN(keys); i++) {
        struct store_op *op = store_op_new(STORE_META_GET);
        if (op == NULL) continue;
        snprintf(op->text, sizeof op->text, "%s", keys[i]);
        node_give(n, op);
    }
}

static void read_report(struct health_report *c, const struct json *v) {
    if (!wall_parse(json_get_bytes(v, "at"), &c->at)) return;
    c->status = health_status_of(json_get_bytes(v, "status"));
    c->findings[0] = 0;
    const struct json *item, *items = json_get(v, "items");
    for (size_t i = 0; json_item(items, &i, &item);) {
        struct bytes id = json_get_bytes(item, "id");
        size_t used = strlen(c->findings);
        bool named = id.n >= 1 && id.n <= 3;
        for (size_t k = 0; k < id.n; k++) named = named && id.p[k] > ' ' && id.p[k] < 127;
        if (named && !bytes_is(json_get_bytes(item, "state"), "ok") && json_get_bool(item, "judged", true))
            snprintf(c->findings + used, sizeof c->findings - used, "%s%.*s", used > 0 ? " " : "", (int)id.n,
                     (const char *)id.p);
    }
}

void health_stored(struct node *n, const struct store_op *op) {
    struct json_doc *doc = op->err == OK && op->out.n > 0 ? json_parse(buf_view(&op->out), NULL) : NULL;
    const struct json *v = doc == NULL ? NULL : json_root(doc);
    struct node_maintenance *m = &n->health.maintenance;
    if (v != NULL && strcmp(op->text, "maintenance") == 0) {
        m->on = wall_parse(json_get_bytes(v, "since"), &m->since);
        if (!wall_parse(json_get_bytes(v, "until"), &m->until)) m->until = (struct wall){0};
        bytes_cstr(json_get_bytes(v, "text"), m->text, sizeof m->text);
    }
    for (size_t i = 0; v != NULL && i < HEALTH_PERIODS; i++)
        if (strncmp(op->text, "check.", 6) == 0 && strcmp(op->text + 6, periods[i]) == 0)
            read_report(&n->health.reports[i], v);
    json_free(doc);
}

/* params: period, result (an object with at and status). Without a result: gives the last one. */
enum err method_check(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct bytes period = json_get_bytes(params, "period");
    const struct json *result = json_get(params, "result");
    size_t i = 0;
    char key[32];
    while (i < HEALTH_PERIODS && !bytes_is(period, periods[i])) i++;
    if (i == HEALTH_PERIODS) return fail(w, E_USAGE, "params.period is daily, weekly or monthly");
    snprintf(key, sizeof key, "check.%s", periods[i]);
    if (result != NULL && r->may != RIGHT_OWNER) return fail(w, E_DENIED, "this caller may only read");
    if (result != NULL) {
        struct buf text = {.max = CHECK_JSON_MAX};
        struct health_report c = {.status = HEALTH_UNKNOWN};
        read_report(&c, result);
        bool good = c.at.ms != 0 && json_print(result, &text);
        if (good) {
            n->health.reports[i] = c;
            health_keep(n, key, buf_view(&text));
        }
        buf_free(&text);
        if (!good) return fail(w, E_INPUT, "params.result has no time, or is too long");
        control_done(r);
        return OK;
    }
    struct store_op *op = control_op(r, STORE_META_GET);
    if (op == NULL) return fail(w, E_MEMORY, "out of memory");
    snprintf(op->text, sizeof op->text, "%s", key);
    control_give(r, op);
    return OK;
}

/* Of a request for the last result. */
void health_check_stored(struct request *r, const struct store_op *op) {
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "check.last");
    if (op->out.n > 0)
        json_put_raw(&o, "result", buf_view(&op->out));
    else
        json_put_null(&o, "result");
    control_finish(r, &line, &o);
}

/* ---- maintenance */

static void notify_peers(struct node *n, struct bytes text) {
    size_t i = 0;
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) {
        if (p->flags == 0 && !p->trusted && !p->bootstrap) continue; /* strangers are not written to */
        struct message m = {.subject = BYTES("maintenance"),
                            .content_type = BYTES("text/plain; charset=utf-8"),
                            .body = text,
                            .sent_ms = (uint64_t)n->now.wall.ms,
                            .expires_ms = (uint64_t)(n->now.wall.ms + cfg(n->config, messages_expiry).ms)};
        rng_fill(&n->rng, m.id, sizeof m.id);
        messenger_send(n, p, &m, NULL, NULL);
    }
}

enum err method_maintenance(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct node_maintenance *m = &n->health.maintenance;
    struct bytes word = json_get_bytes(params, "state"), notify = json_get_bytes(params, "notify");
    int64_t for_ms;
    struct buf line = {NULL, 0, 0, 0}, kept = {.max = 1024};
    if (control_period(params, &for_ms, w) != OK) return w->code;
    if (bytes_is(word, "on")) {
        if (!utf8_valid(notify) || notify.n > 1000) return fail(w, E_INPUT, "the text is too long");
        *m = (struct node_maintenance){.on = true, .since = n->now.wall};
        if (for_ms > 0) m->until.ms = n->now.wall.ms + MIN(for_ms, (int64_t)3650 * 86400000);
        bytes_cstr(bytes_sub(notify, 0, sizeof m->text - 1), m->text, sizeof m->text);
        if (notify.n > 0) notify_peers(n, notify);
    } else if (bytes_is(word, "off")) {
        m->on = false;
    } else if (word.n > 0) {
        return fail(w, E_USAGE, "params.state is on or off");
    }
    if (word.n > 0) {
        struct json_out k = json_begin(&kept);
        json_open(&k, NULL, '{');
        if (m->on) {
            json_put_wall(&k, "since", m->since);
            json_put_wall(&k, "until", m->until);
            json_put_str(&k, "text", m->text);
        }
        json_shut(&k, '}');
        if (json_end(&k)) health_keep(n, "maintenance", buf_view(&kept));
        LOG(n->log, EV_MAINTENANCE, kv_str("state", m->on ? "on" : "off"), kv_int("uid", r->uid));
    }
    buf_free(&kept);
    struct json_out o = control_begin(r, &line, "maintenance");
    put_maintenance(n, &o);
    control_finish(r, &line, &o);
    return OK;
}
