/* One stream of /silktalk/message/1.0.0: frames in, each answered by a receipt once it is on disk; or our
 * lane's messages out and their receipts in. Either side may open it, and both may send on it. */
#include "node/messenger.h"

#include <stdio.h>

enum { RECEIVE_WINDOW = 256, RECEIVE_BYTES = 8 << 20, FRAME_STALL_MS = 60000, LAST_RECEIPTS_MS = 10000 };

struct message_stream {
    struct lane *lane; /* we send on it; NULL: we only receive */
    bool said_busy;    /* from the first BUSY on, everything that follows is BUSY: order is kept */
    size_t storing;    /* messages at the store */
    size_t storing_bytes;
};

void message_id_text(const uint8_t id[MESSAGE_ID], char out[2 * MESSAGE_ID + 1]) {
    for (size_t i = 0; i < MESSAGE_ID; i++) {
        out[2 * i] = "0123456789abcdef"[id[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    out[2 * MESSAGE_ID] = 0;
}

void *message_sender_new(struct lane *l) {
    struct message_stream *m = NEW(struct message_stream);
    if (m != NULL) m->lane = l;
    return m;
}

static enum err opened(struct stream *s) {
    if (s->state == NULL) s->state = NEW(struct message_stream);
    return s->state == NULL ? E_MEMORY : OK;
}

static bool answer(struct stream *s, const uint8_t id[MESSAGE_ID], enum receipt_status status) {
    struct message_stream *m = s->state;
    struct receipt r = {.status = status, .received_ms = (uint64_t)s->connection->node->now.wall.ms};
    memcpy(r.id, id, MESSAGE_ID);
    if (status == RECEIPT_BUSY) m->said_busy = true;
    s->ready = true;
    return message_receipt_write(&s->tx, &r);
}

/* Why this message is not taken; RECEIPT_NONE: it is. */
static enum receipt_status judge(struct stream *s, const struct message_frame *f) {
    struct node *n = s->connection->node;
    struct message_stream *m = s->state;
    struct peer *p = s->connection->peer;
    if (m->said_busy || !n->loaded) return RECEIPT_BUSY;
    if (!access_may_send(n, p)) {
        struct store_op *op = store_op_new(STORE_STRANGER);
        if (op != NULL) {
            op->peer = p->id;
            op->limits[0] = limit_max(&n->limits, LIMIT_STRANGERS);
            node_give(n, op);
        }
        access_denied(n, "messages.from");
        return RECEIPT_DENIED;
    }
    if (f->verdict != RECEIPT_NONE) return f->verdict;
    if (f->message.body.n > limit_max(&n->limits, LIMIT_BODY)) {
        limit_hit(&n->limits, LIMIT_BODY, UINT64_MAX);
        return RECEIPT_TOO_LARGE;
    }
    if (!bucket_take(&p->rate, n->now.mono, cfg(n->config, messages_ratePerPeer).count, 5)) {
        limit_reached(n, LIMIT_MESSAGE_RATE);
        return RECEIPT_BUSY;
    }
    if (limit_hit(&n->limits, LIMIT_STORE_QUEUE, n->store_in_flight)) {
        limit_reached(n, LIMIT_STORE_QUEUE);
        return RECEIPT_BUSY;
    }
    return RECEIPT_NONE;
}

static enum err keep(struct stream *s, const struct message_frame *f, struct bytes frame) {
    struct node *n = s->connection->node;
    struct message_stream *m = s->state;
    struct peer *p = s->connection->peer;
    struct store_op *op = store_op_new(STORE_INBOX_ADD);
    if (op == NULL || !wr_lp(&op->in, frame)) {
        store_op_free(op);
        return answer(s, f->message.id, RECEIPT_BUSY) ? OK : E_LIMIT;
    }
    op->peer = p->id;
    memcpy(op->id, f->message.id, MESSAGE_ID);
    op->tag = s->serial;
    op->flags = access_is_stranger(n, p) ? INBOX_STRANGER : 0;
    static const enum limit_id quotas[] = {LIMIT_INBOX,           LIMIT_INBOX_BYTES,
                                           LIMIT_INBOX_PER_PEER,  LIMIT_INBOX_BYTES_PER_PEER,
                                           LIMIT_INBOX_STRANGERS, LIMIT_REMEMBERED_IDS};
    for (size_t i = 0; i < LEN(quotas); i++) op->limits[i] = limit_max(&n->limits, quotas[i]);
    m->storing++;
    m->storing_bytes += op->in.n;
    op->bytes = f->message.body.n;
    node_give(n, op);
    return OK;
}

static enum err take_message(struct stream *s, const struct message_frame *f, struct bytes frame) {
    struct node *n = s->connection->node;
    enum receipt_status status = judge(s, f);
    if (status == RECEIPT_NONE) return keep(s, f, frame);
    char id[2 * MESSAGE_ID + 1];
    message_id_text(f->message.id, id);
    n->counts.messages[DIRECTION_IN][status]++;
    LOG(n->log, EV_MESSAGE_REFUSED, kv_str("peer", s->connection->peer->text), kv_str("id", id),
        kv_str("status", receipt_status_name(status)));
    return answer(s, f->message.id, status) ? OK : E_LIMIT;
}

static enum err take_receipt(struct stream *s, const struct receipt *r) {
    struct lane *l = ((struct message_stream *)s->state)->lane;
    bool first = !l->busy;
    if (r->status == RECEIPT_STORED) health_clock_seen(s->connection->node, s->connection, r->received_ms);
    enum err e = lane_receipt(l, r);
    if (first && l->busy) s->deadline = mono_add_ms(s->connection->node->now.mono, LAST_RECEIPTS_MS);
    return e;
}

static enum err input(struct stream *s, struct bytes *in) {
    struct message_stream *m = s->state;
    while (in->n > 0 && m->storing < RECEIVE_WINDOW && m->storing_bytes < RECEIVE_BYTES &&
           s->tx.n < STREAM_TX_MAX / 2) {
        struct bytes frame;
        struct message_frame f;
        bool whole = false;
        size_t need = 0;
        enum err e = message_frame_next(in, &frame, &whole, &need);
        if (e != OK) return stream_fault(s, "a frame of more than 4 MiB");
        s->want = need;
        if (!whole && s->fin_in) return stream_fault(s, "a frame cut short");
        if (m->lane == NULL)
            s->deadline = whole ? MONO_NEVER : mono_add_ms(s->connection->node->now.mono, FRAME_STALL_MS);
        if (!whole) break;
        struct why why;
        e = message_frame_read(frame, &f, &why);
        if (e != OK) return stream_fault(s, why.text);
        if (f.kind == FRAME_MESSAGE) e = take_message(s, &f, frame);
        if (f.kind == FRAME_RECEIPT && m->lane != NULL) e = take_receipt(s, &f.receipt);
        if (e != OK) return e;
    }
    if (s->fin_in && in->n == 0 && m->storing == 0) {
        if (m->lane != NULL) return E_CLOSED; /* no receipts will come any more */
        s->fin_out = true;
    }
    return OK;
}

static enum err output(struct stream *s) {
    struct message_stream *m = s->state;
    if (m != NULL && m->lane != NULL && m->lane->stream == s) lane_fill(m->lane, &s->tx);
    return OK;
}

static void closed(struct stream *s, const struct why *why) {
    struct message_stream *m = s->state;
    if (m->lane != NULL && m->lane->stream == s) {
        bool connected = s->connection->state == CONN_OPEN;
        /* A refused protocol or a broken stream is tried again later; a lost connection as soon as there is
         * one. */
        lane_lost(m->lane, why->code == E_BUSY ? "the peer is busy" : why->text, connected);
    }
    mem_free(m);
}

/* The receipt goes to the stream that brought the message, if it is still there. */
void message_stored(struct node *n, struct store_op *op) {
    struct peer *p = peers_find(n, &op->peer);
    char id[2 * MESSAGE_ID + 1];
    message_id_text(op->id, id);
    if (op->err != OK) {
        op->status = RECEIPT_BUSY;
        LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "inbox"), kv_str("reason", op->why.text));
    }
    node_operation(n, op->status == RECEIPT_BUSY);
    n->counts.messages[DIRECTION_IN][op->status]++;
    if (op->status == RECEIPT_STORED) {
        n->totals.messages_in++;
        n->counts.message_bytes[DIRECTION_IN] += op->in.n;
        LOG(n->log, EV_MESSAGE_RECEIVED, kv_str("peer", p == NULL ? "" : p->text), kv_str("id", id),
            kv_int("bytes", (int64_t)op->bytes));
        control_inbox_new(n);
    } else if (op->status == RECEIPT_BUSY) {
        limit_reached_by_key(n, op->why.text);
        LOG(n->log, EV_MESSAGE_REFUSED, kv_str("peer", p == NULL ? "" : p->text), kv_str("id", id),
            kv_str("status", "BUSY"));
    }
    for (struct connection *c = p == NULL ? NULL : p->connections; c != NULL; c = c->next_of_peer)
        for (struct stream *s = c->streams; s != NULL; s = s->next) {
            if (s->dead || s->serial != op->tag) continue;
            struct message_stream *m = s->state;
            m->storing--;
            m->storing_bytes -= op->in.n;
            if (!answer(s, op->id, op->status)) {
                stream_fail(s, E_LIMIT, "the peer does not take its receipts");
                return;
            }
            n->streams_waiting = true;
            return;
        }
}

const struct protocol_handler message_handler = {
    .open = opened, .input = input, .output = output, .close = closed};
