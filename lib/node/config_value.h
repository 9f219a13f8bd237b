/* lib/node/config_value.h: one value of the configuration: text in, typed value and normalised text out. */
#ifndef SILKTALK_NODE_CONFIG_VALUE_H
#define SILKTALK_NODE_CONFIG_VALUE_H

#include "node/config.h"

/* Parses and checks the range. *out and *text are owned by the caller (config_value_free, mem_free). */
enum err config_value_parse(enum config_key key, struct bytes text, union config_value *out, char **normal,
                            struct why *w);
void config_value_free(enum config_type type, union config_value *v);
bool config_is_list(enum config_type type);
/* The normalised text of a value that is a number. */
void config_number_text(enum config_type type, uint64_t v, char out[48]);

#endif
