#include <stdio.h>

#include "base/text.h"
#include "ops/cli.h"

APPLET(peer)
const struct opt peer_opts[] = {OPT_DRY_RUN, {0}};
const char peer_text[] =
    "Usage: silktalk peer show PEER | name PEER NAME | forget PEER\n"
    "PEER is a Peer ID, a multiaddr with /p2p/, a name, or a unique ending of 6 characters or more.\n"
    "An empty NAME takes the name away. `forget` deletes what is known of a peer that is not connected.\n"
    "Examples:\n"
    "  silktalk peer show web-02\n"
    "  silktalk peer name 12D3KooW...abc web-02\n";

static void line(const char *label, const struct json *o, const char *key) {
    struct buf safe = {.max = 4096};
    cli_safe(json_get_bytes(o, key), false, &safe);
    printf("%-12s %s\n", label, safe.n == 0 ? "unknown" : buf_cstr(&safe));
    buf_free(&safe);
}

static void time_line(const char *label, const struct json *o, const char *key) {
    struct buf text = {.max = 256};
    cli_time(json_get(o, key), &text);
    printf("%-12s %s\n", label, buf_cstr(&text));
    buf_free(&text);
}

static void show(struct cli *c, const struct json *r) {
    (void)c;
    const struct json *addrs = json_get(r, "addresses"), *protocols = json_get(r, "protocols"),
                      *conns = json_get(r, "connections");
    line("Name", r, "name");
    line("Peer ID", r, "peer_id");
    line("Agent", r, "agent");
    time_line("First seen", r, "first_seen");
    time_line("Last seen", r, "last_seen");
    printf("%-12s %s\n", "May send", json_get_bool(r, "may_send", false) ? "yes" : "no (messages.from)");
    printf("%-12s %lld\n", "Outbox", (long long)json_get_int(r, "outbox", 0));
    for (size_t i = 0; i < json_count(conns); i++) line("Connection", json_at(conns, i), "addr");
    for (size_t i = 0; i < json_count(addrs); i++) line("Address", json_at(addrs, i), "addr");
    for (size_t i = 0; i < json_count(protocols); i++) {
        struct buf safe = {.max = 1024};
        cli_safe(json_bytes(json_at(protocols, i)), false, &safe);
        printf("%-12s %s\n", "Protocol", buf_cstr(&safe));
        buf_free(&safe);
    }
}

int peer_main(struct cli *c) {
    struct buf params;
    const char *verb = c->n_args > 0 ? c->args[0] : "";
    bool naming = strcmp(verb, "name") == 0, showing = strcmp(verb, "show") == 0,
         forgetting = strcmp(verb, "forget") == 0;
    if (!naming && !showing && !forgetting) return cli_usage(c, "peer needs show, name or forget");
    if (c->n_args != (naming ? 3 : 2))
        return cli_usage(c, naming ? "peer name needs a peer and a name" : "peer %s needs one peer", verb);
    if (naming && cli_would(c, "name %.80s %.80s", c->args[1], c->args[2])) return 0;
    if (forgetting && cli_would(c, "forget %.80s", c->args[1])) return 0;
    if (forgetting && !cli_confirm(c, "Forget this peer: its name, addresses and permissions?"))
        return cli_usage(c, "not confirmed; --yes forgets without asking");
    struct json_out o = cli_params(&params);
    json_put_str(&o, "peer", c->args[1]);
    if (naming) json_put_str(&o, "name", c->args[2]);
    return cli_verb(c,
                    naming    ? "peer.name"
                    : showing ? "peer.show"
                              : "peer.forget",
                    &params, &o, showing ? show : NULL);
}
