/* lib/crypto/tls.h: TLS 1.2 as bytes in, bytes out, over BearSSL's engine: server and client, no socket.
 *
 * A connection has four streams: ciphertext in and out, plaintext in and out. The owner feeds what came,
 * takes what is to be sent, and asks for plaintext between; nothing here waits. One connection takes about 37
 * KiB. */
#ifndef SILKTALK_CRYPTO_TLS_H
#define SILKTALK_CRYPTO_TLS_H

#include "base/base.h"
#include "crypto/rng.h"

enum { TLS_CHAIN_MAX = 8 };

/* What a server shows: its certificate chain and private key (RSA or EC; PEM, PKCS#8 or the older forms). */
struct tls_identity;
/* E_INPUT: no certificate, more than TLS_CHAIN_MAX, no key, or a key of a kind that is not known. */
enum err tls_identity_read(struct bytes chain, struct bytes key, struct tls_identity **out, struct why *w);
void tls_identity_free(struct tls_identity *id); /* not before the connections that use it; wipes the key */

/* Whom a client trusts: certificates of authorities. Those that can not be read are left out, as bundles have
 * some; E_INPUT: none is left. */
struct tls_trust;
enum err tls_trust_read(struct bytes bundle, struct tls_trust **out, struct why *w);
/* The same in parts, for a loop that must not stand still (a system's bundle takes some 35 ms): `bundle` is
 * borrowed until the last of them. E_BUSY: `most` certificates were read, and there are more. */
enum err tls_trust_begin(struct bytes bundle, struct tls_trust **out, struct why *w);
enum err tls_trust_more(struct tls_trust *t, size_t most, struct why *w);
void tls_trust_free(struct tls_trust *t); /* not before the connections that use it */
size_t tls_trust_count(const struct tls_trust *t);

struct tls;
/* NULL: out of memory. Both borrow their identity or trust. `host` is the name, or the IP address (no name is
 * told to the server then), that the server's certificate must have; `now` judges its validity. Chains have
 * RSA keys of 2048 bits or more, or ones of NIST's curves, and no signatures by SHA-1. */
struct tls *tls_server(const struct tls_identity *id, struct rng *rng);
struct tls *tls_client(const struct tls_trust *t, const char *host, struct rng *rng, struct wall now);
void tls_free(struct tls *t);

size_t tls_wants(struct tls *t);                     /* ciphertext that it takes now, bytes */
void tls_feed(struct tls *t, struct bytes *cipher);  /* takes from the front what it can */
bool tls_read(struct tls *t, struct buf *plain);     /* appends what has come; false: plain refused it */
size_t tls_write(struct tls *t, struct bytes plain); /* takes what it can, and how much that was */
void tls_finish(struct tls *t);                      /* no more is written: close_notify */
bool tls_take(struct tls *t, struct buf *cipher); /* appends what is to be sent; false: cipher refused it */
bool tls_is_ready(struct tls *t);                 /* the handshake is done */
/* OK: it is open. E_CLOSED: it ended well. E_VERIFY: the certificate is not trusted, not for this name, or
 * expired, or weak. E_REFUSED: the server speaks TLS 1.3 alone, or nothing that both do. E_PROTO: all else.
 */
enum err tls_state(struct tls *t, struct why *w);

#endif
