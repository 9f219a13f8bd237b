#include "base/mem.h"
#include "crypto/pem.h"
#include "crypto/tls_parts.h"

enum { TRUST_MAX = 4096 };

static void append(void *user, const void *data, size_t n) {
    buf_add(user, bytes_at(data, n));
}

static uint8_t *copy_of(const void *p, size_t n) {
    uint8_t *copy = mem_new(n > 0 ? n : 1, 1);
    if (copy != NULL && n > 0) memcpy(copy, p, n);
    return copy;
}

static void anchor_free(br_x509_trust_anchor *a) {
    mem_free(a->dn.data);
    if (a->pkey.key_type == BR_KEYTYPE_RSA) {
        mem_free(a->pkey.key.rsa.n);
        mem_free(a->pkey.key.rsa.e);
    } else {
        mem_free(a->pkey.key.ec.q);
    }
}

/* False: can not be read, or memory. */
static bool read_anchor(struct bytes der, br_x509_trust_anchor *a) {
    br_x509_decoder_context x509;
    struct buf name = {.max = 64 << 10};
    br_x509_decoder_init(&x509, append, &name);
    br_x509_decoder_push(&x509, der.p, der.n);
    const br_x509_pkey *key = br_x509_decoder_get_pkey(&x509);
    *a = (br_x509_trust_anchor){.flags = br_x509_decoder_isCA(&x509) ? BR_X509_TA_CA : 0};
    bool good = key != NULL && name.n > 0;
    if (good) {
        a->pkey.key_type = key->key_type;
        a->dn = (br_x500_name){copy_of(name.p, name.n), name.n};
        good = a->dn.data != NULL;
    }
    if (good && key->key_type == BR_KEYTYPE_RSA) {
        a->pkey.key.rsa = (br_rsa_public_key){copy_of(key->key.rsa.n, key->key.rsa.nlen), key->key.rsa.nlen,
                                              copy_of(key->key.rsa.e, key->key.rsa.elen), key->key.rsa.elen};
        good = a->pkey.key.rsa.n != NULL && a->pkey.key.rsa.e != NULL;
    } else if (good) {
        a->pkey.key.ec = (br_ec_public_key){key->key.ec.curve, copy_of(key->key.ec.q, key->key.ec.qlen),
                                            key->key.ec.qlen};
        good = a->pkey.key.ec.q != NULL;
    }
    buf_free(&name);
    if (!good) anchor_free(a);
    return good;
}

static bool room_for_one(struct tls_trust *t) {
    if (t->n == TRUST_MAX) return false;
    if (t->n < t->cap) return true;
    size_t cap = t->cap == 0 ? 32 : 2 * t->cap;
    br_x509_trust_anchor *more = mem_resize(t->anchors, cap * sizeof *more);
    if (more == NULL) return false;
    t->anchors = more;
    t->cap = cap;
    return true;
}

enum err tls_trust_begin(struct bytes bundle, struct tls_trust **out, struct why *w) {
    struct tls_trust *t = NEW(struct tls_trust);
    struct pem *p = NEW(struct pem);
    *out = NULL;
    if (t == NULL || p == NULL) {
        mem_free(t);
        mem_free(p);
        return fail(w, E_MEMORY, "out of memory");
    }
    pem_begin(p, bundle, "CERTIFICATE");
    t->reading = p;
    *out = t;
    return OK;
}

static void end_reading(struct tls_trust *t) {
    if (t->reading != NULL) pem_end(t->reading);
    mem_free(t->reading);
    t->reading = NULL;
}

enum err tls_trust_more(struct tls_trust *t, size_t most, struct why *w) {
    for (size_t i = 0; t->reading != NULL && i < most; i++) {
        if (!pem_next(t->reading)) {
            end_reading(t);
            break;
        }
        if (!room_for_one(t)) return fail(w, E_MEMORY, "out of memory");
        if (read_anchor(buf_view(&t->reading->object), &t->anchors[t->n])) t->n++;
    }
    if (t->reading != NULL) return E_BUSY;
    return t->n > 0 ? OK : fail(w, E_INPUT, "there is no certificate in it");
}

enum err tls_trust_read(struct bytes bundle, struct tls_trust **out, struct why *w) {
    struct tls_trust *t = NULL;
    enum err e = tls_trust_begin(bundle, &t, w);
    if (e == OK && t != NULL) e = tls_trust_more(t, SIZE_MAX, w);
    if (e != OK) {
        tls_trust_free(t);
        t = NULL;
    }
    *out = t;
    return e;
}

void tls_trust_free(struct tls_trust *t) {
    if (t == NULL) return;
    end_reading(t);
    for (size_t i = 0; i < t->n; i++) anchor_free(&t->anchors[i]);
    mem_free(t->anchors);
    mem_free(t);
}

size_t tls_trust_count(const struct tls_trust *t) {
    return t->n;
}
