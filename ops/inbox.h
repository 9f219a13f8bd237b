/* ops/inbox.h: `inbox --follow` and `inbox export`, apart from the listing. */
#ifndef SILKTALK_OPS_INBOX_H
#define SILKTALK_OPS_INBOX_H

#include "ops/cli.h"

/* Prints messages as they come; with --exec runs the program (c->args) once for each, unread ones first, and
 * marks a message read only when it exited 0. Ends on SIGINT, SIGTERM: 0. */
int inbox_follow(struct cli *c);

/* Writes all messages, see --help; exit code. */
int inbox_export(struct cli *c);

#endif
