/* The database's file: creation, modes, reopening, what cannot be opened and what is said then, upkeep of its
 * log. */
#include <fcntl.h>
#include <sys/wait.h>

#include "help.h"

TEST(file_is_private_and_ours) {
    const char *folder = test_dir();
    char path[512];
    struct stat st;
    mode_t old = umask(0);
    struct db *db = open_in(folder);
    CHECK(receive(db, 1, 1, "x") == RECEIPT_STORED);
    static const char *const names[] = {"silktalk.db", "silktalk.db-wal", "silktalk.db-shm"};
    for (size_t i = 0; i < LEN(names); i++) {
        join(path, sizeof path, folder, names[i]);
        CHECK(lstat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "%s has mode %o", names[i],
              st.st_mode & 07777);
    }
    db_close(db);
    umask(old);
    CHECK(!file_is_there(folder, "silktalk.db-wal"), "a clean end leaves one file");
    join(path, sizeof path, folder, "silktalk.db");
    CHECK(chmod(path, 0664) == 0);
    db = open_in(folder);
    CHECK(lstat(path, &st) == 0 && (st.st_mode & 07777) == 0600, "a wider mode is taken back");
    db_close(db);
    size_t n;
    char *head = test_file(path, &n);
    CHECK(n > 100 && get_u32((const uint8_t *)head + 68) == DB_APPLICATION_ID &&
          get_u32((const uint8_t *)head + 60) == DB_SCHEMA);
    free(head);
}

static void refused(const char *folder, enum err want, const char *says) {
    struct db *db = NULL;
    struct why w = {OK, ""};
    enum err e = try_open(&db, folder, 1 << 30, &w);
    CHECK(e == want && db == NULL && w.code == want, "%s, not %s: %s", err_name(e), err_name(want), w.text);
    CHECK(bytes_has(bytes_of(w.text), bytes_of(says)), "\"%s\" does not say \"%s\"", w.text, says);
}

TEST(file_that_is_no_database_is_named_damaged) {
    const char *folder = test_dir();
    char text[8192];
    memset(text, 'x', sizeof text);
    write_text(folder, "silktalk.db", bytes_at(text, sizeof text));
    refused(folder, E_IO, "is damaged");
    refused(folder, E_IO, "restore a backup");
}

TEST(file_damaged_inside_is_found_not_repaired) {
    const char *folder = test_dir();
    char path[512];
    struct db *db = open_in(folder);
    for (uint64_t i = 0; i < 200; i++) receive(db, 1, i, "some text that fills pages");
    db_close(db);
    join(path, sizeof path, folder, "silktalk.db");
    struct stat st;
    CHECK(stat(path, &st) == 0);
    int fd = open(path, O_WRONLY);
    char junk[512];
    memset(junk, 0x5a, sizeof junk);
    for (off_t at = DB_PAGE; at < st.st_size; at += DB_PAGE)
        CHECK(pwrite(fd, junk, sizeof junk, at) == (ssize_t)sizeof junk);
    close(fd);
    struct why w = {OK, ""};
    enum err e = try_open(&db, folder, 1 << 30, &w);
    if (e == OK) {
        struct store_op op = op_of(STORE_INBOX_LIST);
        db_run(db, &op);
        CHECK(op.err == E_IO && bytes_has(bytes_of(op.why.text), BYTES("damaged")), "%s", op.why.text);
        op_end(&op);
        op = op_of(STORE_INBOX_ADD);
        op.peer = peer_number(1);
        add_frame(&op.in, 1000, BYTES("x"));
        db_run(db, &op);
        CHECK(op.err == E_IO && op.status == RECEIPT_BUSY, "nobody is told that it is stored");
        op_end(&op);
        CHECK(db_check(db, true, &w) == E_IO);
        db_close(db);
    } else {
        CHECK(e == E_IO && bytes_has(bytes_of(w.text), BYTES("damaged")), "%s", w.text);
    }
}

TEST(file_cut_anywhere_never_opens_as_another) {
    const char *folder = test_dir();
    char path[512];
    size_t n;
    struct db *db = open_in(folder);
    receive(db, 1, 1, "x");
    db_close(db);
    join(path, sizeof path, folder, "silktalk.db");
    char *whole = test_file(path, &n);
    static const size_t cuts[] = {2, 15, 16, 60, 99, 100, 511, 512, 4095};
    for (size_t i = 0; i < LEN(cuts); i++) {
        struct why w = {OK, ""};
        write_text(folder, "silktalk.db", bytes_at(whole, cuts[i]));
        enum err e = try_open(&db, folder, 1 << 30, &w);
        CHECK(e != OK, "cut at %zu opens", cuts[i]);
        CHECK(w.text[0] != 0);
    }
    free(whole);
}

static void tamper(const char *folder, const char *text) {
    struct db *db = open_in(folder);
    sql(db, text);
    db_close(db);
}

TEST(file_of_a_newer_silktalk) {
    const char *folder = test_dir();
    char text[64];
    snprintf(text, sizeof text, "PRAGMA user_version = %d", DB_SCHEMA + 1);
    tamper(folder, text);
    struct db *db = open_in(folder); /* tables were only added: this program may go on */
    receive(db, 1, 1, "x");
    sql(db, "UPDATE meta SET value = '99' WHERE key = 'schema_needs'");
    db_close(db);
    refused(folder, E_INPUT, "newer SilkTalk");
    CHECK(err_exit(E_INPUT) == 6);
}

TEST(file_of_another_program) {
    const char *folder = test_dir();
    tamper(folder, "PRAGMA application_id = 1234");
    refused(folder, E_INPUT, "not one of SilkTalk's");
}

TEST(file_of_another_program_without_an_application_id) {
    const char *folder = test_dir();
    tamper(folder, "PRAGMA application_id = 0; PRAGMA user_version = 0");
    refused(folder, E_INPUT, "not one of SilkTalk's");
}

TEST(file_behind_a_link_or_in_no_folder) {
    const char *folder = test_dir();
    char path[512], target[512];
    join(path, sizeof path, folder, "silktalk.db");
    join(target, sizeof target, folder, "target");
    write_text(folder, "target", (struct bytes){NULL, 0});
    CHECK(symlink(target, path) == 0);
    refused(folder, E_IO, "no regular file");
    join(target, sizeof target, folder, "missing");
    refused(target, E_IO, "cannot be created");
}

/* As somebody without rights: root may write everything. */
TEST(file_that_cannot_be_written) {
    const char *folder = test_dir();
    char path[512];
    struct db *db = open_in(folder);
    receive(db, 1, 1, "x");
    db_close(db);
    join(path, sizeof path, folder, "silktalk.db");
    CHECK(chmod(path, 0400) == 0 && chmod(folder, 0555) == 0);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct why w = {OK, ""};
        if (geteuid() == 0) { /* and not the owner's: mode 0600 cannot be given back */
            if (chmod(path, 0444) != 0 || chown(path, 1, 1) != 0 || setegid(65534) != 0 ||
                seteuid(65534) != 0)
                _exit(9);
        }
        enum err e = try_open(&db, folder, 1 << 30, &w);
        bool said = bytes_has(bytes_of(w.text), BYTES("mode")) ||
                    bytes_has(bytes_of(w.text), BYTES("cannot be"));
        _exit(e == E_IO && said ? 0 : e == E_IO ? 2 : 3);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(chmod(folder, 0755) == 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

TEST(file_locked_by_another_program_is_busy) {
    const char *folder = test_dir();
    struct db *db = open_in(folder), *other = open_in(folder);
    sqlite3_busy_timeout(db->sql, 1);
    sql(other, "BEGIN IMMEDIATE");
    struct store_op op = op_of(STORE_INBOX_ADD);
    op.peer = peer_number(1);
    add_frame(&op.in, 1, BYTES("x"));
    db_run(db, &op);
    CHECK(op.err == E_BUSY && op.status == RECEIPT_BUSY, "%s", op.why.text);
    sql(other, "ROLLBACK");
    op.tag = 1; /* a new stream */
    db_run(db, &op);
    CHECK(op.err == OK && op.status == RECEIPT_STORED, "%s", op.why.text);
    op_end(&op);
    db_close(other);
    check_db(db);
    db_close(db);
}

TEST(file_changed_by_hand_is_counted_again) {
    const char *folder = test_dir();
    struct db *db = open_in(folder);
    for (uint64_t i = 0; i < 4; i++) receive(db, i, i, "x");
    queue(db, 1, 1, "x", OK);
    struct db *other = open_in(folder);
    sql(other, "DELETE FROM inbox WHERE seq <= 3; DELETE FROM outbox");
    db_close(other);
    struct store_op op = op_of(STORE_MAINTAIN);
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    op_end(&op);
    CHECK(total_of(db, "inbox") == 1 && total_of(db, "outbox") == 0);
    check_db(db);
    db_close(db);
}

TEST(file_check_finds_a_wrong_counter) {
    struct db *db = open_in(test_dir());
    struct why w = {OK, ""};
    receive(db, 1, 1, "x");
    sql(db, "UPDATE totals SET value = 7 WHERE key = 'inbox_messages'");
    CHECK(db_check(db, true, &w) == E_IO && bytes_has(bytes_of(w.text), BYTES("inbox_messages")), "%s",
          w.text);
    sql(db, "UPDATE totals SET value = 1 WHERE key = 'inbox_messages'; UPDATE usage SET inbox_bytes = 1");
    CHECK(db_check(db, true, &w) == E_IO && bytes_has(bytes_of(w.text), BYTES("counters of")), "%s", w.text);
    db_close(db);
}

TEST(file_full_means_busy_and_is_tidied_again) {
    const char *folder = test_dir();
    struct db *db = NULL;
    struct why w = {OK, ""};
    CHECK(try_open(&db, folder, 1 << 20, &w) == OK, "%s", w.text);
    char *body = malloc(50000);
    CHECK(body != NULL);
    memset(body, 'b', 49999);
    body[49999] = 0;
    uint64_t stored = 0;
    struct store_op op = op_of(STORE_INBOX_ADD);
    for (; stored < 100; stored++) {
        op_end(&op);
        op = op_of(STORE_INBOX_ADD);
        op.peer = peer_number(1);
        add_frame(&op.in, 0x3000000 + stored, bytes_of(body));
        db_run(db, &op);
        if (op.status != RECEIPT_STORED) break;
    }
    CHECK(op.err == OK && op.status == RECEIPT_BUSY && stored > 5 && stored < 25, "%" PRIu64 " fit", stored);
    CHECK(bytes_has(bytes_of(op.why.text), BYTES("database.maxSize")), "%s", op.why.text);
    for (uint64_t i = 1; i < 4; i++) { /* it needs less room than the inbox: one may fit */
        op_end(&op);
        op = op_of(STORE_OUTBOX_ADD);
        op.peer = peer_number(1);
        add_frame(&op.in, i, bytes_of(body));
        db_run(db, &op);
        if (op.err != OK) break;
    }
    CHECK(op.err == E_LIMIT && err_exit(op.err) == 9 &&
              bytes_has(bytes_of(op.why.text), BYTES("database.maxSize")),
          "%s", op.why.text);
    op_end(&op);
    check_db(db);
    op = ask_text(db, STORE_INBOX_DELETE, "3000000", OK); /* what helps still works */
    op_end(&op);
    op = ask_text(db, STORE_INBOX_DELETE, "3000001", OK);
    op_end(&op);
    CHECK(receive(db, 1, 0x4000000, body) == RECEIPT_STORED, "there is room again");
    db_checkpoint(db, true);
    struct stat st;
    char path[512];
    join(path, sizeof path, folder, "silktalk.db");
    CHECK(stat(path, &st) == 0 && st.st_size <= 1 << 20, "%lld bytes", (long long)st.st_size);
    check_db(db);
    db_close(db);
    free(body);
}

TEST(file_log_is_copied_and_emptied) {
    const char *folder = test_dir();
    char path[512];
    struct stat st;
    struct db *db = open_in(folder);
    for (uint64_t i = 0; i < 20; i++) receive(db, 1, i, "x");
    CHECK(db_wal_pages(db) > 20);
    db_checkpoint(db, false);
    CHECK(db_wal_pages(db) == 0);
    receive(db, 1, 100, "x");
    CHECK(db_wal_pages(db) > 0 && db_wal_pages(db) < 20, "the log begins anew");
    db_checkpoint(db, true);
    join(path, sizeof path, folder, "silktalk.db-wal");
    CHECK(stat(path, &st) == 0 && st.st_size == 0);
    check_db(db);
    db_close(db);
}

/* Memory that fails at each place in turn: an error, and a database that is as it was. */
TEST(file_opens_without_memory_or_says_so) {
    const char *folder = test_dir();
    db_close(open_in(folder));
    size_t blocks = mem_blocks();
    enum err e = E_MEMORY;
    for (long at = 0; e != OK; at++) {
        struct db *db = NULL;
        struct why w = {OK, ""};
        CHECK(at < 100);
        mem_fail_after(at);
        e = try_open(&db, folder, 1 << 30, &w);
        mem_fail_after(-1);
        CHECK(e == OK || (e == E_MEMORY && db == NULL), "%s", w.text);
        db_close(db);
        CHECK(mem_blocks() == blocks);
    }
}
