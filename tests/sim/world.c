/* tests/sim/world.c: nodes, their stores, time. */
#include "tests/sim/world.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    QUEUE_TURNS = 5000,
    QUEUE_MS = 1000,
    IDLE_MS = 500,
    ASK_MS = 60000,
    ASK_CLIENT = 77,
    ANSWER_MAX = 16 << 20
};

static size_t blocks_before;

/* All databases have one name, which errors quote and traces have in them, so that it must be the same in
 * each process: a folder of its own is behind it. On the real disk an empty file of this name satisfies
 * lib/store's look at it. */
enum { FOLDER_FD = 200 };
#define DATABASE "database"
static char folder[] = "/tmp/silktalk-sim-XXXXXX", database[64];

static void remove_database(void) {
    unlinkat(FOLDER_FD, DATABASE, 0);
    rmdir(folder);
}

static void make_database(void) {
    if (database[0] != 0) return;
    int at = mkdtemp(folder) == NULL ? -1 : open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = at < 0 || dup3(at, FOLDER_FD, O_CLOEXEC) < 0
                 ? -1
                 : openat(FOLDER_FD, DATABASE, O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(folder);
        exit(2);
    }
    close(at);
    close(fd);
    snprintf(database, sizeof database, "/proc/self/fd/%d/" DATABASE, FOLDER_FD);
    atexit(remove_database);
}

static _Noreturn void give_up(const char *text) {
    fprintf(stderr, "simulation: %s\n", text);
    abort();
}

void world_break(struct world *w, const char *format, ...) {
    va_list ap;
    w->limit_breaks++;
    if (w->broken[0] != 0) return;
    int n = snprintf(w->broken, sizeof w->broken, "at %lld.%06lld s: ", (long long)(w->now_us / 1000000),
                     (long long)(w->now_us % 1000000));
    va_start(ap, format);
    vsnprintf(w->broken + n, sizeof w->broken - (size_t)n, format, ap);
    va_end(ap);
    if (w->verbose) printf("BROKEN %s\n", w->broken);
}

void world_trace(struct world *w, struct bytes what) {
    uint64_t seed[2] = {w->trace, (uint64_t)w->now_us};
    w->trace = siphash(seed, what);
}

void world_poor(struct world *w, bool begin) {
    enum { ALLOCATIONS = 40 };
    bool now = begin && w->poor > 0 && rng_below(&w->rng, 1000) < w->poor;
    mem_fail_after(now ? (long)rng_below(&w->rng, 1 + rng_below(&w->rng, ALLOCATIONS)) : -1);
}

struct clocks world_clocks(const struct world *w, const struct sim_node *n) {
    return (struct clocks){{w->now_us}, {INT64_C(1790000000000) + w->now_us / 1000 + n->wall_offset_ms}};
}

/* ---- the queue of events: a binary heap */

static bool before(const struct sim_event *a, const struct sim_event *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static int64_t rounded(const struct world *w, int64_t at) {
    return w->net.grain_us > 1 ? (at + w->net.grain_us - 1) / w->net.grain_us * w->net.grain_us : at;
}

void world_push(struct world *w, struct sim_event e) {
    if (w->n_heap == w->cap_heap) {
        w->cap_heap = w->cap_heap == 0 ? 256 : w->cap_heap * 2;
        w->heap = realloc(w->heap, w->cap_heap * sizeof *w->heap);
        if (w->heap == NULL) give_up("no memory");
    }
    e.at = rounded(w, e.at);
    e.order = ++w->order;
    size_t i = w->n_heap++;
    for (size_t up; i > 0 && before(&e, &w->heap[up = (i - 1) / 2]); i = up) w->heap[i] = w->heap[up];
    w->heap[i] = e;
}

static struct sim_event pop(struct world *w) {
    struct sim_event top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (size_t down; (down = 2 * i + 1) < w->n_heap; i = down) {
        if (down + 1 < w->n_heap && before(&w->heap[down + 1], &w->heap[down])) down++;
        if (!before(&w->heap[down], &last)) break;
        w->heap[i] = w->heap[down];
    }
    w->heap[i] = last;
    return top;
}

static void plan(struct sim_node *n, enum sim_event_kind kind, int64_t in_us) {
    struct world *w = n->world;
    world_push(w, (struct sim_event){
                      .at = w->now_us + in_us, .kind = kind, .node = (uint32_t)n->index, .life = n->life});
}

void world_call(struct world *w, int64_t in_us, void (*call)(struct world *, void *, uint64_t), void *user,
                uint64_t arg) {
    world_push(w,
               (struct sim_event){
                   .at = w->now_us + in_us, .kind = SIM_CALL, .call = call, .user = user, .n = (size_t)arg});
}

/* ---- the store: db_batch in one go, its results after the time that a commit takes */

static void power_failed(struct world *w, void *user, uint64_t life) {
    struct sim_node *n = user;
    if (n->life == life && n->up) world_cut(w, n->index, DISK_LOSES_SECTORS);
}

static void begin_store(struct sim_node *n) {
    struct world *w = n->world;
    int64_t commit = n->commit_us > 0 ? n->commit_us : w->net.commit_us > 0 ? w->net.commit_us : 2000;
    if (n->storing || n->todo == NULL || n->disk.dead) return;
    n->storing = true;
    n->doing = n->todo;
    uint64_t syncs = n->disk.syncs;
    disk_select(&n->disk);
    disk_time(world_clocks(w, n));
    world_poor(w, true);
    n->todo = db_batch(n->db, n->doing);
    world_poor(w, false);
    if (!n->disk.dead && db_wal_pages(n->db) >= DB_WAL_PAGES) db_checkpoint(n->db, false);
    if (n->disk.dead) { /* it will never come back */
        world_call(w, 1, power_failed, n, n->life);
        return;
    }
    int64_t took = 20 +
                   (n->disk.syncs > syncs ? commit + (int64_t)rng_below(&w->rng, (uint64_t)commit + 1) : 0);
    plan(n, SIM_STORED, took);
}

static void end_store(struct sim_node *n) {
    struct world *w = n->world;
    struct store_op *op = n->doing, *next;
    n->doing = NULL;
    n->storing = false;
    for (; op != n->todo; op = next) {
        next = op->next;
        op->next = NULL;
        n->waiting--;
        world_trace(w, bytes_at(&op->seq, sizeof op->seq));
        if (w->on_store != NULL) w->on_store(w, n->index, op, true);
        world_poor(w, true);
        node_stored(n->node, op);
        world_poor(w, false);
    }
    begin_store(n);
    if (!n->storing) plan(n, SIM_IDLE, IDLE_MS * 1000);
}

static void idle_store(struct sim_node *n) {
    if (n->storing || n->disk.dead) return;
    disk_select(&n->disk);
    if (db_wal_pages(n->db) > 0) db_checkpoint(n->db, false);
    if (n->disk.dead) world_call(n->world, 1, power_failed, n, n->life);
}

static void give_store(struct sim_node *n, struct store_op *op) {
    struct world *w = n->world;
    struct store_op **at = &n->todo;
    if (w->on_store != NULL) w->on_store(w, n->index, op, false);
    if (n->waiting >= 2 * limit_max(&n->node->limits, LIMIT_STORE_QUEUE)) {
        op->err = fail(&op->why, E_BUSY, "the store's queue is full");
        node_stored(n->node, op);
        return;
    }
    if (n->storing && n->doing != NULL) /* `doing` runs on into `todo` */
        for (at = &n->doing; *at != NULL;) at = &(*at)->next;
    else
        while (*at != NULL) at = &(*at)->next;
    op->next = NULL;
    *at = op;
    if (n->todo == NULL) n->todo = op;
    n->waiting++;
}

/* ---- nodes */

static struct config *config_of(const char *ini, struct why *why) {
    static const struct config_home home = {
        .home = "/h", .socket = "/h/control.sock", .hostname = "host", .socketmode = "0600"};
    struct config_builder *b = config_builder_new(&home);
    struct config *c = NULL;
    if (b == NULL) give_up("no memory");
    if (config_builder_add(b, "simulation", bytes_of(ini), why) == OK) config_builder_finish(b, &c, why);
    config_builder_free(b);
    return c;
}

size_t world_add(struct world *w, const char *ini) {
    struct sim_node *n = calloc(1, sizeof *n);
    w->nodes = realloc(w->nodes, (w->n_nodes + 1) * sizeof *w->nodes);
    w->group = realloc(w->group, w->n_nodes + 1);
    if (n == NULL || w->nodes == NULL || w->group == NULL) give_up("no memory");
    n->world = w;
    n->index = w->n_nodes;
    n->rng = rng_fork(&w->rng);
    identity_make(&n->self, &n->rng);
    peer_id_text(&n->self.peer, n->id);
    disk_open(&n->disk);
    if (w->simulated_files && tree_make(&n->disk.tree, SIM_SPOOL, true, NULL) != 0) give_up("no spool");
    tree_sync(&n->disk.tree, tree_find(&n->disk.tree, DISK_ROOT));
    n->powered = true;
    n->answer.max = ANSWER_MAX;
    map_init(&n->ends, 100000, 1, 2);
    w->group[w->n_nodes] = 0;
    w->nodes[w->n_nodes++] = n;
    world_config(w, n->index, ini);
    return n->index;
}

void world_config(struct world *w, size_t node, const char *ini) {
    struct sim_node *n = w->nodes[node];
    free(n->ini);
    n->ini = strdup(ini);
    if (n->ini == NULL) give_up("no memory");
}

bool world_reload(struct world *w, size_t node, const char *ini) {
    struct sim_node *n = w->nodes[node];
    struct why why;
    struct config *c = config_of(ini, &why);
    if (c == NULL) return false;
    world_config(w, node, ini);
    node_now(n->node, world_clocks(w, n));
    struct buf pending = {.max = 4096};
    node_reconfigure(n->node, c, NULL, &pending);
    buf_free(&pending);
    world_turn(w, n);
    return true;
}

struct endpoint world_endpoint(size_t node, unsigned number) {
    uint8_t p[16] = {0};
    size_t i = node + 1;
    if (number < 100) {
        p[0] = 10;
        p[1] = (uint8_t)number;
        p[2] = (uint8_t)(i >> 8);
        p[3] = (uint8_t)i;
        return (struct endpoint){.ip = ip_of(4, p), .port = SIM_PORT};
    }
    p[0] = 0xfd;
    p[13] = (uint8_t)number;
    p[14] = (uint8_t)(i >> 8);
    p[15] = (uint8_t)i;
    return (struct endpoint){.ip = ip_of(6, p), .port = SIM_PORT};
}

const char *world_address(struct world *w, size_t node) {
    static char ring[8][160];
    static size_t at;
    char ip[48];
    struct endpoint e = world_endpoint(node, 0);
    ip_text(&e.ip, ip);
    char *out = ring[at++ % LEN(ring)];
    snprintf(out, sizeof ring[0], "/ip4/%s/tcp/%d/p2p/%s", ip, SIM_PORT, w->nodes[node]->id);
    return out;
}

static bool open_database(struct sim_node *n, struct why *why) {
    struct store_setup setup = {
        .path = database, .cache_bytes = 1 << 20, .max_bytes = 1 << 30, .queue_max = 8192};
    char outgoing[256], received[256];
    if (n->world->files_at[0] != 0) {
        snprintf(outgoing, sizeof outgoing, "%s/%zu-outgoing", n->world->files_at, n->index);
        snprintf(received, sizeof received, "%s/%zu-files", n->world->files_at, n->index);
        setup.outgoing = outgoing;
        setup.received = received;
    }
    if (n->world->simulated_files) {
        setup.outgoing = DISK_ROOT "/outgoing";
        setup.received = DISK_ROOT "/files";
        setup.spool = SIM_SPOOL;
    }
    disk_select(&n->disk);
    disk_time(world_clocks(n->world, n));
    return db_open(&n->db, &setup, why) == OK;
}

void world_start(struct world *w, size_t node) {
    struct sim_node *n = w->nodes[node];
    struct why why = {OK, ""};
    if (n->up) return;
    n->powered = true;
    uint64_t bad_syncs = n->disk.bad_syncs;
    if (!open_database(n, &why)) { /* whoever watches over the process starts it again */
        if (!n->disk.dead && n->disk.full_after < 0 && n->disk.bad_syncs == bad_syncs)
            world_break(w, "node %zu: the database does not open: %s", node, why.text);
        if (n->disk.dead)
            disk_restart(&n->disk, DISK_LOSES_SECTORS, &w->rng); /* the power failed meanwhile */
        n->powered = false;
        return;
    }
    n->life++;
    n->up = true;
    n->stopping = n->storing = false;
    n->waiting = 0;
    n->timer = MONO_NEVER;
    n->timer_at = 0;
    /* Where memory is refused, each line more would change what happens. */
    log_init(&n->log, w->verbose && w->poor == 0 ? LEVEL_DEBUG : LEVEL_INFO, LOG_TEXT);
    n->log.now = world_clocks(w, n);
    struct node_setup setup = {.self = &n->self,
                               .swarm_key = n->private_network ? n->swarm_key : NULL,
                               .config = config_of(n->ini, &why),
                               .log = &n->log,
                               .rng = rng_fork(&n->rng),
                               .now = n->log.now,
                               .version = "0",
                               .home = "/h",
                               .pid = 1};
    if (setup.config == NULL) give_up(why.text);
    n->node = node_new(&setup);
    if (n->node == NULL) give_up("no memory for a node");
    struct endpoint at = world_endpoint(node, 0);
    node_listening(n->node, &at, 1);
    world_turn(w, n);
}

/* What was handed over and not taken: the system closes it. */
static void close_handed(const struct store_op *op) {
    for (; op != NULL; op = op->next)
        if (op->fd >= 0) close(op->fd);
}

/* Everything of the process goes. */
static void end(struct sim_node *n) {
    if (n->world->on_end != NULL) n->world->on_end(n->world, n->index);
    n->up = n->stopping = false;
    n->life++;
    node_free(n->node);
    n->node = NULL;
    close_handed(n->doing != NULL ? n->doing : n->todo);
    if (n->doing != NULL)
        store_op_list_free(n->doing); /* and what waits behind */
    else
        store_op_list_free(n->todo);
    n->doing = n->todo = NULL;
    log_free(&n->log);
    disk_select(&n->disk);
    db_close(n->db);
    n->db = NULL;
}

static void crash(struct sim_node *n, bool say) {
    struct world *w = n->world;
    if (!n->up) return;
    if (w->verbose)
        printf("%10.6f n%zu %s\n", (double)w->now_us / 1e6, n->index, say ? "KILLED" : "NO POWER");
    n->disk.dead = true; /* closing the database must not tidy up */
    wire_crash(n, say);
    end(n);
}

void world_kill(struct world *w, size_t node) {
    struct sim_node *n = w->nodes[node];
    crash(n, true);
    disk_restart(&n->disk, DISK_KEEPS_ALL, &w->rng);
}

void world_cut(struct world *w, size_t node, enum disk_loss loss) {
    struct sim_node *n = w->nodes[node];
    crash(n, false);
    n->powered = false;
    disk_restart(&n->disk, loss, &w->rng);
}

static void stop_late(struct world *w, void *user, uint64_t life) {
    struct sim_node *n = user;
    (void)w;
    if (n->life != life || !n->up) return;
    wire_crash(n, true);
    end(n);
}

void world_stop(struct world *w, size_t node) {
    struct sim_node *n = w->nodes[node];
    if (!n->up || n->stopping) return;
    n->stopping = true;
    node_now(n->node, world_clocks(w, n));
    node_stop(n->node);
    world_call(w, cfg(node_config(n->node), node_stopTimeout).ms * 1000, stop_late, n, n->life);
    world_turn(w, n);
}

/* ---- a turn, as the daemon's */

static void take_effects(struct sim_node *n) {
    struct world *w = n->world;
    struct node_effect e;
    while (node_effect(n->node, &e)) {
        switch (e.kind) {
        case EFFECT_DIAL:
        case EFFECT_CLOSE:
        case EFFECT_RESOLVE: wire_effect(n, &e); break;
        case EFFECT_STORE: give_store(n, e.op); break;
        case EFFECT_ANSWER:
            world_trace(w, e.line);
            if (w->verbose)
                printf("%10.6f n%zu -> %.*s\n", (double)w->now_us / 1e6, n->index, (int)e.line.n,
                       (const char *)e.line.p);
            if (e.id == ASK_CLIENT) {
                if (n->answered) buf_clear(&n->answer);
                n->answered = !bytes_has(e.line, BYTES("\"event\":{")); /* more is to come */
                if (!buf_add(&n->answer, e.line)) give_up("no memory");
            } else if (w->on_answer != NULL) {
                w->on_answer(w, n->index, e.id, e.line);
            }
            if (e.fd >= 0) {
                if (w->answer_fd >= 0) close(w->answer_fd);
                w->answer_fd = e.fd;
            }
            break;
        case EFFECT_POST:
            if (w->on_post != NULL)
                w->on_post(w, n->index, e.id, e.line);
            else
                node_posted(n->node, e.id, "webhook", NULL);
            break;
        case EFFECT_RELOAD:
            node_reloaded(n->node, NULL, (struct bytes){NULL, 0}, (struct bytes){NULL, 0});
            break;
        }
    }
}

static void drain_log(struct sim_node *n) {
    struct world *w = n->world;
    struct log_line line;
    log_tick(&n->log);
    while (log_take(&n->log, &line)) {
        if (line.level != LEVEL_DEBUG) world_trace(w, line.text);
        if (w->verbose)
            printf("%10.6f n%zu %.*s\n", (double)w->now_us / 1e6, n->index, (int)line.text.n,
                   (const char *)line.text.p);
    }
}

/* A node whose deadline is always now would keep a processor busy. */
static void watch_turns(struct sim_node *n) {
    struct world *w = n->world;
    n->turns++;
    if (w->now_us - n->busy_since > QUEUE_MS * 1000) {
        n->busy_since = w->now_us;
        n->busy_turns = 0;
    }
    if (++n->busy_turns == QUEUE_TURNS)
        world_break(w, "node %zu turns %d times a second for nothing", n->index, QUEUE_TURNS);
}

void world_turn(struct world *w, struct sim_node *n) {
    if (!n->up) return;
    struct clocks now = world_clocks(w, n);
    n->log.now = now;
    node_now(n->node, now);
    if (!n->stopping) wire_accept(n);
    world_poor(w, true);
    node_tick(n->node);
    world_poor(w, false);
    take_effects(n);
    wire_flush(n);
    take_effects(n);
    wire_resume(n);
    begin_store(n);
    drain_log(n);
    if (w->on_turn != NULL) w->on_turn(w, n->index);
    if (n->stopping && node_drained(n->node)) {
        wire_crash(n, true);
        end(n);
        return;
    }
    struct mono at = mono_sooner(node_deadline(n->node), log_deadline(&n->log));
    n->timer = at;
    if (at.us == 0) return;
    int64_t due = rounded(w, MAX(at.us, w->now_us + 20));
    if (n->timer_at != 0 && n->timer_at <= due) return; /* an event comes sooner anyway */
    n->timer_at = due;
    plan(n, SIM_TIMER, due - w->now_us);
}

static void node_event(struct world *w, const struct sim_event *e) {
    struct sim_node *n = w->nodes[e->node];
    if (!n->up || n->life != e->life || (e->kind == SIM_TIMER && e->at != n->timer_at)) return;
    node_now(n->node, world_clocks(w, n));
    switch ((int)e->kind) {
    case SIM_STORED: end_store(n); break;
    case SIM_IDLE: idle_store(n); break;
    case SIM_TIMER:
        n->timer_at = 0;
        watch_turns(n);
        break;
    default: break;
    }
    world_turn(w, n);
}

static bool step(struct world *w, int64_t until) {
    if (w->n_heap == 0 || w->heap[0].at > until) return false;
    struct sim_event e = pop(w);
    w->now_us = MAX(w->now_us, e.at);
    w->events++;
    if (e.kind == SIM_CALL)
        e.call(w, e.user, e.n);
    else if (e.kind <= SIM_IDLE)
        node_event(w, &e);
    else
        wire_event(w, &e);
    return true;
}

bool world_until(struct world *w, int64_t ms, bool (*done)(struct world *, void *), void *user) {
    int64_t until = w->now_us + ms * 1000;
    while (!done(w, user))
        if (!step(w, until)) {
            w->now_us = until;
            return done(w, user);
        }
    return true;
}

void world_run(struct world *w, int64_t ms) {
    int64_t until = w->now_us + ms * 1000;
    while (step(w, until)) {}
    w->now_us = until;
}

/* ---- the world */

struct world *world_new(uint64_t seed, const struct sim_network *net) {
    make_database();
    if (crypto_open() != OK) give_up("no randomness");
    blocks_before = mem_blocks();
    struct world *w = calloc(1, sizeof *w);
    if (w == NULL) give_up("no memory");
    w->seed = w->trace = seed;
    w->rng = rng_seeded(seed);
    w->now_us = 1000000;
    w->net = *net;
    w->request_fd = w->answer_fd = -1;
    if (w->net.delay_us == 0) w->net.delay_us = 200;
    return w;
}

size_t world_free(struct world *w) {
    for (size_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = w->nodes[i];
        if (n->up) {
            wire_crash(n, false);
            end(n);
        }
    }
    wires_free(w);
    if (w->answer_fd >= 0) close(w->answer_fd);
    for (size_t i = 0; i < w->n_nodes; i++) {
        struct sim_node *n = w->nodes[i];
        disk_free(&n->disk);
        map_free(&n->ends);
        buf_free(&n->answer);
        free(n->ini);
        free(n);
    }
    free(w->nodes);
    free(w->group);
    free(w->heap);
    free(w);
    return mem_blocks() - blocks_before;
}

/* ---- requests */

void world_tell(struct world *w, size_t node, uint32_t client, struct bytes line) {
    struct sim_node *n = w->nodes[node];
    struct node_client who = {.id = client, .fd = w->request_fd};
    if (!n->up) return;
    if (w->verbose)
        printf("%10.6f n%zu <- %u %.*s\n", (double)w->now_us / 1e6, node, client,
               (int)MIN(line.n, (size_t)300), (const char *)line.p);
    w->request_fd = -1;
    node_now(n->node, world_clocks(w, n));
    node_request(n->node, &who, line);
    if (who.fd >= 0) close(who.fd); /* not taken */
    world_turn(w, n);
}

static bool is_answered(struct world *w, void *user) {
    const struct sim_node *n = user;
    (void)w;
    return n->answered || !n->up;
}

const char *world_ask(struct world *w, size_t node, const char *method, const char *params, ...) {
    struct sim_node *n = w->nodes[node];
    struct buf line = {.max = 8 << 20};
    static char text[64 << 10];
    va_list ap;
    va_start(ap, params);
    vsnprintf(text, sizeof text, params, ap);
    va_end(ap);
    if (!buf_add_format(&line, "{\"id\":1,\"method\":\"%s\",\"params\":%s}", method, text))
        give_up("no memory");
    n->answered = false;
    buf_clear(&n->answer);
    world_tell(w, node, ASK_CLIENT, buf_view(&line));
    buf_free(&line);
    world_until(w, ASK_MS, is_answered, n);
    return n->answered ? buf_cstr(&n->answer) : NULL;
}

struct peer *world_peer(struct world *w, size_t of, size_t node) {
    return w->nodes[of]->up ? peers_find(w->nodes[of]->node, &w->nodes[node]->self.peer) : NULL;
}

bool world_connected(struct world *w, size_t a, size_t b) {
    const struct peer *p = world_peer(w, a, b);
    return p != NULL && peer_connection(p) != NULL;
}

/* ---- rows */

void world_rows(struct world *w, size_t node, bool inbox, void (*each)(void *, const struct sim_row *),
                void *user) {
    struct sim_node *n = w->nodes[node];
    struct why why = {OK, ""};
    bool was_open = n->db != NULL;
    sqlite3_stmt *s = NULL;
    disk_select(&n->disk);
    if (!was_open && !open_database(n, &why)) {
        world_break(w, "node %zu: the database does not open: %s", node, why.text);
        return;
    }
    const char *sql =
        inbox ? "SELECT peer, id, 0, '', body, seq, file FROM inbox ORDER BY seq"
              : "SELECT peer, id, state = 'failed', last_error, body, seq, NULL FROM outbox ORDER BY seq";
    int rc = sqlite3_prepare_v2(n->db->sql, sql, -1, &s, NULL);
    while (rc == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        struct sim_row row = {.failed = sqlite3_column_int(s, 2) != 0};
        const unsigned char *peer = sqlite3_column_text(s, 0), *error = sqlite3_column_text(s, 3);
        snprintf(row.peer, sizeof row.peer, "%s", (const char *)peer);
        snprintf(row.error, sizeof row.error, "%s", error == NULL ? "" : (const char *)error);
        if (sqlite3_column_bytes(s, 1) == MESSAGE_ID) memcpy(row.id, sqlite3_column_blob(s, 1), MESSAGE_ID);
        row.body = bytes_at(sqlite3_column_blob(s, 4), (size_t)sqlite3_column_bytes(s, 4));
        row.seq = sqlite3_column_int64(s, 5);
        row.file = bytes_at(sqlite3_column_text(s, 6), (size_t)sqlite3_column_bytes(s, 6));
        each(user, &row);
    }
    if (rc != SQLITE_OK) world_break(w, "node %zu: %s", node, sqlite3_errmsg(n->db->sql));
    sqlite3_finalize(s);
    if (was_open) return;
    db_close(n->db);
    n->db = NULL;
}

size_t world_count(struct world *w, size_t node, const char *sql) {
    struct sim_node *n = w->nodes[node];
    sqlite3_stmt *s = NULL;
    size_t out = 0;
    disk_select(&n->disk);
    if (n->db == NULL) give_up("the node is down");
    if (sqlite3_prepare_v2(n->db->sql, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        out = (size_t)sqlite3_column_int64(s, 0);
    else
        world_break(w, "%s: %s", sql, sqlite3_errmsg(n->db->sql));
    sqlite3_finalize(s);
    return out;
}
