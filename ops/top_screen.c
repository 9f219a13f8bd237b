/* The screen of `top`: composed as a whole for the terminal's size, so that nothing wraps or flickers. */
#include "ops/top.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

enum {
    WIDE = 72, /* columns from which each kind of number has a line of its own */
    TINY = 32, /* below, the numbers flow */
    NAME_WIDTH = 24,
    TABLE_LEAST = 9 /* lines from which there is room for connections and a foot */
};

long long top_number(const struct top_look *l, const char *key) {
    return (long long)json_get_int(l->result, key, 0);
}

const char *top_bytes(double v, char out[32]) {
    if (v < 0) return "-";
    size_text((uint64_t)v, out);
    return out;
}

const char *top_count(double v, char out[32]) {
    if (v < 0) return "-";
    snprintf(out, 32, v < 10 ? "%.1f" : "%.0f", v);
    return out;
}

const char *top_ms(const struct json *seconds, char out[32]) {
    if (!json_is_number(seconds)) return "-";
    double ms = json_real(seconds, 0) * 1000;
    snprintf(out, 32, ms < 10 ? "%.1fms" : "%.0fms", ms);
    return out;
}

/* ---- lines */

struct canvas {
    struct buf *out;
    const struct top_view *view;
    size_t lines;
};

/* The next line, cut to the screen. `sgr`: how it looks, where there are colours. */
static void put(struct canvas *c, const char *sgr, struct bytes text) {
    bool styled = sgr != NULL && c->view->colour;
    if (c->lines == c->view->height) return;
    buf_add_text(c->out, c->lines++ > 0 ? "\r\n\033[2K" : "\033[2K");
    if (styled) buf_add_format(c->out, "\033[%sm", sgr);
    buf_add(c->out, bytes_sub(text, 0, text_fit(text, c->view->width)));
    if (styled) buf_add_text(c->out, "\033[0m");
}

static void put_buf(struct canvas *c, const char *sgr, struct buf *line) {
    put(c, sgr, buf_view(line));
    buf_clear(line);
}

/* `text` in exactly `width` columns. */
static void pad(struct buf *line, struct bytes text, size_t width, bool right) {
    struct bytes part = bytes_sub(text, 0, text_fit(text, width));
    int rest = (int)(width - text_width(part));
    if (right) buf_add_format(line, "%*s", rest, "");
    buf_add(line, part);
    if (!right) buf_add_format(line, "%*s", rest, "");
}

/* ---- the node's own numbers */

enum part { PART_PEERS, PART_TRAFFIC, PART_MESSAGES, PART_LATENCY, PART_QUEUES, PART_HOST, PART_COUNT };

static void describe(const struct top_look *l, const struct top_rates *r, enum part part, bool wide,
                     struct buf *out) {
    char a[32], b[32];
    const struct json *p95 = json_get(l->result, "latency_p95_seconds");
    switch (part) {
    case PART_PEERS:
        buf_add_format(
            out, wide ? "Peers      %lld, %lld connections of %lld, %lld streams" : "peers %lld  open %lld",
            top_number(l, "peers"), top_number(l, "connections"), top_number(l, "connections_max"),
            top_number(l, "streams"));
        break;
    case PART_TRAFFIC:
        buf_add_format(out, wide ? "Traffic    in %s/s  out %s/s" : "in %s/s  out %s/s", top_bytes(r->in, a),
                       top_bytes(r->out, b));
        break;
    case PART_MESSAGES:
        buf_add_format(out, wide ? "Messages   in %s/s  out %s/s  " : "msgs in %s/s  msgs out %s/s",
                       top_count(r->messages_in, a), top_count(r->messages_out, b));
        break;
    case PART_LATENCY:
        buf_add_format(out, wide ? "latency p95 %s  failed %lld" : "p95 %s  failed %lld", top_ms(p95, a),
                       top_number(l, "failed"));
        break;
    case PART_QUEUES:
        buf_add_format(out, wide ? "Queues     outbox %lld  store %lld" : "outbox %lld  store %lld",
                       top_number(l, "outbox"), top_number(l, "store_waiting"));
        break;
    case PART_HOST:
        duration_text(top_number(l, "uptime_us") / 1000, a);
        size_text((uint64_t)top_number(l, "resident_bytes"), b);
        buf_add_format(out, "up %s  cpu %.1f%%  memory %s", a,
                       json_real(json_get(l->result, "node_cpu_percent"), 0), b);
        break;
    case PART_COUNT: break;
    }
}

static const char *colour_of(struct bytes state) {
    if (bytes_is(state, "healthy")) return "1;32";
    return bytes_is(state, "unhealthy") ? "1;31" : "1;33";
}

static void put_title(struct canvas *c, const struct top_look *l, const struct top_rates *r) {
    struct buf line = {.max = 1024};
    struct bytes state = json_get_bytes(l->result, "state");
    if (c->view->lost != NULL) {
        cli_safe(bytes_of(c->view->lost), false, &line);
        put_buf(c, "1;31", &line);
        buf_free(&line);
        return;
    }
    if (c->view->width < WIDE) { /* a long name does not push the state out */
        buf_add(&line, state);
        buf_add_text(&line, "  ");
        cli_safe(json_get_bytes(l->result, "name"), false, &line);
    } else {
        struct bytes name = json_get_bytes(l->result, "name");
        cli_safe(bytes_sub(name, 0, text_fit(name, MAX(c->view->width / 4, (size_t)NAME_WIDTH))), false,
                 &line);
        buf_add_text(&line, "  ");
        buf_add(&line, state);
        buf_add_text(&line, "  ");
        describe(l, r, PART_HOST, true, &line);
    }
    put_buf(c, colour_of(state), &line);
    buf_free(&line);
}

/* On a screen of a few columns: what two blanks part, as it fits. */
static void put_flowing(struct canvas *c, struct bytes text) {
    struct buf line = {.max = 1024};
    while (text.n > 0) {
        const uint8_t *gap = memmem(text.p, text.n, "  ", 2);
        struct bytes word = bytes_take(&text, gap == NULL ? text.n : (size_t)(gap - text.p));
        bytes_take(&text, 2);
        if (line.n > 0 && text_width(buf_view(&line)) + 2 + text_width(word) > c->view->width)
            put_buf(c, NULL, &line);
        if (line.n > 0) buf_add_text(&line, "  ");
        buf_add(&line, word);
    }
    put_buf(c, NULL, &line);
    buf_free(&line);
}

static void put_numbers(struct canvas *c, const struct top_look *l, const struct top_rates *r) {
    struct buf line = {.max = 2048};
    static const enum part tiny_order[PART_COUNT] = {PART_PEERS,  PART_TRAFFIC,  PART_LATENCY,
                                                     PART_QUEUES, PART_MESSAGES, PART_HOST};
    bool wide = c->view->width >= WIDE, tiny = c->view->width < TINY;
    for (size_t i = 0; i < PART_COUNT; i++) {
        enum part part = tiny ? tiny_order[i] : (enum part)i;
        if (part == PART_HOST && wide) break; /* in the title */
        describe(l, r, part, wide, &line);
        if (tiny) buf_add_text(&line, "  ");
        if (tiny || (part == PART_MESSAGES && wide)) continue; /* the latency on the same line */
        put_buf(c, NULL, &line);
    }
    if (tiny) put_flowing(c, buf_view(&line));
    buf_free(&line);
}

/* ---- connections: as many columns as there is room for */

enum column { COL_PEER, COL_DIR, COL_RTT, COL_STREAMS, COL_IN, COL_OUT, COL_QUEUED, COL_PROGRAM, COL_COUNT };
static const struct {
    const char *title;
    size_t width;
    bool right;
} columns[COL_COUNT] = {[COL_PEER] = {"PEER", 15, false},   [COL_DIR] = {"DIR", 3, false},
                        [COL_RTT] = {"RTT", 7, true},       [COL_STREAMS] = {"STREAMS", 7, true},
                        [COL_IN] = {"IN/S", 9, true},       [COL_OUT] = {"OUT/S", 9, true},
                        [COL_QUEUED] = {"QUEUED", 6, true}, [COL_PROGRAM] = {"PROGRAM", 12, false}};
static const enum column wanted[COL_COUNT] = {COL_PEER,   COL_IN,      COL_OUT,    COL_RTT, COL_DIR,
                                              COL_QUEUED, COL_STREAMS, COL_PROGRAM}; /* first the best */

enum { ID_WIDTH = 52, PROGRAM_WIDTH = 120, GAP = 2 };

/* Widths of the columns; 0: there is no room for it. What is left goes to the peer, then to its program. */
static void lay_out(size_t width, size_t widths[COL_COUNT]) {
    memset(widths, 0, COL_COUNT * sizeof *widths);
    size_t left = width + GAP;
    for (size_t i = 0; i < COL_COUNT; i++) {
        enum column k = wanted[i];
        if (columns[k].width + GAP > left) {
            if (i == 0) widths[k] = width;
            return;
        }
        widths[k] = columns[k].width;
        left -= widths[k] + GAP;
    }
    size_t more = MIN(left, ID_WIDTH - widths[COL_PEER]);
    widths[COL_PEER] += more;
    widths[COL_PROGRAM] += MIN(left - more, PROGRAM_WIDTH - widths[COL_PROGRAM]);
}

/* Text that the node has made safe already; made so again only where it has not. */
static void put_safe(struct bytes text, struct buf *out) {
    uint32_t code;
    for (size_t i = 0, n; i < text.n; i += n) {
        n = utf8_read(bytes_skip(text, i), &code);
        if (n == 0 || utf8_control(code)) {
            cli_safe(text, false, out);
            return;
        }
    }
    buf_add(out, text);
}

static void cell(const struct top_row *row, enum column k, size_t width, struct buf *out) {
    char text[32];
    switch (k) {
    case COL_PEER:
        if (json_get_bytes(row->json, "name").n > 0)
            cell_text(row->json, "name", out);
        else if (width >= ID_WIDTH)
            cell_text(row->json, "peer_id", out);
        else
            cell_id(row->json, "peer_id", out);
        break;
    case COL_DIR: cell_text(row->json, "direction", out); break;
    case COL_RTT: buf_add_text(out, top_ms(json_get(row->json, "rtt_seconds"), text)); break;
    case COL_STREAMS: cell_number(row->json, "streams", out); break;
    case COL_IN: buf_add_text(out, top_bytes(row->in_rate, text)); break;
    case COL_OUT: buf_add_text(out, top_bytes(row->out_rate, text)); break;
    case COL_QUEUED: cell_number(row->json, "queued", out); break;
    case COL_PROGRAM: put_safe(json_get_bytes(row->json, "agent"), out); break;
    case COL_COUNT: break;
    }
}

/* One line of the table; row NULL: its head. */
static void put_row(struct canvas *c, const size_t widths[COL_COUNT], const struct top_row *row) {
    struct buf line = {.max = 4096}, text = {.max = 1024};
    for (enum column k = 0; k < COL_COUNT; k++) {
        if (widths[k] == 0) continue;
        if (row == NULL)
            buf_add_text(&text, columns[k].title);
        else
            cell(row, k, widths[k], &text);
        if (line.n > 0) buf_add_format(&line, "%*s", GAP, "");
        pad(&line, buf_view(&text), widths[k], columns[k].right);
        buf_clear(&text);
    }
    put_buf(c, row == NULL ? "1" : NULL, &line);
    buf_free(&line);
    buf_free(&text);
}

static int compare_rows(const struct top_row *x, const struct top_row *y, enum top_order order) {
    double l = 0, r = 0;
    if (order == TOP_BY_NAME) {
        struct bytes a = json_get_bytes(x->json, "name"), b = json_get_bytes(y->json, "name");
        int known = (a.n == 0) - (b.n == 0), by_name = a.n > 0 ? bytes_compare(a, b) : 0;
        if (known != 0 || by_name != 0) return known != 0 ? known : by_name;
        return bytes_compare(json_get_bytes(x->json, "peer_id"), json_get_bytes(y->json, "peer_id"));
    }
    if (order == TOP_BY_RTT) {
        l = json_real(json_get(x->json, "rtt_seconds"), 0);
        r = json_real(json_get(y->json, "rtt_seconds"), 0);
    } else if (order == TOP_BY_QUEUED) {
        l = (double)json_get_int(x->json, "queued", 0);
        r = (double)json_get_int(y->json, "queued", 0);
    }
    if (l == r) {
        l = x->in_rate + x->out_rate;
        r = y->in_rate + y->out_rate;
    }
    return l != r ? (l < r) - (l > r) : (x->id > y->id) - (x->id < y->id);
}
#define COMPARE(symbol, name)                                                                                \
    static int by_##symbol(const void *a, const void *b) {                                                   \
        return compare_rows(a, b, TOP_BY_##symbol);                                                          \
    }
TOP_ORDERS(COMPARE)
#define ORDER_ROW(symbol, name) {name, by_##symbol},
static const struct {
    const char *name;
    int (*compare)(const void *a, const void *b);
} orders[] = {TOP_ORDERS(ORDER_ROW)};

static void put_table(struct canvas *c, const struct top_look *l, struct top_view *view) {
    struct buf foot = {.max = 256};
    size_t widths[COL_COUNT], room = view->height - c->lines - 2; /* its head and the foot */
    lay_out(view->width, widths);
    put_row(c, widths, NULL);
    view->first = MIN(view->first, l->n - MIN(l->n, room));
    size_t end = MIN(l->n, view->first + room);
    for (size_t i = view->first; i < end; i++) put_row(c, widths, &l->rows[i]);
    while (c->lines + 1 < view->height) put(c, NULL, BYTES(""));
    if (l->n == 0)
        buf_add_text(&foot, "no connections");
    else
        buf_add_format(&foot, "%zu-%zu of %zu by %s", view->first + 1, end, l->n, orders[view->order].name);
    buf_add_text(&foot, "   q end  o order  \xe2\x86\x91\xe2\x86\x93 scroll");
    put_buf(c, "2", &foot);
    buf_free(&foot);
}

void top_draw(struct top_look *l, const struct top_rates *r, struct top_view *view, struct buf *out) {
    struct canvas c = {.out = out, .view = view};
    qsort(l->rows, l->n, sizeof *l->rows, orders[view->order].compare);
    buf_add_text(out, "\033[H");
    put_title(&c, l, r);
    put_numbers(&c, l, r);
    if (view->height >= TABLE_LEAST && view->height > c.lines + 3) {
        put(&c, NULL, BYTES(""));
        put_table(&c, l, view);
    }
    if (c.lines < view->height) buf_add_text(out, "\r\n\033[J");
}
