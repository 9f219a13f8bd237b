#include "ops/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop/clocks.h"
#include "loop/lock.h"

enum { START_MS = 60000, STEP_MS = 20, STOP_EXTRA_MS = 15000 };

/* ---- systemd, where it runs and knows us */

static bool systemd_has_unit(const struct cli *c) {
    struct stat st;
    return c->home.system && geteuid() == 0 && stat("/run/systemd/system", &st) == 0 &&
           (stat("/lib/systemd/system/silktalk.service", &st) == 0 ||
            stat("/etc/systemd/system/silktalk.service", &st) == 0);
}

static enum err systemctl(struct cli *c, const char *verb) {
    pid_t pid = fork();
    int status = 0;
    if (pid == 0) {
        execlp("systemctl", "systemctl", verb, "silktalk.service", (char *)NULL);
        _exit(127);
    }
    if (pid < 0) return fail(&c->why, E_FAILED, "no new process: %s", strerror(errno));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OK;
    return fail(&c->why, E_FAILED, "systemctl %s silktalk failed; see `journalctl -u silktalk`", verb);
}

/* ---- without it */

/* This executable: /proc may be missing, then argv[0] is looked up as the shell did (from here: the daemon
 * runs in /). */
static void own_path(const struct cli *c, char self[PATH_SIZE]) {
    char here[PATH_SIZE / 2] = "";
    ssize_t n = readlink("/proc/self/exe", self, PATH_SIZE - 1);
    if (n > 0)
        self[n] = 0;
    else if (strchr(c->program, '/') != NULL && c->program[0] != '/' && getcwd(here, sizeof here) != NULL)
        snprintf(self, PATH_SIZE, "%s/%.250s", here, c->program);
    else
        snprintf(self, PATH_SIZE, "%s", c->program);
}

static void run_daemon(const struct cli *c, char *self, int ready) {
    char *argv[10] = {self, (char *)(uintptr_t) "daemon"};
    int k = 2;
    const char *const pairs[][3] = {{"--home", c->choice.home, c->home.dir},
                                    {"--config", c->choice.config, c->home.conf},
                                    {"--socket", c->choice.socket, c->home.socket}};
    for (size_t i = 0; i < LEN(pairs); i++) {
        if (pairs[i][1] == NULL) continue;
        argv[k++] = (char *)(uintptr_t)pairs[i][0];
        argv[k++] = (char *)(uintptr_t)pairs[i][2]; /* absolute: the daemon runs in / */
    }
    dup2(ready, STDERR_FILENO); /* until it answers, what it says is ours to show */
    execvp(self, argv);
    _exit(127);
}

/* The daemon's last words, when it ended instead of answering. */
static void keep_last_line(struct cli *c, int fd) {
    char text[4096];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    static const char *const forms[] = {"Start refused reason=", "\"event\":\"Start refused\",\"reason\":"};
    char *refused = NULL;
    for (size_t i = 0; i < LEN(forms) && refused == NULL; i++) /* the log may be text or JSON */
        if ((refused = strstr(text, forms[i])) != NULL) refused += strlen(forms[i]);
    char *end = refused == NULL ? NULL : strchr(refused, '\n');
    if (end != NULL) *end = 0;
    if (end != NULL && end > refused && end[-1] == '}') end[-1] = 0;
    const char *reason = refused != NULL ? refused : "the daemon ended at once";
    size_t length = strlen(reason);
    if (length >= 2 && reason[0] == '"' && reason[length - 1] == '"') { /* the log quotes what has spaces */
        reason++;
        length -= 2;
    }
    fail(&c->why, E_FAILED, "%.*s", (int)MIN(length, (size_t)200), reason);
}

static const char *log_place(struct cli *c) {
    const char *file = cli_config(c) == OK ? cfg(c->config, logging_file).text : c->home.log_file;
    return file[0] != 0 ? file : "off";
}

static enum err wait_ready(struct cli *c, pid_t pid, int log) {
    for (int waited = 0; waited < START_MS; waited += STEP_MS) {
        int status;
        control_client_close(&c->node);
        if (cli_node_runs(c)) return OK;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
            keep_last_line(c, log);
            return code == 6 ? E_INPUT : code == 9 ? E_BUSY : code == 5 ? E_DENIED : E_FAILED;
        }
        clocks_sleep_ms(STEP_MS);
    }
    return fail(&c->why, E_TIMEOUT, "the daemon (pid %ld) does not answer; see its log at %s", (long)pid,
                log_place(c));
}

enum err service_start(struct cli *c) {
    if (cli_node_runs(c)) {
        cli_note(c, "The node is running already.");
        return OK;
    }
    if (systemd_has_unit(c)) return systemctl(c, "start");
    FILE *said = tmpfile();
    char self[PATH_SIZE];
    own_path(c, self);
    if (said != NULL) fcntl(fileno(said), F_SETFD, FD_CLOEXEC);
    int log = said == NULL ? open("/dev/null", O_RDWR | O_CLOEXEC) : fileno(said);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null >= 0) {
            dup2(null, STDIN_FILENO);
            dup2(null, STDOUT_FILENO);
        }
        if (chdir("/") != 0) _exit(126);
        run_daemon(c, self, log >= 0 ? log : null);
    }
    enum err e = pid < 0 ? fail(&c->why, E_FAILED, "no new process: %s", strerror(errno))
                         : wait_ready(c, pid, log);
    if (said != NULL) fclose(said);
    if (e == OK) cli_note(c, "Started, pid %ld. Log: %s", (long)pid, log_place(c));
    return e;
}

/* ---- stop */

static bool lock_held(struct cli *c, struct lock_holder *holder) {
    if (cli_config(c) != OK) return false;
    bool as_owner = home_as_owner(&c->home);
    bool held = lock_look(cfg(c->config, node_data).text, holder, NULL) == OK;
    if (as_owner) home_as_self();
    return held;
}

void service_print(struct cli *c) {
    struct lock_holder holder = {0};
    bool runs = lock_held(c, &holder);
    printf("{\"schema\":\"silktalk.%s/1\",\"running\":%s,\"pid\":", c->applet->name, runs ? "true" : "false");
    if (runs && holder.pid > 0)
        printf("%ld}\n", (long)holder.pid);
    else
        printf("null}\n");
}

enum err service_stop(struct cli *c, int64_t drain_ms) {
    struct lock_holder holder = {0};
    if (systemd_has_unit(c) && drain_ms == 0) return systemctl(c, "stop");
    if (!cli_node_runs(c)) {
        if (!lock_held(c, &holder)) {
            cli_note(c, "The node is not running.");
            return OK;
        }
        if (holder.pid <= 0 || kill(holder.pid, SIGTERM) != 0) /* it holds the home but its socket is gone */
            return fail(&c->why, E_DENIED, "pid %ld holds the home and can not be told to stop",
                        (long)holder.pid);
    } else {
        struct buf params;
        struct json_doc *answer = NULL;
        const struct json *result = NULL;
        struct json_out o = cli_params(&params);
        json_put_int(&o, "drain_ms", drain_ms);
        enum err e = cli_ask(c, "stop", &params, &o, c->timeout_ms, &answer, &result);
        json_free(answer);
        if (e != OK) return e;
        control_client_close(&c->node);
    }
    int64_t most = drain_ms + (cli_config(c) == OK ? cfg(c->config, node_stopTimeout).ms : 5000) +
                   STOP_EXTRA_MS;
    for (int64_t waited = 0; waited < most; waited += STEP_MS) {
        if (!lock_held(c, &holder)) {
            cli_note(c, "Stopped.");
            return OK;
        }
        clocks_sleep_ms(STEP_MS);
    }
    return fail(&c->why, E_TIMEOUT, "the node (pid %ld) did not end in time", (long)holder.pid);
}
