#include "tests/fuzz/far.h"

#include "base/pb.h"
#include "proto/file.h"
#include "proto/identify.h"
#include "proto/message.h"
#include "proto/yamux.h"

static const char *const security[] = {"/noise", NULL};
static const char *const muxers[] = {"/yamux/1.0.0", NULL};
static const char *const none[] = {NULL};
enum { TYPE_DATA = 0, FLAG_SYN = 1, FLAG_ACK = 2, FLAG_FIN = 4 };

void far_begin(struct far *f, uint32_t id, bool dialer, bool raw, const struct identity *self,
               const uint8_t *swarm_key, bool early, uint64_t seed) {
    *f = (struct far){.id = id, .dialer = dialer, .self = self, .early = early, .reading = true};
    f->rng = rng_seeded(FAR_SEED + seed);
    f->in.max = f->plain.max = f->out.max = 8 << 20;
    f->next_id = dialer ? 1 : 2;
    if (raw) return;
    f->step = FAR_SECURITY;
    if (swarm_key != NULL) {
        f->pnet = NEW(struct pnet);
        MUST(f->pnet != NULL && pnet_start(f->pnet, swarm_key, &f->rng, &f->out));
        f->out_sealed = f->out.n;
    }
    if (dialer)
        MUST(multistream_dial(&f->negotiation.dialer, security, &f->out) == OK);
    else
        multistream_listen(&f->negotiation.listener, security);
}

void far_end(struct far *f) {
    for (size_t i = 0; i < FAR_STREAMS; i++) buf_free(&f->streams[i].said);
    mem_free(f->pnet);
    buf_free(&f->in);
    buf_free(&f->plain);
    buf_free(&f->out);
    *f = (struct far){.id = 0};
}

void far_seal(struct far *f) {
    if (f->pnet != NULL && f->out.n > f->out_sealed)
        pnet_output(f->pnet, f->out.p + f->out_sealed, f->out.n - f->out_sealed);
    f->out_sealed = f->out.n;
}

static bool negotiate(struct far *f, struct bytes *in, struct buf *out) {
    enum err e = f->dialer ? multistream_dialer_input(&f->negotiation.dialer, false, in, out)
                           : multistream_listener_input(&f->negotiation.listener, in, out);
    f->failed = f->failed || e != OK;
    return f->dialer ? f->negotiation.dialer.state == MSD_DONE : f->negotiation.listener.state == MSL_DONE;
}

static void start_noise(struct far *f) {
    f->step = FAR_NOISE;
    const char *const *early = f->early ? muxers : none;
    enum err e = noise_start(&f->noise, f->dialer, f->self, NULL, NULL, early, &f->rng, &f->out);
    MUST(e == OK);
}

static void start_muxer(struct far *f) {
    f->step = f->noise.muxer != NULL ? FAR_OPEN : FAR_MUXER;
    if (f->step == FAR_OPEN) return;
    if (!f->dialer) {
        multistream_listen(&f->negotiation.listener, muxers);
        return;
    }
    struct buf text = {.max = 200};
    MUST(multistream_dial(&f->negotiation.dialer, muxers, &text) == OK);
    MUST(noise_seal(&f->noise, buf_view(&text), &f->out) == OK);
    buf_free(&text);
}

static void open_frames(struct far *f) {
    bool whole = true;
    while (whole && !f->failed) {
        struct bytes in = buf_view(&f->in), plain;
        if (noise_open(&f->noise, f->in.p, &in, &plain, &whole) != OK) f->failed = true;
        if (f->failed || !whole) break;
        if (!buf_add(&f->plain, plain)) f->failed = true;
        buf_drop(&f->in, f->in.n - in.n);
    }
}

bool far_frame(struct far *f, unsigned type, unsigned flags, uint32_t id, uint32_t length,
               struct bytes payload) {
    if (f->step != FAR_OPEN || f->failed || f->out.n > 4 << 20) return false;
    struct buf frame = {.max = 1 << 22};
    wr_u8(&frame, type > 255 ? 1 : 0);
    wr_u8(&frame, (uint8_t)type);
    wr_u16(&frame, (uint16_t)flags);
    wr_u32(&frame, id);
    wr_u32(&frame, length);
    buf_add(&frame, payload);
    bool done = noise_seal(&f->noise, buf_view(&frame), &f->out) == OK;
    buf_free(&frame);
    return done;
}

static void say(struct far *f, uint32_t id, unsigned flags, struct bytes data) {
    far_frame(f, TYPE_DATA, flags, id, (uint32_t)data.n, data);
}

void far_identify(const struct identity *self, struct buf *out) {
    static const char *const protocols[] = {"/ipfs/id/1.0.0",
                                            "/ipfs/id/push/1.0.0",
                                            "/ipfs/ping/1.0.0",
                                            "/silktalk/message/1.0.0",
                                            "/perf/1.0.0",
                                            "/silktalk/file/1.0.0",
                                            NULL};
    static const uint8_t addr[] = {4, 10, 0, 0, 9, 6, 0x0f, 0xa1};
    struct bytes addrs[] = {bytes_at(addr, sizeof addr)};
    struct buf record = {.max = PEER_RECORD_MAX};
    MUST(peer_record_seal(self, 77, addrs, 1, &record));
    struct identify_self s = {.self = self,
                              .agent = "far",
                              .protocol_version = "x",
                              .protocols = protocols,
                              .addrs = addrs,
                              .n_addrs = 1,
                              .record = buf_view(&record)};
    MUST(identify_write(&s, out));
    buf_free(&record);
}

static struct far_stream *stream_of(struct far *f, uint32_t id, bool make) {
    for (size_t i = 0; i < FAR_STREAMS; i++)
        if (f->streams[i].id == id && id != 0) return &f->streams[i];
    if (!make) return NULL;
    struct far_stream *s = &f->streams[f->n_streams++ % FAR_STREAMS];
    buf_free(&s->said);
    *s = (struct far_stream){.id = id, .said = {.max = 1 << 20}};
    return s;
}

/* A receipt for each message that has come whole. */
static void receipts(struct far *f, struct far_stream *s) {
    for (bool whole = true; whole;) {
        struct bytes in = buf_view(&s->said), frame;
        size_t need;
        struct message_frame m;
        if (message_frame_next(&in, &frame, &whole, &need) != OK || !whole) return;
        MUST(message_frame_read(frame, &m, NULL) == OK); /* what the node sends is well-formed */
        struct buf out = {.max = 100};
        struct receipt r = {.status = RECEIPT_STORED, .received_ms = 5};
        memcpy(r.id, m.message.id, sizeof r.id);
        if (m.kind == FRAME_MESSAGE) MUST(message_receipt_write(&out, &r));
        if (out.n > 0) say(f, s->id, 0, buf_view(&out));
        buf_free(&out);
        buf_drop(&s->said, s->said.n - in.n);
    }
}

/* An offered file: taken from its beginning; when all is here, stored. */
static void take_file(struct far *f, struct far_stream *s) {
    struct bytes in = buf_view(&s->said), frame;
    bool whole = false;
    struct file_answer a = {.status = FILE_TAKEN};
    struct file_offer o;
    if (!s->offered) {
        if (file_frame_next(&in, &frame, &whole) != OK || !whole) return;
        MUST(file_offer_read(frame, &o, NULL) == OK);
        s->offered = true;
        s->left = o.size;
    } else {
        MUST(in.n <= s->left);
        s->left -= in.n;
        in.n = 0;
        if (s->left > 0) return;
        a.status = RECEIPT_STORED;
    }
    buf_drop(&s->said, s->said.n - in.n);
    struct buf out = {.max = 100};
    MUST(file_answer_write(&out, &a));
    say(f, s->id, 0, buf_view(&out));
    buf_free(&out);
}

/* What a good peer does with data on a stream of the node's. */
static void politely(struct far *f, struct far_stream *s) {
    if (s->protocol[0] == 0) {
        struct rd r = rd_of(buf_view(&s->said));
        rd_lp(&r, 1024);
        struct bytes name = rd_lp(&r, 63);
        if (r.bad || name.n == 0) return;
        bytes_cstr(bytes_sub(name, 0, name.n - 1), s->protocol, sizeof s->protocol);
        size_t head = s->said.n - r.in.n;
        say(f, s->id, 0, bytes_sub(buf_view(&s->said), 0, head)); /* both lines come back: agreed */
        buf_drop(&s->said, head);
        if (strcmp(s->protocol, "/ipfs/id/1.0.0") == 0) {
            struct buf message = {.max = 1 << 16};
            far_identify(f->self, &message);
            say(f, s->id, FLAG_FIN, buf_view(&message));
            buf_free(&message);
        }
    }
    if (strcmp(s->protocol, "/ipfs/ping/1.0.0") == 0 && s->said.n > 0) {
        say(f, s->id, 0, buf_view(&s->said));
        buf_clear(&s->said);
    }
    if (strcmp(s->protocol, "/silktalk/message/1.0.0") == 0) receipts(f, s);
    if (strcmp(s->protocol, "/silktalk/file/1.0.0") == 0) take_file(f, s);
}

/* The node's Yamux frames, as far as they are whole. */
static void read_frames(struct far *f) {
    for (;;) {
        struct rd r = rd_of(buf_view(&f->plain));
        MUST(rd_u8(&r) == 0);
        unsigned type = rd_u8(&r), flags = rd_u16(&r);
        uint32_t id = rd_u32(&r), length = rd_u32(&r);
        struct bytes data = rd_take(&r, type == TYPE_DATA ? length : 0);
        if (r.bad) return;
        MUST(type <= 3 && (flags & ~15u) == 0 && (type < 2 || id == 0));
        struct far_stream *s = type <= 1 ? stream_of(f, id, (flags & FLAG_SYN) != 0) : NULL;
        struct bytes copy = fuzz_exact(data);
        buf_drop(&f->plain, f->plain.n - r.in.n);
        if (type == 2 && (flags & FLAG_SYN) && f->polite)
            far_frame(f, 2, FLAG_ACK, 0, length, (struct bytes){NULL, 0});
        if (s != NULL && data.n > 0 && buf_add(&s->said, copy) && f->polite) politely(f, s);
        fuzz_free(copy);
    }
}

void far_input(struct far *f, struct bytes wire) {
    if (f->failed || f->step == FAR_RAW) return;
    size_t from = f->in.n;
    if (!buf_add(&f->in, wire)) return;
    if (f->pnet != NULL) {
        struct bytes fresh = bytes_skip(buf_view(&f->in), from);
        pnet_input(f->pnet, f->in.p + from, &fresh);
        memmove(f->in.p + from, fresh.p, fresh.n);
        f->in.n = from + fresh.n;
    }
    for (bool more = true; more && !f->failed && f->step < FAR_MUXER;) {
        struct bytes in = buf_view(&f->in);
        more = false;
        if (f->step == FAR_SECURITY) {
            more = negotiate(f, &in, &f->out);
            if (more) start_noise(f);
        } else {
            if (noise_input(&f->noise, &in, &f->out) != OK) f->failed = true;
            more = f->noise.state == NOISE_DONE;
            if (more) start_muxer(f);
        }
        buf_drop(&f->in, f->in.n - in.n);
    }
    if (f->step < FAR_MUXER) return;
    open_frames(f);
    if (f->step == FAR_MUXER) {
        struct bytes in = buf_view(&f->plain);
        struct buf text = {.max = 200};
        if (negotiate(f, &in, &text)) f->step = FAR_OPEN;
        if (text.n > 0 && noise_seal(&f->noise, buf_view(&text), &f->out) != OK) f->failed = true;
        buf_free(&text);
        buf_drop(&f->plain, f->plain.n - in.n);
    }
    if (f->step == FAR_OPEN) read_frames(f);
}
