#include "base/mem.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/key.h"

#include <sodium.h>

enum { PSK = 32, FILE_MAX = 1024 };
#define FIRST_LINE "/key/swarm/psk/1.0.0/"

/* Cuts one line, ended by LF, CRLF or the end, off the front. */
static struct bytes line(struct bytes *rest) {
    size_t n = bytes_index(*rest, '\n');
    struct bytes l = bytes_take(rest, n);
    bytes_take(rest, 1);
    if (l.n > 0 && l.p[l.n - 1] == '\r') l.n--;
    return l;
}
static bool decode(struct bytes encoding, struct bytes rest, struct buf *key) {
    if (bytes_is(encoding, "/base16/")) return hex_decode(key, bytes_trim(rest));
    if (bytes_is(encoding, "/base64/")) return base64_decode(key, bytes_trim(rest), false);
    /* raw bytes may be blanks too, so only one line end behind the 32 is taken off */
    struct bytes after = bytes_skip(rest, PSK);
    return (after.n == 0 || bytes_is(after, "\n") || bytes_is(after, "\r\n")) &&
           buf_add(key, bytes_sub(rest, 0, PSK));
}
enum err swarm_key_read(struct bytes file, uint8_t key[32], struct why *w) {
    if (file.n > FILE_MAX) return fail(w, E_INPUT, "%zu bytes are too many for a swarm key", file.n);
    struct bytes rest = file;
    if (!bytes_is(line(&rest), FIRST_LINE))
        return fail(w, E_INPUT, "a swarm key begins with the line %s", FIRST_LINE);
    struct bytes encoding = line(&rest);
    if (!bytes_is(encoding, "/base16/") && !bytes_is(encoding, "/base64/") && !bytes_is(encoding, "/bin/"))
        return fail(w, E_INPUT, "the second line of a swarm key is /base16/, /base64/ or /bin/");
    struct buf raw = {.max = FILE_MAX};
    bool good = decode(encoding, rest, &raw) && raw.n == PSK;
    if (good) memcpy(key, raw.p, PSK);
    buf_wipe(&raw);
    return good ? OK : fail(w, E_INPUT, "the third line of a swarm key is not 32 bytes so encoded");
}
bool swarm_key_write(const uint8_t key[32], struct buf *out) {
    size_t before = out->n;
    if (buf_add_text(out, FIRST_LINE "\n/base16/\n") && hex_encode(out, bytes_at(key, PSK)) &&
        buf_add_byte(out, '\n'))
        return true;
    out->n = before;
    return false;
}
void swarm_key_fingerprint(const uint8_t key[32], uint8_t out[16]) {
    uint8_t stream[64];
    crypto_stream_salsa20(stream, sizeof stream, (const uint8_t *)"finprint", key);
    hash_shake128(bytes_at(stream, sizeof stream), out, 16);
    mem_wipe(stream, sizeof stream);
}
