/* ops/check_items.h: the items of `silktalk check` (operations.md S8): what is looked at, and what was found.
 */
#ifndef SILKTALK_OPS_CHECK_ITEMS_H
#define SILKTALK_OPS_CHECK_ITEMS_H

#include "node/health.h"
#include "ops/cli.h"

enum { CHECK_PERIODS = 3 }; /* daily, weekly, monthly */
extern const char *const check_periods[CHECK_PERIODS];

/* What W5 compares, as means of a week of hours: key; words; figure; the one it is divided by, or NULL;
 * factor; a change below that is none, whatever its share is. */
#define CHECK_NUMBERS(X)                                                                                     \
    X(latency_ms, "latency (p95)", "latency_p95_ms", NULL, 1, 20)                                            \
    X(errors_percent, "error rate", "operations_failed", "operations", 100, 0.1)                             \
    X(messages_in, "messages in per hour", "messages_in", NULL, 1, 20)                                       \
    X(messages_out, "messages out per hour", "messages_out", NULL, 1, 20)                                    \
    X(bytes_in, "bytes in per hour", "bytes_in", NULL, 1, 4194304)                                           \
    X(bytes_out, "bytes out per hour", "bytes_out", NULL, 1, 4194304)                                        \
    X(resident_bytes, "memory of the node", "resident_bytes", NULL, 1, 4194304)                              \
    X(fds, "descriptors", "fds", NULL, 1, 10)
#define CHECK_NUMBER_SYMBOL(key, words, figure, per, factor, least) CHECK_NUMBER_##key,
enum check_number { CHECK_NUMBERS(CHECK_NUMBER_SYMBOL) CHECK_NUMBER_COUNT };
enum { CHECK_HOURS = 24 }; /* of figures, before W5 compares them */

struct check_context {
    struct cli *cli;
    const struct config *config;
    const struct json *health; /* as /health has it; judged from here when the node is down */
    const struct json *status; /* NULL: the node does not answer */
    const struct json *last;   /* the stored result of this period, or NULL */
    const struct json *acks;   /* object: item -> {at, note, hours, numbers}; NULL: none */
    struct wall now;
    struct json_doc *kept[2]; /* owns the next two */
    const struct json *minutes,
        *hours; /* figures: 24 h by the minute, 31 days by the hour; NULL: not known */
    double numbers[CHECK_NUMBER_COUNT]; /* of the last 7 days; NAN: not known */
    size_t number_hours;                /* so many rows they are of */
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

/* ---- check_trends.c */
void check_measure(struct check_context *x); /* asks a node that answers (x->status) for its figures */
void check_forget(struct check_context *x);  /* frees them */
void check_maxima(const struct check_context *x, struct check_result *r, const char *names); /* of 24 h */
void check_disk(struct check_context *x, struct check_result *r);                            /* W2 */
void check_baseline(struct check_context *x, struct check_result *r);                        /* W5 */
void check_capacity(struct check_context *x, struct check_result *r);                        /* M3 */

/* Sets status, level and finding; adds to the evidence. */
void check_found(struct check_result *r, enum health_status s, enum health_level level, const char *format,
                 ...) PRINTF_LIKE(4, 5);
void check_evidence(struct check_result *r, const char *format, ...) PRINTF_LIKE(2, 3);
#define CHECK_WELL(r, ...) check_found(r, HEALTH_OK, HEALTH_NO_LEVEL, __VA_ARGS__)
#define CHECK_P2(r, ...) check_found(r, HEALTH_WARNING, HEALTH_P2, __VA_ARGS__)
#define CHECK_P1(r, ...) check_found(r, HEALTH_CRITICAL, HEALTH_P1, __VA_ARGS__)
const struct check_row *check_find(const char *id);

#endif
