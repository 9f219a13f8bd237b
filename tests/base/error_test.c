/* tests/base/error_test.c: the error table, and sentences that fit where they are kept */
#include "base/base.h"
#include "tests/test.h"

TEST(every_error_has_a_name_of_its_own_and_a_sentence) {
    for (unsigned i = 0; i < ERR_COUNT; i++) {
        enum err e = (enum err)i;
        CHECK(err_of_name(err_name(e)) == e, "%s", err_name(e)); /* so no two names are the same */
        CHECK(strlen(err_text(e)) > 0 && err_exit(e) >= 0 && err_exit(e) <= 10, "%s", err_name(e));
        CHECK((err_exit(e) == 0) == (e == OK), "%s", err_name(e));
        for (const char *c = err_name(e); *c != '\0'; c++) CHECK((*c >= 'a' && *c <= 'z') || *c == '_');
    }
}

TEST(exit_codes_are_the_documented_ones) { /* operations.md S2.1: an interface for scripts */
    static const struct {
        enum err e;
        const char *name;
        int code;
    } rows[] = {
        {OK, "ok", 0},
        {E_FAILED, "failed", 1},
        {E_USAGE, "usage", 2},
        {E_NOT_RUNNING, "not_running", 3},
        {E_NOT_FOUND, "not_found", 4},
        {E_DENIED, "denied", 5},
        {E_INPUT, "input", 6},
        {E_VERIFY, "verification", 7},
        {E_PARTIAL, "partial", 8},
        {E_LIMIT, "limit", 9},
        {E_BUSY, "busy", 9},
        {E_TIMEOUT, "timed_out", 10},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(err_exit(rows[i].e) == rows[i].code && strcmp(err_name(rows[i].e), rows[i].name) == 0, "%s",
              rows[i].name);
    }
}

TEST(a_sentence_may_hold_the_one_before_it) {
    struct why w;
    fail(&w, E_FAILED, "it is not there");
    CHECK(fail(&w, E_INPUT, "%s", w.text) == E_INPUT && strcmp(w.text, "it is not there") == 0, "%s", w.text);
    fail(&w, w.code, "no folder: %s", w.text);
    CHECK(w.code == E_INPUT && strcmp(w.text, "no folder: it is not there") == 0, "%s", w.text);
}

TEST(what_is_no_error_reads_as_failed) {
    volatile int outside[] = {ERR_COUNT, -1, 1000};
    for (size_t i = 0; i < LEN(outside); i++) {
        enum err e = (enum err)outside[i];
        CHECK(strcmp(err_name(e), "failed") == 0 && err_exit(e) == 1 && err_text(e) == err_text(E_FAILED));
    }
    CHECK(err_of_name("no such") == E_FAILED && err_of_name("") == E_FAILED && err_of_name(NULL) == E_FAILED);
    CHECK(err_of_name("LIMIT") == E_FAILED && err_of_name("limi") == E_FAILED);
}

TEST(fail_keeps_code_and_sentence) {
    struct why w = {E_IO, "before"};
    CHECK(fail(NULL, E_LIMIT, "%d", 1) == E_LIMIT);
    CHECK(fail(&w, E_LIMIT, "%s has %d", "it", 7) == E_LIMIT && w.code == E_LIMIT &&
          strcmp(w.text, "it has 7") == 0);
    char text[sizeof(w.text) + 2];
    for (size_t n = sizeof(w.text) - 2; n <= sizeof(w.text) + 1; n++) { /* the last that fits, and two more */
        memset(text, 'x', n);
        text[n] = '\0';
        fail(&w, E_INPUT, "%s", text);
        CHECK(strlen(w.text) == MIN(n, sizeof(w.text) - 1), "%zu", n);
    }
}
