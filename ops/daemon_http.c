/* The daemon's HTTP sockets: listeners of http.listen, and bytes between their clients and the node. That a
 * monitoring port is taken does not keep a node from carrying messages: it is logged, and tried again. */
#include "ops/daemon.h"

#include "net/unix.h"

#include <stdio.h>

enum {
    HTTP_AGAIN_MS = 30000,
    HTTP_ACCEPTS = 16,
    HTTP_READ = 16 << 10,
    HTTP_READS = 8,
    CIPHER_HIGH = 64 << 10,
    CERTIFICATE_MAX = 256 << 10
};

static struct web_link *free_link(struct daemon *d) {
    for (size_t i = 0; i < LEN(d->web.links); i++)
        if (d->web.links[i].fd < 0) return &d->web.links[i];
    return NULL;
}

static void close_link(struct web_link *l) {
    struct daemon *d = l->daemon;
    struct bytes last = l->tls != NULL ? buf_view(&l->cipher) : node_http_tx(d->node, l->id);
    loop_drop(d->loop, l->fd);
    closing_give(d->closing, l->fd, last, loop_now(d->loop).mono);
    node_http_gone(d->node, l->id);
    tls_free(l->tls);
    buf_wipe(&l->plain);
    buf_free(&l->cipher);
    l->tls = NULL;
    l->fd = -1;
    l->id = 0;
}

/* ---- TLS between the socket and the node */

/* What has come goes to the node, as far as it takes it; its answers go into records. */
static void pump(struct web_link *l) {
    struct daemon *d = l->daemon;
    size_t n;
    if (l->tls == NULL) return;
    do {
        if (!tls_read(l->tls, &l->plain)) break;
        n = MIN(l->plain.n, node_http_room(d->node, l->id));
        if (n > 0) {
            node_http_received(d->node, l->id, bytes_sub(buf_view(&l->plain), 0, n));
            buf_drop(&l->plain, n);
        }
    } while (n > 0);
    for (struct bytes tx; l->cipher.n < CIPHER_HIGH && (tx = node_http_tx(d->node, l->id)).n > 0;) {
        n = tls_write(l->tls, tx);
        if (n > 0) node_http_sent(d->node, l->id, n);
        if (!tls_take(l->tls, &l->cipher) || n == 0) break;
    }
    if (node_http_done(d->node, l->id)) tls_finish(l->tls);
    tls_take(l->tls, &l->cipher);
}

static struct bytes output(const struct web_link *l) {
    return l->tls != NULL ? buf_view(&l->cipher) : node_http_tx(l->daemon->node, l->id);
}

static void sent(struct web_link *l, size_t n) {
    if (l->tls != NULL)
        buf_drop(&l->cipher, n);
    else
        node_http_sent(l->daemon->node, l->id, n);
}

/* Bytes that may be read from the socket now. */
static size_t input_room(const struct web_link *l) {
    if (l->ended) return 0;
    if (l->tls == NULL) return MIN((size_t)HTTP_READ, node_http_room(l->daemon->node, l->id));
    return l->plain.n > 0 || l->cipher.n >= CIPHER_HIGH ? 0 : MIN((size_t)HTTP_READ, tls_wants(l->tls));
}

static void set_interest(struct web_link *l) {
    unsigned want = (input_room(l) > 0 ? LOOP_READ : 0) | (output(l).n > 0 ? LOOP_WRITE : 0);
    if (want != l->interest) loop_interest(l->daemon->loop, l->fd, want);
    l->interest = want;
}

/* False: it is closed. */
static bool write_link(struct web_link *l) {
    struct daemon *d = l->daemon;
    struct why w;
    size_t n;
    if (node_http_cut(d->node, l->id)) {
        close_link(l);
        return false;
    }
    pump(l);
    for (struct bytes tx; (tx = output(l)).n > 0; pump(l)) {
        enum err e = tcp_write(l->fd, tx, &n, &w);
        if (e == E_BUSY) break;
        if (e == OK) {
            sent(l, n);
            continue;
        }
        close_link(l);
        return false;
    }
    bool over = l->tls != NULL && tls_state(l->tls, NULL) != OK;
    if (output(l).n == 0 && (over || node_http_done(d->node, l->id))) {
        close_link(l);
        return false;
    }
    set_interest(l);
    return true;
}

static enum err read_some(struct web_link *l) {
    struct daemon *d = l->daemon;
    uint8_t data[HTTP_READ];
    struct why w;
    size_t n = 0, room = input_room(l);
    enum err e = room == 0 ? E_BUSY : tcp_read(l->fd, data, room, &n, &w);
    struct bytes in = bytes_at(data, n);
    if (e == OK && l->tls != NULL) {
        while (in.n > 0 && tls_wants(l->tls) > 0) tls_feed(l->tls, &in);
        pump(l);
    } else if (e == OK) {
        node_http_received(d->node, l->id, in);
    }
    return e;
}

static void link_ready(void *user, int fd, unsigned ready) {
    struct web_link *l = user;
    struct daemon *d = l->daemon;
    enum err e = OK;
    (void)fd;
    node_now(d->node, loop_now(d->loop));
    for (int i = 0; i < HTTP_READS && (ready & LOOP_READ) != 0 && e == OK; i++) e = read_some(l);
    if (e == E_CLOSED) {
        l->ended = true;
        node_http_ended(d->node, l->id);
    } else if (e != OK && e != E_BUSY) {
        close_link(l);
        return;
    }
    write_link(l);
}

static struct tls *new_tls(struct daemon *d, bool *good) {
    struct rng rng;
    *good = true;
    if (d->web.identity == NULL) return NULL;
    rng_system(&rng);
    struct tls *t = tls_server(d->web.identity, &rng);
    rng_wipe(&rng);
    *good = t != NULL;
    return t;
}

static void accepted(struct daemon *d, int fd, const struct endpoint *remote) {
    struct web_link *l = free_link(d);
    bool good = true;
    struct tls *tls = remote == NULL ? NULL : new_tls(d, &good);
    uint32_t id = l == NULL || !good ? 0 : node_http_accepted(d->node, remote, tls != NULL);
    if (id == 0) {
        tls_free(tls);
        tcp_close(fd);
        return;
    }
    *l = (struct web_link){.daemon = d, .fd = fd, .id = id, .interest = LOOP_READ, .tls = tls};
    l->plain.max = l->cipher.max = 4 * CIPHER_HIGH;
    if (loop_watch(d->loop, fd, LOOP_READ, "http", link_ready, l) == OK) return;
    close_link(l);
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
    tls_identity_free(d->web.identity);
    for (size_t i = 0; i < WEB_OLD; i++) tls_identity_free(d->web.old[i]);
    d->web.identity = NULL;
    memset(d->web.old, 0, sizeof d->web.old);
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
static enum err read_tokens(struct daemon *d, const struct config *config, struct why *w) {
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

/* ---- certificate */

static enum err read_pem(const char *setting, mode_t widest, struct buf *out, struct why *w) {
    char path[PATH_SIZE];
    struct why inner = {OK, ""};
    enum err e = home_secret(setting, path, &inner);
    if (e == OK) e = file_read(path, 0, CERTIFICATE_MAX, widest, out, NULL, &inner);
    return e == OK ? OK : fail(w, E_INPUT, "http.tlsCert, http.tlsKeyFile: %s", inner.text);
}

static bool in_use(const struct daemon *d) {
    for (size_t i = 0; i < LEN(d->web.links); i++)
        if (d->web.links[i].fd >= 0 && d->web.links[i].tls != NULL) return true;
    return false;
}

/* Connections go on with the one that they began with; it is freed once none is left. */
static void set_identity(struct daemon *d, struct tls_identity *id) {
    struct web *web = &d->web;
    if (web->identity != NULL) {
        if (web->old[WEB_OLD - 1] != NULL || !in_use(d)) {
            for (size_t i = 0; i < LEN(web->links); i++)
                if (web->links[i].fd >= 0 && web->links[i].tls != NULL) close_link(&web->links[i]);
            for (size_t i = 0; i < WEB_OLD; i++) {
                tls_identity_free(web->old[i]);
                web->old[i] = NULL;
            }
        }
        size_t i = 0;
        while (web->old[i] != NULL) i++;
        web->old[i] = web->identity;
    }
    web->identity = id;
}

enum err http_read_secrets(struct daemon *d, const struct config *config, struct why *w) {
    const char *chain = cfg(config, http_tlsCert).text, *key = cfg(config, http_tlsKeyFile).text;
    struct tls_identity *id = NULL;
    struct buf chain_text = {.max = CERTIFICATE_MAX}, key_text = {.max = CERTIFICATE_MAX};
    enum err e = OK;
    if (chain[0] != 0) {
        struct why inner = {OK, ""};
        e = read_pem(chain, FILE_ANY_MODE, &chain_text, w);
        if (e == OK) e = read_pem(key, 0640, &key_text, w);
        if (e == OK && tls_identity_read(buf_view(&chain_text), buf_view(&key_text), &id, &inner) != OK)
            e = fail(w, E_INPUT, "http.tlsCert, http.tlsKeyFile: %s", inner.text);
    }
    buf_free(&chain_text);
    buf_wipe(&key_text);
    if (e == OK) e = read_tokens(d, config, w);
    if (e == OK)
        set_identity(d, id);
    else
        tls_identity_free(id);
    return e;
}
