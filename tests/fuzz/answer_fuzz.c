/* The command line's end of the control socket: what the node says, in whatever pieces, are its lines. */
#include "net/control_client.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

static void give(int fd, struct bytes part) {
    while (part.n > 0) {
        ssize_t k = send(fd, part.p, part.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (k <= 0) return;
        part = bytes_skip(part, (size_t)k);
    }
}

static void give_with(int fd, struct bytes part, int passed) {
    struct iovec v = {.iov_base = (void *)(uintptr_t)part.p, .iov_len = part.n};
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } c = {.space = {0}};
    struct msghdr m = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = c.space, .msg_controllen = sizeof c.space};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    *h = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(h), &passed, sizeof passed);
    sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n), line;
    size_t blocks = mem_blocks();
    int pair[2];
    struct why w = {OK, ""};
    struct buf said = {.max = 1 << 20}, heard = {.max = 1 << 20};
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    struct control_client c = {.fd = pair[0], .in = {.max = CONTROL_ANSWER_MAX + 1}};
    bool open = true;
    enum err e = OK;
    while (in.n > 0 && (e == OK || e == E_TIMEOUT)) {
        uint8_t op = fuzz_u8(&in);
        if (open && op % 8 < 4) {
            struct bytes part = fuzz_part(&in);
            if (op % 8 == 3 && part.n > 0)
                give_with(pair[1], part, STDERR_FILENO);
            else
                give(pair[1], part);
            buf_add(&said, part);
        } else if (op % 8 == 4) {
            e = control_client_send(&c, fuzz_part(&in), -1, 0, &w);
            MUST(e == OK || e == E_TIMEOUT || e == E_CLOSED || e == E_LIMIT || e == E_IO);
        } else if (op % 8 == 5) {
            int fd = control_client_take_fd(&c);
            if (fd >= 0) close(fd);
        } else if (op % 8 == 6 && open) {
            close(pair[1]);
            open = false;
        }
        while ((e == OK || e == E_TIMEOUT) && (e = control_client_next(&c, &line, 0, &w)) == OK) {
            MUST(bytes_index(line, '\n') == line.n);
            buf_add(&heard, line);
            buf_add_byte(&heard, '\n');
        }
        MUST(e == E_TIMEOUT || (e == E_CLOSED && !open) || e == E_IO);
    }
    MUST(heard.n <= said.n && bytes_eq(buf_view(&heard), bytes_sub(buf_view(&said), 0, heard.n)));
    control_client_close(&c);
    if (open) close(pair[1]);
    buf_free(&said);
    buf_free(&heard);
    fuzz_no_leak(blocks);
    return 0;
}
