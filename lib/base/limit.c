/* lib/base/limit.c: the table of limits as data. */
#include "base/limit.h"

#define LIMIT_ROW(symbol, name, key, value, least, most, unit, outcome)                                      \
    [symbol] = {name, key, unit, outcome, value, least, most},
const struct limit_row limit_rows[LIMIT_COUNT] = {LIMITS(LIMIT_ROW)};

void limits_init(struct limits *l) {
    *l = (struct limits){0};
    for (unsigned i = 0; i < LIMIT_COUNT; i++) l->of[i].max = limit_rows[i].value;
}

bool limit_hit(struct limits *l, enum limit_id id, uint64_t used) {
    if (used < l->of[id].max) return false;
    l->of[id].hits++;
    return true;
}
