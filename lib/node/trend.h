/* lib/node/trend.h: a straight line through figures (least squares): how much they change in a day, and when
 * a limit will be reached if it goes on so. */
#ifndef SILKTALK_NODE_TREND_H
#define SILKTALK_NODE_TREND_H

#include "base/base.h"

enum { TREND_LEAST = 24 }; /* values; they must span a day too. Less says nothing */
struct trend {             /* begins as zero */
    size_t n;
    double x0, first, last; /* days */
    double sx, sy, sxx, sxy, syy;
};
void trend_add(struct trend *t, struct wall at, double value);
/* Change in a day. False: too few values. */
bool trend_slope(const struct trend *t, double *per_day);
/* Is it more than noise? Values of neighbouring hours are alike, so a sixth of them counts as independent;
 * the slope is four times its standard error. */
bool trend_certain(const struct trend *t);
double trend_end(const struct trend *t); /* where the line is at the last value; NAN: too few values */
/* Days from now until `limit` is reached, coming from `now` below it; 0: it is reached. Negative: never, if
 * it goes on so (or in over ten years), or too few values. */
double trend_days(const struct trend *t, double now, double limit);

#endif
