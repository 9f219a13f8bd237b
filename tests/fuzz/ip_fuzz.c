/* Addresses, blocks, endpoints. What is read is what its text reads as. */
#include "base/ip.h"
#include "tests/fuzz/fuzz.h"

static void check_kinds(const struct ip *ip) {
    struct cidr group = ip_group(ip);
    MUST(cidr_has(&group, ip) || ip->version == 0);
    if (ip_is_loopback(ip) || ip_is_link_local(ip)) MUST(ip_is_private(ip));
    MUST(!(ip_is_multicast(ip) && ip_is_private(ip)));
    MUST(!ip_is_unspecified(ip) || !ip_is_private(ip));
}

static void check_ip(struct bytes text) {
    struct ip ip, again;
    char out[48];
    if (!ip_parse(text, &ip)) return;
    ip_text(&ip, out);
    MUST(ip_parse(bytes_of(out), &again) && ip_eq(&ip, &again));
    check_kinds(&ip);
}

static void check_cidr(struct bytes text, const struct ip *ip) {
    struct cidr c, again;
    char out[52];
    if (!cidr_parse(text, &c)) return;
    MUST(cidr_has(&c, &c.base) && c.bits <= (c.base.version == 4 ? 32 : 128));
    cidr_has(&c, ip);
    cidr_text(&c, out);
    MUST(cidr_parse(bytes_of(out), &again) && ip_eq(&again.base, &c.base) && again.bits == c.bits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    struct bytes in = bytes_at(data, n);
    uint8_t what = fuzz_u8(&in), raw[16] = {0};
    struct bytes first = bytes_take(&in, 16);
    if (first.n > 0) memcpy(raw, first.p, first.n);
    struct ip ip = ip_of(what % 2 == 0 ? 4 : 6, raw);
    struct endpoint e = {.ip = ip, .port = get_u16(raw), .scope = what / 2 % 3};
    char out[72], text[48];
    endpoint_text(&e, out);
    MUST(endpoint_eq(&e, &e));
    ip_text(&ip, text);
    check_ip(bytes_of(text));
    check_kinds(&ip);
    in = fuzz_exact(bytes_sub(in, 0, 100));
    uint8_t p6[16];
    if (ip6_parse(in, p6)) ip_of(6, p6);
    check_ip(in);
    check_cidr(in, &ip);
    fuzz_free(in);
    return 0;
}
