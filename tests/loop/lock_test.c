#include "loop/lock.h"

#include "loop/clocks.h"
#include "loop/file.h"
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that takes the lock, says so, and keeps it until it is told or killed. */
struct holder {
    pid_t pid;
    int to, from;
};
static struct holder hold(const char *data, const char *role) {
    int up[2], down[2];
    char c;
    struct holder h;
    CHECK(pipe(up) == 0 && pipe(down) == 0);
    h.pid = fork();
    if (h.pid == 0) {
        struct lock l;
        close(down[1]);
        c = lock_take(&l, data, data, role, 0, NULL, NULL, NULL) == OK ? 'y' : 'n';
        if (write(up[1], &c, 1) == 1 && read(down[0], &c, 1) == 1) lock_release(&l);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    CHECK(h.pid > 0 && read(up[0], &c, 1) == 1 && c == 'y');
    h.to = down[1];
    h.from = up[0];
    return h;
}
static void let_go(struct holder *h, bool crash) {
    if (crash)
        kill(h->pid, SIGKILL);
    else
        CHECK(write(h->to, "x", 1) == 1);
    waitpid(h->pid, NULL, 0);
    close(h->to);
    close(h->from);
}

TEST(lock_the_second_one_is_told_who_and_where) {
    struct lock l;
    struct why w = {OK, ""};
    struct lock_holder who;
    char pid[32];
    const char *data = test_dir();
    struct holder h = hold(data, "daemon");
    CHECK(lock_look(data, &who, NULL) == OK && who.pid == h.pid && strcmp(who.role, "daemon") == 0);
    CHECK(lock_take(&l, "/the/home", data, "backup", 0, NULL, &who, &w) == E_BUSY && l.fd == -1);
    snprintf(pid, sizeof pid, "process %ld ", (long)h.pid);
    CHECK(strstr(w.text, pid) && strstr(w.text, "/the/home") && strstr(w.text, "daemon"), "%s", w.text);
    CHECK(who.pid == h.pid && strcmp(who.role, "daemon") == 0);
    struct mono start = clocks_mono();
    CHECK(lock_take(&l, "h", data, "backup", 60, NULL, NULL, NULL) == E_BUSY);
    CHECK(mono_diff_ms(clocks_mono(), start) >= 60);
    CHECK(lock_take(&l, "h", data, "daemon", 60000, "daemon", NULL, NULL) == E_BUSY,
          "and not after a minute");
    let_go(&h, false);
    CHECK(lock_look(data, &who, NULL) == E_NOT_FOUND);
    CHECK(lock_take(&l, "h", data, "daemon", 0, NULL, NULL, NULL) == OK);
    lock_release(&l);
    lock_release(&l);
}

TEST(lock_a_crash_leaves_nothing_to_clean_up) {
    struct lock l;
    const char *data = test_dir();
    char path[200];
    struct file_facts facts;
    struct holder h = hold(data, "daemon");
    let_go(&h, true);
    snprintf(path, sizeof path, "%s/pid", data);
    CHECK(file_facts(path, &facts, NULL) == OK && facts.mode == 0600, "the old pid still lies there");
    CHECK(lock_take(&l, "h", data, "daemon", 0, NULL, NULL, NULL) == OK);
    lock_release(&l);
    CHECK(file_facts(path, &facts, NULL) == E_NOT_FOUND);
}

TEST(lock_waits_for_a_tool) {
    struct lock l;
    const char *data = test_dir();
    struct holder h = hold(data, "backup");
    pid_t later = fork();
    if (later == 0) {
        clocks_sleep_ms(50);
        _exit(write(h.to, "x", 1) == 1 ? 0 : 1);
    }
    CHECK(lock_take(&l, "h", data, "daemon", 60000, "daemon", NULL, NULL) == OK);
    waitpid(later, NULL, 0);
    waitpid(h.pid, NULL, 0);
    close(h.to);
    close(h.from);
    lock_release(&l);
}

TEST(lock_believes_no_nonsense_in_the_pid_file) {
    static const char *const rows[] = {"",
                                       "\n",
                                       "12",
                                       "x y\n",
                                       "-5 daemon\n",
                                       "0 daemon\n",
                                       "99999999999999999999 daemon\n",
                                       "1 \x1b[31mred\n",
                                       "1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"};
    const char *data = test_dir();
    char path[200];
    struct lock_holder who;
    struct why w;
    struct lock l;
    snprintf(path, sizeof path, "%s/pid", data);
    struct holder h = hold(data, "daemon");
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(file_replace(path, bytes_of(rows[i]), 0600, NULL) == OK);
        CHECK(lock_take(&l, "h", data, "x", 0, NULL, &who, &w) == E_BUSY && who.pid == 0, "row %zu: %s", i,
              w.text);
        CHECK(who.role[0] == '\0' && strstr(w.text, "another process") != NULL, "row %zu: %s", i, w.text);
    }
    let_go(&h, false);
}

TEST(lock_needs_a_folder) {
    struct lock l;
    struct lock_holder who;
    struct why w = {OK, ""};
    CHECK(lock_take(&l, "h", "/no/such/folder", "daemon", 0, NULL, NULL, &w) == E_NOT_FOUND && l.fd == -1);
    CHECK(strstr(w.text, "/no/such/folder") != NULL);
    CHECK(lock_look("/no/such/folder", &who, NULL) == E_NOT_FOUND);
}
