/* Whom a node is connected to: limits, trimming, reserved places, bootstrap peers, idle connections, access.
 */
#include "node/swarm.h"
#include "tests/node/help.h"

#define SMALL "[connection]\nreservedForTrusted = 0\nminConnections = 0\n"

static size_t most; /* connections of node 0, ever */
static void watch_most(struct world *w, size_t node) {
    if (node == 0) most = MAX(most, node_of(w, 0)->n_connections);
}

/* An inbound connection that says nothing, from 10.200.x.y. */
static uint32_t come(struct world *w, size_t node, uint32_t host) {
    uint8_t p[4] = {10, 200, (uint8_t)(host >> 8), (uint8_t)host};
    struct endpoint from = {.ip = ip_of(4, p), .port = 5}, to = world_endpoint(node, 0);
    return node_accepted(node_of(w, node), &from, &to);
}

static void go(struct world *w, size_t node, uint32_t id) {
    node_hangup(node_of(w, node), id, E_CLOSED, "gone");
    world_turn(w, w->nodes[node]);
}

TEST(the_default_cap_is_300_and_hard) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    uint32_t last = 0;
    for (uint32_t i = 0; i < 300; i++) CHECK((last = come(w, a, i)) != 0, "%u", i);
    CHECK(come(w, a, 300) == 0 && node_of(w, a)->n_connections == 300);
    CHECK(node_of(w, a)->limits.of[LIMIT_CONNECTIONS].max == 300 && logged(w, a, EV_CONNECTION_REFUSED) == 1);
    go(w, a, last);
    CHECK(come(w, a, 301) != 0 && come(w, a, 302) == 0);
    end_world(w);
}

/* The same when we dial: no dial may take the last place from under the cap. */
TEST(dials_keep_under_the_cap) {
    struct world *w = quiet_world();
    size_t a = node_with(w, SMALL "maxConnections = 2\n");
    for (int i = 0; i < 6; i++) node_with(w, "");
    w->on_turn = watch_most;
    most = 0;
    for (size_t i = 1; i <= 6; i++) connect_to(w, a, i);
    CHECK(most == 2 && open_connections(w, a) == 2, "%zu", most);
    end_world(w);
}

TEST(an_address_has_so_many_connections_and_so_many_a_second) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nmaxConnectionsPerAddress = 12\n"), n = 0;
    uint32_t last = 0;
    for (uint32_t id; (id = come(w, a, 1)) != 0; n++) last = id;
    CHECK(n == 10, "a burst of two seconds, not %zu", n); /* 5/s */
    CHECK(come(w, a, 2) != 0);                            /* others are not kept out by it */
    world_run(w, 1000);
    for (n = 0; come(w, a, 1) != 0;) n++;
    CHECK(n == 2, "twelve together, not %zu more", n);
    world_run(w, 1000);
    CHECK(come(w, a, 1) == 0 && node_of(w, a)->limits.of[LIMIT_PER_ADDRESS].hits > 0);
    go(w, a, last);
    CHECK(come(w, a, 1) != 0 && come(w, a, 1) == 0);
    end_world(w);
}

TEST(half_open_connections_have_a_limit_and_a_time) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nmaxIncomingPendingConnections = 4\n");
    for (uint32_t i = 0; i < 4; i++) {
        CHECK(node_accepting(node_of(w, a)));
        come(w, a, i);
    }
    CHECK(!node_accepting(node_of(w, a)) && node_of(w, a)->n_pending_in == 4);
    world_turn(w, w->nodes[a]);
    world_run(w, 11000);
    CHECK(node_accepting(node_of(w, a)) && node_of(w, a)->n_pending_in == 0 &&
          node_of(w, a)->n_connections == 0);
    end_world(w);
}

TEST(a_peer_has_so_many_connections) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nmaxConnectionsPerPeer = 2\n"), b = node_with(w, "");
    for (int i = 0; i < 5; i++) {
        struct buf addr = {.max = MULTIADDR_MAX};
        struct endpoint at = world_endpoint(a, 0);
        CHECK(multiaddr_from_endpoint(&at, &addr));
        CHECK(swarm_dial_address(node_of(w, b), buf_view(&addr), NULL) != NULL);
        buf_free(&addr);
        world_turn(w, w->nodes[b]);
        world_run(w, 2000);
        CHECK(open_connections(w, a) <= 2);
    }
    CHECK(open_connections(w, a) == 2 && world_connected(w, b, a));
    CHECK(node_of(w, a)->limits.of[LIMIT_PER_PEER].hits == 3);
    end_world(w);
}

/* At the cap the least useful one gives way: not who is trusted, a bootstrap peer, or has mail to come; the
 * operator's before strangers; and nobody within his first 20 s. */
TEST(trimming_keeps_protected_and_useful_peers) {
    struct world *w = quiet_world();
    size_t a = world_add(w, ""), trusted = node_with(w, SMALL), boot = node_with(w, SMALL);
    size_t known = node_with(w, SMALL), x = node_with(w, SMALL), y = node_with(w, SMALL),
           z = node_with(w, SMALL);
    char ini[512];
    snprintf(ini, sizeof ini,
             SMALL "maxConnections = 5\n[access]\nallowPeers = %s\n[discovery]\nbootstrap = %s\n",
             w->nodes[trusted]->id, world_address(w, boot));
    world_config(w, a, ini);
    world_start(w, a);
    world_run(w, 3000);
    must_connect(w, trusted, a);
    must_connect(w, a, known);
    must_connect(w, x, a);
    must_connect(w, y, a);
    connect_to(w, z, a);
    world_run(w, 500);
    CHECK(open_connections(w, a) == 5 && !world_connected(w, a, z)); /* all are protected, or came just now */
    world_run(w, 21000);
    const char *pong = world_ask(w, y, "ping", "{\"peer\":\"%s\",\"count\":1}", w->nodes[a]->id);
    CHECK(pong != NULL && strstr(pong, "error") == NULL);
    must_connect(w, z, a);
    CHECK(world_connected(w, a, z) && !world_connected(w, a, x) && open_connections(w, a) == 5);
    CHECK(world_connected(w, a, trusted) && world_connected(w, a, boot) && world_connected(w, a, known) &&
          world_connected(w, a, y));
    end_world(w);
}

/* A message through a slow line takes longer than the first 20 s. */
TEST(trimming_spares_who_is_in_the_middle_of_a_message) {
    struct world *w = world_new(11, &(struct sim_network){.delay_us = 500000, .window = 1024});
    size_t a = node_with(w, SMALL "maxConnections = 1\n[messages]\nfrom = any\n"), x = node_with(w, SMALL),
           y = node_with(w, SMALL);
    struct buf body = {.max = 1 << 20};
    while (body.n < 60000) buf_add_text(&body, "word ");
    must_connect(w, x, a);
    send_text(w, x, a, buf_cstr(&body));
    world_run(w, 30000);
    connect_to(w, y, a);
    world_run(w, 5000);
    CHECK(world_connected(w, a, x) && !world_connected(w, a, y));
    CHECK(all_sent(w, x, 200000) && logged(w, a, EV_PEER_DISCONNECTED) == 0);
    connect_to(w, y, a);
    world_run(w, 5000);
    CHECK(!world_connected(w, a, x) && world_connected(w, a, y));
    buf_free(&body);
    end_world(w);
}

TEST(reserved_places_are_for_trusted_peers) {
    struct world *w = quiet_world();
    size_t a = world_add(w, ""), friend = node_with(w, ""), strangers[4];
    char ini[300];
    snprintf(ini, sizeof ini,
             "[connection]\nminConnections = 0\nmaxConnections = 6\nreservedForTrusted = "
             "3\n[access]\nallowPeers = %s\n",
             w->nodes[friend]->id);
    world_config(w, a, ini);
    world_start(w, a);
    world_run(w, 100);
    for (size_t i = 0; i < 4; i++) {
        strangers[i] = node_with(w, "");
        connect_to(w, strangers[i], a);
        world_run(w, 300);
    }
    CHECK(open_connections(w, a) == 3 && !world_connected(w, a, strangers[3]));
    must_connect(w, friend, a);
    CHECK(open_connections(w, a) == 4 && world_connected(w, a, friend));
    end_world(w);
}

/* ---- bootstrap */

static int64_t dials[64];
static size_t n_dials;
static enum sim_route refuse_all(struct world *w, size_t from, const struct endpoint *to, size_t *node,
                                 int64_t *delay_us) {
    (void)to;
    (void)node;
    (void)delay_us;
    if (from == 0 && n_dials < LEN(dials)) dials[n_dials++] = w->now_us;
    return ROUTE_REFUSED;
}

TEST(a_bootstrap_peer_is_dialed_again_ever_more_slowly) {
    struct world *w = quiet_world();
    size_t a = world_add(w, ""), b = world_add(w, "");
    char ini[300];
    snprintf(ini, sizeof ini, "[connection]\nredialMin = 2s\nredialMax = 60s\n[discovery]\nbootstrap = %s\n",
             world_address(w, b));
    world_config(w, a, ini);
    w->route = refuse_all;
    n_dials = 0;
    world_start(w, a);
    world_run(w, 600000);
    CHECK(n_dials > 10 && n_dials < 30, "%zu", n_dials);
    for (size_t i = 1; i < n_dials; i++) {
        int64_t gap = (dials[i] - dials[i - 1]) / 1000,
                want = MIN((int64_t)2000 << MIN(i < 2 ? 0 : i - 2, (size_t)10), (int64_t)60000);
        CHECK(gap >= want * 3 / 4 && gap <= want * 5 / 4 + 1100, "%zu: %lld ms", i,
              (long long)gap); /* once a second it looks */
    }
    CHECK(logged(w, a, EV_BOOTSTRAP_UNREACHABLE) == 1);
    w->route = NULL;
    world_start(w, b);
    world_run(w, 80000);
    CHECK(world_connected(w, a, b));
    world_kill(w, b); /* and it is fast again */
    world_start(w, b);
    world_run(w, 5000);
    CHECK(world_connected(w, a, b));
    end_world(w);
}

/* A full node closes whom it can; those who come back at once would keep all others out for ever. */
TEST(a_bootstrap_peer_that_ends_our_connections_is_left_in_peace) {
    struct world *w = quiet_world();
    size_t a = world_add(w, ""), b = node_with(w, SMALL "idleTimeout = 5s\n[messages]\nfrom = any\n");
    char ini[300];
    snprintf(ini, sizeof ini, SMALL "redialMin = 1s\nredialMax = 60s\n[discovery]\nbootstrap = %s\n",
             world_address(w, b));
    world_config(w, a, ini);
    world_start(w, a);
    for (int i = 0; i < 20 && logged(w, a, EV_PEER_DISCONNECTED) == 0; i++) world_run(w, 1000);
    world_run(w, 2000);
    CHECK(logged(w, a, EV_PEER_DISCONNECTED) == 1 && world_connected(w, a, b)); /* once may be chance */
    world_run(w, 590000);
    size_t ends = logged(w, a, EV_PEER_DISCONNECTED);
    CHECK(ends >= 12 && ends <= 18, "%zu", ends);
    send_text(w, a, b, "mail");
    CHECK(all_sent(w, a, 2000) && inbox_is(w, b, "mail ")); /* waits for nothing */
    end_world(w);
}

/* Many nodes that lost the same peer at the same moment must not all come back at the same moment. */
TEST(redials_are_spread) {
    struct world *w = quiet_world();
    size_t boot = world_add(w, "");
    char ini[300];
    snprintf(ini, sizeof ini, "[connection]\nredialMin = 30s\n[discovery]\nbootstrap = %s\n",
             world_address(w, boot));
    for (int i = 0; i < 12; i++) world_start(w, world_add(w, ini));
    world_run(w, 25000); /* the first try failed */
    size_t different = 0;
    int64_t first = world_peer(w, 1, boot)->next_dial.us;
    for (size_t i = 2; i <= 12; i++)
        different += llabs(world_peer(w, i, boot)->next_dial.us - first) > 500000;
    CHECK(different >= 6, "%zu", different);
    end_world(w);
}

/* ---- idle connections */

TEST(idle_connections_close_unless_they_are_needed) {
    struct world *w = quiet_world();
    size_t a = world_add(w, ""), boot = node_with(w, ANY), x = node_with(w, ANY);
    char ini[300];
    snprintf(ini, sizeof ini, SMALL "idleTimeout = 60s\n[discovery]\nbootstrap = %s\n",
             world_address(w, boot));
    world_config(w, a, ini);
    world_start(w, a);
    world_run(w, 3000);
    must_connect(w, a, x);
    send_text(w, a, x, "1"); /* its stream stays open, and is no use by itself */
    world_run(w, 40000);
    CHECK(world_connected(w, a, boot) && world_connected(w, a, x));
    world_run(w, 40000);
    CHECK(world_connected(w, a, boot) && !world_connected(w, a, x));
    send_text(w, a, x, "2");
    CHECK(all_sent(w, a, 10000) && inbox_is(w, x, "1 2 "));
    end_world(w);
}

TEST(the_last_connections_stay) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nminConnections = 1\nidleTimeout = 60s\n"), x = node_with(w, ""),
           y = node_with(w, "");
    must_connect(w, a, x);
    must_connect(w, a, y);
    world_run(w, 100000);
    CHECK(open_connections(w, a) == 1);
    end_world(w);
}

/* ---- access */

TEST(denied_peers_and_blocks_do_not_come_in) {
    struct world *w = quiet_world();
    size_t a = world_add(w, ""), x = node_with(w, ""), y = node_with(w, ""), z = node_with(w, "");
    char ini[300], ip[48];
    struct endpoint at = world_endpoint(y, 0);
    ip_text(&at.ip, ip);
    snprintf(ini, sizeof ini, "[access]\ndenyPeers = %s\ndenyCidrs = %s/32\n", w->nodes[x]->id, ip);
    world_config(w, a, ini);
    world_start(w, a);
    world_run(w, 100);
    connect_to(w, x, a);
    connect_to(w, y, a);
    must_connect(w, z, a);
    world_run(w, 1000);
    CHECK(!world_connected(w, a, x) && !world_connected(w, a, y) && world_connected(w, a, z));
    CHECK(logged(w, a, EV_ACCESS_FAILED) >= 2);
    connect_to(w, a, x);
    connect_to(w, a, y);
    CHECK(open_connections(w, a) == 1);
    snprintf(ini, sizeof ini, "[access]\ndenyPeers = %s\n", w->nodes[z]->id);
    CHECK(world_reload(w, a, ini)); /* a rule holds for who is there already */
    CHECK(!world_connected(w, a, z));
    end_world(w);
}

TEST(the_allowlist_lets_in_who_is_on_it) {
    struct world *w = quiet_world();
    size_t a = world_add(w, ""), x = node_with(w, ""), y = node_with(w, "");
    char ini[300];
    snprintf(ini, sizeof ini, "[access]\nmode = allowlist\nallowPeers = %s\n", w->nodes[x]->id);
    world_config(w, a, ini);
    world_start(w, a);
    world_run(w, 100);
    must_connect(w, x, a);
    connect_to(w, y, a);
    world_run(w, 1000);
    CHECK(world_connected(w, a, x) && !world_connected(w, a, y) && open_connections(w, a) == 1);
    end_world(w);
}

TEST(nobody_connects_to_himself) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    node_listening(node_of(w, a), &(struct endpoint){.port = 1}, 0); /* it does not know its own address */
    struct buf addr = {.max = MULTIADDR_MAX};
    struct endpoint at = world_endpoint(a, 0);
    CHECK(multiaddr_from_endpoint(&at, &addr));
    CHECK(swarm_dial_address(node_of(w, a), buf_view(&addr), NULL) != NULL);
    buf_free(&addr);
    world_turn(w, w->nodes[a]);
    world_run(w, 5000);
    CHECK(node_of(w, a)->n_connections == 0 && node_of(w, a)->dials == NULL);
    end_world(w);
}
