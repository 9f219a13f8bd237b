#include "crypto/certificate.h"

#include <bearssl.h>

#include "base/mem.h"
#include "crypto/pem.h"

enum { EPOCH_DAYS = 719528 /* 1970-01-01, counted from the year 0 as BearSSL does */, DAY_S = 86400 };

/* ---- keys */

static bool same(const void *a, size_t an, const void *b, size_t bn) {
    struct bytes x = bytes_at(a, an), y = bytes_at(b, bn);
    while (x.n > 0 && x.p[0] == 0) x = bytes_skip(x, 1);
    while (y.n > 0 && y.p[0] == 0) y = bytes_skip(y, 1);
    return bytes_eq(x, y);
}

static bool fits(const br_x509_pkey *public, const br_skey_decoder_context *key) {
    if (public->key_type == BR_KEYTYPE_RSA && br_skey_decoder_key_type(key) == BR_KEYTYPE_RSA) {
        const br_rsa_private_key *k = br_skey_decoder_get_rsa(key);
        uint8_t n[1024];
        br_rsa_compute_modulus compute = br_rsa_compute_modulus_get_default();
        size_t size = compute(NULL, k);
        return size > 0 && size <= sizeof n && compute(n, k) == size &&
               same(n, size, public->key.rsa.n, public->key.rsa.nlen);
    }
    if (public->key_type == BR_KEYTYPE_EC && br_skey_decoder_key_type(key) == BR_KEYTYPE_EC) {
        const br_ec_private_key *k = br_skey_decoder_get_ec(key);
        uint8_t space[BR_EC_KBUF_PUB_MAX_SIZE];
        br_ec_public_key own;
        return k->curve == public->key.ec.curve &&
               br_ec_compute_pub(br_ec_get_default(), &own, space, k) > 0 &&
               same(own.q, own.qlen, public->key.ec.q, public->key.ec.qlen);
    }
    return false;
}

enum err certificate_look(struct bytes chain, struct bytes key, struct wall *not_after, struct why *w) {
    struct pem p;
    br_x509_decoder_context x509;
    enum err e = OK;
    pem_begin(&p, chain, "CERTIFICATE");
    br_x509_decoder_init(&x509, NULL, NULL);
    if (pem_next(&p))
        br_x509_decoder_push(&x509, p.object.p, p.object.n);
    else
        e = fail(w, E_INPUT, "there is no certificate in it");
    pem_end(&p);
    br_x509_pkey *public = e == OK ? br_x509_decoder_get_pkey(&x509) : NULL;
    if (e == OK && public == NULL) e = fail(w, E_INPUT, "the certificate can not be read");
    if (e == OK) {
        int64_t days = (int64_t)x509.notafter_days - EPOCH_DAYS;
        not_after->ms = (days * DAY_S + (int64_t)x509.notafter_seconds) * 1000;
    }
    if (e == OK && key.n > 0) {
        br_skey_decoder_context decoder;
        br_skey_decoder_init(&decoder);
        pem_begin(&p, key, "PRIVATE KEY");
        if (pem_next(&p)) br_skey_decoder_push(&decoder, p.object.p, p.object.n);
        pem_end(&p);
        if (br_skey_decoder_key_type(&decoder) == 0)
            e = fail(w, E_INPUT, "there is no private key in it");
        else if (!fits(public, &decoder))
            e = fail(w, E_VERIFY, "the private key is not the certificate's");
        mem_wipe(&decoder, sizeof decoder);
    }
    return e;
}
