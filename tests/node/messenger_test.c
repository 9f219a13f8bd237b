/* One message from one node to another, end to end; then what can go wrong on its way. */
#include "tests/sim/world.h"
#include "tests/test.h"

static void count(void *user, const struct sim_row *row) {
    (void)row;
    ++*(size_t *)user;
}

TEST(a_message_arrives) {
    struct world *w = world_new(1, &(struct sim_network){.delay_us = 1000});
    w->verbose = getenv("VERBOSE") != NULL;
    size_t a = world_add(w, ""), b = world_add(w, "[messages]\nfrom = any\n"), rows = 0;
    world_start(w, a);
    world_start(w, b);
    const char *answer = world_ask(w, a, "send", "{\"peer\":\"%s\",\"body\":\"hello\",\"wait\":true}",
                                   world_address(w, b));
    CHECK(answer != NULL && strstr(answer, "\"stored\"") != NULL, "%s", answer == NULL ? "none" : answer);
    world_rows(w, b, true, count, &rows);
    CHECK(rows == 1 && node_outbox(w->nodes[a]->node) == 0);
    CHECK(w->broken[0] == 0, "%s", w->broken);
    CHECK(world_free(w) == 0);
}
