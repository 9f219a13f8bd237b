/* ops/local_health.h: what health needs of this host and of the home's files; for the daemon, and for the
 * command line beside a node that is down. */
#ifndef SILKTALK_OPS_LOCAL_HEALTH_H
#define SILKTALK_OPS_LOCAL_HEALTH_H

#include "node/health.h"
#include "ops/home.h"

enum { CPU_SAMPLES = 13 }; /* one in 5 s: a minute */
struct local_health {      /* what is remembered between two looks; zero it at first */
    struct cpu_sample {
        struct mono at;
        uint64_t busy, all, own_us;
    } cpu[CPU_SAMPLES];
    size_t n_cpu;
    struct file_seen { /* files are read again only when they changed */
        uint64_t inode, size;
        struct wall changed;
        char fault[128];
    } identity, certificate, key;
    struct wall not_after;
};
void local_health_cpu(struct local_health *l, struct mono now); /* takes a sample */
/* Fills f, all but what only a daemon knows. `self`: who the running node is; NULL: none runs. */
void local_health(struct local_health *l, const struct home *h, const struct config *c,
                  const struct peer_id *self, struct health_facts *f);

#endif
