#include "net/tcp.h"

#include "net/closing.h"
#include "net/interfaces.h"

#include "base/mem.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct mono now = {1000000};

static size_t open_fds(void) {
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static struct endpoint at(const char *ip, uint16_t port) {
    struct endpoint e = {.port = port};
    CHECK(ip_parse(bytes_of(ip), &e.ip));
    return e;
}

static void wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    CHECK(poll(&p, 1, 10000) == 1);
}

static bool has_ipv6(void) {
    int fd;
    struct endpoint e = at("::1", 0);
    enum err err = tcp_listen(&fd, &e, NULL);
    tcp_close(fd);
    return err == OK;
}

/* A listener, and a connection over it: [0] dialed, [1] accepted. */
static int listener(const char *ip, struct endpoint *where) {
    int fd;
    struct endpoint e = at(ip, 0);
    struct why w = {OK, ""};
    CHECK(tcp_listen(&fd, &e, &w) == OK, "%s", w.text);
    CHECK(tcp_local(fd, where) && where->port != 0);
    return fd;
}

static void join(const char *ip, int fds[2]) {
    struct tcp_acceptor a;
    struct endpoint where, peer, local, mine;
    int l = listener(ip, &where);
    CHECK(tcp_acceptor_open(&a, NULL) == OK);
    CHECK(tcp_dial(&fds[0], &where, NULL, NULL) == OK);
    wait_for(fds[0], POLLOUT);
    CHECK(tcp_dialed(fds[0], NULL) == OK);
    wait_for(l, POLLIN);
    CHECK(tcp_accept(&a, l, now, &fds[1], &peer, &local, NULL) == OK);
    CHECK(tcp_local(fds[0], &mine) && endpoint_eq(&mine, &peer) && endpoint_eq(&local, &where));
    int none;
    CHECK(tcp_accept(&a, l, now, &none, &peer, NULL, NULL) == E_BUSY && none == -1);
    tcp_acceptor_close(&a);
    tcp_close(l);
}

static int option(int fd, int level, int name) {
    int v = -1;
    socklen_t n = sizeof v;
    CHECK(getsockopt(fd, level, name, &v, &n) == 0);
    return v;
}

static void exchange(const char *ip) {
    int fds[2];
    uint8_t to[16];
    size_t n;
    struct why w = {OK, ""};
    size_t before = open_fds();
    join(ip, fds);
    for (int i = 0; i < 2; i++) {
        CHECK(option(fds[i], IPPROTO_TCP, TCP_NODELAY) != 0 && option(fds[i], SOL_SOCKET, SO_KEEPALIVE) == 0);
        CHECK((fcntl(fds[i], F_GETFD) & FD_CLOEXEC) && (fcntl(fds[i], F_GETFL) & O_NONBLOCK));
    }
    CHECK(tcp_read(fds[1], to, sizeof to, &n, NULL) == E_BUSY && n == 0);
    CHECK(tcp_write(fds[0], BYTES("hello"), &n, NULL) == OK && n == 5);
    wait_for(fds[1], POLLIN);
    CHECK(tcp_read(fds[1], to, 3, &n, NULL) == OK && n == 3 && memcmp(to, "hel", 3) == 0);
    CHECK(tcp_read(fds[1], to, sizeof to, &n, NULL) == OK && n == 2);
    tcp_finish(fds[0]); /* half closed: the other direction goes on */
    wait_for(fds[1], POLLIN);
    CHECK(tcp_read(fds[1], to, sizeof to, &n, &w) == E_CLOSED && n == 0 && *w.text != '\0');
    CHECK(tcp_write(fds[1], BYTES("bye"), &n, NULL) == OK && n == 3);
    wait_for(fds[0], POLLIN);
    CHECK(tcp_read(fds[0], to, sizeof to, &n, NULL) == OK && n == 3);
    CHECK(tcp_write(fds[0], BYTES("x"), &n, &w) == E_CLOSED);
    tcp_close(fds[0]);
    tcp_close(fds[1]);
    tcp_close(-1);
    CHECK(open_fds() == before);
}

TEST(tcp_over_ipv4) {
    exchange("127.0.0.1");
}

TEST(tcp_over_ipv6) {
    if (!has_ipv6()) SKIP("this machine has no IPv6 loopback");
    exchange("::1");
}

TEST(tcp_write_is_partial_then_busy) {
    int fds[2];
    size_t n = 0, total = 0;
    static uint8_t chunk[1 << 20];
    join("127.0.0.1", fds);
    enum err e = OK;
    for (int i = 0; i < 100 && e == OK; i++, total += n)
        e = tcp_write(fds[0], bytes_at(chunk, sizeof chunk), &n, NULL);
    CHECK(e == E_BUSY && n == 0 && total % sizeof chunk != 0);
    CHECK(tcp_write(fds[0], BYTES(""), &n, NULL) == E_BUSY);
    tcp_close(fds[0]);
    tcp_close(fds[1]);
}

TEST(tcp_tells_a_reset) {
    int fds[2];
    uint8_t c;
    size_t n;
    struct why w = {OK, ""};
    join("127.0.0.1", fds);
    tcp_reset(fds[1]);
    wait_for(fds[0], POLLIN);
    CHECK(tcp_read(fds[0], &c, 1, &n, &w) == E_IO && strstr(w.text, "reset") != NULL, "%s", w.text);
    tcp_close(fds[0]);
    tcp_reset(-1);
}

TEST(tcp_listen_says_what_is_wrong) {
    struct endpoint where, elsewhere = at("192.0.2.77", 0), six;
    struct why w = {OK, ""};
    int fd, l = listener("127.0.0.1", &where);
    CHECK(tcp_listen(&fd, &where, &w) == E_BUSY && fd == -1 && w.code == E_BUSY);
    CHECK(strstr(w.text, "127.0.0.1:") != NULL && strstr(w.text, "in use") != NULL, "%s", w.text);
    CHECK(tcp_listen(&fd, &elsewhere, &w) == E_NOT_FOUND && fd == -1);
    if (has_ipv6()) { /* :: and 0.0.0.0 on one port don't disturb each other */
        int any6 = listener("::", &six), any4;
        struct endpoint four = at("0.0.0.0", six.port);
        CHECK(tcp_listen(&any4, &four, &w) == OK, "%s", w.text);
        tcp_close(any4);
        tcp_close(any6);
    }
    tcp_close(l);
}

TEST(tcp_dial_says_what_is_wrong) {
    struct endpoint where;
    struct why w = {OK, ""};
    int fd, l = listener("127.0.0.1", &where);
    tcp_close(l);
    enum err e = tcp_dial(&fd, &where, NULL, &w); /* nobody listens there any more */
    if (e == OK) {
        wait_for(fd, POLLOUT);
        e = tcp_dialed(fd, &w);
        tcp_close(fd);
    }
    CHECK(e == E_REFUSED && strstr(w.text, "refused") != NULL, "%s", w.text);
    struct endpoint broadcast = at("255.255.255.255", 4001);
    CHECK(tcp_dial(&fd, &broadcast, NULL, &w) != OK && fd == -1);
    struct endpoint from = at("192.0.2.77", 0);
    CHECK(tcp_dial(&fd, &where, &from, &w) == E_NOT_FOUND && fd == -1);
}

TEST(tcp_dial_from_a_chosen_address) {
    struct tcp_acceptor a;
    struct endpoint where, peer, from = at("127.0.0.77", 0);
    int fd, got, l = listener("127.0.0.1", &where);
    CHECK(tcp_acceptor_open(&a, NULL) == OK);
    CHECK(tcp_dial(&fd, &where, &from, NULL) == OK);
    wait_for(l, POLLIN);
    CHECK(tcp_accept(&a, l, now, &got, &peer, NULL, NULL) == OK && ip_eq(&peer.ip, &from.ip));
    tcp_close(got);
    tcp_close(fd);
    tcp_close(l);
    tcp_acceptor_close(&a);
}

/* A socket whose own port is the one it dials is joined to itself by the kernel: that is no peer. */
TEST(tcp_dial_does_not_find_itself) {
    struct endpoint where;
    struct why w = {OK, ""};
    int fd, l = listener("127.0.0.1", &where);
    tcp_close(l);
    CHECK(tcp_dial(&fd, &where, &where, &w) == OK, "%s", w.text);
    wait_for(fd, POLLOUT);
    CHECK(tcp_dialed(fd, &w) == E_REFUSED && strstr(w.text, "itself") != NULL, "%s", w.text);
    tcp_close(fd);
}

TEST(tcp_dialed_knows_when_it_is_too_early) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && tcp_dialed(fd, NULL) == E_BUSY); /* as one that still waits for its SYN's answer */
    close(fd);
}

TEST(tcp_accept_skips_the_dead) { /* `nc -z`, a scanner: gone before it was accepted */
    struct tcp_acceptor a;
    struct endpoint where, peer;
    int fd, got, l = listener("127.0.0.1", &where);
    CHECK(tcp_acceptor_open(&a, NULL) == OK);
    for (int i = 0; i < 5; i++) {
        CHECK(tcp_dial(&fd, &where, NULL, NULL) == OK);
        tcp_reset(fd);
    }
    CHECK(tcp_dial(&fd, &where, NULL, NULL) == OK);
    size_t alive = 0;
    for (;;) {
        enum err e = tcp_accept(&a, l, now, &got, &peer, NULL, NULL);
        if (e == E_BUSY) break;
        CHECK(e == OK);
        alive++;
        tcp_close(got);
    }
    CHECK(alive >= 1 && alive <= 6 && a.turned_away == 0);
    tcp_close(fd);
    tcp_close(l);
    tcp_acceptor_close(&a);
}

TEST(tcp_accept_without_descriptors_tells_the_dialer_and_rests) {
    struct tcp_acceptor a;
    struct endpoint where, peer;
    struct rlimit before, low;
    struct why w = {OK, ""};
    uint8_t c;
    size_t n;
    int fd, other, got, fill[1024];
    size_t filled = 0, fds = open_fds();
    int l = listener("127.0.0.1", &where);
    CHECK(tcp_acceptor_open(&a, NULL) == OK);
    CHECK(tcp_dial(&fd, &where, NULL, NULL) == OK && tcp_dial(&other, &where, NULL, NULL) == OK);
    wait_for(l, POLLIN);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    low = before;
    low.rlim_cur = 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    while ((fill[filled] = dup(l)) >= 0) filled++;
    enum err e = tcp_accept(&a, l, now, &got, &peer, NULL, &w);
    int last_error = errno;
    while (filled > 0) close(fill[--filled]);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(e == E_LIMIT && got == -1 && a.turned_away == 1 && a.spare >= 0, "%s (%d)", w.text, last_error);
    CHECK(a.resume.us == mono_add_ms(now, TCP_ACCEPT_PAUSE_MS).us);
    wait_for(fd, POLLIN);
    CHECK(tcp_read(fd, &c, 1, &n, NULL) == E_IO, "the first dialer knows");
    CHECK(tcp_accept(&a, l, now, &got, &peer, NULL, &w) == E_BUSY, "resting");
    CHECK(tcp_accept(&a, l, a.resume, &got, &peer, NULL, &w) == OK && a.resume.us == 0);
    tcp_close(got);
    tcp_close(fd);
    tcp_close(other);
    tcp_close(l);
    CHECK(tcp_accept(&a, -1, now, &got, &peer, NULL, &w) == E_IO, "a broken listener is said to be one");
    tcp_acceptor_close(&a);
    tcp_acceptor_close(&a);
    CHECK(open_fds() == fds);
}

/* ---- closing */
static void turn(struct closing *c) {
    wait_for(closing_fd(c), POLLIN);
    closing_turn(c, now);
}

TEST(closing_gets_the_last_bytes_out) {
    static uint8_t big[12 << 20], to[65536];
    int fds[2];
    struct closing *c;
    size_t n, got = 0, fds_before = open_fds(), blocks = mem_blocks();
    CHECK(closing_open(&c, NULL) == OK);
    join("127.0.0.1", fds);
    CHECK(tcp_write(fds[0], BYTES("unread by us, so a plain close would reset"), &n, NULL) == OK);
    for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)(i * 7);
    closing_give(c, fds[1], bytes_at(big, sizeof big), now);
    CHECK(closing_count(c) == 1 && closing_deadline(c).us == mono_add_ms(now, CLOSING_MS).us);
    enum err e = E_BUSY;
    while (e != E_CLOSED) {
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        poll(&p, 1, 10);
        closing_turn(c, now);
        e = tcp_read(fds[0], to, sizeof to, &n, NULL);
        CHECK(e == OK || e == E_BUSY || e == E_CLOSED);
        CHECK(n == 0 || memcmp(to, big + got, n) == 0);
        got += n;
    }
    CHECK(got == sizeof big);
    CHECK(closing_count(c) == 1, "it waits for the peer's close");
    tcp_close(fds[0]);
    turn(c);
    CHECK(closing_count(c) == 0 && closing_deadline(c).us == 0);
    closing_close(c);
    closing_close(NULL);
    CHECK(open_fds() == fds_before && mem_blocks() == blocks);
}

TEST(closing_sends_its_rest_to_a_peer_that_closed_its_half) {
    static uint8_t big[12 << 20], to[65536];
    int fds[2];
    struct closing *c;
    size_t n, got = 0;
    CHECK(closing_open(&c, NULL) == OK);
    join("127.0.0.1", fds);
    tcp_finish(fds[0]);
    wait_for(fds[1], POLLIN);
    closing_give(c, fds[1], bytes_at(big, sizeof big), now);
    enum err e = E_BUSY;
    while (e == OK || e == E_BUSY) {
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        poll(&p, 1, 10);
        closing_turn(c, now);
        e = tcp_read(fds[0], to, sizeof to, &n, NULL);
        got += n;
    }
    CHECK(e == E_CLOSED && got == sizeof big && closing_count(c) == 0);
    tcp_close(fds[0]);
    closing_close(c);
}

TEST(closing_has_limits) {
    int fds[2], more[CLOSING_MAX + 1][2];
    static uint8_t flood[65536];
    struct closing *c;
    size_t n, sent = 0;
    CHECK(closing_open(&c, NULL) == OK);
    closing_give(c, -1, BYTES(""), now);
    CHECK(closing_count(c) == 0);
    /* A peer that does not close is cut off when its time is over. */
    join("127.0.0.1", fds);
    closing_give(c, fds[1], BYTES("bye"), now);
    closing_turn(c, mono_add_ms(now, CLOSING_MS - 1));
    CHECK(closing_count(c) == 1);
    closing_turn(c, mono_add_ms(now, CLOSING_MS));
    CHECK(closing_count(c) == 0);
    tcp_close(fds[0]);
    /* One that goes on sending is cut off too. */
    join("127.0.0.1", fds);
    closing_give(c, fds[1], BYTES(""), now);
    while (closing_count(c) == 1 && sent <= 4 * (size_t)CLOSING_BYTES) {
        if (tcp_write(fds[0], bytes_at(flood, sizeof flood), &n, NULL) == OK) sent += n;
        closing_turn(c, now);
    }
    CHECK(closing_count(c) == 0 && sent > CLOSING_BYTES, "%zu sent", sent);
    tcp_close(fds[0]);
    for (int i = 0; i <= CLOSING_MAX; i++) {
        join("127.0.0.1", more[i]);
        closing_give(c, more[i][1], BYTES(""), (struct mono){now.us + i});
    }
    CHECK(closing_count(c) == CLOSING_MAX);
    CHECK(closing_deadline(c).us == mono_add_ms(now, CLOSING_MS).us + 1, "the oldest made room");
    for (int i = 0; i <= CLOSING_MAX; i++) tcp_close(more[i][0]);
    closing_close(c);
}

TEST(interfaces_have_the_loopback_address_once) {
    struct endpoint all[INTERFACES_MAX], one;
    size_t n, loopback = 0;
    struct why w = {OK, ""};
    CHECK(interfaces_list(all, INTERFACES_MAX, &n, &w) == OK && n >= 1, "%s", w.text);
    struct endpoint want = at("127.0.0.1", 0);
    for (size_t i = 0; i < n; i++) {
        CHECK(all[i].ip.version == 4 || all[i].ip.version == 6);
        CHECK(all[i].port == 0);
        if (all[i].ip.version == 6 && ip_is_link_local(&all[i].ip)) CHECK(all[i].scope != 0);
        loopback += endpoint_eq(&all[i], &want);
    }
    CHECK(loopback == 1);
    CHECK(interfaces_list(&one, 1, &n, NULL) == OK && n == 1);
    CHECK(interfaces_list(&one, 0, &n, NULL) == OK && n == 0);
}
