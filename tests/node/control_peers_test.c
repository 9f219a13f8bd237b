/* What people ask about peers, and do to connections. */
#include "tests/node/help.h"

TEST(peers_lists_connections_and_with_all_the_rest) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ""), c = node_with(w, "");
    must_have(world_ask(w, a, "peers", "{}"), "\"schema\":\"silktalk.peers/1\",\"items\":[]");
    must_connect(w, a, b);
    must_connect(w, c, a);
    const char *answer = world_ask(w, a, "peers", "{}");
    must_have(answer, "\"direction\":\"out\",\"path\":\"direct\",\"since\":\"");
    must_have(answer, "\"direction\":\"in\"");
    must_have(answer, w->nodes[b]->id);
    must_have(answer, "\"agent\":\"silktalk/0\",\"protocols\":[\"/ipfs/id/1.0.0\"");
    world_kill(w, b);
    world_run(w, 1000);
    CHECK(strstr(world_ask(w, a, "peers", "{}"), w->nodes[b]->id) == NULL);
    answer = world_ask(w, a, "peers.list", "{\"all\":true}");
    must_have(answer, w->nodes[b]->id);
    must_have(answer, "\"direction\":null,\"path\":null,\"since\":null");
    end_world(w);
}

/* A name, a Peer ID, a multiaddr, a unique ending of six or more; nothing else. */
TEST(a_peer_is_named_in_five_ways) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    const char *id = w->nodes[b]->id;
    must_have(world_ask(w, a, "peer.name", "{\"peer\":\"%s\",\"name\":\"web-02\"}", id), "\"result\"");
    const char *good[] = {id, "web-02", world_address(w, b), id + strlen(id) - 6, id + strlen(id) - 12};
    for (size_t i = 0; i < LEN(good); i++)
        must_have(world_ask(w, a, "peer.show", "{\"peer\":\"%s\"}", good[i]), "\"name\":\"web-02\"");
    const char *missing[] = {id + strlen(id) - 5, "web-03", "zzzzzzzz", "WEB-02"};
    for (size_t i = 0; i < LEN(missing); i++)
        must_fail(world_ask(w, a, "peer.show", "{\"peer\":\"%s\"}", missing[i]), "not_found");
    must_fail(world_ask(w, a, "peer.show", "{}"), "usage");
    must_fail(world_ask(w, a, "peer.name", "{\"peer\":\"web-02\",\"name\":\"a b\"}"), "input");
    must_fail(world_ask(w, a, "peer.name", "{\"peer\":\"web-02\",\"name\":\"%s\"}", id), "input");
    must_have(world_ask(w, a, "peer.name", "{\"peer\":\"web-02\",\"name\":\"\"}"), "\"result\"");
    must_fail(world_ask(w, a, "peer.show", "{\"peer\":\"web-02\"}"), "not_found");
    end_world(w);
}

TEST(show_says_what_is_known) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY), c = world_add(w, "");
    must_connect(w, a, b);
    world_ask(w, a, "peer.name", "{\"peer\":\"%s\",\"name\":\"bee\"}", w->nodes[b]->id);
    world_kill(w, c);
    send_text(w, a, c, "waits");
    const char *answer = world_ask(w, a, "peer.show", "{\"peer\":\"bee\"}");
    must_have(answer, "\"known_as\":[\"connected\",\"named\"]");
    must_have(answer, "\"may_send\":true");
    must_have(answer, "\"connections\":[{");
    must_have(answer, "\"outbox\":0}");
    answer = world_ask(w, a, "peer.show", "{\"peer\":\"%s\"}", w->nodes[c]->id);
    must_have(answer, "\"known_as\":[\"written_to\"]");
    must_have(answer, "\"connections\":[],\"outbox\":1}");
    must_have(answer, "\"operator\":true");
    end_world(w);
}

TEST(forget_takes_only_what_is_not_needed) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ""), c = world_add(w, "");
    must_connect(w, a, b);
    const char *id = w->nodes[b]->id;
    const char *answer = world_ask(w, a, "peer.forget", "{\"peer\":\"%s\"}", id);
    CHECK(strstr(answer, "\"error\"") != NULL && world_connected(w, a, b), "%s", answer); /* connected */
    must_have(world_ask(w, a, "disconnect", "{\"peer\":\"%s\"}", id), "\"count\":1");
    world_run(w, 500);
    must_have(world_ask(w, a, "peer.forget", "{\"peer\":\"%s\"}", id), "\"result\"");
    CHECK(world_peer(w, a, b) == NULL);
    world_run(w, 10000);
    CHECK(world_count(w, a, "SELECT count(*) FROM peers") == 0);
    send_text(w, a, c, "waits");
    answer = world_ask(w, a, "peer.forget", "{\"peer\":\"%s\"}", w->nodes[c]->id);
    CHECK(strstr(answer, "\"error\"") != NULL && node_outbox(node_of(w, a)) == 1, "%s", answer);
    end_world(w);
}

TEST(connect_says_how_it_ended) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\ndialTimeout = 2s\n"), b = node_with(w, ""), c = world_add(w, "");
    must_have(connect_to(w, a, b), "\"connected\":true,\"already\":false}");
    must_have(connect_to(w, a, b), "\"connected\":true,\"already\":true}");
    must_have(world_ask(w, a, "connect", "{\"peer\":\"%s\"}", w->nodes[b]->id), "\"already\":true}");
    must_fail(connect_to(w, a, a), "input"); /* itself */
    must_fail(world_ask(w, a, "connect", "{\"peer\":\"/ip4/1.2.3.4/udp/9\"}"), "input");
    must_fail(world_ask(w, a, "connect", "{\"peer\":\"/ip4/1.2.3.4\"}"), "input");
    must_fail(world_ask(w, a, "connect", "{\"peer\":\"/nonsense\"}"), "input");
    must_fail(world_ask(w, a, "connect", "{}"), "usage");
    must_fail(world_ask(w, a, "connect", "{\"peer\":\"nobody\"}"), "not_found");
    const char *answer = connect_to(w, a, c); /* nobody listens there */
    CHECK(answer != NULL && strstr(answer, "\"error\"") != NULL, "%s", answer == NULL ? "none" : answer);
    CHECK(node_of(w, a)->n_requests == 0);
    end_world(w);
}

/* Without /p2p/: who answers is shown, and not kept. With another's Peer ID: verification failed. */
TEST(connect_tells_who_answers) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ""), c = world_add(w, "");
    char addr[200];
    snprintf(addr, sizeof addr, "%s", world_address(w, b));
    *strstr(addr, "/p2p/") = 0;
    const char *answer = world_ask(w, a, "connect", "{\"peer\":\"%s\"}", addr);
    must_have(answer, w->nodes[b]->id);
    must_have(answer, "\"connected\":false,\"confirm\":true}");
    world_run(w, 500);
    CHECK(!world_connected(w, a, b));
    snprintf(addr + strlen(addr), 80, "/p2p/%s", w->nodes[c]->id);
    must_fail(world_ask(w, a, "connect", "{\"peer\":\"%s\"}", addr), "verification");
    end_world(w);
}

TEST(disconnect_closes_all_and_stays_away) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_fail(world_ask(w, a, "disconnect", "{\"peer\":\"%s\"}", w->nodes[b]->id), "not_found");
    must_connect(w, a, b);
    must_have(world_ask(w, a, "disconnect", "{\"peer\":\"%s\"}", w->nodes[b]->id), "\"count\":1");
    world_run(w, 30000);
    CHECK(!world_connected(w, a, b) && open_connections(w, b) == 0);
    must_fail(world_ask(w, a, "disconnect", "{\"peer\":\"%s\"}", w->nodes[b]->id), "not_found");
    end_world(w);
}

TEST(bootstrap_peers_show_their_state) {
    struct world *w = quiet_world();
    size_t b = node_with(w, ""), c = world_add(w, "");
    char ini[600];
    snprintf(ini, sizeof ini, "[discovery]\nbootstrap = %s, %s\n", world_address(w, b), world_address(w, c));
    size_t a = node_with(w, ini);
    world_run(w, 5000);
    const char *answer = world_ask(w, a, "bootstrap.list", "{}");
    must_have(answer, "\"state\":\"connected\",\"tries\":0,\"error\":null}");
    CHECK(strstr(answer, "\"state\":\"waiting\"") != NULL || strstr(answer, "\"state\":\"dialing\"") != NULL,
          "%s", answer);
    must_have(world_ask(w, b, "bootstrap.list", "{}"), "\"items\":[]");
    end_world(w);
}

TEST(ping_wants_a_connection_and_good_numbers) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    const char *id = w->nodes[b]->id;
    must_fail(world_ask(w, a, "ping", "{\"peer\":\"%s\"}", id), "closed");
    must_connect(w, a, b);
    must_fail(world_ask(w, a, "ping", "{\"peer\":\"%s\",\"count\":0}", id), "usage");
    must_fail(world_ask(w, a, "ping", "{\"peer\":\"%s\",\"count\":1000001}", id), "usage");
    must_fail(world_ask(w, a, "ping", "{\"peer\":\"%s\",\"interval_ms\":0}", id), "usage");
    const char *answer = world_ask(w, a, "ping", "{\"peer\":\"%s\",\"count\":3,\"interval_ms\":10}", id);
    must_have(answer, "\"end\":true}");
    size_t events = 0;
    for (const char *at = answer; (at = strstr(at, "\"rtt_seconds\":")) != NULL; at++) events++;
    CHECK(events == 3, "%s", answer);
    must_fail(world_ask(w, a, "perf", "{\"peer\":\"%s\",\"up\":-1}", id), "usage");
    end_world(w);
}

/* The peer dies between two pings: the request ends with an error, not never. */
TEST(ping_ends_with_the_connection) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    world_tell(w, a, 5, bytes_of("{}"));
    char line[200];
    snprintf(line, sizeof line, "{\"id\":1,\"method\":\"ping\",\"params\":{\"peer\":\"%s\",\"count\":1000}}",
             w->nodes[b]->id);
    world_tell(w, a, 5, bytes_of(line));
    world_run(w, 1500);
    CHECK(node_client_busy(node_of(w, a), 5));
    world_kill(w, b);
    world_run(w, 1000);
    CHECK(!node_client_busy(node_of(w, a), 5));
    end_world(w);
}

TEST(explain_says_why_not) {
    struct world *w = quiet_world();
    size_t b = node_with(w, ""), c = world_add(w, ""), d = node_with(w, "");
    char ini[400];
    snprintf(ini, sizeof ini, "[access]\ndenyPeers = %s\n[connection]\ndialTimeout = 2s\n", w->nodes[d]->id);
    size_t a = node_with(w, ini);
    must_connect(w, a, b);
    must_have(world_ask(w, a, "explain", "{\"peer\":\"%s\"}", w->nodes[b]->id),
              "\"verdict\":\"connected\",\"next_try\":null");
    must_have(world_ask(w, a, "explain", "{\"peer\":\"%s\"}", w->nodes[d]->id),
              "\"verdict\":\"refused by access.denyPeers\"");
    must_have(world_ask(w, a, "explain", "{\"peer\":\"%s\"}", w->nodes[c]->id),
              "\"verdict\":\"no address is known\"");
    send_text(w, a, c, "waits");
    world_run(w, 20000);
    const char *answer = world_ask(w, a, "explain", "{\"peer\":\"%s\"}", w->nodes[c]->id);
    CHECK(strstr(answer, "will be tried again\",\"next_try\":\"2") != NULL ||
              strstr(answer, "dialing now") != NULL,
          "%s", answer);
    must_have(answer, "\"step\":\"rule\",\"addr\":null,\"result\":\"allowed\"");
    must_have(answer, "\"step\":\"address\"");
    must_have(answer, "failures, next try in");
    must_fail(world_ask(w, a, "explain", "{\"peer\":\"nobody\"}"), "not_found");
    end_world(w);
}
