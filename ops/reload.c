#include <stdio.h>

#include "ops/config_file.h"

APPLET(reload)
const struct opt reload_opts[] = {OPT_DRY_RUN, {0}};
const char reload_text[] =
    "Usage: silktalk reload\n"
    "Reopens the logs, then applies the configuration: all of it, or nothing when it is bad (exit 6).\n"
    "Examples:\n"
    "  silktalk config check && silktalk reload\n";

static void list(const struct json *items, const char *title) {
    if (json_count(items) == 0) return;
    printf("%s", title);
    for (size_t i = 0; i < json_count(items); i++) {
        struct bytes key = json_bytes(json_at(items, i));
        printf(" %.*s", (int)key.n, (const char *)key.p);
    }
    puts("");
}

static void show(struct cli *c, const struct json *r) {
    (void)c;
    if (json_count(json_get(r, "changed")) == 0) puts("Reloaded: nothing changed");
    list(json_get(r, "changed"), "Applied:");
    list(json_get(r, "restart_pending"), "Restart needed for:");
}

int reload_main(struct cli *c) {
    struct buf params;
    if (c->n_args > 0) return cli_usage(c, "reload takes no words");
    if (c->dry_run) {
        enum err e = cli_config(c);
        if (e == OK) cli_would(c, "reload %s, which is good", c->home.conf);
        return cli_exit(c, e);
    }
    config_file_note(c); /* what was edited by hand becomes a version of the history */
    struct json_out o = cli_params(&params);
    return cli_verb(c, "reload", &params, &o, show);
}
