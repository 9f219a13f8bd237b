#include "ops/daemon.h"

#include <stdio.h>

/* The upper edge of the bucket that the share `of 100` of all turns lies in. */
static int64_t percentile(const struct loop_stats *s, uint64_t of_100) {
    uint64_t seen = 0;
    for (size_t i = 0; i < LOOP_BUCKETS; i++) {
        seen += s->bucket[i];
        if (seen * 100 >= s->turns * of_100) return i + 1 < LOOP_BUCKETS ? (int64_t)1 << i : s->max_us;
    }
    return s->max_us;
}

static void measure_loop(const struct daemon *d, struct node_loop *out) {
    struct loop_stats s = loop_stats(d->loop);
    *out = (struct node_loop){.turns = s.turns,
                              .slow = s.slow,
                              .mean_us = s.turns == 0 ? 0 : s.total_us / (int64_t)s.turns,
                              .p50_us = percentile(&s, 50),
                              .p99_us = percentile(&s, 99),
                              .max_us = s.max_us,
                              .total_us = s.total_us};
    _Static_assert((int)NODE_LOOP_BUCKETS == (int)LOOP_BUCKETS, "the same buckets");
    memcpy(out->bucket, s.bucket, sizeof out->bucket);
    snprintf(out->slowest_part, sizeof out->slowest_part, "%s", d->slow_part == NULL ? "" : d->slow_part);
}

void measure(struct daemon *d, int64_t age_ms) {
    struct mono now = loop_now(d->loop).mono;
    if (d->measured.us != 0 && mono_diff_ms(now, d->measured) < age_ms) return;
    d->measured = now;
    struct host_use u = host_measure(&d->host, now);
    struct node_resources r = {
        .resident_bytes = u.resident_bytes,
        .cpu_us = u.own_cpu_us,
        .fds = u.fds,
        .fds_max = u.fds_max,
        .own_cpu_permille = u.own_cpu_permille,
        .host_cpu_permille = u.host_cpu_permille,
        .memory_permille = host_memory_permille(&u),
        .memory_total = u.memory_total,
        .memory_available = u.memory_available,
        .cgroup_limit = u.cgroup_limit,
        .cgroup_used = u.cgroup_used,
        .load_milli = {u.load_milli[0], u.load_milli[1], u.load_milli[2]},
    };
    sink_measure(d, &r);
    measure_loop(d, &r.loop);
    node_measured(d->node, &r);
}

void measure_health(struct daemon *d) {
    enum { HEALTH_EVERY_MS = 5000 };
    struct mono now = loop_now(d->loop).mono;
    const struct config *c = node_config(d->node);
    struct health_facts f;
    if (d->next_measure.us > now.us) return;
    d->next_measure = mono_add_ms(now, HEALTH_EVERY_MS);
    struct host_use use = host_measure(&d->host, now);
    const struct space_use *spaces = node_spaces(d->node);
    if (spaces[SPACE_DATA].total == 0) spaces = NULL; /* at the start the store has not told yet */
    local_health(&d->local, d->home, c, &d->identity.peer, &use, spaces, &f);
    f.listeners_lost = d->listeners_lost;
    sink_health(d, &f);
    node_health_measured(d->node, &f, d->worst_turn_us);
    d->worst_turn_us = 0;
}
