/* `send -f` of a file that is larger than a message: the node copies it from our descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "ops/send.h"
#include "proto/file.h"

struct sending_file {
    struct cli_progress progress;
    char step[16], what[300];
};

static bool on_event(struct cli *c, const struct json *event, void *user) {
    struct sending_file *s = user;
    char step[16];
    bytes_cstr(json_get_bytes(event, "step"), step, sizeof step);
    if (strcmp(step, s->step) != 0) { /* the copy is made, or the peer has begun: another rate */
        cli_progress_end(c, &s->progress);
        snprintf(s->step, sizeof s->step, "%s", step);
        s->progress = (struct cli_progress){.what = s->what};
        if (strcmp(step, "offered") == 0) cli_note(c, "The peer must accept it first.");
    }
    s->progress.total = (uint64_t)json_get_int(event, "bytes", 0);
    cli_progress(c, &s->progress, (uint64_t)json_get_int(event, "done", 0));
    return true;
}

/* The last part of the path; what a peer might take for an option or hide gets a letter in front. */
static enum err own_name(struct cli *c, const char *path, char name[FILE_NAME_MAX + 1]) {
    const char *last = strrchr(path, '/');
    last = last == NULL ? path : last + 1;
    int n = snprintf(name, FILE_NAME_MAX + 1, "%s%s", last[0] == '.' || last[0] == '-' ? "_" : "", last);
    const char *fault = n > FILE_NAME_MAX ? "a file's name has 1 to 255 bytes"
                                          : file_name_fault(bytes_of(name));
    return fault == NULL ? OK : fail(&c->why, E_INPUT, "%.100s: %s", path, fault);
}

static int send_to(struct cli *c, const char *peer, const char *name, int fd, uint64_t size) {
    struct buf params, line;
    struct sending_file s = {.step = ""};
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    bool wait = cli_given(c, "wait");
    int64_t wait_ms = 0;
    struct json_out o = cli_params(&params);
    enum err e = send_common(c, &o, &wait_ms);
    json_put_str(&o, "peer", peer);
    json_put_bool(&o, "progress", true);
    json_open(&o, "file", '{');
    json_put_str(&o, "name", name);
    json_put_uint(&o, "bytes", size);
    json_shut(&o, '}');
    json_shut(&o, '}');
    snprintf(s.what, sizeof s.what, "%s", name);
    c->pass_fd = fd;
    line = params;
    int64_t patience = wait && wait_ms == 0 ? -1 : wait_ms + MAX(c->timeout_ms, (int64_t)60000);
    if (e == OK) e = cli_stream(c, "send", buf_view(&line), patience, on_event, &s, &answer, &result);
    cli_progress_end(c, &s.progress);
    c->pass_fd = -1;
    buf_free(&params);
    int code;
    if (e == OK) {
        if (c->json) cli_print_json(result);
        code = send_judge(c, json_get(result, "items"), wait);
    } else {
        code = cli_exit(c, e);
    }
    json_free(answer);
    return code;
}

bool send_is_large(struct cli *c, const char *path, uint64_t *size) {
    struct stat st;
    if (cli_config(c) != OK || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return false;
    *size = (uint64_t)st.st_size;
    return *size > c->config->limits[LIMIT_BODY];
}

int send_large(struct cli *c, size_t n_peers, const char *path, uint64_t size) {
    char name[FILE_NAME_MAX + 1];
    int code = 0;
    enum err e = own_name(c, path, name);
    if (e == OK && !cli_node_runs(c))
        e = fail(&c->why, E_NOT_RUNNING,
                 "a file larger than messages.maxBody needs the node: start it, then send again");
    if (e != OK) return cli_exit(c, e);
    for (size_t i = 0; i < n_peers; i++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        int one;
        if (fd < 0)
            one = cli_exit(c,
                           fail(&c->why, errno == EACCES ? E_DENIED : E_IO, "%s: %s", path, strerror(errno)));
        else
            one = send_to(c, c->args[i], name, fd, size);
        if (fd >= 0) close(fd);
        if (one != 0)
            code = code == 0 && n_peers == 1 ? one : code == 0 && i == 0 ? one : err_exit(E_PARTIAL);
        else if (code != 0)
            code = err_exit(E_PARTIAL);
    }
    return code;
}
