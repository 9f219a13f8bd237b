/* Figures and counts of events in the database. */
#include "base/event.h"
#include "node/figures.h"
#include "tests/store/help.h"

#define MINUTE INT64_C(60000)
#define HOUR INT64_C(3600000)
#define BEGIN (NOW_MS - NOW_MS % HOUR)

static void put_figures(struct store_op *op, int64_t at, int64_t messages, int64_t connections,
                        int64_t most) {
    op->when.ms = at;
    op->now.ms = at + MINUTE;
    for (int i = 0; i < FIGURE_COUNT; i++) {
        int64_t v = FIGURE_UNKNOWN;
        if (i == FIGURE_MESSAGES_IN) v = messages;
        if (i == FIGURE_CONNECTIONS) v = connections;
        if (i == FIGURE_CONNECTIONS_MAX) v = most;
        CHECK(wr_u64(&op->in, (uint64_t)v));
    }
}

static void put_count(struct store_op *op, enum event event, const char *peer, uint32_t count) {
    CHECK(wr_u16(&op->in, (uint16_t)event) && wr_u8(&op->in, (uint8_t)strlen(peer)) &&
          buf_add_text(&op->in, peer) && wr_u32(&op->in, count));
}

static void run_good(struct db *db, struct store_op *op) {
    db_run(db, op);
    CHECK(op->err == OK, "%s", op->why.text);
    op_end(op);
}

static void minute(struct db *db, int64_t at, int64_t messages, int64_t connections, int64_t most) {
    struct store_op op = op_of(STORE_FIGURES_ADD);
    put_figures(&op, at, messages, connections, most);
    run_good(db, &op);
}

static struct json_doc *figures(struct db *db, int64_t span, int64_t since, uint64_t count) {
    struct store_op op = op_of(STORE_FIGURES);
    op.seq = span;
    op.when.ms = since;
    op.count = count;
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    CHECK(op.count == json_count(json_root(doc)));
    op_end(&op);
    return doc;
}

static int64_t figure(const struct json_doc *doc, size_t row, const char *name) {
    return json_get_int(json_at(json_root(doc), row), name, -1);
}

TEST(figures_columns_are_those_of_the_table) {
    static const char *const names[] = {
#define NAME(symbol, name, fold) name,
        FIGURES(NAME)};
    struct db *db = open_in(test_dir());
    for (size_t i = 0; i < LEN(names); i++) {
        char text[100];
        snprintf(text, sizeof text, "SELECT %s FROM figures", names[i]);
        sql(db, text);
    }
    sqlite3_stmt *s = NULL;
    CHECK(sqlite3_prepare_v2(db->sql, "SELECT count(*) FROM pragma_table_info('figures')", -1, &s, NULL) ==
          SQLITE_OK);
    CHECK(sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == FIGURE_COUNT + 2);
    sqlite3_finalize(s);
    db_close(db);
}

TEST(figures_come_with_an_older_database) {
    const char *dir = test_dir();
    struct db *db = open_in(dir);
    sql(db, "DROP TABLE figures; DROP TABLE log_counts; PRAGMA user_version = 2");
    db_close(db);
    db = open_in(dir);
    minute(db, BEGIN, 1, 2, 3);
    check_db(db);
    db_close(db);
}

TEST(figures_minutes_become_an_hour) {
    struct db *db = open_in(test_dir());
    minute(db, BEGIN + MINUTE, 5, 10, 12);
    minute(db, BEGIN + 2 * MINUTE, 7, 20, 40);
    minute(db, BEGIN + 59 * MINUTE, FIGURE_UNKNOWN, FIGURE_UNKNOWN, FIGURE_UNKNOWN);
    minute(db, BEGIN + HOUR, 1, 1, 1);
    struct json_doc *doc = figures(db, 3600, 0, 0);
    CHECK(json_count(json_root(doc)) == 2);
    CHECK(figure(doc, 0, "messages_in") == 12 && figure(doc, 0, "connections") == 15 &&
          figure(doc, 0, "connections_max") == 40 && figure(doc, 1, "messages_in") == 1);
    CHECK(json_is_null(json_get(json_at(json_root(doc), 0), "fds")));
    json_free(doc);
    doc = figures(db, 60, BEGIN + 2 * MINUTE, 0);
    CHECK(json_count(json_root(doc)) == 3 && figure(doc, 0, "messages_in") == 7 &&
          figure(doc, 1, "messages_in") == -1);
    json_free(doc);
    doc = figures(db, 60, 0, 2); /* the newest, oldest first */
    CHECK(json_count(json_root(doc)) == 2 && figure(doc, 1, "messages_in") == 1);
    json_free(doc);
    db_close(db);
}

TEST(figures_of_one_minute_in_two_parts) { /* the node was restarted in it */
    struct db *db = open_in(test_dir());
    minute(db, BEGIN, 5, 10, 40);
    minute(db, BEGIN, 7, 20, 30);
    minute(db, BEGIN, FIGURE_UNKNOWN, FIGURE_UNKNOWN, FIGURE_UNKNOWN);
    struct json_doc *doc = figures(db, 60, 0, 0);
    CHECK(json_count(json_root(doc)) == 1 && figure(doc, 0, "messages_in") == 12);
    CHECK(figure(doc, 0, "connections") == 20 && figure(doc, 0, "connections_max") == 40);
    json_free(doc);
    db_close(db);
}

TEST(figures_go_with_time) {
    struct db *db = open_in(test_dir());
    for (int64_t i = 0; i < 60; i++) minute(db, BEGIN + i * MINUTE, 1, 1, 1);
    minute(db, BEGIN + FIGURES_MINUTES_MS + 30 * MINUTE, 1, 1, 1);
    struct json_doc *doc = figures(db, 60, 0, 0);
    CHECK(json_count(json_root(doc)) == 30, "%zu", json_count(json_root(doc))); /* 31..59, and the new one */
    json_free(doc);
    minute(db, BEGIN + FIGURES_HOURS_DAYS * 24 * HOUR + HOUR, 1, 1, 1);
    doc = figures(db, 3600, 0, 0);
    CHECK(json_count(json_root(doc)) == 2 && figure(doc, 0, "messages_in") == 1);
    json_free(doc);
    db_close(db);
}

TEST(figures_cut_short_change_nothing) {
    struct db *db = open_in(test_dir());
    struct store_op whole = op_of(STORE_FIGURES_ADD);
    put_figures(&whole, BEGIN, 1, 2, 3);
    size_t figures_end = whole.in.n;
    put_count(&whole, EV_PEER_CONNECTED, "A", 4);
    for (size_t n = 0; n < whole.in.n; n++) {
        struct store_op op = op_of(STORE_FIGURES_ADD);
        op.when.ms = BEGIN;
        CHECK(buf_add(&op.in, bytes_sub(buf_view(&whole.in), 0, n)));
        db_run(db, &op);
        CHECK(n == figures_end ? op.err == OK : op.err == E_INPUT, "%zu: %s", n, err_name(op.err));
        if (n == figures_end) sql(db, "DELETE FROM figures");
        op_end(&op);
    }
    struct json_doc *doc = figures(db, 60, 0, 0);
    CHECK(json_count(json_root(doc)) == 0);
    json_free(doc);
    put_count(&whole, EVENT_COUNT, "", 1); /* no such event */
    db_run(db, &whole);
    CHECK(whole.err == E_INPUT);
    op_end(&whole);
    struct store_op op = op_of(STORE_FIGURES);
    op.seq = 61;
    db_run(db, &op);
    CHECK(op.err == E_INPUT);
    op_end(&op);
    db_close(db);
}

static struct json_doc *counts(struct db *db, const char *by, int64_t since) {
    struct store_op op = op_of(STORE_LOG_COUNTS);
    op.when.ms = since;
    snprintf(op.text, sizeof op.text, "%s", by);
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    op_end(&op);
    return doc;
}

static void add_counts(struct db *db, int64_t at) {
    struct store_op op = op_of(STORE_FIGURES_ADD);
    put_figures(&op, at, 1, 1, 1);
    put_count(&op, EV_PEER_CONNECTED, "A", 2);
    put_count(&op, EV_PEER_CONNECTED, "B", 3);
    put_count(&op, EV_SLOW_TURN, "", 4);
    run_good(db, &op);
}

TEST(log_counts_by_what_one_asks_for) {
    struct db *db = open_in(test_dir());
    int64_t day = BEGIN - BEGIN % (24 * HOUR);
    add_counts(db, day);
    add_counts(db, day + MINUTE);
    add_counts(db, day + HOUR);
    add_counts(db, day + 24 * HOUR);
    static const struct {
        const char *by;
        int64_t after;
        size_t rows;
        int64_t first;
    } rows[] = {{"hour", 0, 6, 10}, {"day", 0, 4, 15},      {"event", 0, 2, 20},      {"peer", 0, 3, 16},
                {"all", 0, 9, 4},   {"event", HOUR, 2, 10}, {"day", 25 * HOUR, 0, -1}};
    for (size_t i = 0; i < LEN(rows); i++) {
        struct json_doc *doc = counts(db, rows[i].by, day + rows[i].after);
        CHECK(json_count(json_root(doc)) == rows[i].rows && figure(doc, 0, "count") == rows[i].first,
              "row %zu: %zu rows, first %lld", i, json_count(json_root(doc)),
              (long long)figure(doc, 0, "count"));
        json_free(doc);
    }
    struct json_doc *doc = counts(db, "peer", 0);
    CHECK(json_is_null(json_get(json_at(json_root(doc), 0), "peer"))); /* of nobody */
    json_free(doc);
    struct store_op op = op_of(STORE_LOG_COUNTS);
    snprintf(op.text, sizeof op.text, "nonsense");
    db_run(db, &op);
    CHECK(op.err == E_USAGE);
    op_end(&op);
    minute(db, day + 40 * 24 * HOUR, 1, 1, 1); /* too old now */
    doc = counts(db, "all", 0);
    CHECK(json_count(json_root(doc)) == 0);
    json_free(doc);
    db_close(db);
}

TEST(log_counts_of_many_peers_stay_small) {
    struct db *db = open_in(test_dir());
    for (int round = 0; round < 3; round++) {
        struct store_op op = op_of(STORE_FIGURES_ADD);
        put_figures(&op, BEGIN + round * MINUTE, 1, 1, 1);
        for (int i = 0; i < 400; i++) {
            char peer[32];
            snprintf(peer, sizeof peer, "peer-%d-%d", round, i);
            put_count(&op, EV_ACCESS_FAILED, peer, 1);
        }
        run_good(db, &op);
    }
    struct json_doc *doc = counts(db, "all", 0);
    size_t n = json_count(json_root(doc));
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += figure(doc, i, "count");
    CHECK(n == LOG_COUNTS_PER_HOUR + 1 && sum == 1200, "%zu rows, %lld", n, (long long)sum);
    json_free(doc);
    db_close(db);
}
