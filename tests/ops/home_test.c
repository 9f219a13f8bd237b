#include "ops/home.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/test.h"

extern char **environ;

/* operations.md S12: these variables, no other: c-ares reads LOCALDOMAIN, SQLite SQLITE_TMPDIR. */
TEST(only_the_named_variables_stay) {
    static const char *const kept[] = {
        "SILKTALK_HOME", "SILKTALK_CONFIG", "SILKTALK_SOCKET",       "NOTIFY_SOCKET",
        "WATCHDOG_USEC", "JOURNAL_STREAM",  "CREDENTIALS_DIRECTORY", "TZ"};
    static const char *const gone[] = {"LOCALDOMAIN", "RES_OPTIONS", "HOSTALIASES", "SQLITE_TMPDIR",
                                       "TMPDIR",      "HOME",        "PATH"};
    for (size_t i = 0; i < LEN(kept); i++) CHECK(setenv(kept[i], kept[i], 1) == 0);
    for (size_t i = 0; i < LEN(gone); i++) CHECK(setenv(gone[i], "x", 1) == 0);
    unsetenv("TZ");
    home_clean_environment();
    for (size_t i = 0; i < LEN(gone); i++) CHECK(getenv(gone[i]) == NULL, "%s", gone[i]);
    size_t n = 0;
    for (char **e = environ; e != NULL && *e != NULL; e++) n++;
    CHECK(n >= LEN(kept) - 1 && n <= LEN(kept), "%zu variables", n); /* WATCHDOG_PID may be ours too */
    for (size_t i = 0; i < LEN(kept); i++) {
        const char *v = getenv(kept[i]);
        CHECK(strcmp(kept[i], "TZ") == 0 ? v == NULL : v != NULL && strcmp(v, kept[i]) == 0, "%s", kept[i]);
    }
    clearenv(); /* other tests have homes of their own */
}

static struct home_choice here(const char *dir) {
    return (struct home_choice){.home = dir};
}

TEST(a_home_is_made_once) {
    struct home h;
    struct home_made made;
    struct why w = {OK, ""};
    struct home_choice choice = here(test_dir());
    CHECK(home_find(&h, &choice, true, &w) == OK && !home_exists(&h), "%s", w.text);
    CHECK(home_create(&h, &made, &w) == OK && made.config && made.identity && home_exists(&h), "%s", w.text);
    CHECK(home_create(&h, &made, &w) == OK && !made.config && !made.identity, "%s", w.text);
    struct config *c = NULL;
    struct identity id;
    CHECK(home_config(&h, &c, &w) == OK, "%s", w.text);
    CHECK(home_identity(&h, c, &id, &w) == OK, "%s", w.text);
    CHECK(chmod(cfg(c, node_identity).text, 0640) == 0);
    CHECK(home_identity(&h, c, &id, &w) == E_INPUT, "a key that others can read");
    identity_wipe(&id);
    config_free(c);
}

/* A node that starts without its rules is open to all whom they refuse. */
TEST(a_configuration_that_is_there_is_read_or_refused) {
    static const char *const names[] = {"config.ini", "conf.d", "conf.d/1.ini"};
    struct home h;
    struct home_made made;
    struct why w = {OK, ""};
    struct home_choice choice = here(test_dir());
    char path[2 * PATH_SIZE];
    struct config *c = NULL;
    CHECK(home_find(&h, &choice, true, &w) == OK && home_create(&h, &made, &w) == OK, "%s", w.text);
    for (size_t i = 0; i < LEN(names); i++) {
        for (int to_itself = 0; to_itself < 2; to_itself++) {
            snprintf(path, sizeof path, "%s/%s", h.dir, names[i]);
            unlink(path);
            CHECK(symlink(to_itself ? path : "/nowhere/at/all", path) == 0);
            enum err e = home_config(&h, &c, &w);
            CHECK(e != OK && strstr(w.text, names[i]) != NULL, "%s: %s", names[i], w.text);
            unlink(path);
        }
        if (i == 1) CHECK(mkdir(path, 0700) == 0);
    }
    CHECK(home_config(&h, &c, &w) == OK, "%s", w.text);
    config_free(c);
    for (int i = 0; i < CONFIG_FILES_MAX + 1; i++) {
        snprintf(path, sizeof path, "%s/conf.d/%04d.ini", h.dir, i);
        FILE *f = fopen(path, "w");
        CHECK(f != NULL && fclose(f) == 0);
    }
    CHECK(home_config(&h, &c, &w) == E_INPUT && strstr(w.text, "conf.d") != NULL, "one is left out");
}

TEST(a_secret_is_a_file_or_a_credential) {
    char path[PATH_SIZE];
    struct why w = {OK, ""};
    unsetenv("CREDENTIALS_DIRECTORY");
    CHECK(home_secret("/x/swarm.key", path, &w) == OK && strcmp(path, "/x/swarm.key") == 0);
    CHECK(home_secret("credential:swarm", path, &w) == E_INPUT);
    CHECK(setenv("CREDENTIALS_DIRECTORY", "/run/credentials/silktalk.service", 1) == 0);
    CHECK(home_secret("credential:swarm", path, &w) == OK);
    CHECK(strcmp(path, "/run/credentials/silktalk.service/swarm") == 0, "%s", path);
    unsetenv("CREDENTIALS_DIRECTORY");
    CHECK(config_check_value(CONFIG_network_swarmKey, BYTES("credential:swarm"), &w) == OK);
    static const char *const bad[] = {"credential:", "credential:../x", "credential:.x", "credential:a/b",
                                      "swarm"};
    for (size_t i = 0; i < LEN(bad); i++)
        CHECK(config_check_value(CONFIG_network_swarmKey, bytes_of(bad[i]), &w) == E_INPUT, "%s", bad[i]);
    CHECK(config_check_value(CONFIG_node_data, BYTES("credential:x"), &w) == E_INPUT);
}
