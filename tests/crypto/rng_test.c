#include "crypto/rng.h"

#include "tests/test.h"

TEST(rng_seeded_repeats_and_seeds_differ) {
    uint8_t a[2000], b[2000], c[2000];
    struct rng r1 = rng_seeded(7), r2 = rng_seeded(7), r3 = rng_seeded(8);
    rng_fill(&r1, a, sizeof a);
    for (size_t n = 0, step = 1; n < sizeof b;
         n += step, step = step % 700 + 13) /* in pieces of other sizes */
        rng_fill(&r2, b + n, MIN(step, sizeof b - n));
    rng_fill(&r3, c, sizeof c);
    CHECK(memcmp(a, b, sizeof a) == 0, "the same seed gave other bytes");
    CHECK(memcmp(a, c, sizeof a) != 0, "another seed gave the same bytes");
}
TEST(rng_forgets_what_it_gave) {
    struct rng r = rng_seeded(1);
    uint8_t out[64], zero[64] = {0};
    rng_fill(&r, out, sizeof out);
    CHECK(r.left == sizeof r.pool - sizeof out, "left %zu", r.left);
    CHECK(memcmp(r.pool, zero, sizeof out) == 0, "given bytes are still there");
    CHECK(memcmp(out, zero, sizeof out) != 0, "no bytes");
    rng_wipe(&r);
    CHECK(r.left == 0 && memcmp(r.key, zero, sizeof r.key) == 0, "not wiped");
}
TEST(rng_fork_and_system_are_independent) {
    CHECK(crypto_open() == OK, "crypto_open");
    CHECK(crypto_open() == OK, "a second time");
    struct rng parent = rng_seeded(3), child = rng_fork(&parent), first, second;
    CHECK(rng_u64(&parent) != rng_u64(&child), "a fork repeats its parent");
    rng_system(&first);
    rng_system(&second);
    CHECK(rng_u64(&first) != rng_u64(&second), "the kernel repeats itself");
}
TEST(rng_below_stays_below_and_reaches_all) {
    struct rng r = rng_seeded(test_seed());
    unsigned seen[6] = {0};
    for (int i = 0; i < 6000; i++) {
        uint64_t v = rng_below(&r, LEN(seen));
        CHECK(v < LEN(seen), "%llu", (unsigned long long)v);
        if (v < LEN(seen)) seen[v]++;
    }
    for (size_t i = 0; i < LEN(seen); i++)
        CHECK(seen[i] > 700, "value %zu came %u times of 6000", i, seen[i]);
    CHECK(rng_below(&r, 0) == 0 && rng_below(&r, 1) == 0, "0 and 1");
    for (int i = 0; i < 100; i++) {
        uint64_t n = (UINT64_C(1) << 63) + 1; /* nearly half of all draws must be thrown away */
        CHECK(rng_below(&r, n) < n, "beyond n");
    }
}
TEST(rng_jitter_is_within_its_share) {
    struct rng r = rng_seeded(test_seed());
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 2000; i++) {
        int64_t v = rng_jitter(&r, 1000, 20);
        least = MIN(least, v);
        most = MAX(most, v);
    }
    CHECK(least >= 800 && least < 820 && most <= 1200 && most > 1180, "%lld to %lld", (long long)least,
          (long long)most);
    CHECK(rng_jitter(&r, 1000, 0) == 1000 && rng_jitter(&r, 0, 50) == 0 && rng_jitter(&r, -5, 50) == -5,
          "edges");
    for (int i = 0; i < 100; i++) {
        CHECK(rng_jitter(&r, INT64_MAX, 100) >= 0, "overflow");
        CHECK(rng_jitter(&r, 10, 1000) >= 0 && rng_jitter(&r, 10, 1000) <= 20, "more than 100 percent");
    }
}
