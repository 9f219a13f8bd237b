/* Requests about large files: send with a descriptor, list, accept, cancel, open. */
#include "tests/node/files_help.h"

enum { SIZE = 3 << 20 };
#define ANY_FILES ANY "[files]\nfrom = any\n"

TEST(send_checks_what_comes_with_it) {
    struct world *w = files_world();
    size_t a = node_with(w, "[files]\nquota = 4MiB\n"), b = world_add(w, ANY_FILES);
    const char *to = world_address(w, b);
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"file\":{\"name\":\"x\",\"bytes\":1}}", to),
              "usage"); /* no fd */
    static const char *const names[] = {"", "a/b", "..", ".", ".x", "-x", "a\\u0000b", "a\\u001bb", "a\\nb"};
    for (size_t i = 0; i < LEN(names); i++) must_fail(send_file_to(w, a, b, names[i], 10, ""), "input");
    char longest[258];
    memset(longest, 'n', sizeof longest);
    longest[256] = 0;
    must_fail(send_file_to(w, a, b, longest, 10, ""), "input");
    w->request_fd = content(w, 10);
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"file\":{\"name\":\"x\"}}", to), "usage");
    w->request_fd = content(w, 10);
    must_fail(
        world_ask(w, a, "send", "{\"peers\":[\"%s\",\"%s\"],\"file\":{\"name\":\"x\",\"bytes\":10}}", to, to),
        "usage");
    must_fail(send_file_to(w, a, b, "big", 5 << 20, ""), "limit");
    w->request_fd = open("/dev/null", O_RDONLY);
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"file\":{\"name\":\"x\",\"bytes\":10}}", to),
              "input");
    w->request_fd = open("/", O_RDONLY);
    must_fail(world_ask(w, a, "send", "{\"peer\":\"%s\",\"file\":{\"name\":\"x\",\"bytes\":10}}", to),
              "input");
    CHECK(world_count(w, a, "SELECT count(*) FROM files") == 0 && node_of(w, a)->files_out == NULL);
    longest[255] = 0;
    must_have(send_file_to(w, a, b, longest, 10, ""), "\"state\":\"queued\"");
    end_world(w);
}

TEST(a_descriptor_for_a_request_without_use_is_closed) {
    struct world *w = files_world();
    size_t a = node_with(w, "");
    int fd = content(w, 10);
    w->request_fd = fd;
    world_ask(w, a, "version", "{}");
    CHECK(fcntl(fd, F_GETFD) == -1 && node_of(w, a)->request_fd == -1);
    end_world(w);
}

TEST(the_file_arrives_and_is_listed_and_opened) {
    struct world *w = files_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY_FILES);
    const char *answer = send_file_to(w, a, b, "report.bin", SIZE, ",\"wait\":true,\"progress\":true");
    must_have(answer, "\"event\":{\"step\":\"copying\"");
    must_have(answer, "\"event\":{\"step\":\"sending\"");
    must_have(answer, "\"state\":\"stored\"");
    CHECK(received(w, b, "report.bin") == SIZE && files_sent(w, a, 5000));
    answer = world_ask(w, b, "file.list", "{}");
    must_have(answer, "\"schema\":\"silktalk.file/1\"");
    must_have(answer, "\"direction\":\"in\",\"state\":\"complete\"");
    must_have(answer, "\"name\":\"report.bin\"");
    must_have(answer, w->nodes[a]->id);
    must_have(world_ask(w, b, "inbox", "{}"), "\"file\":\"report.bin\"");
    char id[33] = "";
    memcpy(id, strstr(answer, "\"id\":\"") + 6, 32);
    must_have(world_ask(w, b, "file.open", "{\"id\":\"%s\"}", id), "\"name\":\"report.bin\"");
    char first[4096];
    CHECK(w->answer_fd >= 0 && read(w->answer_fd, first, sizeof first) == 4096 && first[1] == 31);
    CHECK((fcntl(w->answer_fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    must_fail(world_ask(w, b, "file.open", "{\"id\":\"ffffffffffffffffffffffffffffffff\"}"), "not_found");
    must_fail(world_ask(w, b, "file.open", "{}"), "usage");
    must_have(world_ask(w, b, "file.cancel", "{\"id\":\"%s\"}", id), "\"result\""); /* frees the space */
    CHECK(received(w, b, "report.bin") == -1);
    must_fail(world_ask(w, b, "file.open", "{\"id\":\"%s\"}", id), "not_found");
    end_world(w);
}

TEST(an_offer_waits_until_it_is_accepted) {
    struct world *w = files_world();
    size_t a = node_with(w, ""), b = node_with(w, ""); /* files.from = known: a is not */
    must_have(send_file_to(w, a, b, "f", SIZE, ""), "\"state\":\"queued\"");
    world_run(w, 5000);
    const char *answer = world_ask(w, b, "file", "{}");
    must_have(answer, "\"state\":\"offered\"");
    must_have(world_ask(w, a, "file", "{}"), "\"direction\":\"out\"");
    CHECK(received(w, b, "f") == -1);
    char id[33] = "";
    memcpy(id, strstr(answer, "\"id\":\"") + 6, 32);
    must_have(world_ask(w, b, "status", "{}"), "\"offered\":1");
    must_have(world_ask(w, b, "file.accept", "{\"id\":\"%s\"}", id), "\"result\"");
    CHECK(files_sent(w, a, 60000) && received(w, b, "f") == SIZE);
    must_fail(world_ask(w, b, "file.accept", "{}"), "usage");
    must_fail(world_ask(w, b, "file.accept", "{\"id\":\"ffffffffffffffffffffffffffffffff\"}"), "not_found");
    end_world(w);
}

TEST(a_refused_offer_fails_at_the_sender) {
    struct world *w = files_world();
    size_t a = node_with(w, ""), b = node_with(w, "");
    send_file_to(w, a, b, "f", SIZE, "");
    world_run(w, 5000);
    char id[33] = "";
    memcpy(id, strstr(world_ask(w, b, "file", "{}"), "\"id\":\"") + 6, 32);
    must_have(world_ask(w, b, "file.cancel", "{\"id\":\"%s\"}", id), "\"result\"");
    CHECK(files_sent(w, a, 60000));
    must_have(world_ask(w, a, "file", "{}"), "\"state\":\"failed\"");
    end_world(w);
}

static void fill_disk(struct world *w, size_t node, struct store_op *op, bool done) {
    if (done && op->kind == STORE_FILE_ADD) w->nodes[node]->disk.full_after = 0;
}

/* SEED=503383: its row stayed, as moving, until the next start. */
TEST(a_copy_that_the_disk_was_too_full_for_leaves_nothing) {
    struct world *w = files_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY_FILES);
    w->on_store = fill_disk;
    must_fail(send_file_to(w, a, b, "f", 0, ""), "limit");
    world_run(w, 20000);
    w->nodes[a]->disk.full_after = -1; /* somebody made room */
    world_run(w, 10000);
    must_have(world_ask(w, a, "file", "{}"), "\"items\":[]");
    CHECK(node_of(w, a)->half_copies == NULL && received(w, b, "f") == -1);
    end_world(w);
}

/* The client goes while its file is copied: half a copy is no file. */
TEST(a_client_that_goes_while_copying_leaves_nothing) {
    struct world *w = files_world();
    size_t a = node_with(w, ""), b = node_with(w, ANY_FILES);
    w->nodes[a]->commit_us = 200000;
    char line[300];
    snprintf(
        line, sizeof line,
        "{\"id\":1,\"method\":\"send\",\"params\":{\"peer\":\"%s\",\"file\":{\"name\":\"f\",\"bytes\":%d}}}",
        world_address(w, b), SIZE);
    w->request_fd = content(w, SIZE);
    world_tell(w, a, 5, bytes_of(line));
    world_run(w, 10); /* the row is being made */
    node_client_gone(node_of(w, a), 5);
    CHECK(files_sent(w, a, 60000));
    world_run(w, 10000);
    must_have(world_ask(w, a, "file", "{}"), "\"items\":[]");
    CHECK(received(w, b, "f") == -1);
    end_world(w);
}
