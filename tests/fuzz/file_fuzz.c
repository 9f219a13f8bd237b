/* Frames of the file protocol: raw, and as well-formed messages whose fields are fuzzed. */
#include "base/pb.h"
#include "base/text.h"
#include "proto/file.h"
#include "tests/fuzz/fuzz.h"

static void check_name(struct bytes name) {
    if (file_name_fault(name) != NULL) return;
    MUST(name.n >= 1 && name.n <= FILE_NAME_MAX && utf8_valid(name));
    MUST(bytes_index(name, '/') == name.n && bytes_index(name, 0) == name.n);
    MUST(!bytes_is(name, ".") && !bytes_is(name, "..") && name.p[0] != '-');
}

static void check_offer(struct bytes frame) {
    struct file_offer o, again;
    struct why w = {OK, ""};
    enum err e = file_offer_read(frame, &o, &w);
    MUST(e == w.code && (e == OK || e == E_PROTO || e == E_INPUT));
    check_name(o.name);
    if (e != OK) return;
    MUST(o.has_hash && o.size <= INT64_MAX && file_name_fault(o.name) == NULL);
    struct buf out = {.max = FILE_FRAME_MAX + 8};
    MUST(file_offer_write(&out, &o));
    struct bytes in = buf_view(&out), second;
    bool whole = false;
    MUST(file_frame_next(&in, &second, &whole) == OK && whole && in.n == 0);
    MUST(file_offer_read(second, &again, NULL) == OK && again.size == o.size && bytes_eq(again.name, o.name));
    MUST(memcmp(again.id, o.id, sizeof o.id) == 0 && memcmp(again.hash, o.hash, sizeof o.hash) == 0);
    buf_free(&out);
}

static void check_answer(struct bytes frame) {
    struct file_answer a, again;
    struct why w = {OK, ""};
    enum err e = file_answer_read(frame, &a, &w);
    MUST(e == w.code && (e == OK || e == E_PROTO));
    if (e != OK) return;
    MUST(a.status <= FILE_OFFERED);
    struct buf out = {.max = 100};
    if (a.offset <= INT64_MAX && a.received_ms <= INT64_MAX) {
        MUST(file_answer_write(&out, &a));
        struct bytes in = buf_view(&out), second;
        bool whole = false;
        MUST(file_frame_next(&in, &second, &whole) == OK && whole);
        MUST(file_answer_read(second, &again, NULL) == OK);
        MUST(again.status == a.status && again.offset == a.offset && again.received_ms == a.received_ms);
    }
    buf_free(&out);
}

static void check_stream(struct bytes in) {
    for (bool whole = true; whole;) {
        struct bytes frame = {NULL, 0}, before = in;
        enum err e = file_frame_next(&in, &frame, &whole);
        if (e != OK) {
            MUST(e == E_LIMIT && in.n == before.n);
            return;
        }
        MUST(frame.n <= FILE_FRAME_MAX && (whole || in.n == before.n));
        if (!whole) return;
        check_offer(frame);
        check_answer(frame);
    }
}

static void add_fields(struct bytes *in, struct buf *out) {
    static const uint8_t zeros[FILE_HASH];
    while (in->n > 0) {
        uint8_t n = fuzz_u8(in);
        uint32_t number = n % 16;
        if (number == 0) number = 1;
        if (n & 64) {
            pb_put_uint(out, number, n & 32 ? fuzz_u64(in) : fuzz_u8(in));
        } else if (n & 32) { /* of the length that belongs there */
            pb_put_bytes(out, number, bytes_at(zeros, number == 10 ? FILE_HASH : MESSAGE_ID));
        } else {
            pb_put_bytes(out, number, fuzz_part(in));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    uint8_t what = fuzz_u8(&in);
    if (what % 4 == 0) {
        struct bytes copy = fuzz_exact(in);
        check_stream(copy);
        check_name(copy);
        fuzz_free(copy);
    } else {
        struct buf fields = {.max = 1 << 20};
        add_fields(&in, &fields);
        struct bytes copy = fuzz_exact(buf_view(&fields));
        check_offer(copy);
        check_answer(copy);
        fuzz_free(copy);
        buf_free(&fields);
    }
    fuzz_no_leak(blocks);
    return 0;
}
