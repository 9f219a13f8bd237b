/* lib/crypto/peer_key.h: the key types that a peer may bring and we do not use ourselves, one file each,
 * behind public_key_read and public_key_verify of crypto/key.h. Only for crypto/.
 *
 * `data` is the Data field of a PublicKey message. x_check: well-formed and in range, before any arithmetic
 * on the numbers in it; E_INPUT or E_LIMIT with the reason. x_verify: the check again, then the signature
 * over `message`; false for any fault, memory included. crypto_open must have been called. */
#ifndef SILKTALK_CRYPTO_PEER_KEY_H
#define SILKTALK_CRYPTO_PEER_KEY_H

#include "base/base.h"

enum { RSA_BITS_LEAST = 2048, RSA_BITS_MOST = 8192 };
#define RSA_EXPONENT_MOST 0x7fffffffu

/* DER SubjectPublicKeyInfo of an RSA key; RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017). */
enum err peer_rsa_check(struct bytes data, struct why *w);
bool peer_rsa_verify(struct bytes data, struct bytes message, struct bytes signature);

/* DER SubjectPublicKeyInfo of an uncompressed P-256 point; ECDSA over SHA-256, DER signature. The check does
 * not try whether the point is on the curve, verify does. */
enum err peer_ecdsa_check(struct bytes data, struct why *w);
bool peer_ecdsa_verify(struct bytes data, struct bytes message, struct bytes signature);

/* A compressed point of 33 bytes; ECDSA over SHA-256, DER signature, with high or low s as go-libp2p takes
 * both. */
enum err peer_secp256k1_check(struct bytes data, struct why *w);
bool peer_secp256k1_verify(struct bytes data, struct bytes message, struct bytes signature);

#endif
