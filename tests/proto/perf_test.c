#include "proto/ping.h"

#include "tests/test.h"

TEST(perf_server_is_told_nothing) { /* found by fuzzing: an empty view has no address to copy from */
    struct perf_server p = {.head_n = 0};
    struct buf out = {.max = 100};
    perf_server_input(&p, (struct bytes){NULL, 0}, false);
    CHECK(!p.sending && p.head_n == 0);
    perf_server_input(&p, (struct bytes){NULL, 0}, true);
    CHECK(p.sending && perf_server_fill(&p, &out, 10) && out.n == 0);
}

TEST(perf_server_sends_what_was_asked_for) {
    struct perf_server p = {.head_n = 0};
    struct buf out = {.max = 100};
    perf_server_input(&p, BYTES("\0\0\0\0"), false);
    perf_server_input(&p, BYTES("\0\0\0\x0c" "uploaded"), false);
    perf_server_input(&p, BYTES("more"), true);
    CHECK(p.received == 12 && p.to_send == 12);
    CHECK(!perf_server_fill(&p, &out, 10) && out.n == 10);
    CHECK(perf_server_fill(&p, &out, 10) && out.n == 12);
    buf_free(&out);
}
