/* alerts.webhook, from the loop: one POST at a time, in steps that never wait: authorities are read some at a
 * time, the name is asked for, addresses are tried one after the other, and all of it ends at a deadline,
 * whatever the server does or does not. Nothing stays in memory between two alerts. */
#include "ops/daemon.h"

#include <stdio.h>

#include "ops/web_client.h"

enum {
    POST_MS = 20000,
    CONNECT_MS = 5000,
    ANCHORS_PER_TURN = 24, /* some 6 ms */
    READ_SIZE = 16 << 10,
    READS_PER_TURN = 16
};

struct webhook {
    struct daemon *daemon;
    enum { WEBHOOK_TRUST, WEBHOOK_NAME, WEBHOOK_CONNECT, WEBHOOK_TALK } step;
    uint32_t id;
    struct buf body, bundle;
    struct url url, proxy;
    bool use_proxy;
    struct tls_trust *trust;
    struct fetch *fetch;
    struct endpoint at[DNS_IPS_MAX];
    size_t n_at, next_at;
    int fd; /* -1: none */
    unsigned interest;
    struct mono deadline, connect_until;
    struct why why; /* of the last address */
};

static const struct url *peer_of(const struct webhook *h) {
    return h->use_proxy ? &h->proxy : &h->url;
}

static void close_socket(struct webhook *h) {
    if (h->fd < 0) return;
    loop_drop(h->daemon->loop, h->fd);
    tcp_close(h->fd);
    h->fd = -1;
}

static void discard(struct webhook *h) {
    struct daemon *d = h->daemon;
    close_socket(h);
    if (d->dns != NULL) dns_cancel(d->dns, WEBHOOK_TAG);
    fetch_free(h->fetch);
    tls_trust_free(h->trust);
    buf_free(&h->body);
    buf_free(&h->bundle);
    mem_free(h);
    d->webhook = NULL;
}

/* The host alone is logged: the path may be the secret. */
static void end(struct webhook *h, const struct why *why) {
    struct daemon *d = h->daemon;
    struct why copy = why != NULL ? *why : (struct why){OK, ""};
    uint32_t id = h->id;
    char host[URL_FIELD_MAX + 1];
    url_authority(&h->url, false, host);
    discard(h);
    node_posted(d->node, id, host, copy.code == OK ? NULL : &copy);
}

static void give_up(struct webhook *h, enum err e, const char *text) {
    struct why w;
    fail(&w, e, "%s", text);
    end(h, &w);
}

/* ---- bytes */

static void set_interest(struct webhook *h) {
    unsigned want = h->step == WEBHOOK_CONNECT ? LOOP_WRITE : 0;
    if (h->step == WEBHOOK_TALK)
        want = (fetch_wants(h->fetch) > 0 ? LOOP_READ : 0) | (fetch_output(h->fetch).n > 0 ? LOOP_WRITE : 0);
    if (want != h->interest) loop_interest(h->daemon->loop, h->fd, want);
    h->interest = want;
}

static void write_some(struct webhook *h) {
    struct why w;
    size_t n;
    for (struct bytes out; (out = fetch_output(h->fetch)).n > 0;) {
        enum err e = tcp_write(h->fd, out, &n, &w);
        if (e != OK) return; /* what ended it is found by reading */
        fetch_sent(h->fetch, n);
    }
}

static void read_some(struct webhook *h) {
    uint8_t data[READ_SIZE];
    struct why w;
    for (int i = 0; i < READS_PER_TURN; i++) {
        size_t n = 0, room = MIN(sizeof data, fetch_wants(h->fetch));
        enum err e = room == 0 ? E_BUSY : tcp_read(h->fd, data, room, &n, &w);
        if (e == E_BUSY) return;
        if (e == OK) {
            fetch_input(h->fetch, bytes_at(data, n));
            continue;
        }
        fetch_ended(h->fetch);
        return;
    }
}

static void talk(struct webhook *h) {
    struct why w = {OK, ""};
    write_some(h);
    read_some(h);
    write_some(h);
    enum err e = fetch_state(h->fetch, &w);
    if (e == E_BUSY) {
        set_interest(h);
        return;
    }
    if (e == OK) e = web_judge_status(fetch_status(h->fetch), &w);
    end(h, e == OK ? NULL : &w);
}

/* ---- connecting */

static enum err make_fetch(struct webhook *h) {
    struct daemon *d = h->daemon;
    struct buf fields = {NULL, 0, 0, 0};
    struct clocks now = loop_now(d->loop);
    struct rng rng;
    enum err e = web_alert_fields(node_config(d->node), &h->url, now.wall, buf_view(&h->body), &fields,
                                  &h->why);
    if (e == OK) {
        struct fetch_setup setup = {.url = &h->url,
                                    .proxy = h->use_proxy ? &h->proxy : NULL,
                                    .trust = h->trust,
                                    .rng = &rng,
                                    .now = now.wall,
                                    .method = "POST",
                                    .fields = buf_cstr(&fields),
                                    .type = "application/json",
                                    .body = buf_view(&h->body),
                                    .status_alone = true};
        rng_system(&rng);
        e = fetch_new(&h->fetch, &setup, &h->why);
        rng_wipe(&rng);
    }
    buf_wipe(&fields);
    return e;
}

static void connect_next(struct webhook *h);

static void ready(void *user, int fd, unsigned what) {
    struct webhook *h = user;
    struct daemon *d = h->daemon;
    (void)fd;
    (void)what;
    node_now(d->node, loop_now(d->loop));
    if (h->step == WEBHOOK_CONNECT) {
        enum err e = tcp_dialed(h->fd, &h->why);
        if (e == E_BUSY) return;
        if (e != OK) {
            close_socket(h);
            connect_next(h);
            return;
        }
        h->step = WEBHOOK_TALK;
    }
    talk(h);
}

/* Tries the next address; none is left: the reason of the last one. */
static void connect_next(struct webhook *h) {
    struct daemon *d = h->daemon;
    h->step = WEBHOOK_CONNECT;
    while (h->next_at < h->n_at) {
        const struct endpoint *to = &h->at[h->next_at++];
        if (tcp_dial(&h->fd, to, NULL, &h->why) != OK) {
            h->fd = -1;
            continue;
        }
        h->interest = LOOP_WRITE;
        h->connect_until = mono_add_ms(loop_now(d->loop).mono, CONNECT_MS);
        if (loop_watch(d->loop, h->fd, LOOP_WRITE, "webhook", ready, h) == OK) return;
        tcp_close(h->fd);
        h->fd = -1;
        fail(&h->why, E_LIMIT, "no descriptor or memory is left");
    }
    char text[300];
    snprintf(text, sizeof text, "%.120s: %.150s", peer_of(h)->host, h->why.text);
    give_up(h, h->why.code == OK ? E_FAILED : h->why.code, text);
}

static void begin_connecting(struct webhook *h) {
    if (make_fetch(h) == OK)
        connect_next(h);
    else
        end(h, &h->why);
}

void webhook_resolved(struct daemon *d, const struct dns_answer *a) {
    struct webhook *h = d->webhook;
    if (h == NULL || h->step != WEBHOOK_NAME) return;
    if (a->why.code != OK) {
        give_up(h, a->why.code, a->why.text);
        return;
    }
    h->n_at = MIN(a->n_ips, LEN(h->at));
    for (size_t i = 0; i < h->n_at; i++)
        h->at[i] = (struct endpoint){.ip = a->ips[i], .port = peer_of(h)->port};
    begin_connecting(h);
}

static void find_address(struct webhook *h) {
    const struct url *to = peer_of(h);
    h->step = WEBHOOK_NAME;
    if (to->is_ip) {
        h->at[0] = (struct endpoint){.ip = to->ip, .port = to->port};
        h->n_at = 1;
        begin_connecting(h);
    } else if (links_ask_name(h->daemon, WEBHOOK_TAG, DNS_IP, to->host, &h->why) != OK) {
        end(h, &h->why);
    }
}

/* ---- */

void webhook_post(struct daemon *d, uint32_t id, struct bytes body) {
    const struct config *c = node_config(d->node);
    struct webhook *h = d->webhook == NULL ? NEW(struct webhook) : NULL;
    struct why w = {E_MEMORY, "out of memory"};
    if (h == NULL) {
        node_posted(d->node, id, "", &w);
        return;
    }
    d->webhook = h;
    h->daemon = d;
    h->id = id;
    h->fd = -1;
    h->body.max = body.n;
    h->deadline = mono_add_ms(loop_now(d->loop).mono, POST_MS);
    enum err e = url_read(bytes_of(cfg(c, alerts_webhook).text), &h->url, &w);
    if (e == OK && !buf_add(&h->body, body)) e = fail(&w, E_MEMORY, "out of memory");
    if (e == OK) e = web_proxy(c, &h->url, &h->proxy, &h->use_proxy, &w);
    if (e == OK && h->url.tls) e = web_authorities(c, NULL, &h->bundle, &w);
    if (e == OK && h->url.tls) e = tls_trust_begin(buf_view(&h->bundle), &h->trust, &w);
    if (e != OK)
        end(h, &w);
    else if (!h->url.tls)
        find_address(h);
}

static void read_anchors(struct webhook *h) {
    struct why w;
    enum err e = tls_trust_more(h->trust, ANCHORS_PER_TURN, &w);
    if (e == E_BUSY) return;
    buf_free(&h->bundle);
    if (e != OK)
        give_up(h, e, w.text);
    else
        find_address(h);
}

void webhook_turn(struct daemon *d) {
    struct webhook *h = d->webhook;
    struct mono now = loop_now(d->loop).mono;
    if (h == NULL) return;
    if (mono_due(h->deadline, now)) {
        static const char *const texts[] = {"the authorities were not read in time",
                                            "its name was not found in time", "no connection in time",
                                            "the server does not answer in time"};
        give_up(h, E_TIMEOUT, texts[h->step]);
    } else if (h->step == WEBHOOK_TRUST) {
        read_anchors(h);
    } else if (h->step == WEBHOOK_CONNECT && mono_due(h->connect_until, now)) {
        close_socket(h);
        fail(&h->why, E_TIMEOUT, "no connection in time");
        connect_next(h);
    }
}

struct mono webhook_deadline(const struct daemon *d) {
    const struct webhook *h = d->webhook;
    if (h == NULL) return MONO_NEVER;
    if (h->step == WEBHOOK_TRUST) return loop_now(d->loop).mono;
    return h->step == WEBHOOK_CONNECT ? mono_sooner(h->deadline, h->connect_until) : h->deadline;
}

void webhook_close(struct daemon *d) {
    if (d->webhook != NULL) discard(d->webhook);
}
