/* lib/net/hosts.h: names that need no server: "localhost" (RFC 6761) and the hosts file, hosts(5). */
#ifndef SILKTALK_NET_HOSTS_H
#define SILKTALK_NET_HOSTS_H

#include "base/ip.h"

enum {
    HOSTS_BYTES_MAX = 1 << 20, /* of the file; what is behind is not looked at */
    HOSTS_LINE_MAX = 1024,     /* longer lines are skipped */
};
enum { HOSTS_IP4 = 1, HOSTS_IP6 = 2 };

/* The addresses of `name` (a dot at its end and the case don't matter) of the wanted families, at most `max`,
 * in the file's order. 0: none; a missing file is an empty one. */
size_t hosts_find(const char *path, struct bytes name, unsigned families, struct ip *out, size_t max);

#endif
