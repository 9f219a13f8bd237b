#include "node/recent.h"

#include <stdlib.h>

void recent_latency(struct recent *r, struct mono now, int64_t ms) {
    uint32_t kept = (uint32_t)MIN(MAX(ms, (int64_t)0), (int64_t)UINT32_MAX);
    r->sample[r->n++ % RECENT_SAMPLES] = (struct recent_sample){now, kept};
}

void recent_operation(struct recent *r, struct mono now, bool failed) {
    int64_t slot = now.us / 1000 / RECENT_SLOT_MS;
    struct recent_slot *s = &r->slots[slot % RECENT_SLOTS];
    if (s->slot != slot) *s = (struct recent_slot){.slot = slot};
    s->operations++;
    s->failed += failed;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct recent_sum recent_sum(const struct recent *r, struct mono now, int64_t window_ms) {
    struct recent_sum sum = {0, -1, -1, -1, 0, 0};
    uint32_t sorted[RECENT_SAMPLES] = {0};
    for (size_t i = 0; i < MIN(r->n, (size_t)RECENT_SAMPLES); i++)
        if (mono_diff_ms(now, r->sample[i].at) < window_ms) sorted[sum.samples++] = r->sample[i].ms;
    if (sum.samples > 0) {
        qsort(sorted, sum.samples, sizeof *sorted, compare);
        sum.p50_ms = sorted[(sum.samples * 50 + 99) / 100 - 1];
        sum.p95_ms = sorted[(sum.samples * 95 + 99) / 100 - 1];
        sum.max_ms = sorted[sum.samples - 1];
    }
    int64_t last = now.us / 1000 / RECENT_SLOT_MS, first = last - window_ms / RECENT_SLOT_MS;
    for (size_t i = 0; i < RECENT_SLOTS; i++) {
        const struct recent_slot *s = &r->slots[i];
        if (s->slot <= first || s->slot > last) continue;
        sum.operations += s->operations;
        sum.failed += s->failed;
    }
    return sum;
}

const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {500,     1000,    2500,    5000,     10000,
                                                       25000,   50000,   100000,  250000,   500000,
                                                       1000000, 2500000, 5000000, 10000000, 60000000};

void histogram_add(struct histogram *h, int64_t us) {
    size_t i = 0;
    us = MAX(us, (int64_t)0);
    while (i < HISTOGRAM_BOUNDS && us > histogram_bounds_us[i]) i++;
    h->bucket[i]++;
    if (__builtin_add_overflow(h->sum_us, us, &h->sum_us)) h->sum_us = INT64_MAX;
}
