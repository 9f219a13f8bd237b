/* tests/node/config_value_test.c: one value of the configuration: every key's default and range, every type's
 * forms, damage, and memory that fails at any time */
#include "node/config_value.h"

#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

#define PEER "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define PEER2 "12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh"

/* Parses and frees again: OK, or why. `normal` (or NULL) gets the normalised text. */
static enum err try(enum config_key key, struct bytes text, char *normal, size_t size, struct why *w) {
    union config_value v;
    char *out = NULL;
    struct why own = {0};
    w = w == NULL ? &own : w;
    *w = own;
    enum err e = config_value_parse(key, text, &v, &out, w);
    CHECK((e == OK) == (out != NULL) && (e == OK || (w->code == e && w->text[0] != '\0')), "%s", w->text);
    if (normal != NULL) snprintf(normal, size, "%s", out == NULL ? "" : out);
    if (e == OK) config_value_free(config_rows[key].type, &v);
    mem_free(out);
    return e;
}

static bool good(enum config_key key, const char *text) {
    return try(key, bytes_of(text), NULL, 0, NULL) == OK;
}

/* ---- ranges: from the table, at n and n + 1 */

static uint64_t number_of(const struct config_row *row, const char *text, size_t n) {
    uint64_t v = 0;
    int64_t ms = 0;
    struct bytes in = bytes_at(text, n);
    switch ((int)row->type) {
    case CONFIG_TIME:
        CHECK(duration_parse(in, 0, &ms), "%s: %.*s", row->name, (int)n, text);
        return (uint64_t)ms;
    case CONFIG_SIZE: CHECK(size_parse(in, &v), "%s", row->name); return v;
    case CONFIG_MODE: return strtoull(text, NULL, 8);
    case CONFIG_PERCENT: return strtoull(text, NULL, 10) * 1000;
    default:
        CHECK(n > 0 && text[0] >= '0' && text[0] <= '9', "%s", row->name);
        return strtoull(text, NULL, 10);
    }
}

static const char *one_item(const struct config_row *row) {
    switch ((int)row->type) {
    case CONFIG_PEERS: return PEER;
    case CONFIG_CIDRS: return "10.0.0.0/8";
    case CONFIG_IPS: return "2001:db8::1";
    case CONFIG_LISTENS: return "[::1]:8080";
    case CONFIG_HOSTS: return "host-1.example:80";
    case CONFIG_BOOTSTRAPS: return "/ip4/10.0.0.1/tcp/4001/p2p/" PEER;
    default: return "/ip4/10.0.0.1/tcp/4001";
    }
}

/* A value of that number, length or count. */
static void put_value(const struct config_row *row, uint64_t v, struct buf *out) {
    switch ((int)row->type) {
    case CONFIG_TIME: CHECK(buf_add_format(out, "%llums", (unsigned long long)v)); break;
    case CONFIG_SIZE: CHECK(buf_add_format(out, "%lluB", (unsigned long long)v)); break;
    case CONFIG_RATE: CHECK(buf_add_format(out, "%llu/s", (unsigned long long)v)); break;
    case CONFIG_MODE: CHECK(buf_add_format(out, "%04llo", (unsigned long long)v)); break;
    case CONFIG_PERCENT:
        CHECK(buf_add_format(out, "%llu.%03u", (unsigned long long)v / 1000, (unsigned)(v % 1000)));
        break;
    case CONFIG_COUNT: CHECK(buf_add_format(out, "%llu", (unsigned long long)v)); break;
    case CONFIG_TEXT:
        for (uint64_t i = 0; i < v; i++) CHECK(buf_add_byte(out, 'x'));
        break;
    default:
        for (uint64_t i = 0; i < v; i++) CHECK(buf_add_format(out, "%s%s", i == 0 ? "" : ",", one_item(row)));
        break;
    }
}

static bool takes(enum config_key key, uint64_t v) {
    struct buf text = {.max = CONFIG_FILE_MAX};
    put_value(&config_rows[key], v, &text);
    enum err e = try(key, buf_view(&text), NULL, 0, NULL);
    buf_free(&text);
    CHECK(e == OK || e == E_INPUT);
    return e == OK;
}

TEST(every_range_holds_at_both_ends) {
    size_t ranges = 0;
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_row *row = &config_rows[k];
        const char *dots = strstr(row->range, "..");
        bool plain = row->type == CONFIG_PATH || row->type == CONFIG_BOOL || row->type == CONFIG_CHOICE ||
                     row->type == CONFIG_URL || row->type == CONFIG_PROGRAM ||
                     (row->type == CONFIG_TEXT && strcmp(row->range, "none") == 0);
        CHECK((dots != NULL) == !plain, "%s: %s", row->name, row->range);
        if (dots == NULL) continue;
        uint64_t least = number_of(row, row->range, (size_t)(dots - row->range));
        uint64_t most = number_of(row, dots + 2, strlen(dots + 2));
        CHECK(least < most, "%s", row->name);
        CHECK(takes((enum config_key)k, least) && takes((enum config_key)k, most), "%s", row->name);
        CHECK(!takes((enum config_key)k, most + 1), "%s", row->name);
        CHECK(least == 0 || !takes((enum config_key)k, least - 1), "%s", row->name);
        ranges++;
    }
    CHECK(ranges > 30);
}

TEST(every_default_is_a_good_value) {
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_row *row = &config_rows[k];
        char normal[300], again[300];
        struct why w;
        if (row->value[0] == '<') continue; /* worked out from the home */
        CHECK(try((enum config_key)k, bytes_of(row->value), normal, sizeof(normal), &w) == OK, "%s: %s",
              row->name, w.text);
        CHECK(try((enum config_key)k, bytes_of(normal), again, sizeof(again), &w) == OK, "%s", row->name);
        CHECK(strcmp(normal, again) == 0, "%s: %s, then %s", row->name, normal, again);
        CHECK(row->type == CONFIG_SIZE || strcmp(normal, row->value) == 0, "%s: %s", row->name, normal);
    }
}

/* ---- forms */

static const struct {
    enum config_key key;
    const char *in, *out; /* out NULL: refused */
} forms[] = {
    {CONFIG_connection_maxConnections, " 42 ", "42"},
    {CONFIG_connection_maxConnections, "0042", "42"},
    {CONFIG_connection_maxConnections, "", NULL},
    {CONFIG_connection_maxConnections, "-1", NULL},
    {CONFIG_connection_maxConnections, "+1", NULL},
    {CONFIG_connection_maxConnections, "1e3", NULL},
    {CONFIG_connection_maxConnections, "0x10", NULL},
    {CONFIG_connection_maxConnections, "42 43", NULL},
    {CONFIG_connection_maxConnections, "18446744073709551617", NULL}, /* 2^64 + 1 */
    {CONFIG_messages_ratePerPeer, "7", "7/s"},
    {CONFIG_messages_ratePerPeer, "7/s", "7/s"},
    {CONFIG_messages_ratePerPeer, "7 /s", "7/s"},
    {CONFIG_messages_ratePerPeer, "7/m", NULL},
    {CONFIG_messages_ratePerPeer, "/s", NULL},
    {CONFIG_connection_idleTimeout, "90", "90s"},
    {CONFIG_connection_idleTimeout, "1h30m", "90m"},
    {CONFIG_connection_idleTimeout, "10000ms", "10s"},
    {CONFIG_connection_idleTimeout, "10 s", NULL},
    {CONFIG_connection_idleTimeout, "ten", NULL},
    {CONFIG_connection_idleTimeout, "106751991168d", NULL},
    {CONFIG_messages_maxBody, "1048576", "1MiB"},
    {CONFIG_messages_maxBody, "1025", "1025B"},
    {CONFIG_messages_maxBody, "64 KiB", "64KiB"},
    {CONFIG_messages_maxBody, "1MB", NULL},
    {CONFIG_network_privateOnly, "yes", "yes"},
    {CONFIG_network_privateOnly, "true", "yes"},
    {CONFIG_network_privateOnly, "1", "yes"},
    {CONFIG_network_privateOnly, "on", "yes"},
    {CONFIG_network_privateOnly, "no", "no"},
    {CONFIG_network_privateOnly, "false", "no"},
    {CONFIG_network_privateOnly, "0", "no"},
    {CONFIG_network_privateOnly, "off", "no"},
    {CONFIG_network_privateOnly, "Yes", NULL},
    {CONFIG_network_privateOnly, "2", NULL},
    {CONFIG_network_privateOnly, "", NULL},
    {CONFIG_logging_level, "warn", "warn"},
    {CONFIG_logging_level, "warning", NULL},
    {CONFIG_logging_level, "debug|info", NULL},
    {CONFIG_logging_level, "", NULL},
    {CONFIG_node_socketMode, "660", "0660"},
    {CONFIG_node_socketMode, "0600", "0600"},
    {CONFIG_node_socketMode, "00660", "0660"},
    {CONFIG_node_socketMode, "0668", NULL},
    {CONFIG_node_socketMode, "60", NULL},
    {CONFIG_node_socketMode, "000660", NULL},
    {CONFIG_node_name, "web-01.example_A", "web-01.example_A"},
    {CONFIG_node_name, "two words", NULL},
    {CONFIG_node_name, "\xc3\xa9", NULL},
    {CONFIG_node_name, "a\x01", NULL},
    {CONFIG_node_socketGroup, "", ""},
    {CONFIG_node_socketGroup, "any text", "any text"},
    {CONFIG_node_socketGroup, "a\tb", NULL},
    {CONFIG_node_data, "/srv/silk talk", "/srv/silk talk"},
    {CONFIG_node_data, "relative", NULL},
    {CONFIG_node_data, "", NULL},
    {CONFIG_node_data, "~/data", NULL},
    {CONFIG_node_data, "/a\x7f", NULL},
    {CONFIG_access_allowPeers, "", ""},
    {CONFIG_access_allowPeers, PEER, PEER},
    {CONFIG_access_allowPeers, " " PEER " ,, " PEER2 ",", PEER ", " PEER2},
    {CONFIG_access_allowPeers, "[\"" PEER "\", \"" PEER2 "\"]", PEER ", " PEER2},
    {CONFIG_access_allowPeers, "[]", ""},
    {CONFIG_access_allowPeers, "[1]", NULL},
    {CONFIG_access_allowPeers, "[\"" PEER "\"", NULL},
    {CONFIG_access_allowPeers, "[[\"" PEER "\"]]", NULL},
    {CONFIG_access_allowPeers, "{}", NULL},
    {CONFIG_access_allowPeers, PEER " " PEER2, NULL},
    {CONFIG_access_allowPeers, "web-01", NULL},
    {CONFIG_access_denyCidrs, "10.0.0.0/8, 2001:db8::/32, 1.2.3.4", "10.0.0.0/8, 2001:db8::/32, 1.2.3.4"},
    {CONFIG_access_denyCidrs, "10.0.0.1/8", NULL},
    {CONFIG_access_denyCidrs, "10.0.0.0/33", NULL},
    {CONFIG_network_dnsServers, "9.9.9.9, 2620:fe::fe", "9.9.9.9, 2620:fe::fe"},
    {CONFIG_network_dnsServers, "9.9.9.9/32", NULL},
    {CONFIG_network_dnsServers, "dns.example.net", NULL},
    {CONFIG_network_listen, "/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/tcp/0"},
    {CONFIG_network_listen, "/ip4/0.0.0.0/udp/1", NULL},
    {CONFIG_network_listen, "/dns/example.net/tcp/1", NULL},
    {CONFIG_network_listen, "0.0.0.0:4001", NULL},
    {CONFIG_network_announce, "/dns/example.net/tcp/1", "/dns/example.net/tcp/1"},
    {CONFIG_discovery_bootstrap, "/dns/example.net/tcp/1/p2p/" PEER, "/dns/example.net/tcp/1/p2p/" PEER},
    {CONFIG_discovery_bootstrap, "/dns/example.net/tcp/1", NULL},
    {CONFIG_access_allowPeers, "none", ""},
    {CONFIG_access_allowPeers, "off", NULL},
    {CONFIG_network_maxUpload, "0", "0"},
    {CONFIG_network_maxUpload, "0B", "0"},
    {CONFIG_health_errorsNormal, "0.1", "0.1"},
    {CONFIG_health_errorsNormal, "0.10 %", "0.1"},
    {CONFIG_health_errorsNormal, "2.125", "2.125"},
    {CONFIG_health_errorsNormal, "100.000", "100"},
    {CONFIG_health_errorsNormal, "0", "0"},
    {CONFIG_health_errorsNormal, "100.001", NULL},
    {CONFIG_health_errorsNormal, "0.0001", NULL},
    {CONFIG_health_errorsNormal, "1.", NULL},
    {CONFIG_health_errorsNormal, ".5", NULL},
    {CONFIG_health_errorsNormal, "1.-1", NULL},
    {CONFIG_health_errorsNormal, "%", NULL},
    {CONFIG_http_listen, "off", "off"},
    {CONFIG_http_listen, "", "off"},
    {CONFIG_http_listen, "none", NULL},
    {CONFIG_http_listen, "127.0.0.1:8080, [::1]:0, unix:/run/x y", "127.0.0.1:8080, [::1]:0, unix:/run/x y"},
    {CONFIG_http_listen, "[::1]:8080", "[::1]:8080"},
    {CONFIG_http_listen, "[\"[::1]:8080\"]", "[::1]:8080"},
    {CONFIG_http_listen, "::1:8080", NULL},
    {CONFIG_http_listen, "[127.0.0.1]:8080", NULL},
    {CONFIG_http_listen, "127.0.0.1:65536", NULL},
    {CONFIG_http_listen, "127.0.0.1:", NULL},
    {CONFIG_http_listen, "127.0.0.1", NULL},
    {CONFIG_http_listen, "localhost:8080", NULL},
    {CONFIG_http_listen, "[::1", NULL},
    {CONFIG_http_listen, "unix:run/x", NULL},
    {CONFIG_http_listen, "off, 127.0.0.1:1", NULL},
    {CONFIG_health_probeHosts, "8.8.8.8, example.net:443, [2001:db8::1]:53, 2001:db8::1",
     "8.8.8.8, example.net:443, [2001:db8::1]:53, 2001:db8::1"},
    {CONFIG_health_probeHosts, "http://x", NULL},
    {CONFIG_health_probeHosts, "-c", NULL},
    {CONFIG_health_probeHosts, "[::1]x", NULL},
    {CONFIG_health_probeHosts, "x:0", NULL},
    {CONFIG_https_caFile, "system", "system"},
    {CONFIG_https_caFile, "", "system"},
    {CONFIG_https_caFile, "none", NULL},
    {CONFIG_https_caFile, "/etc/ca.pem", "/etc/ca.pem"},
    {CONFIG_http_tlsKeyFile, "credential:tls", "credential:tls"},
    {CONFIG_http_tlsKeyFile, "credential:../tls", NULL},
    {CONFIG_logging_file, "off", "off"},
    {CONFIG_logging_file, "log", NULL},
    {CONFIG_logging_remote, "udp://10.0.0.1:514", "udp://10.0.0.1:514"},
    {CONFIG_logging_remote, "tcp://[::1]:601", "tcp://[::1]:601"},
    {CONFIG_logging_remote, "tcp://log.example", NULL},
    {CONFIG_logging_remote, "tcp://log.example:601/x", NULL},
    {CONFIG_logging_remote, "https://log.example:601", NULL},
    {CONFIG_logging_remote, "off|udp", NULL},
    {CONFIG_logging_remote, "off://x:1", NULL},
    {CONFIG_alerts_webhook, "https://x.example/a?b=c", "https://x.example/a?b=c"},
    {CONFIG_alerts_webhook, "https://x.example:8443", "https://x.example:8443"},
    {CONFIG_alerts_webhook, "https:/x.example", NULL},
    {CONFIG_alerts_webhook, "https://", NULL},
    {CONFIG_alerts_webhook, "https://user@x.example/", NULL},
    {CONFIG_alerts_webhook, "https://x.example/a b", NULL},
    {CONFIG_alerts_webhook, "none", "none"},
    {CONFIG_alerts_exec, "/bin/tell 'two words' x", "/bin/tell 'two words' x"},
    {CONFIG_alerts_exec, "/bin/tell 'two words", NULL},
    {CONFIG_alerts_exec, "''", NULL},
    {CONFIG_alerts_mailTo, "ops@example.net", "ops@example.net"},
    {CONFIG_alerts_mailTo, "-oQ/tmp", NULL},
    {CONFIG_contacts_operations, "Ana, +1 555 0100", "Ana, +1 555 0100"},
    {CONFIG_contacts_operations, "", "none"},
    {CONFIG_contacts_operations, "a\nb", NULL},
};

TEST(forms_of_values) {
    for (size_t i = 0; i < LEN(forms); i++) {
        const struct config_row *row = &config_rows[forms[i].key];
        char normal[300];
        struct why w;
        enum err e = try(forms[i].key, bytes_of(forms[i].in), normal, sizeof(normal), &w);
        CHECK(e == (forms[i].out == NULL ? E_INPUT : OK), "%s = %s: %s", row->name, forms[i].in, w.text);
        CHECK(e == OK ? strcmp(normal, forms[i].out) == 0 : strstr(w.text, row->name) != NULL,
              "%s = %s: %s%s", row->name, forms[i].in, normal, w.text);
    }
    char path[600];
    memset(path, '/', sizeof(path));
    CHECK(try(CONFIG_node_data, bytes_at(path, 500), NULL, 0, NULL) == OK);
    CHECK(try(CONFIG_node_data, bytes_at(path, 501), NULL, 0, NULL) == E_INPUT);
    CHECK(try(CONFIG_node_data, BYTES("/a\0b"), NULL, 0, NULL) == E_INPUT);
    CHECK(try(CONFIG_logging_level, BYTES("info\0"), NULL, 0, NULL) == E_INPUT);
    CHECK(good(CONFIG_logging_level, "error") && !good(CONFIG_logging_level, "Error"));
}

TEST(numbers_are_what_the_text_says) {
    static const struct {
        enum config_key key;
        const char *text;
        uint64_t want;
    } rows[] = {{CONFIG_connection_maxConnections, "42", 42}, {CONFIG_messages_ratePerPeer, "7/s", 7},
                {CONFIG_messages_maxBody, "64KiB", 65536},    {CONFIG_network_privateOnly, "on", 1},
                {CONFIG_logging_level, "debug", 0},           {CONFIG_logging_level, "error", 3},
                {CONFIG_node_socketMode, "0660", 0660},       {CONFIG_connection_idleTimeout, "2m", 120000},
                {CONFIG_health_errorsNormal, "0.1", 100},     {CONFIG_health_errorsNormal, "1.25%", 1250}};
    for (size_t i = 0; i < LEN(rows); i++) {
        union config_value v;
        char *normal = NULL;
        CHECK(config_value_parse(rows[i].key, bytes_of(rows[i].text), &v, &normal, NULL) == OK);
        uint64_t n = config_rows[rows[i].key].type == CONFIG_TIME ? (uint64_t)v.ms : v.count;
        CHECK(n == rows[i].want, "row %zu: %llu", i, (unsigned long long)n);
        mem_free(normal);
    }
}

TEST(listening_places_are_parsed) {
    union config_value v;
    char *normal = NULL;
    struct bytes text = BYTES("127.0.0.1:8080, [::1]:65535, unix:/run/x");
    CHECK(config_value_parse(CONFIG_http_listen, text, &v, &normal, NULL) == OK && v.list.n == 3);
    CHECK(v.list.cidrs[0].base.version == 4 && v.list.ports[0] == 8080 && v.list.items[0].n == 0);
    CHECK(v.list.cidrs[1].base.version == 6 && v.list.ports[1] == 65535);
    CHECK(v.list.cidrs[2].base.version == 0 && bytes_is(v.list.items[2], "/run/x"));
    config_value_free(CONFIG_LISTENS, &v);
    mem_free(normal);
    CHECK(config_value_parse(CONFIG_http_tlsCert, BYTES("none"), &v, &normal, NULL) == OK && v.text[0] == 0);
    config_value_free(CONFIG_PATH, &v);
    mem_free(normal);
}

TEST(lists_keep_order_and_all_forms_of_an_item) {
    union config_value v;
    char *normal = NULL;
    struct peer_id id, id2;
    CHECK(peer_id_parse(BYTES(PEER), &id) && peer_id_parse(BYTES(PEER2), &id2));
    CHECK(config_value_parse(CONFIG_discovery_bootstrap,
                             BYTES("/ip4/10.0.0.1/tcp/4001/p2p/" PEER ", /dns/b/tcp/1/p2p/" PEER2), &v,
                             &normal, NULL) == OK);
    CHECK(v.list.n == 2 && peer_id_eq(&v.list.peers[0], &id) && peer_id_eq(&v.list.peers[1], &id2));
    CHECK(strcmp(v.list.texts[1], "/dns/b/tcp/1/p2p/" PEER2) == 0);
    struct multiaddr_target t = multiaddr_target(v.list.items[0]);
    CHECK(t.port == 4001 && peer_id_eq(&t.peer, &id));
    config_value_free(CONFIG_BOOTSTRAPS, &v);
    mem_free(normal);
    CHECK(config_value_parse(CONFIG_access_denyPeers, BYTES(PEER2 "," PEER), &v, &normal, NULL) == OK);
    CHECK(v.list.n == 2 && peer_id_eq(&v.list.peers[0], &id2) &&
          bytes_eq(v.list.items[1], peer_id_view(&id)));
    config_value_free(CONFIG_PEERS, &v);
    mem_free(normal);
    CHECK(config_value_parse(CONFIG_access_denyCidrs, BYTES("10.0.0.0/8"), &v, &normal, NULL) == OK);
    CHECK(v.list.n == 1 && v.list.cidrs[0].bits == 8 && v.list.cidrs[0].base.p[0] == 10);
    config_value_free(CONFIG_CIDRS, &v);
    mem_free(normal);
    CHECK(config_is_list(CONFIG_PEERS) && config_is_list(CONFIG_BOOTSTRAPS) && !config_is_list(CONFIG_MODE));
}

/* ---- damage */

TEST(flipped_bits_leave_no_memory_behind) {
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(forms); i++) {
        char text[300], normal[400], again[400];
        size_t n = strlen(forms[i].in);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            memcpy(text, forms[i].in, n);
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            enum err e = try(forms[i].key, bytes_at(text, n), normal, sizeof(normal), NULL);
            CHECK(e == OK || e == E_INPUT, "row %zu, bit %zu", i, bit);
            if (e != OK) continue; /* what is taken is taken again in its normal form */
            CHECK(try(forms[i].key, bytes_of(normal), again, sizeof(again), NULL) == OK, "%s", normal);
            CHECK(strcmp(normal, again) == 0, "%s, then %s", normal, again);
        }
        for (size_t cut = 0; cut < n; cut++) try(forms[i].key, bytes_at(forms[i].in, cut), NULL, 0, NULL);
    }
    CHECK(mem_blocks() == blocks);
}

TEST(memory_may_fail_at_any_time) {
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(forms); i++) {
        if (forms[i].out == NULL) continue;
        bool done = false;
        for (long fail_at = 0; !done; fail_at++) {
            char normal[300];
            CHECK(fail_at < 100);
            mem_fail_after(fail_at);
            enum err e = try(forms[i].key, bytes_of(forms[i].in), normal, sizeof(normal), NULL);
            mem_fail_after(-1);
            done = e == OK; /* and then nothing is missing */
            CHECK(!done || strcmp(normal, forms[i].out) == 0, "row %zu, %ld: %s", i, fail_at, normal);
            CHECK(fail_at > 0 || !done, "row %zu", i);
            CHECK(mem_blocks() == blocks, "row %zu, %ld", i, fail_at);
        }
    }
}

TEST(a_list_that_memory_cuts_short_is_an_error) {
    struct buf text = {.max = CONFIG_FILE_MAX};
    char want[4000];
    for (size_t i = 0; i < 40; i++) CHECK(buf_add_format(&text, "%s10.%zu.0.0/16", i == 0 ? "" : ", ", i));
    snprintf(want, sizeof(want), "%s", buf_cstr(&text));
    size_t blocks = mem_blocks();
    bool done = false;
    for (long fail_at = 0; !done; fail_at++) {
        char normal[4000];
        mem_fail_after(fail_at);
        done = try(CONFIG_access_denyCidrs, buf_view(&text), normal, sizeof(normal), NULL) == OK;
        mem_fail_after(-1);
        CHECK(!done || strcmp(normal, want) == 0, "%ld: %s", fail_at, normal);
        CHECK(mem_blocks() == blocks && (fail_at > 40 || !done), "%ld", fail_at);
    }
    buf_free(&text);
}
