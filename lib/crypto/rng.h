/* lib/crypto/rng.h: random bytes as an argument: a fast-key-erasure generator over ChaCha20 (libsodium),
 * seeded by the kernel in the daemon and by a number in tests and simulation. State that gave out bytes can
 * not give them again. Source: D. J. Bernstein, "Fast-key-erasure random-number generators". */
#ifndef SILKTALK_CRYPTO_RNG_H
#define SILKTALK_CRYPTO_RNG_H

#include "base/base.h"

struct rng {
    uint8_t key[32], pool[480];
    size_t left; /* unused bytes at the end of pool */
};
/* Call once, before anything else in crypto/; E_FAILED: the kernel gives no randomness. Works without /dev.
 */
enum err crypto_open(void);
void rng_system(struct rng *r);       /* from the kernel's generator */
struct rng rng_seeded(uint64_t seed); /* repeatable: tests and simulation only */
struct rng rng_fork(struct rng *r);   /* an independent one */
void rng_fill(struct rng *r, void *out, size_t n);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 to n-1 without bias; 0 for n 0 */
/* base_ms, plus or minus up to `percent` of it: redial and retry jitter. */
int64_t rng_jitter(struct rng *r, int64_t base_ms, unsigned percent);
void rng_wipe(struct rng *r);

#endif
