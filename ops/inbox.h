/* ops/inbox.h: `inbox --follow`, apart from the listing. */
#ifndef SILKTALK_OPS_INBOX_H
#define SILKTALK_OPS_INBOX_H

#include "ops/cli.h"

/* Prints messages as they come; with --exec runs the program (c->args) once for each, unread ones first, and
 * marks a message read only when it exited 0. Ends on SIGINT, SIGTERM: 0. */
int inbox_follow(struct cli *c);

#endif
