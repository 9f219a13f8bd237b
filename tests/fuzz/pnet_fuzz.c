/* A private network's cipher: the same whatever the pieces, and both ends of it are inverse. */
#include "proto/pnet.h"
#include "tests/fuzz/fuzz.h"

/* Gives `in` to p in pieces as `cuts` says; the plain bytes are appended to out. */
static void feed(struct pnet *p, struct bytes in, struct bytes cuts, struct buf *out) {
    while (in.n > 0) {
        struct bytes part = bytes_take(&in, cuts.n == 0 ? in.n : 1u + fuzz_u8(&cuts));
        uint8_t *copy = malloc(part.n);
        memcpy(copy, part.p, part.n);
        struct bytes plain = bytes_at(copy, part.n);
        pnet_input(p, copy, &plain);
        MUST(plain.n <= part.n && buf_add(out, plain));
        free(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    struct rng rng = rng_seeded(fuzz_u8(&in));
    size_t blocks = mem_blocks();
    uint8_t key[32] = {fuzz_u8(&in)};
    struct bytes cuts = fuzz_part(&in);
    struct pnet a, b, c;
    struct buf wire = {.max = 1 << 20}, from_b = {.max = 1000};
    struct buf back = {.max = 1 << 20}, whole = {.max = 1 << 20};
    MUST(pnet_start(&a, key, &rng, &wire) && pnet_start(&b, key, &rng, &from_b) && wire.n == PNET_NONCE);
    pnet_start(&c, key, &rng, &from_b);
    MUST(buf_add(&wire, in));
    struct bytes rest = in, some = cuts;
    for (size_t at = PNET_NONCE; rest.n > 0;) {
        size_t piece = bytes_take(&rest, 1u + fuzz_u8(&some)).n;
        pnet_output(&a, wire.p + at, piece);
        at += piece;
    }
    feed(&b, buf_view(&wire), cuts, &back);
    MUST(bytes_eq(buf_view(&back), in));
    feed(&c, buf_view(&wire), (struct bytes){NULL, 0}, &whole);
    MUST(bytes_eq(buf_view(&whole), in));
    pnet_wipe(&a);
    buf_free(&wire);
    buf_free(&from_b);
    buf_free(&back);
    buf_free(&whole);
    fuzz_no_leak(blocks);
    return 0;
}
