#include "proto/multiaddr.h"

#include "base/mem.h"
#include "base/text.h"
#include "tests/test.h"

/* Texts and bytes from go-multiaddr's multiaddr_test.go and its fuzz corpus, and from libp2p/specs; `shown`
 * is what it must print when that is not `in`. */
#define GARLIC64                                                                                             \
    "jT~IyXaoauTni6N4517EG8mrFUKpy0IlgZh-EY9csMAk82Odatmzr~YTZy8Hv7u~wvkg75EFNOyqb~nAPg-khyp2TS~ObUz8"       \
    "WlqYAM2VlEzJ7wJB91P-cUlKF18zSzVoJFmsrcQHZCirSbWoOknS6iNmsGRh5KVZsBEfp1Dg3gwTipTRIx7Vl5Vy~1OSKQVj"       \
    "YiGZS9q8RL0MF~7xFiKxZDLbPxk0AK9TzGGqm~wMTI2HS0Gm4Ycy8LYPVmLvGonIBYndg2bJC7WLuF6tVjVquiokSVDKFwq7"       \
    "0BCUU5AU-EvdOD5KEOAM7mPfw-gJUG4tm1TtvcobrObqoRnmhXPTBTN5H7qDD12AvlwFGnfAlBXjuP4xOUAISL5SRLiulrsM"       \
    "SiT4GcugSI80mF6sdB0zWRgL1yyvoVWeTBn1TqjO27alr95DGTluuSqrNAxgpQzCKEWAyzrQkBfo2avGAmmz2NaHaAvYbOg0"       \
    "QSJz1PLjv2jdPW~ofiQmrGWM1cd~1cCqAAAA"
#define GARLIC64_HEX                                                                                         \
    "be0383038d3fc8c976a86ae4e78ba378e75ec41bc9ab1542a9cb422581987e118f5cb0c024f3639d6ad9b3aff613672f"       \
    "07bfbbbfc2f920ef910534ecaa6ff9c03e0fa4872a764d2fce6d4cfc5a5a9800cd95944cc9ef0241f753fe71494a175f"       \
    "334b35682459acadc4076428ab49b5a83a49d2ea2366b06461e4a559b0111fa750e0de0c138a94d1231ed5979572ff53"       \
    "922905636221994bdabc44bd0c17fef11622b16432db3f193400af53cc61aa9bfc0c4c8d874b41a6e18732f0b60f5662"       \
    "ef1a89c80589dd8366c90bb58bb85ead56356aba2a244950ca170abbd01094539014f84bdd383e4a10e00cee63dfc3e8"       \
    "09506e2d9b54edbdca1bace6eaa119e68573d30533791fba830f5d80be5c051a77c09415e3b8fe3139400848be5244b8"       \
    "ae96bb0c4a24f819cba0488f34985eac741d3359180bd72cafa1559e4c19f54ea8cedbb6a5afde4319396eb92aab340c"       \
    "60a50cc2284580cb3ad09017e8d9abc60269b3d8d687680bd86ce834412273d4f2e3bf68dd3d6fe87e2426ac658cd5c7"       \
    "7fd5c0aa000000"
#define ONION3 "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd"
#define GARLIC32 "566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzuq"
#define QM "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"
#define K2 "k2k4r8oqamigqdo6o7hsbfwd45y70oyynp98usk7zmyfrzpqxh1pohl7"
#define ED "12D3KooWCryG7Mon9orvQxcS1rYZjotPgpwoJNHHKcLLfE4Hf5mV"
#define SPEC_ED "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
#define SPEC_ED_HEX "a503260024080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"

static const struct good {
    const char *in, *shown, *hex;
} goods[] = {
    {"/ip4/1.2.3.4", NULL, "0401020304"},
    {"/ip4/0.0.0.0", NULL, NULL},
    {"/ip4/192.0.2.0/ipcidr/24", NULL, "04c00002002b18"},
    {"/ip6/::1", NULL, "2900000000000000000000000000000001"},
    {"/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21/udp/1234/quic", NULL, NULL},
    {"/ip6/2601:9:4f81:9700:803e:ca65:66e8:c21/udp/1234/quic-v1", NULL, NULL},
    {"/ip6/2001:db8::/ipcidr/32", NULL, NULL},
    {"/ip6/::ffff:127.0.0.1/tcp/111", NULL, "2900000000000000000000ffff7f00000106006f"},
    {"/ip6/2001:DB8:0::1", "/ip6/2001:db8::1", NULL},
    {"/ip6zone/eth0/ip6/::1", NULL, "2a04657468302900000000000000000000000000000001"},
    {"/ip6zone/x%y/ip6/fe80::1", NULL, NULL},
    {"/onion/timaq4ygg2iegci7:80/http", NULL, NULL},
    {"/onion/aaimaq4ygg2iegci:80", NULL, "bc030010c0439831b48218480050"},
    {"/onion3/" ONION3 ":1234", NULL,
     "bd03adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139ed7e30304d2"},
    {"/onion3/" ONION3 ":80/http", NULL, NULL},
    {"/garlic64/" GARLIC64, NULL, GARLIC64_HEX},
    {"/garlic64/" GARLIC64 "/tcp/8080", NULL, NULL},
    {"/garlic32/" GARLIC32, NULL, "bf0320efbcd45d0c5dc79781ac6f20ea5055a036afb48d45a52e7d68ec7d4338919e69"},
    {"/garlic32/" GARLIC32 "zwas/udp/8080", NULL, NULL},
    {"/udp/0", NULL, "91020000"},
    {"/tcp/65535", NULL, "06ffff"},
    {"/tcp/00080", "/tcp/80", "060050"},
    {"/sctp/1234", NULL, "840104d2"},
    {"/dccp/1234", NULL, "2104d2"},
    {"/udp/1234/sctp/1234", NULL, NULL},
    {"/udp/1234/udt", NULL, NULL},
    {"/udp/1234/utp", NULL, NULL},
    {"/tcp/1234/https", NULL, NULL},
    {"/ipfs/" QM, "/p2p/" QM, NULL},
    {"/ipfs/" K2 "/tcp/1234", "/p2p/QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC/tcp/1234", NULL},
    {"/p2p/bafzbeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm", NULL, NULL},
    {"/p2p/" ED, NULL, NULL},
    {"/p2p/k51qzi5uqu5dhb6l8spkdx7yxafegfkee5by8h7lmjh2ehc2sgg34z7c15vzqs", NULL, NULL},
    {"/p2p/bafzaajaiaejcalj543iwv2d7pkjt7ykvefrkfu7qjfi6sduakhso4lay6abn2d5u", NULL, NULL},
    {"/ip4/127.0.0.1/udp/1234", NULL, "047f000001910204d2"},
    {"/ip4/127.0.0.1/tcp/4321", NULL, "047f0000010610e1"},
    {"/ip4/127.0.0.1/udp/1234/ip4/127.0.0.1/tcp/4321", NULL, "047f000001910204d2047f0000010610e1"},
    {"/ip4/127.0.0.1/tcp/4001/p2p/" SPEC_ED, NULL, "047f000001060fa1" SPEC_ED_HEX},
    {"/ip4/127.0.0.1/tcp/1234/", "/ip4/127.0.0.1/tcp/1234", NULL},
    {"/ip4/127.0.0.1/tcp/1234///", "/ip4/127.0.0.1/tcp/1234", NULL},
    {"/ip4/127.0.0.1/udp/1234/quic-v1/webtransport/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
     NULL, NULL},
    {"/webtransport/certhash/b2uaraocy6yrdblb4sfptaddgimjmmpy"
     "/certhash/zQmbWTwYGcmdyK9CYfNBcfs9nhZs17a6FQ4Y8oea278xx41",
     "/webtransport/certhash/u1QEQOFj2IjCsPJFfMAxmQxLGPw/certhash/"
     "uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g",
     NULL},
    {"/unix/a/b/c/d/e", NULL, "90030a2f612f622f632f642f65"},
    {"/unix/stdio", NULL, NULL},
    {"/unix//a", NULL, "9003032f2f61"},
    {"/unix/run/my node.sock", NULL, NULL},
    {"/ip4/1.2.3.4/tcp/80/unix/a/b/c/tcp/80/", "/ip4/1.2.3.4/tcp/80/unix/a/b/c/tcp/80", NULL},
    {"/p2p/" QM "/unix/a/b/c", NULL, NULL},
    {"/ip4/127.0.0.1/tcp/9090/http/p2p-webrtc-direct", NULL, "047f0000010623 82e0039402"},
    {"/ip4/127.0.0.1/tcp/127/tls/ws", NULL, "047f00000106007fc003dd03"},
    {"/ip4/127.0.0.1/tcp/127/wss", NULL, "047f00000106007fde03"},
    {"/ip4/127.0.0.1/tcp/127/noise", NULL, NULL},
    {"/ip4/127.0.0.1/tcp/127/webrtc-direct", NULL, NULL},
    {"/ip4/127.0.0.1/tcp/127/webrtc", NULL, NULL},
    {"/ip4/127.0.0.1/tcp/127/plaintextv2", NULL, NULL},
    {"/http-path/tmp%2Fbar", NULL, "e103077 46d702f626172"},
    {"/http-path/tmp%2fbar%20+", "/http-path/tmp%2Fbar%20%2B", NULL},
    {"/http-path/%00%ff%C3%A9-._~", "/http-path/%00%FF%C3%A9-._~", NULL},
    {"/http-path/tmp%2Fbar/p2p-circuit", NULL, NULL},
    {"/ip4/127.0.0.1/tcp/443/tls/sni/example.com/http/http-path/foo", NULL, NULL},
    {"/memory/4", NULL, "89060000000000000004"},
    {"/memory/18446744073709551615", NULL, "8906ffffffffffffffff"},
    {"/dns/example.com/tcp/80", NULL, "350b6578616d706c652e636f6d060050"},
    {"/dns4/a/dns6/b/dnsaddr/_c", NULL, "360161370162 38025f63"},
    {"/ip4/1.2.3.4/tcp/4001/p2p/" SPEC_ED "/p2p-circuit/p2p/" SPEC_ED, NULL,
     "0401020304060fa1" SPEC_ED_HEX "a202" SPEC_ED_HEX},
};

static const char *const bads[] = {
    "",
    "/",
    "//",
    "///",
    "ip4/1.2.3.4",
    " /ip4/1.2.3.4",
    "/ip4/1.2.3.4 ",
    "/IP4/1.2.3.4",
    "/ip4 /1.2.3.4",
    "/ip4//tcp/1",
    "/ip4/1.2.3.4//tcp/1",
    "//ip4/1.2.3.4",
    "/ip4",
    "/ip4/::1",
    "/ip4/::ffff:1.2.3.4",
    "/ip4/fdpsofodsajfdoisa",
    "/ip4/::/ipcidr/256",
    "/ip6/::/ipcidr/1026",
    "/ip4/1.2.3.0/ipcidr/256",
    "/ip6",
    "/ip6/1.2.3.4",
    "/ip6/fe80::1%eth0",
    "/ip6zone",
    "/ip6zone/",
    "/ip6zone//ip6/fe80::1",
    "/ip6zone/a b/ip6/fe80::1",
    "/udp",
    "/tcp",
    "/sctp",
    "/udp/65536",
    "/tcp/65536",
    "/tcp/-1",
    "/tcp/+1",
    "/tcp/1a",
    "/tcp/ 1",
    "/tcp/18446744073709551617",
    "/quic/65536",
    "/quic-v1/65536",
    "/onion/9imaq4ygg2iegci7:80",
    "/onion/aaimaq4ygg2iegci7:80",
    "/onion/timaq4ygg2iegci7:0",
    "/onion/timaq4ygg2iegci7:-1",
    "/onion/timaq4ygg2iegci7",
    "/onion/timaq4ygg2iegci@:666",
    "/onion/222222222222222=:1",
    "/onion/timaq4ygg2iegci7:80:80",
    "/onion3/9ww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd:80",
    "/onion3/" ONION3 "7:80",
    "/onion3/" ONION3 ":0",
    "/onion3/" ONION3 ":-1",
    "/onion3/" ONION3 ":65536",
    "/onion3/" ONION3,
    "/onion3/vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyy@:666",
    "/garlic64/" GARLIC64 "7:80",
    "/garlic64/" GARLIC64 ":0",
    "/garlic64/" GARLIC64 "@:666",
    "/garlic64/AAAA",
    "/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzu",
    "/garlic32/" GARLIC32 "77",
    "/garlic32/",
    "/garlic32/566niximlxdzpanmn4qouucvua3k7neniwss47li5r6ugoertzu:80",
    "/garlic32/" GARLIC32 ":-1",
    "/garlic32/2222222222222222222222222222222222222222222222222222222",
    "/garlic32/222222222222222222222222222222222222222222222\r\r\r\r\r\r\r",
    "/garlic32/" GARLIC32
    "zwassw", /* go takes it, but its last bits are no part of any byte: two texts, one address */
    "/udp/1234/sctp",
    "/udp/1234/udt/1234",
    "/udp/1234/utp/1234",
    "/ip4/127.0.0.1/udp/jfodsajfidosajfoidsa",
    "/ip4/127.0.0.1/udp",
    "/ip4/127.0.0.1/tcp",
    "/ip4/127.0.0.1/quic/1234",
    "/ip4/127.0.0.1/quic-v1/1234",
    "/webtransport/certhash",
    "/webtransport/certhash/b2uaraocy6yrdblb4sfptaddgimjmmp",
    "/certhash/u",
    "/certhash/uEg",
    "/certhash/xEiDDq4",
    "/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE",
    "/ip4/127.0.0.1/ipfs",
    "/ip4/127.0.0.1/ipfs/tcp",
    "/ip4/127.0.0.1/p2p",
    "/ip4/127.0.0.1/p2p/tcp",
    "/p2p/QmxoHT6iViN5xAjoz1VZ553cL31U9F94ht3QvWR1FrEbZY",
    "/p2p/Qm11ps1111111111111111111111111111111",
    "/p2p/k2k4r8oqamigqdo6o7hsbfwd45y70oyynp98usk7zmyfrzpqxh1pohl-",
    "/p2p/?unknownmultibase",
    "/p2p/k2jmtxwoe2phm1hbqp0e7nufqf6umvuu2e9qd7ana7h411a0haqj6i2z",
    "/p2p/BAfZA2jA222222222222222222222222222222222222222222222222222222222",
    "/unix",
    "/unix/",
    "/ip4/1.2.3.4/tcp/80/unix",
    "/unix/a\nb",
    "/unix/\x7f",
    "/unix/\xff",
    "/ip4/127.0.0.1/tcp/9090/http/p2p-webcrt-direct",
    "/memory/92233720368547758081",
    "/memory/",
    "/memory/-1",
    "/http-path",
    "/http-path/",
    "/http-path/thisIsMissingAfullByte%f",
    "/http-path/%",
    "/http-path/%zz",
    "/http-path/a b",
    "/http-path/\x80",
    "/sni//sni/0",
    "/sni",
    "/dns4/",
    "/dns4/a b",
    "/dns4/\xc3\xa9",
    "/dns/a\x1b[2J",
};

static struct buf parsed(const char *text) {
    struct buf b = {.max = 4096};
    struct why w = {0};
    enum err e = multiaddr_parse(bytes_of(text), &b, &w);
    CHECK(e == OK, "%s: %s", text, w.text);
    return b;
}

TEST(good_text_makes_bytes_and_comes_back) {
    for (size_t i = 0; i < LEN(goods); i++) {
        const struct good *g = &goods[i];
        struct buf bytes = parsed(g->in), text = {.max = 4096}, again = {.max = 4096};
        uint8_t want[MULTIADDR_MAX];
        if (g->hex != NULL) {
            size_t n = test_hex(g->hex, want, sizeof(want));
            CHECK(bytes_eq(buf_view(&bytes), bytes_at(want, n)), "%s", g->in);
        }
        CHECK(multiaddr_valid(buf_view(&bytes)), "%s", g->in);
        CHECK(multiaddr_text(buf_view(&bytes), &text), "%s", g->in);
        bool is_cid = strstr(g->in, "/p2p/b") != NULL ||
                      strstr(g->in, "/p2p/k") != NULL; /* printed as base58 */
        CHECK(is_cid || bytes_is(buf_view(&text), g->shown == NULL ? g->in : g->shown), "%s",
              buf_cstr(&text));
        CHECK(multiaddr_parse(buf_view(&text), &again, NULL) == OK, "%s", buf_cstr(&text));
        CHECK(bytes_eq(buf_view(&again), buf_view(&bytes)), "%s", buf_cstr(&text));
        buf_free(&bytes);
        buf_free(&text);
        buf_free(&again);
    }
    CHECK(mem_blocks() == 0);
}

TEST(peer_ids_as_cid_print_as_base58) {
    static const char *const rows[][2] = {
        {"/p2p/" K2, "/p2p/" QM},
        {"/p2p/bafzbeigvf25ytwc3akrijfecaotc74udrhcxzh2cx3we5qqnw5vgrei4bm", "/p2p/" QM},
        {"/p2p/bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6", "/p2p/" SPEC_ED},
        {"/p2p/k51qzi5uqu5dhb6l8spkdx7yxafegfkee5by8h7lmjh2ehc2sgg34z7c15vzqs", "/p2p/" ED},
        {"/ipfs/" ED, "/p2p/" ED},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf bytes = parsed(rows[i][0]);
        char text[MULTIADDR_TEXT_MAX];
        CHECK(strcmp(multiaddr_show(buf_view(&bytes), text), rows[i][1]) == 0, "%s: %s", rows[i][0], text);
        buf_free(&bytes);
    }
}

TEST(bad_text_is_refused_with_a_reason_and_leaves_nothing) {
    for (size_t i = 0; i < LEN(bads); i++) {
        struct buf out = {.max = 4096};
        struct why w = {0};
        CHECK(buf_add_text(&out, "before"));
        CHECK(multiaddr_parse(bytes_of(bads[i]), &out, &w) == E_INPUT, "%s", bads[i]);
        CHECK(w.code == E_INPUT && w.text[0] != '\0' && out.n == 6, "%s", bads[i]);
        for (const char *c = w.text; *c != '\0'; c++) CHECK(*c >= ' ' && *c <= '~', "%s", bads[i]);
        buf_free(&out);
    }
    struct buf out = {.max = 4096};
    CHECK(multiaddr_parse(BYTES("/dns4/a\0b"), &out, NULL) == E_INPUT);
    CHECK(multiaddr_parse(BYTES("/unix/a\0b"), &out, NULL) == E_INPUT);
    buf_free(&out);
}

TEST(bad_bytes_are_refused) {
    static const char *const rows[] = {
        "",
        "04",
        "047f0000",
        "06",
        "060f",
        "29",
        "00",
        "81",
        "ff",
        "ffffffffffffffffffff",
        "8400",
        "8600"
        "0050",
        "84e0ff00",   /* overlong codes */
        "91820004d2", /* 273 in three bytes */
        "3500",
        "3501",
        "350161"
        "35",
        "3501"
        "2f",
        "3502610a",
        "350120",
        "35017f",
        "3502c3a9",
        "350261"
        "00",
        "2a00",
        "2a012f",
        "35818080808080808080",
        "35ffffffffffffffff7f", /* lengths far beyond */
        "a50300",
        "a503221221c05877cbae039d70a5e600ea02c6f9f2942439285c9e344e26f8d280c850fad6",
        "a5032612243030303030303030303030303030303030303030303030303030303030303030303030",
        "a50303300130",
        "a50302"
        "0000",
        "a5032600240801122",
        "d20300",
        "d2030112",
        "d203021220",
        "d203030a0261",
        "d20303120161",
        "900300",
        "9003012f",
        "900302"
        "6161",
        "9003062f303030302f",
        "900306303030303030",
        "9003032f0061",
        "9003022f61"
        "060050", /* something behind a path */
        "e10300",
        "be0304"
        "00000000",
        "bf0300",
        "bf03050000000000",
        "bc0330303030303030303030"
        "0000",
        "bd033030303030303030303030303030303030303030303030303030303030303030303030300000",
        "8906000000",
        "8907"
        "00000000000000",
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t in[128];
        size_t n = strlen(rows[i]) % 2 == 0 ? test_hex(rows[i], in, sizeof(in)) : 0;
        struct bytes addr = bytes_at(in, n);
        CHECK(!multiaddr_valid(addr), "%s", rows[i]);
        struct multiaddr_target t = multiaddr_target(addr);
        CHECK(t.host == TARGET_NONE && !t.dialable && t.peer.n == 0, "%s", rows[i]);
        struct bytes cut = multiaddr_without_peer(addr);
        CHECK(bytes_eq(cut, addr), "%s", rows[i]);
    }
    char text[MULTIADDR_TEXT_MAX];
    CHECK(strcmp(multiaddr_show((struct bytes){NULL, 0}, text), "?") == 0);
    CHECK(strcmp(multiaddr_show(BYTES("\x04\x7f"), text), "?") == 0);
}

/* Whatever bytes: what is valid has a text, and that text gives the same bytes. */
static void check_any(struct bytes addr) {
    struct buf text = {.max = 4096}, again = {.max = 4096};
    struct multiaddr_target t = multiaddr_target(addr);
    bool valid = multiaddr_valid(addr), shown = multiaddr_text(addr, &text);
    CHECK(!valid || (shown && text.n < MULTIADDR_TEXT_MAX));
    CHECK(valid || !t.dialable);
    if (valid) {
        enum err e = multiaddr_parse(buf_view(&text), &again, NULL);
        CHECK(e == OK && bytes_eq(buf_view(&again), addr), "%s", buf_cstr(&text));
    } else if (shown) {
        CHECK(bytes_has(buf_view(&text), BYTES("/unknown-")), "%s", buf_cstr(&text));
    } else {
        CHECK(text.n == 0);
    }
    CHECK(multiaddr_without_peer(addr).n <= addr.n);
    buf_free(&text);
    buf_free(&again);
}

TEST(cut_and_flipped_bytes) {
    for (size_t i = 0; i < LEN(goods); i++) {
        struct buf b = parsed(goods[i].in);
        for (size_t n = 0; n <= b.n; n++) {
            uint8_t *exact = malloc(n == 0 ? 1 : n); /* so that a read behind the end is seen */
            CHECK(exact != NULL);
            memcpy(exact, b.p, n);
            check_any(bytes_at(exact, n));
            free(exact);
        }
        for (size_t bit = 0; bit < 8 * b.n; bit++) {
            b.p[bit / 8] = (uint8_t)(b.p[bit / 8] ^ 1U << bit % 8);
            check_any(buf_view(&b));
            b.p[bit / 8] = (uint8_t)(b.p[bit / 8] ^ 1U << bit % 8);
        }
        buf_free(&b);
    }
    CHECK(mem_blocks() == 0);
}

TEST(cut_and_flipped_text) {
    for (size_t i = 0; i < LEN(goods); i++) {
        char text[1200];
        size_t n = strlen(goods[i].in);
        CHECK(n < sizeof(text));
        memcpy(text, goods[i].in, n + 1);
        for (size_t j = 0; j < 9 * n; j++) {
            struct buf b = {.max = 4096};
            size_t used = j < n ? j : n, bit = j - n;
            if (j >= n) text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            enum err e = multiaddr_parse(bytes_at(text, used), &b, NULL);
            CHECK(e == OK ? multiaddr_valid(buf_view(&b)) : e == E_INPUT && b.n == 0, "%s", text);
            if (e == OK) check_any(buf_view(&b));
            if (j >= n) text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            buf_free(&b);
        }
    }
}

static struct buf repeated(const char *part, size_t times, const char *end) {
    struct buf b = {.max = 1 << 16};
    for (size_t i = 0; i < times; i++) CHECK(buf_add_text(&b, part));
    CHECK(buf_add_text(&b, end));
    return b;
}

TEST(limits) {
    for (size_t over = 0; over <= 1; over++) {
        enum err want = over == 0 ? OK : E_INPUT;
        struct buf out = {.max = 4096};
        struct buf parts = repeated("/p2p-webrtc-direct", MULTIADDR_PARTS_MAX + over, "");
        CHECK(multiaddr_parse(buf_view(&parts), &out, NULL) == want, "parts");
        out.n = 0;
        CHECK(buf_add_text(&out, "") && parts.n > 0);
        for (size_t i = 0; i < MULTIADDR_PARTS_MAX + over; i++) CHECK(wr_varint(&out, MA_P2P_CIRCUIT));
        CHECK(multiaddr_valid(buf_view(&out)) == (over == 0), "parts");
        buf_clear(&out);

        struct buf name = repeated("a", MULTIADDR_NAME_MAX + over, "");
        struct buf dns = repeated("/dns4/", 1, buf_cstr(&name));
        CHECK(multiaddr_parse(buf_view(&dns), &out, NULL) == want, "name");
        buf_clear(&out);
        CHECK(wr_varint(&out, MA_DNS4) && wr_lp(&out, buf_view(&name)));
        CHECK(multiaddr_valid(buf_view(&out)) == (over == 0), "name");
        buf_clear(&out);

        struct buf path = repeated("%FF", MULTIADDR_MAX - 4 + over, ""); /* code 2 bytes, length 2 bytes */
        struct buf http = repeated("/http-path/", 1, buf_cstr(&path)), text = {.max = 4096};
        CHECK(multiaddr_parse(buf_view(&http), &out, NULL) == want, "bytes");
        if (over == 0) {
            CHECK(out.n == MULTIADDR_MAX && multiaddr_valid(buf_view(&out)) &&
                  multiaddr_text(buf_view(&out), &text));
            CHECK(text.n == http.n);
            CHECK(buf_add_byte(&out, 6) && !multiaddr_valid(buf_view(&out)) &&
                  !multiaddr_text(buf_view(&out), &text));
        }
        buf_free(&parts);
        buf_free(&name);
        buf_free(&dns);
        buf_free(&path);
        buf_free(&http);
        buf_free(&text);
        buf_free(&out);
    }
    struct buf longest = repeated("/", MULTIADDR_TEXT_MAX * 20, ""), out = {.max = 4096};
    CHECK(multiaddr_parse(buf_view(&longest), &out, NULL) == E_INPUT);
    buf_free(&longest);
    longest = repeated("/tcp/1", MULTIADDR_TEXT_MAX, "");
    CHECK(multiaddr_parse(buf_view(&longest), &out, NULL) == E_INPUT && out.n == 0);
    buf_free(&longest);
    buf_free(&out);
    CHECK(mem_blocks() == 0);
}

/* The longest text that 512 bytes can have: many short parts with long names, the rest percent-encoded. */
TEST(no_valid_address_has_a_longer_text_than_promised) {
    struct buf b = {.max = MULTIADDR_MAX};
    char text[MULTIADDR_TEXT_MAX];
    for (int i = 1; i < MULTIADDR_PARTS_MAX; i++) CHECK(wr_varint(&b, MA_P2P_WEBRTC_DIRECT));
    CHECK(wr_varint(&b, MA_HTTP_PATH) && wr_varint(&b, MULTIADDR_MAX - b.n - 2));
    while (b.n < MULTIADDR_MAX) CHECK(buf_add_byte(&b, 0xff));
    CHECK(multiaddr_valid(buf_view(&b)) && strlen(multiaddr_show(buf_view(&b), text)) > 1700);
    buf_free(&b);
}

TEST(a_full_output_keeps_what_it_was) {
    static const char good[] = "/ip4/1.2.3.4/tcp/4001/http-path/a%2Fb/p2p/" SPEC_ED;
    struct buf all = parsed(good);
    for (size_t max = 0; max < all.n; max++) {
        struct buf out = {.max = max};
        CHECK(multiaddr_parse(bytes_of(good), &out, NULL) == E_LIMIT && out.n == 0, "%zu", max);
        buf_free(&out);
    }
    for (size_t max = 0; max < sizeof(good) - 1; max++) {
        struct buf out = {.max = max};
        CHECK(!multiaddr_text(buf_view(&all), &out) && out.n == 0, "%zu", max);
        buf_free(&out);
    }
    char text[MULTIADDR_TEXT_MAX];
    for (long after = 0; after < 2; after++) {
        struct buf out = {.max = 4096};
        mem_fail_after(after);
        enum err e = multiaddr_parse(bytes_of(good), &out, NULL);
        mem_fail_after(-1);
        CHECK(e != OK && out.n == 0);
        buf_free(&out);
    }
    mem_fail_after(0);
    CHECK(strcmp(multiaddr_show(buf_view(&all), text), "?") == 0);
    mem_fail_after(-1);
    buf_free(&all);
    CHECK(mem_blocks() == 0);
}

TEST(unknown_codes_are_shown_but_not_walked) {
    static const struct {
        const char *hex, *text;
    } rows[] = {
        {"0401020304"
         "06 0fa1"
         "ae01 0261 62",
         "/ip4/1.2.3.4/tcp/4001/unknown-174/026162"},
        {"ae01", "/unknown-174"},
        {"ffffffffffffffff7f 00", "/unknown-9223372036854775807/00"},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        uint8_t in[64];
        char text[MULTIADDR_TEXT_MAX];
        struct bytes addr = bytes_at(in, test_hex(rows[i].hex, in, sizeof(in)));
        CHECK(!multiaddr_valid(addr) && multiaddr_target(addr).host == TARGET_NONE, "%s", rows[i].hex);
        CHECK(strcmp(multiaddr_show(addr, text), rows[i].text) == 0, "%s", text);
        struct rd r = rd_of(addr);
        struct multiaddr_part part;
        while (multiaddr_next(&r, &part)) {}
        CHECK(r.bad);
    }
}

TEST(walking) {
    struct buf b = parsed("/ip4/1.2.3.4/udp/1234/quic-v1/p2p/" SPEC_ED);
    struct rd r = rd_of(buf_view(&b));
    struct multiaddr_part part;
    CHECK(multiaddr_next(&r, &part) && part.code == MA_IP4 && part.value.n == 4);
    CHECK(multiaddr_next(&r, &part) && part.code == MA_UDP && get_u16(part.value.p) == 1234);
    CHECK(multiaddr_next(&r, &part) && part.code == MA_QUIC_V1 && part.value.n == 0);
    CHECK(multiaddr_next(&r, &part) && part.code == MA_P2P && part.value.n == 38);
    CHECK(!multiaddr_next(&r, &part) && !r.bad);
    buf_free(&b);
}

TEST(what_a_dialer_sees) {
    enum { NO, YES };
    static const struct {
        const char *text;
        int host, dialable, circuit;
        const char *where; /* address or name */
        unsigned port;
        const char *peer;
    } rows[] = {
        {"/ip4/1.2.3.4/tcp/80", TARGET_IP, YES, NO, "1.2.3.4", 80, ""},
        {"/ip6/2001:db8::1/tcp/80/p2p/" ED, TARGET_IP, YES, NO, "2001:db8::1", 80, ED},
        {"/ip6/::ffff:1.2.3.4/tcp/80", TARGET_IP, YES, NO, "1.2.3.4", 80, ""},
        {"/dns/example.com/tcp/80", TARGET_DNS, YES, NO, "example.com", 80, ""},
        {"/dns4/example.com/tcp/80/p2p/" QM, TARGET_DNS4, YES, NO, "example.com", 80, QM},
        {"/dns6/example.com/tcp/80", TARGET_DNS6, YES, NO, "example.com", 80, ""},
        {"/dnsaddr/example.com", TARGET_DNSADDR, YES, NO, "example.com", 0, ""},
        {"/dnsaddr/example.com/p2p/" ED, TARGET_DNSADDR, YES, NO, "example.com", 0, ED},
        {"/dnsaddr/example.com/tcp/80", TARGET_DNSADDR, NO, NO, "example.com", 0, ""},
        {"/ip4/1.2.3.4", TARGET_IP, NO, NO, "1.2.3.4", 0, ""},
        {"/ip4/1.2.3.4/p2p/" ED, TARGET_IP, NO, NO, "1.2.3.4", 0, ED},
        {"/ip4/1.2.3.4/tcp/0", TARGET_IP, NO, NO, "1.2.3.4", 0, ""},
        {"/ip4/0.0.0.0/tcp/80", TARGET_IP, NO, NO, "0.0.0.0", 80, ""},
        {"/ip6/::/tcp/80", TARGET_IP, NO, NO, "::", 80, ""},
        {"/ip4/224.0.0.1/tcp/80", TARGET_IP, NO, NO, "224.0.0.1", 80, ""},
        {"/ip6zone/eth0/ip6/fe80::1/tcp/80", TARGET_IP, NO, NO, "fe80::1", 0, ""},
        {"/ip4/1.2.3.4/udp/80", TARGET_IP, NO, NO, "1.2.3.4", 0, ""},
        {"/ip4/1.2.3.4/udp/80/quic-v1/p2p/" ED, TARGET_IP, NO, NO, "1.2.3.4", 0, ED},
        {"/ip4/1.2.3.4/tcp/80/ws", TARGET_IP, NO, NO, "1.2.3.4", 80, ""},
        {"/ip4/1.2.3.4/tcp/80/tls/p2p/" ED, TARGET_IP, NO, NO, "1.2.3.4", 80, ED},
        {"/ip4/1.2.3.4/tcp/80/tcp/81", TARGET_IP, NO, NO, "1.2.3.4", 80, ""},
        {"/ip4/1.2.3.4/ip4/5.6.7.8/tcp/80", TARGET_IP, NO, NO, "1.2.3.4", 0, ""},
        {"/ip4/1.2.3.4/tcp/80/p2p/" ED "/p2p/" QM, TARGET_IP, NO, NO, "1.2.3.4", 80, QM},
        {"/ip4/1.2.3.4/tcp/80/p2p/" ED "/p2p-circuit", TARGET_IP, NO, YES, "1.2.3.4", 80, ED},
        {"/ip4/1.2.3.4/tcp/80/p2p/" ED "/p2p-circuit/p2p/" QM, TARGET_IP, NO, YES, "1.2.3.4", 80, QM},
        {"/p2p-circuit/p2p/" QM, TARGET_NONE, NO, YES, NULL, 0, QM},
        {"/p2p/" QM, TARGET_NONE, NO, NO, NULL, 0, QM},
        {"/tcp/80", TARGET_NONE, NO, NO, NULL, 0, ""},
        {"/unix/a/b", TARGET_NONE, NO, NO, NULL, 0, ""},
        {"/memory/4", TARGET_NONE, NO, NO, NULL, 0, ""},
        {"/onion3/" ONION3 ":80", TARGET_NONE, NO, NO, NULL, 0, ""},
    };
    for (size_t i = 0; i < LEN(rows); i++) {
        struct buf b = parsed(rows[i].text);
        struct multiaddr_target t = multiaddr_target(buf_view(&b));
        char peer[PEER_TEXT_MAX] = "", ip[48] = "";
        CHECK((int)t.host == rows[i].host && t.dialable == rows[i].dialable, "%s", rows[i].text);
        CHECK(t.circuit == rows[i].circuit && t.port == rows[i].port, "%s", rows[i].text);
        if (t.peer.n > 0) peer_id_text(&t.peer, peer);
        CHECK(strcmp(peer, rows[i].peer) == 0, "%s", rows[i].text);
        if (t.host == TARGET_IP) {
            ip_text(&t.ip, ip);
            CHECK(strcmp(ip, rows[i].where) == 0, "%s", rows[i].text);
        } else {
            CHECK(bytes_is(t.name, rows[i].where == NULL ? "" : rows[i].where), "%s", rows[i].text);
        }
        buf_free(&b);
    }
}

TEST(from_endpoints_and_peers) {
    static const struct {
        const char *ip, *text;
    } rows[] = {
        {"10.0.0.1", "/ip4/10.0.0.1/tcp/4001"},
        {"fe80::1", "/ip6/fe80::1/tcp/4001"},
        {"::ffff:10.0.0.1", "/ip4/10.0.0.1/tcp/4001"},
    };
    struct peer_id id;
    char text[MULTIADDR_TEXT_MAX];
    CHECK(peer_id_parse(BYTES(SPEC_ED), &id));
    for (size_t i = 0; i < LEN(rows); i++) {
        struct endpoint e = {.port = 4001, .scope = 3};
        struct buf b = {.max = 100};
        CHECK(ip_parse(bytes_of(rows[i].ip), &e.ip) && multiaddr_from_endpoint(&e, &b));
        CHECK(strcmp(multiaddr_show(buf_view(&b), text), rows[i].text) == 0, "%s", text);
        size_t bare = b.n;
        CHECK(bytes_eq(multiaddr_without_peer(buf_view(&b)), buf_view(&b)));
        CHECK(multiaddr_add_peer(&b, &id) && b.n == bare + 41);
        CHECK(multiaddr_target(buf_view(&b)).dialable);
        CHECK(multiaddr_without_peer(buf_view(&b)).n == bare);
        buf_free(&b);
    }
    struct endpoint none = {.port = 1};
    struct peer_id nobody = {0};
    struct buf small = {.max = 40};
    CHECK(!multiaddr_from_endpoint(&none, &small) && !multiaddr_add_peer(&small, &nobody) && small.n == 0);
    CHECK(!multiaddr_add_peer(&small, &id) && small.n == 0);
    struct buf only = parsed("/p2p/" ED), relayed = parsed("/tcp/1/p2p/" ED "/p2p-circuit");
    CHECK(multiaddr_without_peer(buf_view(&only)).n == 0);
    CHECK(bytes_eq(multiaddr_without_peer(buf_view(&relayed)), buf_view(&relayed)));
    buf_free(&only);
    buf_free(&relayed);
    buf_free(&small);
}
