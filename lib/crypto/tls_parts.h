/* lib/crypto/tls_parts.h: between tls.c, tls_trust.c and tls_verifier.c. */
#ifndef SILKTALK_CRYPTO_TLS_PARTS_H
#define SILKTALK_CRYPTO_TLS_PARTS_H

#include <bearssl.h>

#include "base/ip.h"
#include "crypto/tls.h"

struct pem;
struct tls_trust {
    br_x509_trust_anchor *anchors;
    size_t n, cap;
    struct pem *reading; /* NULL: all was read */
};

/* BearSSL's validation of chains, and what it lacks: a server that is asked for by its address must have it
 * among the subjectAltNames of its own certificate. */
struct tls_verifier {
    const br_x509_class *vtable; /* first: BearSSL hands a pointer to it */
    br_x509_minimal_context minimal;
    struct ip ip; /* version 0: a name is looked for, by BearSSL */
    size_t certificates;
    struct buf leaf; /* the server's own certificate: DER */
    bool leaf_whole;
};
bool tls_verifier_init(struct tls_verifier *v, const char *host); /* true: host is a name */
void tls_verifier_free(struct tls_verifier *v);
/* Does the certificate name this address? False also for what can not be read. */
bool tls_certificate_has_ip(struct bytes der, const struct ip *ip);

#endif
