#include <stdio.h>

#include "base/event.h"
#include "ops/cli.h"

APPLET(log)
const struct opt log_opts[] = {{0, "for", "D", NULL, "only so long; then as before"}, OPT_DRY_RUN, {0}};
const char log_text[] =
    "Usage: silktalk log level [[COMPONENT=]LEVEL] [--for D]\n"
    "Levels: debug info warn error. Components: node net store message control config dns.\n"
    "Without a level it shows what is set. A restart or reload goes back to logging.level.\n"
    "Examples:\n"
    "  silktalk log level\n"
    "  silktalk log level net=debug --for 15m\n";

CELL(component, text, "component")
CELL(level, text, "level")
static void until(const struct json *row, struct buf *out) {
    if (json_is_text(json_get(row, "until"))) cli_age(json_get(row, "until"), out);
}
static const struct cli_column columns[] = {
    {"COMPONENT", false, component}, {"LEVEL", false, level}, {"UNTIL", false, until}};

static void show(struct cli *c, const struct json *r) {
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
}

int log_main(struct cli *c) {
    struct buf params;
    int64_t for_ms;
    if (c->n_args < 1 || c->n_args > 2 || strcmp(c->args[0], "level") != 0)
        return cli_usage(c, "log needs: level");
    enum err e = cli_duration(c, "for", 0, &for_ms);
    if (e != OK) return cli_exit(c, e);
    if (c->n_args == 2 && cli_would(c, "set %.60s", c->args[1])) return 0;
    struct json_out o = cli_params(&params);
    if (c->n_args == 2) {
        struct bytes word = bytes_of(c->args[1]), first = word;
        size_t equals = bytes_index(word, '=');
        if (equals < word.n) {
            json_put(&o, "component", bytes_sub(first, 0, equals));
            word = bytes_skip(word, equals + 1);
        }
        json_put(&o, "level", word.n == 0 ? bytes_of("?") : word);
        json_put_int(&o, "for_ms", for_ms);
    }
    return cli_verb(c, "log.level", &params, &o, show);
}
