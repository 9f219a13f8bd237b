#include "loop/loop.h"

#include "base/mem.h"
#include "loop/clocks.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 200 };
static struct fixture {
    struct loop *loop;
    int pair[PAIRS][2]; /* [0] is watched, [1] is the other end */
    unsigned calls[PAIRS], ready[PAIRS];
    int order[PAIRS];
    size_t n_order;
    int victim; /* dropped and closed by whichever handler comes first; -1: nobody */
    int reused;
} f;

static size_t open_fds(void) {
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static size_t index_of(int fd) {
    size_t i = 0;
    while (i < PAIRS && f.pair[i][0] != fd) i++;
    return i;
}

static void on_ready(void *user, int fd, unsigned ready) {
    struct fixture *x = user;
    size_t i = index_of(fd);
    CHECK(i < PAIRS);
    x->calls[i]++;
    x->ready[i] = ready;
    x->order[x->n_order++ % PAIRS] = (int)i;
}

static void setup(size_t pairs) {
    memset(&f, 0, sizeof f);
    f.victim = f.reused = -1;
    for (size_t i = 0; i < PAIRS; i++) f.pair[i][0] = f.pair[i][1] = -1;
    CHECK(loop_open(&f.loop, NULL) == OK);
    for (size_t i = 0; i < pairs; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f.pair[i]) == 0);
        CHECK(loop_watch(f.loop, f.pair[i][0], LOOP_READ, "pair", on_ready, &f) == OK);
    }
}

static void teardown(void) {
    for (size_t i = 0; i < PAIRS; i++) {
        if (f.pair[i][0] >= 0) close(f.pair[i][0]);
        if (f.pair[i][1] >= 0) close(f.pair[i][1]);
    }
    loop_close(f.loop);
}

static void turn(void) {
    struct mono soon = {1}; /* long ago: does not wait */
    CHECK(loop_turn(f.loop, soon, NULL) == OK);
}

static void poke(size_t i) {
    CHECK(write(f.pair[i][1], "x", 1) == 1);
}

static void drain(size_t i) {
    char c;
    CHECK(read(f.pair[i][0], &c, 1) == 1);
}

TEST(loop_reports_what_is_ready_and_nothing_else) {
    size_t fds = open_fds(), blocks = mem_blocks();
    setup(3);
    turn();
    CHECK(f.n_order == 0);
    poke(1);
    turn();
    CHECK(f.calls[0] == 0 && f.calls[1] == 1 && f.calls[2] == 0 && f.ready[1] == LOOP_READ);
    turn();
    CHECK(f.calls[1] == 2, "level-triggered: not read yet");
    drain(1);
    turn();
    CHECK(f.calls[1] == 2);
    loop_interest(f.loop, f.pair[1][0], LOOP_READ | LOOP_WRITE);
    turn();
    CHECK(f.ready[1] == LOOP_WRITE);
    loop_interest(f.loop, f.pair[1][0], 0);
    poke(1);
    close(f.pair[1][1]);
    f.pair[1][1] = -1;
    turn();
    CHECK(f.calls[1] == 3, "no interest: not even a hang-up");
    loop_interest(f.loop, f.pair[1][0], LOOP_READ);
    turn();
    CHECK(f.calls[1] == 4 && f.ready[1] == (LOOP_READ | LOOP_ERROR));
    loop_drop(f.loop, f.pair[1][0]);
    loop_drop(f.loop, f.pair[1][0]);
    loop_drop(f.loop, 777);
    CHECK(loop_watched(f.loop) == 2);
    turn();
    CHECK(f.calls[1] == 4);
    teardown();
    CHECK(open_fds() == fds && mem_blocks() == blocks);
}

TEST(loop_is_the_same_beyond_the_poll_set) {
    size_t fds = open_fds(), blocks = mem_blocks();
    setup(PAIRS);
    CHECK(loop_watched(f.loop) == PAIRS);
    for (size_t i = 0; i < PAIRS; i += 3) poke(i);
    turn();
    for (size_t i = 0; i < PAIRS; i++) CHECK(f.calls[i] == (i % 3 == 0), "pair %zu", i);
    for (size_t i = 0; i < PAIRS; i += 3) drain(i);
    for (size_t i = 0; i < PAIRS; i++) loop_interest(f.loop, f.pair[i][0], i % 2 ? LOOP_WRITE : 0);
    turn();
    for (size_t i = 0; i < PAIRS; i++) CHECK(f.calls[i] == (i % 3 == 0) + (i % 2), "pair %zu", i);
    for (size_t i = 0; i < PAIRS; i++) {
        loop_interest(f.loop, f.pair[i][0], 0);
        close(f.pair[i][1]);
        f.pair[i][1] = -1;
    }
    turn();
    for (size_t i = 0; i < PAIRS; i++) CHECK(f.calls[i] == (i % 3 == 0) + (i % 2), "muted %zu", i);
    struct mono start = clocks_mono();
    CHECK(loop_turn(f.loop, mono_add_ms(start, 20), NULL) == OK);
    CHECK(mono_diff_ms(clocks_mono(), start) >= 20, "what is muted wakes nobody");
    for (size_t i = 0; i < PAIRS; i++) loop_drop(f.loop, f.pair[i][0]);
    CHECK(loop_watched(f.loop) == 0);
    for (size_t i = 0; i < PAIRS; i++) {
        CHECK(loop_watch(f.loop, f.pair[i][0], LOOP_READ, "again", on_ready, &f) == OK);
    }
    turn();
    for (size_t i = 0; i < PAIRS; i++) CHECK(f.ready[i] == (LOOP_READ | LOOP_ERROR), "end of %zu", i);
    teardown();
    CHECK(open_fds() == fds && mem_blocks() == blocks);
}

/* The first handler called drops and closes all others, and one new descriptor takes the number of a dropped
 * one. */
static void kill_others(void *user, int fd, unsigned ready) {
    (void)user;
    (void)ready;
    f.n_order++;
    for (size_t i = 0; i < PAIRS; i++) {
        if (f.pair[i][0] < 0 || f.pair[i][0] == fd) continue;
        loop_drop(f.loop, f.pair[i][0]);
        close(f.pair[i][0]);
        f.pair[i][0] = -1;
    }
    loop_drop(f.loop, fd); /* itself too */
    int taken = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(taken >= 0);
    f.reused = taken;
    CHECK(loop_watch(f.loop, taken, LOOP_READ, "reused", kill_others, &f) == OK);
}

TEST(loop_a_handler_may_drop_anything) {
    size_t fds = open_fds();
    for (size_t pairs = 3; pairs <= PAIRS; pairs += PAIRS - 3) {
        setup(pairs);
        for (size_t i = 0; i < pairs; i++) {
            CHECK(loop_watch(f.loop, f.pair[i][0], LOOP_READ, "killer", kill_others, &f) == OK);
            poke(i);
        }
        turn();
        CHECK(f.n_order == 1, "%zu handlers were called", f.n_order);
        CHECK(loop_watched(f.loop) == 1);
        loop_drop(f.loop, f.reused);
        close(f.reused);
        teardown();
    }
    CHECK(open_fds() == fds);
}

static void add_many(void *user, int fd, unsigned ready) {
    (void)ready;
    loop_drop(f.loop, fd);
    for (size_t i = 0; i < PAIRS; i++) {
        if (f.pair[i][0] != fd) {
            CHECK(loop_watch(f.loop, f.pair[i][0], LOOP_WRITE, "added", on_ready, user) == OK);
        }
    }
}

TEST(loop_a_handler_may_add_many) { /* the tables move under the turn that is walking them */
    setup(PAIRS);
    for (size_t i = 2; i < PAIRS; i++) loop_drop(f.loop, f.pair[i][0]);
    CHECK(loop_watch(f.loop, f.pair[0][0], LOOP_READ, "adder", add_many, &f) == OK);
    poke(0);
    turn();
    CHECK(f.n_order == 0 && loop_watched(f.loop) == PAIRS - 1);
    turn();
    CHECK(f.n_order == PAIRS - 1);
    teardown();
}

TEST(loop_refuses_what_it_has_no_room_for) {
    setup(1);
    CHECK(loop_watch(f.loop, LOOP_FDS_MAX, LOOP_READ, "x", on_ready, &f) == E_LIMIT);
    CHECK(loop_watch(f.loop, -1, LOOP_READ, "x", on_ready, &f) == E_LIMIT);
    struct loop *other = NULL;
    mem_fail_after(0);
    CHECK(loop_open(&other, NULL) == E_MEMORY && other == NULL);
    for (long after = 0; after < 3; after++) {
        CHECK(loop_open(&other, NULL) == OK);
        mem_fail_after(after);
        enum err e = loop_watch(other, f.pair[0][0], LOOP_READ, "x", on_ready, &f);
        mem_fail_after(-1);
        CHECK(e == E_MEMORY && loop_watched(other) == 0, "allocation %ld", after);
        CHECK(loop_watch(other, f.pair[0][0], LOOP_READ, "x", on_ready, &f) == OK);
        loop_close(other);
    }
    loop_close(NULL);
    teardown();
}

/* No descriptor is left for epoll: everything goes on in the poll set. */
TEST(loop_works_without_epoll) {
    setup(LOOP_POLL_MAX);
    int last[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, last) == 0);
    struct rlimit before, none;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none = before;
    none.rlim_cur = 0;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    enum err e = loop_watch(f.loop, last[0], LOOP_READ, "late", on_ready, &f);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(e == OK);
    f.pair[PAIRS - 1][0] = last[0];
    f.pair[PAIRS - 1][1] = last[1];
    poke(PAIRS - 1);
    poke(0);
    turn();
    CHECK(f.calls[PAIRS - 1] == 1 && f.calls[0] == 1);
    teardown();
}

static struct clocks fake = {{5000000}, {1700000000000}};
static struct clocks read_fake(void *user) {
    (void)user;
    return fake;
}
static void advance(void *user, int fd, unsigned ready) {
    (void)user;
    (void)fd;
    (void)ready;
    fake.mono.us += 1;
}

TEST(loop_hands_down_one_reading_of_the_clocks) {
    setup(2);
    loop_set_clock(f.loop, read_fake, NULL);
    CHECK(loop_now(f.loop).mono.us == 5000000);
    CHECK(loop_watch(f.loop, f.pair[0][0], LOOP_WRITE, "clock", advance, NULL) == OK);
    CHECK(loop_watch(f.loop, f.pair[1][0], LOOP_WRITE, "clock", advance, NULL) == OK);
    fake.mono.us = 6000000;
    CHECK(loop_turn(f.loop, fake.mono, NULL) == OK);
    CHECK(loop_now(f.loop).mono.us == 6000000 && fake.mono.us == 6000002);
    CHECK(loop_now(f.loop).wall.ms == 1700000000000);
    loop_set_clock(f.loop, NULL, NULL);
    CHECK(loop_now(f.loop).mono.us != 6000000);
    teardown();
}

static void work(void *user, int fd, unsigned ready) {
    (void)ready;
    loop_interest(f.loop, fd, 0);
    clocks_sleep_ms(*(int *)user);
}

static void think(void *user, int fd, unsigned ready) {
    (void)ready;
    loop_interest(f.loop, fd, 0);
    int64_t end = clocks_processor_us() + *(int *)user * 1000;
    while (clocks_processor_us() < end) {}
}

/* On a busy machine a turn is long because it waits for a processor: that is told from work. */
TEST(loop_tells_work_from_waiting) {
    int ms = 20;
    setup(2);
    CHECK(loop_watch(f.loop, f.pair[0][0], LOOP_WRITE, "thinker", think, &ms) == OK);
    turn();
    turn();
    int64_t thought = loop_stats(f.loop).slow_processor_us;
    CHECK(thought >= 20000 && thought <= loop_stats(f.loop).last_us + 1000, "%lld", (long long)thought);
    CHECK(loop_watch(f.loop, f.pair[1][0], LOOP_WRITE, "worker", work, &ms) == OK);
    turn();
    turn();
    struct loop_stats s = loop_stats(f.loop);
    CHECK(s.last_us >= 20000 && s.slow_processor_us < 20000, "%lld", (long long)s.slow_processor_us);
    teardown();
}

TEST(loop_waits_for_the_deadline_and_measures_turns) {
    int ms = 20;
    setup(1);
    struct mono start = clocks_mono();
    CHECK(loop_turn(f.loop, mono_add_ms(start, 30), NULL) == OK);
    CHECK(mono_diff_ms(clocks_mono(), start) >= 30 && f.n_order == 0);
    CHECK(loop_watch(f.loop, f.pair[0][0], LOOP_WRITE, "worker", work, &ms) == OK);
    turn();
    turn(); /* ends the measuring of the one before */
    struct loop_stats s = loop_stats(f.loop);
    CHECK(s.turns == 2 && s.events == 1, "%llu turns", (unsigned long long)s.turns);
    CHECK(s.slow >= 1 && s.last_us >= 20000 && s.max_us >= s.last_us && s.total_us >= s.last_us);
    CHECK(strcmp(s.slowest_part, "worker") == 0 && s.slowest_us >= 20000, "%s", s.slowest_part);
    uint64_t all = 0;
    for (size_t i = 0; i < LOOP_BUCKETS; i++) all += s.bucket[i];
    CHECK(all == s.turns);
    clocks_sleep_ms(15);
    turn();
    CHECK(strcmp(loop_stats(f.loop).slowest_part, "owner") == 0);
    teardown();
}

TEST(loop_survives_a_descriptor_closed_behind_its_back) {
    setup(2);
    close(f.pair[0][0]); /* our mistake; it must not become a busy loop */
    turn();
    CHECK(f.calls[0] == 1 && (f.ready[0] & LOOP_ERROR));
    turn();
    CHECK(f.calls[0] == 1);
    loop_drop(f.loop, f.pair[0][0]);
    f.pair[0][0] = -1;
    teardown();
}

TEST(clocks_run) {
    struct clocks a = clocks_now(), b = clocks_now();
    CHECK(a.mono.us > 0 && b.mono.us >= a.mono.us);
    CHECK(a.wall.ms > 1600000000000);
    clocks_sleep_ms(-5);
    CHECK(clocks_monotonic_us() > 0);
}
