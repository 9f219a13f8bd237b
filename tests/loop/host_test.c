/* What host and process use, from folders that look like the kernel's, and from the kernel. */
#include "loop/host.h"

#include "loop/clocks.h"
#include "tests/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const char *root, const char *name, const char *text) {
    char path[512], *slash;
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (slash = strchr(path + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
}

static struct mono at_ms(int64_t ms) {
    return (struct mono){1000000 + ms * 1000};
}

TEST(host_without_proc_everything_is_unknown) {
    struct host h;
    char none[512];
    snprintf(none, sizeof none, "%s/none", test_dir());
    host_open(&h, none, none, at_ms(0));
    struct host_use u = host_measure(&h, at_ms(10000));
    CHECK(u.host_cpu_permille == -1 && u.memory_total == -1 && u.memory_available == -1);
    CHECK(u.cgroup_limit == -1 && u.cgroup_used == -1 && u.load_milli[0] == -1 && u.load_milli[2] == -1);
    CHECK(u.resident_bytes == -1 && u.fds == -1);
    CHECK(u.own_cpu_permille >= 0 && u.own_cpu_us > 0 && u.fds_max > 0); /* system calls tell these */
    CHECK(host_memory_permille(&u) == -1);
}

TEST(host_processor_is_of_the_last_minute) {
    struct host h;
    const char *dir = test_dir();
    put(dir, "stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3 4\n");
    host_open(&h, dir, dir, at_ms(0));
    struct host_use u = host_measure(&h, at_ms(HOST_LEAST_MS - 1));
    CHECK(u.host_cpu_permille == -1 && u.own_cpu_permille == -1);
    put(dir, "stat", "cpu  140 5 110 1640 5 0 0 0 0 0\n"); /* 55 of 900 */
    u = host_measure(&h, at_ms(10000));
    CHECK(u.cpu_window_ms == 10000);
    CHECK(u.host_cpu_permille == 61, "%lld", (long long)u.host_cpu_permille);
    /* Idle for long, then busy for a minute: what was before does not count. */
    int64_t idle = 1640;
    char line[128];
    for (int i = 2; i <= 20; i++) {
        idle += 1000;
        snprintf(line, sizeof line, "cpu  140 5 110 %lld 5 0 0 0 0 0\n", (long long)idle);
        put(dir, "stat", line);
        u = host_measure(&h, at_ms(i * 10000));
    }
    CHECK(u.host_cpu_permille == 0);
    for (int i = 21; i <= 27; i++) {
        snprintf(line, sizeof line, "cpu  %d 5 110 %lld 5 0 0 0 0 0\n", 140 + (i - 20) * 1000,
                 (long long)idle);
        put(dir, "stat", line);
        u = host_measure(&h, at_ms(i * 10000));
        CHECK(h.n <= HOST_SAMPLES);
    }
    CHECK(u.host_cpu_permille == 1000, "%lld", (long long)u.host_cpu_permille);
    put(dir, "stat", "cpu  140 5 110 10 5 0 0 0 0 0\n"); /* counters that went back: no guess */
    CHECK(host_measure(&h, at_ms(280000)).host_cpu_permille == -1);
    put(dir, "stat", "cpu  nonsense\n");
    CHECK(host_measure(&h, at_ms(290000)).host_cpu_permille == -1);
}

TEST(host_own_share_is_of_one_core) {
    struct host h;
    host_open(&h, NULL, NULL, clocks_mono());
    struct mono began = clocks_mono();
    volatile uint64_t work = 0;
    while (clocks_mono().us - began.us < 400000) work = work + 1;
    struct host_use u = host_measure(&h, clocks_mono());
    CHECK(u.own_cpu_permille > 0 && u.own_cpu_permille <= 2000, "%lld", (long long)u.own_cpu_permille);
}

TEST(host_memory_is_that_of_host_or_group) {
    struct host h;
    const char *dir = test_dir();
    put(dir, "meminfo", "MemTotal:        1000 kB\nMemFree:  5 kB\nMemAvailable:     690 kB\n");
    host_open(&h, dir, dir, at_ms(0));
    struct host_use u = host_measure(&h, at_ms(1000));
    CHECK(u.memory_total == 1024000 && u.memory_available == 706560 && host_memory_permille(&u) == 310);
    CHECK(u.cgroup_limit == -1);
    /* version 2: the nearest limit counts, wherever above it is */
    put(dir, "self/cgroup", "0::/a.slice/b.service\n");
    put(dir, "a.slice/b.service/memory.max", "max\n");
    put(dir, "a.slice/b.service/memory.current", "400000\n");
    CHECK(host_measure(&h, at_ms(1000)).cgroup_limit == -1);
    put(dir, "a.slice/memory.max", "500000\n");
    put(dir, "a.slice/memory.current", "450000\n");
    put(dir, "a.slice/memory.stat", "anon 1\ninactive_file 50000\nactive_file 7\n");
    u = host_measure(&h, at_ms(1000));
    CHECK(u.cgroup_limit == 500000 && u.cgroup_used == 400000 && host_memory_permille(&u) == 800);
    put(dir, "a.slice/b.service/memory.max", "410000\n");
    u = host_measure(&h, at_ms(1000));
    CHECK(u.cgroup_limit == 410000 && u.cgroup_used == 400000 && host_memory_permille(&u) == 975);
    put(dir, "a.slice/b.service/memory.max", "1024000\n"); /* all of the host: no limit */
    u = host_measure(&h, at_ms(1000));
    CHECK(u.cgroup_limit == 500000);
    /* version 1 */
    put(dir, "self/cgroup", "5:cpu:/x\n4:hugetlb,memory:/docker/1\n1:name=systemd:/\n");
    put(dir, "memory/memory.limit_in_bytes", "600000\n"); /* the path is the host's: only the root is here */
    put(dir, "memory/memory.usage_in_bytes", "60000\n");
    u = host_measure(&h, at_ms(1000));
    CHECK(u.cgroup_limit == 600000 && u.cgroup_used == 60000 && host_memory_permille(&u) == 310);
    put(dir, "self/cgroup", "garbage\n::\n0:\n\n4:cpu\n");
    CHECK(host_measure(&h, at_ms(1000)).cgroup_limit == -1);
}

TEST(host_odd_files_are_unknown) {
    struct host h;
    const char *dir = test_dir();
    static const char *const rows[] = {"",
                                       "MemTotal:",
                                       "MemTotal: -5 kB\nMemAvailable: 1 kB\n",
                                       "MemTotal: 0 kB\n",
                                       "MemTotal: 10 kB\n",
                                       "XMemTotal: 10 kB\nMemAvailable: 5 kB\n"};
    for (size_t i = 0; i < LEN(rows); i++) {
        put(dir, "meminfo", rows[i]);
        host_open(&h, dir, dir, at_ms(0));
        CHECK(host_measure(&h, at_ms(1000)).memory_total == -1, "row %zu", i);
    }
    put(dir, "meminfo", "MemTotal: 10 kB\nMemAvailable: 11 kB\n");
    struct host_use u = host_measure(&h, at_ms(1000));
    CHECK(host_memory_permille(&u) == 0);
    put(dir, "loadavg", "0.52 1.04 -1 1/2 3\n");
    u = host_measure(&h, at_ms(1000));
    CHECK(u.load_milli[0] == 520 && u.load_milli[1] == 1040 && u.load_milli[2] == -1);
    put(dir, "self/statm", "x y\n");
    CHECK(host_measure(&h, at_ms(1000)).resident_bytes == -1);
    put(dir, "self/statm", "1 9223372036854775807\n"); /* no sum of these fits */
    put(dir, "meminfo", "MemTotal: 9223372036854775807 kB\nMemAvailable: 1 kB\n");
    u = host_measure(&h, at_ms(1000));
    CHECK(u.resident_bytes == -1 && u.memory_total == -1);
    put(dir, "stat", "cpu 60 9223372036854775807 1 9223372036854775807 0 0 0 0\n");
    host_open(&h, dir, dir, at_ms(0));
    put(dir, "stat", "cpu 70 9223372036854775807 1 9223372036854775807 0 0 0 0\n");
    CHECK(host_measure(&h, at_ms(5000)).host_cpu_permille == -1);
}

TEST(host_of_this_process) {
    struct host h;
    if (access("/proc/self/statm", R_OK) != 0) SKIP("no /proc here");
    host_open(&h, NULL, NULL, clocks_mono());
    struct host_use before = host_measure(&h, clocks_mono());
    int fd = open("/dev/null", O_RDONLY);
    struct host_use after = host_measure(&h, clocks_mono());
    close(fd);
    CHECK(before.fds > 0 && after.fds == before.fds + 1, "%lld %lld", (long long)before.fds,
          (long long)after.fds);
    CHECK(before.resident_bytes > 100000 && before.memory_total > before.resident_bytes);
    CHECK(before.load_milli[0] >= 0 && host_memory_permille(&before) > 0);
}
