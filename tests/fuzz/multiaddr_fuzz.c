/* Multiaddrs: text and bytes stand for each other. */
#include "proto/multiaddr.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

/* A valid address reads the same from its own text. */
static void check_valid(struct bytes addr) {
    struct buf text = {.max = MULTIADDR_TEXT_MAX}, back = {.max = MULTIADDR_MAX};
    struct why w = {OK, ""};
    MUST(addr.n <= MULTIADDR_MAX && multiaddr_text(addr, &text) && utf8_valid(buf_view(&text)));
    MUST(multiaddr_parse(buf_view(&text), &back, &w) == OK);
    MUST(bytes_eq(buf_view(&back), addr));
    buf_free(&text);
    buf_free(&back);
}

static void check_bytes(struct bytes addr) {
    char shown[MULTIADDR_TEXT_MAX];
    struct buf text = {.max = MULTIADDR_TEXT_MAX};
    struct rd r = rd_of(addr);
    struct multiaddr_part part;
    size_t parts = 0;
    while (multiaddr_next(&r, &part)) parts++;
    bool valid = multiaddr_valid(addr);
    MUST(!valid || (!r.bad && parts >= 1 && parts <= MULTIADDR_PARTS_MAX));
    if (valid) check_valid(addr);
    multiaddr_text(addr, &text);
    multiaddr_show(addr, shown);
    MUST(strlen(shown) < sizeof shown);
    struct multiaddr_target t = multiaddr_target(addr);
    MUST(valid || (t.host == TARGET_NONE && !t.dialable && t.peer.n == 0));
    if (t.dialable) MUST(t.tcp || t.host == TARGET_DNSADDR);
    struct bytes rest = multiaddr_without_peer(addr);
    MUST(rest.n <= addr.n);
    if (valid && t.peer.n > 0 && rest.n < addr.n && rest.n > 0) {
        struct buf again = {.max = MULTIADDR_MAX};
        MUST(multiaddr_valid(rest) && buf_add(&again, rest) && multiaddr_add_peer(&again, &t.peer));
        MUST(bytes_eq(buf_view(&again), addr));
        buf_free(&again);
    }
    if (t.host == TARGET_IP) {
        struct buf endpoint = {.max = MULTIADDR_MAX};
        struct endpoint e = {.ip = t.ip, .port = t.port};
        MUST(multiaddr_from_endpoint(&e, &endpoint) && multiaddr_valid(buf_view(&endpoint)));
        buf_free(&endpoint);
    }
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    bool text = fuzz_u8(&in) % 2 == 0;
    in = fuzz_exact(bytes_sub(in, 0, 3000));
    if (text) {
        struct buf out = {.max = MULTIADDR_MAX};
        struct why w = {OK, ""};
        enum err e = multiaddr_parse(in, &out, &w);
        MUST(e == OK ? multiaddr_valid(buf_view(&out)) : out.n == 0 && w.code == e);
        if (e == OK) check_bytes(buf_view(&out));
        buf_free(&out);
    } else {
        check_bytes(in);
    }
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
