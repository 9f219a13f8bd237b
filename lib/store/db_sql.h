/* lib/store/db_sql.h: every statement that runs more than once, by name. Prepared when first used, kept until
 * the database is closed (db_query.h). Columns are named in inserts: a later schema may have more. */
#ifndef SILKTALK_STORE_DB_SQL_H
#define SILKTALK_STORE_DB_SQL_H

#include "node/figures.h"

#define OUTBOX_ITEM                                                                                          \
    "SELECT o.seq, o.id, o.peer, p.name, o.state, length(o.body), o.created_ms, o.tries, o.next_try_ms, "    \
    "o.last_error, o.expires_ms FROM outbox o LEFT JOIN peers p ON p.peer = o.peer "
#define INBOX_ITEM                                                                                           \
    "SELECT i.seq, i.id, i.peer, p.name, i.received_ms, ifnull(i.file_bytes, length(i.body)), i.is_read, "   \
    "i.subject, i.sent_ms, i.content_type, i.reply_to, i.file FROM inbox i LEFT JOIN peers p ON p.peer = "   \
    "i.peer "
#define MESSAGE_COLUMNS "id, created_ms, expires_ms, content_type, subject, reply_to, body "
#define INBOX_MESSAGE "id, sent_ms, expires_ms, content_type, subject, reply_to, body "

/* Rows of one insert of a run: they share what a statement costs, and the row that AUTOINCREMENT keeps. */
#define RUN_ROWS 16
#define ROWS_4(row) row ", " row ", " row ", " row
#define ROWS_16(row) ROWS_4(row) ", " ROWS_4(row) ", " ROWS_4(row) ", " ROWS_4(row)
enum { OUTBOX_VALUES = 9, SEEN_VALUES = 3, INBOX_VALUES = 11 }; /* of one row */

/* Figures: columns from the table of node/figures.h; minutes become an hour by their third column. */
#define FIGURE_COLUMN(symbol, name, fold) ", " name
#define FIGURE_MARK(symbol, name, fold) ", ?"
#define FIGURE_FOLD(symbol, name, fold) ", " FIGURE_HOUR_##fold(name)
#define FIGURE_HOUR_SUM(name) "sum(" name ")"
#define FIGURE_HOUR_MAX(name) "max(" name ")"
#define FIGURE_HOUR_MEAN(name) "CAST(round(avg(" name ")) AS INTEGER)"
#define FIGURE_JOIN(symbol, name, fold) ", " name " = " FIGURE_JOIN_##fold(name)
#define FIGURE_JOIN_SUM(name) "ifnull(" name ", 0) + ifnull(excluded." name ", 0)"
#define FIGURE_JOIN_MAX(name) "max(ifnull(" name ", excluded." name "), ifnull(excluded." name ", " name "))"
#define FIGURE_JOIN_MEAN(name) "ifnull(excluded." name ", " name ")"
#define LOG_COUNTS_FROM " FROM log_counts WHERE hour_ms >= ?1 "

/* clang-format off */
#define STATEMENTS(X)                                                                                              \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                                    \
    X(COMMIT, "COMMIT")                                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                                        \
    X(DATA_VERSION, "PRAGMA data_version")                                                                         \
    X(PAGE_COUNT, "PRAGMA page_count")                                                                             \
    X(FREE_COUNT, "PRAGMA freelist_count")                                                                         \
    /* counters */                                                                                                 \
    X(TOTALS_LOAD, "SELECT key, value FROM totals")                                                                \
    X(TOTALS_PUT, "INSERT OR REPLACE INTO totals(key, value) VALUES(?1, ?2)")                                      \
    X(LATENCY_LOAD, "SELECT from_ms, messages FROM latency")                                                       \
    X(LATENCY_PUT, "INSERT OR REPLACE INTO latency(from_ms, messages) VALUES(?1, ?2)")                             \
    X(PARTY_GET, "SELECT n, inbox_messages, inbox_bytes, outbox_messages, outbox_bytes FROM usage WHERE peer = ?1") \
    X(PARTY_ADD, "INSERT INTO usage(peer) VALUES(?1)")                                                             \
    X(PARTY_PUT, "UPDATE usage SET inbox_messages = ?2, inbox_bytes = ?3, outbox_messages = ?4, outbox_bytes = ?5 " \
                 "WHERE n = ?1")                                                                                   \
    X(PARTY_IDLE, "SELECT n, inbox_messages = 0 AND outbox_messages = 0 AND "                                      \
                  "NOT EXISTS (SELECT 1 FROM seen WHERE sender = u.n) FROM usage u WHERE n > ?1 ORDER BY n LIMIT ?2") \
    X(PARTY_DROP, "DELETE FROM usage WHERE n = ?1")                                                                \
    /* outbox */                                                                                                   \
    X(OUTBOX_ADD, "INSERT INTO outbox(id, peer, state, created_ms, expires_ms, content_type, subject, reply_to, "  \
                  "frame_bytes, body) VALUES(?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT(id) DO NOTHING") \
    X(OUTBOX_ADD_RUN, "INSERT OR FAIL INTO outbox(id, peer, state, created_ms, expires_ms, content_type, subject, " \
                      "reply_to, frame_bytes, body) VALUES " ROWS_16("(?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)"))      \
    X(OUTBOX_HAS, "SELECT 1 FROM outbox WHERE id = ?1")                                                            \
    X(OUTBOX_LOAD, "SELECT seq, tries, frame_bytes, " MESSAGE_COLUMNS                                              \
                   "FROM outbox WHERE peer = ?1 AND state = 'queued' AND seq > ?2 ORDER BY seq LIMIT ?3")          \
    X(OUTBOX_DROP, "DELETE FROM outbox WHERE seq = ?1 RETURNING peer, state, frame_bytes, id")                     \
    X(OUTBOX_SHOW_RUN, "SELECT seq, peer, state, frame_bytes, id FROM outbox WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq") \
    X(OUTBOX_DROP_RUN, "DELETE FROM outbox WHERE seq BETWEEN ?1 AND ?2")                                           \
    X(OUTBOX_SHOW, "SELECT peer, state, frame_bytes, id FROM outbox WHERE seq = ?1")                               \
    X(OUTBOX_FAIL, "UPDATE outbox SET state = 'failed', last_error = ?2, next_try_ms = 0 WHERE seq = ?1")          \
    X(OUTBOX_TRIED, "UPDATE outbox SET tries = tries + 1, next_try_ms = ?2, last_error = ?3 WHERE seq = ?1")       \
    X(OUTBOX_OLDEST, "SELECT seq, created_ms FROM outbox WHERE peer = ?1 AND state = 'queued' ORDER BY seq LIMIT 1") \
    X(OUTBOX_OLDEST_ALL, "SELECT min(created_ms) FROM outbox WHERE state = 'queued'")                              \
    X(OUTBOX_EXPIRED, "SELECT seq FROM outbox WHERE state = 'queued' AND expires_ms > 0 AND expires_ms <= ?1 "     \
                      "ORDER BY expires_ms LIMIT ?2")                                                              \
    X(OUTBOX_PEERS, "SELECT peer FROM usage WHERE outbox_messages > 0 ORDER BY n")                                 \
    X(OUTBOX_LIST, OUTBOX_ITEM "WHERE o.seq > ?1 ORDER BY o.seq LIMIT ?2")                                         \
    X(OUTBOX_FAILED, "SELECT seq FROM outbox WHERE state = 'failed' AND seq > ?1 ORDER BY seq LIMIT ?2")           \
    X(OUTBOX_OLD_FAILED, "SELECT seq FROM outbox WHERE state = 'failed' AND created_ms < ?1 ORDER BY seq LIMIT ?2") \
    X(OUTBOX_AGAIN, "INSERT INTO outbox(id, peer, state, created_ms, expires_ms, content_type, subject, reply_to, " \
                    "frame_bytes, body) SELECT ?2, peer, 'queued', ?3, "                                           \
                    "CASE expires_ms WHEN 0 THEN 0 ELSE ?3 + max(expires_ms - created_ms, 0) END, "                \
                    "content_type, subject, reply_to, frame_bytes, body FROM outbox WHERE seq = ?1")               \
    X(OUTBOX_BY_RANGE, "SELECT seq, id FROM outbox WHERE id BETWEEN ?1 AND ?2 LIMIT ?3")                           \
    X(OUTBOX_BY_END, "SELECT seq, id FROM outbox WHERE substr(hex(id), ?1) = ?2 LIMIT ?3")                         \
    /* inbox */                                                                                                    \
    X(SEEN_ADD, "INSERT INTO seen(sender, id, stored_ms) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING")               \
    X(SEEN_ADD_RUN, "INSERT OR FAIL INTO seen(sender, id, stored_ms) VALUES " ROWS_16("(?, ?, ?)")                  \
                    " ON CONFLICT DO NOTHING")                                                                     \
    X(SEEN_SHOW_RUN, "SELECT id FROM seen WHERE n BETWEEN ?1 AND ?2 ORDER BY n")                                   \
    X(SEEN_HAS, "SELECT 1 FROM seen WHERE sender = ?1 AND id = ?2")                                                \
    X(SEEN_OLDEST, "SELECT n, stored_ms FROM seen ORDER BY n LIMIT ?1")                                            \
    X(SEEN_DROP, "DELETE FROM seen WHERE n = ?1")                                                                  \
    X(INBOX_ADD, "INSERT INTO inbox(id, peer, received_ms, sent_ms, expires_ms, stranger, content_type, subject, " \
                 "reply_to, frame_bytes, body, file, file_bytes) "                                                 \
                 "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")                                 \
    X(INBOX_ADD_RUN, "INSERT OR FAIL INTO inbox(id, peer, received_ms, sent_ms, expires_ms, stranger, content_type, " \
                     "subject, reply_to, frame_bytes, body) VALUES "                                               \
                     ROWS_16("(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"))                                                 \
    X(INBOX_LIST, INBOX_ITEM "WHERE (?1 = '' OR i.peer = ?1) AND (?2 = 0 OR i.is_read = 0) AND "                   \
                  "(?3 = 0 OR i.seq < ?3) ORDER BY i.seq DESC LIMIT ?4")                                           \
    X(INBOX_SEARCH, INBOX_ITEM "WHERE (?1 = '' OR i.peer = ?1) AND (?2 = 0 OR i.is_read = 0) AND "                 \
                    "(?3 = 0 OR i.seq < ?3) AND (silk_found(i.subject) OR "                                        \
                    "(silk_is_text(i.content_type) AND silk_found(i.body))) ORDER BY i.seq DESC LIMIT ?4")         \
    X(INBOX_SHOW, "SELECT peer, received_ms, is_read, " INBOX_MESSAGE ", file FROM inbox WHERE seq = ?1")                 \
    X(INBOX_AFTER, "SELECT seq, peer, received_ms, is_read, frame_bytes, " INBOX_MESSAGE                           \
                   ", file FROM inbox WHERE seq > ?1 AND (?2 = 0 OR is_read = 0) ORDER BY seq LIMIT ?3")                  \
    X(INBOX_NEWEST, "SELECT ifnull(max(seq), 0) FROM inbox")                                                        \
    X(INBOX_MARK, "UPDATE inbox SET is_read = ?2 WHERE seq = ?1 AND is_read <> ?2")                                \
    X(INBOX_DROP, "DELETE FROM inbox WHERE seq = ?1 RETURNING peer, frame_bytes, is_read, stranger")               \
    X(INBOX_OLD, "SELECT seq FROM inbox WHERE received_ms < ?1 ORDER BY seq LIMIT ?2")                             \
    X(INBOX_OLD_READ, "SELECT seq FROM inbox WHERE is_read = 1 AND received_ms < ?1 ORDER BY received_ms LIMIT ?2") \
    X(INBOX_BY_RANGE, "SELECT seq, id FROM inbox WHERE id BETWEEN ?1 AND ?2 AND (?4 = '' OR peer = ?4) LIMIT ?3")  \
    X(INBOX_BY_END, "SELECT seq, id FROM inbox WHERE substr(hex(id), ?1) = ?2 AND (?4 = '' OR peer = ?4) LIMIT ?3") \
    /* large files */                                                                                              \
    X(FILE_ADD, "INSERT INTO files(id, peer, direction, state, size, created_ms, name, sha256, offer) "            \
                "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                                      \
    X(FILE_SHOW, "SELECT seq, id, peer, direction, state, size, done, name, sha256, offer, created_ms FROM files " \
                 "WHERE seq = ?1")                                                                                 \
    X(FILE_FIND, "SELECT seq FROM files WHERE direction = ?1 AND peer = ?2 AND id = ?3")                           \
    X(FILE_READY, "UPDATE files SET state = 'moving', sha256 = ?2, offer = ?3 WHERE seq = ?1")                     \
    X(FILE_STATE, "UPDATE files SET state = ?2, last_error = ?3, ended_ms = ?4 WHERE seq = ?1")                    \
    X(FILE_DONE, "UPDATE files SET done = ?2 WHERE seq = ?1")                                                      \
    X(FILE_TRIED, "UPDATE files SET tries = ?5, state = ?2, last_error = ?3, done = ?4 WHERE seq = ?1 AND " \
                  "state IN ('moving', 'offered')")                                                                \
    X(FILE_DROP, "DELETE FROM files WHERE seq = ?1")                                                               \
    X(FILE_QUEUE, "SELECT seq, peer, created_ms, size, offer FROM files WHERE direction = 'out' AND "              \
                  "state IN ('moving', 'offered') AND seq > ?1 ORDER BY seq")                                      \
    X(FILE_COPYING, "SELECT seq FROM files WHERE state = 'copying' AND seq <= ?1 ORDER BY seq LIMIT ?2")           \
    X(FILE_LAST, "SELECT max(seq) FROM files")                                                                     \
    X(FILE_OLD_OFFERS, "SELECT seq FROM files WHERE direction = 'in' AND state = 'offered' AND created_ms < ?1 "   \
                       "LIMIT ?2")                                                                                 \
    X(FILE_OLD_ENDED, "SELECT seq FROM files WHERE ended_ms > 0 AND ended_ms < ?1 AND (state = 'failed' OR "       \
                      "direction = 'out') ORDER BY ended_ms LIMIT ?2")                                             \
    X(FILE_COMING, "SELECT seq FROM files WHERE direction = 'in' AND state = 'moving' AND seq > ?1 ORDER BY seq "  \
                   "LIMIT ?2")                                                                                     \
    X(FILE_BYTES, "SELECT ifnull(sum(size), 0) FROM files WHERE state IN ('copying', 'moving') OR "                \
                  "(direction = 'out' AND state = 'offered') OR (direction = 'in' AND state = 'complete')")        \
    X(FILE_ROWS, "SELECT count(*) FROM files")                                                                     \
    X(FILE_OFFERS, "SELECT count(*) FROM files WHERE direction = 'in' AND state = 'offered'")                      \
    X(FILE_COUNTS, "SELECT sum(direction = 'in' AND state = 'moving'), sum(direction = 'out' AND "                 \
                   "state IN ('copying', 'moving', 'offered')), sum(direction = 'in' AND state = 'offered') FROM files") \
    X(FILE_OFFERS_OF, "SELECT count(*) FROM files WHERE direction = 'in' AND state = 'offered' AND peer = ?1")     \
    X(FILE_LIST, "SELECT f.seq, f.id, f.peer, p.name, f.direction, f.state, f.size, f.done, f.created_ms, f.name, " \
                 "f.last_error, f.sha256 FROM files f LEFT JOIN peers p ON p.peer = f.peer WHERE f.seq > ?1 "      \
                 "ORDER BY f.seq LIMIT ?2")                                                                        \
    X(FILE_BY_TEXT, "SELECT seq, id FROM files WHERE substr(hex(id), 1, ?2) = ?1 OR substr(hex(id), -?2) = ?1 "    \
                    "LIMIT ?3")                                                                                    \
    /* figures */                                                                                                  \
    X(FIGURES_ADD, "INSERT INTO figures(span_s, at_ms" FIGURES(FIGURE_COLUMN) ") VALUES(?, ?" FIGURES(FIGURE_MARK)  \
                   ") ON CONFLICT(span_s, at_ms) DO UPDATE SET span_s = span_s" FIGURES(FIGURE_JOIN))              \
    X(FIGURES_HOUR, "INSERT OR REPLACE INTO figures(span_s, at_ms" FIGURES(FIGURE_COLUMN) ") SELECT 3600, ?1"       \
                    FIGURES(FIGURE_FOLD) " FROM figures WHERE span_s = 60 AND at_ms >= ?1 AND at_ms < ?1 + 3600000") \
    X(FIGURES_OLD, "DELETE FROM figures WHERE span_s = ?3 AND at_ms IN (SELECT at_ms FROM figures WHERE "           \
                   "span_s = ?3 AND at_ms < ?1 ORDER BY at_ms LIMIT ?2)")                                          \
    X(FIGURES_READ, "SELECT * FROM (SELECT at_ms" FIGURES(FIGURE_COLUMN) " FROM figures WHERE span_s = ?1 AND "     \
                    "at_ms >= ?2 ORDER BY at_ms DESC LIMIT ?3) ORDER BY at_ms")                                    \
    X(LOG_COUNTS_ROWS, "SELECT count(*) FROM log_counts WHERE hour_ms = ?1 AND peer <> ''")                        \
    X(LOG_COUNTS_ADD, "INSERT INTO log_counts(hour_ms, event, peer, level, count) VALUES(?1, ?2, ?3, ?4, ?5) "      \
                      "ON CONFLICT(hour_ms, event, peer) DO UPDATE SET count = count + ?5")                        \
    X(LOG_COUNTS_OLD, "DELETE FROM log_counts WHERE hour_ms IN (SELECT hour_ms FROM log_counts WHERE hour_ms < ?1 " \
                      "ORDER BY hour_ms LIMIT ?2)")                                                                \
    X(LOG_COUNTS_HOUR, "SELECT hour_ms, level, '', '', sum(count)" LOG_COUNTS_FROM "GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ?2") \
    X(LOG_COUNTS_DAY, "SELECT hour_ms - hour_ms % 86400000, level, '', '', sum(count)" LOG_COUNTS_FROM              \
                      "GROUP BY 1, 2 ORDER BY 1, 2 LIMIT ?2")                                                      \
    X(LOG_COUNTS_EVENT, "SELECT 0, level, event, '', sum(count)" LOG_COUNTS_FROM "GROUP BY 2, 3 ORDER BY 5 DESC, 3 LIMIT ?2") \
    X(LOG_COUNTS_PEER, "SELECT 0, level, '', peer, sum(count)" LOG_COUNTS_FROM "GROUP BY 4, 2 ORDER BY 5 DESC, 4, 2 LIMIT ?2") \
    X(LOG_COUNTS_ALL, "SELECT hour_ms, level, event, peer, count" LOG_COUNTS_FROM "ORDER BY 1 DESC, 5 DESC, 3, 4 LIMIT ?2") \
    /* peers, strangers, meta */                                                                                   \
    X(PEER_PUT, "INSERT INTO peers(peer, name, flags, last_seen_ms, record) VALUES(?1, ?2, ?3, ?4, ?5) "           \
                "ON CONFLICT(peer) DO UPDATE SET name = ?2, flags = ?3, last_seen_ms = ?4, record = ?5")           \
    X(PEER_DROP, "DELETE FROM peers WHERE peer = ?1")                                                              \
    X(PEERS_LOAD, "SELECT n, peer, last_seen_ms, flags, name, record FROM peers WHERE n > ?1 ORDER BY n")          \
    X(STRANGER, "INSERT INTO strangers(peer, first_ms, last_ms, tries) VALUES(?1, ?2, ?2, 1) "                     \
                "ON CONFLICT(peer) DO UPDATE SET last_ms = ?2, tries = tries + 1")                                 \
    X(STRANGERS_CUT, "DELETE FROM strangers WHERE peer IN (SELECT peer FROM strangers ORDER BY last_ms DESC, peer " \
                     "LIMIT -1 OFFSET ?1)")                                                                        \
    X(META_GET, "SELECT value FROM meta WHERE key = ?1")                                                           \
    X(META_PUT, "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2")
/* clang-format on */
#define STATEMENT_SYMBOL(name, sql) SQL_##name,
enum statement { STATEMENTS(STATEMENT_SYMBOL) SQL_COUNT };

#endif
