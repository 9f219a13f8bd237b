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

/* What the store of each node is asked for files, and how answers of one kind are changed: in w->user. */
struct probe {
    struct {
        uint64_t given[STORE_KINDS];
        int64_t at_us[64];        /* when OFFERs were given */
        size_t parts, most_parts; /* bytes of READ and WRITE at the store */
        uint64_t read;            /* bytes asked with READ */
        uint64_t first;           /* offset of the first READ behind the last TRIED */
        uint64_t told;            /* offset that the last OFFER was answered */
    } of[4];
    size_t node; /* whose answers are changed: */
    enum store_kind kind;
    unsigned after, times; /* not the first `after`; then so many */
    void (*change)(struct store_op *op, int64_t arg);
    int64_t arg;
};
static inline void probe_store(struct world *w, size_t node, struct store_op *op, bool done) {
    struct probe *p = w->user;
    bool part = op->kind == STORE_FILE_READ || op->kind == STORE_FILE_WRITE;
    size_t n = op->kind == STORE_FILE_READ ? (size_t)op->bytes : op->in.n;
    if (!done) {
        if (op->kind == STORE_FILE_OFFER)
            p->of[node].at_us[p->of[node].given[op->kind] % LEN(p->of[node].at_us)] = w->now_us;
        p->of[node].given[op->kind]++;
        if (part) p->of[node].parts += n;
        p->of[node].most_parts = MAX(p->of[node].most_parts, p->of[node].parts);
        if (op->kind == STORE_FILE_TRIED) p->of[node].first = UINT64_MAX;
        if (op->kind == STORE_FILE_READ) {
            p->of[node].read += op->bytes;
            if (p->of[node].first == UINT64_MAX) p->of[node].first = op->count;
        }
        return;
    }
    if (part) p->of[node].parts -= MIN(n, p->of[node].parts);
    if (op->kind == STORE_FILE_OFFER) p->of[node].told = op->count;
    if (p->change == NULL || node != p->node || op->kind != p->kind) return;
    if (p->after > 0) {
        p->after--;
    } else if (p->times > 0) {
        p->times--;
        p->change(op, p->arg);
    }
}
static inline void probe_in(struct world *w, struct probe *p) {
    w->user = p;
    w->on_store = probe_store;
}
static inline void change_status(struct store_op *op, int64_t status) {
    op->status = (enum receipt_status)status;
}
static inline void change_error(struct store_op *op, int64_t error) {
    op->err = fail(&op->why, (enum err)error, "a disk of this test");
}

/* Rows of a node that have this state. */
static inline size_t rows_in(struct world *w, size_t node, const char *state) {
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM files WHERE state = '%s'", state);
    return world_count(w, node, sql);
}
/* The id of a node's first file. */
static inline const char *first_id(struct world *w, size_t node) {
    static char id[33];
    const char *at = strstr(world_ask(w, node, "file", "{}"), "\"id\":\"");
    CHECK(at != NULL);
    memcpy(id, at + 6, 32);
    return id;
}
