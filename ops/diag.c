#include <stdio.h>

#include "ops/cli.h"

APPLET(diag)
const struct opt diag_opts[] = {{0}};
const char diag_text[] =
    "Usage: silktalk diag limits | loop [--json]\n"
    "limits: how much of each is used, how often it was reached, and what happens then.\n"
    "loop: how long the turns of the node's loop take; slow ones took longer than 10 ms.\n"
    "Examples:\n"
    "  silktalk diag limits\n"
    "  silktalk diag loop\n";

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

static void show_loop(struct cli *c, const struct json *r) {
    (void)c;
    struct buf part = {.max = 64};
    cli_safe(json_get_bytes(r, "slowest_part"), false, &part);
    printf("Turns      %lld\n", (long long)json_get_int(r, "turns", 0));
    printf("Duration   mean %lldus  p50 <%lldus  p99 <%lldus  longest %lldus\n",
           (long long)json_get_int(r, "mean_us", 0), (long long)json_get_int(r, "p50_us", 0),
           (long long)json_get_int(r, "p99_us", 0), (long long)json_get_int(r, "max_us", 0));
    printf("Slow       %lld%s%s\n", (long long)json_get_int(r, "slow", 0), part.n > 0 ? ", last in " : "",
           buf_cstr(&part));
    printf("Store      %lld operations wait\n", (long long)json_get_int(r, "store_waiting", 0));
    printf("Watched    %lld connections\n", (long long)json_get_int(r, "connections", 0));
    buf_free(&part);
}

int diag_main(struct cli *c) {
    struct buf params;
    bool loop = c->n_args == 1 && strcmp(c->args[0], "loop") == 0;
    if (c->n_args != 1 || (!loop && strcmp(c->args[0], "limits") != 0))
        return cli_usage(c, "diag needs: limits or loop");
    struct json_out o = cli_params(&params);
    if (loop) return cli_verb(c, "diag.loop", &params, &o, show_loop);
    return cli_verb(c, "diag.limits", &params, &o, show);
}
