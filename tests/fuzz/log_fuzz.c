/* Lines of the log as somebody wrote them, names of its files, messages to a log server. */
#include "base/json.h"
#include "base/log_entry.h"
#include "base/log_name.h"
#include "base/syslog.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

enum { LIMIT = 1 << 18 };

static void check_shown(struct bytes shown) {
    MUST(utf8_valid(shown));
    while (shown.n > 0) {
        uint32_t code = 0;
        size_t n = utf8_read(shown, &code);
        MUST(n > 0 && !utf8_control(code));
        shown = bytes_skip(shown, n);
    }
}

/* What is shown is one line that a terminal obeys nothing of, and says the same when it is read again. */
static void check_entry(struct bytes line) {
    struct log_entry e, again;
    struct buf text = {.max = LIMIT}, json = {.max = LIMIT}, value = {.max = LIMIT};
    log_safe(line, &text);
    check_shown(buf_view(&text));
    text.n = 0;
    if (!log_entry_read(line, &e)) {
        MUST(e.doc == NULL);
        buf_free(&text);
        return;
    }
    size_t level_at = 0;
    MUST((unsigned)e.level < LEVEL_COUNT && e.event.n > 0);
    if (log_entry_text(&e, &text, &level_at)) {
        check_shown(buf_view(&text));
        MUST(level_at < text.n);
        if (log_entry_read(buf_view(&text), &again)) {
            MUST(again.level == e.level && again.time.ms == e.time.ms && again.doc == NULL);
            log_entry_free(&again);
        }
    }
    if (log_entry_json(&e, &json)) {
        struct json_doc *doc = json_parse(buf_view(&json), NULL);
        MUST(doc != NULL && bytes_is(json_get_bytes(json_root(doc), "schema"), "silktalk.log/1"));
        json_free(doc);
    }
    bool has = log_entry_value(&e, "peer", &value);
    MUST(!has || value.n <= line.n * 8 + 64);
    log_entry_free(&e);
    buf_free(&text);
    buf_free(&json);
    buf_free(&value);
}

static void check_name(struct bytes in) {
    char name[LOG_NAME_MAX];
    struct bytes base = fuzz_part(&in);
    struct log_name n = log_name_parse(in, base);
    MUST(n.kind != LOG_NAME_CURRENT || bytes_eq(in, base));
    MUST(!n.own || n.kind == LOG_NAME_ARCHIVE || n.kind == LOG_NAME_PARTIAL);
    if (!n.own || in.n >= LOG_NAME_MAX) return;
    enum log_name_form form = n.kind == LOG_NAME_PARTIAL ? LOG_NAME_GZIP_PARTIAL
                              : n.gzip                   ? LOG_NAME_GZIP
                                                         : LOG_NAME_PLAIN;
    /* a leap second is read as the second behind it, so that name is another */
    if (log_name_make(base, n.time, form, name) && bytes_index(base, 0) == base.n) MUST(strlen(name) == in.n);
}

static void check_syslog(struct bytes in, bool framed) {
    char host[300];
    struct log_line line = {.event = (enum event)(fuzz_u8(&in) % EVENT_COUNT),
                            .time = {(int64_t)fuzz_u32(&in) * 1000}};
    line.level = event_rows[line.event].level;
    bytes_cstr(fuzz_part(&in), host, sizeof host);
    line.text = in;
    struct syslog_origin from = {.host = host, .pid = 1};
    struct buf out = {.max = LIMIT};
    if (syslog_add(&out, &from, &line, framed)) {
        struct bytes all = buf_view(&out), length;
        uint64_t n = 0;
        if (framed) MUST(bytes_split(&all, ' ', &length) && bytes_to_u64(length, LIMIT, &n) && n == all.n);
        MUST(bytes_starts(all, "<") && bytes_ends(all, "") && all.n > in.n);
        for (int i = 0; i < 6; i++) MUST(bytes_split(&all, ' ', &length) && length.n > 0);
    } else {
        MUST(out.n == 0);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    uint8_t what = fuzz_u8(&in);
    size_t blocks = mem_blocks();
    in = fuzz_exact(bytes_sub(in, 0, 4096));
    switch (what % 4) {
    case 0:
    case 1: check_entry(in); break;
    case 2: check_name(in); break;
    default: check_syslog(in, (what & 4) != 0); break;
    }
    fuzz_free(in);
    fuzz_no_leak(blocks);
    return 0;
}
