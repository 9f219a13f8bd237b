/* tests/node/access_test.c: who may connect, who may send, and how often from one address */
#include "node/core.h"
#include "tests/test.h"

#define PEER_A "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define PEER_B "12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh"

static struct config *config_of(const char *text) {
    static const struct config_home home = {
        .home = "/home/x", .socket = "/run/x.sock", .hostname = "host-1", .socketmode = "0660"};
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct why w = {0};
    CHECK(b != NULL && config_builder_add(b, "x.ini", bytes_of(text), &w) == OK, "%s", w.text);
    CHECK(config_builder_finish(b, &c, &w) == OK, "%s", w.text);
    config_builder_free(b);
    return c;
}

static struct log log_of_node;

static struct node *start(const char *config) {
    static struct identity self;
    log_free(&log_of_node); /* of the test before */
    log_init(&log_of_node, LEVEL_ERROR, LOG_TEXT);
    struct rng rng = rng_seeded(1);
    CHECK(crypto_open() == OK);
    identity_make(&self, &rng);
    struct node_setup setup = {.self = &self,
                               .log = &log_of_node,
                               .config = config_of(config),
                               .rng = rng,
                               .version = "1",
                               .home = "/",
                               .now = {{1000000000}, {1771755330123}}};
    struct node *n = node_new(&setup);
    CHECK(n != NULL);
    return n;
}

static struct peer *peer_of(struct node *n, const char *text) {
    struct peer_id id;
    CHECK(peer_id_parse(bytes_of(text), &id));
    struct peer *p = peers_add(n, &id);
    CHECK(p != NULL);
    return p;
}

static struct ip ip_of_text(const char *text) {
    struct ip ip;
    CHECK(ip_parse(bytes_of(text), &ip), "%s", text);
    return ip;
}

/* ---- connecting */

static const struct {
    const char *config, *ip, *peer, *want; /* ip, peer NULL: not known; want NULL: may connect */
} rows[] = {
    {"", "1.2.3.4", PEER_A, NULL},
    {"", "1.2.3.4", NULL, NULL},
    {"", NULL, PEER_A, NULL},
    {"denyCidrs = 10.0.0.0/8", "10.255.255.255", PEER_A, "denyCidrs"},
    {"denyCidrs = 10.0.0.0/8", "10.0.0.0", NULL, "denyCidrs"},
    {"denyCidrs = 10.0.0.0/8", "11.0.0.0", PEER_A, NULL},
    {"denyCidrs = 10.0.0.0/8", "9.255.255.255", PEER_A, NULL},
    {"denyCidrs = 10.0.0.0/8", "::ffff:10.1.1.1", PEER_A,
     "denyCidrs"}, /* the mapped form is the same address */
    {"denyCidrs = 10.0.0.0/8", "a0a:101::", PEER_A, NULL},
    {"denyCidrs = 10.0.0.0/8", NULL, PEER_A, NULL},
    {"denyCidrs = 2001:db8::/32, 1.2.3.4", "2001:db8:ffff::1", PEER_A, "denyCidrs"},
    {"denyCidrs = 2001:db8::/32, 1.2.3.4", "2001:db9::", PEER_A, NULL},
    {"denyCidrs = 2001:db8::/32, 1.2.3.4", "1.2.3.4", PEER_A, "denyCidrs"},
    {"denyCidrs = 2001:db8::/32, 1.2.3.4", "1.2.3.5", PEER_A, NULL},
    {"denyCidrs = 0.0.0.0/0", "1.2.3.4", PEER_A, "denyCidrs"},
    {"denyCidrs = 0.0.0.0/0", "::1", PEER_A, NULL},
    {"denyPeers = " PEER_A, "1.2.3.4", PEER_A, "denyPeers"},
    {"denyPeers = " PEER_A, NULL, PEER_A, "denyPeers"},
    {"denyPeers = " PEER_A, "1.2.3.4", PEER_B, NULL},
    {"denyPeers = " PEER_A, "1.2.3.4", NULL, NULL}, /* looked at again once it has said who it is */
    {"denyPeers = " PEER_B ", " PEER_A, "1.2.3.4", PEER_A, "denyPeers"},
    {"allowPeers = " PEER_A, "1.2.3.4", PEER_B, NULL}, /* trusted, but the mode is open */
    {"mode = allowlist\nallowPeers = " PEER_A, "1.2.3.4", PEER_A, NULL},
    {"mode = allowlist\nallowPeers = " PEER_A, "1.2.3.4", PEER_B, "mode=allowlist"},
    {"mode = allowlist\nallowPeers = " PEER_A, "1.2.3.4", NULL, NULL},
    {"mode = allowlist", "1.2.3.4", PEER_A, "mode=allowlist"},
    {"mode = allowlist\nallowPeers = " PEER_A "\ndenyPeers = " PEER_A, "1.2.3.4", PEER_A, "denyPeers"},
    {"allowCidrs = 10.0.0.0/8", "10.1.1.1", PEER_A, NULL},
    {"allowCidrs = 10.0.0.0/8", "1.2.3.4", PEER_A, "allowCidrs"},
    {"allowCidrs = 10.0.0.0/8", "1.2.3.4", NULL, "allowCidrs"},
    {"allowCidrs = 10.0.0.0/8", "::1", PEER_A, "allowCidrs"},
    {"allowCidrs = 10.0.0.0/8", NULL, PEER_A, NULL},
    {"allowCidrs = 10.0.0.0/8, ::1", "::1", PEER_A, NULL},
    {"allowCidrs = 10.0.0.0/8\nallowPeers = " PEER_A, "1.2.3.4", PEER_A,
     "allowCidrs"}, /* trust is no way around */
    {"allowCidrs = 10.0.0.0/8\ndenyCidrs = 10.1.0.0/16", "10.1.0.1", PEER_A, "denyCidrs"},
    {"allowCidrs = 10.0.0.0/8\ndenyCidrs = 10.1.0.0/16", "10.2.0.1", PEER_A, NULL},
};

TEST(rules_of_access) {
    for (size_t i = 0; i < LEN(rows); i++) {
        char config[400];
        snprintf(config, sizeof(config), "[access]\n%s\n", rows[i].config);
        struct node *n = start(config);
        struct ip ip = rows[i].ip == NULL ? (struct ip){0} : ip_of_text(rows[i].ip);
        struct peer *p = rows[i].peer == NULL ? NULL : peer_of(n, rows[i].peer);
        const char *got = access_refuses(n, rows[i].ip == NULL ? NULL : &ip, p);
        CHECK((got == NULL) == (rows[i].want == NULL) && (got == NULL || strcmp(got, rows[i].want) == 0),
              "row %zu: %s", i, got == NULL ? "may connect" : got);
        node_free(n);
    }
}

TEST(rules_change_with_the_configuration) {
    struct node *n = start("");
    struct peer *a = peer_of(n, PEER_A), *b = peer_of(n, PEER_B);
    struct ip ip = ip_of_text("1.2.3.4");
    CHECK(access_refuses(n, &ip, a) == NULL && !a->trusted);
    node_reconfigure(n, config_of("[access]\nmode = allowlist\nallowPeers = " PEER_B "\n"), NULL, NULL);
    CHECK(access_refuses(n, &ip, a) != NULL && access_refuses(n, &ip, b) == NULL && b->trusted);
    node_reconfigure(n, config_of("[access]\nallowPeers = " PEER_A "\n"), NULL, NULL);
    CHECK(access_refuses(n, &ip, b) == NULL && a->trusted && !b->trusted);
    node_free(n);
}

/* ---- sending */

TEST(strangers_may_not_send_unless_it_is_said) {
    static const struct {
        const char *from;
        bool stranger, operator, named, written_to, allowed, trusted;
    } modes[] = {
        {"known", false, true, true, true, true, true},
        {"allowed", false, false, false, false, true, true},
        {"any", true, true, true, true, true, true},
    };
    for (size_t i = 0; i <= LEN(modes);
         i++) { /* the first again without a configuration: it is the default */
        char config[100] = "";
        size_t m = i == LEN(modes) ? 0 : i;
        if (i < LEN(modes)) snprintf(config, sizeof(config), "[messages]\nfrom = %s\n", modes[i].from);
        struct node *n = start(config);
        struct peer *p = peer_of(n, PEER_A);
        CHECK(access_may_send(n, p) == modes[m].stranger && access_is_stranger(n, p), "%s", modes[m].from);
        const struct {
            uint32_t flag;
            bool want;
        } flags[] = {{PEER_OPERATOR, modes[m].operator},
                      {PEER_NAMED, modes[m].named},
                      {PEER_WRITTEN_TO, modes[m].written_to},
                      {PEER_ALLOWED, modes[m].allowed}};
        for (size_t f = 0; f < LEN(flags); f++) {
            p->flags = flags[f].flag;
            CHECK(access_may_send(n, p) == flags[f].want && !access_is_stranger(n, p), "%s, flag %u",
                  modes[m].from, (unsigned)flags[f].flag);
        }
        p->flags = 0;
        p->trusted = true;
        CHECK(access_may_send(n, p) == modes[m].trusted && !access_is_stranger(n, p), "%s", modes[m].from);
        node_free(n);
    }
}

TEST(what_the_operator_names_is_no_stranger) {
    struct node *n = start("[discovery]\nbootstrap = /ip4/1.2.3.4/tcp/4001/p2p/" PEER_A "\n");
    CHECK(access_may_send(n, peer_of(n, PEER_A)) && !access_may_send(n, peer_of(n, PEER_B)));
    CHECK(peers_name(n, peer_of(n, PEER_B), BYTES("b"), NULL) == OK &&
          access_may_send(n, peer_of(n, PEER_B)));
    CHECK(peers_name(n, peer_of(n, PEER_B), BYTES(""), NULL) == OK &&
          !access_may_send(n, peer_of(n, PEER_B)));
    node_free(n);
}

/* ---- how often */

static void later(struct node *n, int64_t ms) {
    struct clocks now = {mono_add_ms(n->now.mono, ms), {n->now.wall.ms + ms}};
    node_now(n, now);
}

TEST(a_bucket_gives_its_rate_and_a_burst) {
    for (uint64_t rate = 1; rate <= 10000; rate = rate * 3 + 1) {
        for (uint64_t burst = 1; burst <= 5; burst += 2) {
            struct bucket b = {0};
            struct mono now = {5000000};
            uint64_t got = 0;
            while (bucket_take(&b, now, rate, burst)) got++;
            CHECK(got == rate * burst, "%u/s, burst %u: %u", (unsigned)rate, (unsigned)burst, (unsigned)got);
            now.us += 1000000;
            for (got = 0; bucket_take(&b, now, rate, burst); got++) {}
            CHECK(got == rate, "%u", (unsigned)got);
            now.us += (int64_t)(1000000 / rate) - 1; /* nearly one more */
            CHECK(!bucket_take(&b, now, rate, burst));
            now.us += 2;
            CHECK(bucket_take(&b, now, rate, burst));
            now.us += INT64_C(1000000) * 86400 * 3650; /* a long pause saves up no more than the burst */
            for (got = 0; bucket_take(&b, now, rate, burst); got++) {}
            CHECK(got == rate * burst, "%u", (unsigned)got);
            now.us -= 1000000; /* a clock that goes back gives nothing, and takes nothing away for good */
            CHECK(!bucket_take(&b, now, rate, burst));
        }
    }
}

TEST(new_connections_of_an_address_are_counted_by_the_second) {
    struct node *n = start("[connection]\ninboundConnectionThreshold = 3/s\n");
    struct ip a = ip_of_text("1.2.3.4"), b = ip_of_text("1.2.3.5");
    for (unsigned i = 0; i < 6; i++) CHECK(access_admit(n, &a), "%u", i); /* two seconds' worth at once */
    CHECK(!access_admit(n, &a) && n->limits.of[LIMIT_INBOUND_RATE].hits == 1);
    CHECK(access_admit(n, &b)); /* another address is none the worse for it */
    later(n, 1000);
    for (unsigned i = 0; i < 3; i++) CHECK(access_admit(n, &a), "%u", i);
    CHECK(!access_admit(n, &a) && n->limits.of[LIMIT_INBOUND_RATE].hits == 2);
    node_free(n);
}

TEST(connections_of_an_address_are_limited) {
    static const struct {
        const char *first, *second;
        bool together; /* counted as one */
    } pairs[] = {
        {"1.2.3.4", "1.2.3.4", true},
        {"1.2.3.4", "::ffff:1.2.3.4", true},
        {"1.2.3.4", "1.2.3.5", false},
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true}, /* one /64 */
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
    };
    for (size_t i = 0; i < LEN(pairs); i++) {
        struct node *n = start(
            "[connection]\nmaxConnectionsPerAddress = 3\ninboundConnectionThreshold = 1000/s\n");
        struct ip first = ip_of_text(pairs[i].first), second = ip_of_text(pairs[i].second);
        for (unsigned k = 0; k < 3; k++) CHECK(access_admit(n, &first));
        CHECK(!access_admit(n, &first) && n->limits.of[LIMIT_PER_ADDRESS].hits == 1);
        CHECK(access_admit(n, &second) == !pairs[i].together, "%s", pairs[i].second);
        access_release(n, &first);
        CHECK(access_admit(n, &first) && !access_admit(n, &first));
        for (unsigned k = 0; k < 9; k++)
            access_release(n, &first); /* more often than admitted: no underflow */
        for (unsigned k = 0; k < 3; k++) CHECK(access_admit(n, &first), "%u", k);
        CHECK(!access_admit(n, &first));
        node_free(n);
    }
}

TEST(idle_addresses_are_forgotten_and_busy_ones_are_not) {
    struct node *n = start("[connection]\ninboundConnectionThreshold = 1/s\n");
    struct ip busy = ip_of_text("1.2.3.4"), idle = ip_of_text("1.2.3.5"), none = ip_of_text("1.2.3.6");
    access_release(n, &none); /* never seen: nothing is made for it */
    CHECK(n->address_groups.n == 0);
    CHECK(access_admit(n, &busy) && access_admit(n, &idle) && n->address_groups.n == 2);
    access_release(n, &idle);
    access_sweep(n);
    CHECK(n->address_groups.n == 2 && n->limits.of[LIMIT_PER_ADDRESS].used == 1); /* its rate still counts */
    later(n, 59999);
    access_sweep(n);
    CHECK(n->address_groups.n == 2);
    later(n, 1);
    access_sweep(n);
    CHECK(n->address_groups.n == 1 && n->limits.of[LIMIT_PER_ADDRESS].used == 1);
    access_release(n, &busy);
    access_sweep(n);
    CHECK(n->address_groups.n == 0 && n->limits.of[LIMIT_PER_ADDRESS].used == 0);
    node_free(n);
}

TEST(a_flood_of_addresses_ends_at_the_table_and_leaves_no_memory) {
    size_t blocks = mem_blocks();
    struct node *n = start("");
    size_t admitted = 0;
    for (uint32_t i = 0; i < 20000; i++) {
        uint8_t p[4];
        put_u32(p, 0x0b000000 + i);
        struct ip ip = ip_of(4, p);
        admitted += access_admit(n, &ip);
    }
    CHECK(admitted == n->address_groups.max && n->address_groups.n == admitted, "%zu", admitted);
    struct ip known = ip_of_text("11.0.0.0"); /* who was there before goes on */
    CHECK(access_admit(n, &known));
    node_free(n);
    CHECK(mem_blocks() == blocks);
}

TEST(without_memory_a_connection_is_refused) {
    struct node *n = start("");
    struct ip ip = ip_of_text("1.2.3.4");
    size_t blocks = mem_blocks();
    for (long i = 0; i < 2; i++) {
        mem_fail_after(i); /* the group, then its place in the table */
        bool admitted = access_admit(n, &ip);
        mem_fail_after(-1);
        CHECK(!admitted && mem_blocks() == blocks && n->address_groups.n == 0, "%ld", i);
    }
    CHECK(access_admit(n, &ip));
    node_free(n);
}

TEST(a_limit_is_logged_now_and_then) {
    struct log *log = &log_of_node;
    struct node *n = start("");
    log_set_level(log, LEVEL_INFO);
    for (unsigned i = 0; i < 5; i++) limit_reached(n, LIMIT_PEERS);
    CHECK(log->counts[EV_LIMIT_REACHED] == 1);
    limit_reached(n, LIMIT_DIALS); /* each limit for itself */
    CHECK(log->counts[EV_LIMIT_REACHED] == 2);
    later(n, 9999);
    limit_reached(n, LIMIT_PEERS);
    CHECK(log->counts[EV_LIMIT_REACHED] == 2);
    later(n, 1);
    limit_reached(n, LIMIT_PEERS);
    CHECK(log->counts[EV_LIMIT_REACHED] == 3);
    struct log_line line;
    CHECK(log_take(log, &line) &&
          bytes_is(line.text, "WARN node: Limit reached limit=known_peers max=10000 "
                              "outcome=\"the longest unseen unprotected one is forgotten\""));
    node_free(n);
    log_free(log);
}

TEST(a_full_store_names_the_limit_by_its_key) {
    struct node *n = start("");
    limit_reached_by_key(n, "the outbox is full (messages.outboxMaxBytes)");
    CHECK(n->limits.of[LIMIT_OUTBOX_BYTES].hits == 1 && n->limits.of[LIMIT_OUTBOX].hits == 0);
    limit_reached_by_key(n, "messages.outboxMax is reached");
    CHECK(n->limits.of[LIMIT_OUTBOX_BYTES].hits == 1 && n->limits.of[LIMIT_OUTBOX].hits == 1);
    limit_reached_by_key(n, "");
    limit_reached_by_key(n, "messages.outbox");
    CHECK(n->limits.of[LIMIT_OUTBOX_BYTES].hits == 1 && n->limits.of[LIMIT_OUTBOX].hits == 1);
    limit_reached_by_key(n, "messages.outboxMaxBytes and messages.outboxMax");
    CHECK(n->limits.of[LIMIT_OUTBOX_BYTES].hits == 2 && n->limits.of[LIMIT_OUTBOX].hits == 2);
    node_free(n);
}
