/* tests/node/peers_test.c: the peer book: how people name peers, what is remembered of them, who is forgotten
 */
#include "node/core.h"
#include "tests/test.h"

#define PEER_A "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define PEER_B "12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh"
#define ADDRESS "\x04\x01\x02\x03\x04\x06\x0f\xa1" /* /ip4/1.2.3.4/tcp/4001 */

static struct log log_of_node;

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

/* Takes the effects; returns how many store operations of that kind were among them. */
static size_t drain(struct node *n, enum store_kind kind) {
    struct node_effect e;
    size_t found = 0;
    while (node_effect(n, &e)) {
        if (e.kind != EFFECT_STORE) continue;
        found += e.op->kind == kind;
        store_op_free(e.op);
    }
    return found;
}

static struct node *start(const char *config) {
    static struct identity self;
    struct rng rng = rng_seeded(1);
    log_free(&log_of_node); /* of the test before */
    log_init(&log_of_node, LEVEL_ERROR, LOG_TEXT);
    CHECK(crypto_open() == OK);
    identity_make(&self, &rng);
    struct node_setup setup = {.self = &self,
                               .config = config_of(config),
                               .rng = rng,
                               .version = "1",
                               .home = "/",
                               .log = &log_of_node,
                               .now = {{1000000000}, {1771755330123}}};
    struct node *n = node_new(&setup);
    CHECK(n != NULL);
    drain(n, STORE_PEERS_LOAD);
    return n;
}

static struct peer *peer_of(struct node *n, const char *text) {
    struct peer_id id;
    CHECK(peer_id_parse(bytes_of(text), &id));
    struct peer *p = peers_add(n, &id);
    CHECK(p != NULL);
    return p;
}

/* The i-th of many peers: sha2-256 ids, which need no key. */
static struct peer_id id_of(uint32_t i) {
    struct peer_id id = {.n = 34, .p = {0x12, 0x20}};
    put_u32(id.p + 2, i);
    return id;
}

static struct bytes address(uint8_t room[8], uint16_t port) {
    const uint8_t addr[8] = {MA_IP4, 1, 2, 3, 4, MA_TCP, (uint8_t)(port >> 8), (uint8_t)port};
    memcpy(room, addr, sizeof(addr));
    return bytes_at(room, sizeof(addr));
}

static bool has_address(const struct peer *p, struct bytes addr) {
    for (size_t i = 0; i < p->n_addrs; i++) {
        if (bytes_eq(bytes_at(p->addrs[i].p, p->addrs[i].n), addr)) return true;
    }
    return false;
}

/* ---- limits of the book */

TEST(a_full_book_forgets_the_longest_unseen) {
    struct node *n = start("[limits]\nknown_peers = 100\n");
    for (uint32_t i = 0; i < 100; i++) {
        struct peer_id id = id_of(i);
        struct peer *p = peers_add(n, &id);
        CHECK(p != NULL && peers_add(n, &id) == p && p->first_seen.ms == n->now.wall.ms);
        p->last_seen.ms = 1000 + (i * 37) % 100; /* 0 is the longest unseen, then 73, then 46 */
    }
    static const uint32_t oldest[] = {0, 73, 46};
    for (uint32_t i = 0; i < 3; i++) {
        struct peer_id id = id_of(100 + i), gone = id_of(oldest[i]);
        CHECK(peers_find(n, &gone) != NULL);
        struct peer *p = peers_add(n, &id);
        CHECK(p != NULL && peers_find(n, &gone) == NULL && n->peers.n == 100, "%u", (unsigned)oldest[i]);
        CHECK(drain(n, STORE_PEER_DROP) == 1 && n->limits.of[LIMIT_PEERS].hits == i + 1);
        p->last_seen.ms = 5000;
    }
    node_free(n);
}

TEST(who_is_needed_is_not_forgotten) {
    struct node *n = start("[limits]\nknown_peers = 100\n");
    struct peer *all[100];
    struct connection connection = {0};
    struct dial dial = {0};
    struct lane lane = {0};
    for (uint32_t i = 0; i < 100; i++) {
        struct peer_id id = id_of(i);
        all[i] = peers_add(n, &id);
        CHECK(all[i] != NULL);
        switch (i % 9) {
        case 0: all[i]->flags = PEER_OPERATOR; break;
        case 1: all[i]->flags = PEER_NAMED; break;
        case 2: all[i]->flags = PEER_ALLOWED; break;
        case 3: all[i]->flags = PEER_WRITTEN_TO; break;
        case 4: all[i]->bootstrap = true; break;
        case 5: all[i]->trusted = true; break;
        case 6: all[i]->connections = &connection; break;
        case 7: all[i]->dial = &dial; break;
        default: all[i]->lane = &lane; break;
        }
    }
    struct peer_id more = id_of(100), last = id_of(50);
    CHECK(peers_add(n, &more) == NULL && n->peers.n == 100 && n->limits.of[LIMIT_PEERS].hits == 1);
    all[50]->flags = 0;
    all[50]->trusted = false;
    CHECK(peers_add(n, &more) != NULL && peers_find(n, &last) == NULL);
    for (uint32_t i = 0; i < 100; i++) {
        if (i == 50) continue;
        all[i]->connections = NULL;
        all[i]->dial = NULL;
        all[i]->lane = NULL;
    }
    node_free(n);
}

TEST(whom_a_command_works_with_is_not_forgotten) {
    struct node *n = start("[limits]\nknown_peers = 100\n");
    struct peer *asked = NULL;
    for (uint32_t i = 0; i < 100; i++) {
        struct peer_id id = id_of(i);
        struct peer *p = peers_add(n, &id);
        CHECK(p != NULL);
        p->last_seen.ms = 1000 + i;
        if (i == 0) asked = p;
    }
    struct request r = {.peer = asked};
    struct peer_id id = id_of(100), first = id_of(0), second = id_of(1);
    struct why w = {0};
    n->requests = &r;
    CHECK(peers_forget(n, asked, &w) == E_BUSY && w.text[0] != '\0');
    CHECK(peers_add(n, &id) != NULL, "another one can go");
    CHECK(peers_find(n, &first) == asked && peers_find(n, &second) == NULL);
    r.dead = true;
    CHECK(peers_forget(n, asked, &w) == OK && peers_find(n, &first) == NULL);
    n->requests = NULL;
    node_free(n);
}

TEST(forgetting_one_by_hand) {
    struct node *n = start("[discovery]\nbootstrap = /ip4/1.2.3.4/tcp/1/p2p/" PEER_A "\n");
    struct peer *a = peer_of(n, PEER_A), *b = peer_of(n, PEER_B);
    struct connection connection = {0};
    struct lane lane = {0};
    struct why w = {0};
    CHECK(peers_forget(n, a, &w) == E_BUSY && strstr(w.text, "configuration") != NULL);
    b->connections = &connection;
    CHECK(peers_forget(n, b, &w) == E_BUSY && strstr(w.text, "connected") != NULL);
    b->connections = NULL;
    b->lane = &lane;
    CHECK(peers_forget(n, b, &w) == E_BUSY && strstr(w.text, "outbox") != NULL);
    b->lane = NULL;
    b->flags = PEER_NAMED | PEER_OPERATOR; /* the operator may forget what the operator said */
    struct peer *found = NULL;
    for (int i = 0; i < 2; i++) CHECK(peers_resolve(n, BYTES(PEER_B), &found, NULL) == OK && found == b);
    CHECK(peers_forget(n, b, &w) == OK && drain(n, STORE_PEER_DROP) == 1 && n->peers.n == 1);
    CHECK(peers_resolve(n, BYTES(PEER_B), &found, NULL) == OK && n->peers.n == 2, "as a stranger");
    node_free(n);
}

/* ---- names */

TEST(names_that_a_peer_may_have) {
    struct node *n = start("");
    struct peer *a = peer_of(n, PEER_A), *b = peer_of(n, PEER_B), *found = NULL;
    char name[65];
    memset(name, 'n', 64);
    name[64] = '\0';
    static const char *const bad[] = {"two words", "a/b", "\xc3\xa9", "a\n", "a:b", PEER_A, PEER_B};
    for (size_t i = 0; i < LEN(bad); i++) {
        struct why w = {0};
        CHECK(peers_name(n, a, bytes_of(bad[i]), &w) == E_INPUT && w.text[0] != '\0', "%s", bad[i]);
        CHECK(a->name == NULL && a->flags == 0, "%s", bad[i]);
    }
    CHECK(peers_name(n, a, BYTES("a\0b"), NULL) == E_INPUT &&
          peers_name(n, a, bytes_of(name), NULL) == E_INPUT);
    name[63] = '\0';
    CHECK(peers_name(n, a, bytes_of(name), NULL) == OK && a->flags == PEER_NAMED && a->dirty);
    CHECK(peers_name(n, a, BYTES("Web-01.example_x"), NULL) == OK &&
          strcmp(a->name, "Web-01.example_x") == 0);
    CHECK(peers_name(n, b, BYTES("Web-01.example_x"), NULL) == E_INPUT && b->name == NULL);
    CHECK(peers_name(n, a, BYTES("Web-01.example_x"), NULL) == OK); /* its own again */
    CHECK(peers_resolve(n, BYTES(" Web-01.example_x "), &found, NULL) == OK && found == a);
    a->flags |= PEER_WRITTEN_TO;
    CHECK(peers_name(n, a, BYTES(""), NULL) == OK && a->name == NULL && a->flags == PEER_WRITTEN_TO);
    CHECK(peers_name(n, b, BYTES(""), NULL) == OK && b->name == NULL); /* two peers without a name are fine */
    CHECK(peers_name(n, b, BYTES("Web-01.example_x"), NULL) == OK);
    mem_fail_after(0);
    enum err e = peers_name(n, b, BYTES("other"), NULL);
    mem_fail_after(-1);
    CHECK(e == E_MEMORY && strcmp(b->name, "Web-01.example_x") == 0);
    node_free(n);
}

TEST(peers_as_people_write_them) {
    static const struct {
        const char *text;
        enum err want;
        const char *peer; /* when OK */
    } rows[] = {
        {"web", OK, PEER_A},
        {"WEB", E_NOT_FOUND, NULL},
        {PEER_A, OK, PEER_A},
        {"bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6", OK,
         PEER_A}, /* the same as a CID */
        {"o7R3pq", OK, PEER_A},
        {"o7R3p", E_NOT_FOUND, NULL},
        {"7R3pq", E_NOT_FOUND, NULL}, /* five characters are too few */
        {"O7R3PQ", E_NOT_FOUND, NULL},
        {"12D3KooW", E_NOT_FOUND, NULL}, /* a beginning */
        {"/p2p/" PEER_B, OK, PEER_B},
        {"/ip4/1.2.3.4/tcp/4001/p2p/" PEER_B, OK, PEER_B},
        {"/dns/example.net/tcp/4001/p2p/" PEER_A, OK, PEER_A},
        {"/ip4/1.2.3.4/tcp/4001", E_INPUT, NULL},
        {"/ip4/1.2.3/tcp/4001", E_INPUT, NULL},
        {"/", E_INPUT, NULL},
        {"", E_USAGE, NULL},
        {"  ", E_USAGE, NULL},
        {"ffffff", E_INPUT, NULL}, /* the end of two */
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct node *n = start("");
        struct peer *found = NULL, twins[2] = {0};
        struct why w = {0};
        CHECK(peers_name(n, peer_of(n, PEER_A), BYTES("web"), NULL) == OK);
        for (size_t k = 0; k < 2; k++) { /* their texts alone matter */
            twins[k].id = id_of((uint32_t)k);
            snprintf(twins[k].text, sizeof(twins[k].text), "Qm%zuffffff", k);
            CHECK(map_add(&n->peers, peer_id_view(&twins[k].id), &twins[k]) == OK);
        }
        enum err e = peers_resolve(n, bytes_of(rows[i].text), &found, &w);
        CHECK(e == rows[i].want && (e == OK) == (w.text[0] == '\0'), "%s: %s", rows[i].text, w.text);
        CHECK(e != OK || strcmp(found->text, rows[i].peer) == 0, "%s", rows[i].text);
        for (size_t k = 0; k < 2; k++) map_drop(&n->peers, peer_id_view(&twins[k].id));
        node_free(n);
    }
}

TEST(an_address_brings_its_peer_into_the_book) {
    struct node *n = start("");
    struct peer *p = NULL;
    CHECK(peers_resolve(n, BYTES("/ip4/1.2.3.4/tcp/4001/p2p/" PEER_B), &p, NULL) == OK);
    CHECK(p->n_addrs == 1 && has_address(p, BYTES(ADDRESS)) && p->addrs[0].operator_given &&
          !p->addrs[0].certified);
    CHECK(peers_resolve(n, BYTES("/p2p/" PEER_B), &p, NULL) == OK && p->n_addrs == 1 && n->peers.n == 1);
    node_free(n);
}

/* ---- addresses */

TEST(addresses_are_kept_once_without_the_peers_own_id) {
    struct node *n = start("");
    struct peer *p = peer_of(n, PEER_A), *other = peer_of(n, PEER_B);
    struct buf addr = {.max = MULTIADDR_MAX}, foreign = {.max = MULTIADDR_MAX};
    CHECK(buf_add(&addr, BYTES(ADDRESS)) && multiaddr_add_peer(&addr, &p->id));
    CHECK(buf_add(&foreign, BYTES(ADDRESS)) && multiaddr_add_peer(&foreign, &other->id));
    peers_add_address(n, p, buf_view(&addr), false, false);
    CHECK(p->n_addrs == 1 && has_address(p, BYTES(ADDRESS)) && p->dirty);
    p->dirty = false;
    peers_add_address(n, p, BYTES(ADDRESS), false, true);
    CHECK(p->n_addrs == 1 && p->addrs[0].certified && !p->addrs[0].operator_given && !p->dirty);
    p->addrs[0].next_try = (struct mono){5};
    peers_add_address(n, p, BYTES(ADDRESS), true, false); /* the operator says so: tried at once, and kept */
    CHECK(p->n_addrs == 1 && p->addrs[0].certified && p->addrs[0].operator_given && p->dirty);
    CHECK(p->addrs[0].next_try.us == 0);
    peers_add_address(n, p, buf_view(&foreign), false, false); /* another's id is a part of the address */
    CHECK(p->n_addrs == 2 && has_address(p, buf_view(&foreign)));
    peers_add_address(n, p, BYTES(""), false, false);
    static const uint8_t zeros[MULTIADDR_MAX + 1];
    peers_add_address(n, p, bytes_at(zeros, sizeof(zeros)), false, false);
    buf_clear(&addr);
    CHECK(multiaddr_add_peer(&addr, &p->id)); /* nothing but the id */
    peers_add_address(n, p, buf_view(&addr), false, false);
    CHECK(p->n_addrs == 2);
    buf_free(&addr);
    buf_free(&foreign);
    node_free(n);
}

TEST(the_least_valuable_address_gives_way) {
    struct node *n = start(""); /* peer_addresses: 16 */
    struct peer *p = peer_of(n, PEER_A);
    uint8_t room[8];
    for (uint16_t i = 0; i < 16; i++) peers_add_address(n, p, address(room, i), i == 3, i == 4);
    CHECK(p->n_addrs == 16 && n->limits.of[LIMIT_PEER_ADDRESSES].hits == 0);
    p->addrs[5].last_ok.ms = 1;
    p->addrs[9].fails = 2;
    peers_add_address(n, p, address(room, 100), false, false);
    CHECK(p->n_addrs == 16 && n->limits.of[LIMIT_PEER_ADDRESSES].hits == 1);
    CHECK(!has_address(p, address(room, 9)) && has_address(p, address(room, 100)));
    for (uint16_t i = 200; i < 300; i++)
        peers_add_address(n, p, address(room, i), false, false); /* a flood */
    CHECK(p->n_addrs == 16 && has_address(p, address(room, 3)) && has_address(p, address(room, 4)) &&
          has_address(p, address(room, 5)) && has_address(p, address(room, 299)));
    for (uint16_t i = 300; i < 330; i++)
        peers_add_address(n, p, address(room, i), true, false); /* by the operator */
    CHECK(p->n_addrs == 16 && has_address(p, address(room, 329)));
    for (size_t i = 0; i < 16; i++) CHECK(p->addrs[i].operator_given);
    peers_add_address(n, p, address(room, 400), false,
                      true); /* nothing pushes those out but another of them */
    CHECK(p->n_addrs == 16 && !has_address(p, address(room, 400)));
    node_free(n);
}

TEST(addresses_without_memory) {
    struct node *n = start("");
    struct peer *p = peer_of(n, PEER_A);
    uint8_t room[8];
    for (uint16_t i = 0; i < 10; i++) {
        mem_fail_after(i % 2);
        peers_add_address(n, p, address(room, i), false, false);
        mem_fail_after(-1);
        CHECK(p->n_addrs == 0);
    }
    peers_add_address(n, p, address(room, 1), false, false);
    CHECK(p->n_addrs == 1 && has_address(p, address(room, 1)));
    node_free(n);
}

/* ---- what peers say of themselves */

static struct identify *said(void) {
    static struct identify id;
    id = (struct identify){0};
    return &id;
}

static const struct {
    const char *addr, *seen_at; /* seen_at NULL: not connected */
    bool kept;
} claims[] = {
    {"/ip4/8.8.8.8/tcp/1", "9.9.9.9", true},      {"/ip4/8.8.8.8/tcp/1", "10.0.0.1", true},
    {"/ip4/10.0.0.2/tcp/1", "9.9.9.9", false},    {"/ip4/10.0.0.2/tcp/1", "192.168.0.1", true},
    {"/ip4/127.0.0.1/tcp/1", "10.0.0.1", false},  {"/ip4/127.0.0.1/tcp/1", "127.0.0.1", true},
    {"/ip4/10.0.0.2/tcp/1", "127.0.0.1", true},   {"/ip4/0.0.0.0/tcp/1", "127.0.0.1", false},
    {"/ip4/224.0.0.1/tcp/1", "127.0.0.1", false}, {"/ip4/169.254.1.1/tcp/1", "127.0.0.1", false},
    {"/ip6/fe80::1/tcp/1", "fe80::2", false},     {"/ip6/fd00::1/tcp/1", "9.9.9.9", false},
    {"/ip6/2001:db8::1/tcp/1", "9.9.9.9", true},  {"/ip6/::ffff:10.0.0.2/tcp/1", "9.9.9.9", false},
    {"/dns/example.net/tcp/1", "9.9.9.9", true},  {"/ip4/8.8.8.8/tcp/1", NULL, false},
};

TEST(addresses_are_believed_as_far_as_they_make_sense) {
    for (size_t i = 0; i < LEN(claims); i++) {
        struct node *n = start("");
        struct peer *p = peer_of(n, PEER_A);
        struct connection connection = {0};
        struct buf addr = {.max = MULTIADDR_MAX};
        struct identify *id = said();
        CHECK(multiaddr_parse(bytes_of(claims[i].addr), &addr, NULL) == OK);
        if (claims[i].seen_at != NULL) {
            CHECK(ip_parse(bytes_of(claims[i].seen_at), &connection.remote.ip));
            p->connections = &connection;
        }
        id->addrs[0] = buf_view(&addr);
        id->n_addrs = 1;
        id->has_addrs = true;
        peers_set_identified(n, p, id);
        CHECK((p->n_addrs == 1) == claims[i].kept, "%s seen at %s", claims[i].addr, claims[i].seen_at);
        p->connections = NULL;
        buf_free(&addr);
        node_free(n);
    }
}

TEST(what_is_said_replaces_what_was_said_and_silence_does_not) {
    struct node *n = start("");
    struct peer *p = peer_of(n, PEER_A);
    struct connection connection = {.remote.ip = {4, {9, 9, 9, 9}}};
    struct identify *id = said();
    uint8_t room[8];
    p->connections = &connection;
    id->agent = BYTES("go\x1b[31m");
    id->protocols[0] = BYTES("/a\n");
    id->protocols[1] = BYTES("/b");
    id->n_protocols = 2;
    id->has_agent = id->has_protocols = true;
    peers_set_identified(n, p, id);
    CHECK(strcmp(p->agent, "go\\x1b[31m") == 0 && p->n_protocols == 2 &&
          strcmp(p->protocols[0], "/a\\x0a") == 0);
    CHECK(p->last_seen.ms == n->now.wall.ms && p->dirty && p->n_addrs == 0);
    peers_set_identified(n, p, said()); /* a push of nothing */
    CHECK(p->agent != NULL && p->n_protocols == 2);
    id = said();
    id->has_protocols = true;
    for (size_t i = 0; i < IDENTIFY_PROTOCOLS_MAX; i++) id->protocols[i] = BYTES("/x");
    id->n_protocols = IDENTIFY_PROTOCOLS_MAX;
    peers_set_identified(n, p, id);
    CHECK(p->n_protocols == 64 && strcmp(p->protocols[63], "/x") == 0);
    id = said();
    id->has_addrs = id->signed_record = true;
    id->record_seq = 10;
    id->n_addrs = 1;
    id->addrs[0] = address(room, 1);
    peers_set_identified(n, p, id);
    CHECK(p->record_seq == 10 && p->n_addrs == 1 && p->addrs[0].certified);
    id->record_seq = 9; /* an old record, perhaps played back by somebody */
    id->addrs[0] = address(room, 2);
    peers_set_identified(n, p, id);
    CHECK(p->record_seq == 10 && p->n_addrs == 1 && !has_address(p, address(room, 2)));
    id->record_seq = 10; /* the same again */
    peers_set_identified(n, p, id);
    CHECK(p->n_addrs == 2);
    p->connections = NULL;
    node_free(n);
}

TEST(identified_without_memory) {
    for (long i = 0; i < 12; i++) {
        size_t blocks = mem_blocks();
        struct node *n = start("");
        struct peer *p = peer_of(n, PEER_A);
        struct connection connection = {.remote.ip = {4, {9, 9, 9, 9}}};
        struct identify *id = said();
        uint8_t room[8];
        p->connections = &connection;
        id->agent = BYTES("agent");
        id->protocols[0] = BYTES("/a");
        id->protocols[1] = BYTES("/b");
        id->addrs[0] = address(room, 1);
        id->n_protocols = 2;
        id->n_addrs = 1;
        id->has_agent = id->has_protocols = id->has_addrs = true;
        mem_fail_after(i);
        peers_set_identified(n, p, id);
        mem_fail_after(-1);
        for (size_t k = 0; k < p->n_protocols; k++) CHECK(p->protocols[k] != NULL, "%ld", i);
        p->connections = NULL;
        node_free(n);
        CHECK(mem_blocks() == blocks, "%ld", i);
    }
}

/* ---- the store */

/* What the node asks the store to keep, as rows of STORE_PEERS_LOAD; returns how many. */
static size_t rows_of(struct node *n, struct buf *rows) {
    struct node_effect e;
    size_t count = 0;
    while (node_effect(n, &e)) {
        if (e.kind != EFFECT_STORE) continue;
        struct store_op *op = e.op;
        if (op->kind == STORE_PEER_PUT) {
            CHECK(wr_u8(rows, op->peer.n) && buf_add(rows, peer_id_view(&op->peer)) &&
                  wr_u64(rows, (uint64_t)op->when.ms) && wr_u32(rows, op->flags) &&
                  wr_u16(rows, (uint16_t)strlen(op->text)) && buf_add_text(rows, op->text) &&
                  wr_u32(rows, (uint32_t)op->in.n) && buf_add(rows, buf_view(&op->in)));
            count++;
        }
        store_op_free(op);
    }
    return count;
}

static void fill(struct node *n) {
    struct peer *a = peer_of(n, PEER_A), *b = peer_of(n, PEER_B);
    uint8_t room[8];
    peers_add_address(n, a, address(room, 1), true, false);
    peers_add_address(n, a, address(room, 2), false, true);
    peers_add_address(n, a, address(room, 3), false, false);
    a->addrs[1].last_ok.ms = 777;
    a->record_seq = 42;
    a->first_seen.ms = 555;
    a->last_seen.ms = 666;
    CHECK(peers_name(n, a, BYTES("web"), NULL) == OK);
    peers_touch(n, b, PEER_WRITTEN_TO);
}

TEST(peers_come_back_from_the_store) {
    struct node *n = start("");
    struct buf rows = {.max = 1 << 20};
    fill(n);
    peers_flush(n, true);
    CHECK(rows_of(n, &rows) == 2);
    peers_flush(n, true);
    CHECK(rows_of(n, &rows) == 0); /* nothing has changed since */
    node_free(n);
    n = start("");
    peers_loaded(n, buf_view(&rows));
    CHECK(n->peers.n == 2);
    struct peer *a = peer_of(n, PEER_A), *b = peer_of(n, PEER_B);
    uint8_t room[8];
    CHECK(strcmp(a->name, "web") == 0 && a->flags == PEER_NAMED && a->record_seq == 42 &&
          a->first_seen.ms == 555);
    CHECK(a->last_seen.ms == 666 && a->n_addrs == 3 && !a->dirty && !b->dirty);
    CHECK(has_address(a, address(room, 1)) && a->addrs[0].operator_given && !a->addrs[0].certified);
    CHECK(a->addrs[1].certified && a->addrs[1].last_ok.ms == 777 && a->addrs[2].last_ok.ms == 0);
    CHECK(b->name == NULL && b->flags == PEER_WRITTEN_TO && b->n_addrs == 0);
    node_free(n);
    buf_free(&rows);
}

TEST(the_store_comes_after_the_configuration) {
    struct node *n = start("");
    struct buf rows = {.max = 1 << 20};
    fill(n);
    peers_flush(n, true);
    CHECK(rows_of(n, &rows) == 2);
    node_free(n);
    n = start("[discovery]\nbootstrap = /ip4/1.2.3.4/tcp/2/p2p/" PEER_A ", /ip4/1.2.3.4/tcp/9/p2p/" PEER_A
              "\n");
    struct peer *a = peer_of(n, PEER_A);
    uint8_t room[8];
    CHECK(a->bootstrap && a->flags == PEER_OPERATOR && a->n_addrs == 2);
    peers_loaded(n, buf_view(&rows));
    CHECK(a->flags == (PEER_OPERATOR | PEER_NAMED) && a->n_addrs == 4 && a->bootstrap);
    for (size_t i = 0; i < a->n_addrs; i++) { /* each time with its own address, wherever that stands now */
        bool is_2 = bytes_eq(bytes_at(a->addrs[i].p, a->addrs[i].n), address(room, 2));
        CHECK((a->addrs[i].last_ok.ms == 777) == is_2, "%zu", i);
        CHECK(!is_2 || (a->addrs[i].operator_given && a->addrs[i].certified));
    }
    node_free(n);
    buf_free(&rows);
}

TEST(damaged_rows_end_the_loading_and_harm_nothing) {
    struct node *n = start("");
    struct buf rows = {.max = 1 << 20};
    size_t blocks = 0;
    fill(n);
    peers_flush(n, true);
    CHECK(rows_of(n, &rows) == 2);
    node_free(n);
    blocks = mem_blocks();
    for (size_t cut = 0; cut < rows.n; cut++) {
        uint8_t *exact = malloc(cut + (cut == 0)); /* so that a byte too far is seen */
        CHECK(exact != NULL);
        memcpy(exact, rows.p, cut);
        n = start("");
        peers_loaded(n, bytes_at(exact, cut));
        CHECK(n->peers.n < 2, "%zu", cut);
        node_free(n);
        free(exact);
    }
    for (size_t bit = 0; bit < 8 * rows.n; bit++) {
        rows.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        n = start("");
        peers_loaded(n, buf_view(&rows));
        size_t i = 0;
        for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;)
            for (size_t k = 0; k < p->n_addrs; k++)
                CHECK(multiaddr_valid(bytes_at(p->addrs[k].p, p->addrs[k].n)), "bit %zu", bit);
        node_free(n);
        rows.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CHECK(mem_blocks() == blocks);
    buf_free(&rows);
}

TEST(changes_go_to_the_store_some_at_a_time) {
    struct node *n = start("");
    struct buf rows = {.max = 1 << 20};
    for (uint32_t i = 0; i < 450; i++) {
        struct peer_id id = id_of(i);
        struct peer *p = peers_add(n, &id);
        CHECK(p != NULL && !p->dirty);
        peers_touch(n, p, i % 2 == 0 ? PEER_WRITTEN_TO : 0); /* what changes nothing need not be written */
    }
    static const size_t want[] = {200, 25, 0};
    for (size_t i = 0; i < LEN(want); i++) {
        peers_flush(n, false);
        CHECK(rows_of(n, &rows) == want[i], "%zu", i);
    }
    struct peer_id id = id_of(0);
    peers_touch(n, peers_find(n, &id), PEER_ALLOWED);
    mem_fail_after(0);
    peers_flush(n, true);
    mem_fail_after(-1);
    CHECK(rows_of(n, &rows) == 0);
    peers_flush(n, true); /* what could not be written then is written now */
    CHECK(rows_of(n, &rows) == 1);
    node_free(n);
    buf_free(&rows);
}

/* Whose messages are taken is written at once, and again when it could not be. */
TEST(a_new_flag_goes_to_the_store_at_once) {
    struct node *n = start("");
    struct peer *p = peer_of(n, PEER_A);
    struct node_effect e = {.op = NULL};
    n->loaded = true;
    peers_touch(n, p, PEER_WRITTEN_TO);
    CHECK(node_effect(n, &e) && e.kind == EFFECT_STORE && e.op->kind == STORE_PEER_PUT);
    CHECK(e.op->flags == PEER_WRITTEN_TO && !p->dirty);
    e.op->err = fail(&e.op->why, E_LIMIT, "the disk is full");
    node_stored(n, e.op);
    peers_touch(n, p, PEER_WRITTEN_TO);
    CHECK(drain(n, STORE_PEER_PUT) == 0); /* nothing new */
    peers_flush(n, false);
    CHECK(drain(n, STORE_PEER_PUT) == 1);
    mem_fail_after(0);
    peers_touch(n, p, PEER_ALLOWED);
    mem_fail_after(-1);
    CHECK(p->dirty && drain(n, STORE_PEER_PUT) == 0);
    node_free(n);
}

/* ---- traces, configuration */

TEST(the_last_steps_are_remembered) {
    struct node *n = start("");
    struct peer *p = peer_of(n, PEER_A);
    mem_fail_after(0);
    peers_trace(n, p, "dial", BYTES(ADDRESS), "ok", "%d", 0);
    mem_fail_after(-1);
    CHECK(p->n_traces == 0);
    for (int i = 0; i < TRACES_MAX + 5; i++) peers_trace(n, p, "dial", BYTES(ADDRESS), "failed", "try %d", i);
    CHECK(p->n_traces == TRACES_MAX + 5 && strcmp(p->traces[4].detail, "try 28") == 0);
    CHECK(strcmp(p->traces[5].detail, "try 5") == 0 &&
          strcmp(p->traces[5].addr, "/ip4/1.2.3.4/tcp/4001") == 0);
    char lots[300];
    memset(lots, 'x', sizeof(lots) - 1);
    lots[299] = '\0';
    peers_trace(n, p, lots, (struct bytes){NULL, 0}, lots, "%s", lots); /* cut to their places */
    const struct trace *t = &p->traces[5];
    CHECK(strlen(t->step) == 15 && strlen(t->result) == 15 && strlen(t->detail) == 95 && t->addr[0] == '\0');
    node_free(n);
}

TEST(bootstrap_and_trust_follow_the_configuration) {
    struct node *n = start("[discovery]\nbootstrap = /ip4/1.2.3.4/tcp/4001/p2p/" PEER_A "\n");
    struct peer *a = peer_of(n, PEER_A);
    CHECK(a->bootstrap && !a->trusted && a->n_addrs == 1 && a->addrs[0].operator_given);
    node_reconfigure(n, config_of("[access]\nallowPeers = " PEER_B "\n"), NULL, NULL);
    CHECK(!a->bootstrap && peer_of(n, PEER_B)->trusted && n->peers.n == 2);
    node_reconfigure(n, config_of(""), NULL, NULL);
    CHECK(!peer_of(n, PEER_B)->trusted);
    char self[200];
    snprintf(self, sizeof(self), "[discovery]\nbootstrap = /ip4/1.2.3.4/tcp/4001/p2p/%s\n", n->self_text);
    node_reconfigure(n, config_of(self), NULL, NULL); /* a list for all nodes may name this one too */
    CHECK(n->peers.n == 2);
    node_free(n);
}
