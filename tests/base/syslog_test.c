/* RFC 5424: the header's fields for each level, hostile host names, frames of RFC 6587, no room. */
#include "base/syslog.h"
#include "tests/test.h"

static struct log_line line_of(enum event event, const char *text) {
    return (struct log_line){.level = event_rows[event].level,
                             .component = event_rows[event].component,
                             .event = event,
                             .time = {1771755330123},
                             .text = bytes_of(text)};
}

static bool is(enum event event, const char *host, const char *text, bool framed, const char *want) {
    struct syslog_origin from = {.host = host, .pid = 42};
    struct log_line line = line_of(event, text);
    struct buf out = {.max = 1000};
    bool same = syslog_add(&out, &from, &line, framed) && bytes_is(buf_view(&out), want);
    if (!same) printf("%.*s\n", (int)out.n, (const char *)out.p);
    buf_free(&out);
    return same;
}

TEST(header_and_message) {
    CHECK(is(EV_PEER_CONNECTED, "web-01", "INFO net: Peer connected peer=x", false,
             "<30>1 2026-02-22T10:15:30.123Z web-01 silktalk 42 Peer-connected - INFO net: Peer connected "
             "peer=x"));
    CHECK(is(EV_STREAM, "a", "x", false, "<31>1 2026-02-22T10:15:30.123Z a silktalk 42 Stream - x"));
    CHECK(is(EV_SLOW_TURN, "a", "x", false, "<28>1 2026-02-22T10:15:30.123Z a silktalk 42 Slow-turn - x"));
    CHECK(is(EV_DATABASE_FAULT, "a", "x", false,
             "<27>1 2026-02-22T10:15:30.123Z a silktalk 42 Database-fault - x"));
    CHECK(is(EV_START_REFUSED, "a", "x", false,
             "<26>1 2026-02-22T10:15:30.123Z a silktalk 42 Start-refused - x"));
    CHECK(is(EV_STATE, "", "x", false, "<30>1 2026-02-22T10:15:30.123Z - silktalk 42 State - x"));
    CHECK(
        is(EV_STATE, "a b\n\xff", "x", false, "<30>1 2026-02-22T10:15:30.123Z a-b?? silktalk 42 State - x"));
    CHECK(is(EV_STATE, "a", "x", true, "54 <30>1 2026-02-22T10:15:30.123Z a silktalk 42 State - x"));
}

TEST(every_event_has_a_message_id_within_the_rules) {
    for (int i = 0; i < EVENT_COUNT; i++) {
        const char *text = event_rows[i].text;
        CHECK(strlen(text) <= 32, "%s is longer than a MSGID may be", text);
        for (const char *c = text; *c != 0; c++) CHECK((*c > ' ' && *c < 127) || *c == ' ', "%s", text);
    }
}

TEST(the_longest_line_fits_and_without_room_nothing_is_added) {
    static char longest[LOG_LINE_MAX + 1], host[300];
    struct syslog_origin from = {.host = host, .pid = 4194304};
    memset(longest, 'x', LOG_LINE_MAX);
    memset(host, 'h', sizeof host - 1);
    struct log_line line = line_of(EV_PEER_MISBEHAVED, longest);
    struct buf out = {.max = 2 * SYSLOG_MESSAGE_MAX};
    CHECK(syslog_add(&out, &from, &line, true) && out.n > LOG_LINE_MAX + 255);
    size_t one = out.n;
    for (size_t room = 0; room < one; room++) {
        struct buf small = {.max = room};
        CHECK(!syslog_add(&small, &from, &line, true) && small.n == 0, "%zu", room);
        buf_free(&small);
        if (room == 40) room = one - 20;
    }
    buf_free(&out);
}
