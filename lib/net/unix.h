/* lib/net/unix.h: listening unix stream sockets that anybody may speak HTTP to who may open them. */
#ifndef SILKTALK_NET_UNIX_H
#define SILKTALK_NET_UNIX_H

#include "base/base.h"

#include <sys/types.h>

/* A socket file that is left there is replaced, anything else is E_INPUT. E_DENIED, E_NOT_FOUND, E_IO. */
enum err unix_listen(int *fd, const char *path, mode_t mode, struct why *w);
/* OK: a connection, non-blocking. E_BUSY: none is waiting, or no descriptor is left for it. */
enum err unix_accept(int listener, int *fd);
void unix_close(int fd, const char *path); /* the file goes too */

#endif
