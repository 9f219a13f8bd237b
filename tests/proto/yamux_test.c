/* tests/proto/yamux_test.c: frames of a peer that may be hostile, one row per case; windows, limits,
 * liveness. Two ends that talk to each other: yamux_pair_test.c. */
#include "proto/yamux.h"

#include "base/mem.h"
#include "crypto/rng.h"
#include "tests/test.h"

enum { DATA, WINDOW, PING, GO_AWAY };
enum { S = 1, A = 2, F = 4, R = 8 }; /* flags */
enum { FRAMES_MAX = 5, TEXT_MAX = 8192, KEEPALIVE_MS = 30000 };
#define NOW ((struct mono){1000000})

struct frame {
    unsigned type, flags;
    uint32_t id, length;
};

static void put_header(struct buf *b, struct frame f) {
    CHECK(wr_u8(b, 0) && wr_u8(b, (uint8_t)f.type) && wr_u16(b, (uint16_t)f.flags) && wr_u32(b, f.id) &&
              wr_u32(b, f.length),
          "memory");
}

/* The payload of a frame that is longer than any window is left out. */
static void put_frame(struct buf *b, struct frame f) {
    put_header(b, f);
    if (f.type != DATA || f.length > YAMUX_WINDOW + 1) return;
    uint8_t *p = buf_add_space(b, f.length);
    CHECK(p != NULL, "memory");
    if (f.length > 0) memset(p, 'x', f.length);
}

/* All frames in `out` as text, "window SA 1 0;", and empties it. */
static void frames_text(struct buf *out, struct buf *text) {
    static const char *const names[] = {"data", "window", "ping", "goaway"};
    struct rd r = rd_of(buf_view(out));
    while (r.in.n > 0) {
        unsigned version = rd_u8(&r), type = rd_u8(&r), flags = rd_u16(&r);
        uint32_t id = rd_u32(&r), length = rd_u32(&r);
        if (type == DATA) rd_take(&r, length);
        CHECK(!r.bad && version == 0 && type < LEN(names), "whole frames only");
        buf_add_format(text, "%s %s%s%s%s %u %u;", names[type], flags & S ? "S" : "", flags & A ? "A" : "",
                       flags & F ? "F" : "", flags & R ? "R" : "", id, length);
    }
    buf_clear(out);
}

/* ---- the events of a session as text, "opened 1;data 1 5;", with data put together again */
struct trace {
    struct buf text;
    uint32_t data_id;
    size_t data_n;
};
static void trace_data(struct trace *t) {
    if (t->data_n > 0) buf_add_format(&t->text, "data %u %zu;", t->data_id, t->data_n);
    t->data_n = 0;
}

static void trace_event(struct trace *t, const struct yamux_event *e) {
    if (e->kind == YAMUX_DATA) {
        if (t->data_id != e->stream->id) trace_data(t);
        t->data_id = e->stream->id;
        t->data_n += e->data.n;
        return;
    }
    trace_data(t);
    switch (e->kind) {
    case YAMUX_NONE:
    case YAMUX_DATA: break;
    case YAMUX_OPENED: buf_add_format(&t->text, "opened %u;", e->stream->id); break;
    case YAMUX_FINISHED: buf_add_format(&t->text, "finished %u;", e->stream->id); break;
    case YAMUX_RESET: buf_add_format(&t->text, "reset %u %u;", e->stream->id, e->code); break;
    case YAMUX_WRITABLE: buf_add_format(&t->text, "writable %u;", e->stream->id); break;
    case YAMUX_GOAWAY: buf_add_format(&t->text, "goaway %u;", e->code); break;
    case YAMUX_PONG: buf_add_text(&t->text, "pong;"); break;
    }
}

/* What the owner does at once with a stream that the peer opened. */
enum deed { NOTHING, RESETS, DROPS, FINISHES, CONSUMES, USES_UP, GOES_AWAY };

static enum err feed(struct yamux *y, struct bytes *in, struct mono now, enum deed deed, struct trace *t) {
    static const uint8_t zeros[YAMUX_WINDOW];
    struct yamux_event e;
    enum err code;
    while ((code = yamux_next(y, in, now, &e)) == OK && e.kind != YAMUX_NONE) {
        trace_event(t, &e);
        if (e.kind == YAMUX_OPENED && deed == RESETS) yamux_reset(y, e.stream);
        if (e.kind == YAMUX_OPENED && deed == FINISHES) yamux_finish(y, e.stream);
        if (e.kind == YAMUX_OPENED && deed == DROPS) yamux_drop(y, e.stream);
        if (e.kind == YAMUX_OPENED && deed == GOES_AWAY) yamux_go_away(y, YAMUX_NORMAL);
        if (e.kind == YAMUX_OPENED && deed == USES_UP) {
            CHECK(yamux_write(y, e.stream, bytes_at(zeros, sizeof(zeros))) == YAMUX_WINDOW, "a window");
        }
        if (e.kind == YAMUX_DATA && deed == CONSUMES) yamux_consumed(y, e.stream, e.data.n, now);
    }
    return code;
}

#define GONE_1 "goaway  0 1;"
#define USED_UP "data A 1 65507;data  1 65507;data  1 65507;data  1 65507;data  1 116;"
#define HALF_WAY (UINT32_MAX - YAMUX_WINDOW)

static const struct row {
    const char *name;
    struct frame in[FRAMES_MAX]; /* ended by one with type 9 or by FRAMES_MAX */
    size_t n;
    enum deed deed;
    enum err want;
    const char *events, *out;
} rows[] = {
    {"open", {{WINDOW, S, 1, 0}}, 1, NOTHING, OK, "opened 1;", ""},
    {"open with credit", {{WINDOW, S, 1, HALF_WAY}}, 1, NOTHING, OK, "opened 1;", ""},
    {"open with too much credit", {{WINDOW, S, 1, HALF_WAY + 1}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"open with data", {{DATA, S, 1, 5}}, 1, NOTHING, OK, "opened 1;data 1 5;", ""},
    {"open with a window of data", {{DATA, S, 1, 262144}}, 1, NOTHING, OK, "opened 1;data 1 262144;", ""},
    {"open with one more", {{DATA, S, 1, 262145}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"open, data, finish", {{DATA, S | F, 1, 5}}, 1, NOTHING, OK, "opened 1;data 1 5;finished 1;", ""},
    {"open and finish at once", {{WINDOW, S | F, 1, 0}}, 1, NOTHING, OK, "opened 1;finished 1;", ""},
    {"open and reset at once", {{DATA, S | R, 1, 5}, {PING, S, 0, 8}}, 2, NOTHING, OK, "", "ping A 0 8;"},
    {"our id", {{WINDOW, S, 2, 0}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"our id, not opened, with data", {{DATA, S, 4, 5}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"id 0 opened", {{WINDOW, S, 0, 0}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"data for 0", {{DATA, 0, 0, 3}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"opened twice", {{WINDOW, S, 1, 0}, {WINDOW, S, 1, 0}}, 2, NOTHING, E_PROTO, "opened 1;", GONE_1},
    {"ids in any order", {{WINDOW, S, 5, 0}, {WINDOW, S, 3, 0}}, 2, NOTHING, OK, "opened 5;opened 3;", ""},
    {"beyond the window",
     {{DATA, S, 1, 262144}, {DATA, 0, 1, 1}},
     2,
     NOTHING,
     E_PROTO,
     "opened 1;data 1 262144;",
     GONE_1},
    {"the window given back",
     {{DATA, S, 1, 262144}, {DATA, 0, 1, 131072}},
     2,
     CONSUMES,
     OK,
     "opened 1;data 1 393216;",
     NULL},
    {"unknown stream",
     {{DATA, 0, 9, 1000}, {WINDOW, F, 9, 7}, {WINDOW, R, 9, 7}, {PING, S, 0, 1}},
     4,
     NOTHING,
     OK,
     "",
     "ping A 0 1;"},
    {"unknown stream of ours", {{DATA, 0, 8, 1000}, {PING, S, 0, 1}}, 2, NOTHING, OK, "", "ping A 0 1;"},
    {"unknown stream, 16 MiB announced", {{DATA, 0, 9, YAMUX_WINDOW_MAX}}, 1, NOTHING, OK, "", ""},
    {"unknown stream, one more", {{DATA, 0, 9, YAMUX_WINDOW_MAX + 1}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"unknown stream, 2^32-1", {{DATA, 0, 9, UINT32_MAX}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"known stream, 2^32-1",
     {{WINDOW, S, 1, 0}, {DATA, 0, 1, UINT32_MAX}},
     2,
     NOTHING,
     E_PROTO,
     "opened 1;",
     GONE_1},
    {"credit to the brim", {{WINDOW, S, 1, 0}, {WINDOW, 0, 1, HALF_WAY}}, 2, NOTHING, OK, "opened 1;", ""},
    {"credit over it",
     {{WINDOW, S, 1, 0}, {WINDOW, 0, 1, HALF_WAY}, {WINDOW, 0, 1, 1}},
     3,
     NOTHING,
     E_PROTO,
     "opened 1;",
     GONE_1},
    {"credit over it at once",
     {{WINDOW, S, 1, 0}, {WINDOW, 0, 1, UINT32_MAX}},
     2,
     NOTHING,
     E_PROTO,
     "opened 1;",
     GONE_1},
    {"credit over it, with our FIN",
     {{WINDOW, S, 1, 0}, {WINDOW, 0, 1, UINT32_MAX}},
     2,
     FINISHES,
     OK,
     "opened 1;",
     "window AF 1 0;"},
    {"credit again",
     {{WINDOW, S, 1, 0}, {WINDOW, 0, 1, 0}, {WINDOW, 0, 1, 4}, {WINDOW, 0, 1, 4}},
     4,
     USES_UP,
     OK,
     "opened 1;writable 1;",
     USED_UP},
    {"credit and FIN",
     {{WINDOW, S, 1, 0}, {WINDOW, F, 1, 4}},
     2,
     USES_UP,
     OK,
     "opened 1;writable 1;finished 1;",
     USED_UP},
    {"reset with code",
     {{WINDOW, S, 1, 0}, {WINDOW, R, 1, UINT32_MAX}},
     2,
     NOTHING,
     OK,
     "opened 1;reset 1 4294967295;",
     ""},
    {"reset with data",
     {{WINDOW, S, 1, 0}, {DATA, R, 1, 9}, {PING, S, 0, 1}},
     3,
     NOTHING,
     OK,
     "opened 1;reset 1 0;",
     "ping A 0 1;"},
    {"frames behind RST",
     {{WINDOW, S, 1, 0}, {WINDOW, R, 1, 0}, {WINDOW, F, 1, 0}, {DATA, 0, 1, 7}, {WINDOW, R, 1, 0}},
     5,
     NOTHING,
     OK,
     "opened 1;reset 1 0;",
     ""},
    {"frames behind our RST",
     {{DATA, S, 1, 5}, {DATA, 0, 1, 7}, {WINDOW, F, 1, 9}, {WINDOW, R, 1, 0}},
     4,
     RESETS,
     OK,
     "opened 1;",
     "window R 1 0;"},
    {"too much behind our RST",
     {{DATA, S, 1, 262144}, {DATA, 0, 1, 1}},
     2,
     RESETS,
     E_PROTO,
     "opened 1;",
     "window R 1 0;" GONE_1},
    {"refused by dropping",
     {{DATA, S | F, 1, 5}, {DATA, 0, 1, 5}, {PING, S, 0, 1}},
     3,
     DROPS,
     OK,
     "opened 1;",
     "window R 1 0;ping A 0 1;"},
    {"half-closed",
     {{WINDOW, S | F, 1, 0}, {WINDOW, 0, 1, 9}},
     2,
     FINISHES,
     OK,
     "opened 1;finished 1;",
     "window AF 1 0;"},
    {"data and FIN behind FIN",
     {{WINDOW, S | F, 1, 0}, {DATA, F, 1, 9}, {PING, S, 0, 1}},
     3,
     NOTHING,
     OK,
     "opened 1;finished 1;",
     "ping A 0 1;"},
    {"too much behind FIN",
     {{WINDOW, S | F, 1, 0}, {DATA, 0, 1, 262144}, {DATA, 0, 1, 1}},
     3,
     NOTHING,
     E_PROTO,
     "opened 1;finished 1;",
     GONE_1},
    {"RST behind both FINs",
     {{WINDOW, S | F, 1, 0}, {WINDOW, R, 1, 9}},
     2,
     FINISHES,
     OK,
     "opened 1;finished 1;",
     "window AF 1 0;"},
    {"reset of a closed half",
     {{WINDOW, S | F, 1, 0}, {WINDOW, R, 1, 9}},
     2,
     NOTHING,
     OK,
     "opened 1;finished 1;reset 1 9;",
     ""},
    {"opened while we go away",
     {{WINDOW, S, 1, 0}, {DATA, S, 3, 9}, {DATA, 0, 1, 1}},
     3,
     GOES_AWAY,
     OK,
     "opened 1;data 1 1;",
     "goaway  0 0;window R 3 0;"},
    {"goaway",
     {{WINDOW, S, 1, 0}, {GO_AWAY, 0, 0, 0x1006}, {DATA, 0, 1, 5}, {PING, S, 0, 1}},
     4,
     NOTHING,
     OK,
     "opened 1;goaway 4102;",
     ""},
    {"stray pongs, odd pings",
     {{PING, A, 0, 1}, {PING, 0, 0, 1}, {PING, R, 7, 1}, {PING, S | A, 7, 2}},
     4,
     NOTHING,
     OK,
     "",
     "ping A 0 2;"},
    {"unknown flags", {{WINDOW, 0xfff0 | S, 1, 0}}, 1, NOTHING, OK, "opened 1;", ""},
    {"unknown type", {{4, 0, 0, 0}}, 1, NOTHING, E_PROTO, "", GONE_1},
    {"empty data",
     {{DATA, S, 1, 0}, {DATA, 0, 1, 0}, {DATA, F, 1, 0}},
     3,
     NOTHING,
     OK,
     "opened 1;finished 1;",
     ""},
};

/* Feeds in the pieces that end at cuts[0], cuts[1] ... and at the end; the same must come of it. */
static void run_row(const struct row *row, struct bytes in, const size_t *cuts, size_t n_cuts,
                    const char *how) {
    size_t before = mem_blocks();
    struct yamux y;
    struct trace t = {.text = {.max = TEXT_MAX}};
    struct buf sent = {.max = TEXT_MAX};
    enum err code = OK;
    yamux_init(&y, false, 8, YAMUX_WINDOW, KEEPALIVE_MS, 7, NOW);
    y.out_max = 1 << 20;
    for (size_t i = 0, at = 0; i <= n_cuts && code == OK; i++) {
        size_t end = i < n_cuts ? cuts[i] : in.n;
        struct bytes piece = bytes_sub(in, at, end - at);
        code = feed(&y, &piece, NOW, row->deed, &t);
        CHECK(code != OK || piece.n == 0, "%s (%s): input left", row->name, how);
        at = end;
    }
    trace_data(&t);
    frames_text(&y.out, &sent);
    CHECK(code == row->want && code == y.why.code, "%s (%s): %s", row->name, how, err_name(code));
    CHECK(strcmp(buf_cstr(&t.text), row->events) == 0, "%s (%s): %s", row->name, how, buf_cstr(&t.text));
    CHECK(row->out == NULL || strcmp(buf_cstr(&sent), row->out) == 0, "%s (%s): %s", row->name, how,
          buf_cstr(&sent));
    struct bytes ping = BYTES("\0\2\0\1\0\0\0\0\0\0\0\1"); /* a session that is over stays so, says nothing */
    CHECK(code == OK || (feed(&y, &ping, NOW, NOTHING, &t) == code && y.out.n == 0), "%s: lives", row->name);
    buf_free(&t.text);
    buf_free(&sent);
    yamux_free(&y);
    CHECK(mem_blocks() == before, "%s (%s): memory kept", row->name, how);
}

TEST(yamux_rows_whole_cut_and_in_pieces) {
    struct rng rng = rng_seeded(test_seed());
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf in = {.max = 1 << 20};
        for (size_t k = 0; k < rows[i].n; k++) put_frame(&in, rows[i].in[k]);
        run_row(&rows[i], buf_view(&in), NULL, 0, "whole");
        for (size_t cut = 1; cut < in.n; cut += cut < 64 || cut + 64 > in.n ? 1 : 4099) {
            run_row(&rows[i], buf_view(&in), &cut, 1, "cut once");
        }
        for (size_t round = 0; round < 8; round++) {
            size_t cuts[64], n = 0;
            for (size_t at = 0; n < LEN(cuts) && at < in.n; n++) {
                at += 1 + (size_t)rng_below(&rng, round % 2 == 0 ? 16 : in.n);
                cuts[n] = at = MIN(at, in.n);
            }
            run_row(&rows[i], buf_view(&in), cuts, n, "random pieces");
        }
        buf_free(&in);
    }
}

/* Whatever bytes come: no crash, no growth, and the session ends or goes on. */
TEST(yamux_bits_flipped) {
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf in = {.max = 1 << 20};
        for (size_t k = 0; k < rows[i].n; k++) put_frame(&in, rows[i].in[k]);
        for (size_t bit = 0; bit < 8 * MIN(in.n, (size_t)64); bit++) {
            in.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct yamux y;
            struct trace t = {.text = {.max = TEXT_MAX}};
            struct bytes piece = buf_view(&in);
            yamux_init(&y, false, 8, YAMUX_WINDOW, KEEPALIVE_MS, 7, NOW);
            y.out_max = 1 << 20;
            enum err code = feed(&y, &piece, NOW, rows[i].deed, &t);
            CHECK(code == OK ? piece.n == 0 : code == E_PROTO, "%s: bit %zu: %s", rows[i].name, bit,
                  err_name(code));
            CHECK(y.streams.n <= 5 && y.out.n <= YAMUX_WINDOW + 200, "%s: bit %zu", rows[i].name, bit);
            buf_free(&t.text);
            yamux_free(&y);
            in.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        buf_free(&in);
    }
}

/* ---- one session, step by step */

static struct yamux session(bool client) {
    struct yamux y;
    yamux_init(&y, client, 8, YAMUX_WINDOW_MAX, KEEPALIVE_MS, 7, NOW);
    return y;
}

/* One frame in, without payload unless it is data; the first event of it. */
static enum err hear(struct yamux *y, struct frame f, struct mono now, struct yamux_event *first) {
    struct buf in = {.max = 1 << 25};
    struct yamux_event e;
    put_header(&in, f);
    if (f.type == DATA) CHECK(buf_add_space(&in, f.length) != NULL, "memory");
    struct bytes view = buf_view(&in);
    enum err code = yamux_next(y, &view, now, first);
    first->data.p = NULL;
    if (code == OK && first->kind != YAMUX_NONE) {
        while ((code = yamux_next(y, &view, now, &e)) == OK && e.kind != YAMUX_NONE) continue;
    }
    buf_free(&in);
    return code;
}

static bool sent(struct yamux *y, const char *want) {
    struct buf text = {.max = TEXT_MAX};
    frames_text(&y->out, &text);
    bool same = strcmp(buf_cstr(&text), want) == 0;
    if (!same) fprintf(stderr, "sent %s\n", buf_cstr(&text));
    buf_free(&text);
    return same;
}

TEST(yamux_opens_writes_and_finishes) {
    size_t before = mem_blocks();
    struct yamux y = session(true);
    struct yamux_event e;
    struct yamux_stream *a = yamux_open(&y, NOW), *b = yamux_open(&y, NOW);
    CHECK(a != NULL && b != NULL && a->id == 1 && b->id == 3 && y.unacked == 2 && y.outbound == 2, "two");
    CHECK(yamux_write(&y, a, BYTES("hello")) == 5 && a->bytes_out == 5, "before the answer");
    yamux_finish(&y, a);
    yamux_finish(&y, a);
    CHECK(yamux_write(&y, a, BYTES("more")) == 0, "finished");
    CHECK(sent(&y, "window S 1 0;window S 3 0;data  1 5;window F 1 0;"), "frames");
    CHECK(hear(&y, (struct frame){DATA, A, 1, 5}, NOW, &e) == OK && e.kind == YAMUX_DATA, "answer");
    CHECK(y.unacked == 1, "acknowledged");
    CHECK(hear(&y, (struct frame){WINDOW, F, 1, 0}, NOW, &e) == OK && e.kind == YAMUX_FINISHED, "end");
    CHECK(yamux_closed(a), "both ways");
    yamux_drop(&y, a);
    CHECK(y.out.n == 0 && y.streams.n == 1, "nothing to say about a closed stream");
    CHECK(hear(&y, (struct frame){WINDOW, R, 3, 5}, NOW, &e) == OK && e.kind == YAMUX_RESET, "refused");
    CHECK(e.code == 5, "with a code");
    CHECK(y.unacked == 0 && yamux_write(&y, b, BYTES("x")) == 0, "refused");
    yamux_finish(&y, b);
    yamux_drop(&y, b);
    CHECK(y.out.n == 0 && y.streams.n == 0 && y.outbound == 0, "nothing left");
    struct yamux_stream *c = yamux_open(&y, NOW);
    yamux_reset(&y, c);
    yamux_reset(&y, c);
    CHECK(c->id == 5 && y.unacked == 0 && sent(&y, "window S 5 0;window R 5 0;"), "reset once");
    yamux_free(&y);
    CHECK(mem_blocks() == before, "memory kept");
}

TEST(yamux_first_frame_back_acknowledges) {
    struct yamux y = session(false);
    struct yamux_event e;
    CHECK(hear(&y, (struct frame){WINDOW, S, 1, 0}, NOW, &e) == OK && e.kind == YAMUX_OPENED, "opened");
    CHECK(y.out.n == 0 && y.inbound == 1, "not before the owner says something");
    CHECK(yamux_write(&y, e.stream, BYTES("a")) == 1 && yamux_write(&y, e.stream, BYTES("b")) == 1, "write");
    CHECK(sent(&y, "data A 1 1;data  1 1;"), "once");
    CHECK(hear(&y, (struct frame){DATA, S, 3, 131072}, NOW, &e) == OK, "opened");
    y.rtt_us = 1;
    y.rtt_at = NOW;
    yamux_consumed(&y, e.stream, 131072, mono_add_ms(NOW, 1));
    CHECK(sent(&y, "window A 3 131072;"), "with credit");
    yamux_free(&y);
}

TEST(yamux_window_is_given_back_at_half) {
    struct yamux y = session(false);
    struct yamux_event e;
    y.rtt_us = 1;
    y.rtt_at = NOW;
    CHECK(hear(&y, (struct frame){DATA, S, 1, 262144}, NOW, &e) == OK, "a window");
    struct yamux_stream *s = e.stream;
    struct mono later = mono_add_ms(NOW, 1);
    CHECK(s->held == 262144 && s->credit == 0, "held");
    yamux_consumed(&y, s, 131071, later);
    CHECK(y.out.n == 0, "not yet");
    yamux_consumed(&y, s, 1, later);
    CHECK(sent(&y, "window A 1 131072;") && s->credit == 131072, "half");
    CHECK(hear(&y, (struct frame){DATA, 0, 1, 131073}, later, &e) == E_PROTO, "no more than the credit");
    yamux_free(&y);

    y = session(false);
    CHECK(hear(&y, (struct frame){DATA, S | F, 1, 262144}, NOW, &e) == OK, "all of it");
    yamux_consumed(&y, e.stream, 262144, later);
    CHECK(y.out.n == 0, "no credit behind FIN");
    yamux_free(&y);
}

/* Half a window comes and is consumed; how large is the window then? */
static uint32_t use_half(struct yamux *y, struct yamux_stream *s, struct mono *now, int64_t took_us) {
    struct yamux_event e;
    uint32_t n = s->window / 2;
    now->us += took_us;
    CHECK(hear(y, (struct frame){DATA, 0, s->id, n}, *now, &e) == OK, "%s", y->why.text);
    yamux_consumed(y, s, n, *now);
    CHECK(s->held == 0 && s->consumed == 0 && s->credit == s->window, "all credit is back");
    buf_clear(&y->out);
    return s->window;
}

TEST(yamux_window_grows_with_the_round_trip) {
    struct yamux y = session(false);
    struct yamux_event e;
    struct mono now = NOW;
    y.window_max = 1 << 20;
    y.rtt_us = 50000; /* smoothed, behind our own bytes: does not count */
    y.rtt_min_us = 1000;
    y.rtt_at = NOW;
    CHECK(hear(&y, (struct frame){WINDOW, S, 1, 0}, now, &e) == OK, "opened");
    struct yamux_stream *s = e.stream;
    CHECK(use_half(&y, s, &now, 4000) == 262144, "four round trips: the link is the limit");
    CHECK(use_half(&y, s, &now, 3999) == 524288, "sooner: the window is");
    CHECK(use_half(&y, s, &now, 3999) == 1 << 20 && use_half(&y, s, &now, 1) == 1 << 20, "up to its limit");
    CHECK(y.grown == (1 << 20) - YAMUX_WINDOW, "counted");
    yamux_drop(&y, s);
    CHECK(y.grown == 0, "not counted any more");
    y.rtt_us = 0;
    CHECK(hear(&y, (struct frame){WINDOW, S, 3, 0}, now, &e) == OK, "opened");
    CHECK(use_half(&y, e.stream, &now, 1) == YAMUX_WINDOW, "the round trip is not known");
    CHECK(y.ping_sent.us != 0, "but asked for");
    yamux_free(&y);

    y = session(false);
    size_t sum = 0;
    y.rtt_us = 50000; /* smoothed, behind our own bytes: does not count */
    y.rtt_min_us = 1000;
    for (uint32_t id = 1; id <= 7; id += 2) {
        CHECK(hear(&y, (struct frame){WINDOW, S, id, 0}, now, &e) == OK, "opened");
        for (int i = 0; i < 8; i++) use_half(&y, e.stream, &now, 1);
        CHECK(e.stream->window <= YAMUX_WINDOW_MAX, "the largest");
        sum += e.stream->window - YAMUX_WINDOW;
    }
    CHECK(sum == YAMUX_GROWN_MAX && y.grown == sum, "all streams together: %zu", sum);
    yamux_free(&y);
}

TEST(yamux_stalls_without_credit_and_room) {
    static const uint8_t zeros[2 * YAMUX_WINDOW];
    size_t before = mem_blocks();
    struct yamux y = session(true);
    struct yamux_event e;
    struct bytes data = bytes_at(zeros, sizeof(zeros));
    struct yamux_stream *s = yamux_open(&y, NOW);
    buf_clear(&y.out);
    size_t first = yamux_write(&y, s, data);
    CHECK(first == 4 * YAMUX_FRAME_MAX && yamux_write(&y, s, data) == 0, "out is full: %zu", first);
    buf_drop(&y.out, 2000);
    CHECK(yamux_write(&y, s, data) == YAMUX_WINDOW - first, "what credit is left, though it is little");
    for (int i = 0; i < 1000; i++) CHECK(yamux_write(&y, s, data) == 0, "no credit");
    CHECK(y.out.n < y.out_max && y.why.code == OK, "nothing grows");
    CHECK(hear(&y, (struct frame){WINDOW, A, 1, 300000}, NOW, &e) == OK && e.kind == YAMUX_WRITABLE, "again");
    buf_clear(&y.out);
    CHECK(buf_add_space(&y.out, y.out_max - 3000) != NULL, "memory");
    CHECK(yamux_write(&y, s, data) == 0, "no small frames for want of room");
    buf_clear(&y.out);
    y.out_max = 100;
    CHECK(yamux_write(&y, s, data) == 88, "unless there never is more");
    yamux_drop(&y, s);
    yamux_free(&y);
    CHECK(mem_blocks() == before, "memory kept");
}

TEST(yamux_drop_in_the_middle_of_a_frame) {
    struct yamux y = session(false);
    struct buf in = {.max = 4096};
    struct yamux_event e;
    put_frame(&in, (struct frame){DATA, S | F, 1, 100});
    put_frame(&in, (struct frame){WINDOW, S, 3, 0});
    struct bytes all = buf_view(&in), part = bytes_take(&all, 50);
    CHECK(yamux_next(&y, &part, NOW, &e) == OK && e.kind == YAMUX_OPENED, "opened");
    CHECK(yamux_next(&y, &part, NOW, &e) == OK && e.kind == YAMUX_DATA && e.data.n == 38, "a part");
    yamux_drop(&y, e.stream);
    CHECK(yamux_next(&y, &all, NOW, &e) == OK && e.kind == YAMUX_OPENED, "the rest is drained");
    CHECK(e.stream->id == 3, "the next frame");
    CHECK(all.n == 0 && y.streams.n == 1 && y.inbound == 1, "gone");
    buf_free(&in);
    yamux_free(&y);
}

/* ---- limits: n passes, n + 1 has its defined outcome */

TEST(yamux_limit_inbound) {
    struct yamux y = session(false);
    struct yamux_event e;
    struct yamux_stream *first = NULL;
    for (uint32_t i = 0; i < 8; i++) {
        CHECK(hear(&y, (struct frame){WINDOW, S, 1 + 2 * i, 0}, NOW, &e) == OK, "n");
        CHECK(e.kind == YAMUX_OPENED, "n");
        if (i == 0) first = e.stream;
    }
    CHECK(hear(&y, (struct frame){DATA, S, 17, 99}, NOW, &e) == OK && e.kind == YAMUX_NONE, "n + 1");
    CHECK(sent(&y, "window R 17 0;") && y.streams.n == 8, "refused, drained, not remembered");
    yamux_drop(&y, first);
    CHECK(hear(&y, (struct frame){WINDOW, S, 19, 0}, NOW, &e) == OK && e.kind == YAMUX_OPENED, "room again");
    yamux_free(&y);
}

TEST(yamux_limit_outbound) {
    struct yamux y = session(true);
    struct yamux_event e;
    for (uint32_t i = 0; i < YAMUX_OUTBOUND_MAX; i++) {
        struct yamux_stream *s = yamux_open(&y, NOW);
        CHECK(s != NULL && s->id == 1 + 2 * i, "n");
        if (i == YAMUX_UNACKED_MAX - 1) {
            CHECK(yamux_open(&y, NOW) == NULL, "too many unanswered");
            for (uint32_t k = 0; k <= i; k++) hear(&y, (struct frame){WINDOW, A, 1 + 2 * k, 0}, NOW, &e);
            CHECK(y.unacked == 0, "answered");
        } else if (i >= YAMUX_UNACKED_MAX) {
            hear(&y, (struct frame){WINDOW, A, s->id, 0}, NOW, &e);
        }
        buf_clear(&y.out);
    }
    CHECK(y.unacked == 0 && yamux_open(&y, NOW) == NULL, "n + 1");
    yamux_drop(&y, map_next(&y.streams, &(size_t){0}));
    CHECK(yamux_open(&y, NOW) != NULL, "room again");
    yamux_free(&y);

    y = session(true);
    y.next_id = UINT32_MAX - 2;
    CHECK(yamux_open(&y, NOW) != NULL && yamux_open(&y, NOW) == NULL, "ids are used up");
    yamux_free(&y);
}

TEST(yamux_limit_pings) {
    struct yamux y = session(false);
    struct yamux_event e;
    for (int second = 1; second <= 3; second++) {
        struct mono now = {second * 1000000LL};
        for (uint32_t i = 0; i < YAMUX_PINGS_MAX; i++) {
            CHECK(hear(&y, (struct frame){PING, S, 0, i}, now, &e) == OK, "n");
        }
        buf_clear(&y.out);
    }
    CHECK(hear(&y, (struct frame){PING, S, 0, 1}, (struct mono){3999999}, &e) == E_LIMIT, "n + 1");
    CHECK(sent(&y, "goaway  0 2;"), "told");
    yamux_free(&y);
}

TEST(yamux_limit_resets) {
    struct yamux y = session(false);
    struct yamux_event e;
    uint32_t id = 1;
    for (uint32_t i = 0; i < YAMUX_RESETS_MAX; i++, id += 2) { /* open and reset; and both in one frame */
        CHECK(hear(&y, (struct frame){WINDOW, i % 2 == 0 ? S : S | R, id, 0}, NOW, &e) == OK, "n");
        if (i % 2 != 0) continue;
        CHECK(hear(&y, (struct frame){WINDOW, R, id, 0}, NOW, &e) == OK && e.kind == YAMUX_RESET, "n");
        yamux_drop(&y, e.stream);
    }
    CHECK(hear(&y, (struct frame){WINDOW, S | R, id, 0}, NOW, &e) == E_LIMIT, "n + 1");
    yamux_free(&y);

    y = session(false);
    y.inbound_max = 0;
    for (uint32_t i = 0; i < YAMUX_RESETS_MAX; i++) {
        CHECK(hear(&y, (struct frame){WINDOW, S, 1 + 2 * i, 0}, NOW, &e) == OK && e.kind == YAMUX_NONE, "n");
    }
    CHECK(hear(&y, (struct frame){WINDOW, S, UINT32_MAX, 0}, NOW, &e) == E_LIMIT, "n + 1");
    CHECK(y.streams.n == 0, "none");
    yamux_free(&y);
}

/* A peer that makes us answer and never reads, slowly enough for the limits per second. */
TEST(yamux_limit_answers_not_read) {
    static const uint8_t zeros[YAMUX_OUT_MAX];
    struct yamux y = session(false);
    struct yamux_event e;
    struct mono now = NOW;
    size_t answers = 0;
    CHECK(hear(&y, (struct frame){WINDOW, S, 1, 1 << 20}, now, &e) == OK, "opened");
    yamux_write(&y, e.stream, bytes_at(zeros, sizeof(zeros)));
    CHECK(y.out.n > YAMUX_OUT_MAX - YAMUX_HEADER - YAMUX_FRAME_SMALL, "full of data");
    enum err code;
    while ((code = hear(&y, (struct frame){PING, S, 0, 1}, now, &e)) == OK) {
        answers++;
        now.us += 20000;
        CHECK(answers <= YAMUX_CONTROL_MAX, "no end");
    }
    CHECK(code == E_LIMIT && answers >= YAMUX_CONTROL_MAX / YAMUX_HEADER, "%zu answers", answers);
    CHECK(y.out.n <= YAMUX_OUT_MAX + YAMUX_CONTROL_MAX + YAMUX_HEADER, "bounded");
    CHECK(get_u32(y.out.p + y.out.n - 4) == YAMUX_INTERNAL_ERROR, "GoAway is behind them all the same");
    size_t n = y.out.n;
    yamux_finish(&y, map_next(&y.streams, &(size_t){0}));
    yamux_ping(&y, now);
    yamux_go_away(&y, 0);
    CHECK(yamux_open(&y, now) == NULL && y.out.n == n, "over");
    yamux_free(&y);
}

/* ---- liveness */

TEST(yamux_keepalive) {
    struct yamux y = session(true);
    struct yamux_event e;
    CHECK(yamux_deadline(&y).us == NOW.us + KEEPALIVE_MS * 1000LL, "idle");
    CHECK(hear(&y, (struct frame){PING, S, 0, 3}, mono_add_ms(NOW, 5000), &e) == OK, "any input");
    CHECK(sent(&y, "ping A 0 3;"), "a pong");
    struct mono due = mono_add_ms(NOW, 5000 + KEEPALIVE_MS);
    CHECK(yamux_deadline(&y).us == due.us, "puts it off");
    CHECK(yamux_tick(&y, (struct mono){due.us - 1}) == OK && y.out.n == 0, "not yet");
    CHECK(yamux_tick(&y, due) == OK && y.out.n == YAMUX_HEADER, "a ping");
    uint32_t value = get_u32(y.out.p + 8);
    CHECK(yamux_tick(&y, due) == OK && y.out.n == YAMUX_HEADER, "one");
    struct mono back = {due.us + 700};
    CHECK(hear(&y, (struct frame){PING, A, 0, value + 1}, back, &e) == OK, "not ours");
    CHECK(e.kind == YAMUX_NONE, "not ours");
    CHECK(hear(&y, (struct frame){PING, A, 0, value}, back, &e) == OK && e.kind == YAMUX_PONG, "ours");
    CHECK(y.rtt_us == 700, "round trip");
    CHECK(hear(&y, (struct frame){PING, A, 0, value}, back, &e) == OK && e.kind == YAMUX_NONE, "only once");
    yamux_ping(&y, back);
    value = get_u32(y.out.p + y.out.n - 4);
    CHECK(hear(&y, (struct frame){PING, A, 0, value}, (struct mono){back.us + 100}, &e) == OK, "again");
    CHECK(y.rtt_us == 400, "smoothed");
    due = yamux_deadline(&y);
    CHECK(yamux_tick(&y, due) == OK && yamux_deadline(&y).us == due.us + YAMUX_PONG_MS * 1000LL, "waits");
    due = yamux_deadline(&y);
    hear(&y, (struct frame){WINDOW, 0, 99, 0}, (struct mono){due.us - 1}, &e);
    CHECK(yamux_tick(&y, due) == OK, "who speaks is alive");
    CHECK(yamux_tick(&y, yamux_deadline(&y)) == E_TIMEOUT && y.why.code == E_TIMEOUT, "dead");
    CHECK(yamux_deadline(&y).us == 0, "for good");
    yamux_free(&y);

    yamux_init(&y, true, 8, YAMUX_WINDOW, 0, 7, NOW);
    CHECK(yamux_deadline(&y).us == 0 && yamux_tick(&y, mono_add_ms(NOW, 1 << 30)) == OK, "off");
    yamux_free(&y);
}

/* Every allocation of this scenario fails once; the outcome is an error or a refusal, never a leak. */
TEST(yamux_out_of_memory) {
    for (long after = 0; after < 12; after++) {
        size_t before = mem_blocks();
        struct yamux y = session(false);
        struct buf in = {.max = 4096};
        struct trace t = {.text = {.max = TEXT_MAX}};
        put_frame(&in, (struct frame){DATA, S, 1, 5});
        put_frame(&in, (struct frame){PING, S, 0, 5});
        put_frame(&in, (struct frame){WINDOW, S, 3, 5});
        CHECK(buf_reserve(&t.text, TEXT_MAX), "memory");
        mem_fail_after(after);
        struct bytes view = buf_view(&in);
        enum err code = feed(&y, &view, NOW, NOTHING, &t);
        struct yamux_stream *s = yamux_open(&y, NOW);
        if (s != NULL) yamux_write(&y, s, view);
        if (s != NULL) yamux_drop(&y, s);
        mem_fail_after(-1);
        CHECK(code == OK || code == E_MEMORY, "%ld: %s", after, err_name(code));
        CHECK(y.outbound == 0 && y.unacked == 0 && y.inbound == y.streams.n, "%ld: counts", after);
        buf_free(&in);
        buf_free(&t.text);
        yamux_free(&y);
        CHECK(mem_blocks() == before, "%ld: memory kept", after);
    }
}
