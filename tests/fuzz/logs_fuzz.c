/* Lines of log files, and names of their archives, which others may have written: for `silktalk check`. */
#include "ops/check_logs.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *file_with(struct bytes text) {
    static char path[PATH_MAX];
    if (path[0] == 0) fuzz_place("log", path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
    close(fd);
    return path;
}

/* Archives whose names end as the lines do: what begins as gzip does, or all of the lines. */
static void check_names(struct bytes lines, struct wall now) {
    const struct bytes all = lines;
    static char folder[PATH_MAX - 300];
    char names[4][PATH_MAX], path[PATH_MAX];
    struct bytes line;
    size_t n = 0, made = 0;
    struct archive_facts a;
    if (folder[0] == 0) {
        fuzz_place("logs", folder, sizeof folder);
        MUST(mkdir(folder, 0700) == 0 || errno == EEXIST);
    }
    for (; n < LEN(names) && bytes_split(&lines, '\n', &line); n++) {
        if (line.n > 200 || bytes_index(line, 0) < line.n || bytes_index(line, '/') < line.n) line.n = 0;
        snprintf(names[n], sizeof names[n], "%s/n.log%.*s", folder, (int)line.n, (const char *)line.p);
        int fd = open(names[n], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0) continue;
        made++;
        struct bytes text = line.n % 2 == 0 ? BYTES("\x1f\x8b\x08") : all;
        MUST(write(fd, text.p, text.n) == (ssize_t)text.n);
        close(fd);
    }
    snprintf(path, sizeof path, "%s/n.log", folder);
    MUST(check_archive(path, now, 86400000, &a));
    MUST(a.count <= made && a.bad <= a.count && a.old <= a.count && strlen(a.bad_name) < sizeof a.bad_name);
    for (size_t i = 0; i < n; i++) unlink(names[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const struct wall now = {1771755330123};
    struct bytes in = fuzz_exact(bytes_at(data, n));
    size_t blocks = mem_blocks();
    struct log_counts c;
    MUST(check_logs(file_with(in), now, &c));
    MUST(c.errors + c.warnings + c.errors_before + c.warnings_before <= n);
    MUST(strlen(c.fresh) < sizeof c.fresh && c.days >= 0 && c.days < 8);
    check_names(in, now);
    MUST(!check_logs("/dev/null", now, &c) && !check_logs("/nowhere/at/all", now, &c));
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
