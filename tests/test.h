/* tests/test.h: how a test is written. A file of tests is one executable:
 *
 *     TEST(yamux_refuses_a_window_of_zero) { CHECK(e == E_PROTO, "row %zu: %s", i, why.text); }
 *
 * TEST registers itself. CHECK prints file, line, the condition and the text, and ends this test; the others
 * run. SKIP ends a test that cannot run here; the reason must stand in tests/skips.txt to be allowed in CI.
 * Run one test of a file with: build/musl/tests/proto/yamux_test NAME (a part of the name). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
};
void test_add(struct test_case *);
_Noreturn void test_fail(const char *file, int line, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
_Noreturn void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The seed of this run: TEST_SEED of the environment, or a random one. A failure prints it. */
uint64_t test_seed(void);
/* Hex digits (spaces and newlines between them are skipped) to bytes. Returns how many; more than `max`, an
 * odd number of digits or another character ends the test. */
size_t test_hex(const char *hex, uint8_t *out, size_t max);
/* A file below tests/ (or any path) read whole; NUL follows the `*n` bytes. The caller frees it. Ends the
 * test when it cannot be read. */
char *test_file(const char *path, size_t *n);
/* An empty folder that is removed after the test. */
const char *test_dir(void);

#define TEST(test_name)                                                                                      \
    static void test_name(void);                                                                             \
    __attribute__((constructor)) static void test_name##_register(void) {                                    \
        static struct test_case test_name##_case = {#test_name, test_name, NULL};                            \
        test_add(&test_name##_case);                                                                         \
    }                                                                                                        \
    static void test_name(void)

/* CHECK(condition) or CHECK(condition, format, ...) */
#define CHECK(...) TEST_CHECK(__VA_ARGS__, "%s", "")
#define TEST_CHECK(condition, ...)                                                                           \
    do {                                                                                                     \
        if (!(condition)) TEST_FAIL(#condition, __VA_ARGS__);                                                \
    } while (0)
/* What is behind the text's own arguments ("%s", "") is ignored by printf, which no warning may object to. */
#define TEST_FAIL(what, ...)                                                                                 \
    do {                                                                                                     \
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-extra-args\"")             \
            test_fail(__FILE__, __LINE__, what, __VA_ARGS__);                                                \
        _Pragma("GCC diagnostic pop")                                                                        \
    } while (0)
#define SKIP(...) test_skip(__VA_ARGS__)
