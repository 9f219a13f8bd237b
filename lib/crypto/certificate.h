/* lib/crypto/certificate.h: how long a certificate is good, and whether a key is its own (BearSSL decodes).
 * Text is PEM, as http.tlsCert and http.tlsKeyFile have it. */
#ifndef SILKTALK_CRYPTO_CERTIFICATE_H
#define SILKTALK_CRYPTO_CERTIFICATE_H

#include "base/base.h"

enum { CERTIFICATE_TEXT_MAX = 256 << 10 };

/* The end of validity of the first certificate in `chain`. `key` (n 0: is not looked at) must be its private
 * key. E_INPUT: no certificate, no key; E_VERIFY: another's key. */
enum err certificate_look(struct bytes chain, struct bytes key, struct wall *not_after, struct why *w);

#endif
