/* lib/store/db_tidy.c: totals for people and metrics, and what goes with time. */
#include "store/db_query.h"

enum { CLOCK_STEP_MAX_MS = 24 * 3600 * 1000 };

enum err totals(struct db *db, struct store_op *op) {
    int64_t pages = query_number(db, SQL_PAGE_COUNT, 0), oldest = query_number(db, SQL_OUTBOX_OLDEST_ALL, 0);
    int64_t p95 = latency_p95(db);
    struct json_out o = json_begin(&op->out);
    json_open(&o, NULL, '{');
    json_put_int(&o, "messages_in", db->totals[TOTAL_MESSAGES_IN]);
    json_put_int(&o, "messages_out", db->totals[TOTAL_MESSAGES_OUT]);
    json_put_int(&o, "outbox", db->totals[TOTAL_QUEUED]);
    json_put_int(&o, "outbox_bytes", db->totals[TOTAL_QUEUED_BYTES]);
    json_put_time(&o, "outbox_oldest", oldest);
    json_put_int(&o, "outbox_failed", db->totals[TOTAL_FAILED]);
    json_put_int(&o, "inbox", db->totals[TOTAL_INBOX]);
    json_put_int(&o, "inbox_unread", db->totals[TOTAL_INBOX_UNREAD]);
    json_put_int(&o, "inbox_bytes", db->totals[TOTAL_INBOX_BYTES]);
    json_put_int(&o, "inbox_stranger_bytes", db->totals[TOTAL_STRANGER_BYTES]);
    json_put_int(&o, "remembered_ids", db->totals[TOTAL_SEEN]);
    json_put_int(&o, "database_bytes", (pages + (int64_t)db->wal_pages) * DB_PAGE);
    if (p95 < 0)
        json_put_null(&o, "latency_p95_ms");
    else
        json_put_int(&o, "latency_p95_ms", p95);
    files_put_totals(db, &o);
    json_shut(&o, '}');
    return json_end(&o) ? OK : fail(&op->why, E_MEMORY, "out of memory");
}

/* Remembered ids go by elapsed time: a wall clock that jumps ahead by a year must not let every old message
 * in again. So they carry the time of a clock that moves on by at most a day a call, and never back. */
static void step_clock(struct db *db, struct wall now) {
    int64_t passed = now.ms - db->totals[TOTAL_RUNNING_AT];
    if (db->totals[TOTAL_RUNNING_AT] > 0 && passed > 0) {
        total_add(db, TOTAL_RUNNING, MIN(passed, (int64_t)CLOCK_STEP_MAX_MS));
    }
    total_set(db, TOTAL_RUNNING_AT, now.ms);
}

/* Removes the oldest, up to `most`, of those stored before `before_ms` of the running clock. True: there may
 * be more. */
bool seen_remove_oldest(struct db *db, uint64_t most, int64_t before_ms, uint64_t *gone) {
    int64_t rows[DB_STEP_MAX];
    size_t n = 0, limit = (size_t)MIN(most, (uint64_t)DB_STEP_MAX);
    struct query q = query_open(db, SQL_SEEN_OLDEST);
    bind_count(&q, 1, limit);
    while (n < limit && query_row(&q) && column_int(&q, 1) < before_ms) rows[n++] = column_int(&q, 0);
    query_end(&q);
    for (size_t i = 0; i < n; i++) {
        q = query_open(db, SQL_SEEN_DROP);
        bind_int(&q, 1, rows[i]);
        if (query_run(&q)) total_add(db, TOTAL_SEEN, -1);
    }
    *gone = n;
    return n == limit;
}

/* Rows of usage that count nothing and that no remembered id refers to, a few at each call. */
static uint64_t drop_parties(struct db *db) {
    int64_t rows[DB_STEP_MAX], last = 0;
    size_t n = 0, looked = 0;
    if (!db_flush(db)) return 0;
    struct query q = query_open(db, SQL_PARTY_IDLE);
    bind_int(&q, 1, db->tidy_party);
    bind_int(&q, 2, DB_STEP_MAX);
    for (; looked < DB_STEP_MAX && query_row(&q); looked++) {
        last = column_int(&q, 0);
        if (column_int(&q, 1) != 0) rows[n++] = last;
    }
    query_end(&q);
    db->tidy_party = looked < DB_STEP_MAX ? 0 : last;
    for (size_t i = 0; i < n; i++) {
        q = query_open(db, SQL_PARTY_DROP);
        bind_int(&q, 1, rows[i]);
        query_run(&q);
    }
    for (size_t i = 0; n > 0 && i < PARTY_SLOTS; i++)
        db->parties[i] = (struct party){0}; /* all written above */
    return n;
}

static int64_t before(int64_t now_ms, uint64_t age_ms) {
    return age_ms > (uint64_t)INT64_MAX / 2 ? INT64_MIN / 2 : now_ms - (int64_t)age_ms;
}

enum err maintain(struct db *db, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    step_clock(db, op->now);
    if (db->recount) {
        db_recount(db);
        if (db->rc != SQLITE_OK) return E_IO;
        db->recount =
            false; /* if this commit fails, the next transaction finds the same data_version: see db_forget */
    }
    op->count = 0;
    if (op->limits[0] > 0) {
        size_t n = collect(db, SQL_INBOX_OLD_READ, before(op->now.ms, op->limits[0]), DB_STEP_MAX, seqs);
        for (size_t i = 0; i < n; i++) op->count += inbox_remove(db, seqs[i]) ? 1 : 0;
        op->more = n == DB_STEP_MAX;
    }
    if (op->limits[1] > 0) {
        uint64_t gone = 0;
        bool more = seen_remove_oldest(db, DB_STEP_MAX, before(db->totals[TOTAL_RUNNING], op->limits[1]),
                                       &gone);
        op->more = op->more || more;
        op->count += gone;
    }
    if (op->limits[2] > 0) {
        size_t n = collect(db, SQL_OUTBOX_OLD_FAILED, before(op->now.ms, op->limits[2]), DB_STEP_MAX, seqs);
        for (size_t i = 0; i < n; i++) op->count += outbox_remove(db, seqs[i], NULL) ? 1 : 0;
        op->more = op->more || n == DB_STEP_MAX;
    }
    for (size_t i = 3; i < 5; i++) {
        if (op->limits[i] == 0) continue;
        bool more = files_tidy(db, i == 3 ? SQL_FILE_OLD_OFFERS : SQL_FILE_OLD_ENDED,
                               before(op->now.ms, op->limits[i]), &op->count);
        op->more = op->more || more;
    }
    if (op->limits[4] > 0) {
        bool more = files_give_up(db, op->now.ms, &op->count);
        op->more = op->more || more;
    }
    op->count += drop_parties(db);
    op->more = op->more || db->tidy_party != 0;
    return OK;
}
