/* The node tells on changes that last: peers by a message, the webhook by a request; once, also over
 * restarts. */
#include <stdio.h>

#include "tests/node/help.h"

#define WEBHOOK "[alerts]\nwebhook = https://hook.example/x\n"
enum { POSTS_MAX = 64 };

/* What the webhook got. */
static struct posts {
    struct world *w;
    size_t n;
    bool down, hangs;
    uint32_t id; /* of the one that hangs */
    char event[POSTS_MAX][12], findings[POSTS_MAX][200];
} posts;

static void on_post(struct world *w, size_t node, uint32_t id, struct bytes body) {
    static const struct why why = {E_REFUSED, "connection refused"};
    struct json_doc *doc = json_parse(body, NULL);
    const struct json *v = json_root(doc), *f, *list = json_get(v, "findings");
    CHECK(doc != NULL && bytes_is(json_get_bytes(v, "schema"), "silktalk.alert/1"));
    if (posts.hangs) {
        posts.id = id;
    } else if (posts.down) {
        node_posted(w->nodes[node]->node, id, "hook", &why);
    } else {
        CHECK(posts.n < POSTS_MAX);
        bytes_cstr(json_get_bytes(v, "event"), posts.event[posts.n], sizeof posts.event[0]);
        posts.findings[posts.n][0] = 0;
        for (size_t i = 0; json_item(list, &i, &f);) {
            size_t used = strlen(posts.findings[posts.n]);
            snprintf(posts.findings[posts.n] + used, 200 - used, "%.*s ", (int)json_get_bytes(f, "finding").n,
                     (const char *)json_get_bytes(f, "finding").p);
        }
        posts.n++;
        node_posted(w->nodes[node]->node, id, "hook", NULL);
    }
    json_free(doc);
}

static struct world *world_with_webhook(void) {
    struct world *w = quiet_world();
    posts = (struct posts){.w = w};
    w->on_post = on_post;
    return w;
}

/* A fault that a test can switch: the disk is full. The verdict follows at the next look. */
static void disk(struct world *w, size_t i, double percent) {
    struct health_facts f;
    health_facts_init(&f);
    f.cpu_percent = f.memory_percent = 1;
    f.disk_percent = percent;
    node_health_measured(node_of(w, i), &f, 100);
}

static bool post_is(size_t i, const char *event, const char *findings) {
    bool good = i < posts.n && strcmp(posts.event[i], event) == 0 && strcmp(posts.findings[i], findings) == 0;
    if (!good && i < posts.n) printf("post %zu: %s '%s'\n", i, posts.event[i], posts.findings[i]);
    return good;
}

TEST(a_fault_that_lasts_is_told_and_its_end) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK);
    disk(w, a, 10);
    world_run(w, 60000);
    CHECK(posts.n == 0);
    disk(w, a, 85);
    world_run(w, 15000);
    CHECK(posts.n == 0, "too soon");
    world_run(w, 30000);
    CHECK(posts.n == 1 && post_is(0, "problem", "disk "));
    disk(w, a, 95); /* worse: told again */
    world_run(w, 45000);
    CHECK(posts.n == 2 && post_is(1, "problem", "disk "));
    disk(w, a, 10);
    world_run(w, 45000);
    CHECK(posts.n == 2, "too soon");
    world_run(w, 45000);
    CHECK(posts.n == 3 && post_is(2, "recovery", ""));
    CHECK(logged(w, a, EV_ALERT_TOLD) == 3 && logged(w, a, EV_ALERT_NOT_TOLD) == 0);
    world_run(w, 3600000);
    CHECK(posts.n == 3);
    end_world(w);
}

TEST(a_value_that_swings_is_told_once) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK);
    for (int i = 0; i < 60; i++) { /* half an hour, around the threshold */
        disk(w, a, i % 2 == 0 ? 81 : 79);
        world_run(w, 30000);
    }
    CHECK(posts.n == 1 && post_is(0, "problem", "disk "), "%zu", posts.n);
    disk(w, a, 10);
    world_run(w, 200000);
    CHECK(posts.n == 2 && post_is(1, "recovery", ""));
    for (int i = 0; i < 30; i++) { /* slower than the first patience: that grows */
        disk(w, a, i % 2 == 0 ? 81 : 10);
        world_run(w, 150000);
    }
    CHECK(posts.n <= 8, "%zu", posts.n);
    end_world(w);
}

TEST(a_short_fault_is_nothing) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK);
    for (int i = 0; i < 10; i++) {
        disk(w, a, 99);
        world_run(w, 9000);
        disk(w, a, 10);
        world_run(w, 60000);
    }
    CHECK(posts.n == 0, "%zu", posts.n);
    end_world(w);
}

TEST(it_is_repeated_while_it_lasts) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK "repeat = 1h\nminLevel = P1\n");
    disk(w, a, 85); /* P2: below minLevel */
    world_run(w, 7200000);
    CHECK(posts.n == 0);
    disk(w, a, 95);
    world_run(w, 60000);
    CHECK(posts.n == 1);
    world_run(w, 3600000);
    CHECK(posts.n == 2 && post_is(1, "repeat", "disk "));
    world_run(w, 3600000);
    CHECK(posts.n == 3 && post_is(2, "repeat", "disk "));
    end_world(w);
}

TEST(a_restart_tells_nothing_twice_and_loses_nothing) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK);
    disk(w, a, 95);
    world_run(w, 60000);
    CHECK(posts.n == 1);
    for (int i = 0; i < 2; i++) { /* stopped, then killed */
        if (i == 0)
            world_stop(w, a);
        else
            world_kill(w, a);
        world_start(w, a);
        disk(w, a, 95);
        world_run(w, 300000);
        CHECK(posts.n == 1, "%zu", posts.n);
    }
    world_kill(w, a);
    world_start(w, a);
    disk(w, a, 10); /* it ended meanwhile */
    world_run(w, 300000);
    CHECK(posts.n == 2 && post_is(1, "recovery", ""));
    posts.down = true;
    disk(w, a, 95);
    world_run(w, 60000);
    CHECK(posts.n == 2 && alerts_waiting(node_of(w, a)) == 1);
    world_kill(w, a);
    world_start(w, a);
    posts.down = false;
    disk(w, a, 95);
    world_run(w, 60000);
    CHECK(posts.n == 3 && post_is(2, "problem", "disk ") && alerts_waiting(node_of(w, a)) == 0);
    end_world(w);
}

TEST(maintenance_silences) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK);
    must_have(world_ask(w, a, "maintenance", "{\"state\":\"on\",\"for_ms\":600000}"), "\"since\"");
    disk(w, a, 95);
    world_run(w, 300000);
    CHECK(posts.n == 0);
    disk(w, a, 10);
    world_run(w, 200000);
    disk(w, a, 85);
    world_run(w, 200000); /* maintenance has ended: what still lasts is told, and only that */
    CHECK(posts.n == 1 && post_is(0, "problem", "disk "), "%zu", posts.n);
    posts.down = true;
    disk(w, a, 95);
    world_run(w, 60000);
    must_have(world_ask(w, a, "maintenance", "{\"state\":\"on\"}"), "\"since\"");
    posts.down = false;
    world_run(w, 600000); /* what waits, waits on */
    CHECK(posts.n == 1 && alerts_waiting(node_of(w, a)) == 1);
    must_have(world_ask(w, a, "maintenance", "{\"state\":\"off\"}"), "null");
    world_run(w, 1000);
    CHECK(posts.n == 2);
    end_world(w);
}

TEST(a_webhook_that_is_down_is_tried_again_and_shown) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK);
    posts.down = true;
    disk(w, a, 85);
    world_run(w, 120000);
    const struct health_result *r = &node_of(w, a)->health.judged.of[HEALTH_CHECK_alerts];
    CHECK(r->status == HEALTH_WARNING && strstr(r->message, "webhook: connection refused") != NULL, "%s",
          r->message);
    must_have(world_ask(w, a, "status", "{}"),
              "{\"finding\":\"alerts\",\"level\":\"P2\",\"text\":\"not told: ");
    uint64_t tries = logged(w, a, EV_ALERT_NOT_TOLD);
    CHECK(tries >= 4 && tries <= 7, "%llu", (unsigned long long)tries);
    world_run(w, 3600000);
    CHECK(logged(w, a, EV_ALERT_NOT_TOLD) < 30); /* about one in 5 minutes */
    CHECK(alerts_waiting(node_of(w, a)) == 1);   /* it is not told that it was not told */
    posts.down = false;
    world_run(w, 400000);
    CHECK(posts.n == 1 && post_is(0, "problem", "disk "), "%zu", posts.n);
    CHECK(node_of(w, a)->health.judged.of[HEALTH_CHECK_alerts].status == HEALTH_OK);
    posts.down = true;
    disk(w, a, 95);
    world_run(w, 60000);
    CHECK(alerts_waiting(node_of(w, a)) == 1);
    world_run(w, 25 * 3600000LL); /* after a day nobody wants to hear it; repeats took its place meanwhile */
    posts.down = false;
    world_run(w, 400000);
    CHECK(posts.n >= 2);
    for (size_t i = 1; i < posts.n; i++)
        CHECK(strcmp(posts.event[i], "repeat") == 0 && strncmp(posts.findings[i], "disk ", 5) == 0);
    end_world(w);
}

TEST(the_queue_has_a_limit) {
    struct world *w = world_with_webhook();
    size_t a = node_with(w, WEBHOOK "[limits]\nalerts_waiting = 3\n");
    posts.down = true;
    for (int i = 0; i < 6; i++) {
        disk(w, a, i % 2 == 0 ? 85 : 95);
        world_run(w, 100000);
    }
    CHECK(alerts_waiting(node_of(w, a)) == 3);
    CHECK(node_of(w, a)->limits.of[LIMIT_ALERTS].hits == 3);
    posts.down = false;
    world_run(w, 400000);
    CHECK(posts.n == 3);
    posts.hangs = true; /* one is on its way: it is not dropped */
    for (int i = 0; i < 6; i++) {
        disk(w, a, i % 2 == 0 ? 85 : 95);
        world_run(w, 100000);
    }
    CHECK(posts.n == 3 && alerts_waiting(node_of(w, a)) == 3 && posts.id != 0);
    posts.hangs = false;
    node_posted(node_of(w, a), posts.id + 7, "hook", NULL); /* of none: nothing */
    CHECK(alerts_waiting(node_of(w, a)) == 3);
    node_posted(node_of(w, a), posts.id, "hook", NULL);
    world_run(w, 60000);
    CHECK(posts.n == 5 && alerts_waiting(node_of(w, a)) == 0, "%zu", posts.n);
    end_world(w);
}

TEST(peers_get_a_message) {
    struct world *w = world_with_webhook();
    char ini[300];
    size_t b = node_with(w, ANY);
    snprintf(ini, sizeof ini, "[alerts]\npeers = %s\n[contacts]\noperations = Ann\n",
             node_of(w, b)->self_text);
    size_t a = node_with(w, ini);
    must_connect(w, a, b);
    disk(w, a, 95);
    world_run(w, 60000);
    const char *inbox = world_ask(w, b, "inbox", "{}");
    must_have(inbox, "\"subject\":\"SilkTalk problem: ");
    must_have(inbox, "disk 95%");
    must_have(inbox, "\"content_type\":\"" ALERT_TYPE "\"");
    CHECK(logged(w, a, EV_ALERT_TOLD) == 1 && posts.n == 0);
    disk(w, a, 10);
    world_run(w, 200000);
    must_have(world_ask(w, b, "inbox", "{}"), "\"subject\":\"SilkTalk recovery: ");
    end_world(w);
}

TEST(a_full_outbox_is_told_later) {
    struct world *w = world_with_webhook();
    char ini[300];
    size_t b = node_with(w, ANY);
    snprintf(ini, sizeof ini, "[alerts]\npeers = %s\n[messages]\noutboxMax = 1\n", node_of(w, b)->self_text);
    size_t a = node_with(w, ini);
    const char *address = world_address(w, b);
    must_have(world_ask(w, a, "connect", "{\"peer\":\"%s\"}", address), "result");
    world_kill(w, b);
    must_have(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"1\"}", address), "queued");
    disk(w, a, 95);
    world_run(w, 120000);
    CHECK(logged(w, a, EV_ALERT_TOLD) == 0 && logged(w, a, EV_ALERT_NOT_TOLD) >= 1);
    must_have(world_ask(w, a, "status", "{}"), "\"finding\":\"alerts\"");
    world_start(w, b);
    must_have(world_ask(w, a, "connect", "{\"peer\":\"%s\"}", world_address(w, b)), "result");
    world_run(w, 120000);
    CHECK(logged(w, a, EV_ALERT_TOLD) >= 1);
    must_have(world_ask(w, b, "inbox", "{}"), "\"subject\":\"SilkTalk problem: ");
    end_world(w);
}
