/* Manual pages, made of the tables: silktalk(1), silktalk-VERB(1), silktalk.ini(5), silktalkd(8). */
#include <stdio.h>

#include "base/text.h"
#include "gen/version.h"
#include "ops/help.h"

APPLET(man)
const struct opt man_opts[] = {
    {0, "mdoc", NULL, NULL, "mdoc source, as `man -l -` and packages want it, also on a terminal"}, {0}};
const char man_text[] = "Usage: silktalk man [PAGE]\n"
                        "Pages: silktalk, silktalk.ini, silktalkd, and silktalk-VERB. On a terminal the text "
                        "is printed; else mdoc.\n"
                        "Examples:\n"
                        "  silktalk man silktalk.ini | man -l -\n"
                        "  silktalk man silktalk-send --mdoc > silktalk-send.1\n";

/* Text for mdoc: backslashes, and dots and quotes that begin a line. */
static void escaped(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if ((i == 0 || text[i - 1] == '\n') && (text[i] == '.' || text[i] == '\'')) fputs("\\&", stdout);
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else
            putchar(text[i]);
    }
}

static void head(const char *title, int section, const char *line) {
    printf(".Dd January 1, 2027\n.Dt %s %d\n.Os\n.Sh NAME\n.Nm %s\n.Nd ", title, section, title);
    escaped(line, strlen(line));
    puts("");
}

static void options(const struct opt *o) {
    printf(".Bl -tag -width Ds\n");
    for (; o->name != NULL; o++) {
        printf(".It ");
        if (o->letter != 0) printf("Fl %c , ", o->letter);
        printf("Fl \\-%s", o->name);
        if (o->value != NULL) printf(" Ar \"%s\"", o->value);
        puts("");
        escaped(o->text, strlen(o->text));
        if (o->otherwise != NULL) {
            fputs(" (default ", stdout);
            escaped(o->otherwise, strlen(o->otherwise));
            fputs(")", stdout);
        }
        puts("");
    }
    puts(".El");
}

static void literal(const char *text, size_t n) {
    puts(".Bd -literal");
    escaped(text, n);
    puts(".Ed");
}

static void page_of(const struct applet *a) {
    char title[64];
    snprintf(title, sizeof title, "silktalk-%s", a->name);
    head(title, 1, a->line);
    const char *examples = strstr(a->text, "Examples:\n");
    size_t n = examples == NULL ? strlen(a->text) : (size_t)(examples - a->text);
    puts(".Sh DESCRIPTION");
    literal(a->text, n);
    puts(".Sh OPTIONS");
    if (a->opts[0].name != NULL) options(a->opts);
    puts("Options of every verb:");
    options(common_opts);
    if (examples != NULL) {
        puts(".Sh EXAMPLES");
        literal(examples + strlen("Examples:\n"), strlen(examples) - strlen("Examples:\n"));
    }
    puts(".Sh SEE ALSO\n.Xr silktalk 1 ,\n.Xr silktalk.ini 5 ,\n.Xr silktalkd 8");
}

static void main_page(void) {
    head("silktalk", 1, "a peer-to-peer messaging node for servers");
    puts(".Sh SYNOPSIS\n.Nm silktalk\n.Ar verb\n.Op Ar options\n.Sh DESCRIPTION");
    puts("One executable is the daemon and every command that works with it.");
    for (int g = 0; g < GROUP_COUNT; g++) {
        printf(".Ss %s\n.Bl -tag -width Ds\n", help_group((enum applet_group)g));
        for (const struct applet *a = applets; a->name != NULL; a++) {
            if ((int)a->group != g) continue;
            printf(".It Xr silktalk-%s 1\n", a->name);
            escaped(a->line, strlen(a->line));
            puts("");
        }
        puts(".El");
    }
    puts(".Sh OPTIONS");
    options(common_opts);
    puts(".Sh EXIT STATUS\n.Bl -tag -width Ds");
    static const char *const codes[] = {"done",
                                        "failed",
                                        "usage",
                                        "node not running",
                                        "not found",
                                        "permission denied",
                                        "bad configuration or input",
                                        "verification failed",
                                        "done in part, or indirectly",
                                        "busy or full, try again",
                                        "timed out"};
    for (size_t i = 0; i < LEN(codes); i++) printf(".It %zu\n%s\n", i, codes[i]);
    puts(".El\n.Sh SEE ALSO\n.Xr silktalk.ini 5 ,\n.Xr silktalkd 8");
}

static void daemon_page(void) {
    head("silktalkd", 8, "the SilkTalk node");
    puts(".Sh DESCRIPTION");
    for (const struct applet *a = applets; a->name != NULL; a++)
        if (strcmp(a->name, "daemon") == 0) literal(a->text, strlen(a->text));
    puts(".Sh ENVIRONMENT\nSILKTALK_HOME, SILKTALK_CONFIG, SILKTALK_SOCKET, NOTIFY_SOCKET, WATCHDOG_USEC, "
         "JOURNAL_STREAM, TZ.");
    puts(".Sh SEE ALSO\n.Xr silktalk 1 ,\n.Xr silktalk.ini 5");
}

static int ini_page(struct cli *c) {
    struct buf body = {.max = 1 << 20};
    if (!config_manual(&body)) return cli_exit(c, fail(&c->why, E_MEMORY, "out of memory"));
    head("silktalk.ini", 5, "configuration of the SilkTalk node");
    fwrite(body.p, 1, body.n, stdout);
    puts(".Sh SEE ALSO\n.Xr silktalk 1 ,\n.Xr silktalkd 8");
    buf_free(&body);
    return 0;
}

int man_main(struct cli *c) {
    const char *page = c->n_args > 0 ? c->args[0] : "silktalk";
    bool text = c->terminal_out && !cli_given(c, "mdoc");
    if (c->n_args > 1) return cli_usage(c, "man shows one page");
    if (strncmp(page, "silktalk-", 9) == 0) page += 9;
    for (const struct applet *a = applets; a->name != NULL; a++)
        if (strcmp(a->name, page) == 0) {
            if (text)
                help_applet(a, stdout);
            else
                page_of(a);
            return 0;
        }
    if (strcmp(page, "silktalk.ini") == 0) {
        struct buf sample = {.max = CONFIG_FILE_MAX};
        if (!text) return ini_page(c);
        if (config_sample(&sample)) fwrite(sample.p, 1, sample.n, stdout);
        buf_free(&sample);
    } else if (strcmp(page, "silktalkd") == 0) {
        daemon_page();
    } else if (strcmp(page, "silktalk") == 0) {
        if (text)
            help_overview(stdout);
        else
            main_page();
    } else {
        return cli_usage(
            c, "there is no page %.40s; pages are silktalk, silktalk.ini, silktalkd and silktalk-VERB", page);
    }
    return 0;
}
