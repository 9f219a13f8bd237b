/* tests/sim/scenario_mail.c: what users do with messages, and what they were promised about them. */
#include "tests/sim/scenario_parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/messenger.h"
#include "store/spool.h"

enum { SPOOL_MOST = 1000, FOLLOW_AGAIN_US = 1000000 };

/* ---- messages and their ids */

static uint8_t filler(size_t message, size_t at) {
    return (uint8_t)('a' + (message * 7 + at) % 26);
}

static void make_body(size_t message, size_t size, struct buf *out) {
    buf_add_format(out, "m%zu:", message);
    while (out->n < size) buf_add_byte(out, filler(message, out->n));
}

static void name_message(struct scenario *s, struct sent *m, const uint8_t id[MESSAGE_ID]) {
    struct message_name *name = content_must(calloc(1, sizeof *name));
    memcpy(name->id, id, MESSAGE_ID);
    name->next = m->names;
    m->names = name;
    if (map_add(&s->ids, bytes_at(name->id, MESSAGE_ID), m) != OK)
        world_break(s->w, "two messages have one id");
}

static struct sent *sent_of(struct scenario *s, size_t index) {
    return index < s->n_sent ? &s->sent[index] : NULL;
}

/* ---- sending */

static void call_cancel(struct world *w, void *user, uint64_t index);

static void send_one(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    size_t from = pick(s, s->n), size = chance(s, 90)   ? pick(s, 200)
                                        : chance(s, 90) ? pick(s, 20000)
                                                        : pick(s, 1000000);
    if (s->n > 100) size = MIN(size, (size_t)5000);
    (void)arg;
    if (!is_running(s, from) || s->near[from].n == 0 || s->n_sent == s->most) return;
    size_t to = s->near[from].of[pick(s, s->near[from].n)], index = s->n_sent++;
    struct sent *m = &s->sent[index];
    int64_t life = chance(s, 85) ? 7LL * 24 * 3600 * 1000 : 1000 + (int64_t)pick(s, 60000);
    struct buf body = {.max = 2 << 20};
    make_body(index, size, &body);
    *m = (struct sent){.from = from, .to = to, .size = body.n};
    m->expires_ms = world_clocks(w, w->nodes[from]).wall.ms + life;
    const char *peer = chance(s, 50) ? world_address(w, to) : w->nodes[to]->id;
    ask_node(s, from, CLIENT_SEND, index, "send", "{\"peer\":\"%s\",\"expires_ms\":%lld,\"body\":\"%s\"%s}",
             peer, (long long)life, buf_cstr(&body), chance(s, 10) ? ",\"wait\":true" : "");
    buf_free(&body);
    if (!s->only_messages && chance(s, 6)) world_call(w, (int64_t)skewed(s, 10000000), call_cancel, s, index);
}

/* What `silktalk send` does when the node is down. */
static void spool_one(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    size_t from = pick(s, s->n);
    struct sim_node *n = w->nodes[from];
    (void)arg;
    if (n->up || !n->powered || n->disk.dead || s->near[from].n == 0 || s->n_sent == s->most) return;
    size_t to = s->near[from].of[pick(s, s->near[from].n)], index = s->n_sent++;
    struct sent *m = &s->sent[index];
    struct buf body = {.max = 2 << 20}, frame = {.max = 2 << 20};
    struct why why;
    int64_t now = world_clocks(w, n).wall.ms, life = chance(s, 85) ? 7LL * 24 * 3600 * 1000 : 60000;
    make_body(index, pick(s, 2000), &body);
    *m = (struct sent){.from = from, .to = to, .size = body.n, .expires_ms = now + life, .spooled = true};
    struct message message = {.sent_ms = (uint64_t)now,
                              .expires_ms = (uint64_t)m->expires_ms,
                              .content_type = bytes_of(MESSAGE_DEFAULT_TYPE),
                              .body = buf_view(&body)};
    rng_fill(&s->rng, message.id, MESSAGE_ID);
    name_message(s, m, message.id);
    if (!message_frame_write(&frame, &message)) abort();
    disk_select(&n->disk);
    disk_time(world_clocks(w, n));
    enum err e = spool_write(SIM_SPOOL, &w->nodes[to]->self.peer, (struct wall){now}, buf_view(&frame),
                             SPOOL_MOST, &why);
    m->state = e == OK ? TAKEN : n->disk.dead ? UNKNOWN : REFUSED;
    if (w->verbose)
        printf("%10.6f n%zu spools message %zu: %s\n", (double)w->now_us / 1e6, from, index,
               e == OK ? "" : why.text);
    buf_free(&body);
    buf_free(&frame);
}

/* ---- cancelling, trying again */

static void call_cancel(struct world *w, void *user, uint64_t index) {
    struct scenario *s = user;
    struct sent *m = &s->sent[index];
    char id[2 * MESSAGE_ID + 1];
    (void)w;
    if (s->over || m->state != TAKEN || m->names == NULL || !is_running(s, m->from)) return;
    message_id_text(m->names->id, id);
    m->cancelled = true;
    ask_node(s, m->from, CLIENT_CANCEL, (size_t)index, "outbox.cancel", "{\"id\":\"%s\"}", id);
}

static void cancel_any(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    (void)arg;
    if (s->n_sent > 0) call_cancel(w, s, pick(s, s->n_sent));
}

static void retry_some(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    size_t node = pick(s, s->n);
    (void)w;
    (void)arg;
    ask_node(s, node, CLIENT_RETRY, node, "outbox.retry", "{}");
}

static void learn_retried(void *user, const struct sim_row *row) {
    struct scenario *s = user;
    struct sent *m = sent_of(s, index_behind('m', row->body));
    if (m == NULL || map_find(&s->ids, bytes_at(row->id, MESSAGE_ID)) != NULL) return;
    if (m->from != s->walked) world_break(s->w, "node %zu tries the message of another again", s->walked);
    m->retries++;
    m->refused = false;
    name_message(s, m, row->id);
}

/* ---- who follows an inbox */

static void follow(struct world *w, void *user, uint64_t node) {
    struct scenario *s = user;
    struct follower *f = &s->followers[node];
    (void)w;
    if (!f->on || f->asking) return;
    if (!is_running(s, node)) {
        world_call(s->w, FOLLOW_AGAIN_US, follow, s, node);
        return;
    }
    char after[40] = "";
    if (f->begun) snprintf(after, sizeof after, "\"after\":%lld,", (long long)f->cursor);
    f->asking = true;
    ask_node(s, node, CLIENT_FOLLOW, node, "inbox.next", "{%s\"wait_ms\":%zu,\"n\":%zu}", after,
             1000 + pick(s, 60000), 1 + skewed(s, 64));
}

static void take_rows(struct scenario *s, size_t node, const struct json *result) {
    struct follower *f = &s->followers[node];
    const struct json *items = json_get(result, "items"), *item;
    int64_t cursor = json_get_int(result, "cursor", -1);
    if (!f->begun) f->from = f->cursor = cursor; /* the end of the inbox as it was; nothing is given */
    if (!f->begun && json_count(items) > 0) world_break(s->w, "who begins to follow is given what was there");
    f->begun = true;
    for (size_t i = 0; json_item(items, &i, &item);) {
        int64_t row = json_get_int(item, "cursor", -1);
        if (row <= f->cursor)
            world_break(s->w, "node %zu gives row %lld of its inbox after row %lld", node, (long long)row,
                        (long long)f->cursor);
        f->cursor = row;
        f->rows = content_must(realloc(f->rows, (f->n_rows + 1) * sizeof *f->rows));
        f->rows[f->n_rows++] = row;
    }
    if (cursor != f->cursor) world_break(s->w, "node %zu gives a cursor that is not its last row's", node);
}

/* ---- what comes back */

static void answer_send(struct scenario *s, size_t node, size_t index, bool refused) {
    struct sent *m = sent_of(s, index);
    if (m == NULL || m->from != node || m->spooled) {
        world_break(s->w, "node %zu answers for message %zu", node, index);
        return;
    }
    if (m->state != ASKED) world_break(s->w, "message %zu is answered twice", index);
    m->state = !refused      ? TAKEN
               : s->was_poor ? UNKNOWN /* there was no memory to say so */
                             : REFUSED;
}

void mail_answered(struct scenario *s, size_t node, enum client client, size_t id,
                   const struct json *answer) {
    bool refused = json_get(answer, "error") != NULL;
    struct sent *m = sent_of(s, id);
    if (client == CLIENT_SEND) {
        answer_send(s, node, id, refused);
    } else if (client == CLIENT_CANCEL && m != NULL && !refused) {
        m->gone = true;
    } else if (client == CLIENT_FOLLOW && id < s->n) {
        struct follower *f = &s->followers[id];
        f->asking = false;
        if (!refused && !f->ended) take_rows(s, id, json_get(answer, "result"));
        world_call(s->w, refused ? FOLLOW_AGAIN_US : (int64_t)pick(s, 100000), follow, s, id);
    }
}

/* `wait` answers come late: what is in the outbox meanwhile was not promised yet. */
void mail_ended(struct scenario *s, size_t node) {
    for (size_t i = 0; i < s->n_sent; i++)
        if (s->sent[i].from == node && s->sent[i].state == ASKED) s->sent[i].state = UNKNOWN;
    if (s->followers[node].asking) world_call(s->w, FOLLOW_AGAIN_US, follow, s, node);
    s->followers[node].asking = false;
}

static void stored_new(struct scenario *s, size_t node, const struct store_op *op) {
    struct bytes in = buf_view(&op->in), frame;
    struct message_frame f;
    bool whole = false;
    size_t need;
    struct sent *m = NULL;
    if (message_frame_next(&in, &frame, &whole, &need) == OK && whole &&
        message_frame_read(frame, &f, NULL) == OK)
        m = sent_of(s, index_behind('m', f.message.body));
    if (m == NULL || m->names != NULL)
        world_break(s->w, "node %zu stores a message that nobody sent", node);
    else
        name_message(s, m, op->id);
}

void mail_store(struct scenario *s, size_t node, const struct store_op *op, bool done) {
    if (op->kind == STORE_OUTBOX_RETRY && done && op->err == OK) {
        s->walked = node;
        world_rows(s->w, node, false, learn_retried, s);
    }
    if (done) return;
    if (op->kind == STORE_OUTBOX_ADD) stored_new(s, node, op);
    if (op->kind != STORE_OUTBOX_DONE && op->kind != STORE_OUTBOX_FAILED) return;
    struct bytes id = bytes_at(op->id, MESSAGE_ID);
    struct sent *m = map_find(&s->ids, id);
    if (m == NULL && !s->only_messages) { /* a crash came before its new id was heard of */
        s->walked = node;
        world_rows(s->w, node, false, learn_retried, s);
        m = map_find(&s->ids, id);
        if (m == NULL) return; /* and it was cancelled meanwhile */
    }
    if (m == NULL || m->from != node)
        world_break(s->w, "node %zu ends a message that it did not send", node);
    else if (op->kind == STORE_OUTBOX_DONE)
        m->done = true;
    else
        m->refused = true;
}

/* ---- the plan */

void mail_plan(struct scenario *s, size_t messages) {
    struct world *w = s->w;
    int64_t span = s->end_us - w->now_us;
    for (size_t i = 0; i < messages;) {
        int64_t at = (int64_t)pick(s, (size_t)span);
        for (size_t burst = 1 + (chance(s, 20) ? skewed(s, 40) : 0); burst > 0 && i < messages; burst--, i++)
            world_call(w, at, send_one, s, 0);
    }
    if (s->only_messages) return;
    for (size_t i = 0; i < messages; i++) /* few of them meet a node that is down */
        world_call(w, (int64_t)pick(s, (size_t)span), spool_one, s, 0);
    for (size_t i = skewed(s, 10); i > 0; i--)
        world_call(w, (int64_t)pick(s, (size_t)span), cancel_any, s, 0);
    for (size_t i = skewed(s, 3 * s->n); i > 0; i--)
        world_call(w, (int64_t)pick(s, (size_t)span), retry_some, s, 0);
    for (size_t i = 0; i < s->n; i++) {
        struct follower *f = &s->followers[i];
        f->on = chance(s, s->n > 100 ? 5 : 50);
        f->begun = chance(s, 50); /* from the first row on */
        if (f->on) world_call(w, (int64_t)pick(s, (size_t)span), follow, s, i);
    }
}

bool mail_is_quiet(const struct scenario *s) {
    for (size_t i = 0; i < s->n_sent; i++)
        if (s->sent[i].state == ASKED) return false;
    return true;
}

void mail_free(struct scenario *s) {
    for (size_t i = 0; i < s->n_sent; i++) {
        while (s->sent[i].names != NULL) {
            struct message_name *name = s->sent[i].names;
            s->sent[i].names = name->next;
            free(name);
        }
    }
    for (size_t i = 0; i < s->n; i++) free(s->followers[i].rows);
    free(s->sent);
    free(s->followers);
}

/* ---- the end */

static void judge_order(struct scenario *s, size_t index) {
    const struct sent *m = &s->sent[index];
    /* What expired on its way, as its sender was told, may come late (SEED=33031 NODES=30); so may what was
     * refused, when that could not be written down before a crash (SEED=41536 NODES=5), and what was
     * cancelled while an old connection still had it (SEED=502100). */
    if (m->failed || m->refused || m->cancelled || m->retries > 0) return;
    /* A spool is taken in the order of the wall clock, and what finds no room or memory in its time, later;
     * all of it, when the sync of its commit fails (SEED=850960 NODES=5-50): what is sent meanwhile goes. */
    if (m->spooled && (s->went_back[m->from] || s->disk_failed[m->from] || s->was_poor)) return;
    if (s->last_row[m->from] > (int64_t)index)
        world_break(s->w, "message %zu from node %zu came to node %zu after message %lld", index, m->from,
                    m->to, (long long)s->last_row[m->from]);
    s->last_row[m->from] = (int64_t)index;
}

static void walk_inbox(void *user, const struct sim_row *row) {
    struct scenario *s = user;
    struct world *w = s->w;
    const struct follower *f = &s->followers[s->walked];
    if (f->on && f->begun && row->seq > f->from) {
        bool given = s->n_expected > 0 && *s->expected == row->seq;
        if (!given)
            world_break(w, "who follows the inbox of node %zu was not given row %lld", s->walked,
                        (long long)row->seq);
        s->n_expected -= given;
        s->expected += given;
    }
    if (row->file.n > 0) {
        sent_files_found(s, s->walked, row);
        return;
    }
    size_t index = index_behind('m', row->body);
    struct sent *m = sent_of(s, index);
    if (m == NULL || m->to != s->walked || strcmp(row->peer, w->nodes[m->from]->id) != 0) {
        world_break(w, "node %zu has a message that is not its own", s->walked);
        return;
    }
    bool whole = row->body.n == m->size;
    for (size_t i = bytes_index(row->body, ':') + 1; whole && i < row->body.n; i++)
        whole = row->body.p[i] == filler(index, i);
    if (!whole) world_break(w, "message %zu is not whole", index);
    if (++m->found > 1 + m->retries)
        world_break(w, "message %zu from node %zu is twice in the inbox of node %zu", index, m->from, m->to);
    judge_order(s, index);
}

static void walk_outbox(void *user, const struct sim_row *row) {
    struct scenario *s = user;
    struct world *w = s->w;
    struct sent *m = sent_of(s, index_behind('m', row->body));
    if (m == NULL || m->from != s->walked || m->queued || m->failed) {
        world_break(w, "node %zu has a strange message in its outbox", s->walked);
        return;
    }
    m->queued = !row->failed;
    m->failed = row->failed;
    snprintf(m->error, sizeof m->error, "%s", row->error);
}

static void judge_failed(struct scenario *s, size_t i) {
    struct world *w = s->w;
    const struct sent *m = &s->sent[i];
    if (strcmp(m->error, "expired") == 0) {
        if (m->expires_ms > s->wall_max[m->from] && m->retries == 0)
            world_break(w, "message %zu expired too early", i);
    } else if (strcmp(m->error, "DENIED") == 0) {
        if (!s->denies[m->to]) world_break(w, "message %zu was denied", i);
        if (m->found > 0 && m->retries == 0) world_break(w, "message %zu was denied, and is there", i);
    } else {
        world_break(w, "message %zu failed: %s", i, m->error);
    }
}

static void judge(struct scenario *s, size_t i) {
    struct world *w = s->w;
    const struct sent *m = &s->sent[i];
    bool there = m->found > 0;
    if (m->queued)
        world_break(w, "message %zu from node %zu to node %zu is queued for ever", i, m->from, m->to);
    if (m->done && !there)
        world_break(w, "message %zu was reported as delivered to node %zu, which does not have it", i, m->to);
    if (m->state == TAKEN && !there && !m->failed && !m->cancelled)
        world_break(w, "message %zu from node %zu to node %zu is lost", i, m->from, m->to);
    if (m->state == REFUSED && (there || (m->failed && m->names == NULL)))
        world_break(w, "message %zu was refused, and is there", i);
    if (m->gone && m->failed) world_break(w, "message %zu was cancelled, and is in the outbox", i);
    if (m->failed) judge_failed(s, i);
}

/* What came since the follower asked last. */
static void follow_to_the_end(struct scenario *s, size_t node) {
    struct follower *f = &s->followers[node];
    f->ended = true; /* what it asked last is answered to nobody: the rest is read here (SEED=501701) */
    size_t before;
    if (!f->on || !f->begun) return;
    do {
        before = f->n_rows;
        const char *line = world_ask(s->w, node, "inbox.next", "{\"after\":%lld}", (long long)f->cursor);
        struct json_doc *doc = line == NULL ? NULL : json_parse(bytes_of(line), NULL);
        const struct json *result = doc == NULL ? NULL : json_get(json_root(doc), "result");
        if (result == NULL)
            world_break(s->w, "node %zu does not answer who follows its inbox", node);
        else
            take_rows(s, node, result);
        json_free(doc);
    } while (f->n_rows > before);
}

void mail_check(struct scenario *s) {
    struct world *w = s->w;
    for (size_t i = 0; i < s->n; i++) {
        s->walked = i;
        world_rows(w, i, false, walk_outbox, s);
    }
    for (size_t i = 0; i < s->n; i++) {
        follow_to_the_end(s, i);
        s->walked = i;
        s->expected = s->followers[i].rows;
        s->n_expected = s->followers[i].n_rows;
        for (size_t k = 0; k < s->n; k++) s->last_row[k] = -1;
        world_rows(w, i, true, walk_inbox, s);
        if (s->n_expected > 0)
            world_break(w, "who follows the inbox of node %zu was given %zu rows that are not there", i,
                        s->n_expected);
    }
    for (size_t i = 0; i < s->n_sent; i++) judge(s, i);
}
