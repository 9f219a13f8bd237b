#include "crypto/rng.h"

#include <errno.h>
#include <sodium.h>
#include <sys/random.h>
#include <tomcrypt.h>

#include "base/mem.h"
#include "crypto/vector.h"

/* libsodium must never open /dev/random itself: in an empty root there is none. So its generator is the
 * system call alone. crypto_open has seen it work; should it fail later, going on without randomness is no
 * option. */
static bool kernel_random(void *out, size_t n) {
    uint8_t *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, MIN(n, (size_t)256),
                                0); /* up to 256 bytes are never cut short by a signal */
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}
static void sodium_fill(void *const out, const size_t n) {
    if (!kernel_random(out, n)) sodium_misuse();
}
static uint32_t sodium_random(void) {
    uint32_t v = 0;
    sodium_fill(&v, sizeof v);
    return v;
}
static const char *sodium_name(void) {
    return "getrandom";
}
static struct randombytes_implementation kernel_source = {
    .implementation_name = sodium_name, .random = sodium_random, .buf = sodium_fill};

enum err crypto_open(void) {
    uint8_t probe[16];
    if (!kernel_random(probe, sizeof probe)) return E_FAILED;
    if (randombytes_set_implementation(&kernel_source) != 0 || sodium_init() < 0) return E_FAILED;
    vector_detect();
    ltc_mp = ltm_desc;
    return register_hash(&sha256_desc) < 0 ? E_FAILED : OK;
}

/* One call of the cipher under the old key gives the new key and the pool; the old key is overwritten by it.
 */
static void refill(struct rng *r) {
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = {0};
    uint8_t fresh[sizeof r->key + sizeof r->pool];
    crypto_stream_chacha20(fresh, sizeof fresh, nonce, r->key);
    memcpy(r->key, fresh, sizeof r->key);
    memcpy(r->pool, fresh + sizeof r->key, sizeof r->pool);
    r->left = sizeof r->pool;
    mem_wipe(fresh, sizeof fresh);
}
void rng_system(struct rng *r) {
    *r = (struct rng){.left = 0};
    sodium_fill(r->key, sizeof r->key);
}
struct rng rng_seeded(uint64_t seed) {
    struct rng r = {.left = 0};
    put_u64(r.key, seed);
    return r;
}
struct rng rng_fork(struct rng *r) {
    struct rng other = {.left = 0};
    rng_fill(r, other.key, sizeof other.key);
    return other;
}
void rng_fill(struct rng *r, void *out, size_t n) {
    uint8_t *to = out;
    while (n > 0) {
        if (r->left == 0) refill(r);
        size_t part = MIN(n, r->left);
        uint8_t *from = r->pool + (sizeof r->pool - r->left);
        memcpy(to, from, part);
        mem_wipe(from, part);
        r->left -= part;
        to += part;
        n -= part;
    }
}
uint64_t rng_u64(struct rng *r) {
    uint8_t b[8];
    rng_fill(r, b, sizeof b);
    return get_u64(b);
}
uint64_t rng_below(struct rng *r, uint64_t n) {
    if (n == 0) return 0;
    uint64_t uneven = (UINT64_MAX % n + 1) %
                      n; /* 2^64 mod n: this many values would come up once too often */
    for (;;) {
        uint64_t v = rng_u64(r);
        if (v <= UINT64_MAX - uneven) return v % n;
    }
}
int64_t rng_jitter(struct rng *r, int64_t base_ms, unsigned percent) {
    if (base_ms <= 0) return base_ms;
    int64_t share = (int64_t)MIN(percent, 100u);
    int64_t most = base_ms / 100 * share + base_ms % 100 * share / 100;
    most = MIN(most, INT64_MAX - base_ms); /* so that the sum can not overflow */
    return base_ms - most + (int64_t)rng_below(r, 2 * (uint64_t)most + 1);
}
void rng_wipe(struct rng *r) {
    mem_wipe(r, sizeof *r);
}
