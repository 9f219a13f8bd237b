#include "ops/check_logs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_entry.h"
#include "base/log_name.h"
#include "loop/log_lines.h"

/* Root may look at what is the node's user's: no link of its own is followed, no device waited for. */
enum { LOOK = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY };
enum { TEXTS_MAX = 200, LINE_MAX_BYTES = 16384, TAIL_BYTES = 256 << 10, TIME_TEXT = 24 };
static const int64_t day_ms = 86400000;

struct texts { /* hashes of those seen before */
    uint64_t seen[TEXTS_MAX];
    size_t n;
};
static uint64_t hash(struct bytes t) {
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < t.n; i++) h = (h ^ t.p[i]) * 1099511628211u;
    return h;
}
static bool known(const struct texts *t, uint64_t h) {
    for (size_t i = 0; i < t->n; i++)
        if (t->seen[i] == h) return true;
    return false;
}

static void count_grave(const struct log_entry *e, bool today, struct log_counts *out, struct texts *before) {
    bool error = e->level == LEVEL_ERROR;
    uint64_t *n = error ? (today ? &out->errors : &out->errors_before)
                        : (today ? &out->warnings : &out->warnings_before);
    ++*n;
    uint64_t h = hash(e->event);
    if (known(before, h)) return;
    if (today && out->fresh[0] == 0)
        bytes_cstr(bytes_sub(e->event, 0, sizeof out->fresh - 1), out->fresh, sizeof out->fresh);
    if (before->n < TEXTS_MAX) before->seen[before->n++] = h;
}

static void count(struct bytes line, struct wall now, struct log_counts *out, struct texts *before,
                  int64_t *first) {
    struct log_entry e;
    if (!log_entry_read(line, &e)) return;
    int64_t age = now.ms - e.time.ms;
    bool counts = e.time.ms != 0 && age >= 0 && age <= 8 * day_ms;
    if (counts && (*first == 0 || e.time.ms < *first)) *first = e.time.ms;
    if (counts && e.level >= LEVEL_WARN) count_grave(&e, age < day_ms, out, before);
    log_entry_free(&e);
}

bool check_logs(const char *path, struct wall now, struct log_counts *out) {
    char line[LINE_MAX_BYTES];
    struct texts before = {.n = 0};
    struct stat st;
    int64_t first = 0;
    *out = (struct log_counts){.errors = 0};
    int fd = path == NULL || path[0] == 0 ? -1 : open(path, LOOK);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
    if (f == NULL || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        if (f != NULL)
            fclose(f);
        else if (fd >= 0)
            close(fd);
        return false;
    }
    if (st.st_size > CHECK_LOG_MAX && fseek(f, -(long)CHECK_LOG_MAX, SEEK_END) == 0 &&
        fgets(line, sizeof line, f) == NULL)
        rewind(f);
    while (fgets(line, sizeof line, f) != NULL) {
        struct bytes l = bytes_trim(bytes_of(line));
        count(l, now, out, &before, &first);
    }
    fclose(f);
    if (first != 0 && now.ms - first > day_ms) out->days = (double)(now.ms - first - day_ms) / (double)day_ms;
    return true;
}

/* ---- archives: base/log_name.h */

static struct wall time_of(struct bytes line) {
    static const char json[] = "{\"time\":\"";
    struct wall t;
    if (bytes_starts(line, json)) line = bytes_sub(line, sizeof json - 1, TIME_TEXT);
    return wall_parse(bytes_sub(line, 0, bytes_index(line, ' ')), &t) ? t : (struct wall){0};
}

/* Up to the end, or to the first line with a time; the time of the last one that had one. */
static struct wall last_time(struct log_lines *l, bool first_will_do) {
    struct bytes line;
    struct wall t, last = {0};
    while (!(first_will_do && last.ms != 0) && log_lines_next(l, true, &line))
        if ((t = time_of(line)).ms != 0) last = t;
    return last;
}

static void cover(struct archive_facts *out, struct wall from, struct wall to, struct wall now) {
    int64_t today = now.ms / day_ms;
    for (int64_t k = 0; k < ARCHIVE_DAYS && from.ms != 0; k++)
        if (from.ms / day_ms <= today - k && today - k <= to.ms / day_ms) out->covered[k] = true;
}

/* A compressed one is read to its end: what is cut short, or does not fit its checksum, is damaged. */
static enum err look_into(const char *path, bool gzip, struct wall now, struct archive_facts *out) {
    struct log_lines *l;
    enum err e = log_lines_open(&l, path, NULL);
    if (e != OK) return e;
    struct wall from = last_time(l, true);
    if (!log_lines_gzip(l)) log_lines_tail(l, TAIL_BYTES);
    struct wall to = last_time(l, false);
    cover(out, from, to.ms == 0 ? from : to, now);
    if (gzip && (log_lines_damaged(l) || !log_lines_gzip(l))) e = E_INPUT;
    log_lines_close(l);
    return e;
}

static void look_at(const char *file, const char *name, const struct log_name *kind, struct wall now,
                    int64_t retention_ms, struct archive_facts *out) {
    struct stat st;
    if (lstat(file, &st) != 0 || !S_ISREG(st.st_mode)) return;
    enum err e = look_into(file, kind->gzip, now, out);
    if (e == E_NOT_FOUND) return; /* it is too old since a moment ago */
    if (e == E_INPUT) {
        out->bad++;
        snprintf(out->bad_name, sizeof out->bad_name, "%.90s", name);
    } else if (e != OK) {
        out->unreadable++;
        snprintf(out->unreadable_name, sizeof out->unreadable_name, "%.90s", name);
    }
    if (kind->kind != LOG_NAME_ARCHIVE) return;
    int64_t day = kind->time.ms > 0 ? kind->time.ms / day_ms : -1;
    int64_t age = day >= 0 ? now.ms - (day + 1) * day_ms : now.ms - (int64_t)st.st_mtime * 1000;
    out->count++;
    out->old += age > retention_ms + day_ms; /* they go at the next midnight */
}

bool check_archive(const char *path, struct wall now, int64_t retention_ms, struct archive_facts *out) {
    char folder[512], file[1024];
    *out = (struct archive_facts){.count = 0};
    if (path == NULL || path[0] != '/' || strlen(path) >= sizeof folder) return false;
    snprintf(folder, sizeof folder, "%s", path);
    char *name = strrchr(folder, '/');
    *name++ = 0;
    DIR *d = opendir(folder[0] == 0 ? "/" : folder);
    if (d == NULL) return false;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct log_name kind = log_name_parse(bytes_of(e->d_name), bytes_of(name));
        if (kind.kind != LOG_NAME_ARCHIVE && kind.kind != LOG_NAME_CURRENT) continue;
        snprintf(file, sizeof file, "%s/%s", folder, e->d_name);
        look_at(file, e->d_name, &kind, now, retention_ms, out);
    }
    closedir(d);
    return true;
}
