/* lib/store/db_bytes.c: the bytes of files go behind the commit of what ends their row. Before it, a commit
 * that fails would leave a row that is still listed, and nothing to send for it; what a crash leaves behind
 * the commit is found at the next start. */
#include "store/db_query.h"

#include "proto/file.h"

#include <stdio.h>

_Static_assert(BYTES_NAME_SPACE == FILE_NAME_MAX + 1, "every name of a row");

void bytes_go(struct db *db, const struct bytes_gone *gone) {
    if (db->rc != SQLITE_OK) return; /* as any write behind an error */
    if (db->n_gone < BYTES_GONE_MAX)
        db->gone[db->n_gone++] = *gone;
    else
        db->sweep_bytes = true; /* it finds them too */
}

/* A received file that is whole is its user's: without a row it stays (the database may be an older one,
 * restored), and so does one that only has the number of a row. What can not be known now is left for the
 * next time. */
static bool keep(void *user, int64_t seq, bool outgoing, const char *whole) {
    struct db *db = user;
    char name[BYTES_NAME_SPACE] = "", path[4096] = "";
    bool of_this = false, ended = false;
    struct query q = query_open(db, SQL_FILE_SHOW);
    bind_int(&q, 1, seq);
    bool row = query_row(&q);
    if (row) {
        bool out = bytes_is(column_bytes(&q, 3), "out");
        struct bytes state = column_bytes(&q, 4);
        of_this = out == outgoing;
        ended = bytes_is(state, "failed") || (out && bytes_is(state, "complete"));
        bytes_cstr(column_bytes(&q, 7), name, sizeof name);
    }
    query_end(&q);
    if (db->rc != SQLITE_OK) return true;
    if (whole == NULL) return of_this && !ended;
    if (!of_this || !ended) return true;
    files_path(db->files, seq, false, name, path, sizeof path);
    const char *last = strrchr(path, '/');
    return last == NULL || strcmp(last + 1, whole) != 0;
}

void bytes_settle(struct db *db, bool committed) {
    for (size_t i = 0; i < db->n_gone; i++) {
        const struct bytes_gone *g = &db->gone[i];
        if (g->if_undone != committed)
            files_drop(db->files, g->seq, g->outgoing, g->name[0] == 0 ? NULL : g->name);
    }
    db->n_gone = 0;
    bool sweep = db->sweep_bytes && committed;
    db->sweep_bytes = false;
    if (sweep) files_sweep(db->files, keep, db);
    db->rc = SQLITE_OK;
}
