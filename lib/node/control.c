#include "node/control.h"

#include "base/json_page.h"

#include <stdio.h>

enum {
    ANSWER_USUAL = 300,    /* bytes: an answer of that size grows no more */
    REQUEST_ID_MAX = 1024, /* bytes of JSON */
    AGAIN_MS = 1000
};

#define CONTROL_ROW(name, run, right) {name, run, RIGHT_##right},
const struct control_row control_rows[] = {CONTROL_METHODS(CONTROL_ROW){NULL, NULL, RIGHT_OWNER}};

const struct control_row *control_find_method(struct bytes name) {
    for (const struct control_row *row = control_rows; row->name != NULL; row++)
        if (bytes_is(name, row->name)) return row;
    return NULL;
}

/* ---- requests */

struct request *control_find(const struct node *n, uint64_t tag) {
    uint8_t key[8];
    put_u64(key, tag);
    return tag == 0 ? NULL : map_find(&n->request_by_tag, bytes_at(key, sizeof key));
}

void request_deadline(struct request *r, struct mono at) {
    r->deadline = at;
    r->node->requests_due = mono_sooner(r->node->requests_due, at);
}

static void request_free(struct request *r) {
    if (r->free_state != NULL) r->free_state(r->state);
    buf_free(&r->id);
    mem_free(r);
}

static void end(struct request *r) {
    struct node *n = r->node;
    if (r->dead) return;
    r->dead = true;
    n->n_followers -= r->wait == WAIT_EVENTS;
    map_drop(&n->request_by_tag, bytes_at(r->tag_key, sizeof r->tag_key));
    r->next_dead = n->dead_requests;
    n->dead_requests = r;
}

/* As JSON, in no more memory than it takes: a thousand requests may wait. */
static void keep_id(struct request *r, const struct json *id) {
    uint8_t space[REQUEST_ID_MAX];
    struct buf text = {space, 0, sizeof space, sizeof space};
    if (id == NULL || !json_print(id, &text)) {
        buf_clear(&text);
        buf_add_text(&text, "null");
    }
    r->id = (struct buf){.p = mem_resize(NULL, text.n), .max = text.n};
    if (r->id.p == NULL) return;
    memcpy(r->id.p, text.p, text.n);
    r->id.n = r->id.cap = text.n;
}

static struct request *request_new(struct node *n, const struct node_client *client, const struct json *id) {
    struct request *r = NEW(struct request);
    if (r == NULL) return NULL;
    r->node = n;
    r->client = client->id;
    r->uid = client->uid;
    r->pid = client->pid;
    r->may = client->may;
    r->tag = ++n->next_serial;
    put_u64(r->tag_key, r->tag);
    if (map_add(&n->request_by_tag, bytes_at(r->tag_key, sizeof r->tag_key), r) != OK) {
        mem_free(r);
        return NULL;
    }
    keep_id(r, id);
    if (n->requests == NULL)
        n->requests = r;
    else
        n->last_request->next = r;
    r->prev = n->last_request;
    n->last_request = r;
    n->n_requests++;
    return r;
}

/* ---- answers */

static bool open_answer(struct request *r, struct buf *line, const char *member) {
    line->max = CONTROL_ANSWER_SIZE;
    struct bytes id = r->id.n > 0 ? buf_view(&r->id)
                                  : BYTES("null"); /* none when there was no memory for it */
    return buf_reserve(line, id.n + ANSWER_USUAL) && buf_add_text(line, "{\"id\":") && buf_add(line, id) &&
           buf_add_text(line, ",\"") && buf_add_text(line, member) && buf_add_text(line, "\":");
}

struct json_out control_begin(struct request *r, struct buf *line, const char *schema) {
    bool good = open_answer(r, line, "result");
    struct json_out o = json_begin(line);
    o.bad = !good; /* half a beginning is none */
    json_open(&o, NULL, '{');
    if (schema != NULL) {
        uint8_t space[64];
        struct buf text = {space, 0, sizeof space, sizeof space};
        o.bad |= !buf_add_text(&text, "silktalk.") || !buf_add_text(&text, schema) ||
                 !buf_add_text(&text, "/1");
        json_put(&o, "schema", buf_view(&text));
    }
    return o;
}

/* No memory for the answer: nobody is left without one. Its time is up again in a moment, and what its method
 * says then is said. */
static void answer_later(struct request *r) {
    if (!r->dead) request_deadline(r, mono_add_ms(r->node->now.mono, AGAIN_MS));
}

void control_finish(struct request *r, struct buf *line, struct json_out *o) {
    json_shut(o, '}');
    if (!json_end(o) || !buf_add_text(line, "}")) {
        bool long_one = line->n > CONTROL_ANSWER_SIZE / 2;
        buf_free(line);
        if (r->wait == WAIT_RECEIPT && !long_one) /* an error would have its user send once more */
            answer_later(r);
        else
            control_error(r, &(struct why){E_LIMIT, "the answer is too long; ask for less"});
        return;
    }
    node_answer(r->node, r->client, line);
    end(r);
}

static void put_items(struct json_out *o, struct bytes items) {
    struct buf array = {.max = CONTROL_ANSWER_SIZE};
    if (buf_add_text(&array, "[") && buf_add(&array, items) && buf_add_text(&array, "]"))
        json_put_raw(o, "items", buf_view(&array));
    buf_free(&array);
}

void control_page(struct request *r, const char *schema, const struct store_op *op) {
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, schema);
    put_items(&o, buf_view(&op->out));
    if (op->more)
        json_put_int(&o, "next", op->seq);
    else
        json_put_null(&o, "next");
    control_finish(r, &line, &o);
}

void control_items(struct request *r, const char *schema, struct bytes items, int fd) {
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, schema);
    put_items(&o, items);
    if (fd < 0) {
        control_finish(r, &line, &o);
        return;
    }
    json_shut(&o, '}');
    bool whole = json_end(&o) && buf_add_text(&line, "}");
    if (!whole) buf_free(&line);
    /* Without memory for the line the descriptor goes to nobody: the owner closes it. */
    node_answer_with(r->node, whole ? r->client : 0, &line, fd);
    if (whole)
        end(r);
    else
        control_error(r, &(struct why){E_MEMORY, "out of memory for the answer"});
}

void control_done(struct request *r) {
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, r->method);
    control_finish(r, &line, &o);
}

void control_stream_end(struct request *r) {
    struct buf line = {NULL, 0, 0, 0};
    if (open_answer(r, &line, "end") && buf_add_text(&line, "true}")) node_answer(r->node, r->client, &line);
    buf_free(&line);
    end(r);
}

void control_error(struct request *r, const struct why *w) {
    struct buf line = {NULL, 0, 0, 0};
    enum err code = w->code == OK ? E_FAILED : w->code;
    bool good = open_answer(r, &line, "error");
    struct json_out o = json_begin(&line);
    o.bad = !good;
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.error/1");
    json_put_int(&o, "code", err_exit(code));
    json_put_str(&o, "name", err_name(code));
    json_put_str(&o, "message", w->text);
    json_put_null(&o, "hint");
    json_shut(&o, '}');
    if (!json_end(&o) || !buf_add_text(&line, "}")) {
        buf_free(&line);
        answer_later(r);
        return;
    }
    node_answer(r->node, r->client, &line);
    end(r);
}

struct json_out control_event(struct request *r, struct buf *line) {
    bool good = open_answer(r, line, "event");
    struct json_out o = json_begin(line);
    o.bad = !good;
    json_open(&o, NULL, '{');
    return o;
}

void control_event_end(struct request *r, struct buf *line, struct json_out *o) {
    json_shut(o, '}');
    if (json_end(o) && buf_add_text(line, "}")) node_answer(r->node, r->client, line);
    buf_free(line);
}

void control_event_raw(struct request *r, struct bytes object) {
    struct buf line = {NULL, 0, 0, 0};
    if (open_answer(r, &line, "event") && buf_add(&line, object) && buf_add_text(&line, "}"))
        node_answer(r->node, r->client, &line);
    buf_free(&line);
}

/* ---- the store */

struct store_op *control_op(struct request *r, enum store_kind kind) {
    struct store_op *op = store_op_new(kind);
    if (op != NULL) op->tag = r->tag;
    return op;
}

void control_give(struct request *r, struct store_op *op) {
    op->user = r->node; /* any mark but NULL: a request asked for it */
    r->wait = WAIT_STORE;
    node_give(r->node, op);
}

void control_stored(struct node *n, struct store_op *op) {
    struct request *r = control_find(n, op->tag);
    if (op->kind == STORE_OUTBOX_CANCEL && op->err == OK) {
        if (op->count > 0) messenger_cancelled(n, &op->peer, op->seq);
        control_receipt(n, 0, op->id, RECEIPT_NONE, "cancelled"); /* who waits for it hears of it */
    }
    if (op->kind == STORE_OUTBOX_RETRY && op->err == OK) messenger_requeued(n, buf_view(&op->out));
    if (op->kind == STORE_FILE_CANCEL && op->err == OK) file_queue_cancelled(n, op);
    if (op->kind == STORE_FILE_ADD || op->kind == STORE_FILE_COPY) {
        control_file_copied(n, r, op); /* also without the request: the copy must go then */
        return;
    }
    if (r == NULL) {
        struct buf none = {NULL, 0, 0, 0};
        if (op->fd >= 0) node_answer_with(n, 0, &none, op->fd); /* to nobody: the owner closes it */
        store_op_free(op);
        return;
    }
    if (op->kind == STORE_META_GET && (op->err == OK || op->err == E_NOT_FOUND))
        health_check_stored(r, op);
    else if (op->err != OK)
        control_error(r, &op->why);
    else if (op->kind == STORE_TOTALS)
        status_stored(n, r, op);
    else
        messages_stored(n, r, op);
    store_op_free(op);
}

/* ---- coming and going */

/* Frees the answered ones, but for the one with the tag `keep` (0: none): its caller uses it still. */
static void control_sweep(struct node *n, uint64_t keep) {
    for (struct request **at = &n->dead_requests; *at != NULL;) {
        struct request *r = *at;
        if (r->tag == keep) {
            at = &r->next_dead;
            continue;
        }
        *at = r->next_dead;
        *(r->prev == NULL ? &n->requests : &r->prev->next) = r->next;
        *(r->next == NULL ? &n->last_request : &r->next->prev) = r->prev;
        n->n_requests--;
        request_free(r);
    }
}

/* Who may only read takes no places away from those who may more. */
static bool too_many_readers(const struct node *n) {
    size_t count = 0;
    for (const struct request *r = n->requests; r != NULL; r = r->next)
        count += r->may == RIGHT_READ && !r->dead;
    return count > CONTROL_READERS_MAX;
}

static enum err dispatch(struct node *n, struct request *r, const struct json *root, struct why *w) {
    struct bytes method = json_get_bytes(root, "method");
    if (!json_is_object(root)) return fail(w, E_USAGE, "a request is a JSON object");
    if (json_get_int(root, "v", 1) != 1)
        return fail(w, E_USAGE, "this node speaks version 1 of the control protocol");
    if (method.n == 0 || !bytes_cstr(method, r->method, sizeof r->method))
        return fail(w, E_USAGE, "the method's name is missing or too long");
    if (n->n_requests > CONTROL_REQUESTS_MAX) control_sweep(n, r->tag);
    if (n->n_requests > CONTROL_REQUESTS_MAX) return fail(w, E_BUSY, "too many requests are waiting");
    const struct control_row *row = control_find_method(method);
    if (row == NULL) return fail(w, E_NOT_FOUND, "there is no method %s", r->method);
    if (row->right < r->may) return fail(w, E_DENIED, "%s: this caller may only read", r->method);
    if (r->may == RIGHT_READ && too_many_readers(n))
        return fail(w, E_BUSY, "too many requests of those who may only read are waiting");
    return row->run(n, r, json_get(root, "params"), w);
}

bool control_request(struct node *n, struct node_client *client, struct bytes line) {
    struct why w = {OK, ""};
    struct json_doc *doc = json_parse(line, &w);
    const struct json *root = doc == NULL ? NULL : json_root(doc);
    struct request *r = request_new(n, client, json_get(root, "id"));
    if (r == NULL) {
        json_free(doc);
        return false;
    }
    n->request_fd = client->fd;
    if (doc == NULL)
        control_error(r, &(struct why){E_USAGE, "the line is not JSON"});
    else if (dispatch(n, r, root, &w) != OK && !r->dead)
        control_error(r, &w);
    LOG(n->log, EV_CONTROL_CLIENT, kv_int("uid", client->uid), kv_int("pid", client->pid),
        kv_str("method", r->method), kv_str("result", err_name(w.code)));
    client->fd = n->request_fd;
    n->request_fd = -1;
    json_free(doc);
    return true;
}

void control_client_gone(struct node *n, uint32_t client) {
    for (struct request *r = n->requests; r != NULL; r = r->next)
        if (r->client == client) end(r);
}

bool node_client_busy(const struct node *n, uint32_t client) {
    for (const struct request *r = n->requests; r != NULL; r = r->next)
        if (!r->dead && r->client == client) return true;
    return false;
}

enum err control_peer(struct node *n, const struct json *params, struct peer **out, struct why *w) {
    struct bytes text = json_get_bytes(params, "peer");
    if (text.n == 0) return fail(w, E_USAGE, "which peer? params.peer is missing");
    return peers_resolve(n, text, out, w);
}

static void timed_out(struct node *n, struct request *r) {
    r->deadline = MONO_NEVER;
    switch (r->wait) {
    case WAIT_RECEIPT:
    case WAIT_FOLLOW: messages_timeout(n, r); break;
    case WAIT_STORE:
    case WAIT_DIAL:
    case WAIT_PING:
    case WAIT_PERF:
    case WAIT_RELOAD:
    case WAIT_EVENTS:
    case WAIT_IDENTIFY: control_error(r, &(struct why){E_TIMEOUT, "no answer in time"}); break;
    }
}

void control_tick(struct node *n) {
    if (mono_due(n->requests_due, n->now.mono)) {
        n->requests_due = MONO_NEVER;
        for (struct request *r = n->requests; r != NULL; r = r->next) {
            if (!r->dead && mono_due(r->deadline, n->now.mono)) timed_out(n, r);
            if (!r->dead) n->requests_due = mono_sooner(n->requests_due, r->deadline);
        }
    }
    control_sweep(n, 0);
}

struct mono control_requests_deadline(const struct node *n) {
    return n->requests_due;
}

void control_free(struct node *n) {
    for (struct request *r = n->requests, *next; r != NULL; r = next) {
        next = r->next;
        request_free(r);
    }
    n->requests = n->last_request = n->dead_requests = NULL;
    n->n_requests = 0;
    map_free(&n->request_by_tag);
}

/* ---- the daemon's part */

enum err method_reload(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)params;
    (void)w;
    r->wait = WAIT_RELOAD;
    node_push(n, &(struct node_effect){.kind = EFFECT_RELOAD});
    return OK;
}

static void put_words(struct json_out *o, const char *key, struct bytes words) {
    struct bytes word;
    json_open(o, key, '[');
    while (bytes_split(&words, ' ', &word)) json_put(o, NULL, word);
    json_shut(o, ']');
}

void control_reloaded(struct node *n, const struct why *why, struct bytes changed, struct bytes pending) {
    for (struct request *r = n->requests; r != NULL; r = r->next) {
        if (r->dead || r->wait != WAIT_RELOAD) continue;
        if (why != NULL) {
            control_error(r, why);
            continue;
        }
        struct buf line = {NULL, 0, 0, 0};
        struct json_out o = control_begin(r, &line, "reload");
        put_words(&o, "changed", changed);
        put_words(&o, "restart_pending", pending);
        control_finish(r, &line, &o);
    }
}

enum err method_stop(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)w;
    n->stop_asked = true;
    n->stop_drain_ms = json_get_int(params, "drain_ms", 0);
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "stop");
    json_put_int(&o, "pid", n->pid);
    control_finish(r, &line, &o);
    return OK;
}

enum err method_version(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)params;
    (void)w;
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "version");
    json_put_str(&o, "version", n->version);
    control_finish(r, &line, &o);
    return OK;
}

enum err method_config_list(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)w;
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "config.list");
    struct json_page page = json_page_of(params);
    json_open(&o, "items", '[');
    config_list_json(n->config, NULL, json_get_bool(params, "changed", false), &page, &o);
    json_shut(&o, ']');
    json_page_end(&page, &o);
    control_finish(r, &line, &o);
    return OK;
}

enum err control_period(const struct json *params, int64_t *out, struct why *w) {
    const struct json *v = json_get(params, "for_ms");
    *out = json_get_int(params, "for_ms", 0);
    if (v == NULL || *out > 0) return OK;
    return fail(w, E_USAGE, "params.for_ms is a number of milliseconds above 0");
}

enum err method_log_level(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct bytes level = json_get_bytes(params, "level"), component = json_get_bytes(params, "component");
    int64_t for_ms;
    enum log_level wanted = LEVEL_INFO;
    enum log_component only = COMPONENT_COUNT;
    if (control_period(params, &for_ms, w) != OK) return w->code;
    if (level.n > 0 && !log_level_parse(level, &wanted))
        return fail(w, E_USAGE, "levels are debug, info, warn and error");
    if (component.n > 0 && !log_component_parse(component, &only))
        return fail(w, E_USAGE, "components are node, net, store, message, control, config and dns");
    for (size_t i = 0; level.n > 0 && i < COMPONENT_COUNT; i++) {
        if (only != COMPONENT_COUNT && i != (size_t)only) continue;
        n->log->level[i] = wanted;
        n->log->level_until[i] = for_ms > 0 ? mono_add_ms(n->now.mono, for_ms) : MONO_NEVER;
        if (for_ms <= 0) n->log->base_level[i] = wanted;
    }
    if (level.n > 0) { /* the priority: names of levels are not for lines of INFO */
        struct kv pairs[] = {kv_str("part", only == COMPONENT_COUNT ? "all" : log_component_name(only)),
                             kv_int("priority", log_level_priority(wanted)), kv_ms("for", for_ms)};
        log_event(n->log, EV_LOG_LEVEL, pairs, for_ms > 0 ? 3 : 2);
    }
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "log.level");
    json_open(&o, "items", '[');
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        struct mono until = n->log->level_until[i];
        json_open(&o, NULL, '{');
        json_put_str(&o, "component", log_component_name((enum log_component)i));
        json_put_str(&o, "level", log_level_name(n->log->level[i]));
        if (until.us == 0)
            json_put_null(&o, "until");
        else
            json_put_wall(&o, "until", (struct wall){n->now.wall.ms + mono_diff_ms(until, n->now.mono)});
        json_shut(&o, '}');
    }
    json_shut(&o, ']');
    control_finish(r, &line, &o);
    return OK;
}

enum err method_limits(struct node *n, struct request *r, const struct json *params, struct why *w) {
    (void)w;
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "diag.limits");
    struct json_page page = json_page_of(params);
    json_open(&o, "items", '[');
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (!json_page_has(&page)) continue;
        json_open(&o, NULL, '{');
        json_put_str(&o, "limit", limit_rows[i].name);
        json_put_uint(&o, "used", n->limits.of[i].used);
        json_put_uint(&o, "max", n->limits.of[i].max);
        json_put_str(&o, "unit", limit_rows[i].unit);
        json_put_uint(&o, "hits", n->limits.of[i].hits);
        json_put_str(&o, "outcome", limit_rows[i].outcome);
        char key[80];
        snprintf(key, sizeof key, "limits.%s", limit_rows[i].name);
        json_put_str(&o, "key", limit_rows[i].key == NULL ? key : limit_rows[i].key);
        json_shut(&o, '}');
    }
    json_shut(&o, ']');
    json_page_end(&page, &o);
    control_finish(r, &line, &o);
    return OK;
}
