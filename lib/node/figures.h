/* lib/node/figures.h: the node's own figures: a row for each minute (kept 2 days) and each hour (31 days) in
 * the store, and how often each event was logged, by hour and peer (31 days). `report`, the status page and
 * checks read them: STORE_FIGURES and STORE_LOG_COUNTS, over the control socket `figures` and `log.stats`.
 *
 * Columns of FIGURES: symbol; name (column of table figures, JSON key); how minutes become an hour. A figure
 * that is not known is null. New ones go to the end, and a migration (store/db_schema.c) adds their column.
 */
#ifndef SILKTALK_NODE_FIGURES_H
#define SILKTALK_NODE_FIGURES_H

#include "base/base.h"

#define FIGURES(X)                                                                                           \
    X(UP, "up_seconds", SUM)                                                                                 \
    X(CONNECTIONS, "connections", MEAN)                                                                      \
    X(CONNECTIONS_MAX, "connections_max", MAX)                                                               \
    X(PEERS, "peers", MEAN)                                                                                  \
    X(OPENED, "connections_opened", SUM)                                                                     \
    X(CLOSED, "connections_closed", SUM)                                                                     \
    X(REFUSED, "refused", SUM) /* access rules, failed handshakes */                                         \
    X(MESSAGES_IN, "messages_in", SUM)                                                                       \
    X(MESSAGES_OUT, "messages_out", SUM) /* delivered */                                                     \
    X(OPERATIONS, "operations", SUM)                                                                         \
    X(FAILED, "operations_failed", SUM)                                                                      \
    X(BYTES_IN, "bytes_in", SUM)                                                                             \
    X(BYTES_OUT, "bytes_out", SUM)                                                                           \
    X(LATENCY_P50, "latency_p50_ms", MEAN)                                                                   \
    X(LATENCY_P95, "latency_p95_ms", MEAN)                                                                   \
    X(LATENCY_MAX, "latency_max_ms", MAX)                                                                    \
    X(CPU, "cpu_permille", MEAN) /* as health.cpu* judges it */                                              \
    X(CPU_MAX, "cpu_max_permille", MAX)                                                                      \
    X(NODE_CPU, "node_cpu_permille", MEAN) /* of one core */                                                 \
    X(MEMORY, "memory_permille", MEAN)                                                                       \
    X(MEMORY_MAX, "memory_max_permille", MAX)                                                                \
    X(RESIDENT, "resident_bytes", MAX)                                                                       \
    X(FDS, "fds", MAX)                                                                                       \
    X(DISK, "disk_permille", MAX)        /* the fullest, bytes or inodes */                                  \
    X(DISK_USED, "disk_used_bytes", MAX) /* of the disk with the database */                                 \
    X(DISK_SIZE, "disk_size_bytes", MAX) /* the same: used, and available to the node */                     \
    X(DATABASE, "database_bytes", MAX)                                                                       \
    X(LOGS, "logs_bytes", MAX)                                                                               \
    X(OUTBOX, "outbox", MAX)                                                                                 \
    X(INBOX, "inbox", MAX)                                                                                   \
    X(KNOWN, "peers_known", MAX)                                                                             \
    X(SLOW_TURNS, "slow_turns", SUM)                                                                         \
    X(WARNINGS, "log_warnings", SUM)                                                                         \
    X(ERRORS, "log_errors", SUM)                                                                             \
    X(LINES, "log_lines", SUM) /* that went to the log file; unknown without one */
#define FIGURE_SYMBOL(symbol, name, fold) FIGURE_##symbol,
enum figure { FIGURES(FIGURE_SYMBOL) FIGURE_COUNT };
#define FIGURE_UNKNOWN INT64_MIN
enum {
    FIGURES_MINUTE_S = 60,
    FIGURES_HOUR_S = 3600,
    FIGURES_MINUTES_MS = 2 * 24 * 3600 * 1000, /* kept so long */
    FIGURES_HOURS_DAYS = 31,
    FIGURES_COUNTS = 1, /* seq of STORE_FIGURES_ADD: it has counts of events, and no minute */
    LOG_COUNTS_PER_HOUR = 500 /* rows with a peer; beyond, events are counted without it */
};

struct node;
/* What a minute is made of, between two rows. */
struct figures {
    struct mono next, sampled;
    uint64_t before[FIGURE_COUNT]; /* counters when the present minute began */
    int64_t sum[FIGURE_COUNT], most[FIGURE_COUNT];
    uint32_t samples[FIGURE_COUNT];
};
void figures_start(struct node *n);
void figures_sample(struct node *n); /* now and then: what goes up and down */
void figures_tick(struct node *n);   /* gives STORE_FIGURES_ADD when a minute has ended */
void figures_flush(struct node *n);  /* the minute that has not ended: before a stop */

#endif
