#include "ops/netcheck.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRY_MS = 3000 };

APPLET(netcheck)
const struct opt netcheck_opts[] = {{0}};
const char netcheck_text[] =
    "Usage: silktalk netcheck [--json]\n"
    "Listener, bootstrap peers, name service, hosts of health.probeHosts and clock, tried now.\n"
    "Exits 0 when all is well, 1 when something is not.\n"
    "Examples:\n"
    "  silktalk netcheck\n"
    "  silktalk config set health.probeHosts router.example.com:443 && silktalk netcheck\n";

PRINTF_LIKE(3, 4)
static void found(struct net_item *i, enum health_status s, const char *format, ...) {
    va_list ap;
    i->status = s;
    va_start(ap, format);
    vsnprintf(i->finding, sizeof i->finding, format, ap);
    va_end(ap);
}

/* ---- one connection */

static bool try_address(const struct sockaddr *to, socklen_t size) {
    int fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
    socklen_t n = sizeof error;
    if (fd < 0) return false;
    bool good = connect(fd, to, size) == 0;
    if (!good && errno == EINPROGRESS) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        good = poll(&p, 1, TRY_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 &&
               error == 0;
    }
    close(fd);
    return good;
}

/* "ok", "does not answer", or why the name gave no address. */
static const char *try_host(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int e = getaddrinfo(host, port, &hints, &list);
    if (e != 0) return gai_strerror(e);
    bool good = port == NULL;
    for (struct addrinfo *a = list; a != NULL && !good; a = a->ai_next)
        good = try_address(a->ai_addr, a->ai_addrlen);
    freeaddrinfo(list);
    return good ? "ok" : "does not answer";
}

/* "host", "host:port", "[v6]:port" */
static void split_host(const char *text, char host[256], char port[8]) {
    const char *colon = strrchr(text, ':'), *shut = strrchr(text, ']');
    bool has_port = colon != NULL && (shut != NULL ? colon > shut : strchr(text, ':') == colon);
    size_t n = has_port ? (size_t)(colon - text) : strlen(text);
    bytes_cstr(bytes_at(text, MIN(n, (size_t)255)), host, 256);
    if (host[0] == '[') {
        memmove(host, host + 1, strlen(host));
        host[strcspn(host, "]")] = 0;
    }
    snprintf(port, 8, "%.7s", has_port ? colon + 1 : "443");
}

/* ---- items */

static enum err ask(struct cli *c, const char *method, struct json_doc **doc, const struct json **r) {
    static enum err silent = OK; /* one that did not answer in time is not waited for again */
    enum err e = silent;
    if (e == OK) e = cli_call(c, method, (struct bytes){NULL, 0}, TRY_MS, doc, r);
    if (e == E_TIMEOUT) silent = e;
    return e;
}

static void listener(struct cli *c, struct net_item *i) {
    struct json_doc *doc = NULL;
    const struct json *r = NULL, *item, *items;
    size_t at = 0, good = 0, all = 0;
    char bad[96] = "";
    i->fix = "silktalk config get network.listen; silktalk log";
    if (ask(c, "status", &doc, &r) != OK) {
        found(i, HEALTH_CRITICAL, "the node does not answer: %.150s", c->why.text);
        return;
    }
    items = json_get(json_get(r, "listen"), "items");
    while (json_item(items, &at, &item)) {
        char text[128], version = 0, ip[64] = "", port[8] = "";
        bytes_cstr(json_bytes(item), text, sizeof text);
        if (sscanf(text, "/ip%c/%63[^/]/tcp/%7[0-9]", &version, ip, port) != 3) continue;
        all++;
        if (strcmp(try_host(ip, port), "ok") == 0)
            good++;
        else
            snprintf(bad, sizeof bad, "%.90s", text);
    }
    json_free(doc);
    if (all == 0)
        found(i, HEALTH_CRITICAL, "the node listens nowhere");
    else if (good < all)
        found(i, good == 0 ? HEALTH_CRITICAL : HEALTH_WARNING, "%s does not answer, seen from this host",
              bad);
    else
        found(i, HEALTH_OK, "%zu of %zu addresses answer, seen from this host", good, all);
}

static void bootstrap(struct cli *c, struct net_item *i) {
    struct json_doc *doc = NULL;
    const struct json *r = NULL, *item, *items;
    size_t at = 0, good = 0, all = 0;
    i->fix = "silktalk bootstrap test";
    if (ask(c, "bootstrap.list", &doc, &r) != OK) {
        found(i, HEALTH_UNKNOWN, "the node does not answer");
        i->judged = false;
        return;
    }
    items = json_get(r, "items");
    while (json_item(items, &at, &item)) {
        all++;
        good += bytes_is(json_get_bytes(item, "state"), "connected");
    }
    json_free(doc);
    if (all == 0)
        found(i, HEALTH_OK, "none are configured");
    else
        found(i,
              good == 0    ? HEALTH_CRITICAL
              : good < all ? HEALTH_WARNING
                           : HEALTH_OK,
              "%zu of %zu are connected", good, all);
}

/* Names that the configuration has: hosts to probe, and bootstrap peers by name. */
static void names(struct cli *c, struct net_item *i) {
    const struct config_list *probe = &cfg(c->config, health_probeHosts).list,
                             *boot = &cfg(c->config, discovery_bootstrap).list;
    size_t all = 0;
    char host[256], port[8];
    i->fix = "look at /etc/resolv.conf, or set network.dnsServers";
    for (size_t k = 0; k < probe->n + boot->n; k++) {
        if (k < probe->n)
            split_host(probe->texts[k], host, port);
        else if (sscanf(boot->texts[k - probe->n], "/dns%*[a-z46]/%255[^/]", host) != 1 &&
                 sscanf(boot->texts[k - probe->n], "/dns/%255[^/]", host) != 1)
            continue;
        all++;
        const char *text = try_host(host, NULL);
        if (strcmp(text, "ok") == 0) continue;
        found(i, HEALTH_WARNING, "%.100s: %s", host, text);
        return;
    }
    found(i, HEALTH_OK, all == 0 ? "no names are in use" : "%zu names have addresses", all);
}

static void probes(struct cli *c, struct net_item *i) {
    const struct config_list *probe = &cfg(c->config, health_probeHosts).list;
    size_t good = 0;
    char host[256], port[8], bad[128] = "";
    i->fix = "look at this host's network, routes and firewall";
    for (size_t k = 0; k < probe->n; k++) {
        split_host(probe->texts[k], host, port);
        const char *text = try_host(host, port);
        if (strcmp(text, "ok") == 0)
            good++;
        else
            snprintf(bad, sizeof bad, "%.80s: %.40s", probe->texts[k], text);
    }
    if (probe->n == 0)
        found(i, HEALTH_OK, "health.probeHosts names none");
    else if (good < probe->n)
        found(i, good == 0 ? HEALTH_CRITICAL : HEALTH_WARNING, "%s", bad);
    else
        found(i, HEALTH_OK, "%zu hosts answer", good);
}

static void clock_item(struct cli *c, struct net_item *i) {
    struct json_doc *doc = NULL;
    const struct json *r = NULL, *check, *checks;
    i->fix = "timedatectl set-ntp true";
    if (ask(c, "health", &doc, &r) != OK) {
        found(i, HEALTH_UNKNOWN, "the node does not answer");
        i->judged = false;
        return;
    }
    checks = json_get(r, "checks");
    for (size_t at = 0; json_item(checks, &at, &check);) {
        struct bytes m = json_get_bytes(check, "message");
        if (bytes_is(json_get_bytes(check, "name"), "clock"))
            found(i, health_status_of(json_get_bytes(check, "status")), "%.*s", (int)MIN(m.n, (size_t)180),
                  (const char *)m.p);
    }
    json_free(doc);
}

static void reachability(struct cli *c, struct net_item *i) {
    (void)c;
    i->judged = false;
    i->fix = NULL;
    found(i, HEALTH_UNKNOWN, "whether peers reach this node from outside is not known before delivery F");
}

void netcheck_run(struct cli *c, struct net_item out[NET_ITEMS]) {
    static const struct {
        const char *name;
        void (*run)(struct cli *c, struct net_item *i);
    } rows[NET_ITEMS] = {{"listener", listener}, {"bootstrap", bootstrap}, {"reachability", reachability},
                         {"dns", names},         {"probes", probes},       {"clock", clock_item}};
    bool configured = cli_config(c) == OK;
    for (size_t i = 0; i < NET_ITEMS; i++) {
        out[i] = (struct net_item){.name = rows[i].name, .status = HEALTH_UNKNOWN, .judged = true};
        if (configured)
            rows[i].run(c, &out[i]);
        else
            found(&out[i], HEALTH_UNKNOWN, "the configuration is bad: silktalk config check");
    }
}

int netcheck_main(struct cli *c) {
    struct net_item items[NET_ITEMS];
    struct buf line = {.max = 16384};
    struct json_out o = json_begin(&line);
    size_t bad = 0;
    if (c->n_args > 0) return cli_usage(c, "netcheck takes no words");
    netcheck_run(c, items);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.netcheck/1");
    json_open(&o, "items", '[');
    for (size_t i = 0; i < NET_ITEMS; i++) {
        const struct net_item *n = &items[i];
        bool wrong = n->judged && n->status != HEALTH_OK;
        bad += wrong;
        json_open(&o, NULL, '{');
        json_put_str(&o, "name", n->name);
        json_put_str(&o, "status", health_status_name(n->status));
        json_put_str(&o, "finding", n->finding);
        json_put_str(&o, "fix", wrong ? n->fix : NULL);
        json_shut(&o, '}');
        if (c->json) continue;
        printf("%-13s %-9s %s%s%s\n", n->name, health_status_name(n->status), n->finding,
               wrong && n->fix != NULL ? "  -> " : "", wrong && n->fix != NULL ? n->fix : "");
    }
    json_shut(&o, ']');
    json_shut(&o, '}');
    if (json_end(&o) && c->json) puts(buf_cstr(&line));
    buf_free(&line);
    return bad > 0 ? 1 : 0;
}
