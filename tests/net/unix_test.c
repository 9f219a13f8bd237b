#include "net/unix.h"

#include "loop/file.h"
#include "tests/test.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int dial(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    CHECK(strlen(path) < sizeof at.sun_path);
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&at, sizeof at) == 0);
    return fd;
}

TEST(a_socket_is_made_anew_and_its_file_goes) {
    char path[300], other[300];
    struct why w = {OK, ""};
    struct file_facts facts;
    int fd, conn;
    snprintf(path, sizeof path, "%s/http.sock", test_dir());
    for (int i = 0; i < 2; i++) { /* the second time the first one's file is there */
        CHECK(unix_listen(&fd, path, 0660, &w) == OK, "%s", w.text);
        CHECK(file_facts(path, &facts, &w) == OK && facts.mode == 0660);
        CHECK(unix_accept(fd, &conn) == E_BUSY);
        int client = dial(path);
        CHECK(unix_accept(fd, &conn) == OK);
        close(conn);
        close(client);
        if (i == 0)
            close(fd);
        else
            unix_close(fd, path);
    }
    CHECK(file_facts(path, &facts, &w) == E_NOT_FOUND);
    CHECK(file_replace(path, BYTES("precious"), 0600, &w) == OK);
    CHECK(unix_listen(&fd, path, 0660, &w) == E_INPUT && file_facts(path, &facts, &w) == OK);
    snprintf(other, sizeof other, "%s/no/such/folder", test_dir());
    CHECK(unix_listen(&fd, other, 0660, &w) == E_NOT_FOUND);
    memset(other, 'a', sizeof other);
    other[0] = '/';
    other[sizeof other - 1] = 0;
    CHECK(unix_listen(&fd, other, 0660, &w) == E_INPUT);
}
