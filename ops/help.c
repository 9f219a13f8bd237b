#include "ops/help.h"

#include "base/text.h"
#include "gen/version.h"

APPLET(help)
const struct opt help_opts[] = {{0}};
const char help_text[] = "Usage: silktalk help [VERB]\n"
                         "Examples:\n"
                         "  silktalk help\n"
                         "  silktalk help send\n";

const char *const help_exit_codes[EXIT_CODES] = {"done",
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
const struct help_link help_links[] = {
    {"silktalkd", "daemon"}, {"silktalk-health-check", "health-check"}, {NULL, NULL}};

const char *help_group(enum applet_group g) {
#define TITLE(symbol, title) [GROUP_##symbol] = title,
    static const char *const titles[] = {APPLET_GROUPS(TITLE)};
    return titles[g];
}

const struct applet *help_find(const char *verb) {
    for (const struct applet *a = applets; a->name != NULL; a++)
        if (strcmp(a->name, verb) == 0) return a;
    return NULL;
}

void help_overview(FILE *out) {
    fprintf(out, "SilkTalk %s: a peer-to-peer messaging node for servers.\nUsage: silktalk VERB [OPTIONS]\n",
            SILKTALK_VERSION);
    for (int g = 0; g < GROUP_COUNT; g++) {
        fprintf(out, "\n%s\n", help_group((enum applet_group)g));
        for (const struct applet *a = applets; a->name != NULL; a++)
            if ((int)a->group == g && (a->flags & AP_HIDDEN) == 0)
                fprintf(out, "  %-12s %s\n", a->name, a->line);
    }
    fprintf(out, "\nFirst steps:  silktalk start;  silktalk id --addrs;  silktalk connect ADDRESS;  silktalk "
                 "send PEER \"hello\"\n"
                 "Each verb:    silktalk VERB --help\n");
}

void help_option(const struct opt *o, struct buf *out) {
    if (o->letter != 0)
        buf_add_format(out, "-%c, ", o->letter);
    else
        buf_add_text(out, "    ");
    buf_add_format(out, "--%s", o->name);
    if (o->value != NULL) buf_add_format(out, "%s%s", o->value[0] == '[' ? "" : " ", o->value);
}

static void print_options(const struct opt *o, FILE *out) {
    for (; o != NULL && o->name != NULL; o++) {
        struct buf left = {.max = 256};
        help_option(o, &left);
        fprintf(out, "  %-28s %s", buf_cstr(&left), o->text);
        if (o->otherwise != NULL) fprintf(out, " (default %s)", o->otherwise);
        fputc('\n', out);
        buf_free(&left);
    }
}

/* "Usage: ", forms (further ones are indented), description, "Examples:\n" and what follows. */
struct help_parts help_split(const struct applet *a) {
    const char *text = a->text, *examples = strstr(text, "Examples:\n"), *at = strchr(text, '\n');
    struct help_parts p;
    while (at != NULL && at[1] == ' ') at = strchr(at + 1, '\n');
    const char *end = examples == NULL ? text + strlen(text) : examples;
    at = at == NULL ? end : at + 1;
    p.usage = bytes_at(text, (size_t)(at - text));
    p.description = bytes_at(at, (size_t)(end - at));
    p.examples = examples == NULL ? (struct bytes){NULL, 0} : bytes_of(examples + strlen("Examples:\n"));
    return p;
}

/* Options go between the description and the examples. */
void help_applet(const struct applet *a, FILE *out) {
    struct help_parts p = help_split(a);
    fprintf(out, "silktalk %s: %s\n%.*s%.*s", a->name, a->line, (int)p.usage.n, (const char *)p.usage.p,
            (int)p.description.n, (const char *)p.description.p);
    if (a->opts[0].name != NULL) fprintf(out, "Options:\n");
    print_options(a->opts, out);
    fprintf(out, "Common options:\n");
    print_options(common_opts, out);
    if (p.examples.n > 0) fprintf(out, "Examples:\n%.*s", (int)p.examples.n, (const char *)p.examples.p);
}

int help_main(struct cli *c) {
    if (c->n_args == 0) {
        help_overview(stdout);
        return 0;
    }
    if (c->n_args > 1) return cli_usage(c, "help explains one verb at a time");
    const struct applet *a = help_find(c->args[0]);
    if (a == NULL) return cli_unknown_verb(c->args[0]);
    help_applet(a, stdout);
    return 0;
}
