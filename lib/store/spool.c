#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/db_query.h"

enum { SPOOL_PATH_MAX = 1024 };

/* ---- writing (the command line, node down) */

static uint64_t count_files(const char *folder) {
    DIR *d = opendir(folder);
    uint64_t n = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += bytes_ends(bytes_of(e->d_name), ".msg");
    if (d != NULL) closedir(d);
    return n;
}

static enum err refused(struct why *w, const char *path) {
    int number = errno;
    enum err e = number == EACCES || number == EPERM || number == EROFS ? E_DENIED
                 : number == ENOENT                                     ? E_NOT_FOUND
                 : number == ENOSPC || number == EDQUOT                 ? E_LIMIT
                                                                        : E_IO;
    return fail(w, e, "%s: %s", path, strerror(number));
}

static bool write_all(int fd, struct bytes data) {
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        data = bytes_skip(data, (size_t)n);
    }
    return true;
}

enum err spool_write(const char *folder, const struct peer_id *peer, struct wall created, struct bytes frame,
                     uint64_t most, struct why *w) {
    char path[SPOOL_PATH_MAX], temporary[SPOOL_PATH_MAX], text[PEER_TEXT_MAX];
    struct rng rng;
    struct buf line = {.max = SPOOL_LINE_MAX};
    struct timespec now;
    if (count_files(folder) >= most)
        return fail(w, E_LIMIT, "the spool is full (messages.spoolMax); start the node");
    rng_system(&rng);
    clock_gettime(CLOCK_REALTIME, &now);
    peer_id_text(peer, text);
    /* names in the order of writing, so that they are taken in that order */
    int n = snprintf(path, sizeof path, "%s/%010lld%09ld-%016llx.msg", folder, (long long)now.tv_sec,
                     now.tv_nsec, (unsigned long long)rng_u64(&rng));
    int k = snprintf(temporary, sizeof temporary, "%s/.%llx.tmp", folder, (unsigned long long)rng_u64(&rng));
    if (n < 0 || k < 0 || (size_t)n >= sizeof path || (size_t)k >= sizeof temporary)
        return fail(w, E_INPUT, "the path of the spool is too long");
    if (!buf_add_format(&line, "{\"v\":1,\"peer\":\"%s\",\"created_ms\":%lld}\n", text,
                        (long long)created.ms))
        return fail(w, E_MEMORY, "out of memory");
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    enum err e = OK;
    if (fd < 0)
        e = refused(w, folder);
    else if (!write_all(fd, buf_view(&line)) || !write_all(fd, frame) || fsync(fd) != 0)
        e = refused(w, temporary);
    if (fd >= 0) close(fd);
    if (e == OK && rename(temporary, path) != 0) e = refused(w, path);
    if (e != OK && fd >= 0) unlink(temporary);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        if (e == OK && fsync(dir) != 0 && errno != EINVAL) e = refused(w, folder);
        close(dir);
    }
    buf_free(&line);
    return e;
}

/* ---- taking (the store's thread) */

/* Only plain files of a bounded size, never through a link: the folder is writable for a group. */
static bool read_file(int folder, const char *name, struct buf *out) {
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    bool good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
                st.st_size <= SPOOL_FILE_MAX && buf_reserve(out, (size_t)st.st_size);
    while (good && out->n < (size_t)st.st_size) {
        ssize_t n = read(fd, out->p + out->n, (size_t)st.st_size - out->n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        out->n += (size_t)n;
    }
    close(fd);
    return good && out->n == (size_t)st.st_size;
}

static enum err take_bytes(struct db *db, struct store_op *op, struct bytes content, struct peer_id *peer) {
    struct bytes line;
    int64_t seq;
    if (!bytes_split(&content, '\n', &line) || line.n > SPOOL_LINE_MAX)
        return fail(&op->why, E_INPUT, "no header line");
    struct json_doc *doc = json_parse(line, NULL);
    const struct json *root = doc == NULL ? NULL : json_root(doc);
    bool good = json_get_int(root, "v", 0) == 1 && peer_id_parse(json_get_bytes(root, "peer"), peer);
    json_free(doc);
    if (!good) return fail(&op->why, E_INPUT, "the header line is not of a spooled message");
    enum err e = outbox_put(db, peer, content, op->limits, &seq, op);
    return e == E_REFUSED ? OK : e; /* taken before, and a crash came before the file was removed */
}

static void set_aside(struct db *db, int folder, const char *name, struct store_op *op) {
    char path[SPOOL_PATH_MAX];
    snprintf(op->text, sizeof op->text, "%.200s", name);
    mkdirat(folder, "refused", 0700);
    int n = snprintf(path, sizeof path, "refused/%s", name);
    if (n > 0 && (size_t)n < sizeof path) renameat(folder, name, folder, path);
    (void)db;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(a, b);
}

/* The oldest names, at most SPOOL_TAKEN_MAX. *left: there are more. */
static size_t list_names(int folder, char (*names)[128], size_t most, bool *left) {
    int copy = dup(folder);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    size_t n = 0;
    if (d == NULL && copy >= 0) close(copy);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        struct bytes name = bytes_of(e->d_name);
        if (name.p[0] == '.' || !bytes_ends(name, ".msg") || name.n >= sizeof names[0]) continue;
        if (n == most) {
            *left = true;
            break;
        }
        bytes_cstr(name, names[n++], sizeof names[0]);
    }
    if (d != NULL) closedir(d);
    qsort(names, n, sizeof names[0], compare_names);
    return n;
}

enum err spool_take(struct db *db, struct store_op *op) {
    char names[SPOOL_TAKEN_MAX][128];
    struct peer_id peers[SPOOL_TAKEN_MAX];
    size_t n_peers = 0, n, most = (size_t)MIN(MAX(op->count, (uint64_t)1), (uint64_t)SPOOL_TAKEN_MAX);
    int folder = db->spool == NULL ? -1 : open(db->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    op->count = 0;
    op->text[0] = 0;
    db->n_taken = 0;
    if (folder < 0) return OK;
    n = list_names(folder, names, most, &op->more);
    for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) {
        struct buf content = {.max = SPOOL_FILE_MAX};
        struct peer_id peer = {0};
        enum err e = read_file(folder, names[i], &content)
                         ? take_bytes(db, op, buf_view(&content), &peer)
                         : fail(&op->why, E_INPUT, "not a plain file of the right size");
        buf_free(&content);
        if (e == E_LIMIT) { /* it stays for the next time */
            snprintf(op->text, sizeof op->text, "%.200s", names[i]);
            break;
        }
        if (e == E_INPUT) {
            set_aside(db, folder, names[i], op);
            continue;
        }
        if (e != OK) break;
        memcpy(db->taken[db->n_taken++].name, names[i], sizeof names[i]);
        op->count++;
        size_t k = 0;
        while (k < n_peers && !peer_id_eq(&peers[k], &peer)) k++;
        if (k == n_peers) peers[n_peers++] = peer;
    }
    close(folder);
    for (size_t k = 0; k < n_peers && db->rc == SQLITE_OK; k++) outbox_peer_item(db, &peers[k], &op->out);
    return OK;
}

void spool_committed(struct db *db) {
    int folder = db->n_taken == 0 || db->spool == NULL ? -1
                                                       : open(db->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; folder >= 0 && i < db->n_taken; i++) unlinkat(folder, db->taken[i].name, 0);
    if (folder >= 0) close(folder);
    db->n_taken = 0;
}
