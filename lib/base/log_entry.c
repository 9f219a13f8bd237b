#include "base/log_entry.h"

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

enum { VALUE_MAX = 64 << 10, NUMBER_DIGITS = 15 };

/* ---- pairs of a text line: ` key=value`, ` key="v \"w\""` */

static bool is_key_byte(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* The key that begins at `from`, if there is one with its '='; else 0. */
static size_t key_length(struct bytes text, size_t from) {
    size_t n = 0;
    while (from + n < text.n && is_key_byte(text.p[from + n])) n++;
    return from + n < text.n && text.p[from + n] == '=' ? n : 0;
}

/* Where the first ` key=` begins (its blank), or text.n. */
static size_t pairs_begin(struct bytes text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == ' ' && key_length(text, i + 1) > 0) return i;
    return text.n;
}

static size_t value_length(struct bytes text) {
    bool quoted = text.n > 0 && text.p[0] == '"';
    for (size_t i = quoted; i < text.n; i++) {
        if (text.p[i] == '\\')
            i++;
        else if (quoted ? text.p[i] == '"' : text.p[i] == ' ')
            return quoted ? i + 1 : i;
    }
    return text.n;
}

/* Cuts one pair off; what stands between pairs and is none is passed over. */
static bool next_pair(struct bytes *pairs, struct bytes *key, struct bytes *value) {
    *pairs = bytes_skip(*pairs, pairs_begin(*pairs) + 1);
    if (pairs->n == 0) return false;
    *key = bytes_take(pairs, key_length(*pairs, 0));
    bytes_take(pairs, 1);
    *value = bytes_take(pairs, value_length(*pairs));
    return true;
}

/* Undoes log_value_add. */
static bool decode(struct bytes v, struct buf *out) {
    if (v.n > 0 && v.p[0] == '"') {
        v = bytes_skip(v, 1);
        if (v.n > 0 && v.p[v.n - 1] == '"') v.n--;
    }
    while (v.n > 0) {
        struct bytes one = bytes_take(&v, 1);
        if (one.p[0] != '\\' || v.n == 0) {
            if (!buf_add(out, one)) return false;
            continue;
        }
        struct bytes next = bytes_take(&v, 1);
        bool code = next.p[0] == 'x' && v.n >= 2 && hex_decode(out, bytes_sub(v, 0, 2));
        if (code)
            bytes_take(&v, 2);
        else if (!buf_add(out, next))
            return false;
    }
    return true;
}

/* ---- reading */

static bool level_of(struct bytes word, bool upper, enum log_level *out) {
    char name[8];
    if (word.n >= sizeof name) return false;
    for (size_t i = 0; i < word.n; i++) {
        if (upper && (word.p[i] < 'A' || word.p[i] > 'Z')) return false;
        name[i] = (char)(upper ? word.p[i] - 'A' + 'a' : word.p[i]);
    }
    return log_level_parse(bytes_at(name, word.n), out);
}

static bool read_json(struct bytes line, struct log_entry *out) {
    out->doc = json_parse(line, NULL);
    const struct json *root = json_root(out->doc);
    out->component = json_get_bytes(root, "component");
    out->event = json_get_bytes(root, "event");
    int64_t repeated = json_get_int(root, "repeated", 0);
    out->repeated = repeated > 0 ? (uint64_t)repeated : 0;
    bool good = level_of(json_get_bytes(root, "level"), false, &out->level) && out->event.n > 0;
    if (good && !wall_parse(json_get_bytes(root, "time"), &out->time)) out->time.ms = 0;
    if (!good) log_entry_free(out);
    return good;
}

bool log_entry_read(struct bytes line, struct log_entry *out) {
    struct bytes word;
    *out = (struct log_entry){.level = LEVEL_INFO};
    if (line.n >= 3 && line.p[0] == '<' && line.p[1] >= '0' && line.p[1] <= '7' && line.p[2] == '>')
        line = bytes_skip(line, 3);
    if (line.n > 0 && line.p[0] == '{') return read_json(line, out);
    if (!bytes_split(&line, ' ', &word)) return false;
    if (wall_parse(word, &out->time)) {
        if (!bytes_split(&line, ' ', &word)) return false;
    }
    if (!level_of(word, true, &out->level)) return false;
    size_t colon = bytes_index(line, ':');
    out->component = bytes_sub(line, 0, colon);
    for (size_t i = 0; i < out->component.n; i++)
        if (!is_key_byte(out->component.p[i])) return false;
    if (out->component.n == 0 || !bytes_starts(bytes_skip(line, colon), ": ")) return false;
    line = bytes_skip(line, colon + 2);
    size_t end = pairs_begin(line);
    out->event = bytes_trim(bytes_sub(line, 0, end));
    out->pairs = bytes_skip(line, end);
    if (bytes_ends(out->event, " Repeated") && bytes_starts(out->pairs, " count=")) {
        struct bytes rest = out->pairs, key, value;
        if (next_pair(&rest, &key, &value) && bytes_to_u64(value, UINT64_MAX, &out->repeated)) {
            out->event.n -= strlen(" Repeated");
            out->pairs = rest;
        }
    }
    return out->event.n > 0;
}

void log_entry_free(struct log_entry *e) {
    json_free(e->doc);
    e->doc = NULL;
}

static bool is_standing(struct bytes key) { /* what each JSON line has, and what is told otherwise */
    return bytes_is(key, "time") || bytes_is(key, "level") || bytes_is(key, "component") ||
           bytes_is(key, "event") || bytes_is(key, "repeated") || bytes_is(key, "schema");
}

bool log_entry_value(const struct log_entry *e, const char *key, struct buf *out) {
    struct bytes pairs = e->pairs, name, value;
    if (e->doc != NULL) {
        const struct json *v = is_standing(bytes_of(key)) ? NULL : json_get(json_root(e->doc), key);
        return v != NULL && (json_is_text(v) ? buf_add(out, json_bytes(v)) : json_print(v, out));
    }
    while (next_pair(&pairs, &name, &value))
        if (bytes_is(name, key)) return decode(value, out);
    return false;
}

/* ---- writing */

bool log_safe(struct bytes line, struct buf *out) {
    bool good = true;
    while (good && line.n > 0) {
        struct bytes part = bytes_take(&line, bytes_index(line, '\\'));
        good = text_escape(out, part, false) && buf_add(out, bytes_take(&line, 1)); /* the backslash itself */
    }
    return good;
}

static void add_json_pairs(const struct json *root, struct buf *out) {
    struct buf value = {.max = VALUE_MAX};
    struct bytes key;
    const struct json *v;
    for (size_t i = 0; json_member(root, &i, &key, &v);) {
        if (is_standing(key)) continue;
        value.n = 0;
        bool good = json_is_text(v) ? buf_add(&value, json_bytes(v)) : json_print(v, &value);
        buf_add_byte(out, ' ');
        log_safe(key, out);
        buf_add_byte(out, '=');
        if (good) log_value_add(out, buf_view(&value));
    }
    buf_free(&value);
}

bool log_entry_text(const struct log_entry *e, struct buf *out, size_t *level_at) {
    char time[32];
    wall_text(e->time, time);
    if (e->time.ms != 0) buf_add_format(out, "%s ", time);
    if (level_at != NULL) *level_at = out->n;
    for (const char *c = log_level_name(e->level); *c != 0; c++) buf_add_byte(out, (uint8_t)(*c - 'a' + 'A'));
    buf_add_byte(out, ' ');
    log_safe(e->component, out);
    buf_add_text(out, ": ");
    bool good = log_safe(e->event, out);
    if (e->repeated > 0) buf_add_format(out, " Repeated count=%llu", (unsigned long long)e->repeated);
    if (e->doc != NULL)
        add_json_pairs(json_root(e->doc), out);
    else
        good = log_safe(e->pairs, out);
    return good;
}

/* What a text line can not tell apart from a name: few digits without a leading zero are a number. */
static bool is_number(struct bytes v) {
    if (v.n > 0 && v.p[0] == '-') v = bytes_skip(v, 1);
    if (v.n == 0 || v.n > NUMBER_DIGITS || (v.p[0] == '0' && v.n > 1)) return false;
    for (size_t i = 0; i < v.n; i++)
        if (v.p[i] < '0' || v.p[i] > '9') return false;
    return true;
}

static void put_text_pairs(struct bytes pairs, struct json_out *o) {
    struct buf decoded = {.max = VALUE_MAX};
    struct bytes key, value;
    while (next_pair(&pairs, &key, &value)) {
        decoded.n = 0;
        if (is_standing(key) || !decode(value, &decoded)) continue;
        json_key(o, key);
        if (is_number(value))
            json_put_raw(o, NULL, value);
        else
            json_put(o, NULL, buf_view(&decoded));
    }
    buf_free(&decoded);
}

bool log_entry_json(const struct log_entry *e, struct buf *out) {
    struct json_out o = json_begin(out);
    struct bytes key;
    const struct json *v;
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.log/1");
    json_put_wall(&o, "time", e->time);
    json_put_str(&o, "level", log_level_name(e->level));
    json_put(&o, "component", e->component);
    json_put(&o, "event", e->event);
    if (e->repeated > 0) json_put_uint(&o, "repeated", e->repeated);
    for (size_t i = 0; json_member(e->doc == NULL ? NULL : json_root(e->doc), &i, &key, &v);) {
        if (is_standing(key)) continue;
        json_key(&o, key);
        json_put_value(&o, NULL, v);
    }
    if (e->doc == NULL) put_text_pairs(e->pairs, &o);
    json_shut(&o, '}');
    return json_end(&o);
}
