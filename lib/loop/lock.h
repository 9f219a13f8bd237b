/* lib/loop/lock.h: one process per home, by flock() on the data folder itself: the kernel drops it when the
 * process ends, however it ends, so there is no lock file that could be stale.
 *
 * The holder writes "PID ROLE\n" to DATA/pid. That file only informs: nobody decides by it who holds the
 * lock. */
#ifndef SILKTALK_LOOP_LOCK_H
#define SILKTALK_LOOP_LOCK_H

#include "base/base.h"

#include <sys/types.h>

enum { LOCK_ROLE_MAX = 32 };

struct lock {
    int fd; /* the data folder; -1: not held */
};
struct lock_holder {
    pid_t pid; /* 0: unknown */
    char role[LOCK_ROLE_MAX];
};
/* Takes the lock, waiting up to wait_ms (in this thread: not in a running loop), but not at all for a holder
 * whose role is `no_wait_for` (NULL: for all). E_BUSY: w names home and, where known, pid and role of the
 * holder, which are put into *holder too (NULL is fine). E_NOT_FOUND: no such folder. E_DENIED, E_IO. */
enum err lock_take(struct lock *l, const char *home, const char *data, const char *role, int64_t wait_ms,
                   const char *no_wait_for, struct lock_holder *holder, struct why *w);
void lock_release(struct lock *l); /* one that is not held is fine */
/* Who holds it now, without taking it. OK: held, *holder filled as far as known. E_NOT_FOUND: nobody. E_IO,
 * E_DENIED: can't say. */
enum err lock_look(const char *data, struct lock_holder *holder, struct why *w);

#endif
