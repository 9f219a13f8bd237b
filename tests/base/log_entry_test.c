/* Lines read back: both formats, from file and journal, hostile ones; what comes out is safe and the same. */
#include "base/log_entry.h"

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

static const char text_line[] = "2026-02-22T10:15:30.123Z WARN net: Failed handshake addr=/ip4/1.2.3.4/tcp/5 "
                                "reason=\"a = \\\"b\\\"\" n=7 id=007";

static bool value_is(const struct log_entry *e, const char *key, const char *want) {
    struct buf out = {.max = 1000};
    bool has = log_entry_value(e, key, &out),
         same = want == NULL ? !has : has && bytes_is(buf_view(&out), want);
    buf_free(&out);
    return same;
}

static bool shows(const char *line, const char *text, const char *json) {
    struct log_entry e;
    struct buf out = {.max = 4000};
    if (!log_entry_read(bytes_of(line), &e)) return false;
    bool same = log_entry_text(&e, &out, NULL) && bytes_is(buf_view(&out), text);
    if (!same) printf("%.*s\n", (int)out.n, (const char *)out.p);
    out.n = 0;
    same = same && log_entry_json(&e, &out) && bytes_is(buf_view(&out), json);
    if (!same) printf("%.*s\n", (int)out.n, (const char *)out.p);
    log_entry_free(&e);
    buf_free(&out);
    return same;
}

TEST(a_text_line_comes_apart) {
    struct log_entry e;
    CHECK(log_entry_read(bytes_of(text_line), &e));
    CHECK(e.time.ms == 1771755330123 && e.level == LEVEL_WARN && bytes_is(e.component, "net") &&
          bytes_is(e.event, "Failed handshake") && e.repeated == 0 && e.doc == NULL);
    CHECK(value_is(&e, "addr", "/ip4/1.2.3.4/tcp/5") && value_is(&e, "reason", "a = \"b\"") &&
          value_is(&e, "id", "007") && value_is(&e, "b", NULL) && value_is(&e, "time", NULL));
    CHECK(log_entry_read(BYTES("<6>INFO node: State Repeated count=12"), &e));
    CHECK(e.time.ms == 0 && e.repeated == 12 && bytes_is(e.event, "State") && value_is(&e, "count", NULL));
    CHECK(log_entry_read(BYTES("DEBUG net: Stream peer=\\x1b[2J\\\\ x=\"\""), &e));
    CHECK(value_is(&e, "peer", "\x1b[2J\\") && value_is(&e, "x", ""));
}

TEST(lines_are_shown_in_both_forms_from_both_formats) {
    CHECK(shows(text_line, text_line,
                "{\"schema\":\"silktalk.log/1\",\"time\":\"2026-02-22T10:15:30.123Z\",\"level\":\"warn\","
                "\"component\":\"net\",\"event\":\"Failed handshake\",\"addr\":\"/ip4/1.2.3.4/tcp/5\","
                "\"reason\":\"a = \\\"b\\\"\",\"n\":7,\"id\":\"007\"}"));
    CHECK(shows("{\"time\":\"2026-02-22T10:15:30.123Z\",\"level\":\"info\",\"component\":\"node\",\"event\":"
                "\"State\","
                "\"repeated\":3,\"part\":\"a b\\u001b[2J\",\"took_seconds\":1.5,\"n\":-1}",
                "2026-02-22T10:15:30.123Z INFO node: State Repeated count=3 part=\"a b\\x1b[2J\" "
                "took_seconds=1.5 n=-1",
                "{\"schema\":\"silktalk.log/1\",\"time\":\"2026-02-22T10:15:30.123Z\",\"level\":\"info\","
                "\"component\":\"node\",\"event\":\"State\",\"repeated\":3,\"part\":\"a b\\u001b[2J\","
                "\"took_seconds\":1.5,\"n\":-1}"));
    CHECK(shows("<3>ERROR node: Start refused reason=x\x1b]0;y\x07",
                "ERROR node: Start refused reason=x\\x1b]0;y\\x07",
                "{\"schema\":\"silktalk.log/1\",\"time\":null,\"level\":\"error\",\"component\":\"node\","
                "\"event\":\"Start refused\",\"reason\":\"x\\u001b]0;y\\u0007\"}"));
}

TEST(what_is_no_log_line) {
    static const char *const none[] = {"",
                                       " ",
                                       "{",
                                       "{}",
                                       "[]",
                                       "{\"level\":\"info\"}",
                                       "{\"level\":\"INFO\",\"event\":\"x\"}",
                                       "x y z: w",
                                       "2026-02-22T10:15:30.123Z",
                                       "2026-02-22T10:15:30.123Z WARN",
                                       "2026-02-22T10:15:30.123Z WARN net:",
                                       "2026-02-22T10:15:30.123Z WARN net: ",
                                       "2026-02-22T10:15:30.123Z WARN : x",
                                       "2026-02-22T10:15:30.123Z WARN a b: x",
                                       "2026-02-22T10:15:30.123Z warn net: x",
                                       "2026-02-22T10:15:30.123Z WARN  a=b",
                                       "<9>INFO net: x",
                                       "WARNING: x"};
    size_t blocks = mem_blocks();
    for (size_t i = 0; i < LEN(none); i++) {
        struct log_entry e;
        CHECK(!log_entry_read(bytes_of(none[i]), &e), "%s", none[i]);
    }
    CHECK(mem_blocks() == blocks);
}

/* Whatever is logged comes back: value, event, level, time. */
TEST(what_the_logger_writes_is_read_back) {
    uint64_t state = test_seed();
    for (int format = 0; format < 2; format++) {
        for (int round = 0; round < 2000; round++) {
            struct log *log = malloc(sizeof *log);
            struct log_line line;
            struct log_entry e;
            struct buf file = {.max = 8192}, out = {.max = 8192};
            char value[40], time[32];
            size_t n = 0;
            for (; n < sizeof value - 1; n++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                static const char some[] = "error warn WARN=\"\\ \x1b\n=x\xc3\xa9";
                value[n] = some[(state >> 40) % (sizeof some - 1)];
            }
            if (!utf8_valid(bytes_at(value, n)) && format == 1) value[0] = 'x', n = 1; /* U+FFFD comes back */
            enum event event = (enum event)((state >> 33) % EVENT_COUNT);
            log_init(log, LEVEL_DEBUG, format == 0 ? LOG_TEXT : LOG_JSON);
            log->now = (struct clocks){{1000000}, {1771755330123}};
            LOG(log, event, kv_text("peer", bytes_at(value, n)), kv_int("n", -7));
            CHECK(log_take(log, &line));
            wall_text(line.time, time);
            if (format == 0) buf_add_format(&file, "%s ", time);
            buf_add(&file, line.text);
            CHECK(log_entry_read(buf_view(&file), &e), "%.*s", (int)file.n, (const char *)file.p);
            CHECK(e.level == event_rows[event].level && bytes_is(e.event, event_rows[event].text) &&
                  e.time.ms == 1771755330123);
            CHECK(log_entry_value(&e, "peer", &out) && bytes_eq(buf_view(&out), bytes_at(value, n)), "%.*s",
                  (int)file.n, (const char *)file.p);
            CHECK(value_is(&e, "n", "-7"));
            out.n = 0;
            CHECK(log_entry_text(&e, &out, NULL) && utf8_valid(buf_view(&out)));
            CHECK(format == 1 || bytes_eq(buf_view(&out), buf_view(&file)), "text is shown as it stands");
            log_entry_free(&e);
            buf_free(&file);
            buf_free(&out);
            log_free(log);
            free(log);
        }
    }
}

TEST(cut_and_flipped_lines_are_safe) {
    static const char json[] =
        "{\"time\":\"2026-02-22T10:15:30.123Z\",\"level\":\"info\",\"component\":\"node\","
        "\"event\":\"State\",\"repeated\":3,\"part\":\"a\"}";
    const char *const lines[] = {text_line, json};
    size_t blocks = mem_blocks();
    for (size_t l = 0; l < LEN(lines); l++)
        for (size_t cut = 0; cut < strlen(lines[l]); cut++)
            for (int bit = -1; bit < 8; bit++) {
                struct log_entry e;
                struct buf out = {.max = 8192};
                uint8_t *copy = malloc(cut + 1); /* exact: a read past the end is seen */
                memcpy(copy, lines[l], cut + 1);
                if (bit >= 0) copy[cut] ^= (uint8_t)(1 << bit);
                if (log_entry_read(bytes_at(copy, cut + (bit >= 0)), &e)) {
                    log_entry_text(&e, &out, NULL);
                    CHECK(utf8_valid(buf_view(&out)));
                    for (size_t i = 0; i < out.n; i++) CHECK(out.p[i] >= ' ' && out.p[i] != 127);
                    out.n = 0;
                    log_entry_json(&e, &out);
                    log_entry_free(&e);
                }
                free(copy);
                buf_free(&out);
            }
    CHECK(mem_blocks() == blocks);
}
