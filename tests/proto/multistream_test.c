#include "proto/multistream.h"

#include "base/mem.h"
#include "crypto/rng.h"
#include "tests/test.h"

#define HEAD "\x13/multistream/1.0.0\n"
#define YAMUX "\x0d/yamux/1.0.0\n"
#define NOISE "\x07/noise\n"
#define NA "\x03na\n"
#define CONST(literal)                                                                                       \
    { (const uint8_t *)("" literal), sizeof(literal) - 1 } /* BYTES, for static tables */
static const char *const noise[] = {"/noise", NULL};
static const char *const both[] = {"/yamux/1.0.0", "/noise", NULL};
static const char *const none[] = {NULL};

/* One row: what comes in, what must go out, how it ends, what stays unread. */
struct row {
    const char *name;
    struct bytes in, out;
    size_t left;
    enum err want;
    bool done;
};

static const struct row listener_rows[] = {
    {"agreed", CONST(HEAD NOISE), CONST(HEAD NOISE), 0, OK, true},
    {"refused, agreed, data", CONST(HEAD "\x0b/tls/1.0.0\n" NOISE "DATA"), CONST(HEAD NA NOISE), 4, OK, true},
    {"ls is refused", CONST(HEAD "\x03ls\n\x07/noise\n"), CONST(HEAD NA NOISE), 0, OK, true},
    {"na as a proposal", CONST(HEAD NA), CONST(HEAD NA), 0, OK, false},
    {"empty proposal", CONST(HEAD "\x01\n"), CONST(HEAD NA), 0, OK, false},
    {"prefix of an offer", CONST(HEAD "\x06/nois\n\x08/noise2\n"), CONST(HEAD NA NA), 0, OK, false},
    {"header as a proposal", CONST(HEAD HEAD), CONST(HEAD NA), 0, OK, false},
    {"NUL inside", CONST(HEAD "\x08/noise\0\n"), CONST(HEAD NA), 0, OK, false},
    {"nothing", {NULL, 0}, {NULL, 0}, 0, OK, false},
    {"half a header", CONST("\x13/multi"), {NULL, 0}, 7, OK, false},
    {"other header", CONST("\x13/multistream/2.0.0\n"), {NULL, 0}, 0, E_PROTO, false},
    {"proposal first", CONST(NOISE HEAD), {NULL, 0}, 20, E_PROTO, false},
    {"length 0", CONST("\x00" HEAD), {NULL, 0}, 21, E_PROTO, false},
    {"length 1025", CONST("\x81\x08" HEAD), {NULL, 0}, 22, E_PROTO, false},
    {"overlong length", CONST("\x93\x00" HEAD), {NULL, 0}, 22, E_PROTO, false},
    {"endless length", CONST("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), {NULL, 0}, 10, E_PROTO, false},
    {"no newline", CONST(HEAD "\x06/noise\n"), CONST(HEAD), 1, E_PROTO, false},
    {"TLS instead",
     CONST("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 0123456789ab"),
     {NULL, 0},
     0,
     E_PROTO,
     false},
    {"HTTP instead", CONST("GET / HTTP/1.1\r\n\r\n"), {NULL, 0}, 18, OK, false}, /* a G is a length */
};

static const struct row dialer_rows[] = {
    {"agreed", CONST(HEAD YAMUX "X"), CONST(HEAD YAMUX), 1, OK, true},
    {"second", CONST(HEAD NA NOISE), CONST(HEAD YAMUX NOISE), 0, OK, true},
    {"none", CONST(HEAD NA NA "X"), CONST(HEAD YAMUX NOISE), 1, E_REFUSED, false},
    {"not what was asked", CONST(HEAD NOISE), CONST(HEAD YAMUX), 0, E_PROTO, false},
    {"other header", CONST("\x13/multistream/1.0.1\n"), CONST(HEAD YAMUX), 0, E_PROTO, false},
    {"na instead of a header", CONST(NA), CONST(HEAD YAMUX), 0, E_PROTO, false},
    {"length 0", CONST(HEAD "\x00"), CONST(HEAD YAMUX), 1, E_PROTO, false},
    {"cut", CONST(HEAD "\x0d/yamux/1.0"), CONST(HEAD YAMUX), 11, OK, false},
};

/* Either end, so that both can be fed alike. */
struct end {
    bool dials;
    struct multistream_listener l;
    struct multistream_dialer d;
    struct buf out;
};

static enum err end_start(struct end *e, bool dials, const char *const *names, size_t max) {
    *e = (struct end){.dials = dials, .out = {.max = max}};
    if (dials) return multistream_dial(&e->d, names, &e->out);
    multistream_listen(&e->l, names);
    return OK;
}

static enum err end_input(struct end *e, struct bytes *in) {
    return e->dials ? multistream_dialer_input(&e->d, false, in, &e->out)
                    : multistream_listener_input(&e->l, in, &e->out);
}

static bool end_done(const struct end *e) {
    return e->dials ? e->d.state == MSD_DONE : e->l.state == MSL_DONE;
}

static void check_row(const struct row *row, bool dials, struct rng *rng) {
    struct end e;
    struct bytes rest = row->in, in = {rest.p, 0};
    enum err got = end_start(&e, dials, both, 4096);
    while (rest.n > 0) {
        in.n += bytes_take(&rest, 1 + (size_t)rng_below(rng, rest.n)).n;
        got = end_input(&e, &in);
    }
    const char *why = dials ? e.d.why.text : e.l.why.text;
    CHECK(got == row->want && end_done(&e) == row->done, "%s: %s", row->name, why);
    /* of broken input, how much is left depends on the pieces */
    CHECK(got != OK || in.n == row->left, "%s: %zu left", row->name, in.n);
    CHECK(bytes_eq(buf_view(&e.out), row->out), "%s: %.*s", row->name, (int)e.out.n, (const char *)e.out.p);
    struct bytes more = BYTES(HEAD NOISE);
    CHECK(got == OK || (end_input(&e, &more) == got && more.n == 28), "%s: it stays dead", row->name);
    buf_free(&e.out);
}

TEST(both_ends_say_what_they_must_in_any_pieces) {
    struct rng rng = rng_seeded(test_seed());
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < LEN(listener_rows); i++) check_row(&listener_rows[i], false, &rng);
        for (size_t i = 0; i < LEN(dialer_rows); i++) check_row(&dialer_rows[i], true, &rng);
    }
}

TEST(what_was_chosen) {
    struct end e;
    struct bytes in = BYTES(HEAD NOISE);
    CHECK(end_start(&e, false, both, 100) == OK && end_input(&e, &in) == OK && e.l.chosen == 1);
    buf_free(&e.out);
    in = BYTES(HEAD NA NOISE);
    CHECK(end_start(&e, true, both, 100) == OK && end_input(&e, &in) == OK && e.d.proposed == 1);
    buf_free(&e.out);
}

/* One line of n bytes in all: lengths at and behind the limit. */
TEST(a_line_of_1024_bytes_passes_and_one_more_does_not) {
    for (size_t n = MULTISTREAM_LINE_MAX; n <= MULTISTREAM_LINE_MAX + 1; n++) {
        struct end e;
        struct buf in = {.max = 4096};
        CHECK(end_start(&e, false, noise, 4096) == OK);
        CHECK(buf_add(&in, BYTES(HEAD)) && wr_varint(&in, n));
        for (size_t i = 0; i + 1 < n; i++) buf_add_byte(&in, 'x');
        CHECK(buf_add(&in, BYTES("\n")));
        struct bytes view = buf_view(&in);
        CHECK(end_input(&e, &view) == (n == MULTISTREAM_LINE_MAX ? OK : E_PROTO), "%zu", n);
        buf_free(&in);
        buf_free(&e.out);
    }
}

TEST(sixteen_refusals_are_the_end) {
    struct end e;
    struct bytes in = BYTES(HEAD);
    CHECK(end_start(&e, false, noise, 4096) == OK && end_input(&e, &in) == OK);
    for (int i = 1; i < MULTISTREAM_TRIES_MAX; i++) {
        in = BYTES("\x03ls\n");
        CHECK(end_input(&e, &in) == OK, "%d", i);
    }
    struct end copy = e; /* agreed at the last try */
    copy.out = (struct buf){.max = 100};
    in = BYTES(NOISE);
    CHECK(end_input(&copy, &in) == OK && end_done(&copy));
    in = BYTES("\x03ls\n");
    CHECK(end_input(&e, &in) == E_LIMIT && e.l.state == MSL_DEAD);
    buf_free(&copy.out);
    buf_free(&e.out);
}

TEST(an_optimistic_dialer_does_not_propose_again) {
    struct multistream_dialer d;
    struct buf out = {.max = 100};
    struct bytes in = BYTES(HEAD NA);
    CHECK(multistream_dial(&d, both, &out) == OK);
    size_t before = out.n;
    CHECK(multistream_dialer_input(&d, true, &in, &out) == E_REFUSED && out.n == before);
    buf_free(&out);
}

TEST(nothing_to_propose) {
    struct multistream_dialer d;
    struct buf out = {.max = 100};
    CHECK(multistream_dial(&d, none, &out) == E_REFUSED && out.n == 0 && d.state == MSD_DEAD);
}

TEST(a_full_output_is_an_error_and_leaves_no_half_message) {
    static const struct bytes listener_says = CONST(HEAD NA NOISE);
    for (size_t max = 0; max <= listener_says.n; max++) {
        struct end e;
        struct bytes in = BYTES(HEAD "\x03ls\n\x07/noise\n");
        end_start(&e, false, noise, max);
        CHECK(end_input(&e, &in) == (max == listener_says.n ? OK : E_LIMIT), "%zu", max);
        CHECK(e.out.n == (max < 20 ? 0 : max < 24 ? 20 : max < 32 ? 24 : 32), "%zu: %zu", max, e.out.n);
        buf_free(&e.out);
    }
    for (size_t max = 0; max <= 36; max++) { /* header, two proposals */
        struct end e;
        struct bytes in = BYTES(HEAD NA);
        enum err started = end_start(&e, true, both, max);
        CHECK(started == (max < 34 ? E_LIMIT : OK), "%zu", max);
        if (started == OK) CHECK(end_input(&e, &in) == E_LIMIT);
        CHECK(e.out.n == (max < 34 ? 0 : 34), "%zu: %zu", max, e.out.n);
        buf_free(&e.out);
    }
}

TEST(no_memory) {
    struct end e;
    struct bytes in = BYTES(HEAD NOISE);
    end_start(&e, false, noise, 100);
    mem_fail_after(0);
    CHECK(end_input(&e, &in) == E_LIMIT);
    mem_fail_after(0);
    CHECK(end_start(&e, true, noise, 100) == E_LIMIT);
    mem_fail_after(-1);
    CHECK(mem_blocks() == 0);
}

TEST(flipped_bits_end_in_a_defined_state) {
    static const struct bytes good = CONST(HEAD "\x03ls\n\x07/noise\n");
    uint8_t bad[64];
    for (size_t bit = 0; bit < 8 * good.n; bit++) {
        struct end e;
        memcpy(bad, good.p, good.n);
        bad[bit / 8] = (uint8_t)(bad[bit / 8] ^ 1U << bit % 8);
        struct bytes in = bytes_at(bad, good.n);
        end_start(&e, false, noise, 4096);
        enum err got = end_input(&e, &in);
        bool proposal = bit / 8 >= 21 && bit / 8 < 23; /* the refused name may be any */
        CHECK(end_done(&e) == proposal, "bit %zu", bit);
        CHECK(got == OK || e.l.state == MSL_DEAD, "bit %zu", bit);
        buf_free(&e.out);
    }
}

TEST(two_ends_agree) {
    static const char *const wants[] = {"/tls/1.0.0", "/plaintext/2.0.0", "/noise", NULL};
    struct end d, l;
    struct bytes to_l, to_d;
    CHECK(end_start(&d, true, wants, 4096) == OK && end_start(&l, false, both, 4096) == OK);
    size_t d_sent = 0, l_sent = 0;
    for (int i = 0; i < 10 && !(end_done(&d) && end_done(&l)); i++) {
        to_l = bytes_skip(buf_view(&d.out), d_sent);
        d_sent = d.out.n;
        CHECK(end_input(&l, &to_l) == OK && to_l.n == 0);
        to_d = bytes_skip(buf_view(&l.out), l_sent);
        l_sent = l.out.n;
        CHECK(end_input(&d, &to_d) == OK && to_d.n == 0);
    }
    CHECK(end_done(&d) && end_done(&l) && d.d.proposed == 2 && l.l.chosen == 1);
    buf_free(&d.out);
    buf_free(&l.out);
}
