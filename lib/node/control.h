/* lib/node/control.h: between control.c (requests: parsing, answering, time-outs) and control_*.c (the
 * methods). The protocol is documented for other programs in contrib/control-protocol.md. */
#ifndef SILKTALK_NODE_CONTROL_H
#define SILKTALK_NODE_CONTROL_H

#include "node/core.h"

enum { CONTROL_ANSWER_SIZE = 16 << 20, CONTROL_REQUESTS_MAX = 1024 };

/* A method gets the request and its params. It answers at once, or sets r->wait and answers later. Not OK: w
 * is the error answer. */
typedef enum err control_method(struct node *n, struct request *r, const struct json *params, struct why *w);
struct control_row {
    const char *name;
    control_method *run;
};
extern const struct control_row control_rows[]; /* ends with a NULL name */

/* Begins the result object `{"schema":"silktalk.SCHEMA/1",`...; the caller adds members, then control_finish.
 */
struct json_out control_begin(struct request *r, struct buf *line, const char *schema);
void control_finish(struct request *r, struct buf *line,
                    struct json_out *o); /* sends it; the request is done */
/* A whole result: {"schema":…,"items":[…]}, with a descriptor to go along (-1: none). */
void control_items(struct request *r, const char *schema, struct bytes items, int fd);
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
enum err send_file(struct node *n, struct request *r, const struct json *params, struct why *w);
/* STORE_FILE_ADD or COPY is done; r may be NULL. Frees op. */
void control_file_copied(struct node *n, struct request *r, struct store_op *op);
void files_answer(struct node *n, struct request *r, struct store_op *op); /* of people's requests */

/* Answers of the store, by what the request asked. */
void messages_stored(struct node *n, struct request *r, struct store_op *op);
void messages_timeout(struct node *n, struct request *r);
void status_stored(struct node *n, struct request *r, struct store_op *op);

/* clang-format off */
#define CONTROL_METHODS(X)                                                                                    \
    X("version", method_version) X("status", method_status) X("id", method_id) X("peers", method_peers)       \
    X("peers.list", method_peers) X("peer.show", method_peer_show) X("peer.name", method_peer_name)           \
    X("peer.forget", method_peer_forget) X("connect", method_connect) X("disconnect", method_disconnect)      \
    X("bootstrap.list", method_bootstrap_list) X("ping", method_ping) X("perf", method_perf)                  \
    X("explain", method_explain) X("send", method_send) X("inbox", method_inbox)                              \
    X("inbox.list", method_inbox) X("inbox.next", method_inbox_next) X("inbox.mark", method_inbox_mark)       \
    X("inbox.delete", method_inbox_delete) X("read", method_read) X("outbox", method_outbox)                  \
    X("outbox.list", method_outbox) X("outbox.retry", method_outbox_retry)                                    \
    X("outbox.cancel", method_outbox_cancel) X("diag.limits", method_limits) X("diag.loop", method_loop) X("metrics", method_metrics) \
    X("figures", method_figures) X("log.stats", method_log_stats) X("events", method_events) X("top", method_top) X("log.level", method_log_level) \
    X("file", method_file) X("file.list", method_file) X("file.accept", method_file_accept)                   \
    X("file.cancel", method_file_cancel) X("file.open", method_file_open)                                     \
    X("health", method_health) X("maintenance", method_maintenance) X("check.last", method_check)             \
    X("config.list", method_config_list) X("reload", method_reload) X("stop", method_stop)
/* clang-format on */
#define CONTROL_DECLARE(name, run) control_method run;
CONTROL_METHODS(CONTROL_DECLARE)

#endif
