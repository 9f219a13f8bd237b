/* A log server over UDP and TCP: real sockets of this machine, the loop's own clock moved by hand. */
#include "net/log_remote.h"

#include <poll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/clocks.h"
#include "net/tcp.h"
#include "tests/test.h"

enum { MAX = 200000 };
static int64_t skipped_ms; /* the clock runs, and can be moved on */

static struct clocks moved(void *user) {
    struct clocks c = clocks_now();
    (void)user;
    c.mono = mono_add_ms(c.mono, skipped_ms);
    return c;
}

struct scene {
    struct loop *loop;
    struct log_remote *r;
    struct endpoint at;
    int server;
};

static void begin(struct scene *s, bool tcp, const char *host) {
    struct why w = {OK, ""};
    struct log_remote_target to = {.tcp = tcp};
    skipped_ms = 0;
    CHECK(loop_open(&s->loop, &w) == OK, "%s", w.text);
    loop_set_clock(s->loop, moved, NULL);
    snprintf(to.host, sizeof to.host, "%s", host);
    to.port = s->at.port;
    CHECK(log_remote_open(&s->r, &to, s->loop, MAX, &w) == OK, "%s", w.text);
}

static void end(struct scene *s) {
    log_remote_close(s->r);
    CHECK(loop_watched(s->loop) == 0);
    loop_close(s->loop);
    if (s->server >= 0) close(s->server);
}

static void listen_tcp(struct scene *s) {
    struct why w = {OK, ""};
    CHECK(ip_parse(BYTES("127.0.0.1"), &s->at.ip));
    CHECK(tcp_listen(&s->server, &s->at, &w) == OK, "%s", w.text);
    CHECK(tcp_local(s->server, &s->at));
}

static void listen_udp(struct scene *s, uint16_t port) {
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t n = sizeof a;
    s->server = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(bind(s->server, (struct sockaddr *)&a, n) == 0 &&
          getsockname(s->server, (struct sockaddr *)&a, &n) == 0);
    s->at.port = ntohs(a.sin_port);
}

static void turn(struct scene *s) {
    struct clocks now = moved(NULL);
    CHECK(loop_turn(s->loop, mono_add_ms(now.mono, 5), NULL) == OK);
    log_remote_turn(s->r, loop_now(s->loop).mono);
}

static void say(struct scene *s, const char *text) {
    struct syslog_origin from = {.host = "h", .pid = 1};
    struct log_line line = {
        .level = LEVEL_INFO, .event = EV_STATE, .time = {1771755330123}, .text = bytes_of(text)};
    log_remote_add(s->r, &from, &line);
}

static void until_news(struct scene *s, enum log_remote_news want, struct why *w) {
    char addr[72];
    for (int i = 0; i < 4000; i++) {
        enum log_remote_news got = log_remote_news(s->r, addr, w);
        CHECK(got == LOG_REMOTE_SAME || got == want, "%d %s", (int)got, w->text);
        if (got == want) return;
        turn(s);
    }
    CHECK(false, "no news");
}

static int accepted(struct scene *s) {
    struct pollfd p = {.fd = s->server, .events = POLLIN};
    for (int i = 0; i < 4000 && poll(&p, 1, 0) == 0; i++) turn(s);
    int fd = accept(s->server, NULL, NULL);
    CHECK(fd >= 0);
    return fd;
}

/* Reads until text has come in all. */
static void reads(struct scene *s, int fd, const char *want) {
    static char got[400000];
    size_t n = 0, all = strlen(want);
    for (int i = 0; i < 4000 && n < all; i++) {
        turn(s);
        ssize_t more = recv(fd, got + n, sizeof got - n, MSG_DONTWAIT);
        if (more > 0) n += (size_t)more;
    }
    CHECK(n == all && memcmp(got, want, n) == 0, "%.*s", (int)n, got);
}

#define HEAD "<30>1 2026-02-22T10:15:30.123Z h silktalk 1 State - "

TEST(addresses_are_read) {
    static const struct {
        const char *url, *host;
        bool tcp;
        unsigned port;
    } rows[] = {{"udp://10.0.0.1:514", "10.0.0.1", false, 514},
                {"tcp://log.example:6514", "log.example", true, 6514},
                {"tcp://[2001:db8::1]:1", "2001:db8::1", true, 1},
                {"off", NULL, false, 0},
                {"", NULL, false, 0},
                {"udp://", NULL, false, 0},
                {"udp://h", NULL, false, 0},
                {"udp://h:", NULL, false, 0},
                {"udp://h:0", NULL, false, 0},
                {"udp://h:65536", NULL, false, 0},
                {"udp://:514", NULL, false, 0},
                {"tcp://[::1", NULL, false, 0},
                {"tcp://[]:5", NULL, false, 0},
                {"http://h:5", NULL, false, 0}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct log_remote_target t;
        bool good = log_remote_parse(rows[i].url, &t);
        CHECK(good == (rows[i].host != NULL), "%s", rows[i].url);
        CHECK(!good || (strcmp(t.host, rows[i].host) == 0 && t.tcp == rows[i].tcp && t.port == rows[i].port),
              "%s", rows[i].url);
    }
}

TEST(tcp_lines_are_framed_and_go_on_after_a_break) {
    struct scene s = {.server = -1};
    struct why w = {OK, ""};
    size_t blocks = mem_blocks();
    listen_tcp(&s);
    begin(&s, true, "127.0.0.1");
    say(&s, "before"); /* there is no connection yet */
    int fd = accepted(&s);
    until_news(&s, LOG_REMOTE_UP, &w);
    reads(&s, fd, "58 " HEAD "before");
    say(&s, "a");
    say(&s, "bb");
    reads(&s, fd, "53 " HEAD "a54 " HEAD "bb");
    close(fd);
    until_news(&s, LOG_REMOTE_DOWN, &w);
    CHECK(strstr(w.text, "closed") != NULL, "%s", w.text);
    say(&s, "meanwhile");
    say(&s, "and this");
    turn(&s);
    char addr[72];
    struct why why;
    CHECK(log_remote_down(s.r, addr, &why) && strstr(why.text, "closed") != NULL &&
          bytes_starts(bytes_of(addr), "127.0.0.1:"));
    CHECK(log_remote_waiting(s.r) == 2, "%llu", (unsigned long long)log_remote_waiting(s.r));
    skipped_ms += 2000;
    fd = accepted(&s);
    until_news(&s, LOG_REMOTE_UP, &w);
    CHECK(!log_remote_down(s.r, addr, &why));
    reads(&s, fd, "61 " HEAD "meanwhile60 " HEAD "and this");
    CHECK(log_remote_waiting(s.r) == 0 && log_remote_dropped(s.r) == 0 && log_remote_queued(s.r) == 0);
    close(fd);
    end(&s);
    CHECK(mem_blocks() == blocks);
}

TEST(a_server_that_hangs_costs_lines_at_the_limit_and_is_left_in_the_end) {
    static char line[4001];
    struct scene s = {.server = -1};
    struct why w = {OK, ""};
    memset(line, 'x', sizeof line - 1);
    listen_tcp(&s);
    begin(&s, true, "127.0.0.1");
    int fd = accepted(&s);
    until_news(&s, LOG_REMOTE_UP, &w);
    for (int i = 0; i < 20000 && log_remote_dropped(s.r) < 10; i++) {
        say(&s, line);
        if (i % 16 == 0) turn(&s);
    }
    CHECK(log_remote_dropped(s.r) == 10 && log_remote_queued(s.r) <= MAX, "%zu", log_remote_queued(s.r));
    uint64_t waiting = log_remote_waiting(s.r), frame = strlen("4052 " HEAD) + sizeof line - 1;
    CHECK(waiting * (frame + 2) >= log_remote_queued(s.r) &&
          (waiting - 1) * (frame + 2) <= log_remote_queued(s.r));
    for (int i = 0; i < 20; i++) turn(&s);
    char addr[72];
    CHECK(log_remote_news(s.r, addr, &w) == LOG_REMOTE_SAME);
    skipped_ms += LOG_REMOTE_STUCK_MS + 1;
    until_news(&s, LOG_REMOTE_DOWN, &w);
    CHECK(strstr(w.text, "takes nothing") != NULL, "%s", w.text);
    close(fd);
    skipped_ms += 2000;
    fd = accepted(&s); /* what was sent in part begins again: a whole frame first */
    char head[5] = "";
    for (int i = 0; i < 4000 && recv(fd, head, 4, MSG_DONTWAIT) != 4; i++) turn(&s);
    CHECK(strcmp(head, "4052") == 0, "%s", head);
    close(fd);
    end(&s);
}

TEST(who_refuses_is_asked_again_later_and_later) {
    struct scene s = {.server = -1};
    struct why w = {OK, ""};
    listen_tcp(&s);
    close(s.server);
    s.server = -1;
    begin(&s, true, "127.0.0.1");
    until_news(&s, LOG_REMOTE_DOWN, &w);
    int64_t last = 0;
    for (int i = 0; i < 9; i++) {
        struct mono now = loop_now(s.loop).mono;
        int64_t wait = mono_diff_ms(log_remote_deadline(s.r), now), usual = MIN(1000 << i, LOG_REMOTE_MAX_MS);
        CHECK(wait >= usual / 2 && wait <= usual * 5 / 4, "%d: %lld", i, (long long)wait);
        last = wait;
        skipped_ms += wait + 1;
        for (int k = 0; k < 10; k++) turn(&s); /* the kernel refuses at once */
    }
    char addr[72];
    CHECK(last > 40000 && log_remote_news(s.r, addr, &w) == LOG_REMOTE_SAME, "it is told once");
    end(&s);
}

TEST(names_are_asked_for_and_each_address_is_tried) {
    struct scene s = {.server = -1};
    struct why w = {OK, ""}, none = {E_NOT_FOUND, "no such name"};
    struct ip ips[2];
    char addr[72];
    listen_tcp(&s);
    begin(&s, true, "log.example");
    CHECK(log_remote_asks(s.r) == NULL);
    turn(&s);
    const char *name = log_remote_asks(s.r);
    CHECK(name != NULL && strcmp(name, "log.example") == 0 && log_remote_asks(s.r) == NULL);
    log_remote_resolved(s.r, NULL, 0, &none, loop_now(s.loop).mono);
    CHECK(log_remote_news(s.r, addr, &w) == LOG_REMOTE_DOWN && strstr(w.text, "no such name") != NULL &&
          strncmp(addr, "log.example:", 12) == 0);
    skipped_ms += 2000;
    turn(&s);
    CHECK(log_remote_asks(s.r) != NULL);
    CHECK(ip_parse(BYTES("127.0.0.2"), &ips[0]) && ip_parse(BYTES("127.0.0.1"), &ips[1]));
    log_remote_resolved(s.r, ips, 2, NULL, loop_now(s.loop).mono); /* nobody listens at the first */
    close(accepted(&s));
    until_news(&s, LOG_REMOTE_UP, &w);
    log_remote_resolved(s.r, ips, 1, NULL, loop_now(s.loop).mono); /* nobody asked */
    end(&s);
}

TEST(udp_messages_are_datagrams_and_a_refusal_counts) {
    struct scene s = {.server = -1};
    struct why w = {OK, ""};
    char got[300];
    listen_udp(&s, 0);
    begin(&s, false, "127.0.0.1");
    say(&s, "one");
    say(&s, "two");
    for (int i = 0; i < 3; i++) turn(&s);
    ssize_t n = recv(s.server, got, sizeof got, 0);
    CHECK(n == (ssize_t)strlen(HEAD "one") && memcmp(got, HEAD "one", (size_t)n) == 0);
    n = recv(s.server, got, sizeof got, 0);
    CHECK(n == (ssize_t)strlen(HEAD "two") && memcmp(got, HEAD "two", (size_t)n) == 0);
    until_news(&s, LOG_REMOTE_UP, &w);
    close(s.server);
    say(&s, "lost");
    until_news(&s, LOG_REMOTE_DOWN, &w);
    CHECK(log_remote_dropped(s.r) == 1 && w.code == E_REFUSED, "%s", w.text);
    say(&s, "kept");
    turn(&s);
    listen_udp(&s, s.at.port);
    skipped_ms += 3000;
    struct pollfd p = {.fd = s.server, .events = POLLIN};
    for (int i = 0; i < 4000 && poll(&p, 1, 0) == 0; i++) turn(&s);
    n = recv(s.server, got, sizeof got, 0);
    CHECK(n == (ssize_t)strlen(HEAD "kept") && memcmp(got, HEAD "kept", (size_t)n) == 0);
    CHECK(log_remote_dropped(s.r) == 1);
    end(&s);
}
