/* tests/sim/scenario_parts.h: between scenario.c (network, faults, the end), scenario_mail.c (messages:
 * sending, spool, cancelling, trying again, and who follows an inbox) and scenario_files.c (large files). */
#pragma once
#include "tests/sim/scenario.h"

enum request_state { ASKED, TAKEN, REFUSED, UNKNOWN }; /* UNKNOWN: the node died before it answered */
enum client {                                          /* who asks; a request's id is an index, or a node */
              CLIENT_SEND = 1,
              CLIENT_CANCEL,
              CLIENT_RETRY,
              CLIENT_FOLLOW,
              CLIENT_FILE,
              CLIENT_FILE_LIST,
              CLIENT_FILE_ACCEPT,
              CLIENT_FILE_CANCEL
};
struct message_name { /* an id of a message: it has another after `outbox retry` */
    uint8_t id[MESSAGE_ID];
    struct message_name *next;
};
struct sent {
    struct message_name *names; /* the newest first; NULL: its id is not known yet */
    size_t from, to, size;
    enum request_state state;
    int64_t expires_ms;
    bool done;      /* the sender let go of it as delivered */
    bool refused;   /* the receiver said so, finally */
    bool spooled;   /* while its node was down */
    bool cancelled; /* its user asked for that, and may have been heard */
    bool gone;      /* and was told that it is gone */
    unsigned retries;
    size_t found; /* times in the receiver's inbox */
    bool queued, failed;
    char error[64];
};
struct follower {
    bool on, asking, begun, ended;
    int64_t cursor, from; /* the last row it knows; the one it began behind */
    int64_t *rows;        /* all it was given */
    size_t n_rows;
};
struct sent_file {
    size_t from, to, size;
    enum request_state state;
    char id[2 * MESSAGE_ID + 1]; /* "": not known yet */
    int64_t expires_ms;
    bool cancelled_by_sender, cancelled_by_receiver;
    size_t found, rows_out, rows_in;
    char state_out[12], state_in[12], error_out[80];
};
struct scenario {
    struct world *w;
    struct rng rng;
    size_t n;
    bool only_messages;
    struct sent *sent;
    size_t n_sent, most;
    struct map ids;
    struct sent_file *files;
    size_t n_files, most_files;
    struct follower *followers; /* by node */
    struct neighbours {
        size_t *of;
        size_t n;
    } * near;
    bool *denies;      /* by node: takes messages of known peers only */
    bool *went_back;   /* by node: its wall clock did */
    bool *disk_failed; /* by node: it was full, or a sync was an error */
    int64_t *wall_max;
    int64_t end_us; /* of the faults */
    bool private_network, healed, over; /* over: what users were promised is being checked */
    int64_t *last_row; /* while an inbox is walked: by sender */
    size_t walked, crashes, open_before;
    const int64_t *expected; /* while an inbox is walked: rows that its follower was given */
    size_t n_expected;
    bool was_poor;
};
size_t pick(struct scenario *s, size_t n);
bool chance(struct scenario *s, size_t percent);
size_t skewed(struct scenario *s, size_t n); /* small numbers more often than large ones */
/* A request of a user of node `node`; params as JSON. False: the node is down. */
bool ask_node(struct scenario *s, size_t node, enum client client, size_t id, const char *method,
              const char *params, ...) PRINTF_LIKE(6, 7);
bool is_running(const struct scenario *s, size_t node);
size_t index_behind(char letter, struct bytes text); /* "m12:..." is 12; SIZE_MAX: no such text */

/* ---- scenario_mail.c */
void mail_plan(struct scenario *s, size_t messages);
void mail_answered(struct scenario *s, size_t node, enum client client, size_t id, const struct json *answer);
void mail_store(struct scenario *s, size_t node, const struct store_op *op, bool done);
void mail_ended(struct scenario *s, size_t node); /* the node's process ended */
bool mail_is_quiet(const struct scenario *s);
void mail_check(struct scenario *s);
void mail_free(struct scenario *s);

/* ---- scenario_files.c */
void sent_files_plan(struct scenario *s);
void sent_files_answered(struct scenario *s, size_t node, enum client client, size_t id,
                         const struct json *answer);
void sent_files_ended(struct scenario *s, size_t node);
void sent_files_heal(struct scenario *s); /* from time to time: users accept what is offered */
bool sent_files_is_quiet(const struct scenario *s);
void sent_files_found(struct scenario *s, size_t node, const struct sim_row *row); /* in an inbox */
void sent_files_check(
    struct scenario *s); /* reads what is listed; sent_files_found and sent_files_judge come behind */
void sent_files_judge(struct scenario *s);
