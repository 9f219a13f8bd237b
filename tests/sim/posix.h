/* tests/sim/posix.h: the system under lib/store/files.c and spool.c, for the simulation: the program is
 * linked with
 * --wrap for each call they make, and what concerns a path below DISK_ROOT, or a descriptor that came of one,
 * goes to the selected disk (disk.h). So the daemon's own objects run, unchanged, over files that a power cut
 * takes parts of. All else goes to the real system. */
#pragma once
#include "tests/sim/disk.h"

/* A descriptor of a file of its own that holds these bytes: what a user hands over. */
int posix_source(struct bytes content);
size_t posix_open_count(void); /* descriptors of ours that are open */
