/* lib/net/tcp.h: non-blocking TCP sockets as plain descriptors. All are CLOEXEC; connections have
 * TCP_NODELAY, and no kernel keepalive (Yamux has its own). Nothing here blocks, waits or remembers; EINTR is
 * dealt with inside. */
#ifndef SILKTALK_NET_TCP_H
#define SILKTALK_NET_TCP_H

#include "base/ip.h"

enum {
    TCP_BACKLOG = 1024,
    TCP_ACCEPT_PAUSE_MS = 250, /* no accepting for so long when descriptors or memory are used up */
};

/* ---- listening */
/* Listens at `at` (port 0: any; tcp_local tells). IPv6 sockets take IPv6 only. E_NOT_FOUND: this kernel has
 * no such address family, or this host no such address (skip it, say so, go on). E_BUSY: in use. E_DENIED:
 * may not. E_LIMIT, E_IO. */
enum err tcp_listen(int *fd, const struct endpoint *at, struct why *w);

struct tcp_acceptor {     /* one per process; serves all listeners */
    int spare;            /* given up for a moment when no descriptor is left, to tell the dialer */
    struct mono resume;   /* 0, or when accepting may go on: drop the listeners' read interest until then */
    uint64_t turned_away; /* connections that were closed at once for want of descriptors or memory */
};
enum err tcp_acceptor_open(struct tcp_acceptor *a, struct why *w);
void tcp_acceptor_close(struct tcp_acceptor *a);
/* OK: a connection. E_BUSY: none is waiting (or a->resume is not reached). E_LIMIT: out of descriptors or
 * memory: the waiting one was closed, a->resume is set. E_IO: the listener itself is broken (report it, close
 * it). A connection that died in the queue is skipped. `local` may be NULL. */
enum err tcp_accept(struct tcp_acceptor *a, int listener, struct mono now, int *fd, struct endpoint *peer,
                    struct endpoint *local, struct why *w);

/* ---- dialing */
/* Begins; OK: wait until fd is writable, then ask tcp_dialed. Else fd is -1: E_LIMIT (descriptors, ports,
 * memory), E_REFUSED, E_NOT_FOUND (no route, no such family), E_DENIED, E_IO. Local 0 port and address if
 * `from` is NULL. */
enum err tcp_dial(int *fd, const struct endpoint *to, const struct endpoint *from, struct why *w);
/* OK: connected. E_BUSY: not yet. E_REFUSED, E_TIMEOUT, E_NOT_FOUND (unreachable), E_DENIED, E_IO: failed;
 * close it. A connection to itself (the kernel may do that on loopback) is E_REFUSED. */
enum err tcp_dialed(int fd, struct why *w);

/* ---- bytes. E_BUSY: nothing now, wait for the loop. */
/* OK: *n >= 1. E_CLOSED: the peer sends no more (half-close: writing may go on). E_IO: broken (reset,
 * time-out). */
enum err tcp_read(int fd, uint8_t *to, size_t max, size_t *n, struct why *w);
/* OK: *n >= 1, maybe fewer than asked for. E_CLOSED: the peer takes no more. E_IO: broken. */
enum err tcp_write(int fd, struct bytes from, size_t *n, struct why *w);
/* Sends FIN behind what was written; reading may go on. */
void tcp_finish(int fd);
/* Closes at once. What was written is sent by the kernel unless input lies unread: then it resets, and final
 * bytes may be lost: see closing.h. -1 is fine. */
void tcp_close(int fd);
void tcp_reset(int fd); /* closes with RST, nothing more is sent */

bool tcp_local(int fd, struct endpoint *out);
bool tcp_peer(int fd, struct endpoint *out);

#endif
