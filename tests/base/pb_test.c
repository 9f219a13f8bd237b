/* tests/base/pb_test.c: protobuf fields, also those that a peer made wrong on purpose */
#include "base/mem.h"
#include "base/pb.h"
#include "tests/test.h"

TEST(pb_reads_what_it_wrote) {
    struct buf b = {.max = 1000};
    struct pb_field f;
    CHECK(pb_put_uint(&b, 1, 0) && b.n == pb_size_uint(1, 0));
    CHECK(pb_put_uint(&b, 2, UINT64_MAX) && pb_put_bytes(&b, 3, BYTES("body")) &&
          pb_put_bytes(&b, 15, BYTES("")));
    CHECK(pb_put_fixed64(&b, 16, 0x0102030405060708) && pb_put_uint(&b, (1u << 29) - 1, 300));
    CHECK(b.n == 2 + pb_size_uint(2, UINT64_MAX) + pb_size_bytes(3, 4) + pb_size_bytes(15, 0) + 2 + 8 +
                     pb_size_uint((1u << 29) - 1, 300));
    struct rd r = rd_of(buf_view(&b));
    CHECK(pb_next(&r, &f) && f.number == 1 && !f.is_bytes && f.value == 0);
    CHECK(pb_next(&r, &f) && f.number == 2 && f.value == UINT64_MAX);
    CHECK(pb_next(&r, &f) && f.number == 3 && f.is_bytes && bytes_is(f.data, "body"));
    CHECK(pb_next(&r, &f) && f.number == 15 && f.is_bytes && f.data.n == 0);
    CHECK(pb_next(&r, &f) && f.number == 16 && f.value == 0x0102030405060708);
    CHECK(pb_next(&r, &f) && f.number == (1u << 29) - 1 && f.value == 300);
    CHECK(!pb_next(&r, &f) && !r.bad);
    static const size_t ends[] = {0, 2, 13, 19, 21, 31}; /* where fields begin */
    for (size_t cut = 0; cut < b.n; cut++) {
        size_t before = 0, fields = 0;
        while (before < LEN(ends) && ends[before] <= cut) before++;
        r = rd_of(bytes_sub(buf_view(&b), 0, cut));
        while (pb_next(&r, &f)) fields++;
        CHECK(fields == before - 1 && r.bad == (ends[before - 1] != cut), "cut at %zu: %zu fields", cut,
              fields);
    }
    buf_free(&b);
}

TEST(pb_known_bytes) {
    static const struct {
        const char *hex;
        bool good, is_bytes;
        uint32_t number;
        uint64_t value;
        size_t n;
    } rows[] = {
        {"089601", true, false, 1, 150, 0},          /* the encoding page's own example */
        {"120774657374696e67", true, true, 2, 0, 7}, /* and the next */
        {"0880808080808080808001", true, false, 1, 1ull << 63, 0},
        {"08ffffffffffffffffff01", true, false, 1, UINT64_MAX, 0},
        {"088000", true, false, 1, 0, 0},              /* protobuf allows longer forms */
        {"0d01020304", true, false, 1, 0x04030201, 0}, /* fixed32 */
        {"090102030405060708", true, false, 1, 0x0807060504030201, 0},
        {"f8ffffff0f01", true, false, (1u << 29) - 1, 1, 0},
        {"08ffffffffffffffffff02", false, false, 1, 0, 0},   /* 65 bits */
        {"08ffffffffffffffffffff01", false, false, 1, 0, 0}, /* 11 bytes */
        {"0001", false, false, 0, 0, 0},                     /* number 0 */
        {"808080801001", false, false, 0, 0, 0},             /* number 2^29 */
        {"0b0c", false, false, 1, 0, 0},                     /* a group */
        {"0c", false, false, 1, 0, 0},
        {"0e00", false, false, 1, 0, 0}, /* wire types 6 and 7 */
        {"0f00", false, false, 1, 0, 0},
        {"0a05aabb", false, false, 1, 0, 0}, /* longer than the message */
        {"0affffffffffffffffff01", false, false, 1, 0, 0},
        {"0d010203", false, false, 1, 0, 0},
        {"0901020304050607", false, false, 1, 0, 0},
        {"08", false, false, 1, 0, 0},
        {"0a", false, false, 1, 0, 0},
    };
    uint8_t in[32];
    for (size_t i = 0; i < LEN(rows); i++) {
        struct rd r = rd_of(bytes_at(in, test_hex(rows[i].hex, in, sizeof(in))));
        struct pb_field f;
        bool good = pb_next(&r, &f);
        CHECK(good == rows[i].good && r.bad == !good, "%s", rows[i].hex);
        if (!good) continue;
        CHECK(f.number == rows[i].number && f.is_bytes == rows[i].is_bytes && f.value == rows[i].value &&
                  f.data.n == rows[i].n && r.in.n == 0,
              "%s", rows[i].hex);
    }
}

TEST(pb_put_writes_all_or_nothing) {
    for (size_t max = 0; max < 9; max++) {
        struct buf b = {.max = max};
        CHECK(pb_put_bytes(&b, 1, BYTES("hello")) == (max >= 7), "%zu", max);
        CHECK(b.n == (max >= 7 ? 7u : 0u), "%zu", max);
        buf_clear(&b);
        CHECK(pb_put_uint(&b, 1, 300) == (max >= 3) && b.n == (max >= 3 ? 3u : 0u), "%zu", max);
        buf_free(&b);
    }
    struct buf b = {.max = 100};
    CHECK(!pb_put_bytes(&b, 1, (struct bytes){NULL, SIZE_MAX}) && b.n == 0);
    mem_fail_after(0);
    CHECK(!pb_put_fixed64(&b, 1, 1) && b.n == 0);
    mem_fail_after(-1);
}

TEST(pb_random_bytes_end_in_any_case) {
    uint64_t state = test_seed();
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t in[24];
        for (size_t i = 0; i < sizeof(in); i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            in[i] = (uint8_t)(state >> 56) & (round % 2 == 0 ? 0xff : 0x1f); /* half of them: likely fields */
        }
        struct rd r = rd_of(bytes_at(in, sizeof(in)));
        struct pb_field f;
        size_t fields = 0;
        while (pb_next(&r, &f)) {
            fields++;
            bool inside = f.data.n == 0 ||
                          (f.data.p >= in && f.data.n <= (size_t)(in + sizeof(in) - f.data.p));
            CHECK(f.number > 0 && inside, "round %u", round);
        }
        CHECK(fields <= sizeof(in) / 2 && r.in.n == 0, "round %u", round);
    }
}
