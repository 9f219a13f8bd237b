/* lib/node/event_history.h: the last events, numbered, for those who ask now and then (/api/v1/events).
 * Bounded by count and bytes: the oldest goes. Owner: the node; begins as zero. */
#ifndef SILKTALK_NODE_EVENT_HISTORY_H
#define SILKTALK_NODE_EVENT_HISTORY_H

#include "base/base.h"
#include "base/event.h"

enum { EVENT_HISTORY_BYTES = 512 << 10 };
struct event_history {
    struct buf
        bytes; /* repeated { u16 event, u16 n, n bytes of a JSON object }, oldest first, from `from` on */
    size_t from, n;
    uint64_t last;     /* number of the newest; the first one of all is 1 */
    struct mono asked; /* somebody looked; 0: never */
};
/* Events come in their order; `most` are kept. Without memory the event is lost, with its number. */
void event_history_add(struct event_history *h, size_t most, enum event event, struct bytes object);
void event_history_free(struct event_history *h);

/* A walk: valid until the next event_history_add. */
struct event_at {
    size_t at;
    uint64_t number;
    enum event event;
    struct bytes object; /* {"time":...} */
};
struct event_at event_history_first(const struct event_history *h);          /* stands before the oldest */
bool event_history_next(const struct event_history *h, struct event_at *at); /* false: no more */

#endif
