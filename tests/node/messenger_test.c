/* Messages between nodes: what arrives, what comes twice, what is refused, what expires. */
#include "tests/node/help.h"

TEST(a_message_arrives) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    const char *answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"hello\",\"wait\":true}",
                                   world_address(w, b));
    CHECK(answer != NULL && strstr(answer, "\"stored\"") != NULL, "%s", answer == NULL ? "none" : answer);
    CHECK(inbox_is(w, b, "hello ") && all_sent(w, a, 1000));
    CHECK(world_count(w, a, "SELECT count(*) FROM outbox") == 0);
    end_world(w);
}

/* The receipt is lost with the connection: the message is sent again, and stored once. */
TEST(a_lost_receipt_makes_no_second_message) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    w->nodes[b]->commit_us = 300000;
    send_text(w, a, b, "once");
    world_run(w, 150); /* it is at the receiver's store */
    wires_cut(w, a, b, false);
    CHECK(all_sent(w, a, 30000) && inbox_is(w, b, "once "));
    CHECK(world_count(w, b, "SELECT count(*) FROM seen") == 1);
    end_world(w);
}

TEST(messages_wait_for_a_peer_that_is_down_and_keep_their_order) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[connection]\nredialMax = 5s\n"), b = node_with(w, ANY);
    must_connect(w, a, b);
    world_cut(w, b, DISK_LOSES_ALL);
    for (int i = 1; i <= 5; i++) send_text(w, a, b, (const char *[]){"1", "2", "3", "4", "5"}[i - 1]);
    world_run(w, 60000);
    CHECK(node_outbox(node_of(w, a)) == 5);
    world_kill(w, a); /* and its own restart */
    world_start(w, a);
    world_start(w, b);
    CHECK(all_sent(w, a, 30000) && inbox_is(w, b, "1 2 3 4 5 "));
    end_world(w);
}

/* SEED=503986: who is written to may answer, also after a crash right behind it; else the answer would be
 * refused for good. */
TEST(who_was_written_to_is_known_after_a_crash) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    send_text(w, a, b, "question");
    CHECK(all_sent(w, a, 1000) && inbox_is(w, b, "question "));
    world_cut(w, a, DISK_LOSES_ALL);
    world_start(w, a);
    send_text(w, b, a, "answer");
    CHECK(all_sent(w, b, 60000) && inbox_is(w, a, "answer "));
    end_world(w);
}

static int fails; /* so often */
static enum store_kind fails_kind;

static void fail_load(struct world *w, size_t node, struct store_op *op, bool done) {
    (void)w;
    (void)node;
    if (!done || op->kind != fails_kind || fails == 0) return;
    fails--;
    op->err = fail(&op->why, E_MEMORY, "out of memory");
    buf_clear(&op->out);
    op->seq = 0; /* as it was asked */
}

/* Nobody is turned away as a stranger while the peer book could not be read. */
TEST(friends_wait_until_the_peer_book_is_read) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    send_text(w, a, b, "question");
    CHECK(all_sent(w, a, 1000));
    world_kill(w, a);
    w->on_store = fail_load;
    fails = 1;
    fails_kind = STORE_PEERS_LOAD;
    world_start(w, a);
    send_text(w, a, b, "another"); /* it wants to dial, and waits without turning (SEED=800076 NODES=5-50) */
    send_text(w, b, a, "answer");
    CHECK(all_sent(w, b, 60000) && inbox_is(w, a, "answer ") && fails == 0);
    end_world(w);
}

static bool has_failed(struct world *w, void *user) {
    (void)w;
    (void)user;
    return fails == 0;
}

/* Who could not even ask the store for what is queued asks again, though nothing else happens to that peer
 * (SEED=850147 NODES=5-50). */
TEST(a_lane_without_memory_to_load_tries_again) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    world_kill(w, b);
    send_text(w, a, b, "late");
    world_kill(w, a); /* it is in the store only */
    w->on_store = fail_load;
    fails = 5; /* until all is over that a new connection brings: it wakes lanes too */
    fails_kind = STORE_OUTBOX_LOAD;
    world_start(w, b);
    world_start(w, a);
    CHECK(world_until(w, 60000, has_failed, NULL));
    struct lane *l = world_peer(w, a, b)->lane;
    CHECK(l != NULL && l->queued == 1 && l->loaded == 0 && !l->loading && connection_to(w, a, b) != NULL);
    mem_fail_after(0);
    messenger_wake(l->peer);
    mem_fail_after(-1);
    CHECK(!l->loading);
    CHECK(all_sent(w, a, 60000) && inbox_is(w, b, "late "));
    end_world(w);
}

/* By the sender's clock; the receiver's is two months ahead and says nothing in it. */
TEST(only_the_senders_clock_expires) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY);
    w->nodes[b]->wall_offset_ms = 60LL * 24 * 3600 * 1000;
    world_start(w, b);
    must_connect(w, a, b);
    send_text(w, a, b, "fresh");
    CHECK(all_sent(w, a, 5000) && inbox_is(w, b, "fresh "));
    world_kill(w, b);
    const char *answer = world_ask(w, a, "send",
                                   "{\"peer\":\"%s\",\"body\":\"old\",\"expires_ms\":5000,\"wait\":true}",
                                   w->nodes[b]->id);
    CHECK(answer != NULL && strstr(answer, "expired") != NULL, "%s", answer == NULL ? "none" : answer);
    CHECK(world_count(w, a,
                      "SELECT count(*) FROM outbox WHERE state = 'failed' AND last_error = 'expired'") == 1);
    CHECK(node_outbox(node_of(w, a)) == 0 && logged(w, a, EV_MESSAGE_EXPIRED) == 1);
    world_start(w, b);
    world_run(w, 20000);
    CHECK(inbox_is(w, b, "fresh "));
    end_world(w);
}

TEST(a_stranger_is_denied_and_the_next_message_goes_on) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    const char *answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"1\",\"wait\":true}",
                                   world_address(w, b));
    CHECK(answer != NULL && strstr(answer, "DENIED") != NULL, "%s", answer == NULL ? "none" : answer);
    CHECK(world_count(w, b, "SELECT count(*) FROM strangers") == 1 && inbox_is(w, b, ""));
    send_text(w, b, a, "hello"); /* who was written to is known */
    CHECK(all_sent(w, b, 5000));
    send_text(w, a, b, "2");
    CHECK(all_sent(w, a, 5000) && inbox_is(w, b, "2 "));
    CHECK(world_count(w, a, "SELECT count(*) FROM outbox WHERE state = 'failed'") == 1);
    end_world(w);
}

TEST(too_large_is_final) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY "maxBody = 1KiB\n");
    char text[1026];
    memset(text, 'x', sizeof text);
    text[1025] = 0;
    send_text(w, a, b, text);
    send_text(w, a, b, text + 1); /* 1024 */
    CHECK(all_sent(w, a, 5000));
    CHECK(world_count(w, a, "SELECT count(*) FROM outbox WHERE last_error = 'TOO_LARGE'") == 1);
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 1);
    end_world(w);
}

TEST(the_outbox_has_quotas) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[messages]\noutboxMaxPerPeer = 2\noutboxMax = 3\n"), b = world_add(w, ANY),
           c = world_add(w, ANY);
    send_text(w, a, b, "1");
    send_text(w, a, b, "2");
    const char *answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"3\"}", world_address(w, b));
    CHECK(answer != NULL && strstr(answer, "outboxMaxPerPeer") != NULL, "%s",
          answer == NULL ? "none" : answer);
    send_text(w, a, c, "3");
    answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"4\"}", world_address(w, c));
    CHECK(answer != NULL && strstr(answer, "outboxMax") != NULL, "%s", answer == NULL ? "none" : answer);
    world_start(w, b);
    world_start(w, c);
    CHECK(all_sent(w, a, 60000) && inbox_is(w, b, "1 2 ") && inbox_is(w, c, "3 "));
    end_world(w);
}

/* BUSY: the sender keeps them, tries again, and they arrive in order when there is room. */
TEST(a_full_inbox_is_busy_until_there_is_room) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[messages]\nretryMax = 5s\n"), b = node_with(w, ANY "inboxPerPeer = 2\n");
    for (int i = 1; i <= 4; i++) send_text(w, a, b, (const char *[]){"1", "2", "3", "4"}[i - 1]);
    world_run(w, 20000);
    CHECK(inbox_is(w, b, "1 2 ") && node_outbox(node_of(w, a)) == 2);
    CHECK(node_of(w, b)->limits.of[LIMIT_INBOX_PER_PEER].hits > 0);
    world_ask(w, b, "inbox.delete", "{\"older_ms\":1}");
    CHECK(all_sent(w, a, 20000) && inbox_is(w, b, "3 4 "));
    end_world(w);
}

/* SEED=153: BUSY came before the receipts of what was stored, so the same was sent for ever. */
TEST(more_messages_than_the_rate_allows_arrive) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[messages]\nretryMax = 5s\n"), b = world_add(w, ANY "ratePerPeer = 2/s\n");
    struct buf want = {.max = 4096};
    for (int i = 0; i < 40; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        send_text(w, a, b, text);
        buf_add_format(&want, "%s ", text);
    }
    world_start(w, b);
    CHECK(all_sent(w, a, 120000), "%llu are left", (unsigned long long)node_outbox(node_of(w, a)));
    CHECK(inbox_is(w, b, buf_cstr(&want)));
    CHECK(node_of(w, b)->limits.of[LIMIT_MESSAGE_RATE].hits == 0 || logged(w, b, EV_LIMIT_REACHED) > 0);
    buf_free(&want);
    end_world(w);
}

/* SEED=136: the receipt came while the disk was full, so the row stayed queued, and expired later. */
TEST(a_delivered_message_leaves_the_outbox_though_the_disk_was_full) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    w->nodes[b]->commit_us = 500000;
    send_text(w, a, b, "1");
    w->nodes[a]->disk.full_after = 0;
    world_run(w, 20000);
    CHECK(inbox_is(w, b, "1 ") && world_count(w, a, "SELECT count(*) FROM outbox") == 1);
    w->nodes[a]->disk.full_after = -1;
    CHECK(all_sent(w, a, 20000) && world_count(w, a, "SELECT count(*) FROM outbox") == 0);
    end_world(w);
}

/* The receiver's disk is full: BUSY, nothing is lost, nothing overtakes. */
TEST(a_full_disk_at_the_receiver_delays) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[messages]\nretryMax = 5s\n"), b = node_with(w, ANY);
    must_connect(w, a, b);
    send_text(w, a, b, "1");
    world_run(w, 100); /* the log is not copied into the database yet: it has to grow */
    w->nodes[b]->disk.full_after = 0;
    send_text(w, a, b, "2");
    send_text(w, a, b, "3");
    world_run(w, 20000);
    CHECK(inbox_is(w, b, "1 ") && node_outbox(node_of(w, a)) == 2);
    w->nodes[b]->disk.full_after = -1;
    send_text(w, a, b, "4");
    CHECK(all_sent(w, a, 20000) && inbox_is(w, b, "1 2 3 4 "));
    end_world(w);
}

/* More than a lane keeps in memory. */
TEST(a_long_queue_goes_through_a_small_window) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[limits]\nmessages_in_flight = 3\n"), b = world_add(w, ANY);
    struct buf want = {.max = 4096};
    for (int i = 0; i < 50; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        send_text(w, a, b, text);
        buf_add_format(&want, "%s ", text);
    }
    CHECK(node_of(w, a)->lanes->loaded <= 3);
    world_start(w, b);
    CHECK(all_sent(w, a, 60000) && inbox_is(w, b, buf_cstr(&want)));
    buf_free(&want);
    end_world(w);
}

TEST(a_cancelled_message_is_not_sent) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY);
    char id[33];
    send_text(w, a, b, "1");
    const char *answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"2\"}", world_address(w, b));
    const char *at = answer == NULL ? NULL : strstr(answer, "\"items\":[{\"id\":\"");
    CHECK(at != NULL);
    snprintf(id, sizeof id, "%s", at + 16);
    send_text(w, a, b, "3");
    answer = world_ask(w, a, "outbox.cancel", "{\"id\":\"%s\"}", id);
    CHECK(answer != NULL && strstr(answer, "error") == NULL, "%s", answer == NULL ? "none" : answer);
    CHECK(node_outbox(node_of(w, a)) == 2);
    world_start(w, b);
    CHECK(all_sent(w, a, 60000) && inbox_is(w, b, "1 3 "));
    end_world(w);
}

/* Two connections between two nodes, both ways at once: one stream at a time, order is kept. */
TEST(both_sides_send_over_two_connections) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ANY), b = node_with(w, ANY);
    w->net.odd_reads = true;
    connect_to(w, a, b);
    struct buf want = {.max = 4096};
    for (int i = 0; i < 30; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        send_text(w, a, b, text);
        send_text(w, b, a, text);
        buf_add_format(&want, "%s ", text);
        if (i % 10 == 5) wires_cut(w, a, b, i == 15);
    }
    CHECK(all_sent(w, a, 120000) && all_sent(w, b, 120000));
    CHECK(inbox_is(w, a, buf_cstr(&want)) && inbox_is(w, b, buf_cstr(&want)));
    buf_free(&want);
    end_world(w);
}
