#include "ops/local_health.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "crypto/certificate.h"
#include "loop/clocks.h"

static bool slurp(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* ---- processor and memory */

void local_health_cpu(struct local_health *l, struct mono now) {
    char text[4096];
    unsigned long long v[8] = {0};
    struct rusage u;
    struct cpu_sample *s = &l->cpu[l->n_cpu++ % CPU_SAMPLES];
    *s = (struct cpu_sample){.at = now};
    if (slurp("/proc/stat", text, sizeof text) &&
        sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
               &v[6], &v[7]) == 8) {
        for (size_t i = 0; i < LEN(v); i++) s->all += v[i];
        s->busy = s->all - v[3] - v[4]; /* idle, and waiting for a disk */
    }
    getrusage(RUSAGE_SELF, &u);
    s->own_us = (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t)u.ru_utime.tv_usec +
                (uint64_t)u.ru_stime.tv_usec;
}

static void cpu(const struct local_health *l, struct health_facts *f) {
    if (l->n_cpu < CPU_SAMPLES) {
        f->cpu_later = true;
        return;
    }
    const struct cpu_sample *first = &l->cpu[l->n_cpu % CPU_SAMPLES],
                            *last = &l->cpu[(l->n_cpu - 1) % CPU_SAMPLES];
    if (last->all > first->all)
        f->cpu_percent = 100.0 * (double)(last->busy - first->busy) / (double)(last->all - first->all);
    double own = last->at.us > first->at.us
                     ? 100.0 * (double)(last->own_us - first->own_us) / (double)(last->at.us - first->at.us)
                     : 0;
    if (isnan(f->cpu_percent) || own > f->cpu_percent) {
        f->cpu_percent = own;
        f->cpu_of = "node";
    }
}

/* Of the control group we are in, if it has a limit. */
static double cgroup_memory(void) {
    char text[1024], path[640], value[64];
    unsigned long long used = 0, max = 0;
    if (!slurp("/proc/self/cgroup", text, sizeof text)) return NAN;
    const char *at = strstr(text, "0::/");
    if (at == NULL) return NAN;
    at += 3;
    int n = (int)strcspn(at, "\n");
    if (n > 500) return NAN;
    snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/memory.max", n, at);
    if (!slurp(path, value, sizeof value) || sscanf(value, "%llu", &max) != 1 || max == 0) return NAN;
    snprintf(path, sizeof path, "/sys/fs/cgroup%.*s/memory.current", n, at);
    if (!slurp(path, value, sizeof value) || sscanf(value, "%llu", &used) != 1) return NAN;
    return 100.0 * (double)used / (double)max;
}

static double memory(void) {
    char text[4096];
    long long total = 0, available = 0;
    double host = NAN, group = cgroup_memory();
    if (slurp("/proc/meminfo", text, sizeof text)) {
        const char *t = strstr(text, "MemTotal:"), *a = strstr(text, "MemAvailable:");
        if (t != NULL && a != NULL && sscanf(t, "MemTotal: %lld", &total) == 1 &&
            sscanf(a, "MemAvailable: %lld", &available) == 1 && total > 0)
            host = 100.0 * (double)(total - available) / (double)total;
    }
    return isnan(host) || group > host ? group : host;
}

/* ---- disks */

static void disk(const char *folder, const char *space, const char *inodes, struct health_facts *f) {
    struct statvfs v;
    if (statvfs(folder, &v) != 0 || v.f_blocks == 0) return;
    double used = (double)(v.f_blocks - v.f_bfree), all = used + (double)v.f_bavail;
    double percent = all > 0 ? 100.0 * used / all : 100;
    if (isnan(f->disk_percent) || percent > f->disk_percent) {
        f->disk_percent = percent;
        f->disk_of = space;
        f->disk_free_bytes = (int64_t)(v.f_bavail * v.f_frsize);
    }
    if (v.f_files == 0) return; /* a file system without a number of them */
    percent = 100.0 * (double)(v.f_files - v.f_favail) / (double)v.f_files;
    if (percent <= f->disk_percent) return;
    f->disk_percent = percent;
    f->disk_of = inodes;
    f->disk_free_bytes = -1;
}

static void disks(const struct home *h, const struct config *c, struct health_facts *f) {
    char folder[PATH_SIZE];
    disk(cfg(c, node_data).text, "data", "inodes of data", f);
    disk(cfg(c, files_receiveDir).text, "files", "inodes of files", f);
    snprintf(folder, sizeof folder, "%s", h->log_file);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) *slash = 0;
    disk(folder, "logs", "inodes of logs", f);
}

/* ---- files. Names alone are told, not paths: /health is read by anybody on this host */

static const char *base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* True: it is another one than was read. */
static bool changed(struct file_seen *seen, const struct file_facts *now) {
    if (seen->inode == now->inode && seen->size == now->size && seen->changed.ms == now->changed.ms)
        return false;
    seen->inode = now->inode;
    seen->size = now->size;
    seen->changed = now->changed;
    seen->fault[0] = 0;
    return true;
}

static void check_identity(struct local_health *l, const struct home *h, const struct config *c,
                           const struct peer_id *self, struct health_facts *f) {
    const char *path = cfg(c, node_identity).text;
    struct file_facts facts;
    struct identity id;
    struct why w;
    enum err e = file_facts(path, &facts, NULL);
    if (e == E_NOT_FOUND) snprintf(f->identity, sizeof f->identity, "%.60s is missing", base(path));
    if (e != OK) return; /* what we may not look at is no finding */
    if ((facts.mode & 0177) != 0) {
        snprintf(f->files, sizeof f->files, "%.60s has mode %04o", base(path), (unsigned)facts.mode & 07777);
        f->files_critical = true;
        return; /* it is not read then */
    }
    if (!changed(&l->identity, &facts)) {
        memcpy(f->identity, l->identity.fault, sizeof f->identity);
        return;
    }
    e = home_identity(h, c, &id, &w);
    if (e == OK && self != NULL && !peer_id_eq(&id.peer, self))
        snprintf(l->identity.fault, sizeof l->identity.fault, "%.60s holds another node's key", base(path));
    else if (e != OK && e != E_DENIED)
        snprintf(l->identity.fault, sizeof l->identity.fault, "%.60s holds no key", base(path));
    if (e == OK) identity_wipe(&id);
    memcpy(f->identity, l->identity.fault, sizeof f->identity);
}

static void check_modes(const struct config *c, struct health_facts *f) {
    const char *paths[] = {cfg(c, network_swarmKey).text, cfg(c, http_tokenFile).text,
                           cfg(c, http_tlsKeyFile).text, cfg(c, alerts_webhookTokenFile).text,
                           cfg(c, alerts_webhookSecretFile).text};
    for (size_t i = 0; i < LEN(paths); i++) {
        char path[PATH_SIZE];
        struct file_facts facts;
        struct why w;
        if (paths[i] == NULL || paths[i][0] == 0 || home_secret(paths[i], path, &w) != OK) continue;
        if (file_facts(path, &facts, NULL) != OK || (facts.mode & 07137) == 0 || f->files[0] != 0) continue;
        snprintf(f->files, sizeof f->files, "%.60s has mode %04o", base(path), (unsigned)facts.mode & 07777);
    }
}

static void check_certificate(struct local_health *l, const struct config *c, struct health_facts *f) {
    const char *chain = cfg(c, http_tlsCert).text, *key = cfg(c, http_tlsKeyFile).text;
    char key_path[PATH_SIZE] = "";
    struct file_facts a = {0}, b = {0};
    struct why w;
    if (chain == NULL || chain[0] == 0) return;
    f->has_certificate = true;
    if (key != NULL && key[0] != 0 && home_secret(key, key_path, &w) != OK) key_path[0] = 0;
    enum err e = file_facts(chain, &a, NULL);
    if (e == OK && key_path[0] != 0) e = file_facts(key_path, &b, NULL);
    if (e == E_DENIED) return;
    if (e != OK) {
        snprintf(f->certificate, sizeof f->certificate, "the certificate or its key is missing");
        return;
    }
    bool again = changed(&l->key, &b);
    if (changed(&l->certificate, &a) || again) {
        struct buf text = {.max = CERTIFICATE_TEXT_MAX}, secret = {.max = CERTIFICATE_TEXT_MAX};
        l->certificate.fault[0] = 0;
        e = file_read(chain, 0, CERTIFICATE_TEXT_MAX, FILE_ANY_MODE, &text, NULL, &w);
        if (e == OK && key_path[0] != 0)
            e = file_read(key_path, 0, CERTIFICATE_TEXT_MAX, FILE_ANY_MODE, &secret, NULL, &w);
        if (e == OK) {
            e = certificate_look(buf_view(&text), buf_view(&secret), &l->not_after, &w);
            if (e != OK) snprintf(l->certificate.fault, sizeof l->certificate.fault, "%.120s", w.text);
        } else {
            snprintf(l->certificate.fault, sizeof l->certificate.fault,
                     "the certificate or its key can not be read");
        }
        buf_free(&text);
        buf_wipe(&secret);
    }
    memcpy(f->certificate, l->certificate.fault, sizeof f->certificate);
    f->certificate_seconds = (double)(l->not_after.ms - clocks_now().wall.ms) / 1000;
}

static void check_database(const struct config *c, bool running, struct health_facts *f) {
    char path[PATH_SIZE];
    struct file_facts facts;
    struct buf head = {.max = 16};
    int n = snprintf(path, sizeof path, "%s/silktalk.db", cfg(c, node_data).text);
    if (n < 0 || n >= PATH_SIZE) return;
    enum err e = file_facts(path, &facts, NULL);
    if (e == E_NOT_FOUND && running) snprintf(f->database, sizeof f->database, "silktalk.db is gone");
    if (e != OK || running || facts.size == 0) return; /* a new node has none yet */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    uint8_t *p = buf_add_space(&head, 16);
    bool good = p != NULL && read(fd, p, 16) == 16 && memcmp(p, "SQLite format 3", 16) == 0;
    close(fd);
    buf_free(&head);
    if (!good) snprintf(f->database, sizeof f->database, "silktalk.db is no database any more");
}

void local_health(struct local_health *l, const struct home *h, const struct config *c,
                  const struct peer_id *self, struct health_facts *f) {
    health_facts_init(f);
    cpu(l, f);
    f->memory_percent = memory();
    bool as_owner = home_as_owner(h);
    disks(h, c, f);
    check_identity(l, h, c, self, f);
    check_modes(c, f);
    check_certificate(l, c, f);
    check_database(c, self != NULL, f);
    if (as_owner) home_as_self();
}
