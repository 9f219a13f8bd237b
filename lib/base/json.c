/* lib/base/json.c: JSON in, through yyjson. struct json_doc and struct json are its document and value under
 * names of our own, so that no other file needs its header. */
#include "base/json.h"

#include "base/mem.h"

#include <yyjson.h>

static void *alc_new(void *ctx, size_t n) {
    (void)ctx;
    return mem_resize(NULL, n);
}

static void *alc_resize(void *ctx, void *p, size_t old_n, size_t n) {
    (void)ctx;
    (void)old_n;
    return mem_resize(p, n);
}

static void alc_free(void *ctx, void *p) {
    (void)ctx;
    mem_free(p);
}

static yyjson_val *val_of(const struct json *v) {
    return (yyjson_val *)(uintptr_t)v; /* yyjson's readers take it without const, and change nothing */
}

static const struct json *json_of(const yyjson_val *v) {
    return (const struct json *)v;
}

/* Has it more of these brackets than may be open at a time? Nearly no text has: no need to count. */
static bool has_many(struct bytes text, uint8_t bracket) {
    for (unsigned n = 0; n <= JSON_DEPTH_MAX / 2; n++) {
        const uint8_t *at = text.n == 0 ? NULL : memchr(text.p, bracket, text.n);
        if (at == NULL) return false;
        text = bytes_skip(text, (size_t)(at - text.p) + 1);
    }
    return true;
}

/* The deepest nesting, counted on the text: yyjson has no limit of its own (it does not recurse; we do). 0:
 * it is far from deep. */
static unsigned depth_of(struct bytes text) {
    unsigned depth = 0, deepest = 0;
    if (!has_many(text, '{') && !has_many(text, '[')) return 0;
    bool inside = false; /* a string */
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (inside) {
            if (c == '\\') i++;
            inside = c != '"';
        } else if (c == '"') {
            inside = true;
        } else if (c == '{' || c == '[') {
            depth++;
            deepest = MAX(deepest, depth);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

struct json_doc *json_parse(struct bytes text, struct why *w) {
    const yyjson_alc alc = {alc_new, alc_resize, alc_free, NULL};
    yyjson_read_err err = {0};
    if (depth_of(text) > JSON_DEPTH_MAX) {
        fail(w, E_INPUT, "JSON: nested deeper than %d", JSON_DEPTH_MAX);
        return NULL;
    }
    /* without YYJSON_READ_INSITU the text is copied, never changed */
    char *p = (char *)(uintptr_t)(text.n == 0 ? (const uint8_t *)"" : text.p);
    yyjson_doc *doc = yyjson_read_opts(p, text.n, YYJSON_READ_NOFLAG, &alc, &err);
    if (doc != NULL) return (struct json_doc *)doc;
    if (err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        fail(w, E_MEMORY, "JSON: out of memory");
    } else if (text.n == 0) {
        fail(w, E_INPUT, "JSON: empty");
    } else {
        fail(w, E_INPUT, "JSON: %s at byte %zu", err.msg == NULL ? "unreadable" : err.msg, err.pos);
    }
    return NULL;
}

void json_free(struct json_doc *doc) {
    yyjson_doc_free((yyjson_doc *)doc);
}

const struct json *json_root(const struct json_doc *doc) {
    return json_of(yyjson_doc_get_root((yyjson_doc *)(uintptr_t)doc));
}

const struct json *json_get(const struct json *object, const char *key) {
    return json_of(yyjson_obj_get(val_of(object), key));
}

size_t json_count(const struct json *v) {
    yyjson_val *val = val_of(v);
    return yyjson_is_obj(val) ? yyjson_obj_size(val) : yyjson_arr_size(val);
}

const struct json *json_at(const struct json *array, size_t i) {
    return json_of(yyjson_arr_get(val_of(array), i));
}

/* The elements of a container lie behind it, one after the other: *i is the place of the next one, counted in
 * values from the container; 0 is the container itself, so it can mean the start. */
static yyjson_val *walk(yyjson_val *container, size_t *i) {
    if (yyjson_get_len(container) == 0) return NULL;
    size_t end = (size_t)(unsafe_yyjson_get_next(container) - container);
    if (*i == 0) *i = (size_t)(unsafe_yyjson_get_first(container) - container);
    if (*i >= end) return NULL;
    yyjson_val *at = container + *i;
    *i = (size_t)(unsafe_yyjson_get_next(at) - container);
    return at;
}

bool json_member(const struct json *object, size_t *i, struct bytes *key, const struct json **value) {
    if (!json_is_object(object)) return false;
    yyjson_val *name = walk(val_of(object), i), *v = name == NULL ? NULL : walk(val_of(object), i);
    if (v == NULL) return false;
    *key = json_bytes(json_of(name));
    *value = json_of(v);
    return true;
}

bool json_item(const struct json *array, size_t *i, const struct json **value) {
    yyjson_val *v = json_is_array(array) ? walk(val_of(array), i) : NULL;
    if (v != NULL) *value = json_of(v);
    return v != NULL;
}

bool json_is_text(const struct json *v) {
    return yyjson_is_str(val_of(v));
}

bool json_is_number(const struct json *v) {
    return yyjson_is_num(val_of(v));
}

bool json_is_object(const struct json *v) {
    return yyjson_is_obj(val_of(v));
}

bool json_is_array(const struct json *v) {
    return yyjson_is_arr(val_of(v));
}

bool json_is_null(const struct json *v) {
    return yyjson_is_null(val_of(v));
}

struct bytes json_bytes(const struct json *v) {
    if (!json_is_text(v)) return (struct bytes){NULL, 0};
    return bytes_at(yyjson_get_str(val_of(v)), yyjson_get_len(val_of(v)));
}

struct bytes json_get_bytes(const struct json *object, const char *key) {
    return json_bytes(json_get(object, key));
}

int64_t json_int(const struct json *v, int64_t otherwise) {
    yyjson_val *val = val_of(v);
    if (yyjson_is_uint(val) && yyjson_get_uint(val) <= INT64_MAX) return (int64_t)yyjson_get_uint(val);
    return yyjson_is_sint(val) ? yyjson_get_sint(val) : otherwise;
}

int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise) {
    return json_int(json_get(object, key), otherwise);
}

double json_real(const struct json *v, double otherwise) {
    return json_is_number(v) ? yyjson_get_num(val_of(v)) : otherwise;
}

bool json_bool(const struct json *v, bool otherwise) {
    return yyjson_is_bool(val_of(v)) ? yyjson_get_bool(val_of(v)) : otherwise;
}

bool json_get_bool(const struct json *object, const char *key, bool otherwise) {
    return json_bool(json_get(object, key), otherwise);
}

static void put_container(struct json_out *o, const char *key, const struct json *v);

/* Recursion ends at JSON_DEPTH_MAX, which json_parse made sure of. */
void json_put_value(struct json_out *o, const char *key, const struct json *v) {
    yyjson_val *val = val_of(v);
    if (yyjson_is_ctn(val)) {
        put_container(o, key, v);
    } else if (yyjson_is_str(val)) {
        json_put(o, key, json_bytes(v));
    } else if (yyjson_is_uint(val)) {
        json_put_uint(o, key, yyjson_get_uint(val));
    } else if (yyjson_is_sint(val)) {
        json_put_int(o, key, yyjson_get_sint(val));
    } else if (yyjson_is_real(val)) {
        json_put_real(o, key, yyjson_get_real(val));
    } else if (yyjson_is_bool(val)) {
        json_put_bool(o, key, yyjson_get_bool(val));
    } else {
        json_put_null(o, key);
    }
}

static void put_container(struct json_out *o, const char *key, const struct json *v) {
    size_t i = 0;
    struct bytes name;
    const struct json *element;
    if (json_is_array(v)) {
        json_open(o, key, '[');
        while (json_item(v, &i, &element)) json_put_value(o, NULL, element);
        json_shut(o, ']');
        return;
    }
    json_open(o, key, '{');
    while (json_member(v, &i, &name, &element)) {
        json_key(o, name);
        json_put_value(o, NULL, element);
    }
    json_shut(o, '}');
}

bool json_print(const struct json *v, struct buf *out) {
    struct json_out o = json_begin(out);
    json_put_value(&o, NULL, v);
    return json_end(&o);
}
