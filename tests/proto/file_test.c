/* tests/proto/file_test.c: offers and answers of files: known bytes, names, rules at their borders, damage */
#include "proto/file.h"

#include "base/mem.h"
#include "base/pb.h"
#include "tests/test.h"

#define SENT INT64_C(1771755330123)

static struct file_offer sample(void) {
    struct file_offer o = {.sent_ms = SENT, .size = 300, .name = BYTES("a.b"), .has_hash = true};
    for (size_t i = 0; i < MESSAGE_ID; i++) o.id[i] = (uint8_t)i;
    memset(o.hash, 0xab, sizeof o.hash);
    return o;
}

static struct file_offer full_sample(void) {
    struct file_offer o = sample();
    o.expires_ms = SENT + INT64_C(7776000000);
    o.size = INT64_MAX;
    o.name = BYTES("\xc3\xa9t\xc3\xa9.pdf");
    o.content_type = BYTES("a/b");
    o.subject = BYTES("\xc3\xa9");
    o.has_reply_to = true;
    memset(o.reply_to, 7, sizeof o.reply_to);
    return o;
}

static bool same(const struct file_offer *a, const struct file_offer *b) {
    return memcmp(a->id, b->id, MESSAGE_ID) == 0 && memcmp(a->hash, b->hash, FILE_HASH) == 0 &&
           memcmp(a->reply_to, b->reply_to, MESSAGE_ID) == 0 && a->has_reply_to == b->has_reply_to &&
           a->has_hash == b->has_hash && a->sent_ms == b->sent_ms && a->expires_ms == b->expires_ms &&
           a->size == b->size && bytes_eq(a->name, b->name) && bytes_eq(a->content_type, b->content_type) &&
           bytes_eq(a->subject, b->subject);
}

static struct bytes unwrap(struct bytes in) {
    struct bytes frame = {NULL, 0};
    bool whole = false;
    CHECK(file_frame_next(&in, &frame, &whole) == OK && whole && in.n == 0);
    return frame;
}

/* What contrib/protocol.md promises, byte for byte. */
TEST(file_offer_known_bytes) {
    static const char known[] = "43" "0a10000102030405060708090a0b0c0d0e0f" "10cbb4e3a6c833" "4203612e62" "48ac02"
                                "5220" "abababababababababababababababababababababababababababababababab";
    struct buf out = {.max = 4096};
    struct file_offer o = sample(), back;
    uint8_t want[100];
    size_t n = test_hex(known, want, sizeof want);
    CHECK(file_offer_write(&out, &o) && bytes_eq(buf_view(&out), bytes_at(want, n)));
    struct bytes frame = unwrap(buf_view(&out));
    CHECK(file_offer_read(frame, &back, NULL) == OK && same(&o, &back));
    buf_clear(&out);
    o = full_sample();
    CHECK(file_offer_write(&out, &o));
    CHECK(file_offer_read(unwrap(buf_view(&out)), &back, NULL) == OK && same(&o, &back));
    buf_free(&out);
}

TEST(file_answers_round_trip) {
    static const struct file_answer rows[] = {{0, 0, 0},
                                              {0, 1, 0},
                                              {0, INT64_MAX, 0},
                                              {FILE_OFFERED, 0, 0},
                                              {RECEIPT_STORED, 0, (uint64_t)SENT},
                                              {RECEIPT_INVALID, 0, 1}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf out = {.max = 100};
        struct file_answer a;
        CHECK(file_answer_write(&out, &rows[i]));
        CHECK(file_answer_read(unwrap(buf_view(&out)), &a, NULL) == OK, "row %zu", i);
        CHECK(a.status == rows[i].status && a.offset == rows[i].offset && a.received_ms == rows[i].received_ms);
        buf_free(&out);
    }
    struct file_answer a;
    CHECK(file_answer_read((struct bytes){NULL, 0}, &a, NULL) == OK && a.status == FILE_TAKEN && a.offset == 0);
    CHECK(file_answer_read(BYTES("\x08\x08"), &a, NULL) == OK && a.status == RECEIPT_BUSY, "unknown statuses");
    CHECK(file_answer_read(BYTES("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &a, NULL) == OK &&
          a.status == RECEIPT_BUSY);
    CHECK(file_answer_read(BYTES("\x22\x01x\x28\x05\x10\x07"), &a, NULL) == OK && a.offset == 7, "unknown fields");
    CHECK(file_answer_read(BYTES("\x12\x01x"), &a, NULL) == E_PROTO, "an offset that is bytes");
    CHECK(file_answer_read(BYTES("\x10"), &a, NULL) == E_PROTO);
}

static char long_name[FILE_NAME_MAX + 2];

static const char *fault_of(const char *p, size_t n) {
    return file_name_fault(bytes_at((const uint8_t *)p, n));
}

TEST(file_names) {
    static const struct {
        const char *name;
        size_t n;
        bool good;
    } rows[] = {
        {"a", 1, true},
        {"report 1.pdf", 12, true},
        {"a..b", 4, true},
        {"~", 1, true},
        {"\xc3\xa9", 2, true},
        {"\xf0\x9f\x8e\x89.txt", 8, true},
        {"a\\b", 3, true}, /* not a separator here */
        {"", 0, false},
        {".", 1, false},
        {"..", 2, false},
        {".profile", 8, false},
        {"-rf", 3, false},
        {"/", 1, false},
        {"a/b", 3, false},
        {"../../etc/passwd", 16, false},
        {"a/", 2, false},
        {"a\0b", 3, false},
        {"a\nb", 3, false},
        {"a\x1b[31m", 6, false},
        {"a\x7f", 2, false},
        {"\xc2\x9b" "31m", 5, false},  /* CSI as one character */
        {"\xc3", 1, false},            /* cut */
        {"a\xff", 2, false},
        {"\xc0\xaf", 2, false},        /* an overlong slash */
        {"\xed\xa0\x80", 3, false},    /* a surrogate */
        {"\xf4\x90\x80\x80", 4, false} /* beyond Unicode */
    };
    for (size_t i = 0; i < LEN(rows); i++)
        CHECK((fault_of(rows[i].name, rows[i].n) == NULL) == rows[i].good, "row %zu: %s", i, rows[i].name);
    memset(long_name, 'x', sizeof long_name);
    CHECK(fault_of(long_name, 255) == NULL && fault_of(long_name, 256) != NULL);
    memcpy(long_name + 253, "\xc3\xa9", 2);
    CHECK(fault_of(long_name, 255) == NULL, "255 bytes, the last character has two");
}

enum { F_ID = 1, F_SENT, F_TYPE, F_SUBJECT = 5, F_EXPIRES, F_REPLY, F_NAME, F_SIZE, F_HASH };

/* An offer as a stranger might write it: the sample with one field changed or left out. */
static enum err offer_with(unsigned field, bool left_out, struct bytes data, bool as_number, uint64_t number) {
    struct buf b = {.max = 8192};
    struct file_offer o = sample(), back;
    struct why w = {OK, ""};
    bool good = true;
    for (unsigned f = 1; f <= 11; f++) {
        if (f == field) {
            if (!left_out) good = good && (as_number ? pb_put_uint(&b, f, number) : pb_put_bytes(&b, f, data));
            continue;
        }
        if (f == F_ID) good = good && pb_put_bytes(&b, f, bytes_at(o.id, MESSAGE_ID));
        if (f == F_SENT) good = good && pb_put_uint(&b, f, o.sent_ms);
        if (f == F_NAME) good = good && pb_put_bytes(&b, f, o.name);
        if (f == F_SIZE) good = good && pb_put_uint(&b, f, o.size);
        if (f == F_HASH) good = good && pb_put_bytes(&b, f, bytes_at(o.hash, FILE_HASH));
    }
    CHECK(good);
    enum err e = file_offer_read(buf_view(&b), &back, &w);
    CHECK(e != E_INPUT || (memcmp(back.id, o.id, MESSAGE_ID) == 0 && w.text[0] != 0), "INVALID needs the id");
    buf_free(&b);
    return e;
}

TEST(file_offer_rules) {
    static uint8_t some[300];
    memset(some, 'x', sizeof some);
    struct bytes none = {NULL, 0};
    CHECK(offer_with(11, false, none, true, 5) == OK, "unknown fields are ignored");
    CHECK(offer_with(11, false, bytes_at(some, 200), false, 0) == OK);
    CHECK(offer_with(F_ID, true, none, false, 0) == E_PROTO);
    CHECK(offer_with(F_ID, false, bytes_at(some, 15), false, 0) == E_PROTO);
    CHECK(offer_with(F_ID, false, bytes_at(some, 17), false, 0) == E_PROTO);
    CHECK(offer_with(F_ID, false, none, true, 1) == E_PROTO);
    CHECK(offer_with(F_REPLY, false, bytes_at(some, 16), false, 0) == OK);
    CHECK(offer_with(F_REPLY, false, bytes_at(some, 15), false, 0) == E_PROTO);
    CHECK(offer_with(F_HASH, false, bytes_at(some, 31), false, 0) == E_PROTO);
    CHECK(offer_with(F_HASH, false, bytes_at(some, 33), false, 0) == E_PROTO);
    CHECK(offer_with(F_HASH, true, none, false, 0) == E_INPUT);
    CHECK(offer_with(F_SIZE, true, none, false, 0) == OK, "0 bytes");
    CHECK(offer_with(F_SIZE, false, none, true, INT64_MAX) == OK);
    CHECK(offer_with(F_SIZE, false, none, true, (uint64_t)INT64_MAX + 1) == E_INPUT);
    CHECK(offer_with(F_SIZE, false, none, false, 0) == E_INPUT, "a size that is bytes");
    CHECK(offer_with(F_SENT, true, none, false, 0) == E_INPUT);
    CHECK(offer_with(F_NAME, true, none, false, 0) == E_INPUT);
    CHECK(offer_with(F_NAME, false, none, true, 65) == E_INPUT);
    CHECK(offer_with(F_NAME, false, BYTES("../x"), false, 0) == E_INPUT);
    CHECK(offer_with(F_NAME, false, bytes_at(some, 255), false, 0) == OK);
    CHECK(offer_with(F_NAME, false, bytes_at(some, 256), false, 0) == E_INPUT);
    CHECK(offer_with(F_SUBJECT, false, bytes_at(some, 256), false, 0) == OK);
    CHECK(offer_with(F_SUBJECT, false, bytes_at(some, 257), false, 0) == E_INPUT);
    CHECK(offer_with(F_SUBJECT, false, BYTES("\xff"), false, 0) == E_INPUT);
    CHECK(offer_with(F_TYPE, false, bytes_at(some, 128), false, 0) == OK);
    CHECK(offer_with(F_TYPE, false, bytes_at(some, 129), false, 0) == E_INPUT);
    CHECK(offer_with(F_TYPE, false, BYTES("a\nb"), false, 0) == E_INPUT);
}

/* The largest that the rules allow fits into a frame, so that every offer can be written. */
TEST(file_offer_largest_fits) {
    static uint8_t x[300];
    memset(x, 'x', sizeof x);
    struct file_offer o = full_sample(), back;
    struct buf out = {.max = 8192};
    o.sent_ms = o.expires_ms = UINT64_MAX;
    o.name = bytes_at(x, 255);
    o.subject = bytes_at(x, 256);
    o.content_type = bytes_at(x, 128);
    CHECK(file_offer_write(&out, &o) && out.n < FILE_FRAME_MAX);
    CHECK(file_offer_read(unwrap(buf_view(&out)), &back, NULL) != E_PROTO && same(&o, &back));
    for (size_t room = 0; room < out.n; room++) {
        struct buf small = {.max = room};
        CHECK(!file_offer_write(&small, &o), "room for %zu", room);
        buf_free(&small);
    }
    buf_free(&out);
}

TEST(file_frames_cut_and_long) {
    struct buf out = {.max = 16384};
    struct file_offer o = full_sample();
    CHECK(file_offer_write(&out, &o));
    for (size_t n = 0; n < out.n; n++) {
        struct bytes in = bytes_sub(buf_view(&out), 0, n), frame;
        bool whole = true;
        CHECK(file_frame_next(&in, &frame, &whole) == OK && !whole && in.n == n, "cut at %zu", n);
    }
    struct bytes body = unwrap(buf_view(&out));
    for (size_t n = 0; n < body.n; n++) { /* a shorter frame with a right prefix */
        struct file_offer back;
        enum err e = file_offer_read(bytes_sub(body, 0, n), &back, NULL);
        CHECK(e == E_PROTO || e == E_INPUT, "cut at %zu: %s", n, err_name(e));
    }
    buf_clear(&out);
    static const struct {
        uint64_t n;
        enum err want;
    } rows[] = {{FILE_FRAME_MAX, OK}, {FILE_FRAME_MAX + 1, E_LIMIT}, {INT64_MAX, E_LIMIT}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct bytes in, frame;
        bool whole = false;
        buf_clear(&out);
        CHECK(wr_varint(&out, rows[i].n));
        in = buf_view(&out);
        CHECK(file_frame_next(&in, &frame, &whole) == rows[i].want && !whole, "length %zu", i);
    }
    buf_clear(&out);
    CHECK(wr_varint(&out, FILE_FRAME_MAX) && buf_add_space(&out, FILE_FRAME_MAX) != NULL && buf_add_text(&out, "rest"));
    struct bytes in = buf_view(&out), frame;
    bool whole = false;
    CHECK(file_frame_next(&in, &frame, &whole) == OK && whole && frame.n == FILE_FRAME_MAX && bytes_is(in, "rest"));
    buf_free(&out);
}

/* Whatever is flipped: an error, or an offer that keeps every rule. */
TEST(file_offer_flipped) {
    struct buf out = {.max = 4096};
    struct file_offer o = full_sample();
    size_t taken = 0;
    CHECK(file_offer_write(&out, &o));
    for (size_t bit = 0; bit < out.n * 8; bit++) {
        out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct bytes in = buf_view(&out), frame;
        struct file_offer back;
        struct file_answer a;
        bool whole = false;
        if (file_frame_next(&in, &frame, &whole) == OK && whole) {
            enum err e = file_offer_read(frame, &back, NULL);
            CHECK(e == OK || e == E_PROTO || e == E_INPUT);
            if (e == OK) CHECK(file_name_fault(back.name) == NULL && back.size <= INT64_MAX && back.has_hash);
            taken += e == OK;
            e = file_answer_read(frame, &a, NULL);
            CHECK(e == OK || e == E_PROTO);
        }
        out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    CHECK(taken > 300, "flips within hash, id and texts are still offers: %zu", taken);
    buf_free(&out);
}
