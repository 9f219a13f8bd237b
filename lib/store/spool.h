/* lib/store/spool.h: messages that wait for a stopped node, a file each in HOME/spool: one JSON line
 * {"v":1,"peer":"12D3...","created_ms":...}, then the message's frame. Written whole (temporary file,
 * rename); the node takes them at its start. A file is removed only after its message is committed; the id
 * keeps a second take from adding it twice. What can not be taken is moved to spool/refused/. */
#ifndef SILKTALK_STORE_SPOOL_H
#define SILKTALK_STORE_SPOOL_H

#include "crypto/key.h"

enum { SPOOL_FILE_MAX = (4 << 20) + 1024, SPOOL_LINE_MAX = 512 };

/* Appends one. E_LIMIT: `most` are waiting already; E_DENIED: may not write there; E_NOT_FOUND: no such
 * folder; E_IO. */
enum err spool_write(const char *folder, const struct peer_id *peer, struct wall created, struct bytes frame,
                     uint64_t most, struct why *w);

#endif
