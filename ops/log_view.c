#include "ops/log_view.h"

#include <stdio.h>
#include <strings.h>

#include "base/mem.h"

enum { SHOWN_MAX = 256 << 10 };

static bool is_wanted(struct log_view *v, const struct log_entry *e) {
    struct buf value = {.max = 1024};
    size_t n = v->event == NULL ? 0 : strlen(v->event);
    bool wanted = e->level >= v->level && (e->time.ms == 0 || e->time.ms >= v->since.ms) && e->event.n >= n &&
                  (n == 0 || strncasecmp((const char *)e->event.p, v->event, n) == 0);
    if (wanted && v->peer[0] != 0)
        wanted = log_entry_value(e, "peer", &value) && bytes_ends(buf_view(&value), v->peer);
    buf_free(&value);
    return wanted;
}

static void add_coloured(const struct log_view *v, const struct log_entry *e, struct buf *out) {
    struct buf text = {.max = SHOWN_MAX};
    size_t at = 0;
    log_entry_text(e, &text, &at);
    struct bytes shown = buf_view(&text), head = bytes_take(&shown, at),
                 level = bytes_take(&shown, bytes_index(shown, ' '));
    const char *colour = e->level == LEVEL_ERROR ? "\033[31m" : e->level == LEVEL_WARN ? "\033[33m" : "";
    bool colours = v->c->colour_out && colour[0] != 0;
    buf_add(out, head);
    if (colours) buf_add_text(out, colour);
    buf_add(out, level);
    if (colours) buf_add_text(out, "\033[0m");
    buf_add(out, shown);
    buf_free(&text);
}

/* What is no line of the log: a crash's last words, half a line. */
static void add_other(const struct log_view *v, struct bytes line, struct buf *out) {
    if (!v->c->json) {
        log_safe(line, out);
        return;
    }
    struct json_out o = json_begin(out);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.log/1");
    json_put_null(&o, "time");
    json_put_null(&o, "level");
    json_put_null(&o, "component");
    json_put_null(&o, "event");
    json_put(&o, "text", line);
    json_shut(&o, '}');
}

static bool print(const char *text) {
    return fputs(text, stdout) >= 0 && putchar('\n') != EOF;
}

static bool give(struct log_view *v, struct buf *out) {
    if (v->last == 0) return print(buf_cstr(out));
    char *text = mem_text(out->p, out->n);
    if (text == NULL) return false;
    if (v->n_kept < v->last) {
        v->kept[v->n_kept++] = text;
        return true;
    }
    mem_free(v->kept[v->oldest]);
    v->kept[v->oldest] = text;
    v->oldest = (v->oldest + 1) % v->last;
    return true;
}

bool log_view_line(struct log_view *v, struct bytes line, struct wall time) {
    struct buf out = {.max = SHOWN_MAX};
    struct log_entry e;
    bool good = true;
    v->seen++;
    if (v->last > 0 && v->kept == NULL && (v->kept = NEW_ARRAY(char *, v->last)) == NULL) return false;
    if (log_entry_read(line, &e)) {
        if (e.time.ms == 0) e.time = time;
        v->passed = is_wanted(v, &e);
        if (v->passed && v->c->json)
            log_entry_json(&e, &out);
        else if (v->passed)
            add_coloured(v, &e, &out);
        log_entry_free(&e);
    } else if (!v->filtered && (v->passed || v->since.ms == 0)) {
        add_other(v, line, &out);
    }
    if (out.n > 0) good = give(v, &out);
    buf_free(&out);
    return good;
}

bool log_view_show(struct log_view *v) {
    bool good = true;
    for (size_t i = 0; i < v->n_kept && good; i++) good = print(v->kept[(v->oldest + i) % v->last]);
    log_view_free(v);
    v->last = 0;
    return fflush(stdout) == 0 && good;
}

void log_view_free(struct log_view *v) {
    for (size_t i = 0; i < v->n_kept; i++) mem_free(v->kept[i]);
    mem_free(v->kept);
    v->kept = NULL;
    v->n_kept = v->oldest = 0;
}
