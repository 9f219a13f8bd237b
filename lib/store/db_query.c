/* lib/store/db_query.c: statements whose errors stick. */
#include "store/db_query.h"

static const char *const sql_texts[SQL_COUNT] = {
#define STATEMENT_TEXT(name, sql) [SQL_##name] = sql,
    STATEMENTS(STATEMENT_TEXT)};

struct query query_open(struct db *db, enum statement which) {
    sqlite3_stmt **s = &db->statements[which];
    if (db->rc != SQLITE_OK) return (struct query){db, NULL};
    if (*s == NULL) {
        db->rc = sqlite3_prepare_v3(db->sql, sql_texts[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
        if (db->rc != SQLITE_OK) return (struct query){db, NULL};
    }
    return (struct query){db, *s};
}

bool query_row(struct query *q) {
    if (q->s == NULL || q->db->rc != SQLITE_OK) return false;
    int rc = sqlite3_step(q->s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) q->db->rc = rc;
    return rc == SQLITE_ROW;
}

void query_end(struct query *q) {
    if (q->s == NULL) return;
    sqlite3_reset(q->s);
    sqlite3_clear_bindings(q->s);
    q->s = NULL;
}

bool query_run(struct query *q) {
    while (query_row(q)) continue;
    query_end(q);
    return q->db->rc == SQLITE_OK;
}

void bind_count(struct query *q, int at, uint64_t v) {
    bind_int(q, at, v > INT64_MAX ? INT64_MAX : (int64_t)v);
}

/* A failed bind leaves NULL, which a NOT NULL column refuses: memory is the only cause, lengths are bounded.
 */
static void note(struct query *q, int rc) {
    if (rc != SQLITE_OK && q->db->rc == SQLITE_OK) q->db->rc = rc;
}

void bind_bytes(struct query *q, int at, struct bytes v) {
    if (q->s == NULL) return;
    if (v.n == 0)
        note(q, sqlite3_bind_zeroblob(q->s, at, 0)); /* a NULL pointer would bind NULL */
    else
        note(q, sqlite3_bind_blob64(q->s, at, v.p, v.n, SQLITE_STATIC));
}

void bind_text(struct query *q, int at, struct bytes v) {
    if (q->s == NULL) return;
    note(q,
         sqlite3_bind_text64(q->s, at, v.n == 0 ? "" : (const char *)v.p, v.n, SQLITE_STATIC, SQLITE_UTF8));
}

struct bytes column_bytes(const struct query *q, int at) {
    const void *p = sqlite3_column_blob(q->s, at); /* of a text value: its bytes */
    return bytes_at(p, p == NULL ? 0 : (size_t)sqlite3_column_bytes(q->s, at));
}

int64_t query_number(struct db *db, enum statement which, int64_t otherwise) {
    struct query q = query_open(db, which);
    int64_t v = query_row(&q) ? column_int(&q, 0) : otherwise;
    query_end(&q);
    return v;
}

size_t collect(struct db *db, enum statement which, int64_t value, size_t most, int64_t seqs[DB_STEP_MAX]) {
    size_t n = 0;
    struct query q = query_open(db, which);
    bind_int(&q, 1, value);
    bind_count(&q, 2, MIN(most, (size_t)DB_STEP_MAX));
    while (n < DB_STEP_MAX && query_row(&q)) seqs[n++] = column_int(&q, 0);
    query_end(&q);
    return n;
}
