/* Who may what: each control method needs a right; lists come in pages. */
#include "node/control.h"
#include "tests/node/help.h"

static char said[1 << 20];

/* What the node says to a client of `may`, at once or within a second. */
static const char *ask_as(struct world *w, enum control_right may, const char *method, const char *params) {
    char line[600];
    struct node_client who = {.id = 88, .may = may, .fd = -1};
    struct node *n = node_of(w, 0);
    struct node_effect e;
    said[0] = 0;
    snprintf(line, sizeof line, "{\"id\":1,\"method\":\"%s\",\"params\":%s}", method, params);
    node_request(n, &who, bytes_of(line));
    while (node_effect(n, &e)) {
        if (e.kind == EFFECT_ANSWER && e.id == 88) bytes_cstr(e.line, said, sizeof said);
        if (e.kind == EFFECT_STORE) {
            n->store_in_flight--;
            store_op_free(e.op);
        }
    }
    node_client_gone(n, 88);
    return said;
}

TEST(a_method_needs_its_right) {
    static const char *const read[] = {
        "status",      "health", "report",      "events",      "events.list",    "id",
        "version",     "peers",  "peers.list",  "peer.show",   "explain",        "outbox",
        "outbox.list", "top",    "diag.limits", "diag.loop",   "log.stats",      "check.last",
        "figures",     "file",   "file.list",   "config.list", "bootstrap.list", "metrics"};
    for (const struct control_row *row = control_rows; row->name != NULL; row++) {
        bool listed = false;
        for (size_t i = 0; i < LEN(read); i++) listed |= strcmp(read[i], row->name) == 0;
        CHECK(listed == (row->right == RIGHT_READ), "%s: operations.md S10 has the list of role read",
              row->name);
        for (enum control_right may = RIGHT_OWNER; may <= RIGHT_READ; may++) {
            struct world *w = quiet_world();
            node_with(w, "");
            bool denied = strstr(ask_as(w, may, row->name, "{}"), "this caller may only read") != NULL;
            CHECK(denied == (may > row->right), "%s as %d: %s", row->name, (int)may, said);
            CHECK(!denied || strstr(said, "\"code\":5") != NULL);
            end_world(w);
        }
    }
}

TEST(reading_a_kept_result_is_not_keeping_one) {
    struct world *w = quiet_world();
    node_with(w, "");
    const char *result =
        "{\"period\":\"daily\",\"result\":{\"at\":\"2026-01-01T00:00:00Z\",\"status\":\"ok\"}}";
    for (enum control_right may = RIGHT_ADMIN; may <= RIGHT_READ; may++)
        CHECK(strstr(ask_as(w, may, "check.last", result), "\"code\":5") != NULL, "%s", said);
    CHECK(node_of(w, 0)->health.reports[0].at.ms == 0);
    CHECK(strstr(ask_as(w, RIGHT_OWNER, "check.last", result), "\"result\"") != NULL);
    CHECK(node_of(w, 0)->health.reports[0].at.ms != 0);
    end_world(w);
}

/* Those who may only read have places of their own. */
TEST(readers_do_not_take_all_places) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct node *n = node_of(w, a);
    struct node_client reader = {.id = 88, .may = RIGHT_READ, .fd = -1};
    for (int i = 0; i < CONTROL_REQUESTS_MAX + 10; i++)
        node_request(n, &reader, BYTES("{\"id\":1,\"method\":\"events\"}"));
    size_t waiting = 0;
    for (const struct request *r = n->requests; r != NULL; r = r->next) waiting += !r->dead;
    CHECK(waiting == CONTROL_READERS_MAX, "%zu", waiting);
    must_have(world_ask(w, a, "version", "{}"), "\"result\"");
    node_client_gone(n, 88);
    world_turn(w, w->nodes[a]);
    CHECK(n->n_requests == 0);
    node_request(n, &reader, BYTES("{\"id\":1,\"method\":\"events\"}"));
    CHECK(node_client_busy(n, 88));
    node_client_gone(n, 88);
    end_world(w);
}

static size_t count(const char *text, const char *word) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) n++;
    return n;
}

TEST(peers_come_in_pages_by_their_id) {
    struct world *w = quiet_world();
    enum { MANY = 7 };
    size_t a = node_with(w, "");
    char after[80] = "", last[80] = "";
    size_t seen = 0;
    for (size_t i = 0; i < MANY; i++) must_connect(w, a, node_with(w, ANY));
    for (int page = 0; page < 10; page++) {
        const char *got = world_ask(w, a, "peers", "{\"n\":3,\"after\":\"%s\"}", after);
        size_t rows = count(got, "\"peer_id\"");
        seen += rows;
        CHECK(rows == MIN((size_t)3, MANY - seen + rows), "page %d: %zu", page, rows);
        for (const char *at = got; (at = strstr(at, "\"peer_id\":\"")) != NULL;) {
            char id[80];
            at += strlen("\"peer_id\":\"");
            snprintf(id, sizeof id, "%.*s", (int)strcspn(at, "\""), at);
            CHECK(strcmp(id, last) > 0, "%s behind %s", id, last);
            memcpy(last, id, sizeof last);
        }
        const char *next = strstr(got, "\"next\":\"");
        if (next == NULL) break;
        next += strlen("\"next\":\"");
        snprintf(after, sizeof after, "%.*s", (int)strcspn(next, "\""), next);
        CHECK(strcmp(after, last) == 0);
    }
    CHECK(seen == MANY);
    must_have(world_ask(w, a, "peers", "{}"), "\"next\":null");
    must_have(world_ask(w, a, "peers", "{\"n\":7}"), "\"next\":null");
    CHECK(count(world_ask(w, a, "peers", "{\"n\":-1,\"after\":\"1\"}"), "\"peer_id\"") == MANY);
    end_world(w);
}

TEST(events_are_remembered_for_who_asks_later) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[limits]\nremembered_events = 10\n");
    struct node *n = node_of(w, a);
    LOG(n->log, EV_PEER_CONNECTED, kv_str("peer", "A"));
    LOG(n->log, EV_MESSAGE_RECEIVED,
        kv_str("peer", "A")); /* comes with each message: not before somebody asks */
    LOG(n->log, EV_STREAM, kv_str("peer", "A"));
    LOG(n->log, EV_SLOW_TURN, kv_str("part", "x"));
    const char *got = world_ask(w, a, "events.list", "{\"n\":2}");
    must_have(got, "\"Peer connected\"");
    must_have(got, "\"Slow turn\"");
    CHECK(strstr(got, "\"Stream\"") == NULL && strstr(got, "Message received") == NULL);
    uint64_t last = n->history.last;
    LOG(n->log, EV_MESSAGE_RECEIVED, kv_str("peer", "B"));
    got = world_ask(w, a, "events.list", "{\"after\":%llu}", (unsigned long long)last);
    CHECK(count(got, "\"number\"") == 1 && strstr(got, "Message received") != NULL, "%s", got);
    got = world_ask(w, a, "events.list", "{\"after\":%llu}", (unsigned long long)n->history.last);
    CHECK(count(got, "\"number\"") == 0, "%s", got);
    for (int i = 0; i < 30; i++) LOG(n->log, EV_SLOW_TURN, kv_int("i", i));
    got = world_ask(w, a, "events.list", "{\"type\":\"warn\",\"n\":1000}");
    CHECK(count(got, "\"number\"") == 10, "%s", got);
    must_have(got, "\"i\":29");
    got = world_ask(w, a, "events.list", "{\"type\":\"warn\",\"n\":4}");
    CHECK(count(got, "\"number\"") == 4 && strstr(got, "\"i\":26") != NULL && strstr(got, "\"i\":29") != NULL,
          "%s", got);
    CHECK(count(world_ask(w, a, "events.list", "{\"after\":999999}"), "\"number\"") == 10,
          "numbers of an earlier run");
    must_fail(world_ask(w, a, "events.list", "{\"type\":\"nonsense\"}"), "usage");
    world_run(w, 3601 * 1000);
    CHECK(n->log->tap_of == LOG_TAP_RARE, "nobody has asked for an hour");
    end_world(w);
}
