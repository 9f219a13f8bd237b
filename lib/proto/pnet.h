/* lib/proto/pnet.h: a private network's cipher below everything else on a TCP connection.
 * Source: libp2p/specs pnet/Private-Networks-PSK-V1.md; protocols.md section 5: our nonce goes out at once,
 * the peer's is never waited for with ours; a wrong key shows only as garbage in multistream-select. Owner:
 * whoever embeds it; pnet_wipe when done. */
#ifndef SILKTALK_PROTO_PNET_H
#define SILKTALK_PROTO_PNET_H

#include "crypto/aead.h"
#include "crypto/rng.h"

enum { PNET_NONCE = 24 };
struct pnet {
    uint8_t key[32];
    struct xsalsa20 out, in;
    uint8_t nonce[PNET_NONCE];
    size_t have; /* bytes of the peer's nonce that have come */
};
/* Appends our nonce to `to` (false: refused). */
bool pnet_start(struct pnet *p, const uint8_t key[32], struct rng *rng, struct buf *to);
/* Takes the peer's nonce off the front of *in if it is not complete yet, then decrypts the rest in place: *in
 * is then plaintext. `data` must be what in->p points to, writable. */
void pnet_input(struct pnet *p, uint8_t *data, struct bytes *in);
void pnet_output(struct pnet *p, uint8_t *data,
                 size_t n); /* encrypts in place, once, in the order of sending */
void pnet_wipe(struct pnet *p);

#endif
