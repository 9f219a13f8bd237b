/* lib/node/tokens.h: who may ask over HTTP: the access tokens of http.tokenFile (operations.md S3, S4). The
 * file has a line for each, `name scope expiry sha256`: a scope of the table, an RFC 3339 time or `never`,
 * and the SHA-256 of the token in hexadecimal digits; the token itself is kept nowhere. */
#ifndef SILKTALK_NODE_TOKENS_H
#define SILKTALK_NODE_TOKENS_H

#include "base/base.h"

/* From the least to the most: each may what those before it may. */
#define SCOPES(X) X(READ, "read") X(MESSAGES, "messages") X(ADMIN, "admin")
#define SCOPE_SYMBOL(symbol, name) SCOPE_##symbol,
enum scope { SCOPES(SCOPE_SYMBOL) SCOPE_COUNT };
enum { TOKEN_BYTES = 32, TOKEN_TEXT = 44, TOKENS_MAX = 256, TOKENS_FILE_MAX = 64 << 10 };

struct token {
    char name[64];
    enum scope scope;
    struct wall expires; /* 0: never */
    uint8_t hash[32];
};
struct tokens {
    struct token *of; /* owned */
    size_t n;
};
/* The whole file, or nothing: E_INPUT names the line that is wrong. Empty lines and # comments are let pass.
 */
enum err tokens_read(struct bytes text, struct tokens *out, struct why *w);
bool tokens_write(const struct tokens *t, struct buf *out);
void tokens_free(struct tokens *t);
/* The token that `text` is (compared in constant time), not expired; NULL: none. */
const struct token *tokens_find(const struct tokens *t, struct bytes text, struct wall now);
/* A new token of 32 random bytes: `text` is what its owner is told. False: the name is taken, empty or too
 * long (1 to 63 of A-Z a-z 0-9 . _ -), or there are TOKENS_MAX. */
enum err tokens_add(struct tokens *t, struct bytes name, enum scope scope, struct wall expires,
                    const uint8_t random[TOKEN_BYTES], char text[TOKEN_TEXT], struct why *w);
bool tokens_drop(struct tokens *t, struct bytes name);
const char *scope_name(enum scope s);
bool scope_parse(struct bytes name, enum scope *out);

#endif
