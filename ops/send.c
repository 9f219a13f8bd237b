#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "loop/clocks.h"
#include "ops/send.h"
#include "proto/message.h"
#include "store/spool.h"

APPLET(send)
const struct opt send_opts[] = {{'f', "file", "FILE", NULL, "the body is this file's content; of any size"},
                                {'s', "subject", "TEXT", NULL, "subject, at most 256 bytes"},
                                {'t', "type", "TYPE", NULL, "content type of the body"},
                                {0, "expires", "D", "messages.expiry, 7d", "give up after (1s to 90d)"},
                                {0, "reply-to", "ID", NULL, "id of the message that this one answers"},
                                {0, "wait", "[=D]", NULL, "wait for the receipts, at most D"},
                                OPT_DRY_RUN,
                                {0}};
const char send_text[] =
    "Usage: silktalk send PEER... [TEXT|-] [-f FILE] [-s SUBJECT] [--wait[=D]]\n"
    "The last word is the text (- reads it from standard input), unless -f names a file. A file beyond\n"
    "messages.maxBody travels in parts, is checked by its SHA-256 and goes on after any break.\n"
    "Returns when the message is on disk; the node delivers it, however long that takes. With the node\n"
    "down it waits in the spool. Prints one id for each peer.\n"
    "Exits 0 when it is kept (with --wait: stored there), 1 refused by the peer, 8 still queued when the\n"
    "wait ended (or in the spool), 9 outbox or spool full.\n"
    "Examples:\n"
    "  silktalk send web-02 \"disk replaced\"\n"
    "  silktalk send web-02 web-03 -s report -f report.txt --wait=30s\n"
    "  df -h | silktalk send admin -\n";

/* ---- the body */

static enum err read_all(struct cli *c, int fd, const char *name, struct buf *body) {
    struct cli_progress p = {.what = name};
    for (;;) {
        if (!buf_reserve(body, 65536))
            return fail(&c->why, E_INPUT, "%s is larger than a message may be (messages.maxBody)", name);
        ssize_t n = read(fd, body->p + body->n, 65536);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(&c->why, errno == EISDIR ? E_INPUT : E_IO, "%s: %s", name, strerror(errno));
        if (n == 0) break;
        body->n += (size_t)n;
        cli_progress(c, &p, body->n);
    }
    cli_progress_end(c, &p);
    return OK;
}

static enum err read_body(struct cli *c, const char *text, struct buf *body) {
    const char *file = cli_value(c, "file");
    if (file == NULL && strcmp(text, "-") != 0)
        return buf_add(body, bytes_of(text)) ? OK : fail(&c->why, E_INPUT, "the text is too long");
    if (file == NULL) return read_all(c, STDIN_FILENO, "standard input", body);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(&c->why,
                    errno == ENOENT   ? E_NOT_FOUND
                    : errno == EACCES ? E_DENIED
                                      : E_IO,
                    "%s: %s", file, strerror(errno));
    enum err e = read_all(c, fd, file, body);
    close(fd);
    return e;
}

/* ---- through the node */

int send_judge(struct cli *c, const struct json *items, bool wait) {
    size_t stored = 0, failed = 0, n = json_count(items);
    for (size_t i = 0; i < n; i++) {
        const struct json *item = json_at(items, i);
        struct bytes id = json_get_bytes(item, "id"), state = json_get_bytes(item, "state"),
                     error = json_get_bytes(item, "error");
        bool bad = bytes_is(state, "failed");
        stored += bytes_is(state, "stored") || bytes_is(state, "duplicate");
        failed += bad;
        if (c->json) continue;
        if (wait || bad)
            printf("%.*s %.*s%s%.*s\n", (int)id.n, (const char *)id.p, (int)state.n, (const char *)state.p,
                   error.n > 0 ? ": " : "", (int)error.n, (const char *)error.p);
        else
            printf("%.*s\n", (int)id.n, (const char *)id.p);
    }
    if (failed > 0) return failed == n ? err_exit(E_REFUSED) : err_exit(E_PARTIAL);
    if (!wait || stored == n) return 0;
    if (!c->json) cli_note(c, "still queued; see `silktalk outbox`");
    return err_exit(E_PARTIAL);
}

enum err send_common(struct cli *c, struct json_out *o, int64_t *wait_ms) {
    int64_t life = 0;
    bool wait = cli_given(c, "wait");
    enum err e = cli_duration(c, "wait", 0, wait_ms);
    if (e == OK) e = cli_duration(c, "expires", 0, &life);
    if (cli_given(c, "subject")) json_put_str(o, "subject", cli_value(c, "subject"));
    if (cli_given(c, "type")) json_put_str(o, "content_type", cli_value(c, "type"));
    if (cli_given(c, "reply-to")) json_put_str(o, "reply_to", cli_value(c, "reply-to"));
    if (cli_given(c, "expires")) json_put_int(o, "expires_ms", life);
    if (wait) json_put_bool(o, "wait", true);
    if (wait && *wait_ms > 0) json_put_int(o, "wait_ms", *wait_ms);
    return e;
}

static int through_node(struct cli *c, size_t n_peers, struct bytes body) {
    struct buf params, encoded = {.max = 8 << 20};
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    int64_t wait_ms = 0;
    bool wait = cli_given(c, "wait");
    struct json_out o = cli_params(&params);
    enum err e = send_common(c, &o, &wait_ms);
    if (e != OK) {
        buf_free(&params);
        return cli_exit(c, e);
    }
    json_open(&o, "peers", '[');
    for (size_t i = 0; i < n_peers; i++) json_put_str(&o, NULL, c->args[i]);
    json_shut(&o, ']');
    if (utf8_valid(body)) {
        json_put(&o, "body", body);
    } else {
        base64_encode(&encoded, body, false);
        json_put(&o, "body_base64", buf_view(&encoded));
    }
    buf_free(&encoded);
    e = cli_ask(c, "send", &params, &o, wait ? (wait_ms > 0 ? wait_ms + c->timeout_ms : -1) : c->timeout_ms,
                &answer, &result);
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

/* ---- with the node down */

static enum err spool_peer(struct cli *c, const char *word, struct peer_id *out) {
    struct buf addr = {.max = MULTIADDR_MAX};
    enum err e = OK;
    if (word[0] == '/') {
        e = multiaddr_parse(bytes_of(word), &addr, &c->why);
        if (e == OK) {
            *out = multiaddr_target(buf_view(&addr)).peer;
            if (out->n == 0) e = fail(&c->why, E_INPUT, "%s has no /p2p/ part", word);
        }
    } else if (!peer_id_parse(bytes_of(word), out)) {
        e = fail(&c->why, E_NOT_RUNNING,
                 "the node is not running, and only it knows the name %.60s; use the full Peer ID", word);
    }
    buf_free(&addr);
    return e;
}

static enum err reply_id(struct cli *c, struct message *m) {
    const char *text = cli_value(c, "reply-to");
    struct buf raw = {.max = MESSAGE_ID};
    if (text == NULL) return OK;
    m->has_reply_to = hex_decode(&raw, bytes_of(text)) && raw.n == MESSAGE_ID;
    if (m->has_reply_to) memcpy(m->reply_to, raw.p, MESSAGE_ID);
    buf_free(&raw);
    return m->has_reply_to ? OK : fail(&c->why, E_USAGE, "--reply-to takes an id of 32 hexadecimal digits");
}

static enum err into_spool(struct cli *c, const struct peer_id *peer, struct message *m, struct rng *rng,
                           struct json_out *items) {
    char text[PEER_TEXT_MAX];
    struct buf frame = {.max = MESSAGE_FRAME_MAX + 16}, id = {.max = 64};
    rng_fill(rng, m->id, MESSAGE_ID);
    enum err e = message_frame_write(&frame, m) ? OK : fail(&c->why, E_MEMORY, "out of memory");
    bool as_owner = home_as_owner(&c->home);
    if (e == OK)
        e = spool_write(c->home.spool, peer, (struct wall){(int64_t)m->sent_ms}, buf_view(&frame),
                        c->config->limits[LIMIT_SPOOL], &c->why);
    if (as_owner) home_as_self();
    if (e == OK) {
        hex_encode(&id, bytes_at(m->id, MESSAGE_ID));
        if (!c->json) printf("%s\n", buf_cstr(&id));
        peer_id_text(peer, text);
        json_open(items, NULL, '{');
        json_put_str(items, "id", buf_cstr(&id));
        json_put_str(items, "peer_id", text);
        json_put_str(items, "state", "spooled");
        json_put_null(items, "error");
        json_shut(items, '}');
    }
    buf_free(&id);
    buf_free(&frame);
    return e;
}

static int spool(struct cli *c, size_t n_peers, struct bytes body) {
    int64_t life;
    struct rng rng;
    struct message m = {.sent_ms = (uint64_t)clocks_now().wall.ms,
                        .body = body,
                        .subject = bytes_of(cli_value(c, "subject"))};
    enum err e = cli_config(c);
    if (e == OK && !home_exists(&c->home))
        e = fail(&c->why, E_NOT_RUNNING, "the node is not running, and there is no home at %s", c->home.dir);
    if (e == OK) e = cli_duration(c, "expires", cfg(c->config, messages_expiry).ms, &life);
    if (e == OK && (life < 1000 || life > 90LL * 24 * 3600 * 1000))
        e = fail(&c->why, E_INPUT, "a message lives between 1 second and 90 days");
    if (e == OK) e = reply_id(c, &m);
    if (e != OK) return cli_exit(c, e);
    m.expires_ms = m.sent_ms + (uint64_t)life;
    m.content_type = cli_given(c, "type")
                         ? bytes_of(cli_value(c, "type"))
                         : bytes_of(utf8_valid(body) ? MESSAGE_DEFAULT_TYPE : "application/octet-stream");
    if (body.n > c->config->limits[LIMIT_BODY])
        e = fail(&c->why, E_INPUT, "the body is larger than messages.maxBody");
    if (e == OK) e = message_check(&m, &c->why);
    struct peer_id *peers = NEW_ARRAY(struct peer_id, n_peers);
    if (peers == NULL) e = fail(&c->why, E_MEMORY, "out of memory");
    for (size_t i = 0; e == OK && i < n_peers; i++)
        e = spool_peer(c, c->args[i], &peers[i]); /* all, before any is written */
    struct buf line = {.max = 1 << 20};
    struct json_out o = json_begin(&line);
    size_t kept = 0;
    json_open(&o, NULL, '{');
    json_put_str(&o, "schema", "silktalk.send/1");
    json_open(&o, "items", '[');
    rng_system(&rng);
    for (; e == OK && kept < n_peers; kept += e == OK) e = into_spool(c, &peers[kept], &m, &rng, &o);
    json_shut(&o, ']');
    json_shut(&o, '}');
    if (c->json && kept > 0 && json_end(&o)) printf("%s\n", buf_cstr(&line));
    buf_free(&line);
    mem_free(peers);
    if (e != OK) return cli_exit(c, e);
    cli_note(c, "The node is not running: the message waits in the spool until it starts.");
    return cli_given(c, "wait") ? err_exit(E_PARTIAL) : 0;
}

int send_main(struct cli *c) {
    bool has_file = cli_given(c, "file");
    if (c->n_args < (has_file ? 1 : 2))
        return cli_usage(c, has_file ? "send to whom?" : "send needs a peer and a text (or -f FILE)");
    size_t n_peers = (size_t)c->n_args - !has_file;
    uint64_t size = 0;
    if (has_file && send_is_large(c, cli_value(c, "file"), &size))
        return send_large(c, n_peers, cli_value(c, "file"), size);
    struct buf body = {.max = MESSAGE_FRAME_MAX};
    enum err e = read_body(c, c->args[c->n_args - 1], &body);
    if (e == OK && cli_would(c, "send %zu bytes to %zu peers", body.n, n_peers)) {
        buf_free(&body);
        return 0;
    }
    int code = e != OK            ? cli_exit(c, e)
               : cli_node_runs(c) ? through_node(c, n_peers, buf_view(&body))
                                  : spool(c, n_peers, buf_view(&body));
    buf_free(&body);
    return code;
}
