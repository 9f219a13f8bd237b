/* The last events, numbered. */
#include "node/event_history.h"

#include "base/mem.h"
#include "tests/test.h"

static void add(struct event_history *h, size_t most, unsigned i, size_t size) {
    char text[4096];
    memset(text, ' ', sizeof text);
    int n = snprintf(text, sizeof text, "{\"i\":%u}", i);
    event_history_add(h, most, (enum event)(i % EVENT_COUNT), bytes_at(text, MAX((size_t)n, size)));
}

/* Every walk gives numbers without gaps up to the last, and what was added under them. */
static size_t walk(const struct event_history *h) {
    size_t n = 0;
    uint64_t number = h->last - h->n;
    for (struct event_at at = event_history_first(h); event_history_next(h, &at); n++) {
        char want[32];
        snprintf(want, sizeof want, "{\"i\":%u}", (unsigned)at.number);
        CHECK(at.number == ++number && bytes_starts(at.object, want), "%llu: %.*s",
              (unsigned long long)number, (int)at.object.n, (const char *)at.object.p);
        CHECK(at.event == (enum event)(at.number % EVENT_COUNT));
    }
    CHECK(number == h->last && n == h->n);
    return n;
}

TEST(the_oldest_goes_by_count_and_by_bytes) {
    struct event_history h = {.n = 0};
    CHECK(walk(&h) == 0);
    for (unsigned i = 1; i <= 10; i++) {
        add(&h, 10, i, 0);
        CHECK(walk(&h) == i);
    }
    add(&h, 10, 11, 0); /* n + 1 */
    CHECK(walk(&h) == 10 && h.last == 11);
    add(&h, 3, 12, 0); /* the limit was lowered */
    CHECK(walk(&h) == 3);
    for (unsigned i = 13; i < 2000; i++) add(&h, 100000, i, 4000);
    CHECK(h.n == EVENT_HISTORY_BYTES / 4004 && walk(&h) == h.n);
    CHECK(h.bytes.cap <= 2 * EVENT_HISTORY_BYTES);
    event_history_free(&h);
}

TEST(without_memory_numbers_go_on) {
    struct event_history h = {.n = 0};
    unsigned i = 0;
    while (i < 5) add(&h, 10, ++i, 0);
    for (; i < 200 && h.n > 0; i++) {
        mem_fail_after(0);
        add(&h, 1000, i + 1, 200);
        mem_fail_after(-1);
    }
    CHECK(h.n == 0 && h.last == i, "an event was lost, and with it those before");
    add(&h, 10, ++i, 0);
    CHECK(walk(&h) == 1 && h.last == i);
    event_history_free(&h);
}
