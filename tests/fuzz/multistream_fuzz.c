/* Both ends of multistream: against fuzzed bytes, in pieces, and against each other. */
#include "proto/multistream.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {"/a", "/noise", "/ipfs/id/1.0.0", "/silktalk/message/1.0.0", "/b", NULL};
enum { OUT_MAX = 4096 };

static enum err feed_listener(struct multistream_listener *m, struct buf *held, struct bytes part,
                              struct buf *out) {
    MUST(buf_add(held, part));
    struct bytes in = buf_view(held);
    size_t before = in.n;
    enum err e = multistream_listener_input(m, &in, out);
    MUST(in.n <= before && e == m->why.code);
    MUST(m->state != MSL_DONE || m->chosen < LEN(names) - 1);
    buf_drop(held, before - in.n);
    return e;
}

static enum err feed_dialer(struct multistream_dialer *m, bool optimistic, struct buf *held,
                            struct bytes part, struct buf *out) {
    MUST(buf_add(held, part));
    struct bytes in = buf_view(held);
    size_t before = in.n;
    enum err e = multistream_dialer_input(m, optimistic, &in, out);
    MUST(in.n <= before && e == m->why.code);
    buf_drop(held, before - in.n);
    return e;
}

/* A line in its frame, so that the fuzzer need not find lengths; 255: raw bytes. */
static void add_piece(struct bytes *in, struct buf *piece) {
    uint8_t what = fuzz_u8(in);
    buf_clear(piece);
    if (what == 255) {
        buf_add(piece, fuzz_part(in));
    } else if (what < 8) {
        buf_add_text(piece, "\x13/multistream/1.0.0\n");
    } else if (what < 16) {
        wr_u8(piece, 3);
        buf_add_text(piece, "na\n");
    } else if (what < 64) {
        const char *name = names[what % (LEN(names) - 1)];
        wr_varint(piece, strlen(name) + 1);
        buf_add_format(piece, "%s\n", name);
    } else {
        struct bytes line = fuzz_part(in);
        wr_varint(piece, line.n + 1);
        buf_add(piece, line);
        buf_add_text(piece, "\n");
    }
}

static void against_bytes(struct bytes in, bool listener, bool optimistic) {
    struct multistream_listener l;
    struct multistream_dialer d;
    struct buf held = {.max = 1 << 20}, out = {.max = OUT_MAX}, piece = {.max = 1 << 17};
    if (listener)
        multistream_listen(&l, names);
    else
        MUST(multistream_dial(&d, names, &out) == OK);
    enum err e = OK;
    while (in.n > 0 && held.n < 1 << 18) {
        add_piece(&in, &piece);
        struct bytes rest = buf_view(&piece);
        size_t cut = piece.n > 2 && piece.p[1] % 2 == 0 ? piece.n / 2 : piece.n;
        enum err was = e;
        for (struct bytes part; (part = bytes_take(&rest, cut)).n > 0;)
            e = listener ? feed_listener(&l, &held, part, &out)
                         : feed_dialer(&d, optimistic, &held, part, &out);
        MUST(was == OK || e == was); /* errors are final */
    }
    buf_free(&held);
    buf_free(&out);
    buf_free(&piece);
}

/* Whatever the dialer wants, both ends agree about the outcome. */
static void against_each_other(struct bytes in) {
    static const char *const others[] = {"/x", "/y", NULL, NULL};
    const char *wants[20];
    size_t n = 0;
    while (in.n > 0 && n < LEN(wants) - 1) {
        uint8_t k = fuzz_u8(&in);
        wants[n++] = k < 128 ? names[k % (LEN(names) - 1)] : others[k % 2];
    }
    wants[n] = NULL;
    if (n == 0) return;
    struct multistream_listener l;
    struct multistream_dialer d;
    struct buf to_l = {.max = OUT_MAX}, to_d = {.max = OUT_MAX};
    multistream_listen(&l, names);
    MUST(multistream_dial(&d, wants, &to_l) == OK);
    for (int i = 0; i < 40; i++) {
        struct bytes a = buf_view(&to_l);
        multistream_listener_input(&l, &a, &to_d);
        buf_drop(&to_l, to_l.n - a.n);
        a = buf_view(&to_d);
        multistream_dialer_input(&d, false, &a, &to_l);
        buf_drop(&to_d, to_d.n - a.n);
    }
    if (d.state == MSD_DONE) {
        MUST(l.state == MSL_DONE && strcmp(wants[d.proposed], names[l.chosen]) == 0);
    } else {
        MUST(l.why.code == E_LIMIT || (d.state == MSD_DEAD && d.why.code == E_REFUSED));
    }
    buf_free(&to_l);
    buf_free(&to_d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    uint8_t what = fuzz_u8(&in);
    if (what % 4 == 3)
        against_each_other(in);
    else
        against_bytes(in, what % 4 == 0, what % 4 == 1);
    fuzz_no_leak(blocks);
    return 0;
}
