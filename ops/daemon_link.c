#include "ops/daemon.h"

#include <stdio.h>

enum { ACCEPTS_PER_TURN = 64, READ_SIZE = 128 << 10, INTERFACES_EVERY_MS = 60000 };

/* ---- connections */

static struct link *link_find(const struct daemon *d, uint32_t id) {
    uint8_t key[4];
    put_u32(key, id);
    return map_find(&d->links, bytes_at(key, sizeof key));
}

static void link_free(struct link *l) {
    map_drop(&l->daemon->links, bytes_at(l->key, sizeof l->key));
    mem_free(l);
}

static void set_interest(struct link *l) {
    struct daemon *d = l->daemon;
    unsigned want = l->connecting ? LOOP_WRITE : 0;
    if (!l->connecting) {
        if (node_reading(d->node, l->id)) want |= LOOP_READ;
        if (node_tx(d->node, l->id).n > 0) want |= LOOP_WRITE;
    }
    if (want == l->interest) return;
    l->interest = want;
    loop_interest(d->loop, l->fd, want);
}

static void link_write(struct link *l) {
    struct daemon *d = l->daemon;
    struct why w;
    size_t n;
    for (struct bytes tx; (tx = node_tx(d->node, l->id)).n > 0;) {
        enum err e = tcp_write(l->fd, tx, &n, &w);
        if (e == E_BUSY) break;
        if (e != OK) {
            node_hangup(d->node, l->id, e, w.text);
            return;
        }
        node_sent(d->node, l->id, n);
    }
    set_interest(l);
}

static void link_read(struct link *l) {
    struct daemon *d = l->daemon;
    struct buf *rx = node_rx(d->node, l->id);
    struct why w;
    size_t n = 0;
    if (rx == NULL) {
        set_interest(l);
        return;
    }
    size_t room = MIN((size_t)READ_SIZE, buf_room(rx));
    if (!buf_reserve(rx, room)) {
        node_hangup(d->node, l->id, E_MEMORY, "out of memory");
        return;
    }
    enum err e = tcp_read(l->fd, rx->p + rx->n, room, &n, &w);
    if (e == OK) {
        rx->n += n;
        node_received(d->node, l->id);
    } else if (e != E_BUSY) {
        node_hangup(d->node, l->id, e, e == E_CLOSED ? "the peer closed the connection" : w.text);
    }
}

static void link_dialed(struct link *l) {
    struct daemon *d = l->daemon;
    struct endpoint local = {0};
    struct why w;
    enum err e = tcp_dialed(l->fd, &w);
    if (e == E_BUSY) return;
    l->connecting = false;
    if (e == OK) tcp_local(l->fd, &local);
    node_dialed(d->node, l->id, &local, e == OK ? NULL : &w);
    set_interest(l);
}

static void link_ready(void *user, int fd, unsigned ready) {
    struct link *l = user;
    (void)fd;
    node_now(l->daemon->node, loop_now(l->daemon->loop));
    if (l->connecting) {
        link_dialed(l);
        return;
    }
    if ((ready & LOOP_WRITE) != 0) link_write(l);
    if ((ready & LOOP_READ) != 0) link_read(l);
}

static struct link *link_new(struct daemon *d, int fd, uint32_t id, bool connecting) {
    struct link *l = NEW(struct link);
    if (l == NULL) return NULL;
    l->daemon = d;
    l->fd = fd;
    l->id = id;
    l->connecting = connecting;
    l->interest = connecting ? LOOP_WRITE : LOOP_READ;
    put_u32(l->key, id);
    if (map_add(&d->links, bytes_at(l->key, sizeof l->key), l) != OK) {
        mem_free(l);
        return NULL;
    }
    if (loop_watch(d->loop, fd, l->interest, "connection", link_ready, l) != OK) {
        link_free(l);
        return NULL;
    }
    return l;
}

static void dial(struct daemon *d, const struct node_effect *e) {
    struct why w;
    int fd = -1;
    if (tcp_dial(&fd, &e->endpoint, NULL, &w) != OK) {
        node_dialed(d->node, e->id, NULL, &w);
        return;
    }
    if (link_new(d, fd, e->id, true) != NULL) return;
    tcp_close(fd);
    fail(&w, E_LIMIT, "no descriptor or memory is left");
    node_dialed(d->node, e->id, NULL, &w);
}

static void close_link(struct daemon *d, uint32_t id) {
    struct link *l = link_find(d, id);
    if (l == NULL) return;
    loop_drop(d->loop, l->fd);
    if (l->connecting)
        tcp_close(l->fd);
    else
        closing_give(d->closing, l->fd, node_tx(d->node, id), loop_now(d->loop).mono);
    link_free(l);
}

void links_flush(struct daemon *d) {
    for (uint32_t id; (id = node_writable(d->node)) != 0;) {
        struct link *l = link_find(d, id);
        if (l != NULL && !l->connecting) link_write(l);
    }
}

void links_close(struct daemon *d) {
    size_t i = 0;
    for (struct link *l; (l = map_next(&d->links, &i)) != NULL;) {
        loop_drop(d->loop, l->fd);
        tcp_close(l->fd);
        link_free(l);
    }
}

/* ---- listeners */

static void accept_ready(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    struct clocks now = loop_now(d->loop);
    struct endpoint remote, local;
    struct why w;
    (void)ready;
    node_now(d->node, now);
    for (int i = 0; i < ACCEPTS_PER_TURN && node_accepting(d->node); i++) {
        int conn = -1;
        enum err e = tcp_accept(&d->acceptor, fd, now.mono, &conn, &remote, &local, &w);
        if (e == E_IO) {
            char addr[72] = "";
            for (size_t k = 0; k < LISTENERS_MAX; k++)
                if (d->listeners[k].fd == fd) {
                    endpoint_text(&d->listeners[k].local, addr);
                    d->listeners[k].fd = -1;
                }
            d->listeners_lost++;
            LOG(&d->log, EV_LISTENER_LOST, kv_str("addr", addr), kv_str("reason", w.text));
            loop_drop(d->loop, fd);
            tcp_close(fd);
        }
        if (e != OK) return;
        uint32_t id = node_accepted(d->node, &remote, &local);
        if (id == 0) {
            tcp_reset(conn);
        } else if (link_new(d, conn, id, false) == NULL) {
            tcp_close(conn);
            node_hangup(d->node, id, E_LIMIT, "no descriptor or memory is left");
        }
    }
}

static bool wanted(const struct config *config, size_t i, struct endpoint *out) {
    struct multiaddr_target t = multiaddr_target(cfg(config, network_listen).list.items[i]);
    *out = (struct endpoint){.ip = t.ip, .port = t.port};
    return t.host == TARGET_IP && t.tcp;
}

static struct listener *free_place(struct daemon *d) {
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        if (d->listeners[i].fd < 0) return &d->listeners[i];
    return NULL;
}

static enum err open_listener(struct daemon *d, const struct endpoint *at, struct why *w) {
    struct listener *l = free_place(d);
    char addr[72];
    struct why inner;
    endpoint_text(at, addr);
    if (l == NULL) return fail(w, E_LIMIT, "too many listening addresses");
    enum err e = tcp_listen(&l->fd, at, &inner);
    if (e == E_NOT_FOUND) {
        LOG(&d->log, EV_LISTENER_SKIPPED, kv_str("addr", addr), kv_str("reason", inner.text));
        l->fd = -1;
        return OK;
    }
    if (e != OK) {
        l->fd = -1;
        return fail(w, E_FAILED, "can not listen at %s: %s%s", addr, inner.text,
                    e == E_BUSY ? "; set network.listen to another port, or stop what uses it" : "");
    }
    l->wanted = *at;
    if (!tcp_local(l->fd, &l->local)) l->local = *at;
    endpoint_text(&l->local, addr);
    e = loop_watch(d->loop, l->fd, LOOP_READ, "accept", accept_ready, d);
    if (e != OK) {
        tcp_close(l->fd);
        l->fd = -1;
        return fail(w, e, "can not listen at %s: no descriptor or memory is left", addr);
    }
    LOG(&d->log, EV_LISTENING, kv_str("addr", addr));
    return OK;
}

static void close_listener(struct daemon *d, struct listener *l) {
    loop_drop(d->loop, l->fd);
    tcp_close(l->fd);
    l->fd = -1;
}

enum err listeners_set(struct daemon *d, const struct config *config, struct why *w) {
    bool before[LISTENERS_MAX], keep[LISTENERS_MAX] = {false};
    size_t n = cfg(config, network_listen).list.n;
    enum err e = OK;
    d->listeners_lost = 0;
    for (size_t k = 0; k < LISTENERS_MAX; k++) before[k] = d->listeners[k].fd >= 0;
    for (size_t i = 0; i < n && e == OK; i++) {
        struct endpoint at;
        bool there = false;
        if (!wanted(config, i, &at))
            return fail(w, E_INPUT, "network.listen: %s: not an IP address with a TCP port",
                        cfg(config, network_listen).list.texts[i]);
        for (size_t k = 0; k < LISTENERS_MAX; k++)
            if (before[k] &&
                (endpoint_eq(&d->listeners[k].wanted, &at) || endpoint_eq(&d->listeners[k].local, &at)))
                there = keep[k] = true; /* also when port 0 became this very one */
        if (!there) e = open_listener(d, &at, w);
    }
    for (size_t k = 0; k < LISTENERS_MAX; k++)
        if (d->listeners[k].fd >= 0 && (e == OK ? before[k] && !keep[k] : !before[k]))
            close_listener(d, &d->listeners[k]);
    return e;
}

void listeners_close(struct daemon *d) {
    for (size_t k = 0; k < LISTENERS_MAX; k++)
        if (d->listeners[k].fd >= 0) close_listener(d, &d->listeners[k]);
}

/* 0.0.0.0 and :: become the addresses of the interfaces, which may come and go. */
void listeners_tell(struct daemon *d) {
    struct endpoint out[32], all[INTERFACES_MAX];
    size_t n = 0, n_all = 0;
    bool asked = false;
    for (size_t k = 0; k < LISTENERS_MAX; k++) {
        const struct listener *l = &d->listeners[k];
        if (l->fd < 0) continue;
        if (!ip_is_unspecified(&l->local.ip)) {
            if (n < LEN(out)) out[n++] = l->local;
            continue;
        }
        if (!asked && interfaces_list(all, LEN(all), &n_all, NULL) != OK) n_all = 0;
        asked = true;
        for (size_t i = 0; i < n_all && n < LEN(out); i++) {
            if (all[i].ip.version != l->local.ip.version || ip_is_link_local(&all[i].ip)) continue;
            out[n] = all[i];
            out[n++].port = l->local.port;
        }
    }
    node_listening(d->node, out, n);
    d->next_interfaces = mono_add_ms(loop_now(d->loop).mono, INTERFACES_EVERY_MS);
}

/* ---- names */

static void take_answers(struct daemon *d) {
    for (struct dns_answer *a; (a = dns_next(d->dns)) != NULL; dns_answer_free(a)) {
        if (a->tag == LOG_SERVER_TAG) {
            sink_resolved(d, a);
            continue;
        }
        struct node_resolved r = {
            .n_ips = MIN(a->n_ips, LEN(r.ips)), .texts = a->texts, .n_texts = a->n_texts};
        memcpy(r.ips, a->ips, r.n_ips * sizeof a->ips[0]);
        if (a->why.code != OK)
            LOG(&d->log, EV_DNS_FAILED, kv_str("name", a->name), kv_str("reason", a->why.text));
        if (a->tag == WEBHOOK_TAG)
            webhook_resolved(d, a);
        else
            node_resolve_done(d->node, (uint32_t)a->tag, &r, a->why.code == OK ? NULL : &a->why);
    }
}

static void dns_ready(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    (void)fd;
    (void)ready;
    node_now(d->node, loop_now(d->loop));
    dns_turn(d->dns, loop_now(d->loop).mono);
    take_answers(d);
}

static enum err names_open(struct daemon *d, struct why *w) {
    if (d->dns != NULL) return OK;
    const struct config_list *list = &cfg(node_config(d->node), network_dnsServers).list;
    struct endpoint servers[DNS_SERVERS_MAX];
    size_t n = MIN(list->n, LEN(servers));
    for (size_t i = 0; i < n; i++) servers[i] = (struct endpoint){.ip = list->cidrs[i].base};
    struct dns_setup setup = {
        .servers = servers, .n_servers = n, .questions_max = node_config(d->node)->limits[LIMIT_DNS_QUERIES]};
    enum err e = dns_open(&d->dns, &setup, w);
    if (e == OK) e = loop_watch(d->loop, dns_fd(d->dns), LOOP_READ, "dns", dns_ready, d);
    return e;
}

enum err links_ask_name(struct daemon *d, uint64_t tag, enum dns_want want, const char *name, struct why *w) {
    enum err e = names_open(d, w);
    return e != OK ? e : dns_ask(d->dns, tag, want, bytes_of(name), loop_now(d->loop).mono, w);
}

static void resolve(struct daemon *d, const struct node_effect *e) {
    struct why w = {E_FAILED, "names can not be resolved"};
    if (links_ask_name(d, e->id, (enum dns_want)e->resolve, e->name, &w) != OK)
        node_resolve_done(d->node, e->id, NULL, &w);
}

/* ---- */

void links_effect(struct daemon *d, const struct node_effect *e) {
    switch (e->kind) {
    case EFFECT_DIAL: dial(d, e); break;
    case EFFECT_CLOSE: close_link(d, e->id); break;
    case EFFECT_RESOLVE: resolve(d, e); break;
    case EFFECT_STORE:
    case EFFECT_ANSWER:
    case EFFECT_POST:
    case EFFECT_RELOAD: break;
    }
}

void links_turn(struct daemon *d) {
    struct mono now = loop_now(d->loop).mono;
    bool accepting = node_accepting(d->node) && d->acceptor.resume.us <= now.us;
    if (accepting != d->accepting)
        for (size_t k = 0; k < LISTENERS_MAX; k++)
            if (d->listeners[k].fd >= 0)
                loop_interest(d->loop, d->listeners[k].fd, accepting ? LOOP_READ : 0);
    d->accepting = accepting;
    bool paused = node_paused(d->node);
    if (paused != d->paused) {
        size_t i = 0;
        for (struct link *l; (l = map_next(&d->links, &i)) != NULL;) set_interest(l);
    }
    d->paused = paused;
    closing_turn(d->closing, now);
    if (d->dns != NULL && dns_deadline(d->dns, now).us != 0) { /* something waits */
        dns_turn(d->dns, now);
        take_answers(d);
    }
    if (mono_due(d->next_interfaces, now)) listeners_tell(d);
}

struct mono links_deadline(const struct daemon *d) {
    struct mono at = mono_sooner(closing_deadline(d->closing), d->next_interfaces);
    if (d->acceptor.resume.us > loop_now(d->loop).mono.us) at = mono_sooner(at, d->acceptor.resume);
    return d->dns == NULL ? at : mono_sooner(at, dns_deadline(d->dns, loop_now(d->loop).mono));
}
