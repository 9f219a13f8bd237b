/* The database: operations of the fuzzer's on a fresh one, with hostile frames, texts and files in the
 * spool. After each story the counters fit the rows and SQLite finds nothing wrong. In memory where the
 * machine has such a folder (/dev/shm). */
#include "store/db.h"
#include "store/spool.h"
#include "base/json.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_MS INT64_C(1790000000000)
static char folder[80], path[120], spool[120];

static void remove_all(const char *in) {
    DIR *d = opendir(in);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (unlinkat(dirfd(d), e->d_name, 0) == 0) continue;
        char below[400];
        snprintf(below, sizeof below, "%s/%s", in, e->d_name);
        remove_all(below);
    }
    if (d != NULL) closedir(d);
    rmdir(in);
}

static void at_exit(void) {
    remove_all(folder);
}

static void make_folder(void) {
    if (folder[0] != 0) return;
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/silktalk-fuzz-%d", place, (int)getpid());
    snprintf(path, sizeof path, "%s/silktalk.db", folder);
    snprintf(spool, sizeof spool, "%s/spool", folder);
    atexit(at_exit);
}

static void peer_of(uint8_t n, struct peer_id *out) {
    *out = (struct peer_id){.n = 34, .p = {0x12, 0x20, [30] = n % 4}};
}

/* A frame: the fuzzer's bytes, or a whole one with its fields. */
static void put_frame(struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in);
    if ((how & 3) == 3) {
        buf_add(out, fuzz_part(in));
        return;
    }
    struct message m = {.id = {fuzz_u8(in) % 8}, .sent_ms = (uint64_t)NOW_MS};
    m.id[15] = how & 4 ? fuzz_u8(in) : m.id[0];
    m.expires_ms = how & 8 ? fuzz_u64(in) >> 1 : (uint64_t)NOW_MS + 60000;
    m.body = fuzz_part(in);
    if (how & 16) m.subject = fuzz_part(in);
    if (how & 32) m.content_type = fuzz_part(in);
    if (how & 64) m.has_reply_to = true;
    if (how & 128) m.sent_ms = fuzz_u64(in);
    message_frame_write(out, &m);
}

/* ---- what the file system refuses (--wrap; only while `fault` says so) */

static enum { NO_FAULT, FCHMOD, FSYNC, RENAME, WRITE, SHORTER, READ, NO_FOLDER, LONG_PATH, FAULTS } fault;
static int fault_errno;

static bool faulty(int what) {
    if ((int)fault != what) return false;
    errno = fault_errno;
    return true;
}
int __real_fchmod(int fd, mode_t mode);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __real_read(int fd, void *p, size_t n);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);
int __wrap_fchmod(int fd, mode_t mode) {
    return faulty(FCHMOD) ? -1 : __real_fchmod(fd, mode);
}
int __wrap_fsync(int fd) {
    return faulty(FSYNC) ? -1 : __real_fsync(fd);
}
int __wrap_rename(const char *from, const char *to) {
    return faulty(RENAME) ? -1 : __real_rename(from, to);
}
ssize_t __wrap_write(int fd, const void *p, size_t n) {
    return faulty(WRITE) ? -1 : __real_write(fd, p, n);
}
ssize_t __wrap_read(int fd, void *p, size_t n) {
    return faulty(SHORTER) ? 0 : faulty(READ) ? -1 : __real_read(fd, p, n);
}

static void write_spool(const struct peer_id *peer, struct bytes frame, uint64_t most) {
    static const char *const nowhere = "/nowhere/at/all";
    char far[1100];
    struct why w = {OK, ""};
    memset(far, 'a', sizeof far);
    far[sizeof far - 1] = 0;
    const char *to = fault == NO_FOLDER ? nowhere : fault == LONG_PATH ? far : spool;
    enum err e = spool_write(to, peer, (struct wall){NOW_MS}, frame, most, &w);
    MUST(e == OK || (e == w.code && w.text[0] != 0));
    MUST(e != OK || fault == NO_FAULT || fault == SHORTER || fault == READ);
    fault = NO_FAULT;
}

/* A file in the spool: its line from the fuzzer or a good one, then a frame. */
static void put_file(struct bytes *in) {
    char name[200];
    uint8_t how = fuzz_u8(in);
    struct buf text = {.max = 1 << 20};
    struct peer_id peer;
    peer_of(how, &peer);
    if (how & 64) {
        struct buf frame = {.max = 1 << 20};
        static const int errors[] = {EACCES, ENOENT, ENOSPC, EIO, EINVAL, EDQUOT, EROFS};
        uint8_t what = how & 16 ? fuzz_u8(in) : 0;
        put_frame(in, &frame);
        fault_errno = errors[what / FAULTS % LEN(errors)];
        fault = what % FAULTS;
        write_spool(&peer, buf_view(&frame), how & 32 ? 3 : 100);
        buf_free(&frame);
        return;
    }
    if (how & 4) {
        char id[PEER_TEXT_MAX];
        peer_id_text(&peer, id);
        buf_add_format(&text, "{\"v\":1,\"peer\":\"%s\",\"created_ms\":%d}\n", id, how);
    } else {
        buf_add(&text, fuzz_part(in));
        if (how & 8) buf_add_text(&text, "\n");
    }
    put_frame(in, &text);
    snprintf(name, sizeof name, "%s/%c%u%s", spool, how & 16 ? '.' : 'a', how, how & 128 ? ".tmp" : ".msg");
    if (how % 16 == 1 && mkdir(name, 0700) == 0) how = 0;
    if (how % 16 == 2 && symlink("/dev/null", name) == 0) how = 0;
    if (how % 16 == 3 && link(path, name) == 0) how = 0;
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        MUST(write(fd, text.p, text.n) == (ssize_t)text.n);
        struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
        if (how & 16) MUST(futimens(fd, old) == 0); /* left by a writer that died long ago */
        close(fd);
    }
    buf_free(&text);
}

/* An id's text: one that may be there, or the fuzzer's. */
static void put_id(struct bytes *in, struct buf *out) {
    uint8_t how = fuzz_u8(in);
    if (how < 64) {
        buf_add(out, fuzz_part(in));
        return;
    }
    uint8_t id[MESSAGE_ID] = {how % 8, [15] = how % 8};
    hex_encode(out, bytes_at(id, sizeof id));
    if (how & 64) buf_drop(out, fuzz_u8(in) % 33);
    if (how & 32) out->n -= MIN(out->n, (size_t)fuzz_u8(in) % 33);
}

static void check_json(const struct store_op *op) {
    struct buf text = {.max = 17 << 20};
    struct why w = {OK, ""};
    MUST(buf_add_text(&text, "[") && buf_add(&text, buf_view(&op->out)) && buf_add_text(&text, "]"));
    struct json_doc *doc = json_parse(buf_view(&text), &w);
    MUST(doc != NULL);
    json_free(doc);
    buf_free(&text);
}

static void run(struct db *db, struct bytes *in) {
    uint8_t kind = fuzz_u8(in), how = fuzz_u8(in);
    struct store_op *op = store_op_new((enum store_kind)(kind % STORE_KINDS));
    op->now.ms = NOW_MS + how * 1000;
    peer_of(how, &op->peer);
    op->seq = how & 8 ? (int64_t)fuzz_u64(in) : fuzz_u8(in) % 16;
    op->count = how & 16 ? fuzz_u64(in) : fuzz_u8(in);
    op->bytes = 1 << 20;
    op->flags = how >> 5;
    op->when.ms = how & 4 ? (int64_t)fuzz_u64(in) : NOW_MS;
    op->limits[0] = how & 2 ? fuzz_u8(in) : 1000;
    op->limits[1] = op->limits[3] = op->limits[4] = how & 2 ? fuzz_u16(in) : 1 << 20;
    op->limits[2] = op->limits[5] = how & 2 ? fuzz_u8(in) : 1000;
    switch ((int)op->kind) {
    case STORE_OUTBOX_ADD:
    case STORE_INBOX_ADD: put_frame(in, &op->in); break;
    case STORE_OUTBOX_RETRY:
    case STORE_OUTBOX_CANCEL:
    case STORE_INBOX_READ:
    case STORE_INBOX_MARK:
    case STORE_INBOX_DELETE: put_id(in, &op->in); break;
    case STORE_SPOOL_TAKE: put_file(in); break;
    default: buf_add(&op->in, fuzz_part(in)); break;
    }
    if (how & 1) bytes_cstr(fuzz_part(in), op->text, sizeof op->text);
    if (op->kind == STORE_SPOOL_TAKE && how >= 192) fault = how & 32 ? READ : SHORTER;
    db_run(db, op);
    fault = NO_FAULT;
    MUST(op->err == op->why.code || op->err == OK);
    bool list = op->kind == STORE_OUTBOX_LIST || op->kind == STORE_INBOX_LIST || op->kind == STORE_TOTALS;
    if (op->err == OK && list) check_json(op);
    store_op_free(op);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    struct store_setup setup = {.path = path, .spool = spool, .cache_bytes = 1 << 20, .max_bytes = 16 << 20};
    struct db *db = NULL;
    struct why w = {OK, ""};
    size_t blocks = mem_blocks();
    make_folder();
    setup.queue_max = 64;
    remove_all(folder);
    mkdir(folder, 0700);
    mkdir(spool, 0700);
    MUST(db_open(&db, &setup, &w) == OK);
    for (int i = 0; i < 40 && in.n > 0; i++) run(db, &in);
    enum err e = db_check(db, false, &w);
    if (e != OK) fprintf(stderr, "%s\n", w.text);
    MUST(e == OK);
    db_close(db);
    fuzz_no_leak(blocks);
    return 0;
}
