#include "base/mem.h"
#include "crypto/hash.h"

#include <tomcrypt.h>

void hash_shake128(struct bytes data, uint8_t *out, size_t n) {
    hash_state s;
    sha3_shake_init(&s, 128);
    if (data.n > 0) sha3_shake_process(&s, data.p, data.n);
    sha3_shake_done(&s, out, n);
    mem_wipe(&s, sizeof s);
}
