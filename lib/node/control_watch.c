/* Control methods for those that watch: `events` (each event as it happens) and `top` (counters that a caller
 * makes rates of). */
#include "node/control.h"

#include <strings.h>

/* ---- events. What is kept of them for those who ask now and then: see event_history.h */

enum { TAP_KEPT = 16 << 10, HISTORY_MS = 3600 * 1000, HISTORY_LIST = 100, HISTORY_LIST_MAX = 1000 };

static bool is_word(struct bytes a, const char *word) {
    return a.n == strlen(word) && strncasecmp((const char *)a.p, word, a.n) == 0;
}

/* A level (and above), a component, or the beginning of an event's text; nothing: INFO and above. */
static bool fits(enum event event, struct bytes type) {
    const struct event_row *row = &event_rows[event];
    enum log_level level;
    if (type.n == 0) return row->level >= LEVEL_INFO;
    if (log_level_parse(type, &level)) return row->level >= level;
    if (is_word(type, log_component_name(row->component))) return true;
    return type.n <= strlen(row->text) && strncasecmp((const char *)type.p, row->text, type.n) == 0;
}

static bool any_fits(struct bytes type) {
    bool any = false;
    for (int i = 0; i < EVENT_COUNT; i++) any = any || fits((enum event)i, type);
    return any;
}

enum err method_events(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct bytes type = bytes_trim(json_get_bytes(params, "type"));
    if (!any_fits(type)) return fail(w, E_USAGE, "no event, component or level has that name");
    char *kept = mem_text(type.p, type.n);
    if (kept == NULL) return fail(w, E_MEMORY, "out of memory");
    r->state = kept;
    r->free_state = mem_free;
    r->wait = WAIT_EVENTS;
    n->n_followers++;
    n->log->tap_of = LOG_TAP_ALL;
    return OK;
}

/* Events of each message are many: they are kept only while somebody has asked in the last hour. */
static enum log_tap tap_of(const struct node *n, bool followed) {
    if (followed) return LOG_TAP_ALL;
    bool asked = n->history.asked.us != 0 && mono_diff_ms(n->now.mono, n->history.asked) < HISTORY_MS;
    return asked ? LOG_TAP_INFO : LOG_TAP_RARE;
}

void control_events(struct node *n) {
    struct log *log = n->log;
    bool followed = n->n_followers > 0;
    if (log == NULL) return;
    for (struct rd r = rd_of(buf_view(&log->tap)); r.in.n > 0 && !r.bad;) {
        enum event event = (enum event)rd_u16(&r);
        struct bytes object = rd_take(&r, rd_u16(&r));
        if (r.bad) break;
        if (event_rows[event].level >= LEVEL_INFO)
            event_history_add(&n->history, (size_t)limit_max(&n->limits, LIMIT_EVENTS), event, object);
        for (struct request *q = followed ? n->requests : NULL; q != NULL; q = q->next)
            if (!q->dead && q->wait == WAIT_EVENTS && fits(event, bytes_of(q->state)))
                control_event_raw(q, object);
    }
    n->limits.of[LIMIT_EVENTS].used = n->history.n;
    buf_clear(&log->tap);
    buf_shrink(&log->tap, TAP_KEPT);
    log->tap_of = tap_of(n, followed);
}

/* params: type (as of `events`), n, after: the number of the last one seen. Without it: the newest ones. */
enum err method_events_list(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct bytes type = bytes_trim(json_get_bytes(params, "type"));
    int64_t after = json_get_int(params, "after", -1), most = json_get_int(params, "n", HISTORY_LIST);
    struct buf line = {NULL, 0, 0, 0};
    if (!any_fits(type)) return fail(w, E_USAGE, "no event, component or level has that name");
    n->history.asked = n->now.mono;
    if (after > (int64_t)n->history.last) after = 0; /* of an earlier run of the node */
    control_events(n);                               /* those of this turn too */
    most = MIN(MAX(most, (int64_t)1), (int64_t)HISTORY_LIST_MAX);
    struct event_at at = event_history_first(&n->history);
    if (after < 0) { /* so far back that the newest remain */
        size_t count = 0, skip;
        for (struct event_at i = at; event_history_next(&n->history, &i);) count += fits(i.event, type);
        skip = count > (size_t)most ? count - (size_t)most : 0;
        while (skip > 0 && event_history_next(&n->history, &at)) skip -= fits(at.event, type);
    }
    struct json_out o = control_begin(r, &line, "events");
    uint64_t last = after < 0 ? 0 : (uint64_t)after;
    json_open(&o, "items", '[');
    while (most > 0 && event_history_next(&n->history, &at)) {
        if (after >= 0 && at.number <= (uint64_t)after) continue;
        last = at.number;
        if (!fits(at.event, type)) continue;
        json_open(&o, NULL, '{');
        json_put_uint(&o, "number", at.number);
        json_put_raw(&o, NULL, bytes_sub(at.object, 1, at.object.n - 2)); /* its members */
        json_shut(&o, '}');
        most--;
    }
    json_shut(&o, ']');
    json_put_uint(&o, "next", last);
    control_finish(r, &line, &o);
    return OK;
}

/* ---- top */

enum err method_top(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct buf line = {NULL, 0, 0, 0};
    struct recent_sum recent = recent_sum(&n->recent, n->now.mono, cfg(n->config, health_window).ms);
    (void)params;
    (void)w;
    struct json_out o = control_begin(r, &line, "top");
    size_t open = 0, streams = 0, peers = 0, i = 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next) {
        open += c->state == CONN_OPEN;
        streams += c->n_streams;
    }
    for (const struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) peers += p->n_connections > 0;
    json_put_wall(&o, "time", n->now.wall);
    json_put_str(&o, "name", cfg(n->config, node_name).text);
    json_put_str(&o, "state", node_state(n));
    json_put_int(&o, "uptime_us", n->now.mono.us - n->started.us);
    json_put_uint(&o, "peers", peers);
    json_put_uint(&o, "connections", open);
    json_put_uint(&o, "connections_max", limit_max(&n->limits, LIMIT_CONNECTIONS));
    json_put_uint(&o, "streams", streams);
    json_put_uint(&o, "bytes_in", n->counts.network_bytes[DIRECTION_IN]);
    json_put_uint(&o, "bytes_out", n->counts.network_bytes[DIRECTION_OUT]);
    json_put_uint(&o, "messages_in", n->totals.messages_in);
    json_put_uint(&o, "messages_out", n->totals.delivered);
    json_put_uint(&o, "failed", n->totals.operations_failed);
    json_put_uint(&o, "outbox", n->outbox_count);
    json_put_uint(&o, "store_waiting", n->store_in_flight);
    if (recent.p95_ms < 0)
        json_put_null(&o, "latency_p95_seconds");
    else
        json_put_real(&o, "latency_p95_seconds", (double)recent.p95_ms / 1000);
    int64_t cpu = n->resources.own_cpu_permille, resident = n->resources.resident_bytes;
    if (cpu < 0)
        json_put_null(&o, "node_cpu_percent");
    else
        json_put_real(&o, "node_cpu_percent", (double)cpu / 10);
    if (resident < 0)
        json_put_null(&o, "resident_bytes");
    else
        json_put_int(&o, "resident_bytes", resident);
    json_open(&o, "items", '[');
    for (const struct connection *c = n->connections; c != NULL; c = c->next) {
        if (c->state != CONN_OPEN) continue;
        json_open(&o, NULL, '{');
        json_put_uint(&o, "connection", c->id);
        json_put_str(&o, "peer_id", c->peer->text);
        json_put_str(&o, "name", c->peer->name);
        json_put_str(&o, "agent", c->peer->agent);
        json_put_str(&o, "direction", c->inbound ? "in" : "out");
        if (c->mux.rtt_us > 0)
            json_put_real(&o, "rtt_seconds", (double)c->mux.rtt_us / 1000000);
        else
            json_put_null(&o, "rtt_seconds");
        json_put_uint(&o, "streams", c->n_streams);
        json_put_uint(&o, "bytes_in", c->bytes_in);
        json_put_uint(&o, "bytes_out", c->bytes_out);
        json_put_uint(&o, "queued", c->peer->lane == NULL ? 0 : c->peer->lane->queued);
        json_shut(&o, '}');
    }
    json_shut(&o, ']');
    control_finish(r, &line, &o);
    return OK;
}
