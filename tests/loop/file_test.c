#include "loop/file.h"

#include "base/mem.h"
#include "tests/test.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[300], other[300];

static const char *at(const char *name) {
    snprintf(path, sizeof path, "%s/%s", test_dir(), name);
    return path;
}

static size_t entries(void) {
    size_t n = 0;
    DIR *d = opendir(test_dir());
    CHECK(d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static bool holds(const char *p, const char *text) {
    struct buf b = {.max = 10000};
    bool same = file_read(p, 0, 10000, FILE_ANY_MODE, &b, NULL, NULL) == OK && bytes_is(buf_view(&b), text);
    buf_free(&b);
    return same;
}

TEST(file_replace_gives_the_content_and_the_mode) {
    struct file_facts facts;
    size_t blocks = mem_blocks();
    mode_t before = umask(077);
    CHECK(file_replace(at("a"), BYTES("one"), 0640, NULL) == OK && holds(path, "one"));
    CHECK(file_facts(path, &facts, NULL) == OK && facts.mode == 0640 && facts.size == 3 && !facts.folder);
    CHECK(facts.uid == getuid() && facts.changed.ms > 1600000000000);
    umask(0);
    CHECK(file_replace(path, BYTES("two!"), 0600, NULL) == OK && holds(path, "two!"));
    CHECK(file_facts(path, &facts, NULL) == OK && facts.mode == 0600);
    CHECK(file_replace(path, BYTES(""), 0644, NULL) == OK && holds(path, ""));
    umask(before);
    CHECK(entries() == 1, "no temporary file stays");
    CHECK(mem_blocks() == blocks);
}

TEST(file_replace_writes_over_a_link_not_through_it) {
    char target[300];
    snprintf(target, sizeof target, "%s/target", test_dir());
    CHECK(file_replace(target, BYTES("keep"), 0600, NULL) == OK);
    CHECK(symlink(target, at("link")) == 0);
    CHECK(file_replace(path, BYTES("new"), 0600, NULL) == OK);
    CHECK(holds(target, "keep") && holds(path, "new"));
}

TEST(file_create_never_replaces) {
    struct why w = {OK, ""};
    CHECK(file_create(at("key"), BYTES("first"), 0600, &w) == OK && holds(path, "first"));
    CHECK(file_create(path, BYTES("second"), 0600, &w) == E_REFUSED && holds(path, "first"));
    CHECK(strstr(w.text, path) && strstr(w.text, "exists"), "%s", w.text);
    CHECK(symlink("nowhere", at("dangling")) == 0);
    CHECK(file_create(path, BYTES("x"), 0600, &w) == E_REFUSED, "a dangling link is something too");
    CHECK(entries() == 2);
}

TEST(file_write_fails_with_a_sentence) {
    struct why w = {OK, ""};
    CHECK(file_replace("/no/such/folder/f", BYTES("x"), 0600, &w) == E_NOT_FOUND);
    CHECK(strstr(w.text, "/no/such/folder") && strstr(w.text, "No such file"), "%s", w.text);
    CHECK(file_replace("/", BYTES("x"), 0600, &w) == E_INPUT);
    CHECK(file_replace("", BYTES("x"), 0600, &w) == E_INPUT);
    CHECK(file_replace(at(""), BYTES("x"), 0600, &w) == E_INPUT);
    CHECK(mkdir(at("folder"), 0700) == 0);
    CHECK(file_replace(path, BYTES("x"), 0600, &w) != OK && entries() == 1, "%s", w.text);
    char name[400];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    CHECK(file_replace(name, BYTES("x"), 0600, &w) == E_INPUT);
    CHECK(file_replace("/dev/full/x", BYTES("x"), 0600, &w) == E_NOT_FOUND);
}

TEST(file_read_has_limits) {
    struct buf b = {.max = 8};
    struct why w = {OK, ""};
    CHECK(file_replace(at("f"), BYTES("12345"), 0600, NULL) == OK);
    CHECK(file_read(path, 0, 5, 0600, &b, NULL, &w) == OK && bytes_is(buf_view(&b), "12345"));
    CHECK(file_read(path, 0, 100, 0600, &b, NULL, &w) == E_LIMIT && b.n == 5, "out->max counts too: %s",
          w.text);
    buf_clear(&b);
    CHECK(file_read(path, 0, 4, 0600, &b, NULL, &w) == E_LIMIT && b.n == 0);
    CHECK(strstr(w.text, path) && strstr(w.text, "4 bytes"), "%s", w.text);
    buf_free(&b);
    struct buf big = {.max = 1 << 20};
    /* Files in /proc say that their size is 0. */
    if (access("/proc/self/status", R_OK) == 0) {
        CHECK(file_read("/proc/self/status", 0, 1 << 20, FILE_ANY_MODE, &big, NULL, &w) == OK && big.n > 100);
        buf_clear(&big);
        CHECK(file_read("/proc/self/status", 0, 50, FILE_ANY_MODE, &big, NULL, &w) == E_LIMIT && big.n == 0);
    }
    buf_free(&big);
    struct buf none = {.max = 100};
    mem_fail_after(0);
    CHECK(file_read(path, 0, 100, 0600, &none, NULL, &w) == E_MEMORY);
    mem_fail_after(-1);
    buf_free(&none);
}

TEST(file_read_of_a_secret_looks_at_the_mode_first) {
    struct buf b = {.max = 100};
    struct file_facts facts;
    struct why w = {OK, ""};
    CHECK(file_replace(at("key"), BYTES("secret"), 0600, NULL) == OK);
    CHECK(file_read(path, FILE_NO_LINK, 100, 0600, &b, &facts, &w) == OK && b.n == 6);
    buf_clear(&b);
    CHECK(chmod(path, 0640) == 0);
    CHECK(file_read(path, FILE_NO_LINK, 100, 0600, &b, &facts, &w) == E_INPUT && b.n == 0);
    CHECK(facts.mode == 0640 && strstr(w.text, "0640") && strstr(w.text, "chmod 600"), "%s", w.text);
    CHECK(chmod(path, 0400) == 0);
    CHECK(file_read(path, FILE_NO_LINK, 100, 0600, &b, &facts, &w) == OK);
    buf_wipe(&b);
}

TEST(file_read_takes_regular_files_only) {
    struct buf b = {.max = 100};
    struct why w = {OK, ""};
    CHECK(file_replace(at("f"), BYTES("text"), 0600, NULL) == OK);
    snprintf(other, sizeof other, "%s", path);
    CHECK(symlink(other, at("link")) == 0);
    CHECK(file_read(path, 0, 100, FILE_ANY_MODE, &b, NULL, &w) == OK && b.n == 4);
    CHECK(file_read(path, FILE_NO_LINK, 100, FILE_ANY_MODE, &b, NULL, &w) == E_INPUT &&
          strstr(w.text, "link"));
    CHECK(mkfifo(at("pipe"), 0600) == 0);
    CHECK(file_read(path, 0, 100, FILE_ANY_MODE, &b, NULL, &w) == E_INPUT, "and does not wait for a writer");
    CHECK(file_read(test_dir(), 0, 100, FILE_ANY_MODE, &b, NULL, &w) == E_INPUT);
    CHECK(file_read(at("missing"), 0, 100, FILE_ANY_MODE, &b, NULL, &w) == E_NOT_FOUND);
    CHECK(strstr(w.text, "missing") != NULL && b.n == 4);
    buf_free(&b);
}

TEST(file_mkdirs_makes_what_is_missing) {
    struct file_facts facts;
    struct why w = {OK, ""};
    bool made = false;
    mode_t before = umask(022);
    CHECK(file_mkdirs(at("a//b/c/"), 0750, &made, &w) == OK && made, "%s", w.text);
    CHECK(file_facts(at("a/b/c"), &facts, NULL) == OK && facts.folder && facts.mode == 0750);
    CHECK(file_facts(at("a/b"), &facts, NULL) == OK && facts.mode == 0755);
    CHECK(file_mkdirs(at("a/b/c"), 0700, &made, &w) == OK && !made);
    CHECK(file_facts(path, &facts, NULL) == OK && facts.mode == 0750, "left as it was");
    umask(before);
    CHECK(file_replace(at("f"), BYTES("x"), 0600, NULL) == OK);
    CHECK(file_mkdirs(path, 0700, NULL, &w) == E_INPUT && strstr(w.text, path), "%s", w.text);
    CHECK(file_mkdirs(at("f/g"), 0700, NULL, &w) != OK);
    CHECK(file_mkdirs("", 0700, NULL, &w) == E_INPUT);
    CHECK(file_mkdirs("/", 0700, &made, &w) == OK && !made);
}

TEST(file_remove_and_sync) {
    struct why w = {OK, ""};
    CHECK(file_replace(at("f"), BYTES("x"), 0600, NULL) == OK);
    CHECK(file_remove(path, &w) == OK && file_remove(path, &w) == OK && entries() == 0);
    CHECK(file_remove(test_dir(), &w) != OK && strstr(w.text, test_dir()));
    CHECK(file_sync_folder(test_dir(), &w) == OK);
    CHECK(file_sync_folder("/no/such", &w) == E_NOT_FOUND);
}
