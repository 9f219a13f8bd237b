/* What is to be sent: one at a time to a peer, again after every break, until it is there, refused or old. */
#include "tests/node/files_help.h"

enum { SIZE = 2 << 20 };
#define ANY_FILES ANY "[files]\nfrom = any\n"

TEST(files_to_one_peer_go_one_after_the_other) {
    struct world *w = files_world();
    w->net.bytes_per_s = 4000000;
    size_t a = node_with(w, ""), b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    for (int i = 0; i < 3; i++) send_file_to(w, a, b, (const char *[]){"f0", "f1", "f2"}[i], SIZE, "");
    bool one = true, order = true;
    for (int i = 0; i < 400 && !files_sent(w, a, 10); i++) {
        size_t moving = 0;
        for (const struct file_out *f = node_of(w, a)->files_out; f != NULL; f = f->next)
            moving += f->stream != NULL;
        one &= moving <= 1;
        order &= received(w, b, "f2") == -1 || received(w, b, "f0") == SIZE;
    }
    CHECK(one && order && received(w, b, "f0") == SIZE && received(w, b, "f1") == SIZE &&
          received(w, b, "f2") == SIZE);
    CHECK(logged(w, a, EV_FILE_SENT) == 3 && logged(w, b, EV_FILE_RECEIVED) == 3);
    CHECK(world_count(w, a, "SELECT count(*) FROM files WHERE state = 'complete'") == 3);
    end_world(w);
}

TEST(a_file_waits_for_a_peer_that_is_down_and_for_our_own_restart) {
    struct world *w = files_world();
    size_t a = node_with(w, "[connection]\nredialMax = 5s\n"), b = world_add(w, ANY_FILES);
    must_have(send_file_to(w, a, b, "f", SIZE, ""), "\"state\":\"queued\"");
    world_run(w, 10000);
    world_kill(w, a);
    world_start(w, a);
    world_run(w, 5000);
    CHECK(node_of(w, a)->files_out != NULL);
    world_start(w, b);
    CHECK(files_sent(w, a, 60000) && received(w, b, "f") == SIZE);
    end_world(w);
}

/* Cut again and again: it goes on from where the receiver's disk has it, not from the beginning. */
TEST(a_broken_transfer_goes_on) {
    struct world *w = files_world();
    w->net.bytes_per_s = 2000000;
    size_t a = node_with(w, "[connection]\nredialMax = 2s\n[messages]\nretryMax = 2s\n"),
           b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    enum { LARGE = 24 << 20 };
    send_file_to(w, a, b, "f", LARGE, "");
    uint64_t sent = 0;
    for (int i = 0; i < 5; i++) {
        world_run(w, 5000);
        if (i % 2 == 0) {
            for (const struct connection *c = node_of(w, a)->connections; c != NULL; c = c->next)
                sent += c->bytes_out;
            wires_cut(w, a, b, false);
        } else {
            world_kill(w, b);
            world_run(w, 100);
            world_start(w, b);
        }
    }
    CHECK(files_sent(w, a, 120000) && received(w, b, "f") == LARGE);
    end_world(w);
}

TEST(only_what_is_too_old_expires) {
    struct world *w = files_world();
    size_t a = node_with(w, ""), b = world_add(w, ANY_FILES);
    send_file_to(w, a, b, "f", SIZE, ",\"expires_ms\":20000");
    world_run(w, 15000);
    CHECK(node_of(w, a)->files_out != NULL);
    CHECK(files_sent(w, a, 10000) && logged(w, a, EV_MESSAGE_EXPIRED) == 1);
    must_have(world_ask(w, a, "file", "{}"), "\"last_error\":\"expired\"");
    world_start(w, b);
    world_run(w, 20000);
    CHECK(received(w, b, "f") == -1);
    end_world(w);
}

TEST(cancelled_at_the_sender_it_stops) {
    struct world *w = files_world();
    w->net.bytes_per_s = 500000;
    size_t a = node_with(w, ""), b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    send_file_to(w, a, b, "f", SIZE, "");
    world_run(w, 1500);
    char id[33] = "";
    memcpy(id, strstr(world_ask(w, a, "file", "{}"), "\"id\":\"") + 6, 32);
    CHECK(file_stream_at(w, a) != NULL);
    must_have(world_ask(w, a, "file.cancel", "{\"id\":\"%s\"}", id), "\"result\"");
    CHECK(files_sent(w, a, 1000) && file_stream_at(w, a) == NULL);
    world_run(w, 20000);
    CHECK(received(w, b, "f") == -1 && world_count(w, b, "SELECT count(*) FROM inbox") == 0);
    CHECK(world_connected(w, a, b)); /* it costs nobody the connection */
    end_world(w);
}

TEST(transfers_have_a_limit) {
    struct world *w = files_world();
    w->net.bytes_per_s = 2000000;
    size_t a = node_with(w, "[limits]\nfile_transfers = 2\n"), to[4];
    for (size_t i = 0; i < LEN(to); i++) {
        to[i] = node_with(w, ANY_FILES);
        must_connect(w, a, to[i]);
    }
    for (size_t i = 0; i < LEN(to); i++) send_file_to(w, a, to[i], "f", SIZE, "");
    size_t most = 0;
    for (int i = 0; i < 1000 && !files_sent(w, a, 20); i++) {
        size_t moving = 0;
        for (const struct file_out *f = node_of(w, a)->files_out; f != NULL; f = f->next)
            moving += f->stream != NULL;
        most = MAX(most, moving);
    }
    CHECK(most == 2, "%zu", most);
    for (size_t i = 0; i < LEN(to); i++) CHECK(received(w, to[i], "f") == SIZE);
    end_world(w);
}

/* Messages do not wait for a file on the same connection. */
TEST(messages_overtake_files) {
    struct world *w = files_world();
    w->net.bytes_per_s = 1000000;
    size_t a = node_with(w, ""), b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    send_file_to(w, a, b, "f", 8 << 20, "");
    world_run(w, 1000);
    int64_t began = w->now_us;
    must_have(world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"hi\",\"wait\":true}", w->nodes[b]->id),
              "\"stored\"");
    CHECK(w->now_us - began < 1500000 && received(w, b, "f") == -1, "%lld us",
          (long long)(w->now_us - began));
    CHECK(files_sent(w, a, 60000) && received(w, b, "f") == 8 << 20);
    end_world(w);
}
