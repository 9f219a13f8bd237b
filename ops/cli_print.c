/* Output for people: tables, ages, progress; and JSON for programs. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "loop/clocks.h"
#include "ops/cli.h"

enum { COLUMNS_MAX = 16 };

void cli_print_json(const struct json *result) {
    struct buf line = {.max = 64 << 20};
    if (json_print(result, &line)) {
        fwrite(line.p, 1, line.n, stdout);
        fputc('\n', stdout);
    }
    buf_free(&line);
}

void cli_safe(struct bytes text, bool newlines, struct buf *out) {
    text_escape(out, text, newlines);
}

void cli_age(const struct json *rfc3339, struct buf *out) {
    struct wall t;
    char text[32];
    if (!wall_parse(json_bytes(rfc3339), &t)) {
        buf_add_text(out, "never");
        return;
    }
    int64_t ago = clocks_now().wall.ms - t.ms;
    duration_text(ago < 0 ? -ago : ago, text);
    if (ago < 0)
        buf_add_format(out, "in %s", text);
    else
        buf_add_format(out, "%s ago", text);
}

void cli_time(const struct json *rfc3339, struct buf *out) {
    struct wall t;
    struct tm local;
    char text[32];
    if (wall_parse(json_bytes(rfc3339), &t)) {
        time_t seconds = (time_t)(t.ms / 1000);
        if (localtime_r(&seconds, &local) != NULL &&
            strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local) > 0) {
            buf_add_format(out, "%s (", text);
            cli_age(rfc3339, out);
            buf_add_text(out, ")");
            return;
        }
    }
    cli_age(rfc3339, out);
}

static void put_cell(const struct buf *cell, size_t width, bool right, bool last) {
    size_t have = text_width(buf_view(cell)), pad = width > have ? width - have : 0;
    if (right) printf("%*s", (int)pad, "");
    fwrite(cell->p, 1, cell->n, stdout);
    if (!right && !last) printf("%*s", (int)pad, "");
    if (!last) fputs("  ", stdout);
}

void cli_table(const struct cli *c, const struct cli_column *columns, size_t n, const struct json *items) {
    size_t rows = json_count(items), widths[COLUMNS_MAX] = {0};
    if (n > COLUMNS_MAX) return;
    struct buf *cells = NEW_ARRAY(struct buf, rows * n + 1);
    if (cells == NULL) return;
    for (size_t k = 0; k < n; k++) widths[k] = strlen(columns[k].title);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < n; k++) {
            struct buf *cell = &cells[i * n + k];
            cell->max = 4096;
            columns[k].text(json_at(items, i), cell);
            if (cell->n == 0) buf_add_text(cell, "-");
            widths[k] = MAX(widths[k], text_width(buf_view(cell)));
        }
    if (c->colour_out) fputs("\033[1m", stdout);
    for (size_t k = 0; k < n; k++) {
        struct buf title = {(uint8_t *)(uintptr_t)columns[k].title, strlen(columns[k].title), 0, 0};
        put_cell(&title, widths[k], columns[k].right, k + 1 == n);
    }
    fputs(c->colour_out ? "\033[0m\n" : "\n", stdout);
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < n; k++) {
            put_cell(&cells[i * n + k], widths[k], columns[k].right, k + 1 == n);
            buf_free(&cells[i * n + k]);
        }
        fputc('\n', stdout);
    }
    mem_free(cells);
}

void cell_text(const struct json *row, const char *key, struct buf *out) {
    cli_safe(json_get_bytes(row, key), false, out);
}

void cell_id(const struct json *row, const char *key, struct buf *out) {
    struct bytes id = json_get_bytes(row, key);
    if (id.n == 52 && bytes_starts(id, "12D3")) { /* the front of every such Peer ID is alike */
        buf_add(out, bytes_sub(id, 0, 8));
        buf_add_text(out, "\xe2\x80\xa6");
        buf_add(out, bytes_skip(id, 46));
    } else {
        cli_safe(id, false, out);
    }
}

void cell_size(const struct json *row, const char *key, struct buf *out) {
    char text[32];
    size_text((uint64_t)json_get_int(row, key, 0), text);
    buf_add_text(out, text);
}

void cell_number(const struct json *row, const char *key, struct buf *out) {
    buf_add_format(out, "%lld", (long long)json_get_int(row, key, 0));
}

void cell_age(const struct json *row, const char *key, struct buf *out) {
    cli_age(json_get(row, key), out);
}

/* ---- progress */

void cli_progress(const struct cli *c, struct cli_progress *p, uint64_t done) {
    struct mono now = clocks_mono();
    char have[32], all[32], rate[32], left[32] = "";
    if (p->began.us == 0) p->began = now;
    if (!c->terminal_err || c->quiet || mono_diff_ms(now, p->began) < 1000 ||
        mono_diff_ms(now, p->shown) < 200)
        return;
    p->shown = now;
    int64_t ms = MAX(mono_diff_ms(now, p->began), (int64_t)1);
    uint64_t per_second = done * 1000 / (uint64_t)ms;
    size_text(done, have);
    size_text(p->total, all);
    size_text(per_second, rate);
    if (per_second > 0 && p->total > done)
        duration_text((int64_t)((p->total - done) * 1000 / per_second), left);
    if (p->total > 0)
        fprintf(stderr, "\r\033[K%s %s of %s  %llu%%  %s/s  %s left", p->what, have, all,
                (unsigned long long)(done * 100 / p->total), rate, left);
    else
        fprintf(stderr, "\r\033[K%s %s", p->what, have);
    fflush(stderr);
}

void cli_progress_end(const struct cli *c, struct cli_progress *p) {
    if (c->terminal_err && p->shown.us != 0) fprintf(stderr, "\r\033[K");
    p->shown = MONO_NEVER;
}
