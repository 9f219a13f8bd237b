/* Runs: many messages in one statement do what each does by itself. */
#include "help.h"

enum { MANY = 3 * RUN_ROWS };

static void chain(struct store_op *ops, size_t n) {
    for (size_t i = 0; i < n; i++) ops[i].next = i + 1 < n ? &ops[i + 1] : NULL;
}

static int times_run(const struct db *db, enum statement which) {
    sqlite3_stmt *s = db->statements[which];
    return s == NULL ? 0 : sqlite3_stmt_status(s, SQLITE_STMTSTATUS_RUN, 1);
}

/* A database of its own for each number. */
static struct db *open_number(size_t n) {
    char path[512], name[24];
    snprintf(name, sizeof name, "%zu", n);
    join(path, sizeof path, test_dir(), name);
    CHECK(mkdir(path, 0700) == 0);
    return open_in(path);
}

static void make(struct store_op *ops, enum store_kind kind, uint64_t from) {
    for (uint64_t i = 0; i < MANY; i++) {
        ops[i] = op_of(kind);
        ops[i].peer = peer_number(1);
        add_frame(&ops[i].in, from + i, BYTES("some body"));
    }
    chain(ops, MANY);
}

static void end_ops(struct store_op *ops) {
    for (size_t i = 0; i < MANY; i++) op_end(&ops[i]);
}

/* A frame with all that a message may have, other for each number. */
static void rich_frame(struct buf *out, uint64_t n) {
    char subject[40], body[40];
    snprintf(subject, sizeof subject, "subject %" PRIu64, n);
    snprintf(body, sizeof body, "body %" PRIu64, n * n);
    struct message m = message_number(n, bytes_of(body));
    if (n % 2 == 0) m.subject = bytes_of(subject);
    if (n % 3 == 0) m.content_type = BYTES("text/plain");
    m.has_reply_to = n % 5 == 0;
    if (m.has_reply_to) id_number(n + 77, m.reply_to);
    m.sent_ms += n;
    CHECK(message_frame_write(out, &m));
}

TEST(runs_keep_every_field_in_order) {
    struct db *db = open_in(test_dir());
    struct store_op ops[MANY];
    for (int kind = 0; kind < 2; kind++) {
        bool out = kind == 0;
        for (uint64_t i = 0; i < MANY; i++) {
            ops[i] = op_of(out ? STORE_OUTBOX_ADD : STORE_INBOX_ADD);
            ops[i].peer = peer_number(1);
            rich_frame(&ops[i].in, 100 + i);
        }
        chain(ops, MANY);
        CHECK(db_batch(db, ops) == NULL);
        CHECK(times_run(db, out ? SQL_OUTBOX_ADD_RUN : SQL_INBOX_ADD_RUN) == 2,
              "the first begins, 15 are left");
        struct store_op back = op_of(out ? STORE_OUTBOX_LOAD : STORE_INBOX_AFTER);
        back.peer = peer_number(1);
        back.bytes = 1 << 20;
        db_run(db, &back);
        CHECK(back.err == OK && !back.more, "%s", back.why.text);
        struct rd r = rd_of(buf_view(&back.out));
        for (size_t i = 0; i < MANY; i++) {
            uint8_t id[MESSAGE_ID];
            id_number(100 + i, id);
            CHECK(ops[i].err == OK && ops[i].seq == (int64_t)i + 1 && memcmp(ops[i].id, id, MESSAGE_ID) == 0,
                  "%zu", i);
            CHECK(out || (ops[i].status == RECEIPT_STORED && ops[i].count == i + 1), "%zu", i);
            CHECK(rd_u64(&r) == i + 1);
            if (!out) rd_take(&r, rd_u8(&r));
            rd_u64(&r);
            if (!out) rd_u8(&r);
            CHECK(bytes_eq(rd_take(&r, rd_u32(&r)), buf_view(&ops[i].in)), "%zu comes back as it was", i);
            if (!out) rd_take(&r, rd_u16(&r));
        }
        CHECK(!r.bad && r.in.n == 0);
        op_end(&back);
        end_ops(ops);
    }
    CHECK(total_of(db, "outbox") == MANY && total_of(db, "inbox") == MANY);
    check_db(db);
    db_close(db);
}

TEST(runs_know_duplicates_at_each_place) {
    for (size_t at = 0; at < RUN_ROWS; at++) {
        struct db *db = open_number(at);
        struct store_op ops[MANY];
        CHECK(receive(db, 1, 1 + at, "some body") == RECEIPT_STORED, "it is there already");
        make(ops, STORE_INBOX_ADD, 0);
        CHECK(db_batch(db, ops) == NULL && times_run(db, SQL_SEEN_ADD_RUN) == 2);
        for (size_t i = 0; i < MANY; i++) {
            enum receipt_status want = i == 1 + at ? RECEIPT_DUPLICATE : RECEIPT_STORED;
            CHECK(ops[i].err == OK && ops[i].status == want, "%zu of %zu", i, at);
        }
        CHECK(db_batch(db, ops) == NULL, "all once more");
        for (size_t i = 0; i < MANY; i++) CHECK(ops[i].status == RECEIPT_DUPLICATE, "%zu of %zu", i, at);
        CHECK(total_of(db, "inbox") == MANY && total_of(db, "remembered_ids") == MANY);
        check_db(db);
        end_ops(ops);
        db_close(db);
    }
}

TEST(runs_refuse_an_id_that_is_in_the_outbox) {
    struct db *db = open_in(test_dir());
    struct store_op ops[MANY];
    queue(db, 2, 5, "of another peer", OK);
    make(ops, STORE_OUTBOX_ADD, 0);
    CHECK(db_batch(db, ops) == &ops[1 + RUN_ROWS], "done one by one up to the end of the run");
    CHECK(db_batch(db, &ops[1 + RUN_ROWS]) == NULL);
    for (size_t i = 0; i < MANY; i++)
        CHECK(ops[i].err == (i == 5 ? E_REFUSED : OK) && (i == 5 || ops[i].seq > 0), "%zu: %s", i,
              ops[i].why.text);
    CHECK(total_of(db, "outbox") == MANY);
    check_db(db);
    end_ops(ops);
    db_close(db);
}

/* Everything that may be in the way of a run, at random: what a batch does to them is what each does alone.
 */
static void random_op(struct rng *rng, struct store_op *op, uint64_t *next) {
    bool out = rng_below(rng, 100) < 50;
    char body[6000];
    uint64_t n = !out && rng_below(rng, 40) == 0 ? rng_below(rng, *next + 1) : ++*next;
    *op = op_of(out ? STORE_OUTBOX_ADD : STORE_INBOX_ADD);
    op->peer = peer_number(1 + (rng_below(rng, 60) == 0));
    op->flags = !out && rng_below(rng, 60) == 0 ? INBOX_STRANGER : 0;
    op->tag = out ? 0 : 1 + rng_below(rng, 60) / 59;
    size_t size = rng_below(rng, 60) == 0 ? sizeof body - 1 : rng_below(rng, 50);
    memset(body, 'x', size);
    body[size] = 0;
    add_frame(&op->in, n, bytes_of(body));
    if (rng_below(rng, 200) == 0) op->in.n--;
}

/* Quotas that end somewhere within; the same for all, as of one node. */
static void random_limits(struct rng *rng, uint64_t out[6], uint64_t in[6]) {
    static const uint64_t scale[] = {300, 20000, 300, 20000, 20000, 300};
    for (size_t i = 0; i < 6; i++) {
        out[i] = rng_below(rng, 2) == 0 ? 1 << 30 : rng_below(rng, i == 2 ? 300 : scale[i]);
        in[i] = rng_below(rng, 2) == 0 ? 1 << 30 : rng_below(rng, scale[i]);
    }
    in[5] = 1 << 20;
}

TEST(runs_do_what_each_does_alone) {
    enum { OPS = 400, ROUNDS = 30 };
    static struct store_op together[OPS], alone[OPS];
    struct rng rng = rng_seeded(test_seed());
    int runs = 0;
    for (int round = 0; round < ROUNDS; round++) {
        struct db *db[2];
        uint64_t next = 0, limits[2][6];
        for (size_t k = 0; k < 2; k++) db[k] = open_number((size_t)round * 2 + k);
        random_limits(&rng, limits[0], limits[1]);
        bool mixed = rng_below(&rng, 3) == 0;
        enum store_kind kind = STORE_OUTBOX_ADD;
        for (size_t i = 0; i < OPS; i++) {
            do {
                if (together[i].in.p != NULL) op_end(&together[i]);
                random_op(&rng, &together[i], &next);
                if (i % 64 == 0) kind = together[i].kind;
            } while (!mixed && together[i].kind != kind);
            memcpy(together[i].limits, limits[together[i].kind == STORE_INBOX_ADD], sizeof limits[0]);
            alone[i] = together[i];
            alone[i].in = (struct buf){.max = 16 << 20};
            CHECK(buf_add(&alone[i].in, buf_view(&together[i].in)));
        }
        chain(together, OPS);
        for (struct store_op *rest = together; rest != NULL;) rest = db_batch(db[0], rest);
        for (size_t i = 0; i < OPS; i++) {
            struct store_op *a = &together[i], *b = &alone[i];
            db_run(db[1], b);
            CHECK(a->err == b->err && a->status == b->status && a->count == b->count,
                  "round %d, %zu: kind %d: %d %d %d, %s; %d %d %d, %s", round, i, (int)a->kind, (int)a->err,
                  (int)a->status, (int)a->count, a->why.text, (int)b->err, (int)b->status, (int)b->count,
                  b->why.text);
            CHECK(strcmp(a->why.text, b->why.text) == 0 && memcmp(a->id, b->id, MESSAGE_ID) == 0,
                  "round %d, %zu", round, i);
            op_end(a);
            op_end(b);
        }
        static const char *const keys[] = {
            "inbox",        "inbox_unread", "inbox_bytes",          "outbox",
            "outbox_bytes", "messages_in",  "inbox_stranger_bytes", "remembered_ids"};
        for (size_t i = 0; i < LEN(keys); i++)
            CHECK(total_of(db[0], keys[i]) == total_of(db[1], keys[i]), "round %d: %s", round, keys[i]);
        runs += times_run(db[0], SQL_OUTBOX_ADD_RUN) + times_run(db[0], SQL_SEEN_ADD_RUN);
        for (size_t k = 0; k < 2; k++) {
            check_db(db[k]);
            db_close(db[k]);
        }
    }
    CHECK(runs > ROUNDS, "%d runs: the test has something to compare", runs);
}

/* The last one of a run is the last that a quota allows, or the first that it does not. */
TEST(runs_end_where_a_quota_does) {
    for (size_t which = 0; which < 5; which++)
        for (uint64_t less = 0; less < 2; less++)
            for (size_t in = 0; in < 2; in++) {
                struct db *db = open_number(which * 4 + less * 2 + in);
                struct store_op ops[MANY];
                uint64_t most = 1 + RUN_ROWS - less;
                make(ops, in == 1 ? STORE_INBOX_ADD : STORE_OUTBOX_ADD, 1);
                bool counts = which == 0 || which == 2;
                for (size_t i = 0; i < MANY; i++) {
                    ops[i].flags = in == 1 ? INBOX_STRANGER : 0;
                    if (in == 1 || which < 3) ops[i].limits[which] = counts ? most : most * ops[0].in.n;
                }
                CHECK(db_batch(db, ops) == NULL);
                for (size_t i = 0; i < MANY; i++) {
                    bool fits = i < most || (in == 0 && which > 2);
                    if (in == 1)
                        CHECK(ops[i].status == (fits ? RECEIPT_STORED : RECEIPT_BUSY), "%zu.%zu", which, i);
                    else
                        CHECK(ops[i].err == (fits ? OK : E_LIMIT), "%zu.%zu: %s", which, i, ops[i].why.text);
                }
                if (in == 1) CHECK(times_run(db, SQL_INBOX_ADD_RUN) == (less == 0));
                check_db(db);
                end_ops(ops);
                db_close(db);
            }
}
