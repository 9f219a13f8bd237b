/* lib/node/store_op.h: what the node asks of the store, and what it gets back: plain values, no kernel, so
 * that the daemon's thread, the simulation and tests answer them alike.
 *
 * A store_op is owned by one side at a time. `in` carries the request's bytes, `out` the answer's. Listings
 * come as JSON items (the members of operations.md S2.3's tables, snake_case), ready to be put into an
 * answer: `out` holds `{...},{...}` without the brackets. */
#ifndef SILKTALK_NODE_STORE_OP_H
#define SILKTALK_NODE_STORE_OP_H

#include "crypto/key.h"
#include "proto/message.h"

enum store_kind {
    /* Everywhere a message is its whole frame, as message_frame_write makes it: length prefix and Frame.
     * Outbox. `in` of ADD: the frame; `peer`, `now`; quotas in limits[]: [0] messages, [1] bytes, [2]
     * messages per peer. Result: seq (sending order), id. E_LIMIT: full (failed messages give way first);
     * E_REFUSED: this id is in the outbox already; E_INPUT: no message. */
    STORE_OUTBOX_ADD,
    /* Loads queued messages of `peer` with seq > op.seq, oldest first, at most `count` messages or `bytes` of
     * `out` (at least one): out = repeated { u64 BE seq, u64 BE tries, u32 BE n, n bytes of a frame }. */
    STORE_OUTBOX_LOAD,
    STORE_OUTBOX_DONE, /* seq: delivered (row goes; totals count it with `latency_ms`, if that is >= 0); count
                          0: no such row (any more), which is no error, nor for the next two */
    STORE_OUTBOX_FAILED, /* seq, text: refused for good: state failed, last_error = text */
    STORE_OUTBOX_TRIED,  /* peer: its oldest queued: tries + 1, next_try = `when`, last_error = text */
    STORE_OUTBOX_EXPIRE, /* now: queued ones past expires_ms become failed "expired"; out = repeated {u8 n,
                            peer, 16 id, u64 seq}; at most 256 a call, then `more` */
    STORE_OUTBOX_PEERS,  /* out = repeated {u8 n, peer id, u32 BE count, u64 BE bytes, u64 BE oldest seq, u64
                            BE created_ms of oldest}: for the start */
    STORE_OUTBOX_LIST,   /* rows behind `seq`, at most `count` (0: 5000); seq: the last one given, count: how
                            many; JSON items: id peer_id name state bytes created tries next_try last_error
                            expires */
    STORE_OUTBOX_RETRY, /* id text in `in`, or empty: all failed (behind `seq`): queued again under new random
                           ids (`random` 32 bytes seed), to live as long as at first; count = how many; out as
                           STORE_OUTBOX_PEERS of those touched. limits[2] as in ADD (0: none): E_LIMIT for
                           one, skipped for all. E_INPUT: it has not failed. Of one: peer, seq, id are the new
                           ones */
    STORE_OUTBOX_CANCEL, /* id text in `in`: E_NOT_FOUND; the row goes; peer, seq, id are set; count: 1 if it
                            was queued, 0 if it had failed */
    /* Inbox. `in`: a frame; peer; now; flags INBOX_STRANGER; limits[]: [0] messages, [1] bytes, [2] per
     * peer messages, [3] per peer bytes, [4] bytes of strangers together, [5] remembered ids. Result: status
     * STORED, DUPLICATE or BUSY (quota or database full: err is OK then, why.text names the key; BUSY on
     * every error too), count = seq = rowid for followers. Once BUSY, all of the same tag (not 0) is BUSY. */
    STORE_INBOX_ADD,
    STORE_INBOX_LIST,   /* filter: peer (n 0: all), flags INBOX_UNREAD, text search in `in` (subject, body if
                           text, case-insensitive for ASCII, at most 256 bytes); count = most rows (0: 1000;
                           at most 5000), newest last; with seq > 0 only rows before it; seq: the oldest
                           given, more: there are older ones; JSON items: id from name received bytes read
                           subject sent content_type file reply_to */
    STORE_INBOX_READ,   /* id text in `in` (hex: all 32, or a unique beginning or ending of >= 6), peer if it
                           must be the sender's; flags INBOX_MARK; out: a frame; peer, id, seq, when =
                           received, text = name of
                           a file, or ""; E_NOT_FOUND; E_INPUT: no id, or several fit (text names up to 5) */
    STORE_INBOX_AFTER,  /* rows with rowid > seq, oldest first, flags INBOX_UNREAD, at most count or `bytes`:
                           out = repeated { u64 rowid, u8 n, peer id, u64 received_ms, u8 read, u32 n,
                           a frame, u16 n, name of a file }; count = rows, seq = the newest row of all (a
                           follower's first cursor) */
    STORE_INBOX_MARK,   /* id text: read = flags & INBOX_MARK */
    STORE_INBOX_DELETE, /* id text in `in`, or empty with `when`: all received before it; count = how many (at
                           most 16384 a call, then `more`) */
    /* Peers. */
    STORE_PEER_PUT, /* in = the node's own record bytes (opaque to the store), text = name, flags, when = last
                       seen */
    STORE_PEER_DROP,
    STORE_PEERS_LOAD, /* rows behind `seq` (0: all); more, seq: the last one given; out = repeated {u8 n, peer
                         id, u64 BE last_seen_ms, u32 BE flags, u16 n name, u32 n record} */
    /* Access rules learnt at run time and the strangers that were denied come with later deliveries. */
    STORE_STRANGER, /* peer, now: remembers that it was denied; at most limits[0] kept */
    /* Large files (proto/file.h). Rows have a seq of their own; bytes lie in files beside the database. Each
     * is a slice of at most FILE_SLICE bytes, so that messages wait for one slice and not for a file.
     * Sending: */
    STORE_FILE_ADD,   /* in: an offer's frame without prefix (its hash and size do not count); peer; now; fd:
                         the content, taken over; limits[]: [0] bytes of all files, [1] rows. Result: seq,
                         count = size. E_LIMIT: quota, or rows (ended ones give way first); E_INPUT: no
                         regular file, or not of the size that the offer says */
    STORE_FILE_COPY,  /* seq: the next slice of fd to our own copy; count = bytes so far; more: ask again. At
                         the end the row is queued and out = the offer's frame with hash and size, when =
                         created. On an error: CANCEL it */
    STORE_FILE_QUEUE, /* rows to be sent behind `seq`; more, seq; out = repeated {u64 seq, u8 n, peer, u64
                         created_ms, u64 size, u16 n, offer}. With seq 0 half-made copies are removed first */
    STORE_FILE_READ,  /* seq, count: offset, bytes: how many (FILE_SLICE at most): out; E_NOT_FOUND: gone for
                         good */
    STORE_FILE_TRIED, /* seq: bytes: tries, text: last_error ("": none), flags FILE_WAITS: the peer wants to
                         be asked; count: bytes that the peer has */
    STORE_FILE_ENDED, /* seq: no more to be sent; text "": delivered, else why it failed. The copy goes */
    /* Receiving: */
    STORE_FILE_OFFER, /* in: an offer's frame; peer; flags FILE_WANTED: take it without asking; limits[]: [0]
                         quota in bytes, [1] rows, [2] offers that wait, [3] of one peer. Result: status
                         (NONE: take it; DUPLICATE, DENIED, BUSY, INVALID), FILE_WAITS in flags: it waits for
                         accept; seq; count: bytes on disk already; bytes: the size */
    STORE_FILE_WRITE, /* seq, count: offset, in: bytes, flags FILE_LAST; result count: bytes known to be on
                         disk */
    STORE_FILE_CHECK, /* seq: reads the next slice and hashes it; more: ask again; at the end status STORED
                         (it is in the inbox now; id, peer, text = name, bytes = size) or BUSY (the hash was
                         wrong: it begins anew) */
    /* Of people: id text in `in` (as for messages) */
    STORE_FILE_ACCEPT, /* an offer: limits[0] quota; peer, id, seq; count, bytes as in OFFER */
    STORE_FILE_CANCEL, /* or by seq; peer, id, seq, flags FILE_OUT if we were sending it */
    STORE_FILE_OPEN,   /* a received file: fd (the taker closes it); out: its listing item */
    STORE_FILE_LIST, /* rows behind `seq`, at most `count`; JSON items: id peer_id name direction state bytes
                        done created last_error sha256 path */
    /* Upkeep. */
    STORE_SPOOL_TAKE, /* takes files of HOME/spool into the outbox (quotas in limits[]), at most count (and
                         256) a call, oldest first; count = taken, more: call again; out as
                         STORE_OUTBOX_PEERS; refused ones are moved to spool/refused/, those that do not fit
                         the quotas or can not be read now stay; text names the last of these, why.text says
                         why; "": none */
    STORE_MAINTAIN, /* now, limits[0] = read messages older than so many ms go (0: none), [1] = remembered ids
                       older than so many ms of running time go (0: none), [2] = failed outbox messages older
                       than so many ms go (0: none), [3] = offers, [4] = ended transfers likewise (and what is
                       being received fails a day after its sender must have given up); count = rows gone or
                       failed; bounded work per call, `more` set when there is more to do */
    STORE_TOTALS,   /* out: one JSON object: messages_in messages_out outbox inbox inbox_unread inbox_bytes
                       outbox_bytes outbox_oldest outbox_failed inbox_stranger_bytes remembered_ids
                       database_bytes latency_p95_ms files_in files_out files_offered files_bytes */
    STORE_META_GET,
    STORE_META_PUT,  /* text = key; in/out = value */
    STORE_CONFIGURE, /* limits[0] bytes of page cache, [1] most bytes of the file (database.cacheSize,
                        maxSize) */
    /* Figures (node/figures.h). ADD: when: the minute; in: FIGURE_COUNT values (i64 BE), then counts of
     * events: repeated { u16 BE event, u8 n, peer as text, u32 BE count }. The hour's row is made anew from
     * its minutes; what is too old goes, some rows a call. */
    STORE_FIGURES_ADD,
    /* Rows of span `seq` (60 or 3600 s) since `when`, oldest first, at most count (0: 5000; the newest are
     * given). JSON items: at, and each figure by its name. */
    STORE_FIGURES,
    /* Since `when` (its hour), text = by: "hour", "day": items at level count; "event": level event count;
     * "peer": level peer count; "all": at level event peer count (newest first). At most 5000. peer is null
     * where there is none. */
    STORE_LOG_COUNTS,
    /* in: folders (space_ask); out: struct space_use of each that is there (space_read) */
    STORE_SPACE,
    STORE_KINDS
};
enum { INBOX_STRANGER = 1, INBOX_UNREAD = 2, INBOX_MARK = 4 };
enum { OUTBOX_QUEUED = 0, OUTBOX_FAILED = 1 };
/* FILE_WRONG: after STORE_FILE_CHECK with BUSY: not our disk, the bytes themselves are others than offered.
 */
enum { FILE_WANTED = 1, FILE_WAITS = 2, FILE_LAST = 4, FILE_OUT = 8, FILE_WRONG = 16 };
enum { FILE_SLICE = 1 << 20 };

struct store_op {
    struct store_op *next; /* of the list that has it */
    enum store_kind kind;
    uint64_t tag; /* the node's: which conversation this belongs to */
    void *user;   /* the node's */
    struct peer_id peer;
    uint8_t id[MESSAGE_ID];
    uint8_t random[32];
    int64_t seq;
    uint64_t count, bytes, limits[6];
    uint32_t flags;
    struct wall now, when;
    int64_t latency_ms;
    struct mono given; /* when the node gave it */
    int64_t commit_us; /* of the last one of a batch that was written: how long the batch took */
    char text[240];
    struct buf in, out;
    enum receipt_status status;
    int fd; /* -1: none */
    bool more;
    enum err err; /* result; why has the sentence */
    struct why why;
};
/* How full the disks are, by what the node keeps there. */
#define SPACES(X)                                                                                            \
    X(SPACE_DATA, "data") X(SPACE_FILES, "files") X(SPACE_LOGS, "logs") X(SPACE_BACKUPS, "backups")
#define SPACE_SYMBOL(symbol, name) symbol,
enum space_kind { SPACES(SPACE_SYMBOL) SPACE_USES };
struct space_use {
    uint64_t total, used, available; /* bytes of the file system; available: to us (root may have more) */
    uint64_t inodes, inodes_free;    /* 0, 0: no such limit there */
    uint64_t folder_bytes;           /* of the files in the folder itself */
    uint64_t device;                 /* alike: the same file system. total 0 (all of it): not known */
};
bool space_ask(struct buf *in, enum space_kind use, const char *folder);
bool space_write(struct buf *out, enum space_kind use, const struct space_use *s);
/* All of `out` into `spaces`; what is not in it becomes unknown. False: that is no such list. */
bool space_read(struct bytes out, struct space_use spaces[SPACE_USES]);
/* The fuller of bytes and inodes, in thousandths of what we may use; -1: not known. */
int64_t space_permille(const struct space_use *s);

struct store_op *store_op_new(enum store_kind kind); /* in.max, out.max set to 16 MiB */
void store_op_free(struct store_op *op);
void store_op_list_free(struct store_op *first);

#endif
