/* ops/netcheck.h: is the network there? For `silktalk netcheck`, and item D5 of `silktalk check`. */
#ifndef SILKTALK_OPS_NETCHECK_H
#define SILKTALK_OPS_NETCHECK_H

#include "node/health.h"
#include "ops/cli.h"

enum { NET_ITEMS = 6 };
struct net_item {
    const char *name;
    enum health_status status;
    bool judged; /* false: of a later delivery */
    char finding[200];
    const char *fix;
};
/* Fills NET_ITEMS items; each answers within a few seconds. */
void netcheck_run(struct cli *c, struct net_item out[NET_ITEMS]);

#endif
