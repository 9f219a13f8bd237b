/* tests/base/log_test.c: lines as scripts read them, whatever peers wrote into them, and the limits on them
 */
#include "base/log.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

static struct log *start(enum log_level level, enum log_format format) {
    struct log *log = malloc(sizeof(*log)); /* too large for a stack that one likes to keep small */
    CHECK(log != NULL);
    log_init(log, level, format);
    log->now = (struct clocks){{1000000}, {1771755330123}};
    return log;
}

static void end(struct log *log) {
    log_free(log);
    free(log);
}

/* The oldest line, which must be there. */
static struct bytes take(struct log *log) {
    struct log_line line;
    CHECK(log_take(log, &line));
    CHECK(line.text.n <= LOG_LINE_MAX - 32 && line.time.ms == log->now.wall.ms, "%zu", line.text.n);
    return line.text;
}

static size_t drain(struct log *log) {
    struct log_line line;
    size_t n = 0;
    while (log_take(log, &line)) n++;
    return n;
}

TEST(a_line_has_level_component_text_and_pairs) {
    struct log *log = start(LEVEL_DEBUG, LOG_TEXT);
    struct log_line line;
    CHECK(!log_take(log, &line));
    LOG(log, EV_MESSAGE_DELIVERED, kv_str("peer", "12D3"), kv_hex("id", BYTES("\x00\xff")),
        kv_ms("latency", 134000), kv_int("n", INT64_MIN));
    CHECK(log_take(log, &line) && line.level == LEVEL_INFO && line.component == COMPONENT_message &&
          line.time.ms == 1771755330123);
    CHECK(bytes_is(line.text, "INFO message: Message delivered peer=12D3 id=00ff latency=2m14s "
                              "n=-9223372036854775808"),
          "%.*s", (int)line.text.n, (const char *)line.text.p);
    CHECK(!log_take(log, &line));
    log_event(log, EV_DATABASE_FAULT, NULL, 0);
    CHECK(bytes_is(take(log), "ERROR store: Database fault"));
    LOG(NULL, EV_STATE, kv_str("part", "x")); /* a node without a log */
    end(log);
}

TEST(the_same_as_json) {
    struct log *log = start(LEVEL_DEBUG, LOG_JSON);
    LOG(log, EV_HANDSHAKE_FAILED, kv_str("peer", "a\"b\n\xff"), kv_hex("id", BYTES("\x01")),
        kv_ms("took", 1500), kv_int("n", -1));
    struct bytes text = take(log);
    CHECK(bytes_is(text, "{\"time\":\"2026-02-22T10:15:30.123Z\",\"level\":\"warn\",\"component\":\"net\","
                         "\"event\":\"Failed handshake\",\"peer\":\"a\\\"b\\n\xef\xbf\xbd\",\"id\":\"01\","
                         "\"took_seconds\":1.5,\"n\":-1}"),
          "%.*s", (int)text.n, (const char *)text.p);
    end(log);
}

TEST(a_grep_for_errors_and_warnings_finds_no_other_line) {
    struct log *log = start(LEVEL_DEBUG, LOG_TEXT);
    LOG(log, EV_CONFIG_RELOADED, kv_str("changed", "health.errorsNormal health.cpuWarning"),
        kv_str("reason", "ERROR"));
    struct bytes line = take(log);
    CHECK(bytes_is(line, "INFO config: Config reloaded "
                         "changed=\"health.\\x65rrorsNormal health.cpu\\x57arning\" reason=\\x45RROR"),
          "%.*s", (int)line.n, (const char *)line.p);
    LOG(log, EV_STREAM, kv_str("state", "erro war ewarn\\error"));
    line = take(log);
    CHECK(bytes_is(line, "DEBUG net: Stream state=\"erro war e\\x77arn\\\\\\x65rror\""), "%.*s", (int)line.n,
          (const char *)line.p);
    LOG(log, EV_DATABASE_FAULT, kv_str("reason", "I/O error")); /* where it belongs it stays as it is */
    CHECK(bytes_is(take(log), "ERROR store: Database fault reason=\"I/O error\""));
    LOG(log, EV_SLOW_TURN, kv_str("part", "warn"));
    CHECK(bytes_is(take(log), "WARN node: Slow turn part=warn"));
    end(log);
}

TEST(values_are_quoted_when_a_script_would_split_them) {
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain"},
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"say \"x\"", "\"say \\\"x\\\"\""},
        {"\"", "\"\\\"\""},
        {"back\\slash", "back\\\\slash"},
        {"x\nERROR node: forged", "\"x\\x0a\\x45RROR node: forged\""}, /* no line of the peer's making */
        {"\x1b[2J", "\\x1b[2J"},
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},
        {"\xff", "\\xff"},
        {"\xe4\xb8\xad", "\xe4\xb8\xad"},
    };
    struct log *log = start(LEVEL_DEBUG, LOG_TEXT);
    for (size_t i = 0; i < LEN(rows); i++) {
        char want[100];
        snprintf(want, sizeof(want), "INFO node: State part=%s next=1", rows[i].out);
        LOG(log, EV_STATE, kv_str("part", rows[i].in), kv_int("next", 1));
        struct bytes text = take(log);
        CHECK(bytes_is(text, want), "row %zu: %.*s", i, (int)text.n, (const char *)text.p);
    }
    end(log);
}

TEST(info_and_debug_lines_never_show_error_or_warn) {
    static const char *const values[] = {"error",
                                         "I/O Error",
                                         "WARN",
                                         "a warning of errors",
                                         "\xeerror",
                                         "warn warn",
                                         "=error",
                                         "\"error\"",
                                         "e",
                                         "\x0err"
                                         "or",
                                         "errorwarnerror"};
    char errors[1025] = "";
    for (size_t i = 0; i + 5 < sizeof errors; i += 5) memcpy(errors + i, "error", 5);
    for (unsigned format = 0; format < 2; format++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            for (size_t i = 0; i <= LEN(values); i++) {
                struct log *log = start(LEVEL_DEBUG, format == 0 ? LOG_TEXT : LOG_JSON);
                const char *value = i < LEN(values) ? values[i] : errors;
                LOG(log, (enum event)event, kv_str("reason", value), kv_str("path", value), kv_int("n", 5));
                struct bytes text = take(log);
                char line[LOG_LINE_MAX + 1];
                CHECK(bytes_cstr(text, line, sizeof line));
                bool grave = event_rows[event].level >= LEVEL_WARN;
                bool found = strcasestr(line, "error") != NULL || strcasestr(line, "warn") != NULL;
                CHECK(grave || !found, "%s", line);
                CHECK(utf8_valid(text));
                struct json_doc *doc = format == 0 ? NULL : json_parse(text, NULL);
                struct bytes back = json_get_bytes(json_root(doc), "reason");
                CHECK(format == 0 || i == LEN(values) || bytes_is(back, value) ||
                          !utf8_valid(bytes_of(value)),
                      "%s", line);
                json_free(doc);
                end(log);
            }
        }
    }
}

TEST(random_bytes_stay_inside_their_line) {
    uint64_t state = test_seed();
    for (unsigned format = 0; format < 2; format++) {
        struct log *log = start(LEVEL_DEBUG, format == 0 ? LOG_TEXT : LOG_JSON);
        for (unsigned round = 0; round < 1000; round++) {
            uint8_t in[40];
            for (size_t i = 0; i < sizeof(in); i++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                in[i] = (uint8_t)(state >> 56);
            }
            log->repeat[EV_STATE] = (struct log_repeat){0};
            LOG(log, EV_STATE, kv_text("part", bytes_at(in, sizeof(in))));
            struct bytes text = take(log);
            CHECK(utf8_valid(text), "round %u", round);
            for (size_t i = 0; i < text.n; i++)
                CHECK(text.p[i] >= 0x20 && text.p[i] != 0x7f, "round %u", round);
            struct json_doc *doc = format == 0 ? NULL : json_parse(text, NULL);
            CHECK(format == 0 || json_count(json_root(doc)) == 5, "round %u", round);
            json_free(doc);
        }
        end(log);
    }
}

static bool says_cut(const struct log *log, struct bytes text) {
    return bytes_ends(text, log->format == LOG_JSON ? ",\"cut\":true}" : " cut=yes");
}

TEST(long_values_are_cut_and_the_line_says_so) {
    enum { VALUE = 1024 }; /* as the header says: 1 KiB as written */
    static uint8_t x[VALUE + 1];
    memset(x, 'x', sizeof(x));
    for (unsigned format = 0; format < 2; format++) {
        struct log *log = start(LEVEL_DEBUG, format == 0 ? LOG_TEXT : LOG_JSON);
        LOG(log, EV_STATE, kv_text("part", bytes_at(x, VALUE)), kv_hex("id", bytes_at(x, VALUE / 2)));
        CHECK(!says_cut(log, take(log)));
        LOG(log, EV_STATE, kv_text("part", bytes_at(x, VALUE + 1)), kv_int("n", 5));
        struct bytes text = take(log);
        CHECK(says_cut(log, text) && bytes_has(text, format == 0 ? BYTES(" n=5") : BYTES("\"n\":5")));
        LOG(log, EV_STATE, kv_hex("id", bytes_at(x, VALUE / 2 + 1)));
        CHECK(says_cut(log, take(log)));
        static uint8_t chinese[3 * 342]; /* 1026 bytes: cut at the border of a character */
        for (size_t i = 0; i < sizeof(chinese); i++) chinese[i] = (uint8_t) "\xe4\xb8\xad"[i % 3];
        LOG(log, EV_STATE, kv_text("part", bytes_at(chinese, sizeof(chinese))));
        text = take(log);
        CHECK(says_cut(log, text) && !bytes_has(text, BYTES("\\x")) && utf8_valid(text));
        end(log);
    }
}

TEST(pairs_that_do_not_fit_are_left_out) {
    static uint8_t x[1024];
    memset(x, 'x', sizeof(x));
    for (unsigned format = 0; format < 2; format++) {
        struct log *log = start(LEVEL_DEBUG, format == 0 ? LOG_TEXT : LOG_JSON);
        for (size_t n = 1; n <= sizeof(x); n++) { /* so that the end falls on every place of a pair */
            struct bytes full = bytes_at(x, sizeof(x)), rest = bytes_at(x, n);
            log->repeat[EV_STATE] = (struct log_repeat){0};
            LOG(log, EV_STATE, kv_text("a", full), kv_text("b", full), kv_text("c", full), kv_text("d", rest),
                kv_int("e", 77), kv_ms("f", 5), kv_hex("g", rest));
            struct bytes text = take(log);
            bool has_last = bytes_has(text, format == 0 ? BYTES(" g=78") : BYTES("\"g\":\"78"));
            CHECK(has_last == !says_cut(log, text) || n > 512, "%zu", n);
            CHECK(bytes_has(text, format == 0 ? BYTES(" c=xx") : BYTES("\"c\":\"xx")), "%zu", n);
            struct json_doc *doc = format == 0 ? NULL : json_parse(text, NULL);
            CHECK(format == 0 || doc != NULL, "%zu", n);
            json_free(doc);
        }
        end(log);
    }
}

TEST(many_pairs_and_long_keys_end_in_a_whole_line) {
    struct kv pairs[300];
    char key[301];
    memset(key, 'k', sizeof(key) - 1);
    key[300] = '\0';
    for (unsigned format = 0; format < 2; format++) {
        for (size_t length = 0; length <= 300; length += 20) {
            struct log *log = start(LEVEL_DEBUG, format == 0 ? LOG_TEXT : LOG_JSON);
            for (size_t i = 0; i < LEN(pairs); i++) {
                const char *k = key + 300 - MAX(length, (size_t)1);
                pairs[i] = i % 2 == 0 ? kv_ms(k, (int64_t)i) : kv_str(k, "a b\"");
            }
            log_event(log, EV_STATE, pairs, LEN(pairs));
            struct bytes text = take(log);
            struct json_doc *doc = format == 0 ? NULL : json_parse(text, NULL);
            CHECK(says_cut(log, text) == (length > 0 || format == 1 || text.n > 3000), "%zu", length);
            CHECK(format == 0 || doc != NULL, "%zu", length);
            json_free(doc);
            end(log);
        }
    }
}

TEST(levels_hide_lines_but_not_from_the_counts) {
    struct log *log = start(LEVEL_WARN, LOG_TEXT);
    LOG(log, EV_STATE, kv_str("part", "info"));
    LOG(log, EV_DIAL_STARTED, kv_str("peer", "debug"));
    CHECK(drain(log) == 0 && log->counts[EV_STATE] == 1 && log->counts[EV_DIAL_STARTED] == 1);
    LOG(log, EV_SLOW_TURN, kv_str("part", "warn"));
    LOG(log, EV_DATABASE_FAULT, kv_str("reason", "error"));
    CHECK(drain(log) == 2 && log->written[LEVEL_WARN] == 1 && log->written[LEVEL_ERROR] == 1 &&
          log->written[LEVEL_INFO] == 0);
    log->level[COMPONENT_net] = LEVEL_DEBUG; /* for ten seconds */
    log->level_until[COMPONENT_net] = mono_add_ms(log->now.mono, 10000);
    LOG(log, EV_DIAL_STARTED, kv_str("peer", "debug"));
    LOG(log, EV_STATE, kv_str("part", "another component"));
    CHECK(drain(log) == 1 && log_deadline(log).us == 11000000);
    log->now.mono.us = 10999999;
    log_tick(log);
    CHECK(log->level[COMPONENT_net] == LEVEL_DEBUG);
    log->now.mono.us++;
    log_tick(log);
    CHECK(log->level[COMPONENT_net] == LEVEL_WARN && log_deadline(log).us == 0);
    log->level_until[COMPONENT_dns] = (struct mono){99000000};
    log_set_level(log, LEVEL_DEBUG);
    CHECK(log_deadline(log).us == 0 && log->level[COMPONENT_dns] == LEVEL_DEBUG);
    end(log);
}

TEST(repeats_are_counted_and_end_in_one_line) {
    for (unsigned format = 0; format < 2; format++) {
        struct log *log = start(LEVEL_DEBUG, format == 0 ? LOG_TEXT : LOG_JSON);
        for (unsigned i = 0; i < LOG_REPEAT_MAX; i++) LOG(log, EV_STATE, kv_int("part", i));
        CHECK(drain(log) == LOG_REPEAT_MAX && log_deadline(log).us == 0); /* n: nothing left out */
        for (unsigned i = 0; i < 7; i++) LOG(log, EV_STATE, kv_int("part", i));
        CHECK(drain(log) == 0 && log->counts[EV_STATE] == LOG_REPEAT_MAX + 7);
        LOG(log, EV_LIMIT_REACHED, kv_int("part", 1));
        CHECK(drain(log) == 1); /* other events are not held back */
        CHECK(log_deadline(log).us == 1000000 + LOG_REPEAT_MS * 1000);
        log->now.mono.us = 1000000 + LOG_REPEAT_MS * 1000 - 1;
        log_tick(log);
        CHECK(drain(log) == 0);
        log->now.mono.us++;
        log_tick(log);
        struct bytes text = take(log);
        CHECK(format == 0 ? bytes_is(text, "INFO node: State Repeated count=7")
                          : bytes_ends(text, "\"event\":\"State\",\"repeated\":7}"),
              "%.*s", (int)text.n, (const char *)text.p);
        CHECK(drain(log) == 0 && log_deadline(log).us == 0);
        LOG(log, EV_STATE, kv_int("part", 1)); /* a new window */
        CHECK(drain(log) == 1);
        end(log);
    }
}

TEST(a_late_event_ends_the_window_too) {
    struct log *log = start(LEVEL_DEBUG, LOG_TEXT);
    for (unsigned i = 0; i < LOG_REPEAT_MAX + 1; i++) LOG(log, EV_STATE, kv_int("part", i));
    CHECK(drain(log) == LOG_REPEAT_MAX);
    log->now.mono.us += LOG_REPEAT_MS * 1000;
    LOG(log, EV_STATE, kv_int("part", 5));
    CHECK(bytes_is(take(log), "INFO node: State Repeated count=1"));
    CHECK(bytes_is(take(log), "INFO node: State part=5") && drain(log) == 0);
    for (unsigned i = 0; i < LOG_REPEAT_MAX + 1; i++) LOG(log, EV_STATE, kv_int("part", i));
    drain(log);
    log_set_level(log, LEVEL_ERROR); /* what is hidden now says nothing of its repeats */
    log->now.mono.us += LOG_REPEAT_MS * 1000;
    log_tick(log);
    CHECK(drain(log) == 0 && log_deadline(log).us == 0);
    end(log);
}

/* An event that repeats without end: each line a long one. */
static void flood(struct log *log, size_t lines) {
    static uint8_t x[1024];
    memset(x, 'x', sizeof(x));
    for (size_t i = 0; i < lines; i++) {
        log->repeat[EV_STATE] = (struct log_repeat){0};
        LOG(log, EV_STATE, kv_int("n", (int64_t)i), kv_text("part", bytes_at(x, sizeof(x))));
    }
}

TEST(a_full_buffer_drops_the_newest_and_counts_them) {
    size_t blocks = mem_blocks();
    struct log *log = start(LEVEL_DEBUG, LOG_TEXT);
    flood(log, 2000);
    CHECK(log->dropped > 0 && log->lines.n <= LOG_BUFFER_MAX &&
          log->written[LEVEL_INFO] + log->dropped == 2000);
    uint64_t written = log->written[LEVEL_INFO], dropped = log->dropped;
    CHECK(bytes_starts(take(log), "INFO node: State n=0 "));
    flood(log, 1); /* the room of what was taken is used */
    CHECK(log->dropped == dropped && log->written[LEVEL_INFO] == written + 1);
    for (uint64_t i = 1; i < written; i++) {
        char want[40];
        snprintf(want, sizeof(want), "INFO node: State n=%u ", (unsigned)i);
        CHECK(bytes_starts(take(log), want), "line %u", (unsigned)i);
    }
    CHECK(bytes_starts(take(log), "INFO node: State n=0 ") && drain(log) == 0);
    CHECK(log->lines.n == 0 && log->lines.cap < LOG_BUFFER_MAX / 2, "the memory is kept: %zu",
          log->lines.cap);
    flood(log, 5);
    CHECK(drain(log) == 5);
    end(log);
    CHECK(mem_blocks() == blocks);
}

TEST(without_memory_lines_are_dropped_and_counted) {
    struct log *log = start(LEVEL_DEBUG, LOG_TEXT);
    mem_fail_after(0);
    LOG(log, EV_STATE, kv_str("part", "lost"));
    mem_fail_after(-1);
    CHECK(log->dropped == 1 && drain(log) == 0);
    LOG(log, EV_STATE, kv_str("part", "kept"));
    CHECK(bytes_is(take(log), "INFO node: State part=kept"));
    flood(log, 1);
    mem_fail_after(0);
    flood(log, 300); /* grows once without memory; what is there stays */
    mem_fail_after(-1);
    CHECK(log->dropped >= 2 && bytes_starts(take(log), "INFO node: State n=0 "));
    CHECK(drain(log) + log->dropped == 1 + 300);
    end(log);
}
