/* tests/abuse/attacker.c: one attack on a node, see attacks.h and abuse.py.
 *   attacker NAME HOST:PORT [seed=N] [count=N] [key=HEX] [from=IP]    dials the node
 *   attacker NAME listen [seed=N] [count=N] [key=HEX]         says where it listens and who it is, and waits
 * for the node's dials: one attack each, until stdin ends attacker id [seed=N] its peer id Exit 0: the attack
 * was carried out; what came of it is on stdout. */
#include "tests/abuse/attacks.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const struct attack *const tables[] = {attacks_handshake, attacks_noise, attacks_mux, attacks_app};

static const struct attack *find(const char *name) {
    for (size_t i = 0; i < LEN(tables); i++)
        for (const struct attack *a = tables[i]; a->name != NULL; a++)
            if (strcmp(a->name, name) == 0) return a;
    wire_fail("%s: no such attack", name);
}

static void who(const struct target *t) {
    char text[PEER_TEXT_MAX];
    peer_id_text(&t->self.peer, text);
    printf("%s\n", text);
    fflush(stdout);
}

static void serve(const struct attack *a, struct target *t) {
    t->listener = wire_listen(&t->port);
    t->listening = true;
    printf("%u ", t->port);
    who(t);
    for (;;) {
        struct pollfd p[] = {{.fd = t->listener, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        poll(p, 2, -1);
        if (p[1].revents != 0) return;
        struct identity self = t->self;
        a->run(t);
        t->self = self;
        t->count++;
    }
}

int main(int argc, char **argv) {
    struct target t = {.count = 1};
    uint64_t seed = 1;
    uint8_t key[32];
    signal(SIGPIPE, SIG_IGN);
    if (crypto_open() != OK || argc < 2) wire_fail("attacker NAME HOST:PORT | listen");
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "seed=", 5) == 0) seed = strtoull(argv[i] + 5, NULL, 10);
        if (strncmp(argv[i], "count=", 6) == 0) t.count = strtoull(argv[i] + 6, NULL, 10);
        if (strncmp(argv[i], "from=", 5) == 0) t.from = argv[i] + 5;
        if (strncmp(argv[i], "key=", 4) != 0) continue;
        for (size_t k = 0; k < 32; k++) {
            char digits[3] = {argv[i][4 + 2 * k], argv[i][5 + 2 * k], 0};
            key[k] = (uint8_t)strtoul(digits, NULL, 16);
        }
        t.swarm_key = key;
    }
    struct rng own = rng_seeded(seed), foreign = rng_seeded(seed + 1000000);
    identity_make(&t.self, &own);
    identity_make(&t.other, &foreign);
    rng_system(&t.rng);
    if (strcmp(argv[1], "id") == 0) {
        who(&t);
        return 0;
    }
    if (argc < 3) wire_fail("attacker NAME HOST:PORT | listen");
    const struct attack *a = find(argv[1]);
    if (strcmp(argv[2], "listen") == 0) {
        serve(a, &t);
    } else {
        if (sscanf(argv[2], "%63[^:]:%u", t.host, &t.port) != 2) wire_fail("%s: not HOST:PORT", argv[2]);
        a->run(&t);
    }
    return 0;
}
