#include "ops/log_view.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log_name.h"
#include "base/mem.h"
#include "loop/log_lines.h"

enum {
    ARCHIVES_MAX = 4096,
    TAIL_BYTES = 4 << 20,
    TAIL_LEAST = 64 << 10,
    LINE_USUAL = 256,
    TAIL_LINES = 10000,
    LOOK_MS = 1000
};

struct archive {
    char path[PATH_SIZE + LOG_NAME_MAX];
    struct log_name name;
    struct timespec changed; /* its last line: compressing keeps it */
    uint64_t inode;
};
struct archives {
    struct archive *items;
    size_t n;
};

/* ---- which files there are */

static int by_time(const void *a, const void *b) {
    const struct archive *x = a, *y = b;
    if (x->changed.tv_sec != y->changed.tv_sec) return x->changed.tv_sec < y->changed.tv_sec ? -1 : 1;
    if (x->changed.tv_nsec != y->changed.tv_nsec) return x->changed.tv_nsec < y->changed.tv_nsec ? -1 : 1;
    if (x->name.number != y->name.number) return x->name.number > y->name.number ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* An archive and its compressed twin are one: who compressed it was stopped in between. */
static bool has_plain_twin(const struct archive *a) {
    char plain[sizeof a->path];
    struct stat st;
    snprintf(plain, sizeof plain, "%.*s", (int)(strlen(a->path) - strlen(".gz")), a->path);
    return a->name.gzip && lstat(plain, &st) == 0;
}

/* The archives beside `path`, oldest first; not the file that `current` is. */
static void list(const char *path, uint64_t current, struct archives *out) {
    char folder[PATH_SIZE];
    struct stat st;
    *out = (struct archives){NULL, 0};
    snprintf(folder, sizeof folder, "%s", path);
    char *base = strrchr(folder, '/');
    if (base == NULL) return;
    *base++ = 0;
    DIR *d = opendir(folder[0] == 0 ? "/" : folder);
    out->items = d == NULL ? NULL : NEW_ARRAY(struct archive, ARCHIVES_MAX);
    for (struct dirent *e; out->items != NULL && (e = readdir(d)) != NULL && out->n < ARCHIVES_MAX;) {
        struct archive *a = &out->items[out->n];
        a->name = log_name_parse(bytes_of(e->d_name), bytes_of(base));
        if (a->name.kind != LOG_NAME_ARCHIVE) continue;
        snprintf(a->path, sizeof a->path, "%s/%.255s", folder, e->d_name);
        if (lstat(a->path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_ino == current || has_plain_twin(a))
            continue;
        a->changed = st.st_mtim;
        a->inode = (uint64_t)st.st_ino;
        out->n++;
    }
    if (d != NULL) closedir(d);
    if (out->items != NULL) qsort(out->items, out->n, sizeof *out->items, by_time);
}

static uint64_t inode_of(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

/* ---- reading. E_CLOSED: nobody reads what is printed */

static enum err pour(struct log_view *v, struct log_lines *l, bool all) {
    struct bytes line;
    while (log_lines_next(l, all, &line))
        if (!log_view_line(v, line, (struct wall){0})) return E_CLOSED;
    return OK;
}

/* A damaged archive is told and passed over: what could be read of it is shown. */
static enum err pour_archive(struct log_view *v, const struct archive *a) {
    struct log_lines *l = NULL;
    struct why w;
    enum err e = log_lines_open(&l, a->path, &w);
    if (e == E_NOT_FOUND) return OK; /* it is too old since a moment ago */
    if (e == OK) e = pour(v, l, true);
    if (e == OK && log_lines_damaged(l)) e = fail(&w, E_PARTIAL, "%.180s is damaged: it ends early", a->path);
    if (e != OK && e != E_CLOSED) {
        cli_note(v->c, "%s", w.text);
        e = E_PARTIAL;
    }
    log_lines_close(l);
    return e;
}

/* From v->since on, oldest first. */
static enum err show_since(struct log_view *v, const char *path, struct log_lines *current) {
    struct archives a;
    enum err worst = OK, e = OK;
    list(path, inode_of(log_lines_fd(current)), &a);
    for (size_t i = 0; i < a.n && e != E_CLOSED; i++) {
        if ((int64_t)a.items[i].changed.tv_sec * 1000 + 999 < v->since.ms) continue;
        e = pour_archive(v, &a.items[i]);
        if (e != OK) worst = e;
    }
    mem_free(a.items);
    if (e != E_CLOSED) e = pour(v, current, true);
    if (e != OK) worst = e;
    return log_view_show(v) || worst == E_CLOSED ? worst : E_CLOSED;
}

/* The last lines of the current file: looked for in its last part; those that fit may be further up. */
static void pour_end(struct log_view *v, struct log_lines *l) {
    uint64_t likely = TAIL_LEAST + (uint64_t)v->last * LINE_USUAL;
    const uint64_t parts[] = {v->filtered ? TAIL_BYTES : MIN(likely, (uint64_t)TAIL_BYTES), TAIL_BYTES};
    for (size_t i = 0; i < LEN(parts) && v->last <= TAIL_LINES; i++) {
        if (!log_lines_tail(l, parts[i])) break;
        pour(v, l, true);
        if (v->n_kept == v->last) return;
        log_view_free(v);
    }
    log_lines_rewind(l);
    pour(v, l, true);
}

/* The last lines that fit, from the current file and, when it has too few, from one archive after the other
 * before it. Each file is read forwards; so those of a newer file are kept aside. */
static enum err show_last(struct log_view *v, const char *path, struct log_lines *current) {
    struct archives a;
    struct log_view *parts = NULL;
    enum err worst = OK;
    size_t n = 0, have = 0;
    list(path, inode_of(log_lines_fd(current)), &a);
    parts = NEW_ARRAY(struct log_view, a.n + 1);
    if (parts == NULL) worst = fail(&v->c->why, E_MEMORY, "out of memory");
    for (; parts != NULL && n <= a.n && have < v->last; n++) {
        parts[n] = *v;
        parts[n].last = v->last - have;
        if (n == 0) {
            pour_end(&parts[0], current);
        } else if (pour_archive(&parts[n], &a.items[a.n - n]) != OK) {
            worst = E_PARTIAL;
        }
        have += parts[n].n_kept;
    }
    while (n-- > 0) {
        if (worst != E_CLOSED && !log_view_show(&parts[n])) worst = E_CLOSED;
        v->seen += parts[n].seen;
        log_view_free(&parts[n]);
    }
    mem_free(parts);
    mem_free(a.items);
    v->last = 0;
    return worst;
}

/* ---- following */

/* Waits until something happens in the folder, or a while; false: nobody reads what is printed. */
static bool wait_change(int notify) {
    char events[4096];
    struct pollfd p[2] = {{.fd = notify, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    if (poll(p, 2, LOOK_MS) < 0 && errno != EINTR) return false;
    while (notify >= 0 && read(notify, events, sizeof events) > 0) {}
    return (p[1].revents & (POLLERR | POLLNVAL)) == 0;
}

/* What came between the file we had and the one that is there now: size may turn it twice between two looks.
 */
static enum err pour_between(struct log_view *v, const char *path, int had) {
    struct archives a;
    struct stat st;
    enum err e = OK;
    if (fstat(had, &st) != 0) return OK;
    list(path, (uint64_t)st.st_ino, &a);
    for (size_t i = 0; i < a.n && e != E_CLOSED; i++) {
        const struct timespec *t = &a.items[i].changed;
        bool later = t->tv_sec > st.st_mtim.tv_sec ||
                     (t->tv_sec == st.st_mtim.tv_sec && t->tv_nsec > st.st_mtim.tv_nsec);
        if (later) e = pour_archive(v, &a.items[i]);
    }
    mem_free(a.items);
    return e;
}

/* The path is another file now, and that has lines: nobody writes to the old one any more. */
static bool has_turned(const char *path, const struct log_lines *l) {
    struct stat st;
    return lstat(path, &st) == 0 && (uint64_t)st.st_ino != inode_of(log_lines_fd(l)) && st.st_size > 0;
}

static enum err follow_file(struct log_view *v, const char *path, struct log_lines **current) {
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) *slash = 0;
    int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (notify >= 0) inotify_add_watch(notify, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    enum err e = OK;
    while (e != E_CLOSED) {
        bool turned = has_turned(path, *current); /* looked at before the last lines are read */
        if (log_lines_shrunk(*current)) log_lines_rewind(*current); /* copytruncate */
        e = pour(v, *current, turned);
        if (e == OK && turned) {
            struct log_lines *next = NULL;
            e = pour_between(v, path, log_lines_fd(*current));
            if (e != E_CLOSED && log_lines_open(&next, path, NULL) == OK) {
                log_lines_close(*current);
                *current = next;
            }
            if (e != E_CLOSED) continue;
        }
        if (fflush(stdout) != 0 || !wait_change(notify)) e = E_CLOSED;
    }
    if (notify >= 0) close(notify);
    return e;
}

enum err log_files_show(struct log_view *v, const char *path, bool follow) {
    struct log_lines *current = NULL;
    bool as_owner = home_as_owner(&v->c->home);
    enum err e = log_lines_open(&current, path, &v->c->why);
    if (e == OK)
        e = v->last == 0 || v->since.ms != 0 ? show_since(v, path, current) : show_last(v, path, current);
    if (follow && (e == OK || e == E_PARTIAL)) e = follow_file(v, path, &current);
    log_lines_close(current);
    if (as_owner) home_as_self();
    if (e == E_PARTIAL) fail(&v->c->why, e, "not all archives of the log could be read");
    return e == E_CLOSED ? OK : e;
}
