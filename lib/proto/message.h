/* lib/proto/message.h: /silktalk/message/1.0.0: frames of messages and receipts.
 * Source: design.md "Messages"; documented for others in contrib/protocol.md.
 * A frame is a varint length (at most MESSAGE_FRAME_MAX), then one protobuf Frame. Unknown fields are
 * ignored. */
#ifndef SILKTALK_PROTO_MESSAGE_H
#define SILKTALK_PROTO_MESSAGE_H

#include "base/base.h"

#define MESSAGE_PROTOCOL "/silktalk/message/1.0.0"
#define MESSAGE_DEFAULT_TYPE "text/plain; charset=utf-8"
enum {
    MESSAGE_FRAME_MAX = 4 << 20,
    MESSAGE_ID = 16,
    MESSAGE_SUBJECT_MAX = 256,
    MESSAGE_TYPE_MAX = 128,
    MESSAGE_HEAD_MAX = 512 /* most bytes of a frame besides body, type and subject... rounded up */
};
#define RECEIPT_STATUSES(X) X(STORED, 1) X(DUPLICATE, 2) X(DENIED, 3) X(TOO_LARGE, 4) X(BUSY, 5) X(INVALID, 6)
#define RECEIPT_SYMBOL(name, number) RECEIPT_##name = number,
enum receipt_status { RECEIPT_NONE, RECEIPT_STATUSES(RECEIPT_SYMBOL) };
const char *receipt_status_name(enum receipt_status s); /* "STORED" */

struct message { /* all views borrowed */
    uint8_t id[MESSAGE_ID];
    uint64_t sent_ms, expires_ms;
    struct bytes content_type, body, subject;
    bool has_reply_to;
    uint8_t reply_to[MESSAGE_ID];
};
struct receipt {
    uint8_t id[MESSAGE_ID];
    enum receipt_status status; /* an unknown or absent one reads as BUSY */
    uint64_t received_ms;
};
struct message_frame {
    enum { FRAME_MESSAGE, FRAME_RECEIPT, FRAME_UNKNOWN } kind; /* UNKNOWN: neither; ignore it */
    struct message message;
    struct receipt receipt;
    enum receipt_status
        verdict; /* of a MESSAGE: RECEIPT_NONE fine; RECEIPT_INVALID: id is set, the rest breaks a rule
                    (bad UTF-8, subject or type too long, sent_ms absent...); answer it so */
};
/* Takes the length prefix at the front of in: E_LIMIT: too long; OK with *whole false: more bytes are needed
 * (*need: total bytes of prefix and frame, 0 while the prefix itself is incomplete). */
enum err message_frame_next(struct bytes *in, struct bytes *frame, bool *whole, size_t *need);
/* E_PROTO: malformed protobuf, both or neither kind with a wrong id length: the stream is to be reset. */
enum err message_frame_read(struct bytes frame, struct message_frame *out, struct why *w);
/* Appends with the length prefix. */
bool message_frame_write(struct buf *out, const struct message *m);
bool message_receipt_write(struct buf *out, const struct receipt *r);
/* The bytes of a message's frame, length prefix included. */
size_t message_frame_size(const struct message *m);
/* The same rules for what our own user sends: E_INPUT with the reason. Body limit is the caller's. */
enum err message_check(const struct message *m, struct why *w);

#endif
