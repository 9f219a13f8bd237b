/* Alerts of the node itself (operations.md S3 [alerts], S8): when findings have changed for good, and each
 * alerts.repeat while they last, alerts.peers get a message and alerts.webhook a POST request.
 *
 * For good: a finding that is new or worse has to last RAISE_MS, one that is gone or better CLEAR_MS; the
 * latter doubles with each relapse, so that a value that swings around its threshold is told once. What was
 * told, and what the webhook has not got yet, is kept in the store: a restart tells nothing twice and loses
 * nothing. Maintenance silences all of it. */
#include "node/core.h"

#include <stdio.h>

enum {
    RAISE_MS = 20000,
    CLEAR_MS = 60000,
    RELAPSE_MS = 3600 * 1000,
    RELAPSES_MAX = 5,
    UNJUDGED_MS =
        120000, /* a check without a verdict is no good news at once: use of the processor takes a minute */
    RETRY_MIN_MS = 5000,
    RETRY_MAX_MS = 300000,
    RETRY_DOUBLINGS = 6,
    TRIES_BEFORE_FAULT = 3,
    LIFE_MS = 24 * 3600 * 1000, /* then nobody wants to hear it any more */
    PEERS_RETRY_MS = 60000,
    BODY_MAX = 48 << 10,
    HEALTH_JSON_MAX = 40 << 10,
    KEPT_MAX = 1 << 20 /* the largest value of the store */
};

static bool has_webhook(const struct node *n) {
    return cfg(n->config, alerts_webhook).text[0] != 0;
}

size_t alerts_waiting(const struct node *n) {
    size_t waiting = n->alerts.waiting;
    for (size_t i = 0; i < ALERT_PEERS; i++) waiting += n->alerts.peers[i].state != ALERT_PEER_NONE;
    return waiting;
}

bool alerts_fault(const struct node *n, char *out, size_t size) {
    const struct node_alerts *a = &n->alerts;
    bool webhook = a->webhook_fault[0] != 0;
    snprintf(out, size, "%s%s", webhook ? "webhook: " : "", webhook ? a->webhook_fault : a->peers_fault);
    return out[0] != 0;
}

/* ---- what is kept */

static void put_waiting(const struct node *n, struct json_out *o) {
    json_open(o, "waiting", '[');
    for (const struct alert_waiting *w = n->alerts.first; w != NULL; w = w->next) {
        json_open(o, NULL, '{');
        json_put_wall(o, "at", w->at);
        json_put_str(o, "event", w->event);
        json_put_str(o, "findings", w->findings);
        json_put(o, "body", buf_view(&w->body));
        json_shut(o, '}');
    }
    json_shut(o, ']');
}

static void keep(struct node *n) {
    struct buf text = {.max = KEPT_MAX};
    struct json_out o = json_begin(&text);
    json_open(&o, NULL, '{');
    json_put_str(&o, "findings", n->alerts.told);
    json_put_wall(&o, "told", n->alerts.told_at);
    put_waiting(n, &o);
    json_shut(&o, '}');
    if (json_end(&o)) health_keep(n, "alerts", buf_view(&text));
    buf_free(&text);
}

static void drop(struct node *n, struct alert_waiting **at, struct alert_waiting *before) {
    struct alert_waiting *w = *at;
    if (w == NULL) return;
    *at = w->next;
    if (n->alerts.last == w) n->alerts.last = before;
    n->alerts.waiting--;
    buf_free(&w->body);
    mem_free(w);
}

/* The oldest but the one that is on its way. */
static void drop_oldest(struct node *n, const char *reason) {
    struct node_alerts *a = &n->alerts;
    struct alert_waiting *busy = a->posting != 0 ? a->first : NULL,
                         **at = busy != NULL ? &busy->next : &a->first;
    if (*at == NULL) return;
    LOG(n->log, EV_ALERT_NOT_TOLD, kv_str("kind", (*at)->event), kv_str("way", "webhook"),
        kv_str("reason", reason));
    drop(n, at, busy);
}

/* Takes the body; false: no memory. */
static bool enqueue(struct node *n, const char *event, const char *findings, struct wall at,
                    struct bytes body) {
    struct node_alerts *a = &n->alerts;
    struct alert_waiting *w = NEW(struct alert_waiting);
    if (w != NULL) w->body.max = BODY_MAX;
    if (w == NULL || !buf_add(&w->body, body)) {
        mem_free(w);
        return false;
    }
    w->at = at;
    snprintf(w->event, sizeof w->event, "%s", event);
    snprintf(w->findings, sizeof w->findings, "%s", findings);
    if (limit_hit(&n->limits, LIMIT_ALERTS, a->waiting)) {
        limit_reached(n, LIMIT_ALERTS);
        drop_oldest(n, "too many wait");
    }
    if (a->last == NULL)
        a->first = w;
    else
        a->last->next = w;
    a->last = w;
    a->waiting++;
    return true;
}

void alerts_start(struct node *n) {
    struct store_op *op = store_op_new(STORE_META_GET);
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++) n->alerts.of[i].settled = HEALTH_NO_LEVEL;
    if (op == NULL) return;
    snprintf(op->text, sizeof op->text, "alerts");
    node_give(n, op);
}

static void load(struct node *n, const struct json *v) {
    struct node_alerts *a = &n->alerts;
    const struct json *w, *list = json_get(v, "waiting");
    bytes_cstr(json_get_bytes(v, "findings"), a->told, sizeof a->told);
    if (!wall_parse(json_get_bytes(v, "told"), &a->told_at)) a->told_at = (struct wall){0};
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++) {
        int level = alert_level(a->told, bytes_of(health_rows[i].name));
        a->of[i].settled = level < 0 ? HEALTH_NO_LEVEL : level;
    }
    for (size_t i = 0; json_item(list, &i, &w);) {
        char event[sizeof a->first->event], findings[ALERT_FINDINGS_MAX];
        struct wall at;
        if (!wall_parse(json_get_bytes(w, "at"), &at)) continue;
        bytes_cstr(json_get_bytes(w, "event"), event, sizeof event);
        bytes_cstr(json_get_bytes(w, "findings"), findings, sizeof findings);
        enqueue(n, event, findings, at, json_get_bytes(w, "body"));
    }
    a->retry = n->now.mono;
}

void alerts_stored(struct node *n, const struct store_op *op) {
    if (strcmp(op->text, "alerts") != 0) return;
    struct json_doc *doc = op->err == OK && op->out.n > 0 ? json_parse(buf_view(&op->out), NULL) : NULL;
    if (doc != NULL) load(n, json_root(doc));
    json_free(doc);
    n->alerts.loaded = true;
}

void alerts_free(struct node *n) {
    while (n->alerts.first != NULL) drop(n, &n->alerts.first, NULL);
    buf_free(&n->alerts.body);
}

/* ---- peers */

static void peers_failed(struct node *n, struct alert_peer *p, const char *reason) {
    char id[PEER_TEXT_MAX];
    peer_id_text(&p->peer, id);
    p->state = ALERT_PEER_AGAIN;
    snprintf(n->alerts.peers_fault, sizeof n->alerts.peers_fault, "%.90s", reason);
    n->alerts.peers_retry = mono_add_ms(n->now.mono, PEERS_RETRY_MS);
    LOG(n->log, EV_ALERT_NOT_TOLD, kv_str("kind", n->alerts.event), kv_str("way", "peer"), kv_str("to", id),
        kv_str("reason", reason));
}

static void send_to(struct node *n, struct alert_peer *p) {
    struct node_alerts *a = &n->alerts;
    struct peer *peer = peers_add(n, &p->peer);
    struct message m = {.subject = bytes_of(a->subject),
                        .content_type = BYTES(ALERT_TYPE),
                        .body = buf_view(&a->body),
                        .sent_ms = (uint64_t)n->now.wall.ms,
                        .expires_ms = (uint64_t)(n->now.wall.ms + cfg(n->config, messages_expiry).ms)};
    struct why w = {E_LIMIT, "too many peers are known"};
    rng_fill(&n->rng, m.id, sizeof m.id);
    memcpy(p->id, m.id, sizeof m.id);
    p->state = ALERT_PEER_AT_STORE;
    if (peer == NULL || messenger_send(n, peer, &m, NULL, &w) != OK) peers_failed(n, p, w.text);
}

static void send_to_peers(struct node *n) {
    const struct config_list *list = &cfg(n->config, alerts_peers).list;
    memset(n->alerts.peers, 0, sizeof n->alerts.peers);
    n->alerts.peers_fault[0] = 0;
    n->alerts.peers_retry = MONO_NEVER;
    for (size_t i = 0; i < list->n && i < ALERT_PEERS; i++) {
        n->alerts.peers[i].peer = list->peers[i];
        send_to(n, &n->alerts.peers[i]);
    }
}

void alerts_at_store(struct node *n, const struct store_op *op) {
    struct node_alerts *a = &n->alerts;
    bool again = false;
    for (size_t i = 0; i < ALERT_PEERS; i++) {
        struct alert_peer *p = &a->peers[i];
        if (p->state == ALERT_PEER_AT_STORE && memcmp(p->id, op->id, sizeof p->id) == 0) {
            char id[PEER_TEXT_MAX];
            peer_id_text(&p->peer, id);
            p->state = ALERT_PEER_NONE;
            if (op->err == OK)
                LOG(n->log, EV_ALERT_TOLD, kv_str("kind", a->event), kv_str("way", "peer"), kv_str("to", id),
                    kv_str("findings", a->told));
            else
                peers_failed(n, p, op->why.text);
        }
        again |= p->state == ALERT_PEER_AGAIN;
    }
    if (!again) a->peers_fault[0] = 0;
}

static void peers_again(struct node *n) {
    n->alerts.peers_retry = MONO_NEVER;
    for (size_t i = 0; i < ALERT_PEERS; i++)
        if (n->alerts.peers[i].state == ALERT_PEER_AGAIN) send_to(n, &n->alerts.peers[i]);
}

/* ---- telling */

static void make_subject(struct node *n, const char *event, const struct json *health, const char *findings) {
    struct buf words = {.max = 4096}, line = {.max = 8192};
    alert_words(health, findings, &words);
    buf_add_format(&line, "SilkTalk %s: %s: ", event, cfg(n->config, node_name).text);
    buf_add(&line, buf_view(&words));
    struct bytes text = buf_view(&line);
    text.n = MIN(text.n, (size_t)MESSAGE_SUBJECT_MAX);
    while (text.n > 0 && !utf8_valid(text)) text.n--; /* not in the middle of a character */
    bytes_cstr(text, n->alerts.subject, sizeof n->alerts.subject);
    buf_free(&words);
    buf_free(&line);
}

/* The webhook is not told that it was not to be reached. */
static void without_alerts(const char *findings, char out[ALERT_FINDINGS_MAX]) {
    struct bytes list = bytes_of(findings), one;
    out[0] = 0;
    while (bytes_split(&list, ',', &one)) {
        size_t used = strlen(out);
        if (bytes_starts(one, "alerts:")) continue;
        snprintf(out + used, ALERT_FINDINGS_MAX - used, "%s%.*s", used > 0 ? "," : "", (int)one.n,
                 (const char *)one.p);
    }
}

static bool for_webhook(const struct node *n, const char *event, const char *findings) {
    const struct node_alerts *a = &n->alerts;
    char before[ALERT_FINDINGS_MAX], now[ALERT_FINDINGS_MAX];
    if (!has_webhook(n)) return false;
    if (strcmp(event, "repeat") == 0) /* one that waits tells it already */
        return a->last == NULL || strcmp(a->last->findings, findings) != 0;
    without_alerts(a->told, before);
    without_alerts(findings, now);
    return strcmp(before, now) != 0;
}

static void tell(struct node *n, const char *event, const char *findings) {
    struct node_alerts *a = &n->alerts;
    struct buf text = {.max = HEALTH_JSON_MAX};
    struct alert alert = {.event = event, .findings = findings, .config = n->config, .now = n->now.wall};
    struct json_doc *doc = health_write(n, &text) ? json_parse(buf_view(&text), NULL) : NULL;
    bool made = false;
    buf_free(&text);
    if (doc != NULL) {
        alert.health = json_root(doc);
        rng_fill(&n->rng, alert.id, sizeof alert.id);
        buf_free(&a->body);
        a->body.max = BODY_MAX;
        made = alert_write(&alert, &a->body);
        make_subject(n, event, alert.health, findings);
    }
    json_free(doc);
    if (!made) return; /* no memory: it is tried again when health is judged next */
    if (for_webhook(n, event, findings) && !enqueue(n, event, findings, n->now.wall, buf_view(&a->body)))
        return;
    if (a->waiting == 1 && a->posting == 0) a->retry = n->now.mono;
    snprintf(a->event, sizeof a->event, "%s", event);
    snprintf(a->told, sizeof a->told, "%s", findings);
    a->told_at = n->now.wall;
    send_to_peers(n);
    keep(n);
}

/* ---- what has changed for good */

static int level_now(const struct node *n, size_t i) {
    const struct health_result *r = &n->health.judged.of[i];
    if (!r->judged || r->status == HEALTH_OK) return HEALTH_NO_LEVEL;
    return r->level == HEALTH_NO_LEVEL ? HEALTH_P2 : (int)r->level;
}

static void settle(struct alert_check *c, int level, struct mono now) {
    bool back = c->settled == HEALTH_NO_LEVEL && level != HEALTH_NO_LEVEL;
    bool soon = c->recovered.us != 0 && mono_diff_ms(now, c->recovered) < RELAPSE_MS;
    if (back) c->relapses = soon ? MIN(c->relapses + 1, (unsigned)RELAPSES_MAX) : 0;
    if (level == HEALTH_NO_LEVEL) c->recovered = now;
    c->settled = level;
    c->side = 0;
}

static void look_at(struct node *n, size_t i) {
    struct alert_check *c = &n->alerts.of[i];
    struct mono now = n->now.mono;
    int level = level_now(n, i);
    int side = level == c->settled ? 0 : level < c->settled ? -1 : 1;
    if (side != c->side) {
        c->side = side;
        c->since = now;
    }
    int64_t hold = side < 0 ? RAISE_MS : (int64_t)CLEAR_MS << c->relapses;
    if (!n->health.judged.of[i].judged) hold = MAX(hold, (int64_t)UNJUDGED_MS);
    if (side != 0 && mono_diff_ms(now, c->since) >= hold) settle(c, level, now);
}

void alerts_judged(struct node *n) {
    struct node_alerts *a = &n->alerts;
    int least = (int)cfg(n->config, alerts_minLevel).count;
    char findings[ALERT_FINDINGS_MAX] = "";
    if (!a->loaded || !n->loaded || n->stopping) return;
    for (size_t i = 0; i < HEALTH_CHECK_COUNT; i++) {
        look_at(n, i);
        if (a->of[i].settled <= least) alert_add(findings, health_rows[i].name, a->of[i].settled);
    }
    bool nobody = !has_webhook(n) && cfg(n->config, alerts_peers).list.n == 0;
    if (nobody || n->health.maintenance.on) return;
    const char *event = alert_event(a->told, a->told_at, findings, n->now.wall,
                                    cfg(n->config, alerts_repeat).ms);
    if (event != NULL) tell(n, event, findings);
}

/* ---- the webhook */

static void post(struct node *n) {
    struct node_alerts *a = &n->alerts;
    a->retry = MONO_NEVER;
    if (++a->next_post == 0) a->next_post = 1;
    a->posting = a->next_post;
    node_push(n, &(struct node_effect){
                     .kind = EFFECT_POST, .id = a->posting, .line = buf_view(&a->first->body), .fd = -1});
}

void node_posted(struct node *n, uint32_t id, const char *to, const struct why *why) {
    struct node_alerts *a = &n->alerts;
    if (id == 0 || id != a->posting) return;
    a->posting = 0;
    struct alert_waiting *w = a->first;
    if (why == NULL) {
        LOG(n->log, EV_ALERT_TOLD, kv_str("kind", w->event), kv_str("way", "webhook"), kv_str("to", to),
            kv_str("findings", w->findings));
        drop(n, &n->alerts.first, NULL);
        a->tries = 0;
        a->webhook_fault[0] = 0;
        a->retry = n->now.mono;
        keep(n);
        return;
    }
    LOG(n->log, EV_ALERT_NOT_TOLD, kv_str("kind", w->event), kv_str("way", "webhook"), kv_str("to", to),
        kv_str("reason", why->text));
    a->tries++;
    if (a->tries >= TRIES_BEFORE_FAULT)
        snprintf(a->webhook_fault, sizeof a->webhook_fault, "%.90s", why->text);
    int64_t wait = (int64_t)RETRY_MIN_MS << MIN(a->tries - 1, (unsigned)RETRY_DOUBLINGS);
    a->retry = mono_add_ms(n->now.mono, rng_jitter(&n->rng, MIN(wait, (int64_t)RETRY_MAX_MS), 25));
}

static void drop_all(struct node *n, const char *reason) {
    struct node_alerts *a = &n->alerts;
    size_t stay = a->posting != 0 ? 1 : 0;
    while (a->waiting > stay) drop_oldest(n, reason);
    a->tries = 0;
    a->webhook_fault[0] = 0;
}

void alerts_reconfigured(struct node *n) {
    struct node_alerts *a = &n->alerts;
    if (a->loaded && !has_webhook(n) && a->waiting > 0) {
        drop_all(n, "there is no webhook any more");
        keep(n);
    }
    if (a->waiting > 0 && a->posting == 0) a->retry = n->now.mono; /* it may be another one, or mended */
}

void alerts_tick(struct node *n) {
    struct node_alerts *a = &n->alerts;
    n->limits.of[LIMIT_ALERTS].used = a->waiting;
    if (n->stopping || !a->loaded || n->health.maintenance.on) return;
    if (mono_due(a->peers_retry, n->now.mono)) peers_again(n);
    if (a->posting != 0 || !mono_due(a->retry, n->now.mono)) return;
    while (a->first != NULL && n->now.wall.ms - a->first->at.ms > LIFE_MS)
        drop_oldest(n, "given up after a day");
    if (!has_webhook(n)) drop_all(n, "there is no webhook any more");
    if (a->first != NULL)
        post(n);
    else
        a->retry = MONO_NEVER;
}

struct mono alerts_deadline(const struct node *n) {
    const struct node_alerts *a = &n->alerts;
    if (n->stopping || !a->loaded || n->health.maintenance.on) return MONO_NEVER;
    return mono_sooner(a->peers_retry, a->posting == 0 ? a->retry : MONO_NEVER);
}
