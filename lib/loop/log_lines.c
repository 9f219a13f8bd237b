#include "loop/log_lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"
#include "loop/file.h"

enum { PIECE = 64 << 10, GZIP_WINDOW = 15 + 16 };

struct log_lines {
    int fd;
    bool gzip, damaged;
    bool skipping; /* the rest of a line that was cut */
    bool open;     /* gzip: a member has begun and not ended */
    z_stream z;
    uint64_t offset; /* bytes of the file that were read */
    struct buf text; /* what lines are made of; `at` bytes of it are given out */
    size_t at;
    uint8_t in[PIECE];
};

enum err log_lines_open(struct log_lines **out, const char *path, struct why *w) {
    struct stat st;
    uint8_t head[2] = {0};
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return fail(w, file_error(errno), "%.180s: %s", path, strerror(errno));
    struct log_lines *l = NULL;
    enum err e = OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        e = fail(w, E_INPUT, "%.180s is not a regular file", path);
    else if ((l = NEW(struct log_lines)) == NULL)
        e = fail(w, E_MEMORY, "out of memory");
    if (l == NULL) {
        close(fd);
        return e;
    }
    l->fd = fd;
    l->text.max = 4 * PIECE;
    l->gzip = pread(fd, head, 2, 0) == 2 && head[0] == 0x1f && head[1] == 0x8b;
    if (l->gzip && inflateInit2(&l->z, GZIP_WINDOW) != Z_OK) {
        l->gzip = false;
        log_lines_close(l);
        return fail(w, E_MEMORY, "out of memory");
    }
    *out = l;
    return OK;
}

void log_lines_close(struct log_lines *l) {
    if (l == NULL) return;
    if (l->gzip) inflateEnd(&l->z);
    buf_free(&l->text);
    close(l->fd);
    mem_free(l);
}

static size_t read_piece(struct log_lines *l, uint8_t *to) {
    ssize_t n;
    do n = read(l->fd, to, PIECE);
    while (n < 0 && errno == EINTR);
    if (n < 0) l->damaged = true;
    if (n > 0) l->offset += (uint64_t)n;
    return n > 0 ? (size_t)n : 0;
}

/* Some more text; false: there is none now. */
static bool inflate_piece(struct log_lines *l, uint8_t *to, size_t *made) {
    *made = 0;
    while (*made == 0 && !l->damaged) {
        if (l->z.avail_in == 0) {
            l->z.next_in = l->in;
            l->z.avail_in = (uInt)read_piece(l, l->in);
            if (l->z.avail_in == 0) {
                l->damaged = l->damaged || l->open;
                return false;
            }
        }
        l->z.next_out = to;
        l->z.avail_out = PIECE;
        l->open = true;
        int rc = inflate(&l->z, Z_NO_FLUSH);
        *made = PIECE - l->z.avail_out;
        if (rc == Z_STREAM_END) { /* another member may follow */
            l->open = false;
            inflateReset(&l->z);
        } else if (rc != Z_OK) {
            l->damaged = true;
        }
    }
    return *made > 0;
}

static bool more(struct log_lines *l) {
    size_t n = 0;
    buf_drop(&l->text, l->at);
    l->at = 0;
    if (!buf_reserve(&l->text, PIECE)) return false;
    if (l->gzip)
        inflate_piece(l, l->text.p + l->text.n, &n);
    else
        n = read_piece(l, l->text.p + l->text.n);
    l->text.n += n;
    return n > 0;
}

bool log_lines_next(struct log_lines *l, bool all, struct bytes *line) {
    for (;;) {
        struct bytes rest = bytes_skip(buf_view(&l->text), l->at);
        size_t end = bytes_index(rest, '\n');
        bool whole = end < rest.n;
        if (!whole && rest.n < LOG_LINES_LONGEST) {
            if (more(l)) continue;
            rest = bytes_skip(buf_view(&l->text), l->at); /* the text has moved */
            if (!all || rest.n == 0) return false;
        }
        bool skip = l->skipping;
        l->skipping = !whole && rest.n >= LOG_LINES_LONGEST;
        *line = bytes_sub(rest, 0, MIN(end, (size_t)LOG_LINES_LONGEST));
        l->at += whole ? end + 1 : rest.n;
        if (!skip) return true;
    }
}

bool log_lines_damaged(const struct log_lines *l) {
    return l->damaged;
}

bool log_lines_gzip(const struct log_lines *l) {
    return l->gzip;
}

bool log_lines_tail(struct log_lines *l, uint64_t bytes) {
    struct stat st;
    struct bytes part;
    if (l->gzip || fstat(l->fd, &st) != 0 || (uint64_t)st.st_size <= bytes) return false;
    log_lines_rewind(l);
    l->offset = (uint64_t)st.st_size - bytes;
    if (lseek(l->fd, (off_t)l->offset, SEEK_SET) < 0) return false;
    log_lines_next(l, false, &part);
    return true;
}

void log_lines_rewind(struct log_lines *l) {
    if (lseek(l->fd, 0, SEEK_SET) < 0) l->damaged = true;
    if (l->gzip) inflateReset(&l->z);
    l->z.avail_in = 0;
    l->offset = 0;
    l->at = 0;
    l->skipping = l->open = false;
    buf_clear(&l->text);
}

int log_lines_fd(const struct log_lines *l) {
    return l->fd;
}

bool log_lines_shrunk(const struct log_lines *l) {
    struct stat st;
    return !l->gzip && fstat(l->fd, &st) == 0 && (uint64_t)st.st_size < l->offset;
}
