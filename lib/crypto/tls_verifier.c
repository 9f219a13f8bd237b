#include "crypto/der.h"
#include "crypto/tls_parts.h"

enum {
    LEAF_MAX = 32 << 10,
    BOOLEAN = 0x01,
    OCTET_STRING = 0x04,
    OID = 0x06,
    EXTENSIONS = 0xa3,
    IP_ADDRESS = 0x87
};

static bool next_is(const struct rd *r, uint8_t tag) {
    return !r->bad && r->in.n > 0 && r->in.p[0] == tag;
}

static void skip(struct rd *r) {
    if (r->in.n == 0)
        r->bad = true;
    else
        der_take(r, r->in.p[0]);
}

static bool names_have(struct bytes value, const struct ip *ip) {
    struct rd outer = rd_of(value), names = rd_of(der_take(&outer, DER_SEQUENCE));
    while (!outer.bad && !names.bad && names.in.n > 0) {
        bool wanted = next_is(&names, IP_ADDRESS);
        struct bytes name = der_take(&names, names.in.p[0]);
        if (names.bad || !wanted || (name.n != 4 && name.n != 16)) continue;
        struct ip here = ip_of(name.n == 4 ? 4 : 6, name.p);
        if (ip_eq(&here, ip)) return true;
    }
    return false;
}

bool tls_certificate_has_ip(struct bytes der, const struct ip *ip) {
    static const uint8_t subject_alt_name[] = {0x55, 0x1d, 0x11};
    struct rd whole = rd_of(der), outer = rd_of(der_take(&whole, DER_SEQUENCE)),
              body = rd_of(der_take(&outer, DER_SEQUENCE));
    while (!whole.bad && !outer.bad && !body.bad && body.in.n > 0 && !next_is(&body, EXTENSIONS)) skip(&body);
    struct rd explicit = rd_of(der_take(&body, EXTENSIONS)), list = rd_of(der_take(&explicit, DER_SEQUENCE));
    while (!body.bad && !explicit.bad && !list.bad && list.in.n > 0) {
        struct rd one = rd_of(der_take(&list, DER_SEQUENCE));
        struct bytes id = der_take(&one, OID);
        if (next_is(&one, BOOLEAN)) skip(&one); /* critical or not */
        struct bytes value = der_take(&one, OCTET_STRING);
        if (!list.bad && !one.bad && bytes_eq(id, bytes_at(subject_alt_name, sizeof subject_alt_name)) &&
            names_have(value, ip))
            return true;
    }
    return false;
}

/* ---- the class that BearSSL calls: all of it is passed on, and the first certificate is kept */

static struct tls_verifier *verifier_of(const br_x509_class **ctx) {
    return (struct tls_verifier *)(void *)ctx;
}

static void start_chain(const br_x509_class **ctx, const char *server_name) {
    struct tls_verifier *v = verifier_of(ctx);
    v->certificates = 0;
    v->leaf_whole = true;
    buf_clear(&v->leaf);
    v->minimal.vtable->start_chain(&v->minimal.vtable, server_name);
}

static void start_cert(const br_x509_class **ctx, uint32_t length) {
    struct tls_verifier *v = verifier_of(ctx);
    v->minimal.vtable->start_cert(&v->minimal.vtable, length);
}

static void append(const br_x509_class **ctx, const unsigned char *p, size_t n) {
    struct tls_verifier *v = verifier_of(ctx);
    if (v->ip.version != 0 && v->certificates == 0) v->leaf_whole &= buf_add(&v->leaf, bytes_at(p, n));
    v->minimal.vtable->append(&v->minimal.vtable, p, n);
}

static void end_cert(const br_x509_class **ctx) {
    struct tls_verifier *v = verifier_of(ctx);
    v->certificates++;
    v->minimal.vtable->end_cert(&v->minimal.vtable);
}

static unsigned end_chain(const br_x509_class **ctx) {
    struct tls_verifier *v = verifier_of(ctx);
    unsigned e = v->minimal.vtable->end_chain(&v->minimal.vtable);
    bool named = v->ip.version == 0 || (v->leaf_whole && tls_certificate_has_ip(buf_view(&v->leaf), &v->ip));
    return e == 0 && !named ? BR_ERR_X509_BAD_SERVER_NAME : e;
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *ctx, unsigned *usages) {
    const struct tls_verifier *v = (const struct tls_verifier *)(const void *)ctx;
    return v->minimal.vtable->get_pkey(&v->minimal.vtable, usages);
}

static const br_x509_class verifier_class = {.context_size = sizeof(struct tls_verifier),
                                             .start_chain = start_chain,
                                             .start_cert = start_cert,
                                             .append = append,
                                             .end_cert = end_cert,
                                             .end_chain = end_chain,
                                             .get_pkey = get_pkey};

bool tls_verifier_init(struct tls_verifier *v, const char *host) {
    v->vtable = &verifier_class;
    v->leaf.max = LEAF_MAX;
    if (!ip_parse(bytes_of(host), &v->ip)) v->ip.version = 0;
    return v->ip.version == 0;
}

void tls_verifier_free(struct tls_verifier *v) {
    buf_free(&v->leaf);
}
