#include <stdio.h>
#include <time.h>

#include "ops/cli.h"

APPLET(events)
const struct opt events_opts[] = {
    {0, "type", "T", NULL,
     "only these: a level and above (warn), a component (message), or how an event's text begins"},
    {0}};
const char events_text[] =
    "Usage: silktalk events [--type T] [--json]\n"
    "Prints what happens, as it happens, until it is interrupted. Whatever logging.level is,\n"
    "INFO and above are shown; DEBUG ones are when --type names them.\n"
    "Examples:\n"
    "  silktalk events\n"
    "  silktalk events --type warn\n"
    "  silktalk events --type 'Peer connected' --json\n";

static void show_value(const struct json *v) {
    struct buf text = {.max = 8192}, safe = {.max = 16384};
    if (json_is_text(v))
        buf_add(&text, json_bytes(v));
    else
        json_print(v, &text);
    cli_safe(buf_view(&text), false, &safe);
    bool quote = safe.n == 0 || bytes_index(buf_view(&safe), ' ') < safe.n;
    printf(quote ? "\"%.*s\"" : "%.*s", (int)safe.n, (const char *)safe.p);
    buf_free(&text);
    buf_free(&safe);
}

static void show_time(const struct json *v) {
    struct wall t;
    struct tm local;
    char text[32] = "";
    if (!wall_parse(json_bytes(v), &t)) return;
    time_t seconds = (time_t)(t.ms / 1000);
    if (localtime_r(&seconds, &local) != NULL) strftime(text, sizeof text, "%H:%M:%S", &local);
    printf("%s.%03d ", text, (int)(t.ms % 1000));
}

static void show_line(const struct cli *c, const struct json *event) {
    struct bytes level = json_get_bytes(event, "level"), part = json_get_bytes(event, "component"),
                 text = json_get_bytes(event, "event"), key;
    const char *colour = bytes_is(level, "error") ? "\033[31m" : bytes_is(level, "warn") ? "\033[33m" : "";
    const struct json *value;
    size_t i = 0;
    show_time(json_get(event, "time"));
    for (size_t k = 0; k < level.n; k++)
        printf("%s%c", k == 0 && c->colour_out ? colour : "",
               level.p[k] - ('a' - 'A')); /* names are a to z */
    if (c->colour_out && colour[0] != 0) fputs("\033[0m", stdout);
    printf(" %.*s: %.*s", (int)part.n, (const char *)part.p, (int)text.n, (const char *)text.p);
    while (json_member(event, &i, &key, &value)) {
        if (bytes_is(key, "time") || bytes_is(key, "level") || bytes_is(key, "component") ||
            bytes_is(key, "event"))
            continue;
        printf(" %.*s=", (int)key.n, (const char *)key.p);
        show_value(value);
    }
    putchar('\n');
}

static void show_json(const struct json *event) {
    struct buf text = {.max = 16384};
    if (json_print(event, &text) && text.n > 2)
        printf("{\"schema\":\"silktalk.events/1\",%.*s\n", (int)text.n - 1, (const char *)text.p + 1);
    buf_free(&text);
}

static bool show(struct cli *c, const struct json *event, void *user) {
    (void)user;
    if (c->json)
        show_json(event);
    else
        show_line(c, event);
    return fflush(stdout) == 0; /* nobody reads any more */
}

int events_main(struct cli *c) {
    struct buf params;
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    if (c->n_args > 0) return cli_usage(c, "events takes no words; which ones is --type");
    struct json_out o = cli_params(&params);
    if (cli_given(c, "type")) json_put_str(&o, "type", cli_value(c, "type"));
    json_shut(&o, '}');
    enum err e = json_end(&o) ? OK : fail(&c->why, E_USAGE, "--type is too long");
    /* Its first event may be hours away: whether it answers at all is asked before. */
    if (e == OK) e = cli_call(c, "version", bytes_of("{}"), c->timeout_ms, &answer, &result);
    json_free(answer);
    answer = NULL;
    if (e == OK) e = cli_stream(c, "events", buf_view(&params), -1, show, NULL, &answer, &result);
    buf_free(&params);
    json_free(answer);
    return cli_exit(c, e);
}
