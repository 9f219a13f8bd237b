#include "crypto/tls.h"

#include <bearssl.h>

#include "base/mem.h"
#include "crypto/pem.h"
#include "crypto/tls_parts.h"

enum {
    EPOCH_DAYS = 719528 /* 1970-01-01, counted from the year 0 as BearSSL does */,
    DAY_MS = 86400000,
    SEED = 32,
    RSA_BYTES_MIN = 256
};

struct tls_identity {
    br_x509_certificate chain[TLS_CHAIN_MAX];
    size_t n;
    br_skey_decoder_context key; /* owns the numbers of the key */
    unsigned issuer_key_type;
};
struct tls {
    bool is_server, over;
    union {
        br_ssl_server_context server;
        br_ssl_client_context client;
    };
    struct tls_verifier verifier;
    uint8_t space[BR_SSL_BUFSIZE_BIDI];
};

static br_ssl_engine_context *engine(struct tls *t) {
    return t->is_server ? &t->server.eng : &t->client.eng;
}

/* ---- a server's certificate and key */

static enum err read_chain(struct bytes text, struct tls_identity *id, struct why *w) {
    struct pem p;
    enum err e = OK;
    pem_begin(&p, text, "CERTIFICATE");
    while (e == OK && pem_next(&p)) {
        uint8_t *copy = id->n < TLS_CHAIN_MAX ? mem_new(p.object.n, 1) : NULL;
        if (copy == NULL) {
            e = id->n < TLS_CHAIN_MAX
                    ? fail(w, E_MEMORY, "out of memory")
                    : fail(w, E_INPUT, "the chain has more than %d certificates", TLS_CHAIN_MAX);
            break;
        }
        memcpy(copy, p.object.p, p.object.n);
        id->chain[id->n++] = (br_x509_certificate){copy, p.object.n};
    }
    pem_end(&p);
    return e == OK && id->n == 0 ? fail(w, E_INPUT, "there is no certificate in it") : e;
}

/* The kind of key that signed the first certificate: a static ECDH suite needs to know. */
static unsigned signer_type(const br_x509_certificate *c) {
    br_x509_decoder_context x509;
    br_x509_decoder_init(&x509, NULL, NULL);
    br_x509_decoder_push(&x509, c->data, c->data_len);
    return (unsigned)br_x509_decoder_get_signer_key_type(&x509);
}

enum err tls_identity_read(struct bytes chain, struct bytes key, struct tls_identity **out, struct why *w) {
    struct tls_identity *id = NEW(struct tls_identity);
    struct pem p;
    *out = NULL;
    if (id == NULL) return fail(w, E_MEMORY, "out of memory");
    enum err e = read_chain(chain, id, w);
    br_skey_decoder_init(&id->key);
    pem_begin(&p, key, "PRIVATE KEY");
    if (e == OK && pem_next(&p)) br_skey_decoder_push(&id->key, p.object.p, p.object.n);
    pem_end(&p);
    if (e == OK && br_skey_decoder_key_type(&id->key) == 0)
        e = fail(w, E_INPUT, "there is no RSA or EC private key in it");
    if (e != OK) {
        tls_identity_free(id);
        return e;
    }
    id->issuer_key_type = signer_type(&id->chain[0]);
    *out = id;
    return OK;
}

void tls_identity_free(struct tls_identity *id) {
    if (id == NULL) return;
    for (size_t i = 0; i < id->n; i++) mem_free(id->chain[i].data);
    mem_wipe(&id->key, sizeof id->key);
    mem_free(id);
}

/* ---- connections */

static void begin(struct tls *t, struct rng *rng) {
    uint8_t seed[SEED];
    rng_fill(rng, seed, sizeof seed);
    br_ssl_engine_set_versions(engine(t), BR_TLS12, BR_TLS12);
    br_ssl_engine_set_buffer(engine(t), t->space, sizeof t->space, 1);
    br_ssl_engine_inject_entropy(engine(t), seed, sizeof seed);
    mem_wipe(seed, sizeof seed);
}

struct tls *tls_server(const struct tls_identity *id, struct rng *rng) {
    struct tls *t = NEW(struct tls);
    if (t == NULL) return NULL;
    t->is_server = true;
    if (br_skey_decoder_key_type(&id->key) == BR_KEYTYPE_RSA)
        br_ssl_server_init_full_rsa(&t->server, id->chain, id->n, br_skey_decoder_get_rsa(&id->key));
    else
        br_ssl_server_init_full_ec(&t->server, id->chain, id->n, id->issuer_key_type,
                                   br_skey_decoder_get_ec(&id->key));
    begin(t, rng);
    br_ssl_engine_add_flags(engine(t), BR_OPT_NO_RENEGOTIATION | BR_OPT_ENFORCE_SERVER_PREFERENCES);
    br_ssl_server_reset(&t->server);
    return t;
}

/* Forward secrecy and authenticated ciphers first; what TLS 1.2 servers of today all have is among them. */
static const uint16_t client_suites[] = {
    BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,       BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,       BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,       BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256};

struct tls *tls_client(const struct tls_trust *trust, const char *host, struct rng *rng, struct wall now) {
    struct tls *t = NEW(struct tls);
    if (t == NULL) return NULL;
    br_x509_minimal_context *x509 = &t->verifier.minimal;
    br_ssl_client_init_full(&t->client, x509, trust->anchors, trust->n);
    br_ssl_engine_set_suites(&t->client.eng, client_suites, LEN(client_suites));
    /* 2048 bits, and no signature by SHA-1 (nor MD5, which BearSSL itself refuses) */
    br_x509_minimal_set_minrsa(x509, RSA_BYTES_MIN);
    br_x509_minimal_set_hash(x509, br_sha1_ID, NULL);
    br_x509_minimal_set_time(x509, (uint32_t)(now.ms / DAY_MS + EPOCH_DAYS),
                             (uint32_t)(now.ms % DAY_MS / 1000));
    bool by_name = tls_verifier_init(&t->verifier, host);
    br_ssl_engine_set_x509(&t->client.eng, &t->verifier.vtable);
    begin(t, rng);
    br_ssl_engine_add_flags(engine(t), BR_OPT_NO_RENEGOTIATION);
    br_ssl_client_reset(&t->client, by_name ? host : NULL, 0); /* an address is no server name: RFC 6066 3 */
    return t;
}

void tls_free(struct tls *t) {
    if (t == NULL) return;
    if (!t->is_server) tls_verifier_free(&t->verifier);
    mem_wipe(t, sizeof *t);
    mem_free(t);
}

size_t tls_wants(struct tls *t) {
    size_t n = 0;
    return br_ssl_engine_recvrec_buf(engine(t), &n) == NULL ? 0 : n;
}

void tls_feed(struct tls *t, struct bytes *cipher) {
    size_t n;
    uint8_t *to = br_ssl_engine_recvrec_buf(engine(t), &n);
    if (to == NULL || cipher->n == 0) return;
    struct bytes part = bytes_take(cipher, n);
    memcpy(to, part.p, part.n);
    br_ssl_engine_recvrec_ack(engine(t), part.n);
}

bool tls_read(struct tls *t, struct buf *plain) {
    size_t n;
    for (const uint8_t *from; (from = br_ssl_engine_recvapp_buf(engine(t), &n)) != NULL;) {
        if (!buf_add(plain, bytes_at(from, n))) return false;
        br_ssl_engine_recvapp_ack(engine(t), n);
    }
    return true;
}

size_t tls_write(struct tls *t, struct bytes plain) {
    size_t n;
    uint8_t *to = br_ssl_engine_sendapp_buf(engine(t), &n);
    if (to == NULL || plain.n == 0) return 0;
    n = MIN(n, plain.n);
    memcpy(to, plain.p, n);
    br_ssl_engine_sendapp_ack(engine(t), n);
    br_ssl_engine_flush(engine(t), 0);
    return n;
}

void tls_finish(struct tls *t) {
    if (!t->over) br_ssl_engine_close(engine(t));
    t->over = true;
}

bool tls_take(struct tls *t, struct buf *cipher) {
    size_t n;
    for (const uint8_t *from; (from = br_ssl_engine_sendrec_buf(engine(t), &n)) != NULL;) {
        if (!buf_add(cipher, bytes_at(from, n))) return false;
        br_ssl_engine_sendrec_ack(engine(t), n);
    }
    return true;
}

bool tls_is_ready(struct tls *t) {
    return (br_ssl_engine_current_state(engine(t)) & BR_SSL_SENDAPP) != 0;
}

enum err tls_state(struct tls *t, struct why *w) {
    if ((br_ssl_engine_current_state(engine(t)) & BR_SSL_CLOSED) == 0) return OK;
    int code = br_ssl_engine_last_error(engine(t));
    switch (code) {
    case BR_ERR_OK: return fail(w, E_CLOSED, "TLS was closed");
    case BR_ERR_X509_NOT_TRUSTED:
        return fail(w, E_VERIFY, "the server's certificate is of no trusted authority");
    case BR_ERR_X509_BAD_SERVER_NAME:
        return fail(w, E_VERIFY, "the server's certificate is for another name");
    case BR_ERR_X509_EXPIRED:
        return fail(w, E_VERIFY, "the server's certificate has expired, or is not valid yet");
    case BR_ERR_X509_WEAK_PUBLIC_KEY:
        return fail(w, E_VERIFY, "a certificate of the server has a key of less than 2048 bits");
    case BR_ERR_X509_UNSUPPORTED:
        return fail(w, E_VERIFY, "a certificate of the server is signed in a way that is weak or not known");
    case BR_ERR_UNSUPPORTED_VERSION:
        return fail(w, E_REFUSED, "the other side speaks no TLS, or only versions older than 1.2");
    case BR_ERR_RECV_FATAL_ALERT + BR_ALERT_PROTOCOL_VERSION:
        if (t->is_server) return fail(w, E_REFUSED, "the other side does not speak TLS 1.2");
        return fail(w, E_REFUSED, "the server only speaks TLS 1.3; SilkTalk speaks TLS 1.2");
    case BR_ERR_RECV_FATAL_ALERT + BR_ALERT_HANDSHAKE_FAILURE:
        return fail(w, E_REFUSED, "the other side knows none of our ciphers of TLS 1.2");
    default: break;
    }
    if (code > BR_ERR_X509_OK && code <= BR_ERR_X509_NOT_TRUSTED)
        return fail(w, E_VERIFY, "the server's certificate is not good (error %d)", code);
    if (code >= BR_ERR_RECV_FATAL_ALERT && code < BR_ERR_RECV_FATAL_ALERT + 256)
        return fail(w, E_PROTO, "the other side ended TLS with alert %d", code - BR_ERR_RECV_FATAL_ALERT);
    return fail(w, E_PROTO, "TLS failed (error %d)", code);
}
