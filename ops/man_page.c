#include "ops/man_page.h"

#include <ctype.h>

#include "base/event.h"
#include "base/text.h"

enum { LINE_COLUMNS = 76 };

static void put_escaped(struct bytes text, bool line_start) {
    for (size_t i = 0; i < text.n; i++) {
        char c = (char)text.p[i];
        if (line_start && (c == '.' || c == '\'')) fputs("\\&", stdout);
        line_start = c == '\n';
        if (c == '\\')
            fputs("\\e", stdout);
        else if (c == '-')
            fputs("\\-", stdout);
        else
            putchar(c);
    }
}

void man_begin(const char *title, int section, const char *line) {
    char upper[64];
    size_t i = 0;
    for (; title[i] != 0 && i + 1 < sizeof upper; i++) upper[i] = (char)toupper((unsigned char)title[i]);
    upper[i] = 0;
    printf(".Dd November 1, 2026\n.Dt %s %d\n.Os\n.Sh NAME\n.Nm %s\n.Nd ", upper, section, title);
    put_escaped(bytes_of(line), false);
    puts("");
}

void man_run(struct bytes text) {
    size_t column = 0;
    bool sentence = false; /* has ended: mdoc wants the next on a line of its own */
    struct bytes word;
    while (bytes_split(&text, ' ', &word)) {
        if (word.n == 0) continue;
        bool breaks = column > 0 && (sentence || column + 1 + word.n > LINE_COLUMNS);
        if (column > 0) putchar(breaks ? '\n' : ' ');
        if (breaks) column = 0;
        put_escaped(word, column == 0);
        column += word.n + 1;
        sentence = bytes_ends(word, ".");
    }
    puts("");
}

void man_literal(struct bytes text) {
    puts(".Bd -literal");
    put_escaped(text, true);
    if (text.n > 0 && text.p[text.n - 1] != '\n') puts("");
    puts(".Ed");
}

/* ---- silktalk-ops(7): what an operator of a running node needs, from the tables where there is one */

struct section {
    const char *title, *text;
    bool literal;
};
static const struct section first[] = {
    {"DESCRIPTION",
     "One executable is the node and every command that works with it. The node is started by systemd, by "
     "`silktalk start`, or in the foreground by `silktalk daemon`. Commands talk to it over the control "
     "socket; what they print for people, --json prints for programs.",
     false},
    {"EVERY DAY",
     "silktalk status              the node at a glance\n"
     "silktalk peers               who is connected\n"
     "silktalk outbox              what is not delivered yet, and why\n"
     "silktalk inbox --unread      what came\n"
     "silktalk diag limits         which limit was reached\n"
     "silktalk config list --changed\n",
     true},
    {"WATCHING",
     "silktalk health -v           each check, and what to do\n"
     "silktalk check daily         the daily list (weekly, monthly), looked at by machine\n"
     "silktalk top                 live; `silktalk report`: trends, and when a limit will be reached\n"
     "silktalk health-check --mail ops@example.com\n"
     "                             from cron: mails on a change, on recovery, every 4 h while it lasts\n"
     "silktalk maintenance on --for 2h\n"
     "                             nobody is told, /readyz says so\n"
     "http://127.0.0.1:8080/       status page; /health, /readyz, /metrics for other programs\n",
     true},
    {"WHEN THE CONFIGURATION IS WRONG",
     "silktalk config check        file, line, and the nearest name that exists\n"
     "silktalk config history      who changed what, and when; edits by hand too\n"
     "silktalk config diff         what the last change did\n"
     "silktalk config rollback 3   shows the difference, asks, goes back to version 3\n",
     true},
    {"WHEN A PEER IS NOT CONNECTED",
     "silktalk explain PEER        every address, try, rule and error, and the next try\n"
     "silktalk bootstrap test      tries each bootstrap peer\n"
     "silktalk log level net=debug --for 15m\n",
     true},
    {"FILES",
     "/etc/silktalk/silktalk.ini, conf.d/   configuration          ~/.silktalk/config.ini\n"
     "/etc/silktalk/tokens                  for HTTP, 0640         ~/.silktalk/tokens\n"
     "/var/lib/silktalk-root/config-history/ its versions, 0700    ~/.silktalk/config-history/\n"
     "/var/lib/silktalk/                    home, 0750             ~/.silktalk/\n"
     "  identity.key                        private key, 0600: wider and the node does not start\n"
     "  data/silktalk.db                    all durable state, 0700\n"
     "  spool/                              messages that wait for a stopped node\n"
     "/run/silktalk/control.sock            0660, group silktalk   ~/.silktalk/control.sock, 0600\n"
     "/var/log/silktalk/silktalk.log        0640                   ~/.silktalk/log/silktalk.log\n",
     true},
    {"SIGNALS",
     "TERM, INT   stop gracefully within node.stopTimeout; twice: at once\n"
     "HUP         reopen the logs, then read the configuration again\n"
     "USR1        status, limits and memory to the log\n"
     "USR2        reopen the logs\n"
     "QUIT        as USR1, then abort\n",
     true},
    {"CONTROL SOCKET",
     "Lines of JSON: {\"v\":1,\"id\":1,\"method\":\"peers.list\",\"params\":{}}, answered by "
     "{\"id\":1,\"result\":{}} "
     "or {\"id\":1,\"error\":{}}. It serves root, the user of the node and the group of the socket.",
     false}};

/* As the lines have it: "WARN". */
static const char *level_word(enum log_level level, char out[8]) {
    const char *name = log_level_name(level);
    size_t i = 0;
    for (; i < 7 && name[i] != 0; i++) out[i] = (char)toupper((unsigned char)name[i]);
    out[i] = 0;
    return out;
}

static void print_limit(const struct limit_row *l, bool mdoc) {
    struct buf line = {.max = 512};
    char size[32];
    size_text(l->value, size);
    buf_add_format(&line, "%s%s = ", l->key == NULL ? "limits." : "", l->key == NULL ? l->name : l->key);
    if (strncmp(l->unit, "bytes", 5) == 0) /* "bytes per client": "8.0 MiB per client" */
        buf_add_format(&line, "%s%s; then: %s", size, l->unit + 5, l->outcome);
    else
        buf_add_format(&line, "%llu %s; then: %s", (unsigned long long)l->value, l->unit, l->outcome);
    printf(mdoc ? ".It %s\n" : "  %-24s ", l->name);
    if (mdoc)
        man_run(buf_view(&line));
    else
        printf("%s\n", buf_cstr(&line));
    buf_free(&line);
}

static void print_tables(bool mdoc) {
    puts(mdoc ? ".Sh EXIT STATUS\n.Bl -tag -width Ds" : "\nEXIT STATUS");
    for (size_t i = 0; i < EXIT_CODES; i++)
        printf(mdoc ? ".It %zu\n%s\n" : "  %2zu  %s\n", i, help_exit_codes[i]);
    puts(mdoc ? ".El\n.Sh LOG\nEvents that scripts may rely on, with the keys that they carry.\n.Bl -tag "
                "-width Ds"
              : "\nLOG");
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        const struct event_row *e = &event_rows[i];
        char word[8];
        if (e->level == LEVEL_DEBUG) continue;
        if (mdoc)
            printf(".It %s %s : %s\n", level_word(e->level, word), log_component_name(e->component), e->text);
        else
            printf("  %-5s %s: %s (%s)\n", level_word(e->level, word), log_component_name(e->component),
                   e->text, e->keys);
        if (mdoc) man_run(bytes_of(e->keys));
    }
    puts(mdoc ? ".El\n.Sh LIMITS\n.Bl -tag -width Ds" : "\nLIMITS");
    for (size_t i = 0; i < LIMIT_COUNT; i++) print_limit(&limit_rows[i], mdoc);
    if (mdoc) puts(".El");
}

void man_operations(void) {
    man_begin("silktalk-ops", 7, "operating a SilkTalk node");
    for (size_t i = 0; i < LEN(first); i++) {
        printf(".Sh %s\n", first[i].title);
        if (first[i].literal)
            man_literal(bytes_of(first[i].text));
        else
            man_run(bytes_of(first[i].text));
    }
    print_tables(true);
    puts(".Sh SEE ALSO\n.Xr silktalk 1 ,\n.Xr silktalk.ini 5 ,\n.Xr silktalkd 8");
}

void man_operations_text(void) {
    puts("silktalk-ops: operating a SilkTalk node");
    for (size_t i = 0; i < LEN(first); i++) printf("\n%s\n%s\n", first[i].title, first[i].text);
    print_tables(false);
}
