/* lib/loop/log_file.h: one log file on a disk: appended to, reopened, turned at midnight (UTC, as the times
 * in it are) or at a size, and what earlier files become: compressed a turn later, removed when old enough.
 *
 * Names are those of base/log_name.h. A turn is a rename and a new file; who is killed at any moment loses
 * nothing: an archive is removed only after its compressed twin is whole, synced and has its name, and the
 * next start compresses what is left. An empty file is turned at midnight too: so a day that is missing means
 * a file that is missing.
 *
 * These calls wait for the disk: they are for the log's own thread (loop/log_writer.h) and for tests. */
#ifndef SILKTALK_LOOP_LOG_FILE_H
#define SILKTALK_LOOP_LOG_FILE_H

#include "base/base.h"

struct log_rotation {
    bool builtin; /* else somebody else renames the file and sends a signal */
    bool compress;
    uint64_t max_size;
    int64_t retention_ms;
};
struct log_squeeze; /* an archive that is being compressed */
struct log_file {
    char path[512]; /* "": none. Absolute */
    int fd;         /* -1: not open */
    struct log_rotation rotation;
    uint64_t size, turn_at; /* turned when it would become larger */
    int64_t day;            /* of its lines, since 1970 */
    bool regular, torn;     /* torn: it does not end with a newline */
    bool moved;             /* it has its archive's name, but there is no new one yet */
    bool untidy;            /* there may be something to compress or to remove */
    struct log_squeeze *squeeze;
};
void log_file_init(struct log_file *f);
void log_file_close(struct log_file *f);
/* Opens f->path, made if it is missing (0640, its folder 0750). On failure a file that is open stays. A file
 * whose last line is of an earlier day is turned at once. */
enum err log_file_open(struct log_file *f, struct wall now, struct why *w);
/* It is open, but no file, or another one, lies under its name. */
bool log_file_gone(const struct log_file *f);
/* Appends whole lines, each with its newline. Returns how many of them were lost. */
size_t log_file_write(struct log_file *f, struct bytes lines);
/* Is the file of an earlier day, or would `more` bytes make it too large? Then turn does it. */
bool log_file_due(const struct log_file *f, struct wall now, size_t more);
void log_file_turn(struct log_file *f, struct wall now, size_t more);
int64_t log_file_midnight_ms(struct wall now); /* how long until then */
/* A slice of compressing, or one archive removed; true: there is more to do. */
bool log_file_tidy(struct log_file *f, struct wall now);

#endif
