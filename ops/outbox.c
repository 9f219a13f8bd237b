#include <stdio.h>

#include "ops/outbox.h"

APPLET(outbox)
const struct opt outbox_opts[] = {{'n', "number", "N", "1000", "most rows"}, OPT_DRY_RUN, {0}};
const char outbox_text[] =
    "Usage: silktalk outbox | retry [ID] | cancel ID\n"
    "retry sends failed messages again, under new ids; cancel deletes one that was not delivered (it asks).\n"
    "With the node down it reads the database and the spool itself; the home's owner and root may.\n"
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

static int through_node(struct cli *c, const char *method, int64_t n,
                        void (*print)(struct cli *c, const struct json *r)) {
    struct buf params;
    struct json_out o = cli_params(&params);
    if (c->n_args == 2) json_put_str(&o, "id", c->args[1]);
    json_put_int(&o, "n", n);
    return cli_verb(c, method, &params, &o, print);
}

static int list(struct cli *c) {
    struct json_doc *answer = NULL;
    int64_t n;
    enum err e = cli_number(c, "number", 1000, 1, 10000, &n);
    if (e == OK && cli_node_runs(c)) return through_node(c, "outbox.list", n, show);
    if (e == OK) e = outbox_offline_list(c, (size_t)n, &answer);
    if (e == OK && c->json)
        cli_print_json(json_root(answer));
    else if (e == OK)
        show(c, json_root(answer));
    json_free(answer);
    return cli_exit(c, e);
}

static int retry(struct cli *c) {
    struct json_doc *answer = NULL;
    if (cli_would(c, "send %.40s again", c->n_args == 2 ? c->args[1] : "all failed messages")) return 0;
    if (cli_node_runs(c)) return through_node(c, "outbox.retry", 1, show_count);
    enum err e = outbox_offline_retry(c, c->n_args == 2 ? c->args[1] : NULL, &answer);
    if (e == OK && c->json)
        cli_print_json(json_root(answer));
    else if (e == OK)
        show_count(c, json_root(answer));
    json_free(answer);
    return cli_exit(c, e);
}

static int cancel(struct cli *c) {
    struct json_doc *answer = NULL;
    if (cli_would(c, "cancel %.40s", c->args[1])) return 0;
    if (!cli_confirm(c, "Cancel this message? It is deleted, and not delivered."))
        return cli_usage(c, "not confirmed; --yes cancels without asking");
    if (cli_node_runs(c)) return through_node(c, "outbox.cancel", 1, NULL);
    enum err e = outbox_offline_cancel(c, c->args[1], &answer);
    if (e == OK && c->json) cli_print_json(json_root(answer));
    json_free(answer);
    return cli_exit(c, e);
}

int outbox_main(struct cli *c) {
    const char *verb = c->n_args > 0 ? c->args[0] : "";
    if (c->n_args == 0) return list(c);
    if (strcmp(verb, "retry") == 0 && c->n_args <= 2) return retry(c);
    if (strcmp(verb, "cancel") == 0 && c->n_args == 2) return cancel(c);
    return cli_usage(c, strcmp(verb, "cancel") == 0 ? "outbox cancel needs one id"
                                                    : "outbox knows retry and cancel");
}
