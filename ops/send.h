/* ops/send.h: between send.c and send_file.c. */
#ifndef SILKTALK_OPS_SEND_H
#define SILKTALK_OPS_SEND_H

#include "ops/cli.h"

/* --subject, --type, --reply-to, --expires, --wait as params; *wait_ms: 0 when --wait has no time. */
enum err send_common(struct cli *c, struct json_out *o, int64_t *wait_ms);
int send_judge(struct cli *c, const struct json *items, bool wait); /* prints the items; the exit code */
bool send_is_large(struct cli *c, const char *path, uint64_t *size); /* too large for a message */
int send_large(struct cli *c, size_t n_peers, const char *path, uint64_t size);

#endif
