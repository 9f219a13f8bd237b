/* lib/crypto/hash.h: SHA-256, HMAC-SHA-256 and HKDF as Noise uses it (libsodium beneath), and SHAKE-128. */
#ifndef SILKTALK_CRYPTO_HASH_H
#define SILKTALK_CRYPTO_HASH_H

#include "base/base.h"

enum { SHA256_SIZE = 32 };
struct sha256 {
    uint64_t opaque[16]; /* big enough for libsodium's state; checked there */
};
void sha256_start(struct sha256 *s);
void sha256_add(struct sha256 *s, struct bytes data);
void sha256_end(struct sha256 *s, uint8_t out[32]); /* wipes s */
void hash_sha256(struct bytes data, uint8_t out[32]);
void hash_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[32]);
/* Noise specification 4.3: HKDF(chaining_key, input_key_material, 2); out1 and out2 32 bytes each, may
 * overlap neither input. */
void hash_noise_hkdf(const uint8_t chaining_key[32], struct bytes input, uint8_t out1[32], uint8_t out2[32]);
/* SHAKE-128 (FIPS 202), n bytes of it; by libtomcrypt. */
void hash_shake128(struct bytes data, uint8_t *out, size_t n);
bool crypto_equal(const uint8_t *a, const uint8_t *b, size_t n); /* constant time */

#endif
