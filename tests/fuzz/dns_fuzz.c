/* Names: resolv.conf, the hosts file, and what servers answer. The files are in memory; c-ares' sending and
 * waiting are taken out (the linker's --wrap), so that the answer to each query is the fuzzer's and comes
 * when the fuzzer wants. */
#include "net/dns.h"
#include "net/hosts.h"
#include "tests/fuzz/fuzz.h"

#include <sys/time.h>

/* What c-ares declares (only lib/net knows its header). */
struct ares_channeldata;
typedef struct ares_channeldata *ares_channel;
typedef void (*ares_callback)(void *user, int status, int timeouts, unsigned char *packet, int size);
enum { ARES_SUCCESS = 0, ARES_EDESTRUCTION = 16, ARES_STATUSES = 25 };

static struct pending {
    ares_callback callback;
    void *user;
    int type;
} pending[256];
static size_t n_pending;

void __wrap_ares_query(ares_channel c, const char *name, int class, int type, ares_callback back, void *user);
struct timeval *__wrap_ares_timeout(ares_channel c, struct timeval *max, struct timeval *tv);
void __wrap_ares_process_fd(ares_channel c, int in, int out);

void __wrap_ares_query(ares_channel c, const char *name, int class, int type, ares_callback back,
                       void *user) {
    (void)c;
    (void)class;
    MUST(n_pending < LEN(pending) && strlen(name) <= DNS_NAME_MAX);
    pending[n_pending++] = (struct pending){back, user, type};
}
struct timeval *__wrap_ares_timeout(ares_channel c, struct timeval *max, struct timeval *tv) {
    (void)c;
    (void)max;
    *tv = (struct timeval){1, 0};
    return tv;
}
void __wrap_ares_process_fd(ares_channel c, int in, int out) {
    (void)c;
    (void)in;
    (void)out;
}

/* An answer packet: a question, then records of the fuzzer's with the right type mostly. */
static void put_packet(struct bytes *in, int type, struct buf *out) {
    uint8_t how = fuzz_u8(in);
    uint8_t n = fuzz_u8(in) % 40;
    if (how & 1) {
        buf_add(out, fuzz_part(in));
        return;
    }
    wr_u32(out, 0x00018180);
    wr_u16(out, 1);
    wr_u16(out, n);
    wr_u32(out, 0);
    buf_add(out, BYTES("\x01"
                       "a"
                       "\x04"
                       "test\0"));
    wr_u16(out, (uint16_t)type);
    wr_u16(out, 1);
    for (uint8_t i = 0; i < n; i++) {
        uint8_t kind = fuzz_u8(in);
        struct buf data = {.max = 1 << 18};
        if (kind & 1) {
            buf_add(&data, fuzz_part(in));
        } else if (type == 16) {
            for (int k = kind / 16; k >= 0; k--) {
                struct bytes text = bytes_sub(fuzz_part(in), 0, 255);
                wr_u8(&data, (uint8_t)text.n);
                buf_add(&data, text);
            }
        } else {
            uint8_t ip[16] = {kind, [3] = i, [10] = 0xff, [11] = 0xff};
            buf_add(&data, bytes_at(ip, type == 1 ? 4 : 16));
        }
        wr_u16(out, 0xc00c);
        wr_u16(out, kind & 2 && kind & 4 ? fuzz_u8(in) : (uint16_t)type);
        wr_u16(out, 1);
        wr_u32(out, 60);
        wr_u16(out, (uint16_t)data.n);
        buf_add(out, buf_view(&data));
        buf_free(&data);
    }
}

static void answer(struct bytes *in) {
    uint8_t which = fuzz_u8(in);
    if (n_pending == 0) return;
    size_t i = which % n_pending;
    struct pending p = pending[i];
    pending[i] = pending[--n_pending];
    if (which >= 200) {
        p.callback(p.user, 1 + which % (ARES_STATUSES - 1), 0, NULL, 0);
        return;
    }
    struct buf packet = {.max = 1 << 18};
    put_packet(in, p.type, &packet);
    struct bytes copy = fuzz_exact(bytes_sub(buf_view(&packet), 0, 65535));
    p.callback(p.user, ARES_SUCCESS, 0, (unsigned char *)(uintptr_t)copy.p, (int)copy.n);
    fuzz_free(copy);
    buf_free(&packet);
}

static void take_answers(struct dns *d) {
    for (struct dns_answer *a; (a = dns_next(d)) != NULL; dns_answer_free(a)) {
        MUST(a->n_ips <= DNS_IPS_MAX && a->n_texts <= DNS_TEXTS_MAX);
        MUST((a->why.code == OK) == (a->n_ips + a->n_texts > 0));
        for (size_t i = 0; i < a->n_ips; i++) MUST(a->ips[i].version == 4 || a->ips[i].version == 6);
        for (size_t i = 0; i < a->n_texts; i++) {
            MUST(a->texts[i].n <= DNS_TEXT_MAX);
            MUST(a->texts[i].n == 0 ||
                 (a->texts[i].p >= a->text.p && a->texts[i].p + a->texts[i].n <= a->text.p + a->text.n));
        }
    }
}

static void conversation(struct bytes in) {
    struct dns *d = NULL;
    struct why w = {OK, ""};
    struct endpoint servers[2] = {{.ip = {4, {192, 0, 2, 1}}, .port = 5353}, {.ip = {6, {0x20}}}};
    uint8_t how = fuzz_u8(&in);
    struct bytes conf = fuzz_part(&in), hosts = fuzz_part(&in);
    struct dns_setup setup = {.servers = servers, .n_servers = how % 3, .questions_max = 6};
    setup.resolv_conf = fuzz_file(0, conf);
    setup.hosts = fuzz_file(1, hosts);
    struct mono now = {1000000};
    if (dns_open(&d, &setup, &w) != OK) return;
    MUST(dns_servers(d, (struct endpoint[DNS_SERVERS_MAX]){{.port = 0}}) <= DNS_SERVERS_MAX);
    static const char *const names[] = {"a.test", "localhost", "x", "_dnsaddr.a.test", "b.c.d.", "10.0.0.1"};
    static const enum dns_want wants[] = {DNS_IP4, DNS_IP6, DNS_IP, DNS_TEXT};
    for (int i = 0; i < 60 && in.n > 0; i++) {
        uint8_t what = fuzz_u8(&in);
        switch (what % 8) {
        case 0:
            dns_ask(d, what / 32, wants[what / 8 % 4], bytes_of(names[what / 16 % LEN(names)]), now, &w);
            break;
        case 1: dns_ask(d, what / 32, wants[what / 8 % 4], fuzz_part(&in), now, &w); break;
        case 2:
        case 3:
        case 4: answer(&in); break;
        case 5: now = mono_add_ms(now, fuzz_u16(&in)); break;
        case 6: dns_cancel(d, what / 32); break;
        case 7:
            if (what & 128) fuzz_file(0, fuzz_part(&in)); /* resolv.conf changes */
            take_answers(d);
            break;
        }
        dns_turn(d, now);
        MUST(dns_waiting(d) <= 6);
        dns_deadline(d, now);
    }
    take_answers(d);
    while (n_pending > 0) { /* as ares_destroy does it */
        struct pending p = pending[--n_pending];
        p.callback(p.user, ARES_EDESTRUCTION, 0, NULL, 0);
    }
    dns_close(d);
}

static void hosts_file(struct bytes in) {
    struct ip out[4];
    uint8_t how = fuzz_u8(&in);
    struct bytes name = fuzz_part(&in);
    size_t n = hosts_find(fuzz_file(1, in), name, how % 4, out, how / 4 % 5);
    MUST(n <= how / 4 % 5);
    for (size_t i = 0; i < n; i++) MUST(out[i].version == 4 || out[i].version == 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    size_t blocks = mem_blocks();
    if (fuzz_u8(&in) % 4 == 0)
        hosts_file(in);
    else
        conversation(in);
    fuzz_no_leak(blocks);
    return 0;
}
