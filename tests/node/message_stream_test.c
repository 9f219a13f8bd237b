/* The receiving end of messages: BUSY and order, stores that fail, receipts that find no reader. */
#include "tests/node/help.h"

/* BUSY for one is BUSY for all behind it on that stream: a later one never overtakes. */
TEST(what_follows_busy_is_busy) {
    struct world *w = quiet_world();
    size_t a = node_with(w, "[messages]\nretryMin = 2s\nretryMax = 4s\n"),
           b = node_with(w, ANY "inboxBytesPerPeer = 64KiB\n");
    must_connect(w, a, b);
    static char big[60001];
    memset(big, 'x', 60000);
    big[60000] = 0;
    send_text(w, a, b, big);
    CHECK(all_sent(w, a, 5000));
    send_text(w, a, b, big);     /* does not fit */
    send_text(w, a, b, "small"); /* would */
    world_run(w, 30000);
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 1 && node_outbox(node_of(w, a)) == 2);
    world_ask(w, b, "inbox.delete", "{\"older_ms\":0}");
    CHECK(all_sent(w, a, 30000));
    CHECK(world_count(w, b, "SELECT length(body) FROM inbox ORDER BY seq DESC LIMIT 1") == 5);
    end_world(w);
}

/* The receiver's power fails within the commit, again and again: in the end each is there once. */
TEST(a_power_cut_in_the_commit_loses_nothing) {
    for (int64_t cut = 0; cut < 24; cut++) {
        struct world *w = quiet_world();
        size_t a = node_with(w, "[connection]\nredialMax = 2s\n"), b = node_with(w, ANY);
        must_connect(w, a, b);
        send_text(w, a, b, "1");
        CHECK(all_sent(w, a, 5000));
        w->nodes[b]->disk.cut_after = cut;
        send_text(w, a, b, "2");
        send_text(w, a, b, "3");
        world_run(w, 3000);
        bool died = !w->nodes[b]->up;
        world_start(w, b);
        w->nodes[b]->disk.cut_after = -1;
        CHECK(all_sent(w, a, 60000), "%lld", (long long)cut);
        CHECK(inbox_is(w, b, "1 2 3 "), "%lld", (long long)cut);
        struct why why = {OK, ""};
        disk_select(&w->nodes[b]->disk);
        CHECK(db_check(w->nodes[b]->db, false, &why) == OK, "%s", why.text);
        CHECK(died || cut > 3, "the power did not fail at %lld", (long long)cut);
        end_world(w);
    }
}

/* Who hears STORED may forget: it is on disk whatever happens a moment later. */
TEST(a_receipt_means_on_disk) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    w->nodes[b]->commit_us = 50000;
    for (int i = 0; i < 20; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        send_text(w, a, b, text);
    }
    while (logged(w, a, EV_MESSAGE_DELIVERED) < 7) world_run(w, 5);
    world_cut(w, b, DISK_LOSES_ALL);
    size_t told = logged(w, a, EV_MESSAGE_DELIVERED);
    world_run(w, 100);
    world_start(w, b);
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") >= told);
    CHECK(all_sent(w, a, 120000) && world_count(w, b, "SELECT count(*) FROM inbox") == 20);
    end_world(w);
}

/* The disk takes seconds for each commit: nothing times out, nothing comes twice. */
TEST(a_slow_disk_is_only_slow) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY);
    must_connect(w, a, b);
    w->nodes[b]->commit_us = 8000000;
    for (int i = 0; i < 10; i++) send_text(w, a, b, "x");
    CHECK(all_sent(w, a, 120000) && inbox_is(w, b, "x x x x x x x x x x "));
    CHECK(logged(w, a, EV_PEER_DISCONNECTED) == 0);
    end_world(w);
}

/* Nothing is taken before the peer book is read: a friend would be taken for a stranger. */
TEST(a_node_that_starts_takes_nothing_yet) {
    struct world *w = quiet_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    must_connect(w, b, a); /* b's operator knows a */
    world_run(w, 6000);
    world_kill(w, b);
    send_text(w, a, b, "from a friend");
    w->nodes[b]->commit_us = 3000000;
    world_start(w, b);
    CHECK(all_sent(w, a, 60000) && inbox_is(w, b, "from a friend "));
    end_world(w);
}
