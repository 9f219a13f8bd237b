/* lib/proto/identify.h: /ipfs/id/1.0.0 and /ipfs/id/push/1.0.0.
 * Sources: libp2p/specs identify/README.md; protocols.md section 8 (sizes of other implementations). */
#ifndef SILKTALK_PROTO_IDENTIFY_H
#define SILKTALK_PROTO_IDENTIFY_H

#include "proto/peer_record.h"

enum {
    IDENTIFY_SEND_MAX = 4096,        /* rust reads no more of the first message */
    IDENTIFY_MESSAGE_MAX = 8192,     /* of one message in */
    IDENTIFY_MESSAGES_MAX = 10,      /* merged */
    IDENTIFY_PROTOCOLS_MAX = 256, IDENTIFY_PROTOCOL_MAX = 128 /* kept; longer names are skipped */,
    IDENTIFY_ADDRESSES_MAX = 64, IDENTIFY_AGENT_MAX = 128
};
/* What a peer told, merged over its messages. The views borrow from `store`, which the reader owns. */
struct identify {
    struct bytes agent, protocol_version, observed;          /* agent is cut to IDENTIFY_AGENT_MAX; still hostile text */
    struct bytes protocols[IDENTIFY_PROTOCOLS_MAX];
    struct bytes addrs[IDENTIFY_ADDRESSES_MAX];              /* of the signed record when there is a valid one */
    size_t n_protocols, n_addrs;
    bool has_protocols, has_addrs, has_observed, has_agent;  /* absent fields of a push mean: unchanged */
    bool signed_record;
    uint64_t record_seq;
    struct bytes record;                                      /* the whole envelope, when signed_record */
};
struct identify_reader {
    struct buf store;              /* all message bytes */
    size_t messages;
    struct identify result;        /* from identify_end on */
    struct why why;
};
void identify_start(struct identify_reader *r);
enum err identify_input(struct identify_reader *r, struct bytes in);  /* all of in is taken */
/* At end of stream: parses and merges. A publicKey that does not fit `peer` or a forged record: E_VERIFY. */
enum err identify_end(struct identify_reader *r, const struct peer_id *peer);
void identify_free(struct identify_reader *r);

struct identify_self { /* what we tell */
    const struct identity *self;
    const char *agent, *protocol_version;
    const char *const *protocols;  /* NULL-terminated */
    const struct bytes *addrs;
    size_t n_addrs;
    struct bytes observed;         /* where we see this peer; empty: unknown */
    struct bytes record;           /* sealed envelope */
};
/* Appends one length-prefixed message below IDENTIFY_SEND_MAX with everything but, if it does not fit, the record, which then
 * follows in a second one. False: out refused. */
bool identify_write(const struct identify_self *s, struct buf *out);

#endif
