/* ops/help.h: help texts, made of the table of applets and their options. */
#ifndef SILKTALK_OPS_HELP_H
#define SILKTALK_OPS_HELP_H

#include <stdio.h>

#include "ops/cli.h"

enum { EXIT_CODES = 11 };
extern const char *const help_exit_codes[EXIT_CODES]; /* operations.md S2.1, by number */
/* Names under which this executable is another program (a trailing .sh is ignored), and the verb it is then.
 */
struct help_link {
    const char *program, *verb;
};
extern const struct help_link help_links[]; /* ends with a NULL program */

void help_overview(FILE *out); /* `silktalk` alone */
void help_applet(const struct applet *a, FILE *out);
const struct applet *help_find(const char *verb); /* NULL: no such verb */
const char *help_group(enum applet_group g);      /* its title */
/* "-f, --file FILE" */
void help_option(const struct opt *o, struct buf *out);
/* The parts of an applet's text: forms of usage, description, examples (empty when there are none). */
struct help_parts {
    struct bytes usage, description, examples;
};
struct help_parts help_split(const struct applet *a);

#endif
