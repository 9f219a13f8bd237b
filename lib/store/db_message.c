/* lib/store/db_message.c: messages as frames, as columns, and by the text of their ids. */
#include "store/db_query.h"

#include "base/text.h"

#define TIME_MAX_MS INT64_C(253402300799999) /* the end of year 9999: RFC 3339 has four digits */

enum err message_of_frame(struct bytes in, struct message *m, struct why *w) {
    struct bytes frame;
    struct message_frame f;
    bool whole = false;
    size_t need;
    if (message_frame_next(&in, &frame, &whole, &need) != OK || !whole || in.n != 0) {
        return fail(w, E_INPUT, "not one whole message frame");
    }
    if (message_frame_read(frame, &f, w) != OK) return fail(w, E_INPUT, "malformed message");
    if (f.kind != FRAME_MESSAGE) return fail(w, E_INPUT, "the frame holds no message");
    if (f.verdict != RECEIPT_NONE)
        return fail(w, E_INPUT, "the message breaks a rule (%s)", receipt_status_name(f.verdict));
    *m = f.message;
    return OK;
}

void bind_message_text(struct query *q, int at, struct bytes v) {
    if (v.n > 0) bind_text(q, at, v); /* else it stays NULL */
}

static void copy_id(const struct query *q, int at, uint8_t id[MESSAGE_ID]) {
    struct bytes v = column_bytes(q, at);
    memset(id, 0, MESSAGE_ID);
    if (v.n > 0) memcpy(id, v.p, MIN(v.n, (size_t)MESSAGE_ID));
}

void column_message(const struct query *q, int at, struct message *m) {
    *m = (struct message){.sent_ms = (uint64_t)column_int(q, at + 1),
                          .expires_ms = (uint64_t)column_int(q, at + 2)};
    copy_id(q, at, m->id);
    m->content_type = column_bytes(q, at + 3);
    m->subject = column_bytes(q, at + 4);
    m->has_reply_to = sqlite3_column_type(q->s, at + 5) != SQLITE_NULL;
    if (m->has_reply_to) copy_id(q, at + 5, m->reply_to);
    m->body = column_bytes(q, at + 6);
}

/* Without the heap, so that neither can fail where a counter depends on it; and without another look at a key
 * inside the id: what is in the database was checked before it came here. */
void peer_to_text(const struct peer_id *peer, char out[PEER_TEXT_MAX]) {
    uint8_t space[2 * PEER_TEXT_MAX];
    struct buf text = {space, 0, sizeof(space), sizeof(space)};
    out[0] = 0;
    if (peer->n > 0 && base58_encode(&text, peer_id_view(peer)))
        bytes_cstr(buf_view(&text), out, PEER_TEXT_MAX);
}

bool column_peer(const struct query *q, int at, struct peer_id *peer) {
    uint8_t space[2 * PEER_TEXT_MAX];
    struct buf binary = {space, 0, sizeof(space), sizeof(space)};
    struct bytes text = column_bytes(q, at);
    *peer = (struct peer_id){.n = 0};
    if (text.n == 0 || text.n >= PEER_TEXT_MAX || !base58_decode(&binary, text)) return false;
    if (binary.n == 0 || binary.n > PEER_ID_MAX) return false;
    peer->n = (uint8_t)binary.n;
    memcpy(peer->p, binary.p, binary.n);
    return true;
}

void json_put_id(struct json_out *o, const char *key, struct bytes id) {
    uint8_t space[ID_TEXT_MAX];
    struct buf hex = {space, 0, sizeof(space), sizeof(space)}; /* never grows */
    if (id.n == 0 || id.n > MESSAGE_ID || !hex_encode(&hex, id)) {
        json_put_null(o, key);
        return;
    }
    json_put(o, key, buf_view(&hex));
}

void json_put_time(struct json_out *o, const char *key, int64_t ms) {
    if (ms > 0 && ms <= TIME_MAX_MS)
        json_put_wall(o, key, (struct wall){ms});
    else
        json_put_null(o, key);
}

/* ---- by the text of the id */
enum { CANDIDATES_MAX = 5 };
struct candidates {
    int64_t seqs[2 * CANDIDATES_MAX];
    uint8_t ids[2 * CANDIDATES_MAX][MESSAGE_ID];
    size_t n;
};

static void gather(struct query *q, struct candidates *c) {
    for (size_t i = 0; i < CANDIDATES_MAX && query_row(q); i++) {
        bool known = false;
        for (size_t k = 0; k < c->n; k++) known = known || c->seqs[k] == column_int(q, 0);
        if (known) continue;
        c->seqs[c->n] = column_int(q, 0);
        copy_id(q, 1, c->ids[c->n++]);
    }
    query_end(q);
}

static void find_beginning(struct db *db, bool inbox, struct bytes upper, const char *from,
                           struct candidates *c) {
    uint8_t bounds[2][MESSAGE_ID] = {{0}};
    for (size_t i = 0; i < 2; i++) { /* the text filled up with 0 and with F */
        uint8_t full[ID_TEXT_MAX];
        memset(full, i == 0 ? '0' : 'F', sizeof(full));
        memcpy(full, upper.p, upper.n);
        struct buf bound = {bounds[i], 0, MESSAGE_ID, MESSAGE_ID};
        hex_decode(&bound, bytes_at(full, sizeof(full)));
    }
    struct query q = query_open(db, inbox ? SQL_INBOX_BY_RANGE : SQL_OUTBOX_BY_RANGE);
    bind_bytes(&q, 1, bytes_at(bounds[0], MESSAGE_ID));
    bind_bytes(&q, 2, bytes_at(bounds[1], MESSAGE_ID));
    bind_int(&q, 3, CANDIDATES_MAX);
    if (inbox) bind_str(&q, 4, from);
    gather(&q, c);
}

static void find_ending(struct db *db, bool inbox, struct bytes upper, const char *from,
                        struct candidates *c) {
    struct query q = query_open(db, inbox ? SQL_INBOX_BY_END : SQL_OUTBOX_BY_END);
    bind_int(&q, 1, (int64_t)(ID_TEXT_MAX - upper.n + 1));
    bind_text(&q, 2, upper);
    bind_int(&q, 3, CANDIDATES_MAX);
    if (inbox) bind_str(&q, 4, from);
    gather(&q, c);
}

static enum err ambiguous(const struct candidates *c, struct store_op *op) {
    uint8_t space[sizeof(op->text) - 1];
    struct buf text = {space, 0, sizeof(space), sizeof(space)};
    for (size_t i = 0; i < MIN(c->n, (size_t)CANDIDATES_MAX); i++) {
        if (i > 0) buf_add_byte(&text, ' ');
        hex_encode(&text, bytes_at(c->ids[i], MESSAGE_ID));
    }
    bytes_cstr(buf_view(&text), op->text, sizeof(op->text));
    return fail(&op->why, E_INPUT, "several messages fit: %s", op->text);
}

enum err message_find(struct db *db, bool inbox, struct bytes text, const struct peer_id *from, int64_t *seq,
                      struct store_op *op) {
    uint8_t digits[ID_TEXT_MAX];
    struct candidates c = {.n = 0};
    char peer[PEER_TEXT_MAX];
    if (text.n < ID_TEXT_MIN || text.n > ID_TEXT_MAX) {
        return fail(&op->why, E_INPUT, "an id has %d to %d hexadecimal digits", ID_TEXT_MIN, ID_TEXT_MAX);
    }
    for (size_t i = 0; i < text.n; i++) {
        uint8_t d = text.p[i];
        if (d >= 'a' && d <= 'f') d = (uint8_t)(d - 'a' + 'A');
        if (!((d >= '0' && d <= '9') || (d >= 'A' && d <= 'F'))) {
            return fail(&op->why, E_INPUT, "an id has hexadecimal digits only");
        }
        digits[i] = d;
    }
    struct bytes upper = bytes_at(digits, text.n);
    peer_to_text(from, peer);
    find_beginning(db, inbox, upper, peer, &c);
    if (text.n < ID_TEXT_MAX) find_ending(db, inbox, upper, peer, &c);
    if (c.n == 0) return fail(&op->why, E_NOT_FOUND, "no message has this id");
    if (c.n > 1) return ambiguous(&c, op);
    *seq = c.seqs[0];
    return OK;
}
