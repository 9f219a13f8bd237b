#include "ops/log_view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "ops/check_logs.h"

enum { ARGS_MAX = 16, SAID_MAX = 256, PIECE = 64 << 10, ENTRY_MAX = 1 << 20, CURSOR_MAX = 512 };

struct journal {
    struct log_view *v;
    int from;                /* journalctl's stdout */
    int said;                /* its stderr: a file of its own, whose first line says what is wrong */
    char cursor[CURSOR_MAX]; /* of the entry that was shown last, as --after-cursor wants it; "": none */
    struct buf text;
};

/* `after`: nothing but what comes behind the cursor, as it comes. It ends with us, whatever we die of. */
static pid_t start_journalctl(const struct journal *j, bool after, int out) {
    const struct log_view *v = j->v;
    char since[32], number[32], cursor[CURSOR_MAX + 32];
    const char *args[ARGS_MAX] = {"journalctl", "--no-pager", "--output=json"};
    size_t n = 3;
    args[n++] = v->c->home.system ? "--unit=silktalk" : "--user-unit=silktalk";
    snprintf(since, sizeof since, "--since=@%lld", (long long)(v->since.ms / 1000));
    snprintf(number, sizeof number, "--lines=%zu", v->last);
    snprintf(cursor, sizeof cursor, "--after-cursor=%s", j->cursor);
    if (after) args[n++] = "--follow";
    if (after) args[n++] = "--no-tail";
    if (after && j->cursor[0] != 0)
        args[n++] = cursor;
    else if (v->since.ms != 0)
        args[n++] = since;
    if (!after && v->last > 0 && !v->filtered) /* else the last that fit are only known when all were seen */
        args[n++] = number;
    return journalctl_start(args, out, j->said);
}

/* A message is text, or a list of numbers when it is not all UTF-8, or null when it is too long. */
static void message_of(const struct json *m, struct buf *out) {
    const struct json *byte;
    if (json_is_text(m)) buf_add(out, json_bytes(m));
    for (size_t i = 0; json_item(m, &i, &byte);) buf_add_byte(out, (uint8_t)json_int(byte, '?'));
}

static bool show_entry(struct journal *j, struct bytes line) {
    struct buf message = {.max = ENTRY_MAX};
    struct json_doc *doc = json_parse(line, NULL);
    const struct json *root = json_root(doc);
    uint64_t us = 0;
    bytes_to_u64(json_get_bytes(root, "__REALTIME_TIMESTAMP"), INT64_MAX, &us);
    bytes_cstr(json_get_bytes(root, "__CURSOR"), j->cursor, sizeof j->cursor);
    message_of(json_get(root, "MESSAGE"), &message);
    bool good = message.n == 0 ||
                log_view_line(j->v, buf_view(&message), (struct wall){(int64_t)(us / 1000)});
    json_free(doc);
    buf_free(&message);
    return good;
}

/* Some more of what journalctl says. False: that was all, or nobody reads what we print. */
static bool more(struct journal *j, bool *reader) {
    struct pollfd p[2] = {{.fd = j->from, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    int ready;
    do ready = poll(p, 2, -1);
    while (ready < 0 && errno == EINTR);
    *reader = ready >= 0 && (p[1].revents & (POLLERR | POLLNVAL)) == 0;
    if (!*reader || !buf_reserve(&j->text, PIECE)) return false;
    ssize_t n;
    do n = read(j->from, j->text.p + j->text.n, PIECE);
    while (n < 0 && errno == EINTR);
    j->text.n += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* All entries that come. False: nobody reads what we print. */
static bool pour(struct journal *j) {
    bool reader = true;
    buf_clear(&j->text);
    while (reader && more(j, &reader)) {
        struct bytes rest = buf_view(&j->text);
        for (size_t end; reader && (end = bytes_index(rest, '\n')) < rest.n; rest = bytes_skip(rest, end + 1))
            reader = show_entry(j, bytes_sub(rest, 0, end));
        buf_drop(&j->text, j->text.n - rest.n);
        if (j->v->last == 0 && fflush(stdout) != 0) reader = false;
    }
    return reader;
}

static void first_words(int fd, char out[SAID_MAX]) {
    ssize_t n = pread(fd, out, SAID_MAX - 1, 0);
    out[n > 0 ? n : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

/* journalctl from its start to its end. E_CLOSED: nobody reads what we print. */
static enum err ask(struct journal *j, bool after) {
    struct cli *c = j->v->c;
    char said[SAID_MAX] = "";
    int ends[2], status = 0;
    FILE *err = tmpfile();
    if (err == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        enum err e = fail(&c->why, E_FAILED, "journalctl can not be started: %s", strerror(errno));
        if (err != NULL) fclose(err);
        return e;
    }
    j->from = ends[0];
    j->said = fileno(err);
    pid_t pid = start_journalctl(j, after, ends[1]);
    close(ends[1]);
    bool reader = pid < 0 || pour(j);
    close(ends[0]);
    if (!reader) kill(pid, SIGTERM); /* it may have nothing to say for hours */
    if (pid > 0) waitpid(pid, &status, 0);
    first_words(j->said, said);
    fclose(err);
    int code = pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (!reader) return E_CLOSED;
    if (code == 127)
        return fail(&c->why, E_NOT_FOUND, "there is no log file, and no journalctl on this host");
    if (j->v->seen == 0 && (said[0] != 0 || code != 0))
        return fail(&c->why, E_NOT_FOUND, "there is no log file, and no journal: %s",
                    said[0] != 0 ? said : "it failed");
    if (after && code != 0)
        return fail(&c->why, E_FAILED, "journalctl ended: %s", said[0] != 0 ? said : "it says nothing");
    return OK;
}

/* What there is comes first, so that the last lines that fit are known; then what is behind it. */
enum err log_journal_show(struct log_view *v, bool follow) {
    struct journal j = {.v = v, .text = {.max = ENTRY_MAX + PIECE}};
    enum err e = ask(&j, false);
    if (e == OK && !log_view_show(v)) e = E_CLOSED;
    /* A node that has a log file, which is not there, writes no journal either: it would be waited for in
     * vain. */
    bool comes = follow && (v->seen > 0 || cfg(v->c->config, logging_file).text[0] == 0);
    if (e == OK && comes)
        e = ask(&j, true);
    else if (e == OK && v->seen == 0 && (follow || v->since.ms == 0))
        e = fail(&v->c->why, E_NOT_FOUND, "there is no log file, and the journal has no lines of silktalk");
    buf_free(&j.text);
    return e == E_CLOSED ? OK : e;
}
