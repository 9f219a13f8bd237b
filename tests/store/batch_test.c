/* Batches: one commit for many, failures that stay alone, commits that fail, memory that fails. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "help.h"

enum { MANY = 40 };

static struct store_op *chain(struct store_op *ops, size_t n) {
    for (size_t i = 0; i < n; i++) ops[i].next = i + 1 < n ? &ops[i + 1] : NULL;
    return ops;
}

static void make_adds(struct store_op *ops, uint64_t from, const char *body) {
    for (uint64_t i = 0; i < MANY; i++) {
        ops[i] = op_of(STORE_INBOX_ADD);
        ops[i].peer = peer_number(i % 7);
        ops[i].tag = from + i + 1;
        add_frame(&ops[i].in, from + i, bytes_of(body));
    }
    chain(ops, MANY);
}

static void end_ops(struct store_op *ops, size_t n) {
    for (size_t i = 0; i < n; i++) op_end(&ops[i]);
}

TEST(batch_is_one_commit) {
    struct db *db = open_in(test_dir());
    struct store_op ops[MANY];
    make_adds(ops, 0, "x");
    int64_t before = total_of(db, "inbox");
    CHECK(db_batch(db, ops) == NULL && before == 0);
    for (size_t i = 0; i < MANY; i++)
        CHECK(ops[i].err == OK && ops[i].status == RECEIPT_STORED && ops[i].seq == (int64_t)i + 1);
    CHECK(db_wal_pages(db) < MANY, "%zu pages: fewer than messages", db_wal_pages(db));
    end_ops(ops, MANY);
    check_db(db);
    db_close(db);
}

/* An operation that wrote something before it failed: its part goes, the others stay. */
TEST(batch_failure_of_one_is_its_own) {
    struct db *db = open_in(test_dir());
    struct store_op ops[5];
    int64_t seq = queue(db, 1, 1000, "to be expired", OK);
    for (uint64_t i = 0; i < LEN(ops); i++) {
        ops[i] = op_of(i == 2 ? STORE_OUTBOX_EXPIRE : STORE_INBOX_ADD);
        ops[i].peer = peer_number(i);
        if (i != 2) add_frame(&ops[i].in, i, BYTES("x"));
    }
    ops[2].now.ms = NOW_MS + 10000;
    ops[2].out.max = 10; /* its answer does not fit: after the row was changed */
    CHECK(db_batch(db, chain(ops, LEN(ops))) == &ops[3], "done up to the failure");
    CHECK(db_batch(db, &ops[3]) == NULL);
    for (size_t i = 0; i < LEN(ops); i++) {
        CHECK(ops[i].err == (i == 2 ? E_MEMORY : OK), "%zu: %s", i, ops[i].why.text);
        CHECK(i == 2 || ops[i].status == RECEIPT_STORED);
    }
    CHECK(total_of(db, "inbox") == 4 && total_of(db, "outbox") == 1 && total_of(db, "outbox_failed") == 0 &&
          seq > 0);
    end_ops(ops, LEN(ops));
    check_db(db);
    db_close(db);
}

TEST(batch_refusals_do_not_break_it) {
    struct db *db = open_in(test_dir());
    struct store_op ops[6];
    static const enum store_kind kinds[] = {STORE_OUTBOX_ADD, STORE_OUTBOX_ADD,    STORE_META_GET,
                                            STORE_KINDS,      STORE_OUTBOX_CANCEL, STORE_OUTBOX_ADD};
    static const enum err want[] = {OK, E_REFUSED, E_NOT_FOUND, E_FAILED, E_NOT_FOUND, OK};
    for (uint64_t i = 0; i < LEN(ops); i++) {
        ops[i] = op_of(kinds[i]);
        ops[i].peer = peer_number(1);
        if (kinds[i] == STORE_OUTBOX_ADD) {
            add_frame(&ops[i].in, i == 5 ? 2 : 1, BYTES("x"));
            ops[i].limits[1] = 1 << 20;
        }
        if (kinds[i] == STORE_OUTBOX_CANCEL) CHECK(buf_add_text(&ops[i].in, "ffffff"));
        snprintf(ops[i].text, sizeof ops[i].text, "no such key");
    }
    CHECK(db_batch(db, chain(ops, LEN(ops))) == NULL);
    for (size_t i = 0; i < LEN(ops); i++) CHECK(ops[i].err == want[i], "%zu: %s", i, ops[i].why.text);
    end_ops(ops, LEN(ops));
    CHECK(total_of(db, "outbox") == 2);
    check_db(db);
    db_close(db);
}

TEST(batch_long_work_stands_alone) {
    struct db *db = open_in(test_dir());
    struct store_op ops[4];
    for (uint64_t i = 0; i < LEN(ops); i++) {
        ops[i] = op_of(i == 2 ? STORE_INBOX_LIST : STORE_INBOX_ADD);
        if (i == 2) continue;
        ops[i].peer = peer_number(1);
        add_frame(&ops[i].in, i, BYTES("x"));
    }
    CHECK(db_batch(db, chain(ops, LEN(ops))) == &ops[2], "what came before is given back first");
    CHECK(db_batch(db, &ops[2]) == &ops[3] && db_batch(db, &ops[3]) == NULL);
    struct json_doc *doc = list_of(&ops[2]);
    CHECK(json_count(json_root(doc)) == 2, "in the order given");
    json_free(doc);
    end_ops(ops, LEN(ops));
    db_close(db);
}

TEST(batch_has_an_end) {
    struct db *db = open_in(test_dir());
    enum { TOO_MANY = DB_BATCH_MAX + 1 };
    struct store_op *ops = calloc(TOO_MANY, sizeof *ops);
    CHECK(ops != NULL);
    for (uint64_t i = 0; i < TOO_MANY; i++) {
        ops[i] = op_of(STORE_INBOX_ADD);
        ops[i].peer = peer_number(i % 300); /* more peers than are kept in memory */
        add_frame(&ops[i].in, i, BYTES("x"));
    }
    CHECK(db_batch(db, chain(ops, TOO_MANY)) == &ops[DB_BATCH_MAX]);
    CHECK(db_batch(db, &ops[DB_BATCH_MAX]) == NULL);
    for (size_t i = 0; i < TOO_MANY; i++) CHECK(ops[i].status == RECEIPT_STORED);
    end_ops(ops, TOO_MANY);
    free(ops);
    check_db(db);
    db_close(db);
}

/* Receipts for messages one after the other are one statement, unless one of them has no message any more, a
 * failed one, or one for another peer: that one is done by itself, between two statements. */
TEST(batch_of_receipts_ends_each_message_once) {
    static const struct {
        const char *name;
        enum store_kind before; /* what happens to the message in the middle */
        uint64_t peer;          /* whose it is */
        int runs;               /* of the statement */
        uint64_t count;         /* of its receipt */
    } rows[] = {{"all queued", STORE_META_GET, 1, 1, 1},
                {"one failed", STORE_OUTBOX_FAILED, 1, 2, 1},
                {"one delivered before", STORE_OUTBOX_DONE, 1, 2, 0},
                {"one of another peer", STORE_META_GET, 2, 2, 1}};
    struct db *db = open_in(test_dir());
    for (size_t k = 0; k < LEN(rows); k++) {
        struct store_op ops[MANY], middle = op_of(rows[k].before);
        uint64_t from = k * 1000;
        for (uint64_t i = 0; i < MANY; i++) {
            ops[i] = op_of(STORE_OUTBOX_DONE);
            ops[i].seq = queue(db, i == MANY / 2 ? rows[k].peer : 1, from + i, "some body", OK);
            ops[i].peer = peer_number(1);
            ops[i].latency_ms = 5;
        }
        queue(db, 1, from + 999, "stays", OK);
        middle.seq = ops[MANY / 2].seq;
        db_run(db, &middle);
        CHECK(db_batch(db, chain(ops, MANY)) == NULL);
        sqlite3_stmt *run = db->statements[SQL_OUTBOX_DROP_RUN];
        CHECK((run == NULL ? 0 : sqlite3_stmt_status(run, SQLITE_STMTSTATUS_RUN, 1)) == rows[k].runs, "%s",
              rows[k].name);
        for (size_t i = 0; i < MANY; i++) {
            uint8_t id[MESSAGE_ID];
            id_number(from + i, id);
            CHECK(ops[i].err == OK && ops[i].count == (i == MANY / 2 ? rows[k].count : 1), "%s: %zu",
                  rows[k].name, i);
            CHECK(ops[i].count == 0 || memcmp(ops[i].id, id, MESSAGE_ID) == 0, "%s: %zu", rows[k].name, i);
        }
        CHECK(total_of(db, "outbox") == (int64_t)k + 1 && total_of(db, "outbox_failed") == 0, "%s",
              rows[k].name);
        CHECK(total_of(db, "messages_out") == MANY * (int64_t)(k + 1), "%s", rows[k].name);
        check_db(db);
        op_end(&middle);
        end_ops(ops, MANY);
    }
    db_close(db);
}

/* The disk refuses to grow the log: nobody may be told that a message is stored. */
TEST(batch_whose_commit_fails_is_undone_whole) {
    const char *folder = test_dir();
    struct db *db = open_in(folder);
    char path[512];
    struct stat st;
    struct store_op ops[MANY];
    char body[3000];
    memset(body, 'x', sizeof body - 1);
    body[sizeof body - 1] = 0;
    CHECK(receive(db, 1, 5000, "before") == RECEIPT_STORED);
    join(path, sizeof path, folder, "silktalk.db-wal");
    CHECK(stat(path, &st) == 0);
    struct rlimit old, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    small = old;
    small.rlim_cur = (rlim_t)st.st_size + 3 * DB_PAGE; /* some of it gets written */
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    make_adds(ops, 0, body);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    struct store_op *rest = db_batch(db, ops);
    int64_t during = total_of(db, "inbox");
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    signal(SIGXFSZ, handler);
    CHECK(rest == NULL && during == 1);
    for (size_t i = 0; i < MANY; i++) {
        CHECK(ops[i].err == E_LIMIT && ops[i].status == RECEIPT_BUSY, "%zu: %s: %s", i, err_name(ops[i].err),
              ops[i].why.text);
        CHECK(bytes_has(bytes_of(ops[i].why.text), BYTES("no space left")), "%s", ops[i].why.text);
    }
    check_db(db);
    CHECK(db_batch(db, ops) == NULL); /* the streams were told BUSY: they stay so */
    CHECK(ops[0].status == RECEIPT_BUSY && ops[MANY - 1].status == RECEIPT_BUSY);
    for (uint64_t i = 0; i < MANY; i++) ops[i].tag += 1000;
    CHECK(db_batch(db, ops) == NULL);
    for (size_t i = 0; i < MANY; i++) CHECK(ops[i].status == RECEIPT_STORED, "%s", ops[i].why.text);
    end_ops(ops, MANY);
    check_db(db);
    db_close(db);
    db = open_in(folder);
    CHECK(total_of(db, "inbox") == MANY + 1);
    check_db(db);
    db_close(db);
}

/* Our own memory fails at each place in turn: an error or success, never half of it. */
TEST(batch_without_memory) {
    struct db *db = open_in(test_dir());
    static const enum store_kind kinds[] = {STORE_OUTBOX_EXPIRE, STORE_OUTBOX_RETRY, STORE_INBOX_LIST,
                                            STORE_INBOX_READ,    STORE_INBOX_AFTER,  STORE_OUTBOX_LOAD,
                                            STORE_OUTBOX_LIST,   STORE_OUTBOX_PEERS, STORE_TOTALS,
                                            STORE_PEERS_LOAD,    STORE_META_GET};
    queue(db, 1, 1, "body", OK);
    queue(db, 2, 2, "body", OK);
    receive(db, 1, 0x1234567, "body");
    for (size_t k = 0; k < LEN(kinds); k++) {
        enum err e = E_MEMORY;
        for (long at = 0; e == E_MEMORY; at++) {
            struct store_op op = op_of(kinds[k]);
            op.peer = peer_number(kinds[k] == STORE_INBOX_READ ? 1 : 2);
            op.bytes = 1 << 20;
            if (kinds[k] == STORE_OUTBOX_EXPIRE) op.now.ms = NOW_MS + 5000;
            if (kinds[k] == STORE_INBOX_READ) CHECK(buf_add_text(&op.in, "1234567"));
            snprintf(op.text, sizeof op.text, "schema_needs");
            CHECK(at < 1000);
            mem_fail_after(at);
            db_run(db, &op);
            mem_fail_after(-1);
            e = op.err;
            CHECK(e == OK || (e == E_MEMORY && op.out.n == 0), "kind %d: %s", (int)kinds[k], op.why.text);
            struct why w = {OK, ""};
            CHECK(db_check(db, true, &w) == OK, "kind %d, allocation %ld: %s", (int)kinds[k], at, w.text);
            op_end(&op);
        }
    }
    db_close(db);
}

/* ---- a commit whose sync fails */

static sqlite3_io_methods failing_methods;
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
static int (*real_sync)(sqlite3_file *, int);
static int bad_syncs;

static int failing_sync(sqlite3_file *f, int flags) {
    if (bad_syncs > 0) return bad_syncs--, SQLITE_IOERR_FSYNC;
    return real_sync(f, flags);
}
static int failing_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out) {
    int rc = real_open(vfs, name, f, flags, out);
    if (rc != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0) return rc;
    failing_methods = *f->pMethods;
    real_sync = f->pMethods->xSync;
    failing_methods.xSync = failing_sync;
    f->pMethods = &failing_methods;
    return rc;
}

static void copy_file(const char *from, const char *to, const char *name) {
    char a[600], b[600];
    uint8_t page[4096];
    size_t n;
    join(a, sizeof a, from, name);
    join(b, sizeof b, to, name);
    FILE *in = fopen(a, "rb"), *out = fopen(b, "wb");
    CHECK(in != NULL && out != NULL);
    while ((n = fread(page, 1, sizeof page, in)) > 0) CHECK(fwrite(page, 1, n, out) == n);
    fclose(in);
    fclose(out);
}

/* SEED=960046 NODES=1000: `send` said that it failed, the node was killed, and the next one sent it. */
TEST(batch_whose_sync_failed_does_not_come_back) {
    sqlite3_vfs *real = sqlite3_vfs_find(NULL), failing = *real;
    char copy[500];
    join(copy, sizeof copy, test_dir(), "killed");
    CHECK(mkdir(copy, 0700) == 0);
    failing.zName = "failing";
    real_open = real->xOpen;
    failing.xOpen = failing_open;
    CHECK(sqlite3_vfs_register(&failing, 1) == SQLITE_OK);
    struct db *db = open_in(test_dir()), *after;
    queue(db, 1, 1, "stays", OK);
    bad_syncs = 1;
    queue(db, 1, 2, "failed", E_IO);
    CHECK(bad_syncs == 0);
    copy_file(test_dir(), copy, "silktalk.db"); /* what a killed process leaves */
    copy_file(test_dir(), copy, "silktalk.db-wal");
    after = open_in(copy);
    CHECK(total_of(after, "outbox") == 1, "%lld", (long long)total_of(after, "outbox"));
    db_close(after);
    queue(db, 1, 3, "goes on", OK);
    CHECK(total_of(db, "outbox") == 2);
    check_db(db);
    db_close(db);
    CHECK(sqlite3_vfs_register(real, 1) == SQLITE_OK && sqlite3_vfs_unregister(&failing) == SQLITE_OK);
}
