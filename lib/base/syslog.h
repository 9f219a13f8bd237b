/* lib/base/syslog.h: a log line as a syslog message of RFC 5424, and its frame for TCP (RFC 6587 section
 * 3.4.1, octet counting: a newline inside could not end a message early).
 *
 * Facility daemon; APP-NAME silktalk; MSGID is the event's text with dashes, so that a server can sort by it
 * without reading the message; no structured data (its names would need an enterprise number), MSG is the
 * line as it stands in the file: the same greps work on the server. */
#ifndef SILKTALK_BASE_SYSLOG_H
#define SILKTALK_BASE_SYSLOG_H

#include "base/log.h"

enum { SYSLOG_MESSAGE_MAX = LOG_LINE_MAX + 512 };

struct syslog_origin {
    const char *host; /* "": none is told */
    long pid;
};
/* Appends one message; false: out refused, and is as it was. `framed`: for TCP. */
bool syslog_add(struct buf *out, const struct syslog_origin *from, const struct log_line *line, bool framed);

#endif
