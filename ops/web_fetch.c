#include "ops/web_fetch.h"

#include <poll.h>

#include "loop/clocks.h"
#include "net/dns.h"
#include "net/tcp.h"

struct asking {
    const struct web_ask *ask;
    struct url url, proxy;
    bool use_proxy;
    struct endpoint at[DNS_IPS_MAX];
    size_t n_at;
    struct buf fields, bundle;
    struct tls_trust *trust;
    struct fetch *fetch;
    struct mono until;
    int fd;
};

/* False: the time is over. */
static bool wait_for(int fd, short events, struct mono until, struct mono sooner) {
    struct mono now = clocks_mono(), at = mono_sooner(until, sooner);
    int64_t left = MAX(mono_diff_ms(at, now), (int64_t)0);
    struct pollfd p = {.fd = fd, .events = events};
    if (until.us <= now.us) return false;
    poll(&p, 1, (int)MIN(left + 1, (int64_t)60000));
    return true;
}

/* ---- whom to connect to */

static enum err ask_name(struct asking *a, const struct url *to, struct why *w) {
    const struct config *c = a->ask->config;
    const struct config_list *list = c == NULL ? NULL : &cfg(c, network_dnsServers).list;
    struct endpoint servers[DNS_SERVERS_MAX];
    size_t n = list == NULL ? 0 : MIN(list->n, LEN(servers));
    for (size_t i = 0; i < n; i++) servers[i] = (struct endpoint){.ip = list->cidrs[i].base};
    struct dns_setup setup = {.servers = servers, .n_servers = n, .questions_max = 4};
    struct dns *dns = NULL;
    struct dns_answer *answer = NULL;
    enum err e = dns_open(&dns, &setup, w);
    if (e != OK) return e;
    e = dns_ask(dns, 1, DNS_IP, bytes_of(to->host), clocks_mono(), w);
    while (e == OK && answer == NULL) {
        dns_turn(dns, clocks_mono());
        answer = dns_next(dns);
        if (answer == NULL && !wait_for(dns_fd(dns), POLLIN, a->until, dns_deadline(dns, clocks_mono())))
            e = fail(w, E_TIMEOUT, "%.100s: the name was not found in time", to->host);
    }
    if (answer != NULL && answer->why.code != OK)
        e = fail(w, answer->why.code == E_TIMEOUT ? E_TIMEOUT : E_NOT_FOUND, "%.200s", answer->why.text);
    for (size_t i = 0; e == OK && i < answer->n_ips; i++)
        a->at[a->n_at++] = (struct endpoint){.ip = answer->ips[i], .port = to->port};
    if (answer != NULL) dns_answer_free(answer);
    dns_close(dns);
    return e;
}

static enum err find_addresses(struct asking *a, struct why *w) {
    const struct url *to = a->use_proxy ? &a->proxy : &a->url;
    if (!to->is_ip) return ask_name(a, to, w);
    a->at[a->n_at++] = (struct endpoint){.ip = to->ip, .port = to->port};
    return OK;
}

static enum err connect_one(struct asking *a, const struct endpoint *to, struct mono until, struct why *w) {
    enum err e = tcp_dial(&a->fd, to, NULL, w);
    if (e != OK) {
        a->fd = -1;
        return e;
    }
    while ((e = tcp_dialed(a->fd, w)) == E_BUSY)
        if (!wait_for(a->fd, POLLOUT, until, MONO_NEVER)) {
            e = fail(w, E_TIMEOUT, "no connection in time");
            break;
        }
    if (e != OK) {
        tcp_close(a->fd);
        a->fd = -1;
    }
    return e;
}

/* Each address has its share of the time: the first may be a hole. */
static enum err connect_any(struct asking *a, struct why *w) {
    struct why last = {E_NOT_FOUND, "the name has no address"};
    for (size_t i = 0; i < a->n_at; i++) {
        struct mono now = clocks_mono();
        int64_t left = MAX(mono_diff_ms(a->until, now), (int64_t)0),
                share = left / (int64_t)MIN(a->n_at - i, (size_t)3);
        if (connect_one(a, &a->at[i], mono_add_ms(now, share), &last) == OK) return OK;
    }
    char at[72];
    endpoint_text(&a->at[a->n_at > 0 ? a->n_at - 1 : 0], at);
    return fail(w, last.code == E_TIMEOUT ? E_TIMEOUT : E_NOT_RUNNING, "%s: %.150s", at, last.text);
}

/* ---- the request */

static enum err read_files(struct asking *a, struct why *w) {
    const struct web_ask *ask = a->ask;
    enum err e = OK;
    if (ask->token_file != NULL) e = web_token(ask->token_file, &a->fields, w);
    if (e == OK && ask->alert)
        e = web_alert_fields(ask->config, &a->url, clocks_now().wall, ask->body, &a->fields, w);
    if (e == OK && a->url.tls) e = web_authorities(ask->config, NULL, &a->bundle, w);
    if (e == OK && a->url.tls) e = tls_trust_read(buf_view(&a->bundle), &a->trust, w);
    return e;
}

static enum err begin(struct asking *a, struct why *w) {
    struct rng rng;
    enum err e = read_files(a, w);
    if (e != OK) return e;
    struct fetch_setup setup = {.url = &a->url,
                                .proxy = a->use_proxy ? &a->proxy : NULL,
                                .trust = a->trust,
                                .rng = &rng,
                                .now = clocks_now().wall,
                                .method = a->ask->alert ? "POST" : "GET",
                                .fields = a->fields.n > 0 ? buf_cstr(&a->fields) : NULL,
                                .type = a->ask->alert ? "application/json" : NULL,
                                .body = a->ask->body,
                                .status_alone = a->ask->body_max == 0,
                                .body_max = a->ask->body_max};
    rng_system(&rng);
    e = fetch_new(&a->fetch, &setup, w);
    rng_wipe(&rng);
    return e;
}

static void move_bytes(struct asking *a) {
    uint8_t data[16384];
    struct why w;
    size_t n;
    for (struct bytes out; (out = fetch_output(a->fetch)).n > 0 && tcp_write(a->fd, out, &n, &w) == OK;)
        fetch_sent(a->fetch, n);
    for (size_t room; (room = MIN(sizeof data, fetch_wants(a->fetch))) > 0;) {
        enum err e = tcp_read(a->fd, data, room, &n, &w);
        if (e == E_BUSY) break;
        if (e == OK)
            fetch_input(a->fetch, bytes_at(data, n));
        else
            fetch_ended(a->fetch);
    }
}

static enum err talk(struct asking *a, struct why *w) {
    for (;;) {
        move_bytes(a);
        enum err e = fetch_state(a->fetch, w);
        if (e != E_BUSY) return e;
        short events = (short)((fetch_wants(a->fetch) > 0 ? POLLIN : 0) |
                               (fetch_output(a->fetch).n > 0 ? POLLOUT : 0));
        if (!wait_for(a->fd, events, a->until, MONO_NEVER)) return fail(w, E_TIMEOUT, "no answer in time");
    }
}

enum err web_fetch(const struct web_ask *ask, int *status, struct buf *body, struct why *w) {
    struct asking a = {.ask = ask, .fd = -1, .until = mono_add_ms(clocks_mono(), ask->timeout_ms)};
    enum err e = url_read(bytes_of(ask->url), &a.url, w);
    *status = 0;
    if (e == OK && ask->config != NULL) e = web_proxy(ask->config, &a.url, &a.proxy, &a.use_proxy, w);
    if (e == OK) e = begin(&a, w);
    if (e == OK) e = find_addresses(&a, w);
    if (e == OK) e = connect_any(&a, w);
    if (e == OK) e = talk(&a, w);
    if (e == OK) {
        *status = fetch_status(a.fetch);
        if (body != NULL && !buf_add(body, fetch_body(a.fetch))) e = fail(w, E_MEMORY, "out of memory");
    }
    tcp_close(a.fd);
    fetch_free(a.fetch);
    tls_trust_free(a.trust);
    buf_free(&a.bundle);
    buf_wipe(&a.fields);
    return e;
}
