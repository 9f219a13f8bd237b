#include "ops/web_client.h"

#include <stdio.h>

#include "base/mem.h"
#include "loop/file.h"
#include "node/alert.h"
#include "ops/home.h"

/* Where systems keep what their administrator trusts: Debian, Arch, Alpine; RHEL, Fedora; SUSE; BSDs. */
static const char *const bundles[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt",
                                      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                      "/etc/ssl/ca-bundle.pem",
                                      "/etc/ssl/cert.pem",
                                      "/usr/local/share/certs/ca-root-nss.crt"};
/* The same places in the room that a reason has. */
#define PLACES                                                                                               \
    "/etc/ssl/{certs/ca-certificates.crt,ca-bundle.pem,cert.pem} "                                           \
    "/etc/pki/{tls/certs/ca-bundle.crt,ca-trust/extracted/pem/tls-ca-bundle.pem} "                           \
    "/usr/local/share/certs/ca-root-nss.crt"

static enum err system_bundle(struct buf *out, struct why *w) {
    for (size_t i = 0; i < LEN(bundles); i++) {
        if (file_read(bundles[i], 0, WEB_BUNDLE_MAX, FILE_ANY_MODE, out, NULL, NULL) == OK && out->n > 0)
            return OK;
        buf_clear(out);
    }
    return fail(w, E_INPUT, "no authorities for https; set https.caFile (tried " PLACES ")");
}

enum err web_authorities(const struct config *c, const char *own, struct buf *out, struct why *w) {
    struct why inner = {OK, ""};
    const char *path = own != NULL && own[0] != 0 ? own : c == NULL ? "" : cfg(c, https_caFile).text;
    char file[PATH_SIZE];
    out->max = WEB_BUNDLE_MAX;
    if (path[0] == 0) return system_bundle(out, w);
    enum err e = home_secret(path, file, &inner);
    if (e == OK) e = file_read(file, 0, WEB_BUNDLE_MAX, FILE_ANY_MODE, out, NULL, &inner);
    return e == OK ? OK : fail(w, E_INPUT, "https.caFile: %s", inner.text);
}

enum err web_proxy(const struct config *c, const struct url *to, struct url *out, bool *use, struct why *w) {
    struct why inner;
    const char *text = cfg(c, https_proxy).text;
    bool here = (to->is_ip && ip_is_loopback(&to->ip)) || strcmp(to->host, "localhost") == 0;
    *use = text[0] != 0 && !here;
    if (!*use || url_read(bytes_of(text), out, &inner) == OK) return OK;
    return fail(w, E_INPUT, "https.proxy: %s", inner.text);
}

/* A word, or (a secret) any bytes of one line. */
static enum err read_secret(const char *setting, const char *key, bool word, struct buf *out, struct why *w) {
    char path[PATH_SIZE];
    struct why inner = {OK, ""};
    out->max = ALERT_SECRET_MAX;
    enum err e = home_secret(setting, path, &inner);
    if (e == OK) e = file_read(path, 0, ALERT_SECRET_MAX, 0640, out, NULL, &inner);
    if (e != OK) return fail(w, e == E_DENIED ? e : E_INPUT, "%s: %s", key, inner.text);
    while (out->n > 0 && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r')) out->n--;
    bool good = out->n > 0 && (!word || out->n <= WEB_TOKEN_MAX);
    for (size_t i = 0; good && word && i < out->n; i++) good = out->p[i] > ' ' && out->p[i] < 127;
    return good ? OK
                : fail(w, E_INPUT, "%s: the file %s", key, word ? "holds no token: one word" : "is empty");
}

static enum err add_token(const char *setting, const char *key, struct buf *out, struct why *w) {
    struct buf token = {NULL, 0, 0, 0};
    enum err e = read_secret(setting, key, true, &token, w);
    if (e == OK &&
        !buf_add_format(out, "Authorization: Bearer %.*s\r\n", (int)token.n, (const char *)token.p))
        e = fail(w, E_MEMORY, "out of memory");
    buf_wipe(&token);
    return e;
}

enum err web_token(const char *setting, struct buf *out, struct why *w) {
    out->max = FETCH_FIELDS_MAX;
    buf_reserve(out, FETCH_FIELDS_MAX); /* growing would leave copies */
    return add_token(setting, "--token-file", out, w);
}

enum err web_alert_fields(const struct config *c, const struct url *to, struct wall now, struct bytes body,
                          struct buf *out, struct why *w) {
    const char *secret_file = cfg(c, alerts_webhookSecretFile).text,
               *token_file = cfg(c, alerts_webhookTokenFile).text;
    struct buf secret = {NULL, 0, 0, 0};
    struct url own;
    enum err e = OK;
    if (out->max == 0) out->max = FETCH_FIELDS_MAX;
    buf_reserve(out, FETCH_FIELDS_MAX - out->n);
    if (secret_file[0] != 0) {
        e = read_secret(secret_file, "alerts.webhookSecretFile", false, &secret, w);
        if (e == OK && !alert_sign(buf_view(&secret), now, body, out)) e = fail(w, E_MEMORY, "out of memory");
        buf_wipe(&secret);
    }
    const char *webhook = cfg(c, alerts_webhook).text;
    bool ours = webhook[0] == 0 ||
                (url_read(bytes_of(webhook), &own, NULL) == OK && url_same_server(&own, to));
    if (e == OK && token_file[0] != 0 && ours) e = add_token(token_file, "alerts.webhookTokenFile", out, w);
    return e;
}

enum err web_check(const struct config *c, struct why *w) {
    struct url url, proxy;
    struct why inner;
    struct buf fields = {NULL, 0, 0, 0}, bundle = {NULL, 0, 0, 0};
    struct tls_trust *trust = NULL;
    bool use;
    const char *webhook = cfg(c, alerts_webhook).text;
    if (webhook[0] == 0) return OK;
    enum err e = url_read(bytes_of(webhook), &url, &inner);
    if (e != OK) return fail(w, E_INPUT, "alerts.webhook: %s", inner.text);
    e = web_proxy(c, &url, &proxy, &use, w);
    if (e == OK) e = web_alert_fields(c, &url, (struct wall){0}, BYTES(""), &fields, w);
    if (e == OK && url.tls) e = web_authorities(c, NULL, &bundle, w);
    if (e == OK && url.tls) e = tls_trust_begin(buf_view(&bundle), &trust, w);
    if (e == OK && url.tls) {
        do /* one that can be read is enough: all of them take too long for a loop */
            e = tls_trust_more(trust, 1, &inner);
        while (e == E_BUSY && tls_trust_count(trust) == 0);
        e = e == OK || e == E_BUSY ? OK : fail(w, E_INPUT, "https.caFile: %s", inner.text);
    }
    tls_trust_free(trust);
    buf_free(&bundle);
    buf_wipe(&fields);
    return e;
}

enum err web_judge_status(int status, struct why *w) {
    if (status >= 200 && status < 300) return OK;
    if (status >= 300 && status < 400)
        return fail(w, E_REFUSED, "the server sends us elsewhere (status %d), which is not followed", status);
    return fail(w, E_REFUSED, "the server answers with status %d", status);
}
