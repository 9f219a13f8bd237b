#include <stdio.h>

#include "base/text.h"
#include "ops/cli.h"

APPLET(explain)
const struct opt explain_opts[] = {{0}};
const char explain_text[] = "Usage: silktalk explain PEER\n"
                            "Shows the rule that decides, each address, the last tries with their errors, "
                            "the verdict and the next try.\n"
                            "Examples:\n"
                            "  silktalk explain web-02\n";

CELL(step, text, "step")
CELL(addr, text, "addr")
CELL(result_of, text, "result")
static void at(const struct json *row, struct buf *out) {
    if (json_is_text(json_get(row, "at"))) cli_age(json_get(row, "at"), out);
}
CELL(detail, text, "detail")
static const struct cli_column columns[] = {{"STEP", false, step},
                                            {"ADDR", false, addr},
                                            {"RESULT", false, result_of},
                                            {"AT", false, at},
                                            {"DETAIL", false, detail}};

static void show(struct cli *c, const struct json *r) {
    struct buf verdict = {.max = 1024}, next = {.max = 64};
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
    cli_safe(json_get_bytes(r, "verdict"), false, &verdict);
    printf("Verdict   %s\n", buf_cstr(&verdict));
    if (json_is_text(json_get(r, "next_try"))) {
        cli_age(json_get(r, "next_try"), &next);
        printf("Next try  %s\n", buf_cstr(&next));
    }
    buf_free(&verdict);
    buf_free(&next);
}

int explain_main(struct cli *c) {
    struct buf params;
    if (c->n_args != 1) return cli_usage(c, "explain needs one peer");
    struct json_out o = cli_params(&params);
    json_put_str(&o, "peer", c->args[0]);
    return cli_verb(c, "explain", &params, &o, show);
}
