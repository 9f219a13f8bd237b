#include "ops/alert_show.h"

#include <stdio.h>

#include "ops/cli.h"

/* The member as text that a terminal obeys nothing of; valid until the next call with the same buffer. */
static const char *text_of(const struct json *v, const char *key, struct buf *safe) {
    buf_clear(safe);
    cli_safe(json_get_bytes(v, key), false, safe);
    return buf_cstr(safe);
}

static const char *time_of(const struct json *v, const char *key, struct buf *text) {
    buf_clear(text);
    cli_time(json_get(v, key), text);
    return buf_cstr(text);
}

static void show_finding(const struct json *f, struct buf *a, struct buf *b) {
    printf("%-3s %s: ", text_of(f, "level", a), text_of(f, "finding", b));
    printf("%s\n", text_of(f, "evidence", a));
    if (json_get_bytes(f, "fix").n > 0) printf("    -> %s\n", text_of(f, "fix", a));
    printf("    since %s\n", time_of(f, "since", a));
    printf("    respond by %s, solve by %s\n", time_of(f, "respond_by", a), time_of(f, "solve_by", b));
}

bool alert_show(struct bytes body) {
    static const char *const people[] = {"operations", "development", "security"};
    struct json_doc *doc = json_parse(body, NULL);
    const struct json *v = doc == NULL ? NULL : json_root(doc), *f, *list = json_get(v, "findings");
    struct buf a = {.max = 16384}, b = {.max = 16384};
    bool good = bytes_starts(json_get_bytes(v, "schema"), "silktalk.alert/") && json_is_array(list);
    if (good) {
        printf("Event     %s\n", text_of(v, "event", &a));
        printf("Node      %s (%s)\n", text_of(v, "node", &a), text_of(v, "status", &b));
        printf("Time      %s\n", time_of(v, "time", &a));
        printf("Text      %s\n", text_of(v, "text", &a));
        for (size_t i = 0; json_item(list, &i, &f);) show_finding(f, &a, &b);
        for (size_t i = 0; i < LEN(people); i++) {
            const char *who = text_of(json_get(v, "contacts"), people[i], &a);
            if (who[0] != 0) printf("Contact   %s: %s\n", people[i], who);
        }
    }
    buf_free(&a);
    buf_free(&b);
    json_free(doc);
    return good;
}
