/* Request heads that are good, that are cut, and that somebody in between might read in another way. */
#include "proto/http.h"

#include "base/mem.h"
#include "tests/test.h"

static int read_text(const char *text, struct http_request *r, size_t *used) {
    return http_request_read(bytes_of(text), r, used);
}
static int status_of(const char *text) {
    struct http_request r;
    size_t used;
    return read_text(text, &r, &used);
}

TEST(a_request_is_read_and_what_is_cut_waits) {
    static const char text[] =
        "POST /api/v1/messages?limit=3&x=a%20b HTTP/1.1\r\nHost: localhost:8080\r\n"
        "authorization: Bearer abc\r\nContent-Length: 5\r\nAccept:  a/b \r\n"
        "Origin: http://x\r\nSec-Fetch-Site: same-origin\r\nExpect: 100-continue\r\n\r\nhello";
    struct http_request r;
    size_t used = 0;
    CHECK(read_text(text, &r, &used) == 200 && used == sizeof text - 1 - 5);
    CHECK(r.method == HTTP_POST && bytes_is(r.path, "/api/v1/messages") &&
          bytes_is(r.query, "limit=3&x=a%20b"));
    CHECK(bytes_is(r.host, "localhost:8080") && bytes_is(r.authorization, "Bearer abc") && r.body_size == 5);
    CHECK(bytes_is(r.accept, "a/b") && r.has_origin && bytes_is(r.fetch_site, "same-origin"));
    CHECK(r.keep_alive && r.expects_continue);
    for (size_t n = 0; n < used; n++)
        CHECK(http_request_read(bytes_at(text, n), &r, &(size_t){0}) == 0, "cut at %zu", n);
    CHECK(status_of("\r\nGET / HTTP/1.0\r\n\r\n") == 200);
    CHECK(read_text("GET / HTTP/1.0\r\n\r\n", &r, &used) == 200 && !r.keep_alive && !r.has_host);
    CHECK(read_text("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &r, &used) == 200 && r.keep_alive);
    CHECK(read_text("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n", &r, &used) == 200 && !r.keep_alive);
    CHECK(read_text("GET http://evil:1/health HTTP/1.1\r\nHost: a\r\n\r\n", &r, &used) == 200);
    CHECK(bytes_is(r.authority, "evil:1"));
    CHECK(bytes_is(r.path, "/health") && bytes_is(r.host, "a"));
}

TEST(what_can_be_read_in_two_ways_is_refused) {
    static const struct {
        int status;
        const char *text;
    } rows[] = {{400, "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nContent-Length: \r\n\r\n"},
                {501, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"},
                {501, "POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: identity\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nA\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\n: b\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nA: \x01\r\n\r\n"},
                {400, "GET / HTTP/1.1\r\nA: b\nB: c\r\n\r\n"},
                {400, "GET /\x80 HTTP/1.1\r\n\r\n"},
                {400, "GET /a#b HTTP/1.1\r\n\r\n"},
                {400, "GET a HTTP/1.1\r\n\r\n"},
                {400, "GET  / HTTP/1.1\r\n\r\n"},
                {400, "GET / HTTP/1.1 \r\n\r\n"},
                {400, "GET /\r\n\r\n"},
                {400, "(GET) / HTTP/1.1\r\n\r\n"},
                {400, " GET / HTTP/1.1\r\n\r\n"},
                {405, "OPTIONS / HTTP/1.1\r\n\r\n"},
                {405, "get / HTTP/1.1\r\n\r\n"},
                {505, "GET / HTTP/2.0\r\n\r\n"},
                {505, "GET / HTTP/1.2\r\n\r\n"}};
    for (size_t i = 0; i < LEN(rows); i++)
        CHECK(status_of(rows[i].text) == rows[i].status, "%s: %d", rows[i].text, status_of(rows[i].text));
}

TEST(limits_of_a_head) {
    struct buf b = {.max = 1 << 20};
    struct http_request r;
    size_t used;
    buf_add_text(&b, "GET / HTTP/1.1\r\nA: ");
    while (b.n < HTTP_HEAD_MAX - 4) buf_add_byte(&b, 'a');
    CHECK(http_request_read(buf_view(&b), &r, &used) == 0);
    buf_add_text(&b, "\r\n\r\n");
    CHECK(b.n == HTTP_HEAD_MAX && http_request_read(buf_view(&b), &r, &used) == 200 && used == HTTP_HEAD_MAX);
    b.p[b.n - 4] = 'a';
    buf_add_text(&b, "\r\n\r\n");
    CHECK(http_request_read(buf_view(&b), &r, &used) == 431);
    for (size_t n = HTTP_FIELDS_MAX; n <= HTTP_FIELDS_MAX + 1; n++) {
        buf_clear(&b);
        buf_add_text(&b, "GET / HTTP/1.1\r\n");
        for (size_t i = 0; i < n; i++) buf_add_text(&b, "A: b\r\n");
        buf_add_text(&b, "\r\n");
        CHECK(http_request_read(buf_view(&b), &r, &used) == (n > HTTP_FIELDS_MAX ? 431 : 200));
    }
    for (size_t n = HTTP_PATH_MAX; n <= HTTP_PATH_MAX + 1; n++) {
        buf_clear(&b);
        buf_add_text(&b, "GET ");
        for (size_t i = 0; i < n; i++) buf_add_byte(&b, '/');
        buf_add_text(&b, " HTTP/1.1\r\n\r\n");
        CHECK(http_request_read(buf_view(&b), &r, &used) == (n > HTTP_PATH_MAX ? 414 : 200));
    }
    buf_free(&b);
}

TEST(answers_and_escapes) {
    struct buf out = {.max = 4096};
    struct http_answer a = {
        .status = 200, .type = "text/plain", .body = BYTES("hello"), .fields = "A: b\r\n"};
    CHECK(http_answer_write(&out, &a, false, true));
    CHECK(
        bytes_starts(buf_view(&out), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"));
    CHECK(bytes_ends(buf_view(&out), "A: b\r\n\r\nhello"));
    buf_clear(&out);
    CHECK(http_answer_write(&out, &a, true, false) &&
          bytes_ends(buf_view(&out), "Connection: close\r\n\r\n"));
    CHECK(bytes_has(buf_view(&out), BYTES("Content-Length: 5\r\n")));
    struct buf small = {.max = 40};
    CHECK(!http_answer_write(&small, &a, false, true) && small.n == 0);
    buf_free(&small);
    char value[8];
    CHECK(http_query(BYTES("a=1&b=x%2fy+z&c"), "b", value, sizeof value) && strcmp(value, "x/y z") == 0);
    CHECK(http_query(BYTES("a=1&c"), "c", value, sizeof value) && value[0] == 0);
    CHECK(!http_query(BYTES("a=1"), "b", value, sizeof value));
    static const char *const bad[] = {"a=%", "a=%4", "a=%zz", "a=%00", "a=12345678"};
    for (size_t i = 0; i < LEN(bad); i++)
        CHECK(!http_query(bytes_of(bad[i]), "a", value, sizeof value), "%s", bad[i]);
    CHECK(http_query(BYTES("a=%41"), "a", value, sizeof value) && strcmp(value, "A") == 0);
    buf_free(&out);
}
