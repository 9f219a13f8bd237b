/* Cursors, varints and Protocol Buffers' fields. What is read can be written, and reads the same again. */
#include "base/pb.h"
#include "tests/fuzz/fuzz.h"

static void check_fields(struct bytes in) {
    struct rd r = rd_of(in);
    struct pb_field f, g;
    size_t left = in.n;
    while (pb_next(&r, &f)) {
        MUST(!r.bad && r.in.n < left && f.number >= 1 && f.number < 1u << 29);
        left = r.in.n;
        struct buf out = {.max = 1 << 16};
        MUST(f.is_bytes ? pb_put_bytes(&out, f.number, f.data) : pb_put_uint(&out, f.number, f.value));
        if (f.is_bytes) MUST(out.n == pb_size_bytes(f.number, f.data.n));
        if (!f.is_bytes && f.value < 1ull << 63) MUST(out.n == pb_size_uint(f.number, f.value));
        if (!f.is_bytes) MUST(pb_put_fixed64(&out, f.number, f.value));
        struct rd again = rd_of(buf_view(&out));
        MUST(pb_next(&again, &g) && g.number == f.number && g.is_bytes == f.is_bytes);
        MUST(g.value == f.value && bytes_eq(g.data, f.data));
        if (!f.is_bytes) MUST(pb_next(&again, &g) && g.value == f.value);
        MUST(!pb_next(&again, &g) && !again.bad);
        buf_free(&out);
    }
    MUST(r.bad || r.in.n == 0);
    MUST(!pb_next(&r, &f));
}

static void check_cursor(struct bytes in) {
    struct rd r = rd_of(in);
    struct buf out = {.max = 1 << 16};
    while (!r.bad) {
        struct bytes before = r.in;
        switch (rd_u8(&r) % 6) {
        case 0: MUST(wr_u16(&out, rd_u16(&r))); break;
        case 1: MUST(wr_u32(&out, rd_u32(&r))); break;
        case 2: MUST(wr_u64(&out, rd_u64(&r))); break;
        case 3: {
            uint64_t v = rd_varint(&r);
            if (r.bad || v == UINT64_MAX) break;
            out.n = 0;
            MUST(wr_varint(&out, v) && out.n == varint_size(v));
            MUST(bytes_eq(buf_view(&out), bytes_sub(before, 1, before.n - r.in.n - 1)));
            break;
        }
        case 4: {
            struct bytes v = rd_lp(&r, 64);
            MUST(v.n <= 64 && (!r.bad || v.n == 0));
            if (!r.bad) MUST(wr_lp(&out, v));
            break;
        }
        case 5: wr_u8(&out, rd_u8(&r)); break;
        }
        out.n = MIN(out.n, (size_t)1000);
    }
    MUST(rd_u64(&r) == 0 && rd_take(&r, 0).n == 0 && r.bad);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = fuzz_exact(bytes_at(data, n));
    check_fields(in);
    check_cursor(in);
    fuzz_free(in);
    return 0;
}
