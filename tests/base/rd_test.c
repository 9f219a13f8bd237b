/* tests/base/rd_test.c: cursors, and github.com/multiformats/unsigned-varint */
#include "base/base.h"
#include "base/mem.h"
#include "tests/test.h"

TEST(rd_reads_what_wr_wrote) {
    struct buf b = {.max = 100};
    CHECK(wr_u8(&b, 0xab) && wr_u16(&b, 0x0102) && wr_u32(&b, 0xfffefdfc) && wr_u64(&b, 0x8000000000000001));
    CHECK(wr_varint(&b, 300) && wr_lp(&b, BYTES("hello")) && wr_lp(&b, BYTES("")));
    static const uint8_t want[] = "\xab\x01\x02\xff\xfe\xfd\xfc\x80\0\0\0\0\0\0\x01\xac\x02\x05hello";
    CHECK(b.n == sizeof(want) &&
          memcmp(b.p, want, b.n) == 0); /* the literal's NUL is the empty one's length */
    struct rd r = rd_of(buf_view(&b));
    CHECK(rd_u8(&r) == 0xab && rd_u16(&r) == 0x0102 && rd_u32(&r) == 0xfffefdfc);
    CHECK(rd_u64(&r) == 0x8000000000000001 && rd_varint(&r) == 300 && bytes_is(rd_lp(&r, 5), "hello"));
    CHECK(rd_lp(&r, 0).n == 0 && !r.bad && r.in.n == 0);
    buf_free(&b);
}

TEST(rd_stays_bad_once_short) {
    static const uint8_t in[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t n = 0; n < 8; n++) {
        struct rd r8 = rd_of(bytes_at(in, n)), r4 = r8, r2 = r8, r1 = r8, take = r8;
        CHECK(rd_u64(&r8) == 0 && r8.bad && rd_u8(&r8) == 0 && r8.bad, "%zu", n);
        CHECK(rd_take(&r8, 0).n == 0 && rd_varint(&r8) == 0 && r8.bad, "%zu", n);
        CHECK(n >= 4 || (rd_u32(&r4) == 0 && r4.bad && rd_u8(&r4) == 0), "%zu", n);
        CHECK(n >= 2 || (rd_u16(&r2) == 0 && r2.bad), "%zu", n);
        CHECK(n >= 1 || (rd_u8(&r1) == 0 && r1.bad), "%zu", n);
        CHECK(rd_take(&take, n + 1).n == 0 && take.bad, "%zu", n);
    }
    struct rd r = rd_of(bytes_at(in, 8));
    CHECK(rd_take(&r, UINT64_MAX).n == 0 && r.bad);
}

static const struct {
    const char *hex;
    uint64_t value;
} varints[] = {
    {"00", 0},
    {"01", 1},
    {"7f", 127},
    {"8001", 128},
    {"ff01", 255},
    {"ac02", 300},
    {"808001", 16384},
    {"ffffffff07", 0x7fffffff},
    {"ffffffff0f", 0xffffffff},
    {"ffffffffffffffff7f", INT64_MAX},
    {"808080808080808001", 1ull << 56},
};

TEST(varint_rows_both_ways_and_cut_at_each_byte) {
    uint8_t in[16];
    for (size_t i = 0; i < LEN(varints); i++) {
        size_t n = test_hex(varints[i].hex, in, sizeof(in));
        struct rd r = rd_of(bytes_at(in, n));
        CHECK(rd_varint(&r) == varints[i].value && !r.bad && r.in.n == 0, "%s", varints[i].hex);
        struct buf b = {.max = n}, less = {.max = n - 1};
        CHECK(wr_varint(&b, varints[i].value) && bytes_eq(buf_view(&b), bytes_at(in, n)), "%s",
              varints[i].hex);
        CHECK(varint_size(varints[i].value) == n && !wr_varint(&less, varints[i].value) && less.n == 0);
        for (size_t cut = 0; cut < n; cut++) {
            r = rd_of(bytes_at(in, cut));
            CHECK(rd_varint(&r) == 0 && r.bad, "%s cut at %zu", varints[i].hex, cut);
        }
        buf_free(&b);
        buf_free(&less);
    }
}

TEST(varint_wrong_forms_are_told_from_short_ones) {
    static const char *const rows[] = {"8000",
                                       "ff00",
                                       "80808000",
                                       "808080808080808000",
                                       "ffffffffffffffffff",
                                       "80808080808080808001",
                                       "ffffffffffffffffff01",
                                       "808080808080808080"};
    uint8_t in[16];
    for (size_t i = 0; i < LEN(rows); i++) {
        struct rd r = rd_of(bytes_at(in, test_hex(rows[i], in, sizeof(in)))), lp = r;
        CHECK(rd_varint(&r) == UINT64_MAX && !r.bad, "%s", rows[i]);
        CHECK(rd_lp(&lp, UINT64_MAX - 1).n == 0 && lp.bad, "%s", rows[i]);
    }
    struct buf b = {.max = 20};
    CHECK(!wr_varint(&b, (uint64_t)INT64_MAX + 1) && !wr_varint(&b, UINT64_MAX) && b.n == 0);
    CHECK(varint_size((uint64_t)INT64_MAX + 1) == 10);
    for (unsigned bits = 0; bits < 63; bits++) {
        CHECK(wr_varint(&b, 1ull << bits) && b.n == varint_size(1ull << bits), "bit %u", bits);
        buf_clear(&b);
    }
    buf_free(&b);
}

TEST(rd_lp_at_its_limit) {
    struct rd r = rd_of(BYTES("\x05hello")), over = r;
    CHECK(bytes_is(rd_lp(&r, 5), "hello") && !r.bad);
    CHECK(rd_lp(&over, 4).n == 0 && over.bad);
    struct buf b = {.max = 5};
    CHECK(!wr_lp(&b, BYTES("hello")) && b.n == 0 && wr_lp(&b, BYTES("hell")) && b.n == 5);
    buf_free(&b);
    CHECK(!wr_lp(&b, (struct bytes){NULL, SIZE_MAX}) && b.n == 0);
}

TEST(put_and_get_are_big_endian) {
    uint8_t out[8];
    put_u64(out, 0x0123456789abcdef);
    CHECK(out[0] == 1 && out[7] == 0xef && get_u64(out) == 0x0123456789abcdef &&
          get_u32(out + 4) == 0x89abcdef);
    put_u32(out, 0xfedcba98);
    CHECK(out[0] == 0xfe && get_u32(out) == 0xfedcba98 && get_u16(out) == 0xfedc);
    put_u16(out, 0xff01);
    CHECK(out[0] == 0xff && out[1] == 1);
}
