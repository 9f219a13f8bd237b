#include "crypto/hash.h"

#include <sodium.h>

#include "base/mem.h"
#include "crypto/vector.h"

/* The state lives in the caller's struct; libsodium's type only shows here. */
_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(struct sha256), "struct sha256 is too small");
_Static_assert(_Alignof(crypto_hash_sha256_state) <= _Alignof(struct sha256), "struct sha256 is misaligned");
static crypto_hash_sha256_state *state(struct sha256 *s) {
    return (crypto_hash_sha256_state *)(void *)s->opaque;
}

void sha256_start(struct sha256 *s) {
    crypto_hash_sha256_init(state(s));
}
void sha256_add(struct sha256 *s, struct bytes data) {
    enum { BLOCK = 64 };
    crypto_hash_sha256_state *st = state(s);
    if (vector.sha256) { /* the whole blocks; libsodium does what is before and after them */
        size_t begun = (size_t)(st->count / 8 % BLOCK), first = begun == 0 ? 0 : BLOCK - begun;
        if (data.n >= first + BLOCK) {
            if (first > 0) crypto_hash_sha256_update(st, data.p, first);
            data = bytes_skip(data, first);
            size_t whole = data.n - data.n % BLOCK;
            vector_sha256(st->state, data.p, whole / BLOCK);
            st->count += 8 * (uint64_t)whole;
            data = bytes_skip(data, whole);
        }
    }
    if (data.n > 0) crypto_hash_sha256_update(st, data.p, data.n);
}
void sha256_end(struct sha256 *s, uint8_t out[32]) {
    crypto_hash_sha256_final(state(s), out);
    mem_wipe(s, sizeof *s);
}
void hash_sha256(struct bytes data, uint8_t out[32]) {
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, data);
    sha256_end(&s, out);
}
static void hmac_start(crypto_auth_hmacsha256_state *s, struct bytes key) {
    static const uint8_t none[1] = {0};
    crypto_auth_hmacsha256_init(s, key.n > 0 ? key.p : none, key.n);
}
/* Of a state that has its key already, over two parts, for HKDF's out1 || 0x02. */
static void hmac2(crypto_auth_hmacsha256_state s, struct bytes a, struct bytes b, uint8_t out[32]) {
    if (a.n > 0) crypto_auth_hmacsha256_update(&s, a.p, a.n);
    if (b.n > 0) crypto_auth_hmacsha256_update(&s, b.p, b.n);
    crypto_auth_hmacsha256_final(&s, out);
    mem_wipe(&s, sizeof s);
}
void hash_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[32]) {
    crypto_auth_hmacsha256_state s;
    hmac_start(&s, key);
    hmac2(s, data, bytes_of(NULL), out);
    mem_wipe(&s, sizeof s);
}
void hash_noise_hkdf(const uint8_t chaining_key[32], struct bytes input, uint8_t out1[32], uint8_t out2[32]) {
    uint8_t secret[32];
    crypto_auth_hmacsha256_state s;
    hash_hmac_sha256(bytes_at(chaining_key, 32), input, secret);
    hmac_start(&s, bytes_at(secret, sizeof secret)); /* the key is hashed in once for both */
    hmac2(s, BYTES("\x01"), bytes_of(NULL), out1);
    hmac2(s, bytes_at(out1, 32), BYTES("\x02"), out2);
    mem_wipe(&s, sizeof s);
    mem_wipe(secret, sizeof secret);
}
bool crypto_equal(const uint8_t *a, const uint8_t *b, size_t n) {
    return sodium_memcmp(a, b, n) == 0;
}
