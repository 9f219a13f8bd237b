/* network.maxUpload and maxDownload: how fast all connections together are, and that messages do not wait. */
#include "tests/node/help.h"

#define RATE 102400
#define SERVES "[network]\nperf = yes\n" ANY

static void ask(struct world *w, size_t a, size_t b, uint32_t client, uint64_t up, uint64_t down) {
    char text[400];
    snprintf(text, sizeof text,
             "{\"v\":1,\"id\":1,\"method\":\"perf\",\"params\":{\"peer\":\"%s\",\"up\":%llu,\"down\":%llu}}",
             w->nodes[b]->id, (unsigned long long)up, (unsigned long long)down);
    world_tell(w, a, client, bytes_of(text));
}

/* Seconds until a's requests are all answered. */
static bool answered(struct world *w, void *user) {
    (void)w;
    return ((struct sim_node *)user)->node->n_requests == 0;
}
static double seconds_of(struct world *w, size_t a) {
    int64_t began = w->now_us;
    CHECK(world_until(w, 300000, answered, w->nodes[a]), "the transfers do not end");
    return (double)(w->now_us - began) / 1e6;
}

static double message_seconds(struct world *w, size_t a, size_t b) {
    int64_t began = w->now_us;
    const char *answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"hi\",\"wait\":true}",
                                   w->nodes[b]->id);
    CHECK(answer != NULL && strstr(answer, "\"stored\"") != NULL, "%s", answer == NULL ? "none" : answer);
    return (double)(w->now_us - began) / 1e6;
}

TEST(all_connections_share_the_upload) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[network]\nmaxUpload = 100KiB\n"), b = node_with(w, SERVES),
           c = node_with(w, SERVES);
    must_connect(w, a, b);
    must_connect(w, a, c);
    ask(w, a, b, 71, 10 * RATE, 0);
    ask(w, a, c, 72, 10 * RATE, 0);
    double took = seconds_of(
        w, a); /* 20 s; a window of 256 KiB may be ahead of what perf counts: nothing else */
    CHECK(took > 19 && took < 24, "%.1f s", took);
    end_world(w);
}

TEST(all_connections_share_the_download) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[network]\nmaxDownload = 100KiB\n"), b = node_with(w, SERVES),
           c = node_with(w, SERVES);
    must_connect(w, a, b);
    must_connect(w, a, c);
    ask(w, a, b, 71, 0, 10 * RATE);
    ask(w, a, c, 72, 0, 10 * RATE);
    double took = seconds_of(w, a); /* two first windows of 256 KiB come at once */
    CHECK(took > 14 && took < 26, "%.1f s", took);
    end_world(w);
}

TEST(the_served_side_is_limited_too) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""),
           b = node_with(w, "[network]\nperf = yes\nmaxUpload = 100KiB\nmaxDownload = 100KiB\n");
    must_connect(w, a, b);
    ask(w, a, b, 71, 5 * RATE, 5 * RATE);
    double took = seconds_of(w, a);
    CHECK(took > 7 && took < 14, "%.1f s", took);
    end_world(w);
}

TEST(messages_go_before_what_is_held_back) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[network]\nmaxUpload = 100KiB\nmaxDownload = 100KiB\n" ANY),
           b = node_with(w, SERVES);
    must_connect(w, a, b);
    double idle = message_seconds(w, a, b), worst = 0;
    ask(w, a, b, 71, 20 * RATE, 0);
    for (int i = 0; i < 20; i++) {
        world_run(w, 300);
        double took = message_seconds(w, a, b);
        worst = MAX(worst, took);
    }
    CHECK(worst < idle + 0.5, "up: %.3f s, idle %.3f s", worst, idle);
    seconds_of(w, a);
    ask(w, a, b, 71, 0, 20 * RATE);
    world_run(w, 4000); /* the first window comes at once */
    worst = 0;
    for (int i = 0; i < 20; i++) {
        world_run(w, 300);
        double took = message_seconds(w, b, a);
        worst = MAX(worst, took);
    }
    CHECK(worst < idle + 0.5, "down: %.3f s, idle %.3f s", worst, idle);
    end_world(w);
}

TEST(a_reload_lifts_it) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[network]\nmaxUpload = 20KiB\nmaxDownload = 20KiB\n"), b = node_with(w, SERVES);
    must_connect(w, a, b);
    ask(w, a, b, 71, 1 << 20, 1 << 20);
    world_run(w, 20000);
    CHECK(node_of(w, a)->n_requests == 1);
    CHECK(world_reload(w, a, "[network]\nmaxUpload = 0\nmaxDownload = 0\n"));
    double took = seconds_of(w, a);
    CHECK(took < 5, "%.1f s", took);
    end_world(w);
}

TEST(the_smallest_rate_breaks_no_connection) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[network]\nmaxUpload = 1\nmaxDownload = 1\n"), b = node_with(w, SERVES);
    must_connect(w, a, b); /* counts as 16 KiB/s */
    uint64_t before = logged(w, a, EV_PEER_DISCONNECTED);
    ask(w, a, b, 71, 256 << 10, 600 << 10);
    double took = seconds_of(w, a);
    CHECK(took > 30 && took < 80 && logged(w, a, EV_PEER_DISCONNECTED) == before, "%.1f s", took);
    end_world(w);
}

TEST(numbers) {
    struct throttle t = {0};
    struct mono now = {1000000};
    CHECK(throttle_room(&t, now) == SIZE_MAX && throttle_deadline(&t).us == MONO_NEVER.us);
    throttle_set(&t, 1ULL << 40, now);
    now.us += 1000000;
    CHECK(throttle_room(&t, now) == (1ULL << 40) / 10);
    throttle_spend(&t, 1 << 30);
    CHECK(throttle_room(&t, now) == (1ULL << 40) / 10 - (1 << 30));
    throttle_set(&t, 1000000, now);
    CHECK(throttle_room(&t, now) == 0 && throttle_deadline(&t).us > now.us);
    now.us += 1000;
    CHECK(throttle_room(&t, now) == 1000);
    throttle_spend(&t, 500000);
    CHECK(throttle_room(&t, now) == 0);
    now.us += 499000;
    CHECK(throttle_room(&t, now) == 0);
    now.us += 2000;
    CHECK(throttle_room(&t, now) >= 1000 && throttle_room(&t, now) <= 2000);
}
