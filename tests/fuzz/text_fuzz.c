/* Text forms of bytes, UTF-8 and what is safe to show, log lines. */
#include "base/log.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

#include <ctype.h>

enum { LIMIT = 1 << 16 };

static bool base64_put(struct buf *out, struct bytes in) {
    return base64_encode(out, in, false);
}
static bool base64_get(struct buf *out, struct bytes in) {
    return base64_decode(out, in, false);
}
static bool base64url_put(struct buf *out, struct bytes in) {
    return base64_encode(out, in, true);
}
static bool base64url_get(struct buf *out, struct bytes in) {
    return base64_decode(out, in, true);
}

static const struct codec {
    bool (*put)(struct buf *, struct bytes);
    bool (*get)(struct buf *, struct bytes);
    char base;         /* of multibase */
    bool folds, loose; /* reads upper case too; reads with and without padding */
} codecs[] = {
    {hex_encode, hex_decode, 'f', true, false},       {base58_encode, base58_decode, 'z', false, false},
    {base32_encode, base32_decode, 'b', true, false}, {base64_put, base64_get, 'm', false, true},
    {base64url_put, base64url_get, 'u', false, true}, {NULL, base36_decode, 'k', false, false}};

/* Any bytes come back; any text that is read is the one that would be written. */
static void check_codec(const struct codec *c, struct bytes in) {
    struct buf text = {.max = LIMIT}, back = {.max = LIMIT}, other = {.max = LIMIT};
    if (c->put != NULL && c->put(&text, in)) {
        MUST(text.n < 3 || c->put == base58_encode || c->get(&back, buf_view(&text)));
        back.n = 0;
        if (text.n <= 400 || c->put != base58_encode) {
            MUST(c->get(&back, buf_view(&text)));
            MUST(bytes_eq(buf_view(&back), in));
        }
    }
    text.n = back.n = 0;
    if (c->get(&text, in)) {
        if (c->put != NULL && c->put(&back, buf_view(&text)) && !c->loose) {
            MUST(back.n == in.n);
            for (size_t i = 0; i < in.n; i++)
                MUST(back.p[i] == (c->folds ? (uint8_t)tolower(in.p[i]) : in.p[i]));
        }
        back.n = 0;
        MUST(buf_add_byte(&back, (uint8_t)c->base) && buf_add(&back, in));
        MUST(multibase_decode(&other, buf_view(&back)) && bytes_eq(buf_view(&other), buf_view(&text)));
    } else {
        MUST(text.n == 0);
    }
    buf_free(&text);
    buf_free(&back);
    buf_free(&other);
}

static void check_shown(struct bytes shown, bool newlines) {
    MUST(utf8_valid(shown));
    while (shown.n > 0) {
        uint32_t code;
        size_t n = utf8_read(shown, &code);
        MUST(n > 0 && (!utf8_control(code) || (newlines && (code == '\n' || code == '\t'))));
        shown = bytes_skip(shown, n);
    }
}

static void check_text(struct bytes in, bool newlines) {
    struct buf shown = {.max = LIMIT};
    bool fits = text_escape(&shown, in, newlines);
    MUST(fits || in.n > LIMIT / 4);
    check_shown(buf_view(&shown), newlines);
    MUST(text_width(buf_view(&shown)) <= 2 * shown.n);
    MUST(text_width(in) <= 2 * in.n);
    char a[200], b[200];
    bytes_cstr(in, a, sizeof a);
    bytes_cstr(bytes_skip(in, in.n / 2), b, sizeof b);
    MUST(text_distance(a, b) == text_distance(b, a) && text_distance(a, a) == 0);
    buf_free(&shown);
}

static void check_log(struct bytes in, enum log_format format) {
    struct log log;
    struct log_line line;
    log_init(&log, LEVEL_DEBUG, format);
    log.now = (struct clocks){{1000000}, {1790000000000}};
    size_t third = in.n / 3;
    LOG(&log, EV_PEER_MISBEHAVED, kv_text("peer", bytes_sub(in, 0, third)),
        kv_text("reason", bytes_sub(in, third, third)), kv_hex("id", bytes_skip(in, 2 * third)),
        kv_ms("after", (int64_t)(in.n * 77777)), kv_int("count", -(int64_t)in.n));
    while (log_take(&log, &line)) {
        MUST(line.text.n <= LOG_LINE_MAX);
        check_shown(line.text, false);
    }
    log_free(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    uint8_t what = fuzz_u8(&in);
    size_t blocks = mem_blocks();
    in = fuzz_exact(bytes_sub(in, 0, 4096));
    if (what % 8 < LEN(codecs)) {
        check_codec(&codecs[what % 8], in);
    } else if (what % 8 == 6) {
        check_text(in, (what & 8) != 0);
    } else {
        check_log(in, (what & 8) != 0 ? LOG_JSON : LOG_TEXT);
    }
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
