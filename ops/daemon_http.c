/* The daemon's HTTP sockets: listeners of http.listen, and bytes between their clients and the node. That a
 * monitoring port is taken does not keep a node from carrying messages: it is logged, and tried again. */
#include "ops/daemon.h"

#include "net/unix.h"

#include <stdio.h>

enum { HTTP_AGAIN_MS = 30000, HTTP_ACCEPTS = 16, HTTP_READ = 16 << 10 };

static struct web_link *free_link(struct daemon *d) {
    for (size_t i = 0; i < LEN(d->web.links); i++)
        if (d->web.links[i].fd < 0) return &d->web.links[i];
    return NULL;
}

static void close_link(struct web_link *l) {
    struct daemon *d = l->daemon;
    loop_drop(d->loop, l->fd);
    closing_give(d->closing, l->fd, node_http_tx(d->node, l->id), loop_now(d->loop).mono);
    node_http_gone(d->node, l->id);
    l->fd = -1;
    l->id = 0;
}

static void set_interest(struct web_link *l) {
    struct daemon *d = l->daemon;
    unsigned want = 0;
    if (!l->ended && node_http_room(d->node, l->id) > 0) want |= LOOP_READ;
    if (node_http_tx(d->node, l->id).n > 0) want |= LOOP_WRITE;
    if (want != l->interest) loop_interest(d->loop, l->fd, want);
    l->interest = want;
}

/* False: it is closed. */
static bool write_link(struct web_link *l) {
    struct daemon *d = l->daemon;
    struct why w;
    size_t n;
    for (struct bytes tx; (tx = node_http_tx(d->node, l->id)).n > 0;) {
        enum err e = tcp_write(l->fd, tx, &n, &w);
        if (e == E_BUSY) break;
        if (e == OK) {
            node_http_sent(d->node, l->id, n);
            continue;
        }
        close_link(l);
        return false;
    }
    if (node_http_done(d->node, l->id)) {
        close_link(l);
        return false;
    }
    set_interest(l);
    return true;
}

static void link_ready(void *user, int fd, unsigned ready) {
    struct web_link *l = user;
    struct daemon *d = l->daemon;
    uint8_t data[HTTP_READ];
    struct why w;
    size_t n = 0;
    node_now(d->node, loop_now(d->loop));
    size_t room = MIN(sizeof data, node_http_room(d->node, l->id));
    if ((ready & LOOP_READ) != 0 && room > 0) {
        enum err e = tcp_read(fd, data, room, &n, &w);
        if (e == OK) {
            measure(d, MEASURE_ASKED_MS);
            node_http_received(d->node, l->id, bytes_at(data, n));
        } else if (e == E_CLOSED) {
            l->ended = true;
            node_http_ended(d->node, l->id);
        } else if (e != E_BUSY) {
            close_link(l);
            return;
        }
    }
    write_link(l);
}

static void accepted(struct daemon *d, int fd, const struct endpoint *remote) {
    struct web_link *l = free_link(d);
    uint32_t id = l == NULL ? 0 : node_http_accepted(d->node, remote, false);
    if (id == 0) {
        tcp_close(fd);
        return;
    }
    *l = (struct web_link){.daemon = d, .fd = fd, .id = id, .interest = LOOP_READ};
    if (loop_watch(d->loop, fd, LOOP_READ, "http", link_ready, l) == OK) return;
    tcp_close(fd);
    node_http_gone(d->node, id);
    l->fd = -1;
}

static void accept_ready(void *user, int fd, unsigned ready) {
    struct web_listener *at = user;
    struct daemon *d = at->daemon;
    struct clocks now = loop_now(d->loop);
    struct endpoint remote;
    struct why w;
    (void)ready;
    node_now(d->node, now);
    for (int i = 0; i < HTTP_ACCEPTS; i++) {
        int conn = -1;
        if (!node_http_accepting(
                d->node)) { /* the longest idle one yields; the new one waits for its place */
            node_http_make_room(d->node);
            http_turn(d);
            if (!node_http_accepting(d->node)) return;
        }
        enum err e = at->path[0] != 0 ? unix_accept(fd, &conn)
                                      : tcp_accept(&d->acceptor, fd, now.mono, &conn, &remote, NULL, &w);
        if (e != OK) return;
        accepted(d, conn, at->path[0] != 0 ? NULL : &remote);
    }
}

void http_turn(struct daemon *d) {
    for (uint32_t id; (id = node_http_next(d->node)) != 0;)
        for (size_t i = 0; i < LEN(d->web.links); i++)
            if (d->web.links[i].fd >= 0 && d->web.links[i].id == id) {
                write_link(&d->web.links[i]);
                break;
            }
    if (mono_due(d->web.again, loop_now(d->loop).mono)) http_listen(d, node_config(d->node));
}

struct mono http_sockets_deadline(const struct daemon *d) {
    return d->web.again;
}

/* ---- listeners */

static void close_listener(struct web_listener *l) {
    loop_drop(l->daemon->loop, l->fd);
    if (l->path[0] != 0)
        unix_close(l->fd, l->path);
    else
        tcp_close(l->fd);
    l->fd = -1;
}

void http_close(struct daemon *d) {
    for (size_t i = 0; i < LEN(d->web.links); i++)
        if (d->web.links[i].fd >= 0) close_link(&d->web.links[i]);
    for (size_t i = 0; i < LEN(d->web.listeners); i++)
        if (d->web.listeners[i].fd >= 0) close_listener(&d->web.listeners[i]);
    d->web.again = MONO_NEVER;
}

void http_init(struct daemon *d) {
    for (size_t i = 0; i < LEN(d->web.links); i++) d->web.links[i].fd = -1;
    for (size_t i = 0; i < LEN(d->web.listeners); i++) d->web.listeners[i].fd = -1;
}

static void open_listener(struct daemon *d, struct web_listener *l, const struct config_list *list,
                          size_t i) {
    struct endpoint at = {.ip = list->cidrs[i].base, .port = list->ports[i]};
    struct why w = {OK, ""};
    enum err e;
    *l = (struct web_listener){.daemon = d, .fd = -1};
    snprintf(l->text, sizeof l->text, "%s", list->texts[i]);
    if (bytes_starts(bytes_of(l->text), "unix:")) {
        snprintf(l->path, sizeof l->path, "%s", l->text + 5);
        e = unix_listen(&l->fd, l->path, 0660, &w);
    } else {
        e = tcp_listen(&l->fd, &at, &w);
    }
    if (e == OK && loop_watch(d->loop, l->fd, LOOP_READ, "http accept", accept_ready, l) != OK) {
        e = fail(&w, E_LIMIT, "no descriptor or memory is left");
        close_listener(l);
    }
    if (e == OK) {
        LOG(&d->log, EV_LISTENING, kv_str("addr", l->text), kv_str("protocol", "http"));
        return;
    }
    l->fd = -1;
    if (!d->web.told) LOG(&d->log, EV_LISTENER_SKIPPED, kv_str("addr", l->text), kv_str("reason", w.text));
    d->web.again = mono_add_ms(loop_now(d->loop).mono, HTTP_AGAIN_MS);
}

static struct web_listener *find_listener(struct daemon *d, const char *text) {
    for (size_t k = 0; k < LEN(d->web.listeners); k++)
        if (d->web.listeners[k].fd >= 0 && strcmp(d->web.listeners[k].text, text) == 0)
            return &d->web.listeners[k];
    return NULL;
}

/* First closes what is not wanted any more: 0.0.0.0 may follow 127.0.0.1 at the same port. */
void http_listen(struct daemon *d, const struct config *config) {
    const struct config_list *list = &cfg(config, http_listen).list;
    d->web.told = d->web.again.us != 0;
    d->web.again = MONO_NEVER;
    for (size_t k = 0; k < LEN(d->web.listeners); k++) {
        bool wanted = false;
        for (size_t i = 0; i < list->n; i++) wanted |= strcmp(d->web.listeners[k].text, list->texts[i]) == 0;
        if (d->web.listeners[k].fd >= 0 && !wanted) close_listener(&d->web.listeners[k]);
    }
    for (size_t i = 0; i < list->n; i++) {
        if (find_listener(d, list->texts[i]) != NULL) continue;
        for (size_t k = 0; k < LEN(d->web.listeners); k++)
            if (d->web.listeners[k].fd < 0) {
                open_listener(d, &d->web.listeners[k], list, i);
                break;
            }
    }
}

/* Off this host only with tokens: without them anybody could ask for nothing but a word, and an operator
 * would think that it is protected. */
enum err http_read_tokens(struct daemon *d, const struct config *config, struct why *w) {
    const struct config_list *list = &cfg(config, http_listen).list;
    const char *path = cfg(config, http_tokenFile).text;
    struct buf text = {.max = 64 << 10};
    struct why inner;
    enum err e = file_read(path, 0, 64 << 10, 0640, &text, NULL, &inner);
    if (e == E_NOT_FOUND) {
        e = OK;
        for (size_t i = 0; i < list->n && e == OK; i++)
            if (!bytes_starts(bytes_of(list->texts[i]), "unix:") && !ip_is_loopback(&list->cidrs[i].base))
                e = fail(
                    w, E_INPUT,
                    "http.listen: %s is reached from other hosts, and there is no http.tokenFile (%s): make "
                    "one with `silktalk token create NAME`",
                    list->texts[i], path);
    } else if (e != OK) {
        e = fail(w, e == E_LIMIT ? E_INPUT : e, "http.tokenFile %s: %s", path, inner.text);
    } else if (d->node != NULL && (e = node_http_tokens(d->node, buf_view(&text), &inner)) != OK) {
        e = fail(w, e, "http.tokenFile %s: %s", path, inner.text);
    }
    buf_wipe(&text);
    return e;
}
