/* lib/crypto/vector.h: what the processor has beyond its architecture's minimum, and the code for it:
 * ChaCha20-Poly1305 and the blocks of SHA-256 as BoringSSL has them in assembly, taken from ring. For aead.c
 * and hash.c only; where `vector` says no, these use libsodium. */
#ifndef SILKTALK_CRYPTO_VECTOR_H
#define SILKTALK_CRYPTO_VECTOR_H

#include "base/base.h"

struct vector {
    bool chacha20_poly1305; /* AVX2 and BMI2 */
    bool sha256;            /* SHA-NI */
};
/* All false until vector_detect, which crypto_open calls. Tests switch parts of it off. */
extern struct vector vector;
void vector_detect(void);

/* The rest as in aead.h; may only be called when `vector` has it. */
void vector_aead_seal(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes ad,
                      struct bytes plain);
bool vector_aead_open(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes ad,
                      struct bytes sealed);
/* n blocks of 64 bytes into the eight words of the state. */
void vector_sha256(uint32_t state[8], const uint8_t *blocks, size_t n);

#endif
