/* How full disks are. */
#include "store/space.h"

#include "tests/store/help.h"

TEST(space_of_a_folder) {
    struct space_use before, after;
    const char *dir = test_dir();
    char path[512];
    CHECK(space_measure(dir, &before));
    CHECK(before.total > 0 && before.used <= before.total && before.available <= before.total);
    CHECK(space_permille(&before) >= 0 && space_permille(&before) <= 1000);
    char content[100000];
    memset(content, 'x', sizeof content);
    write_text(dir, "a", bytes_at(content, sizeof content));
    join(path, sizeof path, dir, "link");
    CHECK(symlink("a", path) == 0); /* is not followed */
    CHECK(space_measure(dir, &after) && after.device == before.device);
    uint64_t grown = after.folder_bytes - before.folder_bytes;
    CHECK(grown >= 90000 && grown < 200000, "%llu", (unsigned long long)grown);
    join(path, sizeof path, dir, "none");
    CHECK(!space_measure(path, &after) && after.total == 0 && space_permille(&after) == -1);
}

TEST(space_is_the_fuller_of_bytes_and_inodes) {
    CHECK(space_permille(&(struct space_use){.total = 100, .used = 30, .available = 60}) == 333);
    CHECK(space_permille(&(struct space_use){.total = 100, .used = 100}) == 1000);
    CHECK(space_permille(&(struct space_use){.total = 100}) == 1000); /* nothing is ours */
    struct space_use s = {.total = 100, .used = 10, .available = 90, .inodes = 100, .inodes_free = 4};
    CHECK(space_permille(&s) == 960);
    s.inodes_free = 200;
    CHECK(space_permille(&s) == 100);
}

TEST(space_as_an_operation) {
    const char *dir = test_dir();
    struct db *db = open_in(dir);
    struct store_op op = op_of(STORE_SPACE);
    struct space_use spaces[SPACE_USES];
    CHECK(space_ask(&op.in, SPACE_DATA, dir) && space_ask(&op.in, SPACE_LOGS, "/no/such/folder"));
    db_run(db, &op);
    CHECK(op.err == OK && space_read(buf_view(&op.out), spaces), "%s", op.why.text);
    CHECK(spaces[SPACE_DATA].total > 0 && spaces[SPACE_LOGS].total == 0 && spaces[SPACE_BACKUPS].total == 0);
    struct bytes whole = buf_view(&op.out);
    for (size_t n = 1; n < whole.n; n++) CHECK(!space_read(bytes_sub(whole, 0, n), spaces));
    op.out.p[0] = SPACE_USES;
    CHECK(!space_read(buf_view(&op.out), spaces));
    struct buf request = op.in;
    for (size_t n = 1; n < request.n; n++) { /* cut: refused, or the part that is whole */
        struct store_op part = op_of(STORE_SPACE);
        CHECK(buf_add(&part.in, bytes_sub(buf_view(&request), 0, n)));
        db_run(db, &part);
        CHECK(part.err == E_INPUT || n == 3 + strlen(dir), "%zu: %s", n, err_name(part.err));
        op_end(&part);
    }
    char longest[600];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = 0;
    buf_clear(&op.in);
    CHECK(!space_ask(&op.in, SPACE_DATA, longest) && op.in.n == 0);
    op_end(&op);
    db_close(db);
}
