/* Server and client of TLS over memory. */
#include "crypto/tls.h"

#include "base/mem.h"
#include "crypto/pem.h"
#include "crypto/tls_parts.h"
#include "tests/crypto/tls_pair.h"
#include "tests/test.h"

static const struct wall today = {1800000000000};

struct pair {
    struct tls *server, *client;
    struct tls_identity *identity;
    struct tls_trust *trust;
    size_t flip; /* the byte of what the server sends that is altered; 0: none */
    size_t passed;
};

static struct pair pair_for(const char *host, struct wall now) {
    struct pair p = {.flip = 0};
    struct why w = {OK, ""};
    struct rng rng = rng_seeded(test_seed());
    CHECK(tls_identity_read(bytes_of(tls_test_certificate), bytes_of(tls_test_key), &p.identity, &w) == OK,
          "%s", w.text);
    CHECK(tls_trust_read(bytes_of(tls_test_certificate), &p.trust, &w) == OK &&
          tls_trust_count(p.trust) == 1);
    p.server = tls_server(p.identity, &rng);
    p.client = tls_client(p.trust, host, &rng, now);
    CHECK(p.server != NULL && p.client != NULL);
    return p;
}

static void pair_free(struct pair *p) {
    tls_free(p->server);
    tls_free(p->client);
    tls_identity_free(p->identity);
    tls_trust_free(p->trust);
}

static bool carry(struct pair *p, struct tls *from, struct tls *to) {
    struct buf wire = {.max = 1 << 20};
    CHECK(tls_take(from, &wire));
    if (from == p->server)
        for (size_t i = 0; i < wire.n; i++)
            if (++p->passed == p->flip) wire.p[i] ^= 1;
    struct bytes rest = buf_view(&wire);
    bool any = rest.n > 0;
    while (rest.n > 0 && tls_wants(to) > 0) {
        struct bytes part = bytes_sub(rest, 0, 1 + rest.n / 3); /* in pieces */
        size_t before = part.n;
        tls_feed(to, &part);
        rest = bytes_skip(rest, before - part.n);
    }
    buf_free(&wire);
    return any;
}

static void settle(struct pair *p) {
    for (int i = 0; i < 100; i++) {
        bool any = carry(p, p->client, p->server);
        any |= carry(p, p->server, p->client);
        if (!any) return;
    }
}

TEST(bytes_go_both_ways_and_the_end_is_told) {
    size_t blocks = mem_blocks();
    struct pair p = pair_for("localhost", today);
    struct buf got = {.max = 1 << 20};
    struct why w = {OK, ""};
    settle(&p);
    CHECK(tls_is_ready(p.client) && tls_is_ready(p.server) && tls_state(p.client, &w) == OK, "%s", w.text);
    static uint8_t big[100000];
    for (size_t i = 0; i < sizeof big; i++) big[i] = (uint8_t)(i * 7);
    for (size_t at = 0; at < sizeof big;) {
        size_t n = tls_write(p.client, bytes_at(big + at, sizeof big - at));
        at += n;
        settle(&p);
        CHECK(tls_read(p.server, &got));
        settle(&p);
    }
    CHECK(bytes_eq(buf_view(&got), bytes_at(big, sizeof big)));
    buf_clear(&got);
    CHECK(tls_write(p.server, BYTES("answer")) == 6);
    settle(&p);
    CHECK(tls_read(p.client, &got) && bytes_is(buf_view(&got), "answer"));
    tls_finish(p.server);
    settle(&p);
    CHECK(tls_state(p.client, &w) == E_CLOSED);
    buf_free(&got);
    pair_free(&p);
    CHECK(mem_blocks() == blocks);
}

TEST(another_name_another_authority_another_time) {
    struct why w = {OK, ""};
    struct pair p = pair_for("elsewhere.example", today);
    settle(&p);
    CHECK(tls_state(p.client, &w) == E_VERIFY && strstr(w.text, "another name") != NULL, "%s", w.text);
    pair_free(&p);
    p = pair_for("localhost", (struct wall){5000000000000});
    settle(&p);
    CHECK(tls_state(p.client, &w) == E_VERIFY && strstr(w.text, "expired") != NULL, "%s", w.text);
    pair_free(&p);
}

TEST(an_address_has_to_stand_in_the_certificate) {
    static const struct {
        const char *host;
        enum err want;
    } rows[] = {{"127.0.0.1", OK}, {"127.0.0.2", E_VERIFY}, {"::1", E_VERIFY}, {"10.0.0.1", E_VERIFY}};
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(rows); i++) {
        struct why w = {OK, ""};
        struct pair p = pair_for(rows[i].host, today);
        settle(&p);
        CHECK(tls_state(p.client, &w) == rows[i].want, "%s: %s", rows[i].host, w.text);
        CHECK(rows[i].want == OK || strstr(w.text, "another name") != NULL, "%s", w.text);
        pair_free(&p);
    }
    CHECK(mem_blocks() == blocks);
    struct pem pem;
    struct ip ip;
    pem_begin(&pem, bytes_of(tls_test_certificate), "CERTIFICATE");
    CHECK(pem_next(&pem) && ip_parse(BYTES("127.0.0.1"), &ip));
    struct bytes der = buf_view(&pem.object);
    CHECK(tls_certificate_has_ip(der, &ip));
    for (size_t n = 0; n < der.n; n++) CHECK(!tls_certificate_has_ip(bytes_sub(der, 0, n), &ip), "%zu", n);
    for (size_t i = 0; i < der.n * 8; i++) { /* any bit wrong: no crash, and nothing outside is read */
        pem.object.p[i / 8] ^= (uint8_t)(1 << i % 8);
        tls_certificate_has_ip(der, &ip);
        pem.object.p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    pem_end(&pem);
}

TEST(authorities_are_read_in_parts) {
    struct buf bundle = {.max = 1 << 20};
    struct tls_trust *t;
    struct why w = {OK, ""};
    size_t blocks = mem_blocks();
    for (int i = 0; i < 5; i++) {
        CHECK(buf_add_text(&bundle, "# a comment\n") && buf_add_text(&bundle, tls_test_certificate));
        CHECK(buf_add_text(&bundle, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    }
    CHECK(tls_trust_begin(buf_view(&bundle), &t, &w) == OK);
    int turns = 0;
    while (tls_trust_more(t, 3, &w) == E_BUSY) CHECK(++turns < 20);
    CHECK(turns == 3 && tls_trust_count(t) == 5 && tls_trust_more(t, 3, &w) == OK, "%d %zu", turns,
          tls_trust_count(t));
    tls_trust_free(t);
    CHECK(tls_trust_begin(buf_view(&bundle), &t, &w) == OK && tls_trust_more(t, 1, &w) == E_BUSY);
    tls_trust_free(t); /* in the middle */
    for (long after = 0; after < 12; after++) {
        mem_fail_after(after);
        enum err e = tls_trust_read(buf_view(&bundle), &t, &w);
        mem_fail_after(-1);
        CHECK(e == OK || e == E_MEMORY);
        tls_trust_free(t);
    }
    buf_free(&bundle);
    CHECK(mem_blocks() == blocks);
}

TEST(an_altered_byte_is_never_taken) {
    for (size_t flip = 1; flip < 700; flip += 13) {
        struct pair p = pair_for("localhost", today);
        struct buf got = {.max = 1000};
        p.flip = flip;
        settle(&p);
        if (tls_is_ready(p.client)) tls_write(p.client, BYTES("secret"));
        settle(&p);
        tls_read(p.server, &got);
        CHECK(p.passed < flip || got.n == 0, "byte %zu", flip);
        buf_free(&got);
        pair_free(&p);
    }
}

TEST(what_is_no_certificate_or_key) {
    struct tls_identity *id;
    struct tls_trust *t;
    struct why w = {OK, ""};
    CHECK(tls_identity_read(BYTES(""), bytes_of(tls_test_key), &id, &w) == E_INPUT && id == NULL);
    CHECK(tls_identity_read(bytes_of(tls_test_certificate), bytes_of(tls_test_certificate), &id, &w) ==
              E_INPUT &&
          id == NULL);
    CHECK(tls_identity_read(bytes_of(tls_test_key), bytes_of(tls_test_certificate), &id, &w) == E_INPUT);
    CHECK(tls_trust_read(BYTES("hello"), &t, &w) == E_INPUT && t == NULL);
    size_t blocks = mem_blocks();
    for (size_t n = 0; n + 30 < sizeof tls_test_certificate; n += 11) {
        CHECK(tls_trust_read(bytes_at(tls_test_certificate, n), &t, &w) == E_INPUT, "cut at %zu", n);
        CHECK(tls_identity_read(bytes_at(tls_test_certificate, n), bytes_of(tls_test_key), &id, &w) ==
                  E_INPUT,
              "cut at %zu", n);
    }
    struct pair p = pair_for("localhost", today);
    struct bytes noise = BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (noise.n > 0 && tls_wants(p.server) > 0) tls_feed(p.server, &noise);
    CHECK(tls_state(p.server, &w) != OK);
    pair_free(&p);
    CHECK(mem_blocks() == blocks);
}
