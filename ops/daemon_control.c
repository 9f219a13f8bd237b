/* The daemon's two sockets of requests: the control socket, for all that a node does, and monitor.sock, for
 * reading alone (operations.md S10: role read). */
#include "ops/daemon.h"

#include <grp.h>
#include <stdio.h>
#include <unistd.h>

enum { MONITOR_CLIENT = 1 << 29, MONITOR_LINE_MAX = 64 << 10 }; /* a bit of its clients' ids; bytes */

/* ---- turns */

/* Which of the two sockets a client is at. */
static struct control *socket_of(const struct daemon *d, uint32_t client) {
    return (client & MONITOR_CLIENT) != 0 ? d->monitor : d->control;
}

static void serve(struct daemon *d, struct control *socket) {
    struct control_event e;
    node_now(d->node, loop_now(d->loop));
    control_turn(socket, loop_now(d->loop).mono);
    while (control_next(socket, &e)) {
        struct node_client client = {.id = e.client,
                                     .uid = e.peer.uid,
                                     .pid = (uint32_t)e.peer.pid,
                                     .may = socket == d->monitor ? RIGHT_READ : RIGHT_OWNER,
                                     .fd = e.fd};
        switch (e.kind) {
        case CONTROL_LINE:
            measure(d, MEASURE_ASKED_MS);
            bool taken = node_request(d->node, &client, e.line);
            if (client.fd >= 0) close(client.fd); /* no method took it */
            if (taken) break;
            node_client_gone(d->node, e.client);
            control_drop(socket, e.client);
            break;
        case CONTROL_END:
            if (d->n_ended < ENDED_MAX)
                d->ended[d->n_ended++] = e.client;
            else
                control_drop(socket, e.client);
            break;
        case CONTROL_GONE: node_client_gone(d->node, e.client); break;
        }
    }
}

static void control_ready(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    (void)fd;
    (void)ready;
    serve(d, d->control);
}

static void monitor_ready(void *user, int fd, unsigned ready) {
    struct daemon *d = user;
    (void)fd;
    (void)ready;
    serve(d, d->monitor);
}

void sockets_turn(struct daemon *d) {
    for (size_t i = 0; i < d->n_ended;) {
        if (node_client_busy(d->node, d->ended[i])) {
            i++;
            continue;
        }
        control_drop(socket_of(d, d->ended[i]), d->ended[i]);
        d->ended[i] = d->ended[--d->n_ended];
    }
}

void sockets_answer(struct daemon *d, const struct node_effect *e) {
    struct control *socket = socket_of(d, e->id);
    if (socket != NULL) control_send_with(socket, e->id, e->line, e->fd);
    if (e->fd >= 0) close(e->fd);
}

void sockets_flush(struct daemon *d) {
    if (d->control != NULL) control_flush(d->control);
    if (d->monitor != NULL) control_flush(d->monitor);
}

struct mono sockets_deadline(const struct daemon *d) {
    struct mono at = control_deadline(d->control);
    return d->monitor == NULL ? at : mono_sooner(at, control_deadline(d->monitor));
}

void sockets_tick(struct daemon *d) {
    struct control *sockets[] = {d->control, d->monitor};
    struct mono now = loop_now(d->loop).mono;
    for (size_t i = 0; i < LEN(sockets); i++)
        if (sockets[i] != NULL && mono_due(control_deadline(sockets[i]), now)) control_turn(sockets[i], now);
}

void sockets_close(struct daemon *d) {
    control_close(d->control);
    control_close(d->monitor);
}

/* ---- opening */

static gid_t group_of(const char *name) {
    const struct group *g = name[0] != 0 ? getgrnam(name) : NULL;
    return g == NULL ? (gid_t)-1 : g->gr_gid;
}

static void make_folder_of(const char *path) {
    char folder[PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder) return;
    *slash = 0;
    file_mkdirs(folder, 0755, NULL, NULL); /* control_open says what is wrong with it */
}

#define REFUSAL(code, name, text)                                                                            \
    BYTES("{\"id\":null,\"error\":{\"schema\":\"silktalk.error/1\",\"code\":" code ",\"name\":\"" name       \
          "\",\"message\":\"" text "\",\"hint\":null}}")

static struct control_setup socket_setup(const struct config *c) {
    return (struct control_setup){
        .owner = geteuid(),
        .group = (gid_t)-1,
        .clients_max = c->limits[LIMIT_CONTROL_CLIENTS],
        .line_max = CONTROL_LINE_MAX,
        .backlog_max = c->limits[LIMIT_CONTROL_BACKLOG] * 2,
        .full = REFUSAL("9", "limit", "too many control clients; try again"),
        .denied = REFUSAL("5", "denied", "only root, the node's user and its group may use this socket"),
        .too_long = REFUSAL("9", "limit", "the request line is too long")};
}

static enum err open_control(struct daemon *d, const struct config *c) {
    struct control_setup setup = socket_setup(c);
    setup.path = d->home->socket_given ? d->home->socket : cfg(c, node_socket).text;
    setup.mode = (mode_t)cfg(c, node_socketMode).count;
    if (d->home->system) setup.group = group_of(cfg(c, node_socketGroup).text);
    make_folder_of(setup.path);
    enum err e = control_open(&d->control, &setup, &d->why);
    if (e == OK) e = loop_watch(d->loop, control_fd(d->control), LOOP_READ, "control", control_ready, d);
    return e;
}

/* For reading alone. Messages go without it: that it can not be opened is said, and is no reason to stop. On
 * a system where nobody made the group yet it is for those who may use the control socket. */
static void open_monitor(struct daemon *d, const struct config *c) {
    struct control_setup setup = socket_setup(c);
    struct why w = {OK, ""};
    setup.path = cfg(c, node_monitorSocket).text;
    setup.mode = d->home->system ? 0660 : 0600;
    if (d->home->system) setup.group = group_of("silktalk-monitor");
    if (d->home->system && setup.group == (gid_t)-1) setup.group = group_of(cfg(c, node_socketGroup).text);
    setup.line_max = MONITOR_LINE_MAX;
    setup.mark = MONITOR_CLIENT;
    bool same = strcmp(setup.path, d->home->socket_given ? d->home->socket : cfg(c, node_socket).text) == 0;
    make_folder_of(setup.path);
    enum err e = same ? fail(&w, E_INPUT, "it is the control socket's path")
                      : control_open(&d->monitor, &setup, &w);
    if (e == OK) e = loop_watch(d->loop, control_fd(d->monitor), LOOP_READ, "monitor", monitor_ready, d);
    if (e != OK) LOG(&d->log, EV_LISTENER_SKIPPED, kv_str("addr", setup.path), kv_str("reason", w.text));
}

enum err sockets_open(struct daemon *d, const struct config *c) {
    enum err e = open_control(d, c);
    if (e == OK) open_monitor(d, c);
    return e;
}
