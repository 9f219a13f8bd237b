#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/clocks.h"
#include "node/config_import.h"
#include "ops/config_file.h"

APPLET(import)
APPLET(migrate)
const struct opt import_opts[] = {OPT_DRY_RUN, {0}};
const struct opt migrate_opts[] = {OPT_DRY_RUN, {0}};
#define IMPORT_TEXT(verb)                                                                                    \
    "Usage: silktalk " verb " [DIR]\n"                                                                       \
    "Brings an old JavaScript installation over (DIR: ~/.silktalk, or a folder of the old backup script):\n" \
    "config.json becomes the configuration; what has no place in it stays there as comments (exit 8).\n"     \
    "identity.key keeps its Peer ID, whether it is protobuf, base64, peer-id JSON, PKCS#8 PEM or bare.\n"    \
    "Old files stay as they are; a data folder in the way is moved aside, its contents are learnt anew.\n"   \
    "Nothing is overwritten: where a configuration or another identity is, nothing is done.\n"               \
    "Examples:\n"                                                                                            \
    "  silktalk " verb " --dry-run\n"                                                                        \
    "  sudo silktalk " verb " /home/ana/.silktalk\n"                                                         \
    "  silktalk " verb " /backup/silktalk/20260101\n"
const char import_text[] = IMPORT_TEXT("import");
const char migrate_text[] = IMPORT_TEXT("migrate");

enum { KEY_FILE_MAX = 16384, ASIDE_TRIES = 100 };
struct plan {
    char dir[PATH_SIZE], json[PATH_SIZE], key[PATH_SIZE], swarm[PATH_SIZE], data[PATH_SIZE];
    struct config_import conf;
    struct config *config; /* as it will be */
    struct buf key_file, swarm_file;
    struct identity identity;
    bool has_identity, has_swarm, has_data;
    enum { KEY_NEW, KEY_KEPT, KEY_REWRITTEN } key_step; /* rewritten: in its place, in our form */
    bool swarm_new;
    char key_aside[PATH_SIZE], data_aside[PATH_SIZE]; /* "": nothing is moved */
};

static void plan_free(struct plan *p) {
    config_import_free(&p->conf);
    config_free(p->config);
    buf_wipe(&p->key_file);
    buf_wipe(&p->swarm_file);
    identity_wipe(&p->identity);
}

static bool place(char out[PATH_SIZE], const char *folder, const char *name) {
    int n = snprintf(out, PATH_SIZE, "%s/%s", folder, name);
    return n > 0 && n < PATH_SIZE;
}

/* FILE.old-20261124T083012Z */
static bool aside_name(char out[PATH_SIZE], const char *path) {
    char time[32], plain[32];
    size_t k = 0;
    wall_text(clocks_now().wall, time);
    for (size_t i = 0; i < 19; i++)
        if (time[i] != '-' && time[i] != ':') plain[k++] = time[i];
    plain[k] = 0;
    for (int i = 1; i < ASIDE_TRIES;
         i++) { /* more than one import in a second, where the first was cut off */
        char again[8] = "";
        if (i > 1) snprintf(again, sizeof again, "-%d", i);
        int n = snprintf(out, PATH_SIZE, "%s.old-%sZ%s", path, plain, again);
        if (n < 0 || n >= PATH_SIZE) return false;
        if (access(out, F_OK) != 0) return true;
    }
    return false;
}

/* ---- looking: nothing is changed before all of it is known to be good */

static enum err find_folder(struct cli *c, struct plan *p) {
    struct file_facts facts;
    char here[PATH_SIZE];
    bool good = true;
    if (c->n_args == 0 && !c->home.system)
        good = snprintf(p->dir, PATH_SIZE, "%s", c->home.dir) < PATH_SIZE;
    else if (c->n_args == 0)
        good = home_personal(p->dir);
    else if (c->args[0][0] == '/')
        good = snprintf(p->dir, PATH_SIZE, "%s", c->args[0]) < PATH_SIZE;
    else
        good = getcwd(here, sizeof here) != NULL && place(p->dir, here, c->args[0]);
    for (size_t n = good ? strlen(p->dir) : 0; n > 1 && p->dir[n - 1] == '/'; n--) p->dir[n - 1] = 0;
    good = good && place(p->json, p->dir, "config.json") && place(p->key, p->dir, "identity.key") &&
           place(p->swarm, p->dir, "swarm.key") && place(p->data, p->dir, "data");
    if (!good) return fail(&c->why, E_INPUT, "the path of the old installation is too long");
    if (file_facts(p->json, &facts, &c->why) == OK) return OK;
    return fail(&c->why, c->why.code, "there is no old installation at %s: %s", p->dir, c->why.text);
}

/* Root follows no link that the owner of the folder made. */
static enum err read_file(struct cli *c, const char *path, size_t most, struct buf *out) {
    *out = (struct buf){.max = most};
    enum err e = file_read(path, geteuid() == 0 ? FILE_NO_LINK : 0, most, FILE_ANY_MODE, out, NULL, &c->why);
    return e == E_LIMIT ? fail(&c->why, E_INPUT, "%s is larger than %zu KiB", path, most / 1024) : e;
}

static enum err read_conf(struct cli *c, struct plan *p) {
    struct buf json = {.max = 0};
    struct config *defaults = NULL;
    struct file_facts facts;
    if (file_facts(c->home.conf, &facts, NULL) != E_NOT_FOUND)
        return fail(&c->why, E_FAILED,
                    "%s is there already, and nothing is overwritten: give a new --home, or move it away",
                    c->home.conf);
    enum err e = read_file(c, p->json, CONFIG_FILE_MAX, &json);
    if (e == OK) e = home_config_text(&c->home, BYTES(""), false, &defaults, &c->why);
    if (e == OK) e = config_import_json(defaults, buf_view(&json), p->json, &p->conf, &c->why);
    config_free(defaults);
    buf_free(&json);
    if (e == OK) e = home_config_text(&c->home, buf_view(&p->conf.ini), true, &p->config, &c->why);
    return e;
}

/* The key where it has to be: not there (new), this one already, this one in a form or mode that is not ours;
 * another one: refused. */
static enum err place_key(struct cli *c, struct plan *p) {
    const char *target = cfg(p->config, node_identity).text;
    struct buf there = {.max = 0};
    struct identity id;
    struct why inner;
    enum err e = read_file(c, target, KEY_FILE_MAX, &there);
    p->key_step = KEY_NEW;
    if (e != OK) return e == E_NOT_FOUND ? OK : e;
    e = identity_import(buf_view(&there), &id, &inner);
    if (e == OK && p->has_identity && peer_id_eq(&id.peer, &p->identity.peer)) {
        bool ours = identity_read(buf_view(&there), &id, &inner) == OK;
        struct file_facts facts = {.mode = 0};
        e = file_facts(target, &facts, &c->why);
        p->key_step = ours && (facts.mode & ~(mode_t)0600) == 0 ? KEY_KEPT : KEY_REWRITTEN;
        if (!ours && !aside_name(p->key_aside, target))
            e = fail(&c->why, E_INPUT, "%s: path too long", target);
    } else {
        e = fail(&c->why, E_FAILED, "%s is there already and is another identity: nothing is overwritten",
                 target);
    }
    identity_wipe(&id);
    buf_wipe(&there);
    return e;
}

static enum err read_keys(struct cli *c, struct plan *p) {
    uint8_t key[32];
    struct why inner;
    struct file_facts facts;
    enum err e = read_file(c, p->key, KEY_FILE_MAX, &p->key_file);
    if (e == OK) {
        e = identity_import(buf_view(&p->key_file), &p->identity, &inner);
        if (e != OK) return fail(&c->why, e, "%s: %s", p->key, inner.text);
        p->has_identity = true;
    }
    if (e != OK && e != E_NOT_FOUND) return e;
    e = place_key(c, p);
    if (e != OK) return e;
    e = read_file(c, p->swarm, KEY_FILE_MAX, &p->swarm_file);
    if (e == E_NOT_FOUND) return OK;
    if (e == OK && swarm_key_read(buf_view(&p->swarm_file), key, &inner) != OK)
        e = fail(&c->why, E_INPUT, "%s: %s", p->swarm, inner.text);
    mem_wipe(key, sizeof key);
    p->has_swarm = e == OK;
    p->swarm_new = e == OK && file_facts(cfg(p->config, network_swarmKey).text, &facts, NULL) == E_NOT_FOUND;
    return e;
}

static bool is_empty(const char *folder) {
    DIR *d = opendir(folder);
    size_t n = 0;
    while (d != NULL && n < 3 && readdir(d) != NULL) n++; /* . and .. are always there */
    if (d != NULL) closedir(d);
    return d != NULL && n == 2;
}

/* A data folder that is not ours, where ours will be. */
static enum err look_at_data(struct cli *c, struct plan *p) {
    struct file_facts old, ours, database;
    char path[PATH_SIZE];
    const char *target = cfg(p->config, node_data).text;
    p->has_data = file_facts(p->data, &old, NULL) == OK;
    if (file_facts(target, &ours, NULL) != OK || !place(path, target, "silktalk.db")) return OK;
    if (file_facts(path, &database, NULL) == OK || is_empty(target)) return OK;
    return aside_name(p->data_aside, target) ? OK : fail(&c->why, E_INPUT, "%s: path too long", target);
}

/* ---- doing */

static enum err put_files(struct cli *c, struct plan *p) {
    const char *key = cfg(p->config, node_identity).text;
    struct buf ours = {.max = 256};
    enum err e = OK;
    if (p->has_identity && !identity_write(&p->identity, &ours)) e = fail(&c->why, E_MEMORY, "out of memory");
    if (e == OK && p->has_identity && p->key_step == KEY_NEW)
        e = file_create(key, buf_view(&ours), 0600, &c->why);
    if (e == OK && p->key_aside[0] != 0) e = file_create(p->key_aside, buf_view(&p->key_file), 0600, &c->why);
    if (e == OK && p->key_step == KEY_REWRITTEN) e = file_replace(key, buf_view(&ours), 0600, &c->why);
    if (e == OK && p->swarm_new)
        e = file_create(cfg(p->config, network_swarmKey).text, buf_view(&p->swarm_file), 0600, &c->why);
    if (e == OK && p->data_aside[0] != 0 && rename(cfg(p->config, node_data).text, p->data_aside) != 0)
        e = fail(&c->why, file_error(errno), "%s can not be moved: %s", cfg(p->config, node_data).text,
                 strerror(errno));
    buf_wipe(&ours);
    return e;
}

/* The configuration is last: as long as it is not there, the import can simply be done again. */
static enum err carry_out(struct cli *c, struct plan *p) {
    struct config_file f;
    struct home_made made;
    enum err e = home_make_folders(&c->home, NULL, &c->why);
    bool as_owner = home_as_owner(&c->home);
    if (e == OK) e = put_files(c, p);
    if (as_owner) home_as_self();
    if (e != OK) return e;
    e = config_file_open(c, CONFIG_FILE_REPAIR, &f);
    if (e == OK && f.there) e = fail(&c->why, E_FAILED, "%s is there already", c->home.conf);
    if (e == OK) e = config_file_write(c, &f, "import", buf_view(&p->conf.ini));
    config_file_close(&f);
    return e == OK ? home_create(&c->home, &made, &c->why) : e;
}

/* ---- telling */

static void print_json(struct cli *c, const struct plan *p, const char *id) {
    struct buf line = {.max = 16 << 20};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.import/1");
    json_put_bool(&o, "dry_run", c->dry_run);
    json_put_str(&o, "from", p->dir);
    json_put_str(&o, "config", c->home.conf);
    json_put_str(&o, "peer_id", p->has_identity ? id : NULL);
    json_put_str(&o, "data_moved_to", p->data_aside[0] != 0 ? p->data_aside : NULL);
    json_put_str(&o, "identity_moved_to", p->key_aside[0] != 0 ? p->key_aside : NULL);
    json_put_raw(&o, "taken", buf_view(&p->conf.taken));
    json_put_raw(&o, "left", buf_view(&p->conf.left));
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&line);
}

static void print_list(struct bytes array, const char *a, const char *b) {
    struct why w;
    struct json_doc *doc = json_parse(array, &w);
    const struct json *list = doc == NULL ? NULL : json_root(doc), *item;
    for (size_t i = 0; json_item(list, &i, &item);) {
        struct buf left = {.max = 4096}, right = {.max = 16384};
        cell_text(item, a, &left);
        cli_safe(json_get_bytes(item, b), false, &right);
        printf("  %s: %s\n", buf_cstr(&left), buf_cstr(&right));
        buf_free(&left);
        buf_free(&right);
    }
    json_free(doc);
}

static void print_text(struct cli *c, const struct plan *p, const char *id) {
    printf("Configuration  %s (%zu settings from %s)\n", c->home.conf, p->conf.n_taken, p->json);
    print_list(buf_view(&p->conf.taken), "key", "value");
    if (p->has_identity)
        printf("Identity       %s (the Peer ID it had)\n", id);
    else
        printf("Identity       there is no %s: the node will have a new Peer ID\n", p->key);
    if (p->key_aside[0] != 0) printf("               the old form is kept as %s\n", p->key_aside);
    if (p->has_swarm) printf("Network key    %s\n", p->swarm_new ? "taken over" : "there already");
    if (p->data_aside[0] != 0)
        printf("Data           the old folder is kept as %s; its contents are learnt anew\n", p->data_aside);
    else if (p->has_data)
        printf("Data           stays at %s; its contents are learnt anew\n", p->data);
    if (p->conf.n_left > 0) printf("Not taken over, kept as comments at the end of the configuration:\n");
    print_list(buf_view(&p->conf.left), "from", "reason");
}

static enum err import(struct cli *c, struct plan *p) {
    char id[PEER_TEXT_MAX];
    enum err e = find_folder(c, p);
    if (e == OK) e = read_conf(c, p);
    if (e != OK || p->config == NULL) return e;
    e = read_keys(c, p);
    if (e == OK) e = look_at_data(c, p);
    if (e == OK && !c->dry_run) e = carry_out(c, p);
    if (e != OK) return e;
    peer_id_text(&p->identity.peer, id);
    if (c->json)
        print_json(c, p, id);
    else
        print_text(c, p, id);
    if (c->dry_run) cli_note(c, "Nothing was changed: this is what would be done.");
    if (p->conf.n_left > 0)
        return fail(&c->why, E_PARTIAL, "%zu settings of %s were not taken over", p->conf.n_left, p->json);
    return p->has_identity ? OK : fail(&c->why, E_PARTIAL, "there was no identity to bring over");
}

int import_main(struct cli *c) {
    struct plan p = {.has_identity = false};
    if (c->n_args > 1) return cli_usage(c, "%s takes one folder at most", c->applet->name);
    enum err e = import(c, &p);
    plan_free(&p);
    return cli_exit(c, e);
}

int migrate_main(struct cli *c) {
    return import_main(c);
}
