/* The inbox: receipts, quotas, remembered ids, listing, search, reading, followers, deletion. */
#include "help.h"

TEST(inbox_stores_once_per_sender) {
    const char *folder = test_dir();
    struct db *db = open_in(folder);
    CHECK(receive(db, 1, 1, "hello") == RECEIPT_STORED);
    CHECK(receive(db, 1, 1, "hello") == RECEIPT_DUPLICATE);
    CHECK(receive(db, 2, 1, "the same id, another sender") == RECEIPT_STORED);
    db_close(db);
    db = open_in(folder);
    CHECK(receive(db, 1, 1, "hello") == RECEIPT_DUPLICATE);
    CHECK(total_of(db, "inbox") == 2 && total_of(db, "inbox_unread") == 2 &&
          total_of(db, "messages_in") == 2);
    check_db(db);
    db_close(db);
}

TEST(inbox_remembers_what_was_deleted) {
    struct db *db = open_in(test_dir());
    CHECK(receive(db, 1, 0xabcdef, "hello") == RECEIPT_STORED);
    struct store_op op = ask_text(db, STORE_INBOX_DELETE, "ABCdef", OK);
    CHECK(op.count == 1);
    op_end(&op);
    CHECK(receive(db, 1, 0xabcdef, "hello") == RECEIPT_DUPLICATE);
    CHECK(total_of(db, "inbox") == 0 && total_of(db, "inbox_bytes") == 0 &&
          total_of(db, "inbox_unread") == 0);
    check_db(db);
    db_close(db);
}

/* limits[which] is met exactly by three messages; the fourth is refused, and a known one is still known. */
static void quota(size_t which, uint32_t flags, bool by_bytes) {
    struct db *db = open_in(test_dir());
    struct buf frame = {.max = 1000};
    add_frame(&frame, 0, BYTES("0123456789"));
    for (uint64_t i = 1; i <= 5; i++) {
        struct store_op op = op_of(STORE_INBOX_ADD);
        op.peer = peer_number(1);
        op.tag = 100 + i;
        op.flags = flags;
        op.limits[which] = by_bytes ? frame.n * 3 : 3;
        add_frame(&op.in, i == 5 ? 2 : i, BYTES("0123456789"));
        db_run(db, &op);
        enum receipt_status want = i < 4 ? RECEIPT_STORED : i == 4 ? RECEIPT_BUSY : RECEIPT_DUPLICATE;
        CHECK(op.err == OK && op.status == want, "limit %zu, message %" PRIu64 ": %s", which, i,
              receipt_status_name(op.status));
        op_end(&op);
    }
    CHECK(total_of(db, "inbox") == 3);
    buf_free(&frame);
    check_db(db);
    db_close(db);
}

TEST(inbox_quota_of_messages) {
    quota(0, 0, false);
}
TEST(inbox_quota_of_bytes) {
    quota(1, 0, true);
}
TEST(inbox_quota_of_messages_of_a_peer) {
    quota(2, 0, false);
}
TEST(inbox_quota_of_bytes_of_a_peer) {
    quota(3, 0, true);
}
TEST(inbox_quota_of_bytes_of_strangers) {
    quota(4, INBOX_STRANGER, true);
}

TEST(inbox_quotas_are_per_peer_and_free_again) {
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_INBOX_ADD);
    for (uint64_t i = 1; i <= 3; i++) {
        op_end(&op);
        op = op_of(STORE_INBOX_ADD);
        op.peer = peer_number(i == 3 ? 2 : 1);
        op.limits[2] = 1;
        add_frame(&op.in, 0x1000000 + i, BYTES("x"));
        db_run(db, &op);
        CHECK(op.status == (i == 2 ? RECEIPT_BUSY : RECEIPT_STORED), "%" PRIu64, i);
    }
    op_end(&op);
    op = ask_text(db, STORE_INBOX_DELETE, "1000001", OK);
    op_end(&op);
    op = op_of(STORE_INBOX_ADD);
    op.peer = peer_number(1);
    op.limits[2] = 1;
    add_frame(&op.in, 9, BYTES("x"));
    db_run(db, &op);
    CHECK(op.status == RECEIPT_STORED, "there is room again");
    op_end(&op);
    check_db(db);
    db_close(db);
}

TEST(inbox_busy_sticks_to_its_stream) {
    struct db *db = open_in(test_dir());
    enum receipt_status want[] = {RECEIPT_BUSY, RECEIPT_BUSY, RECEIPT_STORED};
    for (uint64_t i = 0; i < LEN(want); i++) {
        struct store_op op = op_of(STORE_INBOX_ADD);
        op.peer = peer_number(1);
        op.tag = i < 2 ? 77 : 78;
        op.limits[0] = i == 0 ? 0 : 100;
        add_frame(&op.in, i, BYTES("x"));
        db_run(db, &op);
        CHECK(op.status == want[i], "%" PRIu64 ": %s", i, receipt_status_name(op.status));
        op_end(&op);
    }
    db_close(db);
}

TEST(inbox_forgets_the_oldest_id_at_the_limit) {
    struct db *db = open_in(test_dir());
    for (uint64_t i = 0; i < 6; i++) {
        struct store_op op = op_of(STORE_INBOX_ADD);
        op.peer = peer_number(1);
        op.limits[5] = 5;
        add_frame(&op.in, i, BYTES("x"));
        db_run(db, &op);
        CHECK(op.status == RECEIPT_STORED);
        op_end(&op);
    }
    CHECK(total_of(db, "remembered_ids") == 5);
    CHECK(receive(db, 1, 1, "x") == RECEIPT_DUPLICATE);
    CHECK(receive(db, 1, 0, "x") == RECEIPT_STORED, "the first one is forgotten");
    check_db(db);
    db_close(db);
}

TEST(inbox_forgets_by_elapsed_time_not_by_the_clock) {
    const int64_t hour = 3600 * 1000, day = 24 * hour;
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_MAINTAIN);
    db_run(db, &op); /* the clock begins */
    CHECK(receive(db, 1, 1, "x") == RECEIPT_STORED);
    op.limits[1] = (uint64_t)(3 * day);
    op.now.ms = NOW_MS + 400 * day; /* a jump: a day at most is believed */
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 0);
    op.now.ms = NOW_MS; /* and back */
    db_run(db, &op);
    CHECK(receive(db, 1, 1, "x") == RECEIPT_DUPLICATE);
    for (int64_t h = 1; h <= 49; h++) {
        op.now.ms = NOW_MS + h * hour;
        db_run(db, &op);
        CHECK(op.err == OK && op.count == (h == 49 ? 1u : 0u), "hour %" PRId64 ": %" PRIu64, h, op.count);
    }
    op_end(&op);
    CHECK(total_of(db, "remembered_ids") == 0);
    db_close(db);
}

TEST(inbox_list_is_oldest_first_and_filtered) {
    struct db *db = open_in(test_dir());
    for (uint64_t i = 1; i <= 5; i++) receive(db, i % 2, 0x1000000 + i, "body");
    struct store_op op = ask_text(db, STORE_INBOX_READ, "1000003", OK);
    op_end(&op);
    op = ask_text(db, STORE_INBOX_MARK, "1000003", OK);
    op.flags = INBOX_MARK;
    db_run(db, &op);
    op_end(&op);
    static const struct {
        uint64_t count, sender;
        uint32_t flags;
        const char *ids;
        bool more;
    } rows[] = {
        {0, 99, 0, "12345", false},      {2, 99, 0, "45", true}, {5, 99, 0, "12345", false},
        {0, 1, 0, "135", false},         {0, 0, 0, "24", false}, {0, 99, INBOX_UNREAD, "1245", false},
        {1, 1, INBOX_UNREAD, "5", true},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        char ids[16] = "";
        op = op_of(STORE_INBOX_LIST);
        op.count = rows[i].count;
        op.flags = rows[i].flags;
        if (rows[i].sender != 99) op.peer = peer_number(rows[i].sender);
        db_run(db, &op);
        struct json_doc *doc = list_of(&op);
        for (size_t k = 0; k < json_count(json_root(doc)); k++) {
            struct bytes id = json_get_bytes(json_at(json_root(doc), k), "id");
            CHECK(id.n == 32);
            ids[k] = (char)id.p[31];
        }
        CHECK(strcmp(ids, rows[i].ids) == 0 && op.more == rows[i].more, "row %zu: %s", i, ids);
        json_free(doc);
        op_end(&op);
    }
    CHECK(total_of(db, "inbox_unread") == 4);
    check_db(db);
    db_close(db);
}

TEST(inbox_list_survives_what_senders_write) {
    struct db *db = open_in(test_dir());
    struct store_op op = op_of(STORE_INBOX_ADD);
    struct message m = message_number(1, BYTES("x"));
    m.subject = BYTES("\"},{\x1b[31m\\ \xe2\x80\xae");
    m.sent_ms = UINT64_MAX >> 1;
    m.content_type = BYTES("text/\"x\\");
    op.peer = peer_number(1);
    CHECK(message_frame_write(&op.in, &m));
    db_run(db, &op);
    CHECK(op.err == OK && op.status == RECEIPT_STORED, "%s", op.why.text);
    op_end(&op);
    op = op_of(STORE_INBOX_LIST);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    CHECK(json_count(json_root(doc)) == 1);
    const struct json *item = json_at(json_root(doc), 0);
    CHECK(bytes_eq(json_get_bytes(item, "subject"), m.subject) && json_is_null(json_get(item, "sent")));
    json_free(doc);
    op_end(&op);
    db_close(db);
}

TEST(inbox_read_gives_the_frame_and_marks) {
    struct db *db = open_in(test_dir());
    struct buf frame = {.max = 1000};
    receive(db, 5, 0x77777777, "the body");
    add_frame(&frame, 0x77777777, BYTES("the body"));
    struct store_op op = op_of(STORE_INBOX_READ);
    CHECK(buf_add_text(&op.in, "77777777"));
    db_run(db, &op);
    CHECK(op.err == OK && bytes_eq(buf_view(&op.out), buf_view(&frame)) && op.when.ms == NOW_MS, "%s",
          op.why.text);
    struct peer_id peer = peer_number(5);
    CHECK(peer_id_eq(&op.peer, &peer) && total_of(db, "inbox_unread") == 1);
    op.flags = INBOX_MARK;
    for (size_t i = 0; i < 2; i++) {
        db_run(db, &op);
        CHECK(op.err == OK && total_of(db, "inbox_unread") == 0);
    }
    op_end(&op);
    op = ask_text(db, STORE_INBOX_MARK, "77777777", OK); /* without the flag: unread again */
    op_end(&op);
    CHECK(total_of(db, "inbox_unread") == 1);
    buf_free(&frame);
    check_db(db);
    db_close(db);
}

TEST(inbox_ids_must_be_clear) {
    struct db *db = open_in(test_dir());
    char full[2 * MESSAGE_ID + 1], other[2 * MESSAGE_ID + 1];
    receive(db, 1, 0x5000001, "a");
    receive(db, 1, 0x6000001, "b");
    static const char *const bad[] = {"",
                                      "00001",
                                      "xyzxyz",
                                      "0x0000",
                                      "0000 1",
                                      "'; DROP TABLE inbox; --",
                                      "123456789012345678901234567890123"};
    for (size_t i = 0; i < LEN(bad); i++) {
        struct store_op op = ask_text(db, STORE_INBOX_READ, bad[i], E_INPUT);
        op_end(&op);
    }
    struct store_op op = ask_text(db, STORE_INBOX_READ, "000001", E_INPUT);
    struct bytes text = bytes_of(op.text), a, b;
    CHECK(bytes_split(&text, ' ', &a) && bytes_split(&text, ' ', &b) && a.n == 32 && b.n == 32 &&
          text.n == 0);
    bytes_cstr(a, full, sizeof full);
    bytes_cstr(b, other, sizeof other);
    CHECK(strcmp(full, other) != 0);
    op_end(&op);
    op = ask_text(db, STORE_INBOX_READ, full, OK);
    op_end(&op);
    full[31] = 'f';
    op = ask_text(db, STORE_INBOX_READ, full, E_NOT_FOUND);
    op_end(&op);
    receive(db, 2, 0x5000001, "the id of another one");
    op = ask_text(db, STORE_INBOX_READ, "05000001", E_INPUT);
    op.peer = peer_number(2);
    db_run(db, &op);
    CHECK(op.err == OK, "with the sender it is clear: %s", op.why.text);
    op_end(&op);
    db_close(db);
}

static uint64_t found(struct db *db, const char *text, enum err want) {
    struct store_op op = ask_text(db, STORE_INBOX_LIST, text, want);
    struct buf line = {.max = 64};
    uint64_t ids = 0;
    if (op.err == OK) {
        struct json_doc *doc = list_of(&op);
        for (size_t i = 0; i < json_count(json_root(doc)); i++) {
            struct bytes id = json_get_bytes(json_at(json_root(doc), i), "id");
            ids = ids * 10 + (uint64_t)(id.p[31] - '0');
        }
        json_free(doc);
    }
    buf_free(&line);
    op_end(&op);
    return ids;
}

TEST(inbox_search_finds_the_text_and_nothing_else) {
    struct db *db = open_in(test_dir());
    static const struct {
        const char *subject, *type, *body;
    } messages[] = {
        {"Disk full", "", "100% of /var"},
        {"", "text/plain", "a_b and C\\D"},
        {"", "image/png", "disk inside a picture"},
        {"", "TEXT/html",
         "gr\xc3\xbc\xc3\x9f"
         "e, aaaaaaaab"},
    };
    for (size_t i = 0; i < LEN(messages); i++) {
        struct store_op op = op_of(STORE_INBOX_ADD);
        struct message m = message_number(i + 1, bytes_of(messages[i].body));
        m.subject = bytes_of(messages[i].subject);
        m.content_type = bytes_of(messages[i].type);
        op.peer = peer_number(1);
        CHECK(message_frame_write(&op.in, &m));
        db_run(db, &op);
        CHECK(op.err == OK && op.status == RECEIPT_STORED, "%s", op.why.text);
        op_end(&op);
    }
    static const struct {
        const char *text;
        uint64_t ids;
    } rows[] = {{"disk", 1},       {"DISK F", 1},     {"%", 1},       {"_", 2},
                {"100% of", 1},    {"a%b", 0},        {"\\", 2},      {"c\\d", 2},
                {"'", 0},          {"\"; --", 0},     {"aaaab", 4},   {"e", 4},
                {"gr\xc3\xbc", 4}, {"gr\xc3\x9c", 0}, {"picture", 0}, {"d", 12}};
    for (size_t i = 0; i < LEN(rows); i++) {
        uint64_t ids = found(db, rows[i].text, OK);
        CHECK(ids == rows[i].ids, "\"%s\" finds %" PRIu64, rows[i].text, ids);
    }
    char text[DB_SEARCH_MAX + 2];
    memset(text, 'a', sizeof text - 1);
    text[DB_SEARCH_MAX + 1] = 0;
    found(db, text, E_INPUT);
    text[DB_SEARCH_MAX] = 0;
    CHECK(found(db, text, OK) == 0);
    db_close(db);
}

/* Against the plain way, on texts of two letters: there the shortcuts of the search matter. */
TEST(inbox_search_agrees_with_the_plain_way) {
    static const uint8_t letters[] = {0x61, 0x42, 0x41, 0x62}; /* a B A b */
    struct rng rng = rng_seeded(test_seed());
    for (size_t round = 0; round < 2000; round++) {
        uint8_t text[40], needle[6];
        struct search s;
        size_t n = (size_t)rng_below(&rng, sizeof text), k = 1 + (size_t)rng_below(&rng, sizeof needle);
        for (size_t i = 0; i < n; i++) text[i] = letters[rng_below(&rng, sizeof letters)];
        for (size_t i = 0; i < k; i++) needle[i] = letters[rng_below(&rng, sizeof letters)];
        bool want = false;
        for (size_t at = 0; !want && at + k <= n; at++) {
            want = true;
            for (size_t i = 0; i < k; i++) want = want && (text[at + i] | 32) == (needle[i] | 32);
        }
        CHECK(search_set(&s, bytes_at(needle, k)) && search_in(&s, bytes_at(text, n)) == want, "%.*s in %.*s",
              (int)k, (const char *)needle, (int)n, (const char *)text);
    }
}

static size_t after(struct db *db, int64_t *seq, uint32_t flags, uint64_t count, uint64_t bytes, bool *more) {
    struct store_op op = op_of(STORE_INBOX_AFTER);
    size_t n = 0;
    op.seq = *seq;
    op.flags = flags;
    op.count = count;
    op.bytes = bytes;
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    struct rd r = rd_of(buf_view(&op.out));
    for (; r.in.n > 0; n++) {
        int64_t at = (int64_t)rd_u64(&r);
        struct peer_id peer;
        struct message m;
        CHECK(at > *seq && peer_id_read(rd_take(&r, rd_u8(&r)), &peer) && rd_u64(&r) == (uint64_t)NOW_MS);
        rd_u8(&r);
        struct bytes frame = rd_take(&r, rd_u32(&r));
        rd_take(&r, rd_u16(&r)); /* name of a file */
        CHECK(!r.bad && message_of_frame(frame, &m, NULL) == OK);
        *seq = at;
    }
    CHECK(op.count == n);
    *more = op.more;
    op_end(&op);
    return n;
}

TEST(inbox_followers_see_each_message_once) {
    struct db *db = open_in(test_dir());
    int64_t at = 0;
    bool more;
    CHECK(after(db, &at, 0, 10, 1 << 20, &more) == 0 && !more);
    for (uint64_t i = 1; i <= 3; i++) receive(db, 1, 0x2000000 + i, "body");
    CHECK(after(db, &at, 0, 2, 1 << 20, &more) == 2 && more);
    CHECK(after(db, &at, 0, 2, 1 << 20, &more) == 1 && !more);
    struct store_op op = ask_text(db, STORE_INBOX_DELETE, "2000003", OK);
    op_end(&op);
    receive(db, 1, 0x2000004, "after the newest was deleted");
    CHECK(after(db, &at, 0, 10, 1 << 20, &more) == 1, "its row has a number of its own");
    int64_t start = 0;
    CHECK(after(db, &start, 0, 10, 1, &more) == 1 && more, "one, however small the room");
    op = op_of(STORE_INBOX_MARK);
    op.flags = INBOX_MARK;
    CHECK(buf_add_text(&op.in, "2000001"));
    db_run(db, &op);
    CHECK(op.err == OK);
    op_end(&op);
    start = 0;
    CHECK(after(db, &start, INBOX_UNREAD, 10, 1 << 20, &more) == 2);
    op = op_of(STORE_INBOX_AFTER); /* no cursor yet: it learns where the end is */
    op.seq = INT64_MAX;
    db_run(db, &op);
    CHECK(op.err == OK && op.out.n == 0 && op.seq == at, "%" PRId64, op.seq);
    op_end(&op);
    db_close(db);
}

TEST(inbox_delete_by_age_and_retention) {
    struct db *db = open_in(test_dir());
    enum { MANY = DB_STEP_MAX * 2 + 10 };
    for (uint64_t i = 0; i < MANY; i++) {
        struct store_op op = op_of(STORE_INBOX_ADD);
        op.peer = peer_number(i % 3);
        op.now.ms = NOW_MS + (int64_t)i;
        add_frame(&op.in, i, BYTES("x"));
        db_run(db, &op);
        CHECK(op.status == RECEIPT_STORED);
        op_end(&op);
    }
    struct store_op op = op_of(STORE_INBOX_DELETE);
    op.when.ms = NOW_MS + MANY - 10;
    db_run(db, &op);
    CHECK(op.err == OK && op.count == MANY - 10 && !op.more, "%" PRIu64, op.count);
    op_end(&op);
    CHECK(total_of(db, "inbox") == 10);
    sql(db, "UPDATE inbox SET is_read = 1 WHERE seq % 2 = 0");
    op = op_of(STORE_MAINTAIN);
    op.now.ms = NOW_MS + MANY + 1000;
    op.limits[0] = 500;
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 5 && total_of(db, "inbox") == 5, "only read ones go: %" PRIu64,
          op.count);
    op_end(&op);
    db_close(db);
}
