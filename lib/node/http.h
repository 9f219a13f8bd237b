/* lib/node/http.h: between http.c (clients: bytes in, requests, bytes out) and http_routes.c (what is
 * answered). */
#ifndef SILKTALK_NODE_HTTP_H
#define SILKTALK_NODE_HTTP_H

#include "node/core.h"
#include "node/tokens.h"
#include "proto/http.h"

enum {
    HTTP_CLIENTS_MAX = 32,
    HTTP_REQUEST_MS = 10000, /* a request is whole by then, and answered by then */
    HTTP_IDLE_MS = 60000,
    HTTP_BODY_EXTRA = 64 << 10, /* over messages.maxBody */
    HTTP_TX_MAX = 20 << 20,
    HTTP_GUESSES_MAX = 5, /* wrong tokens of one address in a minute */
    HTTP_GUESSERS = 64,
    HTTP_CLIENT = 1 << 30 /* in the id of a control client: it is one of HTTP */
};
struct http_client {
    uint32_t id;     /* 0: free */
    bool local, tls; /* local: a unix socket, or loopback */
    struct ip ip;    /* version 0: a unix socket */
    struct buf rx, tx;
    size_t tx_at;
    struct mono used, deadline;
    bool answering; /* a control method is at it */
    bool head_only, keep_alive, done, dirty, continued;
    bool admitted; /* it may send the body of which the head has come */
    bool cut;      /* done, and its answers are given up */
    int success;         /* the status when the method does well */
    const char *counted; /* the route, for metrics */
};
struct http {
    struct http_client clients[HTTP_CLIENTS_MAX];
    uint32_t next_id;
    struct tokens tokens;
    struct http_guesser {
        struct ip ip;
        struct mono since;
        unsigned wrong;
    } guessers[HTTP_GUESSERS];
};
struct http *http_of(struct node *n); /* NULL: out of memory */
void http_free(struct node *n);
void http_tick(struct node *n);
struct mono http_deadline(const struct node *n);
/* Whether who asks may ask for that; false: it has been told why not. */
bool http_admit(struct node *n, struct http_client *c, const struct http_request *r);
/* A whole request: answers it now, or begins a control method and sets c->answering. */
void http_route(struct node *n, struct http_client *c, const struct http_request *r, struct bytes body);
void http_answer(struct node *n, struct http_client *c, const struct http_answer *a);
/* {"error":{...}} with the status of code, or `status` if it is not 0. */
void http_refuse(struct node *n, struct http_client *c, int status, const char *text, const char *fields);
/* A line that a control method answers to an HTTP client. */
void http_control_answer(struct node *n, uint32_t client, struct bytes line);

#endif
