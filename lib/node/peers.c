#include "node/core.h"

#include <stdarg.h>
#include <stdio.h>

enum { RECORD_VERSION = 1, NAME_MAX_CHARS = 63, ENDING_MIN = 6, PUTS_PER_FLUSH = 200, PROTOCOLS_KEPT = 64 };

struct peer *peers_find(const struct node *n, const struct peer_id *id) {
    return map_find(&n->peers, peer_id_view(id));
}

/* ---- making and forgetting */

static void free_address(struct peer_address *a) {
    mem_free(a->p);
}

static void drop_protocols(struct peer *p) {
    for (size_t i = 0; i < p->n_protocols; i++) mem_free(p->protocols[i]);
    mem_free(p->protocols);
    p->protocols = NULL;
    p->n_protocols = 0;
}

void peer_free(struct peer *p) {
    for (size_t i = 0; i < p->n_addrs; i++) free_address(&p->addrs[i]);
    mem_free(p->addrs);
    drop_protocols(p);
    mem_free(p->agent);
    mem_free(p->name);
    mem_free(p->traces);
    mem_free(p);
}

static bool in_use(const struct peer *p) {
    return p->connections != NULL || p->dial != NULL || p->lane != NULL || p->files_out > 0 || p->bootstrap ||
           p->trusted;
}

static bool asked_for(const struct node *n, const struct peer *p) {
    for (const struct request *r = n->requests; r != NULL; r = r->next)
        if (r->peer == p && !r->dead) return true;
    return false;
}

/* Makes room: the longest unseen one that nobody asked for. False: all are needed. */
static bool forget_one(struct node *n) {
    struct peer *oldest = NULL;
    size_t i = 0;
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;)
        if (!in_use(p) && p->flags == 0 && (oldest == NULL || p->last_seen.ms < oldest->last_seen.ms) &&
            !asked_for(n, p))
            oldest = p;
    return oldest != NULL && peers_forget(n, oldest, NULL) == OK;
}

struct peer *peers_add(struct node *n, const struct peer_id *id) {
    struct peer *p = peers_find(n, id);
    if (p != NULL) return p;
    if (n->peers.n >= n->peers.max) {
        limit_hit(&n->limits, LIMIT_PEERS, n->peers.n);
        if (!forget_one(n)) {
            limit_reached(n, LIMIT_PEERS);
            return NULL;
        }
    }
    p = NEW(struct peer);
    if (p == NULL) return NULL;
    p->id = *id;
    peer_id_text(id, p->text);
    p->first_seen = n->now.wall;
    if (map_add(&n->peers, peer_id_view(&p->id), p) == OK) return p;
    mem_free(p);
    return NULL;
}

enum err peers_forget(struct node *n, struct peer *p, struct why *w) {
    if (in_use(p))
        return fail(w, E_BUSY,
                    p->connections != NULL ? "it is connected; disconnect first"
                    : p->lane != NULL      ? "messages wait for it in the outbox"
                    : p->files_out > 0     ? "files wait to be sent to it"
                                           : "the configuration names it");
    if (asked_for(n, p)) return fail(w, E_BUSY, "a command works with it just now");
    struct store_op *op = store_op_new(STORE_PEER_DROP);
    if (op != NULL) op->peer = p->id;
    node_give(n, op);
    map_drop(&n->peers, peer_id_view(&p->id));
    if (n->asked_last == p) n->asked_last = NULL;
    peer_free(p);
    return OK;
}

/* ---- PEER as people write it */

static enum err by_ending(struct node *n, struct bytes text, struct peer **out, struct why *w) {
    size_t i = 0, found = 0;
    struct buf names = {.max = 160};
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) {
        struct bytes id = bytes_of(p->text);
        if (id.n < text.n || !bytes_eq(bytes_skip(id, id.n - text.n), text)) continue;
        *out = p;
        if (found++ < 2) buf_add_format(&names, " %s", p->text);
    }
    enum err e = found == 1  ? OK
                 : found > 1 ? fail(w, E_INPUT, "several peers end so:%s", buf_cstr(&names))
                             : fail(w, E_NOT_FOUND,
                                    "no peer is known by that name or ending; see `silktalk peers --all`");
    buf_free(&names);
    return e;
}

static enum err by_address(struct node *n, struct bytes text, struct peer **out, struct why *w) {
    struct buf addr = {.max = MULTIADDR_MAX};
    enum err e = multiaddr_parse(text, &addr, w);
    struct multiaddr_target t = multiaddr_target(buf_view(&addr));
    if (e == OK && t.peer.n == 0) e = fail(w, E_INPUT, "the address has no /p2p/ part");
    if (e == OK) {
        *out = peers_add(n, &t.peer);
        if (*out == NULL)
            e = fail(w, E_LIMIT, "the peer book is full");
        else if (multiaddr_without_peer(buf_view(&addr)).n > 0)
            peers_add_address(n, *out, buf_view(&addr), true, false);
    }
    buf_free(&addr);
    return e;
}

enum err peers_resolve(struct node *n, struct bytes text, struct peer **out, struct why *w) {
    struct peer_id id;
    size_t i = 0;
    text = bytes_trim(text);
    if (text.n == 0) return fail(w, E_USAGE, "which peer?");
    if (text.p[0] == '/') return by_address(n, text, out, w);
    if (n->asked_last != NULL && bytes_is(text, n->asked_last->text)) {
        *out = n->asked_last;
        return OK;
    }
    if (peer_id_parse(text, &id)) { /* which no name can be */
        *out = n->asked_last = peers_add(n, &id);
        return *out != NULL ? OK : fail(w, E_LIMIT, "the peer book is full");
    }
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;)
        if (p->name != NULL && bytes_is(text, p->name)) {
            *out = p;
            return OK;
        }
    if (text.n < ENDING_MIN)
        return fail(w, E_NOT_FOUND,
                    "no peer has that name; an ending of a Peer ID needs 6 characters or more");
    return by_ending(n, text, out, w);
}

enum err peers_name(struct node *n, struct peer *p, struct bytes name, struct why *w) {
    struct peer_id id;
    size_t i = 0;
    char *copy = NULL;
    if (name.n > NAME_MAX_CHARS) return fail(w, E_INPUT, "a name has 1 to 63 characters");
    for (size_t k = 0; k < name.n; k++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", name.p[k]) == NULL ||
            name.p[k] == 0)
            return fail(w, E_INPUT, "a name is of A-Z a-z 0-9 . _ -");
    if (name.n > 0 && peer_id_parse(name, &id)) return fail(w, E_INPUT, "that is a Peer ID, not a name");
    for (struct peer *o; (o = map_next(&n->peers, &i)) != NULL;)
        if (name.n > 0 && o != p && o->name != NULL && bytes_is(name, o->name))
            return fail(w, E_INPUT, "%s has that name", o->text);
    if (name.n > 0 && (copy = mem_text(name.p, name.n)) == NULL) return fail(w, E_MEMORY, "out of memory");
    mem_free(p->name);
    p->name = copy;
    p->flags = copy == NULL ? p->flags & ~(uint32_t)PEER_NAMED : p->flags | PEER_NAMED;
    p->dirty = true;
    return OK;
}

static bool write_record(const struct peer *p, struct buf *out);

/* False: no memory, it stays to be written. */
static bool put(struct node *n, struct peer *p) {
    struct store_op *op = store_op_new(STORE_PEER_PUT);
    if (op == NULL || !write_record(p, &op->in)) {
        store_op_free(op);
        return false;
    }
    op->peer = p->id;
    op->flags = p->flags;
    op->when = p->last_seen;
    snprintf(op->text, sizeof op->text, "%s", p->name == NULL ? "" : p->name);
    p->dirty = false;
    node_give(n, op);
    return true;
}

/* The flags say whose messages are taken: they are in the store before the first of them, or a crash would
 * turn who answers us into a stranger. */
void peers_touch(struct node *n, struct peer *p, uint32_t flags) {
    if ((p->flags | flags) == p->flags) return;
    p->flags |= flags;
    p->dirty = true;
    if (n->loaded) put(n, p); /* before, what is stored of it is not known yet */
}

/* ---- addresses */

/* The least valuable one, whose place a new address may take. */
static size_t worst_address(const struct peer *p) {
    size_t worst = 0;
    for (size_t i = 1; i < p->n_addrs; i++) {
        const struct peer_address *a = &p->addrs[i], *b = &p->addrs[worst];
        int x = a->operator_given * 4 + a->certified * 2 + (a->last_ok.ms != 0),
            y = b->operator_given * 4 + b->certified * 2 + (b->last_ok.ms != 0);
        if (x < y || (x == y && a->fails > b->fails)) worst = i;
    }
    return worst;
}

static struct peer_address *find_address(struct peer *p, struct bytes addr) {
    for (size_t i = 0; i < p->n_addrs; i++)
        if (bytes_eq(bytes_at(p->addrs[i].p, p->addrs[i].n), addr)) return &p->addrs[i];
    return NULL;
}

void peers_add_address(struct node *n, struct peer *p, struct bytes addr, bool operator_given,
                       bool certified) {
    struct multiaddr_target t = multiaddr_target(addr);
    if (t.peer.n > 0 && !t.circuit && peer_id_eq(&t.peer, &p->id)) addr = multiaddr_without_peer(addr);
    if (addr.n == 0 || addr.n > MULTIADDR_MAX) return;
    struct peer_address *known = find_address(p, addr);
    if (known != NULL) {
        p->dirty |= operator_given && !known->operator_given;
        known->operator_given |= operator_given;
        known->certified |= certified;
        if (operator_given) known->next_try = MONO_NEVER;
        return;
    }
    struct peer_address a = {.operator_given = operator_given, .certified = certified, .n = addr.n};
    if (p->n_addrs >= limit_max(&n->limits, LIMIT_PEER_ADDRESSES)) {
        size_t at = worst_address(p);
        limit_hit(&n->limits, LIMIT_PEER_ADDRESSES, p->n_addrs);
        if (p->addrs[at].operator_given && !operator_given) return;
        free_address(&p->addrs[at]);
        p->addrs[at] = p->addrs[--p->n_addrs];
    }
    struct peer_address *more = mem_resize(p->addrs, (p->n_addrs + 1) * sizeof *more);
    if (more == NULL) return;
    p->addrs = more;
    a.p = mem_new(1, addr.n);
    if (a.p == NULL) return;
    memcpy(a.p, addr.p, addr.n);
    p->addrs[p->n_addrs++] = a;
    p->dirty = true;
}

/* What a peer says of its addresses is believed as far as it makes sense for where it is seen: loopback only
 * over loopback, private ones only over private ones (protocols.md section 8). */
static bool sensible(const struct peer *p, struct bytes addr) {
    struct multiaddr_target t = multiaddr_target(addr);
    if (t.host != TARGET_IP) return multiaddr_valid(addr);
    if (ip_is_unspecified(&t.ip) || ip_is_multicast(&t.ip) || ip_is_link_local(&t.ip)) return false;
    for (const struct connection *c = p->connections; c != NULL; c = c->next_of_peer) {
        if (ip_is_loopback(&t.ip)) {
            if (ip_is_loopback(&c->remote.ip)) return true;
        } else if (!ip_is_private(&t.ip) || ip_is_private(&c->remote.ip)) {
            return true;
        }
    }
    return false;
}

static void keep_protocols(struct peer *p, const struct identify *id) {
    size_t n = MIN(id->n_protocols, (size_t)PROTOCOLS_KEPT);
    drop_protocols(p);
    p->protocols = NEW_ARRAY(char *, n + 1);
    for (size_t i = 0; p->protocols != NULL && i < n; i++) {
        struct buf safe = {.max = 4 * IDENTIFY_PROTOCOL_MAX};
        if (text_escape(&safe, id->protocols[i], false))
            p->protocols[p->n_protocols] = mem_text(safe.p, safe.n);
        if (p->protocols[p->n_protocols] != NULL) p->n_protocols++;
        buf_free(&safe);
    }
}

void peers_set_identified(struct node *n, struct peer *p, const struct identify *id) {
    if (id->has_agent) {
        struct buf safe = {.max = 4 * IDENTIFY_AGENT_MAX};
        if (text_escape(&safe, id->agent, false)) {
            mem_free(p->agent);
            p->agent = mem_text(safe.p, safe.n);
        }
        buf_free(&safe);
    }
    if (id->has_protocols) keep_protocols(p, id);
    bool stale = id->signed_record && id->record_seq < p->record_seq;
    if (id->signed_record && !stale) p->record_seq = id->record_seq;
    for (size_t i = 0; id->has_addrs && !stale && i < id->n_addrs; i++)
        if (sensible(p, id->addrs[i])) peers_add_address(n, p, id->addrs[i], false, id->signed_record);
    p->last_seen = n->now.wall;
    p->dirty = true;
}

/* ---- what happened, for `explain` */

void peers_trace(struct node *n, struct peer *p, const char *step, struct bytes addr, const char *result,
                 const char *format, ...) {
    va_list ap;
    char text[MULTIADDR_TEXT_MAX];
    if (p->traces == NULL) p->traces = NEW_ARRAY(struct trace, TRACES_MAX);
    if (p->traces == NULL) return;
    struct trace *t = &p->traces[p->n_traces++ % TRACES_MAX];
    t->at = n->now.wall;
    snprintf(t->step, sizeof t->step, "%s", step);
    snprintf(t->result, sizeof t->result, "%s", result);
    snprintf(t->addr, sizeof t->addr, "%.95s", addr.n == 0 ? "" : multiaddr_show(addr, text));
    va_start(ap, format);
    vsnprintf(t->detail, sizeof t->detail, format, ap);
    va_end(ap);
}

/* ---- to and from the store: version, first_seen, record_seq, then addresses {u8 marks, u64 last_ok, u16
 * length, bytes} */

static bool write_record(const struct peer *p, struct buf *out) {
    bool good = wr_u8(out, RECORD_VERSION) && wr_u64(out, (uint64_t)p->first_seen.ms) &&
                wr_u64(out, p->record_seq);
    for (size_t i = 0; good && i < p->n_addrs; i++) {
        const struct peer_address *a = &p->addrs[i];
        good = wr_u8(out, (uint8_t)(a->operator_given | a->certified << 1)) &&
               wr_u64(out, (uint64_t)a->last_ok.ms) && wr_u16(out, (uint16_t)a->n) &&
               buf_add(out, bytes_at(a->p, a->n));
    }
    return good;
}

static void read_record(struct node *n, struct peer *p, struct bytes record) {
    struct rd r = rd_of(record);
    if (rd_u8(&r) != RECORD_VERSION) return;
    p->first_seen.ms = (int64_t)rd_u64(&r);
    p->record_seq = rd_u64(&r);
    while (r.in.n > 0) {
        uint8_t marks = rd_u8(&r);
        struct wall last_ok = {(int64_t)rd_u64(&r)};
        struct bytes addr = rd_take(&r, rd_u16(&r));
        if (r.bad || !multiaddr_valid(addr)) return;
        peers_add_address(n, p, addr, (marks & 1) != 0, (marks & 2) != 0);
        struct peer_address *a = find_address(p, addr); /* the configuration may have brought it before */
        if (a != NULL) a->last_ok = last_ok;
    }
}

void peers_flush(struct node *n, bool all) {
    size_t i = 0, done = 0;
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL && (all || done < PUTS_PER_FLUSH);) {
        if (!p->dirty) continue;
        if (!put(n, p)) return;
        done++;
    }
}

void peers_loaded(struct node *n, struct bytes rows) {
    struct rd r = rd_of(rows);
    while (r.in.n > 0) {
        struct peer_id id;
        struct bytes raw = rd_take(&r, rd_u8(&r));
        struct wall last_seen = {(int64_t)rd_u64(&r)};
        uint32_t flags = rd_u32(&r);
        struct bytes name = rd_take(&r, rd_u16(&r)), record = rd_take(&r, rd_u32(&r));
        if (r.bad) return;
        struct peer *p = peer_id_read(raw, &id) ? peers_add(n, &id) : NULL;
        if (p == NULL) continue;
        bool was_dirty = p->dirty;
        p->flags |= flags;
        p->last_seen = MAX(last_seen.ms, p->last_seen.ms) == last_seen.ms ? last_seen : p->last_seen;
        read_record(n, p, record);
        if (name.n > 0 && p->name == NULL) peers_name(n, p, name, NULL);
        p->dirty = was_dirty;
    }
}

void peers_reconfigured(struct node *n) {
    const struct config_list *bootstrap = &cfg(n->config, discovery_bootstrap).list,
                             *allow = &cfg(n->config, access_allowPeers).list;
    size_t i = 0;
    for (struct peer *p; (p = map_next(&n->peers, &i)) != NULL;) p->bootstrap = p->trusted = false;
    for (i = 0; i < bootstrap->n; i++) {
        struct peer *p = peer_id_eq(&bootstrap->peers[i], &n->self->peer)
                             ? NULL
                             : peers_add(n, &bootstrap->peers[i]);
        if (p == NULL) continue;
        p->bootstrap = true;
        peers_touch(n, p, PEER_OPERATOR); /* the operator named it: its messages are welcome */
        peers_add_address(n, p, bootstrap->items[i], true, false);
    }
    for (i = 0; i < allow->n; i++) {
        struct peer *p = peers_add(n, &allow->peers[i]);
        if (p != NULL) p->trusted = true;
    }
}
