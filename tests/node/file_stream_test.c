/* Both ends of a transfer: what each offer is answered with, and peers that break the rules. */
#include <inttypes.h>

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
static struct bytes wanted_name;
static void named(struct file_offer *o) {
    o->name = wanted_name;
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

/* ---- every answer, at every place */

#define QUICK "[connection]\nredialMax = 2s\n[messages]\nretryMax = 2s\n"

TEST(each_answer_to_an_offer_ends_it_or_comes_again) {
    static const struct {
        int64_t status;
        const char *state, *error; /* error NULL: it is asked again, and arrives */
        long there;
    } rows[] = {{RECEIPT_DUPLICATE, "complete", "null", -1},
                {RECEIPT_DENIED, "failed", "\"DENIED\"", -1},
                {RECEIPT_TOO_LARGE, "failed", "\"TOO_LARGE\"", -1},
                {RECEIPT_INVALID, "failed", "\"INVALID\"", -1},
                {RECEIPT_STORED, "complete", NULL, SIZE}, /* before a byte was sent: a lie */
                {RECEIPT_BUSY, "complete", NULL, SIZE},
                {8, "complete", NULL, SIZE},
                {255, "complete", NULL, SIZE}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct world *w = files_world();
        struct probe p = {.node = 1, .kind = STORE_FILE_OFFER, .times = 1, .change = change_status};
        p.arg = rows[i].status;
        probe_in(w, &p);
        size_t a = node_with(w, QUICK), b = node_with(w, ANY_FILES);
        must_connect(w, a, b);
        send_file_to(w, a, b, "f", SIZE, "");
        CHECK(files_sent(w, a, 30000) && received(w, b, "f") == rows[i].there, "row %zu", i);
        CHECK(p.of[b].given[STORE_FILE_OFFER] == (rows[i].error == NULL ? 2 : 1), "row %zu", i);
        CHECK(rows_in(w, a, rows[i].state) == 1, "row %zu", i);
        char error[64];
        snprintf(error, sizeof error, "\"last_error\":%s", rows[i].error == NULL ? "null" : rows[i].error);
        must_have(world_ask(w, a, "file", "{}"), error);
        CHECK(logged(w, a, EV_PEER_MISBEHAVED) == (rows[i].status == RECEIPT_STORED), "row %zu", i);
        CHECK(world_connected(w, a, b), "row %zu", i);
        end_world(w);
    }
}

/* What goes wrong at either disk in the midst of it is tried again. */
TEST(errors_of_the_store_are_tried_again) {
    static const struct {
        size_t node;
        enum store_kind kind;
        enum err error;
    } rows[] = {{0, STORE_FILE_READ, E_BUSY},   {0, STORE_FILE_READ, E_MEMORY}, {0, STORE_FILE_READ, E_LIMIT},
                {0, STORE_FILE_READ, E_IO},     {1, STORE_FILE_OFFER, E_IO},    {1, STORE_FILE_WRITE, E_IO},
                {1, STORE_FILE_WRITE, E_LIMIT}, {1, STORE_FILE_WRITE, E_BUSY},  {1, STORE_FILE_CHECK, E_IO},
                {1, STORE_FILE_CHECK, E_MEMORY}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct world *w = files_world();
        struct probe p = {.node = rows[i].node, .kind = rows[i].kind, .times = 1, .change = change_error};
        p.arg = rows[i].error;
        p.after = rows[i].kind == STORE_FILE_OFFER ? 0 : 2;
        probe_in(w, &p);
        size_t a = node_with(w, QUICK), b = node_with(w, ANY_FILES);
        must_connect(w, a, b);
        send_file_to(w, a, b, "f", 4 * SIZE, "");
        CHECK(files_sent(w, a, 60000) && p.times == 0, "row %zu", i);
        CHECK(rows_in(w, a, "complete") == 1 && received(w, b, "f") == 4 * SIZE, "row %zu", i);
        CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 1 && world_connected(w, a, b), "row %zu", i);
        end_world(w);
    }
}

/* It goes on exactly where the receiver's disk is: nothing is read twice but what was on its way. */
TEST(it_goes_on_at_the_byte_that_the_receiver_names) {
    struct world *w = files_world();
    struct probe p = {.change = NULL};
    probe_in(w, &p);
    w->net.bytes_per_s = 2000000;
    size_t a = node_with(w, QUICK), b = node_with(w, ANY_FILES);
    enum { LARGE = 12 << 20, CUTS = 4 };
    must_connect(w, a, b);
    send_file_to(w, a, b, "f", LARGE, "");
    for (int i = 0; i < CUTS; i++) {
        world_run(w, 1000);
        CHECK(node_of(w, a)->files_out != NULL);
        wires_cut(w, a, b, false);
        uint64_t offers = p.of[b].given[STORE_FILE_OFFER];
        for (int k = 0;
             k < 1000 && (p.of[b].given[STORE_FILE_OFFER] == offers || p.of[a].first == UINT64_MAX); k++)
            world_run(w, 10);
        CHECK(p.of[a].first == p.of[b].told && p.of[b].told > (uint64_t)i * (1 << 20),
              "cut %d: from %" PRIu64 " of %" PRIu64, i, p.of[a].first, p.of[b].told);
    }
    CHECK(files_sent(w, a, 60000) && received(w, b, "f") == LARGE);
    CHECK(p.of[a].read < LARGE + CUTS * (3 << 20), "%" PRIu64, p.of[a].read);
    end_world(w);
}

/* A break at each moment of a small file: the offer, its answer, the bytes, the check, the last answer. */
TEST(a_break_at_any_moment_makes_one_file) {
    for (int i = 0; i < 64; i++) {
        struct world *w = files_world();
        w->net.bytes_per_s = 1500000;
        w->net.delay_us = 20000;
        w->net.commit_us = 15000;
        size_t a = node_with(w, QUICK), b = node_with(w, ANY_FILES);
        must_connect(w, a, b);
        must_have(send_file_to(w, a, b, "f", SIZE, ""), "\"queued\"");
        world_run(w, (i / 4) * 60);
        switch (i % 4) {
        case 0: wires_cut(w, a, b, false); break;
        case 1: wires_cut(w, a, b, true); break;
        case 2: world_kill(w, a); break;
        default: world_kill(w, b); break;
        }
        world_run(w, 500);
        world_start(w, a);
        world_start(w, b);
        CHECK(files_sent(w, a, 300000) && received(w, b, "f") == SIZE, "case %d", i);
        CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 1 && rows_in(w, a, "complete") == 1,
              "case %d", i);
        end_world(w);
    }
}

TEST(cancelled_at_the_receiver_it_ends_for_good) {
    struct world *w = files_world();
    w->net.bytes_per_s = 500000;
    size_t a = node_with(w, QUICK), b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    send_file_to(w, a, b, "f", SIZE, "");
    world_run(w, 1000);
    CHECK(file_stream_at(w, b) != NULL);
    must_have(world_ask(w, b, "file.cancel", "{\"id\":\"%s\"}", first_id(w, b)), "\"result\"");
    CHECK(files_sent(w, a, 20000));
    must_have(world_ask(w, a, "file", "{}"), "\"state\":\"failed\"");
    must_have(world_ask(w, a, "file", "{}"), "\"DENIED\"");
    char path[300];
    snprintf(path, sizeof path, "%s/%zu-files/00000001.part", w->files_at, b);
    CHECK(access(path, F_OK) != 0 && received(w, b, "f") == -1 && world_connected(w, a, b));
    end_world(w);
}

/* What waits for a person survives breaks and restarts of both, and begins when it is accepted. */
TEST(an_offer_waits_through_breaks) {
    struct world *w = files_world();
    size_t a = node_with(w, QUICK), b = node_with(w, "");
    send_file_to(w, a, b, "f", SIZE, "");
    world_run(w, 3000);
    CHECK(rows_in(w, b, "offered") == 1 && rows_in(w, a, "offered") == 1);
    wires_cut(w, a, b, false);
    world_run(w, 10000);
    world_kill(w, b);
    world_start(w, b);
    world_kill(w, a);
    world_start(w, a);
    world_run(w, 10000);
    CHECK(rows_in(w, b, "offered") == 1 && rows_in(w, a, "offered") == 1 && received(w, b, "f") == -1);
    wires_cut(w, a, b, false);
    must_have(world_ask(w, b, "file.accept", "{\"id\":\"%s\"}", first_id(w, b)), "\"result\"");
    CHECK(files_sent(w, a, 30000) && received(w, b, "f") == SIZE);
    end_world(w);
}

/* The sender offers a file on a new stream while its old one is still there: of a connection that died
 * unheard. */
TEST(a_second_stream_for_a_file_ends_the_first) {
    struct world *w = files_world();
    w->net.bytes_per_s = 1000000;
    size_t a = node_with(w, QUICK), b = node_with(w, ANY_FILES "[limits]\nfile_transfers = 1\n");
    must_connect(w, a, b);
    send_file_to(w, a, b, "f", 4 * SIZE, "");
    world_run(w, 1500);
    const struct stream *old = file_stream_at(w, b);
    CHECK(old != NULL);
    uint64_t serial = old->serial;
    node_of(w, a)->files_out->stream = NULL; /* forgotten */
    world_run(w, 2500);
    const struct stream *now = file_stream_at(w, b);
    CHECK(now != NULL && now->serial != serial, "its limit of one transfer is not used up by the dead one");
    CHECK(files_sent(w, a, 60000) && received(w, b, "f") == 4 * SIZE && logged(w, b, EV_FILE_RECEIVED) == 1);
    end_world(w);
}

/* ---- peers that break the rules */

TEST(names_are_safe_or_invalid) {
    static char over[256];
    memset(over, 'n', sizeof over);
    const struct bytes bad[] = {BYTES(""),
                                BYTES("."),
                                BYTES(".."),
                                BYTES("-rf"),
                                BYTES("a/b"),
                                BYTES("/abs"),
                                BYTES("a\0b"),
                                BYTES("a\nb"),
                                BYTES("a\x7f"),
                                BYTES("\x1b]0;x\a"),
                                BYTES("a\xc2\x9b"),
                                BYTES("a\xff"),
                                BYTES("\xc0\xaf"),
                                BYTES("a\xed\xa0\x80"),
                                BYTES("x\xe2\x80\xae"
                                      "gpj.exe"),
                                bytes_at(over, 256)};
    for (size_t i = 0; i < LEN(bad); i++) {
        struct world *w = files_world();
        size_t a = node_with(w, QUICK), b = world_add(w, ANY_FILES);
        send_file_to(w, a, b, "f", 10, "");
        wanted_name = bad[i];
        lie(w, a, named);
        world_start(w, b);
        CHECK(files_sent(w, a, 20000), "name %zu", i);
        must_have(world_ask(w, a, "file", "{}"), "\"INVALID\"");
        must_have(world_ask(w, b, "file", "{}"), "\"items\":[]");
        CHECK(world_count(w, b, "SELECT count(*) FROM inbox") == 0 && world_connected(w, a, b), "name %zu",
              i);
        end_world(w);
    }
    static const char *const good[] = {"a b",   "~",  "C:\\x", "\xe6\x96\x87\xe4\xbb\xb6 (1).tar.gz",
                                       "$(id)", "a;b"};
    for (size_t i = 0; i <= LEN(good); i++) {
        struct world *w = files_world();
        size_t a = node_with(w, QUICK), b = world_add(w, ANY_FILES);
        for (size_t k = 0; k + 1 < 255; k += 2) memcpy(over + k, "\xc3\xa4", 2);
        over[254] = 'x';
        send_file_to(w, a, b, "f", 10, "");
        wanted_name = i < LEN(good) ? bytes_of(good[i]) : bytes_at(over, 255);
        lie(w, a, named);
        world_start(w, b);
        CHECK(files_sent(w, a, 20000), "name %zu", i);
        over[200] = 0; /* its file's name is cut, at a character */
        CHECK(received(w, b, i < LEN(good) ? good[i] : over) == 10, "name %zu", i);
        end_world(w);
    }
}

/* Offers that are none: the stream ends, or INVALID; neither a row nor the connection is touched. */
TEST(malformed_offers_reach_no_disk) {
    static const struct {
        const char *name;
        size_t n;
        uint8_t p[60];
        bool invalid; /* it is answered: the id can be read */
    } rows[] = {{"nothing", 0, {0}, false},
                {"no protobuf", 3, {0x0a, 0xff, 0xff}, false},
                {"no id", 2, {0x10, 1}, false},
                {"an id of 15 bytes", 17, {0x0a, 15}, false},
                {"an id that is a number", 2, {0x08, 1}, false},
                {"an id alone", 18, {0x0a, 16}, true},
                {"a hash of 31 bytes", 51, {0x0a, 16, [18] = 0x52, 31}, false},
                {"a name that is a number", 20, {0x0a, 16, [18] = 0x40, 1}, true},
                {"a frame of 4097 bytes", 4097, {0}, false}};
    for (size_t i = 0; i < LEN(rows); i++) {
        static uint8_t raw[4100];
        struct world *w = files_world();
        size_t a = node_with(w, QUICK), b = world_add(w, ANY_FILES);
        send_file_to(w, a, b, "f", 10, "");
        struct buf *offer = &node_of(w, a)->files_out->offer;
        memcpy(raw, rows[i].p, sizeof rows[i].p);
        buf_clear(offer);
        offer->max = 8192;
        CHECK(buf_add(offer, bytes_at(raw, rows[i].n)));
        world_start(w, b);
        world_run(w, 10000);
        CHECK((node_of(w, a)->files_out == NULL) == rows[i].invalid, "%s", rows[i].name);
        CHECK((logged(w, b, EV_PEER_MISBEHAVED) > 0) == !rows[i].invalid, "%s", rows[i].name);
        must_have(world_ask(w, b, "file", "{}"), "\"items\":[]");
        send_text(w, a, b, "hi");
        CHECK(all_sent(w, a, 5000) && world_connected(w, a, b), "%s", rows[i].name);
        end_world(w);
    }
}

/* Bytes behind the offer that were not asked for count as content: it is too long then, or has another hash.
 */
/* The end of the stream before the end of the file is a break like any other. */
/* ---- what it costs */

/* The receiver's disk is far slower than the network: each side holds a few parts, whatever the file's size.
 */
struct held {
    struct probe probe; /* first: the hook's */
    size_t tx, rx;
};
static void look(struct world *w, size_t i) {
    struct held *h = w->user;
    const struct stream *s = w->nodes[i]->up ? file_stream_at(w, i) : NULL;
    if (s == NULL) return;
    h->tx = MAX(h->tx, s->tx.n);
    h->rx = MAX(h->rx, s->rx.n);
}
TEST(a_slow_disk_slows_the_sender_and_memory_is_bounded) {
    struct world *w = files_world();
    struct held h = {.tx = 0};
    probe_in(w, &h.probe);
    w->on_turn = look;
    size_t a = node_with(w, QUICK), b = node_with(w, ANY_FILES);
    must_connect(w, a, b);
    w->nodes[b]->commit_us = 300000;
    enum { LARGE = 32 << 20 };
    send_file_to(w, a, b, "f", LARGE, "");
    CHECK(files_sent(w, a, 600000) && received(w, b, "f") == LARGE);
    end_world(w);
}
