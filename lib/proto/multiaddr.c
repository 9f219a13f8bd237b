/* lib/proto/multiaddr.c: multiaddrs as text and bytes. One table row per code; the kind of its value says how
 * that is checked, read and printed. What text gives is checked by the same function as what a peer sends. */
#include "proto/multiaddr.h"

#include "base/text.h"

#include <inttypes.h>

enum kind {
    NOTHING,
    IP4,
    IP6,
    PORT,
    BYTE,
    NUMBER,
    NAME,
    PEER,
    HASH,
    PATH,
    HTTP_PATH,
    ONION,
    ONION3,
    GARLIC64,
    GARLIC32
};
enum {
    VARIES = -1, /* length before the value */
    ONION_HOST = 10,
    ONION3_HOST = 35,
    GARLIC64_MIN = 386,
    GARLIC32_HASH = 32,
    GARLIC32_MIN = 35, /* bytes; I2P destinations */
    MULTIHASH_IDENTITY = 0x00,
    MULTIHASH_SHA256 = 0x12,
    MULTIHASH_DIGEST_MAX = 128,
};
static const struct row {
    uint32_t code;
    const char *name;
    enum kind kind;
} rows[] = {
#define ROW(symbol, code, name, kind) {code, name, kind},
    MULTIADDR_CODES(ROW)};

static int kind_size(enum kind kind) {
    switch (kind) {
    case NOTHING: return 0;
    case IP4: return 4;
    case IP6: return 16;
    case PORT: return 2;
    case BYTE: return 1;
    case NUMBER: return 8;
    case ONION: return ONION_HOST + 2;
    case ONION3: return ONION3_HOST + 2;
    case NAME:
    case PEER:
    case HASH:
    case PATH:
    case HTTP_PATH:
    case GARLIC64:
    case GARLIC32: break;
    }
    return VARIES;
}

static const struct row *row_of_code(uint64_t code) {
    for (size_t i = 0; i < LEN(rows); i++) {
        if (rows[i].code == code) return &rows[i];
    }
    return NULL;
}

static const struct row *row_of_name(struct bytes name) {
    if (bytes_is(name, "ipfs")) return row_of_code(MA_P2P); /* what p2p was called before */
    for (size_t i = 0; i < LEN(rows); i++) {
        if (bytes_is(name, rows[i].name)) return &rows[i];
    }
    return NULL;
}

/* ---- is it a value of that kind? */

/* Printable ASCII only: a name that DNS could answer for has no other, and it is printed as it is. */
static bool name_valid(struct bytes v) {
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] <= ' ' || v.p[i] > '~' || v.p[i] == '/') return false;
    }
    return v.n > 0 && v.n <= MULTIADDR_NAME_MAX;
}

static bool path_valid(struct bytes v) {
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < ' ' || v.p[i] == 0x7f) return false;
    }
    return v.n >= 2 && v.p[0] == '/' && v.p[v.n - 1] != '/' && utf8_valid(v);
}

static bool hash_valid(struct bytes v) {
    struct rd r = rd_of(v);
    uint64_t code = rd_varint(&r), n = rd_varint(&r);
    if (r.bad || code == UINT64_MAX || n > MULTIHASH_DIGEST_MAX || n != r.in.n) return false;
    return code == MULTIHASH_SHA256 ? n == 32 : n > 0 || code == MULTIHASH_IDENTITY;
}

static bool value_valid(enum kind kind, struct bytes v) {
    struct peer_id id;
    switch (kind) {
    case NOTHING:
    case IP4:
    case IP6:
    case PORT:
    case BYTE:
    case NUMBER: return true;
    case NAME: return name_valid(v);
    case PEER: return peer_id_read(v, &id);
    case HASH: return hash_valid(v);
    case PATH: return path_valid(v);
    case HTTP_PATH: return v.n > 0;
    case ONION:
    case ONION3: return get_u16(v.p + v.n - 2) != 0; /* there is no service at port 0 */
    case GARLIC64: return v.n >= GARLIC64_MIN;
    case GARLIC32: return v.n == GARLIC32_HASH || v.n >= GARLIC32_MIN;
    }
    return false;
}

/* Cuts one part off; *row is NULL when its code is not known. False: malformed, and r is bad. */
static bool part_read(struct rd *r, const struct row **row, struct multiaddr_part *part) {
    uint64_t code = rd_varint(r);
    *row = r->bad || code == UINT64_MAX ? NULL : row_of_code(code);
    *part = (struct multiaddr_part){0};
    if (*row == NULL) {
        r->bad = r->bad || code == UINT64_MAX;
        return !r->bad;
    }
    int size = kind_size((*row)->kind);
    part->code = (*row)->code;
    part->value = size == VARIES ? rd_lp(r, MULTIADDR_MAX) : rd_take(r, (uint64_t)size);
    if (r->bad || !value_valid((*row)->kind, part->value)) r->bad = true;
    if ((*row)->kind == PATH && r->in.n > 0) r->bad = true; /* it takes all the rest of a text */
    return !r->bad;
}

bool multiaddr_next(struct rd *r, struct multiaddr_part *part) {
    const struct row *row;
    if (r->bad || r->in.n == 0) return false;
    if (!part_read(r, &row, part)) return false;
    r->bad = row == NULL;
    return !r->bad;
}

bool multiaddr_valid(struct bytes addr) {
    struct rd r = rd_of(addr);
    struct multiaddr_part part;
    size_t parts = 0;
    if (addr.n == 0 || addr.n > MULTIADDR_MAX) return false;
    while (multiaddr_next(&r, &part)) parts++;
    return !r.bad && parts <= MULTIADDR_PARTS_MAX;
}

/* ---- bytes to text */

static bool is_unreserved(uint8_t c) { /* RFC 3986 section 2.3 */
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool percent_encode(struct buf *out, struct bytes v) {
    for (size_t i = 0; i < v.n; i++) {
        bool done = is_unreserved(v.p[i]) ? buf_add_byte(out, v.p[i]) : buf_add_format(out, "%%%02X", v.p[i]);
        if (!done) return false;
    }
    return true;
}

/* I2P's alphabet is that of RFC 4648 section 5 but for its last letter, and padded. */
static bool garlic64_encode(struct buf *out, struct bytes v) {
    size_t from = out->n;
    if (!base64_encode(out, v, true)) return false;
    for (size_t i = from; i < out->n; i++) out->p[i] = out->p[i] == '_' ? '~' : out->p[i];
    while ((out->n - from) % 4 != 0) {
        if (!buf_add_byte(out, '=')) return false;
    }
    return true;
}

static bool onion_text(struct bytes v, struct buf *out) {
    struct bytes host = bytes_sub(v, 0, v.n - 2);
    return base32_encode(out, host) && buf_add_format(out, ":%u", (unsigned)get_u16(v.p + host.n));
}

static bool ip_add(unsigned version, struct bytes v, struct buf *out) {
    struct ip ip = {.version = (uint8_t)version}; /* not ip_of: /ip6/::ffff:1.2.3.4 stays what it is */
    char text[48];
    memcpy(ip.p, v.p, v.n);
    ip_text(&ip, text);
    return buf_add_text(out, text);
}

static bool peer_text(struct bytes v, struct buf *out) {
    struct peer_id id;
    char text[PEER_TEXT_MAX];
    if (!peer_id_read(v, &id)) return false;
    peer_id_text(&id, text);
    return buf_add_text(out, text);
}

static bool value_text(enum kind kind, struct bytes v, struct buf *out) {
    switch (kind) {
    case NOTHING: return true;
    case IP4: return ip_add(4, v, out);
    case IP6: return ip_add(6, v, out);
    case PORT: return buf_add_format(out, "%u", (unsigned)get_u16(v.p));
    case BYTE: return buf_add_format(out, "%u", (unsigned)v.p[0]);
    case NUMBER: return buf_add_format(out, "%" PRIu64, get_u64(v.p));
    case NAME:
    case PATH: return buf_add(out, v);
    case PEER: return peer_text(v, out);
    case HASH: return buf_add_byte(out, 'u') && base64_encode(out, v, true);
    case HTTP_PATH: return percent_encode(out, v);
    case ONION:
    case ONION3: return onion_text(v, out);
    case GARLIC64: return garlic64_encode(out, v);
    case GARLIC32: return base32_encode(out, v);
    }
    return false;
}

static bool part_text(struct rd *r, struct buf *out) {
    struct bytes at = r->in;
    const struct row *row;
    struct multiaddr_part part;
    if (!part_read(r, &row, &part)) return false;
    if (row == NULL) { /* its size is not known, so all that follows may belong to it */
        struct bytes rest = bytes_take(&r->in, r->in.n);
        struct rd again = rd_of(at);
        if (!buf_add_format(out, "/unknown-%" PRIu64, rd_varint(&again))) return false;
        return rest.n == 0 || (buf_add_byte(out, '/') && hex_encode(out, rest));
    }
    if (!buf_add_byte(out, '/') || !buf_add_text(out, row->name)) return false;
    bool slash = row->kind != NOTHING && row->kind != PATH; /* a path has its own */
    if (slash && !buf_add_byte(out, '/')) return false;
    return value_text(row->kind, part.value, out);
}

bool multiaddr_text(struct bytes addr, struct buf *out) {
    struct rd r = rd_of(addr);
    size_t before = out->n, parts = 0;
    if (addr.n == 0 || addr.n > MULTIADDR_MAX) return false;
    while (r.in.n > 0) {
        if (++parts > MULTIADDR_PARTS_MAX || !part_text(&r, out)) {
            out->n = before;
            return false;
        }
    }
    return true;
}

const char *multiaddr_show(struct bytes addr, char *out) {
    struct buf text = {.max = MULTIADDR_TEXT_MAX - 1};
    if (!multiaddr_text(addr, &text) || !bytes_cstr(buf_view(&text), out, MULTIADDR_TEXT_MAX)) {
        bytes_cstr(BYTES("?"), out, MULTIADDR_TEXT_MAX);
    }
    buf_free(&text);
    return out;
}

/* ---- text to bytes */

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A plus sign is itself, as RFC 3986 has it; we never write one, since go-multiaddr reads it as a space. */
static bool percent_decode(struct bytes text, struct buf *out) {
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c <= ' ' || c > '~') return false;
        if (c == '%') {
            int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
            int low = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
            if (high < 0 || low < 0) return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (!buf_add_byte(out, c)) return false;
    }
    return true;
}

static bool garlic64_decode(struct bytes text, struct buf *out) {
    struct buf url = {.max = MULTIADDR_TEXT_MAX};
    bool done = bytes_index(text, '_') == text.n && buf_add(&url, text);
    for (size_t i = 0; i < url.n; i++) url.p[i] = url.p[i] == '~' ? '_' : url.p[i];
    done = done && base64_decode(out, buf_view(&url), true);
    buf_free(&url);
    return done;
}

static bool port_parse(struct bytes text, struct buf *out) {
    uint64_t v;
    return bytes_to_u64(text, UINT16_MAX, &v) && wr_u16(out, (uint16_t)v);
}

static bool onion_parse(struct bytes text, size_t host_size, struct buf *out) {
    size_t colon = bytes_index(text, ':');
    return base32_decode(out, bytes_sub(text, 0, colon)) && out->n == host_size &&
           port_parse(bytes_skip(text, colon + 1), out);
}

static bool ip_parse_as(unsigned version, struct bytes text, struct buf *out) {
    uint8_t p[16];
    struct ip ip;
    if (version == 6) return ip6_parse(text, p) && buf_add(out, bytes_at(p, 16));
    bool dotted = bytes_index(text, ':') == text.n; /* ip_parse makes IPv4 of mapped addresses */
    return dotted && ip_parse(text, &ip) && ip.version == 4 && buf_add(out, bytes_at(ip.p, 4));
}

/* Into an empty buffer. */
static bool value_parse(enum kind kind, struct bytes text, struct buf *out) {
    uint64_t v;
    struct peer_id id;
    switch (kind) {
    case NOTHING: return true;
    case IP4: return ip_parse_as(4, text, out);
    case IP6: return ip_parse_as(6, text, out);
    case PORT: return port_parse(text, out);
    case BYTE: return bytes_to_u64(text, UINT8_MAX, &v) && wr_u8(out, (uint8_t)v);
    case NUMBER: return bytes_to_u64(text, UINT64_MAX, &v) && wr_u64(out, v);
    case NAME:
    case PATH: return buf_add(out, text);
    case PEER: return peer_id_parse(text, &id) && buf_add(out, peer_id_view(&id));
    case HASH: return multibase_decode(out, text);
    case HTTP_PATH: return percent_decode(text, out);
    case ONION: return onion_parse(text, ONION_HOST, out);
    case ONION3: return onion_parse(text, ONION3_HOST, out);
    case GARLIC64: return garlic64_decode(text, out);
    case GARLIC32: return base32_decode(out, text);
    }
    return false;
}

/* A C string to show in a sentence: cut, and without anything that a terminal obeys. Returns out. */
static const char *excerpt(struct bytes text, char out[64]) {
    bytes_cstr(text, out, 64);
    for (size_t i = 0; i < 64 && out[i] != '\0'; i++) {
        if (out[i] < ' ' || out[i] > '~') out[i] = '?';
    }
    return out;
}

/* Cuts one part off *text, which starts with its slash, and appends it. */
static enum err part_parse(struct bytes *text, struct buf *out, struct why *w) {
    char shown[64];
    struct buf value = {.max = MULTIADDR_MAX};
    struct bytes name = bytes_skip(*text, 1), given = {NULL, 0};
    *text = bytes_skip(name, bytes_index(name, '/'));
    name.n -= text->n;
    const struct row *row = row_of_name(name);
    if (row == NULL) return fail(w, E_INPUT, "address: there is no protocol \"%s\"", excerpt(name, shown));
    if (row->kind == PATH) {
        given = bytes_take(text, text->n);
    } else if (row->kind != NOTHING) {
        given = bytes_skip(*text, 1);
        *text = bytes_skip(given, bytes_index(given, '/'));
        given.n -= text->n;
    }
    int size = kind_size(row->kind);
    bool good = value_parse(row->kind, given, &value) && (size == VARIES || value.n == (size_t)size) &&
                value_valid(row->kind, buf_view(&value));
    bool added = good && wr_varint(out, row->code) && (size != VARIES || wr_varint(out, value.n)) &&
                 buf_add(out, buf_view(&value));
    buf_free(&value);
    if (!good) return fail(w, E_INPUT, "address: not for /%s: \"%s\"", row->name, excerpt(given, shown));
    return added ? OK : fail(w, E_LIMIT, "address: no room for it");
}

enum err multiaddr_parse(struct bytes text, struct buf *out, struct why *w) {
    size_t before = out->n;
    char shown[64];
    enum err e = OK;
    while (text.n > 0 && text.p[text.n - 1] == '/') text.n--;
    if (text.n == 0) return fail(w, E_INPUT, "address: it is empty");
    if (text.n >= MULTIADDR_TEXT_MAX) {
        return fail(w, E_INPUT, "address: longer than %d characters", MULTIADDR_TEXT_MAX - 1);
    }
    if (text.p[0] != '/') {
        return fail(w, E_INPUT, "address: \"%s\" does not start with a slash", excerpt(text, shown));
    }
    for (size_t parts = 0; e == OK && text.n > 0; parts++) {
        if (parts == MULTIADDR_PARTS_MAX) {
            e = fail(w, E_INPUT, "address: more than %d parts", MULTIADDR_PARTS_MAX);
            break;
        }
        e = part_parse(&text, out, w);
        if (e == OK && out->n - before > MULTIADDR_MAX) {
            e = fail(w, E_INPUT, "address: longer than %d bytes", MULTIADDR_MAX);
        }
    }
    if (e != OK) out->n = before;
    return e;
}

/* ---- what it means to a dialer */

static void target_host(struct multiaddr_target *t, const struct multiaddr_part *part) {
    switch (part->code) {
    case MA_IP4:
    case MA_IP6:
        t->host = TARGET_IP;
        t->ip = ip_of(part->code == MA_IP4 ? 4 : 6, part->value.p);
        return;
    case MA_DNS: t->host = TARGET_DNS; break;
    case MA_DNS4: t->host = TARGET_DNS4; break;
    case MA_DNS6: t->host = TARGET_DNS6; break;
    case MA_DNSADDR: t->host = TARGET_DNSADDR; break;
    default: return;
    }
    t->name = part->value;
}

struct multiaddr_target multiaddr_target(struct bytes addr) {
    struct multiaddr_target t = {0};
    struct rd r = rd_of(addr);
    struct multiaddr_part part;
    enum { HOST, TRANSPORT, PEER_ID, END, OTHER } next = HOST; /* the part that a dialable address has next */
    if (!multiaddr_valid(addr)) return t;
    while (multiaddr_next(&r, &part)) {
        if (part.code == MA_P2P) peer_id_read(part.value, &t.peer);
        if (part.code == MA_P2P_CIRCUIT) t.circuit = true;
        if (t.host == TARGET_NONE && (next == HOST || part.code == MA_IP6)) target_host(&t, &part);
        if (next == HOST && t.host != TARGET_NONE) {
            next = t.host == TARGET_DNSADDR ? PEER_ID : TRANSPORT;
        } else if (next == TRANSPORT && part.code == MA_TCP) {
            t.port = get_u16(part.value.p);
            next = PEER_ID;
        } else if (next == PEER_ID && part.code == MA_P2P) {
            next = END;
        } else {
            next = OTHER;
        }
    }
    t.tcp = t.dialable = next == PEER_ID || next == END;
    if (t.host != TARGET_DNSADDR && t.port == 0) t.dialable = false;
    if (t.host == TARGET_IP && (ip_is_unspecified(&t.ip) || ip_is_multicast(&t.ip))) t.dialable = false;
    return t;
}

bool multiaddr_from_endpoint(const struct endpoint *e, struct buf *out) {
    size_t before = out->n;
    bool is4 = e->ip.version == 4;
    if (!is4 && e->ip.version != 6) return false;
    if (wr_varint(out, is4 ? MA_IP4 : MA_IP6) && buf_add(out, bytes_at(e->ip.p, is4 ? 4 : 16)) &&
        wr_varint(out, MA_TCP) && wr_u16(out, e->port)) {
        return true;
    }
    out->n = before;
    return false;
}

bool multiaddr_add_peer(struct buf *addr, const struct peer_id *peer) {
    size_t before = addr->n;
    if (peer->n > 0 && wr_varint(addr, MA_P2P) && wr_lp(addr, peer_id_view(peer))) return true;
    addr->n = before;
    return false;
}

struct bytes multiaddr_without_peer(struct bytes addr) {
    struct rd r = rd_of(addr);
    struct multiaddr_part part = {0};
    size_t last = 0; /* where the part that was read last begins */
    while (!r.bad && r.in.n > 0) {
        last = addr.n - r.in.n;
        multiaddr_next(&r, &part);
    }
    return !r.bad && part.code == MA_P2P ? bytes_sub(addr, 0, last) : addr;
}
