/* A log file on a real disk: turns at midnight and by size, archives compressed and removed, faults between.
 */
#include "loop/log_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log_name.h"
#include "base/mem.h"
#include "tests/test.h"

#define DAY INT64_C(86400000)
static const struct wall noon = {INT64_C(1771761600000)}; /* 2026-02-22T12:00:00Z */

static const struct log_rotation usual = {
    .builtin = true, .compress = true, .max_size = 1000, .retention_ms = 30 * DAY};

static char path[600];
static const char *in_dir(const char *name) {
    snprintf(path, sizeof path, "%s/log/%s", test_dir(), name);
    return path;
}

static void open_log(struct log_file *f, struct wall now) {
    struct why w;
    log_file_init(f);
    f->rotation = usual;
    snprintf(f->path, sizeof f->path, "%.500s", in_dir("a.log"));
    CHECK(log_file_open(f, now, &w) == OK, "%s", w.text);
}

/* As if its last line were of then. */
static void touch(const char *name, struct wall then) {
    struct timespec t[2] = {{(time_t)(then.ms / 1000), 0}, {(time_t)(then.ms / 1000), 0}};
    CHECK(utimensat(AT_FDCWD, in_dir(name), t, 0) == 0, "%s", name);
}

static void put(const char *name, const char *text) {
    FILE *f = fopen(in_dir(name), "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "%s", name);
}

/* The names in the folder, sorted, with blanks between. */
static const char *names(void) {
    static char out[4000];
    struct dirent **list;
    char folder[600];
    snprintf(folder, sizeof folder, "%s/log", test_dir());
    int n = scandir(folder, &list, NULL, alphasort);
    out[0] = 0;
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.') {
            size_t at = strlen(out);
            snprintf(out + at, sizeof out - at, "%s%s", at == 0 ? "" : " ", list[i]->d_name);
        }
        free(list[i]);
    }
    free(list);
    return out;
}

/* zlib's own reader: plain and compressed alike. */
static const char *text_of(const char *name) {
    static char out[200000];
    gzFile g = gzopen(in_dir(name), "rb");
    int n = g == NULL ? -1 : gzread(g, out, sizeof out - 1), rc = g == NULL ? Z_ERRNO : gzclose(g);
    out[n < 0 ? 0 : n] = 0;
    return n < 0 || rc != Z_OK ? "(damaged)" : out;
}

static bool text_is(const char *name, const char *want) {
    return strcmp(text_of(name), want) == 0;
}

static void tidy(struct log_file *f, struct wall now) {
    for (int i = 0; log_file_tidy(f, now); i++) CHECK(i < 1000);
}

static size_t write_line(struct log_file *f, const char *line) {
    return log_file_write(f, bytes_of(line));
}

TEST(it_is_made_with_its_folder_and_modes) {
    struct log_file f;
    struct stat st;
    mode_t before = umask(077);
    open_log(&f, noon);
    umask(before);
    CHECK(fstat(f.fd, &st) == 0 && (st.st_mode & 07777) == 0640);
    snprintf(path, sizeof path, "%s/log", test_dir());
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0750);
    CHECK(write_line(&f, "one\n") == 0 && text_is("a.log", "one\n"));
    CHECK(chmod(in_dir("a.log"), 0600) == 0 && log_file_open(&f, noon, NULL) == OK);
    CHECK(stat(in_dir("a.log"), &st) == 0 && (st.st_mode & 07777) == 0600,
          "one that is there keeps its mode");
    log_file_close(&f);
}

TEST(half_a_line_stays_alone) {
    struct log_file f;
    open_log(&f, noon);
    log_file_close(&f);
    put("a.log", "whole\nhal");
    open_log(&f, noon);
    touch("a.log", noon);
    CHECK(write_line(&f, "next\n") == 0 && text_is("a.log", "whole\nhal\nnext\n"));
    log_file_close(&f);
}

TEST(it_turns_at_midnight_and_not_before) {
    struct log_file f;
    struct wall late = {noon.ms + DAY / 2 - 1}, next = {noon.ms + DAY / 2};
    open_log(&f, noon);
    write_line(&f, "one\n");
    touch("a.log", late);
    CHECK(log_file_midnight_ms(late) == 1 && log_file_midnight_ms(next) == DAY);
    log_file_turn(&f, late, 0);
    CHECK(strcmp(names(), "a.log") == 0);
    log_file_turn(&f, next, 0);
    CHECK(strcmp(names(), "a.log a.log.20260222-235959") == 0, "%s", names());
    write_line(&f, "two\n");
    CHECK(text_is("a.log", "two\n") && text_is("a.log.20260222-235959", "one\n"));
    log_file_turn(&f, late, 0); /* a line of before midnight that comes late turns nothing */
    log_file_turn(&f, next, 0);
    CHECK(strcmp(names(), "a.log a.log.20260222-235959") == 0, "%s", names());
    log_file_turn(&f, (struct wall){next.ms - 10 * DAY}, 0); /* the clock is set back */
    log_file_turn(&f, (struct wall){next.ms - 9 * DAY}, 0);
    CHECK(strlen(names()) > strlen("a.log a.log.20260222-235959"), "%s", names());
    log_file_close(&f);
}

TEST(a_day_without_lines_has_a_file_too) {
    struct log_file f;
    open_log(&f, noon);
    touch("a.log", noon);
    log_file_turn(&f, (struct wall){noon.ms + DAY}, 0);
    touch("a.log", (struct wall){noon.ms + DAY});
    log_file_turn(&f, (struct wall){noon.ms + 2 * DAY}, 0);
    CHECK(strcmp(names(), "a.log a.log.20260222-120000 a.log.20260223-120000") == 0, "%s", names());
    tidy(&f, (struct wall){noon.ms + 2 * DAY});
    CHECK(strcmp(names(), "a.log a.log.20260222-120000.gz a.log.20260223-120000") == 0, "%s", names());
    CHECK(text_is("a.log.20260222-120000.gz", ""));
    log_file_close(&f);
}

TEST(a_file_of_an_earlier_day_is_turned_at_the_start) {
    struct log_file f;
    open_log(&f, noon);
    write_line(&f, "old\n");
    log_file_close(&f);
    touch("a.log", (struct wall){noon.ms - 3 * DAY});
    open_log(&f, noon);
    CHECK(strcmp(names(), "a.log a.log.20260219-120000") == 0, "%s", names());
    log_file_close(&f);
    open_log(&f, noon); /* again: nothing */
    CHECK(strcmp(names(), "a.log a.log.20260219-120000") == 0, "%s", names());
    log_file_close(&f);
}

TEST(it_turns_at_its_size_and_no_name_is_taken_twice) {
    struct log_file f;
    char line[101];
    memset(line, 'x', 99);
    line[99] = '\n';
    line[100] = 0;
    open_log(&f, noon);
    for (int i = 0; i < 35; i++) {
        log_file_turn(&f, noon, 100);
        CHECK(write_line(&f, line) == 0);
        touch("a.log", noon);
    }
    CHECK(strcmp(names(), "a.log a.log.20260222-120000 a.log.20260222-120001 a.log.20260222-120002") == 0,
          "%s", names());
    CHECK(strlen(text_of("a.log")) == 500 && strlen(text_of("a.log.20260222-120001")) == 1000);
    tidy(&f, noon);
    CHECK(strcmp(names(), "a.log a.log.20260222-120000.gz a.log.20260222-120001.gz a.log.20260222-120002") ==
              0,
          "%s", names());
    CHECK(strlen(text_of("a.log.20260222-120000.gz")) == 1000);
    f.rotation.max_size = 100; /* a line that is larger than a file still gets one */
    f.turn_at = 100;
    log_file_turn(&f, noon, 5000);
    log_file_turn(&f, noon, 5000);
    CHECK(strcmp(strrchr(names(), ' '), " a.log.20260222-120003") == 0, "an empty file is not turned: %s",
          names());
    log_file_close(&f);
}

TEST(archives_are_compressed_a_turn_later_and_removed_in_time) {
    struct log_file f;
    struct stat st;
    size_t blocks = mem_blocks();
    open_log(&f, noon);
    put("a.log.20260122-115959", "31 days\n");
    put("a.log.20260122-115958.gz", "31 days\n");
    put("a.log.20260123-120001", "within\n");
    put("a.log.20260221-000000", "newest\n");
    put("a.log.20260101-000000.gz.part", "left by a kill\n");
    put("a.log-20250101.gz", "logrotate's\n");
    put("a.log.77.gz", "logrotate's\n");
    put("a.log.mine", "mine\n");
    put("b.log.20250101-000000", "another's\n");
    CHECK(chmod(in_dir("a.log.20260123-120001"), 0600) == 0);
    touch("a.log.20260123-120001", (struct wall){noon.ms - 30 * DAY + 1000});
    f.untidy = true;
    tidy(&f, noon);
    CHECK(strcmp(
              names(),
              "a.log a.log-20250101.gz a.log.20260123-120001.gz a.log.20260221-000000 a.log.77.gz a.log.mine "
              "b.log.20250101-000000") == 0,
          "%s", names());
    CHECK(text_is("a.log.20260123-120001.gz", "within\n"));
    CHECK(stat(path, &st) == 0 && st.st_mtime == (noon.ms - 30 * DAY + 1000) / 1000 &&
          (st.st_mode & 07777) == 0600);
    f.rotation.builtin = false;
    f.rotation.retention_ms = 0;
    f.untidy = true;
    tidy(&f, noon);
    CHECK(strlen(names()) > 100, "external: nothing is touched");
    log_file_turn(&f, (struct wall){noon.ms + 9 * DAY}, 1 << 20);
    CHECK(text_is("a.log", ""), "external: nothing is turned");
    log_file_close(&f);
    CHECK(mem_blocks() == blocks);
}

TEST(who_is_killed_at_any_moment_loses_nothing) {
    static char many[150000];
    struct log_file f;
    for (size_t i = 0; i < sizeof many - 1; i++) many[i] = i % 70 == 69 ? '\n' : (char)('a' + i * i % 23);
    int parts = 0;
    CHECK(mkdir(in_dir(""), 0750) == 0);
    for (int slices = 0; slices < 8; slices++) {
        put("a.log.20260220-000000", many);
        put("a.log.20260221-000000", "newest\n");
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            open_log(&f, noon);
            for (int i = 0; i < slices; i++) log_file_tidy(&f, noon);
            raise(SIGKILL);
        }
        CHECK(waitpid(child, NULL, 0) == child);
        parts += access(in_dir("a.log.20260220-000000.gz.part"), F_OK) == 0;
        open_log(&f, noon);
        tidy(&f, noon);
        CHECK(strcmp(names(), "a.log a.log.20260220-000000.gz a.log.20260221-000000") == 0, "%d: %s", slices,
              names());
        CHECK(text_is("a.log.20260220-000000.gz", many), "%d", slices);
        log_file_close(&f);
    }
    CHECK(parts >= 2, "it was killed while it compressed");
    /* between the rename of the twin and the end of the archive */
    put("a.log.20260220-000000", many);
    open_log(&f, noon);
    tidy(&f, noon);
    CHECK(strcmp(names(), "a.log a.log.20260220-000000.gz a.log.20260221-000000") == 0, "%s", names());
    CHECK(text_is("a.log.20260220-000000.gz", many));
    log_file_close(&f);
}

TEST(a_moved_file_is_written_until_it_is_opened_again) {
    struct log_file f;
    open_log(&f, noon);
    write_line(&f, "one\n");
    char old[600];
    snprintf(old, sizeof old, "%s", in_dir("a.log"));
    CHECK(!log_file_gone(&f));
    CHECK(rename(old, in_dir("moved")) == 0);
    CHECK(log_file_gone(&f), "its name leads nowhere");
    write_line(&f, "two\n");
    CHECK(text_is("moved", "one\ntwo\n") && strcmp(names(), "moved") == 0);
    CHECK(log_file_open(&f, noon, NULL) == OK && !log_file_gone(&f));
    write_line(&f, "three\n");
    CHECK(text_is("a.log", "three\n") && text_is("moved", "one\ntwo\n"));
    snprintf(old, sizeof old, "%s", in_dir("a.log"));
    CHECK(rename(old, in_dir("moved2")) == 0);
    put("a.log", "somebody else's\n"); /* it is not ours to rename */
    CHECK(log_file_gone(&f), "its name leads elsewhere");
    log_file_turn(&f, (struct wall){noon.ms + 400 * DAY}, 0);
    CHECK(strcmp(names(), "a.log moved moved2") == 0, "%s", names());
    write_line(&f, "four\n");
    CHECK(text_is("a.log", "somebody else's\nfour\n"));
    log_file_close(&f);
}

TEST(what_can_not_be_opened_says_why_and_keeps_the_old) {
    struct log_file f;
    struct why w;
    open_log(&f, noon);
    int fd = f.fd;
    CHECK(symlink("/dev/null", in_dir("link")) == 0 && mkdir(in_dir("folder"), 0700) == 0);
    static const char *const bad[] = {"link", "folder", "a.log/x"};
    for (size_t i = 0; i < LEN(bad); i++) {
        snprintf(f.path, sizeof f.path, "%.500s", in_dir(bad[i]));
        CHECK(log_file_open(&f, noon, &w) != OK && strstr(w.text, "log/") != NULL && f.fd == fd, "%s",
              bad[i]);
    }
    CHECK(write_line(&f, "goes on\n") == 0 && text_is("a.log", "goes on\n"));
    snprintf(f.path, sizeof f.path, "relative");
    CHECK(log_file_open(&f, noon, &w) == E_INPUT);
    f.path[0] = 0;
    CHECK(log_file_open(&f, noon, &w) == OK && f.fd < 0);
    CHECK(write_line(&f, "one\ntwo\n") == 2, "all lines are lost, and counted");
    log_file_close(&f);
}

TEST(a_full_disk_costs_lines_that_are_counted) {
    struct log_file f;
    open_log(&f, noon);
    write_line(&f, "one\n");
    int full = open("/dev/full", O_WRONLY);
    CHECK(full >= 0 && dup2(full, f.fd) == f.fd);
    close(full);
    CHECK(write_line(&f, "a\nb\nc\n") == 3);
    CHECK(log_file_open(&f, noon, NULL) == OK && write_line(&f, "four\n") == 0);
    CHECK(text_is("a.log", "one\nfour\n"));
    log_file_close(&f);
}
