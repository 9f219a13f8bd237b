/* tests/crash/full.c: the twin with a disk that is full, or a power that fails, at the call the test names.
 * Linked into the executable with --wrap. FAIL_AT=N: the N-th call that changes a file system fails, with
 * ENOSPC, or with FAIL_HOW=kill ends the process there, before it is made. Without FAIL_AT nothing differs.
 * FAIL_ON=always: all calls from the N-th on fail, as on a disk that stays full (removing still works). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long left = -1; /* calls that still succeed; -1: all */
static bool kills, always;

__attribute__((constructor)) static void read_environment(void) {
    const char *at = getenv("FAIL_AT"), *how = getenv("FAIL_HOW"), *on = getenv("FAIL_ON");
    if (at != NULL) left = strtol(at, NULL, 10) - 1;
    kills = how != NULL && strcmp(how, "kill") == 0;
    always = on != NULL && strcmp(on, "always") == 0;
}

static bool fails(void) {
    if (left < 0) return false;
    if (left > 0) {
        left--;
        return false;
    }
    if (kills) raise(SIGKILL);
    if (!always) left = -1;
    errno = ENOSPC;
    return true;
}

#define REAL(type, name, ...)                                                                                \
    type __real_##name(__VA_ARGS__);                                                                         \
    type __wrap_##name(__VA_ARGS__)
REAL(ssize_t, write, int fd, const void *from, size_t n);
REAL(int, fsync, int fd);
REAL(int, mkdir, const char *path, mode_t mode);
REAL(int, rename, const char *from, const char *to);
REAL(int, renameat, int a, const char *from, int b, const char *to);
REAL(int, linkat, int a, const char *from, int b, const char *to, int flags);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);

ssize_t __wrap_write(int fd, const void *from, size_t n) {
    struct stat st;
    bool file = fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!file || !fails()) return __real_write(fd, from, n);
    if (n > 1) (void)!__real_write(fd, from, n / 2); /* a full disk takes what still fits */
    errno = ENOSPC;
    return -1;
}

int __wrap_fsync(int fd) {
    return fails() ? -1 : __real_fsync(fd);
}

int __wrap_mkdir(const char *path, mode_t mode) {
    struct stat st;
    return stat(path, &st) != 0 && fails() ? -1 : __real_mkdir(path, mode);
}

int __wrap_rename(const char *from, const char *to) {
    return fails() ? -1 : __real_rename(from, to);
}

int __wrap_renameat(int a, const char *from, int b, const char *to) {
    return fails() ? -1 : __real_renameat(a, from, b, to);
}

int __wrap_linkat(int a, const char *from, int b, const char *to, int flags) {
    return fails() ? -1 : __real_linkat(a, from, b, to, flags);
}

int __wrap_open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & O_CREAT) != 0 && fails()) return -1;
    return __real_open(path, flags, mode);
}

int __wrap_openat(int folder, const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if ((flags & O_CREAT) != 0 && fails()) return -1;
    return __real_openat(folder, path, flags, mode);
}
