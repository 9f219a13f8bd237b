/* lib/store/db_peers.c: what the node knows of others (opaque records), strangers that were denied, and
 * single values. */
#include "store/db_query.h"

enum { PEER_RECORD_MAX = 64 << 10, META_VALUE_MAX = 1 << 20 };

static struct bytes text_of(const struct store_op *op) {
    return bytes_at(op->text, strnlen(op->text, sizeof(op->text)));
}

enum err peer_put(struct db *db, struct store_op *op) {
    char peer[PEER_TEXT_MAX];
    if (op->peer.n == 0) return fail(&op->why, E_INPUT, "no peer");
    if (op->in.n > PEER_RECORD_MAX)
        return fail(&op->why, E_LIMIT, "a peer's record has at most %d bytes", PEER_RECORD_MAX);
    peer_to_text(&op->peer, peer);
    struct query q = query_open(db, SQL_PEER_PUT);
    bind_str(&q, 1, peer);
    bind_text(&q, 2, text_of(op));
    bind_int(&q, 3, op->flags);
    bind_int(&q, 4, op->when.ms);
    bind_bytes(&q, 5, buf_view(&op->in));
    query_run(&q);
    return OK;
}

enum err peer_drop(struct db *db, struct store_op *op) {
    char peer[PEER_TEXT_MAX];
    peer_to_text(&op->peer, peer);
    struct query q = query_open(db, SQL_PEER_DROP);
    bind_str(&q, 1, peer);
    if (query_run(&q) && sqlite3_changes(db->sql) == 0) return fail(&op->why, E_NOT_FOUND, "no such peer");
    return OK;
}

enum err peers_load(struct db *db, struct store_op *op) {
    struct query q = query_open(db, SQL_PEERS_LOAD);
    bind_int(&q, 1, op->seq);
    enum err e = OK;
    op->count = 0;
    while (e == OK && query_row(&q)) {
        struct peer_id peer;
        struct bytes name = column_bytes(&q, 4), record = column_bytes(&q, 5);
        if (!column_peer(&q, 1, &peer) || name.n >= sizeof(op->text) || record.n > PEER_RECORD_MAX) continue;
        op->more = buf_room(&op->out) < 32 + (size_t)peer.n + name.n + record.n; /* 32: lengths and numbers */
        if (op->more) break;
        bool done = wr_u8(&op->out, peer.n) && buf_add(&op->out, peer_id_view(&peer)) &&
                    wr_u64(&op->out, (uint64_t)column_int(&q, 2)) &&
                    wr_u32(&op->out, (uint32_t)column_int(&q, 3)) && wr_u16(&op->out, (uint16_t)name.n) &&
                    buf_add(&op->out, name) && wr_u32(&op->out, (uint32_t)record.n) &&
                    buf_add(&op->out, record);
        if (!done) e = fail(&op->why, E_MEMORY, "out of memory for known peers");
        op->seq = column_int(&q, 0);
        op->count++;
    }
    query_end(&q);
    return e;
}

enum err stranger(struct db *db, struct store_op *op) {
    char peer[PEER_TEXT_MAX];
    if (op->peer.n == 0) return fail(&op->why, E_INPUT, "no peer");
    peer_to_text(&op->peer, peer);
    struct query q = query_open(db, SQL_STRANGER);
    bind_str(&q, 1, peer);
    bind_int(&q, 2, op->now.ms);
    query_run(&q);
    q = query_open(db, SQL_STRANGERS_CUT);
    bind_count(&q, 1, op->limits[0]);
    query_run(&q);
    return OK;
}

enum err meta_get(struct db *db, struct store_op *op) {
    struct query q = query_open(db, SQL_META_GET);
    bind_text(&q, 1, text_of(op));
    bool there = query_row(&q);
    bool done = there && buf_add(&op->out, column_bytes(&q, 0));
    query_end(&q);
    if (!there) return fail(&op->why, E_NOT_FOUND, "no value has this name");
    return done ? OK : fail(&op->why, E_MEMORY, "out of memory");
}

enum err meta_put(struct db *db, struct store_op *op) {
    if (text_of(op).n == 0 || bytes_is(text_of(op), "schema_needs"))
        return fail(&op->why, E_INPUT, "no name to store under");
    if (op->in.n > META_VALUE_MAX)
        return fail(&op->why, E_LIMIT, "a value has at most %d bytes", META_VALUE_MAX);
    struct query q = query_open(db, SQL_META_PUT);
    bind_text(&q, 1, text_of(op));
    bind_bytes(&q, 2, buf_view(&op->in));
    query_run(&q);
    return OK;
}
