/* lib/net/control.h: the node's end of the control socket (operations.md S12): a unix stream socket, JSON
 * lines, several clients. This file does framing, access and limits; what a line means is the owner's.
 *
 * One descriptor (control_fd, readable): call control_turn, then control_next until it says false. Nothing a
 * client does or fails to do stalls the node: a client that does not read its answers is asked no more (its
 * further requests wait), and closed when backlog_max bytes wait for it. */
#ifndef SILKTALK_NET_CONTROL_H
#define SILKTALK_NET_CONTROL_H

#include "base/base.h"

#include <sys/types.h>

enum {
    CONTROL_LINE_MAX = 8 << 20,    /* bytes of a request, without newline */
    CONTROL_PAUSE_BYTES = 1 << 18, /* with so much unsent, a client's next request waits */
    CONTROL_FDS_MAX = 8,           /* descriptors that wait for their line, per client */
    CONTROL_GROUPS_MAX = 1024,     /* supplementary groups looked at */
    CONTROL_ID_MAX = (1 << 29) - 1 /* ids below: bits over it are marks */
};
struct control;
struct control_peer { /* who is at the other end, as the kernel says, when it connected */
    uid_t uid;
    gid_t gid;
    pid_t pid;
    bool in_group; /* gid or a supplementary group is control_setup.group */
};
struct control_setup {
    /* at most 107 bytes; a socket file left there is replaced: hold the home's lock */
    const char *path;
    mode_t mode;   /* 0660 or 0600 */
    uid_t owner;   /* the node's own user */
    gid_t group;   /* who may besides root and owner; (gid_t)-1: nobody */
    uint32_t mark; /* set in the ids of its clients, so that an owner of two sockets can tell: a bit, or 0 */
    /* LIMIT_CONTROL_CLIENTS, CONTROL_LINE_MAX, LIMIT_CONTROL_BACKLOG */
    size_t clients_max, line_max, backlog_max;
    /* lines without newline said to a client before it is closed; borrowed for good; empty: none */
    struct bytes full, denied, too_long;
};
/* E_INPUT: path too long, or something else than a socket is there. E_DENIED, E_NOT_FOUND (no folder), E_IO,
 * E_MEMORY. A group that cannot be set is E_DENIED. */
enum err control_open(struct control **out, const struct control_setup *setup, struct why *w);
/* sends what goes at once, closes all, removes the socket file if it is still ours */
void control_close(struct control *c);
int control_fd(const struct control *c);
/* 0: none. When it is due call control_turn; what it finds makes control_fd readable. */
struct mono control_deadline(const struct control *c);
void control_turn(struct control *c, struct mono now);

enum control_kind {
    CONTROL_LINE, /* a request */
    CONTROL_END,  /* it sends no more requests, but still reads: control_drop it when all is answered */
    CONTROL_GONE, /* it is closed; its id never comes again */
};
struct control_event {
    enum control_kind kind;
    uint32_t client; /* never 0 */
    struct control_peer peer;
    struct bytes line; /* without newline; valid until the next control_ call */
    int fd;            /* regular file that came with it, now the owner's; -1: none */
};
bool control_next(struct control *c, struct control_event *out);
/* Appends `line` and a newline to what the client gets; control_flush writes it. E_NOT_FOUND: no such client
 * (any more). E_LIMIT, E_MEMORY: it is being closed (its CONTROL_GONE follows). */
enum err control_send(struct control *c, uint32_t client, struct bytes line);
/* Writes what was sent, as far as it goes: a turn's answers in one piece. control_turn does it too. */
void control_flush(struct control *c);
/* The same with a descriptor (-1: none), which stays the caller's. A line that must wait behind others takes
 * a duplicate along. At most CONTROL_FDS_MAX wait: E_LIMIT, the line goes without. */
enum err control_send_with(struct control *c, uint32_t client, struct bytes line, int fd);
/* Closes it when all was sent, or right away if it is gone. No CONTROL_GONE comes for it. */
void control_drop(struct control *c, uint32_t client);
/* bytes; streams to slow clients wait while this is large */
size_t control_unsent(const struct control *c, uint32_t client);
struct control_counts {
    size_t clients;
    uint64_t accepted, full, denied, slow, too_long, fds_refused;
};
struct control_counts control_counts(const struct control *c);
/* The access decision: root, the node's user, the group. */
bool control_allows(const struct control_peer *p, uid_t owner);

#endif
