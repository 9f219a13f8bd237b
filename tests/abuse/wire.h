/* tests/abuse/wire.h: the far end of a node's TCP connection, in an attacker's hands: blocking, either role,
 * with each layer's rules kept or broken as asked. One attack is one function over this (attacks.h). */
#pragma once
#include "base/mem.h"
#include "base/pb.h"
#include "crypto/key.h"
#include "proto/noise_xx.h"
#include "proto/pnet.h"

enum { DATA, WINDOW, PING, GOAWAY, SYN = 1, ACK = 2, FIN = 4, RST = 8, WINDOW_SIZE = 262144 };

struct target { /* of this run, from the command line */
    char host[64];
    unsigned port;
    bool listening; /* we wait for the node to dial us */
    int listener;
    const uint8_t *swarm_key;    /* NULL: none */
    struct identity self, other; /* ours; one that is not ours to use */
    struct rng rng;
    size_t count;     /* repeats, as the attack understands it */
    const char *from; /* our address, NULL: any */
};

/* What is wrong with the handshake; all zero: nothing. */
struct faults {
    int message; /* the one that is altered: 1, 2, 3; 4: the first frame after the handshake */
    size_t at;   /* at this byte, its length included */
    const char *prologue;
    bool low_e, low_s;
    enum { SIGNED_WELL, SIGNED_EMPTY, SIGNED_ALTERED, SIGNED_FOREIGN, SIGNED_REPLAYED, SIGNED_NOT } signature;
    struct bytes key;                  /* instead of our encoded public key */
    struct bytes payload;              /* instead of the whole payload */
    struct bytes message_1, message_3; /* sent as they are */
    unsigned length; /* of the message with number `message`: announced instead of the true one */
    bool no_muxer;   /* an early muxer that the node has not */
};

struct wire {
    struct target *t;
    int fd;
    bool dialer, private, open; /* open: the handshake is through */
    struct pnet pnet;
    struct noise_xx xx;
    uint8_t send_key[32], receive_key[32];
    uint64_t send_n, receive_n;
    struct buf in, plain;      /* from the node: below Noise; above it */
    struct buf sent_1, sent_3; /* handshake messages as they went, for a replay */
    enum { ALIVE, SHUT, BROKEN, SILENT } end;
    bool gone; /* GoAway came, with: */
    uint32_t code;
    size_t resets, pongs, acks, data; /* frames from the node; bytes of data */
    uint32_t next_id;
};
struct frame {
    unsigned type, flags;
    uint32_t id, length;
    struct bytes data; /* until the next wire_frame */
};

void wire_fail(const char *format, ...)
    __attribute__((format(printf, 1, 2), noreturn)); /* exit 2: the test is broken */
int wire_listen(unsigned *port);
void wire_begin(struct wire *w, struct target *t); /* connects, or accepts; nothing is said yet */
void wire_end(struct wire *w);
void wire_send(struct wire *w, struct bytes raw); /* below Noise (and through pnet, when there is one) */
void wire_raw(struct wire *w, struct bytes raw);  /* on the socket itself */
/* A byte each `ms` milliseconds, until the node has had enough or they are all out. */
void wire_trickle(struct wire *w, struct bytes raw, int ms);
/* Reads what has come, at most ms milliseconds; false: nothing more (w->end says why, SILENT only here). */
bool wire_fill(struct wire *w, int ms);
bool wire_multistream(struct wire *w, const char *protocol);
/* Security and muxer, as w's role has it, with these faults. False: the node ended it. */
bool wire_handshake(struct wire *w, const struct faults *f);
void wire_open(struct wire *w, struct target *t);     /* begin and a good handshake; exits when that fails */
void wire_sealed(struct wire *w, struct bytes plain); /* a Noise frame */
void wire_frame(struct wire *w, unsigned type, unsigned flags, uint32_t id, uint32_t length,
                struct bytes data);
bool wire_next(struct wire *w, struct frame *f, int ms);    /* the node's next frame, pings answered */
uint32_t wire_stream(struct wire *w, const char *protocol); /* opens one and agrees (data may follow) */
/* Reads until the connection ends or ms are over. */
void wire_drain(struct wire *w, int ms);
/* What stream id says from now on, agreement lines left out; until its end, ms, or `max` bytes. */
size_t wire_hear(struct wire *w, uint32_t id, uint8_t *to, size_t max, int ms, unsigned *flags);
void wire_report(struct wire *w, const char *more); /* one line on stdout */
extern const struct bytes nothing;
