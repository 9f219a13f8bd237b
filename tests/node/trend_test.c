#include "node/trend.h"

#include <math.h>

#include "crypto/rng.h"
#include "tests/test.h"

#define HOUR INT64_C(3600000)
#define BEGIN INT64_C(1790000000000)

static bool near(double a, double b) {
    return fabs(a - b) < 1e-6 * (1 + fabs(b));
}

TEST(trend_of_a_line_is_the_line) {
    struct trend t = {0};
    double slope = -1;
    for (int i = 0; i < TREND_LEAST; i++) {
        CHECK(!trend_slope(&t, &slope) && trend_days(&t, 1, 2) < 0, "%d values are too few", i);
        trend_add(&t, (struct wall){BEGIN + i * HOUR}, 1e12 + 24e6 * i); /* 576e6 a day */
    }
    CHECK(trend_slope(&t, &slope) && near(slope, 576e6), "%f", slope);
    CHECK(near(trend_days(&t, 1e12, 1e12 + 5760e6), 10));
    CHECK(trend_days(&t, 5, 5) == 0 && trend_days(&t, 6, 5) == 0);
    CHECK(trend_days(&t, 0, 576e6 * 3651.0) < 0); /* further than anybody plans */
}

TEST(trend_that_falls_or_is_flat_reaches_nothing) {
    struct trend flat = {0}, falls = {0}, dense = {0};
    double slope = 5;
    for (int i = 0; i < 48; i++) {
        trend_add(&flat, (struct wall){BEGIN + i * HOUR}, 7);
        trend_add(&falls, (struct wall){BEGIN + i * HOUR}, 100 - i);
        trend_add(&dense, (struct wall){BEGIN + i * 1000}, i); /* less than a day: a guess */
    }
    CHECK(trend_slope(&flat, &slope) && near(slope, 0) && trend_days(&flat, 7, 8) < 0);
    CHECK(trend_slope(&falls, &slope) && near(slope, -24) && trend_days(&falls, 50, 100) < 0);
    CHECK(!trend_slope(&dense, &slope));
}

/* A straight line is certain; noise around a level is not, however long it is; a line under noise is, in
 * time. */
TEST(noise_is_no_trend) {
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct trend flat = {.n = 0}, noise = {.n = 0}, line = {.n = 0}, both = {.n = 0};
        struct rng rng = rng_seeded(seed);
        for (int hour = 0; hour < 31 * 24; hour++) {
            struct wall at = {hour * INT64_C(3600000)};
            double r = (double)rng_below(&rng, 1000) / 100 - 5;
            trend_add(&flat, at, 7);
            trend_add(&noise, at, 30 + r);
            trend_add(&line, at, hour / 24.0);
            trend_add(&both, at, 30 + hour / 24.0 + r);
        }
        CHECK(!trend_certain(&flat) && !trend_certain(&noise), "seed %u", seed);
        CHECK(trend_certain(&line) && trend_certain(&both), "seed %u", seed);
        CHECK(trend_end(&line) > 30.9 && trend_end(&line) < 31, "%g", trend_end(&line));
    }
    struct trend few = {.n = 0};
    trend_add(&few, (struct wall){0}, 1);
    CHECK(!trend_certain(&few) && trend_end(&few) != trend_end(&few));
}
