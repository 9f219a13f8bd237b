/* lib/crypto/pem.h: the objects of a PEM text, one after the other (RFC 7468; BearSSL decodes). Only for
 * crypto/. */
#ifndef SILKTALK_CRYPTO_PEM_H
#define SILKTALK_CRYPTO_PEM_H

#include <bearssl.h>

#include "base/base.h"

enum { PEM_TEXT_MAX = 1 << 20, PEM_OBJECT_MAX = 256 << 10 };
struct pem {
    br_pem_decoder_context decoder;
    struct bytes rest;
    struct buf object; /* the last one: DER */
    const char *kind;
};
/* Objects whose name ends in `kind`: "CERTIFICATE", "PRIVATE KEY". The text is borrowed until pem_end. */
void pem_begin(struct pem *p, struct bytes text, const char *kind);
bool pem_next(struct pem *p); /* false: there is no further one, or the text is broken */
void pem_end(struct pem *p);  /* wipes: it may have been a key */

#endif
