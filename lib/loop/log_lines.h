/* lib/loop/log_lines.h: reads a log file line by line, plain or gzip (several members too), and goes on when
 * it has grown. */
#ifndef SILKTALK_LOOP_LOG_LINES_H
#define SILKTALK_LOOP_LOG_LINES_H

#include "base/base.h"

enum { LOG_LINES_LONGEST = 16 << 10 }; /* bytes; what is longer is cut */

struct log_lines;
/* Links are not followed. E_NOT_FOUND, E_DENIED, E_INPUT (not a regular file)... */
enum err log_lines_open(struct log_lines **out, const char *path, struct why *w);
void log_lines_close(struct log_lines *l); /* NULL is fine */
/* The next line, without its newline, valid until the next call. False: there is none now. `all`: what has no
 * newline yet is a line too. */
bool log_lines_next(struct log_lines *l, bool all, struct bytes *line);
bool log_lines_damaged(const struct log_lines *l); /* it ended early, or made no sense */
bool log_lines_gzip(const struct log_lines *l);
/* Plain files: the last `bytes` of it alone; begins with a whole line. False: it is not that long, or gzip.
 */
bool log_lines_tail(struct log_lines *l, uint64_t bytes);
void log_lines_rewind(struct log_lines *l); /* from its beginning again */
int log_lines_fd(const struct log_lines *l);
bool log_lines_shrunk(const struct log_lines *l); /* it is shorter than what was read of it */

#endif
