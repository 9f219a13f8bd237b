/* `events` and `top`. */
#include "node/control.h"
#include "tests/node/help.h"

/* What the node has to say to client 77, joined; what else it wants is dropped. */
static const char *said(struct node *n, struct buf *all) {
    struct node_effect e;
    buf_clear(all);
    control_events(n);
    while (node_effect(n, &e)) {
        if (e.kind == EFFECT_ANSWER && e.id == 77) buf_add(all, e.line);
        if (e.kind == EFFECT_STORE) {
            n->store_in_flight--;
            store_op_free(e.op);
        }
    }
    return buf_cstr(all);
}

static void follow(struct node *n, const char *params) {
    char line[300];
    struct node_client client = {.id = 77, .fd = -1};
    snprintf(line, sizeof line, "{\"id\":5,\"method\":\"events\",\"params\":%s}", params);
    node_request(n, &client, bytes_of(line));
}

TEST(events_come_by_type) {
    static const struct {
        const char *params;
        bool peer, slow, debug;
    } rows[] = {{"{}", true, true, false},
                {"{\"type\":\"warn\"}", false, true, false},
                {"{\"type\":\"debug\"}", true, true, true},
                {"{\"type\":\"net\"}", true, false, true},
                {"{\"type\":\"peer conn\"}", true, false, false},
                {"{\"type\":\" Slow turn \"}", false, true, false},
                {"{\"type\":\"Stream\"}", false, false, true}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct world *w = quiet_world();
        struct node *n = node_of(w, node_with(w, ""));
        struct buf all = {.max = 1 << 16};
        follow(n, rows[i].params);
        LOG(n->log, EV_PEER_CONNECTED, kv_str("peer", "A"));
        LOG(n->log, EV_SLOW_TURN, kv_str("part", "x"));
        LOG(n->log, EV_STREAM, kv_str("peer", "A"));
        const char *text = said(n, &all);
        CHECK((strstr(text, "{\"id\":5,\"event\":{\"time\":") != NULL) == (all.n > 0), "%zu: %s", i, text);
        CHECK((strstr(text, "\"Peer connected\"") != NULL) == rows[i].peer, "%zu: %s", i, text);
        CHECK((strstr(text, "\"Slow turn\"") != NULL) == rows[i].slow, "%zu: %s", i, text);
        CHECK((strstr(text, "\"Stream\"") != NULL) == rows[i].debug, "%zu: %s", i, text);
        LOG(n->log, EV_PEER_DISCONNECTED, kv_str("peer", "A"));
        LOG(n->log, EV_DISK_LOW, kv_str("path", "/"));
        CHECK(strstr(said(n, &all), "Slow turn") == NULL); /* once */
        node_client_gone(n, 77);
        LOG(n->log, EV_PEER_CONNECTED, kv_str("peer", "B"));
        CHECK(strcmp(said(n, &all), "") == 0 && n->log->tap_of == LOG_TAP_RARE && n->log->tap.n == 0);
        LOG(n->log, EV_STREAM, kv_str("peer", "B"));
        LOG(n->log, EV_MESSAGE_RECEIVED, kv_str("peer", "B"));
        CHECK(n->log->tap.n == 0); /* nobody follows any more: what is many is not kept */
        buf_free(&all);
        end_world(w);
    }
}

TEST(events_of_no_such_type_are_refused) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    must_fail(world_ask(w, a, "events", "{\"type\":\"nonsense\"}"), "usage");
    must_fail(world_ask(w, a, "events", "{\"type\":\"Peer connectedx\"}"), "usage");
    CHECK(node_of(w, a)->log->tap_of == LOG_TAP_RARE);
    end_world(w);
}

TEST(top_tells_counters_and_connections) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    send_text(w, a, b, "1");
    CHECK(all_sent(w, a, 5000));
    const char *answer = world_ask(w, a, "top", "{}");
    must_have(answer, "\"peers\":1,\"connections\":1,\"connections_max\":300,");
    must_have(answer, "\"messages_in\":0,\"messages_out\":1,\"failed\":0,\"outbox\":0,");
    must_have(answer, "\"node_cpu_percent\":null,\"resident_bytes\":null,");
    must_have(answer, w->nodes[b]->id);
    must_have(answer, "\"direction\":\"out\"");
    CHECK(strstr(answer, "\"latency_p95_seconds\":null") == NULL &&
          strstr(answer, "\"bytes_out\":0") == NULL);
    end_world(w);
}
