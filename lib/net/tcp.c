#include "net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPT_TRIES = 64,     /* dead connections skipped in one call */
    UNSENT_MAX = 256 << 10 /* bytes that the kernel keeps and has not sent yet */
};

/* ---- addresses */
union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage space;
};

static socklen_t to_system(const struct endpoint *e, union address *out) {
    memset(out, 0, sizeof *out);
    if (e->ip.version == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(e->port);
        memcpy(&out->v4.sin_addr, e->ip.p, 4);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(e->port);
    out->v6.sin6_scope_id = e->scope;
    memcpy(&out->v6.sin6_addr, e->ip.p, 16);
    return sizeof out->v6;
}

static bool from_system(const union address *a, struct endpoint *out) {
    *out = (struct endpoint){0};
    if (a->any.sa_family == AF_INET) {
        out->ip = ip_of(4, (const uint8_t *)&a->v4.sin_addr);
        out->port = ntohs(a->v4.sin_port);
        return true;
    }
    if (a->any.sa_family != AF_INET6) return false;
    out->ip = ip_of(6, (const uint8_t *)&a->v6.sin6_addr);
    out->port = ntohs(a->v6.sin6_port);
    out->scope = a->v6.sin6_scope_id;
    return true;
}

bool tcp_local(int fd, struct endpoint *out) {
    union address a = {0};
    socklen_t n = sizeof a;
    return getsockname(fd, &a.any, &n) == 0 && from_system(&a, out);
}

bool tcp_peer(int fd, struct endpoint *out) {
    union address a = {0};
    socklen_t n = sizeof a;
    return getpeername(fd, &a.any, &n) == 0 && from_system(&a, out);
}

/* ---- errno */
static enum err kind_of(int error) {
    switch (error) {
    case EAGAIN:
    case EINPROGRESS:
    case EALREADY:
    case EADDRINUSE: return E_BUSY;
    case ECONNREFUSED: return E_REFUSED;
    case ETIMEDOUT: return E_TIMEOUT;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EADDRNOTAVAIL: return E_NOT_FOUND;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENODEV: return E_NOT_FOUND;
    case EACCES:
    case EPERM: return E_DENIED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return E_LIMIT;
    default: return E_IO;
    }
}

static enum err broken(struct why *w, const char *doing, const struct endpoint *at, int error) {
    char text[72];
    endpoint_text(at, text);
    return fail(w, kind_of(error), "%s %s failed: %s", doing, text, strerror(error));
}

static int new_socket(const struct endpoint *e) {
    return socket(e->ip.version == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool set_on(int fd, int level, int name) {
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof on) == 0;
}

/* Small frames go at once; and no long queue of unsent bytes is built up in the kernel, where a message would
 * wait behind a file. */
static void stream_options(int s) {
    int most = UNSENT_MAX;
    set_on(s, IPPROTO_TCP, TCP_NODELAY);
    setsockopt(s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most, sizeof most);
}

void tcp_close(int fd) {
    if (fd >= 0) close(fd); /* Linux has freed the number even when close says EINTR */
}

void tcp_reset(int fd) {
    if (fd < 0) return;
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

void tcp_finish(int fd) {
    shutdown(fd, SHUT_WR);
}

/* ---- listening */
enum err tcp_listen(int *fd, const struct endpoint *at, struct why *w) {
    union address a;
    socklen_t n = to_system(at, &a);
    *fd = -1;
    int s = new_socket(at);
    if (s < 0) return broken(w, "Listening on", at, errno);
    bool ready = set_on(s, SOL_SOCKET, SO_REUSEADDR) &&
                 (at->ip.version == 4 || set_on(s, IPPROTO_IPV6, IPV6_V6ONLY)) && bind(s, &a.any, n) == 0 &&
                 listen(s, TCP_BACKLOG) == 0;
    if (!ready) {
        int error = errno;
        close(s);
        return broken(w, "Listening on", at, error);
    }
    *fd = s;
    return OK;
}

static int take_spare(void) {
    return eventfd(0, EFD_CLOEXEC);
}

enum err tcp_acceptor_open(struct tcp_acceptor *a, struct why *w) {
    *a = (struct tcp_acceptor){.spare = take_spare()};
    return a->spare >= 0 ? OK : fail(w, E_LIMIT, "No descriptor to keep in reserve: %s", strerror(errno));
}

void tcp_acceptor_close(struct tcp_acceptor *a) {
    if (a->spare >= 0) close(a->spare);
    a->spare = -1;
}

/* Nothing left for the connection that waits. Leaving it there would make the listener readable for ever; it
 * is taken with the spare descriptor and closed, so that the dialer learns at once, and accepting rests. */
static enum err turn_away(struct tcp_acceptor *a, int listener, struct mono now, int error, struct why *w) {
    if (a->spare >= 0) close(a->spare);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        tcp_reset(fd);
        a->turned_away++;
    }
    a->spare = take_spare();
    a->resume = mono_add_ms(now, TCP_ACCEPT_PAUSE_MS);
    return fail(w, E_LIMIT, "Accepting a connection failed: %s", strerror(error));
}

/* accept(2): errors that were the connection's, not the listener's, come back from accept on Linux. */
static bool was_dead(int error) {
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPERM: return true;
    default: return false;
    }
}

enum err tcp_accept(struct tcp_acceptor *a, int listener, struct mono now, int *fd, struct endpoint *peer,
                    struct endpoint *local, struct why *w) {
    *fd = -1;
    if (a->resume.us != 0 && !mono_due(a->resume, now)) return E_BUSY;
    a->resume = MONO_NEVER;
    for (int i = 0; i < ACCEPT_TRIES; i++) {
        union address from = {0};
        socklen_t n = sizeof from;
        int s = accept4(listener, &from.any, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (s >= 0) {
            if (from_system(&from, peer) && (local == NULL || tcp_local(s, local))) {
                stream_options(s);
                *fd = s;
                return OK;
            }
            close(s); /* reset before we could ask */
            continue;
        }
        if (was_dead(errno)) continue;
        if (errno == EAGAIN) return E_BUSY;
        if (kind_of(errno) == E_LIMIT) return turn_away(a, listener, now, errno, w);
        return fail(w, E_IO, "Accepting a connection failed: %s", strerror(errno));
    }
    return E_BUSY; /* the listener stays readable, and the next turn goes on */
}

/* ---- dialing */
/* With IPv6 switched off in the kernel there is no address to come from, and the error is that of no port
 * left. Then a port can still be had. */
static bool no_source(int s, const struct endpoint *to) {
    union address any;
    socklen_t n = to_system(&(struct endpoint){.ip = {.version = to->ip.version}}, &any);
    return to->ip.version == 6 && bind(s, &any.any, n) == 0;
}

enum err tcp_dial(int *fd, const struct endpoint *to, const struct endpoint *from, struct why *w) {
    union address a, b;
    socklen_t n = to_system(to, &a);
    *fd = -1;
    int s = new_socket(to);
    if (s < 0) return broken(w, "Dialing", to, errno);
    stream_options(s);
    bool bound = from == NULL;
    if (!bound) {
        socklen_t m = to_system(from, &b);
        bound = (from->port == 0 || set_on(s, SOL_SOCKET, SO_REUSEADDR)) && bind(s, &b.any, m) == 0;
    }
    /* EINTR: the attempt goes on, as with EINPROGRESS. */
    if (bound && (connect(s, &a.any, n) == 0 || errno == EINPROGRESS || errno == EINTR)) {
        *fd = s;
        return OK;
    }
    int error = errno;
    bool ports = error == EADDRNOTAVAIL && from == NULL && !ip_is_unspecified(&to->ip) && !no_source(s, to);
    close(s);
    /* EAGAIN, EADDRNOTAVAIL from connect: no local port is left. */
    if (bound && (error == EAGAIN || ports)) {
        broken(w, "Dialing", to, error);
        if (w != NULL) w->code = E_LIMIT;
        return E_LIMIT;
    }
    return broken(w, "Dialing", to, error);
}

enum err tcp_dialed(int fd, struct why *w) {
    int error = 0;
    socklen_t n = sizeof error;
    struct endpoint peer, local;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0) error = errno;
    if (error != 0) return fail(w, kind_of(error), "%s", strerror(error));
    union address a = {0};
    socklen_t len = sizeof a;
    if (getpeername(fd, &a.any, &len) != 0) { /* ENOTCONN: still on the way */
        if (errno == ENOTCONN) return E_BUSY;
        return fail(w, E_IO, "%s", strerror(errno));
    }
    if (from_system(&a, &peer) && tcp_local(fd, &local) && endpoint_eq(&peer, &local)) {
        return fail(w, E_REFUSED, "nobody listens there (the socket was joined to itself)");
    }
    return OK;
}

/* ---- bytes */
static enum err read_or_write_failed(struct why *w, int error, bool writing) {
    if (error == EAGAIN || (writing && (error == ENOBUFS || error == ENOMEM))) return E_BUSY;
    if (writing && error == EPIPE) return fail(w, E_CLOSED, "the peer closed the connection");
    return fail(w, E_IO, "%s", strerror(error));
}

enum err tcp_read(int fd, uint8_t *to, size_t max, size_t *n, struct why *w) {
    ssize_t got;
    *n = 0;
    if (max == 0) return E_BUSY;
    do got = recv(fd, to, max, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0) return read_or_write_failed(w, errno, false);
    if (got == 0) return fail(w, E_CLOSED, "the peer closed the connection");
    *n = (size_t)got;
    return OK;
}

enum err tcp_write(int fd, struct bytes from, size_t *n, struct why *w) {
    ssize_t sent;
    *n = 0;
    if (from.n == 0) return E_BUSY;
    do sent = send(fd, from.p, from.n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return read_or_write_failed(w, errno, true);
    *n = (size_t)sent;
    return OK;
}
