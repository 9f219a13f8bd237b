/* lib/node/recent.h: what happened lately: latencies of messages, and operations that went well or failed,
 * for verdicts over a window (health.window); and histograms, which count since the start. Plain values
 * without a kernel; nothing to free. */
#ifndef SILKTALK_NODE_RECENT_H
#define SILKTALK_NODE_RECENT_H

#include "base/base.h"

enum {
    RECENT_SAMPLES = 1024, /* latencies: beyond, the window is shorter than asked for */
    RECENT_SLOT_MS = 10000,
    RECENT_SLOTS = 361, /* an hour, the longest health.window, and the slot that is being filled */
    HISTOGRAM_BOUNDS = 15
};
struct recent {
    struct recent_sample {
        struct mono at;
        uint32_t ms;
    } sample[RECENT_SAMPLES]; /* ring */
    size_t n;                 /* ever */
    struct recent_slot {
        int64_t slot; /* time / RECENT_SLOT_MS */
        uint32_t operations, failed;
    } slots[RECENT_SLOTS];
};
void recent_latency(struct recent *r, struct mono now, int64_t ms);
void recent_operation(struct recent *r, struct mono now, bool failed);
struct recent_sum {
    size_t samples;
    int64_t p50_ms, p95_ms, max_ms; /* -1: no samples */
    uint64_t operations, failed;
};
/* Of the last window_ms (operations: to the slot). */
struct recent_sum recent_sum(const struct recent *r, struct mono now, int64_t window_ms);

struct histogram {
    uint64_t bucket[HISTOGRAM_BOUNDS + 1]; /* up to histogram_bounds_us[i]; the last has the rest */
    int64_t sum_us;
};
extern const int64_t histogram_bounds_us[HISTOGRAM_BOUNDS];
void histogram_add(struct histogram *h, int64_t us);

#endif
