#include <stdio.h>

#include "ops/cli.h"

APPLET(maintenance)
const struct opt maintenance_opts[] = {
    {0, "for", "D", NULL, "with on: ends by itself after this time"},
    {0, "notify", "TEXT", NULL, "with on: send this message to the peers that are known to the operator"},
    OPT_DRY_RUN,
    {0}};
const char maintenance_text[] =
    "Usage: silktalk maintenance on [--for D] [--notify TEXT] | off | status\n"
    "While it is on, alerts are silent, status and /health show it, and /readyz answers 503.\n"
    "It outlasts restarts of the node.\n"
    "Examples:\n"
    "  silktalk maintenance on --for 2h --notify \"Upgrade until noon\"\n"
    "  silktalk maintenance off\n";

static void show(struct cli *c, const struct json *r) {
    const struct json *m = json_get(r, "maintenance");
    struct buf until = {.max = 256}, text = {.max = 1024};
    (void)c;
    if (!json_is_object(m)) {
        puts("No maintenance.");
        return;
    }
    cli_time(json_get(m, "until"), &until);
    cli_safe(json_get_bytes(m, "text"), false, &text);
    printf("Maintenance %s%s%s%s\n", until.n > 0 ? "until " : "until it is switched off", buf_cstr(&until),
           text.n > 0 ? ": " : "", buf_cstr(&text));
    buf_free(&until);
    buf_free(&text);
}

int maintenance_main(struct cli *c) {
    const char *word = c->n_args == 1 ? c->args[0] : "";
    bool on = strcmp(word, "on") == 0, off = strcmp(word, "off") == 0;
    struct buf params;
    int64_t for_ms;
    if (!on && !off && strcmp(word, "status") != 0)
        return cli_usage(c, "maintenance needs on, off or status");
    if (!on && (cli_given(c, "for") || cli_given(c, "notify")))
        return cli_usage(c, "--for and --notify go with on");
    enum err e = cli_period(c, "for", &for_ms);
    if (e != OK) return cli_exit(c, e);
    if ((on || off) && cli_would(c, "switch maintenance %s", word)) return 0;
    struct json_out o = cli_params(&params);
    if (on || off) json_put_str(&o, "state", word);
    if (for_ms > 0) json_put_int(&o, "for_ms", for_ms);
    if (cli_given(c, "notify")) json_put_str(&o, "notify", cli_value(c, "notify"));
    return cli_verb(c, "maintenance", &params, &o, show);
}
