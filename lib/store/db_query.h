/* lib/store/db_query.h: private to lib/store: the state behind struct db, and statements whose errors stick.
 *
 * A handler binds, steps and reads without a check after each call: the first error of SQLite stays in
 * db->rc, every later row or write of the operation is then refused, and whoever runs the handler (db.c)
 * looks at db->rc once. */
#ifndef SILKTALK_STORE_DB_QUERY_H
#define SILKTALK_STORE_DB_QUERY_H

#include "base/json.h"
#include "store/db.h"
#include "store/db_sql.h"
#include "store/files.h"

#include <sqlite3.h>

enum {
    BUSY_TAGS = 1024,
    PARTY_SLOTS = 256,
    LATENCY_BUCKETS = 136,
    LATENCY_SAMPLES_MAX = 4096,
    SPOOL_TAKEN_MAX = DB_STEP_MAX,
    SPOOL_NAME_MAX = 128,
    BYTES_GONE_MAX = DB_STEP_MAX, /* as many files as one operation ends */
    BYTES_NAME_SPACE = 256
};

/* Rows of table totals, kept in memory, written once a commit. */
#define TOTALS(X)                                                                                            \
    X(MESSAGES_IN, "messages_in")   /* stored, ever */                                                       \
    X(MESSAGES_OUT, "messages_out") /* delivered, ever */                                                    \
    X(INBOX, "inbox_messages")                                                                               \
    X(INBOX_BYTES, "inbox_bytes") /* of whole frames, as the quotas count */                                 \
    X(INBOX_UNREAD, "inbox_unread")                                                                          \
    X(STRANGER_BYTES, "inbox_stranger_bytes")                                                                \
    X(QUEUED, "outbox_queued")                                                                               \
    X(QUEUED_BYTES, "outbox_queued_bytes")                                                                   \
    X(FAILED, "outbox_failed")                                                                               \
    X(FAILED_BYTES, "outbox_failed_bytes")                                                                   \
    X(SEEN, "seen_ids")                                                                                      \
    X(RUNNING, "running_ms")       /* a clock that jumps of the wall clock do not move: db_tidy.c */         \
    X(RUNNING_AT, "running_at_ms") /* wall time of its last step */
#define TOTAL_SYMBOL(symbol, key) TOTAL_##symbol,
enum total { TOTALS(TOTAL_SYMBOL) TOTAL_COUNT };

/* A row of table usage: a peer's number (which `seen` uses for the 52 letters), and what it takes up. */
struct party {
    struct peer_id peer; /* n 0: the slot is free */
    char text[PEER_TEXT_MAX];
    int64_t n; /* 0: no row yet */
    int64_t inbox_messages, inbox_bytes, outbox_messages, outbox_bytes;
    bool dirty;
};

struct search { /* Knuth, Morris and Pratt: linear, whatever a stranger wrote into the body */
    uint8_t needle[DB_SEARCH_MAX]; /* ASCII lower case */
    uint16_t back[DB_SEARCH_MAX];
    size_t n;
};

struct db {
    sqlite3 *sql;
    sqlite3_stmt *statements[SQL_COUNT];
    char *path, *spool;
    struct files *files; /* NULL: none are kept */
    uint64_t max_pages;
    int rc; /* SQLite's first error within the present operation */
    bool open_transaction;
    int64_t changes_before; /* SQLite's count of changes when the present operation began */
    bool recount;           /* another program wrote into the database: counters are checked at MAINTAIN */
    int64_t data_version;
    int64_t room_pages; /* pages that new messages may still take up, in this transaction */
    size_t wal_pages;
    uint64_t commits; /* that wrote something */
    int64_t totals[TOTAL_COUNT];
    bool totals_dirty[TOTAL_COUNT];
    bool latency_loaded, latency_dirty;
    int64_t latency[LATENCY_BUCKETS], latency_sum;
    int64_t tidy_party; /* where the last MAINTAIN ended in usage */
    int64_t tidy_file;  /* likewise in files that are being received */
    struct party parties[PARTY_SLOTS];
    struct search search;
    struct spool_taken { /* files to be unlinked once their messages are committed */
        char name[SPOOL_NAME_MAX];
    } taken[SPOOL_TAKEN_MAX];
    size_t n_taken;
    struct bytes_gone { /* bytes of files that go once this transaction is committed */
        int64_t seq;
        bool outgoing;
        bool if_undone;              /* they go if it is not, instead: they were made within it */
        char name[BYTES_NAME_SPACE]; /* of a received one, which may be whole */
    } gone[BYTES_GONE_MAX];
    size_t n_gone;
    uint64_t failed_commits;
    int64_t files_at_open;         /* the number of the last row then */
    bool sweep_bytes;              /* once it is committed, what no row wants goes too */
    uint64_t busy_tags[BUSY_TAGS]; /* streams that were answered BUSY, a ring */
    size_t n_busy;
    struct asked { /* the fields of an op that are question and answer: kept for a second run */
        struct peer_id peer;
        int64_t seq;
        uint64_t count;
        struct wall when;
    } asked[DB_BATCH_MAX];
};

/* ---- statements */
struct query {
    struct db *db;
    sqlite3_stmt *s; /* NULL: could not be prepared; db->rc says why */
};
struct query query_open(struct db *db,
                        enum statement which); /* ready to bind; one open query of a kind at a time */
bool query_row(struct query *q);               /* true: a row; false: no more, or an error (db->rc) */
void query_end(struct query *q);               /* resets, forgets the bound values */
bool query_run(struct query *q);               /* steps to the end, then query_end; false: error */

static inline void bind_int(struct query *q, int at, int64_t v) {
    if (q->s != NULL) sqlite3_bind_int64(q->s, at, v);
}
void bind_count(struct query *q, int at, uint64_t v); /* clamped to what SQLite can hold */
/* Borrowed until query_end. An empty view is an empty value, not NULL. */
void bind_bytes(struct query *q, int at, struct bytes v);
void bind_text(struct query *q, int at, struct bytes v);
static inline void bind_str(struct query *q, int at, const char *v) {
    bind_text(q, at, bytes_of(v));
}
static inline int64_t column_int(const struct query *q, int at) {
    return sqlite3_column_int64(q->s, at);
}
struct bytes column_bytes(const struct query *q,
                          int at); /* text or blob; valid until the next query_row or end */
/* First column of the first row, or `otherwise`. */
int64_t query_number(struct db *db, enum statement which, int64_t otherwise);

/* ---- the running transaction */
bool db_write_begin(struct db *db); /* before anything is changed; false: db->rc */
bool db_flush(struct db *db);       /* counters to their tables */
void db_forget(struct db *db);      /* counters are read anew (after a rollback) */
bool db_load_totals(struct db *db);
enum err db_error(struct db *db, int rc, struct why *w); /* SQLite's error as ours, with what to do */

/* ---- counters (db_counters.c) */
void total_add(struct db *db, enum total t, int64_t delta);
void total_set(struct db *db, enum total t, int64_t v);
struct party *party_find(struct db *db,
                         const struct peer_id *peer); /* valid until the next call; NULL: db->rc */
bool party_number(struct db *db, struct party *p);    /* sees to it that p has its row and p->n */
void latency_add(struct db *db, int64_t ms);
int64_t latency_p95(struct db *db); /* ms; -1: nothing measured yet */
void db_recount(struct db *db);     /* all counters from the rows */

/* ---- messages (db_message.c) */
/* A whole frame (length prefix and Frame) that holds one message which keeps the rules. E_INPUT otherwise. */
enum err message_of_frame(struct bytes frame, struct message *m, struct why *w);
void bind_message_text(struct query *q, int at, struct bytes v); /* NULL when empty */
/* Columns `at` to at + 6 of a row: id, sent, expires, type, subject, reply_to, body. Views: until the next
 * row. */
void column_message(const struct query *q, int at, struct message *m);
void peer_to_text(const struct peer_id *peer, char out[PEER_TEXT_MAX]); /* base58; "" for none */
bool column_peer(const struct query *q, int at, struct peer_id *peer);
/* A message by the text of its id: all 32 digits, or a beginning or ending of at least ID_TEXT_MIN that fits
 * one only. */
enum { ID_TEXT_MIN = 6, ID_TEXT_MAX = 2 * MESSAGE_ID };
enum err message_find(struct db *db, bool inbox, struct bytes text, const struct peer_id *from, int64_t *seq,
                      struct store_op *op);
void json_put_id(struct json_out *o, const char *key, struct bytes id);
void json_put_time(struct json_out *o, const char *key, int64_t ms); /* null: never, or beyond year 9999 */

/* ---- handlers: err and why of the op are set by the caller from what they return */
enum err outbox_add(struct db *db, struct store_op *op);
/* The same for one frame; *seq is set. E_REFUSED: a message with this id is there already. */
enum err outbox_put(struct db *db, const struct peer_id *peer, struct bytes frame, const uint64_t limits[6],
                    int64_t *seq, struct store_op *op);
bool outbox_peer_item(struct db *db, const struct peer_id *peer,
                      struct buf *out); /* a record of OUTBOX_PEERS */
enum err outbox_load(struct db *db, struct store_op *op);
enum err outbox_done(struct db *db, struct store_op *op);
/* Rows of a run (RUN_ROWS small messages for one peer, or from one stream) in one statement, each as its own
 * operation would do it. RUN_ROWS, or 0: each must be done by itself. With db->rc the transaction is over. */
size_t outbox_add_run(struct db *db, struct store_op *first, size_t n);
size_t inbox_add_run(struct db *db, struct store_op *first, size_t n);
/* How many of the list from `first` on are receipts of one peer, for seqs one after the other. */
size_t outbox_done_run_length(const struct store_op *first, size_t most);
/* Does the first of these n at once, as outbox_done does each: up to one that is not there or not queued. How
 * many: at least two, or 0: the first must be done by itself. With db->rc the transaction is over. */
size_t outbox_done_run(struct db *db, struct store_op *first, size_t n);
enum err outbox_failed(struct db *db, struct store_op *op);
enum err outbox_tried(struct db *db, struct store_op *op);
enum err outbox_expire(struct db *db, struct store_op *op);
enum err outbox_peers(struct db *db, struct store_op *op);
enum err outbox_list(struct db *db, struct store_op *op);
enum err outbox_retry(struct db *db, struct store_op *op);
enum err outbox_cancel(struct db *db, struct store_op *op);
bool outbox_remove(struct db *db, int64_t seq,
                   struct store_op *op); /* row and counters; op (or NULL): peer, id, seq */
enum err inbox_add(struct db *db, struct store_op *op);
void inbox_tag_busy(struct db *db, uint64_t tag); /* all that follows under this tag is answered BUSY */
/* A received file's place in the inbox, under the id of its offer. */
enum err inbox_add_file(struct db *db, const struct peer_id *peer, const struct message *m, struct bytes name,
                        uint64_t size, struct store_op *op);
bool inbox_has_seen(struct db *db, const struct peer_id *peer, const uint8_t id[MESSAGE_ID]);
enum err inbox_list(struct db *db, struct store_op *op);
enum err inbox_read(struct db *db, struct store_op *op);
enum err inbox_after(struct db *db, struct store_op *op);
enum err inbox_mark(struct db *db, struct store_op *op);
enum err inbox_delete(struct db *db, struct store_op *op);
bool inbox_remove(struct db *db, int64_t seq);
enum err peer_put(struct db *db, struct store_op *op);
enum err peer_drop(struct db *db, struct store_op *op);
enum err peers_load(struct db *db, struct store_op *op);
enum err stranger(struct db *db, struct store_op *op);
enum err meta_get(struct db *db, struct store_op *op);
enum err meta_put(struct db *db, struct store_op *op);
enum err spool_take(struct db *db, struct store_op *op);
void spool_committed(struct db *db); /* unlinks what was taken */
enum err maintain(struct db *db, struct store_op *op);
enum err totals(struct db *db, struct store_op *op);
bool seen_remove_oldest(struct db *db, uint64_t most, int64_t before_ms, uint64_t *gone);

/* ---- large files (db_files.c) */
enum err file_add(struct db *db, struct store_op *op);
enum err file_copy(struct db *db, struct store_op *op);
enum err file_queue(struct db *db, struct store_op *op);
enum err file_read_part(struct db *db, struct store_op *op);
enum err file_tried(struct db *db, struct store_op *op);
enum err file_ended(struct db *db, struct store_op *op);
enum err file_offer(struct db *db, struct store_op *op);
enum err file_write_part(struct db *db, struct store_op *op);
enum err file_check(struct db *db, struct store_op *op);
enum err file_accept(struct db *db, struct store_op *op);
enum err file_cancel(struct db *db, struct store_op *op);
enum err file_open(struct db *db, struct store_op *op);
enum err file_list(struct db *db, struct store_op *op);
void files_put_totals(struct db *db, struct json_out *o);
/* Received ones whose sender must have given up fail; true: there may be more. */
bool files_give_up(struct db *db, int64_t now_ms, uint64_t *gone);
/* Rows that a statement over (?1 time, ?2 limit) yields go; true: there may be more. */
bool files_tidy(struct db *db, enum statement which, int64_t before_ms, uint64_t *gone);

/* ---- bytes of files that go (db_bytes.c) */
/* Within a transaction that changed their row. */
void bytes_go(struct db *db, const struct bytes_gone *gone);
void bytes_settle(struct db *db, bool committed); /* it is over */

/* ---- figures (db_figures.c) */
enum err figures_add(struct db *db, struct store_op *op);
enum err figures_read(struct db *db, struct store_op *op);
enum err log_counts(struct db *db, struct store_op *op);

/* ---- the file (db_schema.c) */
enum err db_configure(struct db *db, struct store_op *op); /* STORE_CONFIGURE */
enum err db_schema_open(struct db *db, const struct store_setup *setup, struct why *w);

/* ---- search (db_search.c) */
bool search_set(struct search *s, struct bytes needle); /* false: empty or longer than DB_SEARCH_MAX */
bool search_in(const struct search *s, struct bytes text);
bool search_install(struct db *db); /* silk_found() and silk_is_text() */

/* seqs of rows: what a statement over (?1 value, ?2 limit) yields. */
size_t collect(struct db *db, enum statement which, int64_t value, size_t most, int64_t seqs[DB_STEP_MAX]);

#endif
