/* lib/store/db_inbox.c: received messages, their quotas, and the ids that are remembered. */
#include "store/db_query.h"

#include <stdio.h>

static bool seen_has(struct db *db, int64_t sender, struct bytes id) {
    struct query q = query_open(db, SQL_SEEN_HAS);
    bind_int(&q, 1, sender);
    bind_bytes(&q, 2, id);
    bool there = query_row(&q);
    query_end(&q);
    return there;
}

bool seen_remove_oldest(struct db *db, uint64_t most, int64_t before_ms, uint64_t *gone) {
    int64_t rows[DB_STEP_MAX];
    size_t n = 0;
    struct query q = query_open(db, SQL_SEEN_OLDEST);
    bind_count(&q, 1, MIN(most, (uint64_t)DB_STEP_MAX));
    while (n < DB_STEP_MAX && query_row(&q)) {
        if (before_ms != 0 && column_int(&q, 1) >= before_ms) break;
        rows[n++] = column_int(&q, 0);
    }
    query_end(&q);
    for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) {
        q = query_open(db, SQL_SEEN_DROP);
        bind_int(&q, 1, rows[i]);
        if (query_run(&q)) total_add(db, TOTAL_SEEN, -1);
    }
    *gone += n;
    return db->rc == SQLITE_OK;
}

/* NULL: it fits; else what is full. */
static const char *full(struct db *db, const struct party *p, size_t bytes, const struct store_op *op) {
    int64_t pages = (int64_t)(bytes / DB_PAGE + 2);
    if ((uint64_t)db->totals[TOTAL_INBOX] >= op->limits[0]) return "messages.inboxMax";
    if ((uint64_t)db->totals[TOTAL_INBOX_BYTES] + bytes > op->limits[1]) return "messages.inboxMaxBytes";
    if ((uint64_t)p->inbox_messages >= op->limits[2]) return "messages.inboxPerPeer";
    if ((uint64_t)p->inbox_bytes + bytes > op->limits[3]) return "messages.inboxBytesPerPeer";
    if ((op->flags & INBOX_STRANGER) != 0 && (uint64_t)db->totals[TOTAL_STRANGER_BYTES] + bytes > op->limits[4])
        return "messages.inboxBytesStrangers";
    if (db->room_pages < pages) return "database.maxSize";
    db->room_pages -= pages;
    return NULL;
}

static void inbox_count(struct db *db, struct party *p, int64_t messages, int64_t bytes, bool unread, bool is_stranger) {
    total_add(db, TOTAL_INBOX, messages);
    total_add(db, TOTAL_INBOX_BYTES, bytes);
    if (unread) total_add(db, TOTAL_INBOX_UNREAD, messages);
    if (is_stranger) total_add(db, TOTAL_STRANGER_BYTES, bytes);
    if (p == NULL) return;
    p->inbox_messages = MAX(p->inbox_messages + messages, (int64_t)0);
    p->inbox_bytes = MAX(p->inbox_bytes + bytes, (int64_t)0);
    p->dirty = true;
}

static bool remember(struct db *db, const struct party *p, const struct message *m, const struct store_op *op) {
    uint64_t gone = 0;
    if ((uint64_t)db->totals[TOTAL_SEEN] >= op->limits[5] && !seen_remove_oldest(db, 1, 0, &gone)) return false;
    struct query q = query_open(db, SQL_SEEN_ADD);
    bind_int(&q, 1, p->n);
    bind_bytes(&q, 2, bytes_at(m->id, MESSAGE_ID));
    bind_int(&q, 3, MAX(db->totals[TOTAL_RUNNING], (int64_t)1));
    if (!query_run(&q)) return false;
    total_add(db, TOTAL_SEEN, 1);
    return true;
}

static bool insert(struct db *db, const struct party *p, const struct message *m, const struct store_op *op) {
    struct query q = query_open(db, SQL_INBOX_ADD);
    bind_bytes(&q, 1, bytes_at(m->id, MESSAGE_ID));
    bind_str(&q, 2, p->text);
    bind_int(&q, 3, op->now.ms);
    bind_count(&q, 4, m->sent_ms);
    bind_count(&q, 5, m->expires_ms);
    bind_int(&q, 6, (op->flags & INBOX_STRANGER) != 0);
    bind_message_text(&q, 7, m->content_type);
    bind_message_text(&q, 8, m->subject);
    if (m->has_reply_to) bind_bytes(&q, 9, bytes_at(m->reply_to, MESSAGE_ID));
    bind_int(&q, 10, (int64_t)op->in.n);
    bind_bytes(&q, 11, m->body);
    return query_run(&q);
}

/* A stream that was told BUSY is told so for good: what came behind must not overtake. */
static bool tag_is_busy(const struct db *db, uint64_t tag) {
    for (size_t i = 0; tag != 0 && i < BUSY_TAGS; i++)
        if (db->busy_tags[i] == tag) return true;
    return false;
}

static enum err busy(struct db *db, struct store_op *op) {
    op->status = RECEIPT_BUSY;
    if (!tag_is_busy(db, op->tag)) db->busy_tags[db->n_busy++ % BUSY_TAGS] = op->tag;
    return OK;
}

enum err inbox_add(struct db *db, struct store_op *op) {
    struct message m;
    enum err e = message_of_frame(buf_view(&op->in), &m, &op->why);
    if (e != OK) return e;
    if (tag_is_busy(db, op->tag)) return busy(db, op);
    struct party *p = party_find(db, &op->peer);
    if (p == NULL || !party_number(db, p)) return E_IO;
    if (seen_has(db, p->n, bytes_at(m.id, MESSAGE_ID))) {
        op->status = RECEIPT_DUPLICATE;
        return OK;
    }
    const char *what = full(db, p, op->in.n, op);
    if (what != NULL) {
        snprintf(op->text, sizeof op->text, "%s", what);
        return busy(db, op);
    }
    if (!remember(db, p, &m, op) || !insert(db, p, &m, op)) return E_IO;
    op->seq = sqlite3_last_insert_rowid(db->sql);
    inbox_count(db, p, 1, (int64_t)op->in.n, true, (op->flags & INBOX_STRANGER) != 0);
    total_add(db, TOTAL_MESSAGES_IN, 1);
    op->status = RECEIPT_STORED;
    return OK;
}

bool inbox_remove(struct db *db, int64_t seq) {
    struct query q = query_open(db, SQL_INBOX_DROP);
    struct peer_id peer = {0};
    bind_int(&q, 1, seq);
    bool there = query_row(&q);
    int64_t bytes = 0;
    bool unread = false, is_stranger = false;
    if (there) {
        column_peer(&q, 0, &peer);
        bytes = column_int(&q, 1);
        unread = column_int(&q, 2) == 0;
        is_stranger = column_int(&q, 3) != 0;
        while (query_row(&q)) continue;
    }
    query_end(&q);
    if (!there || db->rc != SQLITE_OK) return false;
    inbox_count(db, party_find(db, &peer), -1, -bytes, unread, is_stranger);
    return db->rc == SQLITE_OK;
}

static bool put_item(const struct query *q, struct buf *out) {
    struct json_out o = json_begin(out);
    json_open(&o, NULL, '{');
    json_put_id(&o, "id", column_bytes(q, 1));
    json_put(&o, "peer_id", column_bytes(q, 2));
    if (column_bytes(q, 3).n > 0) json_put(&o, "name", column_bytes(q, 3));
    else json_put_null(&o, "name");
    json_put_time(&o, "received", column_int(q, 4));
    json_put_int(&o, "bytes", column_int(q, 5));
    json_put_bool(&o, "read", column_int(q, 6) != 0);
    json_put(&o, "subject", column_bytes(q, 7));
    json_put_time(&o, "sent", column_int(q, 8));
    struct bytes type = column_bytes(q, 9);
    json_put(&o, "content_type", type.n > 0 ? type : bytes_of(MESSAGE_DEFAULT_TYPE));
    json_put_null(&o, "file");
    json_put_id(&o, "reply_to", column_bytes(q, 10));
    json_shut(&o, '}');
    return json_end(&o);
}

/* Newest rows first out of the database, oldest first into the list. */
enum err inbox_list(struct db *db, struct store_op *op) {
    char from[PEER_TEXT_MAX];
    size_t starts[DB_LIST_MAX + 1], n = 0, most = (size_t)MIN(MAX(op->count, (uint64_t)1), (uint64_t)DB_LIST_MAX);
    struct buf rows = {.max = op->out.max};
    bool searching = op->in.n > 0, good = true;
    if (searching && !search_set(&db->search, buf_view(&op->in)))
        return fail(&op->why, E_INPUT, "a search text has at most %d bytes", DB_SEARCH_MAX);
    peer_id_text(&op->peer, from);
    struct query q = query_open(db, searching ? SQL_INBOX_SEARCH : SQL_INBOX_LIST);
    bind_str(&q, 1, from);
    bind_int(&q, 2, (op->flags & INBOX_UNREAD) != 0);
    bind_int(&q, 3, op->seq);
    bind_count(&q, 4, most + 1);
    while (good && query_row(&q)) {
        if (n == most) {
            op->more = true;
            break;
        }
        starts[n++] = rows.n;
        good = put_item(&q, &rows);
    }
    query_end(&q);
    starts[n] = rows.n;
    for (size_t i = n; good && i > 0; i--) {
        if (i < n) good = buf_add_byte(&op->out, ',');
        good = good && buf_add(&op->out, bytes_at(rows.p + starts[i - 1], starts[i] - starts[i - 1]));
    }
    buf_free(&rows);
    op->count = n;
    return good ? OK : fail(&op->why, E_LIMIT, "the list is too long; ask for fewer with -n");
}

static bool mark(struct db *db, int64_t seq, bool read) {
    struct query q = query_open(db, SQL_INBOX_MARK);
    bind_int(&q, 1, seq);
    bind_int(&q, 2, read);
    if (!query_run(&q)) return false;
    if (sqlite3_changes64(db->sql) > 0) total_add(db, TOTAL_INBOX_UNREAD, read ? -1 : 1);
    return true;
}

enum err inbox_read(struct db *db, struct store_op *op) {
    struct message m;
    int64_t seq = 0;
    enum err e = message_find(db, true, buf_view(&op->in), &op->peer, &seq, op);
    if (e != OK) return e;
    struct query q = query_open(db, SQL_INBOX_SHOW);
    bind_int(&q, 1, seq);
    bool good = query_row(&q);
    if (good) {
        column_peer(&q, 0, &op->peer);
        op->when.ms = column_int(&q, 1);
        column_message(&q, 3, &m);
        memcpy(op->id, m.id, MESSAGE_ID);
        good = message_frame_write(&op->out, &m);
    }
    query_end(&q);
    op->seq = seq;
    if (!good) return fail(&op->why, E_MEMORY, "out of memory");
    if ((op->flags & INBOX_MARK) != 0) mark(db, seq, true);
    return OK;
}

static int64_t newest(struct db *db) {
    sqlite3_stmt *s = NULL;
    int64_t seq = 0;
    if (sqlite3_prepare_v2(db->sql, "SELECT ifnull(max(seq), 0) FROM inbox", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) seq = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return seq;
}

enum err inbox_after(struct db *db, struct store_op *op) {
    struct message m;
    uint64_t n = 0;
    bool good = true;
    struct query q = query_open(db, SQL_INBOX_AFTER);
    bind_int(&q, 1, op->seq);
    bind_int(&q, 2, (op->flags & INBOX_UNREAD) != 0);
    bind_count(&q, 3, MAX(op->count, (uint64_t)1) + 1);
    while (good && query_row(&q)) {
        if (n >= MAX(op->count, (uint64_t)1) || (n > 0 && op->out.n >= op->bytes)) {
            op->more = true;
            break;
        }
        struct peer_id peer = {0};
        column_peer(&q, 1, &peer);
        column_message(&q, 5, &m);
        good = wr_u64(&op->out, (uint64_t)column_int(&q, 0)) && wr_u8(&op->out, peer.n) &&
               buf_add(&op->out, peer_id_view(&peer)) && wr_u64(&op->out, (uint64_t)column_int(&q, 2)) &&
               wr_u8(&op->out, column_int(&q, 3) != 0) && wr_u32(&op->out, (uint32_t)message_frame_size(&m)) &&
               message_frame_write(&op->out, &m);
        n++;
    }
    query_end(&q);
    op->count = n;
    op->seq = newest(db); /* where a follower without a cursor begins */
    return good ? OK : fail(&op->why, E_MEMORY, "out of memory");
}

enum err inbox_mark(struct db *db, struct store_op *op) {
    int64_t seq = 0;
    enum err e = message_find(db, true, buf_view(&op->in), &op->peer, &seq, op);
    if (e == OK) mark(db, seq, (op->flags & INBOX_MARK) != 0);
    return e;
}

enum err inbox_delete(struct db *db, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    op->count = 0;
    if (op->in.n > 0) {
        enum err e = message_find(db, true, buf_view(&op->in), &op->peer, &seqs[0], op);
        if (e != OK) return e;
        op->count = inbox_remove(db, seqs[0]);
        return OK;
    }
    for (size_t n = DB_STEP_MAX, round = 0; n == DB_STEP_MAX && round < 64 && db->rc == SQLITE_OK; round++) {
        n = collect(db, SQL_INBOX_OLD, op->when.ms, DB_STEP_MAX, seqs);
        for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) op->count += inbox_remove(db, seqs[i]);
        op->more = n == DB_STEP_MAX;
    }
    return OK;
}
