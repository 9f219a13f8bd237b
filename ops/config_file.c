#include "ops/config_file.h"

#include <stdio.h>
#include <unistd.h>

#include "loop/clocks.h"

/* ---- opening */

static enum err look_at(struct cli *c, unsigned flags, struct config_file *f) {
    bool as_owner = home_conf_inside(&c->home) && home_as_owner(&c->home);
    enum err e = file_facts(c->home.conf, &f->facts, &c->why);
    uid_t me = geteuid();
    if (as_owner) home_as_self();
    f->there = e == OK;
    if (e == E_NOT_FOUND && (flags & CONFIG_FILE_REPAIR)) return OK;
    if (e == E_NOT_FOUND)
        return fail(&c->why, e, "there is no configuration at %s; make it with `silktalk config init`",
                    c->home.conf);
    if (e == OK && me != 0 && me != f->facts.uid)
        return fail(&c->why, E_DENIED, "%s belongs to another user; use sudo", c->home.conf);
    return e;
}

static enum err read_old(struct cli *c, unsigned flags, struct config_file *f) {
    if (!f->there) return OK;
    bool as_owner = home_conf_inside(&c->home) && home_as_owner(&c->home);
    enum err e = file_read(c->home.conf, 0, CONFIG_FILE_MAX, FILE_ANY_MODE, &f->old, &f->facts, &c->why);
    if (as_owner) home_as_self();
    if (e == E_LIMIT)
        e = fail(&c->why, E_INPUT, "%s is larger than a configuration may be (1 MiB)", c->home.conf);
    if (e != E_INPUT || !(flags & CONFIG_FILE_REPAIR)) return e;
    f->unreadable = true;
    buf_clear(&f->old);
    return OK;
}

/* Edits by hand count too, and may be no good configuration. */
static uint64_t versions_kept(struct cli *c, struct bytes text) {
    struct config *config = NULL;
    struct why w;
    uint64_t keep = 10;
    if (home_config_text(&c->home, text, true, &config, &w) == OK)
        keep = cfg(config, node_configHistory).count;
    config_free(config);
    return keep;
}

enum err config_file_open(struct cli *c, unsigned flags, struct config_file *f) {
    *f = (struct config_file){.history = {.lock = -1}, .old = {.max = CONFIG_FILE_MAX}};
    enum err e = look_at(c, flags, f);
    if (e == OK && !c->dry_run) {
        e = history_open(&f->history, c);
        f->open = e == OK;
    }
    if (e == OK) e = read_old(c, flags, f);
    if (e == OK && f->open) e = history_catch_up(&f->history, c, buf_view(&f->old), &f->facts);
    if (e == OK && f->open) history_done(&f->history, buf_view(&f->old), versions_kept(c, buf_view(&f->old)));
    return e;
}

void config_file_close(struct config_file *f) {
    if (f->open) history_close(&f->history);
    f->open = false;
    buf_free(&f->old);
}

void config_file_note(struct cli *c) {
    struct config_file f;
    struct why kept = c->why;
    if (config_file_open(c, 0, &f) != OK) c->why = kept;
    config_file_close(&f);
}

/* ---- changing */

/* What is no configuration goes out of the way; it is never deleted. */
static enum err put_aside(struct cli *c, struct config_file *f, char aside[PATH_SIZE]) {
    aside[0] = 0;
    if (!f->unreadable) return OK;
    int n = snprintf(aside, PATH_SIZE, "%s.aside-%lld", c->home.conf, (long long)clocks_now().wall.ms / 1000);
    if (n < 0 || n >= PATH_SIZE - 1 || access(aside, F_OK) == 0 || rename(c->home.conf, aside) != 0)
        return fail(&c->why, E_IO, "%s can not be moved out of the way", c->home.conf);
    f->there = false;
    return OK;
}

enum err config_file_write(struct cli *c, struct config_file *f, const char *command, struct bytes text) {
    struct config *config = NULL;
    struct buf now = {.max = CONFIG_FILE_MAX};
    char aside[PATH_SIZE] = "";
    enum err e = home_config_text(&c->home, text, true, &config, &c->why);
    if (e != OK || c->dry_run || bytes_eq(text, buf_view(&f->old))) {
        config_free(config);
        return e;
    }
    e = history_begin(&f->history, c, command, buf_view(&f->old), text);
    if (e == OK) e = put_aside(c, f, aside);
    if (e == OK)
        e = f->there ? file_replace_as(c->home.conf, text, f->facts.mode, f->facts.uid, f->facts.gid, &c->why)
                     : home_make_conf(&c->home, text, &c->why);
    if (e != OK && aside[0] != 0 && rename(aside, c->home.conf) == 0) aside[0] = 0;
    if (aside[0] != 0) cli_note(c, "What was there is now %s.", aside);
    /* even a failure may have come after the file was replaced: its content tells */
    if (file_read(c->home.conf, 0, CONFIG_FILE_MAX, FILE_ANY_MODE, &now, NULL, NULL) != OK) buf_clear(&now);
    history_done(&f->history, buf_view(&now), cfg(config, node_configHistory).count);
    buf_free(&now);
    config_free(config);
    return e;
}

enum err config_file_edit(struct cli *c, struct config_file *f, const char *command, enum config_key key,
                          const struct bytes *value) {
    struct buf text = {.max = CONFIG_FILE_MAX};
    enum err e = value == NULL ? OK : config_check_value(key, *value, &c->why);
    if (e == OK) e = config_edit(buf_view(&f->old), key, value, &text, &c->why);
    if (e == OK) e = config_file_write(c, f, command, buf_view(&text));
    buf_free(&text);
    return e;
}

/* ---- the running node */

enum err config_file_tell(struct cli *c, enum config_key key, struct config_outcome *out) {
    struct buf params;
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    *out = (struct config_outcome){.word = "would be changed", .keys = {.max = 65536}};
    if (c->dry_run) return OK;
    out->word = "applied at the next start";
    if (!cli_node_runs(c)) return OK;
    struct json_out o = cli_params(&params);
    enum err e = cli_ask(c, "reload", &params, &o, c->timeout_ms, &answer, &result);
    const struct json *pending = json_get(result, "restart_pending");
    out->word = "applied";
    for (size_t i = 0; i < json_count(pending); i++) {
        struct bytes name = json_bytes(json_at(pending, i));
        if (key != CONFIG_KEY_COUNT && !bytes_is(name, config_rows[key].name)) continue;
        buf_add_format(&out->keys, "%s%.*s", out->keys.n == 0 ? "" : ", ", (int)name.n, (const char *)name.p);
        out->word = "restart needed";
    }
    json_free(answer);
    if (e == OK) return OK;
    const char *what = key == CONFIG_KEY_COUNT ? "the change" : config_rows[key].name;
    return fail(&c->why, e, "%s is in the file, but the node has not taken it: %s", what, c->why.text);
}

enum err config_file_set(struct cli *c, const char *command, enum config_key key, const struct bytes *value,
                         struct config_outcome *out) {
    struct config_file f;
    *out = (struct config_outcome){.word = ""};
    enum err e = config_file_open(c, 0, &f);
    if (e == OK) e = config_file_edit(c, &f, command, key, value);
    config_file_close(&f);
    return e == OK ? config_file_tell(c, key, out) : e;
}
