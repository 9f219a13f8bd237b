/* tests/interop/wire.h: one connection over lib/net and lib/proto, without a node: private network, security,
 * muxer. What is wrong ends the program, with the reason on standard error. */
#ifndef SILKTALK_TESTS_INTEROP_WIRE_H
#define SILKTALK_TESTS_INTEROP_WIRE_H

#include "loop/clocks.h"
#include "net/tcp.h"
#include "proto/multistream.h"
#include "proto/noise.h"
#include "proto/pnet.h"
#include "proto/yamux.h"

enum {
    WIRE_READ = 65536,      /* bytes asked of the socket at a time */
    WIRE_TX_HIGH = 262144,  /* sealed bytes that wait for the socket: streams make no more */
    WIRE_STREAMS_MAX = 256, /* YAMUX_UNACKED_MAX */
    WIRE_CHUNK = 32768      /* bytes that a stream makes at a time */
};

struct wire {
    int fd;
    bool inbound;         /* the other end dialled: when it goes, the program ends well */
    struct mono deadline; /* of all together */
    struct rng rng;
    struct identity self;
    struct peer_id peer; /* the dialled one */
    bool private_network;
    uint8_t swarm_key[32];
    uint32_t window_max;
    /* The owner's: what an event means; and streams write what they have, true if any could. */
    void (*event)(struct wire *w, const struct yamux_event *ev);
    bool (*fill)(struct wire *w);
    void *user;
    /* inner */
    struct pnet pnet;
    struct noise noise;
    struct yamux mux;
    struct buf rx, tx;
    size_t tx_encrypted; /* by the private network's cipher, from the front of tx */
    bool pong;
};

void die(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((noreturn));
void must(enum err e, const struct why *w, const char *what);
void must_be(bool truth, const char *what);

void wire_start(struct wire *w); /* fd is connected: all of the handshake */
/* One round: streams send what they can, the socket takes and gives what it can, input becomes events. */
void wire_round(struct wire *w);
/* The peer has answered a ping of the muxer: it has read all that was sent before, and the connection lives.
 */
void wire_settle(struct wire *w);
void wire_leave(struct wire *w);

int serve(struct wire *w, const char *at); /* wire_serve.c */

#endif
