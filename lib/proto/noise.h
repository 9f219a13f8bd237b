/* lib/proto/noise.h: Noise_XX_25519_ChaChaPoly_SHA256 with libp2p's payload: who the peer is, and which
 * muxer. Sources: noiseprotocol.org rev 34; libp2p/specs noise/README.md,
 * connections/inlined-muxer-negotiation.md.
 *
 * Bytes of the connection in, handshake messages out; afterwards frames are opened and sealed. The peer's
 * identity signature must cover the static key of this very handshake; as initiator the peer id must be the
 * dialed one.
 * Owner: whoever embeds it; noise_wipe when done. Errors are final. */
#ifndef SILKTALK_PROTO_NOISE_H
#define SILKTALK_PROTO_NOISE_H

#include "crypto/key.h"
#include "proto/noise_xx.h"

enum {
    NOISE_FRAME_MAX = 65535,  /* bytes after the 2-byte length */
    NOISE_PLAIN_MAX = 65519,  /* of one frame: its maximum less the tag */
    NOISE_OVERHEAD = 18,      /* length and tag of one frame */
    NOISE_PAYLOAD_MAX = 4096, /* handshake payload of a peer: an RSA 8192 key and signature need 2.2 KiB */
    NOISE_MUXERS_MAX = 16,    /* names in a payload; more: ignored */
    NOISE_EARLY_MAX = 64      /* bytes of a muxer's name; longer ones are ignored */
};
/* Our static key with the identity's signature over it. One may serve all handshakes of a process
 * (libp2p/specs noise/README.md, "Static Key Authentication"): its secret lies in the memory that the
 * identity's lies in too, and what keeps past connections secret are the ephemeral keys. */
struct noise_static {
    uint8_t secret[32], public[32], signature[64];
};
void noise_static_make(struct noise_static *s, const struct identity *self, struct rng *rng);
void noise_static_wipe(struct noise_static *s);

struct noise {
    enum noise_state { NOISE_WAIT_1, NOISE_WAIT_2, NOISE_WAIT_3, NOISE_DONE, NOISE_DEAD } state;
    bool initiator;
    bool any_peer;               /* initiator: take whatever identity shows up (connect without /p2p/) */
    const struct identity *self;    /* borrowed */
    const struct noise_static *own; /* borrowed until NOISE_DONE; NULL: drawn and signed for this handshake */
    struct peer_id expected;     /* initiator: the dialed peer, n 0 with any_peer */
    struct peer_id peer;         /* who it is, from NOISE_DONE on */
    enum key_type peer_key_type;
    const char *const *muxers; /* NULL-terminated, ours, in order of preference; borrowed */
    const char *muxer;         /* from NOISE_DONE on: the early agreement, or NULL: use multistream */
    struct noise_xx xx;        /* the handshake's own state */
    uint8_t send_key[32], receive_key[32];
    uint64_t send_n, receive_n;
    struct why why; /* E_VERIFY: not who it should be; E_PROTO: broken */
};
/* `own`: of `self`, or NULL: see there. `expected` NULL (or n 0): any peer will do, as always for the
 * responder. `muxers` NULL or empty: no early agreement is offered. The initiator's first message is appended
 * to `out` at once. */
enum err noise_start(struct noise *z, bool initiator, const struct identity *self,
                     const struct noise_static *own, const struct peer_id *expected,
                     const char *const *muxers, struct rng *rng, struct buf *out);
/* Handshake: takes whole messages off *in, appends replies to out; OK while nothing is wrong (look at state).
 * Bytes behind the handshake stay in *in. */
enum err noise_input(struct noise *z, struct bytes *in, struct buf *out);
/* After NOISE_DONE: opens the next whole frame at the front of *in, in place (in->p must be writable memory:
 * `data` == in->p), and gives its plaintext as a view into it. *plain.n 0 with OK and `*whole` false: more
 * bytes are needed. An empty frame is legal (whole true, n 0). E_PROTO: short frame, bad tag. */
enum err noise_open(struct noise *z, uint8_t *data, struct bytes *in, struct bytes *plain, bool *whole);
/* Seals plain of any length as frames of at most NOISE_PLAIN_MAX, appended to out: all of it or nothing
 * (E_LIMIT: out refused, call again when there is room; the keys have not moved). No bytes: no frame. plain
 * may not lie in out. */
enum err noise_seal(struct noise *z, struct bytes plain, struct buf *out);
void noise_wipe(struct noise *z);

#endif
