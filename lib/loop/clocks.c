#include "loop/clocks.h"

#include <errno.h>
#include <time.h>

static int64_t read_us(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) return -1;
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct mono clocks_mono(void) {
    int64_t us = read_us(CLOCK_BOOTTIME);
    if (us < 0) us = read_us(CLOCK_MONOTONIC);
    return (struct mono){us < 1 ? 1 : us}; /* 0 would mean never */
}

struct clocks clocks_now(void) {
    int64_t us = read_us(CLOCK_REALTIME);
    return (struct clocks){clocks_mono(), {us / 1000}};
}

int64_t clocks_monotonic_us(void) {
    return read_us(CLOCK_MONOTONIC);
}

int64_t clocks_processor_us(void) {
    return read_us(CLOCK_THREAD_CPUTIME_ID);
}

void clocks_sleep_ms(int64_t ms) {
    if (ms <= 0) return;
    struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}
