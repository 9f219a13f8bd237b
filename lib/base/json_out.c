/* lib/base/json_out.c: JSON out. Text that a terminal might obey comes out as ASCII escapes, so that `--json`
 * is safe to show whatever a peer wrote. */
#include "base/json.h"

#include "base/text.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct json_out json_begin(struct buf *to) {
    return (struct json_out){.to = to};
}

static void add(struct json_out *o, struct bytes text) {
    if (!o->bad && !buf_add(o->to, text)) o->bad = true;
}

static void add_code(struct json_out *o, uint32_t code) {
    char text[8];
    static const char names[] = "btnvfr"; /* \b to \r, as C spells them; JSON has no \v */
    if (code == '"' || code == '\\') {
        snprintf(text, sizeof(text), "\\%c", (int)code);
    } else if (code >= '\b' && code <= '\r' && code != '\v') {
        snprintf(text, sizeof(text), "\\%c", names[code - '\b']);
    } else {
        snprintf(text, sizeof(text), "\\u%04x", (unsigned)code & 0xffff); /* no control is above U+FFFF */
    }
    add(o, bytes_of(text));
}

/* Whether one of eight bytes is below 0x20, above 0x7e, a quote or a backslash. A byte that is makes its
 * neighbour look so too, at most. */
static unsigned has_odd(uint64_t v) {
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones << 7;
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
    uint64_t odd = (v - ones * 0x20) | (v + ones) | v | (quote - ones) | (slash - ones);
    return (odd & high) != 0;
}

static uint64_t get_native64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* In one piece, if all of it can be copied as it is: nearly all text is of that kind. before and after are
 * part of the JSON. False: it has something else in it, and nothing was added. */
static bool add_plain(struct json_out *o, struct bytes before, struct bytes text, struct bytes after) {
    unsigned odd = 0;
    size_t i = 0;
    for (; i + 8 <= text.n; i += 8) odd |= has_odd(get_native64(text.p + i));
    for (; i < text.n; i++) {
        unsigned c = text.p[i];
        odd |= (unsigned)(c - 0x20 >= 0x7f - 0x20) | (unsigned)(c == '"') | (unsigned)(c == '\\');
    }
    if (odd != 0) return false;
    uint8_t *to = o->bad ? NULL : buf_add_space(o->to, before.n + text.n + after.n);
    o->bad = to == NULL;
    if (to == NULL) return true;
    memcpy(to, before.p, before.n);
    if (text.n > 0) memcpy(to + before.n, text.p, text.n);
    memcpy(to + before.n + text.n, after.p, after.n);
    return true;
}

static void add_text(struct json_out *o, struct bytes text) {
    size_t plain = 0; /* so many bytes can be copied as they are */
    if (add_plain(o, BYTES("\""), text, BYTES("\""))) return;
    add(o, BYTES("\""));
    while (plain < text.n) {
        uint32_t code = text.p[plain];
        size_t n = 1;
        bool passes = code >= 0x20 && code < 0x7f;
        if (code >= 0x80) {
            n = utf8_read(bytes_skip(text, plain), &code);
            passes = n > 0 && !utf8_control(code);
        }
        if (passes && code != '"' && code != '\\') {
            plain += n;
            continue;
        }
        add(o, bytes_take(&text, plain));
        if (n == 0) {
            add(o, BYTES("\xef\xbf\xbd"));
        } else {
            add_code(o, code);
        }
        text = bytes_skip(text, MAX(n, (size_t)1));
        plain = 0;
    }
    add(o, text);
    add(o, BYTES("\""));
}

void json_key(struct json_out *o, struct bytes key) {
    if (!add_plain(o, o->comma ? BYTES(",\"") : BYTES("\""), key, BYTES("\":"))) {
        if (o->comma) add(o, BYTES(","));
        add_text(o, key);
        add(o, BYTES(":"));
    }
    o->comma = false;
}

/* What goes before any value. */
static void begin(struct json_out *o, const char *key) {
    if (key != NULL) {
        json_key(o, bytes_of(key));
    } else if (o->comma) {
        add(o, BYTES(","));
    }
    o->comma = true;
}

void json_open(struct json_out *o, const char *key, char kind) {
    assert(kind == '{' || kind == '[');
    begin(o, key);
    add(o, bytes_at(&kind, 1));
    o->depth++;
    o->comma = false;
}

void json_shut(struct json_out *o, char kind) {
    assert((kind == '}' || kind == ']') && o->depth > 0);
    add(o, bytes_at(&kind, 1));
    o->depth--;
    o->comma = true;
}

void json_put(struct json_out *o, const char *key, struct bytes text) {
    begin(o, key);
    add_text(o, text);
}

void json_put_str(struct json_out *o, const char *key, const char *text) {
    if (text == NULL) {
        json_put_null(o, key);
    } else {
        json_put(o, key, bytes_of(text));
    }
}

void json_put_raw(struct json_out *o, const char *key, struct bytes json) {
    begin(o, key);
    add(o, json);
}

void json_put_int(struct json_out *o, const char *key, int64_t v) {
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)v);
    json_put_raw(o, key, bytes_of(text));
}

void json_put_uint(struct json_out *o, const char *key, uint64_t v) {
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
    json_put_raw(o, key, bytes_of(text));
}

/* The shortest of three forms that reads back as the same number. */
void json_put_real(struct json_out *o, const char *key, double v) {
    char text[40];
    if (!isfinite(v)) {
        json_put_null(o, key);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (memcmp(&back, &v, sizeof(v)) == 0) break;
    }
    json_put_raw(o, key, bytes_of(text));
}

void json_put_bool(struct json_out *o, const char *key, bool v) {
    json_put_raw(o, key, v ? BYTES("true") : BYTES("false"));
}

void json_put_null(struct json_out *o, const char *key) {
    json_put_raw(o, key, BYTES("null"));
}

void json_put_wall(struct json_out *o, const char *key, struct wall t) {
    char text[32];
    wall_text(t, text);
    json_put_str(o, key, t.ms == 0 ? NULL : text);
}

bool json_end(struct json_out *o) {
    return !o->bad && o->depth == 0;
}
