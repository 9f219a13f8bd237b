#include "node/tokens.h"

#include "base/mem.h"
#include "base/text.h"
#include "crypto/hash.h"

static const char *const scope_names[] = {
#define SCOPE_NAME(symbol, name) name,
    SCOPES(SCOPE_NAME)};

const char *scope_name(enum scope s) {
    return scope_names[s];
}

bool scope_parse(struct bytes name, enum scope *out) {
    for (size_t i = 0; i < LEN(scope_names); i++)
        if (bytes_is(name, scope_names[i])) {
            *out = (enum scope)i;
            return true;
        }
    return false;
}

static bool is_name(struct bytes name) {
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (!fine) return false;
    }
    return name.n > 0 && name.n < sizeof((struct token *)NULL)->name;
}

static struct token *find_name(const struct tokens *t, struct bytes name) {
    for (size_t i = 0; i < t->n; i++)
        if (bytes_is(name, t->of[i].name)) return &t->of[i];
    return NULL;
}

static struct token *add(struct tokens *t) {
    if (t->of == NULL) t->of = NEW_ARRAY(struct token, TOKENS_MAX);
    return t->of == NULL || t->n == TOKENS_MAX ? NULL : &t->of[t->n];
}

void tokens_free(struct tokens *t) {
    mem_free(t->of);
    *t = (struct tokens){NULL, 0};
}

/* ---- the file */

static bool next_word(struct bytes *line, struct bytes *word) {
    *line = bytes_trim(*line);
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t') n++;
    *word = bytes_take(line, n);
    return n > 0;
}

static const char *read_line(struct tokens *t, struct bytes line) {
    struct bytes name, scope, expiry, digest;
    if (!next_word(&line, &name) || !next_word(&line, &scope) || !next_word(&line, &expiry) ||
        !next_word(&line, &digest) || bytes_trim(line).n > 0)
        return "four words: name scope expiry sha256";
    if (!is_name(name)) return "the name is 1 to 63 of A-Z a-z 0-9 . _ -";
    if (find_name(t, name) != NULL) return "this name is there twice";
    struct token *k = add(t);
    if (k == NULL) return "too many tokens";
    *k = (struct token){.scope = SCOPE_READ};
    struct buf hash = {.max = sizeof k->hash};
    bool good = digest.n == 2 * sizeof k->hash && hex_decode(&hash, digest);
    if (good) memcpy(k->hash, hash.p, sizeof k->hash);
    buf_free(&hash);
    if (!good) return "the digest is 64 hexadecimal digits";
    if (!scope_parse(scope, &k->scope)) return "the scope is read, messages or admin";
    if (!bytes_is(expiry, "never") && (!wall_parse(expiry, &k->expires) || k->expires.ms <= 0))
        return "the expiry is an RFC 3339 time, or never";
    bytes_cstr(name, k->name, sizeof k->name);
    t->n++;
    return NULL;
}

enum err tokens_read(struct bytes text, struct tokens *out, struct why *w) {
    struct bytes line;
    *out = (struct tokens){NULL, 0};
    for (size_t number = 1; bytes_split(&text, '\n', &line); number++) {
        line = bytes_trim(line);
        if (line.n == 0 || line.p[0] == '#') continue;
        const char *fault = read_line(out, line);
        if (fault == NULL) continue;
        tokens_free(out);
        return fail(w, E_INPUT, "line %zu: %s", number, fault);
    }
    return OK;
}

bool tokens_write(const struct tokens *t, struct buf *out) {
    bool good = buf_add_text(
        out, "# Access tokens of the node: name scope expiry sha256. See `silktalk token`.\n");
    for (size_t i = 0; i < t->n && good; i++) {
        char expiry[32] = "never";
        if (t->of[i].expires.ms != 0) wall_text(t->of[i].expires, expiry);
        good = buf_add_format(out, "%s %s %s ", t->of[i].name, scope_name(t->of[i].scope), expiry) &&
               hex_encode(out, bytes_at(t->of[i].hash, sizeof t->of[i].hash)) && buf_add_byte(out, '\n');
    }
    return good;
}

/* ---- */

const struct token *tokens_find(const struct tokens *t, struct bytes text, struct wall now) {
    uint8_t hash[32];
    const struct token *found = NULL;
    hash_sha256(text, hash);
    for (size_t i = 0; i < t->n; i++) {
        uint8_t differ = 0;
        for (size_t k = 0; k < sizeof hash; k++) differ |= (uint8_t)(hash[k] ^ t->of[i].hash[k]);
        if (differ == 0 && (t->of[i].expires.ms == 0 || t->of[i].expires.ms > now.ms)) found = &t->of[i];
    }
    return found;
}

enum err tokens_add(struct tokens *t, struct bytes name, enum scope scope, struct wall expires,
                    const uint8_t random[TOKEN_BYTES], char text[TOKEN_TEXT], struct why *w) {
    if (!is_name(name)) return fail(w, E_USAGE, "a token's name is 1 to 63 of A-Z a-z 0-9 . _ -");
    if (find_name(t, name) != NULL)
        return fail(w, E_FAILED, "there is a token of this name already; revoke it first");
    struct token *k = add(t);
    if (k == NULL) return fail(w, E_LIMIT, "there are %d tokens already", TOKENS_MAX);
    struct buf secret = {.max = TOKEN_TEXT};
    bool good = base64_encode(&secret, bytes_at(random, TOKEN_BYTES), true) &&
                bytes_cstr(buf_view(&secret), text, TOKEN_TEXT);
    buf_wipe(&secret);
    if (!good) return fail(w, E_MEMORY, "out of memory");
    *k = (struct token){.scope = scope, .expires = expires};
    bytes_cstr(name, k->name, sizeof k->name);
    hash_sha256(bytes_of(text), k->hash);
    t->n++;
    return OK;
}

bool tokens_drop(struct tokens *t, struct bytes name) {
    struct token *k = find_name(t, name);
    if (k == NULL) return false;
    *k = t->of[--t->n];
    return true;
}
