/* lib/loop/loop.c: one table by descriptor number. A watched descriptor with an interest is in the poll set,
 * or, when that is full, in the epoll descriptor (which itself is poll entry 0 from then on).
 *
 * A serial number per watch tells whether an event that was collected still belongs to the same watch when
 * its turn comes. The poll set always has room for all that is watched, so that a descriptor which epoll
 * refuses can go there without a way to fail. */
#include "loop/loop.h"

#include "base/mem.h"
#include "loop/clocks.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum place { NOWHERE, IN_POLL, IN_EPOLL };

struct watch {
    loop_handler *handler; /* NULL: not watched */
    void *user;
    const char *part;
    uint64_t serial;
    size_t at; /* index in the poll set */
    unsigned interest;
    enum place place;
};
struct ready {
    uint64_t serial;
    int fd;
    short events;
};
struct loop {
    struct watch *watches; /* by descriptor */
    size_t watches_n;
    struct pollfd *polls;
    size_t polls_n, polls_cap;
    struct ready *ready; /* as large as polls_cap + LOOP_EPOLL_EVENTS */
    size_t watched;
    uint64_t serial;
    int epoll; /* -1: none yet */
    bool epoll_failed;
    struct clocks now;
    struct mono began, handled; /* the present turn's wait and last handler ended; real time, also in tests */
    int64_t processor_us;       /* what the thread had had when the present turn began */
    int64_t slowest_us;         /* of the present turn so far */
    const char *slowest_part;
    bool turning; /* false until the first turn, which is measured from its wait on */
    struct loop_stats stats;
    struct clocks (*read)(void *user);
    void *read_user;
};

static struct clocks read_clocks(struct loop *l) {
    return l->read == NULL ? clocks_now() : l->read(l->read_user);
}

enum err loop_open(struct loop **out, struct why *w) {
    *out = NULL;
    struct loop *l = NEW(struct loop);
    if (l == NULL) return fail(w, E_MEMORY, "No memory for the loop");
    l->epoll = -1;
    l->now = read_clocks(l);
    l->slowest_part = l->stats.slowest_part = "";
    *out = l;
    return OK;
}

void loop_close(struct loop *l) {
    if (l == NULL) return;
    if (l->epoll >= 0) close(l->epoll);
    mem_free(l->watches);
    mem_free(l->polls);
    mem_free(l->ready);
    mem_free(l);
}

static struct watch *find(const struct loop *l, int fd) {
    if (fd < 0 || (size_t)fd >= l->watches_n || l->watches[fd].handler == NULL) return NULL;
    return &l->watches[fd];
}

/* ---- where a descriptor is watched */
static short poll_bits(unsigned interest) {
    return (short)(((interest & LOOP_READ) ? POLLIN : 0) | ((interest & LOOP_WRITE) ? POLLOUT : 0));
}

static void poll_put(struct loop *l, int fd, short events) {
    l->polls[l->polls_n++] = (struct pollfd){.fd = fd, .events = events};
}

static void take_out(struct loop *l, int fd, struct watch *watch) {
    if (watch->place == IN_EPOLL) {
        struct epoll_event unused = {0};
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, fd, &unused);
    } else if (watch->place == IN_POLL) { /* the last one fills the gap */
        l->polls[watch->at] = l->polls[--l->polls_n];
        if (watch->at < l->polls_n) l->watches[l->polls[watch->at].fd].at = watch->at;
    }
    watch->place = NOWHERE;
}

/* The epoll descriptor is the first poll entry, and stays. */
static bool have_epoll(struct loop *l) {
    if (l->epoll >= 0) return true;
    if (l->epoll_failed) return false;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->epoll_failed = l->epoll < 0;
    if (l->epoll < 0) return false;
    poll_put(l, l->epoll, POLLIN);
    struct pollfd last = l->polls[l->polls_n - 1];
    l->polls[l->polls_n - 1] = l->polls[0];
    l->polls[0] = last;
    if (l->polls_n > 1) l->watches[l->polls[l->polls_n - 1].fd].at = l->polls_n - 1;
    return true;
}

static bool epoll_set(struct loop *l, int fd, const struct watch *watch, int operation) {
    struct epoll_event e = {.events = (uint32_t)poll_bits(watch->interest), .data.fd = fd};
    return epoll_ctl(l->epoll, operation, fd, &e) == 0; /* EPOLLIN is POLLIN, EPOLLOUT is POLLOUT */
}

static void put_in(struct loop *l, int fd, struct watch *watch) {
    if (l->polls_n >= LOOP_POLL_MAX && have_epoll(l) && epoll_set(l, fd, watch, EPOLL_CTL_ADD)) {
        watch->place = IN_EPOLL;
        return;
    }
    watch->place = IN_POLL;
    watch->at = l->polls_n;
    poll_put(l, fd, poll_bits(watch->interest));
}

/* ---- the table */
static bool grow(struct loop *l, int fd) {
    if ((size_t)fd >= l->watches_n) {
        size_t n = MAX(l->watches_n * 2, (size_t)fd + 64);
        struct watch *watches = mem_resize(l->watches, n * sizeof(*watches));
        if (watches == NULL) return false;
        memset(watches + l->watches_n, 0, (n - l->watches_n) * sizeof(*watches));
        l->watches = watches;
        l->watches_n = n;
    }
    if (l->watched + 2 <= l->polls_cap) return true; /* one more, and epoll's own */
    size_t cap = MAX(l->polls_cap * 2, (size_t)LOOP_POLL_MAX + 1);
    struct pollfd *polls = mem_resize(l->polls, cap * sizeof(*polls));
    if (polls == NULL) return false;
    l->polls = polls;
    struct ready *ready = mem_resize(l->ready, (cap + LOOP_EPOLL_EVENTS) * sizeof(*ready));
    if (ready == NULL) return false;
    l->ready = ready;
    l->polls_cap = cap;
    return true;
}

enum err loop_watch(struct loop *l, int fd, unsigned interest, const char *part, loop_handler *handler,
                    void *user) {
    if (fd < 0 || fd >= LOOP_FDS_MAX) return E_LIMIT;
    if (!grow(l, fd)) return E_MEMORY;
    loop_drop(l, fd);
    struct watch *watch = &l->watches[fd];
    *watch = (struct watch){.handler = handler,
                            .user = user,
                            .part = part,
                            .serial = ++l->serial,
                            .interest = interest & (LOOP_READ | LOOP_WRITE)};
    l->watched++;
    if (watch->interest != 0) put_in(l, fd, watch);
    return OK;
}

void loop_interest(struct loop *l, int fd, unsigned interest) {
    struct watch *watch = find(l, fd);
    interest &= LOOP_READ | LOOP_WRITE;
    if (watch == NULL || watch->interest == interest) return;
    watch->interest = interest;
    if (interest == 0) /* out of both: they would report a hang-up over and over */
        take_out(l, fd, watch);
    else if (watch->place == NOWHERE)
        put_in(l, fd, watch);
    else if (watch->place == IN_POLL)
        l->polls[watch->at].events = poll_bits(interest);
    else
        epoll_set(l, fd, watch, EPOLL_CTL_MOD);
}

void loop_drop(struct loop *l, int fd) {
    struct watch *watch = find(l, fd);
    if (watch == NULL) return;
    take_out(l, fd, watch);
    *watch = (struct watch){0};
    l->watched--;
}

size_t loop_watched(const struct loop *l) {
    return l->watched;
}

struct clocks loop_now(const struct loop *l) {
    return l->now;
}

struct loop_stats loop_stats(const struct loop *l) {
    return l->stats;
}

void loop_set_clock(struct loop *l, struct clocks (*read)(void *user), void *user) {
    l->read = read;
    l->read_user = user;
    l->now = read_clocks(l);
}

/* ---- a turn */
static size_t add_ready(struct loop *l, size_t n, int fd, short events) {
    const struct watch *watch = find(l, fd);
    if (watch != NULL) l->ready[n++] = (struct ready){watch->serial, fd, events};
    return n;
}

static size_t collect(struct loop *l) {
    size_t n = 0;
    for (size_t i = l->epoll >= 0 ? 1 : 0; i < l->polls_n; i++) {
        if (l->polls[i].revents != 0) n = add_ready(l, n, l->polls[i].fd, l->polls[i].revents);
    }
    if (l->epoll < 0 || l->polls[0].revents == 0) return n;
    struct epoll_event events[LOOP_EPOLL_EVENTS];
    int got = epoll_wait(l->epoll, events, LOOP_EPOLL_EVENTS, 0);
    for (int i = 0; i < got; i++) n = add_ready(l, n, events[i].data.fd, (short)events[i].events);
    return n;
}

static void call(struct loop *l, struct ready r) {
    struct watch *watch = find(l, r.fd);
    if (watch == NULL || watch->serial != r.serial) return;
    unsigned asked = watch->interest, is = 0;
    if (r.events & POLLIN) is |= LOOP_READ;
    if (r.events & POLLOUT) is |= LOOP_WRITE;
    is &= asked; /* an earlier handler may have changed it */
    if (r.events & (POLLERR | POLLHUP | POLLNVAL)) is |= asked | LOOP_ERROR;
    if (asked == 0 || is == 0) return;
    /* Closed without loop_drop: a mistake of ours, which must not become a busy loop. */
    if (r.events & POLLNVAL) loop_interest(l, r.fd, 0);
    l->stats.events++;
    watch->handler(watch->user, r.fd, is);
}

static void took(struct loop *l, int64_t us, const char *part) {
    if (us <= l->slowest_us) return;
    l->slowest_us = us;
    l->slowest_part = part;
}

static void end_turn(struct loop *l, struct mono end) {
    struct loop_stats *s = &l->stats;
    took(l, end.us - l->handled.us, "owner");
    int64_t us = MAX(end.us - l->began.us, (int64_t)0);
    s->slowest_us = l->slowest_us;
    s->slowest_part = l->slowest_part;
    s->last_us = us;
    s->max_us = MAX(s->max_us, us);
    s->total_us += us;
    if (us > LOOP_SLOW_US) { /* did it work so long, or did it wait for a processor or a disk? */
        s->slow++;
        s->slow_processor_us = clocks_processor_us() - l->processor_us;
    }
    size_t i = 0;
    while (i < LOOP_BUCKETS - 1 && us >= (int64_t)1 << i) i++;
    s->bucket[i]++;
    s->turns++;
}

static void begin_turn(struct loop *l) {
    l->now = read_clocks(l);
    l->began = l->handled = l->read == NULL ? l->now.mono : clocks_mono();
    l->processor_us = clocks_processor_us();
    l->slowest_us = 0;
    l->slowest_part = "";
    l->turning = true;
}

static void call_all(struct loop *l, size_t n) {
    for (size_t i = 0; i < n; i++) { /* a handler may move l->ready */
        const struct watch *watch = find(l, l->ready[i].fd);
        const char *part = watch == NULL ? "" : watch->part;
        call(l, l->ready[i]);
        struct mono now = clocks_mono();
        took(l, now.us - l->handled.us, part);
        l->handled = now;
    }
}

enum err loop_turn(struct loop *l, struct mono deadline, struct why *w) {
    struct timespec left = {0}, *timeout = NULL;
    struct mono before = clocks_mono();
    if (deadline.us != 0) { /* by the owner's clock, which in tests is not the system's */
        int64_t us = deadline.us - (l->read == NULL ? before : read_clocks(l).mono).us;
        if (us > 0) left = (struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
        timeout = &left;
    }
    if (l->turning) end_turn(l, before);
    int n = ppoll(l->polls, (nfds_t)l->polls_n, timeout, NULL);
    int error = n < 0 ? errno : 0;
    begin_turn(l);
    if (error != 0 && error != EINTR) {
        return fail(w, E_IO, "Waiting for descriptors failed: %s", strerror(error));
    }
    if (n > 0) call_all(l, collect(l));
    return OK;
}
