#include "node/metrics.h"

#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "node/control.h"

enum { STORED_AGE_MS = 10000 };

struct writer {
    struct node *n;
    struct buf *out;
    const struct metric_row *row;
    bool open, bad;
};
typedef void metric_put(struct writer *w);

/* Name, kind, labels, help; the name is that of the function below which gives the samples, too. */
/* clang-format off */
#define METRICS(X)                                                                                             \
    X(build_info, GAUGE, "version,commit,arch", "Always 1; the labels say which program this is.")             \
    X(start_time_seconds, GAUGE, "", "When the node started, in Unix time.")                                   \
    X(health_status, GAUGE, "", "Worst of all checks: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")                \
    X(health_check_status, GAUGE, "check", "Each check: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.")              \
    X(connections, GAUGE, "direction,path", "Open connections.")                                               \
    X(connections_max, GAUGE, "", "Most connections allowed (connection.maxConnections).")                     \
    X(peers_connected, GAUGE, "", "Peers with at least one connection.")                                       \
    X(peers_known, GAUGE, "", "Peers in the peer book.")                                                       \
    X(dials_total, COUNTER, "result", "Dials of peers that ended, by result.")                                 \
    X(connections_opened_total, COUNTER, "direction", "Connections that finished their handshake.")            \
    X(connections_closed_total, COUNTER, "reason", "Connections that were open and ended, by reason.")         \
    X(access_denied_total, COUNTER, "rule", "Connections and messages refused by an access rule.")             \
    X(handshake_duration_seconds, HISTOGRAM, "", "Time from TCP connection to secured and multiplexed.")       \
    X(handshakes_failed_total, COUNTER, "reason", "Handshakes that did not finish, probes left out.")          \
    X(reachability, GAUGE, "status", "1 for what this node believes of how others reach it.")                  \
    X(streams, GAUGE, "protocol,direction", "Open streams.")                                                   \
    X(streams_opened_total, COUNTER, "protocol,direction", "Streams whose protocol was agreed on.")            \
    X(clock_offset_seconds, GAUGE, "", "How far this clock is ahead of those of peers.")                       \
    X(network_bytes_total, COUNTER, "direction", "Bytes on connections, encrypted.")                           \
    X(protocol_bytes_total, COUNTER, "protocol,direction", "Bytes on streams, by their protocol.")             \
    X(operations_total, COUNTER, "result", "Messages and streams that went well, or failed.")                  \
    X(messages_total, COUNTER, "direction,status", "Messages by their receipt; expired ones too.")             \
    X(message_bytes_total, COUNTER, "direction", "Bytes of stored (in) and delivered (out) messages.")         \
    X(message_latency_seconds, HISTOGRAM, "", "From commit, or a usable connection, to the receipt.")          \
    X(outbox_messages, GAUGE, "", "Messages not delivered yet.")                                               \
    X(outbox_bytes, GAUGE, "", "Bytes of messages not delivered yet.")                                         \
    X(outbox_oldest_timestamp_seconds, GAUGE, "", "When the oldest undelivered message was written.")          \
    X(inbox_messages, GAUGE, "state", "Messages kept.")                                                        \
    X(files, GAUGE, "direction,state", "Large files on their way, or offered.")                                \
    X(file_bytes_total, COUNTER, "direction", "Bytes on streams of large files.")                              \
    X(certificate_not_after_timestamp_seconds, GAUGE, "", "When the certificate of the HTTP server ends.")     \
    X(limit_used, GAUGE, "limit", "What is used of each limit; of those per peer, the highest.")               \
    X(limit_max, GAUGE, "limit", "Each limit.")                                                                \
    X(limit_hits_total, COUNTER, "limit,outcome", "How often each limit was reached, and what happens then.")  \
    X(memory_bytes, GAUGE, "subsystem", "Memory in buffers and tables.")                                       \
    X(loop_turn_seconds, HISTOGRAM, "", "Turns of the loop that serves all peers.")                            \
    X(loop_overruns_total, COUNTER, "", "Turns that took longer than 10 ms.")                                  \
    X(log_lines_total, COUNTER, "level", "Log lines written.")                                                 \
    X(log_dropped_total, COUNTER, "", "Log lines lost: no room, or a full disk.")                              \
    X(db_size_bytes, GAUGE, "", "Size of the database.")                                                       \
    X(db_commit_seconds, HISTOGRAM, "", "Batches of changes, until they are on disk.")                         \
    X(db_errors_total, COUNTER, "", "Operations of the database that the system refused.")                     \
    X(disk_used_ratio, GAUGE, "use", "How full the disk is, bytes or inodes, by what is kept there.")          \
    X(host_cpu_ratio, GAUGE, "", "Processor use of the host in the last minute.")                              \
    X(host_memory_ratio, GAUGE, "", "Memory used of the host, or of the control group's limit.")               \
    X(http_requests_total, COUNTER, "path,code", "HTTP requests answered.")                                    \
    X(config_reload_ok, GAUGE, "", "1: the last reload of the configuration was applied; 0: rejected.")
#define PROCESS_METRICS(X)                                                                                     \
    X(process_cpu_seconds_total, COUNTER, "", "Processor time of the process.")                                \
    X(process_resident_memory_bytes, GAUGE, "", "Resident memory of the process.")                             \
    X(process_open_fds, GAUGE, "", "Open descriptors.")                                                        \
    X(process_max_fds, GAUGE, "", "Most descriptors allowed.")                                                 \
    X(process_start_time_seconds, GAUGE, "", "When the process started, in Unix time.")
/* clang-format on */
#define METRIC_DECLARE(name, kind, labels, help) static metric_put put_##name;
METRICS(METRIC_DECLARE)
PROCESS_METRICS(METRIC_DECLARE)
#define METRIC_ROW(name, kind, labels, help) {{"silktalk_" #name, METRIC_##kind, labels, help}, put_##name},
#define PROCESS_ROW(name, kind, labels, help) {{#name, METRIC_##kind, labels, help}, put_##name},
static const struct {
    struct metric_row row;
    metric_put *put;
} rows[] = {METRICS(METRIC_ROW) PROCESS_METRICS(PROCESS_ROW)};

size_t metrics_count(void) {
    return LEN(rows);
}

const struct metric_row *metrics_row(size_t i) {
    return &rows[i].row;
}

/* ---- text */

static void add(struct writer *w, const char *text) {
    w->bad = w->bad || !buf_add_text(w->out, text);
}

/* Both formats escape alike; in HELP of 0.0.4 a quote stands for itself, and no help has one. */
static void add_escaped(struct writer *w, const char *text) {
    for (; *text != 0 && !w->bad; text++) {
        if (*text == '\\' || *text == '"') w->bad = !buf_add_byte(w->out, '\\');
        w->bad = w->bad ||
                 (*text == '\n' ? !buf_add_text(w->out, "\\n") : !buf_add_byte(w->out, (uint8_t)*text));
    }
}

static void add_number(struct writer *w, double v) {
    bool whole = v == floor(v) && fabs(v) < 9007199254740992.0; /* else: a time in ms needs 13 digits */
    w->bad = w->bad || !buf_add_format(w->out, whole ? "%.0f" : "%.15g", v);
}

/* name{labels,le} value */
static void line(struct writer *w, const char *suffix, const char *const *values, const char *le, double v) {
    const char *names = w->row->labels;
    bool any = *names != 0 || le != NULL;
    add(w, w->row->name);
    add(w, suffix);
    if (any) add(w, "{");
    for (size_t i = 0; values != NULL && values[i] != NULL && *names != 0; i++) {
        int n = (int)strcspn(names, ",");
        w->bad = w->bad || !buf_add_format(w->out, "%s%.*s=\"", i > 0 ? "," : "", n, names);
        add_escaped(w, values[i]);
        add(w, "\"");
        names += n + (names[n] == ',');
    }
    if (le != NULL) w->bad = w->bad || !buf_add_format(w->out, "le=\"%s\"", le);
    add(w, any ? "} " : " ");
    add_number(w, v);
    add(w, "\n");
}

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
static void sample(struct writer *w, const char *const *values, double v) {
    line(w, "", values, NULL, v);
}
static void single(struct writer *w, double v) {
    line(w, "", NULL, NULL, v);
}
static void known(struct writer *w, int64_t v) {
    if (v >= 0) single(w, (double)v);
}
static void seconds(struct writer *w, struct wall t) {
    if (t.ms > 0) single(w, (double)t.ms / 1000);
}

/* Counts of buckets up to each bound, in microseconds. */
static void histogram(struct writer *w, const uint64_t *buckets, const int64_t *bounds_us, size_t n,
                      double sum_us) {
    uint64_t all = 0;
    char le[40];
    for (size_t i = 0; i < n; i++) {
        all += buckets[i];
        snprintf(le, sizeof le, "%.9g", (double)bounds_us[i] / 1000000);
        bool whole = strpbrk(le, ".e") == NULL; /* OpenMetrics wants them as floats */
        if (whole) snprintf(le, sizeof le, "%.1f", (double)bounds_us[i] / 1000000);
        line(w, "_bucket", NULL, le, (double)all);
    }
    all += buckets[n];
    line(w, "_bucket", NULL, "+Inf", (double)all);
    line(w, "_sum", NULL, NULL, sum_us / 1000000);
    line(w, "_count", NULL, NULL, (double)all);
}
static void own_histogram(struct writer *w, const struct histogram *h) {
    histogram(w, h->bucket, histogram_bounds_us, HISTOGRAM_BOUNDS, (double)h->sum_us);
}

static void head(struct writer *w) {
    static const char *const kinds[] = {"gauge", "counter", "histogram"};
    int n = (int)strlen(w->row->name);
    if (w->open && w->row->kind == METRIC_COUNTER) n -= (int)strlen("_total"); /* the family's name */
    w->bad = w->bad || !buf_add_format(w->out, "# HELP %.*s ", n, w->row->name);
    add_escaped(w, w->row->help);
    w->bad = w->bad || !buf_add_format(w->out, "\n# TYPE %.*s %s\n", n, w->row->name, kinds[w->row->kind]);
}

bool metrics_write(struct node *n, struct buf *out, bool openmetrics) {
    struct writer w = {.n = n, .out = out, .open = openmetrics};
    if (n->stored.at.us == 0 || mono_diff_ms(n->now.mono, n->stored.at) >= STORED_AGE_MS)
        n->next_totals = n->now.mono;
    for (size_t i = 0; i < LEN(rows) && !w.bad; i++) {
        w.row = &rows[i].row;
        head(&w);
        rows[i].put(&w);
    }
    if (openmetrics) add(&w, "# EOF\n");
    return !w.bad;
}

/* ---- samples */

static const char *const ways[DIRECTIONS] = {"in", "out"};

static const char *arch(void) {
#if defined __x86_64__
    return "x86_64";
#elif defined __aarch64__
    return "aarch64";
#elif defined __arm__
    return "arm";
#elif defined __i386__
    return "i386";
#elif defined __riscv
    return "riscv";
#elif defined __powerpc64__
    return "ppc64";
#elif defined __s390x__
    return "s390x";
#else
    return "other";
#endif
}

static void put_build_info(struct writer *w) {
    const char *commit = w->n->source_id == NULL ? "unknown" : w->n->source_id;
    sample(w, LABELS(w->n->version == NULL ? "unknown" : w->n->version, commit, arch()), 1);
}
static void put_start_time_seconds(struct writer *w) {
    const struct node *n = w->n;
    int64_t start = n->now.wall.ms - mono_diff_ms(n->now.mono, n->started);
    double moved = round((double)(start - n->started_wall.ms) / 1000); /* the clock was set since */
    seconds(w, (struct wall){n->started_wall.ms + (int64_t)moved * 1000}); /* the same at each scrape */
}
static void put_process_start_time_seconds(struct writer *w) {
    put_start_time_seconds(w);
}

/* As a plugin would say it: what could not be judged is worse than OK, and better than a warning. */
static void put_health_status(struct writer *w) {
    static const int rank[HEALTH_STATUS_COUNT] = {
        [HEALTH_UNKNOWN] = 1, [HEALTH_WARNING] = 2, [HEALTH_CRITICAL] = 3};
    const struct health *h = &w->n->health.judged;
    enum health_status worst = HEALTH_OK;
    if (!h->begun) return;
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++)
        if (h->of[i].judged && rank[h->of[i].status] > rank[worst]) worst = h->of[i].status;
    single(w, (double)worst);
}
static void put_health_check_status(struct writer *w) {
    const struct health *h = &w->n->health.judged;
    for (size_t i = 0; h->begun && i < HEALTH_CHECK_COUNT; i++)
        sample(w, LABELS(health_rows[i].name), (double)h->of[i].status);
}

static void put_connections(struct writer *w) {
    size_t open[DIRECTIONS] = {0};
    for (const struct connection *c = w->n->connections; c != NULL; c = c->next)
        if (c->state == CONN_OPEN) open[c->inbound ? DIRECTION_IN : DIRECTION_OUT]++;
    for (size_t i = 0; i < DIRECTIONS; i++) sample(w, LABELS(ways[i], "direct"), (double)open[i]);
}
static void put_connections_max(struct writer *w) {
    single(w, (double)limit_max(&w->n->limits, LIMIT_CONNECTIONS));
}
static void put_peers_connected(struct writer *w) {
    size_t peers = 0, i = 0;
    for (const struct peer *p; (p = map_next(&w->n->peers, &i)) != NULL;) peers += p->n_connections > 0;
    single(w, (double)peers);
}
static void put_peers_known(struct writer *w) {
    single(w, (double)w->n->peers.n);
}

static void by_error(struct writer *w, const uint64_t counts[ERR_COUNT]) {
    for (int i = 0; i < ERR_COUNT; i++) sample(w, LABELS(err_name((enum err)i)), (double)counts[i]);
}
static void by_way(struct writer *w, const uint64_t counts[DIRECTIONS]) {
    for (size_t i = 0; i < DIRECTIONS; i++) sample(w, LABELS(ways[i]), (double)counts[i]);
}
static void put_dials_total(struct writer *w) {
    by_error(w, w->n->counts.dials);
}
static void put_connections_opened_total(struct writer *w) {
    by_way(w, w->n->counts.opened);
}
static void put_connections_closed_total(struct writer *w) {
    by_error(w, w->n->counts.closed);
}
static void put_handshakes_failed_total(struct writer *w) {
    by_error(w, w->n->counts.handshakes_failed);
}
static void put_access_denied_total(struct writer *w) {
    for (size_t i = 0; i < ACCESS_RULE_COUNT; i++)
        sample(w, LABELS(access_rules[i]), (double)w->n->counts.denied[i]);
}
static void put_handshake_duration_seconds(struct writer *w) {
    own_histogram(w, &w->n->counts.handshake);
}
static void put_reachability(struct writer *w) { /* nothing finds it out yet */
    sample(w, LABELS("public"), 0);
    sample(w, LABELS("private"), 0);
    sample(w, LABELS("unknown"), 1);
}

static void put_streams(struct writer *w) {
    size_t open[PROTOCOL_COUNT][DIRECTIONS] = {{0}};
    for (const struct connection *c = w->n->connections; c != NULL; c = c->next)
        for (const struct stream *s = c->streams; s != NULL; s = s->next)
            if (!s->dead && s->negotiated) open[s->protocol][s->inbound ? DIRECTION_IN : DIRECTION_OUT]++;
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        for (size_t k = 0; k < DIRECTIONS; k++)
            sample(w, LABELS(protocol_names[i], ways[k]), (double)open[i][k]);
}
static void put_streams_opened_total(struct writer *w) {
    for (size_t i = 0; i < PROTOCOL_COUNT; i++)
        for (size_t k = 0; k < DIRECTIONS; k++)
            sample(w, LABELS(protocol_names[i], ways[k]), (double)w->n->counts.streams[i][k]);
}
static void put_clock_offset_seconds(struct writer *w) {
    int64_t offset_ms;
    if (health_clock(w->n, &offset_ms)) single(w, (double)offset_ms / 1000);
}
static void put_network_bytes_total(struct writer *w) {
    by_way(w, w->n->counts.network_bytes);
}
static void put_protocol_bytes_total(struct writer *w) {
    for (size_t i = 0; i <= PROTOCOL_COUNT; i++)
        for (size_t k = 0; k < DIRECTIONS; k++)
            sample(w, LABELS(i == PROTOCOL_COUNT ? "negotiation" : protocol_names[i], ways[k]),
                   (double)w->n->counts.protocol_bytes[i][k]);
}
static void put_operations_total(struct writer *w) {
    const struct totals *t = &w->n->totals;
    sample(w, LABELS("ok"), (double)(t->operations - t->operations_failed));
    sample(w, LABELS("failed"), (double)t->operations_failed);
}

static void put_messages_total(struct writer *w) {
    for (size_t k = 0; k < DIRECTIONS; k++)
        for (int i = RECEIPT_STORED; i < MESSAGE_ENDS; i++) {
            if (i == MESSAGE_EXPIRED && k == DIRECTION_IN) continue; /* only senders let messages expire */
            char name[24];
            snprintf(name, sizeof name, "%s",
                     i == MESSAGE_EXPIRED ? "expired" : receipt_status_name((enum receipt_status)i));
            for (char *c = name; *c != 0; c++) *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
            sample(w, LABELS(ways[k], name), (double)w->n->counts.messages[k][i]);
        }
}
static void put_message_bytes_total(struct writer *w) {
    by_way(w, w->n->counts.message_bytes);
}
static void put_message_latency_seconds(struct writer *w) {
    own_histogram(w, &w->n->counts.latency);
}
static void put_outbox_messages(struct writer *w) {
    single(w, (double)w->n->outbox_count);
}
static void put_outbox_bytes(struct writer *w) {
    single(w, (double)w->n->outbox_bytes);
}
static void put_outbox_oldest_timestamp_seconds(struct writer *w) {
    struct wall oldest = {0};
    for (const struct lane *l = w->n->lanes; l != NULL; l = l->next)
        if (l->queued > 0 && (oldest.ms == 0 || l->oldest.ms < oldest.ms)) oldest = l->oldest;
    seconds(w, oldest);
}
static void put_inbox_messages(struct writer *w) {
    const struct stored *s = &w->n->stored;
    if (s->inbox < 0 || s->unread < 0) return;
    sample(w, LABELS("read"), (double)(s->inbox - s->unread));
    sample(w, LABELS("unread"), (double)s->unread);
}
static void put_files(struct writer *w) {
    const struct stored *s = &w->n->stored;
    if (s->files_in < 0) return;
    sample(w, LABELS("in", "moving"), (double)s->files_in);
    sample(w, LABELS("in", "offered"), (double)s->files_offered);
    sample(w, LABELS("out", "moving"), (double)s->files_out);
}
static void put_file_bytes_total(struct writer *w) {
    by_way(w, w->n->counts.protocol_bytes[PROTOCOL_FILE]);
}
static void put_certificate_not_after_timestamp_seconds(struct writer *w) {
    const struct health_facts *f = &w->n->health.facts;
    if (f->has_certificate && isfinite(f->certificate_seconds))
        single(w, floor((double)w->n->now.wall.ms / 1000 + f->certificate_seconds));
}

static void put_limit_used(struct writer *w) {
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        sample(w, LABELS(limit_rows[i].name), (double)w->n->limits.of[i].used);
}
static void put_limit_max(struct writer *w) {
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        sample(w, LABELS(limit_rows[i].name), (double)w->n->limits.of[i].max);
}
static void put_limit_hits_total(struct writer *w) {
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        sample(w, LABELS(limit_rows[i].name, limit_rows[i].outcome), (double)w->n->limits.of[i].hits);
}
static void put_memory_bytes(struct writer *w) {
    const struct node *n = w->n;
    size_t connections = 0, messages = 0, i = 0;
    size_t peers = 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next) {
        connections += sizeof *c + c->rx.cap + c->tx.cap + c->mux.out.cap;
        for (const struct stream *s = c->streams; s != NULL; s = s->next)
            connections += sizeof *s + s->rx.cap + s->tx.cap;
    }
    for (const struct lane *l = n->lanes; l != NULL; l = l->next) messages += sizeof *l + l->loaded_bytes;
    for (const struct peer *p; (p = map_next(&n->peers, &i)) != NULL;)
        peers += sizeof *p + p->n_addrs * sizeof *p->addrs +
                 (p->traces == NULL ? 0 : TRACES_MAX * sizeof *p->traces);
    sample(w, LABELS("connections"), (double)connections);
    sample(w, LABELS("messages"), (double)messages);
    sample(w, LABELS("peers"), (double)peers);
    sample(w, LABELS("log"), n->log == NULL ? 0 : (double)n->log->lines.cap);
}

static void put_loop_turn_seconds(struct writer *w) {
    const struct node_loop *l = &w->n->resources.loop;
    int64_t bounds[NODE_LOOP_BUCKETS - 1];
    for (size_t i = 0; i < LEN(bounds); i++) bounds[i] = (int64_t)1 << i;
    histogram(w, l->bucket, bounds, LEN(bounds), (double)l->total_us);
}
static void put_loop_overruns_total(struct writer *w) {
    single(w, (double)w->n->resources.loop.slow);
}
static void put_log_lines_total(struct writer *w) {
    for (int i = 0; i < LEVEL_COUNT && w->n->log != NULL; i++)
        sample(w, LABELS(log_level_name((enum log_level)i)), (double)w->n->log->written[i]);
}
static void put_log_dropped_total(struct writer *w) {
    single(w, (double)(w->n->resources.log_lost + (w->n->log == NULL ? 0 : w->n->log->dropped)));
}
static void put_db_size_bytes(struct writer *w) {
    known(w, w->n->stored.database_bytes);
}
static void put_db_commit_seconds(struct writer *w) {
    own_histogram(w, &w->n->counts.commit);
}
static void put_db_errors_total(struct writer *w) {
    single(w, (double)w->n->counts.db_errors);
}

#define SPACE_NAME(symbol, name) [symbol] = name,
static void put_disk_used_ratio(struct writer *w) {
    static const char *const names[SPACE_USES] = {SPACES(SPACE_NAME)};
    for (size_t i = 0; i < SPACE_USES; i++) {
        int64_t share = space_permille(&w->n->spaces[i]);
        if (share >= 0) sample(w, LABELS(names[i]), (double)share / 1000);
    }
}
static void put_host_cpu_ratio(struct writer *w) {
    if (w->n->resources.host_cpu_permille >= 0) single(w, (double)w->n->resources.host_cpu_permille / 1000);
}
static void put_host_memory_ratio(struct writer *w) {
    if (w->n->resources.memory_permille >= 0) single(w, (double)w->n->resources.memory_permille / 1000);
}
static void put_http_requests_total(struct writer *w) {
    for (const struct http_count *c = w->n->counts.http; c < w->n->counts.http + HTTP_COUNTS_MAX; c++) {
        char code[16];
        if (c->path == NULL) break;
        snprintf(code, sizeof code, "%u", c->code);
        sample(w, LABELS(c->path, code), (double)c->n);
    }
}
static void put_config_reload_ok(struct writer *w) {
    single(w, w->n->reload_failed ? 0 : 1);
}

static void put_process_cpu_seconds_total(struct writer *w) {
    if (w->n->resources.cpu_us >= 0) single(w, (double)w->n->resources.cpu_us / 1000000);
}
static void put_process_resident_memory_bytes(struct writer *w) {
    known(w, w->n->resources.resident_bytes);
}
static void put_process_open_fds(struct writer *w) {
    known(w, w->n->resources.fds);
}
static void put_process_max_fds(struct writer *w) {
    known(w, w->n->resources.fds_max);
}

/* ---- over the control socket, for tests and scripts that have no HTTP */

enum err method_metrics(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct buf text = {.max = METRICS_SIZE}, line_out = {NULL, 0, 0, 0};
    (void)w;
    if (!metrics_write(n, &text, json_get_bool(params, "openmetrics", false))) {
        buf_free(&text);
        return fail(w, E_MEMORY, "out of memory");
    }
    struct json_out o = control_begin(r, &line_out, "metrics");
    json_put(&o, "text", buf_view(&text));
    buf_free(&text);
    control_finish(r, &line_out, &o);
    return OK;
}
