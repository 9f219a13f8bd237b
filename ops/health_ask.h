/* ops/health_ask.h: the health of the node, whatever state it is in: asked of the node, or judged from here
 * when it is down, stopped or not to be reached. */
#ifndef SILKTALK_OPS_HEALTH_ASK_H
#define SILKTALK_OPS_HEALTH_ASK_H

#include "node/health.h"
#include "ops/cli.h"

enum { HEALTH_TOTAL_MS = 2700, HEALTH_ANSWER_MS = 1500 }; /* operations.md S2.2: within 3 s */

struct health_answer {
    struct json_doc *doc;
    const struct json *health; /* as /health has it */
    bool from_node;
};
/* OK, or E_MEMORY. The configuration may be bad: the defaults judge then. */
enum err health_ask(struct cli *c, struct health_answer *out);
void health_answer_free(struct health_answer *a);

/* After HEALTH_TOTAL_MS the process ends with a CRITICAL line and exit code 2 (a disk that hangs). */
void health_guard(bool on);

/* Of the checks named by -c (NULL: all): the exit code 0 to 3. */
int health_code(const struct json *health, const char *only);
/* E_USAGE: an unknown check in `only`. */
enum err health_only(struct cli *c, const char *only);
/* The whole Nagios line without newline. */
void health_line(const struct json *health, const char *only, struct buf *out);
/* The object with the wanted checks alone, and the status that they give. */
void health_json(const struct json *health, const char *only, struct buf *out);

#endif
