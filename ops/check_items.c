#include "ops/check_items.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "gen/version.h"
#include "ops/check_logs.h"
#include "ops/netcheck.h"

enum { BUILD_DAYS = 180, ACK_DAYS = 31, SHOWN_DAYS = 5, JOURNAL_DAYS = 7 };
static const double day_s = 86400;

const char *const check_periods[CHECK_PERIODS] = {"daily", "weekly", "monthly"};
void check_found(struct check_result *r, enum health_status s, enum health_level level, const char *format,
                 ...) {
    va_list ap;
    r->status = s;
    r->level = level;
    va_start(ap, format);
    vsnprintf(r->finding, sizeof r->finding, format, ap);
    va_end(ap);
}
void check_evidence(struct check_result *r, const char *format, ...) {
    size_t used = strlen(r->evidence);
    va_list ap;
    if (used > 0 && used + 3 < sizeof r->evidence) {
        memcpy(r->evidence + used, "; ", 3);
        used += 2;
    }
    va_start(ap, format);
    vsnprintf(r->evidence + used, sizeof r->evidence - used, format, ap);
    va_end(ap);
}

/* ---- what health judges too: the worst of these checks */

static int urgency(enum health_status s) {
    static const int order[] = {0, 2, 3, 1};
    return order[s];
}

static enum health_level level_of(struct bytes text) {
    return text.n == 2 && text.p[0] == 'P' && text.p[1] <= '3' ? (enum health_level)(text.p[1] - '0')
                                                               : HEALTH_NO_LEVEL;
}

static void of_health(struct check_context *x, struct check_result *r, const char *names) {
    const struct json *check, *checks = json_get(x->health, "checks");
    struct bytes list = bytes_of(names), word;
    CHECK_WELL(r, "within the thresholds");
    while (bytes_split(&list, ' ', &word)) {
        for (size_t i = 0; json_item(checks, &i, &check);) {
            struct bytes name = json_get_bytes(check, "name"), m = json_get_bytes(check, "message");
            if (!bytes_eq(name, word)) continue;
            enum health_status s = health_status_of(json_get_bytes(check, "status"));
            check_evidence(r, "%.*s %.*s", (int)MIN(name.n, (size_t)20), (const char *)name.p,
                           (int)MIN(m.n, (size_t)100), (const char *)m.p);
            if (!json_get_bool(check, "judged", true) || urgency(s) <= urgency(r->status)) continue;
            check_found(r, s, level_of(json_get_bytes(check, "level")), "%.*s %.*s",
                        (int)MIN(name.n, (size_t)20), (const char *)name.p, (int)MIN(m.n, (size_t)150),
                        (const char *)m.p);
            for (size_t k = 0; k < HEALTH_CHECK_COUNT; k++)
                if (bytes_is(name, health_rows[k].name)) r->fix = health_rows[k].fix;
        }
    }
}

static void run_node(struct check_context *x, struct check_result *r) {
    of_health(x, r, "node peers database");
}
static void run_resources(struct check_context *x, struct check_result *r) {
    of_health(x, r, "cpu memory disk");
    check_maxima(x, r, "cpu memory disk");
}
static void run_connections(struct check_context *x, struct check_result *r) {
    of_health(x, r, "connections");
    check_maxima(x, r, "connections");
    if (x->status == NULL) check_found(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "the node does not answer");
}

/* ---- logs */

static void run_logs(struct check_context *x, struct check_result *r) {
    struct log_counts c;
    r->fix = "silktalk log; silktalk health -v";
    if (!check_logs(cfg(x->config, logging_file).text, x->now, &c)) {
        check_found(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "the log file can not be read");
        r->judged = cfg(x->config, logging_file).text[0] != 0; /* one that is switched off is no finding */
        return;
    }
    double mean_errors = c.days > 0 ? (double)c.errors_before / c.days : 0,
           mean_warnings = c.days > 0 ? (double)c.warnings_before / c.days : 0;
    check_evidence(r, "24 h: %llu ERROR, %llu WARN; before: %.1f and %.1f a day over %.1f days",
                   (unsigned long long)c.errors, (unsigned long long)c.warnings, mean_errors, mean_warnings,
                   c.days);
    if (c.fresh[0] != 0 && c.days >= 1) check_evidence(r, "new: %s", c.fresh);
    bool errors = c.errors >= 10 && (double)c.errors >= 3 * mean_errors,
         warnings = c.warnings >= 10 && (double)c.warnings >= 3 * mean_warnings;
    if (errors || warnings)
        CHECK_P2(r, "%llu lines of %s in 24 h, over three times the mean",
                 (unsigned long long)(errors ? c.errors : c.warnings), errors ? "ERROR" : "WARN");
    else if (c.fresh[0] != 0 && c.days >= 1)
        CHECK_P2(r, "a text that was not there before: %.120s", c.fresh);
    else
        CHECK_WELL(r, "%llu ERROR, %llu WARN in 24 h", (unsigned long long)c.errors,
                   (unsigned long long)c.warnings);
}

/* Days on which the node wrote lines, and of which no file has any. */
static size_t missing_days(const struct check_context *x, const struct archive_facts *a,
                           struct check_result *r) {
    const int64_t day_ms = 86400000, kept = cfg(x->config, logging_retention).ms / day_ms;
    bool missing[ARCHIVE_DAYS] = {false};
    const struct json *row;
    struct wall t;
    size_t n = 0;
    for (size_t i = 0; json_item(x->hours, &i, &row);) {
        if (!wall_parse(json_get_bytes(row, "at"), &t) || json_get_int(row, "log_lines", 0) == 0) continue;
        int64_t k = x->now.ms / day_ms -
                    t.ms / day_ms; /* today is not over, and the last day may just have gone */
        if (k > 0 && k < MIN(kept, (int64_t)ARCHIVE_DAYS) && !a->covered[k]) missing[k] = true;
    }
    for (int k = ARCHIVE_DAYS - 1; k > 0; k--) {
        char day[32];
        if (!missing[k]) continue;
        wall_text((struct wall){x->now.ms - k * day_ms}, day);
        if (n++ < SHOWN_DAYS) check_evidence(r, "lines were written, and are gone: %.10s", day);
    }
    return n;
}

/* The journal holds fewer days than the manual asks for (4.1), though the node has been here for longer. */
static bool short_journal(const struct check_context *x, struct check_result *r) {
    struct wall oldest, first = x->now, t;
    const struct json *row;
    for (size_t i = 0; json_item(x->hours, &i, &row);)
        if (wall_parse(json_get_bytes(row, "at"), &t) && t.ms < first.ms) first = t;
    if ((double)(x->now.ms - first.ms) / 1000 < JOURNAL_DAYS * day_s || !journal_oldest(&oldest))
        return false;
    double days = (double)(x->now.ms - oldest.ms) / 1000 / day_s;
    check_evidence(r, "the journal has %.1f days", days);
    return days < JOURNAL_DAYS;
}

static void short_journal_found(struct check_result *r) {
    r->judged = true;
    r->fix = "MaxRetentionSec= and SystemMaxUse= in journald.conf; contrib/examples/journald.conf.d";
    CHECK_P2(r, "the system's journal holds less than %d days", JOURNAL_DAYS);
}

static void run_archive(struct check_context *x, struct check_result *r) {
    struct archive_facts a;
    bool journal = short_journal(x, r);
    r->fix = "look at the log folder; silktalk config get logging.retention";
    if (!check_archive(cfg(x->config, logging_file).text, x->now, cfg(x->config, logging_retention).ms, &a)) {
        check_found(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "the log folder can not be read");
        r->judged = cfg(x->config, logging_file).text[0] != 0;
        if (journal) short_journal_found(r);
        return;
    }
    check_evidence(r, "%zu archives", a.count);
    if (a.bad > 0) check_evidence(r, "damaged: %s", a.bad_name);
    if (a.old > 0) check_evidence(r, "older than the retention: %zu", a.old);
    if (a.unreadable > 0) check_evidence(r, "not readable: %s", a.unreadable_name);
    size_t missing = a.unreadable > 0 ? 0 : missing_days(x, &a, r);
    if (a.bad > 0)
        CHECK_P2(r, "%zu archives are damaged, or no gzip files", a.bad);
    else if (a.old > 0)
        CHECK_P2(r, "%zu archives are older than logging.retention", a.old);
    else if (missing > 0)
        CHECK_P2(r, "%zu days are missing between the archives", missing);
    else if (journal)
        short_journal_found(r);
    else if (a.unreadable > 0)
        check_found(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "%zu files can not be read", a.unreadable);
    else if (x->hours == NULL)
        CHECK_WELL(r, "%zu archives, none damaged; whether a day is missing the running node knows", a.count);
    else
        CHECK_WELL(r, "%zu archives, none missing or damaged", a.count);
}

static void run_network(struct check_context *x, struct check_result *r) {
    struct net_item items[NET_ITEMS];
    netcheck_run(x->cli, items);
    CHECK_WELL(r, "listener, bootstrap, names and clock are well");
    for (size_t i = 0; i < NET_ITEMS; i++) {
        check_evidence(r, "%s: %.90s", items[i].name, items[i].finding);
        if (!items[i].judged || urgency(items[i].status) <= urgency(r->status)) continue;
        check_found(r, items[i].status, items[i].status == HEALTH_CRITICAL ? HEALTH_P1 : HEALTH_P2,
                    "%s: %.170s", items[i].name, items[i].finding);
        r->fix = items[i].fix;
    }
}

/* ---- versions, documents */

static double days_since(const struct json *run, struct wall now) {
    struct wall t;
    return wall_parse(json_get_bytes(run, "at"), &t) ? (double)(now.ms - t.ms) / 1000 / day_s : NAN;
}

static void run_updates(struct check_context *x, struct check_result *r) {
    struct stat st;
    struct bytes running = json_get_bytes(json_get(x->status, "node"), "version");
    const struct json *pending = json_get(json_get(x->status, "state"), "restart_pending");
    double age = stat("/proc/self/exe", &st) == 0 ? ((double)x->now.ms / 1000 - (double)st.st_mtime) / day_s
                                                  : NAN;
    check_evidence(r, "version %s (%s)", SILKTALK_VERSION, SILKTALK_SOURCE_ID);
    if (!isnan(age)) check_evidence(r, "executable of %.0f days ago", age);
    check_evidence(r, "newer packages: not known before delivery E");
    r->fix = "silktalk restart";
    if (running.n > 0 && !bytes_is(running, SILKTALK_VERSION)) {
        CHECK_P2(r, "the node runs version %.*s, this is %s: restart pending",
                 (int)MIN(running.n, (size_t)40), (const char *)running.p, SILKTALK_VERSION);
    } else if (json_count(pending) > 0) {
        CHECK_P2(r, "%zu settings wait for a restart", json_count(pending));
    } else if (access("/run/reboot-required", F_OK) == 0) {
        CHECK_P2(r, "this host waits for a reboot (/run/reboot-required)");
        r->fix = "reboot this host";
    } else if (age > BUILD_DAYS) {
        CHECK_P2(r, "this build is %.0f days old", age);
        r->fix = "install a newer version";
    } else {
        CHECK_WELL(r, "nothing is pending");
    }
}

static void run_documents(struct check_context *x, struct check_result *r) {
    const struct json *ack = json_get(x->acks, "M4");
    double days = days_since(ack, x->now);
    struct bytes note = json_get_bytes(ack, "note");
    r->fix = "silktalk check monthly --ack M4 --note \"who looked at them\"";
    if (isnan(days)) {
        CHECK_P2(r, "nobody has said that the documents are up to date");
        return;
    }
    check_evidence(r, "%.0f days ago: %.*s", days, (int)MIN(note.n, (size_t)200), (const char *)note.p);
    if (days > ACK_DAYS)
        CHECK_P2(r, "the documents were looked at %.0f days ago", days);
    else
        CHECK_WELL(r, "looked at %.0f days ago", days);
}

static const char later_text[] = "not known: comes with delivery D of this program";
const struct check_row check_rows[] = {
    {0, "D1", "node status", run_node, NULL},
    {0, "D2", "log anomalies", run_logs, NULL},
    {0, "D3", "cpu, memory, disk", run_resources, NULL},
    {0, "D4", "connections", run_connections, NULL},
    {0, "D5", "network", run_network, NULL},
    {1, "W1", "log archive", run_archive, NULL},
    {1, "W2", "disk space", check_disk, NULL},
    {1, "W3", "security updates", run_updates, NULL},
    {1, "W4", "backup verification", NULL, later_text},
    {1, "W5", "performance baseline", check_baseline, NULL},
    {2, "M1", "full backup", NULL, later_text},
    {2, "M2", "security audit", NULL, later_text},
    {2, "M3", "capacity planning", check_capacity, NULL},
    {2, "M4", "documents", run_documents, NULL},
    {2, "M5", "recovery drill", NULL, later_text},
    {0, NULL, NULL, NULL, NULL},
};

const struct check_row *check_find(const char *id) {
    for (const struct check_row *row = check_rows; row->id != NULL; row++)
        if (strcmp(row->id, id) == 0) return row;
    return NULL;
}
