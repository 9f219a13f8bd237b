#include "ops/home.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static bool join(char out[PATH_SIZE], const char *folder, const char *name) {
    int n = snprintf(out, PATH_SIZE, "%s/%s", folder, name);
    return n > 0 && n < PATH_SIZE;
}

static bool copy(char out[PATH_SIZE], const char *path) {
    int n = snprintf(out, PATH_SIZE, "%s", path);
    return n > 0 && n < PATH_SIZE;
}

/* Relative paths are taken from the present folder once, here. */
static bool absolute(char out[PATH_SIZE], const char *path) {
    char here[PATH_SIZE];
    if (path[0] == '/') return copy(out, path);
    return getcwd(here, sizeof here) != NULL && join(out, here, path);
}

static bool in_home(const struct home *h, const char *path) {
    size_t n = strlen(h->dir);
    return strncmp(path, h->dir, n) == 0 && path[n] == '/';
}

static bool is_service_user(void) {
    if (geteuid() == 0) return true;
    const struct passwd *p = getpwuid(geteuid());
    return p != NULL && strcmp(p->pw_name, "silktalk") == 0;
}

static bool exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

/* A link to nothing is there, and so is what we may not look at: a node that took either for absent would run
 * without the rules that stand in it. */
static bool absent(const char *path) {
    struct stat st;
    return lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

static bool system_layout(struct home *h) {
    h->system = true;
    return copy(h->dir, "/var/lib/silktalk") && copy(h->conf, "/etc/silktalk/silktalk.ini") &&
           copy(h->socket, "/run/silktalk/control.sock") &&
           copy(h->log_file, "/var/log/silktalk/silktalk.log") && join(h->spool, h->dir, "spool");
}

static bool user_layout(struct home *h, const char *dir) {
    h->system = false;
    return absolute(h->dir, dir) && join(h->conf, h->dir, "config.ini") &&
           join(h->socket, h->dir, "control.sock") && join(h->log_file, h->dir, "log/silktalk.log") &&
           join(h->spool, h->dir, "spool");
}

bool home_personal(char out[PATH_SIZE]) {
    const char *folder = getenv("HOME");
    const struct passwd *p = folder == NULL || folder[0] != '/' ? getpwuid(geteuid()) : NULL;
    if (p != NULL) folder = p->pw_dir;
    return folder != NULL && folder[0] == '/' && join(out, folder, ".silktalk");
}

static const char *given(const char *option, const char *variable) {
    if (option != NULL) return option;
    const char *v = getenv(variable);
    return v != NULL && v[0] != 0 ? v : NULL;
}

/* Another file than the home's own has a history of its own. */
static bool other_conf(struct home *h, const char *conf) {
    char path[PATH_SIZE];
    if (!absolute(path, conf)) return false;
    if (strcmp(path, h->conf) == 0) return true;
    int n = snprintf(h->history, PATH_SIZE, "%s.history", path);
    return n > 0 && n < PATH_SIZE && copy(h->conf, path);
}

enum err home_find(struct home *h, const struct home_choice *choice, bool creates, struct why *w) {
    *h = (struct home){0};
    const char *dir = given(choice->home, "SILKTALK_HOME");
    const char *conf = given(choice->config, "SILKTALK_CONFIG"),
               *socket = given(choice->socket, "SILKTALK_SOCKET");
    char personal[PATH_SIZE], ini[PATH_SIZE];
    bool good;
    if (dir != NULL) {
        good = user_layout(h, dir);
    } else if (is_service_user()) {
        good = system_layout(h);
    } else {
        good = home_personal(personal) && join(ini, personal, "config.ini");
        if (good) good = creates || exists(ini) ? user_layout(h, personal) : system_layout(h);
    }
    if (good)
        good = h->system ? copy(h->history, "/var/lib/silktalk-root/config-history")
                         : join(h->history, h->dir, "config-history");
    if (good && conf != NULL) good = other_conf(h, conf);
    if (good && socket != NULL) good = absolute(h->socket, socket);
    h->socket_given = socket != NULL;
    if (!good)
        return fail(w, E_INPUT,
                    "the path of the home is too long, or there is no home folder; use --home DIR");
    if (gethostname(h->hostname, sizeof h->hostname) != 0 || h->hostname[0] == 0)
        snprintf(h->hostname, sizeof h->hostname, "silktalk");
    h->hostname[sizeof h->hostname - 1] = 0;
    for (char *c = h->hostname; *c != 0; c++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", *c) == NULL) *c = '-';
    return OK;
}

/* ---- root in the home of another */

static int depth; /* of home_as_owner that is under way */

static bool owned_by_another(const struct home *h, struct stat *st) {
    return lstat(h->dir, st) == 0 && S_ISDIR(st->st_mode) && st->st_uid != 0;
}

bool home_as_owner(const struct home *h) {
    struct stat st;
    if (depth > 0) {
        depth++;
        return true;
    }
    if (geteuid() != 0 || !owned_by_another(h, &st)) return false;
    /* the groups first: they are root's to change; without the other steps nothing is lost by going back */
    if (setgroups(0, NULL) != 0 || setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0) {
        home_as_self();
        return false;
    }
    depth = 1;
    return true;
}

void home_as_self(void) {
    if (depth > 0 && --depth > 0) return;
    if (seteuid(getuid()) != 0 || setegid(getgid()) != 0) abort(); /* half another user: nothing may go on */
}

/* A folder that only root can make, for the owner of the home. */
static enum err folder_for(const char *file, mode_t mode, const struct stat *owner, struct why *w) {
    char path[PATH_SIZE];
    bool made = false;
    copy(path, file);
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) return OK;
    *slash = 0;
    enum err e = file_mkdirs(path, mode, &made, w);
    if (e == OK && made && lchown(path, owner->st_uid, owner->st_gid) != 0)
        return fail(w, E_DENIED, "%s: %s", path, strerror(errno));
    return e;
}

enum err home_become_owner(const struct home *h, struct why *w) {
    struct stat st;
    if (geteuid() != 0 || !owned_by_another(h, &st)) return OK;
    enum err e = OK;
    if (h->system) {
        e = folder_for(h->socket, 0755, &st, w);
        if (e == OK) e = folder_for(h->log_file, 0750, &st, w);
    }
    if (e != OK) return e;
    const struct passwd *p = getpwuid(st.st_uid);
    bool done = p != NULL ? initgroups(p->pw_name, st.st_gid) == 0 : setgroups(0, NULL) == 0;
    if (!done || setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0)
        return fail(w, E_DENIED, "%s belongs to user %ld, and becoming that user failed: %s", h->dir,
                    (long)st.st_uid, strerror(errno));
    return OK;
}

enum err home_secret(const char *setting, char out[PATH_SIZE], struct why *w) {
    size_t n = strlen("credential:");
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (strncmp(setting, "credential:", n) != 0)
        return copy(out, setting) ? OK : fail(w, E_INPUT, "%.60s...: the path is too long", setting);
    if (folder == NULL || folder[0] != '/')
        return fail(w, E_INPUT, "%.100s: there is no $CREDENTIALS_DIRECTORY (LoadCredential= of the unit)",
                    setting);
    return join(out, folder, setting + n) ? OK : fail(w, E_INPUT, "%.60s: the path is too long", setting);
}

void home_clean_environment(void) {
    static const char *const kept[] = {"SILKTALK_HOME",  "SILKTALK_CONFIG",       "SILKTALK_SOCKET",
                                       "NOTIFY_SOCKET",  "WATCHDOG_USEC",         "WATCHDOG_PID",
                                       "JOURNAL_STREAM", "CREDENTIALS_DIRECTORY", "TZ"};
    char *values[LEN(kept)];
    for (size_t i = 0; i < LEN(kept); i++) {
        const char *value = getenv(kept[i]);
        values[i] = value == NULL ? NULL : mem_text(value, strlen(value));
    }
    clearenv();
    for (size_t i = 0; i < LEN(kept); i++) {
        if (values[i] != NULL) setenv(kept[i], values[i], 1);
        mem_free(values[i]);
    }
}

bool home_exists(const struct home *h) {
    return exists(h->conf);
}

/* ---- configuration */

static enum err add_file(struct config_builder *b, const char *path, struct why *w) {
    struct buf text = {.max = CONFIG_FILE_MAX};
    enum err e = file_read(path, 0, CONFIG_FILE_MAX, FILE_ANY_MODE, &text, NULL, w);
    if (e == OK) e = config_builder_add(b, path, buf_view(&text), w);
    buf_free(&text);
    return e == E_LIMIT ? fail(w, E_INPUT, "%s is larger than a configuration may be (1 MiB)", path) : e;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Their names in order; those that are in `names` are the caller's to free, whatever is returned. */
static enum err list_folder(const char *folder, char *names[CONFIG_FILES_MAX], size_t *n, struct why *w) {
    DIR *d = absent(folder) ? NULL : opendir(folder);
    enum err e = OK;
    *n = 0;
    if (d == NULL)
        return absent(folder) ? OK : fail(w, E_INPUT, "reading %s failed: %s", folder, strerror(errno));
    for (struct dirent *entry; e == OK && (entry = readdir(d)) != NULL;) {
        struct bytes name = bytes_of(entry->d_name);
        if (name.p[0] == '.' || !bytes_ends(name, ".ini")) continue;
        if (*n == CONFIG_FILES_MAX)
            e = fail(w, E_INPUT, "%s has more than %d files", folder, CONFIG_FILES_MAX);
        else if ((names[*n] = mem_text(name.p, name.n)) == NULL)
            e = fail(w, E_MEMORY, "out of memory");
        else
            ++*n;
    }
    closedir(d);
    qsort(names, *n, sizeof names[0], by_name);
    return e;
}

static enum err add_folder(struct config_builder *b, const struct home *h, struct why *w) {
    char folder[PATH_SIZE], path[PATH_SIZE], *names[CONFIG_FILES_MAX];
    copy(folder, h->conf);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || (size_t)(slash - folder) + sizeof "/conf.d" > sizeof folder) return OK;
    memcpy(slash, "/conf.d", sizeof "/conf.d");
    size_t n;
    enum err e = list_folder(folder, names, &n, w);
    for (size_t i = 0; i < n; i++) {
        if (e == OK)
            e = join(path, folder, names[i]) ? add_file(b, path, w)
                                             : fail(w, E_INPUT, "%s: path too long", folder);
        mem_free(names[i]);
    }
    return e;
}

enum err home_config(const struct home *h, struct config **out, struct why *w) {
    return home_config_with(h, CONFIG_KEY_COUNT, NULL, out, w);
}

bool home_conf_inside(const struct home *h) {
    return in_home(h, h->conf);
}

static enum err read_files(const struct home *h, struct config_builder *b, struct why *w) {
    bool as_owner = in_home(h, h->conf) && home_as_owner(h);
    enum err e = absent(h->conf) ? OK : add_file(b, h->conf, w);
    if (e == OK) e = add_folder(b, h, w);
    if (as_owner) home_as_self();
    return e;
}

static struct config_builder *builder_of(const struct home *h) {
    struct config_home where = {.home = h->dir,
                                .socket = h->socket,
                                .hostname = h->hostname,
                                .socketmode = h->system ? "0660" : "0600",
                                .monitor = h->system ? HOME_MONITOR : NULL,
                                .log = h->log_file,
                                .tokens = h->system ? "/etc/silktalk/tokens" : NULL};
    return config_builder_new(&where);
}

enum err home_config_text(const struct home *h, struct bytes text, bool folder, struct config **out,
                          struct why *w) {
    struct config_builder *b = builder_of(h);
    if (b == NULL) return fail(w, E_MEMORY, "out of memory");
    enum err e = config_builder_add(b, h->conf, text, w);
    bool as_owner = in_home(h, h->conf) && home_as_owner(h);
    if (e == OK && folder) e = add_folder(b, h, w);
    if (as_owner) home_as_self();
    if (e == OK) e = config_builder_finish(b, out, w);
    config_builder_free(b);
    return e;
}

enum err home_config_with(const struct home *h, enum config_key key, const char *value, struct config **out,
                          struct why *w) {
    struct config_builder *b = builder_of(h);
    if (b == NULL) return fail(w, E_MEMORY, "out of memory");
    enum err e = read_files(h, b, w);
    if (e == OK && value != NULL) {
        struct buf text = {.max = CONFIG_LINE_MAX + 256};
        buf_add_format(&text, "[%s]\n%s = %s\n", config_rows[key].section, config_rows[key].key, value);
        e = config_builder_add(b, "command line", buf_view(&text), w);
        buf_free(&text);
    }
    if (e == OK) e = config_builder_finish(b, out, w);
    config_builder_free(b);
    return e;
}

/* ---- making a home */

/* Something is there: is it a file? */
static enum err is_file(const char *path, struct why *w) {
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) return OK;
    return fail(w, E_INPUT, "%s is not a regular file", path);
}

static enum err make_identity(const char *path, bool *made, struct why *w) {
    struct file_facts facts;
    if (file_facts(path, &facts, w) == OK) return is_file(path, w);
    struct identity id;
    struct rng rng;
    struct buf raw = {.max = 256};
    enum err e = OK;
    rng_system(&rng);
    identity_make(&id, &rng);
    if (!identity_write(&id, &raw)) e = fail(w, E_MEMORY, "out of memory");
    if (e == OK) e = file_create(path, buf_view(&raw), 0600, w);
    if (e == OK) *made = true;
    if (e == E_REFUSED) e = OK; /* someone else was quicker: theirs counts */
    buf_wipe(&raw);
    identity_wipe(&id);
    rng_wipe(&rng);
    return e;
}

/* The system's configuration is root's; the node reads it by its group. What is NULL stays as it is. */
static enum err share_config(const struct home *h, const char *folder, const char *file, struct why *w) {
    struct stat st;
    if (geteuid() != 0 || !owned_by_another(h, &st)) return OK;
    if (folder != NULL && lchown(folder, (uid_t)-1, st.st_gid) != 0)
        return fail(w, E_DENIED, "%s: %s", folder, strerror(errno));
    if (file != NULL && lchown(file, (uid_t)-1, st.st_gid) != 0)
        return fail(w, E_DENIED, "%s: %s", file, strerror(errno));
    return OK;
}

enum err home_make_conf(const struct home *h, struct bytes text, struct why *w) {
    enum err e = file_create(h->conf, text, h->system ? 0640 : 0600, w);
    return e == OK && h->system ? share_config(h, NULL, h->conf, w) : e;
}

static enum err make_config(const struct home *h, bool *made, struct why *w) {
    if (exists(h->conf)) return OK;
    struct buf text = {.max = CONFIG_FILE_MAX};
    struct config *defaults = NULL;
    enum err e = home_config_text(h, BYTES(""), false, &defaults, w);
    if (e == OK && !config_sample(defaults, &text)) e = fail(w, E_MEMORY, "out of memory");
    config_free(defaults);
    if (e == OK) e = home_make_conf(h, buf_view(&text), w);
    if (e == OK) *made = true;
    if (e == E_REFUSED) e = OK;
    buf_free(&text);
    return e;
}

enum err home_make_folders(const struct home *h, bool *made, struct why *w) {
    char path[PATH_SIZE];
    bool folder = false;
    enum err e = file_mkdirs(h->dir, h->system ? 0750 : 0700, made, w);
    copy(path, h->conf);
    char *slash = strrchr(path, '/');
    if (slash != NULL) *slash = 0;
    bool as_owner = in_home(h, h->conf) && home_as_owner(h);
    if (e == OK) e = file_mkdirs(path, 0750, &folder, w);
    if (as_owner) home_as_self();
    return e == OK && h->system && folder ? share_config(h, path, NULL, w) : e;
}

enum err home_create(const struct home *h, struct home_made *made, struct why *w) {
    *made = (struct home_made){0};
    enum err e = home_make_folders(h, &made->folder, w);
    bool as_owner = in_home(h, h->conf) && home_as_owner(h);
    if (e == OK) e = make_config(h, &made->config, w);
    if (!as_owner) as_owner = home_as_owner(h);
    struct config *c = NULL;
    if (e == OK) e = home_config(h, &c, w); /* a configuration may put identity and data elsewhere */
    if (e == OK && c != NULL) e = file_mkdirs(cfg(c, node_data).text, 0700, NULL, w);
    if (e == OK && c != NULL) e = file_mkdirs(cfg(c, files_receiveDir).text, 0750, NULL, w);
    if (e == OK && c != NULL) e = make_identity(cfg(c, node_identity).text, &made->identity, w);
    if (e == OK) e = file_mkdirs(h->spool, h->system ? 03770 : 0700, NULL, w);
    if (as_owner) home_as_self();
    config_free(c);
    return e;
}

void home_old_installation(const struct home *h, bool here, char out[PATH_SIZE]) {
    char folder[PATH_SIZE];
    if (join(out, h->dir, "config.json") && exists(out)) return;
    copy(folder, h->conf);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) *slash = 0;
    if (join(out, folder, "config.json") && exists(out)) return;
    if (!here && home_personal(folder) && join(out, folder, "config.json") && exists(out)) return;
    out[0] = 0;
}

enum err home_identity(const struct home *h, const struct config *c, struct identity *id, struct why *w) {
    struct buf raw = {.max = 8192};
    const char *path = cfg(c, node_identity).text;
    struct why inner;
    bool as_owner = h != NULL && home_as_owner(h);
    enum err e = file_read(path, 0, 8192, 0600, &raw, NULL, w);
    if (as_owner) home_as_self();
    if (e == OK) {
        e = identity_read(buf_view(&raw), id, &inner);
        if (e != OK) fail(w, e, "%s: %s", path, inner.text);
    }
    buf_wipe(&raw);
    return e;
}
