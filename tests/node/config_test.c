/* tests/node/config_test.c: configurations made of files: defaults, order, what is wrong and in which line */
#include "node/config.h"

#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

#define PEER "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define PEER2 "12D3KooWB1b3qZxWJanuhtseF3DmPggHCtG36KZ9ixkqHtdKH9fh"

static const struct config_home home = {
    .home = "/home/x", .socket = "/run/x.sock", .hostname = "host-1", .socketmode = "0660"};

/* Of the texts of files a.ini, b.ini, ...; NULL: w says why not. */
static struct config *make(const struct bytes *texts, size_t n, struct why *w) {
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    enum err e = b == NULL ? fail(w, E_MEMORY, "builder") : OK;
    for (size_t i = 0; e == OK && i < n; i++) {
        const char file[] = {(char)('a' + i), '.', 'i', 'n', 'i', '\0'};
        e = config_builder_add(b, file, texts[i], w);
    }
    if (e == OK) e = config_builder_finish(b, &c, w);
    config_builder_free(b);
    CHECK((e == OK) == (c != NULL) && (e == OK || (w->code == e && w->text[0] != '\0')), "%s", w->text);
    return c;
}

static struct config *one(const char *text, struct why *w) {
    struct bytes in = bytes_of(text);
    return make(&in, 1, w);
}

static struct config *must(const char *text) {
    struct why w = {0};
    struct config *c = one(text, &w);
    CHECK(c != NULL, "%s", w.text);
    return c;
}

static bool same(const struct config *a, const struct config *b) {
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        if (!config_same(a, b, (enum config_key)k)) return false;
    }
    return memcmp(a->limits, b->limits, sizeof(a->limits)) == 0;
}

TEST(nothing_set_means_the_defaults) {
    struct config *c = must("");
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_row *row = &config_rows[k];
        CHECK(strcmp(c->entries[k].source, "default") == 0, "%s", row->name);
        bool worked_out = row->value[0] == '<' || row->type == CONFIG_SIZE;
        CHECK(worked_out || strcmp(c->entries[k].text, row->value) == 0, "%s: %s", row->name,
              c->entries[k].text);
        CHECK(row->value[0] != '<' || c->entries[k].text[0] != '<', "%s", row->name);
    }
    CHECK(strcmp(cfg(c, node_name).text, "host-1") == 0 && cfg(c, node_socketMode).count == 0660);
    CHECK(strcmp(cfg(c, node_socket).text, "/run/x.sock") == 0);
    CHECK(strcmp(cfg(c, node_data).text, "/home/x/data") == 0 && cfg(c, network_listen).list.n == 2);
    CHECK(cfg(c, connection_idleTimeout).ms == 600000 && cfg(c, messages_maxBody).count == 1 << 20);
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        CHECK(c->limits[i] == limit_rows[i].value && !c->limit_set[i], "%s", limit_rows[i].name);
    }
    config_free(c);
    config_free(NULL);
    config_builder_free(NULL);
}

TEST(limits_and_their_keys_agree) { /* two tables: base/limit.h, node/config_keys.h */
    for (unsigned i = 0; i < LIMIT_COUNT; i++) {
        const struct limit_row *limit = &limit_rows[i];
        if (limit->key == NULL) continue;
        enum config_key k = config_find(bytes_of(limit->key), NULL);
        CHECK(k != CONFIG_KEY_COUNT, "%s names no key: %s", limit->name, limit->key);
        uint64_t ends[] = {limit->least, limit->most, limit->least - 1, limit->most + 1};
        for (size_t e = 0; e < LEN(ends); e++) {
            char text[40];
            if (e == 2 && limit->least == 0) continue;
            snprintf(text, sizeof(text), "%llu%s", (unsigned long long)ends[e],
                     config_rows[k].type == CONFIG_SIZE ? "B" : "");
            CHECK((config_check_value(k, bytes_of(text), NULL) == OK) == (e < 2), "%s = %s", limit->key,
                  text);
        }
    }
}

TEST(every_key_is_found_by_its_name_and_by_typos) {
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        const char *name = config_rows[k].name, *near = "x";
        char typo[100];
        CHECK(config_find(bytes_of(name), &near) == k && near == NULL, "%s", name);
        snprintf(typo, sizeof(typo), "%sx", name);
        CHECK(config_find(bytes_of(typo), &near) == CONFIG_KEY_COUNT && near != NULL, "%s", typo);
        CHECK(text_distance(near, typo) == 1, "%s: %s", typo, near);
        for (unsigned j = 0; j < k; j++) CHECK(strcmp(name, config_rows[j].name) != 0, "%s", name);
    }
    const char *near = NULL;
    CHECK(config_find(BYTES("maxStreams"), &near) == CONFIG_KEY_COUNT && near != NULL);
    CHECK(strcmp(near, "connection.maxStreams") == 0);
    CHECK(config_find(BYTES("something.else"), &near) == CONFIG_KEY_COUNT && near == NULL);
    CHECK(config_find(BYTES(""), &near) == CONFIG_KEY_COUNT &&
          config_find(BYTES("x"), NULL) == CONFIG_KEY_COUNT);
    CHECK(config_find(BYTES("Connection.maxStreams"), NULL) == CONFIG_KEY_COUNT);
}

/* ---- what counts */

TEST(each_key_can_be_set_and_names_its_line) {
    struct config *defaults = must("");
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        struct buf text = {.max = 2000};
        const char *value = defaults->entries[k].text;
        CHECK(buf_add_format(&text, "; a comment\n\n[%s]\n%s = %s\n", config_rows[k].section,
                             config_rows[k].key, value));
        struct config *c = must(buf_cstr(&text));
        CHECK(same(c, defaults) && strcmp(c->entries[k].source, "a.ini:4") == 0, "%s: %s",
              config_rows[k].name, c->entries[k].source);
        config_free(c);
        buf_free(&text);
    }
    config_free(defaults);
}

TEST(what_comes_later_wins) {
    struct bytes texts[] = {
        BYTES("[logging]\nlevel = warn\nlevel = error\n[access]\ndenyCidrs = 10.0.0.0/8\ndenyCidrs = "
              "11.0.0.0/8\n"
              "allowCidrs = 1.0.0.0/8\n[node]\nname = a\n[logging]\nformat: json\n"),
        BYTES("[access]\ndenyCidrs = 12.0.0.0/8\n  13.0.0.0/8 ; continued\nallowCidrs =\n"),
        BYTES("[node]\nname=c"), /* no newline at the end */
    };
    struct why w = {0};
    struct config *c = make(texts, LEN(texts), &w);
    CHECK(c != NULL, "%s", w.text);
    CHECK(strcmp(c->entries[CONFIG_logging_level].text, "error") == 0);
    CHECK(strcmp(c->entries[CONFIG_logging_level].source, "a.ini:3") == 0);
    CHECK(cfg(c, logging_format).count == 1);
    CHECK(strcmp(cfg(c, node_name).text, "c") == 0 &&
          strcmp(c->entries[CONFIG_node_name].source, "c.ini:2") == 0);
    CHECK(strcmp(c->entries[CONFIG_access_denyCidrs].text, "12.0.0.0/8, 13.0.0.0/8") == 0, "%s",
          c->entries[CONFIG_access_denyCidrs].text); /* another file's list replaces it */
    CHECK(cfg(c, access_allowCidrs).list.n == 0);
    config_free(c);
    c = make(texts, 1, &w);
    CHECK(strcmp(c->entries[CONFIG_access_denyCidrs].text, "10.0.0.0/8, 11.0.0.0/8") ==
          0); /* the same adds up */
    config_free(c);
}

TEST(forms_of_files) {
    static const char *const rows[] = {
        "[node]\nname = b\n",
        "[node]\r\nname = b\r\n",
        "\xef\xbb\xbf[node]\nname = b\n",
        "[node]\nname=b",
        "  [node]\n  name : b",
        "# comment\n; comment\n\n[node] ; comment\n   \nname = b ; comment\n# name = c\n",
        "[node]\nname = c\n[logging]\n[node]\nname = b\n",
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct config *c = must(rows[i]);
        CHECK(strcmp(cfg(c, node_name).text, "b") == 0, "row %zu: %s", i, cfg(c, node_name).text);
        config_free(c);
    }
}

/* ---- what is wrong, and where */

static const struct {
    const char *text, *want;
} wrong[] = {
    {"[connection]\n\nmaxConnection = 5\n",
     "a.ini:3: unknown key maxConnection in [connection]; did you mean connection.maxConnections?"},
    {"[connection]\nsomething = 5\n", "a.ini:2: unknown key something in [connection]"},
    {"[connection]\nmaxBody = 5\n", "a.ini:2: unknown key maxBody in [connection]"},
    {"\n[conection]\n", "a.ini:2: unknown section [conection]; did you mean [connection]?"},
    {"[Node]\nname = x\n", "a.ini:1: unknown section [Node]; did you mean [node]?"},
    {"[what]\nname = x\n", "a.ini:1: unknown section [what]"},
    {"[]\n", "a.ini:1: unknown section []"},
    {"name = x\n", "a.ini:1: name stands before the first [section]"},
    {"[node]\nname\n", "a.ini:2: neither [section] nor KEY = VALUE"},
    {"[node\nname = x\n", "a.ini:1: neither [section] nor KEY = VALUE"},
    {"[node]\n= x\n", "a.ini:2: unknown key  in [node]"},
    {"[node]\nname = two words\n", "a.ini:2: node.name is of A-Z a-z 0-9 . _ -"},
    {"[node]\nname =\n", "a.ini:2: node.name is out of range: 1..63"},
    {"[connection]\nmaxConnections = many\n", "a.ini:2: connection.maxConnections is a number, not 'many'"},
    {"[connection]\nmaxConnections = 10001\n",
     "a.ini:2: connection.maxConnections is out of range: 1..10000"},
    {"[messages]\nfrom = friends\n", "a.ini:2: messages.from is one of known|any|allowed"},
    {"[network]\nlisten = /ip4/0.0.0.0/tcp/1,\n\n  /ip4/1.2.3/tcp/1\n", "a.ini:4: network.listen: "},
    {"[access]\ndenyPeers = web-01\n", "a.ini:2: access.denyPeers: web-01 is no Peer ID"},
    {"[limits]\nno_such = 1\n", "a.ini:2: there is no limit no_such; see `silktalk diag limits`"},
    {"[limits]\nconnections = 1\n", "a.ini:2: the limit connections is set by connection.maxConnections"},
    {"[limits]\ndial_addresses = 0\n", "a.ini:2: limits.dial_addresses is a number from 1 to 256"},
    {"[limits]\ndial_addresses = 257\n", "a.ini:2: limits.dial_addresses is a number from 1 to 256"},
    {"[limits]\ndial_addresses = x\n", "a.ini:2: limits.dial_addresses is a number from 1 to 256"},
    {"[node]\nname = \xff\n", "a.ini is not UTF-8"},
    {"[connection]\nmaxConnections = 10\nminConnections = 11\n",
     "a.ini:3: connection.minConnections is more than maxConnections"},
    {"[connection]\nmaxConnections = 11\nreservedForTrusted = 6\n",
     "a.ini:3: connection.reservedForTrusted is more than half of maxConnections"},
    {"[connection]\nredialMin = 2s\nredialMax = 1999ms\n", "connection.redialMin is longer than redialMax"},
    {"[messages]\nretryMin = 6m\n", "messages.retryMin is longer than retryMax"},
    {"[health]\ncpuNormal = 71\ncpuWarning = 70.999\n", "a.ini:2: health.cpuNormal is more than cpuWarning"},
    {"[health]\ncpuCritical = 70%\ncpuNormal = 71\n", "a.ini:3: health.cpuNormal is more than cpuCritical"},
    {"[health]\nlatencyCritical = 1s\nlatencyWarning = 1001ms\n",
     "a.ini:3: health.latencyWarning is more than latencyCritical"},
    {"[health]\ncertWarning = 1d\ncertCritical = 25h\n",
     "a.ini:3: health.certCritical is more than certWarning"},
    {"[health]\nbackupAgeWarning = 2d\nbackupAgeCritical = 1d\n", "a.ini:2: health.backupAgeWarning is more"},
    {"[http]\ntlsCert = /a\n", "http.tlsCert and http.tlsKeyFile go together"},
    {"[http]\nlisten = 8080\n", "a.ini:2: http.listen: 8080 is not IP:PORT, unix:PATH or off"},
};

TEST(errors_name_the_line_and_what_was_meant) {
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(wrong); i++) {
        struct why w = {0};
        CHECK(one(wrong[i].text, &w) == NULL && w.code == E_INPUT, "row %zu", i);
        CHECK(strncmp(w.text, wrong[i].want, strlen(wrong[i].want)) == 0, "row %zu: %s", i, w.text);
        CHECK(strstr(wrong[i].want, "did you mean") != NULL || strstr(w.text, "did you mean") == NULL, "%s",
              w.text);
    }
    struct bytes texts[] = {BYTES("[node]\nname = x\n"), BYTES("[node]\n\n\nnam = x\n")};
    struct why w = {0};
    CHECK(make(texts, 2, &w) == NULL && strncmp(w.text, "b.ini:4: ", 9) == 0, "%s", w.text);
    texts[1] = BYTES("[node]\nname = a\0b\n");
    CHECK(make(texts, 2, &w) == NULL && strncmp(w.text, "b.ini has NUL bytes", 19) == 0, "%s", w.text);
    CHECK(mem_blocks() == blocks);
}

TEST(values_that_belong_together_at_their_border) {
    static const char *const rows[] = {
        "[connection]\nmaxConnections = 10\nminConnections = 10\n",
        "[connection]\nmaxConnections = 12\nreservedForTrusted = 6\n",
        "[connection]\nredialMin = 2s\nredialMax = 2s\n",
        "[messages]\nretryMin = 5m\n",
    };
    for (size_t i = 0; i < LEN(rows); i++) config_free(must(rows[i]));
    struct config *c = must("[connection]\nmaxConnections = 5\n"); /* defaults give way to what was set */
    CHECK(cfg(c, connection_minConnections).count == 5 && cfg(c, connection_reservedForTrusted).count == 2);
    CHECK(c->limits[LIMIT_CONNECTIONS] == 5);
    config_free(c);
}

TEST(thresholds_rise_and_their_defaults_give_way) {
    static const struct {
        const char *text;
        uint64_t normal, warning, critical; /* of cpu, thousandths of a percent */
    } rows[] = {
        {"", 50000, 70000, 90000},
        {"cpuNormal = 95\n", 95000, 95000, 95000},
        {"cpuWarning = 95%\n", 50000, 95000, 95000},
        {"cpuWarning = 0.1\n", 100, 100, 90000},
        {"cpuCritical = 60\n", 50000, 60000, 60000},
        {"cpuCritical = 40\n", 40000, 40000, 40000},
        {"cpuNormal = 91\ncpuCritical = 91\n", 91000, 91000, 91000},
        {"cpuNormal = 75\ncpuCritical = 100\n", 75000, 75000, 100000},
        {"cpuNormal = 1\ncpuWarning = 2\ncpuCritical = 3\n", 1000, 2000, 3000},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf text = {.max = 1000};
        CHECK(buf_add_format(&text, "[health]\n%s", rows[i].text));
        struct config *c = must(buf_cstr(&text));
        CHECK(cfg(c, health_cpuNormal).count == rows[i].normal &&
                  cfg(c, health_cpuWarning).count == rows[i].warning &&
                  cfg(c, health_cpuCritical).count == rows[i].critical,
              "row %zu", i);
        config_free(c);
        buf_free(&text);
    }
    struct config *c = must(
        "[health]\nlatencyCritical = 200ms\nbackupAgeWarning = 0\nbackupAgeCritical = 1h\n");
    CHECK(cfg(c, health_latencyWarning).ms == 200 && cfg(c, health_backupAgeWarning).ms == 0);
    CHECK(strcmp(c->entries[CONFIG_health_latencyWarning].text, "200ms") == 0);
    config_free(c);
    c = must("[connection]\nmaxConnections = 600\n[health]\nconnectionsWarning = 420\n"); /* parts of that */
    CHECK(cfg(c, health_connectionsNormal).count == 420 && cfg(c, health_connectionsWarning).count == 420);
    CHECK(cfg(c, health_connectionsCritical).count == 600);
    config_free(c);
    c = must("");
    CHECK(cfg(c, health_connectionsNormal).count == 250 && cfg(c, health_connectionsWarning).count == 280);
    config_free(c);
}

TEST(lines_and_files_at_their_limits) {
    struct buf text = {.max = 2 * CONFIG_FILE_MAX};
    struct why w = {0};
    for (size_t n = CONFIG_LINE_MAX - 4; n <= CONFIG_LINE_MAX - 3; n++) { /* a comment, then a key */
        buf_clear(&text);
        CHECK(buf_add_text(&text, "[node]\n#"));
        memset(buf_add_space(&text, n - 1), 'x', n - 1);
        CHECK(buf_add_text(&text, "\nname = b\n"));
        struct config *c = one(buf_cstr(&text), &w);
        CHECK(n == CONFIG_LINE_MAX - 4 ? c != NULL && strcmp(cfg(c, node_name).text, "b") == 0 : c == NULL,
              "%zu", n);
        CHECK(c != NULL || strncmp(w.text, "a.ini:2: the line has more", 26) == 0, "%s", w.text);
        config_free(c);
    }
    for (size_t n = CONFIG_FILE_MAX; n <= CONFIG_FILE_MAX + 1; n++) {
        buf_clear(&text);
        while (text.n < n) CHECK(buf_add_byte(&text, text.n % 2 == 0 ? '#' : '\n'));
        struct config *c = one(buf_cstr(&text), &w);
        CHECK((c != NULL) == (n == CONFIG_FILE_MAX), "%zu: %s", n, w.text);
        config_free(c);
    }
    buf_free(&text);
}

TEST(a_list_over_several_lines_has_one_limit) {
    for (size_t n = 16; n <= 17; n++) { /* network.listen */
        struct buf text = {.max = 2000};
        struct why w = {0};
        CHECK(buf_add_text(&text, "[network]\n"));
        for (size_t i = 0; i < n; i++)
            CHECK(buf_add_format(&text, "listen = /ip4/0.0.0.0/tcp/%zu\n", 4001 + i));
        struct config *c = one(buf_cstr(&text), &w);
        CHECK(n == 16 ? c != NULL && cfg(c, network_listen).list.n == 16 : c == NULL && w.code == E_INPUT);
        CHECK(c != NULL || strstr(w.text, "network.listen") != NULL, "%s", w.text);
        config_free(c);
        buf_free(&text);
    }
}

TEST(limits_come_from_keys_and_from_their_section) {
    struct config *c = must(
        "[limits]\ndial_addresses = 7\nstream_window = 1MiB\n[messages]\noutboxMax = 77\n");
    CHECK(c->limits[LIMIT_DIAL_ADDRESSES] == 7 && c->limit_set[LIMIT_DIAL_ADDRESSES]);
    CHECK(c->limits[LIMIT_STREAM_WINDOW] == 1 << 20 && c->limits[LIMIT_OUTBOX] == 77);
    CHECK(!c->limit_set[LIMIT_OUTBOX] && !c->limit_set[LIMIT_PEERS]);
    config_free(c);
}

/* ---- reload, warnings, single values */

TEST(a_reload_sees_what_changed) {
    struct config *a = must("[access]\nallowPeers = " PEER "\n[node]\nname = x\n");
    struct config *b = must("[node]\nname = y\n[access]\nallowPeers = [\"" PEER
                            "\"]\n[connection]\nidleTimeout=600\n");
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++)
        CHECK(config_same(a, b, (enum config_key)k) == (k != CONFIG_node_name), "%s", config_rows[k].name);
    config_free(a);
    config_free(b);
}

static bool warns(const char *text, const char *what) {
    struct config *c = must(text);
    struct buf out = {.max = 4000};
    CHECK(config_warnings(c, &out));
    CHECK(out.n == 0 || bytes_ends(buf_view(&out), "\n"));
    bool found = what == NULL ? out.n > 0 : bytes_has(buf_view(&out), bytes_of(what));
    config_free(c);
    buf_free(&out);
    return found;
}

TEST(warnings_do_not_stop_a_start) {
    CHECK(!warns("", NULL));
    CHECK(warns("[access]\nmode = allowlist\n", "nobody may connect"));
    CHECK(!warns("[access]\nmode = allowlist\nallowPeers = " PEER "\n", NULL));
    CHECK(warns("[network]\nlisten =\n", "network.listen is empty"));
    CHECK(warns("[network]\nlisten = /ip4/1.1.1.1/tcp/1, /ip4/1.1.1.1/tcp/1\n",
                "names /ip4/1.1.1.1/tcp/1 twice"));
    struct config *c = must("[network]\nlisten =\n");
    struct buf out = {.max = 5};
    CHECK(!config_warnings(c, &out));
    buf_free(&out);
    config_free(c);
}

TEST(a_value_alone_is_checked_as_in_a_file) {
    static const struct {
        enum config_key key;
        struct bytes value;
        bool good;
    } rows[] = {
        {CONFIG_node_name, {(const uint8_t *)"abc", 3}, true},
        {CONFIG_node_socketGroup, {(const uint8_t *)"a\nb", 3}, false},
        {CONFIG_node_socketGroup, {(const uint8_t *)"\xff", 1}, false},
        {CONFIG_node_data, {(const uint8_t *)"/a;b", 4}, true},
        {CONFIG_node_data, {(const uint8_t *)"/a ;b", 5}, false}, /* a file would take it for a comment */
        {CONFIG_node_socketGroup, {(const uint8_t *)";b", 2}, false},
        {CONFIG_node_socketGroup, {(const uint8_t *)"# b", 3}, true},
        {CONFIG_network_announce, {(const uint8_t *)"[\"/unix/a,b\"]", 13}, false}, /* it would be split */
        {CONFIG_network_announce, {(const uint8_t *)"/unix/a", 7}, true},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct why w = {0};
        enum err e = config_check_value(rows[i].key, rows[i].value, &w);
        CHECK(e == (rows[i].good ? OK : E_INPUT), "row %zu: %s", i, w.text);
        if (!rows[i].good) continue;
        struct buf text = {.max = 500};
        CHECK(buf_add_format(&text, "[%s]\n%s = %.*s\n", config_rows[rows[i].key].section,
                             config_rows[rows[i].key].key, (int)rows[i].value.n,
                             (const char *)rows[i].value.p));
        struct config *c = must(buf_cstr(&text));
        CHECK(bytes_is(rows[i].value, c->entries[rows[i].key].text), "row %zu: %s", i,
              c->entries[rows[i].key].text);
        config_free(c);
        buf_free(&text);
    }
}

/* ---- damage */

#define FILE_TEXT                                                                                            \
    "# a comment\n[node]\nname = web-01\nsocketMode = 0600\n\n[network]\nlisten = /ip4/0.0.0.0/tcp/4001,\n"  \
    "  /ip6/::/tcp/4001\ndnsServers = 9.9.9.9 ; a comment\n[access]\nallowPeers = [\"" PEER "\"]\n"          \
    "denyPeers = " PEER2 "\ndenyCidrs = 10.0.0.0/8\n[messages]\nexpiry = 2d\nmaxBody = 2MiB\n"               \
    "[limits]\ndial_addresses = 9\n"

TEST(cut_at_every_byte_and_flipped_bits) {
    size_t blocks = mem_blocks();
    char text[sizeof(FILE_TEXT)];
    for (size_t n = 0; n < sizeof(FILE_TEXT); n++) {
        struct bytes in = bytes_at(FILE_TEXT, n);
        struct why w = {0};
        struct config *c = make(&in, 1, &w);
        CHECK(c != NULL || (w.code == E_INPUT && strncmp(w.text, "a.ini", 5) == 0), "%zu: %s", n, w.text);
        config_free(c);
    }
    for (size_t bit = 0; bit < 8 * (sizeof(FILE_TEXT) - 1); bit++) {
        struct bytes in = bytes_at(text, sizeof(FILE_TEXT) - 1);
        struct why w = {0};
        memcpy(text, FILE_TEXT, sizeof(text));
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        struct config *c = make(&in, 1, &w);
        CHECK(c != NULL || (w.code == E_INPUT && strncmp(w.text, "a.ini", 5) == 0), "bit %zu: %s", bit,
              w.text);
        config_free(c);
    }
    CHECK(mem_blocks() == blocks);
}

TEST(without_memory_there_is_no_configuration_rather_than_half_a_one) {
    struct config *whole = must(FILE_TEXT);
    size_t blocks = mem_blocks();
    bool done = false;
    for (long i = 0; !done; i++) {
        struct bytes in = BYTES(FILE_TEXT);
        struct why w = {0};
        mem_fail_after(i);
        struct config *c = make(&in, 1, &w);
        mem_fail_after(-1);
        done = c != NULL;
        CHECK(!done || (i > 100 && same(c, whole)), "%ld", i);
        for (unsigned k = 0; done && k < CONFIG_KEY_COUNT; k++)
            CHECK(strcmp(c->entries[k].source, whole->entries[k].source) == 0, "%ld: %s", i,
                  config_rows[k].name);
        config_free(c);
        CHECK(mem_blocks() == blocks, "%ld", i);
    }
    config_free(whole);
}
