/* Opening a database on a disk that has a bad sync: it is open and lasting, or it says that it is not. */
#include "help.h"
#include "tests/sim/disk.h"

enum { SYNCS = 20 };

static enum err open_on(struct disk *d, struct db **db, struct why *w) {
    char path[300];
    join(path, sizeof path, test_dir(), "silktalk.db"); /* empty here, all of it is on the disk */
    struct store_setup setup = {
        .path = path, .cache_bytes = 1 << 20, .max_bytes = 1 << 30, .queue_max = 64};
    disk_select(d);
    return db_open(db, &setup, w);
}

/* SEED=820031 NODES=5-50: the answer was wal, but the change was not committed; power cuts took messages. */
TEST(an_open_database_has_a_log_that_lasts) {
    size_t refused = 0;
    for (int64_t bad = 0; bad < SYNCS; bad++) {
        struct disk d;
        struct db *db = NULL;
        struct why w = {OK, ""};
        disk_open(&d);
        d.bad_after = bad;
        enum err e = open_on(&d, &db, &w);
        if (e != OK) {
            refused++;
            CHECK(w.text[0] != 0);
            e = open_on(&d, &db, &w); /* whoever watches over the node starts it again */
        }
        CHECK(e == OK, "sync %lld: %s", (long long)bad, w.text);
        sqlite3_stmt *s = NULL;
        CHECK(sqlite3_prepare_v2(db->sql, "PRAGMA journal_mode", -1, &s, NULL) == SQLITE_OK &&
              sqlite3_step(s) == SQLITE_ROW);
        CHECK(strcmp((const char *)sqlite3_column_text(s, 0), "wal") == 0, "sync %lld", (long long)bad);
        sqlite3_finalize(s);
        db_close(db);
        disk_free(&d);
    }
    disk_select(NULL);
    CHECK(refused > 2 && refused < SYNCS);
}
