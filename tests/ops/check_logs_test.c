/* Lines of both formats, and what is no line. */
#include "ops/check_logs.h"
#include "tests/test.h"

#include <stdio.h>
#include <unistd.h>

TEST(lines_have_time_level_and_text) {
    static const struct {
        const char *line, *level, *text;
    } rows[] = {
        {"2026-02-22T10:15:30.123Z WARN net: Failed handshake addr=/ip4/1.2.3.4/tcp/5 reason=\"a = b\"",
         "WARN", "Failed handshake"},
        {"2026-02-22T10:15:30.123Z INFO node: Node started", "INFO", "Node started"},
        {"{\"time\":\"2026-02-22T10:15:30.123Z\",\"level\":\"error\",\"event\":\"Listener lost\"}", "ERROR",
         "Listener lost"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct wall at;
        struct bytes level, text;
        CHECK(check_log_line(bytes_of(rows[i].line), &at, &level, &text), "%s", rows[i].line);
        CHECK(at.ms == 1771755330123 && bytes_is(level, rows[i].level) && bytes_is(text, rows[i].text),
              "%s: %.*s", rows[i].line, (int)text.n, (const char *)text.p);
    }
    static const char *const none[] = {"",
                                       " ",
                                       "{",
                                       "{}",
                                       "x y z: w",
                                       "2026-02-22T10:15:30.123Z",
                                       "2026-02-22T10:15:30.123Z WARN",
                                       "2026-02-22T10:15:30.123Z WARN net:"};
    for (size_t i = 0; i < LEN(none); i++) {
        struct wall at;
        struct bytes level, text;
        CHECK(!check_log_line(bytes_of(none[i]), &at, &level, &text), "%s", none[i]);
    }
}

/* Root looks at what belongs to the node's user: a link there must not make it open anything else. */
TEST(links_are_not_followed) {
    struct log_counts c;
    char path[600], other[600];
    snprintf(path, sizeof path, "%s/log", test_dir());
    snprintf(other, sizeof other, "%s/other", test_dir());
    FILE *f = fopen(other, "w");
    CHECK(f != NULL && fputs("2026-02-22T10:15:30.123Z WARN net: x\n", f) >= 0 && fclose(f) == 0);
    CHECK(check_logs(other, (struct wall){1771755330123}, &c) && c.warnings == 1);
    CHECK(symlink(other, path) == 0 && !check_logs(path, (struct wall){1771755330123}, &c));
}

TEST(no_file_is_no_count) {
    struct log_counts c;
    struct archive_facts a;
    CHECK(!check_logs(NULL, (struct wall){1}, &c) && !check_logs("", (struct wall){1}, &c));
    CHECK(!check_logs("/nowhere/at/all", (struct wall){1}, &c) && !check_logs("/", (struct wall){1}, &c));
    CHECK(!check_archive("/nowhere/x.log", (struct wall){1}, 1, &a) &&
          !check_archive("x", (struct wall){1}, 1, &a));
}
