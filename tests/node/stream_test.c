/* Streams: agreement, time, limits; and frames of messages that a peer would rather not have sent. */
#include "tests/node/help.h"

/* A stream of the message protocol whose bytes the test writes. */
static struct stream *raw(struct world *w, size_t a, size_t b, struct bytes what) {
    struct connection *c = connection_to(w, a, b);
    CHECK(c != NULL);
    node_now(node_of(w, a), world_clocks(w, w->nodes[a]));
    struct stream *s = stream_open(c, PROTOCOL_MESSAGE, NULL, NULL);
    CHECK(s != NULL && buf_add(&s->tx, what));
    connection_run(c);
    world_turn(w, w->nodes[a]);
    return s;
}

static size_t streams_of(struct world *w, size_t i) {
    size_t n = 0;
    for (const struct connection *c = node_of(w, i)->connections; c != NULL; c = c->next) n += c->n_streams;
    return n;
}

static void join_two(struct world **w, size_t *a, size_t *b, const char *ini) {
    *w = quiet_world();
    *a = node_with(*w, ANY);
    *b = node_with(*w, ini);
    must_connect(*w, *a, *b);
    world_run(*w, 8000); /* identify and push are over */
    CHECK(streams_of(*w, *a) == 0 && streams_of(*w, *b) == 0);
}

TEST(bad_frames_end_their_stream_and_nothing_else) {
    struct world *w;
    size_t a, b;
    static const struct bytes rows[] = {
        {(const uint8_t *)"\xff\xff\xff\xff\x7f", 5},         /* a length out of range */
        {(const uint8_t *)"\x03\x0a\x05\x01", 4},             /* a field longer than its frame */
        {(const uint8_t *)"\x04\x0a\x02\x0a\x00", 5},         /* an id of no bytes */
        {(const uint8_t *)"\x06\x0a\x00\x12\x02\x10\x01", 7}, /* message and receipt in one */
    };
    join_two(&w, &a, &b, ANY);
    for (size_t i = 0; i < LEN(rows); i++) {
        raw(w, a, b, rows[i]);
        world_run(w, 500);
        CHECK(streams_of(w, b) == 0 && streams_of(w, a) == 0 && world_connected(w, a, b), "row %zu", i);
    }
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 0);
    send_text(w, a, b, "fine");
    CHECK(all_sent(w, a, 5000) && inbox_is(w, b, "fine "));
    end_world(w);
}

/* A receipt for what nobody sent, an unknown kind of frame: ignored, the stream lives. */
TEST(strange_frames_are_ignored) {
    struct world *w;
    size_t a, b;
    join_two(&w, &a, &b, ANY);
    raw(w, a, b, BYTES("\x02\x78\x01")); /* field 15 */
    struct buf receipt = {.max = 100};
    CHECK(message_receipt_write(&receipt, &(struct receipt){.id = {1}, .status = RECEIPT_STORED}));
    raw(w, a, b, buf_view(&receipt));
    buf_free(&receipt);
    world_run(w, 1000);
    CHECK(streams_of(w, b) == 2 && logged(w, b, EV_PEER_MISBEHAVED) == 0);
    end_world(w);
}

/* Each message of a burst gets one answer, on the stream that brought it; a broken one in between too. */
TEST(invalid_messages_are_answered_and_do_not_stop_others) {
    struct world *w;
    size_t a, b;
    join_two(&w, &a, &b, ANY);
    struct buf out = {.max = 1 << 16};
    for (uint8_t i = 0; i < 5; i++) {
        struct message m = {.id = {i, 9}, .sent_ms = i == 2 ? 0 : 1, .expires_ms = 2, .body = BYTES("b")};
        CHECK(message_frame_write(&out, &m));
    }
    raw(w, a, b, buf_view(&out));
    world_run(w, 1000);
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 4);
    CHECK(logged(w, b, EV_MESSAGE_REFUSED) == 1 && streams_of(w, b) == 1);
    raw(w, a, b, buf_view(&out)); /* all of it again: duplicates */
    world_run(w, 1000);
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 4);
    buf_free(&out);
    end_world(w);
}

/* Cut at every byte: half a message is none, and costs its stream. */
TEST(half_a_message_is_none) {
    struct world *w;
    size_t a, b;
    join_two(&w, &a, &b, ANY);
    struct buf out = {.max = 1000};
    struct message m = {.id = {7}, .sent_ms = 1, .expires_ms = 2, .body = BYTES("body")};
    CHECK(message_frame_write(&out, &m));
    for (size_t n = 1; n < out.n; n++) {
        struct stream *s = raw(w, a, b, bytes_sub(buf_view(&out), 0, n));
        s->fin_out = true;
        world_run(w, 300);
        CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 0 && streams_of(w, b) == 0, "%zu", n);
    }
    raw(w, a, b, buf_view(&out));
    world_run(w, 300);
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 1 && world_connected(w, a, b));
    buf_free(&out);
    end_world(w);
}

/* More than connection.maxStreams are reset; the connection and the others live. */
TEST(inbound_streams_have_a_limit) {
    struct world *w;
    size_t a, b;
    join_two(&w, &a, &b, ANY "[connection]\nmaxStreams = 8\n");
    for (int i = 0; i < 12; i++) raw(w, a, b, (struct bytes){NULL, 0});
    world_run(w, 1000);
    CHECK(streams_of(w, b) == 8 && streams_of(w, a) == 8 && world_connected(w, a, b));
    end_world(w);
}

TEST(a_peer_has_so_many_pings_at_a_time) {
    struct world *w;
    size_t a, b;
    join_two(&w, &a, &b, ANY);
    char line[200];
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof line,
                 "{\"id\":%d,\"method\":\"ping\",\"params\":{\"peer\":\"%s\",\"count\":1000,\"interval_ms\":"
                 "1000}}",
                 i, w->nodes[b]->id);
        world_tell(w, a, 1, bytes_of(line));
    }
    world_run(w, 3000);
    CHECK(streams_of(w, b) == 2 && node_of(w, b)->limits.of[LIMIT_PINGS].hits == 1, "%zu", streams_of(w, b));
    node_client_gone(node_of(w, a), 1);
    end_world(w);
}

/* Nobody answers the proposal: the stream ends, and then the connection, since nobody is there. */
TEST(an_agreement_has_its_time) {
    struct world *w;
    size_t a, b;
    join_two(&w, &a, &b, ANY);
    wires_cut(w, a, b, true);
    raw(w, a, b, (struct bytes){NULL, 0});
    world_run(w, 9000);
    CHECK(streams_of(w, a) == 1);
    world_run(w, 2000);
    CHECK(streams_of(w, a) == 0 && logged(w, a, EV_PEER_DISCONNECTED) == 0);
    world_run(w, 11000);
    CHECK(logged(w, a, EV_PEER_DISCONNECTED) == 1);
    end_world(w);
}
