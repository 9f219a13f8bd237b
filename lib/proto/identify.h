/* lib/proto/identify.h: /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0.
 * Sources: libp2p/specs identify/README.md; protocols.md section 8 (sizes of other implementations). */
#ifndef SILKTALK_PROTO_IDENTIFY_H
#define SILKTALK_PROTO_IDENTIFY_H

#include "proto/peer_record.h"

enum {
    IDENTIFY_SEND_MAX = 4096,     /* rust reads no more of the first message */
    IDENTIFY_MESSAGE_MAX = 8192,  /* of one message in */
    IDENTIFY_MESSAGES_MAX = 10,   /* merged */
    IDENTIFY_PROTOCOLS_MAX = 256, /* kept, the rest is left out */
    IDENTIFY_PROTOCOL_MAX = 128,  /* bytes of a name; longer ones are left out */
    IDENTIFY_ADDRESSES_MAX = 64,  /* kept, the rest is left out */
    IDENTIFY_AGENT_MAX = 128      /* bytes of agent and protocol version; the rest is cut off */
};
/* What a peer told, merged over its messages. The views borrow from `store`, which the reader owns. */
struct identify {
    struct bytes agent, protocol_version;           /* valid UTF-8 or empty, but still hostile text */
    struct bytes observed;                          /* valid multiaddr */
    struct bytes protocols[IDENTIFY_PROTOCOLS_MAX]; /* 1 to IDENTIFY_PROTOCOL_MAX bytes, valid UTF-8 */
    struct bytes addrs[IDENTIFY_ADDRESSES_MAX];     /* valid; of the signed record when there is one */
    size_t n_protocols, n_addrs;
    bool has_protocols, has_addrs, has_observed, has_agent; /* absent fields of a push mean: unchanged */
    bool signed_record;
    uint64_t record_seq;
    struct bytes record; /* the whole envelope, when signed_record */
};
struct identify_reader {
    struct buf store;       /* all message bytes */
    size_t messages, whole; /* messages that are complete, and the bytes of store they take */
    struct identify result; /* from identify_end on */
    struct why why;
};
void identify_start(struct identify_reader *r);
/* All of `in` is taken. Errors are final: E_PROTO, E_LIMIT (longer or more messages than above), E_MEMORY. */
enum err identify_input(struct identify_reader *r, struct bytes in);
/* At end of stream, once: parses, merges. A publicKey that does not fit `peer` or a forged record: E_VERIFY;
 * cut short, malformed or nothing at all: E_PROTO. A record of a kind that we can not read is as none. */
enum err identify_end(struct identify_reader *r, const struct peer_id *peer);
void identify_free(struct identify_reader *r);

struct identify_self { /* what we tell */
    const struct identity *self;
    const char *agent, *protocol_version;
    const char *const *protocols; /* NULL-terminated */
    const struct bytes *addrs;
    size_t n_addrs;
    struct bytes observed; /* where we see this peer; empty: unknown */
    struct bytes record;   /* sealed envelope */
};
/* Appends one length-prefixed message of at most IDENTIFY_SEND_MAX bytes with everything (addresses as far as
 * they fit) but, if it does not fit, the record: that follows in a second one (if it fits there). False:
 * the rest alone is too long, or out refused (then as it was). */
bool identify_write(const struct identify_self *s, struct buf *out);

#endif
