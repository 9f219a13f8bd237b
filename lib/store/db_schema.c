/* lib/store/db_schema.c: the file, its pragmas, its tables and how older ones become newer ones.
 * contrib/schema.md describes the same tables to operators. */
#include "store/db_query.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MODE = 0600, LOG_KEEP_BYTES = 4 << 20, CACHE_KIB_MIN = 256 };

/* Each step makes version `to` out of the one before, in one transaction. Within a major version of SilkTalk
 * tables and columns (with defaults) are only added, so that an older program runs on a newer database after
 * a rollback; a step that older programs must not see raises meta's schema_needs to its version. */
static const struct {
    int to;
    const char *sql;
} migrations[] = {
    {1,
     "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE totals(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE latency(from_ms INTEGER PRIMARY KEY, messages INTEGER NOT NULL);"
     "CREATE TABLE peers(n INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
     " flags INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL, record BLOB NOT NULL);"
     "CREATE TABLE strangers(peer TEXT PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
     " tries INTEGER NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE usage(n INTEGER PRIMARY KEY AUTOINCREMENT, peer TEXT NOT NULL UNIQUE,"
     " inbox_messages INTEGER NOT NULL DEFAULT 0, inbox_bytes INTEGER NOT NULL DEFAULT 0,"
     " outbox_messages INTEGER NOT NULL DEFAULT 0, outbox_bytes INTEGER NOT NULL DEFAULT 0);"
     "CREATE TABLE outbox(seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, peer TEXT NOT NULL,"
     " state TEXT NOT NULL, created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, tries INTEGER NOT NULL "
     "DEFAULT 0,"
     " next_try_ms INTEGER NOT NULL DEFAULT 0, last_error TEXT, content_type TEXT, subject TEXT, reply_to "
     "BLOB,"
     " frame_bytes INTEGER NOT NULL, body BLOB NOT NULL);"
     "CREATE INDEX outbox_queue ON outbox(peer, seq) WHERE state = 'queued';"
     "CREATE INDEX outbox_expiry ON outbox(expires_ms) WHERE state = 'queued';"
     "CREATE INDEX outbox_failed ON outbox(state, seq) WHERE state = 'failed';"
     "CREATE TABLE inbox(seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, peer TEXT NOT NULL,"
     " received_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
     " is_read INTEGER NOT NULL DEFAULT 0, stranger INTEGER NOT NULL DEFAULT 0, content_type TEXT, subject "
     "TEXT,"
     " reply_to BLOB, frame_bytes INTEGER NOT NULL, body BLOB NOT NULL);"
     "CREATE INDEX inbox_id ON inbox(id);"
     "CREATE INDEX inbox_read ON inbox(received_ms) WHERE is_read = 1;"
     /* A plain table that only grows at its end, and one index: half the writes of WITHOUT ROWID with an
      * index by time, since n is the order of time already. */
     "CREATE TABLE seen(n INTEGER PRIMARY KEY, sender INTEGER NOT NULL, id BLOB NOT NULL, stored_ms INTEGER "
     "NOT NULL);"
     "CREATE UNIQUE INDEX seen_id ON seen(sender, id);"
     "INSERT INTO meta(key, value) VALUES('schema_needs', '1');"},
    {2,
     "CREATE TABLE files(seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, peer TEXT NOT NULL,"
     " direction TEXT NOT NULL, state TEXT NOT NULL, size INTEGER NOT NULL, done INTEGER NOT NULL DEFAULT 0,"
     " created_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,"
     " name TEXT NOT NULL, sha256 BLOB NOT NULL, last_error TEXT, offer BLOB NOT NULL);"
     "CREATE UNIQUE INDEX files_id ON files(direction, peer, id);"
     "ALTER TABLE inbox ADD COLUMN file TEXT;"
     "ALTER TABLE inbox ADD COLUMN file_bytes INTEGER;"},
    {3,
     "CREATE TABLE figures(span_s INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
     " up_seconds INTEGER, connections INTEGER, connections_max INTEGER, peers INTEGER,"
     " connections_opened INTEGER, connections_closed INTEGER, refused INTEGER,"
     " messages_in INTEGER, messages_out INTEGER, operations INTEGER, operations_failed INTEGER,"
     " bytes_in INTEGER, bytes_out INTEGER, latency_p50_ms INTEGER, latency_p95_ms INTEGER,"
     " latency_max_ms INTEGER, cpu_permille INTEGER, cpu_max_permille INTEGER,"
     " node_cpu_permille INTEGER, memory_permille INTEGER, memory_max_permille INTEGER,"
     " resident_bytes INTEGER, fds INTEGER, disk_permille INTEGER, disk_used_bytes INTEGER,"
     " disk_size_bytes INTEGER, database_bytes INTEGER, logs_bytes INTEGER, outbox INTEGER,"
     " inbox INTEGER, peers_known INTEGER, slow_turns INTEGER, log_warnings INTEGER,"
     " log_errors INTEGER,"
     " PRIMARY KEY(span_s, at_ms)) WITHOUT ROWID;"
     "CREATE TABLE log_counts(hour_ms INTEGER NOT NULL, event TEXT NOT NULL, peer TEXT NOT NULL,"
     " level TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(hour_ms, event, peer)) WITHOUT ROWID;"},
    {4, "ALTER TABLE figures ADD COLUMN log_lines INTEGER;"},
};

/* What SQLite would do with mode 0644, and through a link. A file that is there is never opened here: closing
 * a second descriptor would drop the locks that this process may hold through SQLite. */
static enum err prepare_file(const char *path, struct why *w) {
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd >= 0) {
        close(fd);
        return OK;
    }
    if (errno == ENOSPC || errno == EDQUOT) return fail(w, E_LIMIT, "%s: no space left on its disk", path);
    if (errno != EEXIST) return fail(w, E_IO, "%s cannot be created: %s", path, strerror(errno));
    if (lstat(path, &st) != 0) return fail(w, E_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return fail(w, E_IO, "%s is no regular file", path);
    if ((st.st_mode & 07777 & ~(mode_t)FILE_MODE) != 0 && chmod(path, FILE_MODE) != 0) {
        return fail(w, E_IO, "%s must have mode 0600, and cannot be given it: %s", path, strerror(errno));
    }
    return OK;
}

static int64_t number(struct db *db, const char *sql, int64_t otherwise) {
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(db->sql, sql, -1, &s, NULL);
    int64_t v = otherwise;
    if (rc == SQLITE_OK) rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) v = sqlite3_column_int64(s, 0);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE && db->rc == SQLITE_OK) db->rc = rc;
    sqlite3_finalize(s);
    return v;
}

static bool execute(struct db *db, const char *sql) {
    if (db->rc == SQLITE_OK) db->rc = sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
    return db->rc == SQLITE_OK;
}

static bool execute_number(struct db *db, const char *format, long long value) {
    char sql[128];
    sqlite3_snprintf(sizeof(sql), sql, format, value);
    return execute(db, sql);
}

/* Whose file is it, and can this program use it? *version: of its schema, 0: empty. */
static enum err recognise(struct db *db, int64_t *version, struct why *w) {
    int64_t id = number(db, "PRAGMA application_id", 0);
    *version = number(db, "PRAGMA user_version", 0);
    int64_t tables = number(db, "SELECT count(*) FROM sqlite_schema", 0);
    if (db->rc != SQLITE_OK) return db_error(db, db->rc, w);
    if (id != DB_APPLICATION_ID && (id != 0 || *version != 0 || tables != 0)) {
        return fail(w, E_INPUT, "%s is a database, but not one of SilkTalk's: move it away", db->path);
    }
    if (id == DB_APPLICATION_ID && *version < 1) {
        return fail(w, E_INPUT, "%s has no schema version: restore a backup, or move it away", db->path);
    }
    if (*version <= DB_SCHEMA) return OK;
    int64_t needs = number(db, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schema_needs'",
                           INT64_MAX);
    if (db->rc != SQLITE_OK) return db_error(db, db->rc, w);
    if (needs <= DB_SCHEMA) return OK;
    return fail(w, E_INPUT,
                "%s was made by a newer SilkTalk (schema %lld, this one knows %d): install that one again",
                db->path, (long long)*version, DB_SCHEMA);
}

static enum err migrate(struct db *db, int64_t version, struct why *w) {
    for (size_t i = 0; i < LEN(migrations); i++) {
        if (migrations[i].to <= version) continue;
        bool done = execute(db, "BEGIN IMMEDIATE") && execute(db, migrations[i].sql) &&
                    execute_number(db, "PRAGMA application_id = %lld", DB_APPLICATION_ID) &&
                    execute_number(db, "PRAGMA user_version = %lld", migrations[i].to) &&
                    execute(db, "COMMIT");
        if (done) continue;
        enum err e = db_error(db, db->rc, w);
        sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
        return e;
    }
    return OK;
}

static int log_grew(void *context, sqlite3 *sql, const char *name, int pages) {
    struct db *db = context;
    (void)sql;
    (void)name;
    db->wal_pages = pages > 0 ? (size_t)pages : 0;
    return SQLITE_OK;
}

/* A file that is larger already stays as it is: SQLite sets the page count no lower, and nothing new fits. */
static bool set_sizes(struct db *db, uint64_t cache_bytes, uint64_t max_bytes) {
    uint64_t cache = MAX(cache_bytes / 1024, (uint64_t)CACHE_KIB_MIN);
    db->max_pages = MAX(max_bytes / DB_PAGE, (uint64_t)(2 * DB_RESERVE_PAGES));
    db->max_pages = MIN(db->max_pages, (uint64_t)UINT32_MAX - 1);
    return execute_number(db, "PRAGMA cache_size = -%lld", (long long)MIN(cache, (uint64_t)INT32_MAX)) &&
           execute_number(db, "PRAGMA max_page_count = %lld", (long long)db->max_pages);
}

enum err db_configure(struct db *db, struct store_op *op) {
    if (!set_sizes(db, op->limits[0], op->limits[1])) return db_error(db, db->rc, &op->why);
    db->room_pages = 0; /* counted anew when the next transaction begins */
    return OK;
}

static enum err set_up(struct db *db, const struct store_setup *setup, bool is_new, struct why *w) {
    if (is_new && !execute_number(db, "PRAGMA page_size = %lld", DB_PAGE)) return db_error(db, db->rc, w);
    char mode[8] = "";
    sqlite3_stmt *s = NULL;
    db->rc = sqlite3_prepare_v2(db->sql, "PRAGMA journal_mode = WAL", -1, &s, NULL);
    if (db->rc == SQLITE_OK) db->rc = sqlite3_step(s);
    if (db->rc == SQLITE_ROW) {
        snprintf(mode, sizeof(mode), "%s", (const char *)sqlite3_column_text(s, 0));
        db->rc = sqlite3_step(s); /* it commits behind its answer; without that no commit would last */
    }
    if (db->rc == SQLITE_DONE) db->rc = SQLITE_OK;
    int ended = sqlite3_finalize(s);
    if (db->rc == SQLITE_OK) db->rc = ended;
    if (db->rc != SQLITE_OK) return db_error(db, db->rc, w);
    if (strcmp(mode, "wal") != 0) {
        return fail(w, E_IO, "%s cannot have a write-ahead log: is it on a network file system?", db->path);
    }
    bool done = execute(db,
                        "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
                        "PRAGMA cell_size_check = ON; PRAGMA foreign_keys = OFF") &&
                execute_number(db, "PRAGMA journal_size_limit = %lld", LOG_KEEP_BYTES) &&
                set_sizes(db, setup->cache_bytes, setup->max_bytes);
    if (!done) return db_error(db, db->rc, w);
    sqlite3_wal_autocheckpoint(db->sql,
                               0); /* a commit must not wait for one: db_checkpoint does it in between */
    sqlite3_wal_hook(db->sql, log_grew, db);
    return OK;
}

enum err db_schema_open(struct db *db, const struct store_setup *setup, struct why *w) {
    int64_t version = 0;
    enum err e = prepare_file(db->path, w);
    if (e != OK) return e;
    db->rc = sqlite3_open_v2(
        db->path, &db->sql,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (db->sql == NULL) return fail(w, E_MEMORY, "%s: out of memory", db->path);
    if (db->rc != SQLITE_OK) return db_error(db, db->rc, w);
    sqlite3_busy_timeout(db->sql, DB_BUSY_MS);
    sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (sqlite3_db_readonly(db->sql, "main") == 1) return db_error(db, SQLITE_READONLY, w);
    e = recognise(db, &version, w);
    if (e != OK) return e;
    e = set_up(db, setup, version == 0, w);
    return e != OK ? e : migrate(db, version, w);
}
