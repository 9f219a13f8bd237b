/* lib/base/ip.h: IP addresses, endpoints and CIDR blocks as values; no sockets. */
#ifndef SILKTALK_BASE_IP_H
#define SILKTALK_BASE_IP_H

#include "base/base.h"

struct ip { /* version 4 uses p[0..3]; 0: none. An IPv4-mapped IPv6 address is stored as IPv4 */
    uint8_t version, p[16];
};
struct endpoint {
    struct ip ip;
    uint16_t port;
    uint32_t scope; /* IPv6 zone index of a link-local address, 0: none */
};
struct cidr {
    struct ip base;
    uint8_t bits; /* 0 to 32, or 128 */
};
bool ip_parse(struct bytes text, struct ip *out);   /* "10.0.0.1", "2001:db8::1"; no zone */
bool ip6_parse(struct bytes text, uint8_t out[16]); /* IPv6 only, and nothing is mapped to IPv4 */
void ip_text(const struct ip *ip, char out[48]);    /* RFC 5952 */
bool ip_eq(const struct ip *a, const struct ip *b);
struct ip ip_of(unsigned version, const uint8_t *p); /* maps ::ffff:a.b.c.d to version 4 */
bool ip_is_unspecified(const struct ip *ip);
bool ip_is_loopback(const struct ip *ip);
bool ip_is_link_local(const struct ip *ip);
bool ip_is_private(const struct ip *ip); /* RFC 1918, 6598, 4193, loopback, link-local */
bool ip_is_multicast(const struct ip *ip);
/* The block that per-address limits count: an IPv4 address, an IPv6 /64 (operations.md S3). */
struct cidr ip_group(const struct ip *ip);
/* "10.0.0.0/8", "2001:db8::/32", or one address; bits behind the mask must be zero. */
bool cidr_parse(struct bytes text, struct cidr *out);
void cidr_text(const struct cidr *c, char out[52]);
bool cidr_has(const struct cidr *c, const struct ip *ip);
void endpoint_text(const struct endpoint *e, char out[72]); /* "10.0.0.1:4001", "[fe80::1%2]:4001" */
bool endpoint_eq(const struct endpoint *a, const struct endpoint *b);

#endif
