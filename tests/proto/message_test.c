/* tests/proto/message_test.c: frames of messages and receipts: known bytes, rules at their borders, damage */
#include "proto/message.h"

#include "base/mem.h"
#include "base/pb.h"
#include "tests/test.h"

enum { ROOM = 128 };
static const uint8_t id_0[MESSAGE_ID] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#define SENT INT64_C(1771755330123)

static struct message sample(void) {
    struct message m = {.sent_ms = SENT, .body = BYTES("hi")};
    memcpy(m.id, id_0, MESSAGE_ID);
    return m;
}
static struct message full_sample(void) {
    struct message m = sample();
    m.content_type = BYTES("a/b");
    m.body = BYTES("");
    m.subject = BYTES("\xc3\xa9");
    m.expires_ms = SENT + INT64_C(7776000000);
    m.has_reply_to = true;
    for (size_t i = 0; i < MESSAGE_ID; i++) m.reply_to[i] = (uint8_t)(16 + i);
    return m;
}
static bool same(const struct message *a, const struct message *b) {
    return memcmp(a->id, b->id, MESSAGE_ID) == 0 && a->sent_ms == b->sent_ms &&
           a->expires_ms == b->expires_ms && bytes_eq(a->content_type, b->content_type) &&
           bytes_eq(a->body, b->body) && bytes_eq(a->subject, b->subject) &&
           a->has_reply_to == b->has_reply_to && memcmp(a->reply_to, b->reply_to, MESSAGE_ID) == 0;
}
/* The frame within its length prefix, which must be all of `in`. */
static struct bytes unwrap(struct bytes in) {
    struct bytes frame = {NULL, 0};
    bool whole = false;
    size_t need = 0, n = in.n;
    CHECK(message_frame_next(&in, &frame, &whole, &need) == OK && whole && in.n == 0 && need == n);
    return frame;
}

/* made by hand after the message definition in contrib/protocol.md */
#define PLAIN "1f0a1d0a10000102030405060708090a0b0c0d0e0f10cbb4e3a6c83322026869"
#define FULL                                                                                                 \
    "3f0a3d0a10000102030405060708090a0b0c0d0e0f10cbb4e3a6c8331a03612f6222002a02c3a930cbe4d4a2e5333a101011"   \
    "12131415161718191a1b1c1d1e1f"
#define RECEIPT "1d121b0a10000102030405060708090a0b0c0d0e0f100418cbb4e3a6c833"

TEST(messages_are_these_bytes_and_come_back) {
    struct {
        const char *hex;
        struct message m;
    } rows[] = {{PLAIN, sample()}, {FULL, full_sample()}};
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t want[ROOM];
        struct buf out = {.max = ROOM};
        struct message_frame f;
        struct why w = {0};
        size_t n = test_hex(rows[i].hex, want, sizeof(want));
        CHECK(message_frame_write(&out, &rows[i].m) && bytes_eq(buf_view(&out), bytes_at(want, n)), "row %zu",
              i);
        CHECK(message_frame_size(&rows[i].m) == n, "row %zu", i);
        CHECK(message_frame_read(unwrap(buf_view(&out)), &f, &w) == OK, "%s", w.text);
        CHECK(f.kind == FRAME_MESSAGE && f.verdict == RECEIPT_NONE && same(&f.message, &rows[i].m), "row %zu",
              i);
        CHECK(message_check(&rows[i].m, &w) == OK, "row %zu: %s", i, w.text);
        buf_free(&out);
    }
}

TEST(receipts_are_these_bytes_and_come_back) {
    struct receipt r = {.status = RECEIPT_TOO_LARGE, .received_ms = SENT};
    uint8_t want[ROOM];
    struct buf out = {.max = ROOM};
    struct message_frame f;
    memcpy(r.id, id_0, MESSAGE_ID);
    size_t n = test_hex(RECEIPT, want, sizeof(want));
    CHECK(message_receipt_write(&out, &r) && bytes_eq(buf_view(&out), bytes_at(want, n)));
    buf_free(&out);
    static const char *const names[] = {"NONE",      "STORED", "DUPLICATE", "DENIED",
                                        "TOO_LARGE", "BUSY",   "INVALID"};
    for (unsigned s = RECEIPT_STORED; s <= RECEIPT_INVALID; s++) {
        r.status = (enum receipt_status)s;
        r.received_ms = s == RECEIPT_BUSY ? UINT64_MAX : s;
        CHECK(message_receipt_write(&out, &r));
        CHECK(message_frame_read(unwrap(buf_view(&out)), &f, NULL) == OK && f.kind == FRAME_RECEIPT, "%u", s);
        CHECK(f.receipt.status == s && f.receipt.received_ms == r.received_ms, "%u", s);
        CHECK(memcmp(f.receipt.id, id_0, MESSAGE_ID) == 0, "%u", s);
        CHECK(strcmp(receipt_status_name(r.status), names[s]) == 0, "%u", s);
        buf_free(&out);
    }
    CHECK(strcmp(receipt_status_name(RECEIPT_NONE), "NONE") == 0);
}

#define ID "0a10000102030405060708090a0b0c0d0e0f"
#define SHORT_ID "0a0f000102030405060708090a0b0c0d0e"
static const struct {
    const char *what, *hex;
    enum err want;
    int kind;
    enum receipt_status verdict; /* of a receipt: its status */
} frames[] = {
    {"nothing", "", OK, FRAME_UNKNOWN, RECEIPT_NONE},
    {"fields of tomorrow", "1801 22027878", OK, FRAME_UNKNOWN, RECEIPT_NONE},
    {"a message and a field of tomorrow", "0a14" ID "1001 1801", OK, FRAME_MESSAGE, RECEIPT_NONE},
    {"a message with a field of tomorrow", "0a17" ID "1001 4a0178", OK, FRAME_MESSAGE, RECEIPT_NONE},
    {"fields in another order", "0a14 1001" ID, OK, FRAME_MESSAGE, RECEIPT_NONE},
    {"both", "0a14" ID "1001 1214" ID "1001", E_PROTO, FRAME_UNKNOWN, RECEIPT_NONE},
    {"both, one empty", "0a14" ID "1001 1200", E_PROTO, FRAME_UNKNOWN, RECEIPT_NONE},
    {"two messages, the last counts", "0a00 0a14" ID "1001", OK, FRAME_MESSAGE, RECEIPT_NONE},
    {"a message that is a number", "0801", E_PROTO, FRAME_UNKNOWN, RECEIPT_NONE},
    {"a receipt that is a number", "1001", E_PROTO, FRAME_UNKNOWN, RECEIPT_NONE},
    {"a group", "0b", E_PROTO, FRAME_UNKNOWN, RECEIPT_NONE},
    {"an empty message", "0a00", E_PROTO, FRAME_MESSAGE, RECEIPT_NONE},
    {"no id", "0a021001", E_PROTO, FRAME_MESSAGE, RECEIPT_NONE},
    {"an id of 15 bytes", "0a13" SHORT_ID "1001", E_PROTO, FRAME_MESSAGE, RECEIPT_NONE},
    {"an id of 17 bytes", "0a15 0a11000102030405060708090a0b0c0d0e0f10 1001", E_PROTO, FRAME_MESSAGE,
     RECEIPT_NONE},
    {"an id that is a number", "0a04 0801 1001", E_PROTO, FRAME_MESSAGE, RECEIPT_NONE},
    {"two ids, the second short", "0a25" ID SHORT_ID "1001", E_PROTO, FRAME_MESSAGE, RECEIPT_NONE},
    {"no time", "0a12" ID, OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"time 0", "0a14" ID "1000", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"time 2^63-1", "0a1c" ID "10ffffffffffffffff7f", OK, FRAME_MESSAGE, RECEIPT_NONE},
    {"time 2^63", "0a1d" ID "1080808080808080808001", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a time that is text", "0a15" ID "120178", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"an end 2^63", "0a1f" ID "1001 3080808080808080808001", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"an end that is text", "0a17" ID "1001 320178", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a type that is a number", "0a16" ID "1001 1801", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a type with a newline", "0a17" ID "1001 1a010a", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a type with DEL", "0a17" ID "1001 1a017f", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a type that is not ASCII", "0a18" ID "1001 1a02c3a9", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a body that is a number", "0a16" ID "1001 2001", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"any body", "0a18" ID "1001 2202ff00", OK, FRAME_MESSAGE, RECEIPT_NONE},
    {"a subject that is a number", "0a16" ID "1001 2801", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a subject that is not UTF-8", "0a17" ID "1001 2a01ff", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a reply to nothing", "0a16" ID "1001 3a00", OK, FRAME_MESSAGE, RECEIPT_NONE},
    {"a reply to a short id", "0a17" ID "1001 3a0100", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a reply to a number", "0a16" ID "1001 3801", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a wrong field, then a right one", "0a18" ID "1001 2801 2a00", OK, FRAME_MESSAGE, RECEIPT_INVALID},
    {"a message that ends inside a field", "0a13" ID "10", E_PROTO, FRAME_MESSAGE, RECEIPT_NONE},
    {"a receipt without status", "1212" ID, OK, FRAME_RECEIPT, RECEIPT_BUSY},
    {"status 0", "1214" ID "1000", OK, FRAME_RECEIPT, RECEIPT_BUSY},
    {"status 1", "1214" ID "1001", OK, FRAME_RECEIPT, RECEIPT_STORED},
    {"status 6", "1214" ID "1006", OK, FRAME_RECEIPT, RECEIPT_INVALID},
    {"status 7", "1214" ID "1007", OK, FRAME_RECEIPT, RECEIPT_BUSY},
    {"status 2^32+1", "1218" ID "108180808010", OK, FRAME_RECEIPT, RECEIPT_BUSY},
    {"a status that is text", "1215" ID "120101", OK, FRAME_RECEIPT, RECEIPT_BUSY},
    {"a receipt without id", "12021001", E_PROTO, FRAME_RECEIPT, RECEIPT_NONE},
    {"a receipt with a short id", "1211" SHORT_ID, E_PROTO, FRAME_RECEIPT, RECEIPT_NONE},
    {"a receipt that ends inside a field", "1213" ID "10", E_PROTO, FRAME_RECEIPT, RECEIPT_NONE},
};

TEST(frames_of_strangers) {
    for (size_t i = 0; i < LEN(frames); i++) {
        uint8_t in[ROOM];
        struct message_frame f;
        struct why w = {0};
        size_t n = test_hex(frames[i].hex, in, sizeof(in));
        enum err e = message_frame_read(bytes_at(in, n), &f, &w);
        CHECK(e == frames[i].want, "%s: %s %s", frames[i].what, err_name(e), w.text);
        CHECK((e == OK) == (w.text[0] == '\0'), "%s: %s", frames[i].what, w.text);
        if (e != OK) continue;
        CHECK((int)f.kind == frames[i].kind, "%s", frames[i].what);
        CHECK((f.kind == FRAME_RECEIPT ? f.receipt.status : f.verdict) == frames[i].verdict, "%s: %d",
              frames[i].what, (int)f.verdict);
        const uint8_t *id = f.kind == FRAME_RECEIPT ? f.receipt.id
                                                    : f.message.id; /* to answer INVALID with */
        CHECK(f.kind == FRAME_UNKNOWN || memcmp(id, id_0, MESSAGE_ID) == 0, "%s", frames[i].what);
    }
}

/* By the reader of a stranger's frame and by the check of our own user's. */
static bool allowed(const struct message *m) {
    struct buf out = {.max = 1000};
    struct message_frame f;
    struct why w = {0};
    CHECK(message_frame_write(&out, m) && message_frame_read(unwrap(buf_view(&out)), &f, NULL) == OK);
    enum err e = message_check(m, &w);
    CHECK((f.verdict == RECEIPT_NONE) == (e == OK) && (e == OK || (e == E_INPUT && w.text[0] != '\0')));
    buf_free(&out);
    return e == OK;
}

TEST(subject_and_type_at_their_limits) {
    static uint8_t text[MESSAGE_SUBJECT_MAX + 2];
    memset(text, 'x', sizeof(text));
    struct message m = sample();
    m.subject = bytes_at(text, MESSAGE_SUBJECT_MAX);
    CHECK(allowed(&m));
    m.subject.n++;
    CHECK(!allowed(&m));
    m = sample();
    m.content_type = bytes_at(text, MESSAGE_TYPE_MAX);
    CHECK(allowed(&m));
    m.content_type.n++;
    CHECK(!allowed(&m));
    m = sample();
    m.sent_ms = 0;
    CHECK(!allowed(&m));
}

TEST(the_usual_type_is_not_sent) {
    struct message plain = sample(), m = sample();
    struct buf out = {.max = ROOM};
    m.content_type = BYTES(MESSAGE_DEFAULT_TYPE);
    CHECK(message_frame_size(&m) == message_frame_size(&plain) && message_frame_write(&out, &m));
    struct message_frame f;
    CHECK(message_frame_read(unwrap(buf_view(&out)), &f, NULL) == OK && f.message.content_type.n == 0);
    buf_free(&out);
}

TEST(frames_of_every_size_are_as_long_as_promised) {
    static uint8_t body[40000];
    struct buf out = {.max = 1 << 20};
    for (size_t n = 0; n < sizeof(body); n += n < 300 || (n > 16300 && n < 16450) ? 1 : 997) {
        struct message m = full_sample();
        m.body = bytes_at(body, n);
        CHECK(message_frame_write(&out, &m) && out.n == message_frame_size(&m), "%zu", n);
        CHECK(unwrap(buf_view(&out)).n < out.n);
        CHECK(out.n - n <= MESSAGE_HEAD_MAX, "%zu", n);
        buf_clear(&out);
    }
    buf_free(&out);
}

TEST(a_frame_at_its_limit) {
    struct message m = sample();
    size_t head = message_frame_size(&m) - 2 + 3 * 3; /* three lengths grow from one byte to four */
    size_t fits = MESSAGE_FRAME_MAX - (head - 4);
    uint8_t *body = mem_new(1, fits + 1);
    struct buf out = {.max = 3 * MESSAGE_FRAME_MAX}; /* room is not what refuses it */
    CHECK(body != NULL);
    m.body = bytes_at(body, fits);
    CHECK(message_frame_write(&out, &m) && unwrap(buf_view(&out)).n == MESSAGE_FRAME_MAX, "%zu", out.n);
    size_t was = out.n;
    m.body.n++;
    CHECK(!message_frame_write(&out, &m) && out.n == was);
    buf_free(&out);
    mem_free(body);
}

TEST(the_length_prefix_decides_before_anything_waits) {
    static const struct {
        const char *hex;
        enum err want;
        size_t need;
    } rows[] = {
        {"", OK, 0},
        {"80", OK, 0},
        {"ffffff", OK, 0},
        {"80808002", OK, (4 << 20) + 4},
        {"81808002", E_LIMIT, 0},
        {"ffffffffffffffff7f", E_LIMIT, 0},
        {"8000", E_LIMIT, 0}, /* overlong */
        {"ffffffffffffffffff01", E_LIMIT, 0},
        {"02aa", OK, 3},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t room[16];
        struct bytes in = bytes_at(room, test_hex(rows[i].hex, room, sizeof(room))), was = in, frame;
        bool whole = true;
        size_t need = 99;
        enum err e = message_frame_next(&in, &frame, &whole, &need);
        CHECK(e == rows[i].want && !whole && need == rows[i].need, "%s: %s %zu", rows[i].hex, err_name(e),
              need);
        CHECK(in.p == was.p && in.n == was.n, "%s", rows[i].hex);
    }
}

TEST(frames_one_after_the_other_in_any_pieces) {
    uint8_t all[3 * ROOM];
    size_t n = test_hex(PLAIN RECEIPT "00" FULL, all, sizeof(all));
    static const size_t ends[] = {32, 62, 63, 127};
    for (size_t have = 0; have <= n; have++) {
        struct bytes in = bytes_at(all, have), frame;
        size_t count = 0, need = 0;
        bool whole = true;
        while (message_frame_next(&in, &frame, &whole, &need) == OK && whole) {
            CHECK(in.p == all + ends[count] && frame.p + frame.n == in.p, "%zu", have);
            count++;
        }
        size_t want = 0;
        while (want < LEN(ends) && ends[want] <= have) want++;
        CHECK(count == want && !whole, "%zu: %zu", have, count);
    }
    CHECK(n == ends[LEN(ends) - 1]);
}

TEST(cut_frames_and_flipped_bits) {
    static const char *const rows[] = {PLAIN, FULL, RECEIPT};
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t in[ROOM];
        size_t n = test_hex(rows[i], in, sizeof(in)) - 1; /* the length prefix has one byte */
        struct message_frame f;
        for (size_t cut = 1; cut < n; cut++) {
            uint8_t *exact = mem_new(1, cut);
            CHECK(exact != NULL);
            memcpy(exact, in + 1, cut);
            CHECK(message_frame_read(bytes_at(exact, cut), &f, NULL) == E_PROTO, "row %zu, %zu", i, cut);
            mem_free(exact);
        }
        for (size_t bit = 8; bit < 8 * (n + 1); bit++) {
            struct why w = {0};
            in[bit / 8] ^= (uint8_t)(1 << bit % 8);
            enum err e = message_frame_read(bytes_at(in + 1, n), &f, &w);
            CHECK((e == OK && w.code == OK) || (e == E_PROTO && w.code == E_PROTO), "row %zu, bit %zu", i,
                  bit);
            bool fine = e == OK && f.kind == FRAME_MESSAGE && f.verdict == RECEIPT_NONE;
            CHECK(!fine || message_check(&f.message, NULL) == OK, "row %zu, bit %zu", i, bit);
            in[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

TEST(writing_is_all_or_nothing) {
    struct message m = full_sample();
    struct receipt r = {.status = RECEIPT_STORED, .received_ms = SENT};
    size_t size = message_frame_size(&m);
    for (size_t max = 0; max <= size + 3; max++) {
        struct buf out = {.max = max}, other = {.max = max};
        CHECK(max < 3 || (buf_add_text(&out, "old") && buf_add_text(&other, "old")));
        size_t old = out.n;
        CHECK(message_frame_write(&out, &m) == (max >= size + old), "%zu", max);
        CHECK(out.n == old + (max >= size + old ? size : 0), "%zu", max);
        CHECK(message_receipt_write(&other, &r) == (max >= 30 + old) && (other.n == old) == (max < 30 + old));
        buf_free(&out);
        buf_free(&other);
    }
    struct buf out = {.max = 1000};
    mem_fail_after(0);
    CHECK(!message_frame_write(&out, &m) && out.n == 0);
    mem_fail_after(0);
    CHECK(!message_receipt_write(&out, &r) && out.n == 0);
    mem_fail_after(-1);
    buf_free(&out);
}
