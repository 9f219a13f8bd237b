/* Frames of messages and receipts: raw, and as well-formed frames whose fields are fuzzed. */
#include "base/pb.h"
#include "proto/message.h"
#include "tests/fuzz/fuzz.h"

static void check_message(const struct message_frame *f) {
    const struct message *m = &f->message;
    struct why w = {OK, ""};
    struct buf out = {.max = MESSAGE_FRAME_MAX + 16};
    enum err e = message_check(m, &w);
    MUST(e == w.code && (e == OK || f->verdict == RECEIPT_INVALID));
    if (f->verdict != RECEIPT_NONE) return; /* never written again */
    MUST(message_frame_write(&out, m));
    MUST(out.n == message_frame_size(m));
    struct bytes in = buf_view(&out), frame;
    bool whole = false;
    size_t need = 0;
    MUST(message_frame_next(&in, &frame, &whole, &need) == OK && whole && in.n == 0 && need == out.n);
    struct message_frame again;
    MUST(message_frame_read(frame, &again, NULL) == OK && again.kind == FRAME_MESSAGE);
    MUST(again.verdict == RECEIPT_NONE);
    MUST(again.message.sent_ms == m->sent_ms && again.message.expires_ms == m->expires_ms);
    MUST(bytes_eq(again.message.body, m->body) && bytes_eq(again.message.subject, m->subject));
    MUST(memcmp(again.message.id, m->id, MESSAGE_ID) == 0 && again.message.has_reply_to == m->has_reply_to);
    buf_free(&out);
}

static void check_frame(struct bytes frame) {
    struct message_frame f;
    struct why w = {OK, ""};
    enum err e = message_frame_read(frame, &f, &w);
    MUST(e == w.code && (e == OK || e == E_PROTO));
    if (e != OK) return;
    if (f.kind == FRAME_MESSAGE) check_message(&f);
    if (f.kind == FRAME_RECEIPT) {
        MUST(strcmp(receipt_status_name(f.receipt.status), "NONE") != 0);
        struct buf out = {.max = 200};
        if (f.receipt.received_ms > INT64_MAX) return; /* no time of ours */
        MUST(message_receipt_write(&out, &f.receipt));
        struct bytes in = buf_view(&out), again;
        bool whole;
        size_t need;
        struct message_frame g;
        MUST(message_frame_next(&in, &again, &whole, &need) == OK && whole);
        MUST(message_frame_read(again, &g, NULL) == OK && g.kind == FRAME_RECEIPT);
        MUST(g.receipt.status == f.receipt.status && g.receipt.received_ms == f.receipt.received_ms);
        buf_free(&out);
    }
}

static void check_stream(struct bytes in) {
    for (;;) {
        struct bytes frame = {NULL, 0}, before = in;
        bool whole = true;
        size_t need = 0;
        enum err e = message_frame_next(&in, &frame, &whole, &need);
        if (e != OK) {
            MUST(e == E_LIMIT && in.n == before.n);
            return;
        }
        MUST(!whole || (need <= before.n && in.n == before.n - need && frame.n <= MESSAGE_FRAME_MAX));
        MUST(whole || (in.n == before.n && (need == 0 || need > in.n)));
        if (!whole) return;
        check_frame(frame);
    }
}

/* Fields in any order, of the right kinds mostly: byte n is the number, the part behind it the value. */
static void add_fields(struct bytes *in, struct buf *out) {
    while (in->n > 0) {
        uint8_t n = fuzz_u8(in);
        uint32_t number = n % 8 + 1;
        if (n & 64) {
            pb_put_uint(out, number, n & 32 ? fuzz_u64(in) : fuzz_u8(in));
        } else if (n & 32) {
            uint8_t id[MESSAGE_ID] = {fuzz_u8(in)};
            pb_put_bytes(out, number, bytes_at(id, sizeof id));
        } else {
            pb_put_bytes(out, number, fuzz_part(in));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    uint8_t what = fuzz_u8(&in);
    struct bytes copy = fuzz_exact(in);
    if (what % 4 == 0) check_stream(copy);
    if (what % 4 == 1) check_frame(copy);
    fuzz_free(copy);
    if (what % 4 >= 2) {
        struct buf fields = {.max = 1 << 20}, frame = {.max = 1 << 20};
        add_fields(&in, &fields);
        MUST(pb_put_bytes(&frame, what % 4 - 1u, buf_view(&fields)));
        copy = fuzz_exact(buf_view(&frame));
        check_frame(copy);
        fuzz_free(copy);
        buf_free(&fields);
        buf_free(&frame);
    }
    fuzz_no_leak(blocks);
    return 0;
}
