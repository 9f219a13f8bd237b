/* ping and perf, both ends, in pieces, with little room. */
#include "proto/ping.h"
#include "tests/fuzz/fuzz.h"

static void ping_server(struct bytes in) {
    struct ping_server p = {.n = 0};
    struct buf out = {.max = 96};
    struct buf all = {.max = 1 << 20}, sent = {.max = 1 << 20};
    while (in.n > 0) {
        struct bytes part = fuzz_exact(fuzz_part(&in)), left = part;
        for (bool all_in = false; !all_in;) {
            size_t before = left.n;
            all_in = ping_server_input(&p, &left, &out);
            MUST(all_in ? left.n == 0 : left.n < before && out.n > 0);
            MUST(buf_add(&sent, buf_view(&out)));
            buf_clear(&out);
        }
        MUST(buf_add(&all, part));
        fuzz_free(part);
    }
    MUST(bytes_eq(bytes_sub(buf_view(&all), 0, all.n - all.n % PING_SIZE), buf_view(&sent)));
    buf_free(&out);
    buf_free(&all);
    buf_free(&sent);
}

static void ping_client(struct bytes in) {
    struct rng rng = rng_seeded(1);
    struct ping_client p = {.matched = 0};
    struct buf out = {.max = 64};
    int64_t now = 5;
    while (in.n > 0) {
        uint8_t what = fuzz_u8(&in);
        bool done = false;
        if (what % 4 == 0) {
            buf_clear(&out);
            MUST(ping_client_send(&p, &rng, (struct mono){now}, &out) && out.n == PING_SIZE);
        }
        struct bytes answer = what & 128 ? fuzz_part(&in) : bytes_sub(buf_view(&out), p.matched, what & 31);
        now += what;
        uint32_t answered = p.answered;
        bool was_out = p.at.us != 0;
        enum err e = ping_client_input(&p, &answer, (struct mono){now}, &done);
        MUST(p.answered == answered + done && (!done || (was_out && p.rtt_us >= 0)));
        if (e != OK) {
            MUST(e == E_PROTO);
            break;
        }
    }
    buf_free(&out);
}

static void perf_server(struct bytes in) {
    struct perf_server p = {.head_n = 0};
    struct buf out = {.max = 100};
    for (bool finished = false; in.n > 0 || !finished;) {
        struct bytes part = fuzz_exact(fuzz_part(&in));
        finished = in.n == 0;
        perf_server_input(&p, part, finished);
        fuzz_free(part);
    }
    MUST(p.sending);
    for (int i = 0; i < 10; i++) {
        uint64_t left = p.to_send;
        bool all = perf_server_fill(&p, &out, 64);
        MUST(all == (p.to_send == 0) && p.to_send == left - out.n && out.n <= 64);
        buf_clear(&out);
    }
    buf_free(&out);
}

static void perf_client(struct bytes in) {
    struct perf_client p;
    struct buf out = {.max = 100};
    uint64_t up = fuzz_u16(&in), down = fuzz_u8(&in) * 7u;
    perf_client_start(&p, up, down);
    uint64_t sent = 0;
    bool done = false, uploaded = false;
    enum err e = OK;
    while (in.n > 0 && e == OK && !done) {
        uint8_t what = fuzz_u8(&in);
        if (what & 1) {
            uploaded = perf_client_fill(&p, &out, what);
            sent += out.n;
            buf_clear(&out);
            MUST(sent <= up + 8 && (!uploaded || sent == up + 8));
        }
        struct bytes part = fuzz_exact(what & 2 ? fuzz_part(&in) : (struct bytes){NULL, 0});
        e = perf_client_input(&p, part, (what & 12) == 12, &done);
        MUST(!done || (e == OK && p.received == down));
        fuzz_free(part);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    switch (fuzz_u8(&in) % 4) {
    case 0: ping_server(in); break;
    case 1: ping_client(in); break;
    case 2: perf_server(in); break;
    case 3: perf_client(in); break;
    }
    fuzz_no_leak(blocks);
    return 0;
}
