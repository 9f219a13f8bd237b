#include "loop/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT, SIGCHLD};

enum err signals_open(struct signals *s, struct why *w) {
    sigset_t set;
    s->fd = -1;
    sigemptyset(&set);
    for (size_t i = 0; i < LEN(watched); i++) sigaddset(&set, watched[i]);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) return fail(w, E_IO, "Signals can not be received: %s", strerror(errno));
    if (sigprocmask(SIG_BLOCK, &set, &s->before) != 0) {
        int error = errno;
        close(fd);
        return fail(w, E_IO, "Signals can not be blocked: %s", strerror(error));
    }
    /* An ignored SIGCHLD would never reach the descriptor, and whoever started us may have left it so. */
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    s->fd = fd;
    return OK;
}

bool signals_next(struct signals *s, struct signal_seen *out) {
    struct signalfd_siginfo info;
    ssize_t n;
    if (s->fd < 0) return false;
    do n = read(s->fd, &info, sizeof info);
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof info) return false;
    *out = (struct signal_seen){(int)info.ssi_signo, (pid_t)info.ssi_pid, (uid_t)info.ssi_uid};
    return true;
}

void signals_close(struct signals *s) {
    struct signal_seen unused;
    if (s->fd < 0) return;
    while (signals_next(s, &unused)) {}
    close(s->fd);
    s->fd = -1;
    sigprocmask(SIG_SETMASK, &s->before, NULL);
    signal(SIGPIPE, SIG_DFL);
}

void signals_child(void) {
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}
