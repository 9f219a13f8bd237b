/* lib/net/dns.c: a question goes through its candidates (the name, and the name below each search domain)
 * until one has an answer; a candidate is one or two c-ares queries. c-ares can not take back one query, so a
 * question that ended leaves its queries behind, detached: their callbacks find nobody and only free
 * themselves. */
#include "net/dns.h"

#include "base/mem.h"
#include "net/hosts.h"

#include <ares.h>
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EVENTS = 32,
    DOMAINS_MAX = 6,
    LABEL_MAX = 63,
    CLASS_IN = 1,
    TYPE_A = 1,
    TYPE_TXT = 16,
    TYPE_AAAA = 28,
    GRACE_MS = 300,       /* RFC 8305: one family has come; the other one gets so long */
    STRAYS_PER_PLACE = 4, /* detached queries allowed per question place */
};

struct question;
struct query { /* owned by c-ares until its callback */
    struct dns *dns;
    struct question *question; /* NULL: detached */
    int type;
};
struct question {
    struct question *next;
    struct dns_answer *answer;
    struct ip ip4[DNS_IPS_MAX];
    size_t n_ip4; /* IPv6 ones go into the answer at once */
    struct mono end, grace;
    size_t candidate; /* the next one to be asked */
    struct query *queries[2];
    enum err worst; /* E_NOT_FOUND, or what went wrong first */
    char reason[120];
};
struct dns {
    ares_channel channel;
    int epoll;
    struct dns_setup setup;
    struct endpoint servers[DNS_SERVERS_MAX];
    char *resolv_conf, *hosts;
    char *domains[DOMAINS_MAX];
    size_t n_domains, ndots;
    struct question *questions;
    size_t n, queries; /* questions; queries that c-ares has, detached ones too */
    struct dns_answer *first, *last;
    struct mono recheck;
    struct stat conf; /* resolv.conf, as last read */
};

/* ---- c-ares: the channel */
static void socket_state(void *user, ares_socket_t fd, int readable, int writable) {
    struct dns *d = user;
    struct epoll_event e = {.events = (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u), .data.fd = fd};
    if (!readable && !writable)
        epoll_ctl(d->epoll, EPOLL_CTL_DEL, fd, &e);
    else if (epoll_ctl(d->epoll, EPOLL_CTL_MOD, fd, &e) != 0 && errno == ENOENT)
        epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &e);
}

static void set_servers(const struct dns *d) {
    struct ares_addr_port_node nodes[DNS_SERVERS_MAX] = {0};
    size_t n = d->setup.n_servers;
    for (size_t i = 0; i < n; i++) {
        const struct endpoint *e = &d->servers[i];
        nodes[i].next = i + 1 < n ? &nodes[i + 1] : NULL;
        nodes[i].family = e->ip.version == 4 ? AF_INET : AF_INET6;
        memcpy(&nodes[i].addr, e->ip.p, e->ip.version == 4 ? 4 : 16);
        nodes[i].udp_port = nodes[i].tcp_port = e->port == 0 ? 53 : e->port;
    }
    if (n > 0) ares_set_servers_ports(d->channel, nodes);
}

static void forget_domains(struct dns *d) {
    for (size_t i = 0; i < d->n_domains; i++) mem_free(d->domains[i]);
    d->n_domains = 0;
}

static void read_domains(struct dns *d) {
    struct ares_options o = {0};
    int mask = 0;
    forget_domains(d);
    d->ndots = 1;
    if (ares_save_options(d->channel, &o, &mask) == ARES_SUCCESS) {
        if (o.ndots >= 0) d->ndots = (size_t)o.ndots;
        for (int i = 0; i < o.ndomains && d->n_domains < DOMAINS_MAX; i++) {
            char *copy = mem_text(o.domains[i], strlen(o.domains[i]));
            if (copy != NULL) d->domains[d->n_domains++] = copy;
        }
    }
    ares_destroy_options(&o);
}

static const char *path_of(const struct dns *d) {
    return d->resolv_conf != NULL ? d->resolv_conf : "/etc/resolv.conf";
}

static bool open_channel(struct dns *d) {
    struct ares_options o = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = (int)(d->setup.try_ms > 0 ? MIN(d->setup.try_ms, (int64_t)60000) : DNS_TRY_MS),
        .tries = DNS_TRIES,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = d,
        .lookups = (char *)(uintptr_t) "b", /* else c-ares reads more files, to no use */
        .resolvconf_path = (char *)(uintptr_t)path_of(d),
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF;
    if (stat(path_of(d), &d->conf) != 0) d->conf = (struct stat){0};
    if (ares_init_options(&d->channel, &o, mask) != ARES_SUCCESS) return false;
    set_servers(d);
    read_domains(d);
    return true;
}

static char *copy_of(const char *text) {
    return text == NULL ? NULL : mem_text(text, strlen(text));
}

enum err dns_open(struct dns **out, const struct dns_setup *setup, struct why *w) {
    *out = NULL;
    struct dns *d = NEW(struct dns);
    if (d == NULL) return fail(w, E_MEMORY, "No memory for the resolver");
    d->setup = *setup;
    d->setup.n_servers = MIN(setup->n_servers, (size_t)DNS_SERVERS_MAX);
    for (size_t i = 0; i < d->setup.n_servers; i++) d->servers[i] = setup->servers[i];
    d->setup.servers = d->servers;
    d->resolv_conf = copy_of(setup->resolv_conf);
    d->hosts = copy_of(setup->hosts != NULL ? setup->hosts : "/etc/hosts");
    d->epoll = epoll_create1(EPOLL_CLOEXEC);
    bool ready = d->epoll >= 0 && d->hosts != NULL && (d->resolv_conf != NULL || setup->resolv_conf == NULL);
    if (ready && ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS) {
        if (open_channel(d)) {
            *out = d;
            return OK;
        }
        ares_library_cleanup();
    }
    if (d->epoll >= 0) close(d->epoll);
    mem_free(d->hosts);
    mem_free(d->resolv_conf);
    mem_free(d);
    return fail(w, E_LIMIT, "The resolver can not be started: no descriptor or memory is left");
}

/* ---- answers */
void dns_answer_free(struct dns_answer *a) {
    if (a == NULL) return;
    buf_free(&a->text);
    mem_free(a);
}

static void detach(struct question *q) {
    for (size_t i = 0; i < LEN(q->queries); i++) {
        if (q->queries[i] != NULL) q->queries[i]->question = NULL;
        q->queries[i] = NULL;
    }
}

static void forget(struct dns *d, struct question *q) {
    struct question **at = &d->questions;
    detach(q);
    while (*at != q) at = &(*at)->next;
    *at = q->next;
    d->n--;
    mem_free(q);
}

/* IPv6 first; neither family crowds the other one out. */
static void join(struct question *q) {
    struct dns_answer *a = q->answer;
    size_t half = DNS_IPS_MAX / 2, n6 = a->n_ips, n4 = q->n_ip4;
    if (n6 + n4 > DNS_IPS_MAX) {
        n6 = MIN(n6, MAX(half, DNS_IPS_MAX - n4));
        n4 = MIN(n4, DNS_IPS_MAX - n6);
    }
    memcpy(a->ips + n6, q->ip4, n4 * sizeof q->ip4[0]);
    a->n_ips = n6 + n4;
}

static void finish(struct dns *d, struct question *q, enum err otherwise, const char *reason) {
    struct dns_answer *a = q->answer;
    join(q);
    if (a->n_ips > 0 || a->n_texts > 0)
        a->why = (struct why){OK, ""};
    else
        fail(&a->why, otherwise, "%.100s: %.100s", a->name, reason);
    a->next = NULL;
    if (d->last != NULL)
        d->last->next = a;
    else
        d->first = a;
    d->last = a;
    forget(d, q);
}

struct dns_answer *dns_next(struct dns *d) {
    struct dns_answer *a = d->first;
    if (a == NULL) return NULL;
    d->first = a->next;
    if (d->first == NULL) d->last = NULL;
    a->next = NULL;
    return a;
}

/* ---- what servers say */
static enum err kind_of(int status) {
    switch (status) {
    case ARES_SUCCESS: return OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND: return E_NOT_FOUND;
    case ARES_ETIMEOUT: return E_TIMEOUT;
    case ARES_EFORMERR:
    case ARES_EBADSTR:
    case ARES_EBADRESP: return E_PROTO;
    case ARES_ESERVFAIL:
    case ARES_ENOTIMP:
    case ARES_ECONNREFUSED:
    case ARES_EREFUSED: return E_REFUSED;
    case ARES_EBADNAME: return E_INPUT;
    case ARES_ENOMEM: return E_MEMORY;
    default: return E_IO;
    }
}

static size_t add_ip(struct ip *list, size_t n, struct ip ip) {
    for (size_t i = 0; i < n; i++) {
        if (ip_eq(&list[i], &ip)) return n;
    }
    if (n < DNS_IPS_MAX) list[n++] = ip;
    return n;
}

static int take_ip4(struct question *q, const unsigned char *packet, int size) {
    struct ares_addrttl list[DNS_IPS_MAX];
    int n = DNS_IPS_MAX;
    int status = ares_parse_a_reply(packet, size, NULL, list, &n);
    for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
        q->n_ip4 = add_ip(q->ip4, q->n_ip4, ip_of(4, (const uint8_t *)&list[i].ipaddr));
    }
    return status;
}

static int take_ip6(struct question *q, const unsigned char *packet, int size) {
    struct ares_addr6ttl list[DNS_IPS_MAX];
    int n = DNS_IPS_MAX;
    int status = ares_parse_aaaa_reply(packet, size, NULL, list, &n);
    for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
        struct ip ip = ip_of(6, (const uint8_t *)&list[i].ip6addr);
        if (ip.version == 6) q->answer->n_ips = add_ip(q->answer->ips, q->answer->n_ips, ip);
    }
    return status;
}

/* A record is one or more strings; record_start marks the first one of each. */
static int take_texts(struct question *q, const unsigned char *packet, int size) {
    struct dns_answer *a = q->answer;
    struct ares_txt_ext *list = NULL;
    int status = ares_parse_txt_reply_ext(packet, size, &list);
    for (const struct ares_txt_ext *t = list; t != NULL && a->n_texts < DNS_TEXTS_MAX;) {
        size_t from = a->text.n;
        bool fits = true, begins = true;
        for (; t != NULL && (begins || !t->record_start); t = t->next, begins = false) {
            fits = fits && a->text.n - from + t->length <= DNS_TEXT_MAX &&
                   buf_add(&a->text, bytes_at(t->txt, t->length));
        }
        if (fits)
            a->texts[a->n_texts++].n = a->text.n - from;
        else
            a->text.n = from;
    }
    if (list != NULL) ares_free_data(list);
    struct bytes rest = buf_view(&a->text); /* only now: the buffer moved as it grew */
    for (size_t i = 0; i < a->n_texts; i++) a->texts[i] = bytes_take(&rest, a->texts[i].n);
    return status;
}

static void on_reply(void *user, int status, int timeouts, unsigned char *packet, int size) {
    struct query *query = user;
    struct question *q = query->question;
    (void)timeouts;
    query->dns->queries--;
    if (q != NULL) {
        for (size_t i = 0; i < LEN(q->queries); i++) {
            if (q->queries[i] == query) q->queries[i] = NULL;
        }
        if (status == ARES_SUCCESS) {
            status = query->type == TYPE_A      ? take_ip4(q, packet, size)
                     : query->type == TYPE_AAAA ? take_ip6(q, packet, size)
                                                : take_texts(q, packet, size);
        }
        enum err e = kind_of(status);
        if (e != OK && (q->worst == OK || q->worst == E_NOT_FOUND)) {
            q->worst = e;
            snprintf(q->reason, sizeof q->reason, "%s",
                     e == E_NOT_FOUND ? "there is no such name or record" : ares_strerror(status));
        }
    }
    mem_free(query);
}

/* ---- asking */
static void ask(struct dns *d, struct question *q, size_t place, int type, const char *name) {
    struct query *query = NEW(struct query);
    if (query == NULL) {
        q->worst = E_MEMORY;
        snprintf(q->reason, sizeof q->reason, "no memory");
        return;
    }
    *query = (struct query){d, q, type};
    q->queries[place] = query;
    d->queries++;
    ares_query(d->channel, name, CLASS_IN, type, on_reply, query); /* may call back at once */
}

/* Candidate i of the question; false: there is none. TXT names and those with a dot at the end stand alone.
 */
static bool candidate(const struct dns *d, const struct question *q, size_t i, char out[2 * DNS_NAME_MAX]) {
    const char *name = q->answer->name;
    size_t n = strlen(name), dots = 0;
    for (size_t k = 0; k < n; k++) dots += name[k] == '.';
    size_t domains = q->answer->want == DNS_TEXT || name[n - 1] == '.' ? 0 : d->n_domains;
    size_t itself = dots >= d->ndots ? 0 : domains; /* its place in the order */
    if (i > domains) return false;
    const char *domain = i == itself ? "" : d->domains[i < itself ? i : i - 1];
    snprintf(out, 2 * DNS_NAME_MAX, "%s%s%s", name, *domain == '\0' ? "" : ".", domain);
    return true;
}

/* Asks the next candidate; false: all were asked. */
static bool ask_next(struct dns *d, struct question *q) {
    char name[2 * DNS_NAME_MAX];
    do {
        if (!candidate(d, q, q->candidate++, name)) return false;
    } while (strlen(name) > DNS_NAME_MAX);
    q->grace = MONO_NEVER;
    if (q->answer->want == DNS_TEXT) {
        ask(d, q, 0, TYPE_TXT, name);
        return true;
    }
    if (q->answer->want & DNS_IP6) ask(d, q, 0, TYPE_AAAA, name);
    if (q->answer->want & DNS_IP4) ask(d, q, 1, TYPE_A, name);
    return true;
}

/* Brings a question on as far as it goes; it may be gone then. */
static void advance(struct dns *d, struct question *q, struct mono now) {
    for (;;) {
        bool waiting = q->queries[0] != NULL || q->queries[1] != NULL;
        bool some = q->answer->n_ips > 0 || q->n_ip4 > 0 || q->answer->n_texts > 0;
        if (waiting && some && q->grace.us == 0) q->grace = mono_add_ms(now, GRACE_MS);
        if (mono_due(q->end, now)) {
            finish(d, q, E_TIMEOUT, "no answer in time");
            return;
        }
        if (waiting && !mono_due(q->grace, now)) return;
        bool hopeless = q->worst != OK && q->worst != E_NOT_FOUND;
        if (some || hopeless || !ask_next(d, q)) {
            finish(d, q, q->worst == OK ? E_NOT_FOUND : q->worst,
                   *q->reason == '\0' ? "there is no such name or record" : q->reason);
            return;
        }
    }
}

static void advance_all(struct dns *d, struct mono now) {
    for (struct question *q = d->questions, *next; q != NULL; q = next) {
        next = q->next;
        advance(d, q, now);
    }
}

/* resolv.conf has changed: questions that wait begin again, with the new servers and domains. */
static void recheck(struct dns *d, struct mono now) {
    struct stat st;
    if (d->recheck.us != 0 && !mono_due(d->recheck, now)) return;
    d->recheck = mono_add_ms(now, DNS_RECHECK_MS);
    if (stat(path_of(d), &st) != 0) st = (struct stat){0};
    if (st.st_ino == d->conf.st_ino && st.st_size == d->conf.st_size &&
        st.st_mtim.tv_sec == d->conf.st_mtim.tv_sec && st.st_mtim.tv_nsec == d->conf.st_mtim.tv_nsec) {
        return;
    }
    ares_channel old = d->channel;
    if (!open_channel(d)) {
        d->channel = old;
        return;
    }
    for (struct question *q = d->questions; q != NULL; q = q->next) {
        detach(q);
        q->candidate = 0;
        q->worst = OK;
    }
    ares_destroy(old);
    advance_all(d, now);
}

/* Letters, digits, - and _ in labels of 1 to 63; a dot at the end is allowed. */
static bool is_name(struct bytes name) {
    size_t label = 0;
    if (bytes_ends(name, ".")) name.n--;
    if (name.n == 0 || name.n > DNS_NAME_MAX) return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (c == '.' && label == 0) return false;
        if (c != '.' && !plain && c != '-' && c != '_') return false;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX) return false;
    }
    return label > 0;
}

static void look_nearby(const struct dns *d, struct question *q) {
    unsigned families = (q->answer->want & DNS_IP6 ? HOSTS_IP6 : 0u) |
                        (q->answer->want & DNS_IP4 ? HOSTS_IP4 : 0u);
    struct ip found[DNS_IPS_MAX];
    size_t n = hosts_find(d->hosts, bytes_of(q->answer->name), families, found, LEN(found));
    for (size_t i = 0; i < n; i++) {
        if (found[i].version == 6)
            q->answer->ips[q->answer->n_ips++] = found[i];
        else
            q->ip4[q->n_ip4++] = found[i];
    }
}

enum err dns_ask(struct dns *d, uint64_t tag, enum dns_want want, struct bytes name, struct mono now,
                 struct why *w) {
    struct ip ip;
    if (name.n > DNS_NAME_MAX || !is_name(name) || ip_parse(name, &ip)) {
        return fail(w, E_INPUT, "This is not a name that can be resolved");
    }
    if (d->n >= d->setup.questions_max || d->queries >= d->setup.questions_max * STRAYS_PER_PLACE) {
        return fail(w, E_LIMIT, "Too many names are being resolved (%zu)", d->n);
    }
    struct question *q = NEW(struct question);
    struct dns_answer *a = NEW(struct dns_answer);
    if (q == NULL || a == NULL) {
        mem_free(q);
        mem_free(a);
        return fail(w, E_MEMORY, "No memory to resolve a name");
    }
    recheck(d, now);
    *a = (struct dns_answer){.tag = tag, .want = want, .text = {.max = DNS_TEXTS_MAX * DNS_TEXT_MAX}};
    bytes_cstr(name, a->name, sizeof a->name);
    *q = (struct question){.next = d->questions, .answer = a};
    q->end = mono_add_ms(now, d->setup.total_ms > 0 ? d->setup.total_ms : DNS_TOTAL_MS);
    d->questions = q;
    d->n++;
    if (want != DNS_TEXT) look_nearby(d, q);
    advance(d, q, now);
    return OK;
}

void dns_cancel(struct dns *d, uint64_t tag) {
    for (struct question *q = d->questions, *next; q != NULL; q = next) {
        next = q->next;
        if (q->answer->tag != tag) continue;
        dns_answer_free(q->answer);
        forget(d, q);
    }
    struct dns_answer *all = d->first, *a;
    d->first = d->last = NULL;
    while ((a = all) != NULL) {
        all = a->next;
        a->next = NULL;
        if (a->tag == tag) {
            dns_answer_free(a);
            continue;
        }
        if (d->last != NULL)
            d->last->next = a;
        else
            d->first = a;
        d->last = a;
    }
}

void dns_turn(struct dns *d, struct mono now) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(d->epoll, events, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        int fd = events[i].data.fd;
        bool out = (events[i].events & EPOLLOUT) != 0, in = (events[i].events & ~(uint32_t)EPOLLOUT) != 0;
        ares_process_fd(d->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
    }
    if (d->queries > 0) ares_process_fd(d->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* its time-outs */
    advance_all(d, now);
}

struct mono dns_deadline(const struct dns *d, struct mono now) {
    struct mono at = MONO_NEVER;
    struct timeval tv;
    if (d->first != NULL) return (struct mono){1}; /* dns_next has something */
    if (d->queries > 0 && ares_timeout(d->channel, NULL, &tv) != NULL) {
        at.us = now.us + (int64_t)tv.tv_sec * 1000000 + tv.tv_usec + 1000; /* c-ares rounds down to 1 ms */
    }
    for (const struct question *q = d->questions; q != NULL; q = q->next) {
        at = mono_sooner(at, mono_sooner(q->end, q->grace));
    }
    return at;
}

void dns_close(struct dns *d) {
    if (d == NULL) return;
    while (d->questions != NULL) {
        dns_answer_free(d->questions->answer);
        forget(d, d->questions);
    }
    ares_destroy(d->channel);
    ares_library_cleanup();
    for (struct dns_answer *a; (a = dns_next(d)) != NULL;) dns_answer_free(a);
    forget_domains(d);
    close(d->epoll);
    mem_free(d->hosts);
    mem_free(d->resolv_conf);
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
    for (const struct ares_addr_port_node *s = list; s != NULL && n < DNS_SERVERS_MAX; s = s->next) {
        struct ip ip = ip_of(s->family == AF_INET ? 4 : 6, (const uint8_t *)&s->addr);
        out[n++] = (struct endpoint){.ip = ip, .port = s->udp_port == 0 ? 53 : (uint16_t)s->udp_port};
    }
    ares_free_data(list);
    return n;
}
