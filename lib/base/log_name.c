#include "base/log_name.h"

#include <stdio.h>

enum { DATE_DIGITS = 8, TIME_DIGITS = 6 };

static size_t digits(struct bytes text) {
    size_t n = 0;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9') n++;
    return n;
}

/* YYYYMMDD, and HHMMSS if there is one; false: there is no such day or time. */
static bool read_time(struct bytes date, struct bytes time, struct wall *out) {
    char text[32];
    const char *d = (const char *)date.p, *t = time.n == 0 ? "000000" : (const char *)time.p;
    snprintf(text, sizeof text, "%.4s-%.2s-%.2s %.2s:%.2s:%.2s", d, d + 4, d + 6, t, t + 2, t + 4);
    return wall_parse(bytes_of(text), out);
}

static bool ends_with(struct bytes *text, const char *end) {
    if (!bytes_ends(*text, end)) return false;
    text->n -= strlen(end);
    return true;
}

/* .YYYYMMDD-HHMMSS */
static bool own_form(struct bytes rest, struct log_name *out) {
    struct bytes date = bytes_sub(rest, 1, DATE_DIGITS), time = bytes_skip(rest, 1 + DATE_DIGITS + 1);
    return rest.n == 1 + DATE_DIGITS + 1 + TIME_DIGITS && rest.p[0] == '.' && digits(date) == DATE_DIGITS &&
           rest.p[1 + DATE_DIGITS] == '-' && digits(time) == TIME_DIGITS && read_time(date, time, &out->time);
}

/* -YYYYMMDD, and whatever a dateformat puts behind it */
static bool dated_form(struct bytes rest, struct log_name *out) {
    struct bytes date = bytes_sub(rest, 1, DATE_DIGITS);
    return rest.n > DATE_DIGITS && rest.p[0] == '-' && digits(date) == DATE_DIGITS &&
           read_time(date, (struct bytes){NULL, 0}, &out->time);
}

static bool numbered_form(struct bytes rest, struct log_name *out) {
    uint64_t number = 0;
    bool good = rest.n > 1 && rest.p[0] == '.' && rest.p[1] != '0' &&
                bytes_to_u64(bytes_skip(rest, 1), LOG_NAME_NUMBER_MAX, &number);
    out->number = (unsigned)number;
    return good;
}

struct log_name log_name_parse(struct bytes name, struct bytes base) {
    struct log_name none = {.kind = LOG_NAME_OTHER}, n = {.kind = LOG_NAME_ARCHIVE};
    if (base.n == 0 || name.n < base.n || !bytes_eq(bytes_sub(name, 0, base.n), base)) return none;
    struct bytes rest = bytes_skip(name, base.n);
    if (rest.n == 0) return (struct log_name){.kind = LOG_NAME_CURRENT};
    if (ends_with(&rest, ".gz.part"))
        return own_form(rest, &n) ? (struct log_name){.kind = LOG_NAME_PARTIAL, .own = true, .time = n.time}
                                  : none;
    n.gzip = ends_with(&rest, ".gz");
    n.own = own_form(rest, &n);
    return n.own || dated_form(rest, &n) || numbered_form(rest, &n) ? n : none;
}

bool log_name_make(struct bytes base, struct wall last_line, enum log_name_form form,
                   char out[LOG_NAME_MAX]) {
    static const char *const ends[] = {"", ".gz", ".gz.part"};
    char time[32];
    wall_text(last_line, time); /* 2026-02-22T10:15:30.123Z */
    int n = snprintf(out, LOG_NAME_MAX, "%.*s.%.4s%.2s%.2s-%.2s%.2s%.2s%s", (int)base.n, (const char *)base.p,
                     time, time + 5, time + 8, time + 11, time + 14, time + 17, ends[form]);
    return n > 0 && n < LOG_NAME_MAX && base.n < LOG_NAME_MAX;
}
