/* ops/check_logs.h: what the log files and the journal say, for items D2 and W1 of `silktalk check`. */
#ifndef SILKTALK_OPS_CHECK_LOGS_H
#define SILKTALK_OPS_CHECK_LOGS_H

#include "base/base.h"

#include <sys/types.h>

enum { CHECK_LOG_MAX = 64 << 20 }; /* bytes of the file's end that are read */

struct log_counts {
    uint64_t errors, warnings;               /* in the last 24 h */
    uint64_t errors_before, warnings_before; /* in the up to 7 days before */
    double days;                             /* how many the file has of these */
    char fresh[96];                          /* a text of the last 24 h that was not there before; "" */
};
/* False: there is no file, or it may not be read. Text and JSON lines. */
bool check_logs(const char *path, struct wall now, struct log_counts *out);
/* Whether a day without lines was a quiet one (logrotate's notifempty, or simply nothing to say) or is
 * missing, files can not tell: the node's own figures know when it wrote lines. */
enum { ARCHIVE_DAYS = 40 };
struct archive_facts {
    size_t count, bad, old, unreadable;
    char bad_name[96], unreadable_name[96];
    bool covered[ARCHIVE_DAYS]; /* [k], k days ago (UTC): between the first and the last line of some file */
};
bool check_archive(const char *path, struct wall now, int64_t retention_ms, struct archive_facts *out);
/* When the oldest entry of the system's journal was written, as journalctl says within 3 s. False: there is
 * no journal, or this user does not see all of it. */
bool journal_oldest(struct wall *out);
/* args, the first being "journalctl", with its output and what it complains of to these descriptors; the
 * child, or -1. It ends with us, whatever we die of; exit code 127: there is none. */
pid_t journalctl_start(const char *const *args, int out, int said);

#endif
