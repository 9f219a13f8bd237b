#include <stdio.h>

#include "base/text.h"
#include "ops/cli.h"

APPLET(status)
const struct opt status_opts[] = {{0}};
const char status_text[] = "Usage: silktalk status [--json]\n"
                           "Examples:\n"
                           "  silktalk status\n"
                           "  silktalk status --json\n";

static long long number(const struct json *o, const char *key) {
    return (long long)json_get_int(o, key, 0);
}

static void text(const struct json *o, const char *key) {
    struct buf safe = {.max = 1024};
    cli_safe(json_get_bytes(o, key), false, &safe);
    fputs(buf_cstr(&safe), stdout);
    buf_free(&safe);
}

static void show_node(const struct cli *c, const struct json *r) {
    const struct json *node = json_get(r, "node"), *state = json_get(r, "state"),
                      *listen = json_get(json_get(r, "listen"), "items");
    const struct json *pending = json_get(state, "restart_pending");
    char up[32];
    duration_text(number(node, "uptime_seconds") * 1000, up);
    if (number(node, "uptime_seconds") == 0) snprintf(up, sizeof up, "0s"); /* it is told in seconds */
    fputs("Node       ", stdout);
    text(node, "name");
    fputs("  ", stdout);
    text(node, "peer_id");
    fputs("  version ", stdout);
    text(node, "version");
    printf("  up %s  pid %lld\n", up, number(node, "pid"));
    bool healthy = bytes_is(json_get_bytes(state, "status"), "healthy");
    fputs("State      ", stdout);
    if (c->colour_out) fputs(healthy ? "\033[32m" : "\033[33m", stdout);
    text(state, "status");
    if (c->colour_out) fputs("\033[0m", stdout);
    if (json_bool(json_get(state, "maintenance"), false)) {
        struct buf until = {.max = 128};
        cli_time(json_get(state, "maintenance_until"), &until);
        printf("; maintenance %s%s", until.n > 0 ? "until " : "", buf_cstr(&until));
        buf_free(&until);
    }
    for (size_t i = 0; i < json_count(pending); i++) {
        struct bytes key = json_bytes(json_at(pending, i));
        printf("%s%.*s", i == 0 ? "; restart pending: " : ", ", (int)key.n, (const char *)key.p);
    }
    fputs("\nListen     ", stdout);
    for (size_t i = 0; i < json_count(listen); i++) {
        struct bytes a = json_bytes(json_at(listen, i));
        printf("%s%.*s", i == 0 ? "" : "  ", (int)a.n, (const char *)a.p);
    }
    puts(json_count(listen) == 0 ? "nowhere" : "");
    fputs("Reach      ", stdout);
    text(json_get(r, "reach"), "status");
    puts("");
}

static void show_messages(const struct json *m) {
    char age[32];
    struct buf oldest = {.max = 64};
    printf("Messages   in %lld  out %lld  outbox %lld", number(m, "in"), number(m, "out"),
           number(m, "outbox"));
    struct wall t;
    if (wall_parse(json_get_bytes(m, "outbox_oldest"), &t)) {
        cli_age(json_get(m, "outbox_oldest"), &oldest);
        struct bytes v = buf_view(&oldest);
        if (bytes_ends(v, " ago")) v.n -= 4;
        printf(" (oldest %.*s)", (int)v.n, (const char *)v.p);
    }
    double p95 = json_real(json_get(m, "latency_p95_seconds"), -1);
    if (p95 < 0)
        snprintf(age, sizeof age, "unknown");
    else
        snprintf(age, sizeof age, "%.0fms", p95 * 1000);
    printf("  latency p95 %s  errors %.2f%%\n", age, json_real(json_get(m, "errors_percent"), 0));
    buf_free(&oldest);
}

static void percent(const char *label, const struct json *v) {
    if (json_is_number(v))
        printf("%s %lld%%", label, (long long)json_int(v, 0));
    else
        printf("%s unknown", label);
}

static void show_rest(const struct json *r) {
    const struct json *s = json_get(r, "storage"), *u = json_get(r, "resources");
    char size[32];
    size_text((uint64_t)number(s, "data_bytes"), size);
    puts("DHT        unknown"); /* of later deliveries, as backup */
    printf("Storage    data %s", size);
    size_text((uint64_t)number(s, "logs_bytes"), size);
    printf("  logs %s  ", json_is_number(json_get(s, "logs_bytes")) ? size : "unknown");
    percent("disk", json_get(s, "disk_percent"));
    fputs("  backup unknown\nResources  ", stdout);
    percent("cpu", json_get(u, "cpu_percent"));
    fputs("  ", stdout);
    percent("memory", json_get(u, "memory_percent"));
    if (json_is_number(json_get(u, "resident_bytes"))) {
        size_text((uint64_t)number(u, "resident_bytes"), size);
        printf(" (node %s)", size);
    }
    if (json_is_number(json_get(u, "fds")))
        printf("  fds %lld of %lld", number(u, "fds"), number(u, "fds_max"));
    puts("");
    const struct json *problems = json_get(json_get(r, "problems"), "items");
    if (json_count(problems) == 0) puts("Problems   none");
    for (size_t i = 0; i < json_count(problems); i++) {
        fputs(i == 0 ? "Problems   " : "           ", stdout);
        text(json_at(problems, i), "finding");
        putchar(' ');
        text(json_at(problems, i), "level");
        putchar(' ');
        text(json_at(problems, i), "text");
        puts("");
    }
}

static void show(struct cli *c, const struct json *r) {
    const struct json *p = json_get(r, "peers");
    show_node(c, r);
    printf(
        "Peers      %lld connected, %lld connections of %lld (%lld in, %lld out, %lld relayed), %lld known\n",
        number(p, "connected"), number(p, "connections"), number(p, "max"), number(p, "in"), number(p, "out"),
        number(p, "relayed"), number(p, "known"));
    show_messages(json_get(r, "messages"));
    const struct json *files = json_get(r, "files");
    char stored[32];
    size_text((uint64_t)number(files, "stored_bytes"), stored);
    printf("Files      in %lld  out %lld  offered %lld  stored %s\n", number(files, "in"),
           number(files, "out"), number(files, "offered"), stored);
    show_rest(r);
}

int status_main(struct cli *c) {
    struct buf params;
    if (c->n_args > 0) return cli_usage(c, "status takes no words");
    struct json_out o = cli_params(&params);
    return cli_verb(c, "status", &params, &o, show);
}
