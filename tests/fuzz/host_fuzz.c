/* What the kernel says of the host in /proc and /sys/fs/cgroup: a container's may be anybody's. */
#include "loop/host.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[PATH_MAX - 64];

static void put(const char *name, struct bytes text) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
    close(fd);
}

static void make_folder(const char *name) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    mkdir(path, 0700);
}

static void begin(void) {
    if (folder[0] != 0) return;
    fuzz_place("host", folder, sizeof folder);
    MUST(mkdir(folder, 0700) == 0 || errno == EEXIST);
    make_folder("self");
    make_folder("self/fd");
    make_folder("memory");
    make_folder("memory/g");
    make_folder("g");
}

static void check(const struct host_use *u) {
    MUST(u->host_cpu_permille >= -1 && u->host_cpu_permille <= 1000 && u->own_cpu_permille >= -1);
    MUST(u->memory_total == -1 || (u->memory_total > 0 && u->memory_available <= u->memory_total));
    MUST(u->cgroup_limit >= -1 && u->cgroup_used >= -1 && u->resident_bytes >= -1 && u->fds >= -1);
    for (size_t i = 0; i < 3; i++) MUST(u->load_milli[i] >= -1);
    MUST(host_memory_permille(u) >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const names[] = {
        "stat", "meminfo", "loadavg", "self/statm", "self/cgroup", "g/memory.max", "g/memory.current",
        "g/memory.stat", "memory/g/memory.limit_in_bytes", "memory/g/memory.usage_in_bytes",
        "memory/g/memory.stat"};
    struct bytes in = bytes_at(data, n);
    struct host h;
    begin();
    for (size_t i = 0; i < LEN(names); i++) put(names[i], fuzz_part(&in));
    host_open(&h, folder, folder, (struct mono){1000000});
    for (int i = 0; i < 3; i++) {
        put("stat", fuzz_part(&in));
        struct host_use u = host_measure(&h, (struct mono){1000000 + 7000000 * (int64_t)(i + 1)});
        check(&u);
    }
    return 0;
}
