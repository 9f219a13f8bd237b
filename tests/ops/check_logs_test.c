/* Lines of both formats, and what is no line. */
#include "ops/check_logs.h"
#include "tests/test.h"

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

TEST(no_file_is_no_count) {
    struct log_counts c;
    struct archive_facts a;
    CHECK(!check_logs(NULL, (struct wall){1}, &c) && !check_logs("", (struct wall){1}, &c));
    CHECK(!check_logs("/nowhere/at/all", (struct wall){1}, &c) && !check_logs("/", (struct wall){1}, &c));
    CHECK(!check_archive("/nowhere/x.log", (struct wall){1}, 1, &a) &&
          !check_archive("x", (struct wall){1}, 1, &a));
}
