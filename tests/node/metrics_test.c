/* Metrics: that they count what happened, and that both texts keep their formats' rules. */
#include "node/metrics.h"

#include "tests/node/help.h"

static struct buf text_of(struct world *w, size_t i, bool openmetrics) {
    struct buf out = {.max = METRICS_SIZE};
    CHECK(metrics_write(node_of(w, i), &out, openmetrics));
    return out;
}

/* A whole line of the text. */
static void has(struct buf *text, const char *line) {
    char want[300];
    snprintf(want, sizeof want, "\n%s\n", line);
    if (strstr(buf_cstr(text), want) != NULL) return;
    char name[100];
    snprintf(name, sizeof name, "\n%.*s", (int)strcspn(line, "{ "), line);
    const char *at = strstr(buf_cstr(text), name);
    CHECK(false, "%s is not there, but %.300s", line, at == NULL ? "nothing alike" : at);
}

TEST(metrics_table_keeps_the_rules) {
    for (size_t i = 0; i < metrics_count(); i++) {
        const struct metric_row *m = metrics_row(i);
        size_t n = strlen(m->name);
        bool total = n > 6 && strcmp(m->name + n - 6, "_total") == 0;
        CHECK(total == (m->kind == METRIC_COUNTER), "%s", m->name);
        CHECK(strncmp(m->name, "silktalk_", 9) == 0 || strncmp(m->name, "process_", 8) == 0, "%s", m->name);
        CHECK(strlen(m->help) > 10 && strpbrk(m->help, "\"\\\n") == NULL, "%s", m->name);
        for (size_t k = 0; k < i; k++) CHECK(strcmp(m->name, metrics_row(k)->name) != 0, "%s twice", m->name);
    }
}

TEST(metrics_count_what_happens) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY), c = node_with(w, "");
    must_connect(w, a, b);
    must_connect(w, a, c);
    send_text(w, a, b, "1");
    send_text(w, a, b, "2");
    send_text(w, a, c, "from a stranger");
    CHECK(all_sent(w, a, 5000));
    struct buf t = text_of(w, a, false);
    has(&t, "silktalk_connections{direction=\"out\",path=\"direct\"} 2");
    has(&t, "silktalk_connections{direction=\"in\",path=\"direct\"} 0");
    has(&t, "silktalk_peers_connected 2");
    has(&t, "silktalk_dials_total{result=\"ok\"} 2");
    has(&t, "silktalk_connections_opened_total{direction=\"out\"} 2");
    has(&t, "silktalk_messages_total{direction=\"out\",status=\"stored\"} 2");
    has(&t, "silktalk_messages_total{direction=\"out\",status=\"denied\"} 1");
    has(&t, "silktalk_message_latency_seconds_count 2");
    has(&t, "silktalk_message_latency_seconds_bucket{le=\"+Inf\"} 2");
    has(&t, "silktalk_handshake_duration_seconds_count 2");
    has(&t, "silktalk_streams_opened_total{protocol=\"/silktalk/message/1.0.0\",direction=\"out\"} 2");
    has(&t, "silktalk_limit_max{limit=\"connections\"} 300");
    uint64_t sent = node_of(w, a)->counts.protocol_bytes[PROTOCOL_MESSAGE][DIRECTION_OUT];
    CHECK(sent > 100 && node_of(w, a)->counts.protocol_bytes[PROTOCOL_MESSAGE][DIRECTION_IN] > 40);
    has(&t, "silktalk_outbox_messages 0");
    has(&t, "silktalk_operations_total{result=\"failed\"} 1");
    has(&t, "silktalk_config_reload_ok 1");
    CHECK(strstr(buf_cstr(&t), w->nodes[b]->id) == NULL, "a metric names a peer");
    buf_free(&t);
    t = text_of(w, c, false);
    has(&t, "silktalk_access_denied_total{rule=\"messages.from\"} 1");
    has(&t, "silktalk_messages_total{direction=\"in\",status=\"denied\"} 1");
    has(&t, "silktalk_handshakes_failed_total{reason=\"verification\"} 0");
    buf_free(&t);
    t = text_of(w, b, false); /* asks the store for its counts */
    buf_free(&t);
    world_run(w, 1000);
    t = text_of(w, b, false);
    has(&t, "silktalk_messages_total{direction=\"in\",status=\"stored\"} 2");
    has(&t, "silktalk_inbox_messages{state=\"unread\"} 2");
    has(&t, "silktalk_connections_opened_total{direction=\"in\"} 1");
    buf_free(&t);
    world_ask(w, a, "disconnect", "{\"peer\":\"%s\"}", w->nodes[b]->id);
    world_run(w, 1000);
    t = text_of(w, b, false);
    has(&t, "silktalk_connections_closed_total{reason=\"closed\"} 1");
    buf_free(&t);
    end_world(w);
}

TEST(metrics_of_refused_connections) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "[access]\nmode = allowlist\n");
    connect_to(w, a, b);
    world_run(w, 1000);
    struct buf t = text_of(w, b, false);
    char line[100];
    uint64_t refused = logged(w, b, EV_ACCESS_FAILED);
    CHECK(refused > 0);
    snprintf(line, sizeof line, "silktalk_access_denied_total{rule=\"mode=allowlist\"} %llu",
             (unsigned long long)refused);
    has(&t, line);
    buf_free(&t);
    node_reloaded(node_of(w, b), &(struct why){E_INPUT, "x"}, BYTES(""), BYTES(""));
    t = text_of(w, b, false);
    has(&t, "silktalk_config_reload_ok 0");
    buf_free(&t);
    end_world(w);
}

TEST(metrics_openmetrics_differs_where_it_must) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct node *n = node_of(w, a);
    n->version = "1\"2\\3\n4";
    node_count_http(n, "/metrics", 200);
    node_count_http(n, "/metrics", 200);
    node_count_http(n, "/health", 503);
    struct buf t = text_of(w, a, true), old = text_of(w, a, false);
    has(&t, "# TYPE silktalk_dials counter");
    has(&old, "# TYPE silktalk_dials_total counter");
    has(&t, "silktalk_dials_total{result=\"ok\"} 0");
    has(&t, "# TYPE process_cpu_seconds counter");
    CHECK(bytes_ends(buf_view(&t), "# EOF\n") && strstr(buf_cstr(&old), "# EOF") == NULL);
    CHECK(strstr(buf_cstr(&t), "version=\"1\\\"2\\\\3\\n4\"") != NULL);
    CHECK(strstr(buf_cstr(&t), "le=\"1.0\"") != NULL && strstr(buf_cstr(&t), "le=\"0.0005\"") != NULL);
    has(&t, "silktalk_http_requests_total{path=\"/metrics\",code=\"200\"} 2");
    has(&t, "silktalk_http_requests_total{path=\"/health\",code=\"503\"} 1");
    for (unsigned i = 0; i < 1000; i++) node_count_http(n, "/x", 1000 + i);
    buf_free(&old);
    old = text_of(w, a, false);
    has(&old,
        "silktalk_http_requests_total{path=\"other\",code=\"0\"} 939"); /* 63 places, 2 + 61 of them used */
    buf_free(&t);
    buf_free(&old);
    n->version = "x";
    end_world(w);
}

TEST(metrics_that_do_not_fit_are_refused) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct buf whole = text_of(w, a, false), cut = {.max = whole.n};
    CHECK(metrics_write(node_of(w, a), &cut, false));
    for (size_t max = 0; max < whole.n; max += 97) {
        buf_free(&cut);
        cut = (struct buf){.max = max};
        CHECK(!metrics_write(node_of(w, a), &cut, false) && cut.n <= max);
    }
    buf_free(&cut);
    for (long i = 0;; i++) {
        cut = (struct buf){.max = METRICS_SIZE};
        mem_fail_after(i);
        bool good = metrics_write(node_of(w, a), &cut, true);
        mem_fail_after(-1);
        buf_free(&cut);
        if (good) break;
        CHECK(i < 100);
    }
    buf_free(&whole);
    must_have(world_ask(w, a, "metrics", "{}"), "# TYPE silktalk_build_info gauge");
    end_world(w);
}

/* A time is told to the millisecond, stays the same at each scrape, and follows a clock that is set. */
TEST(metrics_tell_when_it_started) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct node *n = node_of(w, a);
    struct clocks before = n->now;
    n->started = n->now.mono;
    n->started_wall = n->now.wall = (struct wall){1795826194123};
    for (int ms = 0; ms < 3; ms++) {
        n->now.wall.ms += ms; /* the two clocks are not read at one moment */
        struct buf t = text_of(w, a, false);
        has(&t, "process_start_time_seconds 1795826194.123");
        has(&t, "silktalk_start_time_seconds 1795826194.123");
        buf_free(&t);
    }
    n->now.wall.ms += 86400000;
    struct buf t = text_of(w, a, false);
    has(&t, "process_start_time_seconds 1795912594.123");
    buf_free(&t);
    n->now = before;
    end_world(w);
}
