/* tests/base/map_test.c: the table and SipHash-2-4 */
#include "base/map.h"
#include "base/mem.h"
#include "tests/test.h"

/* The reference vectors of SipHash-2-4: key 00..0f, input 00..(i-1). */
TEST(siphash_reference_vectors) {
    static const uint64_t want[64] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d, 0xcf2794e0277187b7,
        0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462, 0x9e0082df0ba9e4b0,
        0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7, 0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee,
        0xa129ca6149be45e5, 0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794, 0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd,
        0xbed65cf21aa2ee98, 0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8, 0xb8ad50c6f649af94,
        0xbce192de8a85b8ea, 0x17d835b85bbb15f3, 0x2f2e6163076bcfad, 0xde4daaaca71dc9a5, 0xa6a2506687956571,
        0xad87a3535c49ef28, 0x32d892fad841c342, 0x7127512f72f27cce, 0xa7f32346f95978e3, 0x12e0b01abb051238,
        0x15e034d40fa197ae, 0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d, 0x9abfd8766a33735c,
        0x0e3ea96b5304a7d0, 0xad0c42d6fc585992, 0x187306c89bc215a9, 0xd4a60abcf3792b95, 0xf935451de4f21df2,
        0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb, 0xe612a3cb9ecba951, 0xc766e62cfcadaf96,
        0xee64435a9752fe72, 0xa192d576b245165a, 0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f, 0x7fa8220ba3b2ecea,
        0x245731c13ca42499, 0xb78dbfaf3a8d83bd, 0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
        0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57, 0x958a324ceb064572,
    };
    const uint64_t seed[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    uint8_t in[64];
    for (size_t i = 0; i < 64; i++) {
        in[i] = (uint8_t)i;
        CHECK(siphash(seed, bytes_at(in, i)) == want[i], "%zu bytes", i);
    }
    CHECK(siphash(seed, (struct bytes){NULL, 0}) == want[0]);
}

TEST(map_adds_finds_drops) {
    struct map m;
    map_init(&m, 3, 1, 2);
    int a, b, c, d;
    CHECK(map_find(&m, BYTES("a")) == NULL && map_drop(&m, BYTES("a")) == NULL);
    CHECK(map_add(&m, BYTES("a"), &a) == OK && map_add(&m, BYTES("b"), &b) == OK);
    CHECK(map_add(&m, BYTES("a"), &c) == E_FAILED && map_find(&m, BYTES("a")) == &a);
    CHECK(map_add(&m, BYTES(""), &c) == OK && map_find(&m, (struct bytes){NULL, 0}) == &c);
    CHECK(map_add(&m, BYTES("d"), &d) == E_LIMIT && m.n == 3);
    CHECK(map_drop(&m, BYTES("b")) == &b && map_find(&m, BYTES("b")) == NULL &&
          map_drop(&m, BYTES("b")) == NULL);
    CHECK(map_add(&m, BYTES("d"), &d) == OK && map_find(&m, BYTES("d")) == &d && m.n == 3);
    map_free(&m);
    CHECK(m.n == 0 && m.max == 3 && map_find(&m, BYTES("a")) == NULL && map_add(&m, BYTES("a"), &a) == OK);
    map_free(&m);
    map_init(&m, 0, 1, 2);
    CHECK(map_add(&m, BYTES("a"), &a) == E_LIMIT && mem_blocks() == 0);
    map_free(&m);
}

/* Against a plain array: what is in, by key. */
enum { KEYS = 3000 };

TEST(map_agrees_with_an_array) {
    static struct entry {
        uint8_t key[2];
        bool in;
    } all[KEYS];
    struct map m;
    uint64_t state = test_seed();
    size_t n = 0;
    map_init(&m, KEYS, state, 7);
    for (size_t i = 0; i < KEYS; i++) put_u16(all[i].key, (uint16_t)i);
    for (unsigned step = 0; step < 200000; step++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t i = (state >> 33) % KEYS;
        struct bytes key = bytes_at(all[i].key, 2);
        bool fill = step / 20000 % 2 == 0; /* in turns it mostly grows and mostly empties */
        if (((state >> 20) % 4 != 0) == fill) {
            CHECK(map_add(&m, key, &all[i]) == (all[i].in ? E_FAILED : OK), "step %u", step);
            n += !all[i].in;
            all[i].in = true;
        } else {
            CHECK(map_drop(&m, key) == (all[i].in ? &all[i] : NULL), "step %u", step);
            n -= all[i].in;
            all[i].in = false;
        }
        CHECK(m.n == n && m.used >= m.n && (m.cap == 0 || m.used < m.cap), "step %u", step);
        CHECK((map_find(&m, key) != NULL) == all[i].in, "step %u", step);
    }
    size_t seen = 0, i = 0;
    for (void *v; (v = map_next(&m, &i)) != NULL; seen++) CHECK(((struct entry *)v)->in);
    CHECK(seen == n && map_next(&m, &i) == NULL);
    CHECK(m.cap <= 8192, "%zu slots", m.cap); /* graves do not make it grow */
    map_free(&m);
    CHECK(mem_blocks() == 0);
}

TEST(map_may_be_emptied_while_walked) {
    static uint8_t keys[1000][2];
    struct map m;
    map_init(&m, 1000, 3, 4);
    for (size_t i = 0; i < 1000; i++) {
        put_u16(keys[i], (uint16_t)i);
        CHECK(map_add(&m, bytes_at(keys[i], 2), keys[i]) == OK);
    }
    size_t i = 0, seen = 0;
    for (uint8_t *v; (v = map_next(&m, &i)) != NULL; seen++) {
        if (get_u16(v) % 3 != 0) CHECK(map_drop(&m, bytes_at(v, 2)) == v);
    }
    CHECK(seen == 1000 && m.n == 334, "%zu seen, %zu left", seen, m.n);
    for (size_t k = 0; k < 1000; k++)
        CHECK((map_find(&m, bytes_at(keys[k], 2)) != NULL) == (k % 3 == 0), "%zu", k);
    i = 0;
    for (uint8_t *v; (v = map_next(&m, &i)) != NULL;) map_drop(&m, bytes_at(v, 2));
    CHECK(m.n == 0 && m.used == 0, "%zu graves left", m.used);
    map_free(&m);
}

TEST(map_without_memory_keeps_what_it_has) {
    static uint8_t keys[100][2];
    struct map m;
    map_init(&m, 100, 3, 4);
    mem_fail_after(0);
    CHECK(map_add(&m, bytes_at(keys[0], 2), keys[0]) == E_MEMORY && m.n == 0);
    size_t refused = 0;
    for (size_t i = 0; i < 100; i++) {
        put_u16(keys[i], (uint16_t)i);
        mem_fail_after(0); /* each time it wants to grow */
        enum err e = map_add(&m, bytes_at(keys[i], 2), keys[i]);
        mem_fail_after(-1);
        refused += e == E_MEMORY;
        CHECK(e == OK || (e == E_MEMORY && map_add(&m, bytes_at(keys[i], 2), keys[i]) == OK), "%zu", i);
    }
    CHECK(refused >= 4 && m.n == 100, "%zu", refused);
    for (size_t i = 0; i < 100; i++) CHECK(map_find(&m, bytes_at(keys[i], 2)) == keys[i], "%zu", i);
    map_free(&m);
}
