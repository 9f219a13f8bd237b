#include "node/core.h"

#include <ctype.h>

enum { LIMIT_LOG_MS = 10000, GROUP_IDLE_MS = 60000, INBOUND_BURST_S = 2 };

/* ---- who may connect */

static bool cidr_listed(const struct config_list *list, const struct ip *ip) {
    for (size_t i = 0; i < list->n; i++)
        if (cidr_has(&list->cidrs[i], ip)) return true;
    return false;
}

static bool peer_listed(const struct config_list *list, const struct peer_id *id) {
    for (size_t i = 0; i < list->n; i++)
        if (peer_id_eq(&list->peers[i], id)) return true;
    return false;
}

/* operations.md S10: denyCidrs, denyPeers; the allowlist; allowCidrs. */
const char *access_refuses(const struct node *n, const struct ip *ip, const struct peer *peer) {
    const struct config *c = n->config;
    if (ip != NULL && cidr_listed(&cfg(c, access_denyCidrs).list, ip)) return "denyCidrs";
    if (peer != NULL && peer_listed(&cfg(c, access_denyPeers).list, &peer->id)) return "denyPeers";
    enum { MODE_ALLOWLIST = 1 };
    if (peer != NULL && cfg(c, access_mode).count == MODE_ALLOWLIST &&
        !peer_listed(&cfg(c, access_allowPeers).list, &peer->id))
        return "mode=allowlist";
    const struct config_list *only = &cfg(c, access_allowCidrs).list;
    if (ip != NULL && only->n > 0 && !cidr_listed(only, ip)) return "allowCidrs";
    return NULL;
}

#define ACCESS_RULE_NAME(name) name,
const char *const access_rules[ACCESS_RULE_COUNT] = {ACCESS_RULES(ACCESS_RULE_NAME)};

void access_denied(struct node *n, const char *rule) {
    for (size_t i = 0; i < ACCESS_RULE_COUNT; i++)
        if (strcmp(access_rules[i], rule) == 0) n->counts.denied[i]++;
}

/* ---- who may send */

static bool is_allowed(const struct peer *p) {
    return p->trusted || (p->flags & PEER_ALLOWED) != 0;
}

bool access_is_stranger(const struct node *n, const struct peer *p) {
    (void)n;
    uint32_t known = PEER_OPERATOR | PEER_NAMED | PEER_ALLOWED | PEER_WRITTEN_TO;
    return !p->trusted && (p->flags & known) == 0;
}

bool access_may_send(const struct node *n, const struct peer *p) {
    enum { FROM_KNOWN, FROM_ANY, FROM_ALLOWED };
    switch (cfg(n->config, messages_from).count) {
    case FROM_ANY: return true;
    case FROM_ALLOWED: return is_allowed(p);
    default: return !access_is_stranger(n, p);
    }
}

/* ---- limits per address */

struct address_group {
    struct cidr block;
    uint8_t key[18];
    size_t connections;
    struct bucket rate;
};

static struct bytes group_key(struct address_group *g) {
    g->key[0] = g->block.base.version;
    g->key[1] = g->block.bits;
    memcpy(g->key + 2, g->block.base.p, 16);
    return bytes_at(g->key, sizeof g->key);
}

static struct address_group *group_of(struct node *n, const struct ip *ip, bool make) {
    struct address_group wanted = {.block = ip_group(ip)};
    struct address_group *g = map_find(&n->address_groups, group_key(&wanted));
    if (g != NULL || !make) return g;
    g = NEW(struct address_group);
    if (g == NULL) return NULL;
    *g = wanted;
    if (map_add(&n->address_groups, group_key(g), g) == OK) return g;
    mem_free(g);
    return NULL;
}

bool bucket_take(struct bucket *b, struct mono now, uint64_t rate, uint64_t burst_s) {
    int64_t full = (int64_t)(rate * burst_s) * 1000000;
    if (b->at.us == 0) b->micro_tokens = full;
    int64_t passed = MIN(MAX(now.us - b->at.us, (int64_t)0), (int64_t)burst_s * 1000000);
    b->micro_tokens = MIN(b->micro_tokens + passed * (int64_t)rate, full);
    b->at = now;
    if (b->micro_tokens < 1000000) return false;
    b->micro_tokens -= 1000000;
    return true;
}

bool access_admit(struct node *n, const struct ip *ip) {
    struct address_group *g = group_of(n, ip, true);
    if (g == NULL) return false;
    if (limit_hit(&n->limits, LIMIT_PER_ADDRESS, g->connections)) {
        limit_reached(n, LIMIT_PER_ADDRESS);
        return false;
    }
    if (!bucket_take(&g->rate, n->now.mono, limit_max(&n->limits, LIMIT_INBOUND_RATE), INBOUND_BURST_S)) {
        limit_hit(&n->limits, LIMIT_INBOUND_RATE, UINT64_MAX);
        limit_reached(n, LIMIT_INBOUND_RATE);
        return false;
    }
    g->connections++;
    return true;
}

void access_release(struct node *n, const struct ip *ip) {
    struct address_group *g = group_of(n, ip, false);
    if (g != NULL && g->connections > 0) g->connections--;
}

void access_sweep(struct node *n) {
    size_t i = 0;
    uint64_t most = 0;
    for (struct address_group *g; (g = map_next(&n->address_groups, &i)) != NULL;) {
        most = MAX(most, (uint64_t)g->connections);
        if (g->connections > 0 || mono_diff_ms(n->now.mono, g->rate.at) < GROUP_IDLE_MS) continue;
        map_drop(&n->address_groups, bytes_at(g->key, sizeof g->key));
        mem_free(g);
    }
    n->limits.of[LIMIT_PER_ADDRESS].used = most;
}

void access_free(struct node *n) {
    size_t i = 0;
    for (struct address_group *g; (g = map_next(&n->address_groups, &i)) != NULL;) mem_free(g);
    map_free(&n->address_groups);
}

void limit_reached(struct node *n, enum limit_id id) {
    if (n->limit_logged[id].us != 0 && mono_diff_ms(n->now.mono, n->limit_logged[id]) < LIMIT_LOG_MS) return;
    n->limit_logged[id] = n->now.mono;
    LOG(n->log, EV_LIMIT_REACHED, kv_str("limit", limit_rows[id].name),
        kv_int("max", (int64_t)limit_max(&n->limits, id)), kv_str("outcome", limit_rows[id].outcome));
}

static bool names_key(const char *text, const char *key) {
    const char *at = strstr(text, key);
    size_t n = strlen(key);
    while (at != NULL && isalpha((unsigned char)at[n]))
        at = strstr(at + n, key); /* outboxMax of outboxMaxBytes */
    return at != NULL;
}

void limit_reached_by_key(struct node *n, const char *text) {
    for (int i = 0; i < LIMIT_COUNT; i++) {
        enum limit_id id = (enum limit_id)i;
        if (limit_rows[id].key == NULL || !names_key(text, limit_rows[id].key)) continue;
        limit_hit(&n->limits, id, UINT64_MAX);
        limit_reached(n, id);
    }
}
