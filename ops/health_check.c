#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "loop/clocks.h"
#include "node/alert.h"
#include "ops/health_ask.h"
#include "ops/web_fetch.h"

enum { PROGRAM_MS = 60000, WORDS_MAX = 64, STATE_MAX = 64 << 10, NOTICE_MAX = 512 << 10, WEBHOOK_MS = 15000 };

APPLET(health_check)
const struct opt health_check_opts[] = {
    {0, "mail", "ADDR", NULL, "mail it there, by sendmail -t (default: alerts.mailTo)"},
    {0, "exec", "PROGRAM", NULL,
     "run it, with JSON on its standard input (default: alerts.exec); words, no shell"},
    {0, "webhook", "URL", NULL,
     "POST it there, as alerts.webhook gets it from the node (signed, if alerts.webhookSecretFile is set)"},
    {0, "repeat", "D", "4h", "tell again after this time, while it lasts (default: alerts.repeat)"},
    {0}};
const char health_check_text[] =
    "Usage: silktalk health-check [--mail ADDR] [--exec PROGRAM] [--webhook URL] [--repeat D]\n"
    "What `silktalk health` does, and tells somebody when the findings change, when all is well again, and "
    "each\n"
    "--repeat while it is not. A job for a timer or cron: it works when the node is dead. What it told is "
    "kept\n"
    "in HOME/health-check.state. Maintenance silences it. Findings below alerts.minLevel are not told.\n"
    "alerts.webhook is the running node's own; only --webhook is asked from here. It takes 15 s at most, "
    "redirects\n"
    "are not followed, and the token of alerts.webhookTokenFile goes to no other server than that of "
    "alerts.webhook.\n"
    "Exits as health does: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN or usage.\n"
    "Examples:\n"
    "  silktalk health-check --mail ops@example.com\n"
    "  */5 * * * * silktalk health-check -q --exec \"/usr/local/bin/page --team node\"\n";

struct notice {
    const char *kind; /* problem, recovery, repeat */
    const char *node;
    struct buf words, line, json, contacts;
};

/* ---- what was told before */

struct told {
    char findings[ALERT_FINDINGS_MAX]; /* "cpu:P1,disk:P2": what was told last; "": all is well */
    struct wall at, maintenance_until;
    bool maintenance;
};

static void state_path(const struct cli *c, char out[PATH_SIZE]) {
    snprintf(out, PATH_SIZE, "%.480s/health-check.state", c->home.dir);
}

static void state_read(const struct cli *c, struct told *t) {
    char path[PATH_SIZE];
    struct buf text = {.max = STATE_MAX};
    *t = (struct told){.findings = ""};
    state_path(c, path);
    bool as_owner = home_as_owner(&c->home);
    enum err e = file_read(path, FILE_NO_LINK, STATE_MAX, FILE_ANY_MODE, &text, NULL, NULL);
    if (as_owner) home_as_self();
    struct json_doc *doc = e == OK ? json_parse(buf_view(&text), NULL) : NULL;
    const struct json *v = doc == NULL ? NULL : json_root(doc);
    bytes_cstr(json_get_bytes(v, "findings"), t->findings, sizeof t->findings);
    if (!wall_parse(json_get_bytes(v, "told"), &t->at)) t->at.ms = 0;
    t->maintenance = json_get_bool(v, "maintenance", false);
    if (!wall_parse(json_get_bytes(v, "maintenance_until"), &t->maintenance_until))
        t->maintenance_until.ms = 0;
    json_free(doc);
    buf_free(&text);
}

static enum err state_write(struct cli *c, const struct told *t) {
    char path[PATH_SIZE];
    struct buf text = {.max = STATE_MAX};
    struct json_out o = json_begin(&text);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.health-check.state/1");
    json_put_str(&o, "findings", t->findings);
    json_put_wall(&o, "told", t->at);
    json_put_bool(&o, "maintenance", t->maintenance);
    json_put_wall(&o, "maintenance_until", t->maintenance_until);
    json_shut(&o, '}');
    state_path(c, path);
    bool good = json_end(&o) && buf_add_text(&text, "\n");
    bool as_owner = home_as_owner(&c->home);
    enum err e = good ? file_replace(path, buf_view(&text), 0600, &c->why)
                      : fail(&c->why, E_MEMORY, "no memory");
    if (as_owner) home_as_self();
    buf_free(&text);
    return e;
}

/* ---- what there is to tell */

static void list_contacts(const struct cli *c, struct buf *lines) {
    const struct {
        const char *key, *value;
    } rows[] = {{"operations", cfg(c->config, contacts_operations).text},
                {"development", cfg(c->config, contacts_development).text},
                {"security", cfg(c->config, contacts_security).text}};
    for (size_t i = 0; i < LEN(rows); i++)
        if (rows[i].value != NULL && rows[i].value[0] != 0)
            buf_add_format(lines, "%s: %s\n", rows[i].key, rows[i].value);
}

static bool notice_make(struct cli *c, const struct json *health, const char *kind, const char *findings,
                        struct notice *n) {
    struct rng rng;
    struct alert a = {
        .event = kind, .findings = findings, .health = health, .config = c->config, .now = clocks_now().wall};
    *n = (struct notice){.kind = kind,
                         .node = cfg(c->config, node_name).text,
                         .words = {.max = 8192},
                         .line = {.max = 64 << 10},
                         .json = {.max = NOTICE_MAX},
                         .contacts = {.max = 32 << 10}};
    rng_system(&rng);
    rng_fill(&rng, a.id, sizeof a.id);
    rng_wipe(&rng);
    health_words(health, NULL, &n->words);
    health_line(health, NULL, &n->line);
    list_contacts(c, &n->contacts);
    return alert_write(&a, &n->json);
}

static void notice_free(struct notice *n) {
    buf_free(&n->words);
    buf_free(&n->line);
    buf_free(&n->json);
    buf_free(&n->contacts);
}

/* ---- telling */

static void become(char *const *argv, const char *const *paths, int in) {
    signal(SIGPIPE, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    dup2(in, STDIN_FILENO);
    dup2(STDERR_FILENO, STDOUT_FILENO); /* our line alone is on stdout */
    if (argv[0] == NULL) _exit(127);
    execvp(argv[0], argv);
    for (size_t i = 0; paths != NULL && paths[i] != NULL; i++) execv(paths[i], argv);
    fprintf(stderr, "silktalk health-check: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static enum err wait_for(struct cli *c, pid_t pid, const char *name) {
    int64_t until = clocks_monotonic_us() + (int64_t)PROGRAM_MS * 1000;
    int status = 0;
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid) break;
        if (got < 0 && errno != EINTR) return fail(&c->why, E_IO, "%s: %s", name, strerror(errno));
        if (clocks_monotonic_us() > until) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return fail(&c->why, E_TIMEOUT, "%s took more than %d s", name, PROGRAM_MS / 1000);
        }
        clocks_sleep_ms(10);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OK;
    return fail(&c->why, E_FAILED, "%s failed (%s %d)", name, WIFEXITED(status) ? "exit" : "signal",
                WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* The text is given by a file without a name: a program that does not read can not hold us up. */
static enum err run(struct cli *c, char *const *argv, const char *const *paths, struct bytes in) {
    FILE *f = tmpfile();
    if (f == NULL || fwrite(in.p, 1, in.n, f) != in.n || fflush(f) != 0 || fseek(f, 0, SEEK_SET) != 0) {
        if (f != NULL) fclose(f);
        return fail(&c->why, E_IO, "no temporary file: %s", strerror(errno));
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) become(argv, paths, fileno(f));
    fclose(f);
    return pid < 0 ? fail(&c->why, E_IO, "no new process: %s", strerror(errno)) : wait_for(c, pid, argv[0]);
}

static enum err tell_mail(struct cli *c, const struct notice *n, const char *to) {
    static const char *const paths[] = {"/usr/sbin/sendmail", "/usr/lib/sendmail", NULL};
    char name[] = "sendmail", t[] = "-t";
    char *argv[] = {name, t, NULL};
    struct buf mail = {.max = NOTICE_MAX};
    if (strpbrk(to, "\r\n") != NULL) return fail(&c->why, E_USAGE, "a mail address is one line");
    struct bytes line = buf_view(&n->line);
    line.n = bytes_index(line, '|'); /* without performance data */
    line = bytes_trim(line);
    buf_add_format(
        &mail,
        "To: %s\nSubject: SilkTalk %s: %s: %.*s\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n",
        to, n->kind, n->node, (int)MIN(line.n, (size_t)200), (const char *)line.p);
    buf_add(&mail, line);
    buf_add_text(&mail, "\n\n");
    struct json_doc *doc = json_parse(buf_view(&n->json), NULL);
    const struct json *check,
        *checks = json_get(json_get(doc == NULL ? NULL : json_root(doc), "health"), "checks");
    for (size_t i = 0; json_item(checks, &i, &check);) {
        struct bytes b[] = {json_get_bytes(check, "name"), json_get_bytes(check, "status"),
                            json_get_bytes(check, "message"), json_get_bytes(check, "fix")};
        if (!json_get_bool(check, "judged", true)) continue;
        buf_add_format(&mail, "%-12.*s %-9.*s %.*s\n", (int)b[0].n, (const char *)b[0].p, (int)b[1].n,
                       (const char *)b[1].p, (int)b[2].n, (const char *)b[2].p);
        if (b[3].n > 0) buf_add_format(&mail, "%-12s -> %.*s\n", "", (int)b[3].n, (const char *)b[3].p);
    }
    json_free(doc);
    if (n->contacts.n > 0) {
        buf_add_text(&mail, "\nContacts\n");
        buf_add(&mail, buf_view(&n->contacts));
    }
    enum err e = run(c, argv, paths, buf_view(&mail));
    buf_free(&mail);
    return e;
}

static enum err tell_program(struct cli *c, const struct notice *n, const char *program) {
    struct buf text = {.max = 16384};
    char *argv[WORDS_MAX + 1];
    size_t words = 0;
    enum err e = OK;
    if (!text_words(bytes_of(program), &text, &words) || words == 0 || words > WORDS_MAX)
        e = fail(&c->why, E_USAGE, "an open quote, or too many words");
    char *at = (char *)text.p;
    for (size_t i = 0; e == OK && i < words; i++) {
        argv[i] = at;
        at += strlen(at) + 1;
    }
    if (e == OK) {
        argv[words] = NULL;
        setenv("SILKTALK_EVENT", n->kind, 1);
        setenv("SILKTALK_NODE", n->node, 1);
        struct buf copy = {.max = 8192};
        buf_add(&copy, buf_view(&n->words));
        setenv("SILKTALK_TEXT", buf_cstr(&copy), 1);
        buf_free(&copy);
        e = run(c, argv, NULL, buf_view(&n->json));
    }
    buf_free(&text);
    return e;
}

/* Over HTTP or HTTPS, with the signature and the token of [alerts]. The host alone is named: the path may be
 * a secret. */
static enum err tell_webhook(struct cli *c, const struct notice *n, const char *url) {
    struct web_ask ask = {
        .url = url, .config = c->config, .alert = true, .body = buf_view(&n->json), .timeout_ms = WEBHOOK_MS};
    int status;
    enum err e = web_fetch(&ask, &status, NULL, &c->why);
    return e == OK ? web_judge_status(status, &c->why) : e;
}

/* One row for each way. */
struct way {
    const char *name, *value;
    enum err (*tell)(struct cli *c, const struct notice *n, const char *value);
};

static size_t tell_all(struct cli *c, const struct way *ways, size_t n_ways, const struct notice *n) {
    size_t reached = 0;
    for (size_t i = 0; i < n_ways; i++) {
        if (ways[i].value == NULL || ways[i].value[0] == 0) continue;
        if (ways[i].tell(c, n, ways[i].value) == OK)
            reached++;
        else
            cli_note(c, "silktalk health-check: --%s: %s", ways[i].name, c->why.text);
    }
    return reached;
}

static bool silent(const struct health_answer *a, struct told *t, struct wall now) {
    const struct json *m = json_get(a->health, "maintenance");
    if (a->from_node) {
        t->maintenance = json_is_object(m);
        if (!wall_parse(json_get_bytes(m, "until"), &t->maintenance_until)) t->maintenance_until.ms = 0;
    } else if (t->maintenance && t->maintenance_until.ms != 0 && t->maintenance_until.ms <= now.ms) {
        t->maintenance = false; /* the node can not end it: it is down */
    }
    return t->maintenance;
}

static void tell(struct cli *c, const struct health_answer *a, const struct way *ways, size_t n_ways,
                 int64_t repeat_ms) {
    struct told before, after;
    struct notice n;
    char findings[ALERT_FINDINGS_MAX];
    struct wall now = clocks_now().wall;
    state_read(c, &before);
    after = before;
    alert_findings(a->health, (int)cfg(c->config, alerts_minLevel).count, findings);
    const char *kind = alert_event(before.findings, before.at, findings, now, repeat_ms);
    if (!silent(a, &after, now) && kind != NULL) {
        bool made = notice_make(c, a->health, kind, findings, &n);
        if (made && tell_all(c, ways, n_ways, &n) > 0) {
            snprintf(after.findings, sizeof after.findings, "%s", findings);
            after.at = now;
        } /* else it is tried again with the next run */
        notice_free(&n);
    }
    if (state_write(c, &after) != OK) cli_note(c, "silktalk health-check: %s", c->why.text);
}

int health_check_main(struct cli *c) {
    struct health_answer a;
    struct buf line = {.max = 64 << 10};
    int64_t repeat;
    if (c->n_args > 0) {
        cli_usage(c, "health-check takes no words");
        return 3;
    }
    if (cli_duration(c, "repeat", 0, &repeat) != OK) {
        cli_exit(c, E_USAGE);
        return 3;
    }
    health_guard(true);
    enum err e = health_ask(c, &a);
    health_guard(false);
    if (e != OK) {
        cli_exit(c, e);
        return 3;
    }
    if (c->json)
        health_json(a.health, NULL, &line);
    else
        health_line(a.health, NULL, &line);
    puts(buf_cstr(&line));
    int code = health_code(a.health, NULL);
    struct why kept = c->why;
    if (cli_config(c) != OK) { /* a bad configuration is a finding, and its addresses are not known */
        config_free(c->config);
        c->config = NULL;
        home_config_text(&c->home, BYTES(""), false, &c->config, &c->why);
    }
    c->why = kept;
    if (c->config != NULL) {
        const char *mail = cli_value(c, "mail"), *program = cli_value(c, "exec");
        struct way ways[] = {
            {"mail", mail != NULL ? mail : cfg(c->config, alerts_mailTo).text, tell_mail},
            {"exec", program != NULL ? program : cfg(c->config, alerts_exec).text, tell_program},
            {"webhook", cli_value(c, "webhook"), tell_webhook}};
        bool any = false;
        for (size_t i = 0; i < LEN(ways); i++) any |= ways[i].value != NULL && ways[i].value[0] != 0;
        if (any)
            tell(c, &a, ways, LEN(ways), cli_given(c, "repeat") ? repeat : cfg(c->config, alerts_repeat).ms);
        else
            cli_note(
                c, "Nobody is told: give --mail, --exec or --webhook, or set alerts.mailTo or alerts.exec.");
    }
    buf_free(&line);
    health_answer_free(&a);
    return code;
}
