/* tests/proto/ping_test.c: ping and perf, both ends, in any pieces */
#include "proto/ping.h"

#include "base/mem.h"
#include "tests/test.h"

TEST(ping_echoes_whole_blocks_in_any_pieces) {
    struct rng rng = rng_seeded(test_seed());
    for (unsigned round = 0; round < 200; round++) {
        uint8_t in[5 * PING_SIZE];
        size_t n = rng_below(&rng, sizeof(in) + 1);
        struct ping_server p = {0};
        struct buf out = {.max = sizeof(in)};
        struct bytes rest = bytes_at(in, n);
        rng_fill(&rng, in, sizeof(in));
        while (rest.n > 0) {
            struct bytes part = bytes_take(&rest, 1 + rng_below(&rng, 40));
            CHECK(ping_server_input(&p, &part, &out) && part.n == 0);
            size_t whole = (n - rest.n) / PING_SIZE * PING_SIZE;
            CHECK(bytes_eq(buf_view(&out), bytes_at(in, whole)), "%zu of %zu", n - rest.n, n);
        }
        buf_free(&out);
    }
}

TEST(ping_waits_while_the_output_is_full) {
    uint8_t in[3 * PING_SIZE];
    for (size_t i = 0; i < sizeof(in); i++) in[i] = (uint8_t)i;
    for (size_t max = 0; max < sizeof(in); max++) {
        struct ping_server p = {0};
        struct buf out = {.max = max};
        struct bytes left = bytes_at(in, sizeof(in));
        CHECK(!ping_server_input(&p, &left, &out), "%zu", max);
        CHECK(out.n == max / PING_SIZE * PING_SIZE && left.n == sizeof(in) - out.n, "%zu", max);
        out.max = sizeof(in);
        CHECK(ping_server_input(&p, &left, &out) && left.n == 0, "%zu", max);
        CHECK(bytes_eq(buf_view(&out), bytes_at(in, sizeof(in))), "%zu", max);
        buf_free(&out);
    }
}

TEST(ping_loses_no_block_for_want_of_memory) {
    uint8_t in[PING_SIZE] = "a block that must come back";
    struct ping_server p = {0};
    struct buf out = {.max = 1000};
    struct bytes left = bytes_at(in, sizeof(in));
    mem_fail_after(0);
    bool done = ping_server_input(&p, &left, &out);
    mem_fail_after(-1);
    CHECK(!done && out.n == 0);
    CHECK(ping_server_input(&p, &left, &out) && bytes_eq(buf_view(&out), bytes_at(in, sizeof(in))));
    buf_free(&out);
}

TEST(ping_client_measures_the_round_trip) {
    struct rng rng = rng_seeded(test_seed());
    struct ping_client p = {0};
    struct buf out = {.max = 100};
    for (uint32_t round = 1; round <= 50; round++) {
        bool done = false;
        buf_clear(&out);
        CHECK(ping_client_send(&p, &rng, (struct mono){1000}, &out) && out.n == PING_SIZE);
        struct bytes answer = buf_view(&out);
        while (answer.n > 0) {
            CHECK(!done);
            struct bytes part = bytes_take(&answer, 1 + rng_below(&rng, PING_SIZE));
            CHECK(ping_client_input(&p, &part, (struct mono){1000 + round}, &done) == OK && part.n == 0);
        }
        CHECK(done && p.rtt_us == round && p.answered == round && p.at.us == 0);
    }
    uint8_t first[PING_SIZE];
    memcpy(first, out.p, PING_SIZE);
    buf_clear(&out);
    CHECK(ping_client_send(&p, &rng, (struct mono){1}, &out) && memcmp(first, out.p, PING_SIZE) != 0);
    buf_free(&out);
}

TEST(ping_client_knows_its_own_bytes) {
    struct rng rng = rng_seeded(test_seed());
    for (size_t bit = 0; bit < 8 * PING_SIZE; bit++) {
        struct ping_client p = {0};
        struct buf out = {.max = 100};
        bool done = true;
        CHECK(ping_client_send(&p, &rng, (struct mono){1}, &out));
        out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct bytes answer = buf_view(&out);
        CHECK(ping_client_input(&p, &answer, (struct mono){2}, &done) == E_PROTO && !done, "bit %zu", bit);
        CHECK(p.answered == 0);
        buf_free(&out);
    }
}

TEST(ping_client_takes_no_answer_to_nothing) {
    struct rng rng = rng_seeded(test_seed());
    struct ping_client p = {0};
    struct buf out = {.max = 100};
    struct bytes in = {NULL, 0};
    bool done = true;
    CHECK(ping_client_input(&p, &in, (struct mono){2}, &done) == OK && !done);
    in = BYTES("x");
    CHECK(ping_client_input(&p, &in, (struct mono){2}, &done) == E_PROTO && !done);
    CHECK(ping_client_send(&p, &rng, (struct mono){1}, &out) && buf_add_text(&out, "more"));
    in = buf_view(&out); /* what is behind the answer stays, and is an answer to nothing */
    CHECK(ping_client_input(&p, &in, (struct mono){2}, &done) == OK && done && bytes_is(in, "more"));
    CHECK(ping_client_input(&p, &in, (struct mono){2}, &done) == E_PROTO && !done);
    out.max = out.n + PING_SIZE - 1;
    CHECK(!ping_client_send(&p, &rng, (struct mono){1}, &out));
    buf_free(&out);
}

/* ---- perf */

static uint8_t many[1 << 16];

/* A server that was told to send `wanted` bytes after an upload of `upload`, all in pieces of `piece`. */
static struct perf_server told(uint64_t wanted, size_t upload, size_t piece) {
    struct perf_server p = {0};
    uint8_t in[8 + 100] = {0};
    struct bytes rest = bytes_at(in, 8 + upload);
    put_u64(in, wanted);
    CHECK(upload <= 100);
    while (rest.n > 0) {
        CHECK(!p.sending);
        perf_server_input(&p, bytes_take(&rest, piece), false);
    }
    perf_server_input(&p, (struct bytes){NULL, 0}, true);
    CHECK(p.sending && p.received == upload && p.to_send == wanted, "piece %zu", piece);
    return p;
}

TEST(perf_server_gives_what_was_wanted) {
    for (size_t piece = 1; piece < 20; piece++) {
        struct perf_server p = told(1000, 37, piece);
        struct buf out = {.max = 4000};
        size_t n = 0;
        while (!perf_server_fill(&p, &out, 300)) {
            CHECK(out.n > n && out.n - n <= 300);
            n = out.n;
        }
        CHECK(out.n == 1000 && perf_server_fill(&p, &out, 300) && out.n == 1000);
        for (size_t i = 0; i < out.n; i++) CHECK(out.p[i] == 0);
        buf_free(&out);
    }
    struct perf_server p = told(UINT64_MAX, 0, 8); /* as much as it likes: never more than room at once */
    struct buf out = {.max = sizeof(many)};
    CHECK(!perf_server_fill(&p, &out, 1000) && out.n == 1000 && p.to_send == UINT64_MAX - 1000);
    CHECK(!perf_server_fill(&p, &out, SIZE_MAX) && out.n == sizeof(many));
    CHECK(!perf_server_fill(&p, &out, 10) && out.n == sizeof(many));
    buf_free(&out);
    p = told(0, 100, 50);
    CHECK(perf_server_fill(&p, &out, 100) && out.n == 0);
}

TEST(perf_server_of_an_upload_cut_short_sends_nothing) {
    for (size_t n = 0; n < 8; n++) {
        struct perf_server p = {0};
        struct buf out = {.max = 100};
        perf_server_input(&p, bytes_at("\xff\xff\xff\xff\xff\xff\xff", n), true);
        CHECK(p.sending && p.received == 0 && perf_server_fill(&p, &out, 100) && out.n == 0, "%zu", n);
        buf_free(&out);
    }
    struct perf_server p = told(10, 0, 8); /* what comes after the end changes nothing */
    perf_server_input(&p, bytes_at(many, 8), true);
    CHECK(p.to_send == 10);
}

TEST(perf_survives_want_of_memory) {
    struct perf_server p = told(1000, 0, 8);
    struct buf out = {.max = 4000};
    mem_fail_after(0);
    CHECK(!perf_server_fill(&p, &out, 1000) && out.n == 0 && p.to_send == 1000);
    struct perf_client c;
    perf_client_start(&c, 100, 7);
    mem_fail_after(0);
    CHECK(!perf_client_fill(&c, &out, 1000) && out.n == 0 && !c.head_sent);
    mem_fail_after(-1);
    CHECK(perf_server_fill(&p, &out, 1000) && out.n == 1000);
    CHECK(perf_client_fill(&c, &out, 1000) && out.n == 1108);
    buf_free(&out);
}

TEST(perf_client_says_how_much_and_uploads_it) {
    static const uint64_t uploads[] = {0, 1, 299, 300, 301, 5000};
    for (size_t i = 0; i < LEN(uploads); i++) {
        for (size_t room = 1; room < 400; room += room < 20 ? 1 : 29) {
            struct perf_client c;
            struct buf out = {.max = 10000};
            perf_client_start(&c, uploads[i], 0x0102030405060708);
            size_t turns = 0;
            while (!perf_client_fill(&c, &out, room) && turns++ < 10000) CHECK(room < 8 || out.n > 0);
            if (room < 8) {
                CHECK(out.n == 0 && !c.upload_done); /* the head goes out whole */
            } else {
                CHECK(out.n == 8 + uploads[i] && bytes_starts(buf_view(&out), "\1\2\3\4\5\6\7\x08"));
                CHECK(perf_client_fill(&c, &out, room) && out.n == 8 + uploads[i]);
            }
            buf_free(&out);
        }
    }
}

TEST(perf_client_counts_what_comes_back) {
    static const struct {
        const char *what;
        size_t wanted, first, second;
        bool uploaded, finished, done;
        enum err want;
    } rows[] = {
        {"all", 100, 60, 40, true, true, true, OK},
        {"nothing, as wanted", 0, 0, 0, true, true, true, OK},
        {"not at its end", 100, 60, 40, true, false, false, OK},
        {"one too few", 100, 60, 39, true, true, false, E_CLOSED},
        {"one too many", 100, 60, 41, true, false, false, E_PROTO},
        {"before the upload was done", 100, 0, 1, false, false, false, E_PROTO},
        {"the end before the upload was done", 100, 0, 0, false, true, false, E_CLOSED},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct perf_client c;
        struct buf out = {.max = 100};
        bool done = true;
        perf_client_start(&c, rows[i].uploaded ? 0 : 5, rows[i].wanted);
        CHECK(perf_client_fill(&c, &out, 8) == rows[i].uploaded);
        CHECK(perf_client_input(&c, bytes_at(many, rows[i].first), false, &done) == OK && !done, "%s",
              rows[i].what);
        enum err e = perf_client_input(&c, bytes_at(many, rows[i].second), rows[i].finished, &done);
        CHECK(e == rows[i].want && done == rows[i].done, "%s: %s", rows[i].what, err_name(e));
        buf_free(&out);
    }
}

TEST(perf_both_ends) {
    struct rng rng = rng_seeded(test_seed());
    for (unsigned round = 0; round < 100; round++) {
        uint64_t up = rng_below(&rng, 5000), down = rng_below(&rng, 5000);
        struct perf_client c;
        struct perf_server s = {0};
        struct buf wire = {.max = 6000};
        perf_client_start(&c, up, down);
        for (bool sent = false; !sent;) {
            sent = perf_client_fill(&c, &wire, 8 + rng_below(&rng, 1000));
            perf_server_input(&s, buf_view(&wire), sent);
            buf_clear(&wire);
        }
        CHECK(s.received == up && s.sending);
        bool done = false;
        for (bool sent = false; !sent;) {
            CHECK(!done);
            sent = perf_server_fill(&s, &wire, 1 + rng_below(&rng, 1000));
            CHECK(perf_client_input(&c, buf_view(&wire), sent, &done) == OK);
            buf_clear(&wire);
        }
        CHECK(done && c.received == down);
        buf_free(&wire);
    }
}
