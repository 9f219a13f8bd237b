#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/rng.h"
#include "loop/clocks.h"
#include "node/tokens.h"
#include "ops/config_file.h"

APPLET(token)
const struct opt token_opts[] = {
    {0, "scope", "SCOPE", "read", "what it may: read, messages (and send, read, delete them), admin (all)"},
    {0, "for", "D", "never ends", "it expires after this time"},
    OPT_DRY_RUN,
    {0}};
const char token_text[] = "Usage: silktalk token create NAME [--scope SCOPE] [--for D] | revoke NAME | list\n"
                          "Access tokens for HTTP (http.listen): programs send `Authorization: Bearer "
                          "TOKEN`. A token is shown once,\n"
                          "when it is made; the file http.tokenFile keeps its SHA-256 alone. A running node "
                          "takes changes up at once.\n"
                          "Examples:\n"
                          "  silktalk token create prometheus --for 365d\n"
                          "  silktalk token create mailer --scope messages -q >/etc/mailer/silktalk.token\n"
                          "  silktalk token list\n";

struct token_file {
    struct config_file conf; /* its lock is ours too: two changes at once both stay */
    const char *path;
    struct file_facts facts;
    bool there;
    struct tokens tokens;
};

static enum err read_tokens(struct cli *c, struct token_file *f) {
    struct buf text = {.max = TOKENS_FILE_MAX};
    struct why w = {OK, ""};
    f->path = cfg(c->config, http_tokenFile).text;
    enum err e = file_read(f->path, 0, TOKENS_FILE_MAX, 0640, &text, &f->facts, &c->why);
    f->there = e == OK;
    if (e == OK) e = tokens_read(buf_view(&text), &f->tokens, &w);
    if (w.code != OK) fail(&c->why, E_INPUT, "%s: %s", f->path, w.text);
    buf_wipe(&text);
    return e == E_NOT_FOUND ? OK : e;
}

/* A new file is as CONF: the node's group may read it. */
static enum err write_tokens(struct cli *c, const struct token_file *f) {
    struct buf text = {.max = TOKENS_FILE_MAX};
    struct file_facts like = f->facts;
    enum err e = OK;
    if (!tokens_write(&f->tokens, &text)) e = fail(&c->why, E_LIMIT, "the token file would be too large");
    if (e == OK && !f->there) e = file_facts(c->home.conf, &like, &c->why);
    mode_t mode = f->there ? like.mode : like.mode & 0640;
    if (e == OK)
        e = geteuid() == 0 ? file_replace_as(f->path, buf_view(&text), mode, like.uid, like.gid, &c->why)
                           : file_replace(f->path, buf_view(&text), mode, &c->why);
    buf_free(&text);
    return e;
}

static const char *tell(struct cli *c) {
    struct json_doc *answer = NULL;
    const struct json *result;
    if (!cli_node_runs(c)) return "the node is not running";
    enum err e = cli_call(c, "reload", (struct bytes){NULL, 0}, c->timeout_ms, &answer, &result);
    json_free(answer);
    return e == OK ? "applied" : "the node could not reload; see `silktalk reload`";
}

static void print_token(struct json_out *o, const struct token *t, const char *text) {
    json_put_str(o, "name", t->name);
    json_put_str(o, "scope", scope_name(t->scope));
    json_put_wall(o, "expires", t->expires);
    if (text != NULL) json_put_str(o, "token", text);
}

static void print_line(struct buf *line, struct json_out *o) {
    json_shut(o, '}');
    if (json_end(o)) printf("%s\n", buf_cstr(line));
    buf_wipe(line);
}

static struct json_out begin_line(struct buf *line, const char *schema) {
    *line = (struct buf){.max = 128 << 10};
    struct json_out o = json_begin(line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", schema);
    return o;
}

static enum err create_token(struct cli *c, struct token_file *f) {
    const char *scope_text = cli_value(c, "scope");
    enum scope scope = SCOPE_READ;
    int64_t life = 0;
    uint8_t random[TOKEN_BYTES];
    char text[TOKEN_TEXT];
    struct rng rng;
    enum err e = cli_period(c, "for", &life);
    if (e != OK) return e;
    if (scope_text != NULL && !scope_parse(bytes_of(scope_text), &scope))
        return fail(&c->why, E_USAGE, "--scope is read, messages or admin");
    rng_system(&rng);
    rng_fill(&rng, random, sizeof random);
    rng_wipe(&rng);
    struct wall expires = {life > 0 ? clocks_now().wall.ms + life : 0};
    e = tokens_add(&f->tokens, bytes_of(c->args[1]), scope, expires, random, text, &c->why);
    mem_wipe(random, sizeof random);
    if (e != OK || cli_would(c, "make the %s token %s", scope_name(scope), c->args[1])) return e;
    e = write_tokens(c, f);
    if (e != OK) return e;
    const char *applied = tell(c);
    if (c->json) {
        struct buf line;
        struct json_out o = begin_line(&line, "silktalk.token.create/1");
        print_token(&o, &f->tokens.of[f->tokens.n - 1], text);
        print_line(&line, &o);
    } else {
        printf("%s\n", text);
        cli_note(c, "It is shown this once. Scope %s; %s.", scope_name(scope), applied);
    }
    mem_wipe(text, sizeof text);
    return OK;
}

static enum err revoke_token(struct cli *c, struct token_file *f) {
    if (!tokens_drop(&f->tokens, bytes_of(c->args[1])))
        return fail(&c->why, E_NOT_FOUND, "there is no token %s; see `silktalk token list`", c->args[1]);
    if (cli_would(c, "revoke the token %s", c->args[1])) return OK;
    enum err e = write_tokens(c, f);
    if (e != OK) return e;
    const char *applied = tell(c);
    if (c->json) {
        struct buf line;
        struct json_out o = begin_line(&line, "silktalk.token.revoke/1");
        json_put_str(&o, "name", c->args[1]);
        print_line(&line, &o);
    } else {
        printf("Revoked; %s.\n", applied);
    }
    return OK;
}

CELL(name_cell, text, "name")
CELL(scope_cell, text, "scope")
static void expires_cell(const struct json *row, struct buf *out) {
    const struct json *at = json_get(row, "expires");
    if (json_is_null(at))
        buf_add_text(out, "never");
    else
        cli_time(at, out);
}
static const struct cli_column columns[] = {
    {"NAME", false, name_cell}, {"SCOPE", false, scope_cell}, {"EXPIRES", false, expires_cell}};

static enum err list_tokens(struct cli *c, const struct token_file *f) {
    struct buf line;
    struct json_out o = begin_line(&line, "silktalk.token.list/1");
    json_open(&o, "items", '[');
    for (size_t i = 0; i < f->tokens.n; i++) {
        json_open(&o, NULL, '{');
        print_token(&o, &f->tokens.of[i], NULL);
        json_shut(&o, '}');
    }
    json_shut(&o, ']');
    if (c->json) {
        print_line(&line, &o);
        return OK;
    }
    json_shut(&o, '}');
    struct json_doc *doc = json_end(&o) ? json_parse(buf_view(&line), NULL) : NULL;
    if (doc != NULL) cli_table(c, columns, LEN(columns), json_get(json_root(doc), "items"));
    json_free(doc);
    buf_free(&line);
    return OK;
}

int token_main(struct cli *c) {
    const char *verb = c->n_args > 0 ? c->args[0] : "";
    bool is_list = strcmp(verb, "list") == 0 && c->n_args == 1;
    bool is_create = strcmp(verb, "create") == 0 && c->n_args == 2;
    bool is_revoke = strcmp(verb, "revoke") == 0 && c->n_args == 2;
    if (!is_list && !is_create && !is_revoke)
        return cli_usage(c, "token needs create NAME, revoke NAME or list");
    struct token_file f = {.conf = {.history = {.lock = -1}}};
    bool as_owner = home_conf_inside(&c->home) && home_as_owner(&c->home);
    enum err e = is_list ? OK : config_file_open(c, 0, &f.conf);
    if (e == OK) e = cli_config(c);
    if (e == OK) e = read_tokens(c, &f);
    if (e == OK) e = is_list ? list_tokens(c, &f) : is_create ? create_token(c, &f) : revoke_token(c, &f);
    if (!is_list) config_file_close(&f.conf);
    tokens_free(&f.tokens);
    if (as_owner) home_as_self();
    return cli_exit(c, e);
}
