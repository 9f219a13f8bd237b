#include <stdio.h>

#include "base/text.h"
#include "ops/cli.h"

APPLET(ping)
const struct opt ping_opts[] = {
    {'c', "count", "N", "4", "stop after N answers"},
    {'i', "interval", "D", "1s", "pause between two"},
    {0, "perf", "SIZE", NULL, "send and fetch so much over /perf/1.0.0 instead (the peer must serve it)"},
    {0}};
const char ping_text[] = "Usage: silktalk ping PEER [-c N] [--perf SIZE]\n"
                         "Exits 0 when the peer answers directly, 8 over a relay only, 10 not at all.\n"
                         "Examples:\n"
                         "  silktalk ping web-02\n"
                         "  silktalk ping web-02 --perf 64MiB\n";

struct seen {
    unsigned n;
    double least, most, sum;
};

static bool on_event(struct cli *c, const struct json *event, void *user) {
    struct seen *s = user;
    double ms = json_real(json_get(event, "rtt_seconds"), 0) * 1000;
    if (s->n == 0 || ms < s->least) s->least = ms;
    if (ms > s->most) s->most = ms;
    s->sum += ms;
    s->n++;
    if (c->json)
        cli_print_json(event);
    else
        printf("answer %u from %s: time=%.3f ms\n", s->n, c->args[0], ms);
    fflush(stdout);
    return true;
}

static void show_perf(struct cli *c, const struct json *r) {
    double up = json_real(json_get(r, "up_seconds"), 0), down = json_real(json_get(r, "down_seconds"), 0);
    char rate[32];
    (void)c;
    size_text(up > 0 ? (uint64_t)((double)json_get_int(r, "up", 0) / up) : 0, rate);
    printf("up   %s/s\n", rate);
    size_text(down > 0 ? (uint64_t)((double)json_get_int(r, "down", 0) / down) : 0, rate);
    printf("down %s/s\n", rate);
}

static int perf(struct cli *c) {
    struct buf params;
    uint64_t size = 0;
    if (!size_parse(bytes_of(cli_value(c, "perf")), &size) || size > INT64_MAX)
        return cli_usage(c, "--perf takes a size, such as 64MiB");
    struct json_out o = cli_params(&params);
    json_put_str(&o, "peer", c->args[0]);
    json_put_uint(&o, "up", size);
    json_put_uint(&o, "down", size);
    c->timeout_ms = MAX(c->timeout_ms, (int64_t)600000);
    return cli_verb(c, "perf", &params, &o, show_perf);
}

int ping_main(struct cli *c) {
    struct buf params;
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    struct seen seen = {0};
    int64_t count, pause;
    if (c->n_args != 1) return cli_usage(c, "ping needs one peer");
    if (cli_given(c, "perf")) return perf(c);
    enum err e = cli_number(c, "count", 4, 1, 1000000, &count);
    if (e == OK) e = cli_duration(c, "interval", 1000, &pause);
    if (e != OK) return cli_exit(c, e);
    struct json_out o = cli_params(&params);
    json_put_str(&o, "peer", c->args[0]);
    json_put_int(&o, "count", count);
    json_put_int(&o, "interval_ms", pause);
    json_shut(&o, '}');
    e = cli_stream(c, "ping", buf_view(&params), c->timeout_ms + pause, on_event, &seen, &answer, &result);
    buf_free(&params);
    json_free(answer);
    if (seen.n > 0 && !c->json)
        printf("%u answers, time min %.3f avg %.3f max %.3f ms\n", seen.n, seen.least, seen.sum / seen.n,
               seen.most);
    /* not connected, or no answer, or no more of them: the peer can not be pinged */
    if (e == E_CLOSED || e == E_IO || e == E_PROTO || e == E_REFUSED || e == E_FAILED) e = E_TIMEOUT;
    return cli_exit(c, e);
}
