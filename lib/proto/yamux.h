/* lib/proto/yamux.h: /yamux/1.0.0: many streams with flow control over one ordered connection.
 * Sources: libp2p/specs yamux/README.md; protocols.md sections 7 and 18.
 *
 * Bytes of the connection go in and events come out, one at a time, by yamux_next; frames to send are
 * appended to `out`, which the owner empties from the front. Nothing is copied on the way in: a DATA event is
 * a view into the input, the owner uses or stores all of it at once, and says by yamux_consumed when so many
 * bytes need no memory any more; only then the peer gets new credit. So a stream never holds more than its
 * window.
 *
 * Owner: whoever embeds struct yamux; yamux_free frees all streams. A stream belongs to the session and lives
 * until yamux_drop, which is the owner's to call, at any time; at the latest when yamux_closed (it is after
 * YAMUX_RESET): nothing else frees a stream, and it counts as live until then.
 * A session that failed is over: `why` says so, GoAway is in `out`, every call is harmless, sends nothing. */
#ifndef SILKTALK_PROTO_YAMUX_H
#define SILKTALK_PROTO_YAMUX_H

#include "base/map.h"

#define YAMUX_PROTOCOL "/yamux/1.0.0"
enum {
    YAMUX_HEADER = 12,
    YAMUX_WINDOW = 262144,       /* bytes each way at the start of a stream */
    YAMUX_WINDOW_MAX = 16777216, /* bytes; the most that window_max may be, and any Data frame may have */
    YAMUX_GROWN_MAX = 33554432,  /* bytes; by which a session's windows may exceed YAMUX_WINDOW, in sum */
    YAMUX_FRAME_MAX = 65507,     /* payload of one frame sent: with its header it fills one Noise frame */
    YAMUX_FRAME_SMALL = 4096,    /* no frame shorter than this only because `out` is nearly full */
    YAMUX_OUT_MAX = 262144,      /* bytes; first value of out_max */
    YAMUX_CONTROL_MAX = 65536,   /* bytes of other frames than data that may wait in `out` beyond out_max */
    YAMUX_UNACKED_MAX = 256,     /* streams that we opened and the peer did not answer yet */
    YAMUX_OUTBOUND_MAX = 4096,   /* live streams that we opened */
    YAMUX_PINGS_MAX = 100,       /* that a peer may ask per second */
    YAMUX_RESETS_MAX = 4096,     /* streams that a peer may reset, or is refused, per second */
    YAMUX_PONG_MS = 10000        /* a ping out, and nothing heard for so long: the peer is dead */
};
enum yamux_close { YAMUX_NORMAL = 0, YAMUX_PROTOCOL_ERROR = 1, YAMUX_INTERNAL_ERROR = 2 };

struct yamux_stream { /* to be read by the owner; only `user` is to be written */
    void *user;
    uint32_t id;
    uint8_t id_key[4]; /* key in the map */
    bool opened_here;
    bool acked; /* opened here: the peer has answered; else: we have */
    bool fin_sent, fin_received;
    bool reset;                   /* by either side: no frame goes out, no event comes in any more */
    uint64_t send_credit;         /* bytes that we may still send */
    uint32_t window, window_max;  /* bytes: our receive window now, and the most it may grow to */
    uint32_t credit;              /* bytes that the peer may still begin to send */
    uint32_t held;                /* bytes given to the owner that it has not consumed yet */
    uint32_t consumed;            /* bytes consumed that the peer has no new credit for yet */
    struct mono epoch;            /* of the last window update, to see how fast a window is used up */
    uint64_t bytes_in, bytes_out; /* payload */
};

struct yamux {
    bool client;
    bool going_away, gone; /* GoAway was sent by us; by the peer */
    struct map streams;    /* struct yamux_stream by id_key; walk with map_next */
    struct buf out;        /* frames to send; its max is not the owner's to set */
    size_t out_max;        /* bytes in `out` at which data must wait; the owner's to set */
    uint32_t next_id;
    size_t inbound, outbound, unacked; /* live streams by who opened them; ours that were not answered */
    size_t inbound_max;                /* one more is refused; the owner's to set */
    uint32_t window_max;       /* bytes, for new streams; the owner's to set, at most YAMUX_WINDOW_MAX */
    size_t grown;              /* see YAMUX_GROWN_MAX */
    struct yamux_stream *last; /* found last: frames of one stream follow each other */
    /* the frame being read */
    uint8_t header[YAMUX_HEADER];
    size_t header_n;
    struct yamux_stream *frame_stream; /* NULL: payload is drained */
    uint32_t payload_left;
    bool fin_behind; /* its FIN takes effect behind its payload */
    /* liveness */
    int64_t keepalive_ms;  /* idle time before a ping; 0: none */
    struct mono heard;     /* last input. The owner may set it too when the socket took bytes that had had to
                              wait: a slow link is not dead because the pong waits behind data */
    struct mono ping_sent; /* 0: none is out */
    uint32_t ping_value;
    int64_t rtt_us;           /* smoothed; 0: not known yet */
    int64_t rtt_min_us;       /* the shortest */
    struct mono rtt_at;       /* when it was measured */
    struct mono flood_second; /* begin of the second that these are counted in */
    uint32_t pings_in, resets_in;
    struct why why; /* code OK: the session lives */
};

struct yamux_event {
    enum yamux_event_kind {
        YAMUX_NONE,     /* input used up */
        YAMUX_OPENED,   /* the peer opened stream: set its user, or drop it to refuse it */
        YAMUX_DATA,     /* data on stream: n > 0 */
        YAMUX_FINISHED, /* the peer sends no more on stream */
        YAMUX_RESET,    /* the peer reset stream, with code (0 from most): drop it */
        YAMUX_WRITABLE, /* stream has credit again after it had none */
        YAMUX_GOAWAY,   /* the peer ends the session, with code: all further input is discarded */
        YAMUX_PONG      /* our ping was answered: rtt_us is new */
    } kind;
    struct yamux_stream *stream;
    struct bytes data; /* a view into the input */
    uint32_t code;
};

/* client: the side that dialled. inbound_max: live streams that the peer may have opened. window_max: bytes,
 * brought into YAMUX_WINDOW to YAMUX_WINDOW_MAX. seed: random, secret. Takes no memory. */
void yamux_init(struct yamux *y, bool client, size_t inbound_max, uint32_t window_max, int64_t keepalive_ms,
                uint64_t seed, struct mono now);
void yamux_free(struct yamux *y);

/* Reads on until one event, or until the input is used up; *in shrinks by what was used. Events may still
 * follow when it is empty: call it until YAMUX_NONE. In between the owner may call anything, yamux_drop too.
 * E_PROTO, E_LIMIT (a flood, or replies that the peer does not read), E_MEMORY: the session is over. */
enum err yamux_next(struct yamux *y, struct bytes *in, struct mono now, struct yamux_event *event);

/* Opens a stream; the peer is told at once, data may follow at once. NULL: session over or going away, no id
 * left; or, which passes: YAMUX_UNACKED_MAX, YAMUX_OUTBOUND_MAX, `out` far over out_max, no memory. */
struct yamux_stream *yamux_open(struct yamux *y, struct mono now);
/* Sends as much as credit and room in `out` allow; returns how many bytes were taken. Fewer than data.n: wait
 * for YAMUX_WRITABLE if send_credit is 0, else until `out` is drained. 0 if finished, reset, session over. */
size_t yamux_write(struct yamux *y, struct yamux_stream *s, struct bytes data);
void yamux_finish(struct yamux *y, struct yamux_stream *s); /* half-close: we send no more; idempotent */
void yamux_reset(struct yamux *y, struct yamux_stream *s);  /* both directions, tells the peer; idempotent */
/* n bytes of those given by YAMUX_DATA need no memory any more. At most `held`. */
void yamux_consumed(struct yamux *y, struct yamux_stream *s, size_t n, struct mono now);
/* Forgets a stream, and resets it first if it is not yamux_closed. The pointer is dead, late frames for it
 * are drained. */
void yamux_drop(struct yamux *y, struct yamux_stream *s);
static inline bool yamux_closed(const struct yamux_stream *s) {
    return s->reset || (s->fin_sent && s->fin_received);
}

/* Tells the peer that the session ends; new streams are refused from now on. code: enum yamux_close, or one
 * of libp2p's (protocols.md section 16). The owner closes the connection when `out` is sent. */
void yamux_go_away(struct yamux *y, uint32_t code);
void yamux_ping(struct yamux *y, struct mono now); /* measures the round trip, if no ping is out */
/* Keepalive; at yamux_deadline or later, sooner is harmless. E_TIMEOUT: the peer is dead, session over. */
enum err yamux_tick(struct yamux *y, struct mono now);
struct mono yamux_deadline(const struct yamux *y); /* when the next tick is due; or never */

#endif
