/* lib/store/files.h: the bytes of large files on disk, by the seq of their row: our copies of what is to be
 * sent (folder `outgoing`) and what is being received (folder `received`: SEQ.part, and SEQ-NAME when it is
 * whole).
 *
 * A few files are held open between slices, with their running hash. All calls are for the store's thread;
 * each takes as long as one slice of FILES_HASH_BYTES to be hashed, of FILE_SLICE to be written, or a sync.
 */
#ifndef SILKTALK_STORE_FILES_H
#define SILKTALK_STORE_FILES_H

#include "crypto/hash.h"
#include "store/store.h"

enum {
    FILES_OPEN = 32,             /* files held open; the longest unused one is closed */
    FILES_HASH_BYTES = 256 << 10, /* as long as a small message's commit: it may have to wait for one */
    FILES_SYNC_BYTES = 8 << 20,   /* so much, and FILES_SYNC_MS: time for a sync, for which messages wait */
    FILES_SYNC_MS = 500,
    FILES_SYNC_MOST = 64 << 20,  /* so much is lost at most, and sent again, when the power fails */
    FILES_START_BYTES = 1 << 20, /* writing to the disk begins after so much: a sync then has little to do */
};
struct files;
/* Folders are made when they are first needed. NULL: memory. */
struct files *files_new(const char *outgoing, const char *received);
void files_free(struct files *f);

/* `source` (taken over) is to be copied to outgoing/SEQ. E_INPUT: no regular file, or not of this size;
 * E_LIMIT: no space. */
enum err files_copy_begin(struct files *f, int64_t seq, int source, uint64_t size, struct why *w);
/* One slice; *done: bytes so far. At the end *whole, and the hash of all. E_INPUT: it changed meanwhile. */
enum err files_copy(struct files *f, int64_t seq, uint64_t size, uint64_t *done, bool *whole,
                    uint8_t hash[SHA256_SIZE], struct why *w);
/* E_NOT_FOUND: they are not there any more; any other error may pass. */
enum err files_read(struct files *f, int64_t seq, uint64_t at, size_t n, struct buf *out, struct why *w);
/* name: of a received one, gone also if it was whole; NULL: only what is not whole. Of a row that is
 * committed only db_bytes.c calls this: behind the commit. */
void files_drop(struct files *f, int64_t seq, bool outgoing, const char *name);
/* Unlinks what is named as ours and what `keep` says no to. whole: of a received file that is whole its name
 * in the folder, otherwise NULL. */
void files_sweep(struct files *f, bool (*keep)(void *user, int64_t seq, bool outgoing, const char *whole),
                 void *user);

struct files_part {
    int64_t seq;
    uint64_t at, size,
        safe; /* where it goes; of the whole file; bytes that a power cut leaves, as its row says */
    struct bytes data;
    bool last;
};
/* Appends at p->at (so many bytes are there). *safe: bytes that a power cut leaves now. */
enum err files_write(struct files *f, const struct files_part *p, uint64_t *safe, struct why *w);
/* Bytes of a file that is being received: `done` of its row, or more when it is open. */
uint64_t files_written(struct files *f, int64_t seq, uint64_t done);
/* Hashes one slice of what was received; *whole at the end. */
enum err files_check(struct files *f, int64_t seq, const char *name, uint64_t size, bool *whole,
                     uint8_t hash[SHA256_SIZE], struct why *w);
enum err files_finish(struct files *f, int64_t seq, const char *name,
                      struct why *w); /* SEQ.part to SEQ-NAME */
enum err files_open(struct files *f, int64_t seq, const char *name, int *fd, struct why *w);
void files_path(const struct files *f, int64_t seq, bool outgoing, const char *name, char *out, size_t size);

#endif
