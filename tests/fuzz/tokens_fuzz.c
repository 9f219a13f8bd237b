/* The file of access tokens: what is read is what is written, and no token is another's. */
#include "crypto/rng.h"
#include "node/tokens.h"
#include "tests/fuzz/fuzz.h"

static void check_round(const struct tokens *t) {
    struct buf text = {.max = TOKENS_FILE_MAX * 2};
    struct tokens again;
    struct why w = {OK, ""};
    MUST(tokens_write(t, &text) && tokens_read(buf_view(&text), &again, &w) == OK && again.n == t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct token *a = &t->of[i], *b = &again.of[i];
        MUST(strcmp(a->name, b->name) == 0 && a->scope == b->scope);
        MUST(a->expires.ms / 1000 == b->expires.ms / 1000);
        MUST(memcmp(a->hash, b->hash, sizeof a->hash) == 0);
    }
    tokens_free(&again);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n), name = fuzz_part(&in), copy = fuzz_exact(in);
    size_t blocks = mem_blocks();
    struct tokens t;
    struct why w = {OK, ""};
    enum err e = tokens_read(copy, &t, &w);
    MUST(e == OK || (t.n == 0 && t.of == NULL && w.text[0] != 0));
    if (e == OK) {
        uint8_t random[TOKEN_BYTES] = {1};
        char text[TOKEN_TEXT];
        struct rng rng = rng_seeded(n);
        MUST(t.n <= TOKENS_MAX);
        check_round(&t);
        rng_fill(&rng, random, sizeof random);
        size_t before = t.n;
        if (tokens_add(&t, name, SCOPE_ADMIN, (struct wall){0}, random, text, &w) == OK) {
            const struct token *found = tokens_find(&t, bytes_of(text), (struct wall){1});
            MUST(t.n == before + 1 && found == &t.of[before] && bytes_is(name, found->name));
            MUST(tokens_find(&t, bytes_sub(bytes_of(text), 0, 42), (struct wall){1}) == NULL);
            check_round(&t);
            MUST(tokens_drop(&t, name) && !tokens_drop(&t, name) && t.n == before);
        }
        MUST(tokens_find(&t, copy, (struct wall){1}) == NULL); /* its digest is not in it */
    }
    tokens_free(&t);
    fuzz_free(copy);
    fuzz_no_leak(blocks);
    return 0;
}
