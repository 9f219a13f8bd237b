#include "ops/check_logs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"

/* Root may look at what is the node's user's: no link of its own is followed, no device waited for. */
enum { LOOK = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY };
enum { TEXTS_MAX = 200, LINE_MAX_BYTES = 16384, ARCHIVES_MAX = 4096 };
static const int64_t day_ms = 86400000;

/* "TIME LEVEL component: Event text key=value", or a JSON object. The event's text ends before the first key.
 */
bool check_log_line(struct bytes line, struct wall *at, struct bytes *level, struct bytes *text) {
    struct bytes time;
    if (line.n > 0 && line.p[0] == '{') {
        static char kept[2][128]; /* views outlive the document */
        struct json_doc *doc = json_parse(line, NULL);
        const struct json *v = doc == NULL ? NULL : json_root(doc);
        bool good = wall_parse(json_get_bytes(v, "time"), at);
        bytes_cstr(json_get_bytes(v, "level"), kept[0], sizeof kept[0]);
        bytes_cstr(json_get_bytes(v, "event"), kept[1], sizeof kept[1]);
        json_free(doc);
        for (char *c = kept[0]; *c != 0; c++) *c = (char)toupper((unsigned char)*c);
        *level = bytes_of(kept[0]);
        *text = bytes_of(kept[1]);
        return good && level->n > 0;
    }
    if (!bytes_split(&line, ' ', &time) || !wall_parse(time, at) || !bytes_split(&line, ' ', level))
        return false;
    size_t colon = bytes_index(line, ':');
    if (colon + 2 > line.n) return false;
    line = bytes_skip(line, colon + 2);
    size_t equals = bytes_index(line, '='), end = equals;
    if (equals < line.n)
        while (end > 0 && line.p[end - 1] != ' ') end--;
    *text = bytes_trim(bytes_sub(line, 0, end));
    return true;
}

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

static void count(struct bytes line, struct wall now, struct log_counts *out, struct texts *before,
                  int64_t *first) {
    struct wall at;
    struct bytes level, text;
    if (!check_log_line(line, &at, &level, &text)) return;
    int64_t age = now.ms - at.ms;
    if (age < 0 || age > 8 * day_ms) return;
    if (*first == 0 || at.ms < *first) *first = at.ms;
    bool error = bytes_is(level, "ERROR"), warning = bytes_is(level, "WARN");
    if (!error && !warning) return;
    bool today = age < day_ms;
    uint64_t *n = error ? (today ? &out->errors : &out->errors_before)
                        : (today ? &out->warnings : &out->warnings_before);
    ++*n;
    uint64_t h = hash(text);
    if (known(before, h)) return;
    if (today && out->fresh[0] == 0)
        bytes_cstr(bytes_sub(text, 0, sizeof out->fresh - 1), out->fresh, sizeof out->fresh);
    if (before->n < TEXTS_MAX) before->seen[before->n++] = h;
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

/* ---- archives: NAME.YYYYMMDD-HHMMSS[.gz], NAME-YYYYMMDD[.gz], NAME.N[.gz] */

static int by_day(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Days since 1970 of the date in the name; -1: it has none. */
static int64_t day_in(const char *rest) {
    char date[16];
    struct wall t;
    if (strspn(rest + 1, "0123456789") < 8) return -1;
    snprintf(date, sizeof date, "%.4s-%.2s-%.2s", rest + 1, rest + 5, rest + 7);
    return wall_parse(bytes_of(date), &t) ? t.ms / day_ms : -1;
}

static bool is_gzip(const char *path) {
    uint8_t head[3] = {0};
    int fd = open(path, LOOK);
    if (fd < 0) return true; /* what we may not read is not called damaged */
    ssize_t n = read(fd, head, sizeof head);
    close(fd);
    return n == 3 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8;
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
        size_t base = strlen(name);
        if (strncmp(e->d_name, name, base) != 0 || (e->d_name[base] != '.' && e->d_name[base] != '-'))
            continue;
        snprintf(file, sizeof file, "%s/%s", folder, e->d_name);
        if (lstat(file, &st) != 0 || !S_ISREG(st.st_mode)) continue;
        out->count++;
        if (bytes_ends(bytes_of(file), ".gz") && !is_gzip(file)) {
            out->bad++;
            snprintf(out->bad_name, sizeof out->bad_name, "%.90s", e->d_name);
        }
        int64_t day = day_in(e->d_name + base);
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
