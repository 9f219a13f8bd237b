#include "ops/help.h"

#include "base/text.h"
#include "gen/version.h"

APPLET(help)
const struct opt help_opts[] = {{0}};
const char help_text[] = "Usage: silktalk help [VERB]\n"
                         "Examples:\n"
                         "  silktalk help\n"
                         "  silktalk help send\n";

const char *help_group(enum applet_group g) {
#define TITLE(symbol, title) [GROUP_##symbol] = title,
    static const char *const titles[] = {APPLET_GROUPS(TITLE)};
    return titles[g];
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

/* The text is usage, description, "Examples:" and what follows; options go between. */
void help_applet(const struct applet *a, FILE *out) {
    const char *examples = strstr(a->text, "Examples:\n");
    int head = examples == NULL ? (int)strlen(a->text) : (int)(examples - a->text);
    fprintf(out, "silktalk %s: %s\n%.*s", a->name, a->line, head, a->text);
    if (a->opts[0].name != NULL) fprintf(out, "Options:\n");
    print_options(a->opts, out);
    fprintf(out, "Common options:\n");
    print_options(common_opts, out);
    if (examples != NULL) fputs(examples, out);
}

int help_main(struct cli *c) {
    if (c->n_args == 0) {
        help_overview(stdout);
        return 0;
    }
    for (const struct applet *a = applets; a->name != NULL; a++)
        if (strcmp(a->name, c->args[0]) == 0) {
            help_applet(a, stdout);
            return 0;
        }
    return cli_usage(c, "there is no verb %.40s", c->args[0]);
}
