#include <stdio.h>

#include "gen/notices.h"
#include "gen/version.h"
#include "ops/cli.h"

APPLET(version)
const struct opt version_opts[] = {{0, "licenses", NULL, NULL, "notices of everything that is linked in"},
                                   {0}};
const char version_text[] = "Usage: silktalk version [--licenses] [--json]\n"
                            "Examples:\n"
                            "  silktalk version\n"
                            "  silktalk version --licenses | less\n";

int version_main(struct cli *c) {
    if (c->n_args > 0) return cli_usage(c, "version takes no words");
    if (cli_given(c, "licenses")) {
        fwrite(silktalk_notices, 1, sizeof silktalk_notices - 1, stdout);
        return 0;
    }
    if (!c->json) {
        printf("silktalk %s (source %s)\n", SILKTALK_VERSION, SILKTALK_SOURCE_ID);
        return 0;
    }
    struct buf line = {.max = 1024};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.version/1");
    json_put_str(&o, "version", SILKTALK_VERSION);
    json_put_str(&o, "source", SILKTALK_SOURCE_ID);
#if defined(__x86_64__)
    json_put_str(&o, "arch", "x86_64");
#elif defined(__aarch64__)
    json_put_str(&o, "arch", "aarch64");
#else
    json_put_str(&o, "arch", "other");
#endif
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&line);
    return 0;
}
