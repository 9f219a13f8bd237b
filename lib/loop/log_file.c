#include "loop/log_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log_name.h"
#include "base/mem.h"
#include "loop/file.h"

enum { SLICE = 64 << 10, NAME_TRIES = 3600, GZIP_WINDOW = 15 + 16, GZIP_MEMORY = 8 };
enum { LATE_MS = 3600 * 1000 /* a line from before midnight that comes after it turns nothing back */ };
static const int64_t day_ms = 86400000;

struct log_squeeze {
    int in, out;
    char from[LOG_NAME_MAX], part[LOG_NAME_MAX], to[LOG_NAME_MAX];
    struct timespec times[2]; /* of the archive: its compressed twin gets them */
    z_stream z;
    uint8_t read[SLICE], made[SLICE];
};

/* ---- names */

static struct bytes base_of(const struct log_file *f) {
    const char *slash = strrchr(f->path, '/');
    return bytes_of(slash == NULL ? f->path : slash + 1);
}

static bool folder_of(const struct log_file *f, char out[512]) {
    const char *slash = strrchr(f->path, '/');
    if (slash == NULL) return false;
    snprintf(out, 512, "%.*s", slash == f->path ? 1 : (int)(slash - f->path), f->path);
    return true;
}

static int open_folder(const struct log_file *f) {
    char folder[512];
    return folder_of(f, folder) ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static bool is_there(int folder, const char *name) {
    struct stat st;
    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The name for an archive whose last line is of then; another second if that is taken in any form. */
static bool free_name(int folder, struct bytes base, struct wall then, char out[LOG_NAME_MAX]) {
    char other[LOG_NAME_MAX];
    for (int i = 0; i < NAME_TRIES; i++, then.ms += 1000) {
        bool taken = !log_name_make(base, then, LOG_NAME_GZIP, other) || is_there(folder, other) ||
                     !log_name_make(base, then, LOG_NAME_GZIP_PARTIAL, other) || is_there(folder, other);
        if (!taken && log_name_make(base, then, LOG_NAME_PLAIN, out) && !is_there(folder, out)) return true;
    }
    return false;
}

/* ---- the file */

void log_file_init(struct log_file *f) {
    *f = (struct log_file){.fd = -1};
}

static void squeeze_drop(struct log_file *f) {
    struct log_squeeze *s = f->squeeze;
    if (s == NULL) return;
    deflateEnd(&s->z);
    if (s->in >= 0) close(s->in);
    if (s->out >= 0) {
        int folder = open_folder(f);
        if (folder >= 0) {
            unlinkat(folder, s->part, 0);
            close(folder);
        }
        close(s->out);
    }
    mem_free(s);
    f->squeeze = NULL;
}

void log_file_close(struct log_file *f) {
    squeeze_drop(f);
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

static int64_t day_of(struct wall t) {
    return t.ms / day_ms;
}

int64_t log_file_midnight_ms(struct wall now) {
    return day_ms - now.ms % day_ms;
}

static bool ends_torn(const char *path, const struct stat *st) {
    char last = '\n';
    int fd = st->st_size == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    bool torn = pread(fd, &last, 1, st->st_size - 1) == 1 && last != '\n';
    close(fd);
    return torn;
}

/* Opens the path, no more. The umask has no say in a new file's mode. */
static enum err open_path(struct log_file *f, struct wall now, struct why *w) {
    const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    char folder[512];
    struct stat st;
    if (!folder_of(f, folder)) return fail(w, E_INPUT, "%.150s: not an absolute path", f->path);
    enum err e = file_mkdirs(folder, 0750, NULL, w);
    if (e != OK) return e;
    int fd = open(f->path, flags);
    bool made = fd < 0 && errno == ENOENT;
    if (made) fd = open(f->path, flags | O_CREAT | O_EXCL, 0640);
    if (fd < 0 || fstat(fd, &st) != 0 || (made && fchmod(fd, 0640) != 0)) {
        e = fail(w, file_error(errno), "%.150s: %s", f->path, strerror(errno));
        if (fd >= 0) close(fd);
        return e;
    }
    if (f->fd >= 0) close(f->fd);
    f->fd = fd;
    f->regular = S_ISREG(st.st_mode);
    f->size = f->regular ? (uint64_t)st.st_size : 0;
    f->turn_at = f->rotation.max_size;
    f->day = made || !f->regular ? day_of(now) : (int64_t)st.st_mtim.tv_sec / 86400;
    f->torn = f->regular && ends_torn(f->path, &st);
    f->moved = false;
    return OK;
}

enum err log_file_open(struct log_file *f, struct wall now, struct why *w) {
    if (f->path[0] == 0) {
        log_file_close(f);
        return OK;
    }
    enum err e = open_path(f, now, w);
    f->untidy = true;
    if (e == OK) log_file_turn(f, now, 0);
    return e;
}

size_t log_file_write(struct log_file *f, struct bytes lines) {
    size_t lost = 0;
    bool mended = !f->torn;
    while (f->fd >= 0 && lines.n > 0) {
        struct bytes next = mended ? lines : BYTES("\n"); /* half a line stays alone */
        ssize_t n = write(f->fd, next.p, next.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        f->size += (size_t)n;
        f->torn = next.p[n - 1] != '\n';
        if (mended) lines = bytes_skip(lines, (size_t)n);
        mended = true;
    }
    for (size_t i = 0; i < lines.n; i++) lost += lines.p[i] == '\n';
    return lost;
}

/* ---- turning */

/* renameat2 would do it in one step, but the folder is ours and its names are looked at first. */
static bool move_away(struct log_file *f) {
    char name[LOG_NAME_MAX];
    struct stat mine, there;
    int folder = open_folder(f);
    if (folder < 0) return false;
    struct bytes base = base_of(f);
    const char *old = f->path + (strlen(f->path) - base.n);
    bool done = fstat(f->fd, &mine) == 0;
    /* Somebody else has moved or replaced it: then only a new one is opened. */
    bool ours = done && fstatat(folder, old, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
                there.st_ino == mine.st_ino && there.st_dev == mine.st_dev;
    if (ours) {
        struct wall last = {(int64_t)mine.st_mtim.tv_sec * 1000};
        done = free_name(folder, base, last, name) && renameat(folder, old, folder, name) == 0;
    }
    close(folder);
    return done;
}

bool log_file_gone(const struct log_file *f) {
    struct stat there, mine;
    if (f->fd < 0 || !f->regular || f->moved || fstat(f->fd, &mine) != 0) return false;
    return lstat(f->path, &there) != 0 || there.st_ino != mine.st_ino || there.st_dev != mine.st_dev;
}

bool log_file_due(const struct log_file *f, struct wall now, size_t more) {
    if (f->fd < 0 || !f->regular || !f->rotation.builtin) return false;
    return f->moved || day_of(now) > f->day || (f->size > 0 && f->size + more > f->turn_at);
}

void log_file_turn(struct log_file *f, struct wall now, size_t more) {
    if (f->day * day_ms - now.ms > LATE_MS) f->day = day_of(now); /* the clock was set back */
    if (!log_file_due(f, now, more)) return;
    if (!f->moved && !move_away(f)) { /* no room, no right: it goes on growing, and is tried again */
        f->day = day_of(now);
        f->turn_at = f->size + f->rotation.max_size;
        return;
    }
    f->moved = true;
    f->day = day_of(now);
    f->untidy = true;
    open_path(f, now, NULL); /* else the lines go on to the archive, which stays uncompressed meanwhile */
}

/* ---- tidying */

static bool squeeze_begin(struct log_file *f, int folder, const char *from, struct wall time) {
    struct log_squeeze *s = NEW(struct log_squeeze);
    struct stat st;
    if (s == NULL) return false;
    s->in = s->out = -1;
    f->squeeze = s;
    bool good = bytes_cstr(bytes_of(from), s->from, sizeof s->from) &&
                log_name_make(base_of(f), time, LOG_NAME_GZIP, s->to) &&
                log_name_make(base_of(f), time, LOG_NAME_GZIP_PARTIAL, s->part) &&
                deflateInit2(&s->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                             Z_DEFAULT_STRATEGY) == Z_OK;
    if (good) s->in = openat(folder, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    good = good && s->in >= 0 && fstat(s->in, &st) == 0 && S_ISREG(st.st_mode);
    if (good) s->out = openat(folder, s->part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    good = good && s->out >= 0 && fchmod(s->out, st.st_mode & 0666) == 0;
    if (!good) {
        squeeze_drop(f);
        return false;
    }
    s->times[0] = st.st_atim;
    s->times[1] = st.st_mtim;
    return true;
}

static bool put_all(int fd, const uint8_t *p, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* The twin is whole and on the disk before it gets its name, and has its name before the archive goes. */
static void squeeze_end(struct log_file *f) {
    struct log_squeeze *s = f->squeeze;
    int folder = open_folder(f);
    if (folder >= 0 && futimens(s->out, s->times) == 0 && fsync(s->out) == 0 &&
        renameat(folder, s->part, folder, s->to) == 0) {
        close(s->out);
        s->out = -1;
        fsync(folder);
        unlinkat(folder, s->from, 0);
    }
    if (folder >= 0) close(folder);
    squeeze_drop(f);
}

/* False: it can not go on. */
static bool squeeze_slice(struct log_file *f, bool *ended) {
    struct log_squeeze *s = f->squeeze;
    ssize_t n = read(s->in, s->read, sizeof s->read);
    if (n < 0) return errno == EINTR;
    s->z.next_in = s->read;
    s->z.avail_in = (uInt)n;
    int rc;
    do {
        s->z.next_out = s->made;
        s->z.avail_out = sizeof s->made;
        rc = deflate(&s->z, n == 0 ? Z_FINISH : Z_NO_FLUSH);
        if (rc == Z_STREAM_ERROR || !put_all(s->out, s->made, sizeof s->made - s->z.avail_out)) return false;
    } while (s->z.avail_out == 0);
    *ended = rc == Z_STREAM_END;
    return true;
}

/* Removes what is too old; finds the oldest archive that is not compressed, and the time of the newest of
 * all. Only names of our own making count. */
static struct wall look_around(const struct log_file *f, int folder, struct wall now,
                               char oldest[LOG_NAME_MAX], struct wall *oldest_time) {
    struct wall newest = {0};
    int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = again < 0 ? NULL : fdopendir(again);
    if (d == NULL && again >= 0) close(again);
    oldest[0] = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        struct log_name name = log_name_parse(bytes_of(e->d_name), base_of(f));
        if (!name.own) continue;
        if (name.kind == LOG_NAME_PARTIAL || name.time.ms + f->rotation.retention_ms < now.ms) {
            unlinkat(folder, e->d_name, 0);
            continue;
        }
        if (name.time.ms > newest.ms) newest = name.time;
        if (!name.gzip && (oldest[0] == 0 || name.time.ms < oldest_time->ms) &&
            bytes_cstr(bytes_of(e->d_name), oldest, LOG_NAME_MAX))
            *oldest_time = name.time;
    }
    if (d != NULL) closedir(d);
    return newest;
}

/* One that has a newer one behind it: the newest stays as it is, for who still reads it. */
static bool choose_work(struct log_file *f, struct wall now) {
    char oldest[LOG_NAME_MAX];
    struct wall time = {0};
    int folder = open_folder(f);
    if (folder < 0) return false;
    struct wall newest = look_around(f, folder, now, oldest, &time);
    bool begun = f->rotation.compress && oldest[0] != 0 && time.ms < newest.ms &&
                 squeeze_begin(f, folder, oldest, time);
    close(folder);
    return begun;
}

bool log_file_tidy(struct log_file *f, struct wall now) {
    bool ended = false;
    if (!f->untidy || f->path[0] == 0 || !f->rotation.builtin) return false;
    if (f->squeeze == NULL) {
        f->untidy = choose_work(f, now);
        return f->untidy;
    }
    if (!squeeze_slice(f, &ended)) {
        squeeze_drop(f);
        f->untidy = false; /* a full disk: again after the next turn */
        return false;
    }
    if (ended) squeeze_end(f);
    return true;
}
