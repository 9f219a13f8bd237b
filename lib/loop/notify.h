/* lib/loop/notify.h: tells the service manager how the node is, by the datagrams that sd_notify(3) describes.
 *
 * Without NOTIFY_SOCKET every call does nothing and says OK. Nothing here blocks; a manager whose queue is
 * full loses a status line, but READY, RELOADING and STOPPING are sent again by notify_tick. */
#ifndef SILKTALK_LOOP_NOTIFY_H
#define SILKTALK_LOOP_NOTIFY_H

#include "base/base.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { NOTIFY_TEXT_MAX = 512 }; /* bytes of one datagram */

struct notify {
    int fd; /* -1: no manager */
    struct sockaddr_un to;
    socklen_t to_n;
    int64_t watchdog_us;           /* half of WATCHDOG_USEC; 0: none asked for */
    struct mono next, retry;       /* when the watchdog must be fed, or `pending` sent */
    char pending[NOTIFY_TEXT_MAX]; /* a state that could not be sent yet */
    size_t pending_n;
};
/* The arguments are the values of NOTIFY_SOCKET ("/path" or "@abstract") and WATCHDOG_USEC; NULL: not set.
 * E_INPUT: they make no sense; n is usable (silent) then too. The owner takes both out of the environment of
 * its children. */
enum err notify_open(struct notify *n, const char *socket_name, const char *watchdog_usec, struct why *w);
void notify_close(struct notify *n);
/* READY=1; status (NULL: none) becomes STATUS= */
enum err notify_ready(struct notify *n, const char *status);
/* one line; control characters become blanks */
enum err notify_status(struct notify *n, const char *status);
/* RELOADING=1, MONOTONIC_USEC=; end with notify_ready */
enum err notify_reloading(struct notify *n);
enum err notify_stopping(struct notify *n, const char *status);
/* EXTEND_TIMEOUT_USEC: so much longer from now */
enum err notify_extend(struct notify *n, int64_t ms);
/* feeds the watchdog when due; any time is fine */
void notify_tick(struct notify *n, struct mono now);
struct mono notify_deadline(const struct notify *n); /* 0: never */

#endif
