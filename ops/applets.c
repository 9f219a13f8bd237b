#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "ops/cli.h"

APPLET(applets)
const struct opt applets_opts[] = {{0, "install", "DIR", NULL, "make links in DIR to this executable"},
                                   {0, "sh", NULL, NULL, "with --install: names that end in .sh too"},
                                   {0}};
const char applets_text[] = "Usage: silktalk applets [--install DIR [--sh]]\n"
                            "Examples:\n"
                            "  silktalk applets\n"
                            "  silktalk applets --install /usr/local/sbin\n";

/* Names under which this executable is another program; a trailing .sh is ignored. */
static const char *const programs[] = {"silktalkd"};

static enum err install(struct cli *c, const char *folder, const char *name) {
    char self[PATH_SIZE], path[PATH_SIZE];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) return fail(&c->why, E_IO, "this executable's own path is not known (no /proc)");
    self[n] = 0;
    int k = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (k < 0 || k >= PATH_SIZE) return fail(&c->why, E_INPUT, "the path is too long");
    char old[PATH_SIZE];
    n = readlink(path, old, sizeof old - 1);
    if (n > 0) {
        old[n] = 0;
        if (strcmp(old, self) == 0) return OK;
        return fail(&c->why, E_FAILED, "%s is there already and leads to %s", path, old);
    }
    if (symlink(self, path) != 0)
        return fail(&c->why,
                    errno == EACCES   ? E_DENIED
                    : errno == ENOENT ? E_NOT_FOUND
                                      : E_FAILED,
                    "%s: %s", path, strerror(errno));
    printf("%s -> %s\n", path, self);
    return OK;
}

int applets_main(struct cli *c) {
    enum err e = OK;
    char name[64];
    if (c->n_args > 0) return cli_usage(c, "applets takes no words");
    if (!cli_given(c, "install")) {
        if (c->json) fputs("{\"schema\":\"silktalk.applets/1\",\"items\":[", stdout);
        bool first = true;
        for (const struct applet *a = applets; a->name != NULL; a++, first = false) {
            if (c->json)
                printf("%s{\"name\":\"%s\",\"text\":\"%s\"}", first ? "" : ",", a->name, a->line);
            else
                printf("%s\n", a->name);
        }
        if (c->json) puts("]}");
        return 0;
    }
    for (size_t i = 0; e == OK && i < LEN(programs); i++) {
        e = install(c, cli_value(c, "install"), programs[i]);
        snprintf(name, sizeof name, "%s.sh", programs[i]);
        if (e == OK && cli_given(c, "sh")) e = install(c, cli_value(c, "install"), name);
    }
    return cli_exit(c, e);
}
