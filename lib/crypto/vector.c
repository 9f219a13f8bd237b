#include "crypto/vector.h"

#include <sodium.h>

#include "base/mem.h"
#include "crypto/aead.h"

struct vector vector;

#if defined(__x86_64__)
#include <cpuid.h>

/* How the assembly is called: key, nonce and counter in, the tag out, in the same place. Source: BoringSSL,
 * crypto/cipher/internal.h. */
union call {
    struct {
        _Alignas(16) uint8_t key[32];
        uint32_t counter;
        uint8_t nonce[12];
        const uint8_t *more; /* sealed already, to be under the same tag: never used */
        size_t n_more;
    } in;
    uint8_t tag[AEAD_TAG];
};
void chacha20_poly1305_seal_avx2(uint8_t *out, const uint8_t *in, size_t n, const uint8_t *ad, size_t n_ad,
                                 union call *call);
void chacha20_poly1305_open_avx2(uint8_t *out, const uint8_t *in, size_t n, const uint8_t *ad, size_t n_ad,
                                 union call *call);
void sha256_block_data_order_hw(uint32_t state[8], const uint8_t *blocks, size_t n);

void vector_detect(void) {
    enum { BMI2 = 1 << 8, SHA = 1 << 29 }; /* CPUID 7, EBX */
    unsigned a, b = 0, c, d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return;
    /* libsodium's answer to AVX2 includes that the kernel keeps the registers */
    vector.chacha20_poly1305 = sodium_runtime_has_avx2() && (b & BMI2) != 0;
    vector.sha256 = sodium_runtime_has_sse41() && (b & SHA) != 0;
}

static void prepare(union call *call, const uint8_t key[32], const uint8_t nonce[12]) {
    *call = (union call){.in = {.counter = 0}};
    memcpy(call->in.key, key, sizeof call->in.key);
    memcpy(call->in.nonce, nonce, sizeof call->in.nonce);
}
void vector_aead_seal(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes ad,
                      struct bytes plain) {
    union call call;
    prepare(&call, key, nonce);
    chacha20_poly1305_seal_avx2(out, plain.p, plain.n, ad.p, ad.n, &call);
    memcpy(out + plain.n, call.tag, AEAD_TAG);
    mem_wipe(&call, sizeof call);
}
bool vector_aead_open(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes ad,
                      struct bytes sealed) {
    union call call;
    size_t n = sealed.n - AEAD_TAG;
    uint8_t tag[AEAD_TAG]; /* out may be sealed */
    memcpy(tag, sealed.p + n, AEAD_TAG);
    prepare(&call, key, nonce);
    chacha20_poly1305_open_avx2(out, sealed.p, n, ad.p, ad.n, &call);
    bool good = sodium_memcmp(call.tag, tag, AEAD_TAG) == 0;
    if (!good) mem_wipe(out, n); /* it was opened before it was known to be forged */
    mem_wipe(&call, sizeof call);
    return good;
}
void vector_sha256(uint32_t state[8], const uint8_t *blocks, size_t n) {
    sha256_block_data_order_hw(state, blocks, n);
}

#else

void vector_detect(void) {}
void vector_aead_seal(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes ad,
                      struct bytes plain) {
    (void)out, (void)key, (void)nonce, (void)ad, (void)plain;
}
bool vector_aead_open(uint8_t *out, const uint8_t key[32], const uint8_t nonce[12], struct bytes ad,
                      struct bytes sealed) {
    (void)out, (void)key, (void)nonce, (void)ad, (void)sealed;
    return false;
}
void vector_sha256(uint32_t state[8], const uint8_t *blocks, size_t n) {
    (void)state, (void)blocks, (void)n;
}
#endif
