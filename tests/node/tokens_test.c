#include "node/tokens.h"

#include "base/mem.h"
#include "tests/test.h"

#define DIGEST "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

TEST(what_is_written_is_read_and_found_until_it_expires) {
    struct tokens t = {NULL, 0}, again;
    struct why w = {OK, ""};
    uint8_t random[TOKEN_BYTES] = {1, 2, 3};
    char text[2][TOKEN_TEXT];
    size_t blocks = mem_blocks();
    CHECK(tokens_add(&t, BYTES("web"), SCOPE_READ, (struct wall){5000}, random, text[0], &w) == OK);
    random[0] = 9;
    CHECK(tokens_add(&t, BYTES("ops"), SCOPE_ADMIN, (struct wall){0}, random, text[1], &w) == OK);
    CHECK(strlen(text[0]) == 43 && strcmp(text[0], text[1]) != 0);
    CHECK(tokens_add(&t, BYTES("web"), SCOPE_READ, (struct wall){0}, random, text[1], &w) == E_FAILED);
    static const char *const bad[] = {"", "a b", "a/b", "a\n",
                                      "1234567890123456789012345678901234567890123456789012345678901234"};
    for (size_t i = 0; i < LEN(bad); i++)
        CHECK(tokens_add(&t, bytes_of(bad[i]), SCOPE_READ, (struct wall){0}, random, text[1], &w) == E_USAGE);
    struct buf file = {.max = TOKENS_FILE_MAX};
    CHECK(tokens_write(&t, &file) && !bytes_has(buf_view(&file), bytes_of(text[0])));
    CHECK(tokens_read(buf_view(&file), &again, &w) == OK && again.n == 2, "%s", w.text);
    const struct token *found = tokens_find(&again, bytes_of(text[0]), (struct wall){4999});
    CHECK(found != NULL && strcmp(found->name, "web") == 0 && found->scope == SCOPE_READ);
    CHECK(tokens_find(&again, bytes_of(text[0]), (struct wall){5000}) == NULL, "it has expired");
    CHECK(tokens_find(&again, BYTES(""), (struct wall){1}) == NULL);
    CHECK(tokens_drop(&again, BYTES("web")) && !tokens_drop(&again, BYTES("web")) && again.n == 1);
    CHECK(tokens_find(&again, bytes_of(text[0]), (struct wall){1}) == NULL, "it is revoked");
    tokens_free(&t);
    tokens_free(&again);
    buf_free(&file);
    CHECK(mem_blocks() == blocks);
}

TEST(a_bad_line_is_named_and_nothing_is_taken) {
    static const char *const lines[] = {
        "a read never",
        "a read never " DIGEST " more",
        "a root never " DIGEST,
        "a read tomorrow " DIGEST,
        "a read never 1234",
        "a read never x3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "a/b read never " DIGEST,
        "first read never " DIGEST};
    for (size_t i = 0; i < LEN(lines); i++) {
        struct tokens t;
        struct why w = {OK, ""};
        char text[400];
        snprintf(text, sizeof text, "# tokens\n\nfirst read never " DIGEST "\n%s\n", lines[i]);
        CHECK(tokens_read(bytes_of(text), &t, &w) == E_INPUT && t.n == 0 && t.of == NULL, "%s", lines[i]);
        CHECK(strstr(w.text, "line 4: ") == w.text, "%s", w.text);
    }
    struct buf many = {.max = 1 << 20};
    for (int i = 0; i <= TOKENS_MAX; i++) buf_add_format(&many, "t%d read never " DIGEST "\n", i);
    struct tokens t;
    CHECK(tokens_read(buf_view(&many), &t, NULL) == E_INPUT);
    buf_free(&many);
}
