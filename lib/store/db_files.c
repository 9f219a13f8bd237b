/* lib/store/db_files.c: rows of large files that are sent and received; their bytes are files.h's.
 *
 * Directions and states: out copying -> moving | offered (the peer must accept) -> complete | failed
 *                        in  offered -> moving -> complete | failed
 * The database says what there is, the folders only hold it: a row is made before its bytes, and they go
 * behind the commit of what ends it (db_bytes.c). */
#include "store/db_query.h"

#include "base/text.h"
#include "proto/file.h"

#include <stdio.h>
#include <unistd.h>

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define LIFE_MAX_MS (90 * DAY_MS) /* as messages: no sender tries longer */

enum { NAME_SPACE = BYTES_NAME_SPACE, PATH_SPACE = 4096, LIST_COUNT = 1000, CANDIDATES = 6 };

struct row {
    int64_t seq;
    uint8_t id[MESSAGE_ID], hash[FILE_HASH];
    struct peer_id peer;
    bool outgoing;
    char state[12], name[NAME_SPACE];
    uint64_t size, done;
    struct wall created;
    uint8_t offer[FILE_FRAME_MAX];
    size_t offer_n;
};

static enum err no_files(struct store_op *op) {
    return fail(&op->why, E_FAILED, "this node keeps no files");
}

static bool show(struct db *db, int64_t seq, struct row *r) {
    struct query q = query_open(db, SQL_FILE_SHOW);
    bind_int(&q, 1, seq);
    bool there = query_row(&q);
    if (there) {
        struct bytes id = column_bytes(&q, 1), hash = column_bytes(&q, 8), offer = column_bytes(&q, 9);
        *r = (struct row){.seq = column_int(&q, 0),
                          .outgoing = bytes_is(column_bytes(&q, 3), "out"),
                          .size = (uint64_t)column_int(&q, 5),
                          .done = (uint64_t)column_int(&q, 6),
                          .created = {column_int(&q, 10)}};
        memcpy(r->id, id.p, MIN(id.n, sizeof r->id));
        memcpy(r->hash, hash.p, MIN(hash.n, sizeof r->hash));
        bytes_cstr(column_bytes(&q, 4), r->state, sizeof r->state);
        bytes_cstr(column_bytes(&q, 7), r->name, sizeof r->name);
        r->offer_n = MIN(offer.n, sizeof r->offer);
        memcpy(r->offer, offer.p, r->offer_n);
        there = column_peer(&q, 2, &r->peer);
    }
    query_end(&q);
    return there;
}

/* An op's row; E_NOT_FOUND, E_FAILED. */
static enum err row_of(struct db *db, struct store_op *op, struct row *r) {
    if (db->files == NULL) return no_files(op);
    if (!show(db, op->seq, r)) return fail(&op->why, E_NOT_FOUND, "the transfer was cancelled");
    op->peer = r->peer;
    memcpy(op->id, r->id, MESSAGE_ID);
    return OK;
}

static void set_state(struct db *db, int64_t seq, const char *state, const char *error, int64_t ended_ms) {
    struct query q = query_open(db, SQL_FILE_STATE);
    bind_int(&q, 1, seq);
    bind_str(&q, 2, state);
    if (error != NULL) bind_str(&q, 3, error);
    bind_int(&q, 4, ended_ms);
    query_run(&q);
}

static void set_done(struct db *db, int64_t seq, uint64_t done) {
    if (!db_write_begin(db)) return;
    struct query q = query_open(db, SQL_FILE_DONE);
    bind_int(&q, 1, seq);
    bind_count(&q, 2, done);
    query_run(&q);
}

static void drop_row(struct db *db, int64_t seq) {
    if (!db_write_begin(db)) return;
    struct query q = query_open(db, SQL_FILE_DROP);
    bind_int(&q, 1, seq);
    query_run(&q);
}

static void row_bytes_go(struct db *db, const struct row *r) {
    struct bytes_gone gone = {.seq = r->seq, .outgoing = r->outgoing};
    memcpy(gone.name, r->name, sizeof gone.name);
    bytes_go(db, &gone);
}

static bool is(const struct row *r, const char *state) {
    return strcmp(r->state, state) == 0;
}

static int64_t count_of(struct db *db, enum statement which, const struct peer_id *peer) {
    char text[PEER_TEXT_MAX];
    struct query q = query_open(db, which);
    peer_to_text(peer, text);
    bind_str(&q, 1, text);
    int64_t n = query_row(&q) ? column_int(&q, 0) : 0;
    query_end(&q);
    return n;
}

/* What has ended is kept for people to see; it gives way to what is new, the oldest first. Its bytes went
 * when it ended. */
static bool rows_full(struct db *db, const struct store_op *op) {
    int64_t seqs[DB_STEP_MAX];
    uint64_t rows = (uint64_t)query_number(db, SQL_FILE_ROWS, 0), most = op->limits[1];
    if (rows < most) return false;
    uint64_t excess = rows - most + 1;
    size_t n = collect(db, SQL_FILE_OLD_ENDED, INT64_MAX, (size_t)MIN(excess, (uint64_t)DB_STEP_MAX), seqs);
    if (n < excess) return true;
    for (size_t i = 0; i < n; i++) drop_row(db, seqs[i]);
    return false;
}

/* Fits `size` into the quota of bytes? */
static bool fits(struct db *db, uint64_t size, uint64_t quota) {
    uint64_t used = (uint64_t)query_number(db, SQL_FILE_BYTES, 0);
    return used <= quota && size <= quota - used;
}

static bool insert(struct db *db, const struct store_op *op, const struct file_offer *o, bool outgoing,
                   const char *state, uint64_t size, struct bytes offer) {
    char peer[PEER_TEXT_MAX];
    peer_to_text(&op->peer, peer);
    struct query q = query_open(db, SQL_FILE_ADD);
    bind_bytes(&q, 1, bytes_at(o->id, MESSAGE_ID));
    bind_str(&q, 2, peer);
    bind_str(&q, 3, outgoing ? "out" : "in");
    bind_str(&q, 4, state);
    bind_count(&q, 5, size);
    bind_int(&q, 6, op->now.ms);
    bind_text(&q, 7, o->name);
    bind_bytes(&q, 8, bytes_at(o->hash, FILE_HASH));
    bind_bytes(&q, 9, offer);
    return query_run(&q);
}

/* ---- sending */

static enum err add_copy(struct db *db, struct store_op *op) {
    struct file_offer o;
    if (db->files == NULL) return no_files(op);
    enum err e = file_offer_read(buf_view(&op->in), &o, &op->why);
    if (e != OK) return fail(&op->why, E_INPUT, "%s", op->why.text);
    if (rows_full(db, op))
        return fail(&op->why, E_LIMIT,
                    "too many files are kept (limit files): cancel some with `silktalk file cancel`");
    if (!fits(db, o.size, op->limits[0]))
        return fail(&op->why, E_LIMIT, "no room for it within files.quota: see `silktalk file list`");
    if (!insert(db, op, &o, true, "copying", o.size, buf_view(&op->in))) return E_IO;
    op->seq = sqlite3_last_insert_rowid(db->sql);
    op->count = o.size;
    int source = op->fd;
    op->fd = -1;
    bytes_go(db, &(struct bytes_gone){.seq = op->seq, .outgoing = true, .if_undone = true});
    return files_copy_begin(db->files, op->seq, source, o.size, &op->why);
}

enum err file_add(struct db *db, struct store_op *op) {
    enum err e = op->fd < 0 ? fail(&op->why, E_INPUT, "no file came with the request") : add_copy(db, op);
    if (op->fd >= 0) close(op->fd);
    op->fd = -1;
    return e;
}

static enum err copied(struct db *db, struct store_op *op, const struct row *r,
                       const uint8_t hash[FILE_HASH]) {
    struct file_offer o;
    if (file_offer_read(bytes_at(r->offer, r->offer_n), &o, &op->why) != OK) return E_IO;
    memcpy(o.hash, hash, FILE_HASH);
    uint8_t space[FILE_FRAME_MAX + 8];
    struct buf whole = {space, 0, sizeof space, sizeof space};
    struct bytes frame, in;
    bool good = false;
    if (!file_offer_write(&whole, &o)) return fail(&op->why, E_LIMIT, "the offer is too long");
    in = buf_view(&whole);
    if (file_frame_next(&in, &frame, &good) != OK || !good || !buf_add(&op->out, frame))
        return fail(&op->why, E_MEMORY, "out of memory");
    if (!db_write_begin(db)) return E_IO;
    struct query q = query_open(db, SQL_FILE_READY);
    bind_int(&q, 1, r->seq);
    bind_bytes(&q, 2, bytes_at(hash, FILE_HASH));
    bind_bytes(&q, 3, frame);
    op->when = r->created;
    return query_run(&q) ? OK : E_IO;
}

enum err file_copy(struct db *db, struct store_op *op) {
    struct row r = {.seq = 0};
    uint8_t hash[FILE_HASH];
    bool whole = false;
    enum err e = row_of(db, op, &r);
    if (e == OK && !is(&r, "copying")) e = fail(&op->why, E_INPUT, "it was copied before");
    if (e != OK) return e;
    e = files_copy(db->files, r.seq, r.size, &op->count, &whole, hash, &op->why);
    op->more = e == OK && !whole;
    op->bytes = r.size;
    if (e == OK && whole) e = copied(db, op, &r, hash);
    return e;
}

/* What a stop left half copied was never promised to anyone. What came since is being copied. */
static void drop_half_copies(struct db *db) {
    int64_t seqs[DB_STEP_MAX];
    size_t n;
    do {
        n = collect(db, SQL_FILE_COPYING, db->files_at_open, DB_STEP_MAX, seqs);
        for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) drop_row(db, seqs[i]);
    } while (n == DB_STEP_MAX && db->rc == SQLITE_OK);
}

enum err file_queue(struct db *db, struct store_op *op) {
    op->count = 0;
    if (db->files == NULL) return OK; /* nothing to send, and no reason to ask again */
    if (op->seq == 0) {               /* the node's start, until it succeeds */
        drop_half_copies(db);
        db->sweep_bytes = true;
    }
    struct query q = query_open(db, SQL_FILE_QUEUE);
    bind_int(&q, 1, op->seq);
    enum err e = OK;
    while (e == OK && query_row(&q)) {
        struct peer_id peer;
        struct bytes offer = column_bytes(&q, 4);
        if (!column_peer(&q, 1, &peer) || offer.n > FILE_FRAME_MAX) continue;
        op->more = buf_room(&op->out) < 64 + (size_t)peer.n + offer.n;
        if (op->more) break;
        bool done = wr_u64(&op->out, (uint64_t)column_int(&q, 0)) && wr_u8(&op->out, peer.n) &&
                    buf_add(&op->out, peer_id_view(&peer)) && wr_u64(&op->out, (uint64_t)column_int(&q, 2)) &&
                    wr_u64(&op->out, (uint64_t)column_int(&q, 3)) && wr_u16(&op->out, (uint16_t)offer.n) &&
                    buf_add(&op->out, offer);
        if (!done) e = fail(&op->why, E_MEMORY, "out of memory for the files to be sent");
        op->seq = column_int(&q, 0);
        op->count++;
    }
    query_end(&q);
    return e;
}

enum err file_read_part(struct db *db, struct store_op *op) {
    if (db->files == NULL) return no_files(op);
    if (op->bytes > FILE_SLICE) return fail(&op->why, E_INPUT, "too much at once");
    return files_read(db->files, op->seq, op->count, (size_t)op->bytes, &op->out, &op->why);
}

enum err file_tried(struct db *db, struct store_op *op) {
    struct query q = query_open(db, SQL_FILE_TRIED);
    bind_int(&q, 1, op->seq);
    bind_str(&q, 2, (op->flags & FILE_WAITS) != 0 ? "offered" : "moving");
    if (op->text[0] != 0) bind_str(&q, 3, op->text);
    bind_count(&q, 4, op->count);
    bind_count(&q, 5, op->bytes);
    query_run(&q);
    return OK;
}

enum err file_ended(struct db *db, struct store_op *op) {
    struct row r = {.seq = 0};
    enum err e = row_of(db, op, &r);
    if (e == E_NOT_FOUND) return OK;
    if (e != OK) return e;
    bool good = op->text[0] == 0;
    set_state(db, r.seq, good ? "complete" : "failed", good ? NULL : op->text, op->now.ms);
    if (good) set_done(db, r.seq, r.size);
    bytes_go(db, &(struct bytes_gone){.seq = r.seq, .outgoing = r.outgoing});
    return OK;
}

/* ---- receiving */

/* Why an offer that is new is not taken; RECEIPT_NONE: it is. */
static enum receipt_status judge(struct db *db, struct store_op *op, const struct file_offer *o) {
    bool wanted = (op->flags & FILE_WANTED) != 0;
    if (inbox_has_seen(db, &op->peer, o->id)) return RECEIPT_DUPLICATE;
    if (rows_full(db, op)) {
        fail(&op->why, E_LIMIT, "files");
        return RECEIPT_BUSY;
    }
    if (wanted && !fits(db, o->size, op->limits[0])) {
        fail(&op->why, E_LIMIT, "files.quota");
        return RECEIPT_BUSY;
    }
    if (!wanted && ((uint64_t)query_number(db, SQL_FILE_OFFERS, 0) >= op->limits[2] ||
                    (uint64_t)count_of(db, SQL_FILE_OFFERS_OF, &op->peer) >= op->limits[3])) {
        fail(&op->why, E_LIMIT, "file_offers");
        return RECEIPT_BUSY;
    }
    return RECEIPT_NONE;
}

static enum err again(struct db *db, struct store_op *op, const struct file_offer *o, const struct row *r) {
    op->seq = r->seq;
    op->count = files_written(db->files, r->seq, r->done);
    if (r->size != o->size || memcmp(r->hash, o->hash, FILE_HASH) != 0)
        op->status = RECEIPT_INVALID;
    else if (is(r, "complete"))
        op->status = RECEIPT_DUPLICATE;
    else if (is(r, "failed"))
        op->status = RECEIPT_DENIED;
    else if (is(r, "offered") && (op->flags & FILE_WANTED) == 0)
        op->flags |= FILE_WAITS;
    else if (is(r, "offered") && !fits(db, r->size, op->limits[0]))
        op->status = RECEIPT_BUSY;
    else if (is(r, "offered"))
        set_state(db, r->seq, "moving", NULL, 0);
    return OK;
}

enum err file_offer(struct db *db, struct store_op *op) {
    struct file_offer o;
    struct row r = {.seq = 0};
    char peer[PEER_TEXT_MAX];
    if (db->files == NULL) return no_files(op);
    if (file_offer_read(buf_view(&op->in), &o, &op->why) != OK) return E_INPUT;
    memcpy(op->id, o.id, MESSAGE_ID);
    op->bytes = o.size;
    op->flags &= ~(uint32_t)FILE_WAITS;
    peer_to_text(&op->peer, peer);
    struct query q = query_open(db, SQL_FILE_FIND);
    bind_str(&q, 1, "in");
    bind_str(&q, 2, peer);
    bind_bytes(&q, 3, bytes_at(o.id, MESSAGE_ID));
    int64_t seq = query_row(&q) ? column_int(&q, 0) : 0;
    query_end(&q);
    if (seq != 0 && show(db, seq, &r)) return again(db, op, &o, &r);
    op->status = judge(db, op, &o);
    op->count = 0;
    if (op->status != RECEIPT_NONE) return OK;
    bool wanted = (op->flags & FILE_WANTED) != 0;
    if (!insert(db, op, &o, false, wanted ? "moving" : "offered", o.size, buf_view(&op->in))) return E_IO;
    op->seq = sqlite3_last_insert_rowid(db->sql);
    if (!wanted) op->flags |= FILE_WAITS;
    return OK;
}

enum err file_write_part(struct db *db, struct store_op *op) {
    struct row r = {.seq = 0};
    uint64_t safe = 0;
    enum err e = row_of(db, op, &r);
    if (e == OK && (r.outgoing || !is(&r, "moving")))
        e = fail(&op->why, E_NOT_FOUND, "the transfer was cancelled");
    if (e == OK && (op->count > r.size || op->in.n > r.size - op->count))
        e = fail(&op->why, E_INPUT, "a part beyond the end");
    if (e == OK)
        e = files_write(db->files,
                        &(struct files_part){.seq = r.seq,
                                             .at = op->count,
                                             .size = r.size,
                                             .safe = r.done,
                                             .data = buf_view(&op->in),
                                             .last = (op->flags & FILE_LAST) != 0},
                        &safe, &op->why);
    if (e != OK) return e;
    op->count = safe;
    if (safe > r.done) set_done(db, r.seq, safe);
    return OK;
}

static enum err keep(struct db *db, struct store_op *op, const struct row *r) {
    struct file_offer o;
    if (file_offer_read(bytes_at(r->offer, r->offer_n), &o, &op->why) != OK) return E_IO;
    struct message m = {.sent_ms = o.sent_ms,
                        .expires_ms = o.expires_ms,
                        .content_type = o.content_type,
                        .subject = o.subject,
                        .has_reply_to = o.has_reply_to};
    memcpy(m.id, o.id, MESSAGE_ID);
    memcpy(m.reply_to, o.reply_to, MESSAGE_ID);
    enum err e = files_finish(db->files, r->seq, r->name, &op->why);
    if (e != OK) return e;
    if (!db_write_begin(db)) return E_IO;
    set_state(db, r->seq, "complete", NULL, op->now.ms);
    set_done(db, r->seq, r->size);
    return inbox_add_file(db, &r->peer, &m, o.name, o.size, op);
}

enum err file_check(struct db *db, struct store_op *op) {
    struct row r = {.seq = 0};
    uint8_t hash[FILE_HASH];
    bool whole = false;
    enum err e = row_of(db, op, &r);
    if (e == OK && (r.outgoing || !is(&r, "moving")))
        e = fail(&op->why, E_NOT_FOUND, "the transfer was cancelled");
    if (e == OK) e = files_check(db->files, r.seq, r.name, r.size, &whole, hash, &op->why);
    op->more = e == OK && !whole;
    if (e == OK && !whole) return OK;
    int64_t seq = op->seq;
    if (e == OK && memcmp(hash, r.hash, FILE_HASH) == 0) {
        e = keep(db, op, &r);
        op->bytes = r.size;
        snprintf(op->text, sizeof op->text, "%.239s", r.name);
    } else if (e == OK || e == E_IO) { /* wrong, or what was there is gone: from the beginning */
        if (e == OK) {
            fail(&op->why, E_VERIFY, "its hash is wrong");
            op->flags |= FILE_WRONG;
        }
        e = OK;
        op->status = RECEIPT_BUSY;
        set_done(db, seq, 0);
        row_bytes_go(db, &r); /* by either name: see files_open */
    }
    op->seq = seq;
    return e;
}

/* ---- what people ask */

static enum err find(struct db *db, struct store_op *op, struct row *r) {
    uint8_t upper[2 * MESSAGE_ID];
    int64_t seqs[CANDIDATES];
    size_t n = 0;
    if (db->files == NULL) return no_files(op);
    if (op->in.n < ID_TEXT_MIN || op->in.n > sizeof upper)
        return fail(&op->why, E_INPUT, "an id has 6 to 32 hexadecimal digits");
    for (size_t i = 0; i < op->in.n; i++) {
        uint8_t c = op->in.p[i];
        upper[i] = c >= 'a' && c <= 'f' ? (uint8_t)(c - 32) : c;
    }
    struct query q = query_open(db, SQL_FILE_BY_TEXT);
    bind_text(&q, 1, bytes_at(upper, op->in.n));
    bind_count(&q, 2, op->in.n);
    bind_int(&q, 3, CANDIDATES);
    while (n < CANDIDATES && query_row(&q)) seqs[n++] = column_int(&q, 0);
    query_end(&q);
    if (n == 0 || !show(db, seqs[0], r))
        return fail(&op->why, E_NOT_FOUND, "no file has the id %.*s: see `silktalk file list`", (int)op->in.n,
                    (const char *)op->in.p);
    if (n > 1) return fail(&op->why, E_INPUT, "several files fit: give more of the id");
    op->seq = r->seq;
    op->peer = r->peer;
    op->bytes = r->size;
    memcpy(op->id, r->id, MESSAGE_ID);
    return OK;
}

enum err file_accept(struct db *db, struct store_op *op) {
    struct row r = {.seq = 0};
    enum err e = find(db, op, &r);
    if (e != OK) return e;
    op->count = files_written(db->files, r.seq, r.done);
    if (r.outgoing) return fail(&op->why, E_INPUT, "this one is sent by us: the peer accepts it");
    if (!is(&r, "offered")) return fail(&op->why, E_INPUT, "it is not offered any more: it is %s", r.state);
    if (!fits(db, r.size, op->limits[0]))
        return fail(&op->why, E_LIMIT, "no room for it within files.quota: see `silktalk file list`");
    set_state(db, r.seq, "moving", NULL, 0);
    return OK;
}

enum err file_cancel(struct db *db, struct store_op *op) {
    struct row r = {.seq = 0};
    enum err e = op->in.n > 0 ? find(db, op, &r) : row_of(db, op, &r);
    if (e != OK) return e;
    if (r.outgoing) op->flags |= FILE_OUT;
    bool ended = is(&r, "failed") || is(&r, "complete") || is(&r, "copying");
    if (ended)
        drop_row(db, r.seq); /* a file that was whole stays known by its id in the inbox */
    else
        set_state(db, r.seq, "failed", "cancelled", op->now.ms);
    row_bytes_go(db, &r);
    return OK;
}

static void put_item(struct db *db, struct json_out *o, const struct query *q) {
    char name[NAME_SPACE], path[PATH_SPACE];
    bool outgoing = bytes_is(column_bytes(q, 4), "out");
    bool complete = bytes_is(column_bytes(q, 5), "complete");
    struct bytes state = column_bytes(q, 5), hash = column_bytes(q, 11);
    struct buf hex = {.max = 2 * FILE_HASH};
    json_open(o, NULL, '{');
    json_put_id(o, "id", column_bytes(q, 1));
    json_put(o, "peer_id", column_bytes(q, 2));
    if (column_bytes(q, 3).n == 0)
        json_put_null(o, "peer");
    else
        json_put(o, "peer", column_bytes(q, 3));
    json_put(o, "direction", column_bytes(q, 4));
    json_put(o, "state", bytes_is(state, "copying") ? BYTES("moving") : state);
    json_put_int(o, "bytes", column_int(q, 6));
    json_put_int(o, "done", column_int(q, 7));
    json_put(o, "name", column_bytes(q, 9));
    json_put_time(o, "created", column_int(q, 8));
    if (column_bytes(q, 10).n == 0)
        json_put_null(o, "last_error");
    else
        json_put(o, "last_error", column_bytes(q, 10));
    if (bytes_is(state, "copying")) /* not known before its end */
        json_put_null(o, "sha256");
    else if (hex_encode(&hex, hash))
        json_put(o, "sha256", buf_view(&hex));
    buf_free(&hex);
    bytes_cstr(column_bytes(q, 9), name, sizeof name);
    files_path(db->files, column_int(q, 0), outgoing, complete ? name : NULL, path, sizeof path);
    if (!outgoing && complete)
        json_put_str(o, "path", path);
    else
        json_put_null(o, "path");
    json_shut(o, '}');
}

static enum err list(struct db *db, struct store_op *op, int64_t after, uint64_t most) {
    struct query q = query_open(db, SQL_FILE_LIST);
    bind_int(&q, 1, after);
    bind_count(&q, 2, most + 1);
    op->count = 0;
    enum err e = OK;
    while (e == OK && query_row(&q)) {
        op->more = op->count == most;
        if (op->more) break;
        if (op->count > 0) buf_add_byte(&op->out, ',');
        struct json_out o = json_begin(&op->out);
        put_item(db, &o, &q);
        if (!json_end(&o)) e = fail(&op->why, E_MEMORY, "out of memory for the list");
        op->seq = column_int(&q, 0);
        op->count++;
    }
    query_end(&q);
    return e;
}

enum err file_list(struct db *db, struct store_op *op) {
    if (db->files == NULL) return no_files(op);
    return list(db, op, op->seq, op->count == 0 ? LIST_COUNT : MIN(op->count, (uint64_t)DB_LIST_MAX));
}

enum err file_open(struct db *db, struct store_op *op) {
    struct row r = {.seq = 0};
    enum err e = find(db, op, &r);
    if (e != OK) return e;
    if (r.outgoing) return fail(&op->why, E_INPUT, "this one is sent by us, not received");
    if (!is(&r, "complete")) return fail(&op->why, E_BUSY, "it is not whole yet: it is %s", r.state);
    e = files_open(db->files, r.seq, r.name, &op->fd, &op->why);
    return e == OK ? list(db, op, r.seq - 1, 1) : e;
}

/* ---- upkeep */

/* The sender alone knows when it gives up. Its clock may be wrong, but not the life that it gave the file; a
 * day later the space is free again. 0: unknown row. */
static int64_t given_up_at(struct db *db, int64_t seq, struct row *r) {
    struct file_offer o;
    if (!show(db, seq, r)) return 0;
    uint64_t life = LIFE_MAX_MS;
    if (file_offer_read(bytes_at(r->offer, r->offer_n), &o, NULL) == OK && o.expires_ms > o.sent_ms)
        life = MIN(o.expires_ms - o.sent_ms, life);
    return r->created.ms + (int64_t)life + DAY_MS;
}

bool files_give_up(struct db *db, int64_t now_ms, uint64_t *gone) {
    int64_t seqs[DB_STEP_MAX];
    if (db->files == NULL) return false;
    size_t n = collect(db, SQL_FILE_COMING, db->tidy_file, DB_STEP_MAX, seqs);
    for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) {
        struct row r = {.seq = 0};
        int64_t end = given_up_at(db, seqs[i], &r);
        if (end == 0 || end > now_ms) continue;
        set_state(db, r.seq, "failed", "the sender gave up", now_ms);
        row_bytes_go(db, &r);
        (*gone)++;
    }
    db->tidy_file = n < DB_STEP_MAX ? 0 : seqs[n - 1];
    return n == DB_STEP_MAX;
}

void files_put_totals(struct db *db, struct json_out *o) {
    struct query q = query_open(db, SQL_FILE_COUNTS);
    bool some = query_row(&q);
    json_put_int(o, "files_in", some ? column_int(&q, 0) : 0);
    json_put_int(o, "files_out", some ? column_int(&q, 1) : 0);
    json_put_int(o, "files_offered", some ? column_int(&q, 2) : 0);
    query_end(&q);
    json_put_int(o, "files_bytes", query_number(db, SQL_FILE_BYTES, 0));
}

bool files_tidy(struct db *db, enum statement which, int64_t before_ms, uint64_t *gone) {
    int64_t seqs[DB_STEP_MAX];
    if (db->files == NULL) return false;
    size_t n = collect(db, which, before_ms, DB_STEP_MAX, seqs);
    for (size_t i = 0; i < n && db->rc == SQLITE_OK; i++) {
        struct row r = {.seq = 0};
        if (!show(db, seqs[i], &r)) continue;
        drop_row(db, r.seq); /* its bytes went when it ended; an offer has none */
        (*gone)++;
    }
    return n == DB_STEP_MAX;
}
