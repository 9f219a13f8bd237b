/* ops/outbox.h: the outbox of a stopped node, for `outbox`: its database and its spool, read by the command
 * line under the lock of the home. */
#ifndef SILKTALK_OPS_OUTBOX_H
#define SILKTALK_OPS_OUTBOX_H

#include "ops/cli.h"

/* Each gives what the node would answer ({schema, items} or {schema, count}). E_NOT_RUNNING: no node, and no
 * home either; E_BUSY: a node is starting; E_DENIED: only the home's owner and root may look. */
enum err outbox_offline_list(struct cli *c, size_t most, struct json_doc **out);
enum err outbox_offline_retry(struct cli *c, const char *id, struct json_doc **out);
enum err outbox_offline_cancel(struct cli *c, const char *id, struct json_doc **out);

#endif
