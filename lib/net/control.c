#include "net/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/file.h"

enum { ACCEPT_PAUSE_MS = 250, READ_SIZE = 65536, EVENTS = 64 };

struct client {
    struct client *next;
    uint32_t id;
    int fd;
    struct control_peer peer;
    struct buf in, out;
    size_t in_used, out_sent;     /* a line given out is dropped at the next call */
    int fds[CONTROL_FDS_MAX];
    size_t n_fds;
    bool ended, end_told;         /* it sends no more */
    bool gone, dropping;          /* closed, to be told; closed when all is sent, not told */
    uint32_t events;              /* epoll interest */
};
struct control {
    struct control_setup setup;
    char path[sizeof ((struct sockaddr_un *)0)->sun_path];
    dev_t device;
    ino_t inode;                  /* of our socket file */
    int listener, epoll;
    struct client *clients;
    uint32_t next_id;
    struct mono resume;
    struct control_counts counts;
    uint32_t turn;                /* whose line is next: fairness over clients */
};

/* ---- opening */

static enum err bind_socket(struct control *c, const struct sockaddr_un *at, struct why *w) {
    struct stat st;
    if (lstat(c->path, &st) == 0) {
        if (!S_ISSOCK(st.st_mode)) return fail(w, E_INPUT, "%s is there, and is no socket", c->path);
        unlink(c->path); /* a leftover: we hold the lock of the home */
    }
    mode_t before = umask(0177); /* never open to others, not even for a moment */
    int rc = bind(c->listener, (const struct sockaddr *)at, sizeof *at);
    int number = errno;
    umask(before);
    if (rc != 0) return fail(w, file_error(number), "control socket %s: %s", c->path, strerror(number));
    if (c->setup.group != (gid_t)-1 && chown(c->path, (uid_t)-1, c->setup.group) != 0)
        return fail(w, E_DENIED, "control socket %s: cannot be given to its group: %s", c->path, strerror(errno));
    if (chmod(c->path, c->setup.mode) != 0) return fail(w, E_IO, "control socket %s: %s", c->path, strerror(errno));
    if (lstat(c->path, &st) == 0) {
        c->device = st.st_dev;
        c->inode = st.st_ino;
    }
    if (listen(c->listener, 64) != 0) return fail(w, E_IO, "control socket %s: %s", c->path, strerror(errno));
    return OK;
}

enum err control_open(struct control **out, const struct control_setup *setup, struct why *w) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct control *c = NEW(struct control);
    *out = NULL;
    if (c == NULL) return fail(w, E_MEMORY, "out of memory");
    c->setup = *setup;
    c->listener = c->epoll = -1;
    enum err e = OK;
    if (strlen(setup->path) >= sizeof at.sun_path) {
        mem_free(c);
        return fail(w, E_INPUT, "the path of the control socket has more than %zu bytes: %s", sizeof at.sun_path - 1, setup->path);
    }
    strcpy(at.sun_path, setup->path);
    strcpy(c->path, setup->path);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c->listener < 0 || c->epoll < 0) e = fail(w, E_LIMIT, "control socket: no descriptor is left");
    if (e == OK) e = bind_socket(c, &at, w);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (e == OK && epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->listener, &ev) != 0) e = fail(w, E_IO, "control socket: %s", strerror(errno));
    if (e == OK) {
        *out = c;
        return OK;
    }
    if (c->listener >= 0) close(c->listener);
    if (c->epoll >= 0) close(c->epoll);
    mem_free(c);
    return e;
}

static void client_close(struct control *c, struct client *k) {
    if (k->fd < 0) return;
    epoll_ctl(c->epoll, EPOLL_CTL_DEL, k->fd, NULL);
    close(k->fd);
    k->fd = -1;
    for (size_t i = 0; i < k->n_fds; i++) close(k->fds[i]);
    k->n_fds = 0;
    buf_free(&k->in);
    buf_free(&k->out);
    k->gone = true;
    c->counts.clients--;
}

static void client_free(struct client *k) {
    buf_free(&k->in);
    buf_free(&k->out);
    mem_free(k);
}

void control_close(struct control *c) {
    struct stat st;
    if (c == NULL) return;
    while (c->clients != NULL) {
        struct client *k = c->clients;
        c->clients = k->next;
        if (k->fd >= 0 && k->out.n > k->out_sent) {
            ssize_t n = send(k->fd, k->out.p + k->out_sent, k->out.n - k->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            (void)n;
        }
        client_close(c, k);
        client_free(k);
    }
    if (lstat(c->path, &st) == 0 && st.st_dev == c->device && st.st_ino == c->inode) unlink(c->path);
    close(c->listener);
    close(c->epoll);
    mem_free(c);
}

int control_fd(const struct control *c) { return c->epoll; }
struct mono control_deadline(const struct control *c) { return c->resume; }
struct control_counts control_counts(const struct control *c) { return c->counts; }
bool control_allows(const struct control_peer *p, uid_t owner) { return p->uid == 0 || p->uid == owner || p->in_group; }

/* ---- who is there */

static struct control_peer credentials(int fd, gid_t group) {
    struct ucred u = {0};
    socklen_t n = sizeof u;
    gid_t groups[CONTROL_GROUPS_MAX];
    struct control_peer p = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) != 0) return p;
    p = (struct control_peer){.uid = u.uid, .gid = u.gid, .pid = u.pid};
    if (group == (gid_t)-1) return p;
    p.in_group = u.gid == group;
    n = sizeof groups;
    if (!p.in_group && getsockopt(fd, SOL_SOCKET, 59 /* SO_PEERGROUPS */, groups, &n) == 0)
        for (size_t i = 0; i < n / sizeof groups[0]; i++) p.in_group |= groups[i] == group;
    return p;
}

static void turn_away(int fd, struct bytes word) {
    if (word.n > 0) {
        ssize_t n = send(fd, word.p, word.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) n = send(fd, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    close(fd);
}

static void interest(struct control *c, struct client *k) {
    bool room = k->out.n - k->out_sent < CONTROL_PAUSE_BYTES && k->in.n - k->in_used <= c->setup.line_max;
    uint32_t want = (!k->ended && room ? EPOLLIN : 0u) | (k->out.n > k->out_sent ? EPOLLOUT : 0u);
    if (k->fd < 0 || want == k->events) return;
    struct epoll_event ev = {.events = want, .data.ptr = k};
    k->events = want;
    epoll_ctl(c->epoll, EPOLL_CTL_MOD, k->fd, &ev);
}

static void adopt(struct control *c, int fd, const struct control_peer *p) {
    struct client *k = NEW(struct client);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = k};
    if (k == NULL || epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        mem_free(k);
        close(fd);
        return;
    }
    k->id = ++c->next_id == 0 ? ++c->next_id : c->next_id;
    k->fd = fd;
    k->peer = *p;
    k->events = EPOLLIN;
    k->in.max = c->setup.line_max + READ_SIZE;
    k->out.max = c->setup.backlog_max;
    k->next = c->clients;
    c->clients = k;
    c->counts.clients++;
    c->counts.accepted++;
}

static void accept_all(struct control *c, struct mono now) {
    for (int i = 0; i < 64; i++) {
        int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;
            struct epoll_event ev = {.events = 0, .data.ptr = NULL}; /* a pause instead of a spin */
            epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->listener, &ev);
            c->resume = mono_add_ms(now, ACCEPT_PAUSE_MS);
            return;
        }
        struct control_peer p = credentials(fd, c->setup.group);
        if (!control_allows(&p, c->setup.owner)) {
            c->counts.denied++;
            turn_away(fd, c->setup.denied);
        } else if (c->counts.clients >= c->setup.clients_max) {
            c->counts.full++;
            turn_away(fd, c->setup.full);
        } else {
            adopt(c, fd, &p);
        }
    }
}

/* ---- bytes */

static void take_descriptors(struct control *c, struct client *k, struct msghdr *m) {
    struct cmsghdr *h = CMSG_FIRSTHDR(m); /* one is all that a client has to send */
    if (h != NULL) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS) return;
        size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            struct stat st;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
            if (k->n_fds < CONTROL_FDS_MAX && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
                k->fds[k->n_fds++] = fd;
            } else {
                c->counts.fds_refused++;
                close(fd);
            }
        }
    }
}

static void compact(struct client *k) {
    if (k->in_used == 0) return;
    buf_drop(&k->in, k->in_used);
    k->in_used = 0;
    if (k->in.n == 0) buf_shrink(&k->in, 4096);
}

static void read_client(struct control *c, struct client *k) {
    compact(k);
    if (!buf_reserve(&k->in, MIN((size_t)READ_SIZE, buf_room(&k->in))) || buf_room(&k->in) == 0) return;
    union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int) * 16)]; } control;
    struct iovec part = {k->in.p + k->in.n, MIN((size_t)READ_SIZE, k->in.cap - k->in.n)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(k->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n > 0) {
        k->in.n += (size_t)n;
        take_descriptors(c, k, &m);
    } else if (n == 0) {
        k->ended = true;
        interest(c, k);
    } else if (errno != EAGAIN && errno != EINTR) {
        client_close(c, k);
    }
}

static void write_client(struct control *c, struct client *k) {
    while (k->fd >= 0 && k->out_sent < k->out.n) {
        ssize_t n = send(k->fd, k->out.p + k->out_sent, k->out.n - k->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n <= 0) {
            client_close(c, k);
            return;
        }
        k->out_sent += (size_t)n;
    }
    if (k->fd < 0) return;
    if (k->out_sent == k->out.n) {
        buf_clear(&k->out);
        buf_shrink(&k->out, 65536);
        k->out_sent = 0;
    }
    if (k->dropping && k->out.n == 0) client_close(c, k);
    else interest(c, k);
}

static void sweep(struct control *c) {
    for (struct client **at = &c->clients; *at != NULL;) {
        struct client *k = *at;
        if (!k->gone || !k->dropping) {
            at = &k->next;
            continue;
        }
        *at = k->next;
        client_free(k);
    }
}

void control_turn(struct control *c, struct mono now) {
    struct epoll_event events[EVENTS];
    if (mono_due(c->resume, now)) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
        c->resume = MONO_NEVER;
        epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->listener, &ev);
    }
    int n = epoll_wait(c->epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct client *k = events[i].data.ptr;
        if (k == NULL) {
            accept_all(c, now);
            continue;
        }
        if (k->fd >= 0 && (events[i].events & EPOLLOUT) != 0) write_client(c, k);
        if (k->fd >= 0 && (events[i].events & EPOLLIN) != 0) read_client(c, k);
        else if (k->fd >= 0 && (events[i].events & (EPOLLERR | EPOLLHUP)) != 0) client_close(c, k);
    }
    sweep(c);
}

/* ---- lines */

static void give_line(struct client *k, size_t n, struct control_event *out) {
    *out = (struct control_event){.kind = CONTROL_LINE, .client = k->id, .peer = k->peer,
                                  .line = bytes_at(k->in.p + k->in_used, n), .fd = -1};
    k->in_used += n + 1;
    if (k->n_fds > 0) { /* the first of those that came; others wait for the lines behind */
        out->fd = k->fds[0];
        k->n_fds--;
        memmove(k->fds, k->fds + 1, k->n_fds * sizeof k->fds[0]);
    }
}

static bool next_of(struct control *c, struct client *k, struct control_event *out) {
    if (k->gone) {
        if (k->dropping) return false;
        k->dropping = true; /* told: swept later */
        *out = (struct control_event){.kind = CONTROL_GONE, .client = k->id, .peer = k->peer, .fd = -1};
        return true;
    }
    if (k->dropping || k->out.n - k->out_sent >= CONTROL_PAUSE_BYTES) return false;
    struct bytes waiting = bytes_at(k->in.p + k->in_used, k->in.n - k->in_used);
    size_t n = waiting.n == 0 ? 0 : bytes_index(waiting, '\n');
    if (n < waiting.n && n <= c->setup.line_max) {
        give_line(k, n, out);
        return true;
    }
    if (waiting.n > c->setup.line_max) {
        c->counts.too_long++;
        if (c->setup.too_long.n > 0) control_send(c, k->id, c->setup.too_long);
        client_close(c, k);
        return false;
    }
    if (k->ended && !k->end_told) {
        k->end_told = true;
        *out = (struct control_event){.kind = CONTROL_END, .client = k->id, .peer = k->peer, .fd = -1};
        return true;
    }
    interest(c, k);
    return false;
}

/* One line of each client in turn. */
bool control_next(struct control *c, struct control_event *out) {
    for (int round = 0; round < 2; round++)
        for (struct client *k = c->clients; k != NULL; k = k->next) {
            if (round == 0 && k->id >= c->turn && c->turn != 0) continue;
            if (!next_of(c, k, out)) continue;
            c->turn = k->id;
            return true;
        }
    c->turn = 0;
    return false;
}

static struct client *find(const struct control *c, uint32_t id) {
    struct client *k = c->clients;
    while (k != NULL && k->id != id) k = k->next;
    return k == NULL || k->gone ? NULL : k;
}

enum err control_send(struct control *c, uint32_t client, struct bytes line) {
    struct client *k = find(c, client);
    if (k == NULL) return E_NOT_FOUND;
    if (k->out_sent > CONTROL_PAUSE_BYTES) {
        buf_drop(&k->out, k->out_sent);
        k->out_sent = 0;
    }
    if (!buf_reserve(&k->out, line.n + 1)) {
        c->counts.slow++;
        client_close(c, k);
        return E_LIMIT;
    }
    buf_add(&k->out, line);
    buf_add_byte(&k->out, '\n');
    write_client(c, k);
    return OK;
}

void control_drop(struct control *c, uint32_t client) {
    struct client *k = find(c, client);
    if (k == NULL) return;
    k->dropping = true;
    write_client(c, k);
}

size_t control_unsent(const struct control *c, uint32_t client) {
    const struct client *k = find(c, client);
    return k == NULL ? 0 : k->out.n - k->out_sent;
}
