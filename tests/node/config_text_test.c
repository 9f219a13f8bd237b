/* tests/node/config_text_test.c: the configuration as text: sample, schema, manual, list, and edits that
 * leave everything else as it was */
#include "node/config.h"

#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

static const struct config_home home = {
    .home = "/home/x", .socket = "/run/x.sock", .hostname = "host-1", .socketmode = "0660"};

static struct config *make(struct bytes text) {
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct why w = {0};
    CHECK(b != NULL);
    enum err e = config_builder_add(b, "x.ini", text, &w);
    if (e == OK) e = config_builder_finish(b, &c, &w);
    CHECK(e == OK, "%s in:\n%.*s", w.text, (int)text.n, (const char *)text.p);
    config_builder_free(b);
    return c;
}

static bool same(const struct config *a, const struct config *b, enum config_key except) {
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        if (k != except && !config_same(a, b, (enum config_key)k)) return false;
    }
    return true;
}

static bool has_text(const struct buf *b, const char *text) {
    return bytes_has(buf_view(b), bytes_of(text));
}

/* ---- the sample */

TEST(the_sample_is_the_defaults) {
    struct buf sample = {.max = CONFIG_FILE_MAX};
    CHECK(config_sample(NULL, &sample));
    struct config *c = make(buf_view(&sample)), *defaults = make(BYTES(""));
    CHECK(same(c, defaults, CONFIG_KEY_COUNT));
    struct bytes rest = buf_view(&sample), line;
    while (bytes_split(&rest, '\n', &line)) CHECK(line.n <= 200 && utf8_valid(line), "%zu", line.n);
    config_free(c);
    config_free(defaults);
    buf_free(&sample);
}

/* Takes the # of one key's line away: what stands there must be its default. */
TEST(each_line_of_the_sample_can_be_taken_as_it_is) {
    struct buf sample = {.max = CONFIG_FILE_MAX};
    struct config *defaults = make(BYTES(""));
    CHECK(config_sample(defaults, &sample));
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_row *row = &config_rows[k];
        struct buf text = {.max = CONFIG_FILE_MAX};
        struct bytes rest = buf_view(&sample), line;
        char start[100], header[100];
        size_t found = 0;
        bool inside = false;
        snprintf(start, sizeof(start), "#%s = ", row->key);
        snprintf(header, sizeof(header), "[%s]", row->section);
        while (bytes_split(&rest, '\n', &line)) {
            if (bytes_starts(line, "[")) inside = bytes_is(line, header);
            if (inside && bytes_starts(line, start)) {
                found++;
                line = bytes_skip(line, 1);
            }
            CHECK(buf_add(&text, line) && buf_add_byte(&text, '\n'));
        }
        CHECK(found == 1, "%s stands there %zu times", row->name, found);
        struct config *c = make(buf_view(&text));
        CHECK(same(c, defaults, CONFIG_KEY_COUNT), "%s", row->name);
        CHECK(strcmp(c->entries[k].source, "default") != 0, "%s", row->name);
        config_free(c);
        buf_free(&text);
    }
    config_free(defaults);
    buf_free(&sample);
}

/* ---- for programs and people */

TEST(the_schema_has_every_key) {
    struct buf text = {.max = 1 << 20};
    struct why w = {0};
    CHECK(config_schema_json(&text));
    struct json_doc *doc = json_parse(buf_view(&text), &w);
    CHECK(doc != NULL, "%s", w.text);
    const struct json *sections = json_get(json_root(doc), "properties");
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_row *row = &config_rows[k];
        const struct json *key = json_get(json_get(json_get(sections, row->section), "properties"), row->key);
        CHECK(bytes_is(json_get_bytes(key, "description"), row->meaning), "%s", row->name);
        const struct json *otherwise = json_get(key, "default");
        bool worked_out = row->value[0] == '<', list = bytes_is(json_get_bytes(key, "type"), "array");
        CHECK((otherwise == NULL) == worked_out && (json_get(key, "x-default") != NULL) == worked_out, "%s",
              row->name);
        CHECK(!list || json_is_array(otherwise), "%s", row->name);
        CHECK(row->type != CONFIG_COUNT || worked_out ||
                  json_int(otherwise, -1) >= json_get_int(key, "minimum", 1 << 30),
              "%s", row->name);
        CHECK(row->type != CONFIG_BOOL || json_bool(otherwise, true) == (strcmp(row->value, "yes") == 0),
              "%s", row->name);
        CHECK(!json_is_text(otherwise) || bytes_is(json_bytes(otherwise), row->value), "%s", row->name);
        CHECK(
            bytes_is(json_get_bytes(key, "x-applies"), row->applies == CONFIG_RELOAD ? "reload" : "restart"));
        size_t words = json_count(json_get(key, "enum"));
        CHECK((words > 1) == (row->type == CONFIG_CHOICE), "%s: %zu", row->name, words);
        CHECK(bytes_is(json_get_bytes(key, "type"), "array") == (json_get(key, "items") != NULL), "%s",
              row->name);
    }
    json_free(doc);
    buf_free(&text);
}

TEST(the_manual_has_every_key_and_no_accidental_macro) {
    struct buf text = {.max = 1 << 20};
    CHECK(config_manual(&text));
    static const char *const macros[] = {".Pp", ".Sh ", ".Ss ", ".Bl ", ".It ", ".El", ".Xr "};
    struct bytes rest = buf_view(&text), line;
    while (bytes_split(&rest, '\n', &line)) {
        bool known = !bytes_starts(line, ".") && !bytes_starts(line, "'");
        for (size_t i = 0; i < LEN(macros); i++) known = known || bytes_starts(line, macros[i]);
        CHECK(known && line.n > 0, "%.*s", (int)line.n, (const char *)line.p);
    }
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        char item[100];
        snprintf(item, sizeof(item), ".It Va \"%s = ", config_rows[k].key);
        CHECK(has_text(&text, item), "%s", config_rows[k].name);
    }
    buf_free(&text);
}

static bool sample(struct buf *out) {
    return config_sample(NULL, out);
}

TEST(texts_that_do_not_fit_are_refused) {
    static bool (*const writers[])(struct buf *) = {sample, config_schema_json, config_manual};
    for (size_t i = 0; i < LEN(writers); i++) {
        struct buf whole = {.max = 1 << 20}, less = {.max = 0};
        CHECK(writers[i](&whole));
        for (size_t cut = 1; cut < whole.n; cut += 1 + whole.n / 50) {
            less.max = whole.n - cut;
            CHECK(!writers[i](&less), "%zu of %zu", less.max, whole.n);
            buf_free(&less);
        }
        less.max = whole.n;
        CHECK(writers[i](&less));
        buf_free(&less);
        buf_free(&whole);
    }
}

TEST(the_list_shows_values_sources_and_what_is_pending) {
    struct config *old = make(BYTES("[node]\nname = a\n")),
                  *c = make(BYTES("[node]\nname = b\nsocketMode = 600\n"));
    for (unsigned row = 0; row < 3; row++) { /* all, with a running one, changed ones only */
        struct buf text = {.max = 1 << 20};
        struct json_out o = json_begin(&text);
        json_open(&o, NULL, '[');
        config_list_json(c, row == 1 ? old : NULL, row == 2, NULL, &o);
        json_shut(&o, ']');
        CHECK(json_end(&o));
        struct json_doc *doc = json_parse(buf_view(&text), NULL);
        CHECK(json_count(json_root(doc)) == (row == 2 ? 2 : CONFIG_KEY_COUNT));
        const struct json *item;
        size_t i = 0, pending = 0;
        for (unsigned k = 0; json_item(json_root(doc), &i, &item); k++) {
            pending += json_get_bool(item, "pending", false);
            CHECK((json_get(item, "pending") != NULL) == (row == 1));
            if (!bytes_is(json_get_bytes(item, "key"), "node.socketMode")) continue;
            CHECK(bytes_is(json_get_bytes(item, "value"), "0600") &&
                  bytes_is(json_get_bytes(item, "applies"), "restart"));
            CHECK(bytes_is(json_get_bytes(item, "source"), "x.ini:3"));
        }
        CHECK(pending == (row == 1 ? 2 : 0), "%zu", pending);
        json_free(doc);
        buf_free(&text);
    }
    config_free(old);
    config_free(c);
}

/* ---- edits */

static const struct {
    const char *what, *old;
    enum config_key key;
    const char *value, *want; /* value NULL: removed */
} edits[] = {
    {"an empty file", "", CONFIG_node_name, "b", "\n[node]\nname = b\n"},
    {"in place", "[node]\nname = a ; why\n# x\n", CONFIG_node_name, "b", "[node]\nname = b ; why\n# x\n"},
    {"a comment that is none", "[node]\nsocketGroup = a;b\t;c\r\n", CONFIG_node_socketGroup, "b",
     "[node]\nsocketGroup = b\t;c\r\n"},
    {"a line of a list that looks like a section",
     "[http]\nlisten = 127.0.0.1:1\n  [::1]:2\nallowHosts = a\n", CONFIG_http_allowHosts, "b",
     "[http]\nlisten = 127.0.0.1:1\n  [::1]:2\nallowHosts = b\n"},
    {"such a line of the key itself", "[http]\nlisten = 127.0.0.1:1\n  [::1]:2\nallowHosts = a\n",
     CONFIG_http_listen, "off", "[http]\nlisten = off\nallowHosts = a\n"},
    {"such a line of another section", "[http]\nlisten = 127.0.0.1:1\n\t[::1]:2\n[node]\nname = a\n",
     CONFIG_node_name, "b", "[http]\nlisten = 127.0.0.1:1\n\t[::1]:2\n[node]\nname = b\n"},
    {"other sections", "[logging]\nlevel = info\n[node]\nname=a\n[access]\n", CONFIG_node_name, "b",
     "[logging]\nlevel = info\n[node]\nname = b\n[access]\n"},
    {"the last one counts", "[node]\nname = a\n# 1\nname = c\n# 2\n", CONFIG_node_name, "b",
     "[node]\n# 1\nname = b\n# 2\n"},
    {"a section in two parts", "[node]\nname = a\n[access]\n[node]\nname = c\n", CONFIG_node_name, "b",
     "[node]\n[access]\n[node]\nname = b\n"},
    {"the same key elsewhere", "[files]\nfrom = any\n[messages]\nfrom = any\n", CONFIG_messages_from, "known",
     "[files]\nfrom = any\n[messages]\nfrom = known\n"},
    {"behind its sample", "[node]\n#name = x\n\n#data = /x\n", CONFIG_node_name, "b",
     "[node]\n#name = x\nname = b\n\n#data = /x\n"},
    {"at the end of the section", "[node]\ndata = /x\n\n[access]\n", CONFIG_node_name, "b",
     "[node]\ndata = /x\nname = b\n\n[access]\n"},
    {"a new section", "[access]\nmode = open\n", CONFIG_node_name, "b",
     "[access]\nmode = open\n\n[node]\nname = b\n"},
    {"no newline at the end", "[node]\nname = a", CONFIG_node_name, "b", "[node]\nname = b\n"},
    {"no newline, another key", "[node]\ndata = /x", CONFIG_node_name, "b", "[node]\ndata = /x\nname = b\n"},
    {"no newline, a new section", "[access]", CONFIG_node_name, "b", "[access]\n\n[node]\nname = b\n"},
    {"CRLF", "[node]\r\nname = a\r\n# x\r\n", CONFIG_node_name, "b", "[node]\r\nname = b\r\n# x\r\n"},
    {"CRLF, a new section", "[access]\r\n", CONFIG_node_name, "b", "[access]\r\n\r\n[node]\r\nname = b\r\n"},
    {"a byte order mark", "\xef\xbb\xbf[access]\ndenyCidrs = 10.0.0.0/8\n", CONFIG_access_denyCidrs,
     "11.0.0.0/8", "\xef\xbb\xbf[access]\ndenyCidrs = 11.0.0.0/8\n"},
    {"a colon", "[node]\nname: a\n", CONFIG_node_name, "b", "[node]\nname = b\n"},
    {"removed", "# 1\n[node]\n# 2\nname = a\n# 3\n", CONFIG_node_name, NULL, "# 1\n[node]\n# 2\n# 3\n"},
    {"removed everywhere", "[node]\nname = a\n[node]\nname = c\n", CONFIG_node_name, NULL,
     "[node]\n[node]\n"},
    {"removed at the end", "[node]\ndata = /x\nname = a", CONFIG_node_name, NULL, "[node]\ndata = /x\n"},
    {"not there", "[node]\ndata = /x", CONFIG_node_name, NULL, "[node]\ndata = /x"},
    {"a sample is no key", "[node]\n#name = a\n", CONFIG_node_name, NULL, "[node]\n#name = a\n"},
    {"lines of a list", "[access]\ndenyCidrs = 10.0.0.0/8,\n  11.0.0.0/8\n\t12.0.0.0/8\nmode = open\n",
     CONFIG_access_denyCidrs, "1.0.0.0/8", "[access]\ndenyCidrs = 1.0.0.0/8\nmode = open\n"},
    {"a comment between lines of a list",
     "[access]\ndenyCidrs = 10.0.0.0/8\n# why\n\n  11.0.0.0/8\nmode = open\n", CONFIG_access_denyCidrs,
     "1.0.0.0/8", "[access]\ndenyCidrs = 1.0.0.0/8\n# why\n\nmode = open\n"},
    {"an indented comment", "[access]\ndenyCidrs = 10.0.0.0/8\n  # why\n  11.0.0.0/8\n",
     CONFIG_access_denyCidrs, NULL, "[access]\n  # why\n"},
    {"a sample among lines of a list", "[access]\nallowCidrs = 10.0.0.0/8\n#denyCidrs = x\n  11.0.0.0/8\n",
     CONFIG_access_denyCidrs, "1.0.0.0/8",
     "[access]\nallowCidrs = 10.0.0.0/8\n#denyCidrs = x\n  11.0.0.0/8\ndenyCidrs = 1.0.0.0/8\n"},
};

TEST(edits_change_one_key_and_nothing_else) {
    for (size_t i = 0; i < LEN(edits); i++) {
        struct buf out = {.max = CONFIG_FILE_MAX}, again = {.max = CONFIG_FILE_MAX};
        struct bytes value = bytes_of(edits[i].value), *v = edits[i].value == NULL ? NULL : &value;
        struct why w = {0};
        CHECK(config_edit(bytes_of(edits[i].old), edits[i].key, v, &out, &w) == OK, "%s: %s", edits[i].what,
              w.text);
        CHECK(bytes_is(buf_view(&out), edits[i].want), "%s:\n%s", edits[i].what, buf_cstr(&out));
        CHECK(config_edit(buf_view(&out), edits[i].key, v, &again, &w) == OK, "%s", w.text);
        CHECK(bytes_eq(buf_view(&out), buf_view(&again)), "%s, twice:\n%s", edits[i].what, buf_cstr(&again));
        struct config *old = make(bytes_of(edits[i].old)), *c = make(buf_view(&out)),
                      *defaults = make(BYTES(""));
        CHECK(same(old, c, edits[i].key), "%s", edits[i].what);
        CHECK(v == NULL ? config_same(c, defaults, edits[i].key)
                        : strcmp(c->entries[edits[i].key].text, edits[i].value) == 0,
              "%s: %s", edits[i].what, c->entries[edits[i].key].text);
        config_free(old);
        config_free(c);
        config_free(defaults);
        for (size_t max = 0; max < out.n; max++) { /* too small an output is said */
            struct buf less = {.max = max};
            CHECK(config_edit(bytes_of(edits[i].old), edits[i].key, v, &less, &w) == E_LIMIT, "%s",
                  edits[i].what);
            buf_free(&less);
        }
        buf_free(&out);
        buf_free(&again);
    }
}

TEST(every_key_can_be_set_in_the_sample_and_taken_out_again) {
    struct buf sample = {.max = CONFIG_FILE_MAX};
    struct config *defaults = make(BYTES(""));
    CHECK(config_sample(defaults, &sample));
    for (unsigned k = 0; k < CONFIG_KEY_COUNT; k++) {
        struct buf set = {.max = CONFIG_FILE_MAX}, unset = {.max = CONFIG_FILE_MAX};
        struct bytes value = bytes_of(defaults->entries[k].text);
        struct why w = {0};
        CHECK(config_edit(buf_view(&sample), (enum config_key)k, &value, &set, &w) == OK, "%s", w.text);
        struct config *c = make(buf_view(&set));
        CHECK(same(c, defaults, CONFIG_KEY_COUNT), "%s", config_rows[k].name);
        CHECK(strcmp(c->entries[k].source, "default") != 0, "%s", config_rows[k].name);
        CHECK(config_edit(buf_view(&set), (enum config_key)k, NULL, &unset, &w) == OK, "%s", w.text);
        CHECK(bytes_eq(buf_view(&unset), buf_view(&sample)), "%s", config_rows[k].name);
        config_free(c);
        buf_free(&set);
        buf_free(&unset);
    }
    config_free(defaults);
    buf_free(&sample);
}

TEST(edits_without_memory_say_so) {
    struct bytes old = BYTES("[node]\nname = a\n[access]\nmode = open\n"), value = BYTES("b");
    size_t blocks = mem_blocks();
    enum err e = E_LIMIT;
    for (long i = 0; e != OK; i++) {
        struct buf out = {.max = CONFIG_FILE_MAX};
        struct why w = {0};
        CHECK(i < 50);
        mem_fail_after(i);
        e = config_edit(old, CONFIG_node_name, &value, &out, &w);
        mem_fail_after(-1);
        CHECK(i > 0 || e != OK);
        CHECK(e != OK || bytes_is(buf_view(&out), "[node]\nname = b\n[access]\nmode = open\n"));
        buf_free(&out);
    }
    CHECK(mem_blocks() == blocks);
}
