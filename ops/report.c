#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "loop/clocks.h"
#include "node/trend.h"
#include "ops/cli.h"

APPLET(report)
const struct opt report_opts[] = {{0, "since", "D", "31d", "figures from then on (a time, or so long ago)"},
                                  {0}};
const char report_text[] =
    "Usage: silktalk report [--since D] [--json]\n"
    "Trends of the node's own figures: the last hour beside the mean of the last day, the last week and\n"
    "the whole time (the baseline), how much it changes in a day; and when a limit will be reached if\n"
    "it goes on so. Figures are kept by the hour for 31 days; a trend needs a day of them.\n"
    "Examples:\n"
    "  silktalk report\n"
    "  silktalk report --since 7d --json\n";

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

/* What can be full: the figure, and its limit: of `diag limits`, another figure, or a number. */
static const struct capacity {
    const char *name, *key, *limit, *size;
    enum unit unit;
    double factor, fixed;
} capacities[] = {
    {"disk of the database", "disk_used_bytes", NULL, "disk_size_bytes", UNIT_BYTES, 1, 0},
    {"database (database.maxSize)", "database_bytes", "database_bytes", NULL, UNIT_BYTES, 1, 0},
    {"connections (maxConnections)", "connections_max", "connections", NULL, UNIT_NUMBER, 1, 0},
    {"inbox (messages.inboxMax)", "inbox", "inbox_messages", NULL, UNIT_NUMBER, 1, 0},
    {"outbox (messages.outboxMax)", "outbox", "outbox_messages", NULL, UNIT_NUMBER, 1, 0},
    {"known peers", "peers_known", "known_peers", NULL, UNIT_NUMBER, 1, 0},
    {"memory", "memory_max_permille", NULL, NULL, UNIT_PERCENT, 0.1, 100},
    {"cpu", "cpu_max_permille", NULL, NULL, UNIT_PERCENT, 0.1, 100},
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

static double limit_of(const struct capacity *c, const struct json *limits, const struct json *last) {
    const struct json *row;
    double v;
    if (c->size != NULL) return value_of(last, c->size, &v) ? v : -1;
    if (c->limit == NULL) return c->fixed;
    for (size_t i = 0; json_item(limits, &i, &row);)
        if (bytes_is(json_get_bytes(row, "limit"), c->limit) && value_of(row, "max", &v)) return v;
    return -1;
}

static void put_capacity(struct json_out *o, const struct capacity *c, const struct json *items,
                         const struct json *limits, struct wall now) {
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

static bool make(struct buf *out, const struct json *items, const struct json *limits) {
    struct json_out o = json_begin(out);
    struct wall now = clocks_now().wall;
    size_t n = json_count(items);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.report/1");
    json_put_value(&o, "since", json_get(json_at(items, 0), "at"));
    json_put_uint(&o, "hours", n);
    json_open(&o, "items", '[');
    for (size_t i = 0; i < LEN(lines); i++) put_line(&o, items, &lines[i], now);
    json_shut(&o, ']');
    json_open(&o, "capacity", '[');
    for (size_t i = 0; n > 0 && i < LEN(capacities); i++)
        put_capacity(&o, &capacities[i], items, limits, now);
    json_shut(&o, ']');
    json_shut(&o, '}');
    return json_end(&o);
}

/* ---- for people */

static void cell_value(const struct json *row, const char *key, bool sign, struct buf *out) {
    const struct json *v = json_get(row, key);
    struct bytes unit = json_get_bytes(row, "unit");
    char size[32];
    if (!json_is_number(v)) return;
    double x = json_real(v, 0);
    if (sign && x != 0) buf_add_text(out, x < 0 ? "-" : "+");
    if (sign) x = fabs(x);
    if (bytes_is(unit, "bytes")) {
        size_text((uint64_t)MAX(x, 0.0), size);
        buf_add_text(out, size);
    } else {
        const char *tail = bytes_is(unit, "percent") ? "%" : bytes_is(unit, "milliseconds") ? "ms" : "";
        buf_add_format(out, x == floor(x) || x >= 100 ? "%.0f%s" : "%.1f%s", x, tail);
    }
}
#define VALUE(name, key, sign)                                                                               \
    static void name(const struct json *row, struct buf *out) {                                              \
        cell_value(row, key, sign, out);                                                                     \
    }
CELL(figure, text, "figure")
CELL(limit, text, "limit")
VALUE(last, "last", false)
VALUE(day, "day", false)
VALUE(week, "week", false)
VALUE(all, "all", false)
VALUE(highest, "highest", false)
VALUE(change, "change_per_day", true)
VALUE(used, "used", false)
VALUE(most, "max", false)

static void reached(const struct json *row, struct buf *out) {
    const struct json *s = json_get(row, "reached_in_seconds");
    char text[32];
    if (!json_is_number(s)) {
        buf_add_text(out, json_is_number(json_get(row, "change_per_day")) ? "not at this rate"
                                                                          : "too few figures");
        return;
    }
    duration_text((int64_t)json_real(s, 0) * 1000, text);
    buf_add_format(out, json_real(s, 0) > 0 ? "in %s" : "now", text);
}

static void show(struct cli *c, const struct json *r) {
    static const struct cli_column columns[] = {{"FIGURE", false, figure},
                                                {"LAST-HOUR", true, last},
                                                {"DAY", true, day},
                                                {"WEEK", true, week},
                                                {"ALL", true, all},
                                                {"HIGHEST", true, highest},
                                                {"PER-DAY", true, change}};
    static const struct cli_column capacity[] = {{"LIMIT", false, limit},
                                                 {"USED", true, used},
                                                 {"MAX", true, most},
                                                 {"PER-DAY", true, change},
                                                 {"REACHED", false, reached}};
    struct buf since = {.max = 128};
    long long hours = (long long)json_get_int(r, "hours", 0);
    if (hours == 0) {
        puts("There are no figures yet: the first come a minute after the start.");
        return;
    }
    cli_time(json_get(r, "since"), &since);
    printf("Since      %s, %lld hours with figures\n\n", buf_cstr(&since), hours);
    buf_free(&since);
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
    putchar('\n');
    cli_table(c, capacity, LEN(capacity), json_get(r, "capacity"));
}

int report_main(struct cli *c) {
    struct buf params, text = {.max = 1 << 20};
    struct json_doc *figures = NULL, *limits = NULL, *report = NULL;
    const struct json *rows = NULL, *maxima = NULL;
    struct wall since;
    char at[32];
    if (c->n_args > 0) return cli_usage(c, "report takes no words");
    enum err e = cli_moment(c, "since", &since);
    if (e != OK) return cli_exit(c, e);
    struct json_out o = cli_params(&params);
    json_put_str(&o, "span", "hour");
    wall_text(since, at);
    if (since.ms > 0) json_put_str(&o, "since", at);
    e = cli_ask(c, "figures", &params, &o, c->timeout_ms, &figures, &rows);
    if (e == OK) {
        o = cli_params(&params);
        e = cli_ask(c, "diag.limits", &params, &o, c->timeout_ms, &limits, &maxima);
    }
    if (e == OK && !make(&text, json_get(rows, "items"), json_get(maxima, "items")))
        e = fail(&c->why, E_MEMORY, "out of memory");
    if (e == OK) {
        report = json_parse(buf_view(&text), &c->why);
        e = report == NULL ? E_FAILED : OK;
    }
    if (e == OK && c->json)
        cli_print_json(json_root(report));
    else if (e == OK)
        show(c, json_root(report));
    json_free(report);
    json_free(limits);
    json_free(figures);
    buf_free(&text);
    return cli_exit(c, e);
}
