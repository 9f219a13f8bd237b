#include "tests/sim/posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_FD = 1 << 20, HANDLES = 4096, FOLDERS = 16 };

struct handle {
    struct tree_file *file; /* NULL: free */
    struct disk *disk;      /* NULL: a source */
    size_t at;
};
static struct handle handles[HANDLES];

struct listing { /* what readdir goes through, of DIR's that are ours */
    bool used;
    struct handle of;
    size_t next;
    struct dirent entry;
};
static struct listing listings[FOLDERS];

#define WRAP(type, name, ...)                                                                                \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);
WRAP(int, close, int fd);
WRAP(ssize_t, read, int fd, void *to, size_t n);
WRAP(ssize_t, pread, int fd, void *to, size_t n, off_t at);
WRAP(ssize_t, write, int fd, const void *from, size_t n);
WRAP(ssize_t, pwrite, int fd, const void *from, size_t n, off_t at);
WRAP(int, fsync, int fd);
WRAP(int, fdatasync, int fd);
WRAP(int, sync_file_range, int fd, off_t at, off_t n, unsigned flags);
WRAP(int, fallocate, int fd, int mode, off_t at, off_t n);
WRAP(int, fchmod, int fd, mode_t mode);
WRAP(int, fstat, int fd, struct stat *st);
WRAP(int, fstatat, int folder, const char *name, struct stat *st, int flags);
WRAP(int, access, const char *path, int mode);
WRAP(int, mkdir, const char *path, mode_t mode);
WRAP(int, mkdirat, int folder, const char *name, mode_t mode);
WRAP(int, unlink, const char *path);
WRAP(int, unlinkat, int folder, const char *name, int flags);
WRAP(int, rename, const char *from, const char *to);
WRAP(int, renameat, int from_folder, const char *from, int to_folder, const char *to);
WRAP(DIR *, opendir, const char *path);
WRAP(DIR *, fdopendir, int fd);
WRAP(struct dirent *, readdir, DIR *d);
WRAP(int, closedir, DIR *d);
WRAP(int, clock_gettime, clockid_t clock, struct timespec *t);
WRAP(void, rng_system, struct rng *r);

/* ---- ours or the system's */

static bool is_ours(const char *path) {
    size_t n = strlen(DISK_ROOT);
    return strncmp(path, DISK_ROOT, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static struct handle *handle_of(int fd) {
    if (fd < FIRST_FD || fd >= FIRST_FD + HANDLES) return NULL;
    struct handle *h = &handles[fd - FIRST_FD];
    return h->file == NULL ? NULL : h;
}

static int error(int number) {
    errno = number;
    return -1;
}

/* 0, or -1 with errno. */
static int result(int number) {
    return number == 0 ? 0 : error(number);
}

static int new_handle(struct tree_file *file, struct disk *d) {
    for (int i = 0; i < HANDLES; i++) {
        if (handles[i].file != NULL) continue;
        handles[i] = (struct handle){file, d, 0};
        file->handles++;
        return FIRST_FD + i;
    }
    return error(EMFILE);
}

size_t posix_open_count(void) {
    size_t n = 0;
    for (size_t i = 0; i < HANDLES; i++) n += handles[i].file != NULL;
    return n;
}

int posix_source(struct bytes content) {
    struct tree_file *f = content_must(calloc(1, sizeof *f));
    content_put(&f->bytes, content.p, content.n, 0);
    return new_handle(f, NULL);
}

static void join(int folder, const char *name, char out[TREE_PATH]) {
    const struct handle *h = handle_of(folder);
    if (h == NULL) abort();
    int n = snprintf(out, TREE_PATH, "%s/%s", h->file->path, name);
    if (n < 0 || n >= TREE_PATH) abort();
    if (strcmp(name, ".") == 0) snprintf(out, TREE_PATH, "%s", h->file->path);
}

/* ---- names */

static int open_ours(const char *path, int flags) {
    struct disk *d = disk_selected();
    if (d == NULL || d->dead) return error(EIO);
    struct tree_file *f = tree_find(&d->tree, path);
    if (f != NULL && (flags & O_EXCL) != 0) return error(EEXIST);
    if (f != NULL && f->folder && (flags & O_ACCMODE) != O_RDONLY) return error(EISDIR);
    if (f != NULL && !f->folder && (flags & O_DIRECTORY) != 0) return error(ENOTDIR);
    if (f == NULL && (flags & O_CREAT) == 0) return error(ENOENT);
    if (f == NULL) {
        if (!disk_step(d)) return error(EIO);
        int number = tree_make(&d->tree, path, false, &f);
        if (number != 0) return error(number);
        f->changed_ms = disk_now_ms();
    }
    return new_handle(f, d);
}

static mode_t mode_of(int flags, va_list ap) {
    return (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    return is_ours(path) ? open_ours(path, flags) : __real_open(path, flags, mode);
}

int __wrap_openat(int folder, const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    mode_t mode = mode_of(flags, ap);
    va_end(ap);
    if (handle_of(folder) == NULL) return __real_openat(folder, path, flags, mode);
    char whole[TREE_PATH];
    join(folder, path, whole);
    return open_ours(whole, flags);
}

int __wrap_close(int fd) {
    struct handle *h = handle_of(fd);
    if (h == NULL) return __real_close(fd);
    struct handle closed = *h;
    *h = (struct handle){NULL, NULL, 0};
    closed.file->handles--;
    if (closed.disk != NULL) {
        tree_sweep(&closed.disk->tree);
    } else {
        content_free(&closed.file->bytes);
        free(closed.file);
    }
    return 0;
}

/* One change of names on the selected disk. */
static struct disk *changing(void) {
    struct disk *d = disk_selected();
    return d != NULL && disk_step(d) ? d : NULL;
}

static int make_folder(const char *path) {
    struct disk *d = changing();
    return d == NULL ? error(EIO) : result(tree_make(&d->tree, path, true, NULL));
}

static int remove_ours(const char *path) {
    struct disk *d = disk_selected();
    if (d != NULL && !d->dead && tree_find(&d->tree, path) == NULL) return error(ENOENT);
    d = changing();
    return d == NULL ? error(EIO) : result(tree_remove(&d->tree, path));
}

static int rename_ours(const char *from, const char *to) {
    struct disk *d = changing();
    return d == NULL ? error(EIO) : result(tree_rename(&d->tree, from, to));
}

int __wrap_mkdir(const char *path, mode_t mode) {
    return is_ours(path) ? make_folder(path) : __real_mkdir(path, mode);
}

int __wrap_mkdirat(int folder, const char *name, mode_t mode) {
    char path[TREE_PATH];
    if (handle_of(folder) == NULL) return __real_mkdirat(folder, name, mode);
    join(folder, name, path);
    return make_folder(path);
}

int __wrap_unlink(const char *path) {
    return is_ours(path) ? remove_ours(path) : __real_unlink(path);
}

int __wrap_unlinkat(int folder, const char *name, int flags) {
    char path[TREE_PATH];
    if (handle_of(folder) == NULL) return __real_unlinkat(folder, name, flags);
    join(folder, name, path);
    return remove_ours(path);
}

int __wrap_rename(const char *from, const char *to) {
    return is_ours(from) ? rename_ours(from, to) : __real_rename(from, to);
}

int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to) {
    char a[TREE_PATH], b[TREE_PATH];
    if (handle_of(from_folder) == NULL) return __real_renameat(from_folder, from, to_folder, to);
    join(from_folder, from, a);
    join(to_folder, to, b);
    return rename_ours(a, b);
}

int __wrap_access(const char *path, int mode) {
    if (!is_ours(path)) return __real_access(path, mode);
    const struct disk *d = disk_selected();
    if (d == NULL || d->dead) return error(EIO);
    return tree_find(&d->tree, path) != NULL ? 0 : error(ENOENT);
}

/* ---- bytes */

static bool is_dead(const struct handle *h) {
    return h->disk != NULL && h->disk->dead;
}

static ssize_t get(const struct handle *h, void *to, size_t n, size_t at) {
    const struct content *c = &h->file->bytes;
    if (is_dead(h)) return error(EIO);
    n = at < c->n ? MIN(n, c->n - at) : 0;
    if (n > 0) memcpy(to, c->p + at, n);
    return (ssize_t)n;
}

static ssize_t put(const struct handle *h, const void *from, size_t n, size_t at) {
    struct content *c = &h->file->bytes;
    if (h->disk == NULL) return error(EBADF);
    bool was_dead = h->disk->dead;
    if (!disk_step(h->disk)) {
        if (!was_dead) content_put(c, from, n / 2, at); /* half of it was on its way */
        return error(EIO);
    }
    if (!disk_takes(h->disk, c->n, at + n)) return error(ENOSPC);
    content_put(c, from, n, at);
    h->file->changed_ms = disk_now_ms();
    return (ssize_t)n;
}

ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at) {
    const struct handle *h = handle_of(fd);
    return h == NULL ? __real_pread(fd, to, n, at) : get(h, to, n, (size_t)at);
}

ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t at) {
    const struct handle *h = handle_of(fd);
    return h == NULL ? __real_pwrite(fd, from, n, at) : put(h, from, n, (size_t)at);
}

ssize_t __wrap_read(int fd, void *to, size_t n) {
    struct handle *h = handle_of(fd);
    if (h == NULL) return __real_read(fd, to, n);
    ssize_t got = get(h, to, n, h->at);
    if (got > 0) h->at += (size_t)got;
    return got;
}

ssize_t __wrap_write(int fd, const void *from, size_t n) {
    struct handle *h = handle_of(fd);
    if (h == NULL) return __real_write(fd, from, n);
    ssize_t done = put(h, from, n, h->at);
    if (done > 0) h->at += (size_t)done;
    return done;
}

static int sync_ours(const struct handle *h) {
    if (h->disk == NULL) return 0;
    if (!disk_syncs(h->disk)) return error(EIO);
    tree_sync(&h->disk->tree, h->file);
    return 0;
}

int __wrap_fsync(int fd) {
    const struct handle *h = handle_of(fd);
    return h == NULL ? __real_fsync(fd) : sync_ours(h);
}

int __wrap_fdatasync(int fd) {
    const struct handle *h = handle_of(fd);
    return h == NULL ? __real_fdatasync(fd) : sync_ours(h);
}

int __wrap_sync_file_range(int fd, off_t at, off_t n, unsigned flags) {
    return handle_of(fd) == NULL ? __real_sync_file_range(fd, at, n, flags) : 0;
}

/* Space is only looked for: a write may still find the disk full, as others fill it too. */
int __wrap_fallocate(int fd, int mode, off_t at, off_t n) {
    const struct handle *h = handle_of(fd);
    if (h == NULL) return __real_fallocate(fd, mode, at, n);
    if (is_dead(h)) return error(EIO);
    bool full = h->disk->full_after >= 0 && h->disk->full_after < at + n;
    return full ? error(ENOSPC) : 0;
}

int __wrap_fchmod(int fd, mode_t mode) {
    return handle_of(fd) == NULL ? __real_fchmod(fd, mode) : 0;
}

static int facts(const struct tree_file *f, struct stat *st) {
    memset(st, 0, sizeof *st);
    st->st_mode = f->folder ? S_IFDIR | 0700 : S_IFREG | 0640;
    st->st_nlink = 1;
    st->st_uid = geteuid();
    st->st_size = (off_t)f->bytes.n;
    st->st_mtim.tv_sec = f->changed_ms / 1000;
    return 0;
}

int __wrap_fstat(int fd, struct stat *st) {
    const struct handle *h = handle_of(fd);
    return h == NULL ? __real_fstat(fd, st) : facts(h->file, st);
}

int __wrap_fstatat(int folder, const char *name, struct stat *st, int flags) {
    const struct handle *h = handle_of(folder);
    if (h == NULL) return __real_fstatat(folder, name, st, flags);
    char path[TREE_PATH];
    join(folder, name, path);
    const struct tree_file *f = tree_find(&h->disk->tree, path);
    return f == NULL ? error(ENOENT) : facts(f, st);
}

/* ---- folders */

static struct listing *listing_of(DIR *d) {
    for (size_t i = 0; i < FOLDERS; i++)
        if ((void *)d == (void *)&listings[i]) return &listings[i];
    return NULL;
}

DIR *__wrap_fdopendir(int fd) {
    struct handle *h = handle_of(fd);
    if (h == NULL) return __real_fdopendir(fd);
    for (size_t i = 0; i < FOLDERS; i++) {
        struct listing *l = &listings[i];
        if (l->used) continue;
        *l = (struct listing){.used = true, .of = *h, .next = h->disk->tree.now.n};
        *h = (struct handle){NULL, NULL, 0};
        return (DIR *)(void *)l;
    }
    error(EMFILE);
    return NULL;
}

DIR *__wrap_opendir(const char *path) {
    if (!is_ours(path)) return __real_opendir(path);
    int fd = open_ours(path, O_RDONLY | O_DIRECTORY);
    return fd < 0 ? NULL : __wrap_fdopendir(fd);
}

/* The newest first: nobody may count on an order. */
struct dirent *__wrap_readdir(DIR *d) {
    struct listing *l = listing_of(d);
    if (l == NULL) return __real_readdir(d);
    const struct tree_names *x = &l->of.disk->tree.now;
    for (l->next = MIN(l->next, x->n); l->next > 0;) {
        const char *path = x->of[--l->next].path;
        if (!tree_is_in(path, l->of.file->path)) continue;
        snprintf(l->entry.d_name, sizeof l->entry.d_name, "%.255s", strrchr(path, '/') + 1);
        return &l->entry;
    }
    return NULL;
}

int __wrap_closedir(DIR *d) {
    struct listing *l = listing_of(d);
    if (l == NULL) return __real_closedir(d);
    l->used = false;
    l->of.file->handles--;
    tree_sweep(&l->of.disk->tree);
    return 0;
}

/* ---- what goes into names */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
    static int64_t last_ms;
    static long within;
    if (disk_selected() == NULL) return __real_clock_gettime(clock, t);
    if (clock != CLOCK_REALTIME) {
        int64_t us = disk_mono_us();
        *t = (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
        return 0;
    }
    int64_t ms = disk_now_ms();
    within = ms == last_ms ? within + 1 : 0;
    last_ms = ms;
    *t = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 + within};
    return 0;
}

void __wrap_rng_system(struct rng *r) {
    if (disk_selected() == NULL)
        __real_rng_system(r);
    else
        *r = rng_seeded((uint64_t)disk_now_ms());
}
