#include "tests/sim/disk.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/db_query.h"

enum { SHARED_BYTES = 32 << 10 };

static struct disk *now_used;
static int64_t now_ms, mono_us;

struct handle { /* what SQLite calls an open file */
    sqlite3_file base;
    struct disk *disk;
    struct disk_file *file;
    bool temporary;
};

/* ---- files */

static struct disk_file *find(struct disk *d, const char *name) {
    for (size_t i = 0; i < DISK_FILES; i++)
        if (d->files[i].name != NULL && !d->files[i].gone && strcmp(d->files[i].name, name) == 0)
            return &d->files[i];
    return NULL;
}

static void erase(struct disk_file *f) {
    content_free(&f->bytes);
    free(f->name);
    memset(f, 0, sizeof *f);
}

static struct disk_file *make(struct disk *d, const char *name) {
    for (size_t i = 0; i < DISK_FILES; i++) {
        if (d->files[i].name != NULL) continue;
        d->files[i] = (struct disk_file){.name = content_must(strdup(name))};
        return &d->files[i];
    }
    return NULL;
}

/* ---- the power */

void disk_open(struct disk *d) {
    memset(d, 0, sizeof *d);
    d->cut_after = d->full_after = d->bad_after = -1;
    tree_open(&d->tree, DISK_ROOT);
}

static void drop_shared(struct disk *d) {
    for (size_t i = 0; i < LEN(d->shared); i++) {
        free(d->shared[i]);
        d->shared[i] = NULL;
    }
}

/* What was removed and is not needed by a later file of that name may be there again. */
static void bring_back(struct disk *d, bool some, struct rng *rng) {
    for (size_t i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &d->files[i];
        if (f->name == NULL || !f->gone) continue;
        if (find(d, f->name) != NULL || (some && rng_below(rng, 2) == 0))
            erase(f);
        else
            f->gone = false;
    }
}

/* Of a folder that was synced: no name that was removed comes back. */
static void forget_gone(struct disk *d) {
    for (size_t i = 0; i < DISK_FILES; i++)
        if (d->files[i].gone) erase(&d->files[i]);
}

void disk_restart(struct disk *d, enum disk_loss loss, struct rng *rng) {
    for (size_t i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &d->files[i];
        if (f->name == NULL || loss == DISK_KEEPS_ALL) continue;
        if (!f->known && (loss == DISK_LOSES_ALL || rng_below(rng, 2) == 0)) {
            erase(f); /* the folder was not synced either */
            continue;
        }
        content_lose(&f->bytes, loss == DISK_LOSES_SECTORS, rng);
    }
    if (loss != DISK_KEEPS_ALL) bring_back(d, loss == DISK_LOSES_SECTORS, rng);
    if (loss != DISK_KEEPS_ALL && d->tree.n_files > 1) tree_lose(&d->tree, loss == DISK_LOSES_SECTORS, rng);
    drop_shared(d);
    d->dead = false;
    d->cut_after = d->bad_after = -1;
}

void disk_free(struct disk *d) {
    for (size_t i = 0; i < DISK_FILES; i++) erase(&d->files[i]);
    tree_free(&d->tree);
    drop_shared(d);
}

bool disk_step(struct disk *d) {
    if (d->cut_after == 0) d->dead = true;
    if (d->cut_after > 0) d->cut_after--;
    return !d->dead;
}

bool disk_syncs(struct disk *d) {
    if (!disk_step(d)) return false;
    d->syncs++;
    if (d->bad_after < 0) return true;
    bool good = d->bad_after-- > 0;
    d->bad_syncs += !good;
    return good;
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
    size_t n = (size_t)amount, from = (size_t)at,
           there = from < h->file->bytes.n ? h->file->bytes.n - from : 0;
    if (there >= n) {
        memcpy(out, h->file->bytes.p + from, n);
        return SQLITE_OK;
    }
    memset(out, 0, n);
    if (there > 0) memcpy(out, h->file->bytes.p + from, there);
    return SQLITE_IOERR_SHORT_READ;
}

bool disk_takes(struct disk *d, size_t size, size_t end) {
    size_t more = end > size ? end - size : 0;
    if (d->full_after < 0) return true;
    if ((uint64_t)d->full_after < more) return false;
    d->full_after -= (int64_t)more;
    return true;
}

static int file_write(sqlite3_file *base, const void *data, int amount, sqlite3_int64 at) {
    struct handle *h = of(base);
    struct disk *d = h->disk;
    size_t n = (size_t)amount;
    bool was_dead = d->dead;
    d->writes++;
    if (!disk_step(d)) {
        if (!was_dead) content_put(&h->file->bytes, data, n / 2, (size_t)at); /* half of it was on its way */
        return SQLITE_IOERR_WRITE;
    }
    if (!disk_takes(d, h->file->bytes.n, (size_t)at + n)) return SQLITE_FULL;
    content_put(&h->file->bytes, data, n, (size_t)at);
    return SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    struct handle *h = of(base);
    if (!disk_step(h->disk)) return SQLITE_IOERR_TRUNCATE;
    content_cut(&h->file->bytes, (size_t)size);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags) {
    struct handle *h = of(base);
    (void)flags;
    if (!disk_syncs(h->disk)) return SQLITE_IOERR_FSYNC;
    content_sync(&h->file->bytes);
    if (!h->file->known) forget_gone(h->disk); /* the first sync of a file is one of its folder, too */
    h->file->known = true;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size) {
    *size = (sqlite3_int64)of(base)->file->bytes.n;
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
    if (h->disk->shared[region] == NULL && extend)
        h->disk->shared[region] = content_must(calloc(1, SHARED_BYTES));
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
    struct disk_file *f = now_used == NULL ? NULL : find(now_used, name);
    if (f == NULL) return SQLITE_IOERR_DELETE_NOENT;
    if (!disk_step(now_used)) return SQLITE_IOERR_DELETE;
    f->gone = true;
    if (sync != 0 || !f->known) forget_gone(now_used);
    return SQLITE_OK;
}

static int fs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
    (void)vfs;
    (void)flags;
    const struct disk_file *f = now_used == NULL ? NULL : find(now_used, name);
    *out = f != NULL && (flags != SQLITE_ACCESS_EXISTS || f->bytes.n > 0);
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

void disk_time(struct clocks now) {
    now_ms = now.wall.ms;
    mono_us = now.mono.us;
}

int64_t disk_mono_us(void) {
    return mono_us;
}

int64_t disk_now_ms(void) {
    return now_ms;
}

struct disk *disk_selected(void) {
    return now_used;
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
