#include "ops/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* stderr may be the very file (a daemon started with its output redirected there): then one copy is enough.
 */
static bool same_file(int a, int b) {
    struct stat x, y;
    return a >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool sink_reopen(struct daemon_log *s, struct why *w) {
    char folder[PATH_SIZE];
    if (s->path[0] == 0) return true;
    snprintf(folder, sizeof folder, "%s", s->path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) *slash = 0;
    int fd = -1;
    if (file_mkdirs(folder, 0750, NULL, w) == OK) {
        fd = open(s->path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
        if (fd < 0) fail(w, E_IO, "%s: %s", s->path, strerror(errno));
    }
    if (fd >= 0 || s->fd < 0) { /* an old file that still works is better than none */
        if (s->fd >= 0) close(s->fd);
        s->fd = fd;
    }
    s->to_stderr = !same_file(s->fd, STDERR_FILENO);
    return fd >= 0;
}

void sink_open(struct daemon_log *s, const char *path) {
    const char *journal = getenv("JOURNAL_STREAM");
    snprintf(s->path, sizeof s->path, "%s", path);
    s->fd = -1;
    s->to_stderr = true;
    s->journal = journal != NULL && journal[0] != 0;
}

void sink_close(struct daemon_log *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

static void put(struct daemon_log *s, int fd, const char *head, size_t head_n, struct bytes text) {
    struct iovec parts[3] = {{(void *)(uintptr_t)head, head_n},
                             {(void *)(uintptr_t)text.p, text.n},
                             {(void *)(uintptr_t) "\n", 1}};
    ssize_t n;
    do n = writev(fd, parts, 3);
    while (n < 0 && errno == EINTR);
    if (n < 0) s->lost++; /* a full disk or a gone terminal costs lines, nothing else */
}

/* What ends the daemon. */
static bool is_fatal(const struct log_line *line) {
    const char *text = event_rows[EV_START_REFUSED].text;
    return line->level == LEVEL_ERROR && line->component == COMPONENT_node &&
           bytes_has(line->text, bytes_of(text));
}

void sink_drain(struct daemon_log *s, struct log *log) {
    static const char *const priorities[LEVEL_COUNT] = {"<7>", "<6>", "<4>", "<3>"};
    struct log_line line;
    while (log_take(log, &line)) {
        char head[40] = "";
        size_t head_n = 0;
        if (log->format == LOG_TEXT) {
            wall_text(line.time, head);
            head_n = strlen(head);
            head[head_n++] = ' ';
        }
        if (s->fd >= 0) put(s, s->fd, head, head_n, line.text);
        if (!s->to_stderr) continue;
        if (s->journal)
            put(s, STDERR_FILENO, is_fatal(&line) ? "<2>" : priorities[line.level], 3, line.text);
        else
            put(s, STDERR_FILENO, head, head_n, line.text);
    }
}
