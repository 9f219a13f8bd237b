/* lib/base/units.c: durations and sizes as people and configuration files write them. */
#include "base/text.h"

#include <stdio.h>

enum { DIGITS_MAX = 20 };

struct unit {
    const char *name;
    uint64_t factor;
};
static const struct unit times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit sizes[] = {
    {"TiB", 1ull << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}};

static bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

/* Cuts off what is (or is not) digits. */
static struct bytes take_run(struct bytes *text, bool digits) {
    size_t n = 0;
    while (n < text->n && is_digit(text->p[n]) == digits) n++;
    return bytes_take(text, n);
}

static size_t unit_of(const struct unit *units, size_t n, struct bytes name) {
    size_t i = 0;
    while (i < n && !bytes_is(name, units[i].name)) i++;
    return i;
}

bool duration_parse(struct bytes text, int64_t bare_unit_ms, int64_t *out_ms) {
    int64_t sum = 0, part;
    size_t least = 0; /* units go down: "1h30m", not "30m1h" or "1h1h" */
    bool first = true;
    if (text.n == 0) return false;
    for (; text.n > 0; first = false) {
        uint64_t v;
        int64_t factor = bare_unit_ms;
        if (!bytes_to_u64(take_run(&text, true), INT64_MAX, &v)) return false;
        struct bytes name = take_run(&text, false);
        if (name.n > 0) {
            size_t i = unit_of(times, LEN(times), name);
            if (i == LEN(times) || i < least) return false;
            least = i + 1;
            factor = (int64_t)times[i].factor;
        } else if (!first || bare_unit_ms <= 0) {
            return false;
        }
        if (__builtin_mul_overflow((int64_t)v, factor, &part)) return false;
        if (__builtin_add_overflow(sum, part, &sum)) return false;
    }
    *out_ms = sum;
    return true;
}

bool size_parse(struct bytes text, uint64_t *out_bytes) {
    uint64_t v, bytes;
    if (!bytes_to_u64(take_run(&text, true), UINT64_MAX, &v)) return false;
    size_t i = LEN(sizes) - 1;
    if (text.n > 0) {
        while (text.n > 0 && text.p[0] == ' ') text = bytes_skip(text, 1);
        i = unit_of(sizes, LEN(sizes), text);
        if (i == LEN(sizes)) return false;
    }
    if (__builtin_mul_overflow(v, sizes[i].factor, &bytes)) return false;
    *out_bytes = bytes;
    return true;
}

/* The two largest units: finer parts of a long time are noise. Seconds below ten keep a tenth. */
void duration_text(int64_t ms, char out[32]) {
    const char *sign = ms < 0 ? "-" : "";
    uint64_t v = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    if (v < 1000) {
        snprintf(out, 32, "%s%ums", sign, (unsigned)v);
        return;
    }
    if (v < 10000 && v / 100 % 10 != 0) {
        snprintf(out, 32, "%s%u.%us", sign, (unsigned)(v / 1000), (unsigned)(v / 100 % 10));
        return;
    }
    size_t i = 0;
    while (v < times[i].factor) i++;
    uint64_t whole = v / times[i].factor;
    uint64_t rest = times[i].factor == 1000 ? 0 : v % times[i].factor / times[i + 1].factor;
    if (rest == 0) {
        snprintf(out, 32, "%s%llu%s", sign, (unsigned long long)whole, times[i].name);
    } else {
        snprintf(out, 32, "%s%llu%s%u%s", sign, (unsigned long long)whole, times[i].name, (unsigned)rest,
                 times[i + 1].name);
    }
}

/* The largest unit that leaves no rest. */
static void exact(const struct unit *units, size_t n, size_t zero, uint64_t v, bool minus, char out[32]) {
    size_t i = 0;
    while (i < n - 1 && v % units[i].factor != 0) i++;
    if (v == 0) i = zero;
    snprintf(out, 32, "%s%llu%s", minus ? "-" : "", (unsigned long long)(v / units[i].factor), units[i].name);
}

void duration_config(int64_t ms, char out[32]) {
    exact(times, LEN(times), 3, ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms, ms < 0, out);
}

void size_config(uint64_t bytes, char out[32]) {
    if (bytes == 0) { /* no unit: it mostly means "no limit" */
        memcpy(out, "0", 2);
        return;
    }
    exact(sizes, LEN(sizes), LEN(sizes) - 1, bytes, false, out);
}

void size_text(uint64_t bytes, char out[32]) {
    size_t i = 0;
    while (i < LEN(sizes) - 1 && bytes < sizes[i].factor) i++;
    if (sizes[i].factor == 1) {
        snprintf(out, 32, "%u B", (unsigned)bytes);
        return;
    }
    uint64_t factor = sizes[i].factor, whole = bytes / factor;
    uint64_t tenths = (bytes % factor * 10 + factor / 2) / factor;
    if (tenths == 10) {
        whole++;
        tenths = 0;
    }
    if (whole == 1024 && i > 0) { /* rounded up into the next unit */
        whole = 1;
        i--;
    }
    snprintf(out, 32, "%llu.%u %s", (unsigned long long)whole, (unsigned)tenths, sizes[i].name);
}
