/* tests/sim/scenario.h: a network of nodes whose users send messages while everything fails that can; then
 * all is healed, and what a user was promised is checked:
 *
 *   - each message that was taken (its send was answered) is in the receiver's inbox exactly once, whole, in
 * the order of sending per sender; or it is in the sender's outbox as failed, with a reason that is true
 *   - what the sender was told is delivered is there, whatever crashed
 *   - what the sender was told is refused is nowhere
 *   - no queue grew over its limit, no database is damaged, no memory is left
 */
#pragma once
#include "tests/sim/world.h"

struct scenario_result {
    uint64_t trace, events;
    int64_t virtual_ms;
    size_t nodes, messages, delivered, failed, crashes;
    char broken[600]; /* "": all is well */
};
/* nodes 0: 2 to 12, as the seed chooses. */
void scenario_run(uint64_t seed, size_t nodes, bool verbose, struct scenario_result *out);
