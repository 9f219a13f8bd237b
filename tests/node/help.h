/* tests/node/help.h: what the tests of nodes share: worlds of a few nodes (tests/sim/world.h) without random
 * faults. */
#pragma once
#include <stdarg.h>

#include "node/messenger.h"
#include "tests/sim/world.h"
#include "tests/test.h"

#define ANY "[messages]\nfrom = any\n"

static inline struct world *quiet_world(void) {
    struct world *w = world_new(test_seed(), &(struct sim_network){.delay_us = 1000, .jitter_us = 500});
    w->verbose = getenv("VERBOSE") != NULL;
    return w;
}

static inline void end_world(struct world *w) {
    CHECK(w->broken[0] == 0, "%s", w->broken);
    size_t left = world_free(w);
    CHECK(left == 0, "%zu blocks of memory are left", left);
}

/* A started node. */
static inline size_t node_with(struct world *w, const char *ini) {
    size_t i = world_add(w, ini);
    world_start(w, i);
    world_run(w, 50); /* its peer book is read */
    return i;
}

static inline struct node *node_of(struct world *w, size_t i) {
    return w->nodes[i]->node;
}

static inline const char *connect_to(struct world *w, size_t a, size_t b) {
    return world_ask(w, a, "connect", "{\"peer\":\"%s\"}", world_address(w, b));
}

static inline void must_connect(struct world *w, size_t a, size_t b) {
    const char *answer = connect_to(w, a, b);
    CHECK(answer != NULL && strstr(answer, "\"result\"") != NULL, "%s",
          answer == NULL ? "no answer" : answer);
    world_run(w, 200); /* identify */
}

static inline void send_text(struct world *w, size_t a, size_t b, const char *text) {
    const char *answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"%s\"}", world_address(w, b),
                                   text);
    CHECK(answer != NULL && strstr(answer, "\"queued\"") != NULL, "%s",
          answer == NULL ? "no answer" : answer);
}

static inline size_t open_connections(struct world *w, size_t i) {
    size_t n = 0;
    for (const struct connection *c = node_of(w, i)->connections; c != NULL; c = c->next)
        n += c->state == CONN_OPEN;
    return n;
}

/* Rows of an inbox in their order, joined by blanks. */
static inline void join_body(void *user, const struct sim_row *row) {
    buf_add(user, row->body);
    buf_add_byte(user, ' ');
}
static inline bool inbox_is(struct world *w, size_t i, const char *want) {
    struct buf all = {.max = 8 << 20};
    world_rows(w, i, true, join_body, &all);
    bool same = bytes_is(buf_view(&all), want);
    if (!same) printf("the inbox has: %.*s\n", (int)MIN(all.n, (size_t)400), (const char *)all.p);
    buf_free(&all);
    return same;
}

static inline bool outbox_empty(struct world *w, void *user) {
    const struct sim_node *n = user;
    (void)w;
    return n->up && node_outbox(n->node) == 0 && n->waiting == 0 && n->node->unended == NULL;
}
static inline bool all_sent(struct world *w, size_t i, int64_t ms) {
    return world_until(w, ms, outbox_empty, w->nodes[i]);
}

/* The only connection of a to b. */
static inline struct connection *connection_to(struct world *w, size_t a, size_t b) {
    struct peer *p = world_peer(w, a, b);
    return p == NULL ? NULL : peer_connection(p);
}

/* The answer of a request has, or has not, this text. */
static inline void must_have(const char *answer, const char *text) {
    CHECK(answer != NULL && strstr(answer, text) != NULL, "'%s' is not in %s", text,
          answer == NULL ? "no answer" : answer);
}
static inline void must_fail(const char *answer, const char *name) {
    char text[64];
    snprintf(text, sizeof text, "\"name\":\"%s\"", name);
    must_have(answer, "\"error\":{\"schema\":\"silktalk.error/1\"");
    must_have(answer, text);
}

static inline uint64_t logged(struct world *w, size_t i, enum event e) {
    return w->nodes[i]->log.counts[e];
}
