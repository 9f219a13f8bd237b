/* tests/crypto/der_test.c: DER has one spelling of everything; each other one is refused */
#include "crypto/der.h"
#include "tests/test.h"

static struct rd reading(const char *hex, uint8_t *room) {
    return rd_of(bytes_at(room, test_hex(hex, room, 64)));
}

TEST(der_lengths) {
    static uint8_t in[5 + DER_LENGTH_MAX + 1];
    static const struct {
        size_t n;
        const char *head;
        bool good;
    } rows[] = {
        {0, "3000", true},
        {1, "3001", true},
        {127, "307f", true},
        {128, "308180", true},
        {255, "3081ff", true},
        {256, "30820100", true},
        {65535, "3082ffff", true},
        {0, "308100", false},
        {127, "30817f", false}, /* not the shortest */
        {0, "30820000", false},
        {255, "308200ff", false},
        {65535, "308300ffff", false},
        {65536, "3083010000", false},
        {1, "3080", false},
        {0, "30ff", false},
        {1, "3101", false},
        {1, "0201", false},
        {2, "3003", false},
        {127, "308180", false},
        {255, "30820100", false},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        size_t head = test_hex(rows[i].head, in, sizeof(in));
        struct rd r = rd_of(bytes_at(in, head + rows[i].n));
        struct bytes content = der_take(&r, DER_SEQUENCE);
        der_end(&r);
        CHECK(r.bad == !rows[i].good, "%s", rows[i].head);
        CHECK(rows[i].good ? content.n == rows[i].n && content.p == in + head : content.n == 0, "%s",
              rows[i].head);
    }
}

TEST(der_numbers) {
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } rows[] = {
        {"020100", ""},     {"020101", "01"},     {"02017f", "7f"},       {"02020080", "80"},
        {"020200ff", "ff"}, {"02020100", "0100"}, {"0203008000", "8000"}, {"0200", NULL},
        {"020180", NULL},   {"0201ff", NULL},     {"0202ff80", NULL},     {"02020000", NULL},
        {"0202007f", NULL}, {"0203000080", NULL}, {"030101", NULL},       {"0202", NULL},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t room[64], want[8];
        struct rd r = reading(rows[i].in, room);
        struct bytes v = der_uint(&r);
        CHECK(r.bad == (rows[i].out == NULL), "%s", rows[i].in);
        size_t n = rows[i].out == NULL ? 0 : test_hex(rows[i].out, want, sizeof(want));
        CHECK(bytes_eq(v, bytes_at(want, n)), "%s", rows[i].in);
    }
}

TEST(der_bad_stays_bad) {
    uint8_t room[64];
    struct rd r = reading("0201010201020500", room);
    CHECK(der_uint(&r).n == 1 && der_take(&r, DER_SEQUENCE).n == 0 && r.bad);
    CHECK(der_uint(&r).n == 0 && r.bad);
    der_end(&r);
    CHECK(r.bad);
}

TEST(der_exactly_and_end) {
    uint8_t room[64], want[2] = {0x05, 0x00};
    struct rd r = reading("050005", room);
    der_exactly(&r, bytes_at(want, 2));
    CHECK(!r.bad && r.in.n == 1);
    struct rd rest = r;
    der_end(&rest);
    CHECK(rest.bad);
    der_exactly(&r, bytes_at(want, 2)); /* one byte is missing */
    CHECK(r.bad);
    r = reading("0501", room);
    der_exactly(&r, bytes_at(want, 2));
    CHECK(r.bad);
    r = reading("", room);
    der_end(&r);
    CHECK(!r.bad && der_take(&r, DER_INTEGER).n == 0 && r.bad);
}

TEST(der_cut_at_every_byte) {
    uint8_t room[64];
    struct rd whole = reading("300a0201050205008899aabb", room);
    for (size_t n = 0; n <= whole.in.n; n++) {
        struct rd outer = rd_of(bytes_at(room, n));
        struct rd pair = rd_of(der_take(&outer, DER_SEQUENCE));
        pair.bad = outer.bad;
        bool one = der_uint(&pair).n == 1, four = der_uint(&pair).n == 4;
        der_end(&pair);
        CHECK(pair.bad == (n < whole.in.n) && one == !pair.bad && four == !pair.bad, "%zu", n);
    }
}
