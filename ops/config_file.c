#include "ops/config_file.h"

#include <stdio.h>
#include <unistd.h>

static enum err reload(struct cli *c, enum config_key key, const char **note) {
    struct buf params;
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    if (!cli_node_runs(c)) {
        *note = "applied at the next start";
        return OK;
    }
    struct json_out o = cli_params(&params);
    enum err e = cli_ask(c, "reload", &params, &o, c->timeout_ms, &answer, &result);
    const struct json *pending = json_get(result, "restart_pending");
    *note = "applied";
    for (size_t i = 0; i < json_count(pending); i++)
        if (bytes_is(json_bytes(json_at(pending, i)), config_rows[key].name)) *note = "restart needed";
    json_free(answer);
    return e;
}

/* The new text as the only change: would the node take the whole configuration? */
static enum err check_whole(struct cli *c, struct bytes text) {
    char path[PATH_SIZE];
    struct home trial = c->home;
    struct config *config = NULL;
    int n = snprintf(path, sizeof path, "%s.check-%ld", c->home.conf, (long)getpid());
    if (n < 0 || n >= PATH_SIZE) return fail(&c->why, E_INPUT, "the path of the configuration is too long");
    enum err e = file_create(path, text, 0600, &c->why); /* beside it, so that conf.d is found */
    if (e != OK) return e;
    memcpy(trial.conf, path, sizeof trial.conf);
    e = home_config(&trial, &config, &c->why);
    config_free(config);
    file_remove(path, NULL);
    return e;
}

static enum err rewrite(struct cli *c, enum config_key key, const struct bytes *value) {
    struct buf old = {.max = CONFIG_FILE_MAX}, text = {.max = CONFIG_FILE_MAX};
    struct file_facts facts = {.mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1};
    enum err e = value == NULL ? OK : config_check_value(key, *value, &c->why);
    if (e == OK) e = file_read(c->home.conf, 0, CONFIG_FILE_MAX, FILE_ANY_MODE, &old, &facts, &c->why);
    if (e == E_NOT_FOUND)
        fail(&c->why, e, "there is no configuration at %s; make it with `silktalk config init`",
             c->home.conf);
    if (e == OK && geteuid() != 0 && geteuid() != facts.uid)
        e = fail(&c->why, E_DENIED, "%s belongs to another user; use sudo", c->home.conf);
    if (e == OK) e = config_edit(buf_view(&old), key, value, &text, &c->why);
    if (e == OK) e = check_whole(c, buf_view(&text));
    if (e == OK && !c->dry_run)
        e = file_replace_as(c->home.conf, buf_view(&text), facts.mode, facts.uid, facts.gid, &c->why);
    buf_free(&old);
    buf_free(&text);
    return e;
}

enum err config_file_set(struct cli *c, enum config_key key, const struct bytes *value, const char **note) {
    size_t n = strlen(c->home.dir);
    bool inside = strncmp(c->home.conf, c->home.dir, n) == 0 && c->home.conf[n] == '/';
    bool as_owner = inside && home_as_owner(&c->home);
    enum err e = rewrite(c, key, value);
    if (as_owner) home_as_self();
    *note = "would be changed";
    return e == OK && !c->dry_run ? reload(c, key, note) : e;
}
