/* tests/sim/scenario.h: a network of nodes whose users send messages and files while everything fails that
 * can; then all is healed, and what a user was promised is checked:
 *
 *   - each message that was taken (its send was answered, or it lay in the spool) is in the receiver's inbox
 *     exactly once, whole, in the order of sending per sender; or it is in the sender's outbox as failed,
 * with a reason that is true; or its user cancelled it: then it arrived once or never
 *   - what the sender was told is delivered is there, whatever crashed
 *   - what the sender was told is refused is nowhere
 *   - who follows an inbox was given each of its rows, once, in order, across crashes
 *   - each large file that was taken arrived once, byte for byte, or is shown to its sender as failed with a
 *     reason that is true; none is shown as moving for ever
 *   - no queue grew over its limit, no database is damaged, no memory and no descriptor is left */
#pragma once
#include "tests/sim/world.h"

struct scenario_result {
    uint64_t trace, events;
    int64_t virtual_ms;
    size_t nodes, messages, delivered, failed, files, files_delivered, files_failed, crashes;
    char broken[600]; /* "": all is well */
};
/* Of least to most nodes, as the seed chooses; most 0: 2 to 12, small networks more often. only_messages: the
 * scenario without spool, followers, files and second thoughts, as it was when first seeds found faults. */
struct scenario_size {
    size_t least, most;
};
void scenario_run(uint64_t seed, struct scenario_size nodes, bool only_messages, bool verbose,
                  struct scenario_result *out);
