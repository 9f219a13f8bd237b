/* lib/base/log.c: events to lines. A line is made on the stack, where its room is fixed; what does not fit is
 * left out pair by pair and the line says so (cut). Nothing here allocates but `lines`. */
#include "base/log.h"

#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <strings.h>

enum {
    LINE_RESERVE = 64,    /* for the taker's time, priority and newline, and for the mark of a cut */
    VALUE_MAX = 1024,     /* bytes of one value as written: one long text leaves room for the other pairs */
    BUFFER_KEPT = 1 << 16 /* memory kept when all lines are taken */
};
enum { RECORD_HEAD = 1 + 1 + 2 + 8 + 4 };

static const char *const level_words[LEVEL_COUNT] = {"DEBUG", "INFO", "WARN", "ERROR"};

void log_init(struct log *log, enum log_level level, enum log_format format) {
    *log = (struct log){.format = format, .lines = {.max = LOG_BUFFER_MAX}, .tap = {.max = LOG_TAP_MAX}};
    log_set_level(log, level);
}

void log_free(struct log *log) {
    buf_free(&log->lines);
    buf_free(&log->tap);
    log->taken = 0;
}

void log_set_level(struct log *log, enum log_level level) {
    for (unsigned i = 0; i < COMPONENT_COUNT; i++) {
        log->level[i] = log->base_level[i] = level;
        log->level_until[i] = MONO_NEVER;
    }
}

/* The front part of a text that takes at most VALUE_MAX bytes in either format. */
static struct bytes fitting(struct bytes text) {
    size_t cost = 0, at = 0;
    while (at < text.n) {
        uint32_t code = 0;
        size_t n = utf8_read(bytes_skip(text, at), &code);
        bool passes = n > 0 && !utf8_control(code);
        cost += !passes ? 6 * MAX(n, (size_t)1) : code == '"' || code == '\\' ? 2 : n;
        if (cost > VALUE_MAX) break;
        at += MAX(n, (size_t)1);
    }
    return bytes_sub(text, 0, at);
}

/* Quotes when a script would split the value wrongly. text_escape sees no backslash: they are doubled. */
bool log_value_add(struct buf *line, struct bytes text) {
    bool quoted = text.n == 0 || bytes_index(text, ' ') < text.n || bytes_index(text, '"') < text.n ||
                  bytes_index(text, '=') < text.n;
    bool good = !quoted || buf_add_byte(line, '"');
    while (good && text.n > 0) {
        size_t plain = 0;
        while (plain < text.n && text.p[plain] != '"' && text.p[plain] != '\\') plain++;
        good = text_escape(line, bytes_take(&text, plain), false);
        if (!good || text.n == 0) break;
        good = buf_add_byte(line, '\\') && buf_add(line, bytes_take(&text, 1));
    }
    return good && (!quoted || buf_add_byte(line, '"'));
}

static bool add_text_pair(struct buf *line, const struct kv *pair, struct bytes text) {
    char time[32];
    if (!buf_add_byte(line, ' ') || !buf_add_text(line, pair->key) || !buf_add_byte(line, '=')) return false;
    switch (pair->kind) {
    case KV_TEXT: return log_value_add(line, text);
    case KV_INT: return buf_add_format(line, "%lld", (long long)pair->number);
    case KV_MS: duration_text(pair->number, time); return buf_add_text(line, time);
    case KV_BYTES_HEX: return hex_encode(line, text);
    }
    return false;
}

static bool add_json_pair(struct json_out *o, const struct kv *pair, struct bytes text) {
    char hex[VALUE_MAX], key[64];
    struct buf digits = {(uint8_t *)hex, 0, sizeof(hex), sizeof(hex)};
    switch (pair->kind) {
    case KV_TEXT: json_put(o, pair->key, text); return !o->bad;
    case KV_INT: json_put_int(o, pair->key, pair->number); return !o->bad;
    case KV_MS: /* as everywhere in JSON: seconds, and the key says so */
        digits = (struct buf){(uint8_t *)key, 0, sizeof(key), sizeof(key) - 1};
        if (!buf_add_text(&digits, pair->key) || !buf_add_text(&digits, "_seconds")) return false;
        json_key(o, buf_view(&digits));
        json_put_real(o, NULL, (double)pair->number / 1000);
        return !o->bad;
    case KV_BYTES_HEX:
        if (!hex_encode(&digits, text)) return false;
        json_put(o, pair->key, buf_view(&digits));
        return !o->bad;
    }
    return false;
}

/* Is the letter at `at` the last of \xNN or \uNNNN? As in "\xee" before "rror". */
static bool ends_escape(const struct buf *line, size_t from, size_t at) {
    const uint8_t *p = line->p + at;
    return (at >= from + 3 && p[-3] == '\\' && p[-2] == 'x') ||
           (at >= from + 5 && p[-5] == '\\' && p[-4] == 'u');
}

/* operations.md S5: a grep for "error" or "warn" finds lines of these levels and no others. In the values of
 * the others (keys as health.errorsNormal, a library's reasons) the first letter is written as its escape. */
static bool hide_words(struct buf *line, size_t from, enum log_format format) {
    for (size_t i = from; i + 4 <= line->n; i++) {
        const char *p = (const char *)line->p + i;
        bool found = strncasecmp(p, "warn", 4) == 0 || (i + 5 <= line->n && strncasecmp(p, "error", 5) == 0);
        char code[8];
        if (!found) continue;
        size_t at = ends_escape(line, from, i) ? i + 1 : i;
        int n = snprintf(code, sizeof code, format == LOG_JSON ? "\\u%04x" : "\\x%02x",
                         (unsigned)line->p[at]);
        size_t more = (size_t)n - 1;
        if (buf_add_space(line, more) == NULL) return false;
        memmove(line->p + at + 1 + more, line->p + at + 1, line->n - more - (at + 1));
        memcpy(line->p + at, code, (size_t)n);
        i += (size_t)n;
    }
    return true;
}

static struct bytes shortened(const struct kv *pair) {
    return pair->kind == KV_TEXT ? fitting(pair->text) : bytes_sub(pair->text, 0, VALUE_MAX / 2);
}

/* times: 0, or how many lines this one stands for */
static void make_text(struct buf *line, enum event event, const struct kv *pairs, size_t n, uint32_t times) {
    const struct event_row *row = &event_rows[event];
    bool cut = false;
    buf_add_format(line, "%s %s: %s", level_words[row->level], log_component_name(row->component), row->text);
    if (times > 0) buf_add_format(line, " Repeated count=%u", (unsigned)times);
    for (size_t i = 0; i < n; i++) {
        struct bytes text = shortened(&pairs[i]);
        size_t was = line->n;
        bool fits = add_text_pair(line, &pairs[i], text) &&
                    (row->level >= LEVEL_WARN || hide_words(line, was, LOG_TEXT));
        if (!fits) line->n = was;
        cut = cut || !fits || text.n < pairs[i].text.n;
    }
    line->max += LINE_RESERVE / 2;
    if (cut) buf_add_text(line, " cut=yes");
}

static void make_json(struct buf *line, struct wall now, enum event event, const struct kv *pairs, size_t n,
                      uint32_t times) {
    const struct event_row *row = &event_rows[event];
    struct json_out o = json_begin(line);
    bool cut = false;
    json_open(&o, NULL, '{');
    json_put_wall(&o, "time", now);
    json_put_str(&o, "level", log_level_name(row->level));
    json_put_str(&o, "component", log_component_name(row->component));
    json_put_str(&o, "event", row->text);
    if (times > 0) json_put_uint(&o, "repeated", times);
    for (size_t i = 0; i < n; i++) {
        struct bytes text = shortened(&pairs[i]);
        struct json_out before = o;
        size_t was = line->n;
        bool fits = add_json_pair(&o, &pairs[i], text) &&
                    (row->level >= LEVEL_WARN || hide_words(line, was, LOG_JSON));
        if (!fits) {
            line->n = was;
            o = before;
        }
        cut = cut || !fits || text.n < pairs[i].text.n;
    }
    line->max += LINE_RESERVE / 2;
    if (cut) json_put_bool(&o, "cut", true);
    json_shut(&o, '}');
}

/* Forgets what was taken; the views that log_take gave end here. */
static void compact(struct log *log) {
    buf_drop(&log->lines, log->taken);
    log->taken = 0;
    buf_shrink(&log->lines, BUFFER_KEPT);
}

static void write_line(struct log *log, enum event event, const struct kv *pairs, size_t n, uint32_t times) {
    const struct event_row *row = &event_rows[event];
    uint8_t room[LOG_LINE_MAX];
    struct buf line = {room, 0, sizeof(room), sizeof(room) - LINE_RESERVE};
    if (log->format == LOG_JSON) {
        make_json(&line, log->now.wall, event, pairs, n, times);
    } else {
        make_text(&line, event, pairs, n, times);
    }
    size_t need = RECORD_HEAD + line.n;
    if (log->taken > 0 && (log->taken == log->lines.n || buf_room(&log->lines) < need)) compact(log);
    if (!buf_reserve(&log->lines, need)) {
        log->dropped++;
        return;
    }
    wr_u8(&log->lines, (uint8_t)row->level);
    wr_u8(&log->lines, (uint8_t)row->component);
    wr_u16(&log->lines, (uint16_t)event);
    wr_u64(&log->lines, (uint64_t)log->now.wall.ms);
    wr_u32(&log->lines, (uint32_t)line.n);
    buf_add(&log->lines, buf_view(&line));
    log->written[row->level]++;
}

static bool is_shown(const struct log *log, enum event event) {
    return event_rows[event].level >= log->level[event_rows[event].component];
}

static struct mono window_end(const struct log_repeat *repeat) {
    return mono_add_ms(repeat->since, LOG_REPEAT_MS);
}

static void end_window(struct log *log, enum event event) {
    struct log_repeat *repeat = &log->repeat[event];
    uint32_t left_out = repeat->count > LOG_REPEAT_MAX ? repeat->count - LOG_REPEAT_MAX : 0;
    *repeat = (struct log_repeat){0};
    if (left_out > 0 && is_shown(log, event)) write_line(log, event, NULL, 0, left_out);
}

/* ---- counts and followers */

static struct bytes peer_of(const struct kv *pairs, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (pairs[i].kind == KV_TEXT && strcmp(pairs[i].key, "peer") == 0) return pairs[i].text;
    return (struct bytes){NULL, 0};
}

static void tally(struct log_tally *t, enum event event, const struct kv *pairs, size_t n) {
    struct bytes peer = peer_of(pairs, n);
    uint32_t hash = 2166136261u ^ (uint32_t)event;
    if (event_rows[event].level == LEVEL_DEBUG) return;
    if (peer.n == 0 || peer.n >= LOG_TALLY_PEER) {
        t->rest[event] += t->rest[event] < UINT32_MAX;
        return;
    }
    for (size_t i = 0; i < peer.n; i++) hash = (hash ^ peer.p[i]) * 16777619u;
    for (size_t i = 0; i < LOG_TALLY_TRIES; i++) {
        struct log_tally_slot *s = &t->slots[(hash + i) % LOG_TALLY_SLOTS];
        if (s->count == 0) {
            s->event = (uint16_t)event;
            bytes_cstr(peer, s->peer, sizeof s->peer);
        }
        if (s->event != event || !bytes_is(peer, s->peer)) continue;
        s->count += s->count < UINT32_MAX;
        return;
    }
    t->rest[event] += t->rest[event] < UINT32_MAX;
}

bool log_tally_take(struct log_tally *t, size_t *at, enum event *event, const char **peer, uint32_t *count) {
    for (; *at < LOG_TALLY_SLOTS + EVENT_COUNT; (*at)++) {
        bool slot = *at < LOG_TALLY_SLOTS;
        uint32_t *from = slot ? &t->slots[*at].count : &t->rest[*at - LOG_TALLY_SLOTS];
        if (*from == 0) continue;
        *count = *from;
        *from = 0;
        *event = slot ? (enum event)t->slots[*at].event : (enum event)(*at - LOG_TALLY_SLOTS);
        *peer = slot ? t->slots[*at].peer : "";
        return true;
    }
    return false;
}

static bool is_tapped(enum log_tap what, enum event event) {
    const struct event_row *row = &event_rows[event];
    switch (what) {
    case LOG_TAP_NONE: break;
    case LOG_TAP_RARE:
        return row->level >= LEVEL_WARN || (row->level == LEVEL_INFO && row->component != COMPONENT_message);
    case LOG_TAP_INFO: return row->level >= LEVEL_INFO;
    case LOG_TAP_ALL: return true;
    }
    return false;
}

static void tap(struct log *log, enum event event, const struct kv *pairs, size_t n) {
    uint8_t room[LOG_LINE_MAX];
    struct buf line = {room, 0, sizeof(room), sizeof(room) - LINE_RESERVE};
    make_json(&line, log->now.wall, event, pairs, n, 0);
    if (!buf_reserve(&log->tap, 4 + line.n)) {
        log->tap_dropped++;
        return;
    }
    wr_u16(&log->tap, (uint16_t)event);
    wr_u16(&log->tap, (uint16_t)line.n);
    buf_add(&log->tap, buf_view(&line));
}

void log_event(struct log *log, enum event event, const struct kv *pairs, size_t n) {
    if (log == NULL) return;
    struct log_repeat *repeat = &log->repeat[event];
    log->counts[event]++;
    if (log->tally != NULL) tally(log->tally, event, pairs, n);
    if (is_tapped(log->tap_of, event)) tap(log, event, pairs, n);
    if (!is_shown(log, event)) return;
    if (repeat->count > 0 && log->now.mono.us >= window_end(repeat).us) end_window(log, event);
    if (repeat->count == 0) repeat->since = log->now.mono;
    if (repeat->count < UINT32_MAX) repeat->count++;
    if (repeat->count <= LOG_REPEAT_MAX) write_line(log, event, pairs, n, 0);
}

bool log_take(struct log *log, struct log_line *out) {
    if (log->taken == log->lines.n) {
        compact(log);
        return false;
    }
    struct rd r = rd_of(bytes_skip(buf_view(&log->lines), log->taken));
    out->level = (enum log_level)rd_u8(&r);
    out->component = (enum log_component)rd_u8(&r);
    out->event = (enum event)rd_u16(&r);
    out->time.ms = (int64_t)rd_u64(&r);
    out->text = rd_take(&r, rd_u32(&r));
    log->taken = log->lines.n - r.in.n;
    return true;
}

int log_line_priority(const struct log_line *line) {
    return line->event == EV_START_REFUSED ? 2 : log_level_priority(line->level);
}

void log_tick(struct log *log) {
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        if (log->repeat[i].count > 0 && log->now.mono.us >= window_end(&log->repeat[i]).us) {
            end_window(log, (enum event)i);
        }
    }
    for (unsigned i = 0; i < COMPONENT_COUNT; i++) {
        if (!mono_due(log->level_until[i], log->now.mono)) continue;
        log->level[i] = log->base_level[i];
        log->level_until[i] = MONO_NEVER;
    }
}

/* Windows in which nothing was left out need no turn of their own. */
struct mono log_deadline(const struct log *log) {
    struct mono deadline = MONO_NEVER;
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        const struct log_repeat *repeat = &log->repeat[i];
        if (repeat->count > LOG_REPEAT_MAX) deadline = mono_sooner(deadline, window_end(repeat));
    }
    for (unsigned i = 0; i < COMPONENT_COUNT; i++) deadline = mono_sooner(deadline, log->level_until[i]);
    return deadline;
}
