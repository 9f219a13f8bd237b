/* Control methods of large files: send with a descriptor, file.list, accept, cancel, open. */
#include "node/control.h"
#include "node/file_queue.h"
#include "node/messenger.h"

#include <stdio.h>

enum { LIST_DEFAULT = 1000, LIST_MAX = 5000 };

/* ---- send: the descriptor's content is copied, slice by slice, before the request is answered */

enum err send_file(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct message m;
    const struct json *file = json_get(params, "file");
    struct file_offer o = {.name = json_get_bytes(file, "name"), .has_hash = true};
    int64_t size = json_get_int(file, "bytes", -1);
    const char *fault = file_name_fault(o.name);
    if (n->request_fd < 0) return fail(w, E_USAGE, "a file comes as an open descriptor with the request");
    if (fault != NULL) return fail(w, E_INPUT, "%s", fault);
    if (size < 0) return fail(w, E_USAGE, "params.file.bytes is missing");
    enum err e = sending_begin(n, r, params, &m, w);
    if (e != OK) return e;
    struct sending *s = r->state;
    if (s->n != 1) return fail(w, E_USAGE, "a file goes to one peer for each request");
    rng_fill(&n->rng, o.id, MESSAGE_ID);
    memcpy(s->items[0].id, o.id, MESSAGE_ID);
    memcpy(o.reply_to, m.reply_to, MESSAGE_ID);
    o.has_reply_to = m.has_reply_to;
    o.size = (uint64_t)size;
    o.sent_ms = m.sent_ms;
    o.expires_ms = m.expires_ms;
    o.content_type = m.content_type.n == 0 ? BYTES("application/octet-stream") : m.content_type;
    o.subject = m.subject;
    struct buf framed = {.max = FILE_FRAME_MAX + 8};
    struct bytes in, frame;
    bool whole = false;
    struct store_op *op = control_op(r, STORE_FILE_ADD);
    if (file_offer_write(&framed, &o)) {
        in = buf_view(&framed);
        if (file_frame_next(&in, &frame, &whole) != OK) whole = false;
        if (whole && file_offer_read(frame, &o, w) != OK) e = fail(w, E_INPUT, "%s", w->text);
    }
    if (e == OK && (op == NULL || !whole || !buf_add(&op->in, frame))) e = fail(w, E_MEMORY, "out of memory");
    buf_free(&framed);
    if (e != OK || op == NULL) {
        store_op_free(op);
        return e;
    }
    op->peer = s->items[0].peer;
    files_limits(n, op);
    op->fd = n->request_fd;
    n->request_fd = -1;
    op->user = n;
    node_give(n, op); /* r->wait stays WAIT_RECEIPT */
    return OK;
}

void control_file_progress(struct node *n, const uint8_t id[MESSAGE_ID], const char *step, uint64_t done,
                           uint64_t size) {
    for (struct request *r = n->requests; r != NULL; r = r->next) {
        const struct sending *s = r->wait == WAIT_RECEIPT ? r->state : NULL;
        if (r->dead || s == NULL || !s->progress || memcmp(s->items[0].id, id, MESSAGE_ID) != 0) continue;
        struct buf line = {NULL, 0, 0, 0};
        struct json_out o = control_event(r, &line);
        json_put_str(&o, "step", step);
        json_put_uint(&o, "done", done);
        json_put_uint(&o, "bytes", size);
        control_event_end(r, &line, &o);
    }
}

/* The next step with the same operation: there is always memory for it. */
static void go_on(struct node *n, struct store_op *op, enum store_kind kind) {
    op->kind = kind;
    op->user = kind == STORE_FILE_COPY ? n : NULL;
    buf_free(&op->in);
    node_give(n, op);
}

static bool copy_on(struct node *n, const struct request *r, const struct store_op *op) {
    struct sending *s = r->state;
    if (op->err != OK) return false;
    if (op->kind == STORE_FILE_ADD) s->bytes = op->count;
    if (op->kind == STORE_FILE_COPY) control_file_progress(n, s->items[0].id, "copying", op->count, s->bytes);
    return op->kind == STORE_FILE_ADD || op->more;
}

void control_file_copied(struct node *n, struct request *r, struct store_op *op) {
    bool copy_exists = op->kind == STORE_FILE_COPY || op->err == OK;
    bool whole = op->kind == STORE_FILE_COPY && op->err == OK && !op->more;
    struct buf none = {NULL, 0, 0, 0};
    if (op->fd >= 0)
        node_answer_with(n, 0, &none, op->fd); /* the store did not get it: the owner closes it */
    op->fd = -1;
    if (r != NULL && copy_on(n, r, op)) {
        go_on(n, op, STORE_FILE_COPY);
        return;
    }
    /* Also when who asked is gone: it was whole already. */
    if (whole) files_out_add(n, &op->peer, op->seq, op->bytes, buf_view(&op->out));
    if (r != NULL) {
        const struct sending *s = r->state;
        if (whole) sending_wait(r); /* not before: a wait that ends while it is copied would lose the file */
        memcpy(op->id, s->items[0].id, MESSAGE_ID);
        control_message_stored(r, op);
    }
    if (copy_exists && !whole)
        go_on(n, op, STORE_FILE_CANCEL);
    else
        store_op_free(op);
}

/* ---- what people ask */

static enum err ask(struct node *n, struct request *r, const struct json *params, enum store_kind kind,
                    struct why *w) {
    struct bytes id = json_get_bytes(params, "id");
    if (kind != STORE_FILE_LIST && id.n == 0) return fail(w, E_USAGE, "which file? params.id is missing");
    struct store_op *op = control_op(r, kind);
    if (op == NULL || !buf_add(&op->in, id)) {
        store_op_free(op);
        return fail(w, E_MEMORY, "out of memory");
    }
    files_limits(n, op);
    int64_t most = json_get_int(params, "n", LIST_DEFAULT);
    if (kind == STORE_FILE_LIST) {
        op->count = (uint64_t)MIN(MAX(most, 1), (int64_t)LIST_MAX);
        op->seq = MAX(json_get_int(params, "after", 0), (int64_t)0);
    }
    control_give(r, op);
    return OK;
}

enum err method_file(struct node *n, struct request *r, const struct json *params, struct why *w) {
    return ask(n, r, params, STORE_FILE_LIST, w);
}
enum err method_file_accept(struct node *n, struct request *r, const struct json *params, struct why *w) {
    return ask(n, r, params, STORE_FILE_ACCEPT, w);
}
enum err method_file_cancel(struct node *n, struct request *r, const struct json *params, struct why *w) {
    return ask(n, r, params, STORE_FILE_CANCEL, w);
}
enum err method_file_open(struct node *n, struct request *r, const struct json *params, struct why *w) {
    return ask(n, r, params, STORE_FILE_OPEN, w);
}

void files_answer(struct node *n, struct request *r, struct store_op *op) {
    if (op->kind == STORE_FILE_ACCEPT) {
        file_stream_accepted(n, &op->peer, op->seq, op->count);
        control_done(r);
        return;
    }
    if (op->kind == STORE_FILE_OPEN)
        control_items(r, "file.open", buf_view(&op->out), op->fd);
    else
        control_page(r, "file", op);
}
