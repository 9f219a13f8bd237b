/* tests/sim/disk.h: a disk in memory whose power can fail: what was written and not synced is lost then,
 * wholly or in part, also in the middle of a commit. Under SQLite it is a VFS; under lib/store/files.c and
 * spool.c it is the system itself, below DISK_ROOT, in a program that is linked with posix.c.
 *
 * One thread. SQLite's files are named alike on every disk: disk_select says whose they are, before every
 * call of lib/store. */
#pragma once
#include "base/base.h"
#include "tests/sim/tree.h"

#define DISK_ROOT "/simulated"
enum { DISK_FILES = 8 };

struct disk_file {
    char *name; /* NULL: a free place */
    struct content bytes;
    bool known; /* it was synced once: its name survives */
    bool gone;  /* it was removed, and its folder not synced since: it may be there again */
};
enum disk_loss {
    DISK_KEEPS_ALL,    /* the process died, the system lives */
    DISK_LOSES_ALL,    /* nothing that was not synced survives */
    DISK_LOSES_SECTORS /* any part of it survives */
};
struct disk {
    struct disk_file files[DISK_FILES];
    struct tree tree;   /* all but SQLite's */
    void *shared[8];    /* SQLite's shared memory, of 32 KiB each */
    int64_t cut_after;  /* the power fails at the write or sync behind so many; -1: it does not */
    int64_t full_after; /* bytes that may still be written; -1: no limit */
    int64_t bad_after;  /* the sync behind so many is an error, once: nothing is synced; -1: none is */
    bool dead;          /* it has failed: every operation is an error */
    uint64_t writes, syncs, bad_syncs;
};
void disk_open(struct disk *d);
void disk_select(struct disk *d);
/* The power comes back, without what was lost. All files must be closed (db_close) before. */
void disk_restart(struct disk *d, enum disk_loss loss, struct rng *rng);
void disk_free(struct disk *d);
/* Time that SQLite and files see. */
void disk_time(struct clocks now);

/* ---- for posix.c */
struct disk *disk_selected(void);
int64_t disk_now_ms(void);
int64_t disk_mono_us(void);
bool disk_step(struct disk *d); /* a write, sync or change of names; false: the power is gone */
bool disk_syncs(struct disk *d); /* false: an error, or the power is gone */
/* A file of `size` bytes may reach up to `end`; false: the disk is full. */
bool disk_takes(struct disk *d, size_t size, size_t end);
