/* lib/proto/multistream.h: /multistream/1.0.0, both ends: agree with the other side on one protocol.
 * Sources: libp2p/specs connections/README.md; protocols.md section 4.
 * A message is a varint length, then so many bytes, the last of them '\n'. Errors are final.
 * Owner: whoever embeds the struct; nothing to free. */
#ifndef SILKTALK_PROTO_MULTISTREAM_H
#define SILKTALK_PROTO_MULTISTREAM_H

#include "base/base.h"

enum { MULTISTREAM_LINE_MAX = 1024, MULTISTREAM_TRIES_MAX = 16 };

/* The listening end: sends its header when the dialer's has come, then the agreed proposal or `na` (for `ls`
 * too). The caller bounds the time, and goes on serving when a reply could not be written (the peer may be
 * half-closed). */
struct multistream_listener {
    enum { MSL_HEADER, MSL_PROPOSALS, MSL_DONE, MSL_DEAD } state;
    const char *const *offers; /* NULL-terminated, borrowed until MSL_DONE */
    size_t tries, chosen;      /* chosen: index into offers, when MSL_DONE */
    struct why why;            /* code OK, unless MSL_DEAD */
};
void multistream_listen(struct multistream_listener *m, const char *const *offers);
/* Takes whole messages off *in, appends replies to out. Bytes behind the agreement stay in *in.
 * E_PROTO: broken; E_LIMIT: the last of MULTISTREAM_TRIES_MAX proposals was refused too, or out is full. */
enum err multistream_listener_input(struct multistream_listener *m, struct bytes *in, struct buf *out);

/* The dialing end: header and first proposal go out at once (the caller may send data right behind them:
 * optimistic negotiation; if the listener then says `na` all of it was void and the stream must be reset). */
struct multistream_dialer {
    enum { MSD_HEADER, MSD_REPLY, MSD_DONE, MSD_DEAD } state;
    const char *const *wants; /* NULL-terminated, in order of preference, borrowed */
    size_t proposed;          /* index into wants; the agreed one, when MSD_DONE */
    struct why why;           /* E_REFUSED: none of them is spoken there; E_PROTO: broken */
};
enum err multistream_dial(struct multistream_dialer *m, const char *const *wants, struct buf *out);
/* `optimistic`: a refusal is final (E_REFUSED), the next proposal is not made. */
enum err multistream_dialer_input(struct multistream_dialer *m, bool optimistic, struct bytes *in,
                                  struct buf *out);

#endif
