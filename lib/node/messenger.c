/* Sending: one lane per peer. The store has every queued message; a lane keeps the oldest of them in memory
 * and sends them, in order, over one stream at a time. A message leaves the store when its receipt has come.
 */
#include "node/messenger.h"

#include "node/control.h"

#include <stdio.h>

enum { EXPIRE_MS = 5000, RECOUNT_MS = 10000, SPOOL_AGAIN_MS = 60000, LOAD_COUNT = 256 };

/* ---- lanes */

static struct lane *lane_of(struct node *n, struct peer *p) {
    if (p->lane != NULL) return p->lane;
    struct lane *l = NEW(struct lane);
    if (l == NULL) return NULL;
    l->peer = p;
    l->node = n;
    l->complete = !n->recount;
    l->next = n->lanes;
    n->lanes = l;
    p->lane = l;
    if (peer_connection(p) != NULL) l->usable = n->now.mono;
    return l;
}

static void outgoing_free(struct outgoing *o) {
    if (o == NULL) return;
    buf_free(&o->frame);
    mem_free(o);
}

static void unload(struct lane *l) {
    for (struct outgoing *o = l->first, *next; o != NULL; o = next) {
        next = o->next;
        outgoing_free(o);
    }
    l->first = l->last = l->unsent = NULL;
    l->loaded = l->loaded_bytes = 0;
    l->complete = l->queued == 0;
}

static void lane_free(struct lane *l) {
    unload(l);
    l->peer->lane = NULL;
    mem_free(l);
}

/* ---- ends that the store could not write down: without them a delivered message would stay queued until the
 * next start, and expire meanwhile */

static struct unended **find_unended(struct node *n, int64_t seq) {
    struct unended **at = &n->unended;
    while (*at != NULL && (*at)->seq != seq) at = &(*at)->next;
    return at;
}

static void drop_unended(struct unended **at) {
    struct unended *u = *at;
    *at = u->next;
    store_op_free(u->op);
    mem_free(u);
}

/* Messages whose end is at the store: not queued any more, whatever cancel and expiry hear of their rows. */
static void add_ending(struct node *n, struct outgoing *o) {
    buf_free(&o->frame);
    o->next = NULL;
    if (n->ending == NULL)
        n->ending = o;
    else
        n->last_ending->next = o;
    n->last_ending = o;
}

static bool is_ending(const struct node *n, int64_t seq) {
    const struct outgoing *o = n->ending;
    while (o != NULL && o->seq != seq) o = o->next;
    return o != NULL;
}

static void drop_ending(struct node *n, int64_t seq) {
    struct outgoing *before = NULL;
    for (struct outgoing **at = &n->ending; *at != NULL; before = *at, at = &(*at)->next) {
        struct outgoing *o = *at;
        if (o->seq != seq) continue;
        *at = o->next;
        if (n->last_ending == o) n->last_ending = before;
        mem_free(o);
        return;
    }
}

/* STORE_OUTBOX_DONE or _FAILED is back. */
static void ended(struct node *n, struct store_op *op) {
    struct unended **at = find_unended(n, op->seq);
    if (op->err == OK) {
        drop_ending(n, op->seq);
        if (*at != NULL) drop_unended(at);
        store_op_free(op);
        return;
    }
    LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "outbox"), kv_str("reason", op->why.text));
    if (*at == NULL && (*at = NEW(struct unended)) != NULL) (*at)->seq = op->seq;
    if (*at != NULL || n->stopping) drop_ending(n, op->seq);
    if (*at == NULL) { /* no memory to remember it */
        if (n->stopping)
            store_op_free(op); /* it is sent again after the start, and answered DUPLICATE */
        else
            node_give(n, op);
        return;
    }
    (*at)->op = op;
    n->next_unended = mono_add_ms(n->now.mono, EXPIRE_MS);
}

static void end_again(struct node *n) {
    n->next_unended = MONO_NEVER;
    for (struct unended *u = n->unended; u != NULL; u = u->next) {
        node_give(n, u->op);
        u->op = NULL;
    }
}

void messenger_free(struct node *n) {
    while (n->unended != NULL) drop_unended(&n->unended);
    while (n->ending != NULL) drop_ending(n, n->ending->seq);
    while (n->lanes != NULL) {
        struct lane *l = n->lanes;
        n->lanes = l->next;
        lane_free(l);
    }
}

static void append(struct lane *l, struct outgoing *o) {
    if (l->last == NULL)
        l->first = o;
    else
        l->last->next = o;
    l->last = o;
    if (l->unsent == NULL) l->unsent = o;
    l->loaded++;
    l->loaded_bytes += o->frame.n;
}

/* Takes a message out of the lane's memory; NULL: it was not loaded. */
static struct outgoing *take_out(struct lane *l, const uint8_t id[MESSAGE_ID]) {
    struct outgoing *before = NULL;
    for (struct outgoing **at = &l->first; *at != NULL; before = *at, at = &(*at)->next) {
        struct outgoing *o = *at;
        if (memcmp(o->id, id, MESSAGE_ID) != 0) continue;
        *at = o->next;
        if (l->last == o) l->last = before;
        if (l->unsent == o) l->unsent = o->next;
        l->loaded--;
        l->loaded_bytes -= o->frame.n;
        return o;
    }
    return NULL;
}

/* The store's row is gone (or soon will be): one less in the queue. */
static void count_down(struct lane *l, size_t bytes) {
    struct node *n = l->node;
    if (l->queued > 0) l->queued--;
    l->bytes -= MIN(l->bytes, (uint64_t)bytes);
    if (n->outbox_count > 0) n->outbox_count--;
    n->outbox_bytes -= MIN(n->outbox_bytes, (uint64_t)bytes);
    if (l->queued == 0) l->complete = !n->recount;
}

/* ---- from the store into memory */

/* NULL: no message (it never was one: the store checks), or no memory. */
static struct outgoing *outgoing_new(struct node *n, struct buf *frame, int64_t seq, uint64_t tag) {
    struct bytes in = buf_view(frame), body;
    bool whole = false;
    size_t need;
    struct message_frame f;
    if (message_frame_next(&in, &body, &whole, &need) != OK || !whole) return NULL;
    if (message_frame_read(body, &f, NULL) != OK || f.kind != FRAME_MESSAGE) return NULL;
    struct outgoing *o = NEW(struct outgoing);
    if (o == NULL) return NULL;
    memcpy(o->id, f.message.id, MESSAGE_ID);
    o->seq = seq;
    o->tag = tag;
    o->expires.ms = (int64_t)f.message.expires_ms;
    o->committed = n->now.mono;
    o->frame = *frame;
    *frame = (struct buf){NULL, 0, 0, frame->max};
    return o;
}

static bool has_room(const struct lane *l) {
    return l->loaded < limit_max(&l->node->limits, LIMIT_MESSAGES_IN_FLIGHT) &&
           l->loaded_bytes < LANE_BYTES_MAX;
}

static void load(struct lane *l) {
    struct node *n = l->node;
    if (l->loading || l->complete || !has_room(l) || peer_connection(l->peer) == NULL) return;
    struct store_op *op = store_op_new(STORE_OUTBOX_LOAD);
    if (op == NULL) { /* no memory: nobody else would ask again */
        l->retry_at = mono_add_ms(n->now.mono, EXPIRE_MS);
        return;
    }
    op->peer = l->peer->id;
    op->seq = l->last == NULL ? 0 : l->last->seq;
    op->count = MIN((uint64_t)LOAD_COUNT, limit_max(&n->limits, LIMIT_MESSAGES_IN_FLIGHT) - l->loaded);
    op->bytes = LANE_BYTES_MAX;
    l->loading = true;
    node_give(n, op);
}

/* All that is queued is in memory now: this is how much. Counts of the store that came meanwhile (of `outbox
 * retry`, or when there was no memory) may have had messages in them whose end was on its way. */
static void recount(struct lane *l) {
    struct node *n = l->node;
    n->outbox_count += l->loaded - l->queued;
    n->outbox_bytes += l->loaded_bytes - l->bytes;
    l->queued = l->loaded;
    l->bytes = l->loaded_bytes;
}

static void loaded(struct node *n, struct store_op *op) {
    struct peer *p = peers_find(n, &op->peer);
    struct lane *l = p == NULL ? NULL : p->lane;
    if (l == NULL) return;
    l->loading = false;
    if (op->err != OK) {
        LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "load outbox"), kv_str("reason", op->why.text));
        l->retry_at = mono_add_ms(n->now.mono, EXPIRE_MS);
        return;
    }
    int64_t after = l->last == NULL ? 0 : l->last->seq;
    struct rd r = rd_of(buf_view(&op->out));
    while (r.in.n > 0) {
        int64_t seq = (int64_t)rd_u64(&r);
        rd_u64(&r); /* tries: shown by listings only */
        struct bytes frame = rd_take(&r, rd_u32(&r));
        if (r.bad) break;
        struct buf copy = {.max = MESSAGE_FRAME_MAX + 16};
        bool wanted = seq > after && *find_unended(n, seq) == NULL;
        if (!wanted) continue;
        struct outgoing *o = buf_add(&copy, frame) ? outgoing_new(n, &copy, seq, 0) : NULL;
        buf_free(&copy);
        if (o == NULL) { /* no memory: nothing behind it may overtake */
            l->retry_at = mono_add_ms(n->now.mono, EXPIRE_MS);
            return;
        }
        after = seq;
        append(l, o);
    }
    l->complete = !op->more;
    if (l->complete) recount(l);
    lane_run(l);
}

/* Rows of STORE_OUTBOX_PEERS: what is queued for whom. */
void messenger_requeued(struct node *n, struct bytes rows) {
    struct rd r = rd_of(rows);
    while (r.in.n > 0) {
        struct peer_id id;
        struct bytes raw = rd_take(&r, rd_u8(&r));
        uint64_t count = rd_u32(&r), bytes = rd_u64(&r);
        rd_u64(&r);
        struct wall oldest = {(int64_t)rd_u64(&r)};
        if (r.bad) return;
        struct peer *p = peer_id_read(raw, &id) ? peers_add(n, &id) : NULL;
        struct lane *l = p == NULL ? NULL : lane_of(n, p);
        n->recount |= l == NULL;
        if (l == NULL) continue;
        peers_touch(n, p, PEER_WRITTEN_TO); /* a crash may have come before that was kept */
        n->outbox_count += count - MIN(count, l->queued);
        n->outbox_bytes += bytes - MIN(bytes, l->bytes);
        l->queued = MAX(count, l->queued);
        l->bytes = MAX(bytes, l->bytes);
        if (l->oldest.ms == 0 || oldest.ms < l->oldest.ms) l->oldest = oldest;
        l->complete = l->loaded >= l->queued;
        messenger_wake(p);
    }
}

static void take_spool(struct node *n) {
    struct store_op *spool = store_op_new(STORE_SPOOL_TAKE);
    n->next_spool = spool == NULL ? mono_add_ms(n->now.mono, SPOOL_AGAIN_MS) : MONO_NEVER;
    if (spool == NULL) return;
    messenger_outbox_limits(n, spool);
    spool->count = LOAD_COUNT;
    node_give(n, spool);
}

/* What is queued, and for whom. Until the answer has come no lane knows all of its messages. */
static void ask_queued(struct node *n) {
    n->recount = true;
    n->next_recount = mono_add_ms(n->now.mono, RECOUNT_MS);
    node_give(n, store_op_new(STORE_OUTBOX_PEERS));
}

void messenger_start(struct node *n) {
    ask_queued(n);
    take_spool(n);
}

void messenger_outbox_limits(const struct node *n, struct store_op *op) {
    op->limits[0] = limit_max(&n->limits, LIMIT_OUTBOX);
    op->limits[1] = limit_max(&n->limits, LIMIT_OUTBOX_BYTES);
    op->limits[2] = limit_max(&n->limits, LIMIT_OUTBOX_PER_PEER);
}

/* ---- new messages of our own user */

enum err messenger_send(struct node *n, struct peer *p, struct message *m, struct request *r, struct why *w) {
    if (m->body.n > limit_max(&n->limits, LIMIT_BODY))
        return fail(w, E_INPUT, "the body has %zu bytes, messages.maxBody allows %llu", m->body.n,
                    (unsigned long long)limit_max(&n->limits, LIMIT_BODY));
    enum err e = message_check(m, w);
    if (e != OK) return e;
    if (limit_hit(&n->limits, LIMIT_STORE_QUEUE, n->store_in_flight)) {
        limit_reached(n, LIMIT_STORE_QUEUE);
        return fail(w, E_BUSY, "the store is busy, try again");
    }
    struct store_op *op = store_op_new(STORE_OUTBOX_ADD);
    if (op == NULL || !message_frame_write(&op->in, m)) {
        store_op_free(op);
        return fail(w, E_MEMORY, "out of memory");
    }
    op->peer = p->id;
    memcpy(op->id, m->id, MESSAGE_ID);
    messenger_outbox_limits(n, op);
    op->tag = r == NULL ? 0 : r->tag;
    peers_touch(n, p, PEER_WRITTEN_TO);
    node_give(n, op);
    return OK;
}

static void added(struct node *n, struct store_op *op) {
    struct request *r = control_find(n, op->tag);
    if (op->err == E_LIMIT) limit_reached_by_key(n, op->why.text);
    if (op->tag == 0) alerts_at_store(n, op);
    struct peer *p = op->err == OK ? peers_add(n, &op->peer) : NULL;
    struct lane *l = p == NULL ? NULL : lane_of(n, p);
    n->recount |= op->err == OK && l == NULL; /* no memory: it is in the store, and nobody knows */
    if (l != NULL) {
        size_t bytes = op->in.n;
        char id[2 * MESSAGE_ID + 1];
        message_id_text(op->id, id);
        LOG(n->log, EV_MESSAGE_SENT, kv_str("peer", p->text), kv_str("id", id),
            kv_int("bytes", (int64_t)bytes));
        l->queued++;
        l->bytes += bytes;
        n->outbox_count++;
        n->outbox_bytes += bytes;
        if (l->queued == 1) l->oldest = n->now.wall;
        if (l->complete && has_room(l)) {
            struct outgoing *o = outgoing_new(n, &op->in, op->seq, op->tag);
            if (o != NULL)
                append(l, o);
            else
                l->complete = false;
        } else {
            l->complete = false;
        }
        n->totals.messages_out++;
    }
    if (r != NULL) control_message_stored(r, op);
    if (l == NULL) return;
    lane_run(l);
}

/* ---- sending */

static void delay(struct lane *l, const char *reason) {
    struct node *n = l->node;
    int64_t wait = cfg(n->config, messages_retryMin).ms, most = cfg(n->config, messages_retryMax).ms;
    for (unsigned i = 0; i < l->tries && wait < most; i++) wait *= 2;
    if (l->tries < 60) l->tries++;
    wait = rng_jitter(&n->rng, MIN(wait, most), 25);
    l->retry_at = mono_add_ms(n->now.mono, wait);
    snprintf(l->last_error, sizeof l->last_error, "%s", reason);
    if (l->queued == 0) return;
    struct store_op *op = store_op_new(STORE_OUTBOX_TRIED);
    if (op == NULL) return;
    op->peer = l->peer->id;
    op->when.ms = n->now.wall.ms + wait;
    snprintf(op->text, sizeof op->text, "%s", reason);
    node_give(n, op);
}

/* The stream is gone: what was on it without a receipt is sent again on the next one, oldest first. */
void lane_lost(struct lane *l, const char *reason, bool wait) {
    l->stream = NULL;
    l->busy = false;
    for (struct outgoing *o = l->first; o != NULL; o = o->next) o->sent = o->answered = false;
    l->unsent = l->first;
    if (l->queued > 0 && wait) delay(l, reason);
}

void lane_run(struct lane *l) {
    struct node *n = l->node;
    if (n->stopping || l->retry_at.us > n->now.mono.us) return;
    l->retry_at = MONO_NEVER; /* also when nothing is queued any more: else it is due for ever */
    if (l->queued == 0) return;
    struct connection *c = peer_connection(l->peer);
    if (c == NULL) {
        n->next_keep = n->now.mono; /* swarm_tick dials for us */
        return;
    }
    if (!c->identified && !peer_speaks(l->peer, PROTOCOL_MESSAGE)) return; /* identify is on its way */
    load(l);
    if (l->first == NULL) return;
    if (l->stream == NULL) {
        struct why w = {E_MEMORY, "out of memory"};
        void *state = message_sender_new(l);
        l->stream = state == NULL ? NULL : stream_open(c, PROTOCOL_MESSAGE, state, &w);
        if (l->stream == NULL) {
            mem_free(state);
            delay(l, w.text);
            return;
        }
    }
    l->stream->ready = true;
    connection_run(c);
}

/* The sending stream has room: gives it what is not on it yet. */
void lane_fill(struct lane *l, struct buf *tx) {
    struct node *n = l->node;
    if (l->busy) return;
    for (struct outgoing *o = l->unsent; o != NULL && tx->n < MUX_OUT_MAX; o = o->next) {
        if (!o->sent && o->expires.ms <= n->now.wall.ms) {
            n->next_expire = n->now.mono;
            continue;
        }
        if (!o->sent && !buf_add(tx, buf_view(&o->frame))) {
            l->retry_at = mono_add_ms(n->now.mono, EXPIRE_MS); /* no memory: nothing else would do it */
            return;
        }
        o->sent = true;
        if (l->unsent == o) l->unsent = o->next;
    }
    load(l);
}

static void learn_latency(struct node *n, const struct lane *l, const struct outgoing *o) {
    int64_t since = MAX(o->committed.us, l->usable.us);
    int64_t ms = (n->now.mono.us - since) / 1000;
    recent_latency(&n->recent, n->now.mono, ms);
    histogram_add(&n->counts.latency, ms * 1000);
    n->counts.message_bytes[DIRECTION_OUT] += o->frame.n;
}

int64_t messenger_latency_p95_ms(const struct node *n) {
    return recent_sum(&n->recent, n->now.mono, INT64_MAX).p95_ms;
}

static void give_end(struct lane *l, const struct outgoing *o, struct store_op *op, enum store_kind kind,
                     const char *text) {
    struct node *n = l->node;
    op->kind = kind;
    op->peer = l->peer->id;
    op->seq = o->seq;
    memcpy(op->id, o->id, MESSAGE_ID);
    op->latency_ms = (n->now.mono.us - MAX(o->committed.us, l->usable.us)) / 1000;
    if (*text != 0) snprintf(op->text, sizeof op->text, "%s", text);
    node_give(n, op);
}

/* A BUSY may overtake receipts of what came before it, which still waits for the receiver's disk: they are
 * worth waiting for, or the same messages would be sent again and again, and be too many again. */
static bool all_answered(const struct lane *l) {
    const struct outgoing *o = l->first;
    while (o != NULL && (!o->sent || o->answered)) o = o->next;
    return o == NULL;
}

enum err lane_receipt(struct lane *l, const struct receipt *receipt) {
    struct node *n = l->node;
    char id[2 * MESSAGE_ID + 1];
    message_id_text(receipt->id, id);
    n->counts.messages[DIRECTION_OUT][receipt->status]++;
    if (receipt->status == RECEIPT_BUSY) {
        l->busy = true;
        for (struct outgoing *b = l->first; b != NULL; b = b->next)
            if (memcmp(b->id, receipt->id, MESSAGE_ID) == 0) b->answered = true;
        return all_answered(l) ? E_BUSY : OK;
    }
    struct store_op *op = store_op_new(STORE_OUTBOX_DONE);
    if (op == NULL) return E_MEMORY; /* as if it had not come: it is sent again, and answered again */
    struct outgoing *o = take_out(l, receipt->id);
    if (o == NULL) { /* cancelled or expired meanwhile */
        store_op_free(op);
        return l->busy && all_answered(l) ? E_BUSY : OK;
    }
    count_down(l, o->frame.n);
    l->tries = 0;
    if (receipt->status == RECEIPT_STORED || receipt->status == RECEIPT_DUPLICATE) {
        learn_latency(n, l, o);
        give_end(l, o, op, STORE_OUTBOX_DONE, "");
        n->totals.delivered++;
        node_operation(n, false);
        LOG(n->log, EV_MESSAGE_DELIVERED, kv_str("peer", l->peer->text), kv_str("id", id),
            kv_ms("latency", (n->now.mono.us - MAX(o->committed.us, l->usable.us)) / 1000));
    } else {
        give_end(l, o, op, STORE_OUTBOX_FAILED, receipt_status_name(receipt->status));
        node_operation(n, true);
        LOG(n->log, EV_MESSAGE_REFUSED_BY, kv_str("peer", l->peer->text), kv_str("id", id),
            kv_str("status", receipt_status_name(receipt->status)));
    }
    control_receipt(n, o->tag, receipt->id, receipt->status, receipt_status_name(receipt->status));
    add_ending(n, o);
    l->oldest = l->first != NULL ? l->oldest : n->now.wall;
    return l->busy && all_answered(l) ? E_BUSY : OK;
}

/* ---- connections come and go */

void messenger_connected(struct peer *p) {
    struct lane *l = p->lane;
    if (l == NULL) return;
    if (l->usable.us == 0) l->usable = l->node->now.mono;
    l->retry_at = MONO_NEVER;
    lane_run(l);
}

void messenger_disconnected(struct peer *p) {
    if (p->lane != NULL) p->lane->usable = MONO_NEVER;
}

void messenger_wake(struct peer *p) {
    struct lane *l = p->lane;
    if (l == NULL) return;
    l->retry_at = MONO_NEVER;
    p->next_dial = MONO_NEVER;
    lane_run(l);
}

void messenger_cancelled(struct node *n, const struct peer_id *peer, int64_t seq) {
    if (*find_unended(n, seq) != NULL || is_ending(n, seq)) return; /* is not counted any more */
    struct peer *p = peers_find(n, peer);
    struct lane *l = p == NULL ? NULL : p->lane;
    if (l == NULL) return;
    for (struct outgoing *o = l->first; o != NULL; o = o->next) {
        if (o->seq != seq) continue;
        size_t bytes = o->frame.n;
        outgoing_free(take_out(l, o->id));
        count_down(l, bytes);
        return;
    }
    count_down(l, 0);
}

/* ---- expiry, by our own clock */

static void expire(struct node *n) {
    n->next_expire = mono_add_ms(n->now.mono, EXPIRE_MS);
    node_give(n, store_op_new(STORE_OUTBOX_EXPIRE));
}

static void expired(struct node *n, struct store_op *op) {
    struct rd r = rd_of(buf_view(&op->out));
    while (op->err == OK && r.in.n > 0) {
        struct peer_id peer;
        struct bytes raw = rd_take(&r, rd_u8(&r)), id = rd_take(&r, MESSAGE_ID);
        int64_t seq = (int64_t)rd_u64(&r);
        char text[2 * MESSAGE_ID + 1], who[PEER_TEXT_MAX];
        if (r.bad || !peer_id_read(raw, &peer)) return;
        message_id_text(id.p, text);
        peer_id_text(&peer, who);
        LOG(n->log, EV_MESSAGE_EXPIRED, kv_str("peer", who), kv_str("id", text));
        messenger_cancelled(n, &peer, seq);
        control_receipt(n, 0, id.p, RECEIPT_NONE, "expired");
        node_operation(n, true);
        n->counts.messages[DIRECTION_OUT][MESSAGE_EXPIRED]++;
    }
}

static void spool_taken(struct node *n, struct store_op *op) {
    if (op->err == OK && op->count > 0) LOG(n->log, EV_SPOOL_TAKEN, kv_int("count", (int64_t)op->count));
    if (op->err != OK || op->text[0] != 0) {
        LOG(n->log, EV_SPOOL_REFUSED, kv_str("entry", op->text), kv_str("reason", op->why.text));
        n->next_spool = mono_add_ms(n->now.mono, SPOOL_AGAIN_MS); /* the disk or the outbox may be full */
    }
    struct rd r = rd_of(buf_view(&op->out));
    while (r.in.n > 0) { /* whom the operator wrote to is known from now on */
        struct peer_id id;
        struct bytes raw = rd_take(&r, rd_u8(&r));
        rd_take(&r, 4 + 8 + 8 + 8);
        struct peer *p = !r.bad && peer_id_read(raw, &id) ? peers_add(n, &id) : NULL;
        if (p != NULL) peers_touch(n, p, PEER_WRITTEN_TO);
    }
    messenger_requeued(n, buf_view(&op->out));
    if (op->err == OK && op->more && op->count > 0 && !n->stopping) take_spool(n);
}

void messenger_stored(struct node *n, struct store_op *op) {
    switch ((int)op->kind) {
    case STORE_OUTBOX_ADD: added(n, op); break;
    case STORE_OUTBOX_LOAD: loaded(n, op); break;
    case STORE_OUTBOX_PEERS:
        if (op->err == OK)
            n->recount = false;
        else
            LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "outbox"), kv_str("reason", op->why.text));
        messenger_requeued(n, buf_view(&op->out));
        break;
    case STORE_OUTBOX_EXPIRE: expired(n, op); break;
    case STORE_SPOOL_TAKE: spool_taken(n, op); break;
    case STORE_INBOX_ADD: message_stored(n, op); break;
    case STORE_OUTBOX_DONE:
    case STORE_OUTBOX_FAILED: ended(n, op); return;
    default:
        if (op->err != OK)
            LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "outbox"), kv_str("reason", op->why.text));
        break;
    }
    store_op_free(op);
}

uint64_t node_outbox(const struct node *n) {
    return n->outbox_count;
}

void messenger_tick(struct node *n) {
    n->limits.of[LIMIT_OUTBOX].used = n->outbox_count;
    n->limits.of[LIMIT_OUTBOX_BYTES].used = n->outbox_bytes;
    if (n->stopping) return;
    if (mono_due(n->next_unended, n->now.mono)) end_again(n);
    if (n->recount && n->next_recount.us <= n->now.mono.us) ask_queued(n);
    if (mono_due(n->next_spool, n->now.mono)) take_spool(n);
    for (struct lane **at = &n->lanes; *at != NULL;) {
        struct lane *l = *at;
        if (mono_due(l->retry_at, n->now.mono)) lane_run(l);
        if (l->queued > 0 || l->stream != NULL || l->loading) {
            at = &l->next;
            continue;
        }
        *at = l->next; /* an empty lane costs nothing to make again */
        lane_free(l);
    }
    if (n->outbox_count > 0 && n->next_expire.us <= n->now.mono.us) expire(n);
}

struct mono messenger_deadline(const struct node *n) {
    if (n->stopping) return MONO_NEVER;
    struct mono at = mono_sooner(n->next_unended, n->recount ? n->next_recount : MONO_NEVER);
    at = mono_sooner(at, n->next_spool);
    if (n->outbox_count > 0) at = mono_sooner(at, n->next_expire);
    for (const struct lane *l = n->lanes; l != NULL; l = l->next) at = mono_sooner(at, l->retry_at);
    return at;
}
