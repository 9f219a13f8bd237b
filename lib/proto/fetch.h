/* lib/proto/fetch.h: one request to a web server, as bytes: through a proxy if there is one, over TLS for
 * https, then HTTP/1.1. The owner connects to fetch_peer, carries the bytes both ways, and gives up at its
 * own deadline: silence and a byte a second end there.
 *
 * Owner: fetch_free, which wipes what was sent: it may hold a token. */
#ifndef SILKTALK_PROTO_FETCH_H
#define SILKTALK_PROTO_FETCH_H

#include "crypto/tls.h"
#include "proto/http_client.h"
#include "proto/url.h"

enum { FETCH_FIELDS_MAX = 4096 };

struct fetch_setup {
    const struct url *url, *proxy; /* proxy NULL: none; copied */
    const struct tls_trust *trust; /* for https; borrowed for the life of the fetch */
    struct rng *rng;
    struct wall now;    /* judges certificates */
    const char *method; /* "GET", "POST" */
    const char *fields; /* further lines, each with \r\n; copied */
    const char *type;   /* of the body; NULL: there is none */
    struct bytes body;  /* copied */
    bool status_alone;  /* the head of the reply is enough */
    size_t body_max;    /* of the reply */
};
struct fetch;
enum err fetch_new(struct fetch **out, const struct fetch_setup *setup, struct why *w);
void fetch_free(struct fetch *f);

/* Where to connect to: the server, or the proxy. */
const struct url *fetch_peer(const struct fetch *f);
size_t fetch_wants(struct fetch *f);                /* bytes that it takes now; 0: do not read */
void fetch_input(struct fetch *f, struct bytes in); /* at most fetch_wants */
void fetch_ended(struct fetch *f);                  /* the other side sends no more */
struct bytes fetch_output(struct fetch *f);         /* to be sent; valid until the next call */
void fetch_sent(struct fetch *f, size_t n);
/* E_BUSY: it goes on. OK: the reply is there. Else it failed, with the reason. */
enum err fetch_state(const struct fetch *f, struct why *w);
int fetch_status(const struct fetch *f); /* of the reply, or 0 */
struct bytes fetch_body(const struct fetch *f);

#endif
