/* Names of log files: our own, logrotate's, and what is none. */
#include "base/log_name.h"
#include "tests/test.h"

static const struct bytes base = {(const uint8_t *)"silktalk.log", 12};

TEST(each_name_is_what_it_is) {
    static const struct {
        const char *name;
        enum log_name_kind kind;
        bool own, gzip;
        int64_t day;
        unsigned number;
    } rows[] = {
        {"silktalk.log", LOG_NAME_CURRENT, false, false, 0, 0},
        {"silktalk.log.20260222-101530", LOG_NAME_ARCHIVE, true, false, 20506, 0},
        {"silktalk.log.20260222-235959.gz", LOG_NAME_ARCHIVE, true, true, 20506, 0},
        {"silktalk.log.20260222-101530.gz.part", LOG_NAME_PARTIAL, true, false, 20506, 0},
        {"silktalk.log-20260222", LOG_NAME_ARCHIVE, false, false, 20506, 0},
        {"silktalk.log-20260222.gz", LOG_NAME_ARCHIVE, false, true, 20506, 0},
        {"silktalk.log-20260222-1771755330.gz", LOG_NAME_ARCHIVE, false, true, 20506, 0},
        {"silktalk.log.1", LOG_NAME_ARCHIVE, false, false, 0, 1},
        {"silktalk.log.30.gz", LOG_NAME_ARCHIVE, false, true, 0, 30},
        {"silktalk.log.0", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.1.gz.part", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.100000", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.20260230-101530", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.20260222-101561", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.20260222-10153", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.20260222-1015300", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.20260222-101530.gz.tmp", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.bak", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log-", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log-2026022", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.log.gz", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.logs", LOG_NAME_OTHER, false, false, 0, 0},
        {"silktalk.lo", LOG_NAME_OTHER, false, false, 0, 0},
        {"", LOG_NAME_OTHER, false, false, 0, 0},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct log_name n = log_name_parse(bytes_of(rows[i].name), base);
        CHECK(n.kind == rows[i].kind && n.own == rows[i].own && n.gzip == rows[i].gzip, "%s: %d",
              rows[i].name, (int)n.kind);
        CHECK(n.kind == LOG_NAME_OTHER || (n.time.ms / 86400000 == rows[i].day && n.number == rows[i].number),
              "%s", rows[i].name);
    }
    CHECK(log_name_parse(base, BYTES("")).kind == LOG_NAME_OTHER);
}

TEST(what_is_made_is_understood) {
    static const enum log_name_form forms[] = {LOG_NAME_PLAIN, LOG_NAME_GZIP, LOG_NAME_GZIP_PARTIAL};
    char name[LOG_NAME_MAX];
    for (size_t i = 0; i < LEN(forms); i++)
        for (int64_t s = 0; s < INT64_C(4000000000); s += 99999999) {
            CHECK(log_name_make(base, (struct wall){s * 1000 + 999}, forms[i], name));
            struct log_name n = log_name_parse(bytes_of(name), base);
            CHECK(n.own && n.time.ms == s * 1000, "%s", name);
            CHECK(n.kind == (forms[i] == LOG_NAME_GZIP_PARTIAL ? LOG_NAME_PARTIAL : LOG_NAME_ARCHIVE), "%s",
                  name);
            CHECK(n.gzip == (forms[i] == LOG_NAME_GZIP), "%s", name);
        }
    char longest[LOG_NAME_MAX + 1];
    memset(longest, 'x', sizeof longest);
    CHECK(log_name_make(bytes_at(longest, LOG_NAME_MAX - 1 - 16), (struct wall){1}, LOG_NAME_PLAIN, name));
    CHECK(!log_name_make(bytes_at(longest, LOG_NAME_MAX - 16), (struct wall){1}, LOG_NAME_PLAIN, name));
    CHECK(!log_name_make(bytes_at(longest, sizeof longest), (struct wall){1}, LOG_NAME_PLAIN, name));
}
