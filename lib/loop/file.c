#include "loop/file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NAME_TRIES = 100 };
#define RENAME_NO_REPLACE 1u /* linux/fs.h: RENAME_NOREPLACE */

enum err file_error(int error_number) {
    switch (error_number) {
    case 0: return OK;
    case ENOENT:
    case ENOTDIR: return E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return E_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE: return E_LIMIT;
    case ELOOP:
    case EISDIR:
    case ENAMETOOLONG:
    case ENXIO: return E_INPUT;
    case ENOMEM: return E_MEMORY;
    case EEXIST:
    case ENOTEMPTY: return E_REFUSED;
    default: return E_IO;
    }
}

/* "Writing /a/b failed: No space left on device" */
static enum err broken(struct why *w, const char *doing, const char *path, int error) {
    return fail(w, file_error(error), "%s %.150s failed: %s", doing, path, strerror(error));
}

/* ---- reading */
static struct file_facts facts_of(const struct stat *st) {
    return (struct file_facts){
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = st->st_size > 0 ? (uint64_t)st->st_size : 0,
        .changed = {(int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000},
        .inode = (uint64_t)st->st_ino,
        .device = (uint64_t)st->st_dev,
        .folder = S_ISDIR(st->st_mode),
        .link = S_ISLNK(st->st_mode),
        .regular = S_ISREG(st->st_mode),
    };
}

enum err file_facts(const char *path, struct file_facts *out, struct why *w) {
    struct stat st;
    if (lstat(path, &st) != 0) return broken(w, "Looking at", path, errno);
    *out = facts_of(&st);
    return OK;
}

/* One byte more than `most` is asked for, so that a file that grew, or one in /proc without a size, is
 * noticed. */
static enum err read_all(int fd, const char *path, size_t most, size_t size, struct buf *out, struct why *w) {
    size_t before = out->n;
    if (!buf_reserve(out, MIN(size + 1, MIN(most, buf_room(out))))) {
        return fail(w, E_MEMORY, "No memory to read %.150s", path);
    }
    for (;;) {
        uint8_t over, *to = &over;
        size_t done = out->n - before, room = MIN(most - done, buf_room(out));
        size_t want = MIN(room, out->cap > out->n ? out->cap - out->n : (size_t)4096);
        if (want > 0) {
            if (!buf_reserve(out, want)) return fail(w, E_MEMORY, "No memory to read %.150s", path);
            to = out->p + out->n;
        }
        ssize_t n = read(fd, to, want > 0 ? want : 1);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return broken(w, "Reading", path, errno);
        if (n == 0) return OK;
        if (want == 0) return fail(w, E_LIMIT, "%.150s is larger than %zu bytes", path, done);
        out->n += (size_t)n;
    }
}

enum err file_read(const char *path, unsigned flags, size_t max, mode_t widest, struct buf *out,
                   struct file_facts *facts, struct why *w) {
    /* NONBLOCK: opening a named pipe must not wait for its writer. */
    int fd = open(path,
                  O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | ((flags & FILE_NO_LINK) ? O_NOFOLLOW : 0));
    if (fd < 0 && errno == ELOOP && (flags & FILE_NO_LINK)) {
        return fail(w, E_INPUT, "%.150s is a symbolic link, which is not followed here", path);
    }
    struct stat st;
    int error = fd < 0 ? errno : 0;
    if (error == ENOENT && lstat(path, &st) == 0) /* its owner means it to be there: this is not "no file" */
        return fail(w, E_INPUT, "%.150s is a symbolic link to nothing", path);
    if (fd < 0) return broken(w, "Opening", path, error);
    enum err e = OK;
    size_t before = out->n;
    if (fstat(fd, &st) != 0) {
        e = broken(w, "Looking at", path, errno);
        goto out;
    }
    if (facts != NULL) *facts = facts_of(&st);
    mode_t mode = st.st_mode & 07777;
    if (!S_ISREG(st.st_mode))
        e = fail(w, E_INPUT, "%.150s is not a regular file", path);
    else if ((mode & ~widest) != 0)
        e = fail(w, E_INPUT, "%.150s has mode %04o, and may have at most %04o: chmod %o it", path,
                 (unsigned)mode, (unsigned)widest, (unsigned)(mode & widest));
    else if (st.st_size > 0 && (uint64_t)st.st_size > MIN(max, buf_room(out)))
        e = fail(w, E_LIMIT, "%.150s is larger than %zu bytes", path, MIN(max, buf_room(out)));
    else
        e = read_all(fd, path, max, st.st_size > 0 ? (size_t)st.st_size : 0, out, w);
out:
    if (e != OK) out->n = before;
    close(fd);
    return e;
}

/* ---- writing */
/* The folder part of path into `out` (PATH_MAX bytes); the last part of path, or NULL: there is none. */
static const char *split(const char *path, char *out) {
    const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
    size_t n = slash == NULL ? 1 : slash == path ? 1 : (size_t)(slash - path);
    if (n >= PATH_MAX || *name == '\0' || strlen(name) > NAME_MAX - 32) return NULL;
    memcpy(out, slash == NULL ? "." : path, n);
    out[n] = '\0';
    return name;
}

static enum err write_all(int fd, struct bytes content, const char *path, struct why *w) {
    while (content.n > 0) {
        ssize_t n = write(fd, content.p, content.n);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return broken(w, "Writing", path, n == 0 ? EIO : errno);
        content = bytes_skip(content, (size_t)n);
    }
    return OK;
}

static enum err fill(int fd, struct bytes content, mode_t mode, uid_t uid, gid_t gid, const char *path,
                     struct why *w) {
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) != 0) {
        return broken(w, "Changing the owner of", path, errno);
    }
    if (fchmod(fd, mode) != 0) return broken(w, "Changing the mode of", path, errno);
    enum err e = write_all(fd, content, path, w);
    if (e == OK && fsync(fd) != 0) e = broken(w, "Syncing", path, errno);
    return e;
}

/* Opens NAME.PID-N.tmp in the folder: two processes, or two threads, never share one. */
static int open_temporary(int folder, const char *name, char *temporary, size_t size) {
    static atomic_uint counter;
    for (int i = 0; i < NAME_TRIES; i++) {
        unsigned serial = atomic_fetch_add(&counter, 1);
        snprintf(temporary, size, "%s.%ld-%u.tmp", name, (long)getpid(), serial);
        int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

/* link() never replaces; some file systems have no links, and only there the newer system call is needed. */
static int move_new(int folder, const char *from, const char *to) {
    if (linkat(folder, from, folder, to, 0) == 0) {
        unlinkat(folder, from, 0);
        return 0;
    }
    if (errno == EEXIST) return -1;
    return (int)syscall(SYS_renameat2, folder, from, folder, to, RENAME_NO_REPLACE);
}

static enum err put_file(const char *path, struct bytes content, mode_t mode, uid_t uid, gid_t gid,
                         bool replace, struct why *w) {
    char where[PATH_MAX], temporary[NAME_MAX + 1];
    const char *name = split(path, where);
    if (name == NULL) return fail(w, E_INPUT, "%.150s is not a path that a file can have", path);
    int folder = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return broken(w, "Opening the folder", where, errno);
    enum err e;
    int fd = open_temporary(folder, name, temporary, sizeof temporary);
    if (fd < 0) {
        e = broken(w, "Creating a temporary file beside", path, errno);
        close(folder);
        return e;
    }
    e = fill(fd, content, mode, uid, gid, path, w);
    if (close(fd) != 0 && e == OK) e = broken(w, "Closing", path, errno); /* NFS reports a full disk here */
    if (e == OK) {
        int moved = replace ? renameat(folder, temporary, folder, name) : move_new(folder, temporary, name);
        if (moved != 0) e = broken(w, replace ? "Replacing" : "Creating", path, errno);
    }
    if (e != OK) unlinkat(folder, temporary, 0);
    if (e == OK && fsync(folder) != 0 && errno != EINVAL) e = broken(w, "Syncing the folder", where, errno);
    close(folder);
    return e;
}

enum err file_replace_as(const char *path, struct bytes content, mode_t mode, uid_t uid, gid_t gid,
                         struct why *w) {
    return put_file(path, content, mode, uid, gid, true, w);
}

enum err file_replace(const char *path, struct bytes content, mode_t mode, struct why *w) {
    return put_file(path, content, mode, (uid_t)-1, (gid_t)-1, true, w);
}

enum err file_create(const char *path, struct bytes content, mode_t mode, struct why *w) {
    return put_file(path, content, mode, (uid_t)-1, (gid_t)-1, false, w);
}

/* ---- folders */
/* Makes one folder; there already is fine, as long as it is one. */
static enum err make(const char *path, mode_t mode, bool *made, struct why *w) {
    struct stat st;
    *made = mkdir(path, mode) == 0;
    if (*made) return OK;
    int error = errno;
    if (stat(path, &st) != 0) return broken(w, "Creating the folder", path, error == EEXIST ? errno : error);
    return S_ISDIR(st.st_mode) ? OK : fail(w, E_INPUT, "%.150s is there already and is no folder", path);
}

enum err file_mkdirs(const char *path, mode_t mode, bool *made, struct why *w) {
    char part[PATH_MAX];
    bool is_new = false;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    if (n == 0 || n >= sizeof part)
        return fail(w, E_INPUT, "%.150s is not a path that a folder can have", path);
    for (size_t i = 1; i < n; i++) {
        if (path[i] != '/' || path[i - 1] == '/') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        enum err e = make(part, 0755, &is_new, w);
        if (e != OK) return e;
    }
    memcpy(part, path, n);
    part[n] = '\0';
    enum err e = make(part, mode & 0777, &is_new, w);
    if (e == OK && is_new && chmod(part, mode) != 0) e = broken(w, "Changing the mode of", part, errno);
    if (made != NULL) *made = e == OK && is_new;
    return e;
}

enum err file_remove(const char *path, struct why *w) {
    if (unlink(path) == 0 || errno == ENOENT) return OK;
    return broken(w, "Removing", path, errno);
}

enum err file_sync_folder(const char *path, struct why *w) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return broken(w, "Opening the folder", path, errno);
    enum err e = fsync(fd) != 0 && errno != EINVAL ? broken(w, "Syncing the folder", path, errno) : OK;
    close(fd);
    return e;
}
