/* lib/node/core.h: the node's insides, for the files of lib/node alone. One place for the structs, so that
 * each module (connection, stream, swarm, peers, access, messenger, control) stays a set of functions over
 * them.
 *
 *   connection.c  one connection: private network, multistream, Noise, Yamux; output
 *   stream.c      one stream: negotiation, then its protocol's handler (identify, ping, perf, message)
 *   swarm.c       who to connect to: dials that race addresses, backoff, bootstrap, limits, trimming
 *   peers.c       the peer book: ids, names, addresses, what is remembered of each
 *   access.c      who may connect, who may send
 *   messenger.c   outbox and inbox: lanes that send, streams that receive
 *   alerts.c      who is told when that changes
 *   health_node.c is the node well: its numbers, maintenance, results of checks
 *   control*.c    requests of the CLI
 *
 * Nothing here frees what its caller still uses: connections, streams and dials are marked dead and swept by
 * node_tick. */
#ifndef SILKTALK_NODE_CORE_H
#define SILKTALK_NODE_CORE_H

#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/alert.h"
#include "node/event_history.h"
#include "node/figures.h"
#include "node/health.h"
#include "node/node.h"
#include "node/recent.h"
#include "proto/file.h"
#include "proto/identify.h"
#include "proto/multistream.h"
#include "proto/noise.h"
#include "proto/ping.h"
#include "proto/pnet.h"
#include "proto/yamux.h"

enum {
    CONN_TX_MAX = 4 << 20, /* sealed bytes that may wait for the socket; reached: the connection is closed */
    CONN_TX_HIGH = 256 << 10, /* above: streams are not asked for more */
    CONN_RX_MAX = 256 << 10,  /* one reading; a partial frame (64 KiB) may stay */
    MUX_OUT_MAX = 128 << 10,  /* plain frames waiting to be sealed */
    SPARE_MAX = 512 << 10,    /* memory of one kind kept for the next one that writes */
    STREAM_RX_MAX = 16 << 20, /* bytes a handler has not taken yet; bounded by the window anyway */
    STREAM_TX_MAX = 8 << 20,  /* bytes a handler queued that have no credit yet */
    STREAM_NEGOTIATE_MS = 10000,
    STREAM_PATIENCE_MS = 120000, /* the same for our own streams, while the connection moves bytes */
    IDENTIFY_MS = 10000,
    PING_MS = 10000,
    TRACES_MAX = 24,          /* of one peer, for `explain` */
    LANE_BYTES_MAX = 8 << 20, /* message bytes of one lane kept in memory */
    RACE_MS = 250,
    RACE_CONNECTED_MS = 1000,
    DNSADDR_DEPTH = 4,
    DNS_RESULTS_MAX = 100
};

/* ---- peers */
enum peer_flag {                    /* kept in the store; numbers are for ever */
                 PEER_OPERATOR = 1, /* `connect`ed by the operator */
                 PEER_NAMED = 2,
                 PEER_ALLOWED = 4,
                 PEER_WRITTEN_TO = 8
};
struct peer_address {
    uint8_t *p; /* binary multiaddr, without /p2p/ of the peer itself */
    size_t n;
    bool certified,
        operator_given;   /* from a signed record; from the operator or the configuration: kept longest */
    unsigned fails;       /* in a row */
    struct mono next_try; /* backoff */
    struct wall last_ok;
};
struct trace { /* one step that `explain` shows */
    struct wall at;
    char step[16], addr[96], result[16], detail[96];
};
struct peer {
    struct peer_id id;
    char text[PEER_TEXT_MAX]; /* base58 */
    char *name;               /* or NULL */
    uint32_t flags;           /* enum peer_flag */
    bool bootstrap, trusted;  /* by the present configuration */
    bool dirty;               /* to be written to the store */
    struct peer_address *addrs;
    size_t n_addrs;
    char *agent;      /* escaped text, or NULL */
    char **protocols; /* what identify listed, or NULL */
    size_t n_protocols;
    uint64_t record_seq;
    struct wall first_seen, last_seen;
    struct connection *connections; /* open ones, by next_of_peer */
    size_t n_connections;
    struct dial *dial; /* running, or NULL */
    unsigned dial_fails;
    unsigned short_ends; /* connections in a row that ended soon */
    bool told_unreachable;
    struct mono next_dial;  /* automatic redial not before */
    struct mono rest_until; /* the same, when it is for no mail */
    struct trace *traces;  /* ring of TRACES_MAX, allocated at the first */
    size_t n_traces;       /* ever written */
    struct lane *lane;     /* sending, or NULL */
    size_t files_out;      /* files that are to be sent to it */
    uint64_t files_turn;   /* of file_queue_tick: one of them was moving then */
    struct bucket {
        int64_t micro_tokens;
        struct mono at;
    } rate; /* messages in */
    struct mono push_window;
    uint32_t pushes;
};

/* ---- connections */
enum conn_state { CONN_DIALING, CONN_SECURING, CONN_MUXING, CONN_OPEN, CONN_CLOSING, CONN_DEAD };
struct upgrade; /* handshake state, freed once open */
struct connection {
    struct node *node;
    uint32_t id;
    uint8_t id_key[4];
    enum conn_state state;
    bool inbound, trusted, dirty, got_bytes, told_goaway, queued_close, operator_dial;
    struct endpoint remote, local;
    struct peer *peer;                             /* from CONN_OPEN on */
    struct connection *next_of_peer, *next, *prev; /* all connections */
    struct connection *next_dirty;
    struct dial *dial; /* outbound, until open */
    size_t dial_index; /* candidate in it */
    struct upgrade *upgrade;
    struct pnet *pnet;
    struct noise noise;
    struct yamux mux;
    struct buf rx, tx;
    size_t rx_plain;            /* bytes at the front of rx that the private network's cipher has opened */
    size_t tx_at, tx_encrypted; /* sent so far; pnet-encrypted so far (offsets into tx) */
    struct stream *streams;
    size_t n_streams;
    struct mono opened, used, deadline; /* deadline: handshake, or of the closing */
    struct mono began;                  /* the handshake; 0: it did not come to that */
    struct mono stuck;                  /* since then the socket takes no more of tx; 0: it took all */
    struct wall since;
    uint64_t bytes_in, bytes_out;
    bool identified;
    struct why why; /* reason of the end */
};

/* ---- streams */
/* Symbol, name, handler. perf is the last: without network.perf it is not offered. */
#define PROTOCOLS(X)                                                                                         \
    X(PROTOCOL_IDENTIFY, "/ipfs/id/1.0.0", identify_handler)                                                 \
    X(PROTOCOL_PUSH, "/ipfs/id/push/1.0.0", push_handler)                                                    \
    X(PROTOCOL_PING, "/ipfs/ping/1.0.0", ping_handler)                                                       \
    X(PROTOCOL_MESSAGE, MESSAGE_PROTOCOL, message_handler)                                                   \
    X(PROTOCOL_FILE, FILE_PROTOCOL, file_handler)                                                            \
    X(PROTOCOL_PERF, "/perf/1.0.0", perf_handler)
#define PROTOCOL_SYMBOL(symbol, name, handler) symbol,
enum protocol { PROTOCOLS(PROTOCOL_SYMBOL) PROTOCOL_COUNT };
struct stream {
    struct connection *connection;
    struct yamux_stream *y;
    struct stream *next;
    bool inbound, negotiated, fin_in, fin_out, dead, ready; /* ready: wants stream_run */
    enum protocol protocol;                                 /* when negotiated, or what we ask for */
    union {
        struct multistream_listener listener;
        struct multistream_dialer dialer;
    } negotiation;
    struct buf rx, tx;
    size_t want;          /* bytes that the handler needs together: rx is credited to the peer up to there */
    size_t credited;      /* bytes at the front of rx that were credited already */
    size_t withheld;      /* bytes that the handler took, and whose credit waits for network.maxDownload */
    struct mono deadline; /* 0: none */
    struct mono opened;
    void *state;     /* the handler's */
    uint64_t serial; /* unique for the process: the tag of its store operations */
};
/* What a protocol does with a stream. Each returns OK, or an error: the stream is reset then. Handlers never
 * free the stream. */
struct protocol_handler {
    enum err (*open)(struct stream *s);                     /* negotiated (outbound: proposal sent) */
    enum err (*input)(struct stream *s, struct bytes *in);  /* takes what it can; s->fin_in tells the end */
    enum err (*output)(struct stream *s);                   /* tx has room: may write more */
    enum err (*tick)(struct stream *s);                     /* deadline is over; NULL: E_TIMEOUT */
    void (*close)(struct stream *s, const struct why *why); /* the end, once; frees state */
};
#define PROTOCOL_HANDLER(symbol, name, handler) extern const struct protocol_handler handler;
PROTOCOLS(PROTOCOL_HANDLER)
extern const char *const protocol_names[PROTOCOL_COUNT + 1]; /* NULL-terminated */
extern const struct protocol_handler *const protocol_handlers[PROTOCOL_COUNT];

/* ---- dials */
struct candidate {
    struct endpoint endpoint;
    struct bytes addr; /* the multiaddr it came from, borrowed from dial->addrs */
    enum { CANDIDATE_WAITING, CANDIDATE_RUNNING, CANDIDATE_FAILED } state;
    uint32_t connection;
};
struct dial {
    struct node *node;
    struct dial *next;
    struct peer *peer; /* NULL: whoever answers there (connect without /p2p/) */
    bool operator_asked, dead, timed_out;
    struct buf addrs; /* repeated u16 length, binary multiaddr */
    struct candidate *candidates;
    size_t n_candidates, next_candidate, running;
    struct resolve {
        uint32_t id;
        unsigned depth;
        struct bytes addr;
        uint16_t port;
    } * queries;
    size_t n_queries, n_resolved;
    struct mono race_at, deadline;
    struct why why;       /* last failure */
    struct peer_id found; /* who answered, when it ended well or with E_VERIFY */
    uint32_t connection;  /* the winner */
};

/* ---- sending: one lane per peer with queued messages */
struct outgoing { /* one message in memory */
    struct outgoing *next;
    int64_t seq;
    uint8_t id[MESSAGE_ID];
    uint64_t tag;  /* of the request that sent it; 0: not known, it came from the store */
    bool sent;     /* on the present stream */
    bool answered; /* there, by BUSY */
    struct wall expires;
    struct mono committed; /* when it could first be sent: for the latency */
    struct buf frame;      /* as it goes on the wire */
};
struct lane {
    struct node *node;
    struct peer *peer;
    struct lane *next;
    uint64_t queued, bytes;        /* in the store (loaded or not) */
    struct wall oldest;            /* created, of the oldest queued */
    struct outgoing *first, *last; /* loaded, oldest first */
    struct outgoing *unsent;       /* the first that is not on the stream; all before it are */
    size_t loaded, loaded_bytes;
    bool loading, complete; /* complete: nothing queued that is not loaded */
    struct stream *stream;  /* the one we send on, or NULL */
    bool busy;              /* the peer said so on it: nothing more is sent there */
    struct mono retry_at;   /* waiting after BUSY or a broken stream */
    struct mono usable;     /* since when there is a connection */
    unsigned tries;
    char last_error[96];
};

/* ---- control requests that wait for something */
enum wait_kind {
    WAIT_STORE,
    WAIT_DIAL,
    WAIT_PING,
    WAIT_PERF,
    WAIT_RECEIPT,
    WAIT_FOLLOW,
    WAIT_RELOAD,
    WAIT_IDENTIFY,
    WAIT_EVENTS
};
struct request {
    struct request *next, *prev, *next_dead;
    struct node *node;
    uint32_t client, uid, pid;
    enum control_right may;
    struct buf id; /* the request's id as JSON text */
    char method[32];
    enum wait_kind wait;
    bool dead;
    struct mono deadline; /* 0: none; set by request_deadline */
    uint64_t tag;         /* unique: store operations carry it */
    uint8_t tag_key[8];
    struct dial *dial;
    struct peer *peer;
    uint32_t connection;
    uint64_t ids_left; /* receipts still to come */
    void *state;       /* the method's, freed by free_state */
    void (*free_state)(void *);
    int64_t cursor; /* follow: last inbox rowid given */
    uint32_t flags;
};

struct throttle {    /* see throttle.c */
    uint64_t rate;   /* bytes per second; 0: no limit */
    int64_t bytes;   /* that may go now; below 0: a debt */
    struct mono at;  /* when that was so */
    int64_t slack;   /* so far below 0 it may be */
    bool waited_for; /* somebody found no room */
};

enum {
    HEALTH_LIMITS = 11, /* limits that health looks at */
    HEALTH_PAST = 361,  /* records of the last hour, one in 10 s: the longest health.window */
    HEALTH_CLOCKS = 16, /* peers whose clocks are remembered, each for so long: */
    HEALTH_CLOCK_MS = 3600 * 1000,
    HEALTH_PERIODS = 3 /* daily, weekly, monthly */
};
struct node_health {
    struct health judged;
    struct health_facts facts; /* by the owner */
    bool measured;
    int64_t turn_us; /* the longest since the last measurement */
    struct mono next, store_moved;
    struct health_past { /* counters as they were */
        struct mono at;
        uint64_t operations, failed, latencies, database_faults, database_full, lines_lost,
            lines_unsent, limits[HEALTH_LIMITS];
    } past[HEALTH_PAST];
    size_t n_past; /* ever written */
    struct health_clock {
        struct peer_id peer;
        int64_t offset_ms; /* our clock less the peer's */
        struct mono at;
    } clocks[HEALTH_CLOCKS];
    struct node_maintenance {
        bool on;
        struct wall since, until; /* until 0: till it is switched off */
        char text[200];
    } maintenance;
    struct health_report { /* of `silktalk check` */
        struct wall at;
        enum health_status status;
        char findings[48]; /* ids of the items that were not well: "D3 D5" */
    } reports[HEALTH_PERIODS];
};

/* See alerts.c. */
enum { ALERT_PEERS = 16 };
struct node_alerts {
    bool loaded; /* what was told before this start is known */
    struct alert_check {
        int settled; /* level that it is told with; HEALTH_NO_LEVEL: it is well */
        int side;    /* it has been worse (-1) or better (1) than that... */
        struct mono since; /* ...since then */
        unsigned relapses; /* in a row, each within an hour */
        struct mono recovered;
    } of[HEALTH_CHECK_COUNT];
    char told[ALERT_FINDINGS_MAX];
    struct wall told_at;
    /* for the webhook: oldest first; the first is on its way when posting is not 0 */
    struct alert_waiting {
        struct alert_waiting *next;
        struct wall at;
        char event[12], findings[ALERT_FINDINGS_MAX];
        struct buf body;
    } *first, *last;
    size_t waiting;
    uint32_t posting, next_post;
    unsigned tries;
    struct mono retry;
    /* for peers: the last alert, until each of them has it in the outbox */
    struct alert_peer {
        struct peer_id peer;
        uint8_t id[MESSAGE_ID];
        enum { ALERT_PEER_NONE, ALERT_PEER_AT_STORE, ALERT_PEER_AGAIN } state;
    } peers[ALERT_PEERS];
    struct buf body;
    char subject[MESSAGE_SUBJECT_MAX + 1], event[12];
    struct mono peers_retry;
    char webhook_fault[96], peers_fault[96];
};

struct totals {
    uint64_t messages_in, messages_out, operations, operations_failed, delivered;
};

/* What happened since the start, for metrics.c and figures.c; the modules count, nobody else. */
enum { DIRECTION_IN, DIRECTION_OUT, DIRECTIONS };
enum { MESSAGE_EXPIRED = RECEIPT_INVALID + 1, MESSAGE_ENDS, HTTP_COUNTS_MAX = 64 };
#define ACCESS_RULES(X) X("denyCidrs") X("denyPeers") X("mode=allowlist") X("allowCidrs") X("messages.from")
#define ACCESS_RULE_ONE(name) +1
enum { ACCESS_RULE_COUNT = 0 ACCESS_RULES(ACCESS_RULE_ONE) };
struct counts {
    uint64_t opened[DIRECTIONS], closed[ERR_COUNT]; /* connections, secured and muxed */
    uint64_t dials[ERR_COUNT], handshakes_failed[ERR_COUNT], denied[ACCESS_RULE_COUNT];
    uint64_t streams[PROTOCOL_COUNT][DIRECTIONS];            /* agreed on */
    uint64_t protocol_bytes[PROTOCOL_COUNT + 1][DIRECTIONS]; /* the last: before a protocol was agreed on */
    uint64_t network_bytes[DIRECTIONS];
    uint64_t messages[DIRECTIONS][MESSAGE_ENDS], message_bytes[DIRECTIONS]; /* by enum receipt_status */
    uint64_t db_errors;
    struct histogram handshake, latency, commit;
    struct http_count { /* by node_count_http */
        const char *path;
        unsigned code;
        uint64_t n;
    } http[HTTP_COUNTS_MAX];
};
/* Of the store, as it last said (STORE_TOTALS); -1: not known. */
struct stored {
    struct mono at;
    int64_t inbox, unread, failed, database_bytes, files_in, files_out, files_offered, files_bytes;
};

struct node {
    const struct identity *self;
    char self_text[PEER_TEXT_MAX];
    bool private_network;
    uint8_t swarm_key[32];
    struct noise_static noise_static; /* of this process, for all its handshakes */
    struct config *config;
    struct log *log;
    struct limits limits;
    struct rng rng;
    struct clocks now;
    struct mono started;
    struct wall started_wall;
    const char *version, *home, *source_id;
    int pid;
    bool stopping, loaded; /* loaded: peers and outbox have come from the store */
    struct mono next_load; /* of peers behind load_after, when that failed */
    int64_t load_after;
    bool stop_asked;
    int64_t stop_drain_ms;
    struct map peers; /* by binary id; max limit known_peers */
    struct peer *asked_last; /* whom a request named by its Peer ID; the next one often names the same */
    struct map conn_by_id;
    struct connection *connections;
    size_t n_connections, n_inbound, n_pending_in, n_dialing; /* all states but dead */
    uint32_t next_connection, next_query;
    struct map address_groups; /* per address: rate and count, see access.c */
    struct connection *dirty;
    struct dial *dials;
    struct lane *lanes;
    struct unended { /* the end of a message that the store could not write down: it is given again */
        struct unended *next;
        int64_t seq;
        struct store_op *op; /* NULL: at the store */
    } * unended;
    struct outgoing *ending, *last_ending; /* their receipts have come, their rows are about to go */
    struct mono next_unended, next_spool;  /* next_spool: some of it could not be taken */
    bool recount; /* messages are queued that no lane knows: the store is asked how many */
    struct mono next_recount;
    struct file_out *files_out; /* oldest first */
    uint64_t files_turn;        /* counts file_queue_tick */
    struct mono next_files;
    struct mono next_queue; /* of what there was no memory for: rows behind queue_from */
    int64_t queue_from;
    struct store_op *half_copies; /* to be dropped, when the store can again; each has a row: limit files */
    struct mono next_half_copies;
    struct event_history history;
    struct request *requests, *last_request; /* oldest first: it is mostly the oldest that is answered */
    struct request *dead_requests;           /* answered, and not freed yet */
    struct map request_by_tag;
    size_t n_requests, n_followers; /* followers: those of them that want events */
    struct mono requests_due;    /* not later than the first deadline of them */
    int request_fd;              /* came with the request that is being dispatched; -1: none, or taken */
    uint64_t next_serial;        /* streams, tags */
    struct node_effect *effects; /* ring */
    size_t effects_at, effects_n, effects_cap;
    struct store_op *refused; /* operations that found no memory on their way */
    struct buf answer;        /* of the EFFECT_ANSWER taken last */
    size_t store_in_flight;
    uint64_t outbox_count, outbox_bytes;
    struct endpoint listen[32];
    size_t n_listen;
    struct buf record;   /* our sealed peer record */
    struct buf announce; /* repeated u16 length, binary multiaddr: what we tell peers */
    struct mono next_upkeep, next_maintain, next_expire; /* peers to disk; old rows; expiry of the outbox */
    struct mono next_keep;                               /* whom to be connected to is thought over */
    struct mono next_walk; /* connections and streams are looked at for their deadlines */
    size_t unwalked;       /* bytes read since then */
    struct mono limit_logged[LIMIT_COUNT];
    bool paused;          /* buffers are at their limit */
    bool streams_waiting; /* streams have something to send: node_tick runs them together */
    bool sweep;           /* something is dead and waits to be freed */
    struct buf spare_rx;  /* memory lent to the connection that reads */
    struct buf spare_stream, spare_out, spare_tx; /* to what is written: a stream's bytes, frames, sealed */
    struct throttle upload, download, download_bulk;
    struct totals totals;
    struct counts counts;
    bool reload_failed;
    struct stored stored;
    struct mono next_totals;
    struct figures figures;
    struct recent recent; /* latencies and operations */
    struct node_resources resources;
    const char *folders[SPACE_USES];
    struct space_use spaces[SPACE_USES]; /* as last measured */
    struct mono next_space;
    struct buf restart_pending; /* names of keys that wait for a restart */
    uint64_t record_seq;
    bool announce_changed;
    struct bytes page; /* GET / */
    struct http *http; /* NULL: no client has come yet */
    bool http_ready;   /* requests wait in input that has come */
    struct node_health health;
    struct node_alerts alerts;
};

/* ---- alerts.c */
void alerts_start(struct node *n); /* asks the store what was told before */
void alerts_free(struct node *n);
void alerts_judged(struct node *n); /* health was judged, as it is every few seconds */
void alerts_tick(struct node *n);
struct mono alerts_deadline(const struct node *n);
void alerts_stored(struct node *n, const struct store_op *op);   /* STORE_META_GET of alerts_start */
void alerts_at_store(struct node *n, const struct store_op *op); /* STORE_OUTBOX_ADD of no request is back */
void alerts_reconfigured(struct node *n);
size_t alerts_waiting(const struct node *n);
/* Why they can not be told; false: they can. */
bool alerts_fault(const struct node *n, char *out, size_t size);

/* ---- health_node.c */
const char *node_state(const struct node *n); /* the verdict of health; or "starting", "stopping" */
void health_start(struct node *n);            /* asks the store for what was kept */
void health_tick(struct node *n);
void health_update(struct node *n); /* judges now */
void health_keep(struct node *n, const char *key, struct bytes value); /* STORE_META_PUT */
void health_stored(struct node *n, const struct store_op *op);            /* STORE_META_GET of health_start */
void health_check_stored(struct request *r, const struct store_op *op);   /* and of a request */
/* Our clock less that of peers. False: nothing is known. */
bool health_clock(const struct node *n, int64_t *offset_ms);
void health_problems_json(const struct node *n, struct json_out *o); /* items of `status` */
void health_clock_seen(struct node *n, const struct connection *c, uint64_t received_ms); /* a receipt came */

/* ---- node.c */
void node_push(struct node *n, const struct node_effect *e); /* queues an effect */
void node_give(struct node *n, struct store_op *op);         /* EFFECT_STORE; NULL is fine */
void node_operation(struct node *n, bool failed);            /* of messages and streams: one has ended */
int64_t node_disk_permille(const struct node *n);            /* the fullest of its disks; -1: not known */
/* EFFECT_ANSWER: the line's memory goes to the effect; *line is empty and usable afterwards. */
void node_answer(struct node *n, uint32_t client, struct buf *line);
void node_answer_with(struct node *n, uint32_t client, struct buf *line, int fd);

/* ---- connection.c */
struct connection *connection_new(struct node *n, bool inbound,
                                  const struct endpoint *remote); /* NULL: memory */
struct connection *connection_find(const struct node *n, uint32_t id);
/* Starts the upgrade of a connected socket. `expected` n 0: any peer. */
void connection_begin(struct connection *c, const struct peer_id *expected);
void connection_flush(struct connection *c); /* seals what the muxer has, marks it dirty */
/* Ends it: GoAway if it was open; the reason is logged, streams are closed, dial and lanes are told. */
void connection_close(struct connection *c, enum err code, const char *format, ...) PRINTF_LIKE(3, 4);
void connection_run(struct connection *c); /* lets streams that wait for room go on */
bool connection_said_hello(
    const struct connection *c); /* in the handshake: its first line has come, and is good */
void connection_tick(struct connection *c);
struct mono connection_deadline(const struct connection *c);
void connection_sweep(struct node *n); /* frees the dead ones */
/* Changes that need all connections of a peer: the best one to open streams on (direct, oldest open); NULL:
 * none. */
struct connection *peer_connection(const struct peer *p);

/* ---- stream.c */
/* Opens a stream and proposes the protocol, optimistically when the peer's identify listed it. NULL: w says
 * why. */
struct stream *stream_open(struct connection *c, enum protocol protocol, void *state, struct why *w);
void stream_accept(struct connection *c, struct yamux_stream *y);
void stream_data(struct stream *s, struct bytes data);
void stream_finished(struct stream *s);
void stream_run(struct stream *s); /* feeds the handler with rx, sends tx, closes when both ends did */
void stream_fail(struct stream *s, enum err code, const char *format, ...) PRINTF_LIKE(3, 4); /* resets */
/* The peer broke a rule of this stream's protocol: logs that, and returns E_PROTO for the handler to return.
 */
enum err stream_fault(struct stream *s, const char *text);
void stream_close_all(struct connection *c, const struct why *why);
void stream_sweep(struct connection *c);
const char *const *
protocols_served(const struct node *n); /* NULL-terminated: perf only when it is switched on */
bool peer_speaks(const struct peer *p, enum protocol protocol);

/* Files and perf: they go behind all else, and are what network.maxUpload and maxDownload hold back first. */
bool stream_is_bulk(const struct stream *s);
/* The peer may send `fresh` bytes more, or as many as the download's rate lets it. */
void stream_credit(struct stream *s, size_t fresh);

/* ---- throttle.c */
void throttle_set(struct throttle *t, uint64_t rate, struct mono now);
size_t throttle_burst(const struct throttle *t);           /* SIZE_MAX: no limit */
size_t throttle_room(struct throttle *t, struct mono now); /* bytes; SIZE_MAX: no limit */
void throttle_spend(struct throttle *t, size_t n);         /* may go below nothing: it is paid back */
struct mono throttle_deadline(const struct throttle *t);   /* when those that waited may go on */
size_t throttle_bulk_room(struct node *n); /* credit that files may be given; SIZE_MAX: no limit */
void throttle_reconfigure(struct node *n);
void throttle_tick(struct node *n); /* wakes those that waited */
struct mono throttle_node_deadline(const struct node *n);

/* ---- services.c: identify, push, ping, perf handlers; and what control and swarm ask of them */
void identify_ask(struct connection *c);
void identify_push_all(struct node *n); /* our addresses changed */
void node_make_record(struct node *n);
enum err ping_begin(struct request *r, struct connection *c, struct why *w);
enum err perf_begin(struct request *r, struct connection *c, uint64_t up, uint64_t down, struct why *w);

/* ---- swarm.c */
/* Dials a peer by all its addresses (ignoring backoff when the operator asked); an existing dial is joined.
 */
struct dial *swarm_dial(struct node *n, struct peer *p, bool operator_asked, struct why *w);
struct dial *swarm_dial_address(struct node *n, struct bytes addr, struct why *w); /* whoever answers there */
void swarm_connected(struct connection *c); /* secured and muxed: limits, trimming, duplicates, logs */
void swarm_closed(struct connection *c);    /* dead: dial, backoff, logs */
void swarm_dial_result(struct connection *c,
                       const struct why *why); /* one candidate failed or was cancelled */
void swarm_resolved(struct node *n, uint32_t query, const struct node_resolved *answer,
                    const struct why *why);
void swarm_tick(struct node *n);
struct mono swarm_deadline(const struct node *n);
bool swarm_make_room(struct node *n); /* closes the least useful one; false: all are needed */
void swarm_reconfigured(struct node *n);
void swarm_cancel(struct dial *d, const char *text); /* ends a dial: E_CLOSED */
void swarm_sweep(struct node *n);                    /* frees dead dials */

/* ---- peers.c */
struct peer *peers_find(const struct node *n, const struct peer_id *id);
struct peer *peers_add(
    struct node *n,
    const struct peer_id *id); /* finds or makes; may forget the longest unseen; NULL: E_LIMIT, memory */
/* PEER of operations.md S2.1: Peer ID, multiaddr with /p2p/, name, or unique ending of >= 6. E_NOT_FOUND,
 * E_INPUT (ambiguous). A full Peer ID or multiaddr that is not known yet is added. */
enum err peers_resolve(struct node *n, struct bytes text, struct peer **out, struct why *w);
enum err peers_name(struct node *n, struct peer *p, struct bytes name,
                    struct why *w); /* empty: takes the name away */
void peers_add_address(struct node *n, struct peer *p, struct bytes addr, bool operator_given,
                       bool certified);
void peers_set_identified(struct node *n, struct peer *p, const struct identify *id);
void peers_trace(struct node *n, struct peer *p, const char *step, struct bytes addr, const char *result,
                 const char *format, ...) PRINTF_LIKE(6, 7);
void peers_touch(struct node *n, struct peer *p, uint32_t flags); /* new flags are stored at once */
enum err peers_forget(struct node *n, struct peer *p, struct why *w);
void peers_flush(struct node *n, bool all);           /* gives dirty ones to the store, some at a time */
void peers_loaded(struct node *n, struct bytes rows); /* answer of STORE_PEERS_LOAD */
void peers_reconfigured(struct node *n); /* bootstrap and trusted marks, addresses of bootstrap */
void peer_free(struct peer *p);

/* ---- access.c */
/* NULL: may connect; else the name of the rule that refuses ("denyCidrs", "allowlist"...). `peer` may be NULL
 * (not known yet). */
const char *access_refuses(const struct node *n, const struct ip *ip, const struct peer *peer);
/* Per-address limits of inbound connections: counts one in; false: refused (limit is logged). */
bool access_admit(struct node *n, const struct ip *ip);
void access_release(struct node *n, const struct ip *ip);
void access_denied(struct node *n, const char *rule); /* counts one */
extern const char *const access_rules[ACCESS_RULE_COUNT];
bool access_may_send(const struct node *n, const struct peer *p); /* messages.from */
bool access_is_stranger(const struct node *n,
                        const struct peer *p); /* known = false: counts on the strangers' quota */
void access_free(struct node *n);
void access_sweep(struct node *n); /* forgets idle address groups */
/* Token bucket: rate per second with a burst of `burst` seconds; true: one more is fine. */
bool bucket_take(struct bucket *b, struct mono now, uint64_t rate, uint64_t burst_s);
void limit_reached(struct node *n, enum limit_id id);        /* logs EV_LIMIT_REACHED, now and then */
void limit_reached_by_key(struct node *n, const char *text); /* a full store names the key: hit, and logged */

/* ---- messenger.c */
void messenger_free(struct node *n);
void messenger_start(struct node *n); /* asks the store for what is queued */
void messenger_tick(struct node *n);
struct mono messenger_deadline(const struct node *n);
void messenger_connected(struct peer *p); /* a usable connection came */
void messenger_disconnected(struct peer *p);
/* Answers of all STORE_OUTBOX_*, INBOX_ADD, SPOOL_TAKE operations that the messenger gave. */
void messenger_stored(struct node *n, struct store_op *op);
/* Puts a message into the outbox; the request (or NULL) is answered when it is on disk, or when its receipt
 * came (flags). */
enum err messenger_send(struct node *n, struct peer *p, struct message *m, struct request *r, struct why *w);
void messenger_wake(struct peer *p); /* try now: `outbox retry`, `connect` */
void messenger_cancelled(struct node *n, const struct peer_id *peer, int64_t seq);
void messenger_requeued(struct node *n, struct bytes rows); /* rows as of STORE_OUTBOX_PEERS: take them up */
int64_t messenger_latency_p95_ms(const struct node *n);     /* -1: no samples */

/* ---- file_queue.c */
void file_queue_free(struct node *n);
void file_queue_start(struct node *n, int64_t after); /* asks the store for what is to be sent */
void file_queue_tick(struct node *n);
void file_queue_connected(struct peer *p, struct node *n);
void file_queue_stored(struct node *n, struct store_op *op); /* of no request: frees it */
void file_queue_cancelled(struct node *n, const struct store_op *op);
/* Messages or files wait for this peer. */
bool peer_has_mail(const struct peer *p);

/* ---- control.c and control_*.c */
bool control_request(struct node *n, struct node_client *client, struct bytes line); /* see node_request */
void control_client_gone(struct node *n, uint32_t client);
void control_stored(struct node *n, struct store_op *op); /* op->user is the request's tag */
void control_dial_done(struct node *n, struct dial *d);   /* d->why.code OK: connected */
void control_ping_answer(struct request *r, int64_t rtt_us, const struct why *why, bool last);
void control_perf_done(struct request *r, uint64_t up, uint64_t down, int64_t up_us, int64_t down_us,
                       const struct why *why);
void control_message_stored(struct request *r, const struct store_op *op); /* outbox add done, or failed */
/* Final for a message; tag: of the request that sent it, 0: it may be any. */
void control_receipt(struct node *n, uint64_t tag, const uint8_t id[MESSAGE_ID], enum receipt_status status,
                     const char *text);
void control_inbox_new(struct node *n); /* followers may ask for more */
void control_reloaded(struct node *n, const struct why *why, struct bytes changed, struct bytes pending);
void control_peer_gone(struct node *n, struct connection *c); /* pings on it fail */
void control_events(struct node *n); /* what was logged goes to those that follow it */
void control_tick(struct node *n);
struct mono control_requests_deadline(const struct node *n);
void control_free(struct node *n);

#endif
