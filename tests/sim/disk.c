#include "tests/sim/disk.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/db_query.h"

enum { SHARED_BYTES = 32 << 10 };

static struct disk *now_used;
static int64_t now_ms;

struct handle { /* what SQLite calls an open file */
    sqlite3_file base;
    struct disk *disk;
    struct disk_file *file;
    bool temporary;
};

/* Plain memory: blocks of a disk are none of the node's, and never refused. */
static void *must(void *p) {
    if (p == NULL) abort();
    return p;
}

/* ---- files */

static struct disk_file *find(struct disk *d, const char *name) {
    for (size_t i = 0; i < DISK_FILES; i++)
        if (d->files[i].name != NULL && strcmp(d->files[i].name, name) == 0) return &d->files[i];
    return NULL;
}

static void forget_before(struct disk_file *f) {
    for (size_t i = 0; i < f->n_before; i++) {
        free(f->before[i]);
        f->before[i] = NULL;
    }
}

static void erase(struct disk_file *f) {
    forget_before(f);
    free(f->before);
    free(f->name);
    free(f->p);
    memset(f, 0, sizeof *f);
}

static struct disk_file *make(struct disk *d, const char *name) {
    for (size_t i = 0; i < DISK_FILES; i++) {
        if (d->files[i].name != NULL) continue;
        d->files[i] = (struct disk_file){.name = must(strdup(name))};
        return &d->files[i];
    }
    return NULL;
}

static void grow(struct disk_file *f, size_t n) {
    if (n > f->cap) {
        size_t cap = MAX(n + n / 2, (size_t)4 * DISK_PAGE);
        f->p = must(realloc(f->p, cap));
        memset(f->p + f->cap, 0, cap - f->cap);
        f->cap = cap;
    }
    size_t pages = (n + DISK_PAGE - 1) / DISK_PAGE;
    if (pages <= f->n_before) return;
    pages += pages / 2;
    f->before = must(realloc(f->before, pages * sizeof *f->before));
    memset(f->before + f->n_before, 0, (pages - f->n_before) * sizeof *f->before);
    f->n_before = pages;
}

/* What lay there at the last sync, if it is written over the first time since. */
static void keep_before(struct disk_file *f, size_t from, size_t to) {
    for (size_t page = from / DISK_PAGE; page * DISK_PAGE < to && page * DISK_PAGE < f->synced_n; page++) {
        if (f->before[page] != NULL) continue;
        f->before[page] = must(calloc(1, DISK_PAGE));
        memcpy(f->before[page], f->p + page * DISK_PAGE, MIN((size_t)DISK_PAGE, f->cap - page * DISK_PAGE));
    }
}

/* ---- the power */

void disk_open(struct disk *d) {
    memset(d, 0, sizeof *d);
    d->cut_after = d->full_after = -1;
}

static void drop_shared(struct disk *d) {
    for (size_t i = 0; i < LEN(d->shared); i++) {
        free(d->shared[i]);
        d->shared[i] = NULL;
    }
}

static void lose(struct disk_file *f, enum disk_loss loss, struct rng *rng) {
    bool some = loss == DISK_LOSES_SECTORS;
    size_t end = f->synced_n; /* the size that survives */
    for (size_t at = 0; at < MAX(f->n, f->synced_n); at += DISK_SECTOR) {
        size_t n = MIN((size_t)DISK_SECTOR, f->cap - at);
        const uint8_t *before = at < f->synced_n ? f->before[at / DISK_PAGE] : NULL;
        bool changed = before != NULL || at + n > f->synced_n;
        if (!changed) continue;
        if (some && at < f->n && rng_below(rng, 2) == 0) {
            end = MAX(end, MIN(at + n, f->n));
        } else if (before != NULL) {
            memcpy(f->p + at, before + at % DISK_PAGE, n);
        } else if (at >= f->synced_n) {
            memset(f->p + at, 0, n);
        } else {
            memset(f->p + f->synced_n, 0, at + n - f->synced_n);
        }
    }
    if (f->cap > end) memset(f->p + end, 0, f->cap - end);
    f->n = end;
}

void disk_restart(struct disk *d, enum disk_loss loss, struct rng *rng) {
    for (size_t i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &d->files[i];
        if (f->name == NULL || loss == DISK_KEEPS_ALL) continue;
        if (!f->known && (loss == DISK_LOSES_ALL || rng_below(rng, 2) == 0)) {
            erase(f); /* the folder was not synced either */
            continue;
        }
        lose(f, loss, rng);
        forget_before(f);
        f->synced_n = f->n;
    }
    drop_shared(d);
    d->dead = false;
    d->cut_after = -1;
}

void disk_free(struct disk *d) {
    for (size_t i = 0; i < DISK_FILES; i++) erase(&d->files[i]);
    drop_shared(d);
}

/* False: the power is gone. */
static bool powered(struct disk *d) {
    if (d->cut_after == 0) d->dead = true;
    if (d->cut_after > 0) d->cut_after--;
    return !d->dead;
}

/* ---- SQLite's methods of an open file */

static struct handle *of(sqlite3_file *base) {
    return (struct handle *)(void *)base;
}

static int file_close(sqlite3_file *base) {
    struct handle *h = of(base);
    if (h->temporary) erase(h->file);
    return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int amount, sqlite3_int64 at) {
    struct handle *h = of(base);
    if (h->disk->dead) return SQLITE_IOERR_READ;
    size_t n = (size_t)amount, from = (size_t)at, there = from < h->file->n ? h->file->n - from : 0;
    if (there >= n) {
        memcpy(out, h->file->p + from, n);
        return SQLITE_OK;
    }
    memset(out, 0, n);
    if (there > 0) memcpy(out, h->file->p + from, there);
    return SQLITE_IOERR_SHORT_READ;
}

static void put(struct disk_file *f, const uint8_t *data, size_t n, size_t at) {
    grow(f, at + n);
    keep_before(f, at, at + n);
    memcpy(f->p + at, data, n);
    f->n = MAX(f->n, at + n);
}

static int file_write(sqlite3_file *base, const void *data, int amount, sqlite3_int64 at) {
    struct handle *h = of(base);
    struct disk *d = h->disk;
    size_t n = (size_t)amount;
    bool was_dead = d->dead;
    d->writes++;
    if (!powered(d)) {
        if (!was_dead) put(h->file, data, n / 2, (size_t)at); /* half of it was on its way */
        return SQLITE_IOERR_WRITE;
    }
    if (d->full_after >= 0) {
        size_t more = (size_t)at + n > h->file->n ? (size_t)at + n - h->file->n : 0;
        if ((uint64_t)d->full_after < more) return SQLITE_FULL;
        d->full_after -= (int64_t)more;
    }
    put(h->file, data, n, (size_t)at);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    struct handle *h = of(base);
    if (!powered(h->disk)) return SQLITE_IOERR_TRUNCATE;
    if ((size_t)size >= h->file->n) return SQLITE_OK;
    keep_before(h->file, (size_t)size, h->file->n);
    memset(h->file->p + size, 0, h->file->n - (size_t)size);
    h->file->n = (size_t)size;
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags) {
    struct handle *h = of(base);
    (void)flags;
    if (!powered(h->disk)) return SQLITE_IOERR_FSYNC;
    h->disk->syncs++;
    forget_before(h->file);
    h->file->synced_n = h->file->n;
    h->file->known = true;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
    *size = (sqlite3_int64)of(base)->file->n;
    return SQLITE_OK;
}

static int file_lock(sqlite3_file *base, int level) {
    (void)base;
    (void)level;
    return SQLITE_OK;
}

static int file_check_lock(sqlite3_file *base, int *held) {
    (void)base;
    *held = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg) {
    (void)base;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base) {
    (void)base;
    return DISK_SECTOR;
}

static int file_traits(sqlite3_file *base) {
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as SQLite takes for granted of every disk under Linux */
}

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **out) {
    struct handle *h = of(base);
    *out = NULL;
    if (region < 0 || (size_t)region >= LEN(h->disk->shared) || size != SHARED_BYTES)
        return SQLITE_IOERR_SHMMAP;
    if (h->disk->shared[region] == NULL && extend) h->disk->shared[region] = must(calloc(1, SHARED_BYTES));
    *out = h->disk->shared[region];
    return SQLITE_OK;
}

static int shm_lock(sqlite3_file *base, int offset, int n, int flags) {
    (void)base;
    (void)offset;
    (void)n;
    (void)flags;
    return SQLITE_OK; /* there is one connection */
}

static void shm_barrier(sqlite3_file *base) {
    (void)base;
}

static int shm_unmap(sqlite3_file *base, int delete) {
    (void)delete;
    drop_shared(of(base)->disk);
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = file_close,
                                           .xRead = file_read,
                                           .xWrite = file_write,
                                           .xTruncate = file_truncate,
                                           .xSync = file_sync,
                                           .xFileSize = file_size,
                                           .xLock = file_lock,
                                           .xUnlock = file_lock,
                                           .xCheckReservedLock = file_check_lock,
                                           .xFileControl = file_control,
                                           .xSectorSize = file_sector,
                                           .xDeviceCharacteristics = file_traits,
                                           .xShmMap = shm_map,
                                           .xShmLock = shm_lock,
                                           .xShmBarrier = shm_barrier,
                                           .xShmUnmap = shm_unmap};

/* ---- and of the file system */

static int fs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags) {
    struct handle *h = of(base);
    (void)vfs;
    base->pMethods = NULL;
    if (now_used == NULL || now_used->dead) return SQLITE_CANTOPEN;
    struct disk_file *f = name == NULL ? NULL : find(now_used, name);
    if (f == NULL && name != NULL && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    if (f == NULL) f = make(now_used, name == NULL ? "temporary" : name);
    if (f == NULL) return SQLITE_CANTOPEN;
    h->disk = now_used;
    h->file = f;
    h->temporary = name == NULL;
    base->pMethods = &methods;
    if (out_flags != NULL) *out_flags = flags;
    return SQLITE_OK;
}

static int fs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs;
    (void)sync;
    struct disk_file *f = now_used == NULL ? NULL : find(now_used, name);
    if (f == NULL) return SQLITE_IOERR_DELETE_NOENT;
    if (!powered(now_used)) return SQLITE_IOERR_DELETE;
    erase(f);
    return SQLITE_OK;
}

static int fs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    (void)vfs;
    (void)flags;
    const struct disk_file *f = now_used == NULL ? NULL : find(now_used, name);
    *out = f != NULL && (flags != SQLITE_ACCESS_EXISTS || f->n > 0);
    return SQLITE_OK;
}

static int fs_full_name(sqlite3_vfs *vfs, const char *name, int n, char *out) {
    (void)vfs;
    snprintf(out, (size_t)n, "%s", name);
    return SQLITE_OK;
}

static int fs_random(sqlite3_vfs *vfs, int n, char *out) {
    (void)vfs;
    memset(out, 7, (size_t)n);
    return n;
}

static int fs_sleep(sqlite3_vfs *vfs, int us) {
    (void)vfs;
    return us;
}

static int fs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out) {
    (void)vfs;
    *out = INT64_C(210866760000000) + now_ms; /* Julian day of 1970, in milliseconds */
    return SQLITE_OK;
}

static int fs_time(sqlite3_vfs *vfs, double *out) {
    sqlite3_int64 ms;
    fs_time_ms(vfs, &ms);
    *out = (double)ms / 86400000.0;
    return SQLITE_OK;
}

static int fs_error(sqlite3_vfs *vfs, int n, char *out) {
    (void)vfs;
    if (n > 0) out[0] = 0;
    return 0;
}

void disk_time(int64_t wall_ms) {
    now_ms = wall_ms;
}

void disk_select(struct disk *d) {
    static sqlite3_vfs fs = {.iVersion = 2,
                             .szOsFile = sizeof(struct handle),
                             .mxPathname = 512,
                             .zName = "simulation",
                             .xOpen = fs_open,
                             .xDelete = fs_delete,
                             .xAccess = fs_access,
                             .xFullPathname = fs_full_name,
                             .xRandomness = fs_random,
                             .xSleep = fs_sleep,
                             .xCurrentTime = fs_time,
                             .xGetLastError = fs_error,
                             .xCurrentTimeInt64 = fs_time_ms};
    static bool registered;
    if (!registered && sqlite3_vfs_register(&fs, 1) != SQLITE_OK) abort();
    registered = true;
    now_used = d;
}
