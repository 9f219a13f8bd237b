/* Certificates and keys as PEM (what is in them may be the fuzzer's, the PEM around it good), and TLS itself:
 * each end alone against the fuzzer, and both against each other over a wire on which bytes are altered. */
#include "base/text.h"
#include "crypto/certificate.h"
#include "crypto/rng.h"
#include "crypto/tls.h"
#include "tests/crypto/tls_pair.h"
#include "tests/fuzz/fuzz.h"

static const struct wall today = {1800000000000};

/* ---- PEM */

static void add_pem(struct buf *to, const char *kind, struct bytes der) {
    buf_add_format(to, "-----BEGIN %s-----\n", kind);
    while (der.n > 0) {
        base64_encode(to, bytes_take(&der, 48), false);
        buf_add_byte(to, '\n');
    }
    buf_add_format(to, "-----END %s-----\n", kind);
}

/* A text as it is; or objects, each of which is the fuzzer's DER, or one that is good but for one byte. */
static void take_pem(struct bytes *in, const char *kind, const char *good, struct buf *out) {
    uint8_t how = fuzz_u8(in);
    if ((how & 3) == 0) {
        buf_add(out, fuzz_part(in));
        return;
    }
    for (size_t i = 0; i <= (size_t)(how >> 4); i++) {
        struct buf der = {.max = 4096};
        struct bytes body = bytes_of(good), text = {NULL, 0};
        struct buf joined = {.max = 4096};
        body = bytes_skip(body, bytes_index(body, '\n') + 1);
        while (bytes_split(&body, '\n', &text) && text.p[0] != '-') buf_add(&joined, text);
        MUST(base64_decode(&der, buf_view(&joined), false));
        if ((how & 3) == 1) {
            uint16_t at = fuzz_u16(in);
            der.p[at % der.n] = fuzz_u8(in);
            if (at & 0x8000) der.n = at % der.n;
        }
        add_pem(out, kind, (how & 3) == 2 ? fuzz_part(in) : buf_view(&der));
        buf_free(&der);
        buf_free(&joined);
    }
}

static void check_texts(struct bytes in) {
    struct buf chain = {.max = CERTIFICATE_TEXT_MAX}, key = {.max = CERTIFICATE_TEXT_MAX};
    struct tls_identity *id = NULL;
    struct tls_trust *trust = NULL;
    struct wall end = {0};
    struct why w = {OK, ""};
    take_pem(&in, "CERTIFICATE", tls_test_certificate, &chain);
    take_pem(&in, "PRIVATE KEY", tls_test_key, &key);
    struct bytes c = fuzz_exact(buf_view(&chain)), k = fuzz_exact(buf_view(&key));
    enum err e = tls_identity_read(c, k, &id, &w);
    MUST((e == OK) == (id != NULL) && (e == OK || (e == w.code && w.text[0] != 0)));
    if (id != NULL) { /* an identity that was taken can greet, or say why not */
        struct rng rng = rng_seeded(3);
        struct tls *t = tls_server(id, &rng);
        MUST(t != NULL);
        tls_free(t);
    }
    tls_identity_free(id);
    e = tls_trust_read(c, &trust, &w);
    MUST((e == OK) == (trust != NULL) && (trust == NULL || tls_trust_count(trust) > 0));
    tls_trust_free(trust);
    e = certificate_look(c, k, &end, &w);
    MUST(e == OK || (e == w.code && w.text[0] != 0));
    fuzz_free(c);
    fuzz_free(k);
    buf_free(&chain);
    buf_free(&key);
}

/* ---- connections */

struct end {
    struct tls *t;
    struct buf cipher, plain;
};

static void gather(struct end *e) {
    MUST(tls_read(e->t, &e->plain) && tls_take(e->t, &e->cipher));
    if (e->plain.n > 1 << 16) buf_clear(&e->plain);
}

static void feed(struct end *e, struct bytes in) {
    for (int i = 0; in.n > 0 && i < 10000; i++) {
        if (tls_wants(e->t) == 0) break;
        tls_feed(e->t, &in);
        gather(e);
    }
}

static void talk(struct bytes in, uint8_t how) {
    static struct tls_identity *id;
    static struct tls_trust *trust;
    struct why w = {OK, ""};
    struct rng rng = rng_seeded(4);
    if (id == NULL) /* once: not part of the count of what leaks */
        MUST(tls_identity_read(bytes_of(tls_test_certificate), bytes_of(tls_test_key), &id, &w) == OK &&
             tls_trust_read(bytes_of(tls_test_certificate), &trust, &w) == OK);
    size_t blocks = mem_blocks();
    struct end ends[2] = {{.t = tls_server(id, &rng)}, {.t = NULL}};
    ends[1].t = tls_client(trust, how & 2 ? "other" : "localhost", &rng, how & 4 ? (struct wall){1} : today);
    for (size_t i = 0; i < 2; i++) ends[i].cipher.max = ends[i].plain.max = 1 << 20;
    while (in.n > 0) {
        uint8_t op = fuzz_u8(&in);
        struct end *e = &ends[op & 1], *other = &ends[1 - (op & 1)];
        switch (op >> 1 & 7) {
        case 0: { /* bytes of nobody's */
            struct bytes raw = fuzz_exact(fuzz_part(&in));
            feed(e, raw);
            fuzz_free(raw);
            break;
        }
        case 1: MUST(tls_write(e->t, fuzz_part(&in)) <= 1 << 16); break;
        case 2: tls_finish(e->t); break;
        case 3: { /* of what is under way, a byte is altered, or the end is lost */
            gather(e);
            size_t at = fuzz_u16(&in);
            if (e->cipher.n > 0 && (op & 0x80) != 0) e->cipher.n = at % e->cipher.n;
            if (e->cipher.n > 0) e->cipher.p[at % e->cipher.n] ^= fuzz_u8(&in);
            break;
        }
        case 4: { /* a part of it goes over */
            gather(e);
            struct bytes part = fuzz_exact(bytes_sub(buf_view(&e->cipher), 0, fuzz_u16(&in)));
            feed(other, part);
            buf_drop(&e->cipher, part.n);
            fuzz_free(part);
            break;
        }
        default: /* everything goes over */
            for (int i = 0; i < 6; i++) {
                gather(e);
                struct bytes part = fuzz_exact(buf_view(&e->cipher));
                buf_clear(&e->cipher);
                feed(other, part);
                fuzz_free(part);
                struct end *swap = e;
                e = other;
                other = swap;
            }
            break;
        }
        for (size_t i = 0; i < 2; i++) {
            enum err state = tls_state(ends[i].t, &w);
            MUST(state == OK || (state == w.code && w.text[0] != 0));
            MUST(state == OK || !tls_is_ready(ends[i].t));
            gather(&ends[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        tls_free(ends[i].t);
        buf_free(&ends[i].cipher);
        buf_free(&ends[i].plain);
    }
    fuzz_no_leak(blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    uint8_t how = fuzz_u8(&in);
    if (how % 2 == 0) {
        talk(in, how);
        return 0;
    }
    size_t blocks = mem_blocks();
    check_texts(in);
    fuzz_no_leak(blocks);
    return 0;
}
