/* lib/proto/multiaddr.h: libp2p's addresses, `/ip4/10.0.0.1/tcp/4001/p2p/12D3Koo...`, as text and as bytes.
 * Sources: libp2p/specs addressing/README.md; multiformats/multiaddr protocols.csv; protocols.md section 3.
 *
 * Kept as their binary form (struct bytes, or a struct buf). Binary is validated as strictly as text. An address
 * with a code that we do not know can not be walked, but is kept and passed on by whoever holds its bytes. */
#ifndef SILKTALK_PROTO_MULTIADDR_H
#define SILKTALK_PROTO_MULTIADDR_H

#include "base/ip.h"
#include "crypto/key.h"

enum { MULTIADDR_MAX = 512, MULTIADDR_TEXT_MAX = 1600, MULTIADDR_NAME_MAX = 253 };

enum multiaddr_code {
    MA_IP4 = 4, MA_TCP = 6, MA_DCCP = 33, MA_IP6 = 41, MA_IP6ZONE = 42, MA_IPCIDR = 43, MA_DNS = 53, MA_DNS4 = 54,
    MA_DNS6 = 55, MA_DNSADDR = 56, MA_SCTP = 132, MA_UDP = 273, MA_WEBRTC_DIRECT = 280, MA_WEBRTC = 281,
    MA_P2P_CIRCUIT = 290, MA_UDT = 301, MA_UTP = 302, MA_UNIX = 400, MA_P2P = 421, MA_HTTPS = 443, MA_ONION = 444,
    MA_ONION3 = 445, MA_GARLIC64 = 446, MA_GARLIC32 = 447, MA_TLS = 448, MA_SNI = 449, MA_NOISE = 454, MA_QUIC = 460,
    MA_QUIC_V1 = 461, MA_WEBTRANSPORT = 465, MA_CERTHASH = 466, MA_WS = 477, MA_WSS = 478, MA_HTTP = 480,
    MA_HTTP_PATH = 481, MA_MEMORY = 777, MA_PLAINTEXTV2 = 7367777
};
/* Text to bytes, appended to out. E_INPUT with the part that is wrong. */
enum err multiaddr_parse(struct bytes text, struct buf *out, struct why *w);
/* Bytes to text, appended to out; an unknown code ends in `/unknown-CODE/HEX`. False: malformed or out refused. */
bool multiaddr_text(struct bytes addr, struct buf *out);
/* Text in a place of MULTIADDR_TEXT_MAX bytes, for logs: "?" when malformed. Returns out. */
const char *multiaddr_show(struct bytes addr, char *out);
/* Every component known and well-formed, 1 to MULTIADDR_MAX bytes. */
bool multiaddr_valid(struct bytes addr);

struct multiaddr_part {
    uint32_t code;
    struct bytes value; /* without its length prefix */
};
bool multiaddr_next(struct rd *r, struct multiaddr_part *part); /* false: end, or bad/unknown (then r->bad) */

/* What a dialer needs to know of an address. */
struct multiaddr_target {
    enum { TARGET_NONE, TARGET_IP, TARGET_DNS, TARGET_DNS4, TARGET_DNS6, TARGET_DNSADDR } host;
    bool dialable;            /* host + tcp [+ p2p], or dnsaddr [+ p2p]; false: kept, printed, not dialed */
    bool circuit;             /* has a p2p-circuit part */
    struct ip ip;             /* TARGET_IP */
    struct bytes name;        /* the others; borrowed */
    uint16_t port;
    struct peer_id peer;      /* n 0: no /p2p/ part (the last one, if there are several) */
};
struct multiaddr_target multiaddr_target(struct bytes addr);
/* /ip4|ip6/.../tcp/port, appended. */
bool multiaddr_from_endpoint(const struct endpoint *e, struct buf *out);
bool multiaddr_add_peer(struct buf *addr, const struct peer_id *peer);  /* appends /p2p/ID */
struct bytes multiaddr_without_peer(struct bytes addr);                 /* cut before a final /p2p/ part */

#endif
