/* ops/log_view.h: for ops/log*.c: which lines are wanted, and how they are shown. */
#ifndef SILKTALK_OPS_LOG_VIEW_H
#define SILKTALK_OPS_LOG_VIEW_H

#include "base/log_entry.h"
#include "ops/cli.h"

struct log_view {
    struct cli *c;
    struct wall since;    /* 0: whenever */
    enum log_level level; /* and above */
    const char *event;    /* how its text begins, in any case; NULL: all */
    char peer[128];       /* how the value of peer ends; "": all */
    size_t last;          /* keep so many, until log_view_show; 0: print at once */
    bool filtered;        /* by level, event or peer: lines that are none are left out */
    bool passed;          /* the line before did */
    char **kept;          /* a ring, when last > 0 */
    size_t n_kept, oldest;
    uint64_t seen; /* lines, wanted or not */
};
/* time: of the journal, for lines without one. False: nobody reads any more. */
bool log_view_line(struct log_view *v, struct bytes line, struct wall time);
bool log_view_show(struct log_view *v); /* prints what is kept, forgets it, and prints at once from now on */
void log_view_free(struct log_view *v);

/* ops/log_files.c: the log file and, as far back as is asked for, its archives. E_PARTIAL: some of them were
 * damaged. E_NOT_FOUND: there is no such file. */
enum err log_files_show(struct log_view *v, const char *path, bool follow);
/* ops/log_journal.c: what journalctl has of the service. */
enum err log_journal_show(struct log_view *v, bool follow);
/* ops/log_stats.c */
int log_stats(struct cli *c);

#endif
