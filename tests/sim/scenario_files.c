/* tests/sim/scenario_files.c: what users do with large files, and what they were promised about them. */
#include "tests/sim/scenario_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/posix.h"

enum { LIST_ALL = 5000, PATTERN = 251, SMALL = 20000, MIB = 1 << 20, WINDOWS = 50 };

/* ---- contents */

static uint8_t byte_of(size_t file, size_t at) {
    return (uint8_t)(file * 59 + at % PATTERN + at / PATTERN);
}

static int make_source(size_t file, size_t size) {
    uint8_t *p = content_must(malloc(size + 1));
    for (size_t i = 0; i < size; i++) p[i] = byte_of(file, i);
    int fd = posix_source(bytes_at(p, size));
    free(p);
    if (fd < 0) abort();
    return fd;
}

static bool is_content(int fd, size_t file, size_t size) {
    static uint8_t part[64 << 10];
    size_t at = 0;
    for (ssize_t n; (n = pread(fd, part, sizeof part, (off_t)at)) > 0; at += (size_t)n)
        for (size_t i = 0; i < (size_t)n; i++)
            if (part[i] != byte_of(file, at + i)) return false;
    return at == size;
}

static size_t choose_size(struct scenario *s) {
    size_t kind = pick(s, 100);
    bool slow = s->w->net.bytes_per_s > 0 && s->w->net.bytes_per_s < 100000;
    /* Each window of a file costs some events: that many show nothing that fewer do not. */
    size_t most = s->w->net.window == 0 ? SIZE_MAX : s->w->net.window * WINDOWS;
    if (kind < 5) return 0;
    if (s->n > 100) return pick(s, SMALL);
    if (kind < 65) return pick(s, 5000);
    if (kind < 92 || slow) return pick(s, MIN(most, (size_t)300000));
    if (kind < 99 || s->n > 12) return pick(s, MIN(most, (size_t)2 * MIB));
    return MIN(most, 8 * (size_t)MIB + pick(s, 4 * MIB)); /* beyond FILES_SYNC_BYTES */
}

/* ---- what users do */

static void cancel_by_sender(struct world *w, void *user, uint64_t index) {
    struct scenario *s = user;
    struct sent_file *f = &s->files[index];
    (void)w;
    if (f->id[0] == 0 || !is_running(s, f->from)) return;
    f->cancelled_by_sender = true;
    ask_node(s, f->from, CLIENT_FILE_CANCEL, (size_t)index, "file.cancel", "{\"id\":\"%s\"}", f->id);
}

static void send_file_one(struct world *w, void *user, uint64_t arg) {
    struct scenario *s = user;
    size_t from = pick(s, s->n);
    (void)arg;
    if (!is_running(s, from) || s->near[from].n == 0 || s->n_files == s->most_files) return;
    size_t to = s->near[from].of[pick(s, s->near[from].n)], index = s->n_files++;
    struct sent_file *f = &s->files[index];
    int64_t life = chance(s, 85) ? 7LL * 24 * 3600 * 1000 : 1000 + (int64_t)pick(s, 60000);
    *f = (struct sent_file){.from = from, .to = to, .size = choose_size(s)};
    f->expires_ms = world_clocks(w, w->nodes[from]).wall.ms + life;
    w->request_fd = make_source(index, f->size);
    ask_node(s, from, CLIENT_FILE, index, "send",
             "{\"peer\":\"%s\",\"expires_ms\":%lld,\"file\":{\"name\":\"f%zu:\",\"bytes\":%zu}%s}",
             w->nodes[to]->id, (long long)life, index, f->size,
             chance(s, 10)  ? ",\"wait\":true"
             : chance(s, 5) ? ",\"wait\":true,\"progress\":true"
                            : "");
    if (chance(s, 8)) world_call(w, (int64_t)skewed(s, 20000000), cancel_by_sender, s, index);
}

static void look_at_files(struct world *w, void *user, uint64_t node) {
    struct scenario *s = user;
    (void)w;
    ask_node(s, (size_t)node, CLIENT_FILE_LIST, (size_t)node, "file.list", "{\"n\":%d}", LIST_ALL);
}

/* A person decides about what is offered, or thinks again about what is on its way. */
static void decide(struct scenario *s, size_t node, const struct json *item) {
    size_t index = index_behind('f', json_get_bytes(item, "name"));
    struct bytes id = json_get_bytes(item, "id"), state = json_get_bytes(item, "state");
    struct sent_file *f = index < s->n_files ? &s->files[index] : NULL;
    if (f == NULL) {
        world_break(s->w, "node %zu lists a file that nobody sent", node);
        return;
    }
    if (!bytes_is(json_get_bytes(item, "direction"), "in")) return;
    bool offered = bytes_is(state, "offered");
    if (offered && (s->healed || chance(s, 60))) {
        ask_node(s, node, CLIENT_FILE_ACCEPT, index, "file.accept", "{\"id\":\"%.*s\"}", (int)id.n,
                 (const char *)id.p);
    } else if (!s->healed && chance(s, offered ? 40 : bytes_is(state, "moving") ? 5 : 0)) {
        f->cancelled_by_receiver = true;
        ask_node(s, node, CLIENT_FILE_CANCEL, index, "file.cancel", "{\"id\":\"%.*s\"}", (int)id.n,
                 (const char *)id.p);
    }
}

void sent_files_heal(struct scenario *s) {
    for (size_t i = 0; i < s->n && s->n_files > 0; i++) look_at_files(s->w, s, i);
}

void sent_files_plan(struct scenario *s) {
    int64_t span = s->end_us - s->w->now_us;
    for (size_t i = 0; i < s->most_files; i++)
        world_call(s->w, (int64_t)pick(s, (size_t)span), send_file_one, s, 0);
    for (size_t i = 0; i < 4 * s->n && s->n <= 100; i++)
        world_call(s->w, (int64_t)pick(s, (size_t)span), look_at_files, s, pick(s, s->n));
}

/* ---- what comes back */

static void answer_file(struct scenario *s, size_t node, size_t index, const struct json *answer) {
    struct sent_file *f = index < s->n_files ? &s->files[index] : NULL;
    if (f == NULL || f->from != node || f->state != ASKED) {
        world_break(s->w, "node %zu answers for file %zu", node, index);
        return;
    }
    const struct json *items = json_get(json_get(answer, "result"), "items");
    bool refused = json_get(answer, "error") != NULL;
    f->state = !refused ? TAKEN : s->was_poor ? UNKNOWN : REFUSED;
    if (!refused) bytes_cstr(json_get_bytes(json_at(items, 0), "id"), f->id, sizeof f->id);
}

void sent_files_answered(struct scenario *s, size_t node, enum client client, size_t id,
                         const struct json *answer) {
    const struct json *items = json_get(json_get(answer, "result"), "items"), *item;
    if (client == CLIENT_FILE) answer_file(s, node, id, answer);
    if (client != CLIENT_FILE_LIST) return;
    for (size_t i = 0; json_item(items, &i, &item);) decide(s, node, item);
}

void sent_files_ended(struct scenario *s, size_t node) {
    for (size_t i = 0; i < s->n_files; i++)
        if (s->files[i].from == node && s->files[i].state == ASKED) s->files[i].state = UNKNOWN;
}

bool sent_files_is_quiet(const struct scenario *s) {
    for (size_t i = 0; i < s->n_files; i++)
        if (s->files[i].state == ASKED) return false;
    return true;
}

/* ---- the end */

void sent_files_found(struct scenario *s, size_t node, const struct sim_row *row) {
    struct world *w = s->w;
    size_t index = index_behind('f', row->file);
    struct sent_file *f = index < s->n_files ? &s->files[index] : NULL;
    if (f == NULL || f->to != node || strcmp(row->peer, w->nodes[f->from]->id) != 0)
        world_break(w, "node %zu has a file that is not its own", node);
    else if (++f->found > 1)
        world_break(w, "file %zu is twice in the inbox of node %zu", index, node);
}

/* Byte for byte, as `file save` would take it. */
static void open_file(struct scenario *s, size_t index, const char *id) {
    struct world *w = s->w;
    const struct sent_file *f = &s->files[index];
    const char *answer = world_ask(w, f->to, "file.open", "{\"id\":\"%s\"}", id);
    if (answer == NULL || strstr(answer, "\"result\"") == NULL || w->answer_fd < 0)
        world_break(w, "file %zu can not be opened at node %zu: %.200s", index, f->to,
                    answer == NULL ? "" : answer);
    else if (!is_content(w->answer_fd, index, f->size))
        world_break(w, "file %zu is not what was sent", index);
    if (w->answer_fd >= 0) close(w->answer_fd);
    w->answer_fd = -1;
}

static void note_row(struct scenario *s, size_t node, const struct json *item) {
    size_t index = index_behind('f', json_get_bytes(item, "name"));
    if (index >= s->n_files) return;
    struct sent_file *f = &s->files[index];
    bool in = bytes_is(json_get_bytes(item, "direction"), "in");
    if (node != (in ? f->to : f->from)) {
        world_break(s->w, "node %zu lists file %zu of others", node, index);
    } else if (in) {
        char id[2 * MESSAGE_ID + 1];
        f->rows_in++;
        bytes_cstr(json_get_bytes(item, "state"), f->state_in, sizeof f->state_in);
        bytes_cstr(json_get_bytes(item, "id"), id, sizeof id);
        if (strcmp(f->state_in, "complete") == 0) open_file(s, index, id);
    } else {
        f->rows_out++;
        bytes_cstr(json_get_bytes(item, "state"), f->state_out, sizeof f->state_out);
        bytes_cstr(json_get_bytes(item, "last_error"), f->error_out, sizeof f->error_out);
    }
}

static void read_lists(struct scenario *s, size_t node) {
    const char *line = world_ask(s->w, node, "file.list", "{\"n\":%d}", LIST_ALL);
    struct json_doc *doc = line == NULL ? NULL : json_parse(bytes_of(line), NULL);
    const struct json *items = doc == NULL ? NULL : json_get(json_get(json_root(doc), "result"), "items"),
                      *item;
    if (items == NULL)
        world_break(s->w, "node %zu does not list its files: %.200s", node, line == NULL ? "" : line);
    for (size_t i = 0; json_item(items, &i, &item);) note_row(s, node, item);
    json_free(doc);
}

static void judge_failed(struct scenario *s, size_t i) {
    struct world *w = s->w;
    const struct sent_file *f = &s->files[i];
    if (strcmp(f->error_out, "expired") == 0) {
        if (f->expires_ms > s->wall_max[f->from]) world_break(w, "file %zu expired too early", i);
    } else if (strcmp(f->error_out, "cancelled") == 0) {
        if (!f->cancelled_by_sender) world_break(w, "file %zu was cancelled by nobody", i);
    } else if (strcmp(f->error_out, "DENIED") == 0) {
        if (!f->cancelled_by_receiver) world_break(w, "file %zu was denied", i);
    } else {
        world_break(w, "file %zu failed: %s", i, f->error_out);
    }
}

static void judge(struct scenario *s, size_t i) {
    struct world *w = s->w;
    const struct sent_file *f = &s->files[i];
    bool there = f->found > 0, complete = strcmp(f->state_out, "complete") == 0,
         failed = strcmp(f->state_out, "failed") == 0;
    if (f->rows_out > 1 || f->rows_in > 1) world_break(w, "file %zu is listed twice", i);
    if (f->state == REFUSED && (there || f->rows_out > 0 || f->rows_in > 0))
        world_break(w, "file %zu was refused, and is there", i);
    if (f->state == TAKEN && f->rows_out == 0 && !f->cancelled_by_sender)
        world_break(w, "file %zu from node %zu is forgotten", i, f->from);
    if (f->rows_out > 0 && !complete && !failed)
        world_break(w, "file %zu from node %zu to node %zu stays %s: %s", i, f->from, f->to, f->state_out,
                    f->error_out);
    if (complete && !there)
        world_break(w, "file %zu was reported as delivered to node %zu, which does not have it", i, f->to);
    bool opened = strcmp(f->state_in, "complete") == 0;
    if (there != opened && !(there && f->cancelled_by_receiver))
        world_break(w, "file %zu is in the inbox: %d; its state is %s", i, there, f->state_in);
    if (failed) judge_failed(s, i);
}

void sent_files_check(struct scenario *s) {
    for (size_t i = 0; i < s->n && s->n_files > 0; i++) read_lists(s, i);
}

void sent_files_judge(struct scenario *s) {
    for (size_t i = 0; i < s->n_files; i++) judge(s, i);
}
