/* lib/node/control.h: between control.c (requests: parsing, answering, time-outs) and control_*.c (the
 * methods). The protocol is documented for other programs in contrib/control-protocol.md. */
#ifndef SILKTALK_NODE_CONTROL_H
#define SILKTALK_NODE_CONTROL_H

#include "node/core.h"

enum { CONTROL_ANSWER_SIZE = 16 << 20, CONTROL_REQUESTS_MAX = 1024, CONTROL_READERS_MAX = 256 };

/* A method gets the request and its params. It answers at once, or sets r->wait and answers later. Not OK: w
 * is the error answer. */
typedef enum err control_method(struct node *n, struct request *r, const struct json *params, struct why *w);
struct control_row {
    const char *name;
    control_method *run;
    enum control_right right; /* what its caller must have */
};
extern const struct control_row control_rows[];                   /* ends with a NULL name */
const struct control_row *control_find_method(struct bytes name); /* NULL: there is none */

/* Begins the result object `{"schema":"silktalk.SCHEMA/1",`...; the caller adds members, then control_finish.
 */
struct json_out control_begin(struct request *r, struct buf *line, const char *schema);
void control_finish(struct request *r, struct buf *line,
                    struct json_out *o); /* sends it; the request is done */
/* A whole result: {"schema":…,"items":[…]}, with a descriptor to go along (-1: none). */
void control_items(struct request *r, const char *schema, struct bytes items, int fd);
/* A page of a list in the store: `next` is op->seq, if op->more, else null. */
void control_page(struct request *r, const char *schema, const struct store_op *op);
void control_done(struct request *r);       /* a result of its schema alone */
void control_stream_end(struct request *r); /* {"id":1,"end":true} behind the events */
void control_error(struct request *r, const struct why *w);
struct json_out control_event(struct request *r, struct buf *line); /* `"event":{`, of a stream */
void control_event_end(struct request *r, struct buf *line, struct json_out *o);
void control_event_raw(struct request *r, struct bytes object); /* ready JSON */
/* A store operation that answers r (control_stored finds it by tag). NULL: memory. */
struct store_op *control_op(struct request *r, enum store_kind kind);
void control_give(struct request *r, struct store_op *op);
/* params.peer as PEER; E_USAGE when it is missing. */
enum err control_peer(struct node *n, const struct json *params, struct peer **out, struct why *w);
/* params.for_ms, a time above 0; *out is 0 when there is none: without end. Nonsense is not that. */
enum err control_period(const struct json *params, int64_t *out, struct why *w);
struct request *control_find(const struct node *n, uint64_t tag); /* NULL: it is over */
void request_deadline(struct request *r, struct mono at);         /* E_TIMEOUT then, or what its kind says */

struct sending { /* state of `send`: one item for each peer */
    bool wait, progress;
    int64_t wait_ms; /* 0: as long as it takes */
    size_t n, adding;
    uint64_t bytes; /* of a file that is copied */
    enum err worst;
    struct why why;
    struct sending_item {
        uint8_t id[MESSAGE_ID];
        struct peer_id peer;
        const char *state; /* queued, failed, or the receipt in lower case */
        bool final, refused;
        char text[64];
    } items[];
};
/* Makes it r's state and fills m but for id and body, from what all kinds of `send` have in common. */
enum err sending_begin(struct node *n, struct request *r, const struct json *params, struct message *m,
                       struct why *w);
void sending_wait(struct request *r); /* wait_ms begins, if the caller waits */
enum err send_file(struct node *n, struct request *r, const struct json *params, struct why *w);
/* STORE_FILE_ADD or COPY is done; r may be NULL. Frees op. */
void control_file_copied(struct node *n, struct request *r, struct store_op *op);
void files_answer(struct node *n, struct request *r, struct store_op *op); /* of people's requests */

enum { FIGURES_REPORT = 1 }; /* in flags of a request: the rows become a report */
void report_stored(const struct node *n, struct request *r, const struct store_op *op);

/* Answers of the store, by what the request asked. */
void messages_stored(struct node *n, struct request *r, struct store_op *op);
void messages_timeout(struct node *n, struct request *r);
void status_stored(struct node *n, struct request *r, struct store_op *op);

/* clang-format off */
#define CONTROL_METHODS(X)                                                                                   \
    X("version", method_version, READ) X("status", method_status, READ) X("id", method_id, READ)             \
    X("peers", method_peers, READ) X("peers.list", method_peers, READ)                                       \
    X("peer.show", method_peer_show, READ) X("peer.name", method_peer_name, OWNER)                           \
    X("peer.forget", method_peer_forget, OWNER) X("connect", method_connect, ADMIN)                          \
    X("disconnect", method_disconnect, ADMIN) X("bootstrap.list", method_bootstrap_list, READ)               \
    X("ping", method_ping, ADMIN) X("perf", method_perf, ADMIN) X("explain", method_explain, READ)           \
    X("send", method_send, MESSAGES) X("inbox", method_inbox, MESSAGES)                                      \
    X("inbox.list", method_inbox, MESSAGES) X("inbox.next", method_inbox_next, OWNER)                        \
    X("inbox.mark", method_inbox_mark, OWNER) X("inbox.delete", method_inbox_delete, MESSAGES)               \
    X("read", method_read, MESSAGES) X("outbox", method_outbox, READ)                                        \
    X("outbox.list", method_outbox, READ) X("outbox.retry", method_outbox_retry, ADMIN)                      \
    X("outbox.cancel", method_outbox_cancel, MESSAGES) X("diag.limits", method_limits, READ)                 \
    X("diag.loop", method_loop, READ) X("metrics", method_metrics, READ)                                     \
    X("figures", method_figures, READ) X("report", method_report, READ)                                      \
    X("log.stats", method_log_stats, READ) X("events", method_events, READ)                                  \
    X("events.list", method_events_list, READ) X("top", method_top, READ)                                    \
    X("log.level", method_log_level, ADMIN) X("file", method_file, READ) X("file.list", method_file, READ)   \
    X("file.accept", method_file_accept, OWNER) X("file.cancel", method_file_cancel, OWNER)                  \
    X("file.open", method_file_open, OWNER) X("health", method_health, READ)                                 \
    X("maintenance", method_maintenance, ADMIN) X("check.last", method_check, READ)                          \
    X("config.list", method_config_list, READ) X("reload", method_reload, ADMIN)                             \
    X("stop", method_stop, OWNER)
/* clang-format on */
#define CONTROL_DECLARE(name, run, right) control_method run;
CONTROL_METHODS(CONTROL_DECLARE)

#endif
