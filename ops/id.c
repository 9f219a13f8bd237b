#include <stdio.h>

#include "base/text.h"
#include "ops/cli.h"

APPLET(id)
const struct opt id_opts[] = {{0, "addrs", NULL, NULL, "full addresses, one a line (needs the running node)"},
                              {0}};
const char id_text[] = "Usage: silktalk id [--addrs] [--json]\n"
                       "Prints the Peer ID; give it, or a full address, to the peers that shall connect.\n"
                       "Examples:\n"
                       "  silktalk id\n"
                       "  silktalk id --addrs\n";

static void show(struct cli *c, const struct json *result) {
    const struct json *addrs = json_get(result, "addrs");
    if (!cli_given(c, "addrs")) {
        struct bytes id = json_get_bytes(result, "peer_id");
        printf("%.*s\n", (int)id.n, (const char *)id.p);
    }
    for (size_t i = 0; cli_given(c, "addrs") && i < json_count(addrs); i++) {
        struct bytes a = json_bytes(json_at(addrs, i));
        printf("%.*s\n", (int)a.n, (const char *)a.p);
    }
}

/* As the node's answer; addresses are known to it alone. */
static void print_json(const struct cli *c, const struct identity *id, const char *text) {
    struct buf line = {.max = 8192}, key = {.max = 256};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.id/1");
    json_put_str(&o, "peer_id", text);
    json_put_str(&o, "name", cfg(c->config, node_name).text);
    base64_encode(&key, bytes_at(id->public_key, sizeof id->public_key), false);
    json_put(&o, "public_key", buf_view(&key));
    json_put_str(&o, "key_type", "Ed25519");
    json_open(&o, "addrs", '[');
    json_shut(&o, ']');
    json_put_null(&o, "private_network");
    json_shut(&o, '}');
    if (json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&key);
    buf_free(&line);
}

/* The identity file alone says who the node is: works with the node down. */
static int from_file(struct cli *c) {
    struct identity id;
    char text[PEER_TEXT_MAX];
    enum err e = cli_config(c);
    if (e == OK) e = home_identity(&c->home, c->config, &id, &c->why);
    if (e != OK) return cli_exit(c, e);
    peer_id_text(&id.peer, text);
    if (c->json)
        print_json(c, &id, text);
    else
        printf("%s\n", text);
    identity_wipe(&id);
    return 0;
}

int id_main(struct cli *c) {
    struct buf params;
    if (c->n_args > 0) return cli_usage(c, "id takes no words");
    if (!cli_given(c, "addrs") && !cli_node_runs(c)) return from_file(c);
    struct json_out o = cli_params(&params);
    return cli_verb(c, "id", &params, &o, show);
}
