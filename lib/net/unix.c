#include "net/unix.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static enum err refused(const char *path, struct why *w) {
    int code = errno;
    return fail(w,
                code == EACCES || code == EPERM ? E_DENIED
                : code == ENOENT                ? E_NOT_FOUND
                                                : E_IO,
                "%s: %s", path, strerror(code));
}

enum err unix_listen(int *fd, const char *path, mode_t mode, struct why *w) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    *fd = -1;
    if (strlen(path) >= sizeof at.sun_path)
        return fail(w, E_INPUT, "%s: the path of a socket has at most %zu bytes", path,
                    sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path) + 1);
    if (lstat(path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) return fail(w, E_INPUT, "%s is there and is no socket", path);
        unlink(path);
    }
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0) return refused(path, w);
    mode_t before = umask(0177); /* nobody gets in between bind and chmod */
    int bound = bind(s, (const struct sockaddr *)&at, sizeof at);
    umask(before);
    if (bound != 0 || chmod(path, mode) != 0 || listen(s, 64) != 0) {
        enum err e = refused(path, w);
        close(s);
        return e;
    }
    *fd = s;
    return OK;
}

enum err unix_accept(int listener, int *fd) {
    do {
        *fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return *fd < 0 ? E_BUSY : OK;
}

void unix_close(int fd, const char *path) {
    close(fd);
    unlink(path);
}
