/* Below and before Noise: bytes that are none, multistream-select broken, private networks. */
#include "tests/abuse/attacks.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char head[] = "\x13/multistream/1.0.0\n";

static void say_raw(struct target *t, struct bytes raw) {
    struct wire w;
    wire_begin(&w, t);
    wire_send(&w, raw);
    wire_drain(&w, 4000);
    wire_report(&w, "");
    wire_end(&w);
}

/* The bytes, then our end of the connection is closed. */
static void say_and_close(struct target *t, struct bytes raw) {
    struct wire w;
    wire_begin(&w, t);
    wire_send(&w, raw);
    shutdown(w.fd, SHUT_WR);
    wire_drain(&w, 4000);
    wire_report(&w, "");
    wire_end(&w);
}

static void garbage(struct target *t) {
    uint8_t random[4096];
    rng_fill(&t->rng, random, sizeof random);
    random[0] |= 0x80; /* a varint that goes on */
    say_raw(t, bytes_at(random, sizeof random));
}
static void probe(struct target *t) {
    say_and_close(t, nothing);
}
static void silence(struct target *t) {
    say_raw(t, nothing);
}
/* One byte each `count` ms of a multistream header that never ends in time. */
static void slow(struct target *t) {
    struct wire w;
    wire_begin(&w, t);
    for (size_t i = 0; i + 1 < sizeof head && w.end == ALIVE; i++) {
        wire_send(&w, bytes_at(head + i, 1));
        while (wire_fill(&w, (int)t->count)) {}
    }
    wire_drain(&w, 4000);
    wire_report(&w, "");
    wire_end(&w);
}
static void ms_oversized(struct target *t) {
    say_raw(t, BYTES("\x81\x08/")); /* 1025 bytes */
}
static void ms_overlong(struct target *t) {
    say_raw(t, BYTES("\x93\x80\x00/multistream/1.0.0\n"));
}
static void ms_no_newline(struct target *t) {
    say_raw(t, BYTES("\x13/multistream/1.0.0x"));
}
static void ms_empty_line(struct target *t) {
    say_raw(t, BYTES("\x13/multistream/1.0.0\n\0"));
}
static void ms_wrong_order(struct target *t) {
    say_raw(t, BYTES("\x07/noise\n\x13/multistream/1.0.0\n"));
}
static void ms_http(struct target *t) {
    say_raw(t, BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
}
static void ms_truncated(struct target *t) {
    say_and_close(t, BYTES("\x13/multi"));
}
static void ms_proposals(struct target *t) {
    struct buf all = {.max = 4096};
    buf_add(&all, bytes_at(head, sizeof head - 1));
    for (int i = 0; i < 17; i++) buf_add(&all, BYTES("\x05/tls\n"));
    say_raw(t, buf_view(&all));
    buf_free(&all);
}
/* Cut at every byte of header, proposal and message 1, then closed. */
static void cut_everywhere(struct target *t) {
    uint8_t good[20 + 7 + 1 + 34] = {0};
    size_t ended = 0;
    memcpy(good, "\x13/multistream/1.0.0\n\x07/noise\n", 28);
    good[29] = 32;
    rng_fill(&t->rng, good + 30, 32);
    for (size_t n = 1; n < sizeof good; n++) {
        struct wire w;
        wire_begin(&w, t);
        wire_send(&w, bytes_at(good, n));
        shutdown(w.fd, SHUT_WR);
        wire_drain(&w, 4000);
        ended += w.end == SHUT || w.end == BROKEN;
        wire_end(&w);
    }
    printf("ended=%zu of=%zu\n", ended, sizeof good - 1);
}
static void pnet_cut_nonce(struct target *t) {
    say_and_close(t, nothing); /* with a swarm key: the nonce alone; without one: nothing at all */
}

/* The nonce of a private network, a byte each `count` ms; without a key: bytes that are none. */
static void pnet_slow(struct target *t) {
    struct wire w;
    const uint8_t *key = t->swarm_key;
    uint8_t nonce[24];
    rng_fill(&t->rng, nonce, sizeof nonce);
    t->swarm_key = NULL; /* wire_begin would say it at once */
    wire_begin(&w, t);
    t->swarm_key = key;
    wire_trickle(&w, bytes_at(nonce, sizeof nonce - 1), (int)t->count);
    wire_drain(&w, 4000);
    wire_report(&w, "");
    wire_end(&w);
}

/* ---- many at once */

static void room_for(size_t fds) {
    struct rlimit l;
    getrlimit(RLIMIT_NOFILE, &l);
    l.rlim_cur = MIN(l.rlim_max, (rlim_t)(fds + 64));
    setrlimit(RLIMIT_NOFILE, &l);
}

static const char *address_of(size_t i, char text[32]) {
    snprintf(text, 32, "127.%zu.%zu.%zu", 1 + i / 40000, 1 + i / 200 % 200, 1 + i % 200);
    return text;
}

/* `count` half-open connections, each from an address of its own, half of them with the beginning of a
 * header. What the node closes is opened anew, until stdin ends. */
static void half_open(struct target *t) {
    room_for(t->count);
    struct wire *all = NEW_ARRAY(struct wire, t->count);
    struct pollfd *fds = NEW_ARRAY(struct pollfd, t->count + 1);
    if (all == NULL || fds == NULL) wire_fail("memory");
    size_t again = 0;
    char text[32];
    fds[t->count] = (struct pollfd){.fd = 0, .events = POLLIN};
    for (size_t i = 0; i < t->count; i++) {
        t->from = address_of(i, text);
        wire_begin(&all[i], t);
        if (i % 2 == 1) wire_raw(&all[i], BYTES("\x13/mul"));
        fds[i] = (struct pollfd){.fd = all[i].fd, .events = POLLIN | POLLRDHUP};
    }
    printf("open=%zu\n", t->count);
    fflush(stdout);
    while (fds[t->count].revents == 0) {
        poll(fds, t->count + 1, 100);
        for (size_t i = 0; i < t->count; i++) {
            if ((fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0) continue;
            wire_end(&all[i]);
            t->from = address_of(i, text);
            wire_begin(&all[i], t);
            fds[i].fd = all[i].fd;
            again++;
        }
        usleep(20000);
    }
    for (size_t i = 0; i < t->count; i++) wire_end(&all[i]);
    printf("again=%zu\n", again);
}

/* `count` peers that each break a rule once a second, of another layer each time, until stdin ends. */
static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void break_one(struct target *t, size_t i) {
    struct wire w;
    struct faults f = {.message = 0};
    uint8_t noise[64];
    wire_begin(&w, t);
    rng_fill(&t->rng, noise, sizeof noise);
    switch (i % 6) {
    case 0: wire_send(&w, BYTES("GET / HTTP/1.1\r\n\r\n")); break;
    case 1: f.signature = SIGNED_ALTERED; break;
    case 2:
        f.message = 3;
        f.at = 20;
        break;
    case 3: wire_send(&w, bytes_at(noise, sizeof noise)); break;
    default: break;
    }
    if (i % 6 != 0 && i % 6 != 3 && wire_handshake(&w, &f)) {
        if (i % 6 == 4) wire_frame(&w, 9, 0, 0, 0, nothing);
        if (i % 6 == 5) wire_frame(&w, DATA, SYN, 1, WINDOW_SIZE + 1, nothing);
    }
    wire_fill(&w, 20);
    wire_end(&w);
}

static void break_rules(struct target *t, size_t first, size_t step) {
    int64_t begin = now_ms();
    size_t done = 0;
    char text[32];
    struct pollfd in = {.fd = 0, .events = POLLIN};
    rng_system(&t->rng);
    while (poll(&in, 1, 0) == 0) {
        size_t due = (size_t)(now_ms() - begin) * t->count / step / 1000;
        if (done >= due) {
            usleep(2000);
            continue;
        }
        size_t who = (first + step * done++) % t->count;
        t->from = address_of(who, text);
        struct rng own = rng_seeded(1000 + who);
        identity_make(&t->self, &own); /* each a peer of its own */
        break_one(t, who);
    }
    printf("broken=%zu ms=%lld\n", done, (long long)(now_ms() - begin));
    fflush(stdout);
}

static void rule_breakers(struct target *t) {
    enum { PROCESSES = 8 };
    for (size_t i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        if (child < 0) wire_fail("fork");
        if (child > 0) continue;
        break_rules(t, i, PROCESSES);
        _exit(0);
    }
    while (wait(NULL) > 0) {}
}

const struct attack attacks_handshake[] = {{"garbage", garbage},
                                           {"probe", probe},
                                           {"silence", silence},
                                           {"slow", slow},
                                           {"ms-oversized", ms_oversized},
                                           {"ms-overlong", ms_overlong},
                                           {"ms-no-newline", ms_no_newline},
                                           {"ms-empty-line", ms_empty_line},
                                           {"ms-wrong-order", ms_wrong_order},
                                           {"ms-http", ms_http},
                                           {"ms-truncated", ms_truncated},
                                           {"ms-proposals", ms_proposals},
                                           {"cut-everywhere", cut_everywhere},
                                           {"pnet-cut-nonce", pnet_cut_nonce},
                                           {"pnet-slow", pnet_slow},
                                           {"half-open", half_open},
                                           {"rule-breakers", rule_breakers},
                                           {NULL, NULL}};
