#include "ops/inbox.h"

#include <stdio.h>

#include "base/text.h"

APPLET(inbox)
const struct opt inbox_opts[] = {
    {0, "from", "PEER", NULL, "only of this peer"},
    {'u', "unread", NULL, NULL, "only unread ones"},
    {0, "search", "TEXT", NULL, "only with this text in subject or body"},
    {'n', "number", "N", "1000", "most rows"},
    {'f', "follow", NULL, NULL, "print messages as they come"},
    {0, "exec", "PROGRAM", NULL,
     "with --follow: run it once per message (the words behind are its arguments)"},
    {0, "older", "D", NULL, "with delete: all that are older"},
    {'o', "output", "FILE", NULL, "with export: into a new file"},
    {0, "since", "T", NULL, "with export: received since (7d ago: 7d; or 2026-02-22T10:00)"},
    {0, "format", "F", "jsonl", "with export: jsonl or mbox"},
    OPT_DRY_RUN,
    {0}};
const char inbox_text[] =
    "Usage: silktalk inbox [--from PEER] [--unread] [--search TEXT] [-n N]\n"
    "       silktalk inbox --follow [--json] [--exec PROGRAM [ARG]...]\n"
    "       silktalk inbox delete ID... | --older D\n"
    "       silktalk inbox export [-o FILE] [--since T] [--format jsonl|mbox]\n"
    "An unread message is marked with *. --exec runs PROGRAM without a shell, the body on its standard "
    "input, and\n"
    "SILKTALK_ID, _FROM, _NAME, _SUBJECT, _FILE, _TYPE, _SENT, _RECEIVED, _BYTES, _REPLY_TO in its "
    "environment. It "
    "begins with\n"
    "what is unread; a message is marked read when PROGRAM exits 0, else it is tried again, in order.\n"
    "Examples:\n"
    "  silktalk inbox --unread\n"
    "  silktalk inbox --search backup --from web-02\n"
    "  silktalk inbox --follow --exec /usr/local/bin/on-message alert\n"
    "  silktalk inbox delete --older 30d\n"
    "  silktalk inbox export -o inbox.mbox --format mbox --since 30d\n";

CELL(id, text, "id")
CELL(received, age, "received")
CELL(size, size, "bytes")
CELL(subject, text, "subject")
static void from(const struct json *row, struct buf *out) {
    if (json_is_text(json_get(row, "name")))
        cell_text(row, "name", out);
    else
        cell_id(row, "from", out);
}
static void unread(const struct json *row, struct buf *out) {
    buf_add_text(out, json_get_bool(row, "read", false) ? " " : "*");
}
static const struct cli_column columns[] = {
    {"ID", false, id},     {"FROM", false, from},   {"RECEIVED", false, received},
    {"BYTES", true, size}, {"READ", false, unread}, {"SUBJECT", false, subject}};

static void show(struct cli *c, const struct json *r) {
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
}

static int list(struct cli *c) {
    struct buf params;
    int64_t n;
    enum err e = cli_number(c, "number", 1000, 1, 10000, &n);
    if (e != OK) return cli_exit(c, e);
    struct json_out o = cli_params(&params);
    if (cli_given(c, "from")) json_put_str(&o, "from", cli_value(c, "from"));
    if (cli_given(c, "search")) json_put_str(&o, "search", cli_value(c, "search"));
    json_put_bool(&o, "unread", cli_given(c, "unread"));
    json_put_int(&o, "n", n);
    return cli_verb(c, "inbox.list", &params, &o, show);
}

static void show_count(struct cli *c, const struct json *r) {
    (void)c;
    printf("%lld deleted\n", (long long)json_get_int(r, "count", 0));
}

static int delete (struct cli *c) {
    struct buf params;
    int64_t older = 0;
    bool by_age = cli_given(c, "older");
    if (by_age == (c->n_args > 1)) return cli_usage(c, "inbox delete needs ids, or --older D");
    enum err e = cli_duration(c, "older", 0, &older);
    if (e != OK) return cli_exit(c, e);
    if (by_age ? cli_would(c, "delete all messages older than %.40s", cli_value(c, "older"))
               : cli_would(c, "delete %d messages", c->n_args - 1))
        return 0;
    char question[128];
    snprintf(question, sizeof question, "Delete %s for good?",
             by_age ? "all messages older than that" : "these messages");
    if (!cli_confirm(c, question)) return cli_usage(c, "not confirmed; --yes deletes without asking");
    if (by_age) {
        struct json_out o = cli_params(&params);
        json_put_int(&o, "older_ms", older);
        return cli_verb(c, "inbox.delete", &params, &o, show_count);
    }
    for (int i = 1; i < c->n_args; i++) {
        struct json_out o = cli_params(&params);
        json_put_str(&o, "id", c->args[i]);
        int code = cli_verb(c, "inbox.delete", &params, &o, show_count);
        if (code != 0) return code;
    }
    return 0;
}

int inbox_main(struct cli *c) {
    if (cli_given(c, "follow")) {
        if (cli_given(c, "exec") && c->n_args == 0 && cli_value(c, "exec")[0] == 0)
            return cli_usage(c, "--exec needs a program");
        return inbox_follow(c);
    }
    if (cli_given(c, "exec")) return cli_usage(c, "--exec belongs to --follow");
    if (c->n_args > 0 && strcmp(c->args[0], "delete") == 0) return delete (c);
    if (c->n_args > 0 && strcmp(c->args[0], "export") == 0) return inbox_export(c);
    if (c->n_args > 0) return cli_usage(c, "inbox knows delete and export");
    return list(c);
}
