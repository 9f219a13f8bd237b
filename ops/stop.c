#include <stdio.h>

#include "ops/service.h"

APPLET(stop)
const struct opt stop_opts[] = {
    {0, "drain", "D", NULL, "first deliver what is in the outbox, at most so long"}, OPT_DRY_RUN, {0}};
const char stop_text[] = "Usage: silktalk stop [--drain D]\n"
                         "Waits until the node has ended; a stopped node is fine too.\n"
                         "Examples:\n"
                         "  silktalk stop --drain 30s\n";

int stop_main(struct cli *c) {
    int64_t drain;
    if (c->n_args > 0) return cli_usage(c, "stop takes no words");
    enum err e = cli_duration(c, "drain", 0, &drain);
    if (e == OK && cli_would(c, "stop the node of %s", c->home.dir)) return 0;
    if (e == OK) e = service_stop(c, drain);
    if (e == OK && c->json) service_print(c);
    return cli_exit(c, e);
}
