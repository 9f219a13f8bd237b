/* lib/loop/loop.h: waits for descriptors and for one deadline, then calls the handlers of what is ready.
 *
 * poll() at heart. Above LOOP_POLL_MAX descriptors the further ones live in an epoll descriptor inside the
 * poll set, so a turn costs what is ready, not what is watched; nobody outside can tell. Level-triggered.
 *
 * There are no timers: the owner passes its next deadline to each turn, and looks at its own tables
 * afterwards. Not thread safe: one loop, one thread.
 *
 * Inside a handler everything is allowed: watching, changing and dropping any descriptor (its own too), and
 * closing a dropped one. What was ready but has been dropped in the same turn is not called any more, also
 * when a new descriptor got the same number meanwhile. Not allowed there: loop_turn, loop_close. */
#ifndef SILKTALK_LOOP_LOOP_H
#define SILKTALK_LOOP_LOOP_H

#include "base/base.h"

enum {
    LOOP_POLL_MAX = 64,      /* descriptors in the poll set; more go into epoll */
    LOOP_EPOLL_EVENTS = 256, /* taken from epoll in one turn; the rest comes with the next */
    LOOP_FDS_MAX = 65536,    /* highest descriptor number + 1 */
    LOOP_SLOW_US = 10000,    /* design.md: nothing on the loop takes longer than 10 ms */
    LOOP_BUCKETS = 24,       /* turn durations: bucket i counts those below 2^i microseconds */
};
enum {
    LOOP_READ = 1,
    LOOP_WRITE = 2,
    LOOP_ERROR = 4, /* reported only: hung up or failed. Comes with every bit that was asked for, so that the
                     * handler's next read or write tells the reason */
};

struct loop;
typedef void loop_handler(void *user, int fd, unsigned ready);

enum err loop_open(struct loop **out, struct why *w);
void loop_close(struct loop *l); /* closes none of the watched descriptors; NULL is fine */

/* Begins to watch fd. `part` (a literal) names it in slow-turn reports. `interest` 0 is allowed: then nothing
 * is reported, not even a hang-up, until loop_interest. Watching a watched fd replaces everything. E_MEMORY;
 * E_LIMIT: fd is LOOP_FDS_MAX or more; then nothing changed. */
enum err loop_watch(struct loop *l, int fd, unsigned interest, const char *part, loop_handler *handler,
                    void *user);
void loop_interest(struct loop *l, int fd, unsigned interest); /* never fails; no effect on an unwatched fd */
void loop_drop(struct loop *l, int fd); /* BEFORE fd is closed; an unwatched fd is fine */
size_t loop_watched(const struct loop *l);

/* One turn: waits until something is ready, `deadline` is reached (0: no deadline) or a signal came; reads
 * the clocks once; calls the handlers. E_IO: poll itself failed (then do not go on). */
enum err loop_turn(struct loop *l, struct mono deadline, struct why *w);
/* this turn's reading; before the first turn that of loop_open */
struct clocks loop_now(const struct loop *l);

/* A turn lasts from one wait to the next: handlers, and what the owner does between loop_turn calls. */
struct loop_stats {
    uint64_t turns, events, slow;      /* slow: longer than LOOP_SLOW_US */
    int64_t last_us, max_us, total_us; /* of turns; the last one's is known when the next begins */
    /* the longest single handler of the last turn (the owner's share: "owner") */
    int64_t slowest_us;
    const char *slowest_part;
    int64_t slow_processor_us; /* processor time of the last slow turn; the rest of it was waiting */
    uint64_t bucket[LOOP_BUCKETS]; /* the last one has the rest */
};
struct loop_stats loop_stats(const struct loop *l);

/* Tests: another source of time (waiting still takes real time). NULL: the system's again. */
void loop_set_clock(struct loop *l, struct clocks (*read)(void *user), void *user);

#endif
