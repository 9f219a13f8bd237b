#include "tests/sim/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- lists of names */

static size_t position(const struct tree_names *x, const char *path) {
    size_t i = 0;
    while (i < x->n && strcmp(x->of[i].path, path) != 0) i++;
    return i;
}

static void put_name(struct tree_names *x, const char *path, struct tree_file *file) {
    size_t i = position(x, path);
    if (i == x->n) {
        x->of = content_must(realloc(x->of, (x->n + 1) * sizeof *x->of));
        x->n++;
        snprintf(x->of[i].path, sizeof x->of[i].path, "%s", path);
    }
    x->of[i].file = file;
}

/* Keeps the order of the others. */
static void drop_name(struct tree_names *x, const char *path, const struct tree_file *file) {
    size_t i = position(x, path);
    if (i == x->n || (file != NULL && x->of[i].file != file)) return;
    memmove(&x->of[i], &x->of[i + 1], (x->n - i - 1) * sizeof x->of[0]);
    x->n--;
}

static void apply(struct tree_names *x, const struct tree_change *c) {
    if (c->from[0] != 0) drop_name(x, c->from, c->file);
    if (c->to[0] != 0) put_name(x, c->to, c->file);
}

static void copy_names(struct tree_names *to, const struct tree_names *from) {
    to->n = from->n;
    to->of = content_must(realloc(to->of, MAX(from->n, (size_t)1) * sizeof *to->of));
    if (from->n > 0) memcpy(to->of, from->of, from->n * sizeof *to->of);
}

/* ---- the tree */

static struct tree_file *new_file(struct tree *t, const char *path, bool folder) {
    struct tree_file *f = content_must(calloc(1, sizeof *f));
    f->folder = folder;
    snprintf(f->path, sizeof f->path, "%s", path);
    t->files = content_must(realloc(t->files, (t->n_files + 1) * sizeof *t->files));
    return t->files[t->n_files++] = f;
}

void tree_open(struct tree *t, const char *root) {
    struct tree_file *f = new_file(t, root, true);
    put_name(&t->now, root, f);
    put_name(&t->safe, root, f);
}

void tree_free(struct tree *t) {
    for (size_t i = 0; i < t->n_files; i++) {
        content_free(&t->files[i]->bytes);
        free(t->files[i]);
    }
    free(t->files);
    free(t->now.of);
    free(t->safe.of);
    free(t->changes);
    memset(t, 0, sizeof *t);
}

struct tree_file *tree_find(const struct tree *t, const char *path) {
    size_t i = position(&t->now, path);
    return i < t->now.n ? t->now.of[i].file : NULL;
}

bool tree_is_in(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
}

static bool has_folder(const struct tree *t, const char *path) {
    char folder[TREE_PATH];
    snprintf(folder, sizeof folder, "%s", path);
    char *last = strrchr(folder, '/');
    if (last == NULL) return false;
    *last = 0;
    const struct tree_file *f = tree_find(t, folder);
    return f != NULL && f->folder;
}

static void change(struct tree *t, const char *from, const char *to, struct tree_file *file) {
    t->changes = content_must(realloc(t->changes, (t->n_changes + 1) * sizeof *t->changes));
    struct tree_change *c = &t->changes[t->n_changes++];
    snprintf(c->from, sizeof c->from, "%s", from);
    snprintf(c->to, sizeof c->to, "%s", to);
    c->file = file;
    apply(&t->now, c);
}

int tree_make(struct tree *t, const char *path, bool folder, struct tree_file **out) {
    if (strlen(path) >= TREE_PATH) return ENAMETOOLONG;
    if (tree_find(t, path) != NULL) return EEXIST;
    if (!has_folder(t, path)) return ENOENT;
    struct tree_file *f = new_file(t, path, folder);
    change(t, "", path, f);
    if (out != NULL) *out = f;
    return 0;
}

int tree_remove(struct tree *t, const char *path) {
    struct tree_file *f = tree_find(t, path);
    if (f == NULL) return ENOENT;
    if (f->folder) return EISDIR;
    change(t, path, "", f);
    return 0;
}

int tree_rename(struct tree *t, const char *from, const char *to) {
    struct tree_file *f = tree_find(t, from);
    if (f == NULL || !has_folder(t, to)) return ENOENT;
    if (strlen(to) >= TREE_PATH) return ENAMETOOLONG;
    if (strcmp(from, to) != 0) change(t, from, to, f);
    return 0;
}

void tree_sync(struct tree *t, struct tree_file *file) {
    if (!file->folder) {
        content_sync(&file->bytes);
        return;
    }
    size_t left = 0;
    for (size_t i = 0; i < t->n_changes; i++) {
        const struct tree_change *c = &t->changes[i];
        if (tree_is_in(c->from, file->path) || tree_is_in(c->to, file->path))
            apply(&t->safe, c);
        else
            t->changes[left++] = *c;
    }
    t->n_changes = left;
    tree_sweep(t);
}

static bool is_named(const struct tree *t, const struct tree_file *f) {
    for (size_t i = 0; i < t->now.n; i++)
        if (t->now.of[i].file == f) return true;
    for (size_t i = 0; i < t->safe.n; i++)
        if (t->safe.of[i].file == f) return true;
    for (size_t i = 0; i < t->n_changes; i++)
        if (t->changes[i].file == f) return true;
    return false;
}

void tree_sweep(struct tree *t) {
    size_t left = 0;
    for (size_t i = 0; i < t->n_files; i++) {
        struct tree_file *f = t->files[i];
        if (f->handles > 0 || is_named(t, f)) {
            t->files[left++] = f;
            continue;
        }
        content_free(&f->bytes);
        free(f);
    }
    t->n_files = left;
}

/* A folder that is lost takes along what is in it. */
static void drop_orphans(struct tree *t) {
    for (size_t i = 1; i < t->now.n;) {
        if (has_folder(t, t->now.of[i].path)) {
            i++;
        } else {
            drop_name(&t->now, t->now.of[i].path, NULL);
            i = 1;
        }
    }
}

void tree_lose(struct tree *t, bool some, struct rng *rng) {
    /* A journal keeps what came first; without one any of it survives. */
    bool journal = some && rng_below(rng, 2) == 0;
    size_t first = journal ? (size_t)rng_below(rng, t->n_changes + 1) : 0;
    copy_names(&t->now, &t->safe);
    for (size_t i = 0; some && i < t->n_changes; i++)
        if (journal ? i < first : rng_below(rng, 2) == 0) apply(&t->now, &t->changes[i]);
    drop_orphans(t);
    copy_names(&t->safe, &t->now);
    t->n_changes = 0;
    for (size_t i = 0; i < t->n_files; i++) content_lose(&t->files[i]->bytes, some, rng);
    tree_sweep(t);
}
