#include "proto/pnet.h"

#include "base/mem.h"

bool pnet_start(struct pnet *p, const uint8_t key[32], struct rng *rng, struct buf *to) {
    *p = (struct pnet){.have = 0};
    memcpy(p->key, key, sizeof p->key);
    uint8_t nonce[PNET_NONCE];
    rng_fill(rng, nonce, sizeof nonce);
    xsalsa20_init(&p->out, key, nonce);
    return buf_add(to, bytes_at(nonce, sizeof nonce));
}
void pnet_input(struct pnet *p, uint8_t *data, struct bytes *in) {
    if (p->have < PNET_NONCE) {
        struct bytes part = bytes_take(in, PNET_NONCE - p->have);
        if (part.n > 0) memcpy(p->nonce + p->have, part.p, part.n);
        p->have += part.n;
        data += part.n;
        if (p->have < PNET_NONCE) return;
        xsalsa20_init(&p->in, p->key, p->nonce);
        mem_wipe(p->key, sizeof p->key); /* both ciphers have their own by now */
    }
    xsalsa20_xor(&p->in, data, in->n);
}
void pnet_output(struct pnet *p, uint8_t *data, size_t n) {
    xsalsa20_xor(&p->out, data, n);
}
void pnet_wipe(struct pnet *p) {
    mem_wipe(p, sizeof *p);
}
