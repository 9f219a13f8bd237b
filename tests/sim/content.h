/* tests/sim/content.h: the bytes of one file on a disk whose power can fail: what was written and not synced
 * is lost then, wholly or in part. Plain memory: blocks of a disk are none of the node's, and never refused.
 */
#pragma once
#include "crypto/rng.h"

enum { DISK_SECTOR = 512, DISK_PAGE = 4096 };

struct content {
    uint8_t *p;
    size_t n, cap;
    size_t synced_n;  /* bytes at the last sync */
    uint8_t **before; /* by page: as it was at the last sync; NULL: not written since */
    size_t n_before;
};
void content_put(struct content *c, const void *data, size_t n, size_t at);
void content_cut(struct content *c, size_t size); /* to fewer bytes */
void content_sync(struct content *c);
/* Back to the last sync; `some`: any part of what was written since survives. */
void content_lose(struct content *c, bool some, struct rng *rng);
void content_free(struct content *c);
/* NULL ends the process. */
void *content_must(void *p);
