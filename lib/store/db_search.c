/* lib/store/db_search.c: search for a text, ASCII letters in either case. A function of our own instead of
 * LIKE: nothing in the text is a wildcard, bodies are blobs, and time is linear however the text and the body
 * were chosen. */
#include "store/db_query.h"

static uint8_t lower(uint8_t c) {
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool search_set(struct search *s, struct bytes needle) {
    s->n = 0;
    if (needle.n == 0 || needle.n > DB_SEARCH_MAX) return false;
    for (size_t i = 0; i < needle.n; i++) s->needle[i] = lower(needle.p[i]);
    s->back[0] = 0;
    for (size_t i = 1, k = 0; i < needle.n; i++) {
        while (k > 0 && s->needle[i] != s->needle[k]) k = s->back[k - 1];
        if (s->needle[i] == s->needle[k]) k++;
        s->back[i] = (uint16_t)k;
    }
    s->n = needle.n;
    return true;
}

bool search_in(const struct search *s, struct bytes text) {
    if (s->n == 0 || text.n < s->n) return false;
    for (size_t i = 0, k = 0; i < text.n; i++) {
        uint8_t c = lower(text.p[i]);
        while (k > 0 && c != s->needle[k]) k = s->back[k - 1];
        if (c == s->needle[k]) k++;
        if (k == s->n) return true;
    }
    return false;
}

static struct bytes argument(sqlite3_value *v) {
    const void *p = sqlite3_value_blob(v);
    return bytes_at(p, p == NULL ? 0 : (size_t)sqlite3_value_bytes(v));
}

static void found(sqlite3_context *context, int n, sqlite3_value **values) {
    (void)n;
    const struct search *s = sqlite3_user_data(context);
    sqlite3_result_int(context, search_in(s, argument(values[0])));
}

/* NULL is the default type of messages, which is text. */
static void is_text(sqlite3_context *context, int n, sqlite3_value **values) {
    (void)n;
    struct bytes type = argument(values[0]);
    bool yes = type.n == 0;
    if (type.n >= 5) {
        uint8_t start[5];
        for (size_t i = 0; i < sizeof(start); i++) start[i] = lower(type.p[i]);
        yes = memcmp(start, "text/", sizeof(start)) == 0;
    }
    sqlite3_result_int(context, yes);
}

bool search_install(struct db *db) {
    int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    db->rc = sqlite3_create_function(db->sql, "silk_found", 1, flags, &db->search, found, NULL, NULL);
    if (db->rc == SQLITE_OK) {
        db->rc = sqlite3_create_function(db->sql, "silk_is_text", 1, flags, NULL, is_text, NULL, NULL);
    }
    return db->rc == SQLITE_OK;
}
