/* tests/crash/lossy.c: the twin whose unsynced writes are lost. Linked into the executable with --wrap: what
 * it writes to a regular file stays in this process' memory until fsync or fdatasync of that file; so kill -9
 * leaves what a power cut would leave. Names (create, rename, unlink) are durable at once, which is kinder
 * than a disk. SQLite's -shm files are mapped, and hold nothing that must last; logs are for people: both are
 * left alone. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

enum { PAGE = 4096, FDS = 65536, FILES = 256 };

struct shadow {
    bool used;
    dev_t device;
    ino_t inode;
    off_t size, floor; /* real bytes from floor on are gone: read as zero */
    uint8_t **pages;   /* by number; NULL: as on the disk */
    size_t n_pages;
    bool dirty;
};
static struct shadow shadows[FILES];
static struct shadow *of_fd[FDS]; /* tracked descriptors that may write or read */
static bool appends[FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...)                                                                                \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
REAL(int, close, int fd);
REAL(ssize_t, read, int fd, void *to, size_t n);
REAL(ssize_t, pread, int fd, void *to, size_t n, off_t at);
REAL(ssize_t, write, int fd, const void *from, size_t n);
REAL(ssize_t, pwrite, int fd, const void *from, size_t n, off_t at);
REAL(off_t, lseek, int fd, off_t at, int whence);
REAL(int, ftruncate, int fd, off_t size);
REAL(int, fsync, int fd);
REAL(int, fdatasync, int fd);
REAL(int, fstat, int fd, struct stat *st);
REAL(int, stat, const char *path, struct stat *st);
REAL(int, lstat, const char *path, struct stat *st);
REAL(int, unlink, const char *path);
REAL(int, fcntl, int fd, int command, ...);

static _Noreturn void broken(const char *what) {
    (void)!__real_write(2, what, strlen(what));
    abort();
}

static struct shadow *shadow_of(const struct stat *st, bool make) {
    struct shadow *spare = NULL;
    for (size_t i = 0; i < FILES; i++) {
        struct shadow *s = &shadows[i];
        if (s->used && s->device == st->st_dev && s->inode == st->st_ino) return s;
        bool open = false;
        for (size_t fd = 0; spare == NULL && s->used && !s->dirty && fd < 1024; fd++) open |= of_fd[fd] == s;
        if (spare == NULL && (!s->used || (!s->dirty && !open))) spare = s;
    }
    if (!make) return NULL;
    if (spare == NULL) broken("lossy: too many files\n");
    free(spare->pages);
    *spare = (struct shadow){
        .used = true, .device = st->st_dev, .inode = st->st_ino, .size = st->st_size, .floor = st->st_size};
    return spare;
}

static void forget(struct shadow *s, off_t size) {
    for (size_t i = 0; i < s->n_pages; i++) {
        free(s->pages[i]);
        s->pages[i] = NULL;
    }
    s->size = s->floor = size;
    s->dirty = false;
}

static bool is_tracked(const char *path) {
    size_t n = strlen(path);
    return !(n > 4 && strcmp(path + n - 4, "-shm") == 0) && strstr(path, "/log/") == NULL;
}

int __wrap_open(const char *path, int flags, ...) {
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    pthread_mutex_lock(&lock);
    int fd = __real_open(path, flags, mode);
    struct stat st;
    if (fd >= 0 && fd < FDS && is_tracked(path) && __real_fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        bool writes = (flags & O_ACCMODE) != O_RDONLY;
        struct shadow *s = shadow_of(&st, writes);
        if (s != NULL && ((flags & O_EXCL) != 0 || (flags & O_TRUNC) != 0))
            forget(s, st.st_size); /* a new file */
        of_fd[fd] = s;
        appends[fd] = (flags & O_APPEND) != 0;
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

int __wrap_close(int fd) {
    if (fd >= 0 && fd < FDS) of_fd[fd] = NULL;
    return __real_close(fd);
}

int __wrap_fcntl(int fd, int command, ...) {
    va_list ap;
    va_start(ap, command);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    int r = __real_fcntl(fd, command, argument);
    if ((command == F_DUPFD || command == F_DUPFD_CLOEXEC) && r >= 0 && r < FDS && fd < FDS) {
        of_fd[r] = of_fd[fd];
        appends[r] = appends[fd];
    }
    return r;
}

static struct shadow *tracked(int fd) {
    return fd >= 0 && fd < FDS ? of_fd[fd] : NULL;
}

static uint8_t *page_for_writing(int fd, struct shadow *s, size_t number) {
    if (number >= s->n_pages) {
        size_t n = (number + 1) * 2;
        s->pages = realloc(s->pages, n * sizeof *s->pages);
        if (s->pages == NULL) broken("lossy: memory\n");
        memset(s->pages + s->n_pages, 0, (n - s->n_pages) * sizeof *s->pages);
        s->n_pages = n;
    }
    if (s->pages[number] != NULL) return s->pages[number];
    uint8_t *page = calloc(1, PAGE);
    off_t at = (off_t)number * PAGE;
    if (page == NULL) broken("lossy: memory\n");
    if (at < s->floor) {
        int reader = fd;
        char path[64];
        if ((__real_fcntl(fd, F_GETFL) & O_ACCMODE) ==
            O_WRONLY) { /* its own file, by the kernel's name for it */
            char digits[16];
            size_t n = 0;
            for (int v = fd; v > 0 || n == 0; v /= 10) digits[n++] = (char)('0' + v % 10);
            memcpy(path, "/proc/self/fd/", 14);
            for (size_t i = 0; i < n; i++) path[14 + i] = digits[n - 1 - i];
            path[14 + n] = 0;
            reader = __real_open(path, O_RDONLY | O_CLOEXEC);
        }
        if (__real_pread(reader, page, (size_t)MIN((off_t)PAGE, s->floor - at), at) < 0)
            broken("lossy: read\n");
        if (reader != fd) __real_close(reader);
    }
    return s->pages[number] = page;
}

static ssize_t put(int fd, struct shadow *s, const uint8_t *from, size_t n, off_t at) {
    for (size_t done = 0; done < n;) {
        size_t number = (size_t)(at + (off_t)done) / PAGE, within = (size_t)(at + (off_t)done) % PAGE;
        size_t part = MIN(n - done, PAGE - within);
        memcpy(page_for_writing(fd, s, number) + within, from + done, part);
        done += part;
    }
    s->size = MAX(s->size, at + (off_t)n);
    s->dirty = true;
    return (ssize_t)n;
}

static ssize_t get(int fd, const struct shadow *s, uint8_t *to, size_t n, off_t at) {
    if (at >= s->size) return 0;
    n = (size_t)MIN((off_t)n, s->size - at);
    for (size_t done = 0; done < n;) {
        off_t here = at + (off_t)done;
        size_t number = (size_t)here / PAGE, within = (size_t)here % PAGE,
               part = MIN(n - done, PAGE - within);
        const uint8_t *page = number < s->n_pages ? s->pages[number] : NULL;
        if (page != NULL) {
            memcpy(to + done, page + within, part);
        } else {
            memset(to + done, 0, part);
            if (here < s->floor &&
                __real_pread(fd, to + done, (size_t)MIN((off_t)part, s->floor - here), here) < 0)
                return -1;
        }
        done += part;
    }
    return (ssize_t)n;
}

static int flush(int fd, struct shadow *s) {
    if (!s->dirty) return 0;
    if (__real_ftruncate(fd, s->floor) != 0) return -1;
    for (size_t i = 0; i < s->n_pages; i++) {
        off_t at = (off_t)i * PAGE;
        if (s->pages[i] == NULL || at >= s->size) continue;
        size_t n = (size_t)MIN((off_t)PAGE, s->size - at);
        for (size_t done = 0; done < n;) {
            ssize_t w = __real_pwrite(fd, s->pages[i] + done, n - done, at + (off_t)done);
            if (w <= 0) return -1;
            done += (size_t)w;
        }
    }
    if (__real_ftruncate(fd, s->size) != 0) return -1;
    forget(s, s->size);
    return 0;
}

#define LOCKED(type, expression)                                                                             \
    do {                                                                                                     \
        pthread_mutex_lock(&lock);                                                                           \
        type result = (expression);                                                                          \
        pthread_mutex_unlock(&lock);                                                                         \
        return result;                                                                                       \
    } while (0)

ssize_t __wrap_pread(int fd, void *to, size_t n, off_t at) {
    struct shadow *s = tracked(fd);
    if (s == NULL) return __real_pread(fd, to, n, at);
    LOCKED(ssize_t, get(fd, s, to, n, at));
}

ssize_t __wrap_pwrite(int fd, const void *from, size_t n, off_t at) {
    struct shadow *s = tracked(fd);
    if (s == NULL) return __real_pwrite(fd, from, n, at);
    LOCKED(ssize_t, put(fd, s, from, n, at));
}

static ssize_t move(int fd, ssize_t n, off_t at) {
    if (n > 0) __real_lseek(fd, at + n, SEEK_SET);
    return n;
}

ssize_t __wrap_read(int fd, void *to, size_t n) {
    struct shadow *s = tracked(fd);
    if (s == NULL) return __real_read(fd, to, n);
    off_t at = __real_lseek(fd, 0, SEEK_CUR);
    LOCKED(ssize_t, move(fd, get(fd, s, to, n, at), at));
}

ssize_t __wrap_write(int fd, const void *from, size_t n) {
    struct shadow *s = tracked(fd);
    if (s == NULL) return __real_write(fd, from, n);
    off_t at = appends[fd] ? s->size : __real_lseek(fd, 0, SEEK_CUR);
    LOCKED(ssize_t, move(fd, put(fd, s, from, n, at), at));
}

off_t __wrap_lseek(int fd, off_t at, int whence) {
    struct shadow *s = tracked(fd);
    if (s == NULL || whence != SEEK_END) return __real_lseek(fd, at, whence);
    return __real_lseek(fd, s->size + at, SEEK_SET);
}

static int cut(struct shadow *s, off_t size) {
    for (size_t i = 0; i < s->n_pages; i++) {
        off_t at = (off_t)i * PAGE;
        if (s->pages[i] == NULL || at + PAGE <= size) continue;
        size_t keep = size > at ? (size_t)(size - at) : 0;
        memset(s->pages[i] + keep, 0, PAGE - keep);
    }
    s->floor = MIN(s->floor, size);
    s->size = size;
    s->dirty = true;
    return 0;
}

int __wrap_ftruncate(int fd, off_t size) {
    struct shadow *s = tracked(fd);
    if (s == NULL) return __real_ftruncate(fd, size);
    LOCKED(int, cut(s, size));
}

int __wrap_fsync(int fd) {
    struct shadow *s = tracked(fd);
    if (s == NULL) return __real_fsync(fd);
    LOCKED(int, flush(fd, s));
}

int __wrap_fdatasync(int fd) {
    return __wrap_fsync(fd);
}

static int with_size(int r, struct stat *st) {
    if (r != 0 || !S_ISREG(st->st_mode)) return r;
    pthread_mutex_lock(&lock);
    const struct shadow *s = shadow_of(st, false);
    if (s != NULL && s->dirty) st->st_size = s->size;
    pthread_mutex_unlock(&lock);
    return r;
}

int __wrap_fstat(int fd, struct stat *st) {
    return with_size(__real_fstat(fd, st), st);
}
int __wrap_stat(const char *path, struct stat *st) {
    return with_size(__real_stat(path, st), st);
}
int __wrap_lstat(const char *path, struct stat *st) {
    return with_size(__real_lstat(path, st), st);
}

int __wrap_unlink(const char *path) {
    struct stat st;
    if (__real_lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
        pthread_mutex_lock(&lock);
        struct shadow *s = shadow_of(&st, false);
        if (s != NULL) forget(s, 0); /* its number may be another file's soon */
        pthread_mutex_unlock(&lock);
    }
    return __real_unlink(path);
}
