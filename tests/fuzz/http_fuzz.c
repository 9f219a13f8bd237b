/* Heads of HTTP requests, escapes and queries: what is good keeps the rules, and a cut one is never judged
 * another way than "more". */
#include "proto/http.h"
#include "tests/fuzz/fuzz.h"

static bool inside(struct bytes part, struct bytes whole) {
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_good(struct bytes in, const struct http_request *r, size_t used) {
    struct bytes head = bytes_sub(in, 0, used);
    MUST(used <= in.n && used <= HTTP_HEAD_MAX + 16 && bytes_ends(head, "\r\n\r\n"));
    MUST(r->method < HTTP_METHOD_COUNT && r->path.n >= 1 && r->path.p[0] == '/' &&
         r->path.n <= HTTP_PATH_MAX);
    MUST(inside(r->path, head) && inside(r->query, head) && inside(r->host, head) && inside(r->origin, head));
    MUST(inside(r->authorization, head) && inside(r->accept, head) && inside(r->fetch_site, head));
    MUST(bytes_index(r->path, ' ') == r->path.n && bytes_index(r->path, 0) == r->path.n);
    MUST(r->body_size <= INT64_MAX && (r->has_host || r->host.n == 0));
    for (size_t n = 0; n < used; n += 1 + used / 16) {
        struct http_request cut;
        size_t cut_used;
        MUST(http_request_read(bytes_sub(in, 0, n), &cut, &cut_used) == 0 && cut_used == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    struct http_request r;
    size_t used = 1;
    struct bytes copy = fuzz_exact(in);
    int status = http_request_read(copy, &r, &used);
    MUST(status == 0 || status == 200 || strcmp(http_status_text(status), "Unknown") != 0);
    MUST(status == 200 || used == 0);
    if (status == 200) check_good(copy, &r, used);
    char value[64];
    struct buf text = {.max = 4096};
    if (http_query(status == 200 ? r.query : copy, "a", value, sizeof value))
        MUST(strlen(value) < sizeof value);
    if (http_unescape(&text, copy, (n & 1) != 0))
        MUST(text.n <= copy.n && bytes_index(buf_view(&text), 0) == text.n);
    buf_clear(&text);
    struct http_answer a = {.status = 100 + (int)(n % 500), .type = "text/plain", .body = copy};
    if (http_answer_write(&text, &a, (n & 2) != 0, (n & 4) != 0))
        MUST(bytes_starts(buf_view(&text), "HTTP/1.1 "));
    buf_free(&text);
    fuzz_free(copy);
    fuzz_no_leak(blocks);
    return 0;
}
