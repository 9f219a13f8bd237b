#include "node/health.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

enum {
    SLOW_TURN_MS = 5000,    /* operations.md S8: node (loop <= 5 s) */
    STORE_STUCK_MS = 10000, /* one operation of the store takes milliseconds */
    PEERS_GRACE_MS = 30000, /* after the start, before missing peers are a fault */
    CLOCK_PEERS = 3         /* so many must agree before the clock is critically wrong */
};

#define ROW(name, unit, below, meaning, fix) {#name, unit, below, meaning, fix},
const struct health_row health_rows[HEALTH_CHECK_COUNT] = {HEALTH_CHECKS(ROW)};
#define STATUS_NAME(symbol, name) name,
static const char *const status_names[] = {HEALTH_STATUSES(STATUS_NAME)};

const char *health_status_name(enum health_status s) {
    return status_names[s];
}

enum health_status health_status_of(struct bytes name) {
    for (int i = 0; i < HEALTH_STATUS_COUNT; i++)
        if (bytes_is(name, status_names[i])) return (enum health_status)i;
    return HEALTH_UNKNOWN;
}

void health_facts_init(struct health_facts *f) {
    *f = (struct health_facts){.cpu_percent = NAN,
                               .memory_percent = NAN,
                               .disk_percent = NAN,
                               .certificate_seconds = NAN,
                               .disk_free_bytes = -1,
                               .cpu_of = "host",
                               .disk_of = "data"};
}

PRINTF_LIKE(4, 5)
static void say(struct health_result *r, enum health_status s, enum health_level level, const char *format,
                ...) {
    va_list ap;
    r->status = s;
    r->level = level;
    va_start(ap, format);
    vsnprintf(r->message, sizeof r->message, format, ap);
    va_end(ap);
}
#define WELL(r, ...) say(r, HEALTH_OK, HEALTH_NO_LEVEL, __VA_ARGS__)
#define P2(r, ...) say(r, HEALTH_WARNING, HEALTH_P2, __VA_ARGS__)
#define P1(r, ...) say(r, HEALTH_CRITICAL, HEALTH_P1, __VA_ARGS__)
#define DUNNO(r, ...) say(r, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, __VA_ARGS__)

static void later(struct health_result *r, const char *text) {
    DUNNO(r, "%s", text);
    r->judged = false;
}

static void thresholds(struct health_result *r, double normal, double warning, double critical) {
    r->normal = normal;
    r->warning = warning;
    r->critical = critical;
}

/* The value has been set: the status by the thresholds, the message by the caller's words. */
static void against(struct health_result *r, const char *text) {
    if (r->value >= r->critical)
        P1(r, "%s", text);
    else if (r->value >= r->warning)
        P2(r, "%s", text);
    else
        WELL(r, "%s", text);
}

static double percent(const struct config *c, enum config_key key) {
    return (double)c->entries[key].value.count / 1000;
}
static double seconds(const struct config *c, enum config_key key) {
    return (double)c->entries[key].value.ms / 1000;
}
static double count(const struct config *c, enum config_key key) {
    return (double)c->entries[key].value.count;
}

/* ---- the checks. Numbers or facts may be missing: `needs` has said so then */

static void judge_node(const struct health_input *in, struct health_result *r) {
    const struct health_numbers *n = in->numbers;
    thresholds(r, NAN, NAN, SLOW_TURN_MS / 1000.0);
    if (n == NULL && in->unreachable) {
        DUNNO(r, "%s", in->down);
        return;
    }
    if (n == NULL) {
        say(r, HEALTH_CRITICAL, HEALTH_P0, "%s", in->down == NULL ? "is not running" : in->down);
        return;
    }
    char up[32];
    r->value = (double)n->turn_us / 1e6;
    duration_text(n->uptime_ms, up);
    if (n->turn_us > SLOW_TURN_MS * 1000)
        P1(r, "a turn of the loop took %.1fs", r->value);
    else if (n->stopping)
        P2(r, "is stopping");
    else if (n->wants_to_listen && !n->listens)
        P1(r, "listens nowhere");
    else if (in->facts != NULL && in->facts->listeners_lost > 0)
        P1(r, "%zu listeners were lost", in->facts->listeners_lost);
    else
        WELL(r, "up %s", up);
}

static void judge_cpu(const struct health_input *in, struct health_result *r) {
    char text[64];
    thresholds(r, percent(in->config, CONFIG_health_cpuNormal), percent(in->config, CONFIG_health_cpuWarning),
               percent(in->config, CONFIG_health_cpuCritical));
    if (in->facts->cpu_later) {
        WELL(r, "is being measured");
        return;
    }
    r->value = in->facts->cpu_percent;
    if (isnan(r->value)) {
        DUNNO(r, "use is not known here (no /proc)");
        return;
    }
    snprintf(text, sizeof text, "%.0f%% (%s)", r->value, in->facts->cpu_of);
    against(r, text);
}

static void judge_memory(const struct health_input *in, struct health_result *r) {
    char text[64];
    thresholds(r, percent(in->config, CONFIG_health_memoryNormal),
               percent(in->config, CONFIG_health_memoryWarning),
               percent(in->config, CONFIG_health_memoryCritical));
    r->value = in->facts->memory_percent;
    if (isnan(r->value)) {
        DUNNO(r, "use is not known here (no /proc)");
        return;
    }
    snprintf(text, sizeof text, "%.0f%%", r->value);
    against(r, text);
}

static void judge_disk(const struct health_input *in, struct health_result *r) {
    char text[96], size[32] = "";
    thresholds(r, percent(in->config, CONFIG_health_diskNormal),
               percent(in->config, CONFIG_health_diskWarning),
               percent(in->config, CONFIG_health_diskCritical));
    r->value = in->facts->disk_percent;
    if (isnan(r->value)) {
        DUNNO(r, "use is not known: the folder of the data can not be looked at");
        return;
    }
    if (in->facts->disk_free_bytes >= 0) size_text((uint64_t)in->facts->disk_free_bytes, size);
    snprintf(text, sizeof text, "%.0f%% (%s%s%s)", r->value, in->facts->disk_of,
             size[0] != 0 ? ", free " : "", size);
    against(r, text);
}

static void judge_connections(const struct health_input *in, struct health_result *r) {
    char text[64];
    thresholds(r, count(in->config, CONFIG_health_connectionsNormal),
               count(in->config, CONFIG_health_connectionsWarning),
               count(in->config, CONFIG_health_connectionsCritical));
    r->value = (double)in->numbers->connections;
    snprintf(text, sizeof text, "%llu of %llu", (unsigned long long)in->numbers->connections,
             (unsigned long long)cfg(in->config, connection_maxConnections).count);
    against(r, text);
}

static bool enough(const struct health_input *in, struct health_result *r, uint64_t samples) {
    uint64_t least = cfg(in->config, health_minSamples).count;
    char window[32];
    if (samples >= least) return true;
    duration_text(in->numbers->window_ms, window);
    WELL(r, "no verdict: %llu of %llu samples in %s", (unsigned long long)samples, (unsigned long long)least,
         window);
    return false;
}

static void judge_latency(const struct health_input *in, struct health_result *r) {
    char text[64];
    thresholds(r, seconds(in->config, CONFIG_health_latencyNormal),
               seconds(in->config, CONFIG_health_latencyWarning),
               seconds(in->config, CONFIG_health_latencyCritical));
    if (!enough(in, r, in->numbers->latency_samples)) return;
    r->value = (double)in->numbers->latency_p95_ms / 1000;
    snprintf(text, sizeof text, "p95 %lldms", (long long)in->numbers->latency_p95_ms);
    against(r, text);
}

static void judge_errors(const struct health_input *in, struct health_result *r) {
    const struct health_numbers *n = in->numbers;
    char text[64];
    thresholds(r, percent(in->config, CONFIG_health_errorsNormal),
               percent(in->config, CONFIG_health_errorsWarning),
               percent(in->config, CONFIG_health_errorsCritical));
    if (!enough(in, r, n->operations)) return;
    r->value = n->operations == 0 ? 0 : 100.0 * (double)n->failed / (double)n->operations;
    snprintf(text, sizeof text, "%.2f%% (%llu of %llu)", r->value, (unsigned long long)n->failed,
             (unsigned long long)n->operations);
    against(r, text);
}

static void judge_outbox(const struct health_input *in, struct health_result *r) {
    char text[64], age[32];
    thresholds(r, NAN, seconds(in->config, CONFIG_health_outboxAgeWarning),
               seconds(in->config, CONFIG_health_outboxAgeCritical));
    r->value = 0;
    if (in->numbers->outbox == 0 || in->numbers->outbox_age_ms < 0) {
        WELL(r, "%s", in->numbers->outbox == 0 ? "empty" : "is being read");
        return;
    }
    r->value = (double)in->numbers->outbox_age_ms / 1000;
    duration_text(in->numbers->outbox_age_ms, age);
    snprintf(text, sizeof text, "oldest %s, %llu waiting", age, (unsigned long long)in->numbers->outbox);
    against(r, text);
}

static void judge_peers(const struct health_input *in, struct health_result *r) {
    const struct config *c = in->config;
    const struct health_numbers *n = in->numbers;
    uint64_t least = cfg(c, health_peersMin).count;
    bool expected = cfg(c, discovery_bootstrap).list.n > 0 || cfg(c, access_allowPeers).list.n > 0 ||
                    n->known_peers > 0;
    thresholds(r, NAN, NAN, (double)least);
    r->value = (double)n->peers;
    if (!expected)
        WELL(r, "none, and none known yet");
    else if (n->peers < least && n->uptime_ms < PEERS_GRACE_MS)
        WELL(r, "%llu connected, just started", (unsigned long long)n->peers);
    else if (n->peers < least)
        P1(r, "%llu connected, %llu wanted", (unsigned long long)n->peers, (unsigned long long)least);
    else
        WELL(r, "%llu connected", (unsigned long long)n->peers);
}

static void judge_database(const struct health_input *in, struct health_result *r) {
    const struct health_numbers *n = in->numbers;
    if (in->facts != NULL && in->facts->database[0] != 0)
        P1(r, "%s", in->facts->database);
    else if (n == NULL)
        WELL(r, "file is there");
    else if (n->store_stuck_ms >= STORE_STUCK_MS)
        P1(r, "has not answered for %llds", (long long)(n->store_stuck_ms / 1000));
    else if (n->database_faults > 0)
        P1(r, "%llu operations failed", (unsigned long long)n->database_faults);
    else if (n->database_full > 0)
        P2(r, "is full (database.maxSize)");
    else
        WELL(r, "answers");
}

static void judge_backup(const struct health_input *in, struct health_result *r) {
    thresholds(r, NAN, seconds(in->config, CONFIG_health_backupAgeWarning),
               seconds(in->config, CONFIG_health_backupAgeCritical));
    later(r, "not known: backups come with delivery D of this program");
}

static void judge_identity(const struct health_input *in, struct health_result *r) {
    if (in->facts->identity[0] != 0)
        P1(r, "%s", in->facts->identity);
    else
        later(r, "key is good; whether it was exported is not known before delivery D");
}

static void judge_certificate(const struct health_input *in, struct health_result *r) {
    const struct health_facts *f = in->facts;
    char left[32];
    thresholds(r, NAN, seconds(in->config, CONFIG_health_certWarning),
               seconds(in->config, CONFIG_health_certCritical));
    if (f->certificate[0] != 0) {
        P1(r, "%s", f->certificate);
        return;
    }
    if (!f->has_certificate) {
        WELL(r, "none in use");
        return;
    }
    r->value = f->certificate_seconds;
    duration_text((int64_t)fabs(r->value) * 1000, left);
    if (r->value <= 0)
        P1(r, "expired %s ago", left);
    else if (r->value < r->critical)
        P1(r, "expires in %s", left);
    else if (r->value < r->warning)
        P2(r, "expires in %s", left);
    else
        WELL(r, "good for %s", left);
}

static void judge_files(const struct health_input *in, struct health_result *r) {
    if (in->facts->files[0] == 0)
        WELL(r, "modes are right");
    else if (in->facts->files_critical)
        P1(r, "%s", in->facts->files);
    else
        P2(r, "%s", in->facts->files);
}

static void judge_clock(const struct health_input *in, struct health_result *r) {
    const struct health_numbers *n = in->numbers;
    char off[32];
    thresholds(r, NAN, seconds(in->config, CONFIG_health_clockWarning),
               seconds(in->config, CONFIG_health_clockCritical));
    if (n->clock_peers == 0) {
        WELL(r, "no verdict: no peer has told the time");
        return;
    }
    int64_t ms = n->clock_offset_ms < 0 ? -n->clock_offset_ms : n->clock_offset_ms;
    r->value = (double)ms / 1000;
    duration_text(ms, off);
    const char *side = n->clock_offset_ms < 0 ? "behind" : "ahead of";
    if (r->value < r->warning)
        WELL(r, "agrees with %zu peers", n->clock_peers);
    else if (r->value >= r->critical && n->clock_peers >= CLOCK_PEERS)
        P1(r, "%s %s that of %zu peers", off, side, n->clock_peers);
    else
        P2(r, "%s %s that of %zu %s", off, side, n->clock_peers, n->clock_peers == 1 ? "peer" : "peers");
}

static void judge_audit(const struct health_input *in, struct health_result *r) {
    (void)in;
    later(r, "not known: the audit log comes with delivery D of this program");
}

static void judge_log_server(const struct health_input *in, struct health_result *r) {
    const char *why = in->facts->log_server;
    unsigned long long unsent = in->numbers->lines_unsent;
    r->fix = "silktalk log --event 'Log server'; is it up, does it read? silktalk config get logging.remote";
    if (why[0] != 0 && unsent > 0)
        P2(r, "server unreachable: %s, %llu lines lost to it", why, unsent);
    else if (why[0] != 0)
        P2(r, "server unreachable: %s", why);
    else if (unsent > 0)
        P2(r, "server did not take %llu lines", unsent);
}

static void judge_logs(const struct health_input *in, struct health_result *r) {
    if (in->facts->logs[0] != 0)
        P2(r, "%s", in->facts->logs);
    else if (in->numbers->lines_lost > 0)
        P2(r, "%llu lines were lost", (unsigned long long)in->numbers->lines_lost);
    else
        WELL(r, "are written");
    if (r->status == HEALTH_OK && cfg(in->config, logging_remote).text[0] != 0) judge_log_server(in, r);
}

static void judge_limits(const struct health_input *in, struct health_result *r) {
    r->value = (double)in->numbers->limits_hit;
    thresholds(r, NAN, 1, NAN);
    if (in->numbers->limits_hit == 0)
        WELL(r, "none hit");
    else
        P2(r, "hit: %s", in->numbers->limits);
}

static void judge_alerts(const struct health_input *in, struct health_result *r) {
    r->value = (double)in->numbers->alerts;
    if (in->numbers->alerts_fault[0] != 0)
        P2(r, "not told: %s", in->numbers->alerts_fault);
    else if (in->numbers->alerts > 0)
        WELL(r, "%llu on their way", (unsigned long long)in->numbers->alerts);
    else
        WELL(r, "none waits");
}

enum { NEEDS_FACTS = 1, NEEDS_NODE = 2 };
static const struct {
    void (*judge)(const struct health_input *in, struct health_result *r);
    unsigned needs;
} judges[HEALTH_CHECK_COUNT] = {
    [HEALTH_CHECK_node] = {judge_node, 0},
    [HEALTH_CHECK_cpu] = {judge_cpu, NEEDS_FACTS | NEEDS_NODE},
    [HEALTH_CHECK_memory] = {judge_memory, NEEDS_FACTS},
    [HEALTH_CHECK_disk] = {judge_disk, NEEDS_FACTS},
    [HEALTH_CHECK_connections] = {judge_connections, NEEDS_NODE},
    [HEALTH_CHECK_latency] = {judge_latency, NEEDS_NODE},
    [HEALTH_CHECK_errors] = {judge_errors, NEEDS_NODE},
    [HEALTH_CHECK_outbox] = {judge_outbox, NEEDS_NODE},
    [HEALTH_CHECK_peers] = {judge_peers, NEEDS_NODE},
    [HEALTH_CHECK_database] = {judge_database, 0},
    [HEALTH_CHECK_backup] = {judge_backup, 0},
    [HEALTH_CHECK_identity] = {judge_identity, NEEDS_FACTS},
    [HEALTH_CHECK_certificate] = {judge_certificate, NEEDS_FACTS},
    [HEALTH_CHECK_files] = {judge_files, NEEDS_FACTS},
    [HEALTH_CHECK_clock] = {judge_clock, NEEDS_NODE},
    [HEALTH_CHECK_audit] = {judge_audit, 0},
    [HEALTH_CHECK_logs] = {judge_logs, NEEDS_FACTS | NEEDS_NODE},
    [HEALTH_CHECK_limits] = {judge_limits, NEEDS_NODE},
    [HEALTH_CHECK_alerts] = {judge_alerts, NEEDS_NODE},
};

void health_judge(struct health *h, const struct health_input *in) {
    static const struct health_numbers no_numbers = {.uptime_ms = 0};
    struct health_facts nothing;
    health_facts_init(&nothing);
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++) {
        struct health_result r = {
            .judged = true, .value = NAN, .normal = NAN, .warning = NAN, .critical = NAN};
        bool no_node = (judges[i].needs & NEEDS_NODE) != 0 && in->numbers == NULL;
        bool no_facts = (judges[i].needs & NEEDS_FACTS) != 0 && in->facts == NULL;
        struct health_input some = *in; /* thresholds are told also where there is nothing to judge */
        if (no_node) some.numbers = &no_numbers;
        if (no_facts) some.facts = &nothing;
        judges[i].judge(&some, &r);
        if (no_node || no_facts) {
            later(&r, no_node ? "only the running node can tell" : "was not measured");
            r.value = NAN;
        }
        bool same = h->begun && h->of[i].status == r.status;
        r.since = same ? h->of[i].since : in->now;
        h->of[i] = r;
    }
    h->begun = true;
}

const char *health_verdict(const struct health *h) {
    bool degraded = false;
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++) {
        if (!h->of[i].judged) continue;
        if (h->of[i].status == HEALTH_CRITICAL) return "unhealthy";
        degraded |= h->of[i].status != HEALTH_OK;
    }
    return degraded ? "degraded" : "healthy";
}

void health_checks_json(const struct health *h, struct json_out *o) {
    static const char *const levels[] = {"P0", "P1", "P2", "P3", NULL};
    json_open(o, "checks", '[');
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++) {
        const struct health_result *r = &h->of[i];
        json_open(o, NULL, '{');
        json_put_str(o, "name", health_rows[i].name);
        json_put_str(o, "status", status_names[r->status]);
        json_put_real(o, "value", r->value);
        json_put_str(o, "unit", health_rows[i].unit);
        json_put_real(o, "normal", r->normal);
        json_put_real(o, "warning", r->warning);
        json_put_real(o, "critical", r->critical);
        json_put_str(o, "level", levels[r->level]);
        json_put_str(o, "message", r->message);
        json_put_wall(o, "since", r->since);
        json_put_bool(o, "judged", r->judged);
        bool bad = r->judged && r->status != HEALTH_OK;
        json_put_str(o, "fix", !bad ? NULL : r->fix != NULL ? r->fix : health_rows[i].fix);
        json_shut(o, '}');
    }
    json_shut(o, ']');
}
