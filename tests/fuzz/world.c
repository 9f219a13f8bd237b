#include "tests/fuzz/world.h"

#include "base/json.h"
#include "proto/file.h"

#include <fcntl.h>
#include <unistd.h>

enum { FILE_BYTES = 100 }; /* of a file that the node is to send */

static struct config *config_of(const char *ini) {
    static const struct config_home home = {
        .home = "/h", .socket = "/h/control.sock", .hostname = "host", .socketmode = "0600"};
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    struct why w = {OK, ""};
    MUST(config_builder_add(b, "x", bytes_of(ini), &w) == OK && config_builder_finish(b, &c, &w) == OK);
    config_builder_free(b);
    return c;
}

bool world_begin(struct world *w, const char *ini, bool private, bool by_hand) {
    static struct identity made[1 + WORLD_WHO];
    if (made[0].peer.n == 0) {
        struct rng rng = rng_seeded(3);
        for (size_t i = 0; i < LEN(made); i++) identity_make(&made[i], &rng);
    }
    memset(w, 0, sizeof *w);
    w->self = made[0];
    for (size_t i = 0; i < WORLD_WHO; i++) w->who[i] = made[1 + i];
    memset(w->swarm_key, 7, sizeof w->swarm_key);
    w->private = private;
    w->fail_after = w->fail_tick = w->fail_stored = -1;
    w->by_hand = by_hand;
    w->now = (struct clocks){{1000000}, {1790000000000}};
    log_init(&w->log, LEVEL_DEBUG, LOG_TEXT);
    w->log.now = w->now;
    struct buf text = {.max = 4096};
    world_text(w, bytes_of(ini), &text);
    struct node_setup setup = {.self = &w->self, .swarm_key = private ? w->swarm_key : NULL};
    setup.config = config_of(buf_cstr(&text));
    setup.log = &w->log;
    setup.rng = rng_seeded(5);
    setup.now = w->now;
    setup.version = "0";
    setup.home = "/h";
    setup.pid = 1;
    w->node = node_new(&setup);
    buf_free(&text);
    return w->node != NULL;
}

static void forget(struct world *w, size_t i) {
    buf_free(&w->kept[i].frame);
    w->kept[i] = w->kept[--w->n_kept];
}

void world_end(struct world *w) {
    node_free(w->node);
    for (size_t i = 0; i < WORLD_FARS; i++) far_end(&w->fars[i]);
    for (size_t i = 0; i < w->n_ops; i++) {
        if (w->ops[i]->fd >= 0) close(w->ops[i]->fd);
        store_op_free(w->ops[i]);
    }
    while (w->n_kept > 0) forget(w, 0);
    buf_free(&w->file.offer);
    log_free(&w->log);
}

/* ---- the store */

static struct kept *keep(struct world *w, const struct store_op *op, bool inbox) {
    if (w->n_kept == WORLD_MESSAGES) forget(w, 0);
    struct kept *k = &w->kept[w->n_kept++];
    *k = (struct kept){.peer = op->peer, .seq = ++w->last_seq, .inbox = inbox, .frame = {.max = 8 << 20}};
    memcpy(k->id, op->id, MESSAGE_ID);
    memcpy(w->last_id, op->id, MESSAGE_ID);
    MUST(buf_add(&k->frame, buf_view(&op->in)));
    return k;
}

static void rows(struct world *w, struct store_op *op, bool inbox) {
    for (size_t i = 0; i < w->n_kept; i++) {
        const struct kept *k = &w->kept[i];
        if (k->inbox != inbox || k->seq <= op->seq) continue;
        if (!inbox && !peer_id_eq(&k->peer, &op->peer)) continue;
        wr_u64(&op->out, (uint64_t)k->seq);
        if (inbox) {
            wr_u8(&op->out, k->peer.n);
            buf_add(&op->out, peer_id_view(&k->peer));
            wr_u64(&op->out, (uint64_t)w->now.wall.ms);
            wr_u8(&op->out, 0);
        } else {
            wr_u64(&op->out, 0);
        }
        wr_u32(&op->out, (uint32_t)k->frame.n);
        buf_add(&op->out, buf_view(&k->frame));
    }
    if (inbox) op->seq = w->last_seq;
}

static void drop_row(struct world *w, int64_t seq) {
    for (size_t i = 0; i < w->n_kept; i++)
        if (w->kept[i].seq == seq) {
            forget(w, i);
            return;
        }
}

static void read_newest(struct world *w, struct store_op *op) {
    for (size_t i = w->n_kept; i > 0; i--) {
        const struct kept *k = &w->kept[i - 1];
        if (!k->inbox) continue;
        op->peer = k->peer;
        op->seq = k->seq;
        op->when = w->now.wall;
        memcpy(op->id, k->id, MESSAGE_ID);
        buf_add(&op->out, buf_view(&k->frame));
        return;
    }
    op->err = fail(&op->why, E_NOT_FOUND, "no message has this id");
}

/* Files: the store knows one, the last that was added or offered. */
static void keep_file(struct world *w, struct store_op *op) {
    struct kept_file *f = &w->file;
    struct file_offer o;
    struct why why;
    enum err e = file_offer_read(buf_view(&op->in), &o, &why);
    MUST(e == OK || op->kind == STORE_FILE_OFFER); /* what our user sends is checked before */
    buf_free(&f->offer);
    *f = (struct kept_file){.peer = op->peer, .seq = ++w->last_seq, .size = FILE_BYTES};
    f->offer.max = 1 << 16;
    if (op->kind == STORE_FILE_OFFER) f->size = o.size;
    f->ours = op->kind == STORE_FILE_ADD;
    memcpy(f->id, o.id, MESSAGE_ID);
    memcpy(w->last_id, o.id, MESSAGE_ID);
    MUST(buf_add(&f->offer, buf_view(&op->in)));
    op->seq = f->seq;
    op->bytes = f->size;
    op->count = op->kind == STORE_FILE_ADD ? f->size : 0;
}

/* As it goes to the peer: with hash and size. */
static void offer_of(const struct world *w, struct buf *out) {
    struct file_offer o;
    struct buf framed = {.max = FILE_FRAME_MAX + 8};
    if (file_offer_read(buf_view(&w->file.offer), &o, NULL) != OK) return;
    o.has_hash = true;
    o.size = w->file.size;
    MUST(file_offer_write(&framed, &o));
    struct rd r = rd_of(buf_view(&framed));
    buf_add(out, rd_lp(&r, FILE_FRAME_MAX));
    buf_free(&framed);
}

static void file_row(const struct world *w, struct store_op *op) {
    op->peer = w->file.peer;
    op->seq = w->file.seq;
    op->bytes = w->file.size;
    op->count = 0;
    memcpy(op->id, w->file.id, MESSAGE_ID);
}

/* What is to be sent, as a row behind op->seq. */
static void file_queue(const struct world *w, struct store_op *op) {
    const struct kept_file *f = &w->file;
    if (!f->ours || f->seq <= op->seq) return;
    struct buf offer = {.max = FILE_FRAME_MAX};
    offer_of(w, &offer);
    wr_u64(&op->out, (uint64_t)f->seq);
    wr_u8(&op->out, f->peer.n);
    buf_add(&op->out, peer_id_view(&f->peer));
    wr_u64(&op->out, 0);
    wr_u64(&op->out, f->size);
    wr_u16(&op->out, (uint16_t)offer.n);
    buf_add(&op->out, buf_view(&offer));
    buf_free(&offer);
    op->seq = f->seq;
}

static void answer_file(struct world *w, struct store_op *op) {
    static const uint8_t zeros[FILE_SLICE];
    switch ((int)op->kind) {
    case STORE_FILE_ADD:
    case STORE_FILE_OFFER: keep_file(w, op); break;
    case STORE_FILE_COPY:
        file_row(w, op);
        offer_of(w, &op->out);
        break;
    case STORE_FILE_READ:
        MUST(op->bytes <= FILE_SLICE);
        buf_add(&op->out, bytes_at(zeros, op->bytes));
        break;
    case STORE_FILE_WRITE:
        MUST(op->in.n <= FILE_SLICE);
        op->count += op->in.n;
        break;
    case STORE_FILE_CHECK:
        file_row(w, op);
        op->status = RECEIPT_STORED;
        break;
    case STORE_FILE_ACCEPT: file_row(w, op); break;
    case STORE_FILE_CANCEL:
        file_row(w, op);
        op->flags |= w->file.ours ? FILE_OUT : 0;
        break;
    case STORE_FILE_QUEUE: file_queue(w, op); break;
    case STORE_FILE_OPEN:
        op->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        buf_add_text(&op->out, "{\"id\":1}");
        break;
    default: break;
    }
}

static void answer_well(struct world *w, struct store_op *op) {
    op->err = OK;
    if (op->kind >= STORE_FILE_ADD && op->kind <= STORE_FILE_LIST) {
        answer_file(w, op);
        return;
    }
    switch ((int)op->kind) {
    case STORE_OUTBOX_ADD: op->seq = keep(w, op, false)->seq; break;
    case STORE_OUTBOX_LOAD: rows(w, op, false); break;
    case STORE_OUTBOX_DONE:
    case STORE_OUTBOX_FAILED: drop_row(w, op->seq); break;
    case STORE_INBOX_ADD:
        op->status = RECEIPT_STORED;
        op->seq = keep(w, op, true)->seq;
        break;
    case STORE_INBOX_AFTER: rows(w, op, true); break;
    case STORE_INBOX_READ: read_newest(w, op); break;
    case STORE_TOTALS: buf_add_text(&op->out, "{\"messages_in\":1,\"outbox\":2,\"latency_p95_ms\":3}"); break;
    case STORE_OUTBOX_CANCEL:
        for (size_t i = 0; i < w->n_kept; i++)
            if (!w->kept[i].inbox) {
                op->peer = w->kept[i].peer;
                op->seq = w->kept[i].seq;
                drop_row(w, op->seq);
                return;
            }
        op->err = fail(&op->why, E_NOT_FOUND, "no message has this id");
        break;
    default: op->count = 0; break;
    }
}

/* A descriptor that comes with an operation is the store's from then on. */
static void close_descriptor(struct store_op *op) {
    if (op->fd >= 0) close(op->fd);
    op->fd = -1;
}

static struct store_op *take_op(struct world *w, size_t i) {
    struct store_op *op = w->ops[i];
    close_descriptor(op);
    memmove(&w->ops[i], &w->ops[i + 1], (--w->n_ops - i) * sizeof w->ops[0]);
    return op;
}

static void give_back(struct world *w, struct store_op *op) {
    mem_fail_after(w->fail_stored);
    w->fail_stored = -1;
    node_stored(w->node, op);
    mem_fail_after(-1);
}

void world_store(struct world *w, size_t i) {
    if (w->n_ops == 0) return;
    struct store_op *op = take_op(w, i % w->n_ops);
    answer_well(w, op);
    give_back(w, op);
}

void world_store_badly(struct world *w, size_t i, enum err error, struct bytes out) {
    if (w->n_ops == 0) return;
    struct store_op *op = take_op(w, i % w->n_ops);
    answer_well(w, op);
    bool json = op->kind == STORE_OUTBOX_LIST || op->kind == STORE_INBOX_LIST ||
                op->kind == STORE_FILE_LIST || op->kind == STORE_FILE_OPEN || op->kind == STORE_TOTALS;
    if (json && error == OK) out.n = 0; /* ready JSON of the store's own: never anything else */
    buf_clear(&op->out);
    op->why.code = OK;
    op->err = error == OK ? OK : fail(&op->why, error, "the fuzzer says no");
    if (error != OK) close_descriptor(op);
    op->status = RECEIPT_BUSY;
    op->more = error == OK && out.n % 2 == 1;
    op->count = out.n;
    if (out.n % 4 == 2) op->flags |= FILE_WAITS; /* of an offer: a person is to be asked */
    if (out.n % 4 == 2) op->status = RECEIPT_NONE;
    if (error == OK) buf_add(&op->out, out);
    give_back(w, op);
}

/* ---- effects */

static void check_answer(struct bytes line) {
    struct why why = {OK, ""};
    MUST(line.n > 0);
    if (bytes_ends(line, "\n")) line.n--;
    MUST(bytes_index(line, '\n') == line.n);
    for (size_t i = 0; i < line.n; i++) MUST(line.p[i] >= 0x20 && line.p[i] != 0x7f);
    struct json_doc *doc = json_parse(line, &why);
    if (doc == NULL) fprintf(stderr, "%s: %.*s\n", why.text, (int)line.n, (const char *)line.p);
    MUST(doc != NULL);
    const struct json *root = json_root(doc);
    MUST(json_is_object(root) && json_get(root, "id") != NULL);
    json_free(doc);
}

static struct far *find_far(struct world *w, uint32_t id) {
    for (size_t i = 0; i < WORLD_FARS; i++)
        if (w->fars[i].id == id && id != 0) return &w->fars[i];
    return NULL;
}

static void no_dial(struct world *w, uint32_t id) {
    struct why why = {E_REFUSED, "connection refused"};
    node_dialed(w->node, id, NULL, &why);
}

static bool take_effects(struct world *w) {
    struct node_effect e;
    bool some = false;
    while (node_effect(w->node, &e)) {
        struct far *f = NULL;
        some = true;
        switch (e.kind) {
        case EFFECT_DIAL:
            if (w->n_dials < WORLD_WAITING)
                w->dials[w->n_dials++] = e;
            else
                no_dial(w, e.id);
            break;
        case EFFECT_CLOSE:
            if ((f = find_far(w, e.id)) != NULL) far_end(f);
            for (size_t i = 0; i < w->n_dials; i++)
                if (w->dials[i].id == e.id) w->dials[i--] = w->dials[--w->n_dials];
            break;
        case EFFECT_RESOLVE:
            MUST(strlen(e.name) < sizeof e.name);
            if (w->n_resolves < WORLD_WAITING)
                w->resolves[w->n_resolves++] = e;
            else
                node_resolve_done(w->node, e.id, NULL, &(struct why){E_TIMEOUT, "no answer"});
            break;
        case EFFECT_STORE:
            if (w->n_ops == WORLD_WAITING) world_store(w, 0);
            w->ops[w->n_ops++] = e.op;
            break;
        case EFFECT_ANSWER:
            if (e.id != 0 || e.fd < 0)
                check_answer(e.line); /* else: a descriptor that nobody waits for any more */
            if (e.fd >= 0) close(e.fd);
            break;
        case EFFECT_POST: {
            struct json_doc *doc = json_parse(e.line, NULL);
            MUST(doc != NULL && json_is_array(json_get(json_root(doc), "findings")));
            json_free(doc);
            node_posted(w->node, e.id, "host", e.id % 3 == 0 ? NULL : &(struct why){E_TIMEOUT, "no answer"});
            break;
        }
        case EFFECT_RELOAD: w->reload_asked = true; break;
        default: break;
        }
    }
    return some;
}

void world_deliver(struct world *w, uint32_t id, struct bytes wire) {
    struct buf *rx = node_rx(w->node, id);
    if (rx == NULL || wire.n == 0) return;
    if (!buf_add(rx, bytes_sub(wire, 0, buf_room(rx)))) return;
    mem_fail_after(w->fail_after);
    w->fail_after = -1;
    node_received(w->node, id);
    mem_fail_after(-1);
}

/* Moves bytes both ways, as far as they go. */
static bool exchange(struct world *w) {
    bool some = false;
    for (uint32_t id; (id = node_writable(w->node)) != 0; some = true) {
        struct far *f = find_far(w, id);
        struct bytes out = node_tx(w->node, id);
        if (f == NULL || !f->reading || out.n == 0) continue;
        struct bytes copy = fuzz_exact(out);
        far_input(f, copy);
        fuzz_free(copy);
        node_sent(w->node, id, out.n);
    }
    for (size_t i = 0; i < WORLD_FARS; i++) {
        struct far *f = &w->fars[i];
        if (f->id == 0 || f->out.n == 0 || !node_reading(w->node, f->id)) continue;
        far_seal(f);
        size_t n = MIN(f->out.n, (size_t)CONN_RX_MAX / 2);
        struct bytes copy = fuzz_exact(bytes_at(f->out.p, n));
        buf_drop(&f->out, n);
        f->out_sealed -= n;
        world_deliver(w, f->id, copy);
        fuzz_free(copy);
        some = true;
    }
    return some;
}

void world_run(struct world *w) {
    struct log_line line;
    bool some = true;
    w->log.now = w->now;
    for (int i = 0; some && i < 60; i++) {
        node_now(w->node, w->now);
        mem_fail_after(w->fail_tick);
        w->fail_tick = -1;
        node_tick(w->node);
        mem_fail_after(-1);
        some = exchange(w);
        some = take_effects(w) || some;
        while (!w->by_hand && w->n_ops > 0) {
            world_store(w, 0);
            some = true;
        }
    }
    while (log_take(&w->log, &line)) {
        for (size_t k = 0; k < line.text.n; k++) MUST(line.text.p[k] >= 0x20 && line.text.p[k] != 0x7f);
    }
    node_deadline(w->node);
}

/* ---- far ends */

struct far *world_far(struct world *w, uint8_t which) {
    for (size_t i = 0; i < WORLD_FARS; i++) {
        struct far *f = &w->fars[(which + i) % WORLD_FARS];
        if (f->id != 0) return f;
    }
    return NULL;
}

struct far *world_free_far(struct world *w) {
    for (size_t i = 0; i < WORLD_FARS; i++)
        if (w->fars[i].id == 0) return &w->fars[i];
    struct far *f = &w->fars[w->next_far++ % WORLD_FARS];
    node_hangup(w->node, f->id, E_CLOSED, "hung up");
    far_end(f);
    return f;
}

/* how: 1 refused; 2 raw; 4 impolite; 8 another identity; 16 no early muxer */
void world_dialed(struct world *w, size_t i, uint8_t how) {
    static const struct endpoint local = {.ip = {4, {10, 0, 0, 2}}, .port = 999};
    if (w->n_dials == 0) return;
    i %= w->n_dials;
    struct node_effect e = w->dials[i];
    w->dials[i] = w->dials[--w->n_dials];
    if (how & 1) {
        no_dial(w, e.id);
        return;
    }
    size_t who = (e.endpoint.ip.p[3] + (how & 8 ? 1u : 0u)) % WORLD_WHO; /* the address says who */
    struct far *f = world_free_far(w);
    const uint8_t *key = w->private ? w->swarm_key : NULL;
    far_begin(f, e.id, false, (how & 2) != 0, &w->who[who], key, (how & 16) == 0, e.id);
    f->polite = (how & 4) == 0;
    node_dialed(w->node, e.id, &local, NULL);
}

void world_text(const struct world *w, struct bytes marked, struct buf *out) {
    char peer[PEER_TEXT_MAX];
    for (size_t i = 0; i < marked.n; i++) {
        uint8_t c = marked.p[i];
        if (c >= 1 && c <= 4) {
            peer_id_text(&w->who[c - 1].peer, peer);
            buf_add_text(out, peer);
        } else if (c == 5) {
            hex_encode(out, bytes_at(w->last_id, MESSAGE_ID));
        } else if (c == 6) {
            peer_id_text(&w->who[1].peer, peer);
            buf_add_format(out, "/ip4/10.0.0.1/tcp/4001/p2p/%s", peer);
        } else if (c == 7) {
            peer_id_text(&w->who[2].peer, peer);
            buf_add_format(out, "/dnsaddr/x.test/p2p/%s", peer);
        } else {
            buf_add_byte(out, c);
        }
    }
}
