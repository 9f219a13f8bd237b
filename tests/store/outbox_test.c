/* The outbox: order, quotas, delivery, failure, expiry, sending again, listing. */
#include "help.h"

/* The places of what LOAD gives, in its order. */
static size_t load(struct db *db, uint64_t to, int64_t after, uint64_t count, uint64_t bytes, int64_t *seqs,
                   bool *more) {
    struct store_op op = op_of(STORE_OUTBOX_LOAD);
    op.peer = peer_number(to);
    op.seq = after;
    op.count = count;
    op.bytes = bytes;
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    struct rd r = rd_of(buf_view(&op.out));
    size_t n = 0;
    while (r.in.n > 0) {
        seqs[n] = (int64_t)rd_u64(&r);
        CHECK(rd_u64(&r) == 0);
        struct message m;
        struct bytes frame = rd_take(&r, rd_u32(&r));
        CHECK(!r.bad && message_of_frame(frame, &m, NULL) == OK);
        n++;
    }
    *more = op.more;
    op_end(&op);
    return n;
}

TEST(outbox_gives_back_what_was_queued_in_order) {
    struct db *db = open_in(test_dir());
    int64_t seqs[16], want[4];
    bool more;
    for (uint64_t i = 0; i < 4; i++) {
        want[i] = queue(db, 1, 10 + i, "hello", OK);
        queue(db, 2, 20 + i, "other", OK);
    }
    CHECK(load(db, 1, 0, 10, 1 << 20, seqs, &more) == 4 && !more);
    CHECK(memcmp(seqs, want, sizeof want) == 0);
    CHECK(load(db, 1, want[1], 1, 1 << 20, seqs, &more) == 1 && more && seqs[0] == want[2]);
    CHECK(load(db, 1, want[1], 2, 1 << 20, seqs, &more) == 2 && !more);
    CHECK(load(db, 1, 0, 10, 1, seqs, &more) == 1 && more, "one, however small the room");
    CHECK(load(db, 3, 0, 10, 1 << 20, seqs, &more) == 0 && !more);
    check_db(db);
    db_close(db);
}

TEST(outbox_keeps_every_field_of_a_message) {
    const char *folder = test_dir();
    struct db *db = open_in(folder);
    struct store_op op = op_of(STORE_OUTBOX_ADD), back = op_of(STORE_OUTBOX_LOAD);
    struct message m = {.sent_ms = 5,
                        .expires_ms = 6,
                        .content_type = BYTES("application/x-test"),
                        .body = BYTES("a\0b\xff"),
                        .subject = BYTES("S\xc3\xbc"
                                         "bject"),
                        .has_reply_to = true};
    id_number(1, m.id);
    id_number(2, m.reply_to);
    CHECK(message_frame_write(&op.in, &m));
    op.peer = back.peer = peer_number(9);
    db_run(db, &op);
    CHECK(op.err == OK && op.seq > 0, "%s", op.why.text);
    db_close(db);
    db = open_in(folder);
    back.bytes = 1000;
    db_run(db, &back);
    CHECK(back.err == OK && back.out.n > 20);
    CHECK(bytes_eq(bytes_skip(buf_view(&back.out), 20), buf_view(&op.in)), "the frame comes back as it was");
    op_end(&op);
    op_end(&back);
    db_close(db);
}

TEST(outbox_refuses_what_is_no_message) {
    struct db *db = open_in(test_dir());
    struct buf frame = {.max = 1000};
    add_frame(&frame, 1, BYTES("body"));
    for (size_t cut = 0; cut < frame.n; cut++) {
        struct store_op op = op_of(STORE_OUTBOX_ADD);
        op.peer = peer_number(1);
        CHECK(buf_add(&op.in, bytes_sub(buf_view(&frame), 0, cut)));
        db_run(db, &op);
        CHECK(op.err == E_INPUT, "cut at %zu: %s", cut, err_name(op.err));
        op_end(&op);
    }
    struct store_op op = op_of(STORE_OUTBOX_ADD);
    CHECK(buf_add(&op.in, buf_view(&frame)));
    db_run(db, &op);
    CHECK(op.err == E_INPUT, "no peer");
    op.peer = peer_number(1);
    CHECK(buf_add_byte(&op.in, 0));
    db_run(db, &op);
    CHECK(op.err == E_INPUT, "one byte more");
    op_end(&op);
    buf_free(&frame);
    CHECK(total_of(db, "outbox") == 0);
    db_close(db);
}

TEST(outbox_quotas_hold_at_the_limit_and_not_before) {
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_OUTBOX_ADD);
    uint64_t size = 0;
    for (size_t which = 0; which < 3; which++) {
        for (uint64_t i = 0; i < 4; i++) {
            op_end(&op);
            op = op_of(STORE_OUTBOX_ADD);
            op.peer = peer_number(which + 1);
            add_frame(&op.in, which * 10 + i, BYTES("body"));
            size = op.in.n;
            op.limits[0] = which == 0 ? 3 : 1000;
            op.limits[1] = which == 1 ? size * 6 : 1 << 20; /* three are there from before */
            op.limits[2] = which == 2 ? 3 : 1000;
            db_run(db, &op);
            CHECK(op.err == (i < 3 ? OK : E_LIMIT), "limit %zu, message %" PRIu64 ": %s", which, i,
                  op.why.text);
        }
        const char *keys[] = {"messages.outboxMax", "messages.outboxMaxBytes", "messages.outboxMaxPerPeer"};
        CHECK(bytes_has(bytes_of(op.why.text), bytes_of(keys[which])), "%s", op.why.text);
    }
    CHECK(total_of(db, "outbox") == 9 && total_of(db, "outbox_bytes") == (int64_t)size * 9);
    op_end(&op);
    check_db(db);
    db_close(db);
}

TEST(outbox_takes_an_id_once_even_when_full) {
    struct db *db = open_in(test_dir());
    CHECK(queue(db, 1, 1, "first", OK) > 0);
    queue(db, 1, 1, "again", E_REFUSED);
    queue(db, 2, 1, "to another", E_REFUSED);
    struct store_op op = op_of(STORE_OUTBOX_ADD);
    op.peer = peer_number(1);
    op.limits[0] = 1;
    add_frame(&op.in, 1, BYTES("again"));
    db_run(db, &op);
    CHECK(op.err == E_REFUSED, "%s", op.why.text);
    op_end(&op);
    CHECK(total_of(db, "outbox") == 1);
    check_db(db);
    db_close(db);
}

static void end_one(struct db *db, enum store_kind kind, int64_t seq, const char *text, uint64_t want) {
    struct store_op op = op_of(kind);
    op.seq = seq;
    op.latency_ms = 20;
    snprintf(op.text, sizeof op.text, "%s", text);
    db_run(db, &op);
    CHECK(op.err == OK && op.count == want, "%s: %s", text, op.why.text);
    op_end(&op);
}

TEST(outbox_delivered_ones_go_and_are_counted) {
    struct db *db = open_in(test_dir());
    int64_t seq = queue(db, 1, 1, "body", OK);
    CHECK(total_of(db, "latency_p95_ms") == -1);
    end_one(db, STORE_OUTBOX_DONE, seq, "delivered", 1);
    end_one(db, STORE_OUTBOX_DONE, seq, "a second receipt", 0);
    CHECK(total_of(db, "outbox") == 0 && total_of(db, "outbox_bytes") == 0 &&
          total_of(db, "messages_out") == 1);
    int64_t p95 = total_of(db, "latency_p95_ms");
    CHECK(p95 >= 20 && p95 < 24, "%" PRId64, p95);
    CHECK(queue(db, 1, 2, "next", OK) > seq, "a place is never given twice");
    check_db(db);
    db_close(db);
}

TEST(outbox_latency_is_the_95th_of_100) {
    struct db *db = open_in(test_dir());
    for (uint64_t i = 0; i < 100; i++) {
        struct store_op op = op_of(STORE_OUTBOX_DONE);
        op.seq = queue(db, 1, i, "body", OK);
        op.latency_ms = i < 95 ? 2 : 100000;
        db_run(db, &op);
        CHECK(op.err == OK);
        op_end(&op);
    }
    CHECK(total_of(db, "latency_p95_ms") == 2, "%" PRId64, total_of(db, "latency_p95_ms"));
    struct store_op op = op_of(STORE_OUTBOX_DONE);
    op.seq = queue(db, 1, 200, "body", OK);
    op.latency_ms = INT64_MAX;
    db_run(db, &op);
    CHECK(op.err == OK);
    op_end(&op);
    CHECK(total_of(db, "latency_p95_ms") >= 100000);
    db_close(db);
}

TEST(outbox_failed_ones_stay_and_give_way) {
    struct db *db = open_in(test_dir());
    int64_t a = queue(db, 1, 1, "a", OK), b = queue(db, 1, 2, "b", OK), seqs[8];
    bool more;
    end_one(db, STORE_OUTBOX_FAILED, a, "DENIED", 1);
    end_one(db, STORE_OUTBOX_FAILED, a, "once is enough", 0);
    CHECK(load(db, 1, 0, 8, 1 << 20, seqs, &more) == 1 && seqs[0] == b);
    CHECK(total_of(db, "outbox") == 1 && total_of(db, "outbox_failed") == 1);
    check_db(db);
    struct store_op op = op_of(STORE_OUTBOX_ADD);
    op.peer = peer_number(1);
    op.limits[0] = 2;
    add_frame(&op.in, 3, BYTES("c"));
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    CHECK(total_of(db, "outbox") == 2 && total_of(db, "outbox_failed") == 0, "the failed one made room");
    op_end(&op);
    check_db(db);
    db_close(db);
}

TEST(outbox_expires_by_now_and_names_each) {
    struct db *db = open_in(test_dir());
    int64_t seq = queue(db, 7, 1, "body", OK);
    struct store_op op = op_of(STORE_OUTBOX_EXPIRE);
    op.now.ms = NOW_MS + 999;
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 0 && op.out.n == 0, "one millisecond early");
    op.now.ms = NOW_MS + 1000;
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 1 && !op.more);
    struct rd r = rd_of(buf_view(&op.out));
    struct peer_id peer = peer_number(7);
    uint8_t id[MESSAGE_ID];
    id_number(1, id);
    CHECK(bytes_eq(rd_take(&r, rd_u8(&r)), peer_id_view(&peer)));
    CHECK(bytes_eq(rd_take(&r, MESSAGE_ID), bytes_at(id, MESSAGE_ID)));
    CHECK((int64_t)rd_u64(&r) == seq && !r.bad && r.in.n == 0);
    op_end(&op);
    op = op_of(STORE_OUTBOX_LIST);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    const struct json *item = json_at(json_root(doc), 0);
    CHECK(bytes_is(json_get_bytes(item, "state"), "failed"));
    CHECK(bytes_is(json_get_bytes(item, "last_error"), "expired"));
    json_free(doc);
    op_end(&op);
    check_db(db);
    db_close(db);
}

TEST(outbox_retry_sends_under_a_new_id_and_for_as_long) {
    struct db *db = open_in(test_dir());
    char text[2 * MESSAGE_ID + 1];
    int64_t seq = queue(db, 1, 1, "body", OK);
    uint8_t old[MESSAGE_ID];
    id_number(1, old);
    snprintf(text, sizeof text, "%016" PRIx64, get_u64(old));
    struct store_op op = ask_text(db, STORE_OUTBOX_RETRY, text, E_INPUT); /* still queued */
    op_end(&op);
    end_one(db, STORE_OUTBOX_FAILED, seq, "BUSY", 1);
    op = op_of(STORE_OUTBOX_RETRY);
    op.now.ms = NOW_MS + 50000;
    op.random[0] = 1;
    CHECK(buf_add_text(&op.in, text));
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 1 && op.seq > seq && memcmp(op.id, old, MESSAGE_ID) != 0, "%s",
          op.why.text);
    struct rd r = rd_of(buf_view(&op.out));
    struct peer_id peer = peer_number(1);
    CHECK(bytes_eq(rd_take(&r, rd_u8(&r)), peer_id_view(&peer)) && rd_u32(&r) == 1);
    rd_u64(&r);
    CHECK((int64_t)rd_u64(&r) == op.seq && rd_u64(&r) == (uint64_t)NOW_MS + 50000 && r.in.n == 0);
    op_end(&op);
    op = op_of(STORE_OUTBOX_EXPIRE);
    op.now.ms = NOW_MS + 50999;
    db_run(db, &op);
    CHECK(op.count == 0, "it lives as long once more");
    op.now.ms++;
    db_run(db, &op);
    CHECK(op.count == 1);
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_RETRY, "", OK); /* all failed ones */
    CHECK(op.count == 1 && !op.more);
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_RETRY, "", OK);
    CHECK(op.count == 0 && op.out.n == 0);
    op_end(&op);
    check_db(db);
    db_close(db);
}

TEST(outbox_retry_of_many_ends_and_leaves_none) {
    struct db *db = open_in(test_dir());
    enum { MANY = DB_STEP_MAX * 2 + 3 };
    for (uint64_t i = 0; i < MANY; i++) queue(db, i % 5, i, "body", OK);
    struct store_op op = op_of(STORE_OUTBOX_EXPIRE);
    op.now.ms = NOW_MS + 5000;
    uint64_t expired = 0;
    do {
        db_run(db, &op);
        expired += op.count;
    } while (op.more);
    CHECK(expired == MANY && total_of(db, "outbox_failed") == MANY);
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_RETRY, "", OK);
    CHECK(op.count == MANY && !op.more, "%" PRIu64, op.count);
    op_end(&op);
    CHECK(total_of(db, "outbox") == MANY && total_of(db, "outbox_failed") == 0);
    check_db(db);
    db_close(db);
}

TEST(outbox_cancel_finds_by_beginning_and_ending) {
    struct db *db = open_in(test_dir());
    int64_t seq = queue(db, 4, 0x123456, "body", OK);
    struct store_op op = ask_text(db, STORE_OUTBOX_CANCEL, "123457", E_NOT_FOUND);
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_CANCEL, "23456", E_INPUT); /* five digits */
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_CANCEL, "12345%", E_INPUT);
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_CANCEL, "", E_INPUT);
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_CANCEL, "0123456", OK);
    struct peer_id peer = peer_number(4);
    CHECK(op.seq == seq && peer_id_eq(&op.peer, &peer));
    op_end(&op);
    op = ask_text(db, STORE_OUTBOX_CANCEL, "0123456", E_NOT_FOUND);
    op_end(&op);
    CHECK(total_of(db, "outbox") == 0);
    check_db(db);
    db_close(db);
}

TEST(outbox_tried_counts_at_the_oldest) {
    struct db *db = open_in(test_dir());
    queue(db, 1, 1, "oldest", OK);
    queue(db, 1, 2, "newer", OK);
    struct store_op op = op_of(STORE_OUTBOX_TRIED);
    op.peer = peer_number(1);
    op.when.ms = NOW_MS + 7000;
    snprintf(op.text, sizeof op.text, "the peer is busy");
    for (size_t i = 0; i < 3; i++) db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    op.peer = peer_number(2);
    db_run(db, &op);
    CHECK(op.err == OK, "nothing is queued: nothing to count");
    op_end(&op);
    op = op_of(STORE_OUTBOX_LIST);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    CHECK(json_count(json_root(doc)) == 2);
    const struct json *a = json_at(json_root(doc), 0), *b = json_at(json_root(doc), 1);
    CHECK(json_get_int(a, "tries", -1) == 3 && json_get_int(b, "tries", -1) == 0);
    CHECK(bytes_is(json_get_bytes(a, "last_error"), "the peer is busy") &&
          json_is_null(json_get(b, "last_error")));
    CHECK(json_is_text(json_get(a, "next_try")) && json_is_null(json_get(b, "next_try")));
    CHECK(json_get_int(a, "bytes", -1) == 6, "of the body");
    json_free(doc);
    op_end(&op);
    db_close(db);
}

TEST(outbox_list_goes_on_where_it_ended) {
    struct db *db = open_in(test_dir());
    for (uint64_t i = 0; i < 5; i++) queue(db, 1, i, "x", OK);
    struct store_op op = op_of(STORE_OUTBOX_LIST);
    size_t n = 0;
    do {
        op.count = 2;
        db_run(db, &op);
        struct json_doc *doc = list_of(&op);
        n += json_count(json_root(doc));
        json_free(doc);
    } while (op.more);
    CHECK(n == 5 && op.count == 1);
    op_end(&op);
    db_close(db);
}

TEST(outbox_peers_say_what_waits_for_whom) {
    const char *folder = test_dir();
    struct db *db = open_in(folder);
    int64_t first = queue(db, 1, 1, "a", OK);
    queue(db, 1, 2, "a", OK);
    int64_t other = queue(db, 2, 3, "b", OK);
    end_one(db, STORE_OUTBOX_DONE, queue(db, 3, 4, "c", OK), "gone", 1);
    end_one(db, STORE_OUTBOX_FAILED, other, "DENIED", 1);
    db_close(db);
    db = open_in(folder);
    struct store_op op = op_of(STORE_OUTBOX_PEERS);
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    struct rd r = rd_of(buf_view(&op.out));
    struct peer_id peer = peer_number(1);
    CHECK(bytes_eq(rd_take(&r, rd_u8(&r)), peer_id_view(&peer)));
    CHECK(rd_u32(&r) == 2 && rd_u64(&r) > 0 && (int64_t)rd_u64(&r) == first &&
          rd_u64(&r) == (uint64_t)NOW_MS);
    CHECK(!r.bad && r.in.n == 0, "peers without queued messages are not named");
    op_end(&op);
    db_close(db);
}
