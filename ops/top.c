#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "loop/clocks.h"
#include "ops/cli.h"

APPLET(top)
const struct opt top_opts[] = {{0, "interval", "S", "2s", "time between two looks"},
                               {'n', "number", "N", NULL, "stop after N looks"},
                               {0}};
const char top_text[] =
    "Usage: silktalk top [--interval S] [-n N] [--json]\n"
    "The node live: peers, rates, latency, queues; connections with the most traffic first. On a\n"
    "terminal q ends it; else it prints a line at each look.\n"
    "Examples:\n"
    "  silktalk top\n"
    "  silktalk top --interval 10s -n 6 >rates.txt\n";

enum { HEAD_LINES = 7, ROWS_PLAIN = 25 };

static volatile sig_atomic_t ended;
static void on_signal(int number) {
    (void)number;
    ended = 1;
}
static bool has_ended(void) {
    return ended != 0;
}

/* ---- one look, and what it says beside the one before */

struct row {
    int64_t id, in, out;
    double in_rate, out_rate;
    const struct json *json; /* of the present look */
};
struct look {
    struct json_doc *doc;
    const struct json *result;
    struct row *rows;
    size_t n;
};
struct rates { /* per second; negative: this is the first look */
    double in, out, messages_in, messages_out;
};

static int by_id(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_rate(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    double l = x->in_rate + x->out_rate, r = y->in_rate + y->out_rate;
    return l != r ? (l < r) - (l > r) : by_id(a, b);
}

static void look_free(struct look *l) {
    mem_free(l->rows);
    json_free(l->doc);
    *l = (struct look){0};
}

static enum err look_take(struct cli *c, struct look *l) {
    struct buf params;
    const struct json *item;
    struct json_out o = cli_params(&params);
    enum err e = cli_ask(c, "top", &params, &o, c->timeout_ms, &l->doc, &l->result);
    if (e != OK) return e;
    const struct json *items = json_get(l->result, "items");
    l->rows = NEW_ARRAY(struct row, json_count(items) + 1);
    if (l->rows == NULL) return fail(&c->why, E_MEMORY, "out of memory");
    for (size_t i = 0; json_item(items, &i, &item);)
        l->rows[l->n++] = (struct row){.id = json_get_int(item, "connection", 0),
                                       .in = json_get_int(item, "bytes_in", 0),
                                       .out = json_get_int(item, "bytes_out", 0),
                                       .json = item};
    qsort(l->rows, l->n, sizeof *l->rows, by_id);
    return OK;
}

static double rate(const struct look *now, const struct look *then, const char *key, double seconds) {
    int64_t grown = json_get_int(now->result, key, 0) - json_get_int(then->result, key, 0);
    return MAX((double)grown, 0.0) / seconds;
}

/* A node that was restarted in between counts from nothing: that is a first look again. */
static struct rates compare(struct look *now, const struct look *then) {
    struct rates r = {-1, -1, -1, -1};
    double seconds = (double)(json_get_int(now->result, "uptime_us", 0) -
                              json_get_int(then->result, "uptime_us", INT64_MAX)) /
                     1000000;
    if (then->doc == NULL || seconds < 0.001) return r;
    for (size_t i = 0; i < now->n; i++) {
        struct row *row = &now->rows[i];
        const struct row *was = bsearch(row, then->rows, then->n, sizeof *row, by_id);
        row->in_rate = (double)(row->in - (was == NULL ? 0 : was->in)) / seconds;
        row->out_rate = (double)(row->out - (was == NULL ? 0 : was->out)) / seconds;
    }
    r.in = rate(now, then, "bytes_in", seconds);
    r.out = rate(now, then, "bytes_out", seconds);
    r.messages_in = rate(now, then, "messages_in", seconds);
    r.messages_out = rate(now, then, "messages_out", seconds);
    return r;
}

/* ---- output */

static long long number(const struct look *l, const char *key) {
    return (long long)json_get_int(l->result, key, 0);
}

static const char *size_rate(double v, char out[32]) {
    if (v < 0) return "-";
    size_text((uint64_t)v, out);
    return out;
}

static const char *plain_rate(double v, char out[32]) {
    if (v < 0) return "-";
    snprintf(out, 32, v < 10 ? "%.1f" : "%.0f", v);
    return out;
}

static const char *milliseconds(const struct json *v, char out[32]) {
    if (!json_is_number(v)) return "-";
    double ms = json_real(v, 0) * 1000;
    snprintf(out, 32, ms < 10 ? "%.1fms" : "%.0fms", ms);
    return out;
}

static void put_rate(struct json_out *o, const char *key, double v) {
    if (v < 0)
        json_put_null(o, key);
    else
        json_put_real(o, key, v);
}

static void show_json(const struct look *l, const struct rates *r) {
    static const char *const kept[] = {
        "time",          "name",   "state",         "peers",  "connections",         "connections_max",
        "streams",       "outbox", "store_waiting", "failed", "latency_p95_seconds", "node_cpu_percent",
        "resident_bytes"};
    struct buf line = {.max = 16 << 20};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.top/1");
    for (size_t i = 0; i < LEN(kept); i++) json_put_value(&o, kept[i], json_get(l->result, kept[i]));
    put_rate(&o, "bytes_in_per_second", r->in);
    put_rate(&o, "bytes_out_per_second", r->out);
    put_rate(&o, "messages_in_per_second", r->messages_in);
    put_rate(&o, "messages_out_per_second", r->messages_out);
    json_put_value(&o, "items", json_get(l->result, "items"));
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&line);
}

static void show_line(const struct look *l, const struct rates *r) {
    char a[32], b[32], m[32], k[32], p[32], memory[32];
    struct bytes time = bytes_sub(json_get_bytes(l->result, "time"), 0, 19);
    size_text((uint64_t)number(l, "resident_bytes"), memory);
    printf("%.*sZ peers %lld connections %lld in %s/s out %s/s messages in %s/s out %s/s outbox %lld p95 %s "
           "cpu %.1f%% memory %s\n",
           (int)time.n, (const char *)time.p, number(l, "peers"), number(l, "connections"),
           size_rate(r->in, a), size_rate(r->out, b), plain_rate(r->messages_in, m),
           plain_rate(r->messages_out, k), number(l, "outbox"),
           milliseconds(json_get(l->result, "latency_p95_seconds"), p),
           json_real(json_get(l->result, "node_cpu_percent"), 0), memory);
}

static void show_row(const struct row *row, size_t width) {
    struct buf who = {.max = 256};
    char a[32], b[32], rtt[32];
    if (json_is_text(json_get(row->json, "name")))
        cell_text(row->json, "name", &who);
    else
        cell_id(row->json, "peer_id", &who);
    size_t shown = MIN(text_width(buf_view(&who)), (size_t)24);
    struct bytes dir = json_get_bytes(row->json, "direction");
    printf("\r\n%.*s%*s %-4.*s %8s %7lld %12s %12s %7lld", (int)who.n, (const char *)who.p, (int)(24 - shown),
           "", (int)dir.n, (const char *)dir.p, milliseconds(json_get(row->json, "rtt_seconds"), rtt),
           (long long)json_get_int(row->json, "streams", 0), size_rate(row->in_rate, a),
           size_rate(row->out_rate, b), (long long)json_get_int(row->json, "queued", 0));
    (void)width;
    buf_free(&who);
}

static void show_screen(const struct cli *c, struct look *l, const struct rates *r) {
    struct winsize size = {0};
    char up[32], a[32], b[32], m[32], k[32], p[32], memory[32];
    struct buf name = {.max = 256};
    size_t rows = ROWS_PLAIN;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > HEAD_LINES)
        rows = size.ws_row - HEAD_LINES;
    duration_text((int64_t)number(l, "uptime_us") / 1000, up);
    size_text((uint64_t)number(l, "resident_bytes"), memory);
    cli_safe(json_get_bytes(l->result, "name"), false, &name);
    struct bytes state = json_get_bytes(l->result, "state");
    printf("\033[H\033[2J%s  %.*s  up %s  cpu %.1f%%  memory %s  (q ends)", buf_cstr(&name), (int)state.n,
           (const char *)state.p, up, json_real(json_get(l->result, "node_cpu_percent"), 0), memory);
    printf("\r\nPeers      %lld, %lld connections of %lld, %lld streams", number(l, "peers"),
           number(l, "connections"), number(l, "connections_max"), number(l, "streams"));
    printf("\r\nTraffic    in %s/s  out %s/s", size_rate(r->in, a), size_rate(r->out, b));
    printf("\r\nMessages   in %s/s  out %s/s  latency p95 %s  failed %lld", plain_rate(r->messages_in, m),
           plain_rate(r->messages_out, k), milliseconds(json_get(l->result, "latency_p95_seconds"), p),
           number(l, "failed"));
    printf("\r\nQueues     outbox %lld  store %lld\r\n", number(l, "outbox"), number(l, "store_waiting"));
    printf("\r\n%s%-24s %-4s %8s %7s %12s %12s %7s%s", c->colour_out ? "\033[1m" : "", "PEER", "DIR", "RTT",
           "STREAMS", "IN/S", "OUT/S", "QUEUED", c->colour_out ? "\033[0m" : "");
    qsort(l->rows, l->n, sizeof *l->rows, by_rate);
    for (size_t i = 0; i < l->n && i + 1 < rows; i++) show_row(&l->rows[i], size.ws_col);
    qsort(l->rows, l->n, sizeof *l->rows, by_id);
    buf_free(&name);
}

/* ---- the terminal: single keys, a screen of its own; put back whatever ends it */

static struct termios before;
static void screen_begin(void) {
    struct termios raw = before;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\033[?1049h\033[?25l", stdout);
}
static void screen_end(void) {
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

static void wait_for(int64_t ms, bool keys) {
    struct mono until = mono_add_ms(clocks_mono(), ms);
    for (int64_t left = ms; left > 0 && !ended; left = mono_diff_ms(until, clocks_mono())) {
        struct pollfd p = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
        char key = 0;
        if (poll(&p, 1, (int)MIN(left, (int64_t)60000)) <= 0 || p.revents == 0) continue;
        if (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q') ended = 1;
        if (key == ' ' || key == '\n') return;
    }
}

static enum err watch(struct cli *c, bool screen, int64_t interval, int64_t most) {
    struct look now = {0}, then = {0};
    enum err e = OK;
    for (int64_t i = 0; e == OK && !ended && (most == 0 || i < most); i++) {
        if (i > 0) wait_for(interval, screen);
        if (ended) break;
        e = look_take(c, &now);
        if (e != OK) break;
        struct rates r = compare(&now, &then);
        if (screen)
            show_screen(c, &now, &r);
        else if (c->json)
            show_json(&now, &r);
        else
            show_line(&now, &r);
        if (fflush(stdout) != 0) break; /* nobody reads any more */
        look_free(&then);
        then = now;
        now = (struct look){0};
    }
    look_free(&now);
    look_free(&then);
    return ended ? OK : e;
}

int top_main(struct cli *c) {
    int64_t interval, most;
    struct sigaction a = {.sa_handler = on_signal};
    if (c->n_args > 0) return cli_usage(c, "top takes no words");
    enum err e = cli_duration(c, "interval", 2000, &interval);
    if (e == OK) e = cli_number(c, "number", 0, 1, INT32_MAX, &most);
    if (e == OK && interval < 100) e = fail(&c->why, E_USAGE, "--interval is at least 100ms");
    if (e != OK) return cli_exit(c, e);
    bool screen = c->terminal_out && c->terminal_in && !c->json && tcgetattr(STDIN_FILENO, &before) == 0;
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
    c->stop = has_ended;
    if (screen) screen_begin();
    e = watch(c, screen, interval, most);
    if (screen) screen_end();
    return cli_exit(c, e);
}
