/* The node's own numbers come to its health: peers, outbox, faults, limits, clock; maintenance; results. */
#include <stdio.h>

#include "tests/node/help.h"

#define PUT(to, text) snprintf(to, sizeof to, "%s", text)

static const struct health_result *result(struct world *w, size_t i, enum health_check check) {
    health_update(node_of(w, i));
    return &node_of(w, i)->health.judged.of[check];
}

TEST(health_of_a_fresh_node) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    const char *answer = world_ask(w, a, "health", "{}");
    must_have(answer, "\"schema\":\"silktalk.health/1\",\"status\":\"healthy\"");
    must_have(answer, "\"maintenance\":null,\"checks\":[{\"name\":\"node\",\"status\":\"ok\"");
    must_have(answer, "\"last_checks\":[]");
    struct buf out = {.max = 65536};
    CHECK(health_write(node_of(w, a), &out) &&
          bytes_starts(buf_view(&out), "{\"schema\":\"silktalk.health/1\""));
    buf_free(&out);
    struct buf small = {.max = 100};
    CHECK(!health_write(node_of(w, a), &small));
    buf_free(&small);
    end_world(w);
}

TEST(peers_outbox_and_latency_are_the_nodes) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[health]\nminSamples = 2\n"), b = node_with(w, ANY);
    must_connect(w, a, b);
    send_text(w, a, b, "1");
    send_text(w, a, b, "2");
    CHECK(all_sent(w, a, 5000));
    CHECK(result(w, a, HEALTH_CHECK_peers)->status == HEALTH_OK &&
          result(w, a, HEALTH_CHECK_peers)->value == 1);
    CHECK(result(w, a, HEALTH_CHECK_latency)->value > 0, "%s", result(w, a, HEALTH_CHECK_latency)->message);
    CHECK(result(w, a, HEALTH_CHECK_errors)->value == 0);
    CHECK(result(w, a, HEALTH_CHECK_outbox)->value == 0);
    CHECK(node_of(w, a)->health.clocks[0].at.us != 0); /* receipts told the time */
    CHECK(result(w, a, HEALTH_CHECK_clock)->status == HEALTH_OK);
    world_kill(w, b);
    world_run(w, 40000);
    send_text(w, a, b, "3");
    world_run(w, 3600000);
    CHECK(result(w, a, HEALTH_CHECK_peers)->status == HEALTH_CRITICAL);
    CHECK(result(w, a, HEALTH_CHECK_outbox)->status == HEALTH_WARNING &&
          result(w, a, HEALTH_CHECK_outbox)->value >= 3600);
    CHECK(isnan(result(w, a, HEALTH_CHECK_latency)->value)); /* the window has passed */
    CHECK(strcmp(node_state(node_of(w, a)), "unhealthy") == 0);
    must_have(world_ask(w, a, "status", "{}"),
              "{\"finding\":\"peers\",\"level\":\"P1\",\"text\":\"0 connected");
    end_world(w);
}

TEST(faults_and_limits_count_within_the_window) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[messages]\noutboxMax = 1\n"), b = node_with(w, "");
    const char *address = world_address(w, b);
    world_kill(w, b);
    world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"1\"}", address);
    world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"2\"}", address);
    CHECK(result(w, a, HEALTH_CHECK_limits)->status == HEALTH_WARNING, "%s",
          result(w, a, HEALTH_CHECK_limits)->message);
    CHECK(strstr(result(w, a, HEALTH_CHECK_limits)->message, "outbox_messages") != NULL);
    node_of(w, a)->log->counts[EV_DATABASE_FAULT]++;
    CHECK(result(w, a, HEALTH_CHECK_database)->status == HEALTH_CRITICAL);
    world_run(w, 330000);
    CHECK(result(w, a, HEALTH_CHECK_limits)->status == HEALTH_OK);
    CHECK(result(w, a, HEALTH_CHECK_database)->status == HEALTH_OK);
    end_world(w);
}

TEST(what_the_owner_measured_is_judged_and_told_once) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct node *n = node_of(w, a);
    struct health_facts f;
    health_facts_init(&f);
    f.cpu_percent = f.memory_percent = 1;
    f.disk_percent = 85;
    node_health_measured(n, &f, 10);
    CHECK(strcmp(node_state(n), "degraded") == 0 && logged(w, a, EV_DISK_LOW) == 1);
    world_run(w, 60000);
    CHECK(logged(w, a, EV_DISK_LOW) == 1);
    f.disk_percent = 95;
    node_health_measured(n, &f, 10);
    world_run(w, 20000);
    CHECK(logged(w, a, EV_DISK_LOW) == 2 && strcmp(node_state(n), "unhealthy") == 0);
    f.disk_percent = 10;
    f.has_certificate = true;
    f.certificate_seconds = 86400;
    PUT(f.files, "identity.key has mode 0644");
    f.files_critical = true;
    node_health_measured(n, &f, 10);
    world_run(w, 20000);
    CHECK(logged(w, a, EV_CERTIFICATE_EXPIRES) == 1 && logged(w, a, EV_IDENTITY_PERMISSIONS) == 1);
    end_world(w);
}

TEST(clocks_of_peers) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, a, b);
    struct node *n = node_of(w, a);
    struct connection *c = connection_to(w, a, b);
    health_clock_seen(n, c, (uint64_t)n->now.wall.ms + 7000);
    CHECK(result(w, a, HEALTH_CHECK_clock)->status == HEALTH_WARNING &&
          result(w, a, HEALTH_CHECK_clock)->value == 7);
    world_run(w, 11000);
    CHECK(logged(w, a, EV_CLOCK_OFFSET) == 1);
    health_clock_seen(n, c, (uint64_t)n->now.wall.ms);
    CHECK(result(w, a, HEALTH_CHECK_clock)->status == HEALTH_OK);
    health_clock_seen(n, c, UINT64_MAX);
    health_clock_seen(n, c, 0);
    CHECK(result(w, a, HEALTH_CHECK_clock)->status == HEALTH_OK);
    end_world(w);
}

TEST(maintenance_begins_lasts_and_ends) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_have(world_ask(w, a, "maintenance", "{}"), "\"maintenance\":null");
    must_connect(w, a, b);
    must_have(
        world_ask(w, a, "maintenance", "{\"state\":\"on\",\"for_ms\":60000,\"notify\":\"back at noon\"}"),
        "\"text\":\"back at noon\"");
    must_have(world_ask(w, a, "health", "{}"), "\"maintenance\":{\"since\":\"");
    CHECK(all_sent(w, a, 5000));
    CHECK(inbox_is(w, b, "back at noon "));
    world_kill(w, a);
    world_start(w, a);
    world_run(w, 1000);
    must_have(world_ask(w, a, "maintenance", "{}"), "\"text\":\"back at noon\""); /* over a restart */
    world_run(w, 61000);
    must_have(world_ask(w, a, "maintenance", "{}"), "\"maintenance\":null");
    must_have(world_ask(w, a, "maintenance", "{\"state\":\"on\"}"), "\"until\":null");
    must_have(world_ask(w, a, "maintenance", "{\"state\":\"off\"}"), "\"maintenance\":null");
    must_fail(world_ask(w, a, "maintenance", "{\"state\":\"soon\"}"), "usage");
    end_world(w);
}

TEST(results_of_checks_are_kept) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    must_have(world_ask(w, a, "check.last", "{\"period\":\"daily\"}"), "\"result\":null");
    must_fail(world_ask(w, a, "check.last", "{\"period\":\"hourly\"}"), "usage");
    must_fail(world_ask(w, a, "check.last", "{\"period\":\"daily\",\"result\":{\"at\":\"yesterday\"}}"),
              "input");
    world_ask(w, a, "check.last",
              "{\"period\":\"daily\",\"result\":{\"at\":\"2026-02-22T10:15:30.000Z\",\"items\":["
              "{\"id\":\"D1\",\"state\":\"ok\"},{\"id\":\"D3\",\"state\":\"warning\"},{\"id\":\"\\u001b[1m\","
              "\"state\":\"x\"},"
              "{\"id\":\"D4\",\"state\":\"unknown\",\"judged\":false},{\"id\":\"D5\",\"state\":\"unknown\"}],"
              "\"status\":\"warning\"}}");
    /* the world's clock stands seven months later */
    must_have(world_ask(w, a, "health", "{}"),
              "\"last_checks\":[{\"period\":\"daily\",\"at\":\"2026-02-22T10:15:30.000Z\","
              "\"status\":\"warning\",\"findings\":\"D3 D5\",\"overdue\":true}]");
    world_run(w, 1000);
    world_kill(w, a);
    world_start(w, a);
    world_run(w, 1000);
    must_have(world_ask(w, a, "check.last", "{\"period\":\"daily\"}"), "\"status\":\"warning\"}");
    must_have(world_ask(w, a, "health", "{}"), "\"period\":\"daily\"");
    end_world(w);
}
