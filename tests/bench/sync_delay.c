/* tests/bench/sync_delay.c: linked into build/bench/silktalk in front of fsync and fdatasync (--wrap): adds
 * BENCH_SYNC_DELAY_MS to each, as a slower disk would. It is read before main: the daemon clears its
 * environment. */
#include <stdlib.h>
#include <time.h>

int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

static long delay_ms;
__attribute__((constructor)) static void read_delay(void) {
    const char *text = getenv("BENCH_SYNC_DELAY_MS");
    delay_ms = text == NULL ? 0 : strtol(text, NULL, 10);
}

static void delay(void) {
    struct timespec left = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    while (delay_ms > 0 && nanosleep(&left, &left) != 0) {}
}

int __wrap_fsync(int fd) {
    delay();
    return __real_fsync(fd);
}

int __wrap_fdatasync(int fd) {
    delay();
    return __real_fdatasync(fd);
}
