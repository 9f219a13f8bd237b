/* network.maxUpload and maxDownload: bytes per second of all connections together.
 *
 * Both are gates at the sockets: beyond them nothing is written, nothing is read. Behind a gate a message
 * would wait for the file bytes before it; so files (and perf) are held back earlier: of what they send only
 * a tenth of a second's worth is taken into the output; and their peers are given credit for no more than
 * nine tenths of the rate, and for nothing while much more has come than should have. A stream's first window
 * is credit that it simply has: the gate of reading lets that much more pass, and it is paid back. */
#include "node/core.h"

enum { RATE_MIN = 16 << 10, BURST_MIN = 16 << 10, FIRST_WINDOWS = 512 << 10 };

void throttle_reconfigure(struct node *n) {
    uint64_t down = cfg(n->config, network_maxDownload).count;
    throttle_set(&n->upload, cfg(n->config, network_maxUpload).count, n->now.mono);
    throttle_set(&n->download, down, n->now.mono);
    throttle_set(&n->download_bulk, down - down / 10, n->now.mono);
    n->download.slack = FIRST_WINDOWS;
}

void throttle_set(struct throttle *t, uint64_t rate, struct mono now) {
    uint64_t before = t->rate;
    t->rate = rate == 0 ? 0 : MAX(rate, (uint64_t)RATE_MIN);
    if (t->rate == before) return;
    t->bytes = 0;
    t->at = now;
}

size_t throttle_burst(const struct throttle *t) {
    return t->rate == 0 ? SIZE_MAX : (size_t)MAX(t->rate / 10, (uint64_t)BURST_MIN);
}

static int64_t bytes_now(const struct throttle *t, struct mono now) {
    int64_t passed = MIN(MAX(now.us - t->at.us, (int64_t)0), (int64_t)1000000);
    /* A rate is at most 1 TiB/s: times a second in microseconds is more than 64 bits hold. */
    int64_t more = (int64_t)(t->rate / 1000) * passed / 1000 + (int64_t)(t->rate % 1000) * passed / 1000000;
    return MIN(t->bytes + more, (int64_t)throttle_burst(t));
}

size_t throttle_room(struct throttle *t, struct mono now) {
    if (t->rate == 0) return SIZE_MAX;
    int64_t bytes = bytes_now(t, now);
    if (bytes > t->bytes || bytes == (int64_t)throttle_burst(t)) { /* else: too short a time to count */
        t->bytes = bytes;
        t->at = now;
    }
    if (t->bytes + t->slack > 0) return (size_t)(t->bytes + t->slack);
    t->waited_for = true;
    return 0;
}

void throttle_spend(struct throttle *t, size_t n) {
    if (t->rate != 0) t->bytes -= (int64_t)MIN(n, (size_t)INT32_MAX);
}

static struct mono reaches(const struct throttle *t, int64_t bytes) {
    int64_t lack = MAX(bytes - t->bytes, (int64_t)0);
    return (struct mono){t->at.us + lack / (int64_t)(t->rate / 1000 + 1) * 1000 + 1000};
}

/* A quarter of a burst together: not a turn of the loop for each byte. */
struct mono throttle_deadline(const struct throttle *t) {
    if (t->rate == 0 || !t->waited_for) return MONO_NEVER;
    return reaches(t, (int64_t)throttle_burst(t) / 4 - t->slack);
}

/* Credit for files waits for its own rate, and until the download's debt is small. */
static struct mono bulk_deadline(const struct node *n) {
    struct mono own = throttle_deadline(&n->download_bulk), even;
    if (own.us == MONO_NEVER.us) return own;
    even = reaches(&n->download, 1 - FIRST_WINDOWS / 2);
    return own.us > even.us ? own : even;
}

struct mono throttle_node_deadline(const struct node *n) {
    struct mono at = mono_sooner(throttle_deadline(&n->upload), throttle_deadline(&n->download));
    return mono_sooner(at, bulk_deadline(n));
}

size_t throttle_bulk_room(struct node *n) {
    struct mono now = n->now.mono;
    size_t room = throttle_room(&n->download_bulk, now);
    if (room == 0 || room == SIZE_MAX || throttle_room(&n->download, now) > FIRST_WINDOWS / 2) return room;
    n->download_bulk.waited_for = true;
    return 0;
}

static bool over(struct throttle *t, struct mono deadline, struct mono now) {
    if (!t->waited_for || !(t->rate == 0 || mono_due(deadline, now))) return false;
    t->waited_for = false;
    return true;
}

void throttle_tick(struct node *n) {
    struct mono now = n->now.mono;
    over(&n->download, throttle_deadline(&n->download), now); /* the owner asks node_paused each turn */
    if (over(&n->download_bulk, bulk_deadline(n), now))
        for (struct connection *c = n->connections; c != NULL; c = c->next)
            for (struct stream *s = c->streams; s != NULL && c->state == CONN_OPEN; s = s->next)
                if (!s->dead && s->withheld > 0) stream_credit(s, 0);
    if (!over(&n->upload, throttle_deadline(&n->upload), now)) return;
    /* Each time another one is the first: what has come is often enough for one of them only. */
    size_t skip = n->n_connections == 0 ? 0 : (size_t)rng_below(&n->rng, n->n_connections);
    for (unsigned round = 0; round < 2; round++) {
        size_t i = 0;
        for (struct connection *c = n->connections; c != NULL; c = c->next, i++)
            if ((i < skip) == (round == 0)) connection_flush(c);
    }
}
