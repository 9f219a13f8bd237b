#include "store/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/db_query.h"

enum {
    SPOOL_PATH_MAX = 1024,
    FILE_MODE = 0640,
    STALE_MS = 24 * 3600 * 1000, /* a temporary file so old was left by a writer that died */
    ENTRIES_MAX = 100000         /* looked at in one go; a folder with more is looked at again */
};

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
    peer_to_text(peer, text);
    /* names in the order of writing, so that they are taken in that order */
    int n = snprintf(path, sizeof path, "%s/%010lld%09ld-%016llx.msg", folder, (long long)now.tv_sec,
                     now.tv_nsec, (unsigned long long)rng_u64(&rng));
    int k = snprintf(temporary, sizeof temporary, "%s/.%llx.tmp", folder, (unsigned long long)rng_u64(&rng));
    if (n < 0 || k < 0 || (size_t)n >= sizeof path || (size_t)k >= sizeof temporary)
        return fail(w, E_INPUT, "the path of the spool is too long");
    if (!buf_add_format(&line, "{\"v\":1,\"peer\":\"%s\",\"created_ms\":%lld}\n", text,
                        (long long)created.ms))
        return fail(w, E_MEMORY, "out of memory");
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    enum err e = OK;
    if (fd < 0)
        e = refused(w, folder);
    else if (fchmod(fd, FILE_MODE) != 0 || /* whatever the umask: the node reads it by its group */
             !write_all(fd, buf_view(&line)) || !write_all(fd, frame) || fsync(fd) != 0)
        e = refused(w, temporary);
    if (fd >= 0) close(fd);
    if (e == OK && rename(temporary, path) != 0) e = refused(w, path);
    if (e != OK && fd >= 0) unlink(temporary);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0) {
        if (e == OK && fsync(dir) != 0 && errno != EINVAL) {
            e = refused(w, folder);
            unlink(path);     /* its user is told that it will not be sent */
            (void)fsync(dir); /* nor after a power cut, if the disk can say so by now */
        }
        close(dir);
    }
    buf_free(&line);
    return e;
}

/* ---- taking (the store's thread) */

enum take {
    TAKE_GOOD,
    TAKE_REFUSE, /* move it aside */
    TAKE_LATER   /* no fault of the file's: leave it */
};

/* The folder may be writable for a group (mode 3770): what its members put there belongs to them and has the
 * folder's group. Anything else, a second name of some other file above all, did not come from spool_write.
 */
static const char *refuse_file(const struct stat *folder, const struct stat *st) {
    if (!S_ISREG(st->st_mode)) return "not a regular file";
    if (st->st_nlink != 1) return "it has another name elsewhere";
    bool ours = st->st_uid == 0 || st->st_uid == geteuid() || st->st_uid == folder->st_uid;
    if (!ours && ((folder->st_mode & S_IWGRP) == 0 || st->st_gid != folder->st_gid))
        return "it belongs to a stranger";
    if (st->st_size == 0) return "it is empty";
    if (st->st_size > SPOOL_FILE_MAX) return "it is too long";
    return NULL;
}

static enum take read_all(int fd, size_t size, struct buf *out, struct why *w) {
    if (!buf_reserve(out, size)) return TAKE_LATER;
    while (out->n < size) {
        ssize_t n = read(fd, out->p + out->n, size - out->n);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return TAKE_LATER;
        if (n == 0) {
            fail(w, E_INPUT, "it became shorter while it was read");
            return TAKE_REFUSE;
        }
        out->n += (size_t)n;
    }
    return TAKE_GOOD;
}

/* Never through a link, and never waiting (a FIFO opens at once this way, and is then refused). */
static enum take read_file(int folder, const char *name, struct buf *out, struct why *w) {
    struct stat st, dir;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        int number = errno;
        bool its_fault = number == ELOOP || number == EACCES || number == ENXIO || number == EISDIR;
        fail(w, E_INPUT, "%s", number == ELOOP ? "it is a symbolic link" : strerror(number));
        return its_fault ? TAKE_REFUSE : TAKE_LATER;
    }
    enum take t = TAKE_LATER;
    if (fstat(folder, &dir) == 0 && fstat(fd, &st) == 0) {
        const char *reason = refuse_file(&dir, &st);
        if (reason == NULL) {
            t = read_all(fd, (size_t)st.st_size, out, w);
        } else {
            fail(w, E_INPUT, "%s", reason);
            t = TAKE_REFUSE;
        }
    }
    close(fd);
    return t;
}

/* The header line; *frame: what follows it. */
static enum err read_header(struct bytes content, struct peer_id *peer, struct bytes *frame, struct why *w) {
    struct bytes line = bytes_sub(content, 0, bytes_index(content, '\n'));
    if (line.n == content.n || line.n > SPOOL_LINE_MAX) return fail(w, E_INPUT, "it has no header line");
    *frame = bytes_skip(content, line.n + 1);
    struct json_doc *doc = json_parse(line, w);
    if (doc == NULL) return w->code;
    const struct json *root = json_root(doc);
    bool good = json_get_int(root, "v", 0) == 1 && peer_id_parse(json_get_bytes(root, "peer"), peer);
    json_free(doc);
    return good ? OK : fail(w, E_INPUT, "its header line is not that of a message");
}

static void name_it(struct store_op *op, const char *name) {
    snprintf(op->text, sizeof op->text, "%.200s", name);
}

/* To refused/, which must be a folder of our own and no link somebody left there. If that fails the file
 * stays, and is named again the next time. */
static void set_aside(int folder, const char *name, struct store_op *op) {
    struct stat st;
    name_it(op, name);
    if (mkdirat(folder, "refused", 0700) != 0 && errno != EEXIST) return;
    int refused = openat(folder, "refused", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (refused < 0) return;
    if (fstat(refused, &st) == 0 && (st.st_uid == geteuid() || st.st_uid == 0))
        renameat(folder, name, refused, name);
    close(refused);
}

/* Keeps the `most` first names in order. True: one was left out. */
static bool keep_name(char (*names)[SPOOL_NAME_MAX], size_t *n, size_t most, const char *name) {
    bool full = *n == most;
    if (full && strcmp(name, names[most - 1]) >= 0) return true;
    size_t at = full ? most - 1 : (*n)++;
    for (; at > 0 && strcmp(names[at - 1], name) > 0; at--) memcpy(names[at], names[at - 1], SPOOL_NAME_MAX);
    bytes_cstr(bytes_of(name), names[at], SPOOL_NAME_MAX);
    return full;
}

static void drop_stale(int folder, const char *name, int64_t now_ms) {
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
        now_ms - (int64_t)st.st_mtim.tv_sec * 1000 > STALE_MS)
        unlinkat(folder, name, 0);
}

/* The first names in the order of writing, at most `most`. *left: there are more. */
static size_t list_names(int folder, char (*names)[SPOOL_NAME_MAX], size_t most, int64_t now_ms, bool *left) {
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    size_t n = 0, looked = 0;
    *left = false;
    if (d == NULL && copy >= 0) close(copy);
    for (struct dirent *e; d != NULL && looked < ENTRIES_MAX && (e = readdir(d)) != NULL; looked++) {
        struct bytes name = bytes_of(e->d_name);
        if (name.p[0] == '.' && bytes_ends(name, ".tmp")) drop_stale(folder, e->d_name, now_ms);
        if (name.p[0] == '.' || !bytes_ends(name, ".msg") || name.n >= SPOOL_NAME_MAX) continue;
        if (keep_name(names, &n, most, e->d_name)) *left = true;
    }
    if (d != NULL) closedir(d);
    return n;
}

static bool has_peer(const struct peer_id *peers, size_t n, const struct peer_id *peer) {
    for (size_t k = 0; k < n; k++) {
        if (peer_id_eq(&peers[k], peer)) return true;
    }
    return false;
}

struct taking {
    struct peer_id peers[SPOOL_TAKEN_MAX]; /* for whom something was taken */
    struct peer_id
        full[SPOOL_TAKEN_MAX]; /* whose part of the outbox is full: what is behind must not overtake */
    size_t n_peers, n_full;
};

/* One file. False: SQLite or memory gave up. */
static bool take_file(struct db *db, struct store_op *op, int folder, const char *name, struct taking *t) {
    struct buf content = {.max = SPOOL_FILE_MAX};
    struct peer_id peer = {.n = 0};
    struct bytes frame = {NULL, 0};
    enum take read = read_file(folder, name, &content, &op->why);
    enum err e = read == TAKE_GOOD ? read_header(buf_view(&content), &peer, &frame, &op->why) : E_INPUT;
    op->bytes += content.n;
    int64_t seq;
    if (e == OK)
        e = has_peer(t->full, t->n_full, &peer) ? E_LIMIT
                                                : outbox_put(db, &peer, frame, op->limits, &seq, op);
    buf_free(&content);
    if (read == TAKE_LATER) { /* so does this */
        name_it(op, name);
        if (op->why.text[0] == 0) fail(&op->why, E_IO, "it can not be read now");
        return true;
    }
    if (e == E_LIMIT) { /* it stays for the next time */
        name_it(op, name);
        if (!has_peer(t->full, t->n_full, &peer)) t->full[t->n_full++] = peer;
    } else if (e == E_INPUT) {
        set_aside(folder, name, op);
    } else if (e == OK || e == E_REFUSED) { /* REFUSED: taken before; a crash came before the file went */
        bytes_cstr(bytes_of(name), db->taken[db->n_taken++].name, SPOOL_NAME_MAX);
        if (!has_peer(t->peers, t->n_peers, &peer)) t->peers[t->n_peers++] = peer;
        op->count += e == OK ? 1 : 0;
    }
    return e != E_IO && e != E_MEMORY && db->rc == SQLITE_OK;
}

enum err spool_take(struct db *db, struct store_op *op) {
    char names[SPOOL_TAKEN_MAX][SPOOL_NAME_MAX];
    struct taking t = {.n_peers = 0};
    size_t most = (size_t)MIN(MAX(op->count, (uint64_t)1), (uint64_t)SPOOL_TAKEN_MAX);
    int folder = db->spool == NULL ? -1 : open(db->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    op->count = op->bytes = 0;
    op->text[0] = 0;
    db->n_taken = 0;
    if (folder < 0) return OK;
    size_t n = list_names(folder, names, most, op->now.ms, &op->more);
    bool good = true;
    for (size_t i = 0; good && i < n; i++) {
        if (op->bytes >= DB_BATCH_BYTES) { /* one commit must not grow without end */
            op->more = true;
            break;
        }
        good = take_file(db, op, folder, names[i], &t);
    }
    close(folder);
    op->more = op->more && db->n_taken > 0; /* no use in asking again while nothing moves */
    for (size_t k = 0; good && k < t.n_peers; k++) good = outbox_peer_item(db, &t.peers[k], &op->out);
    return good ? OK : fail(&op->why, E_MEMORY, "out of memory for the spool");
}

void spool_committed(struct db *db) {
    int folder = db->n_taken == 0 || db->spool == NULL ? -1
                                                       : open(db->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; folder >= 0 && i < db->n_taken; i++) unlinkat(folder, db->taken[i].name, 0);
    if (folder >= 0) {
        (void)!fsync(folder); /* one that came back would be sent again after it was cancelled */
        close(folder);
    }
    db->n_taken = 0;
}
