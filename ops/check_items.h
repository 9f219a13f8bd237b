/* ops/check_items.h: the items of `silktalk check` (operations.md S8): what is looked at, and what was found.
 */
#ifndef SILKTALK_OPS_CHECK_ITEMS_H
#define SILKTALK_OPS_CHECK_ITEMS_H

#include "node/health.h"
#include "ops/cli.h"

enum { CHECK_PERIODS = 3 }; /* daily, weekly, monthly */
extern const char *const check_periods[CHECK_PERIODS];

/* Numbers that are compared with those of earlier runs; NAN: not known. */
#define CHECK_NUMBERS(X)                                                                                     \
    X(latency_seconds, "latency")                                                                            \
    X(errors_percent, "errors") X(resident_bytes, "memory of the node") X(fds, "descriptors")                \
        X(disk_percent, "disk") X(memory_percent, "memory") X(connections, "connections")                    \
            X(data_bytes, "database")
#define CHECK_NUMBER_SYMBOL(key, words) CHECK_NUMBER_##key,
enum check_number { CHECK_NUMBERS(CHECK_NUMBER_SYMBOL) CHECK_NUMBER_COUNT };

struct check_context {
    struct cli *cli;
    const struct config *config;
    const struct json *health; /* as /health has it; judged from here when the node is down */
    const struct json *status; /* NULL: the node does not answer */
    const struct json *last;   /* the stored result of this period, or NULL */
    const struct json *acks;   /* object: item -> {at, note, numbers}; NULL: none */
    struct wall now;
    double numbers[CHECK_NUMBER_COUNT];
};
struct check_result {
    enum health_status status;
    enum health_level level;
    bool judged; /* false: of a later delivery */
    char finding[200], evidence[400];
    const char *fix; /* a literal, or NULL */
};
struct check_row {
    int period;
    const char *id, *item;
    void (*run)(struct check_context *x, struct check_result *r);
    const char *later; /* instead of run: why it is not known yet */
};
extern const struct check_row check_rows[]; /* ends with a NULL id */

/* Fills x->numbers from status and health. */
void check_measure(struct check_context *x);
const struct check_row *check_find(const char *id);

#endif
