#include "crypto/peer_key.h"

#include "crypto/der.h"
#include "crypto/hash.h"

#include <tomcrypt.h>
#include <tommath.h>

enum { FIELD = 32, POINT = 1 + 2 * FIELD };

/* All of a SubjectPublicKeyInfo before the point: { { ecPublicKey, prime256v1 }, BIT STRING of 66 bytes },
 * and the form byte of an uncompressed point (RFC 5480). DER knows no other spelling of it. */
static const uint8_t head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                               0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                               0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
/* FIPS 186-4 D.1.2.3 */
static const char prime_hex[] = "FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF";
static const char b_hex[] = "5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B";

enum err peer_ecdsa_check(struct bytes data, struct why *w) {
    if (data.n != sizeof head + 2 * FIELD ||
        !bytes_eq(bytes_sub(data, 0, sizeof head), bytes_at(head, sizeof head)))
        return fail(w, E_INPUT, "ECDSA key: not an uncompressed P-256 point in DER");
    return OK;
}

/* y^2 = x^3 - 3x + b with both coordinates below the prime; libtomcrypt's import does not look. */
static bool on_curve(struct bytes point) {
    mp_int p, b, x, y, left, right;
    if (mp_init_multi(&p, &b, &x, &y, &left, &right, NULL) != MP_OKAY) return false;
    bool good = mp_read_radix(&p, prime_hex, 16) == MP_OKAY && mp_read_radix(&b, b_hex, 16) == MP_OKAY &&
                mp_from_ubin(&x, point.p + 1, FIELD) == MP_OKAY &&
                mp_from_ubin(&y, point.p + 1 + FIELD, FIELD) == MP_OKAY && mp_cmp(&x, &p) == MP_LT &&
                mp_cmp(&y, &p) == MP_LT && mp_sqrmod(&y, &p, &left) == MP_OKAY &&
                mp_sqrmod(&x, &p, &right) == MP_OKAY && mp_sub_d(&right, 3, &right) == MP_OKAY &&
                mp_mulmod(&right, &x, &p, &right) == MP_OKAY &&
                mp_addmod(&right, &b, &p, &right) == MP_OKAY && mp_cmp(&left, &right) == MP_EQ;
    mp_clear_multi(&p, &b, &x, &y, &left, &right, NULL);
    return good;
}
/* { r, s }, each one to FIELD bytes; libtomcrypt checks them against the order, but reads DER less strictly.
 */
static bool signature_is_strict(struct bytes signature) {
    struct rd outer = rd_of(signature);
    struct rd pair = rd_of(der_take(&outer, DER_SEQUENCE));
    der_end(&outer);
    struct bytes r = der_uint(&pair), s = der_uint(&pair);
    der_end(&pair);
    return !outer.bad && !pair.bad && r.n >= 1 && r.n <= FIELD && s.n >= 1 && s.n <= FIELD;
}
bool peer_ecdsa_verify(struct bytes data, struct bytes message, struct bytes signature) {
    if (peer_ecdsa_check(data, NULL) != OK || !signature_is_strict(signature)) return false;
    struct bytes point = bytes_skip(data, data.n - POINT);
    ecc_key key;
    if (!on_curve(point) || ecc_ansi_x963_import(point.p, POINT, &key) != CRYPT_OK) return false;
    uint8_t hash[SHA256_SIZE];
    hash_sha256(message, hash);
    int good = 0;
    int e = ecc_verify_hash(signature.p, signature.n, hash, sizeof hash, &good, &key);
    ecc_free(&key);
    return e == CRYPT_OK && good == 1;
}
