/* lib/base/limit.h: every queue, buffer, table and peer-supplied length with a name: what it counts, how much
 * is allowed, and what happens when it is reached. `diag limits`, documentation and tests come from this
 * table.
 *
 * Columns: symbol; name (stable); configuration key, or NULL (then it is [limits] NAME); default; least and
 * most that may be set; unit; outcome. */
#ifndef SILKTALK_BASE_LIMIT_H
#define SILKTALK_BASE_LIMIT_H

#include "base/base.h"

/* clang-format off */
#define LIMITS(X)                                                                                                   \
    X(LIMIT_CONNECTIONS, "connections", "connection.maxConnections", 300, 1, 10000, "connections", "refused, or the least useful is closed") \
    X(LIMIT_INBOUND_PENDING, "inbound_pending", "connection.maxIncomingPendingConnections", 32, 1, 1000, "connections", "refused") \
    X(LIMIT_INBOUND_RATE, "inbound_rate", "connection.inboundConnectionThreshold", 5, 1, 1000, "per second and address", "refused") \
    X(LIMIT_PER_PEER, "connections_per_peer", "connection.maxConnectionsPerPeer", 5, 1, 100, "connections", "the oldest idle one is closed") \
    X(LIMIT_PER_ADDRESS, "connections_per_address", "connection.maxConnectionsPerAddress", 32, 1, 10000, "connections", "refused") \
    X(LIMIT_STREAMS, "inbound_streams", "connection.maxStreams", 256, 8, 4096, "streams per connection", "reset") \
    X(LIMIT_DIALS, "parallel_dials", "connection.maxParallelDials", 32, 1, 500, "dials", "wait") \
    X(LIMIT_DIAL_ADDRESSES, "dial_addresses", NULL, 32, 1, 256, "addresses of a peer", "the rest is not tried") \
    X(LIMIT_DNS_QUERIES, "dns_queries", NULL, 64, 1, 1000, "queries", "wait") \
    X(LIMIT_PEERS, "known_peers", NULL, 10000, 100, 1000000, "peers", "the longest unseen unprotected one is forgotten") \
    X(LIMIT_PEER_ADDRESSES, "peer_addresses", NULL, 16, 1, 64, "addresses of a peer", "the oldest is dropped") \
    X(LIMIT_BUFFERS, "buffers", "node.memoryMax", 268435456, 33554432, 1099511627776, "bytes", "who takes most of it is closed, or reading pauses") \
    X(LIMIT_STREAM_WINDOW, "stream_window", NULL, 16777216, 262144, 67108864, "bytes", "the window stops growing") \
    X(LIMIT_OUTBOX, "outbox_messages", "messages.outboxMax", 10000, 1, 10000000, "messages", "send refused") \
    X(LIMIT_OUTBOX_BYTES, "outbox_bytes", "messages.outboxMaxBytes", 268435456, 1048576, 1099511627776, "bytes", "send refused") \
    X(LIMIT_OUTBOX_PER_PEER, "outbox_per_peer", "messages.outboxMaxPerPeer", 1000, 1, 10000000, "messages", "send refused") \
    X(LIMIT_INBOX, "inbox_messages", "messages.inboxMax", 100000, 1, 100000000, "messages", "BUSY") \
    X(LIMIT_INBOX_BYTES, "inbox_bytes", "messages.inboxMaxBytes", 1073741824, 1048576, 1099511627776, "bytes", "BUSY") \
    X(LIMIT_INBOX_PER_PEER, "inbox_per_peer", "messages.inboxPerPeer", 10000, 1, 100000000, "messages", "BUSY") \
    X(LIMIT_INBOX_BYTES_PER_PEER, "inbox_bytes_per_peer", "messages.inboxBytesPerPeer", 67108864, 65536, 1099511627776, "bytes", "BUSY") \
    X(LIMIT_INBOX_STRANGERS, "inbox_bytes_strangers", "messages.inboxBytesStrangers", 16777216, 0, 1099511627776, "bytes", "BUSY") \
    X(LIMIT_MESSAGE_RATE, "message_rate", "messages.ratePerPeer", 100, 1, 10000, "per second and peer", "BUSY") \
    X(LIMIT_BODY, "message_body", "messages.maxBody", 1048576, 1024, 3145728, "bytes", "TOO_LARGE") \
    X(LIMIT_MESSAGES_IN_FLIGHT, "messages_in_flight", NULL, 256, 1, 4096, "messages per peer", "wait") \
    X(LIMIT_REMEMBERED_IDS, "remembered_ids", NULL, 1000000, 1000, 100000000, "ids", "the oldest is forgotten") \
    X(LIMIT_STRANGERS, "strangers", NULL, 100, 1, 10000, "peers", "the oldest is forgotten") \
    X(LIMIT_SPOOL, "spool_messages", "messages.spoolMax", 1000, 1, 1000000, "messages", "send refused") \
    X(LIMIT_FILE_SIZE, "file_size", "files.maxSize", 4294967296, 1048576, 1125899906842624, "bytes", "TOO_LARGE") \
    X(LIMIT_FILE_BYTES, "file_bytes", "files.quota", 17179869184, 1048576, 1125899906842624, "bytes", "BUSY; send refused") \
    X(LIMIT_FILES, "files", NULL, 10000, 10, 1000000, "files", "BUSY; send refused") \
    X(LIMIT_FILE_OFFERS, "file_offers", NULL, 100, 1, 10000, "offers", "BUSY") \
    X(LIMIT_FILE_TRANSFERS, "file_transfers", NULL, 8, 1, 100, "transfers each way", "BUSY; others wait") \
    X(LIMIT_DATABASE, "database_bytes", "database.maxSize", 4294967296, 16777216, 1099511627776, "bytes", "BUSY") \
    X(LIMIT_STORE_QUEUE, "store_queue", NULL, 4096, 64, 65536, "operations", "reading pauses") \
    X(LIMIT_CONTROL_CLIENTS, "control_clients", NULL, 64, 2, 1000, "clients", "refused") \
    X(LIMIT_CONTROL_BACKLOG, "control_backlog", NULL, 8388608, 65536, 67108864, "bytes per client", "the client is closed") \
    X(LIMIT_EVENTS, "remembered_events", NULL, 1000, 10, 100000, "events", "the oldest is forgotten") \
    X(LIMIT_LOG_LINES, "log_lines", NULL, 1048576, 65536, 67108864, "bytes that wait for the disk", "dropped, and counted") \
    X(LIMIT_LOG_REMOTE, "log_remote", NULL, 1048576, 65536, 67108864, "bytes that wait for the log server", "dropped, and counted") \
    X(LIMIT_PUSHES, "identify_pushes", NULL, 12, 1, 1000, "per minute and peer", "the stream is reset") \
    X(LIMIT_ALERTS, "alerts_waiting", NULL, 16, 1, 64, "alerts for the webhook", "the oldest is dropped") \
    X(LIMIT_PINGS, "ping_streams", NULL, 2, 1, 64, "streams per peer", "the stream is reset")
/* clang-format on */
#define LIMIT_SYMBOL(symbol, name, key, value, least, most, unit, outcome) symbol,
enum limit_id { LIMITS(LIMIT_SYMBOL) LIMIT_COUNT };

struct limit_row {
    const char *name, *key, *unit, *outcome;
    uint64_t value, least, most;
};
extern const struct limit_row limit_rows[LIMIT_COUNT];

struct limit {
    uint64_t used, max, hits; /* used: of one-per-node limits now; of per-peer ones the highest now */
};
struct limits {
    struct limit of[LIMIT_COUNT];
};
void limits_init(struct limits *l); /* the defaults */
static inline uint64_t limit_max(const struct limits *l, enum limit_id id) {
    return l->of[id].max;
}
/* True when `used` more fit no longer (used >= max); counts the hit then. */
bool limit_hit(struct limits *l, enum limit_id id, uint64_t used);

#endif
