/* lib/base/map.h: a hash table from byte strings to pointers, keyed by a secret seed so that a peer which
 * chooses the keys can not make them collide (SipHash-2-4), with a limit on its entries.
 *
 * Owner: whoever embeds it; map_free frees the table, never the values. A key is borrowed: it must live
 * inside the value, unchanged, until map_drop. Adding may move the table; walking with map_next while
 * dropping the entry just returned is allowed, adding while walking is not. */
#ifndef SILKTALK_BASE_MAP_H
#define SILKTALK_BASE_MAP_H

#include "base/base.h"

struct map_slot {
    struct bytes key;
    void *value;
    uint64_t hash;
};
struct map {
    struct map_slot *slots;
    size_t n, used, cap, max; /* entries; entries and graves; slots (power of two); most entries */
    uint64_t seed[2];
};
void map_init(struct map *m, size_t max, uint64_t seed0, uint64_t seed1);
void map_free(struct map *m);
enum err map_add(struct map *m, struct bytes key,
                 void *value);                         /* E_LIMIT, E_MEMORY, E_FAILED: key is there */
void *map_find(const struct map *m, struct bytes key); /* NULL: not there */
void *map_drop(struct map *m, struct bytes key);       /* the value it had, or NULL */
/* Walks: start with *i = 0; the next value, or NULL at the end. The order is that of the table. */
void *map_next(const struct map *m, size_t *i);
uint64_t siphash(const uint64_t seed[2], struct bytes data); /* SipHash-2-4, Aumasson and Bernstein */

#endif
