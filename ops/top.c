#include <errno.h>
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
#include "ops/top.h"

APPLET(top)
const struct opt top_opts[] = {{0, "interval", "S", "2s", "time between two looks"},
                               {'n', "number", "N", NULL, "stop after N looks"},
                               {0}};
const char top_text[] =
    "Usage: silktalk top [--interval S] [-n N] [--json]\n"
    "The node live: peers, rates, latency, queues; connections with the most traffic first. On a\n"
    "terminal q ends it, o orders by something else, the arrows scroll, the space bar looks at once; a\n"
    "node that stops is waited for. Elsewhere it prints a line at each look, and ends with the node.\n"
    "Examples:\n"
    "  silktalk top\n"
    "  silktalk top --interval 10s -n 6 >rates.txt\n";

static volatile sig_atomic_t ended, resized, suspended;
static bool hurried; /* the next look at once */
static void on_signal(int number) {
    if (number == SIGWINCH || number == SIGCONT)
        resized = 1;
    else if (number == SIGTSTP)
        suspended = 1;
    else
        ended = 1;
}

/* ---- one look, and what it says beside the one before */

static int by_id(const void *a, const void *b) {
    const struct top_row *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static void look_free(struct top_look *l) {
    mem_free(l->rows);
    json_free(l->doc);
    *l = (struct top_look){0};
}

static enum err look_take(struct cli *c, struct top_look *l) {
    struct buf params;
    const struct json *item;
    struct json_out o = cli_params(&params);
    enum err e = cli_ask(c, "top", &params, &o, c->timeout_ms, &l->doc, &l->result);
    if (e != OK) return e;
    const struct json *items = json_get(l->result, "items");
    l->rows = NEW_ARRAY(struct top_row, json_count(items) + 1);
    if (l->rows == NULL) return fail(&c->why, E_MEMORY, "out of memory");
    for (size_t i = 0; json_item(items, &i, &item);)
        l->rows[l->n++] = (struct top_row){.id = json_get_int(item, "connection", 0),
                                           .in = json_get_int(item, "bytes_in", 0),
                                           .out = json_get_int(item, "bytes_out", 0),
                                           .json = item};
    qsort(l->rows, l->n, sizeof *l->rows, by_id);
    return OK;
}

static double rate(const struct top_look *now, const struct top_look *then, const char *key, double seconds) {
    int64_t grown = json_get_int(now->result, key, 0) - json_get_int(then->result, key, 0);
    return MAX((double)grown, 0.0) / seconds;
}

/* A node that was restarted in between counts from nothing: that is a first look again. */
static struct top_rates compare(struct top_look *now, const struct top_look *then) {
    struct top_rates r = {-1, -1, -1, -1};
    double seconds = (double)(json_get_int(now->result, "uptime_us", 0) -
                              json_get_int(then->result, "uptime_us", INT64_MAX)) /
                     1000000;
    if (then->doc == NULL || seconds < 0.001) return r;
    for (size_t i = 0; i < now->n; i++) {
        struct top_row *row = &now->rows[i];
        const struct top_row *was = bsearch(row, then->rows, then->n, sizeof *row, by_id);
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

static void put_rate(struct json_out *o, const char *key, double v) {
    if (v < 0)
        json_put_null(o, key);
    else
        json_put_real(o, key, v);
}

static void show_json(const struct top_look *l, const struct top_rates *r) {
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

static void show_line(const struct top_look *l, const struct top_rates *r) {
    char a[32], b[32], m[32], k[32], p[32], memory[32];
    struct bytes time = bytes_sub(json_get_bytes(l->result, "time"), 0, 19);
    size_text((uint64_t)top_number(l, "resident_bytes"), memory);
    printf("%.*sZ peers %lld connections %lld in %s/s out %s/s messages in %s/s out %s/s outbox %lld p95 %s "
           "cpu %.1f%% memory %s\n",
           (int)time.n, (const char *)time.p, top_number(l, "peers"), top_number(l, "connections"),
           top_bytes(r->in, a), top_bytes(r->out, b), top_count(r->messages_in, m),
           top_count(r->messages_out, k), top_number(l, "outbox"),
           top_ms(json_get(l->result, "latency_p95_seconds"), p),
           json_real(json_get(l->result, "node_cpu_percent"), 0), memory);
}

/* ---- the terminal: single keys, a screen of its own, no wrapping; put back whatever ends it */

static struct termios before;
static struct top_view view;
static bool on_screen;

static void screen_begin(void) {
    struct termios raw = before;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs("\033[?1049h\033[?25l\033[?7l\033[2J", stdout);
    on_screen = true;
}
static void screen_end(void) {
    fputs("\033[?7h\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    on_screen = false;
}

static void screen_size(void) {
    struct winsize size = {0};
    view.width = 80;
    view.height = 24;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return;
    if (size.ws_col > 0) view.width = size.ws_col;
    if (size.ws_row > 0) view.height = size.ws_row;
}

/* What has been typed. Nothing there, or the terminal gone: the end. True: the screen has changed. */
static bool typed(void) {
    char keys[64];
    ssize_t n = read(STDIN_FILENO, keys, sizeof keys);
    size_t page = view.height > 10 ? view.height - 10 : 1, line = 1;
    if (n <= 0) {
        ended = n == 0 || errno != EINTR;
        return false;
    }
    for (ssize_t i = 0; i < n; i++) {
        bool escape = keys[i] == 27 && i + 2 < n && (keys[i + 1] == '[' || keys[i + 1] == 'O');
        char key = escape ? keys[i += 2] : keys[i];
        size_t by = escape && (key == '5' || key == '6') ? page : line;
        if (escape && key >= '0' && key <= '9' && i + 1 < n && keys[i + 1] == '~') i++;
        if (!escape && (key == 'q' || key == 'Q')) ended = 1;
        if (!escape && (key == 'o' || key == 'O')) view.order = (view.order + 1) % TOP_ORDER_COUNT;
        if (!escape && (key == ' ' || key == '\n' || key == '\r')) hurried = true;
        if (escape ? key == 'B' || key == '6' : key == 'j') view.first += by;
        if (escape ? key == 'A' || key == '5' : key == 'k') view.first -= MIN(view.first, by);
        if (escape && key == 'H') view.first = 0;
    }
    return true;
}

/* Asked while the node's answer is waited for: a node that is stopped does not keep anybody here. */
static bool has_ended(void) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (on_screen && ended == 0 && poll(&p, 1, 0) > 0) typed();
    return ended != 0;
}

static void suspend(void) {
    screen_end();
    suspended = 0;
    raise(SIGSTOP);
    tcgetattr(STDIN_FILENO, &before); /* the shell may have changed it */
    screen_begin();
}

/* Until `until`: true; or sooner, when there is another picture to be drawn: false. */
static bool wait_until(struct mono until) {
    while (!ended) {
        int64_t left = mono_diff_ms(until, clocks_mono());
        struct pollfd p = {.fd = on_screen ? STDIN_FILENO : -1, .events = POLLIN};
        if (suspended && on_screen) suspend();
        if (resized) return false;
        if (hurried) break;
        if (left <= 0) return true;
        if (poll(&p, 1, (int)MIN(left, (int64_t)1000)) > 0 && typed()) return false;
    }
    return true;
}

static bool draw(const struct cli *c, struct top_look *l, const struct top_rates *r) {
    struct buf out = {.max = 1 << 20};
    resized = 0;
    screen_size();
    view.colour = c->colour_out;
    top_draw(l, r, &view, &out);
    fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
    qsort(l->rows, l->n, sizeof *l->rows, by_id);
    return fflush(stdout) == 0;
}

static bool show(const struct cli *c, const struct top_look *l, const struct top_rates *r) {
    if (c->json)
        show_json(l, r);
    else
        show_line(l, r);
    return fflush(stdout) == 0; /* else nobody reads any more */
}

/* A node that is lost is waited for on a screen; who reads lines is told. */
static enum err watch(struct cli *c, bool screen, int64_t interval, int64_t most) {
    struct top_look now = {0}, then = {0};
    struct top_rates r = {-1, -1, -1, -1};
    enum err e = OK;
    bool good = true;
    for (int64_t i = 0; good && !ended && (most == 0 || i < most); i++) {
        struct top_look next = {0};
        struct mono until = mono_add_ms(clocks_mono(), interval);
        hurried = false;
        e = look_take(c, &next);
        if (ended || (e != OK && (!screen || now.doc == NULL))) break;
        view.lost = e == OK ? NULL : c->why.text;
        if (e == OK) {
            look_free(&then);
            then = now;
            now = next;
            r = compare(&now, &then);
        }
        good = screen ? draw(c, &now, &r) : show(c, &now, &r);
        if (most > 0 && i + 1 == most) break;
        while (good && !wait_until(until)) good = !screen || draw(c, &now, &r);
    }
    look_free(&now);
    look_free(&then);
    return ended ? OK : e;
}

static bool has_screen(const struct cli *c) {
    const char *terminal = getenv("TERM");
    return c->terminal_out && c->terminal_in && !c->json && terminal != NULL && terminal[0] != 0 &&
           strcmp(terminal, "dumb") != 0 && tcgetattr(STDIN_FILENO, &before) == 0;
}

int top_main(struct cli *c) {
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT}, changes[] = {SIGWINCH, SIGCONT, SIGTSTP};
    int64_t interval, most;
    struct sigaction a = {.sa_handler = on_signal};
    if (c->n_args > 0) return cli_usage(c, "top takes no words");
    enum err e = cli_duration(c, "interval", 2000, &interval);
    if (e == OK) e = cli_number(c, "number", 0, 1, INT32_MAX, &most);
    if (e == OK && interval < 100) e = fail(&c->why, E_USAGE, "--interval is at least 100ms");
    if (e != OK) return cli_exit(c, e);
    bool screen = has_screen(c);
    for (size_t i = 0; i < LEN(ends); i++) sigaction(ends[i], &a, NULL);
    for (size_t i = 0; screen && i < LEN(changes); i++) sigaction(changes[i], &a, NULL);
    c->stop = has_ended;
    if (screen) {
        setvbuf(stdout, NULL, _IOFBF, 1 << 16); /* a picture at once */
        screen_begin();
    }
    e = watch(c, screen, interval, most);
    if (screen) screen_end();
    return cli_exit(c, e);
}
