#include "net/dns.h"

#include "base/mem.h"
#include "loop/clocks.h"
#include "tests/test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a server of our own: UDP and TCP on one loopback port; what it says depends on the first label */
enum { A = 1, CNAME = 5, TXT = 16, AAAA = 28, PACKET_MAX = 65535 };
static struct server {
    int udp, tcp, stream;
    uint16_t port;
    size_t queries, over_tcp;
    size_t cut;     /* "cut": answers end behind so many bytes */
    size_t flip;    /* "flip": this bit is wrong */
    char last[300]; /* the last name asked for */
} s;

static void bind_both(void) {
    for (int tries = 0; tries < 50; tries++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof at;
        s.udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        s.tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        CHECK(bind(s.udp, (struct sockaddr *)&at, n) == 0 &&
              getsockname(s.udp, (struct sockaddr *)&at, &n) == 0);
        s.port = ntohs(at.sin_port);
        if (bind(s.tcp, (struct sockaddr *)&at, n) == 0 && listen(s.tcp, 5) == 0) return;
        close(s.udp);
        close(s.tcp);
    }
    CHECK(false, "no port that is free for both");
}

static void begin(struct buf *b, struct bytes query, uint16_t flags) {
    b->n = 0;
    buf_add(b, bytes_sub(query, 0, 2));
    wr_u16(b, flags);
    wr_u16(b, 1);
    for (int i = 0; i < 3; i++) wr_u16(b, 0);
    buf_add(b, bytes_skip(query, 12));
}

static void record(struct buf *b, uint16_t type, struct bytes data) {
    wr_u16(b, 0xc00c); /* the name of the question */
    wr_u16(b, type);
    wr_u16(b, 1);
    wr_u32(b, 60);
    wr_u16(b, (uint16_t)data.n);
    buf_add(b, data);
    put_u16(b->p + 6, (uint16_t)(get_u16(b->p + 6) + 1));
}

static void ip4(struct buf *b, uint8_t last) {
    record(b, A, bytes_at((uint8_t[]){192, 0, 2, last}, 4));
}

static void ip6(struct buf *b, uint8_t last) {
    uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = last};
    record(b, AAAA, bytes_at(ip, 16));
}

static void txt(struct buf *b, size_t strings, size_t each, char fill) {
    uint8_t data[5000];
    size_t n = 0;
    for (size_t i = 0; i < strings; i++) {
        data[n++] = (uint8_t)each;
        memset(data + n, fill, each);
        n += each;
    }
    record(b, TXT, bytes_at(data, n));
}

static uint16_t type_of(struct bytes query) {
    return get_u16(query.p + query.n - 4);
}

/* The answer to a query; empty: silence. */
static void answer(struct bytes query, bool tcp, struct buf *b) {
    struct bytes rest = bytes_skip(query, 12);
    uint16_t type = type_of(query);
    char label[64] = "";
    s.queries++;
    s.over_tcp += tcp;
    *s.last = '\0';
    for (bool first = true; rest.n > 0 && rest.p[0] > 0 && rest.p[0] < 64; first = false) {
        uint8_t n = bytes_take(&rest, 1).p[0];
        struct bytes part = bytes_take(&rest, n);
        if (first) CHECK(bytes_cstr(part, label, sizeof label));
        size_t used = strlen(s.last);
        snprintf(s.last + used, sizeof s.last - used, "%.*s.", (int)part.n, (const char *)part.p);
    }
    bool is4 = type == A, is6 = type == AAAA;
#define NAMED(text) (strcmp(label, text) == 0)
    begin(b, query, 0x8180);
    if (NAMED("both") || NAMED("cut") || NAMED("flip")) {
        if (is4) ip4(b, 1), ip4(b, 2), ip4(b, 1);
        if (is6) ip6(b, 1), ip6(b, 2);
        if (type == TXT) txt(b, 2, 20, 'c');
    } else if (NAMED("four")) {
        if (is4) ip4(b, 4);
    } else if (NAMED("mapped")) {
        uint8_t ip[16] = {[10] = 255, [11] = 255, [12] = 192, [14] = 2, [15] = 9};
        if (is6) record(b, AAAA, bytes_at(ip, 16));
    } else if (NAMED("crowd")) {
        for (int i = 0; i < 25; i++) {
            if (is4) ip4(b, (uint8_t)i);
            if (is6) ip6(b, (uint8_t)i);
        }
    } else if (NAMED("nx") || (NAMED("short") && strcmp(s.last, "short.two.test.") != 0)) {
        begin(b, query, 0x8183);
    } else if (NAMED("short")) {
        if (is4) ip4(b, 22);
    } else if (NAMED("fail")) {
        begin(b, query, 0x8182);
    } else if (NAMED("refused")) {
        begin(b, query, 0x8185);
    } else if (NAMED("silent") || (NAMED("half") && is6)) {
        b->n = 0;
    } else if (NAMED("half")) {
        ip4(b, 5);
    } else if (NAMED("big")) {
        if (!tcp)
            begin(b, query, 0x8380); /* truncated */
        else
            for (int i = 0; i < 60; i++) ip4(b, (uint8_t)i);
    } else if (NAMED("texts")) {
        txt(b, 1, 5, 'a');
        txt(b, 3, 200, 'b');
        txt(b, 4, 255, 'm'); /* 1020 bytes */
        txt(b, 5, 205, 'x'); /* 1025: left out */
        txt(b, 1, 0, 'e');
        txt(b, 1, 1, 'z');
    } else if (NAMED("list")) {
        for (int i = 0; i < 150; i++) txt(b, 1, 3, 'l');
    } else if (NAMED("alias")) {
        record(b, CNAME, bytes_at("\x05other\x04test", 12));
        wr_u16(b, (uint16_t)(0xc000 | (b->n - 12))); /* the name the alias stands for */
        wr_u16(b, type);
        wr_u16(b, 1);
        wr_u32(b, 60);
        wr_u16(b, 4);
        buf_add(b, bytes_at((uint8_t[]){192, 0, 2, 33}, 4));
        put_u16(b->p + 6, 2);
    } else if (NAMED("circle")) {
        wr_u16(b, (uint16_t)(0xc000 | b->n)); /* a name that points at itself */
        buf_add(b, bytes_at("\0\1\0\1\0\0\0\1\0\4abcd", 14));
        put_u16(b->p + 6, 1);
    } else if (NAMED("lies")) { /* more records and longer data than there are */
        ip4(b, 1);
        put_u16(b->p + 6, 60000);
        put_u16(b->p + b->n - 6, 60000);
    }
    if (NAMED("cut")) b->n = MIN(b->n, s.cut);
    if (NAMED("flip") && s.flip / 8 < b->n) b->p[s.flip / 8] ^= (uint8_t)(1 << s.flip % 8);
}

static void serve_udp(void) {
    static uint8_t packet[PACKET_MAX];
    struct sockaddr_in from;
    socklen_t n = sizeof from;
    ssize_t got;
    while ((got = recvfrom(s.udp, packet, sizeof packet, 0, (struct sockaddr *)&from, &n)) > 0) {
        struct buf b = {.max = PACKET_MAX};
        answer(bytes_at(packet, (size_t)got), false, &b);
        if (strncmp(s.last, "spoof.", 6) ==
            0) { /* a wrong id, then another name, then a foreign family; then the truth */
            ip4(&b, 66);
            b.p[0] ^= 1;
            sendto(s.udp, b.p, b.n, 0, (struct sockaddr *)&from, n);
            b.p[0] ^= 1;
            b.p[13] ^= 1;
            sendto(s.udp, b.p, b.n, 0, (struct sockaddr *)&from, n);
            b.p[13] ^= 1;
            b.p[b.n - 1] = 1;
        }
        if (b.n > 0) CHECK(sendto(s.udp, b.p, b.n, 0, (struct sockaddr *)&from, n) == (ssize_t)b.n);
        buf_free(&b);
    }
}

static void serve_tcp(void) {
    static uint8_t packet[2 + PACKET_MAX];
    if (s.stream < 0) s.stream = accept4(s.tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (s.stream < 0) return;
    ssize_t got = recv(s.stream, packet, sizeof packet, 0);
    if (got == 0) {
        close(s.stream);
        s.stream = -1;
    }
    if (got < 3) return;
    struct buf b = {.max = PACKET_MAX}, whole = {.max = PACKET_MAX + 2};
    answer(bytes_at(packet + 2, get_u16(packet)), true, &b);
    CHECK(wr_u16(&whole, (uint16_t)b.n) && buf_add(&whole, buf_view(&b)));
    if (b.n > 0) CHECK(send(s.stream, whole.p, whole.n, 0) == (ssize_t)whole.n);
    buf_free(&b);
    buf_free(&whole);
}

/* ---- the resolver's side */
static struct dns *d;
static char conf[300], hosts[300];

static void write_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && fputs(text, f) >= 0);
    fclose(f);
}

static size_t open_fds(void) {
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void open_dns(size_t questions, int64_t try_ms, int64_t total_ms) {
    s = (struct server){.stream = -1};
    bind_both();
    snprintf(conf, sizeof conf, "%s/resolv.conf", test_dir());
    snprintf(hosts, sizeof hosts, "%s/hosts", test_dir());
    write_file(conf, "search one.test two.test\noptions ndots:1\n");
    write_file(hosts, "10.1.2.3 filed filed.alias\n2001:db8::9 filed\n");
    struct endpoint server = {.port = s.port};
    struct why w = {OK, ""};
    CHECK(ip_parse(BYTES("127.0.0.1"), &server.ip));
    struct dns_setup setup = {.servers = &server,
                              .n_servers = 1,
                              .questions_max = questions,
                              .resolv_conf = conf,
                              .hosts = hosts,
                              .try_ms = try_ms,
                              .total_ms = total_ms};
    CHECK(dns_open(&d, &setup, &w) == OK, "%s", w.text);
}

static void close_dns(void) {
    dns_close(d);
    close(s.udp);
    close(s.tcp);
    if (s.stream >= 0) close(s.stream);
}

static struct mono now_for_test(void) {
    return clocks_mono();
}

/* One turn of resolver and server. */
static void turn(void) {
    struct pollfd p[] = {{.fd = dns_fd(d), .events = POLLIN},
                         {.fd = s.udp, .events = POLLIN},
                         {.fd = s.tcp, .events = POLLIN},
                         {.fd = s.stream, .events = POLLIN}};
    struct mono now = now_for_test(), end = dns_deadline(d, now);
    int64_t ms = end.us == 0 ? 1000 : MAX((end.us - now.us + 999) / 1000, (int64_t)0);
    poll(p, LEN(p), (int)MIN(ms, (int64_t)1000));
    serve_udp();
    serve_tcp();
    dns_turn(d, now_for_test());
}

static struct dns_answer *resolve(enum dns_want want, const char *name) {
    struct dns_answer *a;
    struct why w = {OK, ""};
    CHECK(dns_ask(d, 7, want, bytes_of(name), now_for_test(), &w) == OK, "%s: %s", name, w.text);
    while ((a = dns_next(d)) == NULL) turn();
    CHECK(a->tag == 7 && a->want == want && strcmp(a->name, name) == 0 && dns_waiting(d) == 0);
    return a;
}

static const char *ips(const struct dns_answer *a) {
    static char all[DNS_IPS_MAX * 50];
    char one[48];
    *all = '\0';
    for (size_t i = 0; i < a->n_ips; i++) {
        ip_text(&a->ips[i], one);
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", one);
    }
    return all;
}

TEST(dns_addresses) {
    static const struct {
        enum dns_want want;
        const char *name, *ips;
        enum err err;
    } rows[] = {
        {DNS_IP, "both.test", "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2 ", OK},
        {DNS_IP4, "both.test", "192.0.2.1 192.0.2.2 ", OK},
        {DNS_IP6, "both.test.", "2001:db8::1 2001:db8::2 ", OK},
        {DNS_IP, "four.test", "192.0.2.4 ", OK},
        {DNS_IP6, "four.test", "", E_NOT_FOUND},
        {DNS_IP, "nx.test", "", E_NOT_FOUND},
        {DNS_IP, "fail.test", "", E_REFUSED},
        {DNS_IP, "refused.test", "", E_REFUSED},
        {DNS_IP4, "alias.test", "192.0.2.33 ", OK},
        {DNS_IP6, "mapped.test", "", E_NOT_FOUND},
        {DNS_IP, "filed", "2001:db8::9 10.1.2.3 ", OK},
        {DNS_IP4, "FILED.ALIAS.", "10.1.2.3 ", OK},
        {DNS_IP, "localhost", "::1 127.0.0.1 ", OK},
        {DNS_IP4, "db.localhost", "127.0.0.1 ", OK},
        {DNS_IP4, "short", "192.0.2.22 ", OK},
        {DNS_IP4, "short.", "", E_NOT_FOUND},
    };
    size_t fds = open_fds(), blocks = mem_blocks();
    open_dns(4, 2000, 0);
    for (size_t i = 0; i < LEN(rows); i++) {
        struct dns_answer *a = resolve(rows[i].want, rows[i].name);
        CHECK(a->why.code == rows[i].err, "%s: %d %s", rows[i].name, (int)a->why.code, a->why.text);
        CHECK(strcmp(ips(a), rows[i].ips) == 0, "%s: %s", rows[i].name, ips(a));
        CHECK(a->why.code == OK || strstr(a->why.text, rows[i].name) != NULL, "%s", a->why.text);
        dns_answer_free(a);
    }
    struct endpoint servers[DNS_SERVERS_MAX];
    CHECK(dns_servers(d, servers) == 1 && servers[0].port == s.port);
    CHECK(dns_deadline(d, now_for_test()).us == 0);
    close_dns();
    CHECK(open_fds() == fds && mem_blocks() == blocks);
}

TEST(dns_searches_in_the_right_order) {
    open_dns(4, 2000, 0);
    dns_answer_free(resolve(DNS_IP4, "short"));
    CHECK(s.queries == 2, "short.one.test, short.two.test");
    s.queries = 0;
    dns_answer_free(resolve(DNS_IP4, "nx.dotted"));
    CHECK(s.queries == 3 && strcmp(s.last, "nx.dotted.two.test.") == 0, "itself first: %s", s.last);
    s.queries = 0;
    dns_answer_free(resolve(DNS_IP4, "fail"));
    CHECK(s.queries >= 1 && strcmp(s.last, "fail.one.test.") == 0, "no further after a failure: %s", s.last);
    close_dns();
}

TEST(dns_one_family_waits_shortly_for_the_other) {
    struct dns_answer *a = NULL;
    open_dns(4, 30000, 60000);
    struct mono now = now_for_test();
    CHECK(dns_ask(d, 7, DNS_IP, BYTES("half.test"), now, NULL) == OK);
    while (s.queries < 2) turn();
    CHECK(dns_next(d) == NULL);
    while (mono_diff_ms(dns_deadline(d, now), now) > 5000) turn(); /* until the A record has come */
    CHECK(dns_next(d) == NULL, "not at once");
    dns_turn(d, mono_add_ms(now, 10000));
    CHECK((a = dns_next(d)) != NULL && strcmp(ips(a), "192.0.2.5 ") == 0);
    dns_answer_free(a);
    close_dns();
}

TEST(dns_local_names_ask_nobody) {
    open_dns(4, 2000, 0);
    dns_answer_free(resolve(DNS_IP, "localhost"));
    dns_answer_free(resolve(DNS_IP4, "filed"));
    CHECK(s.queries == 0);
    CHECK(dns_ask(d, 1, DNS_IP, BYTES("localhost"), now_for_test(), NULL) == OK);
    CHECK(mono_due(dns_deadline(d, now_for_test()), now_for_test()), "an answer that is there is due");
    close_dns();
}

TEST(dns_texts) {
    open_dns(4, 2000, 0);
    struct dns_answer *a = resolve(DNS_TEXT, "texts.test");
    CHECK(a->why.code == OK && a->n_texts == 5, "%zu: %s", a->n_texts, a->why.text);
    static const size_t sizes[] = {5, 600, 1020, 0, 1};
    for (size_t i = 0; i < LEN(sizes); i++)
        CHECK(a->texts[i].n == sizes[i], "text %zu: %zu", i, a->texts[i].n);
    CHECK(bytes_is(a->texts[0], "aaaaa") && a->texts[1].p[599] == 'b' && bytes_is(a->texts[4], "z"));
    dns_answer_free(a);
    a = resolve(DNS_TEXT, "list.test");
    CHECK(a->n_texts == DNS_TEXTS_MAX && bytes_is(a->texts[DNS_TEXTS_MAX - 1], "lll"));
    dns_answer_free(a);
    a = resolve(DNS_TEXT, "nx");
    CHECK(a->why.code == E_NOT_FOUND && strcmp(s.last, "nx.") == 0, "no search list for these: %s", s.last);
    dns_answer_free(a);
    close_dns();
}

TEST(dns_truncated_answers_come_over_tcp) {
    open_dns(4, 2000, 0);
    struct dns_answer *a = resolve(DNS_IP4, "big.test");
    CHECK(a->why.code == OK && a->n_ips == DNS_IPS_MAX && s.over_tcp == 1, "%zu: %s", a->n_ips, a->why.text);
    dns_answer_free(a);
    a = resolve(DNS_IP, "crowd.test");
    size_t four = 0;
    for (size_t i = 0; i < a->n_ips; i++) four += a->ips[i].version == 4;
    CHECK(a->n_ips == DNS_IPS_MAX && four == DNS_IPS_MAX / 2, "no family crowds the other one out: %zu",
          four);
    dns_answer_free(a);
    close_dns();
}

TEST(dns_silence_ends_in_a_timeout) {
    open_dns(4, 20, 100);
    struct dns_answer *a = resolve(DNS_IP, "silent.test");
    CHECK(a->why.code == E_TIMEOUT && s.queries >= 2, "%s", a->why.text);
    dns_answer_free(a);
    a = resolve(DNS_IP, "half.test"); /* a server that does not know AAAA must not cost the A record */
    CHECK(a->why.code == OK && strcmp(ips(a), "192.0.2.5 ") == 0, "%s", a->why.text);
    dns_answer_free(a);
    a = resolve(DNS_IP4, "both.test");
    CHECK(a->why.code == OK);
    dns_answer_free(a);
    close_dns();
}

TEST(dns_one_that_waits_does_not_end_the_others) {
    struct dns_answer *a;
    open_dns(4, 5000, 1000);
    struct mono now = now_for_test();
    CHECK(dns_ask(d, 1, DNS_IP4, BYTES("silent.test"), now, NULL) == OK);
    CHECK(dns_ask(d, 2, DNS_IP4, BYTES("silent.test"), mono_add_ms(now, 60000), NULL) == OK);
    dns_turn(d, mono_add_ms(now, 999));
    CHECK(dns_next(d) == NULL);
    dns_turn(d, mono_add_ms(now, 1000));
    CHECK((a = dns_next(d)) != NULL && a->tag == 1 && a->why.code == E_TIMEOUT);
    CHECK(dns_next(d) == NULL && dns_waiting(d) == 1);
    dns_answer_free(a);
    close_dns();
}

TEST(dns_does_not_believe_spoofed_answers) {
    open_dns(4, 2000, 0);
    for (int i = 0; i < 10; i++) {
        struct dns_answer *a = resolve(DNS_IP4, "spoof.test");
        CHECK(strcmp(ips(a), "192.0.2.1 ") == 0, "%s %s", ips(a), a->why.text);
        dns_answer_free(a);
    }
    close_dns();
}

TEST(dns_hostile_answers_are_errors) {
    static const char *const names[] = {"circle.test", "lies.test"};
    open_dns(4, 10, 40);
    for (size_t i = 0; i < LEN(names); i++) {
        for (enum dns_want want = DNS_IP4; want <= DNS_TEXT; want++) {
            struct dns_answer *a = resolve(want, names[i]);
            CHECK(a->why.code != OK && a->n_ips == 0 && a->n_texts == 0, "%s %d", names[i], (int)want);
            dns_answer_free(a);
        }
    }
    close_dns();
}

TEST(dns_answers_cut_at_every_byte) {
    static const enum dns_want wants[] = {DNS_IP4, DNS_IP6, DNS_TEXT};
    size_t blocks = mem_blocks();
    open_dns(4, 4, 8);
    for (size_t k = 0; k < LEN(wants); k++) {
        for (s.cut = 1; s.cut < 100; s.cut++) {
            struct dns_answer *a = resolve(wants[k], "cut.test");
            CHECK((a->why.code == OK) == (a->n_ips + a->n_texts > 0));
            CHECK(s.cut > 40 || a->why.code != OK, "cut at %zu", s.cut);
            dns_answer_free(a);
        }
    }
    close_dns();
    CHECK(mem_blocks() == blocks);
}

TEST(dns_answers_with_a_flipped_bit) {
    static const enum dns_want wants[] = {DNS_IP4, DNS_TEXT};
    size_t blocks = mem_blocks();
    open_dns(4, 2, 5);
    for (size_t k = 0; k < LEN(wants); k++) {
        for (s.flip = 0; s.flip < 80 * 8; s.flip += 1 + s.flip / 300) {
            struct dns_answer *a = resolve(wants[k], "flip.test");
            CHECK((a->why.code == OK) == (a->n_ips + a->n_texts > 0));
            CHECK(s.flip >= 16 || a->why.code != OK, "another id: bit %zu", s.flip);
            dns_answer_free(a);
        }
    }
    close_dns();
    CHECK(mem_blocks() == blocks);
}

TEST(dns_refuses_what_is_no_name) {
    static const char *const rows[] = {
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a b",
        "a/b",
        "1.2.3.4",
        "::1",
        "a\\b",
        "h\xc3\xa9.test",
        "*.test",
        "a\n.test",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.test"};
    struct why w = {OK, ""};
    char name[300];
    open_dns(4, 2000, 0);
    for (size_t i = 0; i < LEN(rows); i++) {
        CHECK(dns_ask(d, 1, DNS_IP, bytes_of(rows[i]), now_for_test(), &w) == E_INPUT, "row %zu", i);
    }
    CHECK(dns_ask(d, 1, DNS_IP, bytes_at("a\0b", 3), now_for_test(), &w) == E_INPUT);
    memset(name, 'a', sizeof name);
    for (size_t i = 50; i < sizeof name; i += 50) name[i] = '.';
    CHECK(dns_ask(d, 1, DNS_IP, bytes_at(name, DNS_NAME_MAX + 1), now_for_test(), &w) == E_INPUT);
    CHECK(dns_ask(d, 1, DNS_IP, bytes_at(name, DNS_NAME_MAX), now_for_test(), &w) == OK);
    CHECK(dns_waiting(d) == 1);
    close_dns();
}

TEST(dns_has_limits_and_takes_questions_back) {
    struct dns_answer *a;
    size_t blocks = mem_blocks(), fds = open_fds();
    open_dns(2, 2000, 0);
    CHECK(dns_ask(d, 1, DNS_IP, BYTES("silent.test"), now_for_test(), NULL) == OK);
    CHECK(dns_ask(d, 2, DNS_IP, BYTES("both.test"), now_for_test(), NULL) == OK);
    struct why w = {OK, ""};
    CHECK(dns_ask(d, 3, DNS_IP, BYTES("both.test"), now_for_test(), &w) == E_LIMIT && *w.text != '\0');
    dns_cancel(d, 1);
    CHECK(dns_waiting(d) == 1);
    CHECK(dns_ask(d, 3, DNS_IP, BYTES("localhost"), now_for_test(), NULL) == OK);
    CHECK(dns_ask(d, 4, DNS_IP, BYTES("localhost"), now_for_test(), NULL) == OK);
    dns_cancel(d, 3); /* answered already, not taken yet */
    dns_cancel(d, 99);
    CHECK((a = dns_next(d)) != NULL && a->tag == 4);
    dns_answer_free(a);
    while ((a = dns_next(d)) == NULL) turn();
    CHECK(a->tag == 2 && a->why.code == OK && a->n_ips == 4);
    dns_answer_free(a);
    /* Questions that were taken back still cost a query each: there is an end to these too. */
    enum err e = OK;
    for (int i = 0; i < 20 && e == OK; i++) {
        e = dns_ask(d, 5, DNS_IP, BYTES("silent.test"), now_for_test(), NULL);
        dns_cancel(d, 5);
    }
    CHECK(e == E_LIMIT);
    for (long after = 0; after < 3; after++) {
        mem_fail_after(after);
        e = dns_ask(d, 6, DNS_IP4, BYTES("localhost"), now_for_test(), NULL);
        mem_fail_after(-1);
        CHECK(e == E_MEMORY || e == E_LIMIT);
    }
    close_dns(); /* with queries on the way */
    CHECK(mem_blocks() == blocks && open_fds() == fds);
    dns_close(NULL);
    dns_answer_free(NULL);
}

TEST(dns_without_memory_says_so) {
    size_t blocks = mem_blocks();
    open_dns(4, 2000, 0);
    for (long after = 0; after < 6; after++) {
        mem_fail_after(after);
        enum err e = dns_ask(d, 1, DNS_IP, BYTES("both.test"), now_for_test(), NULL);
        mem_fail_after(-1);
        struct dns_answer *a = NULL;
        while (e == OK && (a = dns_next(d)) == NULL) turn();
        CHECK(e == (after < 2 ? E_MEMORY : OK), "allocation %ld", after);
        if (a != NULL) CHECK(a->why.code == OK || a->why.code == E_MEMORY);
        dns_answer_free(a);
    }
    close_dns();
    struct dns_setup setup = {.questions_max = 1, .resolv_conf = conf, .hosts = hosts};
    for (long after = 0; after < 3; after++) {
        mem_fail_after(after);
        enum err e = dns_open(&d, &setup, NULL);
        mem_fail_after(-1);
        CHECK(e != OK && d == NULL, "allocation %ld", after);
    }
    CHECK(mem_blocks() == blocks);
}

TEST(dns_missing_files_are_no_failure) {
    struct dns_setup setup = {.questions_max = 1, .resolv_conf = "/no/such/file", .hosts = "/no/such/file"};
    struct dns_answer *a;
    CHECK(dns_open(&d, &setup, NULL) == OK);
    CHECK(dns_ask(d, 1, DNS_IP, BYTES("localhost"), now_for_test(), NULL) == OK);
    CHECK((a = dns_next(d)) != NULL && a->n_ips == 2);
    dns_answer_free(a);
    dns_close(d);
}

TEST(dns_reads_a_changed_resolv_conf) {
    open_dns(4, 2000, 0);
    struct dns_answer *a = resolve(DNS_IP4, "short");
    CHECK(a->why.code == OK);
    dns_answer_free(a);
    struct mono later = mono_add_ms(now_for_test(), DNS_RECHECK_MS);
    write_file(conf, "search only.test\n");
    CHECK(dns_ask(d, 8, DNS_IP4, BYTES("silent.test"), now_for_test(), NULL) == OK); /* begins again, too */
    CHECK(dns_ask(d, 7, DNS_IP4, BYTES("short"), later, NULL) == OK);
    while ((a = dns_next(d)) == NULL) turn();
    CHECK(a->tag == 7 && a->why.code == E_NOT_FOUND, "two.test is not searched any more: %s", ips(a));
    CHECK(dns_waiting(d) == 1);
    dns_answer_free(a);
    struct endpoint servers[DNS_SERVERS_MAX];
    CHECK(dns_servers(d, servers) == 1 && servers[0].port == s.port, "the configured server stays");
    close_dns();
}
