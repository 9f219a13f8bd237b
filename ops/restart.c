#include "ops/service.h"

APPLET(restart)
const struct opt restart_opts[] = {OPT_DRY_RUN, {0}};
const char restart_text[] = "Usage: silktalk restart\n"
                            "Examples:\n"
                            "  silktalk restart\n";

int restart_main(struct cli *c) {
    if (c->n_args > 0) return cli_usage(c, "restart takes no words");
    if (cli_would(c, "stop and start the node of %s", c->home.dir)) return 0;
    enum err e = service_stop(c, 0);
    if (e == OK) e = service_start(c);
    if (e == OK && c->json) service_print(c);
    return cli_exit(c, e);
}
