#include "ops/local_health.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "crypto/certificate.h"
#include "loop/clocks.h"
#include "store/space.h"

/* ---- the host */

static void of_host(const struct host_use *u, struct health_facts *f) {
    int64_t memory = host_memory_permille(u);
    if (memory >= 0) f->memory_percent = (double)memory / 10;
    f->cpu_later = u->cpu_window_ms < HOST_WINDOW_MS;
    if (f->cpu_later) return;
    int64_t most = MAX(u->host_cpu_permille, u->own_cpu_permille);
    if (most >= 0) f->cpu_percent = (double)most / 10;
    if (u->own_cpu_permille > u->host_cpu_permille) f->cpu_of = "node";
}

/* ---- disks */

static void disk(const struct space_use *s, const char *space, const char *inodes, struct health_facts *f) {
    int64_t all = space_permille(s);
    struct space_use bytes = *s;
    bytes.inodes = 0;
    if (all < 0 || (double)all / 10 <= f->disk_percent) return; /* NAN is below all */
    bool of_bytes = space_permille(&bytes) == all;
    f->disk_percent = (double)all / 10;
    f->disk_of = of_bytes ? space : inodes;
    f->disk_free_bytes = of_bytes ? (int64_t)s->available : -1;
}

static void disks(const struct space_use spaces[SPACE_USES], struct health_facts *f) {
    disk(&spaces[SPACE_DATA], "data", "inodes of data", f);
    disk(&spaces[SPACE_FILES], "files", "inodes of files", f);
    disk(&spaces[SPACE_LOGS], "logs", "inodes of logs", f);
}

/* Beside a node that does not run: nothing but this command waits for a disk that hangs. */
static void look_at_disks(const struct config *c, struct health_facts *f) {
    struct space_use spaces[SPACE_USES] = {{0}};
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", cfg(c, logging_file).text); /* "": it is off */
    char *slash = strrchr(folder, '/');
    if (slash != NULL) *slash = 0;
    space_measure_disk(cfg(c, node_data).text, &spaces[SPACE_DATA]);
    space_measure_disk(cfg(c, files_receiveDir).text, &spaces[SPACE_FILES]);
    if (folder[0] != 0) space_measure_disk(folder, &spaces[SPACE_LOGS]);
    disks(spaces, f);
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
                  const struct peer_id *self, const struct host_use *use, const struct space_use *spaces,
                  struct health_facts *f) {
    health_facts_init(f);
    of_host(use, f);
    bool as_owner = home_as_owner(h);
    if (spaces == NULL)
        look_at_disks(c, f);
    else
        disks(spaces, f);
    check_identity(l, h, c, self, f);
    check_modes(c, f);
    check_certificate(l, c, f);
    check_database(c, self != NULL, f);
    if (as_owner) home_as_self();
}
