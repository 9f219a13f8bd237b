/* Both ends of a transfer: what each offer is answered with, and peers that break the rules. */
#include "tests/node/files_help.h"

enum { SIZE = 1 << 20 };
#define ANY_FILES ANY "[files]\nfrom = any\n"

/* a's first file goes out with this offer instead: it waits for b, which is down, and is changed meanwhile.
 */
static void lie(struct world *w, size_t a, void (*change)(struct file_offer *o)) {
    struct file_out *f = node_of(w, a)->files_out;
    struct file_offer o;
    struct buf framed = {.max = 8192};
    CHECK(f != NULL && file_offer_read(buf_view(&f->offer), &o, NULL) == OK);
    change(&o);
    CHECK(file_offer_write(&framed, &o));
    struct bytes in = buf_view(&framed), frame;
    bool whole = false;
    CHECK(file_frame_next(&in, &frame, &whole) == OK && whole);
    struct buf changed = {.max = 8192};
    CHECK(buf_add(&changed, frame));
    buf_free(&f->offer);
    f->offer = changed;
    buf_free(&framed);
}

static struct world *liars_world(void (*change)(struct file_offer *o)) {
    struct world *w = files_world();
    size_t a = node_with(w, "[connection]\nredialMax = 2s\n[messages]\nretryMax = 4s\n"),
           b = world_add(w, ANY_FILES);
    must_have(send_file_to(w, a, b, "f", SIZE, ""), "\"state\":\"queued\"");
    lie(w, a, change);
    world_start(w, b);
    world_run(w, 20000);
    return w;
}

static void wrong_hash(struct file_offer *o) {
    o->hash[7] ^= 1;
}
static void more(struct file_offer *o) {
    o->size += 100;
}
static void less(struct file_offer *o) {
    o->size -= 100;
}
static void slash(struct file_offer *o) {
    o->name = BYTES("../../etc/passwd");
}
static void hidden(struct file_offer *o) {
    o->name = BYTES(".bashrc");
}
static void escape(struct file_offer *o) {
    o->name = BYTES("a\x1b[2J");
}

TEST(a_wrong_hash_never_becomes_a_file) {
    struct world *w = liars_world(wrong_hash);
    CHECK(received(w, 1, "f") == -1 && world_count(w, 1, "SELECT count(*) FROM inbox") == 0);
    CHECK(logged(w, 1, EV_PEER_MISBEHAVED) > 0 && logged(w, 1, EV_FILE_RECEIVED) == 0);
    CHECK(logged(w, 1, EV_DATABASE_FAULT) == 0); /* the peer's fault, not the disk's */
    end_world(w);
}

TEST(bytes_beyond_the_offer_are_a_fault) {
    struct world *w = liars_world(less);
    CHECK(received(w, 1, "f") == -1 && logged(w, 1, EV_FILE_RECEIVED) == 0);
    end_world(w);
}

TEST(fewer_bytes_than_offered_are_no_file) {
    struct world *w = liars_world(more);
    CHECK(received(w, 1, "f") == -1 && logged(w, 1, EV_FILE_RECEIVED) == 0);
    end_world(w);
}

TEST(names_that_are_paths_are_invalid_for_good) {
    void (*const names[])(struct file_offer *) = {slash, hidden, escape};
    for (size_t i = 0; i < LEN(names); i++) {
        struct world *w = liars_world(names[i]);
        CHECK(node_of(w, 0)->files_out == NULL && logged(w, 0, EV_MESSAGE_REFUSED_BY) == 1, "name %zu", i);
        must_have(world_ask(w, 0, "file", "{}"), "INVALID");
        must_have(world_ask(w, 1, "file", "{}"), "\"items\":[]");
        end_world(w);
    }
}

TEST(too_large_and_none_are_final_and_a_full_quota_is_not) {
    struct world *w = files_world();
    size_t a = node_with(w, "[messages]\nretryMax = 2s\n"),
           b = node_with(w, ANY "[files]\nfrom = any\nmaxSize = 1MiB\n"),
           c = node_with(w, ANY "[files]\nfrom = any\nquota = 1536KiB\n");
    must_have(send_file_to(w, a, b, "f", SIZE + 1, ",\"wait\":true"), "TOO_LARGE");
    must_have(send_file_to(w, a, b, "g", SIZE, ",\"wait\":true"), "\"stored\"");
    must_have(send_file_to(w, a, c, "f", SIZE, ",\"wait\":true"), "\"stored\"");
    must_have(send_file_to(w, a, c, "g", SIZE, ",\"wait_ms\":5000"), "\"queued\""); /* BUSY: again later */
    char id[33] = "";
    memcpy(id, strstr(world_ask(w, c, "file", "{}"), "\"id\":\"") + 6, 32);
    world_ask(w, c, "file.cancel", "{\"id\":\"%s\"}", id);
    CHECK(files_sent(w, a, 30000) && received(w, c, "g") == SIZE);
    end_world(w);
}

/* The receiver writes what is no answer, or one out of order: the stream ends, the file is sent in the end.
 */
TEST(nonsense_from_the_receiver_ends_only_the_stream) {
    static const struct {
        uint8_t n, p[24];
    } bad[] = {{3, {2, 8, 7}},              /* OFFERED in the midst of it */
               {3, {2, 8, 1}},              /* STORED before all was sent */
               {5, {4, 16, 255, 255, 127}}, /* an offset that was never sent */
               {3, {255, 255, 127}},        /* a frame of 2 MiB */
               {3, {2, 255, 255}}};         /* no protobuf */
    for (size_t i = 0; i < LEN(bad); i++) {
        struct world *w = files_world();
        w->net.bytes_per_s = 1000000;
        size_t a = node_with(w, "[messages]\nretryMax = 2s\n"), b = node_with(w, ANY_FILES);
        must_connect(w, a, b);
        send_file_to(w, a, b, "f", 4 * SIZE, "");
        world_run(w, 1000);
        struct stream *s = file_stream_at(w, b);
        CHECK(s != NULL && file_stream_at(w, a) != NULL);
        CHECK(buf_add(&s->tx, bytes_at(bad[i].p, bad[i].n)));
        s->ready = true;
        connection_run(s->connection);
        world_turn(w, w->nodes[b]);
        world_run(w, 700);
        CHECK(logged(w, a, EV_PEER_MISBEHAVED) == 1, "row %zu", i);
        CHECK(world_connected(w, a, b) && files_sent(w, a, 60000) && received(w, b, "f") == 4 * SIZE,
              "row %zu", i);
        end_world(w);
    }
}

TEST(an_empty_file_is_a_file) {
    struct world *w = files_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY_FILES);
    must_have(send_file_to(w, a, b, "nothing", 0, ",\"wait\":true"), "\"stored\"");
    CHECK(received(w, b, "nothing") == 0);
    end_world(w);
}

/* The same again after its receipt was lost: DUPLICATE, and one file. */
TEST(a_lost_receipt_makes_no_second_file) {
    struct world *w = files_world();
    w->net.bytes_per_s = 4000000;
    size_t a = node_with(w, "[messages]\nretryMax = 2s\n[connection]\nredialMax = 2s\n"),
           b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    send_file_to(w, a, b, "f", SIZE, "");
    while (logged(w, b, EV_FILE_RECEIVED) == 0) world_run(w, 1);
    wires_cut(w, a, b, false); /* the answer is on its way */
    CHECK(files_sent(w, a, 60000) && logged(w, b, EV_FILE_RECEIVED) == 1);
    CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 1 && received(w, b, "f") == SIZE);
    end_world(w);
}

/* Nobody moves: after a minute the stream ends, and the next one goes on. */
TEST(a_stalled_transfer_is_given_up_and_begun_again) {
    struct world *w = files_world();
    w->net.bytes_per_s = 1000000;
    size_t a = node_with(w, "[messages]\nretryMax = 2s\n"), b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    send_file_to(w, a, b, "f", 8 << 20, "");
    world_run(w, 1500);
    CHECK(file_stream_at(w, b) != NULL);
    wires_cut(w, a, b, true);
    CHECK(files_sent(w, a, 300000) && received(w, b, "f") == 8 << 20);
    end_world(w);
}
