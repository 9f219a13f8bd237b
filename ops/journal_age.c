#include "ops/check_logs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"

enum { WAIT_MS = 3000, FIRST_LINES = 2048 };

pid_t journalctl_start(const char *const *args, int out, int said) {
    pid_t parent = getpid(), pid = fork();
    if (pid != 0) return pid;
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(said, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent) _exit(1);
    execvp(args[0], (char *const *)(uintptr_t)args);
    _exit(127);
}

/* "1771755330.123456 host silktalk[9]: text"; lines with "--" before it are journalctl's own. */
static bool time_of(struct bytes text, struct wall *out) {
    struct bytes line;
    uint64_t seconds;
    while (bytes_split(&text, '\n', &line)) {
        if (line.n > 1 && line.p[0] == '-') continue;
        if (!bytes_to_u64(bytes_sub(line, 0, bytes_index(line, '.')), INT64_MAX / 1000, &seconds))
            return false;
        out->ms = (int64_t)seconds * 1000;
        return true;
    }
    return false;
}

/* What comes within the time, up to the end of what is wanted. */
static struct bytes read_first(int from, uint8_t *room, size_t size) {
    size_t n = 0;
    for (int left = WAIT_MS; n < size && left > 0;) {
        struct pollfd p = {.fd = from, .events = POLLIN};
        struct wall seen;
        int ready = poll(&p, 1, left);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) break;
        ssize_t got = read(from, room + n, size - n);
        if (got <= 0) break;
        n += (size_t)got;
        if (memchr(room, '\n', n) != NULL && time_of(bytes_at(room, n), &seen)) break;
    }
    return bytes_at(room, n);
}

bool journal_oldest(struct wall *out) {
    uint8_t room[FIRST_LINES], word;
    int ends[2], said[2];
    static const char *const args[] = {"journalctl", "--no-pager", "--output=short-unix", NULL};
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    if (pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0) {
        close(ends[0]);
        close(ends[1]);
        return false;
    }
    pid_t pid = journalctl_start(args, ends[1], said[1]);
    close(ends[1]);
    close(said[1]);
    struct bytes text = pid < 0 ? bytes_of(NULL) : read_first(ends[0], room, sizeof room);
    close(ends[0]);
    if (pid > 0) {
        kill(pid, SIGTERM);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    bool hint = read(said[0], &word, 1) == 1; /* "not seeing messages from other users" and the like */
    close(said[0]);
    return !hint && time_of(text, out);
}
