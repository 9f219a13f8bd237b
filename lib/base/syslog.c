#include "base/syslog.h"

enum { FACILITY_DAEMON = 3, HOST_MAX = 255, MSGID_MAX = 32 };

/* Printable ASCII without blanks, or "-": RFC 5424 section 6. */
static void add_word(struct buf *out, const char *text, size_t max) {
    size_t n = 0;
    for (; n < max && text[n] != 0; n++)
        buf_add_byte(out, text[n] == ' ' ? '-' : text[n] > ' ' && text[n] < 127 ? (uint8_t)text[n] : '?');
    if (n == 0) buf_add_byte(out, '-');
}

bool syslog_add(struct buf *out, const struct syslog_origin *from, const struct log_line *line, bool framed) {
    uint8_t room[SYSLOG_MESSAGE_MAX];
    struct buf m = {room, 0, sizeof room, sizeof room};
    char time[32];
    wall_text(line->time, time);
    buf_add_format(&m, "<%d>1 %s ", FACILITY_DAEMON * 8 + log_line_priority(line), time);
    add_word(&m, from->host, HOST_MAX);
    buf_add_format(&m, " silktalk %ld ", from->pid);
    add_word(&m, event_rows[line->event].text, MSGID_MAX);
    buf_add_text(&m, " - ");
    if (!buf_add(&m, line->text)) return false;
    size_t was = out->n;
    bool good = (!framed || buf_add_format(out, "%zu ", m.n)) && buf_add(out, buf_view(&m));
    if (!good) out->n = was;
    return good;
}
