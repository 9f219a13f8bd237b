/* lib/base/diff.h: the difference of two texts, line by line, as `diff -u` prints it and `patch` takes it. */
#ifndef SILKTALK_BASE_DIFF_H
#define SILKTALK_BASE_DIFF_H

#include "base/base.h"

enum { DIFF_CONTEXT = 3, DIFF_LINES_MAX = 1000 };
/* Appends the difference, with both names in its head; nothing when the texts are equal. What differs is
 * found exactly between the common beginning and end, up to DIFF_LINES_MAX lines of either text; beyond that
 * the whole part counts as replaced. False: memory, or `out` is full. */
bool diff_unified(struct bytes a, const char *a_name, struct bytes b, const char *b_name, struct buf *out);

#endif
