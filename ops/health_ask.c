#include "ops/health_ask.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "gen/version.h"
#include "loop/clocks.h"
#include "loop/lock.h"
#include "ops/health_url.h"
#include "ops/local_health.h"

enum { JSON_MAX = 256 << 10 };
static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
static const char *const states[] = {"healthy", "degraded", "unhealthy", "degraded"};

/* ---- the guard */

static void too_long(int number) {
    static const char line[] =
        "SILKTALK CRITICAL - node does not answer, and this host's disk or memory hangs\n";
    (void)number;
    _exit(write(STDOUT_FILENO, line, sizeof line - 1) < 0 ? 2 : 2);
}

void health_guard(bool on) {
    struct itimerval t = {{0, 0}, {0, 0}};
    if (on) t.it_value = (struct timeval){HEALTH_TOTAL_MS / 1000, HEALTH_TOTAL_MS % 1000 * 1000};
    signal(SIGALRM, on ? too_long : SIG_DFL);
    setitimer(ITIMER_REAL, &t, NULL);
}

/* ---- asking */

/* Why there is no answer, as words behind "node ". *unknown: it may well be fine. */
static void explain(struct cli *c, const struct config *config, enum err e, bool *unknown, char out[160]) {
    struct lock_holder holder;
    char who[64] = "";
    enum err held = lock_look(cfg(config, node_data).text, &holder, NULL);
    *unknown = e == E_DENIED;
    if (held == OK && holder.pid > 0) snprintf(who, sizeof who, " (pid %ld)", (long)holder.pid);
    if (e == E_DENIED)
        snprintf(out, 160, "%.150s", c->why.text);
    else if (held == OK && holder.pid > 0 && cli_process_stopped(holder.pid))
        snprintf(out, 160, "is stopped (pid %ld): kill -CONT %ld", (long)holder.pid, (long)holder.pid);
    else if (held == OK || e == E_TIMEOUT)
        snprintf(out, 160, "runs, but does not answer%s", who);
    else
        snprintf(out, 160, "is not running");
}

static bool finish_json(struct json_out *o, const struct config *config, const struct health *h,
                        struct wall now) {
    json_open(o, NULL, '{');
    json_put_str(o, "schema", "silktalk.health/1");
    json_put_str(o, "status", health_verdict(h));
    json_put_str(o, "node", config == NULL ? NULL : cfg(config, node_name).text);
    json_put_null(o, "peer_id");
    json_put_str(o, "version", SILKTALK_VERSION);
    json_put_wall(o, "time", now);
    json_put_null(o, "uptime_seconds");
    json_put_null(o, "maintenance");
    health_checks_json(h, o);
    json_open(o, "last_checks", '[');
    json_shut(o, ']');
    json_shut(o, '}');
    return json_end(o);
}

static enum err judge_here(struct cli *c, enum err asked, struct buf *out) {
    struct config *defaults = NULL;
    const struct config *config;
    struct local_health local = {0};
    struct host host;
    host_open(&host, NULL, NULL, clocks_mono());
    struct host_use use = host_measure(&host, clocks_mono());
    struct health_facts facts;
    struct health h = {.begun = false};
    struct why w, kept = c->why;
    char down[160];
    bool unknown;
    bool bad = cli_config(c) != OK;
    struct why config_why = c->why;
    c->why = kept;
    if (bad && home_config_text(&c->home, BYTES(""), false, &defaults, &w) != OK) return E_MEMORY;
    config = bad ? defaults : c->config;
    explain(c, config, asked, &unknown, down);
    if (bad && asked != E_DENIED) snprintf(down, sizeof down, "is not running: %.140s", config_why.text);
    local_health(&local, &c->home, config, NULL, &use, NULL, &facts);
    struct wall now = clocks_now().wall;
    health_judge(&h,
                 &(struct health_input){
                     .config = config, .facts = &facts, .down = down, .unreachable = unknown, .now = now});
    struct json_out o = json_begin(out);
    bool good = finish_json(&o, config, &h, now);
    config_free(defaults);
    return good ? OK : E_MEMORY;
}

static enum err ask_node(struct cli *c, struct health_answer *out) {
    int64_t wait = c->timeout_given ? MIN(c->timeout_ms, (int64_t)HEALTH_ANSWER_MS) : HEALTH_ANSWER_MS;
    c->timeout_ms = wait; /* of connecting and sending too */
    return cli_call(c, "health", (struct bytes){NULL, 0}, wait, &out->doc, &out->health);
}

/* Of a node somewhere else: nothing can be judged from here when it does not answer. */
static enum err judge_far(struct cli *c, enum err asked, const char *url, struct buf *out) {
    struct config *defaults = NULL;
    struct health h = {.begun = false};
    struct why w;
    char down[160];
    struct wall now = clocks_now().wall;
    bool unknown = asked == E_DENIED || asked == E_INPUT || asked == E_NOT_FOUND;
    if (home_config_text(&c->home, BYTES(""), false, &defaults, &w) != OK) return E_MEMORY;
    snprintf(down, sizeof down, "at %.60s: %.90s", url, c->why.text);
    health_judge(
        &h, &(struct health_input){.config = defaults, .down = down, .unreachable = unknown, .now = now});
    h.of[HEALTH_CHECK_database].judged = false;
    h.of[HEALTH_CHECK_database].status = HEALTH_UNKNOWN;
    struct json_out o = json_begin(out);
    bool good = finish_json(&o, NULL, &h, now);
    config_free(defaults);
    return good ? OK : E_MEMORY;
}

static bool is_health(const struct json *v) {
    return json_is_text(json_get(v, "status")) &&
           bytes_starts(json_get_bytes(v, "schema"), "silktalk.health/");
}

static bool fetch(struct cli *c, const char *url, const struct config *config, const char *token_file,
                  struct health_answer *out, enum err *e) {
    struct buf body = {.max = HEALTH_BODY_MAX};
    *e = health_fetch(url, config, token_file, HEALTH_ANSWER_MS, &body, &c->why);
    if (*e == OK) {
        out->doc = json_parse(buf_view(&body), NULL);
        out->health = out->doc == NULL ? NULL : json_root(out->doc);
        if (!is_health(out->health)) {
            json_free(out->doc);
            out->doc = NULL;
            *e = fail(&c->why, E_PROTO, "what answers there is no node");
        }
    }
    buf_free(&body);
    out->from_node = *e == OK;
    return *e == OK;
}

/* The sockets did not let us in: the node's own HTTP tells anybody on this host. */
static bool fetch_here(struct cli *c, struct health_answer *out) {
    struct why kept = c->why;
    char url[128];
    enum err e = E_NOT_FOUND;
    bool configured = cli_config(c) == OK;
    const struct config_list *l = configured ? &cfg(c->config, http_listen).list : NULL;
    for (size_t i = 0; l != NULL && i < l->n && e != OK; i++) {
        if (l->cidrs[i].base.version == 0) continue;
        snprintf(url, sizeof url, "http://%.100s", l->texts[i]);
        fetch(c, url, NULL, NULL, out, &e);
    }
    if (!configured && c->home.system) fetch(c, "http://127.0.0.1:8080", NULL, NULL, out, &e);
    c->why = kept;
    return e == OK;
}

enum err health_ask(struct cli *c, struct health_answer *out) {
    const char *url = cli_value(c, "url");
    struct buf text = {.max = JSON_MAX};
    enum err e;
    *out = (struct health_answer){NULL, NULL, false};
    if (url != NULL) {
        /* a bad one here is not that node's fault */
        const struct config *config = cli_config(c) == OK ? c->config : NULL;
        if (fetch(c, url, config, cli_value(c, "token-file"), out, &e)) return OK;
        e = judge_far(c, e, url, &text);
    } else {
        e = ask_node(c, out);
        if (e == OK && is_health(out->health)) {
            out->from_node = true;
            return OK;
        }
        json_free(out->doc);
        out->doc = NULL;
        if (e == E_DENIED && fetch_here(c, out)) return OK;
        e = judge_here(c, e, &text);
    }
    if (e == OK) out->doc = json_parse(buf_view(&text), &c->why);
    buf_free(&text);
    if (out->doc == NULL) return fail(&c->why, E_MEMORY, "out of memory");
    out->health = json_root(out->doc);
    return OK;
}

void health_answer_free(struct health_answer *a) {
    json_free(a->doc);
    a->doc = NULL;
}

/* ---- showing */

enum err health_only(struct cli *c, const char *only) {
    struct bytes list = bytes_of(only), word;
    while (bytes_split(&list, ',', &word)) {
        size_t i = 0;
        word = bytes_trim(word);
        while (i < HEALTH_CHECK_COUNT && !bytes_is(word, health_rows[i].name)) i++;
        if (i == HEALTH_CHECK_COUNT)
            return fail(&c->why, E_USAGE, "there is no check %.*s", (int)MIN(word.n, (size_t)40),
                        (const char *)word.p);
    }
    return OK;
}

int health_code(const struct json *health, const char *only) {
    static const int urgent[] = {0, 2, 3, 1}; /* CRITICAL, WARNING, UNKNOWN, OK */
    int worst = HEALTH_OK;
    size_t i = 0;
    const struct json *check, *checks = json_get(health, "checks");
    if (checks == NULL) { /* a node that does not know who asks tells its state alone */
        struct bytes state = json_get_bytes(health, "status");
        return only != NULL                   ? 3
               : bytes_is(state, "healthy")   ? 0
               : bytes_is(state, "degraded")  ? 1
               : bytes_is(state, "unhealthy") ? 2
                                              : 3;
    }
    while (json_item(checks, &i, &check)) {
        int s = (int)health_counted(check, only);
        if (urgent[s] > urgent[worst]) worst = s;
    }
    return worst;
}

/* The plugins' convention knows digits, a point and a sign: no exponent. */
static void number(const struct json *v, int decimals, struct buf *out) {
    char text[400];
    if (!json_is_number(v)) return;
    int n = snprintf(text, sizeof text, "%.*f", decimals, json_real(v, 0));
    if (n <= 0 || n >= (int)sizeof text) return;
    while (text[n - 1] == '0') n--;
    if (text[n - 1] == '.') n--;
    text[n] = 0;
    buf_add_text(out, strcmp(text, "-0") == 0 ? "0" : text);
}

/* 'label'=value[UOM];[warn];[crit];[min];[max] */
static void perfdata(const struct json *check, struct buf *out) {
    struct bytes unit = json_get_bytes(check, "unit"), name = json_get_bytes(check, "name");
    bool below = false;
    if (!json_is_text(json_get(check, "unit"))) return;
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++)
        if (bytes_is(name, health_rows[i].name)) below = health_rows[i].below;
    buf_add_text(out, " ");
    buf_add(out, name);
    buf_add_text(out, "=");
    if (json_is_number(json_get(check, "value"))) {
        number(json_get(check, "value"), bytes_is(unit, "%") ? 2 : 6, out);
        buf_add(out, unit);
    } else {
        buf_add_text(out, "U");
    }
    static const char *const keys[] = {"warning", "critical"};
    for (size_t i = 0; i < LEN(keys); i++) {
        buf_add_text(out, ";");
        number(json_get(check, keys[i]), 6, out);
        if (below && json_is_number(json_get(check, keys[i]))) buf_add_text(out, ":");
    }
    buf_add_text(out, bytes_is(unit, "%") ? ";0;100" : ";0");
}

void health_line(const struct json *health, const char *only, struct buf *out) {
    struct buf text = {.max = 4096};
    size_t i = 0;
    const struct json *check, *checks = json_get(health, "checks");
    health_words(health, only, &text);
    buf_add_format(out, "SILKTALK %s - ", words[health_code(health, only)]);
    if (json_is_object(json_get(health, "maintenance"))) buf_add_text(out, "maintenance; ");
    cli_safe(buf_view(&text), false, out);
    buf_add_text(out, " |");
    while (json_item(checks, &i, &check))
        if (health_wanted(check, only)) perfdata(check, out);
    buf_free(&text);
}

void health_json(const struct json *health, const char *only, struct buf *out) {
    struct json_out o = json_begin(out);
    struct bytes key;
    const struct json *v, *check;
    size_t i = 0, k = 0;
    json_open(&o, NULL, '{');
    while (json_member(health, &i, &key, &v)) {
        if (only != NULL && bytes_is(key, "status")) {
            json_put_str(&o, "status", states[health_code(health, only)]);
        } else if (bytes_is(key, "checks")) {
            json_open(&o, "checks", '[');
            while (json_item(v, &k, &check))
                if (health_wanted(check, only)) json_put_value(&o, NULL, check);
            json_shut(&o, ']');
        } else {
            json_key(&o, key);
            json_put_value(&o, NULL, v);
        }
    }
    json_shut(&o, '}');
    json_end(&o);
}
