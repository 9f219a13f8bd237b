#include "ops/daemon.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gen/page.h"
#include "gen/version.h"
#include "ops/web_client.h"

enum { LOCK_WAIT_MS = 30000, STATUS_EVERY_MS = 10000, SLOW_TURN_MS = 100, EFFECTS_PER_TURN = 100000 };
enum { MEASURE_MS = 9000 }; /* rides on turns that the node's upkeep makes anyway */

APPLET(daemon)
const struct opt daemon_opts[] = {
    {0, "listen", "MULTIADDR...", NULL,
     "listen there instead of network.listen (may be repeated, or a comma list)"},
    {0}};
const char daemon_text[] =
    "Usage: silktalk daemon [--home DIR] [--listen MULTIADDR]...\n"
    "Runs the node in the foreground; it never forks. Without a home it makes one.\n"
    "Signals: TERM, INT stop gracefully (twice: at once); HUP reopens logs and reloads the configuration;\n"
    "USR1 writes the state to the log; USR2 reopens logs.\n"
    "Exits 0 after a stop, 6 when the configuration is bad, 9 when another daemon has the home.\n"
    "Examples:\n"
    "  silktalk daemon\n"
    "  silktalk daemon --home /srv/silktalk --listen /ip4/127.0.0.1/tcp/4001\n";

/* Start-up in parts, in microseconds: EV_NODE_READY carries them. */
struct timing {
    int64_t began, lock, config, identity, database, listen;
};
static int64_t lap(int64_t *last) {
    int64_t now = clocks_monotonic_us(), took = now - *last;
    *last = now;
    return took;
}

/* ---- turns */

static void store_ready(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    (void)fd;
    (void)ready;
    node_now(d->node, loop_now(d->loop));
    for (struct store_op *op; (op = store_take(d->store)) != NULL;) node_stored(d->node, op);
}

static void closing_ready(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    (void)fd;
    (void)ready;
    closing_turn(d->closing, loop_now(d->loop).mono);
}

/* Everything is read and checked before anything changes; a bad file changes nothing. */
static enum err reload(struct daemon *d) {
    struct config *config = NULL;
    struct why w = {OK, ""};
    struct buf changed = {.max = 8192}, pending = {.max = 8192};
    enum err e = home_config(d->home, &config, &w);
    if (e == OK) e = web_check(config, &w);
    if (e == OK) e = http_read_secrets(d, config, &w);
    if (e == OK && !cli_given(d->cli, "listen")) e = listeners_set(d, config, &w);
    if (e == OK) {
        node_reconfigure(d->node, config, &changed, &pending);
        listeners_tell(d);
        http_listen(d, node_config(d->node));
        sink_rotation(d, node_config(d->node));
        sink_remote(d, node_config(d->node));
        LOG(&d->log, EV_CONFIG_RELOADED, kv_text("changed", buf_view(&changed)),
            kv_text("restart_pending", buf_view(&pending)));
    } else {
        config_free(config);
        LOG(&d->log, EV_RELOAD_REJECTED, kv_str("reason", w.text));
    }
    node_reloaded(d->node, e == OK ? NULL : &w, buf_view(&changed), buf_view(&pending));
    buf_free(&changed);
    buf_free(&pending);
    notify_ready(&d->notify, NULL);
    d->next_status = loop_now(d->loop).mono;
    return e;
}

/* First the log is opened again, whatever becomes of the configuration; its thread does that, and the reload
 * goes on when it is done: who has renamed the file may take it away when the reload is answered. */
static void begin_reload(struct daemon *d) {
    if (!d->reloading) notify_reloading(&d->notify);
    d->reloading = true;
    sink_reopen(d);
}

static void go_on_reloading(struct daemon *d) {
    if (!d->reloading || sink_opening(d)) return;
    d->reloading = false;
    reload(d);
}

static void give_to_store(struct daemon *d, struct store_op *op) {
    if (store_give(d->store, op)) return;
    op->err = fail(&op->why, E_BUSY, "the store's queue is full");
    node_stored(d->node, op);
}

static void take_effects(struct daemon *d) {
    struct node_effect e;
    for (int i = 0; i < EFFECTS_PER_TURN && node_effect(d->node, &e); i++) {
        switch (e.kind) {
        case EFFECT_DIAL:
        case EFFECT_CLOSE:
        case EFFECT_RESOLVE: links_effect(d, &e); break;
        case EFFECT_STORE: give_to_store(d, e.op); break;
        case EFFECT_ANSWER:
            sockets_answer(d, &e);
            break;
        case EFFECT_POST: webhook_post(d, e.id, e.line); break;
        case EFFECT_RELOAD: begin_reload(d); break;
        }
    }
    store_flush(d->store);
    sockets_flush(d);
}

/* First the messages that may still go (drain), then goodbye to the peers, then what the store has. */
static void say_goodbye(struct daemon *d) {
    d->draining = false;
    d->stop_at = mono_add_ms(loop_now(d->loop).mono, cfg(node_config(d->node), node_stopTimeout).ms);
    node_stop(d->node);
}

static void begin_stop(struct daemon *d, const char *reason, int64_t drain_ms) {
    if (d->stopping) {
        d->finish_now = true; /* asked twice: at once */
        return;
    }
    d->stopping = true;
    LOG(&d->log, EV_NODE_STOPPING, kv_str("reason", reason));
    char line[128];
    node_status_line(d->node, line, sizeof line);
    notify_stopping(&d->notify, line);
    listeners_close(d);
    d->draining = drain_ms > 0;
    d->stop_at = mono_add_ms(loop_now(d->loop).mono, drain_ms);
    if (!d->draining) say_goodbye(d);
}

static bool stopped(struct daemon *d) {
    if (!d->stopping) return false;
    bool late = d->stop_at.us <= loop_now(d->loop).mono.us;
    if (d->draining && !d->finish_now) {
        if (late || node_outbox(d->node) == 0) say_goodbye(d);
        return false;
    }
    return d->finish_now || late || (node_drained(d->node) && closing_count(d->closing) == 0);
}

static void signals_ready(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    struct signal_seen s;
    (void)fd;
    (void)ready;
    node_now(d->node, loop_now(d->loop));
    while (signals_next(&d->signals, &s)) {
        switch (s.number) {
        case SIGTERM: begin_stop(d, "SIGTERM", 0); break;
        case SIGINT: begin_stop(d, "SIGINT", 0); break;
        case SIGHUP: begin_reload(d); break;
        case SIGUSR1: node_dump(d->node); break;
        case SIGUSR2: sink_reopen(d); break;
        case SIGQUIT:
            node_dump(d->node);
            sink_flush(d);
            abort();
        default: break;
        }
    }
}

static void tell_manager(struct daemon *d) {
    struct mono now = loop_now(d->loop).mono;
    char line[128];
    notify_tick(&d->notify, now);
    if (d->stopping || d->next_status.us > now.us || d->notify.fd < 0) return;
    d->next_status = mono_add_ms(now, STATUS_EVERY_MS);
    node_status_line(d->node, line, sizeof line);
    notify_status(&d->notify, line);
}

static void watch_turns(struct daemon *d) {
    struct loop_stats s = loop_stats(d->loop);
    d->worst_turn_us = MAX(d->worst_turn_us, s.last_us);
    if (s.slow == d->slow_seen) return;
    d->slow_seen = s.slow;
    d->slow_part = s.slowest_part;
    if (s.last_us >= SLOW_TURN_MS * 1000)
        LOG(&d->log, EV_SLOW_TURN, kv_ms("took", s.last_us / 1000), kv_ms("cpu", s.slow_processor_us / 1000),
            kv_str("part", s.slowest_part));
}

static struct mono next_deadline(const struct daemon *d) {
    struct mono at = mono_sooner(node_deadline(d->node), links_deadline(d));
    at = mono_sooner(at, sockets_deadline(d));
    at = mono_sooner(at, http_sockets_deadline(d));
    at = mono_sooner(at, webhook_deadline(d));
    at = mono_sooner(at, notify_deadline(&d->notify));
    at = mono_sooner(at, log_deadline(&d->log));
    at = mono_sooner(at, sink_deadline(d));
    at = mono_sooner(at, d->next_measure);
    if (d->notify.fd >= 0 && !d->stopping) at = mono_sooner(at, d->next_status);
    return d->stopping ? mono_sooner(at, d->stop_at) : at;
}

static enum err run(struct daemon *d) {
    enum err e = OK;
    int64_t drain_ms;
    while (e == OK && !stopped(d)) {
        e = loop_turn(d->loop, next_deadline(d), &d->why);
        struct clocks now = loop_now(d->loop);
        d->log.now = now;
        node_now(d->node, now);
        if (!d->stopping) measure_health(d);
        sockets_tick(d);
        measure(d, MEASURE_MS);
        node_tick(d->node);
        take_effects(d);
        links_flush(d);
        take_effects(d); /* what writing brought about */
        go_on_reloading(d);
        http_turn(d);
        webhook_turn(d);
        links_turn(d);
        sockets_turn(d);
        if (node_stop_asked(d->node, &drain_ms)) begin_stop(d, "asked by `silktalk stop`", drain_ms);
        tell_manager(d);
        watch_turns(d);
        log_tick(&d->log);
        sink_turn(d);
    }
    return e;
}

/* ---- start */

static enum err refuse(struct daemon *d, enum err e) {
    LOG(&d->log, EV_START_REFUSED, kv_str("reason", d->why.text));
    return e;
}

static enum err make_home(struct daemon *d) {
    struct home_made made;
    if (home_exists(d->home)) {
        struct why w;
        return file_mkdirs(d->home->spool, d->home->system ? 03770 : 0700, NULL, &w) == E_MEMORY ? E_MEMORY
                                                                                                 : OK;
    }
    char old[PATH_SIZE];
    home_old_installation(d->home, true, old);
    if (old[0] != 0) /* a new node in its place would be a stranger to all its peers */
        return fail(&d->why, E_INPUT, "%s is of the old program; bring it over with `silktalk import`", old);
    enum err e = home_create(d->home, &made, &d->why);
    if (e == OK && (made.config || made.identity))
        LOG(&d->log, EV_HOME_CREATED, kv_str("home", d->home->dir), kv_str("config", d->home->conf),
            kv_str("identity", made.identity ? "new" : "kept"));
    return e;
}

/* A configuration without an identity is a new node, unless there is a database: then the identity was lost,
 * and a new one would make strangers of all peers. */
static enum err complete_home(struct daemon *d, const struct config *c) {
    char database[PATH_SIZE];
    struct file_facts facts;
    struct home_made made;
    const char *path = cfg(c, node_identity).text;
    if (file_facts(path, &facts, NULL) != E_NOT_FOUND) return OK;
    snprintf(database, sizeof database, "%.480s/silktalk.db", cfg(c, node_data).text);
    if (file_facts(database, &facts, NULL) != E_NOT_FOUND)
        return fail(&d->why, E_NOT_FOUND,
                    "the identity %s is missing, but there is a database: put the key back", path);
    enum err e = home_create(d->home, &made, &d->why);
    if (e == OK)
        LOG(&d->log, EV_HOME_CREATED, kv_str("home", d->home->dir), kv_str("config", d->home->conf),
            kv_str("identity", made.identity ? "new" : "kept"));
    return e;
}

static enum err read_swarm_key(struct daemon *d, const struct config *c, uint8_t key[32], bool *has) {
    const char *setting = cfg(c, network_swarmKey).text;
    char path[PATH_SIZE];
    struct buf text = {.max = 4096};
    struct why w;
    *has = false;
    enum err e = home_secret(setting, path, &d->why);
    if (e != OK) return e;
    e = file_read(path, 0, 4096, FILE_ANY_MODE, &text, NULL, &w);
    if (e == E_NOT_FOUND && path[0] != setting[0])
        e = E_INPUT; /* one that is asked for by name must be there */
    if (e == OK) {
        e = swarm_key_read(buf_view(&text), key, &w);
        *has = e == OK;
        if (e != OK) fail(&d->why, E_INPUT, "%s: %s", path, w.text);
    } else if (e == E_NOT_FOUND) {
        e = OK;
    } else {
        d->why = w;
    }
    buf_wipe(&text);
    if (e == OK && !*has && cfg(c, network_privateOnly).count != 0)
        e = fail(&d->why, E_INPUT, "network.privateOnly is on, but there is no private network key at %s",
                 path);
    return e;
}

static enum err open_store(struct daemon *d, const struct config *c) {
    char path[PATH_SIZE];
    int n = snprintf(path, sizeof path, "%s/silktalk.db", cfg(c, node_data).text);
    if (n < 0 || n >= PATH_SIZE) return fail(&d->why, E_INPUT, "node.data: the path is too long");
    char outgoing[PATH_SIZE];
    n = snprintf(outgoing, sizeof outgoing, "%s/outgoing", cfg(c, node_data).text);
    if (n < 0 || n >= PATH_SIZE) return fail(&d->why, E_INPUT, "node.data: the path is too long");
    struct store_setup setup = {.path = path,
                                .outgoing = outgoing,
                                .received = cfg(c, files_receiveDir).text,
                                .spool = d->home->spool,
                                .cache_bytes = cfg(c, database_cacheSize).count,
                                .max_bytes = cfg(c, database_maxSize).count,
                                .queue_max = (size_t)c->limits[LIMIT_STORE_QUEUE] * 2};
    return store_open(&d->store, &setup, &d->why);
}

static enum err make_node(struct daemon *d, struct config *config, const uint8_t *swarm_key) {
    struct node_setup setup = {.self = &d->identity,
                               .swarm_key = swarm_key,
                               .config = config,
                               .log = &d->log,
                               .now = clocks_now(),
                               .version = SILKTALK_VERSION,
                               .home = d->home->dir,
                               .source_id = SILKTALK_SOURCE_ID,
                               .folders = {[SPACE_DATA] = d->data_folder,
                                           [SPACE_FILES] = d->files_folder,
                                           [SPACE_LOGS] = d->log_folder[0] == 0 ? NULL : d->log_folder},
                               .page = bytes_at(silktalk_page, sizeof silktalk_page - 1),
                               .pid = (int)getpid()};
    rng_system(&setup.rng);
    snprintf(d->data_folder, sizeof d->data_folder, "%s", cfg(config, node_data).text);
    snprintf(d->files_folder, sizeof d->files_folder, "%s", cfg(config, files_receiveDir).text);
    host_open(&d->host, NULL, NULL, setup.now.mono);
    d->node = node_new(&setup);
    return d->node == NULL ? fail(&d->why, E_MEMORY, "out of memory") : OK;
}

/* --listen replaces network.listen in this run. */
static enum err read_config(struct daemon *d, struct config **config) {
    const char *value = cli_value(d->cli, "listen");
    struct why w;
    if (value == NULL) return home_config(d->home, config, &d->why);
    if (config_check_value(CONFIG_network_listen, bytes_of(value), &w) != OK)
        return fail(&d->why, E_USAGE, "--listen: %s", w.text);
    return home_config_with(d->home, CONFIG_network_listen, value, config, &d->why);
}

static enum err load_identity(struct daemon *d, const struct config *config) {
    const char *path = cfg(config, node_identity).text;
    struct file_facts facts;
    char mode[8];
    enum err e = home_identity(d->home, config, &d->identity, &d->why);
    if (e == E_INPUT && file_facts(path, &facts, NULL) == OK && facts.regular && (facts.mode & 07177) != 0) {
        snprintf(mode, sizeof mode, "%04o", (unsigned)facts.mode & 07777);
        LOG(&d->log, EV_IDENTITY_PERMISSIONS, kv_str("path", path), kv_str("mode", mode));
    }
    return e;
}

static enum err start(struct daemon *d, struct timing *t) {
    struct config *config = NULL;
    uint8_t swarm_key[32];
    bool private = false;
    int64_t last = t->began;
    char old[PATH_SIZE];
    enum err e = crypto_open();
    if (e != OK) return fail(&d->why, e, "the kernel gives no random numbers");
    e = make_home(d);
    if (e == OK) e = read_config(d, &config);
    if (e == OK && config != NULL) e = complete_home(d, config);
    if (e != OK || config == NULL) goto out;
    log_set_level(&d->log, (enum log_level)cfg(config, logging_level).count);
    d->log.format = (enum log_format)cfg(config, logging_format).count;
    sink_file(d, cfg(config, logging_file).text);
    sink_rotation(d, config);
    t->config = lap(&last);
    e = file_mkdirs(cfg(config, node_data).text, 0700, NULL, &d->why);
    if (e == OK)
        e = lock_take(&d->lock, d->home->dir, cfg(config, node_data).text, "daemon", LOCK_WAIT_MS, "daemon",
                      NULL, &d->why);
    t->lock = lap(&last);
    if (e == OK) e = load_identity(d, config);
    if (e == OK) e = read_swarm_key(d, config, swarm_key, &private);
    t->identity = lap(&last);
    if (e == OK) e = signals_open(&d->signals, &d->why); /* before there is a second thread */
    if (e == OK) e = open_store(d, config);
    t->database = lap(&last);
    if (e == OK) e = loop_open(&d->loop, &d->why);
    if (e == OK) e = tcp_acceptor_open(&d->acceptor, &d->why);
    if (e == OK) e = closing_open(&d->closing, &d->why);
    if (e == OK) e = make_node(d, config, private ? swarm_key : NULL);
    if (d->node == NULL) goto out;
    config = NULL; /* the node's now */
    if (e == OK) e = listeners_set(d, node_config(d->node), &d->why);
    if (e == OK) e = http_read_secrets(d, node_config(d->node), &d->why);
    if (e == OK) e = web_check(node_config(d->node), &d->why);
    if (e == OK) e = sockets_open(d, node_config(d->node));
    if (e == OK) e = sink_watch(d);
    if (e == OK) e = loop_watch(d->loop, d->signals.fd, LOOP_READ, "signals", signals_ready, d);
    if (e == OK) e = loop_watch(d->loop, store_fd(d->store), LOOP_READ, "store", store_ready, d);
    if (e == OK) e = loop_watch(d->loop, closing_fd(d->closing), LOOP_READ, "closing", closing_ready, d);
    if (e != OK) goto out;
    listeners_tell(d);
    http_listen(d, node_config(d->node));
    sink_remote(d, node_config(d->node));
    t->listen = lap(&last);
    home_old_installation(d->home, false, old);
    if (old[0] != 0) LOG(&d->log, EV_OLD_INSTALLATION, kv_str("path", old));
out:
    mem_wipe(swarm_key, sizeof swarm_key);
    config_free(config);
    return e;
}

static void say_ready(struct daemon *d, const struct timing *t) {
    char id[PEER_TEXT_MAX], line[128];
    peer_id_text(&d->identity.peer, id);
    LOG(&d->log, EV_IDENTITY_LOADED, kv_str("peer", id),
        kv_str("path", cfg(node_config(d->node), node_identity).text));
    LOG(&d->log, EV_NODE_STARTED, kv_str("version", SILKTALK_VERSION), kv_str("peer", id),
        kv_str("home", d->home->dir), kv_int("pid", getpid()));
    struct {
        const char *name;
        int64_t us;
    } parts[] = {{"total", t->lock + t->config + t->identity + t->database + t->listen},
                 {"lock", t->lock},
                 {"config", t->config},
                 {"identity", t->identity},
                 {"database", t->database},
                 {"listen", t->listen}};
    char text[6][40];
    struct kv pairs[6];
    for (size_t i = 0; i < LEN(parts); i++) {
        snprintf(text[i], sizeof text[i], "%lld.%03lldms", (long long)(parts[i].us / 1000),
                 (long long)(parts[i].us % 1000));
        pairs[i] = kv_str(parts[i].name, text[i]);
    }
    log_event(&d->log, EV_NODE_READY, pairs, LEN(pairs));
    node_status_line(d->node, line, sizeof line);
    notify_ready(&d->notify, line);
    d->next_status = mono_add_ms(loop_now(d->loop).mono, 1000);
}

static void finish(struct daemon *d, int64_t began) {
    if (d->loop != NULL && d->node != NULL) {
        listeners_close(d);
        http_close(d);
        webhook_close(d);
        links_close(d);
    }
    sockets_close(d);
    if (d->store != NULL) {
        struct node_effect e;
        while (d->node != NULL && node_effect(d->node, &e))
            if (e.kind == EFFECT_STORE) give_to_store(d, e.op);
        store_close(d->store); /* what was given is committed */
    }
    if (d->node != NULL) {
        node_free(d->node);
        LOG(&d->log, EV_NODE_STOPPED, kv_ms("uptime", (clocks_monotonic_us() - began) / 1000));
    }
    if (d->dns != NULL) dns_close(d->dns);
    if (d->closing != NULL) closing_close(d->closing);
    tcp_acceptor_close(&d->acceptor);
    map_free(&d->links);
    d->log.now = clocks_now();
    sink_close(d);
    loop_close(d->loop);
    if (d->signals.fd >= 0) signals_close(&d->signals);
    lock_release(&d->lock);
    identity_wipe(&d->identity);
    notify_close(&d->notify);
    log_free(&d->log);
}

int daemon_main(struct cli *c) {
    struct daemon *d = NEW(struct daemon);
    struct timing t = {.began = clocks_monotonic_us()};
    if (d == NULL) return cli_exit(c, fail(&c->why, E_MEMORY, "out of memory"));
    if (c->n_args > 0) {
        mem_free(d);
        return cli_usage(c, "daemon takes no words");
    }
    home_clean_environment();
    enum err e = home_become_owner(&c->home, &c->why);
    if (e != OK) {
        mem_free(d);
        return cli_exit(c, e);
    }
    d->cli = c;
    d->home = &c->home;
    d->lock.fd = d->signals.fd = d->acceptor.spare = d->notify.fd = -1;
    for (size_t i = 0; i < LISTENERS_MAX; i++) d->listeners[i].fd = -1;
    http_init(d);
    d->accepting = true;
    map_init(&d->links, 20000, 1, 2); /* our own ids: nobody chooses them */
    log_init(&d->log, LEVEL_INFO, LOG_TEXT);
    d->log.tally = &d->tally;
    d->log.now = clocks_now();
    sink_file(d, c->home.log_file); /* until the configuration says otherwise */
    e = sink_open(d, &c->why);
    if (e != OK) {
        log_free(&d->log);
        mem_free(d);
        return cli_exit(c, e);
    }
    notify_open(&d->notify, getenv("NOTIFY_SOCKET"), getenv("WATCHDOG_USEC"),
                NULL); /* else it stays silent */
    unsetenv("NOTIFY_SOCKET");
    e = start(d, &t);
    /* A bad configuration is told where the operator looks; but the file may be that of a node that runs. */
    if (e == E_INPUT) log_writer_rotation(d->sink.writer, &(struct log_rotation){.builtin = false});
    if (e == OK || e == E_INPUT) sink_start(d);
    if (e == OK) {
        say_ready(d, &t);
        sink_flush(d); /* who started it may look into the file now */
        log_writer_detach(d->sink.writer);
        mem_keep(true);
        e = run(d);
        mem_keep(false);
        if (e != OK) refuse(d, e);
    } else {
        refuse(d, e);
    }
    finish(d, t.began);
    mem_free(d);
    return err_exit(e);
}
