/* ops/man_page.h: parts of manual pages as mdoc on stdout, and the page for operators. */
#ifndef SILKTALK_OPS_MAN_PAGE_H
#define SILKTALK_OPS_MAN_PAGE_H

#include "ops/help.h"

void man_begin(const char *title, int section, const char *line); /* up to and with NAME */
void man_run(struct bytes text);     /* running text: escaped, in lines of at most 76 columns */
void man_literal(struct bytes text); /* as it stands, line by line */
void man_operations(void);           /* silktalk-ops(7) */
void man_operations_text(void);      /* the same for a terminal */

#endif
