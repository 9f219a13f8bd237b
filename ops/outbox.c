#include <stdio.h>

#include "ops/cli.h"

APPLET(outbox)
const struct opt outbox_opts[] = {{'n', "number", "N", "1000", "most rows"}, {0}};
const char outbox_text[] =
    "Usage: silktalk outbox | retry [ID] | cancel ID\n"
    "retry sends failed messages again, under new ids; cancel forgets one that was not delivered.\n"
    "Examples:\n"
    "  silktalk outbox\n"
    "  silktalk outbox retry\n"
    "  silktalk outbox cancel 3f9a2b\n";

CELL(id, text, "id")
CELL(peer_id, id, "peer_id")
CELL(state, text, "state")
CELL(size, size, "bytes")
CELL(created, age, "created")
CELL(tries, number, "tries")
CELL(last_error, text, "last_error")
static void next_try(const struct json *row, struct buf *out) {
    if (json_is_text(json_get(row, "next_try"))) cli_age(json_get(row, "next_try"), out);
}
static const struct cli_column columns[] = {{"ID", false, id},
                                            {"PEER-ID", false, peer_id},
                                            {"STATE", false, state},
                                            {"BYTES", true, size},
                                            {"CREATED", false, created},
                                            {"TRIES", true, tries},
                                            {"NEXT-TRY", false, next_try},
                                            {"LAST-ERROR", false, last_error}};

static void show(struct cli *c, const struct json *r) {
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
}

static void show_count(struct cli *c, const struct json *r) {
    (void)c;
    printf("%lld queued again\n", (long long)json_get_int(r, "count", 0));
}

int outbox_main(struct cli *c) {
    struct buf params;
    int64_t n;
    const char *verb = c->n_args > 0 ? c->args[0] : "list";
    bool listing = strcmp(verb, "list") == 0, retrying = strcmp(verb, "retry") == 0,
         cancelling = strcmp(verb, "cancel") == 0;
    if (!listing && !retrying && !cancelling) return cli_usage(c, "outbox knows retry and cancel");
    if (cancelling && c->n_args != 2) return cli_usage(c, "outbox cancel needs one id");
    if (c->n_args > 2) return cli_usage(c, "too many words");
    enum err e = cli_number(c, "number", 1000, 1, 10000, &n);
    if (e != OK) return cli_exit(c, e);
    struct json_out o = cli_params(&params);
    if (c->n_args == 2) json_put_str(&o, "id", c->args[1]);
    if (listing) json_put_int(&o, "n", n);
    return cli_verb(c,
                    listing    ? "outbox.list"
                    : retrying ? "outbox.retry"
                               : "outbox.cancel",
                    &params, &o,
                    listing    ? show
                    : retrying ? show_count
                               : NULL);
}
