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
enum { TEXTS_MAX = 200, LINE_MAX_BYTES = 16384, ARCHIVES_MAX = 4096 };
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

static int by_day(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Read to its end: what is cut short, or does not fit its checksum, is damaged. */
static bool is_damaged(const char *path) {
    struct log_lines *l;
    struct bytes line;
    if (log_lines_open(&l, path, NULL) != OK) return false; /* what we may not read is not called damaged */
    while (log_lines_next(l, true, &line)) {}
    bool damaged = log_lines_damaged(l) || !log_lines_gzip(l);
    log_lines_close(l);
    return damaged;
}

bool check_archive(const char *path, struct wall now, int64_t retention_ms, struct archive_facts *out) {
    char folder[512], file[1024];
    static int64_t days[ARCHIVES_MAX];
    size_t n = 0;
    *out = (struct archive_facts){.count = 0};
    if (path == NULL || path[0] != '/' || strlen(path) >= sizeof folder) return false;
    snprintf(folder, sizeof folder, "%s", path);
    char *name = strrchr(folder, '/');
    *name++ = 0;
    DIR *d = opendir(folder[0] == 0 ? "/" : folder);
    if (d == NULL) return false;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat st;
        struct log_name kind = log_name_parse(bytes_of(e->d_name), bytes_of(name));
        if (kind.kind != LOG_NAME_ARCHIVE) continue;
        snprintf(file, sizeof file, "%s/%s", folder, e->d_name);
        if (lstat(file, &st) != 0 || !S_ISREG(st.st_mode)) continue;
        out->count++;
        if (kind.gzip && is_damaged(file)) {
            out->bad++;
            snprintf(out->bad_name, sizeof out->bad_name, "%.90s", e->d_name);
        }
        int64_t day = kind.time.ms > 0 ? kind.time.ms / day_ms : -1;
        int64_t age = day >= 0 ? now.ms - (day + 1) * day_ms : now.ms - (int64_t)st.st_mtime * 1000;
        out->old += age > retention_ms + day_ms; /* they go at the next midnight */
        if (day >= 0 && n < ARCHIVES_MAX) days[n++] = day;
    }
    closedir(d);
    qsort(days, n, sizeof days[0], by_day);
    for (size_t i = 1; i < n; i++)
        if (days[i] > days[i - 1] + 1) out->missing_days += (size_t)(days[i] - days[i - 1] - 1);
    return true;
}
