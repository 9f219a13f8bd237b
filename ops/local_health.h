/* ops/local_health.h: what health needs of this host and of the home's files; for the daemon, and for the
 * command line beside a node that is down. */
#ifndef SILKTALK_OPS_LOCAL_HEALTH_H
#define SILKTALK_OPS_LOCAL_HEALTH_H

#include "loop/host.h"
#include "node/health.h"
#include "node/store_op.h"
#include "ops/home.h"

struct local_health { /* what is remembered between two looks; zero it at first */
    struct file_seen { /* files are read again only when they changed */
        uint64_t inode, size;
        struct wall changed;
        char fault[128];
    } identity, certificate, key;
    struct wall not_after;
};
/* Fills f, all but what only a daemon knows. `self`: who the running node is; NULL: none runs. `spaces`: the
 * disks as the store's thread has measured them; NULL: they are looked at here, which may take long. */
void local_health(struct local_health *l, const struct home *h, const struct config *c,
                  const struct peer_id *self, const struct host_use *use, const struct space_use *spaces,
                  struct health_facts *f);

#endif
