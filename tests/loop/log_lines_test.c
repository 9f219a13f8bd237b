/* Reading log files line by line: plain, gzip of several members, damaged, long lines, files that grow. */
#include "loop/log_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"
#include "tests/test.h"

static char path[600];
static const char *in_dir(const char *name) {
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return path;
}

static void put(const char *name, const char *mode, struct bytes text) {
    FILE *f = fopen(in_dir(name), mode);
    CHECK(f != NULL && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0);
}

static struct log_lines *opened(const char *name) {
    struct log_lines *l;
    struct why w = {OK, ""};
    CHECK(log_lines_open(&l, in_dir(name), &w) == OK, "%s", w.text);
    return l;
}

static bool next_is(struct log_lines *l, bool all, const char *want) {
    struct bytes line;
    bool got = log_lines_next(l, all, &line);
    return want == NULL ? !got : got && bytes_is(line, want);
}

static void gzip(const char *name, const char *mode, struct bytes text) {
    gzFile g = gzopen(in_dir(name), mode);
    CHECK(g != NULL && gzwrite(g, text.p, (unsigned)text.n) == (int)text.n && gzclose(g) == Z_OK);
}

TEST(plain_lines_and_one_that_is_not_ended) {
    size_t blocks = mem_blocks();
    put("a", "w", BYTES("one\n\nthree\nhalf"));
    struct log_lines *l = opened("a");
    CHECK(next_is(l, false, "one") && next_is(l, false, "") && next_is(l, false, "three") &&
          next_is(l, false, NULL));
    put("a", "a", BYTES(" and half\nmore"));
    CHECK(next_is(l, false, "half and half") && next_is(l, false, NULL) && next_is(l, true, "more") &&
          next_is(l, true, NULL) && !log_lines_damaged(l) && !log_lines_shrunk(l));
    CHECK(truncate(in_dir("a"), 2) == 0 && log_lines_shrunk(l));
    log_lines_rewind(l);
    CHECK(next_is(l, true, "on") && next_is(l, true, NULL));
    log_lines_close(l);
    CHECK(mem_blocks() == blocks);
}

TEST(gzip_in_members_and_large) {
    static char many[1 << 20];
    for (size_t i = 0; i < sizeof many; i++) many[i] = i % 64 == 63 ? '\n' : (char)('a' + i * i % 23);
    gzip("a.gz", "wb", BYTES("one\ntw"));
    gzip("a.gz", "ab", BYTES("o\n"));
    gzip("a.gz", "ab", bytes_at(many, sizeof many));
    for (int round = 0; round < 2; round++) {
        struct log_lines *l = opened("a.gz");
        struct bytes line;
        size_t n = 0;
        CHECK(next_is(l, true, "one") && next_is(l, true, "two"));
        if (round == 1) {
            log_lines_rewind(l);
            CHECK(next_is(l, true, "one") && next_is(l, true, "two"));
        }
        for (; log_lines_next(l, true, &line); n++)
            CHECK(line.n == 63 && memcmp(line.p, many + n * 64, 63) == 0);
        CHECK(n == sizeof many / 64 && !log_lines_damaged(l) && !log_lines_tail(l, 10));
        log_lines_close(l);
    }
}

TEST(damage_is_noticed_and_what_was_read_counts) {
    static char many[200000];
    uint64_t state = 1;
    for (size_t i = 0; i < sizeof many; i++) { /* of such a kind that it stays long */
        state = state * 6364136223846793005u + 1442695040888963407u;
        many[i] = i % 64 == 63 ? '\n' : (char)('!' + (state >> 40) % 90);
    }
    struct stat st;
    gzip("whole.gz", "wb", bytes_at(many, sizeof many));
    CHECK(stat(in_dir("whole.gz"), &st) == 0);
    size_t size;
    char *content = test_file(path, &size);
    for (int kind = 0; kind < 5; kind++) {
        char *copy = malloc(size);
        size_t n = kind == 0 ? size / 2 : kind == 1 ? size - 1 : kind == 2 ? 10 : size;
        memcpy(copy, content, size);
        if (kind == 3) copy[size / 2] ^= 0x55;
        if (kind == 4) copy[size - 6] ^= 1; /* the checksum */
        put("bad.gz", "w", bytes_at(copy, n));
        free(copy);
        struct log_lines *l = opened("bad.gz");
        struct bytes line;
        size_t lines = 0;
        while (log_lines_next(l, true, &line)) lines++;
        CHECK(log_lines_damaged(l) && (kind == 2 || lines > 1000), "%d: %zu", kind, lines);
        log_lines_close(l);
    }
    free(content);
}

TEST(a_long_line_is_cut_once) {
    static char x[100000];
    memset(x, 'x', sizeof x);
    put("a", "w", BYTES("before\n"));
    put("a", "a", bytes_at(x, sizeof x));
    put("a", "a", BYTES("\nafter\n"));
    struct log_lines *l = opened("a");
    struct bytes line;
    CHECK(next_is(l, true, "before") && log_lines_next(l, true, &line) && line.n == LOG_LINES_LONGEST);
    CHECK(next_is(l, true, "after") && next_is(l, true, NULL));
    CHECK(log_lines_tail(l, 3) && next_is(l, true, NULL)); /* the rest of a line is none */
    CHECK(log_lines_tail(l, 8) && next_is(l, true, "after"));
    CHECK(!log_lines_tail(l, 1 << 20));
    log_lines_close(l);
}

TEST(what_is_no_file_of_lines) {
    struct log_lines *l;
    struct why w;
    CHECK(log_lines_open(&l, in_dir("none"), &w) == E_NOT_FOUND && l == NULL);
    CHECK(log_lines_open(&l, test_dir(), &w) == E_INPUT && l == NULL);
    put("a", "w", BYTES("x\n"));
    char target[600];
    snprintf(target, sizeof target, "%s", in_dir("a"));
    CHECK(symlink(target, in_dir("link")) == 0 && log_lines_open(&l, path, &w) == E_INPUT && l == NULL);
    CHECK(mkfifo(in_dir("fifo"), 0600) == 0 && log_lines_open(&l, path, &w) == E_INPUT && l == NULL);
    log_lines_close(NULL);
}
