#include "net/dns.h"

#include <ares.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct question {
    struct question *next;
    struct dns *dns;
    uint64_t tag;
    bool cancelled;
    struct mono deadline;
    struct dns_answer *answer;
    unsigned pending; /* callbacks still to come */
};
struct dns {
    ares_channel channel;
    int epoll, ready; /* ready: an eventfd, readable while answers wait */
    struct dns_setup setup;
    struct endpoint servers[DNS_SERVERS_MAX];
    struct question *questions;
    size_t n;
    struct dns_answer *first, *last;
    struct mono now, recheck;
    struct timespec conf_changed;
    bool changing;
};

/* ---- c-ares and its descriptors */

static void socket_state(void *user, ares_socket_t fd, int readable, int writable) {
    struct dns *d = user;
    struct epoll_event ev = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u), .data.fd = fd};
    if (!readable && !writable)
        epoll_ctl(d->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(d->epoll, EPOLL_CTL_MOD, fd, &ev) != 0 && errno == ENOENT)
        epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev);
}

static enum err of_status(int status) {
    switch (status) {
    case ARES_SUCCESS: return OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND: return E_NOT_FOUND;
    case ARES_ETIMEOUT:
    case ARES_ECANCELLED: return E_TIMEOUT;
    case ARES_EBADRESP:
    case ARES_EFORMERR: return E_PROTO;
    case ARES_ESERVFAIL:
    case ARES_EREFUSED:
    case ARES_ENOTIMP: return E_REFUSED;
    case ARES_EBADNAME: return E_INPUT;
    case ARES_ENOMEM: return E_MEMORY;
    default: return E_IO;
    }
}

static void set_servers(struct dns *d) {
    struct ares_addr_port_node nodes[DNS_SERVERS_MAX];
    for (size_t i = 0; i < d->setup.n_servers; i++) {
        const struct endpoint *e = &d->servers[i];
        nodes[i] = (struct ares_addr_port_node){.next = i + 1 < d->setup.n_servers ? &nodes[i + 1] : NULL,
                                                .family = e->ip.version == 4 ? AF_INET : AF_INET6};
        memcpy(&nodes[i].addr, e->ip.p, e->ip.version == 4 ? 4 : 16);
        nodes[i].udp_port = nodes[i].tcp_port = e->port == 0 ? 53 : e->port;
    }
    if (d->setup.n_servers > 0) ares_set_servers_ports(d->channel, nodes);
}

static const char *conf_path(const struct dns *d) {
    return d->setup.resolv_conf != NULL ? d->setup.resolv_conf : "/etc/resolv.conf";
}

static bool open_channel(struct dns *d) {
    struct ares_options o = {.timeout = (int)(d->setup.try_ms > 0 ? d->setup.try_ms : DNS_TRY_MS),
                             .tries = DNS_TRIES,
                             .sock_state_cb = socket_state,
                             .sock_state_cb_data = d,
                             .lookups = (char *)(uintptr_t) "b",
                             .resolvconf_path = (char *)(uintptr_t)conf_path(d)};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS |
               ARES_OPT_RESOLVCONF;
    if (ares_init_options(&d->channel, &o, mask) != ARES_SUCCESS) return false;
    set_servers(d);
    struct stat st;
    d->conf_changed = stat(conf_path(d), &st) == 0 ? st.st_mtim : (struct timespec){0, 0};
    return true;
}

enum err dns_open(struct dns **out, const struct dns_setup *setup, struct why *w) {
    struct dns *d = NEW(struct dns);
    *out = NULL;
    if (d == NULL) return fail(w, E_MEMORY, "out of memory");
    d->setup = *setup;
    d->setup.n_servers = MIN(setup->n_servers, (size_t)DNS_SERVERS_MAX);
    for (size_t i = 0; i < d->setup.n_servers; i++) d->servers[i] = setup->servers[i];
    d->setup.servers = d->servers;
    d->epoll = epoll_create1(EPOLL_CLOEXEC);
    d->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = d->ready};
    bool good = d->epoll >= 0 && d->ready >= 0 && epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->ready, &ev) == 0;
    bool library = good && ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
    if (library && open_channel(d)) {
        *out = d;
        return OK;
    }
    if (library) ares_library_cleanup();
    if (d->epoll >= 0) close(d->epoll);
    if (d->ready >= 0) close(d->ready);
    mem_free(d);
    return fail(w, E_LIMIT, "the resolver cannot be started: no descriptor or memory is left");
}

/* ---- answers */

static void tell(struct dns *d) {
    uint64_t one = 1;
    ssize_t n = write(d->ready, &one, sizeof one);
    (void)n;
}

void dns_answer_free(struct dns_answer *a) {
    if (a == NULL) return;
    buf_free(&a->text);
    mem_free(a);
}

static void drop_question(struct question *q) {
    for (struct question **at = &q->dns->questions; *at != NULL; at = &(*at)->next)
        if (*at == q) {
            *at = q->next;
            q->dns->n--;
            break;
        }
    mem_free(q);
}

static void finish(struct question *q) {
    struct dns *d = q->dns;
    struct dns_answer *a = q->answer;
    if (a->n_ips > 0 || a->n_texts > 0)
        a->why = (struct why){OK, ""};
    else if (a->why.code == OK)
        fail(&a->why, E_NOT_FOUND, "%s: no such record", a->name);
    if (q->cancelled) {
        dns_answer_free(a);
    } else {
        a->next = NULL;
        if (d->last == NULL)
            d->first = a;
        else
            d->last->next = a;
        d->last = a;
        tell(d);
    }
    drop_question(q);
}

static void failed(struct question *q, int status) {
    struct dns_answer *a = q->answer;
    if (status != ARES_SUCCESS && a->why.code == OK)
        fail(&a->why, of_status(status), "%s: %s", a->name, ares_strerror(status));
}

static void add_ip(struct dns_answer *a, const struct ip *ip) {
    for (size_t i = 0; i < a->n_ips; i++)
        if (ip_eq(&a->ips[i], ip)) return;
    if (a->n_ips == DNS_IPS_MAX) return;
    size_t at = a->n_ips; /* IPv6 before IPv4 */
    if (ip->version == 6)
        for (at = 0; at < a->n_ips && a->ips[at].version == 6;) at++;
    memmove(&a->ips[at + 1], &a->ips[at], (a->n_ips - at) * sizeof a->ips[0]);
    a->ips[at] = *ip;
    a->n_ips++;
}

static void on_host(void *user, int status, int timeouts, struct hostent *host) {
    struct question *q = user;
    (void)timeouts;
    failed(q, status);
    for (char **p = status == ARES_SUCCESS && host != NULL ? host->h_addr_list : NULL;
         p != NULL && *p != NULL; p++) {
        struct ip ip = ip_of(host->h_addrtype == AF_INET ? 4 : 6, (const uint8_t *)*p);
        add_ip(q->answer, &ip);
    }
    if (--q->pending == 0) finish(q);
}

static void add_text(struct dns_answer *a, size_t from) {
    if (a->text.n - from > DNS_TEXT_MAX || a->n_texts == DNS_TEXTS_MAX) {
        a->text.n = from;
        return;
    }
    a->texts[a->n_texts].n = a->text.n -
                             from; /* the place is filled in when all have come: the buffer may move */
    a->n_texts++;
}

static void on_text(void *user, int status, int timeouts, unsigned char *packet, int length) {
    struct question *q = user;
    struct dns_answer *a = q->answer;
    struct ares_txt_ext *list = NULL;
    (void)timeouts;
    if (status == ARES_SUCCESS) status = ares_parse_txt_reply_ext(packet, length, &list);
    failed(q, status);
    size_t from = 0;
    for (struct ares_txt_ext *t = list; t != NULL; t = t->next) {
        if (t->record_start) {
            if (t != list) add_text(a, from);
            from = a->text.n;
        }
        if (!buf_add(&a->text, bytes_at(t->txt, t->length))) break;
        if (t->next == NULL) add_text(a, from);
    }
    if (list != NULL) ares_free_data(list);
    size_t at = 0;
    for (size_t i = 0; i < a->n_texts; i++) {
        a->texts[i].p = a->text.p + at;
        at += a->texts[i].n;
    }
    if (--q->pending == 0) finish(q);
}

/* ---- questions that need no server */

static bool is_localhost(struct bytes name) {
    if (bytes_ends(name, ".")) name.n--;
    char text[16];
    size_t from = name.n > 9 ? name.n - 9 : 0;
    if (!bytes_cstr(bytes_skip(name, from), text, sizeof text)) return false;
    for (char *c = text; *c != 0; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 32);
    return strcmp(text, "localhost") == 0 && (from == 0 || name.p[from - 1] == '.');
}

static bool same_name(struct bytes a, struct bytes b) {
    if (bytes_ends(a, ".")) a.n--;
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++) {
        uint8_t x = a.p[i], y = b.p[i];
        if (x >= 'A' && x <= 'Z') x = (uint8_t)(x + 32);
        if (y >= 'A' && y <= 'Z') y = (uint8_t)(y + 32);
        if (x != y) return false;
    }
    return true;
}

static bool next_word(struct bytes *line, struct bytes *word) {
    *line = bytes_trim(*line);
    if (line->n == 0) return false;
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t') n++;
    *word = bytes_take(line, n);
    return true;
}

static void from_hosts_line(struct dns_answer *a, struct bytes line) {
    struct bytes word, name = bytes_of(a->name);
    struct ip ip;
    line = bytes_sub(line, 0, bytes_index(line, '#'));
    if (!next_word(&line, &word) || !ip_parse(word, &ip)) return;
    if ((a->want & (ip.version == 4 ? DNS_IP4 : DNS_IP6)) == 0) return;
    while (next_word(&line, &word))
        if (same_name(name, word)) add_ip(a, &ip);
}

static void from_hosts(struct dns *d, struct dns_answer *a) {
    FILE *f = fopen(d->setup.hosts != NULL ? d->setup.hosts : "/etc/hosts", "re");
    char line[1024];
    size_t seen = 0;
    while (f != NULL && seen < DNS_HOSTS_MAX && fgets(line, sizeof line, f) != NULL) {
        seen += strlen(line);
        from_hosts_line(a, bytes_of(line));
    }
    if (f != NULL) fclose(f);
}

static void local_answer(struct dns *d, struct dns_answer *a) {
    static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};
    if (!is_localhost(bytes_of(a->name))) {
        from_hosts(d, a);
        return;
    }
    struct ip one = ip_of(4, v4), other = ip_of(6, v6);
    if ((a->want & DNS_IP6) != 0) add_ip(a, &other);
    if ((a->want & DNS_IP4) != 0) add_ip(a, &one);
}

static void recheck(struct dns *d) {
    struct stat st;
    if (!mono_due(d->recheck, d->now) && d->recheck.us != 0) return;
    d->recheck = mono_add_ms(d->now, DNS_RECHECK_MS);
    struct timespec changed = stat(conf_path(d), &st) == 0 ? st.st_mtim : (struct timespec){0, 0};
    if (d->n > 0 || (changed.tv_sec == d->conf_changed.tv_sec && changed.tv_nsec == d->conf_changed.tv_nsec))
        return;
    ares_channel old = d->channel;
    if (open_channel(d))
        ares_destroy(old);
    else
        d->channel = old;
}

enum err dns_ask(struct dns *d, uint64_t tag, enum dns_want want, struct bytes name, struct mono now,
                 struct why *w) {
    struct ip ip;
    d->now = now;
    recheck(d);
    if (d->n >= d->setup.questions_max) return fail(w, E_LIMIT, "too many names are being resolved");
    if (name.n == 0 || name.n > DNS_NAME_MAX || ip_parse(name, &ip))
        return fail(w, E_INPUT, "that is no name");
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f) return fail(w, E_INPUT, "that is no name");
    struct question *q = NEW(struct question);
    struct dns_answer *a = NEW(struct dns_answer);
    if (q == NULL || a == NULL) {
        mem_free(q);
        mem_free(a);
        return fail(w, E_MEMORY, "out of memory");
    }
    *q = (struct question){
        .next = d->questions,
        .dns = d,
        .tag = tag,
        .answer = a,
        .deadline = mono_add_ms(now, d->setup.total_ms > 0 ? d->setup.total_ms : DNS_TOTAL_MS)};
    d->questions = q;
    d->n++;
    a->tag = tag;
    a->want = want;
    a->text.max = DNS_TEXTS_MAX * DNS_TEXT_MAX;
    bytes_cstr(name, a->name, sizeof a->name);
    if (want != DNS_TEXT) local_answer(d, a);
    if (a->n_ips > 0) {
        finish(q);
        return OK;
    }
    q->pending = 1 + (want == DNS_IP); /* before the calls: they may answer at once */
    if (want == DNS_TEXT) ares_search(d->channel, a->name, 1, 16, on_text, q);
    if (want == DNS_IP) ares_gethostbyname(d->channel, a->name, AF_INET6, on_host, q);
    if (want == DNS_IP || want == DNS_IP4) ares_gethostbyname(d->channel, a->name, AF_INET, on_host, q);
    if (want == DNS_IP6) ares_gethostbyname(d->channel, a->name, AF_INET6, on_host, q);
    return OK;
}

void dns_cancel(struct dns *d, uint64_t tag) {
    for (struct question *q = d->questions; q != NULL; q = q->next)
        if (q->tag == tag) q->cancelled = true;
}

void dns_turn(struct dns *d, struct mono now) {
    struct epoll_event events[32];
    uint64_t count;
    d->now = now;
    int n = epoll_wait(d->epoll, events, 32, 0);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        if (fd == d->ready) {
            if (read(d->ready, &count, sizeof count) < 0) continue;
        } else {
            bool in = (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0,
                 out = (events[i].events & EPOLLOUT) != 0;
            ares_process_fd(d->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
        }
    }
    if (d->n > 0) ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* its time-outs */
    bool late = false;
    for (struct question *q = d->questions; q != NULL; q = q->next) late |= mono_due(q->deadline, now);
    if (late) ares_cancel(d->channel); /* the servers answer nobody: all questions end */
}

struct mono dns_deadline(const struct dns *d, struct mono now) {
    struct timeval most = {1, 0}, tv;
    struct mono at = MONO_NEVER;
    if (d->n == 0) return MONO_NEVER;
    struct timeval *t = ares_timeout(d->channel, &most, &tv);
    at.us = now.us + (int64_t)t->tv_sec * 1000000 + t->tv_usec + 1000;
    for (const struct question *q = d->questions; q != NULL; q = q->next) at = mono_sooner(at, q->deadline);
    return at;
}

struct dns_answer *dns_next(struct dns *d) {
    struct dns_answer *a = d->first;
    if (a == NULL) return NULL;
    d->first = a->next;
    if (d->first == NULL) d->last = NULL;
    a->next = NULL;
    return a;
}

void dns_close(struct dns *d) {
    if (d == NULL) return;
    for (struct question *q = d->questions; q != NULL; q = q->next) q->cancelled = true;
    ares_destroy(d->channel);
    ares_library_cleanup();
    for (struct dns_answer *a; (a = dns_next(d)) != NULL;) dns_answer_free(a);
    close(d->epoll);
    close(d->ready);
    mem_free(d);
}

int dns_fd(const struct dns *d) {
    return d->epoll;
}
size_t dns_waiting(const struct dns *d) {
    return d->n;
}

size_t dns_servers(const struct dns *d, struct endpoint out[DNS_SERVERS_MAX]) {
    struct ares_addr_port_node *list = NULL;
    size_t n = 0;
    if (ares_get_servers_ports(d->channel, &list) != ARES_SUCCESS) return 0;
    for (struct ares_addr_port_node *s = list; s != NULL && n < DNS_SERVERS_MAX; s = s->next) {
        out[n] = (struct endpoint){.ip = ip_of(s->family == AF_INET ? 4 : 6, (const uint8_t *)&s->addr),
                                   .port = s->udp_port == 0 ? 53 : (uint16_t)s->udp_port};
        n++;
    }
    ares_free_data(list);
    return n;
}
