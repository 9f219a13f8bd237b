/* ops/web_fetch.h: one request of a command to a web server; waits, but never longer than it may. */
#ifndef SILKTALK_OPS_WEB_FETCH_H
#define SILKTALK_OPS_WEB_FETCH_H

#include "ops/web_client.h"

struct web_ask {
    const char *url;
    const struct config *config; /* authorities, proxy, name servers; NULL: the system's, and no proxy */
    const char *token_file;      /* or NULL */
    bool alert;                  /* POST of `body` with what goes with alerts; else GET */
    struct bytes body;
    size_t body_max;    /* of the reply; 0: its status is enough */
    int64_t timeout_ms; /* for all of it */
};
/* OK: there is a reply, whatever its status. E_INPUT: the URL, a file, no authorities. E_NOT_FOUND: the name.
 * E_NOT_RUNNING: nobody listens there. E_VERIFY, E_REFUSED, E_PROTO, E_LIMIT, E_CLOSED as fetch_state;
 * E_TIMEOUT. */
enum err web_fetch(const struct web_ask *a, int *status, struct buf *body, struct why *w);

#endif
