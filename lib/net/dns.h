/* lib/net/dns.h: names to addresses and TXT records, without ever blocking. Over c-ares, which only dns.c
 * includes.
 *
 * /etc/hosts comes first for addresses; "localhost" and names below it are loopback, whatever the files say
 * (RFC 6761). Names without enough dots are tried with the system's search list. Changes of resolv.conf are
 * noticed within DNS_RECHECK_MS. A missing resolv.conf or hosts file is no failure.
 *
 * One descriptor (dns_fd, readable) and one deadline; after either call dns_turn, then dns_next until it
 * gives NULL. */
#ifndef SILKTALK_NET_DNS_H
#define SILKTALK_NET_DNS_H

#include "base/ip.h"

enum {
    DNS_NAME_MAX = 253,  /* characters */
    DNS_IPS_MAX = 32,    /* addresses of one answer; more are left out */
    DNS_TEXTS_MAX = 100, /* TXT records of one answer; more are left out */
    DNS_TEXT_MAX = 1024, /* bytes of a TXT record (its strings joined); longer ones are left out */
    DNS_SERVERS_MAX = 8,
    DNS_TRY_MS = 2000, /* one try with one server; doubled by c-ares each round */
    DNS_TRIES = 3,
    DNS_TOTAL_MS = 15000, /* a question in all */
    DNS_RECHECK_MS = 5000,
};
enum dns_want { DNS_IP4 = 1, DNS_IP6 = 2, DNS_IP = 3, DNS_TEXT = 4 };

struct dns;
struct dns_setup {
    const struct endpoint *servers;  /* dnsServers (port 0: 53) */
    size_t n_servers;                /* 0: the system's */
    size_t questions_max;            /* LIMIT_DNS_QUERIES */
    const char *resolv_conf, *hosts; /* NULL: /etc/resolv.conf, /etc/hosts */
    int64_t try_ms, total_ms;        /* 0: DNS_TRY_MS, DNS_TOTAL_MS */
};
struct dns_answer {          /* owned by the taker */
    struct dns_answer *next; /* inside dns only */
    uint64_t tag;
    enum dns_want want;
    char name[DNS_NAME_MAX + 1]; /* as asked */
    /* OK: at least one result. E_NOT_FOUND: no such name or record. E_TIMEOUT. E_PROTO: nonsense answers.
     * E_REFUSED: the server refuses or fails. E_IO, E_MEMORY */
    struct why why;
    struct ip ips[DNS_IPS_MAX];
    size_t n_ips; /* IPv6 before IPv4, each in the server's order */
    struct bytes texts[DNS_TEXTS_MAX];
    size_t n_texts;
    struct buf text; /* what texts point into */
};
enum err dns_open(struct dns **out, const struct dns_setup *setup, struct why *w);
void dns_close(struct dns *d); /* questions and answers that were not taken are gone */
int dns_fd(const struct dns *d);
/* Asks. The answer comes later, by dns_next, even if it is known at once. E_INPUT: not a name (an IP address
 * is none). E_LIMIT: questions_max are waiting. E_MEMORY. `tag` is the owner's; several questions may share
 * it. */
enum err dns_ask(struct dns *d, uint64_t tag, enum dns_want want, struct bytes name, struct mono now,
                 struct why *w);
void dns_cancel(struct dns *d, uint64_t tag); /* no answer for tag comes any more */
void dns_turn(struct dns *d, struct mono now);
struct mono dns_deadline(const struct dns *d, struct mono now); /* 0: nothing is waiting */
struct dns_answer *dns_next(struct dns *d);                     /* NULL: none now */
void dns_answer_free(struct dns_answer *a);
size_t dns_waiting(const struct dns *d);
/* The servers in use, for `explain` and netcheck; at most DNS_SERVERS_MAX. */
size_t dns_servers(const struct dns *d, struct endpoint out[DNS_SERVERS_MAX]);

#endif
