#include "proto/fetch.h"

#include <stdio.h>

#include "base/mem.h"

enum {
    PIECE = 16 << 10,
    CIPHER_MAX = 128 << 10,
    HEAD_MAX = 8 << 10,
    WHOLE_TARGET_MAX = URL_TARGET_MAX + URL_FIELD_MAX + 8
};

struct fetch {
    enum { ASK_PROXY, TALK, OVER } step;
    struct url url, proxy;
    bool has_proxy;
    struct tls *tls; /* NULL: in clear */
    struct http_reply reply, tunnel;
    struct buf request; /* plain, what the server has not been sent yet */
    struct buf out;     /* for the socket */
    struct buf plain;   /* what TLS gave */
    struct why why;     /* when OVER */
};

static void end(struct fetch *f, enum err e, const char *text) {
    if (f->step == OVER) return;
    f->step = OVER;
    if (e == OK)
        f->why.code = OK;
    else
        fail(&f->why, e, "%s", text);
}

static bool write_request(struct fetch *f, const struct fetch_setup *s) {
    char host[URL_FIELD_MAX + 1], target[WHOLE_TARGET_MAX];
    url_authority(s->url, false, host);
    bool whole = f->has_proxy && !s->url->tls;
    snprintf(target, sizeof target, "%s%s%s", whole ? "http://" : "", whole ? host : "", s->url->target);
    struct http_ask ask = {.method = s->method,
                           .target = target,
                           .host = host,
                           .fields = s->fields,
                           .type = s->type,
                           .body = s->body};
    f->request.max = HEAD_MAX + FETCH_FIELDS_MAX + s->body.n;
    buf_reserve(&f->request, f->request.max); /* at once: growing would leave copies of a token */
    return http_ask_write(&f->request, &ask);
}

static bool ask_proxy(struct fetch *f) {
    char server[URL_FIELD_MAX + 1];
    url_authority(&f->url, true, server);
    f->step = ASK_PROXY;
    return buf_add_format(&f->out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", server, server);
}

/* In the end all plain text for the server is in `out`, or in TLS' records. */
static void pump(struct fetch *f) {
    struct why w;
    if (f->step != TALK) return;
    if (f->tls == NULL) {
        if (f->request.n > 0 && f->out.n == 0) {
            buf_wipe(&f->out);
            f->out = f->request;
            f->request = (struct buf){NULL, 0, 0, 0};
        }
        return;
    }
    if (!tls_read(f->tls, &f->plain)) end(f, E_MEMORY, "out of memory");
    struct bytes in = buf_view(&f->plain);
    enum err e = in.n == 0 ? OK : http_reply_input(&f->reply, &in);
    buf_clear(&f->plain);
    if (e == E_CLOSED) {
        tls_finish(f->tls);
        end(f, OK, NULL);
    } else if (e != OK) {
        end(f, e, f->reply.why.text);
    }
    size_t done = 0;
    for (size_t n = 1; n > 0 && done < f->request.n && f->out.n < CIPHER_MAX / 2; done += n) {
        n = tls_write(f->tls, bytes_skip(buf_view(&f->request), done));
        if (!tls_take(f->tls, &f->out)) break;
    }
    buf_drop(&f->request, done);
    if (!tls_take(f->tls, &f->out)) end(f, E_MEMORY, "out of memory");
    enum err state = tls_state(f->tls, &w);
    if (state == E_CLOSED) {
        e = http_reply_end(&f->reply);
        end(f, e, f->reply.why.text);
    } else if (state != OK) {
        end(f, state, w.text);
    }
}

enum err fetch_new(struct fetch **out, const struct fetch_setup *s, struct why *w) {
    struct fetch *f = NEW(struct fetch);
    *out = NULL;
    if (f == NULL) return fail(w, E_MEMORY, "out of memory");
    f->url = *s->url;
    f->has_proxy = s->proxy != NULL;
    if (f->has_proxy) f->proxy = *s->proxy;
    f->out.max = CIPHER_MAX;
    f->plain.max = CIPHER_MAX;
    http_reply_init(&f->reply, s->status_alone ? HTTP_REPLY_STATUS : HTTP_REPLY_WHOLE, s->body_max);
    http_reply_init(&f->tunnel, HTTP_REPLY_TUNNEL, 0);
    f->step = TALK;
    bool good = write_request(f, s);
    if (good && s->url->tls) {
        f->tls = tls_client(s->trust, f->url.host, s->rng, s->now);
        good = f->tls != NULL && (!f->has_proxy || ask_proxy(f));
    }
    if (!good) {
        fetch_free(f);
        return fail(w, E_MEMORY, "out of memory");
    }
    pump(f);
    *out = f;
    return OK;
}

void fetch_free(struct fetch *f) {
    if (f == NULL) return;
    tls_free(f->tls);
    http_reply_free(&f->reply);
    http_reply_free(&f->tunnel);
    buf_wipe(&f->request);
    buf_wipe(&f->out);
    buf_wipe(&f->plain);
    mem_free(f);
}

const struct url *fetch_peer(const struct fetch *f) {
    return f->has_proxy ? &f->proxy : &f->url;
}

size_t fetch_wants(struct fetch *f) {
    if (f->step == OVER) return 0;
    return f->step == TALK && f->tls != NULL ? MIN((size_t)PIECE, tls_wants(f->tls)) : PIECE;
}

static void from_proxy(struct fetch *f, struct bytes *in) {
    enum err e = http_reply_input(&f->tunnel, in);
    char text[80];
    if (e == OK) return;
    if (e != E_CLOSED) {
        snprintf(text, sizeof text, "the proxy: %.60s", f->tunnel.why.text);
        end(f, e, text);
    } else if (f->tunnel.status >= 300) {
        snprintf(text, sizeof text, "the proxy refuses (status %d)", f->tunnel.status);
        end(f, E_REFUSED, text);
    } else if (in->n > 0) { /* in TLS the client speaks first: this is not the server's */
        end(f, E_PROTO, "the proxy sends what nobody asked for");
    } else {
        f->step = TALK;
    }
}

void fetch_input(struct fetch *f, struct bytes in) {
    if (f->step == ASK_PROXY) {
        from_proxy(f, &in);
    } else if (f->step == TALK && f->tls != NULL) {
        for (size_t n = in.n + 1; in.n > 0 && in.n < n && f->step == TALK;) {
            n = in.n;
            tls_feed(f->tls, &in);
            pump(f);
        }
    } else if (f->step == TALK) {
        enum err e = http_reply_input(&f->reply, &in);
        if (e != OK) end(f, e == E_CLOSED ? OK : e, f->reply.why.text);
    }
    pump(f);
}

void fetch_ended(struct fetch *f) {
    if (f->step == ASK_PROXY) {
        http_reply_end(&f->tunnel);
        end(f, E_PROTO, "the proxy closed the connection");
    } else if (f->step == TALK && f->tls != NULL) {
        /* what ends without a goodbye may have been cut by somebody between */
        end(f, E_PROTO,
            tls_is_ready(f->tls) ? "the server closed in the middle of its reply"
                                 : "the server closed the connection before TLS was agreed on");
    } else if (f->step == TALK) {
        enum err e = http_reply_end(&f->reply);
        end(f, e, f->reply.why.text);
    }
}

struct bytes fetch_output(struct fetch *f) {
    pump(f);
    return buf_view(&f->out);
}

void fetch_sent(struct fetch *f, size_t n) {
    buf_drop(&f->out, n);
    if (f->out.n == 0) pump(f);
}

enum err fetch_state(const struct fetch *f, struct why *w) {
    if (f->step != OVER) return E_BUSY;
    return f->why.code == OK ? OK : fail(w, f->why.code, "%s", f->why.text);
}

int fetch_status(const struct fetch *f) {
    return f->reply.status;
}

struct bytes fetch_body(const struct fetch *f) {
    return buf_view(&f->reply.body);
}
