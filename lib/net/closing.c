#include "net/closing.h"

#include "base/mem.h"
#include "net/tcp.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CHUNK = 16384, EVENTS = 64, CHUNKS_PER_TURN = 8, REST_MAX = 1 << 24 };

struct leaving {
    int fd; /* -1: a free place */
    struct mono end;
    struct buf rest;
    size_t sent;      /* of rest */
    size_t thrown;    /* bytes of input */
    uint32_t watched; /* events asked for in epoll; 0: not there */
    bool deaf;        /* the peer has said its last, but not taken all of ours */
};
struct closing {
    struct leaving all[CLOSING_MAX];
    size_t n;
    int epoll;
};

enum err closing_open(struct closing **out, struct why *w) {
    *out = NULL;
    struct closing *c = NEW(struct closing);
    if (c == NULL) return fail(w, E_MEMORY, "No memory for closing connections");
    for (size_t i = 0; i < CLOSING_MAX; i++) c->all[i].fd = -1;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (c->epoll < 0) {
        fail(w, E_LIMIT, "No epoll descriptor: %s", strerror(errno));
        mem_free(c);
        return E_LIMIT;
    }
    *out = c;
    return OK;
}

static void end(struct closing *c, struct leaving *p) {
    if (p->fd < 0) return;
    tcp_close(p->fd); /* leaves epoll with it: there is no second descriptor of that socket */
    buf_free(&p->rest);
    *p = (struct leaving){.fd = -1};
    c->n--;
}

void closing_close(struct closing *c) {
    if (c == NULL) return;
    for (size_t i = 0; i < CLOSING_MAX; i++) end(c, &c->all[i]);
    close(c->epoll);
    mem_free(c);
}

int closing_fd(const struct closing *c) {
    return c->epoll;
}

size_t closing_count(const struct closing *c) {
    return c->n;
}

/* Most leave at once, and are never watched. */
static bool watch(struct closing *c, struct leaving *p) {
    uint32_t want = p->rest.n == 0 ? EPOLLIN : p->deaf ? EPOLLOUT : EPOLLIN | EPOLLOUT;
    if (want == p->watched) return true;
    int operation = p->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    struct epoll_event e = {.events = want, .data.u64 = (uint64_t)(p - c->all)};
    p->watched = want;
    return epoll_ctl(c->epoll, operation, p->fd, &e) == 0;
}

/* Writes what goes; when all has gone, FIN. False: the connection is broken. */
static bool push(struct leaving *p) {
    while (p->sent < p->rest.n) {
        size_t n;
        enum err e = tcp_write(p->fd, bytes_skip(buf_view(&p->rest), p->sent), &n, NULL);
        if (e == E_BUSY) return true;
        if (e != OK) return false;
        p->sent += n;
    }
    buf_free(&p->rest);
    p->sent = 0;
    tcp_finish(p->fd);
    return true;
}

/* False: the peer has closed, or sent too much, or the connection is broken. */
static bool throw_away(struct leaving *p) {
    uint8_t chunk[CHUNK];
    for (int i = 0; i < CHUNKS_PER_TURN; i++) {
        size_t n;
        enum err e = tcp_read(p->fd, chunk, sizeof chunk, &n, NULL);
        if (e == E_BUSY) return true;
        if (e != OK) return false;
        p->thrown += n;
        if (p->thrown > CLOSING_BYTES) return false;
    }
    return true;
}

/* The peer's half-close is not the end while something is left to send. */
static bool go_on(struct closing *c, struct leaving *p, bool writable) {
    if (writable && p->rest.n > 0 && !push(p)) return false;
    p->deaf = !throw_away(p);
    if (p->deaf && (p->rest.n == 0 || p->thrown > CLOSING_BYTES)) return false;
    return watch(c, p);
}

static struct leaving *free_place(struct closing *c) {
    struct leaving *oldest = &c->all[0];
    for (size_t i = 0; i < CLOSING_MAX; i++) {
        if (c->all[i].fd < 0) return &c->all[i];
        if (c->all[i].end.us < oldest->end.us) oldest = &c->all[i];
    }
    end(c, oldest);
    return oldest;
}

void closing_give(struct closing *c, int fd, struct bytes rest, struct mono now) {
    if (fd < 0) return;
    struct leaving *p = free_place(c);
    *p = (struct leaving){.fd = fd, .end = mono_add_ms(now, CLOSING_MS), .rest = {.max = REST_MAX}};
    c->n++;
    buf_add(&p->rest, rest);
    if (!push(p) || !go_on(c, p, false)) end(c, p);
}

void closing_turn(struct closing *c, struct mono now) {
    struct epoll_event events[EVENTS];
    if (c->n == 0) return; /* this is called every turn */
    int n = epoll_wait(c->epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct leaving *p = &c->all[events[i].data.u64];
        bool writable = (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0;
        if (p->fd >= 0 && !go_on(c, p, writable)) end(c, p);
    }
    for (size_t i = 0; i < CLOSING_MAX; i++) {
        if (c->all[i].fd >= 0 && mono_due(c->all[i].end, now)) end(c, &c->all[i]);
    }
}

struct mono closing_deadline(const struct closing *c) {
    struct mono first = MONO_NEVER;
    for (size_t i = 0; i < CLOSING_MAX && c->n > 0; i++) {
        if (c->all[i].fd >= 0) first = mono_sooner(first, c->all[i].end);
    }
    return first;
}
