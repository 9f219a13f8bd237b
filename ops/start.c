#include <stdio.h>

#include "ops/service.h"

APPLET(start)
const struct opt start_opts[] = {OPT_DRY_RUN, {0}};
const char start_text[] =
    "Usage: silktalk start\n"
    "With systemd and the installed unit this is `systemctl start silktalk`; else the daemon is put into "
    "the\n"
    "background, and its log is the file that `silktalk status` and `silktalk config path` lead to.\n"
    "Examples:\n"
    "  silktalk start\n";

int start_main(struct cli *c) {
    if (c->n_args > 0) return cli_usage(c, "start takes no words");
    if (cli_would(c, "start the node of %s", c->home.dir)) return 0;
    enum err e = service_start(c);
    if (e == OK && c->json) service_print(c);
    return cli_exit(c, e);
}
