#include "base/base.h"

#include "tests/test.h"

TEST(mono_times_far_away_do_not_wrap) { /* found by fuzzing: `log level --for` and `wait_ms` of a control
                                           request */
    static const struct mono now = {1000000};
    CHECK(mono_add_ms(now, 5).us == 1005000 && mono_add_ms(now, -5).us == 995000);
    CHECK(mono_add_ms(now, INT64_MAX).us == INT64_MAX && mono_add_ms(now, INT64_MAX / 1000).us == INT64_MAX);
    CHECK(mono_add_ms((struct mono){INT64_MAX}, 1).us == INT64_MAX);
    CHECK(mono_add_ms(now, INT64_MIN).us == 1); /* long ago, but not "never" */
    CHECK(!mono_due(mono_add_ms(now, INT64_MAX), now) && mono_due(mono_add_ms(now, INT64_MIN), now));
    CHECK(mono_diff_ms(mono_add_ms(now, INT64_MAX), now) > 0);
}
