/* Talking to the node: one request line, its answer or its events. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/clocks.h"
#include "ops/cli.h"

bool cli_process_stopped(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = pid <= 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *name_end = strrchr(text, ')'); /* the name may hold anything */
    return name_end != NULL && name_end[1] == ' ' && (name_end[2] == 'T' || name_end[2] == 't');
}

/* The control socket lets us not in: the one for reading may. Where even the configuration is not ours to
 * read, it is where a system has it. */
static enum err open_monitor(struct cli *c) {
    struct why first = c->why;
    const char *path = cli_config(c) == OK ? cfg(c->config, node_monitorSocket).text
                       : c->home.system    ? HOME_MONITOR
                                           : "";
    enum err e = path[0] == 0 ? E_DENIED : control_client_open(&c->node, path, c->timeout_ms, &c->why);
    c->at_monitor = e == OK;
    if (e == OK) return OK;
    c->why = first;
    return E_DENIED;
}

static enum err open_node(struct cli *c) {
    if (c->node.fd >= 0) return OK;
    const char *path = c->home.socket;
    c->at_monitor = false;
    if (!c->home.socket_given && cli_config(c) == OK) path = cfg(c->config, node_socket).text;
    enum err e = control_client_open(&c->node, path, c->timeout_ms, &c->why);
    if (e == E_DENIED && !c->home.socket_given) e = open_monitor(c);
    c->node.stop = c->stop;
    return e;
}

bool cli_node_runs(struct cli *c) {
    struct why kept = c->why;
    bool runs = open_node(c) == OK;
    c->why = kept;
    return runs;
}

static enum err send_request(struct cli *c, const char *method, struct bytes params) {
    struct buf line = {.max = 16 << 20};
    struct json_out o = json_begin(&line);
    json_open(&o, NULL, '{');
    json_put_int(&o, "v", 1);
    json_put_int(&o, "id", 1);
    json_put_str(&o, "method", method);
    if (params.n > 0) json_put_raw(&o, "params", params);
    json_shut(&o, '}');
    enum err e = json_end(&o)
                     ? control_client_send(&c->node, buf_view(&line), c->pass_fd, c->timeout_ms, &c->why)
                     : fail(&c->why, E_LIMIT, "the request is too long");
    buf_free(&line);
    c->pass_fd = -1;
    return e;
}

/* What the node says went wrong, as an error of ours. */
static enum err node_error(struct cli *c, const struct json *error) {
    char name[32];
    char text[sizeof c->why.text];
    bytes_cstr(json_get_bytes(error, "name"), name, sizeof name);
    bytes_cstr(json_get_bytes(error, "message"), text, sizeof text);
    return fail(&c->why, err_of_name(name), "%s", text);
}

enum err cli_stream(struct cli *c, const char *method, struct bytes params, int64_t timeout_ms,
                    bool (*on_event)(struct cli *c, const struct json *event, void *user), void *user,
                    struct json_doc **answer, const struct json **result) {
    *answer = NULL;
    *result = NULL;
    enum err e = open_node(c);
    if (e == OK) e = send_request(c, method, params);
    while (e == OK) {
        struct bytes line;
        e = control_client_next(&c->node, &line, timeout_ms, &c->why);
        pid_t pid = e == E_TIMEOUT ? control_client_peer(&c->node) : 0;
        if (cli_process_stopped(pid))
            fail(&c->why, e, "The node is stopped, so it does not answer: kill -CONT %ld", (long)pid);
        if (e != OK) break;
        struct json_doc *doc = json_parse(line, &c->why);
        if (doc == NULL) {
            struct why inner = c->why;
            e = fail(&c->why, E_PROTO, "the node's answer is not JSON: %.150s", inner.text);
            break;
        }
        const struct json *root = json_root(doc), *event = json_get(root, "event"),
                          *error = json_get(root, "error");
        if (event != NULL) {
            bool more = on_event == NULL || on_event(c, event, user);
            json_free(doc);
            if (!more) return OK;
            continue;
        }
        if (error != NULL) {
            bool nobody = json_get(root, "id") == NULL || json_is_null(json_get(root, "id"));
            e = node_error(c, error);
            json_free(doc);
            if (e != E_DENIED || !nobody || c->at_monitor || c->home.socket_given) return e;
            control_client_close(&c->node); /* it knows who we are, and lets us not in */
            e = open_monitor(c);
            if (e == OK) e = send_request(c, method, params);
            continue;
        }
        if (json_get(root, "end") != NULL) { /* of a stream: there is no more */
            json_free(doc);
            return OK;
        }
        *answer = doc;
        *result = json_get(root, "result");
        return OK;
    }
    control_client_close(&c->node); /* a late answer must not be taken for the next one's */
    return e;
}

enum err cli_call(struct cli *c, const char *method, struct bytes params, int64_t timeout_ms,
                  struct json_doc **answer, const struct json **result) {
    return cli_stream(c, method, params, timeout_ms, NULL, NULL, answer, result);
}

struct json_out cli_params(struct buf *params) {
    *params = (struct buf){.max = 16 << 20};
    struct json_out o = json_begin(params);
    json_open(&o, NULL, '{');
    return o;
}

enum err cli_ask(struct cli *c, const char *method, struct buf *params, struct json_out *o,
                 int64_t timeout_ms, struct json_doc **answer, const struct json **result) {
    json_shut(o, '}');
    enum err e = json_end(o) ? cli_call(c, method, buf_view(params), timeout_ms, answer, result)
                             : fail(&c->why, E_LIMIT, "the request is too long");
    buf_free(params);
    return e;
}

int cli_verb(struct cli *c, const char *method, struct buf *params, struct json_out *o,
             void (*show)(struct cli *c, const struct json *result)) {
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    enum err e = cli_ask(c, method, params, o, c->timeout_ms, &answer, &result);
    if (e == OK && c->json)
        cli_print_json(result);
    else if (e == OK && show != NULL)
        show(c, result);
    json_free(answer);
    return cli_exit(c, e);
}
