/* lib/base/time.c: wall time as text (RFC 3339), without the C library: its calendar knows zones and locks.
 */
#include "base/base.h"

enum { MS_PER_SECOND = 1000, SECONDS_PER_DAY = 86400, DAYS_PER_ERA = 146097 }; /* an era: 400 years */

struct date {
    int64_t year;
    unsigned month, day; /* from 1 */
};

/* Years are counted from 1 March, so that the leap day is the last one of its year. */
static int64_t days_of(struct date d) {
    int64_t year = d.month > 2 ? d.year : d.year - 1;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t months = (d.month + 9) % 12; /* since March */
    int64_t of_year = (153 * months + 2) / 5 + d.day - 1;
    return era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468; /* 1970-01-01 */
}

static struct date date_of(int64_t days) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t of_era = days - era * DAYS_PER_ERA;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t months = (5 * of_year + 2) / 153;
    struct date d = {.day = (unsigned)(of_year - (153 * months + 2) / 5 + 1),
                     .month = (unsigned)(months < 10 ? months + 3 : months - 9)};
    d.year = year + era * 400 + (d.month <= 2);
    return d;
}

static unsigned days_in(int64_t year, unsigned month) {
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* At least `width` digits, then `after`; returns the place behind them. */
static char *put_number(char *out, int64_t v, unsigned width, char after) {
    char digits[20] = {0};
    unsigned n = 0;
    if (v < 0) {
        *out++ = '-';
        v = -v;
    }
    for (; v > 0 || n < width; v /= 10) digits[n++] = (char)('0' + v % 10);
    while (n > 0) *out++ = digits[--n];
    *out++ = after;
    return out;
}

void wall_text(struct wall t, char out[32]) {
    int64_t ms = t.ms % MS_PER_SECOND, seconds = t.ms / MS_PER_SECOND;
    if (ms < 0) {
        ms += MS_PER_SECOND;
        seconds--;
    }
    int64_t of_day = seconds % SECONDS_PER_DAY, days = seconds / SECONDS_PER_DAY;
    if (of_day < 0) {
        of_day += SECONDS_PER_DAY;
        days--;
    }
    struct date d = date_of(days);
    out = put_number(out, d.year, 4, '-'); /* up to "-292275055": all of it is 31 bytes at most */
    out = put_number(out, d.month, 2, '-');
    out = put_number(out, d.day, 2, 'T');
    out = put_number(out, of_day / 3600, 2, ':');
    out = put_number(out, of_day / 60 % 60, 2, ':');
    out = put_number(out, of_day % 60, 2, '.');
    out = put_number(out, ms, 3, 'Z');
    *out = '\0';
}

/* Exactly n digits; the cursor goes bad otherwise. */
static unsigned read_digits(struct rd *r, size_t n) {
    unsigned v = 0;
    struct bytes digits = rd_take(r, n);
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9') r->bad = true;
        v = v * 10 + (digits.p[i] - (unsigned)'0');
    }
    return v;
}

static bool at(const struct rd *r, char a, char b) {
    return r->in.n > 0 && (r->in.p[0] == (uint8_t)a || r->in.p[0] == (uint8_t)b);
}

static void expect(struct rd *r, char what) {
    if (rd_u8(r) != (uint8_t)what) r->bad = true;
}

/* What follows '.', any number of digits; those after the third are cut off. */
static int64_t read_fraction(struct rd *r) {
    int64_t ms = 0, weight = 100;
    if (r->in.n == 0 || r->in.p[0] < '0' || r->in.p[0] > '9') r->bad = true;
    for (; r->in.n > 0 && r->in.p[0] >= '0' && r->in.p[0] <= '9'; weight /= 10) {
        ms += (rd_u8(r) - '0') * weight;
    }
    return ms;
}

/* "Z" or "+HH:MM": the seconds to take off */
static int64_t read_zone(struct rd *r) {
    bool minus = at(r, '-', '-');
    if (at(r, 'Z', 'z')) {
        rd_u8(r);
        return 0;
    }
    if (!at(r, '+', '-')) r->bad = true;
    rd_u8(r);
    unsigned hours = read_digits(r, 2);
    expect(r, ':');
    unsigned minutes = read_digits(r, 2);
    if (hours > 23 || minutes > 59) r->bad = true;
    int64_t seconds = (int64_t)hours * 3600 + minutes * 60;
    return minus ? -seconds : seconds;
}

/* Behind the date: milliseconds of the day, which an offset may take below 0 or past its end. */
static int64_t read_clock(struct rd *r) {
    bool strict = rd_u8(r) != ' '; /* "T": RFC 3339 proper, with seconds and zone */
    unsigned hours = read_digits(r, 2), seconds = 0;
    int64_t ms = 0;
    expect(r, ':');
    unsigned minutes = read_digits(r, 2);
    if (strict || at(r, ':', ':')) {
        expect(r, ':');
        seconds = read_digits(r, 2);
        if (at(r, '.', '.')) {
            rd_u8(r);
            ms = read_fraction(r);
        }
    }
    if (hours > 23 || minutes > 59 || seconds > 60) r->bad = true; /* 60: a leap second, read as the next */
    ms += ((int64_t)hours * 3600 + minutes * 60 + seconds) * MS_PER_SECOND;
    return strict || r->in.n > 0 ? ms - read_zone(r) * MS_PER_SECOND : ms;
}

bool wall_parse(struct bytes text, struct wall *out) {
    struct rd r = rd_of(text);
    struct date d = {0};
    int64_t ms = 0;
    d.year = read_digits(&r, 4);
    expect(&r, '-');
    d.month = read_digits(&r, 2);
    expect(&r, '-');
    d.day = read_digits(&r, 2);
    if (r.bad || d.month < 1 || d.month > 12 || d.day < 1 || d.day > days_in(d.year, d.month)) return false;
    if (r.in.n > 0) {
        if (!at(&r, 'T', 't') && !at(&r, ' ', ' ')) return false;
        ms = read_clock(&r);
    }
    if (r.bad || r.in.n > 0) return false;
    out->ms = days_of(d) * SECONDS_PER_DAY * MS_PER_SECOND + ms;
    return true;
}
