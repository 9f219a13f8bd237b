/* Server and client of TLS over memory. The certificate is of this test alone: P-256, for localhost, until
 * 2126. */
#include "crypto/tls.h"

#include "base/mem.h"
#include "tests/test.h"

static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                  "MIIBmjCCAUGgAwIBAgIUKMFFa8Hqnrx/xDmnadPDIz0pw+8wCgYIKoZIzj0EAwIw\n"
                                  "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDExNDEwOFoYDzIxMjYxMDMx\n"
                                  "MTE0MTA4WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n"
                                  "PQMBBwNCAARkVd4cUCv0q09VUahcq7eqhnw/D2/70aaDu/sUehSWLn+oLXU1HffF\n"
                                  "m/5wb5FEl+E5VL23fs+nE9mMg6kmMOiBo28wbTAdBgNVHQ4EFgQUieMnZVxWgTE8\n"
                                  "FxpGjeaQLIC7KTAwHwYDVR0jBBgwFoAUieMnZVxWgTE8FxpGjeaQLIC7KTAwGgYD\n"
                                  "VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI\n"
                                  "zj0EAwIDRwAwRAIgHkFpItsVGdpDLDOxRxCZxV17T1zEZdetwJoefHBH64wCIArX\n"
                                  "1RaRso1taqUrx/M+jJAsTbE+WdX+c+IdtjoBh+03\n"
                                  "-----END CERTIFICATE-----\n";
static const char private_key[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg75yiJvISuZwxVmHb\n"
                                  "6TMl7KyLzb1QKCKlg7ovtNb1Hu6hRANCAARkVd4cUCv0q09VUahcq7eqhnw/D2/7\n"
                                  "0aaDu/sUehSWLn+oLXU1HffFm/5wb5FEl+E5VL23fs+nE9mMg6kmMOiB\n"
                                  "-----END PRIVATE KEY-----\n";
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
    CHECK(tls_identity_read(bytes_of(certificate), bytes_of(private_key), &p.identity, &w) == OK, "%s",
          w.text);
    CHECK(tls_trust_read(bytes_of(certificate), &p.trust, &w) == OK && tls_trust_count(p.trust) == 1);
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
    CHECK(tls_identity_read(BYTES(""), bytes_of(private_key), &id, &w) == E_INPUT && id == NULL);
    CHECK(tls_identity_read(bytes_of(certificate), bytes_of(certificate), &id, &w) == E_INPUT && id == NULL);
    CHECK(tls_identity_read(bytes_of(private_key), bytes_of(certificate), &id, &w) == E_INPUT);
    CHECK(tls_trust_read(BYTES("hello"), &t, &w) == E_INPUT && t == NULL);
    size_t blocks = mem_blocks();
    for (size_t n = 0; n + 30 < sizeof certificate; n += 11) {
        CHECK(tls_trust_read(bytes_at(certificate, n), &t, &w) == E_INPUT, "cut at %zu", n);
        CHECK(tls_identity_read(bytes_at(certificate, n), bytes_of(private_key), &id, &w) == E_INPUT,
              "cut at %zu", n);
    }
    struct pair p = pair_for("localhost", today);
    struct bytes noise = BYTES("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (noise.n > 0 && tls_wants(p.server) > 0) tls_feed(p.server, &noise);
    CHECK(tls_state(p.server, &w) != OK);
    pair_free(&p);
    CHECK(mem_blocks() == blocks);
}
