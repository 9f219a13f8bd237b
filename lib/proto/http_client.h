/* lib/proto/http_client.h: HTTP/1.1 as a client speaks it (RFC 9112): a request out, one reply in, over
 * bytes.
 *
 * The server is not trusted: a reply that could be read in two ways is refused (two lengths, a length beside
 * a transfer coding, bare line feeds, folded lines), lines, fields and the body have limits, and a redirect
 * is a status like any other: nothing is followed. Owner: whoever embeds struct http_reply; http_reply_free.
 * Errors are final. */
#ifndef SILKTALK_PROTO_HTTP_CLIENT_H
#define SILKTALK_PROTO_HTTP_CLIENT_H

#include "base/base.h"

enum {
    HTTP_REPLY_LINE_MAX = 8192,  /* one line of head, chunk size or trailer */
    HTTP_REPLY_HEAD_MAX = 32768, /* all lines of a reply, with its chunks' and 100 Continue's */
    HTTP_REPLY_FIELDS_MAX = 100,
    HTTP_REPLY_INTERIM_MAX = 8 /* 1xx replies before the real one */
};

struct http_ask {
    const char *method, *target; /* target: as url.target; or whole, as a proxy wants it */
    const char *host;            /* of the Host field */
    const char *fields;          /* further lines, each with \r\n; or NULL */
    const char *type;            /* Content-Type, or NULL: no body */
    struct bytes body;
};
bool http_ask_write(struct buf *out, const struct http_ask *a); /* false: no room, nothing was added */

enum http_reply_kind {
    HTTP_REPLY_WHOLE,  /* head and body; the body is kept, up to body.max */
    HTTP_REPLY_STATUS, /* done with the head, whatever follows */
    HTTP_REPLY_TUNNEL  /* of CONNECT: what follows the head is the tunnel's, and stays in `in` */
};
struct http_reply {
    enum http_reply_state {
        REPLY_STATUS,
        REPLY_FIELDS,
        REPLY_LENGTH,
        REPLY_CHUNK_SIZE,
        REPLY_CHUNK,
        REPLY_CHUNK_END,
        REPLY_TRAILER,
        REPLY_TO_THE_END,
        REPLY_DONE,
        REPLY_DEAD
    } state;
    enum http_reply_kind kind;
    int status; /* 200 to 599, from REPLY_LENGTH on */
    bool has_length, chunked;
    uint64_t left;        /* bytes of the body, or of the present chunk */
    size_t lines, fields; /* bytes of lines; fields of this head */
    unsigned interim;
    struct buf line, body;
    struct why why; /* when REPLY_DEAD: E_PROTO, E_LIMIT, E_MEMORY */
};
void http_reply_init(struct http_reply *r, enum http_reply_kind kind, size_t body_max);
void http_reply_free(struct http_reply *r);
/* Takes bytes off the front of `in` until the reply is done (E_CLOSED: it is; what is left is not its own),
 * or all are taken (OK: more is needed), or it is wrong. */
enum err http_reply_input(struct http_reply *r, struct bytes *in);
/* The server sends no more. OK: the reply is whole; E_PROTO: it was cut short. */
enum err http_reply_end(struct http_reply *r);

#endif
