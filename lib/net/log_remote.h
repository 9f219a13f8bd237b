/* lib/net/log_remote.h: sends log lines to a syslog server, over UDP (RFC 5426) or TCP (RFC 6587), without
 * ever waiting for it. What it does not take stays in a buffer; when that is full, new lines are dropped and
 * counted. A connection that breaks is made again after LOG_REMOTE_MIN_MS, doubled to LOG_REMOTE_MAX_MS, with
 * jitter, each time at the next address of the name; a message that was sent in part is sent again as a
 * whole. A server that takes nothing for LOG_REMOTE_STUCK_MS is left, and dialed again. What the kernel had
 * taken when a connection broke is lost unseen, since syslog has no receipts: it is given
 * LOG_REMOTE_KERNEL_BYTES at most. UDP: a port that refuses counts as broken.
 *
 * It watches its socket in the owner's loop by itself. Names are the owner's: log_remote_asks, then
 * log_remote_resolved. */
#ifndef SILKTALK_NET_LOG_REMOTE_H
#define SILKTALK_NET_LOG_REMOTE_H

#include "base/ip.h"
#include "base/syslog.h"
#include "loop/loop.h"

enum {
    LOG_REMOTE_MIN_MS = 1000,
    LOG_REMOTE_MAX_MS = 60000,
    LOG_REMOTE_DIAL_MS = 10000,
    LOG_REMOTE_STUCK_MS = 60000,
    LOG_REMOTE_GOOD_MS = 5000, /* UDP: nothing refused for so long */
    LOG_REMOTE_KERNEL_BYTES = 32 << 10,
    LOG_REMOTE_IPS = 8
};

struct log_remote_target {
    bool tcp;
    char host[254]; /* a name or an IP */
    uint16_t port;
};
/* "udp://HOST:PORT", "tcp://[2001:db8::1]:PORT"; false: something else, "off" too. */
bool log_remote_parse(const char *url, struct log_remote_target *out);

struct log_remote;
enum err log_remote_open(struct log_remote **out, const struct log_remote_target *to, struct loop *loop,
                         size_t max, struct why *w);
void log_remote_close(struct log_remote *r); /* sends what the kernel takes at once. NULL is fine */
void log_remote_add(struct log_remote *r, const struct syslog_origin *from, const struct log_line *line);
/* Each turn, and at the deadline. */
void log_remote_turn(struct log_remote *r, struct mono now);
struct mono log_remote_deadline(const struct log_remote *r);
/* A name to be resolved now, once; NULL: none. */
const char *log_remote_asks(struct log_remote *r);
void log_remote_resolved(struct log_remote *r, const struct ip *ips, size_t n, const struct why *failed,
                         struct mono now);
/* What has changed since it was asked last: LOG_REMOTE_UP, LOG_REMOTE_DOWN (why->text says why), or nothing.
 */
enum log_remote_news { LOG_REMOTE_SAME, LOG_REMOTE_UP, LOG_REMOTE_DOWN };
enum log_remote_news log_remote_news(struct log_remote *r, char addr[72], struct why *why);
/* It was tried, and is not connected: of where, and why. */
bool log_remote_down(const struct log_remote *r, char addr[72], struct why *why);
uint64_t log_remote_dropped(const struct log_remote *r);
size_t log_remote_queued(const struct log_remote *r);    /* bytes */
uint64_t log_remote_waiting(const struct log_remote *r); /* lines */

#endif
