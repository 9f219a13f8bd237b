/* lib/base/map.c: open addressing with linear probing. The stored hash tells the three kinds of slot apart; a
 * dropped entry leaves a grave only when another entry may lie behind it. */
#include "base/map.h"

#include "base/mem.h"

#include <assert.h>

enum { MAP_FIRST = 16 };
enum { HASH_EMPTY = 0, HASH_GRAVE = 1, HASH_LEAST = 2 }; /* true hashes make room for the two marks */

static inline uint64_t rotate(uint64_t v, unsigned by) {
    return v << by | v >> (64 - by);
}

static inline uint64_t little64(const uint8_t *p) {
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++) v |= (uint64_t)p[i] << (8 * i); /* one load, where that is possible */
    return v;
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t siphash(const uint64_t seed[2], struct bytes data) {
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    size_t whole = data.n & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) sip_word(v, little64(data.p + i));
    uint64_t last = (uint64_t)data.n << 56;
    for (size_t i = whole; i < data.n; i++) last |= (uint64_t)data.p[i] << (8 * (i - whole));
    sip_word(v, last);
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 4; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_of(const struct map *m, struct bytes key) {
    uint64_t hash = siphash(m->seed, key);
    return hash < HASH_LEAST ? hash + HASH_LEAST : hash;
}

void map_init(struct map *m, size_t max, uint64_t seed0, uint64_t seed1) {
    *m = (struct map){.max = max, .seed = {seed0, seed1}};
}

void map_free(struct map *m) {
    mem_free(m->slots);
    map_init(m, m->max, m->seed[0], m->seed[1]);
}

/* The slot of the key, or NULL. There always is an empty slot, where the search ends. */
static struct map_slot *find(const struct map *m, uint64_t hash, struct bytes key) {
    if (m->n == 0) return NULL;
    for (size_t i = (size_t)hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *slot = &m->slots[i];
        if (slot->hash == hash && bytes_eq(slot->key, key)) return slot;
        if (slot->hash == HASH_EMPTY) return NULL;
    }
}

/* The first slot on the key's way that holds no entry. */
static struct map_slot *vacant(const struct map *m, uint64_t hash) {
    size_t i = (size_t)hash & (m->cap - 1);
    while (m->slots[i].hash >= HASH_LEAST) i = (i + 1) & (m->cap - 1);
    return &m->slots[i];
}

/* Makes a table that is at most half full with one entry more; without graves. */
static bool rebuild(struct map *m) {
    struct map to = *m;
    to.cap = MAP_FIRST;
    while (to.cap / 2 < m->n + 1) {
        if (to.cap > SIZE_MAX / 2) return false;
        to.cap *= 2;
    }
    to.slots = NEW_ARRAY(struct map_slot, to.cap);
    if (to.slots == NULL) return false;
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].hash >= HASH_LEAST) *vacant(&to, m->slots[i].hash) = m->slots[i];
    }
    mem_free(m->slots);
    to.used = m->n;
    *m = to;
    return true;
}

enum err map_add(struct map *m, struct bytes key, void *value) {
    assert(value != NULL);
    uint64_t hash = hash_of(m, key);
    if (find(m, hash, key) != NULL) return E_FAILED;
    if (m->n >= m->max) return E_LIMIT;
    if (m->used >= m->cap - m->cap / 4 && !rebuild(m)) return E_MEMORY; /* 3/4 full, graves counted */
    struct map_slot *slot = vacant(m, hash);
    if (slot->hash == HASH_EMPTY) m->used++;
    *slot = (struct map_slot){key, value, hash};
    m->n++;
    return OK;
}

void *map_find(const struct map *m, struct bytes key) {
    if (m->n == 0) return NULL;
    struct map_slot *slot = find(m, hash_of(m, key), key);
    return slot == NULL ? NULL : slot->value;
}

void *map_drop(struct map *m, struct bytes key) {
    struct map_slot *slot = m->n == 0 ? NULL : find(m, hash_of(m, key), key);
    if (slot == NULL) return NULL;
    void *value = slot->value;
    *slot = (struct map_slot){.hash = HASH_GRAVE};
    m->n--;
    size_t i = (size_t)(slot - m->slots);
    if (m->slots[(i + 1) & (m->cap - 1)].hash != HASH_EMPTY) return value;
    while (m->slots[i].hash == HASH_GRAVE) { /* nothing lies behind: this grave and those before it can go */
        m->slots[i].hash = HASH_EMPTY;
        m->used--;
        i = (i - 1) & (m->cap - 1);
    }
    return value;
}

void *map_next(const struct map *m, size_t *i) {
    while (*i < m->cap) {
        const struct map_slot *slot = &m->slots[(*i)++];
        if (slot->hash >= HASH_LEAST) return slot->value;
    }
    return NULL;
}
