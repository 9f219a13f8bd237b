/* tests/fuzz/far.h: the far end of a node's connection, in the fuzzer's hands. It does the handshake as it
 * should (private network, multistream, Noise, muxer), so that what the fuzzer says reaches the node's Yamux
 * and its streams; it notes which streams the node opens, and, when `polite`, agrees to them and answers as
 * a good peer would. */
#pragma once
#include "proto/multistream.h"
#include "proto/noise.h"
#include "proto/pnet.h"
#include "tests/fuzz/fuzz.h"

enum { FAR_STREAMS = 8, FAR_SEED = 40 };
struct far_stream { /* one that the node opened */
    uint32_t id;
    char protocol[64]; /* what it proposed; "": not yet */
    struct buf said;
    bool offered; /* a file was; so many bytes are still to come */
    uint64_t left;
};
struct far {
    uint32_t id; /* of the node's connection; 0: nobody */
    bool dialer, polite, reading, failed;
    enum far_step { FAR_RAW, FAR_SECURITY, FAR_NOISE, FAR_MUXER, FAR_OPEN } step;
    const struct identity *self;
    bool early; /* agrees on the muxer inside the Noise handshake */
    struct pnet *pnet;
    struct noise noise;
    struct rng rng;
    union {
        struct multistream_listener listener;
        struct multistream_dialer dialer;
    } negotiation;
    struct buf in, plain, out; /* from the node, opened by pnet; by Noise; to the node, as on the wire */
    size_t out_sealed;         /* of out: what pnet has encrypted */
    uint32_t next_id;          /* of our next stream */
    struct far_stream streams[FAR_STREAMS];
    size_t n_streams; /* ever; the newest FAR_STREAMS are kept */
};
/* Begins. `swarm_key` NULL: none. `raw`: no handshake at all, only what is put into `out`. */
void far_begin(struct far *f, uint32_t id, bool dialer, bool raw, const struct identity *self,
               const uint8_t *swarm_key, bool early, uint64_t seed);
void far_end(struct far *f); /* frees, id 0 */
/* Bytes from the node. What is to be answered is in `out` afterwards (see far_seal). */
void far_input(struct far *f, struct bytes wire);
void far_seal(struct far *f); /* pnet over what is new in out; call before it is sent */
/* A Yamux frame with these very fields; false: not open. */
bool far_frame(struct far *f, unsigned type, unsigned flags, uint32_t id, uint32_t length,
               struct bytes payload);
/* An identify message of `self` that lists all protocols; appended with its length. */
void far_identify(const struct identity *self, struct buf *out);
