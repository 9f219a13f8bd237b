/* The store's thread: order, durability, its queue's limit, and kill -9 at any moment. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "help.h"

static struct store *start(const char *folder, size_t queue_max) {
    static char path[512];
    struct why w = {OK, ""};
    struct store *s = NULL;
    join(path, sizeof path, folder, "silktalk.db");
    struct store_setup setup = {
        .path = path, .cache_bytes = 1 << 20, .max_bytes = 1 << 30, .queue_max = queue_max};
    CHECK(store_open(&s, &setup, &w) == OK, "%s", w.text);
    return s;
}

static struct store_op *add_op(uint64_t sender, uint64_t n) {
    struct store_op model = op_of(STORE_INBOX_ADD), *op = store_op_new(STORE_INBOX_ADD);
    CHECK(op != NULL);
    op->peer = peer_number(sender);
    op->now.ms = NOW_MS;
    op->tag = 1;
    memcpy(op->limits, model.limits, sizeof op->limits);
    add_frame(&op->in, n, BYTES("the body of a message"));
    return op;
}

/* Waits on the descriptor, as the loop does. */
static struct store_op *take_one(struct store *s) {
    for (;;) {
        store_flush(s);
        struct store_op *op = store_take(s);
        if (op != NULL) return op;
        struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
        CHECK(poll(&p, 1, 60000) == 1, "the store does not answer");
    }
}

TEST(store_answers_in_order_and_wakes_poll) {
    const char *folder = test_dir();
    struct store *s = start(folder, 1000);
    for (uint64_t i = 0; i < 500; i++) {
        struct store_op *op = add_op(i % 3, i);
        op->tag = i + 1;
        CHECK(store_give(s, op));
    }
    CHECK(store_waiting(s) == 500 && store_take(s) == NULL, "nothing was flushed yet");
    for (uint64_t i = 0; i < 500; i++) {
        struct store_op *op = take_one(s);
        CHECK(op->tag == i + 1 && op->next == NULL && op->err == OK && op->status == RECEIPT_STORED);
        store_op_free(op);
    }
    CHECK(store_take(s) == NULL && store_waiting(s) == 0);
    struct pollfd p = {.fd = store_fd(s), .events = POLLIN};
    CHECK(poll(&p, 1, 0) == 0, "quiet again");
    store_close(s);
}

TEST(store_queue_is_full_at_its_limit) {
    struct store *s = start(test_dir(), 3);
    for (uint64_t i = 0; i < 3; i++) CHECK(store_give(s, add_op(1, i)));
    struct store_op *more = add_op(1, 3);
    CHECK(!store_give(s, more), "the answers not taken count too");
    store_op_free(take_one(s));
    CHECK(store_give(s, more));
    store_close(s);
}

TEST(store_close_finishes_what_was_given) {
    const char *folder = test_dir();
    size_t blocks = mem_blocks();
    struct store *s = start(folder, 1000);
    for (uint64_t i = 0; i < 300; i++) CHECK(store_give(s, add_op(1, i)));
    store_close(s);
    CHECK(mem_blocks() == blocks, "answers nobody took are freed");
    struct db *db = open_in(folder);
    CHECK(total_of(db, "inbox") == 300);
    check_db(db);
    db_close(db);
}

TEST(store_that_cannot_open_leaves_nothing) {
    const char *folder = test_dir();
    char path[512];
    struct why w = {OK, ""};
    struct store *s = NULL;
    size_t blocks = mem_blocks();
    join(path, sizeof path, folder, "no/such/folder.db");
    struct store_setup setup = {.path = path, .cache_bytes = 1 << 20, .max_bytes = 1 << 30, .queue_max = 10};
    CHECK(store_open(&s, &setup, &w) == E_IO && s == NULL && w.text[0] != 0);
    CHECK(mem_blocks() == blocks);
    store_close(NULL);
}

enum { IN_FLIGHT = 64, ROUNDS = 12 };

/* Puts messages from `first` on, and reports each only after its receipt: 8 bytes of its number. Never
 * returns. */
static _Noreturn void child_of_crash(const char *folder, uint64_t first, int report) {
    struct store *s = start(folder, IN_FLIGHT);
    for (uint64_t given = first, n = 0;; n++) {
        while (given < first + n + IN_FLIGHT) {
            struct store_op *op = add_op(given % 5, given);
            op->tag = given + 1;
            if (!store_give(s, op)) _exit(3);
            given++;
        }
        struct store_op *op = take_one(s);
        uint8_t number[8];
        put_u64(number, op->tag - 1);
        if (op->err != OK || (op->status != RECEIPT_STORED && op->status != RECEIPT_DUPLICATE)) _exit(4);
        if (write(report, number, sizeof number) != (ssize_t)sizeof number) _exit(5);
        store_op_free(op);
    }
}

/* Numbers of all rows of the inbox, each at most once; the count of those below `reported`. */
static uint64_t check_rows(struct db *db, uint64_t reported) {
    uint64_t n = 0, last = 0;
    sqlite3_stmt *s = NULL;
    CHECK(sqlite3_prepare_v2(db->sql, "SELECT substr(id, 9) FROM inbox ORDER BY substr(id, 9)", -1, &s,
                             NULL) == SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        uint64_t number = get_u64(sqlite3_column_blob(s, 0));
        CHECK(n == 0 || number != last, "message %" PRIu64 " is there twice", number);
        last = number;
        if (number < reported) n++;
    }
    sqlite3_finalize(s);
    return n;
}

TEST(store_loses_and_doubles_nothing_when_killed) {
    const char *folder = test_dir();
    struct rng rng = rng_seeded(test_seed());
    uint64_t reported = 0, unreported = 0; /* all below are reported */
    db_close(open_in(folder));
    for (size_t round = 0; round < ROUNDS; round++) {
        int ends[2];
        CHECK(pipe(ends) == 0);
        fflush(NULL);
        uint64_t first = reported - MIN(reported, (uint64_t)10), wanted = 1 + rng_below(&rng, 400);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            close(ends[0]);
            child_of_crash(folder, first, ends[1]); /* some again: a sender that saw no receipt */
        }
        close(ends[1]);
        uint8_t number[8];
        for (uint64_t n = 0; n < wanted; n++) {
            CHECK(read(ends[0], number, sizeof number) == (ssize_t)sizeof number,
                  "the child ended by itself");
            CHECK(get_u64(number) == first + n, "receipts come in order");
        }
        CHECK(kill(child, SIGKILL) == 0);
        int status;
        CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
        ssize_t got;
        while ((got = read(ends[0], number, sizeof number)) == (ssize_t)sizeof number) {} /* the last words */
        CHECK(got == 0);
        close(ends[0]);
        reported = MAX(reported, get_u64(number) + 1);
        struct db *db = open_in(folder);
        check_db(db);
        uint64_t there = check_rows(db, reported);
        CHECK(there == reported, "round %zu: %" PRIu64 " of %" PRIu64 " reported messages are there", round,
              there, reported);
        unreported += total_of(db, "inbox") > (int64_t)reported ? 1 : 0;
        db_close(db);
    }
    printf("    %" PRIu64 " receipts, %d kills, %" PRIu64 " of them between a commit and its receipt\n",
           reported, ROUNDS, unreported);
}
