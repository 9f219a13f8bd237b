/* lib/node/file_queue.h: large files: file_queue.c (what is to be sent, to whom, when), file_stream.c (one
 * transfer on the wire, either way) and control_files.c (what people ask). The bytes are the store's; a
 * transfer holds a few slices of them at most. */
#ifndef SILKTALK_NODE_FILE_QUEUE_H
#define SILKTALK_NODE_FILE_QUEUE_H

#include "node/core.h"
#include "proto/file.h"

struct file_out { /* one file that is to be sent */
    struct file_out *next;
    struct node *node;
    struct peer *peer;
    int64_t seq;
    uint8_t id[MESSAGE_ID];
    uint64_t size, done, noted; /* done: bytes that the peer has on disk; noted: in our row */
    struct wall expires;
    struct buf offer; /* the frame, without length prefix */
    struct stream *stream;
    struct mono retry_at;
    unsigned tries;
    bool waits;                                           /* the peer has to accept it */
    bool over;                                            /* sent or failed: freed once its row says so too */
    enum { END_TO_WRITE, END_AT_STORE, END_WRITTEN } end; /* when over: its row */
    char why[160];                                        /* why it failed; "": it was sent */
};

/* ---- file_queue.c */
/* Takes up a file whose copy is whole. E_MEMORY: it is taken up some seconds later, from its row. */
enum err files_out_add(struct node *n, const struct peer_id *peer, int64_t seq, uint64_t size,
                       struct bytes offer);
/* The peer has it (why NULL), or it failed for good: the row ends, and who waits for it hears of it. */
void files_out_end(struct file_out *f, enum receipt_status status, const char *why);
void files_out_note(struct file_out *f,
                    const char *reason); /* puts what is known into its row; "": all is well */
void files_out_lost(struct file_out *f, const char *reason);   /* its stream is gone: again later */
bool files_wanted(const struct node *n, const struct peer *p); /* files.from: taken without asking */
void files_limits(const struct node *n, struct store_op *op);  /* of ADD and ACCEPT */

/* ---- file_stream.c */
void *file_sender_new(struct file_out *f);
/* The store's answers to READ, OFFER, WRITE and CHECK. */
void file_stream_stored(struct node *n, struct store_op *op);
/* A person accepted or cancelled what an open stream is about. */
void file_stream_accepted(struct node *n, const struct peer_id *peer, int64_t seq, uint64_t done);
void file_stream_cancelled(struct node *n, const struct peer_id *peer, int64_t seq);

/* ---- control_files.c */
void control_file_progress(struct node *n, const uint8_t id[MESSAGE_ID], const char *step, uint64_t done,
                           uint64_t size);

#endif
