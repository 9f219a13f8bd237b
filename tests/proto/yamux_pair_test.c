/* tests/proto/yamux_pair_test.c: two ends in memory: many streams at once, random steps of both, a network
 * that delays and cuts; each byte is checked where it arrives. */
#include "proto/yamux.h"

#include "base/mem.h"
#include "crypto/rng.h"
#include "tests/test.h"

enum { APPS = 24, STREAMS = 400 }; /* of one end: at once, opened in all */
enum { WIRE_MAX = 1 << 20, CHUNK = 100000, STEPS_MAX = 3000000, KEEPALIVE_MS = 30000 };
#define NOW ((struct mono){1000000})

struct app { /* what an end does with one stream */
    struct yamux_stream *s;
    uint64_t wants, written, got; /* bytes to send, sent, received */
};
struct end {
    struct yamux y;
    struct app apps[APPS];
    struct buf wire; /* on the way to the other end */
    bool client;
    size_t opened, finished, resets, refused;
};

static uint8_t byte_at(uint32_t id, bool of_client, uint64_t at) {
    return (uint8_t)((at * 2654435761u >> 11) ^ id ^ (of_client ? 0x80 : 0));
}

static uint64_t length_of(uint32_t id, bool of_client) { /* both ends know it */
    uint32_t h = id * 2654435761u + (of_client ? 77u : 0);
    return h % 5 == 0 ? h >> 12 : h >> 17; /* up to 1 MiB, most up to 32 KiB */
}

static bool has_reset(uint32_t id) {
    return id % 7 == 3; /* these are reset by somebody, sometime */
}

static bool app_begin(struct end *e, struct yamux_stream *s) {
    for (size_t i = 0; i < APPS; i++) {
        if (e->apps[i].s != NULL) continue;
        e->apps[i] = (struct app){.s = s, .wants = length_of(s->id, e->client)};
        s->user = &e->apps[i];
        return true;
    }
    return false;
}

static void app_end(struct end *e, struct app *a) {
    yamux_drop(&e->y, a->s);
    a->s = NULL;
}

static void app_write(struct end *e, struct app *a, struct rng *rng) {
    static uint8_t chunk[CHUNK];
    uint64_t some = 1 + rng_below(rng, CHUNK); /* not inside MIN, which evaluates twice */
    size_t n = (size_t)MIN(some, a->wants - a->written);
    for (size_t i = 0; i < n; i++) chunk[i] = byte_at(a->s->id, e->client, a->written + i);
    a->written += yamux_write(&e->y, a->s, bytes_at(chunk, n));
    if (a->written == a->wants) yamux_finish(&e->y, a->s);
}

static void end_event(struct end *e, const struct yamux_event *ev, struct rng *rng, struct mono now) {
    struct app *a = ev->stream == NULL ? NULL : ev->stream->user;
    switch (ev->kind) {
    case YAMUX_OPENED: CHECK(app_begin(e, ev->stream), "room for all that inbound_max allows"); break;
    case YAMUX_DATA:
        CHECK(ev->data.n > 0 && ev->stream->held <= ev->stream->window, "held");
        for (size_t i = 0; i < ev->data.n; i++) {
            CHECK(ev->data.p[i] == byte_at(ev->stream->id, !e->client, a->got + i), "stream %u at %llu",
                  ev->stream->id, (unsigned long long)(a->got + i));
        }
        a->got += ev->data.n;
        if (rng_below(rng, 2) == 0) yamux_consumed(&e->y, ev->stream, ev->stream->held, now);
        break;
    case YAMUX_FINISHED:
        CHECK(a->got == length_of(ev->stream->id, !e->client), "all of it");
        e->finished++;
        break;
    case YAMUX_RESET:
        CHECK(has_reset(ev->stream->id) || (ev->stream->opened_here && a->got == 0), "stream %u",
              ev->stream->id);
        if (has_reset(ev->stream->id))
            e->resets++;
        else
            e->refused++;
        app_end(e, a);
        break;
    case YAMUX_WRITABLE:
        CHECK(ev->stream->send_credit > 0, "credit");
        app_write(e, a, rng);
        break;
    case YAMUX_NONE:
    case YAMUX_GOAWAY:
    case YAMUX_PONG: break;
    }
}

/* A random piece of what is on the wire arrives. */
static void end_hear(struct end *e, struct buf *wire, struct rng *rng, struct mono now) {
    struct bytes in = {wire->p, (size_t)rng_below(rng, MIN(wire->n, (size_t)1 << 17) + 1)};
    size_t n = in.n;
    struct yamux_event ev;
    enum err code;
    while ((code = yamux_next(&e->y, &in, now, &ev)) == OK && ev.kind != YAMUX_NONE) {
        end_event(e, &ev, rng, now);
    }
    CHECK(code == OK && in.n == 0, "%s", e->y.why.text);
    buf_drop(wire, n);
}

static void end_act(struct end *e, struct rng *rng, struct mono now) {
    struct app *a = &e->apps[rng_below(rng, APPS)];
    if (a->s == NULL) {
        bool more = e->opened < STREAMS && e->y.outbound < APPS / 2; /* the other end may refuse */
        struct yamux_stream *s = more ? yamux_open(&e->y, now) : NULL;
        if (s == NULL) return;
        e->opened++;
        CHECK(app_begin(e, s), "a slot was free");
    } else if (yamux_closed(a->s)) {
        app_end(e, a);
    } else if (has_reset(a->s->id) && rng_below(rng, 20) == 0) {
        app_end(e, a);
    } else if (rng_below(rng, 3) == 0) {
        yamux_consumed(&e->y, a->s, (size_t)rng_below(rng, a->s->held + 1), now);
    } else if (rng_below(rng, 8) == 0) { /* slow users are done with all of it some day */
        yamux_consumed(&e->y, a->s, a->s->held, now);
    } else {
        app_write(e, a, rng);
    }
}

static bool is_over(const struct end *e) {
    return e->opened == STREAMS && e->y.streams.n == 0 && e->wire.n + e->y.out.n == 0;
}

static void pair_run(uint64_t seed) {
    size_t before = mem_blocks();
    struct rng rng = rng_seeded(seed);
    struct mono now = NOW;
    static struct end ends[2];
    memset(ends, 0, sizeof(ends));
    for (size_t i = 0; i < 2; i++) {
        ends[i].client = i == 0;
        ends[i].wire.max = WIRE_MAX;
        yamux_init(&ends[i].y, i == 0, APPS / 2, YAMUX_WINDOW_MAX, KEEPALIVE_MS, rng_u64(&rng), now);
    }
    for (size_t step = 0;; step++) {
        struct end *e = &ends[rng_below(&rng, 2)], *other = e == ends ? &ends[1] : &ends[0];
        now.us += (int64_t)rng_below(&rng, 200);
        if (rng_below(&rng, 3) == 0)
            end_hear(e, &other->wire, &rng, now);
        else
            end_act(e, &rng, now);
        if (rng_below(&rng, 500) == 0) yamux_ping(&e->y, now);
        CHECK(yamux_tick(&e->y, now) == OK, "%s", e->y.why.text);
        if (rng_below(&rng, 2) == 0 && buf_add(&e->wire, buf_view(&e->y.out))) buf_clear(&e->y.out);
        CHECK(step < STEPS_MAX, "seed %llu: it stalls", (unsigned long long)seed);
        if (is_over(&ends[0]) && is_over(&ends[1])) break;
    }
    for (size_t i = 0; i < 2; i++) {
        CHECK(ends[i].y.inbound + ends[i].y.outbound + ends[i].y.unacked + ends[i].y.grown == 0, "counts");
        CHECK(ends[i].finished > STREAMS && ends[i].resets > 10 && ends[i].refused < STREAMS / 3,
              "%zu finished, %zu reset, %zu refused", ends[i].finished, ends[i].resets, ends[i].refused);
        buf_free(&ends[i].wire);
        yamux_free(&ends[i].y);
    }
    CHECK(mem_blocks() == before, "memory kept");
}

TEST(yamux_two_ends) {
    for (uint64_t i = 0; i < 3; i++) pair_run(test_seed() + i);
}
