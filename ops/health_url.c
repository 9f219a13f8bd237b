#include "ops/health_url.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop/clocks.h"
#include "loop/file.h"

enum { HOST_SIZE = 256, TARGET_SIZE = 1024, HEAD_MAX = 8192, TOKEN_MAX = 512 };

struct target {
    char host[HOST_SIZE], port[8], path[TARGET_SIZE], host_field[HOST_SIZE + 16];
};

static enum err parse(const char *url, struct target *t, struct why *w) {
    struct bytes u = bytes_of(url), authority;
    if (bytes_starts(u, "https://"))
        return fail(w, E_INPUT, "https is not spoken yet: ask over http on the node's own host");
    if (!bytes_starts(u, "http://")) return fail(w, E_INPUT, "--url takes http://HOST:PORT");
    u = bytes_skip(u, strlen("http://"));
    size_t slash = bytes_index(u, '/');
    authority = bytes_sub(u, 0, slash);
    u = bytes_skip(u, slash);
    for (size_t i = 0; i < u.n; i++)
        if (u.p[i] <= ' ' || u.p[i] >= 127)
            return fail(w, E_INPUT, "--url: the path has a character it can not have");
    bool path = u.n > 1;
    if (!bytes_cstr(path ? u : BYTES("/health"), t->path, sizeof t->path) || authority.n == 0 ||
        !bytes_cstr(authority, t->host_field, HOST_SIZE))
        return fail(w, E_INPUT, "--url: no host, or too long");
    for (const char *c = t->host_field; *c != 0; c++)
        if ((unsigned char)*c <= ' ' || *c == '@' || (unsigned char)*c >= 127)
            return fail(w, E_INPUT, "--url: the host has a character it can not have");
    snprintf(t->host, sizeof t->host, "%.255s", t->host_field);
    char *shut = strrchr(t->host, ']'), *colon = strrchr(shut != NULL ? shut : t->host, ':');
    snprintf(t->port, sizeof t->port, "%.5s", colon != NULL ? colon + 1 : "80");
    if (colon != NULL) *colon = 0;
    if (t->host[0] == '[' && shut != NULL) {
        *shut = 0;
        memmove(t->host, t->host + 1, strlen(t->host));
    }
    return OK;
}

static int left_ms(int64_t until_us) {
    int64_t left = (until_us - clocks_monotonic_us()) / 1000;
    return left > 0 ? (int)left : 0;
}

static bool wait_for(int fd, short events, int64_t until_us) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, left_ms(until_us)) == 1;
}

static enum err open_to(const struct target *t, int64_t until_us, int *out, struct why *w) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int e = getaddrinfo(t->host, t->port, &hints, &list);
    enum err last = e == 0 ? E_NOT_RUNNING : fail(w, E_NOT_FOUND, "%.100s: %s", t->host, gai_strerror(e));
    *out = -1;
    for (struct addrinfo *a = list; a != NULL && *out < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), error = 0;
        socklen_t size = sizeof error;
        if (fd < 0) continue;
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) error = errno;
        if (error == EINPROGRESS) {
            if (!wait_for(fd, POLLOUT, until_us))
                error = ETIMEDOUT;
            else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
                error = errno;
        }
        if (error == 0) {
            *out = fd;
            break;
        }
        close(fd);
        last = fail(w, error == ETIMEDOUT ? E_TIMEOUT : E_NOT_RUNNING, "%s:%s: %s", t->host, t->port,
                    strerror(error));
    }
    freeaddrinfo(list);
    return *out >= 0 ? OK : last;
}

static enum err exchange(int fd, struct bytes request, int64_t until_us, struct buf *answer, struct why *w) {
    while (request.n > 0) {
        ssize_t n = send(fd, request.p, request.n, MSG_NOSIGNAL);
        if (n > 0)
            request = bytes_skip(request, (size_t)n);
        else if (errno != EAGAIN && errno != EINTR)
            return fail(w, E_IO, "%s", strerror(errno));
        else if (!wait_for(fd, POLLOUT, until_us))
            return fail(w, E_TIMEOUT, "no answer in time");
    }
    for (;;) {
        uint8_t piece[16384];
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n == 0) return OK;
        if (n > 0) {
            if (!buf_add(answer, bytes_at(piece, (size_t)n)))
                return fail(w, E_LIMIT, "the answer is too long");
        } else if (errno != EAGAIN && errno != EINTR) {
            return fail(w, E_IO, "%s", strerror(errno));
        } else if (!wait_for(fd, POLLIN, until_us)) {
            return fail(w, E_TIMEOUT, "no answer in time");
        }
    }
}

/* HTTP/1.0 was asked for, so the body goes to the end. */
static enum err take(struct bytes answer, struct buf *body, struct why *w) {
    int status = 0;
    char line[64];
    size_t end = 0;
    bytes_cstr(bytes_sub(answer, 0, 32), line, sizeof line);
    if (sscanf(line, "HTTP/1.%*1d %3d", &status) != 1)
        return fail(w, E_PROTO, "what answers there is no node");
    if (status == 401 || status == 403 || status == 429)
        return fail(w, E_DENIED, "it answers with status %d", status);
    while (end + 4 <= answer.n && memcmp(answer.p + end, "\r\n\r\n", 4) != 0) end++;
    struct bytes rest = bytes_skip(answer, end + 4);
    if ((status != 200 && status != 503) || end + 4 > answer.n || rest.n == 0)
        return fail(w, E_PROTO, "what answers there is no node (status %d)", status);
    return buf_add(body, rest) ? OK : fail(w, E_LIMIT, "the answer is too long");
}

enum err health_fetch(const char *url, const char *token_file, int64_t timeout_ms, struct buf *body,
                      struct why *w) {
    struct target t;
    struct buf request = {.max = HEAD_MAX}, answer = {.max = HEALTH_BODY_MAX + HEAD_MAX},
               token = {.max = TOKEN_MAX};
    int64_t until = clocks_monotonic_us() + timeout_ms * 1000;
    int fd = -1;
    enum err e = parse(url, &t, w);
    if (e == OK && token_file != NULL) e = file_read(token_file, 0, TOKEN_MAX, 0640, &token, NULL, w);
    struct bytes word = bytes_trim(buf_view(&token));
    for (size_t i = 0; e == OK && i < word.n; i++)
        if (word.p[i] <= ' ' || word.p[i] >= 127) e = fail(w, E_INPUT, "the token is one word");
    if (e == OK) {
        buf_add_format(&request, "GET %s HTTP/1.0\r\nHost: %s\r\n", t.path, t.host_field);
        if (word.n > 0)
            buf_add_format(&request, "Authorization: Bearer %.*s\r\n", (int)word.n, (const char *)word.p);
        buf_add_text(&request, "Connection: close\r\n\r\n");
        e = open_to(&t, until, &fd, w);
    }
    if (e == OK) e = exchange(fd, buf_view(&request), until, &answer, w);
    if (e == OK) e = take(buf_view(&answer), body, w);
    if (fd >= 0) close(fd);
    buf_wipe(&request);
    buf_wipe(&token);
    buf_free(&answer);
    return e;
}
