/* The control socket: clients that send bytes in pieces, do not read, half-close, leave, pass descriptors.
 * Every line comes out whole, in order, once. The socket is real (there is no other way to pass descriptors),
 * but both ends are in this process and nothing waits. */
#include "net/control.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 4, LINE = 64, BACKLOG = 4096 };
static struct client {
    int fd;
    struct buf sent; /* everything */
    bool finished;
} clients[CLIENTS];
static struct ids { /* which of ours an id of the socket's is: known by the first line, which names it */
    uint32_t id;
    struct buf got;
    bool gone;
} ids[64];
static size_t n_ids;
static char path[108];

static void connect_one(size_t i) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, sizeof path);
    if (clients[i].fd > 0) return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    MUST(fd > 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        return;
    }
    clients[i] = (struct client){.fd = fd, .sent = {.max = 1 << 22}};
}

static void disconnect(size_t i) {
    if (clients[i].fd > 0) close(clients[i].fd);
    buf_free(&clients[i].sent);
    clients[i] = (struct client){.fd = 0};
}

static void send_bytes(size_t i, struct bytes what, unsigned descriptors) {
    struct client *c = &clients[i];
    if (c->fd <= 0 || c->finished || what.n == 0) return;
    struct iovec v = {(void *)(uintptr_t)what.p, what.n};
    union {
        char space[CMSG_SPACE(sizeof(int) * 3)];
        struct cmsghdr align;
    } space = {{0}};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    int fds[3] = {-1, -1, -1};
    if (descriptors > 0) {
        m.msg_control = space.space;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        *h = (struct cmsghdr){CMSG_LEN(sizeof(int) * descriptors), SOL_SOCKET, SCM_RIGHTS};
        for (unsigned k = 0; k < descriptors; k++)
            fds[k] = k == 1 ? dup(c->fd) : memfd_create("x", MFD_CLOEXEC); /* a socket is refused */
        memcpy(CMSG_DATA(h), fds, sizeof(int) * descriptors);
    }
    ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) buf_add(&c->sent, bytes_sub(what, 0, (size_t)n));
    for (size_t k = 0; k < LEN(fds); k++)
        if (fds[k] >= 0) close(fds[k]);
}

static struct ids *id_of(uint32_t id) {
    for (size_t i = 0; i < n_ids; i++)
        if (ids[i].id == id) return &ids[i];
    MUST(n_ids < LEN(ids));
    ids[n_ids] = (struct ids){.id = id, .got = {.max = 1 << 22}};
    return &ids[n_ids++];
}

static void take_events(struct control *c, uint8_t how) {
    struct control_event ev;
    for (int i = 0; i < 1000 && control_next(c, &ev); i++) {
        struct ids *who = id_of(ev.client);
        MUST(ev.client != 0 && !who->gone);
        switch (ev.kind) {
        case CONTROL_LINE:
            MUST(ev.line.n <= LINE && bytes_index(ev.line, '\n') == ev.line.n);
            MUST(ev.line.n > 0 || ev.fd >= 0);
            buf_add(&who->got, ev.line);
            buf_add_byte(&who->got, '\n');
            if (ev.fd >= 0) {
                MUST(fcntl(ev.fd, F_GETFD) >= 0);
                close(ev.fd);
            }
            if (how & 1) control_send(c, ev.client, BYTES("{\"an\":\"answer\"}"));
            if (how & 2) {
                static const uint8_t much[3000];
                control_send(c, ev.client, bytes_at(much, sizeof much));
            }
            if (how & 4) control_drop(c, ev.client);
            who->gone = (how & 4) != 0;
            break;
        case CONTROL_END:
            MUST(ev.fd == -1);
            if (how & 8) {
                control_drop(c, ev.client);
                who->gone = true;
            }
            break;
        case CONTROL_GONE: who->gone = true; break;
        }
        control_unsent(c, ev.client);
    }
}

/* What came of a client are the lines of one of ours, without the empty ones, as far as they were taken. */
static bool is_of(struct bytes got, struct bytes sent) {
    struct bytes line;
    while (got.n > 0) {
        if (!bytes_split(&sent, '\n', &line)) return false;
        if (line.n == 0) continue;
        if (got.n < line.n + 1 || !bytes_eq(bytes_sub(got, 0, line.n), line) || got.p[line.n] != '\n')
            return got.p[0] == '\n'; /* an empty line that came with a descriptor */
        got = bytes_skip(got, line.n + 1);
    }
    return true;
}

static void one_client_is_whole(bool descriptors) {
    for (size_t i = 0; i < n_ids && !descriptors; i++) {
        bool found = ids[i].got.n == 0;
        for (size_t k = 0; k < CLIENTS; k++)
            found = found || is_of(buf_view(&ids[i].got), buf_view(&clients[k].sent));
        MUST(found);
    }
}

/* No descriptor is left for the one who accepts. */
static void no_descriptors(bool none) {
    static struct rlimit before;
    if (before.rlim_cur == 0) MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
    struct rlimit now = before;
    int lowest = dup(0);
    if (lowest >= 0) close(lowest);
    if (none && lowest > 0) now.rlim_cur = (rlim_t)lowest;
    MUST(setrlimit(RLIMIT_NOFILE, &now) == 0);
}

/* Where no socket can be. */
static void open_badly(struct control_setup setup, uint8_t how) {
    static const enum err want[] = {E_INPUT, E_NOT_FOUND, E_INPUT, E_INPUT};
    char place[300];
    struct control *c = NULL;
    struct why w = {OK, ""};
    fuzz_place("fuzz", place, sizeof place);
    if (how % 4 == 0) snprintf(place, sizeof place, "/tmp/%0150d", 0);
    if (how % 4 == 1) snprintf(place, sizeof place, "/no-such-folder/x");
    if (how % 4 == 2) place[0] = '\0';
    if (how % 4 == 3) close(open(place, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    setup.path = place;
    enum err e = control_open(&c, &setup, &w);
    MUST(e == want[how % 4] && c == NULL);
    if (how % 4 == 3) unlink(place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    struct control *c = NULL;
    struct why w = {OK, ""};
    fuzz_place("socket", path, sizeof path);
    struct control_setup setup = {.path = path, .mode = 0600, .owner = getuid(), .group = (gid_t)-1};
    setup.clients_max = 3;
    setup.line_max = LINE;
    setup.backlog_max = BACKLOG;
    setup.full = BYTES("full");
    setup.too_long = BYTES("too long");
    uint8_t how = fuzz_u8(&in);
    if (how >= 0xf0) open_badly(setup, how);
    if (how & 1) setup.group = 12345;
    MUST(control_open(&c, &setup, &w) == OK || (how & 1)); /* only root may give it to another group */
    if (c == NULL) return 0;
    struct mono now = {1000000};
    bool left = false, passed = false;
    n_ids = 0;
    while (in.n > 0 && n_ids < LEN(ids) - 8) {
        uint8_t what = fuzz_u8(&in);
        size_t i = what / 16 % CLIENTS;
        switch (what % 16) {
        case 0:
        case 1: connect_one(i); break;
        case 2:
        case 3:
        case 4: send_bytes(i, fuzz_part(&in), 0); break;
        case 5:
            if (clients[i].fd > 0) send_bytes(i, BYTES("{\"v\":1}\n"), 0);
            break;
        case 6:
            passed = true;
            send_bytes(i, fuzz_part(&in), 1 + what / 64 % 3);
            break;
        case 7:
            if (clients[i].fd > 0) shutdown(clients[i].fd, SHUT_WR);
            clients[i].finished = true;
            break;
        case 8:
            left = left || clients[i].fd > 0;
            disconnect(i);
            break;
        case 9: {
            char place[5000];
            if (clients[i].fd > 0) (void)!read(clients[i].fd, place, sizeof place);
            break;
        }
        case 10: now = mono_add_ms(now, fuzz_u16(&in)); break;
        default:
            if (what >= 0xf0 && what < 0xfc) no_descriptors(true);
            control_turn(c, now);
            no_descriptors(false);
            take_events(c, what >> 4);
            break;
        }
    }
    for (int i = 0; i < 4; i++) {
        control_turn(c, now);
        take_events(c, 0);
    }
    if (!left) one_client_is_whole(passed);
    MUST(control_counts(c).clients <= 3 && control_fd(c) >= 0);
    control_deadline(c);
    control_close(c);
    for (size_t i = 0; i < CLIENTS; i++) disconnect(i);
    for (size_t i = 0; i < n_ids; i++) buf_free(&ids[i].got);
    fuzz_no_leak(blocks);
    return 0;
}
