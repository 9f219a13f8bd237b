/* tests/base/time_test.c: wall time as RFC 3339; expected numbers from `date -u -d ... +%s` */
#include "base/base.h"
#include "tests/test.h"

TEST(wall_text_and_back) {
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {1771755330123, "2026-02-22T10:15:30.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {951868799999, "2000-02-29T23:59:59.999Z"},
        {951868800000, "2000-03-01T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {4107542399000, "2100-02-28T23:59:59.000Z"},
        {1709164800000, "2024-02-29T00:00:00.000Z"},
        {1735689599999, "2024-12-31T23:59:59.999Z"},
        {2147483648000, "2038-01-19T03:14:08.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {-62135596800000, "0001-01-01T00:00:00.000Z"},
        {-62167219200000, "0000-01-01T00:00:00.000Z"},
    };
    char out[32];
    for (size_t i = 0; i < LEN(rows); i++) {
        struct wall t = {7};
        wall_text((struct wall){rows[i].ms}, out);
        CHECK(strcmp(out, rows[i].text) == 0, "%s, not %s", out, rows[i].text);
        CHECK(wall_parse(bytes_of(out), &t) && t.ms == rows[i].ms, "%s: %lld", out, (long long)t.ms);
    }
    wall_text((struct wall){INT64_MAX}, out);
    CHECK(strcmp(out, "292278994-08-17T07:12:55.807Z") == 0, "%s", out);
    wall_text((struct wall){INT64_MIN}, out); /* the longest: 31 characters */
    CHECK(strcmp(out, "-292275055-05-16T16:47:04.192Z") == 0, "%s", out);
}

TEST(wall_every_day_of_800_years_follows_the_one_before) {
    char out[32], before[32] = "";
    for (int64_t day = -146097; day < 146097; day++) {
        struct wall t = {day * 86400000 + 43200000}, back;
        wall_text(t, out);
        CHECK(strcmp(out, before) > 0 && wall_parse(bytes_of(out), &back) && back.ms == t.ms, "%s", out);
        memcpy(before, out, sizeof(out));
    }
}

TEST(wall_parse_forms) {
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {
        {"2026-02-22T10:15:30Z", 1771755330000},
        {"2026-02-22t10:15:30z", 1771755330000},
        {"2026-02-22T12:15:30+02:00", 1771755330000},
        {"2026-02-22T04:45:30-05:30", 1771755330000},
        {"2026-02-22T00:15:30.5-10:00", 1771755330500},
        {"2026-02-23T00:15:30+14:00", 1771755330000},
        {"2026-02-22T10:15:30.123456789Z", 1771755330123},
        {"2026-02-22T10:15:30-00:00", 1771755330000},
        {"2026-02-22 10:15:30Z", 1771755330000},
        {"2026-02-22 10:15:30", 1771755330000},
        {"2026-02-22 10:15:30.25", 1771755330250},
        {"2026-02-22 10:15", 1771755300000},
        {"2026-02-22", 1771718400000},
        {"2024-03-01T00:30:00+01:00", 1709249400000}, /* 29 February, 23:30 */
        {"2016-12-31T23:59:60Z", 1483228800000},      /* a leap second */
        {"2026-02-22T10:15Z", -1},
        {"2026-02-22T10:15:30", -1},
        {"2026-02-22T10:15:30.Z", -1},
        {"2026-02-22T", -1},
        {"2026-02-22 ", -1},
        {"2026-02-22Z", -1},
        {"2026-02-22T24:00:00Z", -1},
        {"2026-02-22T10:60:00Z", -1},
        {"2026-02-22T10:15:61Z", -1},
        {"2026-02-22T10:15:30+24:00", -1},
        {"2026-02-22T10:15:30+02:60", -1},
        {"2026-02-22T10:15:30+0200", -1},
        {"2026-02-22T10:15:30+02", -1},
        {"2026-02-22T10:15:30ZZ", -1},
        {"2026-02-22T10:15:30 Z", -1},
        {"2026-02-22T1:15:30Z", -1},
        {"2026-2-22", -1},
        {"26-02-22", -1},
        {"", -1},
        {"2026-02-29", -1},
        {"2100-02-29", -1},
        {"2024-02-30", -1},
        {"2026-04-31", -1},
        {"2026-13-01", -1},
        {"2026-00-01", -1},
        {"2026-01-00", -1},
        {"2026-01-32", -1},
        {"+026-01-01", -1},
        {"2026/01/01", -1},
        {"2026-02-22X10:15:30Z", -1},
        {"2026-02-2210:15", -1},
        {"20x6-01-01", -1},
        {"2026-02-22 10.15", -1},
        {"2026-02-22T10:15:30,5Z", -1},
        {"2026-02-22 10:15+01:00", 1771751700000},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct wall t = {-1};
        bool good = wall_parse(bytes_of(rows[i].text), &t);
        CHECK(good == (rows[i].want != -1) && t.ms == rows[i].want, "%s: %lld", rows[i].text,
              (long long)t.ms);
    }
}

TEST(wall_parse_cut_at_every_byte) {
    struct bytes text = BYTES("2026-02-22T10:15:30.123+02:00");
    for (size_t n = 0; n < text.n; n++) {
        struct wall t = {-1};
        CHECK(wall_parse(bytes_sub(text, 0, n), &t) == (n == 10) && (n == 10 || t.ms == -1), "%zu",
              n); /* 10: a date */
    }
    struct wall t;
    CHECK(!wall_parse(BYTES("2026-02-22\0"), &t) && !wall_parse((struct bytes){NULL, 0}, &t));
}

TEST(mono_deadlines) {
    struct mono never = MONO_NEVER, a = {5}, b = {9};
    CHECK(mono_sooner(a, b).us == 5 && mono_sooner(b, a).us == 5 && mono_sooner(never, b).us == 9);
    CHECK(mono_sooner(a, never).us == 5 && mono_sooner(never, never).us == 0);
    CHECK(!mono_due(never, b) && mono_due(a, a) && mono_due(a, b) && !mono_due(b, a));
    CHECK(mono_add_ms(a, 2).us == 2005 && mono_diff_ms((struct mono){7000}, a) == 6);
}
