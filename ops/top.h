/* ops/top.h: what `top` knows after a look at the node, and its screen made of it. */
#ifndef SILKTALK_OPS_TOP_H
#define SILKTALK_OPS_TOP_H

#include "ops/cli.h"

struct top_row { /* a connection */
    int64_t id, in, out;
    double in_rate, out_rate; /* bytes per second */
    const struct json *json;  /* of the present look */
};
struct top_look {
    struct json_doc *doc;
    const struct json *result;
    struct top_row *rows;
    size_t n;
};
struct top_rates { /* per second; negative: this is the first look */
    double in, out, messages_in, messages_out;
};
#define TOP_ORDERS(X) X(TRAFFIC, "traffic") X(RTT, "round trip") X(QUEUED, "queue") X(NAME, "name")
#define TOP_ORDER_SYMBOL(symbol, name) TOP_BY_##symbol,
enum top_order { TOP_ORDERS(TOP_ORDER_SYMBOL) TOP_ORDER_COUNT };
struct top_view {
    size_t width, height; /* of the terminal, in columns and lines */
    bool colour;
    enum top_order order;
    size_t first;     /* row at the top of the table; set to the last page when it is beyond */
    const char *lost; /* why there was no new look; NULL: there was */
};

long long top_number(const struct top_look *l, const char *key);
/* Numbers for people; "-" for what is not known. */
const char *top_bytes(double v, char out[32]);
const char *top_count(double v, char out[32]);
const char *top_ms(const struct json *seconds, char out[32]);

/* Appends one picture of the node: at most view->height lines, none wider than view->width, each by itself
 * (the screen needs no clearing before). Leaves the rows in view->order. */
void top_draw(struct top_look *l, const struct top_rates *r, struct top_view *view, struct buf *out);

#endif
