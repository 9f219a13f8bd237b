#include "net/hosts.h"

#include "tests/test.h"

static char path[300];

static const char *file(const char *text, size_t n) {
    snprintf(path, sizeof path, "%s/hosts", test_dir());
    FILE *f = fopen(path, "w");
    CHECK(f != NULL && fwrite(text, 1, n, f) == n);
    fclose(f);
    return path;
}

static const char text[] = "# comment alpha\n"
                           "10.0.0.1\talpha  Beta # gamma\r\n"
                           "2001:db8::1 alpha\n"
                           "10.0.0.1 alpha\n"
                           "10.0.0.2 alphabet alpha. \n"
                           "not-an-ip alpha\n"
                           "fe80::1%lo alpha\n"
                           "127.0.0.9 localhost\n"
                           "10.0.0.3\n"
                           "10.0.0.4 last";

TEST(hosts_finds_names_as_hosts_5_says) {
    static const struct {
        const char *name;
        unsigned families;
        const char *want;
    } rows[] = {
        {"alpha", HOSTS_IP4, "10.0.0.1 10.0.0.2 "},
        {"ALPHA.", HOSTS_IP4 | HOSTS_IP6, "10.0.0.1 2001:db8::1 10.0.0.2 "},
        {"alpha", HOSTS_IP6, "2001:db8::1 "},
        {"beta", HOSTS_IP4, "10.0.0.1 "},
        {"gamma", HOSTS_IP4, ""},
        {"alph", HOSTS_IP4, ""},
        {"last", HOSTS_IP4, "10.0.0.4 "},
        {"last", HOSTS_IP6, ""},
        {"localhost", HOSTS_IP4 | HOSTS_IP6, "::1 127.0.0.1 "},
        {"A.LocalHost.", HOSTS_IP4, "127.0.0.1 "},
        {"notlocalhost", HOSTS_IP4, ""},
        {"", HOSTS_IP4, ""},
    };
    file(text, sizeof text - 1);
    for (size_t i = 0; i < LEN(rows); i++) {
        struct ip out[8];
        char all[400] = "", one[48];
        size_t n = hosts_find(path, bytes_of(rows[i].name), rows[i].families, out, LEN(out));
        for (size_t k = 0; k < n; k++) {
            ip_text(&out[k], one);
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", one);
        }
        CHECK(strcmp(all, rows[i].want) == 0, "%s: %s", rows[i].name, all);
    }
}

TEST(hosts_stops_at_its_limits) {
    struct ip out[2];
    file(text, sizeof text - 1);
    CHECK(hosts_find(path, BYTES("alpha"), HOSTS_IP4 | HOSTS_IP6, out, 2) == 2);
    CHECK(hosts_find(path, BYTES("alpha"), HOSTS_IP4, out, 0) == 0);
    CHECK(hosts_find("/no/such/file", BYTES("alpha"), HOSTS_IP4, out, 2) == 0);
    /* A line that is too long is skipped whole: its tail is no line of its own. */
    static char big[HOSTS_LINE_MAX * 3];
    for (size_t pad = HOSTS_LINE_MAX - 60; pad < HOSTS_LINE_MAX + 60; pad++) {
        memset(big, ' ', sizeof big);
        memcpy(big, "10.9.9.9", 8);
        int n = snprintf(big + pad, sizeof big - pad, "10.6.6.6 evil\n10.0.0.7 good\n");
        file(big, pad + (size_t)n);
        CHECK(hosts_find(path, BYTES("evil"), HOSTS_IP4, out, 2) <= 1);
        char got[48] = "";
        if (hosts_find(path, BYTES("evil"), HOSTS_IP4, out, 2) == 1) ip_text(&out[0], got);
        CHECK(strcmp(got, "10.6.6.6") != 0, "padding %zu", pad);
        CHECK(hosts_find(path, BYTES("good"), HOSTS_IP4, out, 2) == 1, "padding %zu", pad);
    }
}
