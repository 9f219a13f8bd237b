/* ops/health_url.h: GET of a node's /health over HTTP or HTTPS, with a deadline; for `silktalk health --url`.
 */
#ifndef SILKTALK_OPS_HEALTH_URL_H
#define SILKTALK_OPS_HEALTH_URL_H

#include "node/config.h"

enum { HEALTH_BODY_MAX = 256 << 10 };

/* http(s)://HOST[:PORT][/PATH]; without a path: /health. config: see web_ask. token_file: a bearer token
 * (mode at most 0640), or NULL. OK: body is JSON of a node, whatever its status code. E_DENIED: 401, 403,
 * 429; E_PROTO: something else answers; and what web_fetch gives. */
enum err health_fetch(const char *url, const struct config *config, const char *token_file,
                      int64_t timeout_ms, struct buf *body, struct why *w);

#endif
