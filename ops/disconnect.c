#include <stdio.h>

#include "ops/cli.h"

APPLET(disconnect)
const struct opt disconnect_opts[] = {OPT_DRY_RUN, {0}};
const char disconnect_text[] = "Usage: silktalk disconnect PEER\n"
                               "Examples:\n"
                               "  silktalk disconnect web-02\n";

static void show(struct cli *c, const struct json *r) {
    struct bytes id = json_get_bytes(r, "peer_id");
    (void)c;
    printf("Disconnected from %.*s\n", (int)id.n, (const char *)id.p);
}

int disconnect_main(struct cli *c) {
    struct buf params;
    if (c->n_args != 1) return cli_usage(c, "disconnect needs one peer");
    if (cli_would(c, "close all connections to %.200s", c->args[0])) return 0;
    struct json_out o = cli_params(&params);
    json_put_str(&o, "peer", c->args[0]);
    return cli_verb(c, "disconnect", &params, &o, show);
}
