/* lib/node/config_import.h: the configuration of the old JavaScript program (config.json, manual section 9.1)
 * as an INI text (operations.md S7): the commented sample with the values set in it, and what has no place
 * there as comments at its end, so that nothing is dropped silently. */
#ifndef SILKTALK_NODE_CONFIG_IMPORT_H
#define SILKTALK_NODE_CONFIG_IMPORT_H

#include "node/config.h"

struct config_import {
    struct buf ini;   /* owned */
    struct buf taken; /* owned: JSON array of {from, key, value} */
    struct buf left;  /* owned: JSON array of {from, value, reason}; value null: it may be a secret */
    size_t n_taken, n_left;
};
/* Keys are SECTION.KEY as here, or js-libp2p's names for some of them. Numbers of durations are milliseconds,
 * of sizes bytes. `defaults` are those of the home (NULL: none), `file` is named in the comments. E_INPUT:
 * not JSON, not an object. Free it in any case. */
enum err config_import_json(const struct config *defaults, struct bytes json, const char *file,
                            struct config_import *out, struct why *w);
void config_import_free(struct config_import *i);

#endif
