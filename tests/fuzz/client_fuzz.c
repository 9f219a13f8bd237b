/* SilkTalk as a client of web servers: addresses, replies, bundles of authorities, certificates, and whole
 * requests in clear, through a proxy, and over TLS with a byte of the server's altered. */
#include "crypto/pem.h"
#include "crypto/tls_parts.h"
#include "proto/fetch.h"
#include "tests/crypto/tls_pair.h"
#include "tests/fuzz/fuzz.h"

enum { BODY_MAX = 256 };
static const struct wall today = {1800000000000};

static void fuzz_url(struct bytes in) {
    struct url u, again;
    struct why w = {OK, ""};
    char field[URL_FIELD_MAX + 1];
    enum err e = url_read(in, &u, &w);
    MUST(e == OK || (e == E_INPUT && w.text[0] != 0));
    if (e != OK) return;
    MUST(u.port != 0 && u.target[0] == '/' && u.host[0] != 0 && strpbrk(u.host, "@/[]# ") == NULL);
    url_authority(&u, true, field); /* and back */
    struct buf text = {.max = 4096};
    MUST(buf_add_format(&text, "%s://%s%s", u.tls ? "https" : "http", field, u.target));
    MUST(url_read(buf_view(&text), &again, &w) == OK && url_same_server(&u, &again) &&
         strcmp(u.target, again.target) == 0 && u.is_ip == again.is_ip);
    buf_free(&text);
}

/* In pieces and at once: the same comes out. */
static void fuzz_reply(struct bytes in) {
    enum http_reply_kind kind = (enum http_reply_kind)(fuzz_u8(&in) % 3);
    size_t step = 1 + fuzz_u8(&in) % 64;
    struct http_reply a, b;
    http_reply_init(&a, kind, BODY_MAX);
    http_reply_init(&b, kind, BODY_MAX);
    struct bytes whole = in, rest = in;
    enum err e = http_reply_input(&a, &whole), f = OK;
    struct bytes piece = {rest.p, 0};
    while (f == OK && rest.n > 0) {
        piece.n += bytes_take(&rest, step).n;
        f = http_reply_input(&b, &piece);
    }
    bool dead = a.state == REPLY_DEAD; /* how much of it was taken before does not matter then */
    MUST(e == f && a.state == b.state && a.status == b.status && (dead || whole.n == piece.n + rest.n));
    MUST((dead || bytes_eq(buf_view(&a.body), buf_view(&b.body))) && a.body.n <= BODY_MAX && a.lines <= in.n);
    if (e == E_CLOSED) MUST(a.state == REPLY_DONE && a.status >= 200 && a.status <= 599);
    if (e == OK) {
        enum err end = http_reply_end(&a);
        MUST((end == OK && a.state == REPLY_DONE) || end == E_PROTO);
    }
    if (a.state == REPLY_DEAD) {
        struct bytes more = BYTES("x");
        MUST(a.why.text[0] != 0 && http_reply_input(&a, &more) == a.why.code &&
             http_reply_end(&a) == a.why.code);
    }
    http_reply_free(&a);
    http_reply_free(&b);
}

static void fuzz_bundle(struct bytes in) {
    size_t most = 1 + fuzz_u8(&in) % 3;
    struct tls_trust *t, *whole;
    struct why w = {OK, ""};
    enum err e = tls_trust_begin(in, &t, &w);
    MUST(e == OK);
    while ((e = tls_trust_more(t, most, &w)) == E_BUSY) {}
    MUST(tls_trust_read(in, &whole, &w) == e && (e == OK || (e == E_INPUT && whole == NULL)));
    if (e == OK) MUST(tls_trust_count(t) == tls_trust_count(whole) && tls_trust_count(t) > 0);
    tls_trust_free(whole);
    tls_trust_free(t);
    struct pem pem;
    struct ip ip = ip_of(4, (const uint8_t[]){127, 0, 0, 1});
    pem_begin(&pem, in, "CERTIFICATE");
    for (int i = 0; i < 4 && pem_next(&pem); i++) {
        struct bytes der = fuzz_exact(buf_view(&pem.object));
        tls_certificate_has_ip(der, &ip);
        fuzz_free(der);
    }
    pem_end(&pem);
}

static struct fetch *new_fetch(const char *address, bool proxied, const struct tls_trust *trust,
                               bool status_alone) {
    struct url url, proxy;
    struct rng rng = rng_seeded(1);
    struct fetch *f = NULL;
    MUST(url_read(bytes_of(address), &url, NULL) == OK && url_read(BYTES("http://p:1"), &proxy, NULL) == OK);
    struct fetch_setup setup = {.url = &url,
                                .proxy = proxied ? &proxy : NULL,
                                .trust = trust,
                                .rng = &rng,
                                .now = today,
                                .method = "POST",
                                .fields = "A: b\r\n",
                                .type = "text/plain",
                                .body = BYTES("a body"),
                                .status_alone = status_alone,
                                .body_max = BODY_MAX};
    MUST(fetch_new(&f, &setup, NULL) == OK);
    return f;
}

static void give(struct fetch *f, struct bytes in) {
    for (size_t n; in.n > 0 && (n = MIN(in.n, fetch_wants(f))) > 0;) fetch_input(f, bytes_take(&in, n));
}

static void check_end(struct fetch *f) {
    struct why w = {OK, ""};
    fetch_ended(f);
    enum err e = fetch_state(f, &w);
    MUST(e != E_BUSY && (e == OK || w.text[0] != 0) && fetch_wants(f) == 0 && fetch_body(f).n <= BODY_MAX);
    if (e == OK) MUST(fetch_status(f) >= 200 && fetch_status(f) <= 599);
}

/* Bytes of a server, or of a proxy and what is behind it. */
static void fuzz_fetch(struct bytes in) {
    uint8_t how = fuzz_u8(&in);
    struct tls_trust *trust = NULL;
    MUST(tls_trust_read(bytes_of(tls_test_certificate), &trust, NULL) == OK);
    struct fetch *f = new_fetch((how & 1) != 0 ? "https://localhost:444/x" : "http://localhost/x",
                                (how & 2) != 0, trust, (how & 4) != 0);
    MUST(fetch_peer(f)->host[0] == ((how & 2) != 0 ? 'p' : 'l'));
    struct bytes out = fetch_output(f);
    MUST(out.n > 0);
    if ((how & 8) == 0) fetch_sent(f, out.n);
    for (struct bytes part; in.n > 0 && (part = fuzz_part(&in)).n > 0;) give(f, part);
    check_end(f);
    fetch_free(f);
    tls_trust_free(trust);
}

/* A real server of TLS; one byte of what it sends is another. `in`: where, how, and the reply. */
static void fuzz_tls(struct bytes in) {
    size_t at = fuzz_u16(&in) % 1500, passed = 0;
    uint8_t bits = fuzz_u8(&in), how = fuzz_u8(&in);
    struct rng rng = rng_seeded(2);
    struct tls_identity *id;
    struct tls_trust *trust;
    MUST(tls_identity_read(bytes_of(tls_test_certificate), bytes_of(tls_test_key), &id, NULL) == OK);
    MUST(tls_trust_read(bytes_of(tls_test_certificate), &trust, NULL) == OK);
    struct tls *server = tls_server(id, &rng);
    static const char *const hosts[] = {"https://localhost/x", "https://127.0.0.1/x", "https://10.0.0.1/x",
                                        "https://other/x"};
    struct fetch *f = new_fetch(hosts[how % 4], false, trust, (how & 4) != 0);
    struct buf got = {.max = 8192};
    bool answered = false;
    for (int i = 0; i < 30; i++) {
        struct buf back = {.max = 1 << 17};
        struct bytes out = fetch_output(f), cipher = out;
        while (cipher.n > 0 && tls_wants(server) > 0) tls_feed(server, &cipher);
        bool some = out.n > 0;
        fetch_sent(f, out.n);
        tls_read(server, &got);
        if (!answered && bytes_ends(buf_view(&got), "a body")) {
            answered = true;
            tls_write(server, in);
            if ((how & 8) != 0) tls_finish(server);
        }
        tls_take(server, &back);
        some |= back.n > 0;
        for (size_t k = 0; k < back.n; k++)
            if (passed++ == at) back.p[k] ^= bits;
        give(f, buf_view(&back));
        buf_free(&back);
        if (!some) break;
    }
    if (fetch_state(f, NULL) == OK) MUST(answered && (how % 4 < 2)); /* no other name gets that far */
    check_end(f);
    buf_free(&got);
    fetch_free(f);
    tls_free(server);
    tls_identity_free(id);
    tls_trust_free(trust);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static void (*const parts[])(struct bytes in) = {fuzz_url, fuzz_reply, fuzz_bundle, fuzz_fetch, fuzz_tls};
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    uint8_t which = fuzz_u8(&in) % LEN(parts);
    struct bytes copy = fuzz_exact(in);
    parts[which](copy);
    fuzz_free(copy);
    fuzz_no_leak(blocks);
    return 0;
}
