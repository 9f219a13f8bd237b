#include "net/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

static bool read_address(const struct ifaddrs *i, struct endpoint *out) {
    *out = (struct endpoint){0};
    if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0) return false;
    if (i->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in a;
        memcpy(&a, i->ifa_addr, sizeof a);
        out->ip = ip_of(4, (const uint8_t *)&a.sin_addr);
        return true;
    }
    if (i->ifa_addr->sa_family != AF_INET6) return false;
    struct sockaddr_in6 a;
    memcpy(&a, i->ifa_addr, sizeof a);
    out->ip = ip_of(6, (const uint8_t *)&a.sin6_addr);
    if (ip_is_link_local(&out->ip)) out->scope = a.sin6_scope_id;
    return true;
}

enum err interfaces_list(struct endpoint *out, size_t max, size_t *n, struct why *w) {
    struct ifaddrs *all = NULL;
    *n = 0;
    if (getifaddrs(&all) != 0) {
        return fail(w, E_IO, "The addresses of this host can not be listed: %s", strerror(errno));
    }
    for (const struct ifaddrs *i = all; i != NULL && *n < max; i = i->ifa_next) {
        struct endpoint e;
        if (!read_address(i, &e)) continue;
        size_t k = 0;
        while (k < *n && !endpoint_eq(&out[k], &e)) k++;
        if (k == *n) out[(*n)++] = e;
    }
    freeifaddrs(all);
    return OK;
}
