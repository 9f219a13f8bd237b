/* The spool: writing, taking, and everything a hostile member of the group could put there. */
#include "store/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/un.h>
#include <sys/socket.h>
#include <utime.h>

#include "help.h"

static const char *spool_of(const char *folder) {
    static char path[512];
    join(path, sizeof path, folder, "spool");
    mkdir(path, 0700);
    return path;
}

static size_t count_in(const char *folder, const char *name) {
    char path[600];
    join(path, sizeof path, folder, name);
    DIR *d = opendir(path);
    size_t n = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += bytes_ends(bytes_of(e->d_name), ".msg");
    if (d != NULL) closedir(d);
    return n;
}

static enum err spool(const char *folder, uint64_t to, uint64_t n, uint64_t most) {
    struct buf frame = {.max = 1 << 20};
    struct why w = {OK, ""};
    struct peer_id peer = peer_number(to);
    add_frame(&frame, n, BYTES("spooled"));
    enum err e = spool_write(folder, &peer, (struct wall){NOW_MS}, buf_view(&frame), most, &w);
    buf_free(&frame);
    return e;
}

static struct store_op take(struct db *db) {
    struct store_op op = op_of(STORE_SPOOL_TAKE);
    op.limits[1] = 1 << 30;
    op.count = 1000;
    db_run(db, &op);
    CHECK(op.err == OK, "%s", op.why.text);
    return op;
}

static void take_and_expect(struct db *db, uint64_t want, const char *says) {
    struct store_op op = take(db);
    CHECK(op.count == want, "%" PRIu64 " taken, not %" PRIu64 ": %s: %s", op.count, want, op.text,
          op.why.text);
    CHECK(bytes_has(bytes_of(op.why.text), bytes_of(says)), "\"%s\" does not say \"%s\"", op.why.text, says);
    op_end(&op);
}

/* The numbers of the queued messages, in the order of sending. */
static size_t queued(struct db *db, uint64_t *numbers, size_t most) {
    struct store_op op = op_of(STORE_OUTBOX_LIST);
    size_t n = 0;
    db_run(db, &op);
    struct json_doc *doc = list_of(&op);
    for (; n < json_count(json_root(doc)) && n < most; n++) {
        uint8_t id[MESSAGE_ID];
        struct buf binary = {id, 0, MESSAGE_ID, MESSAGE_ID};
        CHECK(hex_decode(&binary, json_get_bytes(json_at(json_root(doc), n), "id")));
        numbers[n] = get_u64(id + 8);
    }
    json_free(doc);
    op_end(&op);
    return n;
}

TEST(spool_is_taken_in_the_order_of_writing) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    uint64_t numbers[8];
    for (uint64_t i = 0; i < 5; i++) CHECK(spool(dir, i % 2, 100 - i, 10) == OK);
    CHECK(count_in(folder, "spool") == 5);
    struct db *db = open_in(folder);
    struct store_op op = take(db);
    CHECK(op.count == 5 && !op.more && op.text[0] == 0);
    struct rd r = rd_of(buf_view(&op.out));
    size_t peers = 0;
    uint32_t messages = 0;
    for (; r.in.n > 0; peers++) {
        rd_take(&r, rd_u8(&r));
        messages += rd_u32(&r);
        rd_take(&r, 24);
    }
    CHECK(!r.bad && peers == 2 && messages == 5);
    op_end(&op);
    CHECK(count_in(folder, "spool") == 0 && queued(db, numbers, 8) == 5);
    for (uint64_t i = 0; i < 5; i++) CHECK(numbers[i] == 100 - i);
    take_and_expect(db, 0, "");
    check_db(db);
    db_close(db);
}

TEST(spool_files_are_for_the_group_whatever_the_umask) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    mode_t old = umask(0077);
    CHECK(spool(dir, 1, 1, 10) == OK);
    umask(old);
    DIR *d = opendir(dir);
    struct stat st;
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            CHECK(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0, "%s is left", e->d_name);
        if (e->d_name[0] == '.') continue;
        CHECK(fstatat(dirfd(d), e->d_name, &st, 0) == 0 && (st.st_mode & 07777) == 0640);
        n++;
    }
    closedir(d);
    CHECK(n == 1);
}

TEST(spool_is_full_at_its_limit) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    for (uint64_t i = 0; i < 3; i++) CHECK(spool(dir, 1, i, 3) == OK);
    CHECK(spool(dir, 1, 3, 3) == E_LIMIT && count_in(folder, "spool") == 3);
    CHECK(spool(dir, 1, 3, 4) == OK);
    char path[600];
    join(path, sizeof path, folder, "missing");
    CHECK(spool(path, 1, 4, 10) == E_NOT_FOUND);
}

/* The commit was there, the crash came before the file was removed: the same file again. */
TEST(spool_file_taken_twice_is_one_message) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    char copy[600], name[300] = "";
    CHECK(spool(dir, 1, 1, 10) == OK);
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') snprintf(name, sizeof name, "%s", e->d_name);
    closedir(d);
    join(copy, sizeof copy, dir, name);
    size_t n;
    char *content = test_file(copy, &n);
    struct db *db = open_in(folder);
    take_and_expect(db, 1, "");
    write_text(dir, name, bytes_at(content, n));
    take_and_expect(db, 0, "");
    CHECK(count_in(folder, "spool") == 0 && total_of(db, "outbox") == 1);
    free(content);
    check_db(db);
    db_close(db);
}

TEST(spool_garbage_is_moved_aside_and_named) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    struct buf good = {.max = 4096}, frame = {.max = 4096};
    char peer[PEER_TEXT_MAX];
    struct peer_id id = peer_number(1);
    peer_to_text(&id, peer);
    add_frame(&frame, 1, BYTES("x"));
    struct db *db = open_in(folder);
    const char *const heads[] = {"",
                                 "\n",
                                 "x\n",
                                 "{}\n",
                                 "[]\n",
                                 "{\"v\":2,\"peer\":\"%s\"}\n",
                                 "{\"v\":1,\"peer\":\"nobody\"}\n",
                                 "{\"v\":1,\"peer\":5}\n",
                                 "{\"v\":1}\n",
                                 "{\"v\":1,\"peer\":\"%s\"}",
                                 "{\"v\":1,\"peer\":\"%s\"} x\n",
                                 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\n"};
    for (size_t i = 0; i < LEN(heads); i++) {
        char head[256], name[32];
        const char *hole = strstr(heads[i], "%s");
        if (hole == NULL)
            snprintf(head, sizeof head, "%s", heads[i]);
        else
            snprintf(head, sizeof head, "%.*s%s%s", (int)(hole - heads[i]), heads[i], peer, hole + 2);
        buf_clear(&good);
        CHECK(buf_add_text(&good, head) && buf_add(&good, buf_view(&frame)));
        snprintf(name, sizeof name, "bad%02zu.msg", i);
        write_text(dir, name, buf_view(&good));
        struct store_op op = take(db);
        CHECK(op.count == 0 && strcmp(op.text, name) == 0 && op.why.text[0] != 0, "%s", heads[i]);
        op_end(&op);
    }
    CHECK(count_in(folder, "spool") == 0 && count_in(folder, "spool/refused") == LEN(heads));
    buf_clear(&good); /* the right head, and a frame cut everywhere */
    CHECK(buf_add_format(&good, "{\"v\":1,\"peer\":\"%s\",\"created_ms\":1}\n", peer));
    size_t head = good.n;
    CHECK(buf_add(&good, buf_view(&frame)));
    for (size_t cut = 0; cut < good.n; cut++) {
        write_text(dir, "cut.msg", bytes_sub(buf_view(&good), 0, cut));
        take_and_expect(db, 0, "");
        CHECK(count_in(folder, "spool") == 0, "cut at %zu of %zu", cut, head);
    }
    write_text(dir, "more.msg", buf_view(&good));
    CHECK(buf_add_byte(&good, 0));
    write_text(dir, "long.msg", buf_view(&good));
    take_and_expect(db, 1, "");
    CHECK(total_of(db, "outbox") == 1);
    buf_free(&good);
    buf_free(&frame);
    db_close(db);
}

TEST(spool_takes_only_plain_files) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    char path[600], other[600];
    CHECK(spool(dir, 1, 1, 10) == OK);
    struct db *db = open_in(folder);
    join(other, sizeof other, folder, "silktalk.db");
    join(path, sizeof path, dir, "1-link.msg");
    CHECK(symlink(other, path) == 0);
    join(path, sizeof path, dir, "2-fifo.msg");
    CHECK(mkfifo(path, 0644) == 0);
    join(path, sizeof path, dir, "3-folder.msg");
    CHECK(mkdir(path, 0755) == 0);
    join(path, sizeof path, dir, "4-loop.msg");
    CHECK(symlink("4-loop.msg", path) == 0);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    join(path, sizeof path, dir, "5.msg");
    if (strlen(path) < sizeof address.sun_path) {
        memcpy(address.sun_path, path, strlen(path) + 1);
        CHECK(bind(s, (struct sockaddr *)&address, sizeof address) == 0);
    }
    close(s);
    take_and_expect(db, 1, "");
    CHECK(count_in(folder, "spool") == 0 && count_in(folder, "spool/refused") >= 4);
    CHECK(file_is_there(folder, "silktalk.db"));
    check_db(db);
    db_close(db);
}

TEST(spool_refuses_second_names_of_other_files) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    char path[600], other[600];
    write_text(folder, "secret", BYTES("{\"v\":1}\n"));
    join(other, sizeof other, folder, "secret");
    join(path, sizeof path, dir, "a.msg");
    CHECK(link(other, path) == 0);
    struct db *db = open_in(folder);
    take_and_expect(db, 0, "another name");
    CHECK(count_in(folder, "spool") == 0 && file_is_there(folder, "secret"));
    db_close(db);
}

TEST(spool_asks_who_a_file_belongs_to) {
    if (geteuid() != 0) SKIP("needs root: files of another user");
    const char *folder = test_dir(), *dir = spool_of(folder);
    DIR *d;
    struct db *db = open_in(folder);
    for (size_t i = 0; i < 2; i++) { /* a private folder, then one for group 7 */
        CHECK(spool(dir, 1, i, 10) == OK);
        d = opendir(dir);
        for (struct dirent *e; (e = readdir(d)) != NULL;)
            if (bytes_ends(bytes_of(e->d_name), ".msg"))
                CHECK(fchownat(dirfd(d), e->d_name, 12345, 7, 0) == 0);
        closedir(d);
        if (i == 1) CHECK(chown(dir, 0, 7) == 0 && chmod(dir, 03770) == 0);
        take_and_expect(db, i, i == 0 ? "stranger" : "");
    }
    db_close(db);
}

TEST(spool_refused_is_a_folder_of_ours_or_not_used) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    char path[600], other[600];
    join(other, sizeof other, folder, "elsewhere");
    CHECK(mkdir(other, 0755) == 0);
    join(path, sizeof path, dir, "refused");
    CHECK(symlink(other, path) == 0);
    write_text(dir, "bad.msg", BYTES("bad"));
    struct db *db = open_in(folder);
    struct store_op op = take(db);
    CHECK(op.count == 0 && strcmp(op.text, "bad.msg") == 0 && !op.more);
    op_end(&op);
    CHECK(count_in(folder, "elsewhere") == 0 && count_in(folder, "spool") == 1,
          "nothing goes through the link");
    db_close(db);
}

TEST(spool_stops_at_the_outbox_limits_and_keeps_order) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    uint64_t numbers[8];
    for (uint64_t i = 0; i < 4; i++) CHECK(spool(dir, i < 3 ? 1 : 2, i, 10) == OK);
    struct db *db = open_in(folder);
    struct store_op op = op_of(STORE_SPOOL_TAKE);
    op.limits[2] = 1;
    op.count = 10;
    db_run(db, &op);
    CHECK(op.err == OK && op.count == 2 && op.text[0] != 0 && !op.more, "one for each peer: %" PRIu64,
          op.count);
    op_end(&op);
    CHECK(count_in(folder, "spool") == 2 && count_in(folder, "spool/refused") == 0);
    CHECK(queued(db, numbers, 8) == 2 && numbers[0] == 0 && numbers[1] == 3);
    take_and_expect(db, 2, "");
    CHECK(queued(db, numbers, 8) == 4 && numbers[2] == 1 && numbers[3] == 2);
    check_db(db);
    db_close(db);
}

TEST(spool_with_more_files_than_one_call_takes) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    enum { MANY = SPOOL_TAKEN_MAX + 5 };
    uint64_t numbers[MANY];
    for (uint64_t i = 0; i < MANY; i++) CHECK(spool(dir, 1, i, MANY) == OK);
    struct db *db = open_in(folder);
    struct store_op op = take(db);
    CHECK(op.count == SPOOL_TAKEN_MAX && op.more);
    op_end(&op);
    op = take(db);
    CHECK(op.count == 5 && !op.more);
    op_end(&op);
    CHECK(queued(db, numbers, MANY) == MANY);
    for (uint64_t i = 0; i < MANY; i++) CHECK(numbers[i] == i, "the oldest first, over all calls");
    db_close(db);
}

TEST(spool_too_long_and_odd_names) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    char path[600], name[300];
    memset(name, 'n', sizeof name);
    snprintf(name + 200, sizeof name - 200, ".msg");
    write_text(dir, name, BYTES("x")); /* longer than any that spool_write makes: not ours, left alone */
    write_text(dir, ".hidden.msg", BYTES("x"));
    write_text(dir, "other.txt", BYTES("x"));
    join(path, sizeof path, dir, "big.msg");
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && ftruncate(fd, SPOOL_FILE_MAX + 1) == 0);
    close(fd);
    struct db *db = open_in(folder);
    take_and_expect(db, 0, "too long");
    CHECK(count_in(folder, "spool/refused") == 1 && count_in(folder, "spool") == 2);
    db_close(db);
}

TEST(spool_old_temporary_files_go) {
    const char *folder = test_dir(), *dir = spool_of(folder);
    char path[600];
    write_text(dir, ".a.tmp", BYTES("left by a crash"));
    write_text(dir, ".b.tmp", BYTES("being written"));
    struct utimbuf times = {.actime = NOW_MS / 1000, .modtime = NOW_MS / 1000};
    join(path, sizeof path, dir, ".b.tmp");
    CHECK(utime(path, &times) == 0);
    times.modtime -= 25 * 3600;
    join(path, sizeof path, dir, ".a.tmp");
    CHECK(utime(path, &times) == 0);
    struct db *db = open_in(folder);
    take_and_expect(db, 0, "");
    CHECK(!file_is_there(dir, ".a.tmp") && file_is_there(dir, ".b.tmp"));
    db_close(db);
}

TEST(spool_none_is_nothing_to_take) {
    struct db *db = open_in(test_dir());
    take_and_expect(db, 0, "");
    db_close(db);
}
