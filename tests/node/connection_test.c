/* One connection's life: handshake, silence, ends, private networks, bytes in any portion. */
#include "node/swarm.h"
#include "tests/node/help.h"

static uint32_t come(struct world *w, size_t node) {
    struct endpoint from = world_endpoint(77, 0), to = world_endpoint(node, 0);
    return node_accepted(node_of(w, node), &from, &to);
}

static void say(struct world *w, size_t node, uint32_t id, struct bytes what) {
    struct buf *rx = node_rx(node_of(w, node), id);
    if (rx == NULL) return;
    CHECK(buf_add(rx, what));
    node_received(node_of(w, node), id);
    world_turn(w, w->nodes[node]);
}

TEST(a_handshake_has_its_time) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nhandshakeTimeout = 5s\n");
    uint32_t silent = come(w, a), slow = come(w, a);
    world_turn(w, w->nodes[a]);
    for (int i = 0; i < 4; i++) { /* a byte now and then buys no time */
        say(w, a, slow, BYTES("\x13/multistream/1.0.0\n"));
        world_run(w, 1000);
        if (connection_find(node_of(w, a), slow) == NULL) break;
    }
    CHECK(connection_find(node_of(w, a), silent) != NULL);
    world_run(w, 2000);
    CHECK(connection_find(node_of(w, a), silent) == NULL && connection_find(node_of(w, a), slow) == NULL);
    CHECK(node_of(w, a)->n_connections == 0 && node_of(w, a)->n_pending_in == 0);
    end_world(w);
}

TEST(rubbish_ends_a_connection) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct rng rng = rng_seeded(test_seed());
    for (int i = 0; i < 20; i++) {
        uint8_t bytes[400];
        rng_fill(&rng, bytes, sizeof bytes);
        bytes[0] |= 0x40; /* no header of multistream */
        uint32_t id = come(w, a);
        world_turn(w, w->nodes[a]);
        say(w, a, id, bytes_at(bytes, sizeof bytes));
        world_run(w, 11000); /* what looks like the begin of a long line may go on */
        CHECK(connection_find(node_of(w, a), id) == NULL, "%d", i);
    }
    CHECK(logged(w, a, EV_HANDSHAKE_FAILED) == 20 && node_of(w, a)->n_connections == 0);
    end_world(w);
}

/* After the handshake each byte is authenticated: one flipped bit, and it is over. */
TEST(a_flipped_bit_ends_a_connection) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    const struct connection *c = connection_to(w, b, a);
    CHECK(c != NULL);
    uint8_t frame[40] = {0, 38, 1, 2, 3};
    say(w, b, c == NULL ? 0 : c->id, bytes_at(frame, sizeof frame));
    world_run(w, 100);
    CHECK(logged(w, b, EV_PEER_DISCONNECTED) == 1 && logged(w, b, EV_PEER_MISBEHAVED) == 1);
    CHECK(logged(w, a, EV_PEER_DISCONNECTED) == 1);
    end_world(w);
}

/* Reading borrows the node's buffer, also when what it finds is the end: else each connection that ends would
 * take it along, and the next one that reads get 128 KiB from the kernel. */
TEST(the_buffer_for_reading_is_given_back) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nminConnections = 0\n"), b = node_with(w, "");
    must_connect(w, a, b);
    struct node *n = node_of(w, b);
    const struct connection *c = connection_to(w, b, a);
    struct buf *rx = c == NULL ? NULL : node_rx(n, c->id);
    CHECK(rx != NULL && rx->n == 0 && buf_reserve(rx, 100000) && n->spare_rx.p == NULL);
    node_hangup(n, c->id, E_CLOSED, "gone");
    CHECK(n->spare_rx.cap >= 100000);
    end_world(w);
}

TEST(a_peer_that_vanishes_is_noticed) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nminConnections = 0\n"), b = node_with(w, "");
    must_connect(w, a, b);
    world_run(w, 6000);
    world_cut(w, b, DISK_LOSES_ALL);
    world_run(w, 29000);
    CHECK(world_connected(w, a, b)); /* keepAlive 30s, then 10 s for the answer */
    world_run(w, 16000);
    CHECK(!world_connected(w, a, b) && logged(w, a, EV_PEER_DISCONNECTED) == 1);
    end_world(w);
}

/* SEED=141: each write counted as a sign of life, so who went on writing to the dead noticed nothing. */
TEST(writing_into_the_void_is_no_sign_of_life) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nminConnections = 0\n"), b = node_with(w, ANY);
    must_connect(w, a, b);
    wires_cut(w, a, b, true);
    world_cut(w, b, DISK_LOSES_ALL);
    for (int i = 0; i < 45 && world_connected(w, a, b); i++) {
        send_text(w, a, b, "x");
        world_run(w, 1000);
    }
    CHECK(logged(w, a, EV_PEER_DISCONNECTED) == 1);
    world_start(w, b);
    CHECK(all_sent(w, a, 120000));
    end_world(w);
}

/* A slow link is none that is dead: the pong waits behind data both ways (SEED=20301 NODES=20). */
TEST(a_slow_link_stays) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ANY "[connection]\nkeepAlive = 5s\n"),
           b = node_with(w, ANY "[connection]\nkeepAlive = 5s\n");
    char text[4001];
    must_connect(w, a, b);
    w->net.bytes_per_s = 3000;
    memset(text, 'x', sizeof text);
    text[4000] = 0;
    for (int i = 0; i < 100; i++) { /* more than a minute's worth each way */
        send_text(w, a, b, text);
        send_text(w, b, a, text);
    }
    CHECK(all_sent(w, a, 1000000) && all_sent(w, b, 1000000));
    CHECK(logged(w, a, EV_PEER_DISCONNECTED) == 0 && logged(w, b, EV_PEER_DISCONNECTED) == 0);
    CHECK(world_count(w, a, "SELECT count(*) FROM inbox") == 100 &&
          world_count(w, b, "SELECT count(*) FROM inbox") == 100);
    end_world(w);
}

TEST(a_stop_says_goodbye) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nminConnections = 0\n"), b = node_with(w, "");
    must_connect(w, a, b);
    int64_t began = w->now_us;
    world_stop(w, b);
    world_run(w, 1000);
    CHECK(!w->nodes[b]->up && !world_connected(w, a, b));
    CHECK(w->now_us - began <= 1000000 && logged(w, a, EV_PEER_MISBEHAVED) == 0);
    end_world(w);
}

TEST(private_networks_do_not_mix) {
    struct world *w = quiet_world();
    size_t n[4];
    for (size_t i = 0; i < 4; i++) {
        n[i] = world_add(w, "[connection]\nminConnections = 0\nhandshakeTimeout = 3s\n" ANY);
        w->nodes[n[i]]->private_network = i > 0;
        memset(w->nodes[n[i]]->swarm_key, i == 3 ? 5 : 4, 32);
        world_start(w, n[i]);
    }
    world_run(w, 50);
    must_connect(w, n[1], n[2]);
    send_text(w, n[1], n[2], "secret");
    CHECK(all_sent(w, n[1], 5000) && inbox_is(w, n[2], "secret "));
    connect_to(w, n[0], n[1]);
    connect_to(w, n[1], n[0]);
    connect_to(w, n[3], n[1]);
    connect_to(w, n[1], n[3]);
    world_run(w, 15000);
    CHECK(open_connections(w, n[0]) == 0 && open_connections(w, n[3]) == 0 &&
          node_of(w, n[1])->n_pending_in == 0);
    end_world(w);
}

/* Each byte alone, and a window of a few bytes: nothing depends on how a network cuts. */
TEST(bytes_may_come_one_by_one) {
    struct world *w = world_new(test_seed(),
                                &(struct sim_network){.delay_us = 10, .window = 7, .odd_reads = true});
    size_t a = node_with(w, ANY), b = node_with(w, ANY);
    w->nodes[a]->private_network = w->nodes[b]->private_network = false;
    connect_to(w, a, b);
    send_text(w, a, b, "in pieces");
    CHECK(all_sent(w, a, 60000) && inbox_is(w, b, "in pieces "));
    end_world(w);
}

/* A peer that takes nothing is not read: its requests would only pile up answers. */
TEST(who_does_not_read_is_not_read) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[network]\nperf = yes\n"), b = node_with(w, "[network]\nperf = yes\n");
    must_connect(w, a, b);
    w->net.window = 1000;
    w->net.delay_us = 20000;
    char line[300];
    for (int i = 0; i < 4; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":%d,\"method\":\"perf\",\"params\":{\"peer\":\"%s\",\"up\":0,\"down\":20000000}}", i,
                 w->nodes[b]->id);
        world_tell(w, a, 1, bytes_of(line));
    }
    for (int i = 0; i < 100; i++) {
        world_run(w, 100);
        struct connection *c = connection_to(w, b, a);
        CHECK(c != NULL);
        CHECK(c->tx.n - c->tx_at <= 2 * CONN_TX_HIGH && c->mux.out.n <= 2 * MUX_OUT_MAX, "%zu %zu", c->tx.n,
              c->mux.out.n);
    }
    end_world(w);
}
