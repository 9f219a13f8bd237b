#include "node/recent.h"

#include "tests/test.h"

static struct mono at_ms(int64_t ms) {
    return (struct mono){ms * 1000};
}

TEST(recent_is_of_the_window) {
    static struct recent r;
    r = (struct recent){.n = 0};
    struct recent_sum s = recent_sum(&r, at_ms(5000), 300000);
    CHECK(s.samples == 0 && s.p50_ms == -1 && s.p95_ms == -1 && s.max_ms == -1 && s.operations == 0);
    for (int i = 1; i <= 100; i++) {
        recent_latency(&r, at_ms(1000000 + i), 101 - i);
        recent_operation(&r, at_ms(1000000 + i), i <= 7);
    }
    s = recent_sum(&r, at_ms(1000200), 300000);
    CHECK(s.samples == 100 && s.p50_ms == 50 && s.p95_ms == 95 && s.max_ms == 100);
    CHECK(s.operations == 100 && s.failed == 7);
    s = recent_sum(&r, at_ms(1000000 + 51 + 300000 - 1), 300000);
    CHECK(s.samples == 50 && s.max_ms == 50, "%zu %lld", s.samples, (long long)s.max_ms); /* 51 to 100 */
    CHECK(recent_sum(&r, at_ms(1310000), 300000).operations == 0);
    CHECK(recent_sum(&r, at_ms(1310000), 3600000).operations == 100);
    CHECK(recent_sum(&r, at_ms(1310000), INT64_MAX).samples == 100);
    recent_operation(&r, at_ms(1000000 + RECENT_SLOTS * RECENT_SLOT_MS), true); /* the slot is used again */
    s = recent_sum(&r, at_ms(1000000 + RECENT_SLOTS * RECENT_SLOT_MS), 3600000);
    CHECK(s.operations == 1 && s.failed == 1);
}

TEST(recent_keeps_the_newest_samples) {
    static struct recent r;
    r = (struct recent){.n = 0};
    for (int i = 0; i < RECENT_SAMPLES + 10; i++) recent_latency(&r, at_ms(1000), i < 10 ? 1000000 : 5);
    struct recent_sum s = recent_sum(&r, at_ms(1000), 60000);
    CHECK(s.samples == RECENT_SAMPLES && s.max_ms == 5);
    recent_latency(&r, at_ms(1000), -4);
    recent_latency(&r, at_ms(1000), INT64_MAX);
    CHECK(recent_sum(&r, at_ms(1000), 60000).max_ms == (int64_t)UINT32_MAX);
}

TEST(histogram_counts_up_to_each_bound) {
    struct histogram h = {{0}, 0};
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        histogram_add(&h, histogram_bounds_us[i]);
        histogram_add(&h, histogram_bounds_us[i] + 1);
        CHECK(i == 0 || histogram_bounds_us[i] > histogram_bounds_us[i - 1]);
    }
    CHECK(h.bucket[0] == 1 && h.bucket[1] == 2 && h.bucket[HISTOGRAM_BOUNDS] == 1);
    histogram_add(&h, -5);
    CHECK(h.bucket[0] == 2);
    histogram_add(&h, INT64_MAX);
    CHECK(h.sum_us == INT64_MAX && h.bucket[HISTOGRAM_BOUNDS] == 2);
}
