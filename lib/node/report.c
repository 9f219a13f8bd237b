/* The answer to `report`: the node's own figures, by the hour, as trends, and when a limit will be reached.
 */
#include "node/control.h"

#include <math.h>

#include "node/trend.h"

#define DAY_MS (24 * 3600 * 1000.0)

/* How numbers of a figure are shown. */
enum unit { UNIT_NUMBER, UNIT_BYTES, UNIT_PERCENT, UNIT_MS };
static const char *const unit_names[] = {"number", "bytes", "percent", "milliseconds"};

/* Name for people and JSON; the figure; the one it is divided by (or NULL); the one with its highest; unit;
 * factor. */
static const struct line {
    const char *name, *key, *per, *highest;
    enum unit unit;
    double factor;
} lines[] = {
    {"connections", "connections", NULL, "connections_max", UNIT_NUMBER, 1},
    {"peers", "peers", NULL, NULL, UNIT_NUMBER, 1},
    {"messages in per hour", "messages_in", NULL, NULL, UNIT_NUMBER, 1},
    {"messages out per hour", "messages_out", NULL, NULL, UNIT_NUMBER, 1},
    {"traffic in per hour", "bytes_in", NULL, NULL, UNIT_BYTES, 1},
    {"traffic out per hour", "bytes_out", NULL, NULL, UNIT_BYTES, 1},
    {"latency p95", "latency_p95_ms", NULL, "latency_max_ms", UNIT_MS, 1},
    {"errors", "operations_failed", "operations", NULL, UNIT_PERCENT, 100},
    {"cpu", "cpu_permille", NULL, "cpu_max_permille", UNIT_PERCENT, 0.1},
    {"node's cpu", "node_cpu_permille", NULL, NULL, UNIT_PERCENT, 0.1},
    {"memory", "memory_permille", NULL, "memory_max_permille", UNIT_PERCENT, 0.1},
    {"node's memory", "resident_bytes", NULL, NULL, UNIT_BYTES, 1},
    {"descriptors", "fds", NULL, NULL, UNIT_NUMBER, 1},
    {"disk", "disk_permille", NULL, NULL, UNIT_PERCENT, 0.1},
    {"database", "database_bytes", NULL, NULL, UNIT_BYTES, 1},
    {"logs", "logs_bytes", NULL, NULL, UNIT_BYTES, 1},
    {"outbox", "outbox", NULL, NULL, UNIT_NUMBER, 1},
    {"inbox", "inbox", NULL, NULL, UNIT_NUMBER, 1},
    {"refused", "refused", NULL, NULL, UNIT_NUMBER, 1},
    {"log warnings", "log_warnings", NULL, NULL, UNIT_NUMBER, 1},
    {"log errors", "log_errors", NULL, NULL, UNIT_NUMBER, 1},
};

/* What can be full: the figure, and its limit: another figure, a named limit, or a number. */
static const struct capacity {
    const char *name, *key, *size;
    enum limit_id limit; /* LIMIT_COUNT: none */
    enum unit unit;
    double factor, fixed;
} capacities[] = {
    {"disk of the database", "disk_used_bytes", "disk_size_bytes", LIMIT_COUNT, UNIT_BYTES, 1, 0},
    {"database (database.maxSize)", "database_bytes", NULL, LIMIT_DATABASE, UNIT_BYTES, 1, 0},
    {"connections (maxConnections)", "connections_max", NULL, LIMIT_CONNECTIONS, UNIT_NUMBER, 1, 0},
    {"inbox (messages.inboxMax)", "inbox", NULL, LIMIT_INBOX, UNIT_NUMBER, 1, 0},
    {"outbox (messages.outboxMax)", "outbox", NULL, LIMIT_OUTBOX, UNIT_NUMBER, 1, 0},
    {"known peers", "peers_known", NULL, LIMIT_PEERS, UNIT_NUMBER, 1, 0},
    {"memory", "memory_max_permille", NULL, LIMIT_COUNT, UNIT_PERCENT, 0.1, 100},
    {"cpu", "cpu_max_permille", NULL, LIMIT_COUNT, UNIT_PERCENT, 0.1, 100},
};

/* ---- numbers from rows */

static bool value_of(const struct json *row, const char *key, double *out) {
    const struct json *v = json_get(row, key);
    if (!json_is_number(v)) return false;
    *out = json_real(v, 0);
    return true;
}

struct mean {
    double sum, per;
    size_t n;
};
struct summary {
    struct mean day, week, all;
    double last, highest;
    bool has_last, has_highest;
    struct trend trend;
};

static void mean_add(struct mean *m, double v, double per) {
    m->sum += v;
    m->per += per;
    m->n++;
}

static void summarise(const struct json *items, const struct line *l, struct wall now, struct summary *s) {
    const struct json *row;
    *s = (struct summary){.last = 0};
    for (size_t i = 0; json_item(items, &i, &row);) {
        struct wall at;
        double v, per = 1, most;
        if (!wall_parse(json_get_bytes(row, "at"), &at) || !value_of(row, l->key, &v)) continue;
        if (l->per != NULL && (!value_of(row, l->per, &per) || per <= 0)) continue;
        mean_add(&s->all, v, per);
        if ((double)(now.ms - at.ms) < 7 * DAY_MS) mean_add(&s->week, v, per);
        if ((double)(now.ms - at.ms) < DAY_MS) mean_add(&s->day, v, per);
        s->last = v / per * l->factor;
        s->has_last = true;
        if (!value_of(row, l->highest == NULL ? l->key : l->highest, &most)) most = v;
        most = most / per * l->factor;
        if (!s->has_highest || most > s->highest) s->highest = most;
        s->has_highest = true;
        trend_add(&s->trend, at, s->last);
    }
}

static void put_mean(struct json_out *o, const char *key, const struct mean *m, double factor) {
    if (m->n == 0 || m->per <= 0)
        json_put_null(o, key);
    else
        json_put_real(o, key, m->sum / m->per * factor);
}

static void put_maybe(struct json_out *o, const char *key, bool known, double v) {
    if (known)
        json_put_real(o, key, v);
    else
        json_put_null(o, key);
}

static void put_line(struct json_out *o, const struct json *items, const struct line *l, struct wall now) {
    struct summary s;
    double change = 0;
    summarise(items, l, now, &s);
    json_open(o, NULL, '{');
    json_put_str(o, "figure", l->name);
    json_put_str(o, "unit", unit_names[l->unit]);
    put_maybe(o, "last", s.has_last, s.last);
    put_mean(o, "day", &s.day, l->factor);
    put_mean(o, "week", &s.week, l->factor);
    put_mean(o, "all", &s.all, l->factor);
    put_maybe(o, "highest", s.has_highest, s.highest);
    bool known = trend_slope(&s.trend, &change);
    put_maybe(o, "change_per_day", known, change);
    json_shut(o, '}');
}

static double limit_of(const struct capacity *c, const struct limits *limits, const struct json *last) {
    double v;
    if (c->size != NULL) return value_of(last, c->size, &v) ? v : -1;
    return c->limit == LIMIT_COUNT ? c->fixed : (double)limit_max(limits, c->limit);
}

static void put_capacity(struct json_out *o, const struct capacity *c, const struct json *items,
                         const struct limits *limits, struct wall now) {
    struct line l = {c->name, c->key, NULL, NULL, c->unit, c->factor};
    struct summary s;
    double change = 0, days = -1;
    summarise(items, &l, now, &s);
    double most = limit_of(c, limits, json_at(items, json_count(items) - 1));
    bool known = trend_slope(&s.trend, &change);
    if (s.has_last && most > 0) days = trend_days(&s.trend, s.last, most);
    json_open(o, NULL, '{');
    json_put_str(o, "limit", c->name);
    json_put_str(o, "unit", unit_names[c->unit]);
    put_maybe(o, "used", s.has_last, s.last);
    put_maybe(o, "max", most > 0, most);
    put_maybe(o, "change_per_day", known, change);
    if (days < 0) {
        json_put_null(o, "reached_in_seconds");
        json_put_null(o, "reached_at");
    } else {
        json_put_real(o, "reached_in_seconds", floor(days * 86400));
        json_put_wall(o, "reached_at", (struct wall){now.ms + (int64_t)(days * DAY_MS)});
    }
    json_shut(o, '}');
}

/* ---- requests */

enum err method_report(struct node *n, struct request *r, const struct json *params, struct why *w) {
    r->flags = FIGURES_REPORT;
    return method_figures(n, r, params, w);
}

void report_stored(const struct node *n, struct request *r, const struct store_op *op) {
    struct buf line = {NULL, 0, 0, 0}, array = {.max = CONTROL_ANSWER_SIZE};
    bool whole = buf_add_text(&array, "[") && buf_add(&array, buf_view(&op->out)) &&
                 buf_add_text(&array, "]");
    struct json_doc *doc = whole ? json_parse(buf_view(&array), NULL) : NULL;
    buf_free(&array);
    if (doc == NULL) {
        control_error(r, &(struct why){E_MEMORY, "out of memory for the figures"});
        return;
    }
    const struct json *items = json_root(doc);
    struct json_out o = control_begin(r, &line, "report");
    json_put_value(&o, "since", json_get(json_at(items, 0), "at"));
    json_put_uint(&o, "hours", json_count(items));
    json_open(&o, "items", '[');
    for (size_t i = 0; i < LEN(lines); i++) put_line(&o, items, &lines[i], n->now.wall);
    json_shut(&o, ']');
    json_open(&o, "capacity", '[');
    for (size_t i = 0; json_count(items) > 0 && i < LEN(capacities); i++)
        put_capacity(&o, &capacities[i], items, &n->limits, n->now.wall);
    json_shut(&o, ']');
    control_finish(r, &line, &o);
    json_free(doc);
}
