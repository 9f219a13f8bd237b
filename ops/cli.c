#include "loop/clocks.h"
#include "ops/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "gen/version.h"
#include "ops/help.h"

enum { ARGS_MAX = 4096, TIMEOUT_MS = 10000, WATCH_MS = 2500, OPTIONS_MAX = 64, REPEATED_MAX = 8192 };

const struct opt common_opts[] = {{0, "home", "DIR", NULL, "home of the node (laid out as ~/.silktalk)"},
                                  {0, "config", "FILE", NULL, "configuration file"},
                                  {0, "socket", "PATH", NULL, "control socket"},
                                  {0, "json", NULL, NULL, "print JSON, for programs"},
                                  {'q', "quiet", NULL, NULL, "no notes on stderr"},
                                  {'v', "verbose", NULL, NULL, "more detail"},
                                  {'y', "yes", NULL, NULL, "do not ask"},
                                  {0, "no-color", NULL, NULL, "no colours (NO_COLOR does the same)"},
                                  {0, "timeout", "D", "10s", "how long to wait for the node's answer"},
                                  {'h', "help", NULL, NULL, "this help"},
                                  {0}};

/* ---- options */

static const struct opt *find_long(const struct opt *list, struct bytes name) {
    for (; list != NULL && list->name != NULL; list++)
        if (bytes_is(name, list->name)) return list;
    return NULL;
}

static const struct opt *find_short(const struct opt *list, char letter) {
    for (; list != NULL && list->name != NULL; list++)
        if (list->letter == letter) return list;
    return NULL;
}

static void nearest(const struct opt *list, const char *name, const char **best, size_t *distance) {
    for (; list != NULL && list->name != NULL; list++) {
        size_t d = text_distance(name, list->name);
        if (d < *distance) {
            *distance = d;
            *best = list->name;
        }
    }
}

static enum err unknown_option(struct cli *c, const char *word) {
    const char *best = NULL, *name = word;
    size_t distance = 3;
    while (*name == '-') name++;
    nearest(c->applet->opts, name, &best, &distance);
    nearest(common_opts, name, &best, &distance);
    if (best != NULL) return fail(&c->why, E_USAGE, "unknown option %.60s; did you mean --%s?", word, best);
    return fail(&c->why, E_USAGE, "unknown option %.60s", word);
}

static enum err apply_common(struct cli *c, const struct opt *o, const char *value) {
    if (strcmp(o->name, "home") == 0)
        c->choice.home = value;
    else if (strcmp(o->name, "config") == 0)
        c->choice.config = value;
    else if (strcmp(o->name, "socket") == 0)
        c->choice.socket = value;
    else if (strcmp(o->name, "json") == 0)
        c->json = true;
    else if (strcmp(o->name, "quiet") == 0)
        c->quiet = true;
    else if (strcmp(o->name, "verbose") == 0)
        c->verbose = true;
    else if (strcmp(o->name, "yes") == 0)
        c->yes = true;
    else if (strcmp(o->name, "help") == 0)
        c->help = true;
    else if (strcmp(o->name, "no-color") == 0)
        c->colour_out = c->colour_err = false;
    else if (strcmp(o->name, "timeout") == 0) {
        c->timeout_given = true;
        if (!duration_parse(bytes_of(value), 1000, &c->timeout_ms))
            return fail(&c->why, E_USAGE, "--timeout takes a duration, such as 10s or 2m");
    }
    return OK;
}

/* The option's first value and what came later, as one comma list. */
static const char *joined(struct cli *c, const char *old, const char *value) {
    if (c->repeated.n == 0) {
        c->repeated.max = REPEATED_MAX;
        buf_add_text(&c->repeated, old);
    }
    return buf_add_text(&c->repeated, ", ") && buf_add_text(&c->repeated, value) ? buf_cstr(&c->repeated)
                                                                                 : NULL;
}

static enum err apply(struct cli *c, const struct opt *o, bool common, const char *value) {
    if (common) return apply_common(c, o, value);
    const char **place = &c->values[o - c->applet->opts];
    if (strcmp(o->name, "dry-run") == 0) c->dry_run = true;
    if (value != NULL && *place != NULL && bytes_ends(bytes_of(o->value), "...")) {
        *place = joined(c, *place, value);
        return *place != NULL ? OK : fail(&c->why, E_USAGE, "--%s: that is too much", o->name);
    }
    *place = value == NULL ? "" : value;
    return OK;
}

/* "[=D]": a value only after =. */
static bool optional_value(const struct opt *o) {
    return o->value != NULL && o->value[0] == '[';
}

static enum err long_option(struct cli *c, char **argv, int argc, int *i) {
    char *word = argv[*i] + 2, *equals = strchr(word, '=');
    struct bytes name = equals == NULL ? bytes_of(word) : bytes_at(word, (size_t)(equals - word));
    const struct opt *o = find_long(c->applet->opts, name);
    bool common = o == NULL;
    if (common) o = find_long(common_opts, name);
    if (o == NULL) return unknown_option(c, argv[*i]);
    const char *value = equals == NULL ? NULL : equals + 1;
    if (o->value == NULL && value != NULL) return fail(&c->why, E_USAGE, "--%s takes no value", o->name);
    if (o->value != NULL && value == NULL && !optional_value(o)) {
        if (*i + 1 >= argc) return fail(&c->why, E_USAGE, "--%s needs a value: %s", o->name, o->value);
        value = argv[++*i];
    }
    return apply(c, o, common, value);
}

static enum err short_options(struct cli *c, char **argv, int argc, int *i) {
    for (char *letter = argv[*i] + 1; *letter != 0; letter++) {
        const struct opt *o = find_short(c->applet->opts, *letter);
        bool common = o == NULL;
        if (common) o = find_short(common_opts, *letter);
        if (o == NULL) return unknown_option(c, argv[*i]);
        const char *value = NULL;
        if (o->value != NULL && !optional_value(o)) {
            if (letter[1] != 0)
                value = letter + 1;
            else if (*i + 1 < argc)
                value = argv[++*i];
            else
                return fail(&c->why, E_USAGE, "-%c needs a value: %s", o->letter, o->value);
            return apply(c, o, common, value);
        }
        enum err e = apply(c, o, common, NULL);
        if (e != OK) return e;
    }
    return OK;
}

static enum err parse(struct cli *c, int argc, char **argv, int from) {
    enum err e = OK;
    bool words_only = false;
    for (int i = from; i < argc && e == OK; i++) {
        char *word = argv[i];
        if (words_only || word[0] != '-' || word[1] == 0) {
            c->args[c->n_args++] = word;
        } else if (strcmp(word, "--") == 0) {
            words_only = true;
        } else if (word[1] == '-') {
            e = long_option(c, argv, argc, &i);
        } else {
            e = short_options(c, argv, argc, &i);
        }
        /* `inbox --follow --exec PROGRAM ARG...`: what follows belongs to the program */
        if ((c->applet->flags & AP_RAW) != 0 && cli_given(c, "exec")) words_only = true;
    }
    c->args[c->n_args] = NULL;
    return e;
}

const char *cli_value(const struct cli *c, const char *option) {
    const struct opt *o = find_long(c->applet->opts, bytes_of(option));
    return o == NULL ? NULL : c->values[o - c->applet->opts];
}

bool cli_given(const struct cli *c, const char *option) {
    return cli_value(c, option) != NULL;
}

enum err cli_duration(struct cli *c, const char *option, int64_t otherwise_ms, int64_t *out_ms) {
    const char *v = cli_value(c, option);
    *out_ms = otherwise_ms;
    if (v == NULL) return OK;
    const struct opt *o = find_long(c->applet->opts, bytes_of(option));
    if (v[0] == 0 && o != NULL && optional_value(o)) return OK;
    if (duration_parse(bytes_of(v), 1000, out_ms)) return OK;
    return fail(&c->why, E_USAGE, "--%s: '%.60s' is no duration; write 90s, 15m, 24h or 7d", option, v);
}

enum err cli_period(struct cli *c, const char *option, int64_t *out_ms) {
    enum err e = cli_duration(c, option, 0, out_ms);
    if (e != OK || *out_ms > 0 || !cli_given(c, option)) return e;
    return fail(&c->why, E_USAGE, "--%s: %.60s is no time at all", option, cli_value(c, option));
}

enum err cli_moment(struct cli *c, const char *option, struct wall *out) {
    const char *v = cli_value(c, option);
    int64_t ago;
    *out = (struct wall){0};
    if (v == NULL) return OK;
    if (duration_parse(bytes_of(v), 0, &ago)) {
        out->ms = MAX(clocks_now().wall.ms - ago, (int64_t)1);
        return OK;
    }
    if (wall_parse(bytes_of(v), out)) return OK;
    return fail(&c->why, E_USAGE,
                "--%s: %.60s is no time; write 7d (ago), 2026-02-22 or 2026-02-22T10:15:30Z", option, v);
}

enum err cli_number(struct cli *c, const char *option, int64_t otherwise, int64_t least, int64_t most,
                    int64_t *out) {
    const char *v = cli_value(c, option);
    uint64_t n = 0;
    *out = otherwise;
    if (v == NULL) return OK;
    if (!bytes_to_u64(bytes_of(v), (uint64_t)most, &n) || (int64_t)n < least)
        return fail(&c->why, E_USAGE, "--%s takes a number from %lld to %lld", option, (long long)least,
                    (long long)most);
    *out = (int64_t)n;
    return OK;
}

/* ---- dispatch */

int cli_unknown_verb(const char *word) {
    const struct applet *best = NULL;
    size_t distance = 3;
    struct buf safe = {.max = 256};
    for (const struct applet *a = applets; a->name != NULL; a++) {
        size_t d = text_distance(word, a->name);
        if (d < distance) {
            distance = d;
            best = a;
        }
    }
    text_escape(&safe, bytes_sub(bytes_of(word), 0, 60), false);
    fprintf(stderr, "silktalk: there is no verb %s", buf_cstr(&safe));
    if (best != NULL) fprintf(stderr, "; did you mean %s?", best->name);
    fprintf(stderr, "\nsilktalk help lists them.\n");
    buf_free(&safe);
    return err_exit(E_USAGE);
}

static bool colours(int fd) {
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(fd) && (no == NULL || no[0] == 0) && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

static void prepare(struct cli *c, const char *program) {
    *c = (struct cli){.program = program, .timeout_ms = TIMEOUT_MS};
    c->node.fd = c->pass_fd = -1;
    c->terminal_in = isatty(STDIN_FILENO);
    c->terminal_out = isatty(STDOUT_FILENO);
    c->terminal_err = isatty(STDERR_FILENO);
    c->colour_out = colours(STDOUT_FILENO);
    c->colour_err = colours(STDERR_FILENO);
}

/* A reader that is gone (head, a closed pipe) ends a command quietly; other losses of output are failures. */
static int flush_output(struct cli *c, int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    if (errno == EPIPE) return code;
    fail(&c->why, E_IO, "stdout: %s", strerror(errno));
    return cli_exit(c, E_IO);
}

static bool creates_home(const struct cli *c) {
    return (c->applet->flags & AP_CREATES) != 0 ||
           ((c->applet->flags & AP_INIT) != 0 && c->n_args > 0 && strcmp(c->args[0], "init") == 0);
}

static int run_applet(struct cli *c, int argc, char **argv, int from) {
    const char *values[OPTIONS_MAX] = {NULL};
    int code;
    c->values = values;
    c->args = NEW_ARRAY(char *, (size_t)(argc - from) + 1);
    if (c->args == NULL) return cli_exit(c, fail(&c->why, E_MEMORY, "out of memory"));
    enum err e = parse(c, argc, argv, from);
    if (e == OK && c->help) {
        help_applet(c->applet, stdout);
        code = 0;
    } else {
        if ((c->applet->flags & AP_WATCH) != 0 && !c->timeout_given) c->timeout_ms = WATCH_MS;
        if (e == OK) e = home_find(&c->home, &c->choice, creates_home(c), &c->why);
        code = e == OK ? c->applet->main(c) : cli_exit(c, e);
        if (e != OK && (c->applet->flags & AP_PLUGIN) != 0) code = 3;
    }
    code = flush_output(c, code);
    control_client_close(&c->node);
    config_free(c->config);
    buf_free(&c->repeated);
    mem_free(c->args);
    return code;
}

/* Who starts us with one of the three closed would get the next file or socket there, and our lines in it. */
static bool fill_standard_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return false;
    return true;
}

int cli_run(int argc, char **argv) {
    struct cli c;
    if (!fill_standard_descriptors()) return err_exit(E_FAILED);
    const char *program = argc > 0 && argv[0] != NULL ? argv[0] : "silktalk";
    const char *slash = strrchr(program, '/');
    if (slash != NULL) program = slash + 1;
    signal(SIGPIPE, SIG_IGN);
    prepare(&c, argc > 0 && argv[0] != NULL ? argv[0] : "silktalk");
    if (crypto_open() != OK)
        return cli_exit(&c, fail(&c.why, E_FAILED, "the kernel gives no random numbers"));
    struct bytes called = bytes_of(program);
    if (bytes_ends(called, ".sh")) called.n -= strlen(".sh");
    for (const struct help_link *l = help_links; l->program != NULL; l++)
        if (bytes_is(called, l->program) && (c.applet = help_find(l->verb)) != NULL)
            return run_applet(&c, argc, argv, 1);
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help_overview(stdout);
        return flush_output(&c, 0);
    }
    const char *verb = strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0 ? "version" : argv[1];
    /* Options may stand before the verb too: `silktalk --home DIR status`. */
    int at = 1;
    while (verb[0] == '-' && at < argc) {
        struct bytes name = bytes_of(argv[at][1] == '-' ? argv[at] + 2 : argv[at] + 1);
        const struct opt *o = argv[at][0] == '-' ? find_long(common_opts, name) : NULL;
        at += o != NULL && o->value != NULL ? 2 : 1;
        verb = at < argc ? argv[at] : "";
        if (verb[0] != '-' && verb[0] != 0) {
            for (int i = at; i > 1; i--) argv[i] = argv[i - 1]; /* the verb moves to the front */
            break;
        }
    }
    c.applet = help_find(verb);
    if (c.applet == NULL) return cli_unknown_verb(verb[0] != 0 ? verb : argv[1]);
    return run_applet(&c, argc, argv, 2);
}

/* ---- messages to people */

int cli_exit(struct cli *c, enum err e) {
    if (e == OK) return 0;
    const char *text = c->why.text[0] != 0 ? c->why.text : err_text(e);
    if (c->json) {
        struct buf line = {.max = 8192};
        struct json_out o = json_begin(&line);
        json_open(&o, NULL, '{');
        json_put_str(&o, "schema", "silktalk.error/1");
        json_put_int(&o, "code", err_exit(e));
        json_put_str(&o, "name", err_name(e));
        json_put_str(&o, "message", text);
        json_put_str(&o, "hint", e == E_NOT_RUNNING ? "silktalk start" : NULL);
        json_shut(&o, '}');
        if (json_end(&o)) fprintf(stderr, "%.*s\n", (int)line.n, (const char *)line.p);
        buf_free(&line);
        return err_exit(e);
    }
    struct buf safe = {.max = 2048};
    cli_safe(bytes_of(text), false, &safe);
    fprintf(stderr, "%ssilktalk %s:%s %s\n", c->colour_err ? "\033[31m" : "",
            c->applet == NULL ? "" : c->applet->name, c->colour_err ? "\033[0m" : "", buf_cstr(&safe));
    if (e == E_NOT_RUNNING)
        fprintf(stderr, "Start it with `silktalk start`, or `systemctl start silktalk`.\n");
    buf_free(&safe);
    return err_exit(e);
}

int cli_usage(struct cli *c, const char *format, ...) {
    va_list ap;
    char text[sizeof c->why.text - 40];
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return cli_exit(c, fail(&c->why, E_USAGE, "%s; see `silktalk %s --help`", text, c->applet->name));
}

bool cli_would(struct cli *c, const char *format, ...) {
    va_list ap;
    char text[512];
    if (!c->dry_run) return false;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (!c->json) {
        printf("Would %s\n", text);
        return true;
    }
    struct buf line = {.max = 8192};
    char schema[64];
    struct json_out o = json_begin(&line);
    snprintf(schema, sizeof schema, "silktalk.%s/1", c->applet->name);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", schema);
    json_put_bool(&o, "dry_run", true);
    json_put_str(&o, "would", text);
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&line);
    return true;
}

void cli_note(const struct cli *c, const char *format, ...) {
    va_list ap;
    if (c->quiet) return;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

bool cli_confirm(struct cli *c, const char *question) {
    char answer[16];
    if (c->yes) return true;
    if (!c->terminal_in || !c->terminal_err) return false;
    fprintf(stderr, "%s [y/N] ", question);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

enum err cli_config(struct cli *c) {
    return c->config != NULL ? OK : home_config(&c->home, &c->config, &c->why);
}
