#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/db.h"

enum {
    IDLE_CHECKPOINT_MS = 500,
    GATHER_MS = 20, /* so long may what nobody waits for wait for company */
    GATHER_MAX = 256,
    STACK_BYTES = 1 << 20 /* SQLite's parser and our lists; musl gives a thread 128 KiB unless asked */
};

struct queue {
    struct store_op *first, *last;
    size_t n;
};
struct store {
    struct db *db; /* the thread's, while it runs */
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t work;
    struct queue todo, bulk, done; /* bulk: the bytes of files */
    size_t urgent;                 /* of todo: somebody waits for them */
    bool ending, bulk_next;
    int pipe[2]; /* a byte in it: done is not empty */
    bool told;
    /* The owner's own: a lock, and the thread woken, for many and not for each. */
    struct queue given, taken;
    size_t waiting, queue_max; /* given and not taken back */
};

static void push_list(struct queue *q, struct store_op *first) {
    while (first != NULL) {
        struct store_op *next = first->next;
        first->next = NULL;
        if (q->last == NULL)
            q->first = first;
        else
            q->last->next = first;
        q->last = first;
        q->n++;
        first = next;
    }
}

static void give_back(struct store *s, struct store_op *first) {
    pthread_mutex_lock(&s->lock);
    push_list(&s->done, first);
    bool tell = !s->told;
    s->told = true;
    pthread_mutex_unlock(&s->lock);
    if (tell) {
        ssize_t n;
        do n = write(s->pipe[1], "", 1);
        while (n < 0 && errno == EINTR); /* a full pipe is readable anyway */
    }
}

/* Waits for work; false: none came within the time (there may be a log to copy), or it ends. */
static struct timespec in_ms(long ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ms * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    return t;
}

/* Nobody waits for these, and what a crash undoes of them is done again: they share a commit with what comes
 * next instead of keeping the disk busy when it comes. */
static bool may_wait(const struct store_op *op) {
    return op->kind == STORE_OUTBOX_DONE || op->kind == STORE_OUTBOX_TRIED || op->kind == STORE_PEER_PUT ||
           op->kind == STORE_STRANGER || op->kind == STORE_FIGURES_ADD;
}

/* The bytes of files: what waits behind them is a matter of one slice, not of all that are asked for. */
static bool is_bulk(const struct store_op *op) {
    return op->kind == STORE_FILE_READ || op->kind == STORE_FILE_WRITE || op->kind == STORE_FILE_COPY ||
           op->kind == STORE_FILE_CHECK;
}

/* One of files, and all of the rest, in turn. */
static struct store_op *next_batch(struct store *s) {
    struct store_op *batch = s->todo.first;
    bool bulk = batch == NULL || (s->bulk_next && s->bulk.first != NULL);
    s->bulk_next = !bulk;
    if (!bulk) {
        s->todo = (struct queue){NULL, NULL, 0};
        s->urgent = 0;
        return batch;
    }
    batch = s->bulk.first;
    if (batch == NULL) return NULL;
    s->bulk.first = batch->next;
    if (batch->next == NULL) s->bulk.last = NULL;
    s->bulk.n--;
    batch->next = NULL;
    return batch;
}

static struct store_op *wait_for_work(struct store *s, bool idle, bool *ending) {
    struct timespec until = in_ms(IDLE_CHECKPOINT_MS);
    struct store_op *batch = NULL;
    pthread_mutex_lock(&s->lock);
    int rc = 0;
    while (s->todo.first == NULL && s->bulk.first == NULL && !s->ending && rc == 0)
        rc = idle ? pthread_cond_wait(&s->work, &s->lock)
                  : pthread_cond_timedwait(&s->work, &s->lock, &until);
    until = in_ms(GATHER_MS);
    for (rc = 0; rc == 0 && s->bulk.n == 0 && s->todo.n > 0 && s->todo.n < GATHER_MAX && s->urgent == 0 &&
                 !s->ending;)
        rc = pthread_cond_timedwait(&s->work, &s->lock, &until);
    batch = next_batch(s);
    *ending = s->ending && batch == NULL;
    pthread_mutex_unlock(&s->lock);
    return batch;
}

static int64_t monotonic_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *work(void *user) {
    struct store *s = user;
    bool ending = false, idle = true; /* idle: nothing in the log that could be copied meanwhile */
    mem_keep(true);
    while (!ending) {
        struct store_op *batch = wait_for_work(s, idle, &ending);
        if (batch == NULL && !ending) db_checkpoint(s->db, false);
        idle = batch == NULL;
        while (batch != NULL) {
            uint64_t commits = db_commits(s->db);
            int64_t began = monotonic_us();
            struct store_op *rest = db_batch(s->db, batch);
            struct store_op *last = batch;
            while (last->next != rest) last = last->next;
            last->next = NULL;
            if (db_commits(s->db) != commits) last->commit_us = MAX(monotonic_us() - began, (int64_t)1);
            give_back(s, batch);
            batch = rest;
            if (db_wal_pages(s->db) >= DB_WAL_PAGES) db_checkpoint(s->db, false);
        }
    }
    mem_keep(false);
    return NULL;
}

/* With a stack of known size, and without signals: they are the main thread's. */
static bool start(struct store *s) {
    sigset_t all, old;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    sigfillset(&all);
    bool done = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
                pthread_sigmask(SIG_SETMASK, &all, &old) == 0;
    if (done) {
        done = pthread_create(&s->thread, &attributes, work, s) == 0;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    pthread_attr_destroy(&attributes);
    return done;
}

/* The wall clock may jump; the wait for the next checkpoint must not. */
static bool make_locks(struct store *s) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    bool done = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&s->work, &attributes) == 0 && pthread_mutex_init(&s->lock, NULL) == 0;
    pthread_condattr_destroy(&attributes);
    return done;
}

enum err store_open(struct store **out, const struct store_setup *setup, struct why *w) {
    *out = NULL;
    struct store *s = NEW(struct store);
    if (s == NULL) return fail(w, E_MEMORY, "out of memory");
    s->pipe[0] = s->pipe[1] = -1;
    s->queue_max = setup->queue_max;
    enum err e = db_open(&s->db, setup, w);
    if (e == OK && pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) != 0) e = fail(w, E_LIMIT, "no descriptor is left");
    if (e == OK && !make_locks(s)) e = fail(w, E_LIMIT, "no lock can be made");
    if (e == OK && !start(s)) e = fail(w, E_LIMIT, "no thread can be started");
    if (e == OK) {
        *out = s;
        return OK;
    }
    db_close(s->db);
    if (s->pipe[0] >= 0) close(s->pipe[0]);
    if (s->pipe[1] >= 0) close(s->pipe[1]);
    mem_free(s);
    return e;
}

void store_close(struct store *s) {
    if (s == NULL) return;
    store_flush(s);
    pthread_mutex_lock(&s->lock);
    s->ending = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    store_op_list_free(s->taken.first);
    store_op_list_free(s->done.first);
    db_close(s->db);
    close(s->pipe[0]);
    close(s->pipe[1]);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->work);
    mem_free(s);
}

int store_fd(const struct store *s) {
    return s->pipe[0];
}

bool store_give(struct store *s, struct store_op *op) {
    if (s->waiting >= s->queue_max) return false;
    op->next = NULL;
    push_list(&s->given, op);
    s->waiting++;
    return true;
}

void store_flush(struct store *s) {
    if (s->given.first == NULL) return;
    pthread_mutex_lock(&s->lock);
    for (struct store_op *op = s->given.first, *next; op != NULL; op = next) {
        next = op->next;
        op->next = NULL;
        bool bulk = is_bulk(op);
        if (!bulk && !may_wait(op)) s->urgent++;
        push_list(bulk ? &s->bulk : &s->todo, op);
    }
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    s->given = (struct queue){NULL, NULL, 0};
}

size_t store_waiting(const struct store *s) {
    return s->waiting;
}

static void take_all(struct store *s) {
    pthread_mutex_lock(&s->lock);
    s->taken = s->done;
    s->done = (struct queue){NULL, NULL, 0};
    if (s->told) {
        char bytes[64];
        while (read(s->pipe[0], bytes, sizeof bytes) > 0) {}
        s->told = false;
    }
    pthread_mutex_unlock(&s->lock);
}

struct store_op *store_take(struct store *s) {
    if (s->taken.first == NULL) take_all(s);
    struct store_op *op = s->taken.first;
    if (op == NULL) return NULL;
    s->taken.first = op->next;
    if (op->next == NULL) s->taken.last = NULL;
    s->taken.n--;
    s->waiting--;
    op->next = NULL;
    return op;
}
