/* lib/proto/multiaddr.h: libp2p's addresses, `/ip4/10.0.0.1/tcp/4001/p2p/12D3Koo...`, as text and as bytes.
 * Sources: libp2p/specs addressing/README.md; multiformats/multiaddr protocols.csv; protocols.md section 3.
 *
 * Kept as their binary form (struct bytes, or a struct buf). Binary is validated as strictly as text. An
 * address with a code that we do not know can not be walked, but may be kept and passed on as bytes. */
#ifndef SILKTALK_PROTO_MULTIADDR_H
#define SILKTALK_PROTO_MULTIADDR_H

#include "base/ip.h"
#include "crypto/key.h"

enum {
    MULTIADDR_MAX = 512, /* bytes */
    MULTIADDR_PARTS_MAX = 24,
    MULTIADDR_TEXT_MAX = 2048, /* characters and NUL: 512 bytes in 24 parts stay below 1,900 */
    MULTIADDR_NAME_MAX = 253   /* bytes of a DNS name or zone */
};

/* symbol, code, name, kind of value (multiaddr.c); what is not dialed is still read, printed and handed on */
#define MULTIADDR_CODES(X)                                                                                   \
    X(MA_IP4, 4, "ip4", IP4)                                                                                 \
    X(MA_TCP, 6, "tcp", PORT)                                                                                \
    X(MA_DCCP, 33, "dccp", PORT)                                                                             \
    X(MA_IP6, 41, "ip6", IP6)                                                                                \
    X(MA_IP6ZONE, 42, "ip6zone", NAME)                                                                       \
    X(MA_IPCIDR, 43, "ipcidr", BYTE)                                                                         \
    X(MA_DNS, 53, "dns", NAME)                                                                               \
    X(MA_DNS4, 54, "dns4", NAME)                                                                             \
    X(MA_DNS6, 55, "dns6", NAME)                                                                             \
    X(MA_DNSADDR, 56, "dnsaddr", NAME)                                                                       \
    X(MA_SCTP, 132, "sctp", PORT)                                                                            \
    X(MA_UDP, 273, "udp", PORT)                                                                              \
    X(MA_P2P_WEBRTC_DIRECT, 276, "p2p-webrtc-direct", NOTHING)                                               \
    X(MA_WEBRTC_DIRECT, 280, "webrtc-direct", NOTHING)                                                       \
    X(MA_WEBRTC, 281, "webrtc", NOTHING)                                                                     \
    X(MA_P2P_CIRCUIT, 290, "p2p-circuit", NOTHING)                                                           \
    X(MA_UDT, 301, "udt", NOTHING)                                                                           \
    X(MA_UTP, 302, "utp", NOTHING)                                                                           \
    X(MA_UNIX, 400, "unix", PATH)                                                                            \
    X(MA_P2P, 421, "p2p", PEER)                                                                              \
    X(MA_HTTPS, 443, "https", NOTHING)                                                                       \
    X(MA_ONION, 444, "onion", ONION)                                                                         \
    X(MA_ONION3, 445, "onion3", ONION3)                                                                      \
    X(MA_GARLIC64, 446, "garlic64", GARLIC64)                                                                \
    X(MA_GARLIC32, 447, "garlic32", GARLIC32)                                                                \
    X(MA_TLS, 448, "tls", NOTHING)                                                                           \
    X(MA_SNI, 449, "sni", NAME)                                                                              \
    X(MA_NOISE, 454, "noise", NOTHING)                                                                       \
    X(MA_QUIC, 460, "quic", NOTHING)                                                                         \
    X(MA_QUIC_V1, 461, "quic-v1", NOTHING)                                                                   \
    X(MA_WEBTRANSPORT, 465, "webtransport", NOTHING)                                                         \
    X(MA_CERTHASH, 466, "certhash", HASH)                                                                    \
    X(MA_WS, 477, "ws", NOTHING)                                                                             \
    X(MA_WSS, 478, "wss", NOTHING)                                                                           \
    X(MA_HTTP, 480, "http", NOTHING)                                                                         \
    X(MA_HTTP_PATH, 481, "http-path", HTTP_PATH)                                                             \
    X(MA_MEMORY, 777, "memory", NUMBER)                                                                      \
    X(MA_PLAINTEXTV2, 7367777, "plaintextv2", NOTHING)
#define MULTIADDR_CODE_SYMBOL(symbol, code, name, kind) symbol = code,
enum multiaddr_code { MULTIADDR_CODES(MULTIADDR_CODE_SYMBOL) MA_UNKNOWN = 0 };
/* Text to bytes, appended to out (after an error: as it was). E_INPUT with the part that is wrong; E_LIMIT:
 * out refused. */
enum err multiaddr_parse(struct bytes text, struct buf *out, struct why *w);
/* Bytes to text, appended to out; an unknown code ends in `/unknown-CODE/HEX`. False: empty, malformed, or
 * refused by out (then as it was). The text is printable ASCII, but for a unix path: any
 * UTF-8 without control characters. */
bool multiaddr_text(struct bytes addr, struct buf *out);
/* Text in a place of MULTIADDR_TEXT_MAX bytes, for logs: "?" when malformed. Returns out. */
const char *multiaddr_show(struct bytes addr, char *out);
/* Every part known and well-formed, 1 to MULTIADDR_MAX bytes, at most MULTIADDR_PARTS_MAX parts. */
bool multiaddr_valid(struct bytes addr);

struct multiaddr_part {
    uint32_t code;
    struct bytes value; /* without its length prefix */
};
bool multiaddr_next(struct rd *r, struct multiaddr_part *part); /* false: end, or bad/unknown (then r->bad) */

/* What a dialer needs to know of an address. */
struct multiaddr_target {
    enum { TARGET_NONE, TARGET_IP, TARGET_DNS, TARGET_DNS4, TARGET_DNS6, TARGET_DNSADDR } host;
    bool dialable; /* host + tcp [+ p2p], or dnsaddr [+ p2p]; not port 0, nor an unspecified or
                    * multicast host, nor one with a zone; false: kept, printed, not dialed */
    bool tcp;      /* of that form, even when it can not be dialed: 0.0.0.0 and port 0 can be listened at */
    bool circuit;  /* has a p2p-circuit part */
    struct ip ip;  /* TARGET_IP */
    struct bytes name; /* the others; borrowed */
    uint16_t port;
    struct peer_id peer; /* n 0: no /p2p/ part (the last one, if there are several) */
};
struct multiaddr_target multiaddr_target(struct bytes addr); /* all zero, unless multiaddr_valid */
/* /ip4|ip6/.../tcp/port, appended (without scope); false, out as it was: no IP, or out refused. */
bool multiaddr_from_endpoint(const struct endpoint *e, struct buf *out);
bool multiaddr_add_peer(struct buf *addr, const struct peer_id *peer); /* appends /p2p/ID */
struct bytes multiaddr_without_peer(struct bytes addr);                /* cut before a final /p2p/ part */

#endif
