/* Dials: addresses that race, names, wrong identities, both sides at once. */
#include "node/swarm.h"
#include "tests/node/help.h"

#define ALONE "[connection]\nminConnections = 0\n"

/* What answers at each address number of node 1 (world_endpoint), and when it was dialed. */
static struct place {
    unsigned number;
    enum sim_route route;
    size_t node;
    int64_t delay_us, dialed_us;
} places[8];
static size_t n_places;

static enum sim_route route(struct world *w, size_t from, const struct endpoint *to, size_t *node,
                            int64_t *delay_us) {
    (void)from;
    for (size_t i = 0; i < n_places; i++) {
        struct endpoint at = world_endpoint(1, places[i].number);
        if (!endpoint_eq(to, &at)) continue;
        places[i].dialed_us = w->now_us;
        *node = places[i].node;
        if (places[i].delay_us > 0) *delay_us = places[i].delay_us;
        return places[i].route;
    }
    *node = 1;
    return ROUTE_NORMAL;
}

static void place(unsigned number, enum sim_route how, size_t node, int64_t delay_us) {
    places[n_places++] = (struct place){number, how, node, delay_us, 0};
}

static void know(struct world *w, size_t a, unsigned number) {
    struct buf addr = {.max = MULTIADDR_MAX};
    struct endpoint at = world_endpoint(1, number);
    struct peer *p = peers_add(node_of(w, a), &w->nodes[1]->self.peer);
    CHECK(p != NULL && multiaddr_from_endpoint(&at, &addr));
    peers_add_address(node_of(w, a), p, buf_view(&addr), false, false);
    buf_free(&addr);
}

static struct world *two(size_t *a) {
    struct world *w = quiet_world();
    w->route = route;
    n_places = 0;
    *a = node_with(w, ALONE);
    node_with(w, ALONE ANY);
    return w;
}

static const char *dial(struct world *w, size_t a) {
    return world_ask(w, a, "connect", "{\"peer\":\"%s\"}", w->nodes[1]->id);
}

/* A broken IPv6 costs a quarter of a second, not ten. */
TEST(ipv4_follows_a_silent_ipv6_after_250_ms) {
    size_t a;
    struct world *w = two(&a);
    place(100, ROUTE_SILENT, 1, 0);
    place(0, ROUTE_NORMAL, 1, 0);
    know(w, a, 0);
    know(w, a, 100);
    int64_t began = w->now_us;
    const char *answer = dial(w, a);
    CHECK(answer != NULL && strstr(answer, "\"connected\":true") != NULL, "%s", answer);
    CHECK(places[0].dialed_us == began, "IPv6 is first");
    CHECK(places[1].dialed_us - began >= 250000 && places[1].dialed_us - began < 300000, "%lld us",
          (long long)(places[1].dialed_us - began));
    CHECK(w->now_us - began < 400000 && node_of(w, a)->n_connections == 1 && node_of(w, a)->n_dialing == 0);
    end_world(w);
}

TEST(a_refusal_starts_the_next_at_once) {
    size_t a;
    struct world *w = two(&a);
    place(100, ROUTE_REFUSED, 1, 1000);
    place(101, ROUTE_REFUSED, 1, 1000);
    place(0, ROUTE_NORMAL, 1, 1000);
    know(w, a, 0);
    know(w, a, 100);
    know(w, a, 101);
    int64_t began = w->now_us;
    CHECK(dial(w, a) != NULL && world_connected(w, a, 1));
    CHECK(w->now_us - began < 50000, "%lld us", (long long)(w->now_us - began));
    end_world(w);
}

/* The slower one of two that both connect goes away again, at both ends. */
TEST(one_connection_wins_the_race) {
    size_t a;
    struct world *w = two(&a);
    place(100, ROUTE_NORMAL, 1, 400000);
    place(0, ROUTE_NORMAL, 1, 1000);
    know(w, a, 100);
    know(w, a, 0);
    CHECK(dial(w, a) != NULL);
    world_run(w, 5000);
    CHECK(node_of(w, a)->n_connections == 1 && node_of(w, 1)->n_connections == 1 &&
          node_of(w, a)->n_dialing == 0);
    end_world(w);
}

TEST(silence_ends_a_dial_after_its_time) {
    size_t a;
    struct world *w = two(&a);
    place(0, ROUTE_SILENT, 1, 0);
    place(1, ROUTE_SILENT, 1, 0);
    know(w, a, 0);
    know(w, a, 1);
    int64_t began = w->now_us;
    const char *answer = dial(w, a);
    CHECK(answer != NULL && strstr(answer, "\"error\"") != NULL, "%s", answer);
    CHECK(w->now_us - began > 9900000 && w->now_us - began < 11500000, "%lld us",
          (long long)(w->now_us - began));
    CHECK(node_of(w, a)->n_connections == 0 && node_of(w, a)->n_dialing == 0);
    struct peer *p = world_peer(w, a, 1);
    CHECK(p->addrs[0].fails == 1 && p->addrs[0].next_try.us > w->now_us, "backoff of addresses");
    end_world(w);
}

TEST(another_identity_is_not_the_peer) {
    size_t a;
    struct world *w = two(&a);
    size_t other = node_with(w, ALONE);
    place(0, ROUTE_NORMAL, other, 0);
    know(w, a, 0);
    const char *answer = dial(w, a);
    CHECK(answer != NULL && strstr(answer, "\"verification\"") != NULL, "%s", answer);
    world_run(w, 1000);
    CHECK(node_of(w, a)->n_connections == 0 && node_of(w, other)->n_connections == 0);
    CHECK(world_peer(w, other, a) == NULL || world_peer(w, other, a)->n_connections == 0);
    end_world(w);
}

/* The wrong one answers first, the right one is behind another address. */
TEST(a_wrong_identity_does_not_end_the_race) {
    size_t a;
    struct world *w = two(&a);
    size_t other = node_with(w, ALONE);
    place(100, ROUTE_NORMAL, other, 0);
    place(0, ROUTE_NORMAL, 1, 0);
    know(w, a, 100);
    know(w, a, 0);
    CHECK(dial(w, a) != NULL && world_connected(w, a, 1));
    world_run(w, 1000);
    CHECK(node_of(w, a)->n_connections == 1);
    end_world(w);
}

/* Both dial at the same moment: both ways may stay, and messages go, each once. */
TEST(both_sides_dial_at_once) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ALONE ANY), b = node_with(w, ALONE ANY);
    char line[300];
    for (size_t i = 0; i < 2; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":1,\"method\":\"send\",\"params\":{\"peer\":\"%s\",\"body\":\"x\"}}",
                 world_address(w, i == 0 ? b : a));
        world_tell(w, i == 0 ? a : b, 1, bytes_of(line));
    }
    CHECK(all_sent(w, a, 10000) && all_sent(w, b, 10000) && inbox_is(w, a, "x ") && inbox_is(w, b, "x "));
    world_run(w, 5000);
    CHECK(open_connections(w, a) == open_connections(w, b) && open_connections(w, a) <= 2);
    CHECK(open_connections(w, a) >= 1 && node_of(w, a)->n_dialing == 0 && node_of(w, b)->n_dialing == 0);
    end_world(w);
}

TEST(so_many_dials_at_a_time) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nmaxParallelDials = 2\nminConnections = 0\n"), most = 0;
    for (int i = 0; i < 6; i++) world_add(w, ""); /* nobody answers */
    for (size_t i = 1; i <= 6; i++) {
        char line[300];
        w->nodes[i]->powered = false;
        snprintf(line, sizeof line, "{\"id\":1,\"method\":\"connect\",\"params\":{\"peer\":\"%s\"}}",
                 world_address(w, i));
        world_tell(w, a, 1, bytes_of(line));
    }
    for (int i = 0; i < 300; i++) {
        world_run(w, 100);
        most = MAX(most, node_of(w, a)->n_dialing);
    }
    CHECK(most == 2 && node_of(w, a)->n_dialing == 0 && node_of(w, a)->dials == NULL, "%zu", most);
    end_world(w);
}

/* ---- names */

static size_t asked;
static bool answer_name(struct world *w, const struct node_effect *ask, struct node_resolved *out) {
    static char text[256];
    static struct bytes texts[2];
    asked++;
    if (ask->resolve == RESOLVE_TXT) { /* a name that names itself, for ever; and once what is asked for */
        snprintf(text, sizeof text, "dnsaddr=/dnsaddr/loop.example/p2p/%s", w->nodes[1]->id);
        texts[0] = bytes_of(text);
        texts[1] = BYTES("dnsaddr=rubbish");
        out->texts = texts;
        out->n_texts = 2;
        return true;
    }
    if (strcmp(ask->name, "here.example") != 0) return false;
    out->ips[0] = world_endpoint(1, 0).ip;
    out->n_ips = 1;
    return true;
}

static const char *connect_name(struct world *w, size_t a, const char *name) {
    return world_ask(w, a, "connect", "{\"peer\":\"/%s/p2p/%s\"}", name, w->nodes[1]->id);
}

TEST(names_are_resolved) {
    size_t a;
    struct world *w = two(&a);
    w->resolve = answer_name;
    const char *answer = connect_name(w, a, "dns4/nowhere.example/tcp/4001");
    CHECK(answer != NULL && strstr(answer, "no such name") != NULL, "%s", answer);
    answer = connect_name(w, a, "dns4/here.example/tcp/4001");
    CHECK(answer != NULL && strstr(answer, "\"connected\":true") != NULL, "%s", answer);
    end_world(w);
}

TEST(names_that_name_each_other_end) {
    size_t a;
    struct world *w = two(&a);
    w->resolve = answer_name;
    asked = 0;
    const char *answer = connect_name(w, a, "dnsaddr/loop.example");
    CHECK(answer != NULL && strstr(answer, "\"error\"") != NULL, "%s", answer);
    CHECK(asked == DNSADDR_DEPTH, "%zu", asked);
    end_world(w);
}
