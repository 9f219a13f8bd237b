/* lib/node/alert.h: what is told when the health of a node changes: one object, `silktalk.alert/1`, for
 * peers, webhooks and the programs of health-check (contrib/alerts.md); what has changed; the signature. No
 * clock, no kernel. */
#ifndef SILKTALK_NODE_ALERT_H
#define SILKTALK_NODE_ALERT_H

#include "node/health.h"

#define ALERT_TYPE "application/vnd.silktalk.alert+json"
enum {
    ALERT_FINDINGS_MAX = 1024, /* "cpu:P1,disk:P2": characters of all of them */
    ALERT_ID = 16,
    ALERT_SECRET_MAX = 4096,
    ALERT_SIGNATURE_MAX = 128
};

struct alert {
    const char *event;         /* "problem", "recovery", "repeat" */
    const char *findings;      /* what is told: "cpu:P1,disk:P2", or "" */
    const struct json *health; /* as /health has it */
    const struct config *config;
    struct wall now;
    uint8_t id[ALERT_ID]; /* of this alert: the same in every try to deliver it */
};
bool alert_write(const struct alert *a, struct buf *out); /* the object and a newline; false: no room */
/* "disk 91% (data); outbox oldest 2h": the findings, most urgent first, or how all is. */
void alert_words(const struct json *health, const char *findings, struct buf *out);

/* "cpu:P1,disk:P2" of what /health says now, down to level `least`. What is not known, and counts, is as
 * urgent as a warning. */
void alert_findings(const struct json *health, int least, char out[ALERT_FINDINGS_MAX]);
bool alert_add(char findings[ALERT_FINDINGS_MAX], const char *name, int level); /* false: no room */
int alert_level(const char *findings, struct bytes name); /* 0 to 3; -1: it is none of them */
/* The event to tell after `before` was told at `told`; NULL: nothing now. */
const char *alert_event(const char *before, struct wall told, const char *findings, struct wall now,
                        int64_t repeat_ms);

/* "SilkTalk-Signature: t=SECONDS,v1=HEX\r\n": HMAC-SHA256 of "SECONDS.BODY" (operations.md S3). */
bool alert_sign(struct bytes secret, struct wall now, struct bytes body, struct buf *out);

#endif
