/* lib/loop/signals.h: signals as a descriptor (signalfd: needs no /proc, no handler, loses no kind of
 * signal).
 *
 * signals_open comes before any thread is started: it blocks TERM INT HUP USR1 USR2 QUIT CHLD in the calling
 * thread, and threads inherit that. SIGPIPE is ignored (writes give EPIPE instead). */
#ifndef SILKTALK_LOOP_SIGNALS_H
#define SILKTALK_LOOP_SIGNALS_H

#include "base/base.h"

#include <signal.h>
#include <sys/types.h>

struct signals {
    int fd; /* readable when signals_next has something; -1: closed */
    sigset_t before;
};
struct signal_seen {
    int number; /* SIGTERM ... */
    pid_t pid;  /* who sent it, 0: the kernel */
    uid_t uid;
};
enum err signals_open(struct signals *s, struct why *w);
/* the mask and SIGPIPE are as before; pending ones are forgotten first */
void signals_close(struct signals *s);
bool signals_next(struct signals *s, struct signal_seen *out); /* the next one, or false; never blocks */
/* in a forked child before exec: nothing blocked, SIGPIPE as usual */
void signals_child(void);

#endif
