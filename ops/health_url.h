/* ops/health_url.h: GET of a node's /health over plain HTTP, with a deadline; for `silktalk health --url`. */
#ifndef SILKTALK_OPS_HEALTH_URL_H
#define SILKTALK_OPS_HEALTH_URL_H

#include "base/base.h"

enum { HEALTH_BODY_MAX = 256 << 10 };

/* http://HOST[:PORT][/PATH]; without a path: /health. token_file: a bearer token (mode at most 0640), or
 * NULL. OK: body is JSON of a node, whatever its status code. E_INPUT: the URL (https is not spoken yet) or
 * token; E_DENIED: 401, 403, 429; E_TIMEOUT, E_NOT_RUNNING (refused), E_PROTO: something else answers. */
enum err health_fetch(const char *url, const char *token_file, int64_t timeout_ms, struct buf *body,
                      struct why *w);

#endif
