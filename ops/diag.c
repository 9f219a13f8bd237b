#include <stdio.h>

#include "ops/cli.h"

APPLET(diag)
const struct opt diag_opts[] = {{0}};
const char diag_text[] =
    "Usage: silktalk diag limits [--json]\n"
    "Every limit: how much of it is used, how often it was reached, and what happens then.\n"
    "Examples:\n"
    "  silktalk diag limits\n";

CELL(name, text, "limit")
CELL(used, number, "used")
CELL(most, number, "max")
CELL(unit, text, "unit")
CELL(hits, number, "hits")
CELL(outcome, text, "outcome")
static const struct cli_column columns[] = {{"LIMIT", false, name}, {"USED", true, used},
                                            {"MAX", true, most},    {"UNIT", false, unit},
                                            {"HITS", true, hits},   {"OUTCOME", false, outcome}};

static void show(struct cli *c, const struct json *r) {
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
}

int diag_main(struct cli *c) {
    struct buf params;
    if (c->n_args != 1 || strcmp(c->args[0], "limits") != 0) return cli_usage(c, "diag needs: limits");
    struct json_out o = cli_params(&params);
    return cli_verb(c, "diag.limits", &params, &o, show);
}
