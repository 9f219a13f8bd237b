/* lib/proto/url.h: http and https addresses, as far as SilkTalk asks servers (RFC 3986; no user, no
 * fragment).
 *
 * What programs read in different ways is refused: numbers that are no whole IPv4 address ("127.1"), user
 * names, blanks, control characters, anything but ASCII. */
#ifndef SILKTALK_PROTO_URL_H
#define SILKTALK_PROTO_URL_H

#include "base/ip.h"

enum { URL_HOST_MAX = 253, URL_TARGET_MAX = 2048, URL_FIELD_MAX = URL_HOST_MAX + 9 };
struct url {
    bool tls, is_ip;
    struct ip ip;                    /* when is_ip */
    char host[URL_HOST_MAX + 1];     /* a name in lower case, or the address; no brackets */
    uint16_t port;                   /* 80 or 443 where it names none */
    char target[URL_TARGET_MAX + 1]; /* path and query; begins with '/' */
};
enum err url_read(struct bytes text, struct url *out, struct why *w); /* E_INPUT */
/* "host", "host:8443", "[::1]:8443": as the Host field has it; the usual port is left out, unless wanted. */
void url_authority(const struct url *u, bool with_port, char out[URL_FIELD_MAX + 1]);
bool url_same_server(const struct url *a, const struct url *b); /* scheme, host and port */

#endif
