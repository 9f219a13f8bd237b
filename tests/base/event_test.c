/* tests/base/event_test.c: the table of log lines: every row complete, texts that scripts can tell apart */
#include "base/event.h"
#include "tests/test.h"

static bool is_word(struct bytes word) {
    for (size_t i = 0; i < word.n; i++) {
        if ((word.p[i] < 'a' || word.p[i] > 'z') && word.p[i] != '_') return false;
    }
    return word.n > 0;
}

TEST(every_event_has_a_text_of_its_own_and_keys) {
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        const struct event_row *row = &event_rows[i];
        CHECK((unsigned)row->level < LEVEL_COUNT && (unsigned)row->component < COMPONENT_COUNT, "row %u", i);
        CHECK(strlen(row->text) > 3 && row->text[0] >= 'A' && row->text[0] <= 'Z', "%s", row->text);
        CHECK(strpbrk(row->text, "=\"\\\n") == NULL, "%s: a script would split it wrongly", row->text);
        for (unsigned j = 0; j < i; j++) CHECK(strcmp(row->text, event_rows[j].text) != 0, "%s", row->text);
    }
}

TEST(keys_are_words_and_none_comes_twice) {
    /* "repeated" and so on stand in every JSON line */
    static const char *const taken[] = {"time", "level", "component", "event", "repeated", "cut"};
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        struct bytes keys = bytes_of(event_rows[i].keys), key, seen[32];
        size_t n = 0;
        while (bytes_split(&keys, ' ', &key)) {
            CHECK(is_word(key) && bytes_find(seen, n, key) == n, "%s: %s", event_rows[i].text,
                  event_rows[i].keys);
            for (size_t t = 0; t < LEN(taken); t++)
                CHECK(!bytes_is(key, taken[t]), "%s: %s", event_rows[i].text, event_rows[i].keys);
            seen[n++] = key;
            CHECK(n < LEN(seen));
        }
        CHECK(n > 0, "%s", event_rows[i].text);
    }
}

/* A grep for them finds what needs an operator: the texts here, the values by log.c (log_test.c). */
TEST(info_and_debug_say_neither_of_the_two_words) {
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        const struct event_row *row = &event_rows[i];
        if (row->level >= LEVEL_WARN) continue;
        const char *const texts[] = {row->text, row->keys, log_component_name(row->component)};
        for (size_t k = 0; k < LEN(texts); k++)
            CHECK(strcasestr(texts[k], "error") == NULL && strcasestr(texts[k], "warn") == NULL, "%s",
                  texts[k]);
        CHECK(strncmp(row->text, "Failed", 6) != 0, "%s: only refusals that need an operator", row->text);
    }
}

TEST(names_of_levels_and_components) {
    for (unsigned i = 0; i < LEVEL_COUNT; i++) {
        enum log_level level = LEVEL_COUNT;
        CHECK(log_level_parse(bytes_of(log_level_name((enum log_level)i)), &level) && level == i, "%u", i);
    }
    for (unsigned i = 0; i < COMPONENT_COUNT; i++) {
        enum log_component component = COMPONENT_COUNT;
        CHECK(log_component_parse(bytes_of(log_component_name((enum log_component)i)), &component) &&
                  component == i,
              "%u", i);
    }
    enum log_level level = LEVEL_DEBUG;
    CHECK(log_level_parse(BYTES("warning"), &level) && level == LEVEL_WARN);
    CHECK(strcmp(log_level_name(LEVEL_ERROR), "error") == 0);
    CHECK(strcmp(log_component_name(COMPONENT_net), "net") == 0);
}

TEST(other_names_are_refused_and_leave_the_value) {
    static const char *const rows[] = {"", "INFO", "inf", "infos", " info", "trace", "warnin"};
    enum log_level level = LEVEL_ERROR;
    enum log_component component = COMPONENT_dns;
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(!log_level_parse(bytes_of(rows[i]), &level) && level == LEVEL_ERROR, "%s", rows[i]);
        CHECK(!log_component_parse(bytes_of(rows[i]), &component) && component == COMPONENT_dns, "%s",
              rows[i]);
    }
    CHECK(!log_level_parse(BYTES("info\0"), &level) && !log_component_parse(BYTES("net\0"), &component));
    volatile int outside[] = {-1, 1000};
    for (size_t i = 0; i < LEN(outside); i++) {
        CHECK(strcmp(log_level_name((enum log_level)outside[i]), "unknown") == 0);
        CHECK(strcmp(log_component_name((enum log_component)outside[i]), "unknown") == 0);
    }
}
