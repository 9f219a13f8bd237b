/* Control methods of messages: send, inbox, read, outbox. */
#include "node/control.h"
#include "node/messenger.h"

#include <stdio.h>

enum { ID_MOMENT_MS = 10, SEND_PEERS_MAX = 1000, NEXT_ROWS_MAX = 64, LIST_MAX = 10000, LIST_DEFAULT = 1000 };

/* ---- send */

static void answer_send(struct request *r) {
    struct sending *s = r->state;
    if (s->adding == 0 && s->worst != OK && s->n == 1) {
        control_error(r, &s->why);
        return;
    }
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "send");
    json_open(&o, "items", '[');
    for (size_t i = 0; i < s->n; i++) {
        char id[2 * MESSAGE_ID + 1], peer[PEER_TEXT_MAX];
        const struct peer *known = peers_find(r->node, &s->items[i].peer);
        message_id_text(s->items[i].id, id);
        if (known == NULL) peer_id_text(&s->items[i].peer, peer);
        json_open(&o, NULL, '{');
        json_put_str(&o, "id", id);
        json_put_str(&o, "peer_id", known == NULL ? peer : known->text);
        json_put_str(&o, "state", s->items[i].state);
        json_put_str(&o, "error", s->items[i].text[0] == 0 ? NULL : s->items[i].text);
        json_shut(&o, '}');
    }
    json_shut(&o, ']');
    control_finish(r, &line, &o);
}

static void settle(struct request *r) {
    struct sending *s = r->state;
    if (s->adding > 0) return;
    size_t open = 0;
    for (size_t i = 0; i < s->n; i++) open += !s->items[i].final;
    if (!s->wait || open == 0) answer_send(r);
}

static enum err read_body(const struct json *params, struct buf *body, struct why *w) {
    const struct json *encoded = json_get(params, "body_base64");
    body->max = MESSAGE_FRAME_MAX;
    if (encoded != NULL)
        return base64_decode(body, json_bytes(encoded), false)
                   ? OK
                   : fail(w, E_USAGE, "body_base64 is not base64, or too long");
    struct bytes text = json_get_bytes(params, "body");
    return buf_add(body, text) ? OK : fail(w, E_INPUT, "the body is too long");
}

static enum err read_reply_to(const struct json *params, struct message *m, struct why *w) {
    struct bytes text = json_get_bytes(params, "reply_to");
    struct buf raw = {.max = MESSAGE_ID};
    if (text.n == 0) return OK;
    m->has_reply_to = hex_decode(&raw, text) && raw.n == MESSAGE_ID;
    if (m->has_reply_to) memcpy(m->reply_to, raw.p, MESSAGE_ID);
    buf_free(&raw);
    return m->has_reply_to ? OK : fail(w, E_USAGE, "reply_to is a message id of 32 hexadecimal digits");
}

static enum err resolve_all(struct node *n, const struct json *list, struct sending *s, struct why *w) {
    for (size_t i = 0; i < s->n; i++) {
        struct peer *p;
        struct bytes text = json_is_array(list) ? json_bytes(json_at(list, i)) : json_bytes(list);
        enum err e = peers_resolve(n, text, &p, w);
        if (e != OK) return e;
        if (peer_id_eq(&p->id, &n->self->peer)) return fail(w, E_INPUT, "that is this node itself");
        s->items[i].peer = p->id;
        s->items[i].state = "queued";
    }
    return OK;
}

/* What was sent together lies together in the indexes by id, at both ends: a hundred messages change some
 * pages of them, and not a page each. So the first two bytes say when (scattered: the beginnings of ids still
 * differ from one moment to the next), the other 14 are random. */
static void new_id(struct node *n, uint8_t id[MESSAGE_ID]) {
    uint32_t moment = (uint32_t)(n->now.wall.ms / ID_MOMENT_MS) * 0x9e3779b1u;
    rng_fill(&n->rng, id, MESSAGE_ID);
    id[0] = (uint8_t)(moment >> 24);
    id[1] = (uint8_t)(moment >> 16);
}

static void send_one(struct node *n, struct request *r, struct message *m, struct sending_item *item) {
    struct sending *s = r->state;
    struct why w = {OK, ""};
    new_id(n, item->id);
    memcpy(m->id, item->id, MESSAGE_ID);
    struct peer *p = peers_find(n, &item->peer);
    enum err e = p == NULL ? fail(&w, E_LIMIT, "the peer book is full") : messenger_send(n, p, m, r, &w);
    if (e == OK) return;
    s->adding--;
    item->final = true;
    item->state = "failed";
    snprintf(item->text, sizeof item->text, "%.63s", w.text);
    s->worst = e;
    s->why = w;
}

enum err sending_begin(struct node *n, struct request *r, const struct json *params, struct message *m,
                       struct why *w) {
    const struct json *list = json_get(params, "peers");
    if (list == NULL) list = json_get(params, "peer");
    size_t count = json_is_array(list) ? json_count(list) : json_is_text(list);
    if (count == 0 || count > SEND_PEERS_MAX)
        return fail(w, E_USAGE, "params.peers names 1 to %d peers", SEND_PEERS_MAX);
    struct sending *s = mem_new(1, sizeof *s + count * sizeof s->items[0]);
    if (s == NULL) return fail(w, E_MEMORY, "out of memory");
    *m = (struct message){.sent_ms = (uint64_t)n->now.wall.ms};
    r->state = s;
    r->free_state = mem_free;
    s->n = s->adding = count;
    enum err e = resolve_all(n, list, s, w);
    if (e == OK) e = read_reply_to(params, m, w);
    int64_t life = json_get_int(params, "expires_ms", cfg(n->config, messages_expiry).ms);
    if (e == OK && (life < 1000 || life > 90LL * 24 * 3600 * 1000))
        e = fail(w, E_INPUT, "a message lives between 1 second and 90 days");
    m->expires_ms = (uint64_t)(n->now.wall.ms + life);
    m->subject = json_get_bytes(params, "subject");
    m->content_type = json_get_bytes(params, "content_type");
    s->wait = json_get_bool(params, "wait", false) || json_get_int(params, "wait_ms", -1) >= 0;
    s->wait_ms = json_get_int(params, "wait_ms", 0);
    s->progress = json_get_bool(params, "progress", false);
    r->wait = WAIT_RECEIPT;
    return e;
}

void sending_wait(struct request *r) {
    const struct sending *s = r->state;
    if (s->wait && s->wait_ms > 0) request_deadline(r, mono_add_ms(r->node->now.mono, s->wait_ms));
}

enum err method_send(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct message m = {.sent_ms = 0};
    struct buf body = {NULL, 0, 0, 0};
    if (json_is_object(json_get(params, "file"))) return send_file(n, r, params, w);
    enum err e = sending_begin(n, r, params, &m, w);
    if (e == OK) sending_wait(r);
    if (e == OK) e = read_body(params, &body, w);
    m.body = buf_view(&body);
    if (m.content_type.n == 0)
        m.content_type = utf8_valid(m.body) ? bytes_of(MESSAGE_DEFAULT_TYPE)
                                            : bytes_of("application/octet-stream");
    struct sending *s = r->state;
    for (size_t i = 0; e == OK && i < s->n; i++) send_one(n, r, &m, &s->items[i]);
    buf_free(&body);
    if (e == OK && s->adding == 0) settle(r);
    return e;
}

void control_message_stored(struct request *r, const struct store_op *op) {
    struct sending *s = r->state;
    if (r->free_state == NULL || s == NULL) return;
    for (size_t i = 0; i < s->n; i++) {
        if (memcmp(s->items[i].id, op->id, MESSAGE_ID) != 0) continue;
        s->adding--;
        if (op->err != OK) {
            s->items[i].final = true;
            s->items[i].state = "failed";
            snprintf(s->items[i].text, sizeof s->items[i].text, "%.63s", op->why.text);
            s->worst = op->err;
            s->why = op->why;
        }
    }
    settle(r);
}

/* False: r does not wait for this message. */
static bool receipt_of(struct request *r, const uint8_t id[MESSAGE_ID], enum receipt_status status,
                       const char *text) {
    struct sending *s = r->state;
    if (r->dead || r->wait != WAIT_RECEIPT || s == NULL || !s->wait) return false;
    for (size_t i = 0; i < s->n; i++) {
        if (s->items[i].final || memcmp(s->items[i].id, id, MESSAGE_ID) != 0) continue;
        s->items[i].final = true;
        bool good = status == RECEIPT_STORED || status == RECEIPT_DUPLICATE;
        s->items[i].state = status == RECEIPT_STORED ? "stored" : good ? "duplicate" : "failed";
        if (!good) snprintf(s->items[i].text, sizeof s->items[i].text, "%.63s", text);
        settle(r);
        return true;
    }
    return false;
}

void control_receipt(struct node *n, uint64_t tag, const uint8_t id[MESSAGE_ID], enum receipt_status status,
                     const char *text) {
    struct request *r = control_find(n, tag);
    if (r != NULL) receipt_of(r, id, status, text);
    if (tag != 0) return;
    for (r = n->requests; r != NULL && !receipt_of(r, id, status, text);) r = r->next;
}

/* ---- inbox and outbox */

/* A store operation of r; NULL: w says out of memory. */
static struct store_op *ask(struct request *r, enum store_kind kind, struct bytes in, struct why *w) {
    struct store_op *op = control_op(r, kind);
    if (op != NULL && buf_add(&op->in, in)) return op;
    store_op_free(op);
    fail(w, E_MEMORY, "out of memory");
    return NULL;
}

enum err method_inbox(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct peer *from = NULL;
    struct bytes who = json_get_bytes(params, "from");
    enum err e = who.n > 0 ? peers_resolve(n, who, &from, w) : OK;
    if (e != OK) return e;
    struct store_op *op = ask(r, STORE_INBOX_LIST, json_get_bytes(params, "search"), w);
    if (op == NULL) return w->code;
    if (from != NULL) op->peer = from->id;
    op->flags = json_get_bool(params, "unread", false) ? INBOX_UNREAD : 0;
    int64_t most = json_get_int(params, "n", LIST_DEFAULT);
    op->count = (uint64_t)MIN(MAX(most, 1), (int64_t)LIST_MAX);
    op->seq = MAX(json_get_int(params, "after", 0), (int64_t)0); /* older ones than that */
    control_give(r, op);
    return OK;
}

static enum err by_id(struct request *r, const struct json *params, enum store_kind kind, uint32_t flags,
                      struct why *w) {
    struct bytes id = json_get_bytes(params, "id");
    if (id.n == 0) return fail(w, E_USAGE, "which message? params.id is missing");
    struct store_op *op = ask(r, kind, id, w);
    if (op == NULL) return w->code;
    op->flags = flags;
    control_give(r, op);
    return OK;
}

enum err method_read(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)n;
    return by_id(r, params, STORE_INBOX_READ, json_get_bool(params, "mark", true) ? INBOX_MARK : 0, w);
}

enum err method_inbox_mark(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)n;
    return by_id(r, params, STORE_INBOX_MARK, json_get_bool(params, "read", true) ? INBOX_MARK : 0, w);
}

enum err method_inbox_delete(struct node *n, struct request *r, const struct json *params, struct why *w) {
    int64_t older = json_get_int(params, "older_ms", -1);
    if (older < 0) return by_id(r, params, STORE_INBOX_DELETE, 0, w);
    struct store_op *op = ask(r, STORE_INBOX_DELETE, (struct bytes){NULL, 0}, w);
    if (op == NULL) return w->code;
    op->when.ms = MAX(n->now.wall.ms - older, (int64_t)1);
    control_give(r, op);
    return OK;
}

enum err method_outbox(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)n;
    struct store_op *op = ask(r, STORE_OUTBOX_LIST, (struct bytes){NULL, 0}, w);
    if (op == NULL) return w->code;
    int64_t most = json_get_int(params, "n", LIST_DEFAULT);
    op->count = (uint64_t)MIN(MAX(most, 1), (int64_t)LIST_MAX);
    op->seq = MAX(json_get_int(params, "after", 0), (int64_t)0);
    control_give(r, op);
    return OK;
}

enum err method_outbox_retry(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct store_op *op = ask(r, STORE_OUTBOX_RETRY, json_get_bytes(params, "id"), w);
    if (op == NULL) return w->code;
    rng_fill(&n->rng, op->random, sizeof op->random);
    messenger_outbox_limits(n, op);
    op->when.ms = n->now.wall.ms + cfg(n->config, messages_expiry).ms;
    control_give(r, op);
    return OK;
}

enum err method_outbox_cancel(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)n;
    return by_id(r, params, STORE_OUTBOX_CANCEL, 0, w);
}

/* ---- one message as JSON */

static void put_message(struct node *n, struct json_out *o, const struct peer_id *from,
                        const struct message *m, struct bytes file) {
    char id[2 * MESSAGE_ID + 1], peer[PEER_TEXT_MAX];
    message_id_text(m->id, id);
    peer_id_text(from, peer);
    const struct peer *p = peers_find(n, from);
    json_put_str(o, "id", id);
    json_put_str(o, "from", peer);
    json_put_str(o, "name", p == NULL ? NULL : p->name);
    json_put_wall(o, "sent", (struct wall){(int64_t)m->sent_ms});
    json_put(o, "content_type", m->content_type.n == 0 ? bytes_of(MESSAGE_DEFAULT_TYPE) : m->content_type);
    json_put(o, "subject", m->subject);
    if (m->has_reply_to) {
        message_id_text(m->reply_to, id);
        json_put_str(o, "reply_to", id);
    } else {
        json_put_null(o, "reply_to");
    }
    if (file.n > 0)
        json_put(o, "file", file);
    else
        json_put_null(o, "file");
    json_put_uint(o, "bytes", m->body.n);
    if (utf8_valid(m->body)) {
        json_put(o, "body", m->body);
    } else {
        struct buf text = {.max = MESSAGE_FRAME_MAX * 2};
        base64_encode(&text, m->body, false);
        json_put(o, "body_base64", buf_view(&text));
        buf_free(&text);
    }
}

static bool whole_frame(struct bytes in, struct message_frame *f) {
    struct bytes frame;
    bool whole = false;
    size_t need;
    return message_frame_next(&in, &frame, &whole, &need) == OK && whole &&
           message_frame_read(frame, f, NULL) == OK && f->kind == FRAME_MESSAGE;
}

static void answer_read(struct node *n, struct request *r, struct store_op *op) {
    struct message_frame f;
    if (!whole_frame(buf_view(&op->out), &f)) {
        control_error(r, &(struct why){E_IO, "the stored message can not be read; see `silktalk db check`"});
        return;
    }
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "read");
    json_put_wall(&o, "received", op->when);
    put_message(n, &o, &op->peer, &f.message, bytes_of(op->text));
    control_finish(r, &line, &o);
}

/* ---- inbox.next: what came after a cursor, at once or as soon as there is something */

struct following {
    int64_t after;
    bool unread, asked, again; /* again: something came while the store was looking */
    uint64_t most;
};

static void ask_next(struct request *r) {
    struct following *f = r->state;
    struct store_op *op = control_op(r, STORE_INBOX_AFTER);
    if (op == NULL) {
        control_error(r, &(struct why){E_MEMORY, "out of memory"});
        return;
    }
    op->seq = f->after;
    op->count = f->most;
    op->bytes = 4 << 20;
    op->flags = f->unread ? INBOX_UNREAD : 0;
    f->asked = true;
    f->again = false;
    control_give(r, op);
    r->wait = WAIT_FOLLOW;
}

enum err method_inbox_next(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct following *f = NEW(struct following);
    int64_t wait = json_get_int(params, "wait_ms", 0);
    if (f == NULL) return fail(w, E_MEMORY, "out of memory");
    r->state = f;
    r->free_state = mem_free;
    f->after = json_get_int(params, "after", INT64_MAX); /* no cursor yet: the end of the inbox */
    f->unread = json_get_bool(params, "unread", false);
    int64_t most = json_get_int(params, "n", NEXT_ROWS_MAX);
    f->most = (uint64_t)MIN(MAX(most, 1), (int64_t)NEXT_ROWS_MAX);
    if (wait > 0) request_deadline(r, mono_add_ms(n->now.mono, wait));
    ask_next(r);
    return OK;
}

static void answer_next(struct node *n, struct request *r, struct bytes rows, int64_t cursor) {
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "inbox.next");
    json_open(&o, "items", '[');
    struct rd in = rd_of(rows);
    while (in.in.n > 0) {
        int64_t row = (int64_t)rd_u64(&in);
        struct peer_id from;
        struct bytes raw = rd_take(&in, rd_u8(&in));
        struct wall received = {(int64_t)rd_u64(&in)};
        bool read = rd_u8(&in) != 0;
        struct bytes frame = rd_take(&in, rd_u32(&in)), file = rd_take(&in, rd_u16(&in));
        struct message_frame f;
        if (in.bad) break;
        cursor = row;
        if (!peer_id_read(raw, &from) || !whole_frame(frame, &f)) continue;
        json_open(&o, NULL, '{');
        json_put_int(&o, "cursor", row);
        json_put_wall(&o, "received", received);
        json_put_bool(&o, "read", read);
        put_message(n, &o, &from, &f.message, file);
        json_shut(&o, '}');
    }
    json_shut(&o, ']');
    json_put_int(&o, "cursor", cursor);
    control_finish(r, &line, &o);
}

static void next_stored(struct node *n, struct request *r, struct store_op *op) {
    struct following *f = r->state;
    bool first = f->after == INT64_MAX;
    f->asked = false;
    if (first) f->after = op->seq; /* the newest row */
    if (op->out.n == 0 && !first && f->again)
        ask_next(r);
    else if (op->out.n > 0 || first || r->deadline.us == 0)
        answer_next(n, r, buf_view(&op->out), f->after);
}

void control_inbox_new(struct node *n) {
    for (struct request *r = n->requests; r != NULL; r = r->next) {
        if (r->dead || r->wait != WAIT_FOLLOW) continue;
        struct following *f = r->state;
        f->again = true;
        if (!f->asked) ask_next(r);
    }
}

void messages_timeout(struct node *n, struct request *r) {
    if (r->wait != WAIT_FOLLOW) {
        answer_send(r);
        return;
    }
    const struct following *f = r->state;
    if (f->after == INT64_MAX) /* the store has not said yet where the inbox ends: no cursor to give */
        control_error(r, &(struct why){E_TIMEOUT, "no answer in time"});
    else
        answer_next(n, r, (struct bytes){NULL, 0}, f->after);
}

/* ---- the store's answers */

/* One operation does a bounded part of it, so that messages get their turn; the count is of all. */
static void answer_count(struct request *r, const char *schema, struct store_op *done) {
    struct store_op *rest = done->more ? control_op(r, done->kind) : NULL;
    uint64_t count = (uint64_t)r->cursor + done->count;
    r->cursor = (int64_t)count;
    if (rest != NULL) {
        rest->when = done->when;
        rest->seq = done->seq;
        memcpy(rest->limits, done->limits, sizeof rest->limits);
        rng_fill(&r->node->rng, rest->random, sizeof rest->random);
        control_give(r, rest);
        return;
    }
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, schema);
    json_put_uint(&o, "count", count);
    control_finish(r, &line, &o);
}

void messages_stored(struct node *n, struct request *r, struct store_op *op) {
    switch ((int)op->kind) {
    case STORE_INBOX_LIST: control_page(r, "inbox", op); break;
    case STORE_FIGURES:
        if (r->flags == FIGURES_REPORT)
            report_stored(n, r, op);
        else
            control_items(r, "figures", buf_view(&op->out), -1);
        break;
    case STORE_LOG_COUNTS: control_items(r, "log.stats", buf_view(&op->out), -1); break;
    case STORE_OUTBOX_LIST: control_page(r, "outbox", op); break;
    case STORE_INBOX_READ: answer_read(n, r, op); break;
    case STORE_INBOX_AFTER: next_stored(n, r, op); break;
    case STORE_INBOX_DELETE: answer_count(r, "inbox.delete", op); break;
    case STORE_OUTBOX_RETRY: answer_count(r, "outbox.retry", op); break;
    case STORE_FILE_LIST:
    case STORE_FILE_ACCEPT:
    case STORE_FILE_OPEN: files_answer(n, r, op); break;
    default: control_done(r); break;
    }
}
