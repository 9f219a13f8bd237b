/* What HTTP answers (operations.md S4): one table of routes, and who may ask for each. */
#include "node/http.h"

#include "base/json.h"
#include "node/control.h"
#include "node/metrics.h"
#include "crypto/hash.h"

#include <stdio.h>
#include <strings.h>

/* Who may: anybody (what is told then depends on who asks); local callers and tokens; tokens of a scope.
 * MAY_AS_CONTROL: the scope that the control method's right asks for. */
enum may { MAY_ALL, MAY_LOCAL, MAY_READ, MAY_MESSAGES, MAY_ADMIN, MAY_NOBODY, MAY_AS_CONTROL };

struct caller {
    bool full; /* more than the bare state may be told */
    struct bytes accept;
    enum may may;
};
struct route {
    enum http_method method; /* GET: HEAD too */
    const char *path;        /* ending with '/': the rest is the parameter `rest` */
    enum may may;
    void (*run)(struct node *n, struct http_client *c, const struct caller *caller);
    const char *control; /* instead: the control method */
    const char *rest;
    int success;
};

/* ---- states */

const char *node_not_ready(const struct node *n) {
    if (n->stopping) return "the node is stopping\n";
    if (!n->loaded) return "the node is starting\n";
    if (n->health.maintenance.on) return "the node is in maintenance\n";
    if (n->n_listen == 0 && cfg(n->config, network_listen).list.n > 0) return "the node does not listen\n";
    return NULL;
}

static void answer_text(struct node *n, struct http_client *c, int status, const char *text) {
    http_answer(
        n, c,
        &(struct http_answer){.status = status, .type = "text/plain; charset=utf-8", .body = bytes_of(text)});
}

static void livez(struct node *n, struct http_client *c, const struct caller *caller) {
    (void)caller;
    answer_text(n, c, 200, "ok\n"); /* whoever says so has a loop that turns */
}

static void readyz(struct node *n, struct http_client *c, const struct caller *caller) {
    (void)caller;
    const char *why = node_not_ready(n);
    answer_text(n, c, why == NULL ? 200 : 503, why == NULL ? "ok\n" : why);
}

/* With its checks, or, for callers from elsewhere, its state alone. */
static void health(struct node *n, struct http_client *c, const struct caller *caller) {
    struct buf body = {.max = 256 << 10};
    bool whole = health_write(n, &body); /* judges anew */
    bool well = strcmp(health_verdict(&n->health.judged), "unhealthy") != 0 && !n->stopping;
    if (!caller->full) {
        buf_clear(&body);
        whole = buf_add_format(&body, "{\"schema\":\"silktalk.health/1\",\"status\":\"%s\"}", node_state(n));
    }
    whole = whole && buf_add_byte(&body, '\n');
    int status = !whole ? 500 : well ? 200 : 503;
    http_answer(n, c,
                &(struct http_answer){.status = status, .type = "application/json", .body = buf_view(&body)});
    buf_free(&body);
}

static void metrics(struct node *n, struct http_client *c, const struct caller *caller) {
    struct buf body = {.max = METRICS_SIZE};
    bool open = bytes_has(caller->accept, BYTES("application/openmetrics-text"));
    bool whole = metrics_write(n, &body, open);
    const char *type = open ? METRICS_TYPE_OPEN : METRICS_TYPE;
    http_answer(n, c,
                &(struct http_answer){.status = whole ? 200 : 500, .type = type, .body = buf_view(&body)});
    buf_free(&body);
}

/* ---- the page */

/* Only this page's own script and style run: their hashes are all that the policy allows. */
static bool add_hash(struct bytes html, struct buf *out, const char *directive, const char *begin,
                     const char *finish) {
    if (html.n == 0) return false;
    const uint8_t *from = memmem(html.p, html.n, begin, strlen(begin));
    const uint8_t *to = from == NULL ? NULL
                                     : memmem(from, (size_t)(html.p + html.n - from), finish, strlen(finish));
    uint8_t hash[32];
    if (to == NULL) return false;
    from += strlen(begin);
    hash_sha256(bytes_at(from, (size_t)(to - from)), hash);
    return buf_add_format(out, "%s 'sha256-", directive) && base64_encode(out, bytes_at(hash, 32), false) &&
           buf_add_text(out, "'; ");
}

static void page(struct node *n, struct http_client *c, const struct caller *caller) {
    struct buf fields = {.max = 1024};
    (void)caller;
    bool good = buf_add_text(&fields, "Content-Security-Policy: default-src 'none'; connect-src 'self'; "
                                      "img-src data:; base-uri 'none'; form-action 'none'; "
                                      "frame-ancestors 'none'; ") &&
                add_hash(n->page, &fields, "style-src", "<style>", "</style>") &&
                add_hash(n->page, &fields, "script-src", "<script>", "</script>") &&
                buf_add_text(&fields, "\r\n");
    if (good)
        http_answer(n, c,
                    &(struct http_answer){.status = 200,
                                          .type = "text/html; charset=utf-8",
                                          .body = n->page,
                                          .fields = buf_cstr(&fields)});
    else
        http_refuse(n, c, 500, "there is no page", NULL);
    buf_free(&fields);
}

/* clang-format off */
static const struct route routes[] = {
    {HTTP_GET, "/", MAY_LOCAL, page, NULL, NULL, 0},
    {HTTP_GET, "/livez", MAY_LOCAL, livez, NULL, NULL, 0},
    {HTTP_GET, "/readyz", MAY_LOCAL, readyz, NULL, NULL, 0},
    {HTTP_GET, "/metrics", MAY_LOCAL, metrics, NULL, NULL, 0},
    {HTTP_GET, "/health", MAY_ALL, health, NULL, NULL, 0},
    {HTTP_GET, "/figures", MAY_LOCAL, NULL, "figures", NULL, 200},
    {HTTP_GET, "/api/v1/status", MAY_AS_CONTROL, NULL, "status", NULL, 200},
    {HTTP_GET, "/api/v1/health", MAY_AS_CONTROL, NULL, "health", NULL, 200},
    {HTTP_GET, "/api/v1/version", MAY_AS_CONTROL, NULL, "version", NULL, 200},
    {HTTP_GET, "/api/v1/id", MAY_AS_CONTROL, NULL, "id", NULL, 200},
    {HTTP_GET, "/api/v1/peers", MAY_AS_CONTROL, NULL, "peers", NULL, 200},
    {HTTP_GET, "/api/v1/peers/", MAY_AS_CONTROL, NULL, "peer.show", "peer", 200},
    {HTTP_GET, "/api/v1/explain/", MAY_AS_CONTROL, NULL, "explain", "peer", 200},
    {HTTP_GET, "/api/v1/limits", MAY_AS_CONTROL, NULL, "diag.limits", NULL, 200},
    {HTTP_GET, "/api/v1/loop", MAY_AS_CONTROL, NULL, "diag.loop", NULL, 200},
    {HTTP_GET, "/api/v1/figures", MAY_AS_CONTROL, NULL, "figures", NULL, 200},
    {HTTP_GET, "/api/v1/report", MAY_AS_CONTROL, NULL, "report", NULL, 200},
    {HTTP_GET, "/api/v1/events", MAY_AS_CONTROL, NULL, "events.list", NULL, 200},
    {HTTP_GET, "/api/v1/log/stats", MAY_AS_CONTROL, NULL, "log.stats", NULL, 200},
    {HTTP_GET, "/api/v1/checks/", MAY_AS_CONTROL, NULL, "check.last", "period", 200},
    {HTTP_GET, "/api/v1/config", MAY_AS_CONTROL, NULL, "config.list", NULL, 200},
    {HTTP_GET, "/api/v1/bootstrap", MAY_AS_CONTROL, NULL, "bootstrap.list", NULL, 200},
    {HTTP_GET, "/api/v1/outbox", MAY_AS_CONTROL, NULL, "outbox", NULL, 200},
    {HTTP_GET, "/api/v1/files", MAY_AS_CONTROL, NULL, "file", NULL, 200},
    {HTTP_GET, "/api/v1/messages", MAY_AS_CONTROL, NULL, "inbox", NULL, 200},
    {HTTP_POST, "/api/v1/messages", MAY_AS_CONTROL, NULL, "send", NULL, 202},
    {HTTP_GET, "/api/v1/messages/", MAY_AS_CONTROL, NULL, "read", "id", 200},
    {HTTP_DELETE, "/api/v1/messages/", MAY_AS_CONTROL, NULL, "inbox.delete", "id", 200},
    {HTTP_DELETE, "/api/v1/outbox/", MAY_AS_CONTROL, NULL, "outbox.cancel", "id", 200},
    {HTTP_POST, "/api/v1/connect", MAY_AS_CONTROL, NULL, "connect", NULL, 200},
    {HTTP_POST, "/api/v1/disconnect", MAY_AS_CONTROL, NULL, "disconnect", NULL, 200},
    {HTTP_POST, "/api/v1/maintenance", MAY_AS_CONTROL, NULL, "maintenance", NULL, 200},
    {HTTP_POST, "/api/v1/reload", MAY_AS_CONTROL, NULL, "reload", NULL, 200},
};
/* clang-format on */

/* ---- who asks */

static enum may needs(const struct route *route) {
    static const enum may of_right[] = {[RIGHT_OWNER] = MAY_NOBODY,
                                        [RIGHT_ADMIN] = MAY_ADMIN,
                                        [RIGHT_MESSAGES] = MAY_MESSAGES,
                                        [RIGHT_READ] = MAY_READ};
    if (route->may != MAY_AS_CONTROL) return route->may;
    const struct control_row *row = control_find_method(bytes_of(route->control));
    return row == NULL ? MAY_NOBODY : of_right[row->right];
}

/* Without its port. False: not the name of a host. */
static bool host_name(struct bytes host, char *out, size_t size) {
    if (host.n > 0 && host.p[0] == '[') {
        size_t shut = bytes_index(host, ']');
        struct bytes port = bytes_skip(host, shut + 1);
        if (port.n > 0 && port.p[0] != ':') return false;
        host = bytes_skip(bytes_sub(host, 0, shut), 1);
    } else {
        host = bytes_sub(host, 0, bytes_index(host, ':'));
    }
    return host.n > 0 && bytes_cstr(host, out, size);
}

/* A page of somewhere else can give its own name our address (DNS rebinding), but not change this field. */
static bool is_our_host(const struct node *n, struct bytes host) {
    char name[256];
    struct ip ip;
    if (!host_name(host, name, sizeof name)) return false;
    if (ip_parse(bytes_of(name), &ip) || strcasecmp(name, "localhost") == 0) return true;
    if (strcasecmp(name, cfg(n->config, node_name).text) == 0) return true;
    const struct config_list *l = &cfg(n->config, http_allowHosts).list;
    for (size_t i = 0; i < l->n; i++)
        if (strcasecmp(name, l->texts[i]) == 0) return true;
    return false;
}

/* Browsers say where a request comes from; others do not, and are let pass. */
static bool is_cross_site(const struct http_request *r) {
    if (r->fetch_site.n > 0 && !bytes_is(r->fetch_site, "same-origin") && !bytes_is(r->fetch_site, "none"))
        return r->method != HTTP_GET || !bytes_is(r->path, "/"); /* a link to the page is fine */
    if (!r->has_origin) return false;
    struct bytes origin = r->origin;
    size_t at = bytes_index(origin, '/');
    return at + 2 > origin.n || !bytes_eq(bytes_skip(origin, at + 2), r->host);
}

static struct http_guesser *guesser(struct http *h, const struct ip *ip, struct mono now) {
    struct http_guesser *oldest = &h->guessers[0];
    for (size_t i = 0; i < HTTP_GUESSERS; i++) {
        struct http_guesser *g = &h->guessers[i];
        if (g->wrong > 0 && mono_diff_ms(now, g->since) >= 60000) g->wrong = 0;
        if (g->wrong > 0 && ip_eq(&g->ip, ip)) return g;
        if (oldest->wrong > 0 && (g->wrong == 0 || g->since.us < oldest->since.us)) oldest = g;
    }
    *oldest = (struct http_guesser){.ip = *ip, .since = now};
    return oldest;
}

/* 0: fine, *out says who. Else the status of the refusal. */
static int who(struct node *n, const struct http_client *c, const struct http_request *r,
               struct caller *out) {
    static const enum may of_scope[] = {MAY_READ, MAY_MESSAGES, MAY_ADMIN};
    *out = (struct caller){.full = c->local, .may = c->local ? MAY_LOCAL : MAY_ALL};
    if (r->authorization.n == 0) return 0;
    struct http_guesser *g = guesser(n->http, &c->ip, n->now.mono);
    if (g->wrong >= HTTP_GUESSES_MAX) return 429;
    struct bytes token = bytes_trim(bytes_skip(r->authorization, 6));
    bool bearer = r->authorization.n > 7 && strncasecmp((const char *)r->authorization.p, "Bearer ", 7) == 0;
    const struct token *t = bearer ? tokens_find(&n->http->tokens, token, n->now.wall) : NULL;
    if (t == NULL) {
        char addr[48] = "unix";
        if (c->ip.version != 0) ip_text(&c->ip, addr);
        g->wrong++;
        LOG(n->log, EV_AUTHENTICATION_FAILED, kv_str("addr", addr), kv_str("reason", "no such token"));
        return 401;
    }
    *out = (struct caller){.full = true, .may = of_scope[t->scope]};
    return 0;
}

/* ---- control methods */

/* A number; or, where places in a list are names (peers), the text. */
static void put_place(struct json_out *o, const char *key, struct bytes query, const char *name) {
    char text[128];
    uint64_t v;
    if (!http_query(query, name, text, sizeof text)) return;
    if (bytes_to_u64(bytes_of(text), INT64_MAX, &v))
        json_put_uint(o, key, v);
    else
        json_put_str(o, key, text);
}

/* ?all=1 and the like. */
static void put_flag(struct json_out *o, struct bytes query, const char *name) {
    char text[8];
    if (http_query(query, name, text, sizeof text))
        json_put_bool(o, name,
                      strcmp(text, "0") != 0 && strcmp(text, "no") != 0 && strcmp(text, "false") != 0);
}

/* Who got here may call this method, and what stands below it. */
static enum control_right row_right(const struct route *route) {
    const struct control_row *row = control_find_method(bytes_of(route->control));
    return row == NULL ? RIGHT_READ : row->right;
}

static void run_control(struct node *n, struct http_client *c, const struct route *route,
                        const struct http_request *r, struct bytes rest, struct bytes body) {
    static const char *const words[] = {"from", "search", "since", "event", "level",
                                        "peer", "span",   "names", "type",  "by"};
    static const char *const flags[] = {"all", "unread", "changed"};
    struct buf line = {.max = body.n + 16384}, name = {.max = HTTP_PATH_MAX};
    if (route->method != HTTP_POST) body.n = 0; /* what is asked for stands in the address alone */
    struct json_doc *doc = body.n == 0 ? NULL : json_parse(body, NULL);
    bool bad = body.n > 0 && (doc == NULL || !json_is_object(json_root(doc)));
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "method", route->control);
    if (doc != NULL && !bad) {
        json_put_value(&o, "params", json_root(doc));
    } else {
        json_open(&o, "params", '{');
        if (route->rest != NULL) {
            bad |= !http_unescape(&name, rest, false) || !utf8_valid(buf_view(&name));
            json_put(&o, route->rest, buf_view(&name));
        }
        char limit[32];
        uint64_t most = 0;
        if (http_query(r->query, "limit", limit, sizeof limit)) {
            bad |= !bytes_to_u64(bytes_of(limit), INT64_MAX, &most) || most == 0;
            json_put_uint(&o, "n", most);
        }
        put_place(&o, "after", r->query, "after");
        for (size_t i = 0; i < LEN(flags); i++) put_flag(&o, r->query, flags[i]);
        for (size_t i = 0; i < LEN(words); i++) {
            char value[256];
            if (http_query(r->query, words[i], value, sizeof value)) json_put_str(&o, words[i], value);
        }
        json_shut(&o, '}');
    }
    json_shut(&o, '}');
    json_free(doc);
    if (bad || !json_end(&o)) {
        http_refuse(n, c, 400, "the body is a JSON object, limit is above 0, the path well escaped", NULL);
    } else {
        struct node_client client = {
            .id = c->id | HTTP_CLIENT, .uid = UINT32_MAX, .may = row_right(route), .fd = -1};
        c->answering = true;
        c->success = route->success;
        if (!control_request(n, &client, buf_view(&line))) {
            c->answering = false;
            http_refuse(n, c, 503, "out of memory, try again", NULL);
        }
    }
    buf_free(&line);
    buf_free(&name);
}

/* ---- routing */

static const struct route *find(const struct http_request *r, bool *other_method, struct bytes *rest) {
    enum http_method wanted = r->method == HTTP_HEAD ? HTTP_GET : r->method;
    for (size_t i = 0; i < LEN(routes); i++) {
        size_t n = strlen(routes[i].path);
        bool open = routes[i].path[n - 1] == '/' && n > 1;
        if (open ? r->path.n <= n || !bytes_starts(r->path, routes[i].path)
                 : !bytes_is(r->path, routes[i].path))
            continue;
        if (routes[i].method == wanted) {
            *rest = bytes_skip(r->path, n);
            return &routes[i];
        }
        *other_method = true;
    }
    return NULL;
}

static int judge(struct node *n, const struct http_client *c, const struct http_request *r,
                 const struct route *route, struct caller *caller, const char **text) {
    *text = "this host is not one of http.allowHosts";
    bool ours = is_our_host(n, r->host) && (r->authority.n == 0 || is_our_host(n, r->authority));
    if (c->ip.version != 0 && (!r->has_host || !ours)) return r->has_host ? 421 : 400;
    *text = "a page of another site asks";
    if (is_cross_site(r)) return 403;
    int status = who(n, c, r, caller);
    *text = status == 429 ? "too many wrong tokens; wait a minute" : "no such token";
    if (status != 0) return status;
    *text = "there is nothing here";
    if (route == NULL) return caller->full ? 404 : 401;
    *text = "this needs an access token: silktalk token create NAME";
    if (caller->may < needs(route)) {
        if (caller->may <= MAY_LOCAL) return 401;
        *text = "the token's scope is too small for this";
        return 403;
    }
    *text = "without TLS this is answered on this host alone";
    return needs(route) > MAY_READ && !c->local && !c->tls ? 403 : 0;
}

/* NULL: refused, and told so. */
static const struct route *admit(struct node *n, struct http_client *c, const struct http_request *r,
                                 struct caller *caller, struct bytes *rest) {
    bool other_method = false;
    const char *text;
    const struct route *route = find(r, &other_method, rest);
    c->counted = route == NULL ? "other" : route->path;
    int status = judge(n, c, r, route, caller, &text);
    caller->accept = r->accept;
    if (status == 404 && other_method) {
        status = 405;
        text = "not with this method";
    }
    if (status == 0) return route;
    http_refuse(n, c, status, text, status == 401 ? "WWW-Authenticate: Bearer\r\n" : NULL);
    return NULL;
}

bool http_admit(struct node *n, struct http_client *c, const struct http_request *r) {
    struct bytes rest = {NULL, 0};
    struct caller caller;
    return admit(n, c, r, &caller, &rest) != NULL;
}

void http_route(struct node *n, struct http_client *c, const struct http_request *r, struct bytes body) {
    struct bytes rest = {NULL, 0};
    struct caller caller;
    const struct route *route = admit(n, c, r, &caller, &rest);
    if (route == NULL) return;
    if (route->run != NULL)
        route->run(n, c, &caller);
    else
        run_control(n, c, route, r, rest, body);
}
