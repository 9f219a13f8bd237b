/* lib/store/db_figures.c: the node's figures by minute and hour, and how often each event was logged. */
#include "store/db_query.h"

#include "base/event.h"
#include "node/figures.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)

static const char *const names[FIGURE_COUNT] = {
#define FIGURE_NAME(symbol, name, fold) [FIGURE_##symbol] = name,
    FIGURES(FIGURE_NAME)};

static int64_t hour_of(int64_t ms) {
    return ms - ms % HOUR_MS;
}

static enum err put_minute(struct db *db, struct store_op *op, struct rd *r) {
    struct query q = query_open(db, SQL_FIGURES_ADD);
    bind_int(&q, 1, FIGURES_MINUTE_S);
    bind_int(&q, 2, op->when.ms);
    for (int i = 0; i < FIGURE_COUNT; i++) {
        int64_t v = (int64_t)rd_u64(r);
        if (v != FIGURE_UNKNOWN) bind_int(&q, 3 + i, v);
    }
    if (r->bad) {
        query_end(&q);
        return fail(&op->why, E_INPUT, "not all figures are there");
    }
    if (!query_run(&q)) return OK;
    q = query_open(db, SQL_FIGURES_HOUR);
    bind_int(&q, 1, hour_of(op->when.ms));
    query_run(&q);
    return OK;
}

/* Who makes up many peers does not fill the database: beyond the most rows of an hour events have no peer. */
static enum err put_counts(struct db *db, struct store_op *op, struct rd *r) {
    int64_t hour = hour_of(op->when.ms);
    struct query q = query_open(db, SQL_LOG_COUNTS_ROWS);
    bind_int(&q, 1, hour);
    int64_t rows = query_row(&q) ? column_int(&q, 0) : 0;
    query_end(&q);
    while (r->in.n > 0 && db->rc == SQLITE_OK) {
        uint16_t event = rd_u16(r);
        struct bytes peer = rd_take(r, rd_u8(r));
        uint32_t count = rd_u32(r);
        if (r->bad || event >= EVENT_COUNT) return fail(&op->why, E_INPUT, "no counts of events");
        if (rows >= LOG_COUNTS_PER_HOUR) peer.n = 0;
        rows += peer.n > 0; /* some of them are there already: the limit is a rough one */
        q = query_open(db, SQL_LOG_COUNTS_ADD);
        bind_int(&q, 1, hour);
        bind_str(&q, 2, event_rows[event].text);
        bind_text(&q, 3, peer);
        bind_str(&q, 4, log_level_name(event_rows[event].level));
        bind_int(&q, 5, count);
        query_run(&q);
    }
    return OK;
}

static void drop_old(struct db *db, enum statement which, int64_t span_s, int64_t before_ms) {
    struct query q = query_open(db, which);
    bind_int(&q, 1, before_ms);
    bind_int(&q, 2, DB_STEP_MAX);
    if (which == SQL_FIGURES_OLD) bind_int(&q, 3, span_s);
    query_run(&q);
}

enum err figures_add(struct db *db, struct store_op *op) {
    struct rd r = rd_of(buf_view(&op->in));
    if (op->when.ms < 0) return fail(&op->why, E_INPUT, "no such minute");
    enum err e = op->seq == FIGURES_COUNTS ? OK : put_minute(db, op, &r);
    if (e == OK) e = put_counts(db, op, &r);
    if (e != OK) return e;
    int64_t now = MAX(op->now.ms, (int64_t)0);
    drop_old(db, SQL_FIGURES_OLD, FIGURES_MINUTE_S, now - FIGURES_MINUTES_MS);
    drop_old(db, SQL_FIGURES_OLD, FIGURES_HOUR_S, now - FIGURES_HOURS_DAYS * DAY_MS);
    drop_old(db, SQL_LOG_COUNTS_OLD, 0, now - FIGURES_HOURS_DAYS * DAY_MS);
    return OK;
}

/* The next of a list of objects without brackets. */
static struct json_out item_begin(struct store_op *op) {
    bool good = op->count == 0 || buf_add_byte(&op->out, ',');
    struct json_out o = json_begin(&op->out);
    o.bad = !good;
    json_open(&o, NULL, '{');
    op->count++;
    return o;
}

static bool item_end(struct json_out *o) {
    json_shut(o, '}');
    return json_end(o);
}

/* The figures that a comma list names; all, when it is empty. */
static bool choose(struct bytes list, bool wanted[FIGURE_COUNT]) {
    for (int i = 0; i < FIGURE_COUNT; i++) wanted[i] = list.n == 0;
    for (bool more = list.n > 0; more;) {
        struct bytes name = bytes_take(&list, bytes_index(list, ','));
        int i = 0;
        more = bytes_take(&list, 1).n > 0; /* the comma */
        while (i < FIGURE_COUNT && !bytes_is(name, names[i])) i++;
        if (i == FIGURE_COUNT) return false;
        wanted[i] = true;
    }
    return true;
}

static bool put_item(struct store_op *op, const struct query *q, const bool wanted[FIGURE_COUNT]) {
    struct json_out item = item_begin(op), *o = &item;
    json_put_time(o, "at", column_int(q, 0));
    for (int i = 0; i < FIGURE_COUNT; i++) {
        if (!wanted[i]) continue;
        if (sqlite3_column_type(q->s, 1 + i) == SQLITE_NULL)
            json_put_null(o, names[i]);
        else
            json_put_int(o, names[i], column_int(q, 1 + i));
    }
    return item_end(o);
}

enum err figures_read(struct db *db, struct store_op *op) {
    if (op->seq != FIGURES_MINUTE_S && op->seq != FIGURES_HOUR_S)
        return fail(&op->why, E_INPUT, "figures are by 60 or 3600 seconds");
    bool good = true, wanted[FIGURE_COUNT];
    if (!choose(buf_view(&op->in), wanted)) return fail(&op->why, E_USAGE, "no figure has that name");
    struct query q = query_open(db, SQL_FIGURES_READ);
    bind_int(&q, 1, op->seq);
    bind_int(&q, 2, op->when.ms);
    bind_count(&q, 3, op->count == 0 ? DB_LIST_MAX : MIN(op->count, (uint64_t)DB_LIST_MAX));
    op->count = 0;
    while (good && query_row(&q)) good = put_item(op, &q, wanted);
    query_end(&q);
    return !good ? fail(&op->why, E_MEMORY, "out of memory for figures") : OK;
}

/* What is grouped by; and the columns of the statement's row that are shown. */
static const struct grouping {
    const char *by;
    enum statement sql;
    bool at, level, event, peer;
} groupings[] = {{"hour", SQL_LOG_COUNTS_HOUR, true, true, false, false},
                 {"day", SQL_LOG_COUNTS_DAY, true, true, false, false},
                 {"event", SQL_LOG_COUNTS_EVENT, false, true, true, false},
                 {"peer", SQL_LOG_COUNTS_PEER, false, true, false, true},
                 {"all", SQL_LOG_COUNTS_ALL, true, true, true, true}};

/* Columns: at, level, event, peer, count. */
enum err log_counts(struct db *db, struct store_op *op) {
    const struct grouping *g = NULL;
    for (size_t i = 0; i < LEN(groupings); i++)
        if (strcmp(groupings[i].by, op->text) == 0) g = &groupings[i];
    if (g == NULL) return fail(&op->why, E_USAGE, "counts are by hour, day, event, peer or all");
    bool good = true;
    struct query q = query_open(db, g->sql);
    bind_int(&q, 1, hour_of(MAX(op->when.ms, (int64_t)0)));
    bind_int(&q, 2, DB_LIST_MAX);
    op->count = 0;
    while (good && query_row(&q)) {
        struct json_out o = item_begin(op);
        if (g->at) json_put_time(&o, "at", column_int(&q, 0));
        if (g->level) json_put(&o, "level", column_bytes(&q, 1));
        if (g->event) json_put(&o, "event", column_bytes(&q, 2));
        if (g->peer && column_bytes(&q, 3).n == 0)
            json_put_null(&o, "peer");
        else if (g->peer)
            json_put(&o, "peer", column_bytes(&q, 3));
        json_put_int(&o, "count", column_int(&q, 4));
        good = item_end(&o);
    }
    query_end(&q);
    return !good ? fail(&op->why, E_MEMORY, "out of memory for counts") : OK;
}
