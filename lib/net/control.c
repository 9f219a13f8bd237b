/* lib/net/control.c: clients live in a fixed table; all their descriptors are in one epoll descriptor. What a
 * client may do next (its interest there) follows from its fields, in one place: update(). */
#include "net/control.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

enum {
    BACKLOG = 64,
    ACCEPTS_PER_TURN = 16,
    EVENTS = 64,
    READ_CHUNK = 65536,
    READS = 16, /* of one client in one go */
    KEEP = 65536,
    FLUSH_BYTES = 32768, /* of answers: they do not wait for more */
    PAUSE_MS = 250, /* no accepting for so long when descriptors are used up: clients wait in the backlog */
    FAREWELL_MS = 5000, /* a client that is being closed gets so long to read its last lines */
};
/* Marks in epoll; clients have their place in the table. */
#define LISTENER UINT64_MAX
#define WAKE (UINT64_MAX - 1)

enum state {
    FREE,
    OPEN,
    LEAVING, /* gets what is queued, then is closed; nothing is read any more */
    CLOSED,  /* only its CONTROL_GONE is left */
};
struct passed { /* a descriptor, and where in `in` the line lies that it belongs to */
    int fd;
    size_t at;
};
struct client {
    enum state state;
    uint32_t id;
    int fd;
    struct control_peer peer;
    struct buf in, out;
    size_t done, seen, sent;    /* of in: given out; searched for a newline. Of out: written */
    bool line;                  /* in[seen] is the newline that ends a line */
    bool eof, hung;             /* no more input; nobody reads our output either */
    bool known, end_told, tell; /* the owner has heard of it; of its END; and must hear that it is gone */
    struct mono leave_by;
    struct passed passed[CONTROL_FDS_MAX], passing[CONTROL_FDS_MAX]; /* passing: to it; at: in `out` */
    size_t n_passed, n_passing;
    uint32_t interest; /* in epoll */
    bool in_epoll;
    bool fresh; /* something in `out` that was not tried to be written yet */
};
struct control {
    struct control_setup setup;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    dev_t device;
    ino_t inode;
    int listener, epoll, wake; /* wake: an eventfd in epoll, readable while control_next may have something */
    bool awake, fresh;         /* fresh: of some client */
    struct client *clients;
    size_t places;    /* no client in use lies at this place or behind it */
    size_t next;      /* where control_next goes on: every client has its turn */
    size_t sent_last; /* who was sent something last: it is often the same */
    uint32_t last_id;
    struct mono now, resume;
    struct control_counts counts;
};

bool control_allows(const struct control_peer *p, uid_t owner) {
    return p->uid == 0 || p->uid == owner || p->in_group;
}

/* ---- one client */
static struct client *find(const struct control *c, uint32_t id) {
    struct client *last = &c->clients[c->sent_last];
    if (id != 0 && last->state != FREE && last->id == id) return last;
    for (size_t i = 0; id != 0 && i < c->places; i++) {
        if (c->clients[i].state != FREE && c->clients[i].id == id) return &c->clients[i];
    }
    return NULL;
}

static size_t unsent(const struct client *p) {
    return p->out.n - p->sent;
}

/* So that an owner who waits for control_fd also hears what no descriptor tells. */
static void wake(struct control *c) {
    if (!c->awake) c->awake = eventfd_write(c->wake, 1) == 0;
}

static bool has_news(const struct client *p) {
    if (p->tell) return true;
    bool news = p->line || p->hung || (p->eof && (!p->end_told || p->seen > p->done));
    return p->state == OPEN && news && unsent(p) < CONTROL_PAUSE_BYTES;
}

/* Sets the interest in epoll to what the client may do now. */
static void update(struct control *c, struct client *p) {
    if (has_news(p)) wake(c);
    if (p->fd < 0) return;
    uint32_t want = 0;
    if (p->state == OPEN && !p->eof && !p->line) want |= EPOLLIN;
    if (unsent(p) > 0) want |= EPOLLOUT;
    struct epoll_event e = {.events = want, .data.u64 = (uint64_t)(p - c->clients)};
    if (p->hung) { /* epoll would report that over and over */
        if (p->in_epoll) epoll_ctl(c->epoll, EPOLL_CTL_DEL, p->fd, &e);
        p->in_epoll = false;
    } else if (!p->in_epoll) {
        p->in_epoll = epoll_ctl(c->epoll, EPOLL_CTL_ADD, p->fd, &e) == 0;
        p->interest = want;
    } else if (want != p->interest) {
        epoll_ctl(c->epoll, EPOLL_CTL_MOD, p->fd, &e);
        p->interest = want;
    }
}

static void release(struct control *c, struct client *p) {
    *p = (struct client){.fd = -1};
    while (c->places > 0 && c->clients[c->places - 1].state == FREE) c->places--;
    c->counts.clients--;
}

/* Frees all but the place, which stays until the owner has heard of it. */
static void shut(struct control *c, struct client *p) {
    if (p->fd >= 0) close(p->fd);
    p->fd = -1;
    p->in_epoll = false;
    for (size_t i = 0; i < p->n_passed; i++) close(p->passed[i].fd);
    for (size_t i = 0; i < p->n_passing; i++) close(p->passing[i].fd);
    p->n_passed = p->n_passing = 0;
    buf_free(&p->in);
    buf_free(&p->out);
    p->done = p->seen = p->sent = 0;
    p->line = p->fresh = false;
    p->state = CLOSED;
    if (p->tell)
        wake(c);
    else
        release(c, p);
}

static bool flush(struct control *c, struct client *p);

/* The owner hears of it at once (`tell`), or not at all; what is queued still goes. */
static void leave(struct control *c, struct client *p, bool tell) {
    p->tell = tell && p->known;
    p->state = LEAVING;
    p->leave_by = mono_add_ms(c->now, FAREWELL_MS);
    if (p->hung)
        shut(c, p);
    else
        flush(c, p);
}

/* A descriptor goes with the first byte of its line; what lies before goes first. */
static ssize_t send_some(struct client *p) {
    struct iovec v = {.iov_base = p->out.p + p->sent, .iov_len = unsent(p)};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } space = {.space = {0}};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    bool with = p->n_passing > 0 && p->passing[0].at == p->sent;
    if (p->n_passing > 0 && !with) v.iov_len = p->passing[0].at - p->sent;
    if (with) {
        m.msg_control = space.space;
        m.msg_controllen = sizeof space.space;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        *h = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(h), &p->passing[0].fd, sizeof(int));
        if (p->n_passing > 1) v.iov_len = p->passing[1].at - p->sent;
    }
    ssize_t n = sendmsg(p->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) return n;
    p->sent += (size_t)n;
    if (with) {
        close(p->passing[0].fd);
        p->n_passing--;
        memmove(&p->passing[0], &p->passing[1], p->n_passing * sizeof p->passing[0]);
    }
    return n;
}

/* Writes what goes; false: the client is closed for it. */
static bool flush(struct control *c, struct client *p) {
    p->fresh = false;
    while (unsent(p) > 0) {
        ssize_t n = send_some(p);
        if (n > 0) continue;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)) break;
        p->hung = true; /* what it asked before stays asked; its answers go nowhere */
        p->sent = p->out.n;
    }
    if (unsent(p) == 0) {
        buf_clear(&p->out);
        buf_shrink(&p->out, KEEP);
        p->sent = 0;
        if (p->state == LEAVING) {
            shut(c, p);
            return false;
        }
    }
    update(c, p);
    return true;
}

/* ---- input */
static void find_line(struct client *p) {
    struct bytes rest = bytes_skip(buf_view(&p->in), p->seen);
    size_t i = bytes_index(rest, '\n');
    p->line = i < rest.n;
    p->seen += i;
}

static void compact(struct client *p) {
    buf_drop(&p->in, p->done);
    p->seen -= p->done;
    for (size_t i = 0; i < p->n_passed; i++) p->passed[i].at -= MIN(p->done, p->passed[i].at);
    p->done = 0;
    buf_shrink(&p->in, KEEP);
}

/* A read may begin with older lines and ends behind the bytes that a descriptor was sent with: so it belongs
 * to the last line that begins in what was read, or to the one that was under way. */
static size_t line_of(const struct client *p, size_t from, size_t n) {
    for (size_t i = from + n - 1; i > from; i--) {
        if (p->in.p[i - 1] == '\n') return i;
    }
    return from;
}

static void take_descriptors(struct control *c, struct client *p, struct msghdr *m, size_t from, size_t n) {
    const struct cmsghdr *h = CMSG_FIRSTHDR(m); /* the only one: no other kind was asked for */
    bool some = h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS;
    size_t count = some ? (h->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    for (size_t i = 0; i < count; i++) {
        int fd;
        struct stat st;
        memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
        if (p->n_passed < CONTROL_FDS_MAX && n > 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
            p->passed[p->n_passed++] = (struct passed){fd, line_of(p, from, n)};
        } else {
            close(fd);
            c->counts.fds_refused++;
        }
    }
    if (m->msg_flags & MSG_CTRUNC) c->counts.fds_refused++; /* the kernel closed them */
}

/* One read into the free part of `in`: bytes, 0 at the end (also a broken one), -1 for "not now". */
static ssize_t read_some(struct control *c, struct client *p) {
    struct iovec v = {.iov_base = p->in.p + p->in.n, .iov_len = READ_CHUNK};
    union {
        char space[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
        struct cmsghdr align;
    } space;
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = space.space, .msg_controllen = sizeof space.space};
    ssize_t n;
    do n = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0) return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? -1 : 0;
    size_t from = p->in.n;
    p->in.n += (size_t)n;
    take_descriptors(c, p, &m, from, (size_t)n);
    return n;
}

static void say(struct client *p, struct bytes line) {
    if (line.n > 0 && buf_reserve(&p->out, line.n + 1)) {
        buf_add(&p->out, line);
        buf_add_byte(&p->out, '\n');
    }
}

static void too_long(struct control *c, struct client *p) {
    c->counts.too_long++;
    say(p, c->setup.too_long);
    leave(c, p, true);
}

/* Reads until a line is whole, or nothing is there. False: the client is being closed. */
static bool fill(struct control *c, struct client *p) {
    for (int i = 0; i < READS && p->state == OPEN && !p->eof && !p->line; i++) {
        compact(p);
        if (!buf_reserve(&p->in, READ_CHUNK)) {
            p->out.n = p->sent; /* no memory: it gets nothing more */
            leave(c, p, true);
            return false;
        }
        ssize_t n = read_some(c, p);
        if (n < 0 && !p->hung) break;
        if (n <= 0) p->eof = true; /* who is gone and sent nothing more will not either */
        find_line(p);
        if (p->seen - p->done > c->setup.line_max) {
            too_long(c, p);
            return false;
        }
    }
    update(c, p);
    return true;
}

/* ---- clients come */
static bool in_group(int fd, const struct control_peer *peer, gid_t group) {
    gid_t groups[CONTROL_GROUPS_MAX];
    socklen_t n = sizeof groups;
    if (group == (gid_t)-1) return false;
    if (peer->gid == group) return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n) != 0) return false;
    for (size_t i = 0; i < n / sizeof(gid_t); i++) {
        if (groups[i] == group) return true;
    }
    return false;
}

static bool ask_peer(const struct control *c, int fd, struct control_peer *out) {
    struct ucred who;
    socklen_t n = sizeof who;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0) return false;
    *out = (struct control_peer){.uid = who.uid, .gid = who.gid, .pid = who.pid};
    out->in_group = in_group(fd, out, c->setup.group);
    return control_allows(out, c->setup.owner);
}

static void refuse(int fd, struct bytes line) {
    struct iovec parts[] = {{(void *)(uintptr_t)line.p, line.n}, {(void *)(uintptr_t) "\n", 1}};
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = LEN(parts)};
    if (line.n > 0) (void)!sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL); /* fits into an empty socket */
    close(fd);
}

static struct client *free_place(const struct control *c) {
    for (size_t i = 0; i < c->setup.clients_max; i++) {
        if (c->clients[i].state == FREE) return &c->clients[i];
    }
    return NULL;
}

static void add(struct control *c, int fd) {
    struct control_peer peer;
    struct client *p = free_place(c);
    if (!ask_peer(c, fd, &peer)) {
        c->counts.denied++;
        refuse(fd, c->setup.denied);
        return;
    }
    if (p == NULL) {
        c->counts.full++;
        refuse(fd, c->setup.full);
        return;
    }
    do c->last_id = c->last_id % CONTROL_ID_MAX + 1;
    while (find(c, c->last_id | c->setup.mark) != NULL);
    *p = (struct client){.state = OPEN,
                         .id = c->last_id | c->setup.mark,
                         .fd = fd,
                         .peer = peer,
                         .in = {.max = c->setup.line_max + 1 + READ_CHUNK},
                         .out = {.max = c->setup.backlog_max + c->setup.too_long.n + 1}};
    c->places = MAX(c->places, (size_t)(p - c->clients) + 1);
    c->counts.clients++;
    c->counts.accepted++;
    update(c, p);
    if (!p->in_epoll) shut(c, p);
}

static void listen_again(struct control *c, bool on) {
    struct epoll_event e = {.events = on ? EPOLLIN : 0, .data.u64 = LISTENER};
    epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->listener, &e);
}

static void accept_some(struct control *c) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            add(c, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno == EAGAIN) return;
        c->resume = mono_add_ms(c->now, PAUSE_MS); /* out of descriptors or memory */
        listen_again(c, false);
        return;
    }
}

/* ---- the owner's side */
static void serve(struct control *c, struct client *p, uint32_t events) {
    if (p->fd < 0) return;
    if (events & (EPOLLHUP | EPOLLERR)) { /* both directions are shut */
        p->hung = true;
        p->sent = p->out.n;
        if (!flush(c, p)) return;
    } else if ((events & EPOLLOUT) && !flush(c, p)) {
        return;
    }
    if (p->state == OPEN) fill(c, p);
}

void control_turn(struct control *c, struct mono now) {
    struct epoll_event events[EVENTS];
    c->now = now;
    if (mono_due(c->resume, now)) {
        c->resume = MONO_NEVER;
        listen_again(c, true);
    }
    int n = epoll_wait(c->epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 == LISTENER)
            accept_some(c);
        else if (events[i].data.u64 != WAKE)
            serve(c, &c->clients[events[i].data.u64], events[i].events);
    }
    for (size_t i = 0; i < c->setup.clients_max; i++) {
        struct client *p = &c->clients[i];
        if (p->state == LEAVING && mono_due(p->leave_by, now)) shut(c, p);
    }
    control_flush(c);
}

struct mono control_deadline(const struct control *c) {
    struct mono first = c->resume;
    for (size_t i = 0; i < c->setup.clients_max; i++) {
        if (c->clients[i].state == LEAVING) first = mono_sooner(first, c->clients[i].leave_by);
    }
    return first;
}

/* Cuts the line off that ends at `seen`, with its descriptor. */
static void give_line(struct control *c, struct client *p, struct control_event *out) {
    size_t kept = 0;
    out->line = bytes_at(p->in.p + p->done, p->seen - p->done);
    for (size_t i = 0; i < p->n_passed; i++) {
        struct passed d = p->passed[i];
        if (d.at > p->seen) {
            p->passed[kept++] = d;
        } else if (out->fd < 0) {
            out->fd = d.fd;
        } else { /* one request, one descriptor */
            close(d.fd);
            c->counts.fds_refused++;
        }
    }
    p->n_passed = kept;
    p->seen += p->line ? 1 : 0;
    p->done = p->seen;
    p->line = false;
    find_line(p);
}

/* What this client has to say now, if anything. */
static bool next_of(struct control *c, struct client *p, struct control_event *out) {
    *out = (struct control_event){.client = p->id, .peer = p->peer, .fd = -1};
    if (p->tell) {
        p->tell = false;
        out->kind = CONTROL_GONE;
        if (p->state == CLOSED) release(c, p);
        return true;
    }
    if (p->state != OPEN || unsent(p) >= CONTROL_PAUSE_BYTES) return false;
    if (p->hung && !fill(c, p)) return false;          /* nothing else would read the rest of its input */
    while (p->line || (p->eof && p->seen > p->done)) { /* a last line may lack its newline */
        if (p->seen - p->done > c->setup.line_max) {   /* it came in one read with the line before it */
            too_long(c, p);
            return false;
        }
        give_line(c, p, out);
        out->kind = CONTROL_LINE;
        if (out->line.n > 0 || out->fd >= 0) {
            p->known = true;
            update(c, p);
            return true;
        }
        if (p->hung && !fill(c, p)) return false;
    }
    update(c, p);
    if (!p->eof) return false;
    if (p->hung) { /* a client nobody heard of needs no farewell */
        out->kind = CONTROL_GONE;
        bool known = p->known;
        p->tell = false;
        shut(c, p);
        return known;
    }
    if (p->end_told) return false;
    p->end_told = p->known = true;
    out->kind = CONTROL_END;
    return true;
}

bool control_next(struct control *c, struct control_event *out) {
    for (size_t i = 0, places = c->places; i < places; i++) {
        struct client *p = &c->clients[(c->next + i) % places];
        if (p->state == FREE || !next_of(c, p, out)) continue;
        c->next = (size_t)(p - c->clients) + 1;
        return true;
    }
    eventfd_t unused;
    if (c->awake) eventfd_read(c->wake, &unused);
    c->awake = false;
    for (size_t i = 0; i < c->places; i++) {
        if (has_news(&c->clients[i])) wake(c); /* much input of one that is gone: more in the next turn */
    }
    return false;
}

enum err control_send(struct control *c, uint32_t client, struct bytes line) {
    return control_send_with(c, client, line, -1);
}

enum err control_send_with(struct control *c, uint32_t client, struct bytes line, int fd) {
    struct client *p = find(c, client);
    if (p == NULL || p->state != OPEN) return E_NOT_FOUND;
    c->sent_last = (size_t)(p - c->clients);
    if (p->fresh && line.n + 1 > c->setup.backlog_max - MIN(unsent(p), c->setup.backlog_max)) flush(c, p);
    if (p->hung) return E_NOT_FOUND;
    enum err e = OK;
    if (line.n + 1 > c->setup.backlog_max - MIN(unsent(p), c->setup.backlog_max)) e = E_LIMIT;
    if (e == OK && p->sent > 0 && line.n + 1 > p->out.cap - p->out.n) {
        /* only when it would have to grow: else each line would move all the others */
        buf_drop(&p->out, p->sent);
        for (size_t i = 0; i < p->n_passing; i++) p->passing[i].at -= p->sent;
        p->sent = 0;
    }
    if (e == OK && !buf_reserve(&p->out, line.n + 1)) e = E_MEMORY;
    if (e != OK) {
        if (e == E_LIMIT) c->counts.slow++;
        p->tell = p->known;
        shut(c, p);
        return e;
    }
    int copy = fd < 0 || p->n_passing == CONTROL_FDS_MAX ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0) p->passing[p->n_passing++] = (struct passed){copy, p->out.n};
    buf_add(&p->out, line);
    buf_add_byte(&p->out, '\n');
    p->fresh |= (p->interest & EPOLLOUT) == 0; /* else it is written as soon as there is room */
    c->fresh |= p->fresh;
    if (p->fresh && unsent(p) >= FLUSH_BYTES) flush(c, p);
    return fd >= 0 && copy < 0 ? E_LIMIT : OK;
}

void control_flush(struct control *c) {
    if (!c->fresh) return;
    c->fresh = false;
    for (size_t i = 0; i < c->setup.clients_max; i++)
        if (c->clients[i].fresh) flush(c, &c->clients[i]);
}

void control_drop(struct control *c, uint32_t client) {
    struct client *p = find(c, client);
    if (p == NULL) return;
    if (p->state == OPEN) {
        leave(c, p, false);
        return;
    }
    p->tell = false;
    if (p->state == CLOSED) release(c, p);
}

size_t control_unsent(const struct control *c, uint32_t client) {
    const struct client *p = find(c, client);
    return p == NULL ? 0 : unsent(p);
}

struct control_counts control_counts(const struct control *c) {
    return c->counts;
}

int control_fd(const struct control *c) {
    return c->epoll;
}

/* ---- open and close */
static enum err sorry(struct why *w, const char *doing, const char *path, int error) {
    enum err e = error == EACCES || error == EPERM || error == EROFS ? E_DENIED
                 : error == ENOENT || error == ENOTDIR               ? E_NOT_FOUND
                                                                     : E_IO;
    return fail(w, e, "%s the control socket %s failed: %s", doing, path, strerror(error));
}

/* The lock of the home is held, so a socket that lies there has no owner any more. */
static enum err remove_old(const char *path, struct why *w) {
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? OK : sorry(w, "Creating", path, errno);
    if (!S_ISSOCK(st.st_mode)) {
        return fail(w, E_INPUT, "%s is there already and is no socket: remove it, or set another path", path);
    }
    return unlink(path) == 0 || errno == ENOENT ? OK : sorry(w, "Replacing", path, errno);
}

static enum err bind_socket(struct control *c, struct why *w) {
    const struct control_setup *s = &c->setup;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat st;
    memcpy(at.sun_path, c->path, sizeof at.sun_path);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->listener < 0) return sorry(w, "Creating", c->path, errno);
    /* A socket's own mode becomes the file's (less the umask): nobody else can connect before it has its
     * group. */
    fchmod(c->listener, s->mode & 0700);
    if (bind(c->listener, (struct sockaddr *)&at, sizeof at) != 0)
        return sorry(w, "Creating", c->path, errno);
    if (lstat(c->path, &st) != 0) return sorry(w, "Looking at", c->path, errno);
    c->device = st.st_dev;
    c->inode = st.st_ino;
    if (s->group != (gid_t)-1 && st.st_gid != s->group && lchown(c->path, (uid_t)-1, s->group) != 0) {
        return sorry(w, "Setting the group of", c->path, errno);
    }
    if (chmod(c->path, s->mode) != 0) return sorry(w, "Setting the mode of", c->path, errno);
    if (listen(c->listener, BACKLOG) != 0) return sorry(w, "Listening on", c->path, errno);
    return OK;
}

enum err control_open(struct control **out, const struct control_setup *setup, struct why *w) {
    *out = NULL;
    struct control *c = NEW(struct control);
    if (c == NULL) return fail(w, E_MEMORY, "No memory for the control socket");
    *c = (struct control){.setup = *setup, .listener = -1, .epoll = -1, .wake = -1};
    c->setup.path = c->path;
    enum err e = OK;
    if (*setup->path == '\0' || !bytes_cstr(bytes_of(setup->path), c->path, sizeof c->path)) {
        e = fail(w, E_INPUT, "The path of the control socket must have 1 to %zu bytes: %.100s",
                 sizeof c->path - 1, setup->path);
    }
    if (e == OK && (c->clients = NEW_ARRAY(struct client, setup->clients_max)) == NULL) {
        e = fail(w, E_MEMORY, "No memory for the control socket");
    }
    if (e == OK) e = remove_old(c->path, w);
    if (e == OK) e = bind_socket(c, w);
    struct epoll_event ready = {.events = EPOLLIN, .data.u64 = LISTENER};
    struct epoll_event woken = {.events = EPOLLIN, .data.u64 = WAKE};
    if (e == OK && ((c->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0 ||
                    (c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0 ||
                    epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->listener, &ready) != 0 ||
                    epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->wake, &woken) != 0)) {
        e = sorry(w, "Watching", c->path, errno);
    }
    if (e != OK) {
        control_close(c);
        return e;
    }
    *out = c;
    return OK;
}

void control_close(struct control *c) {
    struct stat st;
    if (c == NULL) return;
    for (size_t i = 0; c->clients != NULL && i < c->setup.clients_max; i++) {
        struct client *p = &c->clients[i];
        if (p->state == FREE) continue;
        if (p->fd >= 0 && !flush(c, p)) continue;
        p->tell = false;
        shut(c, p);
    }
    if (c->listener >= 0) close(c->listener);
    if (c->epoll >= 0) close(c->epoll);
    if (c->wake >= 0) close(c->wake);
    if (c->inode != 0 && lstat(c->path, &st) == 0 && st.st_dev == c->device && st.st_ino == c->inode) {
        unlink(c->path);
    }
    mem_free(c->clients);
    mem_free(c);
}
