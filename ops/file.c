#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "loop/file.h"
#include "ops/cli.h"

enum { PART = 1 << 20 };

APPLET(file)
const struct opt file_opts[] = {{'n', "number", "N", "1000", "most rows"}, OPT_DRY_RUN, {0}};
const char file_text[] =
    "Usage: silktalk file list | accept ID... | save ID [PATH] | cancel ID...\n"
    "Files larger than a message, both ways. `silktalk send PEER -f FILE` sends one.\n"
    "accept takes a file that a peer offers whom files.from does not let in; save writes a received file\n"
    "to PATH (or its own name here; a folder gets it under its name), never over another; cancel ends a\n"
    "transfer, refuses an offer, or deletes a received file (it asks).\n"
    "Examples:\n"
    "  silktalk file list\n"
    "  silktalk file accept 3f9a2b\n"
    "  silktalk file save 3f9a2b /srv/in/\n"
    "  silktalk file cancel 3f9a2b\n";

CELL(id, text, "id")
CELL(peer_id, id, "peer_id")
CELL(direction, text, "direction")
CELL(state, text, "state")
CELL(size, size, "bytes")
CELL(done, size, "done")
CELL(name, text, "name")
static const struct cli_column columns[] = {
    {"ID", false, id},       {"PEER-ID", false, peer_id}, {"DIRECTION", false, direction},
    {"STATE", false, state}, {"BYTES", true, size},       {"DONE", true, done},
    {"NAME", false, name}};

static void show(struct cli *c, const struct json *r) {
    cli_table(c, columns, LEN(columns), json_get(r, "items"));
}

/* ---- save */

/* A folder: the file's own name in it. */
static enum err choose_path(struct cli *c, const struct json *item, const char *given, char path[PATH_SIZE]) {
    struct stat st;
    char own[256];
    if (!bytes_cstr(json_get_bytes(item, "name"), own, sizeof own) || own[0] == 0 || strchr(own, '/') != NULL)
        return fail(&c->why, E_PROTO, "the node's answer can not be read");
    bool folder = given != NULL && stat(given, &st) == 0 && S_ISDIR(st.st_mode);
    int n = given == NULL ? snprintf(path, PATH_SIZE, "%s", own)
            : folder      ? snprintf(path, PATH_SIZE, "%s/%s", given, own)
                          : snprintf(path, PATH_SIZE, "%s", given);
    return n > 0 && n < PATH_SIZE - 16 ? OK : fail(&c->why, E_INPUT, "the path is too long");
}

static enum err copy(struct cli *c, int from, int to, uint64_t size, const char *what,
                     uint8_t hash[SHA256_SIZE]) {
    struct cli_progress p = {.what = what, .total = size};
    struct sha256 sum;
    uint64_t done = 0;
    enum err e = OK;
    uint8_t *part = mem_new(PART, 1);
    if (part == NULL) return fail(&c->why, E_MEMORY, "out of memory");
    sha256_start(&sum);
    while (e == OK) {
        ssize_t n = read(from, part, PART);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) e = fail(&c->why, E_IO, "the file can not be read: %s", strerror(errno));
        if (n <= 0) break;
        sha256_add(&sum, bytes_at(part, (size_t)n));
        for (ssize_t at = 0, w; e == OK && at < n; at += w) {
            w = write(to, part + at, (size_t)(n - at));
            if (w < 0 && errno == EINTR) w = 0;
            if (w < 0)
                e = fail(&c->why, errno == ENOSPC ? E_LIMIT : E_IO, "writing failed: %s", strerror(errno));
        }
        done += (uint64_t)n;
        cli_progress(c, &p, done);
    }
    cli_progress_end(c, &p);
    sha256_end(&sum, hash);
    mem_free(part);
    if (e == OK && done != size) e = fail(&c->why, E_VERIFY, "the kept file has not its size any more");
    if (e == OK && fsync(to) != 0) e = fail(&c->why, E_IO, "writing failed: %s", strerror(errno));
    return e;
}

/* Written beside its place under another name, and linked there when it is whole: never over another file. */
static enum err write_out(struct cli *c, const struct json *item, int from, const char *path) {
    char part[PATH_SIZE + 8];
    uint8_t hash[SHA256_SIZE], wanted[SHA256_SIZE];
    struct buf raw = {wanted, 0, sizeof wanted, sizeof wanted};
    if (access(path, F_OK) == 0)
        return fail(&c->why, E_REFUSED, "%s is there already: name another path", path);
    snprintf(part, sizeof part, "%s.part", path);
    unlink(part); /* the rest of a save that was cut off */
    int to = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0) return fail(&c->why, file_error(errno), "%s: %s", part, strerror(errno));
    enum err e = copy(c, from, to, (uint64_t)json_get_int(item, "bytes", 0), path, hash);
    close(to);
    if (e == OK && !(hex_decode(&raw, json_get_bytes(item, "sha256")) && raw.n == sizeof wanted &&
                     crypto_equal(hash, wanted, sizeof wanted)))
        e = fail(&c->why, E_VERIFY,
                 "the kept file is damaged: its SHA-256 is not what it was; ask for it again");
    if (e == OK && link(part, path) != 0)
        e = errno == EEXIST ? fail(&c->why, E_REFUSED, "%s is there already: name another path", path)
                            : fail(&c->why, file_error(errno), "%s: %s", path, strerror(errno));
    unlink(part);
    return e;
}

static int save(struct cli *c) {
    struct buf params;
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    char path[PATH_SIZE];
    struct json_out o = cli_params(&params);
    json_put_str(&o, "id", c->args[1]);
    enum err e = cli_ask(c, "file.open", &params, &o, c->timeout_ms, &answer, &result);
    int fd = control_client_take_fd(&c->node);
    const struct json *item = json_at(json_get(result, "items"), 0);
    if (e == OK && fd < 0) e = fail(&c->why, E_PROTO, "the node sent no file along");
    if (e == OK) e = choose_path(c, item, c->n_args > 2 ? c->args[2] : NULL, path);
    if (e == OK) e = write_out(c, item, fd, path);
    if (e == OK && c->json) {
        struct buf line = {.max = 2 * PATH_SIZE};
        struct json_out r = json_begin(&line);
        json_open(&r, NULL, '{');
        json_put_str(&r, "schema", "silktalk.file.save/1");
        json_put(&r, "id", json_get_bytes(item, "id"));
        json_put_str(&r, "path", path);
        json_put(&r, "sha256", json_get_bytes(item, "sha256"));
        json_shut(&r, '}');
        puts(buf_cstr(&line));
        buf_free(&line);
    } else if (e == OK) {
        cli_note(c, "saved to %s", path);
    }
    if (fd >= 0) close(fd);
    json_free(answer);
    return cli_exit(c, e);
}

/* ---- accept, cancel: as many as are named; the worst result counts */

static int each(struct cli *c, const char *method) {
    int code = 0;
    bool accepts = strcmp(method, "file.accept") == 0;
    for (int i = 1; c->dry_run && i < c->n_args; i++)
        cli_would(c, accepts ? "accept %.40s" : "cancel %.40s, and delete what is kept of it", c->args[i]);
    if (c->dry_run) return 0;
    if (!accepts && !cli_confirm(c, "Cancel? What is kept of it is deleted."))
        return cli_usage(c, "not confirmed; --yes cancels without asking");
    for (int i = 1; i < c->n_args; i++) {
        struct buf params;
        struct json_out o = cli_params(&params);
        json_put_str(&o, "id", c->args[i]);
        int one = cli_verb(c, method, &params, &o, NULL);
        if (one != 0) code = code == 0 || code == one ? one : err_exit(E_PARTIAL);
    }
    return code;
}

int file_main(struct cli *c) {
    struct buf params;
    int64_t n;
    const char *verb = c->n_args > 0 ? c->args[0] : "list";
    if (strcmp(verb, "save") == 0)
        return c->n_args == 2 || c->n_args == 3 ? save(c)
                                                : cli_usage(c, "file save needs one id, and may have a path");
    if (strcmp(verb, "accept") == 0 || strcmp(verb, "cancel") == 0)
        return c->n_args < 2 ? cli_usage(c, "which file? give its id")
                             : each(c, verb[0] == 'a' ? "file.accept" : "file.cancel");
    if (strcmp(verb, "list") != 0 || c->n_args > 1)
        return cli_usage(c, "file knows list, accept, save and cancel");
    enum err e = cli_number(c, "number", 1000, 1, 5000, &n);
    if (e != OK) return cli_exit(c, e);
    struct json_out o = cli_params(&params);
    json_put_int(&o, "n", n);
    return cli_verb(c, "file.list", &params, &o, show);
}
