/* lib/base/json.h: JSON in (yyjson does the parsing) and JSON out (a writer that appends to a buffer).
 *
 * Reading: values are views into a document; they live as long as it does. A missing member reads as NULL,
 * and every json_* reader takes NULL and gives its default, so a chain of look-ups needs no checks in
 * between. */
#ifndef SILKTALK_BASE_JSON_H
#define SILKTALK_BASE_JSON_H

#include "base/base.h"

struct json_doc; /* owned */
struct json;     /* a value inside a document, borrowed */
enum { JSON_DEPTH_MAX = 32 };

/* Parses one whole text (a copy is made). NULL: w says where and why (E_INPUT), or E_MEMORY. Nesting deeper
 * than JSON_DEPTH_MAX, trailing text and invalid UTF-8 are errors. */
struct json_doc *json_parse(struct bytes text, struct why *w);
void json_free(struct json_doc *doc);
const struct json *json_root(const struct json_doc *doc);
const struct json *json_get(const struct json *object, const char *key); /* NULL: no object, no member */
size_t json_count(const struct json *array_or_object);                   /* 0 for anything else */
const struct json *json_at(const struct json *array, size_t i);          /* O(n) at worst */
/* Walks an object: *i from 0; false at its end. */
bool json_member(const struct json *object, size_t *i, struct bytes *key, const struct json **value);
bool json_item(const struct json *array, size_t *i,
               const struct json **value); /* the same for an array: O(1) a step */
bool json_is_text(const struct json *v);
bool json_is_number(const struct json *v);
bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
bool json_is_null(const struct json *v);       /* a JSON null; not a missing one */
struct bytes json_bytes(const struct json *v); /* text, or empty; may hold NUL */
struct bytes json_get_bytes(const struct json *object, const char *key);
int64_t json_int(const struct json *v, int64_t otherwise); /* integers only, else otherwise */
int64_t json_get_int(const struct json *object, const char *key, int64_t otherwise);
double json_real(const struct json *v, double otherwise);
bool json_bool(const struct json *v, bool otherwise);
bool json_get_bool(const struct json *object, const char *key, bool otherwise);
/* Writes v as compact JSON. */
bool json_print(const struct json *v, struct buf *out);

/* ---- writing: compact, keys in the order of the calls. Errors stick: check json_end once. key is NULL
 * inside an array and at the top. Text that is not UTF-8 is written with U+FFFD for the bad bytes; control
 * characters (utf8_control) as \u escapes. */
struct json_out {
    struct buf *to;
    unsigned depth;
    bool bad, comma;
};
struct json_out json_begin(struct buf *to);
void json_open(struct json_out *o, const char *key, char kind); /* kind '{' or '[' */
void json_shut(struct json_out *o, char kind);                  /* kind '}' or ']' */
void json_key(struct json_out *o, struct bytes key); /* a key that is no C string; its value next */
void json_put(struct json_out *o, const char *key, struct bytes text);
void json_put_str(struct json_out *o, const char *key, const char *text); /* NULL: null */
void json_put_int(struct json_out *o, const char *key, int64_t v);
void json_put_uint(struct json_out *o, const char *key, uint64_t v);
void json_put_real(struct json_out *o, const char *key, double v); /* not finite: null */
void json_put_bool(struct json_out *o, const char *key, bool v);
void json_put_null(struct json_out *o, const char *key);
void json_put_wall(struct json_out *o, const char *key, struct wall t);    /* RFC 3339; never (0): null */
void json_put_raw(struct json_out *o, const char *key, struct bytes json); /* ready JSON text, not checked */
void json_put_value(struct json_out *o, const char *key, const struct json *v);
bool json_end(struct json_out *o); /* true: all closed, nothing refused */

#endif
