#include <stdio.h>

#include "ops/health_ask.h"

APPLET(health)
const struct opt health_opts[] = {
    {'c', "check", "CHECK...", NULL, "judge and show these alone (may be repeated, or a comma list)"},
    {0, "url", "URL", NULL, "ask the node there, over http or https (the path /health is added)"},
    {0, "token-file", "FILE", NULL,
     "with --url: a bearer token; without one some nodes tell their state alone"},
    {0}};
const char health_text[] =
    "Usage: silktalk health [-c CHECK]... [-v] [--url URL] [--token-file FILE] [--json]\n"
    "A plugin for Nagios, Icinga and their kin: one line with performance data, within 3 s whatever state "
    "the\n"
    "node is in. -v adds a line for each check, with what to do. Exits 0 OK, 1 WARNING, 2 CRITICAL, 3 "
    "UNKNOWN\n"
    "or usage. When the node is down, what can be judged from its files is judged.\n"
    "Checks: node cpu memory disk connections latency errors outbox peers database backup identity\n"
    "certificate files clock audit logs limits; their thresholds are in [health] of the configuration.\n"
    "Examples:\n"
    "  silktalk health\n"
    "  silktalk health -c disk -c memory\n"
    "  silktalk health --url http://10.0.0.7:8080 --token-file /etc/silktalk/token\n"
    "  silktalk health --json | jq -r .status\n";

static void show_check(const struct cli *c, const struct json *check) {
    static const char *const colours[] = {"32", "33", "31", "33"};
    struct buf text = {.max = 1024};
    enum health_status s = health_status_of(json_get_bytes(check, "status"));
    struct bytes name = json_get_bytes(check, "name");
    cli_safe(json_get_bytes(check, "message"), false, &text);
    printf("%-12.*s ", (int)name.n, (const char *)name.p);
    if (c->colour_out) printf("\033[%sm", colours[s]);
    printf("%s%s", health_status_name(s), c->colour_out ? "\033[0m" : "");
    printf("%*s%s", (int)(10 - strlen(health_status_name(s))), "", buf_cstr(&text));
    struct bytes fix = json_get_bytes(check, "fix");
    if (fix.n > 0) printf("  -> %.*s", (int)fix.n, (const char *)fix.p);
    puts("");
    buf_free(&text);
}

static void show_last(const struct json *r) {
    struct buf at = {.max = 128};
    cli_age(json_get(r, "at"), &at);
    struct bytes period = json_get_bytes(r, "period"), status = json_get_bytes(r, "status");
    struct bytes findings = json_get_bytes(r, "findings");
    printf("check %-6.*s %-10.*s%s", (int)period.n, (const char *)period.p, (int)status.n,
           (const char *)status.p, buf_cstr(&at));
    if (findings.n > 0) printf(" (%.*s)", (int)findings.n, (const char *)findings.p);
    if (json_get_bool(r, "overdue", false))
        printf(", overdue -> silktalk check %.*s", (int)period.n, (const char *)period.p);
    puts("");
    buf_free(&at);
}

int health_main(struct cli *c) {
    const char *only = cli_value(c, "check");
    struct health_answer a;
    struct buf line = {.max = 64 << 10};
    if (c->n_args > 0) {
        cli_usage(c, "health takes no words");
        return 3;
    }
    if (only != NULL && health_only(c, only) != OK) {
        cli_exit(c, E_USAGE);
        return 3;
    }
    health_guard(true);
    enum err e = health_ask(c, &a);
    health_guard(false);
    if (e != OK) {
        cli_exit(c, e);
        return 3;
    }
    if (c->json)
        health_json(a.health, only, &line);
    else
        health_line(a.health, only, &line);
    puts(buf_cstr(&line));
    const struct json *check, *list = json_get(a.health, "checks");
    for (size_t i = 0; c->verbose && !c->json && json_item(list, &i, &check);)
        if (health_wanted(check, only)) show_check(c, check);
    list = json_get(a.health, "last_checks");
    for (size_t i = 0; c->verbose && !c->json && only == NULL && json_item(list, &i, &check);)
        show_last(check);
    int code = health_code(a.health, only);
    buf_free(&line);
    health_answer_free(&a);
    return code;
}
