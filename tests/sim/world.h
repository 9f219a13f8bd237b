/* tests/sim/world.h: many nodes in one process on virtual time: each with the daemon's own objects (struct
 * node over lib/store over SQLite, real Noise), joined by a network and a disk that fail in every way a seed
 * can choose.
 *
 * What ops/daemon*.c does with sockets and a thread is done here by events of one queue: bytes that arrive,
 * dials that end, a commit that is on disk, a node's deadline. Nothing but the seed and the calls made
 * decides what happens: `trace` is a hash of all of it, equal for equal seeds.
 *
 *     struct world *w = world_new(7, &(struct sim_network){.delay_us = 500});
 *     size_t a = world_add(w, ""), b = world_add(w, "[messages]\nfrom = any\n");
 *     world_start(w, a); world_start(w, b);
 *     world_ask(w, a, "connect", "{\"peer\":\"%s\"}", world_address(w, b));
 *     world_run(w, 5000);
 *     world_free(w);
 *
 * Our own mistakes (no memory, a node that does not start) end the process with a sentence. */
#pragma once
#include "node/core.h"
#include "store/db_query.h"
#include "tests/sim/disk.h"

#define SIM_SPOOL DISK_ROOT "/spool"
enum { SIM_BACKLOG = 64, SIM_PORT = 4001, SIM_NOWHERE = 200 }; /* address number that nobody answers at */

struct sim_network {
    int64_t delay_us, jitter_us; /* one way */
    uint64_t bytes_per_s;        /* of one connection, each way; 0: no limit */
    size_t window;               /* bytes that may be on their way unread; 0: 256 KiB */
    bool odd_reads;              /* a reading gives some of what is there */
    int64_t grain_us;            /* events come at multiples of it: several in one turn; 0: 1 us */
    int64_t commit_us;           /* a commit takes so long, and up to twice that; 0: 2 ms */
};
struct wire_end {
    struct wire *wire;
    size_t node;
    uint32_t id; /* the node's number of the connection */
    uint8_t key[4];
    bool attached;   /* the node has it */
    bool blocked;    /* it has output that the window did not take */
    bool stalled;    /* bytes are there that the node does not read now */
    bool finished;   /* the far end sends no more: hang up behind `in` */
    bool closed;     /* by its node, in order: what still comes is read by nobody, and no error */
    struct buf in;   /* on their way to this end, and arrived, from in_at on */
    size_t in_at;
    size_t ready;    /* arrived */
    size_t lost;     /* bytes that the system holds for a silent wire */
    int64_t last_us; /* arrival of the last */
};
struct wire { /* one TCP connection */
    struct world *world;
    struct wire_end ends[2]; /* who dialled, who accepted */
    uint32_t slot, gen;
    struct endpoint to, from;
    bool silent;    /* what is sent gets lost, and nobody is told */
    bool connected; /* the dialler knows */
    bool queued;    /* in the backlog */
    bool open;
};
struct sim_node {
    struct world *world;
    size_t index;
    struct identity self;
    char id[PEER_TEXT_MAX];
    char *ini;
    bool up, powered; /* not powered: nobody answers for its address */
    bool stopping;
    uint32_t life; /* counts starts */
    struct node *node;
    struct log log;
    struct db *db;
    struct disk disk;
    struct rng rng;
    uint8_t swarm_key[32];
    bool private_network;
    int64_t wall_offset_ms;
    struct store_op *todo, *doing;
    size_t waiting;
    bool storing;
    int64_t commit_us; /* 0: the network's */
    struct mono timer;
    int64_t timer_at; /* of the event that is queued */
    struct map ends;  /* struct wire_end by id */
    struct wire *backlog[SIM_BACKLOG];
    size_t n_backlog, n_stalled;
    uint64_t turns, busy_turns;
    int64_t busy_since;
    struct buf answer; /* the last one to world_ask's client */
    bool answered;
    uint64_t fuse; /* of trace: lines logged */
};
struct sim_event {
    int64_t at;
    uint64_t order;
    enum sim_event_kind {
        SIM_TIMER,
        SIM_STORED,
        SIM_IDLE,
        SIM_SYN,
        SIM_CONNECTED,
        SIM_REFUSED,
        SIM_ARRIVE,
        SIM_FIN,
        SIM_RESET,
        SIM_WRITE,
        SIM_READ,
        SIM_CALL
    } kind;
    uint32_t node, life, slot, gen;
    int side;
    size_t n;
    void (*call)(struct world *w, void *user, uint64_t arg);
    void *user;
};
enum sim_route { ROUTE_NORMAL, ROUTE_REFUSED, ROUTE_SILENT };
struct world {
    uint64_t seed, trace, events, order;
    struct rng rng;
    int64_t now_us;
    struct sim_network net;
    struct sim_node **nodes;
    size_t n_nodes;
    struct sim_event *heap;
    size_t n_heap, cap_heap;
    struct wire **wires; /* by slot; NULL: free */
    uint32_t *gens;
    size_t n_wires;
    uint8_t *group; /* by node: nodes of different groups do not reach each other */
    bool split;
    bool verbose;
    char files_at[200];   /* nodes keep large files in real folders below it; "": they keep none */
    bool simulated_files; /* instead: on their disks, and a spool too, in a program linked with posix.c */
    int request_fd;       /* goes along with the next request; -1: none (the node closes it) */
    int answer_fd;        /* came with the last answer, closed with the next; -1: none */
    unsigned poor;        /* of a thousand steps of a node: one of its next allocations is refused */
    uint64_t limit_breaks;
    char broken[512]; /* the first thing found wrong; "": none */
    /* Hooks; NULL: none. */
    void *user;
    void (*on_answer)(struct world *w, size_t node, uint32_t client, struct bytes line);
    /* EFFECT_POST; the owner calls node_posted. NULL: the webhook is told all */
    void (*on_post)(struct world *w, size_t node, uint32_t id, struct bytes body);
    void (*on_store)(struct world *w, size_t node, struct store_op *op, bool done); /* given; done */
    void (*on_end)(struct world *w, size_t node); /* the process ends, in whatever way */
    void (*on_turn)(struct world *w, size_t node);
    enum sim_route (*route)(struct world *w, size_t from, const struct endpoint *to, size_t *node,
                            int64_t *delay_us);
    bool (*resolve)(struct world *w, const struct node_effect *ask, struct node_resolved *out);
};
struct world *world_new(uint64_t seed, const struct sim_network *net);
/* Frees all. Returns how many blocks of mem.h are left of those taken since world_new: 0 without leaks. */
size_t world_free(struct world *w);

size_t world_add(struct world *w, const char *ini); /* a node with this configuration; not started */
void world_config(struct world *w, size_t node, const char *ini); /* at the next start, or world_reload */
bool world_reload(struct world *w, size_t node,
                  const char *ini); /* a running node takes it; false: it is bad */
void world_start(struct world *w, size_t node);
/* Ends a node at once. The process alone (the system answers for it and loses nothing), or the power. */
void world_kill(struct world *w, size_t node);
void world_cut(struct world *w, size_t node, enum disk_loss loss);
void world_stop(struct world *w, size_t node); /* gracefully; takes as long as it takes, until !up */

struct endpoint world_endpoint(size_t node, unsigned number); /* 10.number.x.y, from 100 on fd00::number:x */
/* "/ip4/10.0.0.1/tcp/4001/p2p/12D3..." in a ring of static texts. */
const char *world_address(struct world *w, size_t node);
struct peer *world_peer(struct world *w, size_t of, size_t node); /* the entry of its peer book, or NULL */
bool world_connected(struct world *w, size_t a, size_t b);        /* a sees an open connection to b */

void world_run(struct world *w, int64_t ms);
/* Runs until `done` says so, at most `ms`; false: it did not. */
bool world_until(struct world *w, int64_t ms, bool (*done)(struct world *w, void *user), void *user);
void world_call(struct world *w, int64_t in_us, void (*call)(struct world *, void *, uint64_t), void *user,
                uint64_t arg);
void world_tell(struct world *w, size_t node, uint32_t client, struct bytes line); /* a control request */
/* A request, and its answers up to the last (valid until the next one of that node); NULL when none came
 * within a minute. */
const char *world_ask(struct world *w, size_t node, const char *method, const char *params, ...)
    PRINTF_LIKE(4, 5);
void world_turn(struct world *w, struct sim_node *n);
void world_poor(struct world *w, bool begin); /* around what the node does, where memory may be refused */
struct clocks world_clocks(const struct world *w, const struct sim_node *n);
void world_break(struct world *w, const char *format, ...) PRINTF_LIKE(2, 3);
void world_trace(struct world *w, struct bytes what);

/* Rows of a node's database; the node may be up or down. */
struct sim_row {
    char peer[PEER_TEXT_MAX];
    uint8_t id[MESSAGE_ID];
    bool failed; /* outbox */
    char error[64];
    int64_t seq;
    struct bytes body, file; /* for the call; file: its name, "": a message */
};
void world_rows(struct world *w, size_t node, bool inbox, void (*each)(void *user, const struct sim_row *row),
                void *user);
size_t world_count(struct world *w, size_t node, const char *sql); /* the first column of the first row */

/* ---- the network (net.c) */
void wire_effect(struct sim_node *n, const struct node_effect *e);
void wire_event(struct world *w, const struct sim_event *e);
void wire_accept(struct sim_node *n);          /* what waits, if the node accepts */
void wire_flush(struct sim_node *n);           /* writes what the node has */
void wire_resume(struct sim_node *n);          /* reads what the node did not read before */
void wire_crash(struct sim_node *n, bool say); /* say: the far ends are told at once */
void wires_free(struct world *w);
void wires_cut(struct world *w, size_t node, size_t other, bool silent); /* breaks connections between two */
bool world_reaches(const struct world *w, size_t a, size_t b);
void world_push(struct world *w, struct sim_event e);
int64_t world_delay(struct world *w);
