/* The rows of large files: quotas, offers that wait, who gives way, what goes with time, listings. */
#include <stdarg.h>

#include "files_help.h"

TEST(file_quota_and_rows) {
    struct db *db = begin();
    struct store_op op = add(db, 1, source_of(bytes_at(content, 1000)), 1000, 999, 10, E_LIMIT);
    CHECK(bytes_has(bytes_of(op.why.text), BYTES("files.quota")));
    op_end(&op);
    CHECK(rows(db) == 0 && entries("outgoing") == 0);
    op = add(db, 1, source_of(bytes_at(content, 1000)), 1000, 1000, 1, OK);
    op_end(&op);
    op = add(db, 2, source_of(bytes_at(content, 1)), 1, 1000, 10, E_LIMIT);
    op_end(&op);
    op = add(db, 2, source_of(bytes_at(content, 1)), 1, 1001, 1, E_LIMIT);
    CHECK(bytes_has(bytes_of(op.why.text), BYTES("files")));
    op_end(&op);
    op = add(db, 2, source_of(bytes_at(content, 1)), 1, 1001, 2, OK);
    op_end(&op);
    copy_all(db, 1, 1000);
    simply(db, STORE_FILE_ENDED, 1, OK);
    op = add(db, 3, source_of(bytes_at(content, 1000)), 1000, 1001, 2, OK); /* what has ended gives way */
    op_end(&op);
    CHECK(rows(db) == 2);
    db_close(db);
}

/* The oldest first, as many as are needed; never one that goes on, nor one that waits to be saved. */
TEST(file_rows_that_ended_give_way) {
    struct db *db = begin();
    for (uint64_t i = 1; i <= 6; i++) {
        int64_t seq = added(db, i, 10);
        copy_all(db, seq, 10);
        if (i == 6) break;
        struct store_op op = file_op(STORE_FILE_ENDED, seq);
        op.now.ms = NOW_MS + (i == 3 ? 0 : (int64_t)i); /* the third ended first */
        snprintf(op.text, sizeof op.text, "%s", i % 2 == 0 ? "expired" : "");
        run_op(db, &op, OK);
        op_end(&op);
    }
    struct store_op op = add(db, 7, source_of(bytes_at(content, 10)), 10, 19, 6, E_LIMIT);
    op_end(&op);
    CHECK(rows(db) == 6, "no room for its bytes: nothing gave way");
    op = add(db, 7, source_of(bytes_at(content, 10)), 10, 1000, 6, OK);
    op_end(&op);
    CHECK(rows(db) == 6);
    simply(db, STORE_FILE_CANCEL, 3, E_NOT_FOUND);
    op = add(db, 8, source_of(bytes_at(content, 10)), 10, 1000, 4, OK); /* the limit is lower now */
    op_end(&op);
    CHECK(rows(db) == 4);
    simply(db, STORE_FILE_CANCEL, 4, E_NOT_FOUND);
    check_row(db, 0, "state", "complete");
    op = add(db, 9, source_of(bytes_at(content, 10)), 10, 1000, 3, E_LIMIT);
    op_end(&op);
    CHECK(rows(db) == 4, "only one has ended");
    struct file_offer o = offer_of(10, bytes_at(content, 10));
    op = file_op(STORE_FILE_OFFER, 0);
    op.peer = peer_number(5);
    op.flags = FILE_WANTED;
    op.limits[1] = 4;
    put_offer(&op.in, &o);
    run_op(db, &op, OK);
    CHECK(op.status == RECEIPT_NONE && rows(db) == 4, "for offers, too");
    op_end(&op);
    write_from_all(db, op.seq, bytes_at(content, 10));
    op = add(db, 11, source_of(bytes_at(content, 10)), 10, 1000, 4, E_LIMIT);
    op_end(&op);
    db_close(db);
}

TEST(file_half_copies_go_at_the_start) {
    struct db *db = begin();
    int64_t kept = added(db, 1, sizeof content);
    copy_all(db, kept, sizeof content);
    for (uint64_t i = 2; i < 2 + DB_STEP_MAX + 3; i++) {
        int64_t seq = added(db, i, 2 * FILE_SLICE);
        simply(db, STORE_FILE_COPY, seq, OK);
    }
    db = reopen(db);
    CHECK(entries("outgoing") == DB_STEP_MAX + 4);
    int64_t new_one = added(db, 5000, 2 * FILE_SLICE); /* a first try may have failed (SEED=868148) */
    simply(db, STORE_FILE_COPY, new_one, OK);
    struct store_op op = file_op(STORE_FILE_QUEUE, 0);
    run_op(db, &op, OK);
    CHECK(op.count == 1);
    op_end(&op);
    CHECK(rows(db) == 2 && entries("outgoing") == 2);
    simply(db, STORE_FILE_COPY, kept, E_INPUT);
    copy_all(db, new_one, 2 * FILE_SLICE);
    db_close(db);
}

TEST(file_queue_comes_in_pieces) {
    struct db *db = begin();
    size_t seen = 0;
    for (uint64_t i = 1; i <= 5; i++) copy_all(db, added(db, i, 3), 3);
    struct store_op op = file_op(STORE_FILE_QUEUE, 0);
    op.out.max = 500;
    for (int turn = 0; turn < 10; turn++) {
        run_op(db, &op, OK);
        seen += op.count;
        if (!op.more) break;
        CHECK(op.count > 0);
    }
    CHECK(seen == 5 && !op.more);
    op_end(&op);
    db_close(db);
}

/* SEED=502979: what no memory was left for was passed over, and stayed moving until the next start. */
TEST(file_queue_that_failed_is_asked_again_from_where_it_began) {
    struct db *db = begin();
    size_t failures = 0;
    for (uint64_t i = 1; i <= 3; i++) copy_all(db, added(db, i, 3), 3);
    for (long after = 0; after < 50; after++) {
        struct store_op op = file_op(STORE_FILE_QUEUE, 1);
        mem_fail_after(after);
        db_batch(db, &op);
        mem_fail_after(-1);
        failures += op.err == E_MEMORY;
        CHECK(op.err == OK ? op.count == 2 && op.seq == 3 : op.seq == 1, "failed: %d, seq %lld", op.err,
              (long long)op.seq);
        op_end(&op);
    }
    CHECK(failures > 0);
    db_close(db);
}

TEST(file_same_id_other_content_is_invalid) {
    struct db *db = begin();
    struct file_offer o = offer_of(1, bytes_at(content, 1000)), other = o;
    taken(db, &o, 0);
    other.size++;
    CHECK(status_of(db, 5, &other, true) == RECEIPT_INVALID);
    other = o;
    other.hash[0] ^= 1;
    CHECK(status_of(db, 5, &other, true) == RECEIPT_INVALID);
    other.id[0] ^= 1;
    CHECK(status_of(db, 5, &other, true) == RECEIPT_NONE, "another id is another file");
    CHECK(status_of(db, 6, &o, true) == RECEIPT_NONE, "another peer's ids are its own");
    CHECK(receive(db, 7, 77, "x") == RECEIPT_STORED);
    id_number(77, other.id);
    CHECK(status_of(db, 7, &other, true) == RECEIPT_DUPLICATE, "a message had this id");
    db_close(db);
}

TEST(file_offers_wait_within_limits) {
    struct db *db = begin();
    struct file_offer o = offer_of(1, bytes_at(content, 1000));
    char id[33] = "";
    struct store_op op = offered(db, 5, &o, false);
    int64_t seq = op.seq;
    CHECK(op.status == RECEIPT_NONE && (op.flags & FILE_WAITS) != 0);
    op_end(&op);
    CHECK(total_of(db, "files_offered") == 1 && total_of(db, "files_bytes") == 0, "an offer takes no space");
    write_at(db, seq, 0, bytes_at(content, 10), false, E_NOT_FOUND);
    for (uint64_t i = 2; i <= 11; i++) {
        o = offer_of(i, bytes_at(content, 1000));
        CHECK(status_of(db, 5, &o, false) == (i <= 10 ? RECEIPT_NONE : RECEIPT_BUSY), "offer %" PRIu64, i);
    }
    for (uint64_t i = 1; i <= 91; i++) {
        o = offer_of(i, bytes_at(content, 1000));
        CHECK(status_of(db, 100 + i, &o, false) == (i <= 90 ? RECEIPT_NONE : RECEIPT_BUSY), "peer %" PRIu64,
              i);
    }
    o = offer_of(1, bytes_at(content, 1000));
    op = offered(db, 5, &o, false);
    CHECK(op.seq == seq && (op.flags & FILE_WAITS) != 0, "asked again, it still waits");
    op_end(&op);
    op = file_op(STORE_FILE_LIST, 0);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    bytes_cstr(json_get_bytes(json_at(json_root(doc), 0), "id"), id, sizeof id);
    json_free(doc);
    op_end(&op);
    op = file_op(STORE_FILE_ACCEPT, 0);
    op.limits[0] = 999;
    CHECK(buf_add_text(&op.in, id));
    run_op(db, &op, E_INPUT); /* several peers chose this id */
    op_end(&op);
    for (uint64_t i = 1; i <= 90; i++) simply(db, STORE_FILE_CANCEL, (int64_t)i + 10, OK);
    for (uint64_t i = 1; i <= 90; i++) simply(db, STORE_FILE_CANCEL, (int64_t)i + 10, OK);
    op = file_op(STORE_FILE_ACCEPT, 0);
    op.limits[0] = 999;
    CHECK(buf_add_text(&op.in, id));
    run_op(db, &op, E_LIMIT);
    op.limits[0] = 1000;
    run_op(db, &op, OK);
    CHECK(op.seq == seq && op.count == 0 && op.bytes == 1000);
    run_op(db, &op, E_INPUT); /* not offered any more */
    op_end(&op);
    CHECK(taken(db, &o, 0) == seq);
    o = offer_of(2, bytes_at(content, 1000));
    CHECK(taken(db, &o, 0) != 0, "files.from was changed: what waited is taken");
    db_close(db);
}

TEST(file_quota_of_a_receiver) {
    struct db *db = begin();
    struct file_offer o = offer_of(1, bytes_at(content, 1000));
    struct store_op op = file_op(STORE_FILE_OFFER, 0);
    op.peer = peer_number(5);
    op.flags = FILE_WANTED;
    op.limits[0] = 999;
    put_offer(&op.in, &o);
    run_op(db, &op, OK);
    CHECK(op.status == RECEIPT_BUSY && strcmp(op.why.text, "files.quota") == 0 && rows(db) == 0);
    op.limits[0] = 1000;
    op.limits[1] = 0;
    run_op(db, &op, OK);
    CHECK(op.status == RECEIPT_BUSY && rows(db) == 0);
    op.limits[1] = 1;
    run_op(db, &op, OK);
    CHECK(op.status == RECEIPT_NONE && rows(db) == 1);
    op_end(&op);
    write_from(db, 1, 0, bytes_at(content, 1000));
    CHECK(checked(db, 1, OK) == RECEIPT_STORED && total_of(db, "files_bytes") == 1000, "kept ones count");
    simply(db, STORE_FILE_CANCEL, 1, OK);
    CHECK(total_of(db, "files_bytes") == 0 && entries("files") == 0);
    CHECK(status_of(db, 5, &o, true) == RECEIPT_DUPLICATE, "it is not sent again");
    db_close(db);
}

TEST(file_cancel_in_each_state) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, 1000);
    struct file_offer o = offer_of(1, data);
    struct store_op op = offered(db, 5, &o, false);
    op_end(&op);
    simply(db, STORE_FILE_CANCEL, op.seq, OK);
    check_row(db, 0, "state", "failed");
    CHECK(status_of(db, 5, &o, true) == RECEIPT_DENIED, "a refused offer stays refused");
    o = offer_of(2, data);
    int64_t seq = taken(db, &o, 0);
    write_at(db, seq, 0, bytes_at(content, 500), false, OK);
    CHECK(entries("files") == 1);
    simply(db, STORE_FILE_CANCEL, seq, OK);
    CHECK(entries("files") == 0 && status_of(db, 5, &o, true) == RECEIPT_DENIED);
    write_at(db, seq, 500, bytes_at(content, 500), true, E_NOT_FOUND);
    simply(db, STORE_FILE_CHECK, seq, E_NOT_FOUND);
    CHECK(entries("files") == 0, "a part that was under way leaves nothing");
    simply(db, STORE_FILE_CANCEL, seq, OK); /* of an ended one: the row goes */
    CHECK(rows(db) == 1);
    int64_t out = added(db, 9, 1000);
    simply(db, STORE_FILE_CANCEL, out, OK);
    CHECK(rows(db) == 1 && entries("outgoing") == 0, "copying: nobody was told of it");
    out = added(db, 9, 1000);
    copy_all(db, out, 1000);
    op = file_op(STORE_FILE_CANCEL, out);
    run_op(db, &op, OK);
    CHECK((op.flags & FILE_OUT) != 0 && entries("outgoing") == 0);
    op_end(&op);
    simply(db, STORE_FILE_TRIED, out, OK);
    check_row(db, 1, "state", "failed");
    simply(db, STORE_FILE_CANCEL, 12345, E_NOT_FOUND);
    op = ask_text(db, STORE_FILE_CANCEL, "abcdef", E_NOT_FOUND);
    op_end(&op);
    op = ask_text(db, STORE_FILE_CANCEL, "abcde", E_INPUT);
    op_end(&op);
    db_close(db);
}

enum { DAY_MS = 24 * 3600 * 1000 };

static struct store_op maintain_at(struct db *db, int64_t ms) {
    struct store_op op = op_of(STORE_MAINTAIN);
    op.now.ms = NOW_MS + ms;
    op.limits[3] = (uint64_t)(INT64_C(7) * DAY_MS);
    op.limits[4] = (uint64_t)(INT64_C(30) * DAY_MS);
    run_op(db, &op, OK);
    op_end(&op);
    return op;
}

/* An offer that nobody answers; a transfer that stops; one of a sender whose clock is decades behind, who has
 * 20 days; and one of ours that has ended. */
TEST(file_rows_go_with_time) {
    struct db *db = begin();
    const int64_t day = DAY_MS;
    struct file_offer o = offer_of(1, bytes_at(content, 10));
    struct store_op op = offered(db, 5, &o, false);
    op_end(&op);
    o = offer_of(2, bytes_at(content, 10));
    taken(db, &o, 0);
    write_at(db, 2, 0, bytes_at(content, 5), false, OK);
    o = offer_of(3, bytes_at(content, 10));
    o.sent_ms = 5000;
    o.expires_ms = (uint64_t)(5000 + 20 * day);
    taken(db, &o, 0);
    write_at(db, 3, 0, bytes_at(content, 5), false, OK);
    copy_all(db, added(db, 4, 10), 10);
    simply(db, STORE_FILE_ENDED, 4, OK);
    const struct {
        int64_t ms;
        size_t rows, parts;
    } steps[] = {{0, 4, 2},
                 {day + 999, 4, 2},
                 {day + 1000, 4, 1},
                 {7 * day, 4, 1},
                 {7 * day + 1, 3, 1},
                 {21 * day - 1, 3, 1},
                 {21 * day, 3, 0},
                 {30 * day, 3, 0},
                 {30 * day + 1, 2, 0},
                 {31 * day + 1001, 1, 0},
                 {51 * day + 1, 0, 0}};
    for (size_t i = 0; i < LEN(steps); i++) {
        maintain_at(db, steps[i].ms);
        CHECK(rows(db) == steps[i].rows && entries("files") == steps[i].parts,
              "day %.5f: %zu rows, %zu parts", (double)steps[i].ms / DAY_MS, rows(db), entries("files"));
        if (steps[i].ms == 7 * day) check_row(db, 1, "last_error", "the sender gave up");
    }
    db_close(db);
}

/* Whatever an offer says of its times, its space is free again after 91 days, and not before a day. */
TEST(file_offers_with_strange_times_end) {
    static const struct {
        uint64_t sent, expires;
        int64_t ends;
    } times[] = {{1, 0, INT64_C(91) * DAY_MS},           {NOW_MS, 0, INT64_C(91) * DAY_MS},
                 {NOW_MS, NOW_MS, INT64_C(91) * DAY_MS}, {NOW_MS, NOW_MS - 1, INT64_C(91) * DAY_MS},
                 {1, INT64_MAX, INT64_C(91) * DAY_MS},   {NOW_MS, NOW_MS + 1, DAY_MS + 1}};
    for (size_t i = 0; i < LEN(times); i++) {
        struct db *db = begin();
        struct file_offer o = offer_of(1, bytes_at(content, 10));
        o.sent_ms = times[i].sent;
        o.expires_ms = times[i].expires;
        taken(db, &o, 0);
        maintain_at(db, times[i].ends - 1);
        check_row(db, 0, "state", "moving");
        maintain_at(db, times[i].ends);
        check_row(db, 0, "state", "failed");
        CHECK(total_of(db, "files_bytes") == 0, "row %zu", i);
        CHECK(status_of(db, 5, &o, true) == RECEIPT_DENIED);
        db_close(db);
    }
}

/* Those behind many that go on are reached, too. */
TEST(file_upkeep_is_bounded_and_reaches_all) {
    struct db *db = begin();
    for (uint64_t i = 1; i <= DB_STEP_MAX + 5; i++) {
        struct file_offer o = offer_of(i, bytes_at(content, 10));
        if (i <= DB_STEP_MAX) o.expires_ms = (uint64_t)NOW_MS + INT64_C(50) * DAY_MS;
        taken(db, &o, 0);
    }
    struct store_op op = maintain_at(db, INT64_C(2) * DAY_MS);
    CHECK(op.more && op.count == 0);
    op = maintain_at(db, INT64_C(2) * DAY_MS);
    CHECK(op.count == 5 && total_of(db, "files_in") == DB_STEP_MAX);
    op = maintain_at(db, INT64_C(60) * DAY_MS);
    CHECK(op.more && op.count >= DB_STEP_MAX);
    maintain_at(db, INT64_C(60) * DAY_MS);
    CHECK(total_of(db, "files_in") == 0);
    db_close(db);
}

/* ---- listing: the columns of operations.md S2.3, and those after + */

static void check_item(struct db *db, size_t place, const char *want, ...) {
    struct store_op op = file_op(STORE_FILE_LIST, 0);
    struct buf got = {.max = 8192}, expected = {.max = 8192};
    va_list ap;
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    va_start(ap, want);
    char text[4096];
    vsnprintf(text, sizeof text, want, ap);
    va_end(ap);
    CHECK(json_print(json_at(json_root(doc), place), &got) && buf_add_text(&expected, text));
    CHECK(bytes_eq(buf_view(&got), buf_view(&expected)), "%.*s\nnot %s", (int)got.n, (const char *)got.p,
          text);
    buf_free(&got);
    buf_free(&expected);
    json_free(doc);
    op_end(&op);
}

static const char *hex_of(struct bytes b) {
    static char ring[4][80];
    static size_t at;
    char *out = ring[at++ % LEN(ring)];
    struct buf text = {(uint8_t *)out, 0, 79, 79};
    CHECK(hex_encode(&text, b));
    out[text.n] = 0;
    return out;
}

TEST(file_list_has_all_columns_in_each_state) {
    struct db *db = begin();
    char us[PEER_TEXT_MAX], them[PEER_TEXT_MAX];
    struct bytes data = bytes_at(content, 1000);
    struct file_offer o = offer_of(1, data);
    const char *id = hex_of(bytes_at(o.id, sizeof o.id)), *sum = hex_of(bytes_at(o.hash, sizeof o.hash));
    peer_to_text(&(struct peer_id[]){peer_number(5)}[0], them);
    peer_to_text(&(struct peer_id[]){peer_number(9)}[0], us);
    struct store_op op = op_of(STORE_PEER_PUT);
    op.peer = peer_number(5);
    snprintf(op.text, sizeof op.text, "anna");
    run_op(db, &op, OK);
    op_end(&op);
    const char *in =
        "{\"id\":\"%s\",\"peer_id\":\"%s\",\"peer\":\"anna\",\"direction\":\"in\",\"state\":\"%s\","
        "\"bytes\":1000,\"done\":%d,\"name\":\"big.bin\",\"created\":\"2026-09-21T14:13:20.000Z\","
        "\"last_error\":%s,\"sha256\":\"%s\",\"path\":%s%s%s}";
    op = offered(db, 5, &o, false);
    op_end(&op);
    check_item(db, 0, in, id, them, "offered", 0, "null", sum, "null", "", "");
    taken(db, &o, 0);
    check_item(db, 0, in, id, them, "moving", 0, "null", sum, "null", "", "");
    write_from_all(db, 1, data);
    check_item(db, 0, in, id, them, "complete", 1000, "null", sum, "\"", home, "/files/00000001-big.bin\"");
    CHECK(file_is_there(home, "files/00000001-big.bin"), "the path is right");
    o = offer_of(2, data);
    id = hex_of(bytes_at(o.id, sizeof o.id));
    taken(db, &o, 0);
    simply(db, STORE_FILE_CANCEL, 2, OK);
    check_item(db, 1, in, id, them, "failed", 0, "\"cancelled\"", sum, "null", "", "");
    const char *out =
        "{\"id\":\"%s\",\"peer_id\":\"%s\",\"peer\":null,\"direction\":\"out\",\"state\":\"%s\","
        "\"bytes\":1000,\"done\":%d,\"name\":\"big.bin\",\"created\":\"2026-09-21T14:13:20.000Z\","
        "\"last_error\":%s,\"sha256\":%s%s%s,\"path\":null}";
    o = offer_of(3, data);
    id = hex_of(bytes_at(o.id, sizeof o.id));
    added(db, 3, 1000);
    check_item(db, 2, out, id, us, "moving", 0, "null", "null", "", ""); /* its hash is not known yet */
    copy_all(db, 3, 1000);
    check_item(db, 2, out, id, us, "moving", 0, "null", "\"", sum, "\"");
    op = file_op(STORE_FILE_TRIED, 3);
    op.count = 700;
    op.flags = FILE_WAITS;
    snprintf(op.text, sizeof op.text, "no answer");
    run_op(db, &op, OK);
    op_end(&op);
    check_item(db, 2, out, id, us, "offered", 700, "\"no answer\"", "\"", sum, "\"");
    simply(db, STORE_FILE_ENDED, 3, OK);
    check_item(db, 2, out, id, us, "complete", 1000, "null", "\"", sum, "\"");
    db_close(db);
}

TEST(file_list_comes_in_pieces_of_at_most_so_many) {
    struct db *db = begin();
    for (uint64_t i = 1; i <= 5; i++) added(db, i, 1);
    struct store_op op = file_op(STORE_FILE_LIST, 0);
    size_t seen = 0;
    for (int turn = 0; turn < 5; turn++) {
        op.count = 2;
        buf_clear(&op.out);
        run_op(db, &op, OK);
        seen += op.count;
        if (!op.more) break;
        CHECK(op.count == 2 && op.seq == 2 * (turn + 1));
    }
    CHECK(seen == 5 && !op.more);
    op_end(&op);
    db_close(db);
}
