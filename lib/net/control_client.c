#include "net/control_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { STOP_MS = 500, READ_CHUNK = 65536, RETRY_MS = 10 };

/* ---- time: CLOCK_MONOTONIC in ms; negative time-outs have no end */
static int64_t now_ms(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t end_of(int64_t timeout_ms) {
    return timeout_ms < 0 ? INT64_MAX : now_ms() + MIN(timeout_ms, INT64_MAX / 2);
}

/* Waits for `events`; OK, E_TIMEOUT or E_IO. A signal may come just before poll: so it does not wait for long
 * where somebody may want to stop. */
static enum err wait_for(const struct control_client *c, short events, int64_t end, struct why *w) {
    for (;;) {
        int64_t left = end == INT64_MAX ? -1 : MAX(end - now_ms(), (int64_t)0);
        int64_t slice = c->stop != NULL && (left < 0 || left > STOP_MS) ? STOP_MS
                                                                        : MIN(left, (int64_t)INT32_MAX);
        struct pollfd p = {.fd = c->fd, .events = events};
        if (c->stop != NULL && c->stop()) return fail(w, E_TIMEOUT, "Interrupted");
        int n = poll(&p, 1, (int)slice);
        if (n > 0) return OK;
        if (n == 0 && slice == left) return fail(w, E_TIMEOUT, "The node did not answer in time");
        if (n < 0 && errno != EINTR) return fail(w, E_IO, "Waiting for the node failed: %s", strerror(errno));
    }
}

/* ---- connecting */
static enum err denied(const char *path, struct why *w) {
    struct stat st;
    if (stat(path, &st) != 0) {
        return fail(w, E_DENIED, "No permission to reach the control socket %s", path);
    }
    return fail(w, E_DENIED,
                "No permission to use the control socket %s: it belongs to user %ld, group %ld, mode %04o",
                path, (long)st.st_uid, (long)st.st_gid, (unsigned)(st.st_mode & 07777));
}

static enum err refused(const char *path, int error, struct why *w) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return fail(w, E_NOT_RUNNING, "The node is not running: there is no control socket %s", path);
    case ECONNREFUSED: return fail(w, E_NOT_RUNNING, "The node is not running: nobody answers at %s", path);
    case EACCES:
    case EPERM: return denied(path, w);
    case ENOTSOCK:
    case EPROTOTYPE: return fail(w, E_INPUT, "%s is not a control socket", path);
    default: return fail(w, E_IO, "Connecting to %s failed: %s", path, strerror(error));
    }
}

enum err control_client_open(struct control_client *c, const char *path, int64_t timeout_ms, struct why *w) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    *c = (struct control_client){.fd = -1, .in = {.max = CONTROL_ANSWER_MAX + 1}};
    if (n == 0 || n >= sizeof to.sun_path) {
        return fail(w, E_INPUT, "The path of the control socket must have 1 to %zu bytes: %.100s",
                    sizeof to.sun_path - 1, path);
    }
    memcpy(to.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fail(w, E_IO, "No socket: %s", strerror(errno));
    int64_t end = end_of(timeout_ms);
    while (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        int error = errno;
        if (error == EINTR) continue;
        if (error == EAGAIN && now_ms() < end) { /* its queue is full; nothing tells when that changes */
            poll(NULL, 0, RETRY_MS);
            continue;
        }
        close(fd);
        if (error == EAGAIN)
            return fail(w, E_TIMEOUT, "The node did not take the connection at %s in time", path);
        return refused(path, error, w);
    }
    c->fd = fd;
    return OK;
}

void control_client_close(struct control_client *c) {
    if (c->fd >= 0) close(c->fd);
    if (c->has_passed) close(c->passed);
    c->has_passed = false;
    c->fd = -1;
    buf_free(&c->in);
    c->used = c->seen = 0;
}

pid_t control_client_peer(const struct control_client *c) {
    struct ucred who = {0};
    socklen_t n = sizeof who;
    if (c->fd < 0 || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0) return 0;
    return who.pid;
}

/* ---- lines */
static void forget_used(struct control_client *c) {
    buf_drop(&c->in, c->used);
    c->used = 0;
}

/* A descriptor that comes along is kept until it is taken, or until the next one. */
static ssize_t receive(struct control_client *c, size_t room) {
    struct iovec v = {.iov_base = c->in.p + c->in.n, .iov_len = room};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } space;
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = space.space, .msg_controllen = sizeof space.space};
    ssize_t n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *h = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
    if (h == NULL || h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS ||
        h->cmsg_len < CMSG_LEN(sizeof(int)))
        return n;
    if (c->has_passed) close(c->passed);
    memcpy(&c->passed, CMSG_DATA(h), sizeof c->passed);
    c->has_passed = true;
    return n;
}

int control_client_take_fd(struct control_client *c) {
    int fd = c->has_passed ? c->passed : -1;
    c->has_passed = false;
    return fd;
}

/* One read. OK: something came; E_BUSY: nothing now. */
static enum err fetch(struct control_client *c, struct why *w) {
    size_t room = MIN(buf_room(&c->in), (size_t)READ_CHUNK);
    if (room == 0) return fail(w, E_LIMIT, "The node's answer is longer than %d bytes", CONTROL_ANSWER_MAX);
    if (!buf_reserve(&c->in, room)) return fail(w, E_MEMORY, "No memory for the node's answer");
    for (;;) {
        ssize_t n = receive(c, room);
        if (n > 0) {
            c->in.n += (size_t)n;
            return OK;
        }
        if (n == 0 || errno == ECONNRESET) return fail(w, E_CLOSED, "The node closed the connection");
        if (errno == EAGAIN) return E_BUSY;
        if (errno != EINTR) return fail(w, E_IO, "Reading from the node failed: %s", strerror(errno));
    }
}

enum err control_client_next(struct control_client *c, struct bytes *line, int64_t timeout_ms,
                             struct why *w) {
    int64_t end = end_of(timeout_ms);
    *line = (struct bytes){NULL, 0};
    if (c->fd < 0) return fail(w, E_CLOSED, "Not connected to the node");
    forget_used(c);
    for (;;) {
        struct bytes fresh = bytes_skip(buf_view(&c->in), c->seen);
        size_t i = bytes_index(fresh, '\n');
        if (i < fresh.n) {
            *line = bytes_at(c->in.p, c->seen + i);
            c->used = c->seen + i + 1;
            c->seen = 0;
            return OK;
        }
        c->seen = c->in.n;
        enum err e = fetch(c, w);
        if (e == E_BUSY) e = wait_for(c, POLLIN, end, w);
        if (e != OK) return e;
    }
}

static ssize_t send_part(int s, struct bytes part, int fd) {
    struct iovec v = {.iov_base = (void *)(uintptr_t)part.p, .iov_len = part.n};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = control.space;
        m.msg_controllen = sizeof control.space;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(h), &fd, sizeof fd);
    }
    return sendmsg(s, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The node may be answering at the same time, and wait until that is read: so reading goes on. */
static enum err wait_to_send(struct control_client *c, int64_t end, struct why *w) {
    enum err e = wait_for(c, POLLIN | POLLOUT, end, w);
    if (e != OK) return e;
    e = fetch(c, w);
    return e == E_BUSY ? OK : e;
}

/* The node has closed: OK if it said something before (why, most likely), which control_client_next gives. */
static enum err closed(struct control_client *c, struct why *w) {
    while (fetch(c, w) == OK) {}
    if (bytes_index(buf_view(&c->in), '\n') < c->in.n) return OK;
    return fail(w, E_CLOSED, "The node closed the connection");
}

enum err control_client_send(struct control_client *c, struct bytes line, int fd, int64_t timeout_ms,
                             struct why *w) {
    int64_t end = end_of(timeout_ms);
    if (c->fd < 0) return fail(w, E_CLOSED, "Not connected to the node");
    forget_used(c);
    struct bytes parts[] = {line, BYTES("\n")};
    for (size_t i = 0; i < LEN(parts); i++) {
        while (parts[i].n > 0) {
            ssize_t n = send_part(c->fd, parts[i], fd);
            if (n > 0) {
                parts[i] = bytes_skip(parts[i], (size_t)n);
                fd = -1; /* it went with the first byte */
                continue;
            }
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return closed(c, w);
            if (n < 0 && errno != EAGAIN && errno != ENOBUFS) {
                return fail(w, E_IO, "Writing to the node failed: %s", strerror(errno));
            }
            enum err e = wait_to_send(c, end, w);
            if (e == E_CLOSED) return closed(c, w);
            if (e != OK) return e;
        }
    }
    return OK;
}
