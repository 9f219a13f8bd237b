#include <ctype.h>
#include <stdio.h>

#include "ops/log_view.h"

enum { LAST = 50, LAST_MAX = 1000000, ENDING_MIN = 6 };

APPLET(log)
const struct opt log_opts[] = {
    {'f', "follow", NULL, NULL, "go on with what comes, over each new file"},
    {'n', "number", "N", "50", "the last N of the lines that fit; with --since: all"},
    {0, "since", "T", NULL,
     "from then on (a time, or so long ago), earlier files too; of counts: 31 d at most"},
    {0, "level", "L", NULL, "of this level and above"},
    {0, "event", "TEXT", NULL, "whose text begins so, as in \"Peer connected\""},
    {0, "peer", "PEER", NULL, "about this peer"},
    {0, "by", "hour|day|peer|event", "event", "stats: what is counted together"},
    {0, "for", "D", NULL, "level: only so long; then as before"},
    OPT_DRY_RUN,
    {0}};
const char log_text[] =
    "Usage: silktalk log [-f] [-n N] [--since T] [--level L] [--event TEXT] [--peer PEER]\n"
    "       silktalk log stats [--by hour|day|peer|event] [--since T]\n"
    "       silktalk log level [[COMPONENT=]LEVEL] [--for D]\n"
    "Shows the log file and, as far back as is asked for, its archives (rotated and gzipped ones, of the\n"
    "node or of logrotate); without a log file what journalctl has of the service. Text and JSON lines are\n"
    "shown alike; --json makes one object a line of both. Times are UTC. What could control a terminal is\n"
    "shown as \\xNN. Works with the node down. Exits 4 when there is neither file nor journal, 8 when an\n"
    "archive is damaged.\n"
    "stats counts in the node's database, so it is right whatever logging.level is; its last line says\n"
    "what the log leaves out.\n"
    "level sets or shows what is logged: debug info warn error, of all components or one of\n"
    "node net store message control config dns. A restart or reload goes back to logging.level.\n"
    "Examples:\n"
    "  silktalk log -f --level warn\n"
    "  silktalk log --since 24h --event 'Peer connected' | wc -l\n"
    "  silktalk log stats --by day --since 7d\n"
    "  silktalk log level net=debug --for 15m\n";

CELL(component, text, "component")
CELL(level, text, "level")
static void until(const struct json *row, struct buf *out) {
    if (json_is_text(json_get(row, "until"))) cli_age(json_get(row, "until"), out);
}
static const struct cli_column columns[] = {
    {"COMPONENT", false, component}, {"LEVEL", false, level}, {"UNTIL", false, until}};

static void show(struct cli *c, const struct json *r) {
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
}

static int log_level(struct cli *c) {
    struct buf params;
    int64_t for_ms;
    enum err e = cli_period(c, "for", &for_ms);
    if (e != OK) return cli_exit(c, e);
    if (c->n_args == 2 && cli_would(c, "set %.60s", c->args[1])) return 0;
    struct json_out o = cli_params(&params);
    if (c->n_args == 2) {
        struct bytes word = bytes_of(c->args[1]), first = word;
        size_t equals = bytes_index(word, '=');
        if (equals < word.n) {
            json_put(&o, "component", bytes_sub(first, 0, equals));
            word = bytes_skip(word, equals + 1);
        }
        json_put(&o, "level", word.n == 0 ? bytes_of("?") : word);
        if (for_ms > 0) json_put_int(&o, "for_ms", for_ms);
    }
    return cli_verb(c, "log.level", &params, &o, show);
}

/* ---- reading */

/* The node knows names; without it a Peer ID or its end has to do. */
static enum err find_peer(struct cli *c, const char *text, char out[128]) {
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    struct buf params;
    const char *id = strstr(text, "/p2p/");
    bool plain = strlen(text) >= ENDING_MIN;
    for (const char *p = text; *p != 0; p++) plain = plain && isalnum((unsigned char)*p);
    if (id != NULL) {
        snprintf(out, 128, "%.127s", id + strlen("/p2p/"));
        return OK;
    }
    snprintf(out, 128, "%.127s", text);
    if (!cli_node_runs(c))
        return plain ? OK
                     : fail(&c->why, E_NOT_RUNNING,
                            "the node is not running, and only it knows names; give the Peer ID or its end");
    struct json_out o = cli_params(&params);
    json_put_str(&o, "peer", text);
    enum err e = cli_ask(c, "peer.show", &params, &o, c->timeout_ms, &answer, &result);
    if (e == OK) bytes_cstr(json_get_bytes(result, "peer_id"), out, 128);
    json_free(answer);
    return e == E_NOT_FOUND && plain ? OK : e; /* one that was forgotten may still be in the log */
}

/* As one writes it, or as it stands in the log. */
static bool read_level(const char *text, enum log_level *out) {
    char lower[16];
    size_t n = 0;
    for (; text[n] != 0 && n + 1 < sizeof lower; n++) lower[n] = (char)tolower((unsigned char)text[n]);
    lower[n] = 0;
    return text[n] == 0 && log_level_parse(bytes_of(lower), out);
}

static enum err read_view(struct cli *c, struct log_view *v) {
    int64_t number = 0;
    *v = (struct log_view){.c = c, .level = LEVEL_DEBUG, .event = cli_value(c, "event")};
    enum err e = cli_moment(c, "since", &v->since);
    if (e == OK) e = cli_number(c, "number", v->since.ms != 0 ? 0 : LAST, 1, LAST_MAX, &number);
    v->last = (size_t)number;
    if (e == OK && cli_given(c, "level") && !read_level(cli_value(c, "level"), &v->level))
        e = fail(&c->why, E_USAGE, "--level is debug, info, warn or error");
    if (e == OK && cli_given(c, "peer")) e = find_peer(c, cli_value(c, "peer"), v->peer);
    v->filtered = cli_given(c, "level") || v->event != NULL || v->peer[0] != 0;
    return e;
}

static int log_read(struct cli *c) {
    struct log_view v;
    enum err e = read_view(c, &v);
    if (e == OK) e = cli_config(c);
    if (e == OK) {
        const char *file = cfg(c->config, logging_file).text;
        bool follow = cli_given(c, "follow");
        e = file[0] == 0 ? E_NOT_FOUND : log_files_show(&v, file, follow);
        if (e == E_NOT_FOUND) e = log_journal_show(&v, follow);
    }
    log_view_free(&v);
    return cli_exit(c, e);
}

int log_main(struct cli *c) {
    bool level_wanted = c->n_args > 0 && strcmp(c->args[0], "level") == 0;
    bool stats = c->n_args > 0 && strcmp(c->args[0], "stats") == 0;
    bool reading = cli_given(c, "follow") || cli_given(c, "number") || cli_given(c, "level") ||
                   cli_given(c, "event") || cli_given(c, "peer");
    if (c->n_args > (level_wanted ? 2 : stats ? 1 : 0))
        return cli_usage(c, "log knows: level, stats, or none of them");
    if ((stats || level_wanted) && reading)
        return cli_usage(c, "-f, -n, --level, --event, --peer are for reading the log");
    if ((!level_wanted && cli_given(c, "for")) || (!stats && cli_given(c, "by")) ||
        (level_wanted && cli_given(c, "since")))
        return cli_usage(c, "--for goes with log level, --by with log stats");
    return level_wanted ? log_level(c) : stats ? log_stats(c) : log_read(c);
}
