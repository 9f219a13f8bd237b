/* The items of `silktalk check` that are judged by the node's own figures (operations.md S8): the highest of
 * a day, growth, the accepted week, the trend of a month. */
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "node/trend.h"
#include "ops/check_items.h"

enum {
    DEVIATION = 25,      /* %: W5 */
    FULL_WARN_DAYS = 14, /* W2 */
    FULL_CRIT_DAYS = 3,
    GROWTH_DAYS = 7, /* W2 looks back so far */
    TREND_DAYS = 90, /* M3 looks ahead so far */
    TREND_LEAST_DAYS = 7
};
#define DAY_MS INT64_C(86400000)

static const struct number {
    const char *key, *words, *figure, *per;
    double factor, least;
} numbers[] = {
#define NUMBER(key, words, figure, per, factor, least) {#key, words, figure, per, factor, least},
    CHECK_NUMBERS(NUMBER)};

/* ---- figures */

static const struct json *ask(struct check_context *x, const char *span, int64_t age_ms, const char *names,
                              struct json_doc **doc) {
    struct buf params;
    const struct json *r = NULL;
    struct json_out o = cli_params(&params);
    json_put_str(&o, "span", span);
    json_put_int(&o, "age_ms", age_ms);
    json_put_str(&o, "names", names);
    if (cli_ask(x->cli, "figures", &params, &o, x->cli->timeout_ms, doc, &r) != OK) return NULL;
    return json_get(r, "items");
}

static bool value(const struct json *row, const char *key, double *out) {
    const struct json *v = json_get(row, key);
    *out = json_real(v, 0);
    return json_is_number(v);
}

static bool at(const struct json *row, struct wall *out) {
    return wall_parse(json_get_bytes(row, "at"), out);
}

static void measure_week(struct check_context *x) {
    const struct json *row;
    double sum[CHECK_NUMBER_COUNT] = {0}, per[CHECK_NUMBER_COUNT] = {0};
    struct wall t;
    for (size_t i = 0; json_item(x->hours, &i, &row);) {
        if (!at(row, &t) || x->now.ms - t.ms > 7 * DAY_MS) continue;
        x->number_hours++;
        for (size_t k = 0; k < LEN(numbers); k++) {
            double v, by = 1;
            if (!value(row, numbers[k].figure, &v)) continue;
            if (numbers[k].per != NULL && !value(row, numbers[k].per, &by)) continue;
            sum[k] += v;
            per[k] += by;
        }
    }
    for (size_t k = 0; k < LEN(numbers); k++)
        x->numbers[k] = per[k] > 0 ? sum[k] / per[k] * numbers[k].factor : NAN;
}

void check_measure(struct check_context *x) {
    for (size_t k = 0; k < LEN(numbers); k++) x->numbers[k] = NAN;
    if (x->status == NULL) return;
    x->minutes = ask(x, "minute", DAY_MS,
                     "cpu_max_permille,memory_max_permille,disk_permille,connections_max", &x->kept[0]);
    x->hours = ask(
        x, "hour", 31 * DAY_MS,
        "cpu_permille,memory_permille,disk_permille,disk_used_bytes,disk_size_bytes,connections_max,"
        "database_bytes,inbox,latency_p95_ms,operations,operations_failed,messages_in,messages_out,"
        "bytes_in,bytes_out,resident_bytes,fds,log_lines",
        &x->kept[1]);
    measure_week(x);
}

void check_forget(struct check_context *x) {
    for (size_t i = 0; i < LEN(x->kept); i++) json_free(x->kept[i]);
    x->kept[0] = x->kept[1] = NULL;
    x->minutes = x->hours = NULL;
}

/* Through the rows of the last `days`; `per` NULL: the figure alone. */
static struct trend trend_of(const struct check_context *x, int days, const char *key, const char *per,
                             double factor) {
    struct trend t = {.n = 0};
    const struct json *row;
    struct wall when;
    double v, by = 1;
    for (size_t i = 0; json_item(x->hours, &i, &row);)
        if (at(row, &when) && x->now.ms - when.ms <= days * DAY_MS && value(row, key, &v) &&
            (per == NULL || (value(row, per, &by) && by > 0)))
            trend_add(&t, when, v / by * factor);
    return t;
}

/* ---- D3, D4: the highest of 24 hours */

static double percent(const struct config *c, enum config_key key) {
    return (double)c->entries[key].value.count / 1000;
}

void check_maxima(const struct check_context *x, struct check_result *r, const char *names) {
    const struct config *c = x->config;
    const struct {
        enum health_check check;
        const char *figure, *unit;
        double factor, warning, critical;
    } rows[] = {{HEALTH_CHECK_cpu, "cpu_max_permille", "%", 0.1, percent(c, CONFIG_health_cpuWarning),
                 percent(c, CONFIG_health_cpuCritical)},
                {HEALTH_CHECK_memory, "memory_max_permille", "%", 0.1,
                 percent(c, CONFIG_health_memoryWarning), percent(c, CONFIG_health_memoryCritical)},
                {HEALTH_CHECK_disk, "disk_permille", "%", 0.1, percent(c, CONFIG_health_diskWarning),
                 percent(c, CONFIG_health_diskCritical)},
                {HEALTH_CHECK_connections, "connections_max", "", 1,
                 (double)cfg(c, health_connectionsWarning).count,
                 (double)cfg(c, health_connectionsCritical).count}};
    for (size_t i = 0; i < LEN(rows); i++) {
        const struct json *row;
        const char *name = health_rows[rows[i].check].name;
        double most = NAN, v;
        struct wall when, top = {0};
        if (strstr(names, name) == NULL) continue;
        for (size_t k = 0; json_item(x->minutes, &k, &row);)
            if (value(row, rows[i].figure, &v) && at(row, &when) && !(v * rows[i].factor <= most)) {
                most = v * rows[i].factor;
                top = when;
            }
        if (isnan(most)) continue;
        char ago[32];
        duration_text(MAX(x->now.ms - top.ms, (int64_t)0), ago);
        check_evidence(r, "%s at most %.3g%s in 24 h (%s ago)", name, most, rows[i].unit, ago);
        bool critical = most >= rows[i].critical, warning = most >= rows[i].warning;
        if (!warning || r->status == HEALTH_CRITICAL || (r->status == HEALTH_WARNING && !critical)) continue;
        check_found(r, critical ? HEALTH_CRITICAL : HEALTH_WARNING, critical ? HEALTH_P1 : HEALTH_P2,
                    "%s was at %.3g%s %s ago", name, most, rows[i].unit, ago);
        r->fix = health_rows[rows[i].check].fix;
    }
    if (x->status != NULL && json_count(x->minutes) == 0) check_evidence(r, "no figures of the last day yet");
}

/* ---- W2: when is the disk full at this growth */

/* The sooner of two: how full the fullest disk is, in thousandths; and the database's own in bytes, exact. */
void check_disk(struct check_context *x, struct check_result *r) {
    struct trend fullest = trend_of(x, GROWTH_DAYS, "disk_permille", NULL, 0.1);
    struct trend data = trend_of(x, GROWTH_DAYS, "disk_used_bytes", "disk_size_bytes", 100);
    const struct trend *both[] = {&fullest, &data};
    double days = INFINITY, now = NAN, growth = 0;
    r->fix = "free space; silktalk inbox delete --older 30d; logging.retention";
    if (x->status == NULL) {
        check_found(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "the node does not answer");
        return;
    }
    for (size_t i = 0; i < LEN(both); i++) {
        double slope, left, end = trend_end(both[i]);
        if (!trend_slope(both[i], &slope)) continue;
        if (isnan(now)) {
            now = end;
            growth = slope;
        }
        left = slope > 0 && trend_certain(both[i]) ? (100 - end) / slope : INFINITY;
        if (left >= days) continue;
        days = left;
        now = end;
        growth = slope;
    }
    if (isnan(now)) {
        CHECK_WELL(r, "its growth is known after a day of figures (%zu hours so far)", x->number_hours);
        return;
    }
    check_evidence(r, "%.1f%% full, %+.2f%% a day in the last %d days", now, growth, GROWTH_DAYS);
    if (days < FULL_CRIT_DAYS)
        CHECK_P1(r, "full in %.1f days at this growth", MAX(days, 0.0));
    else if (days < FULL_WARN_DAYS)
        CHECK_P2(r, "full in %.0f days at this growth", days);
    else
        CHECK_WELL(r, "%.0f%% full, %+.2f%% a day", now, growth);
}

/* ---- W5: the accepted week */

void check_baseline(struct check_context *x, struct check_result *r) {
    const struct json *accepted = json_get(x->acks, "W5"), *then = json_get(accepted, "numbers");
    int64_t hours = json_get_int(accepted, "hours", 0);
    r->fix = "silktalk check weekly --ack W5 --note TEXT accepts the present figures";
    if (x->status == NULL) {
        check_found(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "the node does not answer");
        return;
    }
    for (size_t k = 0; k < LEN(numbers); k++)
        if (!isnan(x->numbers[k])) check_evidence(r, "%s %.4g", numbers[k].words, x->numbers[k]);
    if (accepted == NULL) {
        CHECK_WELL(r, "no week was accepted yet: --ack W5 accepts the present one");
        return;
    }
    if (hours < CHECK_HOURS || x->number_hours < CHECK_HOURS) {
        CHECK_WELL(r, "too few figures to compare: %zu hours, the accepted ones are of %lld; %d are needed",
                   x->number_hours, (long long)hours, CHECK_HOURS);
        return;
    }
    CHECK_WELL(r, "within %d%% of the accepted week", DEVIATION);
    double worst = 0;
    for (size_t k = 0; k < LEN(numbers); k++) {
        double before, now = x->numbers[k];
        if (!value(then, numbers[k].key, &before) || isnan(now)) continue;
        double off = now - before, share = before > 0 ? off / before * 100 : off > 0 ? 1000 : 0;
        if (fabs(share) <= DEVIATION || fabs(off) < numbers[k].least || fabs(share) <= worst) continue;
        worst = fabs(share);
        CHECK_P2(r, "%s: %.4g, %+.0f%% off the accepted %.4g", numbers[k].words, now, MIN(share, 1000.0),
                 before);
    }
}

/* ---- M3: what reaches its threshold if it goes on so */

void check_capacity(struct check_context *x, struct check_result *r) {
    const struct config *c = x->config;
    const struct {
        const char *words, *figure, *per;
        double factor, limit;
    } rows[] = {
        {"cpu", "cpu_permille", NULL, 0.1, percent(c, CONFIG_health_cpuWarning)},
        {"memory", "memory_permille", NULL, 0.1, percent(c, CONFIG_health_memoryWarning)},
        {"disk", "disk_permille", NULL, 0.1, percent(c, CONFIG_health_diskWarning)},
        {"connections", "connections_max", NULL, 1, (double)cfg(c, health_connectionsWarning).count},
        {"latency", "latency_p95_ms", NULL, 1, (double)cfg(c, health_latencyWarning).ms},
        {"error rate", "operations_failed", "operations", 100, percent(c, CONFIG_health_errorsWarning)},
        {"database", "database_bytes", NULL, 1, (double)cfg(c, database_maxSize).count},
        {"inbox", "inbox", NULL, 1, (double)cfg(c, messages_inboxMax).count}};
    double soonest = TREND_DAYS, span = 0;
    r->fix = "silktalk report; more room, or a higher limit, before that day";
    if (x->status == NULL) {
        check_found(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "the node does not answer");
        return;
    }
    CHECK_WELL(r, "no warning threshold is reached within %d days at this trend", TREND_DAYS);
    for (size_t i = 0; i < LEN(rows); i++) {
        struct trend t = trend_of(x, 31, rows[i].figure, rows[i].per, rows[i].factor);
        double slope, end = trend_end(&t);
        span = MAX(span, t.last - t.first);
        if (t.last - t.first < TREND_LEAST_DAYS || !trend_slope(&t, &slope)) continue;
        check_evidence(r, "%s %.4g of %.4g, %+.3g a day", rows[i].words, end, rows[i].limit, slope);
        if (slope <= 0 || !trend_certain(&t)) continue;
        double days = MAX((rows[i].limit - end) / slope, 0.0);
        if (days >= soonest) continue;
        soonest = days;
        CHECK_P2(r, "%s reaches its threshold in %.0f days", rows[i].words, days);
    }
    if (span < TREND_LEAST_DAYS)
        CHECK_WELL(r, "a trend is known after %d days of figures (%.1f so far)", TREND_LEAST_DAYS, span);
}
