#include "ops/log_view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

enum { ARGS_MAX = 16, SAID_MAX = 256 };

/* Its words on stderr are kept in a file of their own: the first line says what is wrong. */
static pid_t start_journalctl(const struct log_view *v, bool follow, int out, int err) {
    char since[32], number[32];
    const char *args[ARGS_MAX] = {"journalctl", "--no-pager", "--output=json"};
    size_t n = 3;
    args[n++] = v->c->home.system ? "--unit=silktalk" : "--user-unit=silktalk";
    snprintf(since, sizeof since, "--since=@%lld", (long long)(v->since.ms / 1000));
    snprintf(number, sizeof number, "--lines=%zu", v->last);
    if (v->since.ms != 0) args[n++] = since;
    if (follow) args[n++] = "--follow";
    if (v->last > 0 && !v->filtered) /* else the last that fit are only known when all were seen */
        args[n++] = number;
    else if (follow)
        args[n++] = "--no-tail";
    pid_t pid = fork();
    if (pid != 0) return pid;
    int null = open("/dev/null", O_RDWR);
    if (null >= 0) dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execvp(args[0], (char *const *)(uintptr_t)args);
    _exit(127);
}

/* A message is text, or a list of numbers when it is not all UTF-8, or null when it is too long. */
static void message_of(const struct json *m, struct buf *out) {
    const struct json *byte;
    if (json_is_text(m)) buf_add(out, json_bytes(m));
    for (size_t i = 0; json_item(m, &i, &byte);) buf_add_byte(out, (uint8_t)json_int(byte, '?'));
}

static bool show_entry(struct log_view *v, struct bytes line) {
    struct buf message = {.max = 1 << 20};
    struct json_doc *doc = json_parse(line, NULL);
    const struct json *root = json_root(doc);
    uint64_t us = 0;
    bytes_to_u64(json_get_bytes(root, "__REALTIME_TIMESTAMP"), INT64_MAX, &us);
    message_of(json_get(root, "MESSAGE"), &message);
    bool good = message.n == 0 || log_view_line(v, buf_view(&message), (struct wall){(int64_t)(us / 1000)});
    json_free(doc);
    buf_free(&message);
    return good;
}

/* What there is first is kept until no more is waiting: only then the last lines are known. */
static bool pour(struct log_view *v, FILE *from, bool follow) {
    char *line = NULL;
    size_t size = 0;
    bool good = true;
    for (ssize_t n; good && (n = getline(&line, &size, from)) > 0;) {
        good = show_entry(v, bytes_trim(bytes_at(line, (size_t)n)));
        if (good && follow && v->last == 0) good = fflush(stdout) == 0;
    }
    free(line);
    return good;
}

static void first_words(int fd, char out[SAID_MAX]) {
    ssize_t n = pread(fd, out, SAID_MAX - 1, 0);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

enum err log_journal_show(struct log_view *v, bool follow) {
    struct cli *c = v->c;
    int ends[2] = {-1, -1}, status = 0;
    char said[SAID_MAX] = "";
    FILE *err = tmpfile(), *from = NULL;
    if (err == NULL || pipe2(ends, O_CLOEXEC) != 0 || (from = fdopen(ends[0], "r")) == NULL) {
        if (err != NULL) fclose(err);
        if (ends[0] >= 0) close(ends[0]);
        if (ends[1] >= 0) close(ends[1]);
        return fail(&c->why, E_FAILED, "journalctl can not be started: %s", strerror(errno));
    }
    pid_t pid = start_journalctl(v, follow, ends[1], fileno(err));
    close(ends[1]);
    if (follow) v->last = 0; /* printed as they come */
    bool good = pid > 0 && pour(v, from, follow);
    fclose(from);
    if (pid > 0) waitpid(pid, &status, 0);
    first_words(fileno(err), said);
    fclose(err);
    if (!log_view_show(v) || !good) return OK; /* nobody reads any more */
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (code == 127)
        return fail(&c->why, E_NOT_FOUND, "there is no log file, and no journalctl on this host");
    if (v->seen > 0) return OK;
    if (said[0] != 0 || code != 0)
        return fail(&c->why, E_NOT_FOUND, "there is no log file, and no journal: %s",
                    said[0] != 0 ? said : "it failed");
    return v->since.ms != 0
               ? OK
               : fail(&c->why, E_NOT_FOUND, "there is no log file, and the journal has no lines of silktalk");
}
