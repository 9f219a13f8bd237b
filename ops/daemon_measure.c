#include "ops/daemon.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A small file of /proc as text; false where there is no /proc. */
static bool slurp(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}

static int64_t resident(void) {
    char text[256];
    long pages = 0;
    if (!slurp("/proc/self/statm", text, sizeof text) || sscanf(text, "%*d %ld", &pages) != 1) return -1;
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int64_t count_fds(void) {
    DIR *d = opendir("/proc/self/fd");
    int64_t n = -3; /* ".", ".." and this folder's own */
    if (d == NULL) return -1;
    while (readdir(d) != NULL) n++;
    closedir(d);
    return n;
}

static int64_t memory_percent(void) {
    char text[4096];
    long long total = 0, available = 0;
    if (!slurp("/proc/meminfo", text, sizeof text)) return -1;
    const char *t = strstr(text, "MemTotal:"), *a = strstr(text, "MemAvailable:");
    if (t == NULL || a == NULL || sscanf(t, "MemTotal: %lld", &total) != 1 ||
        sscanf(a, "MemAvailable: %lld", &available) != 1 || total <= 0)
        return -1;
    return (total - available) * 100 / total;
}

static int64_t disk_percent(const char *folder) {
    struct statvfs v;
    if (statvfs(folder, &v) != 0 || v.f_blocks == 0) return -1;
    uint64_t used = v.f_blocks - v.f_bfree;
    return (int64_t)(used * 100 / MAX(used + v.f_bavail, (uint64_t)1));
}

/* The upper edge of the bucket that the share `of 100` of all turns lies in. */
static int64_t percentile(const struct loop_stats *s, uint64_t of_100) {
    uint64_t seen = 0;
    for (size_t i = 0; i < LOOP_BUCKETS; i++) {
        seen += s->bucket[i];
        if (seen * 100 >= s->turns * of_100) return i + 1 < LOOP_BUCKETS ? (int64_t)1 << i : s->max_us;
    }
    return s->max_us;
}

static void measure_loop(const struct daemon *d, struct node_loop *out) {
    struct loop_stats s = loop_stats(d->loop);
    *out = (struct node_loop){.turns = s.turns,
                              .slow = s.slow,
                              .mean_us = s.turns == 0 ? 0 : s.total_us / (int64_t)s.turns,
                              .p50_us = percentile(&s, 50),
                              .p99_us = percentile(&s, 99),
                              .max_us = s.max_us};
    snprintf(out->slowest_part, sizeof out->slowest_part, "%s", d->slow_part == NULL ? "" : d->slow_part);
}

void measure(struct daemon *d) {
    enum { EVERY_US = 1000000 };
    struct mono now = loop_now(d->loop).mono;
    if (d->measured.us != 0 && now.us - d->measured.us < EVERY_US) return;
    d->measured = now;
    struct rusage u;
    struct rlimit files;
    getrusage(RUSAGE_SELF, &u);
    struct node_resources r = {
        .resident_bytes = resident(),
        .cpu_us = (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
                  u.ru_stime.tv_usec,
        .fds = count_fds(),
        .fds_max = getrlimit(RLIMIT_NOFILE, &files) == 0 ? (int64_t)files.rlim_cur : -1,
        .disk_used_percent = disk_percent(cfg(node_config(d->node), node_data).text),
        .host_memory_percent = memory_percent(),
    };
    measure_loop(d, &r.loop);
    node_measured(d->node, &r);
}

void measure_health(struct daemon *d) {
    enum { HEALTH_EVERY_MS = 5000 };
    struct mono now = loop_now(d->loop).mono;
    const struct config *c = node_config(d->node);
    struct health_facts f;
    if (d->next_measure.us > now.us) return;
    d->next_measure = mono_add_ms(now, HEALTH_EVERY_MS);
    local_health_cpu(&d->local, now);
    local_health(&d->local, d->home, c, &d->identity.peer, &f);
    f.lines_lost = d->sink.lost + d->log.dropped;
    f.listeners_lost = d->listeners_lost;
    if (d->sink.fd < 0 && d->sink.path[0] != 0)
        snprintf(f.logs, sizeof f.logs, "the log file is not open");
    node_health_measured(d->node, &f, d->worst_turn_us);
    d->worst_turn_us = 0;
}
