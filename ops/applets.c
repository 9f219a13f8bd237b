#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops/help.h"

APPLET(applets)
const struct opt applets_opts[] = {{0, "install", "DIR", NULL, "make links in DIR to this executable"},
                                   {0, "sh", NULL, NULL, "with --install: names that end in .sh too"},
                                   OPT_DRY_RUN,
                                   {0}};
const char applets_text[] =
    "Usage: silktalk applets [--install DIR [--sh]]\n"
    "Lists the verbs; --install makes links by whose names this executable is another program (silktalkd).\n"
    "Examples:\n"
    "  silktalk applets\n"
    "  silktalk applets --install /usr/local/bin --sh\n";

/* Where links lead: to the name alone when the executable is in that very folder, so that both can be moved.
 */
static enum err target(struct cli *c, const char *folder, char out[PATH_SIZE]) {
    struct stat here, there;
    ssize_t n = readlink("/proc/self/exe", out, PATH_SIZE - 1);
    if (n <= 0) return fail(&c->why, E_IO, "this executable's own path is not known (no /proc)");
    out[n] = 0;
    char *slash = strrchr(out, '/');
    if (slash == NULL || slash == out) return OK;
    *slash = 0;
    bool same = stat(out, &here) == 0 && stat(folder, &there) == 0 && here.st_dev == there.st_dev &&
                here.st_ino == there.st_ino;
    *slash = '/';
    if (same) memmove(out, slash + 1, strlen(slash + 1) + 1);
    return OK;
}

static enum err install(struct cli *c, const char *folder, const char *name) {
    char self[PATH_SIZE], path[PATH_SIZE], old[PATH_SIZE];
    enum err e = target(c, folder, self);
    if (e != OK) return e;
    int k = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (k < 0 || k >= PATH_SIZE) return fail(&c->why, E_INPUT, "the path is too long");
    ssize_t n = readlink(path, old, sizeof old - 1);
    if (n > 0) {
        old[n] = 0;
        if (strcmp(old, self) == 0) return OK;
        return fail(&c->why, E_FAILED, "%s is there already and leads to %s", path, old);
    }
    if (!c->dry_run && symlink(self, path) != 0)
        return fail(&c->why,
                    errno == EACCES   ? E_DENIED
                    : errno == ENOENT ? E_NOT_FOUND
                                      : E_FAILED,
                    "%s: %s", path, strerror(errno));
    if (!c->json) printf("%s%s -> %s\n", c->dry_run ? "Would link " : "", path, self);
    return OK;
}

static int list(const struct cli *c) {
    if (c->json) fputs("{\"schema\":\"silktalk.applets/1\",\"items\":[", stdout);
    for (const struct applet *a = applets; a->name != NULL; a++) {
        if ((a->flags & AP_HIDDEN) != 0) continue; /* another name of one that is listed; never the first */
        if (c->json)
            printf("%s{\"name\":\"%s\",\"text\":\"%s\"}", a == applets ? "" : ",", a->name, a->line);
        else
            printf("%s\n", a->name);
    }
    if (c->json) puts("]}");
    return 0;
}

int applets_main(struct cli *c) {
    enum err e = OK;
    char name[64];
    const char *folder = cli_value(c, "install");
    if (c->n_args > 0) return cli_usage(c, "applets takes no words");
    if (folder == NULL) return cli_given(c, "sh") ? cli_usage(c, "--sh belongs to --install") : list(c);
    for (const struct help_link *l = help_links; e == OK && l->program != NULL; l++) {
        e = install(c, folder, l->program);
        snprintf(name, sizeof name, "%s.sh", l->program);
        if (e == OK && cli_given(c, "sh")) e = install(c, folder, name);
    }
    if (e == OK && c->json) {
        fputs("{\"schema\":\"silktalk.applets/1\",\"items\":[", stdout);
        for (const struct help_link *l = help_links; l->program != NULL; l++)
            printf("%s{\"name\":\"%s\",\"verb\":\"%s\"}", l == help_links ? "" : ",", l->program, l->verb);
        puts("]}");
    }
    return cli_exit(c, e);
}
