#include "net/control.h"

#include "base/mem.h"
#include "loop/file.h"
#include "net/control_client.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BIG = 100000 };
static const struct mono now = {1000000};
static struct control *c;
static struct control_setup setup;
static char path[200];
static size_t fds_before, blocks_before;

static size_t open_fds(void) {
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void open_control(size_t clients, size_t line, size_t backlog) {
    struct why w = {OK, ""};
    fds_before = open_fds();
    blocks_before = mem_blocks();
    snprintf(path, sizeof path, "%s/control.sock", test_dir());
    setup = (struct control_setup){
        .path = path,
        .mode = 0600,
        .owner = getuid(),
        .group = (gid_t)-1,
        .clients_max = clients,
        .line_max = line,
        .backlog_max = backlog,
        .full = BYTES("full"),
        .denied = BYTES("denied"),
        .too_long = BYTES("too long"),
    };
    CHECK(control_open(&c, &setup, &w) == OK, "%s", w.text);
}

static void close_control(void) {
    control_close(c);
    CHECK(open_fds() == fds_before, "descriptors leak");
    CHECK(mem_blocks() == blocks_before, "memory leaks");
}

/* The owner's part, exactly as control.h asks for it: by control_fd. */
static bool ready(void) {
    struct pollfd p = {.fd = control_fd(c), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static bool next(struct control_event *e) {
    for (int i = 0; i < 100; i++) {
        if (control_next(c, e)) return true;
        if (!ready()) return false;
        control_turn(c, now);
    }
    return false;
}

static struct control_event expect(enum control_kind kind, const char *line) {
    struct control_event e = {0};
    CHECK(next(&e), "nothing came");
    CHECK(e.kind == kind, "kind %d", (int)e.kind);
    CHECK(kind != CONTROL_LINE || bytes_is(e.line, line), "%.*s", (int)MIN(e.line.n, 100),
          (const char *)e.line.p);
    CHECK(e.client != 0 && e.peer.uid == getuid());
    return e;
}

static void nothing(void) {
    struct control_event e;
    CHECK(!next(&e), "an event of kind %d", (int)e.kind);
}

static int dial(void) { /* a raw client: no newline is added, anything can be sent */
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    return fd;
}

static void put(int fd, const char *text) {
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static const char *get(int fd) {
    static char got[1000];
    ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);
    snprintf(got + MAX(n, (ssize_t)0), 20, "%s",
             n == 0                         ? "<end>"
             : n < 0 && errno == ECONNRESET ? "<reset>"
                                            : "");
    return got;
}

static void put_with(int fd, const char *text, const int *passed, size_t n) {
    struct iovec v = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    union {
        char space[CMSG_SPACE(sizeof(int) * 16)];
        struct cmsghdr align;
    } u = {0};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = u.space,
                       .msg_controllen = (socklen_t)CMSG_SPACE(n * sizeof(int))};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = (socklen_t)CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(h), passed, n * sizeof(int));
    CHECK(sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)v.iov_len);
}

TEST(control_asks_and_answers) {
    open_control(4, 100, 1000);
    int a = dial(), b = dial();
    put(a, "one\ntwo\nthr");
    struct control_event e = expect(CONTROL_LINE, "one");
    uint32_t first = e.client;
    CHECK(e.fd == -1 && e.peer.pid == getpid() && e.peer.gid == getgid() && !e.peer.in_group);
    CHECK(control_send(c, first, BYTES("answer 1")) == OK);
    CHECK(control_send(c, first, BYTES("answer 2")) == OK);
    CHECK(control_unsent(c, first) == 18);
    control_flush(c); /* both in one piece */
    CHECK(control_unsent(c, first) == 0);
    CHECK(strcmp(get(a), "answer 1\nanswer 2\n") == 0);
    expect(CONTROL_LINE, "two");
    nothing();
    put(b, "other\n");
    e = expect(CONTROL_LINE, "other");
    CHECK(e.client != first);
    put(a, "ee\n\n\n");
    e = expect(CONTROL_LINE, "three");
    CHECK(e.client == first);
    nothing();
    CHECK(control_send(c, 12345, BYTES("x")) == E_NOT_FOUND && control_unsent(c, 12345) == 0);
    close(a);
    e = expect(CONTROL_GONE, "");
    CHECK(e.client == first);
    CHECK(control_send(c, first, BYTES("x")) == E_NOT_FOUND);
    nothing();
    CHECK(control_counts(c).clients == 1 && control_counts(c).accepted == 2);
    close(b);
    expect(CONTROL_GONE, "");
    close_control();
}

TEST(control_gives_every_client_its_turn) {
    open_control(4, 100, 1000);
    int a = dial(), b = dial();
    put(a, "a\na\na\n");
    put(b, "b\nb\nb\n");
    char order[7] = "";
    for (int i = 0; i < 6; i++) {
        struct control_event e = {0};
        CHECK(next(&e) && e.kind == CONTROL_LINE && e.line.n == 1);
        order[i] = (char)e.line.p[0];
    }
    CHECK(strcmp(order, "ababab") == 0 || strcmp(order, "bababa") == 0, "%s", order);
    close(a);
    close(b);
    close_control();
}

TEST(control_a_client_that_only_sends_gets_its_answers) { /* printf '...' | nc -N -U control.sock */
    open_control(4, 100, 1000);
    int a = dial();
    put(a, "first\nlast without newline");
    shutdown(a, SHUT_WR);
    struct control_event e = expect(CONTROL_LINE, "first");
    expect(CONTROL_LINE, "last without newline");
    expect(CONTROL_END, "");
    nothing();
    CHECK(control_send(c, e.client, BYTES("answer")) == OK);
    control_drop(c, e.client);
    CHECK(strcmp(get(a), "answer\n") == 0 && strcmp(get(a), "<end>") == 0);
    nothing();
    CHECK(control_counts(c).clients == 0);
    close(a);
    close_control();
}

TEST(control_a_client_that_is_gone_is_still_heard) { /* echo '...' | nc -q0 */
    open_control(4, 100, 100000);
    int a = dial();
    put(a, "do this\nand that");
    close(a);
    struct control_event e = expect(CONTROL_LINE, "do this");
    CHECK(control_send(c, e.client, BYTES("nobody reads")) != E_LIMIT);
    expect(CONTROL_LINE, "and that");
    expect(CONTROL_GONE, "");
    nothing();
    a = dial(); /* connected and gone without a word: no event at all */
    control_turn(c, now);
    close(a);
    nothing();
    CHECK(control_counts(c).clients == 0);
    close_control();
}

TEST(control_tells_that_a_client_is_gone_while_it_is_written_to) {
    open_control(4, 100, 100000);
    int a = dial();
    put(a, "follow\n");
    struct control_event e = expect(CONTROL_LINE, "follow");
    shutdown(a, SHUT_RD); /* it neither reads nor hangs up */
    nothing();
    CHECK(!ready());
    control_send(c, e.client, BYTES("event"));
    control_flush(c);
    CHECK(ready(), "an owner that waits for control_fd must learn of it");
    expect(CONTROL_GONE, "");
    nothing();
    CHECK(!ready(), "and is left in peace then");
    close(a);
    close_control();
}

TEST(control_lines_have_a_limit) {
    open_control(4, BIG, 1000);
    static char text[BIG + 3];
    memset(text, 'x', BIG);
    memcpy(text + BIG, "\n", 2);
    int a = dial(), b = dial(), d = dial();
    size_t sent = 0;
    struct control_event e = {0};
    put(a, "hello\n");
    uint32_t id = expect(CONTROL_LINE, "hello").client;
    while (sent <= BIG) { /* n bytes are fine */
        ssize_t n = send(a, text + sent, strlen(text + sent), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        if (sent <= BIG) nothing();
    }
    CHECK(next(&e) && e.kind == CONTROL_LINE && e.line.n == BIG && e.client == id);
    text[BIG] = 'x'; /* n + 1 are not: with a newline, and without one */
    for (int k = 0; k < 2; k++) {
        int fd = k == 0 ? a : b;
        memcpy(text + BIG + 1, k == 0 ? "\n" : "", k == 0 ? 2 : 1);
        for (sent = 0; text[sent] != '\0';) {
            ssize_t n = send(fd, text + sent, strlen(text + sent), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n > 0) sent += (size_t)n;
            if (n < 0 && errno != EAGAIN) break;
            if (k == 0 && next(&e)) break;
            if (k == 1) nothing(); /* it never said anything whole: nobody to say goodbye to */
        }
        if (k == 0) {
            if (e.kind != CONTROL_GONE) CHECK(next(&e));
            CHECK(e.kind == CONTROL_GONE && e.client == id);
        }
        control_turn(c, now);
        CHECK(strcmp(get(fd), "too long\n") == 0);
    }
    CHECK(control_counts(c).too_long == 2 && control_counts(c).clients == 1);
    put(d, "still here\n");
    expect(CONTROL_LINE, "still here");
    close(a);
    close(b);
    close(d);
    close_control();
}

TEST(control_lines_have_a_limit_behind_others_too) { /* found by fuzzing: only the first of a read was
                                                        measured */
    open_control(4, 10, 1000);
    for (int k = 0; k < 2; k++) {
        int fd = dial();
        put(fd, "one\n0123456789\n");
        put(fd, k == 0 ? "0123456789a\n" : "0123456789a");
        if (k == 1) shutdown(fd, SHUT_WR);
        expect(CONTROL_LINE, "one");
        expect(CONTROL_LINE, "0123456789");
        expect(CONTROL_GONE, NULL);
        CHECK(strcmp(get(fd), "too long\n") == 0);
        close(fd);
    }
    CHECK(control_counts(c).too_long == 2 && control_counts(c).clients == 0);
    close_control();
}

TEST(control_a_slow_client_is_asked_no_more_then_closed) {
    static uint8_t line[1000];
    memset(line, 'y', sizeof line);
    open_control(4, 100, CONTROL_PAUSE_BYTES * 2);
    int slow = dial(), fast = dial();
    put(slow, "stream\nnext\n");
    uint32_t id = expect(CONTROL_LINE, "stream").client;
    while (control_unsent(c, id) < CONTROL_PAUSE_BYTES)
        CHECK(control_send(c, id, bytes_at(line, sizeof line)) == OK);
    put(fast, "quick\n");
    expect(CONTROL_LINE, "quick"); /* not "next": the other one does not read */
    nothing();
    CHECK(!ready(), "no busy loop over it");
    static uint8_t sink[1 << 20];
    size_t all = 0;
    for (ssize_t n; control_unsent(c, id) > 0; control_turn(c, now)) {
        while ((n = recv(slow, sink, sizeof sink, MSG_DONTWAIT)) > 0) all += (size_t)n;
    }
    expect(CONTROL_LINE, "next"); /* it has read: it is asked again */
    while (recv(slow, sink, sizeof sink, MSG_DONTWAIT) > 0) {}
    CHECK(all > CONTROL_PAUSE_BYTES);
    enum err e = OK;
    while (e == OK) e = control_send(c, id, bytes_at(line, sizeof line));
    CHECK(e == E_LIMIT && control_counts(c).slow == 1);
    CHECK(control_send(c, id, BYTES("x")) == E_NOT_FOUND);
    CHECK(ready());
    CHECK(expect(CONTROL_GONE, "").client == id);
    nothing();
    put(fast, "still\n");
    expect(CONTROL_LINE, "still");
    close(slow);
    close(fast);
    close_control();
}

TEST(control_the_backlog_limit_is_exact) {
    static uint8_t line[4 << 20];
    open_control(4, 100, sizeof line);
    int a = dial();
    put(a, "x\ny\n");
    uint32_t id = expect(CONTROL_LINE, "x").client;
    CHECK(control_send(c, id, bytes_at(line, sizeof line - 1)) == OK, "with its newline it fits");
    close(a);
    while (control_counts(c).clients > 0) {
        struct control_event e;
        control_turn(c, now);
        next(&e);
    }
    a = dial();
    put(a, "x\n");
    id = expect(CONTROL_LINE, "x").client;
    CHECK(control_send(c, id, bytes_at(line, sizeof line)) == E_LIMIT);
    expect(CONTROL_GONE, "");
    close(a);
    close_control();
}

TEST(control_a_dropped_client_gets_what_was_queued) {
    static uint8_t line[600000], sink[100000];
    open_control(4, 100, 1 << 20);
    int a = dial(), b = dial();
    put(a, "x\n");
    uint32_t id = expect(CONTROL_LINE, "x").client;
    put(b, "x\n");
    uint32_t stuck = expect(CONTROL_LINE, "x").client;
    CHECK(control_send(c, id, bytes_at(line, sizeof line)) == OK && control_unsent(c, id) > 0);
    CHECK(control_send(c, stuck, bytes_at(line, sizeof line)) == OK);
    control_drop(c, id);
    control_drop(c, stuck);
    CHECK(control_send(c, id, BYTES("more")) == E_NOT_FOUND);
    size_t all = 0;
    ssize_t n = 1;
    while (n != 0) {
        n = recv(a, sink, sizeof sink, MSG_DONTWAIT);
        if (n > 0) all += (size_t)n;
        if (ready()) control_turn(c, now);
    }
    CHECK(all == sizeof line + 1);
    nothing();
    CHECK(control_counts(c).clients == 1, "one never reads");
    struct mono end = control_deadline(c);
    CHECK(end.us > now.us);
    control_turn(c, (struct mono){end.us - 1});
    CHECK(control_counts(c).clients == 1);
    control_turn(c, end);
    CHECK(control_counts(c).clients == 0 && control_deadline(c).us == 0);
    close(a);
    close(b);
    close_control();
}

TEST(control_has_a_limit_on_clients) {
    int fds[4];
    open_control(3, 100, 1000);
    for (int i = 0; i < 3; i++) fds[i] = dial();
    control_turn(c, now);
    fds[3] = dial();
    put(fds[3], "me too\n");
    nothing();
    CHECK(strcmp(get(fds[3]), "full\n") == 0 && control_counts(c).full == 1);
    close(fds[3]);
    close(fds[0]);
    nothing();
    fds[0] = dial();
    put(fds[0], "now\n");
    expect(CONTROL_LINE, "now");
    for (int i = 0; i < 3; i++) close(fds[i]);
    close_control();
}

TEST(control_descriptors_come_with_their_line) {
    open_control(4, 100, 1000);
    char name[300];
    snprintf(name, sizeof name, "%s/file", test_dir());
    CHECK(file_replace(name, BYTES("content"), 0600, NULL) == OK);
    int file = open(name, O_RDONLY | O_CLOEXEC), folder = open(test_dir(), O_RDONLY | O_CLOEXEC), a = dial();
    int both[] = {file, file, folder};
    char text[8] = "";
    put(a, "plain\n");
    put_with(a, "with file\n", &file, 1); /* both are read in one go: it must not go with the first */
    struct control_event e = expect(CONTROL_LINE, "plain");
    CHECK(e.fd == -1);
    e = expect(CONTROL_LINE, "with file");
    CHECK(e.fd >= 0 && e.fd != file && (fcntl(e.fd, F_GETFD) & FD_CLOEXEC));
    CHECK(read(e.fd, text, 7) == 7 && strcmp(text, "content") == 0);
    close(e.fd);
    put_with(a, "begin", &file, 1);
    nothing();
    put(a, " and end\nanother\n");
    e = expect(CONTROL_LINE, "begin and end");
    CHECK(e.fd >= 0);
    close(e.fd);
    CHECK(expect(CONTROL_LINE, "another").fd == -1);
    put_with(a, "folder\n", &folder, 1);
    CHECK(expect(CONTROL_LINE, "folder").fd == -1 && control_counts(c).fds_refused == 1);
    put_with(a, "two\n", both, 3);
    e = expect(CONTROL_LINE, "two");
    CHECK(e.fd >= 0 && control_counts(c).fds_refused == 3, "one request, one descriptor");
    close(e.fd);
    int many[16];
    for (size_t i = 0; i < LEN(many); i++) many[i] = file;
    put_with(a, "flood", many, LEN(many)); /* and no line: nobody will ever take them */
    nothing();
    put_with(a, "more", many, 3);
    nothing();
    close(a);
    e = expect(CONTROL_LINE, "floodmore");
    close(e.fd);
    expect(CONTROL_GONE, "");
    int b = dial();
    put(b, "x\n");
    expect(CONTROL_LINE, "x");
    put_with(b, "never ends", many, 4);
    nothing();
    close(file);
    close(folder);
    control_close(c); /* with descriptors that wait */
    close(b);
    CHECK(open_fds() == fds_before && mem_blocks() == blocks_before);
}

TEST(control_socket_file_has_its_mode_and_goes_again) {
    struct stat st;
    struct why w = {OK, ""};
    struct control *second = NULL;
    mode_t before = umask(0177);
    open_control(2, 100, 1000);
    umask(before);
    CHECK(stat(path, &st) == 0 && S_ISSOCK(st.st_mode) && (st.st_mode & 0777) == 0600);
    control_close(c);
    CHECK(stat(path, &st) != 0);
    setup.mode = 0660;
    setup.group = getgid();
    CHECK(control_open(&c, &setup, &w) == OK && stat(path, &st) == 0 && (st.st_mode & 0777) == 0660);
    CHECK(st.st_gid == getgid());
    /* A second node with the lock replaces it; the first one then leaves the file alone. */
    CHECK(control_open(&second, &setup, &w) == OK, "%s", w.text);
    control_close(c);
    c = second;
    int a = dial();
    put(a, "x\n");
    expect(CONTROL_LINE, "x");
    close(a);
    close_control();
}

TEST(control_replaces_a_leftover_socket_but_nothing_else) {
    struct why w = {OK, ""};
    open_control(2, 100, 1000);
    control_close(c);
    int old = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, strlen(path));
    CHECK(bind(old, (struct sockaddr *)&at, sizeof at) == 0);
    close(old); /* as after a crash */
    CHECK(control_open(&c, &setup, &w) == OK, "%s", w.text);
    control_close(c);
    CHECK(file_replace(path, BYTES("precious"), 0600, NULL) == OK);
    CHECK(control_open(&c, &setup, &w) == E_INPUT && c == NULL && strstr(w.text, path), "%s", w.text);
    struct file_facts facts;
    CHECK(file_facts(path, &facts, NULL) == OK && facts.size == 8, "and it is still there");
    setup.path = "/no/such/folder/control.sock";
    CHECK(control_open(&c, &setup, &w) == E_NOT_FOUND);
    char longest[300];
    memset(longest, 'p', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    setup.path = longest;
    CHECK(control_open(&c, &setup, &w) == E_INPUT && strstr(w.text, "107") != NULL, "%s", w.text);
    setup.path = "";
    CHECK(control_open(&c, &setup, &w) == E_INPUT);
    control_close(NULL);
    for (long after = 0; after < 2; after++) {
        mem_fail_after(after);
        setup.path = path;
        CHECK(control_open(&c, &setup, &w) == E_MEMORY);
        mem_fail_after(-1);
    }
    CHECK(open_fds() == fds_before && mem_blocks() == blocks_before);
}

TEST(control_access_is_for_root_owner_and_group) {
    static const struct {
        struct control_peer peer;
        bool want;
    } rows[] = {
        {{.uid = 0, .gid = 0}, true},
        {{.uid = 500, .gid = 1}, true},
        {{.uid = 501, .gid = 1}, false},
        {{.uid = 501, .gid = 1, .in_group = true}, true},
        {{.uid = (uid_t)-1, .gid = (gid_t)-1}, false},
    };
    for (size_t i = 0; i < LEN(rows); i++)
        CHECK(control_allows(&rows[i].peer, 500) == rows[i].want, "row %zu", i);
}

/* A child with another user and groups asks; what it got is its exit status. */
static char ask_as(uid_t uid, gid_t gid, const gid_t *groups, size_t n) {
    int status, up[2];
    char first = '?';
    CHECK(pipe(up) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct control_client k;
        struct bytes line = {NULL, 0};
        if (setgroups(n, groups) != 0 || setgid(gid) != 0 || setuid(uid) != 0) _exit(1);
        enum err e = control_client_open(&k, path, 5000, NULL);
        if (e == E_DENIED) first = 'D';
        if (e == OK) e = control_client_send(&k, BYTES("hi"), -1, 5000, NULL);
        if (e == OK) e = control_client_next(&k, &line, 5000, NULL);
        if (e == OK && line.n > 0) first = (char)line.p[0];
        _exit(write(up[1], &first, 1) == 1 ? 0 : 1);
    }
    close(up[1]);
    for (int done = 0; done == 0;) {
        struct pollfd p[] = {{.fd = control_fd(c), .events = POLLIN}, {.fd = up[0], .events = POLLIN}};
        struct control_event e;
        CHECK(poll(p, 2, 10000) > 0);
        control_turn(c, now);
        while (control_next(c, &e)) {
            if (e.kind != CONTROL_LINE) continue;
            CHECK(e.peer.uid == uid && e.peer.gid == gid && e.peer.pid == pid);
            CHECK(control_send(c, e.client, e.peer.in_group ? BYTES("group") : BYTES("user")) == OK);
        }
        if (p[1].revents != 0) done = read(up[0], &first, 1) == 1 ? 1 : -1;
    }
    close(up[0]);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return first;
}

TEST(control_knows_its_clients_by_the_kernel) {
    if (getuid() != 0) SKIP("needs root to become another user");
    const gid_t other = 54321, members[] = {11111, 54322, 22222};
    open_control(4, 100, 1000);
    control_close(c);
    CHECK(chmod(test_dir(), 0755) == 0);
    setup.group = 54322;
    setup.owner = 54320;
    setup.mode = 0660;
    CHECK(control_open(&c, &setup, NULL) == OK);
    CHECK(ask_as(0, 0, NULL, 0) == 'u');
    CHECK(ask_as(54329, 54322, NULL, 0) == 'g');
    CHECK(ask_as(54329, other, members, LEN(members)) == 'g', "a supplementary group");
    CHECK(ask_as(54329, other, NULL, 0) == 'D', "the file's mode stops it, and the sentence says so");
    CHECK(chmod(path, 0666) == 0); /* whatever the mode: the kernel's word on who it is decides */
    CHECK(ask_as(54329, other, NULL, 0) == 'd' && control_counts(c).denied == 1);
    CHECK(ask_as(54320, other, NULL, 0) == 'u', "the node's own user");
    close_control();
}

TEST(control_out_of_descriptors_pauses_and_goes_on) {
    struct rlimit before, low;
    int fill[1024];
    size_t filled = 0;
    open_control(4, 100, 1000);
    int a = dial();
    put(a, "x\n");
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    low = before;
    low.rlim_cur = 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
    while ((fill[filled] = dup(a)) >= 0) filled++;
    control_turn(c, now);
    bool spins = ready();
    struct mono end = control_deadline(c);
    while (filled > 0) close(fill[--filled]);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(!spins && end.us > now.us);
    control_turn(c, end);
    expect(CONTROL_LINE, "x");
    CHECK(control_deadline(c).us == 0);
    close(a);
    close_control();
}

TEST(control_without_memory_only_loses_that_client) {
    static uint8_t line[1000];
    open_control(4, 100, 100000);
    int a = dial(), b = dial();
    put(a, "a\n");
    mem_fail_after(0);
    nothing();
    mem_fail_after(-1);
    put(b, "b\n");
    uint32_t id = expect(CONTROL_LINE, "b").client;
    const char *end = get(a);
    CHECK(strcmp(end, "<end>") == 0 || strcmp(end, "<reset>") == 0, "%s", end);
    mem_fail_after(0);
    CHECK(control_send(c, id, bytes_at(line, sizeof line)) == E_MEMORY);
    mem_fail_after(-1);
    CHECK(expect(CONTROL_GONE, "").client == id);
    close(a);
    close(b);
    close_control();
}

/* ---- the client's end */
TEST(control_client_says_why_it_can_not_connect) {
    struct control_client k;
    struct why w = {OK, ""};
    open_control(2, 100, 1000);
    control_close(c);
    CHECK(control_client_open(&k, path, 1000, &w) == E_NOT_RUNNING && k.fd == -1, "%s", w.text);
    CHECK(strstr(w.text, path) && strstr(w.text, "not running"), "%s", w.text);
    int old = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, strlen(path));
    CHECK(bind(old, (struct sockaddr *)&at, sizeof at) == 0);
    close(old);
    CHECK(control_client_open(&k, path, 1000, &w) == E_NOT_RUNNING && strstr(w.text, "nobody"), "%s", w.text);
    unlink(path);
    CHECK(file_replace(path, BYTES("x"), 0600, NULL) == OK);
    CHECK(control_client_open(&k, path, 1000, &w) == E_NOT_RUNNING, "%s",
          w.text); /* what the kernel says: refused */
    char longest[300];
    memset(longest, 'p', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    CHECK(control_client_open(&k, longest, 1000, &w) == E_INPUT);
    struct bytes line;
    CHECK(control_client_next(&k, &line, 0, &w) == E_CLOSED &&
          control_client_send(&k, BYTES("x"), -1, 0, &w) == E_CLOSED);
    CHECK(control_client_peer(&k) == 0);
    control_client_close(&k);
    unlink(path);
    /* A node whose queue is full: the client waits, but not for ever. */
    int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(l, (struct sockaddr *)&at, sizeof at) == 0 && listen(l, 0) == 0);
    struct control_client first;
    CHECK(control_client_open(&first, path, 1000, &w) == OK);
    CHECK(control_client_open(&k, path, 30, &w) == E_TIMEOUT && k.fd == -1, "%s", w.text);
    control_client_close(&first);
    close(l);
    CHECK(open_fds() == fds_before);
}

TEST(control_client_talks) {
    struct control_client k;
    struct bytes line;
    struct why w = {OK, ""};
    char name[300];
    open_control(2, 1000, 1 << 20);
    snprintf(name, sizeof name, "%s/file", test_dir());
    CHECK(file_replace(name, BYTES("content"), 0600, NULL) == OK);
    int file = open(name, O_RDONLY | O_CLOEXEC);
    CHECK(control_client_open(&k, path, 1000, &w) == OK, "%s", w.text);
    CHECK(control_client_peer(&k) == getpid());
    CHECK(control_client_next(&k, &line, 0, &w) == E_TIMEOUT &&
          control_client_next(&k, &line, 20, &w) == E_TIMEOUT);
    CHECK(control_client_send(&k, BYTES("request"), file, 1000, &w) == OK && fcntl(file, F_GETFD) >= 0);
    struct control_event e = expect(CONTROL_LINE, "request");
    CHECK(e.fd >= 0);
    close(e.fd);
    CHECK(control_send(c, e.client, BYTES("one")) == OK && control_send(c, e.client, BYTES("")) == OK);
    CHECK(control_send(c, e.client, BYTES("three")) == OK);
    control_flush(c);
    CHECK(control_client_next(&k, &line, 1000, &w) == OK && bytes_is(line, "one"));
    CHECK(control_client_next(&k, &line, 1000, &w) == OK && line.n == 0);
    CHECK(control_client_send(&k, BYTES("again"), -1, 1000, &w) == OK, "what came meanwhile is kept");
    CHECK(control_client_next(&k, &line, 1000, &w) == OK && bytes_is(line, "three"));
    expect(CONTROL_LINE, "again");
    control_drop(c, e.client);
    CHECK(control_client_next(&k, &line, 1000, &w) == E_CLOSED, "%s", w.text);
    CHECK(control_client_send(&k, BYTES("x"), -1, 1000, &w) == E_CLOSED);
    control_client_close(&k);
    control_client_close(&k);
    close(file);
    close_control();
}

TEST(control_client_hears_why_it_is_sent_away) {
    struct control_client k, other;
    struct bytes line;
    struct why w = {OK, ""};
    open_control(1, 100, 1000);
    CHECK(control_client_open(&k, path, 1000, &w) == OK && control_client_open(&other, path, 1000, &w) == OK);
    control_turn(c, now);
    CHECK(control_client_send(&other, BYTES("hello"), -1, 1000, &w) == OK, "though nobody listens any more");
    CHECK(control_client_next(&other, &line, 1000, &w) == OK && bytes_is(line, "full"));
    CHECK(control_client_next(&other, &line, 1000, &w) == E_CLOSED);
    control_client_close(&k);
    control_client_close(&other);
    nothing();
    close_control();
}

TEST(control_client_send_times_out_when_the_node_does_not_read) {
    static uint8_t big[8 << 20];
    struct control_client k;
    struct why w = {OK, ""};
    open_control(1, CONTROL_LINE_MAX, 1000);
    CHECK(control_client_open(&k, path, 1000, &w) == OK);
    CHECK(control_client_send(&k, bytes_at(big, sizeof big), -1, 30, &w) == E_TIMEOUT, "%s", w.text);
    control_client_close(&k);
    struct control_event e = {0}; /* a request without its end, which no JSON parser takes */
    CHECK(next(&e) && e.kind == CONTROL_LINE && e.line.n < sizeof big);
    expect(CONTROL_GONE, "");
    close_control();
}

TEST(control_client_limits_an_answer) {
    static uint8_t chunk[1 << 20];
    int pair[2];
    struct bytes line;
    struct why w = {OK, ""};
    struct control_client k = {.in = {.max = CONTROL_ANSWER_MAX + 1}};
    memset(chunk, 'z', sizeof chunk);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    k.fd = pair[0];
    enum err e = E_TIMEOUT;
    size_t sent = 0;
    while (e == E_TIMEOUT && sent <= CONTROL_ANSWER_MAX + 2 * sizeof chunk) {
        ssize_t n = send(pair[1], chunk, sizeof chunk, MSG_NOSIGNAL);
        if (n > 0) sent += (size_t)n;
        e = control_client_next(&k, &line, 0, &w);
    }
    CHECK(e == E_LIMIT && sent > CONTROL_ANSWER_MAX, "%zu: %s", sent, w.text);
    control_client_close(&k);
    close(pair[1]);
}
