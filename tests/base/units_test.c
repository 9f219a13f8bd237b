/* tests/base/units_test.c: durations and sizes */
#include "base/text.h"
#include "tests/test.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

TEST(duration_parse_rows) {
    static const struct {
        const char *text;
        int64_t bare, want; /* want -1: refused */
    } rows[] = {
        {"90s", 0, 90000},
        {"15m", 0, 15 * MINUTE},
        {"24h", 0, DAY},
        {"7d", 0, 7 * DAY},
        {"250ms", 0, 250},
        {"1h30m", 0, 90 * MINUTE},
        {"1d2h3m4s5ms", 0, DAY + 2 * HOUR + 3 * MINUTE + 4005},
        {"0s", 0, 0},
        {"5", 1000, 5000},
        {"5", 1, 5},
        {"0", 1000, 0},
        {"5", 0, -1},
        {"9223372036854775807ms", 0, INT64_MAX},
        {"9223372036854775808ms", 0, -1},
        {"9223372036854775807", 1000, -1},
        {"106751991167d", 0, INT64_C(106751991167) * DAY},
        {"106751991168d", 0, -1},
        {"9223372036854775s808ms", 0, -1},
        {"9223372036854775s807ms", 0, INT64_MAX},
        {"", 1000, -1},
        {"s", 0, -1},
        {"-5s", 0, -1},
        {"+5s", 0, -1},
        {"5 s", 0, -1},
        {" 5s", 0, -1},
        {"5s ", 0, -1},
        {"5S", 0, -1},
        {"5w", 0, -1},
        {"1.5h", 0, -1},
        {"1h30", 1000, -1},
        {"30m1h", 0, -1},
        {"1h1h", 0, -1},
        {"5mss", 0, -1},
        {"184467440737095516160s", 0, -1},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        int64_t ms = -1;
        bool good = duration_parse(bytes_of(rows[i].text), rows[i].bare, &ms);
        CHECK(good == (rows[i].want >= 0) && ms == rows[i].want, "%s: %lld", rows[i].text, (long long)ms);
    }
    int64_t ms;
    CHECK(!duration_parse((struct bytes){NULL, 0}, 1, &ms));
}

TEST(size_parse_rows) {
    static const struct {
        const char *text;
        bool good;
        uint64_t want;
    } rows[] = {
        {"3", true, 3},
        {"0", true, 0},
        {"1B", true, 1},
        {"64 KiB", true, 65536},
        {"1MiB", true, 1 << 20},
        {"2GiB", true, 2ull << 30},
        {"1 TiB", true, 1ull << 40},
        {"16777215TiB", true, 16777215ull << 40},
        {"18446744073709551615", true, UINT64_MAX},
        {"16777216TiB", false, 0},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"KiB", false, 0},
        {"1KB", false, 0},
        {"1kib", false, 0},
        {"1K", false, 0},
        {"-1", false, 0},
        {"1.5MiB", false, 0},
        {"1 ", false, 0},
        {" 1", false, 0},
        {"1KiB ", false, 0},
        {"1KiB1B", false, 0},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint64_t v = 0;
        CHECK(size_parse(bytes_of(rows[i].text), &v) == rows[i].good && v == rows[i].want, "%s: %llu",
              rows[i].text, (unsigned long long)v);
    }
}

TEST(duration_texts) {
    static const struct {
        int64_t ms;
        const char *text, *config;
    } rows[] = {
        {0, "0ms", "0s"},
        {31, "31ms", "31ms"},
        {999, "999ms", "999ms"},
        {1000, "1s", "1s"},
        {1540, "1.5s", "1540ms"},
        {9999, "9.9s", "9999ms"},
        {10900, "10s", "10900ms"},
        {59999, "59s", "59999ms"},
        {90000, "1m30s", "90s"},
        {134000, "2m14s", "134s"},
        {15 * MINUTE, "15m", "15m"},
        {5 * HOUR + 12 * MINUTE + 59999, "5h12m", "18779999ms"},
        {DAY, "1d", "1d"},
        {25 * HOUR, "1d1h", "25h"},
        {3 * DAY + 4 * HOUR + 1, "3d4h", "273600001ms"},
        {-134000, "-2m14s", "-134s"},
        {INT64_MAX, "106751991167d7h", "9223372036854775807ms"},
        {INT64_MIN, "-106751991167d7h", "-9223372036854775808ms"},
    };
    char out[32];
    for (size_t i = 0; i < LEN(rows); i++) {
        duration_text(rows[i].ms, out);
        CHECK(strcmp(out, rows[i].text) == 0, "row %zu: %s", i, out);
        duration_config(rows[i].ms, out);
        CHECK(strcmp(out, rows[i].config) == 0, "row %zu: %s", i, out);
        int64_t back = -1;
        CHECK(rows[i].ms < 0 || (duration_parse(bytes_of(out), 0, &back) && back == rows[i].ms),
              "row %zu: %s", i, out);
    }
}

TEST(size_texts) {
    static const struct {
        uint64_t n;
        const char *text, *config;
    } rows[] = {
        {0, "0 B", "0"},
        {1000, "1000 B", "1000B"},
        {1023, "1023 B", "1023B"},
        {1024, "1.0 KiB", "1KiB"},
        {1536, "1.5 KiB", "1536B"},
        {14889779, "14.2 MiB", "14889779B"},
        {64 << 20, "64.0 MiB", "64MiB"},
        {1048575, "1.0 MiB", "1048575B"},
        {1073741823, "1.0 GiB", "1073741823B"},
        {4ull << 30, "4.0 GiB", "4GiB"},
        {(1ull << 40) - 1, "1.0 TiB", "1099511627775B"},
        {UINT64_MAX, "16777216.0 TiB", "18446744073709551615B"},
    };
    char out[32];
    for (size_t i = 0; i < LEN(rows); i++) {
        size_text(rows[i].n, out);
        CHECK(strcmp(out, rows[i].text) == 0, "row %zu: %s", i, out);
        size_config(rows[i].n, out);
        uint64_t back = 1;
        CHECK(strcmp(out, rows[i].config) == 0 && size_parse(bytes_of(out), &back) && back == rows[i].n,
              "row %zu: %s", i, out);
    }
}
