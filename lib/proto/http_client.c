#include "proto/http_client.h"

#include <stdio.h>

enum { CHUNK_DIGITS_MAX = 15 };

bool http_ask_write(struct buf *out, const struct http_ask *a) {
    size_t before = out->n;
    bool good = buf_add_format(out, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: SilkTalk\r\n", a->method,
                               a->target, a->host) &&
                (a->type == NULL ||
                 buf_add_format(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", a->type, a->body.n)) &&
                (a->fields == NULL || buf_add_text(out, a->fields)) &&
                buf_add_text(out, "Connection: close\r\n\r\n") && buf_add(out, a->body);
    if (!good) out->n = before;
    return good;
}

void http_reply_init(struct http_reply *r, enum http_reply_kind kind, size_t body_max) {
    *r = (struct http_reply){.kind = kind, .line = {.max = HTTP_REPLY_LINE_MAX}, .body = {.max = body_max}};
}

void http_reply_free(struct http_reply *r) {
    buf_free(&r->line);
    buf_free(&r->body);
}

static enum err enter(struct http_reply *r, enum http_reply_state next, enum err e, const char *text) {
    r->state = next;
    return e == OK || e == E_CLOSED ? e : fail(&r->why, e, "%s", text);
}
#define BAD(r, text) enter((r), REPLY_DEAD, E_PROTO, (text))
#define DONE(r) enter((r), REPLY_DONE, E_CLOSED, NULL)

/* ---- lines */

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool same_word(struct bytes a, const char *b) {
    if (a.n != strlen(b)) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != (uint8_t)b[i]) return false;
    return true;
}

static bool is_token(uint8_t c) {
    bool letter = (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
    return letter || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* Collects one line without its CR LF in r->line. *whole false: more is needed. */
static enum err take_line(struct http_reply *r, struct bytes *in, bool *whole) {
    size_t n = bytes_index(*in, '\n');
    struct bytes part = bytes_take(in, n < in->n ? n + 1 : n);
    *whole = part.n > 0 && part.p[part.n - 1] == '\n';
    r->lines += part.n;
    if (r->lines > HTTP_REPLY_HEAD_MAX) return enter(r, REPLY_DEAD, E_LIMIT, "the reply's head has no end");
    if (!buf_add(&r->line, part))
        return enter(r, REPLY_DEAD, r->line.n + part.n > r->line.max ? E_LIMIT : E_MEMORY,
                     "a line of the reply is too long");
    if (!*whole) return OK;
    if (r->line.n < 2 || r->line.p[r->line.n - 2] != '\r')
        return BAD(r, "a line of the reply has no proper end");
    r->line.n -= 2;
    for (size_t i = 0; i < r->line.n; i++)
        if ((r->line.p[i] < ' ' && r->line.p[i] != '\t') || r->line.p[i] == 127)
            return BAD(r, "a line of the reply has a control character");
    return OK;
}

static enum err read_status(struct http_reply *r) {
    struct bytes line = buf_view(&r->line), number = bytes_sub(line, 9, 3);
    uint64_t status = 0;
    bool good = line.n >= 12 && (bytes_starts(line, "HTTP/1.1 ") || bytes_starts(line, "HTTP/1.0 ")) &&
                bytes_to_u64(number, 599, &status) && status >= 100 && (line.n == 12 || line.p[12] == ' ');
    if (!good) return BAD(r, "what answers there does not speak HTTP");
    r->status = (int)status;
    r->fields = 0;
    r->has_length = r->chunked = false;
    return enter(r, REPLY_FIELDS, OK, NULL);
}

static enum err read_field(struct http_reply *r) {
    struct bytes line = buf_view(&r->line), name = bytes_sub(line, 0, bytes_index(line, ':'));
    if (++r->fields > HTTP_REPLY_FIELDS_MAX)
        return enter(r, REPLY_DEAD, E_LIMIT, "the reply has too many fields");
    if (name.n == 0 || name.n == line.n) return BAD(r, "a field of the reply has no name");
    for (size_t i = 0; i < name.n; i++)
        if (!is_token(name.p[i])) return BAD(r, "a field of the reply has a bad name");
    struct bytes value = bytes_trim(bytes_skip(line, name.n + 1));
    if (same_word(name, "content-length")) {
        if (r->has_length || !bytes_to_u64(value, INT64_MAX, &r->left))
            return BAD(r, "the reply's length is no length");
        r->has_length = true;
    } else if (same_word(name, "transfer-encoding")) {
        if (r->chunked || !same_word(value, "chunked"))
            return BAD(r, "the reply has an unknown transfer coding");
        r->chunked = true;
    }
    return OK;
}

/* The empty line behind a head has come. */
static enum err begin_body(struct http_reply *r) {
    if (r->has_length && r->chunked) return BAD(r, "the reply has two lengths");
    if (r->status == 101) return BAD(r, "the server changes the protocol, which nobody asked for");
    if (r->status < 200) {
        if (++r->interim > HTTP_REPLY_INTERIM_MAX)
            return enter(r, REPLY_DEAD, E_LIMIT, "the real reply does not come");
        return enter(r, REPLY_STATUS, OK, NULL);
    }
    if (r->kind != HTTP_REPLY_WHOLE || r->status == 204 || r->status == 304) return DONE(r);
    if (r->chunked) return enter(r, REPLY_CHUNK_SIZE, OK, NULL);
    if (!r->has_length) return enter(r, REPLY_TO_THE_END, OK, NULL);
    if (r->left > r->body.max) return enter(r, REPLY_DEAD, E_LIMIT, "the reply is too long");
    return r->left == 0 ? DONE(r) : enter(r, REPLY_LENGTH, OK, NULL);
}

static enum err read_chunk_size(struct http_reply *r) {
    struct bytes line = buf_view(&r->line);
    size_t digits = 0;
    r->left = 0;
    for (; digits < line.n && digits <= CHUNK_DIGITS_MAX; digits++) {
        uint8_t c = lower(line.p[digits]);
        bool letter = c >= 'a' && c <= 'f';
        if (!letter && (c < '0' || c > '9')) break;
        r->left = r->left * 16 + (uint64_t)(letter ? c - 'a' + 10 : c - '0');
    }
    struct bytes rest = bytes_skip(line, digits);
    bool extension = rest.n > 0 && (rest.p[0] == ';' || rest.p[0] == ' ' || rest.p[0] == '\t');
    if (digits == 0 || digits > CHUNK_DIGITS_MAX || (rest.n > 0 && !extension))
        return BAD(r, "a chunk of the reply has no length");
    if (r->left > r->body.max - r->body.n) return enter(r, REPLY_DEAD, E_LIMIT, "the reply is too long");
    return enter(r, r->left == 0 ? REPLY_TRAILER : REPLY_CHUNK, OK, NULL);
}

static enum err read_line(struct http_reply *r) {
    bool empty = r->line.n == 0;
    switch ((int)r->state) {
    case REPLY_STATUS: return read_status(r);
    case REPLY_FIELDS: return empty ? begin_body(r) : read_field(r);
    case REPLY_CHUNK_SIZE: return read_chunk_size(r);
    case REPLY_CHUNK_END:
        return empty ? enter(r, REPLY_CHUNK_SIZE, OK, NULL) : BAD(r, "a chunk of the reply does not end");
    default: /* REPLY_TRAILER: fields that nobody reads */
        if (empty) return DONE(r);
        return ++r->fields > HTTP_REPLY_FIELDS_MAX
                   ? enter(r, REPLY_DEAD, E_LIMIT, "the reply has too many fields")
                   : OK;
    }
}

/* ---- the body */

static enum err take_body(struct http_reply *r, struct bytes *in) {
    size_t n = r->state == REPLY_TO_THE_END ? in->n : (size_t)MIN((uint64_t)in->n, r->left);
    if (n > r->body.max - r->body.n) return enter(r, REPLY_DEAD, E_LIMIT, "the reply is too long");
    if (!buf_add(&r->body, bytes_take(in, n))) return enter(r, REPLY_DEAD, E_MEMORY, "out of memory");
    if (r->state == REPLY_TO_THE_END) return OK;
    r->left -= n;
    if (r->left > 0) return OK;
    return r->state == REPLY_CHUNK ? enter(r, REPLY_CHUNK_END, OK, NULL) : DONE(r);
}

enum err http_reply_input(struct http_reply *r, struct bytes *in) {
    enum err e = r->state == REPLY_DONE ? E_CLOSED : r->why.code;
    while (e == OK && in->n > 0) {
        bool whole = false;
        if (r->state == REPLY_LENGTH || r->state == REPLY_CHUNK || r->state == REPLY_TO_THE_END) {
            e = take_body(r, in);
            continue;
        }
        e = take_line(r, in, &whole);
        if (e != OK || !whole) continue;
        e = read_line(r);
        buf_clear(&r->line);
    }
    return e;
}

enum err http_reply_end(struct http_reply *r) {
    if (r->state == REPLY_DONE) return OK;
    if (r->state == REPLY_DEAD) return r->why.code;
    if (r->state == REPLY_TO_THE_END) {
        r->state = REPLY_DONE;
        return OK;
    }
    bool nothing = r->state == REPLY_STATUS && r->line.n == 0;
    return BAD(r, nothing ? "the server closed without a reply"
                          : "the server closed in the middle of its reply");
}
