#include "ops/config_versions.h"

#include <stdio.h>

#include "base/diff.h"

enum { OUTPUT_MAX = 64 << 20 };

static enum err number_of(struct cli *c, const char *word, unsigned *out) {
    uint64_t v = 0;
    if (!bytes_to_u64(bytes_of(word), 999999999, &v) || v == 0)
        return fail(&c->why, E_USAGE, "%.40s is no number of a version; see `silktalk config history`", word);
    *out = (unsigned)v;
    return OK;
}

/* CONF as it is, for looking; what can not be read is empty. */
static void read_now(struct cli *c, struct buf *now) {
    bool as_owner = home_conf_inside(&c->home) && home_as_owner(&c->home);
    *now = (struct buf){.max = CONFIG_FILE_MAX};
    if (file_read(c->home.conf, 0, CONFIG_FILE_MAX, FILE_ANY_MODE, now, NULL, NULL) != OK) buf_clear(now);
    if (as_owner) home_as_self();
}

/* ---- history */

static void who(const struct json *row, struct buf *out) {
    struct bytes login = json_get_bytes(row, "login");
    cell_text(row, "user", out);
    if (login.n > 0) {
        buf_add_text(out, " (");
        cell_text(row, "login", out);
        buf_add_text(out, ")");
    }
}

static void what(const struct json *row, struct buf *out) {
    const struct json *changes = json_get(row, "changes");
    size_t n = json_count(changes);
    for (size_t i = 0; i < n && i < 3; i++) {
        const struct json *change = json_at(changes, i);
        struct buf key = {.max = 128}, value = {.max = 64};
        cell_text(change, "key", &key);
        struct bytes text = json_get_bytes(change, "new");
        cli_safe(bytes_sub(text, 0, 40), false, &value);
        buf_add_format(out, "%s%s = %s%s", i == 0 ? "" : "; ", buf_cstr(&key),
                       json_is_text(json_get(change, "new")) ? buf_cstr(&value) : "(default)",
                       text.n > 40 ? "..." : "");
        buf_free(&key);
        buf_free(&value);
    }
    if (n > 3) buf_add_format(out, "; %zu more", n - 3);
}

static void when(const struct json *row, struct buf *out) {
    cli_time(json_get(row, "time"), out);
}
CELL(number, number, "version")
CELL(command, text, "command")
static const struct cli_column columns[] = {{"VERSION", true, number},
                                            {"TIME", false, when},
                                            {"USER", false, who},
                                            {"COMMAND", false, command},
                                            {"CHANGES", false, what}};

/* The record as it is, with whether it is what CONF holds now. */
static void put_item(const struct history_version *v, bool current, struct json_out *o) {
    static const char *const members[] = {"version", "time", "user", "uid", "login", "command", "changes"};
    json_open(o, NULL, '{');
    for (size_t i = 0; i < LEN(members); i++) {
        const struct json *value = json_get(json_root(v->head), members[i]);
        if (value != NULL)
            json_put_value(o, members[i], value);
        else
            json_put_null(o, members[i]);
    }
    json_put_bool(o, "current", current);
    json_shut(o, '}');
}

enum err config_history(struct cli *c) {
    struct history h;
    struct buf line = {.max = OUTPUT_MAX}, now;
    unsigned numbers[HISTORY_LIST_MAX];
    size_t n = 0, damaged = 0;
    config_file_note(c);
    enum err e = history_look(&h, c);
    if (e == OK) {
        e = history_list(&h, numbers, &n, &c->why);
        if (e != OK) history_close(&h);
    }
    if (e != OK) return e;
    read_now(c, &now);
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.config.history/1");
    json_open(&o, "items", '[');
    for (size_t i = n; i-- > 0;) { /* the newest first */
        struct history_version v;
        struct why w;
        enum err read = history_read(&h, numbers[i], &v, &w);
        if (read == OK) put_item(&v, i == n - 1 && bytes_eq(v.text, buf_view(&now)), &o);
        if (read != OK && read != E_NOT_FOUND && ++damaged == 1) cli_note(c, "%s", w.text);
        if (read == OK) history_version_free(&v);
    }
    json_shut(&o, ']');
    json_shut(&o, '}');
    struct json_doc *doc = json_end(&o) ? json_parse(buf_view(&line), &c->why) : NULL;
    if (doc == NULL)
        e = fail(&c->why, E_MEMORY, "out of memory");
    else if (c->json)
        printf("%s\n", buf_cstr(&line));
    else
        cli_table(c, columns, LEN(columns), json_get(json_root(doc), "items"));
    json_free(doc);
    history_close(&h);
    buf_free(&line);
    buf_free(&now);
    return e;
}

/* ---- differences */

static enum err put_difference(struct cli *c, struct bytes from, const char *from_name, struct bytes to,
                               const char *to_name, struct buf *out) {
    if (diff_unified(from, from_name, to, to_name, out)) return OK;
    return fail(&c->why, E_MEMORY, "out of memory");
}

/* A terminal is shown no escapes of a file; anything else gets the bytes, as `patch` wants them. */
static void print_text(struct cli *c, struct bytes text) {
    struct buf safe = {.max = OUTPUT_MAX};
    if (c->terminal_out)
        cli_safe(text, true, &safe);
    else
        buf_add(&safe, text);
    fwrite(safe.p, 1, safe.n, stdout);
    buf_free(&safe);
}

static enum err print_difference(struct cli *c, unsigned number, struct bytes from, struct bytes to) {
    struct buf text = {.max = OUTPUT_MAX}, line = {.max = OUTPUT_MAX};
    char name[32];
    snprintf(name, sizeof name, "version %u", number);
    enum err e = put_difference(c, from, name, to, "now", &text);
    if (e == OK && !c->json) {
        print_text(c, buf_view(&text));
    } else if (e == OK) {
        struct json_out o = json_begin(&line);
        json_open(&o, NULL, '{');
        json_put_str(&o, "schema", "silktalk.config.diff/1");
        json_put_uint(&o, "version", number);
        json_open(&o, "items", '[');
        history_changes(c, from, to, &o);
        json_shut(&o, ']');
        json_put(&o, "text", buf_view(&text));
        json_shut(&o, '}');
        if (json_end(&o))
            printf("%s\n", buf_cstr(&line));
        else
            e = fail(&c->why, E_MEMORY, "out of memory");
    }
    buf_free(&text);
    buf_free(&line);
    return e;
}

/* The newest version that is not what CONF holds; *out unread: there is none. */
static enum err read_last(const struct history *h, struct bytes now, struct history_version *out,
                          struct why *w) {
    unsigned numbers[HISTORY_LIST_MAX];
    size_t n = 0;
    enum err e = history_list(h, numbers, &n, w);
    *out = (struct history_version){.number = 0};
    for (size_t i = n; e == OK && i-- > 0;) {
        e = history_read(h, numbers[i], out, w);
        if (e != OK || !bytes_eq(out->text, now)) break;
        history_version_free(out);
    }
    return e;
}

enum err config_diff(struct cli *c, const char *word) {
    struct history h;
    struct history_version v = {.number = 0};
    struct buf now;
    unsigned number = 0;
    enum err e = word == NULL ? OK : number_of(c, word, &number);
    if (e != OK) return e;
    config_file_note(c);
    e = history_look(&h, c);
    if (e != OK) return e;
    read_now(c, &now);
    e = word == NULL ? read_last(&h, buf_view(&now), &v, &c->why) : history_read(&h, number, &v, &c->why);
    if (e == OK) e = print_difference(c, v.number, v.number == 0 ? buf_view(&now) : v.text, buf_view(&now));
    history_version_free(&v);
    history_close(&h);
    buf_free(&now);
    return e;
}

/* ---- going back */

static enum err agree(struct cli *c, unsigned number, struct bytes from, struct bytes to) {
    struct buf text = {.max = OUTPUT_MAX};
    char name[32], question[80];
    snprintf(name, sizeof name, "version %u", number);
    snprintf(question, sizeof question, "Go back to version %u?", number);
    enum err e = put_difference(c, from, "now", to, name, &text);
    if (e == OK && !c->json) print_text(c, buf_view(&text));
    fflush(stdout);
    buf_free(&text);
    if (e != OK || c->dry_run) return e;
    return cli_confirm(c, question) ? OK
                                    : fail(&c->why, E_USAGE, "nothing was changed; add --yes to go back");
}

static void print_outcome(struct cli *c, unsigned number, const struct config_outcome *done) {
    struct buf line = {.max = 1 << 20};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.config.rollback/1");
    json_put_uint(&o, "version", number);
    json_put_str(&o, "outcome", done->word);
    json_open(&o, "restart_pending", '[');
    struct bytes rest = buf_view(&done->keys), key;
    while (bytes_split(&rest, ',', &key)) json_put(&o, NULL, bytes_trim(key));
    json_shut(&o, ']');
    json_shut(&o, '}');
    if (!c->json)
        printf("version %u: %s%s%.*s\n", number, done->word, done->keys.n > 0 ? ": " : "", (int)done->keys.n,
               (const char *)done->keys.p);
    else if (json_end(&o))
        printf("%s\n", buf_cstr(&line));
    buf_free(&line);
}

enum err config_rollback(struct cli *c, const char *word) {
    struct config_file f;
    struct history h;
    struct history_version v = {.number = 0};
    struct config_outcome done = {.word = "nothing to do"};
    struct config *config = NULL;
    char command[48];
    unsigned number = 0;
    enum err e = number_of(c, word, &number);
    if (e != OK) return e;
    snprintf(command, sizeof command, "config rollback %u", number);
    e = config_file_open(c, CONFIG_FILE_REPAIR, &f);
    if (e == OK) e = history_look(&h, c);
    if (e == OK) {
        e = history_read(&h, number, &v, &c->why);
        history_close(&h);
    }
    if (e == OK) e = home_config_text(&c->home, v.text, true, &config, &c->why);
    config_free(config);
    bool same = e == OK && f.there && !f.unreadable && bytes_eq(v.text, buf_view(&f.old));
    if (e == OK && !same) e = agree(c, number, buf_view(&f.old), v.text);
    if (e == OK && !same) e = config_file_write(c, &f, command, v.text);
    history_version_free(&v);
    config_file_close(&f);
    if (e == OK && !same) e = config_file_tell(c, CONFIG_KEY_COUNT, &done);
    if (e == OK) print_outcome(c, number, &done);
    buf_free(&done.keys);
    return e;
}
