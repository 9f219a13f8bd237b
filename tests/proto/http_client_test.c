/* Replies of servers: good ones in any pieces, and those of servers that lie. */
#include "proto/http_client.h"

#include "base/mem.h"
#include "crypto/rng.h"
#include "tests/test.h"

static const struct {
    const char *name, *in, *body;
    enum http_reply_kind kind;
    int status;
    size_t left; /* bytes behind the reply */
    enum err want;
    bool ends; /* the server closes behind it */
} rows[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloX", "hello", HTTP_REPLY_WHOLE, 200, 1, OK,
     false},
    {"no body", "HTTP/1.1 204 \r\nContent-Length: 5\r\n\r\n", "", HTTP_REPLY_WHOLE, 204, 0, OK, false},
    {"empty body", "HTTP/1.1 503 no\r\ncontent-length:0\r\n\r\n", "", HTTP_REPLY_WHOLE, 503, 0, OK, false},
    {"no reason", "HTTP/1.0 200\r\n\r\nall of it", "all of it", HTTP_REPLY_WHOLE, 200, 0, OK, true},
    {"chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\nA \r\n, it is me\r\n0\r\nX: "
     "y\r\n\r\nZ",
     "hello, it is me", HTTP_REPLY_WHOLE, 200, 1, OK, false},
    {"100 first",
     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 A\r\nContent-Length: "
     "1\r\n\r\na",
     "a", HTTP_REPLY_WHOLE, 202, 0, OK, false},
    {"status alone", "HTTP/1.1 302 F\r\nLocation: http://evil/\r\nContent-Length: 99999999999\r\n\r\nbody",
     "", HTTP_REPLY_STATUS, 302, 4, OK, false},
    {"tunnel", "HTTP/1.1 200 Connection established\r\n\r\n\x16\x03", "", HTTP_REPLY_TUNNEL, 200, 2, OK,
     false},
    {"cut head", "HTTP/1.1 200 OK\r\nA: b\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, true},
    {"cut body", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO,
     true},
    {"cut chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "",
     HTTP_REPLY_WHOLE, 0, 0, E_PROTO, true},
    {"nothing", "", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, true},
    {"too long", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_LIMIT, false},
    {"chunk too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n", "", HTTP_REPLY_WHOLE, 0,
     0, E_LIMIT, false},
    {"chunks together too long", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n40\r\n", "",
     HTTP_REPLY_WHOLE, 0, 0, E_LIMIT, false},
    {"garbage", "SSH-2.0-OpenSSH_9.2\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"HTTP/2", "HTTP/2 200 OK\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"status 99", "HTTP/1.1 099 x\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"status 600", "HTTP/1.1 600 x\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"status of four", "HTTP/1.1 2000 x\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"101", "HTTP/1.1 101 x\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", "",
     HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "",
     HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "", HTTP_REPLY_STATUS, 0, 0, E_PROTO,
     false},
    {"other coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "", HTTP_REPLY_WHOLE, 0,
     0, E_PROTO, false},
    {"chunk without length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "",
     HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"chunk length of 16 digits", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0000000000000001\r\n",
     "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"chunk does not end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "",
     HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"folded", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
    {"blank before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0,
     E_PROTO, false},
    {"NUL", "HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", "", HTTP_REPLY_WHOLE, 0, 0, E_PROTO, false},
};

static enum err feed(struct http_reply *r, struct bytes text, bool ends, struct rng *rng, size_t *left) {
    struct bytes rest = text, in = {rest.p, 0};
    enum err e = OK;
    while (rest.n > 0 && e == OK) {
        in.n += bytes_take(&rest, 1 + (size_t)rng_below(rng, rest.n)).n;
        e = http_reply_input(r, &in);
    }
    *left = in.n + rest.n;
    if (e == E_CLOSED) return OK;
    return e == OK && ends ? http_reply_end(r) : e == OK ? E_BUSY : e;
}

TEST(replies_are_read_in_any_pieces) {
    struct rng rng = rng_seeded(test_seed());
    for (size_t i = 0; i < LEN(rows); i++)
        for (int times = 0; times < 20; times++) {
            struct http_reply r;
            size_t left;
            http_reply_init(&r, rows[i].kind, 64);
            enum err e = feed(&r, bytes_of(rows[i].in), rows[i].ends, &rng, &left);
            CHECK(e == rows[i].want, "%s: %d %s", rows[i].name, e, r.why.text);
            if (e == OK)
                CHECK(r.status == rows[i].status && bytes_is(buf_view(&r.body), rows[i].body) &&
                          left == rows[i].left,
                      "%s: %d %zu", rows[i].name, r.status, left);
            else
                CHECK(r.why.text[0] != 0 && r.body.n <= 64 &&
                          http_reply_input(&r, &(struct bytes){(const uint8_t *)"x", 1}) == rows[i].want,
                      "%s: it stays dead", rows[i].name);
            http_reply_free(&r);
        }
}

TEST(heads_have_an_end) {
    struct http_reply r;
    static char line[HTTP_REPLY_LINE_MAX + 2];
    memset(line, 'a', sizeof line);
    line[1] = ':';
    line[HTTP_REPLY_LINE_MAX - 2] = '\r';
    line[HTTP_REPLY_LINE_MAX - 1] = '\n';
    struct bytes start = BYTES("HTTP/1.1 200 OK\r\n"), in = bytes_at(line, HTTP_REPLY_LINE_MAX);
    http_reply_init(&r, HTTP_REPLY_WHOLE, 64);
    CHECK(http_reply_input(&r, &start) == OK && http_reply_input(&r, &in) == OK); /* the longest line */
    http_reply_free(&r);
    start = BYTES("HTTP/1.1 200 OK\r\n");
    line[HTTP_REPLY_LINE_MAX - 2] = 'a';
    line[HTTP_REPLY_LINE_MAX - 1] = '\r';
    line[HTTP_REPLY_LINE_MAX] = '\n';
    in = bytes_at(line, HTTP_REPLY_LINE_MAX + 1);
    http_reply_init(&r, HTTP_REPLY_WHOLE, 64);
    CHECK(http_reply_input(&r, &start) == OK && http_reply_input(&r, &in) == E_LIMIT); /* one more */
    http_reply_free(&r);
    http_reply_init(&r, HTTP_REPLY_WHOLE, 64); /* fields without end: by number, then by bytes */
    start = BYTES("HTTP/1.1 200 OK\r\n");
    enum err e = http_reply_input(&r, &start);
    size_t n = 0;
    for (; e == OK && n < 1000; n++) {
        struct bytes one = BYTES("A: b\r\n");
        e = http_reply_input(&r, &one);
    }
    CHECK(e == E_LIMIT && n == HTTP_REPLY_FIELDS_MAX + 1, "%zu", n);
    http_reply_free(&r);
    http_reply_init(&r, HTTP_REPLY_WHOLE, 64);
    for (e = OK, n = 0; e == OK && n < 1000; n++) {
        struct bytes one = BYTES("HTTP/1.1 100 Continue\r\n\r\n");
        e = http_reply_input(&r, &one);
    }
    CHECK(e == E_LIMIT && n == HTTP_REPLY_INTERIM_MAX + 1, "%zu", n);
    http_reply_free(&r);
    http_reply_init(&r, HTTP_REPLY_WHOLE, 1 << 20);
    start = BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (e = http_reply_input(&r, &start), n = 0; e == OK && n < 100000; n++) {
        struct bytes one = BYTES("1;a=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\nx\r\n");
        e = http_reply_input(&r, &one);
    }
    CHECK(e == E_LIMIT && r.lines > HTTP_REPLY_HEAD_MAX, "%zu", n);
    http_reply_free(&r);
}

TEST(a_request_is_written_whole_or_not_at_all) {
    struct buf out = {.max = 400};
    struct http_ask ask = {.method = "POST",
                           .target = "/x",
                           .host = "h:1",
                           .fields = "A: b\r\n",
                           .type = "application/json",
                           .body = BYTES("{}")};
    CHECK(http_ask_write(&out, &ask));
    CHECK(bytes_is(buf_view(&out),
                   "POST /x HTTP/1.1\r\nHost: h:1\r\nUser-Agent: SilkTalk\r\nContent-Type: "
                   "application/json\r\nContent-Length: 2\r\nA: b\r\nConnection: close\r\n\r\n{}"));
    size_t n = out.n;
    out.max = 2 * n - 1;
    CHECK(!http_ask_write(&out, &ask) && out.n == n);
    buf_free(&out);
}

TEST(memory_that_is_refused_ends_it) {
    size_t blocks = mem_blocks();
    for (long after = 0; after < 4; after++) {
        struct http_reply r;
        struct bytes in = BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        http_reply_init(&r, HTTP_REPLY_WHOLE, 64);
        mem_fail_after(after);
        enum err e = http_reply_input(&r, &in);
        mem_fail_after(-1);
        CHECK(e == E_MEMORY || e == E_CLOSED);
        http_reply_free(&r);
    }
    CHECK(mem_blocks() == blocks);
}
