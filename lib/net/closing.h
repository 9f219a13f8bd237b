/* lib/net/closing.h: connections that are over for us, but whose last bytes (a GoAway, the reason for a
 * refusal) must still reach the peer. A close with unread input makes the kernel send RST, and RST destroys
 * what is under way; so such a connection gets FIN, and its input is read and thrown away until the peer
 * closes too, CLOSING_MS are over, or it sent CLOSING_BYTES.
 *
 * One descriptor for all (closing_fd, readable), pulled by closing_turn. */
#ifndef SILKTALK_NET_CLOSING_H
#define SILKTALK_NET_CLOSING_H

#include "base/base.h"

/* CLOSING_MAX: the oldest is closed for a new one */
enum { CLOSING_MS = 2000, CLOSING_BYTES = 4 << 20, CLOSING_MAX = 128 };

struct closing;
enum err closing_open(struct closing **out, struct why *w);
void closing_close(struct closing *l); /* closes all at once */
int closing_fd(const struct closing *l);
/* Takes ownership of a connected fd that no loop watches any more, and of the `rest` that was not written yet
 * (copied; what does not fit into memory is lost). */
void closing_give(struct closing *l, int fd, struct bytes rest, struct mono now);
/* when closing_fd is readable, or closing_deadline is due */
void closing_turn(struct closing *l, struct mono now);
struct mono closing_deadline(const struct closing *l);
size_t closing_count(const struct closing *l);

#endif
