/* What is to be sent: one file at a time to each peer, a few at a time in all; tried again until its end. */
#include "node/file_queue.h"
#include "node/messenger.h"

#include <stdio.h>

enum { TICK_MS = 1000, END_AGAIN_MS = 5000, QUEUE_AGAIN_MS = 10000, DROP_AGAIN_MS = 5000 };

void files_limits(const struct node *n, struct store_op *op) {
    op->limits[0] = limit_max(&n->limits, LIMIT_FILE_BYTES);
    op->limits[1] = limit_max(&n->limits, LIMIT_FILES);
}

bool files_wanted(const struct node *n, const struct peer *p) {
    enum { FROM_KNOWN, FROM_ANY, FROM_ALLOWED, FROM_NONE };
    switch (cfg(n->config, files_from).count) {
    case FROM_ANY: return true;
    case FROM_ALLOWED: return p->trusted || (p->flags & PEER_ALLOWED) != 0;
    case FROM_NONE: return false;
    default: return !access_is_stranger(n, p);
    }
}

/* ---- the list */

/* Rows behind `after` are asked for again. */
static void queue_later(struct node *n, int64_t after) {
    if (n->next_queue.us == 0 || after < n->queue_from) n->queue_from = after;
    n->next_queue = mono_add_ms(n->now.mono, QUEUE_AGAIN_MS);
    n->next_files = mono_sooner(n->next_files, n->next_queue);
}

static bool is_listed(const struct node *n, int64_t seq) {
    const struct file_out *f = n->files_out;
    while (f != NULL && f->seq != seq) f = f->next;
    return f != NULL;
}

enum err files_out_add(struct node *n, const struct peer_id *peer, int64_t seq, uint64_t size,
                       struct bytes offer) {
    struct file_offer o;
    struct peer *p = peers_add(n, peer);
    if (file_offer_read(offer, &o, NULL) != OK) return E_INPUT;
    struct file_out *f = p == NULL ? NULL : NEW(struct file_out);
    if (f != NULL) f->offer.max = FILE_FRAME_MAX;
    if (f == NULL || !buf_add(&f->offer, offer)) {
        mem_free(f);
        queue_later(n, seq - 1);
        return E_MEMORY;
    }
    f->node = n;
    f->peer = p;
    f->seq = seq;
    f->size = size;
    f->expires.ms = (int64_t)o.expires_ms;
    memcpy(f->id, o.id, MESSAGE_ID);
    struct file_out **at = &n->files_out;
    while (*at != NULL) at = &(*at)->next; /* oldest first */
    *at = f;
    p->files_out++;
    peers_touch(n, p, PEER_WRITTEN_TO);
    p->next_dial = MONO_NEVER;
    n->next_keep = n->next_files = n->now.mono;
    return OK;
}

static void file_out_free(struct file_out *f) {
    buf_free(&f->offer);
    mem_free(f);
}

void file_queue_free(struct node *n) {
    store_op_list_free(n->half_copies);
    n->half_copies = NULL;
    while (n->files_out != NULL) {
        struct file_out *f = n->files_out;
        n->files_out = f->next;
        file_out_free(f);
    }
}

static void over(struct file_out *f) {
    if (f->over) return;
    f->over = true;
    if (f->peer->files_out > 0) f->peer->files_out--;
    f->node->next_files = f->node->now.mono;
}

/* Until its row is written it would be sent again after the next start, and shown as moving meanwhile. */
static void write_end(struct file_out *f) {
    struct store_op *op = store_op_new(STORE_FILE_ENDED);
    f->retry_at = mono_add_ms(f->node->now.mono, END_AGAIN_MS);
    if (op == NULL) return;
    f->end = END_AT_STORE;
    op->seq = f->seq;
    snprintf(op->text, sizeof op->text, "%s", f->why);
    node_give(f->node, op);
}

static void end_written(struct node *n, const struct store_op *op) {
    for (struct file_out *f = n->files_out; f != NULL; f = f->next)
        if (f->seq == op->seq) f->end = op->err == OK ? END_WRITTEN : END_TO_WRITE;
    n->next_files = n->now.mono;
}

void files_out_end(struct file_out *f, enum receipt_status status, const char *why) {
    struct node *n = f->node;
    char id[2 * MESSAGE_ID + 1];
    if (f->over) return;
    message_id_text(f->id, id);
    snprintf(f->why, sizeof f->why, "%s", why == NULL ? "" : why);
    write_end(f);
    n->totals.operations++;
    if (why == NULL) {
        LOG(n->log, EV_FILE_SENT, kv_str("peer", f->peer->text), kv_str("id", id),
            kv_int("bytes", (int64_t)f->size));
    } else {
        n->totals.operations_failed++;
        LOG(n->log, EV_MESSAGE_REFUSED_BY, kv_str("peer", f->peer->text), kv_str("id", id),
            kv_str("status", why));
    }
    over(f);
    control_receipt(n, 0, f->id, status, why == NULL ? "" : why);
}

static void plan(struct file_out *f) {
    struct node *n = f->node;
    int64_t wait = cfg(n->config, messages_retryMin).ms, most = cfg(n->config, messages_retryMax).ms;
    for (unsigned i = 0; i < f->tries && wait < most; i++) wait *= 2;
    if (f->tries < 60) f->tries++;
    f->retry_at = mono_add_ms(n->now.mono, rng_jitter(&n->rng, MIN(wait, most), 25));
    n->next_files = mono_sooner(n->next_files, f->retry_at);
}

void files_out_note(struct file_out *f, const char *reason) {
    struct store_op *op = store_op_new(STORE_FILE_TRIED);
    if (op == NULL) return;
    op->seq = f->seq;
    op->count = f->done;
    op->bytes = f->tries;
    op->flags = f->waits ? FILE_WAITS : 0;
    snprintf(op->text, sizeof op->text, "%s", reason);
    f->noted = f->done;
    node_give(f->node, op);
}

void files_out_lost(struct file_out *f, const char *reason) {
    f->stream = NULL;
    if (f->over) return;
    plan(f);
    files_out_note(f, reason);
}

static void expire(struct file_out *f) {
    struct node *n = f->node;
    char id[2 * MESSAGE_ID + 1];
    message_id_text(f->id, id);
    LOG(n->log, EV_MESSAGE_EXPIRED, kv_str("peer", f->peer->text), kv_str("id", id));
    files_out_end(f, RECEIPT_NONE, "expired");
    if (f->stream != NULL) stream_fail(f->stream, E_TIMEOUT, "expired");
}

/* ---- starting transfers */

bool peer_has_mail(const struct peer *p) {
    return p->files_out > 0 || (p->lane != NULL && p->lane->queued > 0);
}

/* Marks what moves now, so that the list is gone through once and not once for each of its peers. */
static size_t mark_moving(struct node *n, struct file_out *f) {
    bool moves = f->stream != NULL && !f->waits;
    if (moves) f->peer->files_turn = n->files_turn;
    return moves;
}

static void begin(struct file_out *f) {
    struct node *n = f->node;
    struct connection *c = peer_connection(f->peer);
    struct why w;
    if (c == NULL) {
        n->next_keep = n->now.mono; /* swarm_tick dials for us */
        return;
    }
    if (!c->identified && !peer_speaks(f->peer, PROTOCOL_FILE)) return; /* identify is on its way */
    f->retry_at = MONO_NEVER;
    f->waits = false;
    void *state = file_sender_new(f);
    f->stream = state == NULL ? NULL : stream_open(c, PROTOCOL_FILE, state, &w);
    if (f->stream != NULL) {
        connection_run(c);
        return;
    }
    mem_free(state);
    files_out_lost(f, state == NULL ? "out of memory" : w.text);
}

/* A copy that failed, of which its sender was told, would stay listed and take its space until the next start
 * if the disk that was full for it is too full for dropping it. */
static void half_copy_dropped(struct node *n, struct store_op *op) {
    if (op->err == OK || op->err == E_NOT_FOUND || n->stopping) {
        store_op_free(op);
        return;
    }
    op->next = n->half_copies;
    n->half_copies = op;
    n->next_half_copies = mono_add_ms(n->now.mono, DROP_AGAIN_MS);
    n->next_files = mono_sooner(n->next_files, n->next_half_copies);
}

static void drop_half_copies(struct node *n) {
    if (!mono_due(n->next_half_copies, n->now.mono)) return;
    n->next_half_copies = MONO_NEVER;
    for (struct store_op *op; (op = n->half_copies) != NULL;) {
        n->half_copies = op->next;
        op->next = NULL;
        node_give(n, op);
    }
}

void file_queue_tick(struct node *n) {
    if (n->stopping || !mono_due(n->next_files, n->now.mono)) return;
    size_t moving = 0;
    n->files_turn++;
    n->next_files = MONO_NEVER;
    if (mono_due(n->next_queue, n->now.mono)) {
        n->next_queue = MONO_NEVER;
        file_queue_start(n, n->queue_from);
    }
    drop_half_copies(n);
    n->next_files = mono_sooner(n->next_queue, n->next_half_copies);
    for (struct file_out **at = &n->files_out; *at != NULL;) {
        struct file_out *f = *at;
        if (f->over && f->end == END_TO_WRITE && f->retry_at.us <= n->now.mono.us) write_end(f);
        if (f->over && f->end == END_WRITTEN && f->stream == NULL) {
            *at = f->next;
            file_out_free(f);
            continue;
        }
        moving += mark_moving(n, f);
        at = &f->next;
    }
    for (struct file_out *f = n->files_out; f != NULL; f = f->next) {
        if (f->over) continue;
        if (f->expires.ms > 0 && f->expires.ms <= n->now.wall.ms) {
            expire(f);
            continue;
        }
        if (f->stream != NULL || f->retry_at.us > n->now.mono.us || f->peer->files_turn == n->files_turn)
            continue;
        if (limit_hit(&n->limits, LIMIT_FILE_TRANSFERS, moving)) break;
        begin(f);
        moving += mark_moving(n, f);
    }
    n->limits.of[LIMIT_FILE_TRANSFERS].used = moving;
    if (n->files_out != NULL) n->next_files = mono_sooner(n->next_files, mono_add_ms(n->now.mono, TICK_MS));
}

void file_queue_connected(struct peer *p, struct node *n) {
    if (p->files_out == 0) return;
    for (struct file_out *f = n->files_out; f != NULL; f = f->next)
        if (f->peer == p && !f->waits) f->retry_at = MONO_NEVER;
    n->next_files = n->now.mono;
}

/* ---- the store */

void file_queue_start(struct node *n, int64_t after) {
    struct store_op *op = store_op_new(STORE_FILE_QUEUE);
    if (op == NULL) {
        queue_later(n, after);
        return;
    }
    op->seq = after;
    node_give(n, op);
}

static void queued(struct node *n, struct store_op *op) {
    struct rd r = rd_of(buf_view(&op->out));
    while (op->err == OK && r.in.n > 0) {
        struct peer_id peer;
        int64_t seq = (int64_t)rd_u64(&r);
        struct bytes raw = rd_take(&r, rd_u8(&r));
        rd_u64(&r); /* created: shown by listings only */
        uint64_t size = rd_u64(&r);
        struct bytes offer = rd_take(&r, rd_u16(&r));
        if (r.bad || !peer_id_read(raw, &peer)) break;
        if (!is_listed(n, seq)) files_out_add(n, &peer, seq, size, offer);
    }
    if (op->err == OK && op->more) file_queue_start(n, op->seq);
    if (op->err != OK) queue_later(n, op->seq);
}

void file_queue_stored(struct node *n, struct store_op *op) {
    if (op->kind == STORE_FILE_CANCEL) {
        half_copy_dropped(n, op);
        return;
    }
    if (op->kind == STORE_FILE_QUEUE)
        queued(n, op);
    else if (op->kind == STORE_FILE_ENDED)
        end_written(n, op);
    else
        file_stream_stored(n, op);
    bool ours = op->kind == STORE_FILE_QUEUE || op->kind == STORE_FILE_TRIED || op->kind == STORE_FILE_ENDED;
    if (ours && op->err != OK && op->err != E_NOT_FOUND)
        LOG(n->log, EV_DATABASE_FAULT, kv_str("operation", "files"), kv_str("reason", op->why.text));
    store_op_free(op);
}

void file_queue_cancelled(struct node *n, const struct store_op *op) {
    if ((op->flags & FILE_OUT) == 0) {
        file_stream_cancelled(n, &op->peer, op->seq);
        return;
    }
    for (struct file_out *f = n->files_out; f != NULL; f = f->next) {
        if (f->seq != op->seq || f->over) continue;
        over(f);
        f->end = END_WRITTEN; /* by who cancelled it */
        control_receipt(n, 0, f->id, RECEIPT_NONE, "cancelled");
        if (f->stream != NULL) stream_fail(f->stream, E_CLOSED, "cancelled");
    }
}
