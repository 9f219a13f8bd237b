/* `status` and `id`: numbers that are those of the node. */
#include "tests/node/help.h"

TEST(id_is_the_nodes) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[node]\nname = web-01\n");
    const char *answer = world_ask(w, a, "id", "{}");
    must_have(answer, "{\"id\":1,\"result\":{\"schema\":\"silktalk.id/1\",\"peer_id\":\"");
    must_have(answer, w->nodes[a]->id);
    must_have(answer, "\"name\":\"web-01\"");
    must_have(answer, "\"key_type\":\"Ed25519\"");
    must_have(answer, world_address(w, a));
    must_have(answer, "\"private_network\":false");
    struct buf key = {.max = 100};
    const struct identity *self = &w->nodes[a]->self;
    CHECK(base64_encode(&key, bytes_at(self->public_key, sizeof self->public_key), false));
    must_have(answer, buf_cstr(&key));
    buf_free(&key);
    end_world(w);
}

TEST(status_counts_what_happened) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    const char *answer = world_ask(w, a, "status", "{}");
    must_have(answer, "\"peers\":{\"connected\":0,\"connections\":0,\"max\":300,\"in\":0,\"out\":0,"
                      "\"relayed\":0,\"known\":0}");
    must_have(answer, "\"messages\":{\"in\":0,\"out\":0,\"outbox\":0,\"outbox_oldest\":null,\"inbox\":0,"
                      "\"inbox_unread\":0,\"latency_p95_seconds\":null,\"errors_percent\":0");
    must_have(answer, "\"reach\":{\"status\":\"unknown\"}");
    must_have(answer, "\"dht\":{\"status\":\"unknown\"}");
    must_connect(w, a, b);
    send_text(w, a, b, "1");
    send_text(w, a, b, "2");
    CHECK(all_sent(w, a, 5000));
    world_kill(w, b);
    world_run(w, 100);
    send_text(w, a, b, "3");
    answer = world_ask(w, a, "status", "{}");
    must_have(answer, "\"known\":1}");
    must_have(answer, "\"in\":0,\"out\":2,\"outbox\":1,\"outbox_oldest\":\"");
    CHECK(strstr(answer, "\"latency_p95_seconds\":null") == NULL, "%s", answer);
    world_start(w, b);
    CHECK(all_sent(w, a, 60000));
    answer = world_ask(w, b, "status", "{}");
    must_have(answer, "\"peers\":{\"connected\":1,\"connections\":1,\"max\":300,\"in\":1,\"out\":0,");
    must_have(answer, "\"in\":3,\"out\":0,");
    must_have(answer, "\"inbox\":3,\"inbox_unread\":3,");
    end_world(w);
}

TEST(what_was_measured_is_shown_and_the_rest_is_null) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct node *n = node_of(w, a);
    struct node_resources r = node_resources_unknown;
    node_measured(n, &r);
    must_have(world_ask(w, a, "status", "{}"), "\"logs_bytes\":null,\"disk_percent\":null");
    must_have(world_ask(w, a, "status", "{}"), "\"resources\":{\"cpu_percent\":null,\"memory_percent\":null,"
                                               "\"resident_bytes\":null,\"fds\":null,\"fds_max\":null}");
    world_run(w, 10000);
    r = (struct node_resources){.resident_bytes = 4096,
                                .own_cpu_permille = 16,
                                .host_cpu_permille = 9,
                                .fds = 12,
                                .fds_max = 1024,
                                .memory_permille = 312};
    n->spaces[SPACE_DATA] = (struct space_use){.total = 1000, .used = 300, .available = 700};
    n->spaces[SPACE_LOGS] = (struct space_use){
        .total = 1000, .used = 300, .available = 700, .inodes = 100, .inodes_free = 59, .folder_bytes = 4096};
    node_now(n, world_clocks(w, w->nodes[a]));
    node_measured(n, &r);
    const char *answer = world_ask(w, a, "status", "{}");
    must_have(answer, "\"logs_bytes\":4096,\"disk_percent\":41");
    must_have(answer, "\"memory_percent\":31,\"resident_bytes\":4096,\"fds\":12,\"fds_max\":1024}");
    must_have(answer, "\"cpu_percent\":2"); /* the larger of both, rounded */
    end_world(w);
}

TEST(a_pending_restart_is_named) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    must_have(world_ask(w, a, "status", "{}"), "\"restart_pending\":[]");
    CHECK(world_reload(w, a, "[node]\nidentity = /other\nname = new\n"));
    const char *answer = world_ask(w, a, "status", "{}");
    must_have(answer, "\"restart_pending\":[\"node.identity\"]");
    must_have(answer, "\"name\":\"new\"");
    end_world(w);
}

TEST(states_while_it_starts_and_stops) {
    struct world *w = quiet_world();
    size_t a = world_add(w, "");
    w->nodes[a]->commit_us = 400000;
    world_start(w, a);
    CHECK(strcmp(node_state(node_of(w, a)), "starting") == 0);
    world_run(w, 3000);
    CHECK(strcmp(node_state(node_of(w, a)), "healthy") == 0);
    char line[200];
    node_status_line(node_of(w, a), line, sizeof line);
    CHECK(strcmp(line, "healthy, 0 peers, outbox 0") == 0, "%s", line);
    node_stop(node_of(w, a));
    CHECK(strcmp(node_state(node_of(w, a)), "stopping") == 0);
    end_world(w);
}
