/* ops/cli.h: what every applet is given: the parsed command line, and ways to talk to the node and to the
 * user.
 *
 * An applet NAME is one row of silktalk.c's table and one file ops/NAME.c with APPLET(NAME) and three things:
 *   const struct opt NAME_opts[]   its own options, ended by {0}
 *   const char NAME_text[]         what --help says below the options; begins with the usage forms, ends with
 * examples int NAME_main(struct cli *)    returns the exit code */
#ifndef SILKTALK_OPS_CLI_H
#define SILKTALK_OPS_CLI_H

#include "net/control_client.h"
#include "ops/home.h"

struct opt {
    char letter;           /* 0: long form only */
    const char *name;      /* without dashes */
    const char *value;     /* what it takes ("N", "FILE"); NULL: nothing; "[=D]": optional, by = only;
                              "MA...": may be repeated, its value is then a comma list */
    const char *otherwise; /* shown default, or NULL */
    const char *text;
};
/* For verbs that change something: main asks cli_would before it does. */
#define OPT_DRY_RUN                                                                                          \
    { 0, "dry-run", NULL, NULL, "say what would be done, and change nothing" }
enum applet_flag {
    AP_NODE = 1,    /* needs a running node */
    AP_CREATES = 2, /* chooses ~/.silktalk even when it is not there yet */
    AP_HIDDEN = 4,
    AP_RAW = 8,     /* options end at the first word that is none (programs to run) */
    AP_PLUGIN = 32, /* exits 3 where others exit 2: monitoring systems take 2 for CRITICAL */
    AP_WATCH = 64,  /* says within 3 s that the node does not answer, unless --timeout says otherwise */
    AP_INIT = 16    /* AP_CREATES for its word `init` alone */
};
#define APPLET_GROUPS(X)                                                                                     \
    X(NODE, "The node")                                                                                      \
    X(PEERS, "Peers") X(MESSAGES, "Messages") X(CONFIG, "Configuration") X(HELP, "Help and tools")
#define APPLET_GROUP_SYMBOL(symbol, title) GROUP_##symbol,
enum applet_group { APPLET_GROUPS(APPLET_GROUP_SYMBOL) GROUP_COUNT };

struct cli;
struct applet {
    const char *name;
    enum applet_group group;
    unsigned flags;
    const char *line; /* one line for `silktalk help` */
    const struct opt *opts;
    const char *text;
    int (*main)(struct cli *c);
};
extern const struct applet applets[];  /* silktalk.c; ends with a NULL name */
extern const struct opt common_opts[]; /* those of every applet */
#define APPLET(symbol)                                                                                       \
    int symbol##_main(struct cli *c);                                                                        \
    extern const struct opt symbol##_opts[];                                                                 \
    extern const char symbol##_text[];
#define APPLET_DECLARE(symbol, name, group, flags, line) APPLET(symbol)
#define APPLET_ROW(symbol, name, group, flags, line)                                                         \
    {name, GROUP_##group, flags, line, symbol##_opts, symbol##_text, symbol##_main},

struct cli {
    const struct applet *applet;
    const char *program; /* argv[0] as called */
    char **args;         /* words that are no options, NULL-terminated */
    int n_args;
    bool json, quiet, verbose, yes, dry_run, help;
    bool timeout_given;
    bool colour_out, colour_err, terminal_in, terminal_out, terminal_err;
    int64_t timeout_ms; /* --timeout, or 10 s */
    struct home_choice choice;
    struct home home;    /* found before main is called */
    const char **values; /* by place in applet->opts: NULL not given, "" given without value */
    struct buf repeated; /* the value of the option that was given more than once */
    struct why why;
    struct config *config; /* cli_config */
    struct control_client node;
    bool at_monitor;    /* `node` is monitor.sock: it answers questions alone */
    bool (*stop)(void); /* see control_client.stop */
    int pass_fd;        /* goes with the next request; stays the caller's; -1: none */
};
/* Runs what argv asks for: options, help, suggestions; returns the exit code. */
int cli_run(int argc, char **argv);

const char *cli_value(const struct cli *c, const char *option); /* NULL: not given */
bool cli_given(const struct cli *c, const char *option);
/* E_USAGE (text in c->why) when a given value is no duration, number... */
enum err cli_duration(struct cli *c, const char *option, int64_t otherwise_ms, int64_t *out_ms);
/* The same for what lasts so long: 0 in *out_ms means that it was not given, and so without end. */
enum err cli_period(struct cli *c, const char *option, int64_t *out_ms);
/* A time, or a duration that long ago; 0: not given. E_USAGE. */
enum err cli_moment(struct cli *c, const char *option, struct wall *out);
enum err cli_number(struct cli *c, const char *option, int64_t otherwise, int64_t least, int64_t most,
                    int64_t *out);

/* ---- the node */
/* One call: sends method and params (JSON text of an object, or empty), waits timeout_ms (< 0: for ever).
 * `answer` owns the parsed line; *result is its "result". An error answer becomes its code and message in
 * c->why. E_NOT_RUNNING... Opens the socket at the first call. */
enum err cli_call(struct cli *c, const char *method, struct bytes params, int64_t timeout_ms,
                  struct json_doc **answer, const struct json **result);
/* A call with events: on_event for each, until the result. on_event false: stop. */
enum err cli_stream(struct cli *c, const char *method, struct bytes params, int64_t timeout_ms,
                    bool (*on_event)(struct cli *c, const struct json *event, void *user), void *user,
                    struct json_doc **answer, const struct json **result);
/* Params: cli_params, json_put_..., then cli_ask, which frees `params`. */
struct json_out cli_params(struct buf *params);
enum err cli_ask(struct cli *c, const char *method, struct buf *params, struct json_out *o,
                 int64_t timeout_ms, struct json_doc **answer, const struct json **result);
/* The whole of a simple verb: asks, prints JSON with --json, else calls `show`. Returns the exit code. */
int cli_verb(struct cli *c, const char *method, struct buf *params, struct json_out *o,
             void (*show)(struct cli *c, const struct json *result));
bool cli_process_stopped(pid_t pid); /* by SIGSTOP, or a debugger */
bool cli_node_runs(struct cli *c);   /* is there a node behind the socket? */
enum err cli_config(struct cli *c);  /* reads the home's configuration into c->config */

/* ---- output: results on stdout, all else on stderr */
int cli_exit(
    struct cli *c,
    enum err e); /* prints c->why (sentence with next step, or silktalk.error/1) when not OK; exit code */
int cli_usage(struct cli *c, const char *format, ...) PRINTF_LIKE(2, 3); /* exit 2, points to --help */
int cli_unknown_verb(const char *word);                                  /* exit 2, names the nearest */
/* With --dry-run: "Would FORMAT" (JSON: dry_run, would) and true; else false, and nothing is printed. */
bool cli_would(struct cli *c, const char *format, ...) PRINTF_LIKE(2, 3);
void cli_note(const struct cli *c, const char *format, ...) PRINTF_LIKE(2, 3); /* stderr, unless -q */
void cli_print_json(const struct json *result);                                /* one line on stdout */
bool cli_confirm(struct cli *c, const char *question); /* --yes, or asks on the terminal; false otherwise */
/* A table: rows from an array of objects, by one function per column that gives the text of a cell. Widths
 * fit the content and the terminal (nothing is cut when stdout is no terminal). */
struct cli_column {
    const char *title;
    bool right;
    void (*text)(const struct json *row, struct buf *out);
};
void cli_table(const struct cli *c, const struct cli_column *columns, size_t n, const struct json *items);
/* "2m14s ago", local time... for people. */
void cli_age(const struct json *rfc3339, struct buf *out);
void cli_time(const struct json *rfc3339, struct buf *out); /* local time, and the age in brackets */
/* Text of others for a terminal: escapes taken out. */
void cli_safe(struct bytes text, bool newlines, struct buf *out);

/* Ready-made cells. */
void cell_text(const struct json *row, const char *key, struct buf *out); /* made safe */
void cell_id(const struct json *row, const char *key, struct buf *out); /* a Peer ID or message id in short */
void cell_size(const struct json *row, const char *key, struct buf *out);
void cell_number(const struct json *row, const char *key, struct buf *out);
void cell_age(const struct json *row, const char *key, struct buf *out);
#define CELL(name, kind, key)                                                                                \
    static void name(const struct json *row, struct buf *out) {                                              \
        cell_##kind(row, key, out);                                                                          \
    }

/* Progress on stderr, after 1 s, only on a terminal: "12.3 MiB of 64 MiB  19%  4.1 MiB/s  12s left". */
struct cli_progress {
    const char *what;
    uint64_t total;
    struct mono began, shown;
};
void cli_progress(const struct cli *c, struct cli_progress *p, uint64_t done);
void cli_progress_end(const struct cli *c, struct cli_progress *p);

#endif
