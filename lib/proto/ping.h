/* lib/proto/ping.h: /ipfs/ping/1.0.0 and /perf/1.0.0 on one stream each, both ends.
 * Sources: libp2p/specs ping/ping.md, perf/perf.md; protocols.md section 9. */
#ifndef SILKTALK_PROTO_PING_H
#define SILKTALK_PROTO_PING_H

#include "crypto/rng.h"

enum { PING_SIZE = 32 };

struct ping_server {
    uint8_t block[PING_SIZE];
    size_t n;
};
/* Takes all of in, echoes whole blocks to out. False: out refused (try again with the rest: *in says what is
 * left). */
bool ping_server_input(struct ping_server *p, struct bytes *in, struct buf *out);

struct ping_client {
    uint8_t sent[PING_SIZE];
    size_t matched;
    struct mono at; /* when the present one was sent; 0: none is out */
    int64_t rtt_us; /* of the last one answered */
    uint32_t answered;
};
bool ping_client_send(struct ping_client *p, struct rng *rng, struct mono now, struct buf *out);
/* E_PROTO: not our bytes. *done: the one that was out is answered. */
enum err ping_client_input(struct ping_client *p, struct bytes *in, struct mono now, bool *done);

/* perf: u64 BE of bytes wanted, upload until half-close, then exactly so many bytes come back. */
struct perf_server {
    uint8_t head[8];
    size_t head_n;
    uint64_t received, to_send;
    bool sending;
};
void perf_server_input(struct perf_server *p, struct bytes in, bool finished); /* takes all */
/* Appends up to room bytes of what is still to send; true when all of it has been given: half-close then. */
bool perf_server_fill(struct perf_server *p, struct buf *out, size_t room);

struct perf_client {
    uint64_t to_send, wanted, received;
    bool head_sent, upload_done;
};
void perf_client_start(struct perf_client *p, uint64_t upload, uint64_t download);
bool perf_client_fill(struct perf_client *p, struct buf *out, size_t room); /* true: half-close now */
enum err perf_client_input(struct perf_client *p, struct bytes in, bool finished, bool *done);

#endif
