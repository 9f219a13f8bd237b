/* Requests: what is one, what is none, and what becomes of those that wait. */
#include "node/control.h"
#include "tests/node/help.h"

struct heard { /* answers to clients other than world_ask's */
    struct buf lines;
    size_t n, last_n;
};
static void hear(struct world *w, size_t node, uint32_t client, struct bytes line) {
    struct heard *h = w->user;
    (void)node;
    (void)client;
    h->n++;
    h->last_n = line.n;
    CHECK(line.n > 0 && memchr(line.p, '\n', line.n) == NULL && buf_add(&h->lines, line));
    CHECK(buf_add_text(&h->lines, "\n"));
}
static struct world *hearing_world(struct heard *h) {
    struct world *w = quiet_world();
    *h = (struct heard){.lines = {.max = 64 << 20}};
    w->user = h;
    w->on_answer = hear;
    return w;
}
static const char *tell(struct world *w, struct heard *h, const char *line) {
    size_t before = h->n;
    buf_clear(&h->lines);
    world_tell(w, 0, 5, bytes_of(line));
    world_run(w, 100);
    CHECK(h->n == before + 1, "%zu answers to %s", h->n - before, line);
    return buf_cstr(&h->lines);
}

TEST(the_id_comes_back_as_it_was) {
    struct heard h;
    struct world *w = hearing_world(&h);
    node_with(w, "");
    must_have(tell(w, &h, "{\"v\":1,\"id\":\"a\\\"b\",\"method\":\"version\"}"),
              "{\"id\":\"a\\\"b\",\"result\":{");
    must_have(tell(w, &h, "{\"id\":[1,{\"x\":null}],\"method\":\"version\"}"), "{\"id\":[1,{\"x\":null}],");
    must_have(tell(w, &h, "{\"method\":\"version\"}"),
              "{\"id\":null,\"result\":{\"schema\":\"silktalk.version/1\"");
    char longer[1300];
    memset(longer, 'x', sizeof longer);
    memcpy(longer, "{\"id\":\"", 7);
    memcpy(longer + 1200, "\",\"method\":\"version\"}", 22);
    must_have(tell(w, &h, longer), "{\"id\":null,"); /* no answer names 1 KiB of somebody's text */
    buf_free(&h.lines);
    end_world(w);
}

TEST(what_is_no_request_is_a_usage_error) {
    static const char *const lines[] = {
        "",
        "{",
        "nonsense",
        "[]",
        "1",
        "null",
        "{}",
        "{\"id\":1}",
        "{\"id\":1,\"method\":7}",
        "{\"method\":\"\"}",
        "{\"v\":2,\"method\":\"version\"}",
        "{\"v\":1,\"method\":\"version\"} {}",
        "{\"method\":\"versi\\u0000on\"}",
        "{\"method\":\"this name is much longer than any method has ever been\"}",
        "\xff\xfe",
        "{\"method\":\"\xff\"}"};
    struct heard h;
    struct world *w = hearing_world(&h);
    node_with(w, "");
    for (size_t i = 0; i < LEN(lines); i++) {
        const char *answer = tell(w, &h, lines[i]);
        must_have(answer, "\"code\":2,\"name\":\"usage\"");
    }
    must_have(tell(w, &h, "{\"method\":\"fly\"}"),
              "\"code\":4,\"name\":\"not_found\",\"message\":\"there is no method fly\"");
    CHECK(node_of(w, 0)->n_requests == 0);
    buf_free(&h.lines);
    end_world(w);
}

/* Each method, with params of every wrong type: an answer, and a node that goes on. */
TEST(no_params_break_a_method) {
    static const char *const params[] = {
        "null",
        "[]",
        "{}",
        "\"x\"",
        "-1",
        "{\"peer\":1,\"peers\":2,\"id\":3,\"n\":\"x\",\"count\":[],\"wait_ms\":{},\"older_ms\":\"y\","
        "\"level\":0}",
        "{\"peer\":\"\",\"id\":\"\",\"level\":\"\",\"body\":\"\",\"peers\":[]}",
        "{\"peer\":\"\\u001b[31m\",\"id\":\"zz\",\"level\":\"loud\",\"count\":0,\"up\":-1,\"down\":-1,\"n\":-"
        "5}",
        "{\"peer\":\"/ip4/1.2.3.4/tcp/"
        "0\",\"id\":\"00\",\"count\":99999999999999999999,\"n\":1e300,\"peers\":[1,[2],{}]}",
        "{\"file\":{\"name\":\"x\",\"bytes\":1},\"peer\":\"x\"}",
        "{\"file\":{},\"peer\":\"x\"}"};
    struct heard h;
    struct world *w = hearing_world(&h);
    node_with(w, "");
    for (const struct control_row *row = control_rows; row->name != NULL; row++) {
        if (strcmp(row->name, "stop") == 0 || strcmp(row->name, "events") == 0) continue;
        for (size_t i = 0; i < LEN(params); i++) {
            char line[400];
            snprintf(line, sizeof line, "{\"id\":9,\"method\":\"%s\",\"params\":%s}", row->name, params[i]);
            buf_clear(&h.lines);
            world_tell(w, 0, 5, bytes_of(line));
            world_run(w, 1000);
            struct bytes got = buf_view(&h.lines);
            bool whole = got.n > 2 && got.p[got.n - 2] == '}' && memcmp(got.p, "{\"id\":9,", 8) == 0;
            CHECK(whole, "%s %s: %.*s", row->name, params[i], (int)got.n, (const char *)got.p);
            struct json_doc *doc = json_parse(bytes_take(&got, got.n - 1), NULL);
            CHECK(doc != NULL || memchr(h.lines.p, '\n', h.lines.n - 1) != NULL, "%s %s: no JSON", row->name,
                  params[i]);
            json_free(doc);
        }
    }
    CHECK(w->nodes[0]->up && node_of(w, 0)->n_requests == 0);
    buf_free(&h.lines);
    end_world(w);
}

/* 1,024 may wait; the next is BUSY, and when the client goes there is room again. */
TEST(waiting_requests_have_a_limit) {
    struct heard h;
    struct world *w = hearing_world(&h);
    size_t a = node_with(w, "");
    struct node *n = node_of(w, a);
    for (int i = 0; i < CONTROL_REQUESTS_MAX; i++)
        world_tell(
            w, a, 5,
            BYTES("{\"id\":1,\"method\":\"inbox.next\",\"params\":{\"after\":0,\"wait_ms\":3600000}}"));
    world_run(w, 100);
    CHECK(h.n == 0 && n->n_requests == CONTROL_REQUESTS_MAX && node_client_busy(n, 5) &&
          !node_client_busy(n, 6));
    world_tell(w, a, 6, BYTES("{\"id\":2,\"method\":\"version\"}"));
    CHECK(h.n == 1);
    must_have(buf_cstr(&h.lines), "{\"id\":2,\"error\":{");
    must_have(buf_cstr(&h.lines), "\"code\":9,\"name\":\"busy\"");
    node_client_gone(n, 5);
    CHECK(!node_client_busy(n, 5));
    world_tell(w, a, 6, BYTES("{\"id\":3,\"method\":\"version\"}"));
    must_have(buf_cstr(&h.lines), "{\"id\":3,\"result\":{");
    world_run(w, 100);
    CHECK(n->n_requests == 0 && n->requests == NULL && n->last_request == NULL);
    buf_free(&h.lines);
    end_world(w);
}

/* The client goes while the store works for it: nobody is answered, nothing is left. */
TEST(a_client_may_go_while_its_request_waits) {
    struct heard h;
    struct world *w = hearing_world(&h);
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    w->nodes[a]->commit_us = 500000;
    static const char *const methods[] = {"status", "inbox", "outbox", "read", "outbox.retry", "file"};
    for (size_t i = 0; i < LEN(methods); i++) {
        char line[100];
        snprintf(line, sizeof line, "{\"id\":1,\"method\":\"%s\",\"params\":{\"id\":\"000000\"}}",
                 methods[i]);
        world_tell(w, a, 5, bytes_of(line));
    }
    char line[300];
    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"send\",\"params\":{\"peer\":\"%s\",\"body\":\"kept\",\"wait\":true}}",
             world_address(w, b));
    world_tell(w, a, 5, bytes_of(line));
    node_client_gone(node_of(w, a), 5);
    CHECK(all_sent(w, a, 60000) && h.n == 0 && node_of(w, a)->n_requests == 0);
    CHECK(inbox_is(w, b, "kept ")); /* what was asked for in time is done */
    buf_free(&h.lines);
    end_world(w);
}

TEST(log_levels_change_for_a_component_and_for_a_time) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    struct log *log = &w->nodes[a]->log;
    must_fail(world_ask(w, a, "log.level", "{\"level\":\"loud\"}"), "usage");
    must_fail(world_ask(w, a, "log.level", "{\"level\":\"warn\",\"component\":\"tls\"}"), "usage");
    static const char *const no_times[] = {"0", "-1", "-9e99", "\"1h\"", "null", "[]"};
    for (size_t i = 0; i < LEN(no_times); i++) { /* none of them may mean for ever */
        char params[80];
        snprintf(params, sizeof params, "{\"level\":\"debug\",\"state\":\"on\",\"for_ms\":%s}", no_times[i]);
        must_fail(world_ask(w, a, "log.level", "%s", params), "usage");
        must_fail(world_ask(w, a, "maintenance", "%s", params), "usage");
    }
    must_have(world_ask(w, a, "maintenance", "{}"), "\"maintenance\":null");
    must_have(world_ask(w, a, "log.level", "{}"),
              "{\"component\":\"net\",\"level\":\"info\",\"until\":null}");
    must_have(world_ask(w, a, "log.level", "{\"level\":\"debug\",\"component\":\"net\",\"for_ms\":60000}"),
              "{\"component\":\"net\",\"level\":\"debug\",\"until\":\"");
    CHECK(log->level[COMPONENT_net] == LEVEL_DEBUG && log->level[COMPONENT_node] == LEVEL_INFO);
    world_run(w, 59000);
    CHECK(log->level[COMPONENT_net] == LEVEL_DEBUG);
    world_run(w, 2000);
    CHECK(log->level[COMPONENT_net] == LEVEL_INFO);
    world_ask(w, a, "log.level", "{\"level\":\"warn\"}");
    world_run(w, 3600000);
    for (size_t i = 0; i < COMPONENT_COUNT; i++) CHECK(log->level[i] == LEVEL_WARN);
    end_world(w);
}

TEST(limits_config_and_loop_show_what_is) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nmaxConnections = 77\n[limits]\nmessages_in_flight = 9\n");
    const char *answer = world_ask(w, a, "diag.limits", "{}");
    for (size_t i = 0; i < LIMIT_COUNT; i++) must_have(answer, limit_rows[i].name);
    must_have(answer, "\"limit\":\"connections\",\"used\":0,\"max\":77,");
    must_have(answer, "\"limit\":\"messages_in_flight\",\"used\":0,\"max\":9,");
    must_have(answer, "\"key\":\"limits.messages_in_flight\"");
    answer = world_ask(w, a, "config.list", "{\"changed\":true}");
    must_have(answer, "connection.maxConnections");
    CHECK(strstr(answer, "connection.maxStreams") == NULL);
    must_have(world_ask(w, a, "config.list", "{}"), "connection.maxStreams");
    node_measured(node_of(w, a), &(struct node_resources){
                                     .loop = {.turns = 5, .slow = 1, .p99_us = 7, .slowest_part = "dns"}});
    answer = world_ask(w, a, "diag.loop", "{}");
    must_have(answer, "\"turns\":5,\"slow\":1,");
    must_have(answer, "\"p99_us\":7,");
    must_have(answer, "\"slowest_part\":\"dns\"");
    end_world(w);
}

TEST(a_reload_answers_with_what_changed) {
    struct heard h;
    struct world *w = hearing_world(&h);
    size_t a = node_with(w, "");
    struct node *n = node_of(w, a);
    struct node_effect e;
    node_request(n, &(struct node_client){.id = 5, .fd = -1}, BYTES("{\"id\":1,\"method\":\"reload\"}"));
    node_request(n, &(struct node_client){.id = 6, .fd = -1}, BYTES("{\"id\":2,\"method\":\"reload\"}"));
    CHECK(node_effect(n, &e) && e.kind == EFFECT_RELOAD && node_client_busy(n, 5) && node_client_busy(n, 6));
    node_reloaded(n, NULL, BYTES("node.name connection.maxConnections"), BYTES("node.data"));
    world_turn(w, w->nodes[a]);
    CHECK(h.n == 2);
    must_have(
        buf_cstr(&h.lines),
        "\"changed\":[\"node.name\",\"connection.maxConnections\"],\"restart_pending\":[\"node.data\"]");
    buf_clear(&h.lines);
    node_request(n, &(struct node_client){.id = 5, .fd = -1}, BYTES("{\"id\":3,\"method\":\"reload\"}"));
    node_reloaded(n, &(struct why){E_INPUT, "line 3: no"}, (struct bytes){NULL, 0}, (struct bytes){NULL, 0});
    world_turn(w, w->nodes[a]);
    must_have(buf_cstr(&h.lines), "\"code\":6,\"name\":\"input\",\"message\":\"line 3: no\"");
    buf_free(&h.lines);
    end_world(w);
}

TEST(stop_is_the_owners_to_do) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "");
    int64_t drain = -1;
    CHECK(!node_stop_asked(node_of(w, a), &drain));
    must_have(world_ask(w, a, "stop", "{\"drain_ms\":2500}"), "\"pid\":1}");
    CHECK(node_stop_asked(node_of(w, a), &drain) && drain == 2500 && !node_stop_asked(node_of(w, a), &drain));
    end_world(w);
}

/* Every allocation of every method refused in turn: an answer, now or when there is memory again, or the end
 * of the connection, and no harm. */
TEST(memory_may_be_refused_at_any_point) {
    struct heard h;
    struct world *w = hearing_world(&h);
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    size_t taken = 0, asked = 0, before = h.n;
    for (const struct control_row *row = control_rows; row->name != NULL; row++) {
        if (strcmp(row->name, "stop") == 0 || strcmp(row->name, "peer.forget") == 0 ||
            strcmp(row->name, "events") == 0)
            continue;
        for (size_t at = 0; at < 12; at++) {
            char line[400];
            snprintf(line, sizeof line,
                     "{\"id\":9,\"method\":\"%s\",\"params\":{\"peer\":\"%s\",\"body\":\"x\",\"id\":"
                     "\"000000\",\"name\":\"b\"}}",
                     row->name, w->nodes[b]->id);
            struct node_client who = {.id = 5, .fd = -1};
            node_now(node_of(w, a), world_clocks(w, w->nodes[a]));
            mem_fail_after((long)at);
            taken += node_request(node_of(w, a), &who, bytes_of(line));
            mem_fail_after(-1);
            asked++;
            world_turn(w, w->nodes[a]);
        }
    }
    world_run(w, 120000);
    CHECK(taken < asked && h.n - before >= taken, "%zu asked, %zu taken, %zu answers", asked, taken,
          h.n - before);
    for (const struct request *r = node_of(w, a)->requests; r != NULL; r = r->next)
        CHECK(r->dead, "%s waits for ever (%d)", r->method, (int)r->wait);
    CHECK(all_sent(w, a, 600000)); /* `disconnect` keeps away for redialMax */
    must_have(world_ask(w, a, "version", "{}"), "\"result\"");
    buf_free(&h.lines);
    end_world(w);
}
