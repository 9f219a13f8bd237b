/* tests/sim/tree.h: folders and files of a disk whose power can fail. Names have a life of their own: what
 * was made, renamed or removed since the last sync of its folder is lost then, or a part of it is; so a file
 * can survive under no name, under its old one, or after it was removed. Paths are absolute, without "..". */
#pragma once
#include "tests/sim/content.h"

enum { TREE_PATH = 512 };

struct tree_file {
    struct content bytes;
    bool folder;
    char path[TREE_PATH]; /* of a folder: it is never renamed */
    int64_t changed_ms;
    unsigned handles; /* descriptors */
};
struct tree_name {
    char path[TREE_PATH];
    struct tree_file *file;
};
struct tree_names {
    struct tree_name *of;
    size_t n;
};
struct tree_change {                     /* not synced yet */
    char from[TREE_PATH], to[TREE_PATH]; /* "": made; removed */
    struct tree_file *file;
};
struct tree {
    struct tree_names now, safe; /* as it is; as it was at the last sync of each folder */
    struct tree_change *changes;
    size_t n_changes;
    struct tree_file **files;
    size_t n_files;
};
void tree_open(struct tree *t, const char *root); /* an empty folder, synced */
void tree_free(struct tree *t);
struct tree_file *tree_find(const struct tree *t, const char *path);
/* 0, or what errno would be. */
int tree_make(struct tree *t, const char *path, bool folder, struct tree_file **out);
int tree_remove(struct tree *t, const char *path);
int tree_rename(struct tree *t, const char *from, const char *to);
bool tree_is_in(const char *path, const char *folder); /* right below it */
/* Names in it are safe from now on; of a file: its bytes. */
void tree_sync(struct tree *t, struct tree_file *file);
void tree_sweep(struct tree *t); /* frees what has neither a name nor a handle */
/* The power comes back. `some`: a part of what was not synced survives. */
void tree_lose(struct tree *t, bool some, struct rng *rng);
