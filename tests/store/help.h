/* tests/store/help.h: what the tests of the store share: peers by number, frames by number, operations on the
 * stack. */
#pragma once
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "store/db_query.h"
#include "tests/test.h"

#define NOW_MS INT64_C(1790000000000)

static inline struct peer_id peer_number(uint64_t n) {
    struct peer_id peer = {.n = 34, .p = {0x12, 0x20}};
    put_u64(peer.p + 10, n * UINT64_C(0x9e3779b97f4a7c15));
    put_u64(peer.p + 26, n);
    return peer;
}

static inline void id_number(uint64_t n, uint8_t id[MESSAGE_ID]) {
    put_u64(id, n * UINT64_C(0xbf58476d1ce4e5b9));
    put_u64(id + 8, n);
}

static inline struct message message_number(uint64_t n, struct bytes body) {
    struct message m = {.sent_ms = (uint64_t)NOW_MS, .expires_ms = (uint64_t)NOW_MS + 1000, .body = body};
    id_number(n, m.id);
    return m;
}

static inline void add_frame(struct buf *out, uint64_t n, struct bytes body) {
    struct message m = message_number(n, body);
    CHECK(message_frame_write(out, &m));
}

static inline struct store_op op_of(enum store_kind kind) {
    struct store_op op = {.kind = kind, .now = {NOW_MS}};
    op.in.max = op.out.max = 16 << 20;
    for (size_t i = 0; i < LEN(op.limits); i++) op.limits[i] = 1 << 20;
    if (kind == STORE_INBOX_ADD || kind == STORE_OUTBOX_ADD)
        op.limits[1] = op.limits[3] = op.limits[4] = 1 << 30;
    if (kind == STORE_MAINTAIN) memset(op.limits, 0, sizeof op.limits);
    return op;
}

static inline void op_end(struct store_op *op) {
    buf_free(&op->in);
    buf_free(&op->out);
}

static inline void join(char *out, size_t size, const char *folder, const char *name) {
    int n = snprintf(out, size, "%s/%s", folder, name);
    CHECK(n > 0 && (size_t)n < size);
}

static inline enum err try_open(struct db **db, const char *folder, uint64_t max_bytes, struct why *w) {
    static char path[512], spool[512];
    join(path, sizeof path, folder, "silktalk.db");
    join(spool, sizeof spool, folder, "spool");
    struct store_setup setup = {
        .path = path, .spool = spool, .cache_bytes = 1 << 20, .max_bytes = max_bytes, .queue_max = 64};
    return db_open(db, &setup, w);
}

static inline struct db *open_in(const char *folder) {
    struct db *db = NULL;
    struct why w = {OK, ""};
    CHECK(try_open(&db, folder, 1 << 30, &w) == OK, "%s", w.text);
    return db;
}

static inline void check_db(struct db *db) {
    struct why w = {OK, ""};
    CHECK(db_check(db, false, &w) == OK, "%s", w.text);
}

/* Puts message n of the sender into the inbox. */
static inline enum receipt_status receive(struct db *db, uint64_t sender, uint64_t n, const char *body) {
    struct store_op op = op_of(STORE_INBOX_ADD);
    op.peer = peer_number(sender);
    add_frame(&op.in, n, bytes_of(body));
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    op_end(&op);
    return op.status;
}

/* Queues message n for a peer; its place, or 0. */
static inline int64_t queue(struct db *db, uint64_t to, uint64_t n, const char *body, enum err want) {
    struct store_op op = op_of(STORE_OUTBOX_ADD);
    op.peer = peer_number(to);
    add_frame(&op.in, n, bytes_of(body));
    db_run(db, &op);
    CHECK(op.err == want, "%s, not %s: %s", err_name(op.err), err_name(want), op.why.text);
    op_end(&op);
    return op.err == OK ? op.seq : 0;
}

/* An operation whose request is a text; the caller ends it. */
static inline struct store_op ask_text(struct db *db, enum store_kind kind, const char *text, enum err want) {
    struct store_op op = op_of(kind);
    CHECK(buf_add_text(&op.in, text));
    db_run(db, &op);
    CHECK(op.err == want, "%s, not %s: %s", err_name(op.err), err_name(want), op.why.text);
    return op;
}

/* A member of the totals. */
static inline int64_t total_of(struct db *db, const char *key) {
    struct store_op op = op_of(STORE_TOTALS);
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    struct json_doc *doc = json_parse(buf_view(&op.out), NULL);
    CHECK(doc != NULL);
    int64_t v = json_get_int(json_root(doc), key, -1);
    json_free(doc);
    op_end(&op);
    return v;
}

/* The listing of a kind as a document; the caller frees it. */
static inline struct json_doc *list_of(struct store_op *op) {
    struct buf text = {.max = 32 << 20};
    struct why w = {OK, ""};
    CHECK(op->err == OK, "%s", op->why.text);
    CHECK(buf_add_byte(&text, '[') && buf_add(&text, buf_view(&op->out)) && buf_add_byte(&text, ']'));
    struct json_doc *doc = json_parse(buf_view(&text), &w);
    CHECK(doc != NULL, "%s", w.text);
    buf_free(&text);
    return doc;
}

static inline bool file_is_there(const char *folder, const char *name) {
    char path[1024];
    struct stat st;
    join(path, sizeof path, folder, name);
    return lstat(path, &st) == 0;
}

static inline void write_text(const char *folder, const char *name, struct bytes text) {
    char path[1024];
    join(path, sizeof path, folder, name);
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && (text.n == 0 || fwrite(text.p, 1, text.n, f) == text.n) && fclose(f) == 0);
}

static inline void sql(struct db *db, const char *text) {
    CHECK(sqlite3_exec(db->sql, text, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", text,
          sqlite3_errmsg(db->sql));
}
