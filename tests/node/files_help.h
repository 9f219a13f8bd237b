/* tests/node/files_help.h: worlds whose nodes keep large files, in real folders of the test. */
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include "node/file_queue.h"
#include "tests/node/help.h"

static inline struct world *files_world(void) {
    struct world *w = quiet_world();
    snprintf(w->files_at, sizeof w->files_at, "%s", test_dir());
    return w;
}

/* A descriptor of a new file with `n` bytes of a pattern. */
static inline int content(struct world *w, size_t n) {
    char path[300], block[4096];
    static unsigned number;
    snprintf(path, sizeof path, "%s/content-%u", w->files_at, number++);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    for (size_t i = 0; i < sizeof block; i++) block[i] = (char)(i * 31 + i / 251);
    for (size_t at = 0; at < n; at += sizeof block) {
        size_t part = MIN(n - at, sizeof block);
        CHECK(write(fd, block, part) == (ssize_t)part);
    }
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

static inline const char *send_file_to(struct world *w, size_t a, size_t b, const char *name, size_t n,
                                       const char *more) {
    w->request_fd = content(w, n);
    return world_ask(w, a, "send", "{\"peer\":\"%s\",\"file\":{\"name\":\"%s\",\"bytes\":%zu}%s}",
                     world_address(w, b), name, n, more);
}

/* What b received under this name: the size, or -1; checked against the pattern. */
static inline long received(struct world *w, size_t b, const char *name) {
    char path[800];
    long size = -1;
    snprintf(path, sizeof path, "ls %s/%zu-files 2>/dev/null", w->files_at, b);
    FILE *ls = popen(path, "r");
    char entry[300];
    while (ls != NULL && fgets(entry, sizeof entry, ls) != NULL) {
        entry[strcspn(entry, "\n")] = 0;
        const char *dash = strchr(entry, '-');
        if (dash == NULL || strcmp(dash + 1, name) != 0) continue;
        snprintf(path, sizeof path, "%s/%zu-files/%s", w->files_at, b, entry);
        size_t n;
        char *got = test_file(path, &n);
        for (size_t i = 0; i < n; i++) {
            size_t k = i % 4096;
            CHECK(got[i] == (char)(k * 31 + k / 251), "byte %zu of %s", i, entry);
        }
        free(got);
        size = (long)n;
    }
    if (ls != NULL) pclose(ls);
    return size;
}

static inline bool no_files_out(struct world *w, void *user) {
    const struct sim_node *n = user;
    (void)w;
    return n->up && n->node->files_out == NULL && n->waiting == 0;
}
static inline bool files_sent(struct world *w, size_t i, int64_t ms) {
    return world_until(w, ms, no_files_out, w->nodes[i]);
}

/* The stream of a file on node i; NULL: none. */
static inline struct stream *file_stream_at(struct world *w, size_t i) {
    for (struct connection *c = node_of(w, i)->connections; c != NULL; c = c->next)
        for (struct stream *s = c->streams; s != NULL; s = s->next)
            if (!s->dead && s->negotiated && s->protocol == PROTOCOL_FILE) return s;
    return NULL;
}
