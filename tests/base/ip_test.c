#include "base/ip.h"

#include "crypto/rng.h"
#include "tests/test.h"

TEST(addresses_are_read_and_printed_in_one_form) {
    static const struct {
        const char *in, *out; /* out: NULL when it is no address */
    } rows[] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"10.0.0.1", "10.0.0.1"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8::A", "2001:db8::a"},
        {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"}, /* RFC 5952 4.2.2: not for a single group */
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"}, /* 4.2.3: the first of equal runs */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},       /* and the longest of others */
        {"::ffff:10.0.0.1", "10.0.0.1"},
        {"::ffff:a00:1", "10.0.0.1"},
        {"::1.2.3.4", "::102:304"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"", NULL},
        {"1.2.3", NULL},
        {"1.2.3.4.5", NULL},
        {"1.2.3.4.", NULL},
        {".1.2.3.4", NULL},
        {"1..3.4", NULL},
        {"256.1.1.1", NULL},
        {"01.2.3.4", NULL}, /* octal to some */
        {"1.2.3.0004", NULL},
        {"1.2.3.-4", NULL},
        {"1.2.3.4 ", NULL},
        {"0x1.2.3.4", NULL},
        {":", NULL},
        {":::", NULL},
        {"1:", NULL},
        {":1", NULL},
        {"1:2:3:4:5:6:7", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"1:2:3:4:5:6:7:8::", NULL},
        {"::1:2:3:4:5:6:7:8", NULL},
        {"1::2::3", NULL},
        {"12345::", NULL},
        {"g::", NULL},
        {"::1%eth0", NULL},
        {"[::1]", NULL},
        {"1.2.3.4::", NULL},
        {"::1.2.3.4:5", NULL},
        {"::256.2.3.4", NULL},
        {"1:2:3:4:5:6:7:1.2.3.4", NULL},
        {"::/64", NULL},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct ip ip = {0}, again = {0};
        char text[48] = "none";
        bool good = ip_parse(bytes_of(rows[i].in), &ip);
        CHECK(good == (rows[i].out != NULL), "%s", rows[i].in);
        if (!good) continue;
        ip_text(&ip, text);
        CHECK(strcmp(text, rows[i].out) == 0, "%s: %s", rows[i].in, text);
        CHECK(ip_parse(bytes_of(text), &again) && ip_eq(&ip, &again), "%s", text);
    }
    struct bytes nul = BYTES("1.2.3.4\0");
    struct ip ip;
    CHECK(!ip_parse(nul, &ip));
}

TEST(every_address_survives_its_text) {
    struct rng rng = rng_seeded(test_seed());
    for (int i = 0; i < 20000; i++) {
        uint8_t p[16] = {0};
        char text[48];
        struct ip again;
        for (size_t g = 0; g < 8; g++) { /* many groups are zero: that is where text can go wrong */
            if (rng_below(&rng, 2) == 0) put_u16(p + 2 * g, (uint16_t)rng_u64(&rng));
        }
        struct ip ip = ip_of(rng_below(&rng, 4) == 0 ? 4 : 6, p);
        ip_text(&ip, text);
        CHECK(ip_parse(bytes_of(text), &again) && ip_eq(&ip, &again), "%s", text);
    }
}

TEST(damaged_text_is_refused_or_is_an_address) {
    static const char good[] = "2001:db8::ffff:10.20.30.40";
    char text[sizeof(good)];
    struct ip ip;
    for (size_t n = 0; n < sizeof(good) - 1; n++) {
        if (ip_parse(bytes_at(good, n), &ip)) CHECK(ip.version == 4 || ip.version == 6);
    }
    for (size_t bit = 0; bit < 8 * (sizeof(good) - 1); bit++) {
        struct ip again;
        char out[48];
        memcpy(text, good, sizeof(good));
        text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
        if (!ip_parse(bytes_at(text, sizeof(good) - 1), &ip)) continue;
        ip_text(&ip, out);
        CHECK(ip_parse(bytes_of(out), &again) && ip_eq(&ip, &again), "%s", text);
    }
}

TEST(mapped_addresses_are_version_4_but_not_to_ip6_parse) {
    uint8_t p[16];
    struct ip ip;
    CHECK(ip6_parse(BYTES("::ffff:1.2.3.4"), p) && p[11] == 0xff && p[15] == 4);
    CHECK(!ip6_parse(BYTES("1.2.3.4"), p));
    ip = ip_of(6, p);
    CHECK(ip.version == 4 && memcmp(ip.p, "\1\2\3\4", 4) == 0);
    p[10] = 0xfe;
    ip = ip_of(6, p);
    CHECK(ip.version == 6);
    ip = ip_of(5, p);
    CHECK(ip.version == 0);
}

TEST(kinds_of_addresses) {
    enum { U = 1, L = 2, K = 4, P = 8, M = 16 }; /* unspecified, loopback, link-local, private, multicast */
    static const struct {
        const char *ip;
        int kinds;
    } rows[] = {
        {"0.0.0.0", U},
        {"::", U},
        {"127.0.0.1", L | P},
        {"128.0.0.0", 0},
        {"127.255.255.255", L | P},
        {"126.255.255.255", 0},
        {"::1", L | P},
        {"::2", 0},
        {"169.254.0.0", K | P},
        {"169.253.255.255", 0},
        {"169.255.0.0", 0},
        {"fe80::1", K | P},
        {"febf::1", K | P},
        {"fec0::1", 0},
        {"10.0.0.0", P},
        {"11.0.0.0", 0},
        {"172.16.0.0", P},
        {"172.31.255.255", P},
        {"172.32.0.0", 0},
        {"172.15.255.255", 0},
        {"192.168.1.1", P},
        {"192.169.0.0", 0},
        {"100.64.0.0", P},
        {"100.127.255.255", P},
        {"100.128.0.0", 0},
        {"100.63.255.255", 0},
        {"fc00::1", P},
        {"fdff::1", P},
        {"fe00::1", 0},
        {"fbff::", 0},
        {"224.0.0.251", M},
        {"239.255.255.255", M},
        {"240.0.0.0", 0},
        {"ff02::fb", M},
        {"8.8.8.8", 0},
        {"2001:db8::1", 0},
        {"::ffff:127.0.0.1", L | P},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct ip ip;
        CHECK(ip_parse(bytes_of(rows[i].ip), &ip), "%s", rows[i].ip);
        int kinds = (ip_is_unspecified(&ip) ? U : 0) | (ip_is_loopback(&ip) ? L : 0) |
                    (ip_is_link_local(&ip) ? K : 0) | (ip_is_private(&ip) ? P : 0) |
                    (ip_is_multicast(&ip) ? M : 0);
        CHECK(kinds == rows[i].kinds, "%s: %d", rows[i].ip, kinds);
    }
    struct ip none = {0};
    CHECK(!ip_is_unspecified(&none) && !ip_is_private(&none) && !ip_is_multicast(&none));
}

TEST(blocks) {
    static const struct {
        const char *in, *out, *inside, *outside;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
        {"0.0.0.0/0", "0.0.0.0/0", "200.1.2.3", "::1"},
        {"::/0", "::/0", "2001:db8::1", "1.2.3.4"},
        {"192.0.2.7", "192.0.2.7/32", "192.0.2.7", "192.0.2.6"},
        {"192.0.2.6/31", "192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
        {"2001:db8::/32", "2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
        {"2001:db8::/33", "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
        {"2001:db8::1", "2001:db8::1/128", "2001:db8::1", "2001:db8::2"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8", "10.1.1.1", "12.1.1.1"},
        {"::ffff:10.0.0.1", "10.0.0.1/32", "10.0.0.1", "10.0.0.2"},
    };
    static const char *const bad[] = {
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0.0/-1",
        "10.0.0.0/8 ",
        "10.0.0.0/08",
        "10.0.0.0/8/8",
        "2001:db8::/129",
        "2001:db8::/31x",
        "2001:db8::1/64",
        "::ffff:10.0.0.0/95",
        "::ffff:10.0.0.0/129",
        "::ffff:0:0/16",
        "10.0.0.0/0008",
        "10.0.0.0/4294967304",
    };
    struct cidr c;
    for (size_t i = 0; i < LEN(rows); i++) {
        struct ip in, out;
        char text[52];
        CHECK(cidr_parse(bytes_of(rows[i].in), &c), "%s", rows[i].in);
        cidr_text(&c, text);
        CHECK(strcmp(text, rows[i].out) == 0, "%s: %s", rows[i].in, text);
        CHECK(ip_parse(bytes_of(rows[i].inside), &in) && ip_parse(bytes_of(rows[i].outside), &out));
        CHECK(cidr_has(&c, &in) && !cidr_has(&c, &out), "%s", rows[i].in);
    }
    for (size_t i = 0; i < LEN(bad); i++) CHECK(!cidr_parse(bytes_of(bad[i]), &c), "%s", bad[i]);
    struct cidr none = {0};
    struct ip no_ip = {0};
    CHECK(!cidr_has(&none, &no_ip));
}

TEST(groups_that_limits_count) {
    static const struct {
        const char *ip, *group;
    } rows[] = {
        {"10.1.2.3", "10.1.2.3/32"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"::ffff:10.1.2.3", "10.1.2.3/32"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct ip ip;
        char text[52];
        CHECK(ip_parse(bytes_of(rows[i].ip), &ip));
        struct cidr c = ip_group(&ip);
        cidr_text(&c, text);
        CHECK(strcmp(text, rows[i].group) == 0 && cidr_has(&c, &ip), "%s: %s", rows[i].ip, text);
    }
}

TEST(endpoints) {
    struct endpoint e = {.port = 65535, .scope = UINT32_MAX}, other;
    char text[72];
    CHECK(ip_parse(BYTES("fe80:1111:2222:3333:4444:5555:6666:7777"), &e.ip));
    endpoint_text(&e, text);
    CHECK(strcmp(text, "[fe80:1111:2222:3333:4444:5555:6666:7777%4294967295]:65535") == 0, "%s", text);
    other = e;
    CHECK(endpoint_eq(&e, &other));
    other.scope = 0;
    CHECK(!endpoint_eq(&e, &other));
    other = e;
    other.port = 1;
    CHECK(!endpoint_eq(&e, &other));
    endpoint_text(&(struct endpoint){.ip = {6, {[15] = 1}}, .port = 4001}, text);
    CHECK(strcmp(text, "[::1]:4001") == 0, "%s", text);
    endpoint_text(&(struct endpoint){.ip = {4, {10, 0, 0, 1}}, .port = 4001}, text);
    CHECK(strcmp(text, "10.0.0.1:4001") == 0, "%s", text);
}
