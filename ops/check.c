#include <stdio.h>

#include "base/text.h"
#include "gen/version.h"
#include "loop/clocks.h"
#include "ops/check_items.h"
#include "ops/health_ask.h"

enum { ITEMS_MAX = 8, RESULT_MAX = 60 << 10, NOTE_MAX = 500 };

APPLET(check)
const struct opt check_opts[] = {
    {0, "markdown", NULL, NULL, "print a report in Markdown"},
    {0, "report", "FILE", NULL, "write it to FILE too (Markdown; JSON with --json)"},
    {0, "ack", "ITEM", NULL, "M4: the documents were looked at; W5: the present figures are accepted"},
    {0, "note", "TEXT", NULL, "with --ack: by whom, and why"},
    {0}};
const char check_text[] =
    "Usage: silktalk check daily | weekly | monthly [--markdown] [--report FILE] [--ack ITEM --note TEXT] "
    "[--json]\n"
    "The operations manual's lists, each item looked at by machine: result, evidence and what to do.\n"
    "D3 and D4 look at the last 24 hours too, W2, W5 and M3 at weeks of the node's own figures (silktalk "
    "report).\n"
    "The last result of each list is kept by the node; `silktalk health -v` shows it, and when it is "
    "overdue.\n"
    "Exits as health does: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN or usage; items of later deliveries do "
    "not\n"
    "count.\n"
    "Examples:\n"
    "  silktalk check daily\n"
    "  silktalk check weekly --markdown --report /var/lib/silktalk-root/weekly.md\n"
    "  silktalk check monthly --ack M4 --note \"Ann read them\"\n";

struct run {
    struct check_context x;
    int period;
    const struct check_row *rows[ITEMS_MAX];
    struct check_result results[ITEMS_MAX];
    size_t n;
    enum health_status worst;
    struct buf acks; /* JSON object */
};

static const char *const levels[] = {"P0", "P1", "P2", "P3", NULL};
/* Respond, solve: minutes, by level (operations.md S8). */
static const int64_t minutes[][2] = {{15, 120}, {30, 240}, {120, 1440}, {1440, 10080}};

static int urgency(enum health_status s) {
    static const int order[] = {0, 2, 3, 1};
    return order[s];
}

static void put_numbers(const double numbers[CHECK_NUMBER_COUNT], struct json_out *o) {
#define PUT_NUMBER(key, words, figure, per, factor, least)                                                   \
    json_put_real(o, #key, numbers[CHECK_NUMBER_##key]);
    json_open(o, "numbers", '{');
    CHECK_NUMBERS(PUT_NUMBER)
    json_shut(o, '}');
}

/* The acknowledgements so far, with the new one in the place of an older of the same item. */
static bool make_acks(struct run *run, const char *ack, const char *note) {
    const struct json *old = json_get(run->x.last, "acks"), *v;
    struct bytes key;
    size_t i = 0;
    run->acks.max = RESULT_MAX;
    struct json_out o = json_begin(&run->acks);
    json_open(&o, NULL, '{');
    while (json_member(old, &i, &key, &v)) {
        if (ack != NULL && bytes_is(key, ack)) continue;
        json_key(&o, key);
        json_put_value(&o, NULL, v);
    }
    if (ack != NULL) {
        json_open(&o, ack, '{');
        json_put_wall(&o, "at", run->x.now);
        json_put_str(&o, "note", note);
        json_put_uint(&o, "hours", run->x.number_hours);
        put_numbers(run->x.numbers, &o);
        json_shut(&o, '}');
    }
    json_shut(&o, '}');
    return json_end(&o);
}

static void look(struct run *run) {
    for (const struct check_row *row = check_rows; row->id != NULL && run->n < ITEMS_MAX; row++) {
        if (row->period != run->period) continue;
        struct check_result *r = &run->results[run->n];
        *r = (struct check_result){.status = HEALTH_UNKNOWN, .level = HEALTH_NO_LEVEL, .judged = true};
        if (row->run != NULL) {
            row->run(&run->x, r);
        } else {
            r->judged = false;
            snprintf(r->finding, sizeof r->finding, "%s", row->later);
        }
        if (r->judged && urgency(r->status) > urgency(run->worst)) run->worst = r->status;
        run->rows[run->n++] = row;
    }
}

static void put_result(const struct run *run, struct json_out *o) {
    json_put_str(o, "period", check_periods[run->period]);
    json_put_wall(o, "at", run->x.now);
    json_put_str(o, "status", health_status_name(run->worst));
    json_put_str(o, "node", cfg(run->x.config, node_name).text);
    json_open(o, "items", '[');
    for (size_t i = 0; i < run->n; i++) {
        const struct check_result *r = &run->results[i];
        bool bad = r->judged && r->status != HEALTH_OK, timed = bad && r->level != HEALTH_NO_LEVEL;
        json_open(o, NULL, '{');
        json_put_str(o, "id", run->rows[i]->id);
        json_put_str(o, "level", levels[r->level]);
        json_put_str(o, "state", health_status_name(r->status));
        json_put_str(o, "item", run->rows[i]->item);
        json_put_str(o, "finding", r->finding);
        json_put_str(o, "evidence", r->evidence);
        json_put_str(o, "fix", bad ? r->fix : NULL);
        json_put_bool(o, "fixable", false);
        json_put_bool(o, "judged", r->judged);
        struct wall respond = {timed ? run->x.now.ms + minutes[r->level][0] * 60000 : 0},
                    solve = {timed ? run->x.now.ms + minutes[r->level][1] * 60000 : 0};
        json_put_wall(o, "respond_by", respond);
        json_put_wall(o, "solve_by", solve);
        json_shut(o, '}');
    }
    json_shut(o, ']');
    put_numbers(run->x.numbers, o);
    json_put_raw(o, "acks", buf_view(&run->acks));
}

static bool result_json(const struct run *run, struct buf *out) {
    struct json_out o = json_begin(out);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.check/1");
    put_result(run, &o);
    json_shut(&o, '}');
    return json_end(&o);
}

/* ---- showing */

CELL(cell_id_text, text, "id")
CELL(cell_level, text, "level")
CELL(cell_state, text, "state")
CELL(cell_item, text, "item")
CELL(cell_finding, text, "finding")
static const struct cli_column columns[] = {{"ID", false, cell_id_text},
                                            {"LEVEL", false, cell_level},
                                            {"STATE", false, cell_state},
                                            {"ITEM", false, cell_item},
                                            {"FINDING", false, cell_finding}};

static void markdown_cell(const char *text, struct buf *out) {
    for (; *text != 0; text++) {
        if (strchr("|\\`*_<>", *text) != NULL) buf_add_byte(out, '\\');
        buf_add_byte(out, (uint8_t)(*text == '\n' ? ' ' : *text));
    }
}

static void markdown(const struct run *run, struct buf *out) {
    char at[32];
    wall_text(run->x.now, at);
    buf_add_format(out, "# SilkTalk: %s check of ", check_periods[run->period]);
    markdown_cell(cfg(run->x.config, node_name).text, out);
    buf_add_format(
        out,
        "\n\n%s, version %s: **%s**\n\n| ID | Item | State | Level | Finding | Evidence | Advice |\n"
        "|---|---|---|---|---|---|---|\n",
        at, SILKTALK_VERSION, health_status_name(run->worst));
    for (size_t i = 0; i < run->n; i++) {
        const struct check_result *r = &run->results[i];
        bool bad = r->judged && r->status != HEALTH_OK;
        buf_add_format(out, "| %s | %s | %s | %s | ", run->rows[i]->id, run->rows[i]->item,
                       health_status_name(r->status), levels[r->level] == NULL ? "" : levels[r->level]);
        markdown_cell(r->finding, out);
        buf_add_text(out, " | ");
        markdown_cell(r->evidence, out);
        buf_add_text(out, " | ");
        markdown_cell(bad && r->fix != NULL ? r->fix : "", out);
        buf_add_text(out, " |\n");
    }
}

static void show(struct cli *c, const struct run *run, struct bytes json) {
    struct json_doc *doc = json_parse(json, NULL);
    if (doc == NULL) return;
    cli_table(c, columns, LEN(columns), json_get(json_root(doc), "items"));
    json_free(doc);
    for (size_t i = 0; i < run->n; i++) {
        const struct check_result *r = &run->results[i];
        bool bad = r->judged && r->status != HEALTH_OK;
        if (r->evidence[0] != 0 && (bad || c->verbose)) {
            struct buf safe = {.max = 4096}; /* logs and notes are others' text */
            cli_safe(bytes_of(r->evidence), false, &safe);
            printf("%s: %s\n", run->rows[i]->id, buf_cstr(&safe));
            buf_free(&safe);
        }
        if (bad && r->fix != NULL) printf("%s -> %s\n", run->rows[i]->id, r->fix);
    }
}

/* ---- asking and keeping */

static enum err last_result(struct cli *c, const char *period, struct bytes result, struct json_doc **doc,
                            const struct json **r) {
    struct buf params;
    struct json_out o = cli_params(&params);
    json_put_str(&o, "period", period);
    if (result.n > 0) json_put_raw(&o, "result", result);
    return cli_ask(c, "check.last", &params, &o, c->timeout_ms, doc, r);
}

static int finish(struct cli *c, struct run *run, bool runs) {
    static const int codes[] = {0, 1, 2, 3};
    struct buf json = {.max = RESULT_MAX}, text = {.max = RESULT_MAX};
    struct json_doc *doc = NULL;
    const struct json *r;
    const char *file = cli_value(c, "report");
    int code = codes[run->worst];
    bool made = result_json(run, &json);
    if (made && cli_given(c, "markdown")) markdown(run, &text);
    if (c->json)
        puts(buf_cstr(&json));
    else if (text.n > 0)
        fputs(buf_cstr(&text), stdout);
    else
        show(c, run, buf_view(&json));
    if (!made || !runs || last_result(c, check_periods[run->period], buf_view(&json), &doc, &r) != OK)
        cli_note(c, "silktalk check: the node does not answer, so this result is not kept.");
    json_free(doc);
    if (file != NULL) {
        if (text.n == 0 && !c->json) markdown(run, &text);
        if (c->json) buf_add_byte(&json, '\n');
        enum err e = file_replace(file, c->json ? buf_view(&json) : buf_view(&text), 0640, &c->why);
        if (e != OK) {
            cli_exit(c, e);
            code = 3;
        }
    }
    buf_free(&json);
    buf_free(&text);
    return code;
}

static int usage(struct cli *c, const char *text) {
    cli_usage(c, "%s", text);
    return 3;
}

static int run_check(struct cli *c, int period, const char *ack, const char *note) {
    struct run run = {.period = period, .x = {.cli = c, .now = clocks_now().wall}};
    struct health_answer health;
    struct json_doc *status = NULL, *last = NULL, *acks = NULL;
    struct config *defaults = NULL;
    const struct json *r = NULL;
    int64_t timeout = c->timeout_ms;
    if (health_ask(c, &health) != OK) {
        cli_exit(c, E_MEMORY);
        return 3;
    }
    c->timeout_ms = timeout;
    if (cli_config(c) != OK) home_config_text(&c->home, BYTES(""), false, &defaults, &c->why);
    run.x.config = defaults != NULL ? defaults : c->config;
    run.x.health = health.health;
    bool runs = health.from_node &&
                cli_call(c, "status", (struct bytes){NULL, 0}, timeout, &status, &run.x.status) == OK;
    if (runs && last_result(c, check_periods[period], (struct bytes){NULL, 0}, &last, &r) == OK)
        run.x.last = json_get(r, "result");
    check_measure(&run.x);
    int code = 3;
    if (ack != NULL && !runs) {
        cli_exit(c,
                 fail(&c->why, E_NOT_RUNNING, "the node keeps what is acknowledged, and it does not answer"));
    } else if (ack != NULL && strcmp(ack, "W5") == 0 && run.x.number_hours == 0) {
        cli_exit(c,
                 fail(&c->why, E_BUSY, "there are no figures yet: the first come a minute after the start"));
    } else if (run.x.config != NULL && make_acks(&run, ack, note)) {
        acks = json_parse(buf_view(&run.acks), NULL);
        run.x.acks = acks == NULL ? NULL : json_root(acks);
        look(&run);
        code = finish(c, &run, runs);
    }
    check_forget(&run.x);
    json_free(acks);
    json_free(last);
    json_free(status);
    buf_free(&run.acks);
    config_free(defaults);
    health_answer_free(&health);
    return code;
}

int check_main(struct cli *c) {
    const char *word = c->n_args == 1 ? c->args[0] : "", *ack = cli_value(c, "ack"),
               *note = cli_value(c, "note");
    int period = 0;
    while (period < CHECK_PERIODS && strcmp(word, check_periods[period]) != 0) period++;
    if (period == CHECK_PERIODS) return usage(c, "check needs daily, weekly or monthly");
    if ((ack == NULL) != (note == NULL)) return usage(c, "--ack and --note go together");
    if (ack != NULL) {
        const struct check_row *row = check_find(ack);
        if (row == NULL || (strcmp(ack, "W5") != 0 && strcmp(ack, "M4") != 0))
            return usage(c, "--ack takes W5 (with weekly) or M4 (with monthly)");
        if (row->period != period) return usage(c, "that item is of another list");
        if (!utf8_valid(bytes_of(note)) || strlen(note) > NOTE_MAX) return usage(c, "the note is too long");
    }
    return run_check(c, period, ack, note);
}
