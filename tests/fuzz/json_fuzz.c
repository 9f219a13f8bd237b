/* JSON in and out: what is read is written so that it reads the same again; whatever text goes out is one
 * line of valid JSON without anything a terminal obeys. */
#include "base/json.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

static void walk(const struct json *v, size_t depth) {
    size_t i = 0;
    struct bytes key;
    const struct json *member;
    MUST(depth <= JSON_DEPTH_MAX);
    while (json_member(v, &i, &key, &member)) walk(member, depth + 1);
    i = 0;
    while (json_item(v, &i, &member)) {
        walk(member, depth + 1);
        MUST(json_is_array(v));
    }
    json_at(v, json_count(v));
    json_get_int(v, "a", 0);
    json_get_bool(v, "b", false);
    json_get_bytes(v, "c");
    json_real(v, 0);
    json_int(v, 0);
    json_bool(v, false);
    MUST(json_is_text(v) || json_is_number(v) || json_is_object(v) || json_is_array(v) || json_is_null(v) ||
         json_bool(v, false) == json_bool(v, true));
}

static void check_printed(struct bytes out) {
    struct bytes rest = out;
    while (rest.n > 0) {
        uint32_t code;
        size_t n = utf8_read(rest, &code);
        MUST(n > 0 && !utf8_control(code));
        rest = bytes_skip(rest, n);
    }
}

static void check_parse(struct bytes in) {
    struct why w = {OK, ""};
    struct json_doc *doc = json_parse(in, &w), *again;
    if (doc == NULL) {
        MUST(w.code == E_INPUT && w.text[0] != 0);
        return;
    }
    struct buf out = {.max = 1 << 20}, second = {.max = 1 << 20};
    walk(json_root(doc), 0);
    MUST(json_print(json_root(doc), &out));
    check_printed(buf_view(&out));
    again = json_parse(buf_view(&out), &w);
    MUST(again != NULL && json_print(json_root(again), &second));
    MUST(bytes_eq(buf_view(&out), buf_view(&second)));
    json_free(again);
    json_free(doc);
    buf_free(&out);
    buf_free(&second);
}

static void check_write(struct bytes in) {
    struct buf out = {.max = 1 << 16};
    struct json_out o = json_begin(&out);
    struct bytes key = fuzz_part(&in), text = fuzz_part(&in);
    char name[64];
    bytes_cstr(key, name, sizeof name);
    uint64_t bits = fuzz_u64(&in);
    double real;
    memcpy(&real, &bits, sizeof real);
    json_open(&o, NULL, '{');
    json_key(&o, key);
    json_put(&o, NULL, text);
    json_put_str(&o, "a", name);
    json_put_str(&o, "b", NULL);
    json_open(&o, "list", '[');
    json_put_int(&o, NULL, (int64_t)bits);
    json_put_uint(&o, NULL, bits);
    json_put_real(&o, NULL, real);
    json_put_bool(&o, NULL, bits % 2 == 0);
    json_put_wall(&o, NULL, (struct wall){(int64_t)bits});
    json_shut(&o, ']');
    json_put_raw(&o, "raw", BYTES("{}"));
    json_shut(&o, '}');
    MUST(json_end(&o));
    check_printed(buf_view(&out));
    struct why w = {OK, ""};
    struct json_doc *doc = json_parse(buf_view(&out), &w);
    MUST(doc != NULL);
    json_free(doc);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    uint8_t what = fuzz_u8(&in);
    size_t blocks = mem_blocks();
    in = fuzz_exact(bytes_sub(in, 0, 8192));
    if (what % 4 == 0) {
        check_write(in);
    } else {
        check_parse(in);
    }
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
