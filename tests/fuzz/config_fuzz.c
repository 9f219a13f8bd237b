/* INI texts to a configuration, single values, and edits of a file's text. */
#include "base/text.h"
#include "node/config.h"
#include "tests/fuzz/fuzz.h"

static const struct config_home home = {
    .home = "/h", .socket = "/h/control.sock", .hostname = "host", .socketmode = "0600"};

/* NULL: the texts are no configuration. */
static struct config *build(struct bytes first, struct bytes second) {
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct why w = {OK, ""};
    enum err e = config_builder_add(b, "a.ini", first, &w);
    if (e == OK) e = config_builder_add(b, "b.ini", second, &w);
    if (e == OK) e = config_builder_finish(b, &c, &w);
    MUST((e == OK) == (c != NULL) && e == w.code && (e == OK || w.text[0] != 0));
    config_builder_free(b);
    return c;
}

static void check_values(const struct config *c) {
    struct buf text = {.max = 1 << 20}, json = {.max = 4 << 20};
    for (size_t k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_entry *e = &c->entries[k];
        struct why w = {OK, ""};
        MUST(e->text != NULL && e->source != NULL && utf8_valid(bytes_of(e->text)));
        MUST(config_check_value((enum config_key)k, bytes_of(e->text), &w) == OK);
        MUST(config_same(c, c, (enum config_key)k));
    }
    for (size_t i = 0; i < LIMIT_COUNT; i++)
        MUST(c->limits[i] >= limit_rows[i].least && c->limits[i] <= limit_rows[i].most);
    MUST(config_warnings(c, &text));
    struct json_out o = json_begin(&json);
    json_open(&o, NULL, '[');
    config_list_json(c, c, true, NULL, &o);
    json_shut(&o, ']');
    MUST(json_end(&o));
    buf_free(&text);
    buf_free(&json);
}

static void check_build(struct bytes in) {
    struct bytes first = fuzz_part(&in);
    struct config *c = build(in, first);
    if (c != NULL) check_values(c);
    config_free(c);
}

static void check_value(enum config_key key, struct bytes value) {
    struct why w = {OK, ""};
    enum err e = config_check_value(key, value, &w);
    MUST(e == w.code && (e == OK || w.text[0] != 0));
}

/* A good value that is put into a good file is there afterwards, and nothing else has changed. */
static void check_edit(enum config_key key, struct bytes value, bool drop, struct bytes file) {
    struct buf out = {.max = CONFIG_FILE_MAX};
    struct why w = {OK, ""};
    bool good = drop || config_check_value(key, value, NULL) == OK;
    struct config *before = build(file, (struct bytes){NULL, 0});
    if (config_edit(file, key, drop ? NULL : &value, &out, &w) == OK && before != NULL && good) {
        struct config *after = build(buf_view(&out), (struct bytes){NULL, 0});
        for (size_t k = 0; after != NULL && k < CONFIG_KEY_COUNT; k++) {
            if (k == (size_t)key)
                MUST(!drop || strcmp(after->entries[k].source, "default") == 0);
            else /* a default may follow what is set: a threshold its neighbours, say */
                MUST(config_same(before, after, (enum config_key)k) ||
                     (strcmp(before->entries[k].source, "default") == 0 &&
                      strcmp(after->entries[k].source, "default") == 0));
        }
        if (after != NULL && !drop) MUST(strcmp(after->entries[key].source, "default") != 0);
        config_free(after);
    }
    config_free(before);
    buf_free(&out);
}

static void check_names(struct bytes in) {
    const char *near = "";
    enum config_key k = config_find(in, &near);
    if (k != CONFIG_KEY_COUNT) MUST(bytes_is(in, config_rows[k].name));
    struct buf out = {.max = 1 << 20};
    if (in.n > 0 && in.p[0] == '!') {
        MUST(config_schema_json(&out));
        struct json_doc *doc = json_parse(buf_view(&out), NULL);
        MUST(doc != NULL);
        json_free(doc);
        out.n = 0;
        MUST(config_sample(NULL, &out) && config_manual(&out));
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    uint8_t what = fuzz_u8(&in);
    enum config_key key = (enum config_key)(fuzz_u8(&in) % CONFIG_KEY_COUNT);
    struct bytes value = what % 4 == 2 ? fuzz_part(&in) : (struct bytes){NULL, 0};
    in = fuzz_exact(bytes_sub(in, 0, 20000));
    switch (what % 4) {
    case 0: check_build(in); break;
    case 1: check_value(key, in); break;
    case 2: check_edit(key, value, (what & 4) != 0, in); break;
    case 3: check_names(in); break;
    }
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
