#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "ops/cli.h"

APPLET(report)
const struct opt report_opts[] = {{0, "since", "D", "31d", "figures from then on (a time, or so long ago)"},
                                  {0}};
const char report_text[] =
    "Usage: silktalk report [--since D] [--json]\n"
    "Trends of the node's own figures: the last hour beside the mean of the last day, the last week and\n"
    "the whole time (the baseline), how much it changes in a day; and when a limit will be reached if\n"
    "it goes on so. Figures are kept by the hour for 31 days; a trend needs a day of them.\n"
    "Examples:\n"
    "  silktalk report\n"
    "  silktalk report --since 7d --json\n";

static void cell_value(const struct json *row, const char *key, bool sign, struct buf *out) {
    const struct json *v = json_get(row, key);
    struct bytes unit = json_get_bytes(row, "unit");
    char size[32];
    if (!json_is_number(v)) return;
    double x = json_real(v, 0);
    if (sign && x != 0) buf_add_text(out, x < 0 ? "-" : "+");
    if (sign) x = fabs(x);
    if (bytes_is(unit, "bytes")) {
        size_text((uint64_t)MAX(x, 0.0), size);
        buf_add_text(out, size);
    } else {
        const char *tail = bytes_is(unit, "percent") ? "%" : bytes_is(unit, "milliseconds") ? "ms" : "";
        buf_add_format(out, x == floor(x) || x >= 100 ? "%.0f%s" : "%.1f%s", x, tail);
    }
}
#define VALUE(name, key, sign)                                                                               \
    static void name(const struct json *row, struct buf *out) {                                              \
        cell_value(row, key, sign, out);                                                                     \
    }
CELL(figure, text, "figure")
CELL(limit, text, "limit")
VALUE(last, "last", false)
VALUE(day, "day", false)
VALUE(week, "week", false)
VALUE(all, "all", false)
VALUE(highest, "highest", false)
VALUE(change, "change_per_day", true)
VALUE(used, "used", false)
VALUE(most, "max", false)

static void reached(const struct json *row, struct buf *out) {
    const struct json *s = json_get(row, "reached_in_seconds");
    char text[32];
    if (!json_is_number(s)) {
        buf_add_text(out, json_is_number(json_get(row, "change_per_day")) ? "not at this rate"
                                                                          : "too few figures");
        return;
    }
    duration_text((int64_t)json_real(s, 0) * 1000, text);
    buf_add_format(out, json_real(s, 0) > 0 ? "in %s" : "now", text);
}

static void show(struct cli *c, const struct json *r) {
    static const struct cli_column columns[] = {
        {"FIGURE", false, figure}, {"LAST-HOUR", true, last},  {"DAY", true, day},       {"WEEK", true, week},
        {"ALL", true, all},        {"HIGHEST", true, highest}, {"PER-DAY", true, change}};
    static const struct cli_column capacity[] = {{"LIMIT", false, limit},
                                                 {"USED", true, used},
                                                 {"MAX", true, most},
                                                 {"PER-DAY", true, change},
                                                 {"REACHED", false, reached}};
    struct buf since = {.max = 128};
    long long hours = (long long)json_get_int(r, "hours", 0);
    if (hours == 0) {
        puts("There are no figures of that time: the first come a minute after the start.");
        return;
    }
    cli_time(json_get(r, "since"), &since);
    printf("Since      %s, %lld hours with figures\n\n", buf_cstr(&since), hours);
    buf_free(&since);
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
    putchar('\n');
    cli_table(c, capacity, LEN(capacity), json_get(r, "capacity"));
}

int report_main(struct cli *c) {
    struct buf params;
    struct wall since;
    char at[32];
    if (c->n_args > 0) return cli_usage(c, "report takes no words");
    enum err e = cli_moment(c, "since", &since);
    if (e != OK) return cli_exit(c, e);
    struct json_out o = cli_params(&params);
    wall_text(since, at);
    if (since.ms > 0) json_put_str(&o, "since", at);
    return cli_verb(c, "report", &params, &o, show);
}
