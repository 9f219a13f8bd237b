/* What the last day's lines of both formats are counted as; archives: days, damage, age. */
#include "ops/check_logs.h"

#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/test.h"

#define DAY INT64_C(86400000)
static const struct wall noon = {INT64_C(1771761600000)}; /* 2026-02-22T12:00:00Z */

static char where[600];
static const char *in_dir(const char *name) {
    snprintf(where, sizeof where, "%s/%s", test_dir(), name);
    return where;
}
static void put(const char *name, const char *text, size_t n) {
    FILE *f = fopen(in_dir(name), "w");
    CHECK(f != NULL && fwrite(text, 1, n, f) == n && fclose(f) == 0);
}

TEST(lines_of_both_formats_are_counted) {
    static const char lines[] = "2026-02-10T10:00:00.000Z ERROR node: Start refused reason=old\n"
                                "2026-02-20T10:00:00.000Z WARN net: Failed handshake reason=\"a = b\"\n"
                                "2026-02-22T11:00:00.000Z WARN net: Failed handshake addr=x\n"
                                "not a line\n"
                                "{\"time\":\"2026-02-22T11:30:00.000Z\",\"level\":\"error\",\"component\":"
                                "\"net\",\"event\":\"Listener lost\"}\n"
                                "2026-02-22T11:31:00.000Z INFO node: Node started\n"
                                "2026-02-23T11:00:00.000Z ERROR node: Start refused reason=tomorrow\n";
    struct log_counts c;
    put("a.log", lines, sizeof lines - 1);
    CHECK(check_logs(where, noon, &c));
    CHECK(c.errors == 1 && c.warnings == 1 && c.errors_before == 0 && c.warnings_before == 1 && c.days > 1);
    CHECK(strcmp(c.fresh, "Listener lost") == 0, "%s", c.fresh);
}

static size_t covered(const struct archive_facts *a) {
    size_t n = 0;
    for (size_t k = 0; k < ARCHIVE_DAYS; k++) n += a->covered[k];
    return n;
}

/* From the first to the last line of each file, whatever its name says; both formats; what has no time is
 * none. */
TEST(days_that_files_have_lines_of) {
    struct archive_facts a;
    static const char
        text[] = "a crash's words\n2026-02-19T23:59:59.999Z INFO node: State\nhalf of\n"
                 "2026-02-21T00:00:00.000Z INFO node: State\n2026-99-99T no time\n",
        json[] = "{\"time\":\"2026-02-10T10:15:30.123Z\",\"level\":\"info\"}\n{\"time\":\"\n{\"time\n";
    put("d.log", "", 0);
    CHECK(check_archive(in_dir("d.log"), noon, 30 * DAY, &a) && covered(&a) == 0 && a.count == 0);
    put("d.log", text, sizeof text - 1);
    CHECK(check_archive(in_dir("d.log"), noon, 30 * DAY, &a) && a.count == 0);
    CHECK(covered(&a) == 3 && a.covered[3] && a.covered[2] && a.covered[1]);
    put("d.log.1", json, sizeof json - 1);
    CHECK(check_archive(in_dir("d.log"), noon, 30 * DAY, &a) && a.count == 1 && a.bad == 0);
    CHECK(covered(&a) == 4 && a.covered[12]);
    static char big[600 << 10]; /* what is between the first line and the last part is not read */
    memset(big, '\n', sizeof big);
    memcpy(big, "2026-02-03T10:00:00.000Z INFO node: State", 41);
    memcpy(big + (300 << 10), "2026-02-09T10:00:00.000Z INFO node: State", 41);
    memcpy(big + sizeof big - 42, "2026-02-05T10:00:00.000Z INFO node: State", 41);
    put("d.log.2", big, sizeof big);
    CHECK(check_archive(in_dir("d.log"), noon, 30 * DAY, &a) && a.count == 2);
    CHECK(covered(&a) == 7 && a.covered[19] && a.covered[18] && a.covered[17]);
    put("d.log", "2026-03-09T10:00:00.000Z INFO node: State\n", 42); /* of a clock that was wrong */
    unlink(in_dir("d.log.1"));
    unlink(in_dir("d.log.2"));
    CHECK(check_archive(in_dir("d.log"), noon, 30 * DAY, &a) && covered(&a) == 0);
}

TEST(archives_damaged_old) {
    struct archive_facts a;
    char gz[200];
    size_t n;
    put("a.log", "", 0);
    put("a.log.20260219-235959", "x\n", 2);
    put("a.log.20260221-235959", "x\n", 2);
    put("a.log.20260118-235959", "x\n", 2);
    put("a.log.20260221-235958.gz.part", "x\n", 2);
    put("a.log.notes", "x\n", 2);
    gzFile g = gzopen(in_dir("a.log.20260218-000000.gz"), "wb");
    CHECK(g != NULL && gzwrite(g, "one\ntwo\n", 8) == 8 && gzclose(g) == Z_OK);
    char *whole = test_file(where, &n);
    CHECK(n < sizeof gz);
    memcpy(gz, whole, n);
    free(whole);
    CHECK(check_archive(in_dir("a.log"), noon, 30 * DAY, &a));
    CHECK(a.count == 4 && a.bad == 0 && a.old == 1 && a.unreadable == 0, "%zu %zu %zu", a.count, a.bad,
          a.old);
    put("a.log.20260218-000000.gz", gz, n - 1);
    CHECK(check_archive(in_dir("a.log"), noon, 30 * DAY, &a) && a.bad == 1 &&
          strcmp(a.bad_name, "a.log.20260218-000000.gz") == 0);
    put("a.log.20260218-000000.gz", "plain\n", 6);
    CHECK(check_archive(in_dir("a.log"), noon, 30 * DAY, &a) && a.bad == 1);
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
