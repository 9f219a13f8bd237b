/* HTTP clients of a whole node: local ones and others, with and without tokens, in pieces, deaf, gone; and
 * the store's answers to what they ask. */
#include "node/http.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/world.h"

enum { CLIENTS = 6 };
struct web {
    struct world *w;
    uint32_t ids[CLIENTS];
    char tokens[SCOPE_COUNT][TOKEN_TEXT];
};

static const char ini[] = "[node]\nname = tester\n[http]\nallowHosts = good.example\n";

static void make_tokens(struct web *b) {
    struct tokens t = {NULL, 0};
    struct why why = {OK, ""};
    struct buf file = {.max = TOKENS_FILE_MAX};
    for (size_t i = 0; i < SCOPE_COUNT; i++) {
        uint8_t random[TOKEN_BYTES] = {(uint8_t)i};
        MUST(tokens_add(&t, bytes_of(scope_name((enum scope)i)), (enum scope)i, (struct wall){0}, random,
                        b->tokens[i], &why) == OK);
    }
    MUST(tokens_write(&t, &file) && node_http_tokens(b->w->node, buf_view(&file), &why) == OK);
    tokens_free(&t);
    buf_free(&file);
}

/* 0x10 to 0x12: a token's field; 0x13: how most requests begin to end; 0x14: the end of a head. The rest is
 * world_text's. */
static void expand(const struct web *b, struct bytes marked, struct buf *out) {
    for (; marked.n > 0; marked = bytes_skip(marked, 1)) {
        uint8_t c = marked.p[0];
        if (c >= 0x10 && c < 0x10 + SCOPE_COUNT)
            buf_add_format(out, "Authorization: Bearer %s\r\n", b->tokens[c - 0x10]);
        else if (c == 0x13)
            buf_add_text(out, " HTTP/1.1\r\nHost: localhost\r\n");
        else if (c == 0x14)
            buf_add_text(out, "\r\n\r\n");
        else
            world_text(b->w, bytes_sub(marked, 0, 1), out);
    }
}

/* What the daemon does: closes those that are done. */
static void sweep(struct web *b) {
    struct node *n = b->w->node;
    for (uint32_t id; (id = node_http_next(n)) != 0;)
        if (node_http_done(n, id) || node_http_cut(n, id)) node_http_gone(n, id);
}

static void accept_one(struct web *b, uint8_t how) {
    static const struct endpoint from[] = {{.ip = {4, {127, 0, 0, 1}}, .port = 9},
                                           {.ip = {4, {10, 0, 0, 7}}, .port = 9},
                                           {.ip = {6, {0x20, 1, 0x0d, 0xb8}}, .port = 9}};
    struct node *n = b->w->node;
    size_t at = how / 8u % CLIENTS;
    if (!node_http_accepting(n)) {
        node_http_make_room(n);
        sweep(b);
        MUST(node_http_accepting(n)); /* somebody always yields */
    }
    b->ids[at] = node_http_accepted(n, how % 4 == 3 ? NULL : &from[how % 4], (how & 4) != 0);
}

static void receive(struct web *b, uint32_t id, struct bytes marked, long fail_after) {
    struct node *n = b->w->node;
    struct buf text = {.max = 1 << 16};
    expand(b, marked, &text);
    struct bytes rest = buf_view(&text);
    while (rest.n > 0) {
        size_t room = node_http_room(n, id);
        if (room == 0) break;
        MUST(node_http_tx(n, id).n == 0);
        struct bytes part = fuzz_exact(bytes_take(&rest, room));
        mem_fail_after(fail_after);
        node_http_received(n, id, part);
        mem_fail_after(-1);
        fuzz_free(part);
    }
    buf_free(&text);
}

static void take_answer(struct web *b, uint32_t id, size_t most) {
    struct node *n = b->w->node;
    struct bytes tx = node_http_tx(n, id); /* of an answer, or the rest of one */
    fuzz_free(fuzz_exact(tx));
    node_http_sent(n, id, MIN(most, tx.n));
}

static void step(struct web *b, struct bytes *in) {
    struct world *w = b->w;
    struct node *n = w->node;
    uint8_t op = fuzz_u8(in), which = fuzz_u8(in);
    uint32_t id = b->ids[which % CLIENTS];
    switch (op % 12) {
    case 0: accept_one(b, which); break;
    case 1:
    case 2: receive(b, id, fuzz_part(in), -1); break;
    case 3: receive(b, id, fuzz_part(in), which / CLIENTS); break;
    case 4: take_answer(b, id, op); break;
    case 5:
    case 6: take_answer(b, id, SIZE_MAX); break;
    case 7: node_http_gone(n, id); break;
    case 8: node_http_ended(n, id); break;
    case 9: w->now.mono.us += (int64_t)fuzz_u16(in) * 2000; break;
    case 10: {
        uint8_t how = fuzz_u8(in);
        struct bytes out = how >= 128 && how % 3 == 0 ? fuzz_part(in) : (struct bytes){NULL, 0};
        if (how < 128)
            world_store(w, which);
        else
            world_store_badly(w, which, (enum err)(how % ERR_COUNT), out);
        break;
    }
    default: {
        struct why why = {OK, ""};
        struct bytes text = fuzz_exact(fuzz_part(in));
        if (which % 2 == 0 && node_http_tokens(n, text, &why) != OK) MUST(why.text[0] != 0);
        fuzz_free(text);
        if (which % 2 == 1) make_tokens(b);
        break;
    }
    }
    world_run(w);
    sweep(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static struct world w;
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    uint8_t how = fuzz_u8(&in);
    struct web b = {.w = &w};
    MUST(world_begin(&w, ini, false, (how & 1) != 0));
    make_tokens(&b);
    if ((how & 2) == 0) world_run(&w);
    for (uint8_t i = 0; i < CLIENTS; i++) accept_one(&b, (uint8_t)(i * 8 + i));
    for (int i = 0; i < 60 && in.n > 0; i++) step(&b, &in);
    w.now.mono.us += 200000000; /* nobody keeps a place for ever */
    for (int i = 0; i < 3; i++) {
        world_run(&w);
        sweep(&b);
        w.now.mono.us += 100000000;
    }
    for (size_t i = 0; i < CLIENTS; i++) MUST(node_http_done(w.node, b.ids[i]));
    world_end(&w);
    fuzz_no_leak(blocks);
    return 0;
}
