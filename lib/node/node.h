/* lib/node/node.h: a SilkTalk node without a kernel: connections, streams, peers, messages and control
 * requests as state, fed with events and drained of effects. The daemon (ops/daemon.c) joins it to sockets,
 * disk and clock; the simulation joins thousands of them to each other.
 *
 * One turn: the owner calls node_now, then the node_* events that happened, then node_tick, and then takes
 * effects until there are none, hands out the output of each connection that node_writable names, and sleeps
 * until node_deadline. */
#ifndef SILKTALK_NODE_NODE_H
#define SILKTALK_NODE_NODE_H

#include "node/config.h"
#include "node/store_op.h"

struct node;
struct node_setup {
    const struct identity *self; /* borrowed for the node's life */
    const uint8_t *swarm_key;    /* 32 bytes, or NULL: no private network; copied */
    struct config *config;       /* ownership goes to the node */
    struct log *log;             /* borrowed */
    struct rng rng;
    struct clocks now;
    const char *version, *home; /* borrowed */
    const char *source_id;      /* of the program, for metrics; NULL: unknown */
    /* whose disks are watched (borrowed), by enum space_kind; NULL: none */
    const char *folders[SPACE_USES];
    struct bytes page; /* HTML of GET /, borrowed; its style and script are in one element each */
    int pid;
};
struct node *node_new(const struct node_setup *setup); /* NULL: out of memory (config is freed then too) */
void node_free(struct node *n);
void node_now(struct node *n, struct clocks now);
void node_tick(struct node *n);
struct mono node_deadline(const struct node *n); /* MONO_NEVER: nothing planned */
void node_stop(struct node *n);                  /* begins a graceful stop: no new work, GoAway to all */
bool node_drained(const struct node *n);         /* all output and store operations are out: may exit */

/* ---- connections: ids are unique for the process, never 0 */
/* May the daemon accept now? False: leave them in the kernel's queue (limits connections, inbound_pending).
 */
bool node_accepting(const struct node *n);
/* An inbound connection. 0: refused (rule or limit): close it without a word. */
uint32_t node_accepted(struct node *n, const struct endpoint *remote, const struct endpoint *local);
/* A dial of EFFECT_DIAL ended: why NULL: connected. */
void node_dialed(struct node *n, uint32_t id, const struct endpoint *local, const struct why *why);
/* Where to read into: reserve room in it, append, then call node_received. NULL: do not read now (back
 * pressure) or unknown id. */
struct buf *node_rx(struct node *n, uint32_t id);
void node_received(struct node *n, uint32_t id);
void node_hangup(struct node *n, uint32_t id, enum err reason,
                 const char *text);                /* end of stream: E_CLOSED */
struct bytes node_tx(struct node *n, uint32_t id); /* waiting output */
void node_sent(struct node *n, uint32_t id, size_t bytes);
uint32_t node_writable(struct node *n);               /* next connection that got new output; 0: none */
bool node_reading(const struct node *n, uint32_t id); /* false: node_rx would be NULL; keep POLLIN off */

/* ---- what the daemon tells about listening and names */
void node_listening(struct node *n, const struct endpoint *endpoints,
                    size_t count); /* concrete addresses, no 0.0.0.0 */
struct node_resolved {
    struct ip ips[32];
    size_t n_ips;
    const struct bytes *texts; /* TXT records, borrowed for the call */
    size_t n_texts;
};
void node_resolve_done(struct node *n, uint32_t query, const struct node_resolved *answer,
                       const struct why *why);

/* ---- the store gives an operation back; ownership returns to the node */
void node_stored(struct node *n, struct store_op *op);

/* ---- control requests: one JSON line each (operations.md S12); `uid`, `pid` as the kernel tells them */
/* What a caller may, and what a method needs (operations.md S4, S10): from all to the least. Each may what
 * those behind it may. OWNER: whoever has the node's home. */
#define CONTROL_RIGHTS(X) X(OWNER) X(ADMIN) X(MESSAGES) X(READ)
#define CONTROL_RIGHT_SYMBOL(name) RIGHT_##name,
enum control_right { CONTROL_RIGHTS(CONTROL_RIGHT_SYMBOL) };
struct node_client {
    uint32_t id; /* below 1 << 30 */
    uint32_t uid, pid;
    enum control_right may;
    int fd; /* of a regular file that came with the request; -1: none, and when the node took it over */
};
/* False: there is no memory for a request, and so no answer: the client's connection must end. */
bool node_request(struct node *n, struct node_client *client, struct bytes line);
void node_client_gone(struct node *n, uint32_t client);

/* A new configuration (ownership goes to the node): swaps all reloadable keys at once; appends the names of
 * keys that changed, and of those that wait for a restart, to the two buffers (either may be NULL). */
void node_reconfigure(struct node *n, struct config *config, struct buf *changed, struct buf *pending);
const struct config *node_config(const struct node *n);
void node_dump(struct node *n); /* SIGUSR1: status, limits, memory as EV_STATE lines */
void node_status_line(struct node *n, char *out, size_t size); /* systemd's STATUS= */

/* Buffers are at node.memoryMax, or what came at network.maxDownload: nobody is read for now. */
bool node_paused(const struct node *n);
bool node_client_busy(const struct node *n, uint32_t client); /* it waits for an answer */
uint64_t node_outbox(const struct node *n);                   /* messages not delivered yet */

/* ---- HTTP (operations.md S4): its clients, by ids of their own; bytes as of connections */
/* False: all places are taken; node_http_make_room lets the longest idle client go. */
bool node_http_accepting(const struct node *n);
void node_http_make_room(struct node *n);
/* `remote` NULL: a unix socket. 0: close it. */
uint32_t node_http_accepted(struct node *n, const struct endpoint *remote, bool tls);
size_t node_http_room(const struct node *n, uint32_t id); /* bytes it takes now; 0: do not read */
/* At most node_http_room. */
void node_http_received(struct node *n, uint32_t id, struct bytes data);
void node_http_ended(struct node *n, uint32_t id); /* the client sends no more */
struct bytes node_http_tx(const struct node *n, uint32_t id);
void node_http_sent(struct node *n, uint32_t id, size_t bytes);
bool node_http_done(const struct node *n, uint32_t id); /* all is sent: close it */
bool node_http_cut(const struct node *n, uint32_t id);  /* close it, whatever the owner still holds for it */
void node_http_gone(struct node *n, uint32_t id);       /* its socket is closed */
uint32_t node_http_next(struct node *n); /* next client with new output, or that is done; 0: none */
/* The text of http.tokenFile replaces the tokens known. E_INPUT: nothing changed. */
enum err node_http_tokens(struct node *n, struct bytes file, struct why *w);
/* NULL: it carries messages. Else why not, a line with its \n. */
const char *node_not_ready(const struct node *n);

enum { NODE_LOOP_BUCKETS = 24 };
/* What the owner measured of this process and its host; -1: not known. */
struct node_resources {
    struct node_loop { /* the owner's loop: turns in microseconds; slow: longer than 10 ms */
        uint64_t turns, slow;
        int64_t mean_us, p50_us, p99_us, max_us;
        char slowest_part[32];              /* of the last slow turn */
        uint64_t bucket[NODE_LOOP_BUCKETS]; /* turns below 2^i microseconds; the last one has the rest */
        int64_t total_us;
    } loop;
    int64_t resident_bytes, cpu_us, fds, fds_max; /* of this process */
    int64_t own_cpu_permille, host_cpu_permille;  /* over 60 s: of one core; of all */
    int64_t memory_permille; /* used, of the host or of the control group's limit: the larger */
    int64_t memory_total, memory_available, cgroup_limit, cgroup_used; /* bytes */
    int64_t load_milli[3];
    uint64_t log_lost; /* lines that could not be written or sent */
    uint64_t log_queued, log_remote_queued;   /* bytes that wait for disk and server */
    uint64_t log_dropped, log_remote_dropped; /* lines for which there was no room there */
};
extern const struct node_resources node_resources_unknown; /* nothing was measured */
/* max(host, the node's share of one core) in thousandths, as health.cpu* judges it; -1: not known. */
int64_t node_cpu_permille(const struct node_resources *r);
void node_measured(struct node *n, const struct node_resources *r);
const struct space_use *node_spaces(const struct node *n); /* of its folders, as last measured */
/* An HTTP request was answered: `path` is a literal of the table of routes ("/health"; "other"). */
void node_count_http(struct node *n, const char *path, unsigned code);
/* And what it found out for health (node/health.h); turn_us: the longest turn since it last told. Every few
 * seconds. */
struct health_facts;
void node_health_measured(struct node *n, const struct health_facts *f, int64_t turn_us);
/* Judges, and appends the JSON of /health (operations.md S4). False: `out` refused. */
bool health_write(struct node *n, struct buf *out);

struct node_effect {
    enum node_effect_kind {
        EFFECT_DIAL,    /* connect `id` to `endpoint` */
        EFFECT_CLOSE,   /* close `id` after what is in its output (try), then forget it */
        EFFECT_RESOLVE, /* query `id`: name, of kind */
        EFFECT_STORE,   /* op: ownership goes to the taker */
        EFFECT_ANSWER,  /* client `id`: line, without its \n; valid until the next node_* call */
        EFFECT_POST,    /* POST `line` (JSON) to alerts.webhook, then node_posted: `id` */
        EFFECT_RELOAD   /* client asked: the owner reads the files and calls node_reconfigure, then
                           node_reloaded */
    } kind;
    uint32_t id;
    struct endpoint endpoint;
    char name[256];
    enum node_resolve_kind { RESOLVE_A = 1, RESOLVE_AAAA = 2, RESOLVE_BOTH = 3, RESOLVE_TXT = 4 } resolve;
    struct store_op *op;
    struct bytes line; /* of a POST: valid until the next node_* call */
    int fd;           /* ANSWER: goes with the line, and is the taker's to close; -1: none */
    struct buf owned; /* the node's own: where `line` lives */
};
bool node_effect(struct node *n, struct node_effect *out);
/* The owner's answer to EFFECT_RELOAD (and what SIGHUP did). why NULL: it was applied. */
void node_reloaded(struct node *n, const struct why *why, struct bytes changed, struct bytes pending);
/* EFFECT_POST has ended. why NULL: the server answered with a status of 200 to 299. `to`: its host, for the
 * log. */
void node_posted(struct node *n, uint32_t id, const char *to, const struct why *why);
/* True once after a request asked the daemon to stop or restart itself (`stop`): exit gracefully. */
bool node_stop_asked(struct node *n, int64_t *drain_ms);

#endif
