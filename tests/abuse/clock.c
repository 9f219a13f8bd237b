/* tests/abuse/clock.c: the system's clocks as the test wants them, for a twin of the executable that is
 * linked with
 * --wrap. $ABUSE_CLOCK names a file of two 64-bit numbers of milliseconds, which are added to what the kernel
 * says: to real time, and to the clocks that run from boot. It is read anew at each call, so that time can
 * jump while the node runs. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_gettimeofday(struct timeval *t, void *zone);
time_t __wrap_time(time_t *t);

static const volatile int64_t *offsets(void) {
    static const volatile int64_t *at;
    static const int64_t none[2];
    if (at != NULL) return at;
    const char *path = getenv("ABUSE_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0) close(fd);
    at = p == MAP_FAILED ? none : p;
    return at;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *t) {
    if (__real_clock_gettime(clock, t) != 0) return -1;
    int64_t ms = 0;
    if (clock == CLOCK_REALTIME) ms = offsets()[0];
    if (clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME) ms = offsets()[1];
    int64_t ns = t->tv_nsec + ms % 1000 * 1000000;
    t->tv_sec += ms / 1000 + (ns < 0 ? -1 : ns / 1000000000);
    t->tv_nsec = ns < 0 ? ns + 1000000000 : ns % 1000000000;
    return 0;
}

int __wrap_gettimeofday(struct timeval *t, void *zone) {
    struct timespec s;
    (void)zone;
    if (__wrap_clock_gettime(CLOCK_REALTIME, &s) != 0) return -1;
    *t = (struct timeval){.tv_sec = s.tv_sec, .tv_usec = s.tv_nsec / 1000};
    return 0;
}

time_t __wrap_time(time_t *t) {
    struct timespec s;
    if (__wrap_clock_gettime(CLOCK_REALTIME, &s) != 0) return (time_t)-1;
    if (t != NULL) *t = s.tv_sec;
    return s.tv_sec;
}
