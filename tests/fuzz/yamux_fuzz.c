/* One end of a Yamux session against frames of the fuzzer, with an owner that does everything an owner may
 * do in between; then two ends against each other, where all that is sent must arrive. */
#include "proto/yamux.h"
#include "tests/fuzz/fuzz.h"

enum { STREAMS = 8 };
struct end {
    struct yamux y;
    struct yamux_stream *streams[STREAMS]; /* what we know of; NULL: free */
    struct mono now;
};

static void begin(struct end *e, bool client, uint8_t how) {
    e->now = (struct mono){1000000};
    memset(e->streams, 0, sizeof e->streams);
    uint32_t window = how & 2 ? YAMUX_WINDOW : YAMUX_WINDOW_MAX;
    yamux_init(&e->y, client, how & 1 ? 2 : 6, window, how & 4 ? 30000 : 0, 7, e->now);
    if (how & 8) e->y.out_max = 4096;
}

static void keep(struct end *e, struct yamux_stream *s) {
    for (size_t i = 0; i < STREAMS; i++)
        if (e->streams[i] == NULL) {
            e->streams[i] = s;
            s->user = &e->streams[i];
            return;
        }
    yamux_drop(&e->y, s);
}

static void drop(struct end *e, struct yamux_stream *s) {
    struct yamux_stream **at = s->user;
    if (at != NULL) *at = NULL;
    yamux_drop(&e->y, s);
}

static void check(const struct end *e) {
    const struct yamux *y = &e->y;
    size_t i = 0, inbound = 0, outbound = 0;
    for (struct yamux_stream *s; (s = map_next(&y->streams, &i)) != NULL;) {
        inbound += !s->opened_here;
        outbound += s->opened_here;
        MUST(s->window <= s->window_max && s->window_max <= YAMUX_WINDOW_MAX);
        MUST(s->send_credit <= UINT32_MAX && (uint64_t)s->credit + s->held <= s->window);
    }
    MUST(inbound == y->inbound && outbound == y->outbound && inbound <= y->inbound_max);
    MUST(y->grown <= YAMUX_GROWN_MAX);
    MUST(y->out.n <= y->out_max + YAMUX_CONTROL_MAX + 2 * YAMUX_HEADER);
}

/* Gives input to the session; `how` says what the owner does with what comes. */
static enum err feed(struct end *e, struct bytes in, uint8_t how, struct buf *got) {
    struct yamux_event ev;
    enum err err;
    do {
        size_t before = in.n;
        err = yamux_next(&e->y, &in, e->now, &ev);
        MUST(in.n <= before && err == e->y.why.code && (err == OK || ev.kind == YAMUX_NONE));
        switch (ev.kind) {
        case YAMUX_OPENED:
            if (how & 1)
                yamux_drop(&e->y, ev.stream);
            else
                keep(e, ev.stream);
            break;
        case YAMUX_DATA:
            MUST(ev.data.n > 0 && ev.stream->held >= ev.data.n);
            if (got != NULL) MUST(buf_add(got, ev.data));
            if ((how & 2) == 0) yamux_consumed(&e->y, ev.stream, ev.data.n, e->now);
            break;
        case YAMUX_RESET: drop(e, ev.stream); break;
        case YAMUX_FINISHED:
            if (how & 4) yamux_finish(&e->y, ev.stream);
            if (how & 8) drop(e, ev.stream);
            break;
        case YAMUX_WRITABLE:
            if (how & 16) yamux_write(&e->y, ev.stream, BYTES("more"));
            break;
        case YAMUX_GOAWAY:
        case YAMUX_PONG:
        case YAMUX_NONE: break;
        }
    } while (ev.kind != YAMUX_NONE);
    check(e);
    return err;
}

/* A frame whose fields mostly make sense, so that a session lives long. */
static void put_frame(struct bytes *in, const struct end *e, struct buf *out) {
    static const uint16_t flags[] = {0, 1, 2, 4, 8, 1, 0, 5};
    uint8_t how = fuzz_u8(in), id = fuzz_u8(in);
    uint32_t length = how & 8 ? fuzz_u32(in) : how & 16 ? fuzz_u16(in) : fuzz_u8(in);
    struct bytes payload = {NULL, 0};
    unsigned type = how % 4;
    if (type == 0 && (how & 128) == 0) {
        payload = fuzz_part(in);
        length = (uint32_t)payload.n;
    }
    uint32_t stream = type >= 2 && (id & 64) == 0 ? 0 : id % 16;
    if (id & 128) stream = e->y.next_id >= 2 ? e->y.next_id - 2 : 1; /* the last one it opened */
    wr_u8(out, id == 77 ? 1 : 0);
    wr_u8(out, (uint8_t)(id == 78 ? 9 : type));
    wr_u16(out, how & 4 ? flags[length % LEN(flags)] : flags[how >> 5 & 3]);
    wr_u32(out, stream);
    if (type == 2 && (id & 32)) length = e->y.ping_value;
    wr_u32(out, length);
    buf_add(out, payload);
}

static void owner(struct end *e, struct bytes *in) {
    uint8_t what = fuzz_u8(in);
    struct yamux_stream *s = e->streams[what / 16 % STREAMS], *fresh;
    switch (what % 16) {
    case 0:
    case 1:
        if ((fresh = yamux_open(&e->y, e->now)) != NULL) keep(e, fresh);
        break;
    case 2:
        if (s != NULL) yamux_write(&e->y, s, fuzz_part(in));
        break;
    case 3: {
        static const uint8_t much[400000];
        if (s != NULL) yamux_write(&e->y, s, bytes_at(much, fuzz_u16(in) * 6u));
        break;
    }
    case 4:
        if (s != NULL) yamux_finish(&e->y, s);
        break;
    case 5:
        if (s != NULL) yamux_reset(&e->y, s);
        break;
    case 6:
        if (s != NULL) drop(e, s);
        break;
    case 7:
        if (s != NULL) yamux_consumed(&e->y, s, s->held / (1u + fuzz_u8(in) % 3), e->now);
        break;
    case 8: yamux_ping(&e->y, e->now); break;
    case 9: yamux_go_away(&e->y, fuzz_u8(in)); break;
    case 10: buf_clear(&e->y.out); break; /* the socket took it */
    case 11: e->now = mono_add_ms(e->now, fuzz_u16(in)); break;
    case 12:
    case 13: yamux_tick(&e->y, e->now); break;
    case 14: e->y.inbound_max = fuzz_u8(in); break;
    case 15: buf_drop(&e->y.out, e->y.out.n / 2); break;
    }
    if (what % 16 == 14) e->y.inbound_max = MAX(e->y.inbound_max, e->y.inbound);
}

static void against_frames(struct bytes in) {
    struct end e;
    struct buf wire = {.max = 1 << 20};
    uint8_t how = fuzz_u8(&in);
    begin(&e, (how & 16) != 0, how);
    enum err err = OK;
    while (in.n > 0) {
        uint8_t what = fuzz_u8(&in);
        enum err was = err;
        buf_clear(&wire);
        if (what < 100) {
            owner(&e, &in);
            check(&e);
            continue;
        }
        if (what < 108)
            buf_add(&wire, fuzz_part(&in));
        else
            put_frame(&in, &e, &wire);
        struct bytes rest = buf_view(&wire);
        if (what & 1) err = feed(&e, bytes_take(&rest, what % 16), what >> 1, NULL);
        struct bytes copy = fuzz_exact(rest);
        err = feed(&e, copy, what >> 1, NULL);
        fuzz_free(copy);
        MUST(was == OK || err == was || e.y.gone);
        if (err != OK) MUST(yamux_open(&e.y, e.now) == NULL);
    }
    struct mono at = yamux_deadline(&e.y);
    MUST(at.us >= 0);
    yamux_free(&e.y);
    buf_free(&wire);
}

/* Moves what one end has to say to the other one, in pieces. */
static void move(struct end *from, struct end *to, size_t piece, uint8_t how, struct buf *got) {
    struct bytes rest = buf_view(&from->y.out);
    for (struct bytes part; (part = bytes_take(&rest, piece)).n > 0;) {
        struct bytes copy = fuzz_exact(part);
        MUST(feed(to, copy, how, got) == OK);
        fuzz_free(copy);
    }
    buf_clear(&from->y.out);
}

/* One stream: everything that was written comes out, whatever the pieces and the windows do. */
static void against_each_other(struct bytes in) {
    struct end a, b;
    uint8_t how = fuzz_u8(&in);
    begin(&a, true, how & 0xfe);
    begin(&b, false, how >> 4 & 0xfe);
    struct buf got = {.max = 8 << 20}, sent = {.max = 8 << 20}, back = {.max = 8 << 20};
    struct yamux_stream *s = yamux_open(&a.y, a.now);
    uint8_t *big = calloc(1, 400000);
    MUST(s != NULL && big != NULL);
    keep(&a, s);
    while (in.n > 0 && sent.n < 3 << 20) {
        uint8_t what = fuzz_u8(&in);
        struct bytes data = fuzz_part(&in);
        if (what & 1) {
            memset(big, what, 400000);
            data = bytes_at(big, fuzz_u16(&in) * 6u);
        }
        size_t took = yamux_write(&a.y, s, data);
        MUST(took <= data.n && buf_add(&sent, bytes_sub(data, 0, took)));
        if (what & 2) yamux_ping(&b.y, b.now);
        if (what & 4) a.now = b.now = mono_add_ms(a.now, what);
        move(&a, &b, 1u + (what & 8 ? what : 100000u), 0, &got);
        move(&b, &a, 100000, 0, &back);
        MUST(took == data.n || s->send_credit == 0 || a.y.out_max <= 300000);
    }
    MUST(bytes_eq(buf_view(&got), buf_view(&sent)) && back.n == 0);
    yamux_free(&a.y);
    yamux_free(&b.y);
    free(big);
    buf_free(&got);
    buf_free(&sent);
    buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    if (fuzz_u8(&in) % 4 == 0)
        against_each_other(in);
    else
        against_frames(in);
    fuzz_no_leak(blocks);
    return 0;
}
