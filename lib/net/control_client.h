/* lib/net/control_client.h: the command line's end of the control socket. It waits (poll) with time-outs; one
 * thread. */
#ifndef SILKTALK_NET_CONTROL_CLIENT_H
#define SILKTALK_NET_CONTROL_CLIENT_H

#include "base/base.h"

#include <sys/types.h>

enum { CONTROL_ANSWER_MAX = 16 << 20 }; /* bytes of one answer line */

struct control_client {
    /* -1: not connected; a caller may poll it together with others, then ask with time-out 0 */
    int fd;
    struct buf in;
    size_t used; /* of `in`: the line given out last */
    size_t seen; /* of `in`: searched for a newline already */
    int passed;  /* a descriptor that came with an answer, if has_passed */
    bool has_passed;
    bool (*stop)(void); /* asked while waiting, twice a second: true: E_TIMEOUT at once. NULL: never */
};
/* Time-outs in ms; negative: none. E_NOT_RUNNING: no socket there, or nobody behind it. E_DENIED: may not; w
 * says whose it is. E_TIMEOUT, E_IO, E_INPUT: path too long. c is closed then. */
enum err control_client_open(struct control_client *c, const char *path, int64_t timeout_ms, struct why *w);
void control_client_close(struct control_client *c);
/* Sends one line (newline added); `fd` (-1: none) is a regular file that goes with it and stays the caller's.
 * Answers that arrive meanwhile are kept. OK also when the node closed, but said something before:
 * control_client_next has it. E_TIMEOUT, E_CLOSED, E_LIMIT, E_IO. */
enum err control_client_send(struct control_client *c, struct bytes line, int fd, int64_t timeout_ms,
                             struct why *w);
/* The next answer line, without newline, valid until the next call. E_TIMEOUT: may be asked again. E_CLOSED:
 * the node is gone. E_LIMIT: line too long. E_IO. */
enum err control_client_next(struct control_client *c, struct bytes *line, int64_t timeout_ms, struct why *w);
int control_client_take_fd(
    struct control_client *c); /* that came with an answer; now the caller's; -1: none */
pid_t control_client_peer(const struct control_client *c); /* the node's pid, 0: unknown */

#endif
