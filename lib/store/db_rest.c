/* lib/store/db_rest.c: peers, strangers, meta, totals, and what has to be tidied from time to time. */
#include "store/db_query.h"

#include <stdio.h>
#include <sys/stat.h>

/* ---- peers: the record is the node's own, opaque here */

enum err peer_put(struct db *db, struct store_op *op) {
    char text[PEER_TEXT_MAX];
    peer_id_text(&op->peer, text);
    struct query q = query_open(db, SQL_PEER_PUT);
    bind_str(&q, 1, text);
    bind_str(&q, 2, op->text);
    bind_int(&q, 3, op->flags);
    bind_int(&q, 4, op->when.ms);
    bind_bytes(&q, 5, buf_view(&op->in));
    query_run(&q);
    return OK;
}

enum err peer_drop(struct db *db, struct store_op *op) {
    char text[PEER_TEXT_MAX];
    peer_id_text(&op->peer, text);
    struct query q = query_open(db, SQL_PEER_DROP);
    bind_str(&q, 1, text);
    query_run(&q);
    return OK;
}

enum err peers_load(struct db *db, struct store_op *op) {
    bool good = true;
    struct query q = query_open(db, SQL_PEERS_LOAD);
    bind_int(&q, 1, op->seq);
    while (good && query_row(&q)) {
        struct peer_id peer;
        struct bytes name = column_bytes(&q, 4), record = column_bytes(&q, 5);
        if (!column_peer(&q, 1, &peer) || name.n > UINT16_MAX || record.n > UINT32_MAX) continue;
        size_t before = op->out.n;
        good = wr_u8(&op->out, peer.n) && buf_add(&op->out, peer_id_view(&peer)) &&
               wr_u64(&op->out, (uint64_t)column_int(&q, 2)) && wr_u32(&op->out, (uint32_t)column_int(&q, 3)) &&
               wr_u16(&op->out, (uint16_t)name.n) && buf_add(&op->out, name) && wr_u32(&op->out, (uint32_t)record.n) &&
               buf_add(&op->out, record);
        if (!good) { /* more peers than one answer holds: the caller asks again behind this one */
            op->out.n = before;
            op->more = true;
        } else {
            op->seq = column_int(&q, 0);
        }
    }
    query_end(&q);
    return OK;
}

enum err stranger(struct db *db, struct store_op *op) {
    char text[PEER_TEXT_MAX];
    peer_id_text(&op->peer, text);
    struct query q = query_open(db, SQL_STRANGER);
    bind_str(&q, 1, text);
    bind_int(&q, 2, op->now.ms);
    if (!query_run(&q)) return OK;
    q = query_open(db, SQL_STRANGERS_CUT);
    bind_count(&q, 1, MAX(op->limits[0], (uint64_t)1));
    query_run(&q);
    return OK;
}

enum err meta_get(struct db *db, struct store_op *op) {
    struct query q = query_open(db, SQL_META_GET);
    bind_str(&q, 1, op->text);
    bool there = query_row(&q), good = !there || buf_add(&op->out, column_bytes(&q, 0));
    query_end(&q);
    if (!good) return fail(&op->why, E_MEMORY, "out of memory");
    return there || db->rc != SQLITE_OK ? OK : fail(&op->why, E_NOT_FOUND, "no such entry");
}

enum err meta_put(struct db *db, struct store_op *op) {
    struct query q = query_open(db, SQL_META_PUT);
    bind_str(&q, 1, op->text);
    bind_bytes(&q, 2, buf_view(&op->in));
    query_run(&q);
    return OK;
}

/* ---- totals */

static int64_t file_bytes(const char *path, const char *suffix) {
    char name[1024];
    struct stat st;
    int n = snprintf(name, sizeof name, "%s%s", path, suffix);
    return n > 0 && (size_t)n < sizeof name && stat(name, &st) == 0 ? (int64_t)st.st_size : 0;
}

enum err totals(struct db *db, struct store_op *op) {
    struct json_out o = json_begin(&op->out);
    int64_t p95 = latency_p95(db), *t = db->totals;
    json_open(&o, NULL, '{');
    json_put_int(&o, "messages_in", t[TOTAL_MESSAGES_IN]);
    json_put_int(&o, "messages_out", t[TOTAL_MESSAGES_OUT]);
    json_put_int(&o, "outbox", t[TOTAL_QUEUED]);
    json_put_int(&o, "outbox_failed", t[TOTAL_FAILED]);
    json_put_int(&o, "outbox_bytes", t[TOTAL_QUEUED_BYTES]);
    json_put_int(&o, "inbox", t[TOTAL_INBOX]);
    json_put_int(&o, "inbox_unread", t[TOTAL_INBOX_UNREAD]);
    json_put_int(&o, "inbox_bytes", t[TOTAL_INBOX_BYTES]);
    json_put_time(&o, "outbox_oldest", query_number(db, SQL_OUTBOX_OLDEST_ALL, 0));
    json_put_int(&o, "database_bytes", file_bytes(db->path, "") + file_bytes(db->path, "-wal"));
    if (p95 < 0) json_put_null(&o, "latency_p95_ms");
    else json_put_int(&o, "latency_p95_ms", p95);
    json_shut(&o, '}');
    return json_end(&o) ? OK : fail(&op->why, E_MEMORY, "out of memory");
}

/* ---- upkeep */

/* Running time: elapsed wall time, but never more than one interval at once, so that a jump of the clock neither forgets
 * remembered ids nor keeps them for ever. */
static void pass_time(struct db *db, int64_t now_ms) {
    enum { STEP_MOST_MS = 3600000 };
    int64_t passed = now_ms - db->totals[TOTAL_RUNNING_AT];
    if (db->totals[TOTAL_RUNNING_AT] != 0 && passed > 0) total_add(db, TOTAL_RUNNING, MIN(passed, (int64_t)STEP_MOST_MS));
    total_set(db, TOTAL_RUNNING_AT, now_ms);
}

/* Rows of `usage` that nothing refers to any more. */
static void drop_idle_parties(struct db *db) {
    int64_t idle[DB_STEP_MAX], last = db->tidy_party;
    size_t n = 0, rows = 0;
    struct query q = query_open(db, SQL_PARTY_IDLE);
    bind_int(&q, 1, db->tidy_party);
    bind_int(&q, 2, DB_STEP_MAX);
    for (; rows < DB_STEP_MAX && query_row(&q); rows++) {
        last = column_int(&q, 0);
        if (column_int(&q, 1) != 0) idle[n++] = last;
    }
    query_end(&q);
    db->tidy_party = rows < DB_STEP_MAX ? 0 : last;
    for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) {
        q = query_open(db, SQL_PARTY_DROP);
        bind_int(&q, 1, idle[i]);
        query_run(&q);
    }
    if (n > 0) memset(db->parties, 0, sizeof db->parties); /* their rows may be gone; none is dirty: flushed below */
}

enum err maintain(struct db *db, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    uint64_t gone = 0;
    if (db->recount) {
        db_recount(db);
        db->recount = false;
    }
    pass_time(db, op->now.ms);
    if (op->limits[0] != 0) {
        size_t n = collect(db, SQL_INBOX_OLD_READ, op->now.ms - (int64_t)MIN(op->limits[0], (uint64_t)INT64_MAX / 2), DB_STEP_MAX, seqs);
        for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) gone += inbox_remove(db, seqs[i]);
        op->more |= n == DB_STEP_MAX;
    }
    int64_t before = db->totals[TOTAL_RUNNING] - (int64_t)MIN(op->limits[1], (uint64_t)INT64_MAX / 2);
    if (before > 0) {
        uint64_t had = gone;
        seen_remove_oldest(db, DB_STEP_MAX, before, &gone);
        op->more |= gone - had == DB_STEP_MAX;
    }
    if (db_flush(db)) drop_idle_parties(db);
    op->count = gone;
    return OK;
}
