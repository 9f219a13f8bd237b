/* ops/alert_show.h: an alert that another node sent (node/alert.h), for people. */
#ifndef SILKTALK_OPS_ALERT_SHOW_H
#define SILKTALK_OPS_ALERT_SHOW_H

#include "base/base.h"

/* Prints it; false: it is none, and nothing was printed. Nothing in it is trusted. */
bool alert_show(struct bytes body);

#endif
