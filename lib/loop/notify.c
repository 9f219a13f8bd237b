#include "loop/notify.h"

#include "loop/clocks.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { RETRY_US = 100000 };

static enum err open_socket(struct notify *n, const char *name, struct why *w) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof to.sun_path) {
        return fail(w, E_INPUT, "NOTIFY_SOCKET is neither a path nor an abstract name");
    }
    memcpy(to.sun_path, name, len);
    if (name[0] == '@') to.sun_path[0] = '\0'; /* abstract: no NUL at the end belongs to it */
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/' ? 1 : 0));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fail(w, E_IO, "No socket for NOTIFY_SOCKET: %s", strerror(errno));
    n->fd = fd;
    n->to = to;
    n->to_n = size;
    return OK;
}

enum err notify_open(struct notify *n, const char *socket_name, const char *watchdog_usec, struct why *w) {
    *n = (struct notify){.fd = -1};
    if (socket_name == NULL || *socket_name == '\0') return OK;
    enum err e = open_socket(n, socket_name, w);
    if (e != OK || watchdog_usec == NULL || *watchdog_usec == '\0') return e;
    uint64_t us;
    if (!bytes_to_u64(bytes_of(watchdog_usec), INT64_MAX, &us) || us == 0) {
        return fail(w, E_INPUT, "WATCHDOG_USEC is not a number of microseconds");
    }
    n->watchdog_us = (int64_t)MAX(us / 2, (uint64_t)1000);
    n->next = (struct mono){1}; /* at once */
    return OK;
}

void notify_close(struct notify *n) {
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
    n->watchdog_us = 0;
    n->pending_n = 0;
}

static enum err send_text(struct notify *n, const char *text, size_t len) {
    ssize_t sent;
    if (n->fd < 0) return OK;
    do sent = sendto(n->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&n->to, n->to_n);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return OK;
    return errno == EAGAIN || errno == ENOBUFS ? E_BUSY : E_IO;
}

static size_t put(char *out, size_t at, const char *format, ...) PRINTF_LIKE(3, 4);
static size_t put(char *out, size_t at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + at, NOTIFY_TEXT_MAX - at, format, args);
    va_end(args);
    return n < 0 ? at : MIN(at + (size_t)n, (size_t)NOTIFY_TEXT_MAX - 1);
}

static size_t put_status(char *out, size_t at, const char *status) {
    if (status == NULL) return at;
    size_t from = put(out, at, "STATUS="), end = put(out, from, "%s", status);
    for (size_t i = from; i < end; i++) {
        if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
            out[i] = ' '; /* a newline would begin another field */
    }
    return end;
}

/* A state that could not be sent is kept; a newer one replaces it. */
static enum err send_state(struct notify *n, const char *text, size_t len) {
    enum err e = send_text(n, text, len);
    n->pending_n = 0;
    if (e == E_BUSY) {
        memcpy(n->pending, text, len);
        n->pending_n = len;
        n->retry = (struct mono){1}; /* at once, then every RETRY_US */
    }
    return e;
}

enum err notify_ready(struct notify *n, const char *status) {
    char text[NOTIFY_TEXT_MAX];
    return send_state(n, text, put_status(text, put(text, 0, "READY=1\n"), status));
}

enum err notify_status(struct notify *n, const char *status) {
    char text[NOTIFY_TEXT_MAX];
    return send_text(n, text, put_status(text, 0, status == NULL ? "" : status));
}

enum err notify_reloading(struct notify *n) {
    char text[NOTIFY_TEXT_MAX];
    return send_state(n, text,
                      put(text, 0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clocks_monotonic_us()));
}

enum err notify_stopping(struct notify *n, const char *status) {
    char text[NOTIFY_TEXT_MAX];
    return send_state(n, text, put_status(text, put(text, 0, "STOPPING=1\n"), status));
}

enum err notify_extend(struct notify *n, int64_t ms) {
    char text[NOTIFY_TEXT_MAX];
    return send_text(n, text, put(text, 0, "EXTEND_TIMEOUT_USEC=%lld", (long long)ms * 1000));
}

void notify_tick(struct notify *n, struct mono now) {
    static const char feed[] = "WATCHDOG=1";
    if (n->fd < 0) return;
    if (n->pending_n > 0 && mono_due(n->retry, now)) {
        if (send_text(n, n->pending, n->pending_n) != E_BUSY) n->pending_n = 0;
        n->retry = (struct mono){now.us + RETRY_US};
    }
    if (n->watchdog_us == 0 || !mono_due(n->next, now)) return;
    bool busy = send_text(n, feed, sizeof feed - 1) == E_BUSY;
    n->next = (struct mono){now.us + (busy ? MIN(n->watchdog_us, (int64_t)RETRY_US) : n->watchdog_us)};
}

struct mono notify_deadline(const struct notify *n) {
    if (n->fd < 0) return MONO_NEVER;
    return mono_sooner(n->watchdog_us > 0 ? n->next : MONO_NEVER, n->pending_n > 0 ? n->retry : MONO_NEVER);
}
