/* The log's thread: order, stderr in its forms, reopening, a full queue, a reader that does not read. */
#include "loop/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/clocks.h"
#include "loop/file.h"
#include "tests/test.h"

enum { LONG_MS = 20000 };
static int own_stderr;

/* fd stands in for stderr. */
static void swap_stderr(int fd) {
    own_stderr = dup(STDERR_FILENO);
    CHECK(own_stderr >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
}
static void restore_stderr(void) {
    dup2(own_stderr, STDERR_FILENO);
    close(own_stderr);
}

static char path[600];
static const char *in_dir(const char *name) {
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return path;
}

static bool holds(const char *name, const char *want) {
    struct buf b = {.max = 1 << 20};
    bool same = file_read(in_dir(name), 0, 1 << 20, FILE_ANY_MODE, &b, NULL, NULL) == OK &&
                bytes_is(buf_view(&b), want);
    if (!same) printf("%s: %.*s\n", name, (int)b.n, (const char *)b.p);
    buf_free(&b);
    return same;
}

static void wait_opened(struct log_writer *l) {
    struct pollfd p = {.fd = log_writer_fd(l), .events = POLLIN};
    struct why w = {OK, ""};
    CHECK(poll(&p, 1, LONG_MS) == 1 && log_writer_opened(l, &w) && w.code == OK, "%s", w.text);
    CHECK(poll(&p, 1, 0) == 0 && !log_writer_opened(l, &w));
}

static void add(struct log_writer *l, const char *line) {
    log_writer_add(l, clocks_now().wall, 6, BYTES("T "), bytes_of(line));
}

TEST(file_and_stderr_both_get_every_line) {
    size_t blocks = mem_blocks();
    for (int journal = 0; journal < 2; journal++) {
        struct log_writer *l;
        int err = open(in_dir("stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600);
        swap_stderr(err);
        CHECK(log_writer_open(&l, 1 << 20, journal == 1, NULL) == OK);
        add(l, "before");
        unlink(in_dir("log"));
        log_writer_reopen(l, in_dir("log"));
        wait_opened(l);
        for (int i = 0; i < 3; i++) add(l, i == 1 ? "two" : "x");
        log_writer_add(l, clocks_now().wall, 2, BYTES(""), BYTES("{}"));
        log_writer_flush(l, LONG_MS);
        CHECK(holds("log", "T x\nT two\nT x\n{}\n"));
        log_writer_close(l, LONG_MS);
        restore_stderr();
        close(err);
        CHECK(holds("stderr", journal == 1 ? "<6>before\n<6>x\n<6>two\n<6>x\n<2>{}\n"
                                           : "T before\nT x\nT two\nT x\n{}\n"));
    }
    CHECK(mem_blocks() == blocks);
}

/* Also when the thread takes lines of before and after in one go: as at a start on a busy machine. */
TEST(lines_behind_a_reopening_are_in_the_file) {
    int null = open("/dev/null", O_WRONLY);
    swap_stderr(null);
    for (int i = 0; i < 200; i++) {
        struct log_writer *l;
        CHECK(log_writer_open(&l, 1 << 20, false, NULL) == OK);
        unlink(in_dir("log"));
        add(l, "before");
        log_writer_reopen(l, in_dir("log"));
        add(l, "behind");
        log_writer_close(l, LONG_MS);
        CHECK(holds("log", "T behind\n"), "round %d", i);
    }
    restore_stderr();
    close(null);
}

TEST(a_file_that_is_moved_gets_all_until_the_reopening_and_none_after) {
    struct log_writer *l;
    char old[600];
    int null = open("/dev/null", O_WRONLY);
    swap_stderr(null);
    CHECK(log_writer_open(&l, 1 << 20, false, NULL) == OK);
    log_writer_reopen(l, in_dir("log"));
    wait_opened(l);
    snprintf(old, sizeof old, "%s", in_dir("log"));
    for (int round = 0; round < 50; round++) {
        char moved[20], want[40];
        snprintf(moved, sizeof moved, "moved%d", round);
        snprintf(want, sizeof want, "T a%d\nT b%d\n", round, round);
        add(l, want + 2 + 0 * round); /* one of two, then the rename, then the other */
        log_writer_flush(l, LONG_MS);
        CHECK(rename(old, in_dir(moved)) == 0);
        add(l, "behind");
        log_writer_reopen(l, NULL);
        wait_opened(l);
        struct stat st;
        CHECK(stat(old, &st) == 0 && st.st_size == 0,
              "what was given before the reopening went to the old file");
    }
    log_writer_close(l, LONG_MS);
    restore_stderr();
    close(null);
}

TEST(what_is_given_after_an_order_to_open_is_in_the_file) {
    int null = open("/dev/null", O_WRONLY);
    swap_stderr(null);
    for (int round = 0; round < 200; round++) { /* the thread may wake up between the two, or not */
        struct log_writer *l;
        unlink(in_dir("log"));
        CHECK(log_writer_open(&l, 1 << 20, false, NULL) == OK);
        add(l, "before");
        log_writer_reopen(l, in_dir("log"));
        add(l, "after");
        log_writer_close(l, LONG_MS);
        CHECK(holds("log", "T after\n"), "%d", round);
    }
    restore_stderr();
    close(null);
}

TEST(stderr_that_is_the_file_gets_each_line_once_and_goes_along) {
    struct log_writer *l;
    int err = open(in_dir("log"), O_RDWR | O_CREAT | O_APPEND, 0640);
    swap_stderr(err);
    CHECK(log_writer_open(&l, 1 << 20, false, NULL) == OK);
    struct log_rotation r = {.builtin = true, .max_size = 20, .retention_ms = 1000000000};
    log_writer_rotation(l, &r);
    log_writer_reopen(l, in_dir("log"));
    wait_opened(l);
    add(l, "first 90123456789");
    add(l, "second");
    log_writer_flush(l, LONG_MS);
    bool one = holds("log", "T second\n");
    ssize_t n = write(STDERR_FILENO, "crash\n", 6);
    log_writer_close(l, LONG_MS);
    restore_stderr();
    close(err);
    CHECK(one && n == 6 && holds("log", "T second\ncrash\n"));
}

TEST(a_full_queue_drops_and_counts) {
    struct log_writer *l;
    int pair[2];
    static char line[4001];
    memset(line, 'x', sizeof line - 1);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) ==
          0); /* nobody reads: the thread waits a second for it */
    swap_stderr(pair[0]);
    CHECK(log_writer_open(&l, 100000, false, NULL) == OK);
    unsigned given = 0, taken = 0;
    for (; given < 100000; given++) {
        taken += log_writer_add(l, clocks_now().wall, 6, BYTES(""), bytes_of(line));
        if (log_writer_stats(l).dropped > 10) break;
    }
    struct log_writer_stats s = log_writer_stats(l);
    CHECK(s.dropped > 0 && s.queued <= 100000, "%u given", given);
    log_writer_close(l, LONG_MS); /* it does not wait for each line again */
    restore_stderr();
    close(pair[0]);
    size_t got = 0;
    char read_to[65536];
    for (ssize_t n; (n = read(pair[1], read_to, sizeof read_to)) > 0;) got += (size_t)n;
    close(pair[1]);
    CHECK(got > 0 && got < (size_t)given * 4001);
}

TEST(a_reader_that_is_gone_is_no_loss) {
    struct log_writer *l;
    int ends[2];
    CHECK(pipe(ends) == 0);
    close(ends[0]);
    swap_stderr(ends[1]);
    CHECK(log_writer_open(&l, 1 << 20, false, NULL) == OK);
    log_writer_reopen(l, in_dir("log"));
    wait_opened(l);
    for (int i = 0; i < 3; i++) add(l, "x");
    log_writer_flush(l, LONG_MS);
    struct log_writer_stats s = log_writer_stats(l);
    log_writer_close(l, LONG_MS);
    restore_stderr();
    close(ends[1]);
    CHECK(s.lost == 0 && s.open && holds("log", "T x\nT x\nT x\n"));
}

TEST(a_disk_that_refuses_costs_lines_and_says_so) {
    struct log_writer *l;
    struct pollfd p;
    struct why w = {OK, ""};
    int null = open("/dev/null", O_WRONLY);
    swap_stderr(null);
    CHECK(log_writer_open(&l, 1 << 20, false, NULL) == OK);
    log_writer_reopen(l, "/dev/full");
    wait_opened(l);
    for (int i = 0; i < 5; i++) add(l, "x");
    log_writer_flush(l, LONG_MS);
    struct log_writer_stats s = log_writer_stats(l);
    log_writer_reopen(l, "/proc/no/such/place/log");
    p = (struct pollfd){.fd = log_writer_fd(l), .events = POLLIN};
    bool told = poll(&p, 1, LONG_MS) == 1 && log_writer_opened(l, &w);
    log_writer_close(l, LONG_MS);
    restore_stderr();
    close(null);
    CHECK(s.lost == 5 && s.failing && told && w.code != OK && strstr(w.text, "/proc/no") != NULL, "%s",
          w.text);
}

TEST(a_temporary_file_on_stderr_is_left_when_the_start_is_over) {
    struct log_writer *l;
    FILE *said = tmpfile();
    CHECK(said != NULL);
    swap_stderr(fileno(said));
    CHECK(log_writer_open(&l, 1 << 20, false, NULL) == OK);
    add(l, "one");
    log_writer_detach(l);
    log_writer_flush(l, LONG_MS);
    add(l, "two");
    log_writer_close(l, LONG_MS);
    restore_stderr();
    struct stat st;
    CHECK(fstat(fileno(said), &st) == 0 && st.st_size == 6);
    fclose(said);
}
