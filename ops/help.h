/* ops/help.h: help texts, made of the table of applets and their options. */
#ifndef SILKTALK_OPS_HELP_H
#define SILKTALK_OPS_HELP_H

#include <stdio.h>

#include "ops/cli.h"

void help_overview(FILE *out); /* `silktalk` alone */
void help_applet(const struct applet *a, FILE *out);
const char *help_group(enum applet_group g); /* its title */
/* "-f, --file FILE" */
void help_option(const struct opt *o, struct buf *out);

#endif
