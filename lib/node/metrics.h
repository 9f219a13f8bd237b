/* lib/node/metrics.h: what the node tells monitoring systems (operations.md S4), one table: name, kind,
 * labels, help. Names have the prefix `silktalk_` (those of the process have none), units are base units,
 * label values come from fixed sets: no peer, address or file name. Formats: Prometheus text 0.0.4, and
 * OpenMetrics 1.0. */
#ifndef SILKTALK_NODE_METRICS_H
#define SILKTALK_NODE_METRICS_H

#include "node/node.h"

enum { METRICS_SIZE = 1 << 20 }; /* bytes: `out` needs no more */
enum metric_kind { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };
struct metric_row {
    const char *name; /* with prefix; counters end in _total */
    enum metric_kind kind;
    const char *labels; /* names, by commas; "": none */
    const char *help;
};
size_t metrics_count(void);
const struct metric_row *metrics_row(size_t i);
/* Appends all of them; one that is not known has no samples. Counts of the store are as old as the last time
 * (they are asked for anew when they are over ten seconds old). False: out is too small, or memory. */
bool metrics_write(struct node *n, struct buf *out, bool openmetrics);

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_TYPE_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"

#endif
