/* lib/proto/yamux.h: /yamux/1.0.0: many streams with flow control over one ordered connection.
 * Sources: libp2p/specs yamux/README.md; protocols.md section 7 (windows, limits, what others send).
 *
 * Plain bytes of the connection in, events out, one at a time, by yamux_next; frames to send are appended to `out`.
 * A DATA event is a view into the input: the owner takes it all (or stores what it can not use yet), and tells by
 * yamux_consumed when it is done with so many bytes; only then the peer gets new credit. So a stream never
 * holds more than its window.
 * Owner: whoever embeds it; yamux_free frees all streams. Errors are final: GoAway is in `out` then. */
#ifndef SILKTALK_PROTO_YAMUX_H
#define SILKTALK_PROTO_YAMUX_H

#include "base/map.h"

enum {
    YAMUX_HEADER = 12,
    YAMUX_WINDOW = 262144,                /* bytes each way at the start of a stream */
    YAMUX_FRAME_MAX = 65507,              /* payload of one frame sent: with its header it fills one Noise frame */
    YAMUX_UNACKED_MAX = 256,              /* streams opened by us that were not answered yet */
    YAMUX_CONTROL_MAX = 65536,            /* bytes of replies (pongs, window updates, resets) that may wait in out beyond data */
    YAMUX_PONG_MS = 10000                 /* a keepalive ping unanswered so long ends the session */
};
enum yamux_close { YAMUX_NORMAL = 0, YAMUX_PROTOCOL_ERROR = 1, YAMUX_INTERNAL_ERROR = 2 };

struct yamux_stream {
    uint32_t id;
    void *user;                           /* the owner's */
    uint8_t id_key[4];                    /* key in the map */
    bool opened_here, acked;
    bool fin_sent, fin_received, reset;   /* reset: by either side; the owner must drop it */
    uint64_t send_credit;                 /* bytes that we may still send */
    uint32_t window, window_max;          /* our receive window's size now, and the most it may grow to */
    uint32_t credit;                      /* bytes that the peer may still send */
    uint32_t consumed;                    /* taken by the owner, not yet given back as credit */
    struct mono epoch;                    /* of the last window update, for its growth */
    uint64_t bytes_in, bytes_out;
};
struct yamux {
    bool client, going_away, gone;        /* going_away: we sent GoAway; gone: the peer did */
    struct map streams;
    struct buf out;                       /* frames to send; max is the owner's to set (back pressure) */
    uint32_t next_id;
    size_t inbound, outbound, unacked;    /* live streams by who opened them */
    size_t inbound_max;                   /* more: reset */
    uint32_t window_max;                  /* for new streams, bytes */
    /* the frame being read */
    uint8_t header[YAMUX_HEADER];
    size_t header_n;
    uint32_t payload_left;
    struct yamux_stream *payload_stream;  /* NULL while draining an unknown stream's data */
    uint16_t pending_flags;               /* FIN or RST behind the data of this frame */
    /* keepalive */
    int64_t keepalive_ms;
    struct mono heard, ping_sent;         /* ping_sent 0: none is out */
    uint32_t ping_value;
    int64_t rtt_us;                       /* smoothed; 0: not known yet */
    struct mono ping_window; uint32_t pings_in; uint32_t resets_in; /* floods, per second */
    struct why why;
};
struct yamux_event {
    enum yamux_event_kind {
        YAMUX_NONE,      /* input used up */
        YAMUX_OPENED,    /* the peer opened stream; set its user, or yamux_reset it */
        YAMUX_DATA,      /* data: n > 0 */
        YAMUX_FINISHED,  /* the peer will send no more on stream */
        YAMUX_RESET,     /* stream is dead: drop it with yamux_drop */
        YAMUX_WRITABLE,  /* stream got credit after it had none */
        YAMUX_GOAWAY,    /* the peer ends the session: code */
        YAMUX_PONG       /* keepalive answered: rtt_us is new */
    } kind;
    struct yamux_stream *stream;
    struct bytes data;
    uint32_t code;
};
void yamux_init(struct yamux *y, bool client, size_t inbound_max, uint32_t window_max, int64_t keepalive_ms,
                uint64_t seed, struct mono now);
void yamux_free(struct yamux *y);
/* Reads on until one event; *in shrinks by what was used. E_PROTO, E_LIMIT: the session is over (why). */
enum err yamux_next(struct yamux *y, struct bytes *in, struct mono now, struct yamux_event *event);
/* Opens a stream (SYN rides on the first frame: at once as a window update). NULL: going away, too many unacknowledged, memory. */
struct yamux_stream *yamux_open(struct yamux *y, struct mono now);
/* Sends up to credit and room of out; returns how many bytes of data were taken (0: wait for WRITABLE or room). */
size_t yamux_write(struct yamux *y, struct yamux_stream *s, struct bytes data);
void yamux_finish(struct yamux *y, struct yamux_stream *s);              /* half-close; idempotent */
void yamux_reset(struct yamux *y, struct yamux_stream *s);               /* tells the peer; still to be dropped */
void yamux_consumed(struct yamux *y, struct yamux_stream *s, size_t n, struct mono now);
/* Forgets a stream (resets it first if either direction is still open). The pointer is dead then. Late frames for it are drained. */
void yamux_drop(struct yamux *y, struct yamux_stream *s);
static inline bool yamux_closed(const struct yamux_stream *s) { return s->reset || (s->fin_sent && s->fin_received); }
void yamux_go_away(struct yamux *y, enum yamux_close code);
void yamux_ping(struct yamux *y, struct mono now);                       /* asks for an RTT now, if none is out */
enum err yamux_tick(struct yamux *y, struct mono now);                   /* E_TIMEOUT: the peer is dead */
struct mono yamux_deadline(const struct yamux *y);

#endif
