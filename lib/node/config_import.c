#include "node/config_import.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/config_value.h"

enum { PATH_MAX_BYTES = 200, VALUE_SHOWN = 2000, LIST_MAX = 1 << 20 };

/* js-libp2p's own names, for programs that handed their configuration on. */
static const struct {
    const char *from, *key;
} aliases[] = {
    {"addresses.listen", "network.listen"},
    {"addresses.announce", "network.announce"},
    {"bootstrap", "discovery.bootstrap"},
    {"connectionManager.dialTimeout", "connection.dialTimeout"},
    {"connectionManager.inboundConnectionThreshold", "connection.inboundConnectionThreshold"},
    {"connectionManager.maxConnections", "connection.maxConnections"},
    {"connectionManager.maxIncomingPendingConnections", "connection.maxIncomingPendingConnections"},
    {"connectionManager.maxParallelDials", "connection.maxParallelDials"},
    {"connectionManager.minConnections", "connection.minConnections"},
    {"logLevel", "logging.level"},
};

struct importing {
    struct config_import *out;
    struct buf comments;
    struct json_out taken, left;
    bool set[CONFIG_KEY_COUNT];
    struct why *w;
};

/* ---- what is not taken over */

static bool secret(const char *path) {
    static const char *const words[] = {"key", "secret", "pass", "token", "credential"};
    char low[PATH_MAX_BYTES];
    size_t n = 0;
    for (; n < sizeof low - 1 && path[n] != 0; n++)
        low[n] = path[n] >= 'A' && path[n] <= 'Z' ? (char)(path[n] - 'A' + 'a') : path[n];
    low[n] = 0;
    for (size_t i = 0; i < LEN(words); i++)
        if (strstr(low, words[i]) != NULL) return true;
    return false;
}

static enum err leave(struct importing *im, const char *path, const struct json *value, const char *reason) {
    struct buf text = {.max = LIST_MAX};
    bool hide = secret(path);
    if (!hide && !json_print(value, &text)) {
        buf_free(&text);
        return fail(im->w, E_MEMORY, "out of memory");
    }
    json_open(&im->left, NULL, '{');
    json_put_str(&im->left, "from", path);
    if (hide)
        json_put_null(&im->left, "value");
    else
        json_put_raw(&im->left, "value", buf_view(&text));
    json_put_str(&im->left, "reason", reason);
    json_shut(&im->left, '}');
    im->out->n_left++;
    bool cut = text.n > VALUE_SHOWN;
    if (cut) /* not inside a character */
        while (text.n > VALUE_SHOWN || (text.n > 0 && (text.p[text.n - 1] & 0xc0) == 0x80)) text.n--;
    if (cut && text.n > 0 && text.p[text.n - 1] >= 0xc0) text.n--;
    bool good = buf_add_format(&im->comments, "# not taken over: %s = ", path) &&
                buf_add(&im->comments, buf_view(&text)) &&
                buf_add_text(&im->comments, hide  ? "(may be secret) ("
                                            : cut ? "... ("
                                                  : " (") &&
                text_escape(&im->comments, bytes_of(reason), false) && buf_add_text(&im->comments, ")\n");
    buf_free(&text);
    return good ? OK : fail(im->w, E_LIMIT, "the configuration would be larger than 1 MiB");
}

/* ---- what is */

static bool number_text(enum config_type type, const struct json *value, char out[64]) {
    double v = json_real(value, -1);
    if (v < 0 || v > 9e15) return false;
    if (type == CONFIG_PERCENT)
        snprintf(out, 64, "%.3f", v);
    else if (v != (double)(int64_t)v)
        return false;
    else
        snprintf(out, 64, "%lld%s", (long long)v,
                 type == CONFIG_TIME   ? "ms"
                 : type == CONFIG_SIZE ? "B"
                                       : "");
    return true;
}

static enum err take(struct importing *im, const char *path, enum config_key key, struct bytes value) {
    struct buf next = {.max = CONFIG_FILE_MAX};
    union config_value v;
    char *normal = NULL;
    enum err e = config_value_parse(key, value, &v, &normal, im->w);
    if (e != OK) return e;
    config_value_free(config_rows[key].type, &v);
    struct bytes text = bytes_of(normal);
    e = config_edit(buf_view(&im->out->ini), key, &text, &next, im->w);
    if (e == OK) {
        buf_free(&im->out->ini);
        im->out->ini = next;
        im->out->n_taken++;
        im->set[key] = true;
        json_open(&im->taken, NULL, '{');
        json_put_str(&im->taken, "from", path);
        json_put_str(&im->taken, "key", config_rows[key].name);
        json_put_str(&im->taken, "value", normal);
        json_shut(&im->taken, '}');
    } else {
        buf_free(&next);
    }
    mem_free(normal);
    return e;
}

/* Good items are taken, each other one is left with its own reason. */
static enum err take_list(struct importing *im, const char *path, enum config_key key,
                          const struct json *value) {
    struct buf list = {.max = LIST_MAX};
    const struct json *item;
    size_t i = 0, at = 0;
    enum err e = OK;
    for (; e == OK && json_item(value, &i, &item); at++) {
        char place[PATH_MAX_BYTES + 24];
        struct why inner = {OK, ""};
        snprintf(place, sizeof place, "%s[%zu]", path, at);
        struct bytes text = json_bytes(item);
        bool good = json_is_text(item) && bytes_index(text, ',') == text.n &&
                    config_check_value(key, text, &inner) == OK;
        if (!good)
            e = leave(im, place, item, inner.text[0] != 0 ? inner.text : "not an item of this list");
        else if (!buf_add_format(&list, "%s%.*s", list.n == 0 ? "" : ", ", (int)text.n,
                                 text.n == 0 ? "" : (const char *)text.p))
            e = fail(im->w, E_LIMIT, "%s is too long a list", path);
    }
    struct why inner = {OK, ""};
    if (e == OK && (list.n > 0 || at == 0)) {
        if (list.n > CONFIG_LINE_MAX - 256 || config_check_value(key, buf_view(&list), &inner) != OK)
            e = leave(im, path, value, inner.text[0] != 0 ? inner.text : "longer than a line may be");
        else
            e = take(im, path, key, buf_view(&list));
    }
    buf_free(&list);
    return e;
}

static enum err take_value(struct importing *im, const char *path, enum config_key key,
                           const struct json *value) {
    enum config_type type = config_rows[key].type;
    struct why inner = {OK, ""};
    char number[64];
    struct bytes text = json_bytes(value);
    if (im->set[key]) return leave(im, path, value, "set twice");
    if (config_is_list(type) && json_is_array(value)) return take_list(im, path, key, value);
    if (json_is_number(value) && number_text(type, value, number))
        text = bytes_of(number);
    else if (type == CONFIG_BOOL && json_bool(value, true) == json_bool(value, false))
        text = json_bool(value, false) ? BYTES("yes") : BYTES("no");
    else if (!json_is_text(value))
        return leave(im, path, value, "not a value of this key");
    if (config_check_value(key, text, &inner) != OK) return leave(im, path, value, inner.text);
    return take(im, path, key, text);
}

static enum config_key key_of(const char *path) {
    for (size_t i = 0; i < LEN(aliases); i++)
        if (strcmp(path, aliases[i].from) == 0) return config_find(bytes_of(aliases[i].key), NULL);
    return config_find(bytes_of(path), NULL);
}

static bool plain_name(struct bytes name) {
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < ' ' || name.p[i] >= 127) return false;
    return name.n > 0;
}

static enum err walk(struct importing *im, const char *prefix, const struct json *object, int depth) {
    struct bytes name;
    const struct json *value;
    enum err e = OK;
    for (size_t i = 0; e == OK && json_member(object, &i, &name, &value);) {
        char path[PATH_MAX_BYTES];
        int n = snprintf(path, sizeof path, "%s%s%.*s", prefix, prefix[0] == 0 ? "" : ".", (int)name.n,
                         (const char *)name.p);
        if (n < 0 || n >= PATH_MAX_BYTES || !plain_name(name)) {
            snprintf(path, sizeof path, "%.100s%s(unnamed)", prefix, prefix[0] == 0 ? "" : ".");
            e = leave(im, path, value, "a name that no key has");
            continue;
        }
        enum config_key key = key_of(path);
        if (key != CONFIG_KEY_COUNT)
            e = take_value(im, path, key, value);
        else if (json_is_object(value) && json_count(value) > 0 && depth < JSON_DEPTH_MAX)
            e = walk(im, path, value, depth + 1);
        else
            e = leave(im, path, value, "there is no such key");
    }
    return e;
}

enum err config_import_json(const struct config *defaults, struct bytes json, const char *file,
                            struct config_import *out, struct why *w) {
    struct why inner;
    *out = (struct config_import){
        .ini = {.max = CONFIG_FILE_MAX}, .taken = {.max = 4 << 20}, .left = {.max = 4 << 20}};
    if (bytes_starts(json, "\xef\xbb\xbf")) json = bytes_skip(json, 3);
    struct json_doc *doc = json_parse(json, &inner);
    if (doc == NULL) return fail(w, inner.code, "%.120s: %.100s", file, inner.text);
    struct importing im = {.out = out, .comments = {.max = CONFIG_FILE_MAX}, .w = w};
    im.taken = json_begin(&out->taken);
    im.left = json_begin(&out->left);
    json_open(&im.taken, NULL, '[');
    json_open(&im.left, NULL, '[');
    enum err e = OK;
    if (!json_is_object(json_root(doc))) e = fail(w, E_INPUT, "%.120s holds no JSON object", file);
    if (e == OK && !config_sample(defaults, &out->ini)) e = fail(w, E_MEMORY, "out of memory");
    if (e == OK) e = walk(&im, "", json_root(doc), 0);
    json_shut(&im.taken, ']');
    json_shut(&im.left, ']');
    bool good = json_end(&im.taken) && json_end(&im.left);
    if (e == OK && im.comments.n > 0)
        good = good && buf_add_text(&out->ini, "\n# From ") &&
               text_escape(&out->ini, bytes_of(file), false) && buf_add_text(&out->ini, ":\n") &&
               buf_add(&out->ini, buf_view(&im.comments));
    if (e == OK && !good) e = fail(w, E_LIMIT, "the configuration would be larger than 1 MiB");
    buf_free(&im.comments);
    json_free(doc);
    return e;
}

void config_import_free(struct config_import *i) {
    buf_free(&i->ini);
    buf_free(&i->taken);
    buf_free(&i->left);
}
