#include "loop/notify.h"

#include "tests/test.h"

#include <stdio.h>
#include <unistd.h>

static char path[200], got[2048];

static int manager(const char *name) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    memcpy(at.sun_path, name, n);
    if (name[0] == '@') at.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0);
    return fd;
}

static const char *receive(int fd) {
    ssize_t n = recv(fd, got, sizeof got - 1, 0);
    got[n < 0 ? 0 : n] = '\0';
    return got;
}

TEST(notify_says_what_the_protocol_says) {
    struct notify n;
    long long us;
    char rest;
    snprintf(path, sizeof path, "%s/notify", test_dir());
    int fd = manager(path);
    CHECK(notify_open(&n, path, NULL, NULL) == OK);
    CHECK(notify_ready(&n, "Up") == OK && strcmp(receive(fd), "READY=1\nSTATUS=Up") == 0, "%s", got);
    CHECK(notify_ready(&n, NULL) == OK && strcmp(receive(fd), "READY=1\n") == 0, "%s", got);
    CHECK(notify_status(&n, "a\nREADY=1\x7f") == OK && strcmp(receive(fd), "STATUS=a READY=1 ") == 0, "%s",
          got);
    CHECK(notify_stopping(&n, "Bye") == OK && strcmp(receive(fd), "STOPPING=1\nSTATUS=Bye") == 0, "%s", got);
    CHECK(notify_extend(&n, 1500) == OK && strcmp(receive(fd), "EXTEND_TIMEOUT_USEC=1500000") == 0, "%s",
          got);
    CHECK(notify_reloading(&n) == OK);
    CHECK(sscanf(receive(fd), "RELOADING=1\nMONOTONIC_USEC=%lld%c", &us, &rest) == 1 && us > 0, "%s", got);
    char text[2000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    CHECK(notify_status(&n, text) == OK && strlen(receive(fd)) == NOTIFY_TEXT_MAX - 1);
    CHECK(notify_deadline(&n).us == 0, "no watchdog was asked for");
    notify_tick(&n, (struct mono){100});
    CHECK(*receive(fd) == '\0');
    notify_close(&n);
    close(fd);
    CHECK(notify_status(&n, "late") == OK);
}

TEST(notify_reaches_an_abstract_socket) {
    struct notify n;
    snprintf(path, sizeof path, "@silktalk-test-%ld", (long)getpid());
    int fd = manager(path);
    CHECK(notify_open(&n, path, NULL, NULL) == OK);
    CHECK(notify_ready(&n, NULL) == OK && strcmp(receive(fd), "READY=1\n") == 0);
    notify_close(&n);
    close(fd);
}

TEST(notify_feeds_the_watchdog_at_half_time) {
    struct notify n;
    snprintf(path, sizeof path, "%s/notify", test_dir());
    int fd = manager(path);
    CHECK(notify_open(&n, path, "30000000", NULL) == OK && n.watchdog_us == 15000000);
    notify_tick(&n, (struct mono){1000});
    CHECK(strcmp(receive(fd), "WATCHDOG=1") == 0);
    CHECK(notify_deadline(&n).us == 15001000);
    notify_tick(&n, (struct mono){15000999});
    CHECK(*receive(fd) == '\0');
    notify_tick(&n, (struct mono){15001000});
    CHECK(strcmp(receive(fd), "WATCHDOG=1") == 0);
    notify_close(&n);
    close(fd);
}

TEST(notify_never_blocks_and_sends_states_again) {
    struct notify n;
    snprintf(path, sizeof path, "%s/notify", test_dir());
    int fd = manager(path);
    CHECK(notify_open(&n, path, NULL, NULL) == OK);
    enum err e = OK;
    for (int i = 0; i < 100000 && e == OK; i++) e = notify_status(&n, "fill");
    CHECK(e == E_BUSY);
    CHECK(notify_deadline(&n).us == 0, "a status line is not sent again");
    CHECK(notify_ready(&n, NULL) == E_BUSY);
    CHECK(mono_due(notify_deadline(&n), (struct mono){50}));
    notify_tick(&n, (struct mono){50});
    CHECK(!mono_due(notify_deadline(&n), (struct mono){60}), "not over and over");
    while (*receive(fd) != '\0') {}
    notify_tick(&n, notify_deadline(&n));
    CHECK(strcmp(receive(fd), "READY=1\n") == 0 && notify_deadline(&n).us == 0);
    notify_close(&n);
    close(fd);
}

TEST(notify_without_a_manager_is_silent) {
    static const struct {
        const char *socket, *watchdog;
        enum err want;
    } rows[] = {
        {NULL, NULL, OK},
        {"", "5", OK},
        {NULL, "junk", OK},
        {"relative", NULL, E_INPUT},
        {"@", NULL, E_INPUT},
        {"vsock:2:1", NULL, E_INPUT},
        {"/x", "0", E_INPUT},
        {"/x", "-1", E_INPUT},
        {"/x", "99999999999999999999", E_INPUT},
    };
    struct notify n;
    struct why w;
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(notify_open(&n, rows[i].socket, rows[i].watchdog, &w) == rows[i].want, "row %zu", i);
        notify_tick(&n, (struct mono){1});
        notify_close(&n);
    }
    char longest[200];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    CHECK(notify_open(&n, longest, NULL, &w) == E_INPUT);
    CHECK(notify_open(&n, "/nobody/listens", NULL, &w) == OK);
    CHECK(notify_ready(&n, NULL) == E_IO && notify_deadline(&n).us == 0);
    notify_close(&n);
}
