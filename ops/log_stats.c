#include <stdio.h>

#include "base/event.h"
#include "base/mem.h"
#include "ops/log_view.h"

CELL(level, text, "level")
CELL(event, text, "event")
CELL(number, number, "count")
static void at(const struct json *row, struct buf *out) {
    cell_text(row, "at", out);
}
static void peer(const struct json *row, struct buf *out) {
    cell_text(row, "peer", out);
}

/* ---- what the log leaves out at the present levels */

static enum log_level level_of(const struct json *levels, const char *component) {
    const struct json *row;
    enum log_level level = LEVEL_INFO;
    for (size_t i = 0; json_item(levels, &i, &row);)
        if (bytes_is(json_get_bytes(row, "component"), component))
            log_level_parse(json_get_bytes(row, "level"), &level);
    return level;
}

/* " INFO of net dns"; "" when all lines of that level are written. */
static void add_left_out(const struct json *levels, enum log_level of, struct buf *out) {
    size_t n = 0;
    struct buf parts = {.max = 1024};
    for (size_t i = 0; i < COMPONENT_COUNT; i++) {
        const char *name = log_component_name((enum log_component)i);
        if (level_of(levels, name) <= of) continue;
        n++;
        buf_add_format(&parts, " %s", name);
    }
    if (n > 0) {
        buf_add_text(out, out->n > 0 ? ", " : " ");
        for (const char *c = log_level_name(of); *c != 0; c++) buf_add_byte(out, (uint8_t)(*c - 'a' + 'A'));
        if (n < COMPONENT_COUNT) buf_add_format(out, " of%s", buf_cstr(&parts));
        buf_add_text(out, of == LEVEL_DEBUG ? " (not counted)" : " (counted here)");
    }
    buf_free(&parts);
}

static void left_out(const struct json *levels, struct buf *out) {
    for (int l = LEVEL_COUNT - 1; l >= 0; l--) add_left_out(levels, (enum log_level)l, out);
}

/* ---- */

static void show(struct cli *c, const char *by, const struct json *items, const struct json *levels) {
    static const struct cli_column
        of_time[] = {{"AT", false, at}, {"LEVEL", false, level}, {"COUNT", true, number}},
        of_peer[] = {{"PEER", false, peer}, {"LEVEL", false, level}, {"COUNT", true, number}},
        of_event[] = {{"LEVEL", false, level}, {"EVENT", false, event}, {"COUNT", true, number}};
    const struct cli_column *columns = strcmp(by, "event") == 0  ? of_event
                                       : strcmp(by, "peer") == 0 ? of_peer
                                                                 : of_time;
    struct buf out = {.max = 4096};
    cli_table(c, columns, LEN(of_event), items);
    left_out(levels, &out);
    printf("Left out of the log at the present level:%s\n", out.n > 0 ? buf_cstr(&out) : " nothing");
    buf_free(&out);
}

static void show_json(const struct json *items, const struct json *levels) {
    struct buf text = {.max = 16 << 20}, out = {.max = 4096};
    struct json_out o = json_begin(&text);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.log.stats/1");
    json_put_value(&o, "items", items);
    json_put_value(&o, "levels", levels);
    left_out(levels, &out);
    json_put(&o, "left_out", bytes_trim(buf_view(&out)));
    json_shut(&o, '}');
    if (json_end(&o)) puts(buf_cstr(&text));
    buf_free(&text);
    buf_free(&out);
}

int log_stats(struct cli *c) {
    struct buf params;
    struct json_doc *counts = NULL, *levels = NULL;
    const struct json *items = NULL, *rows = NULL;
    const char *by = cli_given(c, "by") ? cli_value(c, "by") : "event";
    struct wall since;
    char text[32];
    if (strcmp(by, "hour") != 0 && strcmp(by, "day") != 0 && strcmp(by, "peer") != 0 &&
        strcmp(by, "event") != 0)
        return cli_usage(c, "--by is hour, day, peer or event");
    enum err e = cli_moment(c, "since", &since);
    if (e != OK) return cli_exit(c, e);
    struct json_out o = cli_params(&params);
    json_put_str(&o, "by", by);
    wall_text(since, text);
    if (since.ms > 0) json_put_str(&o, "since", text);
    e = cli_ask(c, "log.stats", &params, &o, c->timeout_ms, &counts, &items);
    if (e == OK) {
        o = cli_params(&params);
        e = cli_ask(c, "log.level", &params, &o, c->timeout_ms, &levels, &rows);
    }
    if (e == OK && c->json)
        show_json(json_get(items, "items"), json_get(rows, "items"));
    else if (e == OK)
        show(c, by, json_get(items, "items"), json_get(rows, "items"));
    json_free(counts);
    json_free(levels);
    return cli_exit(c, e);
}
