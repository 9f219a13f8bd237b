/* ops/config_versions.h: `config history`, `config diff [N]`, `config rollback N` (operations.md S3). */
#ifndef SILKTALK_OPS_CONFIG_VERSIONS_H
#define SILKTALK_OPS_CONFIG_VERSIONS_H

#include "ops/config_file.h"

enum err config_history(struct cli *c);
enum err config_diff(struct cli *c, const char *number);     /* NULL: what the last change did */
enum err config_rollback(struct cli *c, const char *number); /* asks; E_USAGE when nobody said yes */

#endif
