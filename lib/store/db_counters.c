/* lib/store/db_counters.c: what the quotas look at, kept in memory while a transaction runs and written once
 * at its end: a batch of a thousand messages of one sender changes each counter's row once. */
#include "store/db_query.h"

static const char *const total_keys[TOTAL_COUNT] = {
#define TOTAL_KEY(symbol, key) [TOTAL_##symbol] = key,
    TOTALS(TOTAL_KEY)};

bool db_load_totals(struct db *db) {
    memset(db->totals, 0, sizeof(db->totals));
    memset(db->totals_dirty, 0, sizeof(db->totals_dirty));
    struct query q = query_open(db, SQL_TOTALS_LOAD);
    while (query_row(&q)) {
        struct bytes key = column_bytes(&q, 0);
        for (size_t i = 0; i < TOTAL_COUNT; i++) {
            if (bytes_is(key, total_keys[i])) db->totals[i] = column_int(&q, 1);
        }
    }
    query_end(&q);
    return db->rc == SQLITE_OK;
}

void total_set(struct db *db, enum total t, int64_t v) {
    db->totals[t] = v;
    db->totals_dirty[t] = true;
}

/* Never below zero: a row that somebody else removed must not make a quota endless. */
void total_add(struct db *db, enum total t, int64_t delta) {
    int64_t v = db->totals[t];
    total_set(db, t, delta < 0 && v < -delta ? 0 : v + delta);
}

static bool party_write(struct db *db, struct party *p) {
    if (!p->dirty) return true;
    if (!party_number(db, p)) return false;
    struct query q = query_open(db, SQL_PARTY_PUT);
    bind_int(&q, 1, p->n);
    bind_int(&q, 2, p->inbox_messages);
    bind_int(&q, 3, p->inbox_bytes);
    bind_int(&q, 4, p->outbox_messages);
    bind_int(&q, 5, p->outbox_bytes);
    if (!query_run(&q)) return false;
    db->changes_before++; /* no change of the present operation's, which may fail without losing it */
    p->dirty = false;
    return true;
}

bool party_number(struct db *db, struct party *p) {
    if (p->n != 0) return true;
    struct query q = query_open(db, SQL_PARTY_ADD);
    bind_str(&q, 1, p->text);
    if (!query_run(&q)) return false;
    db->changes_before++;
    p->n = sqlite3_last_insert_rowid(db->sql);
    return true;
}

/* Any spread will do: peers that share a slot on purpose cost a query each, no more. */
static size_t slot_of(const struct peer_id *peer) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < peer->n; i++) hash = (hash ^ peer->p[i]) * 16777619u;
    return (hash >> 16 ^ hash) % PARTY_SLOTS;
}

struct party *party_find(struct db *db, const struct peer_id *peer) {
    struct party *p = &db->parties[slot_of(peer)];
    if (peer->n == 0 || db->rc != SQLITE_OK) return NULL;
    if (peer_id_eq(&p->peer, peer)) return p;
    if (!party_write(db, p)) return NULL;
    *p = (struct party){.peer = *peer};
    peer_to_text(peer, p->text);
    struct query q = query_open(db, SQL_PARTY_GET);
    bind_str(&q, 1, p->text);
    if (query_row(&q)) {
        p->n = column_int(&q, 0);
        p->inbox_messages = column_int(&q, 1);
        p->inbox_bytes = column_int(&q, 2);
        p->outbox_messages = column_int(&q, 3);
        p->outbox_bytes = column_int(&q, 4);
    }
    query_end(&q);
    if (db->rc == SQLITE_OK) return p;
    p->peer.n = 0;
    return NULL;
}

/* Buckets of a quarter of a doubling: 0 1 2 3, 4 5 6 7, 8 10 12 14, 16 20 24 28 ... */
static size_t bucket_of(int64_t ms) {
    if (ms < 4) return ms < 0 ? 0 : (size_t)ms;
    unsigned power = 63u - (unsigned)__builtin_clzll((unsigned long long)ms);
    size_t at = (size_t)(power - 1) * 4 + ((size_t)((uint64_t)ms >> (power - 2)) & 3);
    return MIN(at, (size_t)LATENCY_BUCKETS - 1);
}

static int64_t bucket_from(size_t at) {
    if (at < 4) return (int64_t)at;
    return (int64_t)(4 + at % 4) << (at / 4 - 1);
}

static void latency_load(struct db *db) {
    if (db->latency_loaded) return;
    memset(db->latency, 0, sizeof(db->latency));
    db->latency_sum = 0;
    struct query q = query_open(db, SQL_LATENCY_LOAD);
    while (query_row(&q)) {
        size_t at = bucket_of(column_int(&q, 0));
        int64_t messages = MAX(column_int(&q, 1), (int64_t)0);
        db->latency[at] += messages;
        db->latency_sum += messages;
    }
    query_end(&q);
    db->latency_loaded = db->rc == SQLITE_OK;
}

/* Recent ones count most: when enough came together, all are halved. */
void latency_add(struct db *db, int64_t ms) {
    latency_load(db);
    db->latency[bucket_of(ms)]++;
    db->latency_sum++;
    db->latency_dirty = true;
    if (db->latency_sum < LATENCY_SAMPLES_MAX) return;
    db->latency_sum = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        db->latency[i] = (db->latency[i] + 1) / 2;
        db->latency_sum += db->latency[i];
    }
}

int64_t latency_p95(struct db *db) {
    int64_t sum = 0, until = 0;
    latency_load(db);
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) sum += db->latency[i];
    for (size_t i = 0; i < LATENCY_BUCKETS && sum > 0; i++) {
        until += db->latency[i];
        if (until * 100 >= sum * 95) return bucket_from(i + 1) - 1; /* the bucket's highest value */
    }
    return -1;
}

static void latency_write(struct db *db) {
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        if (db->latency[i] == 0) continue; /* a bucket never goes back to nothing: halving rounds up */
        struct query q = query_open(db, SQL_LATENCY_PUT);
        bind_int(&q, 1, bucket_from(i));
        bind_int(&q, 2, db->latency[i]);
        if (!query_run(&q)) return;
    }
    db->latency_dirty = false;
}

bool db_flush(struct db *db) {
    for (size_t i = 0; i < PARTY_SLOTS && db->rc == SQLITE_OK; i++) party_write(db, &db->parties[i]);
    for (size_t i = 0; i < TOTAL_COUNT && db->rc == SQLITE_OK; i++) {
        if (!db->totals_dirty[i]) continue;
        struct query q = query_open(db, SQL_TOTALS_PUT);
        bind_str(&q, 1, total_keys[i]);
        bind_int(&q, 2, db->totals[i]);
        if (query_run(&q)) db->totals_dirty[i] = false;
    }
    if (db->latency_dirty && db->rc == SQLITE_OK) latency_write(db);
    return db->rc == SQLITE_OK;
}

void db_forget(struct db *db) {
    for (size_t i = 0; i < PARTY_SLOTS; i++) db->parties[i] = (struct party){0};
    db->latency_loaded = db->latency_dirty = false;
    int rc = db->rc;
    db->rc = SQLITE_OK;
    db_load_totals(
        db); /* if that fails too the counters are zero, and the next transaction loads them again */
    if (db->rc != SQLITE_OK) db->data_version = -1;
    db->rc = rc;
}

#define COUNTERS_OF_ROWS                                                                                     \
    "SELECT 'inbox_messages' AS key, count(*) AS value FROM inbox UNION ALL "                                \
    "SELECT 'inbox_bytes', ifnull(sum(frame_bytes), 0) FROM inbox UNION ALL "                                \
    "SELECT 'inbox_unread', count(*) FROM inbox WHERE is_read = 0 UNION ALL "                                \
    "SELECT 'inbox_stranger_bytes', ifnull(sum(frame_bytes), 0) FROM inbox WHERE stranger <> 0 UNION ALL "   \
    "SELECT 'outbox_queued', count(*) FROM outbox WHERE state = 'queued' UNION ALL "                         \
    "SELECT 'outbox_queued_bytes', ifnull(sum(frame_bytes), 0) FROM outbox WHERE state = 'queued' UNION "    \
    "ALL "                                                                                                   \
    "SELECT 'outbox_failed', count(*) FROM outbox WHERE state <> 'queued' UNION ALL "                        \
    "SELECT 'outbox_failed_bytes', ifnull(sum(frame_bytes), 0) FROM outbox WHERE state <> 'queued' UNION "   \
    "ALL "                                                                                                   \
    "SELECT 'seen_ids', count(*) FROM seen"

void db_recount(struct db *db) {
    static const char sql[] =
        "INSERT OR REPLACE INTO totals(key, value) " COUNTERS_OF_ROWS ";"
        "UPDATE usage SET inbox_messages = 0, inbox_bytes = 0, outbox_messages = 0, outbox_bytes = 0;"
        "INSERT INTO usage(peer, inbox_messages, inbox_bytes) "
        "SELECT peer, count(*), sum(frame_bytes) FROM inbox WHERE true GROUP BY peer ON CONFLICT(peer) DO "
        "UPDATE SET "
        "inbox_messages = excluded.inbox_messages, inbox_bytes = excluded.inbox_bytes;"
        "INSERT INTO usage(peer, outbox_messages, outbox_bytes) "
        "SELECT peer, count(*), sum(frame_bytes) FROM outbox WHERE state = 'queued' GROUP BY peer "
        "ON CONFLICT(peer) DO UPDATE SET "
        "outbox_messages = excluded.outbox_messages, outbox_bytes = excluded.outbox_bytes;";
    if (!db_write_begin(db) || !db_flush(db)) return;
    db->rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
    if (db->rc == SQLITE_OK) db_forget(db);
}

/* A counter that differs from its rows, as the first complaint. */
static enum err check_counters(struct db *db, struct why *w) {
    static const char *const checks[] = {
        "SELECT 'the counter ' || c.key || ' is ' || ifnull(t.value, 0) || ', its rows are ' || c.value FROM "
        "(" COUNTERS_OF_ROWS ") c LEFT JOIN totals t ON t.key = c.key WHERE c.value <> ifnull(t.value, 0)",
        "SELECT 'the counters of ' || u.peer || ' differ from its rows' FROM usage u "
        "LEFT JOIN (SELECT peer, count(*) AS m, sum(frame_bytes) AS b FROM inbox GROUP BY peer) i ON i.peer "
        "= u.peer "
        "LEFT JOIN (SELECT peer, count(*) AS m, sum(frame_bytes) AS b FROM outbox WHERE state = 'queued' "
        "GROUP BY peer) o "
        "ON o.peer = u.peer WHERE u.inbox_messages <> ifnull(i.m, 0) OR u.inbox_bytes <> ifnull(i.b, 0) OR "
        "u.outbox_messages <> ifnull(o.m, 0) OR u.outbox_bytes <> ifnull(o.b, 0)",
    };
    for (size_t i = 0; i < LEN(checks); i++) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(db->sql, checks[i], -1, &s, NULL);
        if (rc == SQLITE_OK) rc = sqlite3_step(s);
        enum err e = OK;
        if (rc == SQLITE_ROW)
            e = fail(w, E_IO, "%s: %s", db->path, (const char *)sqlite3_column_text(s, 0));
        else if (rc != SQLITE_DONE)
            e = db_error(db, rc, w);
        sqlite3_finalize(s);
        if (e != OK) return e;
    }
    return OK;
}

enum err db_check(struct db *db, bool quick, struct why *w) {
    sqlite3_stmt *s = NULL;
    const char *sql = quick ? "PRAGMA quick_check(1)" : "PRAGMA integrity_check(1)";
    int rc = sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_step(s);
    enum err e = OK;
    if (rc != SQLITE_ROW) {
        e = db_error(db, rc, w);
    } else {
        const char *text = (const char *)sqlite3_column_text(s, 0);
        if (text == NULL || strcmp(text, "ok") != 0)
            e = fail(w, E_IO, "%s is damaged: %s", db->path, text == NULL ? "?" : text);
    }
    sqlite3_finalize(s);
    return e != OK ? e : check_counters(db, w);
}
