#include "loop/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TEXT_MAX = 8192, CGROUP_PATH_MAX = 512 };
/* More than any host has of anything, even as KiB or pages: a container's /proc may be made up by anybody. */
static const int64_t most = INT64_MAX >> 16;

/* The front of a small file as text; false: not there, or empty. */
static bool slurp(const char *folder, const char *name, char *out, size_t size) {
    char path[1024];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = n < 0 || (size_t)n >= sizeof path ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    out[0] = 0;
    if (fd < 0) return false;
    ssize_t got = read(fd, out, size - 1);
    close(fd);
    out[got > 0 ? got : 0] = 0;
    return got > 0;
}

/* The number behind `name` at the beginning of a line; -1: no such line. */
static int64_t field(const char *text, const char *name) {
    size_t n = strlen(name);
    for (const char *line = text; line != NULL && *line != 0; line = strchr(line, '\n')) {
        while (*line == '\n') line++;
        if (strncmp(line, name, n) != 0) continue;
        char *end = NULL;
        long long v = strtoll(line + n, &end, 10);
        return end == line + n || v < 0 || v > most ? -1 : (int64_t)v;
    }
    return -1;
}

/* ---- processor */

static int64_t own_us(void) {
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0) return -1;
    return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

static struct host_sample sample(const struct host *h, struct mono now) {
    struct host_sample s = {.at = now, .own_us = own_us(), .busy = -1, .total = -1};
    char text[512];
    long long v[8] = {0}; /* user nice system idle iowait irq softirq steal: proc_stat(5) */
    if (!slurp(h->proc, "stat", text, sizeof text)) return s;
    int n = sscanf(text, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &v[0], &v[1], &v[2], &v[3], &v[4],
                   &v[5], &v[6], &v[7]);
    if (n < 4) return s;
    for (size_t i = 0; i < LEN(v); i++)
        if (v[i] < 0 || v[i] > most) return s;
    s.busy = v[0] + v[1] + v[2] + v[5] + v[6] + v[7];
    s.total = s.busy + v[3] + v[4];
    return s;
}

static void keep(struct host *h, const struct host_sample *s) {
    if (h->n > 0 && mono_diff_ms(s->at, h->kept[h->n - 1].at) < HOST_STEP_MS) return;
    if (h->n == HOST_SAMPLES) {
        memmove(h->kept, h->kept + 1, (HOST_SAMPLES - 1) * sizeof *h->kept);
        h->n--;
    }
    h->kept[h->n++] = *s;
}

static void processor(const struct host *h, const struct host_sample *now, struct host_use *out) {
    const struct host_sample *then = NULL;
    for (size_t i = h->n; i-- > 0;) { /* the newest that is a whole window old, or the oldest of all */
        then = &h->kept[i];
        if (mono_diff_ms(now->at, then->at) >= HOST_WINDOW_MS) break;
    }
    if (then == NULL || mono_diff_ms(now->at, then->at) < HOST_LEAST_MS) return;
    out->cpu_window_ms = mono_diff_ms(now->at, then->at);
    if (now->own_us >= then->own_us && then->own_us >= 0)
        out->own_cpu_permille = (now->own_us - then->own_us) * 1000 / (now->at.us - then->at.us);
    int64_t total = now->total - then->total, busy = now->busy - then->busy;
    if (then->total < 0 || now->total < 0 || total <= 0) return;
    /* The kernel's count of idle time may go back a little (proc_stat(5)). */
    out->host_cpu_permille = MIN(MAX(busy, (int64_t)0), total) * 1000 / total;
}

/* ---- memory */

static void host_memory(const struct host *h, struct host_use *out) {
    char text[TEXT_MAX];
    if (!slurp(h->proc, "meminfo", text, sizeof text)) return;
    int64_t total = field(text, "MemTotal:"), available = field(text, "MemAvailable:");
    if (total <= 0 || available < 0) return;
    out->memory_total = total * 1024;
    out->memory_available = MIN(available, total) * 1024;
}

static int64_t number_in(const char *folder, const char *name) {
    char text[64];
    char *end = NULL;
    if (!slurp(folder, name, text, sizeof text)) return -1;
    long long v = strtoll(text, &end, 10);
    return end == text || v < 0 || v > most ? -1 : (int64_t)v; /* "max": none */
}

struct hierarchy { /* how a version of control groups names things */
    const char *limit, *used, *cache;
};

static void look_at_group(const char *folder, const struct hierarchy *names, struct host_use *out) {
    char text[TEXT_MAX];
    int64_t limit = number_in(folder, names->limit), used = number_in(folder, names->used);
    if (limit <= 0 || used < 0 || (out->memory_total > 0 && limit >= out->memory_total)) return;
    int64_t cache = slurp(folder, "memory.stat", text, sizeof text) ? field(text, names->cache) : -1;
    used -= MIN(MAX(cache, (int64_t)0), used);
    bool nearer = out->cgroup_limit < 0 ||
                  (double)used / (double)limit > (double)out->cgroup_used / (double)out->cgroup_limit;
    if (!nearer) return;
    out->cgroup_limit = limit;
    out->cgroup_used = used;
}

/* From the process's own group up to the root: each may have a limit. In a container without a namespace the
 * path is the host's, and only the root is there. */
static void walk_groups(const char *root, char *path, const struct hierarchy *names, struct host_use *out) {
    char folder[CGROUP_PATH_MAX + 256];
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", root, path);
        look_at_group(folder, names, out);
        char *slash = strrchr(path, '/');
        if (slash == NULL) return;
        *slash = 0;
    }
}

static void group_memory(const struct host *h, struct host_use *out) {
    static const struct hierarchy v1 = {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                        "total_inactive_file "},
                                  v2 = {"memory.max", "memory.current", "inactive_file "};
    char text[TEXT_MAX], root[256], path[CGROUP_PATH_MAX];
    if (!slurp(h->proc, "self/cgroup", text, sizeof text)) return;
    struct bytes rest = bytes_of(text), line, number, kinds;
    while (bytes_split(&rest, '\n', &line)) {
        if (!bytes_split(&line, ':', &number) || !bytes_split(&line, ':', &kinds)) continue;
        if (!bytes_cstr(bytes_is(line, "/") ? bytes_sub(line, 0, 0) : line, path, sizeof path)) continue;
        if (bytes_is(number, "0") && kinds.n == 0) {
            walk_groups(h->cgroup, path, &v2, out);
        } else if (bytes_has(kinds, BYTES("memory"))) {
            snprintf(root, sizeof root, "%s/memory", h->cgroup);
            walk_groups(root, path, &v1, out);
        }
    }
}

int64_t host_memory_permille(const struct host_use *u) {
    int64_t host = -1, group = -1;
    if (u->memory_total > 0)
        host = (int64_t)((double)(u->memory_total - u->memory_available) * 1000 / (double)u->memory_total);
    if (u->cgroup_limit > 0) group = (int64_t)((double)u->cgroup_used * 1000 / (double)u->cgroup_limit);
    return MAX(host, group);
}

/* ---- the rest */

static int64_t count_fds(const struct host *h) {
    char path[160];
    snprintf(path, sizeof path, "%s/self/fd", h->proc);
    DIR *d = opendir(path);
    int64_t n = -1; /* this folder's own */
    if (d == NULL) return -1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return MAX(n, (int64_t)0);
}

static void load(const struct host *h, struct host_use *out) {
    char text[128];
    double v[3];
    if (!slurp(h->proc, "loadavg", text, sizeof text)) return;
    if (sscanf(text, "%lf %lf %lf", &v[0], &v[1], &v[2]) != 3) return;
    for (size_t i = 0; i < 3; i++)
        if (v[i] >= 0 && v[i] < 1e9) out->load_milli[i] = (int64_t)(v[i] * 1000 + 0.5);
}

void host_open(struct host *h, const char *proc, const char *cgroup, struct mono now) {
    *h = (struct host){.n = 0};
    snprintf(h->proc, sizeof h->proc, "%s", proc == NULL ? "/proc" : proc);
    snprintf(h->cgroup, sizeof h->cgroup, "%s", cgroup == NULL ? "/sys/fs/cgroup" : cgroup);
    struct host_sample first = sample(h, now);
    keep(h, &first);
}

struct host_use host_measure(struct host *h, struct mono now) {
    struct host_use u = {.own_cpu_permille = -1,
                         .host_cpu_permille = -1,
                         .own_cpu_us = -1,
                         .memory_total = -1,
                         .memory_available = -1,
                         .cgroup_limit = -1,
                         .cgroup_used = -1,
                         .load_milli = {-1, -1, -1},
                         .resident_bytes = -1,
                         .fds = -1,
                         .fds_max = -1};
    struct rlimit files;
    char text[256];
    long pages = 0;
    struct host_sample s = sample(h, now);
    processor(h, &s, &u);
    keep(h, &s);
    u.own_cpu_us = s.own_us;
    host_memory(h, &u);
    group_memory(h, &u);
    load(h, &u);
    if (slurp(h->proc, "self/statm", text, sizeof text) && sscanf(text, "%*d %ld", &pages) == 1 &&
        pages >= 0 && pages <= most)
        u.resident_bytes = (int64_t)pages * sysconf(_SC_PAGESIZE);
    u.fds = count_fds(h);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) u.fds_max = (int64_t)files.rlim_cur;
    return u;
}
