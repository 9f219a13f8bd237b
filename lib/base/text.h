/* lib/base/text.h: text forms of bytes and numbers, for people, files and multibase. */
#ifndef SILKTALK_BASE_TEXT_H
#define SILKTALK_BASE_TEXT_H

#include "base/base.h"

/* Each encoder appends to `out` (false: out refused). Each decoder appends the bytes to `out` and returns
 * false, leaving out as it was, for any character, length or padding that the encoder would not have written.
 */
bool hex_encode(struct buf *out, struct bytes in);      /* lower case */
bool hex_decode(struct buf *out, struct bytes text);    /* either case, even length */
bool base58_encode(struct buf *out, struct bytes in);   /* base58btc; quadratic: at most 256 bytes in */
bool base58_decode(struct buf *out, struct bytes text); /* at most 400 characters */
bool base32_encode(struct buf *out, struct bytes in);   /* RFC 4648 lower case, unpadded */
bool base32_decode(struct buf *out, struct bytes text); /* lower or upper case, unpadded, zero tail bits */
bool base36_decode(struct buf *out, struct bytes text); /* lower case; at most 400 characters */
bool base64_encode(struct buf *out, struct bytes in,
                   bool url); /* url: RFC 4648 section 5, unpadded; else padded */
bool base64_decode(struct buf *out, struct bytes text, bool url); /* padding optional */
/* Multibase text (z b k f m u): the first character names the base. */
bool multibase_decode(struct buf *out, struct bytes text);

bool utf8_valid(struct bytes text); /* RFC 3629: no surrogates, no overlong forms */
/* Bytes of the well-formed character that text begins with, and its code point; 0: there is none. */
size_t utf8_read(struct bytes text, uint32_t *code);
/* What a terminal or a log might obey: C0, DEL, C1, line separators, marks that change the direction. */
bool utf8_control(uint32_t code);
/* Appends text so that a terminal or log shows it and obeys none of it: control characters (C0, DEL, C1,
 * bidirectional overrides), invalid UTF-8 and backslash become \xNN; `newlines` lets \n and \t through. */
bool text_escape(struct buf *out, struct bytes text, bool newlines);
size_t text_width(struct bytes text); /* columns: code points, wide ones (CJK, emoji) count 2 */
size_t text_fit(struct bytes text, size_t columns); /* bytes of the longest beginning that is not wider */
/* Edit distance (insert, delete, replace, swap), capped at 64 characters; for "did you mean". */
size_t text_distance(const char *a, const char *b);

/* "90s 15m 24h 7d 250ms"; several parts may follow each other ("1h30m"); a bare number has `bare_unit_ms`
 * (0: not allowed). Overflow, sign or an unknown unit: false. */
bool duration_parse(struct bytes text, int64_t bare_unit_ms, int64_t *out_ms);
bool size_parse(struct bytes text, uint64_t *out_bytes); /* "64 KiB", "1MiB", "3", B KiB MiB GiB TiB */
void duration_text(int64_t ms, char out[32]);            /* short: "2m14s", "3d4h", "31ms" */
void duration_config(int64_t ms, char out[32]);          /* exact, one unit: "90s", "7d" */
void size_text(uint64_t bytes, char out[32]);            /* "14.2 MiB" */
void size_config(uint64_t bytes, char out[32]);          /* exact: "64MiB", "1000B", "0" */
/* The words of a program's line, each with a NUL behind it, are appended to `out`, *n counts them: blanks
 * separate, '...' and "..." group, nothing else is special. False: an open quote, NUL, or no room. */
bool text_words(struct bytes line, struct buf *out, size_t *n);

#endif
