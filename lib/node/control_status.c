/* Control methods `status` and `id`: the node at a glance. */
#include "node/control.h"

#include <stdio.h>

static void put_listen(struct json_out *o, const struct node *n, const char *key, bool with_peer) {
    struct buf addr = {.max = MULTIADDR_MAX};
    char text[MULTIADDR_TEXT_MAX];
    json_open(o, key, '[');
    for (size_t i = 0; i < n->n_listen; i++) {
        buf_clear(&addr);
        if (!multiaddr_from_endpoint(&n->listen[i], &addr)) continue;
        if (with_peer && !multiaddr_add_peer(&addr, &n->self->peer)) continue;
        json_put_str(o, NULL, multiaddr_show(buf_view(&addr), text));
    }
    json_shut(o, ']');
    buf_free(&addr);
}

enum err method_id(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct buf line = {NULL, 0, 0, 0}, key = {.max = 256};
    struct json_out o = control_begin(r, &line, "id");
    (void)params;
    (void)w;
    json_put_str(&o, "peer_id", n->self_text);
    json_put_str(&o, "name", cfg(n->config, node_name).text);
    base64_encode(&key, bytes_at(n->self->public_key, sizeof n->self->public_key), false);
    json_put(&o, "public_key", buf_view(&key));
    json_put_str(&o, "key_type", "Ed25519");
    put_listen(&o, n, "addrs", true);
    json_put_bool(&o, "private_network", n->private_network);
    buf_free(&key);
    control_finish(r, &line, &o);
    return OK;
}

enum err method_status(struct node *n, struct request *r, const struct json *params, struct why *w) {
    struct store_op *op = control_op(r, STORE_TOTALS);
    (void)params;
    (void)n;
    if (op == NULL) return fail(w, E_MEMORY, "out of memory");
    control_give(r, op);
    return OK;
}

static void put_unknown(struct json_out *o, const char *key) {
    json_open(o, key, '{');
    json_put_str(o, "status", "unknown");
    json_shut(o, '}');
}

static void put_node(struct json_out *o, const struct node *n) {
    json_open(o, "node", '{');
    json_put_str(o, "name", cfg(n->config, node_name).text);
    json_put_str(o, "peer_id", n->self_text);
    json_put_str(o, "version", n->version);
    json_put_int(o, "uptime_seconds", mono_diff_ms(n->now.mono, n->started) / 1000);
    json_put_int(o, "pid", n->pid);
    json_put_str(o, "home", n->home);
    json_shut(o, '}');
    json_open(o, "state", '{');
    json_put_str(o, "status", node_state(n));
    const struct node_maintenance *m = &n->health.maintenance;
    json_put_bool(o, "maintenance", m->on);
    json_put_wall(o, "maintenance_until", m->on ? m->until : (struct wall){0});
    json_open(o, "restart_pending", '[');
    struct bytes words = buf_view(&n->restart_pending), word;
    while (bytes_split(&words, ' ', &word)) json_put(o, NULL, word);
    json_shut(o, ']');
    json_shut(o, '}');
}

static void put_peers(struct json_out *o, const struct node *n) {
    size_t peers = 0, in = 0, out = 0, i = 0;
    for (const struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) peers += p->n_connections > 0;
    for (const struct connection *c = n->connections; c != NULL; c = c->next) {
        in += c->state == CONN_OPEN && c->inbound;
        out += c->state == CONN_OPEN && !c->inbound;
    }
    json_open(o, "peers", '{');
    json_put_uint(o, "connected", peers);
    json_put_uint(o, "connections", in + out);
    json_put_uint(o, "max", limit_max(&n->limits, LIMIT_CONNECTIONS));
    json_put_uint(o, "in", in);
    json_put_uint(o, "out", out);
    json_put_uint(o, "relayed", 0);
    json_put_uint(o, "known", n->peers.n);
    json_shut(o, '}');
}

static void put_messages(struct json_out *o, const struct node *n, const struct json *totals) {
    int64_t p95 = messenger_latency_p95_ms(n);
    if (p95 < 0) p95 = json_get_int(totals, "latency_p95_ms", -1); /* of earlier runs */
    json_open(o, "messages", '{');
    json_put_value(o, "in", json_get(totals, "messages_in"));
    json_put_value(o, "out", json_get(totals, "messages_out"));
    json_put_value(o, "outbox", json_get(totals, "outbox"));
    json_put_value(o, "outbox_oldest", json_get(totals, "outbox_oldest"));
    json_put_value(o, "inbox", json_get(totals, "inbox"));
    json_put_value(o, "inbox_unread", json_get(totals, "inbox_unread"));
    if (p95 < 0)
        json_put_null(o, "latency_p95_seconds");
    else
        json_put_real(o, "latency_p95_seconds", (double)p95 / 1000);
    double all = (double)n->totals.operations;
    json_put_real(o, "errors_percent", all > 0 ? 100.0 * (double)n->totals.operations_failed / all : 0.0);
    json_shut(o, '}');
}

static void put_known_number(struct json_out *o, const char *key, int64_t v) {
    if (v < 0)
        json_put_null(o, key);
    else
        json_put_int(o, key, v);
}

static void put_percent(struct json_out *o, const char *key, int64_t permille) {
    put_known_number(o, key, permille < 0 ? -1 : (permille + 5) / 10);
}

void status_stored(struct node *n, struct request *r, struct store_op *op) {
    struct json_doc *doc = json_parse(buf_view(&op->out), NULL);
    const struct json *totals = doc == NULL ? NULL : json_root(doc);
    struct buf line = {NULL, 0, 0, 0};
    struct json_out o = control_begin(r, &line, "status");
    put_node(&o, n);
    json_open(&o, "listen", '{');
    put_listen(&o, n, "items", false);
    json_shut(&o, '}');
    put_unknown(&o, "reach");
    put_peers(&o, n);
    put_messages(&o, n, totals);
    json_open(&o, "files", '{');
    json_put_value(&o, "in", json_get(totals, "files_in"));
    json_put_value(&o, "out", json_get(totals, "files_out"));
    json_put_value(&o, "offered", json_get(totals, "files_offered"));
    json_put_value(&o, "stored_bytes", json_get(totals, "files_bytes"));
    json_shut(&o, '}');
    put_unknown(&o, "dht");
    json_open(&o, "storage", '{');
    json_put_value(&o, "data_bytes", json_get(totals, "database_bytes"));
    put_known_number(&o, "logs_bytes",
                     n->spaces[SPACE_LOGS].total > 0 ? (int64_t)n->spaces[SPACE_LOGS].folder_bytes : -1);
    put_percent(&o, "disk_percent", node_disk_permille(n));
    json_put_null(&o, "backup");
    json_shut(&o, '}');
    json_open(&o, "resources", '{');
    put_percent(&o, "cpu_percent", node_cpu_permille(&n->resources));
    put_percent(&o, "memory_percent", n->resources.memory_permille);
    put_known_number(&o, "resident_bytes", n->resources.resident_bytes);
    put_known_number(&o, "fds", n->resources.fds);
    put_known_number(&o, "fds_max", n->resources.fds_max);
    json_shut(&o, '}');
    json_open(&o, "problems", '{');
    json_open(&o, "items", '[');
    health_problems_json(n, &o);
    json_shut(&o, ']');
    json_shut(&o, '}');
    control_finish(r, &line, &o);
    json_free(doc);
}

enum err method_loop(struct node *n, struct request *r, const struct json *params, struct why *w) {
    const struct node_loop *l = &n->resources.loop;
    struct buf line = {NULL, 0, 0, 0};
    (void)params;
    (void)w;
    struct json_out o = control_begin(r, &line, "diag.loop");
    json_put_uint(&o, "turns", l->turns);
    json_put_uint(&o, "slow", l->slow);
    json_put_int(&o, "mean_us", l->mean_us);
    json_put_int(&o, "p50_us", l->p50_us);
    json_put_int(&o, "p99_us", l->p99_us);
    json_put_int(&o, "max_us", l->max_us);
    json_put_str(&o, "slowest_part", l->slowest_part[0] == 0 ? NULL : l->slowest_part);
    json_put_uint(&o, "store_waiting", n->store_in_flight);
    json_put_uint(&o, "connections", n->n_connections);
    control_finish(r, &line, &o);
    return OK;
}
