/* Peers, strangers, single values, totals, and rows that nobody needs any more. */
#include "help.h"

static void put(struct db *db, uint64_t n, const char *name, struct bytes record) {
    struct store_op op = op_of(STORE_PEER_PUT);
    op.peer = peer_number(n);
    op.flags = (uint32_t)n;
    op.when.ms = NOW_MS + (int64_t)n;
    snprintf(op.text, sizeof op.text, "%s", name);
    CHECK(buf_add(&op.in, record));
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    op_end(&op);
}

TEST(peers_come_back_as_they_were_put) {
    const char *folder = test_dir();
    struct db *db = open_in(folder);
    put(db, 1, "one", BYTES("old"));
    put(db, 2, "", BYTES("\0\xff"));
    put(db, 1, "uno", BYTES("new"));
    put(db, 3, "three", (struct bytes){NULL, 0});
    struct store_op op = op_of(STORE_PEER_DROP);
    op.peer = peer_number(3);
    db_run(db, &op);
    CHECK(op.err == OK);
    db_run(db, &op);
    CHECK(op.err == E_NOT_FOUND);
    db_close(db);
    db = open_in(folder);
    op = op_of(STORE_PEERS_LOAD);
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 2 && !op.more);
    struct rd r = rd_of(buf_view(&op.out));
    static const struct {
        const char *name;
        struct bytes record;
    } want[] = {{"uno", {(const uint8_t *)"new", 3}}, {"", {(const uint8_t *)"\0\xff", 2}}};
    for (uint64_t i = 0; i < 2; i++) {
        struct peer_id peer = peer_number(i + 1);
        CHECK(bytes_eq(rd_take(&r, rd_u8(&r)), peer_id_view(&peer)));
        CHECK(rd_u64(&r) == (uint64_t)NOW_MS + i + 1 && rd_u32(&r) == i + 1);
        CHECK(bytes_is(rd_take(&r, rd_u16(&r)), want[i].name));
        CHECK(bytes_eq(rd_take(&r, rd_u32(&r)), want[i].record));
    }
    CHECK(!r.bad && r.in.n == 0);
    op_end(&op);
    db_close(db);
}

TEST(peers_beyond_one_answer_come_in_the_next) {
    struct db *db = open_in(test_dir());
    uint8_t record[1000] = {1};
    for (uint64_t i = 0; i < 5; i++) put(db, i, "name", bytes_at(record, sizeof record));
    struct store_op op = op_of(STORE_PEERS_LOAD);
    op.out.max = 2500;
    size_t n = 0, rounds = 0;
    do {
        db_run(db, &op);
        CHECK(op.err == OK && op.count > 0);
        n += op.count;
        rounds++;
    } while (op.more);
    CHECK(n == 5 && rounds == 3);
    op_end(&op);
    db_close(db);
}

TEST(peers_names_are_in_the_listings) {
    struct db *db = open_in(test_dir());
    receive(db, 1, 1, "x");
    put(db, 1, "alpha \"quoted\"", BYTES("r"));
    struct store_op op = op_of(STORE_INBOX_LIST);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    CHECK(bytes_is(json_get_bytes(json_at(json_root(doc), 0), "name"), "alpha \"quoted\""));
    json_free(doc);
    op_end(&op);
    db_close(db);
}

TEST(peers_records_have_a_limit) {
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_PEER_PUT);
    op.peer = peer_number(1);
    CHECK(buf_add_space(&op.in, 64 << 10) != NULL);
    memset(op.in.p, 0, op.in.n);
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    CHECK(buf_add_byte(&op.in, 0));
    db_run(db, &op);
    CHECK(op.err == E_LIMIT);
    op_end(&op);
    op = op_of(STORE_PEER_PUT);
    db_run(db, &op);
    CHECK(op.err == E_INPUT, "nobody");
    op_end(&op);
    db_close(db);
}

TEST(strangers_are_kept_up_to_the_limit_newest_first) {
    struct db *db = open_in(test_dir());
    for (uint64_t i = 0; i < 5; i++) {
        struct store_op op = op_of(STORE_STRANGER);
        op.peer = peer_number(i == 4 ? 1 : i); /* number 1 comes again */
        op.now.ms = NOW_MS + (int64_t)i;
        op.limits[0] = 3;
        db_run(db, &op);
        CHECK(op.err == OK, "%s", op.why.text);
        op_end(&op);
    }
    struct peer_id again = peer_number(1), gone = peer_number(0);
    char text[PEER_TEXT_MAX], line[256];
    sqlite3_stmt *s = NULL;
    peer_id_text(&again, text);
    snprintf(line, sizeof line,
             "SELECT count(*), (SELECT tries FROM strangers WHERE peer = '%s') FROM strangers", text);
    CHECK(sqlite3_prepare_v2(db->sql, line, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW);
    CHECK(sqlite3_column_int(s, 0) == 3 && sqlite3_column_int(s, 1) == 2);
    sqlite3_finalize(s);
    peer_id_text(&gone, text);
    snprintf(line, sizeof line, "SELECT 1 FROM strangers WHERE peer = '%s'", text);
    CHECK(sqlite3_prepare_v2(db->sql, line, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_DONE);
    sqlite3_finalize(s);
    db_close(db);
}

TEST(values_are_kept_by_name) {
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_META_GET);
    snprintf(op.text, sizeof op.text, "a key");
    db_run(db, &op);
    CHECK(op.err == E_NOT_FOUND);
    for (size_t i = 0; i < 2; i++) {
        op.kind = STORE_META_PUT;
        buf_clear(&op.in);
        CHECK(buf_add(&op.in, i == 0 ? BYTES("first") : BYTES("a\0b")));
        db_run(db, &op);
        CHECK(op.err == OK, "%s", op.why.text);
    }
    op.kind = STORE_META_GET;
    db_run(db, &op);
    CHECK(op.err == OK && bytes_eq(buf_view(&op.out), BYTES("a\0b")));
    op.kind = STORE_META_PUT;
    snprintf(op.text, sizeof op.text, "schema_needs");
    db_run(db, &op);
    CHECK(op.err == E_INPUT, "the store's own");
    op_end(&op);
    db_close(db);
}

/* Senders whose messages and ids are gone leave nothing behind: strangers could fill the table otherwise. */
TEST(senders_without_anything_are_forgotten) {
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_MAINTAIN);
    db_run(db, &op);
    for (uint64_t i = 0; i < 3; i++) receive(db, i, 0x1000000 + i, "x");
    struct store_op drop = ask_text(db, STORE_INBOX_DELETE, "1000000", OK);
    op_end(&drop);
    drop = ask_text(db, STORE_INBOX_DELETE, "1000001", OK);
    op_end(&drop);
    op.now.ms = NOW_MS + 5000;
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 0, "their ids are remembered still");
    op.limits[1] = 1;
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 5, "3 ids and 2 senders: %" PRIu64, op.count);
    op_end(&op);
    CHECK(total_of(db, "inbox") == 1);
    CHECK(receive(db, 0, 0x1000000, "x") == RECEIPT_STORED && receive(db, 2, 7, "x") == RECEIPT_STORED);
    check_db(db);
    db_close(db);
}

TEST(sizes_apply_at_once) {
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_CONFIGURE);
    op.limits[0] = 4 << 20;
    op.limits[1] = 32 << 20;
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    sqlite3_stmt *s = NULL;
    CHECK(sqlite3_prepare_v2(db->sql, "PRAGMA cache_size", -1, &s, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == -4096);
    sqlite3_finalize(s);
    CHECK(sqlite3_prepare_v2(db->sql, "PRAGMA max_page_count", -1, &s, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == (32 << 20) / DB_PAGE);
    sqlite3_finalize(s);
    op_end(&op);
    db_close(db);
}
