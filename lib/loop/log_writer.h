/* lib/loop/log_writer.h: the log's own thread: it writes lines to stderr and to the log file
 * (loop/log_file.h), turns the file, and compresses and removes old ones in slices, between lines.
 *
 * Why a thread, and not the store's: an append waits for the file system's journal when somebody syncs, and
 * the log's disk is often another than the database's: when it hangs, that costs lines and no message; when
 * the database's hangs, the line that says so is written. The loop only copies lines into the queue.
 *
 * What does not fit, and what the disk refuses, is dropped and counted. stderr that takes nothing (a pipe
 * that nobody reads) is waited for once, STDERR_MS, and from then on only gets what it takes at once; one
 * that is gone is left alone. */
#ifndef SILKTALK_LOOP_LOG_WRITER_H
#define SILKTALK_LOOP_LOG_WRITER_H

#include "loop/log_file.h"

struct log_writer;
/* Starts the thread, with stderr alone. `journal`: lines on stderr begin with <priority>, not with the time.
 */
enum err log_writer_open(struct log_writer **out, size_t queue_max, bool journal, struct why *w);
/* The queue is written first, as far as that is done in wait_ms; then the thread ends. NULL is fine. */
void log_writer_close(struct log_writer *l, int64_t wait_ms);
/* Waits until all that was given is written: for the last words before an end. */
void log_writer_flush(struct log_writer *l, int64_t wait_ms);

/* head: the time and a blank, or nothing. False: no room; counted. */
bool log_writer_add(struct log_writer *l, struct wall time, int priority, struct bytes head,
                    struct bytes text);
void log_writer_limit(struct log_writer *l, size_t queue_max); /* bytes that may wait */
void log_writer_rotation(struct log_writer *l, const struct log_rotation *r);
/* Opens `path` ("": no file, NULL: the same again) behind all lines given so far and before all others; then
 * log_writer_fd is readable, and log_writer_opened says how it went. */
void log_writer_reopen(struct log_writer *l, const char *path);
/* The start is over: a temporary file on stderr, which the starter reads no more, gets nothing more. */
void log_writer_detach(struct log_writer *l);
int log_writer_fd(const struct log_writer *l);
bool log_writer_opened(struct log_writer *l, struct why *w); /* false: not yet, or already told */

struct log_writer_stats {
    uint64_t dropped; /* for want of room */
    uint64_t lost;    /* refused by disk or stderr */
    size_t queued;    /* bytes */
    bool open;        /* the file is, or none is wanted */
    bool failing;     /* the last write did not work */
    bool gone;        /* somebody removed or replaced the file: lines go where nobody looks */
};
struct log_writer_stats log_writer_stats(struct log_writer *l);

#endif
