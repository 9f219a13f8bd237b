/* lib/crypto/aead.h: ChaCha20-Poly1305 (RFC 8439, IETF nonce) and XSalsa20 streams, by libsodium, the former
 * by vector.h where the processor has what that needs. */
#ifndef SILKTALK_CRYPTO_AEAD_H
#define SILKTALK_CRYPTO_AEAD_H

#include "base/base.h"

enum { AEAD_KEY = 32, AEAD_TAG = 16 };
/* Noise nonce: 4 zero bytes, then the 64-bit counter little-endian. out gets plain.n + AEAD_TAG bytes; out
 * may be plain.p (in place). */
void aead_seal(uint8_t *out, const uint8_t key[32], uint64_t counter, struct bytes ad, struct bytes plain);
/* sealed.n >= AEAD_TAG else false; out gets sealed.n - AEAD_TAG bytes; out may be sealed.p. False: forged,
 * out is then undefined. */
bool aead_open(uint8_t *out, const uint8_t key[32], uint64_t counter, struct bytes ad, struct bytes sealed);

/* One direction of a private network's cipher: XSalsa20 keystream from counter 0, XORed over bytes in pieces
 * of any length. Source: libp2p/specs pnet/Private-Networks-PSK-V1.md. */
struct xsalsa20 {
    uint8_t key[32], nonce[24], block[64];
    uint64_t counter; /* next 64-byte block */
    size_t left;      /* unused bytes at the end of block */
};
void xsalsa20_init(struct xsalsa20 *x, const uint8_t key[32], const uint8_t nonce[24]);
void xsalsa20_xor(struct xsalsa20 *x, uint8_t *data, size_t n); /* in place */

/* X25519 (RFC 7748). dh: false when the result is all zero (low-order point): the handshake must fail. */
void x25519_keypair(const uint8_t random[32], uint8_t secret[32], uint8_t public[32]);
bool x25519_dh(uint8_t out[32], const uint8_t secret[32], const uint8_t public[32]);

#endif
