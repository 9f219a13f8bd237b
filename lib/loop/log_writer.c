#include "loop/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/clocks.h"

enum {
    STACK_BYTES = 128 << 10,
    BATCH = 64 << 10, /* lines that go to the file in one write */
    STDERR_MS = 1000,
    LOOK_MS = 9 * 1000,
    IDLE_MS = 10 * 1000, /* so often at least: another day (the clock may be set)? is the file there? */
    QUEUE_KEPT = 64 << 10
};

struct log_writer {
    pthread_t thread;
    pthread_mutex_t lock; /* of all down to `stats` */
    pthread_cond_t work, done;
    size_t queue_max;
    struct buf queue; /* { i64 time, u8 priority, u16 head, u16 text, head, text } */
    bool ending, ended, busy;
    bool set, reopen, new_path, detach;
    size_t order_at; /* in the queue: lines from there on come after what was ordered */
    struct log_rotation rotation;
    char path[512];
    bool opened;
    struct why opened_why;
    struct log_writer_stats stats;

    int event;    /* readable: opened */
    bool journal; /* below: the thread's */
    struct log_file file;
    bool to_stderr, stderr_is_file, stderr_stuck;
    struct buf batch;
    uint64_t lost;
    bool failing, gone, missed; /* missed: gone at the last look, maybe on its way to another name */
    struct mono looked;
};

/* ---- stderr */

static bool stderr_is(int fd) {
    struct stat x, y;
    return fd >= 0 && fstat(fd, &x) == 0 && fstat(STDERR_FILENO, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* May it be written to without waiting? A pipe or socket that says so takes a line as a whole. */
static bool stderr_takes(struct log_writer *l) {
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    int n;
    do n = poll(&p, 1, l->stderr_stuck ? 0 : STDERR_MS);
    while (n < 0 && errno == EINTR);
    l->stderr_stuck = n == 0;
    return n > 0;
}

static void put_stderr(struct log_writer *l, int priority, struct bytes head, struct bytes text) {
    char mark[8];
    snprintf(mark, sizeof mark, "<%d>", priority);
    if (l->journal) head = bytes_of(mark);
    struct iovec parts[3] = {{(void *)(uintptr_t)head.p, head.n},
                             {(void *)(uintptr_t)text.p, text.n},
                             {(void *)(uintptr_t) "\n", 1}};
    ssize_t n = 0;
    if (stderr_takes(l)) {
        do n = writev(STDERR_FILENO, parts, 3);
        while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EPIPE || errno == EIO || errno == EBADF || errno == ECONNRESET)) {
            l->to_stderr = false; /* a terminal or reader that has gone is no loss */
            return;
        }
    }
    if (n <= 0) l->lost++;
}

/* ---- the file */

static void flush_batch(struct log_writer *l) {
    if (l->batch.n == 0) return;
    size_t lost = log_file_write(&l->file, buf_view(&l->batch));
    l->failing = lost > 0;
    l->lost += lost;
    buf_clear(&l->batch);
}

/* stderr that was the log file goes with it. */
static void follow(struct log_writer *l) {
    bool is_file = stderr_is(l->file.fd);
    if (!is_file && l->stderr_is_file && l->file.fd >= 0) is_file = dup2(l->file.fd, STDERR_FILENO) >= 0;
    l->stderr_is_file = is_file;
}

static void turn(struct log_writer *l, struct wall now, size_t more) {
    int fd = l->file.fd;
    uint64_t size = l->file.size;
    log_file_turn(&l->file, now, more);
    if (l->file.fd != fd || l->file.size < size) follow(l);
}

static void put_file(struct log_writer *l, struct wall time, struct bytes head, struct bytes text) {
    size_t n = head.n + text.n + 1;
    if (l->file.path[0] == 0) return;
    if (l->batch.n + n > BATCH) flush_batch(l);
    if (l->file.size + l->batch.n + n > l->file.turn_at) flush_batch(l);
    if (log_file_due(&l->file, time, n)) {
        flush_batch(l);
        turn(l, time, n);
    }
    if (!buf_reserve(&l->batch, n)) {
        l->lost++;
        return;
    }
    buf_add(&l->batch, head);
    buf_add(&l->batch, text);
    buf_add_byte(&l->batch, '\n');
}

static void write_lines(struct log_writer *l, struct bytes records) {
    struct rd r = rd_of(records);
    while (r.in.n > 0 && !r.bad) {
        struct wall time = {(int64_t)rd_u64(&r)};
        int priority = rd_u8(&r);
        size_t head_n = rd_u16(&r), text_n = rd_u16(&r);
        struct bytes head = rd_take(&r, head_n), text = rd_take(&r, text_n);
        put_file(l, time, head, text);
        if (l->to_stderr && !l->stderr_is_file) put_stderr(l, priority, head, text);
    }
    flush_batch(l);
}

/* ---- the thread */

static struct timespec in_ms(int64_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(ms % 1000) * 1000000L;
    t.tv_sec += (time_t)(ms / 1000) + t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    return t;
}

struct orders { /* what the loop asked for, taken at once */
    bool set, reopen, new_path, detach;
    size_t at;
    struct log_rotation rotation;
    char path[512];
};

static void take_orders(struct log_writer *l, struct orders *o) {
    *o = (struct orders){.set = l->set,
                         .reopen = l->reopen,
                         .new_path = l->new_path,
                         .detach = l->detach,
                         .at = l->order_at,
                         .rotation = l->rotation};
    memcpy(o->path, l->path, sizeof o->path);
    l->set = l->reopen = l->new_path = l->detach = false;
    l->order_at = 0;
}

static void obey(struct log_writer *l, const struct orders *o) {
    struct stat st;
    struct why w = {OK, ""};
    if (o->set) {
        l->file.rotation = o->rotation;
        l->file.turn_at = o->rotation.max_size;
        l->file.untidy = true;
    }
    if (o->reopen) {
        if (o->new_path) memcpy(l->file.path, o->path, sizeof l->file.path);
        log_file_open(&l->file, clocks_now().wall, &w);
        l->looked = MONO_NEVER;
        l->missed = false;
        follow(l);
    }
    if (o->detach && fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0) {
            dup2(null, STDERR_FILENO);
            close(null);
        }
        l->to_stderr = false;
    }
    if (!o->reopen) return;
    pthread_mutex_lock(&l->lock);
    l->opened = true;
    l->opened_why = w;
    pthread_mutex_unlock(&l->lock);
    ssize_t n;
    do n = write(l->event, &(uint64_t){1}, sizeof(uint64_t));
    while (n < 0 && errno == EINTR);
}

/* Under the lock. True: there is something to do. */
static bool asked(const struct log_writer *l) {
    return l->queue.n > 0 || l->set || l->reopen || l->detach || l->ending;
}

static void report(struct log_writer *l) {
    l->stats.lost = l->lost;
    l->stats.failing = l->failing;
    l->stats.open = l->file.fd >= 0 || l->file.path[0] == 0;
    l->stats.gone = l->gone;
}

/* Is what we write to still what lies under its name? Who turns it from outside takes a moment between the
 * rename and the signal: so it is gone when it was at two looks. */
static void look(struct log_writer *l) {
    struct mono now = clocks_mono();
    if (l->looked.us != 0 && mono_diff_ms(now, l->looked) < LOOK_MS) return;
    bool missing = log_file_gone(&l->file);
    l->looked = now;
    l->gone = missing && l->missed;
    l->missed = missing;
}

static void *work(void *user) {
    struct log_writer *l = user;
    struct buf lines = {.max = l->queue_max};
    struct orders orders;
    bool ending = false, more = false;
    while (!ending) {
        struct wall now = clocks_now().wall;
        pthread_mutex_lock(&l->lock);
        report(l);
        l->busy = false;
        if (!asked(l)) pthread_cond_broadcast(&l->done);
        struct timespec until = in_ms(more ? 0 : MIN(log_file_midnight_ms(now), (int64_t)IDLE_MS));
        for (int rc = 0; !asked(l) && rc == 0 && !more;)
            rc = pthread_cond_timedwait(&l->work, &l->lock, &until);
        struct buf swap = lines;
        lines = l->queue;
        l->queue = swap;
        l->queue.max = l->queue_max;
        take_orders(l, &orders);
        ending = l->ending;
        l->busy = true;
        pthread_mutex_unlock(&l->lock);
        write_lines(l, bytes_sub(buf_view(&lines), 0, orders.at));
        obey(l, &orders);
        write_lines(l, bytes_skip(buf_view(&lines), orders.at));
        buf_clear(&lines);
        buf_shrink(&lines, QUEUE_KEPT);
        now = clocks_now().wall;
        turn(l, now, 0);
        look(l);
        more = !ending && log_file_tidy(&l->file, now);
    }
    buf_free(&lines);
    buf_free(&l->batch);
    log_file_close(&l->file);
    pthread_mutex_lock(&l->lock);
    report(l);
    l->ended = true;
    l->busy = false;
    pthread_cond_broadcast(&l->done);
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static bool make_locks(struct log_writer *l) {
    pthread_condattr_t a;
    if (pthread_condattr_init(&a) != 0) return false;
    bool good = pthread_condattr_setclock(&a, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&l->work, &a) == 0 &&
                pthread_cond_init(&l->done, &a) == 0 && pthread_mutex_init(&l->lock, NULL) == 0;
    pthread_condattr_destroy(&a);
    return good;
}

/* Without signals: they are the main thread's. */
static bool start(struct log_writer *l) {
    sigset_t all, old;
    pthread_attr_t a;
    if (pthread_attr_init(&a) != 0) return false;
    sigfillset(&all);
    bool good = pthread_attr_setstacksize(&a, STACK_BYTES) == 0 &&
                pthread_sigmask(SIG_SETMASK, &all, &old) == 0;
    if (good) {
        good = pthread_create(&l->thread, &a, work, l) == 0;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    pthread_attr_destroy(&a);
    return good;
}

enum err log_writer_open(struct log_writer **out, size_t queue_max, bool journal, struct why *w) {
    struct log_writer *l = NEW(struct log_writer);
    *out = NULL;
    if (l == NULL) return fail(w, E_MEMORY, "out of memory");
    l->queue.max = l->queue_max = queue_max;
    l->batch.max = BATCH + (16 << 10);
    l->journal = journal;
    l->to_stderr = true;
    l->stats.open = true;
    log_file_init(&l->file);
    l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->event < 0 || !make_locks(l) || !start(l)) {
        if (l->event >= 0) close(l->event);
        mem_free(l);
        return fail(w, E_LIMIT, "no descriptor or thread is left for the log");
    }
    *out = l;
    return OK;
}

void log_writer_flush(struct log_writer *l, int64_t wait_ms) {
    struct timespec until = in_ms(wait_ms);
    pthread_mutex_lock(&l->lock);
    for (int rc = 0; (l->busy || asked(l)) && !l->ended && rc == 0;)
        rc = pthread_cond_timedwait(&l->done, &l->lock, &until);
    pthread_mutex_unlock(&l->lock);
}

void log_writer_close(struct log_writer *l, int64_t wait_ms) {
    if (l == NULL) return;
    struct timespec until = in_ms(wait_ms);
    pthread_mutex_lock(&l->lock);
    l->ending = true;
    pthread_cond_signal(&l->work);
    for (int rc = 0; !l->ended && rc == 0;) rc = pthread_cond_timedwait(&l->done, &l->lock, &until);
    bool ended = l->ended;
    pthread_mutex_unlock(&l->lock);
    if (!ended) { /* its disk hangs: the process ends without it */
        pthread_detach(l->thread);
        return;
    }
    pthread_join(l->thread, NULL);
    buf_free(&l->queue);
    close(l->event);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->done);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

bool log_writer_add(struct log_writer *l, struct wall time, int priority, struct bytes head,
                    struct bytes text) {
    pthread_mutex_lock(&l->lock);
    bool fits = head.n <= UINT16_MAX && text.n <= UINT16_MAX && buf_reserve(&l->queue, 13 + head.n + text.n);
    if (fits) {
        wr_u64(&l->queue, (uint64_t)time.ms);
        wr_u8(&l->queue, (uint8_t)priority);
        wr_u16(&l->queue, (uint16_t)head.n);
        wr_u16(&l->queue, (uint16_t)text.n);
        buf_add(&l->queue, head);
        buf_add(&l->queue, text);
    }
    l->stats.dropped += !fits;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
    return fits;
}

void log_writer_limit(struct log_writer *l, size_t queue_max) {
    pthread_mutex_lock(&l->lock);
    l->queue.max = l->queue_max = queue_max;
    pthread_mutex_unlock(&l->lock);
}

void log_writer_rotation(struct log_writer *l, const struct log_rotation *r) {
    pthread_mutex_lock(&l->lock);
    l->rotation = *r;
    l->set = true;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
}

void log_writer_reopen(struct log_writer *l, const char *path) {
    pthread_mutex_lock(&l->lock);
    l->reopen = true;
    l->order_at = l->queue.n;
    if (path != NULL) {
        snprintf(l->path, sizeof l->path, "%s", path);
        l->new_path = true;
    }
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
}

void log_writer_detach(struct log_writer *l) {
    pthread_mutex_lock(&l->lock);
    l->detach = true;
    if (!l->reopen) l->order_at = l->queue.n;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
}

int log_writer_fd(const struct log_writer *l) {
    return l->event;
}

bool log_writer_opened(struct log_writer *l, struct why *w) {
    uint64_t n;
    pthread_mutex_lock(&l->lock);
    bool opened = l->opened;
    if (opened) {
        *w = l->opened_why;
        while (read(l->event, &n, sizeof n) > 0) {}
    }
    l->opened = false;
    pthread_mutex_unlock(&l->lock);
    return opened;
}

struct log_writer_stats log_writer_stats(struct log_writer *l) {
    pthread_mutex_lock(&l->lock);
    struct log_writer_stats s = l->stats;
    s.queued = l->queue.n;
    pthread_mutex_unlock(&l->lock);
    return s;
}
