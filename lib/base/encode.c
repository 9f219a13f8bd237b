/* lib/base/encode.c: hexadecimal, base32, base64 (RFC 4648), base58btc, base36 and multibase. */
#include "base/text.h"

enum { BASE58_BYTES_MAX = 256, RADIX_TEXT_MAX = 400 };
enum { NOT_A_DIGIT = 255 };

bool hex_encode(struct buf *out, struct bytes in) {
    static const char digits[] = "0123456789abcdef";
    if (in.n > SIZE_MAX / 2) return false;
    uint8_t *to = buf_add_space(out, in.n * 2);
    if (to == NULL) return false;
    for (size_t i = 0; i < in.n; i++) {
        to[2 * i] = (uint8_t)digits[in.p[i] >> 4];
        to[2 * i + 1] = (uint8_t)digits[in.p[i] & 15];
    }
    return true;
}

static unsigned hex_value(uint8_t c) {
    unsigned digit = (unsigned)c - '0', letter = ((unsigned)c | 0x20) - 'a';
    return digit < 10 ? digit : letter < 6 ? letter + 10 : NOT_A_DIGIT;
}

bool hex_decode(struct buf *out, struct bytes text) {
    size_t was = out->n;
    uint8_t *to = text.n % 2 == 0 ? buf_add_space(out, text.n / 2) : NULL;
    if (to == NULL) return false;
    unsigned wrong = 0;
    for (size_t i = 0; i < text.n; i += 2) {
        unsigned high = hex_value(text.p[i]), low = hex_value(text.p[i + 1]);
        wrong |= high | low;
        to[i / 2] = (uint8_t)(high << 4 | low);
    }
    if (wrong > 15) out->n = was;
    return wrong <= 15;
}

/* ---- base58btc and base36: the bytes are one big number, leading zero bytes are leading zero digits. It is
 * held in 32-bit words, five digits (58^5 < 2^32) at a time. 400 * log2(58) bits are under 74 words. */
enum { DIGITS_PER_STEP = 5, STEP_58 = 58 * 58 * 58 * 58 * 58, RADIX_WORDS = 76 };

static const char base58_digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

static size_t leading(struct bytes a, uint8_t byte) {
    size_t n = 0;
    while (n < a.n && a.p[n] == byte) n++;
    return n;
}

/* Divides the n words (most significant first) by 58^5; returns the remainder. */
static uint32_t divide_step(uint32_t *words, size_t n) {
    uint64_t rest = 0;
    for (size_t i = 0; i < n; i++) {
        rest = rest << 32 | words[i];
        words[i] = (uint32_t)(rest / STEP_58);
        rest %= STEP_58;
    }
    return (uint32_t)rest;
}

bool base58_encode(struct buf *out, struct bytes in) {
    if (in.n > BASE58_BYTES_MAX) return false;
    size_t zeros = leading(in, 0), n_words = (in.n + 3) / 4, first = 0;
    uint32_t words[BASE58_BYTES_MAX / 4] = {0};
    for (size_t i = 0; i < in.n; i++) { /* the last byte ends the last word */
        size_t from_end = in.n - 1 - i;
        words[n_words - 1 - from_end / 4] |= (uint32_t)in.p[i] << (8 * (from_end % 4));
    }
    char text[RADIX_TEXT_MAX];
    size_t at = sizeof(text); /* filled from its end */
    for (;;) {
        while (first < n_words && words[first] == 0) first++;
        if (first == n_words) break;
        uint32_t step = divide_step(words + first, n_words - first);
        for (unsigned i = 0; i < DIGITS_PER_STEP; i++, step /= 58) text[--at] = base58_digits[step % 58];
    }
    while (at < sizeof(text) && text[at] == '1') at++;
    size_t digits = sizeof(text) - at;
    uint8_t *to = buf_add_space(out, zeros + digits);
    if (to == NULL) return false;
    memset(to, '1', zeros);
    memcpy(to + zeros, text + at, digits);
    return true;
}

static unsigned base58_value(uint8_t c) {
    static const int8_t values['z' - '1' + 1] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  -1, -1, -1, -1, -1, -1, -1, 9,  10, 11, 12, 13, 14, 15, 16, -1,
        17, 18, 19, 20, 21, -1, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, -1, -1, -1, -1, -1, -1, 33, 34,
        35, 36, 37, 38, 39, 40, 41, 42, 43, -1, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57};
    return c < '1' || c > 'z' || values[c - '1'] < 0 ? NOT_A_DIGIT : (unsigned)values[c - '1'];
}

static unsigned base36_value(uint8_t c) {
    unsigned digit = (unsigned)c - '0', letter = (unsigned)c - 'a';
    return digit < 10 ? digit : letter < 26 ? letter + 10 : NOT_A_DIGIT;
}

static bool radix_decode(struct buf *out, struct bytes text, unsigned radix, unsigned (*value)(uint8_t)) {
    if (text.n > RADIX_TEXT_MAX) return false;
    size_t zeros = 0, n_words = 0;
    while (zeros < text.n && value(text.p[zeros]) == 0) zeros++;
    uint32_t words[RADIX_WORDS] = {0}; /* least significant first */
    for (size_t i = zeros; i < text.n;) {
        uint64_t carry = 0;
        uint32_t scale = 1;
        for (unsigned k = 0; k < DIGITS_PER_STEP && i < text.n; k++, i++, scale *= radix) {
            unsigned digit = value(text.p[i]);
            if (digit == NOT_A_DIGIT) return false;
            carry = carry * radix + digit;
        }
        for (size_t k = 0; k < n_words; k++, carry >>= 32) {
            carry += (uint64_t)words[k] * scale;
            words[k] = (uint32_t)carry;
        }
        if (carry > 0) words[n_words++] = (uint32_t)carry;
    }
    size_t n = n_words * 4;
    while (n > 0 && (words[(n - 1) / 4] >> (8 * ((n - 1) % 4)) & 0xff) == 0) n--;
    uint8_t *to = buf_add_space(out, zeros + n);
    if (to == NULL) return false;
    memset(to, 0, zeros);
    for (size_t i = 0; i < n; i++) to[zeros + n - 1 - i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
    return true;
}

bool base58_decode(struct buf *out, struct bytes text) {
    return radix_decode(out, text, 58, base58_value);
}

bool base36_decode(struct buf *out, struct bytes text) {
    return radix_decode(out, text, 36, base36_value);
}

/* ---- base32 and base64: `width` bits a digit */
static bool bits_encode(struct buf *out, struct bytes in, unsigned width, const char *digits, size_t group) {
    if (in.n > SIZE_MAX / 16) return false;
    size_t n = (in.n * 8 + width - 1) / width, padding = (group - n % group) % group;
    uint8_t *to = buf_add_space(out, n + padding);
    if (to == NULL) return false;
    uint32_t held = 0;
    unsigned bits = 0, mask = (1u << width) - 1;
    for (size_t i = 0; i < in.n; i++) {
        held = held << 8 | in.p[i]; /* older bits fall out at the top */
        for (bits += 8; bits >= width; bits -= width) {
            *to++ = (uint8_t)digits[held >> (bits - width) & mask];
        }
    }
    if (bits > 0) *to++ = (uint8_t)digits[held << (width - bits) & mask];
    memset(to, '=', padding);
    return true;
}

/* Without padding. What is left over must be less than a digit, and zero. */
static bool bits_decode(struct buf *out, struct bytes text, unsigned width, unsigned (*value)(uint8_t)) {
    size_t was = out->n;
    if (text.n > SIZE_MAX / 8) return false;
    uint8_t *to = buf_add_space(out, text.n * width / 8);
    if (to == NULL) return false;
    uint32_t held = 0;
    unsigned bits = 0;
    bool good = text.n * width % 8 < width;
    for (size_t i = 0; good && i < text.n; i++) {
        unsigned digit = value(text.p[i]);
        good = digit != NOT_A_DIGIT;
        held = held << width | digit;
        bits += width;
        if (bits >= 8) {
            bits -= 8;
            *to++ = (uint8_t)(held >> bits);
        }
    }
    good = good && (held & ((1u << bits) - 1)) == 0;
    if (!good) out->n = was;
    return good;
}

static unsigned base32_value(uint8_t c) {
    unsigned digit = (unsigned)c - '2', letter = ((unsigned)c | 0x20) - 'a';
    return digit < 6 ? digit + 26 : letter < 26 && c >= 'A' ? letter : NOT_A_DIGIT;
}

static unsigned base64_value_of(uint8_t c, char c62, char c63) {
    unsigned upper = (unsigned)c - 'A', lower = (unsigned)c - 'a', digit = (unsigned)c - '0';
    if (upper < 26) return upper;
    if (lower < 26) return lower + 26;
    if (digit < 10) return digit + 52;
    return c == (uint8_t)c62 ? 62 : c == (uint8_t)c63 ? 63 : NOT_A_DIGIT;
}

static unsigned base64_value(uint8_t c) {
    return base64_value_of(c, '+', '/');
}

static unsigned base64url_value(uint8_t c) {
    return base64_value_of(c, '-', '_');
}

bool base32_encode(struct buf *out, struct bytes in) {
    return bits_encode(out, in, 5, "abcdefghijklmnopqrstuvwxyz234567", 1);
}

bool base32_decode(struct buf *out, struct bytes text) {
    return bits_decode(out, text, 5, base32_value);
}

bool base64_encode(struct buf *out, struct bytes in, bool url) {
    return bits_encode(out, in, 6,
                       url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                           : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                       url ? 1 : 4);
}

bool base64_decode(struct buf *out, struct bytes text, bool url) {
    if (text.n % 4 == 0 && bytes_ends(text, "=")) text.n -= bytes_ends(text, "==") ? 2 : 1;
    return bits_decode(out, text, 6, url ? base64url_value : base64_value);
}

bool multibase_decode(struct buf *out, struct bytes text) {
    struct bytes rest = bytes_skip(text, 1);
    switch (text.n == 0 ? 0 : text.p[0]) {
    case 'z': return base58_decode(out, rest);
    case 'b': return base32_decode(out, rest);
    case 'k': return base36_decode(out, rest);
    case 'f': return hex_decode(out, rest);
    case 'm': return base64_decode(out, rest, false);
    case 'u': return base64_decode(out, rest, true);
    default: return false;
    }
}
