/* lib/base/log_entry.h: reads the lines that base/log.h makes, of both formats, wherever they went: the file
 * (time first), the journal or stderr (`<6>` first, or nothing), and made of them by somebody's editor.
 *
 * A line is hostile: whoever can write the file wrote it. Nothing of it reaches a terminal but through
 * log_entry_text (escaped) or log_entry_json. */
#ifndef SILKTALK_BASE_LOG_ENTRY_H
#define SILKTALK_BASE_LOG_ENTRY_H

#include "base/event.h"

struct json_doc;
struct log_entry {
    struct wall time; /* 0: the line has none */
    enum log_level level;
    struct bytes component, event; /* into the line, or into doc */
    uint64_t repeated;             /* 0, or how many this line stands for */
    struct bytes pairs;            /* text: ` key=value`... */
    struct json_doc *doc;          /* JSON: the object */
};
/* False: it is no log line; then there is nothing to free. The entry lives as long as the line. */
bool log_entry_read(struct bytes line, struct log_entry *out);
void log_entry_free(struct log_entry *e);
/* Appends the value of a key, as it was before it was written (numbers as written); false: there is no such
 * key. */
bool log_entry_value(const struct log_entry *e, const char *key, struct buf *out);
/* Appends the line as a file of text format has it, safe for a terminal; of an entry without a time, without.
 * *level_at (may be NULL): where the word of the level begins in out. */
bool log_entry_text(const struct log_entry *e, struct buf *out, size_t *level_at);
/* Appends `{"schema":"silktalk.log/1","time":…`. What text lines hold of numbers becomes numbers again;
 * durations stay text, as they stand. */
bool log_entry_json(const struct log_entry *e, struct buf *out);
/* What is no log line, for a terminal: control characters and bytes that are no UTF-8 as \xNN. */
bool log_safe(struct bytes line, struct buf *out);

#endif
