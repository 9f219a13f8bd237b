/* tests/bench/limits.c: what this machine can do at all, for RESULTS.md to say how much of it SilkTalk
 * reaches: the handshake's cryptography alone, the transport's cipher alone, copying memory alone, syncing a
 * file alone, loopback TCP alone, the store alone. Usage: limits FOLDER (a file is synced there); prints one
 * JSON object. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/aead.h"
#include "crypto/key.h"
#include "crypto/rng.h"
#include "store/db.h"

enum { MIB = 1 << 20, RECORD = 65519, COPY = 64 * MIB };
static const double SECONDS = 0.3;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void die(const char *what) {
    perror(what);
    exit(1);
}
static void must(bool good, const char *what) {
    if (!good) die(what);
}


/* How often work can be done in a second. */
static double rate(void (*work)(void), double per_call) {
    double begin = now(), took = 0;
    long n = 0;
    do {
        for (int i = 0; i < 8; i++) work();
        n += 8;
        took = now() - begin;
    } while (took < SECONDS);
    return (double)n * per_call / took;
}

/* ---- cryptography */

static struct rng rng;
static struct identity self;
static uint8_t secret[32], public[32], signature[64];
static struct bytes text(void) {
    return BYTES("noise-libp2p-static-key:01234567890123456789012345678901");
}

static void one_pair(void) {
    uint8_t random[32];
    rng_fill(&rng, random, sizeof random);
    x25519_keypair(random, secret, public);
}
static void one_dh(void) {
    uint8_t out[32];
    must(x25519_dh(out, secret, public), "x25519_dh");
}
static void one_signature(void) {
    identity_sign(&self, text(), signature);
}
static void one_check(void) {
    struct public_key key;
    must(public_key_read(bytes_at(self.public_key, sizeof self.public_key), &key, NULL) == OK &&
             public_key_verify(&key, text(), bytes_at(signature, sizeof signature)),
         "public_key_verify");
}
/* What Noise XX needs at one end, with a static key that is made and signed once: an ephemeral pair, three
 * results, one check of a signature. */
static void one_handshake(void) {
    one_pair();
    for (int i = 0; i < 3; i++) one_dh();
    one_check();
}

static uint8_t *room;
static const uint8_t aead_key[32] = {1};
static void one_seal(void) {
    aead_seal(room, aead_key, 1, (struct bytes){NULL, 0}, bytes_at(room, RECORD));
}
static void one_open(void) {
    struct bytes sealed = bytes_at(room, RECORD + AEAD_TAG);
    must(aead_open(room + COPY, aead_key, 1, (struct bytes){NULL, 0}, sealed), "aead_open");
}

/* The same while the load generator's core works too: cores that a machine counts as two may share one. */
static _Atomic bool busy;
static void *keep_busy(void *unused) {
    static uint8_t own[RECORD + AEAD_TAG];
    (void)unused;
    while (busy) aead_seal(own, aead_key, 1, (struct bytes){NULL, 0}, bytes_at(own, RECORD));
    return NULL;
}
static double beside_a_busy_core(void (*work)(void), double per_call) {
    pthread_t thread;
    busy = true;
    must(pthread_create(&thread, NULL, keep_busy, NULL) == 0, "thread");
    double r = rate(work, per_call);
    busy = false;
    pthread_join(thread, NULL);
    return r;
}

/* ---- memory: a copy that fits no cache */

static void one_copy(void) {
    memcpy(room + COPY, room, COPY);
}

/* ---- disk */

static int file = -1;
static off_t place;
static void one_sync(void) { /* a page more of a log, as SQLite's WAL grows */
    must(pwrite(file, room, 4096, place) == 4096 && fdatasync(file) == 0, "fdatasync");
    place += 4096;
}

/* ---- the store alone: what a message costs in the databases of both nodes, without threads, network and
 * requests: into the outbox, into the inbox at the other end, out of the outbox; a few hundred in one
 * transaction. */

enum { TOGETHER = 300 };
static struct db *databases[2];
static struct store_op *ops[TOGETHER];

static void all(struct db *db, enum store_kind kind) {
    for (size_t i = 0; i < TOGETHER; i++) {
        struct store_op *op = ops[i];
        op->kind = kind;
        op->err = OK;
        op->next = i + 1 < TOGETHER ? ops[i + 1] : NULL;
    }
    must(db_batch(db, ops[0]) == NULL, "db_batch");
    for (size_t i = 0; i < TOGETHER; i++) must(ops[i]->err == OK, ops[i]->why.text);
}
static void some_messages(void) {
    struct message m = {.sent_ms = 1790000000000, .expires_ms = 1790000001000, .body = bytes_at(room, 100)};
    for (size_t i = 0; i < TOGETHER; i++) {
        rng_fill(&rng, m.id, sizeof m.id);
        buf_clear(&ops[i]->in);
        must(message_frame_write(&ops[i]->in, &m), "message_frame_write");
    }
    all(databases[0], STORE_OUTBOX_ADD);
    all(databases[1], STORE_INBOX_ADD);
    all(databases[0], STORE_OUTBOX_DONE);
    for (size_t i = 0; i < LEN(databases); i++)
        if (db_wal_pages(databases[i]) >= DB_WAL_PAGES) db_checkpoint(databases[i], false);
}
static double messages_per_s(const char *folder) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    char file_path[4096];
    struct why w = {OK, ""};
    if (access("/dev/shm", W_OK) == 0) folder = "/dev/shm"; /* memory, where there is such a thing */
    for (size_t i = 0; i < TOGETHER; i++) {
        ops[i] = store_op_new(STORE_OUTBOX_ADD);
        must(ops[i] != NULL, "store_op_new");
        ops[i]->peer = self.peer;
        ops[i]->now.ms = 1790000000000;
        for (size_t k = 0; k < LEN(ops[i]->limits); k++) ops[i]->limits[k] = INT64_MAX;
    }
    for (size_t i = 0; i < LEN(databases); i++) {
        snprintf(file_path, sizeof file_path, "%.4000s/limits.%ld.%zu.db", folder, (long)getpid(), i);
        struct store_setup setup = {.path = file_path, .cache_bytes = 8 * MIB, .max_bytes = INT64_MAX};
        must(db_open(&databases[i], &setup, &w) == OK, w.text);
    }
    double r = rate(some_messages, TOGETHER);
    for (size_t i = 0; i < LEN(databases); i++) {
        db_close(databases[i]);
        for (size_t k = 0; k < LEN(ends); k++) {
            snprintf(file_path, sizeof file_path, "%.4000s/limits.%ld.%zu.db%s", folder, (long)getpid(), i,
                     ends[k]);
            unlink(file_path);
        }
    }
    for (size_t i = 0; i < TOGETHER; i++) store_op_free(ops[i]);
    return r;
}

/* ---- loopback TCP between two threads */

struct far_end {
    int fd;
    bool echo;
};
static void *far(void *arg) {
    struct far_end *f = arg;
    static uint8_t taken[MIB];
    for (;;) {
        ssize_t n = read(f->fd, taken, sizeof taken);
        if (n <= 0) break;
        if (f->echo) must(write(f->fd, taken, (size_t)n) == n, "write");
    }
    close(f->fd);
    return NULL;
}
static int listener(struct sockaddr_in *at) {
    socklen_t n = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(fd >= 0 && bind(fd, (struct sockaddr *)at, n) == 0 && listen(fd, 128) == 0, "listen");
    must(getsockname(fd, (struct sockaddr *)at, &n) == 0, "getsockname");
    return fd;
}
static int dial(const struct sockaddr_in *to) {
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof *to) == 0, "connect");
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
    return fd;
}
static int near_fd, accepting;
static struct sockaddr_in place_of;
static void one_write(void) {
    must(write(near_fd, room, 65536) == 65536, "write");
}
static void one_round_trip(void) {
    must(write(near_fd, room, 32) == 32 && read(near_fd, room, 32) > 0, "round trip");
}
static void one_connection(void) {
    int a = dial(&place_of), b = accept(accepting, NULL, NULL);
    must(b >= 0, "accept");
    close(a);
    close(b);
}
static double with_far_end(bool echo, void (*work)(void), double per_call) {
    pthread_t thread;
    near_fd = dial(&place_of);
    struct far_end f = {accept(accepting, NULL, NULL), echo};
    must(f.fd >= 0 && pthread_create(&thread, NULL, far, &f) == 0, "far end");
    double r = rate(work, per_call);
    close(near_fd);
    pthread_join(thread, NULL);
    return r;
}
static double cpu(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void print(const char *name, double value, bool last) {
    printf("\"%s\": %.6g%s", name, value, last ? "}\n" : ", ");
}

int main(int argc, char **argv) {
    char path[4096];
    must(argc == 2 && crypto_open() == OK, "usage: limits FOLDER");
    rng_system(&rng);
    identity_make(&self, &rng);
    room = malloc(2 * (size_t)COPY);
    must(room != NULL, "malloc");
    memset(room, 1, 2 * (size_t)COPY);
    one_pair();
    one_signature();

    printf("{");
    print("x25519_pairs_per_s", rate(one_pair, 1), false);
    print("x25519_dh_per_s", rate(one_dh, 1), false);
    print("ed25519_sign_per_s", rate(one_signature, 1), false);
    print("ed25519_verify_per_s", rate(one_check, 1), false);
    print("handshake_per_s", rate(one_handshake, 1), false);
    one_seal();
    print("seal_GB/s", rate(one_seal, RECORD / 1e9), false);
    print("open_GB/s", rate(one_open, RECORD / 1e9), false);
    print("busy_seal_GB/s", beside_a_busy_core(one_seal, RECORD / 1e9), false);
    print("busy_handshake_per_s", beside_a_busy_core(one_handshake, 1), false);
    print("copy_GB/s", rate(one_copy, COPY / 1e9), false);

    snprintf(path, sizeof path, "%s/limits.sync", argv[1]);
    file = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
    must(file >= 0, path);
    print("syncs_per_s", rate(one_sync, 1), false);
    close(file);
    unlink(path);
    print("store_messages_per_s", messages_per_s(argv[1]), false);

    accepting = listener(&place_of);
    double begin = cpu(), bytes_per_s = with_far_end(false, one_write, 65536);
    double cpu_per_s = (cpu() - begin) / SECONDS;
    print("tcp_GB/s", bytes_per_s / 1e9, false);
    print("tcp_cpu_s/GB", cpu_per_s / (bytes_per_s / 1e9), false);
    print("tcp_round_trips_per_s", with_far_end(true, one_round_trip, 1), false);
    print("tcp_connections_per_s", rate(one_connection, 1), true);
    return 0;
}
