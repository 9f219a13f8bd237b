#include "crypto/peer_key.h"

#include "crypto/der.h"
#include "crypto/hash.h"

#include <tomcrypt.h>

/* AlgorithmIdentifier { rsaEncryption 1.2.840.113549.1.1.1, NULL } (RFC 8017 A.1) */
static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                    0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0};

struct numbers {
    struct bytes modulus, exponent; /* big endian, no leading zeros */
};

static size_t bit_count(struct bytes number) {
    size_t bits = number.n * 8;
    for (unsigned top = 0x80; number.n > 0 && (number.p[0] & top) == 0; top >>= 1) bits--;
    return bits;
}
/* Numbers that are views into the DER; nothing has been computed with them yet. */
static enum err read_numbers(struct bytes data, struct numbers *out, struct why *w) {
    struct rd outer = rd_of(data);
    struct rd info = rd_of(der_take(&outer, DER_SEQUENCE));
    der_end(&outer);
    der_exactly(&info, bytes_at(algorithm, sizeof algorithm));
    struct rd bits = rd_of(der_take(&info, DER_BIT_STRING));
    der_end(&info);
    if (rd_u8(&bits) != 0) bits.bad = true; /* unused bits */
    struct rd key = rd_of(der_take(&bits, DER_SEQUENCE));
    der_end(&bits);
    out->modulus = der_uint(&key);
    out->exponent = der_uint(&key);
    der_end(&key);
    if (outer.bad || info.bad || bits.bad || key.bad)
        return fail(w, E_INPUT, "RSA key: not a DER public key");

    size_t n = bit_count(out->modulus);
    if (n < RSA_BITS_LEAST || n > RSA_BITS_MOST)
        return fail(w, E_LIMIT, "RSA key of %zu bits: %d to %d are accepted", n, RSA_BITS_LEAST,
                    RSA_BITS_MOST);
    uint64_t e = 0;
    for (size_t i = 0; i < MIN(out->exponent.n, (size_t)5); i++) e = e << 8 | out->exponent.p[i];
    if (e < 3 || e > RSA_EXPONENT_MOST || e % 2 == 0)
        return fail(w, E_LIMIT, "RSA key: exponent out of range");
    /* Never a product of two primes, and slow in the arithmetic. */
    if (out->modulus.p[out->modulus.n - 1] % 2 == 0) return fail(w, E_INPUT, "RSA key: even modulus");
    return OK;
}
enum err peer_rsa_check(struct bytes data, struct why *w) {
    struct numbers numbers;
    return read_numbers(data, &numbers, w);
}
bool peer_rsa_verify(struct bytes data, struct bytes message, struct bytes signature) {
    struct numbers numbers;
    if (read_numbers(data, &numbers, NULL) != OK || signature.n != numbers.modulus.n) return false;
    rsa_key key;
    if (rsa_set_key(numbers.modulus.p, numbers.modulus.n, numbers.exponent.p, numbers.exponent.n, NULL, 0,
                    &key) != CRYPT_OK)
        return false;
    uint8_t hash[SHA256_SIZE];
    hash_sha256(message, hash);
    int good = 0;
    int e = rsa_verify_hash_ex(signature.p, signature.n, hash, sizeof hash, LTC_PKCS_1_V1_5,
                               find_hash("sha256"), 0, &good, &key);
    rsa_free(&key);
    return e == CRYPT_OK && good == 1;
}
