#include "loop/lock.h"

#include "loop/clocks.h"
#include "loop/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

enum { STEP_MS = 20, TEXT_MAX = 64, GRACE_TRIES = 3 };
static const char pid_file[] = "pid";

static enum err open_folder(int *fd, const char *data, struct why *w) {
    *fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd >= 0) return OK;
    return fail(w, file_error(errno), "Opening the folder %.150s failed: %s", data, strerror(errno));
}

static enum err try_lock(int fd, const char *data, struct why *w) {
    int done;
    do done = flock(fd, LOCK_EX | LOCK_NB);
    while (done != 0 && errno == EINTR);
    if (done == 0) return OK;
    if (errno == EWOULDBLOCK) return E_BUSY;
    return fail(w, E_IO, "Locking the folder %.120s failed: %s (a local file system is needed)", data,
                strerror(errno));
}

/* Anyone who can write there may have written it: only a pid that exists, and a role of plain letters, are
 * told. */
static void read_holder(int folder, struct lock_holder *out) {
    char text[TEXT_MAX];
    *out = (struct lock_holder){0};
    int fd = openat(folder, pid_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return;
    struct bytes rest = bytes_trim(bytes_at(text, (size_t)n)), word;
    uint64_t pid;
    if (!bytes_split(&rest, ' ', &word) || !bytes_to_u64(word, INT32_MAX, &pid) || pid == 0) return;
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH) return;
    for (size_t i = 0; i < rest.n; i++) {
        bool plain = (rest.p[i] >= 'a' && rest.p[i] <= 'z') || rest.p[i] == '-';
        if (!plain) return;
    }
    if (bytes_cstr(rest, out->role, sizeof out->role))
        out->pid = (pid_t)pid;
    else
        out->role[0] = '\0';
}

/* No failure if it can't: the lock is held all the same. */
static void write_holder(int folder, const char *role) {
    char text[TEXT_MAX];
    int n = snprintf(text, sizeof text, "%ld %.*s\n", (long)getpid(), LOCK_ROLE_MAX - 1, role);
    int fd = openat(folder, pid_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
                    0600);
    if (fd < 0) return;
    if (n > 0 && write(fd, text, (size_t)n) != n) (void)!ftruncate(fd, 0);
    close(fd);
}

static enum err held(const char *home, const struct lock_holder *h, struct why *w) {
    if (h->pid == 0) return fail(w, E_BUSY, "The home %.120s is in use by another process", home);
    return fail(w, E_BUSY, "The home %.120s is in use by process %ld (%s)", home, (long)h->pid, h->role);
}

enum err lock_take(struct lock *l, const char *home, const char *data, const char *role, int64_t wait_ms,
                   const char *no_wait_for, struct lock_holder *holder, struct why *w) {
    struct lock_holder who = {0};
    struct mono end = mono_add_ms(clocks_mono(), wait_ms);
    int fd;
    l->fd = -1;
    enum err e = open_folder(&fd, data, w);
    if (e != OK) return e;
    for (int tries = 1; (e = try_lock(fd, data, w)) == E_BUSY; tries++) {
        int64_t left = (end.us - clocks_mono().us + 999) / 1000; /* rounded up: never shorter than asked */
        read_holder(fd, &who);
        bool hopeless = no_wait_for != NULL && who.pid != 0 && strcmp(who.role, no_wait_for) == 0;
        bool glance = who.pid == 0 && tries < GRACE_TRIES; /* a nameless holder may be just a lock_look */
        if (hopeless || (left <= 0 && !glance)) break;
        clocks_sleep_ms(left <= 0 ? STEP_MS : MIN(left, (int64_t)STEP_MS));
    }
    if (holder != NULL) *holder = who;
    if (e == OK) {
        l->fd = fd;
        write_holder(fd, role);
        return OK;
    }
    close(fd);
    return e == E_BUSY ? held(home, &who, w) : e;
}

void lock_release(struct lock *l) {
    if (l->fd < 0) return;
    unlinkat(l->fd, pid_file, 0);
    flock(l->fd, LOCK_UN); /* a forked child may still have the descriptor */
    close(l->fd);
    l->fd = -1;
}

enum err lock_look(const char *data, struct lock_holder *holder, struct why *w) {
    int fd;
    *holder = (struct lock_holder){0};
    enum err e = open_folder(&fd, data, w);
    if (e != OK) return e == E_NOT_FOUND ? E_NOT_FOUND : e;
    /* A shared lock for an instant: flock has no question without a lock. lock_take knows. */
    int done;
    do done = flock(fd, LOCK_SH | LOCK_NB);
    while (done != 0 && errno == EINTR);
    if (done == 0) {
        flock(fd, LOCK_UN);
        e = fail(w, E_NOT_FOUND, "No process holds %.150s", data);
    } else if (errno == EWOULDBLOCK) {
        read_holder(fd, holder);
    } else {
        e = fail(w, E_IO, "The lock of %.150s can not be looked at: %s", data, strerror(errno));
    }
    close(fd);
    return e;
}
