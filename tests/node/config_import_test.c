/* tests/node/config_import_test.c: config.json as INI: what is taken, what is left and why; damage */
#include "node/config_import.h"

#include "base/mem.h"
#include "tests/test.h"

static const struct config_home home = {
    .home = "/home/x", .socket = "/run/x.sock", .hostname = "host-1", .socketmode = "0660"};

/* The INI is always a configuration that the node takes, unless keys do not go together. */
static struct config *read_back(const struct config_import *im) {
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct why w = {OK, ""};
    CHECK(b != NULL && config_builder_add(b, "x.ini", buf_view(&im->ini), &w) == OK, "%s", w.text);
    (void)config_builder_finish(b, &c, &w);
    config_builder_free(b);
    return c;
}

static const struct {
    const char *json;
    enum config_key key;
    const char *want; /* the key's value then */
    size_t taken, left;
    const char *line; /* in the INI; NULL: none */
} rows[] = {
    {"{}", CONFIG_logging_level, "info", 0, 0, NULL},
    {"\xef\xbb\xbf {\"logging\":{\"level\":\"warn\"}}", CONFIG_logging_level, "warn", 1, 0,
     "\nlevel = warn\n"},
    {"{\"connection\":{\"idleTimeout\":90000}}", CONFIG_connection_idleTimeout, "90s", 1, 0, NULL},
    {"{\"connection\":{\"idleTimeout\":90000.5}}", CONFIG_connection_idleTimeout, "10m", 0, 1,
     "# not taken over: connection.idleTimeout = 90000.5 (not a value of this key)\n"},
    {"{\"connection\":{\"idleTimeout\":-1}}", CONFIG_connection_idleTimeout, "10m", 0, 1, "= -1 ("},
    {"{\"connection\":{\"idleTimeout\":1e300}}", CONFIG_connection_idleTimeout, "10m", 0, 1, NULL},
    {"{\"connection\":{\"idleTimeout\":\"2m\"}}", CONFIG_connection_idleTimeout, "2m", 1, 0, NULL},
    {"{\"connection\":{\"idleTimeout\":[1]}}", CONFIG_connection_idleTimeout, "10m", 0, 1, "= [1] ("},
    {"{\"connection\":{\"maxConnections\":10001}}", CONFIG_connection_maxConnections, "300", 0, 1,
     "1..10000)\n"},
    {"{\"connection.maxConnections\":7}", CONFIG_connection_maxConnections, "7", 1, 0, NULL},
    {"{\"connectionManager\":{\"maxConnections\":7},\"connection\":{\"maxConnections\":8}}",
     CONFIG_connection_maxConnections, "7", 1, 1, "(set twice)"},
    {"{\"health\":{\"errorsNormal\":0.25}}", CONFIG_health_errorsNormal, "0.25", 1, 0, NULL},
    {"{\"messages\":{\"maxBody\":65536}}", CONFIG_messages_maxBody, "64KiB", 1, 0, NULL},
    {"{\"network\":{\"perf\":true}}", CONFIG_network_perf, "yes", 1, 0, NULL},
    {"{\"network\":{\"perf\":null}}", CONFIG_network_perf, "no", 0, 1, NULL},
    {"{\"access\":{\"denyCidrs\":[\"10.0.0.0/8\",\"x\",\"11.0.0.0/8,12.0.0.0/8\",5,\"13.0.0.0/8\"]}}",
     CONFIG_access_denyCidrs, "10.0.0.0/8, 13.0.0.0/8", 1, 3, "access.denyCidrs[1] = \"x\" ("},
    {"{\"access\":{\"denyCidrs\":[]}}", CONFIG_access_denyCidrs, "", 1, 0, NULL},
    {"{\"access\":{\"denyCidrs\":[\"x\"]}}", CONFIG_access_denyCidrs, "", 0, 1, NULL},
    {"{\"a\":{\"b\":{\"c\":[1,{}]}},\"d\":{}}", CONFIG_logging_level, "info", 0, 2,
     "# not taken over: a.b.c = [1,{}] (there is no such key)\n"},
    {"{\"swarmPassword\":\"hunter2\"}", CONFIG_logging_level, "info", 0, 1,
     "# not taken over: swarmPassword = (may be secret) (there is no such key)\n"},
    {"{\"node\":{\"name\":\"x\\n[access]\\nmode = allowlist\"}}", CONFIG_access_mode, "open", 0, 1,
     "x\\n[access]"},
    {"{\"x\\ny\":1,\"\":2}", CONFIG_logging_level, "info", 0, 2, "(unnamed) = 1 (a name that no key has)\n"},
};

TEST(settings_are_taken_or_left_with_a_reason) {
    for (size_t i = 0; i < LEN(rows); i++) {
        struct config_import im;
        struct why w = {OK, ""};
        CHECK(config_import_json(NULL, bytes_of(rows[i].json), "/old\n/config.json", &im, &w) == OK,
              "row %zu: %s", i, w.text);
        struct config *c = read_back(&im);
        CHECK(c != NULL && strcmp(c->entries[rows[i].key].text, rows[i].want) == 0, "row %zu: %s", i,
              c == NULL ? "" : c->entries[rows[i].key].text);
        CHECK(im.n_taken == rows[i].taken && im.n_left == rows[i].left, "row %zu: %zu, %zu", i, im.n_taken,
              im.n_left);
        CHECK(rows[i].line == NULL || bytes_has(buf_view(&im.ini), bytes_of(rows[i].line)), "row %zu: %s", i,
              buf_cstr(&im.ini));
        CHECK(!bytes_has(buf_view(&im.ini), BYTES("hunter2")) &&
              !bytes_has(buf_view(&im.left), BYTES("hunter2")));
        struct json_doc *left = json_parse(buf_view(&im.left), &w),
                        *taken = json_parse(buf_view(&im.taken), &w);
        CHECK(json_count(json_root(left)) == im.n_left && json_count(json_root(taken)) == im.n_taken,
              "row %zu", i);
        json_free(left);
        json_free(taken);
        config_free(c);
        config_import_free(&im);
    }
}

TEST(what_is_no_object_is_refused) {
    static const char *const bad[] = {"", "[]", "1", "{", "{\"a\":}", "{} x", "null"};
    for (size_t i = 0; i < LEN(bad); i++) {
        struct config_import im;
        struct why w = {OK, ""};
        CHECK(config_import_json(NULL, bytes_of(bad[i]), "f", &im, &w) == E_INPUT && w.text[0] == 'f',
              "row %zu: %s", i, w.text);
        config_import_free(&im);
    }
}

TEST(long_values_are_cut_in_comments_and_floods_are_refused) {
    struct buf json = {.max = 4 << 20};
    struct config_import im;
    struct why w = {OK, ""};
    CHECK(buf_add_text(&json, "{\"a\":\""));
    for (int i = 0; i < 3000; i++) CHECK(buf_add_text(&json, "\xe4\xb8\x9d"));
    CHECK(buf_add_text(&json, "\"}") && config_import_json(NULL, buf_view(&json), "f", &im, &w) == OK, "%s",
          w.text);
    config_free(read_back(&im)); /* UTF-8, and no line over 8 KiB */
    config_import_free(&im);
    buf_clear(&json);
    CHECK(buf_add_text(&json, "{\"a\":0"));
    for (int i = 0; i < 60000; i++) CHECK(buf_add_format(&json, ",\"a%d\":0", i));
    CHECK(buf_add_text(&json, "}") && config_import_json(NULL, buf_view(&json), "f", &im, &w) == E_LIMIT,
          "%s", w.text);
    config_import_free(&im);
    buf_free(&json);
}

TEST(damage_and_lack_of_memory_leave_nothing_behind) {
    char text[] =
        "{\"logging\":{\"level\":\"warn\"},\"access\":{\"denyCidrs\":[\"10.0.0.0/8\",\"x\"]},\"b\":1}";
    size_t blocks = mem_blocks();
    struct config_import im;
    struct why w;
    for (size_t bit = 0; bit < (sizeof text - 1) * 8; bit++) {
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
        if (config_import_json(NULL, bytes_at(text, sizeof text - 1), "f", &im, &w) == OK)
            config_free(read_back(&im));
        config_import_free(&im);
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
    }
    for (long i = 0; i < 60; i++) {
        mem_fail_after(i);
        enum err e = config_import_json(NULL, bytes_at(text, sizeof text - 1), "f", &im, &w);
        mem_fail_after(-1);
        if (e == OK) {
            CHECK(im.n_taken + im.n_left == 4, "%ld: %zu, %zu", i, im.n_taken, im.n_left);
        }
        config_import_free(&im);
    }
    CHECK(mem_blocks() == blocks);
}
