/* send, inbox, read, outbox as requests. */
#include "tests/node/help.h"

static char *id_in(const char *answer, char out[33]) {
    const char *at = strstr(answer, "\"id\":\"");
    CHECK(at != NULL && strlen(at) > 40, "%s", answer);
    memcpy(out, at + 6, 32);
    out[32] = 0;
    return out;
}

TEST(send_checks_before_it_keeps) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY);
    const char *to = world_address(w, b);
    must_fail(world_ask(w, a, "send", "{\"body\":\"x\"}"), "usage");
    must_fail(world_ask(w, a, "send", "{\"peers\":[],\"body\":\"x\"}"), "usage");
    must_fail(world_ask(w, a, "send", "{\"peer\":\"nobody\",\"body\":\"x\"}"), "not_found");
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"x\"}", world_address(w, a)), "input");
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body_base64\":\"!!\"}", to), "usage");
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"x\",\"expires_ms\":999}", to), "input");
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"x\",\"expires_ms\":7776000001}", to),
              "input");
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"x\",\"reply_to\":\"abc\"}", to), "usage");
    char subject[300];
    memset(subject, 's', sizeof subject);
    subject[257] = 0;
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"x\",\"subject\":\"%s\"}", to, subject),
              "input");
    CHECK(world_count(w, a, "SELECT count(*) FROM outbox") == 0);
    subject[256] = 0;
    must_have(world_ask(w, a, "send",
                        "{\"peer\":\"%s\",\"body\":\"x\",\"subject\":\"%s\",\"expires_ms\":7776000000}", to,
                        subject),
              "\"state\":\"queued\"");
    CHECK(world_count(w, a, "SELECT count(*) FROM outbox") == 1 && node_of(w, a)->n_requests == 0);
    end_world(w);
}

/* The first four digits say when: rows of one moment lie together in the indexes. The rest is random. */
TEST(ids_of_one_moment_begin_alike) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY);
    const char *to = world_address(w, b);
    char ids[4][33];
    const char *answer = world_ask(w, a, "send", "{\"peers\":[\"%s\",\"%s\"],\"body\":\"x\"}", to, to);
    id_in(answer, ids[0]);
    id_in(strstr(answer, ids[0]) + 32, ids[1]);
    for (size_t i = 2; i < LEN(ids); i++) {
        world_run(w, 1000);
        id_in(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"x\"}", to), ids[i]);
    }
    for (size_t i = 0; i < LEN(ids); i++)
        for (size_t k = 0; k < i; k++) {
            bool same = memcmp(ids[i], ids[k], 4) == 0;
            CHECK(same == (i == 1) && memcmp(ids[i] + 4, ids[k] + 4, 28) != 0, "%s %s", ids[k], ids[i]);
        }
    end_world(w);
}

TEST(several_peers_each_have_a_state) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY), c = node_with(w, ""), d = world_add(w, ANY);
    const char *answer = world_ask(w, a, "send",
                                   "{\"peers\":[\"%s\",\"%s\",\"%s\"],\"body\":\"x\",\"wait_ms\":5000}",
                                   world_address(w, b), world_address(w, c), world_address(w, d));
    must_have(answer, "\"state\":\"stored\",\"error\":null}");
    must_have(answer, "\"state\":\"failed\",\"error\":\"DENIED\"}");
    must_have(answer, "\"state\":\"queued\",\"error\":null}"); /* the wait ended */
    CHECK(inbox_is(w, b, "x ") && inbox_is(w, c, ""));
    answer = world_ask(w, a, "send", "{\"peers\":[\"%s\",\"nobody\"],\"body\":\"y\"}", world_address(w, b));
    must_fail(answer, "not_found"); /* all or none */
    world_run(w, 1000);
    CHECK(inbox_is(w, b, "x "));
    end_world(w);
}

TEST(a_message_keeps_its_fields) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[node]\nname = a\n"), b = node_with(w, ANY);
    char first[33], second[33];
    id_in(world_ask(w, a, "send",
                    "{\"peer\":\"%s\",\"body_base64\":\"AP8=\",\"subject\":\"s\\u001b[31m\",\"wait\":true}",
                    world_address(w, b)),
          first);
    id_in(world_ask(w, a, "send",
                    "{\"peer\":\"%s\",\"body\":\"text\",\"content_type\":\"text/"
                    "x\",\"reply_to\":\"%s\",\"wait\":true}",
                    world_address(w, b), first),
          second);
    const char *answer = world_ask(w, b, "read", "{\"id\":\"%s\",\"mark\":false}", first);
    must_have(answer, "\"body_base64\":\"AP8=\"");
    must_have(answer,
              "\"content_type\":\"application/octet-stream\",\"subject\":\"s\\u001b[31m\",\"reply_to\":null");
    must_have(answer, w->nodes[a]->id);
    answer = world_ask(w, b, "read", "{\"id\":\"%.12s\"}", second);
    must_have(answer, "\"content_type\":\"text/x\"");
    must_have(answer, "\"bytes\":4,\"body\":\"text\"");
    must_have(answer, first); /* reply_to */
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox WHERE is_read = 0") ==
          1); /* `mark` of the first was false */
    must_have(world_ask(w, b, "inbox.mark", "{\"id\":\"%s\",\"read\":false}", second), "\"result\"");
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox WHERE is_read = 0") == 2);
    must_fail(world_ask(w, b, "read", "{\"id\":\"00000000000000000000000000000000\"}"), "not_found");
    must_fail(world_ask(w, b, "read", "{\"id\":\"xyz\"}"), "input");
    must_fail(world_ask(w, b, "read", "{}"), "usage");
    end_world(w);
}

TEST(the_inbox_is_searched_and_emptied) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY), c = node_with(w, "");
    const char *bodies[] = {"disk full", "Disk ok", "load high"};
    for (size_t i = 0; i < LEN(bodies); i++) send_text(w, i < 2 ? a : c, b, bodies[i]);
    CHECK(all_sent(w, a, 5000) && all_sent(w, c, 5000));
    const char *answer = world_ask(w, b, "inbox", "{\"search\":\"DISK\"}");
    must_have(answer, "\"schema\":\"silktalk.inbox/1\"");
    CHECK(strstr(answer, w->nodes[c]->id) == NULL && strstr(answer, w->nodes[a]->id) != NULL, "%s", answer);
    answer = world_ask(w, b, "inbox", "{\"from\":\"%s\"}", w->nodes[c]->id);
    CHECK(strstr(answer, w->nodes[a]->id) == NULL, "%s", answer);
    must_fail(world_ask(w, b, "inbox", "{\"from\":\"nobody\"}"), "not_found");
    must_have(world_ask(w, b, "inbox", "{\"search\":\"none such\"}"), "\"items\":[]");
    answer = world_ask(w, b, "inbox", "{\"n\":1}");
    must_have(answer, w->nodes[c]->id); /* the newest */
    char id[33];
    id_in(strstr(answer, "\"items\""), id);
    must_have(world_ask(w, b, "inbox.delete", "{\"id\":\"%s\"}", id), "\"count\":1}");
    must_fail(world_ask(w, b, "inbox.delete", "{\"id\":\"%s\"}", id), "not_found");
    must_fail(world_ask(w, b, "inbox.delete", "{}"), "usage");
    must_have(world_ask(w, b, "inbox.delete", "{\"older_ms\":3600000}"), "\"count\":0}");
    must_have(world_ask(w, b, "inbox.delete", "{\"older_ms\":0}"), "\"count\":2}");
    CHECK(inbox_is(w, b, ""));
    end_world(w);
}

/* A follower that asks again with the last cursor sees each message once, and those that come meanwhile. */
TEST(a_follower_misses_nothing) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    send_text(w, a, b, "old");
    CHECK(all_sent(w, a, 5000));
    const char *answer = world_ask(w, b, "inbox.next", "{}");
    must_have(answer, "\"items\":[],\"cursor\":");
    long long cursor = strtoll(strstr(answer, "\"cursor\":") + 9, NULL, 10);
    int64_t began = w->now_us;
    answer = world_ask(w, b, "inbox.next", "{\"after\":%lld,\"wait_ms\":2000}", cursor);
    must_have(answer, "\"items\":[]"); /* after the wait */
    CHECK(w->now_us - began >= 2000000);
    send_text(w, a, b, "new 1");
    send_text(w, a, b, "new 2");
    CHECK(all_sent(w, a, 5000));
    answer = world_ask(w, b, "inbox.next", "{\"after\":%lld,\"n\":1}", cursor);
    CHECK(strstr(answer, "new 1") != NULL && strstr(answer, "new 2") == NULL, "%s", answer);
    const char *end = answer;
    for (const char *at = answer; (at = strstr(at, "\"cursor\":")) != NULL; at++) end = at;
    long long next = strtoll(end + 9, NULL, 10);
    CHECK(next > cursor);
    answer = world_ask(w, b, "inbox.next", "{\"after\":%lld,\"wait_ms\":5000}", next);
    CHECK(strstr(answer, "new 1") == NULL && strstr(answer, "new 2") != NULL, "%s", answer);
    answer = world_ask(w, b, "inbox.next", "{\"after\":0,\"unread\":true}");
    CHECK(strstr(answer, "old") != NULL && strstr(answer, "new 2") != NULL, "%s", answer);
    end_world(w);
}

/* SEED=850429 NODES=5-50: the wait was over before a slow disk had said where the inbox ends. */
TEST(a_follower_is_given_no_cursor_that_is_not_known) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    w->nodes[b]->commit_us = 5000000;
    send_text(w, a, b, "old");
    world_run(w, 1000); /* b's store is busy with it */
    must_fail(world_ask(w, b, "inbox.next", "{\"wait_ms\":1000}"), "timed_out");
    w->nodes[b]->commit_us = 0;
    CHECK(all_sent(w, a, 30000));
    world_run(w, 30000); /* and b with what was behind it */
    must_have(world_ask(w, b, "inbox.next", "{\"wait_ms\":1000}"), "\"items\":[],\"cursor\":1}");
    end_world(w);
}

TEST(a_waiting_follower_is_woken) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    world_tell(w, b, 5,
               BYTES("{\"id\":1,\"method\":\"inbox.next\",\"params\":{\"after\":0,\"wait_ms\":600000}}"));
    world_run(w, 2000);
    CHECK(node_client_busy(node_of(w, b), 5));
    send_text(w, a, b, "wake");
    CHECK(all_sent(w, a, 5000));
    world_run(w, 50);
    CHECK(!node_client_busy(node_of(w, b), 5));
    end_world(w);
}

TEST(the_outbox_is_listed_retried_and_cancelled) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY), c = node_with(w, "");
    char id[33], failed[33];
    id_in(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"waits\"}", world_address(w, b)), id);
    id_in(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"denied\",\"wait\":true}", world_address(w, c)),
          failed);
    const char *answer = world_ask(w, a, "outbox", "{}");
    must_have(answer, "\"state\":\"queued\"");
    must_have(answer, "\"state\":\"failed\"");
    must_have(answer, "\"last_error\":\"DENIED\"");
    must_fail(world_ask(w, a, "outbox.retry", "{\"id\":\"%s\"}", id), "input"); /* it has not failed */
    must_fail(world_ask(w, a, "outbox.cancel", "{}"), "usage");
    must_fail(world_ask(w, a, "outbox.cancel", "{\"id\":\"ffffffffffffffffffffffffffffffff\"}"), "not_found");
    must_have(world_ask(w, a, "outbox.cancel", "{\"id\":\"%s\"}", id), "\"result\"");
    CHECK(node_outbox(node_of(w, a)) == 0);
    world_ask(w, c, "peer.name", "{\"peer\":\"%s\",\"name\":\"a\"}", w->nodes[a]->id); /* now it is known */
    must_have(world_ask(w, a, "outbox.retry", "{\"id\":\"%s\"}", failed), "\"count\":1}");
    CHECK(all_sent(w, a, 10000) && inbox_is(w, c, "denied "));
    must_have(world_ask(w, a, "outbox.retry", "{}"), "\"count\":0}");
    must_have(world_ask(w, a, "outbox", "{}"), "\"items\":[]");
    world_start(w, b);
    world_run(w, 20000);
    CHECK(inbox_is(w, b, "")); /* cancelled is cancelled */
    end_world(w);
}

TEST(cancelling_a_failed_message_leaves_the_queued_ones) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY);
    char expired[33];
    id_in(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"late\",\"expires_ms\":1000}",
                    world_address(w, b)),
          expired);
    must_have(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"waits\"}", world_address(w, b)),
              "\"result\"");
    world_run(w, 20000);
    must_have(world_ask(w, a, "outbox", "{}"), "\"last_error\":\"expired\"");
    CHECK(node_outbox(node_of(w, a)) == 1);
    must_have(world_ask(w, a, "outbox.cancel", "{\"id\":\"%s\"}", expired), "\"result\"");
    CHECK(node_outbox(node_of(w, a)) == 1);
    world_start(w, b);
    CHECK(all_sent(w, a, 100000) && inbox_is(w, b, "waits "));
    end_world(w);
}

TEST(cancelling_answers_who_waits_for_the_receipt) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY);
    char line[300];
    snprintf(line, sizeof line,
             "{\"id\":1,\"method\":\"send\",\"params\":{\"peer\":\"%s\",\"body\":\"x\",\"wait\":true}}",
             world_address(w, b));
    world_tell(w, a, 5, bytes_of(line));
    world_run(w, 500);
    CHECK(node_client_busy(node_of(w, a), 5));
    char id[33];
    id_in(world_ask(w, a, "outbox", "{}"), id);
    must_have(world_ask(w, a, "outbox.cancel", "{\"id\":\"%s\"}", id), "\"result\"");
    world_run(w, 500);
    CHECK(!node_client_busy(node_of(w, a), 5));
    end_world(w);
}
