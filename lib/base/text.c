/* lib/base/text.c: text of people and peers: UTF-8 (RFC 3629), what of it is safe to show, how wide it is. */
#include "base/text.h"

enum { DISTANCE_MAX = 64 };

size_t utf8_read(struct bytes text, uint32_t *code) {
    if (text.n == 0) return 0;
    const uint8_t *p = text.p;
    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    /* The second byte's range leaves out overlong forms, surrogates, and what is above U+10FFFF. */
    size_t n = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
    uint8_t least = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    uint8_t most = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (n == 0 || text.n < n || p[1] < least || p[1] > most) return 0;
    uint32_t v = p[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        v = v << 6 | (p[i] & 0x3fu);
    }
    *code = v;
    return n;
}

bool utf8_control(uint32_t code) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0x061c, 0x061c}, /* C0; DEL and C1; Arabic letter mark */
        {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}, /* direction marks; separators, overrides */
    };
    if (code >= 0x20 && code < 0x7f) return false;
    for (size_t i = 0; i < LEN(ranges); i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    }
    return false;
}

bool utf8_valid(struct bytes text) {
    uint32_t code;
    while (text.n > 0) {
        uint64_t eight = UINT64_MAX;
        if (text.n >= sizeof eight) memcpy(&eight, text.p, sizeof eight);
        bool ascii = (eight & UINT64_C(0x8080808080808080)) == 0;
        size_t n = ascii ? sizeof eight : utf8_read(text, &code);
        if (n == 0) return false;
        text.p += n;
        text.n -= n;
    }
    return true;
}

static bool add_escaped(struct buf *out, struct bytes bytes) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.n; i++) {
        char text[4] = {'\\', 'x', digits[bytes.p[i] >> 4], digits[bytes.p[i] & 15]};
        if (!buf_add(out, bytes_at(text, sizeof(text)))) return false;
    }
    return true;
}

bool text_escape(struct buf *out, struct bytes text, bool newlines) {
    size_t was = out->n;
    bool good = true;
    while (good && text.n > 0) {
        uint32_t code = 0;
        size_t n = utf8_read(text, &code);
        bool passes = n > 0 && code != '\\' && !utf8_control(code);
        if (newlines && (code == '\n' || code == '\t')) passes = n > 0;
        struct bytes one = bytes_take(&text, MAX(n, (size_t)1));
        good = passes ? buf_add(out, one) : add_escaped(out, one);
    }
    if (!good) out->n = was;
    return good;
}

static bool is_wide(uint32_t code) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
        {0x2648, 0x2653},   {0x267f, 0x267f},   {0x2693, 0x2693},   {0x26a1, 0x26a1},   {0x26aa, 0x26ab},
        {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26ce, 0x26ce},   {0x26d4, 0x26d4},   {0x26ea, 0x26fd},
        {0x2705, 0x2705},   {0x270a, 0x270b},   {0x2728, 0x2728},   {0x274c, 0x2757},   {0x2795, 0x2797},
        {0x27b0, 0x27bf},   {0x2b1b, 0x2b1c},   {0x2b50, 0x2b55},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
        {0xa960, 0xa97c},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},   {0xfe30, 0xfe6f},
        {0xff01, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x1b2ff}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf},
        {0x1f18e, 0x1f19a}, {0x1f200, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f7e0, 0x1f7f0}, {0x1f900, 0x1faff},
        {0x20000, 0x3fffd},
    };
    for (size_t i = 0; i < LEN(ranges) && code >= ranges[i].first; i++) {
        if (code <= ranges[i].last) return true;
    }
    return false;
}

size_t text_width(struct bytes text) {
    size_t width = 0;
    while (text.n > 0) {
        uint32_t code = 0;
        size_t n = utf8_read(text, &code);
        width += n > 0 && is_wide(code) ? 2 : 1;
        text = bytes_skip(text, MAX(n, (size_t)1));
    }
    return width;
}

size_t text_fit(struct bytes text, size_t columns) {
    size_t fits = 0;
    while (fits < text.n) {
        uint32_t code = 0;
        size_t n = utf8_read(bytes_skip(text, fits), &code), width = n > 0 && is_wide(code) ? 2 : 1;
        if (width > columns) break;
        columns -= width;
        fits += MAX(n, (size_t)1);
    }
    return fits;
}

size_t text_distance(const char *a, const char *b) {
    size_t n_a = strnlen(a, DISTANCE_MAX), n_b = strnlen(b, DISTANCE_MAX);
    size_t rows[3][DISTANCE_MAX + 1]; /* the row being made, the one before, and the one before that */
    size_t *row = rows[0], *before = rows[1], *older = rows[2];
    for (size_t j = 0; j <= n_b; j++) row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *free_row = older;
        older = before;
        before = row;
        row = free_row;
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t replaced = before[j - 1] + (a[i - 1] != b[j - 1]);
            size_t moved = MIN(before[j], row[j - 1]) + 1;
            row[j] = MIN(replaced, moved);
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = MIN(row[j], older[j - 2] + 1);
        }
    }
    return row[n_b];
}

bool text_words(struct bytes line, struct buf *out, size_t *n) {
    uint8_t quote = 0;
    bool inside = false, good = bytes_index(line, 0) == line.n;
    *n = 0;
    for (size_t i = 0; good && i < line.n; i++) {
        uint8_t c = line.p[i];
        bool blank = quote == 0 && (c == ' ' || c == '\t'), mark = quote == 0 && (c == '\'' || c == '"');
        if (blank && inside) {
            good = buf_add_byte(out, 0);
            ++*n;
        } else if (mark) {
            quote = c;
        } else if (c == quote) { /* never 0: such lines are out */
            quote = 0;
        } else if (!blank) {
            good = buf_add_byte(out, c);
        }
        inside = !blank;
    }
    if (good && inside) {
        good = quote == 0 && buf_add_byte(out, 0);
        ++*n;
    }
    return good;
}
