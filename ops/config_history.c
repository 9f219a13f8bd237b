#include "ops/config_history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/clocks.h"

enum { LOCK_STEP_MS = 10 };
static const char head_mark[] = "; silktalk-config ";

static bool path_of(const struct history *h, unsigned number, bool pending, char out[PATH_SIZE]) {
    int n = snprintf(out, PATH_SIZE, "%s/%06u.ini%s", h->folder, number, pending ? ".new" : "");
    return n > 0 && n < PATH_SIZE;
}

/* ---- reading */

/* "000012.ini" or, pending, "000012.ini.new"; 0: another file. */
static unsigned number_of(const char *name, bool pending) {
    struct bytes text = bytes_of(name);
    uint64_t v = 0;
    const char *ending = pending ? ".ini.new" : ".ini";
    if (!bytes_ends(text, ending)) return 0;
    text.n -= strlen(ending);
    return text.n >= 6 && bytes_to_u64(text, 999999999, &v) ? (unsigned)v : 0;
}

static int rising(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static enum err list_files(const struct history *h, bool pending, unsigned numbers[HISTORY_LIST_MAX],
                           size_t *n, struct why *w) {
    DIR *d = opendir(h->folder);
    *n = 0;
    if (d == NULL)
        return fail(w, file_error(errno), "Opening the folder %.150s failed: %s", h->folder, strerror(errno));
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        unsigned v = number_of(e->d_name, pending), least = 0;
        if (v == 0) continue;
        if (*n < HISTORY_LIST_MAX) {
            numbers[(*n)++] = v;
            continue;
        }
        for (unsigned i = 1; i < HISTORY_LIST_MAX; i++)
            if (numbers[i] < numbers[least]) least = i;
        if (numbers[least] < v) numbers[least] = v;
    }
    closedir(d);
    qsort(numbers, *n, sizeof numbers[0], rising);
    return OK;
}

enum err history_list(const struct history *h, unsigned numbers[HISTORY_LIST_MAX], size_t *n, struct why *w) {
    return list_files(h, false, numbers, n, w);
}

static enum err read_version(const struct history *h, unsigned number, bool pending,
                             struct history_version *out, struct why *w) {
    char path[PATH_SIZE];
    struct why inner;
    *out = (struct history_version){.number = number, .file = {.max = HISTORY_FILE_MAX}};
    if (!path_of(h, number, pending, path)) return fail(w, E_INPUT, "%.100s: path too long", h->folder);
    enum err e = file_read(path, FILE_NO_LINK, HISTORY_FILE_MAX, FILE_ANY_MODE, &out->file, NULL, w);
    if (e == E_NOT_FOUND) fail(w, e, "there is no version %u; see `silktalk config history`", number);
    if (e != OK) return e;
    struct bytes rest = buf_view(&out->file), head = {NULL, 0};
    bool marked = bytes_starts(rest, head_mark) && bytes_split(&rest, '\n', &head);
    if (marked) out->head = json_parse(bytes_skip(head, strlen(head_mark)), &inner);
    out->text = rest;
    if (out->head != NULL) return OK;
    history_version_free(out);
    return fail(w, E_INPUT, "%.150s is damaged: its first line is no record", path);
}

enum err history_read(const struct history *h, unsigned number, struct history_version *out, struct why *w) {
    return read_version(h, number, false, out, w);
}

void history_version_free(struct history_version *v) {
    json_free(v->head);
    buf_free(&v->file);
    *v = (struct history_version){.number = 0};
}

/* ---- what changed */

/* As CONF has it: conf.d is not its business; NULL: not set there. */
static const char *set_text(const struct config *c, size_t k) {
    return c == NULL || strcmp(c->entries[k].source, "default") == 0 ? NULL : c->entries[k].text;
}

static void put_change(struct json_out *o, const char *key, const char *old, const char *text) {
    if (old == text || (old != NULL && text != NULL && strcmp(old, text) == 0)) return;
    json_open(o, NULL, '{');
    json_put_str(o, "key", key);
    json_put_str(o, "old", old);
    json_put_str(o, "new", text);
    json_shut(o, '}');
}

void history_changes(struct cli *c, struct bytes old, struct bytes text, struct json_out *o) {
    struct config *a = NULL, *b = NULL;
    struct why w;
    bool good = home_config_text(&c->home, old, false, &a, &w) == OK &&
                home_config_text(&c->home, text, false, &b, &w) == OK;
    for (size_t k = 0; good && k < CONFIG_KEY_COUNT; k++)
        put_change(o, config_rows[k].name, set_text(a, k), set_text(b, k));
    for (size_t i = 0; good && i < LIMIT_COUNT; i++) {
        char name[80], was[24], is[24];
        snprintf(name, sizeof name, "limits.%s", limit_rows[i].name);
        snprintf(was, sizeof was, "%llu", (unsigned long long)a->limits[i]);
        snprintf(is, sizeof is, "%llu", (unsigned long long)b->limits[i]);
        put_change(o, name, a->limit_set[i] ? was : NULL, b->limit_set[i] ? is : NULL);
    }
    config_free(a);
    config_free(b);
}

/* ---- writing */

static void put_user(struct json_out *o, const char *key, uid_t uid) {
    const struct passwd *p = getpwuid(uid);
    json_put_str(o, key, p == NULL ? NULL : p->pw_name);
}

/* Who logged in, before sudo or su; the kernel remembers it where there is a login. */
static void put_login(struct json_out *o) {
    struct buf text = {.max = 32};
    uint64_t uid = UINT32_MAX;
    struct why w;
    if (file_read("/proc/self/loginuid", 0, 31, FILE_ANY_MODE, &text, NULL, &w) == OK &&
        bytes_to_u64(bytes_trim(buf_view(&text)), UINT32_MAX, &uid) && uid != UINT32_MAX && uid != getuid())
        put_user(o, "login", (uid_t)uid);
    else
        json_put_null(o, "login");
    buf_free(&text);
}

struct record { /* of a change; facts: one that was found in the file, made by nobody knows whom */
    unsigned number;
    const char *command;
    const struct file_facts *facts;
    struct bytes old, text;
};

static bool put_head(struct cli *c, const struct record *r, bool changes, struct buf *out) {
    struct buf json = {.max = HISTORY_HEAD_MAX};
    struct json_out o = json_begin(&json);
    json_open(&o, NULL, '{');
    json_put_uint(&o, "version", r->number);
    json_put_wall(&o, "time", r->facts != NULL ? r->facts->changed : clocks_now().wall);
    if (r->facts != NULL) {
        json_put_null(&o, "user");
        json_put_null(&o, "uid");
        json_put_null(&o, "login");
    } else {
        put_user(&o, "user", getuid());
        json_put_uint(&o, "uid", getuid());
        put_login(&o);
    }
    json_put_str(&o, "command", r->command);
    if (changes) {
        json_open(&o, "changes", '[');
        history_changes(c, r->old, r->text, &o);
        json_shut(&o, ']');
    } else {
        json_put_null(&o, "changes"); /* they are too long to list */
    }
    json_shut(&o, '}');
    bool good = json_end(&o) && buf_add_text(out, head_mark) && buf_add(out, buf_view(&json)) &&
                buf_add_byte(out, '\n');
    buf_free(&json);
    return good;
}

static enum err write_record(struct history *h, struct cli *c, const struct record *r, bool pending) {
    char path[PATH_SIZE];
    struct buf file = {.max = HISTORY_FILE_MAX};
    enum err e = OK;
    if (!put_head(c, r, true, &file)) {
        buf_clear(&file);
        if (!put_head(c, r, false, &file)) e = fail(&c->why, E_MEMORY, "out of memory");
    }
    if (e == OK && !buf_add(&file, r->text)) e = fail(&c->why, E_MEMORY, "out of memory");
    if (e == OK && !path_of(h, r->number, pending, path))
        e = fail(&c->why, E_INPUT, "%.100s: path too long", h->folder);
    if (e == OK) e = file_replace(path, buf_view(&file), 0600, &c->why);
    buf_free(&file);
    return e;
}

static unsigned newest(const struct history *h) {
    unsigned numbers[HISTORY_LIST_MAX];
    size_t n = 0;
    return history_list(h, numbers, &n, NULL) == OK && n > 0 ? numbers[n - 1] : 0;
}

/* What a change that did not come to its end has left: CONF says whether it was made. */
static void settle(struct history *h, struct bytes current) {
    unsigned numbers[HISTORY_LIST_MAX];
    char from[PATH_SIZE], to[PATH_SIZE];
    size_t n = 0;
    if (list_files(h, true, numbers, &n, NULL) != OK) return;
    for (size_t i = 0; i < n; i++) {
        struct history_version v;
        if (!path_of(h, numbers[i], true, from) || !path_of(h, numbers[i], false, to)) continue;
        bool made = read_version(h, numbers[i], true, &v, NULL) == OK && bytes_eq(v.text, current);
        if (v.number != 0) history_version_free(&v);
        if (!made || numbers[i] <= newest(h))
            file_remove(from, NULL);
        else
            (void)!rename(from, to); /* if that fails, the next command does it */
    }
    if (n > 0) file_sync_folder(h->folder, NULL);
}

enum err history_catch_up(struct history *h, struct cli *c, struct bytes current,
                          const struct file_facts *facts) {
    settle(h, current);
    if (current.n == 0) return OK;
    struct history_version last = {.number = 0};
    struct record r = {.number = newest(h), .command = "found", .facts = facts, .text = current};
    if (r.number > 0) {
        enum err e = read_version(h, r.number, false, &last, &c->why);
        if (e == OK && bytes_eq(last.text, current)) {
            history_version_free(&last);
            return OK;
        }
        r.command = "edited by hand"; /* a damaged record is no reason to refuse changes */
        r.old = last.text;
    }
    r.number++;
    enum err e = write_record(h, c, &r, false);
    history_version_free(&last);
    return e;
}

enum err history_begin(struct history *h, struct cli *c, const char *command, struct bytes old,
                       struct bytes text) {
    struct record r = {.number = newest(h) + 1, .command = command, .old = old, .text = text};
    return write_record(h, c, &r, true);
}

void history_done(struct history *h, struct bytes current, uint64_t keep) {
    unsigned numbers[HISTORY_LIST_MAX];
    char path[PATH_SIZE];
    size_t n = 0;
    settle(h, current);
    if (history_list(h, numbers, &n, NULL) != OK) return;
    for (size_t i = 0; i + keep + 1 < n; i++)
        if (path_of(h, numbers[i], false, path)) file_remove(path, NULL);
}

/* ---- opening */

static enum err take_lock(struct history *h, struct cli *c) {
    struct mono end = mono_add_ms(clocks_mono(), c->timeout_ms);
    h->lock = open(h->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (h->lock < 0)
        return fail(&c->why, file_error(errno), "Opening the folder %.150s failed: %s", h->folder,
                    strerror(errno));
    while (flock(h->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(&c->why, E_IO, "Locking %.150s failed: %s", h->folder, strerror(errno));
        if (mono_due(end, clocks_mono()))
            return fail(&c->why, E_BUSY, "another command is changing the configuration; try again");
        clocks_sleep_ms(LOCK_STEP_MS);
    }
    return OK;
}

static void enter(struct history *h, struct cli *c) {
    memcpy(h->folder, c->home.history, sizeof h->folder);
    h->lock = -1;
    h->as_owner = home_conf_inside(&c->home) && home_as_owner(&c->home);
}

/* The folder of all that root comes back to is root's alone. */
static enum err make_folder(struct history *h, struct cli *c) {
    char root[PATH_SIZE];
    memcpy(root, h->folder, sizeof root);
    char *slash = strrchr(root, '/');
    enum err e = OK;
    if (c->home.system && slash != NULL && strcmp(slash, "/config-history") == 0) {
        *slash = 0;
        e = file_mkdirs(root, 0700, NULL, &c->why);
    }
    return e == OK ? file_mkdirs(h->folder, 0700, NULL, &c->why) : e;
}

enum err history_open(struct history *h, struct cli *c) {
    enter(h, c);
    enum err e = make_folder(h, c);
    if (e == OK) e = take_lock(h, c);
    if (e != OK) history_close(h);
    return e;
}

enum err history_look(struct history *h, struct cli *c) {
    struct stat st;
    enter(h, c);
    if (stat(h->folder, &st) == 0 && S_ISDIR(st.st_mode)) return OK;
    enum err e = errno == EACCES
                     ? fail(&c->why, E_DENIED, "%.150s is not yours to read; use sudo", h->folder)
                     : fail(&c->why, E_NOT_FOUND, "no change of %.150s is recorded yet", c->home.conf);
    history_close(h);
    return e;
}

void history_close(struct history *h) {
    if (h->lock >= 0) close(h->lock);
    h->lock = -1;
    if (h->as_owner) home_as_self();
    h->as_owner = false;
}
