/* The part of libtomcrypt that is built, put in front of its own tomcrypt_custom.h: RSA and ECDSA identities,
 * DER, PKCS#1, PKCS#5, SHA. ARGTYPE 4: a bad argument is an error value, not an abort. */
#define ARGTYPE 4
#define LTC_NOTHING
#define LTC_NO_TEST
#define LTC_NO_FILE
#define USE_LTM
#define LTM_DESC
#define LTC_RIJNDAEL
#define LTC_CBC_MODE
#define LTC_CTR_MODE
#define LTC_SHA1
#define LTC_SHA3
#define LTC_SHA224
#define LTC_SHA256
#define LTC_SHA384
#define LTC_SHA512
#define LTC_HASH_HELPERS
#define LTC_HMAC
#define LTC_SPRNG
#define LTC_RNG_GET_BYTES
#define LTC_RNG_MAKE_PRNG
#define LTC_PRNG_ENABLE_LTC_RNG
#define LTC_MRSA
#define LTC_MECC
#define LTC_ECC_SHAMIR
#define LTC_NO_CURVES
#define LTC_ECC256
#define LTC_ECC384
#define LTC_ECC521
#define LTC_PKCS_1
#define LTC_PKCS_5
#define LTC_DER
#define LTC_BASE64
