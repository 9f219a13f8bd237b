/* lib/crypto/der.h: the little of DER (ITU-T X.690) that public keys and ECDSA signatures use, strictly:
 * definite lengths in their shortest form, minimal non-negative integers. Only for crypto/.
 *
 * A struct rd walks the encoding; like every cursor it goes bad for good, so read all, then check `bad` once.
 */
#ifndef SILKTALK_CRYPTO_DER_H
#define SILKTALK_CRYPTO_DER_H

#include "base/base.h"

enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_SEQUENCE = 0x30 };
enum { DER_LENGTH_MAX = 65535 };                  /* content bytes; more: bad */
struct bytes der_take(struct rd *r, uint8_t tag); /* content of the next element, which must have this tag */
/* The next INTEGER as big-endian bytes without leading zeros: none for 0. Negative or not minimal: bad. */
struct bytes der_uint(struct rd *r);
/* The next element must be these very bytes. */
void der_exactly(struct rd *r, struct bytes element);
void der_end(struct rd *r); /* bad unless everything was read */

#endif
