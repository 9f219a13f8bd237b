/* The old program's config.json: whatever is in it, what comes out is a configuration that a node takes. */
#include "base/json.h"
#include "node/config_import.h"
#include "tests/fuzz/fuzz.h"

static const struct config_home home = {
    .home = "/h", .socket = "/h/control.sock", .hostname = "host", .socketmode = "0600"};

static struct config *config_of(struct bytes text, struct why *w) {
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    if (config_builder_add(b, "x", text, w) == OK) config_builder_finish(b, &c, w);
    config_builder_free(b);
    return c;
}

static void check_list(const struct buf *text, size_t n) {
    struct json_doc *doc = json_parse(buf_view(text), NULL);
    MUST(doc != NULL && json_count(json_root(doc)) == n);
    json_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static struct config *defaults;
    struct why w = {OK, ""};
    if (defaults == NULL) MUST((defaults = config_of(bytes_of(""), &w)) != NULL);
    size_t blocks = mem_blocks();
    struct bytes in = fuzz_exact(bytes_at(data, n));
    struct config_import i;
    enum err e = config_import_json(n % 2 == 0 ? defaults : NULL, in, "config.json", &i, &w);
    MUST(e == OK || (e == w.code && w.text[0] != 0));
    if (e == OK) {
        struct config *c = config_of(buf_view(&i.ini), &w);
        if (c == NULL) fprintf(stderr, "%s\n%.*s\n", w.text, (int)i.ini.n, (const char *)i.ini.p);
        MUST(c != NULL);
        config_free(c);
        check_list(&i.taken, i.n_taken);
        check_list(&i.left, i.n_left);
    }
    config_import_free(&i);
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
