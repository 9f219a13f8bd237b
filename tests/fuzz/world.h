/* tests/fuzz/world.h: what surrounds a node under the fuzzer: far ends, a store that answers from memory, the
 * effects that wait for an answer. The fuzzer decides what happens; everything else follows. */
#pragma once
#include "node/control.h" /* a target may look inside: the list of methods */
#include "tests/fuzz/far.h"

enum { WORLD_FARS = 6, WORLD_WHO = 4, WORLD_WAITING = 32, WORLD_MESSAGES = 8 };
struct world {
    struct node *node;
    struct log log;
    struct identity self, who[WORLD_WHO];
    uint8_t swarm_key[32];
    bool private, by_hand; /* by_hand: the store answers only when the fuzzer says so */
    struct clocks now;
    struct far fars[WORLD_FARS];
    size_t next_far;
    struct node_effect dials[WORLD_WAITING], resolves[WORLD_WAITING];
    size_t n_dials, n_resolves;
    struct store_op *ops[WORLD_WAITING];
    size_t n_ops;
    struct kept { /* a message in the outbox or the inbox */
        struct peer_id peer;
        int64_t seq;
        uint8_t id[MESSAGE_ID];
        struct buf frame;
        bool inbox;
    } kept[WORLD_MESSAGES];
    size_t n_kept;
    int64_t last_seq;
    uint8_t last_id[MESSAGE_ID]; /* of the message the node has stored last */
    struct kept_file {           /* the one file that the store knows */
        struct peer_id peer;
        int64_t seq;
        uint8_t id[MESSAGE_ID];
        uint64_t size;
        bool ours; /* we send it */
        struct buf offer;
    } file;
    bool reload_asked;
    /* The allocation that fails, -1: none: of the next bytes that a connection gets, of the next turn, of the
     * next answer of the store. */
    long fail_after, fail_tick, fail_stored;
};
bool world_begin(struct world *w, const char *ini, bool private, bool by_hand);
void world_end(struct world *w);
/* Lets everything go on until nothing happens any more. */
void world_run(struct world *w);
struct far *world_far(struct world *w, uint8_t which); /* one that exists, or NULL */
/* A place for a new far end; the oldest one hangs up if there is none. */
struct far *world_free_far(struct world *w);
/* Answers one operation as a good store would; or badly: `error`, or OK with `out` for its rows. */
void world_store(struct world *w, size_t i);
void world_store_badly(struct world *w, size_t i, enum err error, struct bytes out);
void world_dialed(struct world *w, size_t i, uint8_t how);
/* Gives bytes to the node as if they had come from the socket. */
void world_deliver(struct world *w, uint32_t id, struct bytes wire);
/* Text with marks for what the fuzzer cannot guess: 1 to 4 are Peer IDs, 5 the last message's id, 6 a whole
 * address, 7 a name's. */
void world_text(const struct world *w, struct bytes marked, struct buf *out);
