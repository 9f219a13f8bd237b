/* lib/store/db.h: the database, synchronously: what the store's thread, the simulation, tests and a CLI
 * beside a stopped node call. One thread at a time; nothing here starts one.
 *
 * Operations come as a list (struct store_op, joined by `next`) and are done in one transaction, without
 * savepoints: when one of them fails after it wrote something, or SQLite refuses a statement, the transaction
 * is rolled back and the batch is done again, each operation in a transaction of its own. That costs nothing
 * while nothing fails, and an operation that fails by itself still fails alone. */
#ifndef SILKTALK_STORE_DB_H
#define SILKTALK_STORE_DB_H

#include "store/store.h"

enum {
    DB_APPLICATION_ID = 0x53694c6b, /* "SiLk": `file` and sqlite3 show whose database it is */
    DB_SCHEMA = 4,                  /* user_version; see db_schema.c */
    DB_PAGE = 4096,                 /* bytes */
    DB_BATCH_MAX = 1024,            /* operations of one commit */
    DB_BATCH_BYTES = 16 << 20,      /* bytes of `in` after which a batch ends */
    DB_WAL_PAGES = 4000,            /* 16 MiB of log: time for a checkpoint */
    DB_RESERVE_PAGES = 64, /* kept free from new messages, so that a full database can still be tidied */
    DB_LIST_MAX = 5000,    /* rows of one listing: always fit into `out` */
    DB_STEP_MAX = 256,     /* rows that one EXPIRE, RETRY, DELETE or MAINTAIN touches; then `more` */
    DB_SEARCH_MAX = 256,   /* bytes of a search text */
    DB_BUSY_MS = 2000      /* wait for another program that holds the database locked */
};

struct db;
/* Opens, or creates and fills, the database of setup->path; setup->queue_max is not used here. The file gets
 * mode 0600. E_INPUT  made by a newer SilkTalk, or no database of SilkTalk's E_IO     damaged, read-only,
 * cannot be opened: the text says what to do E_BUSY   another program keeps it locked E_LIMIT  no space for
 * it On an error *out is NULL. */
enum err db_open(struct db **out, const struct store_setup *setup, struct why *w);
void db_close(struct db *db); /* checkpoints and frees; NULL is fine */

/* Does the first operations of the list, as many as make a good batch (at least one), commits, and returns
 * the first one that it left (NULL: none). Those before it have their results: err, why, and what their kind
 * says. */
struct store_op *db_batch(struct db *db, struct store_op *first);
void db_run(struct db *db, struct store_op *op); /* one alone; op->next is ignored and kept */

uint64_t db_commits(const struct db *db); /* so far, of those that wrote something */
/* Pages in the write-ahead log since the last complete checkpoint. */
size_t db_wal_pages(const struct db *db);
/* Copies the log into the database. Waits for no reader: what one still needs stays for the next time.
 * `truncate` also empties the log's file. */
void db_checkpoint(struct db *db, bool truncate);

/* SQLite's integrity_check (quick: quick_check), and the counters against the rows. E_IO with the first
 * complaint. */
enum err db_check(struct db *db, bool quick, struct why *w);

#endif
