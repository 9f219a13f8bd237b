/* tests/store/files_help.h: what the tests of large files share: a database with folders, an offer by number,
 * and each operation of STORE_FILE_* with what it must answer. */
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "crypto/hash.h"
#include "help.h"
#include "proto/file.h"

enum { PART = 256 << 10 };
static const char *home;
static uint8_t content[3 << 20];

static inline struct db *open_with(const char *outgoing, const char *received) {
    char path[512];
    struct db *db = NULL;
    struct why w = {OK, ""};
    join(path, sizeof path, home, "silktalk.db");
    struct store_setup setup = {.path = path,
                                .outgoing = outgoing,
                                .received = received,
                                .cache_bytes = 1 << 20,
                                .max_bytes = 1 << 30,
                                .queue_max = 64};
    CHECK(db_open(&db, &setup, &w) == OK, "%s", w.text);
    return db;
}

static inline struct db *reopen(struct db *db) {
    char out[300], in[300];
    if (db != NULL) db_close(db);
    join(out, sizeof out, home, "outgoing");
    join(in, sizeof in, home, "files");
    return open_with(out, in);
}

static inline struct db *begin(void) {
    static char path[200];
    static unsigned count;
    snprintf(path, sizeof path, "%s/%u", test_dir(), ++count);
    CHECK(mkdir(path, 0700) == 0);
    home = path;
    for (size_t i = 0; i < sizeof content; i++) content[i] = (uint8_t)(i * 7 + (i >> 13));
    return reopen(NULL);
}

static inline size_t entries(const char *folder) {
    char path[300];
    size_t n = 0;
    join(path, sizeof path, home, folder);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    if (d != NULL) closedir(d);
    return n;
}

static inline struct file_offer offer_of(uint64_t n, struct bytes data) {
    struct file_offer o = {.sent_ms = (uint64_t)NOW_MS,
                           .expires_ms = (uint64_t)NOW_MS + 1000,
                           .size = data.n,
                           .name = BYTES("big.bin"),
                           .has_hash = true};
    id_number(n, o.id);
    hash_sha256(data, o.hash);
    return o;
}

static inline void put_offer(struct buf *in, const struct file_offer *o) {
    struct buf framed = {.max = 8192};
    bool whole = false;
    struct bytes rest, frame = {NULL, 0};
    CHECK(file_offer_write(&framed, o));
    rest = buf_view(&framed);
    CHECK(file_frame_next(&rest, &frame, &whole) == OK && whole && buf_add(in, frame));
    buf_free(&framed);
}

static inline struct store_op file_op(enum store_kind kind, int64_t seq) {
    struct store_op op = op_of(kind);
    op.seq = seq;
    op.fd = -1;
    op.limits[0] = 1 << 30;
    op.limits[1] = 1000;
    op.limits[2] = 100;
    op.limits[3] = 10;
    return op;
}

static inline void run_op(struct db *db, struct store_op *op, enum err want) {
    db_run(db, op);
    CHECK(op->err == want, "kind %d: %s, not %s: %s", (int)op->kind, err_name(op->err), err_name(want),
          op->why.text);
}

/* The log can not grow: whatever it writes, its commit fails. */
static inline void run_undone(struct db *db, struct store_op *op) {
    char path[512];
    struct stat st;
    struct rlimit old, small;
    join(path, sizeof path, home, "silktalk.db-wal");
    CHECK(stat(path, &st) == 0 && st.st_size > 0 && getrlimit(RLIMIT_FSIZE, &old) == 0);
    small = old;
    small.rlim_cur = (rlim_t)st.st_size;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    db_run(db, op);
    CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
    signal(SIGXFSZ, handler);
    CHECK(op->err == E_LIMIT, "kind %d: %s: %s", (int)op->kind, err_name(op->err), op->why.text);
}

/* One that needs nothing but its seq; its error is checked and it is ended. */
static inline void simply(struct db *db, enum store_kind kind, int64_t seq, enum err want) {
    struct store_op op = file_op(kind, seq);
    run_op(db, &op, want);
    op_end(&op);
}

static inline void check_row(struct db *db, size_t place, const char *key, const char *want) {
    struct store_op op = file_op(STORE_FILE_LIST, 0);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    struct bytes got = json_get_bytes(json_at(json_root(doc), place), key);
    CHECK(bytes_is(got, want), "row %zu has %s %.*s, not %s", place, key, (int)got.n, (const char *)got.p,
          want);
    json_free(doc);
    op_end(&op);
}

static inline size_t rows(struct db *db) {
    struct store_op op = file_op(STORE_FILE_LIST, 0);
    db_run(db, &op);
    CHECK(op.err == OK);
    op_end(&op);
    return (size_t)op.count;
}

static char source[300]; /* the last one: each is a file of its own, copied later */
static inline int source_of(struct bytes data) {
    static unsigned count;
    char name[32];
    snprintf(name, sizeof name, "source-%u", ++count);
    write_text(home, name, data);
    join(source, sizeof source, home, name);
    int fd = open(source, O_RDONLY);
    CHECK(fd >= 0);
    return fd;
}

static inline struct store_op add(struct db *db, uint64_t n, int fd, uint64_t size, uint64_t quota,
                                  uint64_t most, enum err want) {
    struct store_op op = file_op(STORE_FILE_ADD, 0);
    struct file_offer o = offer_of(n, bytes_at(content, (size_t)size));
    memset(o.hash, 0, sizeof o.hash);
    op.peer = peer_number(9);
    op.fd = fd;
    op.limits[0] = quota;
    op.limits[1] = most;
    put_offer(&op.in, &o);
    run_op(db, &op, want);
    CHECK(op.fd == -1, "taken over, whatever happens");
    return op;
}

static inline int64_t added(struct db *db, uint64_t n, uint64_t size) {
    struct store_op op = add(db, n, source_of(bytes_at(content, (size_t)size)), size, 1 << 30, 1000, OK);
    CHECK(op.count == size);
    op_end(&op);
    return op.seq;
}

static inline void copy_all(struct db *db, int64_t seq, size_t size) {
    struct store_op op = file_op(STORE_FILE_COPY, seq);
    struct file_offer o;
    for (uint64_t before = 0;; before = op.count) {
        run_op(db, &op, OK);
        CHECK(op.count >= before && op.count <= size && op.count - before <= FILE_SLICE);
        if (!op.more) break;
        op.seq = seq;
    }
    uint8_t hash[SHA256_SIZE];
    hash_sha256(bytes_at(content, size), hash);
    CHECK(op.count == size && op.bytes == size && op.when.ms == NOW_MS);
    CHECK(file_offer_read(buf_view(&op.out), &o, NULL) == OK && o.size == size &&
          memcmp(o.hash, hash, sizeof hash) == 0);
    op_end(&op);
}

static inline struct store_op offered(struct db *db, uint64_t peer, const struct file_offer *o, bool wanted) {
    struct store_op op = file_op(STORE_FILE_OFFER, 0);
    op.peer = peer_number(peer);
    op.flags = wanted ? FILE_WANTED : 0;
    put_offer(&op.in, o);
    run_op(db, &op, OK);
    return op;
}

static inline enum receipt_status status_of(struct db *db, uint64_t peer, const struct file_offer *o,
                                            bool wanted) {
    struct store_op op = offered(db, peer, o, wanted);
    op_end(&op);
    return op.status;
}

static inline int64_t taken(struct db *db, const struct file_offer *o, uint64_t from) {
    struct store_op op = offered(db, 5, o, true);
    CHECK(op.status == RECEIPT_NONE && (op.flags & FILE_WAITS) == 0 && op.count == from &&
              op.bytes == o->size,
          "status %d, from %" PRIu64, (int)op.status, op.count);
    op_end(&op);
    return op.seq;
}

static inline uint64_t write_at(struct db *db, int64_t seq, uint64_t at, struct bytes data, bool last,
                                enum err want) {
    struct store_op op = file_op(STORE_FILE_WRITE, seq);
    op.count = at;
    op.flags = last ? FILE_LAST : 0;
    CHECK(buf_add(&op.in, data));
    run_op(db, &op, want);
    op_end(&op);
    return op.count;
}

static inline void write_from(struct db *db, int64_t seq, size_t at, struct bytes data) {
    if (data.n == 0) write_at(db, seq, 0, data, true, OK); /* an empty file is made by a write, too */
    for (; at < data.n; at += PART) {
        struct bytes part = bytes_sub(data, at, MIN((size_t)PART, data.n - at));
        uint64_t safe = write_at(db, seq, at, part, at + part.n == data.n, OK);
        CHECK(at + part.n < data.n || safe == data.n, "the last one is synced");
    }
}

static inline enum receipt_status checked(struct db *db, int64_t seq, enum err want) {
    struct store_op op = file_op(STORE_FILE_CHECK, seq);
    do {
        db_run(db, &op);
    } while (op.err == OK && op.more);
    CHECK(op.err == want, "%s: %s", err_name(op.err), op.why.text);
    if (op.status == RECEIPT_STORED) CHECK(strcmp(op.text, "big.bin") == 0 && op.seq == seq);
    op_end(&op);
    return op.status;
}

static inline void check_saved(struct db *db, struct bytes want) {
    struct store_op op = file_op(STORE_FILE_LIST, 0);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    char id[40];
    CHECK(bytes_cstr(json_get_bytes(json_at(json_root(doc), 0), "id"), id, sizeof id));
    json_free(doc);
    op_end(&op);
    op = ask_text(db, STORE_FILE_OPEN, id, OK);
    uint8_t *got = mem_new(want.n + 1, 1);
    CHECK(op.fd >= 0 && read(op.fd, got, want.n + 1) == (ssize_t)want.n && memcmp(got, want.p, want.n) == 0);
    close(op.fd);
    mem_free(got);
    op_end(&op);
}

static inline void write_from_all(struct db *db, int64_t seq, struct bytes data) {
    write_from(db, seq, 0, data);
    CHECK(checked(db, seq, OK) == RECEIPT_STORED);
}
