/* lib/loop/clocks.h: the two clocks of the system, read together. All else gets the time handed down. */
#ifndef SILKTALK_LOOP_CLOCKS_H
#define SILKTALK_LOOP_CLOCKS_H

#include "base/base.h"

/* mono: CLOCK_BOOTTIME (a suspended machine's deadlines are due when it wakes), CLOCK_MONOTONIC where that is
 * missing; never 0. wall: CLOCK_REALTIME. */
struct clocks clocks_now(void);
struct mono clocks_mono(void);
int64_t clocks_monotonic_us(void); /* CLOCK_MONOTONIC, which systemd's protocol wants */
int64_t clocks_processor_us(void); /* that this thread has had */
void clocks_sleep_ms(int64_t ms);  /* for command-line programs, and before the loop runs */

#endif
