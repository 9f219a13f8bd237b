/* /health in words: what is wrong, in one line. */
#include <stdio.h>

#include "node/health.h"

bool health_wanted(const struct json *check, const char *only) {
    struct bytes list = bytes_of(only), word, name = json_get_bytes(check, "name");
    if (only == NULL) return true;
    while (bytes_split(&list, ',', &word))
        if (bytes_eq(bytes_trim(word), name)) return true;
    return false;
}

/* What is not judged counts only for those who ask for it by name. */
enum health_status health_counted(const struct json *check, const char *only) {
    enum health_status s = health_status_of(json_get_bytes(check, "status"));
    if (!health_wanted(check, only)) return HEALTH_OK;
    return only != NULL || json_get_bool(check, "judged", true) ? s : HEALTH_OK;
}

void health_message(const struct json *check, struct buf *out) {
    buf_add(out, json_get_bytes(check, "name"));
    buf_add_text(out, " ");
    struct bytes m = json_get_bytes(check, "message");
    for (size_t i = 0; i < m.n; i++) buf_add_byte(out, m.p[i] == '|' || m.p[i] == '\n' ? ' ' : m.p[i]);
}

static void add_message(const struct json *check, struct buf *out) {
    if (out->n > 0) buf_add_text(out, "; ");
    health_message(check, out);
}

void health_words(const struct json *health, const char *only, struct buf *out) {
    size_t i = 0;
    const struct json *check, *checks = json_get(health, "checks");
    if (checks == NULL) {
        struct bytes state = json_get_bytes(health, "status");
        buf_add_format(out, "node is %.*s; its checks need a token", (int)MIN(state.n, (size_t)20),
                       (const char *)state.p);
        return;
    }
    for (int pass = HEALTH_CRITICAL; pass != HEALTH_OK; pass = pass == HEALTH_CRITICAL  ? HEALTH_WARNING
                                                               : pass == HEALTH_WARNING ? HEALTH_UNKNOWN
                                                                                        : HEALTH_OK)
        for (i = 0; json_item(checks, &i, &check);)
            if ((int)health_counted(check, only) == pass) add_message(check, out);
    if (out->n > 0) return;
    for (i = 0; json_item(checks, &i, &check);) {
        struct bytes name = json_get_bytes(check, "name");
        bool shown = only != NULL || bytes_is(name, "node") || bytes_is(name, "peers") ||
                     bytes_is(name, "outbox");
        if (shown && health_wanted(check, only)) add_message(check, out);
    }
}
