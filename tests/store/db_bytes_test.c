/* Bytes of files go behind the commit: never those of a row that is still listed, always those of one that is
 * not. */
#include "files_help.h"

static void put_file(const char *folder, const char *name) {
    char path[300];
    join(path, sizeof path, home, folder);
    write_text(path, name, BYTES("x"));
}

static bool has(const char *folder, const char *name) {
    char path[300];
    join(path, sizeof path, home, folder);
    return file_is_there(path, name);
}

static void undone(struct db *db, enum store_kind kind, int64_t seq) {
    struct store_op op = file_op(kind, seq);
    run_undone(db, &op);
    op_end(&op);
}

static void check_read(struct db *db, int64_t seq, struct bytes want) {
    struct store_op op = file_op(STORE_FILE_READ, seq);
    op.bytes = want.n;
    run_op(db, &op, OK);
    CHECK(bytes_eq(buf_view(&op.out), want));
    op_end(&op);
}

/* SEED=840443 NODES=5-50 */
TEST(bytes_of_a_sent_file_stay_while_its_row_does) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, 1000);
    int64_t seq = added(db, 1, data.n);
    undone(db, STORE_FILE_CANCEL, seq);
    copy_all(db, seq, data.n); /* the copying goes on */
    undone(db, STORE_FILE_CANCEL, seq);
    check_row(db, 0, "state", "moving");
    check_read(db, seq, data);
    undone(db, STORE_FILE_ENDED, seq);
    check_row(db, 0, "state", "moving");
    check_read(db, seq, data);
    db = reopen(db); /* nor is the descriptor the only one that has them */
    check_read(db, seq, data);
    simply(db, STORE_FILE_CANCEL, seq, OK);
    CHECK(entries("outgoing") == 0);
    db_close(db);
}

TEST(bytes_of_a_received_file_stay_while_its_row_does) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, 2 * PART);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    write_at(db, seq, 0, bytes_at(content, PART), false, OK);
    undone(db, STORE_FILE_CANCEL, seq);
    struct store_op op = op_of(STORE_MAINTAIN); /* the sender gave up */
    op.now.ms = NOW_MS + INT64_C(3) * 24 * 3600 * 1000;
    op.limits[4] = 1;
    run_undone(db, &op);
    op_end(&op);
    check_row(db, 0, "state", "moving");
    write_at(db, seq, PART, bytes_at(content + PART, PART), true, OK);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED);
    undone(db, STORE_FILE_CANCEL, seq);
    check_row(db, 0, "state", "complete");
    check_saved(db, data);
    simply(db, STORE_FILE_CANCEL, seq, OK);
    CHECK(rows(db) == 0 && entries("files") == 0);
    db_close(db);
}

TEST(bytes_with_a_wrong_hash_go_behind_the_commit) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, 1000);
    struct file_offer o = offer_of(1, data);
    int64_t seq = taken(db, &o, 0);
    content[1] ^= 1;
    write_from(db, seq, 0, data);
    undone(db, STORE_FILE_CHECK, seq);
    CHECK(entries("files") == 1 && taken(db, &o, data.n) == seq, "its row says that they are there");
    CHECK(checked(db, seq, OK) == RECEIPT_BUSY && entries("files") == 0 && taken(db, &o, 0) == seq);
    db_close(db);
}

/* The disk is full: what was taken for the copy is free again at once, and the next one has its number. */
TEST(bytes_of_a_row_that_never_was_go) {
    struct db *db = begin();
    added(db, 1, 10);
    struct store_op op = file_op(STORE_FILE_ADD, 0);
    struct file_offer o = offer_of(2, bytes_at(content, 500));
    op.peer = peer_number(9);
    op.fd = source_of(bytes_at(content, 500));
    put_offer(&op.in, &o);
    run_undone(db, &op);
    op_end(&op);
    CHECK(op.fd == -1 && rows(db) == 1 && entries("outgoing") == 1, "%zu", entries("outgoing"));
    int64_t seq = added(db, 3, 700);
    copy_all(db, seq, 700);
    check_read(db, seq, bytes_at(content, 700));
    db_close(db);
}

/* What a crash between the commit and the unlinking leaves goes at the next start; nothing else does. */
TEST(bytes_that_no_row_wants_go_at_the_start) {
    struct db *db = begin();
    struct bytes data = bytes_at(content, 1000);
    struct file_offer o = offer_of(1, data);
    int64_t moving = added(db, 1, 1000), sent = added(db, 2, 1000), saved, half, cancelled, offered_one;
    copy_all(db, moving, 1000);
    copy_all(db, sent, 1000);
    simply(db, STORE_FILE_ENDED, sent, OK);
    saved = taken(db, &o, 0);
    write_from_all(db, saved, data);
    o = offer_of(2, data);
    half = taken(db, &o, 0);
    write_at(db, half, 0, bytes_at(content, 500), false, OK);
    o = offer_of(3, data);
    cancelled = taken(db, &o, 0);
    simply(db, STORE_FILE_CANCEL, cancelled, OK);
    o = offer_of(4, data);
    struct store_op op = offered(db, 5, &o, false);
    offered_one = op.seq;
    op_end(&op);
    CHECK(moving == 1 && sent == 2 && saved == 3 && half == 4 && cancelled == 5 && offered_one == 6);
    static const struct {
        const char *folder, *name;
        bool stays;
    } files[] = {{"outgoing", "00000002", false},       {"outgoing", "00000077", false},
                 {"outgoing", "00000003", false},       {"outgoing", "77", true},
                 {"outgoing", "000000077", true},       {"outgoing", "00000077.bak", true},
                 {"outgoing", "00000000", true},        {"outgoing", "99999999999999999999", true},
                 {"files", "00000005.part", false},     {"files", "00000005-big.bin", false},
                 {"files", "00000077.part", false},     {"files", "00000001.part", false},
                 {"files", "00000005-other.bin", true}, {"files", "00000077-big.bin", true},
                 {"files", "00000001-big.bin", true},   {"files", "00000004-big.bin", true},
                 {"files", "00000077", true},           {"files", "00000077-", true},
                 {"files", "00000077.partial", true},   {"files", "notes.part", true},
                 {"files", "-00000077.part", true}};
    for (size_t i = 0; i < LEN(files); i++) put_file(files[i].folder, files[i].name);
    db = reopen(db);
    op = file_op(STORE_FILE_QUEUE, moving); /* goes on with a long list: that is no start */
    run_op(db, &op, OK);
    CHECK(has("outgoing", "00000077"));
    op.seq = 0;
    run_op(db, &op, OK);
    CHECK(op.count == 1);
    op_end(&op);
    for (size_t i = 0; i < LEN(files); i++)
        CHECK(has(files[i].folder, files[i].name) == files[i].stays, "%s/%s", files[i].folder, files[i].name);
    CHECK(has("files", "00000003-big.bin") && has("files", "00000004.part") && has("outgoing", "00000001"));
    check_read(db, moving, data);
    db_close(db);
}

/* What can not be known is kept: rows that can not be read are no reason to remove anything. */
TEST(bytes_stay_while_the_rows_can_not_be_read) {
    struct db *db = begin();
    int64_t seq = added(db, 1, 1000);
    copy_all(db, seq, 1000);
    sql(db, "ALTER TABLE files RENAME COLUMN name TO other");
    db->sweep_bytes = true;
    simply(db, STORE_TOTALS, 0, OK);
    struct store_op op = op_of(STORE_META_PUT);
    snprintf(op.text, sizeof op.text, "some key");
    CHECK(buf_add_text(&op.in, "x"));
    run_op(db, &op, OK);
    op_end(&op);
    CHECK(!db->sweep_bytes && entries("outgoing") == 1);
    sql(db, "ALTER TABLE files RENAME COLUMN other TO name");
    check_read(db, seq, bytes_at(content, 1000));
    db_close(db);
}
