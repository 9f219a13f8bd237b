/* `inbox export`: every kept message, oldest first, as JSON lines or as a mailbox (mboxrd). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "loop/clocks.h"
#include "loop/file.h"
#include "ops/inbox.h"
#include "proto/message.h"

enum { PATH_MAX_HERE = 4096, BASE64_LINE = 57 };

struct export {
    FILE *to;
    bool mbox;
    struct wall since;
    uint64_t count;
};

/* ---- mboxrd: RFC 4155, and ">" before every line of a body that begins with any number of ">" and "From "
 */

static void put_header(FILE *to, const char *name, struct bytes value) {
    if (value.n == 0) return;
    fprintf(to, "%s: ", name);
    bool plain = true;
    for (size_t i = 0; i < value.n; i++) plain &= value.p[i] >= 0x20 && value.p[i] < 0x7f;
    if (plain) {
        fprintf(to, "%.*s\n", (int)value.n, (const char *)value.p);
        return;
    }
    for (size_t at = 0;
         at < value.n;) { /* RFC 2047: encoded words of at most 75 characters, whole characters */
        size_t n = 0;
        uint32_t c;
        struct buf word = {.max = 128};
        while (at + n < value.n) {
            size_t more = utf8_read(bytes_skip(value, at + n), &c);
            if (n + MAX(more, (size_t)1) > 42) break;
            n += MAX(more, (size_t)1);
        }
        base64_encode(&word, bytes_sub(value, at, n), false);
        fprintf(to, "%s=?UTF-8?B?%s?=", at == 0 ? "" : "\n ", buf_cstr(&word));
        buf_free(&word);
        at += n;
    }
    fputc('\n', to);
}

static void put_date(FILE *to, bool separator, struct bytes rfc3339) {
    struct wall t;
    char text[64];
    if (!wall_parse(rfc3339, &t)) t.ms = 0;
    time_t seconds = (time_t)(t.ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL) return;
    size_t n = separator ? strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y\n", &utc)
                         : strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000\n", &utc);
    fwrite(text, 1, n, to);
}

static void put_text(FILE *to, struct bytes body) {
    struct bytes line;
    while (bytes_split(&body, '\n', &line)) {
        size_t quoted = 0;
        while (quoted < line.n && line.p[quoted] == '>') quoted++;
        if (bytes_starts(bytes_skip(line, quoted), "From ")) fputc('>', to);
        fwrite(line.p, 1, line.n, to);
        fputc('\n', to);
    }
}

static void put_base64(FILE *to, struct bytes text) {
    enum { COLUMNS = BASE64_LINE / 3 * 4 };
    for (size_t at = 0; at < text.n; at += COLUMNS) {
        struct bytes line = bytes_sub(text, at, COLUMNS);
        fwrite(line.p, 1, line.n, to);
        fputc('\n', to);
    }
}

static void put_mail(FILE *to, const struct json *m) {
    struct bytes from = json_get_bytes(m, "from"), id = json_get_bytes(m, "id");
    struct bytes reply = json_get_bytes(m, "reply_to");
    const struct json *encoded = json_get(m, "body_base64");
    fprintf(to, "From %.*s ", (int)from.n, (const char *)from.p);
    put_date(to, true, json_get_bytes(m, "received"));
    fputs("From: ", to);
    if (json_is_text(json_get(m, "name")))
        fprintf(to, "%.*s ", (int)json_get_bytes(m, "name").n, (const char *)json_get_bytes(m, "name").p);
    fprintf(to, "<%.*s@p2p.invalid>\nDate: ", (int)from.n, (const char *)from.p);
    put_date(to, false, json_get_bytes(m, "sent"));
    fprintf(to, "Message-ID: <%.*s@p2p.invalid>\n", (int)id.n, (const char *)id.p);
    if (reply.n > 0) fprintf(to, "In-Reply-To: <%.*s@p2p.invalid>\n", (int)reply.n, (const char *)reply.p);
    put_header(to, "Subject", json_get_bytes(m, "subject"));
    put_header(to, "X-SilkTalk-File", json_get_bytes(m, "file"));
    fputs("MIME-Version: 1.0\n", to);
    put_header(to, "Content-Type", json_get_bytes(m, "content_type"));
    fprintf(to, "Content-Transfer-Encoding: %s\n\n", encoded != NULL ? "base64" : "8bit");
    if (encoded != NULL)
        put_base64(to, json_bytes(encoded));
    else
        put_text(to, json_get_bytes(m, "body"));
    fputc('\n', to);
}

/* ---- */

static enum err put_items(struct cli *c, struct export *x, const struct json *items) {
    const struct json *m;
    for (size_t i = 0; json_item(items, &i, &m);) {
        struct wall received;
        if (wall_parse(json_get_bytes(m, "received"), &received) && received.ms < x->since.ms) continue;
        if (x->mbox) {
            put_mail(x->to, m);
        } else {
            struct buf line = {.max = 64 << 20};
            if (!json_print(m, &line)) return fail(&c->why, E_MEMORY, "out of memory");
            fwrite(line.p, 1, line.n, x->to);
            fputc('\n', x->to);
            buf_free(&line);
        }
        x->count++;
    }
    return ferror(x->to)
               ? fail(&c->why, errno == ENOSPC ? E_LIMIT : E_IO, "writing failed: %s", strerror(errno))
               : OK;
}

static enum err copy_all(struct cli *c, struct export *x) {
    struct cli_progress p = {.what = "messages"};
    int64_t cursor = 0;
    for (;;) {
        struct buf params;
        struct json_doc *answer = NULL;
        const struct json *result = NULL;
        struct json_out o = cli_params(&params);
        json_put_int(&o, "after", cursor);
        enum err e = cli_ask(c, "inbox.next", &params, &o, c->timeout_ms, &answer, &result);
        const struct json *items = json_get(result, "items");
        if (e == OK) e = put_items(c, x, items);
        bool more = json_count(items) > 0 && json_get_int(result, "cursor", cursor) > cursor;
        cursor = json_get_int(result, "cursor", cursor);
        json_free(answer);
        if (e != OK || !more) {
            cli_progress_end(c, &p);
            return e;
        }
        cli_progress(c, &p, x->count);
    }
}

/* A new file, whole or not at all. */
static enum err into_file(struct cli *c, struct export *x, const char *path) {
    char part[PATH_MAX_HERE];
    int n = snprintf(part, sizeof part, "%s.part", path);
    if (n < 0 || n >= PATH_MAX_HERE) return fail(&c->why, E_INPUT, "the path is too long");
    if (access(path, F_OK) == 0)
        return fail(&c->why, E_REFUSED, "%s is there already: name another file", path);
    unlink(part);
    int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    x->to = fd < 0 ? NULL : fdopen(fd, "w");
    if (x->to == NULL) return fail(&c->why, file_error(errno), "%s: %s", part, strerror(errno));
    enum err e = copy_all(c, x);
    if (e == OK && (fflush(x->to) != 0 || fsync(fd) != 0))
        e = fail(&c->why, file_error(errno), "%s: %s", part, strerror(errno));
    fclose(x->to);
    if (e == OK && link(part, path) != 0)
        e = fail(&c->why, file_error(errno), "%s: %s", path, strerror(errno));
    unlink(part);
    if (e == OK) cli_note(c, "%llu messages in %s", (unsigned long long)x->count, path);
    return e;
}

int inbox_export(struct cli *c) {
    const char *format = cli_value(c, "format"), *path = cli_value(c, "output");
    struct export x = {.to = stdout, .mbox = format != NULL && strcmp(format, "mbox") == 0};
    if (c->n_args > 1) return cli_usage(c, "inbox export takes no words");
    if (format != NULL && !x.mbox && strcmp(format, "jsonl") != 0)
        return cli_usage(c, "--format is jsonl or mbox");
    enum err e = cli_moment(c, "since", &x.since);
    if (e == OK) e = path != NULL ? into_file(c, &x, path) : copy_all(c, &x);
    if (e == OK && path == NULL && fflush(stdout) != 0)
        e = fail(&c->why, E_IO, "writing failed: %s", strerror(errno));
    return cli_exit(c, e);
}
