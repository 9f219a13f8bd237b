#include "crypto/hash.h"
#include "crypto/key.h"

#include "base/text.h"

enum { MULTIHASH_IDENTITY = 0x00, MULTIHASH_SHA256 = 0x12, CODEC_LIBP2P_KEY = 0x72, CID_VERSION = 1 };
enum {
    INLINE_MAX = 42,  /* bytes of an encoded key that is its own hash */
    TEXT_IN_MAX = 128 /* characters; a base16 CID of the longest id has 93 */
};

static bool hold(struct bytes binary, struct peer_id *out) {
    if (binary.n > PEER_ID_MAX) return false;
    *out = (struct peer_id){.n = (uint8_t)binary.n};
    memcpy(out->p, binary.p, binary.n);
    return true;
}
/* `08 type 12 length data` for the types whose fields fit in one byte each. */
static bool is_canonical(const struct public_key *key) {
    const uint8_t head[] = {0x08, (uint8_t)key->type, 0x12, (uint8_t)key->data.n};
    return key->encoded.n == sizeof head + key->data.n && key->data.n < 0x80 &&
           bytes_eq(bytes_sub(key->encoded, 0, sizeof head), bytes_at(head, sizeof head));
}
bool peer_id_read(struct bytes binary, struct peer_id *out) {
    struct rd r = rd_of(binary);
    uint64_t code = rd_varint(&r);
    struct bytes digest = rd_lp(&r, INLINE_MAX);
    struct public_key key;
    if (r.bad || r.in.n != 0) return false;
    if (code == MULTIHASH_SHA256) return digest.n == SHA256_SIZE && hold(binary, out);
    return code == MULTIHASH_IDENTITY && public_key_read(digest, &key, NULL) == OK && is_canonical(&key) &&
           hold(binary, out);
}
static bool read_cid(struct bytes binary, struct peer_id *out) {
    struct rd r = rd_of(binary);
    bool ours = rd_varint(&r) == CID_VERSION && rd_varint(&r) == CODEC_LIBP2P_KEY;
    return ours && !r.bad && peer_id_read(r.in, out);
}
bool peer_id_parse(struct bytes text, struct peer_id *out) {
    if (text.n == 0 || text.n > TEXT_IN_MAX) return false;
    uint8_t space[TEXT_IN_MAX]; /* no heap: an id that can not be read for want of memory would look wrong */
    struct buf binary = {space, 0, sizeof space, sizeof space};
    bool good = bytes_starts(text, "1") || bytes_starts(text, "Qm")
                    ? base58_decode(&binary, text) && peer_id_read(buf_view(&binary), out)
                    : multibase_decode(&binary, text) && read_cid(buf_view(&binary), out);
    return good;
}
void peer_id_text(const struct peer_id *id, char out[PEER_TEXT_MAX]) {
    uint8_t space[PEER_TEXT_MAX];
    struct buf text = {space, 0, sizeof space, sizeof space};
    out[0] = '\0';
    if (id->n > 0 && base58_encode(&text, peer_id_view(id))) bytes_cstr(buf_view(&text), out, PEER_TEXT_MAX);
}
void public_key_peer_id(const struct public_key *key, struct peer_id *out) {
    /* The canonical encoding in two parts: the peer's own may be in another order, or have unknown fields. */
    uint8_t head[8] = {0x08, (uint8_t)key->type, 0x12};
    size_t n = 3;
    for (size_t rest = key->data.n;; rest >>= 7) {
        head[n++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        if (rest <= 0x7f) break;
    }
    *out = (struct peer_id){.n = 0};
    if (n + key->data.n <= INLINE_MAX) {
        /* a key of 42 bytes would need 44 here: no supported type has between 38 and 42 */
        if (2 + n + key->data.n > PEER_ID_MAX) return;
        out->p[1] = (uint8_t)(n + key->data.n);
        memcpy(out->p + 2, head, n);
        memcpy(out->p + 2 + n, key->data.p, key->data.n);
        out->n = (uint8_t)(2 + n + key->data.n);
        return;
    }
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, bytes_at(head, n));
    sha256_add(&s, key->data);
    out->p[0] = MULTIHASH_SHA256;
    out->p[1] = SHA256_SIZE;
    sha256_end(&s, out->p + 2);
    out->n = 2 + SHA256_SIZE;
}
