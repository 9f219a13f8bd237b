/* What peers learn of each other: identify, push; and what they measure: ping, perf. */
#include "tests/node/help.h"

static bool knows_address(struct world *w, size_t of, size_t node, unsigned number) {
    const struct peer *p = world_peer(w, of, node);
    struct endpoint want = world_endpoint(node, number);
    for (size_t i = 0; p != NULL && i < p->n_addrs; i++) {
        struct multiaddr_target t = multiaddr_target(bytes_at(p->addrs[i].p, p->addrs[i].n));
        if (t.host == TARGET_IP && ip_eq(&t.ip, &want.ip) && t.port == want.port) return true;
    }
    return false;
}

TEST(both_sides_identify_each_other) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    for (size_t i = 0; i < 2; i++) {
        const struct peer *p = world_peer(w, i == 0 ? a : b, i == 0 ? b : a);
        CHECK(p != NULL && p->n_protocols == PROTOCOL_COUNT - 1 && p->agent != NULL); /* no perf */
        CHECK(strcmp(p->agent, "silktalk/0") == 0 && p->record_seq > 0);
        CHECK(peer_speaks(p, PROTOCOL_MESSAGE) && !peer_speaks(p, PROTOCOL_PERF));
    }
    CHECK(knows_address(w, b, a, 0)); /* who only dialled can be dialled now */
    CHECK(logged(w, a, EV_IDENTIFIED) == 1 && logged(w, b, EV_IDENTIFIED) == 1);
    end_world(w);
}

TEST(new_addresses_are_pushed) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    CHECK(!knows_address(w, b, a, 7));
    struct endpoint at[2] = {world_endpoint(a, 0), world_endpoint(a, 7)};
    node_now(node_of(w, a), world_clocks(w, w->nodes[a]));
    node_listening(node_of(w, a), at, 2);
    world_turn(w, w->nodes[a]);
    world_run(w, 7000);
    CHECK(knows_address(w, b, a, 7) && knows_address(w, b, a, 0));
    uint64_t seq = world_peer(w, b, a)->record_seq;
    node_listening(node_of(w, a), at, 2); /* the same again is no news */
    world_run(w, 7000);
    CHECK(world_peer(w, b, a)->record_seq == seq);
    end_world(w);
}

TEST(pushes_have_a_rate) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    world_run(w, 6000); /* the push of the start is through */
    for (int i = 0; i < 20; i++) {
        identify_push_all(node_of(w, a));
        world_turn(w, w->nodes[a]);
        world_run(w, 100);
    }
    CHECK(logged(w, b, EV_IDENTIFIED) == 1 + 12 && node_of(w, b)->limits.of[LIMIT_PUSHES].hits > 0);
    CHECK(world_connected(w, a, b));
    end_world(w);
}

TEST(ping_measures_and_says_when_nobody_answers) {
    struct world *w = quiet_world();
    w->net.delay_us = 20000;
    w->net.jitter_us = 0;
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    const char *answer = world_ask(w, a, "ping", "{\"peer\":\"%s\",\"count\":1}", w->nodes[b]->id);
    CHECK(answer != NULL && strstr(answer, "error\":{") == NULL, "%s", answer);
    const char *rtt = strstr(answer, "\"rtt_");
    CHECK(rtt != NULL && strstr(rtt, "0.04") != NULL, "%s", answer); /* 40 ms */
    wires_cut(w, a, b, true);
    answer = world_ask(w, a, "ping", "{\"peer\":\"%s\",\"count\":1}", w->nodes[b]->id);
    CHECK(answer != NULL && (strstr(answer, "in time") != NULL || strstr(answer, "error") != NULL), "%s",
          answer);
    end_world(w);
}

#define PERF "{\"peer\":\"%s\",\"up\":1000000,\"down\":1000000}"

TEST(perf_is_served_where_it_is_switched_on) {
    struct world *w = quiet_world();
    w->net.bytes_per_s = 1000000;
    size_t a = node_with(w, ""), b = node_with(w, ""), c = node_with(w, "[network]\nperf = yes\n");
    must_connect(w, a, b);
    must_connect(w, a, c);
    const char *answer = world_ask(w, a, "perf", PERF, w->nodes[b]->id);
    CHECK(answer != NULL && strstr(answer, "\"error\"") != NULL, "%s", answer);
    int64_t began = w->now_us;
    answer = world_ask(w, a, "perf", PERF, w->nodes[c]->id);
    CHECK(answer != NULL && strstr(answer, "\"error\":{") == NULL, "%s", answer);
    CHECK(w->now_us - began > 1900000 && w->now_us - began < 4000000, "%lld us",
          (long long)(w->now_us - began));
    end_world(w);
}
