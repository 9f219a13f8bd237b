/* lib/store/store.h: all durable state: one SQLite database, worked on by one thread.
 *
 * The node hands over operations (struct store_op) and gets each one back, done, in the order they were
 * given. The thread takes all that wait, runs them in one transaction (group commit), and gives them back
 * only after the commit is on disk (journal_mode WAL, synchronous FULL): so an operation that came back with
 * OK survives a power cut. An operation that fails by itself (quota, no such row) fails alone; when the
 * commit fails, every one of the batch fails (E_IO, or E_LIMIT: no space left) and nothing of it stays.
 *
 * Two layers, so that simulation and tests need no thread:
 *   db.h     synchronous: db_open, db_batch, db_run
 *   store.h  the thread: two queues and a pipe that is readable when something is done
 *
 * Tables (operators may read them with sqlite3): db_schema.c, and contrib/schema.md for people. */
#ifndef SILKTALK_STORE_STORE_H
#define SILKTALK_STORE_STORE_H

#include "node/store_op.h"

struct store;
struct store_setup {
    const char *path;  /* HOME/data/silktalk.db; its folder exists */
    const char *spool; /* HOME/spool, or NULL */
    const char *outgoing, *received; /* folders of large files, or NULL: none */
    uint64_t cache_bytes, max_bytes;
    size_t queue_max; /* operations given and not taken back */
};
/* Opens (creates, migrates) the database in the calling thread, then starts the thread. Works with WAL
 * leftovers of a crash; repairs nothing silently: a damaged file is E_IO with the sentence of what to do. */
enum err store_open(struct store **out, const struct store_setup *setup, struct why *w);
void store_close(struct store *s);                     /* finishes what was given, then ends */
int store_fd(const struct store *s);                   /* readable: store_take has something */
bool store_give(struct store *s, struct store_op *op); /* takes ownership; false: queue is full */
void store_flush(struct store *s); /* the thread gets what was given: to be called when that is all for now */
size_t store_waiting(const struct store *s);
struct store_op *store_take(struct store *s); /* ownership back; NULL: nothing more now */

#endif
