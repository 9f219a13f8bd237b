/* ops/web_client.h: SilkTalk as a client of web servers (operations.md S4): whom it trusts, which proxy it
 * uses, and what goes with an alert; for the daemon and the command line. The environment is not asked. */
#ifndef SILKTALK_OPS_WEB_CLIENT_H
#define SILKTALK_OPS_WEB_CLIENT_H

#include "node/config.h"
#include "proto/fetch.h"

enum { WEB_BUNDLE_MAX = 1 << 20, WEB_TOKEN_MAX = 2048 };

/* The PEM text of the authorities (c NULL: the system's): `own` (a section's own caFile; NULL or "": none),
 * else https.caFile, else the system's bundle. E_INPUT: it can not be read, or there is none (the places
 * tried are named). */
enum err web_authorities(const struct config *c, const char *own, struct buf *out, struct why *w);
/* https.proxy; *use: there is one, and `to` is not this very host. */
enum err web_proxy(const struct config *c, const struct url *to, struct url *out, bool *use, struct why *w);
/* "Authorization: Bearer WORD\r\n" from a file of mode 0640 or narrower, or credential:NAME. Wipe `out`. */
enum err web_token(const char *setting, struct buf *out, struct why *w);
/* The fields that go with an alert: signature and token, as far as they are configured; the token only to the
 * server of alerts.webhook. Wipe `out`, of which FETCH_FIELDS_MAX bytes are reserved. */
enum err web_alert_fields(const struct config *c, const struct url *to, struct wall now, struct bytes body,
                          struct buf *out, struct why *w);
/* Everything that alerts.webhook needs can be read now: E_INPUT. */
enum err web_check(const struct config *c, struct why *w);
/* OK: 200 to 299. E_REFUSED: any other status, in words. */
enum err web_judge_status(int status, struct why *w);

#endif
