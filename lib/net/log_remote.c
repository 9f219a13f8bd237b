#include "net/log_remote.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/tcp.h"

enum { SENDS_PER_TURN = 256, QUEUE_KEPT = 16 << 10, RECORD_HEAD = 2 };

struct log_remote {
    struct log_remote_target to;
    struct loop *loop;
    enum state { WAITING, RESOLVING, DIALING, OPEN } state;
    bool asked; /* RESOLVING: the owner has the name */
    struct ip ips[LOG_REMOTE_IPS];
    size_t n_ips, next_ip;
    struct endpoint at;
    int fd;
    unsigned interest;
    struct mono now, until; /* until: end of waiting or dialing; OPEN: of patience; 0: none */
    struct mono refused;    /* UDP: when last */
    int64_t wait_ms;
    struct buf queue;   /* { u16 n, message with its frame } */
    size_t taken, sent; /* bytes of queue that are done; bytes of the first message that are sent */
    uint64_t dropped;
    bool up, told_up, told_any;
    struct why why;
};

bool log_remote_parse(const char *url, struct log_remote_target *out) {
    struct bytes text = bytes_of(url), host;
    uint64_t port = 0;
    out->tcp = bytes_starts(text, "tcp://");
    if (!out->tcp && !bytes_starts(text, "udp://")) return false;
    text = bytes_skip(text, 6);
    if (bytes_starts(text, "[")) {
        size_t end = bytes_index(text, ']');
        host = bytes_sub(text, 1, end - 1);
        text = bytes_skip(text, end + 1);
    } else {
        host = bytes_take(&text, bytes_index(text, ':'));
    }
    if (host.n == 0 || !bytes_starts(text, ":") || !bytes_to_u64(bytes_skip(text, 1), 65535, &port) ||
        port == 0)
        return false;
    out->port = (uint16_t)port;
    return bytes_cstr(host, out->host, sizeof out->host);
}

enum err log_remote_open(struct log_remote **out, const struct log_remote_target *to, struct loop *loop,
                         size_t max, struct why *w) {
    struct log_remote *r = NEW(struct log_remote);
    *out = r;
    if (r == NULL) return fail(w, E_MEMORY, "out of memory");
    r->to = *to;
    r->loop = loop;
    r->fd = -1;
    r->queue.max = max;
    r->wait_ms = LOG_REMOTE_MIN_MS;
    r->until.us = 1; /* at once */
    return OK;
}

/* ---- the socket */

static void drop_socket(struct log_remote *r) {
    if (r->fd < 0) return;
    loop_drop(r->loop, r->fd);
    close(r->fd);
    r->fd = -1;
    r->sent = 0; /* the message that was under way goes again as a whole */
}

/* Between 3/4 and 5/4; the clock's last digits are random enough to keep nodes apart. */
static int64_t jitter(const struct log_remote *r) {
    return r->wait_ms * 3 / 4 + r->now.us / 7 % (r->wait_ms / 2 + 1);
}

static void broken(struct log_remote *r, enum err e, const char *text) {
    bool another = r->state == DIALING && r->n_ips > 0 && r->next_ip % r->n_ips != 0;
    drop_socket(r);
    r->state = WAITING;
    if (another) { /* the name's next address, at once: until none is left nothing is wrong */
        r->until = r->now;
        return;
    }
    fail(&r->why, e, "%s", text);
    r->up = false;
    r->until = mono_add_ms(r->now, jitter(r));
    r->wait_ms = MIN(r->wait_ms * 2, (int64_t)LOG_REMOTE_MAX_MS);
}

static void opened(struct log_remote *r) {
    r->state = OPEN;
    r->next_ip += r->n_ips - r->next_ip % r->n_ips; /* when it breaks the name is asked anew */
    r->until = MONO_NEVER;
    if (!r->to.tcp) return;
    r->up = true;
    r->wait_ms = LOG_REMOTE_MIN_MS;
    int on = 1, bytes = LOG_REMOTE_KERNEL_BYTES,
        ms = LOG_REMOTE_STUCK_MS; /* a host that is gone is noticed when nothing is sent, too */
    setsockopt(r->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(r->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
    setsockopt(r->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes); /* else it grows to megabytes */
}

static struct bytes first(const struct log_remote *r) {
    struct rd rd = rd_of(bytes_skip(buf_view(&r->queue), r->taken));
    return rd_take(&rd, rd_u16(&rd));
}

static void forget_first(struct log_remote *r) {
    r->taken += RECORD_HEAD + first(r).n;
    r->sent = 0;
    if (r->taken < r->queue.n) return;
    buf_clear(&r->queue);
    buf_shrink(&r->queue, QUEUE_KEPT);
    r->taken = 0;
}

static enum err send_udp(struct log_remote *r, struct bytes message, struct why *w) {
    ssize_t n;
    do n = send(r->fd, message.p, message.n, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n >= 0) return OK;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return E_BUSY;
    if (errno == EMSGSIZE) { /* no network takes it: it will not go later either */
        r->dropped++;
        return OK;
    }
    if (errno == ECONNREFUSED) { /* of the one before; this one was not sent */
        r->dropped++;
        r->refused = r->now;
        return fail(w, E_REFUSED, "nobody listens there");
    }
    return fail(w, E_IO, "%s", strerror(errno));
}

static void set_interest(struct log_remote *r, bool more) {
    unsigned want = LOOP_READ | (more || r->state == DIALING ? LOOP_WRITE : 0u);
    if (r->fd < 0 || want == r->interest) return;
    r->interest = want;
    loop_interest(r->loop, r->fd, want);
}

static void send_some(struct log_remote *r) {
    struct why w = {OK, ""};
    enum err e = OK;
    bool moved = false;
    for (int i = 0; e == OK && r->taken < r->queue.n && i < SENDS_PER_TURN; i++) {
        struct bytes rest = bytes_skip(first(r), r->sent);
        size_t n = rest.n;
        e = r->to.tcp ? tcp_write(r->fd, rest, &n, &w) : send_udp(r, rest, &w);
        if (e != OK) break;
        moved = true;
        r->sent += n;
        if (n == rest.n) forget_first(r);
    }
    if (e != OK && e != E_BUSY) {
        broken(r, e, w.text);
        return;
    }
    bool waits = r->taken < r->queue.n;
    if (!waits)
        r->until = MONO_NEVER;
    else if (moved || r->until.us == 0)
        r->until = mono_add_ms(r->now, LOG_REMOTE_STUCK_MS);
    set_interest(r, waits);
    if (!r->to.tcp && moved && mono_diff_ms(r->now, r->refused) > LOG_REMOTE_GOOD_MS) {
        r->up = true;
        r->wait_ms = LOG_REMOTE_MIN_MS;
    }
}

/* A server says nothing; that it ended, or an error, is what there is to read. */
static void read_end(struct log_remote *r) {
    uint8_t thrown_away[512];
    struct why w = {OK, ""};
    size_t n;
    if (r->to.tcp) {
        enum err e = tcp_read(r->fd, thrown_away, sizeof thrown_away, &n, &w);
        if (e != OK && e != E_BUSY) broken(r, e, e == E_CLOSED ? "the server closed the connection" : w.text);
        return;
    }
    ssize_t got = recv(r->fd, thrown_away, sizeof thrown_away, MSG_DONTWAIT);
    if (got < 0 && errno == ECONNREFUSED) {
        r->dropped++;
        r->refused = r->now;
        broken(r, E_REFUSED, "nobody listens there");
    } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
        broken(r, E_IO, strerror(errno));
    }
}

static void ready(void *user, int fd, unsigned what) {
    struct log_remote *r = user;
    struct why w = {OK, ""};
    (void)fd;
    r->now = loop_now(r->loop).mono;
    if (r->state == DIALING) {
        enum err e = tcp_dialed(r->fd, &w);
        if (e == E_BUSY) return;
        if (e != OK) {
            broken(r, e, w.text);
            return;
        }
        opened(r);
    } else if ((what & LOOP_READ) != 0) {
        read_end(r);
    }
    if (r->state == OPEN) send_some(r);
}

static int udp_socket(const struct endpoint *to) {
    struct sockaddr_in six_less = {.sin_family = AF_INET, .sin_port = htons(to->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(to->port)};
    bool v4 = to->ip.version == 4;
    memcpy(&six_less.sin_addr, to->ip.p, 4);
    memcpy(&six.sin6_addr, to->ip.p, 16);
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1
             : v4   ? connect(fd, (const struct sockaddr *)&six_less, sizeof six_less)
                    : connect(fd, (const struct sockaddr *)&six, sizeof six);
    if (rc == 0) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return -1;
}

static void dial(struct log_remote *r) {
    struct why w = {OK, ""};
    enum err e = OK;
    r->at = (struct endpoint){.ip = r->ips[r->next_ip++ % r->n_ips], .port = r->to.port};
    if (r->to.tcp) {
        e = tcp_dial(&r->fd, &r->at, NULL, &w);
    } else if ((r->fd = udp_socket(&r->at)) < 0) {
        e = fail(&w, E_IO, "%s", strerror(errno));
    }
    if (e != OK) {
        r->fd = -1;
        broken(r, e, w.text);
        return;
    }
    r->interest = LOOP_READ | (r->to.tcp ? LOOP_WRITE : 0u);
    r->state = DIALING;
    r->until = mono_add_ms(r->now, LOG_REMOTE_DIAL_MS);
    if (loop_watch(r->loop, r->fd, r->interest, "log server", ready, r) != OK)
        broken(r, E_LIMIT, "no descriptor or memory is left");
    else if (!r->to.tcp)
        opened(r);
}

/* ---- turns */

static void begin(struct log_remote *r) {
    struct ip ip;
    if (ip_parse(bytes_of(r->to.host), &ip)) {
        r->ips[0] = ip;
        r->n_ips = 1;
        dial(r);
    } else if (r->n_ips > 0 && r->next_ip % r->n_ips != 0) { /* the name's next address; else asked anew */
        dial(r);
    } else {
        r->state = RESOLVING;
        r->asked = false;
        r->until = MONO_NEVER;
    }
}

const char *log_remote_asks(struct log_remote *r) {
    if (r->state != RESOLVING || r->asked) return NULL;
    r->asked = true;
    return r->to.host;
}

void log_remote_resolved(struct log_remote *r, const struct ip *ips, size_t n, const struct why *failed,
                         struct mono now) {
    r->now = now;
    if (r->state != RESOLVING) return;
    if (failed != NULL || n == 0) {
        broken(r, failed == NULL ? E_NOT_FOUND : failed->code,
               failed == NULL ? "no such name" : failed->text);
        return;
    }
    r->n_ips = MIN(n, (size_t)LOG_REMOTE_IPS);
    memcpy(r->ips, ips, r->n_ips * sizeof *ips);
    r->next_ip = 0;
    dial(r);
}

void log_remote_turn(struct log_remote *r, struct mono now) {
    r->now = now;
    bool due = mono_due(r->until, now);
    if (r->state == WAITING && due)
        begin(r);
    else if (r->state == DIALING && due)
        broken(r, E_TIMEOUT, "no connection in time");
    else if (r->state == OPEN && due)
        broken(r, E_TIMEOUT, "the server takes nothing any more");
    if (r->state == OPEN && (r->interest & LOOP_WRITE) == 0) send_some(r);
}

struct mono log_remote_deadline(const struct log_remote *r) {
    return r->until;
}

void log_remote_add(struct log_remote *r, const struct syslog_origin *from, const struct log_line *line) {
    uint8_t room[SYSLOG_MESSAGE_MAX + 16];
    struct buf message = {room, 0, sizeof room, sizeof room};
    if (r->taken > 0 && buf_room(&r->queue) < sizeof room) {
        buf_drop(&r->queue, r->taken);
        r->taken = 0;
    }
    bool good = syslog_add(&message, from, line, r->to.tcp) &&
                buf_reserve(&r->queue, RECORD_HEAD + message.n);
    if (good) {
        wr_u16(&r->queue, (uint16_t)message.n);
        buf_add(&r->queue, buf_view(&message));
    }
    r->dropped += !good;
}

void log_remote_close(struct log_remote *r) {
    if (r == NULL) return;
    if (r->state == OPEN) send_some(r);
    drop_socket(r);
    buf_free(&r->queue);
    mem_free(r);
}

bool log_remote_down(const struct log_remote *r, char addr[72], struct why *why) {
    *why = r->why;
    if (r->at.port != 0)
        endpoint_text(&r->at, addr);
    else
        snprintf(addr, 72, "%.60s:%u", r->to.host, (unsigned)r->to.port);
    return !r->up && r->why.code != OK;
}

enum log_remote_news log_remote_news(struct log_remote *r, char addr[72], struct why *why) {
    bool down = log_remote_down(r, addr, why);
    if ((!r->up && !down) || (r->told_any && r->told_up == r->up)) return LOG_REMOTE_SAME;
    r->told_any = true;
    r->told_up = r->up;
    return r->up ? LOG_REMOTE_UP : LOG_REMOTE_DOWN;
}

uint64_t log_remote_dropped(const struct log_remote *r) {
    return r->dropped;
}

size_t log_remote_queued(const struct log_remote *r) {
    return r->queue.n - r->taken;
}

uint64_t log_remote_waiting(const struct log_remote *r) {
    struct rd rd = rd_of(bytes_skip(buf_view(&r->queue), r->taken));
    uint64_t n = 0;
    for (; rd.in.n > 0 && !rd.bad; n++) rd_take(&rd, rd_u16(&rd));
    return n;
}
