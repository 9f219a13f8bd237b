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
    const char *name;
    enum figure key, per, highest;
    enum unit unit;
    double factor;
} lines[] = {
    {"connections", FIGURE_CONNECTIONS, FIGURE_COUNT, FIGURE_CONNECTIONS_MAX, UNIT_NUMBER, 1},
    {"peers", FIGURE_PEERS, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"messages in per hour", FIGURE_MESSAGES_IN, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"messages out per hour", FIGURE_MESSAGES_OUT, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"traffic in per hour", FIGURE_BYTES_IN, FIGURE_COUNT, FIGURE_COUNT, UNIT_BYTES, 1},
    {"traffic out per hour", FIGURE_BYTES_OUT, FIGURE_COUNT, FIGURE_COUNT, UNIT_BYTES, 1},
    {"latency p95", FIGURE_LATENCY_P95, FIGURE_COUNT, FIGURE_LATENCY_MAX, UNIT_MS, 1},
    {"errors", FIGURE_FAILED, FIGURE_OPERATIONS, FIGURE_COUNT, UNIT_PERCENT, 100},
    {"cpu", FIGURE_CPU, FIGURE_COUNT, FIGURE_CPU_MAX, UNIT_PERCENT, 0.1},
    {"node's cpu", FIGURE_NODE_CPU, FIGURE_COUNT, FIGURE_COUNT, UNIT_PERCENT, 0.1},
    {"memory", FIGURE_MEMORY, FIGURE_COUNT, FIGURE_MEMORY_MAX, UNIT_PERCENT, 0.1},
    {"node's memory", FIGURE_RESIDENT, FIGURE_COUNT, FIGURE_COUNT, UNIT_BYTES, 1},
    {"descriptors", FIGURE_FDS, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"disk", FIGURE_DISK, FIGURE_COUNT, FIGURE_COUNT, UNIT_PERCENT, 0.1},
    {"database", FIGURE_DATABASE, FIGURE_COUNT, FIGURE_COUNT, UNIT_BYTES, 1},
    {"logs", FIGURE_LOGS, FIGURE_COUNT, FIGURE_COUNT, UNIT_BYTES, 1},
    {"outbox", FIGURE_OUTBOX, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"inbox", FIGURE_INBOX, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"refused", FIGURE_REFUSED, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"log warnings", FIGURE_WARNINGS, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
    {"log errors", FIGURE_ERRORS, FIGURE_COUNT, FIGURE_COUNT, UNIT_NUMBER, 1},
};

/* What can be full: the figure, and its limit: another figure, a named limit, or a number. */
static const struct capacity {
    const char *name;
    enum figure key, size;
    enum limit_id limit; /* LIMIT_COUNT: none */
    enum unit unit;
    double factor, fixed;
} capacities[] = {
    {"disk of the database", FIGURE_DISK_USED, FIGURE_DISK_SIZE, LIMIT_COUNT, UNIT_BYTES, 1, 0},
    {"database (database.maxSize)", FIGURE_DATABASE, FIGURE_COUNT, LIMIT_DATABASE, UNIT_BYTES, 1, 0},
    {"connections (maxConnections)", FIGURE_CONNECTIONS_MAX, FIGURE_COUNT, LIMIT_CONNECTIONS, UNIT_NUMBER, 1,
     0},
    {"inbox (messages.inboxMax)", FIGURE_INBOX, FIGURE_COUNT, LIMIT_INBOX, UNIT_NUMBER, 1, 0},
    {"outbox (messages.outboxMax)", FIGURE_OUTBOX, FIGURE_COUNT, LIMIT_OUTBOX, UNIT_NUMBER, 1, 0},
    {"known peers", FIGURE_KNOWN, FIGURE_COUNT, LIMIT_PEERS, UNIT_NUMBER, 1, 0},
    {"memory", FIGURE_MEMORY_MAX, FIGURE_COUNT, LIMIT_COUNT, UNIT_PERCENT, 0.1, 100},
    {"cpu", FIGURE_CPU_MAX, FIGURE_COUNT, LIMIT_COUNT, UNIT_PERCENT, 0.1, 100},
};

/* ---- numbers from rows */

struct row {
    struct wall at;
    double of[FIGURE_COUNT]; /* NAN: not known */
};
struct rows {
    struct row *of;
    size_t n;
};

static bool value_of(const struct row *row, enum figure key, double *out) {
    *out = row->of[key];
    return !isnan(*out);
}

/* Each member is looked at once: they come in the order of the table. */
static void read_row(const struct json *v, struct row *row) {
    static const char *const names[FIGURE_COUNT] = {
#define FIGURE_NAME(symbol, name, fold) [FIGURE_##symbol] = name,
        FIGURES(FIGURE_NAME)};
    struct bytes key;
    const struct json *member;
    size_t next = 0;
    *row = (struct row){.at = {0}};
    for (size_t k = 0; k < FIGURE_COUNT; k++) row->of[k] = NAN;
    for (size_t i = 0; json_member(v, &i, &key, &member);) {
        if (next < FIGURE_COUNT && bytes_is(key, names[next])) {
            if (json_is_number(member)) row->of[next] = json_real(member, 0);
            next++;
        } else if (bytes_is(key, "at")) {
            wall_parse(json_bytes(member), &row->at);
        }
    }
}

static struct rows read_rows(const struct json *items) {
    struct rows r = {NEW_ARRAY(struct row, json_count(items) + 1), 0};
    const struct json *v;
    for (size_t i = 0; r.of != NULL && json_item(items, &i, &v);) {
        read_row(v, &r.of[r.n]);
        r.n += r.of[r.n].at.ms != 0;
    }
    return r;
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

static void summarise(const struct rows *rows, const struct line *l, struct wall now, struct summary *s) {
    *s = (struct summary){.last = 0};
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *row = &rows->of[i];
        double v, per = 1, most;
        if (!value_of(row, l->key, &v)) continue;
        if (l->per != FIGURE_COUNT && (!value_of(row, l->per, &per) || per <= 0)) continue;
        mean_add(&s->all, v, per);
        if ((double)(now.ms - row->at.ms) < 7 * DAY_MS) mean_add(&s->week, v, per);
        if ((double)(now.ms - row->at.ms) < DAY_MS) mean_add(&s->day, v, per);
        s->last = v / per * l->factor;
        s->has_last = true;
        if (!value_of(row, l->highest == FIGURE_COUNT ? l->key : l->highest, &most)) most = v;
        most = most / per * l->factor;
        if (!s->has_highest || most > s->highest) s->highest = most;
        s->has_highest = true;
        trend_add(&s->trend, row->at, s->last);
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

static void put_line(struct json_out *o, const struct rows *rows, const struct line *l, struct wall now) {
    struct summary s;
    double change = 0;
    summarise(rows, l, now, &s);
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

static double limit_of(const struct capacity *c, const struct limits *limits, const struct row *last) {
    double v;
    if (c->size != FIGURE_COUNT) return value_of(last, c->size, &v) ? v : -1;
    return c->limit == LIMIT_COUNT ? c->fixed : (double)limit_max(limits, c->limit);
}

static void put_capacity(struct json_out *o, const struct capacity *c, const struct rows *rows,
                         const struct limits *limits, struct wall now) {
    struct line l = {c->name, c->key, FIGURE_COUNT, FIGURE_COUNT, c->unit, c->factor};
    struct summary s;
    double change = 0, days = -1;
    summarise(rows, &l, now, &s);
    double most = limit_of(c, limits, &rows->of[rows->n - 1]);
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
    struct rows rows = read_rows(doc == NULL ? NULL : json_root(doc));
    json_free(doc);
    if (doc == NULL || rows.of == NULL) {
        mem_free(rows.of);
        control_error(r, &(struct why){E_MEMORY, "out of memory for the figures"});
        return;
    }
    struct json_out o = control_begin(r, &line, "report");
    json_put_wall(&o, "since", rows.of[0].at); /* without rows: zero, null */
    json_put_uint(&o, "hours", rows.n);
    json_open(&o, "items", '[');
    for (size_t i = 0; i < LEN(lines); i++) put_line(&o, &rows, &lines[i], n->now.wall);
    json_shut(&o, ']');
    json_open(&o, "capacity", '[');
    for (size_t i = 0; rows.n > 0 && i < LEN(capacities); i++)
        put_capacity(&o, &capacities[i], &rows, &n->limits, n->now.wall);
    json_shut(&o, ']');
    control_finish(r, &line, &o);
    mem_free(rows.of);
}
