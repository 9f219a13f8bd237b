/* One stream of /silktalk/file/1.0.0: an offer, its answer, the bytes from where the receiver has them, and
 * answers that say how many are on its disk, until the last says STORED. */
#include "node/file_queue.h"
#include "node/messenger.h"

#include <stdio.h>

enum {
    PART = 256 << 10,      /* bytes of one read or write */
    AHEAD = 512 << 10,     /* bytes read from the disk, not yet with the muxer */
    WRITING_MAX = 1 << 20, /* bytes at the store, not yet written */
    STALL_MS = 60000,      /* so long nothing moved: the stream ends, and the file is tried again */
    TELL_BYTES = 4 << 20,  /* progress is told after so many */
    NOTE_BYTES = 64 << 20, /* of progress, into the sender's row */
    OFFERS_OF_PEER = 10,
};
enum phase { OFFERING, ASKED, WAITS, MOVING, CHECKING, OVER };
struct transfer {
    struct file_out *f; /* we send; NULL: we receive */
    enum phase phase;
    int64_t seq;
    uint8_t id[MESSAGE_ID];
    uint64_t size, at, told;  /* at: asked of, or given to, the store */
    size_t at_store;          /* bytes of reads or writes under way */
    struct store_op *filling; /* the next write */
};

void *file_sender_new(struct file_out *f) {
    struct transfer *t = NEW(struct transfer);
    if (t != NULL) *t = (struct transfer){.f = f, .seq = f->seq, .size = f->size};
    return t;
}

static enum err opened(struct stream *s) {
    if (s->state == NULL) s->state = NEW(struct transfer);
    s->deadline = mono_add_ms(s->connection->node->now.mono, STALL_MS);
    return s->state == NULL ? E_MEMORY : OK;
}

static void moved(struct stream *s) {
    s->deadline = mono_add_ms(s->connection->node->now.mono, STALL_MS);
}

/* ---- sending */

static enum err send_parts(struct stream *s) {
    struct node *n = s->connection->node;
    struct transfer *t = s->state;
    while (t->at < t->size && s->tx.n + t->at_store < AHEAD) {
        struct store_op *op = store_op_new(STORE_FILE_READ);
        if (op == NULL) return E_MEMORY;
        op->seq = t->seq;
        op->tag = s->serial;
        op->peer = s->connection->peer->id;
        op->count = t->at;
        op->bytes = MIN((uint64_t)PART, t->size - t->at);
        t->at += op->bytes;
        t->at_store += op->bytes;
        node_give(n, op);
    }
    return OK;
}

static enum err output(struct stream *s) {
    struct transfer *t = s->state;
    if (t == NULL || t->f == NULL) return OK;
    if (t->phase == OFFERING) {
        t->phase = ASKED;
        return wr_lp(&s->tx, buf_view(&t->f->offer)) ? OK : E_MEMORY;
    }
    if (t->phase != MOVING) return OK;
    if (s->tx.n < AHEAD) moved(s); /* what was read went out */
    return send_parts(s);
}

static enum err taken(struct stream *s, const struct file_answer *a) {
    struct transfer *t = s->state;
    struct file_out *f = t->f;
    if (a->offset > t->size || (t->phase == MOVING && (a->offset < f->done || a->offset > t->at)))
        return stream_fault(s, "an answer about bytes that were not sent");
    bool begins = t->phase != MOVING;
    if (begins) {
        t->at = a->offset;
        f->noted = 0;
        t->phase = MOVING;
        f->waits = false;
    }
    f->done = a->offset;
    f->tries = 0;
    if (begins || f->done - f->noted >= NOTE_BYTES) files_out_note(f, "");
    moved(s);
    s->ready = true;
    control_file_progress(s->connection->node, f->id, "sending", f->done, f->size);
    return OK;
}

static enum err answered(struct stream *s, const struct file_answer *a) {
    struct transfer *t = s->state;
    struct file_out *f = t->f;
    if (t->phase == OFFERING) return stream_fault(s, "an answer before the offer");
    switch (a->status) {
    case FILE_TAKEN: return taken(s, a);
    case FILE_OFFERED:
        if (t->phase != ASKED) return stream_fault(s, "an answer out of order");
        t->phase = WAITS;
        f->waits = true;
        s->deadline = MONO_NEVER;
        control_file_progress(s->connection->node, f->id, "offered", 0, f->size);
        files_out_note(f, "waits until the peer accepts it");
        return OK;
    case RECEIPT_STORED:
        if (t->phase != MOVING || t->at < t->size) return stream_fault(s, "stored before all of it was sent");
        break;
    case RECEIPT_BUSY: return E_BUSY;
    default: break;
    }
    bool good = a->status == RECEIPT_STORED || a->status == RECEIPT_DUPLICATE;
    t->phase = OVER;
    s->fin_out = true;
    s->ready = true;
    buf_clear(&s->tx);
    files_out_end(f, (enum receipt_status)a->status,
                  good ? NULL : receipt_status_name((enum receipt_status)a->status));
    return OK;
}

/* ---- receiving */

static enum err answer(struct stream *s, unsigned status, uint64_t offset) {
    struct node *n = s->connection->node;
    struct transfer *t = s->state;
    struct file_answer a = {.status = status, .offset = offset};
    if (status != FILE_TAKEN && status != FILE_OFFERED) {
        a.received_ms = (uint64_t)n->now.wall.ms;
        t->phase = OVER;
        s->fin_out = true;
    }
    if (status >= RECEIPT_DENIED && status <= RECEIPT_INVALID) {
        char id[2 * MESSAGE_ID + 1];
        message_id_text(t->id, id);
        LOG(n->log, EV_MESSAGE_REFUSED, kv_str("peer", s->connection->peer->text), kv_str("id", id),
            kv_str("status", receipt_status_name((enum receipt_status)status)));
    }
    s->ready = true;
    n->streams_waiting = true;
    return file_answer_write(&s->tx, &a) ? OK : E_MEMORY;
}

/* Counts transfers into this node; one of the same file is of a connection that died unheard. */
static size_t others(struct stream *s, const uint8_t id[MESSAGE_ID]) {
    size_t count = 0;
    for (struct connection *c = s->connection->node->connections; c != NULL; c = c->next)
        for (struct stream *o = c->streams; o != NULL; o = o->next) {
            const struct transfer *t = o->state;
            if (o == s || o->dead || !o->negotiated || o->protocol != PROTOCOL_FILE || t == NULL ||
                t->f != NULL)
                continue;
            if (c->peer == s->connection->peer && memcmp(t->id, id, MESSAGE_ID) == 0)
                stream_fail(o, E_CLOSED, "the peer began anew");
            else
                count += t->phase == ASKED || t->phase == MOVING || t->phase == CHECKING;
        }
    return count;
}

static enum err take_offer(struct stream *s, struct bytes frame) {
    struct node *n = s->connection->node;
    struct transfer *t = s->state;
    struct peer *p = s->connection->peer;
    struct file_offer o;
    struct why w;
    enum err e = file_offer_read(frame, &o, &w);
    if (e == E_PROTO) return stream_fault(s, w.text);
    memcpy(t->id, o.id, MESSAGE_ID);
    t->size = o.size;
    if (e != OK) return answer(s, RECEIPT_INVALID, 0);
    if (!n->loaded) return answer(s, RECEIPT_BUSY, 0);
    if (o.size > limit_max(&n->limits, LIMIT_FILE_SIZE)) {
        limit_hit(&n->limits, LIMIT_FILE_SIZE, UINT64_MAX);
        return answer(s, RECEIPT_TOO_LARGE, 0);
    }
    if (limit_hit(&n->limits, LIMIT_FILE_TRANSFERS, others(s, o.id))) {
        limit_reached(n, LIMIT_FILE_TRANSFERS);
        return answer(s, RECEIPT_BUSY, 0);
    }
    struct store_op *op = store_op_new(STORE_FILE_OFFER);
    if (op == NULL || !buf_add(&op->in, frame)) {
        store_op_free(op);
        return answer(s, RECEIPT_BUSY, 0);
    }
    op->peer = p->id;
    op->tag = s->serial;
    op->flags = files_wanted(n, p) ? FILE_WANTED : 0;
    files_limits(n, op);
    op->limits[2] = limit_max(&n->limits, LIMIT_FILE_OFFERS);
    op->limits[3] = OFFERS_OF_PEER;
    t->phase = ASKED;
    s->deadline = MONO_NEVER;
    node_give(n, op);
    return OK;
}

/* What is gathered goes to the store when it is a part, the end, or when the store has nothing else to do. */
static void write_part(struct stream *s) {
    struct transfer *t = s->state;
    struct store_op *op = t->filling;
    if (op == NULL || (op->in.n < PART && t->at + op->in.n < t->size && t->at_store > 0)) return;
    t->filling = NULL;
    op->count = t->at;
    t->at += op->in.n;
    t->at_store += op->in.n;
    op->bytes = op->in.n;
    if (t->at == t->size) op->flags = FILE_LAST;
    node_give(s->connection->node, op);
}

static enum err take_bytes(struct stream *s, struct bytes *in) {
    struct transfer *t = s->state;
    while (in->n > 0 && t->at_store < WRITING_MAX) {
        size_t held = t->filling == NULL ? 0 : t->filling->in.n;
        uint64_t left = t->size - t->at - held;
        size_t n = MIN(in->n, PART - held);
        if (left == 0) return stream_fault(s, "more bytes than the offer says");
        if (n > left) n = (size_t)left;
        if (t->filling == NULL) {
            t->filling = store_op_new(STORE_FILE_WRITE);
            if (t->filling == NULL || !buf_reserve(&t->filling->in, (size_t)MIN((uint64_t)PART, left)))
                return E_MEMORY;
            t->filling->seq = t->seq;
            t->filling->tag = s->serial;
            t->filling->peer = s->connection->peer->id;
        }
        buf_add(&t->filling->in, bytes_take(in, n));
        moved(s);
        write_part(s);
    }
    return OK;
}

static void check(struct stream *s) {
    struct transfer *t = s->state;
    struct store_op *op = store_op_new(STORE_FILE_CHECK);
    if (op == NULL) {
        stream_fail(s, E_MEMORY, "out of memory");
        return;
    }
    t->phase = CHECKING;
    s->deadline = MONO_NEVER;
    op->seq = t->seq;
    op->tag = s->serial;
    op->peer = s->connection->peer->id;
    node_give(s->connection->node, op);
}

/* ---- both */

static enum err input(struct stream *s, struct bytes *in) {
    struct transfer *t = s->state;
    enum err e = OK;
    while (e == OK && in->n > 0 && (t->f != NULL || t->phase == OFFERING)) {
        struct bytes frame;
        struct file_answer a;
        struct why w;
        bool whole = false;
        if (t->phase == OVER) {
            *in = bytes_skip(*in, in->n);
            break;
        }
        e = file_frame_next(in, &frame, &whole);
        if (e == E_LIMIT) e = stream_fault(s, "a frame that is too long");
        if (e != OK || !whole) break;
        if (t->f == NULL)
            e = take_offer(s, frame);
        else if (file_answer_read(frame, &a, &w) == OK)
            e = answered(s, &a);
        else
            e = stream_fault(s, w.text);
    }
    if (e == OK && t->f == NULL && t->phase == MOVING) e = take_bytes(s, in);
    if (e == OK && t->f == NULL && t->phase == OVER) *in = bytes_skip(*in, in->n);
    bool ends_early = t->f != NULL ? t->phase != OVER
                                   : t->phase == OFFERING || t->phase == WAITS ||
                                         (t->phase == MOVING && in->n == 0 &&
                                          t->at + (t->filling == NULL ? 0 : t->filling->in.n) < t->size);
    if (e == OK && s->fin_in && ends_early) return E_CLOSED;
    return e;
}

static void closed(struct stream *s, const struct why *why) {
    struct transfer *t = s->state;
    if (t->f != NULL && t->f->stream == s)
        files_out_lost(t->f, why->code == E_BUSY ? "the peer is busy" : why->text);
    store_op_free(t->filling);
    mem_free(t);
}

/* ---- the store's answers */

static struct stream *find(struct node *n, const struct store_op *op) {
    struct peer *p = peers_find(n, &op->peer);
    for (struct connection *c = p == NULL ? NULL : p->connections; c != NULL; c = c->next_of_peer)
        for (struct stream *s = c->streams; s != NULL; s = s->next)
            if (!s->dead && s->serial == op->tag) return s;
    return NULL;
}

/* An empty file is made by a write, too. */
static void write_nothing(struct stream *s) {
    const struct transfer *t = s->state;
    struct store_op *op = store_op_new(STORE_FILE_WRITE);
    if (op == NULL) {
        stream_fail(s, E_MEMORY, "out of memory");
        return;
    }
    op->seq = t->seq;
    op->tag = s->serial;
    op->peer = s->connection->peer->id;
    op->flags = FILE_LAST;
    node_give(s->connection->node, op);
}

static void begin_taking(struct stream *s, uint64_t done) {
    struct transfer *t = s->state;
    t->at = t->told = done;
    t->phase = MOVING;
    moved(s);
    if (answer(s, FILE_TAKEN, done) != OK)
        stream_fail(s, E_MEMORY, "out of memory");
    else if (t->size == 0)
        write_nothing(s);
    else if (done == t->size)
        check(s);
}

static enum err offer_stored(struct stream *s, const struct store_op *op) {
    struct node *n = s->connection->node;
    struct transfer *t = s->state;
    char id[2 * MESSAGE_ID + 1];
    if (op->err != OK) return answer(s, RECEIPT_BUSY, 0);
    if (op->status != RECEIPT_NONE) return answer(s, op->status, 0);
    t->seq = op->seq;
    if ((op->flags & FILE_WAITS) == 0) {
        begin_taking(s, op->count);
        return OK;
    }
    t->phase = WAITS;
    message_id_text(t->id, id);
    LOG(n->log, EV_FILE_OFFERED, kv_str("peer", s->connection->peer->text), kv_str("id", id),
        kv_int("bytes", (int64_t)t->size));
    return answer(s, FILE_OFFERED, 0);
}

static enum err write_stored(struct stream *s, const struct store_op *op) {
    struct transfer *t = s->state;
    t->at_store -= MIN(t->at_store, op->in.n);
    if (op->err != OK)
        return t->phase == OVER ? OK : answer(s, op->err == E_NOT_FOUND ? RECEIPT_DENIED : RECEIPT_BUSY, 0);
    moved(s);
    s->ready = true;
    s->connection->node->streams_waiting = true;
    write_part(s);
    if (op->count == t->size && t->at == t->size) {
        check(s);
    } else if (op->count - MIN(op->count, t->told) >= TELL_BYTES) {
        t->told = op->count;
        return answer(s, FILE_TAKEN, op->count);
    }
    return OK;
}

static void read_stored(struct stream *s, struct store_op *op) {
    struct transfer *t = s->state;
    t->at_store -= MIN(t->at_store, (size_t)op->bytes);
    if (op->err != OK) {
        if (op->err == E_NOT_FOUND) files_out_end(t->f, RECEIPT_NONE, op->why.text);
        stream_fail(s, op->err, "%s", op->why.text); /* anything else is tried again later */
    } else if (t->phase == MOVING && !buf_add(&s->tx, buf_view(&op->out))) {
        stream_fail(s, E_MEMORY, "out of memory");
    } else {
        s->ready = true;
        s->connection->node->streams_waiting = true;
    }
}

static void checked(struct node *n, struct stream *s, struct store_op *op) {
    struct peer *p = peers_find(n, &op->peer);
    char id[2 * MESSAGE_ID + 1];
    if (op->err == OK && op->status == RECEIPT_STORED) {
        message_id_text(op->id, id);
        n->totals.messages_in++;
        n->totals.operations++;
        LOG(n->log, EV_FILE_RECEIVED, kv_str("peer", p == NULL ? "" : p->text), kv_str("id", id),
            kv_int("bytes", (int64_t)op->bytes));
        control_inbox_new(n);
    } else if ((op->flags & FILE_WRONG) != 0) { /* the sender's fault: nothing is wrong with our disk */
        if (s != NULL) stream_fault(s, "the file is not what its hash says");
    } else if (op->status == RECEIPT_BUSY || op->err != OK) {
        LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "file"), kv_str("reason", op->why.text));
    }
    if (s == NULL) return;
    unsigned status = op->err != OK ? RECEIPT_BUSY : (unsigned)op->status;
    if (answer(s, op->err == E_NOT_FOUND ? (unsigned)RECEIPT_DENIED : status, 0) != OK)
        stream_fail(s, E_MEMORY, "out of memory");
}

void file_stream_stored(struct node *n, struct store_op *op) {
    struct stream *s = find(n, op);
    enum err e = OK;
    if (s != NULL && (op->kind == STORE_FILE_READ) != (((struct transfer *)s->state)->f != NULL)) s = NULL;
    switch ((int)op->kind) {
    case STORE_FILE_READ:
        if (s != NULL) read_stored(s, op);
        return;
    case STORE_FILE_OFFER:
        if (s != NULL) e = offer_stored(s, op);
        break;
    case STORE_FILE_WRITE:
        if (s != NULL) e = write_stored(s, op);
        break;
    case STORE_FILE_CHECK:
        if (op->err == OK && op->more) {
            if (s != NULL) check(s); /* without a stream the next offer goes on with it */
        } else {
            checked(n, s, op);
        }
        break;
    default: break;
    }
    if (e != OK && s != NULL) stream_fail(s, e, "%s", err_text(e));
}

/* The stream that receives row `seq`. */
static struct stream *receiver_of(struct node *n, const struct peer_id *peer, int64_t seq) {
    struct peer *p = peers_find(n, peer);
    for (struct connection *c = p == NULL ? NULL : p->connections; c != NULL; c = c->next_of_peer)
        for (struct stream *s = c->streams; s != NULL; s = s->next) {
            const struct transfer *t = s->state;
            if (!s->dead && s->negotiated && s->protocol == PROTOCOL_FILE && t != NULL && t->f == NULL &&
                t->seq == seq)
                return s;
        }
    return NULL;
}

void file_stream_accepted(struct node *n, const struct peer_id *peer, int64_t seq, uint64_t done) {
    struct stream *s = receiver_of(n, peer, seq);
    if (s != NULL && ((struct transfer *)s->state)->phase == WAITS) begin_taking(s, done);
}

void file_stream_cancelled(struct node *n, const struct peer_id *peer, int64_t seq) {
    struct stream *s = receiver_of(n, peer, seq);
    if (s != NULL && ((struct transfer *)s->state)->phase != OVER && answer(s, RECEIPT_DENIED, 0) != OK)
        stream_fail(s, E_CLOSED, "cancelled");
}

const struct protocol_handler file_handler = {
    .open = opened, .input = input, .output = output, .close = closed};
