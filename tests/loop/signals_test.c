#include "loop/signals.h"

#include "tests/test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(signals_arrive_as_values) {
    static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT};
    struct signals s;
    struct signal_seen seen;
    CHECK(signals_open(&s, NULL) == OK);
    CHECK(!signals_next(&s, &seen));
    CHECK(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
    for (size_t i = 0; i < LEN(all); i++) {
        CHECK(kill(getpid(), all[i]) == 0);
        CHECK(signals_next(&s, &seen), "signal %d", all[i]);
        CHECK(seen.number == all[i] && seen.pid == getpid() && seen.uid == getuid());
        CHECK(!signals_next(&s, &seen));
    }
    signals_close(&s);
    CHECK(s.fd == -1 && !signals_next(&s, &seen));
    signals_close(&s);
}

TEST(signals_tell_of_children_even_if_the_parent_ignored_them) {
    struct signals s;
    struct signal_seen seen;
    int status;
    signal(SIGCHLD, SIG_IGN);
    CHECK(signals_open(&s, NULL) == OK);
    pid_t pid = fork();
    if (pid == 0) _exit(7);
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
    CHECK(signals_next(&s, &seen) && seen.number == SIGCHLD && seen.pid == pid);
    signals_close(&s);
}

TEST(signals_leave_no_trace) {
    struct signals s;
    sigset_t before, after;
    int pair[2];
    CHECK(sigprocmask(SIG_SETMASK, NULL, &before) == 0);
    CHECK(signals_open(&s, NULL) == OK);
    CHECK(pipe(pair) == 0);
    close(pair[0]);
    CHECK(write(pair[1], "x", 1) == -1, "and no SIGPIPE");
    close(pair[1]);
    CHECK(kill(getpid(), SIGTERM) == 0); /* pending: forgotten, else it would end this process */
    signals_close(&s);
    CHECK(sigprocmask(SIG_SETMASK, NULL, &after) == 0);
    CHECK(sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM));
    CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
}

TEST(signals_reach_a_child_as_usual) {
    struct signals s;
    int status;
    CHECK(signals_open(&s, NULL) == OK);
    pid_t pid = fork();
    if (pid == 0) {
        signals_child();
        raise(SIGTERM);
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    signals_close(&s);
}
