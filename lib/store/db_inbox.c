/* lib/store/db_inbox.c: messages that came. */
#include "store/db_query.h"

enum { ADD_PAGES_MORE = 12, FORGET_MAX = 4, LIST_COUNT = 1000, DELETE_ROUNDS = 64 };

/* Which quota of limits[] refuses a message of n bytes; NULL: none does. */
static const char *refused_by(const struct db *db, const struct party *p, const struct store_op *op,
                              uint64_t n) {
    const uint64_t *most = op->limits;
    if ((uint64_t)db->totals[TOTAL_INBOX] >= most[0]) return "messages.inboxMax";
    if (n > most[1] || (uint64_t)db->totals[TOTAL_INBOX_BYTES] > most[1] - n) return "messages.inboxMaxBytes";
    if ((uint64_t)p->inbox_messages >= most[2]) return "messages.inboxPerPeer";
    if (n > most[3] || (uint64_t)p->inbox_bytes > most[3] - n) return "messages.inboxBytesPerPeer";
    if ((op->flags & INBOX_STRANGER) != 0 &&
        (n > most[4] || (uint64_t)db->totals[TOTAL_STRANGER_BYTES] > most[4] - n))
        return "messages.inboxBytesStrangers";
    if ((int64_t)(n / DB_PAGE) + ADD_PAGES_MORE > db->room_pages) return "database.maxSize";
    return NULL;
}

static bool is_seen(struct db *db, const struct party *p, const uint8_t id[MESSAGE_ID]) {
    struct query q = query_open(db, SQL_SEEN_HAS);
    bind_int(&q, 1, p->n);
    bind_bytes(&q, 2, bytes_at(id, MESSAGE_ID));
    bool seen = query_row(&q);
    query_end(&q);
    return seen;
}

/* False: it was there before (or an error: db->rc). */
static bool remember(struct db *db, struct party *p, const uint8_t id[MESSAGE_ID]) {
    if (!party_number(db, p)) return false;
    struct query q = query_open(db, SQL_SEEN_ADD);
    bind_int(&q, 1, p->n);
    bind_bytes(&q, 2, bytes_at(id, MESSAGE_ID));
    bind_int(&q, 3, db->totals[TOTAL_RUNNING]);
    if (!query_run(&q) || sqlite3_changes(db->sql) == 0) return false;
    total_add(db, TOTAL_SEEN, 1);
    return true;
}

struct attached { /* to a message: a file; name n 0: none */
    struct bytes name;
    uint64_t size;
};
/* The values of a row, from parameter `at` on. */
static void bind_row(struct query *q, int at, const struct party *p, const struct store_op *op,
                     const struct message *m, uint64_t frame_bytes) {
    bind_bytes(q, at, bytes_at(m->id, MESSAGE_ID));
    bind_str(q, at + 1, p->text);
    bind_int(q, at + 2, op->now.ms);
    bind_int(q, at + 3, (int64_t)m->sent_ms); /* a peer's: all 64 bits come back as they were */
    bind_int(q, at + 4, (int64_t)m->expires_ms);
    bind_int(q, at + 5, (op->flags & INBOX_STRANGER) != 0);
    bind_message_text(q, at + 6, m->content_type);
    bind_message_text(q, at + 7, m->subject);
    if (m->has_reply_to) bind_bytes(q, at + 8, bytes_at(m->reply_to, MESSAGE_ID));
    bind_count(q, at + 9, frame_bytes);
    bind_bytes(q, at + 10, m->body);
}

static void insert(struct db *db, const struct party *p, const struct store_op *op, const struct message *m,
                   uint64_t frame_bytes, const struct attached *file) {
    struct query q = query_open(db, SQL_INBOX_ADD);
    bind_row(&q, 1, p, op, m, frame_bytes);
    if (file->name.n > 0) {
        bind_text(&q, INBOX_VALUES + 1, file->name);
        bind_count(&q, INBOX_VALUES + 2, file->size);
    }
    query_run(&q);
}

/* The row of op is there: its result, and the counters. */
static void stored(struct db *db, struct party *p, struct store_op *op, int64_t seq, uint64_t frame_bytes) {
    op->seq = seq;
    op->count = (uint64_t)seq;
    op->status = RECEIPT_STORED;
    p->inbox_messages++;
    p->inbox_bytes += (int64_t)frame_bytes;
    p->dirty = true;
    total_add(db, TOTAL_MESSAGES_IN, 1);
    total_add(db, TOTAL_INBOX, 1);
    total_add(db, TOTAL_INBOX_UNREAD, 1);
    total_add(db, TOTAL_INBOX_BYTES, (int64_t)frame_bytes);
    if ((op->flags & INBOX_STRANGER) != 0) total_add(db, TOTAL_STRANGER_BYTES, (int64_t)frame_bytes);
    db->room_pages -= (int64_t)(frame_bytes / DB_PAGE) + 1;
}

static bool put(struct db *db, struct party *p, struct store_op *op, const struct message *m,
                uint64_t frame_bytes, const struct attached *file) {
    insert(db, p, op, m, frame_bytes, file);
    if (db->rc != SQLITE_OK) return false;
    stored(db, p, op, sqlite3_last_insert_rowid(db->sql), frame_bytes);
    return true;
}

/* A stream that was told BUSY is told so for all that follows on it: what came behind must not overtake. */
static bool inbox_tag_is_busy(const struct db *db, uint64_t tag) {
    for (size_t i = 0; tag != 0 && i < MIN(db->n_busy, (size_t)BUSY_TAGS); i++)
        if (db->busy_tags[i] == tag) return true;
    return false;
}

void inbox_tag_busy(struct db *db, uint64_t tag) {
    if (tag != 0 && !inbox_tag_is_busy(db, tag)) db->busy_tags[db->n_busy++ % BUSY_TAGS] = tag;
}

/* At most `at_once` ids beyond what may be remembered go. */
static void forget(struct db *db, uint64_t most, uint64_t at_once) {
    uint64_t gone, seen = (uint64_t)db->totals[TOTAL_SEEN];
    if (seen > most) seen_remove_oldest(db, MIN(seen - most, at_once), INT64_MAX, &gone);
}

enum err inbox_add(struct db *db, struct store_op *op) {
    struct message m;
    enum err e = message_of_frame(buf_view(&op->in), &m, &op->why);
    if (e != OK) return e;
    memcpy(op->id, m.id, MESSAGE_ID);
    if (inbox_tag_is_busy(db, op->tag)) {
        op->status = RECEIPT_BUSY;
        return OK;
    }
    struct party *p = party_find(db, &op->peer);
    if (p == NULL) return fail(&op->why, E_INPUT, "no sender");
    const char *quota = refused_by(db, p, op, op->in.n);
    if (quota != NULL) {
        /* a message that is there already must be told so, or its sender never gets rid of it */
        op->status = is_seen(db, p, m.id) ? RECEIPT_DUPLICATE : RECEIPT_BUSY;
        if (op->status == RECEIPT_BUSY) {
            inbox_tag_busy(db, op->tag);
            fail(&op->why, E_LIMIT, "the inbox is full (%s)", quota);
        }
        return OK;
    }
    if (!remember(db, p, m.id)) {
        op->status = RECEIPT_DUPLICATE;
        return OK;
    }
    if (!put(db, p, op, &m, op->in.n, &(struct attached){.size = 0})) return E_IO;
    forget(db, MAX(op->limits[5], (uint64_t)1), FORGET_MAX); /* never the one that has just come */
    return OK;
}

/* All of them are messages, and no quota refuses any. */
static bool run_fits(const struct db *db, const struct party *p, const struct store_op *first,
                     struct message m[RUN_ROWS]) {
    const struct store_op *op = first;
    const uint64_t *most = first->limits;
    uint64_t bytes = 0;
    int64_t pages = ADD_PAGES_MORE;
    for (size_t i = 0; i < RUN_ROWS; i++, op = op->next) {
        if (message_of_frame(buf_view(&op->in), &m[i], NULL) != OK) return false;
        if (memcmp(op->limits, first->limits, sizeof op->limits) != 0) return false;
        bytes += op->in.n;
        pages += (int64_t)(op->in.n / DB_PAGE) + 1;
    }
    uint64_t messages = RUN_ROWS - 1; /* before the last one: if that fits, all do */
    struct store_op whole = {.flags = first->flags};
    memcpy(whole.limits, most, sizeof whole.limits);
    for (size_t i = 0; i < 3; i += 2) whole.limits[i] -= MIN(messages, whole.limits[i]);
    return most[5] >= RUN_ROWS && pages <= db->room_pages && refused_by(db, p, &whole, bytes) == NULL;
}

/* Remembers all, as remember() does each. Those that were there before are set to DUPLICATE; how many were
 * not. With db->rc nothing is sure. */
static size_t remember_run(struct db *db, const struct party *p, struct store_op *first,
                           const struct message m[RUN_ROWS]) {
    struct query q = query_open(db, SQL_SEEN_ADD_RUN);
    for (int i = 0; i < RUN_ROWS; i++) {
        bind_int(&q, 1 + i * SEEN_VALUES, p->n);
        bind_bytes(&q, 2 + i * SEEN_VALUES, bytes_at(m[i].id, MESSAGE_ID));
        bind_int(&q, 3 + i * SEEN_VALUES, db->totals[TOTAL_RUNNING]);
    }
    if (!query_run(&q)) return 0;
    int64_t added = sqlite3_changes(db->sql);
    total_add(db, TOTAL_SEEN, added);
    if (added == RUN_ROWS) return RUN_ROWS;
    /* The new rows lie one behind the other, in the order of the messages: what is not there was before. */
    int64_t last = added == 0 ? 0 : sqlite3_last_insert_rowid(db->sql);
    q = query_open(db, SQL_SEEN_SHOW_RUN);
    bind_int(&q, 1, last - added + 1);
    bind_int(&q, 2, last);
    bool row = added > 0 && query_row(&q);
    struct store_op *op = first;
    for (size_t i = 0; i < RUN_ROWS; i++, op = op->next) {
        if (row && bytes_eq(column_bytes(&q, 0), bytes_at(m[i].id, MESSAGE_ID)))
            row = query_row(&q);
        else
            op->status = RECEIPT_DUPLICATE;
    }
    query_end(&q);
    return (size_t)added;
}

static void insert_run(struct db *db, struct party *p, struct store_op *first,
                       const struct message m[RUN_ROWS]) {
    struct query q = query_open(db, SQL_INBOX_ADD_RUN);
    struct store_op *op = first;
    for (int i = 0; i < RUN_ROWS; i++, op = op->next)
        bind_row(&q, 1 + i * INBOX_VALUES, p, op, &m[i], op->in.n);
    if (!query_run(&q)) return;
    int64_t seq = sqlite3_last_insert_rowid(db->sql) - RUN_ROWS;
    op = first;
    for (size_t i = 0; i < RUN_ROWS; i++, op = op->next) stored(db, p, op, ++seq, op->in.n);
}

size_t inbox_add_run(struct db *db, struct store_op *first, size_t n) {
    struct message m[RUN_ROWS];
    struct party *p = party_find(db, &first->peer);
    if (p == NULL || n != RUN_ROWS || inbox_tag_is_busy(db, first->tag) || !run_fits(db, p, first, m))
        return 0;
    if (!party_number(db, p)) return 0;
    struct store_op *op = first;
    for (size_t i = 0; i < RUN_ROWS; i++, op = op->next) memcpy(op->id, m[i].id, MESSAGE_ID);
    size_t added = remember_run(db, p, first, m);
    op = first;
    if (added == RUN_ROWS)
        insert_run(db, p, first, m);
    else
        for (size_t i = 0; i < RUN_ROWS && db->rc == SQLITE_OK; i++, op = op->next)
            if (op->status != RECEIPT_DUPLICATE)
                put(db, p, op, &m[i], op->in.n, &(struct attached){.size = 0});
    forget(db, first->limits[5], RUN_ROWS * FORGET_MAX);
    return RUN_ROWS;
}

bool inbox_has_seen(struct db *db, const struct peer_id *peer, const uint8_t id[MESSAGE_ID]) {
    struct party *p = party_find(db, peer);
    return p != NULL && is_seen(db, p, id);
}

/* No quota refuses it: its offer was judged, and its row is small beside the file. */
enum err inbox_add_file(struct db *db, const struct peer_id *peer, const struct message *m, struct bytes name,
                        uint64_t size, struct store_op *op) {
    struct party *p = party_find(db, peer);
    if (p == NULL) return fail(&op->why, E_INPUT, "no sender");
    if (!remember(db, p, m->id)) {
        op->status = RECEIPT_DUPLICATE;
        return db->rc == SQLITE_OK ? OK : E_IO;
    }
    op->flags &= ~(uint32_t)INBOX_STRANGER;
    return put(db, p, op, m, message_frame_size(m), &(struct attached){name, size}) ? OK : E_IO;
}

static void list_item(const struct query *q, struct json_out *o) {
    json_open(o, NULL, '{');
    json_put_id(o, "id", column_bytes(q, 1));
    json_put(o, "from", column_bytes(q, 2));
    struct bytes name = column_bytes(q, 3), type = column_bytes(q, 9);
    if (name.n == 0)
        json_put_null(o, "name");
    else
        json_put(o, "name", name);
    json_put_time(o, "received", column_int(q, 4));
    json_put_int(o, "bytes", column_int(q, 5));
    json_put_bool(o, "read", column_int(q, 6) != 0);
    json_put(o, "subject", column_bytes(q, 7));
    json_put_time(o, "sent", column_int(q, 8));
    json_put(o, "content_type", type.n == 0 ? BYTES(MESSAGE_DEFAULT_TYPE) : type);
    if (column_bytes(q, 11).n > 0)
        json_put(o, "file", column_bytes(q, 11));
    else
        json_put_null(o, "file");
    json_put_id(o, "reply_to", column_bytes(q, 10));
    json_shut(o, '}');
}

/* Items are found newest first, each written behind the last; then their order is turned around. */
static bool turn_around(struct buf *out, const uint32_t *ends, size_t n) {
    struct buf turned = {.max = out->max};
    bool done = true;
    for (size_t i = n; done && i-- > 0;) {
        size_t from = i == 0 ? 0 : ends[i - 1];
        if (turned.n > 0) done = buf_add_byte(&turned, ',');
        done = done && buf_add(&turned, bytes_sub(buf_view(out), from, ends[i] - from));
    }
    buf_free(out);
    *out = turned;
    return done;
}

enum err inbox_list(struct db *db, struct store_op *op) {
    uint32_t ends[DB_LIST_MAX];
    uint64_t most = op->count == 0 ? LIST_COUNT : MIN(op->count, (uint64_t)DB_LIST_MAX);
    char peer[PEER_TEXT_MAX];
    bool searching = op->in.n > 0;
    if (searching && !search_set(&db->search, buf_view(&op->in))) {
        return fail(&op->why, E_INPUT, "a search text has 1 to %d bytes", DB_SEARCH_MAX);
    }
    peer_to_text(&op->peer, peer);
    struct query q = query_open(db, searching ? SQL_INBOX_SEARCH : SQL_INBOX_LIST);
    bind_str(&q, 1, peer);
    bind_int(&q, 2, (op->flags & INBOX_UNREAD) != 0);
    bind_int(&q, 3, op->seq);
    bind_count(&q, 4, most + 1);
    enum err e = OK;
    size_t n = 0;
    while (e == OK && query_row(&q)) {
        op->more = n == most;
        if (op->more) break;
        struct json_out o = json_begin(&op->out);
        list_item(&q, &o);
        if (!json_end(&o) || op->out.n + most > op->out.max)
            e = fail(&op->why, E_MEMORY, "out of memory for the list");
        ends[n++] = (uint32_t)op->out.n;
        op->seq = column_int(&q, 0);
    }
    query_end(&q);
    op->count = n;
    if (e == OK && !turn_around(&op->out, ends, n))
        e = fail(&op->why, E_MEMORY, "out of memory for the list");
    return e;
}

static bool mark(struct db *db, int64_t seq, bool read) {
    struct query q = query_open(db, SQL_INBOX_MARK);
    bind_int(&q, 1, seq);
    bind_int(&q, 2, read);
    if (!query_run(&q)) return false;
    if (sqlite3_changes(db->sql) > 0) total_add(db, TOTAL_INBOX_UNREAD, read ? -1 : 1);
    return true;
}

enum err inbox_read(struct db *db, struct store_op *op) {
    int64_t seq = 0;
    struct message m;
    enum err e = message_find(db, true, buf_view(&op->in), &op->peer, &seq, op);
    if (e != OK) return e;
    struct query q = query_open(db, SQL_INBOX_SHOW);
    bind_int(&q, 1, seq);
    bool done = query_row(&q);
    if (done) {
        column_message(&q, 3, &m);
        done = column_peer(&q, 0, &op->peer) && message_frame_write(&op->out, &m);
        op->when = (struct wall){column_int(&q, 1)};
        op->seq = seq;
        memcpy(op->id, m.id, MESSAGE_ID);
        bytes_cstr(column_bytes(&q, 10), op->text, sizeof op->text);
    }
    query_end(&q);
    if (!done) return fail(&op->why, E_MEMORY, "out of memory for the message");
    if ((op->flags & INBOX_MARK) != 0) mark(db, seq, true);
    return OK;
}

enum err inbox_after(struct db *db, struct store_op *op) {
    int64_t newest = query_number(db, SQL_INBOX_NEWEST, 0);
    struct query q = query_open(db, SQL_INBOX_AFTER);
    bind_int(&q, 1, op->seq);
    bind_int(&q, 2, (op->flags & INBOX_UNREAD) != 0);
    bind_int(&q, 3, op->count == 0 || op->count >= INT32_MAX ? INT32_MAX : (int64_t)op->count + 1);
    enum err e = OK;
    uint64_t n = 0;
    for (; e == OK && query_row(&q); n++) {
        struct message m;
        struct peer_id peer = {.n = 0};
        uint64_t bytes = (uint64_t)column_int(&q, 4);
        op->more = n > 0 && ((op->count != 0 && n == op->count) || op->out.n >= op->bytes ||
                             bytes > op->bytes - op->out.n);
        if (op->more) break;
        column_peer(&q, 1, &peer);
        column_message(&q, 5, &m);
        bool done = wr_u64(&op->out, (uint64_t)column_int(&q, 0)) && wr_u8(&op->out, peer.n) &&
                    buf_add(&op->out, peer_id_view(&peer)) && wr_u64(&op->out, (uint64_t)column_int(&q, 2)) &&
                    wr_u8(&op->out, column_int(&q, 3) != 0) &&
                    wr_u32(&op->out, (uint32_t)message_frame_size(&m)) && message_frame_write(&op->out, &m) &&
                    wr_u16(&op->out, (uint16_t)column_bytes(&q, 12).n) &&
                    buf_add(&op->out, column_bytes(&q, 12));
        if (!done) e = fail(&op->why, E_MEMORY, "out of memory for messages");
    }
    query_end(&q);
    op->count = n;
    op->seq = newest; /* where a follower without a cursor begins */
    return e;
}

enum err inbox_mark(struct db *db, struct store_op *op) {
    enum err e = message_find(db, true, buf_view(&op->in), &op->peer, &op->seq, op);
    if (e == OK) mark(db, op->seq, (op->flags & INBOX_MARK) != 0);
    return e;
}

bool inbox_remove(struct db *db, int64_t seq) {
    struct peer_id peer = {.n = 0};
    int64_t bytes = 0;
    bool read = false, strange = false;
    struct query q = query_open(db, SQL_INBOX_DROP);
    bind_int(&q, 1, seq);
    bool there = query_row(&q);
    if (there) {
        column_peer(&q, 0, &peer);
        bytes = column_int(&q, 1);
        read = column_int(&q, 2) != 0;
        strange = column_int(&q, 3) != 0;
    }
    query_end(&q);
    if (!there) return false;
    total_add(db, TOTAL_INBOX, -1);
    total_add(db, TOTAL_INBOX_BYTES, -bytes);
    if (!read) total_add(db, TOTAL_INBOX_UNREAD, -1);
    if (strange) total_add(db, TOTAL_STRANGER_BYTES, -bytes);
    struct party *p = party_find(db, &peer);
    if (p == NULL) return true;
    p->inbox_messages = MAX(p->inbox_messages - 1, (int64_t)0);
    p->inbox_bytes = MAX(p->inbox_bytes - bytes, (int64_t)0);
    p->dirty = true;
    return true;
}

/* A row at a time would be a commit each for the caller; all at once would keep the thread for too long. */
enum err inbox_delete(struct db *db, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    op->count = 0;
    if (op->in.n > 0) {
        enum err e = message_find(db, true, buf_view(&op->in), &op->peer, &seqs[0], op);
        if (e == OK) op->count = inbox_remove(db, seqs[0]) ? 1 : 0;
        return e;
    }
    op->more = true;
    for (size_t round = 0; op->more && round < DELETE_ROUNDS && db->rc == SQLITE_OK; round++) {
        size_t n = collect(db, SQL_INBOX_OLD, op->when.ms, DB_STEP_MAX, seqs);
        for (size_t i = 0; i < n; i++) op->count += inbox_remove(db, seqs[i]) ? 1 : 0;
        op->more = n == DB_STEP_MAX;
    }
    return OK;
}
