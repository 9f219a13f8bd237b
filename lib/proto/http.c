#include "proto/http.h"

#include <stdio.h>

#define METHOD_NAME(name) #name,
static const char *const methods[] = {HTTP_METHODS(METHOD_NAME)};

static bool is_token(uint8_t c) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool same_word(struct bytes a, const char *b) {
    if (a.n != strlen(b)) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower((uint8_t)b[i])) return false;
    return true;
}

/* ---- the head */

/* Bytes up to and with the empty line; 0: it has not come. */
static size_t head_size(struct bytes in) {
    for (size_t i = 3; i < in.n; i++)
        if (in.p[i] == '\n' && in.p[i - 1] == '\r' && in.p[i - 2] == '\n' && in.p[i - 3] == '\r')
            return i + 1;
    return 0;
}

/* Cuts a line off; false: it does not end with CR LF, or has what no line may have. */
static bool next_line(struct bytes *in, struct bytes *line) {
    size_t n = bytes_index(*in, '\n');
    if (n == in->n || n == 0 || in->p[n - 1] != '\r') return false;
    *line = bytes_sub(*in, 0, n - 1);
    *in = bytes_skip(*in, n + 1);
    for (size_t i = 0; i < line->n; i++)
        if ((line->p[i] < ' ' && line->p[i] != '\t') || line->p[i] == 127) return false;
    return true;
}

static int read_target(struct bytes target, struct http_request *r) {
    /* absolute form, as a proxy gets it */
    if (bytes_starts(target, "http://") || bytes_starts(target, "https://")) {
        target = bytes_skip(target, bytes_index(target, ':') + 3);
        r->authority = bytes_sub(target, 0, bytes_index(target, '/'));
        target = bytes_skip(target, bytes_index(target, '/'));
    }
    if (target.n > HTTP_PATH_MAX) return 414;
    if (target.n == 0 || target.p[0] != '/') return 400;
    for (size_t i = 0; i < target.n; i++)
        if (target.p[i] <= ' ' || target.p[i] >= 127 || target.p[i] == '#') return 400;
    size_t mark = bytes_index(target, '?');
    r->path = bytes_sub(target, 0, mark);
    r->query = bytes_skip(target, mark + 1);
    return 200;
}

static int read_request_line(struct bytes line, struct http_request *r) {
    struct bytes method = bytes_sub(line, 0, bytes_index(line, ' '));
    line = bytes_skip(line, method.n + 1);
    struct bytes target = bytes_sub(line, 0, bytes_index(line, ' '));
    struct bytes version = bytes_skip(line, target.n + 1);
    if (method.n == 0 || target.n == 0 || version.n != 8 || !bytes_starts(version, "HTTP/")) return 400;
    for (size_t i = 0; i < method.n; i++)
        if (!is_token(method.p[i])) return 400;
    if (!bytes_is(version, "HTTP/1.1") && !bytes_is(version, "HTTP/1.0")) return 505;
    r->keep_alive = bytes_is(version, "HTTP/1.1");
    r->method = HTTP_METHOD_COUNT;
    for (size_t i = 0; i < LEN(methods); i++)
        if (bytes_is(method, methods[i])) r->method = (enum http_method)i;
    int status = read_target(target, r);
    return status == 200 && r->method == HTTP_METHOD_COUNT ? 405 : status;
}

struct seen {
    bool length, host, connection_close;
};

static int read_length(struct bytes value, struct http_request *r, struct seen *s) {
    if (s->length || !bytes_to_u64(value, INT64_MAX, &r->body_size)) return 400;
    s->length = true;
    return 200;
}

static void read_connection(struct bytes value, struct http_request *r, struct seen *s) {
    struct bytes word;
    while (bytes_split(&value, ',', &word)) {
        word = bytes_trim(word);
        if (same_word(word, "close")) s->connection_close = true;
        if (same_word(word, "keep-alive")) r->keep_alive = true;
    }
}

static int read_field(struct bytes line, struct http_request *r, struct seen *s) {
    struct bytes name = bytes_sub(line, 0, bytes_index(line, ':'));
    if (name.n == 0 || name.n == line.n) return 400;
    for (size_t i = 0; i < name.n; i++) /* a blank there is a folded line, or a trick */
        if (!is_token(name.p[i])) return 400;
    struct bytes value = bytes_trim(bytes_skip(line, name.n + 1));
    if (same_word(name, "content-length")) return read_length(value, r, s);
    if (same_word(name, "transfer-encoding")) return 501;
    if (same_word(name, "connection")) read_connection(value, r, s);
    if (same_word(name, "expect")) r->expects_continue = same_word(value, "100-continue");
    if (same_word(name, "authorization")) r->authorization = value;
    if (same_word(name, "accept")) r->accept = value;
    if (same_word(name, "sec-fetch-site")) r->fetch_site = value;
    if (same_word(name, "origin")) {
        r->origin = value;
        r->has_origin = true;
    }
    if (same_word(name, "host")) {
        if (r->has_host) return 400;
        r->host = value;
        r->has_host = true;
    }
    return 200;
}

int http_request_read(struct bytes in, struct http_request *r, size_t *used) {
    struct seen s = {0};
    struct bytes line;
    *r = (struct http_request){.method = HTTP_GET};
    *used = 0;
    size_t lead = 0; /* empty lines before a request are let pass: RFC 9112 2.2 */
    while (lead + 2 <= in.n && lead < 8 && in.p[lead] == '\r' && in.p[lead + 1] == '\n') lead += 2;
    in = bytes_skip(in, lead);
    size_t n = head_size(bytes_sub(in, 0, HTTP_HEAD_MAX));
    if (n == 0) return in.n >= HTTP_HEAD_MAX ? 431 : 0;
    struct bytes head = bytes_sub(in, 0, n);
    if (!next_line(&head, &line)) return 400;
    int status = read_request_line(line, r);
    for (size_t fields = 0; status == 200; fields++) {
        if (!next_line(&head, &line)) return 400;
        if (line.n == 0) break;
        if (fields == HTTP_FIELDS_MAX) return 431;
        status = read_field(line, r, &s);
    }
    if (s.connection_close) r->keep_alive = false;
    if (status == 200) *used = lead + n;
    return status;
}

/* ---- the answer */

const char *http_status_text(int status) {
    static const struct {
        int status;
        const char *text;
    } rows[] = {{200, "OK"},
                {202, "Accepted"},
                {400, "Bad Request"},
                {401, "Unauthorized"},
                {403, "Forbidden"},
                {404, "Not Found"},
                {405, "Method Not Allowed"},
                {408, "Request Timeout"},
                {409, "Conflict"},
                {413, "Content Too Large"},
                {414, "URI Too Long"},
                {421, "Misdirected Request"},
                {429, "Too Many Requests"},
                {431, "Request Header Fields Too Large"},
                {500, "Internal Server Error"},
                {501, "Not Implemented"},
                {503, "Service Unavailable"},
                {504, "Gateway Timeout"},
                {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < LEN(rows); i++)
        if (rows[i].status == status) return rows[i].text;
    return "Unknown";
}

bool http_answer_write(struct buf *out, const struct http_answer *a, bool head_only, bool keep_alive) {
    size_t before = out->n;
    bool good = buf_add_format(out, "HTTP/1.1 %d %s\r\n", a->status, http_status_text(a->status)) &&
                (a->type == NULL || buf_add_format(out, "Content-Type: %s\r\n", a->type)) &&
                buf_add_format(out, "Content-Length: %zu\r\n", a->body.n) &&
                buf_add_text(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                                  "Referrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\n") &&
                (a->fields == NULL || buf_add_text(out, a->fields)) &&
                buf_add_text(out, keep_alive ? "\r\n" : "Connection: close\r\n\r\n") &&
                (head_only || buf_add(out, a->body));
    if (!good) out->n = before;
    return good;
}

/* ---- targets */

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_unescape(struct buf *out, struct bytes text, bool plus) {
    size_t before = out->n;
    bool good = true;
    for (size_t i = 0; i < text.n && good; i++) {
        uint8_t c = text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
            good = high >= 0 && low >= 0 && high + low > 0;
            c = (uint8_t)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        good = good && c != 0 && buf_add_byte(out, c);
    }
    if (!good) out->n = before;
    return good;
}

bool http_query(struct bytes query, const char *name, char *out, size_t size) {
    struct bytes pair;
    while (bytes_split(&query, '&', &pair)) {
        size_t at = bytes_index(pair, '=');
        if (!bytes_is(bytes_sub(pair, 0, at), name)) continue;
        struct buf value = {.max = HTTP_PATH_MAX};
        bool good = http_unescape(&value, bytes_skip(pair, at + 1), true) &&
                    bytes_cstr(buf_view(&value), out, size);
        buf_free(&value);
        return good;
    }
    return false;
}
