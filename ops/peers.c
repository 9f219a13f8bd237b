#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"
#include "ops/cli.h"

APPLET(peers)
const struct opt peers_opts[] = {
    {'a', "all", NULL, NULL, "known peers too, not only connected ones"},
    {0, "sort", "COL", NULL, "sort by a column, written as in its title: name, rtt, bytes-in..."},
    {0}};
const char peers_text[] = "Usage: silktalk peers [--all] [--sort COL] [--json]\n"
                          "Examples:\n"
                          "  silktalk peers\n"
                          "  silktalk peers --all --sort bytes-in\n";

CELL(name, text, "name")
CELL(peer_id, text, "peer_id")
CELL(addr, text, "addr")
CELL(direction, text, "direction")
CELL(path, text, "path")
CELL(since, age, "since")
CELL(streams, number, "streams")
CELL(bytes_in, size, "bytes_in")
CELL(bytes_out, size, "bytes_out")

static void rtt(const struct json *row, struct buf *out) {
    double s = json_real(json_get(row, "rtt_seconds"), -1);
    if (s >= 0) buf_add_format(out, s < 0.01 ? "%.2fms" : "%.0fms", s * 1000);
}

static const struct cli_column columns[] = {{"NAME", false, name},        {"PEER-ID", false, peer_id},
                                            {"ADDR", false, addr},        {"DIRECTION", false, direction},
                                            {"PATH", false, path},        {"SINCE", false, since},
                                            {"RTT", true, rtt},           {"STREAMS", true, streams},
                                            {"BYTES-IN", true, bytes_in}, {"BYTES-OUT", true, bytes_out}};

static void show(struct cli *c, const struct json *result) {
    cli_table(c, columns, LEN(columns), json_get(result, "items"));
}

/* ---- sorting: the rows are put into order and printed as the node gave them */

static const char *sort_key; /* of the present call: qsort passes nothing on */

static int compare(const void *a, const void *b) {
    const struct json *x = json_get(*(const struct json *const *)a, sort_key),
                      *y = json_get(*(const struct json *const *)b, sort_key);
    if (json_is_text(x) || json_is_text(y)) return bytes_compare(json_bytes(x), json_bytes(y));
    double l = json_real(x, -1), r = json_real(y, -1);
    return (l < r) - (l > r); /* numbers: the largest first */
}

static enum err sorted(struct cli *c, const struct json *result, struct json_doc **out) {
    static const char *const keys[][2] = {{"name", "name"},         {"peer-id", "peer_id"},
                                          {"addr", "addr"},         {"direction", "direction"},
                                          {"path", "path"},         {"since", "since"},
                                          {"rtt", "rtt_seconds"},   {"streams", "streams"},
                                          {"bytes-in", "bytes_in"}, {"bytes-out", "bytes_out"}};
    sort_key = NULL;
    for (size_t i = 0; i < LEN(keys); i++)
        if (strcasecmp(cli_value(c, "sort"), keys[i][0]) == 0) sort_key = keys[i][1];
    if (sort_key == NULL) return fail(&c->why, E_USAGE, "--sort: there is no such column");
    const struct json *items = json_get(result, "items");
    size_t n = json_count(items);
    const struct json **rows = mem_new(n + 1, sizeof *rows);
    struct buf text = {.max = 64 << 20};
    if (rows == NULL) return fail(&c->why, E_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) rows[i] = json_at(items, i);
    qsort(rows, n, sizeof *rows, compare);
    struct json_out o = json_begin(&text);
    json_open(&o, NULL, '{');
    json_put_value(&o, "schema", json_get(result, "schema"));
    json_open(&o, "items", '[');
    for (size_t i = 0; i < n; i++) json_put_value(&o, NULL, rows[i]);
    json_shut(&o, ']');
    json_shut(&o, '}');
    *out = json_end(&o) ? json_parse(buf_view(&text), &c->why) : NULL;
    mem_free(rows);
    buf_free(&text);
    return *out == NULL ? E_MEMORY : OK;
}

int peers_main(struct cli *c) {
    struct buf params;
    struct json_doc *answer = NULL, *ordered = NULL;
    const struct json *result = NULL;
    if (c->n_args > 0)
        return cli_usage(c, "peers takes no words; for one peer see `silktalk peer show PEER`");
    struct json_out o = cli_params(&params);
    json_put_bool(&o, "all", cli_given(c, "all"));
    enum err e = cli_ask(c, "peers", &params, &o, c->timeout_ms, &answer, &result);
    if (e == OK && cli_given(c, "sort")) {
        e = sorted(c, result, &ordered);
        if (e == OK) result = json_root(ordered);
    }
    if (e == OK && c->json)
        cli_print_json(result);
    else if (e == OK)
        show(c, result);
    json_free(ordered);
    json_free(answer);
    return cli_exit(c, e);
}
