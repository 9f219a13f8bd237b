#include "store/files.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PATH_SIZE = 4096,
    NAME_KEEP = 200,
    SEQ_DIGITS = 8,        /* at least */
    SWEEP_ENTRIES = 100000 /* looked at in one sweep */
};

struct slot {
    int64_t seq; /* 0: free */
    int fd, source;
    bool outgoing;
    uint64_t at;       /* bytes copied or written */
    uint64_t synced;   /* of these on disk */
    int64_t synced_ms; /* when; 0: not yet */
    uint64_t started;  /* of these on their way */
    struct sha256 hash;
    uint64_t hashed;
    uint64_t used; /* when, in turns */
};
struct files {
    char *folders[2]; /* received, outgoing */
    bool lasts[2];    /* its own name is on the disk */
    struct slot slots[FILES_OPEN];
    uint64_t turns;
    uint8_t slice[FILES_HASH_BYTES];
};

struct files *files_new(const char *outgoing, const char *received) {
    struct files *f = NEW(struct files);
    if (f == NULL) return NULL;
    f->folders[0] = mem_text(received, strlen(received));
    f->folders[1] = mem_text(outgoing, strlen(outgoing));
    if (f->folders[0] != NULL && f->folders[1] != NULL) return f;
    files_free(f);
    return NULL;
}

static void slot_close(struct slot *s) {
    if (s->fd >= 0) close(s->fd);
    if (s->source >= 0) close(s->source);
    *s = (struct slot){.fd = -1, .source = -1};
}

void files_free(struct files *f) {
    if (f == NULL) return;
    for (size_t i = 0; i < FILES_OPEN; i++)
        if (f->slots[i].seq != 0) slot_close(&f->slots[i]);
    mem_free(f->folders[0]);
    mem_free(f->folders[1]);
    mem_free(f);
}

static struct slot *slot_find(struct files *f, int64_t seq) {
    for (size_t i = 0; i < FILES_OPEN; i++)
        if (f->slots[i].seq == seq && seq != 0) {
            f->slots[i].used = ++f->turns;
            return &f->slots[i];
        }
    return NULL;
}

static struct slot *slot_new(struct files *f, int64_t seq, bool outgoing) {
    struct slot *s = slot_find(f, seq);
    if (s != NULL) slot_close(s); /* of a row whose commit failed: its number was given again */
    s = &f->slots[0];
    for (size_t i = 1; i < FILES_OPEN && s->seq != 0; i++)
        if (f->slots[i].seq == 0 || f->slots[i].used < s->used) s = &f->slots[i];
    if (s->seq != 0) slot_close(s);
    *s = (struct slot){.seq = seq, .fd = -1, .source = -1, .outgoing = outgoing, .used = ++f->turns};
    return s;
}

/* ---- names */

/* A peer's name was checked to be safe (file_name_fault); it is only cut, at a character's edge. */
void files_path(const struct files *f, int64_t seq, bool outgoing, const char *name, char *out, size_t size) {
    const char *folder = f->folders[outgoing];
    int keep = name == NULL ? 0 : (int)strnlen(name, NAME_KEEP);
    if (name != NULL && name[keep] != 0)
        while (keep > 0 && ((unsigned char)name[keep] & 0xc0) == 0x80) keep--;
    if (outgoing)
        snprintf(out, size, "%s/%08lld", folder, (long long)seq);
    else if (name == NULL)
        snprintf(out, size, "%s/%08lld.part", folder, (long long)seq);
    else
        snprintf(out, size, "%s/%08lld-%.*s", folder, (long long)seq, keep, name);
}

static enum err sorry(struct why *w, const char *path, int error) {
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        return fail(w, E_LIMIT, "%s: no space left on its disk", path);
    return fail(w, error == EMFILE || error == ENFILE ? E_LIMIT : E_IO, "%s: %s", path, strerror(error));
}

/* 0, or what was wrong. */
static int sync_path(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return error;
}

static enum err sync_folder(const struct files *f, bool outgoing, struct why *w) {
    int error = sync_path(f->folders[outgoing]);
    return error == 0 ? OK : sorry(w, f->folders[outgoing], error);
}

static int sync_above(const char *path) {
    char above[PATH_SIZE];
    snprintf(above, sizeof above, "%s", path);
    char *last = strrchr(above, '/');
    if (last == NULL) return sync_path(".");
    last[last == above] = 0;
    return sync_path(above);
}

/* Its own name must last as long as the names in it, also when it is there: what made it may not have synced
 * it, or in vain. */
static enum err make_folder(struct files *f, bool outgoing, struct why *w) {
    const char *path = f->folders[outgoing];
    bool made = mkdir(path, outgoing ? 0700 : 0750) == 0;
    if (!made && errno != EEXIST) return sorry(w, path, errno);
    int error = sync_above(path);
    if (!made && (error == EACCES || error == EINVAL)) error = 0; /* where only another user can see to it */
    f->lasts[outgoing] = error == 0;
    return error == 0 ? OK : sorry(w, path, error);
}

static enum err open_at(struct files *f, const char *path, bool outgoing, int flags, int *fd, struct why *w) {
    bool makes = (flags & O_CREAT) != 0;
    enum err e = makes && !f->lasts[outgoing] ? make_folder(f, outgoing, w) : OK;
    if (e != OK) return e;
    *fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fd < 0 && errno == ENOENT && makes) {
        e = make_folder(f, outgoing, w);
        if (e != OK) return e;
        *fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    return *fd >= 0 ? OK : sorry(w, path, errno);
}

/* ---- bytes */

static ssize_t read_at(int fd, uint8_t *to, size_t n, uint64_t at) {
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(fd, to + got, n - got, (off_t)(at + got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return -1;
        if (r == 0) break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

static bool write_at(int fd, struct bytes data, uint64_t at) {
    while (data.n > 0) {
        ssize_t r = pwrite(fd, data.p, data.n, (off_t)at);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return false;
        data = bytes_skip(data, (size_t)r);
        at += (size_t)r;
    }
    return true;
}

static int64_t monotonic_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Often enough for a slow file to lose little, seldom enough for a fast one to leave the disk to messages. */
static bool must_sync(struct slot *s) {
    uint64_t bytes = s->at - s->synced;
    if (bytes < FILES_SYNC_BYTES) return false;
    return bytes >= FILES_SYNC_MOST || monotonic_ms() - s->synced_ms >= FILES_SYNC_MS;
}

/* Writes and, in time, sees to it that it is on the disk. */
static enum err append(struct slot *s, const char *path, struct bytes data, bool sync, struct why *w) {
    if (!write_at(s->fd, data, s->at)) return sorry(w, path, errno);
    s->at += data.n;
    if (sync || must_sync(s)) {
        if (fdatasync(s->fd) != 0) return sorry(w, path, errno);
        s->synced = s->started = s->at;
        s->synced_ms = monotonic_ms();
    } else if (s->at - s->started >= FILES_START_BYTES) {
        /* No more than two such parts are on their way: the disk stays free for the syncs of messages. */
        if (s->started > s->synced)
            sync_file_range(s->fd, (off_t)s->synced, (off_t)(s->started - s->synced),
                            SYNC_FILE_RANGE_WAIT_BEFORE);
        sync_file_range(s->fd, (off_t)s->started, (off_t)(s->at - s->started), SYNC_FILE_RANGE_WRITE);
        s->started = s->at;
    }
    return OK;
}

/* The disk's space is taken at once, so that a file that has begun can also end. Where a file system can not,
 * writing finds out. */
static enum err take_space(int fd, const char *path, uint64_t size, struct why *w) {
    if (size == 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) == 0) return OK;
    return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? sorry(w, path, errno) : OK;
}

/* ---- sending */

enum err files_copy_begin(struct files *f, int64_t seq, int source, uint64_t size, struct why *w) {
    char path[PATH_SIZE];
    files_path(f, seq, true, NULL, path, sizeof path);
    unlink(path); /* the rest of a row that never was */
    struct slot *s = slot_new(f, seq, true);
    s->source = source;
    sha256_start(&s->hash);
    struct stat st;
    enum err e = fstat(source, &st) == 0 && S_ISREG(st.st_mode) ? OK
                                                                : fail(w, E_INPUT, "it is no regular file");
    if (e == OK && (uint64_t)st.st_size != size)
        e = fail(w, E_INPUT, "the file has %lld bytes, not %llu: send it again", (long long)st.st_size,
                 (unsigned long long)size);
    if (e == OK) e = open_at(f, path, true, O_RDWR | O_CREAT | O_EXCL, &s->fd, w);
    if (e == OK) e = take_space(s->fd, path, size, w);
    if (e != OK) files_drop(f, seq, true, NULL);
    return e;
}

enum err files_copy(struct files *f, int64_t seq, uint64_t size, uint64_t *done, bool *whole,
                    uint8_t hash[SHA256_SIZE], struct why *w) {
    char path[PATH_SIZE];
    struct slot *s = slot_find(f, seq);
    files_path(f, seq, true, NULL, path, sizeof path);
    *whole = false;
    if (s == NULL || s->source < 0) return fail(w, E_BUSY, "too many files are being copied: try again");
    size_t want = (size_t)MIN((uint64_t)sizeof f->slice, size - s->at + 1); /* + 1: does it go on? */
    ssize_t n = read_at(s->source, f->slice, want, s->at);
    if (n < 0) return fail(w, E_IO, "the file can not be read: %s", strerror(errno));
    if (s->at + (uint64_t)n > size || (n == 0 && s->at < size))
        return fail(w, E_INPUT, "the file changed while it was copied: send it again");
    struct bytes data = bytes_at(f->slice, (size_t)n);
    *whole = s->at + data.n == size && (size_t)n < want;
    enum err e = append(s, path, data, *whole, w);
    if (e != OK) return e;
    sha256_add(&s->hash, data);
    *done = s->at;
    if (!*whole) return OK;
    sha256_end(&s->hash, hash);
    slot_close(s);
    return sync_folder(f, true, w);
}

enum err files_read(struct files *f, int64_t seq, uint64_t at, size_t n, struct buf *out, struct why *w) {
    char path[PATH_SIZE];
    struct slot *s = slot_find(f, seq);
    files_path(f, seq, true, NULL, path, sizeof path);
    if (s == NULL) {
        s = slot_new(f, seq, true);
        enum err e = open_at(f, path, true, O_RDONLY, &s->fd, w);
        if (e != OK) {
            slot_close(s);
            if (access(path, F_OK) != 0 && errno == ENOENT)
                return fail(w, E_NOT_FOUND, "%s is gone: cancel and send again", path);
            return e;
        }
    }
    uint8_t *to = buf_add_space(out, n);
    if (to == NULL) return fail(w, E_MEMORY, "out of memory for a part of a file");
    ssize_t got = read_at(s->fd, to, n, at);
    if (got == (ssize_t)n) return OK;
    out->n -= n;
    return got < 0 ? sorry(w, path, errno)
                   : fail(w, E_NOT_FOUND, "%s is shorter than it was: cancel and send again", path);
}

void files_drop(struct files *f, int64_t seq, bool outgoing, const char *name) {
    char path[PATH_SIZE];
    struct slot *s = slot_find(f, seq);
    if (s != NULL) slot_close(s);
    files_path(f, seq, outgoing, NULL, path, sizeof path);
    unlink(path);
    if (outgoing || name == NULL) return;
    files_path(f, seq, false, name, path, sizeof path);
    if (unlink(path) == 0) sync_folder(f, false, NULL); /* no row will speak of it: it must not come back */
}

/* The seq of a name that files_path makes, and what is behind its digits; 0: of another. */
static int64_t seq_of_name(const char *name, const char **rest) {
    int64_t seq = 0;
    size_t n = 0;
    for (; name[n] >= '0' && name[n] <= '9'; n++) {
        if (n == 18) return 0;
        seq = seq * 10 + (name[n] - '0');
    }
    *rest = name + n;
    return n < SEQ_DIGITS || (n > SEQ_DIGITS && name[0] == '0') ? 0 : seq;
}

static bool is_swept(const char *name, bool outgoing, bool (*keep)(void *, int64_t, bool, const char *),
                     void *user) {
    const char *rest;
    int64_t seq = seq_of_name(name, &rest);
    if (seq == 0) return false;
    if (outgoing) return *rest == 0 && !keep(user, seq, true, NULL);
    if (strcmp(rest, ".part") == 0) return !keep(user, seq, false, NULL);
    return *rest == '-' && !keep(user, seq, false, name);
}

void files_sweep(struct files *f, bool (*keep)(void *user, int64_t seq, bool outgoing, const char *whole),
                 void *user) {
    for (int outgoing = 0; outgoing < 2; outgoing++) {
        DIR *d = opendir(f->folders[outgoing]);
        size_t looked = 0;
        for (struct dirent *e; d != NULL && looked < SWEEP_ENTRIES && (e = readdir(d)) != NULL; looked++) {
            char path[PATH_SIZE];
            int n = snprintf(path, sizeof path, "%s/%s", f->folders[outgoing], e->d_name);
            if (n > 0 && (size_t)n < sizeof path && is_swept(e->d_name, outgoing, keep, user)) unlink(path);
        }
        if (d != NULL) closedir(d);
    }
}

/* ---- receiving */

enum err files_write(struct files *f, const struct files_part *p, uint64_t *safe, struct why *w) {
    char path[PATH_SIZE];
    struct slot *s = slot_find(f, p->seq);
    files_path(f, p->seq, false, NULL, path, sizeof path);
    if (s == NULL) {
        s = slot_new(f, p->seq, false);
        enum err e = open_at(f, path, false, O_RDWR | O_CREAT, &s->fd, w);
        if (e == OK && p->at == 0) e = take_space(s->fd, path, p->size, w);
        if (e == OK && p->at == 0) e = sync_folder(f, false, w);
        if (e != OK) {
            slot_close(s);
            return e;
        }
        s->at = p->at;
        s->synced = s->started = MIN(p->safe, p->at); /* a slot closed by now wrote what lies between */
    }
    if (s->at != p->at) {
        slot_close(s); /* begins anew where the row says */
        return fail(w, E_BUSY, "%s: its parts are out of step", path);
    }
    s->hashed = 0;
    enum err e = append(s, path, p->data, p->last, w);
    *safe = s->synced;
    if (e != OK) slot_close(s);
    return e;
}

uint64_t files_written(struct files *f, int64_t seq, uint64_t done) {
    const struct slot *s = slot_find(f, seq);
    return s == NULL ? done : MAX(s->at, done);
}

/* Either name: the machine may have stopped between the renaming and the row's commit. */
enum err files_open(struct files *f, int64_t seq, const char *name, int *fd, struct why *w) {
    char path[PATH_SIZE];
    files_path(f, seq, false, name, path, sizeof path);
    if (open_at(f, path, false, O_RDONLY, fd, w) == OK) return OK;
    files_path(f, seq, false, NULL, path, sizeof path);
    return open_at(f, path, false, O_RDONLY, fd, NULL) == OK ? OK : E_IO;
}

enum err files_check(struct files *f, int64_t seq, const char *name, uint64_t size, bool *whole,
                     uint8_t hash[SHA256_SIZE], struct why *w) {
    struct slot *s = slot_find(f, seq);
    *whole = false;
    if (s == NULL) {
        s = slot_new(f, seq, false);
        enum err e = files_open(f, seq, name, &s->fd, w);
        if (e != OK) {
            slot_close(s);
            return e;
        }
    }
    if (s->hashed == 0) sha256_start(&s->hash);
    ssize_t n = read_at(s->fd, f->slice, (size_t)MIN((uint64_t)sizeof f->slice, size - s->hashed), s->hashed);
    if (n < 0 || (n == 0 && s->hashed < size)) {
        int error = errno;
        slot_close(s);
        return n < 0 ? fail(w, E_IO, "a received file can not be read back: %s", strerror(error))
                     : fail(w, E_IO, "a received file is shorter than it was");
    }
    sha256_add(&s->hash, bytes_at(f->slice, (size_t)n));
    s->hashed += (uint64_t)n;
    if (s->hashed < size) return OK;
    *whole = true;
    sha256_end(&s->hash, hash);
    slot_close(s);
    return OK;
}

enum err files_finish(struct files *f, int64_t seq, const char *name, struct why *w) {
    char from[PATH_SIZE], to[PATH_SIZE];
    files_path(f, seq, false, NULL, from, sizeof from);
    files_path(f, seq, false, name, to, sizeof to);
    if (rename(from, to) != 0 && !(errno == ENOENT && access(to, F_OK) == 0)) return sorry(w, to, errno);
    return sync_folder(f, false, w);
}
