#include "ops/outbox.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "loop/clocks.h"
#include "loop/lock.h"
#include "store/db.h"
#include "store/spool.h"

enum { ID_PART_MIN = 6 };

struct offline {
    struct lock lock;
    struct db *db; /* NULL: the node never ran */
    bool as_owner;
};

static enum err begin(struct cli *c, struct offline *f) {
    char path[PATH_SIZE];
    struct file_facts facts;
    *f = (struct offline){.lock = {.fd = -1}};
    if (!home_exists(&c->home))
        return fail(&c->why, E_NOT_RUNNING, "the node is not running, and has no home");
    enum err e = cli_config(c);
    if (e != OK) return e;
    f->as_owner = home_as_owner(&c->home);
    const char *data = cfg(c->config, node_data).text;
    int n = snprintf(path, sizeof path, "%s/silktalk.db", data);
    if (n < 0 || n >= PATH_SIZE) return fail(&c->why, E_INPUT, "node.data: the path is too long");
    e = lock_take(&f->lock, c->home.dir, data, "outbox", c->timeout_ms, "daemon", NULL, &c->why);
    if (e == E_NOT_FOUND) return OK; /* no data folder yet: there may be a spool */
    if (e == OK && file_facts(path, &facts, NULL) == E_NOT_FOUND) return OK;
    struct store_setup setup = {.path = path,
                                .cache_bytes = cfg(c->config, database_cacheSize).count,
                                .max_bytes = cfg(c->config, database_maxSize).count};
    return e == OK ? db_open(&f->db, &setup, &c->why) : e;
}

static void end(struct offline *f) {
    db_close(f->db);
    lock_release(&f->lock);
    if (f->as_owner) home_as_self();
}

static enum err run(struct cli *c, struct offline *f, struct store_op *op) {
    if (f->db == NULL) return fail(&c->why, E_NOT_FOUND, "there is no such message");
    db_run(f->db, op);
    if (op->err != OK) c->why = op->why;
    return op->err;
}

/* ---- the spool: a line of JSON, then the frame */

struct entry {
    char id[2 * MESSAGE_ID + 1];
    struct message_frame frame;
    struct json_doc *head;
    struct buf text;
};

static void entry_free(struct entry *e) {
    json_free(e->head);
    buf_free(&e->text);
}

static bool entry_read(const char *path, struct entry *e) {
    *e = (struct entry){.text = {.max = SPOOL_FILE_MAX}};
    struct bytes rest, line, frame;
    bool whole = false;
    size_t need;
    if (file_read(path, FILE_NO_LINK, SPOOL_FILE_MAX, FILE_ANY_MODE, &e->text, NULL, NULL) != OK)
        return false;
    rest = buf_view(&e->text);
    if (!bytes_split(&rest, '\n', &line) || line.n > SPOOL_LINE_MAX) return false;
    e->head = json_parse(line, NULL);
    if (e->head == NULL || message_frame_next(&rest, &frame, &whole, &need) != OK || !whole) return false;
    if (message_frame_read(frame, &e->frame, NULL) != OK || e->frame.kind != FRAME_MESSAGE) return false;
    struct buf id = {(uint8_t *)e->id, 0, sizeof e->id, sizeof e->id - 1}; /* the rest is 0 already */
    return hex_encode(&id, bytes_at(e->frame.message.id, MESSAGE_ID));
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Calls `each` for every entry, in the order of writing; ends when it says so. */
static enum err each_entry(struct cli *c, bool (*each)(const char *path, const struct entry *e, void *user),
                           void *user) {
    uint64_t most = c->config->limits[LIMIT_SPOOL] + 1;
    char path[PATH_SIZE + 300], **names = mem_new((size_t)most, sizeof *names);
    size_t n = 0;
    bool more = true;
    DIR *d = opendir(c->home.spool);
    if (names == NULL) {
        if (d != NULL) closedir(d);
        return fail(&c->why, E_MEMORY, "out of memory");
    }
    for (struct dirent *f; d != NULL && n < most && (f = readdir(d)) != NULL;)
        if (f->d_name[0] != '.' && bytes_ends(bytes_of(f->d_name), ".msg") &&
            (names[n] = mem_text(f->d_name, strlen(f->d_name))) != NULL)
            n++;
    if (d != NULL) closedir(d);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        struct entry e;
        snprintf(path, sizeof path, "%s/%s", c->home.spool, names[i]);
        if (more && entry_read(path, &e)) {
            more = each(path, &e, user);
            entry_free(&e);
        }
        mem_free(names[i]);
    }
    mem_free(names);
    return OK;
}

static bool put_entry(const char *path, const struct entry *e, void *user) {
    struct json_out *o = user;
    const struct message *m = &e->frame.message;
    (void)path;
    json_open(o, NULL, '{');
    json_put_str(o, "id", e->id);
    json_put(o, "peer_id", json_get_bytes(json_root(e->head), "peer"));
    json_put_null(o, "name");
    json_put_str(o, "state", "spooled");
    json_put_uint(o, "bytes", m->body.n);
    json_put_wall(o, "created", (struct wall){(int64_t)m->sent_ms});
    json_put_int(o, "tries", 0);
    json_put_null(o, "next_try");
    json_put_null(o, "last_error");
    json_put_wall(o, "expires", (struct wall){(int64_t)m->expires_ms});
    json_shut(o, '}');
    return true;
}

struct wanted {
    struct bytes id;
    char path[PATH_SIZE + 300];
    size_t found;
};

static bool look(const char *path, const struct entry *e, void *user) {
    struct wanted *w = user;
    struct bytes id = bytes_of(e->id);
    bool fits = w->id.n >= ID_PART_MIN && w->id.n <= id.n &&
                (bytes_eq(bytes_sub(id, 0, w->id.n), w->id) ||
                 bytes_eq(bytes_skip(id, id.n - w->id.n), w->id));
    if (fits && w->found++ == 0) snprintf(w->path, sizeof w->path, "%s", path);
    return true;
}

/* ---- answers */

static enum err answer(struct cli *c, struct buf *line, struct json_out *o, struct json_doc **out) {
    json_shut(o, '}');
    *out = json_end(o) ? json_parse(buf_view(line), &c->why) : NULL;
    buf_free(line);
    return *out == NULL ? fail(&c->why, E_MEMORY, "out of memory") : OK;
}

static struct json_out open_answer(struct buf *line, const char *schema) {
    *line = (struct buf){.max = 32 << 20};
    struct json_out o = json_begin(line);
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", schema);
    return o;
}

enum err outbox_offline_list(struct cli *c, size_t most, struct json_doc **out) {
    struct offline f;
    struct buf line;
    struct store_op *op = store_op_new(STORE_OUTBOX_LIST);
    struct json_doc *rows = NULL;
    enum err e = op == NULL ? fail(&c->why, E_MEMORY, "out of memory") : begin(c, &f);
    if (op == NULL) return e;
    op->count = most;
    if (e == OK && f.db != NULL) e = run(c, &f, op);
    if (e == OK && f.db != NULL) {
        struct buf text = {.max = 20 << 20};
        if (buf_add_text(&text, "[") && buf_add(&text, buf_view(&op->out)) && buf_add_text(&text, "]"))
            rows = json_parse(buf_view(&text), &c->why);
        buf_free(&text);
    }
    if (e == OK) {
        struct json_out o = open_answer(&line, "silktalk.outbox/1");
        json_open(&o, "items", '[');
        const struct json *list = rows == NULL ? NULL : json_root(rows);
        for (size_t i = 0; i < json_count(list); i++) json_put_value(&o, NULL, json_at(list, i));
        e = each_entry(c, put_entry, &o);
        json_shut(&o, ']');
        json_put_null(&o, "next");
        enum err done = answer(c, &line, &o, out);
        if (e == OK) e = done;
    }
    end(&f);
    json_free(rows);
    store_op_free(op);
    return e;
}

enum err outbox_offline_retry(struct cli *c, const char *id, struct json_doc **out) {
    struct offline f;
    struct buf line;
    struct rng rng;
    struct store_op *op = store_op_new(STORE_OUTBOX_RETRY);
    enum err e = op == NULL ? fail(&c->why, E_MEMORY, "out of memory") : begin(c, &f);
    if (op == NULL) return e;
    uint64_t count = 0;
    rng_system(&rng);
    if (e == OK && id != NULL && !buf_add_text(&op->in, id)) e = fail(&c->why, E_MEMORY, "out of memory");
    bool more = e == OK && (f.db != NULL || id != NULL);
    while (more) {
        rng_fill(&rng, op->random, sizeof op->random);
        op->now = clocks_now().wall;
        op->when.ms = op->now.ms + cfg(c->config, messages_expiry).ms;
        op->limits[0] = c->config->limits[LIMIT_OUTBOX];
        op->limits[1] = c->config->limits[LIMIT_OUTBOX_BYTES];
        op->limits[2] = c->config->limits[LIMIT_OUTBOX_PER_PEER];
        e = run(c, &f, op);
        if (e == OK) count += op->count;
        more = e == OK && op->more;
    }
    rng_wipe(&rng);
    if (e == OK) {
        struct json_out o = open_answer(&line, "silktalk.outbox.retry/1");
        json_put_uint(&o, "count", count);
        e = answer(c, &line, &o, out);
    }
    end(&f);
    store_op_free(op);
    return e;
}

enum err outbox_offline_cancel(struct cli *c, const char *id, struct json_doc **out) {
    struct offline f;
    struct buf line;
    struct wanted wanted = {.id = bytes_of(id)};
    struct store_op *op = store_op_new(STORE_OUTBOX_CANCEL);
    enum err e = op == NULL ? fail(&c->why, E_MEMORY, "out of memory") : begin(c, &f);
    if (op == NULL) return e;
    if (e == OK) e = each_entry(c, look, &wanted);
    if (e == OK && wanted.found > 1)
        e = fail(&c->why, E_INPUT, "%.40s fits several messages of the spool", id);
    else if (e == OK && wanted.found == 1)
        e = file_remove(wanted.path, &c->why);
    else if (e == OK)
        e = buf_add_text(&op->in, id) ? run(c, &f, op) : fail(&c->why, E_MEMORY, "out of memory");
    if (e == OK) {
        struct json_out o = open_answer(&line, "silktalk.outbox.cancel/1");
        e = answer(c, &line, &o, out);
    }
    end(&f);
    store_op_free(op);
    return e;
}
