/* lib/proto/file.h: /silktalk/file/1.0.0: frames that begin and answer the transfer of a large file; its
 * bytes travel raw between them. Documented for others in contrib/protocol.md. A frame is a varint length (at
 * most FILE_FRAME_MAX), then one protobuf message. Unknown fields are ignored. */
#ifndef SILKTALK_PROTO_FILE_H
#define SILKTALK_PROTO_FILE_H

#include "proto/message.h"

#define FILE_PROTOCOL "/silktalk/file/1.0.0"
enum {
    FILE_FRAME_MAX = 4096,
    FILE_NAME_MAX = 255, /* bytes of UTF-8 */
    FILE_HASH = 32,
    /* Statuses of an answer beyond those of a receipt (enum receipt_status). */
    FILE_TAKEN = 0,   /* `offset` bytes are on disk: go on from there */
    FILE_OFFERED = 7, /* a person must accept it first: stay, or come again later */
};

struct file_offer {                                                /* all views borrowed */
    uint8_t id[MESSAGE_ID], reply_to[MESSAGE_ID], hash[FILE_HASH]; /* hash: SHA-256 of the content */
    uint64_t sent_ms, expires_ms, size;
    struct bytes name, content_type, subject;
    bool has_reply_to, has_hash;
};
struct file_answer {
    unsigned status; /* unknown ones read as RECEIPT_BUSY */
    uint64_t offset, received_ms;
};
/* Takes one frame at the front of in. E_LIMIT: too long; OK with *whole false: more bytes are needed. */
enum err file_frame_next(struct bytes *in, struct bytes *frame, bool *whole);
/* E_PROTO: malformed, or an id or hash of wrong length. E_INPUT: `id` is good, the rest breaks a rule (answer
 * INVALID). */
enum err file_offer_read(struct bytes frame, struct file_offer *out, struct why *w);
enum err file_answer_read(struct bytes frame, struct file_answer *out, struct why *w);
/* Append with the length prefix. */
bool file_offer_write(struct buf *out, const struct file_offer *o);
bool file_answer_write(struct buf *out, const struct file_answer *a);
/* NULL: a name that is safe as the last part of a path: UTF-8, 1 to FILE_NAME_MAX bytes, no '/', no control
 * characters, not "." or "..", no '.' or '-' at its beginning. Else what is wrong. */
const char *file_name_fault(struct bytes name);

#endif
