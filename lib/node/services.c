#include "node/core.h"

/* ---- what we tell about ourselves */

static bool announced(const struct node *n, const struct ip *ip) {
    const struct config_list *no = &cfg(n->config, network_noAnnounce).list;
    for (size_t i = 0; i < no->n; i++)
        if (cidr_has(&no->cidrs[i], ip)) return false;
    return true;
}

/* Our addresses, as a list of views into n->announce. */
static size_t own_addresses(const struct node *n, struct bytes *addrs, size_t max) {
    struct rd r = rd_of(buf_view(&n->announce));
    size_t count = 0;
    while (r.in.n > 0 && count < max) {
        struct bytes a = rd_take(&r, rd_u16(&r));
        if (r.bad) break;
        addrs[count++] = a;
    }
    return count;
}

static bool add_address(struct buf *to, struct bytes addr) {
    return addr.n <= UINT16_MAX && wr_u16(to, (uint16_t)addr.n) && buf_add(to, addr);
}

void node_make_record(struct node *n) {
    const struct config_list *fixed = &cfg(n->config, network_announce).list;
    struct buf addr = {.max = MULTIADDR_MAX};
    n->announce.max = 32 << 10;
    n->record.max = PEER_RECORD_MAX;
    buf_clear(&n->announce);
    buf_clear(&n->record);
    for (size_t i = 0; i < fixed->n; i++) add_address(&n->announce, fixed->items[i]);
    for (size_t i = 0; fixed->n == 0 && i < n->n_listen; i++) {
        if (!announced(n, &n->listen[i].ip)) continue;
        buf_clear(&addr);
        if (multiaddr_from_endpoint(&n->listen[i], &addr)) add_address(&n->announce, buf_view(&addr));
    }
    buf_free(&addr);
    struct bytes list[PEER_RECORD_ADDRESSES_MAX];
    size_t count = own_addresses(n, list, LEN(list));
    /* The number must grow over restarts, also when the clock was set back a little: never below the last
     * one. */
    uint64_t seq = (uint64_t)n->now.wall.ms * 1000000;
    n->record_seq = seq > n->record_seq ? seq : n->record_seq + 1;
    if (!peer_record_seal(n->self, n->record_seq, list, count, &n->record)) buf_clear(&n->record);
}

static bool write_identify(struct stream *s) {
    struct node *n = s->connection->node;
    struct bytes list[PEER_RECORD_ADDRESSES_MAX];
    struct buf observed = {.max = MULTIADDR_MAX};
    char agent[64];
    struct buf agent_text = {.max = sizeof agent};
    buf_add_format(&agent_text, "silktalk/%.40s", n->version);
    if (!multiaddr_from_endpoint(&s->connection->remote, &observed)) buf_clear(&observed);
    struct identify_self self = {.self = n->self,
                                 .agent = buf_cstr(&agent_text),
                                 .protocol_version = "ipfs/0.1.0",
                                 .protocols = protocols_served(n),
                                 .addrs = list,
                                 .n_addrs = own_addresses(n, list, LEN(list)),
                                 .observed = buf_view(&observed),
                                 .record = buf_view(&n->record)};
    bool good = identify_write(&self, &s->tx);
    buf_free(&observed);
    buf_free(&agent_text);
    return good;
}

/* ---- identify: who is asked answers and closes */

static enum err identify_opened(struct stream *s) {
    s->deadline = mono_add_ms(s->connection->node->now.mono, IDENTIFY_MS);
    if (!s->inbound) {
        s->fin_out = true; /* nothing to say */
        return OK;
    }
    if (!write_identify(s)) return E_LIMIT;
    s->fin_out = true;
    return OK;
}

static enum err read_identify(struct stream *s, struct bytes *in) {
    struct connection *c = s->connection;
    struct identify_reader *r = s->state;
    enum err e = identify_input(r, *in);
    *in = bytes_skip(*in, in->n);
    if (e == E_PROTO || e == E_LIMIT) return stream_fault(s, r->why.text);
    if (e != OK || !s->fin_in) return e;
    e = identify_end(r, &c->peer->id);
    if (e == OK) {
        peers_set_identified(c->node, c->peer, &r->result);
        LOG(c->node->log, EV_IDENTIFIED, kv_str("peer", c->peer->text),
            kv_int("protocols", (int64_t)c->peer->n_protocols));
        c->identified = true;
        messenger_connected(c->peer);
        file_queue_connected(c->peer, c->node);
    } else if (e != E_MEMORY) {
        return stream_fault(s, r->why.text);
    }
    s->fin_out = true;
    return e;
}

static enum err identify_input_stream(struct stream *s, struct bytes *in) {
    if (!s->inbound) return read_identify(s, in);
    *in = bytes_skip(*in, in->n); /* an asker has nothing to say */
    return OK;
}

/* A peer without identify can still take messages: its lane tries what it may speak. */
static void not_identified(struct connection *c) {
    if (c->identified || c->state != CONN_OPEN) return;
    c->identified = true;
    messenger_connected(c->peer);
    file_queue_connected(c->peer, c->node);
}

static void free_reader(struct stream *s, const struct why *why) {
    (void)why;
    identify_free(s->state);
    mem_free(s->state);
    if (!s->inbound && s->protocol == PROTOCOL_IDENTIFY) not_identified(s->connection);
}

const struct protocol_handler identify_handler = {
    .open = identify_opened, .input = identify_input_stream, .close = free_reader};

void identify_ask(struct connection *c) {
    struct identify_reader *r = NEW(struct identify_reader);
    if (r != NULL) identify_start(r);
    if (r != NULL && stream_open(c, PROTOCOL_IDENTIFY, r, NULL) != NULL) return;
    if (r != NULL) identify_free(r);
    mem_free(r);
    not_identified(c);
}

/* ---- identify/push: the opener tells */

static enum err push_opened(struct stream *s) {
    struct node *n = s->connection->node;
    s->deadline = mono_add_ms(n->now.mono, IDENTIFY_MS);
    if (!s->inbound) return OK;
    struct peer *p = s->connection->peer;
    if (n->now.mono.us - p->push_window.us > 60 * 1000000LL) {
        p->push_window = n->now.mono;
        p->pushes = 0;
    }
    if (limit_hit(&n->limits, LIMIT_PUSHES, p->pushes)) {
        limit_reached(n, LIMIT_PUSHES);
        return E_LIMIT;
    }
    p->pushes++;
    s->state = NEW(struct identify_reader);
    if (s->state == NULL) return E_MEMORY;
    identify_start(s->state);
    s->fin_out = true;
    return OK;
}

static enum err push_output(struct stream *s) {
    if (s->inbound || s->fin_out) return OK;
    if (!write_identify(s)) return E_LIMIT;
    s->fin_out = true;
    return OK;
}

static enum err push_input(struct stream *s, struct bytes *in) {
    if (s->inbound) return read_identify(s, in);
    *in = bytes_skip(*in, in->n);
    return OK;
}

const struct protocol_handler push_handler = {
    .open = push_opened, .input = push_input, .output = push_output, .close = free_reader};

void identify_push_all(struct node *n) {
    for (struct connection *c = n->connections; c != NULL; c = c->next)
        if (c->state == CONN_OPEN && peer_speaks(c->peer, PROTOCOL_PUSH))
            stream_open(c, PROTOCOL_PUSH, NULL, NULL);
}

/* ---- ping */

struct pinging { /* an outbound ping stream, for one request */
    struct ping_client client;
    uint64_t tag; /* of the request */
};

static struct request *find_request(const struct node *n, uint64_t tag) {
    struct request *r = n->requests;
    while (r != NULL && (r->dead || r->tag != tag)) r = r->next;
    return r;
}

static size_t inbound_streams(const struct peer *p, enum protocol protocol) {
    size_t count = 0;
    for (const struct connection *c = p->connections; c != NULL; c = c->next_of_peer)
        for (const struct stream *s = c->streams; s != NULL; s = s->next)
            if (!s->dead && s->inbound && s->negotiated && s->protocol == protocol) count++;
    return count;
}

static enum err ping_opened(struct stream *s) {
    struct node *n = s->connection->node;
    if (!s->inbound) return OK;
    size_t others = inbound_streams(s->connection->peer, PROTOCOL_PING) -
                    1; /* this one is negotiated already */
    if (limit_hit(&n->limits, LIMIT_PINGS, others)) {
        limit_reached(n, LIMIT_PINGS);
        return E_LIMIT;
    }
    s->state = NEW(struct ping_server);
    return s->state == NULL ? E_MEMORY : OK;
}

static enum err ping_output(struct stream *s) {
    struct node *n = s->connection->node;
    struct pinging *p = s->state;
    if (s->inbound || p->client.at.us != 0) return OK;
    if (p->client.answered > 0 && s->deadline.us != 0) return OK; /* the pause between two */
    if (!ping_client_send(&p->client, &n->rng, n->now.mono, &s->tx)) return E_LIMIT;
    s->deadline = mono_add_ms(n->now.mono, PING_MS);
    return OK;
}

static enum err ping_answered(struct stream *s, struct pinging *p) {
    struct request *r = find_request(s->connection->node, p->tag);
    if (r == NULL || --r->ids_left == 0) {
        if (r != NULL) control_ping_answer(r, p->client.rtt_us, NULL, true);
        s->fin_out = true;
        return OK;
    }
    control_ping_answer(r, p->client.rtt_us, NULL, false);
    s->deadline = mono_add_ms(s->connection->node->now.mono, (int64_t)r->cursor);
    return OK;
}

static enum err ping_input(struct stream *s, struct bytes *in) {
    struct node *n = s->connection->node;
    if (s->inbound) {
        if (!ping_server_input(s->state, in, &s->tx)) return OK; /* tx is full: the rest waits */
        if (s->fin_in) s->fin_out = true;
        return OK;
    }
    struct pinging *p = s->state;
    while (in->n > 0) {
        bool done = false;
        enum err e = ping_client_input(&p->client, in, n->now.mono, &done);
        if (e != OK) return e;
        if (done) return ping_answered(s, p);
    }
    return s->fin_in && !s->fin_out ? E_CLOSED : OK;
}

static enum err ping_tick(struct stream *s) {
    struct pinging *p = s->state;
    if (s->inbound) return OK;
    if (p->client.at.us != 0) return E_TIMEOUT;
    s->deadline = MONO_NEVER;
    s->ready = true;
    return OK;
}

static void ping_closed(struct stream *s, const struct why *why) {
    struct pinging *p = s->state;
    if (!s->inbound) {
        struct request *r = find_request(s->connection->node, p->tag);
        if (r != NULL && r->ids_left > 0) control_ping_answer(r, -1, why, true);
    }
    mem_free(s->state);
}

const struct protocol_handler ping_handler = {
    .open = ping_opened, .input = ping_input, .output = ping_output, .tick = ping_tick, .close = ping_closed};

enum err ping_begin(struct request *r, struct connection *c, struct why *w) {
    struct pinging *p = NEW(struct pinging);
    if (p == NULL) return fail(w, E_MEMORY, "out of memory");
    p->tag = r->tag;
    if (stream_open(c, PROTOCOL_PING, p, w) != NULL) return OK;
    mem_free(p);
    return w->code;
}

/* ---- perf */

struct measuring {
    struct perf_client client;
    struct perf_server server;
    uint64_t tag, up, down;
    struct mono started, uploaded;
};

static enum err perf_opened(struct stream *s) {
    struct node *n = s->connection->node;
    if (!s->inbound) {
        ((struct measuring *)s->state)->started = n->now.mono;
        return OK;
    }
    s->state = NEW(struct measuring);
    return s->state == NULL ? E_MEMORY : OK;
}

static enum err perf_output(struct stream *s) {
    struct node *n = s->connection->node;
    struct measuring *m = s->state;
    size_t room = MUX_OUT_MAX - MIN(s->tx.n, (size_t)MUX_OUT_MAX);
    bool done;
    if (m == NULL) return OK;
    if (s->inbound) {
        done = m->server.sending && perf_server_fill(&m->server, &s->tx, room);
        s->ready = m->server.sending && !done;
    } else {
        if (!s->negotiated) return OK; /* the clock starts with the agreement */
        done = perf_client_fill(&m->client, &s->tx, room);
        if (done && m->uploaded.us == 0) m->uploaded = n->now.mono;
        s->ready = !done;
    }
    if (done) s->fin_out = true;
    return OK;
}

static enum err perf_input(struct stream *s, struct bytes *in) {
    struct node *n = s->connection->node;
    struct measuring *m = s->state;
    bool done = false;
    enum err e = OK;
    if (s->inbound) {
        if (!m->server.sending) perf_server_input(&m->server, *in, s->fin_in);
        if (m->server.sending) s->ready = true;
    } else {
        e = perf_client_input(&m->client, *in, s->fin_in, &done);
    }
    *in = bytes_skip(*in, in->n);
    if (!done) return e;
    struct request *r = find_request(n, m->tag);
    if (r != NULL)
        control_perf_done(r, m->up, m->down, m->uploaded.us - m->started.us, n->now.mono.us - m->uploaded.us,
                          NULL);
    m->tag = 0;
    return e;
}

static void perf_closed(struct stream *s, const struct why *why) {
    struct measuring *m = s->state;
    struct request *r = s->inbound || m->tag == 0 ? NULL : find_request(s->connection->node, m->tag);
    if (r != NULL) control_perf_done(r, m->up, m->down, 0, 0, why);
    mem_free(m);
}

const struct protocol_handler perf_handler = {
    .open = perf_opened, .input = perf_input, .output = perf_output, .close = perf_closed};

enum err perf_begin(struct request *r, struct connection *c, uint64_t up, uint64_t down, struct why *w) {
    struct measuring *m = NEW(struct measuring);
    if (m == NULL) return fail(w, E_MEMORY, "out of memory");
    m->tag = r->tag;
    m->up = up;
    m->down = down;
    perf_client_start(&m->client, up, down);
    if (stream_open(c, PROTOCOL_PERF, m, w) != NULL) return OK;
    mem_free(m);
    return w->code;
}
