/* lib/loop/host.h: what this host and this process use, read from /proc and the control group: processor over
 * the last minute, memory, load, descriptors. What cannot be read (no /proc, no control group) is -1.
 *
 * Reads some small files of the kernel, which never wait for a disk. How full disks are is store/space.h, on
 * the store's thread: a file system over a network may hang. */
#ifndef SILKTALK_LOOP_HOST_H
#define SILKTALK_LOOP_HOST_H

#include "base/base.h"

enum {
    HOST_WINDOW_MS = 60000, /* processor use is of so long */
    HOST_STEP_MS = 5000,    /* between two readings that are kept */
    HOST_SAMPLES = HOST_WINDOW_MS / HOST_STEP_MS + 2,
    HOST_LEAST_MS = 200 /* less says nothing about processor use */
};
struct host {
    char proc[128], cgroup[128]; /* folders */
    struct host_sample {
        struct mono at;
        int64_t own_us, busy, total; /* busy, total: clock ticks of all processors; -1 */
    } kept[HOST_SAMPLES];            /* oldest first */
    size_t n;
};
struct host_use {
    int64_t own_cpu_permille;               /* this process, of one core: may be over 1000 */
    int64_t host_cpu_permille;              /* of all cores */
    int64_t cpu_window_ms;                  /* they are of so long: less at first; 0: not known yet */
    int64_t own_cpu_us;                     /* since the process began */
    int64_t memory_total, memory_available; /* bytes, of the host */
    int64_t cgroup_limit, cgroup_used; /* bytes; of the group (or one above) that is nearest to its limit; the
                                        * file cache that can go at once is not counted. -1: no limit */
    int64_t load_milli[3];             /* 1, 5, 15 minutes */
    int64_t resident_bytes, fds, fds_max; /* of this process */
};
/* proc, cgroup: folders to read, NULL: /proc and /sys/fs/cgroup. Takes the first reading. */
void host_open(struct host *h, const char *proc, const char *cgroup, struct mono now);
/* A reading now. Times that are nearer than HOST_LEAST_MS to the first reading have no processor use yet. */
struct host_use host_measure(struct host *h, struct mono now);
/* The larger of host and control group, in thousandths; -1: neither is known. */
int64_t host_memory_permille(const struct host_use *u);

#endif
