/* lib/base/ip.c: IP addresses, endpoints and CIDR blocks as values. Text: RFC 4291 section 2.2 in, RFC 5952
 * out. Our own reading, not inet_pton: C libraries differ in what they let through ("010.0.0.1"). */
#include "base/ip.h"

#include <stdio.h>

enum { IP6_GROUPS = 8, IP4_BITS = 32, IP6_BITS = 128, MAPPED_BITS = 96 };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static size_t ip_size(const struct ip *ip) {
    return ip->version == 4 ? 4 : ip->version == 6 ? 16 : 0;
}

static bool is_mapped(const uint8_t p[16]) {
    return memcmp(p, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* ---- text to bytes */

static bool ip4_parse(struct bytes text, uint8_t out[4]) {
    for (size_t i = 0; i < 4; i++) {
        uint64_t v;
        size_t n = bytes_index(text, '.');
        struct bytes part = bytes_take(&text, n);
        if (part.n > 3 || (part.n > 1 && part.p[0] == '0') || !bytes_to_u64(part, 255, &v)) return false;
        out[i] = (uint8_t)v;
        if (i < 3 && text.n == 0) return false; /* no dot follows */
        if (i < 3) text = bytes_skip(text, 1);
    }
    return text.n == 0;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool group_parse(struct bytes part, uint8_t out[2]) {
    unsigned v = 0;
    if (part.n == 0 || part.n > 4) return false;
    for (size_t i = 0; i < part.n; i++) {
        int digit = hex_digit(part.p[i]);
        if (digit < 0) return false;
        v = v << 4 | (unsigned)digit;
    }
    put_u16(out, (uint16_t)v);
    return true;
}

/* Groups between colons, the last of them dotted if it may be: how many bytes they are, or -1. */
static int groups_parse(struct bytes text, bool dotted, uint8_t out[16]) {
    size_t n = 0;
    if (text.n == 0) return 0;
    for (;;) {
        struct bytes part = bytes_take(&text, bytes_index(text, ':'));
        if (dotted && text.n == 0 && bytes_index(part, '.') < part.n) {
            return n <= 12 && ip4_parse(part, out + n) ? (int)n + 4 : -1;
        }
        if (n > 14 || !group_parse(part, out + n)) return -1;
        n += 2;
        if (text.n == 0) return (int)n;
        text = bytes_skip(text, 1); /* a colon at the very end leaves an empty group, which is refused */
        if (text.n == 0) return -1;
    }
}

bool ip6_parse(struct bytes text, uint8_t out[16]) {
    uint8_t head[16] = {0}, tail[16] = {0};
    size_t gap = 0;
    while (gap + 1 < text.n && !(text.p[gap] == ':' && text.p[gap + 1] == ':')) gap++;
    if (gap + 1 >= text.n) {
        if (groups_parse(text, true, head) != 16) return false;
        memcpy(out, head, 16);
        return true;
    }
    int n_head = groups_parse(bytes_sub(text, 0, gap), false, head);
    int n_tail = groups_parse(bytes_skip(text, gap + 2), true, tail);
    if (n_head < 0 || n_tail < 0 || n_head + n_tail > 14) return false; /* "::" stands for a group at least */
    memset(out, 0, 16);
    memcpy(out, head, (size_t)n_head);
    memcpy(out + 16 - n_tail, tail, (size_t)n_tail);
    return true;
}

struct ip ip_of(unsigned version, const uint8_t *p) {
    struct ip ip = {0};
    if (version == 6 && is_mapped(p)) {
        version = 4;
        p += sizeof(mapped_prefix);
    }
    if (version != 4 && version != 6) return ip;
    ip.version = (uint8_t)version;
    memcpy(ip.p, p, ip_size(&ip));
    return ip;
}

bool ip_parse(struct bytes text, struct ip *out) {
    uint8_t p[16];
    if (ip4_parse(text, p)) {
        *out = ip_of(4, p);
        return true;
    }
    if (!ip6_parse(text, p)) return false;
    *out = ip_of(6, p);
    return true;
}

/* ---- bytes to text */

/* The longest run of at least two zero groups, the first of equals: *n from *start on. */
static void zero_run(const uint8_t p[16], size_t *start, size_t *n) {
    *start = *n = 0;
    for (size_t i = 0; i < IP6_GROUPS; i++) {
        size_t end = i;
        while (end < IP6_GROUPS && get_u16(p + 2 * end) == 0) end++;
        if (end - i >= 2 && end - i > *n) {
            *start = i;
            *n = end - i;
        }
    }
}

static void ip6_text(const uint8_t p[16], char out[48]) {
    size_t start, n, at = 0;
    zero_run(p, &start, &n);
    for (size_t i = 0; i < IP6_GROUPS; i++) {
        if (n > 0 && i == start) {
            at += (size_t)snprintf(out + at, 48 - at, "::");
            i += n - 1;
            continue;
        }
        const char *colon = i == 0 || (n > 0 && i == start + n) ? "" : ":";
        at += (size_t)snprintf(out + at, 48 - at, "%s%x", colon, (unsigned)get_u16(p + 2 * i));
    }
}

void ip_text(const struct ip *ip, char out[48]) {
    const uint8_t *p = ip->p;
    out[0] = '\0';
    if (ip->version == 4) {
        snprintf(out, 48, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
    } else if (ip->version == 6 && is_mapped(p)) {
        snprintf(out, 48, "::ffff:%u.%u.%u.%u", p[12], p[13], p[14], p[15]);
    } else if (ip->version == 6) {
        ip6_text(p, out);
    }
}

bool ip_eq(const struct ip *a, const struct ip *b) {
    return a->version == b->version && memcmp(a->p, b->p, ip_size(a)) == 0;
}

/* ---- kinds of addresses */

static bool bits_eq(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0) return false;
    return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool cidr_has(const struct cidr *c, const struct ip *ip) {
    return c->base.version != 0 && c->base.version == ip->version && bits_eq(c->base.p, ip->p, c->bits);
}

static bool in_any(const struct cidr *blocks, size_t n, const struct ip *ip) {
    for (size_t i = 0; i < n; i++) {
        if (cidr_has(&blocks[i], ip)) return true;
    }
    return false;
}

static const struct cidr unspecified[] = {{{4, {0}}, 32}, {{6, {0}}, 128}};
static const struct cidr loopback[] = {{{4, {127}}, 8}, {{6, {[15] = 1}}, 128}};
static const struct cidr link_local[] = {{{4, {169, 254}}, 16}, {{6, {0xfe, 0x80}}, 10}};
static const struct cidr multicast[] = {{{4, {224}}, 4}, {{6, {0xff}}, 8}};
static const struct cidr private_use[] = {
    {{4, {10}}, 8},       {{4, {172, 16}}, 12}, {{4, {192, 168}}, 16}, /* RFC 1918 */
    {{4, {100, 64}}, 10},                                              /* RFC 6598, shared address space */
    {{6, {0xfc}}, 7},                                                  /* RFC 4193, unique local */
};

bool ip_is_unspecified(const struct ip *ip) {
    return in_any(unspecified, LEN(unspecified), ip);
}

bool ip_is_loopback(const struct ip *ip) {
    return in_any(loopback, LEN(loopback), ip);
}

bool ip_is_link_local(const struct ip *ip) {
    return in_any(link_local, LEN(link_local), ip);
}

bool ip_is_multicast(const struct ip *ip) {
    return in_any(multicast, LEN(multicast), ip);
}

bool ip_is_private(const struct ip *ip) {
    return in_any(private_use, LEN(private_use), ip) || ip_is_loopback(ip) || ip_is_link_local(ip);
}

/* ---- blocks */

/* Zeroes what is behind the first `bits`. */
static void mask(struct ip *ip, unsigned bits) {
    for (unsigned i = 0; i < sizeof(ip->p); i++) {
        unsigned kept = bits > 8 * i ? MIN(bits - 8 * i, 8U) : 0;
        ip->p[i] = (uint8_t)(ip->p[i] & (0xff00U >> kept));
    }
}

struct cidr ip_group(const struct ip *ip) {
    struct cidr c = {*ip, ip->version == 4 ? IP4_BITS : ip->version == 6 ? 64 : 0};
    mask(&c.base, c.bits);
    return c;
}

bool cidr_parse(struct bytes text, struct cidr *out) {
    size_t slash = bytes_index(text, '/');
    struct bytes host = bytes_sub(text, 0, slash), length = bytes_skip(text, slash + 1);
    struct cidr c = {0};
    uint8_t p[16];
    uint64_t bits;
    if (!ip_parse(host, &c.base)) return false;
    bool mapped = c.base.version == 4 && ip6_parse(host, p);
    uint64_t least = mapped ? MAPPED_BITS : 0;
    uint64_t most = c.base.version == 4 && !mapped ? IP4_BITS : IP6_BITS;
    if (slash == text.n) {
        bits = most;
    } else if (length.n > 3 || (length.n > 1 && length.p[0] == '0') || !bytes_to_u64(length, most, &bits)) {
        return false;
    }
    if (bits < least) return false; /* cuts into ::ffff: itself, so bits behind the mask are set */
    c.bits = (uint8_t)(bits - least);
    struct ip masked = c.base;
    mask(&masked, c.bits);
    if (!ip_eq(&masked, &c.base)) return false;
    *out = c;
    return true;
}

void cidr_text(const struct cidr *c, char out[52]) {
    char host[48];
    ip_text(&c->base, host);
    snprintf(out, 52, "%s/%u", host, c->bits);
}

/* ---- endpoints */

void endpoint_text(const struct endpoint *e, char out[72]) {
    char host[48];
    ip_text(&e->ip, host);
    if (e->ip.version != 6) {
        snprintf(out, 72, "%s:%u", host, e->port);
    } else if (e->scope == 0) {
        snprintf(out, 72, "[%s]:%u", host, e->port);
    } else {
        snprintf(out, 72, "[%s%%%u]:%u", host, (unsigned)e->scope, e->port);
    }
}

bool endpoint_eq(const struct endpoint *a, const struct endpoint *b) {
    return ip_eq(&a->ip, &b->ip) && a->port == b->port && a->scope == b->scope;
}
