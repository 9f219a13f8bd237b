/* lib/store/db.c: the database as a whole: opening, batches, errors. */
#include "store/db_query.h"

#include "base/mem.h"
#include "store/space.h"

#include <errno.h>

enum { RUN_FRAME_MAX = 4096 }; /* bytes: a longer message's row costs far more than its statement */

static enum err nothing(struct db *db, struct store_op *op) {
    (void)db;
    return fail(&op->why, E_FAILED, "no such operation");
}

static enum err space(struct db *db, struct store_op *op) {
    (void)db;
    return space_run(op);
}

static const struct {
    enum err (*run)(struct db *, struct store_op *);
    bool writes;
    bool alone; /* may take long: what came before it is committed and given back first */
} kinds[STORE_KINDS] = {
    [STORE_OUTBOX_ADD] = {outbox_add, true, false},
    [STORE_OUTBOX_LOAD] = {outbox_load, false, false},
    [STORE_OUTBOX_DONE] = {outbox_done, true, false},
    [STORE_OUTBOX_FAILED] = {outbox_failed, true, false},
    [STORE_OUTBOX_TRIED] = {outbox_tried, true, false},
    [STORE_OUTBOX_EXPIRE] = {outbox_expire, true, false},
    [STORE_OUTBOX_PEERS] = {outbox_peers, true, false}, /* writes the counters before it reads them */
    [STORE_OUTBOX_LIST] = {outbox_list, false, false},
    [STORE_OUTBOX_RETRY] = {outbox_retry, true, true},
    [STORE_OUTBOX_CANCEL] = {outbox_cancel, true, false},
    [STORE_INBOX_ADD] = {inbox_add, true, false},
    [STORE_INBOX_LIST] = {inbox_list, false, true},
    [STORE_INBOX_READ] = {inbox_read, true, false},
    [STORE_INBOX_AFTER] = {inbox_after, false, false},
    [STORE_INBOX_MARK] = {inbox_mark, true, false},
    [STORE_INBOX_DELETE] = {inbox_delete, true, true},
    [STORE_PEER_PUT] = {peer_put, true, false},
    [STORE_PEER_DROP] = {peer_drop, true, false},
    [STORE_PEERS_LOAD] = {peers_load, false, false},
    [STORE_STRANGER] = {stranger, true, false},
    /* Alone: their bytes are not the database's, and a part must not be written twice. */
    [STORE_FILE_ADD] = {file_add, true, true},
    [STORE_FILE_COPY] = {file_copy, false, true},
    [STORE_FILE_QUEUE] = {file_queue, true, true},
    [STORE_FILE_READ] = {file_read_part, false, true},
    [STORE_FILE_TRIED] = {file_tried, true, false},
    [STORE_FILE_ENDED] = {file_ended, true, true},
    [STORE_FILE_OFFER] = {file_offer, true, true},
    [STORE_FILE_WRITE] = {file_write_part, false, true},
    [STORE_FILE_CHECK] = {file_check, false, true},
    [STORE_FILE_ACCEPT] = {file_accept, true, true},
    [STORE_FILE_CANCEL] = {file_cancel, true, true},
    [STORE_FILE_OPEN] = {file_open, false, true},
    [STORE_FILE_LIST] = {file_list, false, true},
    [STORE_SPOOL_TAKE] = {spool_take, true, true},
    [STORE_MAINTAIN] = {maintain, true, true},
    [STORE_TOTALS] = {totals, false, false},
    [STORE_META_GET] = {meta_get, false, false},
    [STORE_META_PUT] = {meta_put, true, false},
    [STORE_FIGURES_ADD] = {figures_add, true, false},
    [STORE_FIGURES] = {figures_read, false, true},
    [STORE_LOG_COUNTS] = {log_counts, false, true},
    [STORE_SPACE] = {space, false, true},            /* a file system may take its time */
    [STORE_CONFIGURE] = {db_configure, false, true}, /* what came before it is done under the old limits */
};

enum err db_error(struct db *db, int rc, struct why *w) {
    int os = db->sql == NULL ? 0 : sqlite3_system_errno(db->sql);
    bool no_space = os == ENOSPC || os == EDQUOT || os == EFBIG;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        if (no_space) return fail(w, E_LIMIT, "no space left on the disk of %s", db->path);
        return fail(w, E_LIMIT, "the database is full (database.maxSize): delete messages, or allow more");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return fail(w, E_IO,
                    "%s is damaged: stop the node, copy the file, then restore a backup or move it away",
                    db->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return fail(w, E_IO, "%s cannot be written: check its owner, its mode (0600) and the file system",
                    db->path);
    case SQLITE_CANTOPEN:
        return fail(w, E_IO, "%s cannot be opened: %s", db->path,
                    os == 0 ? "check its folder" : strerror(os));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return fail(w, E_BUSY, "another program keeps %s locked", db->path);
    case SQLITE_NOMEM: return fail(w, E_MEMORY, "out of memory in the database");
    case SQLITE_IOERR:
        if (no_space) return fail(w, E_LIMIT, "no space left on the disk of %s", db->path);
        if (rc == SQLITE_IOERR_NOMEM) return fail(w, E_MEMORY, "out of memory in the database");
        return fail(w, E_IO, "%s: %s%s%s: check the disk", db->path, sqlite3_errstr(rc), os == 0 ? "" : ", ",
                    os == 0 ? "" : strerror(os));
    case SQLITE_TOOBIG: return fail(w, E_LIMIT, "too big for the database");
    default:
        return fail(w, E_IO, "%s: %s", db->path,
                    db->sql == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(db->sql));
    }
}

enum err db_open(struct db **out, const struct store_setup *setup, struct why *w) {
    *out = NULL;
    struct db *db = NEW(struct db);
    if (db == NULL) return fail(w, E_MEMORY, "out of memory");
    db->path = mem_text(setup->path, strlen(setup->path));
    db->spool = setup->spool == NULL ? NULL : mem_text(setup->spool, strlen(setup->spool));
    enum err e = OK;
    if (db->path == NULL || (setup->spool != NULL && db->spool == NULL))
        e = fail(w, E_MEMORY, "out of memory");
    if (e == OK && setup->received != NULL && setup->outgoing != NULL) {
        db->files = files_new(setup->outgoing, setup->received);
        if (db->files == NULL) e = fail(w, E_MEMORY, "out of memory");
    }
    if (e == OK) e = db_schema_open(db, setup, w);
    if (e == OK && (!search_install(db) || !db_load_totals(db))) e = db_error(db, db->rc, w);
    if (e == OK) {
        db->data_version = query_number(db, SQL_DATA_VERSION, -1);
        if (db->rc == SQLITE_OK) db->files_at_open = query_number(db, SQL_FILE_LAST, 0);
        if (db->rc != SQLITE_OK) e = db_error(db, db->rc, w);
    }
    if (e != OK) {
        db_close(db);
        return e;
    }
    *out = db;
    return OK;
}

void db_close(struct db *db) {
    if (db == NULL) return;
    for (size_t i = 0; i < SQL_COUNT; i++) sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->sql); /* the last one out checkpoints and removes the log */
    mem_free(db->path);
    mem_free(db->spool);
    files_free(db->files);
    mem_free(db);
}

/* ---- transactions */
bool db_write_begin(struct db *db) {
    if (db->open_transaction) return true;
    struct query q = query_open(db, SQL_BEGIN);
    if (!query_run(&q)) return false;
    db->open_transaction = true;
    int64_t version = query_number(db, SQL_DATA_VERSION, -1);
    if (version != db->data_version && db->rc == SQLITE_OK) {
        db->recount = true;
        db->data_version = version;
        db_forget(db);
    }
    int64_t pages = query_number(db, SQL_PAGE_COUNT, 0), unused = query_number(db, SQL_FREE_COUNT, 0);
    db->room_pages = (int64_t)db->max_pages - pages + unused - DB_RESERVE_PAGES;
    return db->rc == SQLITE_OK;
}

/* SQLite may have done it by itself. */
static void undo(struct db *db) {
    db->rc = SQLITE_OK;
    if (sqlite3_get_autocommit(db->sql) != 0) return;
    struct query q = query_open(db, SQL_ROLLBACK);
    query_run(&q);
    db->rc = SQLITE_OK;
}

static void rollback(struct db *db) {
    db->rc = SQLITE_OK;
    db->n_taken = 0;
    bytes_settle(db, false);
    if (!db->open_transaction) return;
    db->open_transaction = false;
    undo(db);
    db_forget(db);
    db->rc = SQLITE_OK;
}

/* The log has all of a commit whose sync failed, up to the mark that makes it one: who dies now would find it
 * at the next start, and a message that `send` has reported as failed would go after all. The next commit
 * begins in its place, so there is one at once. That its own sync may fail too does not matter: what it says
 * is harmless. */
static void write_over_failed(struct db *db) {
    uint8_t value[8];
    put_u64(value, ++db->failed_commits);
    struct query q = query_open(db, SQL_BEGIN);
    if (query_run(&q)) {
        q = query_open(db, SQL_META_PUT);
        bind_str(&q, 1, "failed_commits");
        bind_bytes(&q, 2, bytes_at(value, sizeof value));
        if (query_run(&q)) {
            q = query_open(db, SQL_COMMIT);
            query_run(&q);
        }
    }
    undo(db);
}

static enum err commit(struct db *db, struct why *w) {
    db->rc = SQLITE_OK;
    if (!db->open_transaction) return OK;
    struct query q;
    bool done = db_flush(db), tried = done;
    if (done) {
        q = query_open(db, SQL_COMMIT);
        done = query_run(&q);
    }
    if (!done) {
        enum err e = db_error(db, db->rc, w);
        rollback(db);
        if (tried) write_over_failed(db);
        return e;
    }
    db->open_transaction = false;
    db->commits++;
    spool_committed(db);
    bytes_settle(db, true);
    return OK;
}

/* ---- operations */
static void ask(struct asked *a, const struct store_op *op) {
    *a = (struct asked){op->peer, op->seq, op->count, op->when};
}

static void ask_again(const struct asked *a, struct store_op *op) {
    op->peer = a->peer;
    op->seq = a->seq;
    op->count = a->count;
    op->when = a->when;
}

/* What failed was not done at all: a reading goes on from where it began, not behind what nobody got. */
static void failed(struct db *db, struct store_op *op, enum err e, const struct asked *a) {
    op->err = op->why.code = e;
    if (e == OK) return;
    ask_again(a, op);
    buf_clear(&op->out);
    op->more = false;
    op->status = op->kind == STORE_INBOX_ADD ? RECEIPT_BUSY : RECEIPT_NONE;
    if (op->kind == STORE_INBOX_ADD) inbox_tag_busy(db, op->tag);
}

static void unanswered(struct store_op *op) {
    op->err = OK;
    op->why = (struct why){OK, ""};
    op->status = RECEIPT_NONE;
    op->more = false;
    buf_clear(&op->out);
}

/* RUN_ROWS small messages of one peer, and of one stream; 0: there are not so many. */
static size_t add_run_length(const struct store_op *first, size_t most) {
    const struct store_op *op = first;
    for (size_t n = 0; n < RUN_ROWS; n++, op = op->next) {
        if (n == most || op == NULL || op->kind != first->kind || op->in.n > RUN_FRAME_MAX) return 0;
        if (!peer_id_eq(&op->peer, &first->peer)) return 0;
        if (op->kind == STORE_INBOX_ADD && (op->tag != first->tag || op->flags != first->flags)) return 0;
    }
    return RUN_ROWS;
}

/* Messages and receipts come many at a time, in their order: a statement for all of them costs a third of one
 * each. */
static const struct {
    enum store_kind kind;
    size_t (*length)(const struct store_op *first, size_t most);
    size_t (*run)(struct db *, struct store_op *first, size_t n);
} runs[] = {{STORE_OUTBOX_DONE, outbox_done_run_length, outbox_done_run},
            {STORE_OUTBOX_ADD, add_run_length, outbox_add_run},
            {STORE_INBOX_ADD, add_run_length, inbox_add_run}};

/* How many are done; 0: op must be done by itself. */
static size_t apply_run(struct db *db, struct store_op *op, size_t n, bool *broken) {
    size_t k = 0;
    while (k < LEN(runs) && runs[k].kind != op->kind) k++;
    if (k == LEN(runs) || !db->open_transaction) return 0;
    size_t most = runs[k].length(op, DB_BATCH_MAX - n);
    if (most < 2) return 0;
    struct store_op *one = op;
    for (size_t i = 0; i < most; i++, one = one->next) {
        ask(&db->asked[n + i], one);
        unanswered(one);
    }
    db->rc = SQLITE_OK;
    db->changes_before = sqlite3_total_changes64(db->sql);
    size_t run = runs[k].run(db, op, most);
    *broken = db->rc != SQLITE_OK;
    db->rc = SQLITE_OK;
    return *broken ? most : run; /* of a broken one all are done anew, each by itself */
}

/* False: the transaction holds a part of it, or SQLite gave up: it must be rolled back. *rc: SQLite's error.
 * *a: what it asks, to be kept. */
static bool apply(struct db *db, struct store_op *op, struct asked *a, int *rc) {
    bool known = (size_t)op->kind < STORE_KINDS && kinds[op->kind].run != NULL;
    db->rc = SQLITE_OK;
    ask(a, op);
    unanswered(op);
    enum err e = OK;
    bool begun = !known || !kinds[op->kind].writes || db_write_begin(db);
    db->changes_before = sqlite3_total_changes64(db->sql);
    if (begun) e = known ? kinds[op->kind].run(db, op) : nothing(db, op);
    *rc = db->rc;
    if (db->rc != SQLITE_OK) e = db_error(db, db->rc, &op->why);
    bool changed = sqlite3_total_changes64(db->sql) != db->changes_before;
    failed(db, op, e, a);
    db->rc = SQLITE_OK;
    return e == OK || (!changed && (*rc == SQLITE_OK || !db->open_transaction));
}

/* Errors that the next operation would meet too, after waiting as long. */
static bool is_lasting(int rc) {
    int kind = rc & 0xff;
    return kind == SQLITE_BUSY || kind == SQLITE_LOCKED || kind == SQLITE_IOERR || kind == SQLITE_CORRUPT ||
           kind == SQLITE_NOTADB || kind == SQLITE_READONLY || kind == SQLITE_PROTOCOL ||
           kind == SQLITE_CANTOPEN;
}

/* Each in a transaction of its own, from first to last. */
static void one_by_one(struct db *db, struct store_op *first, struct store_op *after, bool again) {
    const struct why *lasting = NULL;
    size_t i = 0;
    for (struct store_op *op = first; op != after; op = op->next, i++) {
        int rc = SQLITE_OK;
        if (again) ask_again(&db->asked[i], op);
        if (lasting != NULL) {
            op->why = *lasting;
            ask(&db->asked[i], op);
            failed(db, op, lasting->code, &db->asked[i]);
            continue;
        }
        if (apply(db, op, &db->asked[i], &rc)) {
            struct why w = {OK, ""};
            enum err e = commit(db, &w);
            if (e == OK) continue;
            op->why = w;
            failed(db, op, e, &db->asked[i]);
            lasting = &op->why; /* a commit that fails is the disk's fault, or the log's */
        } else {
            rollback(db);
            if (is_lasting(rc)) lasting = &op->why;
        }
    }
}

struct store_op *db_batch(struct db *db, struct store_op *first) {
    size_t n = 0, bytes = 0, begin_at = 0;
    bool broken = false;
    struct store_op *op = first, *begin = NULL; /* begin: the first one within the transaction */
    for (; op != NULL && n < DB_BATCH_MAX && bytes < DB_BATCH_BYTES && !broken; op = op->next) {
        bool alone = (size_t)op->kind < STORE_KINDS && kinds[op->kind].alone;
        int rc;
        if (alone && n > 0) break;
        size_t run = apply_run(db, op, n, &broken);
        if (run > 0) {
            n += run;
            bytes += op->in.n;
            for (; run > 1; run--) {
                op = op->next;
                bytes += op->in.n;
            }
            continue;
        }
        bytes += op->in.n;
        broken = !apply(db, op, &db->asked[n++], &rc);
        if (begin == NULL && db->open_transaction) {
            begin = op;
            begin_at = n - 1;
        }
        if (alone) {
            op = op->next;
            break;
        }
    }
    struct why w = {OK, ""};
    if (broken) {
        rollback(db);
        if (n > 1) one_by_one(db, first, op, true);
    } else if (commit(db, &w) != OK) {
        for (struct store_op *lost = begin; lost != op; lost = lost->next) {
            lost->why = w;
            failed(db, lost, w.code, &db->asked[begin_at++]);
        }
    }
    return op;
}

void db_run(struct db *db, struct store_op *op) {
    struct store_op *next = op->next;
    op->next = NULL;
    one_by_one(db, op, NULL, false);
    op->next = next;
}

uint64_t db_commits(const struct db *db) {
    return db->commits;
}

size_t db_wal_pages(const struct db *db) {
    return db->wal_pages;
}

void db_checkpoint(struct db *db, bool truncate) {
    int log = 0, copied = 0;
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    if (truncate) sqlite3_busy_timeout(db->sql, 0); /* a reader is no reason to wait: there is a next time */
    int rc = sqlite3_wal_checkpoint_v2(db->sql, NULL, mode, &log, &copied);
    if (truncate) sqlite3_busy_timeout(db->sql, DB_BUSY_MS);
    if (rc == SQLITE_OK && log == copied) db->wal_pages = 0;
}
