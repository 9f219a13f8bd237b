/* tests/sim/disk.h: a disk in memory under SQLite (a VFS), whose power can fail: what was written and not
 * synced is lost then, wholly or in part, also in the middle of a commit.
 *
 * One thread. SQLite's files are named alike on every disk: disk_select says whose they are, before every
 * call of lib/store. */
#pragma once
#include "crypto/rng.h"

enum { DISK_SECTOR = 512, DISK_PAGE = 4096, DISK_FILES = 4 };

struct disk_file {
    char *name; /* NULL: a free place */
    uint8_t *p;
    size_t n, cap;
    size_t synced_n;  /* bytes at the last sync */
    uint8_t **before; /* by page: as it was at the last sync; NULL: not written since */
    size_t n_before;
    bool known; /* it was synced once: its name survives */
};
enum disk_loss {
    DISK_KEEPS_ALL,    /* the process died, the system lives */
    DISK_LOSES_ALL,    /* nothing that was not synced survives */
    DISK_LOSES_SECTORS /* any part of it survives */
};
struct disk {
    struct disk_file files[DISK_FILES];
    void *shared[8];    /* SQLite's shared memory, of 32 KiB each */
    int64_t cut_after;  /* the power fails at the write or sync behind so many; -1: it does not */
    int64_t full_after; /* bytes that may still be written; -1: no limit */
    bool dead;          /* it has failed: every operation is an error */
    uint64_t writes, syncs;
};
void disk_open(struct disk *d);
void disk_select(struct disk *d);
/* The power comes back, without what was lost. All files must be closed (db_close) before. */
void disk_restart(struct disk *d, enum disk_loss loss, struct rng *rng);
void disk_free(struct disk *d);
/* Wall time that SQLite sees. */
void disk_time(int64_t wall_ms);
