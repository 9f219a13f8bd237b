#include <stdio.h>

#include "base/mem.h"
#include "ops/config_versions.h"

APPLET(config)
const struct opt config_opts[] = {
    {0, "changed", NULL, NULL, "with list: only keys that are not at their default"},
    {0, "schema", NULL, NULL, "with list: JSON Schema of all keys"},
    OPT_DRY_RUN,
    {0}};
const char config_text[] = "Usage: silktalk config init | list [--changed|--schema] | get KEY | set KEY "
                           "VALUE | unset KEY | check [FILE] | path\n"
                           "       silktalk config history | diff [N] | rollback N\n"
                           "KEY is SECTION.KEY, such as connection.maxConnections. Lists are written with "
                           "commas or as a JSON array.\n"
                           "set and unset check everything first, keep comments and order, and a running "
                           "node applies them at once.\n"
                           "Each change is recorded: history lists who made it and when, diff shows what "
                           "changed since version N\n"
                           "(or what the last change did), rollback shows the difference and asks, then goes "
                           "back to version N.\n"
                           "Examples:\n"
                           "  silktalk config init\n"
                           "  silktalk config set connection.maxConnections 500\n"
                           "  silktalk config set network.listen '[\"/ip4/0.0.0.0/tcp/4001\"]'\n"
                           "  silktalk config list --changed\n"
                           "  silktalk config history\n"
                           "  silktalk config rollback 3\n";

static enum err key_of(struct cli *c, const char *word, enum config_key *key) {
    const char *near = NULL;
    *key = config_find(bytes_of(word), &near);
    if (*key != CONFIG_KEY_COUNT) return OK;
    if (near != NULL) return fail(&c->why, E_INPUT, "there is no key %.80s; did you mean %s?", word, near);
    return fail(&c->why, E_INPUT, "there is no key %.80s; see `silktalk config list`", word);
}

static enum err init(struct cli *c) {
    struct home_made made;
    if (c->dry_run && !home_exists(&c->home)) {
        cli_would(c, "make %s, with the home %s", c->home.conf, c->home.dir);
        return OK;
    }
    enum err e = home_create(&c->home, &made, &c->why);
    if (e != OK) return e;
    struct config *config = NULL;
    e = home_config(&c->home, &config, &c->why);
    if (e == OK && c->json)
        printf("{\"schema\":\"silktalk.config.init/1\",\"made\":%s}\n",
               made.config || made.identity ? "true" : "false");
    else if (e == OK && !made.folder && !made.config && !made.identity)
        printf("Nothing to do: %s has a configuration and an identity already.\n", c->home.dir);
    if (e == OK && !c->json && made.config) printf("Configuration  %s\n", c->home.conf);
    if (e == OK && !c->json && made.identity)
        printf("Identity       %s (keep a copy in a safe place)\n", cfg(config, node_identity).text);
    config_free(config);
    char old[PATH_SIZE];
    home_old_installation(&c->home, false, old);
    if (e == OK && old[0] != 0)
        cli_note(c, "An old configuration was found at %s: it is not used; `silktalk import` would.", old);
    return e;
}

/* What the node works with now: values by key, in the form of `config list`; NULL: no node. */
static const struct json *running_values(struct cli *c, struct json_doc **answer) {
    struct buf params;
    const struct json *result = NULL;
    struct why kept = c->why;
    if (!cli_node_runs(c)) return NULL;
    struct json_out o = cli_params(&params);
    if (cli_ask(c, "config.list", &params, &o, c->timeout_ms, answer, &result) != OK) c->why = kept;
    return json_get(result, "items");
}

/* pending: the node does not work with this value yet; null: there is no node to ask. */
static void put_items(const struct json *items, const struct json *running, struct json_out *o) {
    static const char *const members[] = {"key", "value", "default", "source", "applies"};
    json_open(o, "items", '[');
    for (size_t i = 0; i < json_count(items); i++) {
        const struct json *item = json_at(items, i), *there = NULL;
        json_open(o, NULL, '{');
        for (size_t k = 0; k < LEN(members); k++) json_put_value(o, members[k], json_get(item, members[k]));
        for (size_t k = 0; k < json_count(running) && there == NULL; k++)
            if (bytes_eq(json_get_bytes(json_at(running, k), "key"), json_get_bytes(item, "key")))
                there = json_at(running, k);
        if (there == NULL)
            json_put_null(o, "pending");
        else
            json_put_bool(o, "pending",
                          !bytes_eq(json_get_bytes(there, "value"), json_get_bytes(item, "value")));
        json_shut(o, '}');
    }
    json_shut(o, ']');
}

static void print_items(struct cli *c, const struct json *items) {
    struct buf line = {.max = 4 << 20};
    struct json_doc *answer = NULL;
    const struct json *running = running_values(c, &answer);
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.config.list/1");
    put_items(items, running, &o);
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    json_free(answer);
    buf_free(&line);
}

CELL(key, text, "key")
CELL(value, text, "value")
CELL(otherwise, text, "default")
CELL(source, text, "source")
CELL(applies, text, "applies")
static const struct cli_column columns[] = {{"KEY", false, key},
                                            {"VALUE", false, value},
                                            {"DEFAULT", false, otherwise},
                                            {"SOURCE", false, source},
                                            {"APPLIES", false, applies}};

static enum err list(struct cli *c) {
    struct buf line = {.max = 4 << 20};
    enum err e = OK;
    if (cli_given(c, "schema")) {
        if (!config_schema_json(&line))
            e = fail(&c->why, E_MEMORY, "out of memory");
        else
            printf("%s\n", buf_cstr(&line));
        buf_free(&line);
        return e;
    }
    e = cli_config(c);
    if (e != OK) return e;
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.config.list/1");
    json_open(&o, "items", '[');
    config_list_json(c->config, NULL, cli_given(c, "changed"), NULL, &o);
    json_shut(&o, ']');
    json_shut(&o, '}');
    struct json_doc *doc = json_end(&o) ? json_parse(buf_view(&line), &c->why) : NULL;
    if (doc == NULL)
        e = fail(&c->why, E_MEMORY, "out of memory");
    else if (c->json)
        print_items(c, json_get(json_root(doc), "items"));
    else
        cli_table(c, columns, LEN(columns), json_get(json_root(doc), "items"));
    json_free(doc);
    buf_free(&line);
    return e;
}

static enum err get(struct cli *c) {
    enum config_key k;
    enum err e = key_of(c, c->args[1], &k);
    if (e == OK) e = cli_config(c);
    if (e != OK) return e;
    const struct config_entry *entry = &c->config->entries[k];
    if (c->json) {
        struct buf line = {.max = 1 << 20};
        struct json_out o = json_begin(&line);
        json_open(&o, NULL, '{');
        json_put_str(&o, "schema", "silktalk.config.get/1");
        json_put_str(&o, "key", config_rows[k].name);
        json_put_str(&o, "value", entry->text);
        json_put_str(&o, "source", entry->source);
        json_shut(&o, '}');
        if (json_end(&o)) printf("%s\n", buf_cstr(&line));
        buf_free(&line);
    } else if (config_rows[k].type >= CONFIG_PEERS) {
        for (size_t i = 0; i < entry->value.list.n; i++) printf("%s\n", entry->value.list.texts[i]);
    } else {
        printf("%s\n", entry->text);
    }
    return OK;
}

/* What was set in CONF may be set again in conf.d, which counts more. */
static void say_overridden(struct cli *c, enum config_key k) {
    size_t n = strlen(c->home.conf);
    struct why kept = c->why;
    if (cli_config(c) != OK) {
        c->why = kept;
        return;
    }
    const char *source = c->config->entries[k].source;
    bool here = strncmp(source, c->home.conf, n) == 0 && source[n] == ':';
    if (!here && strcmp(source, "default") != 0)
        cli_note(c, "%s is also set at %s, which counts more.", config_rows[k].name, source);
}

static enum err set(struct cli *c, bool unset) {
    enum config_key k;
    struct config_outcome done;
    enum err e = key_of(c, c->args[1], &k);
    if (e != OK) return e;
    struct bytes text = unset ? (struct bytes){NULL, 0} : bytes_of(c->args[2]);
    e = config_file_set(c, unset ? "config unset" : "config set", k, unset ? NULL : &text, &done);
    if (e == OK && c->json)
        printf("{\"schema\":\"silktalk.config.%s/1\",\"key\":\"%s\",\"outcome\":\"%s\"}\n",
               unset ? "unset" : "set", config_rows[k].name, done.word);
    else if (e == OK)
        printf("%s: %s\n", config_rows[k].name, done.word);
    buf_free(&done.keys);
    if (e == OK && !c->dry_run) say_overridden(c, k);
    return e;
}

static enum err check(struct cli *c) {
    struct config *config = NULL;
    struct buf warnings = {.max = 65536};
    if (c->n_args == 2 && strlen(c->args[1]) < sizeof c->home.conf) {
        struct why w;
        enum err there = file_facts(c->args[1], &(struct file_facts){0}, &w);
        if (there != OK) return fail(&c->why, there, "%s", w.text);
        snprintf(c->home.conf, sizeof c->home.conf, "%s", c->args[1]);
    }
    enum err e = home_config(&c->home, &config, &c->why);
    if (e == OK) {
        if (config_warnings(config, &warnings) && warnings.n > 0) fprintf(stderr, "%s", buf_cstr(&warnings));
        if (c->json)
            printf("{\"schema\":\"silktalk.config.check/1\",\"good\":true}\n");
        else
            printf("%s: good\n", c->home.conf);
    }
    buf_free(&warnings);
    config_free(config);
    return e;
}

static void path(const struct cli *c) {
    struct buf line = {.max = 8192};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.config.path/1");
    json_put_str(&o, "path", c->home.conf);
    json_put_str(&o, "home", c->home.dir);
    json_shut(&o, '}');
    if (!c->json)
        printf("%s\n", c->home.conf);
    else if (json_end(&o))
        printf("%s\n", buf_cstr(&line));
    buf_free(&line);
}

int config_main(struct cli *c) {
    const char *verb = c->n_args > 0 ? c->args[0] : "";
    int words = c->n_args - 1;
    enum err e;
    if (strcmp(verb, "init") == 0 && words == 0)
        e = init(c);
    else if (strcmp(verb, "list") == 0 && words == 0)
        e = list(c);
    else if (strcmp(verb, "get") == 0 && words == 1)
        e = get(c);
    else if (strcmp(verb, "set") == 0 && words == 2)
        e = set(c, false);
    else if (strcmp(verb, "unset") == 0 && words == 1)
        e = set(c, true);
    else if (strcmp(verb, "check") == 0 && words <= 1)
        e = check(c);
    else if (strcmp(verb, "history") == 0 && words == 0)
        e = config_history(c);
    else if (strcmp(verb, "diff") == 0 && words <= 1)
        e = config_diff(c, words == 1 ? c->args[1] : NULL);
    else if (strcmp(verb, "rollback") == 0 && words == 1)
        e = config_rollback(c, c->args[1]);
    else if (strcmp(verb, "path") == 0 && words == 0) {
        path(c);
        e = OK;
    } else {
        return cli_usage(
            c, "config needs init, list, get KEY, set KEY VALUE, unset KEY, check [FILE], path, history, "
               "diff [N] or rollback N");
    }
    return cli_exit(c, e);
}
