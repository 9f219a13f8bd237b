/* Counts of events by peer, and events for those that follow them. */
#include "base/log.h"

#include "base/json.h"
#include "tests/test.h"

static uint32_t count_of(struct log_tally *t, enum event event, const char *peer) {
    struct log_tally copy = *t;
    size_t at = 0;
    enum event e;
    const char *p;
    uint32_t n, sum = 0;
    while (log_tally_take(&copy, &at, &e, &p, &n))
        if (e == event && strcmp(p, peer) == 0) sum += n;
    return sum;
}

TEST(log_tally_counts_by_peer_at_any_level) {
    static struct log_tally t;
    struct log log;
    t = (struct log_tally){{{0}}, {0}};
    log_init(&log, LEVEL_ERROR, LOG_TEXT);
    log.tally = &t;
    for (int i = 0; i < 3; i++) LOG(&log, EV_PEER_CONNECTED, kv_str("peer", "A"), kv_str("addr", "x"));
    LOG(&log, EV_PEER_CONNECTED, kv_str("addr", "x"), kv_str("peer", "B"));
    LOG(&log, EV_PEER_DISCONNECTED, kv_str("peer", "A"));
    LOG(&log, EV_SLOW_TURN, kv_int("took", 5));
    LOG(&log, EV_STREAM, kv_str("peer", "A")); /* DEBUG: not counted */
    LOG(&log, EV_PEER_CONNECTED, kv_str("peer", ""));
    CHECK(log.lines.n == 0);
    CHECK(count_of(&t, EV_PEER_CONNECTED, "A") == 3 && count_of(&t, EV_PEER_CONNECTED, "B") == 1);
    CHECK(count_of(&t, EV_PEER_DISCONNECTED, "A") == 1 && count_of(&t, EV_SLOW_TURN, "") == 1);
    CHECK(count_of(&t, EV_PEER_CONNECTED, "") == 1 && count_of(&t, EV_STREAM, "A") == 0);
    size_t at = 0, rows = 0;
    enum event e;
    const char *p;
    uint32_t n;
    while (log_tally_take(&t, &at, &e, &p, &n)) rows++;
    at = 0;
    CHECK(rows == 5 && !log_tally_take(&t, &at, &e, &p, &n)); /* taken once */
    log_free(&log);
}

TEST(log_tally_of_many_peers_loses_names_but_no_count) {
    static struct log_tally t;
    struct log log;
    char peer[80];
    t = (struct log_tally){{{0}}, {0}};
    log_init(&log, LEVEL_ERROR, LOG_TEXT);
    log.tally = &t;
    for (int i = 0; i < 5000; i++) {
        snprintf(peer, sizeof peer, "peer-%d", i);
        LOG(&log, EV_ACCESS_FAILED, kv_str("peer", peer));
    }
    memset(peer, 'x', sizeof peer); /* as long as fits, and one more */
    LOG(&log, EV_ACCESS_FAILED, kv_text("peer", bytes_at(peer, LOG_TALLY_PEER - 1)));
    LOG(&log, EV_ACCESS_FAILED, kv_text("peer", bytes_at(peer, LOG_TALLY_PEER)));
    uint64_t sum = 0;
    size_t at = 0, named = 0;
    enum event e;
    const char *p;
    for (uint32_t n; log_tally_take(&t, &at, &e, &p, &n); sum += n) named += p[0] != 0;
    CHECK(sum == 5002 && named <= LOG_TALLY_SLOTS && named > LOG_TALLY_SLOTS / 2, "%zu", named);
    log_free(&log);
}

TEST(log_tap_has_whole_events_or_none) {
    struct log log;
    log_init(&log, LEVEL_ERROR, LOG_TEXT);
    LOG(&log, EV_SLOW_TURN, kv_str("part", "x"));
    CHECK(log.tap.n == 0); /* nobody follows */
    log.tap_of = LOG_TAP_ALL;
    log.now.wall.ms = 1790000000123;
    LOG(&log, EV_STREAM, kv_str("peer", "a\"\x1b[31m"), kv_ms("took", 1500));
    struct rd r = rd_of(buf_view(&log.tap));
    CHECK(rd_u16(&r) == EV_STREAM);
    struct bytes object = rd_take(&r, rd_u16(&r));
    CHECK(!r.bad && r.in.n == 0);
    struct json_doc *doc = json_parse(object, NULL);
    CHECK(doc != NULL, "%.*s", (int)object.n, (const char *)object.p);
    const struct json *o = json_root(doc);
    CHECK(bytes_is(json_get_bytes(o, "event"), "Stream") && bytes_is(json_get_bytes(o, "level"), "debug"));
    CHECK(bytes_is(json_get_bytes(o, "peer"), "a\"\x1b[31m") &&
          json_real(json_get(o, "took_seconds"), 0) == 1.5);
    json_free(doc);
    for (int i = 0; i < 10000; i++)
        LOG(&log, EV_STREAM, kv_str("peer", "somebody"), kv_str("protocol", "/x/1"));
    CHECK(log.tap.n <= LOG_TAP_MAX && log.tap_dropped > 0);
    size_t n = 0;
    for (r = rd_of(buf_view(&log.tap)); r.in.n > 0 && !r.bad; n++) {
        rd_u16(&r);
        rd_take(&r, rd_u16(&r));
    }
    CHECK(!r.bad && n + log.tap_dropped == 10001);
    log_free(&log);
}
