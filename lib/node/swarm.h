/* lib/node/swarm.h: between swarm.c (whom to be connected to) and dial.c (how to get one connection). */
#ifndef SILKTALK_NODE_SWARM_H
#define SILKTALK_NODE_SWARM_H

#include "node/core.h"

void dial_won(struct connection *c);       /* secured and muxed: the others of its dial are closed */
void dial_connected(struct connection *c); /* TCP is there: gives its handshake a head start */
void dial_tick(struct dial *d);
struct mono dial_deadline(const struct dial *d);
void dial_cancel(struct dial *d, enum err code, const char *text);
void swarm_dial_ended(struct peer *p, bool connected); /* redial backoff */

#endif
