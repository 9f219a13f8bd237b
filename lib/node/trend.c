#include "node/trend.h"

#include <math.h>

enum { DAY_MS = 24 * 3600 * 1000, FAR_DAYS = 3650 };

void trend_add(struct trend *t, struct wall at, double value) {
    double day = (double)at.ms / DAY_MS;
    if (t->n == 0) t->x0 = t->first = t->last = day;
    double x = day - t->x0; /* small numbers: squares of Unix time would eat the digits */
    t->first = MIN(t->first, day);
    t->last = MAX(t->last, day);
    t->n++;
    t->sx += x;
    t->sy += value;
    t->sxx += x * x;
    t->sxy += x * value;
    t->syy += value * value;
}

bool trend_slope(const struct trend *t, double *per_day) {
    double n = (double)t->n, spread = n * t->sxx - t->sx * t->sx;
    /* From the first to the last of 24 hourly values it is 23 hours. */
    if (t->n < TREND_LEAST || t->last - t->first < 0.95 || spread <= 0) return false;
    *per_day = (n * t->sxy - t->sx * t->sy) / spread;
    return true;
}

bool trend_certain(const struct trend *t) {
    double slope, n = (double)t->n, independent = n / 6;
    if (!trend_slope(t, &slope) || independent <= 2) return false;
    double about = n * t->syy - t->sy * t->sy, line = slope * (n * t->sxy - t->sx * t->sy);
    if (about <= 0) return false; /* all are the same */
    return line * (independent - 2) >= 16 * MAX(about - line, 0.0);
}

double trend_end(const struct trend *t) {
    double slope, n = (double)t->n;
    if (!trend_slope(t, &slope)) return NAN;
    return t->sy / n + slope * (t->last - t->x0 - t->sx / n);
}

double trend_days(const struct trend *t, double now, double limit) {
    double slope;
    if (!trend_slope(t, &slope)) return -1;
    if (now >= limit) return 0;
    if (slope <= 0) return -1;
    double days = (limit - now) / slope;
    return days > FAR_DAYS ? -1 : days;
}
