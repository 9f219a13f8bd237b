/* Requests to servers in memory: in clear, over TLS, through a proxy; and what servers and proxies may do to
 * them. */
#include "proto/fetch.h"

#include "base/mem.h"
#include "tests/crypto/tls_pair.h"
#include "tests/test.h"

static const struct wall today = {1800000000000};

static struct fetch *fetch_of(const char *address, const char *proxy, const struct tls_trust *trust,
                              bool status_alone) {
    struct url url, through;
    struct why w = {OK, ""};
    struct rng rng = rng_seeded(test_seed());
    struct fetch *f;
    CHECK(url_read(bytes_of(address), &url, &w) == OK, "%s", w.text);
    if (proxy != NULL) CHECK(url_read(bytes_of(proxy), &through, &w) == OK, "%s", w.text);
    struct fetch_setup setup = {.url = &url,
                                .proxy = proxy == NULL ? NULL : &through,
                                .trust = trust,
                                .rng = &rng,
                                .now = today,
                                .method = "POST",
                                .fields = "X-Secret: 42\r\n",
                                .type = "text/plain",
                                .body = BYTES("a body"),
                                .status_alone = status_alone,
                                .body_max = 100};
    CHECK(fetch_new(&f, &setup, &w) == OK, "%s", w.text);
    return f;
}

static void take_output(struct fetch *f, struct buf *to) {
    for (struct bytes out; (out = fetch_output(f)).n > 0;) {
        size_t n = 1 + out.n / 2;
        CHECK(buf_add(to, bytes_sub(out, 0, n)));
        fetch_sent(f, n);
    }
}

static void give(struct fetch *f, struct bytes in) {
    for (size_t n; in.n > 0 && (n = MIN(in.n, fetch_wants(f))) > 0;) fetch_input(f, bytes_take(&in, n));
}

TEST(in_clear) {
    size_t blocks = mem_blocks();
    struct fetch *f = fetch_of("http://h.example:81/x", NULL, NULL, false);
    struct buf sent = {.max = 4096};
    struct why w;
    CHECK(strcmp(fetch_peer(f)->host, "h.example") == 0 && fetch_peer(f)->port == 81);
    take_output(f, &sent);
    CHECK(bytes_starts(buf_view(&sent), "POST /x HTTP/1.1\r\nHost: h.example:81\r\n") &&
          bytes_has(buf_view(&sent), BYTES("X-Secret: 42\r\n")) &&
          bytes_ends(buf_view(&sent), "\r\n\r\na body"));
    CHECK(fetch_state(f, &w) == E_BUSY);
    give(f, BYTES("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"));
    CHECK(fetch_state(f, &w) == OK && fetch_status(f) == 201 && bytes_is(fetch_body(f), "ok") &&
          fetch_wants(f) == 0);
    fetch_free(f);
    static const struct {
        const char *in, *text;
        enum err want;
    } rows[] = {{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "in the middle", E_PROTO},
                {"HTTP/1.1 200 OK\r\n\r\nok", "", OK},
                {"", "without a reply", E_PROTO},
                {"220 mail.example ESMTP\r\n", "does not speak HTTP", E_PROTO},
                {"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "too long", E_LIMIT}};
    for (size_t i = 0; i < LEN(rows); i++) {
        f = fetch_of("http://h.example/x", NULL, NULL, false);
        w = (struct why){OK, ""};
        give(f, bytes_of(rows[i].in));
        fetch_ended(f);
        CHECK(fetch_state(f, &w) == rows[i].want && strstr(w.text, rows[i].text) != NULL, "%zu: %s", i,
              w.text);
        fetch_free(f);
    }
    buf_free(&sent);
    CHECK(mem_blocks() == blocks);
}

/* Carries what one has for the other until both are silent. The server answers the first whole request. */
static void talk(struct fetch *f, struct tls *server, struct buf *got, const char *answer) {
    for (int i = 0; i < 50; i++) {
        struct buf wire = {.max = 1 << 20}, back = {.max = 1 << 20};
        take_output(f, &wire);
        struct bytes in = buf_view(&wire);
        while (in.n > 0 && tls_wants(server) > 0) tls_feed(server, &in);
        tls_read(server, got);
        if (answer != NULL && bytes_ends(buf_view(got), "a body")) {
            tls_write(server, bytes_of(answer));
            answer = NULL;
        }
        tls_take(server, &back);
        give(f, buf_view(&back));
        bool silent = wire.n == 0 && back.n == 0;
        buf_free(&wire);
        buf_free(&back);
        if (silent) return;
    }
}

TEST(over_tls_and_through_a_proxy) {
    size_t blocks = mem_blocks();
    for (int proxied = 0; proxied < 2; proxied++) {
        struct tls_identity *id;
        struct tls_trust *trust;
        struct why w = {OK, ""};
        struct rng rng = rng_seeded(test_seed());
        struct buf got = {.max = 4096}, sent = {.max = 4096};
        CHECK(tls_identity_read(bytes_of(tls_test_certificate), bytes_of(tls_test_key), &id, &w) == OK);
        CHECK(tls_trust_read(bytes_of(tls_test_certificate), &trust, &w) == OK);
        struct tls *server = tls_server(id, &rng);
        struct fetch *f = fetch_of("https://localhost:444/x", proxied ? "http://proxy.example:3128" : NULL,
                                   trust, true);
        if (proxied) {
            CHECK(strcmp(fetch_peer(f)->host, "proxy.example") == 0 && fetch_peer(f)->port == 3128);
            take_output(f, &sent);
            CHECK(bytes_is(buf_view(&sent), "CONNECT localhost:444 HTTP/1.1\r\nHost: localhost:444\r\n\r\n"));
            give(f, BYTES("HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"));
        }
        talk(f, server, &got, "HTTP/1.1 202 Accepted\r\nContent-Length: 999\r\n\r\n");
        CHECK(bytes_starts(buf_view(&got), "POST /x HTTP/1.1\r\nHost: localhost:444\r\n"));
        CHECK(fetch_state(f, &w) == OK && fetch_status(f) == 202, "%s", w.text);
        buf_free(&got);
        buf_free(&sent);
        fetch_free(f);
        tls_free(server);
        tls_identity_free(id);
        tls_trust_free(trust);
    }
    CHECK(mem_blocks() == blocks);
}

TEST(proxies_that_do_not_do_their_work) {
    static const struct {
        const char *in, *text;
        enum err want;
    } rows[] = {{"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "the proxy refuses (status 403)",
                 E_REFUSED},
                {"HTTP/1.1 200 OK\r\n\r\n\x15\x03", "nobody asked for", E_PROTO},
                {"hello\r\n", "the proxy: what answers there", E_PROTO},
                {"HTTP/1.1 200", "the proxy closed", E_PROTO}};
    struct tls_trust *trust;
    CHECK(tls_trust_read(bytes_of(tls_test_certificate), &trust, NULL) == OK);
    for (size_t i = 0; i < LEN(rows); i++) {
        struct fetch *f = fetch_of("https://localhost/x", "http://p:1/", trust, true);
        struct why w = {OK, ""};
        give(f, bytes_of(rows[i].in));
        fetch_ended(f);
        CHECK(fetch_state(f, &w) == rows[i].want && strstr(w.text, rows[i].text) != NULL, "%s", w.text);
        fetch_free(f);
    }
    tls_trust_free(trust);
    struct fetch *f = fetch_of("http://h.example:81/x", "http://p:1/", NULL, true);
    struct buf sent = {.max = 4096};
    take_output(f, &sent);
    CHECK(bytes_starts(buf_view(&sent), "POST http://h.example:81/x HTTP/1.1\r\nHost: h.example:81\r\n"));
    buf_free(&sent);
    fetch_free(f);
}

TEST(what_is_no_tls_and_an_end_too_soon) {
    struct tls_trust *trust;
    struct why w = {OK, ""};
    CHECK(tls_trust_read(bytes_of(tls_test_certificate), &trust, NULL) == OK);
    struct fetch *f = fetch_of("https://localhost/x", NULL, trust, true);
    give(f, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n"));
    CHECK(fetch_state(f, &w) == E_REFUSED && strstr(w.text, "speaks no TLS") != NULL, "%s", w.text);
    fetch_free(f);
    f = fetch_of("https://localhost/x", NULL, trust, true);
    fetch_ended(f);
    CHECK(fetch_state(f, &w) == E_PROTO && strstr(w.text, "before TLS") != NULL, "%s", w.text);
    fetch_free(f);
    /* a fatal alert of a server that speaks TLS 1.3 alone: protocol_version */
    f = fetch_of("https://localhost/x", NULL, trust, true);
    give(f, BYTES("\x15\x03\x03\x00\x02\x02\x46"));
    CHECK(fetch_state(f, &w) == E_REFUSED && strstr(w.text, "the server only speaks TLS 1.3") != NULL, "%s",
          w.text);
    fetch_free(f);
    tls_trust_free(trust);
}
