/* lib/net/interfaces.h: this host's addresses, by netlink (no /proc, no /sys). */
#ifndef SILKTALK_NET_INTERFACES_H
#define SILKTALK_NET_INTERFACES_H

#include "base/ip.h"

enum { INTERFACES_MAX = 256 }; /* addresses; more are left out */

/* Addresses of the interfaces that are up, loopback and link-local ones too (these with their scope); port 0.
 * `out` has room for `max`. E_IO: the system did not say. */
enum err interfaces_list(struct endpoint *out, size_t max, size_t *n, struct why *w);

#endif
