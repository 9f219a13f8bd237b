/* ops/service.h: starting and stopping the daemon as a service, for `start`, `stop` and `restart`. */
#ifndef SILKTALK_OPS_SERVICE_H
#define SILKTALK_OPS_SERVICE_H

#include "ops/cli.h"

enum err service_start(struct cli *c);                  /* OK: it answers (now, or did before) */
enum err service_stop(struct cli *c, int64_t drain_ms); /* OK: no daemon has the home any more */
void service_print(struct cli *c);                      /* --json: schema running pid */

#endif
