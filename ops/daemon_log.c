#include "ops/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LAST_WORDS_MS = 2000, REOPEN_MS = 2000, LOST_EVERY_MS = 60000 };

/* Without a writer (no thread to be had) the start fails, but has to be able to say so. */
enum err sink_open(struct daemon *d, struct why *w) {
    const char *journal = getenv("JOURNAL_STREAM");
    struct daemon_log *s = &d->sink;
    s->origin = (struct syslog_origin){.host = d->home->hostname, .pid = (long)getpid()};
    return log_writer_open(&s->writer, limit_rows[LIMIT_LOG_LINES].value, journal != NULL && journal[0] != 0,
                           w);
}

static void opened(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    (void)fd;
    (void)ready;
    d->log.now = loop_now(d->loop);
    node_now(d->node, loop_now(d->loop));
    sink_opened(d);
}

enum err sink_watch(struct daemon *d) {
    return loop_watch(d->loop, log_writer_fd(d->sink.writer), LOOP_READ, "log", opened, d);
}

/* ---- the file */

void sink_file(struct daemon *d, const char *path) {
    struct daemon_log *s = &d->sink;
    snprintf(s->path, sizeof s->path, "%s", path);
    snprintf(d->log_folder, sizeof d->log_folder, "%s", path);
    char *slash = strrchr(d->log_folder, '/');
    if (slash != NULL) *slash = 0;
}

void sink_rotation(struct daemon *d, const struct config *c) {
    struct log_rotation r = {.builtin = cfg(c, logging_rotation).count == 0,
                             .compress = cfg(c, logging_compress).count != 0,
                             .max_size = cfg(c, logging_maxSize).count,
                             .retention_ms = cfg(c, logging_retention).ms};
    log_writer_rotation(d->sink.writer, &r);
    log_writer_limit(d->sink.writer, (size_t)c->limits[LIMIT_LOG_LINES]);
}

void sink_start(struct daemon *d) {
    log_writer_reopen(d->sink.writer, d->sink.path);
    d->sink.first = true;
}

void sink_reopen(struct daemon *d) {
    log_writer_reopen(d->sink.writer, NULL);
    d->sink.reopen_by = mono_add_ms(loop_now(d->loop).mono, REOPEN_MS);
}

bool sink_opened(struct daemon *d) {
    struct daemon_log *s = &d->sink;
    struct why w;
    if (!log_writer_opened(s->writer, &w)) return false;
    s->reopen_by = MONO_NEVER;
    if (w.code != OK)
        LOG(&d->log, EV_LOG_REOPENED, kv_str("path", ""), kv_str("reason", w.text));
    else if (!s->first)
        LOG(&d->log, EV_LOG_REOPENED, kv_str("path", s->path));
    s->first = false;
    return true;
}

bool sink_opening(const struct daemon *d) {
    return d->sink.reopen_by.us != 0 && !mono_due(d->sink.reopen_by, loop_now(d->loop).mono);
}

/* ---- the server */

void sink_remote(struct daemon *d, const struct config *c) {
    struct daemon_log *s = &d->sink;
    const char *url = cfg(c, logging_remote).text;
    struct log_remote_target to;
    struct why w;
    if (strcmp(url, s->remote_url) == 0) return;
    snprintf(s->remote_url, sizeof s->remote_url, "%s", url);
    if (s->remote != NULL) s->remote_dropped += log_remote_dropped(s->remote) + log_remote_waiting(s->remote);
    log_remote_close(s->remote);
    s->remote = NULL;
    if (d->dns != NULL) dns_cancel(d->dns, LOG_SERVER_TAG);
    if (!log_remote_parse(url, &to)) return;
    if (log_remote_open(&s->remote, &to, d->loop, (size_t)c->limits[LIMIT_LOG_REMOTE], &w) != OK)
        LOG(&d->log, EV_LOG_SERVER_LOST, kv_str("addr", url), kv_str("reason", w.text));
}

void sink_resolved(struct daemon *d, const struct dns_answer *a) {
    if (d->sink.remote == NULL) return;
    log_remote_resolved(d->sink.remote, a->ips, a->n_ips, a->why.code == OK ? NULL : &a->why,
                        loop_now(d->loop).mono);
}

static void turn_remote(struct daemon *d) {
    struct daemon_log *s = &d->sink;
    struct mono now = loop_now(d->loop).mono;
    char addr[72];
    struct why w = {OK, ""};
    log_remote_turn(s->remote, now);
    const char *name = log_remote_asks(s->remote);
    if (name != NULL && links_ask_name(d, LOG_SERVER_TAG, DNS_IP, name, &w) != OK)
        log_remote_resolved(s->remote, NULL, 0, &w, now);
    switch (log_remote_news(s->remote, addr, &w)) {
    case LOG_REMOTE_UP: LOG(&d->log, EV_LOG_SERVER, kv_str("addr", addr)); break;
    case LOG_REMOTE_DOWN:
        LOG(&d->log, EV_LOG_SERVER_LOST, kv_str("addr", addr), kv_str("reason", w.text));
        break;
    case LOG_REMOTE_SAME: break;
    }
}

/* ---- lines */

/* Told when lines get through again: one about lines that are lost would be lost too. */
static void tell_lost(struct daemon *d) {
    struct daemon_log *s = &d->sink;
    struct mono now = loop_now(d->loop).mono;
    struct log_writer_stats stats = log_writer_stats(s->writer);
    uint64_t lost = stats.lost + stats.dropped + d->log.dropped;
    if (lost == s->lost_told || stats.failing || !stats.open ||
        !(s->lost_at.us == 0 || mono_due(s->lost_at, now)))
        return;
    LOG(&d->log, EV_LOG_LOST, kv_int("count", (int64_t)(lost - s->lost_told)));
    s->lost_told = lost;
    s->lost_at = mono_add_ms(now, LOST_EVERY_MS);
}

static void drain(struct daemon *d) {
    struct daemon_log *s = &d->sink;
    struct log_line line;
    while (log_take(&d->log, &line)) {
        char time[40] = "";
        size_t n = 0;
        if (line.text.n > 0 && line.text.p[0] != '{') { /* of the format then: a reload may have changed it */
            wall_text(line.time, time);
            n = strlen(time);
            time[n++] = ' ';
        }
        if (s->writer != NULL)
            log_writer_add(s->writer, line.time, log_line_priority(&line), bytes_at(time, n), line.text);
        if (s->remote != NULL) log_remote_add(s->remote, &s->origin, &line);
    }
}

void sink_turn(struct daemon *d) {
    tell_lost(d);
    drain(d);
    if (d->sink.remote == NULL) return;
    turn_remote(d);
    drain(d); /* what it had to say of itself */
}

void sink_flush(struct daemon *d) {
    drain(d);
    log_writer_flush(d->sink.writer, LAST_WORDS_MS);
}

void sink_close(struct daemon *d) {
    drain(d);
    log_remote_close(d->sink.remote);
    d->sink.remote = NULL;
    if (d->loop != NULL) loop_drop(d->loop, log_writer_fd(d->sink.writer));
    log_writer_close(d->sink.writer, LAST_WORDS_MS);
    d->sink.writer = NULL;
}

struct mono sink_deadline(const struct daemon *d) {
    struct mono at = d->sink.remote == NULL ? MONO_NEVER : log_remote_deadline(d->sink.remote);
    return mono_sooner(at, d->sink.reopen_by);
}

void sink_measure(const struct daemon *d, struct node_resources *out) {
    const struct daemon_log *s = &d->sink;
    struct log_writer_stats stats = log_writer_stats(s->writer);
    out->log_queued = stats.queued;
    out->log_dropped = stats.dropped;
    out->log_remote_queued = s->remote == NULL ? 0 : log_remote_queued(s->remote);
    out->log_remote_dropped = s->remote_dropped + (s->remote == NULL ? 0 : log_remote_dropped(s->remote));
    out->log_lost = stats.lost + stats.dropped + out->log_remote_dropped;
}

void sink_health(const struct daemon *d, struct health_facts *out) {
    const struct daemon_log *s = &d->sink;
    struct log_writer_stats stats = log_writer_stats(s->writer);
    char addr[72];
    struct why w;
    out->lines_lost = stats.lost + stats.dropped + d->log.dropped;
    out->lines_unsent = s->remote_dropped + (s->remote == NULL ? 0 : log_remote_dropped(s->remote));
    if (!stats.open)
        snprintf(out->logs, sizeof out->logs, "the log file is not open");
    else if (stats.gone)
        snprintf(out->logs, sizeof out->logs,
                 "the file was removed or replaced: silktalk reload opens it anew");
    if (s->remote != NULL && log_remote_down(s->remote, addr, &w))
        snprintf(out->log_server, sizeof out->log_server, "%s: %.50s", addr, w.text);
}
