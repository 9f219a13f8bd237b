/* lib/node/messenger.h: between messenger.c (lanes and the store) and message_stream.c (the wire). */
#ifndef SILKTALK_NODE_MESSENGER_H
#define SILKTALK_NODE_MESSENGER_H

#include "node/core.h"

void lane_run(struct lane *l);                                        /* sends what can be sent now */
void lane_fill(struct lane *l, struct buf *tx);                       /* next frames for the stream */
enum err lane_receipt(struct lane *l, const struct receipt *receipt); /* not OK: the stream must end */
void lane_lost(struct lane *l, const char *reason, bool wait);
void *message_sender_new(struct lane *l);                 /* state of a sending stream; NULL: memory */
void message_stored(struct node *n, struct store_op *op); /* STORE_INBOX_ADD is done: its receipt can go */
void messenger_outbox_limits(const struct node *n, struct store_op *op);
void message_id_text(const uint8_t id[MESSAGE_ID], char out[2 * MESSAGE_ID + 1]);

#endif
