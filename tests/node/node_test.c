/* A node as a whole: start, reload, stop, and its end at any moment. */
#include "tests/node/help.h"

TEST(a_node_alone_sleeps) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    world_run(w, 1000);
    uint64_t turns = w->nodes[a]->turns;
    world_run(w, 600000);
    CHECK((w->nodes[a]->turns - turns) / 600 <= 2, "%llu turns in ten minutes",
          (unsigned long long)(w->nodes[a]->turns - turns));
    end_world(w);
}

TEST(it_accepts_nobody_before_it_is_loaded) {
    struct world *w = quiet_world();
    size_t a = world_add(w, "");
    w->nodes[a]->commit_us = 2000000;
    world_start(w, a);
    CHECK(!node_accepting(node_of(w, a)) && strcmp(node_state(node_of(w, a)), "starting") == 0);
    world_run(w, 10000);
    CHECK(node_accepting(node_of(w, a)) && strcmp(node_state(node_of(w, a)), "healthy") == 0);
    end_world(w);
}

TEST(a_stop_is_quick_and_final) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    send_text(w, a, b, "x");
    world_stop(w, a);
    node_stop(node_of(w, b)); /* twice is once */
    node_stop(node_of(w, b));
    world_run(w, 6000);
    CHECK(!w->nodes[a]->up && node_drained(node_of(w, b)) && !node_accepting(node_of(w, b)));
    world_start(w, a);
    CHECK(w->nodes[a]->up && world_peer(w, a, b) == NULL);
    world_run(w, 1000);
    CHECK(world_peer(w, a, b) != NULL && (world_peer(w, a, b)->flags & PEER_OPERATOR) != 0,
          "what it knew is there");
    end_world(w);
}

/* Freed at any moment, with everything that is under way: nothing is left (world_free counts). */
TEST(it_may_end_at_any_moment) {
    for (int64_t at = 1; at < 60; at++) {
        struct world *w = quiet_world();
        size_t a = node_with(w, ANY), b = node_with(w, ANY);
        char line[400];
        snprintf(line, sizeof line,
                 "{\"id\":1,\"method\":\"send\",\"params\":{\"peer\":\"%s\",\"body\":\"x\",\"wait\":true}}",
                 world_address(w, b));
        world_tell(w, a, 1, bytes_of(line));
        for (int64_t i = 0; i < at * 6 && w->n_heap > 0; i++) world_run(w, 0), w->now_us += 50;
        world_run(w, 0);
        world_cut(w, at % 2 == 0 ? a : b, DISK_LOSES_ALL);
        world_run(w, 5);
        end_world(w);
    }
}

TEST(a_reload_changes_limits_at_once) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), others[6];
    for (size_t i = 0; i < 6; i++) {
        others[i] = node_with(w, "[connection]\nminConnections = 0\n");
        must_connect(w, others[i], a);
    }
    CHECK(open_connections(w, a) == 6);
    CHECK(
        world_reload(w, a, "[connection]\nmaxConnections = 3\nreservedForTrusted = 0\nminConnections = 0\n"));
    CHECK(node_of(w, a)->n_connections == 3);
    world_run(w, 1000);
    CHECK(open_connections(w, a) == 3 && limit_max(&node_of(w, a)->limits, LIMIT_CONNECTIONS) == 3);
    CHECK(!world_reload(w, a, "[connection]\nmaxConnections = none\n"));
    end_world(w);
}

/* The same seed does the same, to the last byte and microsecond. */
TEST(a_world_repeats_itself) {
    uint64_t traces[2];
    for (size_t i = 0; i < 2; i++) {
        struct world *w = world_new(
            99, &(struct sim_network){.delay_us = 500, .jitter_us = 3000, .odd_reads = true});
        size_t a = node_with(w, ANY), b = node_with(w, ANY);
        must_connect(w, a, b);
        for (int k = 0; k < 10; k++) send_text(w, a, b, "again");
        wires_cut(w, a, b, false);
        CHECK(all_sent(w, a, 30000));
        traces[i] = w->trace;
        end_world(w);
    }
    CHECK(traces[0] == traces[1]);
}
