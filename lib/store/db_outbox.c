/* lib/store/db_outbox.c: messages on their way out. Failed ones stay until they are sent again, cancelled or
 * old; they give way to new ones when the outbox is full. */
#include "store/db_query.h"

#define TAKEN_ID "a message with this id is in the outbox already"

enum {
    EVICT_MAX = 64,       /* failed ones that give way to one new message */
    FRAME_PAGES_MORE = 8, /* pages of indices and of splits, beside the frame's own */
    RETRY_ROUNDS = 64     /* of DB_STEP_MAX rows in one operation */
};

static bool has_room(struct db *db, size_t bytes) {
    int64_t pages = (int64_t)(bytes / DB_PAGE) + FRAME_PAGES_MORE;
    return pages <= db->room_pages;
}

/* What limits[0] (messages) or limits[1] (bytes) says to n bytes more beside what is there; NULL: they fit.
 */
static const char *refused_by(int64_t messages, int64_t bytes, const uint64_t limits[6], size_t n) {
    if ((uint64_t)messages >= limits[0]) return "messages.outboxMax";
    if (n > limits[1] || (uint64_t)bytes > limits[1] - n) return "messages.outboxMaxBytes";
    return NULL;
}

static const char *all_refuse(const struct db *db, const uint64_t limits[6], size_t n) {
    const int64_t *t = db->totals;
    return refused_by(t[TOTAL_QUEUED] + t[TOTAL_FAILED], t[TOTAL_QUEUED_BYTES] + t[TOTAL_FAILED_BYTES],
                      limits, n);
}

/* Makes room by dropping the oldest failed ones, unless the queued ones alone fill the outbox. */
static enum err make_room(struct db *db, const uint64_t limits[6], size_t n, struct why *w) {
    int64_t seqs[DB_STEP_MAX];
    const char *key = refused_by(db->totals[TOTAL_QUEUED], db->totals[TOTAL_QUEUED_BYTES], limits, n);
    if (key != NULL) return fail(w, E_LIMIT, "the outbox is full (%s)", key);
    size_t found = collect(db, SQL_OUTBOX_FAILED, 0, EVICT_MAX, seqs);
    for (size_t i = 0; i < found && all_refuse(db, limits, n) != NULL; i++) outbox_remove(db, seqs[i], NULL);
    key = all_refuse(db, limits, n);
    if (key == NULL) return OK;
    return fail(w, E_LIMIT, "the outbox is full of failed messages (%s): cancel some", key);
}

static bool is_there(struct db *db, const uint8_t id[MESSAGE_ID]) {
    struct query q = query_open(db, SQL_OUTBOX_HAS);
    bind_bytes(&q, 1, bytes_at(id, MESSAGE_ID));
    bool there = query_row(&q);
    query_end(&q);
    return there;
}

/* The values of a row, from parameter `at` on. */
static void bind_row(struct query *q, int at, const struct party *p, const struct message *m,
                     size_t frame_bytes) {
    bind_bytes(q, at, bytes_at(m->id, MESSAGE_ID));
    bind_str(q, at + 1, p->text);
    bind_count(q, at + 2, m->sent_ms);
    bind_count(q, at + 3, m->expires_ms);
    bind_message_text(q, at + 4, m->content_type);
    bind_message_text(q, at + 5, m->subject);
    if (m->has_reply_to) bind_bytes(q, at + 6, bytes_at(m->reply_to, MESSAGE_ID));
    bind_count(q, at + 7, frame_bytes);
    bind_bytes(q, at + 8, m->body);
}

static void insert(struct db *db, const struct party *p, const struct message *m, size_t frame_bytes) {
    struct query q = query_open(db, SQL_OUTBOX_ADD);
    bind_row(&q, 1, p, m, frame_bytes);
    query_run(&q);
}

static void count_queued(struct db *db, struct party *p, int64_t messages, int64_t bytes) {
    total_add(db, TOTAL_QUEUED, messages);
    total_add(db, TOTAL_QUEUED_BYTES, bytes);
    if (p == NULL) return;
    p->outbox_messages = MAX(p->outbox_messages + messages, (int64_t)0);
    p->outbox_bytes = MAX(p->outbox_bytes + bytes, (int64_t)0);
    p->dirty = true;
}

enum err outbox_put(struct db *db, const struct peer_id *peer, struct bytes frame, const uint64_t limits[6],
                    int64_t *seq, struct store_op *op) {
    struct message m;
    enum err e = message_of_frame(frame, &m, &op->why);
    if (e != OK) return e;
    struct party *p = party_find(db, peer);
    if (p == NULL) return fail(&op->why, E_INPUT, "no peer to send to");
    memcpy(op->id, m.id, MESSAGE_ID);
    bool peer_full = (uint64_t)p->outbox_messages >= limits[2];
    if (peer_full || !has_room(db, frame.n) || all_refuse(db, limits, frame.n) != NULL) {
        /* one that is there already gets that answer: the spool's file of it may go */
        if (is_there(db, m.id)) return fail(&op->why, E_REFUSED, TAKEN_ID);
        if (peer_full)
            return fail(&op->why, E_LIMIT, "the outbox is full for this peer (messages.outboxMaxPerPeer)");
        if (!has_room(db, frame.n)) return db_error(db, SQLITE_FULL, &op->why);
        e = make_room(db, limits, frame.n, &op->why);
        if (e != OK) return e;
        p = party_find(db, peer); /* the failed ones may have taken its slot */
        if (p == NULL) return E_IO;
    }
    insert(db, p, &m, frame.n);
    if (db->rc != SQLITE_OK) return E_IO;
    if (sqlite3_changes(db->sql) == 0) return fail(&op->why, E_REFUSED, TAKEN_ID);
    *seq = sqlite3_last_insert_rowid(db->sql);
    db->room_pages -= (int64_t)(frame.n / DB_PAGE) + 1;
    count_queued(db, p, 1, (int64_t)frame.n);
    return OK;
}

enum err outbox_add(struct db *db, struct store_op *op) {
    return outbox_put(db, &op->peer, buf_view(&op->in), op->limits, &op->seq, op);
}

/* All of them are messages for which there is room; *bytes: of them all. */
static bool run_fits(const struct db *db, const struct party *p, const struct store_op *first,
                     struct message m[RUN_ROWS], size_t *bytes) {
    const struct store_op *op = first;
    const int64_t *t = db->totals;
    int64_t pages = FRAME_PAGES_MORE;
    *bytes = 0;
    for (int64_t i = 0; i < RUN_ROWS; i++, op = op->next) {
        int64_t before = (int64_t)*bytes;
        if (message_of_frame(buf_view(&op->in), &m[i], NULL) != OK) return false;
        if ((uint64_t)(p->outbox_messages + i) >= op->limits[2]) return false;
        if (refused_by(t[TOTAL_QUEUED] + t[TOTAL_FAILED] + i,
                       t[TOTAL_QUEUED_BYTES] + t[TOTAL_FAILED_BYTES] + before, op->limits, op->in.n) != NULL)
            return false;
        pages += (int64_t)(op->in.n / DB_PAGE) + 1;
        *bytes += op->in.n;
    }
    return pages <= db->room_pages;
}

size_t outbox_add_run(struct db *db, struct store_op *first, size_t n) {
    struct message m[RUN_ROWS];
    size_t bytes;
    struct party *p = party_find(db, &first->peer);
    if (p == NULL || n != RUN_ROWS || !run_fits(db, p, first, m, &bytes)) return 0;
    struct query q = query_open(db, SQL_OUTBOX_ADD_RUN);
    struct store_op *op = first;
    for (int i = 0; i < RUN_ROWS; i++, op = op->next) bind_row(&q, 1 + i * OUTBOX_VALUES, p, &m[i], op->in.n);
    if (!query_run(&q))
        return 0; /* also for an id that is there: our own are random, so it is worth no more */
    int64_t seq = sqlite3_last_insert_rowid(db->sql) - RUN_ROWS;
    op = first;
    for (size_t i = 0; i < RUN_ROWS; i++, op = op->next) {
        memcpy(op->id, m[i].id, MESSAGE_ID);
        op->seq = ++seq;
        db->room_pages -= (int64_t)(op->in.n / DB_PAGE) + 1;
    }
    count_queued(db, p, RUN_ROWS, (int64_t)bytes);
    return RUN_ROWS;
}

enum err outbox_load(struct db *db, struct store_op *op) {
    struct query q = query_open(db, SQL_OUTBOX_LOAD);
    char peer[PEER_TEXT_MAX];
    peer_to_text(&op->peer, peer);
    bind_str(&q, 1, peer);
    bind_int(&q, 2, op->seq);
    bind_int(&q, 3, op->count == 0 || op->count >= INT32_MAX ? INT32_MAX : (int64_t)op->count + 1);
    enum err e = OK;
    for (uint64_t n = 0; e == OK && query_row(&q); n++) {
        struct message m;
        uint64_t bytes = (uint64_t)column_int(&q, 2);
        op->more = n > 0 && ((op->count != 0 && n == op->count) || op->out.n >= op->bytes ||
                             bytes > op->bytes - op->out.n);
        if (op->more) break;
        column_message(&q, 3, &m);
        bool done = wr_u64(&op->out, (uint64_t)column_int(&q, 0)) &&
                    wr_u64(&op->out, (uint64_t)column_int(&q, 1)) &&
                    wr_u32(&op->out, (uint32_t)message_frame_size(&m)) && message_frame_write(&op->out, &m);
        if (!done) e = fail(&op->why, E_MEMORY, "out of memory for queued messages");
    }
    query_end(&q);
    return e;
}

/* What a row of OUTBOX_DROP or OUTBOX_SHOW says: peer, state, frame_bytes, id. */
static bool read_row(const struct query *q, struct peer_id *peer, bool *queued, int64_t *bytes,
                     uint8_t id[MESSAGE_ID]) {
    struct bytes v = column_bytes(q, 3);
    *queued = bytes_is(column_bytes(q, 1), "queued");
    *bytes = column_int(q, 2);
    memset(id, 0, MESSAGE_ID);
    if (v.n == MESSAGE_ID) memcpy(id, v.p, MESSAGE_ID);
    return column_peer(q, 0, peer);
}

bool outbox_remove(struct db *db, int64_t seq, struct store_op *op) {
    struct peer_id peer = {.n = 0};
    uint8_t id[MESSAGE_ID];
    bool queued = false;
    int64_t bytes = 0;
    struct query q = query_open(db, SQL_OUTBOX_DROP);
    bind_int(&q, 1, seq);
    bool there = query_row(&q);
    if (there) read_row(&q, &peer, &queued, &bytes, id);
    query_end(&q);
    if (!there) return false;
    if (queued) {
        count_queued(db, party_find(db, &peer), -1, -bytes);
    } else {
        total_add(db, TOTAL_FAILED, -1);
        total_add(db, TOTAL_FAILED_BYTES, -bytes);
    }
    if (op != NULL) {
        op->seq = seq;
        op->peer = peer;
        op->count = queued;
        memcpy(op->id, id, MESSAGE_ID);
    }
    return true;
}

enum err outbox_done(struct db *db, struct store_op *op) {
    if (!outbox_remove(db, op->seq, op)) return OK; /* cancelled meanwhile, or a second receipt */
    op->count = 1;
    total_add(db, TOTAL_MESSAGES_OUT, 1);
    if (op->latency_ms >= 0) latency_add(db, op->latency_ms);
    return OK;
}

size_t outbox_done_run_length(const struct store_op *first, size_t most) {
    size_t n = 1;
    for (const struct store_op *op = first; n < most && op->next != NULL; op = op->next, n++) {
        const struct store_op *next = op->next;
        if (next->kind != first->kind || next->seq != op->seq + 1) break;
        if (!peer_id_eq(&next->peer, &first->peer)) break;
    }
    return n;
}

/* How many of them, from the first on, are there and queued, for this peer. Counts their bytes, and gives
 * each its id. */
static size_t queued_run(struct db *db, const struct party *p, struct store_op *first, size_t n,
                         int64_t *bytes) {
    struct query q = query_open(db, SQL_OUTBOX_SHOW_RUN);
    struct store_op *op = first;
    size_t found = 0;
    bind_int(&q, 1, first->seq);
    bind_int(&q, 2, first->seq + (int64_t)n - 1);
    for (; found < n && query_row(&q); found++, op = op->next) {
        struct bytes id = column_bytes(&q, 4);
        if (column_int(&q, 0) != op->seq || !bytes_is(column_bytes(&q, 1), p->text)) break;
        if (!bytes_is(column_bytes(&q, 2), "queued") || id.n != MESSAGE_ID) break;
        memcpy(op->id, id.p, MESSAGE_ID);
        *bytes += column_int(&q, 3);
    }
    query_end(&q);
    return found;
}

size_t outbox_done_run(struct db *db, struct store_op *first, size_t n) {
    struct party *p = party_find(db, &first->peer);
    int64_t bytes = 0;
    if (p == NULL) return 0;
    n = queued_run(db, p, first, n, &bytes);
    if (n < 2) return 0;
    struct query q = query_open(db, SQL_OUTBOX_DROP_RUN);
    bind_int(&q, 1, first->seq);
    bind_int(&q, 2, first->seq + (int64_t)n - 1);
    if (!query_run(&q)) return 0;
    count_queued(db, p, -(int64_t)n, -bytes);
    total_add(db, TOTAL_MESSAGES_OUT, (int64_t)n);
    struct store_op *op = first;
    for (size_t i = 0; i < n; i++, op = op->next) {
        op->count = 1;
        if (op->latency_ms >= 0) latency_add(db, op->latency_ms);
    }
    return n;
}

/* Sets a queued message to failed. False: it is not there, or not queued. */
static bool fail_one(struct db *db, int64_t seq, const char *text, struct peer_id *peer,
                     uint8_t id[MESSAGE_ID]) {
    bool queued = false;
    int64_t bytes = 0;
    struct query q = query_open(db, SQL_OUTBOX_SHOW);
    bind_int(&q, 1, seq);
    if (query_row(&q)) read_row(&q, peer, &queued, &bytes, id);
    query_end(&q);
    if (!queued) return false;
    q = query_open(db, SQL_OUTBOX_FAIL);
    bind_int(&q, 1, seq);
    bind_str(&q, 2, text);
    if (!query_run(&q)) return false;
    count_queued(db, party_find(db, peer), -1, -bytes);
    total_add(db, TOTAL_FAILED, 1);
    total_add(db, TOTAL_FAILED_BYTES, bytes);
    return true;
}

enum err outbox_failed(struct db *db, struct store_op *op) {
    op->count = fail_one(db, op->seq, op->text, &op->peer, op->id)
                    ? 1
                    : 0; /* 0: cancelled or expired meanwhile */
    return OK;
}

/* The oldest queued message of a peer: 0: none. */
static int64_t oldest(struct db *db, const char *peer, int64_t *created_ms) {
    struct query q = query_open(db, SQL_OUTBOX_OLDEST);
    bind_str(&q, 1, peer);
    int64_t seq = 0;
    if (query_row(&q)) {
        seq = column_int(&q, 0);
        *created_ms = column_int(&q, 1);
    }
    query_end(&q);
    return seq;
}

enum err outbox_tried(struct db *db, struct store_op *op) {
    char peer[PEER_TEXT_MAX];
    int64_t created_ms;
    peer_to_text(&op->peer, peer);
    int64_t seq = oldest(db, peer, &created_ms);
    if (seq == 0) return OK; /* delivered, cancelled or expired meanwhile */
    struct query q = query_open(db, SQL_OUTBOX_TRIED);
    bind_int(&q, 1, seq);
    bind_int(&q, 2, op->when.ms);
    bind_str(&q, 3, op->text);
    query_run(&q);
    op->seq = seq;
    return OK;
}

enum err outbox_expire(struct db *db, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    size_t n = collect(db, SQL_OUTBOX_EXPIRED, op->now.ms, DB_STEP_MAX, seqs);
    op->count = 0;
    for (size_t i = 0; i < n; i++) {
        struct peer_id peer = {.n = 0};
        uint8_t id[MESSAGE_ID];
        if (!fail_one(db, seqs[i], "expired", &peer, id)) continue;
        bool done = wr_u8(&op->out, peer.n) && buf_add(&op->out, peer_id_view(&peer)) &&
                    buf_add(&op->out, bytes_at(id, MESSAGE_ID)) && wr_u64(&op->out, (uint64_t)seqs[i]);
        if (!done) return fail(&op->why, E_MEMORY, "out of memory");
        op->count++;
    }
    op->more = n == DB_STEP_MAX;
    return OK;
}

bool outbox_peer_item(struct db *db, const struct peer_id *peer, struct buf *out) {
    struct party *p = party_find(db, peer);
    int64_t created_ms = 0;
    if (p == NULL) return false;
    int64_t seq = oldest(db, p->text, &created_ms);
    uint32_t count = (uint32_t)MIN(MAX(p->outbox_messages, (int64_t)0), (int64_t)UINT32_MAX);
    return wr_u8(out, peer->n) && buf_add(out, peer_id_view(peer)) && wr_u32(out, count) &&
           wr_u64(out, (uint64_t)p->outbox_bytes) && wr_u64(out, (uint64_t)seq) &&
           wr_u64(out, (uint64_t)created_ms);
}

enum err outbox_peers(struct db *db, struct store_op *op) {
    enum err e = OK;
    if (!db_flush(db)) return E_IO;
    struct query q = query_open(db, SQL_OUTBOX_PEERS);
    while (e == OK && query_row(&q)) {
        struct peer_id peer;
        if (!column_peer(&q, 0, &peer)) continue;
        if (!outbox_peer_item(db, &peer, &op->out)) e = fail(&op->why, E_MEMORY, "out of memory");
    }
    query_end(&q);
    return e;
}

static void list_item(const struct query *q, struct json_out *o) {
    bool queued = bytes_is(column_bytes(q, 4), "queued");
    json_open(o, NULL, '{');
    json_put_id(o, "id", column_bytes(q, 1));
    json_put(o, "peer_id", column_bytes(q, 2));
    struct bytes name = column_bytes(q, 3);
    if (name.n == 0)
        json_put_null(o, "name");
    else
        json_put(o, "name", name);
    json_put(o, "state", column_bytes(q, 4));
    json_put_int(o, "bytes", column_int(q, 5));
    json_put_time(o, "created", column_int(q, 6));
    json_put_int(o, "tries", column_int(q, 7));
    json_put_time(o, "next_try", queued ? column_int(q, 8) : 0);
    struct bytes error = column_bytes(q, 9);
    if (error.n == 0)
        json_put_null(o, "last_error");
    else
        json_put(o, "last_error", error);
    json_put_time(o, "expires", column_int(q, 10));
    json_shut(o, '}');
}

enum err outbox_list(struct db *db, struct store_op *op) {
    uint64_t most = op->count == 0 ? DB_LIST_MAX : MIN(op->count, (uint64_t)DB_LIST_MAX);
    struct query q = query_open(db, SQL_OUTBOX_LIST);
    bind_int(&q, 1, op->seq);
    bind_count(&q, 2, most + 1);
    enum err e = OK;
    op->count = 0;
    while (e == OK && query_row(&q)) {
        op->more = op->count == most;
        if (op->more) break;
        struct json_out o = json_begin(&op->out);
        bool comma = op->count == 0 || buf_add_byte(&op->out, ',');
        list_item(&q, &o);
        if (!comma || !json_end(&o)) e = fail(&op->why, E_MEMORY, "out of memory for the list");
        op->seq = column_int(&q, 0);
        op->count++;
    }
    query_end(&q);
    return e;
}

/* A new id, a new place at the end, and the time it had to live once more. */
static bool send_again(struct db *db, int64_t seq, struct rng *rng, struct store_op *op) {
    uint8_t id[MESSAGE_ID];
    rng_fill(rng, id, sizeof(id));
    struct query q = query_open(db, SQL_OUTBOX_AGAIN);
    bind_int(&q, 1, seq);
    bind_bytes(&q, 2, bytes_at(id, sizeof(id)));
    bind_int(&q, 3, op->now.ms);
    if (!query_run(&q)) return false;
    int64_t again = sqlite3_last_insert_rowid(db->sql), bytes = 0;
    struct peer_id peer = {.n = 0};
    bool queued = false;
    if (!outbox_remove(db, seq, NULL)) return false;
    q = query_open(db, SQL_OUTBOX_SHOW);
    bind_int(&q, 1, again);
    if (query_row(&q)) read_row(&q, &peer, &queued, &bytes, id);
    query_end(&q);
    count_queued(db, party_find(db, &peer), 1, bytes);
    op->peer = peer;
    op->seq = again;
    memcpy(op->id, id, sizeof(id));
    return db->rc == SQLITE_OK;
}

/* The state and peer of a row; true: failed, and its peer has room for one more (limits[2], 0: no limit). */
static bool may_retry(struct db *db, int64_t seq, uint64_t per_peer, bool *failed) {
    struct peer_id peer = {.n = 0};
    uint8_t id[MESSAGE_ID];
    bool queued = true;
    int64_t bytes;
    struct query q = query_open(db, SQL_OUTBOX_SHOW);
    bind_int(&q, 1, seq);
    if (query_row(&q)) read_row(&q, &peer, &queued, &bytes, id);
    query_end(&q);
    *failed = !queued;
    struct party *p = party_find(db, &peer);
    return !queued && p != NULL && (per_peer == 0 || (uint64_t)p->outbox_messages < per_peer);
}

static void touch(struct peer_id *touched, size_t *n, const struct peer_id *peer) {
    for (size_t i = 0; i < *n; i++) {
        if (peer_id_eq(&touched[i], peer)) return;
    }
    touched[(*n)++] = *peer;
}

static enum err retry_one(struct db *db, struct rng *rng, struct store_op *op) {
    int64_t seq = 0;
    bool failed;
    enum err e = message_find(db, false, buf_view(&op->in), &(struct peer_id){.n = 0}, &seq, op);
    if (e != OK) return e;
    if (!may_retry(db, seq, op->limits[2], &failed)) {
        if (!failed) return fail(&op->why, E_INPUT, "the message has not failed: it is still being sent");
        return fail(&op->why, E_LIMIT, "the outbox is full for this peer (messages.outboxMaxPerPeer)");
    }
    if (!send_again(db, seq, rng, op)) return E_IO;
    op->count = 1;
    return outbox_peer_item(db, &op->peer, &op->out) ? OK : fail(&op->why, E_MEMORY, "out of memory");
}

/* New rows get higher seqs than all that are walked here, and are not failed: the walk ends. */
static enum err retry_all(struct db *db, struct rng *rng, struct store_op *op) {
    int64_t seqs[DB_STEP_MAX], after = op->seq;
    struct peer_id touched[DB_STEP_MAX];
    size_t n_touched = 0;
    bool failed;
    op->more = true;
    for (size_t round = 0; op->more && round < RETRY_ROUNDS; round++) {
        size_t n = collect(db, SQL_OUTBOX_FAILED, after, DB_STEP_MAX, seqs);
        op->more = n == DB_STEP_MAX;
        for (size_t i = 0; i < n; i++) {
            if (n_touched == DB_STEP_MAX) { /* so many peers: their rows fill one answer */
                op->more = true;
                round = RETRY_ROUNDS;
                break;
            }
            after = seqs[i];
            if (!may_retry(db, seqs[i], op->limits[2], &failed)) continue;
            if (!send_again(db, seqs[i], rng, op)) return E_IO;
            op->count++;
            touch(touched, &n_touched, &op->peer);
        }
    }
    op->seq = after;
    for (size_t i = 0; i < n_touched; i++) {
        if (!outbox_peer_item(db, &touched[i], &op->out)) return fail(&op->why, E_MEMORY, "out of memory");
    }
    return OK;
}

enum err outbox_retry(struct db *db, struct store_op *op) {
    struct rng rng = {.left = 0};
    memcpy(rng.key, op->random, sizeof(rng.key));
    op->count = 0;
    enum err e = op->in.n > 0 ? retry_one(db, &rng, op) : retry_all(db, &rng, op);
    rng_wipe(&rng);
    return e;
}

enum err outbox_cancel(struct db *db, struct store_op *op) {
    int64_t seq = 0;
    enum err e = message_find(db, false, buf_view(&op->in), &(struct peer_id){.n = 0}, &seq, op);
    if (e != OK) return e;
    return outbox_remove(db, seq, op) ? OK : fail(&op->why, E_NOT_FOUND, "no message has this id");
}
