/* lib/proto/http.h: HTTP/1.1 as a server speaks it: request heads in, answers out, over bytes (RFC 9112).
 *
 * What could be read in two ways is refused, not guessed at: a second Content-Length, Transfer-Encoding,
 * folded lines, blanks before a colon, bare CR or NUL. So nobody in between can disagree about where a
 * request ends. */
#ifndef SILKTALK_PROTO_HTTP_H
#define SILKTALK_PROTO_HTTP_H

#include "base/base.h"

enum { HTTP_HEAD_MAX = 8192, HTTP_FIELDS_MAX = 64, HTTP_PATH_MAX = 1024 };
#define HTTP_METHODS(X) X(GET) X(HEAD) X(POST) X(DELETE)
#define HTTP_METHOD_SYMBOL(name) HTTP_##name,
enum http_method { HTTP_METHODS(HTTP_METHOD_SYMBOL) HTTP_METHOD_COUNT };

struct http_request { /* views into the head that was read */
    enum http_method method;
    struct bytes path;  /* begins with '/'; as it came: see http_unescape */
    struct bytes query; /* behind the '?', or empty */
    struct bytes host, authorization, accept, origin, fetch_site;
    struct bytes authority; /* of a target in absolute form: counts beside Host; else empty */
    bool has_host, has_origin;
    uint64_t body_size;
    bool keep_alive, expects_continue;
};
/* Reads the head at the front of `in`. 0: more bytes are needed. 200: it is good, *used bytes long (the body
 * follows). Else the status to answer with before closing: 400 malformed, 405 unknown method, 414 long
 * target, 431 head over HTTP_HEAD_MAX or too many fields, 501 a transfer coding, 505 another version. */
int http_request_read(struct bytes in, struct http_request *r, size_t *used);

struct http_answer {
    int status;
    const char *type;   /* Content-Type, or NULL: no body */
    struct bytes body;  /* borrowed for the call */
    const char *fields; /* further lines, each ending with \r\n, or NULL */
};
/* The whole answer. head_only: an answer to HEAD, whose Content-Length is that of the body it would have.
 * False: no room. */
bool http_answer_write(struct buf *out, const struct http_answer *a, bool head_only, bool keep_alive);
const char *http_status_text(int status);

/* Percent escapes undone, appended to out. False: a bad escape, NUL, or no room. plus: '+' is a blank. */
bool http_unescape(struct buf *out, struct bytes text, bool plus);
/* The value of name=value in a query, escapes undone, as a C string; false: not there, bad or too long. */
bool http_query(struct bytes query, const char *name, char *out, size_t size);

#endif
