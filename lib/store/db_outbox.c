/* lib/store/db_outbox.c: what waits to be delivered. */
#include "store/db_query.h"

#include "base/text.h"

static void count(struct db *db, struct party *p, bool queued, int64_t messages, int64_t bytes) {
    total_add(db, queued ? TOTAL_QUEUED : TOTAL_FAILED, messages);
    total_add(db, queued ? TOTAL_QUEUED_BYTES : TOTAL_FAILED_BYTES, bytes);
    if (!queued || p == NULL) return;
    p->outbox_messages = MAX(p->outbox_messages + messages, (int64_t)0);
    p->outbox_bytes = MAX(p->outbox_bytes + bytes, (int64_t)0);
    p->dirty = true;
}

static bool has_id(struct db *db, struct bytes id) {
    struct query q = query_open(db, SQL_OUTBOX_HAS);
    bind_bytes(&q, 1, id);
    bool there = query_row(&q);
    query_end(&q);
    return there;
}

static enum err room(struct db *db, const struct party *p, size_t bytes, const uint64_t limits[6], struct why *w) {
    uint64_t queued = (uint64_t)db->totals[TOTAL_QUEUED] + (uint64_t)db->totals[TOTAL_FAILED];
    uint64_t used = (uint64_t)db->totals[TOTAL_QUEUED_BYTES] + (uint64_t)db->totals[TOTAL_FAILED_BYTES];
    if (queued >= limits[0]) return fail(w, E_LIMIT, "the outbox is full (messages.outboxMax)");
    if (used + bytes > limits[1]) return fail(w, E_LIMIT, "the outbox is full (messages.outboxMaxBytes)");
    if ((uint64_t)p->outbox_messages >= limits[2])
        return fail(w, E_LIMIT, "too many messages wait for this peer (messages.outboxMaxPerPeer)");
    int64_t pages = (int64_t)(bytes / DB_PAGE + 2);
    if (db->room_pages < pages) return fail(w, E_LIMIT, "the database is full (database.maxSize): delete messages, or allow more");
    db->room_pages -= pages;
    return OK;
}

enum err outbox_put(struct db *db, const struct peer_id *peer, struct bytes frame, const uint64_t limits[6],
                    int64_t *seq, struct store_op *op) {
    struct message m;
    enum err e = message_of_frame(frame, &m, &op->why);
    if (e != OK) return e;
    struct party *p = party_find(db, peer);
    if (p == NULL) return E_IO; /* db->rc says more */
    if (has_id(db, bytes_at(m.id, MESSAGE_ID))) return fail(&op->why, E_REFUSED, "a message with this id is there already");
    e = room(db, p, frame.n, limits, &op->why);
    if (e != OK) return e;
    struct query q = query_open(db, SQL_OUTBOX_ADD);
    bind_bytes(&q, 1, bytes_at(m.id, MESSAGE_ID));
    bind_str(&q, 2, p->text);
    bind_count(&q, 3, m.sent_ms);
    bind_count(&q, 4, m.expires_ms);
    bind_message_text(&q, 5, m.content_type);
    bind_message_text(&q, 6, m.subject);
    if (m.has_reply_to) bind_bytes(&q, 7, bytes_at(m.reply_to, MESSAGE_ID));
    bind_int(&q, 8, (int64_t)frame.n);
    bind_bytes(&q, 9, m.body);
    if (!query_run(&q)) return E_IO;
    *seq = sqlite3_last_insert_rowid(db->sql);
    count(db, p, true, 1, (int64_t)frame.n);
    return OK;
}

enum err outbox_add(struct db *db, struct store_op *op) {
    return outbox_put(db, &op->peer, buf_view(&op->in), op->limits, &op->seq, op);
}

enum err outbox_load(struct db *db, struct store_op *op) {
    char text[PEER_TEXT_MAX];
    struct message m;
    uint64_t n = 0;
    peer_id_text(&op->peer, text);
    struct query q = query_open(db, SQL_OUTBOX_LOAD);
    bind_str(&q, 1, text);
    bind_int(&q, 2, op->seq);
    bind_count(&q, 3, MAX(op->count, (uint64_t)1) + 1);
    while (query_row(&q)) {
        if (n >= MAX(op->count, (uint64_t)1) || (n > 0 && op->out.n >= op->bytes)) {
            op->more = true;
            break;
        }
        column_message(&q, 3, &m);
        size_t size = message_frame_size(&m);
        if (!wr_u64(&op->out, (uint64_t)column_int(&q, 0)) || !wr_u64(&op->out, (uint64_t)column_int(&q, 1)) ||
            !wr_u32(&op->out, (uint32_t)size) || !message_frame_write(&op->out, &m)) {
            query_end(&q);
            return fail(&op->why, E_MEMORY, "out of memory");
        }
        n++;
    }
    query_end(&q);
    op->count = n;
    return OK;
}

static bool is_queued(struct bytes state) { return bytes_is(state, "queued"); }

bool outbox_remove(struct db *db, int64_t seq, struct store_op *op) {
    struct query q = query_open(db, SQL_OUTBOX_DROP);
    bind_int(&q, 1, seq);
    struct peer_id peer = {0};
    bool there = query_row(&q), queued = false;
    int64_t bytes = 0;
    if (there) {
        column_peer(&q, 0, &peer);
        queued = is_queued(column_bytes(&q, 1));
        bytes = column_int(&q, 2);
        struct bytes id = column_bytes(&q, 3);
        if (op != NULL && id.n == MESSAGE_ID) memcpy(op->id, id.p, MESSAGE_ID);
        while (query_row(&q)) continue;
    }
    query_end(&q);
    if (!there || db->rc != SQLITE_OK) return false;
    if (op != NULL) {
        op->peer = peer;
        op->seq = seq;
    }
    count(db, queued ? party_find(db, &peer) : NULL, queued, -1, -bytes);
    return db->rc == SQLITE_OK;
}

enum err outbox_done(struct db *db, struct store_op *op) {
    if (!outbox_remove(db, op->seq, NULL)) return OK; /* gone already: a receipt that came twice */
    total_add(db, TOTAL_MESSAGES_OUT, 1);
    latency_add(db, op->latency_ms);
    return OK;
}

/* Queued to failed; false: there is no such queued row. `peer` and `id` are filled. */
static bool give_up(struct db *db, int64_t seq, const char *reason, struct peer_id *peer, uint8_t id[MESSAGE_ID]) {
    struct query q = query_open(db, SQL_OUTBOX_SHOW);
    bind_int(&q, 1, seq);
    bool there = query_row(&q) && is_queued(column_bytes(&q, 1)) && column_peer(&q, 0, peer);
    int64_t bytes = there ? column_int(&q, 2) : 0;
    struct bytes key = there ? column_bytes(&q, 3) : (struct bytes){NULL, 0};
    memset(id, 0, MESSAGE_ID);
    if (key.n == MESSAGE_ID) memcpy(id, key.p, MESSAGE_ID);
    query_end(&q);
    if (!there) return false;
    q = query_open(db, SQL_OUTBOX_FAIL);
    bind_int(&q, 1, seq);
    bind_str(&q, 2, reason);
    if (!query_run(&q)) return false;
    count(db, party_find(db, peer), true, -1, -bytes);
    count(db, NULL, false, 1, bytes);
    return db->rc == SQLITE_OK;
}

enum err outbox_failed(struct db *db, struct store_op *op) {
    struct peer_id peer;
    uint8_t id[MESSAGE_ID];
    give_up(db, op->seq, op->text, &peer, id);
    return OK;
}

static bool oldest_of(struct db *db, const char *peer, int64_t *seq, int64_t *created_ms) {
    struct query q = query_open(db, SQL_OUTBOX_OLDEST);
    bind_str(&q, 1, peer);
    bool there = query_row(&q);
    if (there) {
        *seq = column_int(&q, 0);
        *created_ms = column_int(&q, 1);
    }
    query_end(&q);
    return there;
}

enum err outbox_tried(struct db *db, struct store_op *op) {
    char text[PEER_TEXT_MAX];
    int64_t seq, created;
    peer_id_text(&op->peer, text);
    if (!oldest_of(db, text, &seq, &created)) return OK;
    struct query q = query_open(db, SQL_OUTBOX_TRIED);
    bind_int(&q, 1, seq);
    bind_int(&q, 2, op->when.ms);
    bind_str(&q, 3, op->text);
    query_run(&q);
    return OK;
}

enum err outbox_expire(struct db *db, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    size_t n = collect(db, SQL_OUTBOX_EXPIRED, op->now.ms, DB_STEP_MAX, seqs);
    for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) {
        struct peer_id peer;
        uint8_t id[MESSAGE_ID];
        if (!give_up(db, seqs[i], "expired", &peer, id)) continue;
        wr_u8(&op->out, peer.n);
        buf_add(&op->out, peer_id_view(&peer));
        buf_add(&op->out, bytes_at(id, MESSAGE_ID));
        wr_u64(&op->out, (uint64_t)seqs[i]);
    }
    op->count = n;
    op->more = n == DB_STEP_MAX;
    return OK;
}

bool outbox_peer_item(struct db *db, const struct peer_id *peer, struct buf *out) {
    struct party *p = party_find(db, peer);
    int64_t seq = 0, created = 0;
    if (p == NULL) return false;
    uint64_t messages = (uint64_t)p->outbox_messages, bytes = (uint64_t)p->outbox_bytes;
    if (!oldest_of(db, p->text, &seq, &created)) messages = bytes = 0;
    return wr_u8(out, peer->n) && buf_add(out, peer_id_view(peer)) && wr_u32(out, (uint32_t)messages) &&
           wr_u64(out, bytes) && wr_u64(out, (uint64_t)seq) && wr_u64(out, (uint64_t)created);
}

enum err outbox_peers(struct db *db, struct store_op *op) {
    enum { PEERS_MAX = 100000 };
    struct buf ids = {.max = PEERS_MAX * (PEER_ID_MAX + 1)};
    bool good = db_flush(db);
    struct query q = query_open(db, SQL_OUTBOX_PEERS);
    while (good && query_row(&q)) {
        struct peer_id peer;
        if (column_peer(&q, 0, &peer)) good = wr_u8(&ids, peer.n) && buf_add(&ids, peer_id_view(&peer));
    }
    query_end(&q);
    struct rd r = rd_of(buf_view(&ids));
    while (good && r.in.n > 0) {
        struct peer_id peer;
        if (!peer_id_read(rd_take(&r, rd_u8(&r)), &peer)) break;
        good = outbox_peer_item(db, &peer, &op->out);
    }
    buf_free(&ids);
    return good ? OK : fail(&op->why, E_MEMORY, "out of memory");
}

enum err outbox_list(struct db *db, struct store_op *op) {
    uint64_t n = 0, most = MIN(MAX(op->count, (uint64_t)1), (uint64_t)DB_LIST_MAX);
    struct query q = query_open(db, SQL_OUTBOX_LIST);
    bind_int(&q, 1, op->seq);
    bind_count(&q, 2, most + 1);
    while (query_row(&q)) {
        if (n == most) {
            op->more = true;
            break;
        }
        struct json_out o = json_begin(&op->out);
        if (n++ > 0) buf_add_byte(&op->out, ',');
        json_open(&o, NULL, '{');
        json_put_id(&o, "id", column_bytes(&q, 1));
        json_put(&o, "peer_id", column_bytes(&q, 2));
        if (column_bytes(&q, 3).n > 0) json_put(&o, "name", column_bytes(&q, 3));
        else json_put_null(&o, "name");
        json_put(&o, "state", column_bytes(&q, 4));
        json_put_int(&o, "bytes", column_int(&q, 5));
        json_put_time(&o, "created", column_int(&q, 6));
        json_put_int(&o, "tries", column_int(&q, 7));
        json_put_time(&o, "next_try", column_int(&q, 8));
        if (column_bytes(&q, 9).n > 0) json_put(&o, "last_error", column_bytes(&q, 9));
        else json_put_null(&o, "last_error");
        json_put_time(&o, "expires", column_int(&q, 10));
        json_shut(&o, '}');
        if (!json_end(&o)) {
            query_end(&q);
            return fail(&op->why, E_LIMIT, "the list is too long");
        }
    }
    query_end(&q);
    op->count = n;
    return OK;
}

/* A failed row queued again under a new id: the receiver may remember the old one as refused. */
static bool again(struct db *db, int64_t seq, const uint8_t id[MESSAGE_ID], struct store_op *op, struct peer_id *peer) {
    struct query q = query_open(db, SQL_OUTBOX_SHOW);
    bind_int(&q, 1, seq);
    bool there = query_row(&q) && !is_queued(column_bytes(&q, 1)) && column_peer(&q, 0, peer);
    int64_t bytes = there ? column_int(&q, 2) : 0;
    query_end(&q);
    if (!there) return false;
    q = query_open(db, SQL_OUTBOX_AGAIN);
    bind_int(&q, 1, seq);
    bind_bytes(&q, 2, bytes_at(id, MESSAGE_ID));
    bind_int(&q, 3, op->now.ms);
    if (!query_run(&q) || !outbox_remove(db, seq, NULL)) return false;
    count(db, party_find(db, peer), true, 1, bytes);
    return db->rc == SQLITE_OK;
}

/* New ids from the op's random bytes: each differs in a counter added to the first half. */
static void new_id(const struct store_op *op, uint64_t i, uint8_t id[MESSAGE_ID]) {
    memcpy(id, op->random, MESSAGE_ID);
    put_u64(id, get_u64(op->random) + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

enum err outbox_retry(struct db *db, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    size_t n = 1;
    struct peer_id none = {0}, peers[DB_STEP_MAX];
    size_t n_peers = 0;
    if (op->in.n > 0) {
        enum err e = message_find(db, false, buf_view(&op->in), &none, &seqs[0], op);
        if (e != OK) return e;
    } else {
        n = collect(db, SQL_OUTBOX_FAILED, 0, DB_STEP_MAX, seqs);
    }
    op->count = 0;
    for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) {
        uint8_t id[MESSAGE_ID];
        struct peer_id peer;
        new_id(op, i, id);
        if (!again(db, seqs[i], id, op, &peer)) continue;
        op->count++;
        size_t k = 0;
        while (k < n_peers && !peer_id_eq(&peers[k], &peer)) k++;
        if (k == n_peers) peers[n_peers++] = peer;
    }
    if (db->rc == SQLITE_OK && op->in.n > 0 && op->count == 0)
        return fail(&op->why, E_NOT_FOUND, "that message has not failed: it is still queued");
    for (size_t k = 0; k < n_peers && db->rc == SQLITE_OK; k++) outbox_peer_item(db, &peers[k], &op->out);
    op->more = n == DB_STEP_MAX;
    return OK;
}

enum err outbox_cancel(struct db *db, struct store_op *op) {
    struct peer_id none = {0};
    int64_t seq = 0;
    enum err e = message_find(db, false, buf_view(&op->in), &none, &seq, op);
    if (e != OK) return e;
    return outbox_remove(db, seq, op) || db->rc != SQLITE_OK ? OK : fail(&op->why, E_NOT_FOUND, "no message has this id");
}
