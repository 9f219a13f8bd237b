#include <stdio.h>

#include "base/mem.h"
#include "ops/config_file.h"

enum { TEST_MS = 45000 };

APPLET(bootstrap)
const struct opt bootstrap_opts[] = {OPT_DRY_RUN, {0}};
const char bootstrap_text[] =
    "Usage: silktalk bootstrap list | test | add MULTIADDR | remove MULTIADDR\n"
    "The node stays connected to these peers (discovery.bootstrap); each address ends in /p2p/ID.\n"
    "test tries each and says what happened; it exits 1 when one of them can not be reached.\n"
    "Examples:\n"
    "  silktalk bootstrap add /ip4/10.0.0.7/tcp/4001/p2p/12D3KooW...\n"
    "  silktalk bootstrap test\n";

CELL(addr, text, "addr")
CELL(state, text, "state")
CELL(tries, number, "tries")
CELL(error, text, "error")
static const struct cli_column columns[] = {
    {"ADDR", false, addr}, {"STATE", false, state}, {"TRIES", true, tries}, {"ERROR", false, error}};

static void show(struct cli *c, const struct json *r) {
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
}

/* With the node down: what the configuration says. */
static int list(struct cli *c) {
    if (cli_node_runs(c)) {
        struct buf params;
        struct json_out o = cli_params(&params);
        return cli_verb(c, "bootstrap.list", &params, &o, show);
    }
    enum err e = cli_config(c);
    if (e != OK) return cli_exit(c, e);
    const struct config_list *l = &cfg(c->config, discovery_bootstrap).list;
    if (c->json) fputs("{\"schema\":\"silktalk.bootstrap.list/1\",\"items\":[", stdout);
    for (size_t i = 0; i < l->n; i++) {
        if (c->json)
            printf("%s{\"addr\":\"%s\",\"state\":\"unknown\",\"tries\":null,\"error\":null}",
                   i == 0 ? "" : ",", l->texts[i]);
        else
            printf("%s\n", l->texts[i]);
    }
    if (c->json) puts("],\"next\":null}");
    return 0;
}

static void print_tried(const char *addr, enum err e, const struct why *w) {
    struct buf line = {.max = 8192};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.bootstrap.test/1");
    json_put_str(&o, "addr", addr);
    json_put_bool(&o, "ok", e == OK);
    json_put_str(&o, "error", e == OK ? NULL : w->text);
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&line);
}

static int test(struct cli *c) {
    enum err e = cli_config(c);
    if (e != OK) return cli_exit(c, e);
    const struct config_list *l = &cfg(c->config, discovery_bootstrap).list;
    if (l->n == 0)
        cli_note(c, "There are no bootstrap peers; add one with `silktalk bootstrap add MULTIADDR`.");
    size_t bad = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct buf params;
        struct json_doc *answer = NULL;
        const struct json *result = NULL;
        struct json_out o = cli_params(&params);
        json_put_str(&o, "peer", l->texts[i]);
        e = cli_ask(c, "connect", &params, &o, TEST_MS, &answer, &result);
        if (e == E_NOT_RUNNING) return cli_exit(c, e);
        bad += e != OK;
        if (c->json)
            print_tried(l->texts[i], e, &c->why);
        else
            printf("%-4s %s%s%s\n", e == OK ? "ok" : "FAIL", l->texts[i], e == OK ? "" : ": ",
                   e == OK ? "" : c->why.text);
        json_free(answer);
    }
    return bad > 0 ? 1 : 0;
}

/* The list without (or with) one address, as one comma list. */
static int change(struct cli *c, bool add) {
    struct buf value = {.max = CONFIG_LINE_MAX}, wanted = {.max = MULTIADDR_MAX};
    struct config_outcome done = {.word = ""};
    struct config_file f;
    bool found = false;
    enum err e = config_file_open(c, 0,
                                  &f); /* the list is read under its lock: two `add` at once both stay */
    if (e == OK) e = cli_config(c);
    if (e == OK) e = multiaddr_parse(bytes_of(c->args[1]), &wanted, &c->why);
    if (e == OK && add && multiaddr_target(buf_view(&wanted)).peer.n == 0)
        e = fail(&c->why, E_INPUT,
                 "the address needs /p2p/ID at its end; `silktalk connect` shows who answers there");
    const struct config_list *l = e == OK ? &cfg(c->config, discovery_bootstrap).list : NULL;
    for (size_t i = 0; l != NULL && i < l->n; i++) {
        bool same = bytes_eq(l->items[i], buf_view(&wanted));
        found |= same;
        if (!same || add) buf_add_format(&value, "%s%s", value.n > 0 ? ", " : "", l->texts[i]);
    }
    if (e == OK && !add && !found)
        e = fail(&c->why, E_NOT_FOUND, "that address is not in discovery.bootstrap");
    if (e == OK && add && !found) buf_add_format(&value, "%s%s", value.n > 0 ? ", " : "", c->args[1]);
    struct bytes text = buf_view(&value);
    if (e == OK && !(add && found))
        e = config_file_edit(c, &f, add ? "bootstrap add" : "bootstrap remove", CONFIG_discovery_bootstrap,
                             text.n > 0 ? &text : NULL);
    config_file_close(&f);
    if (e == OK && !(add && found)) e = config_file_tell(c, CONFIG_discovery_bootstrap, &done);
    if (e == OK && c->json)
        printf("{\"schema\":\"silktalk.bootstrap.%s/1\",\"outcome\":\"%s\"}\n", add ? "add" : "remove",
               add && found ? "already there" : done.word);
    else if (e == OK)
        printf("%s\n", add && found ? "It is there already." : done.word);
    buf_free(&done.keys);
    buf_free(&value);
    buf_free(&wanted);
    return cli_exit(c, e);
}

int bootstrap_main(struct cli *c) {
    const char *verb = c->n_args > 0 ? c->args[0] : "";
    if (strcmp(verb, "list") == 0 && c->n_args == 1) return list(c);
    if (strcmp(verb, "test") == 0 && c->n_args == 1) return test(c);
    if (strcmp(verb, "add") == 0 && c->n_args == 2) return change(c, true);
    if (strcmp(verb, "remove") == 0 && c->n_args == 2) return change(c, false);
    return cli_usage(c, "bootstrap needs list, test, add MULTIADDR or remove MULTIADDR");
}
