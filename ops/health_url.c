#include "ops/health_url.h"

#include <stdio.h>

#include "ops/web_fetch.h"

enum { ADDRESS_MAX = 2048 };

/* Without a path /health is meant. */
static bool whole_address(const char *url, char out[ADDRESS_MAX]) {
    struct bytes rest = bytes_skip(bytes_of(url), bytes_index(bytes_of(url), ':') + 3);
    size_t slash = bytes_index(rest, '/');
    bool path = slash + 1 < rest.n || bytes_index(rest, '?') < rest.n;
    int n = snprintf(out, ADDRESS_MAX, "%.*s%s", (int)(strlen(url) - (slash + 1 == rest.n ? 1 : 0)), url,
                     path ? "" : "/health");
    return n >= 0 && n < ADDRESS_MAX;
}

static enum err judge(int status, struct bytes body, struct why *w) {
    if (status == 401 || status == 403 || status == 429)
        return fail(w, E_DENIED, "it answers with status %d", status);
    if ((status != 200 && status != 503) || body.n == 0)
        return fail(w, E_PROTO, "what answers there is no node (status %d)", status);
    return OK;
}

enum err health_fetch(const char *url, const struct config *config, const char *token_file,
                      int64_t timeout_ms, struct buf *body, struct why *w) {
    char address[ADDRESS_MAX];
    int status;
    struct web_ask ask = {.url = address,
                          .config = config,
                          .token_file = token_file,
                          .body_max = HEALTH_BODY_MAX,
                          .timeout_ms = timeout_ms};
    if (!whole_address(url, address)) return fail(w, E_INPUT, "the address is too long");
    enum err e = web_fetch(&ask, &status, body, w);
    return e == OK ? judge(status, buf_view(body), w) : e;
}
