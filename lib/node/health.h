/* lib/node/health.h: is the node well? One table of checks (operations.md S8), judged from plain values: the
 * same code serves the daemon, /health, and `silktalk health` beside a node that is down. No clock and no
 * kernel: the owner fills the inputs. */
#ifndef SILKTALK_NODE_HEALTH_H
#define SILKTALK_NODE_HEALTH_H

#include <math.h>

#include "base/json.h"
#include "node/config.h"

#define HEALTH_STATUSES(X) X(OK, "ok") X(WARNING, "warning") X(CRITICAL, "critical") X(UNKNOWN, "unknown")
#define HEALTH_STATUS_SYMBOL(symbol, name) HEALTH_##symbol,
enum health_status { HEALTH_STATUSES(HEALTH_STATUS_SYMBOL) HEALTH_STATUS_COUNT };
enum health_level { HEALTH_P0, HEALTH_P1, HEALTH_P2, HEALTH_P3, HEALTH_NO_LEVEL };

/* Name; unit ("%", "s", "": a count, NULL: no number); below: a value under the threshold is the bad one;
 * what it looks at; what to do. */
/* clang-format off */
#define HEALTH_CHECKS(X)                                                                                      \
    X(node, "s", false, "it runs, its loop turns within 5 s, it listens", "silktalk start; silktalk log")     \
    X(cpu, "%", false, "processor, of the host or the node's share of one core, over 60 s", "silktalk diag loop; silktalk peers --sort bytes-in") \
    X(memory, "%", false, "memory, of the host or its cgroup", "silktalk status; lower node.memoryMax or add memory") \
    X(disk, "%", false, "fullest disk of data and logs, space or inodes", "free space; silktalk inbox delete --older 30d") \
    X(connections, "", false, "connections, in and out", "silktalk peers; silktalk config set connection.maxConnections N") \
    X(latency, "s", false, "from a message to its receipt, 95 in 100", "silktalk explain PEER; silktalk diag loop") \
    X(errors, "%", false, "messages and streams that failed", "silktalk outbox; silktalk explain PEER")       \
    X(outbox, "s", false, "age of the oldest undelivered message", "silktalk outbox; silktalk explain PEER")  \
    X(peers, "", true, "connected peers, where any are known", "silktalk bootstrap test; silktalk explain PEER") \
    X(database, NULL, false, "the store answers, and has room", "silktalk log; silktalk diag limits")         \
    X(backup, "s", false, "age of the newest verified backup", "")                                            \
    X(identity, NULL, false, "the key file is there, and is the node's", "put identity.key back, with mode 0600") \
    X(certificate, "s", true, "time that the certificate has left; its key fits", "renew http.tlsCert, then silktalk reload") \
    X(files, NULL, false, "modes of the files with secrets", "chmod 0600 identity.key; chmod 0640 the others") \
    X(clock, "s", false, "offset to the clocks of peers", "timedatectl set-ntp true")                         \
    X(audit, NULL, false, "the audit log's chain", "")                                                        \
    X(logs, NULL, false, "log lines get to their file, and to logging.remote", "look at the log folder: space, mode, owner") \
    X(limits, "", false, "named limits of the whole node that were hit", "silktalk diag limits")             \
    X(alerts, "", false, "alerts get to alerts.webhook and alerts.peers", "silktalk log --event Alert; look at alerts.webhook and https.proxy")
/* clang-format on */
#define HEALTH_CHECK_SYMBOL(name, unit, below, meaning, fix) HEALTH_CHECK_##name,
enum health_check { HEALTH_CHECKS(HEALTH_CHECK_SYMBOL) HEALTH_CHECK_COUNT };
struct health_row {
    const char *name, *unit;
    bool below;
    const char *meaning, *fix;
};
extern const struct health_row health_rows[HEALTH_CHECK_COUNT];

/* What is measured outside of the node: by the daemon, or by the command line beside a dead one. NAN: can not
 * be known here. */
struct health_facts {
    double cpu_percent, memory_percent, disk_percent;
    bool cpu_later;               /* it is measured over a minute that is not over */
    const char *cpu_of, *disk_of; /* "host", "node"; "data", "logs", "inodes of data"... literals */
    int64_t disk_free_bytes;
    char identity[128], database[128], certificate[128], files[128],
        logs[128];       /* what is wrong; "": nothing */
    char log_server[128]; /* why logging.remote is not reached; "": it is, or there is none */
    bool files_critical; /* the identity's own mode */
    bool has_certificate;
    double certificate_seconds; /* left */
    uint64_t lines_lost;        /* log lines that were not written, ever */
    uint64_t lines_unsent;      /* those that logging.remote did not take, ever */
    size_t listeners_lost;
};
void health_facts_init(struct health_facts *f); /* nothing known, nothing wrong */

struct health_numbers { /* the running node's own */
    int64_t uptime_ms, turn_us, window_ms;
    bool stopping, listens, wants_to_listen;
    uint64_t connections, peers, known_peers, latency_samples, operations, failed, outbox;
    int64_t latency_p95_ms, outbox_age_ms;                           /* -1: none */
    uint64_t database_faults, database_full, lines_lost, lines_unsent, limits_hit; /* within the window */
    char limits[96];                                                 /* their names */
    int64_t store_stuck_ms; /* the store has owed an answer for so long */
    int64_t clock_offset_ms;
    size_t clock_peers; /* that told the time; 0: nothing known */
    uint64_t alerts;    /* that wait */
    char alerts_fault[112]; /* why they are not told; "": they are */
};
struct health_input {
    const struct config *config;
    const struct health_facts *facts;     /* NULL: nothing was measured; those checks are not judged */
    const struct health_numbers *numbers; /* NULL: the node does not run, or does not answer */
    const char *down;                     /* why there are no numbers */
    bool unreachable;                     /* it may be well all the same: we are not let in */
    struct wall now;
};
struct health_result {
    enum health_status status;
    enum health_level level;
    bool judged; /* false: the verdict does not look at it (of a later delivery, or no node to ask) */
    double value, normal, warning, critical; /* in the row's unit; NAN: none */
    char message[160];
    const char *fix; /* instead of the row's, or NULL */
    struct wall since; /* it has had this status */
};
struct health {
    struct health_result of[HEALTH_CHECK_COUNT];
    bool begun;
};
/* Judges all; `since` of a check goes on while its status stays. */
void health_judge(struct health *h, const struct health_input *in);
const char *health_verdict(const struct health *h); /* "healthy", "degraded", "unhealthy" */
const char *health_status_name(enum health_status s);
enum health_status health_status_of(struct bytes name); /* HEALTH_UNKNOWN for others */
/* The array "checks" of /health. */
void health_checks_json(const struct health *h, struct json_out *o);

/* ---- health_words.c: of /health's JSON. `only`: names of checks, a comma list; NULL: all */
bool health_wanted(const struct json *check, const char *only);
/* Its status; HEALTH_OK for what is not wanted, or does not count. */
enum health_status health_counted(const struct json *check, const char *only);
void health_message(const struct json *check, struct buf *out); /* "disk 91% (data)" */
/* "outbox oldest 2h; disk 91% (data)": what is not well, or how the node is. */
void health_words(const struct json *health, const char *only, struct buf *out);

#endif
