/* Manual pages, made of the tables: silktalk(1), silktalk-VERB(1), silktalk.ini(5), silktalk-ops(7),
 * silktalkd(8). */
#include <stdio.h>

#include "base/text.h"
#include "ops/man_page.h"

APPLET(man)
const struct opt man_opts[] = {
    {0, "mdoc", NULL, NULL, "mdoc source, as `man -l -` and packages want it, also on a terminal"}, {0}};
const char man_text[] =
    "Usage: silktalk man [PAGE]\n"
    "Pages: silktalk, silktalk.ini, silktalk-ops, silktalkd, and silktalk-VERB. On a terminal the text is\n"
    "printed; else mdoc.\n"
    "Examples:\n"
    "  silktalk man silktalk.ini | man -l -\n"
    "  silktalk man silktalk-send --mdoc > silktalk-send.1\n";

static void options(const struct opt *o) {
    puts(".Bl -tag -width Ds");
    for (; o->name != NULL; o++) {
        printf(".It ");
        if (o->letter != 0) printf("Fl %c , ", o->letter);
        printf("Fl \\-%s", o->name);
        if (o->value != NULL) printf(" Ar \"%s\"", o->value);
        puts("");
        struct buf text = {.max = 1024};
        buf_add_text(&text, o->text);
        if (o->otherwise != NULL) buf_add_format(&text, " (default %s)", o->otherwise);
        man_run(buf_view(&text));
        buf_free(&text);
    }
    puts(".El");
}

static void see_also(const char *but) {
    static const struct {
        const char *page, *section;
    } pages[] = {{"silktalk", "1"}, {"silktalk.ini", "5"}, {"silktalk-ops", "7"}, {"silktalkd", "8"}};
    fputs(".Sh SEE ALSO", stdout);
    bool first = true;
    for (size_t i = 0; i < LEN(pages); i++) {
        if (strcmp(pages[i].page, but) == 0) continue;
        printf("%s\n.Xr %s %s", first ? "" : " ,", pages[i].page, pages[i].section);
        first = false;
    }
    puts("");
}

static void page_of(const struct applet *a) {
    char title[64];
    struct help_parts p = help_split(a);
    snprintf(title, sizeof title, "silktalk-%s", a->name);
    man_begin(title, 1, a->line);
    puts(".Sh SYNOPSIS");
    man_literal(bytes_starts(p.usage, "Usage: ") ? bytes_skip(p.usage, strlen("Usage: ")) : p.usage);
    if (p.description.n > 0) {
        puts(".Sh DESCRIPTION");
        man_literal(p.description);
    }
    puts(".Sh OPTIONS");
    if (a->opts[0].name != NULL) options(a->opts);
    puts("Options of every verb:");
    options(common_opts);
    puts(".Sh EXIT STATUS\nThe codes of\n.Xr silktalk 1 .");
    if (p.examples.n > 0) {
        puts(".Sh EXAMPLES");
        man_literal(p.examples);
    }
    see_also(title);
}

static void main_page(void) {
    man_begin("silktalk", 1, "a peer-to-peer messaging node for servers");
    puts(".Sh SYNOPSIS\n.Nm silktalk\n.Ar verb\n.Op Ar options\n.Sh DESCRIPTION");
    puts("One executable is the daemon and every command that works with it.");
    for (int g = 0; g < GROUP_COUNT; g++) {
        printf(".Ss %s\n.Bl -tag -width Ds\n", help_group((enum applet_group)g));
        for (const struct applet *a = applets; a->name != NULL; a++) {
            if ((int)a->group != g || (a->flags & AP_HIDDEN) != 0) continue;
            printf(".It Xr silktalk-%s 1\n", a->name);
            man_run(bytes_of(a->line));
        }
        puts(".El");
    }
    puts(".Sh OPTIONS");
    options(common_opts);
    puts(".Sh EXIT STATUS\n.Bl -tag -width Ds");
    for (size_t i = 0; i < EXIT_CODES; i++) printf(".It %zu\n%s\n", i, help_exit_codes[i]);
    puts(".El");
    see_also("silktalk");
}

static void daemon_page(void) {
    struct help_parts p = help_split(help_find("daemon"));
    man_begin("silktalkd", 8, "the SilkTalk node");
    puts(".Sh SYNOPSIS\n.Nm silktalkd\n.Op Ar options\n.Sh DESCRIPTION");
    puts("The same as\n.Xr silktalk-daemon 1 ,\nwhich has the options.");
    man_literal(p.description);
    puts(".Sh ENVIRONMENT");
    man_run(bytes_of("SILKTALK_HOME, SILKTALK_CONFIG, SILKTALK_SOCKET, NOTIFY_SOCKET, WATCHDOG_USEC, "
                     "JOURNAL_STREAM, CREDENTIALS_DIRECTORY, TZ; the node reads no other variable."));
    see_also("silktalkd");
}

static int ini_page(struct cli *c) {
    struct buf body = {.max = 1 << 20};
    if (!config_manual(&body)) return cli_exit(c, fail(&c->why, E_MEMORY, "out of memory"));
    man_begin("silktalk.ini", 5, "configuration of the SilkTalk node");
    fwrite(body.p, 1, body.n, stdout);
    puts(".Sh FILES");
    man_literal(bytes_of("/etc/silktalk/silktalk.ini, conf.d/*.ini    of root and the user silktalk\n"
                         "~/.silktalk/config.ini, conf.d/*.ini        of every other user\n"));
    man_run(bytes_of("`silktalk config path` names those in use, `silktalk config list` the line that set a "
                     "key."));
    puts(".Sh EXAMPLES");
    man_literal(bytes_of("[node]\nname = web-01\n\n"
                         "[network]\nlisten = /ip4/0.0.0.0/tcp/4001, /ip6/::/tcp/4001\n\n"
                         "[discovery]\n"
                         "bootstrap = /dns4/web-02.example.com/tcp/4001/p2p/"
                         "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq\n\n"
                         "[access]\n; only this block may connect\nallowCidrs = 10.0.0.0/8\n"));
    see_also("silktalk.ini");
    buf_free(&body);
    return 0;
}

static int ini_text(struct cli *c) {
    struct buf sample = {.max = CONFIG_FILE_MAX};
    if (!config_sample(NULL, &sample)) return cli_exit(c, fail(&c->why, E_MEMORY, "out of memory"));
    fwrite(sample.p, 1, sample.n, stdout);
    buf_free(&sample);
    return 0;
}

int man_main(struct cli *c) {
    const char *page = c->n_args > 0 ? c->args[0] : "silktalk";
    bool text = c->terminal_out && !cli_given(c, "mdoc");
    if (c->n_args > 1) return cli_usage(c, "man shows one page");
    if (strcmp(page, "silktalk.ini") == 0) return text ? ini_text(c) : ini_page(c);
    if (strncmp(page, "silktalk-", 9) == 0) page += 9;
    const struct applet *a = help_find(strcmp(page, "silktalkd") == 0 && text ? "daemon" : page);
    if (a != NULL && text)
        help_applet(a, stdout);
    else if (a != NULL)
        page_of(a);
    else if (strcmp(page, "silktalkd") == 0)
        daemon_page();
    else if (strcmp(page, "ops") == 0)
        text ? man_operations_text() : man_operations();
    else if (strcmp(page, "silktalk") == 0)
        text ? help_overview(stdout) : main_page();
    else
        return cli_usage(
            c,
            "there is no page %.40s; pages are silktalk, silktalk.ini, silktalk-ops, silktalkd and "
            "silktalk-VERB",
            page);
    return 0;
}
