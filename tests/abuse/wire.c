#include "tests/abuse/wire.h"

#include "crypto/aead.h"
#include "crypto/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

const struct bytes nothing = {NULL, 0};

void wire_fail(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "attacker: ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(2);
}

static struct sockaddr_in address(const char *host, unsigned port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1) wire_fail("%s: not an IPv4 address", host);
    return a;
}

int wire_listen(unsigned *port) {
    struct sockaddr_in a = address("127.0.0.1", 0);
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 64) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0)
        wire_fail("listen: %s", strerror(errno));
    *port = ntohs(a.sin_port);
    return fd;
}

void wire_begin(struct wire *w, struct target *t) {
    *w = (struct wire){.t = t, .dialer = !t->listening, .next_id = t->listening ? 2 : 1};
    w->in.max = w->plain.max = 64 << 20;
    w->sent_1.max = w->sent_3.max = 1 << 17;
    if (t->listening) {
        w->fd = accept(t->listener, NULL, NULL);
    } else {
        struct sockaddr_in to = address(t->host, t->port);
        w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in from = address(t->from == NULL ? "127.0.0.1" : t->from, 0);
        if (bind(w->fd, (struct sockaddr *)&from, sizeof from) != 0) wire_fail("bind: %s", strerror(errno));
        if (connect(w->fd, (struct sockaddr *)&to, sizeof to) != 0) wire_fail("connect: %s", strerror(errno));
    }
    if (w->fd < 0) wire_fail("no connection: %s", strerror(errno));
    int on = 1;
    setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (t->swarm_key == NULL) return;
    struct buf nonce = {.max = PNET_NONCE};
    if (!pnet_start(&w->pnet, t->swarm_key, &t->rng, &nonce)) wire_fail("memory");
    wire_raw(w, buf_view(&nonce));
    buf_free(&nonce);
    w->private = true;
}

void wire_end(struct wire *w) {
    close(w->fd);
    buf_free(&w->in);
    buf_free(&w->plain);
    buf_free(&w->sent_1);
    buf_free(&w->sent_3);
}

void wire_raw(struct wire *w, struct bytes raw) {
    while (raw.n > 0 && w->end == ALIVE) {
        ssize_t n = send(w->fd, raw.p, raw.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            w->end = errno == EAGAIN ? SILENT : BROKEN;
            return;
        }
        raw = bytes_skip(raw, (size_t)n);
    }
}

void wire_send(struct wire *w, struct bytes raw) {
    if (!w->private) {
        wire_raw(w, raw);
        return;
    }
    struct buf copy = {.max = raw.n};
    if (!buf_add(&copy, raw)) wire_fail("memory");
    pnet_output(&w->pnet, copy.p, copy.n);
    wire_raw(w, buf_view(&copy));
    buf_free(&copy);
}

bool wire_fill(struct wire *w, int ms) {
    if (w->end == SHUT) return false;
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    int ready = poll(&p, 1, ms);
    if (ready == 0) return false;
    uint8_t *to = buf_add_space(&w->in, 65536);
    if (to == NULL) wire_fail("the node says too much");
    w->in.n -= 65536;
    ssize_t n = recv(w->fd, to, 65536, 0);
    if (n <= 0) {
        w->end = n == 0 ? SHUT : BROKEN;
        return false;
    }
    struct bytes fresh = bytes_at(to, (size_t)n);
    if (w->private) {
        pnet_input(&w->pnet, to, &fresh);
        memmove(to, fresh.p, fresh.n);
    }
    w->in.n += fresh.n;
    return true;
}

void wire_trickle(struct wire *w, struct bytes raw, int ms) {
    while (raw.n > 0 && w->end == ALIVE) {
        wire_send(w, bytes_take(&raw, 1));
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        poll(&p, 1, ms);
        for (struct frame f; w->open && wire_next(w, &f, 0);) {}
        while (!w->open && wire_fill(w, 0)) {}
        usleep((unsigned)ms * 1000); /* what woke poll did not take its time */
    }
}

static bool want(struct wire *w, size_t n) {
    while (w->in.n < n)
        if (!wire_fill(w, 20000)) return false;
    return true;
}

static void put_line(struct buf *to, const char *text) {
    wr_varint(to, strlen(text) + 1);
    buf_add_text(to, text);
    buf_add_byte(to, '\n');
}

/* Both sides may send at once: header and one line, and as much comes back. */
bool wire_multistream(struct wire *w, const char *protocol) {
    struct buf lines = {.max = 4096};
    put_line(&lines, "/multistream/1.0.0");
    put_line(&lines, protocol);
    size_t n = lines.n;
    wire_send(w, buf_view(&lines));
    bool good = want(w, n) && bytes_eq(bytes_sub(buf_view(&w->in), 0, n), buf_view(&lines));
    if (good) buf_drop(&w->in, n);
    buf_free(&lines);
    return good;
}

/* ---- Noise */

static void sign(struct wire *w, const struct faults *f, uint8_t signature[64]) {
    uint8_t text[24 + 32];
    memcpy(text, "noise-libp2p-static-key:", 24);
    memcpy(text + 24, w->xx.s_public, 32);
    if (f->signature == SIGNED_REPLAYED) memset(text + 24, 9, 32); /* of an earlier handshake's static key */
    const struct identity *by = f->signature == SIGNED_FOREIGN ? &w->t->other : &w->t->self;
    identity_sign(by, bytes_at(text, sizeof text), signature);
    if (f->signature == SIGNED_ALTERED) signature[40] ^= 1;
}

static void make_payload(struct wire *w, const struct faults *f, struct buf *out) {
    uint8_t signature[64];
    if (f->payload.n > 0) {
        buf_add(out, f->payload);
        return;
    }
    sign(w, f, signature);
    struct bytes key = bytes_at(w->t->self.public_key, sizeof w->t->self.public_key);
    pb_put_bytes(out, 1, f->key.n > 0 ? f->key : key);
    if (f->signature != SIGNED_NOT)
        pb_put_bytes(out, 2, f->signature == SIGNED_EMPTY ? nothing : bytes_at(signature, sizeof signature));
    struct buf extensions = {.max = 100};
    pb_put_bytes(&extensions, 2, bytes_of(f->no_muxer ? "/mplex/6.7.0" : "/yamux/1.0.0"));
    pb_put_bytes(out, 4, buf_view(&extensions));
    buf_free(&extensions);
}

static void send_message(struct wire *w, const struct faults *f, int number, struct bytes body) {
    struct buf out = {.max = 1 << 17};
    wr_u16(&out, (uint16_t)(f->message == number && f->length > 0 ? f->length : body.n));
    buf_add(&out, body);
    if (f->message == number && f->length == 0 && f->at < out.n) out.p[f->at] ^= 0x10;
    if (number == 1 && f->message_1.n > 0) {
        buf_clear(&out);
        buf_add(&out, f->message_1);
    }
    if (number == 3 && f->message_3.n > 0) {
        buf_clear(&out);
        buf_add(&out, f->message_3);
    }
    struct buf *kept = number == 1 ? &w->sent_1 : &w->sent_3;
    buf_clear(kept);
    buf_add(kept, buf_view(&out));
    wire_send(w, buf_view(&out));
    buf_free(&out);
}

/* ---- the attacker's own Noise: with a static key of low order both sides would agree on zeros */

static void mix_hash(struct noise_xx *x, struct bytes data) {
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, bytes_at(x->h, sizeof x->h));
    sha256_add(&s, data);
    sha256_end(&s, x->h);
}
static void mix_key(struct noise_xx *x, const uint8_t shared[32]) {
    uint8_t ck[32];
    hash_noise_hkdf(x->ck, bytes_at(shared, 32), ck, x->k);
    memcpy(x->ck, ck, sizeof ck);
    x->n = 0;
    x->has_key = true;
}
static void put_sealed(struct noise_xx *x, struct bytes plain, struct buf *out) {
    uint8_t *to = buf_add_space(out, plain.n + AEAD_TAG);
    if (to == NULL) wire_fail("memory");
    aead_seal(to, x->k, x->n++, bytes_at(x->h, sizeof x->h), plain);
    mix_hash(x, bytes_at(to, plain.n + AEAD_TAG));
}
static void low_static(struct noise_xx *x, int number, struct bytes payload, struct buf *out) {
    static const uint8_t zeros[32];
    uint8_t shared[32];
    if (number == 2) {
        buf_add(out, bytes_at(x->e_public, 32));
        mix_hash(x, bytes_at(x->e_public, 32));
        if (!x25519_dh(shared, x->e_secret, x->re)) wire_fail("a low-order point of the node's");
        mix_key(x, shared);
    }
    put_sealed(x, bytes_at(x->s_public, 32), out);
    mix_key(x, zeros);
    put_sealed(x, payload, out);
}

static bool speak(struct wire *w, const struct faults *f, int number) {
    struct buf body = {.max = 1 << 17}, payload = {.max = 1 << 16};
    if (number > 1) make_payload(w, f, &payload);
    bool low = f->low_s && number > 1, good = true;
    if (low)
        low_static(&w->xx, number, buf_view(&payload), &body);
    else
        good = noise_xx_write(&w->xx, number, buf_view(&payload), &body);
    if (!good && body.n == 0) wire_fail("can not write message %d", number);
    send_message(w, f, number, buf_view(&body));
    buf_free(&body);
    buf_free(&payload);
    return true;
}

static bool hear(struct wire *w, int number) {
    uint8_t payload[65536];
    if (!want(w, 2)) return false;
    size_t n = get_u16(w->in.p);
    if (!want(w, 2 + n)) return false;
    noise_xx_read(&w->xx, number, bytes_at(w->in.p + 2, n), payload); /* a fault of ours may have spoilt it */
    buf_drop(&w->in, 2 + n);
    return true;
}

static void spoil_keys(struct wire *w, const struct faults *f) {
    noise_xx_start(&w->xx, bytes_of(f->prologue), &w->t->rng);
    if (f->low_e) memset(w->xx.e_public, 0, 32);
    if (f->low_s) memset(w->xx.s_public, 0, 32);
}

static void split(struct wire *w) {
    noise_xx_split(&w->xx, w->dialer ? w->send_key : w->receive_key,
                   w->dialer ? w->receive_key : w->send_key);
    w->open = true;
}

bool wire_handshake(struct wire *w, const struct faults *f) {
    if (!wire_multistream(w, "/noise")) return false;
    spoil_keys(w, f);
    if (w->dialer) {
        speak(w, f, 1);
        if (!hear(w, 2)) return false;
        speak(w, f, 3);
    } else {
        if (!hear(w, 1)) return false;
        speak(w, f, 2);
        if (!hear(w, 3)) return false;
    }
    split(w);
    return true;
}

void wire_open(struct wire *w, struct target *t) {
    wire_begin(w, t);
    if (!wire_handshake(w, &(struct faults){.message = 0})) wire_fail("the node does not shake hands");
}

void wire_sealed(struct wire *w, struct bytes plain) {
    while (plain.n > 0) {
        struct bytes part = bytes_take(&plain, 65519);
        struct buf out = {.max = 1 << 17};
        wr_u16(&out, (uint16_t)(part.n + AEAD_TAG));
        uint8_t *to = buf_add_space(&out, part.n + AEAD_TAG);
        if (to == NULL) wire_fail("memory");
        aead_seal(to, w->send_key, w->send_n++, nothing, part);
        wire_send(w, buf_view(&out));
        buf_free(&out);
    }
}

/* ---- Yamux */

void wire_frame(struct wire *w, unsigned type, unsigned flags, uint32_t id, uint32_t length,
                struct bytes data) {
    struct buf out = {.max = 32 << 20};
    wr_u8(&out, type > 255 ? 1 : 0);
    wr_u8(&out, (uint8_t)type);
    wr_u16(&out, (uint16_t)flags);
    wr_u32(&out, id);
    wr_u32(&out, length);
    if (!buf_add(&out, data)) wire_fail("memory");
    wire_sealed(w, buf_view(&out));
    buf_free(&out);
}

static bool open_one(struct wire *w) {
    if (w->in.n < 2) return false;
    size_t n = get_u16(w->in.p);
    if (w->in.n < 2 + n) return false;
    if (n < AEAD_TAG || !buf_reserve(&w->plain, n)) wire_fail("a bad frame of the node's");
    if (!aead_open(w->plain.p + w->plain.n, w->receive_key, w->receive_n++, nothing,
                   bytes_at(w->in.p + 2, n)))
        wire_fail("a frame of the node's does not decrypt");
    w->plain.n += n - AEAD_TAG;
    buf_drop(&w->in, 2 + n);
    return true;
}

bool wire_next(struct wire *w, struct frame *f, int ms) {
    static struct buf data = {.max = 32 << 20};
    for (;;) {
        struct rd r = rd_of(buf_view(&w->plain));
        rd_u8(&r);
        *f = (struct frame){.type = rd_u8(&r)};
        f->flags = rd_u16(&r);
        f->id = rd_u32(&r);
        f->length = rd_u32(&r);
        struct bytes body = rd_take(&r, f->type == DATA ? f->length : 0);
        if (r.bad) {
            if (!open_one(w) && !wire_fill(w, ms)) return false;
            continue;
        }
        buf_clear(&data);
        if (!buf_add(&data, body)) wire_fail("memory");
        f->data = buf_view(&data);
        buf_drop(&w->plain, w->plain.n - r.in.n);
        w->resets += (f->flags & RST) != 0;
        w->acks += f->type != PING && (f->flags & ACK) != 0;
        w->data += body.n;
        w->pongs += f->type == PING && (f->flags & ACK) != 0;
        if (f->type == GOAWAY) {
            w->gone = true;
            w->code = f->length;
        }
        if (f->type == PING && (f->flags & SYN) != 0) wire_frame(w, PING, ACK, 0, f->length, nothing);
        return true;
    }
}

uint32_t wire_stream(struct wire *w, const char *protocol) {
    uint32_t id = w->next_id;
    struct buf lines = {.max = 4096};
    w->next_id += 2;
    put_line(&lines, "/multistream/1.0.0");
    put_line(&lines, protocol);
    wire_frame(w, DATA, SYN, id, (uint32_t)lines.n, buf_view(&lines));
    buf_free(&lines);
    return id;
}

void wire_drain(struct wire *w, int ms) {
    struct frame f;
    if (w->open)
        while (wire_next(w, &f, ms)) {}
    else
        while (wire_fill(w, ms)) buf_clear(&w->in);
    if (w->end == ALIVE) w->end = SILENT;
}

size_t wire_hear(struct wire *w, uint32_t id, uint8_t *to, size_t max, int ms, unsigned *flags) {
    size_t n = 0;
    struct frame f;
    *flags = 0;
    while (n < max && (*flags & (FIN | RST)) == 0 && wire_next(w, &f, ms)) {
        if (f.id != id || f.type > WINDOW) continue;
        *flags |= f.flags;
        size_t take = MIN(f.data.n, max - n);
        if (take > 0) memcpy(to + n, f.data.p, take);
        n += take;
    }
    return n;
}

void wire_report(struct wire *w, const char *more) {
    static const char *const ends[] = {"open", "closed", "broken", "open"};
    printf("end=%s", ends[w->end]);
    if (w->gone) printf(" goaway=%u", (unsigned)w->code);
    printf(" resets=%zu acks=%zu pongs=%zu data=%zu", w->resets, w->acks, w->pongs, w->data);
    printf("%s%s\n", more[0] == 0 ? "" : " ", more);
    fflush(stdout);
}
