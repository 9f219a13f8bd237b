#include "tests/test.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/random.h>
#include <unistd.h>

#include <cmocka.h>

enum { CASES_MAX = 1000, FILE_MAX = 64 << 20 };

static struct test_case *first, **last = &first;
static bool seed_known;
static uint64_t seed;
static char dir[128];

void test_add(struct test_case *t) {
    *last = t;
    last = &t->next;
}

uint64_t test_seed(void) {
    if (seed_known) return seed;
    const char *text = getenv("TEST_SEED");
    if (text != NULL && *text != '\0')
        seed = strtoull(text, NULL, 0);
    else if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        abort();
    seed_known = true;
    return seed;
}

void test_fail(const char *file, int line, const char *what, const char *fmt, ...) {
    char text[2000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    print_error("%s:%d: not so: %s%s%s\n", file, line, what, *text != '\0' ? "\n    " : "", text);
    if (seed_known) print_error("    repeat with TEST_SEED=%" PRIu64 "\n", seed);
    _fail(file, line);
    abort(); /* _fail jumps back into cmocka */
}

void test_skip(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf("skip: ");
    vprintf(fmt, ap);
    printf("\n");
    va_end(ap);
    _skip(__FILE__, __LINE__);
    abort();
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

size_t test_hex(const char *hex, uint8_t *out, size_t max) {
    size_t digits = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ' || *hex == '\n') continue;
        int d = digit_of(*hex);
        if (d < 0 || digits / 2 >= max)
            test_fail(__FILE__, __LINE__, "hex", "bad or too long at: %.20s", hex);
        out[digits / 2] = (uint8_t)(digits % 2 == 0 ? d << 4 : out[digits / 2] | d);
        digits++;
    }
    if (digits % 2 != 0) test_fail(__FILE__, __LINE__, "hex", "odd number of digits");
    return digits / 2;
}

char *test_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) test_fail(__FILE__, __LINE__, path, "%s", strerror(errno));
    long size = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    rewind(f);
    if (size < 0 || size > FILE_MAX) test_fail(__FILE__, __LINE__, path, "size %ld", size);
    char *text = malloc((size_t)size + 1);
    if (text == NULL || fread(text, 1, (size_t)size, f) != (size_t)size)
        test_fail(__FILE__, __LINE__, path, "read");
    fclose(f);
    text[size] = '\0';
    if (n != NULL) *n = (size_t)size;
    return text;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_dir(void) {
    if (*dir != '\0') nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    *dir = '\0';
}

const char *test_dir(void) {
    if (*dir != '\0') return dir;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/silktalk-test-XXXXXX", tmp != NULL && strlen(tmp) < 80 ? tmp : "/tmp");
    if (mkdtemp(dir) == NULL) {
        *dir = '\0';
        test_fail(__FILE__, __LINE__, "mkdtemp", "%s", strerror(errno));
    }
    return dir;
}

static void run_case(void **state) {
    const struct test_case *t = *state;
    t->run();
}

static int after_case(void **state) {
    (void)state;
    remove_dir();
    return 0;
}

int main(int argc, char **argv) {
    static struct CMUnitTest tests[CASES_MAX];
    size_t n = 0;
    for (struct test_case *t = first; t != NULL; t = t->next) {
        if (argc > 1 && strstr(t->name, argv[1]) == NULL) continue;
        if (n == CASES_MAX) {
            fprintf(stderr, "more than %d tests in one file\n", CASES_MAX);
            return 2;
        }
        tests[n++] = (struct CMUnitTest){t->name, run_case, NULL, after_case, t};
    }
    if (n == 0) {
        fprintf(stderr, "no test%s%s\n", argc > 1 ? " of that name: " : "", argc > 1 ? argv[1] : "");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    return _cmocka_run_group_tests(argv[0], tests, n, NULL, NULL) == 0 ? 0 : 1;
}
