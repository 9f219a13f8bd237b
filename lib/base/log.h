/* lib/base/log.h: turns events into lines and keeps them until the owner writes them somewhere.
 *
 * No clock and no file here: the owner sets `now` once per turn and drains `lines`. Lines are formatted as
 * operations.md S5 says: `LEVEL component: Event text key=value...`, values with blanks quoted, other bytes
 * as \xNN, at most LOG_LINE_MAX bytes; or one JSON object (kv_ms as KEY_seconds). Values over 1 KiB are cut,
 * pairs that do not fit are left out, ` cut=yes` ("cut":true) says so. Of one event 100 are written in 10 s;
 * more are counted and end in one more line, ` Repeated count=N` ("repeated":N). When the buffer is full
 * lines are dropped and counted. Secrets, bodies and subjects have no kv_ form.
 *
 * In lines of INFO and DEBUG no value shows "error" or "warn" in any case, so that a grep for them finds what
 * needs an operator and nothing else: a letter is then written as the escape of the format (\x65, in JSON
 * \u0065), which readers undo. */
#ifndef SILKTALK_BASE_LOG_H
#define SILKTALK_BASE_LOG_H

#include "base/event.h"

enum { LOG_LINE_MAX = 4096, LOG_BUFFER_MAX = 1 << 20, LOG_REPEAT_MAX = 100, LOG_REPEAT_MS = 10000 };

enum log_format { LOG_TEXT, LOG_JSON };

struct kv {
    const char *key;
    enum { KV_TEXT, KV_INT, KV_MS, KV_BYTES_HEX } kind;
    struct bytes text;
    int64_t number;
};
static inline struct kv kv_text(const char *key, struct bytes v) {
    return (struct kv){key, KV_TEXT, v, 0};
}
static inline struct kv kv_str(const char *key, const char *v) {
    return kv_text(key, bytes_of(v));
}
static inline struct kv kv_int(const char *key, int64_t v) {
    return (struct kv){key, KV_INT, {NULL, 0}, v};
}
static inline struct kv kv_ms(const char *key, int64_t ms) {
    return (struct kv){key, KV_MS, {NULL, 0}, ms};
}
static inline struct kv kv_hex(const char *key, struct bytes v) {
    return (struct kv){key, KV_BYTES_HEX, v, 0};
}

/* Which events whoever follows them wants: none; INFO and above, but for those that come with each message;
 * INFO and above; all. */
enum log_tap { LOG_TAP_NONE, LOG_TAP_RARE, LOG_TAP_INFO, LOG_TAP_ALL };

struct log_repeat { /* how often an event came in the present window */
    struct mono since;
    uint32_t count;
};
/* Counts by event and peer, of INFO and above at any log level: whoever wants them sets log.tally, and takes
 * them with log_tally_take. Peers that find no slot are counted without their name. */
enum { LOG_TALLY_SLOTS = 512, LOG_TALLY_TRIES = 16, LOG_TALLY_PEER = 64, LOG_TAP_MAX = 256 << 10 };
struct log_tally {
    struct log_tally_slot {
        uint32_t count; /* 0: free */
        uint16_t event;
        char peer[LOG_TALLY_PEER];
    } slots[LOG_TALLY_SLOTS];
    uint32_t rest[EVENT_COUNT]; /* without a peer, or without a slot */
};
struct log {
    struct clocks now; /* set by the owner, each turn */
    enum log_format format;
    enum log_level level[COMPONENT_COUNT];    /* lines below are not formatted, but counted */
    struct mono level_until[COMPONENT_COUNT]; /* `log level X --for D`: back to base_level then */
    enum log_level base_level[COMPONENT_COUNT];
    struct buf lines; /* records, see log_take; max LOG_BUFFER_MAX */
    size_t taken;     /* bytes of `lines` that log_take has given out */
    uint64_t dropped, written[LEVEL_COUNT];
    uint64_t counts[EVENT_COUNT]; /* every event, at any level */
    struct log_repeat repeat[EVENT_COUNT];
    struct log_tally *tally; /* the owner's; NULL: not wanted */
    enum log_tap tap_of;     /* these are kept in `tap` too, at any log level */
    struct buf tap;          /* repeated { u16 BE event, u16 BE n, n bytes of a JSON object } */
    uint64_t tap_dropped;
};
void log_init(struct log *log, enum log_level level, enum log_format format);
void log_free(struct log *log);
void log_set_level(struct log *log, enum log_level level); /* all components, now and as the base */
void log_event(struct log *log, enum event event, const struct kv *pairs, size_t n); /* log NULL: nothing */
#define LOG(log, event, ...)                                                                                 \
    log_event((log), (event), (const struct kv[]){__VA_ARGS__},                                              \
              sizeof((const struct kv[]){__VA_ARGS__}) / sizeof(struct kv))
/* Takes the oldest line: its level, time, component and text without newline. The text (LOG_TEXT: from the
 * LEVEL word on; LOG_JSON: the object, time included) is valid until the next log_* call. False: none. The
 * taker adds the time or the journal's priority, for which at least 32 of the LOG_LINE_MAX bytes are left. */
struct log_line {
    enum log_level level;
    enum log_component component;
    enum event event;
    struct wall time;
    struct bytes text;
};
bool log_take(struct log *log, struct log_line *out);
/* Of syslog and the journal: 7 6 4 3; 2 for what ends the daemon. */
int log_line_priority(const struct log_line *line);
/* Appends a value as text lines have it: quoted when a script would split it, other bytes as \xNN. */
bool log_value_add(struct buf *line, struct bytes text);
/* Takes one count, and forgets it; *at begins with 0. False: no more. peer: "" for none. */
bool log_tally_take(struct log_tally *t, size_t *at, enum event *event, const char **peer, uint32_t *count);
/* Ends repeat windows that are over and temporary levels; call at log_deadline or at will. */
void log_tick(struct log *log);
struct mono log_deadline(const struct log *log);

#endif
