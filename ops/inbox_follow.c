#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "loop/clocks.h"
#include "ops/inbox.h"
#include "proto/message.h"

enum { POLL_MS = 20000, RETRY_MIN_MS = 1000, RETRY_MAX_MS = 60000, ENVIRONMENT_MAX = 16 };

static volatile sig_atomic_t ended; /* SIGINT or SIGTERM came */
static void on_signal(int number) {
    (void)number;
    ended = 1;
}

static bool has_ended(void) {
    return ended != 0;
}

static void catch_signals(void) {
    struct sigaction a = {.sa_handler = on_signal}; /* no SA_RESTART: waits end at once */
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

/* ---- printing */

static void print_line(const struct json *m) {
    static const char *const members[] = {"id",           "from",    "name",     "sent",  "received",
                                          "content_type", "subject", "reply_to", "bytes", "read"};
    struct buf line = {.max = 16 << 20};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.inbox/1");
    for (size_t i = 0; i < LEN(members); i++) json_put_value(&o, members[i], json_get(m, members[i]));
    const char *body = json_get(m, "body_base64") != NULL ? "body_base64" : "body";
    json_put_value(&o, body, json_get(m, body));
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&line);
}

static void print(struct cli *c, const struct json *m) {
    if (c->json) {
        print_line(m);
    } else {
        struct buf from = {.max = 256}, subject = {.max = 2048}, body = {.max = 32 << 20};
        if (json_is_text(json_get(m, "name")))
            cell_text(m, "name", &from);
        else
            cell_id(m, "from", &from);
        cell_text(m, "subject", &subject);
        if (json_get(m, "body_base64") == NULL) cli_safe(json_get_bytes(m, "body"), true, &body);
        struct bytes id = json_get_bytes(m, "id");
        printf("%.*s %s%s%s: ", (int)id.n, (const char *)id.p, buf_cstr(&from), subject.n > 0 ? " " : "",
               buf_cstr(&subject));
        if (json_get(m, "body_base64") == NULL)
            fwrite(body.p, 1, body.n, stdout);
        else
            printf("(%lld bytes, not text)", (long long)json_get_int(m, "bytes", 0));
        puts("");
        buf_free(&from);
        buf_free(&subject);
        buf_free(&body);
    }
    fflush(stdout);
}

/* ---- running a program */

struct environment {
    char *words[ENVIRONMENT_MAX];
    size_t n;
};
/* Values of peers: no NUL gets in, and a program that prints them is on its own. */
static void add_variable(struct environment *env, const char *name, struct bytes value) {
    struct buf text = {.max = 8192};
    if (env->n + 1 < ENVIRONMENT_MAX && buf_add_format(&text, "SILKTALK_%s=", name)) {
        for (size_t i = 0; i < value.n; i++)
            if (value.p[i] != 0) buf_add_byte(&text, value.p[i]);
        env->words[env->n] = mem_text(text.p, text.n);
        if (env->words[env->n] != NULL) env->n++;
    }
    buf_free(&text);
}

static void message_environment(struct environment *env, const struct json *m) {
    static const char *const fields[][2] = {
        {"ID", "id"},           {"FROM", "from"},         {"NAME", "name"},
        {"SUBJECT", "subject"}, {"FILE", "file"},         {"TYPE", "content_type"},
        {"SENT", "sent"},       {"RECEIVED", "received"}, {"REPLY_TO", "reply_to"}};
    char bytes[32];
    for (size_t i = 0; i < LEN(fields); i++) add_variable(env, fields[i][0], json_get_bytes(m, fields[i][1]));
    snprintf(bytes, sizeof bytes, "%lld", (long long)json_get_int(m, "bytes", 0));
    add_variable(env, "BYTES", bytes_of(bytes));
}

static void child(char **argv, const struct environment *env, int in) {
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    dup2(in, STDIN_FILENO);
    for (size_t i = 0; i < env->n; i++) putenv(env->words[i]);
    execvp(argv[0], argv);
    fprintf(stderr, "silktalk inbox: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void feed(int fd, struct bytes body) {
    while (body.n > 0) { /* a program that does not read its input gets EPIPE here, which is its business */
        ssize_t n = write(fd, body.p, body.n);
        if (n < 0 && errno == EINTR && !ended) continue;
        if (n <= 0) break;
        body = bytes_skip(body, (size_t)n);
    }
    close(fd);
}

static bool succeeded(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool run(struct cli *c, char **argv, const struct json *m) {
    struct environment env = {.n = 0};
    struct buf body = {.max = MESSAGE_FRAME_MAX};
    int ends[2];
    bool good = false;
    const struct json *encoded = json_get(m, "body_base64");
    if (encoded != NULL)
        base64_decode(&body, json_bytes(encoded), false);
    else
        buf_add(&body, json_get_bytes(m, "body"));
    message_environment(&env, m);
    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) == 0) {
        pid_t pid = fork();
        if (pid == 0) child(argv, &env, ends[0]);
        close(ends[0]);
        if (pid > 0) {
            feed(ends[1], buf_view(&body));
            good = succeeded(pid);
        } else {
            close(ends[1]);
            cli_note(c, "silktalk inbox: no new process: %s", strerror(errno));
        }
    }
    for (size_t i = 0; i < env.n; i++) mem_free(env.words[i]);
    buf_free(&body);
    return good;
}

static enum err mark(struct cli *c, const struct json *m) {
    struct buf params;
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    struct json_out o = cli_params(&params);
    json_put(&o, "id", json_get_bytes(m, "id"));
    enum err e = cli_ask(c, "inbox.mark", &params, &o, c->timeout_ms, &answer, &result);
    json_free(answer);
    return e;
}

static void pause_ms(int64_t ms) {
    if (!ended) poll(NULL, 0, (int)ms);
}

/* Until it works, or we are told to end: the message after it waits, so order is kept and nothing is lost. */
static bool handle(struct cli *c, char **argv, const struct json *m) {
    if (argv == NULL) {
        print(c, m);
        return true;
    }
    int64_t wait = RETRY_MIN_MS;
    while (!ended && !run(c, argv, m)) {
        cli_note(c, "silktalk inbox: %s failed; again in %llds", argv[0], (long long)(wait / 1000));
        pause_ms(wait);
        wait = MIN(wait * 2, (int64_t)RETRY_MAX_MS);
    }
    while (!ended && mark(c, m) == E_NOT_RUNNING) pause_ms(RETRY_MIN_MS);
    return !ended;
}

/* One long poll. */
static enum err next(struct cli *c, bool unread, bool started, int64_t after, struct json_doc **answer,
                     const struct json **result) {
    struct buf params;
    struct json_out o = cli_params(&params);
    if (started) json_put_int(&o, "after", after);
    json_put_bool(&o, "unread", unread);
    json_put_int(&o, "wait_ms", POLL_MS);
    return cli_ask(c, "inbox.next", &params, &o, POLL_MS + c->timeout_ms, answer, result);
}

int inbox_follow(struct cli *c) {
    char **argv = NULL;
    const char *program = cli_value(c, "exec");
    bool executes = program != NULL, started = executes, gone = false;
    int64_t after = 0;
    if (executes) {
        argv = NEW_ARRAY(char *, (size_t)c->n_args + 2);
        if (argv == NULL) return cli_exit(c, fail(&c->why, E_MEMORY, "out of memory"));
        argv[0] = mem_text(program, strlen(program));
        for (int i = 0; i < c->n_args; i++) argv[i + 1] = c->args[i];
    }
    catch_signals();
    c->stop = has_ended;
    while (!ended) {
        struct json_doc *answer = NULL;
        const struct json *result = NULL;
        enum err e = next(c, executes, started, after, &answer, &result);
        if (e == E_NOT_RUNNING || e == E_CLOSED || e == E_IO) { /* restarts are waited for */
            if (!started && !gone && e == E_NOT_RUNNING) return cli_exit(c, e);
            if (!gone) cli_note(c, "silktalk inbox: the node is gone; waiting for it");
            gone = true;
            pause_ms(RETRY_MIN_MS);
            continue;
        }
        if (ended) break;
        if (e != OK && e != E_TIMEOUT) return cli_exit(c, e);
        gone = false;
        const struct json *items = json_get(result, "items");
        bool all = true;
        for (size_t i = 0; all && i < json_count(items); i++) all = handle(c, argv, json_at(items, i));
        if (result != NULL && all) {
            after = json_get_int(result, "cursor", after);
            started = true;
        }
        json_free(answer);
    }
    if (argv != NULL) mem_free(argv[0]);
    mem_free(argv);
    return 0;
}
