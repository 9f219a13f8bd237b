/* Every check: a healthy input is OK, its fault is found by it and by no other; thresholds at n and below. */
#include "node/health.h"
#include <stdio.h>

#include "tests/test.h"

#define PUT(to, text) snprintf(to, sizeof to, "%s", text)

static struct config *config_of(const char *ini) {
    struct config_home home = {.home = "/h", .socket = "/h/s", .hostname = "host", .socketmode = "0600"};
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct why w;
    CHECK(config_builder_add(b, "test", bytes_of(ini), &w) == OK, "%s", w.text);
    CHECK(config_builder_finish(b, &c, &w) == OK, "%s", w.text);
    config_builder_free(b);
    return c;
}

struct inputs {
    struct health_facts f;
    struct health_numbers n;
    bool down, unmeasured, unreachable;
};
static struct inputs well(void) {
    struct inputs i = {.down = false};
    health_facts_init(&i.f);
    i.f.cpu_percent = i.f.memory_percent = i.f.disk_percent = 10;
    i.n = (struct health_numbers){.uptime_ms = 3600000,
                                  .turn_us = 500,
                                  .window_ms = 300000,
                                  .listens = true,
                                  .wants_to_listen = true,
                                  .connections = 3,
                                  .peers = 3,
                                  .known_peers = 3,
                                  .latency_samples = 100,
                                  .latency_p95_ms = 20,
                                  .operations = 100,
                                  .outbox_age_ms = -1,
                                  .clock_peers = 3};
    return i;
}
static struct health judged(const struct config *c, const struct inputs *i) {
    struct health h = {.begun = false};
    health_judge(&h, &(struct health_input){.config = c,
                                            .facts = i->unmeasured ? NULL : &i->f,
                                            .numbers = i->down ? NULL : &i->n,
                                            .unreachable = i->unreachable,
                                            .down = i->down ? "is not running" : NULL,
                                            .now = {1000}});
    return h;
}

/* Only `which` may be anything but OK among those judged. */
static void only(const struct health *h, enum health_check which, enum health_status status,
                 enum health_level level, const char *what) {
    for (size_t k = 0; k < HEALTH_CHECK_COUNT; k++) {
        const struct health_result *r = &h->of[k];
        CHECK(r->message[0] != 0, "%s: %s says nothing", what, health_rows[k].name);
        if (k == (size_t)which)
            CHECK(r->status == status && r->level == level && r->judged, "%s: %s is %s: %s", what,
                  health_rows[k].name, health_status_name(r->status), r->message);
        else
            CHECK(!r->judged || r->status == HEALTH_OK, "%s: %s is %s: %s", what, health_rows[k].name,
                  health_status_name(r->status), r->message);
    }
    const char *want = status == HEALTH_CRITICAL ? "unhealthy" : status == HEALTH_OK ? "healthy" : "degraded";
    CHECK(strcmp(health_verdict(h), want) == 0, "%s: %s", what, health_verdict(h));
}

TEST(a_healthy_node_is_healthy) {
    struct config *c = config_of("");
    struct inputs i = well();
    struct health h = judged(c, &i);
    only(&h, HEALTH_CHECK_COUNT, HEALTH_OK, HEALTH_NO_LEVEL, "healthy");
    CHECK(h.of[HEALTH_CHECK_backup].status == HEALTH_UNKNOWN && !h.of[HEALTH_CHECK_backup].judged &&
          h.of[HEALTH_CHECK_audit].status == HEALTH_UNKNOWN && !h.of[HEALTH_CHECK_audit].judged &&
          h.of[HEALTH_CHECK_identity].status == HEALTH_UNKNOWN && !h.of[HEALTH_CHECK_identity].judged);
    CHECK(strstr(h.of[HEALTH_CHECK_backup].message, "delivery D") != NULL);
    config_free(c);
}

TEST(a_fresh_node_without_peers_is_not_sick) {
    struct config *c = config_of("");
    struct inputs i = well();
    i.n = (struct health_numbers){.uptime_ms = 86400000,
                                  .listens = true,
                                  .wants_to_listen = true,
                                  .outbox_age_ms = -1,
                                  .latency_p95_ms = -1};
    i.f.cpu_percent = NAN;
    i.f.cpu_later = true;
    struct health h = judged(c, &i);
    only(&h, HEALTH_CHECK_COUNT, HEALTH_OK, HEALTH_NO_LEVEL, "fresh");
    config_free(c);
}

#define BAD(check, status, level, change)                                                                    \
    do {                                                                                                     \
        struct inputs i = well();                                                                            \
        change;                                                                                              \
        struct health h = judged(c, &i);                                                                     \
        only(&h, HEALTH_CHECK_##check, HEALTH_##status, HEALTH_##level, #change);                            \
    } while (0)

TEST(each_fault_is_found_by_its_check_alone) {
    struct config *c = config_of("");
    BAD(node, CRITICAL, P1, i.n.turn_us = 5000001);
    BAD(node, OK, NO_LEVEL, i.n.turn_us = 5000000);
    BAD(node, CRITICAL, P1, i.n.listens = false);
    BAD(node, CRITICAL, P1, i.f.listeners_lost = 1);
    BAD(node, WARNING, P2, i.n.stopping = true);
    BAD(cpu, OK, NO_LEVEL, i.f.cpu_percent = 69.9);
    BAD(cpu, WARNING, P2, i.f.cpu_percent = 70);
    BAD(cpu, CRITICAL, P1, i.f.cpu_percent = 90);
    BAD(cpu, UNKNOWN, NO_LEVEL, i.f.cpu_percent = NAN);
    BAD(memory, WARNING, P2, i.f.memory_percent = 80);
    BAD(memory, CRITICAL, P1, i.f.memory_percent = 95);
    BAD(memory, UNKNOWN, NO_LEVEL, i.f.memory_percent = NAN);
    BAD(disk, WARNING, P2, i.f.disk_percent = 80);
    BAD(disk, CRITICAL, P1, i.f.disk_percent = 90);
    BAD(disk, UNKNOWN, NO_LEVEL, i.f.disk_percent = NAN);
    BAD(connections, OK, NO_LEVEL, i.n.connections = 279);
    BAD(connections, WARNING, P2, i.n.connections = 280);
    BAD(connections, CRITICAL, P1, i.n.connections = 300);
    BAD(latency, WARNING, P2, i.n.latency_p95_ms = 500);
    BAD(latency, CRITICAL, P1, i.n.latency_p95_ms = 1000);
    BAD(latency, OK, NO_LEVEL, (i.n.latency_p95_ms = 9000, i.n.latency_samples = 19));
    BAD(latency, CRITICAL, P1, (i.n.latency_p95_ms = 9000, i.n.latency_samples = 20));
    BAD(errors, WARNING, P2, i.n.failed = 1);
    BAD(errors, CRITICAL, P1, i.n.failed = 5);
    BAD(errors, OK, NO_LEVEL, (i.n.failed = i.n.operations = 19));
    BAD(outbox, OK, NO_LEVEL, (i.n.outbox = 1, i.n.outbox_age_ms = 3599999));
    BAD(outbox, WARNING, P2, (i.n.outbox = 1, i.n.outbox_age_ms = 3600000));
    BAD(outbox, CRITICAL, P1, (i.n.outbox = 1, i.n.outbox_age_ms = 86400000));
    BAD(peers, CRITICAL, P1, i.n.peers = 0);
    BAD(peers, OK, NO_LEVEL, (i.n.peers = 0, i.n.uptime_ms = 29999));
    BAD(database, CRITICAL, P1, i.n.database_faults = 1);
    BAD(database, CRITICAL, P1, i.n.store_stuck_ms = 10000);
    BAD(database, CRITICAL, P1, PUT(i.f.database, "is gone"));
    BAD(database, WARNING, P2, i.n.database_full = 1);
    BAD(identity, CRITICAL, P1, PUT(i.f.identity, "is missing"));
    BAD(certificate, OK, NO_LEVEL, (i.f.has_certificate = true, i.f.certificate_seconds = 21 * 86400));
    BAD(certificate, WARNING, P2, (i.f.has_certificate = true, i.f.certificate_seconds = 21 * 86400 - 1));
    BAD(certificate, CRITICAL, P1, (i.f.has_certificate = true, i.f.certificate_seconds = 3 * 86400 - 1));
    BAD(certificate, CRITICAL, P1, (i.f.has_certificate = true, i.f.certificate_seconds = -1));
    BAD(certificate, CRITICAL, P1, (i.f.has_certificate = true, PUT(i.f.certificate, "another's key")));
    BAD(files, WARNING, P2, PUT(i.f.files, "tokens has mode 0644"));
    BAD(files, CRITICAL, P1, (PUT(i.f.files, "identity.key has mode 0644"), i.f.files_critical = true));
    BAD(clock, OK, NO_LEVEL, i.n.clock_offset_ms = -4999);
    BAD(clock, WARNING, P2, i.n.clock_offset_ms = -5000);
    BAD(clock, CRITICAL, P1, i.n.clock_offset_ms = 60000);
    BAD(clock, WARNING, P2, (i.n.clock_offset_ms = 60000, i.n.clock_peers = 2));
    BAD(clock, OK, NO_LEVEL, (i.n.clock_offset_ms = 60000, i.n.clock_peers = 0));
    BAD(logs, WARNING, P2, i.n.lines_lost = 1);
    BAD(logs, WARNING, P2, PUT(i.f.logs, "the log file is not open"));
    BAD(limits, WARNING, P2, (i.n.limits_hit = 1, PUT(i.n.limits, "outbox_messages")));
    config_free(c);
}

TEST(thresholds_are_those_of_the_configuration) {
    struct config *c = config_of("[health]\ncpuNormal = 1\ncpuWarning = 5\ncpuCritical = 9\npeersMin = 4\n"
                                 "outboxAgeWarning = 1s\nminSamples = 200\n");
    struct inputs i = well();
    i.n.operations = i.n.failed = 199;
    i.n.outbox = 1;
    i.n.outbox_age_ms = 1000;
    struct health h = judged(c, &i);
    CHECK(h.of[HEALTH_CHECK_cpu].level == HEALTH_P1 && h.of[HEALTH_CHECK_cpu].warning == 5 &&
          h.of[HEALTH_CHECK_peers].level == HEALTH_P1 && h.of[HEALTH_CHECK_outbox].level == HEALTH_P2 &&
          h.of[HEALTH_CHECK_errors].status == HEALTH_OK);
    config_free(c);
    c = config_of("[health]\npeersMin = 0\n");
    i.n.peers = 0;
    h = judged(c, &i);
    CHECK(h.of[HEALTH_CHECK_peers].status == HEALTH_OK);
    config_free(c);
    c = config_of("[discovery]\nbootstrap = "
                  "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq\n");
    i.n.known_peers = 0;
    h = judged(c, &i);
    CHECK(h.of[HEALTH_CHECK_peers].status == HEALTH_CRITICAL);
    config_free(c);
}

TEST(a_node_that_is_down_is_judged_by_its_files) {
    struct config *c = config_of("");
    struct inputs i = well();
    i.down = true;
    struct health h = judged(c, &i);
    only(&h, HEALTH_CHECK_node, HEALTH_CRITICAL, HEALTH_P0, "down");
    CHECK(!h.of[HEALTH_CHECK_cpu].judged && h.of[HEALTH_CHECK_disk].judged &&
          !h.of[HEALTH_CHECK_outbox].judged);
    i.f.disk_percent = 99;
    h = judged(c, &i);
    CHECK(h.of[HEALTH_CHECK_disk].level == HEALTH_P1);
    i = well();
    i.down = i.unreachable = true;
    h = judged(c, &i);
    only(&h, HEALTH_CHECK_node, HEALTH_UNKNOWN, HEALTH_NO_LEVEL, "not let in");
    i = well();
    i.unmeasured = true;
    h = judged(c, &i);
    only(&h, HEALTH_CHECK_COUNT, HEALTH_OK, HEALTH_NO_LEVEL, "nothing measured");
    config_free(c);
}

TEST(since_stays_while_the_status_does) {
    struct config *c = config_of("");
    struct inputs i = well();
    struct health h = {.begun = false};
    struct health_input in = {.config = c, .facts = &i.f, .numbers = &i.n, .now = {1000}};
    health_judge(&h, &in);
    in.now.ms = 2000;
    i.f.cpu_percent = 75;
    health_judge(&h, &in);
    in.now.ms = 3000;
    i.f.cpu_percent = 80;
    health_judge(&h, &in);
    CHECK(h.of[HEALTH_CHECK_cpu].since.ms == 2000 && h.of[HEALTH_CHECK_memory].since.ms == 1000);
    config_free(c);
}

TEST(json_has_all_checks_and_null_for_what_is_not_known) {
    struct config *c = config_of("");
    struct inputs i = well();
    struct buf text = {.max = 65536};
    i.f.cpu_percent = 75;
    struct health h = judged(c, &i);
    struct json_out o = json_begin(&text);
    json_open(&o, NULL, '{');
    health_checks_json(&h, &o);
    json_shut(&o, '}');
    CHECK(json_end(&o));
    struct json_doc *doc = json_parse(buf_view(&text), NULL);
    const struct json *checks = json_get(json_root(doc), "checks"), *cpu = json_at(checks, 1);
    CHECK(json_count(checks) == HEALTH_CHECK_COUNT);
    CHECK(bytes_is(json_get_bytes(cpu, "name"), "cpu") &&
          bytes_is(json_get_bytes(cpu, "status"), "warning") &&
          bytes_is(json_get_bytes(cpu, "level"), "P2") && bytes_is(json_get_bytes(cpu, "unit"), "%") &&
          json_real(json_get(cpu, "value"), 0) == 75 && json_real(json_get(cpu, "critical"), 0) == 90 &&
          json_get_bytes(cpu, "fix").n > 0);
    const struct json *disk = json_at(checks, HEALTH_CHECK_disk),
                      *backup = json_at(checks, HEALTH_CHECK_backup);
    CHECK(json_is_null(json_get(disk, "level")) && json_is_null(json_get(disk, "fix")));
    CHECK(json_is_null(json_get(backup, "value")) && !json_bool(json_get(backup, "judged"), true));
    json_free(doc);
    buf_free(&text);
    config_free(c);
}

/* The log server is the check `logs`' too, with a fix of its own; none is configured: what is left of an
 * earlier one is nobody's fault. */
TEST(a_log_server_that_takes_nothing_is_found) {
    struct config *c = config_of("");
    BAD(logs, OK, NO_LEVEL, i.n.lines_unsent = 7);
    config_free(c);
    c = config_of("[logging]\nremote = tcp://192.0.2.1:514\n");
    BAD(logs, OK, NO_LEVEL, (void)i);
    BAD(logs, WARNING, P2, i.n.lines_unsent = 7);
    BAD(logs, WARNING, P2, PUT(i.f.log_server, "192.0.2.1:514: refused"));
    BAD(logs, WARNING, P2, i.n.lines_lost = i.n.lines_unsent = 1);
    struct inputs i = well();
    i.n.lines_unsent = 7;
    PUT(i.f.log_server, "192.0.2.1:514: refused");
    struct health h = judged(c, &i);
    const struct health_result *r = &h.of[HEALTH_CHECK_logs];
    CHECK(strcmp(r->message, "server unreachable: 192.0.2.1:514: refused, 7 lines lost to it") == 0, "%s",
          r->message);
    CHECK(strstr(r->fix, "logging.remote") != NULL);
    i.down = true;
    h = judged(c, &i);
    CHECK(!h.of[HEALTH_CHECK_logs].judged);
    config_free(c);
}
