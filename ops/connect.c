#include <stdio.h>

#include "ops/cli.h"

enum {
    CONNECT_MS = 45000
}; /* several addresses, one after the other, each with its own time-outs in the node */

APPLET(connect)
const struct opt connect_opts[] = {OPT_DRY_RUN, {0}};
const char connect_text[] =
    "Usage: silktalk connect MULTIADDR|PEER\n"
    "Connects, and remembers the peer as one whose messages are taken (messages.from = known).\n"
    "Without /p2p/ in the address the Peer ID found there is shown first, and asked about.\n"
    "Examples:\n"
    "  silktalk connect /ip4/10.0.0.7/tcp/4001/p2p/12D3KooW...\n"
    "  silktalk connect /dns4/web-02.example.net/tcp/4001\n"
    "  silktalk connect web-02\n";

static enum err call(struct cli *c, const char *to, struct json_doc **answer, const struct json **result) {
    struct buf params;
    struct json_out o = cli_params(&params);
    json_put_str(&o, "peer", to);
    return cli_ask(c, "connect", &params, &o, c->timeout_given ? c->timeout_ms : CONNECT_MS, answer, result);
}

/* The node looked up who answers there: the operator says whether that is right. */
static enum err confirm(struct cli *c, struct json_doc **answer, const struct json **result) {
    char addr[MULTIADDR_TEXT_MAX], id[PEER_TEXT_MAX], question[256];
    bytes_cstr(json_get_bytes(*result, "addr"), addr, sizeof addr);
    bytes_cstr(json_get_bytes(*result, "peer_id"), id, sizeof id);
    snprintf(question, sizeof question, "The peer at this address is %s. Connect to it?", id);
    json_free(*answer);
    *answer = NULL;
    if (!cli_confirm(c, question)) {
        printf("%s\n", addr);
        return fail(
            &c->why, E_USAGE,
            "the peer there is %s: compare it, then connect to the full address (above), or use --yes", id);
    }
    return call(c, addr, answer, result);
}

int connect_main(struct cli *c) {
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    if (c->n_args != 1) return cli_usage(c, "connect needs one address or peer");
    if (cli_would(c, "connect to %.200s", c->args[0])) return 0;
    enum err e = call(c, c->args[0], &answer, &result);
    if (e == OK && json_get_bool(result, "confirm", false)) e = confirm(c, &answer, &result);
    if (e == OK && c->json) {
        cli_print_json(result);
    } else if (e == OK) {
        struct bytes id = json_get_bytes(result, "peer_id"), addr = json_get_bytes(result, "addr");
        printf("%s %.*s at %.*s\n",
               json_get_bool(result, "already", false) ? "Already connected to" : "Connected to", (int)id.n,
               (const char *)id.p, (int)addr.n, (const char *)addr.p);
    }
    json_free(answer);
    return cli_exit(c, e);
}
