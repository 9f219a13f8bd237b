#include "node/http.h"

#include "base/json.h"

#include <stdio.h>

struct http *http_of(struct node *n) {
    if (n->http == NULL) n->http = NEW(struct http);
    return n->http;
}

static void client_free(struct http_client *c) {
    buf_free(&c->rx);
    buf_free(&c->tx);
    *c = (struct http_client){.id = 0};
}

void http_free(struct node *n) {
    if (n->http == NULL) return;
    for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) client_free(&n->http->clients[i]);
    tokens_free(&n->http->tokens);
    mem_free(n->http);
    n->http = NULL;
}

static struct http_client *find(const struct node *n, uint32_t id) {
    for (size_t i = 0; n->http != NULL && id != 0 && i < HTTP_CLIENTS_MAX; i++)
        if (n->http->clients[i].id == id) return &n->http->clients[i];
    return NULL;
}

static void end(struct http_client *c) {
    c->done = c->dirty = true;
}

/* Nothing more is waited for, nor given: the owner drops what TLS still holds, too. */
static void cut(struct http_client *c) {
    c->tx.n = c->tx_at = 0;
    c->deadline = MONO_NEVER;
    c->cut = true;
    end(c);
}

enum err node_http_tokens(struct node *n, struct bytes file, struct why *w) {
    struct tokens t;
    struct http *h = http_of(n);
    if (h == NULL) return fail(w, E_MEMORY, "out of memory");
    enum err e = tokens_read(file, &t, w);
    if (e != OK) return e;
    tokens_free(&h->tokens);
    h->tokens = t;
    return OK;
}

/* ---- coming and going */

/* Full: the one that has done nothing for the longest yields, one that waits for our answer last. */
static struct http_client *place(struct http *h) {
    struct http_client *worst = NULL;
    for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
        struct http_client *c = &h->clients[i];
        if (c->id == 0) return c;
        if (c->cut) continue;
        if (worst == NULL || (worst->answering && !c->answering) ||
            (worst->answering == c->answering && c->used.us < worst->used.us))
            worst = c;
    }
    if (worst != NULL) cut(worst);
    return NULL;
}

bool node_http_accepting(const struct node *n) {
    for (size_t i = 0; n->http != NULL && i < HTTP_CLIENTS_MAX; i++)
        if (n->http->clients[i].id == 0) return true;
    return n->http == NULL;
}

uint32_t node_http_accepted(struct node *n, const struct endpoint *remote, bool tls) {
    struct http *h = http_of(n);
    struct http_client *c = h == NULL || n->stopping ? NULL : place(h);
    if (c == NULL) return 0;
    h->next_id = h->next_id + 1 < HTTP_CLIENT ? h->next_id + 1 : 1;
    *c = (struct http_client){.id = h->next_id, .tls = tls, .used = n->now.mono};
    c->deadline = mono_add_ms(n->now.mono, HTTP_REQUEST_MS);
    if (remote != NULL) c->ip = remote->ip;
    c->local = remote == NULL || ip_is_loopback(&remote->ip);
    c->rx.max = HTTP_HEAD_MAX;
    c->tx.max = HTTP_TX_MAX;
    return c->id;
}

void node_http_make_room(struct node *n) {
    if (n->http != NULL) place(n->http);
}

void node_http_gone(struct node *n, uint32_t id) {
    struct http_client *c = find(n, id);
    if (c == NULL) return;
    if (c->answering) control_client_gone(n, id | HTTP_CLIENT);
    client_free(c);
}

void node_http_ended(struct node *n, uint32_t id) {
    struct http_client *c = find(n, id);
    if (c == NULL) return;
    c->keep_alive = false;
    if (!c->answering && c->tx.n == c->tx_at) end(c);
}

/* ---- requests */

static size_t body_max(const struct node *n, enum http_method method) {
    return method == HTTP_POST ? limit_max(&n->limits, LIMIT_BODY) + HTTP_BODY_EXTRA : HTTP_BODY_EXTRA;
}

static void bad_request(struct node *n, struct http_client *c, int status) {
    c->keep_alive = c->head_only = false;
    c->counted = "other";
    c->rx.n = 0;
    http_refuse(n, c, status, http_status_text(status),
                status == 405 ? "Allow: GET, HEAD, POST, DELETE\r\n" : NULL);
}

/* The head is there and its body is not: nobody's memory is taken but of those who may send one. */
static bool may_send_body(struct node *n, struct http_client *c, const struct http_request *r) {
    if (!c->admitted) {
        c->keep_alive = false; /* what would come is no request */
        c->head_only = r->method == HTTP_HEAD;
        c->admitted = http_admit(n, c, r);
    }
    return c->admitted;
}

/* As many requests as have come whole; one after the other, each answered before the next is looked at. */
static void take_requests(struct node *n, struct http_client *c) {
    while (!c->done && !c->answering && c->rx.n > 0) {
        struct http_request r;
        size_t used;
        int status = http_request_read(buf_view(&c->rx), &r, &used);
        if (status == 0) return;
        if (status == 200 && r.body_size > body_max(n, r.method)) status = 413;
        if (status != 200) {
            bad_request(n, c, status);
            return;
        }
        size_t whole = used + (size_t)r.body_size;
        if (c->rx.n < whole) {
            if (!may_send_body(n, c, &r)) return;
            c->rx.max = MAX(whole, (size_t)HTTP_HEAD_MAX);
            if (r.expects_continue && !c->continued && buf_add_text(&c->tx, "HTTP/1.1 100 Continue\r\n\r\n"))
                c->dirty = c->continued = true;
            return;
        }
        c->head_only = r.method == HTTP_HEAD;
        c->keep_alive = r.keep_alive;
        c->deadline = mono_add_ms(n->now.mono, HTTP_REQUEST_MS);
        http_route(n, c, &r, bytes_sub(buf_view(&c->rx), used, (size_t)r.body_size));
        buf_drop(&c->rx, MIN(whole, c->rx.n));
        c->rx.max = HTTP_HEAD_MAX;
        c->continued = c->admitted = false;
        if (c->rx.n == 0) buf_shrink(&c->rx, HTTP_HEAD_MAX);
    }
}

size_t node_http_room(const struct node *n, uint32_t id) {
    const struct http_client *c = find(n, id);
    return c == NULL || c->done || c->answering || c->tx.n > c->tx_at ? 0 : buf_room(&c->rx);
}

void node_http_received(struct node *n, uint32_t id, struct bytes data) {
    struct http_client *c = find(n, id);
    if (c == NULL || c->done) return;
    if (c->rx.n == 0) c->deadline = mono_add_ms(n->now.mono, HTTP_REQUEST_MS);
    c->used = n->now.mono;
    if (!buf_add(&c->rx, data)) {
        bad_request(n, c, 431);
        return;
    }
    take_requests(n, c);
}

/* ---- answers */

void http_answer(struct node *n, struct http_client *c, const struct http_answer *a) {
    if (c->tx_at > 0) {
        buf_drop(&c->tx, c->tx_at);
        c->tx_at = 0;
    }
    if (c->counted != NULL) node_count_http(n, c->counted, (unsigned)a->status);
    c->answering = false;
    c->dirty = true;
    c->used = n->now.mono;
    c->deadline = mono_add_ms(n->now.mono, HTTP_IDLE_MS);
    if (!http_answer_write(&c->tx, a, c->head_only, c->keep_alive)) c->keep_alive = false;
    if (!c->keep_alive) c->done = true;
}

static void put_error(struct buf *out, const char *text) {
    struct json_out o = json_begin(out);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.error/1");
    json_put_str(&o, "message", text);
    json_shut(&o, '}');
    buf_add_byte(out, '\n');
}

void http_refuse(struct node *n, struct http_client *c, int status, const char *text, const char *fields) {
    struct buf body = {.max = 1024};
    put_error(&body, text);
    http_answer(n, c,
                &(struct http_answer){
                    .status = status, .type = "application/json", .body = buf_view(&body), .fields = fields});
    buf_free(&body);
}

static int status_of(struct bytes error_name) {
    static const struct {
        enum err code;
        int status;
    } rows[] = {{E_USAGE, 400},  {E_INPUT, 400},  {E_NOT_FOUND, 404}, {E_DENIED, 403},
                {E_LIMIT, 503},  {E_BUSY, 503},   {E_TIMEOUT, 504},   {E_REFUSED, 409},
                {E_FAILED, 409}, {E_VERIFY, 409}, {E_PARTIAL, 409}};
    for (size_t i = 0; i < LEN(rows); i++)
        if (bytes_is(error_name, err_name(rows[i].code))) return rows[i].status;
    return 500;
}

void http_control_answer(struct node *n, uint32_t client, struct bytes line) {
    struct http_client *c = find(n, client & ~(uint32_t)HTTP_CLIENT);
    static const char good[] = "{\"id\":null,\"result\":", bad[] = "{\"id\":null,\"error\":";
    bool fine = bytes_starts(line, good);
    if (c == NULL || !c->answering || (!fine && !bytes_starts(line, bad))) return; /* progress, or too late */
    struct bytes inner = bytes_skip(line, fine ? sizeof good - 1 : sizeof bad - 1);
    inner.n -= inner.n > 0; /* the last brace */
    int status = c->success;
    if (!fine) {
        struct json_doc *doc = json_parse(inner, NULL);
        status = status_of(json_get_bytes(doc == NULL ? NULL : json_root(doc), "name"));
        json_free(doc);
    }
    struct buf body = {.max = inner.n + 1};
    bool whole = buf_add(&body, inner) && buf_add_byte(&body, '\n');
    if (whole)
        http_answer(
            n, c,
            &(struct http_answer){.status = status, .type = "application/json", .body = buf_view(&body)});
    else
        end(c);
    buf_free(&body);
    n->http_ready = true; /* what follows in its input waits for the tick: we may be deep in a method */
}

/* ---- the owner's end of the bytes */

struct bytes node_http_tx(const struct node *n, uint32_t id) {
    const struct http_client *c = find(n, id);
    return c == NULL ? (struct bytes){NULL, 0} : bytes_skip(buf_view(&c->tx), c->tx_at);
}

void node_http_sent(struct node *n, uint32_t id, size_t bytes) {
    struct http_client *c = find(n, id);
    if (c == NULL) return;
    c->tx_at += MIN(bytes, c->tx.n - c->tx_at);
    c->used = n->now.mono;
    if (c->tx_at < c->tx.n) return;
    c->tx_at = 0;
    buf_free(&c->tx);
    c->tx.max = HTTP_TX_MAX;
    n->http_ready |= c->rx.n > 0;
}

bool node_http_cut(const struct node *n, uint32_t id) {
    const struct http_client *c = find(n, id);
    return c == NULL || c->cut;
}

bool node_http_done(const struct node *n, uint32_t id) {
    const struct http_client *c = find(n, id);
    return c == NULL || (c->done && c->tx_at == c->tx.n);
}

uint32_t node_http_next(struct node *n) {
    for (size_t i = 0; n->http != NULL && i < HTTP_CLIENTS_MAX; i++)
        if (n->http->clients[i].dirty) {
            n->http->clients[i].dirty = false;
            return n->http->clients[i].id;
        }
    return 0;
}

void http_tick(struct node *n) {
    if (n->http == NULL) return;
    bool ready = n->http_ready;
    n->http_ready = false;
    for (size_t i = 0; i < HTTP_CLIENTS_MAX; i++) {
        struct http_client *c = &n->http->clients[i];
        if (c->id == 0) continue;
        if (ready && !c->answering && c->rx.n > 0 && c->tx.n == 0) take_requests(n, c);
        if (!mono_due(c->deadline, n->now.mono)) continue;
        bool half = c->rx.n > 0 && !c->answering && c->tx.n == 0;
        c->keep_alive = false;
        if (c->answering) control_client_gone(n, c->id | HTTP_CLIENT);
        if (c->answering)
            http_refuse(n, c, 504, "the node did not answer in time", NULL);
        else if (half && !c->done)
            bad_request(n, c, 408);
        else
            cut(c); /* idle, or it does not take its answer */
    }
}

struct mono http_deadline(const struct node *n) {
    struct mono at = MONO_NEVER;
    for (size_t i = 0; n->http != NULL && i < HTTP_CLIENTS_MAX; i++)
        if (n->http->clients[i].id != 0) at = mono_sooner(at, n->http->clients[i].deadline);
    return n->http != NULL && n->http_ready ? n->now.mono : at;
}
