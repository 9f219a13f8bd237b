#include "node/event_history.h"

enum { HEAD = 4 };

static size_t size_at(const struct event_history *h, size_t at) {
    struct rd r = rd_of(bytes_skip(buf_view(&h->bytes), at + 2));
    return HEAD + (size_t)rd_u16(&r);
}

static void drop_oldest(struct event_history *h) {
    h->from += size_at(h, h->from);
    h->n--;
}

/* Moves what is left to the front once it is the smaller part: so each byte is moved a few times at most. */
static void compact(struct event_history *h) {
    if (h->from < h->bytes.n / 2) return;
    buf_drop(&h->bytes, h->from);
    h->from = 0;
}

void event_history_add(struct event_history *h, size_t most, enum event event, struct bytes object) {
    size_t need = HEAD + object.n;
    h->last++;
    h->bytes.max = 2 * EVENT_HISTORY_BYTES;
    while (h->n > 0 && (h->n >= most || h->bytes.n - h->from + need > EVENT_HISTORY_BYTES)) drop_oldest(h);
    compact(h);
    if (object.n > UINT16_MAX ||
        !buf_reserve(&h->bytes, need)) { /* numbers are counted back from the newest: all or nothing */
        event_history_free(h);
        return;
    }
    wr_u16(&h->bytes, (uint16_t)event);
    wr_u16(&h->bytes, (uint16_t)object.n);
    buf_add(&h->bytes, object);
    h->n++;
}

void event_history_free(struct event_history *h) {
    buf_free(&h->bytes);
    h->from = h->n = 0;
}

struct event_at event_history_first(const struct event_history *h) {
    return (struct event_at){.at = h->from, .number = h->last - h->n};
}

bool event_history_next(const struct event_history *h, struct event_at *at) {
    struct rd r = rd_of(bytes_skip(buf_view(&h->bytes), at->at));
    if (r.in.n == 0) return false;
    at->event = (enum event)rd_u16(&r);
    at->object = rd_take(&r, rd_u16(&r));
    at->number++;
    at->at = h->bytes.n - r.in.n;
    return !r.bad;
}
