/* ops/config_file.h: changing one key in the home's configuration file, for `config` and `bootstrap`. */
#ifndef SILKTALK_OPS_CONFIG_FILE_H
#define SILKTALK_OPS_CONFIG_FILE_H

#include "ops/cli.h"

/* Checks the value and the whole file as it would be, then replaces the file (comments, order, mode and owner
 * stay) and tells a running node. value NULL: unset. *note is a literal: "applied", "restart needed",
 * "applied at the next start". E_INPUT, E_DENIED (not the file's owner), E_IO: nothing changed. */
enum err config_file_set(struct cli *c, enum config_key key, const struct bytes *value, const char **note);

#endif
