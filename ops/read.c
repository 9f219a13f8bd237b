#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"
#include "node/alert.h"
#include "ops/alert_show.h"
#include "ops/cli.h"
#include "proto/message.h"

APPLET(read)
const struct opt read_opts[] = {{0, "raw", NULL, NULL, "the body alone, byte for byte"},
                                {'o', "output", "FILE", NULL, "save the body to a new file"},
                                {0, "keep-unread", NULL, NULL, "do not mark it as read"},
                                {0}};
const char read_text[] = "Usage: silktalk read ID [--raw] [-o FILE]\n"
                         "ID is the message's id, or a unique beginning or ending of 6 characters or more.\n"
                         "Alerts of other nodes are shown in words; --raw gives the object.\n"
                         "Examples:\n"
                         "  silktalk read 3f9a2b\n"
                         "  silktalk read 3f9a2b -o report.pdf\n";

static void field(const char *label, const struct json *r, const char *key) {
    struct buf safe = {.max = 4096};
    cli_safe(json_get_bytes(r, key), false, &safe);
    if (safe.n > 0) printf("%-9s %s\n", label, buf_cstr(&safe));
    buf_free(&safe);
}

static void time_field(const char *label, const struct json *r, const char *key) {
    struct buf text = {.max = 256};
    cli_time(json_get(r, key), &text);
    printf("%-9s %s\n", label, buf_cstr(&text));
    buf_free(&text);
}

static bool body_of(const struct json *r, struct buf *out) {
    out->max = MESSAGE_FRAME_MAX;
    const struct json *encoded = json_get(r, "body_base64");
    return encoded == NULL ? buf_add(out, json_get_bytes(r, "body"))
                           : base64_decode(out, json_bytes(encoded), false);
}

static enum err show(struct cli *c, const struct json *r) {
    struct buf body = {NULL, 0, 0, 0};
    const char *file = cli_value(c, "output");
    if (json_is_text(json_get(r, "file")) && (file != NULL || cli_given(c, "raw")))
        return fail(&c->why, E_INPUT, "this message is a file: save it with `silktalk file save ID [PATH]`");
    enum err e = body_of(r, &body) ? OK : fail(&c->why, E_PROTO, "the node's answer can not be read");
    if (e == OK && file != NULL) {
        e = file_create(file, buf_view(&body), 0600, &c->why);
        if (e == OK) cli_note(c, "%zu bytes saved to %s", body.n, file);
    } else if (e == OK && (cli_given(c, "raw") || json_get(r, "body_base64") != NULL)) {
        if (!cli_given(c, "raw") && c->terminal_out)
            e = fail(&c->why, E_USAGE, "the body is not text; save it with -o FILE, or pipe --raw");
        else
            fwrite(body.p, 1, body.n, stdout);
    } else if (e == OK) {
        struct buf safe = {.max = 32 << 20};
        field("From", r, json_is_text(json_get(r, "name")) ? "name" : "from");
        field("Peer ID", r, "from");
        time_field("Sent", r, "sent");
        time_field("Received", r, "received");
        field("Subject", r, "subject");
        field("Type", r, "content_type");
        field("Reply to", r, "reply_to");
        field("File", r, "file");
        field("Id", r, "id");
        if (json_is_text(json_get(r, "file"))) cli_note(c, "A file: save it with `silktalk file save`.");
        puts("");
        bool alert = bytes_is(json_get_bytes(r, "content_type"), ALERT_TYPE) && alert_show(buf_view(&body));
        if (!alert) cli_safe(buf_view(&body), true, &safe);
        fwrite(safe.p, 1, safe.n, stdout);
        if (safe.n > 0 && safe.p[safe.n - 1] != '\n') puts("");
        buf_free(&safe);
    }
    buf_free(&body);
    return e;
}

int read_main(struct cli *c) {
    struct buf params;
    struct json_doc *answer = NULL;
    const struct json *result = NULL;
    if (c->n_args != 1) return cli_usage(c, "read needs one id");
    struct json_out o = cli_params(&params);
    json_put_str(&o, "id", c->args[0]);
    json_put_bool(&o, "mark", !cli_given(c, "keep-unread"));
    enum err e = cli_ask(c, "read", &params, &o, c->timeout_ms, &answer, &result);
    if (e == OK && (!c->json || cli_given(c, "output"))) e = show(c, result);
    if (e == OK && c->json) cli_print_json(result);
    json_free(answer);
    return cli_exit(c, e);
}
