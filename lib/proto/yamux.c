/* lib/proto/yamux.c: the multiplexer: frames in, frames out, credit both ways, keepalive. What is done for
 * the sake of one implementation says for which. */
#include "proto/yamux.h"

#include "base/mem.h"

#include <assert.h>

enum frame_type { FRAME_DATA, FRAME_WINDOW, FRAME_PING, FRAME_GO_AWAY };
enum { FLAG_SYN = 1, FLAG_ACK = 2, FLAG_FIN = 4, FLAG_RST = 8 };
enum { SECOND_US = 1000000, RTT_OLD_MS = 30000, GROWTH_ROUND_TRIPS = 4, RTT_FLOOR_US = 250 };

struct frame {
    uint8_t type;
    uint16_t flags;
    uint32_t id, length;
};

void yamux_init(struct yamux *y, bool client, size_t inbound_max, uint32_t window_max, int64_t keepalive_ms,
                uint64_t seed, struct mono now) {
    *y = (struct yamux){.client = client, .next_id = client ? 1 : 2, .inbound_max = inbound_max};
    y->window_max = MIN(MAX(window_max, (uint32_t)YAMUX_WINDOW), (uint32_t)YAMUX_WINDOW_MAX);
    y->out_max = YAMUX_OUT_MAX;
    y->keepalive_ms = keepalive_ms;
    y->heard = now;
    y->ping_value = (uint32_t)(seed >> 16);
    map_init(&y->streams, SIZE_MAX, seed, ~seed); /* inbound_max and YAMUX_OUTBOUND_MAX are the limits */
}

void yamux_free(struct yamux *y) {
    struct yamux_stream *s;
    for (size_t i = 0; (s = map_next(&y->streams, &i)) != NULL;) mem_free(s);
    map_free(&y->streams);
    buf_free(&y->out);
    y->last = y->frame_stream = NULL;
}

static bool alive(const struct yamux *y) {
    return y->why.code == OK && !y->gone;
}

/* ---- frames out */

static void write_header(uint8_t *p, enum frame_type type, unsigned flags, uint32_t id, uint32_t length) {
    p[0] = 0; /* version */
    p[1] = (uint8_t)type;
    put_u16(p + 2, (uint16_t)flags);
    put_u32(p + 4, id);
    put_u32(p + 8, length);
}

/* Data stops at out_max, other frames at YAMUX_CONTROL_MAX beyond it, and GoAway finds room even then. */
static uint8_t *out_space(struct yamux *y, size_t beyond, size_t n) {
    y->out.max = y->out_max > SIZE_MAX - beyond ? SIZE_MAX : y->out_max + beyond;
    return buf_add_space(&y->out, n);
}

static void put_go_away(struct yamux *y, uint32_t code) {
    uint8_t *p = out_space(y, YAMUX_CONTROL_MAX + YAMUX_HEADER, YAMUX_HEADER);
    if (p != NULL) write_header(p, FRAME_GO_AWAY, 0, 0, code);
    y->going_away = true;
}

/* The session fails: the only place that sets `why`. */
static enum err over(struct yamux *y, enum err code, const char *text) {
    if (y->why.code != OK) return y->why.code;
    put_go_away(y, code == E_PROTO ? YAMUX_PROTOCOL_ERROR : YAMUX_INTERNAL_ERROR);
    return fail(&y->why, code, "%s", text);
}

/* Any frame but data. What a peer makes us send and does not read ends the session here. */
static void put_control(struct yamux *y, enum frame_type type, unsigned flags, uint32_t id, uint32_t length) {
    if (!alive(y)) return;
    uint8_t *p = out_space(y, YAMUX_CONTROL_MAX, YAMUX_HEADER);
    if (p != NULL) {
        write_header(p, type, flags, id, length);
    } else if (buf_room(&y->out) < YAMUX_HEADER) {
        over(y, E_LIMIT, "the peer does not read what it makes us answer");
    } else {
        over(y, E_MEMORY, "no memory for a frame");
    }
}

/* What the next frame on s must carry besides: the first one on a stream of the peer accepts it. */
static unsigned first_flags(struct yamux_stream *s) {
    if (s->opened_here || s->acked) return 0;
    s->acked = true;
    return FLAG_ACK;
}

/* ---- streams */

static struct yamux_stream *find(struct yamux *y, uint32_t id) {
    if (y->last != NULL && y->last->id == id) return y->last;
    uint8_t key[4];
    put_u32(key, id);
    struct yamux_stream *s = map_find(&y->streams, bytes_at(key, sizeof(key)));
    if (s != NULL) y->last = s;
    return s;
}

static struct yamux_stream *stream_new(struct yamux *y, uint32_t id, bool opened_here, struct mono now) {
    struct yamux_stream *s = NEW(struct yamux_stream);
    if (s == NULL) return NULL;
    s->id = id;
    s->opened_here = opened_here;
    s->send_credit = s->window = s->credit = YAMUX_WINDOW;
    s->window_max = MIN(MAX(y->window_max, (uint32_t)YAMUX_WINDOW), (uint32_t)YAMUX_WINDOW_MAX);
    s->epoch = now;
    put_u32(s->id_key, id);
    if (map_add(&y->streams, bytes_at(s->id_key, sizeof(s->id_key)), s) != OK) {
        mem_free(s);
        return NULL;
    }
    if (opened_here) {
        y->outbound++;
        y->unacked++;
    } else {
        y->inbound++;
    }
    return s;
}

/* A stream of ours has its answer, or needs none any more. */
static void answered(struct yamux *y, struct yamux_stream *s) {
    if (!s->opened_here || s->acked) return;
    s->acked = true;
    y->unacked--;
}

struct yamux_stream *yamux_open(struct yamux *y, struct mono now) {
    if (!alive(y) || y->going_away || y->next_id > UINT32_MAX - 2) return NULL;
    if (y->unacked >= YAMUX_UNACKED_MAX || y->outbound >= YAMUX_OUTBOUND_MAX) return NULL;
    uint8_t *p = out_space(y, YAMUX_CONTROL_MAX / 2, YAMUX_HEADER); /* the other half is for answers */
    if (p == NULL) return NULL;
    struct yamux_stream *s = stream_new(y, y->next_id, true, now);
    if (s == NULL) {
        y->out.n -= YAMUX_HEADER;
        return NULL;
    }
    write_header(p, FRAME_WINDOW, FLAG_SYN, s->id, 0);
    y->next_id += 2;
    return s;
}

size_t yamux_write(struct yamux *y, struct yamux_stream *s, struct bytes data) {
    size_t done = 0, n = s->send_credit < data.n ? (size_t)s->send_credit : data.n;
    if (!alive(y) || s->fin_sent || s->reset) return 0;
    while (done < n) {
        size_t length = MIN(n - done, (size_t)YAMUX_FRAME_MAX);
        size_t room = y->out_max > y->out.n ? y->out_max - y->out.n : 0;
        if (room <= YAMUX_HEADER) break;
        if (y->out.n > 0 && room < YAMUX_HEADER + MIN(length, (size_t)YAMUX_FRAME_SMALL)) break;
        length = MIN(length, room - YAMUX_HEADER);
        uint8_t *p = out_space(y, 0, YAMUX_HEADER + length);
        if (p == NULL) {
            over(y, E_MEMORY, "no memory for a frame");
            break;
        }
        write_header(p, FRAME_DATA, first_flags(s), s->id, (uint32_t)length);
        memcpy(p + YAMUX_HEADER, data.p + done, length);
        done += length;
    }
    s->send_credit -= done;
    s->bytes_out += done;
    return done;
}

void yamux_finish(struct yamux *y, struct yamux_stream *s) {
    if (s->fin_sent || s->reset) return;
    put_control(y, FRAME_WINDOW, first_flags(s) | FLAG_FIN, s->id, 0);
    s->fin_sent = true;
}

void yamux_reset(struct yamux *y, struct yamux_stream *s) {
    if (yamux_closed(s)) return;
    put_control(y, FRAME_WINDOW, FLAG_RST, s->id, 0);
    s->reset = true;
    answered(y, s);
}

/* How much larger the window of s becomes: it is doubled while half of it is used up within a few round
 * trips, since then the window and not the link limits the flow (the rule of go). The shortest round trip
 * counts: one that waited behind our own bytes would let the window grow into a longer queue, for messages
 * too. */
static uint32_t growth(const struct yamux *y, const struct yamux_stream *s, struct mono now) {
    if (y->rtt_us == 0 ||
        now.us - s->epoch.us >= GROWTH_ROUND_TRIPS * MAX(y->rtt_min_us, (int64_t)RTT_FLOOR_US))
        return 0;
    uint32_t more = s->window_max > s->window ? MIN(s->window, s->window_max - s->window) : 0;
    return MIN(more, (uint32_t)(YAMUX_GROWN_MAX - y->grown));
}

void yamux_consumed(struct yamux *y, struct yamux_stream *s, size_t n, struct mono now) {
    assert(n <= s->held);
    s->held -= (uint32_t)n;
    s->consumed += (uint32_t)n;
    if (s->consumed < s->window / 2 || s->reset || s->fin_received || !alive(y)) return;
    if (y->rtt_us == 0 || mono_diff_ms(now, y->rtt_at) >= RTT_OLD_MS) yamux_ping(y, now);
    uint32_t more = growth(y, s, now), delta = s->consumed + more;
    y->grown += more;
    s->window += more;
    s->credit += delta;
    s->consumed = 0;
    s->epoch = now;
    put_control(y, FRAME_WINDOW, first_flags(s), s->id, delta);
}

void yamux_drop(struct yamux *y, struct yamux_stream *s) {
    yamux_reset(y, s);
    answered(y, s);
    if (s->opened_here) {
        y->outbound--;
    } else {
        y->inbound--;
    }
    y->grown -= s->window - YAMUX_WINDOW;
    if (y->last == s) y->last = NULL;
    if (y->frame_stream == s) y->frame_stream = NULL; /* what is left of the frame is drained */
    map_drop(&y->streams, bytes_at(s->id_key, sizeof(s->id_key)));
    mem_free(s);
}

/* ---- frames in */

/* Things that are allowed, but not this often. */
static void count(struct yamux *y, uint32_t *counter, uint32_t max, struct mono now, const char *text) {
    if (now.us - y->flood_second.us >= SECOND_US) {
        y->flood_second = now;
        y->pings_in = y->resets_in = 0;
    }
    if (++*counter > max) over(y, E_LIMIT, text);
}

static void count_reset(struct yamux *y, struct mono now) {
    count(y, &y->resets_in, YAMUX_RESETS_MAX, now, "the peer resets streams, or opens too many, too often");
}

/* A stream that the peer opens, after all that makes its first frame a wrong one; NULL: wrong, or refused. */
static struct yamux_stream *accept_stream(struct yamux *y, const struct frame *f, struct mono now) {
    bool of_client = f->id % 2 == 1;
    if (of_client == y->client) {
        over(y, E_PROTO, "the peer opens a stream with an id of ours");
    } else if (find(y, f->id) != NULL) {
        over(y, E_PROTO, "the peer opens a stream twice");
    } else if (f->type == FRAME_DATA && f->length > YAMUX_WINDOW) {
        over(y, E_PROTO, "more data than the window of a new stream");
    } else if (f->flags & FLAG_RST) {
        count_reset(y, now); /* opened and reset by one frame: as if it had never been */
    } else if (f->type == FRAME_WINDOW && f->length > UINT32_MAX - YAMUX_WINDOW) {
        over(y, E_PROTO, "more credit than 32 bits hold");
    } else {
        bool fits = !y->going_away && y->inbound < y->inbound_max;
        struct yamux_stream *s = fits ? stream_new(y, f->id, false, now) : NULL;
        if (s != NULL) return s;
        count_reset(y, now);
        put_control(y, FRAME_WINDOW, FLAG_RST, f->id, 0);
    }
    return NULL;
}

static void take_credit(struct yamux *y, struct yamux_stream *s, uint32_t delta, struct yamux_event *event) {
    if (s->fin_sent || delta == 0) return;
    if (delta > UINT32_MAX - s->send_credit) {
        over(y, E_PROTO, "more credit than 32 bits hold");
        return;
    }
    if (s->send_credit == 0) *event = (struct yamux_event){.kind = YAMUX_WRITABLE, .stream = s};
    s->send_credit += delta;
}

static void take_reset(struct yamux *y, struct yamux_stream *s, const struct frame *f, struct mono now,
                       struct yamux_event *event) {
    bool closed = yamux_closed(s); /* nothing is left to tell then: both ends have all data */
    s->reset = true;
    y->frame_stream = NULL;
    count_reset(y, now);
    if (closed) return;
    *event = (struct yamux_event){.kind = YAMUX_RESET, .stream = s};
    if (f->type == FRAME_WINDOW) event->code = f->length; /* go's error code: never credit */
}

/* Data and WindowUpdate. Nothing of ours is spent on a frame before its length is known to be allowed. */
static void take_stream_frame(struct yamux *y, const struct frame *f, struct mono now,
                              struct yamux_event *event) {
    uint32_t payload = f->type == FRAME_DATA ? f->length : 0;
    if (f->id == 0) {
        over(y, E_PROTO, "data for stream 0");
        return;
    }
    if (payload > YAMUX_WINDOW_MAX) { /* known stream or not: none ever had so large a window */
        over(y, E_PROTO, "a frame longer than any window");
        return;
    }
    struct yamux_stream *s = f->flags & FLAG_SYN ? accept_stream(y, f, now) : find(y, f->id);
    y->payload_left = payload;
    y->frame_stream = NULL;
    if (s == NULL || y->why.code != OK) return; /* refused, or dropped here while the frame was on its way */
    if (f->flags & FLAG_SYN) *event = (struct yamux_event){.kind = YAMUX_OPENED, .stream = s};
    if (payload > s->credit) {
        over(y, E_PROTO, "more data than the window");
        return;
    }
    s->credit -= payload;
    answered(y, s);
    if (s->reset) return;
    if (f->flags & FLAG_RST) {
        take_reset(y, s, f, now, event);
        return;
    }
    if (f->type == FRAME_WINDOW) take_credit(y, s, f->length, event);
    if (s->fin_received) return; /* data behind FIN: go may send that when its user races write and close */
    y->frame_stream = s;
    y->fin_behind = f->flags & FLAG_FIN;
}

static void take_ping(struct yamux *y, const struct frame *f, struct mono now, struct yamux_event *event) {
    if (f->flags & FLAG_SYN) {
        count(y, &y->pings_in, YAMUX_PINGS_MAX, now, "the peer pings too often");
        put_control(y, FRAME_PING, FLAG_ACK, 0, f->length);
    } else if ((f->flags & FLAG_ACK) && y->ping_sent.us != 0 && f->length == y->ping_value) {
        int64_t rtt = MAX(now.us - y->ping_sent.us, (int64_t)1);
        y->rtt_min_us = y->rtt_min_us == 0 ? rtt : MIN(y->rtt_min_us, rtt);
        y->rtt_us = y->rtt_us == 0 ? rtt : (y->rtt_us + rtt + 1) / 2;
        y->rtt_at = now;
        y->ping_sent = MONO_NEVER;
        event->kind = YAMUX_PONG;
    } /* else a stray answer */
}

static void take_frame(struct yamux *y, const uint8_t *p, struct mono now, struct yamux_event *event) {
    struct frame f = {.type = p[1], .flags = get_u16(p + 2), .id = get_u32(p + 4), .length = get_u32(p + 8)};
    if (p[0] != 0) {
        over(y, E_PROTO, "unknown version of Yamux");
    } else if (f.type == FRAME_DATA || f.type == FRAME_WINDOW) {
        take_stream_frame(y, &f, now, event);
    } else if (f.type == FRAME_PING) {
        take_ping(y, &f, now, event);
    } else if (f.type == FRAME_GO_AWAY) {
        y->gone = true;
        *event = (struct yamux_event){.kind = YAMUX_GOAWAY, .code = f.length};
    } else {
        over(y, E_PROTO, "unknown type of frame");
    }
}

/* The whole header at the front of the input, in place if it is all there; NULL: not yet. */
static const uint8_t *take_header(struct yamux *y, struct bytes *in) {
    if (y->header_n == 0 && in->n >= YAMUX_HEADER) return bytes_take(in, YAMUX_HEADER).p;
    struct bytes part = bytes_take(in, YAMUX_HEADER - y->header_n);
    if (part.n > 0) memcpy(y->header + y->header_n, part.p, part.n);
    y->header_n += part.n;
    if (y->header_n < YAMUX_HEADER) return NULL;
    y->header_n = 0;
    return y->header;
}

static void take_payload(struct yamux *y, struct bytes *in, struct yamux_event *event) {
    struct bytes data = bytes_take(in, y->payload_left);
    struct yamux_stream *s = y->frame_stream;
    y->payload_left -= (uint32_t)data.n;
    if (s == NULL || s->reset) return;
    s->held += (uint32_t)data.n;
    s->bytes_in += data.n;
    *event = (struct yamux_event){.kind = YAMUX_DATA, .stream = s, .data = data};
}

static void take_fin(struct yamux *y, struct yamux_event *event) {
    struct yamux_stream *s = y->frame_stream;
    y->fin_behind = false;
    if (s == NULL || s->reset) return;
    s->fin_received = true;
    *event = (struct yamux_event){.kind = YAMUX_FINISHED, .stream = s};
}

enum err yamux_next(struct yamux *y, struct bytes *in, struct mono now, struct yamux_event *event) {
    *event = (struct yamux_event){.kind = YAMUX_NONE};
    if (in->n > 0) y->heard = now;
    while (y->why.code == OK && event->kind == YAMUX_NONE) {
        const uint8_t *header;
        if (y->gone) {
            *in = bytes_skip(*in, in->n);
            break;
        }
        if (y->payload_left > 0 && in->n == 0) break;
        if (y->payload_left > 0) {
            take_payload(y, in, event);
        } else if (y->fin_behind) {
            take_fin(y, event);
        } else if ((header = take_header(y, in)) != NULL) {
            take_frame(y, header, now, event);
        } else {
            break;
        }
    }
    if (y->why.code != OK) *event = (struct yamux_event){.kind = YAMUX_NONE};
    return y->why.code;
}

/* ---- the session */

void yamux_go_away(struct yamux *y, uint32_t code) {
    if (alive(y) && !y->going_away) put_go_away(y, code);
}

void yamux_ping(struct yamux *y, struct mono now) {
    if (!alive(y) || y->ping_sent.us != 0) return;
    y->ping_sent = now;
    put_control(y, FRAME_PING, FLAG_SYN, 0, ++y->ping_value);
}

struct mono yamux_deadline(const struct yamux *y) {
    if (!alive(y) || y->keepalive_ms <= 0) return MONO_NEVER;
    if (y->ping_sent.us == 0) return mono_add_ms(y->heard, y->keepalive_ms);
    return mono_add_ms((struct mono){MAX(y->heard.us, y->ping_sent.us)}, YAMUX_PONG_MS);
}

enum err yamux_tick(struct yamux *y, struct mono now) {
    if (!mono_due(yamux_deadline(y), now)) return y->why.code;
    if (y->ping_sent.us != 0) return over(y, E_TIMEOUT, "the peer does not answer");
    yamux_ping(y, now);
    return y->why.code;
}
