/* lib/proto/noise_xx.h: the handshake Noise_XX_25519_ChaChaPoly_SHA256 itself, with opaque payloads;
 * proto/noise.h puts libp2p's payload on top and is what others use. Source: noiseprotocol.org, revision 34.
 *
 * The caller keeps the order: messages 1 and 3 go from the initiator to the responder, 2 the other way; then
 * split. False from read or write is final. Owner: whoever embeds it; noise_xx_wipe when done. */
#ifndef SILKTALK_PROTO_NOISE_XX_H
#define SILKTALK_PROTO_NOISE_XX_H

#include "crypto/rng.h"

enum { /* bytes of a message around its payload: public key; public key, sealed static, tag; sealed static,
          tag */
       NOISE_XX_1 = 32,
       NOISE_XX_2 = 32 + 48 + 16,
       NOISE_XX_3 = 48 + 16
};
struct noise_xx {
    uint8_t h[32], ck[32], k[32];
    uint64_t n; /* nonce of k */
    bool has_key;
    uint8_t s_secret[32], s_public[32], e_secret[32], e_public[32];
    uint8_t rs[32], re[32]; /* the peer's: rs after message 2 or 3 was read, re after 1 or 2 */
};
/* Draws 32 bytes for a static key of this handshake alone, then 32 for the ephemeral one. */
void noise_xx_start(struct noise_xx *x, struct bytes prologue, struct rng *rng);
/* With a static key pair that is there already: only the ephemeral key, 32 bytes, is drawn. */
void noise_xx_start_with(struct noise_xx *x, struct bytes prologue, const uint8_t s_secret[32],
                         const uint8_t s_public[32], struct rng *rng);
/* Appends message number 1, 2 or 3 around payload; false: out refused, or the peer's key is a low-order
 * point. */
bool noise_xx_write(struct noise_xx *x, int number, struct bytes payload, struct buf *out);
/* Reads message 1, 2 or 3; its payload (message.n - NOISE_XX_number bytes) is written to `payload`. False:
 * too short, altered, or a low-order point. */
bool noise_xx_read(struct noise_xx *x, int number, struct bytes message, uint8_t *payload);
/* The keys of both directions; wipes everything but h, rs and s_public. */
void noise_xx_split(struct noise_xx *x, uint8_t from_initiator[32], uint8_t from_responder[32]);
void noise_xx_wipe(struct noise_xx *x);

#endif
