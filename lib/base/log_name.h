/* lib/base/log_name.h: names of log files: the one that is written, and the earlier ones beside it. The node
 * makes them, `silktalk log` and `check` read them, logrotate makes others: here is the one place that knows.
 *
 *   NAME                            written now
 *   NAME.YYYYMMDD-HHMMSS[.gz]       by the node: UTC time of its last line
 *   NAME.YYYYMMDD-HHMMSS.gz.part    being compressed
 *   NAME-YYYYMMDD...[.gz]           by logrotate with dateext
 *   NAME.N[.gz]                     by logrotate: N = 1 is the newest */
#ifndef SILKTALK_BASE_LOG_NAME_H
#define SILKTALK_BASE_LOG_NAME_H

#include "base/base.h"

enum { LOG_NAME_MAX = 256, LOG_NAME_NUMBER_MAX = 99999 };

enum log_name_kind { LOG_NAME_OTHER, LOG_NAME_CURRENT, LOG_NAME_ARCHIVE, LOG_NAME_PARTIAL };
struct log_name {
    enum log_name_kind kind;
    bool own;         /* of the node's making */
    bool gzip;        /* of LOG_NAME_ARCHIVE: .gz */
    struct wall time; /* 0: the name has none */
    unsigned number;  /* of NAME.N, else 0 */
};
/* What `name` is to the log file `base` (both without folder). */
struct log_name log_name_parse(struct bytes name, struct bytes base);
enum log_name_form { LOG_NAME_PLAIN, LOG_NAME_GZIP, LOG_NAME_GZIP_PARTIAL };
/* The node's own name for an archive; false: too long. */
bool log_name_make(struct bytes base, struct wall last_line, enum log_name_form form, char out[LOG_NAME_MAX]);

#endif
