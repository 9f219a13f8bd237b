/* tests/proto/file_test.c: offers of files and answers to them: known bytes, names, rules at their borders,
 * damage */
#include "proto/file.h"

#include "base/mem.h"
#include "base/pb.h"
#include "crypto/hash.h"
#include "tests/test.h"

enum { ROOM = 1024 };
#define SENT INT64_C(1771755330123)
#define ID "0a10000102030405060708090a0b0c0d0e0f"
#define TIME "10cbb4e3a6c833"
#define HASH "5220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static struct file_offer sample(void) {
    struct file_offer o = {.sent_ms = SENT, .size = 300, .name = BYTES("a.txt"), .has_hash = true};
    for (uint8_t i = 0; i < MESSAGE_ID; i++) o.id[i] = i;
    for (uint8_t i = 0; i < FILE_HASH; i++) o.hash[i] = i;
    return o;
}

static bool same(const struct file_offer *a, const struct file_offer *b) {
    return memcmp(a->id, b->id, MESSAGE_ID) == 0 && memcmp(a->hash, b->hash, FILE_HASH) == 0 &&
           memcmp(a->reply_to, b->reply_to, MESSAGE_ID) == 0 && a->has_reply_to == b->has_reply_to &&
           a->has_hash == b->has_hash && a->sent_ms == b->sent_ms && a->expires_ms == b->expires_ms &&
           a->size == b->size && bytes_eq(a->name, b->name) && bytes_eq(a->subject, b->subject) &&
           bytes_eq(a->content_type, b->content_type);
}

static struct bytes unwrap(struct bytes in) {
    struct bytes frame = {NULL, 0};
    bool whole = false;
    CHECK(file_frame_next(&in, &frame, &whole) == OK && whole && in.n == 0);
    return frame;
}

TEST(offers_are_these_bytes_and_come_back) {
    struct file_offer full = sample(), plain = sample(), got;
    struct buf out = {.max = ROOM};
    uint8_t want[ROOM];
    size_t n = test_hex("45" ID TIME "4205612e747874 48ac02" HASH, want, sizeof(want));
    CHECK(file_offer_write(&out, &plain) && bytes_eq(buf_view(&out), bytes_at(want, n)));
    CHECK(file_offer_read(unwrap(buf_view(&out)), &got, NULL) == OK && same(&got, &plain));
    full.content_type = BYTES("a/b");
    full.subject = BYTES("\xc3\xa9");
    full.expires_ms = SENT + 5;
    full.size = INT64_MAX;
    full.has_reply_to = true;
    memset(full.reply_to, 7, MESSAGE_ID);
    buf_clear(&out);
    CHECK(file_offer_write(&out, &full) && file_offer_read(unwrap(buf_view(&out)), &got, NULL) == OK);
    CHECK(same(&got, &full));
    buf_free(&out);
}

TEST(answers_are_these_bytes_and_come_back) {
    static const struct {
        struct file_answer a;
        const char *hex;
    } rows[] = {
        {{FILE_TAKEN, 0, 0}, "00"},
        {{FILE_TAKEN, 300, 0}, "0310ac02"},
        {{RECEIPT_STORED, 0, 5}, "0408011805"},
        {{FILE_OFFERED, 0, 0}, "020807"},
        {{RECEIPT_BUSY, UINT64_MAX, UINT64_MAX}, "18080510ffffffffffffffffff0118ffffffffffffffffff01"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf out = {.max = ROOM};
        struct file_answer got;
        uint8_t want[ROOM];
        size_t n = test_hex(rows[i].hex, want, sizeof(want));
        CHECK(file_answer_write(&out, &rows[i].a) && bytes_eq(buf_view(&out), bytes_at(want, n)), "row %zu",
              i);
        CHECK(file_answer_read(unwrap(buf_view(&out)), &got, NULL) == OK, "row %zu", i);
        CHECK(got.status == rows[i].a.status && got.offset == rows[i].a.offset &&
                  got.received_ms == rows[i].a.received_ms,
              "row %zu", i);
        buf_free(&out);
    }
}

static const struct {
    const char *what, *hex;
    enum err want;
} offers[] = {
    {"as it should be", ID TIME "420161 4801" HASH, OK},
    {"fields in another order", HASH "4801 420161" TIME ID, OK},
    {"a field of tomorrow", ID TIME "420161 4801" HASH "5a0178", OK},
    {"no size: nothing in it", ID TIME "420161" HASH, OK},
    {"nothing", "", E_PROTO},
    {"no id", TIME "420161 4801" HASH, E_PROTO},
    {"an id of 15 bytes", "0a0f000102030405060708090a0b0c0d0e" TIME "420161 4801" HASH, E_PROTO},
    {"two ids, the second short", ID "0a00" TIME "420161 4801" HASH, E_PROTO},
    {"an id that is a number", "0801" TIME "420161 4801" HASH, E_PROTO},
    {"a hash of 31 bytes",
     ID TIME "420161 4801 521f000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e", E_PROTO},
    {"a reply to 15 bytes", ID TIME "420161 4801 3a0f000102030405060708090a0b0c0d0e" HASH, E_PROTO},
    {"a group", ID TIME "420161 4801" HASH "0b", E_PROTO},
    {"no hash", ID TIME "420161 4801", E_INPUT},
    {"no time", ID "420161 4801" HASH, E_INPUT},
    {"no name", ID TIME "4801" HASH, E_INPUT},
    {"a name with a path", ID TIME "4203 612f62 4801" HASH, E_INPUT},
    {"a name that is a number", ID TIME "4001 4801" HASH, E_INPUT},
    {"a size that is text", ID TIME "420161 4a0131" HASH, E_INPUT},
    {"the largest size", ID TIME "420161 48ffffffffffffffff7f" HASH, OK},
    {"a larger one", ID TIME "420161 4880808080808080808001" HASH, E_INPUT},
    {"a subject that is not UTF-8", ID TIME "2a01ff 420161 4801" HASH, E_INPUT},
    {"a type with a newline", ID TIME "1a010a 420161 4801" HASH, E_INPUT},
    {"wrong first, then right", ID TIME "4001 420161 4801" HASH, E_INPUT},
};

TEST(offers_of_strangers) {
    for (size_t i = 0; i < LEN(offers); i++) {
        uint8_t in[ROOM];
        struct file_offer o;
        struct why w = {0};
        size_t n = test_hex(offers[i].hex, in, sizeof(in));
        enum err e = file_offer_read(bytes_at(in, n), &o, &w);
        CHECK(e == offers[i].want && w.code == e, "%s: %s %s", offers[i].what, err_name(e), w.text);
        CHECK(e == E_PROTO || (o.id[1] == 1 && o.id[15] == 15), "%s: the id to answer with", offers[i].what);
    }
}

TEST(answers_of_strangers) {
    static const struct {
        const char *hex;
        enum err want;
        unsigned status;
    } rows[] = {
        {"", OK, FILE_TAKEN},       {"0807", OK, FILE_OFFERED},
        {"0808", OK, RECEIPT_BUSY}, {"088180808010", OK, RECEIPT_BUSY},
        {"0a0101", E_PROTO, 0},     {"1201aa", E_PROTO, 0},
        {"1a00", E_PROTO, 0},       {"22027878 0801", OK, RECEIPT_STORED},
        {"08", E_PROTO, 0},         {"0b", E_PROTO, 0},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t in[ROOM];
        struct file_answer a;
        struct why w = {0};
        size_t n = test_hex(rows[i].hex, in, sizeof(in));
        enum err e = file_answer_read(bytes_at(in, n), &a, &w);
        CHECK(e == rows[i].want && w.code == e && (e != OK || a.status == rows[i].status), "%s", rows[i].hex);
    }
}

TEST(names_are_safe_as_the_last_part_of_a_path) {
    static const char *const good[] = {"a",    "a.txt", "two words", "\xe4\xb8\xad.pdf",
                                       "a\\b", "a..b",  "~",         "a-"};
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      ".a",
                                      "-a",
                                      "/",
                                      "a/b",
                                      "a/",
                                      "a\nb",
                                      "\x1b",
                                      "a\x7f",
                                      "\xff",
                                      "a\xc2\x85",
                                      "a\xe2\x80\xae"
                                      "b",
                                      "\xc0\xaf",
                                      "\xed\xa0\x80"};
    char text[FILE_NAME_MAX + 1];
    for (size_t i = 0; i < LEN(good); i++) CHECK(file_name_fault(bytes_of(good[i])) == NULL, "%s", good[i]);
    for (size_t i = 0; i < LEN(bad); i++) CHECK(file_name_fault(bytes_of(bad[i])) != NULL, "%s", bad[i]);
    CHECK(file_name_fault(BYTES("a\0b")) != NULL && file_name_fault((struct bytes){NULL, 0}) != NULL);
    memset(text, 'x', sizeof(text));
    CHECK(file_name_fault(bytes_at(text, FILE_NAME_MAX)) == NULL);
    CHECK(file_name_fault(bytes_at(text, FILE_NAME_MAX + 1)) != NULL);
}

TEST(the_length_prefix_decides_before_anything_waits) {
    static const struct {
        const char *hex;
        enum err want;
    } rows[] = {{"", OK},
                {"80", OK},
                {"8020", OK},
                {"8120", E_LIMIT},
                {"ffffffffffffffff7f", E_LIMIT},
                {"8000", E_LIMIT},
                {"02aa", OK},
                {"ffffffffffffffffff01", E_LIMIT}};
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t room[16];
        struct bytes in = bytes_at(room, test_hex(rows[i].hex, room, sizeof(room))), was = in, frame;
        bool whole = true;
        CHECK(file_frame_next(&in, &frame, &whole) == rows[i].want && !whole, "%s", rows[i].hex);
        CHECK(in.p == was.p && in.n == was.n, "%s", rows[i].hex);
    }
    static uint8_t large[FILE_FRAME_MAX + 3] = {0x80, 0x20};
    struct bytes in = bytes_at(large, sizeof(large)), frame;
    bool whole = false;
    CHECK(file_frame_next(&in, &frame, &whole) == OK && whole && frame.n == FILE_FRAME_MAX && in.n == 1);
}

TEST(cut_frames_and_flipped_bits) {
    uint8_t in[ROOM];
    size_t n = test_hex(ID TIME "420161 4801" HASH, in, sizeof(in));
    struct file_offer o;
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *exact = mem_new(1, cut);
        CHECK(exact != NULL);
        if (cut > 0) memcpy(exact, in, cut);
        CHECK(file_offer_read(bytes_at(exact, cut), &o, NULL) != OK, "%zu", cut); /* the hash is the last */
        mem_free(exact);
    }
    for (size_t bit = 0; bit < 8 * n; bit++) {
        in[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct why w = {0};
        enum err e = file_offer_read(bytes_at(in, n), &o, &w);
        CHECK((e == OK || e == E_PROTO || e == E_INPUT) && w.code == e, "bit %zu", bit);
        CHECK(e != OK || (file_name_fault(o.name) == NULL && o.has_hash && o.size <= INT64_MAX), "bit %zu",
              bit);
        in[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(writing_is_all_or_nothing) {
    static uint8_t text[FILE_FRAME_MAX];
    struct file_offer o = sample();
    struct file_answer a = {RECEIPT_STORED, 0, 5};
    for (size_t max = 0; max < 74; max++) { /* 70 bytes, and 5 */
        struct buf out = {.max = max}, other = {.max = max};
        CHECK(file_offer_write(&out, &o) == (max >= 70) && out.n == (max >= 70 ? 70U : 0U), "%zu", max);
        CHECK(file_answer_write(&other, &a) == (max >= 5) && other.n == (max >= 5 ? 5U : 0U), "%zu", max);
        buf_free(&out);
        buf_free(&other);
    }
    struct buf out = {.max = 3 * FILE_FRAME_MAX};
    for (size_t n = FILE_FRAME_MAX - 70; n < FILE_FRAME_MAX; n++) { /* no frame that a peer would refuse */
        o.subject = bytes_at(text, n);
        buf_clear(&out);
        bool done = file_offer_write(&out, &o);
        CHECK(done == (out.n > 0) && out.n <= FILE_FRAME_MAX + 2, "%zu", n);
        CHECK(done == (n <= FILE_FRAME_MAX - 69 - 3), "%zu", n);
    }
    buf_free(&out);
    o.subject = BYTES("");
    mem_fail_after(0);
    CHECK(!file_offer_write(&out, &o) && out.n == 0);
    mem_fail_after(0);
    CHECK(!file_answer_write(&out, &a) && out.n == 0);
    mem_fail_after(-1);
    buf_free(&out);
}

/* The example of contrib/protocol.md, byte for byte. */
TEST(the_documents_example) {
    uint8_t want[128];
    size_t n = test_hex(
        "3f 0a 10 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 01 42 05 61 2e 74 78 74 48 05 52 20"
        "2c f2 4d ba 5f b0 a3 0e 26 e8 3b 2a c5 b9 e2 9e 1b 16 1e 5c 1f a7 42 5e 73 04 33 62 93 8b 98 24"
        "00 04 08 01 18 07",
        want, sizeof want);
    size_t document_n;
    char *document = test_file("contrib/protocol.md", &document_n);
    CHECK(strstr(document,
                 "3f 0a 10 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 01 42 05 61 2e 74 78 74") !=
          NULL);
    CHECK(strstr(document, "\n    00\n    04 08 01 18 07\n") != NULL);
    free(document);
    struct file_offer o = {.sent_ms = 1, .name = BYTES("a.txt"), .size = 5, .has_hash = true};
    for (uint8_t i = 0; i < 16; i++) o.id[i] = i;
    struct sha256 hash;
    sha256_start(&hash);
    sha256_add(&hash, BYTES("hello"));
    sha256_end(&hash, o.hash);
    struct buf out = {.max = 1000};
    CHECK(file_offer_write(&out, &o) &&
          file_answer_write(&out, &(struct file_answer){.status = FILE_TAKEN}) &&
          file_answer_write(&out, &(struct file_answer){.status = RECEIPT_STORED, .received_ms = 7}));
    CHECK(out.n == n && memcmp(out.p, want, n) == 0);
    buf_free(&out);
}
